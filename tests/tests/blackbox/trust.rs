//! What a key knows of its sender, said and tried by commands.

use std::process::Output;

use crate::world::{Engine, World, on_both};

on_both!(places_and_signatures_are_said_by_commands);

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
    assert!(!output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

async fn places_and_signatures_are_said_by_commands(engine: Engine) {
    let world = World::new(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let message =
        file("message.json", r#"{"alert":{"title":"Pump 3 is dry\u001b[31m","phase":"gone","sev":"P1"},"crew":["18712345678"]}"#);
    let said =
        done(&world, &["key", "add", "--name", "scada", "--place", "summary=/alert/title", "--place", "priority=/alert/sev"])
            .await;
    assert!(said.contains("ak_") && said.contains("summary=/alert/title"), "{said}");
    let said = done(&world, &["key", "try", "scada", &message]).await;
    assert!(
        said.contains("state\tfiring\n") && said.contains("summary\tPump 3 is dry [31m\n") && said.contains("priority\tcritical"),
        "{said}"
    );
    done(&world, &["key", "set", "scada", "--place", "state=/alert/phase", "--resolved", "gone,over"]).await;
    done(&world, &["key", "set", "scada", "--place", "priority="]).await;
    let said = done(&world, &["key", "try", "scada", &message]).await;
    assert!(said.contains("state\tresolved\n") && said.contains("priority\t\n"), "{said}");
    let said = refused(&world, &["key", "set", "scada", "--place", "summary=alert.title"]).await;
    assert!(said.contains("/alert/title"), "{said}");
    let bad = file("bad.json", "{\"alert\":");
    refused(&world, &["key", "try", "scada", &bad]).await;
    let none = file("none.json", "{\"foo\":1}");
    assert!(done(&world, &["key", "try", "scada", &none]).await.contains("refused\tsummary"));
    // Nothing was raised.
    let secret = file("secret", "correct-horse-battery\n");
    let said = done(&world, &["key", "set", "scada", "--sign", "grafana", "--secret-file", &secret]).await;
    assert!(said.contains("x-grafana-alerting-signature") && !said.contains("correct-horse"), "{said}");
    let said = done(&world, &["key", "list"]).await;
    assert!(
        said.contains("signed as grafana") && said.contains("resolved: gone,over") && !said.contains("correct-horse"),
        "{said}"
    );
    let said = done(&world, &["key", "set", "scada", "--sign", "github"]).await;
    assert!(said.contains("ss_"), "one is made: {said}");
    done(&world, &["key", "set", "scada", "--sign", "none"]).await;
    assert!(!done(&world, &["key", "list"]).await.contains("signed as"));
    refused(&world, &["key", "set", "scada", "--sign", "sentry"]).await;
    refused(&world, &["key", "add", "--name", "pbx", "--phonecalls", "--sign", "github"]).await;
}
