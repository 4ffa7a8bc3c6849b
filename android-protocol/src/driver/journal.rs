//! The journal on disk: one line of JSON an entry, safe against power loss before anybody acts on it.
//!
//! Any kind of handset keeps its own entries in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    marker::PhantomData,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another process has it.
    #[error(
        "{path} belongs to a handset that is running already: stop that one first, or give this one a `state_dir` of its own"
    )]
    InUse {
        /// Where it lies.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("{path} cannot be {what}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// An entry that is no JSON.
    #[error("an entry cannot be written as JSON")]
    Entry(#[from] serde_json::Error),
    /// Whoever wrote it did not come to an end.
    #[error("writing the journal broke off: {0}")]
    Broken(String),
}

/// A journal that this process alone may write.
#[derive(Debug)]
pub struct Journal<E> {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Something was written only in part: it is cut off before the next entry.
    torn: bool,
    /// Held as long as the journal is.
    _lock: File,
    entries: PhantomData<fn(E) -> E>,
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// Opens a journal, or begins one, and reads what it holds. A line that was not written to its end is taken for not written.
    ///
    /// # Errors
    ///
    /// If another process holds it, or the file system refuses.
    pub fn open(path: &Path) -> Result<(Self, Vec<E>), JournalError> {
        let failed = |path: &Path, what: &'static str| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, what, source }
        };
        let folder = folder_of(path);
        // Numbers and names stand in it: nobody else on this machine reads them.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder, "made"))?;
        let beside = path.with_extension("lock");
        let lock = private().create(true).append(true).open(&beside).map_err(failed(&beside, "opened"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(JournalError::InUse { path: path.to_owned() }),
            Err(why) => return Err(failed(&beside, "locked")(why.into())),
        }
        let file = private().create(true).append(true).open(path).map_err(failed(path, "opened"))?;
        let mut journal = Self { path: path.to_owned(), file, bytes: 0, torn: true, _lock: lock, entries: PhantomData };
        let (entries, whole) = journal.read()?;
        journal.bytes = whole;
        journal.mend()?;
        // A file that has just been made lasts only once its folder is written.
        sync_folder(folder).map_err(failed(folder, "written"))?;
        Ok((journal, entries))
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds an entry; when this returns it survives a power cut.
    ///
    /// # Errors
    ///
    /// If it is not on disk, and why. Then it is not there after a restart either.
    pub fn append(&mut self, entry: &E) -> Result<(), JournalError> {
        self.mend()?;
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.torn = true;
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(|source| self.failed("written", source))?;
        self.bytes += u64::try_from(line.len()).unwrap_or_default();
        self.torn = false;
        Ok(())
    }

    /// Writes it anew with what `keep` leaves of it: the old one stays until the new one is whole.
    ///
    /// # Errors
    ///
    /// If the file system refuses; then either the old one is as it was, or the new one is in its place.
    pub fn rewrite(&mut self, keep: impl FnOnce(Vec<E>) -> Vec<E>) -> Result<(), JournalError> {
        let (entries, _) = self.read()?;
        let mut lines = Vec::new();
        for entry in keep(entries) {
            serde_json::to_writer(&mut lines, &entry)?;
            lines.push(b'\n');
        }
        let new = self.path.with_extension("new");
        let written = (|| {
            let mut file = private().create(true).truncate(true).write(true).open(&new)?;
            file.write_all(&lines)?;
            file.sync_all()?;
            // Opened before it takes the old one's place: nothing that fails later leaves us writing into a file that is gone.
            let file = private().append(true).open(&new)?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        })();
        self.file = written.map_err(|source| self.failed("written anew", source))?;
        self.bytes = u64::try_from(lines.len()).unwrap_or_default();
        self.torn = false;
        sync_folder(folder_of(&self.path)).map_err(|source| self.failed("written anew", source))
    }

    /// What is in the file, and how many of its bytes are whole lines.
    fn read(&self) -> Result<(Vec<E>, u64), JournalError> {
        let text = fs::read(&self.path).map_err(|source| self.failed("read", source))?;
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
        let mut entries = Vec::new();
        for line in text[..whole].split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(entry) => entries.push(entry),
                // Of a later version, or of a disk that forgets: what is legible counts.
                Err(why) => tracing::warn!(error = %why, "a line of the journal cannot be read, and is left out"),
            }
        }
        Ok((entries, u64::try_from(whole).unwrap_or_default()))
    }

    /// Cuts off what was not written to its end.
    fn mend(&mut self) -> Result<(), JournalError> {
        if self.torn {
            self.file.set_len(self.bytes).and_then(|()| self.file.sync_all()).map_err(|source| self.failed("mended", source))?;
            self.torn = false;
        }
        Ok(())
    }

    fn failed(&self, what: &'static str, source: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), what, source }
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn open(path: &Path) -> (Journal<String>, Vec<String>) {
        Journal::open(path).unwrap()
    }

    #[test]
    fn what_was_written_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/handset.journal");
        let (mut journal, past) = open(&path);
        assert!(past.is_empty());
        journal.append(&"one".to_owned()).unwrap();
        journal.append(&"two\nlines".to_owned()).unwrap();
        drop(journal);
        assert_eq!(open(&path).1, ["one", "two\nlines"]);
    }

    #[test]
    fn a_line_that_was_torn_was_not_written_and_the_next_one_stands_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        for torn in [&b"\"tw"[..], b"\"two\"", b"\xff\xff", b"\0\0\0\0"] {
            let _ = fs::remove_file(&path);
            open(&path).0.append(&"one".to_owned()).unwrap();
            OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
            let (mut journal, past) = open(&path);
            assert_eq!(past, ["one"]);
            journal.append(&"three".to_owned()).unwrap();
            drop(journal);
            assert_eq!(open(&path).1, ["one", "three"]);
        }
    }

    #[test]
    fn a_line_that_nobody_can_read_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        fs::write(&path, "\"one\"\n{\"later\":1}\n\n\"two\"\n").unwrap();
        assert_eq!(open(&path).1, ["one", "two"]);
    }

    #[test]
    fn a_second_process_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let held = open(&path);
        let refused = Journal::<String>::open(&path).unwrap_err();
        assert!(matches!(refused, JournalError::InUse { .. }), "{refused}");
        drop(held);
        open(&path);
    }

    #[test]
    fn rewriting_keeps_what_is_kept_and_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (mut journal, _) = open(&path);
        for word in ["one", "two", "three"] {
            journal.append(&word.to_owned()).unwrap();
        }
        let before = journal.bytes();
        journal.rewrite(|all| all.into_iter().skip(2).collect()).unwrap();
        assert!(journal.bytes() < before);
        assert!(Journal::<String>::open(&path).is_err());
        journal.append(&"four".to_owned()).unwrap();
        assert_eq!(journal.bytes(), fs::metadata(&path).unwrap().len());
        drop(journal);
        assert_eq!(open(&path).1, ["three", "four"]);
    }
}
