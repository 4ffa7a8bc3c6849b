//! Handsets that speak: what they are told to say, and what a key of the callee does before the call is over.

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native::{poll, report, send};

on_both!(
    a_key_names_whom_it_is_of,
    a_handset_that_speaks_is_told_what_to_say,
    the_keys_are_those_that_are_configured,
    what_it_can_do_stays_known,
    a_key_takes_the_alarm_at_once_and_its_report_adds_nothing,
    a_key_without_a_report_ends_as_it_was_said,
    a_key_that_is_told_again_counts_once,
    a_key_after_the_report_changes_nothing,
    a_call_in_which_somebody_has_spoken_goes_on,
    a_key_in_a_call_that_another_had_taken,
    a_key_in_a_call_that_was_called_off,
    a_key_in_a_call_that_was_given_up,
    two_press_the_key,
    somebody_passes_it_on_while_another_is_rung,
    whoever_passes_it_on_keeps_nobody_waiting,
    whoever_passes_it_on_late_is_not_rung_again,
    a_key_that_means_nothing_does_nothing,
    a_call_at_work_is_not_given_up,
    barista_counts_what_was_pressed,
    barista_goes_on_as_it_was_without_a_voice,
    a_number_that_does_not_exist_is_not_called_again,
    whoever_is_out_of_reach_was_called,
    a_trunk_that_refuses_us_rests,
    a_line_that_a_stranger_uses_is_no_hand_out,
    whoever_wants_no_more_is_not_rung_when_it_repeats,
    whoever_says_so_only_in_the_report_is_left_in_peace_too,
    a_key_counts_at_any_token,
    a_machine_that_only_the_report_knows_of_is_told,
    a_program_with_the_library_of_the_app_is_not_the_app,
);

/// What a handset over SIP says that it can do.
fn can() -> Value {
    json!({ "capabilities": ["hangup", "dtmf", "tts", "machine"], "backend": "sip", "channels": 1 })
}

/// Pairs a handset that speaks and gives the path it polls.
pub async fn speaker(server: &Server, name: &str) -> String {
    let path = server.pair(name, Profile::Native).await;
    assert_eq!(send(server, "POST", &format!("/h/{name}/status"), Some(can())).await, json!({ "code": 0 }));
    path
}

/// What the server answers when a callee presses a key.
async fn press(server: &Server, mid: &Value, number: &str, key: &str, action: &str) -> Value {
    let body = json!({ "number": number, "state": "connected", "event": "key", "key": key, "action": action, "seq": 1 });
    send(server, "POST", &format!("/h/trunk/progress?mid={}", mid.as_str().unwrap()), Some(body)).await
}

fn taken(number: &str) -> Value {
    json!([{ "number": number, "outcome": "answered", "confirmed": true, "keys": "1", "action": "accept", "talk_seconds": 9 }])
}

fn passed_on(number: &str) -> Value {
    json!([{ "number": number, "outcome": "answered", "confirmed": true, "declined": true, "keys": "2", "action": "decline" }])
}

/// The kinds of what happened after an alarm was raised, in order.
async fn story(server: &Server, id: &str) -> Vec<String> {
    let alarm = server.alarm(id).await;
    let kinds = alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned());
    kinds.filter(|kind| !matches!(kind.as_str(), "raised" | "handed_out" | "step_began")).collect()
}

async fn who_has_it(server: &Server, id: &str) -> (String, Value) {
    let alarm = server.alarm(id).await;
    (alarm["state"].as_str().unwrap().to_owned(), alarm["answer"]["number"].clone())
}

