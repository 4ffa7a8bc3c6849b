//! Who may hold a connection: places for all, a share for each address, a reserve for what must get through, and who makes room
//! when places get scarce.
//!
//! A listener that merely stops accepting at its limit lets alarms, reports and health checks wait in the system's queue behind
//! whoever holds the connections. So a connection is always let in as far as its request head, if need be on a reserved place or on
//! that of one that does nothing; what the head asks for decides whether it is served.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Method;
use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::HttpConfig;
use crate::config::live::Live;
use crate::telemetry::{Metrics, Turned};

/// A head, or a connection that has not sent a byte, makes room first once it is so old: sending a head takes one packet.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);
/// A request whose body is still on its way makes room once it is so old.
const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// A long poll or event stream is not ended earlier, or those who come back at once would drive each other round.
const WAIT_PATIENCE: Duration = Duration::from_secs(5);
/// For so long an address counts as one that phones or senders of ours come from.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Known addresses remembered at most.
const MOST_KNOWN: usize = 10_000;

/// How many connections there may be.
#[derive(Clone, Debug)]
pub struct Room {
    /// At a time, in all.
    pub most: usize,
    /// From one address.
    pub per_address: usize,
    /// Waiting at a time: long polls and event streams.
    pub waiting: usize,
    /// Addresses that stand for many clients, and so have no share.
    pub trusted: Vec<IpNet>,
}

impl Room {
    /// As configured; `most` may be less, where the system gives fewer files.
    #[must_use]
    pub fn of(config: &HttpConfig, most: usize) -> Self {
        Self {
            most,
            per_address: config.connections_per_address,
            waiting: config.max_waiting,
            trusted: config.trusted_proxies.clone(),
        }
    }

    /// Places that are kept for what must get through.
    fn reserve(&self) -> usize {
        (self.most / 8).clamp(2, 256)
    }

    fn ordinary(&self) -> usize {
        self.most.saturating_sub(self.reserve()).max(1)
    }

    fn share(&self) -> usize {
        self.per_address.min(self.most / 2).max(1)
    }

    fn may_wait(&self) -> usize {
        self.waiting.min(self.ordinary() * 3 / 4)
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// It has not sent anything yet.
    Fresh = 0,
    /// It is open between two requests.
    Silent = 1,
    /// Its request head has begun.
    Head = 2,
    /// The body of its request is on its way.
    Body = 3,
    /// Its request is being answered.
    Working = 4,
    /// Its request waits for something to happen: a long poll, an event stream.
    Waiting = 5,
}

impl Doing {
    fn read(byte: u8) -> Self {
        match byte {
            0 => Self::Fresh,
            1 => Self::Silent,
            2 => Self::Head,
            3 => Self::Body,
            5 => Self::Waiting,
            _ => Self::Working,
        }
    }

    /// How soon it makes room for another at this age, the smallest first; `None`: not at all.
    fn rank(self, age: Duration) -> Option<u8> {
        match self {
            Self::Head if age >= HEAD_PATIENCE => Some(0),
            Self::Fresh if age >= HEAD_PATIENCE => Some(1),
            Self::Body if age >= BODY_PATIENCE => Some(2),
            Self::Silent => Some(3),
            Self::Fresh => Some(4),
            Self::Head => Some(5),
            Self::Waiting if age >= WAIT_PATIENCE => Some(6),
            Self::Body | Self::Working | Self::Waiting => None,
        }
    }
}

/// Who makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// This connection is dropped.
    Cut(u64),
    /// This one is asked to come to its end.
    Hurry(u64),
}

/// Chooses among connections, each with what it does and for how long: whoever is worth least, the oldest of them.
fn make_room(rivals: impl Iterator<Item = (u64, Doing, Duration)>) -> Option<Way> {
    let ranked = rivals.filter_map(|(id, doing, age)| Some((doing.rank(age)?, std::cmp::Reverse(age), id, doing)));
    let (_, _, id, doing) = ranked.min_by_key(|(rank, age, id, _)| (*rank, *age, *id))?;
    Some(if doing == Doing::Waiting { Way::Hurry(id) } else { Way::Cut(id) })
}

