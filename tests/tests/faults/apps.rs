//! Simulated builds of the real app among the phones, at many times their speed.

use std::{sync::Arc, time::Duration};

use android_protocol::{
    agent::{self, Options},
    phone::{Behaviour, People},
};
use tokio_util::sync::CancellationToken;

use crate::{
    installation::NUMBERS,
    ledger::{Ledger, shown},
    senders::number,
};

/// How many times faster than a wall clock an app lives: its interval of 10 s becomes a quarter of a second.
const SPEED: f64 = 40.0;
/// How long a line rings at that speed, rounded up to whole seconds.
pub const RING_SECONDS: i32 = 1;

/// Whom it reaches: of every two people one, at the first call or at the second.
fn people() -> People {
    let (rings, answers) = (Behaviour::rings(25), Behaviour::answers(4, 6));
    (0..NUMBERS).fold(People::default(), |people, index| match index % 4 {
        0 | 1 => people.with(&number(index), [answers, Behaviour::Rejects { after: Duration::from_secs(3) }, answers]),
        2 => people.with(&number(index), [Behaviour::Busy, answers, rings]),
        _ => people.with(&number(index), [rings]),
    })
}

/// Lives until `quit`.
pub async fn live(build: &str, url: String, ledger: Arc<Ledger>, quit: CancellationToken) {
    let mut options = Options::new(build.parse().unwrap(), &url, people());
    options.speed = SPEED;
    options.restart_after = Some(Duration::from_secs(40));
    let handset = format!("simulated-{build}");
    let told = move |_: Duration, line: &str| {
        // "POST http://…/alert/phone?resp=18712345600&mid=60d5… -> 200 {"code":0}"
        let Some((request, reply)) = line.strip_prefix("POST ").and_then(|line| line.split_once("-> ")) else { return };
        let Some((url, query)) = request.split_once('?') else { return };
        let of = |name: &str| query.split([' ', '&']).find_map(|pair| pair.strip_prefix(name)).map(str::to_owned);
        if let (true, Some(mid), Some(resp)) = (url.ends_with("/alert/phone"), of("mid="), of("resp=")) {
            let acknowledged = reply == r#"200 {"code":0}"#;
            ledger.open().app_answers.push((shown(&handset, &mid), resp, acknowledged));
        }
    };
    agent::run_and_tell(options, quit.cancelled(), told).await.unwrap();
}
