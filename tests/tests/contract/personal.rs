//! What is kept of a person: all of it taken out, all of it forgotten, also when that is broken off; and old numbers masked.

use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    an_export_holds_all_that_is_kept,
    a_look_at_an_export_is_no_reading,
    whoever_is_erased_is_found_nowhere,
    what_others_wrote_of_them_goes_too,
    nobody_is_erased_who_is_needed,
    an_erasure_that_was_broken_off_goes_on,
    whoever_acted_without_being_called_is_forgotten_too,
    nobody_is_erased_while_their_number_is_to_ring,
    a_number_that_rings_meanwhile_is_left_alone_until_it_is_over,
    whoever_is_being_erased_is_in_no_plan,
    many_places_are_forgotten_in_portions,
    numbers_in_old_alarms_are_masked_and_names_stay,
    masking_waits_for_what_is_not_over_and_passes_nothing_for_ever,
);

async fn ask(server: &Server, method: Method, path: &str, body: Option<&Value>) -> (u16, String) {
    let mut request = server.http.request(method, format!("{}{path}", server.base));
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.sent().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn person(server: &Server, name: &str, number: &str) -> String {
    let (status, body) = server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// Somebody is rung, answers, and the alarm is over.
async fn answered(server: &Server, handset: &str, name: &str, number: &str) -> String {
    let id = server.raise(&[], json!({ "ring": [{ "person": name }] })).await;
    let (mid, _) = server.dial(handset).await;
    server.report(handset, &mid, Some(number)).await;
    let done = server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": name })).await;
    assert_eq!(done.0, 200, "{}", done.1);
    server.post(&format!("/api/v1/alarms/{id}/notes"), &json!({ "text": format!("{name} looked at it"), "by": name })).await;
    server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await;
    // The handset rests before it takes another call.
    server.pass(120).await;
    id
}

/// Everything that the API shows of what happened.
async fn all_that_is_shown(server: &Server, alarms: &[&String]) -> String {
    let mut all = String::new();
    for alarm in alarms {
        all.push_str(&server.alarm(alarm).await.to_string());
    }
    for path in ["/api/v1/people", "/api/v1/call-records?limit=200", "/api/v1/audit?limit=200", "/api/v1/alarms?limit=100"] {
        all.push_str(&ask(server, Method::GET, path, None).await.1);
    }
    all
}

async fn an_export_holds_all_that_is_kept(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = person(&server, "Li Na", A).await;
    person(&server, "Ann", B).await;
    answered(&server, &desk, "Li Na", A).await;
    let (status, text) = ask(&server, Method::GET, "/api/v1/people/Li Na/export", None).await;
    assert_eq!(status, 200, "{text}");
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((&file["person"]["id"], &file["person"]["name"]), (&json!(id), &json!("Li Na")));
    assert_eq!(file["person"]["numbers"], json!(["+8618712345678"]));
    for list in ["rung", "answers", "calls"] {
        assert!(!file[list].as_array().unwrap().is_empty(), "{list}: {file}");
    }
    for list in ["duty", "recordings", "calls_from", "texts_to", "texts_from", "hand_overs"] {
        assert!(file[list].is_array(), "{list}: {file}");
    }
    let told = file["timelines"].as_array().unwrap();
    let noted = told.iter().find(|line| line["what"] == "noted").unwrap_or_else(|| panic!("{file}"));
    assert_eq!(noted["said"], "Li Na looked at it", "{file}");
    assert!(told.iter().any(|line| line["what"] == "acknowledged"), "{file}");
    let exported = server.get("/api/v1/audit?operation=person_exported").await["items"].clone();
    assert_eq!(exported[0]["address"], "127.0.0.1", "also of what is only read: {exported}");
    let words: Vec<&str> = file["audit"].as_array().unwrap().iter().map(|line| line["operation"].as_str().unwrap()).collect();
    assert!(words.contains(&"person_added") && words.contains(&"person_exported"), "{words:?}");
    assert!(!text.contains("Ann") && !text.contains("18812345678"), "nobody else is in it: {text}");
    assert_eq!(ask(&server, Method::GET, "/api/v1/people/nobody/export", None).await.0, 404);
}

async fn a_look_at_an_export_is_no_reading(home: Home) {
    let server = home.start().await;
    person(&server, "Li Na", A).await;
    let exports = async || server.get("/api/v1/audit?operation=person_exported").await["items"].as_array().unwrap().len();
    assert_eq!(ask(&server, Method::HEAD, "/api/v1/people/Li Na/export", None).await, (200, String::new()));
    assert_eq!(exports().await, 0);
    assert_eq!(ask(&server, Method::HEAD, "/api/v1/people/nobody/export", None).await.0, 404);
    assert_eq!(ask(&server, Method::GET, "/api/v1/people/Li Na/export", None).await.0, 200);
    assert_eq!(exports().await, 1);
}

async fn whoever_is_erased_is_found_nowhere(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = person(&server, "Li Na", A).await;
    person(&server, "Ann", B).await;
    let hers = answered(&server, &desk, "Li Na", A).await;
    let anns = answered(&server, &desk, "Ann", B).await;
    let before = all_that_is_shown(&server, &[&hers, &anns]).await;
    assert!(before.contains("Li Na") && before.contains("18712345678"));
    let reports = "/api/v1/reports?by=month&first_month=2026-11&last_month=2026-11";
    let sums = server.get(reports).await["total"].clone();
    let (status, done) = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
    let after = all_that_is_shown(&server, &[&hers, &anns]).await;
    assert!(!after.contains("Li Na") && !after.contains("18712345678"), "{after}");
    assert!(after.contains("Ann") && after.contains("18812345678"), "nobody else is forgotten: {after}");
    let alarm = server.alarm(&hers).await;
    assert_eq!(alarm["callees"][0]["name"], "(erased)", "what happened stays: {alarm}");
    assert_eq!(server.get(reports).await["total"], sums, "the sums of reports stay");
    let erased = server.get("/api/v1/audit?operation=person_erased").await["items"].clone();
    assert_eq!((erased.as_array().unwrap().len(), &erased[0]["subject_id"]), (1, &json!(id)), "{erased}");
    assert!(erased[0]["subject_name"].is_null(), "{erased}");
    assert_eq!(ask(&server, Method::POST, "/api/v1/people/Li Na/erase", None).await.0, 404);
    // The number is free again, and nothing of before is theirs.
    person(&server, "Bob", A).await;
    let (_, text) = ask(&server, Method::GET, "/api/v1/people/Bob/export", None).await;
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&file["answers"], &file["calls"]), (&json!([]), &json!([])), "{file}");
}

