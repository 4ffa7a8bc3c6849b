//! `autocall heartbeat`: add, list, remove.

use clap::Subcommand;

use crate::alarm::Priority;
use crate::cli::{engine, labels};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::heartbeats::{self, HeartbeatState, NewHeartbeat, ping_path};
use crate::versions::Expected;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HeartbeatCommand {
    /// Ring people when somebody does not say in time that they live; prints the address to ping, once
    Add {
        /// Who is to be heard, such as nightly-backup
        #[arg(long)]
        name: String,
        /// They ping at least this often, in seconds
        #[arg(long)]
        period: i32,
        /// They may be late by so many seconds
        #[arg(long, default_value_t = 0)]
        grace: i32,
        /// Whom to ring, in order, separated by commas [default: alarms.fallback_phones]
        #[arg(long, value_delimiter = ',')]
        phones: Vec<String>,
        /// A label of the alarm, NAME=VALUE; may be given several times
        #[arg(long = "label", value_parser = labels::pair)]
        labels: Vec<(String, String)>,
        /// How urgent the alarm is: low, normal, high or critical
        #[arg(long, default_value = "high", value_parser = labels::priority)]
        priority: Priority,
    },
    /// Print all heartbeats
    List,
    /// Wait for a heartbeat no more
    Remove {
        /// Its name
        name: String,
    },
}

pub(in crate::cli) async fn run(command: HeartbeatCommand, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    match command {
        HeartbeatCommand::Add { name, period, grace, phones, labels, priority } => {
            let labels = labels.into_iter().collect();
            let new = NewHeartbeat { name, period_s: period, grace_s: grace, phones, labels, priority };
            let mut work = engine.work(Doer::CommandLine).await?;
            let (_, token) = heartbeats::add(&mut work, config, &new).await?;
            work.commit().await?;
            println!("{}", ping_path(&token));
            eprintln!("This path is shown only once. GET or POST it on the server, at least every {period} s.");
        }
        HeartbeatCommand::List => {
            for beat in engine.store.read().await?.db().heartbeats().await? {
                let state = match HeartbeatState::of(&beat) {
                    HeartbeatState::New => "never heard",
                    HeartbeatState::Alive => "alive",
                    HeartbeatState::Missed => "MISSED",
                };
                let last = beat.last_ping_at.map(|at| at.format("%F %T UTC").to_string()).unwrap_or_default();
                println!(
                    "{}\t{state}\tevery {} s + {} s\t{last}\t{}",
                    beat.name,
                    beat.period_s,
                    beat.grace_s,
                    beat.phones.join(",")
                );
            }
        }
        HeartbeatCommand::Remove { name } => {
            let mut work = engine.work(Doer::CommandLine).await?;
            engine.forget_heartbeat(&mut work, &name, &Expected::Anything).await?;
            work.commit().await?;
            println!("{name} is waited for no more");
        }
    }
    engine.store.close().await;
    Ok(())
}
