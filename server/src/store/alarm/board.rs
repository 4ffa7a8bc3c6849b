//! What the pages show, read in a constant number of statements: open hunts of alarms with their ladders, what ended last, handsets' tests.

use chrono::{DateTime, Utc};

use super::alarms::AlarmRow;
use super::answers::AnswerRow;
use super::events::EventRow;
use super::hunts::HuntRow;
use crate::alarm::event::EventKind;
use crate::alarm::{HuntOutcome, TargetOutcome, Verdict};
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, PersonId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, fetch_all, row};
use crate::store::{Db, Result};

row! {
    /// One rung of a ladder: a callee with the hunt it belongs to.
    #[derive(Clone, Debug)]
    pub struct RungRow {
        /// Which callee.
        pub id: CalleeId,
        /// Its hunt.
        pub hunt_id: HuntId,
        /// The step it came with, counted from 0 over all rounds.
        pub step: i32,
        /// Who it is, where they are on the list of people; read of open hunts alone.
        pub person_id: Option<PersonId>,
        /// The name when the hunt began.
        pub name: Option<String>,
        /// The number in its comparable form.
        pub number: String,
        /// How often it may be rung.
        pub max_attempts: i32,
        /// Least seconds between two hand-outs.
        pub min_interval_s: i32,
        /// How often it was handed out.
        pub attempts: i32,
        /// Hand-outs in which the call never left the phone; read of open hunts alone.
        pub failed: i32,
        /// Last hand-out.
        pub last_offered_at: Option<DateTime<Utc>>,
        /// Rung so many seconds after their turn has come, as one of the ways of their own; read of open hunts alone.
        pub after_s: Option<i32>,
        /// When it came, where that matters.
        pub asked_at: Option<DateTime<Utc>>,
        /// What became of it.
        pub verdict: Option<Verdict>,
        /// A call to them was given up for want of a report, and of none to them there is one: nobody knows whether they were rung.
        pub no_report: bool,
    }
}

