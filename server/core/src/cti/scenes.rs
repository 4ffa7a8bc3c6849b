//! What is told of a call, a conference, an announcement and a callback, from the first word to the last: scenes that people know.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use android_protocol::wire::{CallOutcome, EndedBy, FailureDetail};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::call::Call;
use super::conf::Conf;
use super::content::Part;
use super::duo::Duo;
use super::effect::{Around, Effect, Ended, HandedOut, Heard, Order, Told, View, Word};
use super::notify::Notify;
use super::reply::Refusal;
use super::request::{CallParams, Construct, Method};
use super::{Birth, Creator, Dialect, Flow, Params, Prefix, State};
use crate::needs::Words;

const ALL: &str = "calls,conference,dtmf,hangup,inbound,live,record,tts";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000 + seconds)
}

fn params(value: Value) -> Params {
    value.as_object().unwrap().clone()
}

fn birth(res_id: &str, dialect: Dialect) -> Birth {
    let creator = Creator { dialect, prefix: Prefix::of(dialect) };
    Birth { res_id: res_id.to_owned(), creator, process_id: "p".into(), at: at(0) }
}

fn call_params(more: Value) -> CallParams {
    let mut all = params(json!({"to_uri": "456@trunk", "from_uri": "123", "max_answer_seconds": 60, "user_data": "u"}));
    all.extend(params(more));
    match Construct::read(Flow::Call, &all, "en").unwrap() {
        Construct::Call(call) => call,
        other => panic!("{other:?}"),
    }
}

fn handed_out(handset: &str, can: &str) -> Heard {
    Heard::HandedOut(HandedOut { handset: handset.into(), channel: 2, can: Words::read(can) })
}

fn outbound(dialect: Dialect) -> Call {
    Call::outbound(birth("c", dialect), call_params(json!({})), &Around::default()).unwrap().0
}

/// A call that is connected since second 3.
fn connected(res_id: &str, dialect: Dialect) -> Call {
    let mut call = Call::outbound(birth(res_id, dialect), call_params(json!({})), &Around::default()).unwrap().0;
    call.heard(&handed_out("trunk", ALL), at(1));
    call.heard(&Heard::Alerting { at: at(2) }, at(2));
    call.heard(&Heard::Connected { at: at(3) }, at(3));
    assert_eq!(call.state(), State::Idle);
    call
}

fn ask(call: &mut Call, name: &str, arguments: Value, around: &Around, now: i64) -> Result<(Value, Vec<Effect>), Refusal> {
    let method = Method::read(Flow::Call, name, &params(arguments), "en").unwrap();
    call.request(&method, around, at(now))
}

fn done(call: &mut Call, name: &str, arguments: Value, now: i64) -> Vec<Effect> {
    let (result, effects) = ask(call, name, arguments, &Around::default(), now).unwrap();
    assert_eq!(result, Value::Null, "{name}");
    effects
}

fn refused(call: &mut Call, name: &str, arguments: Value) -> (i64, String) {
    let refusal = ask(call, name, arguments, &Around::default(), 9).unwrap_err();
    (refusal.code, refusal.message)
}

/// The events among effects, as clients read them.
fn events(effects: &[Effect]) -> Vec<(String, Value)> {
    let told = |effect: &Effect| match effect {
        Effect::Event(event) => Some((event.name.clone(), Value::Object(event.params.clone()))),
        _ => None,
    };
    effects.iter().filter_map(told).collect()
}

fn names(effects: &[Effect]) -> Vec<String> {
    events(effects).into_iter().map(|(name, _)| name).collect()
}

fn orders(effects: &[Effect]) -> Vec<&Order> {
    let orders = effects.iter().filter_map(|effect| match effect {
        Effect::Order { order, .. } => Some(order),
        _ => None,
    });
    orders.collect()
}

fn token(effects: &[Effect]) -> u32 {
    let last = effects.iter().rev().find_map(|effect| match effect {
        Effect::Order { token, .. } => Some(*token),
        _ => None,
    });
    last.unwrap()
}

fn word(call: &mut Call, token: u32, word: Word, now: i64) -> Vec<Effect> {
    call.heard(&Heard::Word { token, word }, at(now))
}

fn hung_up(now: i64) -> Heard {
    let (outcome, by) = (Some(CallOutcome::Answered), Some(EndedBy::Callee));
    Heard::Ended(Ended { outcome, by, ended_at: Some(at(now)), ..Ended::default() })
}

#[test]
fn the_first_dialect_hears_of_a_call_in_its_words() {
    let mut call = outbound(Dialect::A);
    assert_eq!((call.state(), call.due()), (State::Initiated, Some(at(5))));
    assert!(call.heard(&handed_out("trunk", ALL), at(1)).is_empty());
    assert!(call.heard(&Heard::Dialling { at: at(1) }, at(1)).is_empty());
    let rings = call.heard(&Heard::Alerting { at: at(2) }, at(2));
    assert_eq!(events(&rings), [("ivr.call.on_ringing".into(), json!({"res_id": "c", "ring_time": 1002}))]);
    assert!(call.heard(&Heard::Alerting { at: at(4) }, at(4)).is_empty(), "it is told every twenty seconds, and heard once");
    let answered = call.heard(&Heard::Connected { at: at(7) }, at(7));
    assert_eq!(
        events(&answered),
        [
            ("ivr.call.on_answered".into(), json!({"res_id": "c"})),
            (
                "ivr.call.on_dial_completed".into(),
                json!({"res_id": "c", "error": null, "begin_time": 1000, "answer_time": 1007, "end_time": 1007})
            ),
        ]
    );
    let over = call.heard(&hung_up(20), at(21));
    assert_eq!(
        events(&over),
        [(
            "ivr.call.on_released".into(),
            json!({"res_id": "c", "call_dir": "outbound", "from_uri": "123", "to_uri": "456@trunk", "begin_time": 1000,
                "answer_time": 1007, "end_time": 1020, "dropped_by": "usr", "cause": 200, "ipsc_info": {"process_id": "p"}})
        )]
    );
    assert_eq!(over.last(), Some(&Effect::EndHunt));
    assert!(call.heard(&hung_up(20), at(30)).is_empty() && call.tick(at(9_999)).is_empty());
    assert_eq!(refused(&mut call, "call.drop", json!({})).0, 404);
    assert_eq!(ask(&mut call, "call.exists", json!({}), &Around::default(), 40).unwrap().0, json!(false));
}

