//! What the pages show of the world at one moment, read in a constant number of statements and shared by everybody who looks.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use super::health::Health;
use super::standing::{self, Standing, Steps};
use crate::app::App;
use crate::engine::Engine;
use crate::engine::watch::backups::BackupTrouble;
use crate::engine::watch::handsets::plain_path_is_open;
use crate::engine::watch::health::{Backlog, Wrong};
use crate::ids::{HandsetId, HuntId, TeamId};
use crate::keep::first_steps::{self, FirstStep, Seen, Standing as StepsDone};
use crate::keep::users::teams::Owners;
use crate::lock::LockHealth;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::{self, AnswerRow};
use crate::store::alarm::board::{EndRow, RingingRow, RungRow, TestRow};
use crate::store::alarm::hunts::HuntRow;
use crate::store::duty::log::CurrentDutyRow;
use crate::store::watch::channels::ChannelRow;
use crate::store::watch::handsets::{HandsetRow, KnockRow};
use crate::store::{Db, Store, StoreError};

/// Open hunts shown; the others are counted.
const MOST_OPEN: i64 = 60;
/// Finished alarms shown.
const MOST_FINISHED: i64 = 20;
/// Alarms nobody heard of are in the way for so long.
const UNHEARD_FOR: TimeDelta = TimeDelta::hours(24);
const A_WEEK: TimeDelta = TimeDelta::days(7);
/// The numbers of the week are read again after this, or when a hunt has ended.
const WEEK_LASTS: Duration = Duration::from_mins(1);
/// The first steps are tried again after this, when they could not be written down.
const NOTING_RESTS: Duration = Duration::from_mins(1);

/// Everything that *Now* and *Handsets* show, for no reader in particular.
#[derive(Debug)]
pub(in crate::dashboard) struct Board {
    pub(in crate::dashboard) now: DateTime<Utc>,
    /// The ringing ones first, then the most urgent.
    pub(in crate::dashboard) open: Vec<OpenHunt>,
    /// Open hunts beyond those.
    pub(in crate::dashboard) more_open: i64,
    pub(in crate::dashboard) finished: Vec<Finished>,
    /// Alarms of the last day that fire and that nobody heard of.
    pub(in crate::dashboard) unheard: Vec<AlarmRow>,
    pub(in crate::dashboard) handsets: Vec<HandsetRow>,
    /// The documented path hands out alarms.
    pub(in crate::dashboard) plain_path_open: bool,
    /// Handsets in an open dial.
    calls: HashMap<HandsetId, usize>,
    /// What is known of channels.
    channels: HashMap<HandsetId, Vec<ChannelRow>>,
    pub(in crate::dashboard) tests: HashMap<HandsetId, TestRow>,
    pub(in crate::dashboard) knocks: Vec<KnockRow>,
    pub(in crate::dashboard) week: Week,
    pub(in crate::dashboard) duties: Vec<CurrentDutyRow>,
    pub(in crate::dashboard) locks: LockHealth,
    /// What waits to be told or sent.
    pub(in crate::dashboard) backlogs: Vec<Backlog>,
    /// What is wrong with backups.
    pub(in crate::dashboard) backup: Option<BackupTrouble>,
    /// What keeps this node from doing its work.
    pub(in crate::dashboard) wrong: Vec<Wrong>,
    /// A reverse proxy stands in front, and the configuration does not say which.
    pub(in crate::dashboard) unlisted_proxy: bool,
    /// What is still to be done on a new server, with what is done already.
    pub(in crate::dashboard) first_steps: Option<[(FirstStep, bool); 5]>,
}

/// A hunt that is not over, with its alarms, the most urgent first.
#[derive(Debug)]
pub(in crate::dashboard) struct OpenHunt {
    pub(in crate::dashboard) alarms: Vec<AlarmRow>,
    /// Of which teams each of them is.
    pub(in crate::dashboard) teams: Vec<BTreeSet<TeamId>>,
    pub(in crate::dashboard) rungs: Vec<RungRow>,
    pub(in crate::dashboard) ringing: Vec<RingingRow>,
    pub(in crate::dashboard) answers: Vec<AnswerRow>,
    pub(in crate::dashboard) steps: Steps,
    pub(in crate::dashboard) standing: Standing,
}

