//! When and from where each handset polled: kept in memory, written down now and then, so that an idle poll writes nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::HandsetId;
use crate::store::watch::handsets::{HandsetRow, Sighting};

/// Shorter gaps between polls say nothing of the interval: a phone that was restarted, or two at once.
const SHORTEST_INTERVAL: f64 = 1.0;
/// Nobody sets a longer one; a longer gap is a call or an outage.
const LONGEST_INTERVAL: f64 = 900.0;
/// Two sources that take turns within this use one token.
const TURNS_WITHIN: TimeDelta = TimeDelta::seconds(120);
/// After this without a turn there is one phone again.
const ONE_PHONE_AFTER: TimeDelta = TimeDelta::minutes(10);
/// So many turns: a phone that changed its network once, and back, is still one phone.
const TURNS: u32 = 3;

/// That a handset asks for a channel that it may not use is told no more often than this.
const TELL_AGAIN: TimeDelta = TimeDelta::minutes(10);

/// That a handset still polls is written down no more often than this.
const WRITE_EVERY: TimeDelta = TimeDelta::seconds(30);
/// What another node has heard can be read in the database after so long at the latest: written every half minute, looked after every
/// five seconds, and in portions.
pub const WRITTEN_WITHIN: TimeDelta = TimeDelta::seconds(40);

/// Where a poll came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollSource<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// What model it says it is; empty when it does not say.
    pub model: &'a str,
    /// What program it says it is.
    pub user_agent: &'a str,
}

/// What is newly known after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Nothing.
    Nothing,
    /// Two phones use the token of this handset.
    Shared,
    /// They do not any more.
    SharedNoMore,
}

/// The handsets that polled this node.
#[derive(Debug, Default)]
pub struct Presence(Mutex<HashMap<HandsetId, Seen>>);

#[derive(Debug)]
struct Seen {
    at: DateTime<Utc>,
    interval: Option<f64>,
    /// The interval as it was known before the latest poll.
    usual: Option<f64>,
    source: Source,
    other: Option<(Source, DateTime<Utc>)>,
    turns: u32,
    last_turn: DateTime<Utc>,
    shared: bool,
    unwritten: bool,
    /// When it was last written down, and with which interval; `None` when something is known that was not written yet.
    written: Option<(DateTime<Utc>, Option<f64>)>,
    /// The mid it was last given on each channel, unless it was told idle there since.
    mids: BTreeMap<i32, Box<str>>,
    /// When it last asked for something to ring, on any channel: a word of how it is is no poll.
    asked_at: Option<DateTime<Utc>>,
    /// When each of its channels was asked for, where it has several.
    channels: BTreeMap<i32, DateTime<Utc>>,
    /// When it was told last that it asked for a channel in vain.
    told_of: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
struct Source {
    address: IpAddr,
    model: Box<str>,
    user_agent: Box<str>,
}

impl Source {
    fn is(&self, source: &PollSource<'_>) -> bool {
        self.address == source.address && *self.model == *source.model
    }
}

impl Presence {
    /// Notes a poll. `known_interval` is what was learned before this process started.
    pub fn polled(
        &self,
        handset: HandsetId,
        source: &PollSource<'_>,
        known_interval: Option<f64>,
        now: DateTime<Utc>,
    ) -> Noticed {
        let mut seen = self.seen();
        let Some(seen) = seen.get_mut(&handset) else {
            seen.insert(handset, Seen::first(source, known_interval, now));
            return Noticed::Nothing;
        };
        seen.usual = seen.interval;
        seen.learn(now);
        seen.at = seen.at.max(now);
        seen.unwritten = true;
        seen.compare(source, now)
    }

    /// Notes a poll that is answered with *nothing* at once, where there is nothing to notice about it: as [`Presence::polled`], then
    /// [`Presence::asks`] and [`Presence::served`] with nothing, in one. `channel`: on which of several it asks. False, and nothing is
    /// noted, where the handset is not known yet or its source is another one than before.
    pub fn polled_idle(&self, handset: HandsetId, source: &PollSource<'_>, channel: Option<i32>, now: DateTime<Utc>) -> bool {
        let mut all = self.seen();
        let Some(seen) = all.get_mut(&handset).filter(|seen| seen.is_plainly(source)) else { return false };
        seen.usual = seen.interval;
        seen.learn(now);
        seen.at = seen.at.max(now);
        seen.unwritten = true;
        seen.asked_at = seen.asked_at.max(Some(now));
        if let Some(channel) = channel {
            seen.channels.insert(channel, now);
        }
        seen.mids.remove(&channel.unwrap_or(0));
        true
    }

