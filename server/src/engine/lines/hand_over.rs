//! Hand-overs: each change of duty puts exactly one command into the outbox, and a test call may prove that it worked.
//!
//! That it is exactly one, with any number of nodes, rests on `hand_overs (line_id, seq)` and `sms_outbox (hand_over_id)`, which are
//! unique. A later hand-over calls off what an earlier one has not sent yet.

use android_protocol::wire::{CommandKind, OutboxResult};
use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::event::Event;
use crate::alarm::{AlarmState, EndReason, Priority};
use crate::engine::watch::handsets::REST_FOR_CODE;
use crate::engine::{Doer, Engine, EngineError, NewCallee, RaiseRequest};
use crate::ids::{CommandId, HandOverId, HandsetId, SmsId};
use crate::keep::lines::numbers;
use crate::keep::refused::Refused;
use crate::line::command::ComposeError;
use crate::line::network::{self, Network};
use crate::numbers::Number;
use crate::roster::{Roster, Target};
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::AnswerRow;
use crate::store::lines::numbers::{HandOverRow, HandOverWhy, LineRow, NetworkSays, NewHandOver};
use crate::store::lines::sms::{Purpose, SmsRow};
use crate::store::{Announcement, Db, Work};

/// The source of calls that prove a hand-over, and their door.
pub const VERIFICATION: &str = "public number";
/// Nobody is called to prove an old hand-over, such as one whose test call was forgotten by retention.
const VERIFY_BEFORE: TimeDelta = TimeDelta::hours(12);
/// A network needs so long to forward calls after the command was sent.
const VERIFY_AFTER: TimeDelta = TimeDelta::seconds(60);
/// A hand-over whose command has not been sent for so long is told of.
const TELL_AFTER: TimeDelta = TimeDelta::minutes(5);
/// A verification that its handset does not take by then is over.
const VERIFY_WINDOW_SECONDS: i32 = 300;
/// Asks where all calls are forwarded to: 3GPP TS 22.030, which modems turn into `AT+CCFC`.
const QUESTION: &str = "*#21#";
/// So many characters are kept of what a handset says that its network said.
const LONGEST_WORD: usize = 64;
/// The clocks of two nodes differ by so much at most, or one of them is plainly wrong.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(10);

/// A person, and the number at which they are on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDuty {
    /// Their name.
    pub name: String,
    /// The number in its comparable form.
    pub number: String,
}

/// How it is known where a public number leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// No command could be made.
    Refused,
    /// The command waits to be sent.
    Waiting,
    /// The command was given up.
    GivenUp,
    /// The gateway sent the command; nothing more is known.
    Sent,
    /// The command reached the phone; nothing more is known.
    Delivered,
    /// The test call to the public number is under way.
    Verifying,
    /// Somebody picked up when the public number was rung.
    Answered,
    /// The person on duty confirmed when the public number was rung.
    Confirmed,
    /// Nobody picked up when the public number was rung.
    Unanswered,
    /// The network says that it forwards to this number.
    ByNetwork,
    /// The network says that it does not.
    Elsewhere,
}

/// What the call to the public number has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestCall {
    /// Nothing: it was never rung.
    Nothing,
    /// Nothing yet.
    UnderWay,
    /// Somebody picked up, perhaps a mailbox.
    PickedUp,
    /// Whoever picked up has confirmed.
    Confirmed,
    /// Nobody picked up.
    Unanswered,
}

/// What the test call of a hand-over has shown. Only a call that somebody picked up proves anything: a colleague who acknowledges the
/// alarm to tidy up does not.
#[must_use]
pub fn test_call(alarm: &AlarmRow, answers: &[AnswerRow]) -> TestCall {
    let picked_up = answers.iter().any(|answer| answer.mid.is_some());
    let confirmed = answers.iter().any(|answer| answer.callee_id.is_some() && answer.confirmed_at.is_some());
    match (alarm.state(), alarm.end_reason) {
        _ if picked_up && confirmed => TestCall::Confirmed,
        _ if picked_up => TestCall::PickedUp,
        (AlarmState::NoAnswer, Some(EndReason::NoHandset | EndReason::NoReport)) => TestCall::Nothing,
        (AlarmState::NoAnswer, _) => TestCall::Unanswered,
        (AlarmState::Waiting | AlarmState::Ringing, _) => TestCall::UnderWay,
        _ => TestCall::Nothing,
    }
}

