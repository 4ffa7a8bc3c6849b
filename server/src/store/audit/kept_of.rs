//! What is kept of one person, to be read by them: the parts that nothing else reads by person, a page at a time.

use chrono::{DateTime, Utc};
use serde_json::Value as JsonValue;
use sqlx::types::Json;

use crate::ids::{AlarmId, AnswerId, CalleeId, HuntId, InboundSmsId, PersonId, RecordingId, ScheduleId, SmsId, SwapId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{fetch_all, row};
use crate::store::{Db, Result};

row! {
    /// An answer of theirs.
    #[derive(Clone, Debug)]
    pub struct AnswerOf {
        /// Which one.
        pub id: AnswerId,
        /// For which effort.
        pub hunt_id: HuntId,
        /// As whom.
        pub name: String,
        /// At which number.
        pub number: Option<String>,
        /// When.
        pub at: DateTime<Utc>,
        /// When they stood by it.
        pub confirmed_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// That they were to be rung.
    #[derive(Clone, Debug)]
    pub struct RungOf {
        /// Which place.
        pub id: CalleeId,
        /// In which effort.
        pub hunt_id: HuntId,
        /// As whom.
        pub name: Option<String>,
        /// At which number.
        pub number: String,
        /// How often they were called.
        pub attempts: i32,
        /// When they were called last.
        pub last_offered_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A text message to them.
    #[derive(Clone, Debug)]
    pub struct TextTo {
        /// Which one.
        pub id: SmsId,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// What it says.
        pub text: String,
        /// When it was sent.
        pub sent_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A text message from them.
    #[derive(Clone, Debug)]
    pub struct TextFrom {
        /// Which one.
        pub id: InboundSmsId,
        /// When it came.
        pub received_at: DateTime<Utc>,
        /// What it says.
        pub text: String,
    }
}

row! {
    /// A recording of what they said.
    #[derive(Clone, Debug)]
    pub struct RecordingOf {
        /// Which one.
        pub id: RecordingId,
        /// In which effort.
        pub hunt_id: HuntId,
        /// At which number.
        pub number: String,
        /// When its handset told of it.
        pub named_at: DateTime<Utc>,
        /// How long it is, by its handset's word.
        pub seconds: Option<i64>,
        /// When its sound went.
        pub gone_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A call of theirs that came in.
    #[derive(Clone, Debug)]
    pub struct CallFrom {
        /// Which one.
        pub mid: String,
        /// When.
        pub at: DateTime<Utc>,
        /// About which effort.
        pub hunt_id: HuntId,
        /// What they said with a key.
        pub action: Option<String>,
    }
}

row! {
    /// A line of a timeline, or beside all of them.
    #[derive(Clone, Debug)]
    pub struct LineOf {
        /// Which one.
        pub id: i64,
        /// Of which alarm.
        pub alarm_id: Option<AlarmId>,
        /// Of which effort.
        pub hunt_id: Option<HuntId>,
        /// When.
        pub at: DateTime<Utc>,
        /// What happened.
        pub kind: String,
        /// Its particulars.
        pub body: Json<JsonValue>,
    }
}

row! {
    /// A swap of shifts that they asked for, were asked for, or took.
    #[derive(Clone, Debug)]
    pub struct SwapOf {
        /// Which one.
        pub id: SwapId,
        /// Of whose plan.
        pub schedule_id: ScheduleId,
        /// From when.
        pub starts_at: DateTime<Utc>,
        /// Until when.
        pub ends_at: DateTime<Utc>,
        /// What became of it.
        pub said: String,
    }
}

statements! {
    /// What was recorded of them.
    RECORDINGS = [
        "SELECT id, hunt_id, number, named_at, seconds, gone_at FROM recordings WHERE person_id = $1 AND id > $2 ORDER BY id LIMIT 500"
    ];
    /// Calls that came from a number.
    CALLS_FROM = [
        "SELECT mid, at, hunt_id, action FROM inbound_calls WHERE number = $1 AND (at, mid) > ($2, $3) ORDER BY at, mid LIMIT 500"
    ];
    /// A portion of all timelines.
    LINES = ["SELECT id, alarm_id, hunt_id, at, kind, body FROM events WHERE id > $1 ORDER BY id LIMIT 500"];
    /// Swaps that they asked for.
    SWAPS_ASKED = [
        "SELECT id, schedule_id, starts_at, ends_at, said FROM duty_swaps WHERE person_id = $1 ORDER BY created_at DESC LIMIT 1000"
    ];
    /// That they were asked for.
    SWAPS_OF_OTHERS = ["SELECT id, schedule_id, starts_at, ends_at, said FROM duty_swaps WHERE other_id = $1 LIMIT 1000"];
    /// That they took.
    SWAPS_TAKEN = ["SELECT id, schedule_id, starts_at, ends_at, said FROM duty_swaps WHERE taken_by = $1 LIMIT 1000"];
    /// Their answers.
    ANSWERS = [
        "SELECT id, hunt_id, name, number, at, confirmed_at FROM answers WHERE person_id = $1 AND id > $2 ORDER BY id LIMIT 500"
    ];
    /// Where they were to be rung.
    RUNG = [
        "SELECT id, hunt_id, name, number, attempts, last_offered_at FROM callees
         WHERE person_id = $1 AND id > $2 ORDER BY id LIMIT 500"
    ];
    /// Text messages to a number.
    TEXTS_TO = [
        "SELECT id, created_at, text, sent_at FROM sms_outbox
         WHERE number = $1 AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT 500"
    ];
    /// Text messages from a number.
    TEXTS_FROM = [
        "SELECT id, received_at, text FROM sms_inbox
         WHERE sender = $1 AND (received_at, id) > ($2, $3) ORDER BY received_at, id LIMIT 500"
    ];
}

impl Db<'_> {
    /// Up to 500 answers of somebody behind one.
    pub async fn answers_of_person(&mut self, person: PersonId, after: AnswerId) -> Result<Vec<AnswerOf>> {
        fetch_all!(self, ANSWERS, person, after)
    }

    /// Up to 500 places in which somebody was to be rung, behind one.
    pub async fn rung_of_person(&mut self, person: PersonId, after: CalleeId) -> Result<Vec<RungOf>> {
        fetch_all!(self, RUNG, person, after)
    }

    /// Up to 500 recordings of somebody behind one.
    pub async fn recordings_of_person(&mut self, person: PersonId, after: RecordingId) -> Result<Vec<RecordingOf>> {
        fetch_all!(self, RECORDINGS, person, after)
    }

    /// Up to 500 calls that came from a number, behind one.
    pub async fn calls_from(&mut self, number: &str, after: (DateTime<Utc>, &str)) -> Result<Vec<CallFrom>> {
        fetch_all!(self, CALLS_FROM, number, after.0, after.1)
    }

    /// Up to 500 lines of all timelines behind one.
    pub async fn lines_behind(&mut self, after: i64) -> Result<Vec<LineOf>> {
        fetch_all!(self, LINES, after)
    }

    /// The swaps of somebody: those that they asked for, were asked for, and took.
    pub async fn swaps_of_person(&mut self, person: PersonId) -> Result<Vec<SwapOf>> {
        let mut swaps: Vec<SwapOf> = fetch_all!(self, SWAPS_ASKED, person)?;
        let of_others: Vec<SwapOf> = fetch_all!(self, SWAPS_OF_OTHERS, person)?;
        let taken: Vec<SwapOf> = fetch_all!(self, SWAPS_TAKEN, person)?;
        swaps.extend(of_others);
        swaps.extend(taken);
        swaps.sort_unstable_by_key(|swap| swap.id);
        swaps.dedup_by_key(|swap| swap.id);
        Ok(swaps)
    }

    /// Up to 500 text messages to a number behind one.
    pub async fn texts_sent_to(&mut self, number: &str, after: (DateTime<Utc>, SmsId)) -> Result<Vec<TextTo>> {
        fetch_all!(self, TEXTS_TO, number, after.0, after.1)
    }

    /// Up to 500 text messages from a number behind one.
    pub async fn texts_from(&mut self, number: &str, after: (DateTime<Utc>, InboundSmsId)) -> Result<Vec<TextFrom>> {
        fetch_all!(self, TEXTS_FROM, number, after.0, after.1)
    }
}
