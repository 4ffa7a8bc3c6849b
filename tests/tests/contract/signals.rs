//! Monitoring systems in their own words: what they say is raised, ended, taken or noted, in the same way for all of them.

use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::senders::key;

on_both!(
    zabbix_from_the_problem_to_its_end,
    what_is_over_is_not_raised_by_what_was_late,
    an_end_that_overtakes_its_beginning_is_remembered,
    an_end_that_came_alone_holds_back_one_beginning_and_no_more,
    whom_a_repeat_names_is_rung_as_well,
    ten_problems_name_two_people_one_after_the_other,
    two_people_are_named_for_ten_problems_each,
    who_is_named_by_a_repeat_that_is_worse_is_rung_before_the_hunt_goes_on,
    a_sender_s_acknowledgement_leaves_the_wish_to_be_rung_again,
    a_form_an_address_and_a_list,
    people_teams_and_policies_are_named_by_their_names,
    what_is_less_urgent_is_not_rung_for,
    what_cannot_be_used_is_told_and_costs_the_others_nothing,
    nobody_ends_what_another_sender_said,
    pagerduty_s_events_are_taken_and_answered_in_its_words,
    opsgenie_s_alerts_are_taken_and_answered_in_its_words,
    what_left_a_hunt_comes_back_into_it_when_it_gets_worse,
    a_list_that_is_sent_again_rings_nobody_twice,
    a_list_in_the_same_words_for_others_or_after_its_end_is_another_one,
    who_sends_only_once_has_more_room_and_a_list_takes_what_it_holds,
    prometheus_tells_its_alerts_as_an_alertmanager_is_told,
    what_nobody_speaks_of_any_more_is_over,
    what_is_said_again_and_again_is_meant_by_how_its_end_moves,
    one_of_two_that_watch_the_same_does_not_mute_the_other,
    what_a_person_called_off_does_not_ring_again_while_it_is_told,
    an_end_that_no_clock_reaches_harms_nobody,
    what_some_senders_look_for_in_the_answer_and_what_rings_nobody,
);

/// What is answered to a message.
async fn posted(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    let request = server.http.post(format!("{}/api/v1/intake/{path}", server.base)).json(body);
    let answer = request.sent().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What became of the only signal in a message that is taken.
async fn became(server: &Server, path: &str, body: &Value) -> Value {
    let (status, answer) = posted(server, path, body).await;
    assert_eq!((status, answer["alarms"].as_array().map(Vec::len)), (200, Some(1)), "{answer}");
    answer["alarms"][0].clone()
}

/// A problem as the script of our media type posts it.
fn zabbix(change: Value) -> Value {
    let mut body = json!({
        "event_source": "0", "event_id": "1042", "event_value": "1", "update_status": "0", "severity": "5", "name": "磁盘满",
        "host": "db1", "to": A, "trigger_id": "17", "zabbix_url": "http://zabbix.example", "tags": [{ "tag": "team", "value": "db" }],
        "message": "{TRIGGER.DESCRIPTION}", "user": "Li Na", "update_action": "", "update_message": ""
    });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    body
}

async fn zabbix_from_the_problem_to_its_end(home: Home) {
    let server = home.start().await;
    let test = became(&server, "zabbix", &zabbix(json!({ "event_id": "{EVENT.ID}" }))).await;
    assert_eq!(test, json!({ "id": null, "outcome": "test" }));
    let raised = became(&server, "zabbix", &zabbix(json!({}))).await;
    assert_eq!(raised["outcome"], "created");
    let id = raised["id"].as_str().unwrap();
    let alarm = server.alarm(id).await;
    assert_eq!(
        (&alarm["summary"], &alarm["priority"], &alarm["source"]),
        (&json!("db1: 磁盘满"), &json!("critical"), &json!("zabbix"))
    );
    assert_eq!((&alarm["labels"]["team"], &alarm["callees"][0]["number"]), (&json!("db"), &json!("+8618712345678")), "{alarm}");
    let link = "http://zabbix.example/tr_events.php?triggerid=17&eventid=1042";
    assert_eq!((&alarm["labels"]["url"], &alarm["details"]), (&json!(link), &json!(link)));
    // Once for each user and step.
    assert_eq!(became(&server, "zabbix", &zabbix(json!({}))).await["outcome"], "repeated");
    let update =
        |action: &str, words: &str| zabbix(json!({ "update_status": "1", "update_action": action, "update_message": words }));
    assert_eq!(became(&server, "zabbix", &update("commented", "looking")).await["outcome"], "noted");
    assert_eq!(became(&server, "zabbix", &update("acknowledged", "on it")).await["outcome"], "acknowledged");
    let alarm = server.alarm(id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["name"]), (&json!("answered"), &json!("Li Na")), "{alarm}");
    let over = became(&server, "zabbix", &zabbix(json!({ "event_value": "0" }))).await;
    assert_eq!((&over["outcome"], &over["id"]), (&json!("resolved"), &json!(id)));
    for _ in 0..2 {
        let again = became(&server, "zabbix", &zabbix(json!({ "event_value": "0" }))).await;
        assert_eq!(again["outcome"], "nothing_open");
    }
    assert_eq!(became(&server, "zabbix", &update("acknowledged", "late")).await["outcome"], "nothing_open");
    assert_eq!(server.items("/api/v1/alarms").await.as_array().unwrap().len(), 1);
}

