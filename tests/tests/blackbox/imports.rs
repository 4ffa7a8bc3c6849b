//! Files as people have them: what the commands and the API make of calendars, spreadsheets and address books, and what these cost.

use std::path::PathBuf;
use std::process::Output;

use autocall_tests::described::Held as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{Engine, World, on_both};

on_both!(
    a_costly_calendar_stops_nothing,
    the_server_ends_while_calendars_are_read,
    calendars_of_every_program_are_read,
    what_differs_is_shown_before_it_is_done,
    people_come_from_every_spreadsheet_and_address_book,
    a_number_is_never_made_longer,
    shifts_come_from_every_spreadsheet,
    what_is_wrong_is_told_with_its_line,
);

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn done(world: &World, args: &[&str]) -> String {
    let output = world.command(args).await;
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

async fn refused(world: &World, args: &[&str]) -> String {
    let output = world.command(args).await;
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output));
    text(&output)
}

/// Two people and a schedule in Berlin.
async fn world(engine: Engine) -> World {
    let world = World::new(engine).await;
    let people = world.file(
        "people.csv",
        "name,numbers\nJane Doe,18712345678\nJohn Doe,18812345678\nZhang Wei,18912345678\n张伟,18612345678\n",
    );
    done(&world, &["people", "import", &people]).await;
    done(&world, &["roster", "add-schedule", "ops", "--zone", "Europe/Berlin", "--gaps-allowed"]).await;
    world
}

async fn import(client: &Client, kind: &str, file: Vec<u8>, query: &str) -> (u16, Value) {
    let request = client.request(Method::POST, &format!("/api/v1/schedules/ops/import{query}"));
    let response = request.header("content-type", kind).body(file).sent().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn a_costly_calendar_stops_nothing(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let costly = std::fs::read(fixture("calendars/costly.ics")).unwrap();
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let (client, costly) = (client.clone(), costly.clone());
            tokio::spawn(async move { import(&client, "text/calendar", costly, "").await })
        })
        .collect();
    // Meanwhile alarms come in, and are answered.
    for _ in 0..3 {
        client.alarm_is_answered("18712345678").await;
    }
    for reading in reading {
        let (status, problem) = reading.await.unwrap();
        assert_eq!(status, 422, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("FREQ=SECONDLY"), "{problem}");
    }
    // Rules that are followed, and never give a date.
    let event = |number: usize| {
        format!(
            "BEGIN:VEVENT\r\nUID:{number}\r\nSUMMARY:Jane Doe\r\nDTSTART:20000101T000000Z\r\nDURATION:PT1H\r\n\
             RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30\r\nEND:VEVENT\r\n"
        )
    };
    let never = format!("BEGIN:VCALENDAR\r\n{}END:VCALENDAR\r\n", (0..200).map(event).collect::<String>());
    let (status, problem) = import(&client, "text/calendar", never.into_bytes(), "").await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("100000 steps"), "{problem}");
    // Nothing that can be nested without an end is followed without an end.
    let (status, problem) = import(&client, "text/calendar", "BEGIN:VCALENDAR\r\n".repeat(10_000).into_bytes(), "").await;
    assert_eq!(status, 422, "{problem}");
}

