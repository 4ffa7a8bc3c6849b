//! Public numbers: each change of duty puts exactly one command into the outbox, and a test call may prove that it worked.
//!
//! That it is exactly one, with any number of nodes, rests on `hand_overs (line_id, seq)` and `sms_outbox (hand_over_id)`, which are
//! unique. A later hand-over calls off what an earlier one has not sent yet.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::gateways::{gateway_named, handset_named};
use super::refused::{self, Refused};
use super::{Engine, EngineError, NewCallee, RaiseRequest};
use crate::alarm::{AlarmState, EndReason, Priority};
use crate::ids::{HandOverId, HandsetId, LineId, SmsId};
use crate::numbers::Number;
use crate::public_line::{self, AppBuild, ComposeError, Message};
use crate::roster::{Roster, Target};
use crate::store::alarms::AlarmRow;
use crate::store::answers::AnswerRow;
use crate::store::events::EventKind;
use crate::store::lines::{HandOverRow, HandOverWhy, LineRow, NewHandOver};
use crate::store::sms::{GatewayRow, GatewaySettings, SmsRow};
use crate::store::{Announcement, Db, Tx};

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
/// The clocks of two nodes differ by so much at most, or one of them is plainly wrong.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(10);
const ANDROID: std::ops::RangeInclusive<i32> = 4..=99;

/// What an operator says of a public number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLine {
    /// What people call it.
    pub name: String,
    /// The team whose person on duty it follows.
    pub team: String,
    /// What people outside dial.
    pub number: String,
    /// Where its handset gets messages; the number itself unless given.
    pub sms_number: Option<String>,
    /// Whose forwarding codes it takes.
    pub carrier: String,
    /// The Android version of its handset.
    pub android: i32,
    /// The build of the app on it.
    pub app_build: AppBuild,
    /// What the message says beside the command.
    pub text: String,
    /// The name of the gateway that reaches it.
    pub gateway: String,
    /// The name of its handset, when that also rings people for us.
    pub handset: Option<String>,
    /// The name of the handset that proves hand-overs.
    pub verify_handset: Option<String>,
}

/// A person, and the number at which they are on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDuty {
    /// Their name.
    pub name: String,
    /// The number in its comparable form.
    pub number: String,
}

/// What would be said for a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What the handset dials.
    pub code: String,
    /// The text message; `None` where the handset dials the code itself.
    pub message: Option<Message>,
    /// What has not been checked on this network, and what else matters.
    pub notes: Vec<&'static str>,
}

/// What would be said for a line that is being written, and to whom it would lead now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What would be said.
    pub preview: Preview,
    /// Who is on duty for it; `None`: nobody, and the preview is for the number itself.
    pub duty: Option<OnDuty>,
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
        (AlarmState::NoAnswer, Some(EndReason::NoHandset)) => TestCall::Nothing,
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
        (Some(_), _) => match test_call {
            Some(TestCall::Confirmed) => Known::Confirmed,
            Some(TestCall::PickedUp) => Known::Answered,
            Some(TestCall::Unanswered) => Known::Unanswered,
            Some(TestCall::UnderWay) => Known::Verifying,
            Some(TestCall::Nothing) | None if hand_over.delivered_at.is_some() => Known::Delivered,
            Some(TestCall::Nothing) | None => Known::Sent,
        },
    }
}

/// A public number with what is known of it.
#[derive(Clone, Debug)]
pub struct LineStatus {
    /// The line.
    pub line: LineRow,
    /// The same as an operator says it: gateway and handsets by name.
    pub said: NewLine,
    /// Its latest hand-over, and how it is known what became of it.
    pub latest: Option<(HandOverRow, Known)>,
    /// The one before it, where the number leads as long as the latest was not sent.
    pub still: Option<HandOverRow>,
}

/// When a node looks at duty: no earlier than the node that handed the line over last, whose clock may be ahead of this one's. It would
/// hand the number back otherwise, for a moment, with one command more than there are changes of duty.
fn not_before(handed_over: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
    handed_over.filter(|at| (now..=now + CLOCKS_DIFFER).contains(at)).unwrap_or(now)
}