/// Whether a request is served also on a reserved place: alarms, reports, polls and health are; pages are not.
#[must_use]
pub fn must_get_through(method: &Method, path: &str) -> bool {
    const ALWAYS: [&str; 4] = ["/alert/", "/h/", "/api/", "/k/"];
    const WATCH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
    !matches!(*method, Method::GET | Method::HEAD)
        || ALWAYS.iter().any(|prefix| path.starts_with(prefix))
        || WATCH.contains(&path)
}

/// What becomes of a connection that knocks.
pub enum Admission {
    /// It has a place.
    In(Seat),
    /// Its address has too many; it is closed.
    Refused,
    /// There is none now: ask again when one is free.
    Later,
}

/// All places.
pub struct Seats {
    room: Room,
    /// What says anew which addresses stand for many clients.
    settings: Option<Arc<Live>>,
    table: Mutex<Table>,
    waiting: AtomicUsize,
    /// Told when a place becomes free.
    freed: Notify,
    metrics: Arc<Metrics>,
    born: Instant,
}

#[derive(Default)]
struct Table {
    next: u64,
    seats: BTreeMap<u64, Arc<Held>>,
    /// Of these, on ordinary places.
    ordinary: usize,
    /// Connections of each address that nobody knows yet.
    unknown: HashMap<IpAddr, usize>,
    /// When somebody whom we know came from an address, in milliseconds since the start.
    known: HashMap<IpAddr, u64>,
    /// The warning was written and places have not been plenty since.
    warned: bool,
}

impl Table {
    fn take(&mut self, id: u64) -> Option<Arc<Held>> {
        let held = self.seats.remove(&id)?;
        if !held.reserved.load(Ordering::Relaxed) {
            self.ordinary -= 1;
        }
        if !held.known.swap(true, Ordering::Relaxed) {
            self.less_unknown(held.group);
        }
        Some(held)
    }

    fn less_unknown(&mut self, group: IpAddr) {
        if let Some(count) = self.unknown.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.unknown.remove(&group);
            }
        }
    }
}

/// What is known of one connection. What changes with each request is atomic: a poll must not wait for a lock.
struct Held {
    group: IpAddr,
    trusted: bool,
    doing: AtomicU8,
    /// Since when, in milliseconds since the start.
    since: AtomicU64,
    /// Its client has shown a token or key of ours, so it does not count for its address.
    known: AtomicBool,
    /// On a place of the reserve.
    reserved: AtomicBool,
    /// The whole answer was handed over; what is left is to send it.
    answered: AtomicBool,
    /// Since when nothing more could be sent, in milliseconds since the start; 0: not so.
    stalled: AtomicU64,
    /// For how long its requests have waited for something to happen, in milliseconds.
    waited: AtomicU64,
    /// Something that was sent was not read.
    unread: AtomicBool,
    /// It speaks another protocol from now on: what is sent is no answer of HTTP.
    upgraded: AtomicBool,
    cut: CancellationToken,
    hurry: CancellationToken,
}

impl Seats {
    /// No connections yet.
    #[must_use]
    pub fn new(room: Room, metrics: Arc<Metrics>) -> Self {
        let (table, waiting, freed) = (Mutex::default(), AtomicUsize::new(0), Notify::new());
        Self { room, settings: None, table, waiting, freed, metrics, born: Instant::now() }
    }

    /// From now on these settings say which addresses stand for many clients, as they are at each moment.
    #[must_use]
    pub fn following(self, settings: Arc<Live>) -> Self {
        Self { settings: Some(settings), ..self }
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        let trusted = self.settings.as_ref().map_or(&self.room.trusted, |settings| &settings.http.trusted_proxies);
        trusted.iter().any(|network| network.contains(&peer))
    }

