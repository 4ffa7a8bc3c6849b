//! Figures and reports: what is counted some seconds after things happen is what a slow count of all rows finds, whatever comes late, twice
//! or in another order; and what a report says of it.

use std::collections::BTreeMap;

use autocall::ids::HuntId;
use autocall::reports::Dimension;
use autocall::reports::counted::{
    self, AlarmFacts, AnswerFacts, CallFacts, Change, Decliner, HuntFacts, Inherited, Place, Whose,
};
use autocall::reports::figures::Figures;
use autocall::store::alarm::answers::AnswerRow;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    figures_are_what_a_slow_count_finds,
    a_late_answer_corrects_its_day,
    a_false_alarm_is_marked_and_taken_back,
    what_came_before_is_counted_in_the_background,
    what_was_forgotten_still_counts,
    a_removed_person_leaves_no_figures,
    the_report_of_a_team_over_a_change_of_clocks,
    a_report_is_refused_with_the_parameter,
    no_spreadsheet_sees_a_formula_in_a_report,
    joined_alarms_are_rung_for_once,
    two_nodes_count_once,
    parted_alarms_count_once,
    who_is_removed_still_said_no_once,
    nobody_waits_for_a_figure,
    what_cannot_be_counted_is_put_aside,
    what_a_node_of_before_raised_is_counted_too,
);

const REPORTS: &str = "/api/v1/reports";

async fn people(server: &Server) {
    for (name, number) in [("Ann", A), ("Ben", B), ("Cid", C)] {
        let person = json!({ "name": name, "numbers": [number] });
        assert_eq!(server.post("/api/v1/people", &person).await.0, 201);
    }
}

/// A team with a schedule in which Ann and Ben take turns at noon.
async fn team(server: &Server, zone: &str) {
    let members = json!({ "name": "ops", "members": ["Ann", "Ben"] });
    assert_eq!(server.post("/api/v1/teams", &members).await.0, 201);
    let layer = json!({ "name": "daily", "people": ["Ann", "Ben"], "every": "1 day", "start": "2026-11-16T12:00" });
    let schedule = json!({ "name": "ops days", "team": "ops", "zone": zone, "layers": [layer] });
    let (status, made) = server.post("/api/v1/schedules", &schedule).await;
    assert_eq!(status, 201, "{made}");
}

/// What is done beside the server's work every few seconds: sums are made, and what came before is counted.
async fn added_up(server: &Server) {
    server.app.engine.keep_figures(server.now()).await.unwrap();
}

async fn report(server: &Server, query: &str) -> Value {
    added_up(server).await;
    let report = server.get(&format!("{REPORTS}?{query}")).await;
    assert!(report["lines"].is_array(), "{query}: {report}");
    report
}

fn line<'r>(report: &'r Value, name: &str) -> &'r Value {
    let lines = report["lines"].as_array().unwrap();
    lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("nothing of {name}: {report:#}"))
}

/// Every row that there is, read behind the server's back.
struct Rows {
    alarms: Vec<(String, i64, i64)>,
    hunts: Vec<String>,
    records: Vec<i64>,
    /// What hunts have from others.
    copies: BTreeMap<String, Inherited>,
}

/// All ids, as the database holds them, in a form that both engines write.
async fn rows(server: &Server) -> Rows {
    // 36 characters on both.
    let (alarms, hunts, records, copies) = match server.home.config().database_url {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
            let alarms = sqlx::query_as("SELECT id::text, number, repeats FROM alarms WHERE kind = 'alarm' ORDER BY number");
            let alarms: Vec<(String, i64, i64)> = alarms.fetch_all(&mut connection).await.unwrap();
            let hunts = sqlx::query_as("SELECT id::text FROM hunts WHERE kind = 'alarm' AND NOT dry_run ORDER BY created_at, id");
            let hunts: Vec<(String,)> = hunts.fetch_all(&mut connection).await.unwrap();
            let records: Vec<(i64,)> = sqlx::query_as("SELECT id FROM call_records WHERE kind = 'alarm' ORDER BY id")
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let copies = sqlx::query_as("SELECT hunt_id::text, inherited FROM hunt_copies");
            let copies: Vec<(String, String)> = copies.fetch_all(&mut connection).await.unwrap();
            (alarms, hunts, records, copies)
        }
        None => {
            let path = format!("sqlite://{}", server.home.database_file().display());
            let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
            let alarms =
                sqlx::query_as("SELECT lower(hex(id)), number, repeats FROM alarms WHERE kind = 'alarm' ORDER BY number");
            let alarms: Vec<(String, i64, i64)> = alarms.fetch_all(&mut connection).await.unwrap();
            let hunts =
                sqlx::query_as("SELECT lower(hex(id)) FROM hunts WHERE kind = 'alarm' AND NOT dry_run ORDER BY created_at, id");
            let hunts: Vec<(String,)> = hunts.fetch_all(&mut connection).await.unwrap();
            let records: Vec<(i64,)> = sqlx::query_as("SELECT id FROM call_records WHERE kind = 'alarm' ORDER BY id")
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let copies = sqlx::query_as("SELECT lower(hex(hunt_id)), inherited FROM hunt_copies");
            let copies: Vec<(String, String)> = copies.fetch_all(&mut connection).await.unwrap();
            (alarms, hunts, records, copies)
        }
    };
    let copies = copies.into_iter().map(|(hunt, text)| (hunt, serde_json::from_str(&text).unwrap())).collect();
    let hunts = hunts.into_iter().map(|(id,)| id).collect();
    Rows { alarms, hunts, records: records.into_iter().map(|(id,)| id).collect(), copies }
}

