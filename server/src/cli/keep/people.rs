//! `autocall people`: import and list.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::open;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::people_import;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PeopleCommand {
    /// Add or update people: from a spreadsheet (.csv) with the columns name, numbers, language and email, contacts exported from Google or
    /// Outlook (.csv), address cards (.vcf), or JSON
    Import {
        /// A file whose name ends in .csv, .vcf or .json
        file: PathBuf,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// The encoding of the file, such as GBK [default: UTF-8, else what programs of your region write]
        #[arg(long)]
        encoding: Option<String>,
    },
    /// Print everybody with their numbers
    List,
}

pub(in crate::cli) async fn run(command: PeopleCommand, config: &Config) -> anyhow::Result<()> {
    match command {
        PeopleCommand::Import { file, dry_run, encoding } => {
            let read = people_import::read_file(&file, encoding.as_deref(), config.default_region)?;
            let store = open(config).await?;
            let mut work = store.work(Clock::system().now(), Doer::CommandLine, None).await?;
            let done = people_import::import(&mut work, &read.people).await?;
            if dry_run {
                // Rolled back now: the store waits for it, and a server that runs beside for the writer.
                drop(work);
            } else {
                work.commit().await?;
            }
            store.close().await;
            for line in read.notes.iter().chain(&read.skipped) {
                println!("note: {line}");
            }
            if dry_run {
                for change in &done.changes {
                    println!("{change}");
                }
            }
            let (all, verb) = (done.new + done.known + done.unchanged, if dry_run { "would import" } else { "imported" });
            println!("{verb} {all} people: {} new, {} updated, {} unchanged", done.new, done.known, done.unchanged);
            for number in done.doubtful {
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
