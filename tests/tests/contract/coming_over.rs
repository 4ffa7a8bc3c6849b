//! Everything in one file: that a plan is carried out as it was seen or not at all, and that nobody is relieved by it.

use autocall::app::App;
use autocall::coming::plan::{Plan, Wish};
use autocall::coming::reading;
use autocall::engine::Doer;
use autocall::keep::coming::apply::{self, ComingError};
use autocall::keep::coming::kept;
use autocall::keep::people;
use autocall::keep::roster::source::{self, SourceForm};
use autocall::kinds::guard::GuardedResolver;
use autocall::numbers::Region;
use autocall::versions::Expected;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};
use crate::roster::{self, send};

on_both!(
    what_somebody_else_changed_since_the_plan_is_not_overwritten,
    a_change_elsewhere_does_not_stop_it,
    whoever_is_on_duty_stays_and_the_duty_log_knows,
    the_layer_of_a_calendar_stays_as_it_is,
    two_people_swap_their_phones,
    whoever_goes_takes_their_overrides_along,
    a_rotation_that_begins_within_a_minute_goes_on_as_it_is,
    a_calendar_that_names_somebody_who_was_removed_is_no_obstacle,
    of_what_was_said_twice_the_last_decides_in_the_file_too,
);

fn wish(text: &str, at: DateTime<Utc>) -> Wish {
    Wish { document: reading::read(text).unwrap(), remove: false, region: Region::CN, at }
}

async fn planned(app: &App, wish: &Wish) -> Plan {
    apply::plan(&mut app.engine.store.read().await.unwrap().db(), wish).await.unwrap()
}

async fn applied(app: &App, wish: &Wish, plan: &Plan) -> Result<(), ComingError> {
    app.engine.carry_out(Doer::CommandLine, async |work| apply::apply(work, wish, plan, "test").await).await
}

async fn written(app: &App, at: DateTime<Utc>) -> String {
    let mut reader = app.engine.store.read().await.unwrap();
    kept::read(&mut reader.db(), at).await.unwrap().known.settings.write().unwrap()
}

async fn schedule(server: &Server) {
    roster::people(server).await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" });
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [layer] });
    let (status, made) = send(server, "POST", "/api/v1/schedules", Some(body)).await;
    assert_eq!(status, 201, "{made}");
}

async fn on_duty(server: &Server, at: &str) -> Value {
    let answer = server.get(&format!("/api/v1/schedules/ops/on-duty?at={at}")).await;
    answer["on_duty"][0]["person"]["name"].clone()
}

async fn what_somebody_else_changed_since_the_plan_is_not_overwritten(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let now = server.home.clock.now();
    let file = written(&server.app, now).await.replace("1 week", "2 weeks");
    let wished = wish(&file.replace("\n[end]\n", "\n[[teams]]\nname = \"new\"\n[end]\n"), now);
    let plan = planned(&server.app, &wished).await;
    let override_of_somebody =
        json!({ "action": "replace", "person": "Bob", "starts_at": "2026-12-24T09:00", "ends_at": "2026-12-25T09:00" });
    let (status, made) = send(&server, "POST", "/api/v1/schedules/ops/overrides", Some(override_of_somebody)).await;
    assert_eq!(status, 201, "{made}");
    // An override stands in another section, which the file does not have by then: it is no part of the plan.
    assert_eq!(planned(&server.app, &wished).await, plan);
    let (status, told) = send(&server, "DELETE", "/api/v1/schedules/ops", None).await;
    assert_eq!(status, 204, "{told}");
    assert!(matches!(applied(&server.app, &wished, &plan).await, Err(ComingError::Meanwhile)));
    assert!(!written(&server.app, now).await.contains("new"), "nothing of it was done");
}

async fn a_change_elsewhere_does_not_stop_it(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let wished = wish("[[teams]]\nname = \"new\"\nmembers = [\"Ann\"]\n", server.home.clock.now());
    let plan = planned(&server.app, &wished).await;
    let (status, made) = send(&server, "POST", "/api/v1/teams", Some(json!({ "name": "other", "members": ["Bob"] }))).await;
    assert_eq!(status, 201, "{made}");
    applied(&server.app, &wished, &plan).await.unwrap();
    let teams = written(&server.app, server.home.clock.now()).await;
    assert!(teams.contains("\"new\"") && teams.contains("\"other\""), "{teams}");
    // The second time there is nothing that was planned.
    assert!(matches!(applied(&server.app, &wished, &plan).await, Err(ComingError::Meanwhile)));
    assert!(planned(&server.app, &wished).await.is_empty());
}

