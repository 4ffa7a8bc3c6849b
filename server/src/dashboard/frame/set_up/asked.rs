//! What a kind asks (`kinds/form.rs`), drawn as fields of a form; and what was typed into them. What may hold a secret is never shown: left
//! blank, it stays as it is.

use std::borrow::Cow;

use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::kinds::form::{Asked, AskedBy, Said, Typed};

/// What a box that is ticked says.
pub(in crate::dashboard) const YES: &str = "yes";

/// The name of the box by which what a field holds is taken away.
pub(in crate::dashboard) fn gone(field: &str) -> String {
    format!("{field}_gone")
}

/// What a kind says, in the reader's language.
pub(in crate::dashboard) fn said(words: &'static Words, said: Said) -> Cow<'static, str> {
    match said {
        Said::Nothing => "".into(),
        Said::Plain(text) => text.into(),
        Said::Word(key) => words.word(key).into(),
        Said::Filled(key, places) => fill_text(words.word(key), places).into(),
    }
}

/// What was typed into the fields that are asked, and which boxes take away what these and the others hold.
pub(in crate::dashboard) fn typed(fields: &Fields, asked: &[Asked], others: &[&'static str]) -> Typed {
    let names = || asked.iter().map(|asked| asked.name);
    let taken = names().chain(others.iter().copied()).filter(|name| fields.get(&gone(name)) == YES);
    Typed {
        fields: names().filter(|name| fields.has(name)).map(|name| (name.to_owned(), fields.get(name).to_owned())).collect(),
        gone: taken.map(str::to_owned).collect(),
    }
}

/// How fields are drawn: with what was typed, and with what is wrong.
pub(in crate::dashboard) struct Drawing<'d> {
    pub(in crate::dashboard) words: &'static Words,
    pub(in crate::dashboard) typed: &'d Typed,
    pub(in crate::dashboard) is_new: bool,
    /// Those that can be chosen.
    pub(in crate::dashboard) handsets: &'d [String],
    pub(in crate::dashboard) wrong: Option<&'d Wrong>,
}

impl Drawing<'_> {
    /// A field that a kind asks for; of what can be taken away, with the box for that. `was_typed`: something was, and is kept elsewhere.
    pub(in crate::dashboard) fn drawn(&self, asked: &Asked, was_typed: bool) -> Vec<Field> {
        let (words, wrong) = (self.words, self.wrong);
        let label = match asked.label {
            Said::Plain(text) => text,
            Said::Word(key) | Said::Filled(key, _) => words.word(key),
            Said::Nothing => "",
        };
        let typed = self.typed.text(asked.name);
        let (input, value) = match &asked.by {
            AskedBy::Line | AskedBy::Address => (Input::Line, typed),
            AskedBy::Secret | AskedBy::OptionalSecret { .. } => (Input::Secret, ""),
            AskedBy::Lines(room) => (Input::Lines(*room), typed),
            AskedBy::Choice(choices) => {
                let choices = choices.iter().map(|(value, label)| Choice::new(*value, said(words, *label)));
                (Input::Choice(choices.collect()), typed)
            }
            AskedBy::Handset => {
                let handsets = self.handsets.iter().map(|name| Choice::new(name, name));
                let none = Choice::new("", &words.line_choose);
                (Input::Choice(std::iter::once(none).chain(handsets).collect()), typed)
            }
        };
        let is_secret = matches!(asked.by, AskedBy::Secret | AskedBy::OptionalSecret { .. });
        let how = match &asked.by {
            _ if is_secret && (was_typed || !typed.is_empty()) && wrong.is_some() => words.gateway_secret_again.as_str().into(),
            // What there is may hold a secret, and is not shown then.
            AskedBy::Address if !self.is_new && typed.is_empty() => Cow::from(words.gateway_kept.as_str()),
            AskedBy::OptionalSecret { is_set: true } => words.gateway_set.as_str().into(),
            _ => said(words, asked.how),
        };
        let mut fields = vec![Field::new(asked.name, label, &how, value, input, wrong)];
        if asked.by == (AskedBy::OptionalSecret { is_set: true }) {
            let ticked = if self.typed.takes_away(asked.name) { YES } else { "" };
            fields.push(Field::new(gone(asked.name), label, "", ticked, Input::Tick(&words.gateway_take_away), wrong));
        }
        fields
    }
}