/// The figures of everything by a slow count: every row is read anew, and counted once.
async fn slow_count(server: &Server) -> Change {
    let rows = rows(server).await;
    let mut reader = server.app.engine.store.read().await.unwrap();
    let mut db = reader.db();
    // All that these tests compare is where the oldest schedule is.
    let zone = db.zone_of_reports().await.unwrap();
    // There is one team at most here, and what is asked of it by any name is asked of it.
    let team = db.roster().await.unwrap().teams.first().map(|team| team.id.to_string());
    let mut whose: BTreeMap<HuntId, Whose> = BTreeMap::new();
    for id in &rows.hunts {
        let hunt = db.hunt(id.parse().unwrap()).await.unwrap().unwrap();
        let policy = match hunt.policy_id {
            Some(policy) => db.policy(policy).await.unwrap(),
            None => None,
        };
        let first = policy.as_ref().and_then(|policy| policy.definition.steps.first());
        let by = counted::team_of("", hunt.ring.as_ref().map(|ring| &ring.0), first);
        let policy = hunt.policy_id.map(|policy| policy.to_string());
        whose.insert(hunt.id, Whose { team: by.and_then(|_| team.clone()), policy, sender: Some("open".to_owned()) });
    }
    let place_of = |hunt: Option<HuntId>| {
        let whose = hunt.and_then(|hunt| whose.get(&hunt).cloned()).unwrap_or_default();
        Place { zone, whose }
    };
    let mut change = Change::default();
    for (id, _, repeats) in rows.alarms {
        let id = id.parse().unwrap();
        let alarm = db.alarm(id).await.unwrap().unwrap();
        assert_eq!(alarm.integration_id, "open", "these tests have one sender");
        // Whose it is was judged by the hunt that it had first.
        let place = place_of(Some(alarm.hunt_id));
        let is_false = db.false_alarm(id).await.unwrap().is_some();
        change.count(&counted::alarm(&AlarmFacts { raised_at: alarm.raised_at, repeats, is_false }, &place, None));
    }
    for id in rows.hunts {
        let copied = rows.copies.get(&id).cloned();
        let id = id.parse().unwrap();
        let hunt = db.hunt(id).await.unwrap().unwrap();
        let parted = copied.as_ref().is_some_and(|copied| !copied.afresh);
        let inherited = copied.unwrap_or_default();
        let mut answers = Vec::new();
        for AnswerRow { id, mid, person_id, at, confirmed_at, lapsed_at, .. } in db.answers_of(id).await.unwrap() {
            if !inherited.leaves(id, confirmed_at.is_some()) {
                continue;
            }
            let dial = match mid {
                Some(mid) => db.dial(&mid).await.unwrap(),
                None => None,
            };
            let offered_at = dial.as_ref().map(|dial| dial.offered_at);
            let of_another_hunt = dial.is_some_and(|dial| dial.hunt_id != hunt.id);
            let person = person_id.map(|person| (person, zone));
            // The phones here tell of nothing while they call.
            let (connected_at, key_at) = (None, None);
            let lapsed = lapsed_at.is_some();
            answers.push(AnswerFacts { person, offered_at, at, connected_at, confirmed_at, key_at, of_another_hunt, lapsed });
        }
        let declined = db.callees(id).await.unwrap().into_iter();
        let declined = declined.filter(|callee| callee.verdict == Some(autocall::alarm::Verdict::Declined));
        let declined = declined.filter(|callee| !inherited.declined.contains(&callee.id));
        let declined = declined
            .map(|callee| Decliner { person: callee.person_id.map(|person| (person, zone)), name: callee.name })
            .collect();
        let outcome = inherited.own(hunt.outcome);
        let facts = HuntFacts { parted, created_at: hunt.created_at, outcome, answers, declined };
        change.count(&counted::hunt(&facts, &place_of(Some(id)), None));
    }
    for id in rows.records {
        let record = db.call_record(id).await.unwrap().unwrap();
        let facts = CallFacts {
            offered_at: record.offered_at,
            person: record.person_id.map(|person| (person, zone)),
            outcome: record.outcome,
            connected_at: record.connected_at,
            reported_at: record.reported_at,
        };
        change.count(&counted::call(&facts, &place_of(record.hunt_id), None));
    }
    change
}

const DIMENSIONS: [Dimension; 5] = [Dimension::All, Dimension::Team, Dimension::Policy, Dimension::Sender, Dimension::Person];

