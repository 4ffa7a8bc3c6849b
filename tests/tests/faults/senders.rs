//! Monitoring systems that raise alarms and do not rest until each is accepted.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{installation::NUMBERS, ledger::Ledger};

const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];
/// How long a sender may be refused: longer than any outage of a drill.
const PERSISTENCE: Duration = Duration::from_mins(2);

/// Which alarms are raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sorts {
    /// For anybody, in every mode.
    All,
    /// For a few groups of people, so that many are for the same.
    Alike,
}

/// Raises `count` alarms with their senders spread over the servers, about `each` apart.
pub async fn raise(ledger: Arc<Ledger>, servers: Vec<String>, sorts: Sorts, count: usize, each: Duration, seed: u64) {
    let http = autocall_tests::http_client().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let mut senders = JoinSet::new();
    for number in 0..count {
        let key = format!("alarm-{seed}-{number}");
        let alarm = match sorts {
            Sorts::All => alarm(&key, &mut random),
            Sorts::Alike => alike(&key, &mut random),
        };
        let (http, servers, ledger) = (http.clone(), servers.clone(), Arc::clone(&ledger));
        senders.spawn(async move {
            let accepted = timeout(PERSISTENCE, send(&http, &servers, number, &ledger, &key, &alarm)).await;
            assert!(accepted.is_ok(), "{key} was never accepted");
        });
        // The rhythm of the load.
        sleep(each.mul_f64(random.random_range(0.0..2.0))).await;
    }
    senders.join_all().await;
}

/// Sends until it is accepted; the key makes the same request safe to repeat.
async fn send(http: &reqwest::Client, servers: &[String], first: usize, ledger: &Ledger, key: &str, alarm: &Value) {
    for turn in first.. {
        let server = &servers[turn % servers.len()];
        let request = http.post(format!("{server}/api/v1/alarms")).header("Idempotency-Key", key).json(alarm);
        let reply = async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            Some((status, response.text().await.ok()?))
        };
        match reply.await {
            Some((201, body)) => {
                let alarm: Value = serde_json::from_str(&body).unwrap();
                let id = alarm["id"].as_str().unwrap().to_owned();
                ledger.open().accepted.insert(key.to_owned(), id);
                return;
            }
            Some((503, _)) | None => {}
            Some((status, body)) => {
                ledger.violation(format!("the sender of {key} was told {status} {body}"));
                return;
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn alarm(key: &str, random: &mut StdRng) -> Value {
    let phones: Vec<String> = (0..random.random_range(1..=4)).map(|_| number(random.random_range(0..NUMBERS))).collect();
    json!({
        "summary": key,
        "phones": phones,
        "mode": if random.random_bool(0.3) { "parallel" } else { "sequential" },
        "until": if random.random_bool(0.2) { "everyone" } else { "first" },
        "attempts": random.random_range(1..=3),
        "min_interval_seconds": random.random_range(0..=2),
        "priority": PRIORITIES[random.random_range(0..PRIORITIES.len())],
        "begin_before_seconds": 7 * 86_400,
    })
}

/// For one of five groups of two or three people, each rung in one way.
fn alike(key: &str, random: &mut StdRng) -> Value {
    let group = random.random_range(0..5);
    let phones: Vec<String> = (0..2 + group % 2).map(|member| number(group * 4 + member)).collect();
    json!({
        "summary": key,
        "phones": phones,
        "mode": if group == 4 { "parallel" } else { "sequential" },
        "until": if group == 3 { "everyone" } else { "first" },
        "attempts": 2,
        "min_interval_seconds": 1,
        "priority": PRIORITIES[random.random_range(0..PRIORITIES.len())],
        "begin_before_seconds": 7 * 86_400,
    })
}

/// The numbers that can be rung, as senders write them.
pub fn number(index: usize) -> String {
    format!("187123456{index:02}")
}