#[test]
fn the_later_dialect_hears_its_own_words_too_and_the_record() {
    let mut call = outbound(Dialect::B);
    call.heard(&handed_out("trunk", ALL), at(1));
    let answered = call.heard(&Heard::Connected { at: at(7) }, at(7));
    assert_eq!(names(&answered), ["sys.call.on_dial_completed"]);
    assert_eq!(events(&answered)[0].1["user_data"], "u");
    let over = events(&call.heard(&hung_up(20), at(21)));
    let names: Vec<&str> = over.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sys.on_chan_closed", "sys.call.on_released"], "the channel is closed, and nothing follows the release");
    assert_eq!((&over[1].1["user_data"], &over[1].1["error"]), (&json!("u"), &Value::Null));
    let record = over[0].1["data"].as_array().unwrap();
    assert_eq!(record.len(), 29);
    assert_eq!(record[0].as_str().map(str::len), Some(36));
    assert_eq!(&record[5..9], json!([2, "0:0:2", "123", "456"]).as_array().unwrap());
    assert_eq!(&record[11..18], json!([1, 2, "", 1, 2, 0, 200]).as_array().unwrap());
    let times = json!(["1970-01-01 00:16:40", "1970-01-01 00:16:47", "1970-01-01 00:17:00", 13, "sys", "call", "c", "u"]);
    assert_eq!(&record[18..26], times.as_array().unwrap());
}

/// The words of a call that nobody took.
fn unanswered(ended: Ended) -> (Value, Value, Value) {
    let mut call = outbound(Dialect::A);
    call.heard(&handed_out("trunk", ALL), at(1));
    let told = events(&call.heard(&Heard::Ended(Ended { ended_at: Some(at(9)), ..ended }), at(9)));
    assert_eq!((told.len(), told[0].0.as_str()), (2, "ivr.call.on_dial_completed"));
    assert_eq!((&told[0].1["answer_time"], &told[1].1["answer_time"]), (&Value::Null, &Value::Null));
    (told[0].1["error"].clone(), told[1].1["cause"].clone(), told[1].1["dropped_by"].clone())
}

#[test]
fn a_call_that_nobody_takes_is_told_with_its_reason() {
    let plain = |outcome| Ended { outcome: Some(outcome), ..Ended::default() };
    let failed = |detail| Ended { detail: Some(detail), ..plain(CallOutcome::Failed) };
    for (ended, error, cause, by) in [
        (plain(CallOutcome::NoAnswer), "dial timeout", 408, "sys"),
        (Ended { sip: Some(487), ..plain(CallOutcome::NoAnswer) }, "dial timeout", 408, "sys"),
        (plain(CallOutcome::Busy), "dial failed", 486, "usr"),
        (plain(CallOutcome::Rejected), "dial failed", 603, "usr"),
        (Ended { sip: Some(403), ..plain(CallOutcome::Rejected) }, "dial failed", 403, "usr"),
        (failed(FailureDetail::BadNumber), "dial failed", 404, "sys"),
        (failed(FailureDetail::Trunk), "dial error", 503, "sys"),
        (plain(CallOutcome::NotDialled), "dial failed", 503, "sys"),
    ] {
        assert_eq!(unanswered(ended.clone()), (json!(error), json!(cause), json!(by)), "{ended:?}");
    }
}

#[test]
fn what_never_began_is_told_at_once() {
    for (heard, cause) in [(Heard::NoChannel, 503), (Heard::NumberBusy, 486)] {
        let mut call = outbound(Dialect::A);
        let told = call.heard(&heard, at(2));
        assert_eq!(names(&told), ["ivr.call.on_dial_completed", "ivr.call.on_released"]);
        assert_eq!((&events(&told)[0].1["error"], &events(&told)[1].1["cause"]), (&json!("dial failed"), &json!(cause)));
    }
    let mut call = outbound(Dialect::B);
    assert!(call.tick(at(4)).is_empty());
    let told = call.tick(at(5));
    assert_eq!(names(&told), ["sys.call.on_dial_completed", "sys.call.on_released"], "no channel was opened, and none is closed");
    assert_eq!(events(&told)[1].1["cause"], 503);
}

#[test]
fn a_drop_ends_what_is_not_handed_out_and_is_reported_where_it_is() {
    let mut call = outbound(Dialect::A);
    let told = done(&mut call, "call.drop", json!({"cause": 200}), 2);
    assert_eq!((&events(&told)[1].1["cause"], &events(&told)[1].1["answer_time"]), (&json!(487), &Value::Null));
    assert!(call.is_released());

    let mut call = connected("c", Dialect::A);
    let told = done(&mut call, "call.drop", json!({"cause": 480}), 5);
    assert!(told.contains(&Effect::CancelDial) && orders(&told) == [&Order::Drop] && events(&told).is_empty());
    assert!(done(&mut call, "call.drop", json!({}), 5).is_empty(), "it is asked once");
    assert_eq!(refused(&mut call, "call.play_start", json!({"content": "a"})).0, 409);
    let by = Some(EndedBy::Us);
    let over = call.heard(&Heard::Ended(Ended { outcome: Some(CallOutcome::Answered), by, ..Ended::default() }), at(6));
    assert_eq!((&events(&over)[0].1["cause"], &events(&over)[0].1["dropped_by"]), (&json!(480), &json!("sys")));

    let mut call = connected("c", Dialect::B);
    done(&mut call, "call.drop", json!({}), 5);
    let over = call.heard(&Heard::NoReport, at(70));
    let told = &events(&over).pop().unwrap().1;
    assert_eq!((&told["error"], &told["answer_time"], &told["end_time"]), (&json!("no report"), &json!(1003), &json!(1070)));
}

