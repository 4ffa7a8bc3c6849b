//! Commands for native handsets: kept until their result is posted.

use android_protocol::wire::CommandKind;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use crate::ids::{CommandId, HandsetId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A command that waits for its result.
    #[derive(Clone, Debug)]
    pub struct CommandRow {
        /// Which one.
        pub id: CommandId,
        /// What to do, as it goes over the wire.
        pub body: Json<Value>,
        /// When it was handed out for the first time.
        pub handed_at: Option<DateTime<Utc>>,
    }
}

impl CommandRow {
    /// What to do; `None` when this version does not know such a command.
    #[must_use]
    pub fn command(&self) -> Option<CommandKind> {
        serde_json::from_value(self.body.0.clone()).ok()
    }
}

statements! {
    /// A new command.
    INSERT = ["INSERT INTO handset_commands (id, handset_id, body, created_at) VALUES ($1, $2, $3, $4)"];
    /// Those without a result, oldest first.
    OPEN = ["SELECT id, body, handed_at FROM handset_commands WHERE handset_id = $1 AND done_at IS NULL ORDER BY created_at, id LIMIT 20"];
    /// The handsets for which there are some.
    HANDSETS = ["SELECT DISTINCT handset_id FROM handset_commands WHERE done_at IS NULL"];
    /// It was handed out for the first time.
    HANDED = ["UPDATE handset_commands SET handed_at = $2 WHERE id = $1 AND handed_at IS NULL"];
    /// When it was handed out.
    HANDED_AT = ["SELECT handed_at FROM handset_commands WHERE id = $1"];
    /// Its result.
    DONE = ["UPDATE handset_commands SET done_at = $3, result = $4 WHERE id = $1 AND handset_id = $2 AND done_at IS NULL"];
    /// Its handset is to do it no more.
    TAKE_BACK = ["UPDATE handset_commands SET done_at = $2, result = $3 WHERE id = $1 AND done_at IS NULL"];
    /// Forgets those that were given long ago; not one by which a text message still waits to be sent, which would be sent once more.
    FORGET = [
        "DELETE FROM handset_commands WHERE id IN (
           SELECT c.id FROM handset_commands c WHERE c.created_at < $1
             AND (c.done_at IS NOT NULL OR NOT EXISTS (
               SELECT 1 FROM sms_outbox o WHERE o.command_id = c.id AND o.sent_at IS NULL AND o.gave_up_at IS NULL))
           ORDER BY c.created_at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// Stores a command for a handset.
    pub async fn insert_command(
        &mut self,
        id: CommandId,
        handset: HandsetId,
        command: &CommandKind,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, INSERT, id, handset, Json(command), now).map(|_| ())
    }

    /// Notes that a command was handed to its handset.
    pub async fn command_handed(&mut self, id: CommandId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, HANDED, id, now).map(|_| ())
    }

    /// When a command was handed out for the first time.
    pub async fn command_handed_at(&mut self, id: CommandId) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, HANDED_AT, id)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// The commands of a handset that have no result yet, oldest first, at most 20.
    pub async fn open_commands(&mut self, handset: HandsetId) -> Result<Vec<CommandRow>> {
        fetch_all!(self, OPEN, handset)
    }

    /// The handsets that have commands without a result.
    pub async fn handsets_with_commands(&mut self) -> Result<Vec<HandsetId>> {
        let rows: Vec<(HandsetId,)> = fetch_all!(self, HANDSETS)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Forgets up to 500 commands that were given before then, also those that nobody has fetched; gives how many.
    pub async fn forget_commands(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }

    /// Takes a command back that has no result.
    pub async fn take_back_command(&mut self, id: CommandId, now: DateTime<Utc>) -> Result<()> {
        let result = serde_json::json!({ "ok": false, "detail": "the handset has not fetched it", "fetched": false });
        execute!(self, TAKE_BACK, id, now, Json(result)).map(|_| ())
    }

    /// Stores the result of a handset's command; false when it has one already, or is not this handset's.
    pub async fn command_done(&mut self, id: CommandId, handset: HandsetId, result: &Value, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, DONE, id, handset, now, Json(result))
    }
}
