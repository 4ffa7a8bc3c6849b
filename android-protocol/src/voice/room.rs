//! Rooms of calls, each of which runs by its own clock.
//!
//! Something may be played to a room, and a room may be recorded: for everybody in it, until nobody is, whoever asked for it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    FRAME,
    mixer::{Frame, Jitter, Mixer},
};

/// Who asked for something: what became of it is told under this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The call in whose name it was asked for.
    pub mid: String,
    /// The number of the command.
    pub ack: i64,
}

/// What becomes of something that was asked for of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomNews {
    /// It has begun.
    Begun(By),
    /// It was played to its end.
    Played(By),
    /// It was stopped.
    Stopped(By),
    /// This was recorded; perhaps nothing.
    Recorded(By, Vec<i16>),
}

/// What is played to everybody.
#[derive(Debug, Clone)]
struct Playing {
    by: By,
    sounds: Vec<Arc<[i16]>>,
    /// Which of them is next, and how far it is played.
    next: usize,
    at: usize,
    looped: bool,
}

impl Playing {
    /// The next frame, and whether it was the last.
    fn frame(&mut self) -> (Frame, bool) {
        let mut frame = [0; FRAME];
        let mut filled = 0;
        let mut rounds = 0;
        while filled < FRAME {
            let Some(sound) = self.sounds.get(self.next) else {
                rounds += 1;
                // What has no sound at all is not gone round for ever.
                if !self.looped || (rounds > 1 && filled == 0) {
                    return (frame, true);
                }
                self.next = 0;
                continue;
            };
            let rest = sound.get(self.at..).unwrap_or_default();
            let now = rest.len().min(FRAME - filled);
            frame[filled..filled + now].copy_from_slice(&rest[..now]);
            filled += now;
            self.at += now;
            if self.at >= sound.len() {
                (self.next, self.at) = (self.next + 1, 0);
            }
        }
        (frame, !self.looped && self.next >= self.sounds.len())
    }
}

/// What is kept of everybody.
#[derive(Debug, Clone)]
struct Recording {
    by: By,
    samples: Vec<i16>,
    most: usize,
}

/// A room.
///
/// One of those in it sets the pace: the first, and when that leaves, the next. Whoever comes late hears what was held back for it.
#[derive(Debug, Clone, Default)]
struct Room {
    mixer: Mixer,
    hears: BTreeMap<u32, Ear>,
    playing: Option<Playing>,
    recording: Option<Recording>,
}

/// What one of those in a room hears.
#[derive(Debug, Clone, Default)]
struct Ear {
    held: Jitter,
    /// Not the others, only what is played to all.
    deaf: bool,
}

impl Room {
    fn exchange(&mut self, who: u32, said: Option<&Frame>, news: &mut Vec<RoomNews>) -> Option<Frame> {
        if let Some(said) = said {
            self.mixer.heard(who, *said);
        }
        if self.hears.keys().next() == Some(&who) {
            let (all, each) = self.mixer.mix();
            let played = self.played(news);
            self.keep(&together(all, played.as_ref()), news);
            let mut own = None;
            for (other, frame) in each {
                let Some(ear) = self.hears.get_mut(&other) else { continue };
                let frame = together(if ear.deaf { [0; FRAME] } else { frame }, played.as_ref());
                if other == who {
                    own = Some(frame);
                } else {
                    ear.held.put(frame);
                }
            }
            return own;
        }
        self.hears.get_mut(&who).and_then(|ear| ear.held.take())
    }

    fn played(&mut self, news: &mut Vec<RoomNews>) -> Option<Frame> {
        let (frame, last) = self.playing.as_mut()?.frame();
        if last && let Some(playing) = self.playing.take() {
            news.push(RoomNews::Played(playing.by));
        }
        Some(frame)
    }

    fn keep(&mut self, frame: &Frame, news: &mut Vec<RoomNews>) {
        let Some(recording) = &mut self.recording else { return };
        recording.samples.extend(frame);
        if recording.samples.len() >= recording.most {
            self.end_recording(news);
        }
    }

    fn stop(&mut self, news: &mut Vec<RoomNews>) {
        news.extend(self.playing.take().map(|playing| RoomNews::Stopped(playing.by)));
    }

    fn end_recording(&mut self, news: &mut Vec<RoomNews>) {
        news.extend(self.recording.take().map(|recording| RoomNews::Recorded(recording.by, recording.samples)));
    }
}

/// Two sounds at once.
fn together(mut frame: Frame, more: Option<&Frame>) -> Frame {
    for (sample, more) in frame.iter_mut().zip(more.into_iter().flatten()) {
        *sample = sample.saturating_add(*more);
    }
    frame
}

/// All rooms, by their names. A room is there as long as somebody is in it, and nobody is in two.
#[derive(Debug, Clone, Default)]
pub struct Rooms {
    rooms: BTreeMap<String, Room>,
    news: Vec<RoomNews>,
}

