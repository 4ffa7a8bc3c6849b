//! Everything in one file, by the command line: out and in again, into another installation, and from the lists of other products.

use std::path::PathBuf;
use std::process::Output;

use crate::world::{Engine, World, on_both};

on_both!(
    what_is_exported_changes_nothing_and_makes_the_same_elsewhere,
    a_plan_is_shown_and_done_only_when_it_is_asked_for,
    nothing_goes_unless_the_file_says_so,
    a_file_that_was_cut_off_changes_nothing,
    a_file_that_cannot_be_meant_changes_nothing,
    users_get_their_roles_and_nobody_is_let_in,
    other_products_lists_are_taken_over_once,
    two_of_one_name_stay_who_they_are_when_the_list_is_turned,
    what_a_list_does_not_tell_stays_as_it_is,
);

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

/// A file with more in it: its end stays its end.
fn with(file: &str, more: &str) -> String {
    let changed = file.replace("\n[end]\n", &format!("\n{more}[end]\n"));
    assert_ne!(changed, file, "a file that is written has an end");
    changed
}

/// What an export prints, without its notes.
async fn exported(world: &World) -> String {
    let output = world.command(&["export"]).await;
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// An installation with something of every kind, made by other commands.
async fn furnished(engine: Engine) -> World {
    let world = World::new(engine).await;
    let people = "name,numbers,language,email\nAnn,18712345678;010-62345678,en,ann@example.com\nBob,18812345678,,\n张伟,18912345678,zh-CN,\n";
    done(&world, &["people", "import", &world.file("people.csv", people)]).await;
    done(&world, &["roster", "set-team", "ops", "--members", "Ann,Bob"]).await;
    done(&world, &["roster", "add-schedule", "ops", "--zone", "Europe/Berlin", "--team", "ops"]).await;
    done(&world, &["roster", "set-rotation", "ops", "--people", "Ann,Bob", "--every", "1 week", "--start", "2020-01-06T09:00"])
        .await;
    let shifts = world.file("shifts.csv", "start,end,person\n2026-01-06 09:00,2199-01-01,Ann\n");
    done(&world, &["roster", "import", "ops", &shifts]).await;
    let far = ["--from", "2099-01-01", "--to", "2099-01-02"];
    done(&world, &[&["roster", "override", "ops", "replace", "张伟", "--instead-of", "Ann"][..], &far].concat()).await;
    let policy = r#"{"steps": [{"ring": [{"team": "ops"}, {"number": "18512345678"}], "wait_seconds": 300}, {"ring": [{"person": "Ann"}]}]}"#;
    done(&world, &["policy", "set", "standard", &world.file("policy.json", policy)]).await;
    let rules = r#"{"rules": [{"policy": "standard", "labels": {"service": "db \"main\""}}, {"policy": "standard"}]}"#;
    done(&world, &["policy", "rules", &world.file("rules.json", rules)]).await;
    let quiet =
        r#"{"quiet_hours": [{"person": "Bob", "from": "22:00", "to": "07:00", "zone": "Asia/Shanghai", "up_to": "low"}]}"#;
    done(&world, &["quiet-hours", &world.file("quiet.json", quiet)]).await;
    world
}

async fn what_is_exported_changes_nothing_and_makes_the_same_elsewhere(engine: Engine) {
    let world = furnished(engine).await;
    let first = exported(&world).await;
    for part in [
        "[[people]]",
        "[[teams]]",
        "[[schedules]]",
        "[[schedules.layers]]",
        "[[overrides]]",
        "[[policies]]",
        "[[rules]]",
        "[[quiet_hours]]",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let file = world.file("all.toml", &first);
    assert!(done(&world, &["apply", &file, "--yes", "--remove"]).await.contains("nothing to change"));
    let other = World::new(engine).await;
    let file = other.file("all.toml", &first);
    assert!(done(&other, &["apply", &file, "--yes"]).await.contains("done"));
    assert_eq!(exported(&other).await, first);
    assert!(done(&other, &["apply", &file, "--yes"]).await.contains("nothing to change"));
    // They do not only say the same.
    let at = ["roster", "on-duty", "--at", "2099-01-01T12:00:00Z"];
    assert_eq!(done(&other, &at).await, done(&world, &at).await);
    let into = other.file("again.toml", "");
    done(&other, &["export", &into]).await;
    assert_eq!(std::fs::read_to_string(&into).unwrap(), first);
}

async fn a_plan_is_shown_and_done_only_when_it_is_asked_for(engine: Engine) {
    let world = furnished(engine).await;
    let changed = exported(&world)
        .await
        .replace("every = \"1 week\"", "every = \"2 weeks\"")
        .replace("wait_seconds = 300", "wait_seconds = 60");
    let more = with(&changed, "[[people]]\nname = \"Cat\"\nnumbers = [\"18612345678\"]\n");
    let file = world.file("changed.toml", &more);
    let plan = done(&world, &["apply", &file]).await;
    for part in [
        "+ person Cat",
        "~ schedule ops",
        "    - every = \"1 week\"\n    + every = \"2 weeks\"",
        "~ policy standard",
        "1 to add, 2 to change, 0 to remove",
        "nothing was changed: say --yes",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(!done(&world, &["people", "list"]).await.contains("Cat"));
    assert!(done(&world, &["apply", &file, "--yes"]).await.contains("done"));
    assert!(done(&world, &["people", "list"]).await.contains("Cat\t+8618612345678"));
    assert!(done(&world, &["policy", "show", "standard"]).await.contains("\"wait_seconds\": 60"));
    assert!(done(&world, &["apply", &file, "--yes"]).await.contains("nothing to change"));
}

async fn nothing_goes_unless_the_file_says_so(engine: Engine) {
    let world = furnished(engine).await;
    let only =
        "[[people]]\nname = \"Ann\"\nnumbers = [\"18712345678\"]\nlanguage = \"en\"\nemails = [\"ann@example.com\"]\n[end]\n";
    let plan = done(&world, &["apply", &world.file("only.toml", only)]).await;
    assert!(plan.contains("    - ") && plan.contains("0 to add, 1 to change, 0 to remove"), "{plan}");
    // Others still name whoever would go.
    let told = refused(&world, &["apply", &world.file("only.toml", only), "--yes", "--remove"]).await;
    assert!(told.contains("team \"ops\" stays as it is"), "{told}");
    let sections = r#"managed = ["people", "teams", "schedules", "policies", "rules", "quiet_hours"]"#;
    let file = world.file("managed.toml", &format!("{sections}\n{only}"));
    let plan = done(&world, &["apply", &file, "--yes"]).await;
    assert!(plan.contains("- person Bob") && plan.contains("- schedule ops") && plan.contains("- policy standard"), "{plan}");
    let left = exported(&world).await;
    assert!(
        left.contains("Ann") && !left.contains("Bob") && !left.contains("[[schedules]]") && !left.contains("[[rules]]"),
        "{left}"
    );
    assert!(done(&world, &["apply", &file, "--yes"]).await.contains("nothing to change"));
}

async fn a_file_that_was_cut_off_changes_nothing(engine: Engine) {
    let world = furnished(engine).await;
    let whole = exported(&world).await;
    // Within a line, between two layers of a schedule, and before its last line.
    let layer = whole.rfind("[[schedules.layers]]").unwrap();
    for cut in [layer + 7, layer, whole.rfind("[end]").unwrap()] {
        let told = refused(&world, &["apply", &world.file("cut.toml", &whole[..cut]), "--yes"]).await;
        assert!(told.contains("cut off"), "{told}");
    }
    let managed = "managed = [\"people\"]\n[[people]]\nname = \"Ann\"\n";
    let told = refused(&world, &["apply", &world.file("managed.toml", managed), "--yes"]).await;
    assert!(told.contains("Write [end] as its last line"), "{told}");
    assert_eq!(exported(&world).await, whole);
}

async fn a_file_that_cannot_be_meant_changes_nothing(engine: Engine) {
    let world = furnished(engine).await;
    let before = exported(&world).await;
    let wrong = "[[people]]\nname = \"Cat\"\nnumbers = [\"18612345678\"]\n\n[[people]]\nname = \"Eve\"\nnumbers = [\"18712345678\"]\n\n\
                 [[teams]]\nname = \"night\"\nmembers = [\"Nobody\"]\n";
    let told = refused(&world, &["apply", &world.file("wrong.toml", wrong), "--yes"]).await;
    assert!(told.contains("nothing was changed; please correct") && told.contains("also belongs to"), "{told}");
    assert!(told.contains("team \"night\", members[0]: there is no person \"Nobody\""), "{told}");
    let told = refused(&world, &["apply", &world.file("broken.toml", "[[people]]\nname = 1\nage = 2\n"), "--yes"]).await;
    assert!(told.contains("line "), "{told}");
    let told = refused(&world, &["apply", &world.file("large.toml", &"# much\n".repeat(700_000)), "--yes"]).await;
    assert!(told.contains("larger than 4 MiB"), "{told}");
    assert!(refused(&world, &["apply", "no-such-file.toml"]).await.contains("cannot be read"));
    // A public number follows the team, which is only known when it is to go.
    let way = [
        "--url",
        "https://sms.example.com/send",
        "--header",
        "content-type=application/json",
        "--body",
        r#"{"to": "{number}", "text": "{text}"}"#,
    ];
    done(&world, &[&["gateway", "add", "--name", "own", "--kind", "http"][..], &way].concat()).await;
    let line = ["--number", "13300001111", "--carrier", "china-telecom", "--android", "11", "--gateway", "own"];
    done(&world, &[&["line", "add", "--name", "hotline", "--team", "ops"][..], &line].concat()).await;
    let without = "managed = [\"teams\", \"schedules\", \"policies\", \"rules\"]\n[end]\n";
    let told = refused(&world, &["apply", &world.file("without.toml", without), "--yes"]).await;
    assert!(told.contains("nothing was changed: ") && told.contains("follows it"), "{told}");
    assert_eq!(exported(&world).await, before);
}

async fn users_get_their_roles_and_nobody_is_let_in(engine: Engine) {
    let world = World::new(engine).await;
    done(&world, &["user", "add", "--name", "lin", "--role", "viewer"]).await;
    let out = exported(&world).await;
    assert!(out.contains("[[users]]\nname = \"lin\"\nrole = \"viewer\"") && !out.contains("argon2"), "{out}");
    let more = with(&out.replace("viewer", "responder"), "[[users]]\nname = \"eve\"\nrole = \"admin\"\n");
    let file = world.file("users.toml", &more);
    let told = done(&world, &["apply", &file, "--yes", "--remove"]).await;
    assert!(told.contains("~ user lin") && told.contains("there is no user \"eve\""), "{told}");
    let users = done(&world, &["user", "list"]).await;
    assert!(users.contains("lin\tresponder") && !users.contains("eve"), "{users}");
    // Whoever does not stand in a file stays.
    let nobody = "[[users]]\nname = \"eve\"\nrole = \"admin\"\n[end]\n";
    let told = done(&world, &["apply", &world.file("nobody.toml", nobody), "--yes", "--remove"]).await;
    assert!(told.contains("nothing to change"), "{told}");
}

async fn other_products_lists_are_taken_over_once(engine: Engine) {
    for (product, schedule, loss) in [
        ("opsgenie", "ops_schedule", "the team ops takes turns"),
        ("pagerduty", "Daily Engineering Rotation", "service My Application Service"),
        ("goalert", "Primary", "on duty together"),
        ("oncall", "Primary", "numbers of users"),
    ] {
        let world = World::new(engine).await;
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/coming/{product}.json"));
        let file = file.canonicalize().unwrap().to_str().unwrap().to_owned();
        let plan = done(&world, &["import", product, &file]).await;
        assert!(plan.contains("no counterpart: ") && plan.contains(loss) && plan.contains("nothing was changed"), "{plan}");
        assert_eq!(done(&world, &["people", "list"]).await, "");
        let out = world.file("out.toml", "");
        let told = done(&world, &["import", product, &file, "--out", &out]).await;
        assert!(told.contains("written to ") && told.contains(loss), "{told}");
        done(&world, &["apply", &out, "--yes"]).await;
        assert!(done(&world, &["roster", "list"]).await.contains(&format!("schedule\t{schedule}\t")));
        assert!(done(&world, &["import", product, &file, "--yes"]).await.contains("nothing to change"), "{product}");
        assert!(
            refused(&world, &["import", product, &world.file("none.json", "{\"a\": 1}")]).await.contains("there is nothing of")
        );
    }
}

async fn two_of_one_name_stay_who_they_are_when_the_list_is_turned(engine: Engine) {
    let world = World::new(engine).await;
    let user = |id: &str, phone: &str| {
        let contacts = format!(r#"[{{"contactMethod": "voice", "to": "86-{phone}", "enabled": true}}]"#);
        format!(r#"{{"id": "{id}", "username": "{id}@example.com", "fullName": "Zhang Wei", "userContacts": {contacts}}}"#)
    };
    let list = |users: &[String]| format!(r#"{{"users": [{}]}}"#, users.join(", "));
    let (one, two, new) = (user("b", "18712345678"), user("c", "18812345678"), user("a", "18912345678"));
    let first = world.file("first.json", &list(&[one.clone(), two.clone()]));
    done(&world, &["import", "opsgenie", &first, "--yes"]).await;
    let turned = world.file("turned.json", &list(&[two.clone(), one.clone()]));
    assert!(done(&world, &["import", "opsgenie", &turned, "--yes"]).await.contains("nothing to change"));
    // Somebody of that name comes, whom they list first.
    let three = world.file("three.json", &list(&[new, two, one]));
    let plan = done(&world, &["import", "opsgenie", &three, "--yes"]).await;
    assert!(plan.contains("1 to add, 0 to change, 0 to remove") && plan.contains("somebody of that name"), "{plan}");
    let people = done(&world, &["people", "list"]).await;
    assert!(people.contains("Zhang Wei\t+8618712345678"), "{people}");
    assert!(people.contains("Zhang Wei (c@example.com)\t+8618812345678"), "{people}");
    assert!(people.contains("Zhang Wei (a@example.com)\t+8618912345678"), "{people}");
}

async fn what_a_list_does_not_tell_stays_as_it_is(engine: Engine) {
    let world = World::new(engine).await;
    let file = |teams: &str, seconds: &str| {
        let layer = format!(
            r#"{{"name": "weekly", "start": "2026-11-02T09:00:00Z", "rotation_virtual_start": "2026-11-02T09:00:00Z",
            "rotation_turn_length_seconds": {seconds}, "users": [{{"user": {{"id": "a"}}}}]}}"#
        );
        format!(
            r#"{{"users": [{{"id": "a", "name": "Ann", "email": "ann@example.com" {teams}}}], "teams": [{{"id": "t", "name": "ops"}}],
            "schedules": [{{"id": "s", "name": "ops", "time_zone": "UTC", "schedule_layers": [{layer}]}}]}}"#
        )
    };
    let first = world.file("first.json", &file(r#", "teams": [{"id": "t"}]"#, "604800"));
    let told = done(&world, &["import", "pagerduty", &first, "--yes"]).await;
    assert!(told.contains("Ann has no number"), "{told}");
    let before = exported(&world).await;
    // The second time nobody asked for the teams, and the turns cannot be said here.
    let again = world.file("again.json", &file("", "5400"));
    let told = done(&world, &["import", "pagerduty", &again, "--yes"]).await;
    assert!(told.contains("nothing to change") && told.contains("its people stay") && told.contains("its layers stay"), "{told}");
    let without = world.file("without.json", &file("", "5400").replacen("users", "nobody", 1));
    assert!(refused(&world, &["import", "pagerduty", &without, "--yes"]).await.contains("there is no list of users"));
    assert_eq!(exported(&world).await, before);
}
