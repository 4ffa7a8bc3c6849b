//! `autocall roster` as cron and people call it: what it prints, and how it exits.

use std::process::Output;

use crate::world::{Engine, World, on_both};

on_both!(check_tells_cron, a_file_goes_in_and_comes_out_again, a_calendar_is_followed, everything_can_be_taken_back);

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn done(world: &World, args: &[&str]) -> String {
    let output = world.command(&[&["roster"], args].concat()).await;
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

async fn refused(world: &World, args: &[&str]) -> String {
    let output = world.command(&[&["roster"], args].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output));
    text(&output)
}

async fn world(engine: Engine) -> World {
    let world = World::new(engine).await;
    let people = world.file("people.csv", "name,numbers\nAnn,18712345678\nBob,18812345678\n");
    assert!(world.command(&["people", "import", &people]).await.status.success());
    done(&world, &["add-schedule", "ops", "--zone", "Europe/Berlin"]).await;
    world
}

const ALWAYS: [&str; 8] = ["set-rotation", "ops", "--people", "Ann,Bob", "--every", "1 week", "--start", "2020-01-06T09:00"];

async fn check_tells_cron(engine: Engine) {
    let world = world(engine).await;
    assert!(refused(&world, &["check"]).await.contains("gap\tops\t"));
    let set = done(&world, &ALWAYS).await;
    assert!(set.contains("on duty now: ") && set.contains("\tnext "), "{set}");
    let on = done(&world, &["on-duty"]).await;
    assert!(on.contains("\tuntil ") && on.contains("\tnext "), "{on}");
    assert!(done(&world, &["check", "--days", "30"]).await.contains("nothing is wrong"));
    let far = ["override", "ops", "add", "Bob", "--from", "2020-01-01", "--to", "2199-01-01"];
    done(&world, &far).await;
    assert!(refused(&world, &["check"]).await.contains("overlap\tops\t"));
    done(&world, &["check", "--allow-overlaps"]).await;
    assert!(refused(&world, &["show", "none"]).await.contains("there is no schedule \"none\""));
}

async fn a_file_goes_in_and_comes_out_again(engine: Engine) {
    let world = world(engine).await;
    let file = world.file("shifts.csv", "start,end,person\n2020-01-06 09:00,2199-01-01,Ann\n");
    assert!(done(&world, &["import", "ops", &file]).await.contains("imported 1 shifts into ops, layer imported"));
    let out = done(&world, &["export", "ops", "--days", "3"]).await;
    assert!(out.starts_with("start,end,person\n") && out.trim_end().ends_with(",Ann"), "{out}");
    let again = world.file("again.csv", &out);
    done(&world, &["import", "ops", &again]).await;
    assert!(done(&world, &["on-duty"]).await.starts_with("ops\tAnn (layer imported)\tuntil "));
    assert!(done(&world, &["export", "ops", "--form", "ics"]).await.starts_with("BEGIN:VCALENDAR\r\n"));
    assert!(done(&world, &["log", "ops"]).await.contains("Ann (layer imported)"));
    let bad = world.file("bad.csv", "start,end,person\nsoon,2199-01-01,Ann\n2020-01-06,2199-01-01,Eve\n");
    let told = refused(&world, &["import", "ops", &bad]).await;
    assert!(told.contains("line 2") && told.contains("line 3"), "{told}");
    assert!(refused(&world, &["import", "ops", &world.file("x.txt", "")]).await.contains(".csv or .ics"));
}

async fn a_calendar_is_followed(engine: Engine) {
    let world = world(engine).await;
    let address = "webcal://calendar.example.com/calendar/ical/ops/private-0123456789abcdef/basic.ics";
    let set = done(&world, &["set-calendar", "ops", address, "--every-minutes", "30"]).await;
    assert!(set.contains("ops follows the calendar") && !set.contains("private-"), "{set}");
    let told = done(&world, &["calendars"]).await;
    assert_eq!(told, "ops\thttps://calendar.example.com/….ics\tlayer calendar\tevery 30 minutes\tnot read yet\n");
    assert!(done(&world, &["show", "ops"]).await.contains(&format!("calendar\t{}", told.trim_start_matches("ops\t"))));
    // Only the rhythm: the address stays.
    done(&world, &["set-calendar", "ops", "--every-minutes", "60"]).await;
    assert_eq!(done(&world, &["calendars"]).await, told.replace("30 minutes", "60 minutes"));
    done(&world, &["refresh-calendar", "ops"]).await;
    for (args, why) in [
        (&["set-calendar", "ops", "http://127.0.0.1:9/a.ics"][..], "roster.allow_networks"),
        (&["set-calendar", "ops", "http://127.0.0.1:9/a.ics", "--dry-run"], "roster.allow_networks"),
        (&["set-calendar", "ops", "calendar.ics"], "https://"),
        (&["set-calendar", "ops", "--every-minutes", "1"], "5 to 1440 minutes"),
        (&["set-calendar", "none", address], "there is no schedule \"none\""),
    ] {
        let told = refused(&world, args).await;
        assert!(told.contains(why), "{args:?}: {told}");
    }
    assert!(done(&world, &["remove-calendar", "ops"]).await.contains("follows no calendar any more"));
    assert_eq!(done(&world, &["calendars"]).await, "");
    assert!(refused(&world, &["remove-calendar", "ops"]).await.contains("follows no calendar"));
    assert!(refused(&world, &["refresh-calendar", "ops"]).await.contains("follows no calendar"));
}

async fn everything_can_be_taken_back(engine: Engine) {
    let world = world(engine).await;
    done(&world, &ALWAYS).await;
    let before = done(&world, &["on-duty", "--at", "2199-06-01"]).await;
    let times = ["--from", "2199-01-01", "--to", "2199-12-31"];
    let id = |told: String| told.split_whitespace().find(|word| word.len() == 36).unwrap().to_owned();
    let swap = id(done(&world, &[&["override", "ops", "remove", "Ann"][..], &times].concat()).await);
    let fair = id(done(&world, &[&["temporary", "ops", "--name", "fair", "--people", "Bob"][..], &times].concat()).await);
    let away = id(done(&world, &[&["vacation", "Bob"][..], &times].concat()).await);
    assert!(done(&world, &["on-duty", "--at", "2199-06-01"]).await.starts_with("ops\tnobody"));
    let shown = done(&world, &["show", "ops"]).await;
    assert!(shown.contains(&swap) && shown.contains(&fair) && done(&world, &["vacations"]).await.contains(&away), "{shown}");
    done(&world, &["remove-override", "ops", &swap]).await;
    done(&world, &["remove-temporary", "ops", &fair]).await;
    done(&world, &["remove-vacation", &away]).await;
    assert_eq!(done(&world, &["on-duty", "--at", "2199-06-01"]).await, before);
    assert!(refused(&world, &["remove-vacation", &away]).await.contains("there is no such entry"));
    done(&world, &["set-team", "infra", "--members", "Bob,Ann"]).await;
    assert_eq!(done(&world, &["on-duty", "--team", "infra"]).await, "infra\tBob, Ann\n");
    done(&world, &["remove-team", "infra"]).await;
    done(&world, &["remove-schedule", "ops"]).await;
    assert!(done(&world, &["list"]).await.contains("no schedule yet"));
}
