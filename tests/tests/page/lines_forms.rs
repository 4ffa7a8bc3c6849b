//! What the pages *Public numbers*, *SMS gateways* and *Watch* change; by whom, and what is refused.

use autocall::engine::Doer;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::kept::Kept;
use serde_json::{Value, json};

use crate::client::{Page, Visitor};
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    an_admin_adds_a_line_and_changes_it,
    what_cannot_work_is_said_at_its_field_and_nothing_is_stored,
    a_preview_shows_what_would_be_sent_and_stores_nothing,
    a_line_that_follows_what_is_gone_says_so_in_red,
    a_line_is_bound_and_set_free,
    a_responder_hands_a_number_over,
    roles_and_tokens_are_checked,
    who_confirmed_is_named,
    a_gateway_is_added_changed_and_removed,
    an_http_gateway_keeps_what_is_left_blank,
    a_gateway_has_a_zone_a_signing_secret_a_device_and_a_token,
    the_safety_measure_of_smsforwarder_is_chosen,
    a_gateway_s_form_speaks_every_language,
    a_heartbeat_is_added_pinged_changed_and_removed,
    a_window_is_made_and_ended,
    hostile_names_stay_text,
);

const PUBLIC: &str = "13300001111";

async fn people(server: &Server) {
    let csv = format!("name,numbers\nAnn,{A}\nBob <b>,{B}\n");
    let people = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
}

/// Ann and Bob in a team that is on duty in turns, a native handset, and the gateway that it is.
async fn equip(server: &Server) {
    people(server).await;
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "ops", "members": ["Ann", "Bob <b>"] })).await.0, 201);
    let layer = json!({ "name": "week", "people": ["Ann", "Bob <b>"], "every": "1 week", "start": "2026-11-16T09:00" });
    let schedule = json!({ "name": "nights", "zone": "UTC", "team": "ops", "layers": [layer] });
    assert_eq!(server.post("/api/v1/schedules", &schedule).await.0, 201);
    server.pair("pixel", Profile::Native).await;
    let gateway = json!({ "name": "phone", "settings": { "kind": "handset", "handset": "pixel" } });
    assert_eq!(server.post("/api/v1/sms/gateways", &gateway).await.0, 201);
}

/// The form of a line, with some of its fields filled in otherwise.
fn line<'f>(otherwise: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let form = [
        ("name", "ops"),
        ("team", "ops"),
        ("number", PUBLIC),
        ("sms_number", "13300002222"),
        ("carrier", "china-telecom"),
        ("android", "11"),
        ("app_build", "later"),
        ("text", "今天你值班"),
        ("gateway", "phone"),
        ("handset", ""),
        ("verify_handset", ""),
    ];
    let value = |name: &str| otherwise.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    form.into_iter().map(|(name, default)| (name, value(name).unwrap_or(default))).collect()
}

async fn lines(server: &Server) -> Value {
    server.items("/api/v1/lines").await
}

/// The path of a line's page.
async fn line_page(server: &Server) -> String {
    format!("/numbers/{}", lines(server).await[0]["id"].as_str().unwrap())
}

/// The path of the first link to a page of this kind.
fn link(page: &Page, kind: &str) -> String {
    let start = page.body.find(&format!("href=\"/{kind}/0")).unwrap() + 6;
    page.body[start..].split('"').next().unwrap().to_owned()
}

/// What is said at a field.
fn said_at(page: &Page, field: &str) -> Option<String> {
    let (_, rest) = page.body.split_once(&format!("<small id=\"{field}-how\" class=\"wrong\">"))?;
    rest.split("</small>").next().map(str::to_owned)
}

async fn an_admin_adds_a_line_and_changes_it(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    assert!(lin.get("/numbers").await.shows("href=\"/numbers/new\""));
    let page = lin.get("/numbers/new").await;
    assert!(page.shows("A message needs something that sends it") && page.shows("/gateways/new"), "{}", page.body);
    equip(&server).await;
    let page = lin.get("/numbers/new").await;
    for text in
        ["<option value=\"ops\">ops</option>", "nights (schedule)", "China Telecom", "<option value=\"phone\">phone", ">pixel<"]
    {
        assert!(page.shows(text), "{text}: {}", page.body);
    }
    assert_eq!(lin.post("/numbers/new", &line(&[])).await.location(), "/numbers?done=saved");
    let page = lin.get("/numbers").await;
    assert!(page.shows("<h3>ops</h3>") && page.shows("Follows ops."), "{}", page.body);
    let stored = lines(&server).await[0].clone();
    assert_eq!(
        (stored["team"].as_str(), stored["sms_number"].as_str(), stored["android"].as_i64(), stored["text"].as_str()),
        (Some("ops"), Some("+8613300002222"), Some(11), Some("今天你值班"))
    );

    // Opened and saved with another text, all else stays.
    let path = line_page(&server).await;
    let page = lin.get(&path).await;
    assert!(page.shows("value=\"+8613300001111\"") && page.shows("<option value=\"ops\" selected>"), "{}", page.body);
    let changed = line(&[("text", "on duty"), ("sms_number", "+8613300002222")]);
    assert_eq!(lin.post(&path, &changed).await.location(), "/numbers?done=saved");
    let mut wanted = stored;
    wanted["text"] = json!("on duty");
    let mut now = lines(&server).await[0].clone();
    for line in [&mut wanted, &mut now] {
        for moving in ["forwarded", "known", "still"] {
            line[moving].take();
        }
    }
    assert_eq!(now, wanted);

    assert_eq!(lin.post(&format!("{path}/remove"), &[]).await.location(), "/numbers?done=removed");
    assert_eq!(lines(&server).await, json!([]));
    assert_eq!(lin.get(&path).await.status, 404);
    assert_eq!(lin.post(&path, &line(&[])).await.status, 404);
    for nowhere in ["/numbers/x", "/gateways/x", "/heartbeats/x", "/gateways/new?kind=pigeon"] {
        assert_eq!(lin.get(nowhere).await.status, 404, "{nowhere}");
    }
}

