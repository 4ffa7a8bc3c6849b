//! Single frequencies in sound: making them, and finding them.

use std::f64::consts::TAU;

use super::RATE;

/// Twelve of the sixteen signals of a telephone's keys, and A to D: row and column frequency.
const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const PAD: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// The sine of these frequencies, `milliseconds` long; `amplitude` is that of each, of 32767.
#[must_use]
pub fn sine(frequencies: &[f64], milliseconds: u64, amplitude: f64) -> Vec<i16> {
    (0..milliseconds * u64::from(RATE) / 1000)
        .map(|n| {
            let at = seconds(n);
            clip(frequencies.iter().map(|f| amplitude * (TAU * f * at).sin()).sum())
        })
        .collect()
}

fn seconds(sample: u64) -> f64 {
    // Exact up to thousands of years.
    f64::from(u32::try_from(sample).unwrap_or(u32::MAX)) / f64::from(RATE)
}

/// The nearest sample.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "within its range after the clamp")]
pub fn clip(value: f64) -> i16 {
    value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

/// The share of the sound's energy that lies at this frequency: 1 for a pure tone, near 0 for anything else (Goertzel's algorithm).
#[must_use]
pub fn share(samples: &[i16], frequency: f64) -> f64 {
    let energy: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    if energy <= 0.0 {
        return 0.0;
    }
    let count = f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX));
    let coefficient = 2.0 * (TAU * frequency / f64::from(RATE)).cos();
    let (mut before, mut earlier) = (0.0, 0.0);
    for &sample in samples {
        let next = f64::from(sample) + coefficient * before - earlier;
        (before, earlier) = (next, before);
    }
    let power = before * before + earlier * earlier - coefficient * before * earlier;
    2.0 * power / (count * energy)
}

/// The key whose two tones these samples hold, about 40 ms of them: both together nearly all of the energy, neither far louder than the other.
#[must_use]
pub fn key_in(samples: &[i16]) -> Option<char> {
    let loud = samples.iter().map(|s| i32::from(*s).abs()).max().unwrap_or_default();
    if loud < 500 {
        return None;
    }
    let best = |tones: [f64; 4]| {
        let shares = tones.map(|f| share(samples, f));
        (0..4).max_by(|a, b| shares[*a].total_cmp(&shares[*b])).map(|at| (at, shares[at]))
    };
    let (row, low) = best(ROWS)?;
    let (column, high) = best(COLUMNS)?;
    // Eight decibels are a factor of 6.3 in energy; the rest of the sound may hold a tenth of both.
    let twisted = low > 6.3 * high || high > 6.3 * low;
    (!twisted && low + high > 0.85).then(|| PAD[row][column])
}

/// The two tones of a key; `None` for what is none.
#[must_use]
pub fn tones_of(key: char) -> Option<[f64; 2]> {
    let place = |row: usize| PAD[row].iter().position(|k| *k == key).map(|column| [ROWS[row], COLUMNS[column]]);
    (0..4).find_map(place)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tone_holds_its_own_energy_and_no_other() {
        let tone = sine(&[1000.0], 20, 9000.0);
        assert!(share(&tone, 1000.0) > 0.99);
        assert!(share(&tone, 1300.0) < 0.02);
        assert!(share(&[0; 160], 1000.0) < f64::EPSILON);
    }

    #[test]
    fn every_key_is_heard_as_itself() {
        for key in "0123456789*#ABCD".chars() {
            assert_eq!(key_in(&sine(&tones_of(key).unwrap(), 40, 6000.0)), Some(key));
        }
        assert_eq!(key_in(&sine(&[697.0], 40, 6000.0)), None, "one tone is no key");
        assert_eq!(key_in(&sine(&[697.0, 1209.0], 40, 100.0)), None, "too quiet");
        assert_eq!(key_in(&[]), None);
        assert_eq!(tones_of('x'), None);
    }

    proptest! {
        #[test]
        fn noise_is_no_key(samples in proptest::collection::vec(any::<i16>(), 320)) {
            prop_assert_eq!(key_in(&samples), None);
        }
    }
}
