//! What is kept of one person, to be read by them: the parts that nothing else reads by person, a page at a time.

use chrono::{DateTime, Utc};

use crate::ids::{AnswerId, CalleeId, HuntId, InboundSmsId, PersonId, SmsId};
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

statements! {
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

    /// Up to 500 text messages to a number behind one.
    pub async fn texts_sent_to(&mut self, number: &str, after: (DateTime<Utc>, SmsId)) -> Result<Vec<TextTo>> {
        fetch_all!(self, TEXTS_TO, number, after.0, after.1)
    }

    /// Up to 500 text messages from a number behind one.
    pub async fn texts_from(&mut self, number: &str, after: (DateTime<Utc>, InboundSmsId)) -> Result<Vec<TextFrom>> {
        fetch_all!(self, TEXTS_FROM, number, after.0, after.1)
    }
}
