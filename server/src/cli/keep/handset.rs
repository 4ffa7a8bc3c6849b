//! `autocall handset`: pair, list, rename, set, rotate, disable, allow, test.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::cli::{agreed_clock, one_of, open, quoted};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Doer;
use crate::engine::watch::test_call::{self, Checklist};
use crate::ids::HandsetId;
use crate::keep::pairing::{self, Pairing, PairingError};
use crate::numbers::{Number, Region};
use crate::store::watch::handsets::{HandsetRow, IdleForm, Profile};
use crate::store::{Store, Work};

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum OnOff {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HandsetCommand {
    /// Pair a phone: prints the address to type on it
    Add(Add),
    /// Let a phone that knocked poll without a token
    Allow {
        /// Its address, as `autocall handset knocks` shows it
        address: IpAddr,
        /// Its model, as `autocall handset knocks` shows it
        #[arg(long, default_value = "")]
        model: String,
        #[command(flatten)]
        add: Add,
    },
    /// Print all handsets and how they are
    List,
    /// Print phones that polled without being let in
    Knocks,
    /// Give a handset another name
    Rename {
        /// Its name
        name: String,
        /// Its new name
        new_name: String,
    },
    /// Say what a handset may do
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["channels", "inbound", "bulk"])))]
    Set {
        /// Its name
        name: String,
        /// Calls at once: 1 to 64, and never more than the handset says that it can hold
        #[arg(long)]
        channels: Option<i32>,
        /// Take calls that come in, from people who were rung lately: on or off
        #[arg(long)]
        inbound: Option<OnOff>,
        /// Let shouts take all its channels, also the last one: on or off
        #[arg(long)]
        bulk: Option<OnOff>,
    },
    /// Give a handset a new token; the old one works until the phone has polled with the new one
    Rotate {
        /// Its name
        name: String,
        /// Refuse the old token at once: it has fallen into wrong hands
        #[arg(long)]
        now: bool,
    },
    /// Give a handset nothing new
    Disable {
        /// Its name
        name: String,
    },
    /// Let a disabled handset be given something again
    Enable {
        /// Its name
        name: String,
    },
    /// Forget a handset: no phone is let in as it any more, and what it rang keeps its name
    Remove {
        /// Its name
        name: String,
    },
    /// Ring a number through one handset and tick what works; pick up, then hang up
    Test {
        /// The handset's name
        name: String,
        /// A number that somebody can pick up now
        #[arg(long)]
        number: String,
        /// How long to wait for the end, in seconds
        #[arg(long, default_value_t = 300)]
        timeout: u64,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// What people call it, such as desk
    #[arg(long)]
    name: String,
    /// What it can be given [default: handsets.profile]
    #[arg(long, value_parser = one_of(&Profile::ALL, Profile::as_str))]
    profile: Option<Profile>,
    /// Two letters of the SIM's country [default: handsets.country]
    #[arg(long)]
    country: Option<Region>,
    /// For an app that runs without its screen open
    #[arg(long)]
    headless: bool,
    /// Longest time a call rings, in seconds [default: handsets.ring_seconds]
    #[arg(long, value_parser = clap::value_parser!(i32).range(10..=600))]
    ring_seconds: Option<i32>,
}

impl Add {
    fn pairing(&self, config: &Config) -> Pairing {
        let mut pairing = Pairing::new(&self.name, &config.handsets);
        if let Some(profile) = self.profile {
            pairing.profile = profile;
        }
        if let Some(country) = self.country {
            pairing.country = country.as_str().to_owned();
        }
        if self.headless {
            pairing.idle_form = IdleForm::HeadlessSafe;
        }
        if let Some(seconds) = self.ring_seconds {
            pairing.ring_seconds = seconds;
        }
        pairing
    }
}

pub(in crate::cli) async fn run(command: HandsetCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let clock = agreed_clock(&store).await?;
    let done = dispatch(command, config, &store, &clock).await;
    store.close().await;
    done
}

