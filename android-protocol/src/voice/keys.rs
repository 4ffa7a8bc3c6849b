//! Keys that the callee presses: telephone events in RTP (RFC 4733), and the bodies of SIP INFO.
//!
//! One key comes in about a dozen packets, some of them twice or late, and some gateways send it both ways. A key must count once.

use std::{collections::VecDeque, time::Duration};

/// A key held for longer than the field for its length can say goes on under a new timestamp: after so many samples at least, which is 7.5 s,
/// and so many after them at most.
const HELD_FOR_LONG: u16 = 60_000;
const GOES_ON_WITHIN: u32 = 800;

/// Tones that are not heard for so long were not pressed anew.
const TONES_WITHIN: Duration = Duration::from_millis(100);

/// Within this time the same key by the other way is the same press.
const SAME_PRESS_WITHIN: Duration = Duration::from_millis(300);

/// How many timestamps are remembered, for packets that come late.
const REMEMBERED: usize = 16;

const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// The payload of one telephone event packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0 to 15 are keys; others are signals that do not matter here.
    pub event: u8,
    /// Set in the last packets of a key, which come three times.
    pub end: bool,
    /// Power below the reference, in decibels, 0 to 63.
    pub volume: u8,
    /// How long it has lasted, in samples.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload; whatever follows the four bytes is ignored.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low, ..] = *payload else { return None };
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration: u16::from_be_bytes([high, low]) })
    }

    /// The four bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }

    /// The key it stands for.
    #[must_use]
    pub fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.event)).copied()
    }

    /// The packets of one press, `milliseconds` long: one each 20 ms, and the last one three times.
    #[must_use]
    pub fn press(key: char, milliseconds: u16) -> Vec<Self> {
        let Some(event) = KEYS.iter().position(|k| *k == key).and_then(|at| u8::try_from(at).ok()) else { return Vec::new() };
        let packet = |milliseconds: u16, end| Self { event, end, volume: 10, duration: milliseconds.saturating_mul(8) };
        let steps = (1..milliseconds / 20).map(|step| packet(step * 20, false));
        steps.chain(std::iter::repeat_n(packet(milliseconds, true), 3)).collect()
    }
}

/// The key in the body of a SIP INFO: `application/dtmf-relay` (`Signal=1`) or `application/dtmf` (`1`).
#[must_use]
pub fn key_in_info(body: &str) -> Option<char> {
    let signal = body.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
    });
    let word = signal.unwrap_or_else(|| body.trim());
    // Some write the event's number for the two keys that are no digits.
    let word = match word {
        "10" => "*",
        "11" => "#",
        word => word,
    };
    let mut letters = word.chars().map(|c| c.to_ascii_uppercase());
    let key = letters.next().filter(|key| KEYS.contains(key))?;
    letters.next().is_none().then_some(key)
}

/// How a key came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rtp,
    Info,
    Tones,
}

/// Tells presses from packets. Each method answers with the key that was pressed just now, if this is what the packet says.
#[derive(Debug, Clone, Default)]
pub struct KeyReader {
    /// Timestamps of events, newest last.
    stamps: VecDeque<u32>,
    /// The newest event: its key, its timestamp, and how long it has lasted.
    event: Option<(char, u32, u16)>,
    /// The last press, how it came, and when it was heard of last.
    last: Option<(char, Way, Duration)>,
    /// The key whose tones are being heard, and in how many pieces of sound in a row.
    tones: Option<(char, u32)>,
}

impl KeyReader {
    /// A telephone event under this RTP timestamp, by which presses are told apart: two of them are two presses, however close.
    pub fn event(&mut self, at: Duration, stamp: u32, payload: &[u8]) -> Option<char> {
        let event = TelephoneEvent::parse(payload)?;
        let key = event.key()?;
        if self.stamps.contains(&stamp) {
            if let Some((_, newest, lasted)) = &mut self.event
                && *newest == stamp
            {
                *lasted = event.duration.max(*lasted);
                self.heard_again(at, key);
            }
            return None;
        }
        let goes_on = self.event.is_some_and(|(held, begun, lasted)| {
            held == key && lasted >= HELD_FOR_LONG && stamp.wrapping_sub(begun) <= u32::from(lasted) + GOES_ON_WITHIN
        });
        self.event = Some((key, stamp, event.duration));
        if self.stamps.len() >= REMEMBERED {
            self.stamps.pop_front();
        }
        self.stamps.push_back(stamp);
        if goes_on {
            self.heard_again(at, key);
            return None;
        }
        self.press(at, key, Way::Rtp)
    }

    /// A key by SIP INFO.
    pub fn info(&mut self, at: Duration, key: char) -> Option<char> {
        self.press(at, key, Way::Info)
    }

    /// Sound, about 40 ms of it, where the peer has no telephone events. The key counts when it is heard in the second piece in a row.
    pub fn sound(&mut self, at: Duration, samples: &[i16]) -> Option<char> {
        let heard = super::tone::key_in(samples);
        let count = match (heard, self.tones) {
            (Some(key), Some((before, count))) if key == before => count + 1,
            (Some(_), _) => 1,
            (None, _) => 0,
        };
        self.tones = heard.map(|key| (key, count));
        if count == 2 { self.press(at, heard?, Way::Tones) } else { None }
    }

    /// The event that was heard last goes on.
    fn heard_again(&mut self, at: Duration, key: char) {
        if let Some((last, Way::Rtp, heard)) = &mut self.last
            && *last == key
        {
            *heard = at;
        }
    }

