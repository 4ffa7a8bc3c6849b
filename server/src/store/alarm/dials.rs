//! Dials: what was handed to which handset under which mid, and what became of it.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use crate::alarm::attribution::DialledCallee;
use crate::alarm::ringing::{Close, Line, Proof, Serves};
use crate::alarm::{DialOutcome, KeyAction, TargetOutcome, consequences};
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId};
use crate::numbers::phone_of;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::watch::handsets::Profile;
use crate::store::{Db, Result};

row! {
    /// A dial as it is stored.
    #[derive(Clone, Debug)]
    pub struct DialRow {
        /// The identifier that the handset reports with.
        pub mid: String,
        /// The hunt it belongs to.
        pub hunt_id: HuntId,
        /// Who dials; `None` in a dry run.
        pub handset_id: Option<HandsetId>,
        /// No other dial of the hunt may be open beside it.
        pub exclusive: bool,
        /// The list exactly as it was handed out; it never changes.
        pub phones: Json<Vec<String>>,
        /// When it was handed out.
        pub offered_at: DateTime<Utc>,
        /// When it is given up.
        pub deadline: DateTime<Utc>,
        /// How often it was served.
        pub serves: i32,
        /// When it was served last; `None`: when it was handed out.
        pub last_served_at: Option<DateTime<Utc>>,
        /// The time before that.
        pub served_before_at: Option<DateTime<Utc>>,
        /// What its handset could do when it was given the dial; `None` for old dials and dry runs.
        pub profile: Option<Profile>,
        /// Its own length in seconds, whatever serves and grace added; `None` for old dials.
        pub length_s: Option<i32>,
        /// Its app asked for it as no healthy app does, and was told nothing until then.
        pub withheld_until: Option<DateTime<Utc>>,
        /// When it was closed.
        pub closed_at: Option<DateTime<Utc>>,
        /// How.
        pub outcome: Option<DialOutcome>,
        /// The number that answered, as the handset wrote it.
        pub resp: Option<String>,
        /// When the handset reported.
        pub reported_at: Option<DateTime<Utc>>,
        /// Its handset speaks, and asks whoever picks up for a key.
        pub asks_key: bool,
        /// On which of the handset's channels, counted from 0.
        pub channel: i32,
    }
}

impl DialRow {
    /// What decides about what follows when its handset reports.
    #[must_use]
    pub fn standing(&self, targets: &[TargetRow]) -> consequences::Dial {
        let rings = |target: &TargetRow| DialledCallee {
            callee: target.callee_id,
            number: target.number.clone(),
            attempts: target.attempts,
        };
        consequences::Dial {
            mid: self.mid.clone(),
            offered_at: self.offered_at,
            closed: self.closed_at.zip(self.outcome),
            reported: self.reported_at.is_some(),
            resp: self.resp.clone(),
            rings: targets.iter().map(rings).collect(),
            by_handset: self.handset_id.is_some(),
            asks_key: self.asks_key,
            said: targets.iter().filter_map(|target| Some((target.callee_id, target.word()?))).collect(),
        }
    }

    /// When it was served.
    #[must_use]
    pub fn served(&self) -> Serves {
        Serves { last: self.last_served_at.unwrap_or(self.offered_at), before: self.served_before_at }
    }

    /// Its own length, whatever serves and grace added to its deadline.
    #[must_use]
    pub fn length(&self) -> TimeDelta {
        self.length_s.map_or(self.deadline - self.offered_at, |seconds| TimeDelta::seconds(i64::from(seconds)))
    }

    /// What is known of its line, for the rule that says whether it may ring; `ring` is the longest that a call of its handset does.
    #[must_use]
    pub fn line(&self, ring: TimeDelta) -> Line {
        let proof = if self.resp.is_some() { Proof::Over } else { Proof::Nobody };
        let close = |at| if self.outcome == Some(DialOutcome::Expired) { Close::Deadline(at) } else { Close::Unwanted(at) };
        Line {
            stock_app: self.profile == Some(Profile::App),
            serves: self.served(),
            report: self.reported_at.map(|_| proof),
            close: self.closed_at.map(close),
            ring,
        }
    }
}

