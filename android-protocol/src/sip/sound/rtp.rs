//! Packets of sound (RFC 3550): writing ours, reading theirs.

use crate::voice::FRAME;

/// Bytes of a header without extras.
const HEADER: usize = 12;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What the payload is.
    pub payload_type: u8,
    /// Its number in order.
    pub sequence: u16,
    /// When its sound begins, in samples.
    pub stamp: u32,
    /// Whose it is.
    pub source: u32,
    /// The sound, or a telephone event.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram; `None` for anything that is no such packet, which includes STUN and the reports beside the sound.
    #[must_use]
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let (head, rest) = datagram.split_at_checked(HEADER)?;
        if head[0] >> 6 != 2 || (200..=207).contains(&head[1]) {
            return None;
        }
        let mut rest = rest.get(4 * usize::from(head[0] & 0x0f)..)?;
        if head[0] & 0x10 != 0 {
            let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
            rest = rest.get(4 + 4 * usize::from(words)..)?;
        }
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            rest = rest.get(..rest.len().checked_sub(padding)?)?;
        }
        Some(Self {
            payload_type: head[1] & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            stamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            source: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            payload: rest,
        })
    }

    /// The datagram; `marker` says that a new talk begins.
    #[must_use]
    pub fn write(&self, marker: bool) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(HEADER + self.payload.len());
        datagram.extend([0x80, self.payload_type & 0x7f | u8::from(marker) << 7]);
        datagram.extend(self.sequence.to_be_bytes());
        datagram.extend(self.stamp.to_be_bytes());
        datagram.extend(self.source.to_be_bytes());
        datagram.extend(self.payload);
        datagram
    }
}

/// Numbers the packets we send.
#[derive(Debug, Clone)]
pub struct Sender {
    source: u32,
    sequence: u16,
    stamp: u32,
    begun: bool,
}

impl Sender {
    /// With numbers drawn at random, as the standard wants.
    #[must_use]
    pub fn new(source: u32, sequence: u16, stamp: u32) -> Self {
        Self { source, sequence, stamp, begun: false }
    }

    /// The packet of the next frame. Its time goes on also over silence.
    pub fn frame(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let packet = Packet { payload_type, sequence: self.sequence, stamp: self.stamp, source: self.source, payload };
        let datagram = packet.write(!self.begun);
        self.begun = true;
        self.sequence = self.sequence.wrapping_add(1);
        self.stamp = self.stamp.wrapping_add(u32::try_from(FRAME).unwrap_or_default());
        datagram
    }

    /// When the next frame begins, in samples.
    #[must_use]
    pub fn stamp(&self) -> u32 {
        self.stamp
    }

    /// In place of the next frame, something that began at `stamp`.
    pub fn event(&mut self, payload_type: u8, payload: &[u8], stamp: u32) -> Vec<u8> {
        let after = self.stamp.wrapping_add(u32::try_from(FRAME).unwrap_or_default());
        self.stamp = stamp;
        let datagram = self.frame(payload_type, payload);
        self.stamp = after;
        datagram
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extras_are_stepped_over() {
        let plain = Packet { payload_type: 8, sequence: 1, stamp: 2, source: 3, payload: &[7, 8, 9] };
        assert_eq!(Packet::read(&plain.write(true)), Some(plain.clone()));
        let mut full = plain.write(false);
        full[0] = 0xb1;
        // One contributor, an extension of one word, and two bytes of padding.
        full.splice(12..12, [0, 0, 0, 1, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        full.extend([0, 2]);
        assert_eq!(Packet::read(&full), Some(plain));
    }

    #[test]
    fn what_is_no_sound_is_not_read() {
        // Too short; STUN; a sender's report; padding longer than the packet.
        for datagram in
            [&[0x80; 11][..], &[0; 20], &[0x80, 200, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[0xa0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9]]
        {
            assert_eq!(Packet::read(datagram), None);
        }
    }

    #[test]
    fn our_frames_are_numbered_and_timed() {
        let mut sender = Sender::new(5, u16::MAX, u32::MAX);
        let first = sender.frame(8, &[0xd5; 160]);
        let second = sender.frame(8, &[0xd5; 160]);
        assert_eq!((first[1], second[1]), (0x88, 8), "the first one begins a talk");
        let (first, second) = (Packet::read(&first).unwrap(), Packet::read(&second).unwrap());
        assert_eq!((first.sequence, second.sequence, first.stamp, second.stamp), (u16::MAX, 0, u32::MAX, 159));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(datagram: Vec<u8>) {
            let _ = Packet::read(&datagram);
        }
    }
}