/// What a sender wrote, why an alarm was false, who made an absence; and nobody is found by it any more.
async fn what_others_wrote_of_them_goes_too(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    person(&server, "Li Na", A).await;
    let ann = person(&server, "Ann", B).await;
    let wrote = json!({
        "summary": "Li Na's disk is full, ring ١٨٧١٢٣٤٥٦٧٨", "details": "owner: Li Na, １８７ １２３４ ５６７８",
        "labels": { "owner": "Li Na", "disk": "sda" }, "ring": [{ "person": "Li Na" }],
    });
    let id = server.raise(&[], wrote).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await;
    let (status, said) =
        server.post(&format!("/api/v1/alarms/{id}/false"), &json!({ "reason": "Li Na tried it", "by": "Li Na" })).await;
    assert!((200..300).contains(&status), "{said}");
    let (bytes, free) = match server.home.is_shared() {
        true => (format!("'{ann}'"), "gen_random_uuid()"),
        false => (format!("x'{}'", ann.replace('-', "")), "randomblob(16)"),
    };
    let absence = format!(
        "INSERT INTO vacations (id, person_id, starts_at, ends_at, note, created_at, created_by)
         VALUES ({free}, {bytes}, '2026-12-01T00:00:00+00:00', '2026-12-02T00:00:00+00:00', 'asked Li Na', '2026-11-20T00:00:00+00:00', 'Li Na')"
    );
    server.run_sql(vec![absence]).await;
    server.pass(2).await;
    for asked in ["Li%20Na", "owner%20Li", "45678"] {
        assert_eq!(server.items(&format!("/api/v1/alarms?q={asked}")).await.as_array().unwrap().len(), 1, "{asked}");
    }
    let (status, done) = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
    server.pass(2).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(
        (&alarm["summary"], &alarm["details"]),
        (&json!("(erased)'s disk is full, ring ******"), &json!("owner: (erased), ******"))
    );
    assert_eq!(alarm["labels"], json!({ "owner": "(erased)", "disk": "sda" }));
    let vacations = server.items("/api/v1/vacations").await;
    let all = format!("{alarm}{vacations}");
    assert!(!all.contains("Li Na") && vacations[0]["person"].to_string().contains("Ann"), "{all}");
    for asked in ["Li%20Na", "owner%20Li", "45678"] {
        assert_eq!(server.items(&format!("/api/v1/alarms?q={asked}")).await, json!([]), "{asked}");
    }
    assert_eq!(server.items("/api/v1/alarms?q=disk").await.as_array().unwrap().len(), 1, "the alarm stays");
}

