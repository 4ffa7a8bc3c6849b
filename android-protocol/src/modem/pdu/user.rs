//! The text of one message or of a part of one, with the header that says which part.

use super::{
    PduError,
    alphabet::{pack, septets, text_of, unpack},
};

/// Which part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// The same for all parts of one text.
    pub reference: u16,
    /// Whether the reference has 16 bits.
    pub wide: bool,
    /// How many there are.
    pub of: u8,
    /// Which one this is, from 1.
    pub number: u8,
}

/// How a text is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// The 7-bit alphabet.
    Gsm7,
    /// Bytes that are no text.
    Bytes,
    /// UCS-2.
    Ucs2,
}

impl Coding {
    /// By the data coding scheme (3GPP TS 23.038, section 4).
    #[must_use]
    pub fn of(scheme: u8) -> Self {
        let by_bits = |bits: u8| match bits & 0x0c {
            0x04 => Self::Bytes,
            0x08 => Self::Ucs2,
            _ => Self::Gsm7,
        };
        match scheme >> 4 {
            0x0..=0x7 => by_bits(scheme),
            0xe => Self::Ucs2,
            0xf if scheme & 0x04 != 0 => Self::Bytes,
            _ => Self::Gsm7,
        }
    }

    /// The scheme that says so.
    #[must_use]
    pub fn scheme(self) -> u8 {
        match self {
            Self::Gsm7 => 0,
            Self::Bytes => 4,
            Self::Ucs2 => 8,
        }
    }
}

fn header(part: Option<Part>) -> Vec<u8> {
    let Some(part) = part else { return Vec::new() };
    let [high, low] = part.reference.to_be_bytes();
    if part.wide { vec![6, 0x08, 4, high, low, part.of, part.number] } else { vec![5, 0x00, 3, low, part.of, part.number] }
}

/// How many septets, or 16-bit units, one message holds beside the header of a part.
#[must_use]
pub fn room(coding: Coding, part: Option<Part>) -> usize {
    let left = 140 - header(part).len();
    match coding {
        Coding::Gsm7 => left * 8 / 7,
        Coding::Bytes => left,
        Coding::Ucs2 => left / 2,
    }
}

/// Writes the length and the text, which must fit.
///
/// # Errors
///
/// If it does not, or cannot be written in this coding.
pub(super) fn write(text: &str, coding: Coding, part: Option<Part>, bytes: &mut Vec<u8>) -> Result<(), PduError> {
    let header = header(part);
    let (length, body) = match coding {
        Coding::Gsm7 => {
            let septets = septets(text).ok_or(PduError::TooLong)?;
            // The text begins at a whole septet behind the header.
            let taken = (header.len() * 8).div_ceil(7);
            (taken + septets.len(), pack(&septets, taken * 7 - header.len() * 8))
        }
        Coding::Bytes => (header.len() + text.len(), text.as_bytes().to_vec()),
        Coding::Ucs2 => {
            let body: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            (header.len() + body.len(), body)
        }
    };
    if header.len() + body.len() > 140 {
        return Err(PduError::TooLong);
    }
    bytes.push(u8::try_from(length).map_err(|_| PduError::TooLong)?);
    bytes.extend(header);
    bytes.extend(body);
    Ok(())
}

/// Reads the text of a message: `length` in septets or bytes, then what is there of it.
pub(super) fn read(length: u8, body: &[u8], coding: Coding, has_header: bool) -> (String, Option<Part>) {
    let length = usize::from(length);
    let body = body.get(..body.len().min(140)).unwrap_or_default();
    let header_length = if has_header { body.first().map_or(0, |&length| usize::from(length) + 1) } else { 0 };
    let part = body.get(1..header_length).and_then(read_header);
    let text = match coding {
        Coding::Gsm7 => {
            let taken = (header_length * 8).div_ceil(7);
            text_of(&unpack(body, length, 0).into_iter().skip(taken).collect::<Vec<_>>())
        }
        Coding::Bytes => {
            let bytes = body.get(header_length..length.min(body.len())).unwrap_or_default();
            String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| format!("({} bytes that are no text)", bytes.len()))
        }
        Coding::Ucs2 => {
            let (pairs, _) = body.get(header_length..length.min(body.len())).unwrap_or_default().as_chunks::<2>();
            String::from_utf16_lossy(&pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect::<Vec<_>>())
        }
    };
    (text, part)
}

/// Finds the part among the elements of a header.
fn read_header(mut elements: &[u8]) -> Option<Part> {
    loop {
        let (&[kind, length], rest) = elements.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        let part = match (kind, value) {
            (0x00, &[reference, of, number]) => Some(Part { reference: u16::from(reference), wide: false, of, number }),
            (0x08, &[high, low, of, number]) => Some(Part { reference: u16::from_be_bytes([high, low]), wide: true, of, number }),
            _ => None,
        };
        // Numbers that cannot be are no part (3GPP TS 23.040, section 9.2.3.24.1).
        if let Some(part) = part {
            return Some(part).filter(|part| part.of > 0 && (1..=part.of).contains(&part.number));
        }
        elements = rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rooms_as_the_standard_has_them() {
        let part = |wide| Some(Part { reference: 1, wide, of: 2, number: 1 });
        let rooms = [None, part(false), part(true)].map(|part| (room(Coding::Gsm7, part), room(Coding::Ucs2, part)));
        assert_eq!(rooms, [(160, 70), (153, 67), (152, 66)]);
    }

    #[test]
    fn a_header_may_hold_other_things() {
        assert_eq!(
            read_header(&[0x05, 4, 1, 2, 3, 4, 0x00, 3, 7, 2, 1]),
            Some(Part { reference: 7, wide: false, of: 2, number: 1 })
        );
        for wrong in [&[0x00, 3, 7, 2, 3][..], &[0x00, 3, 7, 0, 0], &[0x00, 3, 7, 2, 0], &[0x00, 9, 7], &[0x00], &[]] {
            assert_eq!(read_header(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(length: u8, body: Vec<u8>, scheme: u8, has_header: bool) {
            let _ = read(length, &body, Coding::of(scheme), has_header);
        }
    }
}
