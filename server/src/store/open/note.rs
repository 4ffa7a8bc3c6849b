//! Which database the server of a data folder uses, written down in the folder: a command that is given other settings would work on
//! another database, and hand out tokens that the server does not know.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ids::InstallationId;

const FILE: &str = "server.database";

/// What the server of a folder uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Note {
    /// The file in the folder.
    Embedded,
    /// A Postgres database.
    Postgres {
        /// Which installation it holds.
        installation: InstallationId,
        /// Host, port and name, without user and password.
        place: String,
    },
}

impl Note {
    /// What was written last; `None` when nothing was, or nothing that can be read.
    pub(in crate::store) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
        match text.trim().split_once(' ') {
            None if text.trim() == "embedded" => Some(Self::Embedded),
            Some(("postgres", rest)) => {
                let (installation, place) = rest.split_once(' ')?;
                Some(Self::Postgres { installation: installation.parse().ok()?, place: place.to_owned() })
            }
            _ => None,
        }
    }

    pub(in crate::store) fn write(&self, folder: &Path) -> std::io::Result<()> {
        let text = match self {
            Self::Embedded => "embedded\n".to_owned(),
            Self::Postgres { installation, place } => format!("postgres {installation} {place}\n"),
        };
        // Renamed into its place, so that nobody reads half of it.
        let new = folder.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(new, folder.join(FILE))
    }

    /// Why a command with these settings must not go on; `None` when it may.
    pub(in crate::store) fn against(&self, folder: &Path, with_url: bool) -> Option<String> {
        match (self, with_url) {
            (Self::Embedded, false) | (Self::Postgres { .. }, true) => None,
            (Self::Embedded, true) => Some(format!(
                "the server of the folder {} keeps its data in the file autocall.sqlite there, and this command was given a database_url. {}",
                folder.display(),
                Self::what_to_do(folder)
            )),
            (Self::Postgres { place, .. }, false) => Some(format!(
                "the server of the folder {} keeps its data in the Postgres database {place}, and this command was given none. {}",
                folder.display(),
                Self::what_to_do(folder)
            )),
        }
    }

    /// The database that was opened is not the server's.
    pub(in crate::store) fn is_another(&self, folder: &Path, opened: &str) -> String {
        let place = match self {
            Self::Embedded => "autocall.sqlite",
            Self::Postgres { place, .. } => place,
        };
        format!(
            "the server of the folder {} keeps its data in the Postgres database {place}, and this command was given another: {opened}. {}",
            folder.display(),
            Self::what_to_do(folder)
        )
    }

    fn what_to_do(folder: &Path) -> String {
        format!(
            "Give it the server's settings (--config FILE, or DATABASE_URL in its environment). If the server has moved, start it with its \
             new settings first, or remove {}",
            folder.join(FILE).display()
        )
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn what_is_written_is_read_and_garbage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Note::read(folder.path()), None);
        let installation = InstallationId::new(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        for note in [Note::Embedded, Note::Postgres { installation, place: "[::1]:5432/my alarms".to_owned() }] {
            note.write(folder.path()).unwrap();
            assert_eq!(Note::read(folder.path()), Some(note));
        }
        for garbage in ["", "postgres", "postgres x y", "sqlite", "postgres 01a1fc4e"] {
            std::fs::write(folder.path().join(FILE), garbage).unwrap();
            assert_eq!(Note::read(folder.path()), None, "{garbage}");
        }
    }
}
