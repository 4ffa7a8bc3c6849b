//! What a key knows of its sender, said and tried by commands.

use std::process::Output;

use crate::world::{Engine, World, on_both};

on_both!(places_and_signatures_are_said_by_commands, rights_are_said_by_commands);

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

async fn rights_are_said_by_commands(engine: Engine) {
    let world = World::new(engine).await;
    let line = async |name: &str| {
        let said = done(&world, &["key", "list"]).await;
        said.lines().find(|line| line.starts_with(&format!("{name}\t"))).unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    let first = done(&world, &["key", "add", "--name", "zabbix"]).await;
    assert!(line("zabbix").await.ends_with("never used\t\traise"), "{}", line("zabbix").await);
    let add = ["key", "add", "--name", "chat", "--right", "raise,operate", "--source", "zabbix", "--source", "grafana"];
    done(&world, &[&add[..], &["--expires", "90d"]].concat()).await;
    let said = line("chat").await;
    assert!(said.contains("raise,operate\tbound to sources zabbix, grafana\texpires "), "{said}");
    for wrong in [
        &["--right", "everything"][..],
        &["--right", "admin", "--source", "x"],
        &["--team", "nobody"],
        &["--expires", "soon"],
        &["--mail", "--right", "read"],
        &["--phonecalls", "--expires", "9d"],
    ] {
        refused(&world, &[&["key", "add", "--name", "bad"][..], wrong].concat()).await;
    }
    done(&world, &["key", "set", "chat", "--unbound", "--expires", "never", "--right", "admin"]).await;
    assert!(line("chat").await.ends_with("\tadmin"), "{}", line("chat").await);
    let second = done(&world, &["key", "rotate", "zabbix", "--overlap", "7d"]).await;
    assert!(second.contains("ak_") && second != first && second.contains("is good until"), "{second}");
    assert!(line("zabbix").await.contains("old secret good until"), "{}", line("zabbix").await);
    assert!(done(&world, &["key", "rotate", "zabbix", "--overlap", "0"]).await.contains("refused from now on"));
    let said = done(&world, &["key", "narrow", "chat"]).await;
    assert!(said.contains("it would have raise") && said.contains("--yes"), "{said}");
    assert!(line("chat").await.ends_with("\tadmin"), "it was only shown");
    done(&world, &["key", "narrow", "chat", "--yes"]).await;
    assert!(line("chat").await.ends_with("\traise"), "{}", line("chat").await);
    assert!(refused(&world, &["key", "narrow", "nobody"]).await.contains("autocall key list"));
}