async fn whoever_is_on_duty_stays_and_the_duty_log_knows(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let now = server.home.clock.now();
    assert_eq!(on_duty(&server, "2026-11-20T12:00:00Z").await, "Ann");
    let file = written(&server.app, now).await;
    // Ann leaves the rotation, and 张伟 joins it.
    let wished = wish(&file.replace("    \"Ann\",\n    \"Bob\",\n", "    \"Bob\",\n    \"张伟\",\n"), now);
    let plan = planned(&server.app, &wished).await;
    assert_eq!(plan.schedules.changed.len(), 1, "{plan}");
    applied(&server.app, &wished, &plan).await.unwrap();
    assert_eq!(on_duty(&server, "2026-11-20T12:00:00Z").await, "Ann", "her week is not over");
    assert_eq!(on_duty(&server, "2026-11-24T12:00:00Z").await, "Bob");
    assert_eq!(on_duty(&server, "2026-12-01T12:00:00Z").await, "张伟");
    assert!(planned(&server.app, &wished).await.is_empty(), "{}", planned(&server.app, &wished).await);
    // What goes on duty now by the file is written down.
    let until = now + TimeDelta::days(1);
    let more = format!(
        "[[overrides]]\nschedule = \"ops\"\naction = \"replace\"\nperson = \"Bob\"\nstarts_at = \"{}\"\nends_at = \"{}\"\n",
        (now - TimeDelta::hours(1)).to_rfc3339(),
        until.to_rfc3339(),
    );
    let wished = wish(&more, now);
    let plan = planned(&server.app, &wished).await;
    applied(&server.app, &wished, &plan).await.unwrap();
    let log = server.get("/api/v1/schedules/ops/log?from=2026-11-01&to=2027-11-01").await;
    let last = log["hand_overs"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["people"][0]["name"], "Bob", "{log}");
    assert!(planned(&server.app, &wished).await.is_empty());
    // When it is over, the same file asks for nothing.
    let later = planned(&server.app, &Wish { at: until, ..wish(&more, now) }).await;
    assert!(later.is_empty() && later.notes.len() == 1, "{later}");
}

async fn with_calendar(server: &Server) {
    let engine = &server.app.engine;
    let guard = GuardedResolver::for_calendars(&engine.config.roster.allow_networks);
    let address = "https://calendar.example.com/private-0123456789abcdef/basic.ics";
    let form = SourceForm { url: Some(address.to_owned()), layer: Some("calendar".to_owned()), ..SourceForm::default() };
    let set = async |work: &mut autocall::store::Work| source::set(work, &guard, "ops", &form, "test", &Expected::Anything).await;
    engine.carry_out(Doer::Server, set).await.unwrap();
    // What such a calendar said.
    let shift = json!({ "from": "2026-12-01T09:00:00Z", "to": "2026-12-02T09:00:00Z", "person": "Bob" });
    let layers = json!([
        { "name": "calendar", "shifts": [shift] },
        { "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" },
    ]);
    let version = server.get("/api/v1/schedules/ops").await["version"].clone();
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": layers, "version": version });
    let (status, told) = send(server, "PUT", "/api/v1/schedules/ops", Some(body)).await;
    assert_eq!(status, 200, "{told}");
}