impl OpenHunt {
    /// The confirmed answer that stands on the page, for the form that takes the alarm; empty where nobody has it.
    pub(in crate::dashboard) fn seen(&self) -> String {
        let confirmed = answers::current(&self.answers).filter(|answer| answer.confirmed_at.is_some());
        confirmed.map(|answer| answer.id.to_string()).unwrap_or_default()
    }
}

/// An alarm that is over, or whose hunt is.
#[derive(Debug)]
pub(in crate::dashboard) struct Finished {
    pub(in crate::dashboard) alarm: AlarmRow,
    pub(in crate::dashboard) answer: Option<AnswerRow>,
    /// The last who picked up and never confirmed, when nobody else was reached.
    pub(in crate::dashboard) lapsed: Option<AnswerRow>,
    pub(in crate::dashboard) rungs: Vec<RungRow>,
    pub(in crate::dashboard) handset: Option<String>,
}

/// How the hunts of the last seven days ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct Week {
    pub(in crate::dashboard) answered: usize,
    pub(in crate::dashboard) unanswered: usize,
    pub(in crate::dashboard) median_seconds: Option<i64>,
}

impl Week {
    fn of(ends: &[EndRow]) -> Self {
        use crate::alarm::HuntOutcome::Answered;
        let mut times: Vec<i64> =
            ends.iter().filter(|end| end.outcome == Answered).map(|end| (end.ended_at - end.created_at).num_seconds()).collect();
        times.sort_unstable();
        Self { answered: times.len(), unanswered: ends.len() - times.len(), median_seconds: times.get(times.len() / 2).copied() }
    }
}

impl Board {
    /// How a handset is.
    pub(in crate::dashboard) fn health(&self, handset: &HandsetRow) -> Health {
        Health::of(handset, self.channels_of(handset), self.calls_of(handset.id) > 0, self.plain_path_open, self.now)
    }

    /// What is known of the channels of a handset.
    pub(in crate::dashboard) fn channels_of(&self, handset: &HandsetRow) -> &[ChannelRow] {
        self.channels.get(&handset.id).map_or(&[], Vec::as_slice)
    }

    /// How many dials a handset holds.
    pub(in crate::dashboard) fn calls_of(&self, handset: HandsetId) -> usize {
        self.calls.get(&handset).copied().unwrap_or(0)
    }

    /// The world now, and the first steps unless they are known to be done.
    async fn read(engine: &Engine, known: Option<KnownWeek>, steps_done: bool) -> Result<(Self, Option<Seen>), StoreError> {
        let now = engine.clock.now();
        let mut reader = engine.store.read().await?;
        let mut db = reader.db();
        let mut handsets = db.handsets().await?;
        engine.presence.complete(&mut handsets);
        let (open, more_open) = open_hunts(&mut db, now).await?;
        let finished = finished(&mut db, i64::MAX, MOST_FINISHED).await?;
        let latest_end = latest_end(&finished);
        let week = match known {
            Some(known) if known.latest_end == latest_end => known.week,
            _ => Week::of(&db.hunts_ended_since(now - A_WEEK).await?),
        };
        let steps = if steps_done { None } else { Some(first_steps::seen(&mut db).await?) };
        let board = Self {
            now,
            open,
            more_open,
            finished,
            unheard: db.unheard_alarms((now - UNHEARD_FOR).timestamp_millis()).await?,
            calls: calls(db.open_mids().await?.into_keys()),
            channels: db.channels().await?,
            tests: db.handset_tests().await?.into_iter().map(|test| (test.handset_id, test)).collect(),
            knocks: db.knocks().await?,
            week,
            duties: db.current_duties().await?,
            locks: engine.locks.health(),
            backlogs: engine.health.backlogs(),
            backup: engine.backup_trouble(),
            wrong: engine.known_wrong(),
            unlisted_proxy: engine.config.http.has_unlisted_proxy(),
            first_steps: None,
            plain_path_open: plain_path_is_open(&engine.config.handsets, &handsets),
            handsets,
        };
        Ok((board, steps))
    }
}

fn calls(open: impl Iterator<Item = (HandsetId, i32)>) -> HashMap<HandsetId, usize> {
    let mut calls = HashMap::new();
    for (handset, _) in open {
        *calls.entry(handset).or_default() += 1;
    }
    calls
}

