//! What people do on the pages happens, and what cannot be done is said.

use autocall::keep::pairing;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::json;

use crate::client::{PASSWORD, Page, Visitor};
use crate::harness::{A, APP, B, Home, on_both};

on_both!(
    a_responder_takes_an_alarm,
    a_card_takes_what_it_shows_and_nothing_else,
    a_responder_cancels_and_rings_again,
    an_admin_pairs_a_handset,
    an_admin_changes_handsets,
    an_admin_lets_in_a_phone_that_knocks,
    a_test_call_is_made_and_ticked_off,
    people_are_added_changed_and_removed,
    how_people_are_told_is_said_on_the_page,
    wrong_forms_say_what_is_wrong,
    an_admin_lets_others_in_and_shuts_them_out,
    nobody_changes_themselves_but_for_their_password,
    everybody_changes_their_own_password,
    of_two_admins_the_second_is_told,
);

async fn a_responder_takes_an_alarm(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({})).await;
    server.app_dial(&desk).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let page = lin.post(&format!("/alarms/{id}/acknowledge"), &[("back", "now")]).await;
    assert_eq!((page.status, page.location()), (303, "/?done=acknowledged"));
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["name"].as_str()), (Some("answered"), Some("lin")));
    assert!(!alarm["answer"]["confirmed_at"].is_null());
    let now = lin.get("/?done=acknowledged").await;
    assert!(now.shows("It is yours") && now.shows("confirmed") && now.shows("took it after"), "{}", now.body);
}