/// A field, what is filled in otherwise, and what is said of it in English and in Chinese.
type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], [&'c str; 2]);

async fn what_cannot_work_is_said_at_its_field_and_nothing_is_stored(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let long = "班".repeat(60);
    let cases: &[Case<'_>] = &[
        ("name", &[("name", " ")], ["1 to 60 characters", "1 到 60 个字符"]),
        ("number", &[("number", "mum")], ["cannot be dialled", "无法拨打"]),
        ("sms_number", &[("sms_number", "x")], ["cannot be dialled", "无法拨打"]),
        ("carrier", &[("carrier", "")], ["Choose the carrier", "请选择运营商"]),
        ("carrier", &[("carrier", "telekom")], ["“telekom”", "“telekom”"]),
        ("carrier", &[("carrier", "jio")], ["no code", "没有呼叫转移的代码"]),
        ("carrier", &[("carrier", "docomo")], ["registered by hand", "人工登记"]),
        ("android", &[("android", "")], ["4 to 99", "4 到 99"]),
        ("android", &[("android", "eleven")], ["4 to 99", "4 到 99"]),
        ("android", &[("android", "14")], ["default dialler", "默认拨号应用"]),
        ("gateway", &[("gateway", "pigeon")], ["Choose a gateway", "请选择现有的网关"]),
        ("text", &[("text", "a|b")], ["bar", "竖线"]),
        ("text", &[("text", "downcall")], ["“downcall”", "“downcall”"]),
        ("text", &[("text", "one\r\ntwo")], ["on one line", "写成一行"]),
        ("text", &[("text", &long)], ["of 70", "上限为 70"]),
        ("handset", &[("handset", "gone")], ["no such handset", "这部手机已不存在"]),
        ("verify_handset", &[("handset", "pixel"), ("verify_handset", "pixel")], ["ring itself", "不能呼叫自己"]),
    ];
    for (tag, language) in [("en", 0), ("zh", 1)] {
        lin.get(&format!("/numbers/new?lang={tag}")).await;
        for (field, otherwise, sentences) in cases {
            let page = lin.post("/numbers/new", &line(otherwise)).await;
            assert_eq!(page.status, 422, "{otherwise:?}");
            let said = said_at(&page, field).unwrap_or_else(|| panic!("{otherwise:?}: {}", page.body));
            assert!(said.contains(sentences[language]), "{tag} {otherwise:?}: {said}");
            assert_eq!(page.body.matches("class=\"wrong\"").count(), 1, "{otherwise:?}");
            assert!(
                page.shows(&format!("value=\"{}\"", otherwise[0].1.replace("\r\n", ""))) || *field == "text" || *field == "name"
            );
        }
    }
    assert_eq!(lines(&server).await, json!([]));
    lin.post("/numbers/new", &line(&[])).await;
    let page = lin.post("/numbers/new", &line(&[])).await;
    assert!(said_at(&page, "name").unwrap().contains("ops") && page.status == 422);
    // A change that cannot work changes nothing.
    let page = lin.post(&line_page(&server).await, &line(&[("text", &long), ("carrier", "china-mobile")])).await;
    assert_eq!((page.status, lines(&server).await[0]["carrier"].as_str()), (422, Some("china-telecom")));
}

async fn a_preview_shows_what_would_be_sent_and_stores_nothing(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    assert!(lin.get("/numbers/new").await.shows("you see here what the phone would be sent"));
    let previewed = |form: Vec<(&'static str, &'static str)>| [form, vec![("preview", "yes")]].concat();
    let page = lin.post("/numbers/new", &previewed(line(&[]))).await;
    for text in [
        "To Ann (+8618712345678), who is on duty now",
        ">*7218712345678<",
        "|*7218712345678|autocall|alertcall 今天你值班",
        "of 70 characters",
        "UCS-2",
        "VoLTE",
    ] {
        assert!(page.status == 200 && page.shows(text), "{text}: {}", page.body);
    }
    // The fragment alone, for the script.
    let page =
        lin.post("/numbers/preview", &line(&[("text", "you are on duty"), ("app_build", "first"), ("carrier", "att")])).await;
    assert!(page.status == 200 && !page.shows("<html") && !page.shows("<form"), "{}", page.body);
    assert!(
        page.shows("|*21*18712345678%23|autocall|you are on duty")
            && page.shows("of 160 characters")
            && page.shows("GSM alphabet"),
        "{}",
        page.body
    );
    // Why it cannot be sent, with a way to the field; with the whole form also at the field.
    let long = line(&[("text", "班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班班")]);
    let page = lin.post("/numbers/preview", &long).await;
    assert!(page.shows("class=\"note bad\"><a href=\"#text\">Text</a>: Too long") && page.shows("room over"), "{}", page.body);
    assert!(page.shows("75 of 70 characters"), "{}", page.body);
    let page = lin.post("/numbers/new", &previewed(long)).await;
    assert!(said_at(&page, "text").unwrap().contains("75 of 70") && page.status == 200);
    let page = lin.post("/numbers/preview", &line(&[("android", "14")])).await;
    assert!(page.shows("href=\"#android\"") && page.shows("default dialler"), "{}", page.body);
    // Nobody is on duty: the number itself. The handset that holds the SIM dials itself, whatever its Android.
    let page = lin.post("/numbers/preview", &line(&[("team", ""), ("handset", "pixel"), ("android", "14")])).await;
    assert!(
        page.shows("Nobody is on duty") && page.shows(">*7213300001111<") && page.shows("No message is sent"),
        "{}",
        page.body
    );
    assert_eq!(lines(&server).await, json!([]), "nothing was stored");

    // One that is there: with whoever is bound to it.
    lin.post("/numbers/new", &line(&[])).await;
    server.app.engine.bind_line("ops", Some(("李娜", B)), &autocall::versions::Expected::default()).await.unwrap();
    let id = lines(&server).await[0]["id"].as_str().unwrap().to_owned();
    let page = lin.post("/numbers/preview", &[line(&[]), vec![("line", &id)]].concat()).await;
    assert!(page.shows("李娜") && page.shows("*7218812345678"), "{}", page.body);
    assert_eq!(lin.post("/numbers/preview", &[line(&[]), vec![("line", "x")]].concat()).await.status, 404);
}

async fn a_line_that_follows_what_is_gone_says_so_in_red(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/numbers/new", &line(&[])).await;
    // As an earlier version allowed it.
    let mut row = server.app.engine.line_status("ops").await.unwrap().line;
    row.team = "db".to_owned();
    let mut tx = server.app.engine.store.begin().await.unwrap();
    tx.db().change_line(&row).await.unwrap();
    tx.commit().await.unwrap();
    let red = "<p class=\"note bad\">Follows db, which is not in the roster.</p>";
    assert!(lin.get("/numbers").await.shows(red));
    let path = line_page(&server).await;
    let page = lin.get(&path).await;
    assert!(page.shows("<option value=\"db\" selected>db – not in the roster</option>"), "it stays what it is: {}", page.body);
    for (team, said) in [("nights", "Follows nights."), ("", "Follows nobody.")] {
        lin.post(&path, &line(&[("team", team)])).await;
        let page = lin.get("/numbers").await;
        assert!(page.shows(said) && !page.shows("not in the roster"), "{}", page.body);
    }
    // By its id it is the same team.
    let team = server.get("/api/v1/teams/ops").await["id"].as_str().unwrap().to_owned();
    let mut said = server.app.engine.line_status("ops").await.unwrap().said;
    said.team = team;
    server.app.engine.say_line("ops", &said, &autocall::versions::Expected::default()).await.unwrap();
    assert!(lin.get("/numbers").await.shows("Follows ops."));
    assert!(lin.get(&path).await.shows("<option value=\"ops\" selected>ops</option>"));
}

async fn a_line_is_bound_and_set_free(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/numbers/new", &line(&[("team", "")])).await;
    let path = line_page(&server).await;
    let bind = format!("{path}/bind");
    let page = lin.post(&bind, &[("person", ""), ("number", "")]).await;
    assert!(page.status == 422 && page.shows("Choose somebody, or write a number"), "{}", page.body);
    assert_eq!(lin.post(&bind, &[("number", "110")]).await.status, 422);
    let person = person_id(&lin.get(&path).await, "Ann");
    assert_eq!(lin.post(&bind, &[("person", &person)]).await.location(), "/numbers?done=saved");
    server.pass(1).await;
    assert_eq!(lines(&server).await[0]["forwarded"]["person"], "Ann");
    assert!(lin.get("/numbers").await.shows("Always leads to Ann."));
    assert!(lin.get(&path).await.shows("is always on duty for it"));
    lin.post(&bind, &[("nobody", "yes")]).await;
    assert!(lines(&server).await[0]["bound_name"].is_null());
}

/// The value of somebody's entry in a list.
fn person_id(page: &Page, name: &str) -> String {
    let before = page.body.split(&format!("\">{name}</option>")).next().unwrap();
    before.rsplit('"').next().unwrap().to_owned()
}

async fn a_responder_hands_a_number_over(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/numbers/new", &line(&[("team", "")])).await;
    let path = format!("{}/forward", line_page(&server).await);
    let mut ann = Visitor::logged_in(&server, "ann", Role::Responder).await;
    let page = ann.get("/numbers").await;
    assert!(page.shows("Hand over to") && !page.shows("href=\"/numbers/"), "{}", page.body);
    let person = person_id(&page, "Bob &#60;b&#62;");
    assert_eq!(ann.post(&path, &[("person", &person), ("number", "")]).await.location(), "/numbers?done=handed_over");
    let (latest, _) = server.app.engine.line_status("ops").await.unwrap().latest.unwrap();
    assert_eq!((latest.person.as_str(), latest.number.as_str()), ("Bob <b>", "+8618812345678"));
    assert_eq!(latest.message.as_deref(), Some("|*7218812345678|autocall|alertcall 今天你值班"), "it is in the outbox");
    // A number: of whoever it is known to be.
    ann.post(&path, &[("number", A)]).await;
    assert_eq!(lines(&server).await[0]["forwarded"]["person"], "Ann");
    for (fields, said) in [
        (&[("person", ""), ("number", "")][..], "Choose somebody, or write a number."),
        (&[("number", "110")], "cannot be dialled"),
        (&[("person", "gone"), ("number", "")], "It has been removed"),
    ] {
        let page = ann.post(&path, fields).await;
        assert!(page.status == 422 && page.shows(said) && page.shows("<details open>"), "{fields:?}: {}", page.body);
    }
    assert_eq!(lines(&server).await[0]["forwarded"]["person"], "Ann");
    assert!(ann.get("/numbers?done=handed_over").await.shows("on its way"));
}

async fn roles_and_tokens_are_checked(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/numbers/new", &line(&[("team", "")])).await;
    let path = line_page(&server).await;
    let mut ann = Visitor::logged_in(&server, "ann", Role::Responder).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let gateway = link(&lin.get("/gateways").await, "gateways");
    let own = |end: &str| format!("{path}/{end}");
    let admins = ["/numbers/new", &path, "/gateways/new?kind=http", &gateway, "/heartbeats/new"];
    let posts =
        ["/numbers/new", &path, "/numbers/preview", &own("bind"), &own("remove"), "/gateways/new", &gateway, "/heartbeats/new"];
    for visitor in [&mut ann, &mut eve] {
        for path in admins {
            assert_eq!(visitor.get(path).await.status, 403, "{path}");
        }
        visitor.get("/numbers").await;
        for path in posts {
            assert_eq!(visitor.post(path, &line(&[("name", "mine")])).await.status, 403, "{path}");
        }
    }
    let mine = [("number", A), ("reason", "x"), ("team", "db"), ("to", "2026-11-20T09:00")];
    for path in [&own("forward"), "/maintenance/new", "/maintenance/01a1fc4e-a630-77e4-8b85-425a1123605f/end"] {
        assert_eq!(eve.post(path, &mine).await.status, 403, "{path}");
    }
    assert_eq!(eve.get("/maintenance/new").await.status, 403);
    let page = eve.get("/numbers").await;
    for hidden in [
        "Hand over",
        "/numbers/new",
        "/heartbeats/new",
        "/maintenance/new",
        "/gateways",
        PUBLIC,
        "Bob",
        "<form method=\"post\" action=\"/numbers",
    ] {
        assert!(!page.shows(hidden), "{hidden}: {}", page.body);
    }
    assert!(ann.get("/maintenance/new").await.status == 200 && !ann.get("/numbers").await.shows("/gateways"));

    // Without the token of our own form nobody changes anything.
    for path in posts.into_iter().chain([own("forward").as_str(), "/maintenance/new"]) {
        assert_eq!(lin.post_bare(path, &line(&[("name", "mine")])).await.status, 403, "{path}");
    }
    assert_eq!(lines(&server).await.as_array().unwrap().len(), 1);
    assert!(lines(&server).await[0]["name"] == "ops" && lines(&server).await[0]["forwarded"].is_null());
    // Nobody who is not logged in sees anything.
    let mut stranger = Visitor::new(&server);
    assert!(stranger.get("/numbers/new").await.location().starts_with("/login"));
}

async fn who_confirmed_is_named(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let spare = server.pair("spare", Profile::App).await;
    // Nobody listens there: what is sent is only what this test says was sent.
    let settings = json!({ "kind": "smsgate", "url": "http://127.0.0.1:9", "user": "", "password": "" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.post("/numbers/new", &line(&[("team", ""), ("verify_handset", "spare")])).await;
    server.app.engine.hand_line_over("ops", A, Some("王芳 <i>")).await.unwrap();
    let gateway = server.app.engine.gateway("phone").await.unwrap().id;
    let mut tx = server.app.engine.store.begin().await.unwrap();
    let sms = tx.db().due_sms(gateway, server.now() + chrono::TimeDelta::days(1)).await.unwrap().remove(0);
    tx.db().sms_sent(sms.id, sms.failures, "ok", server.now()).await.unwrap();
    tx.commit().await.unwrap();
    server.app_idle(&spare).await;
    server.pass(61).await;
    let (mid, _) = server.app_dial(&spare).await;
    server.report(&spare, &mid, Some(PUBLIC)).await;
    let page = lin.get("/numbers").await;
    assert!(page.shows("<span class=\"tag answered\">somebody picked up</span>"), "{}", page.body);
    let alarm = lines(&server).await[0]["forwarded"]["verify_alarm_id"].as_str().unwrap().to_owned();
    server.post(&format!("/api/v1/alarms/{alarm}/acknowledge"), &json!({ "number": PUBLIC })).await;
    let page = lin.get("/numbers").await;
    assert!(page.shows("<span class=\"tag confirmed\">confirmed by 王芳 &#60;i&#62;</span>"), "{}", page.body);
}

async fn a_gateway_is_added_changed_and_removed(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "10.0.0.0/8").set("AUTOCALL_LISTEN", "127.0.0.1:8080").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/gateways").await;
    assert!(page.shows("Nothing can send text messages yet") && page.shows("autocall gateway add"), "{}", page.body);
    let page = lin.get("/gateways/new").await;
    for kind in ["smsgate", "smsforwarder", "http", "handset"] {
        assert!(page.shows(&format!("href=\"/gateways/new?kind={kind}\"")), "{kind}");
        let form = lin.get(&format!("/gateways/new?kind={kind}")).await;
        assert!(form.shows(&format!("name=\"kind\" value=\"{kind}\"")), "{kind}: {}", form.body);
        assert_eq!(form.shows("name=\"headers\""), kind == "http", "{kind}: its own fields");
    }
    let smsgate =
        |url, name| [("kind", "smsgate"), ("name", name), ("url", url), ("user", "sms"), ("secret", "geheim"), ("sim", "2")];
    for (fields, field, said) in [
        (smsgate("http://192.168.1.7:8080", "phone"), "url", "sms.allow_networks"),
        (smsgate("ftp://10.0.0.1", "phone"), "url", "http://"),
        (smsgate("http://10.0.0.1", ""), "name", "1 to 60"),
    ] {
        let page = lin.post("/gateways/new", &fields).await;
        assert!(page.status == 422 && said_at(&page, field).unwrap().contains(said), "{fields:?}: {}", page.body);
        assert!(!page.shows("geheim"), "what was typed is not shown either");
    }
    assert_eq!(server.items("/api/v1/sms/gateways").await, json!([]));
    let page = lin.post("/gateways/new", &smsgate("http://10.0.0.1:8080/message", "phone <b>")).await;
    let (_, rest) = page.body.split_once(&format!("{}/api/v1/sms/inbound/", server.base)).unwrap();
    let token = rest.split('<').next().unwrap().to_owned();
    assert!(
        page.status == 200 && page.shows("sms:received") && !page.shows("geheim") && !page.shows("phone <b>"),
        "{}",
        page.body
    );
    let heard = server.post(&format!("/api/v1/sms/inbound/{token}"), &json!({ "event": "x", "payload": {} })).await;
    assert!(heard.0 < 500 && heard.0 != 401, "the address works: {heard:?}");
    let page = lin.get("/gateways").await;
    assert!(page.shows("phone &#60;b&#62;") && page.shows("SMSGate · 10.0.0.1") && !page.shows(&token), "{}", page.body);
    let path = link(&page, "gateways");

    // A blank secret keeps the old one where messages go where they went; a new one replaces it.
    let page = lin.get(&path).await;
    assert!(page.shows("value=\"http://10.0.0.1:8080/message\"") && page.shows("it stays as it is"), "{}", page.body);
    assert!(!page.shows("geheim") && !page.shows(&token));
    let elsewhere = [("name", "phone"), ("url", "http://10.0.0.2:8080/message"), ("user", "sms"), ("secret", ""), ("sim", "1")];
    let refused = lin.post(&path, &elsewhere).await;
    assert!(refused.status == 422 && said_at(&refused, "secret").unwrap().contains("leads elsewhere"), "{}", refused.body);
    let fields = [("name", "phone"), ("url", "http://10.0.0.1:8080/messages"), ("user", "sms"), ("secret", ""), ("sim", "1")];
    assert_eq!(lin.post(&path, &fields).await.location(), "/gateways?done=saved");
    let settings = async || json!(server.app.engine.gateway("phone").await.unwrap().settings.0);
    let wanted =
        json!({ "kind": "smsgate", "url": "http://10.0.0.1:8080/messages", "user": "sms", "password": "geheim", "sim": 1 });
    assert_eq!(settings().await, wanted);
    let page = lin.post(&path, &[("name", "phone"), ("url", "http://8.8.8.8:x")]).await;
    assert!(page.status == 422 && said_at(&page, "url").is_some());
    assert_eq!(settings().await, wanted);
    lin.post(&path, &[("name", "phone"), ("url", "http://10.0.0.2"), ("secret", "neu")]).await;
    assert_eq!(settings().await["password"], "neu");
    // A secret is not sent back: whoever has to correct something else is told to type it again.
    let wrong = [("name", "phone"), ("url", "http://10.0.0.2"), ("secret", "neuer"), ("zone", "Mars")];
    let refused = lin.post(&path, &wrong).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.shows("Type it again") && !refused.shows("neuer"), "{}", refused.body);

    // One that a line needs stays.
    lin.post("/numbers/new", &line(&[("team", "")])).await;
    let page = lin.post(&format!("{path}/remove"), &[]).await;
    assert!(page.status == 422 && page.shows("A public number is reached through it"), "{}", page.body);
    lin.post(&format!("{}/remove", line_page(&server).await), &[]).await;
    assert_eq!(lin.post(&format!("{path}/remove"), &[]).await.location(), "/gateways?done=removed");
    assert_eq!(lin.get(&path).await.status, 404);
    assert_eq!(server.items("/api/v1/sms/gateways").await, json!([]));
}

async fn an_http_gateway_keeps_what_is_left_blank(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "10.0.0.0/8").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let fields = [
        ("kind", "http"),
        ("name", "other"),
        ("method", "PUT"),
        ("url", "http://10.0.0.1/geheim1"),
        ("headers", "content-type=application/json\r\nauthorization=Bearer geheim2"),
        ("body", r#"{"to": "{number}", "text": "{text}", "key": "geheim3"}"#),
        ("secret", "geheim4"),
    ];
    let without =
        |name: &str| fields.iter().map(|field| if field.0 == name { (field.0, "") } else { *field }).collect::<Vec<_>>();
    let page = lin.post("/gateways/new", &without("body")).await;
    assert!(page.status == 422 && said_at(&page, "body").unwrap().contains("{text}"), "{}", page.body);
    assert_eq!(lin.post("/gateways/new", &fields).await.status, 200);
    let settings = async || json!(server.app.engine.gateway("other").await.unwrap().settings.0);
    let before = settings().await;
    let path = link(&lin.get("/gateways").await, "gateways");
    let page = lin.get(&path).await;
    assert!(page.shows("<option value=\"PUT\" selected>") && !page.shows("geheim"), "{}", page.body);
    lin.post(&path, &[("name", "other"), ("method", "PUT"), ("url", ""), ("headers", ""), ("body", ""), ("secret", "")]).await;
    assert_eq!(settings().await, before);
    let elsewhere = [("name", "other"), ("method", "PUT"), ("url", "http://10.0.0.9/"), ("secret", "neu"), ("headers", "a=b")];
    let page = lin.post(&path, &elsewhere).await;
    assert!(page.status == 422 && said_at(&page, "body").unwrap().contains("leads elsewhere"), "{}", page.body);
    assert_eq!(settings().await, before, "what stands in its body goes nowhere else");
    lin.post(&path, &[("name", "other"), ("method", "POST"), ("headers", "a=b")]).await;
    let after = settings().await;
    assert_eq!((&after["headers"], &after["body"], &after["method"]), (&json!({ "a": "b" }), &before["body"], &json!("POST")));

    server.pair("pixel", Profile::Native).await;
    let handset = |handset| [("kind", "handset"), ("name", "own"), ("handset", handset)];
    let page = lin.post("/gateways/new", &handset("gone")).await;
    assert!(page.status == 422 && said_at(&page, "handset").is_some());
    assert_eq!(lin.post("/gateways/new", &handset("pixel")).await.status, 200);
    let page = lin.post("/gateways/new", &handset("pixel")).await;
    assert!(page.status == 422 && said_at(&page, "name").unwrap().contains("own"), "the name is taken");
}

/// Everything by plain forms, as a browser without script sends them.
async fn a_gateway_has_a_zone_a_signing_secret_a_device_and_a_token(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "10.0.0.0/8").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for kind in ["smsgate", "smsforwarder", "httpsms", "textbee", "http", "handset"] {
        let form = lin.get(&format!("/gateways/new?kind={kind}")).await;
        assert!(form.shows("name=\"zone\"") && form.shows("name=\"signing_secret\""), "{kind}: {}", form.body);
        for field in ["device", "token"] {
            assert_eq!(form.shows(&format!("name=\"{field}\"")), kind == "smsgate", "{kind}: {field}");
        }
        assert_eq!(form.shows("name=\"measure\""), kind == "smsforwarder", "{kind}");
        assert!(!form.shows("_gone\""), "{kind}: nothing is there to be taken away");
    }
    let with = |more: &[(&'static str, &'static str)]| {
        let all = [
            ("kind", "smsgate"),
            ("name", "phone"),
            ("url", "http://10.0.0.1/message"),
            ("user", ""),
            ("secret", ""),
            ("sim", ""),
            ("zone", "Asia/Tokyo"),
            ("signing_secret", "geheim1"),
            ("device", "pixel 7"),
            ("token", "geheim2"),
        ];
        let value = |name: &str| more.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        let mut fields: Vec<_> = all.map(|(name, usual)| (name, value(name).unwrap_or(usual))).into();
        fields.extend(more.iter().filter(|(name, _)| !all.iter().any(|(own, _)| own == name)));
        fields
    };
    for (wrong, field, said) in [(("zone", "Mars"), "zone", "Asia/Shanghai"), (("token", "déjà"), "token", "ASCII")] {
        let page = lin.post("/gateways/new", &with(&[wrong])).await;
        assert!(page.status == 422 && said_at(&page, field).unwrap().contains(said), "{wrong:?}: {}", page.body);
        assert!(!page.shows("geheim") && page.shows("value=\"pixel 7\""), "{}", page.body);
    }
    assert_eq!(server.get("/api/v1/sms/gateways").await["items"], json!([]));
    let page = lin.post("/gateways/new", &with(&[])).await;
    assert!(page.status == 200 && !page.shows("geheim"), "{}", page.body);
    let stored = async || {
        let row = server.app.engine.gateway("phone").await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let settings = json!(row.settings.0);
        let inbound = row.inbound.0.clone();
        [
            inbound.zone.unwrap_or_default(),
            inbound.signing_secret.unwrap_or_default(),
            text(&settings["device"]),
            text(&settings["token"]),
        ]
    };
    assert_eq!(stored().await, ["Asia/Tokyo", "geheim1", "pixel 7", "geheim2"]);

    let path = link(&lin.get("/gateways").await, "gateways");
    let page = lin.get(&path).await;
    assert!(page.shows("value=\"Asia/Tokyo\"") && page.shows("value=\"pixel 7\"") && !page.shows("geheim"), "{}", page.body);
    assert!(page.shows("name=\"token_gone\"") && page.shows("name=\"signing_secret_gone\""), "{}", page.body);
    assert_eq!(page.body.matches("Set, and not shown").count(), 2, "{}", page.body);
    // What is left empty stays, but for what is shown.
    let empty = [("signing_secret", ""), ("token", "")];
    assert_eq!(lin.post(&path, &with(&empty)).await.location(), "/gateways?done=saved");
    assert_eq!(stored().await, ["Asia/Tokyo", "geheim1", "pixel 7", "geheim2"]);
    lin.post(&path, &with(&[("signing_secret", "neu1"), ("token", "neu2"), ("zone", "Europe/Madrid"), ("device", "pixel 8")]))
        .await;
    assert_eq!(stored().await, ["Europe/Madrid", "neu1", "pixel 8", "neu2"]);
    // Something wrong elsewhere: what was ticked stays ticked, and nothing is stored.
    let ticked = [empty[0], empty[1], ("token_gone", "yes"), ("url", "ftp://x")];
    let page = lin.post(&path, &with(&ticked)).await;
    assert!(page.status == 422 && said_at(&page, "url").is_some(), "{}", page.body);
    let (_, box_) = page.body.split_once("name=\"token_gone\"").unwrap();
    assert!(box_.split('>').next().unwrap().contains("checked"), "{}", page.body);
    assert_eq!(stored().await, ["Europe/Madrid", "neu1", "pixel 8", "neu2"]);
    lin.post(&path, &with(&[empty[0], empty[1], ("token_gone", "yes"), ("zone", ""), ("device", "")])).await;
    assert_eq!(stored().await, ["", "neu1", "", ""]);
    lin.post(&path, &with(&[empty[0], empty[1], ("signing_secret_gone", "yes"), ("zone", ""), ("device", "")])).await;
    assert_eq!(stored().await, ["", "", "", ""]);
    let page = lin.get(&path).await;
    assert!(!page.shows("_gone\"") && page.shows("May be left empty"), "{}", page.body);
    // A page that was opened before there were such fields changes none of them.
    lin.post(&path, &with(&[("token", "neu3"), ("signing_secret", "neu4")])).await;
    let older = [("name", "phone"), ("url", "http://10.0.0.1"), ("user", ""), ("secret", ""), ("sim", "")];
    assert_eq!(lin.post(&path, &older).await.location(), "/gateways?done=saved");
    assert_eq!(stored().await, ["Asia/Tokyo", "neu4", "pixel 7", "neu3"]);
    // The API agrees.
    let shown = server.get("/api/v1/sms/gateways/phone").await;
    assert_eq!((shown["signed"].as_bool(), shown["zone"].as_str()), (Some(true), Some("Asia/Tokyo")), "{shown}");
}