/// The figures that are kept, day by day.
async fn kept(server: &Server) -> BTreeMap<(Dimension, String, NaiveDate), Figures> {
    let mut reader = server.app.engine.store.read().await.unwrap();
    let mut db = reader.db();
    let (from, to) = (NaiveDate::from_ymd_opt(2000, 1, 1).unwrap(), NaiveDate::from_ymd_opt(2100, 1, 1).unwrap());
    let mut kept = BTreeMap::new();
    for dimension in DIMENSIONS {
        let days = db.figures_of_days(dimension, from, to).await.unwrap();
        let mut months: BTreeMap<(String, NaiveDate), Figures> = BTreeMap::new();
        for ((subject, day), figures) in &days {
            months.entry((subject.clone(), counted::month(*day))).or_default().add(figures, 1);
        }
        assert_eq!(db.figures_of_months(dimension, from, to).await.unwrap(), months, "a month is the sum of its days");
        kept.extend(days.into_iter().map(|((subject, day), figures)| ((dimension, subject, day), figures)));
    }
    kept
}

fn day_by_day(change: &Change) -> BTreeMap<(Dimension, String, NaiveDate), Figures> {
    change.entries().map(|(dimension, subject, day, figures)| ((dimension, subject.to_owned(), day), figures.clone())).collect()
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

async fn figures_are_what_a_slow_count_finds(home: Home) {
    let server = home.start().await;
    people(&server).await;
    team(&server, "Asia/Shanghai").await;
    let ring = json!({ "ring": [{ "team": "ops" }], "attempts": 1 });
    assert!([200, 201].contains(&server.put("/api/v1/policies/nights", &json!({ "steps": [ring] })).await.0));
    let phones = [server.pair("one", Profile::List).await, server.pair("two", Profile::List).await];
    for seed in [1_u64, 7, 4242] {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut alarms: Vec<String> = Vec::new();
        // The phone, the mid and the numbers.
        let mut dials: Vec<(String, String, Vec<String>)> = Vec::new();
        for step in 0..60 {
            match dice.roll(10) {
                0 | 1 => {
                    // Whose an alarm is does not change while it comes again.
                    let whom = dice.roll(4).min(2);
                    let key = json!({ "dedup_key": format!("{seed} {whom} {}", dice.roll(2)), "attempts": 1 + dice.roll(2),
                        "min_interval_seconds": 0, "confirm_within_seconds": 60 });
                    let (status, alarm) = match whom {
                        0 | 1 => {
                            let mut body = match whom {
                                0 => json!({ "summary": "s", "ring": [{ "team": "ops" }] }),
                                _ => json!({ "summary": "s", "policy": "nights" }),
                            };
                            body.as_object_mut()
                                .unwrap()
                                .extend(json!({ "dedup_key": key["dedup_key"] }).as_object().unwrap().clone());
                            server.post("/api/v1/alarms", &body).await
                        }
                        _ => {
                            let mut body = json!({ "summary": "s", "phones": [A, B, C, "18700001234"] });
                            body.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
                            server.post("/api/v1/alarms", &body).await
                        }
                    };
                    assert!([200, 201].contains(&status), "{alarm}");
                    alarms.push(alarm["id"].as_str().unwrap().to_owned());
                }
                2 | 3 => {
                    let phone = &phones[usize::try_from(dice.roll(2)).unwrap()];
                    let body = server.get(phone).await;
                    if body["code"] == 0 {
                        let numbers = body["phone"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
                        dials.push((phone.clone(), body["mid"].as_str().unwrap().to_owned(), numbers.collect()));
                    }
                }
                4 | 5 if !dials.is_empty() => {
                    // Some are told late, some twice, some first that nobody answered and then that somebody did.
                    let place = usize::try_from(dice.roll(u64::try_from(dials.len()).unwrap())).unwrap();
                    let (phone, mid, numbers) = dials[place].clone();
                    let resp = (dice.roll(3) > 0).then(|| numbers[0].clone());
                    server.report(&phone, &mid, resp.as_deref()).await;
                    if dice.roll(3) == 0 {
                        dials.remove(place);
                    }
                }
                6 => {
                    server.pass(i64::try_from(dice.roll(4000)).unwrap()).await;
                }
                7 if !alarms.is_empty() => {
                    let id = &alarms[usize::try_from(dice.roll(u64::try_from(alarms.len()).unwrap())).unwrap()];
                    let alarm = server.alarm(id).await;
                    let callee = alarm["callees"][usize::try_from(dice.roll(3)).unwrap()]["id"].as_str().map(str::to_owned);
                    let path = format!("/api/v1/alarms/{id}");
                    // Whether it may be done now does not matter: what is refused counts for nothing.
                    match dice.roll(5) {
                        0 => drop(server.post(&format!("{path}/acknowledge"), &json!({ "number": A })).await),
                        1 => drop(server.post(&format!("{path}/cancel"), &json!({})).await),
                        2 => drop(server.submit(&format!("{path}/redial")).await),
                        3 => {
                            if let Some(callee) = callee {
                                server.submit(&format!("{path}/callees/{callee}/decline")).await;
                            }
                        }
                        _ => drop(server.post(&format!("{path}/snooze"), &json!({ "for_seconds": 60 })).await),
                    }
                }
                8 if !alarms.is_empty() => {
                    let id = &alarms[usize::try_from(dice.roll(u64::try_from(alarms.len()).unwrap())).unwrap()];
                    let done = match dice.roll(3) {
                        0 => server.post(&format!("/api/v1/alarms/{id}/not-false"), &json!({})).await,
                        _ => server.post(&format!("/api/v1/alarms/{id}/false"), &json!({ "reason": "a test" })).await,
                    };
                    assert_eq!(done.0, 200, "{}", done.1);
                }
                _ => {
                    server.app.engine.tick().await.unwrap();
                }
            }
            if step % 20 == 19 {
                // Counted once more, nothing counts twice.
                for _ in 0..2 {
                    added_up(&server).await;
                    let slow = day_by_day(&slow_count(&server).await);
                    assert_eq!(kept(&server).await, slow, "seed {seed}, step {step}");
                }
            }
        }
    }
    let total = report(&server, "first_month=2026-11&last_month=2026-11").await["total"].clone();
    assert!(total["alarms"].as_i64().unwrap() > 5 && total["calls"].as_i64().unwrap() > 5, "{total}");
}

async fn a_late_answer_corrects_its_day(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let phone = server.pair("desk", Profile::List).await;
    // A minute before the day ends, by UTC: nobody has a schedule.
    server.pass(20 * 3600 + 59 * 60).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&phone).await;
    while server.state(&id).await != "no_answer" {
        server.pass(60).await;
    }
    let days = report(&server, "by=day&first_month=2026-11").await;
    let own = &line(&days, "2026-11-20")["figures"];
    assert_eq!((&own["hunts"], &own["unanswered"], &own["answered"]), (&json!(1), &json!(1), &json!(0)), "{days:#}");
    server.report(&phone, &mid, Some(A)).await;
    let days = report(&server, "by=day&first_month=2026-11").await;
    let own = &line(&days, "2026-11-20")["figures"];
    assert_eq!((&own["hunts"], &own["unanswered"], &own["answered"]), (&json!(1), &json!(0), &json!(1)), "{days:#}");
    assert_eq!((&own["calls"], &own["calls_answered"], &own["calls_at_night"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(line(&days, "2026-11-21")["figures"]["hunts"], 0);
    // Told again, it counts no more.
    server.report(&phone, &mid, Some(A)).await;
    assert_eq!(report(&server, "by=day&first_month=2026-11").await["lines"], days["lines"]);
    let ann = report(&server, "by=person&first_month=2026-11").await;
    let own = line(&ann, "Ann");
    assert_eq!((&own["figures"]["calls"], &own["share"]["calls"]), (&json!(1), &json!(100)), "{ann:#}");
}

async fn a_false_alarm_is_marked_and_taken_back(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    let path = format!("/api/v1/alarms/{id}");
    let mark = json!({ "reason": "the sensor was wet", "by": "Lin" });
    for _ in 0..2 {
        assert_eq!(server.post(&format!("{path}/false"), &mark).await.0, 200);
    }
    let alarm = server.alarm(&id).await;
    assert_eq!(
        (&alarm["false_alarm"]["reason"], &alarm["false_alarm"]["marked_by"]),
        (&json!("the sensor was wet"), &json!("Lin"))
    );
    let told: Vec<&str> = alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(told.iter().filter(|kind| **kind == "marked_false").count(), 1, "the same again is no news: {told:?}");
    assert_eq!(report(&server, "").await["total"]["false_alarms"], 1);
    // Also once it is over.
    assert_eq!(server.post(&format!("{path}/cancel"), &json!({})).await.0, 200);
    assert_eq!(server.post(&format!("{path}/not-false"), &json!({ "by": "Lin" })).await.0, 200);
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["false_alarm"], Value::Null);
    assert_eq!(report(&server, "").await["total"]["false_alarms"], 0);
    assert_eq!(alarm["timeline"].as_array().unwrap().last().unwrap()["kind"], "not_false");
    for (body, pointer) in [(json!({ "reason": " " }), "/reason"), (json!({ "reason": "x".repeat(2001) }), "/reason")] {
        let (status, refused) = server.post(&format!("{path}/false"), &body).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!(pointer)), "{refused}");
    }
    let nothing = "/api/v1/alarms/01a1fc4e-a630-77e4-8b85-425a1123605f/false";
    assert_eq!(server.post(nothing, &mark).await.0, 404);
}

async fn what_came_before_is_counted_in_the_background(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let phone = server.pair("desk", Profile::List).await;
    for _ in 0..3 {
        let id = server.raise(&[A], json!({ "attempts": 1 })).await;
        let (mid, _) = server.dial(&phone).await;
        server.report(&phone, &mid, Some(A)).await;
        assert_eq!(server.state(&id).await, "answered");
        server.pass(200).await;
    }
    let before = report(&server, "").await;
    // As it was before anybody counted.
    let forgotten = ["counted_alarms", "counted_hunts", "counted_calls", "figures_due", "figure_days", "figure_months"];
    let mut statements: Vec<String> = forgotten.iter().map(|table| format!("DELETE FROM {table}")).collect();
    statements.push("DELETE FROM places WHERE name = 'figures'".to_owned());
    let home = server.stop().await;
    let server = home.start().await;
    server.run_sql(statements).await;
    let server = server.restart().await;
    let after = report(&server, "").await;
    assert_eq!((&after["total"], &after["lines"]), (&before["total"], &before["lines"]));
    assert_eq!(after["counting"], false);
    // Once more from the beginning, and nothing counts twice.
    server.run_sql(vec!["DELETE FROM places WHERE name = 'figures'".to_owned()]).await;
    let server = server.restart().await;
    assert_eq!(report(&server, "").await["total"], before["total"]);
}

async fn what_was_forgotten_still_counts(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    let before = report(&server, "first_month=2026-11").await;
    server.pass(3600).await;
    assert_eq!(autocall::engine::watch::retention::prune(&server.app.engine.store, server.now()).await.unwrap(), 1);
    let after = report(&server, "first_month=2026-11").await;
    assert_eq!((&after["total"], &after["total"]["alarms"]), (&before["total"], &json!(1)));
}

async fn a_removed_person_leaves_no_figures(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let phone = server.pair("desk", Profile::List).await;
    for number in [A, B] {
        server.raise(&[number], json!({ "attempts": 1 })).await;
        let (mid, _) = server.dial(&phone).await;
        server.report(&phone, &mid, Some(number)).await;
        server.pass(200).await;
    }
    let of_all = report(&server, "").await["total"].clone();
    let before = report(&server, "by=person").await;
    assert_eq!(before["lines"].as_array().unwrap().len(), 2, "{before:#}");
    let id = line(&before, "Ann")["id"].as_str().unwrap().to_owned();
    assert_eq!(server.delete(&format!("/api/v1/people/{id}")).await, 204);
    let after = report(&server, "by=person").await;
    assert_eq!(after["lines"].as_array().unwrap().len(), 1, "{after:#}");
    assert_eq!(report(&server, "").await["total"], of_all, "what was called was called");
    let slow = slow_count(&server).await;
    assert_eq!(kept(&server).await, day_by_day(&slow));
}

async fn the_report_of_a_team_over_a_change_of_clocks(home: Home) {
    let server = home.start().await;
    people(&server).await;
    team(&server, "Europe/Berlin").await;
    // To the month in which clocks go forward: on 28 March 2027 Sunday has 23 hours.
    let start: DateTime<Utc> = "2027-02-27T12:00:00Z".parse().unwrap();
    server.pass((start - server.now()).num_seconds()).await;
    while server.now() < "2027-04-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() {
        server.pass(12 * 3600).await;
    }
    let march = report(&server, "by=team&first_month=2027-03").await;
    let duty = &line(&march, "ops")["duty"];
    let hour = 3600;
    assert_eq!(duty["seconds"], json!((31 * 24 - 1) * hour), "{march:#}");
    assert_eq!(duty["night_seconds"], json!((31 * 9 - 1) * hour));
    // Eight weekend days, one of them an hour short.
    assert_eq!(duty["weekend_seconds"], json!((8 * 24 - 1) * hour));
    let people = report(&server, "by=person&first_month=2027-03&team=ops").await;
    let of = |name: &str| line(&people, name)["duty"]["seconds"].as_i64().unwrap();
    assert_eq!(of("Ann") + of("Ben"), (31 * 24 - 1) * hour);
    assert!((of("Ann") - of("Ben")).abs() <= 25 * hour, "{people:#}");
    assert_eq!(people["team"]["name"], "ops");
    assert_eq!(people["lines"].as_array().unwrap().len(), 2, "Cid is of no team: {people:#}");
    // An alarm just after midnight in Berlin is of that day there.
    let month = report(&server, "by=day&first_month=2027-04").await;
    assert_eq!(month["lines"].as_array().unwrap().len(), 30);
    let at: DateTime<Utc> = "2027-04-30T22:30:00Z".parse().unwrap();
    server.pass((at - server.now()).num_seconds()).await;
    server.raise(&[], json!({ "ring": [{ "team": "ops" }] })).await;
    let may = report(&server, "by=team&first_month=2027-05").await;
    let own = &line(&may, "ops")["figures"];
    assert_eq!(
        (&own["alarms"], &own["alarms_at_night"], &own["alarms_at_weekend"]),
        (&json!(1), &json!(1), &json!(1)),
        "{may:#}"
    );
    assert_eq!(server.now().month(), 4);
}