/// The alarms that a form on a page names.
fn named(page: &Page, action: &str) -> Vec<String> {
    let (_, form) = page.body.split_once(&format!("action=\"{action}\"")).unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    form.split("name=\"alarm\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

async fn a_card_takes_what_it_shows_and_nothing_else(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let all = [server.raise(&[A, B], json!({})).await, server.raise(&[A, B], json!({})).await];
    server.app_dial(&desk).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let now = lin.get("/").await;
    let path = format!("/alarms/{}/acknowledge", all[0]);
    let shown = named(&now, &path);
    assert_eq!(shown, all, "the card is about both: {}", now.body);
    let unseen = server.raise(&[A, B], json!({})).await;
    let mut fields: Vec<(&str, &str)> = shown.iter().map(|id| ("alarm", id.as_str())).collect();
    fields.push(("back", "now"));
    assert_eq!(lin.post(&path, &fields).await.location(), "/?done=acknowledged");
    for id in &all {
        let alarm = server.alarm(id).await;
        assert_eq!((&alarm["state"], &alarm["answer"]["name"]), (&json!("answered"), &json!("lin")), "{alarm}");
    }
    assert_eq!(server.state(&unseen).await, "ringing");
    let page = lin.get(&format!("/alarms/{unseen}")).await;
    assert!(page.shows("<b>lin</b> spoke of other alarms of this call only"), "{}", page.body);
    assert_eq!(named(&page, &format!("/alarms/{unseen}/acknowledge")), [unseen]);
}

async fn a_responder_cancels_and_rings_again(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let early = lin.post(&format!("/alarms/{id}/redial"), &[]).await;
    assert_eq!(early.status, 409);
    assert!(early.shows("Somebody is still being rung"));
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let page = lin.post(&format!("/alarms/{id}/redial"), &[]).await;
    assert_eq!((page.status, page.location()), (303, format!("/alarms/{id}?done=redialled").as_str()));
    assert_eq!(server.dial(&desk).await.1, [A]);
    let page = lin.post(&format!("/alarms/{id}/cancel"), &[("back", "https://evil.example")]).await;
    assert_eq!(page.location(), format!("/alarms/{id}?done=cancelled"));
    assert_eq!(server.state(&id).await, "cancelled");
    assert!(lin.get(&format!("/alarms/{id}")).await.shows("Cancelled by <b>lin</b>"));
    let late = lin.post(&format!("/alarms/{id}/acknowledge"), &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.shows("The alarm is over"));
    assert_eq!(lin.post("/alarms/nonsense/cancel", &[]).await.status, 404);
}

async fn an_admin_pairs_a_handset(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.post("/handsets/add", &[("name", " desk "), ("profile", "list")]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), "no-store");
    let (_, rest) = page.body.split_once("/h/").unwrap();
    let token = rest.split('/').next().unwrap();
    server.idle(&format!("/h/{token}/alert/phone")).await;
    for path in ["/handsets", "/"] {
        assert!(!lin.get(path).await.shows(token), "shown once only");
    }
    assert_eq!(pairing::find(&server.app.engine.store, "desk").await.unwrap().profile, Profile::List);
    let taken = lin.post("/handsets/add", &[("name", "desk")]).await;
    assert_eq!(taken.status, 422);
    assert!(taken.shows("There is a handset of that name"));
    assert_eq!(lin.post("/handsets/add", &[("name", " ")]).await.status, 422);
}

async fn an_admin_changes_handsets(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let store = &server.app.engine.store;
    assert_eq!(lin.post("/handsets/rename", &[("handset", "desk"), ("name", "rack")]).await.location(), "/handsets?done=renamed");
    assert_eq!(lin.post("/handsets/disable", &[("handset", "rack")]).await.location(), "/handsets?done=disabled");
    server.raise(&[A], json!({})).await;
    server.app_idle(&desk).await;
    assert!(lin.get("/handsets").await.shows("disabled"));
    assert_eq!(lin.post("/handsets/enable", &[("handset", "rack")]).await.location(), "/handsets?done=enabled");
    server.app_dial(&desk).await;
    let page = lin.post("/handsets/rotate", &[("handset", "rack")]).await;
    assert!(page.shows("A new address for “rack”") && page.shows("/h/"));
    assert!(pairing::find(store, "rack").await.unwrap().next_token_hash.is_some());
    assert_eq!(lin.post("/handsets/disable", &[("handset", "nobody's")]).await.status, 404);
    assert_eq!(lin.post("/handsets/remove", &[("handset", "rack")]).await.location(), "/handsets?done=removed");
    assert!(lin.get("/handsets").await.shows("No handset yet"));
    assert_eq!(lin.post("/handsets/remove", &[("handset", "rack")]).await.status, 404);
}

async fn an_admin_lets_in_a_phone_that_knocks(home: Home) {
    let server = home.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let poll = async || -> serde_json::Value {
        let request = http.get(format!("{}/alert/phone", server.base)).header("user-agent", APP).header("model", "Mi 9");
        request.send().await.unwrap().json().await.unwrap()
    };
    poll().await;
    let page = lin.get("/handsets").await;
    assert!(page.shows("Phones that knock") && page.shows("Mi 9") && page.shows("127.0.0.1"));
    let fields = [("address", "127.0.0.1"), ("model", "Mi 9"), ("name", "window")];
    assert_eq!(lin.post("/handsets/allow", &fields).await.location(), "/handsets?done=allowed");
    assert_eq!(poll().await["msg"], "无告警");
    assert!(!lin.get("/handsets").await.shows("Phones that knock"));
    assert_eq!(lin.post("/handsets/allow", &[("address", "somewhere"), ("name", "x")]).await.status, 422);
}

async fn a_test_call_is_made_and_ticked_off(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert_eq!(lin.post("/handsets/test", &[("handset", "desk"), ("number", "110")]).await.status, 422);
    assert_eq!(lin.post("/handsets/test", &[("handset", "desk"), ("number", A)]).await.location(), "/handsets?done=testing");
    assert!(lin.get("/handsets").await.shows("Test call runs"));
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let page = lin.get("/handsets").await;
    assert_eq!(page.body.matches("<li class=\"done\">").count(), 2, "{}", page.body);
    server.report(&desk, &mid, Some(A)).await;
    let page = lin.get("/handsets").await;
    assert!(page.shows("Test call passed"));
    assert_eq!(page.body.matches("<li class=\"done\">").count(), 4);
}

async fn people_are_added_changed_and_removed(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = [("name", "张伟"), ("numbers", "187-1234-5678\r\n010-62345678"), ("language", "zh-CN")];
    assert_eq!(lin.post("/people/add", &form).await.location(), "/people?done=saved");
    let store = &server.app.engine.store;
    let people = store.read().await.unwrap().db().people().await.unwrap();
    assert_eq!((people[0].0.name.as_str(), people[0].1.len()), ("张伟", 2));
    let path = format!("/people/{}", people[0].0.id);
    assert!(lin.get(&path).await.shows("+8618712345678"));
    assert_eq!(
        lin.post(&path, &[("name", "Zhang Wei"), ("numbers", B), ("language", "")]).await.location(),
        "/people?done=saved"
    );
    let people = store.read().await.unwrap().db().people().await.unwrap();
    assert_eq!((people[0].0.name.as_str(), people[0].1.as_slice()), ("Zhang Wei", &["+8618812345678".to_owned()][..]));
    assert_eq!(lin.post(&format!("{path}/remove"), &[]).await.location(), "/people?done=removed");
    assert!(store.read().await.unwrap().db().people().await.unwrap().is_empty());
    assert_eq!(lin.post(&format!("{path}/remove"), &[]).await.status, 404);
    assert_eq!(lin.get(&path).await.status, 404);
}

async fn how_people_are_told_is_said_on_the_page(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/people/add", &[("name", "Ann"), ("numbers", A)]).await;
    let store = &server.app.engine.store;
    let ann = store.read().await.unwrap().db().people().await.unwrap()[0].0.id;
    let told = async || store.read().await.unwrap().db().told(ann).await.unwrap();
    let path = format!("/people/{ann}/told");
    assert!(lin.get("/people").await.shows(&format!("href=\"{path}\"")));
    assert!(lin.get(&path).await.shows("as its policy says"));
    let form = [("alarm_texts", "always"), ("shift", "30"), ("put_on_duty", "yes")];
    assert_eq!(lin.post(&path, &form).await.location(), "/people?done=saved");
    let row = told().await;
    assert_eq!((row.alarm_texts.as_str(), row.shift_minutes, row.put_on_duty), ("always", Some(30), true));
    for wrong in ["1441", "soon", "-1"] {
        let page = lin.post(&path, &[("alarm_texts", "never"), ("shift", wrong)]).await;
        assert!(page.status == 422 && page.shows("Write 0 to 1440 minutes"), "{wrong}: {}", page.body);
    }
    assert_eq!(told().await, row, "nothing was changed");
    // Each way with its time, as minutes or as minutes and seconds; what is sent back as it was shown changes nothing.
    let (text, call) = ("text +8618712345678", "call +8618712345678");
    let ways =
        [("alarm_texts", "always"), ("shift", "30"), ("put_on_duty", "yes"), ("way0", text), ("after0", ""), ("way2", call)];
    assert_eq!(lin.post(&path, &[&ways[..], &[("after2", "2:30")]].concat()).await.location(), "/people?done=saved");
    let with_ways = told().await;
    let kept: Vec<String> = with_ways.ways.iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["text:+8618712345678:0", "call:+8618712345678:150"]);
    let page = lin.get(&path).await;
    assert!(page.shows("value=\"2:30\"") && page.shows("call +8618712345678\" selected"), "{}", page.body);
    for (after, sentence) in [("31", "Write 0 to 30 minutes"), ("-1", "Write 0 to 30 minutes"), ("x", "Write 0 to 30 minutes")] {
        let page = lin.post(&path, &[&ways[..], &[("after2", after)]].concat()).await;
        assert!(page.status == 422 && page.shows(sentence), "{after}: {}", page.body);
    }
    let only_text = lin.post(&path, &ways[..5]).await;
    assert!(only_text.status == 422 && only_text.shows("Choose at least one call"), "{}", only_text.body);
    assert_eq!(told().await, with_ways, "nothing was changed");
    assert_eq!(lin.post(&path, &form).await.location(), "/people?done=saved");
    assert_eq!(told().await, row);
    // Somebody else changed it since the page was opened.
    let stale = [("alarm_texts", "never"), ("shift", ""), ("version", "made-up")];
    assert_eq!(lin.post(&path, &stale).await.status, 409);
    // Who is somebody of the roster says it for themselves, and for nobody else.
    let mut own = Visitor::logged_in_as(&server, "ann", Role::Viewer, Some(ann)).await;
    assert!(own.get("/people").await.shows("href=\"/people/me/told\""));
    assert!(own.get("/people/me/told").await.shows("30"));
    assert_eq!(own.post("/people/me/told", &[("alarm_texts", "never"), ("shift", "")]).await.location(), "/people?done=saved");
    let row = told().await;
    assert_eq!((row.alarm_texts.as_str(), row.shift_minutes, row.put_on_duty), ("never", None, false));
    assert_eq!(own.get(&path).await.status, 403);
    assert_eq!(own.post(&path, &form).await.status, 403);
    assert_eq!(lin.get("/people/me/told").await.status, 404, "a user who is nobody of the roster");
}

