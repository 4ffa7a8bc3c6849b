//! Each target of an outbox goes its own way: one that does not answer delays nobody else.
//!
//! At a target one thing after the other is told, so that it hears things in their order. Different targets are asked at the same time,
//! [`MOST_AT_ONCE`] at most, whoever had its turn longest ago first. A target that does not answer is left alone for a while, and its place
//! is free for others.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::engine::watch::health::Outbox;
use crate::store::Waiting;
use crate::store::watch::under_way::UnderWay;

/// Most targets of an outbox that are asked at a time.
pub(crate) const MOST_AT_ONCE: usize = 16;
/// Of so many targets is remembered when they had their turn.
const MOST_REMEMBERED: usize = 10_000;
/// Without a word of the tick for so long, it is looked all the same.
const WITHOUT_TICK: Duration = Duration::from_secs(3);
/// Longer than every time limit of the database together.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
const PAUSES: Backoff = Backoff::new(TimeDelta::seconds(5), TimeDelta::minutes(10));
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(1);

/// How long the next try of one thing waits: 5 s, 10 s, 20 s … 10 min.
pub(super) fn pause(attempts: i32) -> TimeDelta {
    PAUSES.pause(attempts)
}

/// Serves every target of an outbox at which something is due, every second, until dropped.
pub(super) async fn serve_all<T, E, W, R>(engine: &Engine, outbox: Outbox, waiting: impl Fn() -> W, serve: impl Fn(T) -> R)
where
    T: Copy + Eq + Hash + Send + 'static,
    E: Display + Send + 'static,
    W: Future<Output = Result<Vec<Waiting<T>>, E>>,
    R: Future<Output = Result<Round, E>> + Send + 'static,
{
    let mut ways = Ways::new();
    let mut under_way = engine.under_way.subscribe();
    loop {
        let there = tokio::select! {
            there = next_tick(&mut under_way) => there,
            () = ways.next() => continue,
        };
        let is_any = there.is_none_or(|there| match outbox {
            Outbox::Notices => there.notices,
            Outbox::Messages => there.texts,
        });
        // Bounded, so that one connection that went dead without a word cannot stop everything that is to be told.
        let looked = match is_any {
            true => tokio::time::timeout(LOOK_WITHIN, waiting()).await,
            false => Ok(Ok(Vec::new())),
        };
        match looked {
            Ok(Ok(waiting)) => {
                let untried = ways.look(&waiting, Instant::now());
                engine.note_outbox(outbox, &waiting, untried);
                for target in ways.in_turn(&waiting) {
                    let round = serve(target);
                    ways.begin(target, Instant::now(), async move {
                        round.await.unwrap_or_else(|error| {
                            tracing::debug!(%error, ?outbox, "an outbox could not be read; trying again");
                            Round::default()
                        })
                    });
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, ?outbox, "an outbox could not be read; trying again"),
            Err(_) => tracing::warn!(?outbox, "an outbox could not be read; trying again"),
        }
    }
}

/// Waits for what the next tick has found, each second; `None` when there is no tick: then everybody looks themselves.
pub(super) async fn next_tick(under_way: &mut Receiver<UnderWay>) -> Option<UnderWay> {
    match tokio::time::timeout(WITHOUT_TICK, under_way.changed()).await {
        Ok(Ok(())) => Some(*under_way.borrow_and_update()),
        // The engine is gone, and the task that runs this soon will be.
        Ok(Err(_)) => std::future::pending().await,
        Err(_) => None,
    }
}

/// What came of a round at one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// How much was tried.
    pub(crate) tried: usize,
    /// It did not answer: whatever else is due there would only wait in vain as well.
    pub(crate) hung: bool,
}

/// The targets of one outbox, as far as they are busy or left alone.
pub(crate) struct Ways<T> {
    rounds: JoinSet<(T, Round)>,
    under_way: HashSet<T>,
    resting: HashMap<T, Rest>,
    seen: HashMap<T, Seen>,
    /// When each had its turn last, counted.
    turns: HashMap<T, u64>,
    turn: u64,
}

