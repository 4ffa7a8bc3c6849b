//! The append-only timeline: one line for each thing that happened to an alarm or a hunt.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use crate::alarm::HuntOutcome;
use crate::alarm::event::{Event, EventKind, RingsAgain};
use crate::ids::{AlarmId, HuntId, short_mid};
use crate::store::dialect::{fragment, statements};
use crate::store::lines::webhooks::NoticeKind;
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

/// Which notice an event gives rise to.
#[must_use]
pub fn notice_of(event: &Event) -> Option<NoticeKind> {
    match event {
        Event::Raised { held_until: None, .. } | Event::Released {} => Some(NoticeKind::Raised),
        // Whoever took it did not take what is in it now.
        Event::Redialled { news: Some(true), held_until: None | Some(None), .. } => Some(NoticeKind::Raised),
        // They were told that somebody takes care of it.
        Event::Redialled { why: RingsAgain::GivenBack, .. } => Some(NoticeKind::Raised),
        Event::Flapping { times: 1, .. } => Some(NoticeKind::Flapping),
        // Nobody has said anything: the next one is called.
        Event::Answered { without_key: Some(true), .. } | Event::LateAnswer { without_key: Some(true), .. } => None,
        Event::Answered { confirmed, declined, .. } => answer_told(*confirmed, *declined),
        Event::LateAnswer { confirmed, declined, .. } => answer_told(*confirmed == Some(true), *declined == Some(true)),
        Event::Acknowledged { .. } => Some(NoticeKind::Confirmed),
        Event::HuntEnded { outcome: HuntOutcome::NoAnswer, .. } => Some(NoticeKind::NoAnswer),
        // The first step comes with the alarm itself.
        Event::StepBegan { step: 0, .. } => None,
        Event::StepBegan { .. } | Event::Reopened { .. } => Some(NoticeKind::Escalated),
        Event::HandsetOffline { .. } => Some(NoticeKind::HandsetOffline),
        Event::HandsetStuck { .. } => Some(NoticeKind::HandsetStuck),
        Event::HandsetBack { .. } => Some(NoticeKind::HandsetBack),
        Event::HandsetFallback { .. } => Some(NoticeKind::Fallback),
        Event::OptedOut { .. } => Some(NoticeKind::OptedOut),
        Event::HandOverTrouble { .. } => Some(NoticeKind::HandOverTrouble),
        Event::GatewaySilent { .. } => Some(NoticeKind::GatewaySilent),
        Event::GatewayBack { .. } => Some(NoticeKind::GatewayBack),
        Event::CalendarTrouble { .. } => Some(NoticeKind::CalendarTrouble),
        Event::CalendarBack { .. } => Some(NoticeKind::CalendarBack),
        Event::BackupTrouble { .. } => Some(NoticeKind::BackupTrouble),
        Event::BackupBack {} => Some(NoticeKind::BackupBack),
        // Named one by one: whoever adds a kind decides whether people are told.
        Event::Raised { .. }
        | Event::Redialled { .. }
        | Event::Flapping { .. }
        | Event::HuntEnded { .. }
        | Event::Repeated { .. }
        | Event::Cleaned { .. }
        | Event::Overtaken { .. }
        | Event::Resolved { .. }
        | Event::Cancelled { .. }
        | Event::HandedOut { .. }
        | Event::Nobody { .. }
        | Event::Expired { .. }
        | Event::Superseded { .. }
        | Event::LateNobody { .. }
        | Event::NotRung { .. }
        | Event::Declined { .. }
        | Event::StepEmpty { .. }
        | Event::RungAlso { .. }
        | Event::PolicyEmpty { .. }
        | Event::Escalated { .. }
        | Event::PolicySet { .. }
        | Event::Lapsed { .. }
        | Event::Skipped { .. }
        | Event::DoNotCall { .. }
        | Event::Snoozed { .. }
        | Event::Quiet { .. }
        | Event::Joined { .. }
        | Event::Parted { .. }
        | Event::Noted { .. }
        | Event::MarkedFalse { .. }
        | Event::NotFalse { .. }
        | Event::RecordingHeard { .. }
        | Event::CallCommanded { .. }
        | Event::CalledBack { .. }
        | Event::Texted { .. }
        | Event::NotTexted { .. }
        | Event::GivenBack { .. }
        | Event::Held { .. }
        | Event::HandsetShared { .. }
        | Event::CalendarFollowed { .. }
        | Event::Other { .. } => None,
    }
}

