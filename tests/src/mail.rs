//! A mail server that others wrote: Python's `aiosmtpd`, with `tests/mail/server.py`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::wait::eventually;

/// How long a program may take to start on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A running mail server. What it does to a recipient, says the name of the recipient; see the script.
#[derive(Debug)]
pub struct MailServer {
    process: Process,
    port: u16,
    _folder: TempDir,
}

/// The certificate of a mail server, and the authority that has signed it.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

impl MailServer {
    /// Starts one with these arguments of its script.
    ///
    /// # Panics
    ///
    /// When its packages cannot be installed, or it does not start.
    pub async fn start(args: &[&str]) -> Self {
        let mut python = Command::new(root().join("tests/calendar-python"));
        let python = python.arg("tests/mail/requirements.txt").stderr(Stdio::inherit()).output().expect("the script is there");
        assert!(python.status.success(), "tests/calendar-python must be able to install its packages");
        let mut command = Command::new(String::from_utf8_lossy(&python.stdout).trim());
        command.arg(root().join("tests/mail/server.py")).args(args);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let process = Process::spawn("a mail server", command, &folder.path().join("log"));
        let port =
            eventually("the mail server to say its port", SOON, async || process.output().lines().next()?.parse().ok()).await;
        Self { process, port, _folder: folder }
    }

    /// Its port on this computer.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it said of what it was told, in order.
    #[must_use]
    pub fn said(&self) -> Vec<Value> {
        self.process.output().lines().skip(1).filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The messages that it has taken.
    #[must_use]
    pub fn taken(&self) -> Vec<Value> {
        self.said().into_iter().filter(|said| said["text"].is_string()).collect()
    }
}

impl Certificate {
    /// One for `localhost`, made with openssl.
    ///
    /// # Panics
    ///
    /// When openssl is not there.
    #[must_use]
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let names = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
        std::fs::write(folder.path().join("names"), names).expect("a file can be written");
        let made = Self { folder };
        made.openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem");
        made.openssl("req -newkey rsa:2048 -nodes -subj /CN=mail -keyout mail.key -out mail.csr");
        made.openssl("x509 -req -in mail.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out mail.pem");
        made
    }

    fn openssl(&self, line: &str) {
        let done = Command::new("openssl").args(line.split(' ')).current_dir(self.folder.path()).output();
        let done = done.expect("openssl is there");
        assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The path of one of its files: `ca.pem`, `mail.pem`, `mail.key`.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}
