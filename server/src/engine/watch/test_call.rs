//! The test call that proves a handset: it polled, dialled, reported, its report named the number, and one that speaks heard a key.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Engine, EngineError};
use crate::links::{self, Links};
use crate::lock::Locks;
use crate::numbers::Parsed;
use crate::store::alarm::answers::AnswerRow;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// What a test call has proven so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checklist {
    /// The phone reaches the server.
    pub polled: bool,
    /// It took the number.
    pub dialled: bool,
    /// It said how the call ended.
    pub reported: bool,
    /// It said that the number answered.
    pub matched: bool,
    /// It heard a key; `None` for a handset that cannot.
    pub heard_key: Option<bool>,
    /// Nothing more will come.
    pub ended: bool,
}

const STEPS: [(&str, &str); 5] = [
    (
        "the phone polls",
        "is it in the same network, is the address typed exactly, is the app running and kept alive by the system?",
    ),
    (
        "the phone was given the number",
        "another handset with its token may have taken it, or it is still busy with an earlier call",
    ),
    (
        "the phone dialled and reported",
        "is it allowed to show over other apps, is a SIM chosen for calls, is the screen lock off, may it read the call log, is there \
         at least one call in it, was the call ended? the report comes only after hanging up",
    ),
    (
        "the report names the number",
        "did somebody pick up? then the phone's call log shows the number differently: try it in national form",
    ),
    (
        "the handset heard a key",
        "did you press 1 when it asked for it? then the trunk or the phone passes keys on in a way that the handset does not hear: see \
         docs/voice.md",
    ),
];

impl Checklist {
    /// What is to be proven, and what of it is, with its words.
    fn steps(self) -> impl Iterator<Item = (bool, (&'static str, &'static str))> {
        let steps = [Some(self.polled), Some(self.dialled), Some(self.reported), Some(self.matched), self.heard_key];
        steps.into_iter().zip(STEPS).filter_map(|(done, words)| Some((done?, words)))
    }

    /// Everything works.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.steps().all(|(done, _)| done)
    }

    /// What is proven now and was not before.
    pub fn ticked_since(self, before: &Self) -> impl Iterator<Item = &'static str> {
        let before: Vec<&str> = before.steps().filter(|(done, _)| *done).map(|(_, (line, _))| line).collect();
        self.steps().filter(move |(done, (line, _))| *done && !before.contains(line)).map(|(_, (line, _))| line)
    }

    /// What is not proven, and what to look at.
    pub fn missing(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.steps().filter(|(done, _)| !done).map(|(_, step)| step)
    }

    /// The result in a few words.
    #[must_use]
    pub fn in_words(self) -> String {
        match self.steps().find(|(done, _)| !done) {
            None => "tested".to_owned(),
            Some((_, (line, _))) if self.ended => format!("test failed: not proven that {line}"),
            Some(_) => "test runs".to_owned(),
        }
    }
}

/// Begins a test call.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    store: &Store,
    clock: &Clock,
    config: &Config,
    handset: &HandsetRow,
    number: &Parsed,
) -> Result<(), EngineError> {
    let links = Links::new(store.signing_key(links::SECRET).await?);
    let metrics = Arc::new(Metrics::new());
    let engine = Engine::new(store.clone(), Locks::local(), clock.clone(), Arc::new(config.clone()), metrics, links);
    engine.test_call(handset, number.number.as_str(), number.known_to_plan).await?;
    Ok(())
}

/// What the latest test call of a handset has proven; `None` when there was none.
///
/// # Errors
/// When the database fails.
pub async fn checklist(store: &Store, handset: &HandsetRow) -> Result<Option<Checklist>, StoreError> {
    let Some(id) = handset.test_alarm_id else { return Ok(None) };
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let Some(alarm) = db.alarm(id).await? else { return Ok(None) };
    let dials = db.dials_of(alarm.hunt_id).await?;
    let answers = db.answers_of(alarm.hunt_id).await?;
    Ok(Some(Checklist {
        polled: !dials.is_empty() || handset.last_seen_at.is_some_and(|seen| seen >= alarm.raised_at),
        dialled: !dials.is_empty(),
        reported: dials.iter().any(|dial| dial.reported_at.is_some()),
        matched: answers.iter().any(|answer| answer.mid.is_some() && answer.callee_id.is_some()),
        heard_key: handset.speaks().then(|| answers.iter().any(AnswerRow::is_by_key)),
        ended: alarm.ended_at.is_some(),
    }))
}
