//! Bringing any sound into the form a telephone takes: 8 kHz, below 3.4 kHz, evenly loud.

use std::f64::consts::PI;

use super::{RATE, tone};

/// Above this a telephone carries nothing; what is left of it would come back as noise.
const CUTOFF: f64 = 3400.0;

/// Half-length of the filter, in zero crossings of its kernel.
const CROSSINGS: f64 = 12.0;

/// The kernel is computed once at so many places between two zero crossings.
const STEPS: f64 = 64.0;

/// Loudest sample of a normalised sound: 6 decibels below the loudest there is.
pub const PEAK: i16 = 16_422;

/// What is very quiet is made louder by no more than this factor: silence stays silence.
const MOST_GAIN: f64 = 10.0;

/// The sound at 8 kHz.
#[must_use]
pub fn resample(samples: &[i16], rate: u32) -> Vec<i16> {
    resample_unless(samples, rate, &|| false).unwrap_or_default()
}

/// After so many samples it is asked again whether anybody still waits.
const ASKED_EACH: usize = 4096;

/// The same, unless it is given up meanwhile: a long sound takes seconds.
#[must_use]
pub fn resample_unless(samples: &[i16], rate: u32, given_up: &dyn Fn() -> bool) -> Option<Vec<i16>> {
    if rate == RATE || rate == 0 {
        return Some(samples.to_vec());
    }
    // A low-pass of ideal form under a Blackman window, in units of zero crossings from its middle.
    let cutoff = CUTOFF.min(f64::from(rate) * 0.45);
    let size = index(CROSSINGS * STEPS);
    let kernel: Vec<f64> = (0..=size)
        .map(|n| {
            let x = count(n) / STEPS;
            let sinc = if n == 0 { 1.0 } else { (PI * x).sin() / (PI * x) };
            let across = PI * x / CROSSINGS;
            sinc * (0.42 + 0.5 * across.cos() + 0.08 * (2.0 * across).cos())
        })
        .collect();
    let crossings_per_sample = 2.0 * cutoff / f64::from(rate);
    let reach = CROSSINGS / crossings_per_sample;
    let length = samples.len() * index(f64::from(RATE)) / index(f64::from(rate));
    (0..length)
        .map(|n| {
            if n % ASKED_EACH == 0 && given_up() {
                return None;
            }
            let middle = count(n) * f64::from(rate) / f64::from(RATE);
            let first = index((middle - reach).ceil().max(0.0));
            let last = index((middle + reach).floor().max(0.0)).min(samples.len().saturating_sub(1));
            let sum: f64 = (first..=last)
                .map(|k| {
                    let place = index((count(k) - middle).abs() * crossings_per_sample * STEPS);
                    f64::from(samples[k]) * kernel.get(place).copied().unwrap_or_default()
                })
                .sum();
            Some(tone::clip(sum * crossings_per_sample))
        })
        .collect()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative, never near the end of the range")]
fn index(value: f64) -> usize {
    value as usize
}

/// The sound made so loud that its loudest sample is [`PEAK`].
#[must_use]
pub fn normalise(mut samples: Vec<i16>) -> Vec<i16> {
    let loudest = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or_default();
    if loudest > 0 {
        let gain = (f64::from(PEAK) / f64::from(loudest)).min(MOST_GAIN);
        for sample in &mut samples {
            *sample = tone::clip(f64::from(*sample) * gain);
        }
    }
    samples
}

/// Silence of this length.
#[must_use]
pub fn silence(milliseconds: u64) -> Vec<i16> {
    vec![0; usize::try_from(milliseconds * u64::from(RATE) / 1000).unwrap_or_default()]
}

/// What is played where nothing can be spoken: three short tones.
#[must_use]
pub fn beeps() -> Vec<i16> {
    let mut sound = Vec::new();
    for _ in 0..3 {
        sound.extend(tone::sine(&[880.0], 250, 12_000.0));
        sound.extend(silence(200));
    }
    sound
}

/// The tone after which somebody may speak.
#[must_use]
pub fn beep() -> Vec<i16> {
    tone::sine(&[1000.0], 300, 10_000.0)
}

/// The length of a sound, in milliseconds.
#[must_use]
pub fn milliseconds(samples: &[i16]) -> u64 {
    u64::try_from(samples.len()).unwrap_or_default() * 1000 / u64::from(RATE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A sine at any rate.
    fn at_rate(frequency: f64, rate: u32) -> Vec<i16> {
        (0..rate).map(|n| tone::clip(12_000.0 * (2.0 * PI * frequency * f64::from(n) / f64::from(rate)).sin())).collect()
    }

    fn loudness(samples: &[i16]) -> f64 {
        let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        (energy / count(samples.len().max(1))).sqrt()
    }

    #[test]
    fn what_a_telephone_carries_stays_and_the_rest_goes() {
        for rate in [11_025, 16_000, 22_050, 44_100, 48_000] {
            let kept = resample(&at_rate(1000.0, rate), rate);
            assert!((kept.len()).abs_diff(8000) <= 1, "{rate}: {} samples", kept.len());
            let middle = &kept[400..7600];
            assert!(tone::share(middle, 1000.0) > 0.99, "{rate}");
            assert!((loudness(middle) / (12_000.0 / 2.0_f64.sqrt()) - 1.0).abs() < 0.05, "{rate}: {}", loudness(middle));
            // Without the filter this would come back at 3 kHz.
            let gone = resample(&at_rate(5000.0, rate), rate);
            assert!(loudness(&gone[400..7600]) < 120.0, "{rate}: {}", loudness(&gone));
        }
        assert_eq!(resample(&[1, 2, 3], 8000), [1, 2, 3]);
    }

    #[test]
    fn quiet_and_loud_become_even_and_silence_stays() {
        assert_eq!(normalise(vec![4000, -8211]), [8000, -16_422]);
        assert_eq!(normalise(vec![i16::MIN, 100])[0], -PEAK);
        assert_eq!(normalise(vec![0, 3]), [0, 30]);
        assert!(normalise(Vec::new()).is_empty());
        assert_eq!(milliseconds(&silence(250)), 250);
    }

    proptest! {
        #[test]
        fn any_sound_of_any_rate_has_its_length(samples in proptest::collection::vec(any::<i16>(), 0..3000), rate in 4000_u32..48_000) {
            let out = resample(&samples, rate);
            let expected = if rate == 8000 { samples.len() } else { samples.len() * 8000 / usize::try_from(rate).unwrap_or(1) };
            prop_assert_eq!(out.len(), expected);
            prop_assert!(normalise(out).iter().all(|s| s.unsigned_abs() <= PEAK.unsigned_abs()));
        }
    }
}
