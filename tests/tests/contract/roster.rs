//! The duty roster over the API: who is on duty, why, until when; what was, and what is wrong with the plan.

use autocall::engine::Doer;
use autocall_tests::described::Held as _;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    it_says_who_why_and_until_when,
    c_replaces_b_across_days_2_to_6_in_another_zone,
    a_temporary_schedule_is_changed_while_an_alarm_is_open,
    two_paths_lead_to_one_person,
    an_empty_schedule_has_nobody_and_says_so,
    a_hand_over_at_the_very_instant_is_the_next_one_s,
    somebody_on_vacation_is_covered,
    somebody_who_is_removed_leaves_the_turns_of_the_others,
    hand_overs_are_kept_once_and_for_ever,
    missed_hand_overs_are_made_up_for,
    after_a_long_outage_hand_overs_are_made_up_for_in_portions,
    a_wrong_request_changes_nothing,
    nobody_s_change_is_lost,
    a_file_is_imported_as_a_whole_or_not_at_all,
    gaps_overlaps_and_people_without_a_number_are_found,
    a_colleague_who_joins_or_leaves_relieves_nobody,
    a_change_of_people_takes_a_date,
    turns_that_are_never_active_need_not_count,
    a_long_list_of_shifts_is_looked_through_at_once,
    holidays_are_a_list,
);

pub async fn people(server: &Server) {
    let csv = format!("name,numbers\nAnn,{A}\nBob,{B}\n张伟,{C}\n");
    let people = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
}

/// Sends any request; the answer may be empty.
pub async fn send(server: &Server, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let mut request = http.request(method.parse().unwrap(), format!("{}{path}", server.base));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.sent().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

async fn add(server: &Server, path: &str, body: Value) -> Value {
    let (status, made) = server.post(path, &body).await;
    assert_eq!(status, 201, "{made}");
    made
}

/// A schedule with one weekly rotation from Monday, 16 November 2026, 09:00.
async fn weekly(server: &Server, name: &str, zone: &str, people: &[&str]) -> Value {
    let layer = json!({ "name": "weekly", "people": people, "every": "1 week", "start": "2026-11-16T09:00" });
    add(server, "/api/v1/schedules", json!({ "name": name, "zone": zone, "layers": [layer] })).await
}

/// Who is on duty by a schedule, until when.
async fn on_duty(server: &Server, schedule: &str, at: &str) -> Vec<(String, String)> {
    let answer = server.get(&format!("/api/v1/schedules/{schedule}/on-duty?at={at}")).await;
    let on = answer["on_duty"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    on.map(|on| (on["person"]["name"].as_str().unwrap().to_owned(), on["until"].as_str().unwrap_or("").to_owned())).collect()
}

async fn names(server: &Server, schedule: &str, at: &str) -> Vec<String> {
    on_duty(server, schedule, at).await.into_iter().map(|(name, _)| name).collect()
}

async fn log(server: &Server, schedule: &str) -> Vec<(DateTime<Utc>, Vec<String>)> {
    let answer = server.get(&format!("/api/v1/schedules/{schedule}/log?from=2026-11-01&to=2027-11-01")).await;
    let name = |person: &Value| person["name"].as_str().unwrap().to_owned();
    let row = |row: &Value| {
        (row["at"].as_str().unwrap().parse().unwrap(), row["people"].as_array().unwrap().iter().map(name).collect())
    };
    answer["hand_overs"].as_array().unwrap().iter().map(row).collect()
}

async fn it_says_who_why_and_until_when(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "Europe/Berlin", &["Ann", "Bob"]).await;
    // It is Friday; the shift began on Monday.
    let now = server.get("/api/v1/schedules/ops/on-duty").await;
    let on = &now["on_duty"][0];
    assert_eq!((&now["source"], &on["person"]["name"]), (&json!("plan"), &json!("Ann")));
    assert_eq!((&on["reason"]["kind"], &on["reason"]["of"]), (&json!("layer"), &json!("weekly")));
    assert_eq!(on["until"], "2026-11-23T08:00:00Z", "nine o'clock in Berlin");
    assert_eq!(names(&server, "ops", "2026-11-23T09:00").await, ["Bob"], "a wall time of the schedule's zone");
    // Over the clock change of 28 March the hand-over stays at nine.
    let shifts = server.get("/api/v1/schedules/ops/shifts?from=2027-03-22&to=2027-04-06").await;
    let begins: Vec<&str> = shifts["shifts"].as_array().unwrap().iter().map(|shift| shift["from"].as_str().unwrap()).collect();
    assert_eq!(begins, ["2027-03-21T23:00:00Z", "2027-03-22T08:00:00Z", "2027-03-29T07:00:00Z", "2027-04-05T07:00:00Z"]);
    let all = server.get("/api/v1/on-duty").await;
    assert_eq!(all["on_duty"][0]["schedule"]["name"], "ops");
}

async fn c_replaces_b_across_days_2_to_6_in_another_zone(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "America/New_York", &["Ann", "Bob"]).await;
    // Bob's week begins on Monday the 23rd at 09:00 in New York. 张伟, in Shanghai, takes it from the 2nd to the 6th day.
    let body = json!({ "action": "replace", "person": "张伟", "instead_of": "Bob", "note": "swap",
        "from": "2026-11-24T09:00:00+08:00", "to": "2026-11-29T09:00:00+08:00" });
    add(&server, "/api/v1/schedules/ops/overrides", body).await;
    // While it holds Ann is not replaced: her week is over before, and it begins again after.
    assert_eq!(on_duty(&server, "ops", "2026-11-23T14:00:00Z").await, [("Bob".to_owned(), "2026-11-24T01:00:00Z".to_owned())]);
    assert_eq!(on_duty(&server, "ops", "2026-11-24T01:00:00Z").await, [("张伟".to_owned(), "2026-11-29T01:00:00Z".to_owned())]);
    assert_eq!(on_duty(&server, "ops", "2026-11-29T01:00:00Z").await, [("Bob".to_owned(), "2026-11-30T14:00:00Z".to_owned())]);
    let at = server.get("/api/v1/schedules/ops/on-duty?at=2026-11-26T00:00:00Z").await;
    let reason = &at["on_duty"][0]["reason"];
    assert_eq!(
        (&reason["kind"], &reason["of"], &reason["instead_of"]["name"]),
        (&json!("override"), &json!("swap"), &json!("Bob"))
    );
}

