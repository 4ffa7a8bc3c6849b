//! Scenario: whatever is done about an alarm has one line in the log, by whichever face, and what was refused has none.

use autocall_tests::described::Held as _;
use autocall_tests::server::ServeOptions;
use autocall_tests::wait::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::SOON;

/// What the lines about an alarm say was done, in their order.
fn acts(log: &str, alarm: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own = lines.filter(|line| line["message"] == "alarm" && line["alarm.id"] == alarm);
    own.map(|line| line["what"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_act_has_one_line() {
    let options = ServeOptions::new().env("AUTOCALL_LOG_FORMAT", "json").env("AUTOCALL_ALARMS_FALLBACK_PHONES", "18712345678");
    let server = autocall_tests::server::Binary::spawn(options).await;
    let client = Client::new(&server);
    let act = async |address: String| {
        let answer = client.request(Method::POST, &address).json(&json!({})).sent().await.unwrap();
        assert!(answer.status().is_success(), "{address}: {}", answer.status());
    };
    let (taken, cancelled) = (client.raise_for(&["18712345678"]).await, client.raise_for(&["18812345678"]).await);
    act(format!("/api/v1/alarms/{taken}/acknowledge")).await;
    act(format!("/api/v1/alarms/{cancelled}/cancel")).await;
    // It is over: nothing is done any more, and nothing is said.
    let late = client.request(Method::POST, &format!("/api/v1/alarms/{cancelled}/snooze"));
    let refused = late.json(&json!({ "for_seconds": 600 })).sent().await.unwrap();
    assert!(refused.status().is_client_error());
    // A sender of another kind.
    let signal = json!({ "title": "disk", "status": "firing" });
    let answer = client.request(Method::POST, "/api/v1/intake/generic").json(&signal).sent().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    let known = [taken.as_str(), cancelled.as_str()];
    let ids = client.alarms().await.into_iter().map(|alarm| alarm["id"].as_str().unwrap().to_owned());
    let other = ids.into_iter().find(|id| !known.contains(&id.as_str())).expect("the signal raised an alarm");
    // The log is written behind the answers.
    eventually("the lines to be written", SOON, async || {
        acts(&server.log(), &other).contains(&"raised".to_owned()).then_some(())
    })
    .await;
    for (alarm, wanted) in [(&taken, "acknowledged"), (&cancelled, "cancelled"), (&other, "raised")] {
        let acts = acts(&server.log(), alarm);
        for what in ["raised", wanted] {
            assert_eq!(acts.iter().filter(|act| *act == what).count(), 1, "{what} in {acts:?}");
        }
        assert!(!acts.contains(&"snoozed".to_owned()), "{acts:?}");
    }
    assert!(!server.log().contains("18712345678"), "numbers are not logged:\n{}", server.log());
}
