//! How many parts a text message needs, and where what is too much is cut off: pure. 3GPP TS 23.038 and 23.040.

use android_protocol::sms::Encoding;

/// What each part holds where there are several: six bytes of each say which it is.
const SEPTETS_OF_SEVERAL: usize = 153;
const UNITS_OF_SEVERAL: usize = 67;
/// Stands for what was cut off. The one character for it would have the whole sent in units of two bytes.
const CUT: &str = "...";

/// In how many parts a text is sent; an empty one in one.
#[must_use]
pub fn parts(text: &str) -> usize {
    let whole = Encoding::of(text);
    if whole.fits_one_part() {
        return 1;
    }
    let (room, in_septets) = match whole {
        Encoding::Gsm7 { .. } => (SEPTETS_OF_SEVERAL, true),
        Encoding::Ucs2 { .. } => (UNITS_OF_SEVERAL, false),
    };
    let mut buffer = [0; 4];
    let (mut parts, mut used) = (1, 0);
    for c in text.chars() {
        let cost = if in_septets { Encoding::of(c.encode_utf8(&mut buffer)).used() } else { c.len_utf16() };
        // Neither an escape nor half a character ends a part.
        if used + cost > room {
            parts += 1;
            used = 0;
        }
        used += cost;
    }
    parts
}

/// What `say` makes of a summary, or of as much of it as leaves the whole in so many parts: cut off behind a word where one ends near, and
/// never inside what people see as one character. What `say` adds stays whole, also where that alone is too much.
#[must_use]
pub fn fit(most: usize, summary: &str, say: impl Fn(&str) -> String) -> String {
    let whole = say(summary);
    if parts(&whole) <= most {
        return whole;
    }
    let ends: Vec<usize> = summary.char_indices().map(|(at, _)| at).collect();
    let cut = |end: usize| say(&format!("{}{CUT}", beginning(summary, end)));
    // More of it never takes fewer parts.
    let fitting = ends.partition_point(|end| parts(&say(&format!("{}{CUT}", summary.split_at(*end).0))) <= most);
    cut(fitting.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0))
}

/// The beginning of a text up to there, without the beginning of a word, if one ended near.
fn beginning(text: &str, end: usize) -> &str {
    let (head, rest) = text.split_at(end);
    let head = match head.rfind(char::is_whitespace) {
        _ if rest.starts_with(char::is_whitespace) => head,
        // A quarter at most is given away for it: some languages write without blanks.
        Some(blank) if blank >= head.len() / 4 * 3 => head.split_at(blank).0,
        _ => whole(head, rest),
    };
    head.trim_end()
}

/// The beginning of a text without what belongs to a character that people see as one with the rest.
fn whole<'t>(mut head: &'t str, rest: &str) -> &'t str {
    let mut next = rest.chars().next();
    while let (Some(last), Some(after)) = (head.chars().next_back(), next)
        && (is_joined(after) || last == JOINER)
    {
        head = head.split_at(head.len() - last.len_utf8()).0;
        next = Some(last);
    }
    head
}

/// Makes one picture of two.
const JOINER: char = '\u{200d}';

/// Whether a character changes the one before it: accents, selectors, tones of skin.
fn is_joined(c: char) -> bool {
    matches!(c, JOINER | '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_counted_as_networks_do() {
        let cases = [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("班".repeat(70), 1),
            ("班".repeat(71), 2),
            ("班".repeat(134), 2),
            ("班".repeat(135), 3),
            // Two septets each, and 153 is odd: the last of each part stays empty.
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("€".repeat(152), 2),
            ("€".repeat(153), 3),
            // Two units each, likewise.
            ("👍".repeat(35), 1),
            ("👍".repeat(66), 2),
            ("👍".repeat(67), 3),
        ];
        for (text, expected) in cases {
            assert_eq!(parts(&text), expected, "{} of {:?}", text.chars().count(), text.chars().next());
        }
    }

    #[test]
    fn what_is_too_much_is_cut_off_behind_a_word_and_what_to_do_stays() {
        let say = |summary: &str| format!("Alarm: {summary} Reply 1 to take it.");
        assert_eq!(fit(1, "disk full", say), "Alarm: disk full Reply 1 to take it.");
        let long = "the disk of the first database server is nearly full and nobody knows why that is the case since this morning when \
                    everything was well";
        let text = fit(1, long, say);
        assert!(parts(&text) == 1 && text.starts_with("Alarm: the disk") && text.ends_with("... Reply 1 to take it."), "{text}");
        let cut = text.trim_start_matches("Alarm: ").trim_end_matches("... Reply 1 to take it.");
        assert!(long.starts_with(&format!("{cut} ")), "behind a word: {cut}");
        let chinese = fit(1, &"磁盘已满".repeat(40), say);
        assert!(parts(&chinese) == 1 && chinese.ends_with("... Reply 1 to take it."), "{chinese}");
    }

    proptest! {
        #[test]
        fn it_fits_and_is_a_beginning(summary in "(\\PC| |€|班|\u{301}|\u{200d}|[a-z]){0,400}", most in 1_usize..4) {
            let text = fit(most, &summary, |own| format!("<{own}>"));
            prop_assert!(parts(&text) <= most);
            let inner = text.trim_start_matches('<').trim_end_matches('>');
            let inner = inner.strip_suffix(CUT).unwrap_or(inner);
            prop_assert!(summary.trim_start_matches('<').starts_with(inner.trim_end_matches('>')), "{inner:?}");
        }

        #[test]
        fn more_never_takes_fewer_parts(text in "(\\PC|€|班|[a-z]){0,90}") {
            let mut before = 1;
            for (end, _) in text.char_indices() {
                let now = parts(text.split_at(end).0);
                prop_assert!(now >= before);
                before = now;
            }
        }
    }
}
