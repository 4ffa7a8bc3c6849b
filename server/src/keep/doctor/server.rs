//! Whether the server runs, and what it says of itself.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{Finding, Seen, server_address};
use crate::store::StoreError;

/// Longest that the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What came of asking the server.
#[derive(Debug)]
pub enum Answer {
    /// It says how it is.
    Said(Ready),
    /// Nobody answers.
    Nobody,
    /// Somebody answers, and it is not `autocall`.
    Another(String),
}

/// What `/readyz` says.
#[derive(Debug, Deserialize)]
pub struct Ready {
    status: String,
    wrong: Vec<String>,
    locks: LocksSaid,
    clock_sure: bool,
}

#[derive(Debug, Deserialize)]
struct LocksSaid {
    available: bool,
}

/// Asks the server how it is.
pub(super) async fn ask(address: SocketAddr) -> Answer {
    let client = crate::net::tls::client().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_WITHIN).build();
    let Ok(client) = client else { return Answer::Nobody };
    let mut response = match client.get(format!("http://{address}/readyz")).send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Answer::Nobody,
        Err(error) if error.is_timeout() => {
            return Answer::Another(format!("it did not answer within {} s", ANSWER_WITHIN.as_secs()));
        }
        Err(_) => return Answer::Another("what it says is no HTTP".to_owned()),
    };
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_ANSWER {
            break;
        }
    }
    serde_json::from_slice(&body).map_or_else(|_| Answer::Another("what it says is not ours".to_owned()), Answer::Said)
}

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move { Ok(judge(server_address(seen.config()), &seen.answer)) })
}

fn judge(address: SocketAddr, answer: &Answer) -> Vec<Finding> {
    let ready = match answer {
        Answer::Nobody => {
            let todo = "start it: systemctl start autocall; while it does not run, nobody is rung";
            return vec![Finding::bad(format!("no server answers at {address}"), todo)];
        }
        Answer::Another(why) => {
            let todo = "see what listens there (ss -ltnp); if it is autocall, its log says why it is busy";
            return vec![Finding::bad(format!("whoever listens at {address} is no autocall that can answer: {why}"), todo)];
        }
        Answer::Said(ready) => ready,
    };
    let mut found = Vec::new();
    if ready.wrong.is_empty() {
        found.push(Finding::good(format!("the server at {address} is ready")));
    } else {
        let told = format!("the server at {address} is not ready: {} ({})", ready.status, ready.wrong.join(", "));
        found.push(Finding::bad(told, "see docs/operating.md, \"Health\""));
    }
    if !ready.locks.available {
        found.push(Finding::warn(
            "the server cannot use Redis",
            "restart Redis, or correct redis_url; the server goes on meanwhile",
        ));
    }
    if !ready.clock_sure {
        found.push(Finding::warn(
            "the server doubts its clock, and expires nothing until it is sure again",
            "let both computers follow a time server",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::doctor::Grade;

    #[test]
    fn what_the_server_says_is_judged() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let said = |text: &str| match serde_json::from_str(text) {
            Ok(ready) => judge(address, &Answer::Said(ready)).into_iter().map(|found| found.grade).collect::<Vec<_>>(),
            Err(error) => panic!("{error}"),
        };
        let good = r#"{"status":"ready","wrong":[],"database":true,"locks":{"kind":"redis","available":true,"refused":false},"clock_sure":true}"#;
        assert_eq!(said(good), [Grade::Good]);
        let bad = good
            .replace("[]", "[\"disk_full\"]")
            .replace("\"available\":true", "\"available\":false")
            .replace("sure\":true", "sure\":false");
        assert_eq!(said(&bad), [Grade::Bad, Grade::Warn, Grade::Warn]);
        assert_eq!(judge(address, &Answer::Nobody)[0].grade, Grade::Bad);
    }
}
