//! Zabbix's own engine for scripts runs the script of the media type that the document gives.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Programs, Told, ZHANG, block, run};

/// The media type: its parameters, and its script.
struct MediaType {
    parameters: Map<String, Value>,
    script: String,
}

impl MediaType {
    fn documented() -> Self {
        let file = block("zabbix_export:");
        let parameters = file.lines().filter_map(|line| line.trim().strip_prefix("- { name: ")?.strip_suffix(" }"));
        let parameters = parameters.filter_map(|line| line.split_once(", value: "));
        let parameters = parameters.map(|(name, value)| (name.to_owned(), Value::from(value.trim_matches('\''))));
        // All that is further in than the word before it.
        let (before, rest) = file.split_once("script: |\n").unwrap();
        let depth = before.len() - before.rfind('\n').unwrap() - 1;
        let inside = |line: &&str| line.trim().is_empty() || line.len() - line.trim_start().len() > depth;
        let script: Vec<&str> = rest.lines().take_while(inside).collect();
        Self { parameters: parameters.collect(), script: script.join("\n") }
    }
}

/// Zabbix sends an event: what its script gives, or why it fails.
async fn sends(programs: &Programs, folder: &Path, media: &MediaType, change: &Value) -> Result<Value, String> {
    let mut parameters = media.parameters.clone();
    parameters.extend(change.as_object().unwrap().clone());
    let (script, input) = (folder.join("script.js"), folder.join("parameters.json"));
    std::fs::write(&script, &media.script).unwrap();
    std::fs::write(&input, Value::from(parameters).to_string()).unwrap();
    let mut command = programs.command("usr/bin/zabbix_js");
    command.arg("-s").arg(script).arg("-i").arg(input).args(["-t", "20"]);
    let output = run(command).await;
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said} {why}")))
    } else {
        Err(format!("{said}{why}"))
    }
}

#[tokio::test]
async fn zabbix_runs_the_script_of_the_media_type() {
    let (programs, mut told) = (Programs::unpacked().await, Told::new().await);
    let (folder, key, media) = (told.folder("zabbix"), told.key("zabbix").await, MediaType::documented());
    assert!(media.parameters.contains_key("event_id") && media.script.contains("HttpRequest"), "{}", media.script);
    let server = json!({ "server": format!("{}/", told.server.url()), "key": key });
    let with = |change: Value| {
        let mut all = server.as_object().unwrap().clone();
        all.extend(change.as_object().unwrap().clone());
        Value::from(all)
    };
    // The button *Test* sends the macros as they are written.
    let tested = sends(&programs, &folder, &media, &with(json!({}))).await.unwrap();
    assert_eq!(tested["alarms"][0]["outcome"], "test", "{tested}");
    assert_eq!(told.client.alarms().await, [] as [Value; 0]);

    let event = |change: Value| {
        let mut event = with(json!({
            "to": ZHANG, "event_source": "0", "event_id": "1042", "event_value": "1", "update_status": "0", "severity": "5",
            "name": "磁盘满 \"99 %\"", "host": "db1", "trigger_id": "17", "user": "Li Na", "tags": "[{\"tag\":\"team\",\"value\":\"db\"}]"
        }));
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        event
    };
    let outcome = async |change: Value| {
        let answer = sends(&programs, &folder, &media, &event(change)).await;
        answer.map(|answer| answer["alarms"][0]["outcome"].clone())
    };
    assert_eq!(outcome(json!({})).await, Ok(json!("created")));
    assert_eq!(outcome(json!({})).await, Ok(json!("repeated")), "once for each user and step");
    let alarm = told.until("zabbix", "that was raised", |_| true).await;
    assert_eq!(
        (&alarm["summary"], &alarm["priority"], &alarm["dedup_key"], &alarm["labels"]["team"]),
        (&json!("db1: 磁盘满 \"99 %\""), &json!("critical"), &json!("zabbix/1042"), &json!("db"))
    );
    let taken = json!({ "update_status": "1", "update_action": "acknowledged", "update_message": "on it" });
    assert_eq!(outcome(taken).await, Ok(json!("acknowledged")));
    told.until("zabbix", "that is taken", |alarm| alarm["state"] == "answered").await;
    assert_eq!(outcome(json!({ "event_value": "0" })).await, Ok(json!("resolved")));
    assert_eq!(told.alarms("zabbix").await.len(), 1);

    // Zabbix tries again whatever its script throws.
    let refused = outcome(json!({ "key": "wrong" })).await.unwrap_err();
    assert!(refused.contains("autocall answers 401"), "{refused}");
    told.server.kill_9();
    let away = outcome(json!({})).await.unwrap_err();
    assert!(away.contains("cannot get URL"), "{away}");
}