/// What the log tells of, in one line: what people and programs do about an alarm, and how it goes on. Hand-outs and reports have lines of
/// their own, with their handset; a repeat has none.
fn act(event: &Event) -> Option<&'static str> {
    let kind = match event {
        Event::Raised { .. } => EventKind::Raised,
        Event::Reopened { .. } => EventKind::Reopened,
        Event::Flapping { .. } => EventKind::Flapping,
        Event::Resolved { .. } => EventKind::Resolved,
        Event::Cancelled { .. } => EventKind::Cancelled,
        Event::Acknowledged { .. } => EventKind::Acknowledged,
        Event::GivenBack { .. } => EventKind::GivenBack,
        Event::Declined { .. } => EventKind::Declined,
        Event::Skipped { .. } => EventKind::Skipped,
        Event::Redialled { .. } => EventKind::Redialled,
        Event::Escalated { .. } => EventKind::Escalated,
        Event::PolicySet { .. } => EventKind::PolicySet,
        Event::Snoozed { .. } => EventKind::Snoozed,
        Event::MarkedFalse { .. } => EventKind::MarkedFalse,
        Event::NotFalse { .. } => EventKind::NotFalse,
        Event::Held { .. } => EventKind::Held,
        Event::Released { .. } => EventKind::Released,
        Event::HuntEnded { .. } => EventKind::HuntEnded,
        _ => return None,
    };
    Some(kind.as_str())
}

/// Whether an alarm is found by other words from then on: somebody is rung or answers who was not, or somebody wrote something.
fn changes_words(event: &Event) -> bool {
    matches!(
        event,
        Event::Raised { .. }
            | Event::Redialled { .. }
            | Event::StepBegan { .. }
            | Event::RungAlso { .. }
            | Event::Joined { .. }
            | Event::Parted { .. }
            | Event::Answered { .. }
            | Event::LateAnswer { .. }
            | Event::Acknowledged { .. }
            | Event::Reopened { .. }
            | Event::CalledBack { .. }
            | Event::Noted { .. }
    )
}

fn answer_told(confirmed: bool, declined: bool) -> Option<NoticeKind> {
    match (declined, confirmed) {
        // They had said already that they cannot.
        (true, _) => None,
        (false, true) => Some(NoticeKind::Confirmed),
        (false, false) => Some(NoticeKind::Answered),
    }
}

/// The particulars of an event as they are shown: mids but for their beginning.
#[must_use]
pub fn shown(mut body: Value) -> Value {
    if let Some(mid) = body.get_mut("mid")
        && let Some(short) = mid.as_str().map(|mid| short_mid(mid).to_owned())
    {
        *mid = Value::String(short);
    }
    body
}

row! {
    /// One line of the timeline.
    #[derive(Clone, Debug)]
    pub struct EventRow {
        /// Order of insertion; not the order of commits.
        pub id: i64,
        /// The alarm, when it concerns just one.
        pub alarm_id: Option<AlarmId>,
        /// The hunt.
        pub hunt_id: Option<HuntId>,
        /// When.
        pub at: DateTime<Utc>,
        /// The word of its kind.
        pub kind: String,
        /// Its fields, as they were written down by whatever version.
        pub body: Json<Value>,
    }
}

impl EventRow {
    /// What happened.
    #[must_use]
    pub fn event(&self) -> Event {
        Event::read(&self.kind, &self.body.0)
    }
}

statements! {
    /// A new line.
    INSERT = ["INSERT INTO events (alarm_id, hunt_id, at, kind, body) VALUES ($1, $2, $3, $4, $5)"];
    /// The last thing that happened.
    LATEST = ["SELECT max(at) AS at FROM events"];
    /// What concerns one alarm: its own lines, and those of every hunt it was in that name no other alarm.
    TIMELINE = [
        "SELECT * FROM events WHERE alarm_id = $1
         UNION ALL
         SELECT e.* FROM alarm_hunts l JOIN events e ON e.hunt_id = l.hunt_id WHERE l.alarm_id = $1 AND" unindexed "e.alarm_id IS NULL
         ORDER BY at, id"
    ];
}

impl Db<'_> {
    /// Adds a line to the timeline, and puts the notice of it into the outbox.
    pub async fn insert_event(
        &mut self,
        alarm: Option<AlarmId>,
        hunt: Option<HuntId>,
        at: DateTime<Utc>,
        event: &Event,
    ) -> Result<()> {
        let body = event.body().map_err(|error| StoreError::Inconsistent(format!("an event has no JSON: {error}")))?;
        execute!(self, INSERT, alarm, hunt, at, event.kind(), Json(&body))?;
        if let Some(what) = act(event) {
            self.touched(|touched| touched.tell(what, alarm, hunt));
        }
        if changes_words(event) {
            self.remember_sought(alarm, hunt).await?;
        }
        // In the same transaction: what is true is told, and nothing else.
        match notice_of(event) {
            Some(notice) => self.enqueue_notice(notice, alarm, hunt, &body, at).await,
            None => Ok(()),
        }
    }

    /// When the last thing happened.
    pub async fn latest_event_at(&mut self) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LATEST)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// The timeline of an alarm, oldest first.
    pub async fn timeline(&mut self, alarm: AlarmId) -> Result<Vec<EventRow>> {
        let rows: Vec<EventRow> = fetch_all!(self, TIMELINE, alarm)?;
        // What concerns some alarms of a hunt alone names them; anything else concerns all.
        let is_about = |row: &EventRow| row.event().concerns().is_none_or(|alarms| alarms.contains(&alarm));
        Ok(rows.into_iter().filter(is_about).collect())
    }
}
