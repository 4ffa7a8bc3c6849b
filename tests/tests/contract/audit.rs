//! Who changed what: each operation that changes something leaves a line, with who, from where, before and after; and nothing that is read or
//! refused does. Lines are found, paged, exported and forgotten by their age.

use std::collections::BTreeSet;

use autocall::engine::Doer;
use autocall::keep::{keys, users};
use autocall::kinds::signing::Scheme;
use autocall::store::Work;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::gateway::near;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    every_operation_that_changes_something_leaves_a_line,
    a_line_says_who_and_what_was_before,
    what_is_refused_or_only_read_leaves_none,
    lines_are_found_and_paged,
    machines_leave_no_lines,
    no_secret_is_in_a_line,
    old_lines_are_forgotten,
);

async fn send(server: &Server, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let of_the_roster = ["/api/v1/teams/", "/api/v1/schedules/"].iter().any(|own| path.starts_with(own));
    let replaces = method == Method::PUT && of_the_roster;
    let mut request = server.http.request(method, format!("{}{path}", server.base));
    if replaces || ["/api/v1/quiet-hours", "/api/v1/policy-rules"].contains(&path) {
        request = request.header("if-match", "*");
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.sent().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
}

/// The latest lines, the newest first.
pub async fn lines(server: &Server, query: &str) -> Vec<Value> {
    let (status, page) = send(server, Method::GET, &format!("/api/v1/audit?limit=200{query}"), None).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

pub async fn latest(server: &Server) -> i64 {
    lines(server, "").await.first().map_or(0, |line| line["id"].as_i64().unwrap())
}

/// What changes something and leaves no line, and why.
const NO_LINES: [(&str, &str); 14] = [
    // What senders do is what they are for: it is on the timelines.
    ("/api/v1/alarms", "post"),
    ("/api/v1/alarms/resolve", "post"),
    ("/api/v1/alarms/{id}/resolve", "post"),
    ("/api/v1/call", "post"),
    ("/api/v1/heartbeat/{token}", "post"),
    ("/api/v1/intake/alertmanager", "post"),
    ("/api/v1/intake/alertmanager", "put"),
    ("/api/v1/intake/{sender}", "post"),
    ("/api/v1/intake/{sender}", "put"),
    ("/api/v1/sms/inbound/{token}", "post"),
    ("/api/v1/sms/inbound/{token}", "put"),
    // They only say what would change.
    ("/api/v1/lines/{id}/preview", "post"),
    ("/api/v1/schedules/{schedule}/rehearse", "post"),
    ("/api/v1/swaps/{id}/rehearse", "post"),
];

/// What has scenes of its own, since it needs a call, a calendar, a key or a file: those of `audit_elsewhere.rs`.
pub const ELSEWHERE: [(&str, &str); 13] = [
    ("/api/v1/call-records/{id}/commands", "post"),
    ("/api/v1/schedules/{schedule}/calendar", "put"),
    ("/api/v1/schedules/{schedule}/calendar", "delete"),
    ("/api/v1/schedules/{schedule}/calendar/refresh", "post"),
    ("/api/v1/schedules/{schedule}/calendar/rehearse", "post"),
    ("/api/v1/schedules/{schedule}/import", "post"),
    ("/api/v1/intake/generic/places", "put"),
    ("/api/v1/media/{name}", "put"),
    ("/api/v1/media/{name}", "delete"),
    ("/api/v1/shouts", "post"),
    // It waits for what comes of it.
    ("/api/v1/sms/gateways/{id}/test", "post"),
    ("/api/v1/shouts/{id};cancel", "delete"),
    ("/api/v1/dnc/{userdata}/{number}", "delete"),
];

/// They need somebody who is logged in: their lines are looked at with the pages.
const WITH_PAGES: [(&str, &str); 3] = [
    ("/api/v1/users/{user}/second-factor", "delete"),
    ("/api/v1/users/{user}/sessions/end", "post"),
    ("/api/v1/users/{user}/sessions/{session}", "delete"),
];

/// The writing operations that were walked, by path and method.
#[derive(Default)]
struct Walked(BTreeSet<(String, String)>);

impl Walked {
    /// Does one thing, and looks for its line. Gives what was answered.
    async fn does(&mut self, server: &Server, of: (&str, &str), path: &str, body: Option<Value>, operation: &str) -> Value {
        let (template, method) = of;
        let before = latest(server).await;
        let (status, answer) = send(server, method.to_uppercase().parse().unwrap(), path, body.as_ref()).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        let new: Vec<Value> = lines(server, "").await.into_iter().filter(|line| line["id"].as_i64().unwrap() > before).collect();
        let words: Vec<&str> = new.iter().map(|line| line["operation"].as_str().unwrap()).collect();
        assert!(words.contains(&operation), "{method} {path} leaves {words:?}, not {operation}");
        for line in &new {
            assert_eq!((&line["done_by"], &line["address"]), (&json!("open_network"), &json!("127.0.0.1")), "{line}");
        }
        self.0.insert((template.to_owned(), method.to_owned()));
        answer
    }
}

async fn every_operation_that_changes_something_leaves_a_line(home: Home) {
    let server = near(home).set("AUTOCALL_ALARMS_FALLBACK_PHONES", A).start().await;
    let mut walked = Walked::default();
    let w = &mut walked;
    let s = &server;
    let until = "2026-11-29T00:00:00Z";
    people_and_roster(w, s, until).await;
    what_is_set_up(w, s, until).await;
    alarms(w, s).await;
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let mut missing = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in
            item.as_object().unwrap().keys().filter(|method| ["post", "put", "patch", "delete"].contains(&method.as_str()))
        {
            let known = |all: &[(&str, &str)]| all.iter().any(|(own, verb)| own == path && verb == method);
            if !known(&NO_LINES)
                && !known(&ELSEWHERE)
                && !known(&WITH_PAGES)
                && !walked.0.contains(&(path.clone(), method.clone()))
            {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "no scene looks for the lines of {missing:#?}");
}

async fn people_and_roster(w: &mut Walked, s: &Server, until: &str) {
    let person = |name: &str, number: &str| Some(json!({ "name": name, "numbers": [number] }));
    for (name, number) in [("Ann", "18712345670"), ("Ben", "18712345671"), ("Zoe", "18712345672")] {
        w.does(s, ("/api/v1/people", "post"), "/api/v1/people", person(name, number), "person_added").await;
    }
    let one = "/api/v1/people/{person}";
    w.does(s, (one, "put"), "/api/v1/people/Ann", person("Ann", "18712345673"), "person_changed").await;
    w.does(s, (one, "patch"), "/api/v1/people/Ann", Some(json!({ "language": "ja" })), "person_changed").await;
    let told = json!({ "alarm_texts": "never", "shift_minutes": null, "put_on_duty": false });
    w.does(s, ("/api/v1/people/{person}/told", "put"), "/api/v1/people/Ann/told", Some(told), "told_changed").await;
    let told = json!({ "put_on_duty": true });
    w.does(s, ("/api/v1/people/{person}/told", "patch"), "/api/v1/people/Ann/told", Some(told), "told_changed").await;
    w.does(
        s,
        ("/api/v1/teams", "post"),
        "/api/v1/teams",
        Some(json!({ "name": "ops", "members": ["Ann", "Ben"] })),
        "team_added",
    )
    .await;
    let team = "/api/v1/teams/{team}";
    w.does(s, (team, "put"), "/api/v1/teams/ops", Some(json!({ "name": "ops", "members": ["Ben"] })), "team_changed").await;
    w.does(s, (team, "patch"), "/api/v1/teams/ops", Some(json!({ "members": [] })), "team_changed").await;
    let turns = json!({ "name": "turns", "people": ["Ann"], "every": "1 week", "start": "2026-11-16T09:00" });
    let schedule = json!({ "name": "turns", "zone": "UTC", "layers": [turns] });
    w.does(s, ("/api/v1/schedules", "post"), "/api/v1/schedules", Some(schedule.clone()), "schedule_added").await;
    let own = "/api/v1/schedules/{schedule}";
    w.does(s, (own, "put"), "/api/v1/schedules/turns", Some(schedule), "schedule_changed").await;
    w.does(s, (own, "patch"), "/api/v1/schedules/turns", Some(json!({ "gaps_allowed": true })), "schedule_changed").await;
    let body = json!({ "action": "add", "person": "Ben", "from": "2026-11-28T00:00:00Z", "to": until });
    let (of, path) = ("/api/v1/schedules/{schedule}/overrides", "/api/v1/schedules/turns/overrides");
    let made = w.does(s, (of, "post"), path, Some(body), "override_added").await;
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    w.does(s, (&format!("{of}/{{id}}"), "delete"), &path, None, "override_removed").await;
    let body = json!({ "name": "t", "people": ["Ben"], "from": "2026-11-28T00:00:00Z", "to": until });
    let (of, path) = ("/api/v1/schedules/{schedule}/temporaries", "/api/v1/schedules/turns/temporaries");
    let made = w.does(s, (of, "post"), path, Some(body), "temporary_added").await;
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    w.does(s, (&format!("{of}/{{id}}"), "delete"), &path, None, "temporary_removed").await;
    let body = json!({ "name": "holidays", "people": ["Ben"], "days": ["2026-12-25"] });
    let (of, path) = ("/api/v1/schedules/{schedule}/holidays", "/api/v1/schedules/turns/holidays");
    w.does(s, (of, "post"), path, Some(body), "temporary_added").await;
    let body = json!({ "person": "Zoe", "from": "2026-11-28T00:00:00Z", "to": until });
    let made = w.does(s, ("/api/v1/vacations", "post"), "/api/v1/vacations", Some(body), "vacation_added").await;
    let path = format!("/api/v1/vacations/{}", made["id"].as_str().unwrap());
    w.does(s, ("/api/v1/vacations/{id}", "delete"), &path, None, "vacation_removed").await;
    let made = w
        .does(s, ("/api/v1/calendar-feeds", "post"), "/api/v1/calendar-feeds", Some(json!({ "person": "Ann" })), "feed_added")
        .await;
    let path = format!("/api/v1/calendar-feeds/{}", made["id"].as_str().unwrap());
    w.does(s, ("/api/v1/calendar-feeds/{id}", "delete"), &path, None, "feed_revoked").await;
    for (day, verb, operation, body) in [
        (21, "accept", "swap_accepted", Some(json!({ "person": "Ben" }))),
        (22, "decline", "swap_declined", None),
        (23, "take-back", "swap_taken_back", None),
    ] {
        let (starts_at, ends_at) = (format!("2026-11-{day}T00:00"), format!("2026-11-{day}T01:00"));
        let swap = json!({ "schedule": "turns", "person": "Ann", "other": "Ben", "starts_at": starts_at, "ends_at": ends_at });
        let made = w.does(s, ("/api/v1/swaps", "post"), "/api/v1/swaps", Some(swap), "swap_asked").await;
        let path = format!("/api/v1/swaps/{}/{verb}", made["id"].as_str().unwrap());
        let body = if verb == "accept" { body } else { None };
        w.does(s, (&format!("/api/v1/swaps/{{id}}/{verb}"), "post"), &path, body, operation).await;
    }
    let hours = json!({ "quiet_hours": [{ "person": "Ann", "from": "22:00", "to": "07:00", "zone": "UTC", "up_to": "normal" }] });
    w.does(s, ("/api/v1/quiet-hours", "put"), "/api/v1/quiet-hours", Some(hours), "quiet_hours_changed").await;
    w.does(s, (team, "delete"), "/api/v1/teams/ops", None, "team_removed").await;
    w.does(s, (one, "delete"), "/api/v1/people/Ben", None, "person_removed").await;
    let (of, path) = ("/api/v1/people/{person}/erase", "/api/v1/people/Zoe/erase");
    w.does(s, (of, "post"), path, None, "person_erased").await;
    w.does(s, (own, "delete"), "/api/v1/schedules/turns", None, "schedule_removed").await;
}

async fn what_is_set_up(w: &mut Walked, s: &Server, until: &str) {
    let login = users::Login::of("lin", users::Passwords::default().hashed("correct horse").await.unwrap()).unwrap();
    let add = async |work: &mut Work| users::add(work, login, Role::Viewer, None).await;
    s.app.engine.store.carry_out(s.now(), Doer::Server, add).await.unwrap();
    let (of, path) = ("/api/v1/users/{user}", "/api/v1/users/lin");
    w.does(s, (of, "patch"), path, Some(json!({ "role": "responder" })), "user_role_set").await;
    let number = json!({ "number": "18812345670", "reason": "left" });
    w.does(s, ("/api/v1/do-not-call", "post"), "/api/v1/do-not-call", Some(number), "number_forbidden").await;
    w.does(s, ("/api/v1/do-not-call/{number}", "delete"), "/api/v1/do-not-call/18812345670", None, "number_allowed").await;
    let steps = json!({ "steps": [{ "ring": [{ "number": A }] }] });
    let (of, path) = ("/api/v1/policies/{name}", "/api/v1/policies/night");
    w.does(s, (of, "put"), path, Some(steps), "policy_added").await;
    w.does(s, (of, "patch"), path, Some(json!({ "rounds": 2 })), "policy_changed").await;
    let rules = json!({ "rules": [{ "policy": "night", "labels": { "team": "db" } }] });
    w.does(s, ("/api/v1/policy-rules", "put"), "/api/v1/policy-rules", Some(rules), "rules_changed").await;
    w.does(s, (of, "delete"), path, None, "policy_removed").await;
    let beat = json!({ "name": "beat", "period_seconds": 60, "phones": [A] });
    w.does(s, ("/api/v1/heartbeats", "post"), "/api/v1/heartbeats", Some(beat.clone()), "heartbeat_added").await;
    let (of, path) = ("/api/v1/heartbeats/{id}", "/api/v1/heartbeats/beat");
    w.does(s, (of, "put"), path, Some(beat), "heartbeat_changed").await;
    w.does(s, (of, "patch"), path, Some(json!({ "period_seconds": 90 })), "heartbeat_changed").await;
    w.does(s, (of, "delete"), path, None, "heartbeat_removed").await;
    let window = json!({ "reason": "disks", "ends_at": until, "team": "db" });
    let made = w.does(s, ("/api/v1/maintenance", "post"), "/api/v1/maintenance", Some(window), "maintenance_added").await;
    let path = format!("/api/v1/maintenance/{}", made["id"].as_str().unwrap());
    w.does(s, ("/api/v1/maintenance/{id}", "delete"), &path, None, "maintenance_ended").await;
    let settings = json!({ "kind": "smsgate", "url": "http://127.0.0.1:9/message", "user": "u", "password": "p", "sim": null });
    let gateway = json!({ "name": "phone 0", "settings": settings });
    let list = "/api/v1/sms/gateways";
    w.does(s, (list, "post"), list, Some(gateway.clone()), "gateway_added").await;
    let (of, path) = ("/api/v1/sms/gateways/{id}", "/api/v1/sms/gateways/phone 0");
    w.does(s, (of, "put"), path, Some(gateway), "gateway_changed").await;
    w.does(s, (of, "patch"), path, Some(json!({ "zone": "Asia/Tokyo" })), "gateway_changed").await;
    let line =
        json!({ "name": "line 0", "number": "13300001110", "carrier": "china-telecom", "android": 11, "gateway": "phone 0" });
    w.does(s, ("/api/v1/lines", "post"), "/api/v1/lines", Some(line.clone()), "line_added").await;
    let (of, own) = ("/api/v1/lines/{id}", "/api/v1/lines/line 0");
    w.does(s, (of, "put"), own, Some(line), "line_changed").await;
    w.does(s, (of, "patch"), own, Some(json!({ "text": "on duty" })), "line_changed").await;
    let target = json!({ "person": "Ann", "phone_number": A });
    w.does(s, ("/api/v1/lines/{id}/forward", "post"), "/api/v1/lines/line 0/forward", Some(target), "line_forwarded").await;
    let bound = json!({ "person": { "name": "Ann", "phone_number": A } });
    w.does(s, ("/api/v1/lines/{id}/bound", "put"), "/api/v1/lines/line 0/bound", Some(bound), "line_bound").await;
    w.does(s, (of, "delete"), own, None, "line_removed").await;
    w.does(s, ("/api/v1/sms/gateways/{id}", "delete"), path, None, "gateway_removed").await;
}

async fn alarms(w: &mut Walked, s: &Server) {
    let steps = json!({ "steps": [{ "ring": [{ "number": A }] }, { "ring": [{ "number": B }] }] });
    assert_eq!(send(s, Method::PUT, "/api/v1/policies/two", Some(&steps)).await.0, 201);
    let by = || Some(json!({ "by": "Ann" }));
    let named = || Some(json!({ "name": "Ann" }));
    for (verb, body, operation) in [
        ("acknowledge", named(), "alarm_acknowledged"),
        ("give-back", by(), "alarm_given_back"),
        ("snooze", Some(json!({ "for_seconds": 600, "by": "Ann" })), "alarm_snoozed"),
        ("redial", None, "alarm_rung_again"),
        ("notes", Some(json!({ "text": "looked at it", "by": "Ann" })), "alarm_remarked"),
        ("policy", Some(json!({ "policy": "two", "by": "Ann" })), "alarm_policy_set"),
        ("escalate", by(), "alarm_escalated"),
        ("false", Some(json!({ "reason": "a drill", "by": "Ann" })), "alarm_said_false"),
        ("not-false", by(), "alarm_said_true"),
        ("cancel", by(), "alarm_cancelled"),
    ] {
        // Each of its own: what one does must not be in the other's way.
        let id = match verb {
            "escalate" => s.raise(&[], json!({ "policy": "two", "dedup_key": verb })).await,
            _ => s.raise(&[A, B], json!({ "dedup_key": verb })).await,
        };
        let first = match verb {
            "give-back" => Some(("acknowledge", named())),
            "redial" => Some(("snooze", Some(json!({ "for_seconds": 600 })))),
            "not-false" => Some(("false", Some(json!({ "reason": "a drill" })))),
            _ => None,
        };
        if let Some((before, body)) = first {
            let done = send(s, Method::POST, &format!("/api/v1/alarms/{id}/{before}"), body.as_ref()).await;
            assert_eq!(done.0, 200, "{before}: {}", done.1);
        }
        let of = format!("/api/v1/alarms/{{id}}/{verb}");
        w.does(s, (&of, "post"), &format!("/api/v1/alarms/{id}/{verb}"), body, operation).await;
    }
    for (verb, operation) in [("decline", "alarm_declined"), ("skip", "alarm_callee_skipped")] {
        let id = s.raise(&[A, B], json!({ "dedup_key": verb })).await;
        let callee = s.alarm(&id).await["callees"][0]["id"].as_str().unwrap().to_owned();
        let of = format!("/api/v1/alarms/{{id}}/callees/{{callee}}/{verb}");
        let body = (verb == "skip").then(|| json!({ "by": "Ann" }));
        w.does(s, (&of, "post"), &format!("/api/v1/alarms/{id}/callees/{callee}/{verb}"), body, operation).await;
    }
}

async fn a_line_says_who_and_what_was_before(home: Home) {
    let server = home.start().await;
    let person = json!({ "name": "Li Na", "numbers": ["18712345678"], "language": "en" });
    let (_, made) = send(&server, Method::POST, "/api/v1/people", Some(&person)).await;
    send(&server, Method::PATCH, "/api/v1/people/Li Na", Some(&json!({ "language": "ja" }))).await;
    let all = lines(&server, "").await;
    let line = &all[0];
    assert_eq!(line["operation"], "person_changed");
    assert_eq!((&line["kind"], &line["subject_id"], &line["subject_name"]), (&json!("person"), &made["id"], &json!("Li Na")));
    assert_eq!((&line["before"], &line["after"]), (&json!({ "language": "en" }), &json!({ "language": "ja" })));
    assert_eq!((&line["about_person_id"], &line["done_at"]), (&made["id"], &json!("2026-11-20T03:00:00Z")));
    let id = server.raise(&[A], json!({})).await;
    send(&server, Method::POST, &format!("/api/v1/alarms/{id}/acknowledge"), Some(&json!({ "name": "Li Na" }))).await;
    let line = &lines(&server, "&operation=alarm_acknowledged").await[0];
    assert_eq!((&line["said_by"], &line["done_by"], &line["subject_id"]), (&json!("Li Na"), &json!("open_network"), &json!(id)));
}

async fn what_is_refused_or_only_read_leaves_none(home: Home) {
    let server = home.start().await;
    let person = json!({ "name": "Li Na", "numbers": ["18712345678"] });
    send(&server, Method::POST, "/api/v1/people", Some(&person)).await;
    let before = latest(&server).await;
    assert_eq!(send(&server, Method::POST, "/api/v1/people", Some(&person)).await.0, 409);
    assert_eq!(send(&server, Method::DELETE, "/api/v1/people/nobody", None).await.0, 404);
    assert_eq!(send(&server, Method::DELETE, "/api/v1/people/Li Na?dry_run=true", None).await.0, 200);
    assert_eq!(send(&server, Method::GET, "/api/v1/people", None).await.0, 200);
    assert_eq!(latest(&server).await, before, "{:?}", lines(&server, "").await);
}

async fn lines_are_found_and_paged(home: Home) {
    let server = home.start().await;
    for place in 0..5 {
        let person = json!({ "name": format!("person {place}"), "numbers": [format!("1871234567{place}")] });
        send(&server, Method::POST, "/api/v1/people", Some(&person)).await;
        server.pass(60).await;
    }
    send(&server, Method::DELETE, "/api/v1/people/person 4", None).await;
    assert_eq!(lines(&server, "&kind=person").await.len(), 6);
    assert_eq!(lines(&server, "&operation=person_removed&operation=key_added").await.len(), 1);
    assert_eq!(lines(&server, "&subject=person 4").await.len(), 2);
    assert_eq!(lines(&server, "&done_by=nobody").await.len(), 0);
    assert_eq!(lines(&server, "&starts_at=2026-11-20T03:04:00Z").await.len(), 2);
    assert_eq!(lines(&server, "&ends_at=2026-11-20T03:02:00Z").await.len(), 2);
    let all = lines(&server, "").await;
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = send(&server, Method::GET, &format!("/api/v1/audit?limit=2{cursor}"), None).await;
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert!(paged.len() < all.len(), "the list has no end");
    }
    assert_eq!(paged, all, "pages are the list");
    for (query, parameter) in
        [("operation=nonsense", "operation"), ("kind=x", "kind"), ("limit=0", "limit"), ("cursor=x", "cursor")]
    {
        let (status, body) = send(&server, Method::GET, &format!("/api/v1/audit?{query}"), None).await;
        assert_eq!((status, &body["errors"][0]["parameter"]), (422, &json!(parameter)), "{query}: {body}");
    }
    let table = server.http.get(format!("{}/api/v1/audit.csv?kind=person", server.base)).sent().await.unwrap();
    assert_eq!(table.headers()["content-type"].to_str().unwrap(), "text/csv; charset=utf-8");
    let table = table.text().await.unwrap();
    assert_eq!(table.lines().count(), 7, "{table}");
    assert!(table.lines().nth(1).unwrap().contains("person_removed"), "{table}");
}

async fn machines_leave_no_lines(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let before = latest(&server).await;
    let id = server.raise(&[A], json!({ "dedup_key": "disk" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let (status, body) = server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(latest(&server).await, before, "{:?}", lines(&server, "").await);
}

async fn no_secret_is_in_a_line(home: Home) {
    let server = near(home).start().await;
    let settings = |password: &str| json!({ "kind": "smsgate", "url": "http://127.0.0.1:9/message", "user": "u", "password": password, "sim": null });
    send(&server, Method::POST, "/api/v1/sms/gateways", Some(&json!({ "name": "g", "settings": settings("S3CR3T-one") }))).await;
    let changed = json!({ "name": "g", "settings": settings("S3CR3T-two") });
    let done = send(&server, Method::PUT, "/api/v1/sms/gateways/g", Some(&changed)).await;
    assert_eq!(done.0, 200, "{}", done.1);
    let (_, feed) = send(&server, Method::POST, "/api/v1/people", Some(&json!({ "name": "Li Na", "numbers": [A] }))).await;
    assert!(feed["id"].is_string());
    let (_, feed) = send(&server, Method::POST, "/api/v1/calendar-feeds", Some(&json!({ "person": "Li Na" }))).await;
    let path = feed["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    // What is shown once, and what somebody types in.
    let beat = json!({ "name": "beat", "period_seconds": 60, "phones": [A] });
    let (_, beat) = send(&server, Method::POST, "/api/v1/heartbeats", Some(&beat)).await;
    let ping = beat["ping_path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (store, now, by) = (&server.app.engine.store, server.now(), autocall::engine::Doer::CommandLine);
    let region = server.home.config().default_region;
    let signed = async |work: &mut autocall::store::Work| {
        let key = keys::add(work, "grafana", &[], region).await?;
        let made = keys::sign(work, "grafana", Scheme::Autocall, None).await?;
        keys::sign(work, "grafana", Scheme::Grafana, Some("S3CR3T-sixteen-letters-long")).await?;
        let other = keys::rights::rotate(work, "grafana", chrono::TimeDelta::days(1)).await?;
        Ok::<_, keys::KeyError>([Some(key), made, Some(other)])
    };
    let of_keys = store.carry_out(now, by.clone(), signed).await.unwrap();
    let login = users::Login::new(&users::Passwords::default(), "lin", "S3CR3T of lin is long").await.unwrap();
    let other = users::Passwords::default().hashed("S3CR3T of lin is longer").await.unwrap();
    let user = async |work: &mut autocall::store::Work| {
        let id = users::add(work, login, Role::Responder, None).await?;
        users::set_password(work, id, &other).await
    };
    store.carry_out(now, by, user).await.unwrap();
    crate::notices::add_with_secret(&server, "https://example.com/hook/S3CR3T", "S3CR3T of the hook").await;
    let all = json!(lines(&server, "").await).to_string();
    for word in ["gateway_changed", "feed_added", "key_added", "key_changed", "user_added", "webhook_added", "heartbeat_added"] {
        assert!(all.contains(word), "{word}: {all}");
    }
    let secrets = of_keys.iter().flatten().chain([&path, &ping]);
    for secret in secrets.map(String::as_str).chain(["S3CR3T"]) {
        assert!(!secret.is_empty() && !all.contains(secret), "{secret}: {all}");
    }
}

async fn old_lines_are_forgotten(home: Home) {
    let server = home.set("AUTOCALL_RETENTION_AUDIT_DAYS", "30").start().await;
    send(&server, Method::POST, "/api/v1/people", Some(&json!({ "name": "old", "numbers": [A] }))).await;
    server.home.clock.advance(chrono::TimeDelta::days(29));
    send(&server, Method::POST, "/api/v1/people", Some(&json!({ "name": "new", "numbers": [B] }))).await;
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(lines(&server, "").await.len(), 2, "neither is old enough");
    server.home.clock.advance(chrono::TimeDelta::days(2));
    server.app.engine.forget_old().await.unwrap();
    let left = lines(&server, "").await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["subject_name"], "new");
}