async fn what_is_over_is_not_raised_by_what_was_late(home: Home) {
    let server = home.start().await;
    let at = |state: &str, minute: i64| {
        let time = server.now() + chrono::TimeDelta::minutes(minute);
        json!({ "state": state, "summary": "Disk full", "dedup_key": "d", "time": time.to_rfc3339(), "phones": A })
    };
    assert_eq!(became(&server, "generic", &at("firing", -10)).await["outcome"], "created");
    assert_eq!(became(&server, "generic", &at("resolved", -5)).await["outcome"], "resolved");
    assert_eq!(became(&server, "generic", &at("firing", -8)).await["outcome"], "stale", "it tells of before the end");
    assert_eq!(became(&server, "generic", &at("firing", -1)).await["outcome"], "reopened");
    assert_eq!(became(&server, "generic", &at("resolved", -5)).await["outcome"], "stale", "the end of the fire before");
}

async fn an_end_that_overtakes_its_beginning_is_remembered(home: Home) {
    let server = home.start().await;
    let at = |key: &str, state: &str, minute: i64| {
        let time = server.now() + chrono::TimeDelta::minutes(minute);
        json!({ "state": state, "summary": "Disk full", "dedup_key": key, "time": time.to_rfc3339(), "phones": A })
    };
    assert_eq!(became(&server, "generic", &at("d", "resolved", -5)).await["outcome"], "nothing_open");
    assert_eq!(became(&server, "generic", &at("d", "firing", -8)).await["outcome"], "stale", "it was over before it was told");
    assert_eq!(became(&server, "generic", &at("e", "firing", -8)).await["outcome"], "created", "another one");
    assert_eq!(became(&server, "generic", &at("d", "firing", -4)).await["outcome"], "created", "another fire");
    // Nothing is on its way for so long.
    assert_eq!(became(&server, "generic", &at("f", "resolved", -5)).await["outcome"], "nothing_open");
    server.pass(601).await;
    assert_eq!(became(&server, "generic", &at("f", "firing", -20)).await["outcome"], "created", "in doubt it rings");
}

async fn an_end_that_came_alone_holds_back_one_beginning_and_no_more(home: Home) {
    let server = home.start().await;
    let at = |key: &str, state: &str, minute: i64| {
        let time = server.now() + chrono::TimeDelta::minutes(minute);
        json!({ "state": state, "summary": "Disk full", "dedup_key": key, "time": time.to_rfc3339(), "phones": A })
    };
    assert_eq!(became(&server, "generic", &at("d", "resolved", -5)).await["outcome"], "nothing_open");
    assert_eq!(became(&server, "generic", &at("d", "firing", -8)).await["outcome"], "stale");
    assert_eq!(became(&server, "generic", &at("d", "firing", -7)).await["outcome"], "created", "who says it again means it");
    // A monitor that says every minute that all is well, by a clock that is ahead of its own alarms.
    for _ in 0..2 {
        assert_eq!(became(&server, "generic", &at("e", "resolved", -5)).await["outcome"], "nothing_open");
    }
    assert_eq!(became(&server, "generic", &at("e", "firing", -8)).await["outcome"], "created", "that was a state, and no end");
}

async fn whom_a_repeat_names_is_rung_as_well(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let desk = server.pair("desk", Profile::List).await;
    let fire = |key: &str, whom: &[&str]| json!({ "summary": "Disk full", "dedup_key": key, "phones": whom });
    let id = became(&server, "generic", &fire("d", &[A])).await["id"].as_str().unwrap().to_owned();
    let beside = became(&server, "generic", &fire("e", &[A])).await["id"].as_str().unwrap().to_owned();
    let numbers = async |id: &str| {
        let alarm = server.alarm(id).await;
        let callees = alarm["callees"].as_array().unwrap().clone();
        callees.iter().map(|one| one["number"].as_str().unwrap().trim_start_matches("+86").to_owned()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(became(&server, "generic", &fire("d", &[B, A])).await["outcome"], "repeated");
        assert_eq!(numbers(&id).await, [A, B]);
    }
    assert_eq!(numbers(&beside).await, [A], "what is beside it does not concern them");
    let kinds =
        server.alarm(&id).await["timeline"].as_array().unwrap().iter().filter(|event| event["kind"] == "rung_also").count();
    assert_eq!(kinds, 1);
    // The next alarm for A alone is none of B's.
    let third = became(&server, "generic", &fire("f", &[A])).await["id"].as_str().unwrap().to_owned();
    assert_eq!(numbers(&third).await, [A]);
    let mut rung = Vec::new();
    for _ in 0..2 {
        let (mid, phones) = server.dial(&desk).await;
        rung.extend(phones);
        server.report(&desk, &mid, None).await;
    }
    assert!(rung.iter().any(|number| number == B), "{rung:?}");
    // Nobody else is rung for what somebody has taken, and a name that leads nowhere refuses no repeat.
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({})).await.0, 200);
    assert_eq!(became(&server, "generic", &fire("d", &[C])).await["outcome"], "repeated");
    assert_eq!(numbers(&id).await, [A, B]);
}

async fn ten_problems_name_two_people_one_after_the_other(home: Home) {
    rung_together(home, |problem| problem).await;
}

async fn two_people_are_named_for_ten_problems_each(home: Home) {
    rung_together(home, |_| 0).await;
}

/// As Zabbix and Nagios do: a message for each of ten problems and each of two people, in an order by problem or by person.
async fn rung_together(home: Home, round: impl Fn(usize) -> usize) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let desk = server.pair("desk", Profile::List).await;
    let mut messages: Vec<(usize, &str)> = (0..10).flat_map(|problem| [(problem, A), (problem, B)]).collect();
    messages.sort_by_key(|(problem, whom)| (round(*problem), *whom));
    for (problem, whom) in messages {
        let name = format!("problem {problem}");
        became(&server, "generic", &json!({ "summary": name, "dedup_key": name, "phones": whom })).await;
    }
    let alarms = async || server.items("/api/v1/alarms").await.as_array().unwrap().clone();
    assert_eq!(alarms().await.len(), 10);
    for alarm in alarms().await {
        let alarm = server.alarm(alarm["id"].as_str().unwrap()).await;
        let numbers: Vec<&Value> = alarm["callees"].as_array().unwrap().iter().map(|one| &one["number"]).collect();
        assert_eq!(numbers, ["+8618712345678", "+8618812345678"], "{alarm}");
    }
    let all_taken = async || alarms().await.iter().all(|alarm| alarm["state"] == "answered");
    for _ in 0..2 {
        if !all_taken().await {
            let (mid, phones) = server.dial(&desk).await;
            server.report(&desk, &mid, phones.first().map(String::as_str)).await;
        }
    }
    assert!(all_taken().await, "two calls at most for ten problems of the same two people: {:?}", alarms().await);
}

