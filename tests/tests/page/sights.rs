//! What is shown, and to whom.

use autocall::engine::Doer;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::wait::eventually;
use serde_json::json;

use crate::client::Visitor;
use crate::harness::{A, B, C, Hold, Home, on_both};

on_both!(
    the_ladder_shows_who_is_rung,
    a_test_call_stands_with_its_handset_alone,
    finished_alarms_say_who_answered,
    a_viewer_sees_no_whole_number,
    hostile_text_is_only_text,
    empty_pages_teach,
    what_is_wrong_is_said,
    that_nothing_can_be_stored_is_said,
    notices_that_wait_are_said,
    every_language_speaks,
    the_timeline_tells_every_call,
    a_phone_that_never_reported_is_not_called_nobody,
    older_alarms_come_by_pages,
    looking_costs_the_same_however_much_there_is,
    what_a_sender_was_refused_stands_on_its_line,
);

const SOON: std::time::Duration = std::time::Duration::from_secs(40);

pub async fn name_people(server: &crate::harness::Server) {
    let csv = format!("name,numbers\n张伟,{A}\nLi Na,{B}\n");
    let people = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
}

async fn the_ladder_shows_who_is_rung(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    server.raise(&[A, B, C], json!({ "summary": "disk full on db1", "priority": "critical" })).await;
    let waiting = lin.get("/").await;
    assert!(waiting.shows("disk full on db1") && waiting.shows("Waiting for a handset"), "{}", waiting.body);
    server.app_dial(&desk).await;
    let ringing = lin.get("/").await;
    assert!(ringing.shows("<title>1 ringing · AutoCall</title>"));
    let (before, after) = ringing.body.split_once("<li class=\"now\">").unwrap();
    assert!(after.starts_with("<b>张伟</b>") && after.contains("ringing") && after.contains("“desk”"), "{after}");
    assert!(!before.contains("<b>Li Na</b>"), "the order is that of the alarm");
    assert!(after.contains("<b>Li Na</b>") && after.contains("next"));
    assert!(after.contains("+8618912345678"), "whoever has no name is shown by number");
}

async fn a_test_call_stands_with_its_handset_alone(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    server.raise(&[B], json!({ "summary": "disk full on db1" })).await;
    lin.post("/handsets/test", &[("handset", "desk"), ("number", A)]).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let now = lin.get("/").await;
    assert!(now.shows("disk full on db1") && now.shows("<title>1 waiting"), "{}", now.body);
    assert!(!now.shows("Test call through"), "{}", now.body);
    server.report(&desk, &mid, Some(A)).await;
    for path in ["/", "/alarms"] {
        let page = lin.get(path).await;
        assert!(page.shows("disk full on db1") && !page.shows("Test call through"), "{path}: {}", page.body);
    }
    let handsets = lin.get("/handsets").await;
    let (_, link) = handsets.body.split_once("<b><a href=\"/alarms/").unwrap();
    let (id, rest) = link.split_once('"').unwrap();
    assert!(rest.starts_with(">Test call passed"), "{}", handsets.body);
    let own = lin.get(&format!("/alarms/{id}")).await;
    assert!(own.status == 200 && own.shows("Test call through desk") && own.shows("answered"), "{}", own.body);
}

