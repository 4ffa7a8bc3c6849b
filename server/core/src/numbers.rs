//! Phone numbers: how they are compared, how a handset dials them, and how they are shown without being told.
//!
//! People write the same number in many ways. Two spellings are one number when their [`Number`]s are equal: that is the
//! E.164 form where the numbering plan knows the number, and the digits themselves where it does not (an extension, a
//! short code, a range younger than the plan's data). The plans come from the `phonenumber` crate, which carries Google's
//! libphonenumber metadata. Prefixes that choose a carrier, or say that a number is a mobile one, are read away as these plans say.
//! Where one phone has two numbers all the same, each is kept, because they are dialled differently: whatever asks whether two numbers
//! are one phone, or keeps a phone from being rung twice, compares [`phone_of`] them.

use std::{borrow::Cow, fmt, str::FromStr};

use android_protocol::{DialString, DialStringError};
use phonenumber::{Metadata, Mode, country, metadata::DATABASE};

/// A country or territory with a numbering plan, by its two-letter code (ISO 3166-1 alpha-2).
///
/// Says how a number without a country code is to be read, and in which country a handset's SIM card is at home.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(country::Id);

/// A text that is no [`Region`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a country with a numbering plan; write its two-letter ISO 3166 code, such as CN, JP, US or GB")]
pub struct UnknownRegion(String);

impl Region {
    /// China, the default of the configuration.
    pub const CN: Self = Self(country::CN);

    /// The two-letter code, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let code = text.trim().to_ascii_uppercase();
        match code.parse() {
            // The parser of numbers takes a plan for granted.
            Ok(id) if DATABASE.by_id(code.as_str()).is_some() => Ok(Self(id)),
            _ => Err(UnknownRegion(text.chars().take(20).collect())),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({self})")
    }
}

/// A phone number in the form in which numbers are compared and stored.
///
/// Either `+` and digits (E.164, or as it was given when it was given with a country code that the plan does not know
/// further), or bare digits that only mean something where they are dialled. Its `Debug` form is [`masked`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(String);

/// A number as somebody wrote it, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The number to compare and store.
    pub number: Number,
    /// False when the numbering plan does not know it. It can be dialled nevertheless; pages mark it.
    pub known_to_plan: bool,
    /// What was written, without separators: 3 to 20 digits, after a `+` if there was one.
    pub digits_as_given: String,
}

/// Why a number is refused: no handset could, or none should, dial it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is no dial string.
    #[error(
        "this phone number cannot be dialled: {0}; write 3 to 20 digits, with + and the country code in front if it is abroad"
    )]
    Undialable(#[from] DialStringError),
    /// A spreadsheet or a program has made a decimal number of it.
    #[error("this is a decimal number, not a phone number: format the column as text, or write the number in quotes")]
    Decimal,
    /// Behind a number that the plan knows there is more.
    #[error(
        "this phone number has an extension, which a handset cannot dial: write the number without it, or one that reaches the person"
    )]
    Extension,
}

impl Number {
    /// Reads a number as it was written by a person or a program of the country `region`.
    ///
    /// Separators (blanks, `-`, `.`, `/`, brackets) are dropped and fullwidth characters narrowed. A leading `+`, or the
    /// digits that dial abroad from `region` (`00` in most countries, `011` in the USA), mean that a country code follows.
    ///
    /// # Errors
    ///
    /// When it is not 3 to 20 digits with an optional leading `+`, reaches an emergency service, is a decimal number, or has an extension.
    pub fn parse(raw: &str, region: Region) -> Result<Parsed, NumberError> {
        let raw = narrowed(raw);
        let raw = whole(&raw)?;
        let given = dialled(raw)?;
        let digits_as_given = String::from(given.clone());
        let parsed = match planned(&digits_as_given, region) {
            Some(number) => Parsed { number, known_to_plan: true, digits_as_given },
            None => Parsed { number: Self(digits_as_given.clone()), known_to_plan: false, digits_as_given },
        };
        if !parsed.known_to_plan && has_extension(raw, region) {
            return Err(NumberError::Extension);
        }
        // "0086110" was caught above; this catches what only the plan could unravel.
        DialString::parse(parsed.number.as_str())?;
        Ok(parsed)
    }

    /// A number that came out of [`as_str`](Self::as_str), read back from the database as it is.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The comparable form, for the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The numbering plan knows such a number.
    #[must_use]
    pub fn is_known_to_plan(&self) -> bool {
        self.0.starts_with('+')
    }

