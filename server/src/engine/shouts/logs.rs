//! Detail records of shouts are written down: a row each, with the folder into whose files this node is to write it.

use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::engine::Engine;
use crate::ids::LogFolderId;
use crate::store::shouts::log::{Of, RecordKind};
use crate::store::shouts::rows::ShoutRow;
use crate::store::{StoreError, Work};

/// Where this node writes files of detail records, if it does.
#[derive(Debug, Default)]
pub struct Writing {
    folder: OnceLock<LogFolderId>,
    /// There may be something to be written.
    pub made: Notify,
    /// Files are to be opened anew.
    pub reopen: Notify,
}

impl Writing {
    /// From now on what this node makes is to be written into the files of that folder.
    pub fn begin(&self, folder: LogFolderId) {
        // Said once, at the start.
        let _ = self.folder.set(folder);
    }

    /// The folder, where there is one.
    #[must_use]
    pub fn folder(&self) -> Option<LogFolderId> {
        self.folder.get().copied()
    }
}

impl Engine {
    /// Keeps records about a shout.
    pub(super) async fn write_down(
        &self,
        work: &mut Work,
        kind: RecordKind,
        shout: &ShoutRow,
        lines: &[String],
    ) -> Result<(), StoreError> {
        let now = work.now();
        let folder = self.shout_logs.folder();
        work.db().add_shout_records(kind, &Of { shout: shout.id, key: shout.key_id, folder }, lines, now).await?;
        if folder.is_some() && !lines.is_empty() {
            self.shout_logs.made.notify_one();
        }
        Ok(())
    }
}
