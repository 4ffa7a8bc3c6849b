//! What burns, and who says so: which open alarm a message about a group of alerts is of, and which alarms it ends.
//!
//! Two monitoring systems may send groups under one key. What one of them says to be over must not end what the other says to burn;
//! and two peers of one cluster, which have different addresses, must not make two alarms of one fire. So an alarm remembers, for
//! each address, which alerts that address said to burn:
//!
//! - a message whose alerts overlap with what burns in an open alarm is of that alarm, whoever sends it;
//! - a message from an address that an open alarm knows is of that alarm;
//! - any other one is an alarm of its own;
//! - who says that something is over takes away what it had named itself; of what it never named, it speaks for everybody;
//! - an alarm in which nothing is left is over.
//!
//! Messages may overtake each other. One that tells of an earlier time than what was taken already changes nothing.
//!
//! Some senders repeat a state and say until when it holds ([`Told::until`]): that moves forward for as long as something burns, and stands
//! still at its end. So what they mean is told by how it moves, and by their clock and ours only where nothing was heard before ([`meant`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// So many alerts are remembered of one alarm; of others it is only remembered that there are some.
const MOST_ALERTS: usize = 40_000;
/// So many ends of which no beginning was heard are remembered of one message.
const MOST_ALONE: usize = 1_000;
/// For so long after an alert was over, a sender may still be trying to tell that it burns. What comes later is another fire, also
/// when it is said to have begun at the same instant: a source that was cut off from its Alertmanager for a while tells its first
/// beginning again.
const SENDERS_RETRY: TimeDelta = TimeDelta::hours(1);

/// One alert of a group: its fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u64);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// What burns of one alarm, as each address said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burning(BTreeMap<String, Word>);

/// What one address said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    #[serde(rename = "a")]
    alerts: BTreeMap<Mark, Named>,
    /// There are alerts that it did not name, or that there was no room for.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// What is known of one alert from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    #[serde(rename = "s", with = "chrono::serde::ts_microseconds_option", default, skip_serializing_if = "Option::is_none")]
    starts_at: Option<DateTime<Utc>>,
    /// It is over; `None`: it burns.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    over: Option<Over>,
    /// Until when the latest word that it burns was to hold, where that was said.
    #[serde(rename = "u", with = "chrono::serde::ts_microseconds_option", default, skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    /// Its end before it burnt again, which may be told again.
    #[serde(rename = "l", with = "chrono::serde::ts_microseconds_option", default, skip_serializing_if = "Option::is_none")]
    last_end: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Over {
    /// Since when, where that was told.
    #[serde(rename = "e", with = "chrono::serde::ts_microseconds_option", default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    /// When that was heard.
    #[serde(rename = "h", with = "chrono::serde::ts_microseconds")]
    heard_at: DateTime<Utc>,
}

/// A message about a group of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Whose word it is.
    pub address: String,
    /// All of the group is over.
    pub over: bool,
    /// Its alerts.
    pub alerts: Vec<Told>,
    /// There are more of them.
    pub more: bool,
    /// It may be about another group: it counts only where one of its alerts burns.
    pub guest: bool,
    /// It is known what is meant: it burns or not as it says.
    pub as_said: bool,
}

/// One alert of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which one.
    pub mark: Mark,
    /// It burns; else it is over.
    pub burns: bool,
    /// Since when it burns, where that is told.
    pub starts_at: Option<DateTime<Utc>>,
    /// Since when it is over.
    pub ends_at: Option<DateTime<Utc>>,
    /// Until when this word holds, where its sender repeats its state and says so; of an end, the end.
    pub until: Option<DateTime<Utc>>,
}

/// What a message comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The open alarms as they are after it, in the order in which they were given; `None` where nothing is known.
    pub open: Vec<Option<Burning>>,
    /// What it raises.
    pub raises: Raises,
    /// The open alarms that are over.
    pub ends: Vec<usize>,
    /// It told of something that was over already, or of an end before the present fire.
    pub stale: bool,
}

/// What a message raises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raises {
    /// Nothing.
    Nothing,
    /// It is of this open alarm; these of its alerts did not burn there before.
    Repeats {
        /// Which one of those that were given.
        open: usize,
        /// What is new.
        new: Vec<Mark>,
    },
    /// It is an alarm of its own.
    Own {
        /// What burns of it.
        burning: Burning,
        /// It is the return of one that was over.
        again: Option<Again>,
    },
}