async fn a_handset_that_speaks_is_told_what_to_say(home: Home) {
    let server = home.start().await;
    let (trunk, pixel) = (speaker(&server, "trunk").await, server.pair("pixel", Profile::Native).await);
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A], json!({ "summary": "db1 disk full" })).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    assert_eq!(script["say"], "db1 disk full. Press 1 to take it. Press 2 if you cannot.", "{offer}");
    assert_eq!(script["keys"], json!({ "1": "accept", "2": "decline" }));
    assert_eq!((&script["language"], &script["max_seconds"]), (&json!("en"), &json!(120)));
    assert!(script["invalid_key_say"].as_str().unwrap().contains("Press 1"), "any other key is asked for again");
    assert_eq!(script["machine"]["detect"], true);
    assert_eq!(poll(&server, &trunk).await, offer, "what it says does not change");
    server.raise(&[B], json!({})).await;
    assert_eq!(poll(&server, &pixel).await["calls"], json!([{ "number": B, "ring_seconds": 75 }]), "it does not speak");
    server.raise(&[C], json!({})).await;
    let mut keys: Vec<String> = server.app_poll(&desk).await.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["code", "mid", "phone"]);
}

async fn the_keys_are_those_that_are_configured(home: Home) {
    let home = home
        .set("AUTOCALL_ALARMS_ACCEPT_KEY", "9")
        .set("AUTOCALL_ALARMS_DECLINE_KEY", "none")
        .set("AUTOCALL_ALARMS_STOP_KEY", "#");
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["calls"][0]["script"]["keys"], json!({ "9": "accept", "#": "stop_calling" }));
    assert_eq!(offer["calls"][0]["script"]["say"], "disk full. Press 9 to take it.");
}

async fn what_it_can_do_stays_known(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    send(&server, "POST", "/h/trunk/status", Some(json!({ "battery": 81 }))).await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"].is_object(), "a status that does not speak of it takes nothing away: {offer}");
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    send(&server, "POST", "/h/trunk/status", Some(json!({ "capabilities": ["hangup"] }))).await;
    server.raise(&[B], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"].is_null(), "{offer}");
}

async fn a_key_takes_the_alarm_at_once_and_its_report_adds_nothing(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A, B], json!({ "attempts": 2 })).await;
    let offer = poll(&server, &trunk).await;
    let mid = &offer["mid"];
    assert_eq!(press(&server, mid, A, "1", "accept").await, json!({ "code": 0 }));
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["number"].as_str()), (Some("answered"), Some("+8618712345678")));
    assert!(alarm["answer"]["confirmed_at"].is_string(), "a human said yes");
    assert_eq!(server.outcomes(&id).await, ["open"], "they are being thanked");
    assert_eq!(send(&server, "GET", &trunk, None).await["mid"], *mid, "its number and its line stay taken");
    server.home.clock.advance(chrono::TimeDelta::seconds(9));
    report(&server, &trunk, mid, &format!("&resp={A}"), taken(A)).await;
    report(&server, &trunk, mid, &format!("&resp={A}"), taken(A)).await;
    assert_eq!(server.outcomes(&id).await, ["answered"]);
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 1, "{alarm}");
    assert!(alarm["dials"][0]["reported_at"].is_string());
    assert_eq!(story(&server, &id).await, ["answered", "hunt_ended"]);
    assert_eq!(poll(&server, &trunk).await["code"], 1);
}

async fn a_key_without_a_report_ends_as_it_was_said(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], A, "1", "accept").await;
    server.pass(181).await;
    assert_eq!(server.outcomes(&id).await, ["answered"]);
    assert_eq!(story(&server, &id).await, ["answered", "hunt_ended"]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    assert_eq!(story(&server, &id).await, ["answered", "hunt_ended"], "late, it tells nothing new");
    let declined = server.raise(&[B], json!({ "attempts": 2 })).await;
    // The line of a call that nobody reported may have rung until then.
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], B, "2", "decline").await;
    server.pass(181).await;
    assert_eq!(server.outcomes(&declined).await, ["nobody"]);
    let alarm = server.alarm(&declined).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("all_declined")));
}

async fn a_key_that_is_told_again_counts_once(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    for _ in 0..3 {
        // Its answer was lost: it is told until there is one.
        assert_eq!(press(&server, &offer["mid"], A, "1", "accept").await, json!({ "code": 0 }));
    }
    // The first word stands.
    assert_eq!(press(&server, &offer["mid"], A, "2", "decline").await, json!({ "code": 0 }));
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), passed_on(A)).await;
    assert_eq!(server.outcomes(&id).await, ["answered"]);
    assert_eq!(server.alarm(&id).await["answers"].as_array().unwrap().len(), 1);
    assert_eq!(story(&server, &id).await, ["answered", "hunt_ended"]);
}

