//! `autocall quiet-hours`: print, or replace from a file.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{agreed_clock, open, plainly, read_file, refused_plainly};
use crate::config::Config;
use crate::engine::Doer;
use crate::intake::alarm_request::read_json;
use crate::keep::quiet_hours::{self, AllQuiet};
use crate::versions::Expected;

#[derive(Debug, Args)]
pub(in crate::cli) struct QuietHours {
    /// A JSON file that replaces all quiet hours; - for standard input. Without it they are printed
    file: Option<PathBuf>,
}

pub(in crate::cli) async fn run(command: QuietHours, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    match command.file {
        Some(file) => {
            let body: AllQuiet = read_json(&read_file(&file)?).map_err(plainly)?;
            let now = agreed_clock(&store).await?.now();
            let set =
                store.carry_out(now, Doer::CommandLine, async |work| quiet_hours::set(work, &body, &Expected::Anything).await);
            set.await.map_err(refused_plainly)?;
            println!("{} quiet hours", body.quiet_hours.len());
        }
        None => {
            let (all, _) = quiet_hours::read(&store).await.map_err(refused_plainly)?;
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
    }
    store.close().await;
    Ok(())
}
