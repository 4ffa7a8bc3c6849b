//! Section `backup`: copies of everything that the server makes by itself.

use std::path::PathBuf;

use crate::config::{Key, Value, ValueKind};

/// Backups that the server makes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// The folder for them; `None`: none are made.
    pub dir: Option<PathBuf>,
    /// So many hours lie between two.
    pub every_hours: u32,
    /// So many are kept.
    pub keep: u32,
    /// The file whose first line is the passphrase; `None`: they are not encrypted.
    pub passphrase_file: Option<PathBuf>,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self { dir: None, every_hours: 24, keep: 14, passphrase_file: None }
    }
}

fn path_of(value: &Value) -> Option<PathBuf> {
    Some(PathBuf::from(value.text())).filter(|path| !path.as_os_str().is_empty())
}

fn shown(path: Option<&PathBuf>) -> Value {
    Value::Text(path.map(|path| path.display().to_string()).unwrap_or_default())
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    Key {
        path: "backup.dir",
        env: "AUTOCALL_BACKUP_DIR",
        kind: ValueKind::Text,
        meaning: "Folder into which the server makes backups by itself; best on another disk. It is made where it is not there. Of several nodes one makes each backup, into its own folder.",
        set: |config, value| {
            config.backup.dir = path_of(value);
            Ok(())
        },
        get: |config| shown(config.backup.dir.as_ref()),
    },
    count_key!(
        "backup.every_hours",
        "AUTOCALL_BACKUP_EVERY_HOURS",
        (1, 8_760),
        backup.every_hours,
        "So many hours lie between two of them, 1 to 8760."
    ),
    count_key!(
        "backup.keep",
        "AUTOCALL_BACKUP_KEEP",
        (1, 10_000),
        backup.keep,
        "So many of them are kept in that folder, 1 to 10000; when a new one is whole, the oldest go."
    ),
    Key {
        path: "backup.passphrase_file",
        env: "AUTOCALL_BACKUP_PASSPHRASE_FILE",
        kind: ValueKind::Text,
        meaning: "File whose first line is the passphrase with which backups are encrypted. Keep a copy of it where the backups are not: without it nobody can read them.",
        set: |config, value| {
            config.backup.passphrase_file = path_of(value);
            Ok(())
        },
        get: |config| shown(config.backup.passphrase_file.as_ref()),
    },
];
