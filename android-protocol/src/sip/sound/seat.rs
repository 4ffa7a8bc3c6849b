//! A call's place in a room.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::voice::{mixer::Frame, room::Rooms};

/// The rooms of one handset, in which its calls hear each other. Clones are the same ones.
#[derive(Clone, Default)]
pub struct House {
    rooms: Arc<Mutex<Rooms>>,
    next: Arc<AtomicU32>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").finish_non_exhaustive()
    }
}

impl House {
    /// A place in a room, which is taken with [`Seat::enter`]; it is free again when the seat is dropped.
    #[must_use]
    pub fn seat(&self, room: &str, mute: bool) -> Seat {
        let who = self.next.fetch_add(1, Ordering::Relaxed);
        Seat { house: self.clone(), room: room.to_owned(), who, mute }
    }

    /// How many rooms there are.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A place in a room.
#[derive(Debug)]
pub struct Seat {
    house: House,
    room: String,
    who: u32,
    mute: bool,
}

impl Seat {
    /// From now on whoever sits here is in the room.
    pub fn enter(&self) {
        self.house.rooms.lock().unwrap_or_else(PoisonError::into_inner).join(&self.room, self.who);
    }

    /// Every 20 ms: what whoever sits here says, and what is heard here.
    #[must_use]
    pub fn exchange(&self, said: &Frame) -> Frame {
        let said = (!self.mute).then_some(said);
        self.house.rooms.lock().unwrap_or_else(PoisonError::into_inner).exchange(self.who, said)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.house.rooms.lock().unwrap_or_else(PoisonError::into_inner).leave(self.who);
    }
}

#[cfg(test)]
mod tests {
    use super::House;

    #[test]
    fn a_seat_that_is_not_taken_is_in_no_room() {
        let house = House::default();
        let (first, second) = (house.seat("r", false), house.seat("r", false));
        assert_eq!(house.rooms(), 0);
        second.enter();
        assert_eq!(house.rooms(), 1);
        drop(first);
        assert_eq!(house.rooms(), 1);
        drop(second);
        assert_eq!(house.rooms(), 0);
    }
}