    fn press(&mut self, at: Duration, key: char, way: Way) -> Option<char> {
        let again = self.last.is_some_and(|(last, earlier, heard)| {
            let within = match (way, earlier) {
                // Of events their timestamps told already; each INFO is a press.
                (Way::Rtp, Way::Rtp) | (Way::Info, Way::Info) => return false,
                (Way::Tones, Way::Tones) => TONES_WITHIN,
                _ => SAME_PRESS_WITHIN,
            };
            last == key && at.saturating_sub(heard) <= within
        });
        if again {
            if let Some((_, _, heard)) = &mut self.last {
                *heard = at;
            }
            return None;
        }
        self.last = Some((key, way, at));
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// The packets of presses, as a peer sends them: (time, timestamp, payload).
    fn packets(presses: &[(char, u64, u16)]) -> Vec<(u64, u32, [u8; 4])> {
        let of = |&(key, at, long): &(char, u64, u16)| {
            let stamp = u32::try_from(at * 8).unwrap();
            TelephoneEvent::press(key, long)
                .into_iter()
                .zip(0_u64..)
                .map(move |(event, n)| (at + n * 20, stamp, event.to_bytes()))
                .collect::<Vec<_>>()
        };
        presses.iter().flat_map(of).collect()
    }

    fn heard(packets: &[(u64, u32, [u8; 4])]) -> String {
        let mut reader = KeyReader::default();
        packets.iter().filter_map(|(at, stamp, payload)| reader.event(ms(*at), *stamp, payload)).collect()
    }

    #[test]
    fn a_dozen_packets_are_one_key() {
        assert_eq!(heard(&packets(&[('1', 0, 160), ('1', 500, 160), ('#', 900, 80)])), "11#");
    }

    #[test]
    fn a_key_held_for_long_is_one_key() {
        let mut held = packets(&[('5', 0, 8000)]);
        let (last, ..) = *held.last().unwrap();
        // Under a new timestamp, at once.
        held.extend(packets(&[('5', last + 20, 400)]));
        assert_eq!(heard(&held), "5");
    }

    #[test]
    fn two_events_are_two_presses_however_close() {
        // The last packet of the first came 20 ms before the second began.
        assert_eq!(heard(&packets(&[('1', 0, 40), ('1', 80, 40), ('1', 160, 40)])), "111");
        let mut reader = KeyReader::default();
        assert_eq!([0, 10].map(|at| reader.info(ms(at), '1')), [Some('1'); 2]);
    }

    #[test]
    fn packets_of_a_key_before_come_late() {
        let mut mixed = packets(&[('1', 0, 160), ('2', 400, 160)]);
        let late = mixed.remove(9);
        mixed.insert(12, (420, late.1, late.2));
        assert_eq!(heard(&mixed), "12");
    }

    #[test]
    fn the_same_press_by_two_ways_counts_once() {
        let mut reader = KeyReader::default();
        let event = TelephoneEvent::press('1', 100)[0].to_bytes();
        assert_eq!(reader.event(ms(0), 800, &event), Some('1'));
        assert_eq!(reader.info(ms(250), '1'), None);
        assert_eq!(reader.info(ms(900), '1'), Some('1'), "a second press");
        assert_eq!(reader.event(ms(1100), 9000, &event), None);
        assert_eq!(reader.info(ms(1150), '2'), Some('2'), "another key");
    }

    #[test]
    fn tones_in_the_sound_are_a_key_once() {
        let mut reader = KeyReader::default();
        let tones = super::super::tone::sine(&super::super::tone::tones_of('7').unwrap(), 40, 6000.0);
        let heard: Vec<_> = (0..5).map(|n| reader.sound(ms(n * 40), &tones)).collect();
        assert_eq!(heard, [None, Some('7'), None, None, None]);
        assert_eq!(reader.sound(ms(300), &[0; 320]), None);
    }

    #[test]
    fn bodies_of_info() {
        assert_eq!(key_in_info("Signal=1\r\nDuration=160"), Some('1'));
        assert_eq!(key_in_info("signal = #\n"), Some('#'));
        assert_eq!(key_in_info("Signal=10\r\n"), Some('*'));
        assert_eq!(key_in_info("9"), Some('9'));
        for other in ["", "hello", "Signal=", "Signal=12", "<xml/>"] {
            assert_eq!(key_in_info(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at: u64, stamp: u32, payload: Vec<u8>, body: String) {
            let mut reader = KeyReader::default();
            let _ = reader.event(ms(at >> 8), stamp, &payload);
            let _ = key_in_info(&body);
        }

        #[test]
        fn an_event_comes_back(event: u8, end: bool, volume in 0_u8..64, duration: u16) {
            let event = TelephoneEvent { event, end, volume, duration };
            prop_assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Some(event));
        }

        /// Whatever is lost but one packet of each press, and whatever comes twice: the keys are those that were pressed.
        #[test]
        fn loss_and_repetition_change_nothing(
            keys in proptest::collection::vec((0_usize..12, 150_u64..600), 1..8),
            kept in proptest::collection::vec(any::<bool>(), 200),
        ) {
            let (mut at, mut presses) = (0, Vec::new());
            for (key, gap) in keys {
                presses.push((KEYS[key], at, 120));
                at += 180 + gap;
            }
            let all = packets(&presses);
            let mut some = Vec::new();
            for (n, packet) in all.iter().enumerate() {
                // The first packet of each press always arrives; the others perhaps, perhaps twice.
                if n == 0 || all[n - 1].1 != packet.1 || kept[n % kept.len()] {
                    some.push(*packet);
                    some.push(*packet);
                }
            }
            prop_assert_eq!(heard(&some), presses.iter().map(|(key, ..)| *key).collect::<String>());
        }
    }
}
