//! In which spans of time words are looked for, where a database finds all of a word at once: the nearest first, each longer than the one
//! before, so that a page of what is frequent costs a look at a few hours, and what is rare is found in a few looks.

/// The lengths of spans, as powers of two milliseconds: 5 hours, 37 hours, 12 days, 99 days, 2, 17 and 139 years.
const LENGTHS: [u32; 7] = [24, 27, 30, 33, 36, 39, 42];

/// A span of the numbers of alarms, which are milliseconds, within one of those that a word stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The word that stands for all of it.
    pub word: String,
    /// From this number on.
    pub from: i64,
    /// Below this one.
    pub before: i64,
}

fn word(level: usize, place: i64) -> String {
    format!("t{level}_{place}")
}

/// The words of the spans that a number is in.
pub fn spans_of(number: i64) -> impl Iterator<Item = String> {
    LENGTHS.into_iter().enumerate().map(move |(level, length)| word(level, number.max(0) >> length))
}

/// The spans that cover the numbers from one on and below another, in the order in which they are looked at.
#[must_use]
pub fn spans(from: i64, before: i64, newest_first: bool) -> Vec<Span> {
    let (mut low, mut high) = (from.max(0), before);
    let mut level = 0;
    let mut all = Vec::new();
    while low < high {
        let length = LENGTHS[level];
        let place = if newest_first { (high - 1) >> length } else { low >> length };
        let word = word(level, place);
        if newest_first {
            let begins = low.max(place << length);
            all.push(Span { word, from: begins, before: high });
            high = begins;
        } else {
            // Of the last place there is no next.
            let ends = high.min((place << length).saturating_add(1 << length));
            all.push(Span { word, from: low, before: ends });
            low = ends;
        }
        level = (level + 1).min(LENGTHS.len() - 1);
        // What no clock says is looked at as one.
        if all.len() >= 20 {
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_cover_each_number_once_and_are_few(from in 0_i64..1 << 41, length in 0_i64..1 << 41, at in 0_i64..1 << 42, newest_first: bool) {
            let before = from + length;
            let all = spans(from, before, newest_first);
            prop_assert!(all.len() <= 12, "{}", all.len());
            let holding: Vec<&Span> = all.iter().filter(|span| (span.from..span.before).contains(&at)).collect();
            prop_assert_eq!(holding.len(), usize::from((from..before).contains(&at)));
            for span in holding {
                prop_assert!(spans_of(at).any(|own| own == span.word), "{:?}", span);
            }
            let in_order = |pair: &[Span]| {
                if newest_first { pair[0].from >= pair[1].before } else { pair[0].before <= pair[1].from }
            };
            prop_assert!(all.windows(2).all(in_order));
        }

        #[test]
        fn any_numbers_at_all_are_taken(from: i64, before: i64, newest_first: bool) {
            prop_assert!(spans(from, before, newest_first).len() <= 20);
        }
    }

    #[test]
    fn the_nearest_are_looked_at_first() {
        let now = 1_795_000_000_000;
        let all = spans(now - 40_000_000_000, now, true);
        assert!(all[0].before == now && now - all[0].from <= 1 << 24);
        assert!(all.len() <= 6, "{all:?}");
        assert_eq!(spans(5, 5, true), []);
    }
}