row! {
    /// Somebody in an open dial.
    #[derive(Clone, Debug)]
    pub struct RingingRow {
        /// The hunt.
        pub hunt_id: HuntId,
        /// Whom.
        pub callee_id: CalleeId,
        /// Place in the handset's list.
        pub seq: i32,
        /// When the list was handed out.
        pub offered_at: DateTime<Utc>,
        /// The handset; none in a dry run.
        pub handset: Option<String>,
        /// What a native handset is doing right now.
        pub progress: Option<String>,
        /// When it said so.
        pub progress_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// How one hunt of the last days ended.
    #[derive(Clone, Debug)]
    pub struct EndRow {
        /// When it began.
        pub created_at: DateTime<Utc>,
        /// When it ended.
        pub ended_at: DateTime<Utc>,
        /// How.
        pub outcome: HuntOutcome,
    }
}

row! {
    /// What the latest test call of a handset has shown.
    #[derive(Clone, Debug)]
    pub struct TestRow {
        /// The handset.
        pub handset_id: HandsetId,
        /// The alarm that it is.
        pub alarm_id: AlarmId,
        /// When it began.
        pub raised_at: DateTime<Utc>,
        /// When it ended.
        pub ended_at: Option<DateTime<Utc>>,
        /// Hand-outs.
        pub dials: i64,
        /// Reports.
        pub reports: i64,
        /// Reports that named the number.
        pub matches: i64,
        /// Keys that were pressed in the call.
        pub keys: i64,
    }
}

row! {
    /// Whom a dial was to ring, for the timeline.
    #[derive(Clone, Debug)]
    pub struct CallRow {
        /// The dial.
        pub mid: String,
        /// The handset; none in a dry run.
        pub handset: Option<String>,
        /// Which callee.
        pub callee_id: CalleeId,
        /// The name when the hunt began.
        pub name: Option<String>,
        /// The number in its comparable form.
        pub number: String,
        /// What the handset said of it.
        pub outcome: Option<TargetOutcome>,
    }
}

statements! {
    /// Alarms that somebody is to hear of now: the most urgent and oldest hunts first.
    OPEN_ALARMS = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id
         WHERE a.cancelled_at IS NULL AND a.resolved_at IS NULL AND a.hunt_id IN
           (SELECT id FROM hunts WHERE" open_of_alarms "ORDER BY priority DESC, created_at, id LIMIT $1)
         ORDER BY a.priority DESC, h.created_at, a.number LIMIT 200"
    ];
    /// The open hunts themselves.
    OPEN_HUNTS = ["SELECT * FROM hunts WHERE" open_of_alarms "ORDER BY priority DESC, created_at, id LIMIT $1"];
    /// The steps they have begun.
    OPEN_STEPS = [
        "SELECT * FROM events
         WHERE kind = $2 AND hunt_id IN
           (SELECT id FROM hunts WHERE" open_of_alarms "ORDER BY priority DESC, created_at, id LIMIT $1)
         ORDER BY id LIMIT 2000"
    ];
    /// Their ladders.
    OPEN_RUNGS = [
        "SELECT c.id, c.hunt_id, c.step, c.person_id, c.name, c.number, c.max_attempts, c.min_interval_s, c.attempts, c.failed,
                c.last_offered_at, c.after_s, c.asked_at, c.verdict," no_report "AS no_report
         FROM callees c
         WHERE c.hunt_id IN (SELECT id FROM hunts WHERE" open_of_alarms "ORDER BY priority DESC, created_at, id LIMIT $1)
         ORDER BY c.hunt_id, c.step, c.position LIMIT 2000"
    ];
    /// Who is being rung at this moment. CROSS JOIN has SQLite begin with the dials, of which few are open.
    RINGING = [
        "SELECT d.hunt_id, t.callee_id, t.seq, d.offered_at, n.name AS handset, t.progress, t.progress_at
         FROM dials d CROSS JOIN dial_targets t LEFT JOIN handsets n ON n.id = d.handset_id
         WHERE d.closed_at IS NULL AND t.mid = d.mid ORDER BY d.offered_at, d.mid, t.seq"
    ];
    /// Answers in open hunts.
    OPEN_ANSWERS = [
        "SELECT * FROM answers WHERE hunt_id IN (SELECT id FROM hunts WHERE" open_of_alarms ") ORDER BY at, id LIMIT 2000"
    ];
    /// Alarms that are over, or whose hunt is: the newest first.
    FINISHED = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id
         WHERE a.kind = 'alarm' AND a.number < $1 AND (h.ended_at IS NOT NULL OR a.cancelled_at IS NOT NULL OR a.resolved_at IS NOT NULL)
         ORDER BY a.number DESC LIMIT $2"
    ];
    /// The ladders of these hunts.
    RUNGS_OF = [
        "SELECT c.id, c.hunt_id, c.name, c.number, c.max_attempts, c.min_interval_s, c.attempts, 0 AS failed, NULL AS person_id,
                c.last_offered_at, NULL AS after_s, NULL AS asked_at, c.verdict, c.step, c.position," no_report "AS no_report
         FROM callees c WHERE c.hunt_id" in_list
        "ORDER BY c.hunt_id, c.step, c.position LIMIT 5000"
    ];
    /// Alarms nobody heard of that still fire.
    UNHEARD = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id
         WHERE a.kind = 'alarm' AND a.number >= $1 AND h.outcome = 'no_answer' AND a.cancelled_at IS NULL AND a.resolved_at IS NULL AND NOT h.dry_run
           AND h.only_handset_id IS NULL
         ORDER BY a.number DESC LIMIT 50"
    ];
    /// How the hunts of the last days ended.
    ENDS_SINCE = [
        "SELECT created_at, ended_at, outcome FROM hunts
         WHERE id >= $1 AND kind = 'alarm' AND ended_at IS NOT NULL AND outcome IN ('answered', 'no_answer') AND NOT dry_run
           AND only_handset_id IS NULL
         ORDER BY id DESC LIMIT 2000"
    ];
    /// The latest test call of each handset.
    TESTS = [
        "SELECT n.id AS handset_id, a.id AS alarm_id, a.raised_at, h.ended_at,
                (SELECT count(*) FROM dials d WHERE d.hunt_id = h.id) AS dials,
                (SELECT count(*) FROM dials d WHERE d.hunt_id = h.id AND d.reported_at IS NOT NULL) AS reports,
                (SELECT count(*) FROM answers w WHERE w.hunt_id = h.id AND w.mid IS NOT NULL AND w.callee_id IS NOT NULL) AS matches,
                (SELECT count(*) FROM answers k WHERE k.hunt_id = h.id AND k.mid IS NOT NULL AND k.confirmed_at = k.at) AS keys
         FROM handsets n JOIN alarms a ON a.id = n.test_alarm_id JOIN hunts h ON h.id = a.hunt_id"
    ];
    /// Whom the dials of an alarm's hunts were to ring.
    CALLS_OF_ALARM = [
        "SELECT d.mid, n.name AS handset, t.callee_id, c.name, t.number, t.outcome
         FROM alarm_hunts l JOIN dials d ON d.hunt_id = l.hunt_id JOIN dial_targets t ON t.mid = d.mid
         JOIN callees c ON c.id = t.callee_id LEFT JOIN handsets n ON n.id = d.handset_id
         WHERE l.alarm_id = $1 ORDER BY d.offered_at, d.mid, t.seq LIMIT 2000"
    ];
    /// Another name and language for a person.
    UPDATE_PERSON = ["UPDATE people SET name = $2, language = $3, updated_at = $4 WHERE id = $1"];
    /// Forgets a person.
    DELETE_PERSON = ["DELETE FROM people WHERE id = $1"];
}