async fn a_key_after_the_report_changes_nothing(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], "", passed_on(A)).await;
    assert_eq!(press(&server, &offer["mid"], A, "2", "decline").await["code"], 2);
    let offer = poll(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), taken(B)).await;
    assert_eq!(press(&server, &offer["mid"], B, "1", "accept").await, json!({ "code": 2 }));
    assert_eq!(server.alarm(&id).await["answers"].as_array().unwrap().len(), 1);
    assert_eq!(story(&server, &id).await, ["declined", "nobody", "answered", "hunt_ended"]);
}

async fn a_call_in_which_somebody_has_spoken_goes_on(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], A, "1", "accept").await;
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    assert_eq!(server.outcomes(&id).await, ["open"]);
    let connected = json!({ "number": A, "state": "connected" });
    let path = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
    assert_eq!(send(&server, "POST", &path, Some(connected)).await, json!({ "code": 0 }), "nobody is cut off");
    // The same phone is not rung in a second call meanwhile.
    let (other, again) = (speaker(&server, "other").await, server.raise(&[A], json!({})).await);
    assert_eq!(poll(&server, &other).await["code"], 1);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    server.pass(5).await;
    assert_eq!(poll(&server, &other).await["phone"], json!([A]));
    assert_eq!((server.state(&id).await, server.state(&again).await), ("cancelled".to_owned(), "ringing".to_owned()));
}

async fn a_key_in_a_call_that_another_had_taken(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": "Li Na" })).await;
    let heard = press(&server, &offer["mid"], A, "1", "accept").await;
    assert_eq!(heard, json!({ "code": 2, "say": "Li Na has taken it already." }));
    assert_eq!(press(&server, &offer["mid"], A, "1", "accept").await, heard);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answer"]["name"], "Li Na", "whoever hears that takes nothing over: {alarm}");
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 2, "and is on record");
    assert_eq!(story(&server, &id).await, ["acknowledged", "superseded", "hunt_ended", "late_answer"]);
}

async fn a_key_in_a_call_that_was_called_off(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    assert_eq!(press(&server, &offer["mid"], A, "1", "accept").await, json!({ "code": 2, "say": "It is over already." }));
    assert_eq!(server.state(&id).await, "cancelled", "nothing that is pressed makes it ring again");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answers"].as_array().unwrap().len()), (Some("cancelled"), 1));
}

async fn a_key_in_a_call_that_was_given_up(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    server.pass(181).await;
    assert_eq!(server.state(&id).await, "no_answer");
    assert_eq!(press(&server, &offer["mid"], A, "1", "accept").await, json!({ "code": 2 }), "it is theirs all the same");
    assert_eq!(server.state(&id).await, "answered");
    assert!(server.alarm(&id).await["answer"]["confirmed_at"].is_string());
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    assert_eq!(server.alarm(&id).await["answers"].as_array().unwrap().len(), 1);
    assert_eq!(server.outcomes(&id).await, ["answered"]);
}

async fn two_press_the_key(home: Home) {
    let server = home.start().await;
    let (trunk, other) = (speaker(&server, "trunk").await, speaker(&server, "other").await);
    let id = server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let first = poll(&server, &trunk).await;
    server.home.clock.advance(chrono::TimeDelta::seconds(1));
    let second = poll(&server, &other).await;
    assert_eq!((&first["phone"], &second["phone"]), (&json!([A]), &json!([B])));
    assert_eq!(press(&server, &second["mid"], B, "1", "accept").await, json!({ "code": 0 }));
    assert_eq!(server.outcomes(&id).await, ["superseded", "open"], "the other call is called off, this one is not");
    server.home.clock.advance(chrono::TimeDelta::seconds(1));
    let heard = press(&server, &first["mid"], A, "1", "accept").await;
    assert_eq!(heard, json!({ "code": 2, "say": "18812345678 has taken it already." }));
    report(&server, &other, &second["mid"], &format!("&resp={B}"), taken(B)).await;
    report(&server, &trunk, &first["mid"], &format!("&resp={A}"), taken(A)).await;
    let told = story(&server, &id).await;
    assert_eq!(who_has_it(&server, &id).await, ("answered".to_owned(), json!("+8618812345678")), "whoever was first has it");
    assert_eq!(told.iter().filter(|kind| *kind == "answered").count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|kind| *kind == "late_answer").count(), 1, "{told:?}");
}