/// Who is on duty for a public number at an instant: the one place that knows where duty is kept.
fn on_duty(line: &LineRow, roster: &Roster, at: DateTime<Utc>) -> Option<OnDuty> {
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

/// What gateways and handsets are called.
struct Names {
    gateways: Vec<GatewayRow>,
    handsets: HashMap<HandsetId, String>,
}

impl Names {
    fn said(&self, line: &LineRow) -> NewLine {
        let gateway = self.gateways.iter().find(|gateway| gateway.id == line.gateway_id);
        let handset = |id: Option<HandsetId>| id.and_then(|id| self.handsets.get(&id).cloned());
        NewLine {
            name: line.name.clone(),
            team: line.team.clone(),
            number: line.number.clone(),
            sms_number: Some(line.sms_number.clone()).filter(|number| *number != line.number),
            carrier: line.carrier.clone(),
            android: line.android,
            app_build: line.app_build,
            text: line.text.clone(),
            gateway: gateway.map(|gateway| gateway.name.clone()).unwrap_or_default(),
            handset: handset(line.handset_id),
            verify_handset: handset(line.verify_handset_id),
        }
    }
}

impl LineRow {
    fn is_called(&self, which: &str) -> bool {
        self.name == which || self.id.to_string() == which
    }

    /// What was said of it anew, with all that the server has written down of the line as it was.
    fn keeping(self, old: &Self) -> Self {
        Self {
            id: old.id,
            bound_name: old.bound_name.clone(),
            bound_number: old.bound_number.clone(),
            duty_number: old.duty_number.clone(),
            latest_seq: old.latest_seq,
            created_at: old.created_at,
            ..self
        }
    }

    /// Whether another phone is to be told, or the same one in another way. What the message says to people counts for the next time.
    fn is_told_otherwise_than(&self, old: &Self) -> bool {
        let told = |line: &Self| {
            let phone = (line.number.clone(), line.sms_number.clone(), line.gateway_id, line.handset_id);
            (phone, line.carrier.clone(), line.android, line.app_build)
        };
        told(self) != told(old)
    }

    /// Whether it follows whom it followed, and is where it was.
    fn follows_as(&self, seen: &Self) -> bool {
        let follows = |line: &Self| (line.team.clone(), line.bound_number.clone(), line.duty_number.clone());
        follows(self) == follows(seen)
    }
}

impl Engine {
    /// Makes a public number. Its command is composed once for the number itself, so that what can never work is refused now.
    ///
    /// # Errors
    /// When a field is wrong, the name is taken, or the database fails.
    pub async fn add_line(&self, new: &NewLine) -> Result<LineRow, Refused> {
        let name = refused::name(&new.name)?;
        let mut tx = self.store.begin().await?;
        let line = LineRow { name, ..self.said(&mut tx.db(), new).await? };
        self.compose(&mut tx.db(), &line, &Number::from_stored(line.number.as_str())).await?;
        tx.db().insert_line(&line).await.map_err(|error| Refused::insert("line", &line.name, error))?;
        tx.commit().await?;
        Ok(line)
    }

    /// Changes all that an operator says of a line. Where the phone must be told otherwise than before, it is told again, also when
    /// the number was handed over by hand. The line is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such line, a field is wrong, the name is taken, or the database fails. Nothing was changed then.
    pub async fn change_line(&self, which: &str, new: &NewLine) -> Result<LineRow, Refused> {
        let name = refused::name(&new.name)?;
        let mut tx = self.store.begin().await?;
        let old = locked_line(&mut tx, which).await?;
        let line = LineRow { name, ..self.said(&mut tx.db(), new).await?.keeping(&old) };
        self.compose(&mut tx.db(), &line, &Number::from_stored(line.number.as_str())).await?;
        tx.db().change_line(&line).await.map_err(|error| Refused::insert("line", &line.name, error))?;
        let latest = tx.db().latest_hand_overs().await?.into_iter().find(|hand_over| hand_over.line_id == line.id);
        if let Some(latest) = latest.filter(|latest| latest.refused.is_some() || line.is_told_otherwise_than(&old)) {
            let target = OnDuty { name: latest.person, number: latest.number };
            self.hand_over(&mut tx, &line, &target, latest.why, self.clock.now()).await?.ok_or(EngineError::Contended)?;
            tx.announce(Announcement::Handsets);
        }
        tx.commit().await?;
        Ok(line)
    }

    /// What would be sent if a line were as it is written here: for whoever is on duty for it now. Nothing is stored. `which` is the
    /// line that is being changed, if it is not a new one.
    ///
    /// # Errors
    /// When there is no such line, a field but the name is wrong, or the database fails.
    pub async fn draft_line(&self, which: Option<&str>, new: &NewLine) -> Result<Draft, Refused> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let mut line = self.said(&mut db, new).await?;
        if let Some(which) = which {
            line = line.keeping(&line_named(&mut db, which).await?);
        }
        let duty = on_duty(&line, &db.roster().await?, self.clock.now());
        let number = duty.as_ref().map_or(line.number.as_str(), |duty| duty.number.as_str());
        let preview = self.compose(&mut db, &line, &Number::from_stored(number)).await?;
        Ok(Draft { preview, duty })
    }

    /// What an operator says of a line, as a line that was never handed over. Its name is not looked at.
    async fn said(&self, db: &mut Db<'_>, new: &NewLine) -> Result<LineRow, Refused> {
        let now = self.clock.now();
        let number = self.number("number", &new.number)?;
        let sms_number = match &new.sms_number {
            Some(text) => self.number("sms_number", text)?,
            None => number.clone(),
        };
        let team = new.team.trim();
        let team = match team {
            "" => String::new(),
            team => {
                let roster = db.roster().await?;
                let of_team = roster.find_team(team).map(|team| team.name.clone());
                let found = of_team.or_else(|| roster.find_schedule(team).map(|schedule| schedule.name.clone()));
                let unknown = || Refused::wrong("team", format!("no team and no schedule of the roster is called {team:?}"));
                found.ok_or_else(unknown)?
            }
        };
        if !ANDROID.contains(&new.android) {
            return Err(Refused::wrong("android", "android is the handset's main version, such as 13"));
        }
        let gateway = gateway_named(db, &new.gateway).await?;
        let handset_id = optional_handset(db, "handset", new.handset.as_deref()).await?;
        let verify_handset_id = optional_handset(db, "verify_handset", new.verify_handset.as_deref()).await?;
        if verify_handset_id.is_some() && verify_handset_id == handset_id {
            return Err(Refused::wrong("verify_handset", "another handset must ring the number: this one would ring itself"));
        }
        Ok(LineRow {
            id: LineId::new(now),
            name: new.name.clone(),
            team,
            number: number.as_str().to_owned(),
            sms_number: sms_number.as_str().to_owned(),
            carrier: new.carrier.clone(),
            android: new.android,
            app_build: new.app_build,
            text: new.text.clone(),
            gateway_id: gateway.id,
            handset_id,
            verify_handset_id,
            bound_name: None,
            bound_number: None,
            duty_number: None,
            latest_seq: 0,
            created_at: now,
        })
    }

    /// Hands a line over no more. What was forwarded stays so.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn remove_line(&self, which: &str) -> Result<(), Refused> {
        let mut tx = self.store.begin().await?;
        let line = locked_line(&mut tx, which).await?;
        let now = self.clock.now();
        tx.db().supersede_sms(line.id, line.latest_seq + 1, now).await?;
        tx.db().remove_line(&line, now).await?;
        Ok(tx.commit().await?)
    }

    /// Binds a line to a person who is always on duty, or to nobody.
    ///
    /// # Errors
    /// When there is no such line, the number cannot be rung, or the database fails.
    pub async fn bind_line(&self, which: &str, person: Option<(&str, &str)>) -> Result<(), Refused> {
        let person = match person {
            Some((name, number)) => Some((refused::person_name(name)?, self.number("number", number)?)),
            None => None,
        };
        let mut tx = self.store.begin().await?;
        let line = locked_line(&mut tx, which).await?;
        tx.db().bind_line(line.id, person.as_ref().map(|(name, number)| (name.as_str(), number.as_str()))).await?;
        Ok(tx.commit().await?)
    }

    /// What would be said to hand a line to a number.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub async fn preview_line(&self, which: &str, number: &str) -> Result<Preview, Refused> {
        let number = self.number("number", number)?;
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let line = line_named(&mut db, which).await?;
        self.compose(&mut db, &line, &number).await
    }

    /// A person hands a line to a number, until somebody else is on duty.
    ///
    /// # Errors
    /// When there is no such line, the command cannot be composed, or the database fails. Nothing was changed then.
    pub async fn forward_line(&self, which: &str, number: &str, person: Option<&str>) -> Result<HandOverRow, Refused> {
        let number = self.number("number", number)?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let line = locked_line(&mut tx, which).await?;
        self.compose(&mut tx.db(), &line, &number).await?;
        let known = tx.db().person_with_number(number.as_str()).await?.map(|person| person.name);
        let name = person.map(str::to_owned).or(known).unwrap_or_else(|| number.as_str().to_owned());
        let target = OnDuty { name: refused::person_name(&name)?, number: number.as_str().to_owned() };
        let id = self.hand_over(&mut tx, &line, &target, HandOverWhy::Person, now).await?.ok_or(EngineError::Contended)?;
        let hand_over = tx.db().hand_over(id).await?.ok_or(EngineError::Contended)?;
        tx.commit().await?;
        Ok(hand_over)
    }

    /// Hands a line over: one row, and one command for it, in the caller's transaction. `None` when another hand-over of the line came
    /// first. A command that cannot be composed is written down with its reason, and people are told.
    async fn hand_over(
        &self,
        tx: &mut Tx,
        line: &LineRow,
        target: &OnDuty,
        why: HandOverWhy,
        now: DateTime<Utc>,
    ) -> Result<Option<HandOverId>, EngineError> {
        let composed = match self.compose(&mut tx.db(), line, &Number::from_stored(target.number.as_str())).await {
            Ok(preview) => Ok(preview),
            Err(Refused::Command(error)) => Err(error),
            Err(Refused::Engine(error)) => return Err(error),
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
        if !tx.db().insert_hand_over(&new).await? {
            return Ok(None);
        }
        // Whatever an earlier hand-over has not sent yet would now forward to the wrong person.
        tx.db().supersede_sms(line.id, new.seq, now).await?;
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
                };
                tx.db().insert_sms(&sms).await?;
            }
            Err(why) => trouble(tx, line, new.id, &target.name, &Trouble::Refused(why), now).await?,
        }
        tracing::info!(line.name = %line.name, seq = new.seq, refused = new.refused.as_deref(), "the public number is handed over");
        Ok(Some(new.id))
    }

    /// Composes the command for a number: a text message, or the bare code where the gateway is the very handset that holds the SIM.
    async fn compose(&self, db: &mut Db<'_>, line: &LineRow, number: &Number) -> Result<Preview, Refused> {
        let code = public_line::code(&line.carrier, &self.config.lines.carriers, number, self.config.handsets.country)?;
        if self.dials_itself(db, line).await? {
            return Ok(Preview { code: code.code.as_str().to_owned(), message: None, notes: code.notes });
        }
        let android = u32::try_from(line.android).unwrap_or(u32::MAX);
        let message = public_line::message(&code.code, android, line.app_build, &line.text)?;
        Ok(Preview { code: code.code.as_str().to_owned(), message: Some(message), notes: code.notes })
    }

    /// Whether the line's own handset is a native one that dials codes when it is told to.
    async fn dials_itself(&self, db: &mut Db<'_>, line: &LineRow) -> Result<bool, Refused> {
        let (Some(own), Some(gateway)) = (line.handset_id, db.gateway(line.gateway_id).await?) else { return Ok(false) };
        let GatewaySettings::Handset { handset } = &gateway.settings.0 else { return Ok(false) };
        Ok(db.handset(own).await?.is_some_and(|own| own.name == *handset))
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
        let roster = reader.db().roster().await?;
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
        let mut tx = self.store.begin().await?;
        // As it is now: since it was looked at, somebody may have changed it, or another node handed it over.
        let Some(line) = tx.db().lock_line(seen.id).await?.filter(|line| line.follows_as(seen)) else { return Ok(()) };
        if tx.db().duty_changed(&line, &duty.number).await?
            && self.hand_over(&mut tx, &line, duty, HandOverWhy::Duty, now).await?.is_some()
        {
            tx.announce(Announcement::Handsets);
            tx.commit().await?;
        }
        Ok(())
    }

    /// Tells people when the command of a hand-over does not get through, and proves what was sent.
    async fn watch_hand_over(&self, line: &LineRow, hand_over: &HandOverRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        let why = match (hand_over.sent_at, hand_over.verify_alarm_id, line.verify_handset_id) {
            (None, ..) => {
                let late = now - hand_over.at >= TELL_AFTER;
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
                    Some(EndReason::NoHandset) => Trouble::VerifierSilent,
                    _ => Trouble::Unanswered,
                })
            }
            (Some(_), ..) => None,
        };
        if let Some(why) = why.filter(|_| hand_over.trouble_at.is_none()) {
            let mut tx = self.store.begin().await?;
            trouble(&mut tx, line, hand_over.id, &hand_over.person, &why, now).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// All public numbers with what is known of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn line_statuses(&self) -> Result<Vec<LineStatus>, EngineError> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let (latest, sent) = (db.latest_hand_overs().await?, db.latest_sent_hand_overs().await?);
        let names = Names { gateways: db.gateways().await?, handsets: db.handset_names().await? };
        let mut statuses = Vec::new();
        for line in db.lines().await? {
            let latest = match latest.iter().find(|hand_over| hand_over.line_id == line.id) {
                Some(hand_over) => {
                    let alarm = match hand_over.verify_alarm_id {
                        Some(alarm) => db.alarm(alarm).await?,
                        None => None,
                    };
                    let shown = match alarm {
                        Some(alarm) => Some(test_call(&alarm, &db.answers_of(alarm.hunt_id).await?)),
                        None => None,
                    };
                    Some((hand_over.clone(), known(hand_over, shown)))
                }
                None => None,
            };
            let still = sent.iter().find(|hand_over| hand_over.line_id == line.id);
            let still = still.filter(|still| latest.as_ref().is_some_and(|(latest, _)| latest.id != still.id)).cloned();
            statuses.push(LineStatus { said: names.said(&line), line, latest, still });
        }
        Ok(statuses)
    }

    /// One of them. The line is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such line, or the database fails.
    pub async fn line_status(&self, which: &str) -> Result<LineStatus, Refused> {
        let found = self.line_statuses().await?.into_iter().find(|status| status.line.is_called(which));
        found.ok_or_else(|| missing_line(which))
    }

    fn number(&self, field: &'static str, text: &str) -> Result<Number, Refused> {
        Number::parse(text, self.region()).map(|parsed| parsed.number).map_err(|error| Refused::wrong(field, error.to_string()))
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
    tx: &mut Tx,
    line: &LineRow,
    hand_over: HandOverId,
    person: &str,
    why: &Trouble,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    if tx.db().hand_over_trouble(hand_over, now).await? {
        tracing::error!(line.name = %line.name, "the public number could not be handed over; the page Lines says why");
        let body =
            json!({ "line": line.name, "person": person, "reason": why.word(), "detail": why.detail(), "why": why.to_string() });
        tx.db().insert_event(None, None, now, EventKind::HandOverTrouble, body).await?;
    }
    Ok(())
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

async fn line_named(db: &mut Db<'_>, which: &str) -> Result<LineRow, Refused> {
    let all = db.lines().await?;
    all.into_iter().find(|line| line.is_called(which)).ok_or_else(|| missing_line(which))
}

/// The same, for a change: nobody else changes it or hands it over until the transaction ends.
async fn locked_line(tx: &mut Tx, which: &str) -> Result<LineRow, Refused> {
    let id = line_named(&mut tx.db(), which).await?.id;
    tx.db().lock_line(id).await?.ok_or_else(|| missing_line(which))
}

fn missing_line(which: &str) -> Refused {
    Refused::Missing { what: "line", name: which.to_owned() }
}

async fn optional_handset(db: &mut Db<'_>, field: &'static str, name: Option<&str>) -> Result<Option<HandsetId>, Refused> {
    match name {
        Some(name) => handset_named(db, field, name).await.map(|handset| Some(handset.id)),
        None => Ok(None),
    }
}