async fn a_report_is_refused_with_the_parameter(home: Home) {
    let server = home.start().await;
    for (query, name) in [
        ("by=weather", "by"),
        ("first_month=2026-13", "first_month"),
        ("first_month=2026-11&last_month=2026-10", "last_month"),
        ("last_month=2027-01", "last_month"),
        ("first_month=2020-01&last_month=2026-11", "last_month"),
        ("by=person&team=nobody", "team"),
        ("by=month&team=ops", "team"),
        ("colour=red", "colour"),
        ("by=team&by=team", "by"),
    ] {
        for path in [REPORTS, "/api/v1/reports.csv"] {
            let refused = server.get(&format!("{path}?{query}")).await;
            assert_eq!(refused["errors"][0]["parameter"], name, "{path}?{query}: {refused}");
        }
    }
    // Nothing was counted before the server came: that is not zero.
    let yet = server.get(REPORTS).await;
    assert_eq!(
        (&yet["known_from_on"], &yet["total"], &yet["lines"][0]["figures"]),
        (&Value::Null, &Value::Null, &Value::Null),
        "{yet:#}"
    );
    let earlier = report(&server, "first_month=2026-09&last_month=2026-11").await;
    let known: Vec<bool> = earlier["lines"].as_array().unwrap().iter().map(|line| !line["figures"].is_null()).collect();
    assert_eq!(known, [false, false, true], "{earlier:#}");
    assert_eq!(earlier["known_from_on"], "2026-11-20");
}