/// How it is known what became of a hand-over, from its command and, if there is one, the test call.
#[must_use]
pub fn known(hand_over: &HandOverRow, test_call: Option<TestCall>) -> Known {
    if hand_over.refused.is_some() {
        return Known::Refused;
    }
    match (hand_over.sent_at, hand_over.gave_up_at) {
        (None, Some(_)) => Known::GivenUp,
        (None, None) => Known::Waiting,
        (Some(_), _) => match (test_call, hand_over.network()) {
            // Whatever was proved before: it is asked again and again.
            (_, Some(Network::Elsewhere | Network::Off)) => Known::Elsewhere,
            (Some(TestCall::Confirmed), _) => Known::Confirmed,
            (Some(TestCall::PickedUp), _) => Known::Answered,
            (Some(TestCall::Unanswered), _) => Known::Unanswered,
            (Some(TestCall::UnderWay), _) => Known::Verifying,
            (Some(TestCall::Nothing) | None, Some(Network::There)) => Known::ByNetwork,
            (Some(TestCall::Nothing) | None, None) if hand_over.delivered_at.is_some() => Known::Delivered,
            (Some(TestCall::Nothing) | None, None) => Known::Sent,
        },
    }
}

/// When a node looks at duty: no earlier than the node that handed the line over last, whose clock may be ahead of this one's. It would
/// hand the number back otherwise, for a moment, with one command more than there are changes of duty.
fn not_before(handed_over: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
    handed_over.filter(|at| (now..=now + CLOCKS_DIFFER).contains(at)).unwrap_or(now)
}

/// Who is on duty for a public number at an instant: the one place that knows where duty is kept.
pub(in crate::engine) fn on_duty(line: &LineRow, roster: &Roster, at: DateTime<Utc>) -> Option<OnDuty> {
    if let Some(number) = line.bound_number.clone() {
        return Some(OnDuty { name: line.bound_name.clone().unwrap_or_else(|| number.clone()), number });
    }
    let team = roster.find_team(&line.team).map(|team| Target::Team(team.id));
    let target = team.or_else(|| roster.find_schedule(&line.team).map(|schedule| Target::Schedule(schedule.id)))?;
    // The first of them who can be reached: a number is forwarded to one.
    roster.on_duty(target, at).iter().find_map(|on| {
        let person = roster.people.get(&on.person)?;
        Some(OnDuty { name: person.name.clone(), number: person.numbers.first()?.clone() })
    })
}

impl LineRow {
    /// Whether it follows whom it followed, and is where it was.
    fn follows_as(&self, seen: &Self) -> bool {
        let follows = |line: &Self| (line.team.clone(), line.bound_number.clone(), line.duty_number.clone());
        follows(self) == follows(seen)
    }
}

