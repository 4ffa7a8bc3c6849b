//! Hunts and their callees. Whoever changes a hunt, its dials or its callees locks the hunt first.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use crate::alarm::consequences;
use crate::alarm::hunt::{Callee, Hunt};
use crate::alarm::policy::{Place, Reached, Step, Whom};
use crate::alarm::{AlarmKind, Confirmation, EndReason, HuntOutcome, KeyAction, Mode, Priority, Until, Verdict};
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, PersonId, PolicyId};
use crate::needs::Words;
use crate::numbers::{Number, phone_of, same_phone};
use crate::roster::quiet::{self, QuietHours};
use crate::store::alarm::answers::AnswerRow;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{FromRow, Row, changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

row! {
    /// A hunt as it is stored.
    #[derive(Clone, Debug)]
    pub struct HuntRow {
        /// Which one.
        pub id: HuntId,
        /// What it is for.
        pub kind: AlarmKind,
        /// How urgent.
        pub priority: Priority,
        /// One after the other, or all at once.
        pub mode: Mode,
        /// When it has reached what it wants.
        pub until: Until,
        /// Nobody is really rung.
        pub dry_run: bool,
        /// Hand-outs it may still make.
        pub dials_left: i32,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// When it next wants a handset.
        pub due_at: DateTime<Utc>,
        /// Without a hand-out by then it ends.
        pub begin_before: DateTime<Utc>,
        /// Length of that window, in seconds.
        pub begin_window_s: i32,
        /// First hand-out.
        pub begun_at: Option<DateTime<Utc>>,
        /// When it ended.
        pub ended_at: Option<DateTime<Utc>>,
        /// How it ended.
        pub outcome: Option<HuntOutcome>,
        /// Why it ended without an answer.
        pub end_reason: Option<EndReason>,
        /// Only this handset may ring for it: a test call.
        pub only_handset_id: Option<HandsetId>,
        /// An answer that nobody confirms within so many seconds lapses.
        pub confirm_within: Option<i32>,
        /// Where a call asks for a key, nothing else in it is an answer; and handsets that can go first.
        pub wants_key: bool,
        /// Only handsets that can do all this are given it.
        pub needs: Words,
        /// Its escalation policy.
        pub policy_id: Option<PolicyId>,
        /// Where in the policy it is; `None`: before the first step.
        pub policy_step: Option<i32>,
        /// In which round.
        pub policy_round: i32,
        /// The current step, counted from 0 over all rounds.
        pub step: i32,
        /// When the next step begins at the latest.
        pub step_ends_at: Option<DateTime<Utc>>,
        /// Nobody is rung before then.
        pub snoozed_until: Option<DateTime<Utc>>,
        /// It is urgent, and waits for this phone, which is in another call.
        pub busy_phone: Option<String>,
        /// Something happens to it then, whoever asks.
        pub wake_at: Option<DateTime<Utc>>,
        /// It takes turns with hunts of other queues.
        pub queue: String,
        /// Whom it was asked to ring, when that is for the roster to say.
        pub ring: Option<Json<Step>>,
        /// Who said no to all its alarms before it began.
        pub refused: Option<Json<Vec<SaidNo>>>,
    }
}

/// Somebody who said no, or was taken off, for an alarm.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SaidNo {
    /// The person, when known.
    person: Option<PersonId>,
    /// The number in its comparable form.
    number: String,
}

impl SaidNo {
    /// This callee.
    #[must_use]
    pub fn of(callee: &CalleeRow) -> Self {
        Self { person: callee.person_id, number: callee.number.clone() }
    }

    /// Whoever gave this answer, as far as that is known.
    #[must_use]
    pub fn of_answer(answer: &AnswerRow) -> Option<Self> {
        let number = answer.number.clone().unwrap_or_default();
        (answer.person_id.is_some() || !number.is_empty()).then_some(Self { person: answer.person_id, number })
    }

    /// Them, as a step names whom it rings.
    #[must_use]
    pub fn as_whom(&self) -> Whom {
        self.person.map_or_else(|| Whom::Number(self.number.clone()), Whom::Person)
    }

    /// Whether that is them: the same person, or the same phone where a person is not known.
    #[must_use]
    pub fn is(&self, person: Option<PersonId>, number: &str) -> bool {
        match (self.person, person) {
            (Some(own), Some(other)) => own == other,
            _ => same_phone(&self.number, number),
        }
    }

    /// Whether both are the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.is(other.person, &other.number)
    }
}

impl HuntRow {
    /// Whether a shout's call gives way to it.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.kind.is_alarm() && self.priority >= Priority::High
    }

    /// Until when its alarms leave somebody in peace.
    #[must_use]
    pub fn left_in_peace(&self, person: Option<PersonId>, rules: &[QuietHours], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A call that proves something is wanted now, and so is whatever somebody sends.
        if self.kind.is_alarm() && self.only_handset_id.is_none() {
            quiet::until(rules, person, self.priority, now)
        } else {
            None
        }
    }

    /// Whether no alarm may join it, nor it another, by what it is for and whom it needs. The hunts of Barista clients stand alone too.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.dry_run || !self.kind.is_alarm() || self.only_handset_id.is_some() || !self.needs.is_empty()
    }

    /// What its calls are for. One that proves where a public number leads is a test, whatever is told of it as of an alarm.
    #[must_use]
    pub fn call_kind(&self) -> AlarmKind {
        match self.kind {
            AlarmKind::Alarm if self.only_handset_id.is_some() => AlarmKind::Test,
            kind => kind,
        }
    }

    /// Where in its policy it is.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.policy_step.map(|step| Place { step, round: self.policy_round })
    }

    /// What the pure rule needs to know of it.
    #[must_use]
    pub fn to_rule(&self) -> Hunt {
        Hunt {
            priority: self.priority,
            mode: self.mode,
            until: self.until,
            dials_left: self.dials_left,
            begin_before: self.begin_before,
        }
    }
}