async fn the_safety_measure_of_smsforwarder_is_chosen(home: Home) {
    const RSA: &str = include_str!("../../../fixtures/sms/smsforwarder-rsa-public.txt");
    const SM4: &str = "0123456789abcdeffedcba9876543210";
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "10.0.0.0/8").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = |measure, secret| {
        [
            ("kind", "smsforwarder"),
            ("name", "hall"),
            ("url", "http://10.0.0.1:5000"),
            ("measure", measure),
            ("secret", secret),
            ("sim", "1"),
        ]
    };
    for (measure, secret, field, said) in [
        ("sign", "", "secret", "needs its secret"),
        ("rsa", "geheim", "secret", "2048 bits"),
        ("sm4", "geheim", "secret", "32 hexadecimal digits"),
        ("none", "geheim", "measure", "what the secret is for"),
    ] {
        let page = lin.post("/gateways/new", &form(measure, secret)).await;
        assert!(page.status == 422 && said_at(&page, field).unwrap().contains(said), "{measure}: {}", page.body);
        assert!(
            page.shows(&format!("<option value=\"{measure}\" selected>")) && !page.shows("geheim"),
            "{measure}: {}",
            page.body
        );
    }
    assert_eq!(lin.post("/gateways/new", &form("none", "")).await.status, 200);
    let path = link(&lin.get("/gateways").await, "gateways");
    let stored = async || {
        let settings = json!(server.app.engine.gateway("hall").await.unwrap().settings.0);
        ["secret", "rsa_public_key", "sm4_key"].map(|name| settings[name].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(stored().await, ["", "", ""]);
    for (measure, secret, expected) in [
        ("sign", "geheim", ["geheim", "", ""]),
        ("sign", "", ["geheim", "", ""]),
        ("rsa", RSA, ["", RSA.trim(), ""]),
        ("rsa", "", ["", RSA.trim(), ""]),
        ("sm4", SM4, ["", "", SM4]),
        ("none", "", ["", "", ""]),
    ] {
        let answer = lin.post(&path, &form(measure, secret)).await;
        assert_eq!(answer.location(), "/gateways?done=saved", "{measure}: {}", answer.body);
        assert_eq!(stored().await, expected, "{measure}");
        let page = lin.get(&path).await;
        assert!(page.shows(&format!("<option value=\"{measure}\" selected>")), "{measure}: {}", page.body);
        assert!(
            ![secret, "geheim", RSA.trim(), SM4].iter().any(|secret| !secret.is_empty() && page.shows(secret)),
            "{}",
            page.body
        );
        assert_eq!(page.shows("Set, and not shown"), measure != "none", "{measure}");
    }
    lin.post(&path, &form("sm4", SM4)).await;
    let page = lin.post(&path, &form("rsa", "")).await;
    assert!(page.status == 422 && said_at(&page, "secret").is_some(), "the other key is none of it: {}", page.body);
    assert_eq!(stored().await, ["", "", SM4]);
}

async fn a_gateway_s_form_speaks_every_language(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "10.0.0.0/8").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for (language, words) in [
        ("zh", ["时区", "签名密钥", "安全措施"]),
        ("ja", ["タイムゾーン", "署名用シークレット", "安全対策"]),
        ("es", ["Zona horaria", "Secreto de firma", "Medida de seguridad"]),
        ("en", ["Time zone", "Signing secret", "Safety measure"]),
    ] {
        lin.headers = vec![("accept-language", language.to_owned())];
        let form = lin.get("/gateways/new?kind=smsforwarder").await;
        for word in words {
            assert!(form.shows(word), "{language}: {word}: {}", form.body);
        }
        let wrong = [
            ("kind", "smsforwarder"),
            ("name", "x"),
            ("url", "http://10.0.0.1"),
            ("measure", "sm4"),
            ("secret", "x"),
            ("sim", "1"),
        ];
        let page = lin.post("/gateways/new", &wrong).await;
        assert!(page.status == 422 && said_at(&page, "secret").unwrap().contains("32"), "{language}: {}", page.body);
    }
}