    /// Notes that these handsets are still there while their long polls wait.
    pub fn still_there(&self, handsets: &[HandsetId], now: DateTime<Utc>) {
        let mut all = self.seen();
        for handset in handsets {
            if let Some(seen) = all.get_mut(handset) {
                seen.at = seen.at.max(now);
                seen.asked_at = seen.asked_at.max(Some(now));
                seen.unwritten = true;
            }
        }
    }

    /// Notes that a handset asks for something to ring.
    pub fn asks(&self, handset: HandsetId, now: DateTime<Utc>) {
        if let Some(seen) = self.seen().get_mut(&handset) {
            seen.asked_at = seen.asked_at.max(Some(now));
        }
    }

    /// When a handset last asked this node for something to ring.
    #[must_use]
    pub fn last_asked(&self, handset: HandsetId) -> Option<DateTime<Utc>> {
        self.seen().get(&handset)?.asked_at
    }

    /// Notes that a handset with several channels asked for something to ring on one of them.
    pub fn asked_on(&self, handset: HandsetId, channel: i32, now: DateTime<Utc>) {
        if let Some(seen) = self.seen().get_mut(&handset) {
            seen.channels.insert(channel, now);
            seen.unwritten = true;
        }
    }

    /// Whether it is news that a handset asks for a channel that it may not use: it is told no more often than now and then.
    pub fn is_news(&self, handset: HandsetId, now: DateTime<Utc>) -> bool {
        let mut all = self.seen();
        let Some(seen) = all.get_mut(&handset) else { return true };
        let told = seen.told_of.is_some_and(|at| now - at < TELL_AGAIN);
        if !told {
            seen.told_of = Some(now);
        }
        !told
    }

    /// Notes what a handset was given on a channel: a mid, or nothing.
    pub fn served(&self, handset: HandsetId, channel: i32, mid: Option<&str>) {
        if let Some(seen) = self.seen().get_mut(&handset)
            && seen.mids.get(&channel).map(|mid| &**mid) != mid
        {
            match mid {
                Some(mid) => seen.mids.insert(channel, mid.into()),
                None => seen.mids.remove(&channel),
            };
        }
    }

    /// The mid a handset was last given on a channel, unless it was told idle there since.
    #[must_use]
    pub fn last_mid(&self, handset: HandsetId, channel: i32) -> Option<String> {
        self.seen().get(&handset)?.mids.get(&channel).map(|mid| (**mid).to_owned())
    }

    /// What is to be written down by now, or `all` that was not, by handset.
    #[must_use]
    pub fn unwritten(&self, now: DateTime<Utc>, all: bool) -> Vec<(HandsetId, Sighting)> {
        let seen = self.seen();
        let unwritten = seen.iter().filter(|(_, seen)| seen.unwritten && (all || seen.is_to_be_written(now)));
        let mut unwritten: Vec<_> = unwritten.map(|(id, seen)| (*id, seen.sighting())).collect();
        unwritten.sort_unstable_by_key(|(id, _)| *id);
        unwritten
    }

    /// Notes what was written down.
    pub fn written(&self, sightings: &[(HandsetId, Sighting)], now: DateTime<Utc>) {
        let mut all = self.seen();
        for (id, sighting) in sightings {
            if let Some(seen) = all.get_mut(id) {
                // What was not asked for since is not written again.
                seen.channels.retain(|channel, at| !sighting.channels.contains(&(*channel, *at)));
                seen.unwritten = seen.at > sighting.at || !seen.channels.is_empty();
                seen.written = Some((now, sighting.interval_seconds));
            }
        }
    }

    /// Tells of handsets when they last polled, where this node knows better than the database.
    pub fn complete(&self, handsets: &mut [HandsetRow]) {
        let all = self.seen();
        for handset in handsets {
            handset.last_seen_at = handset.last_seen_at.max(all.get(&handset.id).map(|seen| seen.at));
        }
    }

    /// The usual time between two polls of a handset, in seconds, as it was known before its latest one.
    #[must_use]
    pub fn usual_interval(&self, handset: HandsetId) -> Option<f64> {
        self.seen().get(&handset)?.usual
    }

