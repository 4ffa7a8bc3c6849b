//! The data folder of the embedded database: who may read it, and the lock that keeps a second server out.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::store::{Result, StoreError};

/// The database's file.
pub(in crate::store) const DATABASE: &str = "autocall.sqlite";
/// The same while it is being made.
const NEW: &str = "autocall.sqlite.new";

/// How the folder is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Use {
    /// By the one server.
    Serve,
    /// By a command beside it.
    Beside,
    /// By somebody who only looks: nothing is made and nothing is changed.
    Look,
}

/// Held as long as a server runs on the folder; the system lets go of it when the process ends, however it ends.
pub(in crate::store) struct FolderLock {
    _file: Option<File>,
}

impl FolderLock {
    pub(in crate::store) fn take(folder: &Path, usage: Use) -> Result<Self> {
        if usage == Use::Look {
            return Ok(Self { _file: None });
        }
        let unusable = |source| StoreError::Folder { folder: folder.display().to_string(), source };
        // Only the owner: the folder holds people's numbers.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        if usage == Use::Beside {
            return Ok(Self { _file: None });
        }
        let file = open(folder, "server.lock").map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(StoreError::FolderInUse(folder.display().to_string())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

/// Whether the database file is there.
///
/// # Errors
/// When it is there and empty: a copy that failed, or a disk that was full. Taken for a new one, it would hide that everything is gone.
pub(in crate::store) fn is_there(folder: &Path) -> Result<bool> {
    let file = folder.join(DATABASE);
    match std::fs::metadata(&file) {
        Ok(found) if found.len() == 0 => Err(StoreError::Unfit(format!(
            "{} is empty (0 bytes), so everything in it is gone. Restore the last backup (autocall restore FILE); or remove it to begin anew",
            file.display()
        ))),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::Folder { folder: folder.display().to_string(), source }),
    }
}

/// The file of a database that is being made, empty and private.
pub(in crate::store) fn begin(folder: &Path) -> Result<PathBuf> {
    let new = folder.join(NEW);
    for left in ["", "-wal", "-shm", "-journal"] {
        // Of an attempt that was interrupted.
        let _ = std::fs::remove_file(folder.join(format!("{NEW}{left}")));
    }
    open(folder, NEW).map_err(|source| StoreError::Folder { folder: folder.display().to_string(), source })?;
    Ok(new)
}

/// It is a database now.
pub(in crate::store) fn finish(folder: &Path, new: &Path) -> Result<()> {
    std::fs::rename(new, folder.join(DATABASE))
        .map_err(|source| StoreError::Folder { folder: folder.display().to_string(), source })
}

/// Why the file cannot be opened.
pub(in crate::store) fn unusable(folder: &Path, error: sqlx::Error) -> StoreError {
    // CORRUPT and NOTADB.
    let damaged =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| matches!(&*code, "11" | "26"));
    if damaged {
        let file = folder.join(DATABASE);
        return StoreError::Unfit(format!(
            "{} is not a database, or damaged: move it away, and restore the last backup (autocall restore FILE)",
            file.display()
        ));
    }
    StoreError::Connection(error)
}

/// Makes the database file, so that only its owner can read it whatever the folder allows. SQLite gives its side files the same mode.
pub(in crate::store) fn make_private(folder: &Path) -> Result<()> {
    let made = open(folder, DATABASE).and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
    made.map_err(|source| StoreError::Folder { folder: folder.display().to_string(), source })
}

/// Held while the tables are brought up to date: a server and a command may start together.
pub(in crate::store) struct MigrationLock {
    _file: File,
}

impl MigrationLock {
    pub(in crate::store) fn take(folder: &Path) -> Result<Self> {
        let unusable = |source| StoreError::Folder { folder: folder.display().to_string(), source };
        let file = open(folder, "migrate.lock").map_err(unusable)?;
        file.lock().map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

fn open(folder: &Path, name: &str) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join(name))
}