impl Rooms {
    /// Somebody enters, and leaves the room they were in.
    pub fn join(&mut self, room: &str, who: u32) {
        if !self.rooms.get(room).is_some_and(|room| room.hears.contains_key(&who)) {
            self.leave(who);
            let room = self.rooms.entry(room.to_owned()).or_default();
            room.mixer.join(who);
            room.hears.insert(who, Ear::default());
        }
    }

    /// Whether somebody hears the others, from now on.
    pub fn deafen(&mut self, who: u32, deaf: bool) {
        if let Some(ear) = self.room_of(who).and_then(|(room, _)| room.hears.get_mut(&who)) {
            ear.deaf = deaf;
        }
    }

    /// Somebody leaves, if they are anywhere. What is played in a room and recorded there ends with the last of those in it.
    pub fn leave(&mut self, who: u32) {
        let Self { rooms, news } = self;
        rooms.retain(|_, room| {
            room.mixer.leave(who);
            room.hears.remove(&who);
            let is_over = room.hears.is_empty();
            if is_over {
                room.stop(news);
                room.end_recording(news);
            }
            !is_over
        });
    }

    /// The room in which somebody is, and where it tells its news.
    fn room_of(&mut self, who: u32) -> Option<(&mut Room, &mut Vec<RoomNews>)> {
        let Self { rooms, news } = self;
        rooms.values_mut().find(|room| room.hears.contains_key(&who)).map(|room| (room, news))
    }

    /// Plays this to the room in which somebody is, in place of what is playing there; over and over, if it is `looped`.
    pub fn play(&mut self, who: u32, by: By, sounds: Vec<Arc<[i16]>>, looped: bool) {
        if let Some((room, news)) = self.room_of(who) {
            room.stop(news);
            news.push(RoomNews::Begun(by.clone()));
            room.playing = Some(Playing { by, sounds, next: 0, at: 0, looped });
        }
    }

    /// Plays nothing more there.
    pub fn stop(&mut self, who: u32) {
        if let Some((room, news)) = self.room_of(who) {
            room.stop(news);
        }
    }

    /// Whether the room in which somebody is is being recorded.
    pub fn records(&mut self, who: u32) -> bool {
        self.room_of(who).is_some_and(|(room, _)| room.recording.is_some())
    }

    /// Records everybody in the room in which somebody is, and what is played there, for so many samples at most; unless that is being done.
    pub fn record(&mut self, who: u32, by: By, most: usize) {
        if let Some((room, news)) = self.room_of(who).filter(|(room, _)| room.recording.is_none()) {
            news.push(RoomNews::Begun(by.clone()));
            room.recording = Some(Recording { by, samples: Vec::new(), most });
        }
    }

    /// Records it no longer.
    pub fn end_recording(&mut self, who: u32) {
        if let Some((room, news)) = self.room_of(who) {
            room.end_recording(news);
        }
    }

    /// What has come of what was asked for, since this was asked last.
    pub fn news(&mut self) -> Vec<RoomNews> {
        std::mem::take(&mut self.news)
    }