async fn wrong_forms_say_what_is_wrong(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/people/add", &[("name", "A"), ("numbers", A)]).await;
    for (name, numbers, sentence) in [
        ("", B, "A name has 1 to 200 characters"),
        ("B", "", "at least one number"),
        ("B", "12", "12 cannot be dialled"),
        ("B", "110", "110 cannot be dialled"),
        ("B", A, "belongs to A"),
        ("A", B, "There is a A already"),
    ] {
        let page = lin.post("/people/add", &[("name", name), ("numbers", numbers)]).await;
        assert_eq!(page.status, 422, "{name} {numbers}");
        assert!(page.shows(sentence), "{sentence}\n{}", page.body);
        assert!(page.shows(&format!("value=\"{name}\"")), "what was typed is still there");
    }
    assert_eq!(server.app.engine.store.read().await.unwrap().db().people().await.unwrap().len(), 1);
}

/// The password that a page shows once.
fn shown_password(page: &Page) -> String {
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.header("cache-control"), "no-store");
    let (_, rest) = page.body.split_once("class=\"address\" tabindex=\"0\">").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

async fn an_admin_lets_others_in_and_shuts_them_out(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/people/add", &[("name", "张伟"), ("numbers", A)]).await;
    let people = server.app.engine.store.read().await.unwrap().db().people().await.unwrap();
    let zhang = people[0].0.id.to_string();
    let page = lin.post("/users/add", &[("name", " zhang "), ("role", "responder"), ("person", &zhang)]).await;
    assert!(page.shows("The password of “zhang”"));
    let password = shown_password(&page);
    let list = lin.get("/users").await;
    assert!(list.shows("zhang") && list.shows("张伟") && !list.shows(&password), "{}", list.body);
    for (fields, status) in [
        (&[("name", "zhang"), ("role", "viewer")][..], 422),
        (&[("name", " "), ("role", "viewer")][..], 422),
        (&[("name", "mia"), ("role", "king")][..], 422),
        (&[("name", "mia"), ("role", "viewer"), ("person", "nonsense")][..], 422),
        (&[("name", "mia"), ("role", "viewer"), ("person", "01a1fc4e-a630-77e4-8b85-425a1123605f")][..], 404),
    ] {
        assert_eq!(lin.post("/users/add", fields).await.status, status, "{fields:?}");
    }

    let mut zhang = Visitor::new(&server);
    assert_eq!(zhang.log_in("zhang", &password).await.status, 303);
    let id = server.raise(&[B], json!({})).await;
    zhang.get("/").await;
    assert_eq!(zhang.post(&format!("/alarms/{id}/acknowledge"), &[]).await.status, 303);
    assert_eq!(server.alarm(&id).await["answer"]["name"], "张伟");
    let page = lin.post("/users/role", &[("user", "zhang"), ("role", "viewer")]).await;
    assert_eq!(page.location(), "/users?done=role");
    assert_eq!(zhang.post(&format!("/alarms/{id}/cancel"), &[]).await.status, 403, "from the next click on");

    let other = shown_password(&lin.post("/users/reset", &[("user", "zhang")]).await);
    assert_ne!(other, password);
    assert_eq!(zhang.get("/").await.status, 303, "logged out");
    assert_eq!(zhang.log_in("zhang", &password).await.status, 401);
    assert_eq!(zhang.log_in("zhang", &other).await.status, 303);
    assert_eq!(lin.post("/users/disable", &[("user", "zhang")]).await.location(), "/users?done=user_disabled");
    assert_eq!(zhang.get("/").await.status, 303);
    assert_eq!(zhang.log_in("zhang", &other).await.status, 401);
    assert!(lin.get("/users").await.shows("disabled"));
    assert_eq!(lin.post("/users/enable", &[("user", "zhang")]).await.location(), "/users?done=user_enabled");
    assert_eq!(zhang.log_in("zhang", &other).await.status, 303);
    for action in ["role", "disable", "enable", "reset"] {
        let page = lin.post(&format!("/users/{action}"), &[("user", "nobody"), ("role", "viewer")]).await;
        assert_eq!(page.status, 404, "{action}");
    }
}

