//! Addresses that somebody has to open before a sender goes on: in a file that only the owner of the data folder reads, since whoever has
//! such an address can agree in their place. The log, which may be kept and passed on, names the file only.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::access::senders::Sender;
use crate::app::App;

const FILE: &str = "addresses-to-open.txt";
/// So many are kept; the oldest go first.
const MOST: usize = 50;
/// And no more than this is read of what stands there, in bytes.
const LONGEST: u64 = 256 * 1024;
/// One at a time writes the file.
static WRITING: Mutex<()> = Mutex::new(());

/// Keeps an address, and says in the log where it is.
pub(super) async fn keep(app: &App, sender: &Sender, what: String, address: String) {
    let folder = app.config().data_dir.clone();
    let line = format!("{} {address}", app.engine.clock.now().format("%Y-%m-%dT%H:%MZ"));
    let written = tokio::task::spawn_blocking(move || write(&folder, &line, &address)).await;
    match written {
        Ok(Ok(file)) => tracing::warn!(sender.name = sender.name(), "{what}: the address is in {}", file.display()),
        Ok(Err(error)) => {
            tracing::warn!(sender.name = sender.name(), %error, "{what}: the address cannot be written to {FILE} in the data folder; \
                mend that, and let the sender ask once more");
        }
        Err(_) => tracing::warn!(sender.name = sender.name(), "{what}: let the sender ask once more"),
    }
}

fn write(folder: &Path, line: &str, address: &str) -> std::io::Result<PathBuf> {
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = folder.join(FILE);
    let mut before = String::new();
    match OpenOptions::new().read(true).open(&file) {
        // What is no text is no address.
        Ok(open) => {
            let _ = open.take(LONGEST).read_to_string(&mut before);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let text = with(&before, line, address);
    // Renamed into its place, so that nobody reads half of it.
    let new = folder.join(format!("{FILE}.new"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?.write_all(text.as_bytes())?;
    std::fs::rename(new, &file)?;
    Ok(file)
}

/// The lines with one more, in which each address stands once.
fn with(before: &str, line: &str, address: &str) -> String {
    let earlier = format!(" {address}");
    let mut lines: Vec<&str> = before.lines().filter(|line| !line.ends_with(&earlier)).collect();
    lines.push(line);
    let first = lines.len().saturating_sub(MOST);
    lines.iter().skip(first).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_address_stands_once_and_the_newest_are_kept() {
        let mut text = String::new();
        for number in 0..60 {
            let address = format!("https://sns.example/{number}/end");
            for minute in ["1", "2"] {
                text = with(&text, &format!("{minute} {address}"), &address);
            }
        }
        assert_eq!((text.lines().count(), text.lines().last()), (MOST, Some("2 https://sns.example/59/end")));
        assert!(text.lines().all(|line| line.starts_with('2')), "{text}");
    }

    #[test]
    fn only_the_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("data");
        for address in ["a", "b"] {
            write(&own, &format!("now {address}"), address).unwrap();
        }
        let file = own.join(FILE);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "now a\nnow b\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, b"\xff\xfe").unwrap();
        write(&own, "now c", "c").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "now c\n");
    }
}
