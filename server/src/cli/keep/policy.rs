//! `autocall policy`: list, show, set, remove, rules.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use crate::cli::{agreed_clock, open, plainly, read_file, refused_plainly};
use crate::config::Config;
use crate::engine::Doer;
use crate::intake::alarm_request::read_json;
use crate::keep::policies::{self, PolicyBody, RulesBody};
use crate::store::Work;
use crate::versions::Expected;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PolicyCommand {
    /// Print the names of all policies
    List,
    /// Print a policy as JSON, as `set` takes it
    Show {
        /// Its name
        name: String,
    },
    /// Make or replace a policy; alarms that follow it go on with it from their next step
    Set {
        /// Its name
        name: String,
        /// A JSON file; - for standard input
        file: PathBuf,
    },
    /// Remove a policy and the rules that choose it
    Remove {
        /// Its name
        name: String,
    },
    /// Print which alarms a policy is for, or replace all rules from a JSON file
    Rules {
        /// A JSON file; - for standard input
        file: Option<PathBuf>,
    },
}

pub(in crate::cli) async fn run(command: PolicyCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    match command {
        PolicyCommand::List => {
            for policy in store.read().await?.db().policies().await? {
                println!("{}\t{} steps", policy.name, policy.definition.steps.len());
            }
        }
        PolicyCommand::Show { name } => {
            let mut reader = store.read().await?;
            let mut db = reader.db();
            let policy =
                db.policy_by_name(&name).await?.with_context(|| format!("there is no escalation policy named {name:?}"))?;
            let body = policies::written(&mut db, &policy.definition).await.map_err(refused_plainly)?;
            println!("{}", serde_json::to_string_pretty(&body)?);
        }
        PolicyCommand::Set { name, file } => {
            let body: PolicyBody = read_json(&read_file(&file)?).map_err(plainly)?;
            let now = agreed_clock(&store).await?.now();
            let region = config.default_region;
            let set = async |work: &mut Work| policies::set(work, &name, &body, region, &Expected::Anything).await;
            store.carry_out(now, Doer::CommandLine, set).await.map_err(refused_plainly)?;
            println!("{name} has {} steps", body.steps.len());
        }
        PolicyCommand::Remove { name } => {
            let now = agreed_clock(&store).await?.now();
            let forget = async |work: &mut Work| policies::forget(work, &name, &Expected::Anything).await;
            store.carry_out(now, Doer::CommandLine, forget).await.map_err(refused_plainly)?;
            println!("{name} is removed");
        }
        PolicyCommand::Rules { file: Some(file) } => {
            let body: RulesBody = read_json(&read_file(&file)?).map_err(plainly)?;
            let now = agreed_clock(&store).await?.now();
            let set = async |work: &mut Work| policies::set_rules(work, &body, &Expected::Anything).await;
            store.carry_out(now, Doer::CommandLine, set).await.map_err(refused_plainly)?;
            println!("{} rules", body.rules.len());
        }
        PolicyCommand::Rules { file: None } => {
            let (rules, _) = policies::read_rules(&store).await.map_err(refused_plainly)?;
            println!("{}", serde_json::to_string_pretty(&rules)?);
        }
    }
    store.close().await;
    Ok(())
}