async fn nobody_changes_themselves_but_for_their_password(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for action in ["role", "disable", "reset"] {
        let page = lin.post(&format!("/users/{action}"), &[("user", " lin"), ("role", "viewer")]).await;
        assert_eq!(page.status, 403, "{action}");
    }
    let page = lin.get("/users").await;
    assert!(page.shows("This is you") && !page.shows("action=\"/users/role\""), "an admin is always left");
    for role in [Role::Responder, Role::Viewer] {
        let mut eve = Visitor::logged_in(&server, role.as_str(), role).await;
        let page = eve.get("/").await;
        assert!(!page.shows("href=\"/users\"") && page.shows("href=\"/password\""));
        assert_eq!(eve.get("/users").await.status, 403);
        eve.get("/").await;
        for action in ["add", "role", "disable", "enable", "reset"] {
            let page = eve.post(&format!("/users/{action}"), &[("user", "lin"), ("name", "x"), ("role", "viewer")]).await;
            assert_eq!(page.status, 403, "{action}");
        }
    }
    let users = server.app.engine.store.read().await.unwrap().db().users().await.unwrap();
    assert_eq!(users.len(), 3);
    assert!(users.iter().all(|user| user.disabled_at.is_none()));
}

async fn everybody_changes_their_own_password(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let mut elsewhere = Visitor::new(&server);
    elsewhere.log_in("lin", PASSWORD).await;
    let another = "another horse battery";
    lin.get("/password").await;
    for (current, new, again, sentence) in [
        ("wrong wrong wrong", another, another, "The current password is wrong"),
        (PASSWORD, another, "yet another one", "The two new passwords differ"),
        (PASSWORD, "short", "short", "10 to 200 characters"),
    ] {
        let page = lin.post("/password", &[("current", current), ("new", new), ("again", again)]).await;
        assert_eq!(page.status, 422, "{sentence}");
        assert!(page.shows(sentence), "{sentence}\n{}", page.body);
        assert!(!page.shows(new) && !page.shows(current), "a password is never sent back");
    }
    assert_eq!(elsewhere.get("/").await.status, 200, "nothing was changed");
    let page = lin.post("/password", &[("current", PASSWORD), ("new", another), ("again", another)]).await;
    assert_eq!((page.status, page.location()), (303, "/?done=password"));
    assert!(lin.get("/?done=password").await.shows("You have a new password"), "still logged in here");
    assert_eq!(elsewhere.get("/").await.status, 303, "and nowhere else");
    assert_eq!(elsewhere.log_in("lin", PASSWORD).await.status, 401);
    assert_eq!(elsewhere.log_in("lin", another).await.status, 303);
    // A browser that was left open is no place to guess.
    lin.get("/password").await;
    let mut last = 0;
    for _ in 0..30 {
        last = lin.post("/password", &[("current", "a wrong one"), ("new", another), ("again", another)]).await.status;
    }
    assert_eq!(last, 429);
}