async fn no_spreadsheet_sees_a_formula_in_a_report(home: Home) {
    let server = home.start().await;
    for (name, number) in [("=1+1", A), ("a \"b\", c", B)] {
        assert_eq!(server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await.0, 201);
        server.raise(&[number], json!({ "attempts": 1 })).await;
    }
    let phone = server.pair("desk", Profile::List).await;
    for _ in 0..2 {
        let (mid, numbers) = server.dial(&phone).await;
        server.report(&phone, &mid, Some(&numbers[0])).await;
        server.pass(200).await;
    }
    let request = server.http.get(format!("{}/api/v1/reports.csv?by=person", server.base));
    let answer = request.sent().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let tag = answer.headers()["etag"].clone();
    let text = answer.text().await.unwrap();
    let mut lines = text.lines();
    let width = lines.next().unwrap().split(',').count();
    assert!(text.contains("\r\n'=1+1,") && text.contains("\r\n\"a \"\"b\"\", c\","), "{text}");
    assert!(lines.all(|line| line.matches(',').count() >= width - 1), "{text}");
    for number in [A, B] {
        assert!(!text.contains(number), "no report holds a number: {text}");
    }
    let again = server.http.get(format!("{}/api/v1/reports.csv?by=person", server.base)).header("if-none-match", tag);
    assert_eq!(again.sent().await.unwrap().status(), 304, "whoever has it is not told again");
}

