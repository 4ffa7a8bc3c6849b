//! Where a hunt stands: its step, an answer that waits for a human's word, and until when nobody is rung.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::escalation;
use crate::alarm::event::Event;
use crate::alarm::policy::Place;
use crate::dashboard::frame::page::{at, at_second, until};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{escape, fill, fill_text};
use crate::ids::CalleeId;
use crate::roster::quiet::QuietHours;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::board::RungRow;
use crate::store::alarm::events::EventRow;
use crate::store::alarm::hunts::HuntRow;
use crate::store::duty::policies::PolicyRow;

/// Which step and round of its policy each step of a hunt was, both counted from 1; neither for those of last resort. Whoever the
/// alarm itself names belongs to a step that is not in here.
pub(in crate::dashboard) type Steps = HashMap<i32, Option<(i32, i32)>>;

/// Reads the steps of one hunt from its events.
pub(in crate::dashboard) fn steps_of<'e>(events: impl IntoIterator<Item = &'e EventRow>) -> Steps {
    let step = |event: &EventRow| match event.event() {
        Event::StepBegan { step, place, round, last_resort, .. } => {
            let place = place.zip(round);
            // Whom the alarm itself asks for is no step of a policy, and no last resort either.
            (place.is_some() || last_resort).then_some((step, place))
        }
        _ => None,
    };
    events.into_iter().filter_map(step).collect()
}

/// An answer that still waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Confirming {
    pub(in crate::dashboard) name: String,
    /// It lapses at this instant.
    pub(in crate::dashboard) by: DateTime<Utc>,
}

/// Where an open hunt stands at one moment.
#[derive(Clone, Debug, Default)]
pub(in crate::dashboard) struct Standing {
    /// The moment.
    pub(in crate::dashboard) now: DateTime<Utc>,
    /// The step whose callees are rung.
    pub(in crate::dashboard) step: i32,
    /// Answers need a confirmation within so long.
    pub(in crate::dashboard) confirm_within: Option<TimeDelta>,
    /// The answers that nobody has confirmed yet.
    pub(in crate::dashboard) confirming: Vec<Confirming>,
    /// Nobody is rung before then.
    pub(in crate::dashboard) held_until: Option<DateTime<Utc>>,
    /// It was put off until then.
    pub(in crate::dashboard) snoozed_until: Option<DateTime<Utc>>,
    /// There is a step to go on to.
    pub(in crate::dashboard) has_next_step: bool,
    /// The name of the policy it follows.
    pub(in crate::dashboard) policy: Option<String>,
    /// Where in the policy, of how many steps and rounds.
    pub(in crate::dashboard) place: Option<(Place, usize, i32)>,
    /// When the next step begins at the latest.
    pub(in crate::dashboard) next_step_at: Option<DateTime<Utc>>,
    /// Who has quiet hours, and until when.
    pub(in crate::dashboard) quiet: HashMap<CalleeId, DateTime<Utc>>,
}

impl Standing {
    /// Where an open hunt stands at `now`.
    pub(in crate::dashboard) fn of(hunt: &HuntRow, policies: &[PolicyRow], answers: &[AnswerRow], now: DateTime<Utc>) -> Self {
        let policy = policies.iter().find(|policy| Some(policy.id) == hunt.policy_id);
        let confirm_within = hunt.confirm_within.map(|seconds| TimeDelta::seconds(i64::from(seconds)));
        let waiting = answers.iter().filter(|answer| answer.confirmed_at.is_none() && answer.lapsed_at.is_none());
        let confirming: Vec<_> = confirm_within.map_or_else(Vec::new, |within| {
            waiting.map(|answer| Confirming { name: answer.name.clone(), by: answer.at + within }).collect()
        });
        let snoozed_until = hunt.snoozed_until.filter(|until| *until > now);
        let confirm_by = confirming.iter().map(|one| one.by).min();
        let has_next_step = policy.is_some_and(|policy| policy.definition.after(hunt.place()).is_some());
        let held_until = escalation::held_until(hunt.until, confirm_by, snoozed_until);
        Self {
            now,
            step: hunt.step,
            confirm_within,
            confirming,
            held_until,
            snoozed_until,
            has_next_step,
            place: policy
                .zip(hunt.place())
                .map(|(policy, place)| (place, policy.definition.steps.len(), policy.definition.rounds)),
            policy: policy.map(|policy| policy.name.clone()),
            next_step_at: escalation::next_step_at(hunt.step_ends_at.filter(|_| has_next_step), held_until),
            quiet: HashMap::new(),
        }
    }

