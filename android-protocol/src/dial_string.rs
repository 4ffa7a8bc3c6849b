//! The dial string: the digits a handset may be told to ring.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Fewest digits of a dial string.
pub const MIN_DIGITS: usize = 3;

/// Most digits of a dial string: what Android puts into one dial request of a GSM network.
pub const MAX_DIGITS: usize = 20;

/// A number for which police, fire brigade or ambulance answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmergencyNumber {
    /// The digits as they are dialled.
    pub number: &'static str,
    /// Country calling codes where it is in use, so that `+86110` is recognised too; empty for numbers that every network knows.
    pub calling_codes: &'static [&'static str],
    /// Who answers, and where.
    pub whose: &'static str,
}

const fn emergency(number: &'static str, calling_codes: &'static [&'static str], whose: &'static str) -> EmergencyNumber {
    EmergencyNumber { number, calling_codes, whose }
}

/// Numbers a machine must never ring.
///
/// Taken from Android's own table (AOSP `packages/services/Telephony`, `ecc/input/eccdata.txt`), as far as they have three to five digits;
/// what was added from general knowledge says so. The calling codes are those of the places named. The list errs on the side of refusing:
/// nobody on duty has a three-digit number.
pub const EMERGENCY_NUMBERS: &[EmergencyNumber] = &[
    emergency("000", &["61"], "every handset without a SIM; Australia"),
    emergency("001", &["993"], "Turkmenistan"),
    emergency("002", &["993"], "Turkmenistan"),
    emergency("003", &["993"], "Turkmenistan"),
    emergency("019", &["232"], "Sierra Leone"),
    emergency("061", &["34"], "Spain"),
    emergency("062", &["34"], "Spain"),
    emergency("080", &["34"], "Spain"),
    emergency("085", &["34"], "Spain"),
    emergency("088", &["34"], "Spain"),
    emergency("091", &["34"], "Spain"),
    emergency("092", &["34"], "Spain"),
    emergency("100", &["91", "972", "977", "32", "54"], "India, Israel, Nepal, Belgium, Argentina"),
    emergency(
        "101",
        &["7", "375", "380", "972", "976", "977", "992", "996", "998", "32", "54"],
        "Russia and its neighbours, Israel, Nepal, Mongolia, Argentina",
    ),
    emergency(
        "102",
        &["7", "375", "380", "972", "976", "977", "992", "996", "998", "960"],
        "Russia and its neighbours, Israel, Nepal, Mongolia, Maldives",
    ),
    emergency("103", &["7", "375", "380", "976", "992", "996", "998"], "Russia and its neighbours, Mongolia"),
    emergency("104", &["7", "53", "507", "598"], "Russia, Cuba, Panama, Uruguay"),
    emergency("105", &["51", "53", "598"], "Peru, Cuba, Uruguay"),
    emergency("106", &["53", "598"], "Cuba, Uruguay"),
    emergency("107", &["54"], "Argentina"),
    emergency("108", &["91"], "India: ambulance"),
    emergency(
        "110",
        &["86", "81", "49", "886", "62", "98", "47", "90", "94", "51", "591", "963"],
        "China, Japan, Germany, Taiwan, Indonesia, Iran, Norway, Turkey, Sri Lanka, Peru, Bolivia, Syria",
    ),
    emergency("111", &["64", "82", "250", "674", "675", "678", "690"], "New Zealand, Korea, Rwanda and islands of the Pacific"),
    emergency("112", &[], "every handset, every network"),
    emergency(
        "113",
        &["84", "39", "47", "62", "82", "244", "240", "245", "963", "975"],
        "Viet Nam, Italy, Norway, Indonesia, Korea and others",
    ),
    emergency("114", &["84", "33", "230", "509"], "Viet Nam, France, Mauritius, Haiti"),
    emergency(
        "115",
        &["84", "39", "98", "92", "33", "230", "244", "240", "505", "509", "593", "597"],
        "Viet Nam, Italy, Iran, Pakistan, France and others",
    ),
    emergency("116", &["51", "376", "220", "509"], "Peru, Andorra, Gambia, Haiti"),
    emergency(
        "117",
        &["41", "82", "855", "222", "228", "229", "236", "237", "245", "258", "261", "63"],
        "Switzerland, Korea, Cambodia, several states of Africa; Philippines",
    ),
    emergency(
        "118",
        &[
            "81", "82", "39", "41", "62", "376", "220", "222", "228", "229", "237", "242", "243", "245", "261", "505", "591",
            "855", "960",
        ],
        "Japan, Korea, Italy, Switzerland, Indonesia and others",
    ),
    emergency(
        "119",
        &["86", "81", "82", "886", "93", "94", "33", "237", "258", "591", "855", "960", "62"],
        "China, Japan, Korea, Taiwan, Afghanistan, Sri Lanka, France and others",
    ),
    emergency("120", &["86", "502"], "China, Guatemala"),
    emergency("121", &["7", "266"], "Russia, Lesotho"),
    emergency(
        "122",
        &["86", "43", "20", "82", "224", "266", "382", "387"],
        "China: road accidents; Austria, Egypt, Korea, Guinea and others",
    ),
    emergency("123", &["20", "57", "7", "266", "382", "387", "502"], "Egypt, Colombia, Russia, Lesotho and others"),
    emergency("124", &["382", "387"], "Montenegro, Bosnia"),
    emergency("125", &["98", "82"], "Iran, Korea"),
    emergency("127", &["355"], "Albania"),
    emergency("128", &["355", "43", "505"], "Albania, Austria, Nicaragua"),
    emergency("129", &["355"], "Albania"),
    emergency("130", &["964", "238"], "Iraq, Cape Verde"),
    emergency("131", &["56", "238"], "Chile, Cape Verde"),
    emergency("132", &["56", "238"], "Chile, Cape Verde"),
    emergency("133", &["56", "43"], "Chile, Austria"),
    emergency("140", &["43"], "Austria"),
    emergency("144", &["41", "43"], "Switzerland, Austria"),
    emergency("150", &["212"], "Morocco"),
    emergency("155", &["90"], "Turkey"),
    emergency("170", &["225"], "Ivory Coast"),
    emergency("177", &["241"], "Gabon"),
    emergency("180", &["20", "225"], "Egypt, Ivory Coast"),
    emergency("185", &["55", "225"], "Brazil, Ivory Coast"),
    emergency("190", &["55", "212", "216", "350"], "Brazil, Morocco, Tunisia, Gibraltar"),
    emergency("191", &["66", "95", "233", "33"], "Thailand, Myanmar, Ghana, France"),
    emergency("192", &["55", "95", "233", "381", "383", "389", "686"], "Brazil, Myanmar, Ghana, Serbia and others"),
    emergency("193", &["55", "233", "381", "383", "389", "686"], "Brazil, Ghana, Serbia and others"),
    emergency("194", &["381", "383", "389", "686"], "Serbia, Kosovo, North Macedonia, Kiribati"),
    emergency("196", &["33"], "France"),
    emergency("197", &["33", "216"], "France, Tunisia"),
    emergency("198", &["216", "258"], "Tunisia, Mozambique"),
    emergency("199", &["66", "95", "234", "350", "967"], "Thailand, Myanmar, Nigeria, Gibraltar, Yemen"),
    emergency("901", &["373"], "Moldova"),
    emergency("902", &["373"], "Moldova"),
    emergency("903", &["373"], "Moldova"),
    emergency("911", &["1", "52", "54", "63", "962"], "North America and many other places"),
    emergency("912", &["592"], "Guyana"),
    emergency("913", &["592", "503"], "Guyana, El Salvador"),
    emergency("917", &["679"], "Fiji"),
    emergency("919", &["1242"], "Bahamas"),
    emergency("922", &["676"], "Tonga"),
    emergency("933", &["676", "268"], "Tonga, Eswatini"),
    emergency("988", &["677"], "Solomon Islands"),
    emergency("990", &["1868"], "Trinidad and Tobago"),
    emergency("991", &["673", "251", "260"], "Brunei, Ethiopia, Zambia"),
    emergency("993", &["673", "260", "263"], "Brunei, Zambia, Zimbabwe"),
    emergency("994", &["60"], "Malaysia: fire brigade"),
    emergency("995", &["65", "673", "263"], "Singapore, Brunei, Zimbabwe"),
    emergency("997", &["966", "971", "265", "267"], "Saudi Arabia, Emirates, Malawi, Botswana"),
    emergency("998", &["966", "971", "265", "267"], "Saudi Arabia, Emirates, Malawi, Botswana"),
    emergency(
        "999",
        &["44", "852", "853", "60", "65", "880", "971", "966", "973", "974", "254", "256", "263"],
        "United Kingdom, Hong Kong, Macao, Malaysia, Singapore, Bangladesh, Emirates and others",
    ),
    emergency("1122", &["92"], "Pakistan: rescue service"),
    emergency("1190", &["856"], "Laos"),
    emergency("1191", &["856"], "Laos"),
    emergency("1195", &["856"], "Laos"),
    emergency("1414", &["41"], "Switzerland"),
    emergency("1515", &["218"], "Libya"),
    emergency("1548", &["213"], "Algeria"),
    emergency("1669", &["66"], "Thailand"),
    emergency("9999", &["968"], "Oman"),
    emergency("10111", &["264"], "Namibia"),
    emergency("12110", &["86"], "China: police, by text message"),
    emergency("12395", &["86"], "China: rescue at sea"),
];

/// The emergency number these digits reach, with or without a country code in front.
#[must_use]
pub fn emergency_number(digits: &str) -> Option<&'static EmergencyNumber> {
    let bare = digits.strip_prefix('+').unwrap_or(digits);
    // "+86 110" and "0086 110", the two ways to spell a country code.
    let international = digits.strip_prefix('+').or_else(|| digits.strip_prefix("00"));
    EMERGENCY_NUMBERS.iter().find(|known| {
        bare == known.number
            || international
                .and_then(|rest| rest.strip_suffix(known.number))
                .is_some_and(|code| known.calling_codes.contains(&code))
    })
}