row! {
    /// One callee of a dial as it is stored.
    #[derive(Clone, Debug)]
    pub struct TargetRow {
        /// The dial.
        pub mid: String,
        /// Place in the list.
        pub seq: i32,
        /// Whom.
        pub callee_id: CalleeId,
        /// The number in its comparable form.
        pub number: String,
        /// Attempts the hand-out reserved.
        pub attempts: i32,
        /// The number may not be rung by anybody else now.
        pub holds: bool,
        /// What became of it, as far as the handset said.
        pub outcome: Option<TargetOutcome>,
        /// What a native handset is doing right now.
        pub progress: Option<String>,
        /// When its line was connected, where a native handset has said so.
        pub connected_at: Option<DateTime<Utc>>,
        /// The first word that was said in the call with a key, before its report.
        pub action: Option<KeyAction>,
        /// When that was heard of.
        pub acted_at: Option<DateTime<Utc>>,
    }
}

impl TargetRow {
    /// What was said in the call: with a key, or as its report tells.
    fn word(&self) -> Option<KeyAction> {
        let declined = self.outcome == Some(TargetOutcome::Declined);
        self.action.or_else(|| declined.then_some(KeyAction::Decline))
    }
}

statements! {
    /// The open dial on a channel of a handset.
    OPEN_OF_CHANNEL = ["SELECT * FROM dials WHERE handset_id = $1 AND channel = $2 AND closed_at IS NULL"];
    /// How many are open on all its channels.
    COUNT_OPEN_OF_HANDSET = ["SELECT count(*) AS open FROM dials WHERE handset_id = $1 AND closed_at IS NULL"];
    /// The latest on a channel, open or not.
    LATEST_OF_CHANNEL = ["SELECT * FROM dials WHERE handset_id = $1 AND channel = $2 ORDER BY offered_at DESC LIMIT 1"];
    /// Counts a serve, which may move the deadline; nothing when the dial was closed or passed its deadline meanwhile.
    COUNT_SERVE = [
        "UPDATE dials SET serves = serves + 1, served_before_at = coalesce(last_served_at, offered_at), last_served_at = $2,
                deadline = CASE WHEN deadline < $3 THEN $3 ELSE deadline END, line_free_at = coalesce($4, line_free_at),
                profile = coalesce($5, profile)
         WHERE mid = $1 AND closed_at IS NULL AND deadline > $2"
    ];
    /// What is known of its serves by now, and what follows from that.
    SET_SERVES = [
        "UPDATE dials SET last_served_at = $2, served_before_at = $3, deadline = CASE WHEN deadline < $4 THEN $4 ELSE deadline END,
                line_free_at = $5
         WHERE mid = $1 AND (closed_at IS NULL) = $6"
    ];
    /// It is not served before then; once in a dial.
    WITHHOLD = [
        "UPDATE dials SET withheld_until = $2, deadline = CASE WHEN deadline < $3 THEN $3 ELSE deadline END
         WHERE mid = $1 AND closed_at IS NULL AND withheld_until IS NULL"
    ];
    /// Open dials that handsets hold.
    OPEN_ON_HANDSETS = ["SELECT * FROM dials WHERE closed_at IS NULL AND handset_id IS NOT NULL"];
    /// One dial.
    GET = ["SELECT * FROM dials WHERE mid = $1"];
    /// A new dial; the unique indexes refuse a second one on a channel of a handset, or beside an exclusive one.
    INSERT = [
        "INSERT INTO dials (mid, hunt_id, handset_id, exclusive, phones, offered_at, deadline, serves, line_free_at, last_served_at, profile,
                            length_s, asks_key, channel)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $6, $9, $10, $11, $12) ON CONFLICT DO NOTHING"
    ];
    /// A callee of it; the unique indexes refuse a phone or callee that is in another open dial.
    INSERT_TARGET = [
        "INSERT INTO dial_targets (mid, seq, callee_id, number, attempts, holds, phone, offered_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT DO NOTHING"
    ];
    /// The callees of a dial.
    TARGETS = ["SELECT * FROM dial_targets WHERE mid = $1 ORDER BY seq"];
    /// The callees of all dials of a hunt.
    TARGETS_OF_HUNT = [
        "SELECT t.* FROM dial_targets t JOIN dials d ON d.mid = t.mid WHERE d.hunt_id = $1 ORDER BY d.offered_at, t.mid, t.seq"
    ];
    /// All dials of a hunt.
    OF_HUNT = ["SELECT * FROM dials WHERE hunt_id = $1 ORDER BY offered_at, mid"];
    /// Open dials of a hunt with whom they ring.
    OPEN_OF_HUNT = [
        "SELECT d.mid, d.deadline, t.callee_id, t.action FROM dials d JOIN dial_targets t ON t.mid = d.mid
         WHERE d.hunt_id = $1 AND d.closed_at IS NULL ORDER BY d.mid, t.seq"
    ];
    /// The phones of a hunt's callees that are in an open dial of any hunt, or whose line may still ring from a closed one.
    BUSY = [
        "SELECT t.phone, d.deadline AS busy_until FROM dial_targets t JOIN dials d ON d.mid = t.mid
         WHERE t.holds AND t.phone IN (SELECT coalesce(phone, number) FROM callees WHERE hunt_id = $1)
         UNION ALL
         SELECT t.phone, d.line_free_at AS busy_until FROM dials d JOIN dial_targets t ON t.mid = d.mid
         WHERE d.line_free_at > $2 AND d.closed_at IS NOT NULL AND t.offered_at IS NOT NULL
           AND" unindexed "t.phone IN (SELECT coalesce(phone, number) FROM callees WHERE hunt_id = $1)"
    ];
    /// Open dials past their deadline.
    EXPIRED = ["SELECT * FROM dials WHERE closed_at IS NULL AND deadline <= $1 ORDER BY deadline, mid LIMIT 200"];
    /// Closes an open dial.
    CLOSE = [
        "UPDATE dials SET closed_at = $2, outcome = $3, line_free_at = $4 WHERE mid = $1 AND closed_at IS NULL"
    ];
    /// Closes an open dial because the handset reported.
    CLOSE_REPORTED = [
        "UPDATE dials SET closed_at = $2, outcome = $3, resp = $4, reported_at = $2, line_free_at = $5
         WHERE mid = $1 AND closed_at IS NULL"
    ];
    /// The call is over, or never was: the line is free.
    LINE_IS_FREE = ["UPDATE dials SET line_free_at = NULL WHERE mid = $1 AND line_free_at IS NOT NULL"];
    /// The handset named somebody after the dial was closed.
    LATE_ANSWER = ["UPDATE dials SET outcome = 'answered', resp = $3, reported_at = $2 WHERE mid = $1 AND closed_at IS NOT NULL"];
    /// The handset reported nobody after the dial was closed.
    LATE_NOBODY = ["UPDATE dials SET reported_at = $2, line_free_at = $3 WHERE mid = $1 AND reported_at IS NULL"];
    /// Frees the numbers of a dial.
    FREE = ["UPDATE dial_targets SET holds = FALSE WHERE mid = $1 AND holds"];
    /// What the handset said of one callee.
    SET_TARGET_OUTCOME = ["UPDATE dial_targets SET outcome = $3 WHERE mid = $1 AND callee_id = $2"];
    /// How far a native handset's call has got.
    SET_PROGRESS = ["UPDATE dial_targets SET progress = $3, progress_at = $4 WHERE mid = $1 AND seq = $2"];
    /// Whether a phone rings, or may still, for whatever hunt.
    PHONE_BUSY = [
        "SELECT t.mid FROM dial_targets t JOIN dials d ON d.mid = t.mid
         WHERE t.phone = $1 AND t.offered_at > $3 AND (d.closed_at IS NULL OR d.line_free_at > $2) LIMIT 1"
    ];
    /// When somebody last pressed a key in a call about an alarm.
    LAST_KEY = [
        "SELECT max(t.acted_at) AS at FROM alarm_hunts l CROSS JOIN dials d CROSS JOIN dial_targets t
         WHERE l.alarm_id = $1 AND d.hunt_id = l.hunt_id AND t.mid = d.mid AND t.number = $2"
    ];
    /// The first word that is said in a call with a key.
    SET_ACTION = ["UPDATE dial_targets SET action = $3, acted_at = $4 WHERE mid = $1 AND callee_id = $2 AND action IS NULL"];
    /// Another dial of the hunt may be open beside it.
    NOT_EXCLUSIVE = ["UPDATE dials SET exclusive = FALSE WHERE mid = $1 AND exclusive"];
    /// Somebody took it in its call, after it was given up. The call goes on.
    TAKEN_LATE = ["UPDATE dials SET outcome = 'answered', resp = $2 WHERE mid = $1 AND closed_at IS NOT NULL"];
    /// Its handset is at work on it: it is not given up before then.
    AT_WORK = ["UPDATE dials SET deadline = $2 WHERE mid = $1 AND closed_at IS NULL AND deadline < $2"];
    /// Whether a call of a hunt was connected.
    WAS_CONNECTED = [
        "SELECT t.mid FROM dials d JOIN dial_targets t ON t.mid = d.mid WHERE d.hunt_id = $1 AND t.connected_at IS NOT NULL LIMIT 1"
    ];
    /// Its line is connected.
    CONNECTED = ["UPDATE dial_targets SET connected_at = $3 WHERE mid = $1 AND seq = $2 AND connected_at IS NULL"];
    /// How many dials are open.
    COUNT_OPEN = ["SELECT count(*) AS open FROM dials WHERE closed_at IS NULL"];
    /// The handsets that have an open dial.
    BUSY_HANDSETS = ["SELECT DISTINCT handset_id FROM dials WHERE closed_at IS NULL AND handset_id IS NOT NULL"];
    /// The channels of a handset on which one is open.
    OPEN_CHANNELS = ["SELECT channel FROM dials WHERE handset_id = $1 AND closed_at IS NULL"];
    /// Those of all handsets, with their mids.
    OPEN_MIDS = ["SELECT handset_id, channel, mid FROM dials WHERE closed_at IS NULL AND handset_id IS NOT NULL"];
}

