//! One field of a longer form, with what is wrong with it beside it; what several forms read; lengths of time in words.

use std::collections::BTreeMap;

use askama::Template;

use super::csrf::Fields;
use super::page::duration;
use super::words::{Words, fill_text};
pub(in crate::dashboard) use crate::kinds::form::pairs;

/// A field as a form shows it.
#[derive(Clone, Debug, Template)]
#[template(path = "frame/field.html")]
pub(in crate::dashboard) struct Field {
    /// Of its element: its name, behind that of its form.
    id: String,
    pub(in crate::dashboard) name: String,
    pub(in crate::dashboard) label: &'static str,
    /// What helps to fill it in; may be empty.
    how: String,
    pub(in crate::dashboard) value: String,
    pub(in crate::dashboard) input: Input,
    /// What is wrong with it.
    pub(in crate::dashboard) wrong: Option<String>,
    /// The browser does not send the form without it.
    required: bool,
    /// What could stand there.
    hint: &'static str,
    /// What the browser may fill in, in the words of HTML; empty where there is nothing to say.
    completed: &'static str,
    /// Typing begins here.
    begins: bool,
    /// The element that says more about it, elsewhere on the page; may be empty.
    described: &'static str,
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
        // What is offered is completed by the browser.
        let typed = !matches!(
            input,
            Input::Offered(_)
                | Input::File(_)
                | Input::Lines(_)
                | Input::Choice(_)
                | Input::Tick(_)
                | Input::Time { .. }
                | Input::Wall
        );
        Self {
            id: name.clone(),
            name,
            label,
            how: how.to_owned(),
            value: value.to_owned(),
            input,
            wrong,
            required: false,
            hint: "",
            completed: if typed { "off" } else { "" },
            begins: false,
            described: "",
        }
    }

    /// One in which nothing stands yet, without more to say about it.
    pub(in crate::dashboard) fn plain(name: &'static str, label: &'static str, input: Input) -> Self {
        Self::new(name, label, "", "", input, None)
    }

    /// The field of this form.
    pub(in crate::dashboard) fn of_form(mut self, form: &str) -> Self {
        if !form.is_empty() {
            self.id = format!("{form}-{}", self.name);
        }
        self
    }

    pub(in crate::dashboard) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    pub(in crate::dashboard) fn how(mut self, how: &str) -> Self {
        how.clone_into(&mut self.how);
        self
    }

    pub(in crate::dashboard) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// With an example in it.
    pub(in crate::dashboard) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    /// What the browser may fill in.
    pub(in crate::dashboard) fn completed(mut self, completed: &'static str) -> Self {
        self.completed = completed;
        self
    }

    /// Of which more is said elsewhere on the page.
    pub(in crate::dashboard) fn described(mut self, by: &'static str) -> Self {
        self.described = by;
        self
    }

    /// Typing begins here, if this holds.
    pub(in crate::dashboard) fn begins(mut self, is_first: bool) -> Self {
        self.begins = is_first;
        self
    }

    /// As somebody has filled it in; a password is never sent back.
    pub(in crate::dashboard) fn fill(&mut self, fields: &Fields) {
        if !matches!(self.input, Input::Password | Input::Secret) {
            fields.get(&self.name).clone_into(&mut self.value);
        }
        if let Input::Length { unit, .. } = &mut self.input {
            fields.get(&format!("{}_unit", self.name)).clone_into(unit);
        }
    }

    fn is_tall(&self) -> bool {
        matches!(self.input, Input::Lines(_))
    }
}

/// How a field is filled in. None cuts what is typed or pasted: what is too long is said at its field.
#[derive(Clone, Debug)]
pub(in crate::dashboard) enum Input {
    /// With a whole number.
    Number,
    /// With one line.
    Line,
    /// With one line, for which the page offers a list; the list's element has this id.
    Offered(&'static str),
    /// With a phone number.
    Phone,
    /// With the name of a user.
    Name,
    /// With a password.
    Password,
    /// With what nobody is to see.
    Secret,
    /// With a box that says this.
    Tick(&'static str),
    /// With a file of these kinds, in the words of HTML.
    File(&'static str),
    /// With lines; at first it has room for so many.
    Lines(usize),
    /// By choosing.
    Choice(Vec<Choice>),
    /// With a number and a unit; the unit's field has the same name with `_unit`.
    Length { unit: String, units: Vec<Choice>, label: &'static str },
    /// With a time of the reader's zone; the script adds which instant it is, in a field of this name.
    Time { in_utc: &'static str, instant: String },
    /// With a time on the wall of some other zone.
    Wall,
}

/// One of those that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Choice {
    pub(in crate::dashboard) value: String,
    pub(in crate::dashboard) label: String,
}

impl Choice {
    /// Names that stand for themselves.
    pub(in crate::dashboard) fn names<'n>(names: impl IntoIterator<Item = &'n String>) -> Vec<Self> {
        names.into_iter().map(|name| Self::new(name, name)).collect()
    }

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

/// Names and values as they are typed.
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
