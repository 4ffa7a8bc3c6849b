//! Roles for single teams: who acts on which team's alarms and schedules, on every route, and what is shown to whom.

use autocall::engine::Doer;
use autocall::ids::{PersonId, ScheduleId};
use autocall::keep::users::teams;
use autocall::rights::roles::TeamRole;
use autocall::store::access::users::Role;
use serde_json::{Value, json};

use crate::client::{Page, Visitor};
use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    a_responder_of_a_team_acts_on_its_alarms_and_on_no_others,
    an_alarm_of_no_team_is_for_who_may_everywhere,
    an_alarm_is_of_the_teams_that_its_policy_rings,
    numbers_are_shown_where_somebody_acts,
    one_press_takes_no_alarm_of_another_team_along,
    whoever_is_rung_takes_their_own_call,
    a_lead_changes_the_schedules_of_their_team_alone,
    somebody_is_called_in_the_name_of_a_team,
    vacations_are_planned_for_people_of_the_team,
    roles_for_teams_are_given_and_taken_on_the_page,
    a_role_that_is_taken_away_is_gone_at_the_next_click,
);

/// Two teams with a schedule each, and what is needed to go from one to the other.
struct World {
    server: Server,
    db: ScheduleId,
    web: ScheduleId,
}

async fn made(server: &Server, path: &str, body: Value) -> Value {
    let (status, made) = server.post(path, &body).await;
    assert!((200..300).contains(&status), "{path}: {made}");
    made
}

impl World {
    async fn begin(home: Home) -> Self {
        let server = home.start().await;
        for (name, number) in [("Ann", A), ("Ben", B), ("Zoe", C)] {
            made(&server, "/api/v1/people", json!({ "name": name, "numbers": [number] })).await;
        }
        let mut schedules = Vec::new();
        for (team, member) in [("db", "Ann"), ("web", "Ben")] {
            made(&server, "/api/v1/teams", json!({ "name": team, "members": [member] })).await;
            let layer = json!({ "name": "weekly", "people": [member], "every": "1 week", "start": "2026-11-16T09:00" });
            let schedule = json!({ "name": format!("{team} nights"), "zone": "UTC", "team": team, "layers": [layer] });
            schedules.push(made(&server, "/api/v1/schedules", schedule).await["id"].as_str().unwrap().parse().unwrap());
        }
        Self { server, db: schedules[0], web: schedules[1] }
    }

    async fn person(&self, name: &str) -> PersonId {
        self.server.app.engine.store.read().await.unwrap().db().person_by_name(name).await.unwrap().unwrap().id
    }

    /// Somebody who looks at everything, and has this role for the team of the databases.
    async fn of_db(&self, role: TeamRole) -> Visitor {
        let lin = Visitor::logged_in(&self.server, "lin", Role::Viewer).await;
        self.give("lin", Some(role)).await;
        lin
    }

    async fn give(&self, name: &str, role: Option<TeamRole>) {
        let store = &self.server.app.engine.store;
        let set = async |work: &mut autocall::store::Work| teams::set_role(work, name, "db", role).await;
        store.carry_out(self.server.now(), Doer::Server, set).await.unwrap();
    }

    async fn alarm_of(&self, team: &str, key: &str) -> String {
        self.server
            .raise(&[], json!({ "ring": [{ "team": team }], "dedup_key": key, "summary": format!("{key} of {team}") }))
            .await
    }
}

fn is_another_team_s(page: &Page) -> bool {
    page.status == 403 && page.shows("Another team")
}

/// What people do about an alarm: the end of its path, and the form.
fn acts() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    vec![
        ("notes", vec![("text", "looked at it")]),
        ("snooze", vec![("minutes", "15")]),
        ("policy", vec![("policy", "two")]),
        ("escalate", vec![]),
        ("false", vec![("reason", "a drill")]),
        ("not-false", vec![]),
        ("redial", vec![]),
        ("acknowledge", vec![]),
        ("give-back", vec![]),
        ("decline", vec![]),
        ("calls/1/hang-up", vec![]),
        ("calls/1/say", vec![("text", "hello")]),
        ("callees/01a1fc4e-a630-77e4-8b85-425a1123605f/skip", vec![]),
        ("cancel", vec![]),
    ]
}