    /// When a handset was last heard of on this node, whatever it said.
    #[must_use]
    pub fn last_seen(&self, handset: HandsetId) -> Option<DateTime<Utc>> {
        self.seen().get(&handset).map(|seen| seen.at)
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<HandsetId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn first(source: &PollSource<'_>, interval: Option<f64>, now: DateTime<Utc>) -> Self {
        let source = Source { address: source.address, model: source.model.into(), user_agent: source.user_agent.into() };
        Self {
            at: now,
            interval,
            usual: interval,
            source,
            other: None,
            turns: 0,
            last_turn: now,
            shared: false,
            unwritten: true,
            written: None,
            mids: BTreeMap::new(),
            asked_at: None,
            channels: BTreeMap::new(),
            told_of: None,
        }
    }

    /// The interval is a slow average of the gaps, without those in which the phone was in a call or away.
    fn learn(&mut self, now: DateTime<Utc>) {
        let gap = (now - self.at).as_seconds_f64();
        if !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&gap) {
            return;
        }
        self.interval = Some(match self.interval {
            // While it has a call, it asks when the call lets it.
            Some(interval) if !self.mids.is_empty() => interval,
            None => gap,
            Some(interval) if gap > 4.0 * interval => interval,
            Some(interval) => interval * 0.8 + gap * 0.2,
        });
    }

    /// It is from where it always comes, and nothing speaks of a second phone.
    fn is_plainly(&self, source: &PollSource<'_>) -> bool {
        self.source.is(source) && !self.shared && self.turns < TURNS
    }

    fn compare(&mut self, source: &PollSource<'_>, now: DateTime<Utc>) -> Noticed {
        if !self.source.is(source) {
            let returned = self.other.as_ref().is_some_and(|(other, at)| other.is(source) && now - *at <= TURNS_WITHIN);
            self.turns = if returned && now - self.last_turn <= ONE_PHONE_AFTER { self.turns + 1 } else { 0 };
            self.last_turn = now;
            let new = Source { address: source.address, model: source.model.into(), user_agent: source.user_agent.into() };
            self.other = Some((std::mem::replace(&mut self.source, new), now));
            self.written = None;
        }
        if !self.shared && self.turns >= TURNS {
            self.shared = true;
            return Noticed::Shared;
        }
        if self.shared && now - self.last_turn > ONE_PHONE_AFTER {
            self.shared = false;
            self.turns = 0;
            return Noticed::SharedNoMore;
        }
        Noticed::Nothing
    }

    fn is_to_be_written(&self, now: DateTime<Utc>) -> bool {
        self.written.is_none_or(|(at, interval)| {
            let other_interval = match (interval, self.interval) {
                (Some(written), Some(learned)) => (learned - written).abs() > written / 10.0,
                (written, learned) => written.is_some() != learned.is_some(),
            };
            other_interval || now - at >= WRITE_EVERY
        })
    }

    fn sighting(&self) -> Sighting {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Sighting {
            at: self.at,
            address: self.source.address.to_string(),
            model: text(&self.source.model),
            user_agent: text(&self.source.user_agent),
            interval_seconds: self.interval,
            channels: self.channels.iter().map(|(channel, at)| (*channel, *at)).collect(),
        }
    }
}

/// How long a handset may be silent before it counts as offline: three polls and some, by its own interval (ten seconds, the app's
/// default, until that is learned).
#[must_use]
pub fn longest_silence(interval_seconds: Option<f64>) -> TimeDelta {
    let interval = interval_seconds.unwrap_or(10.0).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
    // At most 45 minutes in milliseconds: exact, and far from any limit.
    #[expect(clippy::cast_possible_truncation, reason = "clamped above")]
    let milliseconds = (interval * 3.0 * 1000.0) as i64 + 15_000;
    TimeDelta::milliseconds(milliseconds)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use uuid::Uuid;

    const ID: HandsetId = HandsetId(Uuid::nil());

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn from(address: &str) -> PollSource<'_> {
        PollSource { address: address.parse().unwrap(), model: "Mi 9", user_agent: "okhttp/3.10.0" }
    }