async fn a_heartbeat_is_added_pinged_changed_and_removed(home: Home) {
    let server = home.set("AUTOCALL_LISTEN", "127.0.0.1:8080").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = |otherwise: &[(&'static str, &'static str)]| {
        let form = [
            ("name", "nightly-backup"),
            ("period", "1"),
            ("period_unit", "d"),
            ("grace", "30"),
            ("grace_unit", "min"),
            ("phones", "18712345678\r\n18812345678"),
            ("labels", "team=db\r\nhost=db1"),
            ("priority", "critical"),
        ];
        let value = |name: &str| otherwise.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        form.map(|(name, default)| (name, value(name).unwrap_or(default)))
    };
    for (tag, language) in [("en", 0), ("zh", 1)] {
        lin.get(&format!("/heartbeats/new?lang={tag}")).await;
        for (field, value, said) in [
            ("name", "", ["1 to 60", "1 到 60"]),
            ("period", "", ["10 seconds to 31 days", "10 秒到 31 天"]),
            ("period", "32", ["10 seconds to 31 days", "10 秒到 31 天"]),
            ("grace", "1000000", ["at most 7 days", "不超过 7 天"]),
            ("phones", "mum", ["mum cannot be dialled", "mum"]),
            ("phones", "", ["at least one number", "至少填一个号码"]),
            ("labels", "db1", ["“db1”", "“db1”"]),
        ] {
            let page = lin.post("/heartbeats/new", &form(&[(field, value)])).await;
            assert_eq!(page.status, 422, "{field} {value}");
            assert!(said_at(&page, field).unwrap().contains(said[language]), "{field} {value}: {}", page.body);
        }
    }
    assert_eq!(server.items("/api/v1/heartbeats").await, json!([]));
    lin.get("/numbers?lang=en").await;
    let page = lin.post("/heartbeats/new", &form(&[])).await;
    let (_, rest) = page.body.split_once(&format!("{}/api/v1/heartbeat/", server.base)).unwrap();
    let token = rest.split('<').next().unwrap().to_owned();
    assert!(page.shows(&format!("curl -fsS -m 10 --retry 3 {}/api/v1/heartbeat/{token}", server.base)), "{}", page.body);
    assert_eq!(server.get(&format!("/api/v1/heartbeat/{token}")).await["heard"], true);
    let beat = server.items("/api/v1/heartbeats").await[0].clone();
    let wanted = json!({ "state": "alive", "period_seconds": 86400, "grace_seconds": 1800, "phones": [A, B],
        "labels": { "team": "db", "host": "db1" }, "priority": "critical" });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(beat[name], *value, "{name}");
    }
    let page = lin.get("/watch").await;
    assert!(page.shows("nightly-backup") && page.shows("alive") && !page.shows(&token), "{}", page.body);
    let path = link(&page, "heartbeats");
    let page = lin.get(&path).await;
    assert!(
        page.shows("<option value=\"d\" selected>") && !page.shows("name=\"name\"") && page.shows("host=db1\nteam=db"),
        "{}",
        page.body
    );
    assert_eq!(
        lin.post(&path, &form(&[("period", "90"), ("period_unit", "min"), ("name", "other")])).await.location(),
        "/watch?done=saved"
    );
    let beat = server.items("/api/v1/heartbeats").await[0].clone();
    assert_eq!((beat["name"].as_str(), beat["period_seconds"].as_i64()), (Some("nightly-backup"), Some(5400)));
    assert_eq!(lin.post(&path, &form(&[("phones", "")])).await.status, 422);
    let page = lin.post("/heartbeats/new", &form(&[])).await;
    assert!(page.status == 422 && said_at(&page, "name").unwrap().contains("nightly-backup"));
    assert_eq!(lin.post(&format!("{path}/remove"), &[]).await.location(), "/watch?done=removed");
    assert_eq!(server.items("/api/v1/heartbeats").await, json!([]));
    assert_eq!(lin.get(&path).await.status, 404);
}

