//! Packets of sound on their way in: put into their order, held for a moment, and given out frame by frame.
//!
//! What comes twice counts once. What is lost, or comes when its time is over, is silence of its own length, so that whatever listens or
//! records hears everything else where it was said.

use std::collections::BTreeMap;

use super::rtp::Packet;
use crate::voice::{FRAME, mixer::Frame};

/// Sound is first held back for so many samples (60 ms), so that packets that come unevenly, or in another order, leave no gaps.
const HELD: usize = 3 * FRAME;

/// More than so many that wait (120 ms) are delay and nothing else: the oldest go. No loss is told by more silence at once.
const MOST: usize = 6 * FRAME;

/// Whoever is so many packets behind has begun anew without saying so, and would otherwise be deaf for ever.
const FAR: i64 = 64;

/// The sound of one peer.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// Whose sound it is.
    source: Option<u32>,
    /// The packet whose turn is next, and the highest that came. Their numbers go round; these do not.
    next: i64,
    highest: i64,
    waiting: BTreeMap<i64, Vec<i16>>,
    /// What is left of the packet whose turn it was.
    rest: Vec<i16>,
    /// Whether enough came to begin with.
    flows: bool,
    /// Whether something was given out since the peer began.
    begun: bool,
    /// For so many samples nothing was there since the last sound: as much of what turns out to be lost was silence already.
    idle: usize,
    /// How long the packets of this peer are.
    length: usize,
}

impl Arrival {
    /// A packet came, with its sound; what is no sound, such as a key, has none, but its place. False if it came before, or too late.
    pub fn put(&mut self, packet: &Packet<'_>, sound: Vec<i16>) -> bool {
        let number = self.number(packet);
        if number < self.next || self.waiting.contains_key(&number) {
            return false;
        }
        if !sound.is_empty() {
            self.length = sound.len();
        }
        self.highest = self.highest.max(number);
        self.waiting.insert(number, sound);
        while self.samples() > MOST
            && let Some((oldest, _)) = self.waiting.pop_first()
        {
            self.next = oldest + 1;
        }
        true
    }

    /// Every 20 ms: the next frame, if there is one.
    pub fn take(&mut self) -> Option<Frame> {
        self.flows |= self.is_due();
        while self.flows && self.rest.len() < FRAME {
            let Some((&number, _)) = self.waiting.first_key_value() else { break };
            if number > self.next {
                self.lose_up_to(number);
                continue;
            }
            if let Some((_, sound)) = self.waiting.pop_first() {
                self.next = number + 1;
                self.idle = if sound.is_empty() { self.idle } else { 0 };
                self.rest.extend(sound);
            }
        }
        if self.rest.len() < FRAME {
            self.flows = false;
            self.idle = if self.begun { self.idle.saturating_add(FRAME) } else { 0 };
            return None;
        }
        self.begun = true;
        let mut frame = [0; FRAME];
        frame.copy_from_slice(&self.rest[..FRAME]);
        self.rest.drain(..FRAME);
        Some(frame)
    }

    /// The packet whose turn it is has not come, and a later one has: it is lost. Where very many are, all but the last few are no silence of
    /// their own: that has passed, or the peer has leapt ahead.
    fn lose_up_to(&mut self, number: i64) {
        let farthest = i64::try_from(MOST / self.length.max(1)).unwrap_or_default();
        let lost = (number - farthest - self.next).max(1);
        self.next += lost;
        let length = usize::try_from(lost).unwrap_or_default().saturating_mul(self.length);
        let silence = length.saturating_sub(self.idle).min(self.length);
        self.idle = self.idle.saturating_sub(length);
        self.rest.resize(self.rest.len() + silence, 0);
    }

    /// The number of a packet among those before it.
    fn number(&mut self, packet: &Packet<'_>) -> i64 {
        if self.source == Some(packet.source) {
            let highest = u16::try_from(self.highest.rem_euclid(1 << 16)).unwrap_or_default();
            let ahead = packet.sequence.wrapping_sub(highest);
            let behind = highest.wrapping_sub(packet.sequence);
            let number = if ahead < 0x8000 { self.highest + i64::from(ahead) } else { self.highest - i64::from(behind) };
            if self.next - number <= FAR {
                if !self.begun {
                    // The first that came need not be the first that was sent.
                    self.next = self.next.min(number);
                }
                return number;
            }
        }
        let first = i64::from(packet.sequence);
        *self = Self { source: Some(packet.source), next: first, highest: first, length: self.length, ..Self::default() };
        first
    }

