//! The history of a call, in the words of Barista: how a hunt and its dials read there.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::alarm::{AlarmState, EndReason, Mode, TargetOutcome, Verdict};
use crate::config::HistoryForm;
use crate::ids::CalleeId;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::barista::{Addressee, BaristaCall};
use crate::store::alarm::dials::{DialRow, TargetRow};
use crate::store::alarm::hunts::CalleeRow;
use crate::store::{Db, StoreError};

const POSITIVE: &str = "1";
const NEGATIVE: &str = "2";
const NO_ANSWER: &str = "3";

/// Everything that a history is written from.
#[derive(Debug)]
pub struct Facts {
    alarm: AlarmRow,
    call: Option<BaristaCall>,
    callees: Vec<CalleeRow>,
    dials: Vec<DialRow>,
    targets: Vec<TargetRow>,
    answers: Vec<AnswerRow>,
}

impl Facts {
    /// The alarm.
    pub(super) fn alarm(&self) -> &AlarmRow {
        &self.alarm
    }

    /// Reads them; `None` when no alarm has this number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(db: &mut Db<'_>, number: i64) -> Result<Option<Self>, StoreError> {
        let Some(alarm) = db.alarm_by_number(number).await? else { return Ok(None) };
        let hunt = alarm.hunt_id;
        Ok(Some(Self {
            call: db.barista_call(alarm.id).await?,
            callees: db.callees(hunt).await?,
            dials: db.dials_of(hunt).await?,
            targets: db.targets_of_hunt(hunt).await?,
            answers: db.answers_of(hunt).await?,
            alarm,
        }))
    }
}

/// The history of one call; every value is text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BaristaHistory)]
pub struct History {
    success: &'static str,
    /// 1 sequential, 2 parallel.
    r#type: &'static str,
    frequency: String,
    language: String,
    headid: String,
    footid: String,
    headmsg: String,
    announce: String,
    footmsg: String,
    /// 0 waiting, 1 being handled, 2 finished, 99 no phone could do it.
    eventstatus: &'static str,
    result: Vec<Callee>,
}

/// One addressee of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BaristaCallee)]
struct Callee {
    ghid: String,
    order: String,
    telno: String,
    name: String,
    numofcall: String,
    latestcall: String,
    status: &'static str,
}

/// Writes the history.
#[must_use]
pub fn history(facts: Facts, form: HistoryForm) -> History {
    let eventstatus = event_status(facts.alarm.state(), facts.alarm.end_reason);
    let finished = !matches!(eventstatus, "0" | "1");
    let most_attempts = facts.callees.iter().map(|callee| callee.max_attempts).max().unwrap_or(0);
    let result = facts.callees.iter().enumerate().map(|(place, callee)| one(&facts, place, callee, finished, form)).collect();
    let mode = facts.alarm.mode;
    let r#type = if mode == Mode::Parallel { "2" } else { "1" };
    match facts.call {
        Some(call) => History {
            success: "true",
            r#type,
            frequency: call.frequency.to_string(),
            language: call.language,
            headid: call.head_id.to_string(),
            footid: call.foot_id.to_string(),
            headmsg: call.head_message,
            announce: call.message,
            footmsg: call.foot_message,
            eventstatus,
            result,
        },
        // It came through another door, where no phrases are chosen.
        None => History {
            success: "true",
            r#type,
            frequency: most_attempts.to_string(),
            language: "en".to_owned(),
            headid: "0".to_owned(),
            footid: "0".to_owned(),
            headmsg: String::new(),
            announce: facts.alarm.summary,
            footmsg: String::new(),
            eventstatus,
            result,
        },
    }
}

fn one(facts: &Facts, place: usize, callee: &CalleeRow, finished: bool, form: HistoryForm) -> Callee {
    let given = facts.call.as_ref().and_then(|call| {
        // A later hunt may be for fewer people, or for others.
        let is_theirs = |given: &&Addressee| is_same_number(&given.number, &callee.number);
        call.addressees.get(place).filter(is_theirs).or_else(|| call.addressees.iter().find(is_theirs))
    });
    let latest = latest_call(facts, callee.id);
    let is_open = |mid: &str| facts.dials.iter().any(|dial| dial.mid == mid && dial.closed_at.is_none());
    let in_call = facts.targets.iter().any(|target| target.callee_id == callee.id && is_open(&target.mid));
    // Whatever else became settled about a callee than an answer, he or she is not called again.
    let is_over = finished || callee.verdict.is_some() || (!in_call && callee.attempts >= callee.max_attempts);
    Callee {
        ghid: callee.reference.clone().unwrap_or_default(),
        order: given.map_or_else(|| (place + 1).to_string(), |given| given.order.to_string()),
        telno: given.map_or_else(|| callee.number.clone(), |given| given.number.clone()),
        name: callee.name.clone().unwrap_or_default(),
        numofcall: callee.attempts.to_string(),
        latestcall: latest.map_or_else(|| "0".to_owned(), |at| instant(at, form)),
        status: status(settled(&facts.answers, callee), is_over, form),
    }
}

