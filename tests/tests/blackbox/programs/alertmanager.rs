//! Debian's Alertmanager, by its webhook and by what it has for PagerDuty and Opsgenie, in one run.

use std::process::Command;

use autocall_tests::process::{Process, Signal};
use autocall_tests::redis::reserve_port;
use autocall_tests::wait::eventually;
use serde_json::json;

use super::Told;
use crate::world::SOON;

const SOURCES: [&str; 3] = ["webhook", "pagerduty", "opsgenie"];

struct Alertmanager {
    process: Process,
    url: String,
    http: reqwest::Client,
}

impl Alertmanager {
    async fn start(told: &Told) -> Self {
        let mut keys = Vec::new();
        for source in SOURCES {
            keys.push(told.key(source).await);
        }
        let url = told.server.url();
        let [webhook, pagerduty, opsgenie]: [String; 3] = keys.try_into().unwrap();
        let config = json!({
            "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "2s" },
            "receivers": [{
                "name": "all",
                "webhook_configs": [{ "url": format!("{url}/k/{webhook}/api/v1/intake/alertmanager") }],
                "pagerduty_configs": [{ "url": format!("{url}/v2/enqueue"), "routing_key": pagerduty, "severity": "critical" }],
                "opsgenie_configs": [{ "api_url": format!("{url}/"), "api_key": opsgenie, "priority": "P2" }],
            }],
        });
        // JSON is YAML.
        let config = told.world.file("alertmanager.yml", &config.to_string());
        let (folder, port) = (told.folder("alertmanager"), reserve_port());
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={config}")).arg(format!("--storage.path={}", folder.display()));
        command.args([format!("--web.listen-address=127.0.0.1:{port}").as_str(), "--cluster.listen-address="]);
        command.env("no_proxy", "*");
        let process = Process::spawn("prometheus-alertmanager", command, &folder.join("log")).with_farewell(Signal::Terminate);
        let http = autocall_tests::http_client().no_proxy().build().unwrap();
        let own = Self { process, url: format!("http://127.0.0.1:{port}"), http };
        eventually("Alertmanager", SOON, async || own.http.get(format!("{}/-/ready", own.url)).send().await.ok()).await;
        own
    }

    /// Tells it of an alert, which is over when it has an end.
    async fn hears(&self, ends_at: Option<&str>) {
        let mut alert = json!({
            "labels": { "alertname": "DiskFull", "severity": "critical", "instance": "db1" },
            "annotations": { "summary": "Disk of db1 full" }
        });
        if let Some(ends_at) = ends_at {
            alert["endsAt"] = ends_at.into();
        }
        let request = self.http.post(format!("{}/api/v2/alerts", self.url)).json(&json!([alert]));
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}\n{}", self.process.log());
    }

    /// How often it has told a receiver of this kind in vain, by its own count.
    async fn failures(&self, integration: &str) -> f64 {
        let metrics = self.http.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let name = format!("alertmanager_notification_requests_failed_total{{integration=\"{integration}\"");
        let counts = metrics.lines().filter(|line| line.starts_with(&name)).filter_map(|line| line.rsplit_once(' '));
        counts.map(|(_, count)| count.parse::<f64>().unwrap()).sum()
    }
}

#[tokio::test]
async fn alertmanager_tells_by_webhook_pagerduty_and_opsgenie() {
    let mut told = Told::new().await;
    let alertmanager = Alertmanager::start(&told).await;
    alertmanager.hears(None).await;
    let expected = [
        ("webhook", "Disk of db1 full", "critical"),
        ("pagerduty", "[FIRING:1] DiskFull (db1 critical)", "critical"),
        ("opsgenie", "[FIRING:1] DiskFull (db1 critical)", "high"),
    ];
    for (source, summary, priority) in expected {
        let alarm = told.until(source, "that is repeated", |alarm| alarm["repeats"].as_i64() > Some(0)).await;
        assert_eq!((&alarm["summary"], &alarm["priority"]), (&json!(summary), &json!(priority)), "{source}");
        assert_eq!(
            (&alarm["state"], told.alarms(source).await.len()),
            (&json!("waiting"), 1),
            "{source}: a repeat is no new alarm"
        );
        assert!(alarm["dedup_key"].as_str().is_some_and(|key| !key.is_empty()), "{alarm}");
        assert!(alertmanager.failures(source).await < 0.5, "{source}: our answer is understood\n{}", alertmanager.process.log());
    }
    // Nobody answers when it is over. It tries again.
    told.server.kill_9();
    let over = autocall::clock::Clock::system().now();
    alertmanager.hears(Some(&over.to_rfc3339())).await;
    eventually("Alertmanager to try in vain", 2 * SOON, async || (alertmanager.failures("webhook").await > 0.5).then_some(()))
        .await;
    told.server.restart().await;
    for (source, summary, _) in expected {
        let alarm = told.until(source, "that is over", |alarm| alarm["state"] == "resolved").await;
        assert_eq!(alarm["summary"], summary, "what it was raised with");
    }
    assert_eq!(told.client.alarms().await.len(), 3, "no repeat was a new alarm");
}