fn latest_end(finished: &[Finished]) -> Option<DateTime<Utc>> {
    finished.iter().filter_map(|finished| finished.alarm.ended_at).max()
}

/// The numbers of the week, as they were when this was the latest end of a hunt.
#[derive(Clone, Copy, Debug)]
struct KnownWeek {
    read_at: Instant,
    latest_end: Option<DateTime<Utc>>,
    week: Week,
}

async fn open_hunts(db: &mut Db<'_>, now: DateTime<Utc>) -> Result<(Vec<OpenHunt>, i64), StoreError> {
    let alarms = db.open_alarms(MOST_OPEN).await?;
    let mut rungs = grouped(db.open_rungs(MOST_OPEN).await?, |rung| rung.hunt_id);
    let mut ringing = grouped(db.ringing().await?, |row| row.hunt_id);
    let mut answers = grouped(db.open_answers().await?, |answer| answer.hunt_id);
    let mut steps = grouped(db.open_steps(MOST_OPEN).await?, |event| event.hunt_id);
    let hunts: HashMap<HuntId, HuntRow> = db.open_hunts(MOST_OPEN).await?.into_iter().map(|hunt| (hunt.id, hunt)).collect();
    let policies = db.policies().await?;
    let quiet_hours = db.quiet_hours().await?;
    let owners = Owners::read(db).await?;
    let all = db.count_open_hunts_of_alarms().await?;
    let mut order: Vec<HuntId> = Vec::new();
    for alarm in &alarms {
        if !order.contains(&alarm.hunt_id) {
            order.push(alarm.hunt_id);
        }
    }
    let mut alarms = grouped(alarms, |alarm| alarm.hunt_id);
    let mut open: Vec<OpenHunt> = order
        .into_iter()
        .map(|id| {
            let answers = answers.remove(&id).unwrap_or_default();
            let rungs = rungs.remove(&id).unwrap_or_default();
            let standing = hunts.get(&id).map_or_else(Standing::default, |hunt| Standing {
                quiet: standing::left_in_peace(hunt, &rungs, &quiet_hours, now),
                ..Standing::of(hunt, &policies, &answers, now)
            });
            let alarms = alarms.remove(&id).unwrap_or_default();
            let hunt = hunts.get(&id);
            let policy = hunt.and_then(|hunt| policies.iter().find(|own| Some(own.id) == hunt.policy_id));
            let policy = policy.map(|policy| &policy.definition.0);
            let queue = hunt.map_or("", |hunt| hunt.queue.as_str());
            let of = |alarm: &AlarmRow| owners.of_alarm(alarm.team.as_deref(), queue, policy);
            OpenHunt {
                teams: alarms.iter().map(of).collect(),
                alarms,
                rungs,
                ringing: ringing.remove(&id).unwrap_or_default(),
                steps: standing::steps_of(&steps.remove(&Some(id)).unwrap_or_default()),
                standing,
                answers,
            }
        })
        .collect();
    // Stable: among the ringing ones and among the others the most urgent stay first.
    open.sort_by_key(|hunt| hunt.ringing.is_empty());
    let more = if all > MOST_OPEN { all - MOST_OPEN } else { 0 };
    Ok((open, more))
}

/// Alarms below a number that are over, newest first, with who answered.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn finished(db: &mut Db<'_>, below: i64, limit: i64) -> Result<Vec<Finished>, StoreError> {
    let alarms = db.finished_alarms(below, limit).await?;
    with_answers(db, alarms).await
}

/// These alarms, in their order, with who answered.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn with_answers(db: &mut Db<'_>, alarms: Vec<AlarmRow>) -> Result<Vec<Finished>, StoreError> {
    if alarms.is_empty() {
        return Ok(Vec::new());
    }
    let hunts: Vec<HuntId> = alarms.iter().map(|alarm| alarm.hunt_id).collect();
    let names = db.handset_names().await?;
    let rungs = grouped(db.rungs_of(&hunts).await?, |rung| rung.hunt_id);
    let answers = grouped(db.answers_of_hunts(&hunts).await?, |answer| answer.hunt_id);
    let with_answer = |alarm: AlarmRow| {
        let given = answers.get(&alarm.hunt_id).map_or(&[][..], Vec::as_slice);
        let answer = answers::current(given).cloned();
        let handset = answer.as_ref().and_then(|answer| answer.handset_id);
        let handset = handset.and_then(|id| names.get(&id).cloned());
        let lapsed = answers::shown(given).filter(|_| answer.is_none()).cloned();
        Finished { rungs: rungs.get(&alarm.hunt_id).cloned().unwrap_or_default(), answer, lapsed, handset, alarm }
    };
    Ok(alarms.into_iter().map(with_answer).collect())
}

