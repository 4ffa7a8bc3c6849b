//! Who waits for something to do, and who is woken when there is something: as many as are due, the one that has waited longest first.
//! Pure: no clock, no I/O, and nobody is really woken here.
//!
//! Whoever is woken looks, and either leaves with what it found or sleeps again; then the next one is woken, until each has looked once
//! since it was last heard what is due. So what is due finds whoever can take it, if there is one, and costs one look for each that cannot.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::ids::HandsetId;
use crate::needs::Words;

/// One who waits; a handset may wait more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// So many things that anybody may take.
    pub for_anyone: usize,
    /// What is needed for things that only those may take who can do all that. There are few of these, so that all of them are woken.
    pub for_able: BTreeSet<Words>,
    /// Those for whom there is something that nobody else may take.
    pub for_one: HashSet<HandsetId>,
    /// The channels on which there is such a thing.
    pub for_channel: HashSet<(HandsetId, i32)>,
}

impl Due {
    /// Whether there is something that not everybody may take, and this one may.
    fn is_for(&self, who: &Who) -> bool {
        self.for_one.contains(&who.handset)
            || self.for_channel.contains(&(who.handset, who.channel))
            || self.for_able.iter().any(|needs| who.can.cover(needs))
    }
}

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Which handset.
    pub handset: HandsetId,
    /// On which of its channels.
    pub channel: i32,
    /// What it can do.
    pub can: Words,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Waiting {
    places: HashMap<Ticket, Place>,
    of: HashMap<HandsetId, BTreeSet<Ticket>>,
    /// Those that can do anything that may be needed.
    able: BTreeSet<Ticket>,
    /// Asleep, and has not looked since it was heard what is due: in the order in which they are woken.
    fresh: BTreeMap<u64, Ticket>,
    /// Asleep, and has looked in vain.
    looked: BTreeMap<u64, Ticket>,
    due: Due,
    round: u64,
    next: u64,
    /// How many look because of something that anybody may take.
    looking: usize,
}

#[derive(Debug)]
struct Place {
    who: Who,
    is: Is,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// At this place of `fresh` or `looked`.
    Asleep { turn: u64 },
    /// Since this round.
    Awake { round: u64, for_anyone: bool },
}

impl Waiting {
    /// Somebody comes, and looks first of all.
    pub fn come(&mut self, who: Who) -> Ticket {
        let ticket = Ticket(self.turn());
        self.of.entry(who.handset).or_default().insert(ticket);
        if !who.can.is_empty() {
            self.able.insert(ticket);
        }
        self.places.insert(ticket, Place { who, is: Is::Awake { round: self.round, for_anyone: false } });
        ticket
    }

    /// It found nothing for itself, and sleeps. Gives whom to wake instead: itself, when what was heard while it looked may have come too
    /// late for that look.
    pub fn sleep(&mut self, ticket: Ticket) -> Vec<Ticket> {
        let turn = self.turn();
        let Some(place) = self.places.get_mut(&ticket) else { return Vec::new() };
        let Is::Awake { round, for_anyone } = place.is else { return Vec::new() };
        self.looking -= usize::from(for_anyone);
        let too_early = round != self.round;
        if too_early && self.due.is_for(&place.who) {
            place.is = Is::Awake { round: self.round, for_anyone: false };
            return vec![ticket];
        }
        place.is = Is::Asleep { turn };
        let asleep = if too_early { &mut self.fresh } else { &mut self.looked };
        asleep.insert(turn, ticket);
        self.wake()
    }

