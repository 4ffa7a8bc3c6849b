//! The sound of one call, both ways, without its socket: frames to send come out every 20 ms, datagrams go in.

pub mod arrival;
pub mod clips;
mod pressing;
pub mod rtp;
pub mod seat;
pub mod speech;

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use self::{
    arrival::Arrival,
    pressing::{Pressing, Sent},
    rtp::{Packet, Sender},
    seat::Seat,
};
use super::signal::sdp::{Direction, EVENT, Media};
use crate::voice::{
    FRAME, FRAME_MS,
    detector::{Detector, Verdict, Voice},
    g711::Law,
    keys::KeyReader,
    mixer::Frame,
};

/// A sound that is ready to be played.
pub type Pcm = Arc<[i16]>;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A key.
    Key(char),
    /// The detector has made up its mind.
    Verdict(Verdict),
    /// Everything that was to be played has been sent.
    Played,
    /// All keys that were to be pressed under this number have been.
    Pressed(i64),
    /// Silent for so long.
    Quiet(Duration),
}

/// The longest message that is recorded, whatever a script says.
const MOST_RECORDED: usize = 600 * 8000;

/// How often silence is told while it lasts.
const QUIET_EVERY: u64 = 200;

/// One call's sound.
pub struct Sound {
    media: Media,
    symmetric: bool,
    /// Where to send: what the peer named, or where it sends from.
    target: SocketAddr,
    sender: Sender,
    keys: KeyReader,
    voice: Voice,
    detector: Option<Detector>,
    arrival: Arrival,
    /// Two frames, in which keys are sought where the peer has no telephone events.
    pair: Vec<i16>,
    playing: VecDeque<Pcm>,
    /// How far the first of them is played.
    at: usize,
    quiet: u64,
    recording: Option<Vec<i16>>,
    pressing: Pressing,
    seat: Option<Seat>,
    last_packet: Duration,
    /// Packets of sound that came, for people.
    received: u64,
}

impl Sound {
    /// The sound of a call that was just answered.
    #[must_use]
    pub fn new(media: Media, symmetric: bool, sender: Sender, detector: Option<Detector>) -> Self {
        Self {
            media,
            symmetric,
            target: media.address,
            sender,
            keys: KeyReader::default(),
            voice: Voice::default(),
            detector,
            arrival: Arrival::default(),
            pair: Vec::new(),
            playing: VecDeque::new(),
            at: 0,
            quiet: 0,
            recording: None,
            pressing: Pressing::default(),
            seat: None,
            last_packet: Duration::ZERO,
            received: 0,
        }
    }

    /// Plays this in place of what is playing.
    pub fn play(&mut self, sounds: impl IntoIterator<Item = Pcm>) {
        self.playing = sounds.into_iter().collect();
        self.at = 0;
        // Even nothing is played: whoever waits for its end hears of it.
        if self.playing.is_empty() {
            self.playing.push_back(Pcm::from(Vec::new()));
        }
    }

    /// Silence from now on.
    pub fn stop(&mut self) {
        self.playing.clear();
        self.at = 0;
    }

    /// Presses these keys, after those that are being pressed.
    pub fn press(&mut self, number: i64, keys: &str) {
        self.pressing.press(number, keys);
    }

    /// Whose keys were not all pressed; they are not pressed any more.
    pub fn unpressed(&mut self) -> Vec<i64> {
        self.pressing.give_up()
    }

    /// The same, where the call goes on: the key that is being pressed comes to its end.
    pub fn stop_pressing(&mut self) -> Vec<i64> {
        self.pressing.stop()
    }

    /// Takes a seat in a room, or gives it up. Who sits there already stays, and hears and is heard as on the new seat.
    pub fn sit(&mut self, seat: Option<Seat>) {
        if let (Some(now), Some(new)) = (&mut self.seat, &seat)
            && now.room() == new.room()
        {
            return now.behave_as(new);
        }
        if let Some(seat) = &seat {
            seat.enter();
        }
        self.seat = seat;
    }

