//! `autocall line`: add, change, list, remove, preview, forward-to, bind.

use clap::{Subcommand, ValueEnum};

use crate::cli::engine;
use crate::config::Config;
use crate::engine::Doer;
use crate::engine::lines::hand_over::Known;
use crate::keep::lines::numbers::{self, NewLine};
use crate::line::command::AppBuild;
use crate::versions::Expected;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum BuildArg {
    /// v1.0, which knows the word autocall only
    First,
    /// Any later one
    Later,
}

impl From<BuildArg> for AppBuild {
    fn from(build: BuildArg) -> Self {
        match build {
            BuildArg::First => Self::First,
            BuildArg::Later => Self::Later,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LineCommand {
    /// Make known a public number that follows the person on duty
    Add {
        /// What people call it
        #[arg(long)]
        name: String,
        /// The team whose person on duty it follows
        #[arg(long, default_value = "")]
        team: String,
        /// What people outside dial
        #[arg(long)]
        number: String,
        /// Where its handset gets messages [default: the number itself]
        #[arg(long)]
        sms_number: Option<String>,
        /// Whose forwarding codes it takes, such as china-telecom
        #[arg(long)]
        carrier: String,
        /// The Android version of its handset
        #[arg(long)]
        android: i32,
        /// The build of the app on it
        #[arg(long, value_enum, default_value_t = BuildArg::Later)]
        app_build: BuildArg,
        /// What the message says beside the command, in the team's language
        #[arg(long, default_value = "")]
        text: String,
        /// The gateway that reaches it
        #[arg(long)]
        gateway: String,
        /// Its handset, when that also rings people for us
        #[arg(long)]
        handset: Option<String>,
        /// Another handset, which rings the number after each hand-over to prove it
        #[arg(long)]
        verify_handset: Option<String>,
    },
    /// Change what is given here, and leave all else; where its phone must be told otherwise than before, it is told again
    Change {
        /// The line's name
        line: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// The team whose person on duty it follows; empty: none
        #[arg(long)]
        team: Option<String>,
        /// What people outside dial
        #[arg(long)]
        number: Option<String>,
        /// Where its handset gets messages; empty: the number itself
        #[arg(long)]
        sms_number: Option<String>,
        /// Whose forwarding codes it takes
        #[arg(long)]
        carrier: Option<String>,
        /// The Android version of its handset
        #[arg(long)]
        android: Option<i32>,
        /// The build of the app on it
        #[arg(long, value_enum)]
        app_build: Option<BuildArg>,
        /// What the message says beside the command
        #[arg(long)]
        text: Option<String>,
        /// The gateway that reaches it
        #[arg(long)]
        gateway: Option<String>,
        /// Its handset, when that also rings people for us; empty: none
        #[arg(long)]
        handset: Option<String>,
        /// Another handset, which proves each hand-over; empty: none
        #[arg(long)]
        verify_handset: Option<String>,
    },
    /// Print all public numbers: forwarded to whom, since when, and how that is known
    List,
    /// Hand a number over no more
    Remove {
        /// Its name
        name: String,
    },
    /// Print what would be sent, and send nothing
    Preview {
        /// The line's name
        name: String,
        /// To which number
        number: String,
    },
    /// Hand it to a number, until somebody else is on duty
    ForwardTo {
        /// The line's name
        name: String,
        /// To which number
        number: String,
        /// Whose it is [default: the person with that number]
        #[arg(long)]
        person: Option<String>,
    },
    /// Bind it to a person who is always on duty; without one, to nobody
    Bind {
        /// The line's name
        name: String,
        /// Their number
        #[arg(requires = "person")]
        number: Option<String>,
        /// Their name
        #[arg(long, requires = "number")]
        person: Option<String>,
    },
}

pub(in crate::cli) async fn run(command: LineCommand, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    match command {
        LineCommand::Add {
            name,
            team,
            number,
            sms_number,
            carrier,
            android,
            app_build,
            text,
            gateway,
            handset,
            verify_handset,
        } => {
            let app_build = app_build.into();
            let new =
                NewLine { name, team, number, sms_number, carrier, android, app_build, text, gateway, handset, verify_handset };
            let mut work = engine.work(Doer::CommandLine).await?;
            let line = numbers::add(&mut work, config, &new).await?;
            work.commit().await?;
            println!("{} is there; look at what would be sent: autocall line preview {} NUMBER", line.name, line.name);
        }
        LineCommand::Change {
            line,
            name,
            team,
            number,
            sms_number,
            carrier,
            android,
            app_build,
            text,
            gateway,
            handset,
            verify_handset,
        } => {
            let said = engine.line_status(&line).await?.said;
            let or_none = |given: Option<String>, kept| given.map_or(kept, |given| Some(given).filter(|given| !given.is_empty()));
            let new = NewLine {
                name: name.unwrap_or(said.name),
                team: team.unwrap_or(said.team),
                number: number.unwrap_or(said.number),
                sms_number: or_none(sms_number, said.sms_number),
                carrier: carrier.unwrap_or(said.carrier),
                android: android.unwrap_or(said.android),
                app_build: app_build.map_or(said.app_build, AppBuild::from),
                text: text.unwrap_or(said.text),
                gateway: gateway.unwrap_or(said.gateway),
                handset: or_none(handset, said.handset),
                verify_handset: or_none(verify_handset, said.verify_handset),
            };
            let mut work = engine.work(Doer::CommandLine).await?;
            let line = engine.change_line(&mut work, &line, &new, &Expected::Anything).await?;
            work.commit().await?;
            println!("{} is changed; `autocall line list` shows what its phone is told", line.name);
        }
        LineCommand::List => list(&engine).await?,
        LineCommand::Remove { name } => {
            let mut work = engine.work(Doer::CommandLine).await?;
            numbers::remove(&mut work, &name, &Expected::Anything).await?;
            work.commit().await?;
            println!("{name} is handed over no more; what was forwarded stays so");
        }
        LineCommand::Preview { name, number } => {
            let preview = numbers::preview(&mut engine.store.read().await?.db(), config, &name, &number).await?;
            println!("dials\t{}", preview.code);
            if let Some(message) = preview.message {
                println!("sends\t{}", message.text);
                println!("needs\t{} of {}", message.encoding.used(), message.encoding.limit());
            }
            for note in preview.notes {
                println!("note\t{note}");
            }
        }
        LineCommand::ForwardTo { name, number, person } => {
            let mut work = engine.work(Doer::CommandLine).await?;
            let anything = Expected::Anything;
            let hand_over = engine.forward_line(&mut work, &name, &number, person.as_deref(), &anything).await?;
            work.commit().await?;
            println!("the command for {} is in the outbox; `autocall line list` shows what became of it", hand_over.person);
        }
        LineCommand::Bind { name, number, person } => {
            let mut work = engine.work(Doer::CommandLine).await?;
            let person = person.as_deref();
            numbers::bind(&mut work, config, &name, person.zip(number.as_deref()), &Expected::Anything).await?;
            work.commit().await?;
            println!("{name} is bound to {}", person.unwrap_or("nobody"));
        }
    }
    engine.store.close().await;
    Ok(())
}

async fn list(engine: &crate::engine::Engine) -> anyhow::Result<()> {
    for status in engine.line_statuses().await? {
        let line = status.line;
        let Some((hand_over, known)) = status.latest else {
            println!("{}\t{}\tnever handed over", line.name, line.number);
            continue;
        };
        let how = match known {
            Known::Refused => "REFUSED",
            Known::Waiting => "waiting to be sent",
            Known::GivenUp => "GIVEN UP",
            Known::Sent => "sent",
            Known::Delivered => "delivered",
            Known::Verifying => "being verified",
            Known::Answered => "verified: answered",
            Known::Confirmed => "verified: confirmed",
            Known::Unanswered => "NOT ANSWERED when it was rung",
            Known::ByNetwork => "confirmed by the network",
            Known::Elsewhere => "the network FORWARDS ELSEWHERE",
        };
        let (since, why) = (hand_over.at.format("%F %T UTC"), hand_over.refused.or(hand_over.last_result).unwrap_or_default());
        println!("{}\t{}\t{} {}\tsince {since}\t{how}\t{why}", line.name, line.number, hand_over.person, hand_over.number);
        if let Some(still) = status.still.filter(|_| hand_over.sent_at.is_none()) {
            println!("\tstill forwarded to {} {}", still.person, still.number);
        }
    }
    Ok(())
}
