//! A room: everybody hears everybody but themselves.

use std::collections::{BTreeMap, VecDeque};

use super::FRAME;

/// One frame of 20 ms.
pub type Frame = [i16; FRAME];

/// A voice is first held back for so many frames (60 ms), so that packets that come unevenly leave no gaps.
const HELD: usize = 3;

/// More than so many waiting frames (120 ms) are delay and nothing else: the oldest go.
const MOST: usize = 6;

/// Frames of one voice, evened out.
#[derive(Debug, Clone, Default)]
pub struct Jitter {
    waiting: VecDeque<Frame>,
    /// Whether enough came to begin with.
    flows: bool,
}

impl Jitter {
    /// A frame came.
    pub fn put(&mut self, frame: Frame) {
        self.waiting.push_back(frame);
        if self.waiting.len() > MOST {
            self.waiting.pop_front();
        }
        self.flows |= self.waiting.len() >= HELD;
    }

    /// Every 20 ms: the next frame, if there is one.
    pub fn take(&mut self) -> Option<Frame> {
        let frame = if self.flows { self.waiting.pop_front() } else { None };
        self.flows = frame.is_some();
        frame
    }
}

/// Adds up the voices of a room, frame by frame.
#[derive(Debug, Clone, Default)]
pub struct Mixer {
    voices: BTreeMap<u32, Jitter>,
}

impl Mixer {
    /// Somebody enters; who is in already stays.
    pub fn join(&mut self, who: u32) {
        self.voices.entry(who).or_default();
    }

    /// Somebody leaves.
    pub fn leave(&mut self, who: u32) {
        self.voices.remove(&who);
    }

    /// How many are in the room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.voices.len()
    }

    /// Whether nobody is in the room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.voices.is_empty()
    }

    /// A frame came from somebody in the room; from anybody else it is dropped.
    pub fn heard(&mut self, who: u32, frame: Frame) {
        if let Some(voice) = self.voices.get_mut(&who) {
            voice.put(frame);
        }
    }

    /// Every 20 ms: everybody together, and what each hears. A frame that is missing is silence.
    pub fn mix(&mut self) -> (Frame, Vec<(u32, Frame)>) {
        let mut own: Vec<(u32, Option<Frame>)> = Vec::with_capacity(self.voices.len());
        let mut sum = [0_i32; FRAME];
        for (who, voice) in &mut self.voices {
            let frame = voice.take();
            for (total, sample) in sum.iter_mut().zip(frame.iter().flatten()) {
                *total += i32::from(*sample);
            }
            own.push((*who, frame));
        }
        let hears = |own: Option<Frame>| {
            let mut frame = [0_i16; FRAME];
            for (at, sample) in frame.iter_mut().enumerate() {
                let others = sum[at] - own.map_or(0, |own| i32::from(own[at]));
                *sample = i16::try_from(others).unwrap_or(if others < 0 { i16::MIN } else { i16::MAX });
            }
            frame
        };
        (hears(None), own.into_iter().map(|(who, own)| (who, hears(own))).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::voice::tone;

    #[test]
    fn each_of_three_hears_the_two_others() {
        let tones = [400.0, 700.0, 1100.0];
        let mut room = Mixer::default();
        (0..3).for_each(|who| room.join(who));
        let sounds = tones.map(|f| tone::sine(&[f], 1000, 8000.0));
        let mut ears = vec![Vec::new(); 3];
        for n in 0..50 {
            for (who, sound) in (0_u32..).zip(&sounds) {
                room.heard(who, sound[n * FRAME..][..FRAME].try_into().unwrap());
            }
            for (who, frame) in room.mix().1 {
                ears[usize::try_from(who).unwrap()].extend(frame);
            }
        }
        for (me, heard) in ears.iter().enumerate() {
            // The beginning is held back.
            let heard = &heard[800..];
            for (other, frequency) in tones.into_iter().enumerate() {
                let share = tone::share(heard, frequency);
                assert!(if other == me { share < 0.005 } else { share > 0.4 }, "{me} hears {frequency}: {share}");
            }
        }
    }

    #[test]
    fn strangers_and_those_who_left_are_not_heard() {
        let mut room = Mixer::default();
        room.join(1);
        room.join(2);
        room.heard(3, [9; FRAME]);
        (0..3).for_each(|_| room.heard(1, [5; FRAME]));
        assert_eq!(room.mix(), ([5; FRAME], vec![(1, [0; FRAME]), (2, [5; FRAME])]));
        room.leave(1);
        assert_eq!((room.mix().1, room.len(), room.is_empty()), (vec![(2, [0; FRAME])], 1, false));
    }

    proptest! {
        #[test]
        fn loud_voices_are_clipped_and_delay_is_bounded(samples in proptest::collection::vec(any::<i16>(), 2..40)) {
            let mut room = Mixer::default();
            (0..4).for_each(|who| room.join(who));
            for &sample in &samples {
                (0..4).for_each(|who| room.heard(who, [sample; FRAME]));
            }
            let last = *samples.last().unwrap();
            let mut heard = Vec::new();
            for _ in 0..=MOST {
                heard.push(room.mix().1[0].1[0]);
            }
            if samples.len() >= HELD {
                let expected = i16::try_from(3 * i32::from(last)).unwrap_or(if last < 0 { i16::MIN } else { i16::MAX });
                prop_assert_eq!(heard[samples.len().min(MOST) - 1], expected);
            }
            prop_assert_eq!(heard[MOST], 0);
        }
    }
}