row! {
    /// A callee as it is stored.
    #[derive(Clone, Debug)]
    pub struct CalleeRow {
        /// Which one.
        pub id: CalleeId,
        /// Its escalation step.
        pub step: i32,
        /// Place in the order.
        pub position: i32,
        /// The person, when known.
        pub person_id: Option<PersonId>,
        /// The name when the hunt began.
        pub name: Option<String>,
        /// The number in its comparable form.
        pub number: String,
        /// The numbering plan knows such a number.
        pub known_to_plan: bool,
        /// What the sender calls this callee.
        pub reference: Option<String> as "ref",
        /// How often it may be rung.
        pub max_attempts: i32,
        /// Least seconds between two hand-outs.
        pub min_interval_s: i32,
        /// How often it was handed out.
        pub attempts: i32,
        /// Hand-outs in which the call never left the phone.
        pub failed: i32,
        /// Last hand-out.
        pub last_offered_at: Option<DateTime<Utc>>,
        /// Rung so many seconds after their turn has come, as one of the ways of their own; `None`: by no such way.
        pub after_s: Option<i32>,
        /// When it came, where that matters.
        pub asked_at: Option<DateTime<Utc>>,
        /// What became of it.
        pub verdict: Option<Verdict>,
    }
}

impl HuntRow {
    /// What is wanted of an answer.
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        Confirmation { within: self.confirm_within, key: self.wants_key }
    }

    /// What decides about what follows when word comes.
    #[must_use]
    pub fn standing(&self) -> consequences::Hunt {
        consequences::Hunt {
            until: self.until,
            outcome: self.outcome,
            wants_word: self.confirm_within.is_some(),
            wants_key: self.wants_key,
        }
    }
}

/// A callee with the hunt it belongs to.
struct CalleeOfHunt {
    hunt_id: HuntId,
    callee: CalleeRow,
}

impl FromRow for CalleeOfHunt {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { hunt_id: row.get("hunt_id")?, callee: CalleeRow::from_row(row)? })
    }
}

impl CalleeRow {
    /// They declined, or were taken off.
    #[must_use]
    pub fn said_no(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Declined | Verdict::Skipped))
    }

    /// They, or one who is called by another number as the same person, declined or were taken off.
    #[must_use]
    pub fn said_no_by_any(&self, all: &[Self]) -> bool {
        let way = |own: &Self| own.person_id.filter(|_| own.after_s.is_some());
        self.said_no() || all.iter().any(|other| other.said_no() && way(other).is_some() && way(other) == way(self))
    }

    /// A callee with this number, of whom nothing else is known, and who has not been rung.
    #[must_use]
    pub fn of(number: String, now: DateTime<Utc>) -> Self {
        Self {
            id: CalleeId::new(now),
            step: 0,
            position: 0,
            person_id: None,
            name: None,
            known_to_plan: false,
            number,
            reference: None,
            max_attempts: 0,
            min_interval_s: 0,
            attempts: 0,
            failed: 0,
            last_offered_at: None,
            after_s: None,
            asked_at: None,
            verdict: None,
        }
    }

    /// The callees by which whoever this leads to is called: one for each number of theirs.
    #[must_use]
    pub fn all_of(&self, one: &Reached, now: DateTime<Utc>) -> Vec<Self> {
        let by = |number: &str, after_s| Self {
            id: CalleeId::new(now),
            person_id: one.person,
            name: one.name.clone(),
            known_to_plan: Number::from_stored(number).is_known_to_plan(),
            number: number.to_owned(),
            after_s,
            ..self.clone()
        };
        let others = one.others.iter().map(|way| by(&way.number, Some(way.after_seconds)));
        std::iter::once(by(&one.number, one.after_s)).chain(others).collect()
    }

    /// The same person; where one of the two is not known, the same phone under no other name.
    #[must_use]
    pub fn is_same_person(&self, other: &Self) -> bool {
        let other_name = |own: &Option<String>| own.is_some() && other.name.is_some() && *own != other.name;
        match (self.person_id, other.person_id) {
            (Some(own), Some(other)) => own == other,
            _ => same_phone(&self.number, &other.number) && !other_name(&self.name),
        }
    }

    /// The phone that rings: the same for all numbers by which it is reached.
    #[must_use]
    pub fn phone(&self) -> Cow<'_, str> {
        phone_of(&self.number)
    }

    /// What decides about what follows when word comes.
    #[must_use]
    pub fn standing(&self) -> consequences::Callee {
        consequences::Callee { id: self.id, verdict: self.verdict }
    }

    /// What the pure rule needs to know of it.
    #[must_use]
    pub fn to_rule(&self) -> Callee {
        Callee {
            id: self.id,
            position: self.position,
            person: self.person_id.filter(|_| self.after_s.is_some()),
            phone: self.phone().into_owned(),
            max_attempts: self.max_attempts,
            attempts: self.attempts,
            failed: self.failed,
            min_interval: TimeDelta::seconds(i64::from(self.min_interval_s)),
            last_offered_at: self.last_offered_at,
            quiet_until: None,
            after: TimeDelta::seconds(i64::from(self.after_s.unwrap_or_default())),
            asked_at: self.asked_at,
            verdict: self.verdict,
        }
    }
}

