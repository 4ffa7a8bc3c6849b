//! A public number as a form has it, and as the engine has it; what the engine refuses, at its field; pure.

use android_protocol::forwarding::ForwardingError;
use android_protocol::sms::SmsBuildError;

use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, number};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::lines::numbers::NewLine;
use crate::keep::refused::Refused;
use crate::line::command::{self, AppBuild, ComposeError, OwnCarrier};
use crate::roster::Roster;

/// The carrier of any network that keeps to the standard; the others have names of their own.
const STANDARD: &str = "3gpp";

/// A public number as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct LineForm {
    pub(in crate::dashboard) name: String,
    team: String,
    number: String,
    sms_number: String,
    pub(in crate::dashboard) carrier: String,
    android: String,
    is_first_build: bool,
    text: String,
    gateway: String,
    handset: String,
    verify_handset: String,
}

/// What can be chosen in the form.
pub(in crate::dashboard) struct Choices {
    follows: Vec<Choice>,
    carriers: Vec<Choice>,
    gateways: Vec<Choice>,
    handsets: Vec<Choice>,
}

impl Choices {
    pub(in crate::dashboard) fn new(
        words: &Words,
        roster: &Roster,
        own: &[OwnCarrier],
        gateways: impl Iterator<Item = String>,
        handsets: impl Iterator<Item = String>,
    ) -> Self {
        let named = |name: String| Choice::new(name.clone(), name);
        let teams = roster.teams.iter().map(|team| named(team.name.clone()));
        let schedules = roster.schedules.iter().filter(|schedule| roster.find_team(&schedule.name).is_none());
        let schedules = schedules
            .map(|schedule| Choice::new(schedule.name.as_str(), fill_text(&words.line_schedule, &[("name", &schedule.name)])));
        let known = command::usable_carriers();
        let known = known.map(|(id, name)| Choice::new(id, if id == STANDARD { words.carrier_standard.as_str() } else { name }));
        // The configuration's own come first: they were written down because they are used.
        let own = own.iter().map(|own| Choice::new(own.id(), own.to_string()));
        Self {
            follows: teams.chain(schedules).collect(),
            carriers: own.chain(known).collect(),
            gateways: gateways.map(named).collect(),
            handsets: handsets.map(named).collect(),
        }
    }

    /// A line cannot be reached without one.
    pub(in crate::dashboard) fn has_gateways(&self) -> bool {
        !self.gateways.is_empty()
    }
}

/// These, and none of them; what is chosen already stays so, also when it is not among them any more.
fn offered(none: &str, choices: &[Choice], chosen: &str, lost: &str) -> Input {
    let known = chosen.is_empty() || choices.iter().any(|choice| choice.value == chosen);
    let kept = (!known).then(|| Choice::new(chosen, fill_text(lost, &[("name", chosen)])));
    Input::Choice([Choice::new("", none)].into_iter().chain(choices.iter().cloned()).chain(kept).collect())
}

/// What the team or schedule is called that a line follows, by its name or its id; `None` when the roster has none.
pub(in crate::dashboard) fn followed<'r>(roster: &'r Roster, team: &str) -> Option<&'r str> {
    let found = roster.find_team(team).map(|team| team.name.as_str());
    found.or_else(|| roster.find_schedule(team).map(|schedule| schedule.name.as_str()))
}

impl LineForm {
    /// One that is there already.
    pub(in crate::dashboard) fn of(said: &NewLine, roster: &Roster) -> Self {
        let said = said.clone();
        Self {
            name: said.name,
            team: followed(roster, &said.team).map_or(said.team, str::to_owned),
            number: said.number,
            sms_number: said.sms_number.unwrap_or_default(),
            carrier: said.carrier,
            android: said.android.to_string(),
            is_first_build: said.app_build == AppBuild::First,
            text: said.text,
            gateway: said.gateway,
            handset: said.handset.unwrap_or_default(),
            verify_handset: said.verify_handset.unwrap_or_default(),
        }
    }

