//! A handset reports: the dial is closed, the answer attributed to a person, and the hunt goes on or ends.
//!
//! A report is identified by its mid alone, and it is never too late: an *answered* that comes after the deadline, after a
//! cancellation or after the hunt ended without an answer still says who picked up, and is kept.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::call_records;
use super::serves::ring_of;
use crate::alarm::AnswerVia;
use crate::alarm::call_record::Reporting;
use crate::alarm::consequences::{self, OfReport, Recorded, Standing};
pub use crate::alarm::consequences::{Report, Reported};
use crate::alarm::coverage;
use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::ringing::{self, Line, Proof};
use crate::alarm::{AlarmKind, DialOutcome, HuntOutcome, KeyAction, Until};
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::{AlarmId, AnswerId, short_mid};
use crate::numbers::{Number, Region};
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::dials::DialRow;
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Haste, StoreError, Work};

/// A line that somebody else uses is left alone for so long.
const LINE_BUSY: TimeDelta = TimeDelta::seconds(15);

/// For so long after its first hand-out an alarm waits for a line that is away.
const LINE_AWAY: TimeDelta = TimeDelta::minutes(15);

/// A report while it is taken in: what was read for it, and what came of it so far.
pub(super) struct Hearing {
    /// As it was before: locked.
    pub(super) hunt: HuntRow,
    pub(super) dial: DialRow,
    pub(super) callees: Vec<CalleeRow>,
    /// The dial, for the rules.
    pub(super) rung: consequences::Dial,
    /// The hunt, for the rules.
    pub(super) standing: Stands,
    /// The country whose national form it writes numbers in.
    pub(super) region: Region,
    /// The alarms that what was said in the call is about, when others had joined since.
    about: Option<Vec<AlarmId>>,
    /// The answer that was kept.
    answer: Option<AnswerRow>,
}

/// The handset whose words come.
pub(super) struct Speaker {
    /// The country whose national form it writes numbers in.
    pub(super) region: Region,
    /// By whom they come.
    pub(super) by: Doer,
    /// It guesses when a line is connected.
    guesses: bool,
}

/// How things stand in a hunt.
pub(super) struct Stands {
    hunt: consequences::Hunt,
    callees: Vec<consequences::Callee>,
    pub(super) answers: Vec<consequences::Answer>,
}

impl Stands {
    pub(super) fn borrow(&self) -> Standing<'_> {
        Standing { hunt: self.hunt, callees: &self.callees, answers: &self.answers }
    }
}

/// What never left the handset was no hand-out, as long as nobody else is left to go on to: a line that is away for some minutes must not
/// end an alarm. After [`LINE_AWAY`] it counts all the same: a number that nobody can call must not keep a handset from other alarms for
/// long. What is for one handset alone proves that one, and a Barista client is told that its calls were in vain.
async fn give_hand_out_back(work: &mut Work, hunt: &HuntRow) -> Result<(), EngineError> {
    if hunt.only_handset_id.is_some() || work.db().is_barista_hunt(hunt.id).await? {
        return Ok(());
    }
    let further = match hunt.policy_id {
        Some(id) => work.db().policy(id).await?.is_some_and(|policy| policy.definition.after(hunt.place()).is_some()),
        None => false,
    };
    if !further && hunt.begun_at.is_none_or(|begun| work.now() < begun + LINE_AWAY) {
        work.db().give_hand_out_back(hunt.id).await?;
    }
    Ok(())
}