async fn somebody_passes_it_on_while_another_is_rung(home: Home) {
    let server = home.start().await;
    let (trunk, other) = (speaker(&server, "trunk").await, speaker(&server, "other").await);
    let id = server.raise(&[A, B], json!({ "mode": "parallel", "attempts": 2, "min_interval_seconds": 0 })).await;
    let first = poll(&server, &trunk).await;
    server.home.clock.advance(chrono::TimeDelta::seconds(1));
    let second = poll(&server, &other).await;
    assert_eq!(press(&server, &first["mid"], A, "2", "decline").await, json!({ "code": 0 }));
    assert_eq!(server.outcomes(&id).await, ["open", "open"]);
    assert_eq!(server.alarm(&id).await["callees"][0]["verdict"], "declined");
    report(&server, &trunk, &first["mid"], &format!("&resp={A}"), passed_on(A)).await;
    assert_eq!(server.outcomes(&id).await, ["nobody", "open"]);
    assert_eq!(poll(&server, &trunk).await["code"], 1, "nobody is rung but the other");
    press(&server, &second["mid"], B, "1", "accept").await;
    report(&server, &other, &second["mid"], &format!("&resp={B}"), taken(B)).await;
    assert_eq!(story(&server, &id).await, ["declined", "answered", "hunt_ended"]);
    assert_eq!(who_has_it(&server, &id).await, ("answered".to_owned(), json!("+8618812345678")));
}

async fn whoever_passes_it_on_keeps_nobody_waiting(home: Home) {
    let server = home.start().await;
    let (trunk, other) = (speaker(&server, "trunk").await, speaker(&server, "other").await);
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let first = poll(&server, &trunk).await;
    assert_eq!(poll(&server, &other).await["code"], 1, "one after the other");
    press(&server, &first["mid"], A, "2", "decline").await;
    server.home.clock.advance(chrono::TimeDelta::seconds(1));
    let second = poll(&server, &other).await;
    assert_eq!(second["phone"], json!([B]), "at once, while the first is told so");
    press(&server, &second["mid"], B, "1", "accept").await;
    assert_eq!(server.outcomes(&id).await, ["open", "open"], "neither is cut off");
    report(&server, &trunk, &first["mid"], &format!("&resp={A}"), passed_on(A)).await;
    report(&server, &other, &second["mid"], &format!("&resp={B}"), taken(B)).await;
    assert_eq!(server.outcomes(&id).await, ["nobody", "answered"]);
    assert_eq!(story(&server, &id).await, ["declined", "answered", "hunt_ended"]);
}

async fn whoever_passes_it_on_late_is_not_rung_again(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let offer = poll(&server, &trunk).await;
    // The line to the server was cut: neither the key nor the report came in time.
    server.pass(181).await;
    report(&server, &trunk, &offer["mid"], "", passed_on(A)).await;
    assert_eq!(server.alarm(&id).await["callees"][0]["verdict"], "declined");
    assert_eq!(press(&server, &offer["mid"], A, "2", "decline").await["code"], 2);
    assert_eq!(story(&server, &id).await, ["expired", "declined"]);
    for _ in 0..2 {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([B]), "{offer}");
        report(&server, &trunk, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
    }
    assert_eq!(server.state(&id).await, "no_answer");
}

