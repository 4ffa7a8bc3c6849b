//! Of which alarms whom a text message has told, and by which code a reply names them.

use chrono::{DateTime, Utc};

use crate::alarm::{HuntOutcome, Priority};
use crate::ids::{AlarmId, CalleeId, HuntId, PersonId, SmsId};
use crate::numbers::phone_of;
use crate::store::dialect::{fragment, statements};
use crate::store::lines::sms::TAKEN_FOR;
use crate::store::statement::{execute, fetch_all, row};
use crate::store::{Db, Result};

row! {
    /// An alarm that a message tells of, as both are now.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TextRow {
        /// The alarm.
        pub alarm_id: AlarmId,
        /// What it says in a line.
        pub summary: String,
        /// How urgent it is.
        pub priority: Priority,
        /// By which a reply names it.
        pub code: String,
        /// As which callee they were rung then.
        pub callee_id: CalleeId,
        /// By which hunt.
        pub told_by: HuntId,
        /// In which hunt it is.
        pub hunt_id: HuntId,
        /// When they were rung.
        pub at: DateTime<Utc>,
        /// When it was over.
        pub resolved_at: Option<DateTime<Utc>>,
        /// When it was called off.
        pub cancelled_at: Option<DateTime<Utc>>,
        /// How its hunt ended.
        pub outcome: Option<HuntOutcome>,
        /// How often that callee has answered for it.
        pub own_answers: i64,
        /// They said no.
        pub declined: bool,
        /// Until when a gateway was given the message for its last try; none where nothing was tried, or nothing came of it.
        pub taken_until: Option<DateTime<Utc>>,
        /// When its gateway said that it was sent.
        pub sent_at: Option<DateTime<Utc>>,
        /// When a handset fetched it.
        pub handed_at: Option<DateTime<Utc>>,
    }
}

impl TextRow {
    /// It is resolved or called off.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.resolved_at.is_some() || self.cancelled_at.is_some()
    }

    /// It still waits for somebody to take it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_over() && self.outcome != Some(HuntOutcome::Answered)
    }

    /// Since when the message may have been read: when the try began that was the last. What was written before cannot mean it.
    #[must_use]
    pub fn left_at(&self) -> Option<DateTime<Utc>> {
        let tried_at = self.taken_until.map(|until| until - TAKEN_FOR);
        // Of what was sent although the gateway gave no answer, the next try is ahead.
        let by_gateway = tried_at.map(|at| self.sent_at.map_or(at, |sent| at.min(sent)));
        self.handed_at.or(by_gateway).or(self.sent_at)
    }

    /// Somebody else has taken it.
    #[must_use]
    pub fn is_taken_by_another(&self) -> bool {
        self.outcome == Some(HuntOutcome::Answered) && self.own_answers == 0
    }
}

row! {
    /// An alarm that somebody was told of.
    #[derive(Clone, Debug)]
    pub struct SentRow {
        /// When.
        pub at: DateTime<Utc>,
        /// Which.
        pub alarm_id: AlarmId,
        /// Its number.
        pub number: i64,
        /// When its message was made; `None`: there was none, or it is forgotten.
        pub created_at: Option<DateTime<Utc>>,
        /// When a gateway took it.
        pub sent_at: Option<DateTime<Utc>>,
    }
}

/// A new message, or the code by which an answer names what somebody was only called for.
#[derive(Clone, Copy, Debug)]
pub struct NewText<'t> {
    /// Which one; of what is no message, an id of its own.
    pub sms: SmsId,
    /// To whom: see [`whom`].
    pub whom: &'t str,
    /// By which a reply names its alarms.
    pub code: &'t str,
    /// As which callee they are rung.
    pub callee: CalleeId,
    /// By which hunt.
    pub hunt: HuntId,
}

/// Who is told once, whichever of their numbers is rung: a person, or the phone of a number that is nobody's.
#[must_use]
pub fn whom(person: Option<PersonId>, number: &str) -> String {
    match person {
        Some(person) => format!("person:{person}"),
        None => format!("phone:{}", phone_of(number)),
    }
}

