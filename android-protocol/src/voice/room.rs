//! Rooms of calls, each of which runs by its own clock.

use std::collections::BTreeMap;

use super::{
    FRAME,
    mixer::{Frame, Jitter, Mixer},
};

/// A room.
///
/// One of those in it sets the pace: the first, and when that leaves, the next. Whoever comes late hears what was held back for it.
#[derive(Debug, Clone, Default)]
struct Room {
    mixer: Mixer,
    hears: BTreeMap<u32, Jitter>,
}

impl Room {
    fn exchange(&mut self, who: u32, said: Option<&Frame>) -> Option<Frame> {
        if let Some(said) = said {
            self.mixer.heard(who, *said);
        }
        if self.hears.keys().next() == Some(&who) {
            let mut own = None;
            for (other, frame) in self.mixer.mix() {
                if other == who {
                    own = Some(frame);
                } else if let Some(held) = self.hears.get_mut(&other) {
                    held.put(frame);
                }
            }
            return own;
        }
        self.hears.get_mut(&who).and_then(Jitter::take)
    }
}

/// All rooms, by their names. A room is there as long as somebody is in it, and nobody is in two.
#[derive(Debug, Clone, Default)]
pub struct Rooms {
    rooms: BTreeMap<String, Room>,
}

impl Rooms {
    /// Somebody enters, and leaves the room they were in.
    pub fn join(&mut self, room: &str, who: u32) {
        if !self.rooms.get(room).is_some_and(|room| room.hears.contains_key(&who)) {
            self.leave(who);
            let room = self.rooms.entry(room.to_owned()).or_default();
            room.mixer.join(who);
            room.hears.insert(who, Jitter::default());
        }
    }

    /// Somebody leaves, if they are anywhere.
    pub fn leave(&mut self, who: u32) {
        for room in self.rooms.values_mut() {
            room.mixer.leave(who);
            room.hears.remove(&who);
        }
        self.rooms.retain(|_, room| !room.hears.is_empty());
    }

    /// Every 20 ms of a call in a room: what it says there, nothing where it only listens, and what it hears.
    pub fn exchange(&mut self, who: u32, said: Option<&Frame>) -> Frame {
        let room = self.rooms.values_mut().find(|room| room.hears.contains_key(&who));
        room.and_then(|room| room.exchange(who, said)).unwrap_or([0; FRAME])
    }

    /// How many rooms there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether nobody is in any room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everybody says a number of their own, for so many rounds; the last thing that each of them heard.
    fn talk(rooms: &mut Rooms, rounds: usize, who: &[(u32, Option<i16>)]) -> Vec<i16> {
        let mut heard = vec![0; who.len()];
        for _ in 0..rounds {
            for (at, (who, says)) in who.iter().enumerate() {
                heard[at] = rooms.exchange(*who, says.map(|says| [says; FRAME]).as_ref())[0];
            }
        }
        heard
    }

    #[test]
    fn everybody_hears_everybody_but_themselves_and_the_muted() {
        let mut rooms = Rooms::default();
        (1..=3).for_each(|who| rooms.join("a", who));
        rooms.join("b", 4);
        assert_eq!(rooms.len(), 2);
        assert_eq!(talk(&mut rooms, 20, &[(1, Some(100)), (2, Some(20)), (3, None), (4, Some(5))]), [20, 100, 120, 0]);
        // Whoever set the pace leaves, and the room goes on.
        rooms.leave(1);
        assert_eq!(talk(&mut rooms, 20, &[(2, Some(20)), (3, Some(3)), (1, Some(100))]), [3, 20, 0]);
        rooms.join("b", 2);
        rooms.join("b", 2);
        assert_eq!(talk(&mut rooms, 20, &[(2, Some(20)), (4, Some(5)), (3, Some(3))]), [5, 20, 0]);
        (1..=4).for_each(|who| rooms.leave(who));
        assert!(rooms.is_empty(), "a room ends with its last call");
    }

    proptest! {
        #[test]
        fn nobody_hears_themselves_and_nobody_is_in_two_rooms(steps in proptest::collection::vec((0_u32..5, 0_u8..4), 1..200)) {
            let mut rooms = Rooms::default();
            for (who, what) in steps {
                match what {
                    0 => rooms.leave(who),
                    1 => rooms.join("a", who),
                    2 => rooms.join("b", who),
                    // Each has a bit of their own, so that a sum tells who is in it.
                    _ => {
                        let heard = rooms.exchange(who, Some(&[1 << who; FRAME]))[0];
                        prop_assert_eq!(heard & 1 << who, 0);
                    }
                }
                for who in 0..5 {
                    prop_assert!(rooms.rooms.values().filter(|room| room.hears.contains_key(&who)).count() <= 1);
                }
                prop_assert!(rooms.rooms.values().all(|room| !room.hears.is_empty() && room.mixer.len() == room.hears.len()));
            }
        }
    }
}
