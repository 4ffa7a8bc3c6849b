//! The last bodies that each sender has sent, for an hour at most, so that nobody who connects one is blind. In the memory of this node alone: they
//! hold what should be written nowhere.
//!
//! While a message is taken in, nothing is done but to copy its beginning; what looks like a secret is left out when somebody looks.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::body::{Frame, SizeHint};

use super::Access;
use super::coming_in::is_of_senders;
use crate::config::live::Live;

/// So many of one sender.
const MOST: usize = 50;
/// So much of a body.
pub const LONGEST_BODY: usize = 16 * 1024;
/// So much of an answer.
const LONGEST_ANSWER: usize = 4 * 1024;
/// An answer is no longer, to be looked at at all.
const LONGEST_LOOKED_AT: usize = 256 * 1024;
/// So much of an address.
const LONGEST_ADDRESS: usize = 1024;
/// All of them together, in bytes.
const ROOM: usize = 32 << 20;
/// What one takes beside its texts, in bytes.
const BESIDE: usize = 256;
/// How often it is looked whether some are too old.
const LOOKS: Duration = Duration::from_secs(30);

/// A message as it came, and what was answered.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was answered.
    pub at: DateTime<Utc>,
    /// How it was sent.
    pub method: Method,
    /// Where to: path and query, with what secrets are in it.
    pub address: String,
    /// Its beginning, with what secrets are in it.
    pub body: Vec<u8>,
    /// How long it was, in bytes; of one that was refused unread, 0.
    pub length: usize,
    /// The status that was answered.
    pub status: u16,
    /// The beginning of the answer.
    pub answer: Vec<u8>,
}

impl Received {
    fn bytes(&self) -> usize {
        BESIDE + self.address.len() + self.body.len() + self.answer.len()
    }
}

/// The last messages of all senders.
#[derive(Debug)]
pub struct LastBodies {
    kept: Mutex<Kept>,
    room: usize,
    /// Says for how long, at any time.
    config: Arc<Live>,
}

#[derive(Debug, Default)]
struct Kept {
    by_sender: HashMap<String, VecDeque<Arc<Received>>>,
    bytes: usize,
}

impl LastBodies {
    /// That are kept for as long as the configuration says.
    #[must_use]
    pub fn following(config: Arc<Live>) -> Self {
        Self { kept: Mutex::default(), room: ROOM, config }
    }

    /// For so long; for no time where none are kept.
    fn time(&self) -> TimeDelta {
        TimeDelta::minutes(self.config.retention.bodies_minutes.into())
    }

    /// Keeps one; the oldest make room for it.
    pub fn keep(&self, sender: &str, received: Received) {
        let time = self.time();
        if time.is_zero() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let until = received.at - time;
        kept.bytes += received.bytes();
        let own = kept.by_sender.entry(sender.to_owned()).or_default();
        own.push_back(Arc::new(received));
        let too_many = own.len() > MOST;
        let is_old = own.front().is_some_and(|first| first.at <= until);
        if too_many || is_old {
            kept.drop_first(sender);
        }
        // Who sends most gives most: one that has gone mad takes nothing from the others.
        while kept.bytes > self.room {
            let most = kept.by_sender.iter().max_by_key(|(_, own)| own.iter().map(|one| one.bytes()).sum::<usize>());
            let Some(most) = most.map(|(name, _)| name.clone()) else { break };
            kept.drop_first(&most);
        }
    }

    /// Those of a sender, the newest first.
    #[must_use]
    pub fn of(&self, sender: &str, now: DateTime<Utc>) -> Vec<Arc<Received>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kept.by_sender.get(sender).into_iter().flatten();
        let time = self.time();
        own.rev().filter(|one| one.at > now - time).cloned().collect()
    }

    /// Forgets those that are too old, also of senders that send nothing more.
    pub fn forget_old(&self, now: DateTime<Utc>) {
        let time = self.time();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *kept;
        for own in kept.by_sender.values_mut() {
            while own.front().is_some_and(|first| first.at <= now - time) {
                kept.bytes -= own.pop_front().map_or(0, |one| one.bytes());
            }
        }
        kept.by_sender.retain(|_, own| !own.is_empty());
    }
}

impl Kept {
    fn drop_first(&mut self, sender: &str) {
        let Some(own) = self.by_sender.get_mut(sender) else { return };
        self.bytes -= own.pop_front().map_or(0, |one| one.bytes());
        if own.is_empty() {
            self.by_sender.remove(sender);
        }
    }
}

/// Forgets what is too old, for as long as the server runs.
pub async fn keep_forgetting(access: &Access) {
    loop {
        tokio::time::sleep(LOOKS).await;
        access.received.forget_old(access.clock.now());
    }
}

/// What is noted of a request on its way in; goes with it.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    sender: String,
    body: Vec<u8>,
    length: usize,
}