async fn a_temporary_schedule_is_changed_while_an_alarm_is_open(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "Asia/Shanghai", &["Ann", "Bob"]).await;
    let path = "/api/v1/schedules/ops/temporaries";
    let body = |person: &str| json!({ "name": "move", "people": [person], "from": "2026-11-20T00:00", "to": "2026-11-22T00:00" });
    let first = add(&server, path, body("Bob")).await;
    assert_eq!(names(&server, "ops", "2026-11-20T12:00").await, ["Bob"]);
    let alarm = server.raise(&[B], json!({})).await;
    // An override does nothing against it: it stands below.
    let body_override = json!({ "action": "replace", "person": "Ann", "from": "2026-11-20T00:00", "to": "2026-11-21T00:00" });
    add(&server, "/api/v1/schedules/ops/overrides", body_override).await;
    assert_eq!(names(&server, "ops", "2026-11-20T12:00").await, ["Bob"]);
    let removed = send(&server, "DELETE", &format!("{path}/{}", first["id"].as_str().unwrap()), None).await;
    assert_eq!(removed.0, 204);
    add(&server, path, body("张伟")).await;
    assert_eq!(names(&server, "ops", "2026-11-20T12:00").await, ["张伟"]);
    // Whom the open alarm rings was settled when it came.
    assert_eq!(server.alarm(&alarm).await["callees"][0]["name"], "Bob");
    assert_eq!(names(&server, "ops", "2026-11-22T00:00").await, ["Ann"], "afterwards all is as it was");
}

async fn two_paths_lead_to_one_person(home: Home) {
    let server = home.start().await;
    people(&server).await;
    add(&server, "/api/v1/teams", json!({ "name": "infra", "members": ["Bob", "Ann"] })).await;
    let members = server.get("/api/v1/teams/infra/on-duty").await;
    assert_eq!(members["on_duty"][0]["reason"]["kind"], "member");
    assert_eq!(members["on_duty"].as_array().unwrap().len(), 2, "without a schedule all members are called");
    for (name, first) in [("1st", "Ann"), ("2nd", "Ann"), ("3rd", "Bob")] {
        let layer = json!({ "name": "l", "people": [first], "every": "1 week", "start": "2026-11-16T09:00" });
        add(&server, "/api/v1/schedules", json!({ "name": name, "zone": "UTC", "team": "infra", "layers": [layer] })).await;
    }
    let on = server.get("/api/v1/teams/infra/on-duty").await;
    let on: Vec<_> =
        on["on_duty"].as_array().unwrap().iter().map(|on| (&on["person"]["name"], &on["schedule"]["name"])).collect();
    assert_eq!(on, [(&json!("Ann"), &json!("1st")), (&json!("Bob"), &json!("3rd"))]);
    let check = server.get("/api/v1/roster/check").await;
    let twice: Vec<&Value> = check["findings"].as_array().unwrap().iter().filter(|found| found["kind"] == "twice").collect();
    assert_eq!((twice.len(), &twice[0]["people"][0]["name"]), (1, &json!("Ann")), "{check}");
}