async fn a_key_that_means_nothing_does_nothing(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let path = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
    for body in [
        json!({ "number": A, "state": "connected", "event": "key", "key": "7" }),
        json!({ "number": A, "state": "connected", "event": "key", "key": "7", "action": "dance" }),
        json!({ "number": A, "state": "connected", "action": "accept" }),
        json!({ "number": A, "event": "state", "value": "accept", "action": "accept" }),
    ] {
        assert_eq!(send(&server, "POST", &path, Some(body)).await, json!({ "code": 0 }));
    }
    assert_eq!((server.state(&id).await, server.outcomes(&id).await), ("ringing".to_owned(), vec!["open".to_owned()]));
    let unknown = "/h/trunk/progress?mid=aaaaaaaaaaaaaaaaaaaaaaaa";
    let accept = json!({ "number": A, "event": "key", "key": "1", "action": "accept" });
    assert_eq!(send(&server, "POST", unknown, Some(accept)).await, json!({ "code": 2 }));
}

async fn a_call_at_work_is_not_given_up(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    let path = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
    for _ in 0..15 {
        server.pass(20).await;
        assert_eq!(send(&server, "POST", &path, Some(json!({ "number": A, "state": "connected" }))).await["code"], 0);
    }
    assert_eq!(server.outcomes(&id).await, ["open"], "five minutes, and it says so every twenty seconds");
    server.pass(20).await;
    assert_eq!(server.outcomes(&id).await, ["expired"], "75 s of ringing, 120 s of the call, 120 s for the rest");
    assert_eq!(send(&server, "POST", &path, Some(json!({ "number": A, "state": "connected" }))).await["code"], 2);
    // The line of a call that nobody reported may have rung until then.
    server.pass(75).await;
    let silent = server.raise(&[B], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    server.pass(150).await;
    let path = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
    send(&server, "POST", &path, Some(json!({ "number": B, "state": "connected" }))).await;
    server.pass(59).await;
    assert_eq!(server.outcomes(&silent).await, ["open"]);
    server.pass(1).await;
    assert_eq!(server.outcomes(&silent).await, ["expired"], "a minute after its last word");
}

const SAY: &str = "testflg=0&hostname=db1&operator=zabbix&frequency=2&language=en&message=Disk+full&headid=1&footid=1";

async fn barista(server: &Server, kind: &str, addressees: &str) -> String {
    let request = server.http.post(format!("{}/api/v1/call", server.base));
    let body = format!("{SAY}&calltype={kind}{addressees}");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["eventid"].as_str().unwrap().to_owned()
}

/// The state of an event, and the status and calls of each addressee.
async fn history(server: &Server, event: &str) -> String {
    let url = format!("{}/api/v1/call?eventid={event}", server.base);
    let history: Value = server.http.get(url).send().await.unwrap().json().await.unwrap();
    let one = |one: &Value| format!(" {}:{}", one["status"].as_str().unwrap(), one["numofcall"].as_str().unwrap());
    let each: String = history[0]["result"].as_array().unwrap().iter().map(one).collect();
    format!("{}{each}", history[0]["eventstatus"].as_str().unwrap())
}

async fn barista_counts_what_was_pressed(home: Home) {
    let home = home
        .set("AUTOCALL_BARISTA_HEAD_ONE", "{hostname} is in trouble.")
        .set("AUTOCALL_BARISTA_FOOT_ONE", "Press 1 if you can, 2 if you cannot.");
    // Other keys for alarms: Barista's phrases speak of 1 and 2.
    let server = home.set("AUTOCALL_ALARMS_ACCEPT_KEY", "8").start().await;
    let trunk = speaker(&server, "trunk").await;
    let event = barista(&server, "1", &format!("&addressee=1:a:{A}:Ann:0&addressee=2:b:{B}:Bob:0")).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    assert_eq!(script["say"], "db1 is in trouble. Disk full Press 1 if you can, 2 if you cannot.");
    assert_eq!(script["keys"], json!({ "1": "accept", "2": "decline" }));
    // A mailbox: the line connected, and nobody pressed anything.
    let nobody = json!([{ "number": A, "outcome": "answered", "confirmed": false, "action": "none", "machine": "machine" }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), nobody.clone()).await;
    assert_eq!(history(&server, &event).await, "1 :1 :0", "no word is no answer");
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([B]));
    press(&server, &offer["mid"], B, "2", "decline").await;
    assert_eq!(history(&server, &event).await, "1 :1 2:1", "at once");
    report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), passed_on(B)).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([A]), "rung again while there are attempts");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), nobody).await;
    assert_eq!(history(&server, &event).await, "2 3:2 2:1");
    let event = barista(&server, "1", &format!("&addressee=1:a:{A}:Ann:0&addressee=2:b:{B}:Bob:0")).await;
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], A, "1", "accept").await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    assert_eq!(history(&server, &event).await, "2 1:1 3:0");
    let event = barista(&server, "2", &format!("&addressee=1:a:{A}:Ann:0&addressee=2:b:{B}:Bob:0")).await;
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], A, "1", "accept").await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), taken(A)).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([B]), "everybody");
    press(&server, &offer["mid"], B, "1", "accept").await;
    assert_eq!(history(&server, &event).await, "2 1:1 1:1");
}

