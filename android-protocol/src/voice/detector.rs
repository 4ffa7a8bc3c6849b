//! Who answered, a person or a machine: a guess from the first seconds of what is heard.
//!
//! A person says one or two words and waits; a machine talks on, or beeps, or says nothing. The guess is wrong for one in ten even of the cases it
//! was tuned on, so it only shapes how a message is spoken. Only a key proves a person.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FRAME_MS, tone};

/// What the detector thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A few words, then silence.
    Human,
    /// A long greeting, a beep, or nothing at all.
    Machine,
    /// Neither by the end of the time.
    Unknown,
}

impl Verdict {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
        }
    }
}

/// The four classic times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Nothing heard for so long from the answer on: a machine.
    pub initial: Duration,
    /// Talking for longer than this: a machine.
    pub greeting: Duration,
    /// Silence for so long after the first words: a person, who waits.
    pub after: Duration,
    /// No guess by then: unknown.
    pub total: Duration,
}

impl Default for Times {
    /// Those with the fewest errors in the measured cases.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { initial: ms(5000), greeting: ms(2500), after: ms(1000), total: ms(10_000) }
    }
}

/// Sound below this is never a voice: the mean of its samples' sizes.
const FLOOR: u32 = 256;

/// So much sound in one piece is a word.
const WORD: u64 = 100;

/// A gap shorter than this does not end a word.
const GAP: u64 = 60;

/// A pure tone for so long is the beep of a machine.
const BEEP: u64 = 240;

/// Mean size of the samples: how loud a frame is.
#[must_use]
pub fn level(frame: &[i16]) -> u32 {
    let sum: u64 = frame.iter().map(|s| u64::from(s.unsigned_abs())).sum();
    u32::try_from(sum / u64::try_from(frame.len().max(1)).unwrap_or(1)).unwrap_or(u32::MAX)
}

/// Tells voice from the noise of the line, which it learns.
#[derive(Debug, Clone, Default)]
pub struct Voice {
    /// The levels so far, in order of size.
    levels: Vec<u32>,
}

/// Of so many frames the noise is learned: a minute.
const LEARNED: usize = 3000;

impl Voice {
    /// Whether this frame is louder than the line's noise.
    pub fn hears(&mut self, frame: &[i16]) -> bool {
        let level = level(frame);
        if self.levels.len() < LEARNED {
            let at = self.levels.partition_point(|earlier| *earlier < level);
            self.levels.insert(at, level);
        }
        let noise = self.levels.get(self.levels.len() / 10).copied().unwrap_or_default();
        level > FLOOR.max(noise.saturating_mul(5) / 2)
    }
}

/// Listens from the answer on.
#[derive(Debug, Clone)]
pub struct Detector {
    times: Times,
    voice: Voice,
    /// Milliseconds heard.
    heard: u64,
    /// Length of the word that is being said, without its gaps.
    word: u64,
    quiet: u64,
    beep: u64,
    /// When the first word began.
    first_word: Option<u64>,
    verdict: Option<Verdict>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Detector {
    /// A detector with these times.
    #[must_use]
    pub fn new(times: Times) -> Self {
        Self { times, voice: Voice::default(), heard: 0, word: 0, quiet: 0, beep: 0, first_word: None, verdict: None }
    }

    /// What it thinks so far.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// The next frame; answers once, when it has made up its mind.
    pub fn hear(&mut self, frame: &[i16]) -> Option<Verdict> {
        if self.verdict.is_some() {
            return None;
        }
        let voiced = self.voice.hears(frame);
        self.beep = if voiced && is_pure(frame) { self.beep + FRAME_MS } else { 0 };
        if voiced {
            self.quiet = 0;
            self.word += FRAME_MS;
        } else {
            self.quiet += FRAME_MS;
            if self.quiet >= GAP && self.first_word.is_none() {
                self.word = 0;
            }
        }
        self.heard += FRAME_MS;
        if self.word >= WORD && self.first_word.is_none() {
            self.first_word = Some(self.heard.saturating_sub(self.word));
        }
        self.verdict = self.judge();
        self.verdict
    }

    fn judge(&self) -> Option<Verdict> {
        if self.beep >= BEEP {
            return Some(Verdict::Machine);
        }
        match self.first_word {
            None if self.heard >= millis(self.times.initial) => Some(Verdict::Machine),
            Some(_) if self.quiet >= millis(self.times.after) => Some(Verdict::Human),
            // The silence that may turn out to be a person's waiting is not talk.
            Some(began) if self.heard.saturating_sub(began + self.quiet) >= millis(self.times.greeting) => Some(Verdict::Machine),
            _ if self.heard >= millis(self.times.total) => Some(Verdict::Unknown),
            _ => None,
        }
    }
}

/// Whether one frequency of those in which machines beep holds nearly all of the frame.
fn is_pure(frame: &[i16]) -> bool {
    // What a frame can tell apart is 50 Hz wide; a tone between two such places still holds two fifths of its energy in each.
    let coarse = (0..=24).map(|step| 400.0 + 50.0 * f64::from(step));
    let best = coarse.map(|f| (f, tone::share(frame, f))).max_by(|a, b| a.1.total_cmp(&b.1));
    best.is_some_and(|(f, share)| share > 0.3 && (-2..=2).any(|step| tone::share(frame, f + 12.5 * f64::from(step)) > 0.85))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::voice::FRAME;

    /// A piece of sound: silence, or a voice of many tones, or a beep.
    #[derive(Clone, Copy)]
    enum Piece {
        Silent(u64),
        Voice(u64),
        Beep(f64, u64),
    }
    use Piece::{Beep, Silent, Voice as Talk};

    fn sound(pieces: &[Piece], noise: i16) -> Vec<i16> {
        let mut seed = 1_u32;
        let mut random = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i32::from(u16::try_from(seed >> 16).unwrap_or_default()) - 32768
        };
        let mut samples = Vec::new();
        for piece in pieces {
            samples.extend(match *piece {
                Silent(ms) => vec![0; usize::try_from(ms).unwrap_or_default() * 8],
                Beep(frequency, ms) => tone::sine(&[frequency], ms, 9000.0),
                Talk(ms) => tone::sine(&[140.0, 280.0, 420.0, 700.0, 1120.0, 1680.0], ms, 2500.0),
            });
        }
        let add = |s: i16| i32::from(s) + random() * i32::from(noise) / 32768;
        samples.into_iter().map(add).map(|s| i16::try_from(s).unwrap_or_default()).collect()
    }

