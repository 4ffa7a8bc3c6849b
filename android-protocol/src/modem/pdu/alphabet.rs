//! The 7-bit alphabet of text messages, and how its characters are packed (3GPP TS 23.038).

use crate::sms::{BASIC, EXTENSION};

/// Begins a character of the extension table.
pub const ESCAPE: u8 = 0x1b;

/// The places of [`EXTENSION`]'s characters in their table.
const PLACES: [u8; 10] = [0x14, 0x28, 0x29, 0x2f, 0x3c, 0x3d, 0x3e, 0x40, 0x65, 0x0a];

/// The septets of a text; `None` if a character is not in the alphabet.
#[must_use]
pub fn septets(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for c in text.chars() {
        if let Some(place) = BASIC.chars().position(|known| known == c).and_then(|place| u8::try_from(place).ok()) {
            // The escape has a place and is no character.
            septets.push(if place < ESCAPE { place } else { place + 1 });
        } else {
            let place = EXTENSION.chars().position(|known| known == c)?;
            septets.extend([ESCAPE, *PLACES.get(place)?]);
        }
    }
    Some(septets)
}

/// The text of septets. An escape before what is in no table is a blank, and the character is read as if it were not there (6.2.1.1).
#[must_use]
pub fn text_of(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut escaped = false;
    for &septet in septets {
        if septet == ESCAPE && !escaped {
            escaped = true;
            continue;
        }
        let extension = PLACES.iter().position(|&place| place == septet).filter(|_| escaped);
        let known = match extension {
            Some(place) => EXTENSION.chars().nth(place),
            None => basic(septet),
        };
        text.push(known.unwrap_or(' '));
        escaped = false;
    }
    text
}

fn basic(septet: u8) -> Option<char> {
    match septet & 0x7f {
        ESCAPE => None,
        septet if septet > ESCAPE => BASIC.chars().nth(usize::from(septet) - 1),
        septet => BASIC.chars().nth(usize::from(septet)),
    }
}

/// Packs septets behind so many bits that are left empty.
#[must_use]
pub fn pack(septets: &[u8], empty: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; (septets.len() * 7 + empty).div_ceil(8)];
    for (place, septet) in septets.iter().enumerate() {
        for bit in 0..7 {
            let at = empty + place * 7 + bit;
            if septet >> bit & 1 == 1
                && let Some(byte) = bytes.get_mut(at / 8)
            {
                *byte |= 1 << (at % 8);
            }
        }
    }
    bytes
}

/// Unpacks so many septets that begin behind so many bits; fewer, where the bytes end before.
#[must_use]
pub fn unpack(bytes: &[u8], count: usize, skip: usize) -> Vec<u8> {
    let whole = (bytes.len() * 8).saturating_sub(skip) / 7;
    (0..count.min(whole))
        .map(|place| {
            (0..7).fold(0_u8, |septet, bit| {
                let at = skip + place * 7 + bit;
                septet | (bytes.get(at / 8).copied().unwrap_or(0) >> (at % 8) & 1) << bit
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_has_its_place() {
        for (text, places) in [
            ("@", vec![0]),
            ("Ξ", vec![0x1a]),
            ("Æ", vec![0x1c]),
            (" ", vec![0x20]),
            ("à", vec![0x7f]),
            ("€[", vec![0x1b, 0x65, 0x1b, 0x3c]),
        ] {
            assert_eq!(septets(text), Some(places), "{text}");
        }
        for c in BASIC.chars().chain(EXTENSION.chars()) {
            assert_eq!(septets(&c.to_string()).map(|septets| text_of(&septets)), Some(c.to_string()));
        }
        assert_eq!(septets("班"), None);
        assert_eq!(pack(&septets("hellohello").unwrap_or_default(), 0), [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37]);
        assert_eq!(text_of(&[0x1b, 0x41, 0x1b, 0x1b, 0x1b]), "A ", "an unknown extension, and a double escape");
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(septets in proptest::collection::vec(0_u8..128, 0..170), empty in 0_usize..7) {
            prop_assert_eq!(unpack(&pack(&septets, empty), septets.len(), empty), septets);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, count in 0_usize..2000, skip in 0_usize..200) {
            let _ = text_of(&unpack(&bytes, count, skip));
            let _ = text_of(&bytes);
        }
    }
}
