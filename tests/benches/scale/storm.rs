//! A storm: ten thousand alarms in a minute from one sender, three hundred phones, calls of a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use autocall::store::watch::handsets::Profile;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::Asked;
use crate::machine::{Figures, Since};
use crate::place::{Place, token};
use crate::wire::{Answer, Line, get, post};

const CALL: Duration = Duration::from_secs(1);
/// Whatever is not drained by then is given up.
const LONGEST: Duration = Duration::from_mins(15);

#[derive(Default)]
struct Heard {
    raised: Mutex<HashMap<String, Instant>>,
    handed_out: AtomicUsize,
    answered: AtomicUsize,
    refused: AtomicUsize,
    failed_polls: AtomicUsize,
    reports_again: AtomicUsize,
    over: AtomicBool,
    raises: Mutex<Figures>,
    polls: Mutex<Figures>,
    reports: Mutex<Figures>,
    offers: Mutex<Figures>,
}

pub async fn measure(asked: &Asked) {
    let (alarms, phones) = (asked.number("alarms", 10_000), asked.number("phones", 300));
    let (seconds, senders) = (asked.number("within", 60), asked.number("senders", 16));
    let place = Place::of(asked).await.with_handsets(phones, Profile::Native).await;
    let server = place.serve("").await;
    let heard = Arc::new(Heard::default());
    let holding: Vec<_> = (0..phones).map(|number| tokio::spawn(phone(server.addr(), number, Arc::clone(&heard)))).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let used = Since::now(server.process_id());
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let sending: Vec<_> = (0..senders)
        .map(|_| {
            let (address, next, heard) = (server.addr(), Arc::clone(&next), Arc::clone(&heard));
            tokio::spawn(async move {
                let mut line = Line::open(&address).await.unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= alarms {
                        return;
                    }
                    let due = began + Duration::from_secs_f64(number as f64 * seconds as f64 / alarms as f64);
                    tokio::time::sleep_until(due.into()).await;
                    raise(&mut line, &address, number, &heard).await;
                }
            })
        })
        .collect();
    for sender in sending {
        sender.await.unwrap();
    }
    let accepted_in = began.elapsed();
    println!("  {alarms} alarms wanted in {seconds} s, {phones} phones, {senders} connections");
    let rate = alarms as f64 / accepted_in.as_secs_f64();
    println!(
        "    taken in {:.1} s: {rate:.0}/s, to what was wanted {:.2}; refused meanwhile, and sent again: {}; raise {}",
        accepted_in.as_secs_f64(),
        rate * seconds as f64 / alarms as f64,
        heard.refused.load(Ordering::Relaxed),
        heard.raises.lock().await.times()
    );
    println!("    {}", used.shares());
    while heard.answered.load(Ordering::Relaxed) < alarms && began.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    heard.over.store(true, Ordering::Relaxed);
    let drained = began.elapsed();
    let answered = heard.answered.load(Ordering::Relaxed);
    // Each phone could take a call a second.
    let could = (alarms as f64 / phones as f64).max(seconds as f64);
    println!(
        "    {answered} answered after {:.1} s, to what the phones could do {:.2}; handed out {}",
        drained.as_secs_f64(),
        drained.as_secs_f64() / could,
        heard.handed_out.load(Ordering::Relaxed)
    );
    println!("    from 201 to the phone: {}", heard.offers.lock().await.times());
    println!("    polls {} ({} failed)", heard.polls.lock().await.times(), heard.failed_polls.load(Ordering::Relaxed));
    println!("    reports {} ({} sent again)", heard.reports.lock().await.times(), heard.reports_again.load(Ordering::Relaxed));
    holding.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Sends one until it is taken.
async fn raise(line: &mut Line, address: &str, number: usize, heard: &Heard) {
    // A person each.
    let phone = format!("+861{:010}", 3_000_000_000_u64 + number as u64);
    let body = format!(r#"{{"summary":"storm {number}","phones":["{phone}"],"attempts":1}}"#);
    let request = post("/api/v1/alarms", &format!("idempotency-key: storm-{number}\r\n"), &body);
    loop {
        let began = Instant::now();
        match line.ask(&request).await {
            Ok(answer) if answer.status == 201 => {
                heard.raises.lock().await.add_time(began.elapsed());
                heard.raised.lock().await.entry(phone.trim_start_matches("+86").to_owned()).or_insert_with(Instant::now);
                if answer.closes {
                    *line = Line::open(address).await.unwrap();
                }
                return;
            }
            Ok(_) => {
                heard.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(_) => *line = Line::open(address).await.unwrap(),
        }
    }
}

async fn phone(address: String, number: usize, heard: Arc<Heard>) {
    let path = format!("/h/{}/alert/phone", token(number));
    let poll = get(&format!("{path}?wait=30"), "autocall-protocol: 1\r\n");
    let mut line = Line::open(&address).await.unwrap();
    while !heard.over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let Ok(answer) = ask(&mut line, &address, &poll).await else { continue };
        let took = began.elapsed();
        if answer.status != 200 {
            heard.failed_polls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        let offer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (Some(mid), Some(called)) = (offer["mid"].as_str(), offer["phone"][0].as_str()) else { continue };
        heard.handed_out.fetch_add(1, Ordering::Relaxed);
        // What waited for an alarm waited for that; from the alarm on is what counts.
        let raised = heard.raised.lock().await.get(called.trim_start_matches("+86")).copied();
        if let Some(raised) = raised {
            heard.offers.lock().await.add_time(raised.elapsed());
            heard.polls.lock().await.add_time(took.min(raised.elapsed()));
        }
        tokio::time::sleep(CALL).await;
        let report = post(&format!("{path}?mid={mid}&resp={called}"), "autocall-protocol: 1\r\n", "{}");
        let began = Instant::now();
        while !ask(&mut line, &address, &report).await.is_ok_and(|answer| answer.status == 200) {
            heard.reports_again.fetch_add(1, Ordering::Relaxed);
        }
        heard.reports.lock().await.add_time(began.elapsed());
        heard.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// One request, on a new connection where the old one is gone.
async fn ask(line: &mut Line, address: &str, request: &[u8]) -> std::io::Result<Answer> {
    let answer = line.ask(request).await;
    if answer.as_ref().map_or(true, |answer| answer.closes) {
        *line = Line::open(address).await?;
    }
    answer
}
