//! A heartbeat as a form has it, and as the engine has it; what the engine refuses, at its field; pure.

use crate::alarm::Priority;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::lines;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, pairs, pairs_written};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::heartbeats::NewHeartbeat;
use crate::keep::refused::Refused;
use crate::numbers::{Number, Region};
use crate::store::watch::heartbeats::HeartbeatRow;

/// Units of a length of time, and how many seconds each has; the largest first.
const UNITS: [(&str, i32); 4] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
const PRIORITIES: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

/// A length of time as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Length {
    count: String,
    unit: String,
}

impl Length {
    /// In the largest unit that leaves no rest.
    fn of(seconds: i32) -> Self {
        let (unit, each) = UNITS.into_iter().find(|(_, each)| seconds % each == 0).unwrap_or(("s", 1));
        Self { count: (seconds / each).to_string(), unit: unit.to_owned() }
    }

    fn read(fields: &Fields, name: &str) -> Self {
        Self { count: fields.get(name).trim().to_owned(), unit: fields.get(&format!("{name}_unit")).to_owned() }
    }

    /// In seconds; `None` when it is none, or longer than anybody can mean.
    fn seconds(&self) -> Option<i32> {
        let (_, each) = UNITS.into_iter().find(|(unit, _)| *unit == self.unit)?;
        self.count.parse::<i32>().ok()?.checked_mul(each)
    }
}

/// A heartbeat as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct HeartbeatForm {
    pub(in crate::dashboard) name: String,
    period: Length,
    grace: Length,
    phones: String,
    labels: String,
    priority: String,
}

impl HeartbeatForm {
    /// An empty one.
    pub(in crate::dashboard) fn empty() -> Self {
        Self {
            name: String::new(),
            period: Length { count: String::new(), unit: "h".to_owned() },
            grace: Length { count: "5".to_owned(), unit: "min".to_owned() },
            phones: String::new(),
            labels: String::new(),
            priority: Priority::High.as_str().to_owned(),
        }
    }

    /// One that is there already.
    pub(in crate::dashboard) fn of(beat: &HeartbeatRow) -> Self {
        Self {
            name: beat.name.clone(),
            period: Length::of(beat.period_s),
            grace: Length::of(beat.grace_s),
            phones: beat.phones.join("\n"),
            labels: pairs_written(&beat.labels),
            priority: beat.priority.as_str().to_owned(),
        }
    }