/// What only a report knows: whether a machine picked up, also where a key has told the answer before; and that somebody wants to be called
/// no more, where the key itself was never heard of.
async fn tell_the_rest(work: &mut Work, hearing: &Hearing, report: &Report) -> Result<(), EngineError> {
    let (hunt, mid, now) = (hearing.hunt.id, &hearing.dial.mid, work.now());
    for call in &report.calls {
        let place = call_records::place_of(&hearing.rung.rings, &call.number, hearing.region);
        let ring = place.and_then(|place| hearing.rung.rings.get(usize::try_from(place).ok()?));
        let Some(ring) = ring else { continue };
        if let Some(machine) = call.machine {
            work.db().machine_picked_up(hunt, mid, ring.callee, machine).await?;
        }
        let action = call.action.as_deref().and_then(KeyAction::parse);
        if call.declined && action == Some(KeyAction::StopCalling) {
            work.db().set_target_action(mid, ring.callee, KeyAction::StopCalling, now).await?;
        }
    }
    Ok(())
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
        let dial = self.store.read().await?.db().dial(&report.mid).await?;
        let Some(dial) = dial else {
            // It may be of a call that came in.
            return Ok(self.inbound_report(report).await?.unwrap_or(Reported::Unknown));
        };
        match self.kind_of(&dial).await? {
            Some(AlarmKind::Shout) => return self.shout_report(report, &dial).await,
            Some(AlarmKind::Call) => return self.rpc_report(report, &dial).await,
            Some(AlarmKind::Alarm | AlarmKind::Test) | None => {}
        }
        let Speaker { region, by, guesses } = self.speaker_of(&dial).await?;
        let mut work = self.work_together(now, by, Haste::Call).await?;
        let Some(mut hearing) = self.hearing(&mut work, &dial, region).await? else {
            return Ok(Reported::Unknown);
        };
        let Hearing { standing, rung, region, .. } = &hearing;
        let (reported, follows) = consequences::report(&standing.borrow(), rung, report, *region, now);
        let handset = dial.handset_id;
        let told = Reporting { report, region: *region, at: now, late: hearing.dial.closed_at.is_some(), guesses };
        call_records::hear_report(&mut work, &hearing.dial.mid, &rung.rings, told).await?;
        for one in follows {
            self.follow_report(&mut work, &mut hearing, one).await?;
        }
        tell_the_rest(&mut work, &hearing, report).await?;
        Self::name_recordings(&mut work, &hearing.dial, &hearing.rung, &hearing.callees, &report.calls).await?;
        if let Some(handset) = handset {
            let returned = work.db().channel_returned(handset, dial.channel).await?;
            if work.db().handset_reported(handset).await? || returned {
                work.announce(Announcement::Handsets);
            }
        }
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(reported)
    }

    /// What a dial is for; `None` where its hunt is gone.
    pub(super) async fn kind_of(&self, dial: &DialRow) -> Result<Option<AlarmKind>, EngineError> {
        Ok(self.store.read().await?.db().hunt(dial.hunt_id).await?.map(|hunt| hunt.kind))
    }

    /// Who speaks of a dial.
    pub(super) async fn speaker_of(&self, dial: &DialRow) -> Result<Speaker, EngineError> {
        let handset = match dial.handset_id {
            Some(id) => self.store.read().await?.db().handset(id).await?,
            None => None,
        };
        let region = handset.as_ref().and_then(|handset| handset.country.parse().ok()).unwrap_or(self.region());
        let guesses = handset.as_ref().is_some_and(HandsetRow::guesses);
        let by = handset.map_or(Doer::Server, |handset| Doer::Handset { name: handset.name });
        Ok(Speaker { region, by, guesses })
    }

    /// Locks the hunt of a dial, and reads how things stand in it; `None` when the dial is not there any more.
    pub(super) async fn hearing(&self, work: &mut Work, dial: &DialRow, region: Region) -> Result<Option<Hearing>, EngineError> {
        let hunt = work.db().lock_hunt(dial.hunt_id).await?;
        let Some(dial) = work.db().dial(&dial.mid).await? else { return Ok(None) };
        let callees = work.db().callees(hunt.id).await?;
        let rung = dial.standing(&work.db().targets(&dial.mid).await?);
        let mut standing = Stands {
            hunt: hunt.standing(),
            callees: callees.iter().map(CalleeRow::standing).collect(),
            answers: work.db().answers_of(hunt.id).await?.iter().map(AnswerRow::standing).collect(),
        };
        if rung.asks_key && !standing.hunt.wants_key {
            // Its sender is told who said yes and who said no, as far as that can be known.
            standing.hunt.wants_key = work.db().is_barista_hunt(hunt.id).await?;
        }
        Ok(Some(Hearing { hunt, dial, callees, rung, standing, region, about: None, answer: None }))
    }

    /// Does one thing that follows from a report, or from a key.
    pub(super) async fn follow_report(&self, work: &mut Work, hearing: &mut Hearing, one: OfReport) -> Result<(), EngineError> {
        let now = work.now();
        let Hearing { hunt, dial, .. } = &*hearing;
        let mid = dial.mid.as_str();
        match one {
            OfReport::Close { outcome, resp } => {
                let line_free_at = match outcome {
                    DialOutcome::Answered => None,
                    _ => self.line_free_after_nobody(work, dial).await?,
                };
                if !work.db().close_reported_dial(mid, outcome, resp.as_deref(), now, line_free_at).await? {
                    // Whoever closes a dial locks its hunt first.
                    return Err(StoreError::Inconsistent(format!("the dial {} was closed in between", short_mid(mid))).into());
                }
                work.tally.dials.push(outcome);
            }
            OfReport::NamedLate { resp } => work.db().late_answer(mid, &resp, now).await?,
            OfReport::NobodyLate => {
                let line_free_at = self.line_free_after_nobody(work, dial).await?;
                work.db().late_nobody(mid, now, line_free_at).await?;
            }
            OfReport::Said { callee, action } => work.db().set_target_action(mid, callee, action, now).await?,
            OfReport::TakenLate { resp } => work.db().taken_late(mid, &resp).await?,
            OfReport::Confirm { answer } => {
                work.db().confirm_answer(answer, true, now).await?;
                let given = work.db().answers_of(hunt.id).await?.into_iter().find(|own| own.id == answer);
                if let Some(answer) = given {
                    let done_by = Some(work.by().clone());
                    let (name, number, via) = (answer.name, answer.number, Some(answer.via));
                    let (alarms, rings_again_at) = (hearing.about.clone(), None);
                    let event = Event::Acknowledged { name, number, note: None, via, done_by, rings_again_at, alarms };
                    work.db().insert_event(None, Some(hunt.id), now, &event).await?;
                }
            }
            OfReport::PartFromLateJoiners => {
                hearing.about = self.part_from_who_joined_after(work, hunt, dial.offered_at).await?;
            }
            OfReport::Became { callee, outcome } => work.db().set_target_outcome(mid, callee, outcome).await?,
            OfReport::TellDeclined { callee, number } => {
                let event = Event::Declined {
                    mid: Some(mid.to_owned()),
                    via: None,
                    callee,
                    name: None,
                    number,
                    done_by: Some(work.by().clone()),
                    alarms: hearing.about.clone(),
                };
                work.db().insert_event(None, Some(hunt.id), now, &event).await?;
            }
            OfReport::GiveBack { callee, attempts, failed: true } => work.db().give_back_failed(callee, attempts).await?,
            OfReport::GiveBack { callee, attempts, failed: false } => work.db().give_back_attempts(callee, attempts).await?,
            OfReport::LineIsFree => work.db().line_is_free(mid).await?,
            OfReport::HandsetWorks => {
                if let Some(handset) = dial.handset_id {
                    work.db().handset_works(handset, dial.offered_at).await?;
                    work.db().channel_works(handset, dial.channel, dial.offered_at).await?;
                }
            }
            OfReport::HandsetFails => {
                if let Some(handset) = dial.handset_id {
                    let failures = work.db().handset(handset).await?.map_or(0, |handset| handset.failures);
                    work.db().handset_failed(handset, Self::rest_until(failures, now), now).await?;
                    work.announce(Announcement::Handsets);
                    tracing::warn!(%handset, "the account or the trunk of this handset takes no calls: another one is preferred");
                }
                give_hand_out_back(work, hunt).await?;
            }
            OfReport::ChannelFails => {
                if let Some(handset) = dial.handset_id {
                    let failures = work.db().channel_failures(handset, dial.channel).await?;
                    work.db().channel_failed(handset, dial.channel, Self::rest_until(failures, now), now).await?;
                    work.announce(Announcement::Handsets);
                    let channel = dial.channel;
                    tracing::warn!(%handset, channel, "no call leaves this handset: no credit or no signal? another one is preferred");
                }
                give_hand_out_back(work, hunt).await?;
            }
            OfReport::LineBusy => {
                // A line that is busy for ever must not keep a hunt open for ever.
                if now < hunt.created_at + seconds(hunt.begin_window_s) {
                    work.db().give_hand_out_back(hunt.id).await?;
                }
                if let Some(handset) = dial.handset_id {
                    work.db().rest_channel(handset, dial.channel, now + LINE_BUSY).await?;
                }
            }
            OfReport::Record(recorded) => hearing.answer = Some(self.record(work, hearing, recorded).await?),
            OfReport::Tell(event) => work.db().insert_event(None, Some(hunt.id), now, &event).await?,
            OfReport::ReachLaterHunts { over_at } => {
                if let Some(answer) = &hearing.answer {
                    self.reach_later_hunts(work, dial, over_at, answer).await?;
                }
            }
            OfReport::RingForLateJoiners { over_at } => {
                self.ring_for_those_who_joined_later(work, hunt, over_at).await?;
                if let Some(answer) = &hearing.answer {
                    let heard_at = heard_at(work, dial, answer).await?;
                    self.ring_beyond_this_call(work, hunt, answer, heard_at).await?;
                }
            }
            OfReport::Then(one) => self.follow(work, hunt, one).await?,
        }
        Ok(())
    }

    /// Until when a phone may ring on that said *nobody*: the stock app says it also when a stranger's call comes in between.
    async fn line_free_after_nobody(&self, work: &mut Work, dial: &DialRow) -> Result<Option<DateTime<Utc>>, EngineError> {
        let now = work.now();
        let ring = ring_of(&mut work.db(), dial.handset_id).await?;
        let line = Line { serves: self.serves_of(dial), report: Some(Proof::Nobody), ..dial.line(ring) };
        Ok(ringing::quiet(&line, now).numbers)
    }

    /// Keeps an answer, with the name of whoever gave it, and tells it.
    async fn record(&self, work: &mut Work, hearing: &Hearing, recorded: Recorded) -> Result<AnswerRow, EngineError> {
        let now = work.now();
        let Recorded { callee, resp, knows_attempt, confirmed, declined, lapses, late, machine } = recorded;
        let callee = hearing.callees.iter().find(|own| Some(own.id) == callee);
        let answer = self.answer_of(work, &hearing.dial, callee, &resp, hearing.region).await?;
        let answer = AnswerRow {
            attempt: answer.attempt.filter(|_| knows_attempt),
            confirmed_at: confirmed.then_some(now),
            by_key: Some(confirmed),
            machine,
            ..answer
        };
        work.db().insert_answer(&answer).await?;
        if declined || lapses {
            work.db().lapse_answer(answer.id, now).await?;
        }
        let (mid, name, number, attempt) = (hearing.dial.mid.clone(), answer.name.clone(), answer.number.clone(), answer.attempt);
        let without_key = lapses.then_some(true);
        let event = if late {
            Event::LateAnswer {
                mid: Some(mid),
                name,
                number,
                resp: Some(resp),
                attempt: Some(attempt),
                confirmed: Some(confirmed),
                declined: Some(declined),
                without_key,
                machine,
                of_earlier_hunt: None,
            }
        } else {
            Event::Answered { mid, name, number, resp, attempt, confirmed, declined, without_key, machine }
        };
        work.db().insert_event(None, Some(hearing.hunt.id), now, &event).await?;
        Ok(answer)
    }

    /// A late answer also counts for a hunt that was begun for the same alarms since: nobody else needs to be woken. Where it was given back
    /// since, somebody has to be.
    async fn reach_later_hunts(
        &self,
        work: &mut Work,
        dial: &DialRow,
        by: DateTime<Utc>,
        answer: &AnswerRow,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let hunt = dial.hunt_id;
        let heard_at = heard_at(work, dial, answer).await?;
        let key_at = key_at(work, dial, answer).await?;
        for later in work.db().later_hunts(hunt, by).await? {
            let later = work.db().lock_hunt(later).await?;
            if later.until != Until::First || !matches!(later.outcome, None | Some(HuntOutcome::NoAnswer)) {
                continue;
            }
            // It is rung for what came in since they were called.
            if !self.left_by(work, &later, heard_at).await?.is_empty() {
                continue;
            }
            if !coverage::outlives(work.db().given_back_at(later.id).await?, dial.offered_at, key_at) {
                continue;
            }
            // They may have said no to it since.
            let said_no = |callee: &CalleeRow| callee.said_no() && answer.is_from(&callee.number);
            if answer.confirmed_at.is_none() && work.db().callees(later.id).await?.iter().any(said_no) {
                continue;
            }
            // The callee belongs to the earlier hunt, so here the answer stands by person and number.
            let answer = AnswerRow { id: AnswerId::new(now), hunt_id: later.id, callee_id: None, ..answer.clone() };
            work.db().insert_answer(&answer).await?;
            let event = Event::LateAnswer {
                mid: answer.mid.clone(),
                name: answer.name.clone(),
                number: answer.number.clone(),
                resp: None,
                attempt: None,
                confirmed: None,
                declined: None,
                without_key: None,
                machine: None,
                of_earlier_hunt: Some(hunt),
            };
            work.db().insert_event(None, Some(later.id), now, &event).await?;
            if let Some(one) = consequences::reached(later.standing(), answer.confirmed_at.is_some()) {
                self.follow(work, &later, one).await?;
            }
        }
        Ok(())
    }

    /// Somebody answered; alarms that joined the hunt after that call was over were not what it was about.
    async fn ring_for_those_who_joined_later(
        &self,
        work: &mut Work,
        before: &HuntRow,
        over_at: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let hunt = work.db().lock_hunt(before.id).await?;
        let has_just_ended = hunt.outcome == Some(HuntOutcome::Answered) && before.outcome != Some(HuntOutcome::Answered);
        // One that wants everybody goes on, but does not ring again whoever has answered.
        let counts_it = hunt.outcome.is_none() && hunt.until == Until::Everyone;
        if !has_just_ended && !counts_it {
            return Ok(());
        }
        let late = work.db().alarms_joined_after(hunt.id, over_at).await?;
        if late.is_empty() {
            return Ok(());
        }
        self.ring_afresh(work, &late, &hunt, RingsAgain::JoinedLater).await?;
        self.stop_unless_wanted(work, &hunt, HuntOutcome::Cancelled).await
    }

    /// Who that is, by name: the person's name now, else the name the callee was given, else whoever has the number, else the
    /// bare number.
    async fn answer_of(
        &self,
        work: &mut Work,
        dial: &DialRow,
        callee: Option<&CalleeRow>,
        resp: &str,
        region: Region,
    ) -> Result<AnswerRow, EngineError> {
        let now = work.now();
        let number = callee.map(|callee| callee.number.clone()).or_else(|| {
            let parsed = Number::parse(&as_written(resp), region).ok()?;
            Some(parsed.number.as_str().to_owned())
        });
        let mut person = match callee.and_then(|callee| callee.person_id) {
            Some(id) => work.db().person(id).await?,
            None => None,
        };
        let given = callee.and_then(|callee| callee.name.clone());
        if let (None, None, Some(number)) = (&person, &given, &number) {
            person = work.db().person_with_number(number).await?;
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
            machine: None,
            by_key: None,
        })
    }
}

