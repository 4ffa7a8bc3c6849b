//! Calls that run, on the page of their alarm: they are hung up there, something is said in them, and what became of it is told.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    whoever_answers_alarms_hangs_up_and_says_something,
    the_timeline_tells_what_happened_when_it_did,
    why_nothing_can_be_done_is_said,
    calls_that_come_in_are_switched_on_here,
);

async fn native(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let request = server.http.request(method.parse().unwrap(), format!("{}{path}", server.base));
    request.header("autocall-protocol", "1").json(&body).send().await.unwrap().json().await.unwrap()
}

async fn whoever_answers_alarms_hangs_up_and_says_something(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live"], "backend": "sip", "channels": 1 });
    native(&server, "POST", "/h/trunk/status", can).await;
    let id = server.raise(&[A], json!({})).await;
    let page = format!("/alarms/{id}");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(!lin.get(&page).await.shows("Hang up"), "nothing runs");
    let offer = native(&server, "GET", &path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap();
    native(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), json!({ "number": A, "state": "connected" })).await;
    let shown = lin.get(&page).await;
    assert!(shown.shows("Hang up") && shown.shows("What to say in the call"), "{}", shown.body);
    let record = server.get("/api/v1/call-records").await["items"][0]["id"].as_i64().unwrap();
    let said = lin.post(&format!("{page}/calls/{record}/say"), &[("text", "the <fan> is burning")]).await;
    assert_eq!((said.status, said.location()), (303, format!("{page}?done=said").as_str()));
    assert_eq!(lin.post(&format!("{page}/calls/{record}/say"), &[("text", "  ")]).await.status, 422);
    let long = format!("{}.", "burning ".repeat(63));
    let refused = lin.post(&format!("{page}/calls/{record}/say"), &[("text", &long)]).await;
    assert_eq!(refused.status, 422);
    let why = "At most 500 characters are said in a call; these are 505.";
    assert!(refused.shows(why) && refused.shows(&long), "what was written is kept: {}", refused.body);
    let hung_up = lin.post(&format!("{page}/calls/{record}/hang-up"), &[]).await;
    assert_eq!(hung_up.location(), format!("{page}?done=hung_up"));
    let told = native(&server, "GET", "/h/trunk/live", Value::Null).await;
    let orders: Vec<_> = told["commands"].as_array().unwrap().iter().map(|own| (&own["do"], &own["text"])).collect();
    assert_eq!(orders, [(&json!("play"), &json!("the <fan> is burning")), (&json!("drop"), &json!(null))]);
    let after = lin.get(&page).await;
    assert!(after.shows("The handset has it") && after.shows("the &lt;fan&gt; is burning"), "{}", after.body);
    assert!(after.shows("Asked to hang up") && after.shows("lin"), "the timeline tells it: {}", after.body);
    assert!(!after.shows("was ended from here") && !after.shows("Said to"), "nothing has happened yet: {}", after.body);
    for (language, word) in [("zh", "挂断"), ("ja", "切断"), ("es", "Colgar")] {
        assert!(lin.get(&format!("{page}?lang={language}")).await.shows(word), "{language}");
    }
    // Of another alarm's call this page knows nothing.
    let other = server.raise(&[B], json!({})).await;
    let foreign = format!("/alarms/{other}/calls/{record}/hang-up");
    assert_eq!(lin.post(&foreign, &[]).await.status, 404);
    // A viewer sees neither buttons nor what was said.
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let seen = guest.get(&page).await;
    assert!(!seen.shows("Hang up") && !seen.shows("What to say"), "{}", seen.body);
    let refused = guest.post(&format!("{page}/calls/{record}/hang-up"), &[]).await;
    assert_eq!(refused.status, 403);
    native(&server, "POST", &format!("{path}?mid={mid}&resp={A}"), json!({ "calls": [{ "number": A, "outcome": "answered" }] }))
        .await;
    let over = lin.get(&page).await;
    assert!(!over.shows("What to say in the call"), "{}", over.body);
    assert_eq!(lin.post(&format!("{page}/calls/{record}/hang-up"), &[]).await.status, 409);
}