    /// The other number of the same phone, where it has two: Argentina's mobiles are reached from abroad with a 9 after the country code,
    /// and their text messages come with it or without; Mexico's once had a 1 there, with which some are stored. No other phone has the
    /// digits that follow.
    #[must_use]
    pub fn other_form(&self) -> Option<Self> {
        const ARGENTINA: u16 = 54;
        const MEXICO: u16 = 52;
        let (code, national) = split_country_code(self.0.strip_prefix('+')?)?;
        let mark = match code {
            ARGENTINA => '9',
            MEXICO => '1',
            _ => return None,
        };
        let (other, of_today) = match national.strip_prefix(mark) {
            Some(rest) if national.len() == 11 => (format!("+{code}{rest}"), rest.to_owned()),
            None if national.len() == 10 => (format!("+{code}{mark}{national}"), national.to_owned()),
            _ => return None,
        };
        // Today's plan knows Argentina's 9, and Mexico's 1 no more.
        let in_plan = if code == MEXICO { is_in_plan(code, &of_today) } else { is_in_plan(code, other.get(3..)?) };
        in_plan.then_some(Self(other))
    }

    /// Whether both are numbers of one phone.
    #[must_use]
    pub fn is_same_phone(&self, other: &Self) -> bool {
        same_phone(&self.0, &other.0)
    }

    /// What a handset with a SIM card of `handset_country` dials.
    ///
    /// The national form where the number has that country's calling code (the app compares what it was given with its call log, which
    /// holds what was dialled), else `+`, country code and digits, which every GSM network understands.
    #[must_use]
    pub fn dial_string(&self, handset_country: Region) -> String {
        self.national_form(handset_country).unwrap_or_else(|| self.0.clone())
    }

    /// The national digits, where reading them in `country` gives this number again.
    ///
    /// The check matters: some plans format a number in a way that only makes sense next door (Argentina's mobile 15), and a
    /// wrong call is worse than a longer dial string.
    fn national_form(&self, country: Region) -> Option<String> {
        let (code, national) = split_country_code(self.0.strip_prefix('+')?)?;
        // By calling code, not by country: countries that share one (USA and Canada, Italy and the Vatican) share a plan
        // and dial each other in national form.
        if code != DATABASE.by_id(country.as_str())?.country_code() || !is_in_plan(code, national) {
            return None;
        }
        let number = phonenumber::parse(None, &self.0).ok()?;
        let formatted = number.format().mode(Mode::National).to_string();
        let national: String = formatted.chars().filter(char::is_ascii_digit).collect();
        let same = planned(&national, country).as_ref() == Some(self);
        (same && DialString::parse(&national).is_ok()).then_some(national)
    }

    /// True when `reported`, the `resp` of a handset in `region`, is this number.
    ///
    /// Handsets report what they dialled, or what their call log made of it: with or without country code, with
    /// separators, and with a blank where a `+` was decoded from a query string.
    #[must_use]
    pub fn matches(&self, reported: &str, region: Region) -> bool {
        let Ok(given) = dialled(reported) else {
            return false;
        };
        let given = String::from(given);
        // The blank that was a plus is gone by now, like all separators, so the digits are also read with one.
        let with_plus = format!("+{}", given.trim_start_matches('+'));
        let is_this = |number: Option<Self>| number.is_some_and(|number| self.is_same_phone(&number));
        given == self.0
            || with_plus == self.0
            || given == self.dial_string(region)
            || is_this(planned(&given, region))
            || (reported.starts_with([' ', '\u{a0}']) && is_this(planned(&with_plus, region)))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", masked(&self.0))
    }
}

/// What the phone behind a number, in its comparable form, is compared, locked and indexed by: the same for all its numbers.
///
/// Mobile phones of Argentina are also reached with a 9 after the country code, and those of Mexico once were with a 1. No other phone
/// has the digits that follow. It can be dialled, but need not be what is dialled.
#[must_use]
pub fn phone_of(number: &str) -> Cow<'_, str> {
    // What is said here stands in migration 0023 too, for what was open then.
    const WITH_A_MARK: [(&str, &str); 2] = [("+549", "+54"), ("+521", "+52")];
    const NATIONAL_DIGITS: usize = 10;
    let unmarked = WITH_A_MARK.into_iter().find_map(|(marked, code)| {
        let national = number.strip_prefix(marked).filter(|national| national.len() == NATIONAL_DIGITS)?;
        Some(format!("{code}{national}"))
    });
    unmarked.map_or(Cow::Borrowed(number), Cow::Owned)
}

