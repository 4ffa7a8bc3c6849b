//! `autocall key`: add, set, list, revoke.

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use crate::call_log::reading::Said;
use crate::cli::{agreed_clock, open};
use crate::compat::blast;
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::keys;
use crate::keep::phone_calls::reread::{self, Change, Reread};
use crate::needs::Words;
use crate::numbers::Region;
use crate::store::Work;
use crate::store::access::keys::{COMMANDS_CALLS, KeyRow};

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
        /// It may command calls and conferences (/cti)
        #[arg(long)]
        calls: bool,
        /// It may list the calls of another system, such as a PBX, and nothing else
        #[arg(long, conflicts_with_all = ["shouts", "calls", "phones"])]
        phonecalls: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Change what a key may call, or how the calls are read that it lists
    Set {
        /// Its name
        name: String,
        /// It may only call numbers that begin with one of these, separated by commas, such as +86,+1; `any` takes that away
        #[arg(long, value_name = "BEGINNINGS", conflicts_with = "reread")]
        to: Option<String>,
        #[command(flatten)]
        reading: Reading,
        /// The same for its calls that are kept already: without, a key that has some stays as it is
        #[arg(long)]
        reread: bool,
    },
    /// Print all keys, without the secret
    List,
    /// Refuse a key from now on
    Revoke {
        /// Its name
        name: String,
    },
}

/// How times and numbers of the calls are read that a key lists.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reading {
    /// For calls: the country of its numbers, by two letters [default: default_region]
    #[arg(long, value_name = "CC")]
    region: Option<Region>,
    /// For calls: the zone of its times, such as America/Caracas [default: phonecalls.zone]
    #[arg(long, value_name = "ZONE")]
    zone: Option<Tz>,
    /// For calls: what stands before numbers of seven digits, such as 0261
    #[arg(long, value_name = "DIGITS")]
    area_code: Option<String>,
    /// For calls: its times end in Z and are not UTC but of that zone, as those of NiMbox's own script
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    z_is_local: Option<bool>,
}

impl Reading {
    /// What was said.
    pub(in crate::cli) fn said(self) -> Said {
        Said {
            region: self.region.map(|region| region.to_string()),
            zone: self.zone,
            area_code: self.area_code,
            z_is_local: self.z_is_local.unwrap_or_default(),
        }
    }

    fn is_said(&self) -> bool {
        self.region.is_some() || self.zone.is_some() || self.area_code.is_some() || self.z_is_local.is_some()
    }
}

pub(in crate::cli) async fn run(command: KeyCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    match command {
        KeyCommand::Add { name, phonecalls: true, reading, .. } => {
            let said = reading.said();
            let own = config.phone_call_defaults();
            let add = async |work: &mut Work| keys::add_for_calls(work, &name, &said, own).await;
            let key = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("{key}");
            eprintln!("This key is shown only once. Send it as `token`, or use the path /k/KEY/direct/items/phonecalls/…");
        }
        KeyCommand::Add { reading, .. } if reading.is_said() => {
            anyhow::bail!("--region, --zone, --area-code and --z-is-local are for keys that list calls: add --phonecalls");
        }
        KeyCommand::Set { name, to: Some(to), reading, .. } => {
            anyhow::ensure!(!reading.is_said(), "--to is for keys that command calls, and the others for keys that list them");
            let may = store.carry_out(now, Doer::CommandLine, async |work| keys::may_call(work, &name, &to).await).await?;
            match may {
                Some(may) => println!("{name} may call numbers that begin with {may}"),
                None => println!("{name} may call any number"),
            }
        }
        KeyCommand::Set { name, reading, reread, to: None } => {
            let change = Change {
                region: reading.region,
                zone: reading.zone,
                area_code: reading.area_code,
                z_is_local: reading.z_is_local,
            };
            let own = config.phone_call_defaults();
            let set = async |work: &mut Work| reread::change(work, &name, &change, reread, own).await;
            let Reread { moved, dropped, unreadable } = store.carry_out(now, Doer::CommandLine, set).await?;
            println!("what {name} lists is read like this from now on");
            if reread {
                println!(
                    "{moved} calls mean another time or number, {dropped} were told twice, {unreadable} cannot be read so and stay"
                );
            }
        }
        KeyCommand::Add { name, phones, shouts, calls, .. } => {
            let rights = [(shouts, blast::RIGHT), (calls, COMMANDS_CALLS)];
            let rights: Vec<&str> = rights.into_iter().filter(|(is, _)| *is).map(|(_, right)| right).collect();
            let rights = Words::read(&rights.join(","));
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
                println!("{}\t{state}\t{}\t{}{}", key.name, key.phones.join(","), key.rights, how_read(&key, config));
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

/// How the calls are read that a key lists, for the list of keys.
fn how_read(key: &KeyRow, config: &Config) -> String {
    let Some(said) = &key.phonecalls else { return String::new() };
    let rule = reread::rule(&said.0, config.phone_call_defaults());
    let area_code = if rule.area_code.is_empty() { String::new() } else { format!(" area code {}", rule.area_code) };
    let z = if rule.z_is_local { " Z is local" } else { "" };
    format!("\t{} {}{area_code}{z}", rule.region, rule.zone)
}
