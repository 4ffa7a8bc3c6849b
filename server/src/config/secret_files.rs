//! Secrets from files: a key that holds one has a second name, with `_file` behind its own, for the file in which it stands.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::{Config, SecretUrl};

/// Longest secret that a file may hold, in bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// A key whose value is a secret.
pub struct SecretKey {
    /// The key.
    pub path: &'static str,
    /// The key of the file.
    pub file_path: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// The variable of the file.
    pub file_env: &'static str,
    held: fn(&Config) -> Option<&SecretUrl>,
}

macro_rules! secret_key {
    ($path:literal, $env:literal, $($field:ident).+) => {
        SecretKey {
            path: $path,
            file_path: concat!($path, "_file"),
            env: $env,
            file_env: concat!($env, "_FILE"),
            held: |config| config.$($field).+.as_ref(),
        }
    };
}

/// Every key whose value is a secret.
pub const SECRETS: [SecretKey; 4] = [
    secret_key!("database_url", "DATABASE_URL", database_url),
    secret_key!("redis_url", "REDIS_URL", redis_url),
    secret_key!("notify.ping_url", "AUTOCALL_NOTIFY_PING_URL", notify.ping_url),
    secret_key!("monitor.url", "AUTOCALL_MONITOR_URL", monitor.url),
];

impl SecretKey {
    /// Whether two configurations have different secrets here, which their shown forms do not tell.
    pub(super) fn differs(&self, one: &Config, other: &Config) -> bool {
        (self.held)(one) != (self.held)(other)
    }

    /// Why both at once are refused.
    pub(super) fn both(&self) -> String {
        format!("{} and {} are both given: take one of them out", self.path, self.file_path)
    }
}

/// The secret in a file. What is wrong is said without a word of what stands in it.
pub(super) fn read(path: &str) -> Result<String, String> {
    let file = Path::new(path);
    if !file.is_absolute() {
        return Err(format!("must be the whole path of a file, from / on; it is {path:?}"));
    }
    let unreadable = |error: std::io::Error| format!("names {path}, which cannot be read ({error})");
    // Asked first: to open a pipe would wait for whoever writes into it.
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(format!("names {path}, which is no file"));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("names {path}, which holds more than {MOST_BYTES} bytes and so is no secret"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("names {path}, which holds no text"))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.trim().is_empty() {
        return Err(format!("names {path}, which is empty"));
    }
    if secret.contains(['\r', '\n']) {
        return Err(format!("names {path}, which holds more than one line"));
    }
    Ok(secret.to_owned())
}
