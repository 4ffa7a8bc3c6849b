//! What callees said in the calls for an alarm: on its page, and the way to where it is heard.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use chrono::TimeDelta;

use super::acting::alarm_id;
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::page::{Part, at_second};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Words;
use crate::engine::media::may_hear;
use crate::ids::{AlarmId, HuntId, RecordingId};
use crate::links::Listener;
use crate::store::alarm::board::CallRow;
use crate::store::alarm::call_records::CallRecordRow;
use crate::store::media::recordings::HeardRow;
use crate::store::{Db, StoreError};

/// An address is good for so long; the page makes another one for each hearing.
const LASTS: TimeDelta = TimeDelta::hours(1);

/// `GET /alarms/{id}/recordings/{recording}`: to where it is heard, by this user and nobody else.
pub(in crate::dashboard) async fn listen(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((alarm, recording)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let (alarm, id) = (alarm_id(&alarm)?, recording.parse::<RecordingId>().map_err(|_| Refusal::NotFound)?);
    let name = reader.visitor.as_ref().map(|visitor| visitor.name.as_str()).ok_or(Refusal::LogIn)?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let row = db.recordings_of_alarm(alarm).await?.into_iter().find(|own| own.id == id).ok_or(Refusal::NotFound)?;
    let user = db.user_by_name(name).await?.ok_or(Refusal::LogIn)?;
    if !may_hear(&mut db, &user, Some(row.hunt_id)).await? {
        return Err(Refusal::Forbidden);
    }
    let (path, _) = app.engine.hearing_path(row.media_id.ok_or(Refusal::NotFound)?, Listener::User(user.id), LASTS);
    Ok(go_to(&path))
}

/// Of which of these recordings a reader may hear the sound, by the hunts in whose calls they were made.
pub(in crate::dashboard) async fn heard_by(
    db: &mut Db<'_>,
    reader: &Reader,
    rows: &[HeardRow],
) -> Result<BTreeSet<HuntId>, StoreError> {
    let mut theirs = BTreeSet::new();
    let Some(visitor) = reader.visitor.as_ref().filter(|_| reader.responds() && !rows.is_empty()) else { return Ok(theirs) };
    let Some(user) = db.user_by_name(&visitor.name).await? else { return Ok(theirs) };
    for hunt in rows.iter().map(|row| row.hunt_id).collect::<BTreeSet<_>>() {
        if may_hear(db, &user, Some(hunt)).await? {
            theirs.insert(hunt);
        }
    }
    Ok(theirs)
}

/// A recording on the page.
struct Item {
    /// HTML.
    when: String,
    who: String,
    length: Option<String>,
    /// Where this reader hears it.
    address: Option<String>,
    /// Why they do not.
    why_not: &'static str,
}

#[derive(Template)]
#[template(path = "alarm/part_recordings.html")]
struct RecordingsPart {
    words: &'static Words,
    recordings: Vec<Item>,
    /// Somebody may listen here.
    noted: bool,
}

/// The recordings of an alarm as this reader sees them.
pub(in crate::dashboard) fn part(
    reader: &Reader,
    alarm: AlarmId,
    rows: &[HeardRow],
    theirs: &BTreeSet<HuntId>,
    calls: &[CallRow],
    records: &[CallRecordRow],
) -> Part {
    let item = |row: &HeardRow| {
        let call = calls.iter().find(|call| call.mid == row.mid && Some(call.callee_id) == row.callee_id);
        // Whoever called back is in no list of a dial.
        let caller = || records.iter().find(|record| record.mid == row.mid && record.callee_id == row.callee_id)?.name.as_deref();
        let name = call.and_then(|call| call.name.as_deref()).or_else(caller).unwrap_or(&row.number);
        let heard = row.media_id.is_some() && theirs.contains(&row.hunt_id);
        Item {
            when: at_second(row.named_at),
            who: reader.name(name),
            length: row.seconds().map(|seconds| format!("{}:{:02}", seconds / 60, seconds % 60)),
            address: heard.then(|| format!("/alarms/{alarm}/recordings/{}", row.id)),
            why_not: match row.media_id {
                Some(_) => &reader.words.recordings_not_yours,
                None if row.is_gone => &reader.words.recordings_gone,
                None => &reader.words.recordings_awaited,
            },
        }
    };
    let recordings: Vec<Item> = rows.iter().map(item).collect();
    let noted = recordings.iter().any(|item| item.address.is_some());
    Part::new("recordings", &RecordingsPart { words: reader.words, recordings, noted })
}