/// What the form on a page says that was read.
fn version(page: &Page) -> String {
    let (_, rest) = page.body.split_once("name=\"version\" value=\"").unwrap_or_else(|| panic!("{}", page.body));
    rest.split('"').next().unwrap().to_owned()
}

async fn of_two_admins_the_second_is_told(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let mut mia = Visitor::logged_in(&server, "mia", Role::Admin).await;
    lin.post("/people/add", &[("name", "Ann"), ("numbers", A)]).await;
    let policy = json!({ "steps": [{ "ring": [{ "person": "Ann" }] }] });
    assert_eq!(server.put("/api/v1/policies/ops", &policy).await.0, 201);
    server.put("/api/v1/policy-rules", &json!({ "rules": [{ "policy": "ops", "labels": { "team": "db" } }] })).await;
    let settings = json!({ "kind": "smsgate", "url": "http://127.0.0.1:9/message", "user": "sms", "password": "secret" });
    let (_, gateway) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    let line = json!({ "name": "ops", "number": "01012345678", "sms_number": "13300001111", "carrier": "china-telecom", "android": 11,
        "gateway": "phone" });
    let (_, line) = server.post("/api/v1/lines", &line).await;
    let (_, beat) = server.post("/api/v1/heartbeats", &json!({ "name": "backup", "period_seconds": 60, "phones": [A] })).await;
    let of = |value: &serde_json::Value| value["id"].as_str().unwrap().to_owned();
    let policies = server.app.engine.store.read().await.unwrap().db().policies().await.unwrap();
    let people = server.app.engine.store.read().await.unwrap().db().people().await.unwrap();
    let forms: [(String, Vec<(&str, &str)>); 6] = [
        (format!("/people/{}", people[0].0.id), vec![("name", "Anna"), ("numbers", B)]),
        (format!("/policies/{}", policies[0].id), vec![("whom-0", B), ("rounds", "1")]),
        ("/policies/rules".to_owned(), vec![("place-0", "1"), ("policy-0", "")]),
        (
            format!("/numbers/{}", of(&line)),
            vec![
                ("name", "front desk"),
                ("number", "01012345678"),
                ("carrier", "china-telecom"),
                ("android", "12"),
                ("app_build", "later"),
                ("gateway", "phone"),
            ],
        ),
        (
            format!("/gateways/{}", of(&gateway)),
            vec![("name", "window"), ("url", "http://127.0.0.1:10/message"), ("user", "sms"), ("secret", "anew")],
        ),
        (
            format!("/heartbeats/{}", of(&beat)),
            vec![
                ("period", "5"),
                ("period_unit", "min"),
                ("grace", "0"),
                ("grace_unit", "s"),
                ("phones", B),
                ("priority", "high"),
            ],
        ),
    ];
    // Gateways are renamed last: the line names its own.
    for (path, fields) in &forms {
        let (mine, theirs) = (version(&lin.get(path).await), version(&mia.get(path).await));
        let with = |version: &str| {
            fields
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .chain([("version".to_owned(), version.to_owned())])
                .collect::<Vec<_>>()
        };
        let mine = with(&mine);
        let mine: Vec<(&str, &str)> = mine.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let saved = lin.post(path, &mine).await;
        assert_eq!(saved.status, 303, "{path}: {}", saved.body);
        let after = mia.get(path).await;
        let theirs = with(&theirs);
        let theirs: Vec<(&str, &str)> = theirs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let late = mia.post(path, &theirs).await;
        assert_eq!(late.status, 409, "{path}: {}", late.body);
        assert!(late.shows("Somebody else has changed this meanwhile") && late.shows("Nothing was saved"), "{}", late.body);
        if path != "/policies/rules" {
            let old: Vec<(&str, &str)> = theirs.iter().filter(|(name, _)| *name == "version").copied().collect();
            if !path.starts_with("/people") {
                assert_eq!(mia.post(&format!("{path}/remove"), &old).await.status, 409, "{path}: nor removed unread");
            }
        }
        assert_eq!(version(&mia.get(path).await), version(&after));
    }
}
