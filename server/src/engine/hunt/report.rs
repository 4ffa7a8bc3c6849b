//! A handset reports: the dial is closed, the answer attributed to a person, and the hunt goes on or ends.
//!
//! A report is identified by its mid alone, and it is never too late: an *answered* that comes after the deadline, after a
//! cancellation or after the hunt ended without an answer still says who picked up, and is kept.

use android_protocol::wire::{CallOutcome, NativeCall};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::closing::{self, Tally};
use super::serves::ring_of;
use crate::alarm::AnswerVia;
use crate::alarm::attribution::{self, DialledCallee};
use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::ringing::{self, Line, Proof};
use crate::alarm::{DialOutcome, HuntOutcome, TargetOutcome, Until, Verdict};
use crate::engine::{Engine, EngineError};
use crate::ids::{AlarmId, AnswerId, HuntId};
use crate::numbers::{Number, Region};
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::dials::{DialRow, TargetRow};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::{Announcement, Tx};

/// What a handset says of a dial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The dial.
    pub mid: String,
    /// The number that answered, as the handset wrote it; `None` when nobody did.
    pub resp: Option<String>,
    /// What a native handset says of each number.
    pub calls: Vec<NativeCall>,
}

/// What a report was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Somebody picked up.
    Answered,
    /// Nobody did.
    Nobody,
    /// Somebody picked up, reported after the dial was closed.
    LateAnswered,
    /// Nobody did, reported after the dial was closed: a note.
    LateNobody,
    /// Said before.
    Duplicate,
    /// No such dial.
    Unknown,
}

/// Longest `resp` that is kept; the app sends a number.
const LONGEST_RESP: usize = 64;

impl Engine {
    /// Takes in a handset's report.
    ///
    /// # Errors
    /// When the database fails; the report was not stored then, and must not be acknowledged.
    pub fn report<'e>(&'e self, report: &'e Report) -> BoxFuture<'e, Result<Reported, EngineError>> {
        Box::pin(self.take_report(report))
    }

    async fn take_report(&self, report: &Report) -> Result<Reported, EngineError> {
        let now = self.clock.now();
        let Some(dial) = self.store.read().await?.db().dial(&report.mid).await? else {
            return Ok(Reported::Unknown);
        };
        let mut tx = self.store.begin().await?;
        let mut tally = Tally::default();
        let hunt = tx.db().lock_hunt(dial.hunt_id).await?;
        let Some(dial) = tx.db().dial(&report.mid).await? else {
            return Ok(Reported::Unknown);
        };
        let answered = report.calls.iter().find(|call| call.outcome == Some(CallOutcome::Answered) && !call.declined);
        let resp = match &report.resp {
            Some(resp) if declined(report, resp) => None,
            Some(resp) => Some(resp.as_str()),
            None => answered.map(|call| call.number.as_str()),
        };
        let reported = match resp {
            Some(resp) => {
                let resp: String = resp.chars().filter(|c| !c.is_control()).take(LONGEST_RESP).collect();
                self.answered(&mut tx, &hunt, &dial, &resp, &report.calls, now, &mut tally).await?
            }
            None => self.nobody(&mut tx, &hunt, &dial, &report.calls, now, &mut tally).await?,
        };
        if let Some(handset) = dial.handset_id
            && tx.db().handset_reported(handset).await?
        {
            tx.announce(Announcement::Handsets);
        }
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        self.count(&tally);
        Ok(reported)
    }

