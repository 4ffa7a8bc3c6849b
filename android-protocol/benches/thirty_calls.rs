//! How evenly one handset speaks in thirty calls at once, with their peers on the same processors.
//!
//! `cargo bench -p android-protocol --features sip` prints the share of frames that came more than 20 ms later than the even pace of their call.

#![expect(clippy::unwrap_used, reason = "a measurement may stop at the first surprise")]

#[path = "../tests/support/speaking.rs"]
#[expect(dead_code, reason = "a measurement asks for no reports")]
mod speaking;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the whole desk is for tests")]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use android_protocol::{
    sip::{
        signal::sdp::{self, Direction},
        sound::rtp::{Packet, Sender},
    },
    voice::{FRAME, g711::Law},
};
use speaking::{Handset, number};
use support::eventually;

const CALLS: usize = 30;

const ROUNDS: usize = 3;

/// How long each round listens once all of them talk.
const LISTENED: Duration = Duration::from_secs(20);

const FRAME_MS: f64 = 20.0;

/// When each frame of each call came, in milliseconds since the beginning, by the call's source.
type Arrivals = Arc<Mutex<BTreeMap<u32, Vec<(u16, f64)>>>>;

/// Callees that answer at once, all in two threads: what is measured should not be their own weight.
struct Callees {
    address: SocketAddr,
    arrivals: Arrivals,
    over: Arc<AtomicBool>,
}

impl Drop for Callees {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Callees {
    fn start() -> Self {
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let sound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, sound_at) = (sip.local_addr().unwrap(), sound.local_addr().unwrap());
        let targets = Arc::<Mutex<BTreeMap<String, SocketAddr>>>::default();
        let wanted = Arc::clone(&targets);
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = sip.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if text.starts_with("SIP/2.0") || text.starts_with("ACK") {
                    continue;
                }
                let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
                let named = |names: &[&str]| -> String {
                    let is = |line: &&str| names.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
                    head.lines().filter(is).map(|line| format!("{line}\r\n")).collect()
                };
                let mut reply = format!("SIP/2.0 200 OK\r\n{}", named(&["via:", "from:", "call-id:", "cseq:"]));
                reply += &named(&["to:"]).replace("\r\n", if head.contains(";tag=callee") { "\r\n" } else { ";tag=callee\r\n" });
                if text.starts_with("REGISTER") {
                    reply += &named(&["contact:"]).replace("\r\n", ";expires=3600\r\n");
                } else {
                    reply += &format!("Contact: <sip:callee@{address}>\r\n");
                }
                let description = match sdp::read(body) {
                    Ok(media) if text.starts_with("INVITE") => {
                        wanted.lock().unwrap().insert(named(&["call-id:"]), media.address);
                        sdp::write(sound_at, 1, Some(Law::Pcma), Some(101), Direction::Both)
                    }
                    _ => String::new(),
                };
                let kind = if description.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
                reply += &format!("{kind}Content-Length: {}\r\n\r\n{description}", description.len());
                let _ = sip.send_to(reply.as_bytes(), from);
            }
        });
        let (arrivals, over) = (Arrivals::default(), Arc::<AtomicBool>::default());
        let (noted, ears) = (Arc::clone(&arrivals), sound.try_clone().unwrap());
        thread::spawn(move || {
            let began = Instant::now();
            let mut buffer = [0; 2048];
            while let Ok((length, _)) = ears.recv_from(&mut buffer) {
                let now = began.elapsed().as_secs_f64() * 1000.0;
                if let Some(packet) = Packet::read(&buffer[..length]) {
                    noted.lock().unwrap().entry(packet.source).or_default().push((packet.sequence, now));
                }
            }
        });
        let ended = Arc::clone(&over);
        thread::spawn(move || {
            let silence = [Law::Pcma.encode(0); FRAME];
            let mut senders = BTreeMap::new();
            let began = Instant::now();
            // The next round may have the same ports.
            for tick in (1..).take_while(|_| !ended.load(Ordering::Relaxed)) {
                for (call, to) in targets.lock().unwrap().iter() {
                    let source = u32::try_from(senders.len()).unwrap();
                    let sender = senders.entry(call.clone()).or_insert_with(|| Sender::new(source, 0, 0));
                    let _ = sound.send_to(&sender.frame(Law::Pcma.payload_type(), &silence), to);
                }
                thread::sleep(Duration::from_millis(20 * tick).saturating_sub(began.elapsed()));
            }
        });
        Self { address, arrivals, over }
    }
}

/// How late each frame came after the even pace of its call, which the earliest one sets.
fn lateness(frames: &[(u16, f64)]) -> Vec<f64> {
    let first = frames[0].0;
    let offset = |(sequence, at): &(u16, f64)| at - FRAME_MS * f64::from(sequence.wrapping_sub(first));
    let earliest = frames.iter().map(offset).fold(f64::INFINITY, f64::min);
    frames.iter().map(|frame| offset(frame) - earliest).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred thousand frames")]
fn measure(runtime: &tokio::runtime::Runtime) {
    let callees = Callees::start();
    let entered = runtime.enter();
    let handset = Handset::start(callees.address, u8::try_from(CALLS).unwrap(), "");
    drop(entered);
    let script = serde_json::json!({ "say": "Disk full", "repeat": 20, "keys": { "1": "accept" }, "key_wait_seconds": 60, "max_seconds": 180 });
    for n in 0..CALLS {
        handset.calls(&format!("m{n}"), &number(n), &script);
    }
    eventually("thirty calls that talk", || (callees.arrivals.lock().unwrap().len() == CALLS).then_some(()));
    callees.arrivals.lock().unwrap().values_mut().for_each(Vec::clear);
    thread::sleep(LISTENED);
    let arrivals = std::mem::take(&mut *callees.arrivals.lock().unwrap());
    let missing: usize =
        arrivals.values().flat_map(|frames| frames.windows(2)).filter(|pair| pair[1].0.wrapping_sub(pair[0].0) != 1).count();
    let mut late: Vec<f64> = arrivals.values().flat_map(|frames| lateness(frames)).collect();
    late.sort_by(f64::total_cmp);
    let share = late.iter().filter(|late| **late > FRAME_MS).count() as f64 / late.len() as f64;
    let at = |thousandths: usize| late.get((late.len() - 1) * thousandths / 1000).copied().unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{CALLS} calls, {} frames, {missing} missing or doubled: {:.3} % later than 20 ms; half by {:.1} ms, 99 % by {:.1} ms, all by {:.1} ms (load {})",
        late.len(),
        share * 100.0,
        at(500),
        at(990),
        at(1000),
        load.split(' ').next().unwrap_or_default()
    );
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..ROUNDS {
        measure(&runtime);
    }
    // Calls that run are left alone.
    runtime.shutdown_background();
}