/// An alarm that was over burns again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// Which one of those that were given.
    pub ended: usize,
    /// What burns of it now.
    pub burning: Burning,
    /// Something burns in it that had never burnt.
    pub new: bool,
}

impl Burning {
    /// Whether anything burns.
    #[must_use]
    pub fn burns(&self) -> bool {
        self.0.values().any(|word| word.more || word.alerts.values().any(|named| named.over.is_none()))
    }

    fn burning(&self, mark: Mark) -> bool {
        self.0.values().any(|word| word.alerts.get(&mark).is_some_and(|named| named.over.is_none()))
    }

    /// Whether somebody ever named it.
    fn ever(&self, mark: Mark) -> bool {
        self.0.values().any(|word| word.alerts.contains_key(&mark))
    }

    fn named_by(&self, address: &str, mark: Mark) -> Option<&Named> {
        self.0.get(address)?.alerts.get(&mark)
    }

    fn room(&self) -> usize {
        MOST_ALERTS.saturating_sub(self.0.values().map(|word| word.alerts.len()).sum())
    }

    /// Takes in what an address says to burn; gives what did not burn before.
    fn light(&mut self, message: &Message, fire: &[Told], now: DateTime<Utc>) -> Vec<Mark> {
        let new = fire.iter().map(|told| told.mark).filter(|mark| !self.burning(*mark)).collect();
        let mut room = self.room();
        let word = self.0.entry(message.address.clone()).or_default();
        word.more |= message.more || fire.is_empty();
        for told in fire {
            let before = word.alerts.get(&told.mark);
            let last_end = before.and_then(|named| named.over.map_or(named.last_end, |over| over.ended_at));
            let until = told.until.max(before.and_then(|named| named.until));
            let named = Named { starts_at: past(told.starts_at, now), over: None, until, last_end };
            if word.alerts.contains_key(&told.mark) || room > 0 {
                room -= usize::from(word.alerts.insert(told.mark, named).is_none());
            } else {
                word.more = true;
            }
        }
        new
    }

    /// An alert is over, as this address or, without one, as somebody says who never named it.
    fn put_out(&mut self, address: Option<&str>, told: &Told, now: DateTime<Utc>) {
        let over = Over { ended_at: past(told.ends_at, now), heard_at: now };
        for (whose, word) in &mut self.0 {
            if address.is_none_or(|address| address == whose)
                && let Some(named) = word.alerts.get_mut(&told.mark)
                && !is_of_an_earlier_fire(told, named, now)
            {
                named.over = Some(over);
            }
        }
    }
}

/// An end that is farther ahead than this, or than half of what the last word held for, is none yet: a clock is hardly wrong by more, and a
/// word may have been overtaken by another one.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(60);
/// An end is told at once, and by a clock that may be so much ahead.
const JUST_NOW: TimeDelta = TimeDelta::seconds(2);

/// What is meant by a message of a sender that repeats its state and says until when it holds, and whether the clocks differ. Of other
/// messages, nothing is changed. `open` and `ended` as of [`hear`]: also what ended by silence was said to burn.
#[must_use]
pub fn meant(open: &[Option<Burning>], ended: &[Burning], message: &Message, now: DateTime<Utc>) -> (Message, bool) {
    let mut meant = message.clone();
    let mut clocks_differ = false;
    for told in &mut meant.alerts {
        let Some(until) = told.until.filter(|_| !message.as_said) else { continue };
        let by_clock = until > now + JUST_NOW;
        let words = open.iter().flatten().chain(ended).filter_map(|burning| burning.named_by(&message.address, told.mark));
        let last = words.filter(|named| named.over.is_none()).filter_map(|named| named.until).max();
        told.burns = match last {
            // It never moves back while something burns.
            Some(last) if until < last => until > now + ((last - now) / 2).clamp(JUST_NOW, CLOCKS_DIFFER),
            // Nor does it move on when it is over.
            Some(last) if until > last => true,
            _ => by_clock,
        };
        clocks_differ |= told.burns != by_clock;
        told.ends_at = (!told.burns).then(|| until.min(now));
    }
    if !message.as_said && meant.alerts.iter().any(|told| told.until.is_some()) {
        meant.over = meant.alerts.iter().all(|told| !told.burns);
    }
    (meant, clocks_differ)
}

