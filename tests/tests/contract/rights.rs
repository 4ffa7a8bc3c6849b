//! What keys may, and whoever comes without one: each operation asks for its right; keys are bound, end, get another secret and are narrowed.

use std::net::IpAddr;

use autocall::access::keys::Keys;
use autocall::engine::Doer;
use autocall::keep::keys::rights::{self, Change};
use autocall::keep::keys::{self, Grant, KeyError};
use autocall::rights::{Bounds, Right, Rights};
use autocall::store::Work;
use autocall::store::access::keys::KeyRow;
use autocall_tests::described::Held as _;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::{A, B, Home, Server, on_both};
use crate::senders::{key, key_that_may};

on_both!(
    whoever_only_raises_does_nothing_else,
    a_sender_reads_and_resolves_what_it_raised,
    each_right_does_its_part,
    open_networks_have_what_the_configuration_says,
    what_was_there_before_keeps_everything,
    a_key_ends_when_it_was_told_to,
    two_secrets_are_one_sender_for_a_while,
    a_bound_key_stays_within_its_bounds,
    a_bound_key_rings_nobody_else_by_repeating,
    a_key_is_narrowed_to_what_it_did,
    what_is_used_is_noted_once_an_hour,
    an_alarm_is_answered_whatever_becomes_of_the_note,
    a_key_for_shouts_reads_its_own_calls_alone,
    what_does_not_go_together_is_refused,
);

const MIGRATION: &str = "0067_rights";

async fn ask(server: &Server, key: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let request = server.http.request(method, format!("{}{path}", server.base));
    let request = if key.is_empty() { request } else { request.bearer_auth(key) };
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.sent().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn get(server: &Server, key: &str, path: &str) -> (u16, Value) {
    ask(server, key, Method::GET, path, None).await
}

async fn post(server: &Server, key: &str, path: &str, body: Value) -> (u16, Value) {
    ask(server, key, Method::POST, path, Some(body)).await
}

async fn raised(server: &Server, key: &str, more: Value) -> String {
    let mut body = json!({ "summary": "disk full", "phones": [A] });
    if !more.is_null() {
        body = more;
    }
    let (status, alarm) = post(server, key, "/api/v1/alarms", body).await;
    assert_eq!(status, 201, "{alarm}");
    alarm["id"].as_str().unwrap().to_owned()
}

async fn done<T>(server: &Server, what: impl AsyncFnOnce(&mut Work) -> Result<T, KeyError>) -> Result<T, KeyError> {
    server.app.engine.store.carry_out(server.now(), Doer::CommandLine, what).await
}

async fn kept(server: &Server, name: &str) -> KeyRow {
    let rows = server.app.engine.store.read().await.unwrap().db().keys().await.unwrap();
    rows.into_iter().find(|row| row.name == name).unwrap()
}

fn bounds(sources: &[&str], teams: &[&str], policies: &[&str]) -> Bounds {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Bounds { sources: own(sources), teams: own(teams), policies: own(policies) }
}

/// Each operation of the description that takes a key, with its right.
fn operations() -> Vec<(Method, String, Value)> {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            all.push((method.to_uppercase().parse().unwrap(), path.clone(), operation["x-right"].clone()));
        }
    }
    all
}

#[test]
fn every_operation_names_its_right() {
    let all = operations();
    assert!(all.len() > 120, "{}", all.len());
    for (method, path, told) in all {
        let by_token = path.contains("{token}");
        let right = told["right"].as_str();
        assert!(told.is_object(), "{method} {path} has no x-right: give it a line in http/rights.rs");
        assert!(
            by_token == right.is_none() && right.is_none_or(|right| Right::ALL.iter().any(|own| own.as_str() == right)),
            "{method} {path}"
        );
    }
}

/// A path with something in each of its places.
fn filled(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        parts.push(match part.find('{') {
            Some(_) => part.replace("{sender}", "zabbix").replace(['{', '}'], ""),
            None => part.to_owned(),
        });
    }
    parts.join("/")
}