/// A serve to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Serve<'s> {
    /// Of this dial.
    pub mid: &'s str,
    /// Now.
    pub at: DateTime<Utc>,
    /// Its deadline is not before then.
    pub deadline: DateTime<Utc>,
    /// Until then its line may ring; `None`: that is not for serves to say.
    pub line_free_at: Option<DateTime<Utc>>,
    /// What the handset that is served can do, where that tells more than the hand-out did.
    pub profile: Option<Profile>,
}

/// A dial to be made.
#[derive(Clone, Debug)]
pub struct NewDial {
    /// Its identifier.
    pub mid: String,
    /// The hunt it belongs to.
    pub hunt_id: HuntId,
    /// Who dials; `None` in a dry run.
    pub handset_id: Option<HandsetId>,
    /// No other dial of the hunt may be open beside it.
    pub exclusive: bool,
    /// The list to hand out.
    pub phones: Vec<String>,
    /// Now.
    pub offered_at: DateTime<Utc>,
    /// When it is given up.
    pub deadline: DateTime<Utc>,
    /// Until then the line may ring whatever the handset reports, unless it names who answered; `None`: its report can be trusted.
    pub line_free_at: Option<DateTime<Utc>>,
    /// What its handset can do; `None` in a dry run.
    pub profile: Option<Profile>,
    /// Its handset speaks, and asks for a key.
    pub asks_key: bool,
    /// On which of the handset's channels, counted from 0.
    pub channel: i32,
    /// Whom it rings, in list order.
    pub targets: Vec<NewTarget>,
}

