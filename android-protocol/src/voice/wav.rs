//! WAV files: what programs that speak write, and what we write.

use thiserror::Error;

use super::{RATE, g711::Law};

/// Sound as a file holds it, brought to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// One channel, 16 bit.
    pub samples: Vec<i16>,
}

/// Why a file is no sound we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WavError {
    /// It does not begin as such a file does.
    #[error("it is no WAV file")]
    NoWav,
    /// The part that says what the samples are, or that holds them, is missing.
    #[error("the WAV file ends before its sound begins")]
    CutOff,
    /// Samples in a form that is not read.
    #[error(
        "the WAV file's samples are in a form that is not read (format {format}, {bits} bit); PCM of 8 or 16 bit, A-law and µ-law are"
    )]
    Format {
        /// Its number in the file.
        format: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// More channels, or another rate, than a voice has.
    #[error("the WAV file has {channels} channels and {rate} samples a second; 1 or 2 and 4000 to 48000 are read")]
    Shape {
        /// How many.
        channels: u16,
        /// How many a second.
        rate: u32,
    },
}

const PCM: u16 = 1;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
/// The format stands further behind.
const EXTENSIBLE: u16 = 0xfffe;

/// Reads a file. Programs that write into a pipe do not know the length beforehand and write a false one: sound then reaches to the end.
///
/// # Errors
///
/// Says what the file is not.
pub fn read(file: &[u8]) -> Result<Sound, WavError> {
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NoWav);
    }
    let mut at = 12;
    let mut shape = None;
    while let (Some(name), Some(length)) = (file.get(at..at + 4), u32_at(file, at + 4)) {
        let begin = at + 8;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if name == b"fmt " {
            let format = match u16_at(file, begin) {
                Some(EXTENSIBLE) => u16_at(file, begin + 24),
                format => format,
            };
            let all = (format, u16_at(file, begin + 2), u32_at(file, begin + 4), u16_at(file, begin + 14));
            let (Some(format), Some(channels), Some(rate), Some(bits)) = all else { return Err(WavError::CutOff) };
            shape = Some((format, channels, rate, bits));
        } else if name == b"data" {
            let (format, channels, rate, bits) = shape.ok_or(WavError::CutOff)?;
            if !(1..=2).contains(&channels) || !(4000..=48_000).contains(&rate) {
                return Err(WavError::Shape { channels, rate });
            }
            let rest = file.get(begin..).unwrap_or_default();
            let bytes = if length == 0 { rest } else { rest.get(..length).unwrap_or(rest) };
            return Ok(Sound { rate, samples: samples(bytes, format, channels, bits)? });
        }
        // Parts begin at even places.
        at = begin.saturating_add(length).saturating_add(length & 1);
    }
    Err(WavError::CutOff)
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    file.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    file.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn samples(bytes: &[u8], format: u16, channels: u16, bits: u16) -> Result<Vec<i16>, WavError> {
    let all: Vec<i16> = match (format, bits) {
        (PCM, 16) => bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
        (PCM, 8) => bytes.iter().map(|b| (i16::from(*b) - 128) << 8).collect(),
        (ALAW, 8) => bytes.iter().map(|b| Law::Pcma.decode(*b)).collect(),
        (ULAW, 8) => bytes.iter().map(|b| Law::Pcmu.decode(*b)).collect(),
        _ => return Err(WavError::Format { format, bits }),
    };
    let mean = |pair: &[i16]| i16::try_from(i32::midpoint(i32::from(pair[0]), i32::from(pair[1]))).unwrap_or_default();
    Ok(if channels == 2 { all.chunks_exact(2).map(mean).collect() } else { all })
}