async fn who_is_named_by_a_repeat_that_is_worse_is_rung_before_the_hunt_goes_on(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let fire = |severity: &str, whom: &str| json!({ "summary": "x", "dedup_key": "d", "severity": severity, "phones": whom });
    let id = became(&server, "generic", &fire("high", A)).await["id"].as_str().unwrap().to_owned();
    let (mid, _) = server.dial(&desk).await;
    assert_eq!(became(&server, "generic", &fire("critical", B)).await["outcome"], "repeated");
    server.report(&desk, &mid, None).await;
    assert_ne!(server.state(&id).await, "exhausted", "somebody is left");
    let (mid, phones) = server.dial(&desk).await;
    assert!(phones.iter().any(|number| number == B), "{phones:?}");
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_sender_s_acknowledgement_leaves_the_wish_to_be_rung_again(home: Home) {
    let server = home.start().await;
    let id = became(&server, "zabbix", &zabbix(json!({}))).await["id"].as_str().unwrap().to_owned();
    let taken = json!({ "name": "Ann", "ring_again_after_seconds": 3_600 });
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &taken).await.0, 200);
    let until = server.alarm(&id).await["rings_again_at"].clone();
    assert!(until.is_string());
    let update = zabbix(json!({ "update_status": "1", "update_action": "acknowledged", "update_message": "Ann has it" }));
    assert_eq!(became(&server, "zabbix", &update).await["outcome"], "acknowledged");
    assert_eq!(server.alarm(&id).await["rings_again_at"], until, "Zabbix cannot say that, so it does not say otherwise");
}

async fn a_form_an_address_and_a_list(home: Home) {
    let server = home.start().await;
    let url = format!("{}/api/v1/intake", server.base);
    let form = format!("status=CRITICAL&summary=99+%25+%22full%22+%C3%A9&phones={A}");
    let posted = server.http.post(format!("{url}/generic/")).body(form).send().await.unwrap();
    let answer: Value = posted.json().await.unwrap();
    let alarm = server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await;
    assert_eq!((&alarm["summary"], &alarm["priority"]), (&json!("99 % \"full\" é"), &json!("critical")));
    // What it is, it says itself, whatever it is called.
    let body = json!([{ "summary": "one", "phones": A }, { "summary": "two", "id": "2", "state": "ok" }, 3]).to_string();
    let request =
        server.http.put(format!("{url}/generic")).header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let outcomes: Vec<&str> = answer["alarms"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["created", "nothing_open", "refused"], "{answer}");
    let part = |name: &str, value: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let parts = format!("{}{}--x--\r\n", part("summary", "in parts"), part("phones", A));
    let request = server.http.post(format!("{url}/generic")).header("content-type", "multipart/form-data; boundary=x");
    let answer = request.body(parts).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["alarms"][0]["outcome"], "created");
    // Fields in the address, as LibreNMS sends its options.
    let address = format!("{url}/generic?summary=from%20the%20address&phones={A}");
    let answer: Value = server.http.post(address).send().await.unwrap().json().await.unwrap();
    let alarm = server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await;
    assert_eq!(alarm["summary"], "from the address");
    let fetched = server.http.get(format!("{url}/generic?summary=x")).send().await.unwrap();
    assert_eq!(fetched.status(), 405, "who can post has to");
    let picture = format!("{url}/kuma?msg=down&phones={A}");
    let fetched = server.http.get(&picture).send().await.unwrap();
    assert_eq!(fetched.status(), 401, "a picture on a page rings nobody");
    let key = key(&server, "kuma", &[A]).await;
    let fetched = server.http.get(&picture).bearer_auth(&key).send().await.unwrap();
    assert_eq!(fetched.json::<Value>().await.unwrap()["alarms"][0]["outcome"], "created");
    // A topic's bare text.
    let raw = server
        .http
        .post(format!("{url}/sns?phones={A}"))
        .header("x-amz-sns-rawdelivery", "true")
        .body("[ALARM] disk full on db1");
    let answer: Value = raw.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["alarms"][0]["outcome"], "created", "{answer}");
    let slash = server.http.post(format!("{url}/alertmanager/")).json(&json!({ "version": "4" })).send().await.unwrap();
    assert_eq!(slash.status(), 422);
}

async fn people_teams_and_policies_are_named_by_their_names(home: Home) {
    let server = home.start().await;
    assert_eq!(server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [B] })).await.0, 201);
    let message = |whom: &str| json!({ "summary": "Disk full", "phones": whom });
    let raised = became(&server, "generic", &message(&format!("{A}, Li Na, nobody of ours"))).await;
    let alarm = server.alarm(raised["id"].as_str().unwrap()).await;
    let numbers: Vec<&Value> = alarm["callees"].as_array().unwrap().iter().map(|callee| &callee["number"]).collect();
    assert_eq!(numbers, ["+8618712345678", "+8618812345678"], "{alarm}");
    assert_eq!(alarm["details"], "not dialable: nobody of ours");
    let named = became(&server, "generic?phones=Li%20Na", &json!({ "summary": "by the address" })).await;
    let alarm = server.alarm(named["id"].as_str().unwrap()).await;
    assert_eq!(alarm["callees"][0]["name"], "Li Na", "{alarm}");
    let (status, none) = posted(&server, "generic", &json!({ "summary": "whom?" })).await;
    assert_eq!((status, &none["field"]), (422, &json!("phones")), "{none}");
    assert_eq!(became(&server, "generic?policy=none", &message(A)).await["outcome"], "created", "who is named is rung");
    let (status, unknown) = posted(&server, "generic?policy=none", &json!({ "summary": "whom?" })).await;
    assert_eq!((status, &unknown["field"]), (422, &json!("phones")), "{unknown}");
    let odd = became(&server, "generic", &message(&format!("Li\u{0}Na, {A}, {}", "a,".repeat(5_000)))).await;
    assert_eq!(odd["outcome"], "created", "no name is too odd to ring the others");
}