async fn joined_alarms_are_rung_for_once(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let phone = server.pair("desk", Profile::List).await;
    for _ in 0..3 {
        server.raise(&[A], json!({ "attempts": 1 })).await;
    }
    let (mid, _) = server.dial(&phone).await;
    server.report(&phone, &mid, Some(A)).await;
    let total = report(&server, "").await["total"].clone();
    assert_eq!((&total["alarms"], &total["hunts"], &total["calls"]), (&json!(3), &json!(1), &json!(1)), "{total}");
    let slow = slow_count(&server).await;
    assert_eq!(kept(&server).await, day_by_day(&slow));
}

async fn two_nodes_count_once(home: Home) {
    let server = home.start().await;
    let other = if server.home.is_shared() { Some(server.home.second_node().await) } else { None };
    let bases = [server.base.clone(), other.as_ref().map_or_else(|| server.base.clone(), |node| node.base.clone())];
    let raise = |place: usize| {
        let request = server.http.post(format!("{}/api/v1/alarms", bases[place % 2]));
        request.json(&json!({ "summary": "s", "phones": [A], "dedup_key": format!("{}", place % 5) })).sent()
    };
    for answer in futures_util::future::join_all((0..40).map(raise)).await {
        assert!([200, 201].contains(&answer.unwrap().status().as_u16()));
    }
    // As after an update: nothing is counted and nothing is due. Both nodes walk over what is there, and count, at once.
    let none = ["figures_due", "counted_alarms", "counted_hunts", "counted_calls", "figure_days", "figure_months"];
    server.run_sql(none.iter().map(|table| format!("DELETE FROM {table}")).collect()).await;
    let quiet = if server.home.is_shared() { Some(server.home.quiet_node().await) } else { None };
    let nodes = [&server.app, quiet.as_ref().map_or(&server.app, |node| &node.app)];
    let all = (0..6).map(|place| nodes[place % 2].engine.keep_figures(server.now()));
    for done in futures_util::future::join_all(all).await {
        done.unwrap();
    }
    let total = report(&server, "").await["total"].clone();
    assert_eq!((&total["alarms"], &total["repeats"], &total["hunts"]), (&json!(5), &json!(35), &json!(5)), "{total}");
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
    // And what happens from now on, with both counting while it does.
    let counts = (0..6).map(|place| nodes[place % 2].engine.keep_figures(server.now()));
    let (answers, counts) =
        tokio::join!(futures_util::future::join_all((0..20).map(raise)), futures_util::future::join_all(counts));
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 200) && counts.into_iter().all(|done| done.is_ok()));
    added_up(&server).await;
    assert_eq!(report(&server, "").await["total"]["repeats"], 55);
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
}

