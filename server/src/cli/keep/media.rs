//! `autocall media`: clips that calls play.

use std::path::PathBuf;

use clap::Subcommand;

use crate::alarm::doer::Doer;
use crate::cli::{agreed_clock, open, read_file, refused_plainly};
use crate::config::Config;
use crate::keep::media::{self, clips};
use crate::versions::Expected;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MediaCommand {
    /// Keep a sound under a name, in place of what was there
    Add {
        /// Its name: letters, digits, dots, _ or -
        name: String,
        /// A WAV file: PCM of 8 or 16 bit, A-law or µ-law, one or two channels, up to 48 kHz, 5 MiB and 600 seconds
        file: PathBuf,
    },
    /// Print all of them
    List,
    /// Keep it no longer
    Remove {
        /// Its name
        name: String,
    },
}

pub(in crate::cli) async fn run(command: MediaCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    match command {
        MediaCommand::Add { name, file } => {
            clips::checked(&name).map_err(refused_plainly)?;
            let sound = media::anew(read_file(&file)?).await?;
            let now = agreed_clock(&store).await?.now();
            let stored =
                clips::set(&store, &name, &sound, config.media.most_bytes, now, &Expected::Anything, Doer::CommandLine).await?;
            let how = if stored.is_new { "kept" } else { "replaced" };
            println!("{name} is {how}: {}; media.announcement = {name:?} has calls play it", length(stored.row.milliseconds));
        }
        MediaCommand::List => {
            for clip in store.read().await?.db().clips().await? {
                println!(
                    "{}\t{}\t{} bytes\t{}",
                    clip.name,
                    length(clip.milliseconds),
                    clip.bytes,
                    clip.updated_at.format("%F %T")
                );
            }
        }
        MediaCommand::Remove { name } => {
            let made = (agreed_clock(&store).await?.now(), Doer::CommandLine);
            clips::remove(&store, &name, &Expected::Anything, made).await.map_err(refused_plainly)?;
            println!("{name} is kept no longer");
        }
    }
    store.close().await;
    Ok(())
}

/// A length, in seconds and tenths.
fn length(milliseconds: i64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}