    /// It leaves; `with` what it found, or without. Gives whom to wake instead.
    pub fn leave(&mut self, ticket: Ticket, with: bool) -> Vec<Ticket> {
        let Some(place) = self.places.remove(&ticket) else { return Vec::new() };
        let handset = place.who.handset;
        self.able.remove(&ticket);
        if let Some(tickets) = self.of.get_mut(&handset) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.of.remove(&handset);
            }
        }
        match place.is {
            Is::Asleep { turn } => {
                self.fresh.remove(&turn);
                self.looked.remove(&turn);
                return Vec::new();
            }
            Is::Awake { for_anyone, .. } => self.looking -= usize::from(for_anyone),
        }
        if with {
            // Until it is heard again, there is one thing less to do.
            self.due.for_anyone = self.due.for_anyone.saturating_sub(1);
        }
        self.wake()
    }

    /// It was heard what is due now. Gives whom to wake.
    pub fn heard(&mut self, due: Due) -> Vec<Ticket> {
        self.due = due;
        self.round += 1;
        self.fresh.append(&mut self.looked);
        let mut woken = Vec::new();
        let named = self.due.for_one.iter().chain(self.due.for_channel.iter().map(|(handset, _)| handset));
        let able = self.able.iter().filter(|_| !self.due.for_able.is_empty());
        for ticket in named.filter_map(|handset| self.of.get(handset)).flatten().chain(able) {
            if let Some(place) = self.places.get_mut(ticket)
                && self.due.is_for(&place.who)
                && let Is::Asleep { turn } = place.is
            {
                self.fresh.remove(&turn);
                place.is = Is::Awake { round: self.round, for_anyone: false };
                woken.push(*ticket);
            }
        }
        woken.extend(self.wake());
        woken
    }

    /// Everybody's handset, each once.
    pub fn handsets(&self) -> impl Iterator<Item = HandsetId> + '_ {
        self.of.keys().copied()
    }

    fn wake(&mut self) -> Vec<Ticket> {
        let mut woken = Vec::new();
        while self.looking < self.due.for_anyone
            && let Some((_, ticket)) = self.fresh.pop_first()
        {
            if let Some(place) = self.places.get_mut(&ticket) {
                place.is = Is::Awake { round: self.round, for_anyone: true };
                self.looking += 1;
                woken.push(ticket);
            }
        }
        woken
    }

    fn turn(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn handset(number: u8) -> HandsetId {
        HandsetId(Uuid::from_u128(number.into()))
    }

    /// On one of two channels; every third one can speak.
    fn who(number: u8) -> Who {
        let can = if number.is_multiple_of(3) { Words::read("tts,dtmf,hangup") } else { Words::default() };
        Who { handset: handset(number), channel: 0, can }
    }

    /// Something to do, and who can take it.
    #[derive(Clone, Debug)]
    struct Hunt {
        takers: HashSet<HandsetId>,
        only: Option<HandsetId>,
        needs: Words,
    }

    /// Handsets that wait, hunts, and what each does that is awake.
    #[derive(Default)]
    struct World {
        waiting: Waiting,
        awake: BTreeMap<Ticket, Who>,
        asleep: BTreeMap<Ticket, Who>,
        hunts: Vec<Hunt>,
        taken: usize,
    }

    impl World {
        fn due(&self) -> Due {
            Due {
                for_anyone: self.hunts.iter().filter(|hunt| hunt.only.is_none() && hunt.needs.is_empty()).count(),
                for_able: self.hunts.iter().map(|hunt| hunt.needs.clone()).filter(|needs| !needs.is_empty()).collect(),
                for_one: self.hunts.iter().filter_map(|hunt| hunt.only).collect(),
                for_channel: HashSet::new(),
            }
        }

        fn wake(&mut self, tickets: Vec<Ticket>) {
            for ticket in tickets {
                // Only who sleeps is woken.
                let who = self.asleep.remove(&ticket).unwrap();
                self.awake.insert(ticket, who);
            }
            assert!(self.waiting.looking <= self.awake.len(), "who is counted as looking is awake");
        }

        fn hear(&mut self) {
            let due = self.due();
            let woken = self.waiting.heard(due);
            self.wake(woken);
        }

        /// The first that is awake looks: it takes what it can, which is announced, or sleeps.
        fn look(&mut self) {
            let Some((ticket, who)) = self.awake.pop_first() else { return };
            match self.hunts.iter().position(|hunt| takes(hunt, &who)) {
                Some(at) => {
                    self.hunts.remove(at);
                    self.taken += 1;
                    let woken = self.waiting.leave(ticket, true);
                    self.wake(woken);
                    self.hear();
                }
                None => {
                    self.asleep.insert(ticket, who);
                    let woken = self.waiting.sleep(ticket);
                    self.wake(woken);
                }
            }
        }
    }

    fn takes(hunt: &Hunt, who: &Who) -> bool {
        hunt.takers.contains(&who.handset) && hunt.only.is_none_or(|only| only == who.handset) && who.can.cover(&hunt.needs)
    }

    #[derive(Clone, Debug)]
    enum Move {
        Come(u8),
        /// One that sleeps hangs up, or one that looks.
        Leave(usize, bool),
        Due(Vec<u8>, Option<u8>, bool),
        /// A change is announced, or a second has passed.
        Hear,
        Look,
    }

    fn a_move() -> impl Strategy<Value = Move> {
        prop_oneof![
            3 => (0..6_u8).prop_map(Move::Come),
            1 => (any::<usize>(), any::<bool>()).prop_map(|(which, asleep)| Move::Leave(which, asleep)),
            3 => (prop::collection::vec(0..6_u8, 0..4), prop::option::weighted(0.2, 0..6_u8), prop::bool::weighted(0.3))
                .prop_map(|(takers, only, speaks)| Move::Due(takers, only, speaks)),
            2 => Just(Move::Hear),
            4 => Just(Move::Look),
        ]
    }

    proptest! {
        /// Whatever came before: once it is heard what is due, everything is taken that a waiting handset can take, before it is heard
        /// again, a second later at the latest.
        #[test]
        fn nothing_waits_that_somebody_can_take(moves in prop::collection::vec(a_move(), 0..60)) {
            let mut world = World::default();
            for next in moves {
                match next {
                    Move::Come(number) => {
                        let ticket = world.waiting.come(who(number));
                        world.awake.insert(ticket, who(number));
                    }
                    Move::Leave(which, asleep) => {
                        let from = if asleep { &mut world.asleep } else { &mut world.awake };
                        if let Some(ticket) = from.keys().nth(which % from.len().max(1)).copied() {
                            from.remove(&ticket);
                            let woken = world.waiting.leave(ticket, false);
                            world.wake(woken);
                        }
                    }
                    Move::Due(takers, only, speaks) => {
                        let needs = if speaks && only.is_none() { Words::read("dtmf,tts") } else { Words::default() };
                        world.hunts.push(Hunt { takers: takers.into_iter().map(handset).collect(), only: only.map(handset), needs });
                    }
                    Move::Hear => world.hear(),
                    Move::Look => world.look(),
                }
            }
            world.hear();
            let (before, waiting) = (world.taken, world.awake.len() + world.asleep.len());
            let mut looks = 0;
            while !world.awake.is_empty() {
                world.look();
                looks += 1;
                // Each that takes something is heard of, and then all may look once more: those that were looking, once more after that.
                prop_assert!(looks <= (world.taken - before + 1) * 2 * waiting, "they wake each other for ever");
            }
            for hunt in &world.hunts {
                let taker = world.asleep.values().find(|who| takes(hunt, who));
                prop_assert!(taker.is_none(), "{taker:?} sleeps, and {hunt:?} waits");
            }
        }
    }

    #[test]
    fn as_many_are_woken_as_are_due() {
        let mut waiting = Waiting::default();
        let tickets: Vec<Ticket> = (0..100).map(|number| waiting.come(who(number))).collect();
        for ticket in &tickets {
            assert!(waiting.sleep(*ticket).is_empty());
        }
        assert!(waiting.heard(Due::default()).is_empty(), "nothing is due: nobody is woken");
        let two = Due { for_anyone: 2, for_one: HashSet::from([handset(7)]), ..Due::default() };
        let woken = waiting.heard(two);
        assert_eq!(woken.len(), 3);
        assert!(woken.contains(&tickets[7]) && woken.contains(&tickets[0]), "the one it is for, and those that waited longest");
        assert_eq!(waiting.leave(woken[1], true).len(), 0, "it took one of the two");
        assert_eq!(waiting.sleep(woken[2]).len(), 1, "it cannot take the other: the next one looks");
    }

    #[test]
    fn who_hangs_up_while_it_looks_leaves_it_to_the_next() {
        let mut waiting = Waiting::default();
        let (first, second) = (waiting.come(who(1)), waiting.come(who(2)));
        waiting.sleep(first);
        waiting.sleep(second);
        let one = Due { for_anyone: 1, ..Due::default() };
        assert_eq!(waiting.heard(one), [first]);
        assert_eq!(waiting.leave(first, false), [second]);
    }

    #[test]
    fn what_is_heard_during_a_look_is_looked_for_once_more() {
        let mut waiting = Waiting::default();
        let only = waiting.come(who(1));
        let one = Due { for_anyone: 1, ..Due::default() };
        assert!(waiting.heard(one).is_empty(), "it looks already, perhaps too early");
        assert_eq!(waiting.sleep(only), [only]);
        assert!(waiting.sleep(only).is_empty());
    }

    #[test]
    fn who_cannot_take_it_sleeps_on() {
        let mut waiting = Waiting::default();
        let tickets: Vec<Ticket> = (0..9).map(|number| waiting.come(who(number))).collect();
        let second = waiting.come(Who { channel: 1, ..who(1) });
        for ticket in tickets.iter().chain([&second]) {
            assert!(waiting.sleep(*ticket).is_empty());
        }
        let spoken = Due { for_able: BTreeSet::from([Words::read("dtmf,tts")]), ..Due::default() };
        assert_eq!(waiting.heard(spoken), [tickets[0], tickets[3], tickets[6]], "those that speak");
        let recorded = Due { for_able: BTreeSet::from([Words::read("dtmf,record,tts")]), ..Due::default() };
        assert!(waiting.heard(recorded).is_empty(), "none of them records");
        let open = Due { for_channel: HashSet::from([(handset(1), 1)]), ..Due::default() };
        assert_eq!(waiting.heard(open), [second], "a dial on one channel wakes no poll for the other");
    }
}