async fn whoever_only_raises_does_nothing_else(home: Home) {
    let server = home.start().await;
    let key = key(&server, "zabbix", &[]).await;
    let mut walked = 0;
    for (method, path, told) in operations() {
        let Some(right) = told["right"].as_str() else { continue };
        let request = server.http.request(method.clone(), format!("{}{}", server.base, filled(&path))).bearer_auth(&key);
        let answer = request.json(&json!({})).send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap();
        let is_own = told["own"].as_array().is_some_and(|own| own.contains(&json!("raise")));
        match right {
            "raise" => assert!(![401, 403].contains(&status), "{method} {path}: {status} {body}"),
            _ if is_own => assert!([200, 400, 404, 422].contains(&status), "{method} {path}: {status} {body}"),
            _ => {
                assert_eq!(status, 403, "{method} {path}: {body}");
                walked += 1;
                // What other programs are told stands in their words.
                if !["shouts", "calls"].contains(&right) {
                    let problem: Value = serde_json::from_str(&body).unwrap();
                    assert_eq!(problem["code"], "key_may_not", "{method} {path}");
                    let detail = problem["detail"].as_str().unwrap();
                    assert!(
                        detail.contains(&format!("`{right}`")) && detail.contains("autocall key set \"zabbix\" --right"),
                        "{detail}"
                    );
                }
            }
        }
    }
    assert!(walked > 100, "{walked}");
    // What the description leaves out is no way around it, nor is a key in the path or another slash.
    for path in ["/cti/events", "/cti/files"] {
        assert_eq!(get(&server, &key, path).await.0, 403, "{path}");
    }
    for path in [format!("/k/{key}/api/v1/people"), format!("/k/{key}/api/v1/people/"), format!("/api/v1/people?key={key}")] {
        let refused = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{path}");
        assert_eq!(server.http.head(format!("{}{path}", server.base)).send().await.unwrap().status(), 403, "{path}");
    }
    assert_eq!(get(&server, &key, "/api/v1/nothing").await.0, 404);
}

async fn a_sender_reads_and_resolves_what_it_raised(home: Home) {
    let server = home.start().await;
    let (one, other) = (key(&server, "one", &[]).await, key(&server, "other", &[]).await);
    let mine = raised(&server, &one, json!({ "summary": "mine", "phones": [A], "dedup_key": "d" })).await;
    let theirs = raised(&server, &other, Value::Null).await;
    let keyless = server.raise(&[B], json!({})).await;
    assert_eq!(get(&server, &one, &format!("/api/v1/alarms/{mine}")).await.1["summary"], "mine");
    for alarm in [&theirs, &keyless] {
        let (status, problem) = get(&server, &one, &format!("/api/v1/alarms/{alarm}")).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{problem}");
        assert_eq!(post(&server, &one, &format!("/api/v1/alarms/{alarm}/resolve"), json!({})).await.0, 404);
    }
    for query in ["", "?state=waiting", "?q=disk", "?priority=normal", "?order=oldest"] {
        let (_, page) = get(&server, &one, &format!("/api/v1/alarms{query}")).await;
        let ids: Vec<&str> = page["items"].as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap()).collect();
        assert!(ids.iter().all(|id| *id == mine), "{query}: {page}");
        assert_eq!(ids.len(), usize::from(!query.contains("q=")), "{query}");
    }
    // Barista's history is of an alarm as well.
    let number = |alarm: &str| {
        let (server, alarm) = (&server, alarm.to_owned());
        async move { server.alarm(&alarm).await["alarm_number"].as_str().unwrap().to_owned() }
    };
    let (own, foreign) = (number(&mine).await, number(&theirs).await);
    let ask = async |number: &str| get(&server, &one, &format!("/api/v1/call?eventid={number}")).await.0;
    assert_eq!((ask(&own).await, ask(&foreign).await), (200, 404));
    assert_eq!(post(&server, &one, &format!("/api/v1/alarms/{mine}/resolve"), json!({})).await.1["state"], "resolved");
    let (_, problem) = post(&server, &one, &format!("/api/v1/alarms/{mine}/cancel"), json!({})).await;
    assert!(problem["detail"].as_str().unwrap().contains("--right raise,operate"), "{problem}");
}