/// Whether a message tells a later end of what was told to be over before, since the same beginning: what is over has one end, so its
/// sender's clock is behind, and it burns. `alone` is what was said to be over of which no beginning was heard.
#[must_use]
pub fn end_moves(alone: &Burning, message: &Message) -> bool {
    message.alerts.iter().filter(|told| !told.burns && told.until.is_some() && told.starts_at.is_some()).any(|told| {
        let named = alone.named_by(&message.address, told.mark);
        named.is_some_and(|named| named.starts_at == told.starts_at && named.over.and_then(|over| over.ended_at) < told.ends_at)
    })
}

/// Takes in a message about a group. `open` are its open alarms, `ended` what burnt in those that were over lately.
#[must_use]
pub fn hear(open: &[Option<Burning>], ended: &[Burning], message: &Message, now: DateTime<Utc>) -> Heard {
    if message.guest && !open.iter().flatten().any(|burning| message.alerts.iter().any(|told| burning.burning(told.mark))) {
        return Heard { open: open.to_vec(), raises: Raises::Nothing, ends: Vec::new(), stale: false };
    }
    let mut after = open.to_vec();
    let known: Vec<&Burning> = open.iter().flatten().chain(ended).collect();
    let comes_late = |told: &Told| {
        // The end of an alarm that is over, told again while it burns in another one.
        let of_another = told.until.is_some()
            && !told.burns
            && open.iter().flatten().any(|burning| burning.burning(told.mark))
            && ended.iter().filter_map(|burning| burning.named_by(&message.address, told.mark)).any(|named| {
                told.ends_at.is_some_and(|end| named.over.and_then(|over| over.ended_at).is_some_and(|last| end <= last))
            });
        !message.as_said
            && (of_another
                || known.iter().filter_map(|burning| burning.named_by(&message.address, told.mark)).any(|named| {
                    match told.burns {
                        true => was_over_already(told, named, now),
                        false => is_of_an_earlier_fire(told, named, now),
                    }
                }))
    };
    let (late, fresh): (Vec<Told>, Vec<Told>) = message.alerts.iter().copied().partition(|told| comes_late(told));
    let (fire, out): (Vec<Told>, Vec<Told>) = fresh.iter().copied().partition(|told| told.burns && !message.over);
    let stale = !late.is_empty();
    put_out(&mut after, message, &out, stale, now);
    let nothing_named = message.alerts.is_empty() || message.more;
    let burns = !message.over
        && !message.guest
        && (!fire.is_empty() || (nothing_named && !stale) || (out.len() == fresh.len() && !stale));
    let raises = if burns { light(&mut after, ended, message, &fire, now) } else { Raises::Nothing };
    let ends = (0..open.len()).filter(|&at| match (&open[at], &after[at]) {
        (Some(before), Some(left)) => before.burns() && !left.burns(),
        // Nobody noted what burnt in it: it is from before, and ends as it did then.
        (None, None) => message.over && !(stale && out.is_empty()),
        _ => false,
    });
    Heard { ends: ends.collect(), open: after, raises, stale }
}

/// What a message says to be over of which nobody has said that it burns: the word that it does may still be on its way, and is late then.
/// Without a time nothing can be known of that. `known`: what burns, and what burnt in what was over lately.
pub fn ends_alone<'b>(known: impl IntoIterator<Item = &'b Burning>, message: &Message, now: DateTime<Utc>) -> Option<Burning> {
    let known: Vec<&Burning> = known.into_iter().collect();
    let ends = message.alerts.iter().filter(|told| !told.burns || message.over).filter_map(|told| {
        let ended_at = past(told.ends_at, now)?;
        let over = Over { ended_at: Some(ended_at), heard_at: now };
        let named = Named { starts_at: past(told.starts_at, now), over: Some(over), until: None, last_end: None };
        let told_before = known.iter().flat_map(|burning| burning.0.values()).filter_map(|word| word.alerts.get(&told.mark));
        // An end that is later than the known one is that of another fire.
        let is_known = |known: &Named| told.until.is_none() || known.over.is_none_or(|over| over.ended_at >= Some(ended_at));
        (!told_before.into_iter().any(is_known)).then_some((told.mark, named))
    });
    let alerts: BTreeMap<Mark, Named> = ends.take(MOST_ALONE).collect();
    (!alerts.is_empty()).then(|| Burning([(message.address.clone(), Word { alerts, more: false })].into()))
}

