//! What is said while a call runs: commands for handsets, what became of them, and what happened in calls.

use android_protocol::live::{LiveEvent, LiveOrder, LiveWord};
use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::alarm::doer::Doer;
use crate::alarm::live_command::{self, CommandState, Known};
use crate::ids::{AlarmId, HandsetId, LiveCommandId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A command with what is known of it and of its call.
    #[derive(Clone, Debug)]
    pub struct LiveCommandRow {
        /// Which one.
        pub id: LiveCommandId,
        /// Its place in the row of commands that its handset was given, once it was sent.
        pub seq: Option<i64>,
        /// The call.
        pub mid: String,
        /// The place of the number in the dial's list.
        pub place: i32,
        /// The record of the call.
        pub record_id: i64,
        /// The number as the handset was given it.
        pub dialled_number: String,
        /// What is to be done; without the keys that it may send.
        pub what: Json<LiveOrder>,
        /// These, as long as it can be carried out.
        pub digits: Option<String>,
        /// When it was made.
        pub made_at: DateTime<Utc>,
        /// By whom.
        pub made_by: Json<Doer>,
        /// Who that is, by their own word.
        pub by_name: Option<String>,
        /// When its handset fetched it first.
        pub sent_at: Option<DateTime<Utc>>,
        /// When its handset said what became of it.
        pub done_at: Option<DateTime<Utc>>,
        /// Why it could not be carried out.
        pub failed: Option<String>,
        /// By which a call of a program knows it.
        pub token: Option<String>,
        /// Its call is over.
        pub call_over: bool,
    }
}

impl LiveCommandRow {
    /// Where it stands, and why it came to nothing.
    #[must_use]
    pub fn stands(&self, now: DateTime<Utc>) -> (CommandState, Option<&str>) {
        live_command::stands(&self.known(), now)
    }

    /// What is to be done, with the keys that are to be sent.
    #[must_use]
    pub fn order(&self) -> LiveOrder {
        match (&self.what.0, &self.digits) {
            (LiveOrder::SendDtmf { .. }, Some(digits)) => LiveOrder::SendDtmf { digits: digits.clone() },
            (order, _) => order.clone(),
        }
    }

    /// When it came to its end, whose call was over then, as far as is known.
    #[must_use]
    pub fn over_at(&self, call_over_at: Option<DateTime<Utc>>) -> DateTime<Utc> {
        live_command::ended_at(&self.known(), self.done_at, call_over_at)
    }

    fn known(&self) -> Known<'_> {
        Known {
            made_at: self.made_at,
            sent: self.sent_at.is_some(),
            done: self.done_at.map(|_| self.failed.as_deref().map_or(Ok(()), Err)),
            drops: live_command::drops(&self.what.0),
            call_over: self.call_over,
        }
    }
}

/// A command to be made.
#[derive(Clone, Debug)]
pub struct NewLiveCommand<'n> {
    /// For which handset.
    pub handset: HandsetId,
    /// In which call.
    pub mid: &'n str,
    /// The place of the number in the dial's list.
    pub place: i32,
    /// What is to be done.
    pub order: &'n LiveOrder,
    /// By whom it is made.
    pub by: &'n Doer,
    /// Who that is, by their own word.
    pub name: Option<&'n str>,
}

