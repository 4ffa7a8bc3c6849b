//! What happened in running calls, until the server has it: in order, each once, bounded.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    live::{LiveEvent, LiveEvents, MOST_EVENTS},
    sip::server::Server,
};

/// How many wait at most; then the oldest are given up. The report of a call tells the rest.
const MOST_WAITING: usize = 1000;

/// No value is longer, so that a full message stays below the 64 KiB that the server takes.
const LONGEST_VALUE: usize = 64;

/// The pauses between two tries.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MOST: Duration = Duration::from_secs(5);

/// A server that knows no events for so long will not learn of these.
const UNKNOWN_FOR: Duration = Duration::from_mins(1);

/// So many numbers are set aside at once, so that not each of them has to be written down.
const SET_ASIDE: i64 = 1000;

/// Events with their numbers.
#[derive(Debug, Default)]
struct Queue {
    last: i64,
    waiting: VecDeque<LiveEvent>,
    /// One of those up to here was refused: each goes alone, so that it takes no other with it.
    alone_up_to: i64,
    /// Since when the server has answered as one that knows no events.
    unknown_since: Option<Duration>,
}

/// What to do after a try.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    /// Go on at once.
    GoOn,
    /// Try again after a while.
    Wait,
    /// These were given up.
    GaveUp(usize),
}

impl Queue {
    fn push(&mut self, mut event: LiveEvent) {
        self.last += 1;
        event.seq = self.last;
        event.value = event.value.map(|value| value.chars().take(LONGEST_VALUE).collect());
        self.waiting.push_back(event);
        if self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
        }
    }

    fn batch(&self) -> Vec<LiveEvent> {
        let alone = self.waiting.front().is_some_and(|event| event.seq <= self.alone_up_to);
        self.waiting.iter().take(if alone { 1 } else { MOST_EVENTS }).cloned().collect()
    }

    fn taken(&mut self, up_to: i64) {
        self.waiting.retain(|event| event.seq > up_to);
    }

    /// These were posted at this time, and answered with this status; `None` is no answer of the protocol.
    fn answered(&mut self, at: Duration, posted: &[LiveEvent], status: Option<u16>) -> Then {
        let last = posted.last().map_or(0, |event| event.seq);
        if !matches!(status, Some(404 | 410)) {
            self.unknown_since = None;
        }
        match status {
            Some(200..=299) => {
                self.taken(last);
                Then::GoOn
            }
            Some(400 | 413 | 422) if posted.len() > 1 => {
                self.alone_up_to = last;
                Then::GoOn
            }
            Some(400 | 413 | 422) => {
                self.taken(last);
                Then::GaveUp(posted.len())
            }
            Some(404 | 410) if at.saturating_sub(*self.unknown_since.get_or_insert(at)) >= UNKNOWN_FOR => {
                // Those that come later are tried for as long.
                self.unknown_since = None;
                let given_up = self.waiting.len();
                self.waiting.clear();
                Then::GaveUp(given_up)
            }
            _ => Then::Wait,
        }
    }
}

/// The events of a handset.
#[derive(Debug)]
pub struct Events {
    queue: Mutex<Queue>,
    news: Notify,
    sent: Notify,
    /// Where it stands up to which number they may have been used; beside the journal.
    mark: PathBuf,
    set_aside: AtomicI64,
}

impl Events {
    /// None yet; their numbers go on from those that were used before, also where the clock begins anew with each start.
    #[must_use]
    pub fn new(unix_ms: i64, mark: PathBuf) -> Self {
        let used = std::fs::read_to_string(&mark).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let queue = Mutex::new(Queue { last: unix_ms.max(used), ..Queue::default() });
        Self { queue, news: Notify::new(), sent: Notify::new(), mark, set_aside: AtomicI64::new(0) }
    }

    /// Writes down that numbers up to this one may be used from now on, and some more.
    async fn set_aside(&self, last: i64) -> std::io::Result<()> {
        if last <= self.set_aside.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (mark, up_to) = (self.mark.clone(), last.saturating_add(SET_ASIDE));
        let written = tokio::task::spawn_blocking(move || {
            use std::io::Write;
            let beside = mark.with_extension("new");
            let mut file = std::fs::File::create(&beside)?;
            writeln!(file, "{up_to}")?;
            file.sync_all()?;
            std::fs::rename(&beside, &mark)
        });
        written.await.unwrap_or_else(|why| Err(std::io::Error::other(why)))?;
        self.set_aside.store(up_to, Ordering::Relaxed);
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that the server does not have yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<LiveEvent> {
        self.queue().waiting.iter().cloned().collect()
    }

    /// One more; it gets its number here.
    pub fn push(&self, event: LiveEvent) {
        self.queue().push(event);
        self.news.notify_one();
    }

    /// Completes when none waits.
    pub async fn empty(&self) {
        loop {
            let sent = self.sent.notified();
            if self.queue().waiting.is_empty() {
                return;
            }
            sent.await;
        }
    }

    /// Posts them one message at a time, each until the server has it.
    pub async fn post(&self, server: &Server, tell: &Arc<dyn Fn(&str) + Send + Sync>) {
        let began = Instant::now();
        let mut pause = AGAIN;
        let mut told = Told::default();
        loop {
            let events = self.queue().batch();
            let Some(last) = events.last().map(|event| event.seq) else {
                self.news.notified().await;
                continue;
            };
            // Whoever waits for what became of a command is not kept waiting by a full disk.
            if let Err(why) = self.set_aside(last).await {
                told.say(tell, format!("{} cannot be written: {why}", self.mark.display()));
            }
            let message = LiveEvents { events };
            let (status, words) = match server.live_events(&message).await {
                Ok(()) => (Some(200), String::new()),
                Err(why) => (why.status(), format!("what happened in calls waits: {why}")),
            };
            let then = self.queue().answered(began.elapsed(), &message.events, status);
            match then {
                Then::GoOn => pause = AGAIN,
                Then::GaveUp(count) => {
                    told.say(
                        tell,
                        format!("the server refuses {count} event(s) of calls ({}): not sent again", status.unwrap_or(0)),
                    );
                    pause = AGAIN;
                }
                Then::Wait => {
                    told.say(tell, words);
                    sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_MOST);
                }
            }
            if status == Some(200) {
                told = Told::default();
            }
            self.sent.notify_waiters();
        }
    }
}

