//! A GSM modem as a handset: the language it speaks (AT commands), and what its answers mean.
//!
//! Everything here but `line` is free of I/O. The facts come from published transcripts, drivers and their bug reports (3GPP TS 27.007,
//! 27.005, 23.040, 23.038); nothing has been tried on a real modem.
//!
//! To add a dialect: a row in [`dialect`], its lines in [`event`], and a transcript in the tests.

pub mod call;
pub mod cause;
pub mod ccfc;
pub mod dialect;
pub mod event;
pub mod exchange;
#[cfg(feature = "agent")]
pub mod line;
pub mod listed;
pub mod pdu;
pub mod radio;
pub mod reader;
pub mod recovery;
#[cfg(feature = "agent")]
pub mod simulator;
pub mod start;
pub mod ussd;

/// The pieces of an answer behind its colon: split at commas outside quotes, without the quotes and without blanks around them.
#[must_use]
pub fn values(line: &str) -> Vec<String> {
    let rest = line.split_once(':').map_or("", |(_, rest)| rest);
    let (mut pieces, mut piece, mut quoted) = (Vec::new(), String::new(), false);
    for c in rest.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => pieces.push(std::mem::take(&mut piece).trim().to_owned()),
            c => piece.push(c),
        }
    }
    pieces.push(piece.trim().to_owned());
    pieces
}

/// The value at a place, read as a number.
fn number_at<T: std::str::FromStr>(values: &[String], place: usize) -> Option<T> {
    values.get(place).and_then(|value| value.parse().ok())
}

/// Whether two spellings mean the same line: the last seven digits are the same. Shorter numbers must be equal.
///
/// A network may give a national number back in international form.
#[must_use]
pub fn same_line(one: &str, other: &str) -> bool {
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    let (one, other) = (digits(one), digits(other));
    let end = |digits: &[u8]| digits.get(digits.len().saturating_sub(7)..).unwrap_or_default().to_vec();
    !one.is_empty() && if one.len() < 7 || other.len() < 7 { one == other } else { end(&one) == end(&other) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_may_be_quoted_empty_or_many() {
        assert_eq!(values(r#"+CLCC: 1,0,3,0,0,"139,00",129,"""#), ["1", "0", "3", "0", "0", "139,00", "129", ""]);
        assert_eq!(values("OK"), [""]);
        assert_eq!(values("^CEND:1,12"), ["1", "12"]);
    }

    #[test]
    fn a_line_is_known_by_its_last_seven_digits() {
        assert!(same_line("+8613900000001", "13900000001"));
        assert!(same_line("110", "110"));
        for (one, other) in [("13900000001", "13900000002"), ("110", "13900000110"), ("", ""), ("+", "+")] {
            assert!(!same_line(one, other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line: String, other: String) {
            let _ = values(&line);
            let _ = same_line(&line, &other);
        }
    }
}
