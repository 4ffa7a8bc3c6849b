//! The call log as `termux-call-log` prints it, and which of its rows is our call.
//!
//! Rows have no id; their dates are local times in whole seconds and move when somebody sets the clock. So before each dial the rows to that
//! number are noted, and the call is the row that was not there.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::output::digits;

/// How many rows are asked for: enough that a clock set back does not push the new row out of sight.
pub const ROWS: usize = 50;

/// Digits at the end that make two spellings one number: Android writes a country code, a carrier's prefix, or neither.
const SAME_DIGITS: usize = 7;

/// One outgoing call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Digits of whom it went to.
    pub number: String,
    /// When it was dialled, as the phone writes it; only ever compared with another one.
    pub date: String,
    /// Connected time in seconds.
    pub seconds: u64,
}

/// The outgoing calls of what the command printed, oldest first. A row that cannot be read is left out.
#[must_use]
pub fn read(printed: &Value) -> Vec<Row> {
    let rows = printed.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut read: Vec<Row> = rows.iter().filter_map(row).collect();
    read.truncate(1000);
    read
}

fn row(value: &Value) -> Option<Row> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if !text("type")?.eq_ignore_ascii_case("OUTGOING") {
        return None;
    }
    let number = match value.get("phone_number")? {
        Value::String(text) => ascii_digits(text),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(Row { number, date: text("date")?.chars().take(40).collect(), seconds: duration(text("duration")?)? })
}

/// `MM:SS`, from an hour `HH:MM:SS`, or plain seconds, in the digits of any script.
#[must_use]
pub fn duration(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.trim().split([':', '：', '٫', '.']).collect();
    if parts.is_empty() || parts.len() > 3 {
        return None;
    }
    parts.iter().try_fold(0_u64, |total, part| {
        let visible = part.chars().filter(|c| !c.is_whitespace() && !is_mark(*c));
        let digits: Option<Vec<u8>> = visible.map(super::output::digit).collect();
        let digits = digits.filter(|digits| (1..=6).contains(&digits.len()))?;
        let value = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(*digit));
        total.checked_mul(60)?.checked_add(value)
    })
}

/// Marks of writing direction, which some languages put around numbers.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn ascii_digits(text: &str) -> String {
    digits(text).map(|digit| char::from(b'0' + digit)).collect()
}

/// Whether two spellings are one number.
#[must_use]
pub fn same_number(a: &str, b: &str) -> bool {
    let (a, b): (Vec<u8>, Vec<u8>) = (digits(a).collect(), digits(b).collect());
    let shared = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    shared > 0 && (shared >= SAME_DIGITS || (shared == a.len() && shared == b.len()))
}

/// The rows to `number` that are there before it is dialled.
#[must_use]
pub fn before(rows: &[Row], number: &str) -> Vec<Row> {
    rows.iter().filter(|row| same_number(&row.number, number)).cloned().collect()
}