    /// "Step 2 of 3 of “ops” · round 1 of 2 · next step at 03:25", as HTML; nothing for an alarm that names its numbers.
    pub(in crate::dashboard) fn place_words(&self, reader: &Reader) -> Option<String> {
        let words = reader.words;
        let policy = self.policy.as_deref()?;
        let Some((place, steps, rounds)) = self.place else {
            return Some(fill(&words.place_switched, &[("policy", Text(policy))]));
        };
        let (step, steps) = ((place.step + 1).to_string(), steps.to_string());
        let mut pieces =
            vec![fill(&words.place_step, &[("step", Text(&step)), ("steps", Text(&steps)), ("policy", Text(policy))])];
        if rounds > 1 {
            let (round, rounds) = ((place.round + 1).to_string(), rounds.to_string());
            pieces.push(fill(&words.place_round, &[("round", Text(&round)), ("rounds", Text(&rounds))]));
        }
        pieces.push(match self.next_step_at {
            Some(time) => fill(&words.place_next, &[("at", Html(&at_second(time)))]),
            None if self.has_next_step => escape(&words.place_next_later),
            None => escape(&words.place_last),
        });
        Some(pieces.join(" · "))
    }

    /// What ringing waits for, each as HTML: an answer without its confirmation, the end of a snooze.
    pub(in crate::dashboard) fn waits(&self, reader: &Reader) -> Vec<String> {
        let words = reader.words;
        let confirming = self.confirming.iter().map(|one| {
            let bits = [("who", Html(&bold(&reader.name(&one.name)))), ("until", Html(&until(one.by)))];
            fill(&words.waits_confirming, &bits)
        });
        let snoozed = self.snoozed_until.map(|time| fill(&words.waits_snoozed, &[("at", Html(&at(time)))]));
        confirming.chain(snoozed).collect()
    }
}

/// Who of an open hunt has quiet hours, and until when.
pub(in crate::dashboard) fn left_in_peace(
    hunt: &HuntRow,
    rungs: &[RungRow],
    rules: &[QuietHours],
    now: DateTime<Utc>,
) -> HashMap<CalleeId, DateTime<Utc>> {
    rungs.iter().filter_map(|rung| Some((rung.id, hunt.left_in_peace(rung.person_id, rules, now)?))).collect()
}

/// When an alarm that is answered, or put off, rings again unless it is over: HTML.
pub(in crate::dashboard) fn rings_again(reader: &Reader, alarm: &AlarmRow) -> Option<String> {
    let over = alarm.cancelled_at.is_some() || alarm.resolved_at.is_some();
    let time = alarm.ring_again_at.filter(|_| !over)?;
    Some(fill(&reader.words.rings_again, &[("at", Html(&at(time)))]))
}

/// "Step 2" over the rungs of a step; the round too, once there is more than one.
pub(in crate::dashboard) fn step_heading(reader: &Reader, steps: &Steps, step: i32) -> String {
    let words = reader.words;
    let (place, round) = match steps.get(&step) {
        Some(Some(place)) => place,
        Some(None) => return words.step_fallback.clone(),
        None => return words.step_named.clone(),
    };
    let (place, round_number) = (place.to_string(), round.to_string());
    let bits = [("step", place.as_str()), ("round", round_number.as_str())];
    fill_text(if *round > 1 { &words.step_in_round } else { &words.step_number }, &bits)
}

fn bold(text: &str) -> String {
    format!("<b>{}</b>", escape(text))
}
