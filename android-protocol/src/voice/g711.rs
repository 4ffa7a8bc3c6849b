//! G.711: a sample of telephone sound in one byte, in the two laws there are.

/// A law, by its name in a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law, payload type 0.
    Pcmu,
    /// A-law, payload type 8.
    Pcma,
}

/// Added before µ-law takes the logarithm.
const BIAS: i32 = 0x84;

/// The loudest sample that either law can say.
const CLIP: i32 = 32635;

impl Law {
    /// Both, the one of most of the world first.
    pub const ALL: [Self; 2] = [Self::Pcma, Self::Pcmu];

    /// Its fixed payload type (RFC 3551).
    #[must_use]
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The law of a fixed payload type.
    #[must_use]
    pub fn of_payload_type(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|law| law.payload_type() == number)
    }

    /// Its name in a session description.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// One sample in one byte.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => {
                let (sign, size) = if sample < 0 { (0x80, -i32::from(sample)) } else { (0, i32::from(sample)) };
                let size = size.min(CLIP) + BIAS;
                // The highest bit lies between 7 and 14.
                let exponent = 31 - size.leading_zeros() - 7;
                !(sign | byte(exponent) << 4 | low_nibble(size >> (exponent + 3)))
            }
            Self::Pcma => {
                let (sign, size) = if sample < 0 { (0, -i32::from(sample) - 1) } else { (0x80, i32::from(sample)) };
                let size = size.min(CLIP) >> 3;
                let magnitude = if size < 32 {
                    byte(size.unsigned_abs()) >> 1
                } else {
                    let exponent = 31 - size.leading_zeros() - 4;
                    byte(exponent) << 4 | low_nibble(size >> exponent)
                };
                (sign | magnitude) ^ 0x55
            }
        }
    }

    /// The sample a byte stands for.
    #[must_use]
    pub fn decode(self, code: u8) -> i16 {
        let size = match self {
            Self::Pcmu => {
                let code = !code;
                let exponent = u32::from(code >> 4 & 7);
                (((i32::from(code & 15) << 3) + BIAS) << exponent) - BIAS
            }
            Self::Pcma => {
                let code = code ^ 0x55;
                let mantissa = i32::from(code & 15) << 4;
                match u32::from(code >> 4 & 7) {
                    0 => mantissa + 8,
                    exponent => (mantissa + 0x108) << (exponent - 1),
                }
            }
        };
        // Neither law touches the sign: it is set for what is not negative.
        let negative = code & 0x80 == 0;
        i16::try_from(if negative { -size } else { size }).unwrap_or(if negative { i16::MIN } else { i16::MAX })
    }
}

/// What remains of a small number.
fn byte(value: u32) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

fn low_nibble(value: i32) -> u8 {
    byte(value.unsigned_abs() & 15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_known_points_of_both_laws() {
        // ITU-T G.711: silence, the loudest of either sign, and the smallest step.
        assert_eq!([0, 32767, -32768].map(|s| Law::Pcmu.encode(s)), [0xff, 0x80, 0x00]);
        assert_eq!([0, 32767, -32768].map(|s| Law::Pcma.encode(s)), [0xd5, 0xaa, 0x2a]);
        assert_eq!([0xff, 0x80, 0x00].map(|c| Law::Pcmu.decode(c)), [0, 32124, -32124]);
        assert_eq!([0xd5, 0xaa, 0x2a].map(|c| Law::Pcma.decode(c)), [8, 32256, -32256]);
    }

    #[test]
    fn every_byte_comes_back() {
        for law in Law::ALL {
            for code in 0..=u8::MAX {
                // µ-law has two zeros.
                let expected = if law == Law::Pcmu && code == 0x7f { 0xff } else { code };
                assert_eq!(law.encode(law.decode(code)), expected, "{law:?} {code:#x}");
            }
            assert_eq!(Law::of_payload_type(law.payload_type()), Some(law));
        }
        assert_eq!(Law::of_payload_type(18), None);
    }

    proptest! {
        #[test]
        fn a_sample_is_kept_to_a_few_per_cent(sample: i16) {
            for law in Law::ALL {
                let back = i32::from(law.decode(law.encode(sample)));
                let allowed = (i32::from(sample).abs() / 16).max(16) + 4;
                prop_assert!((back - i32::from(sample)).abs() <= allowed, "{:?} {} {}", law, sample, back);
            }
        }
    }
}
