//! A file that is written beside its name and put in its place once it is whole: only for its owner, and nobody else's file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

/// So often one is begun anew that somebody else has put there, or taken away.
const TRIES: usize = 5;

/// A file that is being written. Where it is let go before its end, nothing of it is left.
#[derive(Debug)]
pub struct Beside {
    file: File,
    meanwhile: PathBuf,
    to: PathBuf,
    overwrite: bool,
    is_placed: bool,
}

impl Beside {
    /// Begins one. What an interrupted one has left is written anew; what another process writes is left alone.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something that may not go, `WouldBlock` when another process writes it; else why it cannot be written.
    pub fn begin(to: &Path, overwrite: bool) -> io::Result<Self> {
        if !overwrite && to.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let beside = partial(to);
        for _ in 0..TRIES {
            if let Some(file) = opened(&beside)? {
                return Ok(Self { file, meanwhile: beside, to: to.to_owned(), overwrite, is_placed: false });
            }
        }
        Err(io::Error::other(format!("{} is taken away or changed again and again", beside.display())))
    }

    /// What is written.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in its place, whole.
    ///
    /// # Errors
    /// As [`Beside::begin`].
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if self.overwrite {
            std::fs::rename(&self.meanwhile, &self.to)?;
        } else {
            match renameat_with(CWD, &self.meanwhile, CWD, &self.to, RenameFlags::NOREPLACE) {
                // A file system that cannot do it in one step.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if self.to.symlink_metadata().is_err() => {
                    std::fs::rename(&self.meanwhile, &self.to)?;
                }
                placed => placed.map_err(io::Error::from)?,
            }
        }
        self.is_placed = true;
        let folder = self.to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // So that it is there after a power cut too. Some file systems refuse to be asked for that.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_placed {
            // What is left of it is of no use to anybody.
            let _ = std::fs::remove_file(&self.meanwhile);
        }
    }
}

/// The name of what is not whole yet.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Opens it empty, locked, and ours alone; `None` when it is to be tried again.
fn opened(beside: &Path) -> io::Result<Option<File>> {
    // No pipe keeps anybody waiting, and no link leads elsewhere.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(flags).open(beside);
    let (file, is_new) = match new {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match OpenOptions::new().write(true).custom_flags(flags).open(beside) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                there => (there?, false),
            }
        }
        new => (new?, true),
    };
    match file.try_lock() {
        // One that was made this moment was taken for a left one.
        Err(TryLockError::WouldBlock) if is_new => return Ok(None),
        Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
        // Some file systems know no locks.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    let (own, named) = (file.metadata()?, beside.symlink_metadata());
    // Whoever had it open before may have put it in its place since: then it is a good one, and not to be emptied.
    let is_named = named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino()));
    if !is_named {
        return Ok(None);
    }
    let is_ours = own.is_file() && own.nlink() == 1 && own.uid() == rustix::process::geteuid().as_raw();
    if !is_ours {
        // Others could read what is written into it, or read it under another name.
        std::fs::remove_file(beside)?;
        return Ok(None);
    }
    file.set_len(0)?;
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::io::Write as _;

    use super::*;

    fn written(to: &Path, overwrite: bool, text: &str) -> io::Result<()> {
        let beside = Beside::begin(to, overwrite)?;
        let mut file = beside.file();
        file.write_all(text.as_bytes())?;
        beside.finish()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a");
        drop(Beside::begin(&to, false).unwrap());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left of half a file");
        written(&to, false, "one").unwrap();
        assert_eq!((std::fs::read_to_string(&to).unwrap().as_str(), to.metadata().unwrap().mode() & 0o777), ("one", 0o600));
        assert_eq!(written(&to, false, "two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "one");
        written(&to, true, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "two");
    }

    #[test]
    fn what_somebody_else_put_there_is_not_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let (to, other) = (folder.path().join("a"), folder.path().join("other"));
        // A file that has another name as well: whoever made it could read it there.
        std::fs::write(&other, "theirs").unwrap();
        std::fs::hard_link(&other, partial(&to)).unwrap();
        written(&to, false, "secret").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "theirs");
        assert_eq!((std::fs::read_to_string(&to).unwrap().as_str(), to.metadata().unwrap().nlink()), ("secret", 1));
        // A link leads nowhere.
        std::fs::remove_file(&to).unwrap();
        std::os::unix::fs::symlink(&other, partial(&to)).unwrap();
        assert!(written(&to, false, "secret").is_err());
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "theirs");
    }

    #[test]
    fn one_that_was_put_in_its_place_meanwhile_is_not_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a");
        let first = Beside::begin(&to, true).unwrap();
        assert_eq!(Beside::begin(&to, true).unwrap_err().kind(), ErrorKind::WouldBlock, "another one writes it");
        let mut file = first.file();
        file.write_all(b"whole").unwrap();
        // As whoever has opened it before it was renamed, and locks it afterwards.
        let late = OpenOptions::new().write(true).open(partial(&to)).unwrap();
        first.finish().unwrap();
        late.try_lock().unwrap();
        assert!(opened(&partial(&to)).unwrap().is_some(), "a new one is made");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "whole");
    }
}