fn grouped<T, K: Eq + Hash>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

/// The database could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Away;

/// The latest reading, so that many who look cost one reading.
#[derive(Debug, Default)]
pub(in crate::dashboard) struct Boards {
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    board: Option<(Instant, Result<Arc<Board>, Away>)>,
    week: Option<KnownWeek>,
    /// All first steps were done: that is asked no more.
    steps_done: bool,
    noting: Noting,
}

/// The first steps are written down beside: whoever looks does not wait for it, and sees them all the same.
#[derive(Debug, Default)]
struct Noting {
    /// Not before that: somebody writes them, or could not.
    rests_until: Arc<std::sync::Mutex<Option<Instant>>>,
}

impl Noting {
    fn begin(&self, store: &Store, fresh: Vec<FirstStep>, now: DateTime<Utc>) {
        let rest = |place: &std::sync::Mutex<Option<Instant>>, until| {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = until;
        };
        let rests = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until);
        if fresh.is_empty() || rests {
            return;
        }
        rest(&self.rests_until, Some(Instant::now() + NOTING_RESTS));
        let (place, store) = (Arc::clone(&self.rests_until), store.clone());
        tokio::spawn(async move {
            let until = match first_steps::note(&store, &fresh, now).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::debug!(%error, "the first steps could not be written down");
                    Some(Instant::now() + NOTING_RESTS)
                }
            };
            rest(&place, until);
        });
    }
}

impl Boards {
    /// The world as it was at `not_before` or later.
    pub(in crate::dashboard) async fn read(&self, app: &App, not_before: Instant) -> Result<Arc<Board>, Away> {
        let mut latest = self.latest.lock().await;
        if let Some((at, board)) = &latest.board
            && *at >= not_before
        {
            return board.clone();
        }
        let began = Instant::now();
        let known = latest.week.filter(|known| known.read_at.elapsed() < WEEK_LASTS);
        let board = match Board::read(&app.engine, known, latest.steps_done).await {
            Ok((mut board, steps)) => {
                board.unlisted_proxy |= app.access.saw_a_proxy();
                if let Some(seen) = steps {
                    let has_phone = board.handsets.iter().any(|handset| board.health(handset).counts());
                    let steps = StepsDone::of(&seen, has_phone);
                    board.first_steps = Some(steps.all).filter(|_| !steps.is_over());
                    latest.steps_done = steps.is_known_to_be_over();
                    latest.noting.begin(&app.engine.store, steps.fresh, board.now);
                }
                let latest_end = latest_end(&board.finished);
                if known.is_none_or(|known| known.latest_end != latest_end) {
                    latest.week = Some(KnownWeek { read_at: began, latest_end, week: board.week });
                }
                Ok(Arc::new(board))
            }
            Err(error) => {
                tracing::warn!(%error, "the pages could not be read");
                Err(Away)
            }
        };
        // A reading that took long was wanted by those who waited for it: they are not to wait for another.
        let as_of = if board.is_err() { Instant::now() } else { began };
        latest.board = Some((as_of, board.clone()));
        board
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::HuntOutcome;

    #[test]
    fn the_week_in_numbers() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let end = |seconds, outcome| EndRow { created_at: at(0), ended_at: at(seconds), outcome };
        let ends = [
            end(40, HuntOutcome::Answered),
            end(900, HuntOutcome::NoAnswer),
            end(10, HuntOutcome::Answered),
            end(300, HuntOutcome::Answered),
        ];
        assert_eq!(Week::of(&ends), Week { answered: 3, unanswered: 1, median_seconds: Some(40) });
        assert_eq!(Week::of(&[]), Week::default());
    }
}
