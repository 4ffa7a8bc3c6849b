//! An alarm as the API shows it.

pub mod file;
pub mod monitor;

use std::collections::{BTreeMap, HashMap};

use android_protocol::voice::detector;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::roster::shapes::Named;
use crate::alarm::AnswerVia;
use crate::alarm::{AlarmKind, AlarmState, Confirm, DialOutcome, EndReason, Mode, Priority, Until, Verdict};
use crate::engine::EngineError;
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, RecordingId, short_mid};
use crate::numbers::{masked, masked_name};
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::{self, AnswerRow};
use crate::store::alarm::dials::{DialRow, TargetRow};
use crate::store::alarm::events;
use crate::store::media::recordings::HeardRow;
use crate::store::{Db, Store};

/// An alarm in a list, or as the answer to raising it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AlarmJson {
    id: AlarmId,
    /// What people call it, such as in a text message.
    alarm_number: String,
    /// What it is for: `alarm`, unless it was asked for otherwise.
    kind: AlarmKind,
    state: AlarmState,
    /// Why nobody was reached.
    reason: Option<EndReason>,
    summary: String,
    details: String,
    source: String,
    priority: Priority,
    labels: BTreeMap<String, String>,
    dedup_key: Option<String>,
    /// The one team that it asked for, by the name that it said.
    asked_team: Option<String>,
    repeats: i64,
    mode: Mode,
    until: Until,
    dry_run: bool,
    raised_at: DateTime<Utc>,
    /// Maintenance: nobody is rung for it before then.
    hold_ends_at: Option<DateTime<Utc>>,
    resolved_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    /// Unless it is over by then, it rings again.
    rings_again_at: Option<DateTime<Utc>>,
    /// Who answered; once nobody is rung any more, also who picked up and never confirmed.
    answer: Option<AnswerJson>,
}

/// Who answered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AnswerJson {
    /// Their name at that moment; empty when nobody knows it.
    name: String,
    phone_number: Option<String>,
    person: Option<Named>,
    callee_id: Option<CalleeId>,
    answered_at: DateTime<Utc>,
    /// Seconds from the beginning of the hunt.
    after_seconds: f64,
    attempt: Option<i32>,
    via: AnswerVia,
    /// The handset whose call it was.
    dialled_by: Option<Named>,
    /// The beginning of the dial's mid: only its handset knows the whole of it.
    mid: Option<String>,
    confirmed_at: Option<DateTime<Utc>>,
    /// When it lapsed: nobody confirmed it in time, or pressed the key that was asked for.
    lapsed_at: Option<DateTime<Utc>>,
    /// What a handset that listens took whoever picked up for, `human`, `machine` or `unknown`: a guess.
    machine: Option<&'static str>,
}

/// One alarm with everything that happened to it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AlarmDetailJson {
    #[serde(flatten)]
    alarm: AlarmJson,
    /// That somebody says it is false, and why; null: nobody does.
    false_alarm: Option<FalseAlarmJson>,
    /// Its escalation policy.
    policy: Option<String>,
    /// The step that is being rung, counted from 0 over all rounds.
    step: i32,
    /// When the next step begins at the latest.
    step_ends_at: Option<DateTime<Utc>>,
    /// Nobody is rung before then.
    snooze_ends_at: Option<DateTime<Utc>>,
    /// An answer that nobody confirms within so many seconds lapses.
    confirm_within_seconds: Option<i32>,
    /// When an answer needs no further word.
    confirm: Confirm,
    callees: Vec<CalleeJson>,
    dials: Vec<DialJson>,
    /// What was recorded in calls that came in about it, as far as the handset has told of it.
    caller_recordings: Vec<DialRecordingJson>,
    answers: Vec<AnswerJson>,
    timeline: Vec<EventJson>,
}

/// That an alarm is false.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct FalseAlarmJson {
    reason: String,
    /// Who says so, by their own word.
    marked_by: Option<String>,
    marked_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CalleeJson {
    id: CalleeId,
    step: i32,
    position: i32,
    name: Option<String>,
    person: Option<Named>,
    phone_number: String,
    /// False: the numbering plan does not know such a number.
    known_to_plan: bool,
    attempts: i32,
    max_attempts: i32,
    min_interval_seconds: i32,
    last_offered_at: Option<DateTime<Utc>>,
    verdict: Option<Verdict>,
    /// No phone has said how a call to this number ended: nobody knows whether it rang.
    no_report: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DialJson {
    /// Its beginning: only its handset knows the whole of it.
    mid: String,
    hunt_id: HuntId,
    dialled_by: Option<Named>,
    phones: Vec<String>,
    offered_at: DateTime<Utc>,
    deadline_at: DateTime<Utc>,
    serves: i32,
    closed_at: Option<DateTime<Utc>>,
    outcome: Option<DialOutcome>,
    resp: Option<String>,
    reported_at: Option<DateTime<Utc>>,
    /// How far a native handset's calls have got.
    progress: Vec<ProgressJson>,
    /// What was recorded in its calls, as far as the handset has told of it.
    recordings: Vec<DialRecordingJson>,
}

/// A recording of a call; `GET /api/v1/recordings/{id}` says where it is heard.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DialRecordingJson {
    id: RecordingId,
    phone_number: String,
    seconds: Option<i64>,
    bytes: Option<i64>,
    /// Its sound is here.
    available: bool,
}

