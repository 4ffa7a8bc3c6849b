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
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, span};
use crate::dashboard::frame::form::{Form, Sent, form_page};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::typed_time::instant_of;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::engine::MOST_SNOOZE;
use crate::ids::{AlarmId, CalleeId};
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
    /// By which it is given another policy; none once nobody is rung any more, or where there is no other.
    pub(in crate::dashboard) policy: Option<Form>,
    /// By which it is put off until a time.
    pub(in crate::dashboard) until: Form,
    /// By which a note is written.
    pub(in crate::dashboard) note: Form,
    /// Hours, and the same in words.
    pub(in crate::dashboard) takes: Vec<(i32, String)>,
    /// Minutes, and the same in words.
    pub(in crate::dashboard) snoozes: Vec<(i32, String)>,
}

impl MoreActions {
    /// For an alarm that is not over, with where its hunt stands while that is open.
    pub(in crate::dashboard) fn of(reader: &Reader, id: AlarmId, standing: Option<&Standing>, policies: &[PolicyRow]) -> Self {
        let words = reader.words;
        let others = |own: Option<&str>| -> Vec<String> {
            policies.iter().map(|policy| policy.name.clone()).filter(|name| own != Some(name)).collect()
        };
        let names = standing.map_or_else(Vec::new, |standing| others(standing.policy.as_deref()));
        let choice = Field::plain("policy", &words.policy_choose, Input::Choice(Choice::names(&names)));
        let policy = Form::new(reader, "policy", format!("/alarms/{id}/policy"), &words.policy_choose_go).looking("");
        let time = Input::Time { in_utc: &words.in_utc, instant: "instant".to_owned() };
        let until = Form::new(reader, "snooze-until", format!("/alarms/{id}/snooze"), &words.snooze_go).looking("");
        Self {
            policy: (!names.is_empty()).then(|| policy.explained(&words.policy_choose_how).with([choice])),
            until: until.with([Field::plain("until", &words.snooze_until, time).required()]),
            note: note_form(reader, id),
            escalates: standing.is_some_and(|standing| standing.has_next_step),
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
    match remark(reader.words, &fields, "text", &reader.words.note_empty) {
        Ok(text) => {
            app.engine.note(id, &text, &actor(&reader)).await?;
            Ok(back(&fields, id, "noted"))
        }
        Err(wrong) => Ok(refused(&app, &reader, &reader.words.note_heading, note_form(&reader, id), fields, wrong)),
    }
}

fn note_form(reader: &Reader, id: AlarmId) -> Form {
    let words = reader.words;
    let text = Field::plain("text", &words.note_heading, Input::Lines(2)).required().hint(&words.note_how);
    Form::new(reader, "write", format!("/alarms/{id}/notes"), &words.note_go).looking("").with([text])
}

/// What somebody wrote into a field, as it is kept.
pub(in crate::dashboard) fn written(fields: &Fields, field: &str) -> String {
    // A browser sends two characters for each line break that somebody typed.
    fields.get(field).trim().replace("\r\n", "\n")
}

/// A remark that must say something; `empty` is told where it does not.
///
/// # Errors
/// What is wrong with it.
pub(in crate::dashboard) fn remark(words: &Words, fields: &Fields, field: &str, empty: &str) -> Result<String, Wrong> {
    let text = written(fields, field);
    if text.is_empty() {
        return Err(Wrong::new(field, empty));
    }
    too_long(words, field, &text).map_or(Ok(text), Err)
}

/// A form of an alarm's page that was refused, on a page of its own.
pub(in crate::dashboard) fn refused(
    app: &App,
    reader: &Reader,
    title: &str,
    form: Form,
    fields: Fields,
    wrong: Wrong,
) -> Response {
    let sent = Sent { form: form.id.clone(), fields, wrong };
    form_page(app, reader, "alarms", title, form.again(Some(&sent)))
}

/// What is wrong with a remark in this field that is longer than others may write it.
pub(in crate::dashboard) fn too_long(words: &Words, field: &str, text: &str) -> Option<Wrong> {
    let length = text.chars().count();
    let places = [("length", length.to_string()), ("most", LONGEST_NOTE.to_string())];
    let places = places.each_ref().map(|(name, text)| (*name, text.as_str()));
    (length > LONGEST_NOTE).then(|| Wrong::new(field, fill_text(&words.note_too_long, &places)))
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