async fn what_is_less_urgent_is_not_rung_for(home: Home) {
    let server = home.start().await;
    let message = |severity: &str| json!({ "summary": "x", "severity": severity, "phones": A });
    let path = "generic?min_priority=high";
    assert_eq!(became(&server, path, &message("warning")).await["outcome"], "ignored");
    assert_eq!(became(&server, path, &message("critical")).await["outcome"], "created");
    let raised = became(&server, "generic?priority=low", &message("critical")).await;
    assert_eq!(server.alarm(raised["id"].as_str().unwrap()).await["priority"], "low");
    let rung = became(&server, "generic?test=ring", &json!({ "state": "test", "summary": "a test", "phones": A })).await;
    assert_eq!(rung["outcome"], "created");
    assert_eq!(posted(&server, "generic?min_priority=violet", &message("critical")).await.0, 422);
}

async fn what_cannot_be_used_is_told_and_costs_the_others_nothing(home: Home) {
    let server = home.start().await;
    let (status, none) = posted(&server, "zabix", &json!({})).await;
    assert!(status == 404 && none["detail"].as_str().unwrap().contains("zabbix"), "{none}");
    let (status, empty) = posted(&server, "generic", &json!({ "foo": 1 })).await;
    assert!(status == 422 && empty["detail"].as_str().unwrap().contains("title"), "{empty}");
    for body in ["{", "[", "\u{0}", "no form at all"] {
        let request = server.http.post(format!("{}/api/v1/intake/generic", server.base)).body(body);
        assert_eq!(request.send().await.unwrap().status(), 400, "{body:?}");
    }
    let many: Vec<Value> = (0..1_001).map(|number| json!({ "state": "ok", "id": number })).collect();
    let (status, answer) = posted(&server, "generic", &json!(many)).await;
    assert_eq!((status, answer["alarms"].as_array().unwrap().len()), (200, 1_001));
    assert!(answer["alarms"][1_000]["detail"].as_str().unwrap().starts_with("1 more"), "{}", answer["alarms"][1_000]);
    let long = json!({ "summary": "x".repeat(5_000), "details": "y".repeat(300_000), "phones": A, "id": "k".repeat(9_000) });
    let raised = became(&server, "generic", &long).await;
    assert_eq!(raised["outcome"], "created", "nothing is refused for its length");
    assert_eq!(became(&server, "generic", &long).await["outcome"], "repeated");
}

async fn nobody_ends_what_another_sender_said(home: Home) {
    let server = home.start().await;
    let (one, other) = (key(&server, "one", &[A]).await, key(&server, "other", &[A]).await);
    let said = async |key: &str, state: &str| {
        let request = server.http.post(format!("{}/k/{key}/api/v1/intake/generic", server.base));
        let answer = request.json(&json!({ "state": state, "summary": "x", "id": "same" })).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["alarms"][0]["outcome"].clone()
    };
    assert_eq!(said(&one, "down").await, "created");
    assert_eq!(said(&other, "up").await, "nothing_open");
    assert_eq!(said(&other, "down").await, "created");
    assert_eq!(said(&one, "up").await, "resolved");
}