    fn verdict(times: Times, sound: &[i16]) -> Option<Verdict> {
        let mut detector = Detector::new(times);
        sound.chunks_exact(FRAME).find_map(|frame| detector.hear(frame))
    }

    #[test]
    fn the_plain_cases_at_three_levels_of_noise() {
        let cases: [(&str, Verdict, &[Piece]); 10] = [
            ("hello", Verdict::Human, &[Silent(400), Talk(500), Silent(4000)]),
            ("two words", Verdict::Human, &[Silent(300), Talk(600), Silent(200), Talk(700), Silent(4000)]),
            ("two seconds of talk", Verdict::Human, &[Silent(300), Talk(2000), Silent(4000)]),
            ("a mailbox in one sentence", Verdict::Machine, &[Silent(700), Talk(5000), Silent(600), Beep(1000.0, 400)]),
            (
                "a mailbox that says hello first",
                Verdict::Machine,
                &[Silent(700), Talk(500), Silent(700), Talk(3000), Silent(500)],
            ),
            ("only silence", Verdict::Machine, &[Silent(9000)]),
            ("a beep", Verdict::Machine, &[Silent(800), Beep(1007.0, 500), Silent(6000)]),
            ("ringing after an early answer", Verdict::Machine, &[Silent(300), Beep(425.0, 1000), Silent(4000)]),
            ("a fax", Verdict::Machine, &[Silent(500), Beep(2100.0, 3300)]),
            ("music that does not end", Verdict::Machine, &[Talk(9000)]),
        ];
        for noise in [0, 150, 300] {
            for (name, expected, pieces) in cases {
                assert_eq!(verdict(Times::default(), &sound(pieces, noise)), Some(expected), "{name}, noise {noise}");
            }
        }
    }

    #[test]
    fn a_click_is_no_word_and_short_speech_is() {
        assert_eq!(verdict(Times::default(), &sound(&[Silent(500), Talk(60), Silent(6000)], 0)), Some(Verdict::Machine));
        assert_eq!(verdict(Times::default(), &sound(&[Silent(500), Talk(160), Silent(6000)], 0)), Some(Verdict::Human));
    }

    #[test]
    fn the_times_are_the_callers() {
        let ms = Duration::from_millis;
        let short = Times { greeting: ms(1500), after: ms(800), ..Times::default() };
        assert_eq!(verdict(short, &sound(&[Silent(300), Talk(2000), Silent(4000)], 0)), Some(Verdict::Machine));
        let total = Times { greeting: ms(60_000), total: ms(3000), ..Times::default() };
        assert_eq!(verdict(total, &sound(&[Talk(9000)], 0)), Some(Verdict::Unknown));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_sound_gets_one_verdict_by_the_end(frames in proptest::collection::vec(any::<i16>(), 1..200)) {
            let times = Times::default();
            let mut detector = Detector::new(times);
            let verdicts: Vec<_> = frames.iter().cycle().take(510).filter_map(|s| detector.hear(&[*s; FRAME])).collect();
            prop_assert_eq!(verdicts.len(), 1);
            prop_assert_eq!(detector.verdict(), verdicts.first().copied());
        }
    }
}