async fn each_right_does_its_part(home: Home) {
    let server = home.start().await;
    let alarm = server.raise(&[A], json!({})).await;
    let samples = [
        (Method::POST, "/api/v1/alarms".to_owned(), json!({ "summary": "disk", "phones": [A] }), Right::Raise),
        (Method::POST, "/api/v1/intake/generic".to_owned(), json!({ "summary": "disk", "phones": A }), Right::Raise),
        (Method::GET, "/api/v1/people".to_owned(), Value::Null, Right::Read),
        (Method::GET, format!("/api/v1/alarms/{alarm}"), Value::Null, Right::Read),
        (Method::GET, "/api/v1/call-records".to_owned(), Value::Null, Right::Read),
        (Method::POST, format!("/api/v1/alarms/{alarm}/notes"), json!({ "text": "seen" }), Right::Operate),
        (Method::POST, format!("/api/v1/alarms/{alarm}/acknowledge"), json!({}), Right::Operate),
        (Method::PUT, "/api/v1/people/none".to_owned(), json!({}), Right::Admin),
        (Method::POST, "/api/v1/heartbeats".to_owned(), json!({}), Right::Admin),
    ];
    for own in ["raise", "read", "operate", "raise,read", "raise,operate", "admin"] {
        let key = key_that_may(&server, own, &[], own).await;
        for (method, path, body, right) in &samples {
            let body = Some(body.clone()).filter(|body| !body.is_null());
            let (status, told) = ask(&server, &key, method.clone(), path, body).await;
            let may = Rights::read(own).may(*right);
            // For `raise` alone an alarm of somebody else is not there.
            let refused = if may { false } else { [403, 404].contains(&status) };
            assert!(may != refused, "{own}: {method} {path}: {status} {told}");
            assert!(!may || ![401, 403].contains(&status), "{own}: {method} {path}: {status} {told}");
        }
    }
}

async fn open_networks_have_what_the_configuration_says(home: Home) {
    const OPEN_RIGHTS: &str = "AUTOCALL_HTTP_OPEN_RIGHTS";
    let server = home.set(OPEN_RIGHTS, "").start().await;
    let alarm = server.raise(&[A], json!({})).await;
    assert_eq!(server.state(&alarm).await, "waiting");
    assert_eq!(get(&server, "", "/api/v1/people").await.0, 200);
    let (status, problem) = post(&server, "", &format!("/api/v1/alarms/{alarm}/cancel"), json!({})).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 403 && detail.contains("http.open_rights") && detail.contains("--right operate"), "{problem}");
    // A key is not bettered by where it is.
    let key = key(&server, "zabbix", &[]).await;
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 403);
    let server = server.stop().await.set(OPEN_RIGHTS, "raise").start().await;
    assert_eq!(get(&server, "", "/api/v1/people").await.0, 403);
    let (_, page) = get(&server, "", "/api/v1/alarms").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "what came without a key is its own: {page}");
    let server = server.stop().await.set(OPEN_RIGHTS, "operate").start().await;
    assert_eq!(post(&server, "", "/api/v1/alarms", json!({ "summary": "disk", "phones": [A] })).await.0, 403);
    assert_eq!(post(&server, "", &format!("/api/v1/alarms/{alarm}/cancel"), json!({})).await.0, 200);
}

/// The tables as they were before, with what somebody kept in them; then the migration.
async fn upgrade(server: &Server, insert: &str) {
    let shared = server.home.is_shared();
    let columns = ["from_before", "bounds", "expires_at", "last_used_from", "old_hash", "old_until"];
    let drop = |column: &&str| format!("ALTER TABLE api_keys DROP COLUMN {column}");
    let mut statements = vec!["DROP INDEX api_keys_old_hash".to_owned(), "DROP INDEX alarms_by_integration".to_owned()];
    statements.extend(columns.iter().map(drop));
    statements.extend(["DROP TABLE rights_used".to_owned(), "DROP TABLE rights_begin".to_owned(), insert.to_owned()]);
    let folder = if shared { "postgres" } else { "sqlite" };
    let file = format!("{}/../server/migrations/{folder}/{MIGRATION}.sql", env!("CARGO_MANIFEST_DIR"));
    statements.push(std::fs::read_to_string(file).unwrap());
    server.run_sql(statements).await;
}

fn old_keys(shared: bool) -> String {
    let key = |number: u8, rights: &str| {
        let hex = |length: usize| format!("{number:02x}").repeat(length);
        let (id, hash) = (hex(16), hex(32));
        let bytes = |hex: &str| if shared { format!("'\\x{hex}'") } else { format!("x'{hex}'") };
        let id = if shared { format!("'{id}'") } else { bytes(&id) };
        format!("({id}, 'key {number}', {}, '[]', '2026-01-01T00:00:00.000000Z', '{rights}')", bytes(&hash))
    };
    let rows: Vec<String> =
        [(1, ""), (2, "calls,shouts"), (3, "mail"), (4, "phonecalls")].map(|(number, rights)| key(number, rights)).into();
    format!("INSERT INTO api_keys (id, name, key_hash, phones, created_at, rights) VALUES {}", rows.join(", "))
}

