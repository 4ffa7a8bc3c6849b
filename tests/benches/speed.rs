//! What two builds of the server cost, measured in turns in one run: processor time of the server for an idle poll, and for an alarm
//! that is raised, handed out and reported.
//!
//! `cargo bench -p autocall-tests --bench speed -- OLD NEW` prints the figures of each and the ratio of new to old. See
//! docs/building.md.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may stop at the first surprise")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use autocall_tests::http_client;
use autocall_tests::server::{Binary, ServeOptions};
use reqwest::Client;
use serde_json::{Value, json};

const ROUNDS: usize = 9;
const POLLS: u32 = 3_000;
const ALARMS: u32 = 150;
/// An alarm that is not handed out by then is never.
const LONGEST: Duration = Duration::from_secs(10);
/// Clock ticks a second in `/proc`, on every Linux there is.
const TICKS: f64 = 100.0;

/// A build that is measured.
struct Side {
    server: Binary,
    client: Client,
    /// Milliseconds of processor time for one poll, a figure for each round.
    polls: Vec<f64>,
    /// The same for one alarm.
    alarms: Vec<f64>,
}

impl Side {
    async fn start(program: PathBuf) -> Self {
        let quick = "[http]\nalarms_per_minute = 1000000\n";
        let server = Binary::spawn(ServeOptions::new().program(program).config(quick)).await;
        let client = http_client().no_proxy().build().unwrap();
        Self { server, client, polls: Vec::new(), alarms: Vec::new() }
    }

    /// Processor time that the server has used, in milliseconds.
    fn used(&self) -> f64 {
        let line = fs::read_to_string(format!("/proc/{}/stat", self.server.process_id())).unwrap();
        let fields: Vec<&str> = line.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS * 1000.0
    }

    async fn poll(&self) -> Value {
        let poll = self.client.get(format!("{}/alert/phone", self.server.url())).header("model", "bench");
        serde_json::from_str(&poll.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    async fn alarm(&self) {
        let alarm = json!({ "summary": "measured", "phones": ["13900000001", "13900000002"] });
        let raised = self.client.post(format!("{}/api/v1/alarms", self.server.url())).json(&alarm).send().await.unwrap();
        assert!(raised.status().is_success(), "{}", raised.text().await.unwrap());
        // A machine that is busy with something else may make one poll too late to be answered truthfully.
        let mut offer = self.poll().await;
        let asked = Instant::now();
        while !offer["mid"].is_string() && asked.elapsed() < LONGEST {
            offer = self.poll().await;
        }
        let mid = offer["mid"].as_str().expect("the alarm is handed out");
        let report = format!("{}/alert/phone?mid={mid}&resp=13900000001", self.server.url());
        assert!(self.client.post(report).send().await.unwrap().status().is_success());
    }

    async fn round(&mut self) {
        let before = self.used();
        for _ in 0..POLLS {
            assert_eq!(self.poll().await["code"], 1);
        }
        self.polls.push((self.used() - before) / f64::from(POLLS));
        let before = self.used();
        for _ in 0..ALARMS {
            self.alarm().await;
        }
        self.alarms.push((self.used() - before) / f64::from(ALARMS));
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn told(what: &str, old: &[f64], new: &[f64]) {
    let ratios = old.iter().zip(new).map(|(old, new)| new / old).collect();
    let (old, new) = (median(old.to_vec()) * 1000.0, median(new.to_vec()) * 1000.0);
    println!("{what}: old {old:.0} us, new {new:.0} us, new/old {:.3} (median of {ROUNDS} rounds)", median(ratios));
}

fn main() {
    let programs: Vec<PathBuf> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    let [old, new] = <[PathBuf; 2]>::try_from(programs).expect("two programs: the old and the new");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (mut old, mut new) = (Side::start(old).await, Side::start(new).await);
        for _ in 0..ROUNDS {
            old.round().await;
            new.round().await;
        }
        told("an idle poll", &old.polls, &new.polls);
        told("an alarm raised, handed out, reported", &old.alarms, &new.alarms);
    });
}