async fn a_responder_of_a_team_acts_on_its_alarms_and_on_no_others(home: Home) {
    let world = World::begin(home).await;
    let steps = json!({ "steps": [{ "ring": [{ "number": A }] }, { "ring": [{ "number": B }] }] });
    assert!(world.server.put("/api/v1/policies/two", &steps).await.0 < 300);
    let mut lin = world.of_db(TeamRole::Responder).await;
    let (own, others) = (world.alarm_of("db", "disk").await, world.alarm_of("web", "cache").await);
    for (act, fields) in acts() {
        let refused = lin.post(&format!("/alarms/{others}/{act}"), &fields).await;
        assert!(is_another_team_s(&refused), "{act}: {} {}", refused.status, refused.body);
        let page = lin.post(&format!("/alarms/{own}/{act}"), &fields).await;
        // Some make no sense at this moment, and are refused for that.
        assert!(page.status != 403, "{act}: {} {}", page.status, page.body);
    }
    let recording = format!("/alarms/{others}/recordings/01a1fc4e-a630-77e4-8b85-425a1123605f");
    assert!(is_another_team_s(&lin.get(&recording).await));
    let alarm = world.server.alarm(&others).await;
    assert_eq!(
        (alarm["state"].as_str(), alarm["false_alarm"].as_object()),
        (Some("waiting"), None),
        "nothing was changed: {alarm}"
    );
    assert_eq!(world.server.state(&own).await, "cancelled");
    // Everything else asks for the role everywhere.
    for path in ["/handsets/test", "/maintenance/new", "/roster/schedules", "/roster/teams", "/users/add", "/policies/new"] {
        let page = lin.post(path, &[]).await;
        assert_eq!(page.status, 403, "{path}: {}", page.body);
    }
    for path in ["/calls", "/users", "/shouts/new"] {
        assert_eq!(lin.get(path).await.status, 403, "{path}");
    }
}

async fn an_alarm_of_no_team_is_for_who_may_everywhere(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Responder).await;
    let mut mia = Visitor::logged_in(&world.server, "mia", Role::Responder).await;
    let id = world.server.raise(&[A], json!({ "summary": "of nobody" })).await;
    assert!(is_another_team_s(&lin.post(&format!("/alarms/{id}/cancel"), &[]).await));
    assert_eq!(mia.post(&format!("/alarms/{id}/cancel"), &[]).await.status, 303);
    let id = world.alarm_of("web", "cache").await;
    assert_eq!(
        mia.post(&format!("/alarms/{id}/cancel"), &[]).await.status,
        303,
        "the role that counts everywhere means all teams"
    );
}

async fn an_alarm_is_of_the_teams_that_its_policy_rings(home: Home) {
    let world = World::begin(home).await;
    for (name, ring) in [
        ("databases", json!([{ "schedule": "db nights" }])),
        ("both", json!([{ "team": "web" }, { "team": "db" }])),
        ("sites", json!([{ "schedule": "web nights" }])),
    ] {
        let steps = json!({ "steps": [{ "ring": ring }] });
        assert!(world.server.put(&format!("/api/v1/policies/{name}"), &steps).await.0 < 300);
    }
    let mut lin = world.of_db(TeamRole::Responder).await;
    for (policy, status) in [("databases", 303), ("both", 303), ("sites", 403)] {
        let id = world.server.raise(&[], json!({ "policy": policy, "dedup_key": policy })).await;
        assert_eq!(lin.post(&format!("/alarms/{id}/cancel"), &[]).await.status, status, "{policy}");
    }
    for (schedule, status) in [("db nights", 303), ("web nights", 403)] {
        let id = world.server.raise(&[], json!({ "ring": [{ "schedule": schedule }], "dedup_key": schedule })).await;
        assert_eq!(lin.post(&format!("/alarms/{id}/cancel"), &[]).await.status, status, "{schedule}");
    }
}