/// Whether both numbers, in their comparable form, are of one phone.
#[must_use]
pub fn same_phone(one: &str, other: &str) -> bool {
    phone_of(one) == phone_of(other)
}

/// With the digits of other scripts as those of ours, and without the invisible marks that address books put around numbers.
#[must_use]
pub fn narrowed(text: &str) -> String {
    /// Where the ten digits of a script begin, in Unicode's order.
    const ZEROS: [char; 19] = [
        '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}', '\u{ce6}',
        '\u{d66}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{17e0}', '\u{1810}', '\u{ff10}',
    ];
    let invisible =
        |c: &char| matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let digit = |c: char| {
        let value = ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10));
        value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
    };
    text.chars().filter(|c| !invisible(c)).map(digit).collect()
}

/// The digits of a decimal number that is a whole one: `18714000920.0` must not become `187140009200`.
///
/// One stop between digits may also part an area code from the rest. That has few digits, so a longer one is a decimal number, as
/// spreadsheets write them, and is refused where it is no whole one.
fn whole(raw: &str) -> Result<&str, NumberError> {
    const LONGEST_AREA_CODE: usize = 5;
    const STOPS: [char; 4] = ['.', '\u{ff0e}', '\u{3002}', '\u{ff61}'];
    let bare = raw.trim_matches(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\u{ff08}' | '\u{ff09}'));
    let Some((number, decimals)) = bare.split_once(STOPS) else { return Ok(raw) };
    let digits = |text: &str| text.bytes().all(|own| own.is_ascii_digit());
    let own = number.strip_prefix(['+', '\u{ff0b}']).unwrap_or(number);
    if own.is_empty() || !digits(own) || !digits(decimals) {
        return Ok(raw);
    }
    match decimals.bytes().all(|own| own == b'0') {
        true => Ok(number),
        false if decimals.len() <= 2 || own.len() > LONGEST_AREA_CODE => Err(NumberError::Decimal),
        false => Ok(raw),
    }
}

/// Whether a number ends with digits behind others that are a number of the plan by themselves: `010-62345678-123`, `010-62345678 (12)`.
fn has_extension(raw: &str, region: Region) -> bool {
    const LONGEST: usize = 6;
    let is_number = |text: &str| dialled(text).is_ok_and(|number| planned(&String::from(number), region).is_some());
    // Where digits begin behind something else, from the end.
    let begins = raw.char_indices().rev().filter(|(place, c)| {
        let before = raw[..*place].chars().next_back();
        c.is_ascii_digit() && before.is_some_and(|before| !before.is_ascii_digit())
    });
    let length = |place: usize| raw[place..].bytes().filter(u8::is_ascii_digit).count();
    begins.map(|(place, _)| place).take_while(|place| length(*place) <= LONGEST).any(|place| is_number(&raw[..place]))
}

/// `raw` without separators, if a handset can dial it.
fn dialled(raw: &str) -> Result<DialString, DialStringError> {
    // The slash between area code and number is a German and Austrian habit.
    DialString::parse(&raw.replace(['/', '\u{ff0f}'], " "))
}

/// The E.164 form of `digits` (optional `+`, ASCII digits), where the plan knows the number.
///
/// Reads with the crate's plans but not with its parser, which (0.3.10) takes the country code off every number that begins
/// with the same digits, `39` of an Italian or `91` of an Indian mobile among them, and would have somebody else rung.
fn planned(digits: &str, region: Region) -> Option<Number> {
    let home = DATABASE.by_id(region.as_str())?;
    let abroad = digits.strip_prefix('+').or_else(|| without_exit_code(digits, home));
    let (code, candidates) = match abroad {
        Some(rest) => {
            let (code, national) = split_country_code(rest)?;
            // "+33 (0)6..." is a habit, although wrong.
            let trunk = DATABASE.by_code(&code)?.first()?.national_prefix();
            (code, vec![Some(national), without(national, trunk)])
        }
        None => {
            let trunk = home.national_prefix();
            let code = home.country_code();
            // The plus before the country code is often forgotten.
            let after_code = digits.strip_prefix(&code.to_string());
            let and_trunk = after_code.and_then(|rest| without(rest, trunk));
            (code, vec![Some(digits), without(digits, trunk), after_code, and_trunk])
        }
    };
    let plain = candidates.iter().copied().flatten().find(|national| is_in_plan(code, national)).map(str::to_owned);
    let national = plain.or_else(|| {
        let trunk = DATABASE.by_code(&code)?.first()?.national_prefix();
        let read = candidates.into_iter().flatten().filter_map(|national| without_carrier(code, national));
        let with_trunk = |national: String| [without(&national, trunk).map(str::to_owned), Some(national)];
        read.flat_map(with_trunk).flatten().find(|national| is_in_plan(code, national))
    })?;
    let e164 = format!("+{code}{national}");
    DialString::parse(&e164).is_ok().then_some(Number(e164))
}

/// A national number without what only chooses a carrier or says that it is a mobile one, as the plan of its country reads it: China's
/// `17951`, Brazil's `0 15`, Argentina's `15` behind the area code.
fn without_carrier(code: u16, national: &str) -> Option<String> {
    const MEXICO: u16 = 52;
    if code == MEXICO {
        // Until 2019 a 1 stood before mobile numbers from abroad, and these in Mexico; many phones still write them.
        let rest = ["044", "045", "01", "1"].into_iter().find_map(|prefix| national.strip_prefix(prefix))?;
        return (rest.len() == 10).then(|| rest.to_owned());
    }
    let plan = DATABASE.by_code(&code)?.into_iter().next()?;
    let found = plan.national_prefix_for_parsing()?.captures(national)?;
    let prefix = found.get(0).filter(|prefix| prefix.start() == 0 && prefix.end() > 0)?;
    let last = (1..found.len()).next_back().and_then(|group| found.get(group));
    let Some(rule) = plan.national_prefix_transform_rule().filter(|_| last.is_some()) else {
        return national.get(prefix.end()..).map(str::to_owned);
    };
    let mut read = String::new();
    found.expand(rule, &mut read);
    Some(read + national.get(prefix.end()..)?)
}

/// `digits` after `prefix`, if they begin with one.
fn without<'d>(digits: &'d str, prefix: Option<&str>) -> Option<&'d str> {
    digits.strip_prefix(prefix.filter(|prefix| !prefix.is_empty())?)
}