statements! {
    /// Somebody is told of all alarms of a hunt of which they were not told when these were as urgent; not of those that only test a
    /// public number.
    TELL = [
        "INSERT INTO alarm_texts (alarm_id, whom, priority, sms_id, code, callee_id, hunt_id, at)
         SELECT a.id, $3, a.priority, $1, $4, $5, a.hunt_id, $6 FROM alarms a
         WHERE a.hunt_id = $2 AND a.resolved_at IS NULL AND a.cancelled_at IS NULL AND" unindexed "a.kind = 'alarm'
           AND a.integration_id <> $7 AND NOT EXISTS (SELECT 1 FROM alarm_texts t WHERE t.alarm_id = a.id AND t.whom = $3 AND t.priority >= a.priority)
         ON CONFLICT DO NOTHING"
    ];
    /// What a message tells of, the most urgent first.
    OF_SMS = [
        "SELECT" text_columns "FROM alarm_texts t JOIN alarms a ON a.id = t.alarm_id JOIN hunts h ON h.id = a.hunt_id
         WHERE t.sms_id = $1 ORDER BY" unindexed "a.priority DESC, a.number"
    ];
    /// Of what somebody was told lately, the latest first.
    LATELY = [
        "SELECT" text_columns "FROM alarm_texts t JOIN alarms a ON a.id = t.alarm_id JOIN hunts h ON h.id = a.hunt_id
         WHERE t.whom = $1 AND t.at > $2 AND t.at <= $3 ORDER BY t.at DESC LIMIT 500"
    ];
    /// Which alarms somebody was told of, the latest first. Without a message it was only the code that a call is answered by; messages are
    /// forgotten earlier.
    SENT_TO = [
        "SELECT s.at, s.alarm_id, a.number, o.created_at, o.sent_at
         FROM (SELECT alarm_id, sms_id, at FROM alarm_texts WHERE whom = $1 AND at <= $2 ORDER BY at DESC, alarm_id DESC LIMIT $3) s
         JOIN alarms a ON a.id = s.alarm_id LEFT JOIN sms_outbox o ON o.id = s.sms_id
         ORDER BY s.at DESC, s.alarm_id DESC"
    ];
    /// Which codes somebody was told since then.
    CODES = ["SELECT DISTINCT code FROM alarm_texts WHERE whom = $1 AND at > $2 LIMIT 1000"];
}

impl Db<'_> {
    /// Notes that a message tells somebody of all alarms of a hunt that are news to them; gives of how many. Those that came through the
    /// door `tests` only test a public number.
    pub async fn tell_of_hunt(&mut self, text: NewText<'_>, tests: &str, now: DateTime<Utc>) -> Result<u64> {
        execute!(self, TELL, text.sms, text.hunt, text.whom, text.code, text.callee, now, tests)
    }

    /// What a message tells of, the most urgent alarm first; nothing when it is about no alarm.
    pub async fn text_of_sms(&mut self, sms: SmsId) -> Result<Vec<TextRow>> {
        fetch_all!(self, OF_SMS, sms)
    }

    /// Of what somebody was told between two instants, the latest first; at most 500 alarms.
    pub async fn told_lately(&mut self, whom: &str, after: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<TextRow>> {
        fetch_all!(self, LATELY, whom, after, until)
    }

    /// Which alarms somebody was told of by text message until then, the latest first.
    pub async fn texts_to(&mut self, whom: &str, until: DateTime<Utc>, most: i64) -> Result<Vec<SentRow>> {
        fetch_all!(self, SENT_TO, whom, until, most)
    }

    /// The codes that somebody was told since then.
    pub async fn codes_of(&mut self, whom: &str, since: DateTime<Utc>) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, CODES, whom, since)?;
        Ok(rows.into_iter().map(|(code,)| code).collect())
    }
}