/// Since when a target is known to have something due that nobody has tried.
struct Seen {
    due_since: DateTime<Utc>,
    first: Instant,
}

/// Until when a target is left alone, and for how long this time.
#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl<T: Copy + Eq + Hash + Send + 'static> Ways<T> {
    pub(crate) fn new() -> Self {
        Self {
            rounds: JoinSet::new(),
            under_way: HashSet::new(),
            resting: HashMap::new(),
            seen: HashMap::new(),
            turns: HashMap::new(),
            turn: 0,
        }
    }

    /// The targets at which something is due, whoever had its turn longest ago first, and of those who had none whose first has been due
    /// longest: however many always have something due, each gets its turn.
    pub(crate) fn in_turn(&self, waiting: &[Waiting<T>]) -> Vec<T> {
        let mut due: Vec<&Waiting<T>> = waiting.iter().filter(|one| one.due > 0).collect();
        due.sort_by_key(|one| (self.turns.get(&one.target), one.due_since));
        due.into_iter().map(|one| one.target).collect()
    }

    /// Whether somebody is at this target already, or it is left alone.
    pub(crate) fn is_taken_care_of(&self, target: T, now: Instant) -> bool {
        self.under_way.contains(&target) || self.resting.get(&target).is_some_and(|rest| rest.until > now)
    }

    /// Begins a round at a target, unless it is taken care of or too much is under way.
    pub(crate) fn begin(&mut self, target: T, now: Instant, round: impl Future<Output = Round> + Send + 'static) {
        if self.rounds.len() < MOST_AT_ONCE && !self.is_taken_care_of(target, now) {
            if self.turns.len() >= MOST_REMEMBERED {
                self.turns.clear();
            }
            self.turn += 1;
            self.turns.insert(target, self.turn);
            self.under_way.insert(target);
            self.rounds.spawn(async move { (target, round.await) });
        }
    }

    /// Waits for the end of a round; for ever when there is none.
    pub(crate) async fn next(&mut self) {
        match self.rounds.join_next().await {
            Some(Ok((target, round))) => self.ended(target, round, Instant::now()),
            // A round that panicked leaves its target marked for good, so all are forgotten: each thing is taken once in the database.
            Some(Err(error)) => {
                tracing::error!(%error, "telling others was interrupted");
                self.under_way.clear();
            }
            None => std::future::pending().await,
        }
    }

    fn ended(&mut self, target: T, round: Round, now: Instant) {
        self.under_way.remove(&target);
        if round.hung {
            let length = self.resting.get(&target).map_or(FIRST_REST, |rest| (rest.length * 2).min(LONGEST_REST));
            self.resting.insert(target, Rest { until: now + length, length });
        } else if round.tried > 0 {
            self.resting.remove(&target);
        }
    }

    /// Takes in what waits now, and says for how long the first of it has been due without anybody taking care of its target.
    pub(crate) fn look(&mut self, waiting: &[Waiting<T>], now: Instant) -> Duration {
        let due: HashMap<T, DateTime<Utc>> = waiting.iter().filter_map(|one| Some((one.target, one.due_since?))).collect();
        self.resting.retain(|target, _| due.contains_key(target));
        // By when it was seen, not by when it was due: after a standstill everything has long been due.
        self.seen.retain(|target, seen| due.get(target) == Some(&seen.due_since));
        for (&target, &due_since) in &due {
            if self.is_taken_care_of(target, now) {
                self.seen.remove(&target);
            } else {
                self.seen.entry(target).or_insert(Seen { due_since, first: now });
            }
        }
        self.seen.values().map(|seen| now.duration_since(seen.first)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUNG: Round = Round { tried: 1, hung: true };

    #[test]
    fn pauses_grow_to_ten_minutes() {
        let seconds: Vec<i64> = (0..9).map(|attempts| pause(attempts).num_seconds()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(pause(i32::MAX), TimeDelta::minutes(10));
    }

    #[tokio::test]
    async fn one_round_at_a_target_and_so_many_in_all() {
        let mut ways = Ways::new();
        let now = Instant::now();
        ways.begin(0, now, std::future::pending());
        ways.begin(0, now, std::future::pending());
        assert_eq!(ways.rounds.len(), 1);
        for target in 1..100 {
            ways.begin(target, now, std::future::pending());
        }
        assert_eq!(ways.rounds.len(), MOST_AT_ONCE);
        assert!(ways.is_taken_care_of(MOST_AT_ONCE - 1, now));
        assert!(!ways.is_taken_care_of(MOST_AT_ONCE, now));
    }

    #[test]
    fn whoever_hangs_is_left_alone_longer_each_time() {
        let mut ways = Ways::<u8>::new();
        let mut now = Instant::now();
        for seconds in [5, 10, 20, 40, 60, 60] {
            ways.ended(1, HUNG, now);
            now += Duration::from_secs(seconds);
            assert!(ways.is_taken_care_of(1, now.checked_sub(Duration::from_millis(1)).unwrap_or(now)));
            assert!(!ways.is_taken_care_of(1, now));
        }
        ways.ended(1, Round { tried: 1, hung: false }, now);
        ways.ended(1, HUNG, now);
        assert!(!ways.is_taken_care_of(1, now + FIRST_REST), "it has answered in between");
        ways.look(&[], now);
        assert!(!ways.is_taken_care_of(1, now));
    }

    #[tokio::test]
    async fn each_has_its_turn_though_more_are_due_than_are_asked_at_a_time() {
        let since = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let due = |target: usize, minutes_ago: i64| Waiting {
            target,
            name: String::new(),
            count: 9,
            oldest: since,
            due: 9,
            due_since: Some(since - TimeDelta::minutes(minutes_ago)),
        };
        // Those with the smaller numbers have had something due for longer, and always have.
        let waiting: Vec<Waiting<usize>> =
            (0..40).map(|target| due(target, 40 - i64::try_from(target).unwrap_or_default())).collect();
        let mut ways = Ways::new();
        let mut begun = Vec::new();
        for _ in 0..3 {
            let now = Instant::now();
            for target in ways.in_turn(&waiting) {
                ways.begin(target, now, async { Round { tried: 1, hung: false } });
            }
            let mut these: Vec<usize> = ways.under_way.iter().copied().collect();
            these.sort_unstable();
            begun.push(these);
            while !ways.under_way.is_empty() {
                ways.next().await;
            }
        }
        assert_eq!(begun[0], (0..16).collect::<Vec<_>>(), "who has waited longest");
        assert_eq!(begun[1], (16..32).collect::<Vec<_>>());
        assert_eq!(begun[2], (0..8).chain(32..40).collect::<Vec<_>>());
    }

    #[test]
    fn what_nobody_takes_care_of_is_noticed() {
        let mut ways = Ways::<u8>::new();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let due = |since: i64| {
            let due_since = DateTime::from_timestamp(1_800_000_000 + since, 0);
            [Waiting { target: 1, name: String::new(), count: 1, oldest: due_since.unwrap_or_default(), due: 1, due_since }]
        };
        assert_eq!(ways.look(&due(-3600), at(0)), Duration::ZERO, "only seen now");
        assert_eq!(ways.look(&due(-3600), at(100)), Duration::from_secs(100));
        assert_eq!(ways.look(&due(-3500), at(101)), Duration::ZERO, "the first of them was tried");
        assert_eq!(ways.look(&due(-3500), at(201)), Duration::from_secs(100));
        ways.ended(1, HUNG, at(201));
        assert_eq!(ways.look(&due(-3500), at(202)), Duration::ZERO, "it is left alone on purpose");
        assert_eq!(ways.look(&[], at(300)), Duration::ZERO);
    }
}