statements! {
    /// When those of a hunt were rung last by the one before it.
    CARRY_OFFERS = [
        "UPDATE callees SET last_offered_at = (SELECT max(own.last_offered_at) FROM callees own
             WHERE own.hunt_id = $1 AND coalesce(own.phone, own.number) = coalesce(callees.phone, callees.number))
         WHERE hunt_id = $2 AND last_offered_at IS NULL"
    ];
    /// A new hunt.
    INSERT = [
        "INSERT INTO hunts (id, priority, mode, until, dry_run, step, dials_left, created_at, due_at, begin_before, begin_window_s,
                            only_handset_id, confirm_within, policy_id, queue, ring, wants_key, needs, kind)
         VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
    ];
    /// Another one that stands where this one stands.
    COPY = [
        "INSERT INTO hunts (id, priority, mode, until, dry_run, confirm_within, wants_key, needs, step, step_ends_at, dials_left, created_at, due_at,
                            begin_before, begin_window_s, begun_at, ended_at, outcome, end_reason, only_handset_id, policy_id,
                            policy_step, policy_round, snoozed_until, wake_at, queue, ring, refused, kind)
         SELECT $2, $3, mode, until, dry_run, confirm_within, wants_key, needs, step, step_ends_at, dials_left, created_at, due_at,
                begin_before, begin_window_s, begun_at, ended_at, outcome, end_reason, only_handset_id, policy_id,
                policy_step, policy_round, snoozed_until, wake_at, queue, ring, refused, kind FROM hunts WHERE id = $1"
    ];
    /// Nobody was rung for it by itself yet.
    NOT_BEGUN = ["UPDATE hunts SET begun_at = NULL WHERE id = $1"];
    /// Who said no before it began.
    SET_REFUSED = ["UPDATE hunts SET refused = $2 WHERE id = $1"];
    /// Whoever wants to be called no more about an alarm, in any hunt it had.
    WANT_NO_MORE = [
        "SELECT said.person_id, said.number FROM (
           SELECT l.alarm_id, c.person_id, c.number FROM alarm_hunts l JOIN dials d ON d.hunt_id = l.hunt_id
             JOIN dial_targets t ON t.mid = d.mid JOIN callees c ON c.id = t.callee_id
           WHERE l.alarm_id" in_list "AND l.joined_at <= d.offered_at AND t.action = $2
           UNION
           SELECT l.alarm_id, c.person_id, c.number FROM alarm_hunts l JOIN inbound_calls i ON i.hunt_id = l.hunt_id
             JOIN callees c ON c.id = i.callee_id
           WHERE l.alarm_id" in_list "AND l.joined_at <= i.at AND i.action = $2) said
         GROUP BY said.person_id, said.number HAVING count(*) = $3"
    ];
    /// Its policy begins anew.
    RESTART_POLICY = ["UPDATE hunts SET policy_step = NULL, policy_round = 0 WHERE id = $1"];
    /// A new callee.
    INSERT_CALLEE = [
        "INSERT INTO callees (id, hunt_id, step, position, person_id, name, number, known_to_plan, ref, max_attempts, min_interval_s,
                              attempts, last_offered_at, verdict, phone, after_s, asked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    ];
    /// The turn of a person has come.
    ASKED = [
        "UPDATE callees SET asked_at = $4 WHERE hunt_id = $1 AND step = $2 AND person_id = $3 AND asked_at IS NULL"
    ];
    /// The most urgent due hunt that nobody else is working on, locked: of those, one of the queue that was served longest ago. Of those that
    /// want a key, only what has been due for longer; and only what needs no more than the handset can.
    NEXT_DUE = [
        "SELECT * FROM hunts WHERE ended_at IS NULL AND NOT dry_run AND due_at <= $1 AND (NOT wants_key OR coalesce(due_since, due_at) <= $3)
           AND (only_handset_id IS NULL OR only_handset_id = $2) AND needs" among_needs "
         ORDER BY priority DESC, (SELECT served_at FROM queues WHERE queues.queue = hunts.queue) NULLS FIRST, due_at, id
         LIMIT 1" skip_locked
    ];
    /// The same for dry runs, which need no handset.
    NEXT_DUE_DRY_RUN = [
        "SELECT * FROM hunts WHERE ended_at IS NULL AND dry_run AND due_at <= $1 ORDER BY due_at, id LIMIT 1" skip_locked
    ];
    /// One hunt, locked.
    LOCK = ["SELECT * FROM hunts WHERE id = $1" for_update];
    /// One hunt.
    GET = ["SELECT * FROM hunts WHERE id = $1"];
    /// When the next hunt wants this handset.
    EARLIEST_DUE_OF = [
        "SELECT kind, wants_key, needs, min(CASE WHEN wants_key THEN coalesce(due_since, due_at) ELSE due_at END) AS due_at FROM hunts
         WHERE ended_at IS NULL AND NOT dry_run AND (only_handset_id IS NULL OR only_handset_id = $1) GROUP BY kind, wants_key, needs"
    ];
    /// When the next hunt of each kind wants any handset.
    EARLIEST_DUE = [
        "SELECT kind, wants_key, needs, min(CASE WHEN wants_key THEN coalesce(due_since, due_at) ELSE due_at END) AS due_at FROM hunts
         WHERE ended_at IS NULL AND NOT dry_run AND only_handset_id IS NULL GROUP BY kind, wants_key, needs"
    ];
    /// When the next hunts want any handset, whatever it can.
    DUE_TIMES = [
        "SELECT due_at FROM hunts
         WHERE ended_at IS NULL AND NOT dry_run AND only_handset_id IS NULL AND needs = '' ORDER BY due_at LIMIT $1"
    ];
    /// When each handset is wanted by hunts that are for it alone.
    EARLIEST_DUE_FOR_ONE = [
        "SELECT only_handset_id, min(due_at) AS due_at FROM hunts
         WHERE ended_at IS NULL AND NOT dry_run AND only_handset_id IS NOT NULL GROUP BY only_handset_id"
    ];
    /// Hunts without an open dial that waited too long for a handset.
    STALLED = [
        "SELECT h.id FROM hunts h WHERE h.ended_at IS NULL AND h.begin_before <= $1
           AND NOT EXISTS (SELECT 1 FROM dials d WHERE d.hunt_id = h.id AND d.closed_at IS NULL)
         ORDER BY h.id LIMIT 100"
    ];
    /// Callees who were handed out in vain, and of whom no handset ever said that they were rung.
    COUNT_UNREPORTED = [
        "SELECT count(*) AS unreported FROM callees c WHERE c.hunt_id = $1 AND c.verdict IS NULL AND" no_report
    ];
    /// When the next dry run goes on.
    EARLIEST_DUE_DRY_RUN = ["SELECT min(due_at) AS due_at FROM hunts WHERE ended_at IS NULL AND dry_run"];
    /// How many hunts are open.
    COUNT_OPEN = ["SELECT count(*) AS open FROM hunts WHERE ended_at IS NULL"];
    /// How many of them are of alarms.
    COUNT_OPEN_OF_ALARMS = ["SELECT count(*) AS open FROM hunts WHERE" open_of_alarms];
    /// Since when the one of them has wanted a handset that has waited longest.
    WAITING_SINCE = [
        "SELECT min(coalesce(due_since, due_at)) AS since FROM hunts WHERE" open_of_alarms "AND NOT dry_run AND due_at <= $1"
    ];
    /// When it wants a handset next, and until when it waits for one. While it goes on to want one it waits since it first did.
    SET_DUE = [
        "UPDATE hunts SET due_at = $2, begin_before = $3,
           due_since = CASE WHEN due_at <= $4 AND $2 <= $4 THEN coalesce(due_since, due_at) ELSE NULL END
         WHERE id = $1 AND ended_at IS NULL"
    ];
    /// When something happens to it, whoever asks.
    SET_WAKE = ["UPDATE hunts SET wake_at = $2 WHERE id = $1"];
    /// Hunts to which something happens by time alone.
    WAKING = ["SELECT id FROM hunts WHERE ended_at IS NULL AND wake_at <= $1 ORDER BY wake_at, id LIMIT 100"];
    /// A step of its policy was passed over, because it led to nobody.
    PASS_STEP = ["UPDATE hunts SET policy_step = $2, policy_round = $3 WHERE id = $1"];
    /// Its next step began.
    BEGIN_STEP = [
        "UPDATE hunts SET step = $2, mode = $3, step_ends_at = $4, dials_left = dials_left + $5, due_at = $6, begin_before = $7,
           due_since = NULL
         WHERE id = $1"
    ];
    /// It has got more callees than others that might join it expect.
    MORE_CALLEES = ["UPDATE hunts SET dials_left = dials_left + $2, join_key = NULL WHERE id = $1"];
    /// The time of its step is over.
    END_STEP_NOW = ["UPDATE hunts SET step_ends_at = $2, due_at = $2, due_since = NULL, snoozed_until = NULL WHERE id = $1 AND ended_at IS NULL"];
    /// Another policy, from its first step.
    SET_POLICY = [
        "UPDATE hunts SET policy_id = $2, policy_step = NULL, policy_round = 0, confirm_within = $3, wants_key = $4 WHERE id = $1"
    ];
    /// Nobody is rung before then.
    SNOOZE = [
        "UPDATE hunts SET snoozed_until = $2, step_ends_at = $3, due_at = $2, due_since = NULL, begin_before = $4 WHERE id = $1 AND ended_at IS NULL"
    ];
    /// When the next step begins at the latest.
    SET_STEP_END = ["UPDATE hunts SET step_ends_at = $2 WHERE id = $1"];
    /// Rings again at once.
    WAKE_UP = ["UPDATE hunts SET snoozed_until = NULL, due_at = $2, due_since = NULL, step_ends_at = $3 WHERE id = $1 AND ended_at IS NULL"];
    /// It was over, and goes on.
    REOPEN = [
        "UPDATE hunts SET ended_at = NULL, outcome = NULL, end_reason = NULL, due_at = $2, due_since = NULL, begin_before = $3
         WHERE id = $1 AND outcome = 'answered'"
    ];
    /// An answer that lapsed does not settle anything any more.
    CLEAR_ANSWERED = ["UPDATE callees SET verdict = NULL WHERE id = $1 AND verdict = 'answered'"];
    /// A hand-out was made.
    HANDED_OUT = [
        "UPDATE hunts SET dials_left = dials_left - 1, due_at = $2, due_since = NULL, begin_before = $3, begun_at = coalesce(begun_at, $4)
         WHERE id = $1 AND ended_at IS NULL"
    ];
    /// Since when it waits for which phone that is in another call.
    BUSY_PHONE = ["UPDATE hunts SET busy_phone = $2, busy_since = $3 WHERE id = $1 AND ended_at IS NULL"];
    /// A hand-out that was none is given back.
    GIVE_HAND_OUT_BACK = ["UPDATE hunts SET dials_left = dials_left + 1 WHERE id = $1 AND ended_at IS NULL"];
    /// It is over.
    END = ["UPDATE hunts SET ended_at = $2, outcome = $3, end_reason = $4, join_key = NULL WHERE id = $1 AND ended_at IS NULL"];
    /// Nobody was reached, so it seemed; then a late report named somebody.
    ANSWERED_AFTER_ALL = [
        "UPDATE hunts SET ended_at = $2, outcome = 'answered', end_reason = NULL WHERE id = $1 AND outcome = 'no_answer'"
    ];
    /// A queue was served.
    QUEUE_SERVED = [
        "INSERT INTO queues (queue, served_at) VALUES ($1, $2) ON CONFLICT (queue) DO UPDATE SET served_at = excluded.served_at"
    ];
    /// The open hunt that alarms for the same people may join, locked.
    WITH_JOIN_KEY = ["SELECT * FROM hunts WHERE join_key = $1" for_update];
    /// Alarms for the same people may join it from now on, or no more.
    SET_JOIN_KEY = ["UPDATE hunts SET join_key = $2 WHERE id = $1"];
    /// It is as urgent as the most urgent alarm in it.
    RAISE_PRIORITY = ["UPDATE hunts SET priority = $2 WHERE id = $1 AND priority < $2"];
    /// What is said of an alarm in one hunt is said of it in another.
    MOVE_EVENTS = ["UPDATE events SET hunt_id = $2 WHERE hunt_id = $1 AND alarm_id IS NOT NULL"];
    /// The same for notices.
    MOVE_DELIVERIES = ["UPDATE deliveries SET hunt_id = $2 WHERE hunt_id = $1"];
    /// A hunt that never was.
    DELETE = ["DELETE FROM hunts WHERE id = $1"];
    /// The callees of a hunt of whom no handset has said how a call ended that it took.
    UNREPORTED = ["SELECT c.id FROM callees c WHERE c.hunt_id = $1 AND" no_report];
    /// The callees of a hunt, in order.
    CALLEES = ["SELECT * FROM callees WHERE hunt_id = $1 ORDER BY step, position"];
    /// Those whom a dial rings, in its order.
    CALLEES_OF_DIAL = [
        "SELECT c.* FROM dial_targets t JOIN callees c ON c.id = t.callee_id WHERE t.mid = $1 ORDER BY t.seq"
    ];
    /// One callee.
    CALLEE = ["SELECT * FROM callees WHERE id = $1"];
    /// One of a step goes before the others: all are put aside under negative positions, and come back in the new order.
    PUT_ASIDE = [
        "UPDATE callees SET position = CASE WHEN id = $3 THEN -1 ELSE -2 - position END WHERE hunt_id = $1 AND step = $2"
    ];
    /// The second half of it.
    COME_BACK = ["UPDATE callees SET position = -1 - position WHERE hunt_id = $1 AND step = $2 AND position < 0"];
    /// Attempts are reserved at hand-out.
    RESERVE = ["UPDATE callees SET attempts = attempts + $2, last_offered_at = $3 WHERE id = $1"];
    /// Given back: the number was not rung, so its interval does not count either.
    GIVE_BACK = ["UPDATE callees SET attempts = attempts - $2, last_offered_at = NULL WHERE id = $1 AND attempts >= $2"];
    /// Given back because the call never left the phone: it began no interval, but others go first.
    GIVE_BACK_FAILED = ["UPDATE callees SET attempts = attempts - $2, failed = failed + 1, last_offered_at = NULL WHERE id = $1 AND attempts >= $2"];
    /// What became of a callee.
    SET_VERDICT = ["UPDATE callees SET verdict = $2 WHERE id = $1 RETURNING hunt_id"];
}

