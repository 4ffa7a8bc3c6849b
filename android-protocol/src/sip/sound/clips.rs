//! Recordings of the server that are played in place of a text: fetched before anybody is dialled, and kept.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Pcm, speech::prune};
use crate::{
    sip::{
        call::pcm,
        server::{Media, Server, ServerError},
    },
    voice::{
        pcm as sound,
        script::{Clip, Script, Utterance},
        wav,
    },
};

/// How much of them is kept.
const MOST_KEPT: u64 = 200_000_000;

/// Why a recording cannot be played.
#[derive(Debug, Error)]
pub enum ClipError {
    /// Its name could not stand in an address.
    #[error("the recording's name is none")]
    Name,
    /// The server does not give it.
    #[error("the recording {id} cannot be had: {source}")]
    Server {
        /// Which one.
        id: String,
        /// Why.
        source: ServerError,
    },
    /// It is not what the offer speaks of.
    #[error("the recording {id} is another one than was offered")]
    Other {
        /// Which one.
        id: String,
    },
    /// They are not there before somebody has to be dialled.
    #[error("the recordings did not come in time")]
    Late,
    /// It is no sound.
    #[error("the recording {id}: {source}")]
    NoSound {
        /// Which one.
        id: String,
        /// Why.
        source: wav::WavError,
    },
}

/// Recordings of one server.
#[derive(Debug, Clone)]
pub struct Clips {
    folder: PathBuf,
    server: Server,
}

/// The SHA-256 of a file, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Clips {
    /// Those of a server, kept in a folder of the handset's.
    #[must_use]
    pub fn new(server: Server, state_dir: &Path) -> Self {
        Self { folder: state_dir.join("clips"), server }
    }

    /// Every recording of a script, ready to be played.
    ///
    /// # Errors
    ///
    /// If one of them cannot be had: nobody knows what it would have said, so nobody is to be dialled.
    pub async fn of(&self, script: &Script) -> Result<BTreeMap<Utterance, Pcm>, ClipError> {
        let mut ready = BTreeMap::new();
        for utterance in script.utterances() {
            if let Utterance::Clip(clip) = &utterance {
                let sound = self.clip(clip).await?;
                ready.insert(utterance, sound);
            }
        }
        Ok(ready)
    }

    /// One recording: what is kept, where that is what the offer speaks of; else the server is asked whether it has another one by now.
    async fn clip(&self, clip: &Clip) -> Result<Pcm, ClipError> {
        let id = clip.media.clone();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if id.is_empty() || id.len() > 100 || !id.chars().all(is_name) {
            return Err(ClipError::Name);
        }
        let path = self.folder.join(format!("{id}.wav"));
        let kept = tokio::fs::read(&path).await.ok();
        let wanted = clip.sha256.as_ref().map(|sha256| sha256.to_ascii_lowercase());
        let tag = kept.as_deref().map(sha256);
        let kept = match kept {
            Some(kept) if wanted.is_some() && wanted == tag => return sound_of(&id, kept).await,
            kept => kept,
        };
        let failed = |source| ClipError::Server { id: id.clone(), source };
        let bytes = match (self.server.media(&id, tag.as_deref()).await.map_err(failed)?, kept) {
            (Media::Unchanged, Some(kept)) => kept,
            (Media::Unchanged, None) => return Err(failed(ServerError::Status(304))),
            (Media::Fresh(bytes), _) => bytes,
        };
        if wanted.is_some_and(|wanted| wanted != sha256(&bytes)) {
            return Err(ClipError::Other { id });
        }
        let sound = sound_of(&id, bytes.clone()).await?;
        self.keep(&path, &bytes).await;
        Ok(sound)
    }

    /// That this fails costs time only.
    async fn keep(&self, path: &Path, bytes: &[u8]) {
        let temporary = path.with_extension(format!("{:08x}", rand::random::<u32>()));
        let _ = tokio::fs::create_dir_all(&self.folder).await;
        if tokio::fs::write(&temporary, bytes).await.is_ok() {
            let _ = tokio::fs::rename(&temporary, path).await;
        }
        let folder = self.folder.clone();
        let _ = tokio::task::spawn_blocking(move || prune(&folder, MOST_KEPT)).await;
    }
}

/// The sound of a file. A long one takes a second to be read, in which other calls go on.
async fn sound_of(id: &str, bytes: Vec<u8>) -> Result<Pcm, ClipError> {
    let read = tokio::task::spawn_blocking(move || wav::read(&bytes).map(|read| pcm(sound::resample(&read.samples, read.rate))));
    match read.await {
        Ok(sound) => sound.map_err(|source| ClipError::NoSound { id: id.to_owned(), source }),
        Err(why) => std::panic::resume_unwind(why.into_panic()),
    }
}
