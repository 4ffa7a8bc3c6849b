//! `autocall key`: add, list, revoke.

use clap::Subcommand;

use crate::cli::{agreed_clock, open};
use crate::compat::blast;
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::keys;
use crate::needs::Words;
use crate::store::Work;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a key for a sender of alarms: it is shown once
    Add {
        /// Who uses it, such as prometheus
        #[arg(long)]
        name: String,
        /// Whom to ring when an alarm names nobody, in order, separated by commas
        #[arg(long, value_delimiter = ',')]
        phones: Vec<String>,
        /// It may send shouts: one message to many people
        #[arg(long)]
        shouts: bool,
    },
    /// Print all keys, without the secret
    List,
    /// Refuse a key from now on
    Revoke {
        /// Its name
        name: String,
    },
}

pub(in crate::cli) async fn run(command: KeyCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    match command {
        KeyCommand::Add { name, phones, shouts } => {
            let rights = Words::read(if shouts { blast::RIGHT } else { "" });
            let add = async |work: &mut Work| keys::add_with(work, &name, &phones, &rights, config.default_region).await;
            let key = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("{key}");
            eprintln!("This key is shown only once. Send it as `Authorization: Bearer KEY`, or use the path /k/KEY/api/v1/…");
        }
        KeyCommand::List => {
            for key in store.read().await?.db().keys().await? {
                let used =
                    key.last_used_at.map_or("never used".to_owned(), |at| format!("last used {}", at.format("%F %H:%M UTC")));
                let state = key.revoked_at.map_or(used, |at| format!("revoked {}", at.format("%F %H:%M UTC")));
                println!("{}\t{state}\t{}\t{}", key.name, key.phones.join(","), key.rights);
            }
        }
        KeyCommand::Revoke { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| keys::revoke(work, &name).await).await?;
            println!("{name} is refused from now on");
        }
    }
    store.close().await;
    Ok(())
}