async fn an_empty_schedule_has_nobody_and_says_so(home: Home) {
    let server = home.start().await;
    people(&server).await;
    add(&server, "/api/v1/schedules", json!({ "name": "ops", "zone": "UTC" })).await;
    assert!(names(&server, "ops", "2026-11-20T12:00").await.is_empty());
    let check = server.get("/api/v1/roster/check?days=7").await;
    assert_eq!((&check["findings"][0]["kind"], check["findings"].as_array().unwrap().len()), (&json!("gap"), 1));
    assert_eq!(
        (check["findings"][0]["from"].clone(), check["findings"][0]["to"].clone()),
        (check["from"].clone(), check["to"].clone())
    );
    // Somebody can be put on duty all the same.
    let body = json!({ "action": "replace", "person": "Ann", "from": "2026-11-20T00:00", "to": "2026-11-21T00:00" });
    add(&server, "/api/v1/schedules/ops/overrides", body).await;
    assert_eq!(names(&server, "ops", "2026-11-20T12:00").await, ["Ann"]);
}

async fn a_hand_over_at_the_very_instant_is_the_next_one_s(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "Europe/Berlin", &["Ann", "Bob"]).await;
    assert_eq!(names(&server, "ops", "2026-11-23T07:59:59.999999Z").await, ["Ann"]);
    assert_eq!(names(&server, "ops", "2026-11-23T08:00:00Z").await, ["Bob"]);
    let hand_over: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
    server.pass((hand_over - server.now()).num_seconds()).await;
    assert_eq!(server.now(), hand_over);
    let now = server.get("/api/v1/schedules/ops/on-duty").await;
    assert_eq!(now["on_duty"][0]["person"]["name"], "Bob");
    assert_eq!(log(&server, "ops").await.last().unwrap(), &(hand_over, vec!["Bob".to_owned()]));
}

async fn somebody_on_vacation_is_covered(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "Europe/Berlin", &["Ann", "Bob", "张伟"]).await;
    let vacation = json!({ "person": "Bob", "from": "2026-11-25", "to": "2026-11-27", "zone": "Europe/Berlin" });
    let made = add(&server, "/api/v1/vacations", vacation).await;
    let covered = server.get("/api/v1/schedules/ops/on-duty?at=2026-11-25T12:00").await;
    let on = &covered["on_duty"][0];
    assert_eq!((&on["person"]["name"], &on["reason"]["instead_of"]["name"]), (&json!("张伟"), &json!("Bob")));
    assert_eq!(on["until"], "2026-11-26T23:00:00Z");
    // Nobody who is away takes a shift, also not when asked.
    let body = json!({ "action": "replace", "person": "Bob", "from": "2026-11-25T00:00", "to": "2026-11-26T00:00" });
    add(&server, "/api/v1/schedules/ops/overrides", body).await;
    assert_eq!(names(&server, "ops", "2026-11-25T12:00").await, ["张伟"]);
    assert_eq!(server.get("/api/v1/vacations").await["vacations"][0]["person"]["name"], "Bob");
    let path = format!("/api/v1/vacations/{}", made["id"].as_str().unwrap());
    assert_eq!(send(&server, "DELETE", &path, None).await.0, 204);
    assert_eq!(send(&server, "DELETE", &path, None).await.0, 404);
    assert_eq!(names(&server, "ops", "2026-11-25T12:00").await, ["Bob"]);
}

async fn somebody_who_is_removed_leaves_the_turns_of_the_others(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "UTC", &["Ann", "Bob", "张伟"]).await;
    let store = &server.app.engine.store;
    let roster = store.read().await.unwrap().db().roster().await.unwrap();
    store
        .carry_out(server.now(), Doer::Server, async |work| {
            autocall::keep::people::remove(work, roster.find_person("Ann").unwrap(), &autocall::versions::Expected::Anything)
                .await
        })
        .await
        .unwrap();
    // Bob covers the first week; the second is his own, as before.
    assert_eq!(names(&server, "ops", "2026-11-21T12:00").await, ["Bob"]);
    assert_eq!(names(&server, "ops", "2026-12-01T12:00").await, ["张伟"]);
    // Nobody changed the roster, so the log finds out when it looks around.
    server.home.clock.advance(TimeDelta::seconds(60));
    server.app.engine.keep_duty_log(server.now(), true).await.unwrap();
    assert_eq!(log(&server, "ops").await.last().unwrap().1, ["Bob"]);
}

