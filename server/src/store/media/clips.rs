//! Clips: sound by name, which operators keep and calls play.

use chrono::{DateTime, Utc};

use crate::ids::{HandsetId, MediaId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A clip with what is known of its sound.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ClipRow {
        /// Its name.
        pub name: String,
        /// Its sound.
        pub media_id: MediaId,
        /// When it was last given another sound.
        pub updated_at: DateTime<Utc>,
        /// Its size.
        pub bytes: i64,
        /// Its length.
        pub milliseconds: i64,
        /// Of its file, in hexadecimal.
        pub sha256: String,
    }
}

statements! {
    /// All of them.
    LIST = [
        "SELECT c.name, c.media_id, c.updated_at, m.bytes, m.milliseconds, m.sha256 FROM clips c JOIN media m ON m.id = c.media_id
         ORDER BY c.name"
    ];
    /// One of them.
    GET = [
        "SELECT c.name, c.media_id, c.updated_at, m.bytes, m.milliseconds, m.sha256 FROM clips c JOIN media m ON m.id = c.media_id
         WHERE c.name = $1"
    ];
    /// Those whose names begin so.
    NAMED = [
        "SELECT c.name, c.media_id, c.updated_at, m.bytes, m.milliseconds, m.sha256 FROM clips c JOIN media m ON m.id = c.media_id
         WHERE substr(c.name, 1, CAST($2 AS INTEGER)) = $1 ORDER BY c.name"
    ];
    /// An open call of a shout of this handset, which may play the sentences of shouts, also what another sound has taken the place of by now:
    /// nobody guesses the id of a sound. It plays no other clip, no other shout's message, and nothing that somebody said in a call.
    MAY_PLAY = [
        "SELECT d.mid FROM dials d JOIN hunts h ON h.id = d.hunt_id WHERE d.handset_id = $1 AND d.closed_at IS NULL AND h.kind = 'shout'
           AND NOT EXISTS (SELECT 1 FROM clips c WHERE c.media_id = $2 AND substr(c.name, 1, CAST($4 AS INTEGER)) <> $3)
           AND NOT EXISTS (SELECT 1 FROM shouts s WHERE s.media_id = $2)
           AND NOT EXISTS (SELECT 1 FROM recordings r WHERE r.media_id = $2) LIMIT 1"
    ];
    /// How many there are.
    COUNT = ["SELECT count(*) AS clips FROM clips"];
    /// Another sound under a name.
    SET = [
        "INSERT INTO clips (name, media_id, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET media_id = excluded.media_id, updated_at = excluded.updated_at"
    ];
    /// None any more.
    DELETE = ["DELETE FROM clips WHERE name = $1"];
}

impl Db<'_> {
    /// All clips by name.
    pub async fn clips(&mut self) -> Result<Vec<ClipRow>> {
        fetch_all!(self, LIST)
    }

    /// One clip.
    pub async fn clip(&mut self, name: &str) -> Result<Option<ClipRow>> {
        fetch_optional!(self, GET, name)
    }

    /// The clips whose names begin so.
    pub async fn clips_named(&mut self, prefix: &str) -> Result<Vec<ClipRow>> {
        fetch_all!(self, NAMED, prefix, length(prefix))
    }

    /// Whether a handset has an open call of a shout that may play that; the names of its sentences begin so.
    pub async fn may_play_in_shout(&mut self, handset: HandsetId, media: MediaId, prefix: &str) -> Result<bool> {
        let row: Option<(String,)> = fetch_optional!(self, MAY_PLAY, handset, media, prefix, length(prefix))?;
        Ok(row.is_some())
    }

    /// How many clips there are.
    pub async fn count_clips(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT)?;
        Ok(row.map_or(0, |(clips,)| clips))
    }

    /// Gives a name this sound.
    pub async fn set_clip(&mut self, name: &str, media: MediaId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SET, name, media, now).map(|_| ())
    }

    /// Takes a name away; false when there is none.
    pub async fn remove_clip(&mut self, name: &str) -> Result<bool> {
        changed_one!(self, DELETE, name)
    }
}

/// In characters, as databases count.
fn length(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}
