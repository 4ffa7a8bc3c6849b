//! A sound file of anybody, written anew in the one form in which sound is kept: WAV, 8 kHz, one channel, under µ-law. Nothing of the old file
//! but its sound is left, and no file is longer than it says.

use thiserror::Error;

use super::{RATE, pcm, wav};

/// The longest sound, in seconds.
pub const LONGEST: u32 = 600;

/// The longest file, in bytes, before and afterwards.
pub const LARGEST: usize = 5 << 20;

/// A sound as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The file.
    pub file: Vec<u8>,
    /// Its length.
    pub milliseconds: u64,
}

/// Why a file is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotKept {
    /// It is no sound that is read.
    #[error(transparent)]
    NoSound(#[from] wav::WavError),
    /// There is nothing in it.
    #[error("the WAV file holds no sound")]
    Empty,
    /// It goes on for too long.
    #[error("the sound is longer than {LONGEST} seconds")]
    TooLong,
    /// The file is too large.
    #[error("the file is larger than {LARGEST} bytes")]
    TooLarge,
    /// Nobody waited for it any more.
    #[error("this takes too long: give a shorter sound")]
    GivenUp,
}

/// Writes a file anew. `given_up` is asked now and then.
///
/// # Errors
///
/// If it is no WAV file with PCM of 8 or 16 bit, A-law or µ-law, of one or two channels and 4 to 48 kHz; if it holds no sound, or too much.
pub fn rewrite(file: &[u8], given_up: &dyn Fn() -> bool) -> Result<Rewritten, NotKept> {
    if file.len() > LARGEST {
        return Err(NotKept::TooLarge);
    }
    let sound = wav::read(file)?;
    let longest = usize::try_from(u64::from(sound.rate) * u64::from(LONGEST)).unwrap_or(usize::MAX);
    if sound.samples.len() > longest {
        return Err(NotKept::TooLong);
    }
    let samples = pcm::resample_unless(&sound.samples, sound.rate, given_up).ok_or(NotKept::GivenUp)?;
    if samples.is_empty() {
        return Err(NotKept::Empty);
    }
    let milliseconds = u64::try_from(samples.len()).unwrap_or_default() * 1000 / u64::from(RATE);
    Ok(Rewritten { file: wav::write_ulaw(&samples), milliseconds })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::voice::tone;

    /// A file of this form: format, channels, samples a second, bits, and what its head says that its data are long.
    fn file((format, channels, rate, bits): (u16, u16, u32, u16), claimed: u32, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
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

    fn anew(file: &[u8]) -> Result<Rewritten, NotKept> {
        rewrite(file, &|| false)
    }

    #[test]
    fn a_recording_of_a_telephone_loses_nothing() {
        let sound = tone::sine(&[700.0], 2000, 9000.0);
        let made = wav::write_ulaw(&sound);
        let kept = anew(&made).unwrap();
        assert_eq!((kept.file, kept.milliseconds), (made, 2000));
        let silence = wav::write(&[0; 8000]);
        assert_eq!(wav::read(&anew(&silence).unwrap().file).unwrap().samples, [0; 8000], "silence is a recording");
    }

    #[test]
    fn what_is_too_much_or_nothing_is_not_kept() {
        let ten_minutes = usize::try_from(LONGEST * RATE).unwrap();
        let law = (7, 1, RATE, 8);
        assert_eq!(anew(&file(law, 0, &vec![0xff; ten_minutes])).unwrap().milliseconds, 600_000);
        assert_eq!(anew(&file(law, 0, &vec![0xff; ten_minutes + 1])), Err(NotKept::TooLong));
        assert_eq!(anew(&vec![0; LARGEST + 1]), Err(NotKept::TooLarge));
        assert_eq!(anew(&wav::write(&[])), Err(NotKept::Empty));
        assert_eq!(anew(&wav::write(&[1; 8])[..43]), Err(NotKept::NoSound(wav::WavError::CutOff)), "cut off in its head");
        assert_eq!(anew(&file((1, 2, 48_000, 16), 0, &[0; 4])), Err(NotKept::Empty), "less than one sample");
        let slow = file((1, 1, 48_000, 16), 0, &vec![0; 96_000]);
        assert_eq!(rewrite(&slow, &|| true), Err(NotKept::GivenUp));
    }

    #[test]
    fn a_length_that_is_not_true_is_not_believed() {
        let said = file((7, 1, RATE, 8), 0x7fff_ffff, &[0xff; 800]);
        let kept = anew(&said).unwrap();
        assert_eq!(kept.milliseconds, 100);
        assert_eq!(u32::from_le_bytes(kept.file[54..58].try_into().unwrap()), 800, "what is written is true");
        let bomb = file((1, 2, 48_000, 16), 115_200_000, &[0; 4096]);
        assert_eq!(anew(&bomb).unwrap().milliseconds, 21);
    }

    #[test]
    fn other_forms_of_sound_are_refused() {
        for other in [(17, 1, RATE, 4), (2, 1, RATE, 4), (0x55, 1, 44_100, 16), (3, 1, RATE, 32), (1, 1, RATE, 24)] {
            let refused = anew(&file(other, 0, &[0; 64]));
            assert!(matches!(refused, Err(NotKept::NoSound(wav::WavError::Format { .. }))), "{other:?}: {refused:?}");
        }
        assert_eq!(anew(b"ID3\x04\0\0\0\0\0\0 an mp3 file"), Err(NotKept::NoSound(wav::WavError::NoWav)));
        assert!(anew(&file((1, 3, RATE, 16), 0, &[0; 64])).is_err() && anew(&file((1, 1, 96_000, 16), 0, &[0; 64])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, head in 0_usize..60, format in 0_u16..9, channels in 0_u16..4, rate: u32, bits: u16) {
            let _ = anew(&bytes);
            let mut file = file((format, channels, rate, bits), rate, &bytes);
            let _ = anew(&file);
            file.truncate(head);
            let _ = anew(&file);
        }

        #[test]
        fn a_sound_keeps_its_length_to_a_sample(
            frames in 100_usize..3000, rate in 4000_u32..=48_000, two in any::<bool>(), form in prop::sample::select(vec![(1, 16), (1, 8), (6, 8), (7, 8)]),
        ) {
            let (format, bits) = form;
            let channels = if two { 2 } else { 1 };
            let bytes = vec![0x55; frames * usize::from(channels) * usize::from(bits / 8)];
            let kept = anew(&file((format, channels, rate, bits), 0, &bytes)).unwrap();
            let read = wav::read(&kept.file).unwrap();
            prop_assert_eq!(read.rate, RATE);
            let (rate, telephone) = (u64::from(rate), u64::from(RATE));
            let (before, after) = (u64::try_from(frames).unwrap(), u64::try_from(read.samples.len()).unwrap());
            // In samples of both: no more apart than one of what was written.
            prop_assert!((after * rate).abs_diff(before * telephone) <= rate, "{before} at {rate} became {after}");
            prop_assert!(kept.file.len() <= LARGEST);
        }
    }
}
