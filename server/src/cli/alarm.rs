//! `autocall alarm`: list, show, and all that people do about an alarm.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};

use super::{engine, labels};
use crate::alarm::sought::Asked;
use crate::alarm::{AlarmKind, Priority};
use crate::api::alarm;
use crate::api::alarm::file::{AlarmFile, FileForm};
use crate::config::Config;
use crate::engine::{Acknowledgement, Actor, Doer, Engine};
use crate::ids::{AlarmId, CalleeId};
use crate::keep::checks::LONGEST_NOTE;
use crate::numbers::{Number, same_phone};
use crate::store::alarm::alarms::{AlarmFilter, AlarmRow, AskedText};

#[derive(Debug, Subcommand)]
pub(super) enum AlarmCommand {
    /// Print the newest alarms, or those that a search finds
    List(ListArgs),
    /// Print an alarm with everything that happened to it, as JSON
    Show(Which),
    /// Confirm: nobody else is rung
    Acknowledge {
        #[command(flatten)]
        which: Which,
        /// Who confirms
        #[arg(long)]
        name: Option<String>,
        /// Their number, if the name is to be found by it
        #[arg(long)]
        number: Option<String>,
        /// A remark
        #[arg(long)]
        note: Option<String>,
        /// Ring again after so many seconds, unless it is over by then
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i32).range(60..=604_800))]
        ring_again_after: Option<i32>,
    },
    /// Say no for a callee: they are not rung again, and the next one is
    Decline(CalleeOf),
    /// Give it back: it is rung for again, without whoever had taken it
    GiveBack(Which),
    /// Take a callee off
    Skip(CalleeOf),
    /// Begin the next step of the policy now
    Escalate(Which),
    /// Put it off: nobody is rung before then
    Snooze {
        #[command(flatten)]
        which: Which,
        /// For so many minutes
        #[arg(long, value_name = "MINUTES", conflicts_with = "until", required_unless_present = "until")]
        minutes: Option<i64>,
        /// Until then, such as 2026-11-20T22:00:00Z
        #[arg(long, value_parser = labels::instant)]
        until: Option<DateTime<Utc>>,
    },
    /// Write something down on the timeline
    Note {
        #[command(flatten)]
        which: Which,
        /// What
        text: String,
    },
    /// Mark it as false, for the reports: nothing was wrong
    False {
        #[command(flatten)]
        which: Which,
        /// Why it is false
        reason: String,
    },
    /// Take back that it is false
    NotFalse(Which),
    /// Choose another escalation policy: it begins with the next step
    Policy {
        #[command(flatten)]
        which: Which,
        /// The policy's name
        policy: String,
    },
    /// Call it off
    Cancel(Which),
    /// Ring everybody again
    Redial(Which),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Words that all stand in the alarm: in its text, labels and notes, or as names and ends of numbers of who was rung
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only alarms in this state: waiting, ringing, answered, no_answer, cancelled or resolved; open for the first two, ended for the
    /// others; may be given several times
    #[arg(long = "state", value_name = "STATE", value_parser = labels::states)]
    states: Vec<labels::States>,
    /// Only alarms of this priority; may be given several times
    #[arg(long = "priority", value_name = "PRIORITY", value_parser = labels::priority)]
    priorities: Vec<Priority>,
    /// Only alarms from this source; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Only alarms that asked for this team; may be given several times
    #[arg(long = "team", value_name = "TEAM")]
    teams: Vec<String>,
    /// Only alarms for which this person was rung or answered, by name or id; may be given several times
    #[arg(long = "person", value_name = "PERSON")]
    people: Vec<String>,
    /// Only alarms with this label; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = labels::pair)]
    labels: Vec<(String, String)>,
    /// Only alarms that were raised then or later, such as 2026-11-20T22:00:00Z
    #[arg(long, value_name = "TIME", value_parser = labels::instant)]
    from: Option<DateTime<Utc>>,
    /// Only alarms that were raised before then
    #[arg(long, value_name = "TIME", value_parser = labels::instant)]
    before: Option<DateTime<Utc>>,
    /// Begin with the oldest
    #[arg(long)]
    oldest: bool,
    /// What to print instead of alarms; may be given several times
    #[arg(long = "kind", value_name = "KIND", value_parser = labels::kind)]
    kinds: Vec<AlarmKind>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..), conflicts_with_all = ["csv", "json"])]
    limit: i64,
    /// Print all that are found as a table
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print all that are found as a JSON array, each as the API has it
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The alarm's id or number
    alarm: String,
}