/// The words that were told last: the same ones are told once.
#[derive(Debug, Default)]
pub(super) struct Told(String);

impl Told {
    pub(super) fn say(&mut self, tell: &Arc<dyn Fn(&str) + Send + Sync>, words: String) {
        if words != self.0 {
            tell(&words);
            self.0 = words;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn events_are_numbered_kept_in_order_and_bounded() {
        let mut queue = Queue { last: 1000, ..Queue::default() };
        for n in 0..1500_i64 {
            queue.push(LiveEvent { ack: n, value: Some("\u{1}".repeat(900)), ..LiveEvent::default() });
        }
        let batch = queue.batch();
        assert_eq!((batch.len(), batch[0].ack, batch[0].seq), (100, 500, 1501));
        assert!(batch.windows(2).all(|two| two[0].seq + 1 == two[1].seq));
        assert_eq!(queue.waiting.len(), MOST_WAITING);
        queue.taken(batch[99].seq);
        assert_eq!((queue.waiting.len(), queue.batch()[0].ack), (900, 600));
    }

    fn queue_of(events: i64) -> Queue {
        let mut queue = Queue::default();
        (0..events).for_each(|_| queue.push(LiveEvent::default()));
        queue
    }

    /// Posts until nothing waits to a server that answers each message by its numbers; what it took, and how many were given up.
    fn posted(mut queue: Queue, answer: impl Fn(&[i64]) -> u16) -> (Vec<i64>, usize) {
        let (mut taken, mut given_up) = (Vec::new(), 0);
        for second in 0..1000 {
            let batch = queue.batch();
            if batch.is_empty() {
                break;
            }
            let numbers: Vec<i64> = batch.iter().map(|event| event.seq).collect();
            let status = answer(&numbers);
            if status == 200 {
                taken.extend(numbers);
            }
            if let Then::GaveUp(count) = queue.answered(Duration::from_secs(second), &batch, Some(status)) {
                given_up += count;
            }
        }
        assert!(queue.waiting.is_empty(), "something is posted for ever");
        (taken, given_up)
    }

    #[test]
    fn what_is_refused_takes_nothing_else_with_it() {
        for refused in [1, 57, 100, 150] {
            let (taken, given_up) = posted(queue_of(150), |numbers| if numbers.contains(&refused) { 400 } else { 200 });
            assert_eq!((taken, given_up), ((1..=150).filter(|number| *number != refused).collect(), 1), "{refused}");
        }
        // Only those of that message go alone.
        let mut queue = queue_of(250);
        let first = queue.batch();
        assert_eq!(queue.answered(Duration::ZERO, &first, Some(422)), Then::GoOn);
        assert_eq!(queue.batch().len(), 1);
        queue.taken(100);
        assert_eq!(queue.batch().len(), MOST_EVENTS);
    }

    #[test]
    fn a_server_that_knows_no_events_is_given_up_after_a_minute_and_one_that_is_away_is_not() {
        assert_eq!(posted(queue_of(150), |_| 404), (vec![], 150));
        let at = Duration::from_secs;
        let mut queue = queue_of(1);
        let batch = queue.batch();
        for (second, status) in [(0, Some(404)), (59, Some(404)), (60, Some(503)), (61, Some(404)), (120, None), (9000, None)] {
            assert_eq!(queue.answered(at(second), &batch, status), Then::Wait, "{second}");
        }
        assert_eq!(queue.answered(at(9001), &batch, Some(404)), Then::Wait, "it was away, and then answered otherwise");
        assert_eq!(queue.answered(at(9061), &batch, Some(404)), Then::GaveUp(1));
    }

    #[tokio::test]
    async fn numbers_are_not_used_again_where_the_clock_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("events.mark");
        let mut before = 0;
        for clock in [5000, 0, 0, 1_700_000_000_000, 7] {
            let events = Events::new(clock, mark.clone());
            (0..3).for_each(|_| events.push(LiveEvent::default()));
            let batch = events.queue().batch();
            assert!(batch[0].seq > before && batch[0].seq > clock, "{} after {before}, at {clock}", batch[0].seq);
            before = batch[2].seq;
            // As before they are posted.
            events.set_aside(before).await.unwrap();
        }
        std::fs::write(&mark, "no number").unwrap();
        assert_eq!(Events::new(9, mark).queue().last, 9);
    }

    #[test]
    fn a_full_message_is_not_too_long_for_the_server() {
        let mut queue = Queue { last: i64::MAX / 2, ..Queue::default() };
        for _ in 0..MOST_EVENTS {
            let mid = "f".repeat(64);
            let at_ms = Some(u64::MAX / 2);
            queue.push(LiveEvent { ack: i64::MAX, mid, at_ms, value: Some("\u{1}".repeat(900)), ..LiveEvent::default() });
        }
        let body = LiveEvents { events: queue.batch() }.to_body();
        assert!(body.len() <= 64 << 10, "{}", body.len());
    }
}
