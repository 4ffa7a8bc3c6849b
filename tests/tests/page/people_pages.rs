//! *Me* and *a person*: duty, numbers, calendar, a call to oneself; and one line of time that shows each moment once.

use autocall::ids::PersonId;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use chrono::TimeDelta;
use serde_json::json;

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    a_feed_of_mine_is_mine_alone,
    i_make_no_feeds_without_end,
    a_viewer_meets_no_number,
    i_see_my_duty_and_my_numbers,
    my_language_is_mine_to_choose,
    what_happened_is_one_line_of_time,
    whoever_is_nobody_is_told_so,
    whoever_asks_is_rung,
);

async fn person(server: &Server, name: &str, number: &str) -> PersonId {
    let (status, made) = server.post("/api/v1/people", &json!({ "name": name, "numbers": [number], "language": "en" })).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().parse().unwrap()
}

async fn on_duty(server: &Server, people: &[&str]) {
    let layer = json!({ "name": "weekly", "people": people, "every": "1 week", "start": "2026-11-16T09:00" });
    let schedule = json!({ "name": "ops", "zone": "Asia/Shanghai", "layers": [layer] });
    assert_eq!(server.post("/api/v1/schedules", &schedule).await.0, 201);
}

async fn i_see_my_duty_and_my_numbers(home: Home) {
    let server = home.start().await;
    let (ann, bob) = (person(&server, "Ann", A).await, person(&server, "Bob", B).await);
    on_duty(&server, &["Ann", "Bob"]).await;
    let mut first = Visitor::logged_in_as(&server, "ann", Role::Viewer, Some(ann)).await;
    let mut second = Visitor::logged_in_as(&server, "bob", Role::Responder, Some(bob)).await;
    let pages = [first.get("/people/me").await, second.get("/people/me").await];
    for (page, number) in pages.iter().zip([A, B]) {
        assert!(page.shows(number) && page.shows("/people/me/told") && page.shows("/password"), "{}", page.body);
        assert!(page.shows("Shifts to come") && page.shows("href=\"/roster/"), "{}", page.body);
    }
    let not_now = pages.iter().filter(|page| page.shows("Not on duty now.")).count();
    assert_eq!(not_now, 1, "exactly one of the two has duty");
    assert!(pages[0].shows(r#"<a href="/people/me" aria-current="page">Me</a>"#), "{}", pages[0].body);
}

async fn whoever_is_nobody_is_told_so(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let page = lin.get("/people/me").await;
    assert!(page.status == 200 && page.shows("You are not on the list of people") && page.shows("/password"), "{}", page.body);
    for path in ["/people/me/ring", "/people/me/feed", "/people/me/language"] {
        assert_eq!(lin.post(path, &[]).await.status, 404, "{path}");
    }
}

async fn whoever_asks_is_rung(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let ann = person(&server, "Ann", A).await;
    let mut eve = Visitor::logged_in_as(&server, "eve", Role::Viewer, Some(ann)).await;
    eve.get("/people/me").await;
    assert_eq!(eve.post("/people/me/ring", &[]).await.location(), "/people/me?done=ringing_me");
    // Pressed twice in a minute it is one call.
    eve.post("/people/me/ring", &[]).await;
    let tests = server.items("/api/v1/alarms?kind=test").await;
    assert_eq!(tests.as_array().unwrap().len(), 1, "{tests}");
    assert_eq!(server.items("/api/v1/alarms").await, json!([]), "it is no alarm");
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, Some(A)).await;
    assert!(eve.get("/people/me?done=ringing_me").await.shows("Your phone rings"));
}

async fn a_feed_of_mine_is_mine_alone(home: Home) {
    let server = home.start().await;
    let (ann, bob) = (person(&server, "Ann", A).await, person(&server, "Bob", B).await);
    on_duty(&server, &["Ann", "Bob"]).await;
    let mut first = Visitor::logged_in_as(&server, "ann", Role::Viewer, Some(ann)).await;
    let mut second = Visitor::logged_in_as(&server, "bob", Role::Admin, Some(bob)).await;
    first.get("/people/me").await;
    let page = first.post("/people/me/feed", &[]).await;
    let (_, rest) = page.body.split_once("/calendar/").unwrap_or_else(|| panic!("{}", page.body));
    let path = format!("/calendar/{}", rest.split('<').next().unwrap());
    let read = async || server.http.get(format!("{}{path}", server.base)).send().await.unwrap().status().as_u16();
    assert_eq!(read().await, 200);
    let page = first.get("/people/me").await;
    assert!(!page.shows(&path), "it is shown once: {}", page.body);
    let feed = server.app.engine.store.read().await.unwrap().db().feeds().await.unwrap()[0].id;
    let revoke = format!("/people/me/feed/{feed}/revoke");
    second.get("/people/me").await;
    assert_eq!(second.post(&revoke, &[]).await.status, 404, "it is somebody else's");
    assert_eq!(read().await, 200);
    assert_eq!(first.post(&revoke, &[]).await.location(), "/people/me?done=feed");
    assert_eq!(read().await, 404);
}

async fn i_make_no_feeds_without_end(home: Home) {
    let server = home.start().await;
    let ann = person(&server, "Ann", A).await;
    let mut eve = Visitor::logged_in_as(&server, "eve", Role::Viewer, Some(ann)).await;
    eve.get("/people/me").await;
    for _ in 0..10 {
        assert_eq!(eve.post("/people/me/feed", &[]).await.status, 200);
    }
    let refused = eve.post("/people/me/feed", &[]).await;
    assert!(refused.status == 409 && refused.shows("at most 10 calendar addresses"), "{}", refused.body);
    let feeds = server.app.engine.store.read().await.unwrap().db().feeds_of(ann).await.unwrap();
    assert_eq!(feeds.len(), 10);
    let revoke = format!("/people/me/feed/{}/revoke", feeds[0].id);
    assert_eq!(eve.post(&revoke, &[]).await.location(), "/people/me?done=feed");
    assert_eq!(eve.post("/people/me/feed", &[]).await.status, 200);
}

async fn my_language_is_mine_to_choose(home: Home) {
    let server = home.start().await;
    let ann = person(&server, "Ann", A).await;
    let mut eve = Visitor::logged_in_as(&server, "eve", Role::Viewer, Some(ann)).await;
    let page = eve.get("/people/me").await;
    let (_, rest) = page.body.split_once("name=\"version\" value=\"").unwrap();
    let version = rest.split('"').next().unwrap().to_owned();
    assert_eq!(eve.post("/people/me/language", &[("language", "ja"), ("version", &version)]).await.status, 303);
    let known = async || server.app.engine.store.read().await.unwrap().db().person(ann).await.unwrap().unwrap();
    assert_eq!(known().await.language, "ja");
    assert_eq!(server.app.engine.store.read().await.unwrap().db().numbers_of(ann).await.unwrap(), [format!("+86{A}")]);
    assert_eq!(eve.post("/people/me/language", &[("language", "es"), ("version", &version)]).await.status, 409);
    assert_eq!(eve.post("/people/me/language", &[("language", "tlh"), ("version", "")]).await.status, 422);
    assert_eq!(known().await.language, "ja");
    // Whoever has no number just now is spoken to all the same.
    server.run_sql(vec!["DELETE FROM person_numbers".to_owned()]).await;
    assert_eq!(eve.post("/people/me/language", &[("language", "es"), ("version", "")]).await.status, 303);
    assert_eq!(known().await.language, "es");
}

async fn what_happened_is_one_line_of_time(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let ann = person(&server, "Ann", A).await;
    let mut rob = Visitor::logged_in(&server, "rob", Role::Responder).await;
    let page = rob.get(&format!("/people/{ann}/about")).await;
    assert!(page.status == 200 && page.shows("No call and no message yet."), "{}", page.body);
    // More calls than stand on a page, and one word on the page.
    let mut numbers = Vec::new();
    for place in 0..62 {
        let id = server.raise(&[A], json!({ "attempts": 1, "summary": format!("alarm {place}") })).await;
        let (mid, _) = server.dial(&desk).await;
        server.report(&desk, &mid, None).await;
        numbers.push(server.alarm(&id).await["alarm_number"].as_str().unwrap().to_owned());
        server.pass(200).await;
    }
    let open = server.raise(&[A], json!({ "summary": "taken at the desk" })).await;
    let (status, _) = server.post(&format!("/api/v1/alarms/{open}/acknowledge"), &json!({ "name": "Ann", "number": A })).await;
    assert_eq!(status, 200);
    let mut path = format!("/people/{ann}/about");
    let (mut seen, mut pages) = (String::new(), 0);
    loop {
        let page = rob.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        seen.push_str(&page.body);
        pages += 1;
        let Some((before, _)) = page.body.split_once("\" rel=\"next\"") else { break };
        let (_, next) = before.rsplit_once("href=\"").unwrap();
        next.clone_into(&mut path);
        assert!(pages < 5, "it ends");
    }
    assert_eq!(pages, 2);
    assert!(seen.contains("confirmed"), "what was said otherwise than in a call is there: {seen}");
    for number in numbers {
        assert_eq!(seen.matches(&format!("{number}</a>")).count(), 1, "{number} stands there once");
    }
    for garbled in ["from=x", "from=1.9999", "from=-5.0", "from=99999999999999999999.0"] {
        assert_eq!(rob.get(&format!("/people/{ann}/about?{garbled}")).await.status, 200, "{garbled}");
    }
    assert_eq!(rob.get("/people/01a1fc4e-a630-77e4-8b85-425a1123605f/about").await.status, 404);
}

async fn a_viewer_meets_no_number(home: Home) {
    let server = home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "203.0.113.0/24").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let ann = person(&server, "Ann", A).await;
    let settings = json!({ "kind": "http", "method": "POST", "url": "https://203.0.113.9/x", "body": "{text}" });
    let (_, gateway) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let received = json!({ "from": A, "text": format!("call me at {B}"), "id": "1" });
    server.post(gateway["inbound_path"].as_str().unwrap(), &received).await;
    server.pass(1).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let mut rob = Visitor::logged_in(&server, "rob", Role::Responder).await;
    let path = format!("/people/{ann}/about");
    let page = rob.get(&path).await;
    assert!(page.shows(A) && page.shows(B) && page.shows("Wrote a text message"), "{}", page.body);
    let page = eve.get(&path).await;
    assert!(page.shows("Wrote a text message") && page.shows("Ann"), "{}", page.body);
    assert!(!page.shows(A) && !page.shows(B), "{}", page.body);
    // Long ago, and far ahead: nothing.
    let past = (server.now() - TimeDelta::days(400)).timestamp_micros();
    assert!(eve.get(&format!("{path}?from={past}.0")).await.shows("No call and no message yet."));
}
