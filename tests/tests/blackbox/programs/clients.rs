//! Clients in Python for PagerDuty, for Opsgenie and for many targets at once, and Uptime Kuma's notification for webhooks, each told only
//! where our server is: `use_clients.py` and `kuma.js` in `tests/senders`.

use serde_json::{Value, json};

use super::{Programs, Told, root, run};

/// What a client understood of our answers.
async fn uses(told: &Told, client: &str) -> Value {
    let (programs, key) = (Programs::unpacked().await, told.key(client).await);
    let mut command = std::process::Command::new(programs.python());
    command.args(["-W", "ignore"]).arg(root().join("tests/senders/use_clients.py")).args([client, &told.server.url(), &key]);
    command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = run(command).await;
    assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The alarm of a client under this key, with everything.
async fn alarm(told: &Told, client: &str, key: &str) -> Value {
    let alarms = told.alarms(client).await;
    let found: Vec<&Value> = alarms.iter().filter(|alarm| alarm["dedup_key"] == key).collect();
    assert_eq!(found.len(), 1, "a repeat is no new alarm: {alarms:?}");
    told.client.alarm(found[0]["id"].as_str().unwrap()).await
}

#[tokio::test]
async fn pdpyras_takes_us_for_pagerduty() {
    let told = Told::new().await;
    let understood = uses(&told, "pdpyras").await;
    let own = understood["own"].as_str().unwrap();
    assert_eq!((&understood["named"], &understood["again"]), (&json!("db1/disk"), &json!("db1/disk")), "{understood}");
    assert_eq!(understood["refused"], 400, "a wrong key is no reason to try again");
    let first = alarm(&told, "pdpyras", own).await;
    assert_eq!(
        (&first["summary"], &first["details"], &first["priority"], &first["state"]),
        (&json!("Disk full"), &json!("free: 1 %"), &json!("critical"), &json!("waiting"))
    );
    let second = alarm(&told, "pdpyras", "db1/disk").await;
    assert_eq!((&second["priority"], &second["state"], &second["repeats"]), (&json!("high"), &json!("resolved"), &json!(1)));
    assert!(second["answer"].is_object(), "it was acknowledged before: {second}");
    assert_eq!(told.client.alarms().await.len(), 2);
}

#[tokio::test]
async fn the_sdk_of_opsgenie_takes_us_for_opsgenie() {
    let told = Told::new().await;
    let understood = uses(&told, "opsgenie").await;
    let own = alarm(&told, "opsgenie", "db1/disk").await;
    let expected = json!({
        "result": "Request will be processed", "created": true, "alert": own["id"], "shown": ["open", "P1"], "acknowledged": [false, true],
        "closed": true, "nothing": false, "refused": 401
    });
    assert_eq!(understood, expected);
    assert_eq!(
        (&own["summary"], &own["details"], &own["priority"], &own["state"], &own["repeats"]),
        (&json!("Disk full"), &json!("99 %"), &json!("critical"), &json!("resolved"), &json!(1))
    );
    assert_eq!((&own["answer"]["name"], &own["labels"]["host"]), (&json!("Li Na"), &json!("db1")));
    assert!(own["timeline"].to_string().contains("on my way"), "{own}");
}

#[tokio::test]
async fn apprise_tells_the_generic_receiver() {
    let told = Told::new().await;
    assert_eq!(uses(&told, "apprise").await, json!({ "told": true, "refused": true, "over": true }));
    let own = alarm(&told, "apprise", "db1/disk").await;
    assert_eq!(
        (&own["summary"], &own["details"], &own["priority"], &own["state"]),
        (&json!("Disk full"), &json!("99 % on db1"), &json!("high"), &json!("resolved"))
    );
}

#[tokio::test]
async fn uptime_kuma_tells_by_its_webhook() {
    let (programs, told) = (Programs::unpacked().await, Told::new().await);
    let key = told.key("kuma").await;
    let mut command = std::process::Command::new(programs.0.join("bin/node"));
    command
        .arg(root().join("tests/senders/kuma.js"))
        .arg(programs.0.join("uptime-kuma/server/notification-providers/webhook.js"));
    command.args([&told.server.url(), &key]).env("NO_PROXY", "*");
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let refused = said["refused"].take();
    assert!(refused.as_str().is_some_and(|why| why.contains("401")), "{refused}");
    let sent = "Sent Successfully.";
    assert_eq!(said, json!({ "test": sent, "down": sent, "again": sent, "refused": null, "up": sent }));
    let own = alarm(&told, "kuma", "kuma/7").await;
    assert_eq!(
        (&own["summary"], &own["priority"], &own["state"], &own["repeats"], &own["labels"]["team"]),
        (&json!("shop: timeout"), &json!("high"), &json!("resolved"), &json!(1), &json!("web"))
    );
    assert_eq!(told.client.alarms().await.len(), 1, "its test rings nobody");
}
