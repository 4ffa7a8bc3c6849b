//! Messages that are sent from here.

use super::{
    PduError, address,
    alphabet::septets,
    digits,
    user::{self, Coding, Part, room},
};

/// Most parts of one text: what phones and networks agree on is less than the 255 that could be.
pub const MOST_PARTS: usize = 20;

/// A message as a modem takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// In hexadecimal digits, with an empty service centre before it.
    pub digits: String,
    /// How many bytes it has without the service centre: what `AT+CMGS` wants to know.
    pub length: usize,
}

/// The messages that carry a text to a number, as few as possible.
///
/// `reference` tells the parts of this text from those of others; `wide` writes it with 16 bits; `report` asks for delivery reports.
///
/// # Errors
///
/// If the number cannot be written, or the text needs too many parts.
pub fn submit(number: &str, text: &str, reference: u16, wide: bool, report: bool) -> Result<Vec<Submit>, PduError> {
    let coding = if septets(text).is_some() { Coding::Gsm7 } else { Coding::Ucs2 };
    let one = |text: &str, part| one(number, text, coding, part, report);
    if size(text, coding) <= room(coding, None) {
        return Ok(vec![one(text, None)?]);
    }
    let reference = if wide { reference } else { reference & 0xff };
    let any = Part { reference, wide, of: 1, number: 1 };
    let pieces = cut(text, coding, room(coding, Some(any)));
    let of = u8::try_from(pieces.len()).ok().filter(|&of| usize::from(of) <= MOST_PARTS).ok_or(PduError::TooLong)?;
    (1..=of).zip(&pieces).map(|(number, piece)| one(piece, Some(Part { of, number, ..any }))).collect()
}

fn size(text: &str, coding: Coding) -> usize {
    match coding {
        Coding::Gsm7 => septets(text).map_or(usize::MAX, |septets| septets.len()),
        Coding::Bytes => text.len(),
        Coding::Ucs2 => text.encode_utf16().count(),
    }
}

/// Cuts a text into pieces that fit, none of them within a character.
fn cut(text: &str, coding: Coding, room: usize) -> Vec<String> {
    let (mut pieces, mut piece, mut used) = (Vec::new(), String::new(), 0);
    for c in text.chars() {
        let needed = size(c.encode_utf8(&mut [0; 4]), coding);
        if used + needed > room {
            pieces.push(std::mem::take(&mut piece));
            used = 0;
        }
        piece.push(c);
        used += needed;
    }
    pieces.push(piece);
    pieces
}

fn one(number: &str, text: &str, coding: Coding, part: Option<Part>, report: bool) -> Result<Submit, PduError> {
    // A message to be sent, with a time after which the network gives up.
    let mut first = 0x01 | 0x10;
    if report {
        first |= 0x20;
    }
    if part.is_some() {
        first |= 0x40;
    }
    // The modem numbers it.
    let mut bytes = vec![first, 0];
    address::write(number, &mut bytes)?;
    // No other protocol; the coding; four days.
    bytes.extend([0, coding.scheme(), 0xaa]);
    user::write(text, coding, part, &mut bytes)?;
    Ok(Submit { length: bytes.len(), digits: format!("00{}", digits(&bytes)) })
}

/// The text that a part carries, read back: for simulators.
///
/// # Errors
///
/// If the digits are no message that is sent from here.
pub fn read_back(written: &str) -> Result<(String, String, Option<Part>, bool), PduError> {
    let bytes = super::bytes(written)?;
    let mut rest = super::Octets(&bytes);
    let centre = rest.next()?;
    rest.take(usize::from(centre))?;
    let first = rest.next()?;
    if first & 0x03 != 0x01 {
        return Err(PduError::Kind);
    }
    rest.next()?;
    let number = address::read(&mut rest)?;
    rest.next()?;
    let coding = Coding::of(rest.next()?);
    match first & 0x18 {
        0x10 => rest.take(1)?,
        0x00 => &[],
        _ => rest.take(7)?,
    };
    let length = rest.next()?;
    let (text, part) = user::read(length, rest.rest(), coding, first & 0x40 != 0);
    Ok((number, text, part, first & 0x20 != 0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_byte_for_byte() {
        // 3GPP TS 27.005 has none to copy from; this one is the classic of the literature.
        let submits = submit("+46708251358", "hellohello", 0, false, false).unwrap();
        assert_eq!(submits.len(), 1);
        assert_eq!(submits[0].digits, "0011000B916407281553F80000AA0AE8329BFD4697D9EC37");
        assert_eq!(submits[0].length, 23);
    }

    #[test]
    fn parts_as_full_as_they_may_be() {
        for (text, parts) in [
            ("x".repeat(160), 1),
            ("x".repeat(161), 2),
            ("x".repeat(306), 2),
            ("x".repeat(307), 3),
            ("€".repeat(80), 1),
            // 76 pairs of septets fit into 153, and none of them is torn.
            ("€".repeat(153), 3),
            ("班".repeat(70), 1),
            ("班".repeat(71), 2),
            ("班".repeat(134), 2),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(
                submit("13900000001", &text, 9, false, true).unwrap().len(),
                parts,
                "{} of {text:.1}",
                text.chars().count()
            );
        }
        assert_eq!(submit("13900000001", &"x".repeat(4000), 1, false, false), Err(PduError::TooLong));
        assert_eq!(submit("", "x", 1, false, false), Err(PduError::Number));
    }

    proptest! {
        #[test]
        fn parts_give_the_text_again(text in "[ -~€\\[\\]{}班😀äß\n]{0,700}", reference: u16, wide: bool, report: bool) {
            let submits = submit("+8613900000001", &text, reference, wide, report).unwrap();
            let mut whole = String::new();
            for (at, one) in submits.iter().enumerate() {
                prop_assert_eq!(one.length + 1, one.digits.len() / 2);
                prop_assert!(one.length <= 165, "the longest that a modem takes");
                let (number, piece, part, asks) = read_back(&one.digits).unwrap();
                prop_assert_eq!((number.as_str(), asks), ("+8613900000001", report));
                match part {
                    Some(part) => {
                        prop_assert_eq!((usize::from(part.number), usize::from(part.of)), (at + 1, submits.len()));
                        prop_assert_eq!((part.wide, part.reference), (wide, if wide { reference } else { reference & 0xff }));
                    }
                    None => prop_assert_eq!(submits.len(), 1),
                }
                whole.push_str(&piece);
            }
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn no_text_makes_it_panic(number: String, text: String, digits in "[0-9A-F]{0,80}") {
            let _ = submit(&number, &text, 1, true, true);
            let _ = read_back(&digits);
        }
    }
}
