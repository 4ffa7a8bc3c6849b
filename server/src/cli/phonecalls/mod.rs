//! `autocall phonecalls`: the calls of other systems in, our own out.

mod bar;
mod import;
mod place;
mod replicate;

use clap::Subcommand;

use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum PhonecallsCommand {
    /// Take calls from a list of another system: Asterisk's Master.csv, its table in SQLite or Postgres, or any CSV with named columns
    Import(import::Import),
    /// Tell another server of our calls, as NiMbox's script does: those of the last 200 hours
    Replicate(replicate::Replicate),
}

pub(super) async fn run(command: PhonecallsCommand, config: &Config) -> anyhow::Result<()> {
    match command {
        PhonecallsCommand::Import(import) => import::run(import, config).await,
        PhonecallsCommand::Replicate(replicate) => replicate::run(replicate, config).await,
    }
}
