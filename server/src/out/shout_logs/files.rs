//! The files of detail records in a folder, written on a thread of their own.
//!
//! A file that was moved away or removed is made anew before the next line, and lines during whose writing that happened are written once
//! more: whoever rotates them needs to tell nobody. Half a line, as a kill or a full disk leaves it, is taken off: it comes again whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::ids::LogFolderId;
use crate::store::shouts::log::RecordKind;

/// Which folder it is: the name that its first writer gave it. Who writes holds its lock.
const NAME: &str = ".autocall";
/// Whoever accounts for shouts may belong to the group; the lines hold numbers.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// No line is longer.
const LONGEST_LINE: u64 = 65_536;
/// A file that is moved away more often than this while a few lines are written is not waited for.
const MOST_MOVES: usize = 3;
/// A folder that has not answered for so long is spoken of.
const STALLED: Duration = Duration::from_secs(10);

/// Why lines are not in their file.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// Another server has the folder.
    #[error("another server writes into {}: give each node a folder of its own (shouts.log_dir)", .0.display())]
    Taken(PathBuf),
    /// The system does not do it.
    #[error("{}: {source}", path.display())]
    System {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder does not answer.
    #[error("{} has not answered for {} seconds", .0.display(), STALLED.as_secs())]
    Stalled(PathBuf),
    /// The thread is gone.
    #[error("the thread that writes files has ended")]
    Ended,
}

/// The name of a file, as blast-api has it.
#[must_use]
pub fn file_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Shout => "bdr.log",
        RecordKind::Call => "cdr.log",
        RecordKind::Recording => "rec_cdr.log",
    }
}

type Done = Result<(), NotWritten>;

enum Order {
    Append(RecordKind, Vec<String>),
    Reopen,
}

/// The files, by the thread that writes them.
pub struct Files {
    path: PathBuf,
    orders: mpsc::SyncSender<(Order, oneshot::Sender<Done>)>,
    folder: Arc<OnceLock<LogFolderId>>,
}

impl Files {
    /// Starts the thread. `new`: what a folder without a name is called.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(path: PathBuf, new: LogFolderId) -> io::Result<Self> {
        let (orders, ordered) = mpsc::sync_channel::<(Order, oneshot::Sender<Done>)>(1);
        let folder = Arc::new(OnceLock::new());
        let mut own = Folder { path: path.clone(), new, name: Arc::clone(&folder), lock: None, files: [None, None, None] };
        let write = move || {
            while let Ok((order, reply)) = ordered.recv() {
                // Nobody waits for it any more: it was asked for again, or will be.
                if reply.is_closed() {
                    continue;
                }
                let done = match order {
                    Order::Append(kind, lines) => own.append(kind, &lines),
                    Order::Reopen => own.reopen(),
                };
                // Whoever asked may have left meanwhile: what is on the disk comes once more then.
                let _ = reply.send(done);
            }
        };
        std::thread::Builder::new().name("shout-logs".to_owned()).spawn(write)?;
        Ok(Self { path, orders, folder })
    }

    /// The name of the folder, once it could be opened.
    #[must_use]
    pub fn folder(&self) -> Option<LogFolderId> {
        self.folder.get().copied()
    }

    /// Opens the files; gives the name of the folder.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub async fn open(&self) -> Result<LogFolderId, NotWritten> {
        self.reopen().await?;
        self.folder().ok_or(NotWritten::Ended)
    }

    /// Opens the files anew.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub async fn reopen(&self) -> Done {
        self.order(Order::Reopen).await
    }

    /// Writes lines; they are on the disk then.
    ///
    /// # Errors
    /// When they are not, or may not be.
    pub async fn append(&self, kind: RecordKind, lines: Vec<String>) -> Done {
        self.order(Order::Append(kind, lines)).await
    }

    async fn order(&self, order: Order) -> Done {
        let (reply, done) = oneshot::channel();
        let stalled = || NotWritten::Stalled(self.path.clone());
        self.orders.try_send((order, reply)).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => stalled(),
            mpsc::TrySendError::Disconnected(_) => NotWritten::Ended,
        })?;
        match tokio::time::timeout(STALLED, done).await {
            Ok(done) => done.unwrap_or(Err(NotWritten::Ended)),
            Err(_) => Err(stalled()),
        }
    }
}

/// The folder as its thread has it.
struct Folder {
    path: PathBuf,
    new: LogFolderId,
    name: Arc<OnceLock<LogFolderId>>,
    lock: Option<File>,
    /// In the order of [`RecordKind::ALL`].
    files: [Option<File>; 3],
}

fn place(kind: RecordKind) -> usize {
    RecordKind::ALL.iter().position(|own| *own == kind).unwrap_or(0)
}

impl Folder {
    fn failed(path: &Path) -> impl Fn(io::Error) -> NotWritten + use<> {
        let path = path.to_owned();
        move |source| NotWritten::System { path: path.clone(), source }
    }

