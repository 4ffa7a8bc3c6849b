//! `autocall audit`: who changed what.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use std::io::Write as _;

use crate::api::personal::audit::AuditFile;
use crate::audit::{Kind, Operation};
use crate::cli::open;
use crate::config::Config;
use crate::store::audit::{AuditFilter, AuditRow};

#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// Only these operations, such as person_changed
    #[arg(long = "operation", value_name = "OPERATION", value_parser = operation)]
    operations: Vec<Operation>,
    /// Only with these kinds of things, such as person or key
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<Kind>,
    /// Only by whoever is called so, or in this name
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only with the thing of this name or id
    #[arg(long, value_name = "NAME")]
    what: Option<String>,
    /// Only then or later, such as 2026-11-21T06:30:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Only before then
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// So many lines at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    /// All of them as CSV
    #[arg(long, conflicts_with = "limit")]
    csv: bool,
}

fn operation(word: &str) -> Result<Operation, String> {
    Operation::parse(word).ok_or_else(|| {
        let all: Vec<&str> = Operation::ALL.iter().map(|one| one.as_str()).collect();
        format!("there is no such operation; there are {}", all.join(", "))
    })
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::parse(word).ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|one| one.as_str()).collect();
        format!("there is no such kind; there are {}", all.join(", "))
    })
}

pub(in crate::cli) async fn run(audit: Audit, config: &Config) -> anyhow::Result<()> {
    let filter = AuditFilter {
        operations: audit.operations,
        kinds: audit.kinds,
        who: audit.who,
        what: audit.what,
        from: audit.from,
        before: audit.to,
        ..AuditFilter::default()
    };
    let store = open(config).await?;
    if audit.csv {
        let mut file = AuditFile::new(store.clone(), filter);
        let mut out = std::io::stdout().lock();
        while let Some(piece) = file.piece().await? {
            out.write_all(piece.as_bytes())?;
        }
    } else {
        let page = store.read().await?.db().list_audit(&filter, audit.limit).await?;
        for row in page.lines {
            println!("{}", line(&row));
        }
        if page.next.is_some() {
            println!("there are more: say --limit, or --csv for all");
        }
    }
    store.close().await;
    Ok(())
}

fn line(row: &AuditRow) -> String {
    let who = row.said.as_deref().or(row.doer_name.as_deref()).unwrap_or("-");
    let parts = [
        row.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        row.operation.clone(),
        row.name.clone().or_else(|| row.subject.clone()).unwrap_or_else(|| "-".to_owned()),
        format!("{who} ({})", row.doer),
        row.address.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{} -> {}", row.before.as_deref().unwrap_or("-"), row.after.as_deref().unwrap_or("-")),
    ];
    // A line stays a line, whatever somebody is called.
    parts.map(|part| part.replace(['\t', '\n', '\r'], " ")).join("\t")
}
