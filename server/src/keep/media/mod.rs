//! Sound that is kept: written anew, in pieces, and let go again.

pub mod clips;
pub mod recordings;

use std::time::Duration;

use android_protocol::voice::rewritten::{self, NotKept, Rewritten};
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::costly::{self, CostlyError};
use crate::ids::{MediaId, hex};
use crate::store::media::pieces::{AT_ONCE, MediaRow, PIECE};
use crate::store::media::recordings::RECORDINGS_AT_ONCE;
use crate::store::{Store, StoreError};

/// What was begun so long ago and is not complete was left by somebody.
const LEFT_AFTER: TimeDelta = TimeDelta::hours(1);
/// Between two portions others get at the embedded database.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// The longest name of a recording or a clip.
pub const LONGEST_NAME: usize = 64;

/// Why sound was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is no sound that is kept.
    #[error(transparent)]
    Wrong(#[from] NotKept),
    /// There is no room.
    #[error("there is no room for it: media.most_bytes is reached")]
    Full,
    /// Too much of the kind is under way.
    #[error(transparent)]
    Costly(#[from] CostlyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether that may be the name of a recording or a clip.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain) && name.chars().any(|c| c != '.')
}

/// The SHA-256 of a file, in hexadecimal.
#[must_use]
pub fn sha256(file: &[u8]) -> String {
    hex(&Sha256::digest(file))
}

/// A file of anybody, written anew.
///
/// # Errors
/// When it is no sound that is kept, or too much is worked on.
pub async fn anew(file: Vec<u8>) -> Result<Rewritten, NotTaken> {
    Ok(costly::run(move |stop| rewritten::rewrite(&file, &|| stop.is_asked())).await??)
}

/// Whose turn it is to write.
static TURN: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// Writes a file down, each piece in a transaction of its own. It is there only when [`Db::media_is_whole`](crate::store::Db::media_is_whole)
/// is said, with what it is. `most`: how many bytes are kept altogether.
///
/// # Errors
/// When there is no room, or the database fails; what was written until then goes after an hour.
pub async fn write(store: &Store, sound: &Rewritten, most: u64, now: DateTime<Utc>) -> Result<MediaRow, NotTaken> {
    let row = MediaRow {
        id: MediaId::new(now),
        made_at: now,
        bytes: i64::try_from(sound.file.len()).unwrap_or(i64::MAX),
        milliseconds: i64::try_from(sound.milliseconds).unwrap_or(i64::MAX),
        sha256: sha256(&sound.file),
        stored_at: None,
    };
    // One file after the other, and pauses between its pieces: phones wait for the same writer.
    let _turn = TURN.acquire().await;
    let total = store.read().await?.db().media_total().await?.saturating_add(row.bytes);
    if u64::try_from(total).unwrap_or_default() > most {
        return Err(NotTaken::Full);
    }
    let mut tx = store.begin().await?;
    tx.db().begin_media(&row).await?;
    tx.commit().await?;
    for (place, piece) in (0_i32..).zip(sound.file.chunks(PIECE)) {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        tx.db().write_piece(row.id, place, piece).await?;
        tx.commit().await?;
        pause(began).await;
    }
    Ok(row)
}

/// For how many days which recordings are kept; 0: as long as their alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Those of callees who left a message.
    pub days: u32,
    /// Those that were made to find out what is wrong.
    pub debug_days: u32,
}

/// Lets go of recordings that are too old, in portions.
///
/// # Errors
/// When the database fails; what went until then stays gone.
pub async fn let_go(store: &Store, kept: Kept, now: DateTime<Utc>) -> Result<(), StoreError> {
    for (debug, days) in [(false, kept.days), (true, kept.debug_days)] {
        if days == 0 {
            continue;
        }
        let before = now - TimeDelta::days(i64::from(days));
        loop {
            let began = tokio::time::Instant::now();
            let mut tx = store.begin().await?;
            let gone = tx.db().let_recordings_go(debug, before, now).await?;
            tx.commit().await?;
            if gone < RECORDINGS_AT_ONCE {
                break;
            }
            pause(began).await;
        }
    }
    Ok(())
}

/// Takes away the files that nobody wants any more, piece by piece.
///
/// # Errors
/// When the database fails; what went until then stays gone.
pub async fn sweep(store: &Store, now: DateTime<Utc>) -> Result<(), StoreError> {
    loop {
        let unwanted = store.read().await?.db().unwanted_media(now - LEFT_AFTER).await?;
        for id in &unwanted {
            take_away(store, *id).await?;
        }
        if u64::try_from(unwanted.len()).unwrap_or_default() < AT_ONCE {
            return Ok(());
        }
    }
}

/// Takes away one file that nobody wants, piece by piece.
async fn take_away(store: &Store, id: MediaId) -> Result<(), StoreError> {
    loop {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        let gone = tx.db().forget_pieces(id).await?;
        tx.commit().await?;
        if gone < AT_ONCE {
            return Ok(());
        }
        pause(began).await;
    }
}

async fn pause(began: tokio::time::Instant) {
    tokio::time::sleep(began.elapsed().min(LONGEST_PAUSE)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere() {
        for name in ["r1", "a.wav", "A-b_c.9", "..a", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", ".", "..", "...", "a/b", "a\\b", "a b", "ä", "a\0", "%2e", &"x".repeat(65)] {
            assert!(!is_name(other), "{other}");
        }
    }
}