/// A call that runs on a handset that takes commands: its alarm, its mid and its record.
async fn running(server: &Server, can: &[&str]) -> (String, String, i64) {
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": can, "backend": "sip", "channels": 1 });
    native(server, "POST", "/h/trunk/status", can).await;
    let id = server.raise(&[A], json!({})).await;
    let offer = native(server, "GET", &path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap().to_owned();
    native(server, "POST", &format!("/h/trunk/progress?mid={mid}"), json!({ "number": A, "state": "connected" })).await;
    let record = server.get("/api/v1/call-records").await["items"][0]["id"].as_i64().unwrap();
    (id, mid, record)
}

const ALL: &[&str] = &["hangup", "dtmf", "tts", "live"];

async fn the_timeline_tells_what_happened_when_it_did(home: Home) {
    let server = home.start().await;
    let (id, mid, record) = running(&server, ALL).await;
    let page = format!("/alarms/{id}");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let commands = format!("/api/v1/call-records/{record}/commands");
    let orders = [
        json!({ "do": "play", "text": "the fan is burning" }),
        json!({ "do": "play", "text": "again" }),
        json!({ "do": "send_dtmf", "digits": "90210#" }),
        json!({ "do": "stop" }),
        json!({ "do": "stop" }),
    ];
    for order in &orders {
        assert_eq!(server.post(&commands, order).await.0, 202);
    }
    native(&server, "GET", "/h/trunk/live", Value::Null).await;
    assert_eq!(server.post(&commands, &json!({ "do": "drop" })).await.0, 202);
    let asked = lin.get(&page).await;
    for sentence in ["Asked to say to", "Asked to send keys into", "Asked to stop what is said", "Asked to hang up"] {
        assert!(asked.shows(sentence), "{sentence}: {}", asked.body);
    }
    assert!(!asked.shows("Said to") && !asked.shows("90210#"), "{}", asked.body);
    server.pass(3).await;
    let event = |seq: i64, word: &str, value: &str| json!({ "seq": seq, "ack": seq, "mid": mid, "event": word, "value": value });
    let events = [
        event(1, "played", ""),
        event(2, "error", "busy"),
        event(3, "error", "no_call"),
        event(4, "error", "media"),
        event(5, "error", "unknown"),
    ];
    native(&server, "POST", "/h/trunk/live", json!({ "events": events })).await;
    server.pass(30).await;
    let told = lin.get(&page).await;
    let timeline = &told.body[told.body.find("class=\"timeline\"").unwrap()..];
    let said = timeline.find("Said to").unwrap_or_else(|| panic!("{timeline}"));
    assert!(timeline.rfind("Asked to").unwrap() < said, "what was asked for stands before what happened: {timeline}");
    for sentence in ["Not said to", "No keys were sent into", "was not stopped", "was not hung up"] {
        assert!(timeline[said..].contains(sentence), "{sentence}: {timeline}");
    }
    for (language, words) in [
        (
            "en",
            ["a message is being recorded", "nobody has picked up", "the sound cannot be had", "does not know this", "Too late"],
        ),
        ("zh", ["正在录制留言", "尚未接通", "无法取得声音", "不认识此指令", "太迟"]),
        (
            "ja",
            [
                "伝言を録音中です",
                "まだ電話に出ていません",
                "音声を取得できません",
                "この指示を知りません",
                "間に合いませんでした",
            ],
        ),
        (
            "es",
            [
                "se está grabando un mensaje",
                "nadie ha contestado",
                "no se puede obtener el sonido",
                "no conoce esta orden",
                "Demasiado tarde",
            ],
        ),
    ] {
        let page = lin.get(&format!("{page}?lang={language}")).await;
        for word in words {
            assert!(page.shows(word), "{language} {word}: {}", page.body);
        }
        for raw in ["no_call", "too_late", ": busy", ": media", "：busy"] {
            assert!(!page.shows(raw), "{language} {raw}");
        }
    }
    // Whoever only looks sees the same.
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    assert!(guest.get(&page).await.shows("Said to"));
}

async fn why_nothing_can_be_done_is_said(home: Home) {
    let server = home.start().await;
    let (id, _, record) = running(&server, &["hangup", "dtmf", "live"]).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let say = format!("/alarms/{id}/calls/{record}/say");
    lin.get(&format!("/alarms/{id}")).await;
    let refused = lin.post(&say, &[("text", "hello")]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.shows("Its handset cannot do this while a call runs."), "{}", refused.body);
    for _ in 0..100 {
        assert_eq!(server.post(&format!("/api/v1/call-records/{record}/commands"), &json!({ "do": "stop" })).await.0, 202);
    }
    let refused = lin.post(&format!("/alarms/{id}/calls/{record}/hang-up"), &[]).await;
    assert!(refused.status == 409 && refused.shows("Too much has been asked in this call already."), "{}", refused.body);
    let path = "/h/trunk/alert/phone";
    let offer = native(&server, "GET", path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap();
    native(&server, "POST", &format!("{path}?mid={mid}&resp={A}"), json!({ "calls": [{ "number": A, "outcome": "answered" }] }))
        .await;
    let refused = lin.post(&format!("/alarms/{id}/calls/{record}/hang-up"), &[]).await;
    assert!(refused.status == 409 && refused.shows("It is over."), "{}", refused.body);
}

async fn calls_that_come_in_are_switched_on_here(home: Home) {
    let server = home.start().await;
    server.pair("trunk", Profile::Native).await;
    server.pair("pixel", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live", "inbound"], "backend": "sip", "channels": 2 });
    native(&server, "POST", "/h/trunk/status", can).await;
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    let off = ada.get("/handsets").await;
    assert_eq!(off.body.matches("Take calls that come in").count(), 1, "only one tells of calls: {}", off.body);
    let switched = ada.post("/handsets/inbound", &[("handset", "trunk"), ("inbound", "on")]).await;
    assert_eq!((switched.status, switched.location()), (303, "/handsets?done=inbound"));
    let on = ada.get("/handsets").await;
    assert!(on.shows("Take no calls") && on.shows("taken, from people who were rung lately"), "{}", on.body);
    let inbound = async |name: &str| {
        let handset = server.app.engine.store.read().await.unwrap().db().handset_by_name(name).await.unwrap();
        handset.unwrap().inbound
    };
    assert_eq!((inbound("trunk").await, inbound("pixel").await), (true, false));
    assert_eq!(ada.post("/handsets/inbound", &[("handset", "trunk"), ("inbound", "maybe")]).await.status, 422);
    assert_eq!(ada.post("/handsets/inbound", &[("handset", "nobody"), ("inbound", "on")]).await.status, 404);
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    lin.get("/handsets").await;
    assert_eq!(lin.post("/handsets/inbound", &[("handset", "trunk"), ("inbound", "off")]).await.status, 403);
    assert!(inbound("trunk").await);
    assert_eq!(ada.post("/handsets/inbound", &[("handset", "trunk"), ("inbound", "off")]).await.status, 303);
    assert!(!inbound("trunk").await);
}