async fn barista_goes_on_as_it_was_without_a_voice(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let event = barista(&server, "1", &format!("&addressee=1:a:{A}:Ann:0")).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(history(&server, &event).await, "2 1:1", "a line that connects is a yes");
}

fn failed(number: &str, detail: &str) -> Value {
    json!([{ "number": number, "outcome": "failed", "detail": detail }])
}

async fn a_number_that_does_not_exist_is_not_called_again(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let offer = poll(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], "", failed(A, "bad_number")).await;
    for _ in 0..2 {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([B]), "the handset is well, and A is out: {offer}");
        report(&server, &trunk, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
    }
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "no_answer");
    let first = &alarm["callees"][0];
    assert_eq!((&first["verdict"], &first["attempts"]), (&json!("bad_number"), &json!(1)));
    let told = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "not_rung").unwrap();
    assert_eq!(told["body"]["detail"], "bad_number");
}

async fn whoever_is_out_of_reach_was_called(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    for _ in 0..2 {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([A]), "the handset is well: {offer}");
        report(&server, &trunk, &offer["mid"], "", failed(A, "unreachable")).await;
    }
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("attempts_used")));
}

async fn a_trunk_that_refuses_us_rests(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    for detail in ["auth", "trunk"] {
        let id = server.raise(&[A], json!({ "attempts": 1 })).await;
        let offer = poll(&server, &trunk).await;
        report(&server, &trunk, &offer["mid"], "", failed(A, detail)).await;
        assert_eq!(server.alarm(&id).await["callees"][0]["attempts"], 0, "given back");
        assert_eq!(poll(&server, &trunk).await["code"], 1, "another handset is preferred");
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
        server.pass(300).await;
    }
}

async fn a_line_that_a_stranger_uses_is_no_hand_out(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1, "begin_before_seconds": 300 })).await;
    let busy = json!([{ "number": A, "outcome": "not_dialled" }]);
    for _ in 0..6 {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([A]), "more often than hand-outs are limited to: {offer}");
        report(&server, &trunk, &offer["mid"], "", busy.clone()).await;
        server.pass(14).await;
        assert_eq!(poll(&server, &trunk).await["code"], 1, "the line is left alone for a moment");
        server.pass(1).await;
    }
    assert_eq!(server.alarm(&id).await["callees"][0]["attempts"], 0);
    // It does not go on for ever.
    server.pass(210).await;
    for _ in 0..2 {
        let offer = poll(&server, &trunk).await;
        report(&server, &trunk, &offer["mid"], "", busy.clone()).await;
        server.pass(15).await;
    }
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("hand_out_limit")));
}

async fn a_key_names_whom_it_is_of(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 2 })).await;
    let offer = poll(&server, &trunk).await;
    for number in ["", B, "1\u{0}", &"9".repeat(9_000)] {
        press(&server, &offer["mid"], number, "1", "accept").await;
        let alarm = server.alarm(&id).await;
        assert!(alarm["answer"].is_null() && alarm["state"] == "ringing", "{number:.20}: {alarm}");
    }
    assert_eq!(press(&server, &offer["mid"], A, "1", "accept").await, json!({ "code": 0 }));
    assert_eq!(server.state(&id).await, "answered");
}