impl Engine {
    /// Hands a line over: one row, and one command for it, in the caller's transaction. `None` when another hand-over of the line came
    /// first. A command that cannot be composed is written down with its reason, and people are told.
    pub(in crate::engine) async fn hand_over(
        &self,
        work: &mut Work,
        line: &LineRow,
        target: &OnDuty,
        why: HandOverWhy,
    ) -> Result<Option<HandOverId>, EngineError> {
        let now = work.now();
        let to = Number::from_stored(target.number.as_str());
        let composed = match numbers::compose(&mut work.db(), &self.config, line, &to).await {
            Ok(preview) => Ok(preview),
            Err(Refused::Command(error)) => Err(error),
            Err(Refused::Store(error)) => return Err(error.into()),
            // Composing looks at nothing else of what an operator says.
            Err(_) => return Err(EngineError::Contended),
        };
        let new = NewHandOver {
            id: HandOverId::new(now),
            line_id: line.id,
            seq: line.latest_seq + 1,
            at: now,
            person: target.name.clone(),
            number: target.number.clone(),
            why,
            refused: composed.as_ref().err().map(ToString::to_string),
        };
        if !work.db().insert_hand_over(&new).await? {
            return Ok(None);
        }
        // Whatever an earlier hand-over has not sent yet would now forward to the wrong person.
        work.db().supersede_sms(line.id, new.seq, now).await?;
        match composed {
            Ok(preview) => {
                let sms = SmsRow {
                    id: SmsId::new(now),
                    gateway_id: line.gateway_id,
                    hand_over_id: Some(new.id),
                    number: line.sms_number.clone(),
                    code: preview.message.is_none().then(|| preview.code.clone()),
                    text: preview.message.map(|message| message.text).unwrap_or_default(),
                    created_at: now,
                    due_at: now,
                    attempts: 0,
                    failures: 0,
                    sentence: None,
                    purpose: Purpose::Command,
                    expires_at: None,
                };
                work.db().insert_sms(&sms).await?;
            }
            Err(why) => trouble(&mut work.db(), line, new.id, &target.name, &Trouble::Refused(why), now).await?,
        }
        tracing::info!(line.name = %line.name, seq = new.seq, refused = new.refused.as_deref(), "the public number is handed over");
        Ok(Some(new.id))
    }

    /// Hands over every line whose person on duty has changed, and proves what was handed over. Safe to call on every node at once.
    ///
    /// # Errors
    /// When the database fails; the next tick does what this one did not.
    pub async fn follow_duty(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut reader = self.store.read().await?;
        let lines = reader.db().lines().await?;
        if lines.is_empty() {
            return Ok(());
        }
        let latest = reader.db().latest_hand_overs().await?;
        let roster = reader.db().roster_from(now - TimeDelta::days(1)).await?;
        let mut changed = Vec::new();
        for line in &lines {
            let handed_over = latest.iter().find(|hand_over| hand_over.line_id == line.id).map(|hand_over| hand_over.at);
            // Nobody on duty: the number stays where it is, since some phone must ring.
            if let Some(duty) = on_duty(line, &roster, not_before(handed_over, now))
                .filter(|duty| line.duty_number.as_ref() != Some(&duty.number))
            {
                changed.push((line, duty));
            }
        }
        drop(reader);
        // What fails for one line must not keep the others from being handed over.
        let failed =
            |error, line: &LineRow| tracing::error!(%error, line.name = %line.name, "a public number failed; trying again");
        for (line, duty) in changed {
            if let Err(error) = self.change_duty(line, &duty, now).await {
                failed(error, line);
            }
        }
        let latest = self.store.read().await?.db().latest_hand_overs().await?;
        for hand_over in latest {
            if let Some(line) = lines.iter().find(|line| line.id == hand_over.line_id)
                && let Err(error) = self.watch_hand_over(line, &hand_over, now).await
            {
                failed(error, line);
            }
        }
        Ok(())
    }

    async fn change_duty(&self, seen: &LineRow, duty: &OnDuty, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut work = self.work_at(now, Doer::Server).await?;
        // As it is now: since it was looked at, somebody may have changed it, or another node handed it over.
        let Some(line) = work.db().lock_line(seen.id).await?.filter(|line| line.follows_as(seen)) else { return Ok(()) };
        if work.db().duty_changed(&line, &duty.number).await?
            && self.hand_over(&mut work, &line, duty, HandOverWhy::Duty).await?.is_some()
        {
            work.announce(Announcement::Handsets);
            work.commit().await?;
        }
        Ok(())
    }

