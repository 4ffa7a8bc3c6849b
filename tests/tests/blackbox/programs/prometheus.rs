//! Prometheus, which tells its alerts without an Alertmanager between: each again and again, and its end.

use autocall_tests::process::{Process, Signal};
use autocall_tests::redis::reserve_port;
use serde_json::Value;

use super::{Programs, Told, block};

/// Two rules, of which the first is told by an expression and the second one always fires.
fn rules(first: &str) -> String {
    format!(
        "groups:\n- name: all\n  rules:\n  - alert: Ends\n    expr: {first}\n    labels: {{ severity: critical }}\n    \
         annotations: {{ summary: Disk of db1 full }}\n  - alert: Stays\n    expr: vector(1)\n"
    )
}

#[tokio::test]
async fn prometheus_tells_its_alerts_itself() {
    let (programs, told) = (Programs::unpacked().await, Told::new().await);
    let (key, folder) = (told.key("prometheus").await, told.folder("prometheus"));
    std::fs::write(folder.join("rules.yml"), rules("vector(1)")).unwrap();
    let alerting = told.filled(&block("alertmanagers:"), &folder, &key);
    let alerting =
        alerting.replace("https", "http").replace("alerts.example.com", told.server.url().trim_start_matches("http://"));
    let config = format!("global: {{ evaluation_interval: 1s }}\nrule_files: [rules.yml]\n{alerting}");
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let mut command = programs.command("usr/bin/prometheus");
    command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{}", reserve_port()));
    // It says the same again every second.
    command.arg("--rules.alert.resend-delay=1s");
    let mut process = Process::spawn("prometheus", command, &folder.join("log")).with_farewell(Signal::Terminate);
    let named = |summary: &'static str| move |alarm: &Value| alarm["summary"] == summary;
    let over = |summary: &'static str| move |alarm: &Value| named(summary)(alarm) && alarm["state"] == "resolved";
    let ends = told.until("prometheus", "that ends", named("Disk of db1 full")).await;
    assert_eq!(ends["priority"], "critical");
    told.until("prometheus", "that is repeated", |alarm| named("Stays")(alarm) && alarm["repeats"].as_i64() > Some(2)).await;
    // It was over before its last word had run out.
    std::fs::write(folder.join("rules.yml"), rules("vector(1) < 0")).unwrap();
    process.signal(Signal::HangUp);
    let end = told.until("prometheus", "that is over", over("Disk of db1 full")).await;
    assert_eq!(told.end_of(&end).await["no_word_since"], Value::Null, "{}", process.log());
    assert_eq!(told.alarms("prometheus").await.len(), 2, "each was raised once");
}

/// The rules that are given to people are rules.
#[tokio::test]
async fn the_shipped_rules_are_read_by_prometheus() {
    let programs = Programs::unpacked().await;
    let mut command = programs.command("usr/bin/promtool");
    let rules = super::root().join("server/packaging/monitoring/alerts.yml");
    command.args(["check", "rules"]).arg(&rules);
    let output = super::run(command).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let count = std::fs::read_to_string(&rules).unwrap().matches("- alert:").count();
    assert!(output.status.success() && said.contains(&format!("{count} rules found")), "{said}");
}
