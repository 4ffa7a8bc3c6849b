//! *Shouts*: written and looked at before they go out, watched, taken back; who opted out.

use android_protocol::voice::{tone, wav};
use autocall::engine::Doer;
use autocall::keep::pairing;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    nothing_goes_out_before_somebody_has_seen_who_is_called,
    a_shout_is_watched_and_taken_back,
    a_sound_file_is_kept_and_sent,
    whoever_writes_hears_it_first,
    whoever_opted_out_may_be_called_again,
    what_is_wrong_is_said_at_its_field,
);

async fn native(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let request = server.http.request(method.parse().unwrap(), format!("{}{path}", server.base));
    request.header("autocall-protocol", "1").json(&body).send().await.unwrap().json().await.unwrap()
}

/// A handset that speaks, all of which shouts may take.
async fn speaker(server: &Server) -> String {
    let path = server.pair("trunk", Profile::Native).await;
    let set = async |work: &mut _| pairing::set_bulk(work, "trunk", true).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "machine", "record"], "backend": "sip", "channels": 1 });
    native(server, "POST", "/h/trunk/status", can).await;
    path
}

/// What follows a text on a page, up to the next quotation mark.
fn after<'p>(page: &'p str, before: &str) -> &'p str {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("{before} is not in {page}"));
    rest.split('"').next().unwrap()
}

