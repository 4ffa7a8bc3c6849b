//! What callees said in calls: handsets tell of it, and send it afterwards.

use android_protocol::voice::rewritten::Rewritten;
use android_protocol::wire::Recording;
use chrono::{DateTime, Utc};

use super::{NotTaken, is_name, take_away, write};
use crate::ids::{CalleeId, HandsetId, HuntId, PersonId, RecordingId};
use crate::store::media::recordings::{RecordingRow, Records};
use crate::store::{Announcement, Db, Store, StoreError};

/// No more of one call.
pub const MOST_OF_A_CALL: usize = 4;
/// Of so many more it is noted that nobody wants them: else a handset would offer them for days.
const REFUSED_OF_A_CALL: usize = 12;

/// Whose call it was.
#[derive(Clone, Debug)]
pub struct Spoken<'s> {
    /// The dial, or the call that came in.
    pub mid: &'s str,
    /// The hunt that it was for.
    pub hunt: HuntId,
    /// The number in its comparable form.
    pub number: &'s str,
    /// Whom it was to.
    pub callee: Option<CalleeId>,
    /// Who that is.
    pub person: Option<PersonId>,
}

/// Notes the recordings of a call that its handset tells of. What nobody asked for, and what is more than [`MOST_OF_A_CALL`], is not wanted.
///
/// # Errors
/// When the database fails.
pub async fn name(db: &mut Db<'_>, call: &Spoken<'_>, told: &[Recording], now: DateTime<Utc>) -> Result<(), StoreError> {
    let told: Vec<&Recording> = told.iter().filter(|recording| is_name(&recording.id)).take(REFUSED_OF_A_CALL).collect();
    if told.is_empty() {
        return Ok(());
    }
    let asked = db.recorder_of(call.mid).await?.and_then(|(_, records)| records);
    for recording in told {
        let there = usize::try_from(db.count_recordings(call.mid, call.number).await?).unwrap_or(usize::MAX);
        if there >= MOST_OF_A_CALL + REFUSED_OF_A_CALL {
            return Ok(());
        }
        let wanted = asked.is_some() && there < MOST_OF_A_CALL;
        let whole = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
        db.name_recording(&RecordingRow {
            id: RecordingId::new(now),
            mid: call.mid.to_owned(),
            hunt_id: call.hunt,
            name: recording.id.clone(),
            callee_id: call.callee,
            number: call.number.to_owned(),
            person_id: call.person,
            debug: asked == Some(Records::Debug),
            named_at: now,
            seconds: whole(recording.seconds),
            bytes: whole(recording.bytes),
            media_id: None,
            upload_sha256: None,
            stored_at: None,
            gone_at: (!wanted).then_some(now),
        })
        .await?;
    }
    Ok(())
}

/// What becomes of a recording that a handset offers, before anybody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// It is awaited.
    Awaited(Box<RecordingRow>),
    /// It is here: the SHA-256 of what was sent.
    Here(String),
    /// Nobody will want it.
    Gone,
    /// Nobody has told of it, or it is another handset's.
    Unknown,
}

/// Looks whether a recording is awaited from this handset.
///
/// # Errors
/// When the database fails.
pub async fn door(db: &mut Db<'_>, handset: HandsetId, mid: &str, name: &str) -> Result<Door, StoreError> {
    let Some((dialled_by, _)) = db.recorder_of(mid).await? else {
        // The alarm is forgotten, and its calls with it.
        return Ok(Door::Gone);
    };
    if dialled_by != Some(handset) {
        return Ok(Door::Unknown);
    }
    Ok(match db.recording_named(mid, name).await? {
        None => Door::Unknown,
        Some(row) if row.gone_at.is_some() => Door::Gone,
        Some(RecordingRow { media_id: Some(_), upload_sha256, .. }) => Door::Here(upload_sha256.unwrap_or_default()),
        Some(row) => Door::Awaited(Box::new(row)),
    })
}

/// Keeps the sound of a recording; `upload` is the SHA-256 of what was sent. False when it came by another request, or is not wanted any
/// more.
///
/// # Errors
/// When there is no room, or the database fails; it is still awaited then.
pub async fn keep(
    store: &Store,
    recording: &RecordingRow,
    sound: &Rewritten,
    upload: &str,
    most: u64,
    now: DateTime<Utc>,
) -> Result<bool, NotTaken> {
    let media = write(store, sound, most, now).await?;
    let mut tx = store.begin().await?;
    tx.db().media_is_whole(media.id, now).await?;
    let kept = tx.db().recording_stored(recording.id, media.id, upload, now).await?;
    tx.announce(Announcement::Calls);
    tx.commit().await?;
    if !kept {
        // The same came by another request meanwhile, or is not wanted any more: it takes up no room until the next sweep.
        take_away(store, media.id).await?;
    }
    Ok(kept)
}
