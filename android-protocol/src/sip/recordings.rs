//! What callees said: on disk before the report that names it, uploaded after it, and kept until the server has it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::{
    server::{Server, ServerError},
    sound::{Pcm, clips::sha256},
};
use crate::{voice::wav, wire::Recording};

/// How long a recording is kept that the server does not take.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// How much of them is kept.
const MOST_KEPT: u64 = 500_000_000;

/// What the name of a file ends with that is not whole yet.
const UNFINISHED: &str = "new";

/// The pauses between two tries.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MOST: Duration = Duration::from_mins(5);

/// The folder of recordings. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Recordings {
    folder: PathBuf,
    news: Arc<Notify>,
}

/// A file's name tells for which hand-out it is: letters that no file name may hold are written out.
fn file_name(mid: &str, id: &str) -> String {
    let mid: String = mid.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{mid}.{id}.wav")
}

/// The hand-out and the name of a recording, by its file.
fn named(path: &Path) -> Option<(String, String)> {
    let (mid, id) = path.file_name()?.to_str()?.strip_suffix(".wav")?.split_once('.')?;
    let byte = |at: usize| u8::from_str_radix(mid.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..mid.len()).step_by(2).map(byte).collect();
    Some((String::from_utf8(bytes?).ok()?, id.to_owned()))
}

impl Recordings {
    /// Those in a handset's folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let folder = state_dir.join("recordings");
        // What a crash has cut off, from before any call of this process.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == UNFINISHED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Self { folder, news: Arc::default() }
    }

    /// Writes one down, safe against power loss; what the report says of it.
    ///
    /// # Errors
    ///
    /// If the disk does not take it. Then the report must not name it.
    pub async fn keep(&self, mid: &str, samples: Pcm) -> io::Result<Recording> {
        let id = format!("r{:032x}", rand::random::<u128>());
        let path = self.folder.join(file_name(mid, &id));
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            let bytes = wav::write_ulaw(&samples);
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let new = path.with_extension(UNFINISHED);
            let write = || {
                // A voice is nobody else's on this machine.
                let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&new, &path)
            };
            // A disk that is full is not kept so.
            write().inspect_err(|_| drop(fs::remove_file(&new)))?;
            File::open(&folder)?.sync_all()?;
            let seconds = u64::try_from(samples.len()).unwrap_or_default() / 8000;
            let length = u64::try_from(bytes.len()).unwrap_or_default();
            Ok(Recording { id, seconds: Some(seconds), bytes: Some(length), sha256: Some(sha256(&bytes)) })
        });
        written.await.unwrap_or_else(|why| Err(io::Error::other(why)))
    }

    /// A report was taken: what it names may be uploaded now.
    pub fn reported(&self) {
        self.news.notify_one();
    }

    /// Uploads whatever is there, for ever. A file goes only when the server has it, or says that it will never be wanted (410).
    pub async fn upload(self, server: Server, tell: Arc<dyn Fn(&str) + Send + Sync>) {
        let (mut pause, mut tried) = (AGAIN, false);
        loop {
            let mut waiting = 0;
            for path in self.files(&tell, tried) {
                let Some((mid, id)) = named(&path) else { continue };
                let Ok(bytes) = tokio::fs::read(&path).await else { continue };
                match server.put_recording(&id, &mid, bytes).await {
                    Ok(()) | Err(ServerError::Status(410)) => drop(fs::remove_file(&path)),
                    Err(why) => {
                        waiting += 1;
                        tell(&format!("a recording waits: {why}"));
                    }
                }
            }
            tried = true;
            let wake = if waiting > 0 { pause } else { AGAIN_MOST };
            pause = if waiting > 0 { (pause * 2).min(AGAIN_MOST) } else { AGAIN };
            if timeout(wake, self.news.notified()).await.is_ok() {
                pause = AGAIN;
            }
        }
    }

    /// What waits, oldest first; what is too old, or too much, goes, and that is said. None is too old before it was `tried` once: the
    /// handset may have been off, or its clock set.
    fn files(&self, tell: &Arc<dyn Fn(&str) + Send + Sync>, tried: bool) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut all: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), entry.path()))
            })
            .filter(|(.., path)| path.extension().is_some_and(|extension| extension == "wav"))
            .collect();
        all.sort();
        let mut total: u64 = all.iter().map(|(_, length, _)| length).sum();
        all.retain(|(written, length, path)| {
            let old = tried && written.elapsed().is_ok_and(|age| age > KEPT_FOR);
            if old || total > MOST_KEPT {
                tell("a recording that the server did not take for long is thrown away");
                total = total.saturating_sub(*length);
                let _ = fs::remove_file(path);
                return false;
            }
            true
        });
        all.into_iter().map(|(.., path)| path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_hand_out_whatever_that_is_called() {
        for mid in ["m1", "../../etc", "ü/..", ""] {
            let name = file_name(mid, "r1");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'), "{name}");
            assert_eq!(named(Path::new(&name)), Some((mid.to_owned(), "r1".to_owned())));
        }
        assert_eq!(named(Path::new("x.wav")), None);
        assert_eq!(named(Path::new("6.r1.wav")), None);
    }
}