async fn parted_alarms_count_once(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    people(&server).await;
    let phone = server.pair("desk", Profile::List).await;
    let more = json!({ "attempts": 1, "min_interval_seconds": 0 });
    let (first, second) = (server.raise(&[A, B], more.clone()).await, server.raise(&[A, B], more).await);
    let (mid, _) = server.dial(&phone).await;
    let callee = server.alarm(&first).await["callees"][0]["id"].as_str().unwrap().to_owned();
    server.submit(&format!("/api/v1/alarms/{first}/callees/{callee}/decline")).await;
    let before = report(&server, "").await["total"].clone();
    // One is put off, and leaves the other with all that was done for both.
    assert_eq!(server.post(&format!("/api/v1/alarms/{first}/snooze"), &json!({ "for_seconds": 600 })).await.0, 200);
    let after = report(&server, "").await["total"].clone();
    for figure in ["alarms", "hunts", "declined", "answered", "unanswered", "calls"] {
        assert_eq!(after[figure], before[figure], "{figure}: {after}");
    }
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
    server.report(&phone, &mid, Some(B)).await;
    for _ in 0..20 {
        server.pass(60).await;
    }
    for id in [&first, &second] {
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    }
    let total = report(&server, "").await["total"].clone();
    let count = |name: &str| total[name].as_i64().unwrap();
    assert!(count("answered") + count("unanswered") <= count("hunts") && count("hunts") <= 2, "{total}");
    assert_eq!(total["declined"], before["declined"], "{total}");
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
}

async fn who_is_removed_still_said_no_once(home: Home) {
    let server = home.start().await;
    let ann = json!({ "name": "Ann", "numbers": [A, B] });
    let (status, ann) = server.post("/api/v1/people", &ann).await;
    assert_eq!(status, 201, "{ann}");
    let id = server.raise(&[A, B, C], json!({})).await;
    let callees = server.alarm(&id).await["callees"].clone();
    for place in 0..2 {
        let callee = callees[place]["id"].as_str().unwrap();
        server.submit(&format!("/api/v1/alarms/{id}/callees/{callee}/decline")).await;
    }
    let before = report(&server, "").await["total"]["declined"].clone();
    assert_eq!(before, 1);
    assert_eq!(server.delete(&format!("/api/v1/people/{}", ann["id"].as_str().unwrap())).await, 204);
    // The hunt changes once more, and is counted anew.
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    assert_eq!(report(&server, "").await["total"]["declined"], before);
    assert_eq!(report(&server, "by=person").await["lines"], json!([]));
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
}

async fn nobody_waits_for_a_figure(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let phone = server.pair("desk", Profile::List).await;
    let more = json!({ "dedup_key": "disk", "attempts": 1 });
    let id = server.raise(&[A], more.clone()).await;
    added_up(&server).await;
    // Somebody holds all that is ever written for a figure. The embedded database has one writer, so there nothing can be held alone:
    // whoever writes a figure fails instead.
    let tables = ["counted_alarms", "counted_hunts", "counted_calls", "figure_days", "figure_months"];
    let each = || tables.iter().flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|verb| (*table, verb)));
    let mut held = None;
    match server.home.config().database_url {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
            for statement in ["BEGIN".to_owned(), format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "))] {
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
            }
            held = Some(connection);
        }
        None => {
            let held = |(table, verb)| {
                format!("CREATE TRIGGER held_{table}_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'held'); END")
            };
            server.run_sql(each().map(held).collect()).await;
        }
    }
    let mut again = json!({ "summary": "disk full", "phones": [A] });
    again.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(server.post("/api/v1/alarms", &again).await.0, 200);
    let (mid, _) = server.dial(&phone).await;
    server.report(&phone, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    server.raise(&[B], json!({})).await;
    // Who reads a report does not wait for that either, and is told.
    let behind = server.get(REPORTS).await;
    assert_eq!((&behind["total"]["alarms"], &behind["counting"]), (&json!(1), &json!(true)), "{behind:#}");
    match held {
        Some(connection) => connection.close().await.unwrap(),
        None => server.run_sql(each().map(|(table, verb)| format!("DROP TRIGGER held_{table}_{verb}")).collect()).await,
    }
    let total = report(&server, "").await["total"].clone();
    assert_eq!((&total["alarms"], &total["repeats"], &total["calls_answered"]), (&json!(2), &json!(1), &json!(1)), "{total}");
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
}