async fn nobody_is_erased_who_is_needed(home: Home) {
    let server = home.start().await;
    person(&server, "Li Na", A).await;
    let id = server.raise(&[], json!({ "ring": [{ "person": "Li Na" }] })).await;
    let refused = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
    assert_eq!((refused.0, &refused.1["code"]), (409, &json!("person_is_needed")), "{}", refused.1);
    assert!(refused.1["detail"].as_str().unwrap().contains("alarm"), "{}", refused.1);
    server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await;
    let turns = json!({ "name": "turns", "people": ["Li Na"], "every": "1 week", "start": "2026-11-16T09:00" });
    let made = server.post("/api/v1/schedules", &json!({ "name": "ops", "zone": "UTC", "layers": [turns] })).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let refused = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
    assert!(refused.0 == 409 && refused.1["detail"].as_str().unwrap().contains("ops"), "{}", refused.1);
    let people = server.items("/api/v1/people").await;
    assert_eq!(people[0]["name"], "Li Na", "nothing was changed");
    assert_eq!(server.delete("/api/v1/schedules/ops").await, 204);
    assert_eq!(server.post("/api/v1/people/Li Na/erase", &json!({})).await.0, 200);
}

/// They took, remarked on and called off what rang others, a sender named their number under another name, and nothing else knows them.
async fn whoever_acted_without_being_called_is_forgotten_too(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    // Before they were known here.
    let early = server.raise(&[A, B], json!({ "dedup_key": "early" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.post(&format!("/api/v1/alarms/{early}/resolve"), &json!({})).await;
    server.pass(120).await;
    person(&server, "Li Na", A).await;
    person(&server, "Ann", B).await;
    let anns = server.raise(&[], json!({ "ring": [{ "person": "Ann" }], "details": "Li Na knows more" })).await;
    for (act, body) in [
        ("notes", json!({ "text": "Li Na was there", "by": "Li Na" })),
        ("acknowledge", json!({ "name": "Li Na", "note": "ring +86 187 1234 5678" })),
    ] {
        let (status, said) = server.post(&format!("/api/v1/alarms/{anns}/{act}"), &body).await;
        assert!((200..300).contains(&status), "{act}: {said}");
    }
    let other = server.raise(&[], json!({ "ring": [{ "person": "Ann" }] })).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{other}/cancel"), &json!({ "by": "Li Na" })).await.0, 200);
    let (status, done) = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
    server.pass(2).await;
    let after = all_that_is_shown(&server, &[&early, &anns, &other]).await;
    assert!(!after.contains("Li Na") && !after.contains("8712345678") && !after.contains("187 1234"), "{after}");
    assert!(after.contains("(erased) was there") && after.contains("Ann"), "{after}");
    for asked in ["Li%20Na", "18712345678"] {
        assert_eq!(server.items(&format!("/api/v1/alarms?q={asked}")).await, json!([]), "{asked}");
    }
    let early = server.alarm(&early).await;
    assert_eq!(early["callees"][0]["phone_number"], "******", "{early}");
    assert!(early["callees"][1]["phone_number"].as_str().unwrap().ends_with("8812345678"), "{early}");
}

async fn nobody_is_erased_while_their_number_is_to_ring(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    // Whom the sender named is nobody here yet.
    let id = server.raise(&[A], json!({})).await;
    person(&server, "Li Na", A).await;
    let refused = async || {
        let (status, told) = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
        assert_eq!((status, &told["code"]), (409, &json!("person_is_needed")), "{told}");
    };
    refused().await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    // Taken, and put off: it rings again by itself.
    let later = json!({ "name": "Li Na", "ring_again_after_seconds": 3600 });
    let put_off = server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &later).await;
    assert_eq!(put_off.0, 200, "{}", put_off.1);
    refused().await;
    let people = server.items("/api/v1/people").await;
    assert_eq!(people[0]["numbers"], json!(["+8618712345678"]), "nothing was changed");
    server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await;
    server.pass(120).await;
    let (status, done) = server.post("/api/v1/people/Li Na/erase", &json!({})).await;
    assert_eq!((status, &done["done"]), (200, &json!(true)), "{done}");
    assert!(!server.alarm(&id).await.to_string().contains("18712345678"));
}

/// Only the first transaction of an erasure.
async fn begun(server: &Server, id: &str) {
    let person: autocall::ids::PersonId = id.parse().unwrap();
    let anyhow = autocall::versions::Expected::Anything;
    let by = autocall::engine::Doer::CommandLine;
    let begun = async |work: &mut autocall::store::Work| autocall::keep::personal::erasing::begin(work, person, &anyhow).await;
    server.app.engine.carry_out(by, begun).await.unwrap();
}

async fn a_number_that_rings_meanwhile_is_left_alone_until_it_is_over(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = person(&server, "Li Na", A).await;
    person(&server, "Bob", B).await;
    let before = answered(&server, &desk, "Li Na", A).await;
    begun(&server, &id).await;
    // A sender names the number, which is nobody's by now.
    let rings = server.raise(&["18912345678", A], json!({})).await;
    let (mid, dialled) = server.dial(&desk).await;
    // Others who are to be erased do not wait for it.
    let (status, done) = server.post("/api/v1/people/Bob/erase", &json!({})).await;
    assert_eq!((status, &done["done"]), (200, &json!(false)), "{done}");
    let people = server.items("/api/v1/people").await.to_string();
    assert!(!people.contains("Bob") && people.contains("(erased)"), "{people}");
    assert!(!server.alarm(&before).await.to_string().contains("18712345678"), "what is over is forgotten");
    let callees = server.alarm(&rings).await["callees"].clone();
    let number = |place: usize| callees[place]["phone_number"].as_str().unwrap().to_owned();
    assert!(number(0).ends_with("8912345678") && number(1).ends_with("8712345678"), "{callees}");
    assert_eq!(dialled, ["18912345678", "18712345678"], "it is rung as any number is");
    // Who picks up is known.
    server.report(&desk, &mid, Some("18912345678")).await;
    assert_eq!(server.state(&rings).await, "answered");
    server.post(&format!("/api/v1/alarms/{rings}/resolve"), &json!({})).await;
    server.pass(120).await;
    server.app.engine.forget_old().await.unwrap();
    assert!(!server.alarm(&rings).await.to_string().contains("18712345678"));
    assert_eq!(server.items("/api/v1/people").await, json!([]));
}

async fn whoever_is_being_erased_is_in_no_plan(home: Home) {
    let server = home.start().await;
    person(&server, "Ann", B).await;
    let id = person(&server, "Li Na", A).await;
    let turns = json!({ "name": "turns", "people": ["Ann", "Li Na"], "every": "1 week", "start": "2026-11-16T09:00" });
    let made = server.post("/api/v1/schedules", &json!({ "name": "ops", "zone": "UTC", "layers": [turns] })).await;
    assert_eq!(made.0, 201, "{}", made.1);
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "all", "members": ["Ann", "Li Na"] })).await.0, 201);
    let on_duty = async || server.get("/api/v1/on-duty").await.to_string();
    while !on_duty().await.contains("Ann") {
        server.pass(24 * 3600).await;
    }
    begun(&server, &id).await;
    for _ in 0..21 {
        server.pass(24 * 3600).await;
        let on = on_duty().await;
        assert!(!on.contains(&id) && !on.contains("(erased)"), "nobody counts on them: {on}");
    }
    let teams = server.items("/api/v1/teams").await.to_string();
    assert!(teams.contains("Ann") && !teams.contains("(erased)"), "{teams}");
    // And an alarm for the team rings whoever is left.
    let alarm = server.raise(&[], json!({ "ring": [{ "team": "all" }] })).await;
    let callees = server.alarm(&alarm).await["callees"].clone();
    assert_eq!((callees.as_array().unwrap().len(), &callees[0]["name"]), (1, &json!("Ann")), "{callees}");
}

