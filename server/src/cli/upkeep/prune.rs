//! `autocall prune`: forget what is long over.

use chrono::TimeDelta;
use clap::Args;

use crate::alarm::doer::Doer;
use crate::audit::{Line, Operation};
use crate::cli::{agreed_clock, open};
use crate::config::Config;
use crate::engine::watch::retention;
use crate::keep::media;

#[derive(Debug, Args)]
pub(in crate::cli) struct Prune {
    /// Forget alarms that ended so many days ago [default: retention.days]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    older_than: Option<u32>,
    /// Only say how many
    #[arg(long)]
    dry_run: bool,
}

pub(in crate::cli) async fn run(prune: Prune, config: &Config) -> anyhow::Result<()> {
    let days = prune.older_than.unwrap_or(config.retention.days);
    if days == 0 {
        anyhow::bail!("retention.days is 0, which keeps everything: say how old with --older-than DAYS");
    }
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    let before = now - TimeDelta::days(i64::from(days));
    if prune.dry_run {
        let count = store.read().await?.db().count_prunable(before).await?;
        println!("{count} alarms ended more than {days} days ago");
    } else {
        // Before it begins: whatever breaks it off, it stands there that somebody had so much forgotten.
        let found = store.read().await?.db().count_prunable(before).await?;
        let line = Line::new(Operation::Pruned).after(serde_json::json!({ "older_than_days": days, "alarms": found }));
        let mut work = store.work(now, Doer::CommandLine, None).await?;
        work.note(line);
        work.commit().await?;
        let count = retention::prune(&store, before).await?;
        media::sweep(&store, now).await?;
        println!("{count} alarms that ended more than {days} days ago are forgotten");
    }
    store.close().await;
    Ok(())
}