async fn hand_overs_are_kept_once_and_for_ever(home: Home) {
    let shared = home.is_shared();
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "UTC", &["Ann", "Bob"]).await;
    let made = server.now();
    let hand_over: DateTime<Utc> = "2026-11-23T09:00:00Z".parse().unwrap();
    server.home.clock.advance(hand_over - made);
    // Several nodes at once, each more than once.
    let second = if shared { Some(server.home.quiet_node().await) } else { None };
    let other = &second.as_ref().map_or(&server.app, |node| &node.app).engine;
    let written: Vec<usize> = {
        let here = async || server.app.engine.keep_duty_log(hand_over, false).await.unwrap();
        let there = async || other.keep_duty_log(hand_over, true).await.unwrap();
        let (a, b, c, d) = tokio::join!(here(), there(), here(), there());
        vec![a, b, c, d]
    };
    assert!(written.iter().sum::<usize>() <= 1, "{written:?}");
    let expected = [(made, vec!["Ann".to_owned()]), (hand_over, vec!["Bob".to_owned()])];
    assert_eq!(log(&server, "ops").await, expected);
    let lately = server.get("/api/v1/schedules/ops/log?key=").await;
    assert_eq!(lately["code"], "unauthorized", "an empty key is a wrong one");
    let lately = server.get("/api/v1/schedules/ops/log").await;
    assert_eq!(lately["hand_overs"].as_array().unwrap().len(), 2, "without a word, those of the last fourteen days");
    // Whatever is edited now, that is how it was.
    server.pass(3600).await;
    let now = server.now();
    let body = json!({ "action": "replace", "person": "张伟", "from": "2026-11-16", "to": "2026-12-31" });
    add(&server, "/api/v1/schedules/ops/overrides", body).await;
    assert_eq!(log(&server, "ops").await[..2], expected);
    assert_eq!(log(&server, "ops").await[2..], [(now, vec!["张伟".to_owned()])], "and the change is in the log at once");
    let past = server.get("/api/v1/schedules/ops/on-duty?at=2026-11-20T12:00:00Z").await;
    assert_eq!((&past["source"], &past["on_duty"][0]["person"]["name"]), (&json!("log"), &json!("Ann")));
    assert_eq!(past["on_duty"][0]["until"], "2026-11-23T09:00:00Z");
    assert_eq!(send(&server, "DELETE", "/api/v1/schedules/ops", None).await.0, 204);
    assert_eq!(send(&server, "GET", "/api/v1/schedules/ops", None).await.0, 404);
    weekly(&server, "ops", "UTC", &["Bob"]).await;
}

async fn missed_hand_overs_are_made_up_for(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let layer = json!({ "name": "daily", "people": ["Ann", "Bob"], "every": "1 day", "start": "2026-11-20T09:00" });
    add(&server, "/api/v1/schedules", json!({ "name": "ops", "zone": "Asia/Tokyo", "layers": [layer] })).await;
    let home = server.stop().await;
    home.clock.advance(TimeDelta::days(3));
    let server = home.start().await;
    server.pass(0).await;
    let times: Vec<String> =
        log(&server, "ops").await.iter().map(|(at, who)| format!("{} {}", at.format("%dT%H"), who[0])).collect();
    assert_eq!(times, ["20T03 Ann", "21T00 Bob", "22T00 Ann", "23T00 Bob"]);
}

/// A roster of hours that nobody looked at for half a year: no transaction writes thousands of rows, none is lost or written twice, and a
/// change in the middle of it does not rewrite what was before.
async fn after_a_long_outage_hand_overs_are_made_up_for_in_portions(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let layer = json!({ "name": "hourly", "people": ["Ann", "Bob"], "every": "1 hour", "start": "2026-11-20T03:00" });
    add(&server, "/api/v1/schedules", json!({ "name": "ops", "zone": "UTC", "layers": [layer] })).await;
    let made = server.now();
    let home = server.stop().await;
    home.clock.advance(TimeDelta::hours(4_000));
    let node = home.quiet_node().await;
    let now = home.clock.now();
    let mut portions = Vec::new();
    for _ in 0..4 {
        portions.push(node.app.engine.keep_duty_log(now, false).await.unwrap());
    }
    assert!(portions.iter().all(|written| (1..=500).contains(written)), "{portions:?}");
    node.app.engine.store.close().await;
    drop(node);
    let server = home.start().await;
    let body = json!({ "action": "replace", "person": "张伟", "from": "2026-11-16", "to": "2027-12-31" });
    add(&server, "/api/v1/schedules/ops/overrides", body).await;
    let on_duty = |hour: i64| if hour % 2 == 0 { "Ann" } else { "Bob" };
    let mut expected: Vec<_> = (0..4_000).map(|hour| (made + TimeDelta::hours(hour), vec![on_duty(hour).to_owned()])).collect();
    expected.push((now, vec!["张伟".to_owned()]));
    let schedule = server.app.engine.store.read().await.unwrap().db().roster().await.unwrap().find_schedule("ops").unwrap().id;
    let mut kept = Vec::new();
    for month in 0..12 {
        let from = made + TimeDelta::days(30 * month);
        let rows = server
            .app
            .engine
            .store
            .read()
            .await
            .unwrap()
            .db()
            .duties(schedule, from, from + TimeDelta::days(30), 2000)
            .await
            .unwrap();
        kept.extend(rows.into_iter().map(|row| (row.at, row.people.0.into_iter().map(|person| person.name).collect::<Vec<_>>())));
    }
    assert!(
        kept == expected,
        "{} of {}: {:?}",
        kept.len(),
        expected.len(),
        kept.iter().zip(&expected).find(|(kept, expected)| kept != expected)
    );
}