statements! {
    /// A handset asks: its newest request, and up to where it has seen commands.
    CONNECT = [
        "INSERT INTO live_handsets (handset_id, last_seq, connection) VALUES ($1, $3, $2)
         ON CONFLICT (handset_id) DO UPDATE SET connection = excluded.connection,
           last_seq = CASE WHEN live_handsets.last_seq < excluded.last_seq THEN excluded.last_seq ELSE live_handsets.last_seq END"
    ];
    /// Which request of a handset is its newest.
    CONNECTION = ["SELECT connection FROM live_handsets WHERE handset_id = $1"];
    /// The same, and the seq it was given last; nobody else gives it one until the transaction ends.
    LOCK = ["SELECT last_seq FROM live_handsets WHERE handset_id = $1 AND connection = $2" for_update];
    /// It was given one more.
    GIVEN = ["UPDATE live_handsets SET last_seq = $2 WHERE handset_id = $1"];
    /// A new command.
    INSERT = [
        "INSERT INTO live_commands (id, handset_id, mid, place, what, made_at, made_by, by_name, digits)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ];
    /// Commands that a handset is to be given: young enough, not above what it has seen, and for calls that go on.
    OPEN = [
        "SELECT c.*, r.id AS record_id, r.dialled_number, FALSE AS call_over
         FROM live_commands c JOIN call_records r ON r.mid = c.mid AND r.place = c.place
         WHERE c.handset_id = $1 AND c.done_at IS NULL AND c.made_at > $2 AND (c.seq IS NULL OR c.seq > $3)
           AND r.reported_at IS NULL AND r.ended_at IS NULL ORDER BY c.made_at, c.id LIMIT 50"
    ];
    /// It is sent.
    SENT = ["UPDATE live_commands SET seq = $2, sent_at = $3 WHERE id = $1 AND seq IS NULL"];
    /// One of a call.
    GET = [
        "SELECT c.*, r.id AS record_id, r.dialled_number, (r.reported_at IS NOT NULL OR r.ended_at IS NOT NULL) AS call_over
         FROM live_commands c JOIN call_records r ON r.mid = c.mid AND r.place = c.place WHERE c.id = $1"
    ];
    /// How many a call has had.
    COUNT = ["SELECT count(*) AS made FROM live_commands WHERE mid = $1"];
    /// Those for the calls about an alarm, the newest first.
    OF_ALARM = [
        "SELECT c.*, r.id AS record_id, r.dialled_number, (r.reported_at IS NOT NULL OR r.ended_at IS NOT NULL) AS call_over
         FROM alarm_hunts l JOIN call_records r ON r.hunt_id = l.hunt_id JOIN live_commands c ON c.mid = r.mid AND c.place = r.place
         WHERE l.alarm_id = $1 AND r.offered_at >= l.joined_at ORDER BY c.made_at DESC, c.id DESC LIMIT 500"
    ];
    /// It is of a call of a program.
    IS_OF = ["UPDATE live_commands SET token = $2 WHERE id = $1"];
    /// By which a call of a program knows one.
    TOKEN = ["SELECT token FROM live_commands WHERE mid = $2 AND seq = $1"];
    /// Those of programs that no handset has fetched, and that are not sent any more. What was fetched goes by its own clocks: a room goes on
    /// without the call through which it was commanded.
    LOST = [
        "SELECT c.*, r.id AS record_id, r.dialled_number, (r.reported_at IS NOT NULL OR r.ended_at IS NOT NULL) AS call_over
         FROM live_commands c JOIN call_records r ON r.mid = c.mid AND r.place = c.place
         WHERE c.token IS NOT NULL AND c.done_at IS NULL AND c.sent_at IS NULL AND c.made_at <= $1 ORDER BY c.made_at LIMIT 100"
    ];
    /// Its program has heard what became of it.
    TOLD = ["UPDATE live_commands SET token = NULL WHERE id = $1 AND token IS NOT NULL"];
    /// What became of one, by the handset's word.
    DONE = [
        "UPDATE live_commands SET done_at = $4, failed = $5, digits = NULL WHERE handset_id = $1 AND seq = $2 AND mid = $3 AND done_at IS NULL"
    ];
    /// Keys of commands that are not sent any more.
    FORGET_DIGITS = [
        "UPDATE live_commands SET digits = NULL WHERE id IN (
           SELECT id FROM live_commands WHERE digits IS NOT NULL AND made_at <= $1 ORDER BY made_at LIMIT 500)"
    ];
    /// Whether there are such.
    OLD_DIGITS = ["SELECT id FROM live_commands WHERE digits IS NOT NULL AND made_at <= $1 ORDER BY made_at LIMIT 1"];
    /// In the call of which number.
    PLACE = ["SELECT place FROM live_commands WHERE handset_id = $1 AND seq = $2 AND mid = $3"];
    /// Something that happened in a call; nothing when it was told before.
    HEAR = [
        "INSERT INTO live_events (handset_id, seq, mid, ack, word, value, at_ms, heard_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (handset_id, mid, seq) DO NOTHING"
    ];
    /// How much was told of a call.
    COUNT_HEARD = ["SELECT count(*) AS heard FROM live_events WHERE mid = $1"];
    /// Forgets old commands.
    FORGET = ["DELETE FROM live_commands WHERE id IN (SELECT id FROM live_commands WHERE made_at < $1 ORDER BY made_at, id LIMIT 500)"];
    /// Forgets what happened in calls long ago.
    FORGET_HEARD = [
        "DELETE FROM live_events WHERE heard_at < $1 AND (handset_id, mid, seq) IN (
           SELECT handset_id, mid, seq FROM live_events WHERE heard_at < $1 ORDER BY heard_at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// Notes that a request of a handset is its newest, and that it has seen commands up to there.
    pub async fn live_connects(&mut self, handset: HandsetId, connection: &str, since: i64) -> Result<()> {
        execute!(self, CONNECT, handset, connection, since).map(|_| ())
    }

    /// Whether this request of a handset is still its newest.
    pub async fn is_live_connection(&mut self, handset: HandsetId, connection: &str) -> Result<bool> {
        let row: Option<(Option<String>,)> = fetch_optional!(self, CONNECTION, handset)?;
        Ok(row.is_some_and(|(newest,)| newest.as_deref() == Some(connection)))
    }

    /// The seq of the last command that a handset was given, locked; `None` when this is not its newest request any more.
    pub async fn lock_live_seq(&mut self, handset: HandsetId, connection: &str) -> Result<Option<i64>> {
        let row: Option<(i64,)> = fetch_optional!(self, LOCK, handset, connection)?;
        Ok(row.map(|(seq,)| seq))
    }

    /// Notes the seq of the last command that a handset was given.
    pub async fn live_seq_given(&mut self, handset: HandsetId, seq: i64) -> Result<()> {
        execute!(self, GIVEN, handset, seq).map(|_| ())
    }

    /// Makes a command.
    pub async fn insert_live_command(&mut self, new: &NewLiveCommand<'_>, now: DateTime<Utc>) -> Result<LiveCommandId> {
        let id = LiveCommandId::new(now);
        let (what, digits) = match new.order {
            LiveOrder::SendDtmf { digits } => (LiveOrder::SendDtmf { digits: String::new() }, Some(digits.as_str())),
            order => (order.clone(), None),
        };
        execute!(self, INSERT, id, new.handset, new.mid, new.place, Json(what), now, Json(new.by), new.name, digits)?;
        Ok(id)
    }

    /// The commands that a handset is to be given, oldest first: those made after `young`, that it has not seen or that are above `since`.
    pub async fn open_live_commands(
        &mut self,
        handset: HandsetId,
        young: DateTime<Utc>,
        since: i64,
    ) -> Result<Vec<LiveCommandRow>> {
        fetch_all!(self, OPEN, handset, young, since)
    }

    /// A command is sent under this seq.
    pub async fn live_command_sent(&mut self, id: LiveCommandId, seq: i64, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SENT, id, seq, now).map(|_| ())
    }

    /// One command.
    pub async fn live_command(&mut self, id: LiveCommandId) -> Result<Option<LiveCommandRow>> {
        fetch_optional!(self, GET, id)
    }

    /// How many commands a call has had.
    pub async fn count_live_commands(&mut self, mid: &str) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT, mid)?;
        Ok(row.map_or(0, |(made,)| made))
    }

    /// The latest 500 commands for the calls about an alarm, oldest first.
    pub async fn live_commands_of(&mut self, alarm: AlarmId) -> Result<Vec<LiveCommandRow>> {
        let mut newest: Vec<LiveCommandRow> = fetch_all!(self, OF_ALARM, alarm)?;
        newest.reverse();
        Ok(newest)
    }

    /// What became of a handset's command in a call: nothing went wrong, or why it could not be carried out.
    pub async fn live_command_done(
        &mut self,
        handset: HandsetId,
        seq: i64,
        mid: &str,
        failed: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        changed_one!(self, DONE, handset, seq, mid, now, failed)
    }

    /// A command is of a call of a program, which knows it by that.
    pub async fn live_command_is_of(&mut self, id: LiveCommandId, token: &str) -> Result<()> {
        execute!(self, IS_OF, id, token).map(|_| ())
    }

    /// By what a call of a program knows a command, which its handset names by its own count.
    pub async fn token_of_live_command(&mut self, seq: i64, mid: &str) -> Result<Option<String>> {
        let row: Option<(Option<String>,)> = fetch_optional!(self, TOKEN, seq, mid)?;
        Ok(row.and_then(|(token,)| token))
    }

    /// Up to 100 commands of programs of which nothing was heard, and that were made by then.
    pub async fn live_commands_of_programs(&mut self, by: DateTime<Utc>) -> Result<Vec<LiveCommandRow>> {
        fetch_all!(self, LOST, by)
    }

    /// The program of a command has heard what became of it; false when it had before.
    pub async fn live_command_is_told(&mut self, id: LiveCommandId) -> Result<bool> {
        changed_one!(self, TOLD, id)
    }

    /// Whether a command that was made by then, and is sent no more, still has its keys.
    pub async fn has_old_digits(&mut self, by: DateTime<Utc>) -> Result<bool> {
        let row: Option<(LiveCommandId,)> = fetch_optional!(self, OLD_DIGITS, by)?;
        Ok(row.is_some())
    }

    /// Forgets the keys of up to 500 of them.
    pub async fn forget_digits(&mut self, by: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_DIGITS, by)
    }

    /// The place of the number in whose call a command was to be carried out, by its handset's count.
    pub async fn place_of_live_command(&mut self, handset: HandsetId, seq: i64, mid: &str) -> Result<Option<i32>> {
        let row: Option<(i32,)> = fetch_optional!(self, PLACE, handset, seq, mid)?;
        Ok(row.map(|(place,)| place))
    }

    /// Keeps what happened in a call; false when it was told before.
    pub async fn hear_live(
        &mut self,
        handset: HandsetId,
        event: &LiveEvent,
        word: LiveWord,
        value: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let ack = Some(event.ack).filter(|ack| *ack > 0);
        let at_ms = event.at_ms.and_then(|ms| i64::try_from(ms).ok());
        changed_one!(self, HEAR, handset, event.seq, event.mid.as_str(), ack, word.as_str(), value, at_ms, now)
    }

    /// How much was told of a call.
    pub async fn count_heard_live(&mut self, mid: &str) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_HEARD, mid)?;
        Ok(row.map_or(0, |(heard,)| heard))
    }

    /// Forgets up to 500 commands that were made before then; gives how many.
    pub async fn forget_live_commands(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }

    /// Forgets up to 500 things that happened in calls before then; gives how many.
    pub async fn forget_heard_live(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_HEARD, before)
    }
}
