//! Sound of a program, by name: what its calls play, and what was recorded in them.

use android_protocol::voice::rewritten::Rewritten;

use crate::engine::{Engine, EngineError};
use crate::ids::KeyId;
use crate::keep::media::{self, NotTaken, is_name};
use crate::store::StoreError;
use crate::store::media::pieces::MediaRow;
use crate::store::rpc::files::RpcFileRow;

/// No key has more.
const MOST: i64 = 1_000;

/// Why a file is not kept.
#[derive(Debug, thiserror::Error)]
pub enum FileRefused {
    /// Its name is none.
    #[error("a file's name has 1 to 64 letters, digits, dots, _ or -, and not dots alone")]
    BadName,
    /// There are too many.
    #[error("this key has {MOST} files already: remove one first")]
    TooMany,
    /// Its sound is not taken.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
}

impl From<StoreError> for FileRefused {
    fn from(error: StoreError) -> Self {
        Self::NotTaken(error.into())
    }
}

impl Engine {
    /// Gives a name of a key this sound.
    ///
    /// # Errors
    /// Why not.
    pub async fn keep_rpc_file(&self, key: KeyId, name: &str, sound: &Rewritten) -> Result<(), FileRefused> {
        if !is_name(name) {
            return Err(FileRefused::BadName);
        }
        let now = self.clock.now();
        if self.store.read().await?.db().count_rpc_files(key).await? >= MOST {
            return Err(FileRefused::TooMany);
        }
        let media = media::write(&self.store, sound, self.config.media.most_bytes, now).await?;
        let mut tx = self.store.begin().await?;
        tx.db().media_is_whole(media.id, now).await?;
        tx.db().set_rpc_file(key, name, media.id, false, now).await?;
        Ok(tx.commit().await?)
    }

    /// The files of a key, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rpc_files(&self, key: KeyId) -> Result<Vec<RpcFileRow>, EngineError> {
        Ok(self.store.read().await?.db().rpc_files(key).await?)
    }

    /// The sound of one of them; `None`: there is none of that name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rpc_file(&self, key: KeyId, name: &str) -> Result<Option<MediaRow>, EngineError> {
        let mut reader = self.store.read().await?;
        let file = reader.db().rpc_file(key, name).await?;
        match file {
            Some(file) => Ok(reader.db().media(file.media_id).await?),
            None => Ok(None),
        }
    }

    /// Takes a name away; false where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_rpc_file(&self, key: KeyId, name: &str) -> Result<bool, EngineError> {
        let mut tx = self.store.begin().await?;
        let gone = tx.db().remove_rpc_file(key, name).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// A recording is stored: where a program has had it made, that finds it under the name that it gave it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_is_rpc_file(&self, mid: &str, name: &str) -> Result<(), EngineError> {
        let (file, media) = {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            (db.file_of_recording(mid, name).await?, db.recording_named(mid, name).await?.and_then(|row| row.media_id))
        };
        let (Some((key, file)), Some(media)) = (file, media) else { return Ok(()) };
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        tx.db().set_rpc_file(key, &file, media, true, now).await?;
        Ok(tx.commit().await?)
    }
}