    /// One that somebody has filled in.
    pub(in crate::dashboard) fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).trim().to_owned();
        Self {
            name: text("name"),
            team: text("team"),
            number: text("number"),
            sms_number: text("sms_number"),
            carrier: text("carrier"),
            android: text("android"),
            is_first_build: text("app_build") == "first",
            text: text("text"),
            gateway: text("gateway"),
            handset: text("handset"),
            verify_handset: text("verify_handset"),
        }
    }

    /// What it says, for the engine.
    ///
    /// # Errors
    /// When the Android version is no number.
    pub(in crate::dashboard) fn filled(&self, words: &Words) -> Result<NewLine, Wrong> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(NewLine {
            name: self.name.clone(),
            team: self.team.clone(),
            number: self.number.clone(),
            sms_number: given(&self.sms_number),
            carrier: self.carrier.clone(),
            // The engine refuses a version that nobody typed, as it refuses any other that there is not.
            android: number("android", &self.android, &words.line_bad_android)?.unwrap_or(0),
            app_build: if self.is_first_build { AppBuild::First } else { AppBuild::Later },
            text: self.text.clone(),
            gateway: self.gateway.clone(),
            handset: given(&self.handset),
            verify_handset: given(&self.verify_handset),
        })
    }

    /// Whether something is still missing without which there is no command.
    pub(in crate::dashboard) fn is_begun_only(&self) -> bool {
        [&self.number, &self.carrier, &self.android, &self.gateway].iter().any(|text| text.is_empty())
    }

    /// What is wrong, in the reader's language and at the form's field.
    ///
    /// # Errors
    /// When no field is to blame.
    pub(in crate::dashboard) fn wrong(&self, words: &Words, refused: Refused) -> Result<Wrong, Refusal> {
        match refused.first() {
            Refused::Command(error) => Ok(Wrong::new(error.field(), command_words(words, &error))),
            Refused::Taken { name, .. } => Ok(Wrong::new("name", fill_text(&words.line_name_taken, &[("name", &name)]))),
            Refused::Missing { what: "gateway", .. } => Ok(Wrong::new("gateway", &words.line_no_gateway)),
            Refused::Wrong { field, why } => match self.sentence(words, field) {
                Some(sentence) => Ok(Wrong::new(field, sentence)),
                None => Err(Refused::Wrong { field, why }.into()),
            },
            refused => Err(refused.into()),
        }
    }

    fn sentence<'w>(&self, words: &'w Words, field: &str) -> Option<&'w str> {
        Some(match field {
            "name" => &words.bad_short_name,
            "number" | "sms_number" => &words.bad_number,
            "team" => &words.line_bad_team,
            "android" => &words.line_bad_android,
            "verify_handset" if self.verify_handset == self.handset => &words.line_rings_itself,
            "handset" | "verify_handset" => &words.no_such_handset,
            _ => return None,
        })
    }

    /// The form as it is shown.
    pub(in crate::dashboard) fn fields(&self, words: &'static Words, choices: &Choices, wrong: Option<&Wrong>) -> Vec<Field> {
        let field =
            |name: &str, how: &str, value: &str, input: Input| Field::new(name, label(words, name), how, value, input, wrong);
        let builds = [("later", &words.line_build_later), ("first", &words.line_build_first)];
        let builds = builds.map(|(value, label)| Choice::new(value, label)).to_vec();
        let build = if self.is_first_build { "first" } else { "later" };
        let follows = offered(&words.line_nobody, &choices.follows, &self.team, &words.line_not_in_roster);
        let carriers = offered(&words.line_choose, &choices.carriers, &self.carrier, &words.line_no_known_code);
        let gateways = offered(&words.line_choose, &choices.gateways, &self.gateway, &words.line_gone);
        let own = offered(&words.line_no, &choices.handsets, &self.handset, &words.line_gone);
        let verifies = offered(&words.line_no, &choices.handsets, &self.verify_handset, &words.line_gone);
        vec![
            field("name", &words.line_name_how, &self.name, Input::Line),
            field("team", &words.line_team_how, &self.team, follows),
            field("number", &words.line_number_how, &self.number, Input::Phone),
            field("sms_number", &words.line_sms_number_how, &self.sms_number, Input::Phone),
            field("carrier", &words.line_carrier_how, &self.carrier, carriers),
            field("gateway", &words.line_gateway_how, &self.gateway, gateways),
            field("android", &words.line_android_how, &self.android, Input::Number),
            field("app_build", &words.line_build_how, build, Input::Choice(builds)),
            field("handset", &words.line_handset_how, &self.handset, own),
            field("verify_handset", &words.line_verify_how, &self.verify_handset, verifies),
            // Last, so that the preview is near it on a small screen.
            field("text", &words.line_text_how, &self.text, Input::Lines(2)),
        ]
    }
}