/// Takes away what is over.
fn put_out(open: &mut [Option<Burning>], message: &Message, out: &[Told], stale: bool, now: DateTime<Utc>) {
    let address = message.address.as_str();
    let own: BTreeSet<Mark> = out
        .iter()
        .map(|told| told.mark)
        .filter(|mark| open.iter().flatten().any(|burning| burning.named_by(address, *mark).is_some()))
        .collect();
    for burning in open.iter_mut().flatten() {
        let touched = out.iter().any(|told| burning.ever(told.mark));
        for told in out {
            burning.put_out(own.contains(&told.mark).then_some(address), told, now);
        }
        if !message.over || stale {
            continue;
        }
        let over = Over { ended_at: None, heard_at: now };
        if let Some(word) = burning.0.get_mut(address) {
            // Whatever it had named in this group is over, also what it does not name again: it may have been silenced meanwhile.
            word.more = false;
            word.alerts.values_mut().filter(|named| named.over.is_none()).for_each(|named| named.over = Some(over));
        } else if touched && burning.0.values().all(|word| word.alerts.values().all(|named| named.over.is_some())) {
            // A peer speaks for the whole group: what the other one did not name is over with what it named.
            burning.0.values_mut().for_each(|word| word.more = false);
        }
    }
}

/// Finds the alarm of what burns, or makes one.
fn light(open: &mut [Option<Burning>], ended: &[Burning], message: &Message, fire: &[Told], now: DateTime<Utc>) -> Raises {
    let overlaps = |burning: &Burning| fire.iter().any(|told| burning.burning(told.mark));
    let knows = |burning: &Burning| burning.0.contains_key(&message.address);
    let first = |fits: &dyn Fn(&Burning) -> bool| open.iter().position(|burning| burning.as_ref().is_some_and(fits));
    let found = first(&|burning| knows(burning) && overlaps(burning)).or_else(|| first(&knows)).or_else(|| first(&overlaps));
    if let Some((at, burning)) = found.and_then(|at| Some((at, open.get_mut(at)?.as_mut()?))) {
        return Raises::Repeats { open: at, new: burning.light(message, fire, now) };
    }
    let mut burning = Burning::default();
    burning.light(message, fire, now);
    match open.iter().position(Option::is_none) {
        Some(at) => {
            open[at] = Some(burning);
            Raises::Repeats { open: at, new: Vec::new() }
        }
        None => Raises::Own { burning, again: again(ended, message, fire, now) },
    }
}

/// The one among those that are over that this address told of, or else that had one of these alerts.
fn again(ended: &[Burning], message: &Message, fire: &[Told], now: DateTime<Utc>) -> Option<Again> {
    let knows = |burning: &Burning| burning.0.contains_key(&message.address);
    let ever = |burning: &Burning, told: &Told| burning.ever(told.mark);
    let found = ended.iter().position(knows);
    let found = found.or_else(|| ended.iter().position(|burning| fire.iter().any(|told| ever(burning, told))))?;
    let mut burning = ended[found].clone();
    let new = fire.iter().any(|told| !ever(&burning, told));
    burning.light(message, fire, now);
    Some(Again { ended: found, burning, new })
}

/// What is said to come is not known to have been: then the arrival counts, which tells nothing of messages that overtake each other.
fn past(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    at.filter(|at| *at <= now)
}

/// A word that something burns, sent before the word that it is over, and heard after it.
fn was_over_already(told: &Told, named: &Named, now: DateTime<Utc>) -> bool {
    let (Some(over), Some(starts_at)) = (named.over, past(told.starts_at, now)) else { return false };
    // Said after the latest word of before its end: somebody else still sees it, or it was no end.
    if told.until.zip(named.until).is_some_and(|(until, last)| until > last) {
        return false;
    }
    let same = named.starts_at == Some(starts_at) || over.ended_at.is_some_and(|ended_at| starts_at < ended_at);
    same && now - over.heard_at < SENDERS_RETRY
}

