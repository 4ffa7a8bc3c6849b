//! `autocall swap`: who asks whom to take a shift, and what is said to it.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::roster_change::rehearse;
use super::roster_words::BY;
use super::{agreed_clock, open};
use crate::config::Config;
use crate::engine::Doer;
use crate::ids::SwapId;
use crate::keep::roster::swaps::{self, May, SwapForm};
use crate::roster::{Roster, text};
use crate::store::duty::swaps::SwapRow;
use crate::store::{Store, Work};

#[derive(Debug, Subcommand)]
pub(super) enum SwapCommand {
    /// Print requests, the latest first
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Ask somebody, or anybody of the team, to take a shift
    Ask(AskArgs),
    /// Accept a request: from then on the plan says so
    Accept {
        /// Its id; `autocall swap list` prints it
        id: String,
        /// Who takes the shift, where anybody was asked
        #[arg(long)]
        person: Option<String>,
        /// Say who would be on duty instead of whom, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Decline a request
    Decline {
        /// Its id; `autocall swap list` prints it
        id: String,
    },
    /// Take back a request that nobody has answered
    TakeBack {
        /// Its id; `autocall swap list` prints it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// The schedule's name
    schedule: String,
    /// Whose shift it is
    person: String,
    /// From when; a time without a zone is one of the schedule's. In all of the time the person must be on duty
    #[arg(long)]
    from: String,
    /// Until when
    #[arg(long)]
    to: String,
    /// Who is asked [default: anybody of the team]
    #[arg(long)]
    other: Option<String>,
    /// In exchange for a shift of the other: from when
    #[arg(long, requires_all = ["back_to", "other"])]
    back_from: Option<String>,
    /// Until when
    #[arg(long, requires = "back_from")]
    back_to: Option<String>,
    /// Why
    #[arg(long, default_value = "")]
    note: String,
}

pub(super) async fn run(command: SwapCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    let done = act(command, &store, now).await;
    store.close().await;
    done
}

async fn act(command: SwapCommand, store: &Store, now: DateTime<Utc>) -> anyhow::Result<()> {
    let by = Doer::CommandLine;
    match command {
        SwapCommand::List { limit } => {
            let mut reader = store.read().await?;
            let rows = reader.db().latest_swaps(SwapId(uuid::Uuid::max()), limit).await?;
            let roster = reader.db().roster_from(now).await?;
            for row in &rows {
                println!("{}", line(&roster, row, now));
            }
        }
        SwapCommand::Ask(own) => {
            let AskArgs { schedule, person, from, to, other, back_from, back_to, note } = own;
            let form = SwapForm {
                schedule,
                person,
                starts_at: from,
                ends_at: to,
                other,
                back_starts_at: back_from,
                back_ends_at: back_to,
                note,
            };
            let id = store.carry_out(now, by, async |work| swaps::ask(work, &form, May::SpeakForAll, BY).await).await?;
            println!("swap {id} waits for an answer: autocall swap accept {id}");
        }
        SwapCommand::Accept { id, person, dry_run } => {
            let id = read_id(&id)?;
            let person = person.as_deref();
            let accept = async |work: &mut Work| swaps::accept(work, id, person, May::SpeakForAll, BY).await;
            if dry_run {
                return rehearse(store, now, accept).await;
            }
            store.carry_out(now, by, accept).await?;
            println!("it is accepted, and the plan says so");
        }
        SwapCommand::Decline { id } => {
            let id = read_id(&id)?;
            store.carry_out(now, by, async |work| swaps::decline(work, id, May::SpeakForAll, BY).await).await?;
            println!("it is declined");
        }
        SwapCommand::TakeBack { id } => {
            let id = read_id(&id)?;
            store.carry_out(now, by, async |work| swaps::take_back(work, id, May::SpeakForAll, BY).await).await?;
            println!("it is taken back");
        }
    }
    Ok(())
}

fn line(roster: &Roster, row: &SwapRow, now: DateTime<Utc>) -> String {
    let schedule = roster.schedule(row.schedule_id);
    let zone = schedule.map_or(chrono_tz::Tz::UTC, |own| own.zone);
    let times = |(from, to)| format!("{} to {}", text::shown(zone, from), text::shown(zone, to));
    let whom = row.other_id.map_or_else(|| "anybody".to_owned(), |other| roster.name(other));
    let back = row.back().map_or_else(String::new, |back| format!("\tin exchange for {}", times(back)));
    let taken = row.taken_by.map_or_else(String::new, |person| format!(" by {}", roster.name(person)));
    format!(
        "{}\t{}\t{}\t{} asks {whom}\t{}{taken}{back}",
        row.id,
        schedule.map_or("", |own| &own.name),
        times(row.given()),
        roster.name(row.person_id),
        row.standing(now).as_str()
    )
}

fn read_id(text: &str) -> anyhow::Result<SwapId> {
    text.parse().map_err(|_| anyhow::anyhow!("{text:?} is no id: `autocall swap list` prints them"))
}
