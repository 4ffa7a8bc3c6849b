//! One field of a longer form, with what is wrong with it beside it; lengths of time in words.

use super::page::duration;
use super::words::{Words, fill_text};

/// A field as a form shows it.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) label: &'static str,
    /// What helps to fill it in; may be empty.
    pub(super) how: &'static str,
    pub(super) value: String,
    /// Lines to write in; without any it is for a number.
    pub(super) lines: usize,
    /// What is wrong with it.
    pub(super) wrong: Option<String>,
}

/// What is wrong with a form, and at which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The name of the field.
    pub(super) field: String,
    /// In the reader's language.
    pub(super) sentence: String,
}

impl Wrong {
    pub(super) fn new(field: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self { field: field.into(), sentence: sentence.into() }
    }

    /// What is wrong with the field of that name.
    pub(super) fn at(wrong: Option<&Self>, field: &str) -> Option<String> {
        wrong.filter(|wrong| wrong.field == field).map(|wrong| wrong.sentence.clone())
    }
}

/// A number that may be left out.
///
/// # Errors
/// The sentence, when something else was written.
pub(super) fn number(field: &str, value: &str, sentence: &str) -> Result<Option<i32>, Wrong> {
    match value.trim() {
        "" => Ok(None),
        written => written.parse().map(Some).map_err(|_| Wrong::new(field, sentence)),
    }
}

/// A round length of time in short words: "15 min", "4 h".
pub(super) fn span(words: &Words, seconds: i32) -> String {
    match (seconds % 3600, seconds % 60) {
        (0, _) if seconds > 0 => fill_text(&words.span_hours, &[("h", &(seconds / 3600).to_string())]),
        (_, 0) if seconds > 0 => fill_text(&words.span_minutes, &[("m", &(seconds / 60).to_string())]),
        _ => duration(words, i64::from(seconds)),
    }
}