/// A number a handset can dial as it stands: an optional leading `+` and 3 to 20 ASCII digits, never an emergency number.
///
/// No separators, because the app compares its call log, which holds bare digits, with the text it was given (measured on the app:
/// `187-1234-5678` is "not answered" even if answered). No `#`, `*` or pauses, because those make it a service code: a raw `#` is cut off
/// together with all that follows, and an MMI code leaves no row in the call log, after which the app waits for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DialString(String);

/// Why a text is not a [`DialString`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialStringError {
    /// Nothing is left once the separators are gone.
    #[error("the number is empty")]
    Empty,
    /// A `#` or `*`, or its fullwidth form: the number is a service code.
    #[error("{found:?} makes the number a service code; only digits and a leading + can be dialled")]
    ServiceCode {
        /// The character.
        found: char,
    },
    /// A pause or wait character (`,` `;` `p` `w` `x`): what follows would be dialled into the call.
    #[error("{found:?} is a pause; a number with an extension cannot be dialled")]
    Pause {
        /// The character.
        found: char,
    },
    /// A `+` that is not the first character.
    #[error("a + may only stand at the beginning of a number")]
    MisplacedPlus,
    /// Any other character.
    #[error("{found:?} is neither a digit nor a separator")]
    NotADigit {
        /// The character.
        found: char,
    },
    /// Fewer than [`MIN_DIGITS`].
    #[error("the number has only {digits} digits; at least {MIN_DIGITS} are needed")]
    TooShort {
        /// How many there are.
        digits: usize,
    },
    /// More than [`MAX_DIGITS`].
    #[error("the number has {digits} digits; at most {MAX_DIGITS} are possible")]
    TooLong {
        /// How many there are.
        digits: usize,
    },
    /// One of [`EMERGENCY_NUMBERS`].
    #[error("{number} is an emergency number ({whose}) and is never dialled by a machine")]
    Emergency {
        /// The emergency number it reaches.
        number: &'static str,
        /// Who would answer.
        whose: &'static str,
    },
}

