//! Answers: who picked up, or confirmed, in which hunt.

use android_protocol::voice::detector;
use chrono::{DateTime, Utc};

use crate::alarm::AnswerVia;
use crate::alarm::consequences::{self, Answer};
use crate::ids::{AlarmId, AnswerId, CalleeId, HandsetId, HuntId, PersonId};
use crate::numbers::same_phone;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// One answer as it is stored.
    #[derive(Clone, Debug)]
    pub struct AnswerRow {
        /// Which one.
        pub id: AnswerId,
        /// The hunt it belongs to.
        pub hunt_id: HuntId,
        /// The dial that brought it.
        pub mid: Option<String>,
        /// The callee it is of, when it is one of the hunt's.
        pub callee_id: Option<CalleeId>,
        /// The number, in its comparable form where it has one.
        pub number: Option<String>,
        /// The person, when known.
        pub person_id: Option<PersonId>,
        /// The name at that moment, else the number.
        pub name: String,
        /// The handset that rang.
        pub handset_id: Option<HandsetId>,
        /// When it reached the server.
        pub at: DateTime<Utc>,
        /// How.
        pub via: AnswerVia,
        /// At which attempt of the callee.
        pub attempt: Option<i32>,
        /// When a human confirmed.
        pub confirmed_at: Option<DateTime<Utc>>,
        /// When it lapsed, unconfirmed.
        pub lapsed_at: Option<DateTime<Utc>>,
        /// What the handset took whoever picked up for: a guess.
        pub machine: Option<detector::Verdict>,
        /// It was confirmed with a key in a call; `None` in rows of older versions.
        pub by_key: Option<bool>,
    }
}

row! {
    /// What somebody said otherwise than in a call.
    #[derive(Clone, Debug)]
    pub struct OwnWordRow {
        /// Which answer.
        pub id: AnswerId,
        /// When.
        pub at: DateTime<Utc>,
        /// How.
        pub via: AnswerVia,
        /// When a human confirmed.
        pub confirmed_at: Option<DateTime<Utc>>,
        /// An alarm that it was about.
        pub alarm_id: Option<AlarmId>,
        /// Its number.
        pub alarm_number: Option<i64>,
    }
}

impl AnswerRow {
    /// What decides about what follows when word comes.
    #[must_use]
    pub fn standing(&self) -> Answer {
        Answer {
            id: self.id,
            mid: self.mid.clone(),
            callee: self.callee_id,
            confirmed_at: self.confirmed_at,
            lapsed: self.lapsed_at.is_some(),
            by_key: self.is_by_key(),
        }
    }

    /// Whether it was confirmed with a key, in the call that brought it.
    #[must_use]
    pub fn is_by_key(&self) -> bool {
        self.by_key.unwrap_or(self.mid.is_some() && self.confirmed_at == Some(self.at))
    }

    /// Whether it came from the phone of this number.
    #[must_use]
    pub fn is_from(&self, number: &str) -> bool {
        self.number.as_deref().is_some_and(|own| same_phone(own, number))
    }
}

statements! {
    /// A new answer.
    INSERT = [
        "INSERT INTO answers (id, hunt_id, mid, callee_id, number, person_id, name, handset_id, at, via, attempt, confirmed_at, machine,
                              by_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    ];
    /// A human stands by it.
    CONFIRM = ["UPDATE answers SET confirmed_at = $2, by_key = $3 WHERE id = $1 AND confirmed_at IS NULL RETURNING hunt_id"];
    /// Nobody confirmed it in time.
    LAPSE = ["UPDATE answers SET lapsed_at = $2 WHERE id = $1 AND confirmed_at IS NULL AND lapsed_at IS NULL RETURNING hunt_id"];
    /// Whether a machine picked up is known now.
    MACHINE = ["UPDATE answers SET machine = $4 WHERE hunt_id = $1 AND mid = $2 AND callee_id = $3 AND machine IS NULL"];
    /// The answers of a hunt, oldest first.
    OF_HUNT = ["SELECT * FROM answers WHERE hunt_id = $1 ORDER BY at, id"];
    /// The answers of these hunts, oldest first.
    OF_HUNTS = ["SELECT * FROM answers WHERE hunt_id" in_list "ORDER BY at, id"];
    /// What somebody said otherwise than in a call, the latest first, each with an alarm that it was about.
    OWN_WORDS = [
        "SELECT w.id, w.at, w.via, w.confirmed_at, w.alarm_id, l.number AS alarm_number
         FROM (SELECT id, at, via, confirmed_at,
                 (SELECT m.alarm_id FROM alarm_hunts m WHERE m.hunt_id = answers.hunt_id ORDER BY m.joined_at, m.alarm_id LIMIT 1) AS alarm_id
               FROM answers WHERE person_id = $1 AND mid IS NULL AND at <= $2 ORDER BY at DESC, id DESC LIMIT $3) w
         LEFT JOIN alarms l ON l.id = w.alarm_id
         ORDER BY w.at DESC, w.id DESC"
    ];
}