    /// One that somebody has filled in.
    pub(in crate::dashboard) fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).trim().to_owned();
        Self {
            name: text("name"),
            period: Length::read(fields, "period"),
            grace: Length::read(fields, "grace"),
            phones: text("phones"),
            labels: text("labels"),
            priority: text("priority"),
        }
    }

    /// What it says, for the engine.
    ///
    /// # Errors
    /// What cannot be read.
    pub(in crate::dashboard) fn filled(&self, words: &Words) -> Result<NewHeartbeat, Wrong> {
        let labels =
            pairs(&self.labels).map_err(|line| Wrong::new("labels", fill_text(&words.rule_bad_label, &[("text", line)])))?;
        Ok(NewHeartbeat {
            name: self.name.clone(),
            period_s: self.period.seconds().ok_or_else(|| Wrong::new("period", &words.beat_bad_period))?,
            grace_s: self.grace.seconds().ok_or_else(|| Wrong::new("grace", &words.beat_bad_grace))?,
            phones: lines(&self.phones),
            labels,
            priority: PRIORITIES.into_iter().find(|one| one.as_str() == self.priority).unwrap_or(Priority::High),
        })
    }

    /// What is wrong, in the reader's language and at the form's field.
    ///
    /// # Errors
    /// When no field is to blame.
    pub(in crate::dashboard) fn wrong(&self, words: &Words, region: Region, refused: Refused) -> Result<Wrong, Refusal> {
        match refused.first() {
            Refused::Taken { name, .. } => Ok(Wrong::new("name", fill_text(&words.line_name_taken, &[("name", &name)]))),
            Refused::Wrong { field: "name", .. } => Ok(Wrong::new("name", &words.bad_short_name)),
            Refused::Wrong { field: "period_seconds", .. } => Ok(Wrong::new("period", &words.beat_bad_period)),
            Refused::Wrong { field: "grace_seconds", .. } => Ok(Wrong::new("grace", &words.beat_bad_grace)),
            Refused::Wrong { field: "phones", .. } => Ok(Wrong::new("phones", self.phones_wrong(words, region))),
            Refused::Wrong { field: "labels", .. } => Ok(Wrong::new("labels", &words.beat_bad_labels)),
            refused => Err(refused.into()),
        }
    }

    /// Why nobody can be rung by these lines.
    fn phones_wrong(&self, words: &Words, region: Region) -> String {
        let phones = lines(&self.phones);
        match phones.iter().find(|phone| Number::parse(phone, region).is_err()) {
            Some(number) => fill_text(&words.person_bad_number, &[("number", number)]),
            None if phones.is_empty() => words.beat_no_phones.clone(),
            None => words.beat_many_phones.clone(),
        }
    }

    /// The form as it is shown. The name of one that is there already stays.
    pub(in crate::dashboard) fn fields(&self, words: &'static Words, is_new: bool, wrong: Option<&Wrong>) -> Vec<Field> {
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(name, label, how, value, input, wrong)
        };
        let length = |name: &str, label: &'static str, how: &str, length: &Length| {
            let called = |unit: &str| match unit {
                "d" => &words.unit_days,
                "h" => &words.unit_hours,
                "min" => &words.unit_minutes,
                _ => &words.unit_seconds,
            };
            let units = UNITS.iter().rev().map(|(unit, _)| Choice::new(*unit, called(unit))).collect();
            field(name, label, how, &length.count, Input::Length { unit: length.unit.clone(), units, label: &words.unit })
        };
        let priorities = PRIORITIES.map(|priority| Choice::new(priority.as_str(), words.priority(priority))).into();
        let name = is_new.then(|| field("name", &words.policy_name, &words.beat_name_how, &self.name, Input::Line));
        let rest = [
            length("period", &words.beat_period, &words.beat_period_how, &self.period),
            length("grace", &words.beat_grace, &words.beat_grace_how, &self.grace),
            field("priority", &words.beat_priority, "", &self.priority, Input::Choice(priorities)),
            field("phones", &words.beat_phones, &words.beat_phones_how, &self.phones, Input::Lines(3)),
            field("labels", &words.labels, &words.labels_how, &self.labels, Input::Lines(2)),
        ];
        name.into_iter().chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use chrono::DateTime;
    use proptest::prelude::*;
    use sqlx::types::Json;

    use super::*;
    use crate::dashboard::frame::words::Language;
    use crate::ids::HeartbeatId;

    fn beat(period_s: i32, grace_s: i32, priority: Priority) -> HeartbeatRow {
        HeartbeatRow {
            id: HeartbeatId::new(DateTime::UNIX_EPOCH),
            name: "backup".to_owned(),
            token_hash: Vec::new(),
            period_s,
            grace_s,
            phones: Json(vec!["18712345678".to_owned(), "+819012345678".to_owned()]),
            labels: Json([("team".to_owned(), "a=b".to_owned())].into()),
            priority,
            created_at: DateTime::UNIX_EPOCH,
            last_ping_at: None,
            due_at: None,
            missed_since: None,
        }
    }

    proptest! {
        /// Opening a heartbeat and saving it changes nothing.
        #[test]
        fn a_form_says_what_the_heartbeat_says(period in 10..=2_678_400_i32, grace in 0..=604_800_i32, priority in 0..4_usize) {
            let beat = beat(period, grace, PRIORITIES[priority]);
            let got = HeartbeatForm::of(&beat).filled(Language::English.words()).unwrap();
            let wanted = NewHeartbeat {
                name: beat.name,
                period_s: period,
                grace_s: grace,
                phones: beat.phones.0,
                labels: beat.labels.0,
                priority: beat.priority,
            };
            prop_assert_eq!(got, wanted);
        }
    }

    #[test]
    fn lengths_are_read_in_their_unit() {
        let seconds = |count: &str, unit: &str| Length { count: count.to_owned(), unit: unit.to_owned() }.seconds();
        assert_eq!((seconds("5", "min"), seconds("1", "d"), seconds("0", "s")), (Some(300), Some(86_400), Some(0)));
        for (count, unit) in [("", "h"), ("many", "h"), ("1.5", "h"), ("5", "weeks"), ("99999", "d")] {
            assert_eq!(seconds(count, unit), None, "{count} {unit}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_numbers_is_said() {
        let words = Language::English.words();
        let said = |phones: &str| {
            let form = HeartbeatForm { phones: phones.to_owned(), ..HeartbeatForm::empty() };
            form.wrong(words, Region::CN, Refused::wrong("phones", "")).unwrap().sentence
        };
        assert!(said("18712345678\nmum").contains("mum"));
        assert_eq!(said(""), words.beat_no_phones);
        assert_eq!(said("18712345678"), words.beat_many_phones);
    }
}
