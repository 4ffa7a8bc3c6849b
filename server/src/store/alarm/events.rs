//! The append-only timeline: one line for each thing that happened to an alarm or a hunt.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use crate::ids::{AlarmId, HuntId, short_mid};
use crate::store::dialect::{fragment, statements};
use crate::store::lines::webhooks::NoticeKind;
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The alarm came in.
    Raised,
    /// Its source sent it again.
    Repeated,
    /// Something in it could not be taken as it was: it was cut, or characters were taken out.
    Cleaned,
    /// Its source told of an earlier time than it had told of already: that changes nothing.
    Overtaken,
    /// It came again soon after it was over.
    Flapping,
    /// Its source said that it is over.
    Resolved,
    /// A person called it off.
    Cancelled,
    /// A human confirmed.
    Acknowledged,
    /// A new hunt was begun for it.
    Redialled,
    /// A dial was handed to a handset.
    HandedOut,
    /// A handset named who picked up.
    Answered,
    /// A handset reported that nobody did.
    Nobody,
    /// A dial's deadline passed without a report.
    Expired,
    /// A dial is not needed any more.
    Superseded,
    /// A report of *nobody* came after the dial was closed.
    LateNobody,
    /// A report that named somebody came after the dial was closed.
    LateAnswer,
    /// A handset could not place a call; the attempt was given back.
    NotRung,
    /// The hunt is over.
    HuntEnded,
    /// A callee said no.
    Declined,
    /// A step of the policy began.
    StepBegan,
    /// A step led to nobody who can be rung, and was passed.
    StepEmpty,
    /// No step of the policy led to anybody.
    PolicyEmpty,
    /// A person asked for the next step.
    Escalated,
    /// A person gave the hunt another policy.
    PolicySet,
    /// An answer was not confirmed in time.
    Lapsed,
    /// A person took a callee off the hunt.
    Skipped,
    /// A number must not be called.
    DoNotCall,
    /// Somebody wants to be rung no more.
    OptedOut,
    /// A person put it off.
    Snoozed,
    /// Everybody has quiet hours.
    Quiet,
    /// It joined a hunt for the same people that was under way.
    Joined,
    /// Somebody spoke of other alarms that shared the hunt: ringing goes on for this one.
    Parted,
    /// A person wrote something down.
    Noted,
    /// Somebody who had picked up said no: the hunt goes on.
    Reopened,
    /// Maintenance: nobody is rung for now.
    Held,
    /// The maintenance is over, and the alarm is not.
    Released,
    /// A handset has been silent for too long.
    HandsetOffline,
    /// A handset did not return after a dial.
    HandsetStuck,
    /// A handset polls again.
    HandsetBack,
    /// Two phones use one token.
    HandsetShared,
    /// A handset cannot be used, and nobody can be rung about it.
    HandsetFallback,
    /// A public number could not be handed over.
    HandOverTrouble,
    /// A gateway for text messages does not say any more that it lives.
    GatewaySilent,
    /// It does again.
    GatewayBack,
    /// A calendar that is kept elsewhere has changed its schedule.
    CalendarFollowed,
    /// It cannot be read.
    CalendarTrouble,
    /// It can again.
    CalendarBack,
}

/// Which notice an event gives rise to.
#[must_use]
pub fn notice_of(kind: EventKind, body: &Value) -> Option<NoticeKind> {
    match kind {
        EventKind::Raised if body["held_until"].is_null() => Some(NoticeKind::Raised),
        EventKind::Released => Some(NoticeKind::Raised),
        // Whoever took it did not take what is in it now.
        EventKind::Redialled if body["news"] == true && body["held_until"].is_null() => Some(NoticeKind::Raised),
        EventKind::Flapping if body["times"] == 1 => Some(NoticeKind::Flapping),
        // They had said already that they cannot.
        EventKind::Answered | EventKind::LateAnswer if body["declined"] == true => None,
        EventKind::Answered | EventKind::LateAnswer if body["confirmed"] == true => Some(NoticeKind::Confirmed),
        EventKind::Answered | EventKind::LateAnswer => Some(NoticeKind::Answered),
        EventKind::Acknowledged => Some(NoticeKind::Confirmed),
        EventKind::HuntEnded if body["outcome"] == "no_answer" => Some(NoticeKind::NoAnswer),
        // The first step comes with the alarm itself.
        EventKind::StepBegan if body["step"] != 0 => Some(NoticeKind::Escalated),
        EventKind::Reopened => Some(NoticeKind::Escalated),
        EventKind::HandsetOffline => Some(NoticeKind::HandsetOffline),
        EventKind::HandsetStuck => Some(NoticeKind::HandsetStuck),
        EventKind::HandsetBack => Some(NoticeKind::HandsetBack),
        EventKind::HandsetFallback => Some(NoticeKind::Fallback),
        EventKind::OptedOut => Some(NoticeKind::OptedOut),
        EventKind::HandOverTrouble => Some(NoticeKind::HandOverTrouble),
        EventKind::GatewaySilent => Some(NoticeKind::GatewaySilent),
        EventKind::GatewayBack => Some(NoticeKind::GatewayBack),
        EventKind::CalendarTrouble => Some(NoticeKind::CalendarTrouble),
        EventKind::CalendarBack => Some(NoticeKind::CalendarBack),
        _ => None,
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
        /// What.
        pub kind: String,
        /// Particulars.
        pub body: Json<Value>,
    }
}

impl EventRow {
    /// What concerns some alarms of a hunt alone names them; anything else concerns all.
    fn is_about(&self, alarm: AlarmId) -> bool {
        let alarm = alarm.to_string();
        self.body.0["alarms"].as_array().is_none_or(|alarms| alarms.iter().any(|own| own.as_str() == Some(&alarm)))
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
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_event(
        &mut self,
        alarm: Option<AlarmId>,
        hunt: Option<HuntId>,
        at: DateTime<Utc>,
        kind: EventKind,
        body: Value,
    ) -> Result<()> {
        execute!(self, INSERT, alarm, hunt, at, kind, Json(&body))?;
        // In the same transaction: what is true is told, and nothing else.
        match notice_of(kind, &body) {
            Some(notice) => self.enqueue_notice(notice, alarm, hunt, &body, at).await,
            None => Ok(()),
        }
    }

    /// When the last thing happened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_event_at(&mut self) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LATEST)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// The timeline of an alarm, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timeline(&mut self, alarm: AlarmId) -> Result<Vec<EventRow>> {
        let rows: Vec<EventRow> = fetch_all!(self, TIMELINE, alarm)?;
        Ok(rows.into_iter().filter(|event| event.is_about(alarm)).collect())
    }
}