async fn numbers_are_shown_where_somebody_acts(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Responder).await;
    let number = json!([{ "team": "db" }, { "number": C }]);
    let own = world.server.raise(&[], json!({ "ring": number, "dedup_key": "own", "summary": "our own" })).await;
    let number = json!([{ "team": "web" }, { "number": "13512345678" }]);
    let others = world.server.raise(&[], json!({ "ring": number, "dedup_key": "others", "summary": "another's" })).await;
    let page = lin.get(&format!("/alarms/{own}")).await;
    assert!(page.shows(&format!("action=\"/alarms/{own}/cancel\"")) && page.shows(C), "{}", page.body);
    assert!(!page.shows("href=\"/calls\""), "what is for responders everywhere is not offered");
    let page = lin.get(&format!("/alarms/{others}")).await;
    assert!(!page.shows(&format!("action=\"/alarms/{others}/")) && !page.shows("13512345678"), "{}", page.body);
    assert!(page.shows("another team"), "it is said why: {}", page.body);
    let now = lin.get("/").await;
    assert!(now.shows(&format!("action=\"/alarms/{own}/acknowledge\"")), "{}", now.body);
    assert!(!now.shows(&format!("action=\"/alarms/{others}/acknowledge\"")) && !now.shows("13512345678"));
    assert!(now.shows("href=\"/alarms/new\""));
    let dense = lin.get("/?view=dense").await;
    assert!(dense.shows(&format!("action=\"/alarms/{own}/acknowledge\"")));
    assert!(!dense.shows(&format!("action=\"/alarms/{others}/acknowledge\"")));
    // Looking on stays as it was.
    let mut eve = Visitor::logged_in(&world.server, "eve", Role::Viewer).await;
    let page = eve.get(&format!("/alarms/{own}")).await;
    assert!(!page.shows("action=\"/alarms/") && !page.shows(C) && !page.shows("another team"), "{}", page.body);
}

async fn one_press_takes_no_alarm_of_another_team_along(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Responder).await;
    let (own, others) = (world.alarm_of("db", "disk").await, world.alarm_of("web", "cache").await);
    let page = lin.post(&format!("/alarms/{own}/acknowledge"), &[("alarm", &own), ("alarm", &others)]).await;
    assert!(is_another_team_s(&page), "{}", page.body);
    for id in [&own, &others] {
        assert_eq!(world.server.state(id).await, "waiting", "all or nothing");
    }
    assert_eq!(lin.post(&format!("/alarms/{own}/acknowledge"), &[("alarm", &own)]).await.status, 303);
    assert_eq!(world.server.state(&own).await, "answered");
}

async fn whoever_is_rung_takes_their_own_call(home: Home) {
    let world = World::begin(home).await;
    let ben = world.person("Ben").await;
    // A responder of another team, and somebody who looks on: both are Ben to the roster, one after the other.
    let mut eve = Visitor::logged_in_as(&world.server, "eve", Role::Viewer, Some(ben)).await;
    let id = world.alarm_of("web", "cache").await;
    world.server.pair("desk", autocall::store::watch::handsets::Profile::App).await;
    let page = eve.get(&format!("/alarms/{id}")).await;
    assert!(page.shows(&format!("action=\"/alarms/{id}/acknowledge\"")), "{}", page.body);
    assert!(!page.shows(&format!("action=\"/alarms/{id}/cancel\"")), "what is not their call's alone stays");
    for act in ["cancel", "snooze", "notes", "redial", "escalate"] {
        assert_eq!(eve.post(&format!("/alarms/{id}/{act}"), &[("text", "x"), ("minutes", "15")]).await.status, 403, "{act}");
    }
    assert_eq!(eve.post(&format!("/alarms/{id}/acknowledge"), &[("alarm", &id)]).await.status, 303);
    assert_eq!(world.server.state(&id).await, "answered");
    let not_rung = world.alarm_of("db", "disk").await;
    assert_eq!(eve.post(&format!("/alarms/{not_rung}/acknowledge"), &[("alarm", &not_rung)]).await.status, 403);
    assert_eq!(
        eve.post(&format!("/alarms/{id}/acknowledge"), &[("alarm", &not_rung)]).await.status,
        403,
        "not by another's address"
    );
    assert_eq!(world.server.state(&not_rung).await, "waiting");
}

