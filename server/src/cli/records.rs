//! `autocall records`: detail records of shouts, a JSON object in each line.

use std::io::{ErrorKind, Write};

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};

use super::open;
use crate::config::Config;
use crate::store::shouts::log::RecordKind;

/// So many are read at a time.
const AT_ONCE: i64 = 1_000;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Shouts that are over
    Bdr,
    /// Their calls, each try
    Cdr,
    /// Calls in which a message was spoken
    Rec,
}

#[derive(Debug, Args)]
pub(super) struct Records {
    /// Which
    kind: Kind,
    /// Only those written since then, such as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
}

pub(super) async fn run(records: Records, config: &Config) -> anyhow::Result<()> {
    let kind = match records.kind {
        Kind::Bdr => RecordKind::Shout,
        Kind::Cdr => RecordKind::Call,
        Kind::Rec => RecordKind::Recording,
    };
    let since = records.since.unwrap_or(DateTime::UNIX_EPOCH);
    let store = open(config).await?;
    let mut after = (since, 0);
    loop {
        let rows = store.read().await?.db().shout_records(kind, None, after, AT_ONCE).await?;
        let Some(last) = rows.last() else { break };
        after = (last.at, last.id);
        let mut out = std::io::stdout().lock();
        for row in &rows {
            match writeln!(out, "{}", row.line) {
                // Whoever reads has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
    }
    store.close().await;
    Ok(())
}
