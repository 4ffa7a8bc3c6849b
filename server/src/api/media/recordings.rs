//! What callees said in calls: `/api/v1/recordings/{id}`.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::api::alarms::is_shown_to;
use crate::app::App;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::ids::{RecordingId, short_mid};
use crate::links::Listener;
use crate::rights::Reach;
use crate::store::alarm::alarms::AlarmRow;

/// An address is good for so long.
const LASTS: TimeDelta = TimeDelta::hours(1);

/// A recording, and where its sound is.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingJson {
    id: RecordingId,
    /// The beginning of the mid of the dial in whose call it was made.
    mid: String,
    /// Whose words they are.
    phone_number: String,
    /// When the handset told of it.
    reported_at: DateTime<Utc>,
    seconds: Option<i64>,
    bytes: Option<i64>,
    /// Its sound is here.
    available: bool,
    /// Where the sound is (WAV), for an hour and without a key; another one each time. Null when it is not here, or not for this key:
    /// those who raised an alarm hear what was said in its calls. Whoever listens is noted on the timeline of the alarm.
    url: Option<String>,
    url_ends_at: Option<DateTime<Utc>>,
}

/// A recording of a call, and where its sound is.
#[utoipa::path(get, path = "/api/v1/recordings/{id}", tag = "media",
    params(("id" = String, Path, description = "The recording's id, as its alarm tells it")),
    responses((status = 200, description = "What is known of it, and where it is heard", body = RecordingJson),
        (status = 404, description = "There is no such recording", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let mut reader = app.engine.store.read().await?;
    let mut db = reader.db();
    let row = match id.parse::<RecordingId>() {
        Ok(id) => db.recording(id).await?,
        Err(_) => None,
    };
    let unknown = || Problem::not_found("there is no such recording");
    let row = row.ok_or_else(unknown)?;
    // What was said to a shout or to a program is its key's own.
    let alarms = db.alarms_of(row.hunt_id).await?;
    let shown =
        |alarm: &&AlarmRow| is_shown_to(&sender, alarm.kind, &alarm.integration_id) && sender.reaches(&alarm.integration_id);
    let shown: Vec<&AlarmRow> = alarms.iter().filter(shown).collect();
    if shown.is_empty() && (!alarms.is_empty() || sender.reach != Reach::Everything) {
        return Err(unknown());
    }
    if let Some(bounds) = sender.within() {
        let mut within = false;
        for alarm in shown {
            within = within || db.is_within(alarm, bounds).await?;
        }
        if !within {
            return Err(unknown());
        }
    }
    let listener = sender.key.as_ref().map_or(Listener::OpenNetwork, |key| Listener::Key(key.id));
    let media = match row.media_id {
        Some(media) if db.is_raised_by(row.hunt_id, &sender.integration_id()).await? => Some(media),
        _ => None,
    };
    let url = media.map(|media| {
        let (path, until) = app.engine.hearing_path(media, listener, LASTS);
        (format!("{}{path}", app.config().http.public_url.as_deref().unwrap_or_default()), until)
    });
    let (url, url_ends_at) = url.unzip();
    let (seconds, bytes) = (row.seconds(), row.size());
    let shown = RecordingJson {
        id: row.id,
        mid: short_mid(&row.mid).to_owned(),
        phone_number: row.number,
        reported_at: row.named_at,
        seconds,
        bytes,
        available: row.media_id.is_some(),
        url,
        url_ends_at,
    };
    Ok(answer(StatusCode::OK, &shown))
}