impl Db<'_> {
    /// Alarms whose hunt is open, of at most so many hunts. Here and below only alarms count, not tests, shouts and calls.
    pub async fn open_alarms(&mut self, hunts: i64) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, OPEN_ALARMS, hunts)
    }

    /// As many open hunts, the most urgent first.
    pub async fn open_hunts(&mut self, hunts: i64) -> Result<Vec<HuntRow>> {
        fetch_all!(self, OPEN_HUNTS, hunts)
    }

    /// The steps that the same hunts have begun.
    pub async fn open_steps(&mut self, hunts: i64) -> Result<Vec<EventRow>> {
        fetch_all!(self, OPEN_STEPS, hunts, EventKind::StepBegan.as_str())
    }

    /// The ladders of the same hunts.
    pub async fn open_rungs(&mut self, hunts: i64) -> Result<Vec<RungRow>> {
        fetch_all!(self, OPEN_RUNGS, hunts)
    }

    /// Who is being rung at this moment.
    pub async fn ringing(&mut self) -> Result<Vec<RingingRow>> {
        fetch_all!(self, RINGING)
    }

    /// Answers in open hunts, oldest first.
    pub async fn open_answers(&mut self) -> Result<Vec<AnswerRow>> {
        fetch_all!(self, OPEN_ANSWERS)
    }

    /// Alarms below a number that are over, or whose hunt is; the newest first.
    pub async fn finished_alarms(&mut self, below: i64, limit: i64) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, FINISHED, below, limit)
    }

    /// The ladders of these hunts.
    pub async fn rungs_of(&mut self, hunts: &[HuntId]) -> Result<Vec<RungRow>> {
        fetch_all!(self, RUNGS_OF, serde_json::json!(hunts).to_string())
    }

    /// Alarms from a number on that nobody heard of and that still fire, the newest first.
    pub async fn unheard_alarms(&mut self, from: i64) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, UNHEARD, from)
    }

    /// How hunts ended that were made since then, the newest first, at most 2000.
    pub async fn hunts_ended_since(&mut self, since: DateTime<Utc>) -> Result<Vec<EndRow>> {
        // Identifiers sort by time, so the primary key finds them.
        let millis = u128::try_from(since.timestamp_millis()).unwrap_or(0);
        let first = HuntId(uuid::Uuid::from_u128(millis << 80));
        fetch_all!(self, ENDS_SINCE, first)
    }

    /// What the latest test call of each handset has shown.
    pub async fn handset_tests(&mut self) -> Result<Vec<TestRow>> {
        fetch_all!(self, TESTS)
    }

    /// Whom the dials of an alarm's hunts were to ring, oldest first.
    pub async fn calls_of_alarm(&mut self, alarm: AlarmId) -> Result<Vec<CallRow>> {
        fetch_all!(self, CALLS_OF_ALARM, alarm)
    }

    /// Gives a person another name and language; false when there is none.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn update_person(&mut self, id: PersonId, name: &str, language: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, UPDATE_PERSON, id, name, language, now)
    }

    /// Forgets a person and their numbers; false when there is none. Past answers and records of calls keep the name. Whoever asks for it has
    /// locked [`Edited::Figures`](crate::store::edits::Edited::Figures) before any row: what is counted at this moment would be waited for.
    pub async fn delete_person(&mut self, id: PersonId) -> Result<bool> {
        self.lock_figures().await?;
        self.call_records_know_no_longer(id).await?;
        let gone = changed_one!(self, DELETE_PERSON, id)?;
        self.figures_know_no_longer(id).await?;
        Ok(gone)
    }
}
