//! Users by the command line: roles for single teams, sessions, and a second factor that is taken away.

use std::process::Output;

use crate::world::{Engine, World, on_both};

on_both!(roles_for_teams_are_given_and_taken_by_command, sessions_and_second_factors_are_looked_at_by_command);

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

async fn roles_for_teams_are_given_and_taken_by_command(engine: Engine) {
    let world = World::new(engine).await;
    done(&world, &["people", "import", &world.file("people.csv", "name,numbers\nAnn,18712345678\n")]).await;
    done(&world, &["roster", "set-team", "db", "--members", "Ann"]).await;
    done(&world, &["user", "add", "--name", "lin", "--role", "viewer"]).await;
    let given = done(&world, &["user", "role", "lin", "responder", "--team", "db"]).await;
    assert!(given.contains("lin is responder for db now"), "{given}");
    let list = done(&world, &["user", "list"]).await;
    assert!(list.contains("lin\tviewer\tmay log in\tdb: responder"), "{list}");
    done(&world, &["user", "role", "lin", "lead", "--team", "db"]).await;
    assert!(done(&world, &["user", "list"]).await.contains("\tdb: lead"));
    for (args, why) in [
        (&["user", "role", "lin", "lead"][..], "say which with --team"),
        (&["user", "role", "lin", "none"], "say which with --team"),
        (&["user", "role", "lin", "admin", "--team", "db"], "responder or lead"),
        (&["user", "role", "lin", "lead", "--team", "web"], "there is no team \"web\""),
        (&["user", "role", "eve", "lead", "--team", "db"], "there is no user \"eve\""),
    ] {
        let told = refused(&world, args).await;
        assert!(told.contains(why), "{args:?}: {told}");
    }
    done(&world, &["user", "role", "lin", "none", "--team", "db"]).await;
    assert!(!done(&world, &["user", "list"]).await.contains("db:"));
    assert!(refused(&world, &["user", "role", "lin", "none", "--team", "db"]).await.contains("none to take away"));
    // What they may everywhere was not touched by any of it.
    assert!(done(&world, &["user", "list"]).await.contains("lin\tviewer\tmay log in\n"));
}

async fn sessions_and_second_factors_are_looked_at_by_command(engine: Engine) {
    let world = World::new(engine).await;
    done(&world, &["user", "add", "--name", "lin", "--role", "viewer"]).await;
    assert!(done(&world, &["user", "sessions", "lin"]).await.contains("logged in nowhere"));
    assert!(done(&world, &["user", "sessions", "lin", "--end-all"]).await.contains("0 sessions were ended"));
    assert!(refused(&world, &["user", "sessions", "lin", "--end", "x"]).await.contains("there is no such session"));
    assert!(refused(&world, &["user", "sessions", "eve"]).await.contains("there is no user \"eve\""));
    assert!(refused(&world, &["user", "reset-second-factor", "lin"]).await.contains("no second factor is set up"));
    assert!(refused(&world, &["user", "reset-second-factor", "eve"]).await.contains("there is no user \"eve\""));
}
