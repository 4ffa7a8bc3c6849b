//! `autocall people`: import and list.

use std::path::PathBuf;

use clap::Subcommand;

use super::open;
use crate::clock::Clock;
use crate::config::Config;
use crate::people;

#[derive(Debug, Subcommand)]
pub(super) enum PeopleCommand {
    /// Add or update people from a CSV or JSON file: name, numbers, language
    Import {
        /// A file whose name ends in .csv or .json
        file: PathBuf,
    },
    /// Print everybody with their numbers
    List,
}

pub(super) async fn run(command: PeopleCommand, config: &Config) -> anyhow::Result<()> {
    match command {
        PeopleCommand::Import { file } => {
            let read = people::read_file(&file, config.default_region)?;
            let store = open(config).await?;
            let imported = people::import(&store, &read, &Clock::system()).await?;
            store.close().await;
            println!("imported {} people: {} new, {} updated", imported.new + imported.known, imported.new, imported.known);
            for number in imported.doubtful {
                println!("note: {number} is unknown to the numbering plan and will be dialled as it is");
            }
        }
        PeopleCommand::List => {
            let store = open(config).await?;
            for (person, numbers) in store.read().await?.db().people().await? {
                println!("{}\t{}\t{}", person.name, numbers.join(";"), person.language);
            }
            store.close().await;
        }
    }
    Ok(())
}