async fn what_was_there_before_keeps_everything(home: Home) {
    let server = home.set("AUTOCALL_HTTP_OPEN_RIGHTS", "").start().await;
    let shared = server.home.is_shared();
    upgrade(&server, &old_keys(shared)).await;
    let home = server.stop().await;
    let server = home.start().await;
    for (name, rights, marked) in [
        ("key 1", "admin", true),
        ("key 2", "admin,shouts,calls", true),
        ("key 3", "mail", false),
        ("key 4", "phonecalls", false),
    ] {
        let row = kept(&server, name).await;
        assert_eq!((row.rights.to_string().as_str(), row.from_before), (rights, marked), "{name}");
    }
    // Open networks as well, until the configuration says otherwise.
    assert_eq!(
        post(&server, "", "/api/v1/heartbeats", json!({ "name": "beat", "period_seconds": 60, "phones": [A] })).await.0,
        201
    );
    server.app.access.beside.wait().await;
    let mut reader = server.app.engine.store.read().await.unwrap();
    let wide = rights::too_wide(&mut reader.db(), server.app.config(), server.now()).await.unwrap();
    drop(reader);
    let said: Vec<String> = wide.sentences().into_iter().map(|(said, todo)| format!("{said}: {todo}")).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("autocall key narrow \"key 1\"") && said[0].contains("narrows it to raise"), "{said:?}");
    assert!(said[2].contains("http.open_rights = [\"admin\"]") && said[2].contains("used admin"), "{said:?}");
    let server = server.stop().await.set("AUTOCALL_HTTP_OPEN_RIGHTS", "raise,read").start().await;
    assert_eq!(
        post(&server, "", "/api/v1/heartbeats", json!({ "name": "other", "period_seconds": 60, "phones": [A] })).await.0,
        403
    );
    let mut reader = server.app.engine.store.read().await.unwrap();
    let wide = rights::too_wide(&mut reader.db(), server.app.config(), server.now()).await.unwrap();
    assert!(wide.open.is_none() && wide.keys.len() == 2, "{wide:?}");
}

async fn a_key_ends_when_it_was_told_to(home: Home) {
    let server = home.start().await;
    let region = server.home.config().default_region;
    let grant = Grant { expires_at: Some(server.now() + TimeDelta::days(90)), ..Grant::default() };
    let key = done(&server, async |work| keys::add_granted(work, "chat", &[], grant, region).await).await.unwrap();
    assert_eq!(get(&server, &key, "/api/v1/alarms").await.0, 200);
    server.home.clock.advance(TimeDelta::days(90) - TimeDelta::seconds(1));
    assert_eq!(get(&server, &key, "/api/v1/alarms").await.0, 200);
    server.home.clock.advance(TimeDelta::seconds(1));
    for _ in 0..30 {
        let (status, problem) = get(&server, &key, "/api/v1/alarms").await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 401 && detail.contains("\"chat\" expired at 2027-02-18") && detail.contains("--expires"), "{problem}");
    }
    // Whoever shows it knew it: it is no guess.
    assert_eq!(get(&server, "ak_wrong", "/api/v1/alarms").await.0, 401);
    let event = json!({ "routing_key": key, "event_action": "trigger", "payload": { "summary": "x", "source": "s", "severity": "error" } });
    let refused = server.http.post(format!("{}/v2/enqueue", server.base)).json(&event).send().await.unwrap();
    assert!(refused.status() == 400 && refused.text().await.unwrap().contains("expired"));
    let longer = Change { expires_at: Some(None), ..Change::default() };
    done(&server, async |work| rights::change(work, "chat", longer).await).await.unwrap();
    server.pass(2).await;
    assert_eq!(get(&server, &key, "/api/v1/alarms").await.0, 200);
}