async fn what_cannot_be_counted_is_put_aside(home: Home) {
    let server = home.start().await;
    let bad = server.raise(&[A], json!({})).await;
    added_up(&server).await;
    server.run_sql(vec!["UPDATE counted_alarms SET counted = 'nothing that is known'".to_owned()]).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{bad}/false"), &json!({ "reason": "a test" })).await.0, 200);
    server.raise(&[B], json!({})).await;
    let all = report(&server, "").await;
    assert_eq!((&all["total"]["alarms"], &all["total"]["false_alarms"]), (&json!(2), &json!(0)), "{all:#}");
    assert_eq!(all["counting"], false, "nobody tries that for ever: {all:#}");
}

async fn what_a_node_of_before_raised_is_counted_too(home: Home) {
    let server = home.start().await;
    server.raise(&[A], json!({})).await;
    assert_eq!(report(&server, "").await["counting"], false, "all that there was is counted");
    // While the nodes are updated one by one, one of an earlier version raises an alarm and notes nothing.
    server.pass(60).await;
    server.raise(&[B], json!({})).await;
    server.run_sql(vec!["DELETE FROM figures_due".to_owned()]).await;
    assert_eq!(report(&server, "").await["total"]["alarms"], 1);
    server.pass(2 * 3600).await;
    assert_eq!(report(&server, "").await["total"]["alarms"], 2);
    assert_eq!(kept(&server).await, day_by_day(&slow_count(&server).await));
}

/// What may change rows that count, and why figures are right after it.
const CHANGES_WHAT_COUNTS: [(&str, &str); 32] = [
    ("alarms::INSERT", "counted"),
    ("alarms::REPEAT", "counted"),
    ("answers::CONFIRM", "counted"),
    ("answers::INSERT", "counted"),
    ("answers::LAPSE", "counted"),
    ("call_records::BEGIN", "counted"),
    ("call_records::COMPLETE", "counted"),
    ("call_records::PRUNE", "figures stay when records go"),
    ("call_records::UNKNOWN_PERSON", "whoever is removed takes their figures along"),
    ("erasing::ERASE_ANSWERS", "whoever is erased takes their figures along, and sums of all stay"),
    ("erasing::ERASE_RECORD", "whoever is erased takes their figures along, and sums of all stay"),
    ("erasing::FORGET_REPLICATED", "other systems' calls are in no figures"),
    ("erasing::FORGET_REPLICATED_BY_CALLER", "other systems' calls are in no figures"),
    ("erasing::FORGET_REPLICATED_BY_NUMBER", "other systems' calls are in no figures"),
    ("hunts::ANSWERED_AFTER_ALL", "counted"),
    ("hunts::CLEAR_ANSWERED", "that somebody answered is counted by their answer"),
    ("hunts::COPY", "counted"),
    ("hunts::DELETE", "counted"),
    ("hunts::END", "counted"),
    ("hunts::INSERT", "counted"),
    ("hunts::INSERT_CALLEE", "counted"),
    ("hunts::REOPEN", "counted"),
    ("hunts::SET_VERDICT", "counted"),
    ("monitored::FORGET_CALLS", "tests of a monitor are in no figures"),
    ("replicated::ADD", "other systems' calls are in no figures"),
    ("replicated::DELETE", "other systems' calls are in no figures"),
    ("replicated::DROP", "other systems' calls are in no figures"),
    ("replicated::MOVE", "other systems' calls are in no figures"),
    ("replicated::PRUNE", "other systems' calls are in no figures"),
    ("retention::PRUNE_ALARMS", "figures stay when alarms go"),
    ("retention::PRUNE_HUNTS", "figures stay when hunts go"),
    ("said::REOPEN", "counted"),
];

/// Whoever adds a statement that changes such a row has its operation note it (`Db::touched`), and names it here.
#[test]
fn every_statement_that_changes_what_counts_is_known() {
    const COUNTS: [(&str, &[&str]); 5] = [
        ("alarms", &["repeats", "raised_at", "kind"]),
        ("hunts", &["outcome", "created_at", "kind", "dry_run"]),
        ("answers", &["at", "confirmed_at", "lapsed_at", "person_id"]),
        ("callees", &["verdict"]),
        ("call_records", &["outcome", "connected_at", "reported_at", "person_id"]),
    ];
    let mut found = Vec::new();
    for sql in autocall::store::Store::statements() {
        let text = sql.sqlite.split_whitespace().collect::<Vec<_>>().join(" ");
        let sets = |(table, columns): &(&str, &[&str])| {
            let set = text.strip_prefix(&format!("UPDATE {table} SET ")).and_then(|rest| rest.split(" WHERE ").next());
            let set = set.map(|set| format!(" {set}")).unwrap_or_default();
            [format!("INSERT INTO {table} "), format!("DELETE FROM {table} ")].iter().any(|own| text.starts_with(own.as_str()))
                || columns.iter().any(|column| set.contains(&format!(" {column} = ")))
        };
        if COUNTS.iter().any(sets) {
            found.push(format!("{}::{}", sql.module.rsplit("::").next().unwrap(), sql.name));
        }
    }
    found.sort();
    assert_eq!(found, CHANGES_WHAT_COUNTS.map(|(name, _)| name));
}