/// What a field of the form is called.
pub(in crate::dashboard) fn label(words: &'static Words, field: &str) -> &'static str {
    match field {
        "name" => &words.policy_name,
        "team" => &words.line_team,
        "number" => &words.line_number,
        "sms_number" => &words.line_sms_number,
        "carrier" => &words.line_carrier,
        "gateway" => &words.line_gateway,
        "text" => &words.line_text,
        "android" => &words.line_android,
        "app_build" => &words.line_build,
        "handset" => &words.line_handset,
        "verify_handset" => &words.line_verify,
        _ => "",
    }
}

/// Why a command cannot be said, in the reader's language.
pub(in crate::dashboard) fn command_words(words: &Words, error: &ComposeError) -> String {
    match error {
        ComposeError::UnknownCarrier(id) if id.is_empty() => words.line_no_carrier.clone(),
        ComposeError::UnknownCarrier(id) => fill_text(&words.line_unknown_carrier, &[("carrier", id)]),
        ComposeError::Forwarding(ForwardingError::Unavailable { carrier, .. } | ForwardingError::NoSuchCode { carrier, .. }) => {
            fill_text(&words.line_no_code, &[("carrier", carrier)])
        }
        ComposeError::FixedTarget(carrier) => fill_text(&words.line_fixed_target, &[("carrier", carrier)]),
        ComposeError::Forwarding(ForwardingError::NoTarget) | ComposeError::Number(_) => words.line_bad_target.clone(),
        ComposeError::Android(needs) => fill_text(&words.line_needs_dialler, &[("android", &needs.android.to_string())]),
        ComposeError::Text(SmsBuildError::StrayBar) => words.line_bar.clone(),
        ComposeError::Text(SmsBuildError::Keyword { word }) => fill_text(&words.line_keyword, &[("word", word)]),
        ComposeError::Text(SmsBuildError::ControlCharacter) => words.line_one_line.clone(),
        ComposeError::Text(SmsBuildError::TooLong { used, limit }) => {
            fill_text(&words.line_too_long, &[("used", &used.to_string()), ("limit", &limit.to_string())])
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::dashboard::frame::words::Language;
    use crate::numbers::{Number, Region};

    fn said() -> NewLine {
        NewLine {
            name: "ops".to_owned(),
            team: "infra".to_owned(),
            number: "13300001111".to_owned(),
            sms_number: None,
            carrier: "china-telecom".to_owned(),
            android: 11,
            app_build: AppBuild::Later,
            text: "今天你值班".to_owned(),
            gateway: "phone".to_owned(),
            handset: None,
            verify_handset: None,
        }
    }

    /// What a browser sends of a form: each field, as it stands there or as it is chosen.
    fn sent(fields: &[Field]) -> LineForm {
        let sent: Vec<(&str, &str)> = fields
            .iter()
            .map(|field| {
                if let Input::Choice(choices) = &field.input {
                    assert!(choices.iter().any(|choice| choice.value == field.value), "{field:?}");
                }
                (field.name.as_str(), field.value.as_str())
            })
            .collect();
        LineForm::read(&Fields::of(&sent))
    }

    fn nothing_to_choose() -> Choices {
        Choices { follows: Vec::new(), carriers: Vec::new(), gateways: Vec::new(), handsets: Vec::new() }
    }

    proptest! {
        /// Opening a line and saving it changes nothing, also when what it names is there no more.
        #[test]
        fn a_form_says_what_the_line_says(
            team in "[a-z]{0,3}", sms_number in prop::option::of("1[0-9]{10}"), android in 4..100_i32, first: bool,
            text in "[a-z班]{0,9}", handset in prop::option::of("[a-z]{1,3}"), verify_handset in prop::option::of("[a-z]{1,3}"),
        ) {
            let app_build = if first { AppBuild::First } else { AppBuild::Later };
            let line = NewLine { team, sms_number, android, app_build, text, handset, verify_handset, ..said() };
            let words = Language::English.words();
            let form = sent(&LineForm::of(&line, &Roster::default()).fields(words, &nothing_to_choose(), None));
            prop_assert_eq!(form.filled(words).unwrap(), line);
        }
    }

    #[test]
    fn what_is_not_in_the_roster_is_marked_and_stays() {
        let words = Language::English.words();
        let choices = Choices { follows: vec![Choice::new("ops", "ops")], ..nothing_to_choose() };
        let labels = |team: &str| match offered(&words.line_nobody, &choices.follows, team, &words.line_not_in_roster) {
            Input::Choice(choices) => choices.into_iter().map(|choice| choice.label).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(labels("ops"), [words.line_nobody.as_str(), "ops"]);
        assert!(labels("infra")[2].contains("infra") && labels("infra")[2].contains("not in the roster"));
    }

    #[test]
    fn what_the_engine_refuses_is_said_at_its_field_in_each_language() {
        let number = Number::parse("18712345678", Region::CN).unwrap().number;
        let code = |carrier: &str| command::code(carrier, &[], &number, Region::CN);
        let good = code("china-mobile").unwrap().code;
        let message = |android, text: &str| command::message(&good, android, AppBuild::Later, text).unwrap_err();
        let refusals: Vec<(&str, Refused)> = vec![
            ("carrier", code("").unwrap_err().into()),
            ("carrier", code("telekom").unwrap_err().into()),
            ("carrier", code("jio").unwrap_err().into()),
            ("carrier", code("docomo").unwrap_err().into()),
            ("carrier", ComposeError::Number(String::new()).into()),
            ("android", message(14, "").into()),
            ("text", message(13, "a|b").into()),
            ("text", message(13, "autocall").into()),
            ("text", message(13, "a\nb").into()),
            ("text", message(13, &"班".repeat(60)).into()),
            ("name", Refused::Taken { what: "line", name: "ops".to_owned() }),
            ("name", Refused::wrong("name", "")),
            ("number", Refused::wrong("number", "")),
            ("sms_number", Refused::wrong("sms_number", "")),
            ("team", Refused::wrong("team", "")),
            ("android", Refused::wrong("android", "")),
            ("handset", Refused::wrong("handset", "")),
            ("verify_handset", Refused::wrong("verify_handset", "")),
            ("gateway", Refused::Missing { what: "gateway", name: String::new() }),
        ];
        let mut sentences = BTreeSet::new();
        let count = refusals.len();
        for (field, refused) in refusals {
            for language in Language::ALL {
                let wrong = LineForm::default().wrong(language.words(), copy(&refused)).unwrap();
                assert_eq!(wrong.field, field, "{refused:?}");
                assert!(!label(language.words(), field).is_empty());
                sentences.insert(wrong.sentence);
            }
        }
        // The two numbers are wrong in the same words.
        assert_eq!(sentences.len(), (count - 1) * Language::ALL.len(), "each reason has words of its own");
        let gone = LineForm::default().wrong(Language::English.words(), Refused::Missing { what: "line", name: String::new() });
        assert_eq!(gone, Err(Refusal::NotFound));
    }

    fn copy(refused: &Refused) -> Refused {
        match refused {
            Refused::Command(error) => Refused::Command(error.clone()),
            Refused::Wrong { field, .. } => Refused::wrong(field, ""),
            Refused::Taken { what, name } => Refused::Taken { what, name: name.clone() },
            Refused::Missing { what, name } => Refused::Missing { what, name: name.clone() },
            other @ (Refused::WrongAt { .. }
            | Refused::Several(_)
            | Refused::Contended
            | Refused::Store(_)
            | Refused::Stale(_)) => panic!("{other:?}"),
        }
    }
}