async fn a_wrong_request_changes_nothing(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "UTC", &["Ann"]).await;
    let before = server.get("/api/v1/schedules").await;
    let layer = |field: &str, value: Value| {
        let mut layer = json!({ "name": "l", "people": ["Ann"], "every": "1 week", "start": "2026-11-16T09:00" });
        layer[field] = value;
        json!({ "name": "new", "zone": "UTC", "layers": [layer] })
    };
    let shift = |action: &str, person: &str, of: Option<&str>, to: &str| json!({ "action": action, "person": person, "instead_of": of, "from": "2026-11-20T00:00", "to": to });
    let day = "2026-11-21T00:00";
    let (schedules, overrides) = ("/api/v1/schedules", "/api/v1/schedules/ops/overrides");
    for (path, body, status, field) in [
        (schedules, json!({ "name": "", "zone": "UTC" }), 422, "name"),
        (schedules, json!({ "name": "ops", "zone": "UTC" }), 409, ""),
        (schedules, json!({ "name": "x", "zone": "Mars/Phobos" }), 422, "zone"),
        (schedules, json!({ "name": "x", "zone": "UTC", "team": "nobody's" }), 422, "team"),
        (schedules, json!({ "name": "x", "zone": "UTC", "colour": "red" }), 422, "colour"),
        (schedules, layer("people", json!(["Nobody"])), 422, "person"),
        (schedules, layer("people", json!([])), 422, "layers"),
        (schedules, layer("every", json!("sometimes")), 422, "every"),
        (schedules, layer("start", json!("soon")), 422, "start"),
        (schedules, layer("end", json!("2026-11-16T09:00")), 422, "end"),
        (schedules, layer("active", json!(["weekends"])), 422, "active"),
        (overrides, shift("add", "Ann", None, "2026-11-20T00:00"), 422, "to"),
        (overrides, shift("add", "Ann", Some("Bob"), day), 422, "action"),
        (overrides, shift("swap", "Ann", None, day), 422, "action"),
        (overrides, shift("replace", "Ann", Some("Ann"), day), 422, "action"),
        (overrides, shift("remove", "Nobody", None, day), 422, "person"),
        ("/api/v1/schedules/none/overrides", shift("add", "Ann", None, day), 404, ""),
        ("/api/v1/vacations", json!({ "person": "Ann", "from": day, "to": day }), 422, "to"),
        ("/api/v1/teams", json!({ "name": "t", "members": ["Nobody"] }), 422, "person"),
        ("/api/v1/calendar-feeds", json!({ "schedule": "ops", "person": "Ann" }), 422, "schedule"),
    ] {
        let (got, problem) = server.post(path, &body).await;
        assert_eq!((got, problem["field"].as_str().unwrap_or("")), (status, field), "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    }
    assert_eq!(server.get("/api/v1/schedules").await, before);
    for path in ["/api/v1/schedules/ops/on-duty?when=now", "/api/v1/schedules/ops/on-duty?at=then", "/api/v1/roster/check?days=0"]
    {
        assert_eq!(send(&server, "GET", path, None).await.0, 422, "{path}");
    }
}

async fn nobody_s_change_is_lost(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let read = weekly(&server, "ops", "UTC", &["Ann"]).await;
    let mut body = json!({ "name": "ops", "zone": "Asia/Tokyo", "layers": [] });
    let (status, problem) = send(&server, "PUT", "/api/v1/schedules/ops", Some(body.clone())).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("version")));
    body["version"] = read["version"].clone();
    let (status, changed) = send(&server, "PUT", "/api/v1/schedules/ops", Some(body.clone())).await;
    assert_eq!((status, changed["zone"].as_str(), changed["version"].as_i64()), (200, Some("Asia/Tokyo"), Some(2)));
    body["zone"] = json!("UTC");
    let (status, problem) = send(&server, "PUT", "/api/v1/schedules/ops", Some(body)).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("changed_meanwhile")));
    assert_eq!(server.get("/api/v1/schedules/ops").await["zone"], "Asia/Tokyo");
    let team = add(&server, "/api/v1/teams", json!({ "name": "infra" })).await;
    let body = json!({ "name": "infra", "members": ["Bob"], "version": team["version"] });
    assert_eq!(send(&server, "PUT", "/api/v1/teams/infra", Some(body.clone())).await.0, 200);
    assert_eq!(send(&server, "PUT", "/api/v1/teams/infra", Some(body)).await.0, 409);
    assert_eq!(send(&server, "DELETE", "/api/v1/teams/infra", None).await.0, 204);
    assert_eq!(send(&server, "GET", "/api/v1/teams/infra", None).await.0, 404);
}