impl DialRecordingJson {
    fn of(all: &[HeardRow], which: impl Fn(&str) -> bool) -> Vec<Self> {
        let own = all.iter().filter(|row| which(&row.mid));
        own.map(|row| Self {
            id: row.id,
            phone_number: row.number.clone(),
            seconds: row.seconds(),
            bytes: row.size(),
            available: row.media_id.is_some(),
        })
        .collect()
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ProgressJson {
    phone_number: String,
    state: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EventJson {
    happened_at: DateTime<Utc>,
    kind: String,
    #[schema(value_type = Object)]
    body: Value,
}

impl AlarmJson {
    fn new(row: AlarmRow, answers: &[&AnswerRow], handsets: &HashMap<HandsetId, String>) -> Self {
        let answers: Vec<AnswerRow> = answers.iter().map(|answer| (*answer).clone()).collect();
        let answer = if row.ended_at.is_some() { answers::shown(&answers) } else { answers::current(&answers) };
        let answer = answer.map(|answer| AnswerJson::new(answer, row.hunt_created_at.max(row.raised_at), handsets));
        let state = row.state();
        Self {
            id: row.id,
            alarm_number: row.number.to_string(),
            kind: row.kind,
            state,
            reason: row.end_reason.filter(|_| state == AlarmState::NoAnswer),
            summary: row.summary,
            details: row.details,
            source: row.source,
            priority: row.priority,
            labels: row.labels.0,
            dedup_key: row.dedup_key,
            asked_team: row.team,
            repeats: row.repeats,
            mode: row.mode,
            until: row.until,
            dry_run: row.dry_run,
            raised_at: row.raised_at,
            hold_ends_at: row.held_until.filter(|_| state == AlarmState::Waiting),
            resolved_at: row.resolved_at,
            cancelled_at: row.cancelled_at,
            ended_at: row.ended_at,
            rings_again_at: row.ring_again_at,
            answer,
        }
    }
}

impl AlarmJson {
    /// The same for who may not see numbers.
    #[must_use]
    pub fn with_numbers_masked(mut self) -> Self {
        if let Some(answer) = &mut self.answer {
            answer.name = masked_name(&answer.name);
            answer.phone_number = answer.phone_number.as_deref().map(masked);
            answer.person = answer.person.take().map(|person| person.called(masked_name));
        }
        self
    }
}

impl AnswerJson {
    fn new(row: &AnswerRow, hunt_created_at: DateTime<Utc>, handsets: &HashMap<HandsetId, String>) -> Self {
        Self {
            name: row.name.clone(),
            phone_number: row.number.clone(),
            person: row.person_id.map(|id| Named::new(id.to_string(), row.name.clone())),
            callee_id: row.callee_id,
            answered_at: row.at,
            after_seconds: (row.at - hunt_created_at).as_seconds_f64().max(0.0),
            attempt: row.attempt,
            via: row.via,
            dialled_by: row.handset_id.and_then(|id| dialled_by(id, handsets)),
            mid: row.mid.as_deref().map(|mid| short_mid(mid).to_owned()),
            confirmed_at: row.confirmed_at,
            lapsed_at: row.lapsed_at,
            machine: row.machine.map(detector::Verdict::as_str),
        }
    }
}

/// Alarms with their answers.
///
/// # Errors
/// When the database fails.
pub async fn summaries(store: &Store, rows: Vec<AlarmRow>) -> Result<Vec<AlarmJson>, EngineError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let hunts: Vec<HuntId> = rows.iter().map(|row| row.hunt_id).collect();
    let mut reader = store.read().await?;
    let answers = reader.db().answers_of_hunts(&hunts).await?;
    let handsets = handset_names(&mut reader.db()).await?;
    let mut by_hunt: HashMap<HuntId, Vec<&AnswerRow>> = HashMap::new();
    for answer in &answers {
        by_hunt.entry(answer.hunt_id).or_default().push(answer);
    }
    let of = |row: &AlarmRow| by_hunt.get(&row.hunt_id).map_or(&[][..], Vec::as_slice);
    Ok(rows.into_iter().map(|row| AlarmJson::new(row.clone(), of(&row), &handsets)).collect())
}

/// One alarm with its answer.
///
/// # Errors
/// When the database fails.
pub async fn summary(store: &Store, row: AlarmRow) -> Result<AlarmJson, EngineError> {
    let mut reader = store.read().await?;
    let answers = reader.db().answers_of(row.hunt_id).await?;
    let handsets = handset_names(&mut reader.db()).await?;
    Ok(AlarmJson::new(row, &answers.iter().collect::<Vec<_>>(), &handsets))
}

/// One alarm with everything that happened to it, in its current hunt and the earlier ones.
///
/// # Errors
/// When the database fails or there is no such alarm.
pub async fn detail(store: &Store, id: AlarmId) -> Result<AlarmDetailJson, EngineError> {
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let row = db.alarm(id).await?.ok_or(EngineError::NoSuchAlarm)?;
    let handsets = handset_names(&mut db).await?;
    let callees = db.callees(row.hunt_id).await?;
    let unreported = db.unreported(row.hunt_id).await?;
    let mut dials = Vec::new();
    let mut answers = Vec::new();
    let mut targets = Vec::new();
    let mut begun = HashMap::new();
    for hunt in db.hunts_of_alarm(id).await? {
        begun.extend(db.hunt(hunt).await?.map(|row| (hunt, row.created_at)));
        targets.extend(db.targets_of_hunt(hunt).await?);
        dials.extend(db.dials_of(hunt).await?);
        answers.extend(db.answers_of(hunt).await?);
    }
    // An alarm that left a hunt has taken the answers of its calls along: each is told once, as it stands now.
    let told_later = |place: usize, answer: &AnswerRow| {
        answer.mid.is_some()
            && answers
                .iter()
                .skip(place + 1)
                .any(|later| later.mid == answer.mid && later.at == answer.at && later.number == answer.number)
    };
    let told: Vec<bool> = answers.iter().enumerate().map(|(place, answer)| !told_later(place, answer)).collect();
    let mut told = told.into_iter();
    answers.retain(|_| told.next().unwrap_or(true));
    let recorded = db.recordings_of_alarm(id).await?;
    let timeline = db.timeline(id).await?;
    let hunt = db.hunt(row.hunt_id).await?.ok_or(EngineError::NoSuchAlarm)?;
    let policy = match hunt.policy_id {
        Some(policy) => db.policy(policy).await?.map(|policy| policy.name),
        None => None,
    };
    let current: Vec<&AnswerRow> = answers.iter().filter(|answer| answer.hunt_id == row.hunt_id).collect();
    let raised_at = row.raised_at;
    let false_alarm = db.false_alarm(id).await?;
    Ok(AlarmDetailJson {
        false_alarm: false_alarm.map(|mark| FalseAlarmJson {
            reason: mark.reason,
            marked_by: mark.marked_by,
            marked_at: mark.marked_at,
        }),
        alarm: AlarmJson::new(row, &current, &handsets),
        policy,
        step: hunt.step,
        step_ends_at: hunt.step_ends_at,
        snooze_ends_at: hunt.snoozed_until,
        confirm_within_seconds: hunt.confirm_within,
        confirm: hunt.confirmation().word(),
        callees: callees
            .into_iter()
            .map(|callee| CalleeJson {
                id: callee.id,
                step: callee.step,
                position: callee.position,
                person: callee.person_id.map(|id| Named::new(id.to_string(), callee.name.clone().unwrap_or_default())),
                name: callee.name,
                phone_number: callee.number,
                known_to_plan: callee.known_to_plan,
                attempts: callee.attempts,
                max_attempts: callee.max_attempts,
                min_interval_seconds: callee.min_interval_s,
                last_offered_at: callee.last_offered_at,
                verdict: callee.verdict,
                no_report: unreported.contains(&callee.id),
            })
            .collect(),
        caller_recordings: DialRecordingJson::of(&recorded, |mid| dials.iter().all(|dial| dial.mid != mid)),
        dials: dials
            .into_iter()
            .map(|dial| DialJson {
                progress: progress_of(&dial, &targets),
                recordings: DialRecordingJson::of(&recorded, |mid| mid == dial.mid),
                mid: short_mid(&dial.mid).to_owned(),
                hunt_id: dial.hunt_id,
                dialled_by: dial.handset_id.and_then(|id| dialled_by(id, &handsets)),
                phones: dial.phones.0,
                offered_at: dial.offered_at,
                deadline_at: dial.deadline,
                serves: dial.serves,
                closed_at: dial.closed_at,
                outcome: dial.outcome,
                resp: dial.resp,
                reported_at: dial.reported_at,
            })
            .collect(),
        answers: answers
            .iter()
            .map(|answer| {
                AnswerJson::new(answer, begun.get(&answer.hunt_id).copied().unwrap_or(raised_at).max(raised_at), &handsets)
            })
            .collect(),
        timeline: timeline
            .into_iter()
            .map(|event| EventJson { happened_at: event.at, kind: event.kind, body: events::shown(event.body.0) })
            .collect(),
    })
}

async fn handset_names(db: &mut Db<'_>) -> Result<HashMap<HandsetId, String>, EngineError> {
    Ok(db.handset_names().await?)
}

fn dialled_by(id: HandsetId, handsets: &HashMap<HandsetId, String>) -> Option<Named> {
    handsets.get(&id).map(|name| Named::new(id.to_string(), name.clone()))
}

/// What a native handset says of the numbers it is dialling; numbers as it was given them.
fn progress_of(dial: &DialRow, targets: &[TargetRow]) -> Vec<ProgressJson> {
    let own = targets.iter().filter(|target| target.mid == dial.mid);
    own.filter_map(|target| {
        let phone_number = dial.phones.get(usize::try_from(target.seq).ok()?)?.clone();
        Some(ProgressJson { phone_number, state: target.progress.clone()? })
    })
    .collect()
}