    /// The seat in this room, if it is taken.
    #[must_use]
    pub fn seat_in(&self, room: &str) -> Option<&Seat> {
        self.seat.as_ref().filter(|seat| seat.room() == room)
    }

    /// Keeps what the callee says.
    pub fn record(&mut self) {
        self.recording = Some(Vec::new());
        self.quiet = 0;
    }

    /// What was kept.
    pub fn end_recording(&mut self) -> Option<Vec<i16>> {
        self.recording.take()
    }

    /// The peer wants to go on otherwise.
    pub fn change(&mut self, media: Media) {
        if media.address != self.media.address {
            self.target = media.address;
        }
        self.media = media;
    }

    /// The agreed law.
    #[must_use]
    pub fn law(&self) -> Law {
        self.media.law
    }

    /// When the last packet came, or could not be expected yet: while the call is held.
    #[must_use]
    pub fn last_packet(&self) -> Duration {
        self.last_packet
    }

    /// How many packets of sound came.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Every 20 ms: the datagram to send and where to, and what was heard. Silence is sent too, or gateways drop the call; on hold nothing is.
    pub fn tick(&mut self, at: Duration) -> (Option<(Vec<u8>, SocketAddr)>, Vec<Heard>) {
        let mut heard = Vec::new();
        let wanted = matches!(self.media.direction, Direction::Both | Direction::ReceiveOnly);
        let theirs = self.arrival.take().unwrap_or([0; FRAME]);
        // What nobody would hear waits.
        let mut frame = if wanted { self.next_frame(&mut heard) } else { [0; FRAME] };
        if let Some(seat) = &self.seat {
            add(&mut frame, &seat.exchange(&theirs));
        }
        let stamp = self.sender.stamp();
        let (sent, pressed) = if wanted { self.pressing.next(self.media.event.is_some(), stamp) } else { (None, None) };
        heard.extend(pressed.map(Heard::Pressed));
        let datagram = match (sent, self.media.event) {
            (Some(Sent::Event(event, stamp)), Some(number)) => self.sender.event(number, &event.to_bytes(), stamp),
            (sent, _) => {
                if let Some(Sent::Tone(tone)) = sent {
                    add(&mut frame, &tone);
                }
                let payload: Vec<u8> = frame.iter().map(|sample| self.media.law.encode(*sample)).collect();
                self.sender.frame(self.media.law.payload_type(), &payload)
            }
        };
        // Who holds a call need not send anything, and many send nothing even where they said they would: their silence is no sign of death.
        if self.media.direction != Direction::Both {
            self.last_packet = at;
        }
        self.listen(at, &theirs, &mut heard);
        (wanted.then_some((datagram, self.target)), heard)
    }

    fn next_frame(&mut self, heard: &mut Vec<Heard>) -> Frame {
        let mut frame = [0; FRAME];
        let mut filled = 0;
        while let Some(sound) = self.playing.front() {
            let rest = sound.get(self.at..).unwrap_or_default();
            let now = rest.len().min(FRAME - filled);
            frame[filled..filled + now].copy_from_slice(&rest[..now]);
            filled += now;
            self.at += now;
            if now < rest.len() {
                break;
            }
            self.playing.pop_front();
            self.at = 0;
            if self.playing.is_empty() {
                heard.push(Heard::Played);
            }
            if filled == FRAME {
                break;
            }
        }
        frame
    }

