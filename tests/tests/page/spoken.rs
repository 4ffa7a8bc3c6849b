//! What the pages tell of calls in which the handset speaks: who pressed a key, who did not, what the handset took them for, and how many
//! calls it holds at once.

use std::time::Duration;

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    a_mailbox_is_told_from_a_key,
    a_policy_says_that_it_wants_a_key,
    a_handset_that_speaks_must_hear_a_key,
    a_handset_is_shown_as_it_says_that_it_is,
    the_page_says_how_many_channels_and_which_rest,
);

pub async fn native(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("{}{path}", server.base)).header("autocall-protocol", "1");
    request.json(&body).send().await.unwrap().json().await.unwrap()
}

/// Takes the next list and reports that the number was answered, with what else is known of the call.
async fn answered(server: &Server, path: &str, number: &str, more: Value) {
    let offer = native(server, "GET", path, Value::Null).await;
    assert_eq!(offer["phone"], json!([number]), "{offer}");
    let mut call = json!({ "number": number, "outcome": "answered" });
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let report = format!("{path}?mid={}&resp={number}", offer["mid"].as_str().unwrap());
    assert_eq!(native(server, "POST", &report, json!({ "calls": [call] })).await, json!({ "code": 0 }));
}

async fn a_mailbox_is_told_from_a_key(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "machine"], "backend": "sip", "channels": 1 });
    assert_eq!(native(&server, "POST", "/h/trunk/status", can).await, json!({ "code": 0 }));
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1, "confirm": "key" })).await;
    answered(&server, &path, A, json!({ "confirmed": null, "action": "none", "machine": "machine" })).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("A machine seems to have answered") && page.shows("a machine answered"), "{}", page.body);
    answered(&server, &path, B, json!({ "confirmed": true, "keys": "1", "action": "accept" })).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("took it with a key"), "{}", page.body);
}

async fn a_handset_that_speaks_must_hear_a_key(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "machine"], "backend": "sip", "channels": 1 });
    native(&server, "POST", "/h/trunk/status", can).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    lin.post("/handsets/test", &[("handset", "trunk"), ("number", A)]).await;
    answered(&server, &path, A, json!({ "confirmed": null, "action": "none", "machine": "human" })).await;
    let page = lin.get("/handsets").await;
    assert!(page.shows("It heard a key") && page.shows("Did you press 1 when it asked?"), "{}", page.body);
    assert!(!page.shows("Test call passed"), "a line that connects proves no key");
    lin.post("/handsets/test", &[("handset", "trunk"), ("number", A)]).await;
    answered(&server, &path, A, json!({ "confirmed": true, "keys": "1", "action": "accept" })).await;
    let page = lin.get("/handsets").await;
    assert!(page.shows("Test call passed"), "{}", page.body);
    assert_eq!(page.body.matches("<li class=\"done\">").count(), 5);
}

async fn a_handset_is_shown_as_it_says_that_it_is(home: Home) {
    let server = home.start().await;
    server.pair("modem", Profile::Native).await;
    let status = json!({ "network": "China <Mobile>", "signal_dbm": -87, "battery": 83, "charging": true, "modem": "stuck",
        "credit": "x".repeat(500), "termux_api": "silent" });
    native(&server, "POST", "/h/modem/status", status).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let page = lin.get("/handsets").await;
    for told in ["China &#60;Mobile&#62; · -87\u{a0}dBm", "83 %, charging", "does not answer", "put to sleep by Android"] {
        assert!(page.shows(told), "{told}: {}", page.body);
    }
    assert!(page.shows(&"x".repeat(80)) && !page.shows(&"x".repeat(81)));
    server.pass(901).await;
    assert!(!lin.get("/handsets").await.shows("83 %, charging"), "nobody knows how it is by now");
}

async fn a_policy_says_that_it_wants_a_key(home: Home) {
    let server = home.start().await;
    let policy = json!({ "steps": [{ "ring": [{ "number": A }] }], "confirm": "key" });
    assert_eq!(server.put("/api/v1/policies/ops", &policy).await.0, 201);
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let page = lin.get("/policies").await;
    assert!(page.shows("only a key is an answer"), "{}", page.body);
}

async fn the_page_says_how_many_channels_and_which_rest(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let mut ann = Visitor::logged_in(&server, "ann", Role::Admin).await;
    assert!(!ann.get("/handsets").await.shows("Calls at once</dt>"), "one line needs no word");
    let offers = json!({ "channels": 3 });
    assert_eq!(native(&server, "POST", "/h/trunk/status", offers).await, json!({ "code": 0 }));
    // What a page shows is read again now and then.
    let mut shows = async |what: &str| {
        eventually(what, Duration::from_secs(30), async || ann.get("/handsets").await.shows(what).then_some(())).await;
    };
    shows("<dd>0 of 1; it could hold 3</dd>").await;
    for wrong in ["0", "65", "many"] {
        let page = ann.post("/handsets/channels", &[("handset", "trunk"), ("channels", wrong)]).await;
        assert!(page.status == 422 && page.shows("A number from 1 to 64."), "{wrong}: {page:?}");
    }
    let page = ann.post("/handsets/channels", &[("handset", "trunk"), ("channels", "3")]).await;
    assert_eq!((page.status, page.location()), (303, "/handsets?done=channels"));
    server.raise(&[A], json!({ "attempts": 1 })).await;
    let on = async |channel: i32| native(&server, "GET", &format!("{path}?channel={channel}"), Value::Null).await;
    let not_rung = async |offer: Value, outcome: &str| {
        let report = format!("{path}?mid={}", offer["mid"].as_str().unwrap());
        let call = json!({ "number": offer["phone"][0], "outcome": outcome });
        assert_eq!(native(&server, "POST", &report, json!({ "calls": [call] })).await, json!({ "code": 0 }));
    };
    let offer = on(1).await;
    let mut shows = async |what: &str| {
        eventually(what, Duration::from_secs(30), async || ann.get("/handsets").await.shows(what).then_some(())).await;
    };
    shows("<dd>1 of 3</dd>").await;
    not_rung(offer, "failed").await;
    shows("Channel 2 rests until").await;
    shows("its calls did not leave it").await;
    not_rung(on(2).await, "not_dialled").await;
    shows("somebody else was using it").await;
}