    /// Takes the folder for this process, unless it has it.
    fn take(&mut self) -> Done {
        let path = self.path.join(NAME);
        if let Some(lock) = &self.lock
            && is_at(lock, &path)
        {
            return Ok(());
        }
        let failed = Self::failed(&path);
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.path).map_err(&failed)?;
        let mut open = OpenOptions::new();
        let mut lock = open.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(&path).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotWritten::Taken(self.path.clone())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        lock.read_to_string(&mut text).map_err(&failed)?;
        let name = match (self.name.get(), text.trim().parse()) {
            // Another folder was put in its place.
            (Some(name), _) => *name,
            (None, Ok(name)) => name,
            (None, Err(_)) => self.new,
        };
        if text.trim() != name.to_string() {
            lock.set_len(0).and_then(|()| lock.rewind()).map_err(&failed)?;
            writeln!(lock, "{name}").and_then(|()| lock.sync_all()).map_err(&failed)?;
        }
        let _ = self.name.set(name);
        self.lock = Some(lock);
        Ok(())
    }

    fn reopen(&mut self) -> Done {
        self.take()?;
        for kind in RecordKind::ALL {
            self.files[place(kind)] = None;
            self.file(kind)?;
        }
        Ok(())
    }

    /// The file as it stands in the folder now.
    fn file(&mut self, kind: RecordKind) -> Result<&mut File, NotWritten> {
        let path = self.path.join(file_name(kind));
        let failed = Self::failed(&path);
        let place = place(kind);
        let known = self.files[place].take();
        if known.is_some() && !path.exists() {
            tracing::warn!(file = %path.display(), "this file was removed or moved away, and is begun anew");
        }
        let file = match known.filter(|file| is_at(file, &path)) {
            Some(file) => file,
            None => open(&path).map_err(failed)?,
        };
        Ok(self.files[place].insert(file))
    }

    fn append(&mut self, kind: RecordKind, lines: &[String]) -> Done {
        let path = self.path.join(file_name(kind));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        for _ in 0..MOST_MOVES {
            self.take()?;
            let file = self.file(kind)?;
            if let Err(source) = write(file, &text) {
                self.files[place(kind)] = None;
                return Err(Self::failed(&path)(source));
            }
            // Moved away meanwhile: whoever took it may not have seen the end.
            if is_at(file, &path) {
                return Ok(());
            }
        }
        Err(Self::failed(&path)(io::Error::other("it is moved away again and again")))
    }
}

/// Whether a file that is open is the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    let which = |found: fs::Metadata| (found.dev(), found.ino());
    matches!((file.metadata().map(which), fs::metadata(path).map(which)), (Ok(own), Ok(there)) if own == there)
}

/// Opens a file for lines, without the half of one at its end.
fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(path)?;
    let length = file.metadata()?.len();
    let tail = length.min(LONGEST_LINE);
    if tail > 0 {
        file.seek(SeekFrom::End(-i64::try_from(tail).unwrap_or(0)))?;
        let mut end = Vec::new();
        (&file).take(tail).read_to_end(&mut end)?;
        let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        let half = u64::try_from(end.len() - whole).unwrap_or(0);
        // What has no line at all is not ours.
        if half > 0 && (whole > 0 || half == length) {
            file.set_len(length - half)?;
        }
    }
    Ok(file)
}

fn write(file: &mut File, text: &str) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).inspect_err(|_| {
        // What is written of it comes again; were it to stay, it would come twice.
        let _ = file.set_len(before);
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use chrono::DateTime;

    fn folder(path: &Path) -> Folder {
        let new = LogFolderId::new(DateTime::UNIX_EPOCH);
        Folder { path: path.to_owned(), new, name: Arc::default(), lock: None, files: [None, None, None] }
    }

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    fn one(line: &str) -> Vec<String> {
        vec![line.to_owned()]
    }

    #[test]
    fn a_folder_keeps_its_name_and_is_written_by_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("logs/own");
        let mut first = folder(&path);
        first.reopen().unwrap();
        let name = *first.name.get().unwrap();
        assert!(["bdr.log", "cdr.log", "rec_cdr.log"].iter().all(|file| path.join(file).exists()));
        assert!(matches!(folder(&path).reopen(), Err(NotWritten::Taken(_))));
        drop(first);
        let mut second = folder(&path);
        second.reopen().unwrap();
        assert_eq!(second.name.get(), Some(&name));
    }

    #[test]
    fn what_is_moved_away_or_removed_is_begun_anew() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("own");
        let (file, moved) = (path.join("cdr.log"), path.join("cdr.log-1"));
        let mut own = folder(&path);
        own.append(RecordKind::Call, &one("1")).unwrap();
        fs::rename(&file, &moved).unwrap();
        own.append(RecordKind::Call, &one("2")).unwrap();
        assert_eq!((lines(&moved), lines(&file)), (one("1"), one("2")));
        // As logrotate's `create` does.
        fs::rename(&file, &moved).unwrap();
        File::create(&file).unwrap();
        own.append(RecordKind::Call, &one("3")).unwrap();
        assert_eq!((lines(&moved), lines(&file)), (one("2"), one("3")));
        fs::remove_file(&file).unwrap();
        own.append(RecordKind::Call, &one("4")).unwrap();
        assert_eq!(lines(&file), one("4"));
        fs::remove_dir_all(&path).unwrap();
        own.append(RecordKind::Call, &one("5")).unwrap();
        assert_eq!(lines(&file), one("5"));
    }

    #[test]
    fn half_a_line_is_taken_off() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("cdr.log");
        for (left, kept) in [("1\n{\"half", "1\n"), ("{\"half", ""), ("1\n", "1\n"), ("", "")] {
            fs::write(&file, left).unwrap();
            folder(home.path()).append(RecordKind::Call, &one("2")).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), format!("{kept}2\n"), "{left}");
        }
    }

    #[test]
    fn a_full_disk_is_told_and_written_to_again_when_there_is_room() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("cdr.log");
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        let mut own = folder(home.path());
        let error = own.append(RecordKind::Call, &one("1")).unwrap_err();
        assert!(matches!(&error, NotWritten::System { source, .. } if source.kind() == io::ErrorKind::StorageFull), "{error}");
        own.append(RecordKind::Shout, &one("1")).unwrap();
        fs::remove_file(&file).unwrap();
        own.append(RecordKind::Call, &one("1")).unwrap();
        assert_eq!(lines(&file), one("1"));
    }
}
