//! What a Barista client said of its call beside what every alarm has.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::ids::{AlarmId, HuntId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A call as its sender asked for it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BaristaCall {
        /// The host that is in trouble.
        pub hostname: String,
        /// Who or what asked for the call.
        pub operator: String,
        /// Calls to each addressee, as given: 10 at most, and none at all when it is not positive.
        pub frequency: i64,
        /// The language of the announcement.
        pub language: String,
        /// Which opening phrase was chosen.
        pub head_id: i32,
        /// Which closing phrase.
        pub foot_id: i32,
        /// The opening phrase as it was then.
        pub head_message: String,
        /// What happened.
        pub message: String,
        /// The closing phrase as it was then.
        pub foot_message: String,
        /// Whom to ring; each belongs to the callee at the same place of the hunt.
        pub addressees: Json<Vec<Addressee>>,
    }
}

impl BaristaCall {
    /// What is said to whoever picks up.
    #[must_use]
    pub fn announcement(&self) -> String {
        [self.head_message.as_str(), &self.message, &self.foot_message].join(" ")
    }
}

/// What an addressee has beside what every callee has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressee {
    /// Its place in the order, as given.
    pub order: i64,
    /// Its number, as given.
    pub number: String,
}

statements! {
    /// What a new alarm has beside the others.
    INSERT = [
        "INSERT INTO barista_calls (alarm_id, hostname, operator, frequency, language, head_id, foot_id, head_message, message,
                                    foot_message, addressees)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    ];
    /// What an alarm has beside the others.
    GET = ["SELECT * FROM barista_calls WHERE alarm_id = $1"];
    /// Whether a hunt is for such an alarm.
    OF_HUNT = ["SELECT a.hunt_id FROM alarms a JOIN barista_calls b ON b.alarm_id = a.id WHERE a.hunt_id = $1 LIMIT 1"];
}

impl Db<'_> {
    /// Stores what an alarm has beside the others.
    pub async fn insert_barista_call(&mut self, alarm: AlarmId, call: &BaristaCall) -> Result<()> {
        execute!(
            self,
            INSERT,
            alarm,
            call.hostname.as_str(),
            call.operator.as_str(),
            call.frequency,
            call.language.as_str(),
            call.head_id,
            call.foot_id,
            call.head_message.as_str(),
            call.message.as_str(),
            call.foot_message.as_str(),
            &call.addressees,
        )
        .map(|_| ())
    }

    /// What an alarm has beside the others; `None` when it came through another door.
    pub async fn barista_call(&mut self, alarm: AlarmId) -> Result<Option<BaristaCall>> {
        fetch_optional!(self, GET, alarm)
    }

    /// Whether a hunt is for an alarm of a Barista client.
    pub async fn is_barista_hunt(&mut self, hunt: HuntId) -> Result<bool> {
        let row: Option<(HuntId,)> = fetch_optional!(self, OF_HUNT, hunt)?;
        Ok(row.is_some())
    }
}
