//! Parts of texts are put together, in whatever order they come.

use std::collections::BTreeMap;

use super::deliver::Deliver;

/// A text that came in, whole or as far as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The same for the same messages, however often they are read.
    pub id: String,
    /// Who sent it.
    pub from: String,
    /// What it says; `…` stands for a part that did not come.
    pub text: String,
    /// When the service centre got its first part, as RFC 3339 writes it.
    pub at: String,
    /// How many parts it has.
    pub parts: u8,
    /// Where its parts lie on the SIM.
    pub slots: Vec<u32>,
}

/// Puts together what lies on a SIM: the texts that are whole, in the order in which they were stored, and with `all` those that are not, too.
///
/// A part that lies there twice counts once, and both go when the text goes.
#[must_use]
pub fn join(stored: &[(u32, Deliver)], all: bool) -> Vec<Joined> {
    let mut texts: Vec<(Vec<u32>, BTreeMap<u8, &Deliver>, u8)> = Vec::new();
    let mut known = BTreeMap::new();
    for (slot, one) in stored {
        let Some(part) = one.part else {
            texts.push((vec![*slot], BTreeMap::from([(1, one)]), 1));
            continue;
        };
        let key = (&one.from, part.reference, part.wide, part.of);
        let place = *known.entry(key).or_insert(texts.len());
        if place == texts.len() {
            texts.push((Vec::new(), BTreeMap::new(), part.of));
        }
        if let Some((slots, parts, _)) = texts.get_mut(place) {
            slots.push(*slot);
            parts.entry(part.number).or_insert(one);
        }
    }
    let whole = |(_, parts, of): &(Vec<u32>, BTreeMap<u8, &Deliver>, u8)| parts.len() == usize::from(*of);
    texts.into_iter().filter(|text| all || whole(text)).filter_map(|(slots, parts, of)| joined(slots, &parts, of)).collect()
}

fn joined(slots: Vec<u32>, parts: &BTreeMap<u8, &Deliver>, of: u8) -> Option<Joined> {
    let first = parts.values().next()?;
    let text: String = (1..=of).map(|number| parts.get(&number).map_or("…", |part| part.text.as_str())).collect();
    let at = first.at.to_string();
    let named = parts.iter().map(|(number, part)| format!("{number}\u{0}{}\u{0}{}\u{0}", part.at, part.text));
    let id = fingerprint(&[first.from.as_str(), "\u{0}"].into_iter().map(str::to_owned).chain(named).collect::<String>());
    Some(Joined { id, from: first.from.clone(), text, at, parts: of, slots })
}

/// A short name for a text that stays the same from version to version (FNV-1a, 128 bits): nobody gains by making two alike.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::modem::pdu::{Stamp, user::Part};

    fn one(from: &str, text: &str, reference: u16, of: u8, number: u8) -> Deliver {
        let part = (of > 0).then_some(Part { reference, wide: false, of, number });
        Deliver { from: from.into(), at: Stamp { fields: [26, 11, 28, 13, 0, number], zone_minutes: 0 }, text: text.into(), part }
    }

    #[test]
    fn parts_in_any_order_and_twice() {
        let stored = [
            (4, one("+1", "b", 7, 2, 2)),
            (1, one("+2", "alone", 0, 0, 0)),
            (2, one("+1", "a", 7, 2, 1)),
            (3, one("+1", "b", 7, 2, 2)),
        ];
        let texts = join(&stored, false);
        let found: Vec<_> =
            texts.iter().map(|text| (text.from.as_str(), text.text.as_str(), text.parts, &text.slots[..])).collect();
        assert_eq!(found, [("+1", "ab", 2, &[4, 2, 3][..]), ("+2", "alone", 1, &[1][..])]);
        assert_ne!(texts[0].id, texts[1].id);
    }

    #[test]
    fn what_is_not_whole_waits() {
        let stored = [(1, one("+1", "c", 7, 3, 3)), (2, one("+1", "a", 7, 3, 1)), (3, one("+1", "x", 8, 2, 1))];
        assert_eq!(join(&stored, false), []);
        let texts: Vec<_> = join(&stored, true).into_iter().map(|text| text.text).collect();
        assert_eq!(texts, ["a…c", "x…"]);
    }

    proptest! {
        #[test]
        fn the_order_does_not_change_the_name(pieces in proptest::collection::vec("[a-z]{0,5}", 2..6), turn in 0_usize..6) {
            let of = u8::try_from(pieces.len()).unwrap_or(1);
            let mut stored: Vec<_> = (1..=of).zip(&pieces).map(|(number, text)| (u32::from(number), one("+1", text, 3, of, number))).collect();
            let whole = join(&stored, false);
            prop_assert_eq!(whole.len(), 1);
            stored.rotate_left(turn % pieces.len());
            let turned = join(&stored, false);
            prop_assert_eq!((&turned[0].id, &turned[0].text), (&whole[0].id, &pieces.concat()));
        }
    }
}