/// Separators people write between digits: blanks of several widths, hyphens and dashes, full stops, brackets, and their fullwidth forms.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{3000}' | '-' | '\u{2010}'
            ..='\u{2015}' | '\u{2212}' | '－' | '.' | '．' | '(' | ')' | '（' | '）'
    ) || is_invisible(c)
}

/// Marks that come along when a number is copied from an address book or a chat.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Fullwidth digits and signs as their ASCII forms; everything else unchanged.
fn narrow(c: char) -> char {
    match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c),
        '＋' => '+',
        '＃' => '#',
        '＊' => '*',
        '，' => ',',
        '；' => ';',
        other => other,
    }
}

impl DialString {
    /// Reads a number as people write it: separators are dropped, fullwidth digits are narrowed, everything else is refused.
    ///
    /// # Errors
    ///
    /// The first reason, from left to right, why it cannot be dialled.
    pub fn parse(text: &str) -> Result<Self, DialStringError> {
        let mut dialled = String::with_capacity(text.len().min(MAX_DIGITS + 1));
        let mut digits = 0_usize;
        for found in text.chars() {
            match narrow(found) {
                c @ '0'..='9' => {
                    digits += 1;
                    // A megabyte of digits is counted, not kept.
                    if digits <= MAX_DIGITS {
                        dialled.push(c);
                    }
                }
                '+' if dialled.is_empty() => dialled.push('+'),
                '+' => return Err(DialStringError::MisplacedPlus),
                '#' | '*' => return Err(DialStringError::ServiceCode { found }),
                ',' | ';' | 'p' | 'P' | 'w' | 'W' | 'x' | 'X' => {
                    return Err(DialStringError::Pause { found });
                }
                c if is_separator(c) => {}
                _ => return Err(DialStringError::NotADigit { found }),
            }
        }
        if digits == 0 {
            return Err(DialStringError::Empty);
        }
        if digits > MAX_DIGITS {
            return Err(DialStringError::TooLong { digits });
        }
        // Before the length, so that the reason names the danger and not the form.
        if let Some(known) = emergency_number(&dialled) {
            return Err(DialStringError::Emergency { number: known.number, whose: known.whose });
        }
        if digits < MIN_DIGITS {
            return Err(DialStringError::TooShort { digits });
        }
        Ok(Self(dialled))
    }