async fn dispatch(command: HandsetCommand, config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<()> {
    let now = clock.now();
    match command {
        HandsetCommand::Add(add) => {
            let new = add.pairing(config);
            let token = store.carry_out(now, Doer::CommandLine, async |work| pairing::add(work, &new).await).await?;
            println!("Type this address on the phone, as it stands; it is shown only once:\n");
            println!("  {}\n", pairing::phone_url(pairing::server_address(config), &token));
            println!("Then prove the chain: autocall handset test {} --number YOUR-NUMBER", quoted(&add.name));
        }
        HandsetCommand::Allow { address, model, add } => {
            let new = add.pairing(config);
            let allow = async |work: &mut Work| pairing::allow(work, &new, address.to_canonical(), &model).await;
            store.carry_out(now, Doer::CommandLine, allow).await?;
            println!("{} may poll /alert/phone from {address}", add.name.trim());
        }
        HandsetCommand::List => list(store, now).await?,
        HandsetCommand::Knocks => {
            let knocks = store.read().await?.db().knocks().await?;
            if knocks.is_empty() {
                println!("no phone has knocked");
            }
            for knock in knocks {
                let model = if knock.model.is_empty() { "model unknown" } else { &knock.model };
                println!(
                    "{}\t{model}\t{}\tlast {}\t{} times",
                    knock.address,
                    knock.user_agent,
                    ago(now, knock.last_at),
                    knock.times
                );
            }
        }
        HandsetCommand::Rename { name, new_name } => {
            store.carry_out(now, Doer::CommandLine, async |work| pairing::rename(work, &name, &new_name).await).await?;
            println!("{name} is called {} now", new_name.trim());
        }
        HandsetCommand::Set { name, channels, inbound, bulk } => {
            let set = async |work: &mut Work| {
                if let Some(channels) = channels {
                    pairing::set_channels(work, &name, channels).await?;
                }
                if let Some(inbound) = inbound {
                    pairing::set_inbound(work, &name, inbound == OnOff::On).await?;
                }
                if let Some(bulk) = bulk {
                    pairing::set_bulk(work, &name, bulk == OnOff::On).await?;
                }
                Ok::<_, PairingError>(())
            };
            store.carry_out(now, Doer::CommandLine, set).await?;
            if let Some(channels) = channels {
                println!("{name} may hold {channels} call(s) at once");
            }
            match inbound {
                Some(OnOff::On) => println!("{name} takes calls from people who were rung lately"),
                Some(OnOff::Off) => println!("{name} takes no calls"),
                None => {}
            }
            match bulk {
                Some(OnOff::On) => println!("shouts may take all channels of {name}"),
                Some(OnOff::Off) => println!("shouts leave channels of {name} to alarms"),
                None => {}
            }
        }
        HandsetCommand::Rotate { name, now: at_once } => {
            let rotate = async |work: &mut Work| pairing::rotate(work, &name, at_once).await;
            let token = store.carry_out(now, Doer::CommandLine, rotate).await?;
            let old = if at_once { "is refused from now on" } else { "works until it has polled with this" };
            println!("Type this new address on the phone; the old one {old}:\n");
            println!("  {}", pairing::phone_url(pairing::server_address(config), &token));
        }
        HandsetCommand::Disable { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| pairing::set_disabled(work, &name, true).await).await?;
            println!("{name} is given nothing new");
        }
        HandsetCommand::Enable { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| pairing::set_disabled(work, &name, false).await).await?;
            println!("{name} is given alarms again");
        }
        HandsetCommand::Remove { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| pairing::remove(work, &name).await).await?;
            println!("{name} is removed: no phone is let in as it any more");
        }
        HandsetCommand::Test { name, number, timeout } => test(store, clock, config, &name, &number, timeout).await?,
    }
    Ok(())
}

async fn list(store: &Store, now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut reader = store.read().await?;
    let handsets = reader.db().handsets().await?;
    let mut calls: HashMap<HandsetId, i32> = HashMap::new();
    for (handset, _) in reader.db().open_mids().await?.into_keys() {
        *calls.entry(handset).or_default() += 1;
    }
    drop(reader);
    if handsets.is_empty() {
        println!("no handset yet: autocall handset add --name desk");
    }
    for handset in handsets {
        let state = state(&handset, calls.get(&handset.id).copied().unwrap_or(0), now);
        let door = match (handset.token_hash.is_some(), handset.allowed_at.is_some()) {
            (true, _) => "paired",
            (false, true) => "allowed",
            (false, false) => "plain path",
        };
        let checklist = test_call::checklist(store, &handset).await?;
        let tested = checklist.map_or("not tested".to_owned(), Checklist::in_words);
        let model = handset.last_model.as_deref().unwrap_or("-");
        println!("{}\t{state}\t{door}\t{model}\t{}\t{tested}", handset.name, handset.last_address.as_deref().unwrap_or("-"));
    }
    Ok(())
}

fn state(handset: &HandsetRow, calls: i32, now: DateTime<Utc>) -> String {
    let seen = handset.last_seen_at.map_or("never polled".to_owned(), |at| format!("polled {}", ago(now, at)));
    if handset.disabled_at.is_some() {
        return "disabled".to_owned();
    }
    if let Some(since) = handset.stuck_since {
        return format!("STUCK since {}: look at its screen", ago(now, since));
    }
    if let Some(since) = handset.offline_since {
        return format!("OFFLINE, noticed {}; {seen}", ago(now, since));
    }
    if handset.shared_since.is_some() {
        return format!("TOKEN USED BY TWO PHONES; {seen}");
    }
    if let Some(since) = handset.restarted_since {
        return format!("STARTED AGAIN IN A CALL, noticed {}; {seen}", ago(now, since));
    }
    match (calls, handset.usable_channels()) {
        (0, _) => seen,
        (_, 1) => format!("in a dial; {seen}"),
        (calls, of) => format!("in {calls} of {of} dials; {seen}"),
    }
}

fn ago(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    match (now - at).num_seconds().max(0) {
        seconds @ 0..=119 => format!("{seconds} s ago"),
        seconds @ 120..=7199 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

async fn test(store: &Store, clock: &Clock, config: &Config, name: &str, number: &str, timeout: u64) -> anyhow::Result<()> {
    let handset = pairing::find(store, name).await?;
    if handset.disabled_at.is_some() {
        bail!("{name} is disabled: autocall handset enable {}", quoted(name));
    }
    let parsed = Number::parse(number, config.default_region)?;
    test_call::begin(store, clock, config, &handset, &parsed).await?;
    println!("{name} will ring {number}: pick up, stay for two seconds, then hang up");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(timeout);
    let mut shown = Checklist::default();
    loop {
        let handset = pairing::find(store, name).await?;
        let checklist = test_call::checklist(store, &handset).await?.context("the test call vanished")?;
        for line in checklist.ticked_since(&shown) {
            println!("  [x] {line}");
        }
        shown = checklist;
        if shown.is_complete() {
            println!("{name} works");
            return Ok(());
        }
        if shown.ended || tokio::time::Instant::now() >= deadline {
            for (line, hint) in shown.missing() {
                println!("  [ ] {line}: {hint}");
            }
            bail!("{name} does not work yet");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