/// Up to when whoever answered has heard what is in the alarms of the call.
async fn heard_at(work: &mut Work, dial: &DialRow, answer: &AnswerRow) -> Result<DateTime<Utc>, EngineError> {
    let targets = work.db().targets(&dial.mid).await?;
    let theirs = targets.iter().find(|target| Some(target.callee_id) == answer.callee_id);
    let connected_at = theirs.and_then(|target| target.connected_at);
    Ok(coverage::heard_at(dial.offered_at, connected_at, answer.confirmed_at.is_some()))
}

/// From when on a key was pressed at the earliest by which somebody took it: as it was heard of in the call, or since the line was connected.
async fn key_at(work: &mut Work, dial: &DialRow, answer: &AnswerRow) -> Result<Option<DateTime<Utc>>, EngineError> {
    if answer.confirmed_at.is_none() {
        return Ok(None);
    }
    let targets = work.db().targets(&dial.mid).await?;
    let theirs = targets.into_iter().find(|target| Some(target.callee_id) == answer.callee_id);
    Ok(theirs.and_then(|target| match target.action {
        Some(KeyAction::Accept) => target.acted_at,
        _ => target.connected_at,
    }))
}

/// The number that a handset meant: an unencoded `+` arrives as a blank.
fn as_written(resp: &str) -> String {
    match resp.strip_prefix(' ') {
        Some(digits) => format!("+{}", digits.trim()),
        None => resp.trim().to_owned(),
    }
}
