//! Maintenance: an alarm that matches an open window is stored and held; if it still fires when the window ends, people are rung.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::{AlarmKind, HuntOutcome};
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::{AlarmId, HuntId};
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::hunts::HuntRow;
use crate::store::watch::maintenance::{HeldRow, WindowRow};
use crate::store::{Announcement, Work};

/// When a window ends, its alarms are released within a second or so. Should that fail, they are rung all the same after this.
const RELEASE_WITHIN: TimeDelta = TimeDelta::seconds(5);
/// The label that names the team of an alarm.
const TEAM: &str = "team";

/// Whether a window is meant for alarms with these labels, which may have asked for a team without a label.
#[must_use]
pub fn matches(window: &WindowRow, labels: &BTreeMap<String, String>, asked_for: Option<&str>) -> bool {
    let of_team = labels.get(TEAM).map(String::as_str).or(asked_for);
    let team = window.team.as_ref().is_none_or(|team| of_team == Some(team));
    team && window.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// Until when such an alarm is held: the end of the open windows that match it, and of those that follow without a gap.
/// `None` when none is open.
#[must_use]
pub fn held_until(
    windows: &[WindowRow],
    labels: &BTreeMap<String, String>,
    asked_for: Option<&str>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let open_at = |at: DateTime<Utc>| {
        let open =
            windows.iter().filter(|window| window.starts_at <= at && at < window.ends_at && matches(window, labels, asked_for));
        open.map(|window| window.ends_at).max()
    };
    let mut until = open_at(now)?;
    while let Some(later) = open_at(until) {
        until = later;
    }
    Some(until)
}

/// Until when something new of a kind will be held; nothing but an alarm is.
///
/// # Errors
/// When the database fails.
pub(in crate::engine) async fn holds(
    work: &mut Work,
    kind: AlarmKind,
    labels: &BTreeMap<String, String>,
    asked_for: Option<&str>,
) -> Result<Option<DateTime<Utc>>, EngineError> {
    let now = work.now();
    if !kind.is_alarm() {
        return Ok(None);
    }
    Ok(held_until(&work.db().windows(now).await?, labels, asked_for, now))
}

/// Holds a new hunt of an alarm, if a window that matches it is open; says whether it did. Hunts of other kinds are not held.
///
/// # Errors
/// When the database fails.
pub(in crate::engine) async fn hold(
    work: &mut Work,
    alarm: AlarmId,
    hunt: HuntId,
    labels: &BTreeMap<String, String>,
    asked_for: Option<&str>,
) -> Result<bool, EngineError> {
    let now = work.now();
    let windows = work.db().windows(now).await?;
    let Some(until) = held_until(&windows, labels, asked_for, now) else { return Ok(false) };
    let hunt = work.db().lock_hunt(hunt).await?;
    if !hunt.kind.is_alarm() {
        return Ok(false);
    }
    put_off(work, &hunt, until + RELEASE_WITHIN).await?;
    work.db().hold_alarm(alarm, Some(until)).await?;
    let window = windows.into_iter().find(|window| window.starts_at <= now && matches(window, labels, asked_for));
    let event = Event::Held { until, note: window.map(|window| window.reason) };
    work.db().insert_event(Some(alarm), Some(hunt.id), now, &event).await?;
    Ok(true)
}

/// A hunt is held as if a person had put it off. It wants a handset when the window ends, and has its whole time to find one, and
/// what is left of its step, from then on.
async fn put_off(work: &mut Work, hunt: &HuntRow, until: DateTime<Utc>) -> Result<(), EngineError> {
    let now = work.now();
    let held_already = hunt.snoozed_until.unwrap_or(now);
    let step_ends_at = hunt.step_ends_at.map(|ends_at| ends_at + (until - held_already));
    Ok(work.db().snooze_hunt(hunt.id, until, step_ends_at, until + seconds(hunt.begin_window_s)).await?)
}

impl Engine {
    /// Looks again at what is held: windows end, are ended, and are made.
    ///
    /// # Errors
    /// When the database fails; the next tick does what this one did not.
    pub(in crate::engine) async fn review_held(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut reader = self.store.read().await?;
        let held = reader.db().held_alarms().await?;
        if held.is_empty() {
            return Ok(());
        }
        let windows = reader.db().windows(now).await?;
        drop(reader);
        for alarm in held {
            let until = held_until(&windows, &alarm.labels, alarm.team.as_deref(), now);
            if until != Some(alarm.held_until) {
                // What fails for one alarm must not keep the others from being rung.
                if let Err(error) = self.hold_again(&alarm, until, now).await {
                    tracing::error!(%error, alarm.id = %alarm.id, "an alarm could not be released from maintenance; trying again");
                }
            }
        }
        Ok(())
    }

    async fn hold_again(&self, alarm: &HeldRow, until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut work = self.work_at(now, Doer::Server).await?;
        let hunt = work.db().lock_hunt(alarm.hunt_id).await?;
        // Another node may have been here first.
        let current = work.db().alarm(alarm.id).await?;
        let Some(current) = current.filter(|own| own.held_until == Some(alarm.held_until) && own.hunt_id == hunt.id) else {
            return Ok(());
        };
        work.db().hold_alarm(alarm.id, until).await?;
        // Unless a person has put it off for longer since, or has it rung all the same.
        if hunt.ended_at.is_none() && hunt.begun_at.is_none() && hunt.snoozed_until == Some(alarm.held_until + RELEASE_WITHIN) {
            match until {
                Some(until) => {
                    put_off(&mut work, &hunt, until + RELEASE_WITHIN).await?;
                    work.db().insert_event(Some(alarm.id), Some(hunt.id), now, &Event::Held { until, note: None }).await?;
                }
                None => self.release(&mut work, &current, &hunt).await?,
            }
        }
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(())
    }

    /// People are rung as if the alarm had come now: whoever is on duty by now, and together with others that are released with it.
    async fn release(&self, work: &mut Work, alarm: &AlarmRow, hunt: &HuntRow) -> Result<(), EngineError> {
        let now = work.now();
        let untouched = work.db().callees(hunt.id).await?.iter().all(|callee| callee.verdict.is_none() && callee.attempts == 0);
        // A policy that a person has chosen meanwhile comes after those whom the alarm named.
        let policy_comes_later = hunt.policy_id.is_some() && hunt.place().is_none();
        if !untouched || policy_comes_later || work.db().alarms_of(hunt.id).await?.len() > 1 {
            put_off(work, hunt, now).await?;
            return Ok(work.db().insert_event(Some(alarm.id), Some(hunt.id), now, &Event::Released {}).await?);
        }
        let by_itself = hunt.stands_alone() || work.db().is_barista_hunt(hunt.id).await?;
        self.ring_afresh(work, std::slice::from_ref(alarm), hunt, RingsAgain::Released).await?;
        let fresh = work.db().alarm(alarm.id).await?.ok_or(EngineError::NoSuchAlarm)?.hunt_id;
        // Ended and not removed: others may be waiting to lock it, and look then where the alarm is now.
        work.db().end_hunt(hunt.id, HuntOutcome::Cancelled, None, now).await?;
        work.db().insert_event(Some(alarm.id), Some(fresh), now, &Event::Released {}).await?;
        self.join_if_alike(work, alarm.priority, by_itself, alarm.id, fresh).await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::WindowId;
    use proptest::prelude::*;
    use sqlx::types::Json;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    fn window(from: i64, to: i64, team: Option<&str>, label: Option<&str>) -> WindowRow {
        WindowRow {
            id: WindowId::new(at(0)),
            reason: "work".to_owned(),
            starts_at: at(from),
            ends_at: at(to),
            team: team.map(str::to_owned),
            labels: Json(label.map(|value| ("host".to_owned(), value.to_owned())).into_iter().collect()),
            created_at: at(0),
        }
    }

    fn labels(team: &str, host: &str) -> BTreeMap<String, String> {
        [("team".to_owned(), team.to_owned()), ("host".to_owned(), host.to_owned())].into()
    }

    #[test]
    fn all_that_a_window_names_must_fit() {
        let both = window(0, 9, Some("db"), Some("db1"));
        assert!(matches(&both, &labels("db", "db1"), None));
        let host = BTreeMap::from([("host".to_owned(), "db1".to_owned())]);
        assert!(matches(&both, &host, Some("db")), "it asked for the team");
        assert!(!matches(&both, &labels("web", "db1"), Some("db")), "what it says of itself goes first");
        assert!(!matches(&both, &labels("db", "db2"), None));
        assert!(!matches(&both, &labels("web", "db1"), None));
        assert!(!matches(&both, &BTreeMap::new(), None));
    }

    proptest! {
        /// Against the obvious: walk on minute by minute as long as some window is open.
        #[test]
        fn it_ends_where_no_window_is_open(spans in prop::collection::vec((0_i64..40, 1_i64..12, any::<bool>()), 0..8), now in 0_i64..40) {
            let windows: Vec<_> =
                spans.iter().map(|&(from, length, ours)| window(from, from + length, Some(if ours { "db" } else { "web" }), None)).collect();
            let open = |minute: i64| spans.iter().any(|&(from, length, ours)| ours && from <= minute && minute < from + length);
            let mut minute = now;
            while open(minute) {
                minute += 1;
            }
            let expected = (minute > now).then(|| at(minute));
            prop_assert_eq!(held_until(&windows, &labels("db", "x"), None, at(now)), expected);
        }
    }
}
