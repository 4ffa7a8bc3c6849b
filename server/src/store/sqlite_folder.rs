//! The data folder of the embedded database: who may read it, and the lock that keeps a second server out.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::{Result, StoreError};

/// How the folder is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// By the one server.
    Serve,
    /// By a command beside it.
    Beside,
}

/// Held as long as a server runs on the folder; the system lets go of it when the process ends, however it ends.
pub(super) struct FolderLock {
    _file: Option<File>,
}

impl FolderLock {
    pub(super) fn take(folder: &Path, usage: Use) -> Result<Self> {
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

/// Makes the database file, so that only its owner can read it whatever the folder allows. SQLite gives its side files the same mode.
pub(super) fn make_private(folder: &Path) -> Result<()> {
    let made = open(folder, "autocall.sqlite").and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
    made.map_err(|source| StoreError::Folder { folder: folder.display().to_string(), source })
}

/// Held while the tables are brought up to date: a server and a command may start together.
pub(super) struct MigrationLock {
    _file: File,
}

impl MigrationLock {
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let unusable = |source| StoreError::Folder { folder: folder.display().to_string(), source };
        let file = open(folder, "migrate.lock").map_err(unusable)?;
        file.lock().map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

fn open(folder: &Path, name: &str) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join(name))
}
