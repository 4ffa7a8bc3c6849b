//! Files of sound, in pieces. A file is there when all its pieces are; it goes when neither a recording nor a clip is it any more.

use chrono::{DateTime, Utc};

use crate::ids::MediaId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// The length of every piece but the last.
pub const PIECE: usize = 64 * 1024;
/// At most so many pieces, or files without any, go in one transaction.
pub const AT_ONCE: u64 = 16;

row! {
    /// A file of sound.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MediaRow {
        /// Which one.
        pub id: MediaId,
        /// When it was begun.
        pub made_at: DateTime<Utc>,
        /// Its size.
        pub bytes: i64,
        /// Its length.
        pub milliseconds: i64,
        /// Of the file, in hexadecimal.
        pub sha256: String,
        /// Since when all of it is here.
        pub stored_at: Option<DateTime<Utc>>,
    }
}

statements! {
    /// A file of which nothing is here yet.
    BEGIN = ["INSERT INTO media (id, made_at, bytes, milliseconds, sha256) VALUES ($1, $2, $3, $4, $5)"];
    /// A piece of it.
    PIECE_OF = ["INSERT INTO media_pieces (media_id, place, bytes) VALUES ($1, $2, $3)"];
    /// All of it is here.
    WHOLE = ["UPDATE media SET stored_at = $2 WHERE id = $1 AND stored_at IS NULL"];
    /// One file.
    GET = ["SELECT * FROM media WHERE id = $1"];
    /// One piece.
    READ = ["SELECT bytes FROM media_pieces WHERE media_id = $1 AND place = $2"];
    /// How much is kept, with what is on its way.
    TOTAL = ["SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS total FROM media"];
    /// Files that nobody wants any more: no recording, no clip, no shout, none that is being played; and what somebody left in the middle.
    UNWANTED = [
        "SELECT m.id FROM media m
         WHERE (m.stored_at IS NOT NULL OR m.made_at < $1)
           AND NOT EXISTS (SELECT 1 FROM recordings r WHERE r.media_id = m.id)
           AND NOT EXISTS (SELECT 1 FROM clips c WHERE c.media_id = m.id)
           AND NOT EXISTS (SELECT 1 FROM shouts s WHERE s.media_id = m.id)
           AND NOT EXISTS (SELECT 1 FROM rpc_files f WHERE f.media_id = m.id)
           AND NOT EXISTS (SELECT 1 FROM dials d WHERE d.clip = m.id AND d.closed_at IS NULL)
         ORDER BY m.id LIMIT 16"
    ];
    /// The next pieces of one.
    DROP_PIECES = [
        "DELETE FROM media_pieces WHERE media_id = $1 AND place IN
           (SELECT place FROM media_pieces WHERE media_id = $1 ORDER BY place DESC LIMIT 16)"
    ];
    /// A file without pieces, unless somebody wants it again.
    DROP = [
        "DELETE FROM media WHERE id = $1
           AND NOT EXISTS (SELECT 1 FROM recordings r WHERE r.media_id = media.id)
           AND NOT EXISTS (SELECT 1 FROM clips c WHERE c.media_id = media.id)
           AND NOT EXISTS (SELECT 1 FROM shouts s WHERE s.media_id = media.id)
           AND NOT EXISTS (SELECT 1 FROM rpc_files f WHERE f.media_id = media.id)"
    ];
}

impl Db<'_> {
    /// Begins a file of so many bytes.
    pub async fn begin_media(&mut self, row: &MediaRow) -> Result<()> {
        execute!(self, BEGIN, row.id, row.made_at, row.bytes, row.milliseconds, row.sha256).map(|_| ())
    }

    /// Writes one piece of it.
    pub async fn write_piece(&mut self, id: MediaId, place: i32, bytes: &[u8]) -> Result<()> {
        execute!(self, PIECE_OF, id, place, bytes).map(|_| ())
    }

    /// Notes that all of it is here; false when it is gone, or was complete before.
    pub async fn media_is_whole(&mut self, id: MediaId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, WHOLE, id, now)
    }

    /// One file.
    pub async fn media(&mut self, id: MediaId) -> Result<Option<MediaRow>> {
        fetch_optional!(self, GET, id)
    }

    /// One piece of a file.
    pub async fn piece(&mut self, id: MediaId, place: i32) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> = fetch_optional!(self, READ, id, place)?;
        Ok(row.map(|(bytes,)| bytes))
    }

    /// How many bytes of sound are kept, with what is on its way.
    pub async fn media_total(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, TOTAL)?;
        Ok(row.map_or(0, |(total,)| total))
    }

    /// Up to [`AT_ONCE`] files that nobody wants, with those that were begun before `left` and never ended.
    pub async fn unwanted_media(&mut self, left: DateTime<Utc>) -> Result<Vec<MediaId>> {
        let rows: Vec<(MediaId,)> = fetch_all!(self, UNWANTED, left)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Forgets up to [`AT_ONCE`] pieces of a file, and the file with its last one; gives how many pieces.
    pub async fn forget_pieces(&mut self, id: MediaId) -> Result<u64> {
        let gone = execute!(self, DROP_PIECES, id)?;
        if gone < AT_ONCE {
            execute!(self, DROP, id)?;
        }
        Ok(gone)
    }
}