#[derive(Debug, Args)]
pub(super) struct CalleeOf {
    #[command(flatten)]
    which: Which,
    /// The callee's number, name or id
    callee: String,
}

pub(super) async fn run(command: AlarmCommand, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    let by = &Actor { name: Some("command line".to_owned()), doer: Doer::CommandLine };
    let done = match command {
        AlarmCommand::List(asked) => {
            list(&engine, asked).await?;
            None
        }
        AlarmCommand::Show(which) => {
            let id = which.find(&engine).await?;
            println!("{}", serde_json::to_string_pretty(&alarm::detail(&engine.store, id).await?)?);
            None
        }
        AlarmCommand::Acknowledge { which, name, number, note, ring_again_after } => {
            let number = number.map(|number| Number::parse(&number, config.default_region)).transpose()?;
            let by = Acknowledgement {
                name,
                number: number.map(|parsed| parsed.number.as_str().to_owned()),
                note,
                ring_again_after_s: ring_again_after,
                doer: Doer::CommandLine,
                ..Acknowledgement::default()
            };
            Some(engine.acknowledge(which.find(&engine).await?, &by).await?)
        }
        AlarmCommand::Decline(of) => {
            let (id, callee) = of.find(&engine, config).await?;
            Some(engine.decline(id, callee, &Actor::nameless(Doer::CommandLine)).await?)
        }
        AlarmCommand::GiveBack(which) => Some(engine.give_back(which.find(&engine).await?, by).await?),
        AlarmCommand::Skip(of) => {
            let (id, callee) = of.find(&engine, config).await?;
            Some(engine.skip(id, callee, by).await?)
        }
        AlarmCommand::Escalate(which) => Some(engine.escalate(which.find(&engine).await?, by).await?),
        AlarmCommand::Snooze { which, minutes, until } => {
            let until =
                until.unwrap_or_else(|| engine.clock.now() + TimeDelta::minutes(minutes.unwrap_or_default().min(MOST_MINUTES)));
            Some(engine.snooze(which.find(&engine).await?, until, by).await?)
        }
        AlarmCommand::Note { which, text } => {
            let text = said("the note", &text)?;
            Some(engine.note(which.find(&engine).await?, text, by).await?)
        }
        AlarmCommand::False { which, reason } => {
            let reason = said("the reason", &reason)?;
            Some(engine.mark_false(which.find(&engine).await?, reason, by).await?)
        }
        AlarmCommand::NotFalse(which) => Some(engine.mark_not_false(which.find(&engine).await?, by).await?),
        AlarmCommand::Policy { which, policy } => Some(engine.set_policy(which.find(&engine).await?, &policy, by).await?),
        AlarmCommand::Cancel(which) => Some(engine.cancel(which.find(&engine).await?, by).await?),
        AlarmCommand::Redial(which) => {
            Some(engine.redial(which.find(&engine).await?, &Actor::nameless(Doer::CommandLine)).await?)
        }
    };
    if let Some(alarm) = done {
        tell(&alarm);
    }
    engine.store.close().await;
    Ok(())
}

/// So many are read at a time.
const AT_ONCE: i64 = 500;

