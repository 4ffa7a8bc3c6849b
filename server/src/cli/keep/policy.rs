//! `autocall policy`: list, show, set, remove, rules.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use crate::cli::{agreed_clock, open, plainly, read_file, refused_plainly};
use crate::config::Config;
use crate::intake::alarm_request::read_json;
use crate::keep::policies::{self, PolicyBody, RulesBody};
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
            policies::set(&store, &name, &body, config.default_region, now, &Expected::Anything)
                .await
                .map_err(refused_plainly)?;
            println!("{name} has {} steps", body.steps.len());
        }
        PolicyCommand::Remove { name } => {
            let mut tx = store.begin().await?;
            anyhow::ensure!(tx.db().delete_policy(&name).await?, "there is no escalation policy named {name:?}");
            tx.commit().await?;
            println!("{name} is removed");
        }
        PolicyCommand::Rules { file: Some(file) } => {
            let body: RulesBody = read_json(&read_file(&file)?).map_err(plainly)?;
            policies::set_rules(&store, &body, &Expected::Anything).await.map_err(refused_plainly)?;
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
