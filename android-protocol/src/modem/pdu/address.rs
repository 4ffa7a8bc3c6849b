//! Numbers in messages: swapped digits, or letters.

use super::{
    Octets, PduError,
    alphabet::{pack, septets, text_of, unpack},
};

/// Digits of numbers, by their value.
const DIGITS: [char; 15] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'a', 'b', 'c'];

/// Reads an address: a number, with a plus where it is international, or a name.
pub(super) fn read(rest: &mut Octets<'_>) -> Result<String, PduError> {
    let length = usize::from(rest.next()?);
    let kind = rest.next()?;
    let bytes = rest.take(length.div_ceil(2))?;
    // A name is written in the 7-bit alphabet.
    if kind & 0x70 == 0x50 {
        return Ok(text_of(&unpack(bytes, length * 4 / 7, 0)).trim_end().to_owned());
    }
    let nibbles = bytes.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]).take(length);
    let number: String = nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble))).collect();
    Ok(if kind & 0x70 == 0x10 { format!("+{number}") } else { number })
}

/// Writes an address: a number, or a name where there is a letter in it.
///
/// # Errors
///
/// If it is empty, too long, or has a character that cannot be written.
pub(super) fn write(address: &str, bytes: &mut Vec<u8>) -> Result<(), PduError> {
    let (digits, kind) = match address.strip_prefix('+') {
        Some(digits) => (digits, 0x91),
        None => (address, 0x81),
    };
    let values: Option<Vec<u8>> = digits
        .chars()
        .map(|c| DIGITS.iter().take(12).position(|&digit| digit == c).and_then(|value| u8::try_from(value).ok()))
        .collect();
    let length = |count: usize| u8::try_from(count).ok().filter(|&length| (1..=20).contains(&length)).ok_or(PduError::Number);
    if let Some(values) = values {
        bytes.extend([length(values.len())?, kind]);
        let (pairs, rest) = values.as_chunks::<2>();
        bytes.extend(pairs.iter().map(|[low, high]| high << 4 | low));
        bytes.extend(rest.iter().map(|last| 0xf0 | last));
        return Ok(());
    }
    let septets = septets(address).ok_or(PduError::Number)?;
    bytes.extend([length((septets.len() * 7).div_ceil(4))?, 0xd0]);
    bytes.extend(pack(&septets, 0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(address in r"\+?[0-9*#]{1,20}|[A-Z][A-Za-z0-9 ]{0,8}[A-Za-z]") {
            let mut bytes = Vec::new();
            prop_assert_eq!(write(&address, &mut bytes), Ok(()));
            let mut rest = Octets(&bytes);
            prop_assert_eq!(read(&mut rest), Ok(address));
            prop_assert!(rest.rest().is_empty());
        }

        #[test]
        fn nothing_else_makes_it_panic(address: String, bytes: Vec<u8>) {
            let _ = write(&address, &mut Vec::new());
            let _ = read(&mut Octets(&bytes));
        }
    }
}