    #[test]
    fn learns_the_interval_and_ignores_calls() {
        let presence = Presence::default();
        let mut now = 0;
        for _ in 0..20 {
            presence.polled(ID, &from("10.0.0.1"), None, at(now));
            now += 10;
        }
        presence.polled(ID, &from("10.0.0.1"), None, at(now + 400));
        let (_, sighting) = presence.unwritten(at(now + 400), false).pop().unwrap();
        let interval = sighting.interval_seconds.unwrap();
        assert!((interval - 10.0).abs() < 0.01, "{interval}");
        assert_eq!(longest_silence(Some(interval)), TimeDelta::seconds(45));
    }

    #[test]
    fn a_channel_that_is_asked_for_while_its_handset_is_written_is_written_next() {
        let presence = Presence::default();
        presence.polled(ID, &from("10.0.0.1"), None, at(0));
        let before = presence.unwritten(at(0), true);
        presence.asked_on(ID, 1, at(0));
        presence.written(&before, at(0));
        let (_, sighting) = presence.unwritten(at(0), true).pop().unwrap();
        assert_eq!(sighting.channels, [(1, at(0))]);
    }

    #[test]
    fn what_goes_on_as_before_is_written_every_half_minute() {
        let presence = Presence::default();
        let write = |now| {
            let sightings = presence.unwritten(at(now), false);
            presence.written(&sightings, at(now));
            sightings.into_iter().map(|(_, sighting)| sighting.at).next()
        };
        let mut written = Vec::new();
        for now in (0..=100).step_by(10) {
            presence.polled(ID, &from("10.0.0.1"), Some(10.0), at(now));
            written.extend(write(now));
        }
        assert_eq!(written, [0, 30, 60, 90].map(at));
        // It falls silent: what was not written yet is, when its time has come.
        assert_eq!([write(105), write(119), write(120), write(150)], [None, None, Some(at(100)), None]);
        presence.polled(ID, &from("10.0.0.2"), Some(10.0), at(151));
        assert_eq!(write(151), Some(at(151)), "it polls from elsewhere: at once");
        presence.polled(ID, &from("10.0.0.2"), Some(10.0), at(152));
        assert_eq!(presence.unwritten(at(152), true).len(), 1, "before the server stops, all");
    }

    #[test]
    fn an_idle_poll_is_noted_in_one_as_it_is_step_by_step() {
        let (step_by_step, in_one) = (Presence::default(), Presence::default());
        let source = from("10.0.0.1");
        assert!(!in_one.polled_idle(ID, &source, None, at(0)), "nobody knows it yet");
        for presence in [&step_by_step, &in_one] {
            presence.polled(ID, &source, None, at(0));
            presence.served(ID, 0, Some("m"));
        }
        for second in [10, 21, 30] {
            step_by_step.polled(ID, &source, None, at(second));
            step_by_step.asks(ID, at(second));
            step_by_step.served(ID, 0, None);
            assert!(in_one.polled_idle(ID, &source, None, at(second)));
        }
        for presence in [&step_by_step, &in_one] {
            assert_eq!(presence.last_mid(ID, 0), None);
        }
        assert_eq!(in_one.usual_interval(ID), step_by_step.usual_interval(ID));
        assert_eq!(in_one.last_asked(ID), step_by_step.last_asked(ID));
        let unwritten = |presence: &Presence| format!("{:?}", presence.unwritten(at(30), true));
        assert_eq!(unwritten(&in_one), unwritten(&step_by_step));
        assert!(!in_one.polled_idle(ID, &from("10.0.0.2"), None, at(40)), "from elsewhere: that is looked at");
    }

    #[test]
    fn two_phones_that_take_turns_are_noticed() {
        let presence = Presence::default();
        let noticed: Vec<Noticed> = (0..8)
            .map(|turn| presence.polled(ID, &from(if turn % 2 == 0 { "10.0.0.1" } else { "10.0.0.2" }), None, at(turn * 5)))
            .collect();
        assert!(noticed.contains(&Noticed::Shared));
        assert_eq!(presence.polled(ID, &from("10.0.0.2"), None, at(700)), Noticed::SharedNoMore);
    }

    #[test]
    fn a_phone_that_changes_its_network_is_one_phone() {
        let presence = Presence::default();
        for (turn, address) in ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.2"].into_iter().enumerate() {
            let turn = i64::try_from(turn).unwrap();
            assert_eq!(presence.polled(ID, &from(address), None, at(turn * 100)), Noticed::Nothing);
        }
    }
}