async fn the_server_ends_while_calendars_are_read(engine: Engine) {
    let world = world(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let costly = std::fs::read(fixture("calendars/costly.ics")).unwrap();
    for _ in 0..8 {
        let (client, costly) = (client.clone(), costly.clone());
        tokio::spawn(async move {
            let request = client.request(Method::POST, "/api/v1/schedules/ops/import").header("content-type", "text/calendar");
            // Some are cut off by the end.
            let _ = request.body(costly).sent().await;
        });
    }
    client.alarm_is_answered("18712345678").await;
    let status = server.terminate_and_wait().await;
    assert!(status.success(), "{status}\n{}", server.log());
}

/// The shifts of a schedule: from, to, who.
async fn shifts(client: &Client, from: &str, to: &str) -> Vec<String> {
    let path = format!("/api/v1/schedules/ops/shifts?from={from}T00:00&to={to}T00:00");
    let answer: Value = client.request(Method::GET, &path).sent().await.unwrap().json().await.unwrap();
    let shifts = answer["shifts"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    let time = |shift: &Value, end: &str| shift[end].as_str().unwrap()[5..16].to_owned();
    let names = |shift: &Value| {
        let on = shift["on_duty"].as_array().unwrap().iter();
        on.map(|on| on["person"]["name"].as_str().unwrap().split(' ').next().unwrap().to_owned()).collect::<Vec<_>>().join("+")
    };
    shifts
        .filter(|shift| shift["on_duty"] != json!([]))
        .map(|own| format!("{} {} {}", time(own, "from"), time(own, "to"), names(own)))
        .collect()
}

async fn calendars_of_every_program_are_read(engine: Engine) {
    let world = world(engine).await;
    let people = world
        .file("mail.csv", "name,numbers,email\nJane Doe,18712345678,Jane@example.com\nJohn Doe,18812345678,john@example.com\n");
    done(&world, &["people", "import", &people]).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    for (file, from, to, expected, skipped) in [
        (
            "outlook",
            "2026-11-30",
            "2027-02-15",
            vec![
                "11-30T08:00 12-07T08:00 Jane",
                "12-07T08:00 12-21T08:00 John",
                "01-11T08:00 01-18T08:00 Jane",
                "01-25T08:00 02-01T08:00 Jane",
                "02-08T08:00 02-14T23:00 Jane",
            ],
            0,
        ),
        (
            "google",
            "2027-03-20",
            "2027-05-01",
            vec![
                "03-22T08:00 03-28T22:00 Jane",
                "03-28T22:00 03-29T07:00 Jane+John",
                "03-29T07:00 03-30T22:00 John",
                "04-06T07:00 04-12T07:00 Jane",
            ],
            1,
        ),
        (
            "apple",
            "2026-11-30",
            "2027-01-10",
            vec![
                "11-29T23:00 12-06T23:00 Jane",
                "12-06T23:00 12-13T23:00 John",
                "12-13T23:00 12-20T23:00 Jane",
                "12-20T23:00 12-27T23:00 John",
            ],
            0,
        ),
        (
            "confluence",
            "2026-11-30",
            "2027-01-24",
            vec![
                "11-29T23:00 12-06T23:00 Jane",
                "12-13T23:00 12-20T23:00 John",
                "12-27T23:00 01-03T23:00 Jane",
                "01-10T23:00 01-17T23:00 Jane",
            ],
            0,
        ),
        ("pagerduty", "2026-11-30", "2027-01-01", vec!["12-01T15:00 12-08T15:00 Jane", "12-08T15:00 12-15T15:00 John"], 0),
        ("opsgenie", "2026-11-30", "2027-01-01", vec!["11-30T08:00 12-07T08:00 Jane", "12-07T08:00 12-14T08:00 John"], 0),
        (
            "this-and-future",
            "2026-11-30",
            "2027-01-01",
            vec![
                "12-01T08:00 12-01T16:00 Jane",
                "12-02T08:00 12-02T16:00 Jane",
                "12-03T09:00 12-03T17:00 John",
                "12-04T09:00 12-04T17:00 John",
            ],
            0,
        ),
        ("two-sequences", "2026-11-30", "2027-01-01", vec!["11-29T23:00 12-06T23:00 John", "12-13T23:00 12-20T23:00 John"], 0),
    ] {
        let calendar = std::fs::read(fixture(&format!("calendars/{file}.ics"))).unwrap();
        let (status, answer) = import(&client, "text/calendar", calendar, "").await;
        assert_eq!(status, 200, "{file}: {answer}");
        assert_eq!(answer["skipped"].as_array().unwrap().len(), skipped, "{file}: {answer}");
        assert_eq!(shifts(&client, from, to).await, expected, "{file}");
    }
}

async fn what_differs_is_shown_before_it_is_done(engine: Engine) {
    let world = world(engine).await;
    let more = world.file("more.csv", "name,numbers\nJane Doe,18712345678\nJohn Doe,18812345679\nEve,18512345678\n");
    let told = done(&world, &["people", "import", &more, "--dry-run"]).await;
    assert!(told.contains("would import 3 people: 1 new, 1 updated, 1 unchanged"), "{told}");
    assert!(told.contains("John Doe: +8618812345679 instead of +8618812345678") && told.contains("Eve: new"), "{told}");
    assert!(!done(&world, &["people", "list"]).await.contains("Eve"));
    assert!(done(&world, &["people", "import", &more]).await.contains("imported 3 people: 1 new, 1 updated, 1 unchanged"));
    let again = done(&world, &["people", "import", &more]).await;
    assert!(again.contains("imported 3 people: 0 new, 0 updated, 3 unchanged"), "{again}");

    let calendar = fixture("calendars/pagerduty.ics");
    let told = done(&world, &["roster", "import", "ops", &calendar, "--dry-run"]).await;
    assert!(told.contains("would import 1 shifts into ops, layer imported: 1 new, 0 removed, 0 unchanged"), "{told}");
    assert!(told.contains("passed over: event 2 (On Call - J. Doe - Primary)"), "{told}");
    assert!(!done(&world, &["roster", "show", "ops"]).await.contains("imported"));
    done(&world, &["roster", "import", "ops", &calendar]).await;
    let other = fixture("shifts/american.csv");
    let told = done(&world, &["roster", "import", "ops", &other, "--dry-run"]).await;
    assert!(told.contains("1 new, 1 removed, 0 unchanged"), "{told}");
    let told = done(&world, &["roster", "import", "ops", &calendar]).await;
    assert!(told.contains("imported 1 shifts into ops, layer imported: 0 new, 0 removed, 1 unchanged"), "{told}");
}

async fn people_come_from_every_spreadsheet_and_address_book(engine: Engine) {
    let world = World::new(engine).await;
    let list = async || done(&world, &["people", "list"]).await;
    for (file, options, line) in [
        ("gbk.csv", &[][..], "赵六\t+8618714000921"),
        ("shift-jis.csv", &["--encoding", "Shift_JIS"], "花子\t+819012345678"),
        ("utf-16-tabs.csv", &[], "张伟\t+8618714000922"),
        ("semicolons.csv", &[], "Hans\t+4915112345678"),
        ("excel.csv", &[], "O'Neil\t+8618714000923"),
        ("excel.csv", &[], "Caps\t+8618714000924"),
        ("google.csv", &[], "Jane Doe\t+8618714000925;+8618714000926;+861062345678"),
        ("outlook.csv", &[], "John Doe\t+8618714000927;+861062345679"),
        ("cards.vcf", &[], "Jane Doe\t+8618714000925;+861062345678"),
        ("cards.vcf", &[], "张伟\t+8618714000928"),
        ("digits.csv", &[], "Arabic\t+8618714000931"),
        ("digits.csv", &[], "Persian\t+8618714000932"),
        ("digits.csv", &[], "Hindi\t+8618714000933"),
        ("digits.csv", &[], "URI\t+8618714000934"),
    ] {
        let path = fixture(&format!("people/{file}"));
        let told = done(&world, &[&["people", "import", &path][..], options].concat()).await;
        assert!(told.contains("imported "), "{told}");
        assert_eq!(told.contains("was read as gb18030"), file == "gbk.csv", "{told}");
        let known = list().await;
        assert!(known.contains(line), "{file}: {line} in {known}");
    }
    assert!(done(&world, &["people", "import", &fixture("people/google.csv")]).await.contains("Nobody has no number"));
}

async fn a_number_is_never_made_longer(engine: Engine) {
    let world = World::new(engine).await;
    done(&world, &["people", "import", &fixture("people/float.csv")]).await;
    assert_eq!(done(&world, &["people", "list"]).await, "Pandas\t+8618714000920\t\n");
    for number in ["18714000920.5", "1.8714E+10", "110.0"] {
        let file = world.file("float.csv", &format!("name,numbers\nPandas,{number}\n"));
        let told = refused(&world, &["people", "import", &file]).await;
        assert!(told.contains("line 2") && told.contains(number), "{told}");
    }
    // Over the API too.
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&["18714000920.0"]).await;
    assert_eq!(client.alarm(&id).await["callees"][0]["number"], "+8618714000920");
    let refused = client.post_alarm(json!({ "summary": "x", "phones": ["18714000920.5"] }).to_string()).sent().await.unwrap();
    assert_eq!(refused.status(), 422);
}

async fn shifts_come_from_every_spreadsheet(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    for (file, shift) in [
        ("semicolons.csv", "11-30T08:00 12-07T08:00 Zhang"),
        ("gbk.csv", "11-30T08:00 12-07T08:00 张伟"),
        ("american.csv", "12-01T08:00 12-13T20:00 Zhang"),
    ] {
        done(&world, &["roster", "import", "ops", &fixture(&format!("shifts/{file}"))]).await;
        // In UTC. Not by `roster show`: it begins with now, and one day these shifts are over.
        assert_eq!(shifts(&client, "2026-11-01", "2027-01-01").await, [shift], "{file}");
    }
    let told = refused(&world, &["roster", "import", "ops", &fixture("shifts/ambiguous.csv")]).await;
    assert!(told.contains("line 2") && told.contains("may mean two days"), "{told}");
}

async fn what_is_wrong_is_told_with_its_line(engine: Engine) {
    let world = world(engine).await;
    let told = refused(&world, &["people", "import", &fixture("people/extension.csv")]).await;
    assert!(told.contains("line 3: \"010-62345678-123\"") && told.contains("extension") && !told.contains("line 2"), "{told}");
    let crlf = world.file("crlf.csv", "name,numbers\r\nA,18714000928\r\n,\r\n\r\nB,12\r\n");
    let told = refused(&world, &["people", "import", &crlf]).await;
    assert!(told.contains("line 5: \"12\"") && !told.contains("line 3"), "{told}");
    let crlf = world.file("shifts.csv", "start,end,person\r\n2026-11-30,2026-12-01,Jane Doe\r\nsoon,2026-12-02,Jane Doe\r\n");
    let told = refused(&world, &["roster", "import", "ops", &crlf]).await;
    assert!(told.contains("line 3: \"soon\"") && !told.contains("line 2"), "{told}");
    let other = world.file("other.csv", "naem,numbers\nA,18714000928\n");
    assert!(refused(&world, &["people", "import", &other]).await.contains("naem"));
}