#[test]
fn a_phone_that_takes_no_commands_says_so_and_only_its_end_is_known() {
    let mut call = outbound(Dialect::A);
    call.heard(&handed_out("old phone", ""), at(1));
    let (code, why) = refused(&mut call, "call.drop", json!({}));
    assert!(code == 503 && why.contains("hangup") && why.contains("old phone"), "{why}");
    for (name, arguments) in [
        ("call.play_start", json!({"content": "a.wav"})),
        ("call.record_start", json!({"max_seconds": 5, "record_file": "r"})),
        ("call.send_dtmf_start", json!({"keys": "1"})),
        ("call.receive_dtmf_start", json!({})),
        ("call.conf_enter", json!({"conf_res_id": "f", "max_seconds": 5})),
        ("call.connect_start", json!({"call_res_id": "d", "max_seconds": 5})),
    ] {
        let (code, why) = refused(&mut call, name, arguments);
        assert!(code == 503 && why.contains(name) && why.contains("\"live\""), "{why}");
    }
    let report = Ended { outcome: Some(CallOutcome::Answered), ..Ended::default() };
    let told = events(&call.heard(&Heard::Ended(report), at(60)));
    assert_eq!(
        told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["ivr.call.on_dial_completed", "ivr.call.on_released"]
    );
    assert_eq!(
        (&told[0].1["error"], &told[0].1["answer_time"], &told[1].1["dropped_by"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );

    // A modem hangs up when it is told so with its next progress, and can do nothing else.
    let mut call = outbound(Dialect::A);
    call.heard(&handed_out("modem", "hangup"), at(1));
    assert_eq!(done(&mut call, "call.drop", json!({}), 3), [Effect::CancelDial]);
    // One that is live but cannot record says which word is missing.
    let mut call = outbound(Dialect::A);
    call.heard(&handed_out("gateway", "calls,live"), at(1));
    call.heard(&Heard::Connected { at: at(2) }, at(2));
    assert!(refused(&mut call, "call.record_start", json!({"max_seconds": 5, "record_file": "r"})).1.contains("\"record\""));
    assert!(refused(&mut call, "call.play_start", json!({"content": [["x", 10, ""]]})).1.contains("\"tts\""));
}

#[test]
fn methods_are_refused_in_the_wrong_state_with_their_name_and_its() {
    let start = [
        ("call.play_start", json!({"content": "a.wav"})),
        ("call.record_start", json!({"max_seconds": 5, "record_file": "r"})),
        ("call.send_dtmf_start", json!({"keys": "1"})),
        ("call.receive_dtmf_start", json!({})),
        ("call.connect_start", json!({"call_res_id": "d", "max_seconds": 5})),
    ];
    let stop = ["call.play_stop", "call.record_stop", "call.send_dtmf_stop", "call.receive_dtmf_stop", "call.connect_stop"];
    let mut ringing = outbound(Dialect::A);
    ringing.heard(&handed_out("trunk", ALL), at(1));
    ringing.heard(&Heard::Alerting { at: at(2) }, at(2));
    let mut playing = connected("c", Dialect::A);
    done(&mut playing, "call.play_start", json!({"content": "a.wav"}), 4);
    for (call, state) in [(&mut outbound(Dialect::A), "Initiated"), (&mut ringing, "Ring"), (&mut playing, "Play")] {
        for (name, arguments) in start.clone() {
            assert_eq!(refused(call, name, arguments), (409, format!("{name} cannot be done in the state {state}")));
        }
        for name in stop.into_iter().filter(|name| state != "Play" || *name != "call.play_stop") {
            assert_eq!(refused(call, name, json!({})), (409, format!("{name} cannot be done in the state {state}")));
        }
        for (name, arguments) in [
            ("call.answer", json!({"max_answer_seconds": 5})),
            ("call.reject", json!({})),
            ("call.redirect", json!({"redirect_uri": "9"})),
        ] {
            let (code, why) = refused(call, name, arguments);
            assert!(code == 409 && why.contains(name) && why.contains(state), "{why}");
        }
    }
    for name in stop {
        assert_eq!(refused(&mut connected("c", Dialect::A), name, json!({})).0, 409);
    }
    let (code, why) = refused(&mut connected("c", Dialect::A), "call.conf_exit", json!({"conf_res_id": "f"}));
    assert!(code == 409 && why.contains("\"f\""));
}

#[test]
fn what_is_played_ends_by_itself_by_a_key_by_a_stop_and_with_the_call() {
    let play = json!({"content": "a.wav", "repeat": 1, "finish_keys": "#*"});
    let begin = |call: &mut Call| {
        let effects = done(call, "call.play_start", play.clone(), 4);
        let order = Order::Play { parts: vec![Part::File("a.wav".into())], repeat: 1, finish: "#*".into() };
        assert_eq!((orders(&effects), call.state()), (vec![&order], State::Play));
        token(&effects)
    };
    let mut call = connected("c", Dialect::A);
    let of = begin(&mut call);
    assert!(word(&mut call, of, Word::Playing, 4).is_empty());
    let played = word(&mut call, of, Word::Played, 9);
    let whole = json!({"res_id": "c", "error": null, "begin_time": 1004, "end_time": 1009, "finish_key": null, "repeated": 1});
    assert_eq!(events(&played), [("ivr.call.on_play_completed".into(), whole)]);
    assert_eq!(call.state(), State::Idle);
    assert!(word(&mut call, of, Word::Played, 10).is_empty(), "once");

    let of = begin(&mut call);
    assert!(word(&mut call, of, Word::Key("#".into()), 5).is_empty());
    assert_eq!(events(&word(&mut call, of, Word::Stopped, 5))[0].1["finish_key"], "#");

    let of = begin(&mut call);
    let stops = done(&mut call, "call.play_stop", json!({}), 5);
    assert_eq!((orders(&stops), call.state()), (vec![&Order::Stop], State::Play));
    assert!(done(&mut call, "call.play_stop", json!({}), 5).is_empty());
    let stopped = &events(&word(&mut call, of, Word::Stopped, 6))[0].1;
    assert_eq!((&stopped["error"], &stopped["repeated"]), (&Value::Null, &Value::Null));

    let of = begin(&mut call);
    assert_eq!(events(&word(&mut call, of, Word::Error("media".into()), 6))[0].1["error"], "play error");

    // A handset that says nothing of it.
    begin(&mut call);
    let due = call.due().unwrap();
    assert_eq!(events(&call.tick(due))[0].1["error"], "play error");

    begin(&mut call);
    let told = call.heard(&hung_up(60), at(60));
    assert_eq!(names(&told), ["ivr.call.on_play_completed", "ivr.call.on_released"]);
    assert_eq!(events(&told)[0].1["error"], "hungup when playing");
}

#[test]
fn a_recording_is_told_with_its_name() {
    let mut call = connected("c", Dialect::B);
    let asked = json!({"max_seconds": 10, "record_file": "r.wav", "finish_keys": "#", "beep": false});
    let begin = |call: &mut Call| {
        let (result, effects) = ask(call, "call.record_start", asked.clone(), &Around::default(), 10).unwrap();
        assert_eq!((result, call.state()), (json!("r.wav"), State::Record));
        let order = Order::Record { file: "r.wav".into(), seconds: 10, finish: "#".into(), beep: false };
        assert_eq!(orders(&effects), [&order]);
        token(&effects)
    };
    let of = begin(&mut call);
    let recorded = word(&mut call, of, Word::Recording("r1".into()), 14);
    // Neither a key nor its program nor time has ended it.
    let whole = json!({"res_id": "c", "error": "hungup while recording", "begin_time": 1010, "end_time": 1014, "record_file": "r.wav",
        "finish_key": null, "user_data": "u"});
    assert_eq!(events(&recorded), [("sys.call.on_record_completed".into(), whole)]);
    for (how, error) in
        [("stop", Value::Null), ("key", Value::Null), ("time", json!("record timeout")), ("fault", json!("record error"))]
    {
        let of = begin(&mut call);
        let told = match how {
            "stop" => {
                assert_eq!(orders(&done(&mut call, "call.record_stop", json!({}), 11)), [&Order::Stop]);
                word(&mut call, of, Word::Recording("r1".into()), 11)
            }
            "key" => {
                word(&mut call, of, Word::Key("#".into()), 11);
                word(&mut call, of, Word::Recording("r1".into()), 11)
            }
            "time" => word(&mut call, of, Word::Recording("r1".into()), 20),
            _ => word(&mut call, of, Word::Error("busy".into()), 11),
        };
        assert_eq!(events(&told)[0].1["error"], error, "{how}");
        assert_eq!(events(&told)[0].1["finish_key"], if how == "key" { json!("#") } else { Value::Null });
    }
}

#[test]
fn keys_are_sent_and_received() {
    let mut call = connected("c", Dialect::A);
    let effects = done(&mut call, "send_dtmf_start", json!({"keys": "12#"}), 5);
    assert_eq!((orders(&effects), call.state()), (vec![&Order::SendDtmf { keys: "12#".into() }], State::SendDtmf));
    let told = word(&mut call, token(&effects), Word::Played, 6);
    let whole = json!({"res_id": "c", "error": null, "begin_time": 1005, "end_time": 1006});
    assert_eq!(events(&told), [("ivr.call.on_send_dtmf_completed".into(), whole)]);

    for (asked, collected, keys, error) in [
        (json!({}), "12#", "12", Value::Null),
        (json!({"including_finish_key": true}), "12#", "12#", Value::Null),
        (json!({"max_keys": 2}), "12", "12", Value::Null),
        (json!({"max_keys": 3}), "12", "12", json!("receiving dtmf timeout")),
        (json!({}), "", "", json!("receiving dtmf timeout")),
    ] {
        let effects = done(&mut call, "receive_dtmf_start", asked, 5);
        assert_eq!(call.state(), State::ReceiveDtmf);
        let of = token(&effects);
        assert!(word(&mut call, of, Word::Key("#".into()), 6).is_empty());
        let told = events(&word(&mut call, of, Word::Collected(collected.into()), 7));
        assert_eq!(told[0].0, "ivr.call.on_receive_dtmf_completed");
        assert_eq!((&told[0].1["keys"], &told[0].1["error"]), (&json!(keys), &error));
    }
    let effects = done(&mut call, "call.receive_dtmf_start", json!({"play_content": "a.wav", "play_repeat": 2}), 5);
    let prompt = Order::Play { parts: vec![Part::File("a.wav".into())], repeat: 2, finish: String::new() };
    let collect = Order::Collect { max: 11, first: 45, between: 30, valid: "0123456789*#ABCD".into(), finish: "#".into() };
    assert_eq!(orders(&effects), [&prompt, &collect]);
    assert_eq!(orders(&done(&mut call, "call.stop_receive_dtmf_start", json!({}), 6)), [&Order::Stop]);
    assert_eq!(events(&word(&mut call, token(&effects), Word::Collected("1".into()), 7))[0].1["error"], Value::Null);
}

fn peer(state: State, handset: &str) -> Around {
    let handset = Some(handset.to_owned());
    Around { other: Some(View::Call { res_id: "d".into(), state, in_conf: false, handset }) }
}

#[test]
fn two_calls_are_connected_and_parted() {
    let asked = json!({"call_res_id": "d", "max_seconds": 30, "record_file": "x.wav"});
    let (mut one, mut other) = (connected("c", Dialect::A), connected("d", Dialect::A));
    let refuse = |around: &Around, code: i64, words: &[&str]| {
        let refusal = ask(&mut connected("c", Dialect::A), "call.connect_start", asked.clone(), around, 5).unwrap_err();
        assert!(refusal.code == code && words.iter().all(|word| refusal.message.contains(word)), "{refusal:?}");
    };
    refuse(&Around::default(), 404, &["d"]);
    refuse(&peer(State::Released, "trunk"), 404, &["d"]);
    refuse(&peer(State::Play, "trunk"), 409, &["d", "Play"]);
    refuse(&peer(State::Idle, "gateway"), 409, &["trunk", "gateway"]);

    let (_, effects) = ask(&mut one, "call.connect_start", asked.clone(), &peer(State::Idle, "trunk"), 5).unwrap();
    let join = Order::Join { room: "c".into(), mute: false, deaf: false };
    assert_eq!((orders(&effects), one.state()), (vec![&join], State::Connect));
    let linked = Told::Linked { by: "c".into(), room: "c".into() };
    assert!(effects.contains(&Effect::Tell { to: "d".into(), told: linked.clone() }));
    assert_eq!(orders(&other.heard(&Heard::Told(linked), at(5))), [&join]);
    assert_eq!(other.state(), State::Connect);
    assert_eq!(refused(&mut other, "call.connect_stop", json!({})).0, 409, "only the first parts them");
    let recorded = word(&mut one, token(&effects), Word::Joined, 6);
    assert_eq!(orders(&recorded), [&Order::RoomRecord { room: "c".into(), file: "x.wav".into(), seconds: 30 }]);
    let parted = done(&mut one, "call.connect_stop", json!({}), 9);
    assert_eq!(orders(&parted), [&Order::RoomEndRecording { room: "c".into() }, &Order::Leave]);
    let whole = json!({"res_id": "c", "error": null, "begin_time": 1005, "end_time": 1009});
    assert_eq!(events(&parted), [("ivr.call.on_connect_completed".into(), whole)]);
    let alone = other.heard(&Heard::Told(Told::Unlinked { by: "c".into() }), at(9));
    assert_eq!((orders(&alone), names(&alone).len(), other.state()), (vec![&Order::Leave], 0, State::Idle));

    // The time is over; the other hangs up.
    let (_, effects) = ask(&mut one, "call.connect_start", asked.clone(), &peer(State::Idle, "trunk"), 10).unwrap();
    word(&mut one, token(&effects), Word::Joined, 11);
    assert_eq!(events(&one.tick(at(41)))[0].1["error"], "bridge timeout");
    ask(&mut one, "call.connect_start", asked, &peer(State::Idle, "trunk"), 42).unwrap();
    let gone = one.heard(&Heard::Told(Told::PeerGone { peer: "d".into(), error: None }), at(43));
    assert_eq!((&events(&gone)[0].1["error"], one.state()), (&Value::Null, State::Idle));
}

#[test]
fn a_parent_hears_a_file_while_its_child_is_called() {
    let mut parent = connected("d", Dialect::A);
    let asked = call_params(json!({"parent_call_res_id": "d", "ring_play_file": "r.wav", "ring_play_mode": 1}));
    let refusal = Call::outbound(birth("c", Dialect::A), asked.clone(), &peer(State::Play, "trunk")).unwrap_err();
    assert!(refusal.code == 409 && refusal.message.contains("Play"));
    assert_eq!(Call::outbound(birth("c", Dialect::A), asked.clone(), &Around::default()).unwrap_err().code, 404);
    let (mut child, effects) = Call::outbound(birth("c", Dialect::A), asked, &peer(State::Idle, "trunk")).unwrap();
    let [Effect::Tell { to, told }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(to, "d");
    let hears = parent.heard(&Heard::Told(told.clone()), at(4));
    assert!(matches!(orders(&hears)[..], [Order::Play { parts, .. }] if *parts == [Part::File("r.wav".into())]));
    assert_eq!(parent.state(), State::Dial);
    let rings = child.heard(&Heard::Alerting { at: at(5) }, at(5));
    let Some(Effect::Tell { told, .. }) = rings.last() else { panic!("{rings:?}") };
    assert_eq!(orders(&parent.heard(&Heard::Told(told.clone()), at(5))), [&Order::Stop]);
    let over = child.heard(&Heard::NoChannel, at(6));
    assert!(over.contains(&Effect::Tell { to: "d".into(), told: Told::ChildDone { child: "c".into() } }));
    parent.heard(&Heard::Told(Told::ChildDone { child: "c".into() }), at(6));
    assert_eq!(parent.state(), State::Idle);
}

#[test]
fn calls_that_come_in_are_answered_rejected_and_sent_on() {
    let make = || {
        let Heard::HandedOut(line) = handed_out("trunk", ALL) else { panic!() };
        Call::inbound(birth("c", Dialect::B), "123", "456", &["PCMU".to_owned()], line)
    };
    let (mut call, effects) = make();
    let whole = json!({"res_id": "c", "from_uri": "123", "to_uri": "456", "begin_time": 1000, "codecs": ["PCMU"],
        "ipsc_info": {"process_id": "p"}, "user_data": null});
    assert_eq!(events(&effects), [("sys.call.on_incoming".into(), whole)]);
    assert_eq!(refused(&mut call, "call.drop", json!({})), (409, "call.drop cannot be done in the state Initiated".into()));
    let effects = done(&mut call, "call.answer", json!({"max_answer_seconds": 30, "user_data": "mine"}), 2);
    assert_eq!((orders(&effects), call.state()), (vec![&Order::Answer], State::Answer));
    assert_eq!(refused(&mut call, "call.answer", json!({"max_answer_seconds": 30})).0, 409);
    assert_eq!(refused(&mut call, "call.drop", json!({})).0, 409);
    let told = call.heard(&Heard::Connected { at: at(4) }, at(4));
    let whole = json!({"res_id": "c", "error": null, "begin_time": 1002, "end_time": 1004, "user_data": "mine"});
    assert_eq!(events(&told), [("sys.call.on_answer_completed".into(), whole)]);
    // Its time is over: the handset is told so, for nobody told it how long.
    assert_eq!(call.due(), Some(at(34)));
    assert_eq!(orders(&call.tick(at(34))), [&Order::Drop]);
    let over = call.heard(&Heard::Ended(Ended { by: Some(EndedBy::Us), ..Ended::default() }), at(35));
    let told = &events(&over).pop().unwrap().1;
    assert_eq!((&told["call_dir"], &told["cause"], &told["dropped_by"]), (&json!("inbound"), &json!(603), &json!("sys")));

    let (mut call, _) = make();
    assert_eq!(orders(&done(&mut call, "call.reject", json!({"cause": 486}), 2)), [&Order::Reject { cause: 486 }]);
    let over = call.heard(&Heard::Ended(Ended { outcome: Some(CallOutcome::Rejected), ..Ended::default() }), at(3));
    assert_eq!(names(&over), ["sys.on_chan_closed", "sys.call.on_released"]);
    assert_eq!((&events(&over)[1].1["cause"], &events(&over)[1].1["answer_time"]), (&json!(486), &Value::Null));

    let (mut call, _) = make();
    assert_eq!(
        orders(&done(&mut call, "call.redirect", json!({"redirect_uri": "sip:9@pbx"}), 2)),
        [&Order::Redirect { to: "9".into() }]
    );
    assert_eq!(events(&call.tick(at(62)))[1].1["cause"], 302, "also where nobody reports it");

    let (mut call, _) = make();
    assert_eq!(orders(&call.tick(at(20))), [&Order::Reject { cause: 480 }], "nobody decides");
    // Whoever called hangs up first.
    let (mut call, _) = make();
    let over = call.heard(&Heard::Ended(Ended { outcome: Some(CallOutcome::NoAnswer), ..Ended::default() }), at(3));
    assert_eq!((&events(&over)[1].1["cause"], &events(&over)[1].1["dropped_by"]), (&json!(487), &json!("usr")));
    // It hangs up while it is being answered.
    let (mut call, _) = make();
    done(&mut call, "call.answer", json!({"max_answer_seconds": 30}), 2);
    let over = call.heard(&Heard::Ended(Ended { outcome: Some(CallOutcome::NoAnswer), ..Ended::default() }), at(3));
    assert_eq!(events(&over)[0].1["error"], "answer error");
}

fn conference(dialect: Dialect, more: Value) -> Conf {
    let mut all = params(json!({"max_seconds": 600, "user_data": "k"}));
    all.extend(params(more));
    let Construct::Conf(made) = Construct::read(Flow::Conf, &all, "en").unwrap() else { panic!() };
    Conf::new(birth("f", dialect), made, None).0
}

fn of_conf(conf: &mut Conf, name: &str, arguments: Value, now: i64) -> Result<(Value, Vec<Effect>), Refusal> {
    let method = Method::read(Flow::Conf, name, &params(arguments), "en").unwrap();
    conf.request(&method, &Around::default(), at(now))
}

fn enters(conf: &mut Conf, call: &str, handset: &str, now: i64) -> Vec<Effect> {
    let told =
        Told::Entered { call: call.into(), mode: 1, user_data: Some("u".into()), handset: handset.into(), play_file: None };
    conf.heard(&Heard::Told(told), at(now))
}

fn exits(conf: &mut Conf, call: &str, now: i64) -> Vec<Effect> {
    conf.heard(&Heard::Told(Told::Exited { call: call.into() }), at(now))
}

#[test]
fn a_call_enters_a_conference_and_leaves_it() {
    let view = |handset: Option<&str>, released| {
        let handset = handset.map(str::to_owned);
        Around { other: Some(View::Conf { res_id: "f".into(), released, handset }) }
    };
    let asked = json!({"conf_res_id": "f", "max_seconds": 30, "voice_mode": 3, "play_file": "p.wav"});
    let mut call = connected("c", Dialect::B);
    let refusal = ask(&mut call, "call.conf_enter", asked.clone(), &view(Some("gateway"), false), 5).unwrap_err();
    assert!(refusal.code == 409 && refusal.message.contains("trunk") && refusal.message.contains("gateway"));
    assert_eq!(ask(&mut call, "call.conf_enter", asked.clone(), &view(None, true), 5).unwrap_err().code, 404);
    assert_eq!(refused(&mut call, "call.conf_enter", asked.clone()).0, 404);

    let (_, effects) = ask(&mut call, "call.conf_enter", asked.clone(), &view(None, false), 5).unwrap();
    assert_eq!(orders(&effects), [&Order::Join { room: "f".into(), mute: true, deaf: false }]);
    assert_eq!(call.state(), State::Idle, "as in the original");
    assert_eq!(ask(&mut call, "call.conf_enter", asked.clone(), &view(None, false), 5).unwrap_err().code, 409);
    let of = token(&effects);
    let inside = word(&mut call, of, Word::Joined, 6);
    let entered = Told::Entered {
        call: "c".into(),
        mode: 3,
        user_data: Some("u".into()),
        handset: "trunk".into(),
        play_file: Some("p.wav".into()),
    };
    assert_eq!(inside, [Effect::Tell { to: "f".into(), told: entered }]);
    let changed = call.heard(&Heard::Told(Told::VoiceMode { conf: "f".into(), mode: 2 }), at(7));
    assert_eq!(orders(&changed), [&Order::Join { room: "f".into(), mute: false, deaf: true }]);
    let leaves = done(&mut call, "call.conf_exit", json!({"conf_res_id": "f"}), 8);
    assert_eq!(orders(&leaves), [&Order::Leave]);
    let left = word(&mut call, token(&leaves), Word::Left, 9);
    assert_eq!(left[0], Effect::Tell { to: "f".into(), told: Told::Exited { call: "c".into() } });
    let whole = json!({"res_id": "c", "error": null, "begin_time": 1006, "end_time": 1009, "conf_res_id": "f", "user_data": "u"});
    assert_eq!(events(&left), [("sys.call.on_conf_completed".into(), whole)]);

    for (how, error) in
        [("time", "conf timeout"), ("kicked", "kicked from conf"), ("fault", "conf error"), ("hangup", "hungup while in conf")]
    {
        let (_, effects) = ask(&mut call, "call.conf_enter", asked.clone(), &view(None, false), 10).unwrap();
        let of = token(&effects);
        let told = match how {
            "fault" => word(&mut call, of, Word::Error("too_late".into()), 11),
            "hangup" => {
                word(&mut call, of, Word::Joined, 11);
                call.heard(&hung_up(50), at(50))
            }
            _ => {
                word(&mut call, of, Word::Joined, 11);
                let leaves = match how {
                    "time" => call.tick(at(41)),
                    _ => call.heard(&Heard::Told(Told::Kicked { conf: "f".into() }), at(12)),
                };
                assert_eq!(orders(&leaves), [&Order::Leave]);
                word(&mut call, token(&leaves), Word::Left, 42)
            }
        };
        assert_eq!(events(&told)[0].1["error"], error, "{how}");
    }

    // One that still rings enters when it is answered.
    let mut call = outbound(Dialect::A);
    call.heard(&handed_out("trunk", ALL), at(1));
    call.heard(&Heard::Alerting { at: at(2) }, at(2));
    let (_, effects) = ask(&mut call, "call.conf_enter", asked, &view(None, false), 3).unwrap();
    assert_eq!(effects, []);
    assert!(matches!(orders(&call.heard(&Heard::Connected { at: at(4) }, at(4)))[..], [Order::Join { .. }]));
}

#[test]
fn a_conference_ends_when_too_few_are_left() {
    let mut conf = conference(Dialect::A, json!({}));
    let told = enters(&mut conf, "c", "trunk", 1);
    assert_eq!(events(&told), [("ivr.conf.on_entered".into(), json!({"res_id": "f", "call_res_id": "c"}))]);
    assert_eq!(names(&exits(&mut conf, "c", 2)), ["ivr.conf.on_exited"], "a second one never came");
    enters(&mut conf, "c", "trunk", 3);
    enters(&mut conf, "d", "trunk", 3);
    assert_eq!(enters(&mut conf, "e", "gateway", 3), [Effect::Tell { to: "e".into(), told: Told::Kicked { conf: "f".into() } }]);
    assert!(exits(&mut conf, "x", 4).is_empty());
    let over = exits(&mut conf, "d", 5);
    assert!(over.contains(&Effect::Tell { to: "c".into(), told: Told::Kicked { conf: "f".into() } }));
    let told = events(&over).pop().unwrap();
    assert_eq!(told, ("ivr.conf.on_released".into(), json!({"res_id": "f", "begin_time": 1000, "end_time": 1005})));
    assert!(exits(&mut conf, "c", 6).is_empty() && conf.due().is_none());
    assert_eq!(of_conf(&mut conf, "conf.release", json!({}), 7).unwrap_err().code, 404);

    // It is kept, until nobody has come for a while.
    let mut conf = conference(Dialect::B, json!({"parts_threshold": -1}));
    enters(&mut conf, "c", "trunk", 1);
    enters(&mut conf, "d", "trunk", 1);
    assert!(exits(&mut conf, "c", 2).is_empty() && exits(&mut conf, "d", 10).is_empty());
    assert_eq!(conf.due(), Some(at(190)));
    let told = conf.tick(at(190));
    let whole = json!({"res_id": "f", "begin_time": 1000, "end_time": 1190, "user_data": "k"});
    assert_eq!(events(&told), [("sys.conf.on_released".into(), whole)]);

    let mut conf = conference(Dialect::B, json!({}));
    enters(&mut conf, "c", "trunk", 1);
    enters(&mut conf, "d", "trunk", 1);
    let (value, told) = of_conf(&mut conf, "conf.set_parts_threshold", json!({"value": 0}), 2).unwrap();
    assert_eq!((value, told.len()), (json!(0), 0));
    assert!(exits(&mut conf, "c", 2).is_empty());
    assert_eq!(names(&exits(&mut conf, "d", 3)), ["sys.conf.on_released"]);
    // All of its time is over; its handset is started again.
    assert_eq!(names(&conference(Dialect::B, json!({})).tick(at(600))), ["sys.conf.on_released"]);
    let told = conference(Dialect::B, json!({})).heard(&Heard::Restarted, at(5));
    assert_eq!(events(&told)[0].1["error"], "handset restarted");
}

#[test]
fn a_conference_plays_and_is_recorded() {
    let mut conf = conference(Dialect::B, json!({"bg_file": "b.wav", "record_file": "r.wav"}));
    let refusal = of_conf(&mut conf, "conf.play_start", json!({"content": "a.wav"}), 1).unwrap_err();
    assert!(refusal.code == 409 && refusal.message.contains("nobody"));
    let told = enters(&mut conf, "c", "trunk", 2);
    let background = Order::RoomPlay { room: "f".into(), parts: vec![Part::File("b.wav".into())], looped: true };
    assert_eq!(orders(&told), [&Order::RoomRecord { room: "f".into(), file: "r.wav".into(), seconds: 600 }, &background]);
    enters(&mut conf, "d", "trunk", 2);
    let (_, effects) = of_conf(&mut conf, "conf.play_start", json!({"file": "a.wav"}), 3).unwrap();
    let play = token(&effects);
    assert_eq!(of_conf(&mut conf, "conf.play_start", json!({"content": "a.wav"}), 3).unwrap_err().code, 409);
    let told = conf.heard(&Heard::Word { token: play, word: Word::Played }, at(5));
    let whole = json!({"res_id": "f", "begin_time": 1003, "end_time": 1005, "user_data": "k"});
    assert_eq!(events(&told), [("sys.conf.on_play_completed".into(), whole)]);
    assert_eq!(orders(&told), [&background], "it goes on");
    assert_eq!(of_conf(&mut conf, "conf.play_stop", json!({}), 6).unwrap_err().code, 409);
    assert_eq!(of_conf(&mut conf, "conf.record_start", json!({"record_file": "s", "max_seconds": 5}), 6).unwrap_err().code, 409);
    let (_, effects) = of_conf(&mut conf, "conf.record_stop", json!({}), 7).unwrap();
    assert_eq!(orders(&effects), [&Order::RoomEndRecording { room: "f".into() }]);
    let told = conf.heard(&Heard::Word { token: 1, word: Word::Recording("x".into()) }, at(8));
    let whole = json!({"res_id": "f", "begin_time": 1002, "end_time": 1008, "record_file": "r.wav", "user_data": "k"});
    assert_eq!(events(&told), [("sys.conf.on_record_completed".into(), whole)]);
    let (path, _) = of_conf(&mut conf, "conf.record_start", json!({"record_file": "s", "max_seconds": 5}), 9).unwrap();
    assert_eq!(path, "s");
    let parts = json!([{"res_id": "c", "voice_mode": 1, "user_data": "u"}, {"res_id": "d", "voice_mode": 4, "user_data": "u"}]);
    let (_, effects) = of_conf(&mut conf, "conf.set_part_voice_mode", json!({"call_res_id": "d", "mode": 4}), 9).unwrap();
    assert_eq!(effects, [Effect::Tell { to: "d".into(), told: Told::VoiceMode { conf: "f".into(), mode: 4 } }]);
    assert_eq!(of_conf(&mut conf, "conf.get_parts", json!({}), 9).unwrap().0, parts);
    assert_eq!(of_conf(&mut conf, "conf.set_part_voice_mode", json!({"call_res_id": "x", "mode": 4}), 9).unwrap_err().code, 404);
    let (_, over) = of_conf(&mut conf, "conf.release", json!({}), 10).unwrap();
    assert_eq!(names(&over), ["sys.conf.on_record_completed", "sys.conf.on_released"]);
}

#[test]
fn an_announcement_tells_one_thing() {
    let all = params(json!({"from_uri": "1", "to_uri": "4", "play_content": "a.wav", "user_data": "u"}));
    let Construct::Notify(made) = Construct::read(Flow::NotifyCall, &all, "en").unwrap() else { panic!() };
    // The announcement and its call, which hear of each other until both have nothing more to say.
    let told = |can: &str, heard: &[(Heard, i64)]| {
        let (mut notify, effects) = Notify::new(birth("n", Dialect::B), made.clone());
        let [Effect::Raise { res_id, call }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!((res_id.as_str(), call.to.user.as_str(), call.max_ring_seconds), ("n.1", "4", 50));
        let (mut leg, _) = Call::leg(birth("n.1", Dialect::B), (**call).clone(), "n".to_owned());
        let mut told = Vec::new();
        let first = (handed_out("trunk", can), 1);
        for (heard, now) in std::iter::once(&first).chain(heard) {
            let mut effects = leg.heard(heard, at(*now));
            while !effects.is_empty() {
                let effect = effects.remove(0);
                match effect {
                    Effect::Tell { to, told } if to == "n" => effects.extend(notify.heard(&Heard::Told(told), at(*now))),
                    Effect::Tell { told, .. } => effects.extend(leg.heard(&Heard::Told(told), at(*now))),
                    other => told.push(other),
                }
            }
        }
        (told, notify.is_released())
    };
    let last = |told: &[Effect]| events(told).pop().unwrap();
    let answered = (Heard::Connected { at: at(4) }, 4);
    let played = (Heard::Word { token: 1, word: Word::Played }, 8);
    let ended = |outcome, by, detail| (Heard::Ended(Ended { outcome: Some(outcome), by, detail, ..Ended::default() }), 9);
    let by_us = ended(CallOutcome::Answered, Some(EndedBy::Us), None);

    let (heard, over) = told(ALL, &[answered.clone(), played, by_us]);
    let play = Order::Play { parts: vec![Part::File("a.wav".into())], repeat: 1, finish: String::new() };
    assert_eq!((orders(&heard), over), (vec![&play, &Order::Drop], true));
    assert_eq!(names(&heard), ["sys.on_chan_closed", "ext.notify_call.on_released"]);
    let whole = json!({"res_id": "n", "error": null, "begin_time": 1000, "answer_time": 1004, "end_time": 1009,
        "dropped_by": "sys", "user_data": "u"});
    assert_eq!(last(&heard).1, whole);

    let hung_up = ended(CallOutcome::Answered, Some(EndedBy::Callee), None);
    let (heard, _) = told(ALL, &[answered.clone(), hung_up.clone()]);
    assert_eq!((&last(&heard).1["error"], &last(&heard).1["dropped_by"]), (&Value::Null, &json!("usr")));
    let unplayed = (Heard::Word { token: 1, word: Word::Error("media".into()) }, 8);
    let (heard, _) = told(ALL, &[answered.clone(), unplayed, hung_up.clone()]);
    assert_eq!(last(&heard).1["error"], "play error");
    // A modem can hang up and not speak; of a phone only the end is known.
    let (heard, over) = told("hangup", &[answered, hung_up.clone()]);
    assert_eq!((&last(&heard).1["error"], heard.contains(&Effect::CancelDial), over), (&json!("play error"), true, true));
    assert_eq!(last(&told("", &[hung_up]).0).1["error"], "play error");

    for (heard, error) in [
        (ended(CallOutcome::NoAnswer, None, None), "ring timeout"),
        (ended(CallOutcome::Busy, None, None), "dial failed"),
        (ended(CallOutcome::Failed, None, Some(FailureDetail::Trunk)), "dial error"),
        ((Heard::NoReport, 9), "no report"),
    ] {
        let (heard, over) = told(ALL, &[heard]);
        assert_eq!((&last(&heard).1["error"], over), (&json!(error), true));
    }
}

#[test]
fn a_callback_calls_one_and_then_the_other_and_connects_them() {
    let all = params(json!({"to1_uri": "4", "to2_uri": "5", "max_connect_seconds": 60, "record_file": "x.wav", "user_data": "k",
        "user_data1": "u1", "ring_play_file": "r.wav"}));
    let Construct::Duo(made) = Construct::read(Flow::DuoCallback, &all, "en").unwrap() else { panic!() };
    let make = || Duo::new(birth("t", Dialect::B), made.clone());
    let dialled = |leg: &str, error: Option<&str>, now: i64| {
        let (leg, error) = (leg.to_owned(), error.map(str::to_owned));
        let answered = error.is_none().then(|| at(now));
        Heard::Told(Told::LegDialled { leg, error, begin: at(0), answered, end: at(now) })
    };
    let released = |leg: &str| Heard::Told(Told::LegReleased { leg: leg.to_owned(), end: at(20), dropped_by: None, error: None });
    let (mut duo, effects) = make();
    let [Effect::Raise { res_id, call }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((res_id.as_str(), call.to.user.as_str(), call.user_data.as_deref()), ("t.1", "4", Some("u1")));
    let told = duo.heard(&dialled("t.1", None, 5), at(5));
    assert_eq!(names(&told), ["ext.duo_callback.on_dial1_completed", "ext.duo_callback.on_dial2_started"]);
    let Some(Effect::Raise { res_id, call }) = told.last() else { panic!("{told:?}") };
    assert_eq!(
        (res_id.as_str(), call.parent_call.as_deref(), call.ring_play_file.as_deref()),
        ("t.2", Some("t.1"), Some("r.wav"))
    );
    let told = duo.heard(&dialled("t.2", None, 9), at(9));
    let connect = Told::Connect { with: "t.2".into(), seconds: 60, file: Some("x.wav".into()) };
    assert_eq!(told.last(), Some(&Effect::Tell { to: "t.1".into(), told: connect }));
    let cancel = |duo: &mut Duo| duo.request(&Method::Cancel, &Around::default(), at(10));
    assert_eq!(cancel(&mut duo).unwrap_err().code, 409);
    let ends = duo.heard(&released("t.2"), at(20));
    assert_eq!(ends, [Effect::Tell { to: "t.1".into(), told: Told::End }]);
    let over = duo.heard(&released("t.1"), at(22));
    let whole = json!({"res_id": "t", "error": null, "begin_time": 1000, "answer_time": 1005, "connect_time": 1009,
        "end_time": 1020, "user_data": "k"});
    assert_eq!(events(&over), [("ext.duo_callback.on_released".into(), whole)]);

    let (mut duo, _) = make();
    duo.heard(&dialled("t.1", Some("dial timeout"), 5), at(5));
    let over = duo.heard(&released("t.1"), at(5));
    assert_eq!((&events(&over)[0].1["error"], &events(&over)[0].1["connect_time"]), (&json!("dial timeout"), &Value::Null));

    let (mut duo, _) = make();
    duo.heard(&dialled("t.1", None, 5), at(5));
    let (_, effects) = cancel(&mut duo).unwrap();
    assert_eq!(effects.len(), 2, "both are hung up");
    duo.heard(&released("t.1"), at(11));
    assert_eq!(events(&duo.heard(&released("t.2"), at(12)))[0].1["error"], "cancelled");
}