    /// Takes in the first result that a native handset gives of a command, also what its network says of a public number; false when it had
    /// given one. Of a hand-over that was followed by a later one nothing more is said.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn command_done(
        &self,
        work: &mut Work,
        id: CommandId,
        handset: HandsetId,
        result: &OutboxResult,
    ) -> Result<bool, EngineError> {
        let now = work.now();
        let said = serde_json::to_value(result).unwrap_or_default();
        let of_network = result.network.is_some() || result.error.is_some();
        let hand_over = if of_network { work.db().hand_over_of_command(id).await? } else { None };
        if let Some(hand_over) = &hand_over {
            work.db().lock_hand_over(hand_over.id).await?;
        }
        if !work.db().command_done(id, handset, &said, now).await? {
            return Ok(false);
        }
        if of_network && let Some(handed_at) = work.db().command_handed_at(id).await? {
            // A modem has done it by now, and may ring people again.
            work.db().end_rest(handset, handed_at + REST_FOR_CODE).await?;
            work.announce(Announcement::Handsets);
        }
        if let Some(hand_over) = hand_over {
            self.network_says(work, &hand_over, id, result).await?;
        }
        Ok(true)
    }

    async fn network_says(
        &self,
        work: &mut Work,
        hand_over: &HandOverRow,
        command: CommandId,
        result: &OutboxResult,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let network = result.network.as_ref();
        let kept = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST_WORD).collect::<String>();
        let number = network.and_then(|network| network.number.as_deref()).map(kept).filter(|number| !number.is_empty());
        let (number, error) = (number.as_deref(), result.error.as_deref().map(kept));
        let says = NetworkSays { active: network.map(|network| network.active), number, error: error.as_deref() };
        let ask_again = if network.is_some() { network::ASK_AGAIN_AFTER } else { network::ASK_SOON_AFTER };
        work.db().network_says(hand_over.id, command, says, now, now + ask_again).await?;
        // What a command to set it did not reach is tried again, and told of when that goes on.
        let Some(line) = work.db().line(hand_over.line_id).await?.filter(|line| line.latest_seq == hand_over.seq) else {
            return Ok(());
        };
        match says.active.map(|active| Network::of(active, number, &hand_over.number)) {
            Some(Network::There) => work.db().network_good(hand_over.id).await?,
            Some(Network::Elsewhere | Network::Off) if hand_over.question_id == Some(command) => {
                if work.db().network_trouble(hand_over.id, now).await? {
                    tell_trouble(&mut work.db(), &line, &hand_over.person, &Trouble::Elsewhere, now).await?;
                }
            }
            Some(Network::Elsewhere | Network::Off) | None => {}
        }
        Ok(())
    }

    /// Asks the network of a line's own handset where it forwards to.
    async fn ask_network(&self, handset: HandsetId, hand_over: &HandOverRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut work = self.work_at(now, Doer::Server).await?;
        let question = CommandId::new(now);
        if !work.db().ask_network(hand_over, question, now + network::ASK_AGAIN_AFTER).await? {
            return Ok(());
        }
        if let Some(earlier) = hand_over.question_id {
            // The handset was away: one question is enough.
            let unasked = serde_json::json!({ "ok": false, "detail": "asked anew" });
            work.db().command_done(earlier, handset, &unasked, now).await?;
        }
        work.db().insert_command(question, handset, &CommandKind::Forward { code: QUESTION.to_owned() }, now).await?;
        work.announce(Announcement::Handsets);
        Ok(work.commit().await?)
    }

    /// Tells people when the command of a hand-over does not get through, and proves what was sent.
    async fn watch_hand_over(&self, line: &LineRow, hand_over: &HandOverRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        if let Some(handset) = line.handset_id
            && hand_over.sent_at.is_some()
            && hand_over.ask_at.is_some_and(|at| at <= now)
        {
            self.ask_network(handset, hand_over, now).await?;
        }
        let why = match (hand_over.sent_at, hand_over.verify_alarm_id, line.verify_handset_id) {
            (None, ..) => {
                let late = now - hand_over.said_at.unwrap_or(hand_over.at) >= TELL_AFTER;
                late.then(|| hand_over.last_result.clone().map_or(Trouble::NotTaken, Trouble::NotSent))
            }
            (Some(sent_at), None, Some(handset)) if sent_at + VERIFY_AFTER <= now && now < sent_at + VERIFY_BEFORE => {
                let raised = self.raise(&verification(line, hand_over, handset)).await?;
                let mut tx = self.store.begin().await?;
                tx.db().set_verify_alarm(hand_over.id, raised.alarm.id).await?;
                tx.commit().await?;
                None
            }
            (Some(_), Some(alarm), _) if hand_over.trouble_at.is_none() => {
                let alarm = self.store.read().await?.db().alarm(alarm).await?;
                alarm.filter(|alarm| alarm.state() == AlarmState::NoAnswer).map(|alarm| match alarm.end_reason {
                    Some(EndReason::NoHandset | EndReason::NoReport) => Trouble::VerifierSilent,
                    _ => Trouble::Unanswered,
                })
            }
            (Some(_), ..) => None,
        };
        if let Some(why) = why.filter(|_| hand_over.trouble_at.is_none()) {
            let mut tx = self.store.begin().await?;
            trouble(&mut tx.db(), line, hand_over.id, &hand_over.person, &why, now).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Why a hand-over does not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No command can be made.
    #[error(transparent)]
    Refused(ComposeError),
    /// The command waits for a handset that does not ask for it.
    #[error("nobody has taken the command")]
    NotTaken,
    /// The last try failed, for this reason.
    #[error("{0}")]
    NotSent(String),
    /// The network forwards to another number, or to none.
    #[error("the network says that it does not forward to this number any more")]
    Elsewhere,
    /// The number was rung, in vain.
    #[error("nobody picked up when the public number was rung")]
    Unanswered,
    /// The number was not rung.
    #[error("it was sent, but the handset that verifies did not ask for the test call")]
    VerifierSilent,
}

impl Trouble {
    /// One word, by which a notice finds its sentence.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.word(),
            Self::NotTaken => "not_taken",
            Self::NotSent(_) => "not_sent",
            Self::Elsewhere => "elsewhere",
            Self::Unanswered => "unanswered",
            Self::VerifierSilent => "verifier_silent",
        }
    }

    /// What somebody else has said of it, in their words.
    fn detail(&self) -> Option<&str> {
        match self {
            Self::NotSent(detail) => Some(detail),
            _ => None,
        }
    }
}