async fn import(server: &Server, kind: &str, text: &str) -> (u16, Value) {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let request = http.post(format!("{}/api/v1/schedules/ops/import", server.base)).header("content-type", kind);
    let response = request.body(text.to_owned()).sent().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn a_file_is_imported_as_a_whole_or_not_at_all(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "Europe/Berlin", &["Ann"]).await;
    let bad = format!("start,end,person\n2026-11-23 09:00,,Bob\n2026-11-30 09:00,soon,{C}\n2026-12-07 09:00,,Eve\n");
    let (status, problem) = import(&server, "text/csv", &bad).await;
    assert_eq!(status, 422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("line 3") && detail.contains("line 4") && !detail.contains("line 2"), "{detail}");
    assert_eq!(names(&server, "ops", "2026-11-24T09:00").await, ["Ann"]);
    let good = format!("start,end,person\n2026-11-23 09:00,,Bob\n2026-11-30 09:00,2026-12-07 09:00,{C}\n");
    let (status, done) = import(&server, "text/csv; charset=utf-8", &good).await;
    assert_eq!((status, &done["shifts"]), (200, &json!(2)), "{done}");
    assert_eq!(names(&server, "ops", "2026-11-24T09:00").await, ["Bob"]);
    assert_eq!(names(&server, "ops", "2026-12-06T09:00").await, ["张伟"], "by one of their numbers");
    assert_eq!(names(&server, "ops", "2026-12-08T09:00").await, ["Ann"], "after the file the rotation goes on");
    // Another file takes the place of the first.
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:张伟\r\n\
        DTSTART;TZID=Europe/Berlin:20261123T090000\r\nDTEND;TZID=Europe/Berlin:20261124T090000\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\n\
        END:VEVENT\r\nEND:VCALENDAR\r\n";
    let (status, done) = import(&server, "text/calendar", ics).await;
    assert_eq!((status, &done["shifts"], done["schedule"]["layers"].as_array().unwrap().len()), (200, &json!(2), 2), "{done}");
    assert_eq!(names(&server, "ops", "2026-11-30T12:00").await, ["张伟"]);
    assert_eq!(names(&server, "ops", "2026-11-25T12:00").await, ["Ann"]);
    assert_eq!(import(&server, "application/json", "{}").await.0, 415);
}

async fn gaps_overlaps_and_people_without_a_number_are_found(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let store = &server.app.engine.store;
    let mut tx = store.begin().await.unwrap();
    tx.db().upsert_person(autocall::ids::PersonId::new(server.now()), "Eve", "", server.now()).await.unwrap();
    tx.commit().await.unwrap();
    let layer = json!({ "name": "days", "people": ["Eve"], "every": "1 week", "start": "2026-11-16T00:00", "active": ["mon-fri 09:00-18:00"] });
    let schedule = json!({ "name": "ops", "zone": "UTC", "layers": [layer] });
    add(&server, "/api/v1/schedules", schedule).await;
    let body = json!({ "action": "add", "person": "Ann", "from": "2026-11-20T10:00", "to": "2026-11-20T20:00" });
    add(&server, "/api/v1/schedules/ops/overrides", body).await;
    let check = server.get("/api/v1/roster/check?days=1").await;
    let found: Vec<String> = check["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let time = |name: &str| found[name].as_str().map_or("", |at| &at[8..13]).to_owned();
            format!("{} {} {}", found["kind"].as_str().unwrap(), time("from"), time("to"))
        })
        .collect();
    assert_eq!(found, ["gap 20T03 20T09", "unreachable 20T09 ", "several 20T10 20T18", "gap 20T20 21T03"], "{check}");
    // A schedule that need not cover everything has no gaps to report, unless a team has nothing else.
    add(&server, "/api/v1/teams", json!({ "name": "infra", "members": ["Ann"] })).await;
    let (_, read) = send(&server, "GET", "/api/v1/schedules/ops", None).await;
    let mut body = json!({ "name": "ops", "zone": "UTC", "gaps_allowed": true, "version": read["version"] });
    assert_eq!(send(&server, "PUT", "/api/v1/schedules/ops", Some(body.clone())).await.0, 200);
    assert_eq!(server.get("/api/v1/roster/check").await["findings"], json!([]));
    body["team"] = json!("infra");
    body["version"] = json!(read["version"].as_i64().unwrap() + 1);
    assert_eq!(send(&server, "PUT", "/api/v1/schedules/ops", Some(body)).await.0, 200);
    assert_eq!(server.get("/api/v1/roster/check").await["findings"][0]["kind"], "team_gap");
    // A team without a schedule is called as a whole.
    add(&server, "/api/v1/teams", json!({ "name": "nobody" })).await;
    add(&server, "/api/v1/teams", json!({ "name": "quiet", "members": ["Ann", "Eve"] })).await;
    let check = server.get("/api/v1/roster/check").await;
    let mut found: Vec<_> = check["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| (own["kind"].as_str().unwrap(), own["team"]["name"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    // Ann is there from ten to eight, so the gap of infra is in two parts.
    found.dedup();
    assert_eq!(found, [("team_gap", "infra"), ("team_gap", "nobody"), ("unreachable", "quiet")]);
}