    async fn nobody(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        dial: &DialRow,
        calls: &[NativeCall],
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<Reported, EngineError> {
        // It may be said while the line still rings: by the stock app, when a stranger's call comes in between.
        let ring = ring_of(&mut tx.db(), dial.handset_id).await?;
        let line = Line { serves: self.serves_of(dial), report: Some(Proof::Nobody), ..dial.line(ring) };
        let line_free_at = ringing::quiet(&line, now).numbers;
        if tx.db().close_reported_dial(&dial.mid, DialOutcome::Nobody, None, now, line_free_at).await? {
            let about = match calls.iter().any(|call| call.declined) {
                true => self.part_from_who_joined_after(tx, hunt, dial.offered_at, now, tally).await?,
                false => None,
            };
            self.take_calls(tx, hunt, dial, calls, about.as_deref(), now).await?;
            tally.dials.push(DialOutcome::Nobody);
            tx.db().insert_event(None, Some(hunt.id), now, &Event::Nobody { mid: dial.mid.clone() }).await?;
            self.settle(tx, hunt.id, now, tally).await?;
            return Ok(Reported::Nobody);
        }
        if tx.db().late_nobody(&dial.mid, now, line_free_at).await? {
            let event = Event::LateNobody { mid: dial.mid.clone(), dial_was: dial.outcome };
            tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
            return Ok(Reported::LateNobody);
        }
        Ok(Reported::Duplicate)
    }

    /// Takes in what a native handset says of each number that nobody answered. The stock app says nothing: its numbers rang. What
    /// people said is `about` these alarms alone, or about all that are in the hunt.
    async fn take_calls(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        dial: &DialRow,
        calls: &[NativeCall],
        about: Option<&[AlarmId]>,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let region = self.region_of(tx, dial).await?;
        let by = handset_of(tx, dial).await?;
        let targets = tx.db().targets(&dial.mid).await?;
        let mut failed = 0;
        for target in &targets {
            let number = Number::from_stored(target.number.as_str());
            let call = calls.iter().find(|call| number.matches(&call.number, region));
            let outcome = call.and_then(|call| call.outcome).unwrap_or(CallOutcome::NoAnswer);
            let declined = call.is_some_and(|call| call.declined);
            let became = if declined { TargetOutcome::Declined } else { TargetOutcome::Call(outcome) };
            tx.db().set_target_outcome(&dial.mid, target.callee_id, became).await?;
            if declined {
                tx.db().set_verdict(target.callee_id, Verdict::Declined).await?;
                let event = Event::Declined {
                    mid: Some(dial.mid.clone()),
                    via: None,
                    callee: target.callee_id,
                    name: None,
                    number: target.number.clone(),
                    done_by: Some(by.clone()),
                    alarms: about.map(<[AlarmId]>::to_vec),
                };
                tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
            } else if !outcome.was_dialled() {
                if outcome == CallOutcome::Failed {
                    tx.db().give_back_failed(target.callee_id, target.attempts).await?;
                } else {
                    tx.db().give_back_attempts(target.callee_id, target.attempts).await?;
                }
                let event = Event::NotRung { mid: dial.mid.clone(), callee: target.callee_id, outcome };
                tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
                failed += usize::from(outcome == CallOutcome::Failed);
            }
        }
        if !calls.is_empty() {
            // A native handset knows how its calls ended.
            tx.db().line_is_free(&dial.mid).await?;
        }
        let Some(handset) = dial.handset_id else { return Ok(()) };
        if failed > 0 && failed == targets.len() {
            let failures = tx.db().handset(handset).await?.map_or(0, |handset| handset.failures);
            tx.db().handset_failed(handset, self.rest_until(failures, now)).await?;
            tx.announce(Announcement::Handsets);
            tracing::warn!(%handset, "no call leaves this handset: no credit or no signal? another one is preferred");
        } else {
            tx.db().handset_works(handset).await?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "everything that one report needs, read once")]
    async fn answered(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        dial: &DialRow,
        resp: &str,
        calls: &[NativeCall],
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<Reported, EngineError> {
        let targets = tx.db().targets(&dial.mid).await?;
        let dialled: Vec<_> = targets.iter().map(dialled_callee).collect();
        let region = self.region_of(tx, dial).await?;
        let attribution = attribution::attribute(&dialled, |number| Number::from_stored(number).matches(resp, region));
        let earlier = tx.db().answers_of(hunt.id).await?;
        let same = |answer: &AnswerRow| {
            answer.mid.as_deref() == Some(&dial.mid)
                && (attribution.callee.is_some() || dial.resp.as_deref() == Some(resp))
                && answer.callee_id == attribution.callee
        };
        if earlier.iter().any(same) {
            return Ok(Reported::Duplicate);
        }

        let in_time = tx.db().close_reported_dial(&dial.mid, DialOutcome::Answered, Some(resp), now, None).await?;
        if in_time {
            tally.dials.push(DialOutcome::Answered);
        } else {
            tx.db().late_answer(&dial.mid, resp, now).await?;
        }
        let callees = tx.db().callees(hunt.id).await?;
        let callee = callees.iter().find(|callee| Some(callee.id) == attribution.callee);
        let mut answer = self.answer_of(tx, dial, callee, resp, region, now).await?;
        if targets.iter().any(|target| Some(target.callee_id) == attribution.callee && target.attempts > 1) {
            // The sequence was copied: nobody knows at which pass it was.
            answer.attempt = None;
        }
        if calls.iter().any(|call| call.outcome == Some(CallOutcome::Answered) && call.confirmed == Some(true)) {
            answer.confirmed_at = Some(now);
        }
        tx.db().insert_answer(&answer).await?;
        if let Some(handset) = dial.handset_id {
            tx.db().handset_works(handset).await?;
        }
        // The phone reports when the call is over: whoever picked up may have said no since, by their link or a text message.
        let declined = answer.confirmed_at.is_none() && callee.is_some_and(|callee| callee.verdict == Some(Verdict::Declined));
        if let Some(callee) = callee {
            tx.db().set_target_outcome(&dial.mid, callee.id, TargetOutcome::Call(CallOutcome::Answered)).await?;
            if declined {
                tx.db().lapse_answer(answer.id, now).await?;
            } else {
                tx.db().set_verdict(callee.id, Verdict::Answered).await?;
            }
        }
        if in_time {
            give_back(tx, &dial.mid, &targets, &attribution.not_rung).await?;
        }
        let (mid, name, number, resp) = (dial.mid.clone(), answer.name.clone(), answer.number.clone(), resp.to_owned());
        let (attempt, confirmed) = (answer.attempt, answer.confirmed_at.is_some());
        let event = if in_time {
            Event::Answered { mid, name, number, resp, attempt, confirmed, declined }
        } else {
            Event::LateAnswer {
                mid: Some(mid),
                name,
                number,
                resp: Some(resp),
                attempt: Some(attempt),
                confirmed: Some(confirmed),
                declined: Some(declined),
                of_earlier_hunt: None,
            }
        };
        tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
        let done = if in_time { Reported::Answered } else { Reported::LateAnswered };
        if declined {
            if hunt.ended_at.is_none() {
                self.settle(tx, hunt.id, now, tally).await?;
            }
            return Ok(done);
        }
        if answer.confirmed_at.is_some() {
            // A key that was pressed is an answer to what was said in the call, and that was what it was handed out for.
            self.part_from_who_joined_after(tx, hunt, dial.offered_at, now, tally).await?;
        }
        self.reached(tx, hunt, &answer, now, tally).await?;
        let over_at = match answer.confirmed_at {
            Some(_) => dial.offered_at,
            // An alarm may have joined while a report in time waited for the database.
            None if in_time => now,
            None => dial.closed_at.unwrap_or(now),
        };
        if !in_time {
            self.reach_later_hunts(tx, hunt.id, over_at, &answer, now, tally).await?;
        }
        self.ring_for_those_who_joined_later(tx, hunt, over_at, now, tally).await?;
        Ok(done)
    }

    /// Somebody was reached: a hunt for the first answer ends, also one that had ended without. Where a confirmation is wanted, it
    /// waits for that.
    async fn reached(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        answer: &AnswerRow,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let counts = hunt.confirm_within.is_none() || answer.confirmed_at.is_some();
        match (hunt.outcome, hunt.until) {
            (None, Until::First) if counts => {
                closing::end_hunt(tx, hunt, HuntOutcome::Answered, None, DialOutcome::Superseded, now, tally).await
            }
            (None, _) => self.settle(tx, hunt.id, now, tally).await,
            (Some(HuntOutcome::NoAnswer), _) if !counts => Ok(()),
            (Some(HuntOutcome::NoAnswer), _) => {
                if tx.db().answered_after_all(hunt.id, now).await? {
                    let event = Event::HuntEnded { outcome: HuntOutcome::Answered, reason: None };
                    tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
                    tally.hunts.push((HuntOutcome::Answered, None));
                }
                Ok(())
            }
            (Some(HuntOutcome::Answered | HuntOutcome::Cancelled | HuntOutcome::Resolved), _) => Ok(()),
        }
    }

    /// A late answer also counts for a hunt that was begun for the same alarms since: nobody else needs to be woken.
    async fn reach_later_hunts(
        &self,
        tx: &mut Tx,
        hunt: HuntId,
        by: DateTime<Utc>,
        answer: &AnswerRow,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        for later in tx.db().later_hunts(hunt, by).await? {
            let later = tx.db().lock_hunt(later).await?;
            if later.until != Until::First || !matches!(later.outcome, None | Some(HuntOutcome::NoAnswer)) {
                continue;
            }
            // They may have said no to it since.
            let said_no = |callee: &CalleeRow| callee.said_no() && answer.is_from(&callee.number);
            if answer.confirmed_at.is_none() && tx.db().callees(later.id).await?.iter().any(said_no) {
                continue;
            }
            // The callee belongs to the earlier hunt, so here the answer stands by person and number.
            let answer = AnswerRow { id: AnswerId::new(now), hunt_id: later.id, callee_id: None, ..answer.clone() };
            tx.db().insert_answer(&answer).await?;
            let event = Event::LateAnswer {
                mid: answer.mid.clone(),
                name: answer.name.clone(),
                number: answer.number.clone(),
                resp: None,
                attempt: None,
                confirmed: None,
                declined: None,
                of_earlier_hunt: Some(hunt),
            };
            tx.db().insert_event(None, Some(later.id), now, &event).await?;
            self.reached(tx, &later, &answer, now, tally).await?;
        }
        Ok(())
    }

    /// Somebody answered; alarms that joined the hunt after that call was over were not what it was about.
    async fn ring_for_those_who_joined_later(
        &self,
        tx: &mut Tx,
        before: &HuntRow,
        over_at: DateTime<Utc>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let hunt = tx.db().lock_hunt(before.id).await?;
        let has_just_ended = hunt.outcome == Some(HuntOutcome::Answered) && before.outcome != Some(HuntOutcome::Answered);
        // One that wants everybody goes on, but does not ring again whoever has answered.
        let counts_it = hunt.outcome.is_none() && hunt.until == Until::Everyone;
        if !has_just_ended && !counts_it {
            return Ok(());
        }
        let late = tx.db().alarms_joined_after(hunt.id, over_at).await?;
        if late.is_empty() {
            return Ok(());
        }
        self.ring_afresh(tx, &late, &hunt, RingsAgain::JoinedLater, now, tally).await?;
        self.stop_unless_wanted(tx, &hunt, HuntOutcome::Cancelled, now, tally).await
    }

    /// The country whose national form the handset's report is written in.
    async fn region_of(&self, tx: &mut Tx, dial: &DialRow) -> Result<Region, EngineError> {
        let handset = match dial.handset_id {
            Some(id) => tx.db().handset(id).await?,
            None => None,
        };
        Ok(handset.and_then(|handset| handset.country.parse().ok()).unwrap_or(self.region()))
    }

    /// Who that is, by name: the person's name now, else the name the callee was given, else whoever has the number, else the
    /// bare number.
    async fn answer_of(
        &self,
        tx: &mut Tx,
        dial: &DialRow,
        callee: Option<&CalleeRow>,
        resp: &str,
        region: Region,
        now: DateTime<Utc>,
    ) -> Result<AnswerRow, EngineError> {
        let number = callee.map(|callee| callee.number.clone()).or_else(|| {
            let parsed = Number::parse(&as_written(resp), region).ok()?;
            Some(parsed.number.as_str().to_owned())
        });
        let mut person = match callee.and_then(|callee| callee.person_id) {
            Some(id) => tx.db().person(id).await?,
            None => None,
        };
        let given = callee.and_then(|callee| callee.name.clone());
        if let (None, None, Some(number)) = (&person, &given, &number) {
            person = tx.db().person_with_number(number).await?;
        }
        let name = person.as_ref().map(|person| person.name.clone()).or(given).unwrap_or_else(|| as_written(resp));
        Ok(AnswerRow {
            id: AnswerId::new(now),
            hunt_id: dial.hunt_id,
            mid: Some(dial.mid.clone()),
            callee_id: callee.map(|callee| callee.id),
            number,
            person_id: person.map(|person| person.id),
            name,
            handset_id: dial.handset_id,
            at: now,
            via: AnswerVia::Handset,
            attempt: callee.map(|callee| callee.attempts),
            confirmed_at: None,
            lapsed_at: None,
        })
    }
}

/// The handset that made a call, as who really did what it reports.
async fn handset_of(tx: &mut Tx, dial: &DialRow) -> Result<Doer, EngineError> {
    let handset = match dial.handset_id {
        Some(id) => tx.db().handset(id).await?,
        None => None,
    };
    Ok(handset.map_or(Doer::Server, |handset| Doer::Handset { name: handset.name }))
}

/// The human who picked up under this number said that somebody else should take it.
fn declined(report: &Report, resp: &str) -> bool {
    let mut calls = report.calls.iter();
    calls.any(|call| call.declined && call.number.trim_start_matches('+').trim() == resp.trim_start_matches('+').trim())
}

/// Gives back the attempts of callees that were certainly not rung.
async fn give_back(tx: &mut Tx, mid: &str, targets: &[TargetRow], not_rung: &[crate::ids::CalleeId]) -> Result<(), EngineError> {
    for target in targets {
        if not_rung.contains(&target.callee_id) {
            tx.db().give_back_attempts(target.callee_id, target.attempts).await?;
            tx.db().set_target_outcome(mid, target.callee_id, TargetOutcome::Call(CallOutcome::NotDialled)).await?;
        }
    }
    Ok(())
}

fn dialled_callee(target: &TargetRow) -> DialledCallee {
    DialledCallee { callee: target.callee_id, number: target.number.clone(), attempts: target.attempts }
}

/// The number that a handset meant: an unencoded `+` arrives as a blank.
fn as_written(resp: &str) -> String {
    match resp.strip_prefix(' ') {
        Some(digits) => format!("+{}", digits.trim()),
        None => resp.trim().to_owned(),
    }
}