/// The answer to show: the one that counts; for want of one the latest that lapsed, so that a hunt in which somebody picked up and
/// never confirmed does not look like one in which nobody did.
#[must_use]
pub fn shown(answers: &[AnswerRow]) -> Option<&AnswerRow> {
    current(answers).or_else(|| answers.last())
}

/// The one answer that counts.
#[must_use]
pub fn current(answers: &[AnswerRow]) -> Option<&AnswerRow> {
    let standing: Vec<Answer> = answers.iter().map(AnswerRow::standing).collect();
    let counts = consequences::current(&standing)?.id;
    answers.iter().find(|answer| answer.id == counts)
}

impl Db<'_> {
    /// Stores an answer.
    pub async fn insert_answer(&mut self, answer: &AnswerRow) -> Result<()> {
        self.touched(|touched| _ = touched.hunts.insert(answer.hunt_id));
        execute!(
            self,
            INSERT,
            answer.id,
            answer.hunt_id,
            answer.mid.as_deref(),
            answer.callee_id,
            answer.number.as_deref(),
            answer.person_id,
            answer.name.as_str(),
            answer.handset_id,
            answer.at,
            answer.via,
            answer.attempt,
            answer.confirmed_at,
            answer.machine,
            answer.by_key,
        )
        .map(|_| ())
    }

    /// Notes that a human confirmed an answer.
    pub async fn confirm_answer(&mut self, id: AnswerId, by_key: bool, now: DateTime<Utc>) -> Result<()> {
        let hunt: Option<(HuntId,)> = fetch_optional!(self, CONFIRM, id, now, by_key)?;
        self.touched(|touched| touched.hunts.extend(hunt.map(|(hunt,)| hunt)));
        Ok(())
    }

    /// Notes whether a machine picked up in the call that brought an answer, unless that is known.
    pub async fn machine_picked_up(
        &mut self,
        hunt: HuntId,
        mid: &str,
        callee: CalleeId,
        machine: detector::Verdict,
    ) -> Result<()> {
        execute!(self, MACHINE, hunt, mid, callee, machine).map(|_| ())
    }

    /// Lets an unconfirmed answer lapse; false when it was confirmed or had lapsed.
    pub async fn lapse_answer(&mut self, id: AnswerId, now: DateTime<Utc>) -> Result<bool> {
        let hunt: Option<(HuntId,)> = fetch_optional!(self, LAPSE, id, now)?;
        self.touched(|touched| touched.hunts.extend(hunt.map(|(hunt,)| hunt)));
        Ok(hunt.is_some())
    }

    /// The answers of a hunt, oldest first.
    pub async fn answers_of(&mut self, hunt: HuntId) -> Result<Vec<AnswerRow>> {
        fetch_all!(self, OF_HUNT, hunt)
    }

    /// The answers of these hunts, oldest first.
    pub async fn answers_of_hunts(&mut self, hunts: &[HuntId]) -> Result<Vec<AnswerRow>> {
        fetch_all!(self, OF_HUNTS, serde_json::json!(hunts).to_string())
    }

    /// What somebody said otherwise than in a call until then, the latest first.
    pub async fn own_words(&mut self, person: PersonId, until: DateTime<Utc>, most: i64) -> Result<Vec<OwnWordRow>> {
        fetch_all!(self, OWN_WORDS, person, until, most)
    }
}