/// Country code and national number of international digits. No code is the beginning of another one (ITU-T E.164).
fn split_country_code(digits: &str) -> Option<(u16, &str)> {
    (1..=3).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let code = Some(code).filter(|code| !code.starts_with('0'))?.parse().ok()?;
        DATABASE.by_code(&code).map(|_| (code, national))
    })
}

/// True if some country with this calling code has given out numbers like this one.
fn is_in_plan(code: u16, national: &str) -> bool {
    DATABASE.by_code(&code).unwrap_or_default().iter().any(|plan| {
        let kinds = plan.descriptors();
        let given_out = [
            kinds.mobile(),
            kinds.fixed_line(),
            kinds.voip(),
            kinds.personal_number(),
            kinds.uan(),
            kinds.toll_free(),
            kinds.shared_cost(),
            kinds.premium_rate(),
            kinds.pager(),
            kinds.voicemail(),
        ];
        kinds.general().is_match(national) && given_out.into_iter().flatten().any(|kind| kind.is_match(national))
    })
}

/// What follows the digits that dial abroad in the country of `home`.
fn without_exit_code<'d>(digits: &'d str, home: &Metadata) -> Option<&'d str> {
    let found = home.international_prefix()?.find(digits).filter(|found| found.start() == 0)?;
    // No country code begins with 0.
    digits.get(found.end()..).filter(|rest| !rest.is_empty() && !rest.starts_with('0'))
}

/// Reads the numbering plans, which are otherwise read when the first number is: that takes a while and blocks its thread.
pub fn warm_up(region: Region) {
    // The result does not matter, only that the plans were needed for it.
    if let Ok(parsed) = Number::parse("18712345678", region) {
        let _ = parsed.number.dial_string(region);
    }
}

/// A name for who may not see numbers: where only a number is known, that number, masked.
#[must_use]
pub fn masked_name(name: &str) -> String {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    let bare = digits >= 3 && name.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.'));
    if bare { masked(name) } else { name.to_owned() }
}

