//! A policy as a form has it, and as the interface for programs has it; pure.

use crate::alarm::policy::MOST_STEPS;
use crate::alarm::{Confirm, Mode};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, number};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::policies::{PolicyBody, StepBody};
use crate::keep::whom::Named;
use crate::numbers::{Number, Region};

/// What a line begins with that names whoever is on duty in a team.
const TEAM: &str = "team";
/// The same for a schedule.
const SCHEDULE: &str = "schedule";

/// One step as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct StepForm {
    whom: String,
    parallel: bool,
    attempts: String,
    interval: String,
    wait: String,
}

/// A policy as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct PolicyForm {
    pub(in crate::dashboard) name: String,
    steps: Vec<StepForm>,
    rounds: String,
    confirm: String,
    /// Where the handset speaks, only a key is an answer.
    key: bool,
    /// Whoever is called is sent a text message as well.
    texts: bool,
}

/// A policy that can be checked and stored.
pub(in crate::dashboard) struct Filled {
    pub(in crate::dashboard) body: PolicyBody,
    /// For each step, which of the form's it is: those that name nobody are left out.
    places: Vec<usize>,
}

/// A step as the form shows it.
pub(in crate::dashboard) struct StepFields {
    pub(in crate::dashboard) legend: String,
    pub(in crate::dashboard) whom: Field,
    pub(in crate::dashboard) rest: [Field; 4],
}

impl PolicyForm {
    /// An empty one.
    pub(in crate::dashboard) fn empty() -> Self {
        Self { rounds: "1".to_owned(), ..Self::default() }
    }

    /// One that is there already.
    pub(in crate::dashboard) fn of(name: &str, policy: &PolicyBody) -> Self {
        let written = |value: Option<i32>| value.map_or_else(String::new, |value| value.to_string());
        let step = |step: &StepBody| StepForm {
            whom: step.ring.iter().map(whom_written).collect::<Vec<_>>().join("\n"),
            parallel: step.mode == Some(Mode::Parallel),
            attempts: written(step.attempts),
            interval: written(step.min_interval_seconds),
            wait: written(step.wait_seconds),
        };
        Self {
            name: name.to_owned(),
            steps: policy.steps.iter().map(step).collect(),
            rounds: policy.rounds.to_string(),
            confirm: written(policy.confirm_within_seconds),
            key: policy.confirm == Some(Confirm::Key),
            texts: policy.texts,
        }
    }

    /// One that somebody has filled in.
    pub(in crate::dashboard) fn read(fields: &Fields) -> Self {
        let text = |name: &str, place: usize| fields.get(&format!("{name}-{place}")).trim().to_owned();
        let there = (0..=MOST_STEPS).take_while(|place| fields.has(&format!("whom-{place}")));
        let step = |place| StepForm {
            whom: text("whom", place),
            parallel: text("mode", place) == "parallel",
            attempts: text("attempts", place),
            interval: text("interval", place),
            wait: text("wait", place),
        };
        Self {
            name: fields.get("name").trim().to_owned(),
            steps: there.map(step).collect(),
            rounds: fields.get("rounds").trim().to_owned(),
            confirm: fields.get("confirm").trim().to_owned(),
            key: fields.get("confirm-key") == "yes",
            texts: fields.get("texts") == "yes",
        }
    }

    /// What it says, for those who check it. Each line is the name of somebody in `people`, or else a number.
    ///
    /// # Errors
    /// When a number of the form is none.
    pub(in crate::dashboard) fn filled(&self, words: &Words, people: &[String], region: Region) -> Result<Filled, Wrong> {
        let mut places = Vec::new();
        let mut steps = Vec::new();
        for (place, step) in self.steps.iter().enumerate().filter(|(_, step)| !step.whom.is_empty()) {
            let whole = |name: &str, value: &str, sentence: &str| number(&format!("{name}-{place}"), value, sentence);
            steps.push(StepBody {
                ring: lines(&step.whom).map(|line| whom(line, people, region)).collect(),
                mode: Some(if step.parallel { Mode::Parallel } else { Mode::Sequential }),
                attempts: whole("attempts", &step.attempts, &words.policy_bad_attempts)?,
                min_interval_seconds: whole("interval", &step.interval, &words.policy_bad_interval)?,
                wait_seconds: whole("wait", &step.wait, &words.policy_bad_seconds)?,
            });
            places.push(place);
        }
        let body = PolicyBody {
            steps,
            rounds: number("rounds", &self.rounds, &words.policy_bad_rounds)?.unwrap_or(1),
            confirm_within_seconds: number("confirm", &self.confirm, &words.policy_bad_seconds)?,
            confirm: self.key.then_some(Confirm::Key),
            texts: self.texts,
        };
        Ok(Filled { body, places })
    }

