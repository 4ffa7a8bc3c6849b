//! Ten thousand phones: polling every ten seconds, or waiting in long polls, while an alarm comes in now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use autocall::store::watch::handsets::Profile;
use tokio::sync::Mutex;

use crate::Asked;
use crate::bare::Bare;
use crate::machine::{Figures, Since, resident};
use crate::place::{Place, line, token};
use crate::wire::{Line, get, post};

/// How they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    EveryTenSeconds,
    LongPolls,
}

const EVERY: Duration = Duration::from_secs(10);
/// An alarm that rings nobody comes in so often.
const ALARM_EVERY: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Heard {
    answered: AtomicUsize,
    wrong: AtomicUsize,
    times: Mutex<Figures>,
}

pub async fn measure(asked: &Asked, way: Way) {
    let (count, seconds) = (asked.number("phones", 10_000), asked.number("seconds", 60));
    let place =
        Place::of(asked).await.with_handsets(count, if way == Way::LongPolls { Profile::Native } else { Profile::List }).await;
    let server = place.serve("").await;
    let alone = alarms(&server.addr(), 40).await;
    let before = resident(server.process_id());
    let like = line(&server).await.ask(&get(&format!("/h/{}/alert/phone", token(0)), "")).await.unwrap();
    let heard = Arc::new(Heard::default());
    let phones: Vec<_> =
        (0..count).map(|number| tokio::spawn(phone(server.addr(), number, count, way, Arc::clone(&heard)))).collect();
    // Once around, until each is known and its connection is there.
    tokio::time::sleep(EVERY + Duration::from_secs(5)).await;
    heard.answered.store(0, Ordering::Relaxed);
    *heard.times.lock().await = Figures::default();
    let used = Since::now(server.process_id());
    let meanwhile = alarms(&server.addr(), seconds * 1000 / usize::try_from(ALARM_EVERY.as_millis()).unwrap()).await;
    let rest = (seconds as f64 - used.seconds()).max(0.0);
    tokio::time::sleep(Duration::from_secs_f64(rest)).await;
    let answered = heard.answered.load(Ordering::Relaxed) as f64 / used.seconds();
    let holds = (resident(server.process_id()) - before) / count as f64;
    println!("  {count} phones, {way:?}: {answered:.0} answers/s, {} of them wrong", heard.wrong.load(Ordering::Relaxed));
    println!("    {}; {holds:.1} KiB each; polls {}", used.shares(), heard.times.lock().await.times());
    println!("    an alarm comes in meanwhile: {}; without phones: {}", meanwhile.times(), alone.times());
    println!("    ratio of the medians: {:.2}", meanwhile.median() / alone.median());
    for phone in phones {
        phone.abort();
    }
    if way == Way::EveryTenSeconds {
        bare(&like, count, seconds).await;
    }
}

/// The same polls at a bare handler.
async fn bare(like: &crate::wire::Answer, count: usize, seconds: usize) {
    let bare = Bare::start(like);
    let heard = Arc::new(Heard::default());
    let way = Way::EveryTenSeconds;
    let phones: Vec<_> =
        (0..count).map(|number| tokio::spawn(phone(bare.address.clone(), number, count, way, Arc::clone(&heard)))).collect();
    tokio::time::sleep(EVERY + Duration::from_secs(5)).await;
    let used = Since::now(bare.process());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    println!("  the same polls at bare axum: {:.1} % of a core", used.own() / used.seconds() * 100.0);
    phones.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn phone(address: String, number: usize, count: usize, way: Way, heard: Arc<Heard>) {
    let path = format!("/h/{}/alert/phone", token(number));
    let request = match way {
        Way::EveryTenSeconds => get(&path, ""),
        Way::LongPolls => get(&format!("{path}?wait=60"), "autocall-protocol: 1\r\n"),
    };
    // Spread over the ten seconds, as phones are.
    let mut next = tokio::time::Instant::now() + EVERY.mul_f64(number as f64 / count as f64);
    let mut line: Option<Line> = None;
    loop {
        if way == Way::EveryTenSeconds || line.is_none() {
            tokio::time::sleep_until(next).await;
            next += EVERY;
        }
        let began = Instant::now();
        let mut open = match line.take() {
            Some(line) => line,
            None => match Line::open(&address).await {
                Ok(line) => line,
                Err(_) => {
                    heard.wrong.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            },
        };
        match open.ask(&request).await {
            Ok(answer) => {
                heard.answered.fetch_add(1, Ordering::Relaxed);
                if answer.status != 200 {
                    heard.wrong.fetch_add(1, Ordering::Relaxed);
                }
                if way == Way::EveryTenSeconds {
                    heard.times.lock().await.add_time(began.elapsed());
                }
                line = Some(open).filter(|_| !answer.closes);
            }
            Err(_) => {
                heard.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// So many alarms that ring nobody, one after the other.
async fn alarms(address: &str, count: usize) -> Figures {
    let mut times = Figures::default();
    let mut line = Line::open(address).await.unwrap();
    for _ in 0..count {
        let began = Instant::now();
        let request = post("/api/v1/alarms", "", r#"{"summary":"measured","phones":["18712345678"],"dry_run":true}"#);
        let answer = line.ask(&request).await.unwrap();
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        times.add_time(began.elapsed());
        if answer.closes {
            line = Line::open(address).await.unwrap();
        }
        tokio::time::sleep(ALARM_EVERY.saturating_sub(began.elapsed())).await;
    }
    times
}