async fn a_window_is_made_and_ended(home: Home) {
    let server = home.start().await;
    let mut ann = Visitor::logged_in(&server, "ann", Role::Responder).await;
    assert!(ann.get("/watch").await.shows("No maintenance"));
    let form = ann.get("/maintenance/new").await;
    assert!(
        form.shows("<span class=\"no-script\">in UTC</span>") && form.shows("name=\"from_instant\" data-of=\"from\""),
        "{}",
        form.body
    );
    let window =
        |from, to, team, labels| [("reason", "new switch"), ("from", from), ("to", to), ("team", team), ("labels", labels)];
    for (fields, field, said) in [
        (window("", "2026-11-20T05:00", "", ""), "team", "would silence everything"),
        (window("", "2026-11-20T02:00", "db", ""), "to", "ahead of now"),
        (window("", "", "db", ""), "to", "ahead of now"),
        (window("", "2027-11-20T02:00", "db", ""), "to", "31 days"),
        (window("noon", "2026-11-20T05:00", "db", ""), "from", "“noon”"),
        (window("", "2026-11-20T05:00", "", "=x"), "labels", "“=”"),
    ] {
        let page = ann.post("/maintenance/new", &fields).await;
        assert!(page.status == 422 && said_at(&page, field).unwrap_or_default().contains(said), "{fields:?}: {}", page.body);
        assert!(page.shows("value=\"new switch\""));
    }
    assert_eq!(ann.post("/maintenance/new", &[("to", "2026-11-20T05:00"), ("team", "db")]).await.status, 422);
    assert_eq!(server.items("/api/v1/maintenance").await, json!([]));

    // What the script writes counts, for each of the two.
    let mut fields = window("2026-11-20T12:00", "2026-11-20T13:00", "db", "host=db1").to_vec();
    fields.extend([("from_instant", "2026-11-20T04:00:00.000Z"), ("to_instant", "2026-11-20T05:00:00.000Z")]);
    assert_eq!(ann.post("/maintenance/new", &fields).await.location(), "/watch?done=saved");
    let stored = server.items("/api/v1/maintenance").await;
    assert_eq!(
        (stored[0]["starts_at"].as_str(), stored[0]["ends_at"].as_str()),
        (Some("2026-11-20T04:00:00Z"), Some("2026-11-20T05:00:00Z"))
    );
    ann.post("/maintenance/new", &window("", "2026-11-20T04:30", "", "rack=4")).await;
    let page = ann.get("/watch").await;
    for text in ["to come", ">open<", "team=db, host=db1", "rack=4", "End it now"] {
        assert!(page.shows(text), "{text}: {}", page.body);
    }
    for window in server.items("/api/v1/maintenance").await.as_array().unwrap() {
        let path = format!("/maintenance/{}/end", window["id"].as_str().unwrap());
        assert_eq!(ann.post(&path, &[]).await.location(), "/watch?done=window_ended");
        assert_eq!(ann.post(&path, &[]).await.status, 404, "it is over");
    }
    assert!(ann.get("/watch?done=window_ended").await.shows("The maintenance is over."));
    assert_eq!(server.items("/api/v1/maintenance").await, json!([]));
}