async fn pagerduty_s_events_are_taken_and_answered_in_its_words(home: Home) {
    let server = home.start().await;
    let key = key(&server, "pd", &[A]).await;
    let send = async |path: &str, body: Value| {
        let answer = server.http.post(format!("{}{path}", server.base)).body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let event = |action: &str, payload: Value| json!({ "routing_key": key, "event_action": action, "dedup_key": "k", "payload": payload });
    let payload = json!({ "summary": "Disk full", "source": "db1", "severity": "critical", "custom_details": { "free": "1 %" } });
    let accepted = json!({ "status": "success", "message": "Event processed", "dedup_key": "k" });
    assert_eq!(send("/v2/enqueue", event("trigger", payload.clone())).await, (202, accepted.clone()));
    let alarms = server.items("/api/v1/alarms").await;
    assert_eq!(
        (&alarms[0]["summary"], &alarms[0]["priority"], &alarms[0]["source"]),
        (&json!("Disk full"), &json!("critical"), &json!("pd"))
    );
    assert_eq!(send("/v2/enqueue", event("acknowledge", Value::Null)).await, (202, accepted.clone()));
    assert_eq!(server.state(alarms[0]["id"].as_str().unwrap()).await, "answered");
    assert_eq!(send("/v2/enqueue", event("resolve", Value::Null)).await, (202, accepted.clone()));
    assert_eq!(send("/v2/enqueue", event("resolve", Value::Null)).await, (202, accepted), "of nothing: dropped");
    let made_up = send("/v2/enqueue", json!({ "routing_key": key, "event_action": "trigger", "payload": payload })).await;
    assert!(made_up.0 == 202 && made_up.1["dedup_key"].as_str().is_some_and(|key| key.len() == 32), "{made_up:?}");
    let old = json!({ "service_key": key, "event_type": "trigger", "incident_key": "i", "description": "old" });
    let taken = json!({ "status": "success", "message": "Event processed", "incident_key": "i" });
    assert_eq!(send("/generic/2010-04-15/create_event.json", old).await, (200, taken));
    let (status, by_address) = send(
        &format!("/v2/enqueue?phones={B}"),
        json!({ "routing_key": key, "event_action": "trigger", "dedup_key": "b", "payload": { "summary": "whom?", "source": "x", "severity": "info" } }),
    )
    .await;
    assert_eq!(status, 202, "{by_address}");
    let alarms = server.items("/api/v1/alarms").await;
    let alarm = server.alarm(alarms[0]["id"].as_str().unwrap()).await;
    assert_eq!(alarm["callees"][0]["number"], "+8618812345678", "what the address asks for counts here as well: {alarm}");
    let change = json!({ "routing_key": key, "payload": { "summary": "deployed" } });
    assert_eq!(send("/v2/change/enqueue", change).await.0, 202);
    for (path, body, error) in [
        ("/v2/enqueue".to_owned(), json!({ "routing_key": "wrong", "event_action": "trigger" }), "Invalid routing key"),
        ("/v2/enqueue".to_owned(), json!({ "event_action": "trigger" }), "'routing_key' is missing or blank"),
        (
            format!("/k/{key}/v2/enqueue"),
            json!({ "event_action": "trigger", "payload": {} }),
            "'payload.summary' is missing or blank",
        ),
    ] {
        let (status, told) = send(&path, body).await;
        assert_eq!((status, &told["status"], &told["errors"][0]), (400, &json!("invalid event"), &json!(error)), "{told}");
    }
    let (status, told) = send("/v2/enqueue", json!({ "routing_key": key, "x": "y".repeat(600_000) })).await;
    assert!(status == 413 && told["errors"][0].is_string(), "{status} {told}");
}

async fn opsgenie_s_alerts_are_taken_and_answered_in_its_words(home: Home) {
    let server = home.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let key = key(&server, "og", &[A]).await;
    let ask = async |method: &str, path: &str, body: Value| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request =
            server.http.request(method, format!("{}/v2/{path}", server.base)).header("authorization", format!("GenieKey {key}"));
        let answer = if body.is_null() { request } else { request.body(body.to_string()) }.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let done = async |request: &Value| {
        let path = format!("alerts/requests/{}", request["requestId"].as_str().unwrap());
        ask("GET", &path, Value::Null).await.1["data"].clone()
    };
    let alert = json!({ "message": "Disk full", "alias": "db1/disk", "priority": "P1", "tags": ["team:db"], "entity": "db1" });
    let (status, request) = ask("POST", "alerts/", alert).await;
    assert_eq!((status, &request["result"]), (202, &json!("Request will be processed")), "{request}");
    let created = done(&request).await;
    assert_eq!(
        (&created["success"], &created["action"], &created["alias"]),
        (&json!(true), &json!("Create"), &json!("db1/disk")),
        "{created}"
    );
    let id = created["alertId"].as_str().unwrap();
    let shown = ask("GET", &format!("alerts/{id}"), Value::Null).await.1["data"].clone();
    assert_eq!(
        (&shown["message"], &shown["status"], &shown["priority"]),
        (&json!("Disk full"), &json!("open"), &json!("P1")),
        "{shown}"
    );
    let by_alias = "alerts/db1%2Fdisk";
    for (path, body) in [("notes", json!({ "note": "looking", "user": "li" })), ("acknowledge", json!({ "user": "li" }))] {
        let (_, request) = ask("POST", &format!("{by_alias}/{path}?identifierType=alias"), body).await;
        assert_eq!(done(&request).await["success"], true, "{path}: {request}");
    }
    let shown = ask("GET", &format!("alerts/{id}"), Value::Null).await.1["data"].clone();
    assert_eq!(shown["acknowledged"], true, "{shown}");
    let (_, request) = ask("POST", &format!("{by_alias}/close?identifierType=alias"), Value::Null).await;
    assert_eq!(done(&request).await["success"], true);
    let (status, request) = ask("POST", &format!("{by_alias}/close?identifierType=alias"), Value::Null).await;
    let nothing = done(&request).await;
    assert!(
        status == 202 && nothing["success"] == false && nothing["status"].as_str().unwrap().starts_with("There is no open alert"),
        "{nothing}"
    );
    server.pass(11 * 60).await;
    let (_, again) = ask("POST", "alerts", json!({ "message": "Disk full", "alias": "db1/disk" })).await;
    let (_, late) = ask("POST", &format!("alerts/{id}/close"), Value::Null).await;
    assert_eq!(done(&late).await["success"], false, "an old number means no newer alert of the same name");
    let newer = done(&again).await["alertId"].as_str().unwrap().to_owned();
    assert_eq!(ask("GET", &format!("alerts/{newer}"), Value::Null).await.1["data"]["status"], "open");
    let (status, told) = ask("POST", "alerts", json!({ "alias": "x" })).await;
    assert_eq!((status, &told["errors"]["message"]), (422, &json!("Message can not be empty.")), "{told}");
    let stranger = server.http.post(format!("{}/v2/alerts", server.base)).header("authorization", "GenieKey wrong").body("{}");
    let answer = stranger.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json::<Value>().await.unwrap()["message"], "Could not authenticate");
    let elsewhere = server.http.post(format!("{}/jsm/ops/integration/v2/alerts", server.base)).header("x-api-key", &key);
    assert_eq!(elsewhere.body(r#"{"message":"m"}"#).send().await.unwrap().status(), 202);
}

/// Two alarms of the same people share a hunt; one of them is taken, and then gets worse while the other one still rings.
async fn what_left_a_hunt_comes_back_into_it_when_it_gets_worse(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let said = |key: &str, state: &str, severity: &str| json!({ "state": state, "summary": key, "dedup_key": key, "severity": severity, "phones": A, "by": "Li Na" });
    let one = became(&server, "generic", &said("one", "firing", "critical")).await;
    let other = became(&server, "generic", &said("other", "firing", "high")).await;
    let id = other["id"].as_str().unwrap();
    let joined = async || {
        let alarm = server.alarm(id).await;
        alarm["timeline"].as_array().unwrap().iter().filter(|event| event["kind"] == "joined").count()
    };
    assert_eq!(joined().await, 1, "one call for both");
    assert_eq!(became(&server, "generic", &said("other", "ack", "high")).await["outcome"], "acknowledged");
    assert_eq!(server.state(id).await, "answered");
    let worse = became(&server, "generic", &said("other", "firing", "critical")).await;
    assert_eq!((&worse["outcome"], joined().await), (&json!("repeated"), 2));
    let alarm = server.alarm(id).await;
    assert_eq!((&alarm["state"], &alarm["priority"]), (&json!("waiting"), &json!("critical")), "{alarm}");
    assert_eq!(server.state(one["id"].as_str().unwrap()).await, "waiting");
    let (_, numbers) = server.dial(&server.pair("desk", autocall::store::watch::handsets::Profile::App).await).await;
    assert_eq!(numbers, [A]);
}

async fn a_list_that_is_sent_again_rings_nobody_twice(home: Home) {
    let mut server = home.start().await;
    let list = json!([
        { "summary": "no key here", "phones": A },
        { "summary": "no key here", "phones": A },
        { "summary": "with a key", "id": "k", "phones": A }
    ]);
    let outcomes = async |server: &Server| {
        let (status, answer) = posted(server, "generic", &list).await;
        assert_eq!(status, 200, "{answer}");
        answer["alarms"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&server).await, ["created", "created", "created"]);
    assert_eq!(outcomes(&server).await, ["repeated", "repeated", "repeated"], "it did not hear our answer");
    server = server.restart().await;
    assert_eq!(outcomes(&server).await, ["repeated", "repeated", "repeated"]);
    assert_eq!(server.items("/api/v1/alarms").await.as_array().unwrap().len(), 3);
    // Another day, the same is wrong in the same words.
    server.pass(24 * 3600 - 60).await;
    assert_eq!(outcomes(&server).await[..2], ["created", "created"]);
    let alone = json!({ "summary": "no key here", "phones": A });
    for _ in 0..2 {
        assert_eq!(became(&server, "generic", &alone).await["outcome"], "created", "alone, each is another one");
    }
}

async fn a_list_in_the_same_words_for_others_or_after_its_end_is_another_one(home: Home) {
    let server = home.start().await;
    let list = json!([{ "summary": "no key here" }, { "summary": "nor here" }]);
    let outcomes = async |path: &str| {
        let (status, answer) = posted(&server, path, &list).await;
        assert_eq!(status, 200, "{answer}");
        answer["alarms"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect::<Vec<_>>()
    };
    let (for_a, for_b) = (format!("generic?phones={A}"), format!("generic?phones={B}"));
    assert_eq!(outcomes(&for_a).await, ["created", "created"]);
    assert_eq!(outcomes(&for_b).await, ["created", "created"], "somebody else is to be rung");
    for alarm in server.items("/api/v1/alarms").await.as_array().unwrap() {
        let path = format!("/api/v1/alarms/{}/cancel", alarm["id"].as_str().unwrap());
        assert_eq!(server.post(&path, &json!({})).await.0, 200);
    }
    assert_eq!(outcomes(&for_a).await, ["created", "created"], "it is wrong again");
    assert_eq!(outcomes(&for_a).await, ["repeated", "repeated"], "it did not hear our answer");
}

async fn who_sends_only_once_has_more_room_and_a_list_takes_what_it_holds(home: Home) {
    let server = home.set("AUTOCALL_HTTP_ALARMS_PER_MINUTE", "3").start().await;
    let (once, again, lists) =
        (key(&server, "once", &[A]).await, key(&server, "again", &[A]).await, key(&server, "lists", &[A]).await);
    let status = async |key: &str, kind: &str, body: &Value| {
        let request = server.http.post(format!("{}/k/{key}/api/v1/intake/{kind}", server.base)).json(body);
        request.sent().await.unwrap().status().as_u16()
    };
    let down = json!({ "heartbeat": { "monitorID": 7, "status": 0, "msg": "timeout" }, "monitor": { "id": 7, "name": "shop" } });
    for _ in 0..12 {
        assert_eq!(status(&once, "kuma", &down).await, 200, "it would not come again");
    }
    assert_eq!(status(&once, "kuma", &down).await, 503);
    let over = json!({ "state": "ok", "id": "k" });
    for _ in 0..3 {
        assert_eq!(status(&again, "generic/", &over).await, 200);
    }
    assert_eq!(status(&again, "generic/", &over).await, 503);
    // What is full for others still has room for who sends only once.
    assert_eq!(status(&again, "kuma", &down).await, 200);
    let list = json!([over, over, over, over]);
    assert_eq!(status(&lists, "generic", &list).await, 200, "the first has room, and no other would come again");
    assert_eq!(status(&lists, "generic", &over).await, 503);
    let event = json!({ "hash": "h", "rule_name": "r", "severity": 1 });
    assert_eq!(status(&lists, "n9e", &event).await, 200, "its callbacks have one chance");
    for _ in 0..8 {
        status(&lists, "n9e/", &event).await;
    }
    assert_eq!(status(&lists, "n9e/", &event).await, 429, "it takes 5xx for delivered");
}

/// An alert as Prometheus tells it, which says that it holds for four minutes.
fn alert(server: &Server, name: &str, ends_in_seconds: i64) -> Value {
    let at = |seconds: i64| (server.now() + chrono::TimeDelta::seconds(seconds)).to_rfc3339();
    json!({ "labels": { "alertname": name, "severity": "critical" }, "annotations": { "phones": A },
            "startsAt": at(-60), "endsAt": at(ends_in_seconds), "generatorURL": "http://prometheus.example/graph" })
}

/// What became of a list of alerts.
async fn alerts(server: &Server, list: &[Value]) -> Vec<Value> {
    let request = server.http.post(format!("{}/api/v2/alerts", server.base)).json(list);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    answer["alarms"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect()
}

async fn prometheus_tells_its_alerts_as_an_alertmanager_is_told(home: Home) {
    let server = home.start().await;
    let both = |ends: i64| [alert(&server, "DiskFull", ends), alert(&server, "Swap", ends)];
    assert_eq!(alerts(&server, &both(240)).await, ["created", "created"]);
    assert_eq!(alerts(&server, &both(250)).await, ["repeated", "repeated"], "at each evaluation");
    assert_eq!(alerts(&server, &[alert(&server, "Swap", -1)]).await, ["resolved"]);
    assert_eq!(alerts(&server, &[]).await, [] as [Value; 0]);
    let alarms = server.items("/api/v1/alarms").await;
    let states: Vec<(&Value, &Value, &Value)> =
        alarms.as_array().unwrap().iter().map(|alarm| (&alarm["summary"], &alarm["state"], &alarm["priority"])).collect();
    assert_eq!(
        states,
        [
            (&json!("Swap (severity=critical)"), &json!("resolved"), &json!("critical")),
            (&json!("DiskFull (severity=critical)"), &json!("waiting"), &json!("critical"))
        ]
    );
    let key = key(&server, "prometheus", &[B]).await;
    let url = format!("{}/k/{key}/api/v2/alerts", server.base);
    let keyed = server.http.post(url).json(&[alert(&server, "Load", 240)]).send().await.unwrap();
    let answer: Value = keyed.json().await.unwrap();
    assert_eq!(server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await["source"], "prometheus");
    let of_opsgenie = server.http.post(format!("{}/api/v2/alerts", server.base)).json(&json!({ "message": "x" }));
    let answer = of_opsgenie.send().await.unwrap();
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.unwrap().contains("without /api"));
}

async fn what_nobody_speaks_of_any_more_is_over(home: Home) {
    let mut server = home.start().await;
    assert_eq!(alerts(&server, &[alert(&server, "DiskFull", 240)]).await, ["created"]);
    let id = server.items("/api/v1/alarms").await[0]["id"].as_str().unwrap().to_owned();
    server.pass(200).await;
    assert_eq!(alerts(&server, &[alert(&server, "DiskFull", 240)]).await, ["repeated"]);
    let kinds = server.alarm(&id).await["timeline"].to_string();
    assert!(!kinds.contains("repeated"), "what is said all the time is counted, and is no line of its own: {kinds}");
    server.pass(400).await;
    assert_eq!(server.state(&id).await, "waiting", "what burns may have taken its source away: somebody is still to be rung");
    assert_eq!(alerts(&server, &[alert(&server, "DiskFull", 240)]).await, ["repeated"]);
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": "Li Na" })).await.0, 200);
    server.pass(200).await;
    // Whoever could not be heard may have said it again.
    server = server.restart().await;
    server.pass(100).await;
    assert_eq!(server.state(&id).await, "answered");
    server.pass(150).await;
    let end = end_of(&server, &id).await;
    assert!(end["no_word_since"].is_string(), "{end}");
    assert_eq!(alerts(&server, &[alert(&server, "DiskFull", 240)]).await, ["reopened"], "it burns all the while");
    // Who takes back until when it holds lets it stay.
    let mut lasting = alert(&server, "DiskFull", 240);
    lasting["endsAt"] = json!("0001-01-01T00:00:00Z");
    assert_eq!(alerts(&server, &[lasting]).await, ["repeated"]);
    server.pass(900).await;
    assert_ne!(server.state(&id).await, "resolved");
}

/// What the timeline says of the end of an alarm.
async fn end_of(server: &Server, id: &str) -> Value {
    let alarm = server.alarm(id).await;
    let end = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "resolved");
    end.unwrap_or_else(|| panic!("it has no end: {alarm}"))["body"].clone()
}

async fn what_is_said_again_and_again_is_meant_by_how_its_end_moves(home: Home) {
    let server = home.start().await;
    let since = server.now() - chrono::TimeDelta::seconds(60);
    let state = |name: &str, ends_at: i64| {
        let ends = (since + chrono::TimeDelta::seconds(ends_at)).to_rfc3339();
        json!({ "labels": { "alertname": name }, "annotations": { "phones": A }, "startsAt": since.to_rfc3339(), "endsAt": ends })
    };
    assert_eq!(alerts(&server, &[state("a", 300)]).await, ["created"]);
    // Our clock jumps by an hour: first the hunt has had its time, then nobody has spoken of it.
    server.pass(3_600).await;
    server.pass(60).await;
    let id = server.items("/api/v1/alarms").await[0]["id"].as_str().unwrap().to_owned();
    assert!(end_of(&server, &id).await["no_word_since"].is_string());
    assert_eq!(alerts(&server, &[state("a", 360)]).await, ["reopened"], "it moves on, so it burns");
    assert_eq!(alerts(&server, &[state("a", 420)]).await, ["repeated"]);
    assert_eq!(alerts(&server, &[state("a", 410)]).await, ["resolved"], "it was over before that had run out");
    assert_eq!(alerts(&server, &[state("a", 410)]).await, ["nothing_open"], "as it tells for a quarter of an hour");
    // Of a clock that is an hour behind.
    assert_eq!(alerts(&server, &[state("b", 300)]).await, ["nothing_open"]);
    assert_eq!(alerts(&server, &[state("b", 300)]).await, ["nothing_open"]);
    assert_eq!(alerts(&server, &[state("b", 360)]).await, ["created"], "what is over has one end");
    assert_eq!(alerts(&server, &[state("b", 420)]).await, ["repeated"]);
    assert_eq!(alerts(&server, &[state("b", 415)]).await, ["resolved"]);
    // It burns anew: as it was the first time.
    let anew = |ends_at: i64| {
        let mut state = state("b", ends_at);
        state["startsAt"] = json!((since + chrono::TimeDelta::seconds(500)).to_rfc3339());
        state
    };
    assert_eq!(alerts(&server, &[anew(740)]).await, ["nothing_open"]);
    assert_eq!(alerts(&server, &[anew(800)]).await, ["reopened"]);
    assert_eq!(alerts(&server, &[anew(860)]).await, ["repeated"]);
    // A person calls it off, and it is told on.
    let id = server.items("/api/v1/alarms").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    for ends_at in [920, 980, 1_040, 1_100] {
        let became = alerts(&server, &[anew(ends_at)]).await;
        assert!(became == ["nothing_open"] || became == ["ignored"], "{became:?}");
    }
}

async fn one_of_two_that_watch_the_same_does_not_mute_the_other(home: Home) {
    let server = home.start().await;
    assert_eq!(alerts(&server, &[alert(&server, "HostDown", 240)]).await, ["created"]);
    server.pass(60).await;
    let since = server.now() - chrono::TimeDelta::seconds(120);
    let mut of = alert(&server, "HostDown", 240);
    of["startsAt"] = json!(since.to_rfc3339());
    let mut end = of.clone();
    end["endsAt"] = json!(server.now().to_rfc3339());
    assert_eq!(alerts(&server, &[end.clone()]).await, ["resolved"], "its connection to what it watches is gone");
    server.pass(15).await;
    of["endsAt"] = json!((server.now() + chrono::TimeDelta::seconds(240)).to_rfc3339());
    assert_eq!(alerts(&server, &[of]).await, ["reopened"], "the other one still sees it");
    assert_eq!(alerts(&server, &[end]).await, ["stale"], "told again, that end is none of this fire");
    let id = server.items("/api/v1/alarms").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.state(&id).await, "waiting");
}

async fn what_a_person_called_off_does_not_ring_again_while_it_is_told(home: Home) {
    let server = home.start().await;
    let began = server.now();
    let state = |severity: &str, ends_in: i64| {
        let ends = (server.now() + chrono::TimeDelta::seconds(ends_in)).to_rfc3339();
        json!({ "labels": { "alertname": "Noise" }, "annotations": { "phones": A, "severity": severity }, "endsAt": ends,
                "startsAt": began.to_rfc3339() })
    };
    assert_eq!(alerts(&server, &[state("x", 240)]).await, ["created"]);
    let id = server.items("/api/v1/alarms").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    for _ in 0..3 {
        server.pass(60).await;
        assert_eq!(alerts(&server, &[state("x", 240)]).await, ["ignored"], "a person called it off");
    }
    let mut anew = state("x", 240);
    anew["startsAt"] = json!(server.now().to_rfc3339());
    assert_eq!(alerts(&server, &[anew]).await, ["created"], "another fire");
}

async fn an_end_that_no_clock_reaches_harms_nobody(home: Home) {
    let mut server = home.start().await;
    for (name, ends) in
        [("a", json!("8210266876799999")), ("b", json!(1_796_000_000_000_000_u64)), ("c", json!("9999-12-31T23:59:59-12:00"))]
    {
        let odd = json!({ "labels": { "alertname": name }, "annotations": { "phones": A }, "endsAt": ends });
        assert_eq!(alerts(&server, &[odd]).await, ["created"]);
    }
    server = server.restart().await;
    server.pass(400).await;
    let id = server.items("/api/v1/alarms").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.state(&id).await, "waiting");
}