async fn two_secrets_are_one_sender_for_a_while(home: Home) {
    let server = home.start().await;
    let old = key(&server, "prometheus", &[]).await;
    let body = json!({ "summary": "disk", "phones": [A], "dedup_key": "d" });
    let (status, first) = post(&server, &old, "/api/v1/alarms", body.clone()).await;
    assert_eq!(status, 201);
    let new = done(&server, async |work| rights::rotate(work, "prometheus", TimeDelta::days(7)).await).await.unwrap();
    assert!(new != old && new.starts_with("ak_"));
    server.pass(2).await;
    for key in [&new, &old] {
        let (status, again) = post(&server, key, "/api/v1/alarms", body.clone()).await;
        assert_eq!((status, &again["id"]), (200, &first["id"]), "the same sender, whichever it shows");
    }
    server.home.clock.advance(TimeDelta::days(7));
    let (status, problem) = get(&server, &old, "/api/v1/alarms").await;
    assert!(status == 401 && problem["detail"].as_str().unwrap().contains("another secret"), "{problem}");
    assert_eq!(get(&server, &new, "/api/v1/alarms").await.0, 200);
    // After a leak nothing overlaps, and of two earlier ones none is left.
    let last = done(&server, async |work| rights::rotate(work, "prometheus", TimeDelta::zero()).await).await.unwrap();
    server.pass(2).await;
    assert_eq!((get(&server, &new, "/api/v1/alarms").await.0, get(&server, &old, "/api/v1/alarms").await.0), (401, 401));
    assert_eq!(get(&server, &last, "/api/v1/alarms").await.0, 200);
    let too_long = done(&server, async |work| rights::rotate(work, "prometheus", TimeDelta::days(91)).await).await;
    assert!(matches!(too_long, Err(KeyError::BadRights(_))));
    done(&server, async |work| keys::revoke(work, "prometheus").await).await.unwrap();
    server.pass(2).await;
    assert_eq!(get(&server, &last, "/api/v1/alarms").await.0, 401);
}

async fn a_bound_key_stays_within_its_bounds(home: Home) {
    let server = home.start().await;
    for (name, number) in [("Ann", A), ("Bob", B)] {
        let (status, told) = server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await;
        assert_eq!(status, 201, "{told}");
    }
    for (team, member) in [("ops", "Ann"), ("db", "Bob")] {
        assert_eq!(server.post("/api/v1/teams", &json!({ "name": team, "members": [member] })).await.0, 201);
    }
    let steps = json!({ "steps": [{ "ring": [{ "person": "Bob" }] }] });
    let (status, told) = server.put("/api/v1/policies/night", &steps).await;
    assert!([200, 201].contains(&status), "{told}");
    let grant = Grant {
        rights: Some(Rights::of([Right::Raise, Right::Operate])),
        bounds: bounds(&[], &["ops"], &["night"]),
        ..Grant::default()
    };
    let region = server.home.config().default_region;
    let key = done(&server, async |work| keys::add_granted(work, "chat", &[], grant, region).await).await.unwrap();
    let of_team = raised(&server, &key, json!({ "summary": "x", "ring": [{ "team": "ops" }] })).await;
    let by_policy = raised(&server, &key, json!({ "summary": "y", "policy": "night" })).await;
    for body in [json!({ "summary": "z", "ring": [{ "team": "db" }] }), json!({ "summary": "z", "phones": [A] })] {
        let (status, problem) = post(&server, &key, "/api/v1/alarms", body).await;
        assert!(status == 403 && problem["detail"].as_str().unwrap().contains("teams ops; policies night"), "{problem}");
    }
    let elsewhere = server.raise(&[], json!({ "ring": [{ "team": "db" }] })).await;
    let within = server.raise(&[], json!({ "ring": [{ "team": "ops" }] })).await;
    let (_, page) = get(&server, &key, "/api/v1/alarms").await;
    let mut ids: Vec<&str> = page["items"].as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let mut wanted = [of_team.as_str(), by_policy.as_str(), within.as_str()];
    wanted.sort_unstable();
    assert_eq!(ids, wanted, "also what others raised: {page}");
    assert_eq!(get(&server, &key, &format!("/api/v1/alarms/{elsewhere}")).await.0, 404);
    let callee = server.alarm(&elsewhere).await["callees"][0]["id"].clone();
    let skip = format!("/api/v1/alarms/{elsewhere}/callees/{}/skip", callee.as_str().unwrap_or("none"));
    assert_eq!(post(&server, &key, &skip, json!({})).await.0, 404);
    assert_eq!(post(&server, &key, &format!("/api/v1/alarms/{elsewhere}/cancel"), json!({})).await.0, 404);
    assert_eq!(post(&server, &key, &format!("/api/v1/alarms/{within}/cancel"), json!({})).await.0, 200);
    for path in ["/api/v1/people", "/api/v1/call-records", "/api/v1/reports"] {
        let (status, problem) = get(&server, &key, path).await;
        assert!(status == 403 && problem["detail"].as_str().unwrap().contains("is bound"), "{path}: {problem}");
    }
    // By its source as well, and to nothing any more.
    let bound = Change { bounds: Some(bounds(&["chat"], &[], &[])), ..Change::default() };
    done(&server, async |work| rights::change(work, "chat", bound).await).await.unwrap();
    server.pass(2).await;
    assert_eq!(get(&server, &key, &format!("/api/v1/alarms/{of_team}")).await.0, 200);
    assert_eq!(get(&server, &key, &format!("/api/v1/alarms/{within}")).await.0, 404);
    let free = Change { bounds: Some(Bounds::default()), ..Change::default() };
    done(&server, async |work| rights::change(work, "chat", free).await).await.unwrap();
    server.pass(2).await;
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 200);
}