    /// What is wrong, in the reader's language and at the form's field, when the check names one of its own; `None` for a field
    /// that the form does not have.
    pub(in crate::dashboard) fn wrong(&self, words: &Words, filled: &Filled, field: &str) -> Option<Wrong> {
        match field {
            "name" => return Some(Wrong::new("name", &words.policy_bad_name)),
            "steps" => return Some(Wrong::new("whom-0", &words.policy_bad_steps)),
            "rounds" => return Some(Wrong::new("rounds", &words.policy_bad_rounds)),
            "confirm" => return Some(Wrong::new("confirm-key", &words.policy_bad_seconds)),
            "confirm_within_seconds" => return Some(Wrong::new("confirm", &words.policy_bad_seconds)),
            _ => {}
        }
        let (step, rest) = field.strip_prefix("steps[")?.split_once("].")?;
        let place = *filled.places.get(step.parse::<usize>().ok()?)?;
        let own = |name: &str, sentence: &str| Some(Wrong::new(format!("{name}-{place}"), sentence));
        match rest {
            "ring" => own("whom", &words.policy_bad_ring),
            "attempts" => own("attempts", &words.policy_bad_attempts),
            "min_interval_seconds" => own("interval", &words.policy_bad_interval),
            "wait_seconds" => own("wait", &words.policy_bad_seconds),
            _ => {
                let line: usize = rest.strip_prefix("ring[")?.strip_suffix(']')?.parse().ok()?;
                let text = lines(&self.steps.get(place)?.whom).nth(line)?;
                own("whom", &fill_text(&words.policy_bad_whom, &[("text", text)]))
            }
        }
    }

    /// One more empty step, as far as there may be more.
    pub(in crate::dashboard) fn with_spare(mut self) -> Self {
        if self.steps.len() < MOST_STEPS {
            self.steps.push(StepForm::default());
        }
        self
    }

