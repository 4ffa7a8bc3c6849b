//! The pages *Public numbers* and *Watch*, and where they were before.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::kept::Kept;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, on_both};

on_both!(
    a_handset_that_falls_silent_is_watched,
    empty_sections_teach,
    everything_is_shown_to_whom_it_concerns,
    old_addresses_lead_on,
    what_is_held_says_so,
    why_it_was_not_sent_is_said_in_the_reader_s_language,
);

async fn empty_sections_teach(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let page = lin.get("/numbers").await;
    assert!(page.shows("No public number yet") && page.shows("autocall line add"), "{}", page.body);
    assert!(page.shows(r#"<a href="/numbers" aria-current="page">Public numbers</a>"#));
    let page = lin.get("/watch").await;
    assert!(page.shows("autocall heartbeat add") && page.shows("autocall maintenance add"), "{}", page.body);
    assert!(page.shows(r#"<a href="/watch" aria-current="page">Watch</a>"#) && page.shows("None yet"), "{}", page.body);
}

async fn old_addresses_lead_on(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let of_one = "01a1fc4e-a630-77e4-8b85-425a1123605f/forward";
    for (old, new) in [
        ("/lines".to_owned(), "/numbers".to_owned()),
        ("/lines?done=saved".to_owned(), "/numbers?done=saved".to_owned()),
        ("/lines/new".to_owned(), "/numbers/new".to_owned()),
        (format!("/lines/{of_one}"), format!("/numbers/{of_one}")),
    ] {
        let page = lin.get(&old).await;
        assert_eq!((page.status, page.location()), (308, new.as_str()), "{old}");
        // The method stays, so that a form of an old page is not lost.
        let page = lin.post(&old, &[("name", "x")]).await;
        assert_eq!((page.status, page.location()), (308, new.as_str()), "{old}");
    }
    assert_eq!(lin.get("/linesman").await.status, 404);
}

async fn a_handset_that_falls_silent_is_watched(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk <i>", Profile::App).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    for _ in 0..4 {
        server.app_idle(&desk).await;
        server.pass(10).await;
        server.app.engine.watch_handsets().await.unwrap();
    }
    let page = eve.get("/watch").await;
    assert!(page.shows("1 of 1 ready") && !page.shows("is silent"), "{}", page.body);
    server.pass(300).await;
    server.app.engine.watch_handsets().await.unwrap();
    let page = eve.get("/watch").await;
    assert!(page.shows("Handset “desk &lt;i&gt;” is silent"), "{}", page.body);
    assert!(!page.shows("1 of 1 ready"), "{}", page.body);
}

async fn everything_is_shown_to_whom_it_concerns(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    let hostile = "<script>alert(1)</script>";
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    let (_, gateway) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    let line =
        json!({ "name": "ops <b>", "number": "13300001111", "carrier": "china-telecom", "android": 11, "gateway": "phone" });
    assert_eq!(server.post("/api/v1/lines", &line).await.0, 201);
    let beat = json!({ "name": "backup", "period_seconds": 60, "grace_seconds": 30, "phones": [A] });
    let (_, beat) = server.post("/api/v1/heartbeats", &beat).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let page = lin.get("/numbers").await;
    assert!(page.shows("never handed over"), "{}", page.body);
    assert!(lin.get("/watch").await.shows("never heard"));

    server.app.engine.bind_line("ops <b>", Some(("李娜", A)), &autocall::versions::Expected::default()).await.unwrap();
    server.get(beat["ping_path"].as_str().unwrap()).await;
    server.pass(100).await;
    server.post(gateway["inbound_path"].as_str().unwrap(), &json!({ "from": B, "text": hostile, "id": "1" })).await;
    let ends_at = server.now() + chrono::TimeDelta::hours(1);
    server.post("/api/v1/maintenance", &json!({ "reason": "new switch", "ends_at": ends_at, "team": "db" })).await;
    let page = lin.get("/numbers").await;
    for text in ["李娜", "+8618712345678", "waiting to be sent", "nobody we rang"] {
        assert!(page.shows(text), "{text}: {}", page.body);
    }
    let watched = lin.get("/watch").await;
    for text in ["missed", "every 1 min 00 s", "new switch", "team=db"] {
        assert!(watched.shows(text), "{text}: {}", watched.body);
    }
    assert!(!page.shows("<script>alert") && !page.shows("ops <b>"), "text is only text");
    let page = eve.get("/numbers").await;
    assert!(!page.shows(A) && !page.shows(B) && !page.shows("13300001111") && page.shows("李娜"), "{}", page.body);
    assert!(!page.shows("nobody we rang"), "what people wrote is for those who act on it");
    assert!(lin.get("/numbers?lang=zh").await.status < 400);
    assert!(lin.get("/numbers").await.shows("公共号码"));
}

async fn what_is_held_says_so(home: Home) {
    let server = home.start().await;
    let ends_at = server.now() + chrono::TimeDelta::hours(1);
    server.post("/api/v1/maintenance", &json!({ "reason": "new switch", "ends_at": ends_at, "team": "db" })).await;
    let id = server.raise(&[A], json!({ "labels": { "team": "db" } })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for path in ["/", &format!("/alarms/{id}")] {
        let page = lin.get(path).await;
        assert!(page.shows("nobody is rung before then"), "{path}: {}", page.body);
    }
    assert!(lin.get(&format!("/alarms/{id}")).await.shows("Held: maintenance"));
}

async fn why_it_was_not_sent_is_said_in_the_reader_s_language(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    let line = json!({ "name": "ops", "number": "13300001111", "carrier": "china-telecom", "android": 11, "gateway": "phone" });
    assert_eq!(server.post("/api/v1/lines", &line).await.0, 201);
    server.app.engine.hand_line_over("ops", A, Some("李娜")).await.unwrap();
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let native = |method: &str, path: &str, body: Value| {
        let request = http.request(method.parse().unwrap(), format!("{}{path}", server.base)).header("autocall-protocol", "1");
        async move { request.json(&body).send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let wait = std::time::Duration::from_secs(30);
    let command = autocall_tests::wait::eventually("the handset has a command", wait, async || {
        let outbox = native("GET", "/h/pixel/outbox", json!(null)).await;
        outbox["commands"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let result = json!({ "ok": false, "detail": "no credit for +34600111222" });
    native("POST", &format!("/h/pixel/outbox/{command}"), result).await;
    assert!(lin.get("/numbers?lang=zh").await.status < 400);
    let page = autocall_tests::wait::eventually("it is said", wait, async || {
        let page = lin.get("/numbers").await;
        page.shows("手机未能发出：").then_some(page)
    })
    .await;
    assert!(page.shows("+34600111222") && !page.shows("the handset could not send it"), "{}", page.body);
    assert!(!eve.get("/numbers").await.shows("+34600111222"), "what a phone says may hold a number");
}