/// A hunt to be made.
#[derive(Clone, Debug)]
pub struct NewHunt {
    /// Which one.
    pub id: HuntId,
    /// What it is for.
    pub kind: AlarmKind,
    /// How urgent.
    pub priority: Priority,
    /// One after the other, or all at once.
    pub mode: Mode,
    /// When it has reached what it wants.
    pub until: Until,
    /// Nobody is really rung.
    pub dry_run: bool,
    /// Hand-outs it may make.
    pub dials_left: i32,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// How long it waits for a handset, in seconds.
    pub begin_window_s: i32,
    /// Only this handset may ring for it.
    pub only_handset_id: Option<HandsetId>,
    /// An answer that nobody confirms within so many seconds lapses.
    pub confirm_within: Option<i32>,
    /// Where a call asks for a key, nothing else in it is an answer.
    pub wants_key: bool,
    /// Only handsets that can do all this are given it.
    pub needs: Words,
    /// Its escalation policy.
    pub policy_id: Option<PolicyId>,
    /// It takes turns with hunts of other queues.
    pub queue: String,
    /// Whom it was asked to ring, when that is for the roster to say.
    pub ring: Option<Step>,
}

row! {
    /// When a hunt wants a handset; or the next of those that want the same of one.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WantedAt {
        /// When.
        pub due_at: DateTime<Utc>,
        /// What it is for.
        pub kind: AlarmKind,
        /// It is left to handsets that speak for a while.
        pub wants_key: bool,
        /// What it needs.
        pub needs: Words,
    }
}

