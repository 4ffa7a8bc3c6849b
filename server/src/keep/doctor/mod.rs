//! What `autocall doctor` looks at: one function for each subject, which gives what it found, and what to do where something is not right.
//!
//! To add a check: a file with a function of the form of [`Look`], and its line in [`CHECKS`].

mod addresses;
mod backups;
mod certificates;
mod configuration;
mod database;
mod folder;
mod monitor;
mod outboxes;
mod phones;
mod ports;
mod retention;
mod rights;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use crate::clock::Clock;
use crate::config::{Config, ConfigError, Loaded};
use crate::keep::pairing;
use crate::store::open::look::Looked;
use crate::store::{Store, StoreError};

pub use self::server::Answer;

/// Longest that one check may take.
const WITHIN: Duration = Duration::from_secs(20);
/// So many findings of one check are told, the worst first.
const MOST_TOLD: usize = 20;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Warn,
    /// Somebody may not be rung, or something may be lost.
    Bad,
}

impl Grade {
    /// The word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How it is.
    pub grade: Grade,
    /// What was found: a sentence.
    pub said: String,
    /// What to do about it; `None` where there is nothing to do.
    #[serde(rename = "do")]
    pub todo: Option<String>,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn good(said: impl Into<String>) -> Self {
        Self { grade: Grade::Good, said: said.into(), todo: None }
    }

    /// It works, and somebody should look at it.
    #[must_use]
    pub fn warn(said: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { grade: Grade::Warn, said: said.into(), todo: Some(todo.into()) }
    }

    /// Somebody may not be rung, or something may be lost.
    #[must_use]
    pub fn bad(said: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, said: said.into(), todo: Some(todo.into()) }
    }
}

/// All that checks look at.
pub struct Seen {
    /// The file of the configuration, where one was named.
    pub file: Option<PathBuf>,
    /// What was read from it.
    pub loaded: Loaded,
    /// This computer's clock.
    pub clock: Clock,
    /// The database; `None` where there is none yet.
    pub database: Result<Option<Looked>, StoreError>,
    /// What the server says of itself.
    pub answer: Answer,
}

impl Seen {
    /// Looks at what several checks want to know.
    pub async fn look(file: Option<PathBuf>, loaded: Loaded, clock: Clock) -> Self {
        let config = &loaded.config;
        let url = config.database_url.as_ref().map(crate::config::SecretUrl::expose);
        let (database, answer) = tokio::join!(Store::look(url, &config.data_dir), server::ask(server_address(config)));
        Self { file, loaded, clock, database, answer }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// The database, where its tables are those that this program knows: no statement fits others.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        let looked = self.database.as_ref().ok()?.as_ref()?;
        (looked.at == Some(looked.known)).then_some(&looked.store)
    }
}

/// Where this computer reaches its server.
fn server_address(config: &Config) -> SocketAddr {
    let mut address = pairing::server_address(config);
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// One check. It fails when the database does, which is told as a finding.
pub type Look = for<'s> fn(&'s Seen) -> BoxFuture<'s, Result<Vec<Finding>, StoreError>>;

/// Every check, in the order in which they are told, each with its word.
pub const CHECKS: &[(&str, Look)] = &[
    ("configuration", configuration::check),
    ("database", database::check),
    ("clock", database::check_clock),
    ("folder", folder::check),
    ("server", server::check),
    ("ports", ports::check),
    ("addresses", addresses::check),
    ("certificates", certificates::check),
    ("phones", phones::check),
    ("outboxes", outboxes::check),
    ("backups", backups::check),
    ("monitor", monitor::check),
    ("rights", rights::check),
    ("retention", retention::check),
];

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Examined {
    /// Its word.
    pub check: &'static str,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// The worst of all that was found.
#[must_use]
pub fn worst(all: &[Examined]) -> Grade {
    all.iter().flat_map(|one| &one.findings).map(|finding| finding.grade).max().unwrap_or(Grade::Good)
}

/// Goes through every check.
pub async fn examine(seen: &Seen) -> Vec<Examined> {
    let mut all = Vec::new();
    for (word, look) in CHECKS {
        let findings = match tokio::time::timeout(WITHIN, look(seen)).await {
            Ok(Ok(findings)) => in_order(findings),
            Ok(Err(error)) => vec![Finding::bad(format!("this could not be found out: {error}"), "see to the database first")],
            Err(_) => vec![Finding::bad(
                format!("this could not be found out within {} s", WITHIN.as_secs()),
                "see whether the database answers, and run this again",
            )],
        };
        all.push(Examined { check: word, findings });
    }
    all
}

/// A configuration that is refused, told in the same form: nothing else can be looked at.
#[must_use]
pub fn refused(error: &ConfigError) -> Vec<Examined> {
    let finding = |said: String| Finding::bad(said, "correct it; until then no command works and no server starts");
    let findings = match error {
        ConfigError::Refused(problems) => problems.iter().map(|problem| finding(problem.to_string())).collect(),
        ConfigError::Unreadable { .. } => vec![finding(error.to_string())],
    };
    vec![Examined { check: "configuration", findings: in_order(findings) }]
}

/// The worst first, and not more than people read.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.grade));
    let more = findings.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        let worst = findings.iter().skip(MOST_TOLD).map(|finding| finding.grade).max().unwrap_or(Grade::Good);
        findings.truncate(MOST_TOLD);
        let todo = Some("see to these first".to_owned());
        findings.push(Finding { grade: worst, said: format!("and {more} more"), todo });
    }
    findings
}

/// How long ago something was, for people.
fn ago(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    match (now - at).num_seconds().max(0) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_told_first_and_there_is_an_end() {
        let findings: Vec<Finding> = (0..MOST_TOLD).map(|n| Finding::good(n.to_string())).collect();
        assert_eq!(in_order(findings.clone()), findings);
        let mut more = findings;
        more.extend([Finding::warn("one", "x"), Finding::bad("two", "y"), Finding::good("three")]);
        let told = in_order(more);
        assert_eq!(told.len(), MOST_TOLD + 1);
        assert_eq!((told[0].said.as_str(), told[1].said.as_str()), ("two", "one"));
        assert_eq!((told[MOST_TOLD].said.as_str(), told[MOST_TOLD].grade), ("and 3 more", Grade::Good));
        let all = [Examined { check: "x", findings: told }, Examined { check: "y", findings: Vec::new() }];
        assert_eq!((worst(&all), worst(&all[1..])), (Grade::Bad, Grade::Good));
    }

    #[test]
    fn every_check_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<&str> = CHECKS.iter().map(|(word, _)| *word).collect();
        assert_eq!(words.len(), CHECKS.len());
    }
}