async fn list(engine: &Engine, asked: ListArgs) -> anyhow::Result<()> {
    let mut people = Vec::new();
    for name in &asked.people {
        let id = engine.store.read().await?.db().person_called(name).await?;
        people.push(id.with_context(|| format!("there is no person named {name:?}: `autocall people list` prints all"))?);
    }
    let mut with_labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in asked.labels {
        with_labels.entry(name).or_default().push(value);
    }
    let text = asked.search.as_deref().map(|text| AskedText { asked: Asked::read(text), sees_numbers: true, last_begins: false });
    anyhow::ensure!(text.as_ref().is_none_or(|text| !text.asked.is_empty()), "--search must hold a letter or a digit");
    let filter = AlarmFilter {
        kinds: asked.kinds,
        states: asked.states.into_iter().flat_map(|states| states.0).collect(),
        sources: asked.sources,
        priorities: asked.priorities,
        teams: asked.teams,
        people,
        labels: with_labels,
        text,
        raised_from: asked.from,
        raised_before: asked.before,
        oldest_first: asked.oldest,
        ..AlarmFilter::default()
    };
    match (asked.csv, asked.json) {
        (false, false) => print_lines(engine, filter, asked.limit).await,
        (true, _) => print_file(engine, filter, FileForm::Csv).await,
        (_, true) => print_file(engine, filter, FileForm::Json).await,
    }
}

async fn print_lines(engine: &Engine, filter: AlarmFilter, limit: i64) -> anyhow::Result<()> {
    let mut left = limit;
    let mut rest = Some(filter);
    while let Some(filter) = rest.take().filter(|_| left > 0) {
        let found = engine.store.read().await?.db().find_alarms(&filter, left.min(AT_ONCE)).await?;
        found.alarms.iter().for_each(tell);
        left -= i64::try_from(found.alarms.len()).unwrap_or(left);
        rest = found.next.map(|place| filter.behind(place));
    }
    Ok(())
}

async fn print_file(engine: &Engine, filter: AlarmFilter, form: FileForm) -> anyhow::Result<()> {
    let mut file = AlarmFile::new(engine.store.clone(), filter, form, true);
    while let Some(piece) = file.piece().await? {
        match std::io::stdout().lock().write_all(piece.as_bytes()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

/// More than the engine accepts, so that a mistake is refused there, in words.
const MOST_MINUTES: i64 = 100_000;

fn tell(alarm: &AlarmRow) {
    let raised = alarm.raised_at.format("%F %T UTC");
    println!("{}\t{raised}\t{}\t{}\t{}", alarm.number, alarm.priority.as_str(), alarm.state().as_str(), alarm.summary);
}

impl Which {
    async fn find(&self, engine: &Engine) -> anyhow::Result<AlarmId> {
        let mut reader = engine.store.read().await?;
        let found = match (self.alarm.parse::<i64>(), self.alarm.parse::<AlarmId>()) {
            (Ok(number), _) => reader.db().alarm_by_number(number).await?,
            (_, Ok(id)) => reader.db().alarm(id).await?,
            _ => None,
        };
        Ok(found
            .with_context(|| {
                format!("there is no alarm {}: give the id or the number that `autocall alarm list` prints", self.alarm)
            })?
            .id)
    }
}

impl CalleeOf {
    async fn find(&self, engine: &Engine, config: &Config) -> anyhow::Result<(AlarmId, CalleeId)> {
        let id = self.which.find(engine).await?;
        let mut reader = engine.store.read().await?;
        let hunt = reader.db().alarm(id).await?.context("the alarm is gone")?.hunt_id;
        let number = Number::parse(&self.callee, config.default_region).ok().map(|parsed| parsed.number);
        let callees = reader.db().callees(hunt).await?;
        // Of several steps the latest, which is the one that is rung.
        let found = callees.iter().rev().find(|callee| {
            callee.name.as_deref() == Some(self.callee.as_str())
                || callee.id.to_string() == self.callee
                || number.as_ref().is_some_and(|number| same_phone(number.as_str(), &callee.number))
        });
        let names: Vec<&str> = callees.iter().map(|callee| callee.name.as_deref().unwrap_or(&callee.number)).collect();
        let found =
            found.with_context(|| format!("nobody like {:?} is rung for this alarm, but {}", self.callee, names.join(", ")))?;
        Ok((id, found.id))
    }
}

/// What somebody says of an alarm, held to what the API holds it to.
fn said<'t>(what: &str, text: &'t str) -> anyhow::Result<&'t str> {
    let text = text.trim();
    let length = text.chars().count();
    anyhow::ensure!(length > 0, "{what} is empty: say something");
    anyhow::ensure!(length <= LONGEST_NOTE, "{what} has {length} characters: {LONGEST_NOTE} are allowed");
    Ok(text)
}