/// A step that begins.
#[derive(Clone, Debug)]
pub struct NewStep {
    /// Its number over all rounds.
    pub step: i32,
    /// One after the other, or all at once.
    pub mode: Mode,
    /// When the next one begins at the latest.
    pub ends_at: Option<DateTime<Utc>>,
    /// Hand-outs it may make.
    pub more_dials: i32,
    /// Now, or when its hunt is snoozed until.
    pub begins_at: DateTime<Utc>,
    /// Until when it waits for a handset.
    pub begin_before: DateTime<Utc>,
}

impl Db<'_> {
    /// Lets the interval of those who were rung by one hunt count in the hunt that follows it.
    pub async fn carry_offers(&mut self, from: HuntId, to: HuntId) -> Result<()> {
        execute!(self, CARRY_OFFERS, from, to).map(|_| ())
    }

    /// Puts one callee before the others of its step.
    pub async fn put_callee_first(&mut self, hunt: HuntId, step: i32, callee: CalleeId) -> Result<()> {
        execute!(self, PUT_ASIDE, hunt, step, callee)?;
        execute!(self, COME_BACK, hunt, step).map(|_| ())
    }

    /// Stores a new hunt that is due at once.
    pub async fn insert_hunt(&mut self, hunt: &NewHunt) -> Result<()> {
        if hunt.kind.is_alarm() && !hunt.dry_run {
            self.touched(|touched| _ = touched.hunts.insert(hunt.id));
        }
        let begin_before = hunt.created_at + TimeDelta::seconds(i64::from(hunt.begin_window_s));
        execute!(
            self,
            INSERT,
            hunt.id,
            hunt.priority,
            hunt.mode,
            hunt.until,
            hunt.dry_run,
            hunt.dials_left,
            hunt.created_at,
            hunt.created_at,
            begin_before,
            hunt.begin_window_s,
            hunt.only_handset_id,
            hunt.confirm_within,
            hunt.policy_id,
            hunt.queue.as_str(),
            hunt.ring.as_ref().map(Json),
            hunt.wants_key,
            &hunt.needs,
            hunt.kind,
        )
        .map(|_| ())
    }

    /// Makes another hunt that stands where this one stands, without its callees and dials.
    pub async fn copy_hunt(&mut self, id: HuntId, copy: HuntId, priority: Priority) -> Result<()> {
        self.touched(|touched| _ = touched.hunts.insert(copy));
        execute!(self, COPY, id, copy, priority).map(|_| ())
    }

    /// Lets a hunt that was made of another one wait as if nobody had been rung for it.
    pub async fn not_begun(&mut self, id: HuntId) -> Result<()> {
        execute!(self, NOT_BEGUN, id).map(|_| ())
    }

    /// Sets who said no before a hunt began.
    pub async fn set_refused(&mut self, id: HuntId, refused: &[SaidNo]) -> Result<()> {
        execute!(self, SET_REFUSED, id, (!refused.is_empty()).then_some(Json(refused))).map(|_| ())
    }

    /// Who pressed the key by which they want to be called no more about each of these alarms.
    pub async fn who_want_no_more(&mut self, alarms: &[AlarmId]) -> Result<Vec<SaidNo>> {
        let all = i64::try_from(alarms.len()).unwrap_or(i64::MAX);
        let ids = serde_json::json!(alarms).to_string();
        let rows: Vec<(Option<PersonId>, String)> = fetch_all!(self, WANT_NO_MORE, ids, KeyAction::StopCalling, all)?;
        Ok(rows.into_iter().map(|(person, number)| SaidNo { person, number }).collect())
    }

    /// Lets a hunt's policy begin anew.
    pub async fn restart_policy(&mut self, id: HuntId) -> Result<()> {
        execute!(self, RESTART_POLICY, id).map(|_| ())
    }

    /// The callees whom a dial rings, in its order.
    pub async fn callees_of_dial(&mut self, mid: &str) -> Result<Vec<CalleeRow>> {
        fetch_all!(self, CALLEES_OF_DIAL, mid)
    }

    /// Stores a callee of a hunt.
    pub async fn insert_callee(&mut self, hunt: HuntId, callee: &CalleeRow) -> Result<()> {
        if callee.verdict == Some(Verdict::Declined) {
            self.touched(|touched| _ = touched.hunts.insert(hunt));
        }
        let phone = callee.phone();
        execute!(
            self,
            INSERT_CALLEE,
            callee.id,
            hunt,
            callee.step,
            callee.position,
            callee.person_id,
            callee.name.as_deref(),
            callee.number.as_str(),
            callee.known_to_plan,
            callee.reference.as_deref(),
            callee.max_attempts,
            callee.min_interval_s,
            callee.attempts,
            callee.last_offered_at,
            callee.verdict,
            &*phone,
            callee.after_s,
            callee.asked_at,
        )
        .map(|_| ())
    }

    /// Notes that the turn of somebody has come, by whichever of their numbers in that step, unless it had before.
    pub async fn asked(&mut self, hunt: HuntId, step: i32, person: PersonId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, ASKED, hunt, step, person, now).map(|_| ())
    }

    /// Takes the most urgent due hunt that this handset may ring for and no other transaction is working on, and locks it. `needs`: one of
    /// these is what it needs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_next_due(
        &mut self,
        now: DateTime<Utc>,
        handset: HandsetId,
        key_by: DateTime<Utc>,
        needs: &BTreeSet<Words>,
    ) -> Result<Option<HuntRow>> {
        let needs: Vec<String> = needs.iter().map(Words::to_string).collect();
        fetch_optional!(self, NEXT_DUE, now, handset, key_by, serde_json::json!(needs).to_string())
    }

    /// The same for dry runs.
    pub async fn lock_next_due_dry_run(&mut self, now: DateTime<Utc>) -> Result<Option<HuntRow>> {
        fetch_optional!(self, NEXT_DUE_DRY_RUN, now)
    }

    /// Locks a hunt until the transaction ends.
    ///
    /// # Errors
    /// When the database fails, or there is no such hunt: callers know it from a foreign key.
    pub async fn lock_hunt(&mut self, id: HuntId) -> Result<HuntRow> {
        fetch_optional!(self, LOCK, id)?.ok_or_else(|| StoreError::Inconsistent(format!("hunt {id} is referred to but missing")))
    }

    /// One hunt.
    pub async fn hunt(&mut self, id: HuntId) -> Result<Option<HuntRow>> {
        fetch_optional!(self, GET, id)
    }

    /// When the next hunt of each kind wants this handset, if it can do what that needs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn earliest_due_of(&mut self, handset: HandsetId) -> Result<Vec<WantedAt>> {
        fetch_all!(self, EARLIEST_DUE_OF, handset)
    }

    /// When the next hunt of each kind wants a handset, of those that are for no single one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn earliest_due(&mut self) -> Result<Vec<WantedAt>> {
        fetch_all!(self, EARLIEST_DUE)
    }

    /// When hunts that any handset may take want one: the earliest, at most so many.
    pub async fn due_times(&mut self, limit: i64) -> Result<Vec<DateTime<Utc>>> {
        let rows: Vec<(DateTime<Utc>,)> = fetch_all!(self, DUE_TIMES, limit)?;
        Ok(rows.into_iter().map(|(due,)| due).collect())
    }

    /// When the next hunt that is for one handset alone wants it: a test call.
    pub async fn earliest_due_for_one(&mut self) -> Result<Vec<(HandsetId, DateTime<Utc>)>> {
        fetch_all!(self, EARLIEST_DUE_FOR_ONE)
    }

    /// When the next dry run goes on; `None` when none is open.
    pub async fn earliest_due_dry_run(&mut self) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, EARLIEST_DUE_DRY_RUN)?;
        Ok(row.and_then(|(due,)| due))
    }

    /// Up to 100 hunts that waited too long for a handset.
    pub async fn stalled_hunts(&mut self, now: DateTime<Utc>) -> Result<Vec<HuntId>> {
        let rows: Vec<(HuntId,)> = fetch_all!(self, STALLED, now)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Whether a hunt has a callee who was handed out in vain, and of whom no handset ever said that they were rung.
    pub async fn has_unreported_callee(&mut self, hunt: HuntId) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_UNREPORTED, hunt)?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// How many hunts of alarms are open.
    pub async fn count_open_hunts_of_alarms(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_OPEN_OF_ALARMS)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Since when the hunt of an alarm has wanted a handset that has waited longest for one; `None` when none waits.
    pub async fn waiting_since(&mut self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, WAITING_SINCE, now)?;
        Ok(row.and_then(|(since,)| since))
    }

    /// How many hunts are open, whatever they are for.
    pub async fn count_open_hunts(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_OPEN)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Sets when an open hunt next wants a handset, and until when it waits for one.
    pub async fn set_hunt_due(
        &mut self,
        id: HuntId,
        due_at: DateTime<Utc>,
        begin_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, SET_DUE, id, due_at, begin_before, now).map(|_| ())
    }

    /// Notes when something happens to a hunt by time alone.
    pub async fn set_hunt_wake(&mut self, id: HuntId, at: Option<DateTime<Utc>>) -> Result<()> {
        execute!(self, SET_WAKE, id, at).map(|_| ())
    }

    /// Up to 100 hunts to which something happens by time alone.
    pub async fn waking_hunts(&mut self, now: DateTime<Utc>) -> Result<Vec<HuntId>> {
        let rows: Vec<(HuntId,)> = fetch_all!(self, WAKING, now)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Notes how far into its policy a hunt is.
    pub async fn pass_step(&mut self, id: HuntId, place: Place) -> Result<()> {
        execute!(self, PASS_STEP, id, place.step, place.round).map(|_| ())
    }

    /// Begins a step: its callees are stored already.
    pub async fn begin_step(&mut self, id: HuntId, step: &NewStep) -> Result<()> {
        execute!(self, BEGIN_STEP, id, step.step, step.mode, step.ends_at, step.more_dials, step.begins_at, step.begin_before)
            .map(|_| ())
    }

    /// Lets a hunt ring so many times more, for callees of its own: no alarm for the people of before joins it.
    pub async fn more_callees(&mut self, id: HuntId, dials: i32) -> Result<()> {
        execute!(self, MORE_CALLEES, id, dials).map(|_| ())
    }

    /// Lets the next step of an open hunt begin now.
    pub async fn end_step_now(&mut self, id: HuntId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, END_STEP_NOW, id, now).map(|_| ())
    }

    /// Gives a hunt another policy, which begins with its first step when the current one is over.
    pub async fn set_hunt_policy(&mut self, id: HuntId, policy: PolicyId, wanted: Confirmation) -> Result<()> {
        execute!(self, SET_POLICY, id, policy, wanted.within, wanted.key).map(|_| ())
    }

    /// Puts an open hunt off.
    pub async fn snooze_hunt(
        &mut self,
        id: HuntId,
        until: DateTime<Utc>,
        step_ends_at: Option<DateTime<Utc>>,
        begin_before: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, SNOOZE, id, until, step_ends_at, begin_before).map(|_| ())
    }

    /// Ends a snooze.
    pub async fn wake_up_hunt(&mut self, id: HuntId, now: DateTime<Utc>, step_ends_at: Option<DateTime<Utc>>) -> Result<()> {
        execute!(self, WAKE_UP, id, now, step_ends_at).map(|_| ())
    }

    /// Sets when the next step begins at the latest.
    pub async fn set_step_end(&mut self, id: HuntId, at: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_STEP_END, id, at).map(|_| ())
    }

    /// Lets a hunt that had ended with an answer go on.
    pub async fn reopen_hunt(&mut self, id: HuntId, now: DateTime<Utc>, begin_before: DateTime<Utc>) -> Result<()> {
        self.touched(|touched| _ = touched.hunts.insert(id));
        execute!(self, REOPEN, id, now, begin_before).map(|_| ())
    }

    /// Takes back that a callee answered.
    pub async fn clear_answered(&mut self, callee: CalleeId) -> Result<()> {
        execute!(self, CLEAR_ANSWERED, callee).map(|_| ())
    }

    /// Counts a hand-out.
    pub async fn hunt_handed_out(
        &mut self,
        id: HuntId,
        due_at: DateTime<Utc>,
        begin_before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, HANDED_OUT, id, due_at, begin_before, now).map(|_| ())
    }

    /// Notes that a hunt waits from now on for a phone that is in another call; `None`: for none.
    pub async fn set_busy_phone(&mut self, id: HuntId, phone: Option<&str>, now: DateTime<Utc>) -> Result<()> {
        execute!(self, BUSY_PHONE, id, phone, now).map(|_| ())
    }

    /// Gives a hand-out back that was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_hand_out_back(&mut self, id: HuntId) -> Result<()> {
        execute!(self, GIVE_HAND_OUT_BACK, id).map(|_| ())
    }

    /// Ends a hunt; false when it had ended before.
    pub async fn end_hunt(
        &mut self,
        id: HuntId,
        outcome: HuntOutcome,
        reason: Option<EndReason>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.touched(|touched| _ = touched.hunts.insert(id));
        changed_one!(self, END, id, now, outcome, reason)
    }

    /// Turns *nobody answered* into *answered*; false when it had not ended so.
    pub async fn answered_after_all(&mut self, id: HuntId, now: DateTime<Utc>) -> Result<bool> {
        self.touched(|touched| _ = touched.hunts.insert(id));
        changed_one!(self, ANSWERED_AFTER_ALL, id, now)
    }

    /// Notes that a queue was served.
    pub async fn queue_served(&mut self, queue: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, QUEUE_SERVED, queue, now).map(|_| ())
    }

    /// Locks the open hunt that alarms for the same people may join.
    pub async fn lock_hunt_with_join_key(&mut self, key: &str) -> Result<Option<HuntRow>> {
        fetch_optional!(self, WITH_JOIN_KEY, key)
    }

    /// Lets alarms for the same people join a hunt, or not any more.
    ///
    /// # Errors
    /// When the database fails; a unique violation when there is another with this key.
    pub async fn set_join_key(&mut self, id: HuntId, key: Option<&str>) -> Result<()> {
        execute!(self, SET_JOIN_KEY, id, key).map(|_| ())
    }

    /// Makes a hunt at least so urgent.
    pub async fn raise_priority(&mut self, id: HuntId, priority: Priority) -> Result<()> {
        execute!(self, RAISE_PRIORITY, id, priority).map(|_| ())
    }

    /// Forgets a hunt that has rung nobody, once its alarm is in another: what was said of the alarm stays.
    pub async fn drop_hunt(&mut self, id: HuntId, instead: HuntId) -> Result<()> {
        self.touched(|touched| _ = touched.hunts.insert(id));
        execute!(self, MOVE_EVENTS, id, instead)?;
        execute!(self, MOVE_DELIVERIES, id, instead)?;
        execute!(self, DELETE, id).map(|_| ())
    }

    /// The callees of a hunt, in order.
    pub async fn callees(&mut self, hunt: HuntId) -> Result<Vec<CalleeRow>> {
        fetch_all!(self, CALLEES, hunt)
    }

    /// The callees of a hunt of whom no handset has said how a call ended that it took: nobody knows whether they were rung.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unreported(&mut self, hunt: HuntId) -> Result<Vec<CalleeId>> {
        let rows: Vec<(CalleeId,)> = fetch_all!(self, UNREPORTED, hunt)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// One callee, with the hunt it belongs to.
    pub async fn callee(&mut self, id: CalleeId) -> Result<Option<(HuntId, CalleeRow)>> {
        let row: Option<CalleeOfHunt> = fetch_optional!(self, CALLEE, id)?;
        Ok(row.map(|row| (row.hunt_id, row.callee)))
    }

    /// Reserves attempts at hand-out.
    ///
    /// # Errors
    /// When the database fails; the table refuses more attempts than were asked for.
    pub async fn reserve_attempts(&mut self, callee: CalleeId, attempts: i32, now: DateTime<Utc>) -> Result<()> {
        execute!(self, RESERVE, callee, attempts, now).map(|_| ())
    }

    /// Gives attempts back because the number was not rung.
    pub async fn give_back_attempts(&mut self, callee: CalleeId, attempts: i32) -> Result<()> {
        execute!(self, GIVE_BACK, callee, attempts).map(|_| ())
    }

    /// Gives attempts back because the call never left the phone.
    pub async fn give_back_failed(&mut self, callee: CalleeId, attempts: i32) -> Result<()> {
        execute!(self, GIVE_BACK_FAILED, callee, attempts).map(|_| ())
    }

    /// Says what became of a callee.
    pub async fn set_verdict(&mut self, callee: CalleeId, verdict: Verdict) -> Result<()> {
        let hunt: Option<(HuntId,)> = fetch_optional!(self, SET_VERDICT, callee, verdict)?;
        self.touched(|touched| touched.hunts.extend(hunt.map(|(hunt,)| hunt)));
        Ok(())
    }
}
