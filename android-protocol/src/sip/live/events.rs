//! What happened in running calls, until the server has it: in order, each once, bounded.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use crate::{
    live::{LiveEvent, LiveEvents, MOST_EVENTS},
    sip::server::{Server, ServerError},
};

/// How many wait at most; then the oldest are given up. The report of a call tells the rest.
const MOST_WAITING: usize = 1000;

/// No value is longer, so that a full message stays below the 64 KiB that the server takes.
const LONGEST_VALUE: usize = 64;

/// The pauses between two tries.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_MOST: Duration = Duration::from_secs(5);

/// Events with their numbers.
#[derive(Debug, Default)]
struct Queue {
    last: i64,
    waiting: VecDeque<LiveEvent>,
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
        self.waiting.iter().take(MOST_EVENTS).cloned().collect()
    }

    fn taken(&mut self, up_to: i64) {
        self.waiting.retain(|event| event.seq > up_to);
    }
}

/// The events of a handset.
#[derive(Debug)]
pub struct Events {
    queue: Mutex<Queue>,
    news: Notify,
    sent: Notify,
}

impl Events {
    /// None yet; the first one gets the number after this.
    #[must_use]
    pub fn new(last: i64) -> Self {
        Self { queue: Mutex::new(Queue { last, ..Queue::default() }), news: Notify::new(), sent: Notify::new() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut pause = AGAIN;
        loop {
            let events = self.queue().batch();
            let Some(last) = events.last().map(|event| event.seq) else {
                self.news.notified().await;
                continue;
            };
            match server.live_events(&LiveEvents { events }).await {
                Ok(()) => {}
                Err(ServerError::Status(status @ (400 | 410 | 413 | 422))) => {
                    tell(&format!("what happened in calls is refused with {status}, and not sent again"));
                }
                Err(why) => {
                    tell(&format!("what happened in calls waits: {why}"));
                    sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_MOST);
                    continue;
                }
            }
            pause = AGAIN;
            self.queue().taken(last);
            self.sent.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
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