/// A word that something is over, which it was before it began to burn as it does now.
fn is_of_an_earlier_fire(told: &Told, named: &Named, now: DateTime<Utc>) -> bool {
    let is_told_again =
        told.until.is_some() && named.over.is_none() && told.ends_at.is_some_and(|end| Some(end) <= named.last_end);
    if is_told_again {
        return true;
    }
    let burns_since = named.starts_at.filter(|_| named.over.is_none());
    burns_since.zip(past(told.ends_at, now)).is_some_and(|(starts_at, ended_at)| ended_at < starts_at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn told(mark: u64, burns: bool) -> Told {
        Told { mark: Mark(mark), burns, starts_at: None, ends_at: None, until: None }
    }

    fn says(address: &str, over: bool, marks: &[u64]) -> Message {
        let alerts = marks.iter().map(|mark| told(*mark, !over)).collect();
        Message { address: address.to_owned(), over, alerts, ..Message::default() }
    }

    /// The open alarms of one group, as an engine would keep them.
    #[derive(Default)]
    struct World {
        open: Vec<Option<Burning>>,
        ended: Vec<Burning>,
    }

    impl World {
        fn hear(&mut self, message: &Message, now: DateTime<Utc>) -> Heard {
            let heard = hear(&self.open, &self.ended, message, now);
            self.open.clone_from(&heard.open);
            for at in heard.ends.iter().rev() {
                self.ended.extend(self.open.remove(*at));
            }
            if let Raises::Own { burning, .. } = &heard.raises {
                self.open.push(Some(burning.clone()));
            }
            heard
        }
    }

    #[test]
    fn a_burning_alarm_is_read_as_it_was_written() {
        let mut world = World::default();
        world.hear(&Message { more: true, ..says("a", false, &[1, u64::MAX]) }, at(0));
        world.hear(&Message { alerts: vec![Told { ends_at: Some(at(3)), ..told(1, false) }], ..says("a", false, &[]) }, at(5));
        let text = serde_json::to_string(&world.open).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Option<Burning>>>(&text).unwrap(), world.open, "{text}");
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        let mut world = World::default();
        let burns =
            |start| Message { alerts: vec![Told { starts_at: Some(at(start)), ..told(1, true) }], ..says("a", false, &[]) };
        let over = |start, end| Message {
            alerts: vec![Told { starts_at: Some(at(start)), ends_at: Some(at(end)), ..told(1, false) }],
            ..says("a", true, &[])
        };
        world.hear(&burns(10), at(20));
        assert_eq!(world.hear(&over(0, 5), at(21)).raises, Raises::Nothing);
        assert_eq!(world.open.len(), 1, "that was an earlier fire");
        world.hear(&over(10, 30), at(31));
        assert!(world.open.is_empty());
        for start in [10, 8] {
            let heard = world.hear(&burns(start), at(40));
            assert!(heard.stale && heard.raises == Raises::Nothing, "{start}");
        }
        assert!(matches!(world.hear(&burns(30), at(41)).raises, Raises::Own { .. }), "equal times go by arrival");
        world.hear(&over(30, 50), at(51));
        assert!(matches!(world.hear(&burns(60), at(55)).raises, Raises::Own { .. }), "what is yet to come counts as it arrives");
        world.hear(&over(55, 58), at(58));
        assert!(matches!(world.hear(&burns(10), at(58) + SENDERS_RETRY).raises, Raises::Own { .. }), "in doubt it rings");
    }

    /// A sender that says every minute what it sees, and until when that holds.
    fn state(start: i64, until: i64) -> Message {
        let told = Told { starts_at: Some(at(start)), until: Some(at(until)), ..told(1, true) };
        Message { alerts: vec![told], ..Message::default() }
    }

    fn hears(world: &mut World, message: &Message, now: i64) -> Heard {
        let (meant, _) = meant(&world.open, &world.ended, message, at(now));
        world.hear(&meant, at(now))
    }

    #[test]
    fn a_state_is_told_by_how_its_end_moves() {
        let mut world = World::default();
        assert!(matches!(hears(&mut world, &state(0, 300), 60).raises, Raises::Own { .. }));
        assert!(matches!(hears(&mut world, &state(0, 360), 120).raises, Raises::Repeats { .. }));
        // Its clock, or ours, has jumped by an hour.
        assert!(matches!(hears(&mut world, &state(0, 420), 3_780).raises, Raises::Repeats { .. }), "it still moves on");
        assert!(!hears(&mut world, &state(0, 415), 3_840).ends.is_empty(), "it was over before the last word had run out");
        // Of a clock that is ahead.
        let mut world = World::default();
        hears(&mut world, &state(0, 300), 30);
        assert!(!hears(&mut world, &state(0, 110), 80).ends.is_empty());
    }

    #[test]
    fn two_that_watch_the_same_end_it_together_and_none_of_them_mutes_the_other() {
        let mut world = World::default();
        hears(&mut world, &state(0, 300), 60);
        hears(&mut world, &state(0, 315), 75);
        // The first sees nothing any more; the second one still does.
        assert!(!hears(&mut world, &state(0, 120), 121).ends.is_empty());
        assert!(matches!(hears(&mut world, &state(0, 375), 135).raises, Raises::Own { .. }), "it burns: somebody is rung");
        assert!(hears(&mut world, &state(0, 120), 181).ends.is_empty(), "the same end told again is none of this fire");
        assert!(!hears(&mut world, &state(0, 195), 195).ends.is_empty());
        for (until, now) in [(120, 241), (195, 255)] {
            let heard = hears(&mut world, &state(0, until), now);
            assert!(heard.ends.is_empty() && heard.raises == Raises::Nothing, "both tell their ends again");
        }
        // A word from before the end that comes after it.
        assert_eq!(hears(&mut world, &state(0, 370), 260).raises, Raises::Nothing);
    }

    #[test]
    fn an_end_that_moves_is_that_of_a_clock_that_is_behind() {
        let over = |start, end| meant(&[], &[], &state(start, end), at(1_000)).0;
        let alone = ends_alone(&[], &over(0, 100), at(1_000)).unwrap();
        assert!(end_moves(&alone, &over(0, 160)));
        assert!(!end_moves(&alone, &over(0, 100)) && !end_moves(&alone, &over(7, 160)), "told again, or by another one");
        // From then on it moves on, and stands still at its end.
        let mut world = World { ended: vec![alone], ..World::default() };
        let first = Told { starts_at: None, until: Some(at(160)), ..told(1, true) };
        let surely = Message { alerts: vec![first], as_said: true, ..Message::default() };
        assert!(matches!(hears(&mut world, &surely, 1_000).raises, Raises::Own { .. }));
        // What came alone is asked for only where an alarm would be raised.
        world.ended.clear();
        assert!(matches!(hears(&mut world, &state(0, 220), 1_060).raises, Raises::Repeats { .. }));
        assert!(!hears(&mut world, &state(0, 215), 1_120).ends.is_empty());
    }

    #[test]
    fn a_beginning_that_comes_after_its_end_raises_nothing() {
        let over = |ends_at| Message { alerts: vec![Told { ends_at, ..told(1, false) }], ..says("a", true, &[]) };
        let burns =
            |start| Message { alerts: vec![Told { starts_at: Some(at(start)), ..told(1, true) }], ..says("a", false, &[]) };
        let alone = ends_alone(&[], &over(Some(at(30))), at(31)).unwrap();
        let raised = |message: &Message, now| hear(&[], std::slice::from_ref(&alone), message, at(now)).raises != Raises::Nothing;
        assert!(!raised(&burns(10), 40), "it was over when it was told");
        assert!(raised(&burns(30), 40) && raised(&burns(35), 40), "another fire");
        assert!(raised(&Message { alerts: vec![told(1, true)], ..burns(0) }, 40), "without a time it rings");
        assert!(raised(&Message { address: "b".to_owned(), ..burns(10) }, 40), "somebody else's word");
        assert!(raised(&burns(10), 31 + 3600), "nobody still tries by then");
        for nothing in [over(None), over(Some(at(99))), says("a", true, &[]), burns(10)] {
            assert_eq!(ends_alone(&[], &nothing, at(31)), None, "{nothing:?}");
        }
        let mut known = Burning::default();
        known.light(&burns(10), &burns(10).alerts, at(11));
        assert_eq!(ends_alone(&[known], &over(Some(at(30))), at(31)), None, "it was heard of");
        let many: Vec<u64> = (0..5_000).collect();
        let alerts = says("a", true, &many).alerts.into_iter().map(|told| Told { ends_at: Some(at(1)), ..told }).collect();
        let kept = ends_alone(&[], &Message { alerts, ..says("a", true, &[]) }, at(2)).unwrap();
        assert_eq!(kept.0["a"].alerts.len(), MOST_ALONE);
    }

    #[test]
    fn room_is_bounded_and_what_has_none_burns_until_the_group_is_over() {
        let mut world = World::default();
        let all: Vec<u64> = (0..MOST_ALERTS as u64 + 10).collect();
        world.hear(&says("a", false, &all), at(0));
        let Message { address, alerts, .. } = says("a", true, &all[..MOST_ALERTS]);
        world.hear(&Message { address, alerts, ..Message::default() }, at(1));
        assert_eq!(world.open.len(), 1, "ten of them have no name");
        world.hear(&Message { more: true, ..says("b", true, &all[..MOST_ALERTS]) }, at(2));
        assert!(world.open.is_empty(), "a peer says that the group is over");
    }

    #[test]
    fn who_names_nothing_burns_and_ends_as_a_whole() {
        let mut world = World::default();
        assert!(matches!(world.hear(&says("a", false, &[]), at(0)).raises, Raises::Own { .. }));
        assert!(matches!(world.hear(&says("b", false, &[1]), at(0)).raises, Raises::Own { .. }));
        world.hear(&says("b", true, &[]), at(1));
        assert_eq!(world.open.len(), 1);
        world.hear(&says("a", true, &[]), at(1));
        assert!(world.open.is_empty());
    }

    proptest! {
        /// Whatever the order: what an address says to burn, and nobody whose word counts says to be over, burns in an open alarm, and
        /// nothing else keeps one open.
        #[test]
        fn what_burns_is_what_was_said(
            words in prop::collection::vec((0_usize..3, any::<bool>(), prop::collection::btree_set(0_u64..5, 1..4)), 1..40),
        ) {
            let addresses = ["a", "b", "c"];
            let mut world = World::default();
            // By address and alert: `true` while it burns.
            let mut named: BTreeMap<(usize, u64), bool> = BTreeMap::new();
            for (second, (who, over, marks)) in (0..).zip(words) {
                let marks: Vec<u64> = marks.into_iter().collect();
                let known = |mark| world.open.iter().flatten().any(|one| one.named_by(addresses[who], mark).is_some());
                let spoken_for: Vec<u64> = marks.iter().copied().filter(|mark| over && !known(Mark(*mark))).collect();
                world.hear(&says(addresses[who], over, &marks), at(second));
                if over {
                    named.iter_mut().filter(|((whose, _), _)| *whose == who).for_each(|(_, burns)| *burns = false);
                    named.iter_mut().filter(|((_, mark), _)| spoken_for.contains(mark)).for_each(|(_, burns)| *burns = false);
                } else {
                    named.extend(marks.iter().map(|mark| ((who, *mark), true)));
                }
                for mark in 0..5 {
                    let expected = (0..3).any(|who| named.get(&(who, mark)) == Some(&true));
                    let burns = world.open.iter().flatten().any(|one| one.burning(Mark(mark)));
                    prop_assert_eq!(burns, expected, "alert {} at {}", mark, second);
                }
                prop_assert!(world.open.iter().flatten().all(Burning::burns), "an alarm in which nothing burns is over");
            }
        }

        /// Who never heard of the alerts of another cannot end its alarm.
        #[test]
        fn a_stranger_ends_nothing(words in prop::collection::vec((any::<bool>(), prop::collection::vec(10_u64..15, 0..4)), 0..20)) {
            let mut world = World::default();
            world.hear(&says("a", false, &[1, 2]), at(0));
            for (over, marks) in words {
                world.hear(&says("b", over, &marks), at(1));
            }
            prop_assert!(world.open.iter().flatten().any(|one| one.burning(Mark(1)) && one.burning(Mark(2))));
        }

        /// One address, one group: one alarm.
        #[test]
        fn one_address_has_one_alarm(words in prop::collection::vec((any::<bool>(), prop::collection::vec(0_u64..9, 0..4)), 0..30)) {
            let mut world = World::default();
            for (over, marks) in words {
                world.hear(&says("a", over, &marks), at(1));
                prop_assert!(world.open.len() <= 1);
            }
        }
    }
}