async fn the_layer_of_a_calendar_stays_as_it_is(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    with_calendar(&server).await;
    let now = server.home.clock.now();
    let file = written(&server.app, now).await;
    assert!(!file.contains("private-") && !file.contains("2026-12-01"), "{file}");
    let wished = wish(&file.replace("1 week", "2 days"), now);
    let plan = planned(&server.app, &wished).await;
    applied(&server.app, &wished, &plan).await.unwrap();
    let after = server.get("/api/v1/schedules/ops").await;
    let names: Vec<&str> = after["layers"].as_array().unwrap().iter().map(|layer| layer["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["calendar", "weekly"], "{after}");
    assert_eq!(after["layers"][0]["shifts"].as_array().unwrap().len(), 1, "{after}");
    assert_eq!(after["layers"][1]["every"], "2 days");
    assert!(planned(&server.app, &wished).await.is_empty());
}

async fn two_people_swap_their_phones(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let now = server.home.clock.now();
    let file = written(&server.app, now).await;
    let swapped = file.replace(A, "THEIRS").replace(B, A).replace("THEIRS", B);
    assert_ne!(file, swapped);
    let wished = wish(&swapped, now);
    let plan = planned(&server.app, &wished).await;
    assert_eq!(plan.people.changed.len(), 2, "{plan}");
    applied(&server.app, &wished, &plan).await.unwrap();
    assert_eq!(written(&server.app, now).await, swapped);
}

async fn whoever_goes_takes_their_overrides_along(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    for (person, instead_of) in [("Bob", "Ann"), ("张伟", "Bob")] {
        let body = json!({
            "action": "replace", "person": person, "instead_of": instead_of,
            "starts_at": "2026-12-24T09:00", "ends_at": "2026-12-25T09:00",
        });
        let (status, made) = send(&server, "POST", "/api/v1/schedules/ops/overrides", Some(body)).await;
        assert_eq!(status, 201, "{made}");
    }
    let now = server.home.clock.now();
    let file = written(&server.app, now).await;
    assert_eq!(file.matches("[[overrides]]").count(), 2, "{file}");
    let layer = "[[schedules.layers]]\nname = \"weekly\"\npeople = [\"Ann\"]\nevery = \"1 week\"\nstart = \"2026-11-16T09:00\"\n";
    let people = "[[people]]\nname = \"Ann\"\n[[people]]\nname = \"张伟\"\n";
    let without =
        format!("managed = [\"people\"]\n{people}[[schedules]]\nname = \"ops\"\nzone = \"Europe/Berlin\"\n{layer}[end]\n");
    let wished = wish(&without, now);
    let plan = planned(&server.app, &wished).await;
    assert_eq!((plan.people.removed.len(), plan.overrides.removed.len()), (1, 2), "{plan}");
    applied(&server.app, &wished, &plan).await.unwrap();
    let file = written(&server.app, now).await;
    assert!(!file.contains("Bob") && !file.contains("[[overrides]]"), "{file}");
    assert!(planned(&server.app, &wished).await.is_empty());
}

async fn a_rotation_that_begins_within_a_minute_goes_on_as_it_is(home: Home) {
    let server = home.start().await;
    roster::people(&server).await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00:30" });
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [layer] });
    let (status, made) = send(&server, "POST", "/api/v1/schedules", Some(body)).await;
    assert_eq!((status, &made["layers"][0]["start"]), (201, &json!("2026-11-16T09:00:30")), "{made}");
    let now = server.home.clock.now();
    let file = written(&server.app, now).await;
    let wished = wish(&file.replace("zone = \"Europe/Berlin\"\n", "zone = \"Europe/Berlin\"\ngaps_allowed = true\n"), now);
    let plan = planned(&server.app, &wished).await;
    applied(&server.app, &wished, &plan).await.unwrap();
    for (second, person) in [("15", "Ann"), ("30", "Bob")] {
        assert_eq!(on_duty(&server, &format!("2026-11-23T08:00:{second}Z")).await, person, "at second {second}");
    }
    assert!(planned(&server.app, &wished).await.is_empty());
}

async fn a_calendar_that_names_somebody_who_was_removed_is_no_obstacle(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    with_calendar(&server).await;
    let remove = async |work: &mut autocall::store::Work| {
        let bob = work.db().roster().await.unwrap().find_person("Bob").unwrap();
        people::remove(work, bob, &Expected::Anything).await
    };
    server.app.engine.carry_out(Doer::Server, remove).await.unwrap();
    let now = server.home.clock.now();
    let wished = wish(&written(&server.app, now).await.replace("1 week", "2 days"), now);
    let plan = planned(&server.app, &wished).await;
    applied(&server.app, &wished, &plan).await.unwrap();
    let after = server.get("/api/v1/schedules/ops").await;
    assert_eq!(
        (after["layers"][0]["shifts"].as_array().unwrap().len(), &after["layers"][1]["every"]),
        (1, &json!("2 days")),
        "{after}"
    );
}

async fn of_what_was_said_twice_the_last_decides_in_the_file_too(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    for person in ["Bob", "张伟", "Bob"] {
        let body = json!({
            "action": "replace", "person": person, "starts_at": "2026-12-24T09:00", "ends_at": "2026-12-25T09:00",
        });
        let (status, made) = send(&server, "POST", "/api/v1/schedules/ops/overrides", Some(body)).await;
        assert_eq!(status, 201, "{made}");
    }
    assert_eq!(on_duty(&server, "2026-12-24T12:00:00Z").await, "Bob");
    let file = written(&server.app, server.home.clock.now()).await;
    let place = |person: &str| file.find(&format!("person = \"{person}\"")).unwrap_or_else(|| panic!("{person}: {file}"));
    assert_eq!(file.matches("[[overrides]]").count(), 2, "{file}");
    assert!(place("张伟") < place("Bob"), "the last one decides: {file}");
}
