//! Two operators change the same thing: the second one is told, and nobody's work is lost. Every GET gives a version as ETag, and every
//! request that overwrites or removes may say with If-Match what its sender has read.

use autocall_tests::described::Held as _;
use reqwest::Method;
use reqwest::header::{ETAG, HeaderMap};
use serde_json::{Value, json};

use crate::gateway::near;
use crate::harness::{A, B, Home, Kind, Server, on_both};
use crate::roster::people;

on_both!(
    who_overwrites_what_they_have_not_read_is_told,
    whole_lists_are_replaced_only_by_who_has_read_them,
    of_two_at_once_one_is_told,
    of_two_who_add_one_person_at_once_one_is_told,
    a_new_one_is_made_only_where_there_is_none,
    what_happens_by_itself_is_no_other_version,
    a_version_says_nothing_of_secrets,
    a_part_is_changed_only_by_who_has_read_the_whole,
    no_request_ignores_a_version,
);

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn tag(&self) -> String {
        self.headers.get(ETAG).unwrap_or_else(|| panic!("no ETag: {}", self.body)).to_str().unwrap().to_owned()
    }
}

async fn send(server: &Server, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let mut request = http.request(method, format!("{}/api/v1/{path}", server.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.sent().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

async fn get(server: &Server, path: &str) -> Answer {
    let answer = send(server, Method::GET, path, &[], None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer
}

async fn put(server: &Server, path: &str, tag: &str, body: &Value) -> Answer {
    send(server, Method::PUT, path, &[("if-match", tag)], Some(body)).await
}

fn policy(number: &str) -> Value {
    json!({ "steps": [{ "ring": [{ "number": number }] }] })
}

fn quiet(from: &str) -> Value {
    json!({ "quiet_hours": [{ "from": from, "to": "07:00", "zone": "Asia/Shanghai", "up_to": "low" }] })
}

fn rules(sender_label: &str) -> Value {
    json!({ "rules": [{ "policy": "ops", "labels": { "team": sender_label } }] })
}

fn gateway(url: &str) -> Value {
    json!({ "name": "phone", "settings": { "kind": "smsgate", "url": url, "user": "sms", "password": "secret", "sim": null } })
}

fn line(text: &str) -> Value {
    json!({ "name": "ops", "number": "01012345678", "sms_number": "13300001111", "carrier": "china-telecom", "android": 11,
        "text": text, "gateway": "phone" })
}

fn beat(seconds: u32) -> Value {
    json!({ "name": "backup", "period_seconds": seconds, "phones": [A] })
}

fn schedule(zone: &str) -> Value {
    json!({ "name": "primary", "zone": zone, "layers": [] })
}

/// A server that has one of everything, and each with its path and two other forms of it.
async fn one_of_everything(home: Home) -> (Server, Vec<(&'static str, Value, Value)>) {
    let server = near(home).start().await;
    people(&server).await;
    for (path, body) in [
        ("sms/gateways", gateway("http://127.0.0.1:9/message")),
        ("lines", line("")),
        ("heartbeats", beat(60)),
        ("teams", json!({ "name": "ops", "members": ["Ann"] })),
        ("schedules", schedule("UTC")),
    ] {
        let made = send(&server, Method::POST, path, &[], Some(&body)).await;
        assert_eq!(made.status, 201, "{path}: {}", made.body);
    }
    assert_eq!(send(&server, Method::PUT, "policies/ops", &[], Some(&policy(A))).await.status, 201);
    for (path, body) in [("policy-rules", rules("db")), ("quiet-hours", quiet("21:00"))] {
        let set = put(&server, path, "*", &body).await;
        assert_eq!(set.status, 200, "{path}: {}", set.body);
    }
    let all = vec![
        ("policies/ops", policy(B), policy("18900000001")),
        ("policy-rules", rules("web"), rules("net")),
        ("quiet-hours", quiet("22:00"), quiet("23:00")),
        ("heartbeats/backup", beat(120), beat(180)),
        ("lines/ops", line("one"), line("two")),
        ("sms/gateways/phone", gateway("http://127.0.0.1:10/message"), gateway("http://127.0.0.1:11/message")),
        ("teams/ops", json!({ "name": "ops", "members": ["Bob"] }), json!({ "name": "ops", "members": [] })),
        ("schedules/primary", schedule("Asia/Shanghai"), schedule("Europe/Paris")),
        ("people/Ann/told", json!({ "alarm_texts": "always" }), json!({ "shift_minutes": 30 })),
    ];
    (server, all)
}

async fn who_overwrites_what_they_have_not_read_is_told(home: Home) {
    let (server, all) = one_of_everything(home).await;
    for (path, mine, theirs) in &all {
        let read = get(&server, path).await;
        let stored = put(&server, path, &read.tag(), mine).await;
        assert_eq!(stored.status, 200, "{path}: {}", stored.body);
        assert_ne!(stored.tag(), read.tag(), "{path}: another version");
        let now = get(&server, path).await;
        assert_eq!(now.tag(), stored.tag(), "{path}: the one that is read then");
        for stale in [read.tag(), "\"made-up\"".to_owned(), format!("W/{}", now.tag()), "garbled".to_owned()] {
            let late = put(&server, path, &stale, theirs).await;
            assert_eq!((late.status, &late.body["code"]), (412, &json!("changed_meanwhile")), "{path} {stale}: {}", late.body);
            let removed = send(&server, Method::DELETE, path, &[("if-match", &stale)], None).await;
            if removed.status != 405 {
                assert_eq!(removed.status, 412, "{path} {stale}: {}", removed.body);
            }
        }
        assert_eq!(get(&server, path).await.body, now.body, "{path}: nothing was changed");
        let either = format!("{}, {}", read.tag(), now.tag());
        let stored = put(&server, path, &either, theirs).await;
        assert_eq!(stored.status, 200, "{path}: {}", stored.body);
        let unchanged = send(&server, Method::GET, path, &[("if-none-match", &stored.tag())], None).await;
        assert_eq!((unchanged.status, unchanged.tag()), (304, stored.tag()), "{path}");
    }
    // In an order in which nothing is needed any more by another.
    for path in ["lines/ops", "sms/gateways/phone", "heartbeats/backup", "teams/ops", "schedules/primary", "policies/ops"] {
        let tag = get(&server, path).await.tag();
        let removed = send(&server, Method::DELETE, path, &[("if-match", &tag)], None).await;
        assert_eq!(removed.status, 204, "{path}: {}", removed.body);
    }
}

/// What is added to a schedule, as what it is sent and where.
fn parts() -> [(&'static str, Value); 3] {
    let (from, to) = ("2027-01-04T08:00:00Z", "2027-01-05T08:00:00Z");
    [
        ("overrides", json!({ "action": "add", "person": "Ann", "from": from, "to": to })),
        ("temporaries", json!({ "name": "fair", "people": ["Ann"], "from": from, "to": to })),
        ("holidays", json!({ "name": "new year", "people": ["Ann"], "days": ["2027-01-01", "2027-01-02"] })),
    ]
}

async fn import(server: &Server, headers: &[(&str, &str)], query: &str) -> (u16, Value) {
    let file = b"start,end,person\n2027-02-01 08:00,2027-02-02 08:00,Ann\n".to_vec();
    let mut all = vec![("content-type", "text/csv")];
    all.extend(headers);
    crate::intake::raw(server, &format!("/api/v1/schedules/primary/import{query}"), &all, file).await
}

async fn a_part_is_changed_only_by_who_has_read_the_whole(home: Home) {
    let (server, _) = one_of_everything(home).await;
    for (part, body) in parts() {
        let path = format!("schedules/primary/{part}");
        let read = get(&server, "schedules/primary").await;
        let (other, _) = import(&server, &[], &format!("?layer={part}")).await;
        assert_eq!(other, 200, "somebody else changes it");
        let late = send(&server, Method::POST, &path, &[("if-match", &read.tag())], Some(&body)).await;
        assert_eq!((late.status, &late.body["code"]), (412, &json!("changed_meanwhile")), "{part}: {}", late.body);
        let now = get(&server, "schedules/primary").await;
        assert!(now.body["overrides"] == read.body["overrides"] && now.body["temporaries"] == read.body["temporaries"]);
        let made = send(&server, Method::POST, &path, &[("if-match", &now.tag())], Some(&body)).await;
        assert_eq!(made.status, 201, "{part}: {}", made.body);
        let after = get(&server, "schedules/primary").await;
        assert_ne!(after.tag(), now.tag(), "{part}: whoever read it before has not read this");
        let kept = send(&server, Method::GET, "schedules/primary", &[("if-none-match", &now.tag())], None).await;
        assert_eq!(kept.status, 200, "{part}: it is not what is known already");
    }
    let read = get(&server, "schedules/primary").await;
    assert_eq!(send(&server, Method::PUT, "schedules/primary", &[], Some(&schedule_as_read(&read.body))).await.status, 200);
    for query in ["", "?dry_run=true"] {
        let (late, problem) = import(&server, &[("if-match", &read.tag())], query).await;
        assert_eq!((late, &problem["code"]), (412, &json!("changed_meanwhile")), "{query}: {problem}");
    }
    let tag = get(&server, "schedules/primary").await.tag();
    assert_eq!(import(&server, &[("if-match", &tag)], "").await.0, 200);

    // An entry is taken back by whoever has read it, or the schedule as it is now.
    let read = get(&server, "schedules/primary").await;
    let own = read.body["overrides"][0]["id"].as_str().unwrap();
    let fair = read.body["temporaries"].as_array().unwrap().iter().map(|own| own["id"].as_str().unwrap());
    let fair: Vec<&str> = fair.collect();
    let path = format!("schedules/primary/temporaries/{}", fair[0]);
    let removed = send(&server, Method::DELETE, &path, &[("if-match", &read.tag())], None).await;
    assert_eq!(removed.status, 204, "{}", removed.body);
    let path = format!("schedules/primary/temporaries/{}", fair[1]);
    let late = send(&server, Method::DELETE, &path, &[("if-match", &read.tag())], None).await;
    assert_eq!(late.status, 412, "one was taken back meanwhile: {}", late.body);
    let path = format!("schedules/primary/overrides/{own}");
    let tag = get(&server, &path).await.tag();
    assert_eq!(send(&server, Method::DELETE, &path, &[("if-match", &tag)], None).await.status, 204);
}

/// A schedule as it is sent that was read.
fn schedule_as_read(read: &Value) -> Value {
    json!({ "name": read["name"], "zone": "Europe/Paris", "layers": [], "version": read["version"] })
}

/// Everything of the API that changes what an operator keeps, with a version that nobody has read.
async fn no_request_ignores_a_version(home: Home) {
    let (server, _) = one_of_everything(home).await;
    let mut made: Vec<(&str, String)> = Vec::new();
    let window =
        json!({ "reason": "new disks", "ends_at": (server.now() + chrono::TimeDelta::hours(1)).to_rfc3339(), "team": "ops" });
    let away = json!({ "person": "Ann", "from": "2027-03-01T08:00:00Z", "to": "2027-03-05T08:00:00Z" });
    let [(_, add), (_, other), _] = parts();
    for (list, key, body) in [
        ("maintenance", "id", window),
        ("vacations", "id", away),
        ("calendar-feeds", "id", json!({ "schedule": "primary" })),
        ("do-not-call", "number", json!({ "number": B, "reason": "asked" })),
        ("schedules/primary/overrides", "id", add),
        ("schedules/primary/temporaries", "id", other),
    ] {
        let answer = send(&server, Method::POST, list, &[], Some(&body)).await;
        assert_eq!(answer.status, 201, "{list}: {}", answer.body);
        made.push((list, answer.body[key].as_str().unwrap().to_owned()));
    }
    let source = json!({ "url": "https://calendar.example.org/x.ics" });
    assert_eq!(send(&server, Method::PUT, "schedules/primary/calendar", &[], Some(&source)).await.status, 201);
    for (list, name) in &made {
        let path = format!("{list}/{}", name.replace('+', "%2B"));
        let read = get(&server, &path).await;
        for never in ["\"0\"", "garbled"] {
            let late = send(&server, Method::DELETE, &path, &[("if-match", never)], None).await;
            assert_eq!((late.status, &late.body["code"]), (412, &json!("changed_meanwhile")), "{path}: {}", late.body);
        }
        assert_eq!(get(&server, &path).await.body, read.body, "it is still there");
    }
    // Somebody else gives another reason.
    let path = format!("do-not-call/%2B86{B}");
    let read = get(&server, &path).await;
    let again = json!({ "number": B, "reason": "moved" });
    let fresh = send(&server, Method::POST, "do-not-call", &[("if-none-match", "*")], Some(&again)).await;
    assert_eq!(fresh.status, 412, "there is one: {}", fresh.body);
    assert_eq!(send(&server, Method::POST, "do-not-call", &[("if-match", &read.tag())], Some(&again)).await.status, 201);
    for (method, body) in [(Method::DELETE, None), (Method::POST, Some(&again))] {
        let path = if method == Method::POST { "do-not-call" } else { &path };
        assert_eq!(send(&server, method, path, &[("if-match", &read.tag())], body).await.status, 412);
    }
    let target = json!({ "number": A, "person": "Ann" });
    for (path, body) in [("lines/ops/forward", target), ("schedules/primary/calendar/refresh", json!({}))] {
        let late = send(&server, Method::POST, path, &[("if-match", "\"0\"")], Some(&body)).await;
        assert_eq!((late.status, &late.body["code"]), (412, &json!("changed_meanwhile")), "{path}: {}", late.body);
    }
    for (list, name) in &made {
        let path = format!("{list}/{}", name.replace('+', "%2B"));
        let tag = get(&server, &path).await.tag();
        let removed = send(&server, Method::DELETE, &path, &[("if-match", &tag)], None).await;
        assert_eq!(removed.status, 204, "{path}: {}", removed.body);
    }

    // The description knows of no other request that could ignore one.
    let document = get(&server, "openapi.json").await.body;
    let (of_senders, changes_nothing, acts) = (
        [
            "/api/v1/intake/alertmanager",
            "/api/v1/intake/{sender}",
            "/api/v1/sms/inbound/{token}",
            "/api/v1/heartbeat/{token}",
            "/api/v1/call",
        ],
        [
            "/api/v1/sms/gateways/{id}/test",
            "/api/v1/lines/{id}/preview",
            "/api/v1/schedules/{schedule}/calendar/rehearse",
            "/api/v1/schedules/{schedule}/rehearse",
            // Of a call nothing is overwritten: it is told to somebody.
            "/api/v1/call-records/{id}/commands",
        ],
        // What is said of an alarm or to somebody who asks for a swap is said once: whoever is late hears what it is by then.
        ["/api/v1/alarms", "/api/v1/swaps/"],
    );
    let mut ignored = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let adds = method == "post" && !path.contains('{') && path != "/api/v1/do-not-call";
            let is_other = of_senders.contains(&path.as_str())
                || changes_nothing.contains(&path.as_str())
                || acts.iter().any(|acts| path.starts_with(acts));
            // blast-api's own words, whose clients know no versions.
            let is_blast = ["/api/v1/shouts", "/api/v1/dnc"].iter().any(|beginning| path.starts_with(beginning));
            if method == "get" || adds || is_other || is_blast {
                continue;
            }
            let honours = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "If-Match"));
            if !honours || operation["responses"]["412"].is_null() {
                ignored.push(format!("{method} {path}"));
            }
        }
    }
    assert!(ignored.is_empty(), "they say nothing of If-Match: {ignored:?}");
}

async fn whole_lists_are_replaced_only_by_who_has_read_them(home: Home) {
    let (server, _) = one_of_everything(home).await;
    for (path, body) in [("policy-rules", rules("web")), ("quiet-hours", quiet("22:00"))] {
        let before = get(&server, path).await;
        let blind = send(&server, Method::PUT, path, &[], Some(&body)).await;
        assert_eq!((blind.status, &blind.body["code"]), (428, &json!("if_match_required")), "{path}: {}", blind.body);
        assert_eq!(get(&server, path).await.body, before.body);
        assert_eq!(put(&server, path, "*", &body).await.status, 200, "{path}: whatever is there, said aloud");
    }
}

async fn of_two_at_once_one_is_told(home: Home) {
    let (server, all) = one_of_everything(home).await;
    for (path, mine, theirs) in &all {
        let tag = get(&server, path).await.tag();
        let (one, other) = tokio::join!(put(&server, path, &tag, mine), put(&server, path, &tag, theirs));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{path}: {} {}", one.body, other.body);
        let won = if one.status == 200 { one } else { other };
        assert_eq!(get(&server, path).await.tag(), won.tag(), "{path}: what was answered with 200 stands");
    }
}

async fn of_two_who_add_one_person_at_once_one_is_told(home: Home) {
    let server = home.start().await;
    for round in 10..18 {
        let person = |last: &str| json!({ "name": format!("Ann{round}"), "numbers": [format!("1871234{round}{last}")] });
        let (mine, theirs) = (person("01"), person("02"));
        let (one, other) = tokio::join!(
            send(&server, Method::POST, "people", &[], Some(&mine)),
            send(&server, Method::POST, "people", &[], Some(&theirs))
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", one.body, other.body);
        let won = if one.status == 201 { one } else { other };
        let kept = get(&server, &format!("people/Ann{round}")).await;
        assert_eq!(kept.body["numbers"], won.body["numbers"], "what was answered with 201 stands");
    }
}

async fn a_new_one_is_made_only_where_there_is_none(home: Home) {
    let server = home.start().await;
    let none = [("if-none-match", "*")];
    assert_eq!(send(&server, Method::PUT, "policies/ops", &[("if-match", "*")], Some(&policy(A))).await.status, 412);
    assert_eq!(send(&server, Method::PUT, "policies/ops", &none, Some(&policy(A))).await.status, 201);
    let again = send(&server, Method::PUT, "policies/ops", &none, Some(&policy(B))).await;
    assert_eq!(again.status, 412, "{}", again.body);
    assert_eq!(get(&server, "policies/ops").await.body["steps"][0]["ring"][0]["number"], format!("+86{A}"));
    let (mine, theirs) = (policy(A), policy(B));
    let (one, other) = tokio::join!(
        send(&server, Method::PUT, "policies/web", &none, Some(&mine)),
        send(&server, Method::PUT, "policies/web", &none, Some(&theirs))
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
}

async fn what_happens_by_itself_is_no_other_version(home: Home) {
    let server = near(home).start().await;
    send(&server, Method::POST, "sms/gateways", &[], Some(&gateway("http://127.0.0.1:9/message"))).await;
    send(&server, Method::POST, "lines", &[], Some(&line(""))).await;
    let made = send(&server, Method::POST, "heartbeats", &[], Some(&beat(60))).await;
    let tags = [get(&server, "lines/ops").await.tag(), get(&server, "heartbeats/backup").await.tag()];
    let ping = made.body["ping_path"].as_str().unwrap().strip_prefix("/api/v1/").unwrap().to_owned();
    assert_eq!(send(&server, Method::POST, &ping, &[], None).await.status, 200);
    let target = json!({ "number": A, "person": "Ann" });
    assert_eq!(send(&server, Method::POST, "lines/ops/forward", &[], Some(&target)).await.status, 202);
    server.pass(30).await;
    assert_eq!(tags, [get(&server, "lines/ops").await.tag(), get(&server, "heartbeats/backup").await.tag()]);
    let bound = json!({ "person": { "name": "Ann", "number": A } });
    let other = send(&server, Method::PUT, "lines/ops/bound", &[("if-match", "\"stale\"")], Some(&bound)).await;
    assert_eq!(other.status, 412, "{}", other.body);
    let other = send(&server, Method::PUT, "lines/ops/bound", &[("if-match", &tags[0])], Some(&bound)).await;
    assert_eq!(other.status, 200, "{}", other.body);
    assert_ne!(get(&server, "lines/ops").await.tag(), tags[0], "an operator has bound it");
}

async fn a_version_says_nothing_of_secrets(home: Home) {
    let server = near(home).start().await;
    send(&server, Method::POST, "sms/gateways", &[], Some(&gateway("http://127.0.0.1:9/message"))).await;
    let tag = get(&server, "sms/gateways/phone").await.tag();
    let elsewhere = near(Home::new(Kind::Embedded).await).start().await;
    send(&elsewhere, Method::POST, "sms/gateways", &[], Some(&gateway("http://127.0.0.1:9/message"))).await;
    assert_ne!(get(&elsewhere, "sms/gateways/phone").await.tag(), tag, "or passwords could be tried against it");
    let mut changed = gateway("http://127.0.0.1:9/message");
    changed["settings"]["password"] = json!("another");
    let stored = put(&server, "sms/gateways/phone", &tag, &changed).await;
    assert_eq!(stored.status, 200, "{}", stored.body);
    assert_ne!(stored.tag(), tag, "a secret is part of what is overwritten");
}
