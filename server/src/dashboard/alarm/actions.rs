//! What responders do about one alarm beside taking it: take somebody off, go on to the next step, put it off, write a note.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};

use super::acting::{actor, alarm_id, back};
use super::standing::Standing;
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::span;
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::typed_time::instant_of;
use crate::dashboard::frame::words::Words;
use crate::engine::MOST_SNOOZE;
use crate::ids::CalleeId;
use crate::keep::checks::LONGEST_NOTE;
use crate::store::duty::policies::PolicyRow;

/// For how many hours an alarm may be taken with one tap.
const TAKE_HOURS: [i32; 4] = [1, 4, 8, 24];
/// For how many minutes it may be put off with one tap.
const SNOOZE_MINUTES: [i32; 3] = [15, 60, 240];

/// What else can be done about an alarm, as it stands.
pub(in crate::dashboard) struct MoreActions {
    /// There is a next step to begin.
    pub(in crate::dashboard) escalates: bool,
    /// Other policies that it could be given; none once nobody is rung any more.
    pub(in crate::dashboard) policies: Vec<String>,
    /// Hours, and the same in words.
    pub(in crate::dashboard) takes: Vec<(i32, String)>,
    /// Minutes, and the same in words.
    pub(in crate::dashboard) snoozes: Vec<(i32, String)>,
}

impl MoreActions {
    /// For an alarm that is not over, with where its hunt stands while that is open.
    pub(in crate::dashboard) fn of(words: &Words, standing: Option<&Standing>, policies: &[PolicyRow]) -> Self {
        let others = |own: Option<&str>| -> Vec<String> {
            policies.iter().map(|policy| policy.name.clone()).filter(|name| own != Some(name)).collect()
        };
        Self {
            escalates: standing.is_some_and(|standing| standing.has_next_step),
            policies: standing.map_or_else(Vec::new, |standing| others(standing.policy.as_deref())),
            takes: TAKE_HOURS.iter().map(|hours| (*hours, span(words, hours * 3600))).collect(),
            snoozes: SNOOZE_MINUTES.iter().map(|minutes| (*minutes, span(words, minutes * 60))).collect(),
        }
    }
}

/// `POST /alarms/{id}/callees/{callee}/skip`
pub(in crate::dashboard) async fn skip(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((id, callee)): Path<(String, String)>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    let callee: CalleeId = callee.parse().map_err(|_| Refusal::NotFound)?;
    app.engine.skip(id, callee, &actor(&reader)).await?;
    Ok(back(&fields, id, "skipped"))
}

/// `POST /alarms/{id}/escalate`
pub(in crate::dashboard) async fn escalate(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    app.engine.escalate(id, &actor(&reader)).await?;
    Ok(back(&fields, id, "escalated"))
}

/// `POST /alarms/{id}/snooze`
pub(in crate::dashboard) async fn snooze(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    let until = snoozed_until(&fields, app.engine.clock.now()).ok_or(Refusal::BadTime)?;
    app.engine.snooze(id, until, &actor(&reader)).await?;
    Ok(back(&fields, id, "snoozed"))
}

/// `POST /alarms/{id}/notes`
pub(in crate::dashboard) async fn note(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    // A browser sends two characters for each line break that somebody typed.
    let text = fields.get("text").trim().replace("\r\n", "\n");
    if text.is_empty() {
        return Err(Refusal::Garbled);
    }
    if text.chars().count() > LONGEST_NOTE {
        return Err(Refusal::TooLarge);
    }
    app.engine.note(id, &text, &actor(&reader)).await?;
    Ok(back(&fields, id, "noted"))
}

/// `POST /alarms/{id}/policy`
pub(in crate::dashboard) async fn set_policy(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    app.engine.set_policy(id, fields.get("policy"), &actor(&reader)).await?;
    Ok(back(&fields, id, "policy_set"))
}

/// For how many seconds an alarm is taken: those of some hours, at most a day; without hours, until it is resolved.
pub(in crate::dashboard) fn taken_for(hours: &str) -> Result<Option<i32>, Refusal> {
    match hours.parse::<i32>() {
        _ if hours.is_empty() => Ok(None),
        Ok(hours @ 1..=24) => Ok(Some(hours * 3600)),
        _ => Err(Refusal::BadTime),
    }
}

/// Until when an alarm is put off: for some minutes, or until a time that was typed. The engine says which times lie too far ahead.
fn snoozed_until(fields: &Fields, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if fields.has("minutes") {
        let minutes: i64 = fields.get("minutes").parse().ok()?;
        return (1..=MOST_SNOOZE.num_minutes()).contains(&minutes).then(|| now + TimeDelta::minutes(minutes));
    }
    instant_of(fields.get("until"), fields.get("instant")).ok().flatten()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn until(fields: &[(&str, &str)]) -> Option<String> {
        snoozed_until(&Fields::of(fields), DateTime::UNIX_EPOCH).map(|at| at.to_rfc3339())
    }

    #[test]
    fn it_is_put_off_for_minutes_or_until_a_time() {
        assert_eq!(until(&[("minutes", "15")]).unwrap(), "1970-01-01T00:15:00+00:00");
        let written = [("until", "2026-11-21T06:30"), ("instant", "2026-11-20T22:30:00.000Z")];
        assert_eq!(until(&written).unwrap(), "2026-11-20T22:30:00+00:00");
        let wrong = [&[("minutes", "0")][..], &[("minutes", "99999999999")], &[("minutes", "x")], &[("until", "tomorrow")], &[]];
        for fields in wrong {
            assert_eq!(until(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn an_alarm_is_taken_for_hours() {
        assert_eq!(taken_for(""), Ok(None));
        assert_eq!(taken_for("4"), Ok(Some(14_400)));
        for wrong in ["0", "25", "-1", "x", "4294967297"] {
            assert_eq!(taken_for(wrong), Err(Refusal::BadTime), "{wrong}");
        }
    }
}