/// Changes the people of the rotation, in the way of the API: what was read, with others in it.
async fn give_people(server: &Server, people: &[&str], from: Option<&str>) {
    let (_, mut read) = send(server, "GET", "/api/v1/schedules/ops", None).await;
    let mut layer = read["layers"][0].take();
    layer.as_object_mut().unwrap().remove("id");
    layer["people"] = json!(people);
    if let Some(from) = from {
        layer["from"] = json!(from);
    }
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "version": read["version"], "layers": [layer] });
    let (status, answer) = send(server, "PUT", "/api/v1/schedules/ops", Some(body)).await;
    assert_eq!(status, 200, "{answer}");
}

/// Who has the turns from this week on.
async fn turns(server: &Server, count: i64) -> String {
    let mut names = String::new();
    for week in 0..count {
        let at = server.now() + TimeDelta::weeks(week);
        let on = on_duty(server, "ops", &at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).await;
        names.push(on[0].0.chars().next().unwrap());
    }
    names
}

/// A rotation that has run for some weeks: it is Friday, and Ann's week ends on Monday.
async fn under_way(server: &Server) {
    people(server).await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-02T09:00" });
    add(server, "/api/v1/schedules", json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [layer] })).await;
    assert_eq!(turns(server, 3).await, "ABA");
}

async fn a_colleague_who_joins_or_leaves_relieves_nobody(home: Home) {
    let server = home.start().await;
    under_way(&server).await;
    give_people(&server, &["Ann", "Bob", "张伟"], None).await;
    assert_eq!(on_duty(&server, "ops", "2026-11-20T03:00:00Z").await, [("Ann".to_owned(), "2026-11-23T08:00:00Z".to_owned())]);
    assert_eq!(turns(&server, 5).await, "AB张AB");
    let answer = server.get("/api/v1/schedules/ops/on-duty").await;
    let next = &answer["next"][0];
    assert_eq!((&next["people"][0]["name"], &next["at"]), (&json!("Bob"), &json!("2026-11-23T08:00:00Z")), "{answer}");
    // The same once more changes nothing.
    give_people(&server, &["Ann", "Bob", "张伟"], None).await;
    assert_eq!(turns(&server, 5).await, "AB张AB");
    // Whoever is taken out stays until the hand-over too.
    give_people(&server, &["Bob", "张伟"], None).await;
    assert_eq!(turns(&server, 4).await, "AB张B");
    assert_eq!(log(&server, "ops").await.len(), 1, "nobody was relieved");
    // After it, nothing of all this is left.
    server.pass(7 * 86_400).await;
    assert_eq!(turns(&server, 3).await, "B张B");
    give_people(&server, &["张伟", "Bob"], None).await;
    assert_eq!(turns(&server, 3).await, "B张B");
}

async fn a_change_of_people_takes_a_date(home: Home) {
    let server = home.start().await;
    under_way(&server).await;
    // In the middle of a turn: it is the hand-over after it that counts.
    give_people(&server, &["Ann", "Bob", "张伟"], Some("2026-12-03T12:00")).await;
    // Until then Ann and Bob: 20 and 27 November, 4 December; the hand-over is on the seventh.
    assert_eq!(turns(&server, 7).await, "ABAB张AB");
    let (_, read) = send(&server, "GET", "/api/v1/schedules/ops", None).await;
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "version": read["version"],
        "layers": [{ "name": "weekly", "people": ["Bob"], "every": "1 week", "start": "2026-11-02T09:00", "from": "soon" }] });
    let (status, problem) = send(&server, "PUT", "/api/v1/schedules/ops", Some(body)).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("from")), "{problem}");
}

