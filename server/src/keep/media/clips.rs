//! Clips: sound that calls play, by name.

use android_protocol::voice::rewritten::{LARGEST, Rewritten};
use chrono::{DateTime, Utc};

use super::{NotTaken, is_name, write};
use crate::alarm::doer::Doer;
use crate::audit::{Line, Operation};
use crate::keep::refused::Refused;
use crate::store::Store;
use crate::store::edits::Edited;
use crate::store::media::clips::ClipRow;
use crate::versions::{Expected, Version};

/// No more than so many.
const MOST: i64 = 1000;

/// Why a clip was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// Something about it is wrong.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its sound is not taken.
    #[error(transparent)]
    Sound(#[from] NotTaken),
}

/// A clip, and whether there was none of its name.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What is there now.
    pub row: ClipRow,
    /// It is the first of its name.
    pub is_new: bool,
}

/// The version of a clip: of its name and its sound.
#[must_use]
pub fn version(row: &ClipRow) -> Version {
    Version::of(&(&row.name, &row.sha256))
}

/// There is none of that name.
#[must_use]
pub fn unknown(name: &str) -> Refused {
    Refused::Missing { what: "clip", name: name.to_owned() }
}

/// Checks a name before any sound is read.
///
/// # Errors
/// When it is none.
pub fn checked(name: &str) -> Result<(), Refused> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Refused::wrong("name", "a clip's name has 1 to 64 letters, digits, dots, _ or -, and not dots alone")),
    }
}

/// Gives a name this sound.
///
/// # Errors
/// When the name is none, there are too many clips, somebody else has changed it, there is no room, or the database fails.
pub async fn set(
    store: &Store,
    name: &str,
    sound: &Rewritten,
    most: u64,
    now: DateTime<Utc>,
    expected: &Expected,
    by: Doer,
) -> Result<Stored, ClipError> {
    checked(name)?;
    // Looked at first, so that nothing is written for nothing; and once more where it counts.
    let there = store.read().await.map_err(NotTaken::from)?.db().clip(name).await.map_err(NotTaken::from)?;
    expected.check(there.as_ref().map(version).as_ref()).map_err(Refused::from)?;
    let media = write(store, sound, most, now).await?;
    let mut work = store.work(now, by, None).await.map_err(NotTaken::from)?;
    let mut db = work.db();
    db.lock_edits(Edited::Clips).await.map_err(NotTaken::from)?;
    let old = db.clip(name).await.map_err(NotTaken::from)?;
    expected.check(old.as_ref().map(version).as_ref()).map_err(Refused::from)?;
    if old.is_none() && db.count_clips().await.map_err(NotTaken::from)? >= MOST {
        return Err(Refused::wrong("name", format!("there are {MOST} clips already: remove one first")).into());
    }
    db.media_is_whole(media.id, now).await.map_err(NotTaken::from)?;
    db.set_clip(name, media.id, now).await.map_err(NotTaken::from)?;
    let row = db.clip(name).await.map_err(NotTaken::from)?.ok_or_else(|| unknown(name))?;
    work.note(
        Line::new(Operation::ClipSet).named(name).after(serde_json::json!({ "bytes": row.bytes, "is_new": old.is_none() })),
    );
    work.commit().await.map_err(NotTaken::from)?;
    Ok(Stored { row, is_new: old.is_none() })
}

/// Removes a clip. Calls that were told to play it still do.
///
/// # Errors
/// When there is none, somebody else has changed it, or the database fails.
pub async fn remove(store: &Store, name: &str, expected: &Expected, (now, by): (DateTime<Utc>, Doer)) -> Result<(), Refused> {
    let mut work = store.work(now, by, None).await?;
    work.db().lock_edits(Edited::Clips).await?;
    let row = work.db().clip(name).await?;
    expected.check(row.as_ref().map(version).as_ref())?;
    if !work.db().remove_clip(name).await? {
        return Err(unknown(name));
    }
    work.note(Line::new(Operation::ClipRemoved).named(name));
    work.commit().await?;
    Ok(())
}

/// The largest file that is taken, in bytes.
#[must_use]
pub const fn largest() -> usize {
    LARGEST
}
