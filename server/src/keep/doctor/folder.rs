//! Whether the data folder is there, private and writable, and whether there is room.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::store::StoreError;

/// Less room than this is worth a word, in bytes.
const SCARCE: u64 = 1 << 30;
/// And less than this stops alarms soon.
const NO_ROOM: u64 = 100 << 20;
/// Kinds of file systems over a network, by the number that Linux gives them: NFS, SMB, CIFS, 9P, Ceph.
const OF_NETWORKS: [u32; 5] = [0x6969, 0xfe53_4d42, 0xff53_4d42, 0x0102_1997, 0x00c3_6400];

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move { Ok(look(&seen.config().data_dir, seen.config().database_url.is_none())) })
}

fn look(folder: &Path, holds_database: bool) -> Vec<Finding> {
    let name = folder.display();
    let metadata = match std::fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::warn(
                format!("there is no folder {name} yet"),
                "start the server, which makes it; or correct data_dir",
            )];
        }
        Err(error) => {
            let todo = "run this as the user of the server, such as sudo -u autocall autocall doctor";
            return vec![Finding::bad(format!("the folder {name} cannot be looked at: {error}"), todo)];
        }
    };
    if !metadata.is_dir() {
        return vec![Finding::bad(format!("{name} is no folder"), "correct data_dir")];
    }
    let mut found = vec![private(&name.to_string(), metadata.permissions().mode())];
    if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
        found.push(Finding::bad(
            format!("whoever runs this may not write into {name}, which belongs to the user {}", metadata.uid()),
            "run this as the user of the server; if you do, give the folder to that user: chown -R autocall: it",
        ));
    }
    if let Ok(room) = rustix::fs::statvfs(folder) {
        found.push(left(&name.to_string(), room.f_bavail.saturating_mul(room.f_frsize)));
    }
    if holds_database && let Ok(kind) = rustix::fs::statfs(folder) {
        found.extend(over_a_network(&name.to_string(), u32::try_from(kind.f_type).unwrap_or_default()));
    }
    found
}

/// Who may enter.
fn private(name: &str, mode: u32) -> Finding {
    match mode & 0o077 {
        0 => Finding::good(format!("only its owner can enter {name}")),
        _ => Finding::warn(
            format!("others can enter {name} (mode {:o}), which holds people's numbers", mode & 0o777),
            format!("chmod 700 {name}"),
        ),
    }
}

/// How much room there is.
fn left(name: &str, bytes: u64) -> Finding {
    let told = format!("{} MB are free for {name}", bytes / 1_000_000);
    match bytes {
        ..NO_ROOM => Finding::bad(told, "make room now: when the disk is full, alarms are refused"),
        NO_ROOM..SCARCE => Finding::warn(told, "make room, or keep less: retention.days, media.keep_days"),
        _ => Finding::good(told),
    }
}

/// Locks of the embedded database do not hold there.
fn over_a_network(name: &str, kind: u32) -> Option<Finding> {
    OF_NETWORKS.contains(&kind).then(|| {
        Finding::bad(
            format!("{name} is on a file system over a network, where the locks of the embedded database do not hold"),
            "move data_dir to a local disk, or use Postgres",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::keep::doctor::Grade;

    #[test]
    fn room_and_rights_are_judged() {
        assert_eq!(
            (left("x", NO_ROOM - 1).grade, left("x", NO_ROOM).grade, left("x", SCARCE).grade),
            (Grade::Bad, Grade::Warn, Grade::Good)
        );
        assert_eq!((private("x", 0o40_700).grade, private("x", 0o40_750).grade), (Grade::Good, Grade::Warn));
        assert!(over_a_network("x", 0x6969).is_some() && over_a_network("x", 0xef53).is_none());
    }

    #[test]
    fn a_folder_that_is_not_there_or_none_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(look(&file, true)[0].grade, Grade::Bad);
        assert_eq!(look(&folder.path().join("none"), true)[0].grade, Grade::Warn);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(look(folder.path(), false).iter().any(|found| found.grade == Grade::Good));
    }
}