    /// Takes one frame of what came; what is missing is silence.
    fn listen(&mut self, at: Duration, frame: &Frame, heard: &mut Vec<Heard>) {
        if let Some(verdict) = self.detector.as_mut().and_then(|detector| detector.hear(frame)) {
            // Silence that came is a machine's. Where nothing came at all, the line is deaf on our side, and tells nothing.
            heard.push(Heard::Verdict(if self.received == 0 { Verdict::Unknown } else { verdict }));
        }
        if self.voice.hears(frame) {
            self.quiet = 0;
        } else {
            self.quiet += FRAME_MS;
            if self.quiet.is_multiple_of(QUIET_EVERY) {
                heard.push(Heard::Quiet(Duration::from_millis(self.quiet)));
            }
        }
        if let Some(recording) = &mut self.recording
            && recording.len() < MOST_RECORDED
        {
            recording.extend(frame);
        }
        // With telephone events agreed on, tones in the sound would count keys twice, and speech makes ghosts.
        if self.media.event.is_none() {
            self.pair.extend(frame);
            if self.pair.len() >= 2 * FRAME {
                heard.extend(self.keys.sound(at, &self.pair).map(Heard::Key));
                self.pair.clear();
            }
        }
    }

    /// A datagram came.
    pub fn datagram(&mut self, at: Duration, bytes: &[u8], from: SocketAddr) -> Option<Heard> {
        let packet = Packet::read(bytes)?;
        let expected = from.ip() == self.media.address.ip();
        if !expected && !self.symmetric {
            return None;
        }
        // Behind NAT the port is another than the one that was named.
        self.target = from;
        self.last_packet = at;
        // Peers mix the two numbers up: the one they answered with, and the one we offered.
        if Some(packet.payload_type) == self.media.event || packet.payload_type == EVENT {
            self.arrival.put(&packet, Vec::new());
            return self.keys.event(at, packet.stamp, packet.payload).map(Heard::Key);
        }
        let law = Law::of_payload_type(packet.payload_type)?;
        if self.arrival.put(&packet, packet.payload.iter().map(|code| law.decode(*code)).collect()) {
            self.received += 1;
        }
        None
    }

    /// The body of an INFO.
    pub fn info(&mut self, at: Duration, body: &str) -> Option<Heard> {
        crate::voice::keys::key_in_info(body).and_then(|key| self.keys.info(at, key)).map(Heard::Key)
    }
}

