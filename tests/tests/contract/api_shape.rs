//! One shape for the whole API: lists, the life of what operators keep, versions, and what is refused; as docs/api-design.md says.

use autocall::engine::Doer;
use autocall::keep::users;
use autocall::store::Work;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use reqwest::header::{ETAG, LOCATION};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bodies::deflated;
use crate::gateway::near;
use crate::harness::{A, B, Home, Server, on_both};
use crate::intake::{gzipped, raw};
use crate::native::{poll, report};

on_both!(
    lists_have_one_shape,
    filters_that_repeat_mean_any_of_them,
    what_is_made_has_a_place_and_is_gone_once_removed,
    a_patch_changes_what_it_names,
    whoever_has_it_already_is_not_told_again,
    people_are_kept,
    a_request_that_comes_again_is_done_once,
    unknown_parameters_are_refused_and_no_alarm_is_lost_for_them,
    everything_that_is_wrong_is_told_at_once,
    names_of_before_are_still_read,
    a_key_is_its_caller_s_own,
    a_request_that_comes_to_two_nodes_at_once_is_done_once,
    a_look_has_the_head_of_what_is_read,
    a_method_that_is_not_there_names_those_that_are,
    hosts_of_an_open_network_share_no_keys,
    of_endless_faults_twenty_are_told,
    an_end_is_heard_however_long_it_is_and_whatever_its_key,
    a_packed_request_is_the_one_that_is_in_it,
    a_refusal_calls_a_field_what_its_sender_did,
    every_value_of_a_wrong_kind_is_told,
    what_is_refused_leads_to_its_page_below_a_path_in_front,
    answers_are_kept_for_repeats_up_to_a_sum,
);

/// What an answer holds.
struct Answer {
    status: u16,
    tag: Option<String>,
    location: Option<String>,
    body: Value,
}