async fn a_bound_key_rings_nobody_else_by_repeating(home: Home) {
    const OTHER: &str = "18912345678";
    let server = home.start().await;
    for (name, number) in [("Ann", A), ("Bob", B)] {
        let (status, told) = server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await;
        assert_eq!(status, 201, "{told}");
    }
    for (team, member) in [("ops", "Ann"), ("db", "Bob")] {
        assert_eq!(server.post("/api/v1/teams", &json!({ "name": team, "members": [member] })).await.0, 201);
    }
    let steps = json!({ "steps": [{ "ring": [{ "person": "Bob" }] }] });
    assert!([200, 201].contains(&server.put("/api/v1/policies/other", &steps).await.0));
    let region = server.home.config().default_region;
    let key = done(&server, async |work| keys::add_granted(work, "chat", &[], Grant::default(), region).await).await.unwrap();
    // From before the key was bound.
    let foreign = raised(&server, &key, json!({ "summary": "old", "phones": [OTHER], "dedup_key": "old" })).await;
    let bound = Change { bounds: Some(bounds(&[], &["ops"], &[])), ..Change::default() };
    done(&server, async |work| rights::change(work, "chat", bound).await).await.unwrap();
    server.pass(2).await;
    let of_team = raised(&server, &key, json!({ "summary": "x", "ring": [{ "team": "ops" }], "dedup_key": "d" })).await;
    let callees = async |id: &str| server.alarm(id).await["callees"].as_array().unwrap().len();
    let count = async || server.items("/api/v1/alarms").await.as_array().unwrap().len();
    let repeats = server.alarm(&of_team).await["repeats"].clone();
    let beyond = [
        json!({ "summary": "x", "phones": [OTHER], "dedup_key": "d" }),
        json!({ "summary": "x", "ring": [{ "person": "Bob" }], "dedup_key": "d" }),
        json!({ "summary": "x", "ring": [{ "team": "db" }], "dedup_key": "d", "priority": "critical" }),
        json!({ "summary": "x", "policy": "other", "dedup_key": "d", "priority": "critical" }),
        json!({ "summary": "x", "policy": "none", "dedup_key": "d" }),
    ];
    let refused = async || {
        for body in &beyond {
            let (status, problem) = post(&server, &key, "/api/v1/alarms", body.clone()).await;
            assert_eq!((status, &problem["code"]), (403, &json!("key_may_not")), "{body}: {problem}");
        }
        let alarm = server.alarm(&of_team).await;
        assert_eq!((alarm["callees"].as_array().unwrap().len(), &alarm["repeats"]), (1, &repeats), "{alarm}");
    };
    refused().await;
    // Also when nobody is rung for it any more, and when it was over a moment ago.
    assert_eq!(server.post(&format!("/api/v1/alarms/{of_team}/acknowledge"), &json!({ "name": "Ann" })).await.0, 200);
    refused().await;
    assert_eq!(post(&server, &key, &format!("/api/v1/alarms/{of_team}/resolve"), json!({})).await.0, 200);
    refused().await;
    // What it may ring may come again, and so may what names nobody.
    let again = json!({ "summary": "x", "ring": [{ "team": "ops" }], "dedup_key": "d" });
    assert!(post(&server, &key, "/api/v1/alarms", again).await.0 < 300);
    let (status, told) = post(&server, &key, "/api/v1/alarms", json!({ "summary": "x", "dedup_key": "d" })).await;
    assert!(status < 300, "{told}");
    // But not of an alarm that is beyond its bounds itself.
    let (status, told) =
        post(&server, &key, "/api/v1/alarms", json!({ "summary": "old", "dedup_key": "old", "priority": "critical" })).await;
    assert_eq!(status, 403, "{told}");
    assert_eq!((callees(&foreign).await, server.alarm(&foreign).await["priority"].clone()), (1, json!("normal")));
    // What monitoring systems send likewise.
    let before = count().await;
    let path = format!("/api/v1/intake/generic?phones={OTHER}");
    let (status, told) = post(&server, &key, &path, json!({ "summary": "group", "key": "g" })).await;
    assert!(status >= 400 && count().await == before, "{status} {told}");
}