/// Whether a number as it was given is one as it is stored: in E.164, or with no more than its digits.
fn is_same_number(given: &str, stored: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let given = digits(given);
    let national = given.trim_start_matches('0');
    !national.is_empty() && digits(stored).ends_with(national)
}

/// When the callee was last rung. A hand-out that rang nobody is no call.
fn latest_call(facts: &Facts, callee: CalleeId) -> Option<DateTime<Utc>> {
    let offered: HashMap<&str, DateTime<Utc>> = facts.dials.iter().map(|dial| (dial.mid.as_str(), dial.offered_at)).collect();
    let own = facts.targets.iter().filter(|target| target.callee_id == callee);
    let rung = own.filter(|target| target.outcome.is_none_or(TargetOutcome::was_dialled));
    rung.filter_map(|target| offered.get(target.mid.as_str()).copied()).max()
}

fn instant(at: DateTime<Utc>, form: HistoryForm) -> String {
    match form {
        HistoryForm::Documented => at.timestamp().to_string(),
        HistoryForm::Original => at.timestamp_millis().to_string(),
    }
}

/// What a callee said, once it has: whoever picked up or confirmed said yes, unless that lapsed.
fn settled(answers: &[AnswerRow], callee: &CalleeRow) -> Option<&'static str> {
    let own = || answers.iter().filter(|answer| answer.callee_id == Some(callee.id));
    if own().any(|answer| answer.confirmed_at.is_some()) {
        return Some(POSITIVE);
    }
    if callee.verdict == Some(Verdict::Declined) {
        return Some(NEGATIVE);
    }
    own().any(|answer| answer.lapsed_at.is_none()).then_some(POSITIVE)
}

/// The word for a callee; `is_over` when it has no further call coming.
fn status(settled: Option<&'static str>, is_over: bool, form: HistoryForm) -> &'static str {
    match (settled, form) {
        (Some(word), _) => word,
        (None, HistoryForm::Documented) if !is_over => "",
        (None, _) => NO_ANSWER,
    }
}

/// The word for the whole call. That no phone did what it was for is an error of the system, and not the end of the calls.
fn event_status(state: AlarmState, reason: Option<EndReason>) -> &'static str {
    match (state, reason) {
        (AlarmState::Waiting, _) => "0",
        (AlarmState::Ringing, _) => "1",
        (AlarmState::NoAnswer, Some(EndReason::NoHandset | EndReason::HandOutLimit)) => "99",
        (AlarmState::Answered | AlarmState::NoAnswer | AlarmState::Cancelled | AlarmState::Resolved, _) => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_keeps_silent_until_nothing_more_comes() {
        assert_eq!(status(None, false, HistoryForm::Documented), "");
        assert_eq!(status(None, true, HistoryForm::Documented), NO_ANSWER);
        assert_eq!(status(None, false, HistoryForm::Original), NO_ANSWER);
        assert_eq!(status(Some(NEGATIVE), false, HistoryForm::Documented), NEGATIVE);
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        assert!(is_same_number("090-1234-5678", "+819012345678"));
        assert!(is_same_number("+81 90 1234 5678", "+819012345678"));
        assert!(is_same_number("4711", "4711"));
        assert!(!is_same_number("090-1234-5679", "+819012345678"));
        assert!(!is_same_number("", "+819012345678"));
    }

    #[test]
    fn an_event_that_no_phone_took_failed() {
        assert_eq!(event_status(AlarmState::NoAnswer, Some(EndReason::NoHandset)), "99");
        assert_eq!(event_status(AlarmState::NoAnswer, Some(EndReason::NoReport)), "2");
        assert_eq!(event_status(AlarmState::NoAnswer, Some(EndReason::AttemptsUsed)), "2");
        assert_eq!(event_status(AlarmState::NoAnswer, Some(EndReason::AllDeclined)), "2");
        assert_eq!(event_status(AlarmState::Cancelled, None), "2");
    }
}