/// A file with this sound: 8 kHz, one channel, 16 bit.
#[must_use]
pub fn write(samples: &[i16]) -> Vec<u8> {
    let length = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX - 36);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(PCM.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

/// A file with this sound under µ-law: 8 kHz, one channel, 8 bit. What came through a telephone loses nothing by it, and takes half the room.
#[must_use]
pub fn write_ulaw(samples: &[i16]) -> Vec<u8> {
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX - 60);
    // Parts end at even places.
    let padded = length + (length & 1);
    let mut file = Vec::with_capacity(58 + samples.len());
    file.extend(b"RIFF");
    file.extend((50 + padded).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(18_u32.to_le_bytes());
    file.extend(ULAW.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(8_u16.to_le_bytes());
    file.extend(0_u16.to_le_bytes());
    file.extend(b"fact");
    file.extend(4_u32.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().map(|sample| Law::Pcmu.encode(*sample)));
    file.extend(vec![0_u8; usize::from(padded > length)]);
    file
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    /// A file of any form.
    fn file(format: u16, channels: u16, rate: u32, bits: u16, claimed: u32, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\xff\xff\xff\xffWAVE".to_vec();
        // An odd part before, which many programs write.
        file.extend(b"LIST\x03\0\0\0abc\0fmt \x10\0\0\0");
        file.extend(format.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend([0; 6]);
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend(claimed.to_le_bytes());
        file.extend(bytes);
        file
    }

    #[test]
    fn the_forms_that_are_read() {
        let read = |file: &[u8]| read(file).unwrap().samples;
        assert_eq!(read(&file(1, 1, 22_050, 16, 4, &[1, 0, 2, 0, 9, 9])), [1, 2]);
        assert_eq!(read(&file(1, 1, 22_050, 16, 0, &[1, 0, 2, 0])), [1, 2], "length 0: to the end");
        assert_eq!(read(&file(1, 1, 22_050, 16, 0x7fff_f000, &[1, 0, 2, 0, 7])), [1, 2], "a length beyond the end");
        assert_eq!(read(&file(1, 2, 8000, 16, 8, &[2, 0, 4, 0, 10, 0, 20, 0])), [3, 15]);
        assert_eq!(read(&file(1, 1, 8000, 8, 3, &[128, 129, 0])), [0, 256, -32768]);
        assert_eq!(read(&file(6, 1, 8000, 8, 1, &[0xd5])), [8]);
        assert_eq!(read(&file(7, 1, 8000, 8, 1, &[0xff])), [0]);
    }

    #[test]
    fn what_is_not_read_says_why() {
        assert_eq!(read(b"ID3"), Err(WavError::NoWav));
        assert_eq!(read(b"RIFF\0\0\0\0WAVE"), Err(WavError::CutOff));
        assert_eq!(read(&file(3, 1, 8000, 32, 0, &[])), Err(WavError::Format { format: 3, bits: 32 }));
        assert_eq!(read(&file(1, 6, 8000, 16, 0, &[])), Err(WavError::Shape { channels: 6, rate: 8000 }));
        assert_eq!(read(&file(1, 1, 96_000, 16, 0, &[])), Err(WavError::Shape { channels: 1, rate: 96_000 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, head in 0_usize..60) {
            let _ = read(&bytes);
            let mut file = file(1, 1, 8000, 16, 0, &bytes);
            file.truncate(head);
            let _ = read(&file);
        }

        #[test]
        fn what_is_written_under_a_law_is_read(codes: Vec<u8>) {
            let samples: Vec<i16> = codes.iter().map(|code| Law::Pcmu.decode(*code)).collect();
            let file = write_ulaw(&samples);
            prop_assert_eq!(file.len() % 2, 0);
            let rest = if samples.is_empty() { Vec::new() } else { samples };
            prop_assert_eq!(read(&file), Ok(Sound { rate: 8000, samples: rest }));
        }

        #[test]
        fn what_is_written_is_read(samples: Vec<i16>) {
            // A file without samples has length 0, and nothing behind it.
            prop_assert_eq!(read(&write(&samples)), Ok(Sound { rate: 8000, samples }));
        }
    }
}