async fn a_key_is_narrowed_to_what_it_did(home: Home) {
    let server = home.start().await;
    let key = key_that_may(&server, "grafana", &[], "admin").await;
    let mine = raised(&server, &key, Value::Null).await;
    assert_eq!(get(&server, &key, &format!("/api/v1/alarms/{mine}")).await.0, 200);
    let foreseen = async || {
        server.app.access.beside.wait().await;
        let row = kept(&server, "grafana").await;
        let mut reader = server.app.engine.store.read().await.unwrap();
        rights::foresee(&mut reader.db(), &row, server.now()).await.unwrap()
    };
    let seen = foreseen().await;
    assert_eq!((seen.used.to_string().as_str(), seen.becomes.to_string().as_str()), ("raise", "raise"), "its own is no reading");
    assert!(seen.noted_since.is_some(), "so far nothing is known for 30 days");
    assert_eq!(kept(&server, "grafana").await.rights.to_string(), "admin", "a look changes nothing");
    assert_eq!(get(&server, &key, "/api/v1/on-duty").await.0, 200);
    server.home.clock.advance(TimeDelta::days(31));
    assert_eq!(foreseen().await.used, Rights::default(), "long ago");
    assert_eq!(foreseen().await.noted_since, None);
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 200);
    raised(&server, &key, Value::Null).await;
    server.app.access.beside.wait().await;
    let narrowed = done(&server, async |work| rights::narrow(work, "grafana").await).await.unwrap();
    assert_eq!(narrowed.becomes.to_string(), "raise,read");
    server.pass(2).await;
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 200);
    assert_eq!(post(&server, &key, "/api/v1/heartbeats", json!({})).await.0, 403);
    server.app.access.beside.wait().await;
    let again = done(&server, async |work| rights::narrow(work, "grafana").await).await.unwrap();
    assert!(!again.takes_away(), "{again:?}");
}

async fn what_is_used_is_noted_once_an_hour(home: Home) {
    let server = home.start().await;
    let key = key_that_may(&server, "grafana", &[], "read").await;
    let used = async || {
        server.app.access.beside.wait().await;
        let id = kept(&server, "grafana").await.id.to_string();
        let mut reader = server.app.engine.store.read().await.unwrap();
        let rows = reader.db().rights_used_by(&id, server.now() - TimeDelta::days(1)).await.unwrap();
        rows.into_iter().map(|row| (row.name, row.used_at)).collect::<Vec<_>>()
    };
    let first = server.now();
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 200);
    server.home.clock.advance(TimeDelta::minutes(59));
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 200);
    // What is refused for want of a right is none that was used.
    assert_eq!(post(&server, &key, "/api/v1/heartbeats", json!({})).await.0, 403);
    assert_eq!(used().await, [("read".to_owned(), first)]);
    server.home.clock.advance(TimeDelta::minutes(1));
    assert_eq!(get(&server, &key, "/api/v1/people").await.0, 200);
    assert_eq!(used().await, [("read".to_owned(), server.now())]);
    let row = kept(&server, "grafana").await;
    assert_eq!((row.last_used_at, row.last_used_from.as_deref()), (Some(server.now()), Some("127.0.0.1")));
    // The note of the key itself goes on by the minute.
    let keys = Keys::new(server.app.engine.store.subscribe());
    let elsewhere: IpAddr = "10.1.2.3".parse().unwrap();
    keys.used(&server.app.engine.store, &row, elsewhere, server.now()).await.unwrap();
    assert_eq!(kept(&server, "grafana").await.last_used_from.as_deref(), Some("10.1.2.3"));
}

