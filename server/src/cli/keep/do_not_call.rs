//! `autocall do-not-call`: add, list, remove.

use clap::Subcommand;

use crate::api::do_not_call::parse;
use crate::cli::{agreed_clock, open, plainly};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DoNotCallCommand {
    /// Never ring a number again, whoever names it
    Add {
        /// The number
        number: String,
        /// Why; shown on the timeline of alarms that would have rung it
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Print all numbers that are not rung
    List,
    /// Let a number be rung again
    Remove {
        /// The number
        number: String,
    },
}

pub(in crate::cli) async fn run(command: DoNotCallCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    match command {
        DoNotCallCommand::Add { number, reason } => {
            let number = parse(&number, config.default_region).map_err(plainly)?;
            let now = agreed_clock(&store).await?.now();
            let mut tx = store.begin().await?;
            tx.db().forbid_number(number.as_str(), &reason, now).await?;
            tx.commit().await?;
            println!("{} is not rung any more", number.as_str());
        }
        DoNotCallCommand::List => {
            for row in store.read().await?.db().forbidden_numbers().await? {
                println!("{}\t{}\t{}", row.number, row.created_at.format("%F"), row.reason);
            }
        }
        DoNotCallCommand::Remove { number } => {
            let number = parse(&number, config.default_region).map_err(plainly)?;
            let mut tx = store.begin().await?;
            anyhow::ensure!(tx.db().allow_number(number.as_str()).await?, "{} is not among them", number.as_str());
            tx.commit().await?;
            println!("{} may be rung again", number.as_str());
        }
    }
    store.close().await;
    Ok(())
}
