//! `autocall alarm`: list, show, and all that people do about an alarm.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};

use super::{engine, labels};
use crate::alarm::AlarmKind;
use crate::api::alarm;
use crate::config::Config;
use crate::engine::{Acknowledgement, Actor, Doer, Engine};
use crate::ids::{AlarmId, CalleeId};
use crate::numbers::{Number, same_phone};
use crate::store::alarm::alarms::{AlarmFilter, AlarmRow};

#[derive(Debug, Subcommand)]
pub(super) enum AlarmCommand {
    /// Print the newest alarms
    List {
        /// What to print instead of alarms; may be given several times
        #[arg(long = "kind", value_name = "KIND", value_parser = labels::kind)]
        kinds: Vec<AlarmKind>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: i64,
    },
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
        AlarmCommand::List { kinds, limit } => {
            let filter = AlarmFilter { kinds, ..AlarmFilter::default() };
            for alarm in engine.store.read().await?.db().list_alarms(&filter, limit).await? {
                tell(&alarm);
            }
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
            anyhow::ensure!(!text.trim().is_empty(), "the note is empty");
            Some(engine.note(which.find(&engine).await?, text.trim(), by).await?)
        }
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