/// On Postgres somebody holds the table of these notes; the embedded database has one writer, who would hold up the alarm itself.
async fn an_alarm_is_answered_whatever_becomes_of_the_note(home: Home) {
    let server = home.start().await;
    let key = key_that_may(&server, "grafana", &[], "raise").await;
    let holder = match server.home.config().database_url {
        Some(url) => {
            let mut holder = PgConnection::connect(url.expose()).await.unwrap();
            holder.execute("BEGIN; LOCK TABLE rights_used IN ACCESS EXCLUSIVE MODE").await.unwrap();
            Some(holder)
        }
        None => None,
    };
    raised(&server, &key, Value::Null).await;
    if let Some(mut holder) = holder {
        assert!(!server.app.access.beside.is_empty(), "the note is still to be written");
        holder.execute("ROLLBACK").await.unwrap();
    }
    server.app.access.beside.wait().await;
    let id = kept(&server, "grafana").await.id.to_string();
    let mut reader = server.app.engine.store.read().await.unwrap();
    let rows = reader.db().rights_used_by(&id, server.now() - TimeDelta::days(1)).await.unwrap();
    assert_eq!(rows.into_iter().map(|row| row.name).collect::<Vec<_>>(), ["raise"]);
}

async fn a_key_for_shouts_reads_its_own_calls_alone(home: Home) {
    let server = home.start().await;
    let key = key_that_may(&server, "blast", &[], "raise,shouts").await;
    for (query, status) in
        [("", 200), ("?kind=shout", 200), ("?kind=alarm", 403), ("?kind=shout&kind=test", 403), ("?origin=replicated", 403)]
    {
        assert_eq!(get(&server, &key, &format!("/api/v1/call-records{query}")).await.0, status, "{query}");
    }
    assert_eq!(get(&server, &key, "/api/v1/shouts?userdata=u1").await, (200, json!([])));
    // Who keeps everything sends no shouts by that.
    let admin = key_that_may(&server, "setup", &[], "admin").await;
    assert_eq!(get(&server, &admin, "/api/v1/shouts?userdata=u1").await.0, 403);
    assert_eq!(get(&server, &admin, "/cti/files").await.0, 403);
}

async fn what_does_not_go_together_is_refused(home: Home) {
    let server = home.start().await;
    let region = server.home.config().default_region;
    let add = async |grant: Grant| done(&server, async |work| keys::add_granted(work, "x", &[], grant, region).await).await;
    let of = |rights: &[Right]| Some(Rights::of(rights.iter().copied()));
    for rights in [&[][..], &[Right::Mail, Right::Raise], &[Right::Phonecalls, Right::Admin]] {
        assert!(matches!(add(Grant { rights: of(rights), ..Grant::default() }).await, Err(KeyError::BadRights(_))), "{rights:?}");
    }
    let bound = |bounds: Bounds, right: Right| Grant { rights: of(&[right]), bounds, ..Grant::default() };
    assert!(matches!(add(bound(bounds(&["a"], &[], &[]), Right::Admin)).await, Err(KeyError::BadRights(_))));
    // They reach any number.
    for apart in [Right::Shouts, Right::Calls] {
        let grant = Grant { rights: of(&[Right::Raise, apart]), bounds: bounds(&["a"], &[], &[]), ..Grant::default() };
        assert!(matches!(add(grant).await, Err(KeyError::BadRights(_))), "{apart}");
    }
    assert!(matches!(add(bound(bounds(&[], &["nobody"], &[]), Right::Read)).await, Err(KeyError::NothingToBindTo { .. })));
    assert!(matches!(add(bound(bounds(&[], &[], &["none"]), Right::Read)).await, Err(KeyError::NothingToBindTo { .. })));
    assert!(matches!(add(bound(bounds(&[" "], &[], &[]), Right::Read)).await, Err(KeyError::BadRights(_))));
    let now = server.now();
    for expires_at in [now, now - TimeDelta::days(1), now + TimeDelta::days(4000)] {
        assert!(matches!(add(Grant { expires_at: Some(expires_at), ..Grant::default() }).await, Err(KeyError::NotAhead(_))));
    }
    assert!(server.app.engine.store.read().await.unwrap().db().keys().await.unwrap().is_empty(), "nothing was kept");
    let nobody = done(&server, async |work| rights::narrow(work, "nobody").await).await;
    assert!(matches!(nobody, Err(KeyError::Unknown(_))));
}