async fn a_lead_changes_the_schedules_of_their_team_alone(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Lead).await;
    let (own, others) = (format!("/roster/{}", world.db), format!("/roster/{}", world.web));
    let page = lin.get(&own).await;
    assert!(
        page.shows(&format!("action=\"{own}/rotation\"")) && page.shows(&format!("action=\"{own}/override\"")),
        "{}",
        page.body
    );
    assert!(!page.shows(&format!("action=\"{own}/remove\"")), "which schedules there are is for admins");
    assert!(!page.shows("href=\"/users\""), "nor what else is set up");
    let page = lin.get(&others).await;
    assert!(!page.shows(&format!("action=\"{others}/")), "{}", page.body);
    let rotation = [("name", "days"), ("people", "Ann"), ("every", "1 day"), ("start", "2026-11-16T09:00"), ("version", "1")];
    let over = [("from", "2026-11-24T09:00"), ("to", "2026-11-25T09:00"), ("action", "add"), ("person", "Zoe")];
    for (act, fields) in
        [("rotation", &rotation[..]), ("override", &over), ("temporary", &[]), ("layer/remove", &[]), ("calendar", &[])]
    {
        assert!(is_another_team_s(&lin.post(&format!("{others}/{act}"), fields).await), "{act}");
        assert_ne!(lin.post(&format!("{own}/{act}"), fields).await.status, 403, "{act}");
    }
    for act in ["remove", "feed"] {
        assert_eq!(lin.post(&format!("{own}/{act}"), &[]).await.status, 403, "{act}");
    }
    assert_eq!(lin.post("/roster/schedules", &[("name", "x"), ("zone", "UTC")]).await.status, 403);
    // Who is no lead changes shifts for some time, and not what the schedule says.
    world.give("lin", Some(TeamRole::Responder)).await;
    let page = lin.get(&own).await;
    assert!(page.shows(&format!("action=\"{own}/override\"")) && !page.shows(&format!("action=\"{own}/rotation\"")));
    assert_eq!(lin.post(&format!("{own}/rotation"), &rotation).await.status, 403);
    assert_ne!(lin.post(&format!("{own}/override"), &over).await.status, 403);
}

async fn somebody_is_called_in_the_name_of_a_team(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Responder).await;
    let page = lin.get("/alarms/new").await;
    assert!(page.shows("value=\"team:db\"") && page.shows("value=\"person:Ann\""), "{}", page.body);
    assert!(!page.shows("value=\"team:web\"") && !page.shows("value=\"person:Ben\""));
    for whom in ["team:web", "person:Ben", "schedule:web nights", "person:Nobody"] {
        let page = lin.post("/alarms/new", &[("whom", whom), ("summary", "wake up"), ("priority", "high")]).await;
        assert!(is_another_team_s(&page), "{whom}: {}", page.status);
    }
    let form = [("whom", "person:Ann"), ("summary", "wake up"), ("priority", "high")];
    let looked = lin.post("/alarms/new", &form).await;
    assert_eq!(looked.status, 200, "{}", looked.body);
    let held = |name: &str| {
        let (_, rest) = looked.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (sent, seen) = (held("form"), held("seen"));
    let send = [&form[..], &[("form", &sent), ("seen", &seen), ("act", "send")]].concat();
    let page = lin.post("/alarms/new", &send).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let id = page.location().trim_start_matches("/alarms/").split('?').next().unwrap().to_owned();
    // It is an alarm of their team: whoever called by mistake takes it back.
    assert_eq!(lin.post(&format!("/alarms/{id}/cancel"), &[]).await.status, 303);
    let mut eve = Visitor::logged_in(&world.server, "eve", Role::Viewer).await;
    assert_eq!(eve.get("/alarms/new").await.status, 403);
}

