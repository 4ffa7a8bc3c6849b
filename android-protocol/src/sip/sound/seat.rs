//! A call's place in a room.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::{mpsc, watch};

use super::Pcm;
use crate::voice::{
    mixer::Frame,
    room::{By, RoomNews, Rooms},
};

/// The rooms of one handset, in which its calls hear each other. Clones are the same ones.
#[derive(Clone)]
pub struct House {
    rooms: Arc<Mutex<Rooms>>,
    next: Arc<AtomicU32>,
    news: mpsc::UnboundedSender<RoomNews>,
    /// How many of these nobody has seen to yet.
    untold: Arc<watch::Sender<usize>>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").finish_non_exhaustive()
    }
}

/// Who hears whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// The others do not hear it.
    pub mute: bool,
    /// It does not hear the others.
    pub deaf: bool,
}

impl House {
    /// A house without rooms, and where it is told what becomes of what is asked for of them; each of it is [`House::seen_to`].
    #[must_use]
    pub fn open() -> (Self, mpsc::UnboundedReceiver<RoomNews>) {
        let (news, told) = mpsc::unbounded_channel();
        (Self { rooms: Arc::default(), next: Arc::default(), news, untold: Arc::new(watch::Sender::new(0)) }, told)
    }

    /// Somebody has seen to one more of the news.
    pub fn seen_to(&self) {
        self.untold.send_modify(|untold| *untold = untold.saturating_sub(1));
    }

    /// Completes when all news was seen to.
    pub async fn told(&self) {
        // It does not end before us.
        let _ = self.untold.subscribe().wait_for(|untold| *untold == 0).await;
    }

    /// A place in a room, which is taken with [`Seat::enter`]; it is free again when the seat is dropped.
    #[must_use]
    pub fn seat(&self, room: &str, manner: Manner) -> Seat {
        let who = self.next.fetch_add(1, Ordering::Relaxed);
        Seat { house: self.clone(), room: room.to_owned(), who, manner }
    }

    /// How many rooms there are.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, what: impl FnOnce(&mut Rooms) -> T) -> T {
        let mut rooms = self.locked();
        let made = what(&mut rooms);
        for news in rooms.news() {
            self.untold.send_modify(|untold| *untold += 1);
            if self.news.send(news).is_err() {
                // Nobody listening is the handset's business.
                self.seen_to();
            }
        }
        made
    }
}

/// A place in a room.
#[derive(Debug)]
pub struct Seat {
    house: House,
    room: String,
    who: u32,
    manner: Manner,
}

impl Seat {
    /// From now on whoever sits here is in the room.
    pub fn enter(&self) {
        self.house.with(|rooms| {
            rooms.join(&self.room, self.who);
            rooms.deafen(self.who, self.manner.deaf);
        });
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// From now on whoever sits here hears and is heard as on another seat.
    pub fn behave_as(&mut self, other: &Self) {
        self.manner = other.manner;
        self.house.with(|rooms| rooms.deafen(self.who, self.manner.deaf));
    }

    /// Every 20 ms: what whoever sits here says, and what is heard here.
    #[must_use]
    pub fn exchange(&self, said: &Frame) -> Frame {
        let said = (!self.manner.mute).then_some(said);
        self.house.with(|rooms| rooms.exchange(self.who, said))
    }

    /// Plays this to everybody in the room, in place of what is played there.
    pub fn play(&self, by: By, sounds: Vec<Pcm>, looped: bool) {
        self.house.with(|rooms| rooms.play(self.who, by, sounds, looped));
    }

    /// Plays nothing more there.
    pub fn stop(&self) {
        self.house.with(|rooms| rooms.stop(self.who));
    }

    /// Whether the room is being recorded.
    #[must_use]
    pub fn records(&self) -> bool {
        self.house.with(|rooms| rooms.records(self.who))
    }

    /// Records everybody in the room, for so many samples at most.
    pub fn record(&self, by: By, most: usize) {
        self.house.with(|rooms| rooms.record(self.who, by, most));
    }

    /// Records it no longer.
    pub fn end_recording(&self) {
        self.house.with(|rooms| rooms.end_recording(self.who));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.house.with(|rooms| rooms.leave(self.who));
    }
}

#[cfg(test)]
mod tests {
    use super::{House, Manner};

    #[test]
    fn a_seat_that_is_not_taken_is_in_no_room() {
        let (house, _told) = House::open();
        let (first, second) = (house.seat("r", Manner::default()), house.seat("r", Manner::default()));
        assert_eq!(house.rooms(), 0);
        second.enter();
        assert_eq!(house.rooms(), 1);
        drop(first);
        assert_eq!(house.rooms(), 1);
        drop(second);
        assert_eq!(house.rooms(), 0);
    }
}