    fn samples(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Whether what waits may be heard: enough came to begin with, or it goes on after a gap, and its time has come.
    fn is_due(&self) -> bool {
        let span = usize::try_from(self.highest + 1 - self.next).unwrap_or_default();
        let missing = span.saturating_sub(self.waiting.len()).saturating_mul(self.length);
        let goes_on = self.begun && (1..=MOST).contains(&self.idle) && !self.waiting.is_empty();
        self.samples() + missing >= HELD || goes_on && missing <= self.idle
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is heard of packets whose sound is their number: in each 20 ms so many come, and one frame is taken.
    fn heard(steps: &[&[u16]]) -> Vec<i16> {
        let mut arrival = Arrival::default();
        let mut heard = Vec::new();
        for step in steps.iter().copied().chain(std::iter::repeat_n(&[][..], 10)) {
            for &sequence in step {
                let packet = Packet { payload_type: 8, sequence, stamp: 0, source: 1, payload: &[] };
                let level = i16::from_ne_bytes(sequence.to_ne_bytes());
                arrival.put(&packet, vec![level; FRAME]);
            }
            heard.push(arrival.take().map_or(0, |frame| frame[0]));
        }
        let end = heard.iter().rposition(|level| *level != 0).map_or(0, |last| last + 1);
        heard.drain(end..);
        let begin = heard.iter().position(|level| *level != 0).unwrap_or(0);
        heard.drain(..begin);
        heard
    }

    #[test]
    fn what_overtakes_waits_for_its_turn() {
        assert_eq!(heard(&[&[1], &[2], &[4], &[3], &[6, 5], &[], &[7], &[8]]), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(heard(&[&[2], &[1], &[3], &[4]]), [1, 2, 3, 4], "also at the beginning");
        assert_eq!(heard(&[&[65_535], &[1], &[0], &[2]]), [-1, 0, 1, 2], "and around the end of the numbers");
    }

    #[test]
    fn what_comes_twice_counts_once() {
        assert_eq!(heard(&[&[1, 1], &[2, 1], &[3, 3], &[4, 2], &[5]]), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_lost_is_silence_of_its_length() {
        assert_eq!(heard(&[&[1], &[2], &[3], &[], &[5], &[6], &[7]]), [1, 2, 3, 0, 5, 6, 7]);
        // More in a row than was held back.
        let lost = [&[1][..], &[2], &[3], &[4], &[], &[], &[], &[], &[], &[10], &[11], &[12]];
        assert_eq!(heard(&lost), [1, 2, 3, 4, 0, 0, 0, 0, 0, 10, 11, 12]);
    }

    #[test]
    fn what_comes_when_its_time_is_over_is_lost() {
        assert_eq!(heard(&[&[1], &[2], &[3], &[], &[5], &[6], &[7], &[4, 8], &[9]]), [1, 2, 3, 0, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_peer_that_goes_far_back_or_ahead_is_heard_at_once() {
        let steps: Vec<Vec<u16>> = (1000..1010).chain(5..15).chain(9000..9010).map(|sequence| vec![sequence]).collect();
        let steps: Vec<&[u16]> = steps.iter().map(Vec::as_slice).collect();
        let heard = heard(&steps);
        for level in (1000..1006).chain(5..13).chain(9005..9010) {
            assert!(heard.contains(&level), "{level}: {heard:?}");
        }
        assert!(heard.len() <= 40, "{heard:?}");
    }

    #[test]
    fn delay_is_bounded() {
        let all: Vec<u16> = (1..=20).collect();
        assert_eq!(heard(&[&all]), [15, 16, 17, 18, 19, 20]);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic_or_grow(packets in proptest::collection::vec((any::<u16>(), 0_u32..3, 0_usize..700), 0..300)) {
            let mut arrival = Arrival::default();
            for (sequence, source, length) in packets {
                arrival.put(&Packet { payload_type: 8, sequence, stamp: 0, source, payload: &[] }, vec![1; length]);
                prop_assert!(arrival.samples() <= MOST);
                arrival.take();
                prop_assert!(arrival.rest.len() <= MOST + 700, "{}", arrival.rest.len());
            }
        }

        /// One packet in 20 ms, each up to two places from its own, some twice and some lost: everything is where it was said.
        #[test]
        fn each_is_heard_in_its_place(fates in proptest::collection::vec((0_usize..=2, 0..5), 10..60)) {
            let mut steps = vec![Vec::new(); fates.len() + 3];
            let mut said = Vec::new();
            for (place, (late, fate)) in fates.iter().enumerate() {
                let sequence = u16::try_from(place).unwrap_or_default() + 1;
                // The beginning is clear, so that it is known when it began.
                let (late, lost) = if place < 4 { (0, false) } else { (*late, *fate == 0) };
                if !lost {
                    steps[place + late].push(sequence);
                    steps[place + late].extend((*fate == 1).then_some(sequence));
                }
                said.push(if lost { 0 } else { i16::try_from(sequence).unwrap_or_default() });
            }
            let end = said.iter().rposition(|level| *level != 0).map_or(0, |last| last + 1);
            said.truncate(end);
            let steps: Vec<&[u16]> = steps.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(heard(&steps), said);
        }
    }
}
