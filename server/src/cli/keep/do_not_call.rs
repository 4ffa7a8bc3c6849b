//! `autocall do-not-call`: add, list, remove.

use clap::Subcommand;

use crate::cli::{agreed_clock, open, refused_plainly};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::do_not_call as forbidden;
use crate::store::Work;
use crate::versions::Expected;

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
            let now = agreed_clock(&store).await?.now();
            let forbid = async |work: &mut Work| {
                forbidden::forbid(work, &number, Some(reason), config.default_region, &Expected::Anything).await
            };
            let number = store.carry_out(now, Doer::CommandLine, forbid).await.map_err(refused_plainly)?;
            println!("{} is not rung any more", number.as_str());
        }
        DoNotCallCommand::List => {
            for row in store.read().await?.db().forbidden_numbers().await? {
                println!("{}\t{}\t{}", row.number, row.created_at.format("%F"), row.reason);
            }
        }
        DoNotCallCommand::Remove { number } => {
            let now = agreed_clock(&store).await?.now();
            let allow = async |work: &mut Work| forbidden::allow(work, &number, config.default_region, &Expected::Anything).await;
            let was = store.carry_out(now, Doer::CommandLine, allow).await.map_err(refused_plainly)?;
            anyhow::ensure!(was, "{number} is not among them");
            println!("{number} may be rung again");
        }
    }
    store.close().await;
    Ok(())
}