async fn turns_that_are_never_active_need_not_count(home: Home) {
    let server = home.start().await;
    people(&server).await;
    // Seven places by days, of which only five are weekdays: the last two never have a shift.
    let layer = |skip: bool| {
        json!({ "name": "daily", "people": ["Ann", "Ann", "Ann", "Ann", "Ann", "Bob", "张伟"], "every": "1 day",
            "start": "2026-11-16T00:00", "active": ["mon-fri 00:00-24:00"], "skip_idle_turns": skip })
    };
    let schedule = json!({ "name": "ops", "zone": "UTC", "gaps_allowed": true, "layers": [layer(false)] });
    let made = add(&server, "/api/v1/schedules", schedule).await;
    let check = server.get("/api/v1/roster/check?days=366").await;
    let found = check["findings"].as_array().unwrap();
    let who: Vec<_> =
        found.iter().map(|own| (own["kind"].as_str().unwrap(), own["people"][0]["name"].as_str().unwrap())).collect();
    assert_eq!(who, [("never", "Bob"), ("never", "张伟")], "{check}");
    let schedule =
        json!({ "name": "ops", "zone": "UTC", "gaps_allowed": true, "version": made["version"], "layers": [layer(true)] });
    let (status, answer) = send(&server, "PUT", "/api/v1/schedules/ops", Some(schedule)).await;
    assert_eq!((status, &answer["layers"][0]["skip_idle_turns"]), (200, &json!(true)), "{answer}");
    assert_eq!(server.get("/api/v1/roster/check?days=366").await["findings"], json!([]));
    assert_eq!(names(&server, "ops", "2026-11-23T12:00").await, ["Bob"]);
    assert_eq!(names(&server, "ops", "2026-11-24T12:00").await, ["张伟"]);
}

/// As many shifts as a file may have, most of them at once: what looks at each of them for each of them would take minutes.
async fn a_long_list_of_shifts_is_looked_through_at_once(home: Home) {
    let server = home.start().await;
    people(&server).await;
    add(&server, "/api/v1/schedules", json!({ "name": "ops", "zone": "UTC" })).await;
    let mut csv = "start,end,person\n2026-11-16,2028-11-01,Ann\n".to_owned();
    let start: DateTime<Utc> = "2026-11-16T00:00:00Z".parse().unwrap();
    for hour in 1..=5_000 {
        let time = |hours: i64| (start + TimeDelta::hours(hours)).format("%Y%m%dT%H").to_string();
        csv.push_str(&format!("{},{},Bob\n", stamp(&time(hour)), stamp(&time(hour + 1))));
    }
    let (status, done) = import(&server, "text/csv", &csv).await;
    assert_eq!((status, &done["shifts"]), (200, &json!(5_001)), "{}", done["detail"]);
    let shifts = server.get("/api/v1/schedules/ops/shifts?from=2026-11-16&to=2028-11-01").await;
    assert_eq!(shifts["shifts"].as_array().unwrap().len(), 3, "Bob's hours are one shift beside Ann's");
    assert_eq!(server.get("/api/v1/roster/check?days=366").await["findings"].as_array().unwrap().len(), 1);
}

/// `20261116T09` as a spreadsheet has it.
fn stamp(hour: &str) -> String {
    format!("{}-{}-{} {}:00", &hour[..4], &hour[4..6], &hour[6..8], &hour[9..])
}

async fn holidays_are_a_list(home: Home) {
    let server = home.start().await;
    people(&server).await;
    weekly(&server, "ops", "Europe/Berlin", &["Ann"]).await;
    let path = "/api/v1/schedules/ops/holidays";
    let days = ["2026-12-26", "2026-12-25", "2027-01-01"];
    let body = json!({ "name": "Christmas", "days": days, "people": ["Bob", "张伟"] });
    let (status, made) = server.post(path, &body).await;
    assert_eq!((status, made["ids"].as_array().map(Vec::len)), (201, Some(3)), "{made}");
    for (at, who) in [
        ("2026-12-24T23:59", "Ann"),
        ("2026-12-25T00:00", "Bob"),
        ("2026-12-26T12:00", "张伟"),
        ("2026-12-27T00:00", "Ann"),
        ("2027-01-01T12:00", "Bob"),
    ] {
        assert_eq!(names(&server, "ops", at).await, [who], "{at}");
    }
    for (field, value) in
        [("days", json!([])), ("days", json!(["Christmas"])), ("people", json!([])), ("people", json!(["Nobody"]))]
    {
        let mut body = body.clone();
        body[field] = value;
        assert_eq!(server.post(path, &body).await.0, 422, "{field}");
    }
}