    /// The steps as the form shows them.
    pub(in crate::dashboard) fn step_fields(&self, words: &'static Words, wrong: Option<&Wrong>) -> Vec<StepFields> {
        let modes = || vec![Choice::new("sequential", &words.mode_sequential), Choice::new("parallel", &words.mode_parallel)];
        let fields = |(place, step): (usize, &StepForm)| {
            let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
                Field::new(format!("{name}-{place}"), label, how, value, input, wrong)
            };
            StepFields {
                legend: fill_text(&words.step_number, &[("step", &(place + 1).to_string())]),
                whom: field(
                    "whom",
                    &words.policy_whom,
                    &words.policy_whom_how,
                    &step.whom,
                    Input::Lines(lines(&step.whom).count().clamp(2, 12)),
                ),
                rest: [
                    field(
                        "mode",
                        &words.policy_mode,
                        "",
                        if step.parallel { "parallel" } else { "sequential" },
                        Input::Choice(modes()),
                    ),
                    field("attempts", &words.policy_attempts, &words.policy_as_configured, &step.attempts, Input::Number),
                    field("interval", &words.policy_interval, &words.policy_as_configured, &step.interval, Input::Number),
                    field("wait", &words.policy_wait, &words.policy_wait_how, &step.wait, Input::Number),
                ],
            }
        };
        self.steps.iter().enumerate().map(fields).collect()
    }

    /// What is said of the policy as a whole.
    pub(in crate::dashboard) fn whole_fields(&self, words: &'static Words, wrong: Option<&Wrong>) -> [Field; 4] {
        let ticked = |on| if on { "yes" } else { "" };
        let key = ticked(self.key);
        let field =
            |name: &str, label: &'static str, how: &str, value: &str| Field::new(name, label, how, value, Input::Number, wrong);
        [
            field("rounds", &words.policy_rounds, &words.policy_rounds_how, &self.rounds),
            field("confirm", &words.policy_confirm, &words.policy_confirm_how, &self.confirm),
            Field::new("confirm-key", &words.policy_key, &words.policy_key_how, key, Input::Tick(&words.policy_key_tick), wrong),
            Field::new(
                "texts",
                &words.policy_texts,
                &words.policy_texts_how,
                ticked(self.texts),
                Input::Tick(&words.policy_texts_tick),
                wrong,
            ),
        ]
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// A line that is neither a name nor a number is taken for a name, and refused as such.
fn whom(line: &str, people: &[String], region: Region) -> Named {
    if let Some((kind, name)) = line.split_once(':') {
        let name = name.trim().to_owned();
        match kind.trim() {
            TEAM => return Named::Team(name),
            SCHEDULE => return Named::Schedule(name),
            _ => {}
        }
    }
    let known = people.iter().any(|name| name == line);
    if !known && Number::parse(line, region).is_ok() { Named::Number(line.to_owned()) } else { Named::Person(line.to_owned()) }
}

/// Whom a step names, as it is typed.
pub(in crate::dashboard) fn whom_written(whom: &Named) -> String {
    match whom {
        Named::Person(name) => name.clone(),
        Named::Number(number) => number.clone(),
        Named::Team(name) => format!("{TEAM}: {name}"),
        Named::Schedule(name) => format!("{SCHEDULE}: {name}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::words::Language;
    use proptest::prelude::*;

    fn words() -> &'static Words {
        Language::English.words()
    }

    fn filled(form: &PolicyForm) -> Result<Filled, Wrong> {
        form.filled(words(), &["Li Na".to_owned(), "4711".to_owned()], Region::CN)
    }

    #[test]
    fn lines_are_people_or_numbers_and_empty_steps_are_left_out() {
        let fields = [
            ("name", " ops "),
            ("whom-0", ""),
            ("whom-1", " Li Na\r\n\r\n187 1234 5678\r\n4711\r\nNobody"),
            ("mode-1", "parallel"),
            ("wait-1", "180"),
            ("whom-2", ""),
            ("rounds", "2"),
        ];
        let form = PolicyForm::read(&Fields::of(&fields));
        let got = filled(&form).unwrap();
        let json = serde_json::to_value(&got.body).unwrap();
        let ring = serde_json::json!([{ "person": "Li Na" }, { "number": "187 1234 5678" }, { "person": "4711" }, { "person": "Nobody" }]);
        assert_eq!(
            json,
            serde_json::json!({ "steps": [{ "ring": ring, "mode": "parallel", "wait_seconds": 180 }], "rounds": 2 })
        );
        let wrong = form.wrong(words(), &got, "steps[0].ring[3]").unwrap();
        assert_eq!(wrong.field, "whom-1");
        assert!(wrong.sentence.contains("“Nobody”"), "{wrong:?}");
        assert_eq!(form.wrong(words(), &got, "steps[0].wait_seconds").unwrap().field, "wait-1");
        assert_eq!(form.wrong(words(), &got, "steps[7].ring"), None);
    }

    #[test]
    fn what_is_no_number_is_said_at_its_field() {
        let fields = [("whom-0", "Li Na"), ("attempts-0", "many"), ("rounds", "1")];
        let wrong = filled(&PolicyForm::read(&Fields::of(&fields))).err().unwrap();
        assert_eq!((wrong.field.as_str(), wrong.sentence.as_str()), ("attempts-0", words().policy_bad_attempts.as_str()));
    }

    fn step() -> impl Strategy<Value = StepBody> {
        let ring = prop::collection::vec(
            prop_oneof![
                Just(Named::Person("Li Na".to_owned())),
                Just(Named::Number("+8618712345678".to_owned())),
                Just(Named::Team("infra".to_owned())),
                Just(Named::Schedule("nights: EU".to_owned())),
            ],
            1..4,
        );
        let small = || prop::option::of(1..600_i32);
        (ring, any::<bool>(), prop::option::of(1..11_i32), small(), small()).prop_map(
            |(ring, parallel, attempts, interval, wait)| StepBody {
                ring,
                mode: Some(if parallel { Mode::Parallel } else { Mode::Sequential }),
                attempts,
                min_interval_seconds: interval,
                wait_seconds: wait,
            },
        )
    }

    proptest! {
        /// Opening a policy and saving it changes nothing.
        #[test]
        fn a_form_says_what_the_policy_says(steps in prop::collection::vec(step(), 1..6), rounds in 1..11_i32, confirm in prop::option::of(1..600_i32), key in any::<bool>(), texts in any::<bool>()) {
            let confirm = if key { confirm.or(Some(120)) } else { confirm };
            let confirmed = key.then_some(Confirm::Key);
            let policy = PolicyBody { steps, rounds, confirm_within_seconds: confirm, confirm: confirmed, texts };
            let again = filled(&PolicyForm::of("ops", &policy).with_spare()).ok().unwrap();
            prop_assert_eq!(serde_json::to_value(&again.body).unwrap(), serde_json::to_value(&policy).unwrap());
        }
    }
}
