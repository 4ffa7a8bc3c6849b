//! On the page of an alarm: that it was false, who says so and why, and the forms by which that is said and taken back.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;

use crate::app::App;
use crate::dashboard::alarm::acting::{actor, alarm_id, back};
use crate::dashboard::alarm::actions::{refused, remark};
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input};
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::page::Part;
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::AlarmId;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::reports::false_alarms::FalseAlarmRow;

#[derive(Template)]
#[template(path = "reports/part_false.html")]
struct FalsePart<'r> {
    words: &'static Words,
    form_token: &'r str,
    /// Who says so, and why.
    mark: Option<(String, String)>,
    /// Where that is taken back.
    take_back: Option<String>,
    /// By which it is said.
    form: Option<Form>,
}

/// What is said of it, as this reader sees it. What is no alarm, such as a test, is never a false one.
pub(in crate::dashboard) fn part(reader: &Reader, alarm: &AlarmRow, mark: Option<&FalseAlarmRow>) -> Part {
    let may = reader.responds() && alarm.kind.is_alarm();
    let words = reader.words;
    let who = |mark: &FalseAlarmRow| match mark.marked_by.as_deref() {
        Some(name) => fill_text(&words.false_mark, &[("who", &reader.name(name))]),
        None => words.false_mark_by_nobody.clone(),
    };
    let part = FalsePart {
        words,
        form_token: &reader.form_token,
        mark: mark.map(|mark| (who(mark), mark.reason.clone())),
        take_back: mark.filter(|_| may).map(|_| format!("/alarms/{}/not-false", alarm.id)),
        form: (may && mark.is_none()).then(|| form(reader, alarm.id)),
    };
    Part::new("false-alarm", &part)
}

fn form(reader: &Reader, id: AlarmId) -> Form {
    let words = reader.words;
    let reason = Field::plain("reason", &words.false_reason, Input::Lines(2)).required();
    Form::new(reader, "mark-false", format!("/alarms/{id}/false"), &words.false_go)
        .looking("")
        .explained(words.false_how.as_str())
        .with([reason])
}

/// `POST /alarms/{id}/false`
pub(in crate::dashboard) async fn mark(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    match remark(reader.words, &fields, "reason", &reader.words.false_empty) {
        Ok(reason) => {
            app.engine.mark_false(id, &reason, &actor(&reader)).await?;
            Ok(back(&fields, id, "false_marked"))
        }
        Err(wrong) => Ok(refused(&app, &reader, &reader.words.false_summary, form(&reader, id), fields, wrong)),
    }
}

/// `POST /alarms/{id}/not-false`
pub(in crate::dashboard) async fn take_back(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    app.engine.mark_not_false(id, &actor(&reader)).await?;
    Ok(back(&fields, id, "false_taken_back"))
}
