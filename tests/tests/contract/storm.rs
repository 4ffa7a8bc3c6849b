//! Many handsets, many hunts, few numbers, all at once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use autocall::engine::EngineError;
use autocall::engine::{Asker, Claim, Offer, Report};
use autocall::store::StoreError;
use autocall::store::watch::handsets::Profile;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::harness::{Home, Server, on_both};

const HUNTS: usize = 400;
const HANDSETS: usize = 10;
const POLLERS: usize = 12;
const NUMBERS: usize = 25;

on_both!(pollers_expirers_and_late_reports);

/// 12 pollers on 10 handsets (two handsets are polled by two clients), 2 expirers and late reports, over 400 hunts that share 25
/// numbers, while the clock runs ahead.
async fn pollers_expirers_and_late_reports(home: Home) {
    let seed: u64 = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("TEST_SEED={seed}");
    let server = Arc::new(home.start().await);
    let mut random = StdRng::seed_from_u64(seed);
    let priorities = ["low", "normal", "high", "critical"];
    for number in 0..HUNTS {
        let phones: Vec<String> =
            (0..random.random_range(1..=4)).map(|_| format!("187123456{:02}", random.random_range(0..NUMBERS))).collect();
        let body = json!({
            "phones": phones,
            "mode": if random.random_bool(0.3) { "parallel" } else { "sequential" },
            "until": if random.random_bool(0.2) { "everyone" } else { "first" },
            "attempts": random.random_range(1..=3),
            "min_interval_seconds": random.random_range(0..=30),
            "priority": priorities[random.random_range(0..4)],
            "begin_before_seconds": 7 * 86_400,
            "summary": format!("alarm {number}"),
        });
        let (status, alarm) = server.post("/api/v1/alarms", &body).await;
        assert_eq!(status, 201, "{alarm}");
    }
    let profiles = [Profile::App, Profile::List, Profile::Repeat, Profile::Native];
    for number in 0..HANDSETS {
        server.pair(&format!("handset-{number}"), profiles[number % profiles.len()]).await;
    }
    let handsets = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    let handsets: Vec<_> = handsets.into_iter().map(Arc::new).collect();

    let finished = Arc::new(AtomicBool::new(false));
    let deadlocks = Arc::new(AtomicUsize::new(0));
    let holders = Arc::new(Holders::default());
    let mut tasks = Vec::new();
    for poller in 0..POLLERS {
        let (server, finished, deadlocks) = (Arc::clone(&server), Arc::clone(&finished), Arc::clone(&deadlocks));
        let (handset, holders) = (Arc::clone(&handsets[poller % HANDSETS]), Arc::clone(&holders));
        let mut random = StdRng::seed_from_u64(seed ^ (poller as u64 + 1));
        tasks.push(tokio::spawn(async move {
            let engine = &server.app.engine;
            let asker = Asker { profile: handset.profile, channel: 0, asked_at: server.now(), handset };
            let mut kept: Vec<Report> = Vec::new();
            while !finished.load(Ordering::Relaxed) {
                match engine.claim(&asker).await {
                    Ok(Claim::Serve { offer, fresh }) => {
                        if fresh {
                            holders.take(&server, &offer).await;
                        }
                        let answered = random.random_bool(0.4);
                        let resp = answered.then(|| offer.phones[random.random_range(0..offer.phones.len())].clone());
                        let report = Report { mid: offer.mid, resp, calls: Vec::new() };
                        if random.random_bool(0.25) {
                            // Reported late or never: the dial expires meanwhile.
                            kept.push(report);
                            server.home.clock.advance(chrono::TimeDelta::seconds(40));
                        } else if let Err(error) = engine.report(&report).await {
                            note(&deadlocks, &error);
                        }
                    }
                    Ok(Claim::Idle(_)) => server.home.clock.advance(chrono::TimeDelta::milliseconds(500)),
                    Err(error) => note(&deadlocks, &error),
                }
                if kept.len() > 3 {
                    let late = kept.remove(random.random_range(0..kept.len()));
                    if let Err(error) = engine.report(&late).await {
                        note(&deadlocks, &error);
                    }
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    for _ in 0..2 {
        let (server, finished, deadlocks) = (Arc::clone(&server), Arc::clone(&finished), Arc::clone(&deadlocks));
        tasks.push(tokio::spawn(async move {
            while !finished.load(Ordering::Relaxed) {
                if let Err(error) = server.app.engine.tick().await {
                    note(&deadlocks, &error);
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    autocall_tests::wait::eventually("every hunt ends", std::time::Duration::from_mins(4), async || {
        let open = server.app.engine.store.read().await.unwrap().db().count_open_hunts().await.unwrap();
        (open == 0).then_some(())
    })
    .await;
    finished.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(deadlocks.load(Ordering::Relaxed), 0, "no deadlock, no lost transaction");
    check(&all_alarms(&server).await);
}

/// Notes that something was given up. To wait for a connection for too long is no deadlock: fourteen want the only one that writes, on a
/// machine that may be busy with other things. Whoever had one held for ever would keep a hunt open, which fails above.
fn note(deadlocks: &AtomicUsize, error: &EngineError) {
    println!("{error}");
    if !matches!(error, EngineError::Store(StoreError::Connection(sqlx::Error::PoolTimedOut))) {
        deadlocks.fetch_add(1, Ordering::Relaxed);
    }
}

async fn all_alarms(server: &Server) -> Vec<Value> {
    let mut alarms = Vec::new();
    let mut path = "/api/v1/alarms?limit=200".to_owned();
    loop {
        let page = server.get(&path).await;
        for alarm in page["alarms"].as_array().unwrap() {
            alarms.push(server.alarm(alarm["id"].as_str().unwrap()).await);
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/alarms?limit=200&cursor={cursor}"),
            None => return alarms,
        }
    }
}

/// What must be true afterwards, seen from outside.
fn check(alarms: &[Value]) {
    assert_eq!(alarms.len(), HUNTS);
    for alarm in alarms {
        let state = alarm["state"].as_str().unwrap();
        assert!(matches!(state, "answered" | "no_answer"), "{alarm}");
        assert_eq!(state == "answered", !alarm["answer"].is_null(), "{alarm}");
        for callee in alarm["callees"].as_array().unwrap() {
            assert!(callee["attempts"].as_i64() <= callee["max_attempts"].as_i64(), "{alarm}");
        }
        let mut answered_mids = HashSet::new();
        for answer in alarm["answers"].as_array().unwrap() {
            let unique = (answer["mid"].as_str().unwrap(), answer["callee_id"].as_str());
            assert!(answered_mids.insert(unique), "the same report is one answer: {alarm}");
        }
    }
}

/// Who holds which number, as the handsets were told.
#[derive(Default)]
struct Holders(Mutex<HashMap<String, String>>);

impl Holders {
    /// A dial was handed out: whatever dial held its numbers before must be closed by now.
    async fn take(&self, server: &Server, offer: &Offer) {
        let numbers: HashSet<&String> = offer.phones.iter().collect();
        for number in numbers {
            let before = self.0.lock().unwrap().insert(number.clone(), offer.mid.clone());
            let Some(before) = before.filter(|before| *before != offer.mid) else { continue };
            let mut reader = server.app.engine.store.read().await.unwrap();
            let (before, this) =
                (reader.db().dial(&before).await.unwrap().unwrap(), reader.db().dial(&offer.mid).await.unwrap().unwrap());
            assert!(
                before.closed_at.is_some() || this.closed_at.is_some(),
                "{number} is in {} and {} at once",
                before.mid,
                this.mid
            );
        }
    }
}