async fn one_call(server: &Server, path: &str, told: Value) {
    let offer = native(server, "GET", path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap_or_else(|| panic!("{offer}"));
    let mut call = json!({ "number": offer["phone"][0] });
    call.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
    native(server, "POST", &format!("{path}?mid={mid}"), json!({ "calls": [call] })).await;
}

async fn nothing_goes_out_before_somebody_has_seen_who_is_called(home: Home) {
    let server = home.start().await;
    let path = speaker(&server).await;
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "network", "members": ["Ann"] })).await.0, 201);
    server.post("/api/v1/do-not-call", &json!({ "number": C, "reason": "asked for it" })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let empty = lin.get("/shouts").await;
    assert!(empty.shows("Nothing was sent yet.") && empty.shows("/shouts/new"), "{}", empty.body);
    let form = lin.get("/shouts/new").await;
    let team = after(&form.body, "name=\"team\" value=\"").to_owned();
    let numbers = format!("{B}\n{A}, {C}; nobody");
    let mut fields = vec![
        ("act", "send"),
        ("title", "Storm <b>"),
        ("list", "school"),
        ("way", "words"),
        ("words", "The school is closed."),
        ("team", team.as_str()),
        ("numbers", numbers.as_str()),
    ];
    let looked = lin.post("/shouts/new", &fields).await;
    assert_eq!(looked.status, 422, "sent without a look: {}", looked.body);
    for said in ["2 people would be called.", "Named twice, called once: 1", "can be called: nobody", "Must not be called: "] {
        assert!(looked.shows(said), "{said}: {}", looked.body);
    }
    assert!(looked.shows("Storm &#60;b&#62;") && !looked.shows("Storm <b>"), "{}", looked.body);
    let seen = after(&looked.body, "name=\"seen\" value=\"").to_owned();
    // Somebody else is on the list by now.
    let changed = numbers.clone() + "\n13900000009";
    let mut others = fields.clone();
    others.retain(|(name, _)| *name != "numbers");
    others.extend([("numbers", changed.as_str()), ("seen", seen.as_str())]);
    let again = lin.post("/shouts/new", &others).await;
    assert!(again.status == 422 && again.shows("The list is not what was checked"), "{}", again.body);
    assert!(lin.get("/shouts").await.shows("Nothing was sent yet."));
    let form = after(&looked.body, "name=\"form\" value=\"").to_owned();
    fields.extend([("seen", seen.as_str()), ("form", form.as_str())]);
    let sent = lin.post("/shouts/new", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let again = lin.post("/shouts/new", &fields).await;
    assert_eq!((again.status, again.location()), (303, sent.location()), "pressed twice, it is sent once: {}", again.body);
    for number in [A, B] {
        let offer = native(&server, "GET", &path, Value::Null).await;
        assert_eq!(offer["phone"], json!([number]), "{offer}");
        let told = json!({ "calls": [{ "number": number, "outcome": "answered", "talk_seconds": 9 }] });
        native(&server, "POST", &format!("{path}?mid={}", offer["mid"].as_str().unwrap()), told).await;
    }
    let list = lin.get("/shouts").await;
    assert!(list.shows("Storm &#60;b&#62;") && list.shows("lin · list school") && list.shows("finished"), "{}", list.body);
}

async fn a_shout_is_watched_and_taken_back(home: Home) {
    let server = home.start().await;
    let path = speaker(&server).await;
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let address = send(&mut lin, &[A, B, C, "13900000004", "13900000005"]).await;
    one_call(&server, &path, json!({ "outcome": "answered", "talk_seconds": 9, "machine": "human" })).await;
    one_call(&server, &path, json!({ "outcome": "answered", "talk_seconds": 9, "machine": "machine" })).await;
    one_call(&server, &path, json!({ "outcome": "busy" })).await;
    let rings = native(&server, "GET", &path, Value::Null).await;
    assert_eq!(rings["code"], 0, "{rings}");
    let page = lin.get(&address).await;
    for said in [
        "calls go out",
        "3 of 5 done",
        "heard",
        "a machine answered",
        "busy",
        "rings now",
        "waits",
        "Ann",
        "The school is closed.",
    ] {
        assert!(page.shows(said), "{said}: {}", page.body);
    }
    let listed = lin.get(&format!("{address}/calls?status=busy")).await;
    assert!(listed.shows(C) && !listed.shows(B), "{}", listed.body);
    // A viewer watches, without numbers.
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let watched = guest.get(&address).await;
    assert!(watched.shows("3 of 5 done") && !watched.shows(B) && !watched.shows("Take it back"), "{}", watched.body);
    assert_eq!(guest.get("/shouts/new").await.status, 403);
    assert_eq!(guest.post(&format!("{address}/cancel"), &[]).await.status, 403);
    let back = lin.post(&format!("{address}/cancel"), &[]).await;
    assert_eq!(back.status, 303, "{}", back.body);
    let page = lin.get(&address).await;
    assert!(page.shows("taken back") && page.shows("not called") && !page.shows("rings now"), "{}", page.body);
    for language in ["zh", "ja", "es"] {
        assert_eq!(lin.get(&format!("{address}?lang={language}")).await.status, 200);
    }
    assert_eq!(lin.get("/shouts/999").await.status, 404);
}

/// Sends words to these numbers; gives where that is watched.
async fn send(visitor: &mut Visitor, numbers: &[&str]) -> String {
    visitor.get("/shouts/new").await;
    let numbers = numbers.join("\n");
    let mut fields =
        vec![("list", "school"), ("way", "words"), ("words", "The school is closed."), ("numbers", numbers.as_str())];
    let looked = visitor.post("/shouts/new", &[&fields[..], &[("act", "check")]].concat()).await;
    assert_eq!(looked.status, 200, "{}", looked.body);
    let seen = after(&looked.body, "name=\"seen\" value=\"").to_owned();
    fields.extend([("act", "send"), ("seen", seen.as_str())]);
    let sent = visitor.post("/shouts/new", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    sent.location().split('?').next().unwrap().to_owned()
}

async fn a_sound_file_is_kept_and_sent(home: Home) {
    let server = home.start().await;
    let path = speaker(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    lin.get("/shouts/new").await;
    let file = wav::write_ulaw(&tone::sine(&[700.0], 2000, 9000.0));
    let fields = [("list", "school"), ("way", "file"), ("numbers", A), ("act", "check")];
    let none = lin.post_file("/shouts/new", &fields, ("file", "", b"")).await;
    assert!(none.status == 422 && none.shows("Choose a sound file."), "{}", none.body);
    let bad = lin.post_file("/shouts/new", &fields, ("file", "x.wav", b"no sound")).await;
    assert!(bad.status == 422 && bad.shows("This is no sound that is taken"), "{}", bad.body);
    let mut foreign = Visitor::logged_in(&server, "eve", Role::Responder).await;
    foreign.form_token = "00".to_owned();
    assert_eq!(foreign.post_file("/shouts/new", &fields, ("file", "x.wav", &file)).await.status, 403);
    let looked = lin.post_file("/shouts/new", &fields, ("file", "storm drill.wav", &file)).await;
    assert!(looked.status == 200 && looked.shows("value=\"storm-drill\" selected"), "{}", looked.body);
    let seen = after(&looked.body, "name=\"seen\" value=\"").to_owned();
    let fields = [("list", "school"), ("way", "clip"), ("clip", "storm-drill"), ("numbers", A), ("act", "send"), ("seen", &seen)];
    let sent = lin.post("/shouts/new", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let address = sent.location().split('?').next().unwrap().to_owned();
    let offer = native(&server, "GET", &path, Value::Null).await;
    assert!(offer["calls"][0]["script"]["menu"]["start"]["play"]["media"].is_string(), "{offer}");
    let page = lin.get(&address).await;
    assert!(page.shows("<audio class=\"message\" controls"), "{}", page.body);
    let led = lin.get(&format!("{address}/message")).await;
    let heard = server.http.get(format!("{}{}", server.base, led.location())).send().await.unwrap();
    assert_eq!((heard.status().as_u16(), heard.bytes().await.unwrap().len()), (200, file.len()));
    // The same message to others.
    let again = lin.get(&format!("/shouts/new?of={}", address.rsplit('/').next().unwrap())).await;
    assert!(again.shows("The message of shout"), "{}", again.body);
}

async fn whoever_writes_hears_it_first(home: Home) {
    let server = home.start().await;
    let path = speaker(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    lin.get("/shouts/new").await;
    let fields = [("list", "school"), ("way", "words"), ("words", "Hello."), ("numbers", A), ("act", "me")];
    let unknown = lin.post("/shouts/new", &fields).await;
    assert!(unknown.status == 422 && unknown.shows("No number of yours is known"), "{}", unknown.body);
    let sent = lin.post("/shouts/new", &[&fields[..], &[("caller", B)]].concat()).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let offer = native(&server, "GET", &path, Value::Null).await;
    assert_eq!(
        (&offer["phone"], &offer["calls"][0]["script"]["menu"]["start"]["say"]),
        (&json!([B]), &json!("Hello.")),
        "{offer}"
    );
    assert!(lin.get("/shouts").await.shows("list preview:lin"));
}

async fn whoever_opted_out_may_be_called_again(home: Home) {
    let server = home.start().await;
    let path = speaker(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(lin.get("/shouts/opted-out").await.shows("Nobody has opted out."));
    send(&mut lin, &[A]).await;
    one_call(&server, &path, json!({ "outcome": "answered", "action": "stop_calling", "keys": "5", "talk_seconds": 4 })).await;
    let listed = lin.get("/shouts/opted-out").await;
    assert!(listed.shows(A) && listed.shows("list school of these pages"), "{}", listed.body);
    let fields = [("list", "school"), ("way", "words"), ("words", "Hello."), ("numbers", A), ("act", "check")];
    let nobody = lin.post("/shouts/new", &fields).await;
    assert!(nobody.status == 422 && nobody.shows("Want no more of this list"), "{}", nobody.body);
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    assert!(!guest.get("/shouts/opted-out").await.shows(A), "a viewer sees no numbers");
    let key = after(&lin.get("/shouts/opted-out").await.body, "name=\"key\" value=\"").to_owned();
    let fields = [("key", key.as_str()), ("list", "school"), ("phone", A)];
    assert_eq!(lin.post("/shouts/opted-out/remove", &fields).await.status, 303);
    assert!(lin.get("/shouts/opted-out").await.shows("Nobody has opted out."));
    assert_eq!(lin.post("/shouts/opted-out/remove", &fields).await.status, 404);
}

async fn what_is_wrong_is_said_at_its_field(home: Home) {
    let server = home.set("AUTOCALL_SHOUTS_MOST_RECIPIENTS", "2").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    lin.get("/shouts/new").await;
    let long = "x".repeat(601);
    let many = [A, B, C].join("\n");
    let good = [("list", "school"), ("way", "words"), ("words", "Hello."), ("numbers", A), ("act", "check")];
    for (field, value, said) in [
        ("list", "", "A list needs a name"),
        ("title", long.as_str(), "At most 250 characters."),
        ("words", "", "Write what is said"),
        ("words", long.as_str(), "Write what is said"),
        ("way", "clip", "There is no such clip any more."),
        ("way", "phone", "That is no number that can be called."),
        ("numbers", "", "Nobody would be called"),
        ("numbers", many.as_str(), "At most 2 recipients"),
        ("at", "soon", "is no time within a year"),
        ("at", "9999-01-01T00:00", "is no time within a year"),
    ] {
        let mut fields: Vec<(&str, &str)> = good.into_iter().filter(|(name, _)| *name != field).collect();
        fields.push((field, value));
        let refused = lin.post("/shouts/new", &fields).await;
        assert!(refused.status == 422 && refused.shows(said), "{field}={value}: {} {}", refused.status, refused.body);
        assert!(refused.shows("aria-invalid"), "{field}: {}", refused.body);
    }
    assert!(lin.get("/shouts").await.shows("Nothing was sent yet."));
}