/// The row of the call to `number`, given what was there `before`. Of several that are new the one that was answered counts.
#[must_use]
pub fn of_call<'a>(rows: &'a [Row], number: &str, before: &[Row]) -> Option<&'a Row> {
    let mut old = before.to_vec();
    let new = rows.iter().filter(|row| {
        same_number(&row.number, number)
            && match old.iter().position(|known| known == *row) {
                // Each row of before stands for one row of now: two calls of one second are two rows.
                Some(at) => {
                    old.swap_remove(at);
                    false
                }
                None => true,
            }
    });
    new.max_by_key(|row| row.seconds > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn out(number: &str, date: &str, duration: &str) -> Value {
        json!({"name": "UNKNOWN_CALLER", "phone_number": number, "type": "OUTGOING", "date": date, "duration": duration, "sim_id": "1"})
    }

    #[test]
    fn durations_of_every_length_and_script() {
        for (text, seconds) in [
            ("00:14", Some(14)),
            ("59:59", Some(3599)),
            ("01:00:00", Some(3600)),
            ("٠٠:١٤", Some(14)),
            ("०१:००:०२", Some(3602)),
            ("\u{200f}۰۰:۱۴\u{200f}", Some(14)),
            ("14", Some(14)),
            ("", None),
            (":", None),
            ("1:2:3:4", None),
            ("-1:00", None),
            ("99999999999999999999:00", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
    }

    #[test]
    fn spellings_of_one_number() {
        for (a, b) in [
            ("13900000001", "+86 139-0000-0001"),
            ("02079460000", "+442079460000"),
            ("17951 13900000001", "+8613900000001"),
            ("١٣٩٠٠٠٠٠٠٠١", "13900000001"),
            ("10010", "10010"),
        ] {
            assert!(same_number(a, b) && same_number(b, a), "{a} {b}");
        }
        for (a, b) in [("13900000001", "13900000002"), ("10010", "110010"), ("", ""), ("", "13900000001")] {
            assert!(!same_number(a, b), "{a} {b}");
        }
    }

    #[test]
    fn only_outgoing_rows_that_can_be_read() {
        let printed = json!([
            out("13900000001", "2026-11-28 03:22:07", "00:14"),
            {"phone_number": "13900000001", "type": "INCOMING", "date": "2026-11-28 03:22:08", "duration": "00:14"},
            {"phone_number": "13900000001", "type": "OUTGOING", "date": "2026-11-28 03:22:09"},
            {"phone_number": null, "type": "OUTGOING", "date": "2026-11-28 03:22:09", "duration": "00:14"},
            "row", null,
        ]);
        assert_eq!(read(&printed), [Row { number: "13900000001".into(), date: "2026-11-28 03:22:07".into(), seconds: 14 }]);
        assert_eq!(read(&json!({})), []);
    }

    fn rows(rows: &[(&str, &str, u64)]) -> Vec<Row> {
        rows.iter().map(|&(number, date, seconds)| Row { number: number.into(), date: date.into(), seconds }).collect()
    }

    #[test]
    fn the_new_row_to_our_number_is_our_call() {
        const A: &str = "13900000001";
        let old = rows(&[(A, "03:00:00", 9), ("13900000002", "03:01:00", 5)]);
        let noted = before(&old, A);
        let found = |new: &[(&str, &str, u64)]| {
            let mut all = old.clone();
            all.extend(rows(new));
            of_call(&all, A, &noted).map(|row| row.seconds)
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("+8613900000001", "03:22:07", 14)]), Some(14));
        assert_eq!(found(&[("13900000002", "03:22:07", 14)]), None, "a stranger's");
        assert_eq!(found(&[(A, "03:22:07", 0), ("13900000002", "03:22:09", 14)]), Some(0), "a stranger's after it");
        assert_eq!(found(&[(A, "01:22:07", 14)]), Some(14), "the clock was set back");
        assert_eq!(found(&[(A, "03:00:00", 9)]), Some(9), "the same second and length as one of before");
        assert_eq!(found(&[(A, "03:22:07", 0), (A, "03:22:07", 8)]), Some(8), "two in one second");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String, number: String) {
            let _ = duration(&text);
            let _ = same_number(&text, &number);
            let _ = read(&json!([out(&number, &text, &text)]));
        }

        /// Whatever stood there before, a call that was made is found, and one that was not made is not.
        #[test]
        fn a_call_is_found_exactly_if_it_was_made(
            old in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u64..3), 0..30),
            ours in proptest::option::of((0_u8..3, 0_u64..3)),
            at in any::<prop::sample::Index>(),
        ) {
            let row = |number: u8, date: u8, seconds: u64| Row { number: format!("1390000000{number}"), date: date.to_string(), seconds };
            let mut all: Vec<Row> = old.iter().map(|&(number, date, seconds)| row(number, date, seconds)).collect();
            let noted = before(&all, "13900000001");
            if let Some((date, seconds)) = ours {
                all.insert(at.index(all.len() + 1), row(1, date, seconds));
            }
            let found = of_call(&all, "13900000001", &noted);
            prop_assert_eq!(found.map(|row| row.seconds), ours.map(|(_, seconds)| seconds));
        }
    }
}