/// One callee of a dial to be made.
#[derive(Clone, Debug)]
pub struct NewTarget {
    /// Whom.
    pub callee_id: CalleeId,
    /// The number in its comparable form.
    pub number: String,
    /// Attempts the hand-out reserves.
    pub attempts: i32,
}

impl NewTarget {
    /// The phone that rings: the same for all numbers by which it is reached.
    #[must_use]
    pub fn phone(&self) -> Cow<'_, str> {
        phone_of(&self.number)
    }
}

row! {
    /// An open dial of a hunt, with one of the callees it rings.
    #[derive(Clone, Debug)]
    pub struct OpenTarget {
        /// The dial.
        pub mid: String,
        /// When it is given up.
        pub deadline: DateTime<Utc>,
        /// Whom it rings.
        pub callee_id: CalleeId,
        /// What they have said in its call with a key.
        pub action: Option<KeyAction>,
    }
}

/// The dials among these in which nobody has said anything yet. One in which somebody has pressed a key goes on until its report, and keeps
/// no other waiting.
#[must_use]
pub fn without_word(open: Vec<OpenTarget>) -> Vec<OpenTarget> {
    let said: Vec<String> = open.iter().filter(|target| target.action.is_some()).map(|target| target.mid.clone()).collect();
    open.into_iter().filter(|target| !said.contains(&target.mid)).collect()
}

