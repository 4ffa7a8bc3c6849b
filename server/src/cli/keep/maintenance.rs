//! `autocall maintenance`: add, list, end.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;

use crate::cli::{engine, labels};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::windows::{self, NewWindow};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MaintenanceCommand {
    /// Hold matching alarms for a while: they are stored, and rung afterwards if they still fire
    Add {
        /// What is being done
        #[arg(long)]
        reason: String,
        /// From when, such as 2026-11-20T22:00:00Z [default: now]
        #[arg(long, value_parser = labels::instant)]
        from: Option<DateTime<Utc>>,
        /// For how many minutes
        #[arg(long)]
        minutes: i32,
        /// Alarms whose label `team` is this
        #[arg(long)]
        team: Option<String>,
        /// Alarms with this label, NAME=VALUE; may be given several times
        #[arg(long = "label", value_parser = labels::pair)]
        labels: Vec<(String, String)>,
    },
    /// Print the windows that are open or to come
    List,
    /// End a window now
    End {
        /// Its id
        id: String,
    },
}

pub(in crate::cli) async fn run(command: MaintenanceCommand, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    match command {
        MaintenanceCommand::Add { reason, from, minutes, team, labels } => {
            let ends_at = from.unwrap_or(engine.clock.now()) + TimeDelta::minutes(i64::from(minutes));
            let labels = labels.into_iter().collect();
            let mut work = engine.work(Doer::CommandLine).await?;
            let window = windows::add(&mut work, &NewWindow { reason, starts_at: from, ends_at, team, labels }).await?;
            work.commit().await?;
            println!("{}\tuntil {}", window.id, window.ends_at.format("%F %T UTC"));
        }
        MaintenanceCommand::List => {
            for window in engine.store.read().await?.db().windows(engine.clock.now()).await? {
                let (from, to) = (window.starts_at.format("%F %T"), window.ends_at.format("%F %T UTC"));
                let labels: Vec<String> = window.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let team = window.team.unwrap_or_default();
                println!("{}\t{from} - {to}\t{team}\t{}\t{}", window.id, labels.join(","), window.reason);
            }
        }
        MaintenanceCommand::End { id } => {
            let mut work = engine.work(Doer::CommandLine).await?;
            windows::end(&mut work, &id).await?;
            work.commit().await?;
            println!("{id} is over");
        }
    }
    engine.store.close().await;
    Ok(())
}
