//! A handset reports: the dial is closed, the answer attributed to a person, and the hunt goes on or ends.
//!
//! A report is identified by its mid alone, and it is never too late: an *answered* that comes after the deadline, after a
//! cancellation or after the hunt ended without an answer still says who picked up, and is kept.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use super::closing::Tally;
use super::serves::ring_of;
use crate::alarm::AnswerVia;
use crate::alarm::consequences::{self, OfReport, Recorded, Standing};
pub use crate::alarm::consequences::{Report, Reported};
use crate::alarm::coverage;
use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::ringing::{self, Line, Proof};
use crate::alarm::{DialOutcome, HuntOutcome, Until};
use crate::engine::{Engine, EngineError};
use crate::ids::{AlarmId, AnswerId, HuntId, short_mid};
use crate::numbers::{Number, Region};
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::dials::DialRow;
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::{Announcement, StoreError, Tx};

/// A report while it is taken in: what was read for it, and what came of it so far.
struct Hearing {
    /// As it was before: locked.
    hunt: HuntRow,
    dial: DialRow,
    callees: Vec<CalleeRow>,
    /// The country whose national form it writes numbers in.
    region: Region,
    /// The alarms that what was said in the call is about, when others had joined since.
    about: Option<Vec<AlarmId>>,
    /// The answer that was kept.
    answer: Option<AnswerRow>,
}

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
        let region = self.region_of(&mut tx, &dial).await?;
        let callees = tx.db().callees(hunt.id).await?;
        let in_hunt: Vec<_> = callees.iter().map(CalleeRow::standing).collect();
        let answers: Vec<_> = tx.db().answers_of(hunt.id).await?.iter().map(AnswerRow::standing).collect();
        let standing = Standing { hunt: hunt.standing(), callees: &in_hunt, answers: &answers };
        let rung = dial.standing(&tx.db().targets(&dial.mid).await?);
        let (reported, follows) = consequences::report(&standing, &rung, report, region, now);
        let handset = dial.handset_id;
        let mut hearing = Hearing { hunt, dial, callees, region, about: None, answer: None };
        for one in follows {
            self.follow_report(&mut tx, &mut hearing, one, now, &mut tally).await?;
        }
        if let Some(handset) = handset
            && tx.db().handset_reported(handset).await?
        {
            tx.announce(Announcement::Handsets);
        }
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        self.count(&tally);
        Ok(reported)
    }

    /// Does one thing that follows from a report.
    async fn follow_report(
        &self,
        tx: &mut Tx,
        hearing: &mut Hearing,
        one: OfReport,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let Hearing { hunt, dial, .. } = &*hearing;
        let mid = dial.mid.as_str();
        match one {
            OfReport::Close { outcome, resp } => {
                let line_free_at = match outcome {
                    DialOutcome::Answered => None,
                    _ => self.line_free_after_nobody(tx, dial, now).await?,
                };
                if !tx.db().close_reported_dial(mid, outcome, resp.as_deref(), now, line_free_at).await? {
                    // Whoever closes a dial locks its hunt first.
                    return Err(StoreError::Inconsistent(format!("the dial {} was closed in between", short_mid(mid))).into());
                }
                tally.dials.push(outcome);
            }
            OfReport::NamedLate { resp } => tx.db().late_answer(mid, &resp, now).await?,
            OfReport::NobodyLate => {
                let line_free_at = self.line_free_after_nobody(tx, dial, now).await?;
                tx.db().late_nobody(mid, now, line_free_at).await?;
            }
            OfReport::PartFromLateJoiners => {
                hearing.about = self.part_from_who_joined_after(tx, hunt, dial.offered_at, now, tally).await?;
            }
            OfReport::Became { callee, outcome } => tx.db().set_target_outcome(mid, callee, outcome).await?,
            OfReport::TellDeclined { callee, number } => {
                let event = Event::Declined {
                    mid: Some(mid.to_owned()),
                    via: None,
                    callee,
                    name: None,
                    number,
                    done_by: Some(handset_of(tx, dial).await?),
                    alarms: hearing.about.clone(),
                };
                tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
            }
            OfReport::GiveBack { callee, attempts, failed: true } => tx.db().give_back_failed(callee, attempts).await?,
            OfReport::GiveBack { callee, attempts, failed: false } => tx.db().give_back_attempts(callee, attempts).await?,
            OfReport::LineIsFree => tx.db().line_is_free(mid).await?,
            OfReport::HandsetWorks => {
                if let Some(handset) = dial.handset_id {
                    tx.db().handset_works(handset).await?;
                }
            }
            OfReport::HandsetFails => {
                if let Some(handset) = dial.handset_id {
                    let failures = tx.db().handset(handset).await?.map_or(0, |handset| handset.failures);
                    tx.db().handset_failed(handset, self.rest_until(failures, now)).await?;
                    tx.announce(Announcement::Handsets);
                    tracing::warn!(%handset, "no call leaves this handset: no credit or no signal? another one is preferred");
                }
            }
            OfReport::Record(recorded) => hearing.answer = Some(self.record(tx, hearing, recorded, now).await?),
            OfReport::Tell(event) => tx.db().insert_event(None, Some(hunt.id), now, &event).await?,
            OfReport::ReachLaterHunts { over_at } => {
                if let Some(answer) = &hearing.answer {
                    let heard_at = heard_at(tx, dial, answer).await?;
                    self.reach_later_hunts(tx, hunt.id, (over_at, heard_at), answer, now, tally).await?;
                }
            }
            OfReport::RingForLateJoiners { over_at } => {
                self.ring_for_those_who_joined_later(tx, hunt, over_at, now, tally).await?;
                if let Some(answer) = &hearing.answer {
                    let heard_at = heard_at(tx, dial, answer).await?;
                    self.ring_beyond_this_call(tx, hunt, answer, heard_at, now, tally).await?;
                }
            }
            OfReport::Then(one) => self.follow(tx, hunt, one, now, tally).await?,
        }
        Ok(())
    }

    /// Until when a phone may ring on that said *nobody*: the stock app says it also when a stranger's call comes in between.
    async fn line_free_after_nobody(
        &self,
        tx: &mut Tx,
        dial: &DialRow,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, EngineError> {
        let ring = ring_of(&mut tx.db(), dial.handset_id).await?;
        let line = Line { serves: self.serves_of(dial), report: Some(Proof::Nobody), ..dial.line(ring) };
        Ok(ringing::quiet(&line, now).numbers)
    }

    /// Keeps an answer, with the name of whoever gave it, and tells it.
    async fn record(
        &self,
        tx: &mut Tx,
        hearing: &Hearing,
        recorded: Recorded,
        now: DateTime<Utc>,
    ) -> Result<AnswerRow, EngineError> {
        let Recorded { callee, resp, knows_attempt, confirmed, declined, late } = recorded;
        let callee = hearing.callees.iter().find(|own| Some(own.id) == callee);
        let answer = self.answer_of(tx, &hearing.dial, callee, &resp, hearing.region, now).await?;
        let answer =
            AnswerRow { attempt: answer.attempt.filter(|_| knows_attempt), confirmed_at: confirmed.then_some(now), ..answer };
        tx.db().insert_answer(&answer).await?;
        if declined {
            tx.db().lapse_answer(answer.id, now).await?;
        }
        let (mid, name, number, attempt) = (hearing.dial.mid.clone(), answer.name.clone(), answer.number.clone(), answer.attempt);
        let event = if late {
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
        } else {
            Event::Answered { mid, name, number, resp, attempt, confirmed, declined }
        };
        tx.db().insert_event(None, Some(hearing.hunt.id), now, &event).await?;
        Ok(answer)
    }

    /// A late answer also counts for a hunt that was begun for the same alarms since: nobody else needs to be woken.
    async fn reach_later_hunts(
        &self,
        tx: &mut Tx,
        hunt: HuntId,
        (by, heard_at): (DateTime<Utc>, DateTime<Utc>),
        answer: &AnswerRow,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        for later in tx.db().later_hunts(hunt, by).await? {
            let later = tx.db().lock_hunt(later).await?;
            if later.until != Until::First || !matches!(later.outcome, None | Some(HuntOutcome::NoAnswer)) {
                continue;
            }
            // It is rung for what came in since they were called.
            if !self.left_by(tx, &later, heard_at).await?.is_empty() {
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
            if let Some(one) = consequences::reached(later.standing(), answer.confirmed_at.is_some()) {
                self.follow(tx, &later, one, now, tally).await?;
            }
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

/// Up to when whoever answered has heard what is in the alarms of the call.
async fn heard_at(tx: &mut Tx, dial: &DialRow, answer: &AnswerRow) -> Result<DateTime<Utc>, EngineError> {
    let targets = tx.db().targets(&dial.mid).await?;
    let theirs = targets.iter().find(|target| Some(target.callee_id) == answer.callee_id);
    let connected_at = theirs.and_then(|target| target.connected_at);
    Ok(coverage::heard_at(dial.offered_at, connected_at, answer.confirmed_at.is_some()))
}

/// The handset that made a call, as who really did what it reports.
async fn handset_of(tx: &mut Tx, dial: &DialRow) -> Result<Doer, EngineError> {
    let handset = match dial.handset_id {
        Some(id) => tx.db().handset(id).await?,
        None => None,
    };
    Ok(handset.map_or(Doer::Server, |handset| Doer::Handset { name: handset.name }))
}

/// The number that a handset meant: an unencoded `+` arrives as a blank.
fn as_written(resp: &str) -> String {
    match resp.strip_prefix(' ') {
        Some(digits) => format!("+{}", digits.trim()),
        None => resp.trim().to_owned(),
    }
}