impl Db<'_> {
    /// The open dial on a channel of a handset.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_dial_on(&mut self, handset: HandsetId, channel: i32) -> Result<Option<DialRow>> {
        fetch_optional!(self, OPEN_OF_CHANNEL, handset, channel)
    }

    /// The channels of a handset on which a dial is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_channels(&mut self, handset: HandsetId) -> Result<Vec<i32>> {
        let rows: Vec<(i32,)> = fetch_all!(self, OPEN_CHANNELS, handset)?;
        Ok(rows.into_iter().map(|(channel,)| channel).collect())
    }

    /// Whether a dial is open on any channel of a handset.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_open_dial(&mut self, handset: HandsetId) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_OPEN_OF_HANDSET, handset)?;
        Ok(row.is_some_and(|(open,)| open > 0))
    }

    /// The latest dial on a channel of a handset, open or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_dial_on(&mut self, handset: HandsetId, channel: i32) -> Result<Option<DialRow>> {
        fetch_optional!(self, LATEST_OF_CHANNEL, handset, channel)
    }

    /// Counts a serve; false when the dial was closed or passed its deadline meanwhile.
    pub async fn count_serve(&mut self, serve: &Serve<'_>) -> Result<bool> {
        changed_one!(self, COUNT_SERVE, serve.mid, serve.at, serve.deadline, serve.line_free_at, serve.profile)
    }

    /// Stores what is known of a dial's serves, until when its line may ring, and a deadline that it has at least; unless the dial was
    /// closed meanwhile, or was not open to begin with, as `is_open` says.
    pub async fn set_serves(
        &mut self,
        mid: &str,
        serves: Serves,
        deadline: DateTime<Utc>,
        line_free_at: Option<DateTime<Utc>>,
        is_open: bool,
    ) -> Result<()> {
        execute!(self, SET_SERVES, mid, serves.last, serves.before, deadline, line_free_at, is_open).map(|_| ())
    }

    /// Notes that an open dial is not served before then; false when that was done before, or it is closed.
    pub async fn withhold_dial(&mut self, mid: &str, until: DateTime<Utc>, deadline: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, WITHHOLD, mid, until, deadline)
    }

    /// The open dials that handsets hold.
    pub async fn open_dials_on_handsets(&mut self) -> Result<Vec<DialRow>> {
        fetch_all!(self, OPEN_ON_HANDSETS)
    }

    /// One dial.
    pub async fn dial(&mut self, mid: &str) -> Result<Option<DialRow>> {
        fetch_optional!(self, GET, mid)
    }

    /// Stores a dial without its callees; false when a unique index refused it.
    pub async fn insert_dial(&mut self, dial: &NewDial) -> Result<bool> {
        changed_one!(
            self,
            INSERT,
            dial.mid.as_str(),
            dial.hunt_id,
            dial.handset_id,
            dial.exclusive,
            Json(&dial.phones),
            dial.offered_at,
            dial.deadline,
            dial.line_free_at,
            dial.profile,
            i32::try_from((dial.deadline - dial.offered_at).num_seconds()).unwrap_or(i32::MAX),
            dial.asks_key,
            dial.channel,
        )
    }

    /// Stores the callees of a dial; false when one of the phones is in another open dial.
    ///
    /// They are inserted in order of phone: two transactions that want the same phones in different orders would deadlock.
    /// A dry run holds nothing.
    pub async fn insert_targets(&mut self, dial: &NewDial) -> Result<bool> {
        let mut targets: Vec<(usize, &NewTarget)> = dial.targets.iter().enumerate().collect();
        targets.sort_by(|(_, a), (_, b)| a.phone().cmp(&b.phone()));
        for (seq, target) in targets {
            let seq = i32::try_from(seq).unwrap_or(i32::MAX);
            let phone = target.phone();
            let inserted = execute!(
                self,
                INSERT_TARGET,
                dial.mid.as_str(),
                seq,
                target.callee_id,
                target.number.as_str(),
                target.attempts,
                dial.handset_id.is_some(),
                &*phone,
                dial.offered_at,
            )?;
            if inserted != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The callees of a dial, in list order.
    pub async fn targets(&mut self, mid: &str) -> Result<Vec<TargetRow>> {
        fetch_all!(self, TARGETS, mid)
    }

    /// The callees of all dials of a hunt.
    pub async fn targets_of_hunt(&mut self, hunt: HuntId) -> Result<Vec<TargetRow>> {
        fetch_all!(self, TARGETS_OF_HUNT, hunt)
    }

    /// All dials of a hunt.
    pub async fn dials_of(&mut self, hunt: HuntId) -> Result<Vec<DialRow>> {
        fetch_all!(self, OF_HUNT, hunt)
    }

    /// The open dials of a hunt: one row for each callee.
    pub async fn open_targets_of(&mut self, hunt: HuntId) -> Result<Vec<OpenTarget>> {
        fetch_all!(self, OPEN_OF_HUNT, hunt)
    }

    /// The phones of a hunt's callees that are in some open dial, or may still ring from a closed one, and until when.
    pub async fn busy_phones(&mut self, hunt: HuntId, now: DateTime<Utc>) -> Result<HashMap<String, DateTime<Utc>>> {
        let rows: Vec<(String, DateTime<Utc>)> = fetch_all!(self, BUSY, hunt, now)?;
        let mut busy = HashMap::new();
        for (phone, until) in rows {
            let latest = busy.entry(phone).or_insert(until);
            *latest = (*latest).max(until);
        }
        Ok(busy)
    }

    /// Up to 200 open dials past their deadline.
    pub async fn expired_dials(&mut self, now: DateTime<Utc>) -> Result<Vec<DialRow>> {
        fetch_all!(self, EXPIRED, now)
    }

    /// Closes an open dial without a report and frees its numbers; false when it was closed already. Until `line_free_at` the
    /// phone may still ring, so that nobody else rings these numbers.
    pub async fn close_dial(
        &mut self,
        mid: &str,
        outcome: DialOutcome,
        now: DateTime<Utc>,
        line_free_at: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        let closed = changed_one!(self, CLOSE, mid, now, outcome, line_free_at)?;
        if closed {
            execute!(self, FREE, mid)?;
        }
        Ok(closed)
    }

    /// Closes an open dial with the handset's report and frees its numbers; false when it was closed already. Until `line_free_at`
    /// the phone may ring on all the same.
    pub async fn close_reported_dial(
        &mut self,
        mid: &str,
        outcome: DialOutcome,
        resp: Option<&str>,
        now: DateTime<Utc>,
        line_free_at: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        let closed = changed_one!(self, CLOSE_REPORTED, mid, now, outcome, resp, line_free_at)?;
        if closed {
            execute!(self, FREE, mid)?;
        }
        Ok(closed)
    }

    /// Notes that nothing rings any more for a dial.
    pub async fn line_is_free(&mut self, mid: &str) -> Result<()> {
        execute!(self, LINE_IS_FREE, mid).map(|_| ())
    }

    /// Notes that the handset named somebody after the dial was closed.
    pub async fn late_answer(&mut self, mid: &str, resp: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, LATE_ANSWER, mid, now, resp)?;
        self.line_is_free(mid).await
    }

    /// Notes that the handset reported nobody after the dial was closed; false when it had reported before.
    pub async fn late_nobody(&mut self, mid: &str, now: DateTime<Utc>, line_free_at: Option<DateTime<Utc>>) -> Result<bool> {
        changed_one!(self, LATE_NOBODY, mid, now, line_free_at)
    }

    /// Stores what the handset said of one callee.
    pub async fn set_target_outcome(&mut self, mid: &str, callee: CalleeId, outcome: TargetOutcome) -> Result<()> {
        execute!(self, SET_TARGET_OUTCOME, mid, callee, outcome).map(|_| ())
    }

    /// Keeps how far the call to the callee at a place of the list has got.
    pub async fn set_progress(&mut self, mid: &str, seq: i32, state: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_PROGRESS, mid, seq, state, now).map(|_| ())
    }

    /// Whether a phone rings, or may still, in a call that was handed out within the last day.
    pub async fn is_phone_busy(&mut self, phone: &str, now: DateTime<Utc>) -> Result<bool> {
        let row: Option<(String,)> = fetch_optional!(self, PHONE_BUSY, phone, now, now - TimeDelta::days(1))?;
        Ok(row.is_some())
    }

    /// When somebody last pressed a key in a call to this number about an alarm.
    pub async fn last_key(&mut self, number: &str, alarm: AlarmId) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LAST_KEY, alarm, number)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// Keeps the first word that somebody says in a call with a key. Its dial keeps no other of the hunt waiting any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_target_action(&mut self, mid: &str, callee: CalleeId, action: KeyAction, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_ACTION, mid, callee, action, now)?;
        execute!(self, NOT_EXCLUSIVE, mid).map(|_| ())
    }

    /// Notes that somebody took it in the call of a dial that was given up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn taken_late(&mut self, mid: &str, resp: &str) -> Result<()> {
        execute!(self, TAKEN_LATE, mid, resp).map(|_| ())
    }

    /// Gives an open dial time until this instant at least.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn at_work(&mut self, mid: &str, deadline: DateTime<Utc>) -> Result<()> {
        execute!(self, AT_WORK, mid, deadline).map(|_| ())
    }

    /// Keeps when a call was connected, the first time that this is said.
    ///
    /// # Errors
    /// Whether a call of a hunt was connected.
    pub async fn was_connected(&mut self, hunt: HuntId) -> Result<bool> {
        let row: Option<(String,)> = fetch_optional!(self, WAS_CONNECTED, hunt)?;
        Ok(row.is_some())
    }

    /// When the database fails.
    pub async fn connected(&mut self, mid: &str, seq: i32, now: DateTime<Utc>) -> Result<()> {
        execute!(self, CONNECTED, mid, seq, now).map(|_| ())
    }

    /// How many dials are open.
    pub async fn count_open_dials(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_OPEN)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// The handsets that have an open dial.
    pub async fn busy_handsets(&mut self) -> Result<Vec<HandsetId>> {
        let rows: Vec<(HandsetId,)> = fetch_all!(self, BUSY_HANDSETS)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The channels of handsets that have an open dial, each with its mid.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_mids(&mut self) -> Result<HashMap<(HandsetId, i32), String>> {
        let rows: Vec<(HandsetId, i32, String)> = fetch_all!(self, OPEN_MIDS)?;
        Ok(rows.into_iter().map(|(handset, channel, mid)| ((handset, channel), mid)).collect())
    }
}