    /// Looks for a place for a connection from `peer`.
    pub fn admit(self: &Arc<Self>, peer: IpAddr) -> Admission {
        let peer = peer.to_canonical();
        let trusted = self.trusts(peer);
        let (group, now) = (group(peer), self.now());
        let mut table = self.table();
        let beyond_share = !trusted && table.unknown.get(&group).is_some_and(|count| *count >= self.room.share());
        if !beyond_share && table.ordinary < self.room.ordinary() {
            if table.seats.len() < self.room.most / 2 {
                table.warned = false;
            }
            return self.sit(&mut table, group, trusted, false);
        }
        if !std::mem::replace(&mut table.warned, true) {
            let (open, most) = (table.seats.len(), self.room.most);
            match beyond_share {
                true => {
                    tracing::warn!(address = %peer, "one address holds its whole share of connections (http.connections_per_address): idle ones make room; if it is a proxy of yours, list it in http.trusted_proxies");
                }
                false => tracing::warn!(
                    open,
                    most,
                    "connections get scarce (http.max_connections): idle ones make room, and only alarms, reports and health have places left"
                ),
            }
        }
        // Beyond its share, an address makes room itself.
        let rivals = |reserved: bool| {
            let seats = table.seats.iter().filter(move |(_, held)| match beyond_share {
                true => held.group == group && !held.known.load(Ordering::Relaxed),
                false => held.reserved.load(Ordering::Relaxed) == reserved,
            });
            // Who was asked to end already need not be asked again.
            let seats = seats.filter(|(_, held)| held.doing() != Doing::Waiting || !held.hurry.is_cancelled());
            seats.map(|(id, held)| (*id, held.doing(), held.age(now)))
        };
        let mut way = make_room(rivals(false));
        if let Some(Way::Hurry(id)) = way {
            if let Some(held) = table.seats.get(&id) {
                self.metrics.connections_turned.inc(Turned::Hurried);
                held.hurry.cancel();
            }
            way = None;
        }
        let full = table.seats.len() >= self.room.most;
        if way.is_none() && full && !beyond_share {
            way = make_room(rivals(true)).filter(|way| matches!(way, Way::Cut(_)));
        }
        if let Some(Way::Cut(id)) = way
            && let Some(held) = table.take(id)
        {
            self.metrics.connections_turned.inc(Turned::Cut);
            held.cut.cancel();
            return self.sit(&mut table, group, trusted, held.reserved.load(Ordering::Relaxed));
        }
        let reserved_here = table.seats.values().filter(|held| held.group == group && held.reserved.load(Ordering::Relaxed));
        let known = table.known.get(&group).is_some_and(|at| now - at < millis(KNOWN_FOR));
        let allowed = if known || trusted { self.room.reserve() } else { (self.room.reserve() / 4).max(1) };
        if beyond_share && (full || reserved_here.count() >= allowed) {
            self.metrics.connections_turned.inc(Turned::Refused);
            return Admission::Refused;
        }
        if full { Admission::Later } else { self.sit(&mut table, group, trusted, true) }
    }

    fn sit(self: &Arc<Self>, table: &mut Table, group: IpAddr, trusted: bool, reserved: bool) -> Admission {
        let id = table.next;
        table.next += 1;
        let held = Arc::new(Held {
            group,
            trusted,
            doing: AtomicU8::new(Doing::Fresh as u8),
            since: AtomicU64::new(self.now()),
            known: AtomicBool::new(false),
            reserved: AtomicBool::new(reserved),
            answered: AtomicBool::new(false),
            stalled: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            cut: CancellationToken::new(),
            hurry: CancellationToken::new(),
        });
        table.seats.insert(id, Arc::clone(&held));
        table.ordinary += usize::from(!reserved);
        *table.unknown.entry(group).or_default() += 1;
        self.metrics.connections_open.set(i64::try_from(table.seats.len()).unwrap_or(i64::MAX));
        Admission::In(Seat(Arc::new(Place { seats: Arc::clone(self), id, held })))
    }

    /// Waits until a place may have become free.
    pub async fn freed(&self) {
        // Also without a word: what is old enough to make room changes by the mere passing of time.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.freed.notified()).await;
    }

