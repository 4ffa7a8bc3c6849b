//! What every text, number and label that somebody writes has to keep to, wherever it is written.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::refused::Refused;

/// Longest name of anything, in characters.
pub const LONGEST_NAME: usize = 200;
/// Longest remark, in characters.
pub const LONGEST_NOTE: usize = 2_000;
/// Longest text that is said in a call that runs, in characters.
pub const LONGEST_SAID: usize = 500;
/// Longest language tag, in characters.
const LONGEST_TAG: usize = 35;
/// Calls to each callee.
pub const ATTEMPTS: RangeInclusive<i32> = 1..=10;
/// In seconds.
pub const DAY: i32 = 86_400;
/// Labels of one alarm at most.
pub const MOST_LABELS: usize = 64;
/// In characters.
pub const LONGEST_LABEL_NAME: usize = 200;
/// In characters.
pub const LONGEST_LABEL_VALUE: usize = 2_000;

/// Labels of an alarm, or of what is compared with them.
///
/// # Errors
/// When there are too many, or one is nameless, too long or garbled.
pub fn labels(own: &BTreeMap<String, String>) -> Result<(), Refused> {
    if own.len() > MOST_LABELS {
        return Err(Refused::at("labels", format!("an alarm has at most {MOST_LABELS} labels")));
    }
    for (name, value) in own {
        let field = format!("labels.{}", name.escape_debug());
        if name.is_empty() {
            return Err(Refused::at("labels", "a label needs a name"));
        }
        text(&field, name, LONGEST_LABEL_NAME)?;
        text(&field, value, LONGEST_LABEL_VALUE)?;
    }
    Ok(())
}

/// Text without control characters other than line breaks and tabs: a NUL cannot be stored, and the others garble logs and pages.
///
/// # Errors
/// When it holds one, or is longer than so many characters.
pub fn text(field: &str, value: &str, longest: usize) -> Result<(), Refused> {
    if value.chars().count() > longest {
        return Err(Refused::at(field, format!("{field} is longer than {longest} characters")));
    }
    match value.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(c) => Err(Refused::at(field, format!("{field} holds the control character {}", c.escape_unicode()))),
        None => Ok(()),
    }
}

/// A text that may be left out; one of blanks is left out.
///
/// # Errors
/// When it is too long or garbled.
pub fn optional_text(field: &str, value: Option<String>, longest: usize) -> Result<Option<String>, Refused> {
    let Some(value) = value else { return Ok(None) };
    text(field, &value, longest)?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}

/// A language tag such as `zh-CN`, which may be left out.
///
/// # Errors
/// When it is none.
pub fn language_tag(field: &str, value: Option<String>) -> Result<Option<String>, Refused> {
    let Some(tag) = optional_text(field, value, LONGEST_TAG)? else { return Ok(None) };
    let mut parts = tag.split('-');
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
    let is_language = |part: &str| matches!(part.len(), 2 | 3) && part.chars().all(|c| c.is_ascii_alphabetic());
    match parts.next().is_some_and(is_language) && parts.all(is_part) {
        true => Ok(Some(tag)),
        false => Err(Refused::at(field, format!("{tag:?} is not a language tag such as zh-CN, ja, en or es"))),
    }
}

/// A number in a range, in these units.
///
/// # Errors
/// When it is outside.
pub fn within(field: &str, value: i32, range: RangeInclusive<i32>, unit: &str) -> Result<i32, Refused> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Refused::at(field, format!("{field} must be {} to {} {unit}, not {value}", range.start(), range.end())))
}

/// The same where nothing need be said.
///
/// # Errors
/// When it is outside.
pub fn optional_within(field: &str, value: Option<i32>, range: RangeInclusive<i32>, unit: &str) -> Result<Option<i32>, Refused> {
    value.map(|value| within(field, value, range, unit)).transpose()
}