/// A number for logs and pages: the first three and the last two digits, stars between (`187******78`).
///
/// At least half of a shorter number stays hidden, and a number of five digits or more is never shown whole. Works on any
/// text: everything that is not a digit or a leading `+` is dropped.
pub fn masked(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let plus = if number.trim_start().starts_with('+') { "+" } else { "" };
    let (head, tail) = match digits.len() {
        0..=2 => (0, 0),
        3..=4 => (1, 0),
        5..=7 => (1, 1),
        8..=9 => (2, 2),
        _ => (3, 2),
    };
    let hidden = digits.len() - head - tail;
    let shown = |range: &[char]| range.iter().collect::<String>();
    format!("{plus}{}{}{}", shown(&digits[..head]), "*".repeat(hidden), shown(&digits[digits.len() - tail..]))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn region(code: &str) -> Region {
        code.parse().unwrap()
    }

    fn parsed(raw: &str, code: &str) -> Parsed {
        Number::parse(raw, region(code)).unwrap()
    }

    /// (region, as written there, E.164, national dial string). Numbers are of the plans' examples and of ranges reserved
    /// for fiction, where there are such.
    const KNOWN: &[(&str, &str, &str, &str)] = &[
        ("CN", "18712345678", "+8618712345678", "18712345678"),
        ("CN", "187-1234-5678", "+8618712345678", "18712345678"),
        ("CN", "+86 187 1234 5678", "+8618712345678", "18712345678"),
        ("CN", "0086 18712345678", "+8618712345678", "18712345678"),
        ("CN", "8618712345678", "+8618712345678", "18712345678"),
        ("CN", "\u{ff0b}\u{ff18}\u{ff16} 18712345678", "+8618712345678", "18712345678"),
        ("CN", "021-6234-5678", "+862162345678", "02162345678"),
        ("CN", "(010) 6234.5678", "+861062345678", "01062345678"),
        ("JP", "090-1234-5678", "+819012345678", "09012345678"),
        ("JP", "03 1234 5678", "+81312345678", "0312345678"),
        ("JP", "010 81 90 1234 5678", "+819012345678", "09012345678"),
        ("US", "(212) 555-1234", "+12125551234", "2125551234"),
        ("US", "1-212-555-1234", "+12125551234", "2125551234"),
        ("FR", "06 12 34 56 78", "+33612345678", "0612345678"),
        ("FR", "+33 (0)6 12 34 56 78", "+33612345678", "0612345678"),
        ("ES", "612 34 56 78", "+34612345678", "612345678"),
        ("ES", "810 12 34 56", "+34810123456", "810123456"),
        ("GB", "07400 123456", "+447400123456", "07400123456"),
        ("GB", "0121 234 5678", "+441212345678", "01212345678"),
        ("IT", "02 1234 5678", "+390212345678", "0212345678"),
        ("IT", "312 345 6789", "+393123456789", "3123456789"),
        // These begin with the digits of their country code.
        ("IT", "390 123 4567", "+393901234567", "3901234567"),
        ("IN", "91234 56789", "+919123456789", "09123456789"),
        ("IN", "919123456789", "+919123456789", "09123456789"),
        ("DE", "030/123456", "+4930123456", "030123456"),
    ];

    #[test]
    fn known_numbers_are_read_and_dialled_at_home() {
        for &(code, raw, e164, national) in KNOWN {
            let parsed = parsed(raw, code);
            assert_eq!(parsed.number.as_str(), e164, "{raw} in {code}");
            assert!(parsed.known_to_plan, "{raw} in {code}");
            assert_eq!(parsed.number.dial_string(region(code)), national, "{raw} in {code}");
        }
    }

    /// Numbers of one phone, as they are written: in Argentina, Mexico, Brazil and China.
    const ONE_PHONE: &[(&str, &[&str])] = &[
        ("AR", &["011 15-2345-6789", "11 15 2345 6789", "+54 9 11 2345-6789", "+54 11 15 2345 6789", "5491123456789"]),
        ("AR", &["0351 15 234-5678", "+54 9 351 234 5678"]),
        (
            "MX",
            &["+52 55 1234 5678", "+52 1 55 1234 5678", "55 1234 5678", "044 55 1234 5678", "01 55 1234 5678", "5215512345678"],
        ),
        ("BR", &["+55 11 96123-4567", "11 96123 4567", "011 96123 4567", "0 15 11 96123 4567", "021 11 96123 4567"]),
        ("CN", &["18712345678", "17951 18712345678", "12593 18712345678", "+86 187 1234 5678", "1795118712345678"]),
        ("CN", &["010 6234 5678", "17951 010 6234 5678"]),
    ];

    #[test]
    fn prefixes_of_carriers_and_mobiles_are_read_away() {
        for &(code, spellings) in ONE_PHONE {
            let first = parsed(spellings[0], code);
            assert!(first.known_to_plan, "{spellings:?}");
            for spelling in spellings {
                let other = parsed(spelling, code).number;
                assert_eq!(other.as_str(), first.number.as_str(), "{spelling} in {code}");
                assert!(first.number.matches(spelling, region(code)), "{spelling}");
            }
        }
    }

    #[test]
    fn a_phone_with_two_numbers_is_one() {
        let mobile = parsed("+54 9 11 2345-6789", "AR").number;
        let bare = parsed("+54 11 2345-6789", "CN").number;
        assert_ne!(mobile, bare, "they are dialled differently");
        assert_eq!((mobile.other_form(), bare.other_form()), (Some(bare.clone()), Some(mobile.clone())));
        assert!(mobile.is_same_phone(&bare) && bare.matches("5491123456789", region("AR")));
        assert_eq!(phone_of(mobile.as_str()), phone_of(bare.as_str()));
        assert!(same_phone("+5215512345678", "+525512345678"), "as an earlier release stored it");
        for other in ["+549112345678", "+5491123456780", "5491123456789", "+5411234567890"] {
            assert!(!same_phone(other, mobile.as_str()), "{other}");
        }
        let (old, new) = (Number::from_stored("+5215512345678"), Number::from_stored("+525512345678"));
        assert_eq!((old.other_form(), new.other_form()), (Some(new.clone()), Some(old.clone())));
        for single in ["+8618712345678", "+12125551234", "+520012345678"] {
            assert_eq!(Number::from_stored(single).other_form(), None);
        }
    }

    #[test]
    fn known_numbers_are_dialled_from_abroad_with_their_country_code() {
        for &(code, raw, e164, _) in KNOWN {
            let number = parsed(raw, code).number;
            for &(elsewhere, ..) in KNOWN {
                if elsewhere != code {
                    assert_eq!(number.dial_string(region(elsewhere)), e164);
                    assert_eq!(parsed(e164, elsewhere).number, number, "{e164} read in {elsewhere}");
                }
            }
        }
    }

    #[test]
    fn a_number_that_the_plan_does_not_know_is_dialled_as_it_is() {
        for raw in ["8001", "20 15", "123456789012345678"] {
            let parsed = parsed(raw, "CN");
            assert!(!parsed.known_to_plan, "{raw}");
            assert_eq!(parsed.number.as_str(), parsed.digits_as_given);
            assert_eq!(parsed.number.dial_string(Region::CN), parsed.digits_as_given);
            assert!(parsed.number.matches(raw, Region::CN));
        }
        // Without its plus it would ring somebody else.
        let foreign = parsed("+999 123 4567", "CN");
        assert!(!foreign.known_to_plan);
        assert_eq!(foreign.number.dial_string(Region::CN), "+9991234567");
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_a_reason() {
        for raw in [
            "",
            " ",
            "+",
            "12",
            "1 2",
            "123456789012345678901",
            "187+12345678",
            "++8618712345678",
            "1800FLOWERS",
            "187#",
            "*100#",
            "#31#18712345678",
            "18712345678,123",
            "18712345678;1",
            "18712345678p1",
            "110",
            "+86110",
            "0086 110",
            "1 1 2",
            "911",
            "\u{ff11}\u{ff11}\u{ff10}",
            "000",
            "tel:18712345678",
            "18712345678\n",
        ] {
            let error = Number::parse(raw, Region::CN).unwrap_err().to_string();
            assert!(error.contains("write 3 to 20 digits"), "{error}");
        }
    }

    #[test]
    fn decimal_numbers_are_read_whole_or_refused() {
        for raw in ["18712345678.0", "18712345678.00", "18712345678.", "+8618712345678.0", " 18712345678.0 "] {
            assert_eq!(parsed(raw, "CN").number.as_str(), "+8618712345678", "{raw}");
        }
        for raw in ["(18712345678.0)", "18712345678．0", "１８７１２３４５６７８．０", "18712345678。00", "（18712345678.0）"]
        {
            assert_eq!(parsed(raw, "CN").number.as_str(), "+8618712345678", "{raw}");
        }
        let never = ["18712345678.5", "1871234567.25", "110.0", "1.8712345678E+10", "62345678.125", "1871400092.012"];
        for raw in never.into_iter().chain(["18714000920.0000019", "(18712345678.5)", "+8618712345678．25", "0.18712345678E11"])
        {
            assert!(Number::parse(raw, Region::CN).is_err(), "{raw}");
        }
        assert_eq!(parsed("0212.3456789", "TR").number.as_str(), "+902123456789");
        assert_eq!(parsed("06.12.34.56.78", "FR").number.as_str(), "+33612345678");
        assert_eq!(parsed("0171.1234567", "DE").number.as_str(), "+491711234567");
        assert_eq!(parsed("187.1234.5678", "CN").number.as_str(), "+8618712345678");
    }

    #[test]
    fn extensions_are_refused() {
        let behind_brackets = ["010-62345678 (123)", "(010)62345678(123)", "（010）62345678（123）", "010 62345678 (12)(3)"];
        let behind_dashes =
            ["010-62345678–123", "010-62345678-12-3", "010-62345678－123", "010.62345678.123", "187-1234-5678/12"];
        for raw in behind_brackets.into_iter().chain(behind_dashes).chain(["010-62345678-123", "+86 10 6234 5678 1234"]) {
            assert_eq!(Number::parse(raw, Region::CN), Err(NumberError::Extension), "{raw}");
        }
        for raw in ["010-6234-5678", "8001", "20 15", "+999 123 4567"] {
            assert!(Number::parse(raw, Region::CN).is_ok(), "{raw}");
        }
    }

    #[test]
    fn digits_of_other_scripts_are_digits() {
        for raw in ["١٨٧١٢٣٤٥٦٧٨", "۱۸۷۱۲۳۴۵۶۷۸", "१८७१२३४५६७८", "１８７１２３４５６７８", "\u{202a}187 1234 5678\u{202c}"]
        {
            assert_eq!(parsed(raw, "CN").number.as_str(), "+8618712345678", "{raw}");
        }
    }

    #[test]
    fn reports_match_in_every_spelling() {
        let number = parsed("18712345678", "CN").number;
        for reported in [
            "18712345678",
            "187 1234 5678",
            "187-1234-5678",
            "+8618712345678",
            " 8618712345678",
            " 86 187 1234 5678",
            "008618712345678",
            "8618712345678",
        ] {
            assert!(number.matches(reported, Region::CN), "{reported:?}");
        }
        for reported in ["", " ", "18712345679", "8712345678", "+8118712345678", "null", "+", "0"] {
            assert!(!number.matches(reported, Region::CN), "{reported:?}");
        }
        let japanese = parsed("+819012345678", "CN").number;
        assert!(japanese.matches(" 819012345678", Region::CN));
        assert!(japanese.matches("819012345678", Region::CN));
        assert!(japanese.matches("09012345678", region("JP")));
        assert!(!japanese.matches("9012345678", Region::CN));
    }

    #[test]
    fn masks() {
        assert_eq!(masked("18712345678"), "187******78");
        assert_eq!(masked("+8618712345678"), "+861********78");
        assert_eq!(masked("187 1234-5678"), "187******78");
        assert_eq!(masked("12345"), "1***5");
        assert_eq!(masked("8001"), "8***");
        assert_eq!(masked("11"), "**");
        assert_eq!(masked(""), "");
        assert_eq!(format!("{:?}", parsed("18712345678", "CN").number), "Number(+861********78)");
    }

    #[test]
    fn regions() {
        assert_eq!(region("cn"), Region::CN);
        assert_eq!(region("GB").to_string(), "GB");
        for text in ["", "C", "CHN", "XX", "86", "UK", "001"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
        // The parser would panic on a region without a plan.
        for plan in DATABASE.iter().filter(|plan| plan.id().len() == 2) {
            assert!(plan.id().parse::<Region>().is_ok(), "{}", plan.id());
        }
    }

    #[test]
    fn every_plan_reads_its_own_examples_without_panic_and_dials_what_it_read() {
        for plan in DATABASE.iter() {
            let Ok(home) = plan.id().parse::<Region>() else {
                continue;
            };
            let kinds = [plan.descriptors().fixed_line(), plan.descriptors().mobile()];
            for example in kinds.into_iter().flatten().filter_map(|kind| kind.example()) {
                let Ok(at_home) = Number::parse(&format!("+{}{example}", plan.country_code()), home) else {
                    continue;
                };
                let dialled = at_home.number.dial_string(home);
                assert_eq!(parsed(&dialled, plan.id()).number, at_home.number, "{example} in {home} as {dialled}");
                assert!(at_home.number.matches(&dialled, home), "{example} in {home} as {dialled}");
            }
        }
    }

    fn any_region() -> impl Strategy<Value = Region> {
        let mut regions: Vec<Region> = DATABASE.iter().filter_map(|plan| plan.id().parse().ok()).collect();
        regions.sort_by_key(ToString::to_string);
        proptest::sample::select(regions)
    }

    fn at(code: &str, pattern: &'static str) -> impl Strategy<Value = (Region, String)> + use<> {
        (Just(region(code)), proptest::string::string_regex(pattern).unwrap())
    }

    /// Plausible national numbers of the six countries, mobile and landline.
    fn plausible() -> impl Strategy<Value = (Region, String)> {
        prop_oneof![
            at("CN", "1[3578][0-9]{9}|0(10|2[0-57-9])[2-8][0-9]{7}|0(371|755)[2-8][0-9]{7}"),
            at("JP", "0[789]0[1-9][0-9]{7}|0[36][3-6][0-9]{7}"),
            at("US", "[2-9][0-8][0-9][2-9][0-9]{6}"),
            at("ES", "6[0-9]{8}|9[1-8][0-9]{7}"),
            at("GB", "07[3-9][0-9]{8}|0(20[378]|121)[0-9]{7}"),
            at("IT", "3[2-9][0-9]{8}|0[26][0-9]{8}"),
        ]
    }

    proptest! {
        // Each region's plan is compiled when it is first asked for, which is slow without optimisation.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_dialled_is_read_as_the_same_number((home, written) in plausible()) {
            let first = Number::parse(&written, home).unwrap();
            let again = Number::parse(&first.number.dial_string(home), home).unwrap();
            prop_assert_eq!(&again.number, &first.number);
            prop_assert!(first.number.matches(&first.number.dial_string(home), home));
            if first.known_to_plan {
                prop_assert!(first.number.as_str().starts_with('+'));
                prop_assert_eq!(&first.number.dial_string(home), &written);
                for abroad in ["CN", "US", "FR", "IT"] {
                    let abroad = region(abroad);
                    let far = first.number.dial_string(abroad);
                    prop_assert_eq!(&Number::parse(&far, abroad).unwrap().number, &first.number);
                    let reported = far.replacen('+', " ", 1);
                    prop_assert!(first.number.matches(&reported, abroad));
                }
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), home in any_region()) {
            let _ = masked(&text);
            let _ = text.parse::<Region>();
            let stored = Number::from_stored(text.clone());
            let _ = stored.dial_string(home);
            let _ = stored.matches(&text, home);
            if let Ok(parsed) = Number::parse(&text, home) {
                let _ = parsed.number.dial_string(home);
            }
        }

        #[test]
        fn no_digits_panic(text in "[+]?[0-9]{3,20}", home in any_region(), elsewhere in any_region()) {
            if let Ok(parsed) = Number::parse(&text, home) {
                let dialled = parsed.number.dial_string(home);
                prop_assert_eq!(&Number::parse(&dialled, home).unwrap().number, &parsed.number);
                prop_assert!(parsed.number.matches(&dialled, home));
                let far = parsed.number.dial_string(elsewhere);
                prop_assert!(DialString::parse(&far).is_ok());
            }
        }

        #[test]
        fn a_phone_is_the_phone_of_all_its_numbers(national in "[1-9][0-9]{7,10}", code in prop_oneof![Just("54"), Just("52"), Just("86"), Just("1")]) {
            let number = Number::from_stored(format!("+{code}{national}"));
            if let Some(other) = number.other_form() {
                prop_assert_eq!(phone_of(number.as_str()), phone_of(other.as_str()));
            }
            let phone = phone_of(number.as_str()).into_owned();
            prop_assert_eq!(phone_of(&phone), &*phone);
        }

        #[test]
        fn masks_hide(digits in "[0-9]{5,20}") {
            let masked = masked(&digits);
            prop_assert_eq!(masked.len(), digits.len());
            prop_assert!(masked.chars().filter(|c| *c == '*').count() * 2 >= digits.len());
        }
    }
}