    fn now(&self) -> u64 {
        millis(self.born.elapsed())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn doing(&self) -> Doing {
        Doing::read(self.doing.load(Ordering::Relaxed))
    }

    fn age(&self, now: u64) -> Duration {
        Duration::from_millis(now.saturating_sub(self.since.load(Ordering::Relaxed)))
    }
}

/// The place of one connection; each of its requests carries it. Free again when the last clone is gone.
#[derive(Clone)]
pub struct Seat(Arc<Place>);

struct Place {
    seats: Arc<Seats>,
    id: u64,
    held: Arc<Held>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.seats.table();
        table.take(self.id);
        self.seats.metrics.connections_open.set(i64::try_from(table.seats.len()).unwrap_or(i64::MAX));
        drop(table);
        self.seats.freed.notify_one();
    }
}

impl Seat {
    /// What the connection does from now on.
    pub fn turn(&self, doing: Doing) {
        self.0.held.since.store(self.0.seats.now(), Ordering::Relaxed);
        self.0.held.doing.store(doing as u8, Ordering::Relaxed);
    }

    /// What it does.
    #[must_use]
    pub fn is_doing(&self) -> Doing {
        self.0.held.doing()
    }

    /// What it does, and for how long.
    #[must_use]
    pub fn doing(&self) -> (Doing, Duration) {
        (self.0.held.doing(), self.0.held.age(self.0.seats.now()))
    }

    /// A request has come; false when its place is not for such a request.
    #[must_use]
    pub fn serves(&self, must_get_through: bool) -> bool {
        let held = &self.0.held;
        held.answered.store(false, Ordering::Relaxed);
        if !held.reserved.load(Ordering::Relaxed) {
            return true;
        }
        let mut table = self.0.seats.table();
        self.stay(&mut table) || must_get_through
    }

    /// Takes an ordinary place instead of a lent one, if there is one now.
    fn stay(&self, table: &mut Table) -> bool {
        let (held, room) = (&self.0.held, &self.0.seats.room);
        let counts = !held.trusted && !held.known.load(Ordering::Relaxed);
        let within = !counts || table.unknown.get(&held.group).is_none_or(|count| *count <= room.share());
        let stays = within && table.ordinary < room.ordinary() && table.seats.contains_key(&self.0.id);
        if stays && held.reserved.swap(false, Ordering::Relaxed) {
            table.ordinary += 1;
        }
        stays
    }

    /// Its client has shown that we know it, so it does not count for its address any more.
    pub fn known(&self) {
        let held = &self.0.held;
        if held.known.load(Ordering::Relaxed) {
            return;
        }
        let now = self.0.seats.now();
        let mut table = self.0.seats.table();
        if !held.known.swap(true, Ordering::Relaxed) {
            table.less_unknown(held.group);
        }
        if table.known.len() >= MOST_KNOWN && !table.known.contains_key(&held.group) {
            table.known.retain(|_, at| now - *at < millis(KNOWN_FOR));
            if table.known.len() >= MOST_KNOWN {
                table.known.clear();
            }
        }
        table.known.insert(held.group, now);
        if held.reserved.load(Ordering::Relaxed) {
            self.stay(&mut table);
        }
    }

    /// Leave to wait for something; `None` when enough wait already.
    #[must_use]
    pub fn wait(&self) -> Option<Wait> {
        let seats = &self.0.seats;
        if self.0.held.reserved.load(Ordering::Relaxed) {
            return None;
        }
        let most = seats.room.may_wait();
        let taken = seats.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < most).then_some(now + 1));
        let before = taken.ok()?;
        seats.metrics.connections_waiting.set(i64::try_from(before + 1).unwrap_or(i64::MAX));
        self.turn(Doing::Waiting);
        Some(Wait(self.clone(), Instant::now()))
    }

    /// For how long its requests have waited for something to happen, all together.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_millis(self.0.held.waited.load(Ordering::Relaxed))
    }

    /// Whether the connection is to end after this answer: its place is wanted, or was only lent.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.held.reserved.load(Ordering::Relaxed) || self.0.held.hurry.is_cancelled()
    }

    /// Waits until the connection is to be dropped.
    pub async fn cut(&self) {
        self.0.held.cut.cancelled().await;
    }

    pub(crate) fn set_answered(&self) {
        self.0.held.answered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.0.held.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn leave_unread(&self) {
        self.0.held.unread.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.0.held.unread.load(Ordering::Relaxed)
    }

    /// It speaks another protocol once this answer is sent.
    pub(crate) fn upgrade(&self) {
        self.0.held.upgraded.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.0.held.upgraded.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to send something could not send anything.
    pub(crate) fn stall(&self, stalled: bool) {
        let held = &self.0.held;
        match stalled {
            true if held.stalled.load(Ordering::Relaxed) == 0 => {
                held.stalled.store(self.0.seats.now().max(1), Ordering::Relaxed);
            }
            true => {}
            false => held.stalled.store(0, Ordering::Relaxed),
        }
    }

    /// For how long nothing could be sent.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        match self.0.held.stalled.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Duration::from_millis(self.0.seats.now().saturating_sub(since))),
        }
    }
}