async fn what_some_senders_look_for_in_the_answer_and_what_rings_nobody(home: Home) {
    let server = home.start().await;
    let tencent = json!({
        "sessionId": "s-1", "alarmStatus": "1", "alarmObjInfo": { "dimensions": { "unInstanceId": "ins-1" } },
        "alarmPolicyInfo": { "policyId": "policy-1", "policyName": "cpu", "conditions": { "metricName": "cpu_usage" } }
    });
    let (status, answer) = posted(&server, &format!("tencent?phones={A}"), &tencent).await;
    assert_eq!((status, &answer["sessionId"], &answer["retCode"]), (200, &json!("s-1"), &json!(0)), "{answer}");
    assert_eq!(answer["alarms"][0]["outcome"], "created");
    let netdata = |state: &str| {
        json!({ "state": state, "severity": state, "summary": "db1: test_alarm = new value", "phones": A,
                "dedup_key": "netdata/db1/test.chart/test_alarm" })
    };
    for state in ["WARNING", "CRITICAL", "CLEAR"] {
        assert_eq!(became(&server, "generic", &netdata(state)).await["outcome"], "test");
    }
    let librenms =
        |state: &str| json!({ "state": state, "summary": "db1: Disk", "dedup_key": "librenms/17", "phones": A, "user": "Li Na" });
    let raised = became(&server, "generic", &librenms("1")).await;
    assert_eq!(raised["outcome"], "created");
    assert_eq!(became(&server, "generic", &librenms("2")).await["outcome"], "acknowledged");
    let alarm = server.alarm(raised["id"].as_str().unwrap()).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["name"]), (&json!("answered"), &json!("Li Na")), "{alarm}");
    assert_eq!(became(&server, "generic", &librenms("0")).await["outcome"], "resolved");
}