impl Notes {
    /// Notes who sends it.
    pub fn is_of(&self, sender: &str) {
        sender.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).sender);
    }

    fn read(&self, piece: &Bytes) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.length += piece.len();
        let room = LONGEST_BODY.saturating_sub(noted.body.len());
        noted.body.extend_from_slice(beginning(piece, room));
    }

    fn take(&self) -> Noted {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn beginning(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

/// Keeps what senders send, with what they are answered. Outside of everything that changes an answer.
pub async fn kept(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    if !is_of_senders(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let notes = Notes::default();
    let (method, address) = (request.method().clone(), address_of(&request));
    request.extensions_mut().insert(notes.clone());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let (response, answer) = looked_at(response).await;
    let Noted { sender, body, length } = notes.take();
    if !sender.is_empty() {
        access.received.keep(&sender, Received { at: access.clock.now(), method, address, body, length, status, answer });
    }
    response
}

/// Keeps what was sent from a page to try a sender, and gives the status and the beginning of the answer.
pub async fn keep_own(access: &Access, sender: &str, (address, body): (&str, &str), response: Response) -> (u16, Vec<u8>) {
    let status = response.status().as_u16();
    let (_, answer) = looked_at(response).await;
    let received = Received {
        at: access.clock.now(),
        method: Method::POST,
        address: address.to_owned(),
        body: beginning(body.as_bytes(), LONGEST_BODY).to_vec(),
        length: body.len(),
        status,
        answer: answer.clone(),
    };
    access.received.keep(sender, received);
    (status, answer)
}

fn address_of(request: &Request) -> String {
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    address.chars().take(LONGEST_ADDRESS).collect()
}

/// The answer, and its beginning. One that is still being made is not waited for.
async fn looked_at(response: Response) -> (Response, Vec<u8>) {
    let most = u64::try_from(LONGEST_LOOKED_AT).unwrap_or(u64::MAX);
    if response.body().size_hint().exact().is_none_or(|length| length > most) {
        return (response, Vec::new());
    }
    let (head, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LONGEST_LOOKED_AT).await else {
        return (Response::from_parts(head, Body::empty()), Vec::new());
    };
    let answer = beginning(&bytes, LONGEST_ANSWER).to_vec();
    (Response::from_parts(head, Body::from(bytes)), answer)
}

/// Copies the beginning of the body of a request that is kept, as it is read. Inside of what unpacks it.
pub async fn copied(request: Request, next: Next) -> Response {
    let Some(notes) = request.extensions().get::<Notes>().cloned() else { return next.run(request).await };
    next.run(request.map(|body| Body::new(Copied { body, notes }))).await
}

/// A body whose beginning is copied.
struct Copied {
    body: Body,
    notes: Notes,
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
        {
            self.notes.read(piece);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const KEPT: TimeDelta = TimeDelta::hours(1);

    fn received(at: DateTime<Utc>, body: &str) -> Received {
        let (method, address) = (Method::POST, "/x".to_owned());
        Received { at, method, address, body: body.into(), length: body.len(), status: 200, answer: Vec::new() }
    }

    fn minutes(minutes: u32) -> Config {
        let mut config = Config::default();
        config.retention.bodies_minutes = minutes;
        config
    }

    fn kept_for(so_many: u32) -> LastBodies {
        LastBodies::following(Arc::new(Live::new(Arc::new(minutes(so_many)))))
    }

    fn bodies(last: &LastBodies, sender: &str, now: DateTime<Utc>) -> Vec<Vec<u8>> {
        last.of(sender, now).into_iter().map(|one| one.body.clone()).collect()
    }

    #[test]
    fn the_last_fifty_of_each_are_kept_for_an_hour() {
        let (last, now) = (kept_for(60), DateTime::UNIX_EPOCH);
        for number in 0..60 {
            last.keep("a", received(now, &number.to_string()));
        }
        last.keep("b", received(now, "other"));
        let own = bodies(&last, "a", now);
        assert_eq!((own.len(), own[0].as_slice(), own[49].as_slice()), (50, b"59".as_slice(), b"10".as_slice()));
        assert_eq!(bodies(&last, "a", now + KEPT), Vec::<Vec<u8>>::new(), "also when nothing new comes");
        assert_eq!(bodies(&last, "b", now + TimeDelta::minutes(59)), [b"other"]);
        last.forget_old(now + KEPT);
        let kept = last.kept.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!((kept.bytes, kept.by_sender.len()), (0, 0), "and their memory is given back");
    }

    #[test]
    fn none_are_kept_where_that_is_configured() {
        let (last, now) = (kept_for(0), DateTime::UNIX_EPOCH);
        last.keep("a", received(now, "secret"));
        assert_eq!(bodies(&last, "a", now), Vec::<Vec<u8>>::new());
        let last = kept_for(10);
        last.keep("a", received(now, "secret"));
        assert_eq!(bodies(&last, "a", now + TimeDelta::minutes(9)).len(), 1);
        assert_eq!(bodies(&last, "a", now + TimeDelta::minutes(10)).len(), 0);
    }

    #[test]
    fn another_configuration_holds_at_once() {
        let (config, now) = (Arc::new(Live::new(Arc::new(minutes(60)))), DateTime::UNIX_EPOCH);
        let last = LastBodies::following(Arc::clone(&config));
        last.keep("a", received(now, "secret"));
        assert!(config.take_over(&minutes(10)).is_ok());
        assert_eq!(bodies(&last, "a", now + TimeDelta::minutes(9)).len(), 1);
        assert_eq!(bodies(&last, "a", now + TimeDelta::minutes(11)).len(), 0);
        assert!(config.take_over(&minutes(0)).is_ok());
        last.forget_old(now);
        last.keep("a", received(now, "secret"));
        assert_eq!(bodies(&last, "a", now).len(), 0);
        assert_eq!(last.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes, 0, "nothing of it is left");
    }

    #[test]
    fn who_sends_most_makes_room() {
        let (last, now) = (LastBodies { room: 4 * (BESIDE + 102), ..kept_for(60) }, DateTime::UNIX_EPOCH);
        last.keep("quiet", received(now, &"q".repeat(100)));
        for _ in 0..20 {
            last.keep("loud", received(now, &"l".repeat(100)));
        }
        assert_eq!((bodies(&last, "quiet", now).len(), bodies(&last, "loud", now).len()), (1, 3));
    }

    #[test]
    fn of_a_long_body_the_beginning_is_copied() {
        let notes = Notes::default();
        for _ in 0..3 {
            notes.read(&Bytes::from(vec![b'x'; 10_000]));
        }
        let noted = notes.take();
        assert_eq!((noted.body.len(), noted.length), (LONGEST_BODY, 30_000));
    }
}