async fn hostile_names_stay_text(home: Home) {
    let server = home.start().await;
    equip(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let hostile = "\"><script>alert(1)</script>";
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": hostile, "members": [] })).await.0, 201);
    for language in ["en", "zh", "ja", "es"] {
        lin.get(&format!("/numbers?lang={language}")).await;
        let name = format!("{hostile}{language}");
        let form = line(&[("name", &name), ("team", hostile), ("text", hostile)]);
        let mut pages = vec![
            lin.post("/numbers/preview", &form).await,
            lin.post("/numbers/preview", &line(&[("carrier", hostile)])).await,
            lin.post("/numbers/new", &line(&[("carrier", hostile), ("gateway", hostile), ("number", hostile)])).await,
        ];
        assert_eq!(lin.post("/numbers/new", &form).await.location(), "/numbers?done=saved");
        pages.push(lin.post("/numbers/new", &form).await);
        pages.push(lin.get("/numbers").await);
        pages.push(lin.get(&line_page(&server).await).await);
        pages.push(lin.post(&format!("{}/forward", line_page(&server).await), &[("number", hostile)]).await);
        pages.push(
            lin.post(
                "/gateways/new",
                &[("kind", "http"), ("name", hostile), ("url", hostile), ("headers", hostile), ("body", hostile)],
            )
            .await,
        );
        pages.push(lin.post("/heartbeats/new", &[("name", &name), ("period", hostile), ("phones", hostile)]).await);
        let beat =
            [("name", name.as_str()), ("period", "1"), ("period_unit", "h"), ("grace", "0"), ("grace_unit", "s"), ("phones", A)];
        pages.push(lin.post("/heartbeats/new", &beat).await);
        pages.push(lin.post("/maintenance/new", &[("reason", hostile), ("team", hostile), ("from", hostile)]).await);
        lin.post("/maintenance/new", &[("reason", hostile), ("team", hostile), ("to", "2026-11-20T05:00")]).await;
        for path in ["/numbers", "/watch", "/gateways"] {
            pages.push(lin.get(path).await);
        }
        for page in pages {
            assert!(page.status == 200 || page.status == 422, "{}", page.body);
            assert!(!page.shows("<script>alert") && !page.shows(">\"><"), "{}", page.body);
        }
    }
}
