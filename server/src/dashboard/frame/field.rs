//! One field of a longer form, with what is wrong with it beside it; what several forms read; lengths of time in words.

use std::collections::BTreeMap;

use askama::Template;

use super::page::duration;
use super::words::{Words, fill_text};

/// A field as a form shows it.
#[derive(Clone, Debug, Template)]
#[template(path = "frame/field.html")]
pub(in crate::dashboard) struct Field {
    pub(in crate::dashboard) name: String,
    pub(in crate::dashboard) label: &'static str,
    /// What helps to fill it in; may be empty.
    pub(in crate::dashboard) how: String,
    pub(in crate::dashboard) value: String,
    pub(in crate::dashboard) input: Input,
    /// What is wrong with it.
    pub(in crate::dashboard) wrong: Option<String>,
}

impl Field {
    pub(in crate::dashboard) fn new(
        name: impl Into<String>,
        label: &'static str,
        how: &str,
        value: &str,
        input: Input,
        wrong: Option<&Wrong>,
    ) -> Self {
        let name = name.into();
        let wrong = Wrong::at(wrong, &name);
        Self { name, label, how: how.to_owned(), value: value.to_owned(), input, wrong }
    }
}

/// How a field is filled in.
#[derive(Clone, Debug)]
pub(in crate::dashboard) enum Input {
    /// With a whole number.
    Number,
    /// With one line of so many characters at most.
    Line(u16),
    /// With a phone number.
    Phone,
    /// With what nobody is to see.
    Secret,
    /// With a box that says this.
    Tick(&'static str),
    /// With lines; at first it has room for so many.
    Lines(usize),
    /// By choosing.
    Choice(Vec<Choice>),
    /// With a number and a unit; the unit's field has the same name with `_unit`.
    Length { unit: String, units: Vec<Choice>, label: &'static str },
    /// With a time; the script adds which instant it is.
    Time { in_utc: &'static str },
}

/// One of those that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Choice {
    pub(in crate::dashboard) value: String,
    pub(in crate::dashboard) label: String,
}

impl Choice {
    pub(in crate::dashboard) fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// What is wrong with a form, and at which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Wrong {
    /// The name of the field.
    pub(in crate::dashboard) field: String,
    /// In the reader's language.
    pub(in crate::dashboard) sentence: String,
}

impl Wrong {
    pub(in crate::dashboard) fn new(field: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { field: field.into(), sentence: sentence.into() }
    }

    /// What is wrong with the field of that name.
    pub(in crate::dashboard) fn at(wrong: Option<&Self>, field: &str) -> Option<String> {
        wrong.filter(|wrong| wrong.field == field).map(|wrong| wrong.sentence.clone())
    }
}

/// A number that may be left out.
///
/// # Errors
/// The sentence, when something else was written.
pub(in crate::dashboard) fn number(field: &str, value: &str, sentence: &str) -> Result<Option<i32>, Wrong> {
    match value.trim() {
        "" => Ok(None),
        written => written.parse().map(Some).map_err(|_| Wrong::new(field, sentence)),
    }
}

/// What was typed, one thing on each line.
pub(in crate::dashboard) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Lines of `name=value`, each name once.
///
/// # Errors
/// The first line that is none.
pub(in crate::dashboard) fn pairs(text: &str) -> Result<BTreeMap<String, String>, &str> {
    let mut pairs = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').ok_or(line)?;
        if pairs.insert(name.trim().to_owned(), value.trim().to_owned()).is_some() {
            return Err(line);
        }
    }
    Ok(pairs)
}

/// The same as it is typed.
pub(in crate::dashboard) fn pairs_written(pairs: &BTreeMap<String, String>) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

/// A round length of time in short words: "15 min", "4 h".
pub(in crate::dashboard) fn span(words: &Words, seconds: i32) -> String {
    match (seconds % 3600, seconds % 60) {
        (0, _) if seconds > 0 => fill_text(&words.span_hours, &[("h", &(seconds / 3600).to_string())]),
        (_, 0) if seconds > 0 => fill_text(&words.span_minutes, &[("m", &(seconds / 60).to_string())]),
        _ => duration(words, i64::from(seconds)),
    }
}
