//! A maintenance window as a form has it, and as the engine has it; what the engine refuses, at its field; pure.

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input, Wrong, pairs};
use crate::dashboard::frame::typed_time::instant_of;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::refused::Refused;
use crate::keep::windows::NewWindow;

/// A window as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct WindowForm {
    reason: String,
    from: Typed,
    to: Typed,
    team: String,
    labels: String,
}

/// A time, and the instant that the script has written for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Typed {
    text: String,
    instant: String,
}

impl WindowForm {
    /// One that somebody has filled in.
    pub(in crate::dashboard) fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).trim().to_owned();
        let typed = |name: &str| Typed { text: text(name), instant: text(&format!("{name}_instant")) };
        Self { reason: text("reason"), from: typed("from"), to: typed("to"), team: text("team"), labels: text("labels") }
    }

    /// What it says, for the engine.
    ///
    /// # Errors
    /// What cannot be read.
    pub(in crate::dashboard) fn filled(&self, words: &Words) -> Result<NewWindow, Wrong> {
        let time = |field: &str, typed: &Typed| {
            let wrong = |_| Wrong::new(field, fill_text(&words.roster_bad_time, &[("text", &typed.text)]));
            instant_of(&typed.text, &typed.instant).map_err(wrong)
        };
        let wrong = |line: &str| Wrong::new("labels", fill_text(&words.rule_bad_label, &[("text", line)]));
        let labels = pairs(&self.labels).map_err(wrong)?;
        // No alarm has such a label: the window would hold nothing.
        if labels.contains_key("") {
            return Err(wrong("="));
        }
        Ok(NewWindow {
            reason: self.reason.clone(),
            starts_at: time("from", &self.from)?,
            ends_at: time("to", &self.to)?.ok_or_else(|| Wrong::new("to", &words.window_bad_end))?,
            team: Some(self.team.clone()).filter(|team| !team.is_empty()),
            labels,
        })
    }

    /// The form as it is shown.
    pub(in crate::dashboard) fn fields(&self, words: &'static Words, wrong: Option<&Wrong>) -> Vec<Field> {
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(name, label, how, value, input, wrong)
        };
        let time = |name: &str| Input::Time { in_utc: &words.in_utc, instant: format!("{name}_instant") };
        vec![
            field("reason", &words.window_reason, &words.window_reason_how, &self.reason, Input::Line),
            field("team", &words.roster_team, &words.window_team_how, &self.team, Input::Line),
            field("from", &words.roster_from, &words.window_from_how, &self.from.text, time("from")),
            field("to", &words.roster_to, &words.window_to_how, &self.to.text, time("to")),
            field("labels", &words.labels, &words.window_labels_how, &self.labels, Input::Lines(2)),
        ]
    }
}

/// What is wrong, in the reader's language and at the form's field.
///
/// # Errors
/// When no field is to blame.
pub(in crate::dashboard) fn wrong(words: &Words, refused: Refused) -> Result<Wrong, Refusal> {
    match refused.first() {
        Refused::Wrong { field: "reason", .. } => Ok(Wrong::new("reason", &words.window_bad_reason)),
        Refused::Wrong { field: "labels", .. } => Ok(Wrong::new("team", &words.window_bad_what)),
        Refused::Wrong { field: "ends_at", .. } => Ok(Wrong::new("to", &words.window_bad_end)),
        refused => Err(refused.into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::words::Language;

    #[test]
    fn times_are_instants_and_the_first_may_be_left_out() {
        let words = Language::English.words();
        let filled = |fields: &[(&str, &str)]| WindowForm::read(&Fields::of(fields)).filled(words);
        let window = filled(&[
            ("reason", " new switch "),
            ("to", "2026-11-21T06:30"),
            ("to_instant", "2026-11-20T22:30:00.000Z"),
            ("team", "network"),
            ("labels", "host=db1\r\nrack=4"),
        ])
        .unwrap();
        assert_eq!((window.reason.as_str(), window.starts_at, window.team.as_deref()), ("new switch", None, Some("network")));
        assert_eq!(window.ends_at.to_rfc3339(), "2026-11-20T22:30:00+00:00");
        assert_eq!(window.labels.len(), 2);
        let both = filled(&[("from", "2026-11-20T21:00"), ("to", "2026-11-20T22:00")]).unwrap();
        assert_eq!(both.starts_at.unwrap().to_rfc3339(), "2026-11-20T21:00:00+00:00", "UTC without script");
        let field = |fields| filled(fields).unwrap_err().field;
        assert_eq!(field(&[("from", "soon"), ("to", "2026-11-20T22:00")]), "from");
        assert_eq!(field(&[("from", "2026-11-20T22:00")]), "to");
        assert_eq!(field(&[("to", "2026-11-20T22:00"), ("labels", "host")]), "labels");
    }
}
