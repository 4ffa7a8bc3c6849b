//! `autocall monitor`: one test of the installation that this one watches, by hand; and who may test this one.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::cli::{agreed_clock, open};
use crate::config::{Config, Watched};
use crate::engine::Doer;
use crate::keep::keys::monitors;
use crate::keep::pairing;
use crate::monitor::Stage;
use crate::out::monitor::round::{self, Limits};
use crate::store::Store;

#[derive(Debug, Args)]
pub(in crate::cli) struct Monitor {
    #[command(subcommand)]
    command: Option<MonitorCommand>,
}

#[derive(Debug, Subcommand)]
enum MonitorCommand {
    /// Let a second installation test this one: prints the address for its monitor.url
    Add {
        /// What it is called here, such as watcher
        name: String,
        /// Where it reaches this installation, with https:// or http:// before it [default: http.public_url, or this computer's address]
        #[arg(long, value_name = "ADDRESS")]
        url: Option<String>,
    },
    /// Print who may test this installation, and when they did last
    List,
    /// Let a second installation test this one no more
    Remove {
        /// What it is called here
        name: String,
    },
}

pub(in crate::cli) async fn run(monitor: Monitor, config: &Config) -> anyhow::Result<ExitCode> {
    let Some(command) = monitor.command else { return test(config).await };
    let store = open(config).await?;
    let done = keep(command, config, &store).await;
    store.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn keep(command: MonitorCommand, config: &Config, store: &Store) -> anyhow::Result<()> {
    let now = agreed_clock(store).await?.now();
    match command {
        MonitorCommand::Add { name, url } => {
            let base = url.or_else(|| config.http.public_url.clone());
            let base = base.unwrap_or_else(|| pairing::page_url(pairing::server_address(config), ""));
            anyhow::ensure!(base.contains("://"), "write the address with http:// or https:// in front");
            let add = async |work: &mut crate::store::Work| monitors::add(work, &name, &base, config).await;
            let address = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("Write this into the configuration of the installation that is to watch this one; it is shown only once:\n");
            println!("  [monitor]\n  url = \"{address}\"\n");
            println!("Then try it there: autocall monitor");
        }
        MonitorCommand::List => {
            let all = monitors::list(store).await?;
            if all.is_empty() {
                println!("no other installation watches this one: autocall monitor add watcher");
            }
            for monitor in all {
                let seen =
                    monitor.last_seen_at.map_or_else(|| "has never tested".to_owned(), |at| format!("tested {}", ago(now, at)));
                println!("{}\t{seen}\t{}", monitor.name, monitor.last_address.as_deref().unwrap_or("-"));
            }
        }
        MonitorCommand::Remove { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| monitors::remove(work, &name).await).await?;
            println!("{name} may test this installation no more");
        }
    }
    Ok(())
}

fn ago(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    match (now - at).num_seconds().max(0) {
        seconds @ 0..=119 => format!("{seconds} s ago"),
        seconds @ 120..=7_199 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3_600),
    }
}

/// Makes one test and tells each stage. Nobody is woken for what comes of it.
async fn test(config: &Config) -> anyhow::Result<ExitCode> {
    let url = config.monitor.url.as_ref();
    let url = url.context(
        "no other installation is watched: run `autocall monitor add` there, and write what it prints below [monitor]",
    )?;
    let watched = Watched::of(url).context("monitor.url is not the whole address that `autocall monitor add` has printed")?;
    let limits = Limits { within: config.monitor.within, phones: config.monitor.phones.is_on() };
    println!("Testing {}", watched.host);
    let outcome = round::go(&watched, limits, |stage, took| println!("  [x] {} ({} ms)", stage.passed(), took.as_millis())).await;
    let Some(failure) = outcome.failure else {
        println!("{} rings people: a test took {} ms", watched.host, outcome.took.as_millis());
        return Ok(ExitCode::SUCCESS);
    };
    println!("  [ ] {}: {} ({})", failure.stage.passed(), failure.stage.failed(), failure.why);
    for later in Stage::ALL.into_iter().filter(|stage| *stage > failure.stage) {
        println!("  [ ] {}", later.passed());
    }
    eprintln!("autocall: {}", failure.sentence(&watched.host));
    Ok(ExitCode::FAILURE)
}