    /// Every 20 ms of a call in a room: what it says there, nothing where it only listens, and what it hears.
    pub fn exchange(&mut self, who: u32, said: Option<&Frame>) -> Frame {
        self.room_of(who).and_then(|(room, news)| room.exchange(who, said, news)).unwrap_or([0; FRAME])
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

    fn by(ack: i64) -> By {
        By { mid: "m".to_owned(), ack }
    }

    /// What is over by now.
    fn over(rooms: &mut Rooms) -> Vec<RoomNews> {
        rooms.news().into_iter().filter(|news| !matches!(news, RoomNews::Begun(_))).collect()
    }

    fn sound(level: i16, frames: usize) -> Arc<[i16]> {
        vec![level; frames * FRAME].into()
    }

    #[test]
    fn whoever_is_deaf_hears_only_what_is_played_to_all() {
        let mut rooms = Rooms::default();
        (1..=2).for_each(|who| rooms.join("a", who));
        rooms.deafen(2, true);
        let both = [(1, Some(100)), (2, Some(20))];
        assert_eq!(talk(&mut rooms, 20, &both), [20, 0]);
        rooms.play(1, by(1), vec![sound(3, 2)], true);
        assert_eq!(talk(&mut rooms, 20, &both), [23, 3]);
        rooms.deafen(2, false);
        rooms.stop(2);
        assert_eq!(talk(&mut rooms, 20, &both), [20, 100]);
        assert_eq!(over(&mut rooms), [RoomNews::Stopped(by(1))]);
        // The first, which sets the pace, may be deaf too.
        rooms.deafen(1, true);
        assert_eq!(talk(&mut rooms, 20, &both), [0, 100]);
    }

    #[test]
    fn what_is_played_to_a_room_is_heard_by_all_once_or_over_and_over() {
        let mut rooms = Rooms::default();
        (1..=2).for_each(|who| rooms.join("a", who));
        rooms.join("b", 3);
        let all = [(1, None), (2, None), (3, None)];
        rooms.play(2, by(1), vec![sound(7, 1), Vec::new().into(), sound(8, 1)], false);
        let mut heard = vec![Vec::new(); 3];
        for round in 0..8 {
            for (at, level) in talk(&mut rooms, 1, &all).into_iter().enumerate() {
                heard[at].push(level);
            }
            let expected = if round == 1 { vec![RoomNews::Played(by(1))] } else { vec![] };
            assert_eq!(over(&mut rooms), expected, "{round}");
        }
        assert_eq!(heard[0], [7, 8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(heard[1].iter().filter(|level| **level != 0).collect::<Vec<_>>(), [&7, &8]);
        assert_eq!(heard[2], [0; 8]);
        // Another takes its place, and goes on when whoever asked for it has left.
        rooms.play(1, by(2), vec![sound(7, 1)], true);
        rooms.play(1, by(3), vec![sound(9, 1)], true);
        rooms.leave(1);
        assert_eq!((talk(&mut rooms, 20, &[(2, None)]), over(&mut rooms)), (vec![9], vec![RoomNews::Stopped(by(2))]));
        rooms.leave(2);
        assert_eq!(over(&mut rooms), [RoomNews::Stopped(by(3))], "the room is empty");
        // What has no sound is over at once, however often it is to be played.
        rooms.play(3, by(4), vec![Vec::new().into()], true);
        rooms.play(3, by(5), Vec::new(), true);
        talk(&mut rooms, 1, &[(3, None)]);
        assert_eq!(over(&mut rooms), [RoomNews::Stopped(by(4)), RoomNews::Played(by(5))]);
    }

    #[test]
    fn a_recording_of_a_room_is_everybody_and_what_is_played_until_its_time_or_the_last_of_them() {
        let mut rooms = Rooms::default();
        (1..=3).for_each(|who| rooms.join("a", who));
        let all = [(1, Some(100)), (2, Some(20)), (3, None)];
        talk(&mut rooms, 20, &all);
        rooms.record(3, by(1), 4 * FRAME);
        rooms.record(3, by(2), 4 * FRAME);
        assert!(rooms.records(1));
        rooms.play(1, by(3), vec![sound(7, 2)], false);
        talk(&mut rooms, 6, &all);
        let expected = [vec![127; 2 * FRAME], vec![120; 2 * FRAME]].concat();
        assert_eq!(over(&mut rooms), [RoomNews::Played(by(3)), RoomNews::Recorded(by(1), expected)]);
        // Whoever asked for it has left, and it goes on; stopped, or with the last of them, it is over.
        rooms.record(1, by(4), usize::MAX);
        rooms.leave(1);
        talk(&mut rooms, 5, &all);
        rooms.end_recording(2);
        rooms.record(2, by(5), usize::MAX);
        rooms.leave(2);
        rooms.leave(3);
        let last = over(&mut rooms);
        assert!(matches!(&last[..], [RoomNews::Recorded(first, samples), RoomNews::Recorded(last, none)]
            if *first == by(4) && samples.len() == 5 * FRAME && *last == by(5) && none.is_empty()));
        // For nobody in no room nothing is done.
        rooms.play(1, by(6), vec![sound(1, 1)], true);
        rooms.record(1, by(7), 9);
        (1..=3).for_each(|who| rooms.leave(who));
        assert!(over(&mut rooms).is_empty() && rooms.is_empty());
    }

    proptest! {
        /// Whatever is asked for and whoever comes and goes: each thing that was begun is over once, and nobody hears themselves.
        #[test]
        fn everything_asked_of_a_room_is_over_once(steps in proptest::collection::vec((0_u32..4, 0_u8..9), 1..200)) {
            let mut rooms = Rooms::default();
            let (mut asked, mut news) = (Vec::new(), Vec::new());
            for (ack, (who, what)) in (1..).zip(steps) {
                let (is_there, records) = (rooms.room_of(who).is_some(), rooms.records(who));
                match what {
                    0 => rooms.leave(who),
                    1 => rooms.join("a", who),
                    2 => rooms.join("b", who),
                    3 => rooms.play(who, by(ack), vec![sound(0, 2)], ack % 2 == 0),
                    4 => rooms.stop(who),
                    5 => rooms.record(who, by(ack), 3 * FRAME),
                    6 => rooms.end_recording(who),
                    _ => {
                        let heard = rooms.exchange(who, Some(&[1 << who; FRAME]))[0];
                        prop_assert_eq!(heard & 1 << who, 0);
                    }
                }
                asked.extend((is_there && (what == 3 || (what == 5 && !records))).then_some(ack));
                news.extend(rooms.news());
            }
            (0..4).for_each(|who| rooms.leave(who));
            news.extend(rooms.news());
            let acks = |of: fn(&RoomNews) -> Option<&By>| {
                let mut acks: Vec<i64> = news.iter().filter_map(of).map(|by| by.ack).collect();
                acks.sort_unstable();
                acks
            };
            let begun = acks(|news| if let RoomNews::Begun(by) = news { Some(by) } else { None });
            let over = acks(|news| match news {
                RoomNews::Played(by) | RoomNews::Stopped(by) | RoomNews::Recorded(by, _) => Some(by),
                RoomNews::Begun(_) => None,
            });
            prop_assert_eq!(&begun, &asked);
            prop_assert_eq!(over, asked);
        }

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