    /// What is dialled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without the leading `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.strip_prefix('+').unwrap_or(&self.0)
    }

    /// True if it begins with `+`, that is with a country code.
    #[must_use]
    pub fn is_international(&self) -> bool {
        self.0.starts_with('+')
    }
}

impl FromStr for DialString {
    type Err = DialStringError;

    fn from_str(text: &str) -> Result<Self, DialStringError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DialString {
    type Error = DialStringError;

    fn try_from(text: String) -> Result<Self, DialStringError> {
        Self::parse(&text)
    }
}

impl From<DialString> for String {
    fn from(dial_string: DialString) -> Self {
        dial_string.0
    }
}

impl AsRef<str> for DialString {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DialString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn separators_and_fullwidth_forms_are_dropped() {
        for (text, dialled) in [
            ("18712345678", "18712345678"),
            ("187-1234-5678", "18712345678"),
            (" +86 187 1234 5678 ", "+8618712345678"),
            ("＋８６（１８７）１２３４－５６７８", "+8618712345678"),
            ("(0351) 123.4567", "03511234567"),
            ("\u{202a}+49 351 1234567\u{202c}", "+493511234567"),
            ("10086", "10086"),
        ] {
            assert_eq!(DialString::parse(text).unwrap().as_str(), dialled, "{text}");
        }
    }

    #[test]
    fn each_refusal_names_its_reason() {
        use DialStringError as E;
        for (text, why) in [
            ("", E::Empty),
            (" - ", E::Empty),
            ("+", E::Empty),
            ("**21*187#", E::ServiceCode { found: '*' }),
            ("187#", E::ServiceCode { found: '#' }),
            ("187＃", E::ServiceCode { found: '＃' }),
            ("*7218712345678", E::ServiceCode { found: '*' }),
            ("18712345678,123", E::Pause { found: ',' }),
            ("18712345678;1", E::Pause { found: ';' }),
            ("187p1", E::Pause { found: 'p' }),
            ("187+1", E::MisplacedPlus),
            ("++187", E::MisplacedPlus),
            ("187a", E::NotADigit { found: 'a' }),
            ("187%23", E::NotADigit { found: '%' }),
            ("187|1", E::NotADigit { found: '|' }),
            ("187\n1", E::NotADigit { found: '\n' }),
            ("٣٤٥٦", E::NotADigit { found: '٣' }),
            ("12", E::TooShort { digits: 2 }),
            ("123456789012345678901", E::TooLong { digits: 21 }),
        ] {
            assert_eq!(DialString::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn emergency_numbers_are_refused_in_every_spelling() {
        for text in [
            "000",
            "110",
            "112",
            "118",
            "119",
            "120",
            "122",
            "911",
            "995",
            "999",
            "1-1-0",
            "+110",
            "+86110",
            "0086 110",
            "１１９",
            "+1 911",
            "+112",
        ] {
            assert!(matches!(DialString::parse(text), Err(DialStringError::Emergency { .. })), "{text}");
        }
        for text in ["1101", "10010", "+8618712345110", "0110", "911911911", "19110112"] {
            assert!(DialString::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_list_has_no_number_twice() {
        for (i, a) in EMERGENCY_NUMBERS.iter().enumerate() {
            assert!(EMERGENCY_NUMBERS[i + 1..].iter().all(|b| b.number != a.number), "{}", a.number);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = DialString::parse(&text);
        }

        #[test]
        fn what_is_accepted_is_dialable_and_reads_back(text in r"[-+ .()0-9０-９]{0,30}") {
            if let Ok(dial) = DialString::parse(&text) {
                prop_assert!((MIN_DIGITS..=MAX_DIGITS).contains(&dial.digits().len()));
                prop_assert!(dial.digits().bytes().all(|b| b.is_ascii_digit()));
                prop_assert!(emergency_number(dial.as_str()).is_none());
                prop_assert_eq!(DialString::parse(dial.as_str()).unwrap(), dial.clone());
                prop_assert_eq!(serde_json::from_str::<DialString>(&serde_json::to_string(&dial).unwrap()).unwrap(), dial);
            }
        }
    }
}
