//! A network between a handset and its trunk that loses, doubles, delays and overtakes packets of sound. What it does follows from a seed.
//!
//! SIP goes through unchanged but for the ports of sound, so that both sides send their sound here. Every call has two sockets: the agent sends to
//! one, the peer to the other.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use android_protocol::sip::sound::rtp::Packet;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// What happens to packets that go one way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// This share of them is lost, but never more than three in a row.
    pub lost: f64,
    /// This share comes twice.
    pub doubled: f64,
    /// Each waits until up to so many more have been sent, 20 ms each, so that some overtake others. Counted in packets and not in time: what a
    /// busy machine does late, it does in the same order.
    pub late: u64,
}

impl Weather {
    pub const CLEAR: Self = Self { lost: 0.0, doubled: 0.0, late: 0 };

    pub const STORM: Self = Self { lost: 0.3, doubled: 0.2, late: 4 };

    /// Nothing gets through at all.
    pub const CUT: Self = Self { lost: 1.0, ..Self::CLEAR };
}

/// One packet: its number, its time, what it is, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub sequence: u16,
    pub stamp: u32,
    pub payload_type: u8,
    pub payload: Vec<u8>,
}

/// What one side of a call sent, and what of it was passed on, in that order.
#[derive(Debug, Clone, Default)]
pub struct Way {
    pub sent: Vec<Passed>,
    pub passed: Vec<Passed>,
}

/// A call's two ways.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    pub from_agent: Way,
    pub from_peer: Way,
}

/// The network; it is the agent's trunk.
pub struct Network {
    pub address: SocketAddr,
    calls: Arc<Mutex<BTreeMap<String, Arc<Call>>>>,
    over: Arc<AtomicBool>,
}

struct Call {
    /// Where the agent sends its sound, and where the peer does.
    sockets: [UdpSocket; 2],
    /// Where the agent wants its sound, and where the peer does.
    wanted: Mutex<[Option<SocketAddr>; 2]>,
    traffic: Mutex<Traffic>,
}

impl Network {
    /// Between whoever calls this address and the trunk; the weather is that for what the agent sends, and for what the peer does.
    pub fn between(trunk: SocketAddr, weather: [Weather; 2], seed: u64) -> Self {
        let sip = UdpSocket::bind((trunk.ip(), 0)).unwrap();
        sip.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let network = Self { address: sip.local_addr().unwrap(), calls: Arc::default(), over: Arc::default() };
        let (calls, over) = (Arc::clone(&network.calls), Arc::clone(&network.over));
        thread::spawn(move || {
            let mut agent = None;
            let mut buffer = vec![0; 65_536];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = sip.recv_from(&mut buffer) else { continue };
                let by_peer = from == trunk;
                if !by_peer {
                    agent = Some(from);
                }
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let id = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("call-id:").map(str::to_owned));
                let text = match (id, port_of_sound(&text)) {
                    (Some(id), Some(port)) => {
                        let mut calls = calls.lock().unwrap();
                        let call = calls.entry(id.trim().to_owned()).or_insert_with(|| Call::begin(trunk, weather, seed, &over));
                        call.wanted.lock().unwrap()[usize::from(by_peer)] = Some(SocketAddr::new(from.ip(), port));
                        let own = call.sockets[usize::from(!by_peer)].local_addr().unwrap().port();
                        with_port_of_sound(&text, port, own)
                    }
                    _ => text,
                };
                if let Some(to) = if by_peer { agent } else { Some(trunk) } {
                    // Whoever does not get it asks again.
                    let _ = sip.send_to(text.as_bytes(), to);
                }
            }
        });
        network
    }

    /// What went through so far, call by call.
    pub fn traffic(&self) -> Vec<Traffic> {
        self.calls.lock().unwrap().values().map(|call| call.traffic.lock().unwrap().clone()).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// The port in the description that a message brings.
fn port_of_sound(message: &str) -> Option<u16> {
    message.split_once("\r\n\r\n")?.1.split("m=audio ").nth(1)?.split(' ').next()?.parse().ok()
}

fn with_port_of_sound(message: &str, port: u16, own: u16) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let body = body.replace(&format!("m=audio {port} "), &format!("m=audio {own} "));
    let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
    let head: Vec<&str> = head.split("\r\n").filter(|line| !is_length(line)).collect();
    format!("{}\r\nContent-Length: {}\r\n\r\n{body}", head.join("\r\n"), body.len())
}

impl Call {
    fn begin(trunk: SocketAddr, weather: [Weather; 2], seed: u64, over: &Arc<AtomicBool>) -> Arc<Self> {
        let socket = || {
            let socket = UdpSocket::bind((trunk.ip(), 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            socket
        };
        let call = Arc::new(Self { sockets: [socket(), socket()], wanted: Mutex::default(), traffic: Mutex::default() });
        for side in 0..2 {
            let (call, over, weather) = (Arc::clone(&call), Arc::clone(over), weather[side]);
            let dice = StdRng::seed_from_u64(seed.wrapping_add(u64::try_from(side).unwrap()));
            thread::spawn(move || call.carry(side, weather, dice, &over));
        }
        call
    }

    /// Carries what one side sends to the other.
    fn carry(&self, side: usize, weather: Weather, mut dice: StdRng, over: &AtomicBool) {
        let mut on_the_way: Vec<(u64, Passed, Vec<u8>)> = Vec::new();
        let (mut sent, mut lost) = (0, 0);
        let mut buffer = [0; 2048];
        let way = |traffic: &mut Traffic, note: &dyn Fn(&mut Way)| {
            note(if side == 0 { &mut traffic.from_agent } else { &mut traffic.from_peer });
        };
        while !over.load(Ordering::Relaxed) {
            if let Ok((length, _)) = self.sockets[side].recv_from(&mut buffer)
                && let Some(packet) = Packet::read(&buffer[..length])
            {
                let passed = Passed {
                    sequence: packet.sequence,
                    stamp: packet.stamp,
                    payload_type: packet.payload_type,
                    payload: packet.payload.to_vec(),
                };
                way(&mut self.traffic.lock().unwrap(), &|way| way.sent.push(passed.clone()));
                lost = if weather.lost >= 1.0 || lost < 3 && dice.random_bool(weather.lost) { lost + 1 } else { 0 };
                let copies = if lost > 0 { 0 } else { 1 + usize::from(dice.random_bool(weather.doubled)) };
                for _ in 0..copies {
                    on_the_way.push((sent + dice.random_range(0..=weather.late), passed.clone(), buffer[..length].to_vec()));
                }
                on_the_way.sort_by_key(|(due, ..)| *due);
                sent += 1;
            }
            let arrived = on_the_way.partition_point(|(due, ..)| *due < sent);
            for (_, passed, datagram) in on_the_way.drain(..arrived) {
                let Some(to) = self.wanted.lock().unwrap()[1 - side] else { continue };
                way(&mut self.traffic.lock().unwrap(), &|way| way.passed.push(passed.clone()));
                let _ = self.sockets[1 - side].send_to(&datagram, to);
            }
        }
    }
}