async fn ask(server: &Server, method: Method, path: &str, head: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let mut request = autocall_tests::http_client().no_proxy().build().unwrap().request(method, format!("{}{path}", server.base));
    for (name, value) in head {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.sent().await.unwrap();
    let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, tag, location) = (answer.status().as_u16(), header(ETAG), header(LOCATION));
    let text = answer.text().await.unwrap();
    Answer { status, tag, location, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = ask(server, Method::GET, path, &[], None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

async fn make(server: &Server, path: &str, body: &Value) -> Answer {
    let made = ask(server, Method::POST, path, &[], Some(body)).await;
    assert_eq!(made.status, 201, "{path}: {}", made.body);
    made
}

fn gateway(name: &str) -> Value {
    let settings = json!({ "kind": "smsgate", "url": "http://127.0.0.1:9/message", "user": "u", "password": "p", "sim": null });
    json!({ "name": name, "settings": settings })
}

fn line(name: &str, number: &str) -> Value {
    json!({ "name": name, "number": number, "carrier": "china-telecom", "android": 11, "gateway": "phone 0" })
}

/// A server that may reach this computer, with three of everything that is listed.
async fn three_of_everything(home: Home) -> Server {
    let server = near(home).set("AUTOCALL_ALARMS_FALLBACK_PHONES", A).start().await;
    let hashed = users::Passwords::default().hashed("a password for three").await.unwrap();
    for place in 0..3 {
        let number = format!("1871234567{place}");
        let login = users::Login::of(&format!("user {place}"), hashed.clone()).unwrap();
        let add = async |work: &mut Work| users::add(work, login, Role::Viewer, None).await;
        server.app.engine.store.carry_out(server.now(), Doer::Server, add).await.unwrap();
        let person = json!({ "name": format!("person {place}"), "numbers": [number] });
        make(&server, "/api/v1/people", &person).await;
        make(&server, "/api/v1/do-not-call", &json!({ "number": format!("1881234567{place}"), "reason": "left" })).await;
        make(&server, "/api/v1/teams", &json!({ "name": format!("team {place}"), "members": [format!("person {place}")] })).await;
        make(&server, "/api/v1/schedules", &json!({ "name": format!("schedule {place}"), "zone": "UTC" })).await;
        let away =
            json!({ "person": "person 0", "from": format!("2026-12-0{}T00:00:00Z", place + 1), "to": "2026-12-24T00:00:00Z" });
        make(&server, "/api/v1/vacations", &away).await;
        make(&server, "/api/v1/calendar-feeds", &json!({ "person": format!("person {place}") })).await;
        make(&server, "/api/v1/heartbeats", &json!({ "name": format!("beat {place}"), "period_seconds": 60 })).await;
        make(
            &server,
            "/api/v1/maintenance",
            &json!({ "reason": "disks", "ends_at": format!("2026-11-2{}T00:00:00Z", place + 1), "team": "db" }),
        )
        .await;
        make(&server, "/api/v1/sms/gateways", &gateway(&format!("phone {place}"))).await;
        make(&server, "/api/v1/lines", &line(&format!("line {place}"), &format!("1330000111{place}"))).await;
        let steps = json!({ "steps": [{ "ring": [{ "number": A }] }] });
        assert_eq!(ask(&server, Method::PUT, &format!("/api/v1/policies/policy {place}"), &[], Some(&steps)).await.status, 201);
        server.raise(&[A], json!({ "dedup_key": format!("disk {place}") })).await;
    }
    let turns = json!({ "name": "turns", "people": ["person 0"], "every": "1 week", "start": "2026-11-16T09:00" });
    make(&server, "/api/v1/schedules", &json!({ "name": "turns", "zone": "UTC", "layers": [turns] })).await;
    for place in 1..4 {
        // Before the vacations.
        let (starts_at, ends_at) = (format!("2026-11-2{place}T00:00"), format!("2026-11-2{place}T01:00"));
        let swap = json!({ "schedule": "turns", "person": "person 0", "starts_at": starts_at, "ends_at": ends_at });
        make(&server, "/api/v1/swaps", &swap).await;
    }
    let pixel = server.pair("pixel", Profile::Native).await;
    for _ in 0..3 {
        let offer = poll(&server, &pixel).await;
        report(&server, &pixel, &offer["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    }
    let (_, gateway) = server.post("/api/v1/sms/gateways", &gateway("inbound")).await;
    for text in ["1", "2", "3"] {
        let said = json!({ "from": B, "text": text, "id": text });
        assert_eq!(server.post(gateway["inbound_path"].as_str().unwrap(), &said).await.0, 200);
    }
    server
}

const LISTS: [(&str, Option<&str>); 14] = [
    ("/api/v1/alarms", Some("alarms")),
    ("/api/v1/call-records", None),
    ("/api/v1/people", None),
    ("/api/v1/policies", Some("policies")),
    ("/api/v1/do-not-call", Some("numbers")),
    ("/api/v1/teams", Some("teams")),
    ("/api/v1/schedules", Some("schedules")),
    ("/api/v1/vacations", Some("vacations")),
    ("/api/v1/swaps", None),
    ("/api/v1/calendar-feeds", Some("feeds")),
    ("/api/v1/heartbeats", None),
    ("/api/v1/maintenance", None),
    ("/api/v1/sms/gateways", None),
    ("/api/v1/sms/inbox", None),
];

async fn lists_have_one_shape(home: Home) {
    let server = three_of_everything(home).await;
    for (path, old) in LISTS.into_iter().chain([("/api/v1/lines", None), ("/api/v1/users", None)]) {
        let whole = get(&server, path).await;
        let all = whole["items"].as_array().unwrap_or_else(|| panic!("{path}: {whole}")).clone();
        assert!(all.len() >= 3 && whole["next_cursor"].is_null(), "{path}: {whole}");
        if let Some(old) = old {
            assert_eq!(whole[old], whole["items"], "{path}: readers of before find it where it was");
        }
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&server, &format!("{path}?limit=1{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            assert_eq!(items.len(), 1, "{path}: {page}");
            paged.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
            assert!(paged.len() < all.len(), "{path} has no end");
        }
        assert_eq!(paged, all, "{path}: pages are the list");
        for (query, name) in
            [("limit=0", "limit"), ("limit=x", "limit"), ("cursor=~", "cursor"), ("limt=1", "limt"), ("limit=1&limit=2", "limit")]
        {
            let refused = ask(&server, Method::GET, &format!("{path}?{query}"), &[], None).await;
            assert_eq!(
                (refused.status, &refused.body["errors"][0]["parameter"]),
                (422, &json!(name)),
                "{path}?{query}: {}",
                refused.body
            );
        }
    }
}

async fn filters_that_repeat_mean_any_of_them(home: Home) {
    let server = home.start().await;
    let mut ids = Vec::new();
    for (key, priority) in [("a", "low"), ("b", "high"), ("c", "critical")] {
        ids.push(server.raise(&[A], json!({ "dedup_key": key, "priority": priority, "source": key })).await);
    }
    server.post(&format!("/api/v1/alarms/{}/cancel", ids[2]), &json!({})).await;
    for (query, expected) in [
        ("dedup_key=a&dedup_key=b", vec![1, 0]),
        ("source=b&source=c", vec![2, 1]),
        ("priority=low&priority=critical", vec![2, 0]),
        ("state=waiting&state=cancelled", vec![2, 1, 0]),
        ("state=cancelled&state=cancelled", vec![2]),
        ("state=waiting&state=resolved&priority=low&priority=critical", vec![0]),
    ] {
        let listed = get(&server, &format!("/api/v1/alarms?{query}")).await;
        let found: Vec<&str> = listed["items"].as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap()).collect();
        let expected: Vec<&str> = expected.into_iter().map(|place: usize| ids[place].as_str()).collect();
        assert_eq!(found, expected, "{query}");
    }
    let wrong = ask(&server, Method::GET, "/api/v1/alarms?state=waiting&state=asleep", &[], None).await;
    let expected = "must be one of waiting, ringing, answered, no_answer, cancelled, resolved";
    assert_eq!((wrong.status, &wrong.body["detail"]), (422, &json!(expected)));
}

async fn what_is_made_has_a_place_and_is_gone_once_removed(home: Home) {
    let server = three_of_everything(home).await;
    let again = "2026-11-29T00:00:00Z";
    for (list, body) in [
        ("/api/v1/lines", line("another", "13300001119")),
        ("/api/v1/people", json!({ "name": "another", "numbers": ["18712345699"], "language": null })),
        ("/api/v1/do-not-call", json!({ "number": "18812345699" })),
        ("/api/v1/teams", json!({ "name": "another" })),
        ("/api/v1/schedules", json!({ "name": "another", "zone": "Asia/Shanghai" })),
        ("/api/v1/vacations", json!({ "person": "person 1", "from": "2026-11-28T00:00:00Z", "to": again })),
        ("/api/v1/calendar-feeds", json!({ "schedule": "schedule 1" })),
        ("/api/v1/heartbeats", json!({ "name": "another", "period_seconds": 60 })),
        ("/api/v1/maintenance", json!({ "reason": "another", "ends_at": again, "labels": { "host": "db1" } })),
        ("/api/v1/sms/gateways", gateway("another")),
        (
            "/api/v1/schedules/schedule 0/overrides",
            json!({ "action": "add", "person": "person 0", "from": "2026-11-28T00:00:00Z", "to": again }),
        ),
        (
            "/api/v1/schedules/schedule 0/temporaries",
            json!({ "name": "t", "people": ["person 0"], "from": "2026-11-28T00:00:00Z", "to": again }),
        ),
    ] {
        let made = make(&server, list, &body).await;
        let place = made.location.unwrap_or_else(|| panic!("{list} does not say where it is"));
        let shown = ask(&server, Method::GET, &place, &[], None).await;
        assert_eq!(shown.status, 200, "{place}: {}", shown.body);
        let id = if made.body["id"].is_null() { "number" } else { "id" };
        assert_eq!(shown.body[id], made.body[id], "{place}");
        assert!(shown.tag.is_some(), "{place} has a version");
        let removed = ask(&server, Method::DELETE, &place, &[], None).await;
        assert_eq!((removed.status, removed.body), (204, Value::Null), "{place}");
        for method in [Method::GET, Method::DELETE] {
            let gone = ask(&server, method, &place, &[], None).await;
            assert_eq!(
                (gone.status, &gone.body["code"], &gone.body["type"]),
                (404, &json!("not_found"), &json!("/api/problems#not_found")),
                "{place}"
            );
        }
    }
    let steps = json!({ "steps": [{ "ring": [{ "number": B }] }] });
    let made = ask(&server, Method::PUT, "/api/v1/policies/at night", &[], Some(&steps)).await;
    assert_eq!((made.status, made.location.as_deref()), (201, Some("/api/v1/policies/at%20night")));
    let replaced = ask(&server, Method::PUT, "/api/v1/policies/at night", &[], Some(&steps)).await;
    assert_eq!((replaced.status, replaced.location), (200, None));
}

async fn a_patch_changes_what_it_names(home: Home) {
    let server = three_of_everything(home).await;
    for (path, patch, field, expected) in [
        ("/api/v1/heartbeats/beat 0", json!({ "period_seconds": 90 }), "period_seconds", json!(90)),
        ("/api/v1/heartbeats/beat 0", json!({ "labels": { "team": "db" } }), "labels", json!({ "team": "db" })),
        ("/api/v1/heartbeats/beat 0", json!({ "labels": { "team": null, "host": "a" } }), "labels", json!({ "host": "a" })),
        ("/api/v1/lines/line 0", json!({ "text": "on duty" }), "text", json!("on duty")),
        ("/api/v1/sms/gateways/phone 0", json!({ "zone": "Asia/Tokyo" }), "zone", json!("Asia/Tokyo")),
        (
            "/api/v1/sms/gateways/phone 0",
            json!({ "settings": { "url": "http://localhost:10/message" } }),
            "host",
            json!("localhost"),
        ),
        ("/api/v1/sms/gateways/phone 0", json!({ "zone": null }), "zone", Value::Null),
        ("/api/v1/policies/policy 0", json!({ "rounds": 3 }), "rounds", json!(3)),
        ("/api/v1/policies/policy 0", json!({ "rounds": null }), "rounds", json!(1)),
        ("/api/v1/teams/team 0", json!({ "members": [] }), "members", json!([])),
        ("/api/v1/schedules/schedule 0", json!({ "gaps_allowed": true }), "gaps_allowed", json!(true)),
        ("/api/v1/people/person 0", json!({ "language": "ja" }), "language", json!("ja")),
    ] {
        let before = ask(&server, Method::GET, path, &[], None).await;
        let (before, tag) = (before.body, before.tag.unwrap());
        let stale = ask(&server, Method::PATCH, path, &[("if-match", "\"stale\"")], Some(&patch)).await;
        assert_eq!(stale.status, 412, "{path}: {}", stale.body);
        let changed = ask(&server, Method::PATCH, path, &[("if-match", &tag)], Some(&patch)).await;
        assert_eq!((changed.status, &changed.body[field]), (200, &expected), "{path} {patch}: {}", changed.body);
        let after = ask(&server, Method::GET, path, &[], None).await;
        assert_eq!((after.tag, &after.body[field]), (changed.tag, &expected), "{path}");
        for (name, value) in before.as_object().unwrap() {
            if name != field && !["version", "updated_at"].contains(&name.as_str()) {
                assert_eq!(&after.body[name], value, "{path} {patch}: {name} stays");
            }
        }
    }
    let wrong =
        ask(&server, Method::PATCH, "/api/v1/heartbeats/beat 0", &[], Some(&json!({ "period_seconds": "often", "colour": 1 })))
            .await;
    let pointers: Vec<&Value> = wrong.body["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
    assert_eq!((wrong.status, pointers.len()), (422, 2), "{}", wrong.body);
    assert!(pointers.contains(&&json!("/period_seconds")) && pointers.contains(&&json!("/colour")), "{}", wrong.body);
    assert_eq!(ask(&server, Method::PATCH, "/api/v1/people/nobody", &[], Some(&json!({}))).await.status, 404);
}

async fn whoever_has_it_already_is_not_told_again(home: Home) {
    let server = three_of_everything(home).await;
    for path in ["/api/v1/teams", "/api/v1/openapi.json", "/api/v1/roster/check", "/api/v1/alarms?limit=1"] {
        let whole = ask(&server, Method::GET, path, &[], None).await;
        let tag = whole.tag.unwrap_or_else(|| panic!("{path} has no version"));
        let known = ask(&server, Method::GET, path, &[("if-none-match", &tag)], None).await;
        assert_eq!((known.status, known.body, known.tag), (304, Value::Null, Some(tag)), "{path}");
    }
    // A client that does not unpack, so that it is seen what came.
    let client = autocall_tests::http_client().no_proxy().no_gzip().build().unwrap();
    let packed = client.get(format!("{}/api/v1/openapi.json", server.base)).header("accept-encoding", "gzip");
    let packed = packed.send().await.unwrap();
    assert_eq!((packed.status(), packed.headers()["content-encoding"].to_str().unwrap()), (StatusCode::OK, "gzip"));
    let short = client.get(format!("{}/api/v1/policy-rules", server.base)).header("accept-encoding", "gzip");
    assert!(!short.send().await.unwrap().headers().contains_key("content-encoding"), "a few bytes are not worth it");
}

async fn people_are_kept(home: Home) {
    let server = home.start().await;
    let made = make(
        &server,
        "/api/v1/people",
        &json!({ "name": "张伟", "numbers": ["187-1234-5678", "010-62345678"], "language": "zh-CN" }),
    )
    .await;
    assert_eq!(made.body["numbers"], json!(["+8618712345678", "+861062345678"]));
    for (body, status, pointer) in [
        (json!({ "name": "", "numbers": ["18812345678"] }), 422, json!("/name")),
        (json!({ "name": "B", "numbers": [] }), 422, json!("/numbers")),
        (json!({ "name": "B", "numbers": ["18812345678", "110"] }), 422, json!("/numbers/1")),
        (json!({ "name": "B", "numbers": ["+86 187 1234 5678"] }), 422, json!("/numbers/0")),
        (json!({ "name": "B", "numbers": ["18812345678"], "language": "zh CN" }), 422, json!("/language")),
        (json!({ "name": "张伟", "numbers": ["18812345678"] }), 409, Value::Null),
    ] {
        let refused = ask(&server, Method::POST, "/api/v1/people", &[], Some(&body)).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (status, &pointer), "{body}: {}", refused.body);
    }
    let id = server.raise(&[], json!({ "ring": [{ "person": "张伟" }] })).await;
    let callees = server.alarm(&id).await["callees"].clone();
    assert_eq!((&callees[0]["number"], &callees[0]["name"]), (&json!("+8618712345678"), &json!("张伟")));
    let tag = made.tag.unwrap();
    let replaced = json!({ "name": "张伟", "numbers": ["18812345678"] });
    let place = format!("/api/v1/people/{}", made.body["id"].as_str().unwrap());
    let changed = ask(&server, Method::PUT, &place, &[("if-match", &tag)], Some(&replaced)).await;
    assert_eq!((changed.status, &changed.body["language"]), (200, &Value::Null), "what is left out is as in a new one");
    assert_eq!(ask(&server, Method::DELETE, &place, &[("if-match", &tag)], None).await.status, 412);
    assert_eq!(ask(&server, Method::DELETE, &place, &[("if-match", &changed.tag.unwrap())], None).await.status, 204);
    assert_eq!(get(&server, "/api/v1/people").await["items"], json!([]));
}

async fn unknown_parameters_are_refused_and_no_alarm_is_lost_for_them(home: Home) {
    let server = home.start().await;
    for (method, path) in
        [(Method::GET, "/api/v1/on-duty"), (Method::DELETE, "/api/v1/teams/ops"), (Method::POST, "/api/v1/teams")]
    {
        let body = json!({ "name": "ops" });
        let refused = ask(&server, method, &format!("{path}?dry=1&colour=red&key="), &[], Some(&body)).await;
        // An empty key is a wrong one.
        assert_eq!(refused.status, 401, "{path}: {}", refused.body);
    }
    let refused = ask(&server, Method::POST, "/api/v1/teams?dry=1&colour=red", &[], Some(&json!({ "name": "ops" }))).await;
    let names: Vec<&Value> = refused.body["errors"].as_array().unwrap().iter().map(|fault| &fault["parameter"]).collect();
    assert_eq!((refused.status, names), (422, vec![&json!("dry"), &json!("colour")]));
    assert_eq!(get(&server, "/api/v1/teams").await["items"], json!([]));
    let url = format!("{}/api/v1/alarms?utm_source=x", server.base);
    // Sent without a look at the description, which knows no such parameter.
    let raised = autocall_tests::http_client()
        .no_proxy()
        .build()
        .unwrap()
        .post(url)
        .json(&json!({ "summary": "disk full", "phones": [A] }))
        .send();
    assert_eq!(raised.await.unwrap().status(), 201, "an alarm is worth more than a clean address");
}

async fn a_request_that_comes_again_is_done_once(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_FALLBACK_PHONES", A).start().await;
    let key = [("idempotency-key", "k-1")];
    let id = server.raise(&[A], json!({})).await;
    let (notes, note) = (format!("/api/v1/alarms/{id}/notes"), json!({ "text": "on my way" }));
    let first = ask(&server, Method::POST, &notes, &key, Some(&note)).await;
    let again = ask(&server, Method::POST, &notes, &key, Some(&note)).await;
    assert_eq!((first.status, &again.body), (200, &first.body));
    let timeline = server.alarm(&id).await["timeline"].clone();
    assert_eq!(timeline.as_array().unwrap().iter().filter(|event| event["kind"] == "noted").count(), 1, "{timeline}");
    let other = ask(&server, Method::POST, &notes, &key, Some(&json!({ "text": "something else" }))).await;
    assert_eq!((other.status, &other.body["code"]), (422, &json!("idempotency_key_reused")));
    // What was made is told again with its place, and what opens a door is not.
    let (beats, beat) = ("/api/v1/heartbeats", json!({ "name": "backup", "period_seconds": 60 }));
    let key = [("idempotency-key", "k-2")];
    let made = ask(&server, Method::POST, beats, &key, Some(&beat)).await;
    let again = ask(&server, Method::POST, beats, &key, Some(&beat)).await;
    assert_eq!((made.status, again.status, &again.location, &again.tag), (201, 201, &made.location, &made.tag));
    assert!(made.body["ping_path"].is_string() && again.body["ping_path"].is_null() && again.body["id"] == made.body["id"]);
    assert_eq!(server.items(beats).await.as_array().unwrap().len(), 1);
    // A refused request frees its key.
    let key = [("idempotency-key", "k-3")];
    let refused = ask(&server, Method::POST, "/api/v1/teams", &key, Some(&json!({ "name": "" }))).await;
    assert_eq!(refused.status, 422);
    assert_eq!(ask(&server, Method::POST, "/api/v1/teams", &key, Some(&json!({ "name": "ops" }))).await.status, 201);
    // One that is under way is waited for, until it must have been given up.
    let (teams, team) = ("/api/v1/teams", json!({ "name": "web" }));
    let key = [("idempotency-key", "k-4")];
    let made = ask(&server, Method::POST, teams, &key, Some(&team)).await;
    server.run_sql(vec!["UPDATE repeated_requests SET status = NULL WHERE key = 'k-4'".to_owned()]).await;
    let waits = ask(&server, Method::POST, teams, &key, Some(&team)).await;
    assert_eq!((made.status, waits.status, &waits.body["code"]), (201, 409, &json!("same_key_under_way")));
    server.pass(61).await;
    let done_again = ask(&server, Method::POST, teams, &key, Some(&team)).await;
    assert_eq!((done_again.status, &done_again.body["code"]), (409, &json!("name_taken")), "it was given up, and is done again");
}

/// The path of the first of each three.
fn of_three(path: &str) -> String {
    path.replace("/heartbeats/{id}", "/heartbeats/beat 0")
        .replace("/lines/{id}", "/lines/line 0")
        .replace("/gateways/{id}", "/gateways/phone 0")
        .replace("{person}", "person 0")
        .replace("{user}", "user 0")
        .replace("{team}", "team 0")
        .replace("{schedule}", "schedule 0")
        .replace("{name}", "policy 0")
}

/// Each operation that takes JSON, at an address where something is.
async fn all_that_take_json(server: &Server) -> Vec<(Method, String, String, Value)> {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let alarm = server.raise(&[B], json!({ "dedup_key": "of its own" })).await;
    let callee = server.alarm(&alarm).await["callees"][0]["id"].as_str().unwrap().to_owned();
    let swap = server.items("/api/v1/swaps").await[0]["id"].as_str().unwrap().to_owned();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let otherwise = ["/api/v1/call", "/api/v1/intake/", "/api/v1/sms/inbound/"];
        if otherwise.iter().any(|own| path.starts_with(own)) || is_blast(path) {
            continue;
        }
        let here = of_three(path).replace("/alarms/{id}", &format!("/alarms/{alarm}")).replace("{callee}", &callee);
        let here = here.replace("/swaps/{id}", &format!("/swaps/{swap}"));
        for (method, operation) in item.as_object().unwrap() {
            let content = operation["requestBody"]["content"].as_object();
            let Some((_, content)) = content.and_then(|all| all.iter().find(|(kind, _)| kind.ends_with("json"))) else {
                continue;
            };
            let schema = content["schema"]["$ref"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
            let schema = document["components"]["schemas"][schema].clone();
            assert!(schema["properties"].is_object(), "{method} {path} takes a form");
            all.push((method.to_uppercase().parse().unwrap(), here.clone(), path.clone(), schema));
        }
    }
    assert!(all.len() > 25, "{}", all.len());
    all
}

async fn everything_that_is_wrong_is_told_at_once(home: Home) {
    let server = three_of_everything(home).await;
    for (method, here, path, schema) in all_that_take_json(&server).await {
        let refused = ask(&server, method.clone(), &here, &[("if-match", "*")], Some(&json!({ "zzz1": 1, "zzz2": 2 }))).await;
        assert_eq!(refused.status, 422, "{method} {path}: {}", refused.body);
        let told: Vec<&str> =
            refused.body["errors"].as_array().unwrap().iter().filter_map(|own| own["pointer"].as_str()).collect();
        let required = schema["required"].as_array().into_iter().flatten().map(|name| format!("/{}", name.as_str().unwrap()));
        // What is not named in a patch stays.
        let required = required.filter(|_| method != Method::PATCH);
        for pointer in ["/zzz1".to_owned(), "/zzz2".to_owned()].into_iter().chain(required) {
            assert!(told.contains(&pointer.as_str()), "{method} {path}: {pointer} is not among {told:?}");
        }
    }
    // What a field may be is told of all fields as well.
    for (method, path, body, pointers) in [
        (
            Method::POST,
            "/api/v1/heartbeats",
            json!({ "name": "", "period_seconds": 1, "grace_seconds": -1, "phones": ["110"], "labels": { "": "x" } }),
            vec!["/name", "/period_seconds", "/grace_seconds", "/phones", "/labels"],
        ),
        (
            Method::POST,
            "/api/v1/maintenance",
            json!({ "reason": "", "ends_at": "2020-01-01T00:00:00Z" }),
            vec!["/reason", "/labels", "/ends_at"],
        ),
        (
            Method::POST,
            "/api/v1/sms/gateways",
            json!({ "name": "", "zone": "Mars", "settings": { "kind": "textbee", "url": "here", "key": "k" } }),
            vec!["/name", "/zone", "/settings/url"],
        ),
        (
            Method::POST,
            "/api/v1/lines",
            json!({ "name": "", "phone_number": "x", "sms_number": "y", "team": "nobody", "carrier": "c", "android": 1, "gateway": "phone 0", "handset": "no" }),
            vec!["/name", "/phone_number", "/sms_number", "/team", "/android", "/handset"],
        ),
        (
            Method::PUT,
            "/api/v1/policies/policy 0",
            json!({ "rounds": 99, "confirm_within_seconds": 0, "steps": [{ "ring": [{ "number": "x" }, { "team": "nobody" }], "attempts": 99 }, { "ring": [] }] }),
            vec![
                "/rounds",
                "/confirm_within_seconds",
                "/steps/0/ring/0",
                "/steps/0/ring/1",
                "/steps/0/attempts",
                "/steps/1/ring",
            ],
        ),
        (
            Method::PUT,
            "/api/v1/policy-rules",
            json!({ "rules": [{ "policy": "nobody", "sender": "nobody" }, { "policy": "nothing" }] }),
            vec!["/rules/0/policy", "/rules/0/sender", "/rules/1/policy"],
        ),
        (
            Method::PUT,
            "/api/v1/quiet-hours",
            json!({ "quiet_hours": [{ "from": "x", "to": "y", "zone": "Mars", "up_to": "critical" }, { "person": "nobody", "from": "22:00", "to": "07:00", "zone": "UTC", "up_to": "low" }] }),
            vec![
                "/quiet_hours/0/from",
                "/quiet_hours/0/to",
                "/quiet_hours/0/zone",
                "/quiet_hours/0/up_to",
                "/quiet_hours/1/person",
            ],
        ),
        (
            Method::POST,
            "/api/v1/teams",
            json!({ "name": "", "members": ["person 0", "nobody", "no one"] }),
            vec!["/name", "/members/1", "/members/2"],
        ),
        (
            Method::POST,
            "/api/v1/schedules",
            json!({ "name": "", "zone": "Mars", "team": "nobody", "layers": [
                { "name": "", "people": ["nobody"], "every": "often", "start": "soon", "end": "later", "active": ["never"] },
                { "name": "fixed", "shifts": [{ "from": "x", "to": "y", "person": "nobody" }] }] }),
            vec![
                "/name",
                "/zone",
                "/team",
                "/layers/0/name",
                "/layers/0/people/0",
                "/layers/0/every",
                "/layers/0/start",
                "/layers/0/end",
                "/layers/0/active/0",
                "/layers/1/shifts/0/from",
                "/layers/1/shifts/0/to",
                "/layers/1/shifts/0/person",
            ],
        ),
        (
            Method::POST,
            "/api/v1/schedules/schedule 0/overrides",
            json!({ "action": "add", "person": "nobody", "starts_at": "x", "ends_at": "y", "note": "n".repeat(501) }),
            vec!["/person", "/starts_at", "/ends_at", "/note"],
        ),
        (
            Method::POST,
            "/api/v1/schedules/schedule 0/temporaries",
            json!({ "name": "", "people": ["nobody"], "starts_at": "x", "ends_at": "y", "start": "z" }),
            vec!["/name", "/people/0", "/starts_at", "/ends_at", "/start"],
        ),
        (
            Method::POST,
            "/api/v1/schedules/schedule 0/holidays",
            json!({ "name": "", "people": ["nobody"], "days": ["2026-12-25", "x", "y"] }),
            vec!["/name", "/people/0", "/days/1", "/days/2"],
        ),
        (
            Method::POST,
            "/api/v1/vacations",
            json!({ "person": "nobody", "starts_at": "x", "ends_at": "y", "zone": "Mars", "note": "n".repeat(501) }),
            vec!["/person", "/starts_at", "/ends_at", "/zone", "/note"],
        ),
    ] {
        let refused = ask(&server, method.clone(), path, &[("if-match", "*")], Some(&body)).await;
        assert_eq!(refused.status, 422, "{method} {path}: {}", refused.body);
        let told: Vec<&str> =
            refused.body["errors"].as_array().unwrap().iter().filter_map(|own| own["pointer"].as_str()).collect();
        for pointer in &pointers {
            assert!(told.contains(pointer), "{method} {path}: {pointer} is not among {told:?}");
        }
        assert_eq!(told.len(), pointers.len(), "{method} {path}: {told:?}");
    }
    let query = "state=asleep&priority=none&limit=0&cursor=~&starts_at=x&ends_at=y";
    let refused = ask(&server, Method::GET, &format!("/api/v1/alarms?{query}"), &[], None).await;
    let told: Vec<&str> = refused.body["errors"].as_array().unwrap().iter().filter_map(|own| own["parameter"].as_str()).collect();
    for name in ["state", "priority", "limit", "cursor", "starts_at", "ends_at"] {
        assert!(told.contains(&name), "{name} is not among {told:?}");
    }
}

async fn names_of_before_are_still_read(home: Home) {
    let server = three_of_everything(home).await;
    let mut read = 0;
    for (method, here, path, schema) in all_that_take_json(&server).await {
        for (old, new) in schema["x-old-names"].as_object().into_iter().flatten() {
            // Sent as what it cannot be: then it is that which is refused, and not its name.
            let refused = ask(&server, method.clone(), &here, &[], Some(&json!({ old: { "x": {} } }))).await;
            let faults = refused.body["errors"].as_array().unwrap_or_else(|| panic!("{method} {path}: {}", refused.body));
            assert!(faults.iter().all(|own| own["detail"] != "there is no such field here"), "{method} {path} {old}: {faults:?}");
            let places = [format!("/{old}"), format!("/{}", new.as_str().unwrap())];
            let own = faults.iter().find(|own| places.iter().any(|place| own["pointer"] == *place));
            let text = own.unwrap_or_else(|| panic!("{method} {path} {old}: {faults:?}"))["detail"].as_str().unwrap();
            assert!(!text.contains("no such field") && !text.contains("is missing"), "{method} {path} {old}: {text}");
            read += 1;
        }
    }
    assert!(read >= 12, "{read}");
    // And it means the same, in forms and queries, and in answers.
    let away = json!({ "person": "person 1", "from": "2026-12-01T00:00:00Z", "to": "2026-12-02T00:00:00Z" });
    let made = make(&server, "/api/v1/vacations", &away).await.body;
    assert_eq!((&made["starts_at"], &made["from"]), (&away["from"], &away["from"]));
    assert_eq!((&made["ends_at"], &made["to"]), (&away["to"], &away["to"]));
    let mut patched = ask(&server, Method::PATCH, "/api/v1/lines/line 0", &[], Some(&json!({ "number": "13300009999" }))).await;
    assert_eq!((&patched.body["phone_number"], &patched.body["number"]), (&json!("+8613300009999"), &json!("+8613300009999")));
    let both = json!({ "number": "13300009999", "phone_number": "13300009998" });
    patched = ask(&server, Method::PATCH, "/api/v1/lines/line 0", &[], Some(&both)).await;
    assert_eq!((patched.status, &patched.body["errors"][0]["pointer"]), (422, &json!("/number")), "{}", patched.body);
    let span = "from=2026-11-20T00:00:00Z&to=2026-11-22T00:00:00Z";
    let old = get(&server, &format!("/api/v1/schedules/schedule 0/shifts?{span}")).await;
    let new = get(
        &server,
        &format!("/api/v1/schedules/schedule 0/shifts?{}", span.replace("from", "starts_at").replace("to", "ends_at")),
    )
    .await;
    assert_eq!((&old, &old["from"]), (&new, &new["starts_at"]));
    let none = get(&server, "/api/v1/alarms?raised_before=2020-01-01T00:00:00Z").await;
    assert_eq!(none["items"], json!([]));
    let twice =
        ask(&server, Method::GET, "/api/v1/on-duty?at=2026-11-20T00:00:00Z&on_duty_at=2026-11-20T00:00:00Z", &[], None).await;
    assert_eq!(twice.status, 422, "{}", twice.body);
}

async fn a_key_is_its_caller_s_own(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_FALLBACK_PHONES", A).start().await;
    let mut keys = Vec::new();
    for name in ["one", "other"] {
        keys.push(crate::senders::key_that_may(&server, name, &[], "admin").await);
    }
    let mut made = Vec::new();
    for key in &keys {
        let head = [("idempotency-key", "k"), ("x-api-key", key.as_str())];
        made.push(
            ask(&server, Method::POST, "/api/v1/heartbeats", &head, Some(&json!({ "name": "beat", "period_seconds": 60 }))).await,
        );
    }
    assert_eq!(
        (made[0].status, made[1].status, &made[1].body["code"]),
        (201, 409, &json!("name_taken")),
        "it is not told what another was"
    );
    for (key, first) in keys.iter().zip(&made) {
        let head = [("idempotency-key", "k"), ("x-api-key", key.as_str())];
        let again =
            ask(&server, Method::POST, "/api/v1/heartbeats", &head, Some(&json!({ "name": "beat", "period_seconds": 60 }))).await;
        assert_eq!(again.status, first.status);
    }
}

async fn a_request_that_comes_to_two_nodes_at_once_is_done_once(home: Home) {
    // Only a shared database has several nodes.
    let several = home.is_shared();
    let server = home.start().await;
    let other = if several { Some(server.home.second_node().await) } else { None };
    let client = autocall_tests::http_client().build().unwrap();
    make(&server, "/api/v1/schedules", &json!({ "name": "ops", "zone": "UTC" })).await;
    let mut requests = tokio::task::JoinSet::new();
    for place in 0..12 {
        let base = other.as_ref().filter(|_| place % 2 == 0).map_or(&server.base, |other| &other.base);
        let request = client.post(format!("{base}/api/v1/calendar-feeds")).header("idempotency-key", "at-once");
        requests.spawn(async { request.json(&json!({ "schedule": "ops" })).sent().await.unwrap() });
    }
    let mut done = Vec::new();
    for answer in requests.join_all().await {
        let replayed = answer.headers().contains_key("idempotent-replayed");
        match answer.status().as_u16() {
            201 => done.push(replayed),
            409 => assert_eq!(answer.json::<Value>().await.unwrap()["code"], "same_key_under_way"),
            status => panic!("{status}: {}", answer.text().await.unwrap()),
        }
    }
    assert_eq!(done.iter().filter(|replayed| !**replayed).count(), 1, "{done:?}");
    assert_eq!(server.items("/api/v1/calendar-feeds").await.as_array().unwrap().len(), 1);
}

/// Every path that the description knows with the methods that it says are there, at an address where something is.
/// Whether an address is of another API, in the words of which it answers.
fn is_blast(path: &str) -> bool {
    ["/api/v1/calls", "/api/v1/shouts", "/api/v1/dnc/"].iter().any(|own| path.starts_with(own))
}

fn all_places() -> Vec<(String, Vec<String>)> {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    // blast-api's are what its clients know.
    let ours = paths.filter(|(path, _)| !is_blast(path));
    let all =
        ours.map(|(path, item)| (of_three(path), item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect()));
    all.collect()
}

async fn a_look_has_the_head_of_what_is_read(home: Home) {
    let server = three_of_everything(home).await;
    // A client that does not unpack sees how long it is.
    let client = autocall_tests::http_client().no_proxy().no_gzip().build().unwrap();
    let mut seen = 0;
    for (place, methods) in all_places() {
        if !methods.contains(&"GET".to_owned()) || place.contains('{') {
            continue;
        }
        let url = format!("{}{place}", server.base);
        let read = client.get(&url).send().await.unwrap();
        let (status, head) = (read.status(), read.headers().clone());
        let length = read.bytes().await.unwrap().len().to_string();
        let look = client.head(&url).send().await.unwrap();
        assert_eq!(look.status(), status, "{place}");
        for name in ["etag", "content-type", "deprecation"] {
            assert_eq!(look.headers().get(name), head.get(name), "{place}: {name}");
        }
        let told = look.headers().get("content-length").map(|own| own.to_str().unwrap());
        // What is sent a piece at a time has no length beforehand.
        let whole = (place != "/api/v1/audit.csv" && !place.ends_with("/export")).then_some(length.as_str());
        assert_eq!(told, whole, "{place}");
        assert!(look.bytes().await.unwrap().is_empty(), "{place}");
        if let Some(tag) = head.get("etag") {
            let known = client.head(&url).header("if-none-match", tag).send().await.unwrap();
            assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{place}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

async fn a_method_that_is_not_there_names_those_that_are(home: Home) {
    let server = three_of_everything(home).await;
    let client = autocall_tests::http_client().no_proxy().build().unwrap();
    for (place, methods) in all_places() {
        // Whoever looks there, such as a link checker, does not say that somebody lives.
        let looks = place.contains("{token}").then_some("HEAD");
        // Each of these is taken under another name as well.
        let quiet = ["/api/v1/call", "/api/v1/sms/inbound/{token}"].contains(&place.as_str());
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().chain(looks) {
            if methods.iter().any(|own| own == method) || (quiet && method != "HEAD") {
                continue;
            }
            let url = format!("{}{place}", server.base);
            let refused = client.request(method.parse().unwrap(), url).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {place}");
            let allow = refused.headers().get("allow").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
            let mut allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
            // It comes with GET, but for where a look is refused.
            match looks {
                None => allowed.retain(|own| *own != "HEAD"),
                Some(_) => assert!(!allowed.contains(&"HEAD"), "{method} {place}: {allow:?}"),
            }
            for own in &methods {
                assert!(allowed.contains(&own.as_str()), "{method} {place}: {own} is not among {allow:?}");
            }
            assert!(!allowed.contains(&method), "{method} {place}: {allow:?}");
            assert_eq!(
                refused.json::<Value>().await.map(|body| body["code"].clone()).unwrap_or_default(),
                match method {
                    "HEAD" => Value::Null,
                    _ => json!("method_not_allowed"),
                },
                "{method} {place}"
            );
        }
    }
}

async fn hosts_of_an_open_network_share_no_keys(home: Home) {
    let server = home.start().await;
    let mut raised = Vec::new();
    for (host, summary) in
        [("127.0.0.1", "disk full"), ("127.0.0.2", "disk full"), ("127.0.0.3", "db down"), ("127.0.0.1", "disk full")]
    {
        let from = host.parse::<std::net::IpAddr>().unwrap();
        let client = autocall_tests::http_client().no_proxy().local_address(from).build().unwrap();
        let alarm = client.post(format!("{}/api/v1/alarms", server.base)).header("idempotency-key", "1");
        let answer = alarm.json(&json!({ "summary": summary, "phones": [A] })).sent().await.unwrap();
        assert!(answer.status().is_success(), "{host}: {}", answer.text().await.unwrap());
        raised.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(raised[0], raised[3], "the same host again");
    assert_eq!(
        raised.iter().collect::<std::collections::BTreeSet<_>>().len(),
        3,
        "nobody's alarm is taken for another host's: {raised:?}"
    );
}

async fn of_endless_faults_twenty_are_told(home: Home) {
    let server = home.start().await;
    let phones = vec!["no number"; 60];
    let alarm = json!({ "summary": "x", "phones": phones });
    let long = "a&".repeat(1_000);
    let states = "state=x&".repeat(1_000);
    for (method, path, body) in [
        (Method::GET, format!("/api/v1/teams?{long}"), None),
        (Method::GET, format!("/api/v1/alarms?{states}"), None),
        (Method::POST, "/api/v1/alarms".to_owned(), Some(&alarm)),
    ] {
        let answer = ask(&server, method, &path, &[], body).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert_eq!(answer.body["errors"].as_array().unwrap().len(), 20, "{path:.30}");
    }
}

async fn an_end_is_heard_however_long_it_is_and_whatever_its_key(home: Home) {
    let server = home.start().await;
    let longest = server.app.config().http.body_limit_bytes;
    let alarm = json!({ "summary": "x", "phones": [A], "dedup_key": "k".repeat(longest + 1) });
    let id = make(&server, "/api/v1/alarms", &alarm).await.body["id"].as_str().unwrap().to_owned();
    let end = json!({ "dedup_key": alarm["dedup_key"] });
    let ended = ask(&server, Method::POST, "/api/v1/alarms/resolve", &[("idempotency-key", "end-1")], Some(&end)).await;
    assert!(ended.status < 300, "{} {}", ended.status, ended.body);
    assert_eq!(server.state(&id).await, "resolved");
}

async fn a_packed_request_is_the_one_that_is_in_it(home: Home) {
    let server = home.start().await;
    let wrong = json!({ "number": "no number" }).to_string().into_bytes();
    let person = json!({ "name": "Ann", "numbers": [A] }).to_string().into_bytes();
    let made = raw(&server, "/api/v1/people", &[("idempotency-key", "ann")], person.clone()).await;
    assert_eq!(made.0, 201, "{}", made.1);
    for (way, wrong, person) in [
        ("identity", wrong.clone(), person.clone()),
        ("gzip", gzipped(&wrong).await, gzipped(&person).await),
        ("deflate", deflated(&wrong).await, deflated(&person).await),
    ] {
        let (status, problem) = raw(&server, "/api/v1/do-not-call", &[("content-encoding", way)], wrong).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/number")), "{way}: {problem}");
        let again = raw(&server, "/api/v1/people", &[("content-encoding", way), ("idempotency-key", "ann")], person).await;
        assert_eq!(again, made, "{way}: the same request");
    }
}

async fn a_refusal_calls_a_field_what_its_sender_did(home: Home) {
    let server = home.start().await;
    make(&server, "/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    let layer = |name: &str, field: &str, at: &str| json!({ "name": name, "people": ["Ann"], "every": "1 week", "start": "2026-11-20T09:00", field: at });
    let good = "2026-11-20T00:00";
    for (layers, pointer) in [
        (json!([layer("a", "from", good), layer("b", "changes_at", "never")]), "/layers/1/changes_at"),
        (json!([layer("a", "changes_at", good), layer("b", "from", "never")]), "/layers/1/from"),
        (json!([layer("a", "from", "never"), layer("b", "changes_at", good)]), "/layers/0/from"),
    ] {
        let schedule = json!({ "name": "ops", "zone": "UTC", "layers": layers });
        let refused = ask(&server, Method::POST, "/api/v1/schedules", &[], Some(&schedule)).await;
        let told: Vec<&str> =
            refused.body["errors"].as_array().unwrap().iter().filter_map(|own| own["pointer"].as_str()).collect();
        assert_eq!((refused.status, told), (422, vec![pointer]), "{}", refused.body);
        let field = refused.body["field"].as_str().unwrap();
        assert!(pointer.ends_with(&format!("/{}", field.rsplit('.').next().unwrap())), "{field} {pointer}");
    }
}

async fn every_value_of_a_wrong_kind_is_told(home: Home) {
    let server = home.start().await;
    let policy = json!({ "rounds": "y", "steps": [
        { "ring": [{ "number": A }, 7], "attempts": "x", "wait_seconds": [] },
        { "ring": 5, "mode": "sideways" },
        { "ring": [{ "number": A }, { "number": {} }], "min_interval_seconds": true, "depth": 1 },
    ] });
    let refused = ask(&server, Method::PUT, "/api/v1/policies/p", &[], Some(&policy)).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let mut told: Vec<&str> =
        refused.body["errors"].as_array().unwrap().iter().filter_map(|own| own["pointer"].as_str()).collect();
    told.sort_unstable();
    let wrong = [
        "/rounds",
        "/steps/0/attempts",
        "/steps/0/ring/1",
        "/steps/0/wait_seconds",
        "/steps/1/mode",
        "/steps/1/ring",
        "/steps/2/depth",
        "/steps/2/min_interval_seconds",
        "/steps/2/ring/1/number",
    ];
    assert_eq!(told, wrong, "{}", refused.body);
}

async fn what_is_refused_leads_to_its_page_below_a_path_in_front(home: Home) {
    let server = home.set("AUTOCALL_HTTP_PUBLIC_URL", "http://127.0.0.1:9/pager").start().await;
    // The longer one is packed on its way.
    for (path, body) in [
        ("/pager/api/v1/people", json!({ "name": "", "numbers": [A] })),
        ("/pager/api/v1/alarms", json!({ "summary": "x", "phones": vec!["no number"; 20] })),
    ] {
        let refused = ask(&server, Method::POST, path, &[], Some(&body)).await;
        assert_eq!((refused.status, &refused.body["type"]), (422, &json!("/pager/api/problems#invalid_field")), "{path}");
    }
    let page = server.page("/pager/api").await;
    assert!(page.contains("href=\"/pager/api/problems\"") && !page.contains("href=\"/api"), "{page:.2000}");
}

async fn answers_are_kept_for_repeats_up_to_a_sum(home: Home) {
    let long = if home.is_shared() { "repeat('x', 17000000)" } else { "substr(hex(zeroblob(8500000)), 1)" };
    let server = home.start().await;
    let add = async |name: &str| {
        let person = json!({ "name": name, "numbers": [if name == "Ann" { A } else { B }] });
        ask(&server, Method::POST, "/api/v1/people", &[("idempotency-key", name)], Some(&person)).await
    };
    assert_eq!((add("Ann").await.status, add("Ann").await.status), (201, 201));
    server.run_sql(vec![format!("UPDATE repeated_requests SET body = {long} WHERE key = 'Ann'")]).await;
    assert_eq!(add("Ben").await.status, 201);
    let again = add("Ben").await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("already_done")), "{}", again.body);
}