async fn whoever_wants_no_more_is_not_rung_when_it_repeats(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_STOP_KEY", "5").start().await;
    let trunk = speaker(&server, "trunk").await;
    let alarm = json!({ "attempts": 1, "dedup_key": "disk" });
    let id = server.raise(&[A, B], alarm).await;
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], A, "5", "stop_calling").await;
    let word = json!([{ "number": A, "outcome": "answered", "confirmed": true, "declined": true, "keys": "5", "action": "stop_calling" }]);
    report(&server, &trunk, &offer["mid"], "", word).await;
    for turn in 0..2 {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([B]), "turn {turn}");
        report(&server, &trunk, &offer["mid"], "", json!([{ "number": B, "outcome": "no_answer" }])).await;
        assert_eq!(server.state(&id).await, "no_answer");
        server.pass(3_600).await;
        let again = json!({ "summary": "disk full", "phones": [A, B], "attempts": 1, "dedup_key": "disk" });
        assert_eq!(server.post("/api/v1/alarms", &again).await.1["id"], json!(id), "it repeats");
    }
    assert_eq!(server.alarm(&id).await["callees"][0]["verdict"], "declined");
}

/// The handset died before it could tell of the key; and the alarm rings again in every way that is no wish of a person.
async fn whoever_says_so_only_in_the_report_is_left_in_peace_too(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_STOP_KEY", "5").start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1, "dedup_key": "disk" })).await;
    let offer = poll(&server, &trunk).await;
    let word = json!([{ "number": A, "outcome": "answered", "confirmed": true, "declined": true, "keys": "5", "action": "stop_calling" }]);
    report(&server, &trunk, &offer["mid"], "", word).await;
    server.pass(3_600).await;
    let worse = json!({ "summary": "disk full", "phones": [A], "attempts": 1, "dedup_key": "disk", "priority": "high" });
    for _ in 0..2 {
        assert_eq!(server.post("/api/v1/alarms", &worse).await.1["id"], json!(id));
        assert_eq!(poll(&server, &trunk).await["code"], 1);
        let alarm = server.alarm(&id).await;
        assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("all_declined")), "{alarm}");
        server.pass(3_600).await;
    }
    // Whoever asks for everybody is obeyed.
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await.0, 200);
    assert_eq!(poll(&server, &trunk).await["phone"], json!([A]));
}

async fn a_key_counts_at_any_token(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let key = json!({ "number": A, "state": "connected", "event": "key", "key": "1", "action": "accept", "seq": 1 });
    let at = |mid: &str| format!("/h/another-token/progress?mid={mid}");
    let stranger = send(&server, "POST", &at("0123456789abcdef01234567"), Some(key.clone())).await;
    assert_eq!(stranger["code"], 1, "{stranger}");
    assert_eq!(server.state(&id).await, "ringing");
    assert_eq!(send(&server, "POST", &at(offer["mid"].as_str().unwrap()), Some(key)).await, json!({ "code": 0 }));
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_machine_that_only_the_report_knows_of_is_told(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    press(&server, &offer["mid"], A, "1", "accept").await;
    let mut told = taken(A);
    told[0]["machine"] = json!("human");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), told).await;
    assert_eq!(server.alarm(&id).await["answer"]["machine"], "human");
}

/// Written for Android, it uses the same library; it says by its header what it speaks.
async fn a_program_with_the_library_of_the_app_is_not_the_app(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Auto).await;
    let ask = async |path: &str, body: Option<Value>| {
        let url = format!("{}{path}", server.base);
        let request = if body.is_some() { server.http.post(url) } else { server.http.get(url) };
        let request = request.header(android_protocol::wire::PROTOCOL_HEADER, "1").header("user-agent", "okhttp/4.12.0");
        let request = if let Some(body) = body { request.json(&body) } else { request };
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(ask(&path, None).await["code"], 1);
    server.app.engine.write_sightings(true).await.unwrap();
    assert_eq!(ask("/h/trunk/status", Some(can())).await, json!({ "code": 0 }));
    server.raise(&[A], json!({})).await;
    let offer = ask(&path, None).await;
    assert!(offer["calls"][0]["script"].is_object(), "{offer}");
}