/// Tells people, once, that a hand-over does not get through.
///
/// # Errors
/// When the database fails.
pub async fn trouble(
    db: &mut Db<'_>,
    line: &LineRow,
    hand_over: HandOverId,
    person: &str,
    why: &Trouble,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    if db.hand_over_trouble(hand_over, now).await? {
        tell_trouble(db, line, person, why, now).await?;
    }
    Ok(())
}

async fn tell_trouble(
    db: &mut Db<'_>,
    line: &LineRow,
    person: &str,
    why: &Trouble,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    tracing::error!(line.name = %line.name, "the public number could not be handed over; the page Lines says why");
    let event = Event::HandOverTrouble {
        line: line.name.clone(),
        person: person.to_owned(),
        reason: why.word().to_owned(),
        detail: why.detail().map(str::to_owned),
        why: why.to_string(),
    };
    Ok(db.insert_event(None, None, now, &event).await?)
}

/// The call to the public number that proves a hand-over: whoever picks up is the person on duty, or it did not work.
fn verification(line: &LineRow, hand_over: &HandOverRow, handset: HandsetId) -> RaiseRequest {
    RaiseRequest {
        integration_id: VERIFICATION.to_owned(),
        source: VERIFICATION.to_owned(),
        summary: format!("Test: {} is forwarded to {}", line.name, hand_over.person),
        labels: [("line".to_owned(), line.name.clone())].into(),
        priority: Priority::Normal,
        begin_window_s: VERIFY_WINDOW_SECONDS,
        callees: vec![NewCallee {
            number: line.number.clone(),
            known_to_plan: true,
            name: Some(hand_over.person.clone()),
            reference: None,
            max_attempts: 1,
            min_interval_s: 0,
        }],
        only_handset: Some(handset),
        // Raised once, also when a node dies before it could note that.
        idempotency: Some((format!("{}:{}", hand_over.id, hand_over.failures.unwrap_or(0)), Vec::new())),
        ..RaiseRequest::default()
    }
}