/// More than one portion of what is looked through, and many who were called together.
async fn many_places_are_forgotten_in_portions(home: Home) {
    let server = home.start().await;
    let id = person(&server, "Li Na", A).await;
    let alarm = server.raise(&[A, B], json!({})).await;
    server.post(&format!("/api/v1/alarms/{alarm}/resolve"), &json!({})).await;
    let mut lines = Vec::new();
    for number in 0..1200 {
        let body = if number % 400 == 399 { r#"{"text":"asked +8618712345678","by":"Li Na"}"# } else { "{}" };
        lines.push(format!("INSERT INTO events (at, kind, body) VALUES ('2026-11-20T00:00:00.000000Z', 'noted', '{body}')"));
    }
    server.run_sql(lines).await;
    begun(&server, &id).await;
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(server.items("/api/v1/people").await, json!([]));
    let mut after = 0;
    loop {
        let lines = server.app.engine.store.read().await.unwrap().db().lines_behind(after).await.unwrap();
        let Some(last) = lines.last() else { break };
        after = last.id;
        for line in &lines {
            let body = line.body.0.to_string();
            assert!(!body.contains("Li Na") && !body.contains("8712345678"), "{body}");
        }
    }
    assert!(after > 1200);
    assert!(!server.alarm(&alarm).await.to_string().contains("18712345678"));
}

async fn an_erasure_that_was_broken_off_goes_on(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = person(&server, "Li Na", A).await;
    let hers = answered(&server, &desk, "Li Na", A).await;
    // Only its first transaction came to its end.
    let person: autocall::ids::PersonId = id.parse().unwrap();
    let by = autocall::engine::Doer::CommandLine;
    let begun = server
        .app
        .engine
        .carry_out(by, async |work| {
            autocall::keep::personal::erasing::begin(work, person, &autocall::versions::Expected::Anything).await
        })
        .await;
    begun.unwrap();
    let people = server.items("/api/v1/people").await.to_string();
    assert!(!people.contains("Li Na") && people.contains("(erased)"), "{people}");
    let server = server.restart().await;
    server.app.engine.forget_old().await.unwrap();
    let after = all_that_is_shown(&server, &[&hers]).await;
    assert!(!after.contains("Li Na") && !after.contains("18712345678"), "{after}");
    assert_eq!(server.items("/api/v1/people").await, json!([]));
}

async fn numbers_in_old_alarms_are_masked_and_names_stay(home: Home) {
    let server = home.set("AUTOCALL_RETENTION_MASK_NUMBERS_DAYS", "30").start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    person(&server, "Li Na", A).await;
    let hers = answered(&server, &desk, "Li Na", A).await;
    server.home.clock.advance(TimeDelta::days(29));
    server.app.engine.forget_old().await.unwrap();
    assert!(server.alarm(&hers).await.to_string().contains("18712345678"), "it is not old enough");
    server.home.clock.advance(TimeDelta::days(2));
    for _ in 0..2 {
        // Once more changes nothing more.
        server.app.engine.forget_old().await.unwrap();
        let alarm = server.alarm(&hers).await;
        assert!(!alarm.to_string().contains("18712345678"), "{alarm}");
        assert_eq!(alarm["callees"][0]["name"], "Li Na");
        assert_eq!(alarm["callees"][0]["phone_number"], "+861********78");
    }
    let people = server.items("/api/v1/people").await;
    assert_eq!(people[0]["numbers"], json!(["+8618712345678"]), "people keep their numbers");
}

/// One that is not over is masked when it is; several are, in all that is kept of them; and what stands beside all alarms.
async fn masking_waits_for_what_is_not_over_and_passes_nothing_for_ever(home: Home) {
    let home = home.set("AUTOCALL_RETENTION_MASK_NUMBERS_DAYS", "30").set("AUTOCALL_ALARMS_DEDUP_HOURS", "720");
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let wrote = json!({ "dedup_key": "goes on", "details": "ring +86 187 1234 5678" });
    let goes_on = server.raise(&[A, B], wrote.clone()).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(120).await;
    let over = server.raise(&[A, B], json!({ "details": "ring 18712345678 or 18812345678" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.post(&format!("/api/v1/alarms/{over}/resolve"), &json!({})).await;
    let shows = async |id: &str| {
        let alarm = server.alarm(id).await.to_string();
        alarm.contains("18712345678") || alarm.contains("18812345678") || alarm.contains("187 1234")
    };
    let mask = async || server.app.engine.forget_old().await.unwrap();
    // Its hunt is long over, and it is not.
    for _ in 0..4 {
        server.home.clock.advance(TimeDelta::days(10));
        let said =
            json!({ "summary": "disk full", "phones": [A, B], "dedup_key": "goes on", "details": "ring +86 187 1234 5678" });
        assert_eq!(server.post("/api/v1/alarms", &said).await.0, 200, "it comes again");
    }
    server.pass(2).await;
    assert_eq!(server.items("/api/v1/alarms?q=45678").await.as_array().unwrap().len(), 2);
    mask().await;
    assert!(!shows(&over).await && shows(&goes_on).await, "{}", server.alarm(&over).await);
    server.pass(2).await;
    assert_eq!(server.items("/api/v1/alarms?q=45678").await.as_array().unwrap().len(), 1, "it is found by its number no more");
    server.post(&format!("/api/v1/alarms/{goes_on}/resolve"), &json!({})).await;
    mask().await;
    assert!(shows(&goes_on).await, "it has only just ended");
    server.home.clock.advance(TimeDelta::days(31));
    mask().await;
    assert!(!shows(&goes_on).await, "{}", server.alarm(&goes_on).await);
}