/// Two sounds at once.
fn add(frame: &mut Frame, other: &Frame) {
    for (sample, more) in frame.iter_mut().zip(other) {
        *sample = sample.saturating_add(*more);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::{
        seat::{House, Manner},
        *,
    };
    use crate::voice::{
        keys::TelephoneEvent,
        room::{By, RoomNews},
        tone,
    };

    const PEER: &str = "192.0.2.1:4000";

    fn sound(event: Option<u8>) -> Sound {
        let media = Media { address: PEER.parse().unwrap(), law: Law::Pcma, event, direction: Direction::Both };
        Sound::new(media, false, Sender::new(1, 1, 1), None)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn packet(payload_type: u8, sequence: u16, stamp: u32, payload: &[u8]) -> Vec<u8> {
        Packet { payload_type, sequence, stamp, source: 9, payload }.write(false)
    }

    #[test]
    fn everything_is_played_once_and_silence_follows() {
        let mut sound = sound(Some(101));
        sound.play([Pcm::from(vec![1000; 200]), Pcm::from(vec![-1000; 100])]);
        let mut played = Vec::new();
        let mut ends = Vec::new();
        for n in 0..4 {
            let (datagram, heard) = sound.tick(ms(20 * n));
            let (datagram, to) = datagram.unwrap();
            assert_eq!(to.to_string(), PEER);
            played.extend(Packet::read(&datagram).unwrap().payload.iter().map(|code| Law::Pcma.decode(*code)));
            ends.extend(heard.contains(&Heard::Played).then_some(n));
        }
        let signs: Vec<i16> = played.iter().map(|s| if s.abs() < 100 { 0 } else { s.signum() }).collect();
        assert_eq!(signs, [vec![1; 200], vec![-1; 100], vec![0; 340]].concat());
        assert_eq!(ends, [1], "the last sample is in the second frame");
        sound.play([]);
        assert!(sound.tick(ms(80)).1.contains(&Heard::Played), "nothing is played too");
        sound.play([Pcm::from(vec![1000; 900])]);
        sound.stop();
        assert!(!sound.tick(ms(100)).1.contains(&Heard::Played));
    }

    #[test]
    fn keys_come_by_either_number_once() {
        let mut sound = sound(Some(96));
        let from = PEER.parse().unwrap();
        let one = TelephoneEvent::press('1', 100)[0].to_bytes();
        assert_eq!(sound.datagram(ms(0), &packet(96, 1, 800, &one), from), Some(Heard::Key('1')));
        assert_eq!(sound.datagram(ms(0), &packet(96, 2, 800, &one), from), None);
        assert_eq!(sound.datagram(ms(900), &packet(101, 9, 9000, &one), from), Some(Heard::Key('1')));
        assert_eq!(sound.info(ms(1000), "Signal=1\r\n"), None);
        assert_eq!(sound.info(ms(1000), "Signal=2\r\n"), Some(Heard::Key('2')));
    }

    #[test]
    fn tones_are_keys_only_where_there_are_no_events() {
        for (event, expected) in [(None, vec![Heard::Key('5')]), (Some(101), vec![])] {
            let mut sound = sound(event);
            let tones = tone::sine(&tone::tones_of('5').unwrap(), 200, 6000.0);
            let mut keys = Vec::new();
            for (n, frame) in (0_u16..).zip(tones.chunks(FRAME)) {
                let payload: Vec<u8> = frame.iter().map(|s| Law::Pcmu.encode(*s)).collect();
                sound.datagram(ms(u64::from(n) * 20), &packet(0, n, u32::from(n) * 160, &payload), PEER.parse().unwrap());
                keys.extend(sound.tick(ms(u64::from(n) * 20)).1.into_iter().filter(|heard| matches!(heard, Heard::Key(_))));
            }
            assert_eq!(keys, expected);
        }
    }

    #[test]
    fn strangers_are_not_heard_and_other_ports_are_followed() {
        let mut sound = sound(Some(101));
        let one = TelephoneEvent::press('1', 100)[0].to_bytes();
        assert_eq!(sound.datagram(ms(0), &packet(101, 1, 800, &one), "203.0.113.9:4000".parse().unwrap()), None);
        assert_eq!(sound.tick(ms(0)).0.unwrap().1.to_string(), PEER);
        sound.datagram(ms(0), &packet(8, 1, 800, &[0xd5; 160]), "192.0.2.1:4444".parse().unwrap());
        assert_eq!(sound.tick(ms(0)).0.unwrap().1.to_string(), "192.0.2.1:4444");
        sound.symmetric = true;
        assert_eq!(sound.datagram(ms(0), &packet(101, 1, 800, &one), "203.0.113.9:4000".parse().unwrap()), Some(Heard::Key('1')));
    }

    #[test]
    fn what_is_said_is_recorded_also_from_long_packets() {
        let mut sound = sound(Some(101));
        sound.record();
        for n in 0..4_u16 {
            // 30 ms each.
            let payload = vec![Law::Pcma.encode(5000); 240];
            sound.datagram(ms(0), &packet(8, n, u32::from(n) * 240, &payload), PEER.parse().unwrap());
        }
        let quiet: Vec<_> = (0..30).flat_map(|n| sound.tick(ms(n * 20)).1).collect();
        assert!(quiet.contains(&Heard::Quiet(ms(400))), "{quiet:?}");
        let recorded = sound.end_recording().unwrap();
        assert_eq!(recorded.iter().filter(|s| **s > 4000).count(), 960);
        assert_eq!(recorded.len(), 30 * FRAME);
        assert_eq!((sound.received(), sound.end_recording()), (4, None));
    }

    #[test]
    fn keys_are_pressed_as_events_in_their_order_and_as_tones_where_there_are_none() {
        for event in [Some(96), None] {
            let (mut ours, mut theirs) = (sound(event), sound(event));
            ours.press(7, "15x5#");
            ours.press(8, "9");
            let (mut keys, mut pressed) = (Vec::new(), Vec::new());
            for n in 0..120 {
                let (datagram, heard) = ours.tick(ms(20 * n));
                pressed.extend(heard.into_iter().filter(|heard| matches!(heard, Heard::Pressed(_))));
                let came = theirs.datagram(ms(20 * n), &datagram.unwrap().0, PEER.parse().unwrap());
                keys.extend(came.into_iter().chain(theirs.tick(ms(20 * n)).1).filter(|heard| matches!(heard, Heard::Key(_))));
            }
            let expected: Vec<Heard> = "155#9".chars().map(Heard::Key).collect();
            assert_eq!((keys, pressed), (expected, vec![Heard::Pressed(7), Heard::Pressed(8)]), "{event:?}");
        }
    }

    #[test]
    fn keys_that_are_stopped_end_with_the_one_that_is_pressed() {
        for event in [Some(96), None] {
            let (mut ours, mut theirs) = (sound(event), sound(event));
            ours.press(7, "123");
            ours.press(8, "9");
            let mut keys = Vec::new();
            for n in 0..60 {
                if n == 2 {
                    assert_eq!((ours.stop_pressing(), ours.stop_pressing()), (vec![7, 8], vec![]));
                }
                let (datagram, heard) = ours.tick(ms(20 * n));
                assert!(!heard.iter().any(|heard| matches!(heard, Heard::Pressed(_))), "{heard:?}");
                let came = theirs.datagram(ms(20 * n), &datagram.unwrap().0, PEER.parse().unwrap());
                keys.extend(came.into_iter().chain(theirs.tick(ms(20 * n)).1).filter(|heard| matches!(heard, Heard::Key(_))));
            }
            assert_eq!(keys, [Heard::Key('1')], "{event:?}");
        }
    }

    #[test]
    fn whoever_sits_in_a_room_stays_there_and_hears_otherwise() {
        let (house, mut told) = House::open();
        let mut sound = sound(Some(101));
        let seat = |room: &str, deaf| house.seat(room, Manner { mute: false, deaf });
        let by = |ack| By { mid: "m".to_owned(), ack };
        sound.sit(Some(seat("r", false)));
        sound.seat_in("r").unwrap().play(by(1), vec![Pcm::from(vec![1000; 800])], true);
        // With a new seat in the same room it does not leave, or the room would end.
        sound.sit(Some(seat("r", true)));
        assert!((house.rooms(), sound.seat_in("r").is_some(), sound.seat_in("s").is_none()) == (1, true, true));
        assert_eq!((told.try_recv().ok(), told.try_recv().ok()), (Some(RoomNews::Begun(by(1))), None));
        sound.sit(Some(seat("s", false)));
        assert_eq!((house.rooms(), told.try_recv().ok()), (1, Some(RoomNews::Stopped(by(1)))));
        sound.sit(None);
        assert_eq!(house.rooms(), 0);
    }

    #[test]
    fn on_hold_nothing_is_sent() {
        let mut sound = sound(Some(101));
        let media =
            Media { address: "192.0.2.2:6".parse().unwrap(), law: Law::Pcmu, event: None, direction: Direction::Inactive };
        sound.change(media);
        // What was to be said waits for somebody to hear it.
        sound.play([Pcm::from(vec![1000; 160])]);
        sound.press(7, "1");
        assert_eq!(sound.tick(ms(0)), (None, vec![]));
        assert_eq!(
            (sound.unpressed(), sound.unpressed()),
            (vec![7], vec![]),
            "whoever waits for keys is told that they were not"
        );
        sound.change(Media { direction: Direction::Both, ..media });
        let (datagram, heard) = sound.tick(ms(20));
        assert_eq!(datagram.unwrap().1.to_string(), "192.0.2.2:6");
        assert_eq!(heard, [Heard::Played]);
    }
}