/// Leave to wait, as long as it is kept, and since when it was had.
pub struct Wait(Seat, Instant);

impl Wait {
    /// Waits until places get scarce and this one is asked to end.
    pub async fn hurried(&self) {
        self.0.0.held.hurry.cancelled().await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let seats = &self.0.0.seats;
        self.0.0.held.waited.fetch_add(millis(self.1.elapsed()), Ordering::Relaxed);
        let before = seats.waiting.fetch_sub(1, Ordering::Relaxed);
        seats.metrics.connections_waiting.set(i64::try_from(before.saturating_sub(1)).unwrap_or(i64::MAX));
        if self.0.0.held.doing() == Doing::Waiting {
            self.0.turn(Doing::Working);
        }
    }
}

/// An IPv6 client has a whole network of addresses to itself, so it is counted by that.
pub(super) fn group(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn seats(most: usize, per_address: usize, trusted: &[&str]) -> Arc<Seats> {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Arc::new(Seats::new(Room { most, per_address, waiting: 1024, trusted }, Arc::new(Metrics::new())))
    }

    fn there(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 1, number])
    }

    fn sit(seats: &Arc<Seats>, peer: IpAddr) -> Seat {
        match seats.admit(peer) {
            Admission::In(seat) => seat,
            Admission::Refused => panic!("refused"),
            Admission::Later => panic!("no place"),
        }
    }

    #[test]
    fn whoever_is_worth_least_makes_room() {
        let s = Duration::from_secs;
        let all = [
            (1, Doing::Working, s(900)),
            (2, Doing::Waiting, s(800)),
            (3, Doing::Body, s(4)),
            (4, Doing::Silent, s(1)),
            (5, Doing::Silent, s(7)),
            (6, Doing::Body, s(6)),
            (7, Doing::Fresh, s(3)),
            (8, Doing::Head, s(3)),
            (9, Doing::Head, s(0)),
        ];
        let without = |gone: &[u64]| make_room(all.into_iter().filter(|(id, ..)| !gone.contains(id)));
        assert_eq!(without(&[]), Some(Way::Cut(8)), "half a head");
        assert_eq!(without(&[8]), Some(Way::Cut(7)), "a connection that says nothing");
        assert_eq!(without(&[8, 7]), Some(Way::Cut(6)), "a body that does not come");
        assert_eq!(without(&[8, 7, 6]), Some(Way::Cut(5)), "the oldest of those between two requests");
        assert_eq!(without(&[8, 7, 6, 5, 4]), Some(Way::Cut(9)));
        assert_eq!(without(&[8, 7, 6, 5, 4, 9]), Some(Way::Hurry(2)), "who waits is asked to end");
        assert_eq!(without(&[8, 7, 6, 5, 4, 9, 2]), None, "who works is left alone");
    }

    #[test]
    fn a_reserve_is_left_for_what_must_get_through() {
        let seats = seats(16, 100, &["10.0.0.0/8"]);
        let busy: Vec<Seat> = (0..14).map(|_| sit(&seats, HERE)).collect();
        for seat in &busy {
            seat.turn(Doing::Working);
        }
        let lent = sit(&seats, HERE);
        assert!(!lent.serves(false), "no page");
        assert!(lent.serves(true), "an alarm");
        assert!(lent.is_wanted() && lent.wait().is_none(), "it does not stay");
        lent.turn(Doing::Working);
        let other = sit(&seats, HERE);
        other.turn(Doing::Working);
        assert!(matches!(seats.admit(HERE), Admission::Later));
        drop(busy);
        assert!(lent.serves(false) && !lent.is_wanted(), "there is room again");
        drop((lent, other));
        assert_eq!(seats.metrics.connections_open.get(), 0);
    }

    #[test]
    fn an_address_has_its_share_and_those_we_know_do_not_count() {
        let seats = seats(64, 4, &["10.9.0.0/16"]);
        let mut busy: Vec<Seat> = (0..4).map(|_| sit(&seats, HERE)).collect();
        for seat in &busy {
            seat.turn(Doing::Body);
        }
        // One that has not sent anything yet would make room itself.
        let working = || {
            let seat = sit(&seats, HERE);
            seat.turn(Doing::Working);
            seat
        };
        let lent = [working(), working()];
        assert!(lent.iter().all(|seat| !seat.serves(false) && seat.serves(true)));
        assert!(matches!(seats.admit(HERE), Admission::Refused), "nobody whom we know came from there");
        assert!(!sit(&seats, there(1)).is_wanted(), "others are not concerned");
        lent[0].known();
        assert!(!lent[0].is_wanted(), "it stays");
        busy.push(sit(&seats, HERE));
        assert!(seats.table().known.contains_key(&HERE), "from now on the whole reserve is open to that address");
        let proxy = IpAddr::from([10, 9, 0, 1]);
        busy.extend((0..40).map(|_| sit(&seats, proxy)));
        assert!(!busy.last().unwrap().is_wanted(), "a trusted proxy has no share");
    }

    #[test]
    fn an_idle_connection_makes_room_at_once() {
        let seats = seats(16, 100, &["10.0.0.0/8"]);
        let idle: Vec<Seat> = (0..14).map(|_| sit(&seats, HERE)).collect();
        for seat in &idle {
            seat.turn(Doing::Silent);
        }
        let fresh = sit(&seats, HERE);
        assert!(!fresh.is_wanted(), "an ordinary place");
        assert_eq!(idle.iter().filter(|seat| seat.0.held.cut.is_cancelled()).count(), 1);
        drop(idle);
        drop(fresh);
        let table = seats.table();
        assert_eq!((table.ordinary, table.seats.len(), table.unknown.len()), (0, 0, 0));
    }

    #[test]
    fn only_so_many_wait() {
        let seats = seats(16, 100, &["10.0.0.0/8"]);
        let all: Vec<Seat> = (0..14).map(|_| sit(&seats, HERE)).collect();
        let waits: Vec<Wait> = all.iter().filter_map(Seat::wait).collect();
        assert_eq!(waits.len(), 10);
        assert_eq!(seats.metrics.connections_waiting.get(), 10);
        drop(waits);
        assert_eq!(seats.metrics.connections_waiting.get(), 0);
        assert!(all[0].wait().is_some());
    }

    #[test]
    fn a_client_with_a_network_of_its_own_is_one_client() {
        assert_eq!(group("2001:db8:1:2:3::4".parse().unwrap()), group("2001:db8:1:2:ffff::".parse().unwrap()));
        assert_ne!(group("2001:db8:1:2::".parse().unwrap()), group("2001:db8:1:3::".parse().unwrap()));
    }

    #[test]
    fn pages_do_not_use_the_reserve() {
        for (method, path, through) in [
            (Method::GET, "/healthz", true),
            (Method::GET, "/h/abc/alert/phone", true),
            (Method::GET, "/alert/phone", true),
            (Method::POST, "/api/v1/alarms", true),
            (Method::POST, "/anywhere", true),
            (Method::POST, "/k/ak_1/api/v1/intake/alertmanager", true),
            (Method::GET, "/", false),
            (Method::GET, "/live", false),
            (Method::GET, "/healthzz", false),
        ] {
            assert_eq!(must_get_through(&method, path), through, "{method} {path}");
        }
    }
}
