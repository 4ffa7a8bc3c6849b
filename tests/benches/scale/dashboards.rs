//! Pages that are kept up to date: a thousand of them beside none, while nothing happens and while alarms come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use autocall::store::watch::handsets::Profile;
use serde_json::Value;

use crate::Asked;
use crate::machine::{Figures, Since, resident};
use crate::place::{Place, token};
use crate::wire::{Line, get, post};

/// So many pages has each user open.
const EACH: usize = 20;

pub async fn measure(asked: &Asked) {
    let (pages, seconds) = (asked.number("pages", 1000), asked.number("seconds", 20));
    let place = Place::of(asked).await.with_handsets(1, Profile::List).await;
    let cookies = place.logged_in(pages.div_ceil(EACH)).await;
    let server = place.serve(&format!("max_pages = {pages}\npages_per_user = {EACH}")).await;
    let length = Duration::from_secs(seconds as u64);
    let alone = cycles(&server.addr(), length).await;
    let before = resident(server.process_id());
    let (sights, bytes, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let open: Vec<_> = (0..pages)
        .map(|number| {
            let request = get("/live?page=now", &cookies[number / EACH]);
            let (address, sights, bytes, closed) = (server.addr(), Arc::clone(&sights), Arc::clone(&bytes), Arc::clone(&closed));
            tokio::spawn(async move {
                let line = Line::open(&address).await.unwrap();
                let heard = |piece: &[u8]| {
                    bytes.fetch_add(piece.len(), Ordering::Relaxed);
                    let count = piece.windows(12).filter(|window| window == b"event: sight").count();
                    sights.fetch_add(count, Ordering::Relaxed);
                };
                let _ = line.listen(&request, heard).await;
                closed.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let used = Since::now(server.process_id());
    tokio::time::sleep(length).await;
    let refused = closed.load(Ordering::Relaxed);
    let each = (resident(server.process_id()) - before) / (pages - refused).max(1) as f64;
    println!("  {pages} pages, {refused} of them refused; nothing happens: {}, {each:.1} KiB each", used.shares());
    sights.store(0, Ordering::Relaxed);
    bytes.store(0, Ordering::Relaxed);
    let used = Since::now(server.process_id());
    let meanwhile = cycles(&server.addr(), length).await;
    println!("  alarms come and go: {}", used.shares());
    println!(
        "    {} sights, {:.1} kB each; a cycle {}; without pages {}; ratio of the medians {:.2}",
        sights.load(Ordering::Relaxed),
        bytes.load(Ordering::Relaxed) as f64 / 1000.0 / sights.load(Ordering::Relaxed).max(1) as f64,
        meanwhile.times(),
        alone.times(),
        meanwhile.median() / alone.median()
    );
    open.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Alarms that are raised, handed out and answered, one after the other, for so long.
pub async fn cycles(address: &str, length: Duration) -> Figures {
    let mut times = Figures::default();
    let mut line = Line::open(address).await.unwrap();
    let path = format!("/h/{}/alert/phone", token(0));
    let ends = Instant::now() + length;
    let mut number = 0_u64;
    while Instant::now() < ends {
        number += 1;
        let began = Instant::now();
        let body = format!(r#"{{"summary":"measured","phones":["+861{:010}"]}}"#, 3_000_000_000 + number);
        assert_eq!(line.ask(&post("/api/v1/alarms", "", &body)).await.unwrap().status, 201);
        let offer = loop {
            let answer = line.ask(&get(&path, "")).await.unwrap();
            let offer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if offer["mid"].is_string() {
                break offer;
            }
        };
        let report = format!("{path}?mid={}&resp={}", offer["mid"].as_str().unwrap(), offer["phone"][0].as_str().unwrap());
        assert_eq!(line.ask(&post(&report, "", "")).await.unwrap().status, 200);
        times.add_time(began.elapsed());
    }
    times
}
