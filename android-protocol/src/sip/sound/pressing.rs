//! Keys that we press: telephone events in place of frames, or two tones on top of them.

use std::collections::VecDeque;

use crate::voice::{FRAME, keys::TelephoneEvent, mixer::Frame, tone};

/// How long a key is pressed, and how long not before the next one.
const PRESSED_MS: u16 = 160;
const BETWEEN: usize = 6;

/// The amplitude of each of a key's two tones.
const LOUD: f64 = 6000.0;

/// What is sent with, or in place of, one frame.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// A telephone event that began at this time.
    Event(TelephoneEvent, u32),
    /// Sound.
    Tone(Box<Frame>),
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Key(char),
    Done(i64),
}

/// Keys that wait to be pressed.
#[derive(Debug, Clone, Default)]
pub(super) struct Pressing {
    waiting: VecDeque<Step>,
    /// The rest of the key that is being pressed; `None` is the pause after it.
    rest: VecDeque<Option<Sent>>,
}

impl Pressing {
    /// Keys that are none are left out.
    pub(super) fn press(&mut self, number: i64, keys: &str) {
        self.waiting.extend(keys.chars().filter(|key| !TelephoneEvent::press(*key, PRESSED_MS).is_empty()).map(Step::Key));
        self.waiting.push_back(Step::Done(number));
    }

    /// Begins to press nothing more; the numbers whose keys were not all pressed.
    pub(super) fn stop(&mut self) -> Vec<i64> {
        self.waiting.drain(..).filter_map(|step| if let Step::Done(number) = step { Some(number) } else { None }).collect()
    }

    /// Presses nothing more, not even to the end of a key; the numbers whose keys were not all pressed.
    pub(super) fn give_up(&mut self) -> Vec<i64> {
        self.rest.clear();
        self.stop()
    }

    /// For the next frame, which begins at `stamp`: what goes with it, and whether all keys of a number are pressed now.
    pub(super) fn next(&mut self, events: bool, stamp: u32) -> (Option<Sent>, Option<i64>) {
        if self.rest.is_empty() {
            match self.waiting.pop_front() {
                Some(Step::Key(key)) => {
                    let all = TelephoneEvent::press(key, PRESSED_MS);
                    if events {
                        self.rest.extend(all.into_iter().map(|event| Some(Sent::Event(event, stamp))));
                    } else {
                        let sound = tone::tones_of(key).map(|tones| tone::sine(&tones, u64::from(PRESSED_MS), LOUD));
                        self.rest.extend(sound.iter().flat_map(|sound| sound.chunks_exact(FRAME)).map(|piece| {
                            let mut frame = [0; FRAME];
                            frame.copy_from_slice(piece);
                            Some(Sent::Tone(Box::new(frame)))
                        }));
                    }
                    self.rest.extend(std::iter::repeat_n(None, BETWEEN));
                }
                Some(Step::Done(number)) => return (None, Some(number)),
                None => {}
            }
        }
        (self.rest.pop_front().flatten(), None)
    }
}