async fn vacations_are_planned_for_people_of_the_team(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Responder).await;
    let away =
        |person: &'static str| [("person", person), ("from", "2026-12-01T00:00"), ("to", "2026-12-03T00:00"), ("zone", "UTC")];
    assert_eq!(lin.post("/roster/vacations", &away("Ann")).await.status, 303);
    assert!(is_another_team_s(&lin.post("/roster/vacations", &away("Ben")).await));
    assert!(is_another_team_s(&lin.post("/roster/vacations", &away("Nobody")).await));
    let body = json!({ "person": "Ben", "from": "2026-12-01T00:00:00Z", "to": "2026-12-03T00:00:00Z" });
    let theirs = made(&world.server, "/api/v1/vacations", body).await["id"].as_str().unwrap().to_owned();
    let page = lin.get("/roster").await;
    assert!(!page.shows(&format!("/roster/vacations/{theirs}/remove")), "{}", page.body);
    assert!(is_another_team_s(&lin.post(&format!("/roster/vacations/{theirs}/remove"), &[]).await));
    let rows = world.server.app.engine.store.read().await.unwrap().db().vacations().await.unwrap();
    let ann = world.person("Ann").await;
    let own = rows.iter().find(|row| row.person_id == ann).unwrap().id;
    assert_eq!(lin.post(&format!("/roster/vacations/{own}/remove"), &[]).await.status, 303);
}

async fn roles_for_teams_are_given_and_taken_on_the_page(home: Home) {
    let world = World::begin(home).await;
    let mut ada = Visitor::logged_in(&world.server, "ada", Role::Admin).await;
    let mut lin = Visitor::logged_in(&world.server, "lin", Role::Viewer).await;
    let id = world.alarm_of("db", "disk").await;
    assert_eq!(lin.post(&format!("/alarms/{id}/notes"), &[("text", "x")]).await.status, 403);
    ada.get("/users").await;
    let page = ada.post("/users/team", &[("user", "lin"), ("team", "db"), ("role", "responder")]).await;
    assert_eq!((page.status, page.location()), (303, "/users?done=team_role"));
    assert!(ada.get("/users").await.shows("db: responder"));
    assert_eq!(lin.post(&format!("/alarms/{id}/notes"), &[("text", "x")]).await.status, 303);
    for _ in 0..2 {
        let page = ada.post("/users/team", &[("user", "lin"), ("team", "db"), ("role", "")]).await;
        assert_eq!(page.status, 303, "also when it is gone already");
    }
    assert_eq!(lin.post(&format!("/alarms/{id}/notes"), &[("text", "x")]).await.status, 403);
    for (fields, status) in [
        (&[("user", "nobody"), ("team", "db"), ("role", "lead")], 404),
        (&[("user", "lin"), ("team", "none"), ("role", "lead")], 404),
        (&[("user", "lin"), ("team", "db"), ("role", "admin")], 422),
        (&[("user", "ada"), ("team", "db"), ("role", "lead")], 403),
    ] {
        assert_eq!(ada.post("/users/team", fields).await.status, status, "{fields:?}");
    }
    world.give("lin", Some(TeamRole::Lead)).await;
    assert_eq!(
        lin.post("/users/team", &[("user", "ada"), ("team", "db"), ("role", "")]).await.status,
        403,
        "no lead gives roles"
    );
    let teams = world.server.get("/api/v1/audit?operation=user_team_role_set").await;
    assert_eq!(teams["items"][0]["after"], json!({ "team_role": "db: lead" }), "{teams}");
}

async fn a_role_that_is_taken_away_is_gone_at_the_next_click(home: Home) {
    let world = World::begin(home).await;
    let mut lin = world.of_db(TeamRole::Responder).await;
    let id = world.alarm_of("db", "disk").await;
    assert_eq!(lin.post(&format!("/alarms/{id}/notes"), &[("text", "x")]).await.status, 303);
    // A team that is no more has no responders, and its alarms are of nobody.
    let version = world.server.get("/api/v1/teams/db").await["version"].clone();
    let removed = world.server.http.delete(format!("{}/api/v1/teams/db", world.server.base)).header("if-match", "*").send().await;
    assert_eq!(removed.unwrap().status(), 204, "version {version}");
    assert_eq!(lin.post(&format!("/alarms/{id}/notes"), &[("text", "x")]).await.status, 403);
}