async fn finished_alarms_say_who_answered(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    server.raise(&[A], json!({ "summary": "first", "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(125).await;
    server.report(&desk, &mid, Some(A)).await;
    server.raise(&[B, C], json!({ "summary": "second", "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let page = lin.get("/").await;
    assert!(page.shows("<b>张伟</b>") && page.shows("answered after 2 min 05 s") && page.shows("try 1"), "{}", page.body);
    assert!(page.shows("answered, not confirmed"));
    assert!(page.shows("<b>nobody</b>") && page.shows("calls: 2, people: 2") && page.shows("no answer"));
    assert!(page.shows("Nobody heard: second"));
    assert!(page.shows("1 of 2 answered"));
}

async fn a_viewer_sees_no_whole_number(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server.raise(&[C, A], json!({ "attempts": 1, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    // Who picked up is known by number only.
    server.report(&desk, &mid, Some(C)).await;
    server.raise(&[A, C], json!({})).await;
    server.pass(80).await;
    server.app_dial(&desk).await;
    for path in ["/", "/alarms", &format!("/alarms/{id}"), "/people", "/handsets"] {
        let page = eve.get(path).await;
        for number in [A, B, C] {
            assert!(!page.shows(number), "{path} shows {number} to a viewer:\n{}", page.body);
        }
    }
    assert!(eve.get("/").await.shows("+861********78"));
    assert!(lin.get("/").await.shows(C));
    assert!(lin.get("/people").await.shows(A));
}

/// What others may send: markup, ends of attributes in both quotes, templates, another direction of writing, and a very long word.
pub const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script><x-bad>",
    "\"><x-bad data-bad=\"1",
    "'><x-bad data-bad='1",
    "{{ 7*7 }}{% x %}${7*7}&lt;x-bad&gt;",
    "\u{202e}drawkcab \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{1f525}\u{1f468}\u{200d}\u{1f692}",
    "aVeryLongWordaVeryLongWordaVeryLongWordaVeryLongWord",
];

/// A page with text of others in it holds only markup of ours.
pub fn assert_harmless(path: &str, page: &crate::client::Page) {
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    assert_eq!(page.body.matches("<script").count(), 1, "{path}: only our own");
    for raw in ["<x-bad", "data-bad=\"", "data-bad='", "\"><x", "'><x"] {
        assert!(!page.shows(raw), "{path} holds {raw}:\n{}", page.body);
    }
}

async fn hostile_text_is_only_text(home: Home) {
    let server = home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let store = &server.app.engine.store;
    let phones = [A, B, C, "13612345678", "13712345678", "13812345678"];
    for (hostile, phone) in HOSTILE.into_iter().zip(phones) {
        let form =
            autocall::keep::people::PersonForm { name: hostile.to_owned(), numbers: phone.to_owned(), language: String::new() };
        store
            .carry_out(server.now(), Doer::Server, async |work| {
                autocall::keep::people::add(work, &form, server.app.engine.region()).await
            })
            .await
            .unwrap();
    }
    let mut lin = Visitor::logged_in(&server, HOSTILE[0], Role::Admin).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let mut paths: Vec<String> = ["/", "/alarms", "/handsets", "/people"].map(str::to_owned).to_vec();
    for (number, hostile) in HOSTILE.into_iter().enumerate() {
        let name: String = hostile.chars().take(59).collect();
        server.pair_as(&name, Profile::App, "CN", autocall::store::watch::handsets::IdleForm::Plain).await;
        let knock = http.get(format!("{}/alert/phone", server.base)).header("x-forwarded-for", format!("10.9.9.{number}"));
        let text = reqwest::header::HeaderValue::from_bytes(hostile.as_bytes()).unwrap();
        knock.header("model", text.clone()).header("user-agent", text).send().await.unwrap();
        let more = json!({ "summary": hostile, "details": hostile, "source": hostile, "labels": { "bad": hostile } });
        for over in [false, true] {
            let id = server.raise(&phones, more.clone()).await;
            if over {
                let (status, _) =
                    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": hostile, "note": hostile })).await;
                assert_eq!(status, 200);
            }
            paths.push(format!("/alarms/{id}"));
        }
        let id = server.raise(&[A], more).await;
        assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({ "by": hostile })).await.0, 200);
        paths.push(format!("/alarms/{id}"));
    }
    for (person, _) in store.read().await.unwrap().db().people().await.unwrap() {
        paths.push(format!("/people/{}", person.id));
    }
    for path in &paths {
        assert_harmless(path, &lin.get(path).await);
    }
    assert!(lin.get("/handsets").await.shows("Phones that knock"));
    for hostile in HOSTILE {
        // What was typed comes back with the sentence that says what is wrong.
        let page = lin.post("/people/add", &[("name", hostile), ("numbers", hostile), ("language", hostile)]).await;
        assert_eq!(page.status, 422);
        assert_harmless("/people/add", &crate::client::Page { status: 200, ..page });
        let next: String = form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
        for path in [format!("/people?x={next}"), format!("/alarms?below={next}&{next}"), format!("/?done={next}&lang={next}")] {
            assert_harmless(&path, &lin.get(&path).await);
        }
    }
    let (status, alarm) = server.post("/api/v1/alarms", &json!({ "summary": "a\u{0}b\u{1b}[31m", "phones": [A] })).await;
    assert_eq!((status, alarm["summary"].as_str()), (201, Some("ab")), "what cannot be shown is taken out: {alarm}");
}

async fn empty_pages_teach(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let now = lin.get("/").await;
    assert!(now.shows("First steps") && now.shows("curl http://127.0.0.1:") && now.shows("Without a phone"), "{}", now.body);
    assert!(lin.get("/handsets").await.shows("No handset yet"));
    assert!(lin.get("/people").await.shows("autocall people import"));
    assert!(lin.get("/alarms").await.shows("There is no alarm yet"));
}

async fn what_is_wrong_is_said(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for _ in 0..4 {
        server.app_idle(&desk).await;
        server.pass(10).await;
        server.app.engine.watch_handsets().await.unwrap();
    }
    assert!(lin.get("/").await.shows("1 of 1 ready"));
    server.pass(300).await;
    server.app.engine.watch_handsets().await.unwrap();
    let page = lin.get("/").await;
    assert!(page.shows("Handset “desk” is silent") && page.shows("/handsets#check"), "{}", page.body);
    server.raise(&[A], json!({})).await;
    assert!(lin.get("/").await.shows("No handset can ring anybody"));
    server.app_dial(&desk).await;
    assert!(!lin.get("/").await.shows("is silent"));
}

async fn every_language_speaks(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.headers = vec![("accept-language", "zh-CN,zh;q=0.9,en;q=0.8".to_owned())];
    let page = lin.get("/").await;
    assert!(page.shows("起步清单") && page.shows("lang=\"zh\""), "{}", page.body);
    for path in ["/handsets", "/people", "/alarms", "/nowhere"] {
        let page = lin.get(path).await;
        assert!(page.shows("当前") || page.shows("这里什么也没有"), "{path}");
    }
    assert!(lin.get("/?lang=en").await.shows("First steps"));
    assert!(lin.get("/").await.shows("First steps"), "the choice is kept, whatever the browser asks for");
    assert!(lin.get("/?lang=xx").await.shows("First steps"));
    for (tag, quiet) in [("ja", "はじめの手順"), ("es", "Primeros pasos"), ("zh", "起步清单"), ("en", "First steps")] {
        let page = lin.get(&format!("/?lang={tag}")).await;
        assert!(page.shows(quiet) && page.shows(&format!("<html lang=\"{tag}\"")), "{tag}: {}", page.body);
        let others = page.body.matches("hreflang=\"").count();
        assert_eq!(others, 3, "the others are one click away");
    }
}

async fn the_timeline_tells_every_call(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server
        .raise(&[A], json!({ "source": "zabbix", "attempts": 2, "min_interval_seconds": 0, "labels": { "host": "db1" } }))
        .await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    lin.post(&format!("/alarms/{id}/acknowledge"), &[("note", "on my way")]).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    for sentence in [
        "Raised by zabbix",
        "“desk” rings <b>张伟</b> (try 1)",
        "<b>张伟</b>: no answer",
        "“desk” rings <b>张伟</b> (try 2)",
        "<b>张伟</b> picked up",
        "Ringing ended: somebody was reached",
        "<b>lin</b> took it <small>on the page, as “lin”</small><q>on my way</q>",
        "<dt>host</dt><dd>db1</dd>",
    ] {
        assert!(page.shows(sentence), "{sentence}\n{}", page.body);
    }
    assert_eq!(lin.get("/alarms/01a1fc4e-a630-77e4-8b85-425a1123605f").await.status, 404);
}

/// An expired call proves nothing: perhaps nobody was rung, and perhaps somebody picked up.
async fn a_phone_that_never_reported_is_not_called_nobody(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server.raise(&[A], json!({ "summary": "disk full on db1", "attempts": 1 })).await;
    server.app_dial(&desk).await;
    server.pass(180).await;
    server.pass(5).await;
    assert_eq!(server.alarm(&id).await["reason"], "no_report");
    for (language, why, ended) in [
        ("en", "a phone never reported its call: perhaps nobody was rung", "Ringing ended: a phone never reported its call"),
        ("zh", "有手机没有报告呼叫结果：也许没有呼叫任何人", "呼叫结束：有手机没有报告呼叫结果"),
        (
            "ja",
            "発信結果を報告していない電話機があります：誰も呼び出されていない可能性があります",
            "呼び出し終了：発信結果を報告していない電話機があります",
        ),
        (
            "es",
            "un teléfono nunca informó de su llamada: quizá no se llamó a nadie",
            "Se dejó de llamar: un teléfono nunca informó de su llamada",
        ),
    ] {
        let alarm = lin.get(&format!("/alarms/{id}?lang={language}")).await;
        assert!(alarm.shows(why) && alarm.shows(ended), "{language}: {}", alarm.body);
        for path in ["/", "/alarms"] {
            let page = lin.get(&format!("{path}?lang={language}")).await;
            assert!(page.shows(why), "{path} in {language}: {}", page.body);
        }
    }
}

async fn older_alarms_come_by_pages(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for number in 0..53 {
        let id = server.raise(&[A], json!({ "summary": format!("alarm-{number}-") })).await;
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    }
    let page = lin.get("/alarms").await;
    assert!(page.shows("alarm-52-") && page.shows("alarm-3-") && !page.shows("alarm-2-"));
    let (_, rest) = page.body.split_once("href=\"/alarms?below=").unwrap();
    let older = lin.get(&format!("/alarms?below={}", rest.split('"').next().unwrap())).await;
    assert!(older.shows("alarm-2-") && older.shows("alarm-0-") && !older.shows("alarm-3-"));
}

async fn looking_costs_the_same_however_much_there_is(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let counters = server.app.engine.store.counters();
    let mut cost = Vec::new();
    for alarms in [0, 30] {
        for number in 0..alarms {
            server.raise(&[A, B], json!({ "summary": format!("alarm {number}") })).await;
        }
        // The server's own periodic work goes on beside, so the cheapest of some looks counts.
        let mut cheapest = u64::MAX;
        for _ in 0..5 {
            let before = counters.connections();
            assert_eq!(lin.get("/").await.status, 200);
            cheapest = cheapest.min(counters.connections() - before);
        }
        cost.push(cheapest);
    }
    assert_eq!(cost, [2, 2], "one for the session, one for the page");
}

/// Whoever looks at the page while every alarm is refused must see it, also where all that is stored can still be read.
async fn that_nothing_can_be_stored_is_said(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    assert!(!lin.get("/").await.shows("Nothing can be stored"));
    let hold = Hold::on(&server.home).await;
    server.home.clock.advance(chrono::TimeDelta::seconds(31));
    let page = eventually("the page to say it", SOON, async || {
        Some(lin.get("/").await).filter(|page| page.shows("Nothing can be stored"))
    })
    .await;
    assert!(page.shows("refuses every change"), "{}", page.body);
    hold.end().await;
    eventually("the page to take it back", SOON, async || (!lin.get("/").await.shows("Nothing can be stored")).then_some(()))
        .await;
}

async fn notices_that_wait_are_said(home: Home) {
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let new = autocall::keep::webhooks::NewWebhook {
        name: "ops <room>".to_owned(),
        // Nobody listens there.
        url: format!("http://127.0.0.1:{}/", autocall_tests::redis::reserve_port()),
        shape: autocall::kinds::notices::WebhookShape::Json,
        secret: None,
        settings: autocall::kinds::notices::WebhookSettings::default(),
        kinds: Vec::new(),
        language: "en".to_owned(),
    };
    let guard = autocall::kinds::guard::GuardedResolver::new(&server.app.engine.config.notify.allow_networks);
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::webhooks::add(work, &new, &guard).await)
        .await
        .unwrap();
    server.raise(&[A], json!({ "summary": "disk full" })).await;
    assert!(!lin.get("/").await.shows("Notices to"));
    server.pass(301).await;
    let page =
        eventually("the page to say it", SOON, async || Some(lin.get("/").await).filter(|page| page.shows("Notices to"))).await;
    assert!(page.shows("Notices to “ops &lt;room&gt;” wait") && page.shows("1 not told yet"), "{}", page.body);
}

async fn what_a_sender_was_refused_stands_on_its_line(home: Home) {
    let server = home.start().await;
    let region = server.home.config().default_region;
    let key = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::keys::add(work, "zabbix <b>", &[], region).await)
        .await
        .unwrap();
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    for _ in 0..3 {
        let refused = http.post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&key).json(&json!({ "summary": "" }));
        assert_eq!(refused.send().await.unwrap().status(), 422);
    }
    server.pass(1).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/senders").await;
    assert_eq!(page.status, 200);
    assert!(page.shows("zabbix &#60;b&#62;") && page.shows("invalid_field: refused 3 times"), "{}", page.body);
    assert_eq!(Visitor::logged_in(&server, "vic", Role::Viewer).await.get("/senders").await.status, 403);
}
