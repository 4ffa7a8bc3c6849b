//! `autocall people`: import and list, and how they are told.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;

use crate::alarm::policy::AlarmTexts;
use crate::alarm::ways::{By, Way};
use crate::cli::{agreed_clock, open, refused_plainly};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Doer;
use crate::ids::PersonId;
use crate::keep::people_import;
use crate::keep::personal::erasing::{self, Left};
use crate::keep::personal::export::{self, Export};
use crate::keep::roster::told;
use crate::store::backup::beside::Beside;
use crate::store::duty::told::ToldRow;
use crate::store::{Store, Work};
use crate::versions::Expected;

/// Erasing goes on for so long before it is looked whether anything is left.
const ERASES_FOR: Duration = Duration::from_mins(1);

async fn named(store: &Store, name: &str) -> anyhow::Result<PersonId> {
    let person = store.read().await?.db().person_by_name(name).await?;
    Ok(person.with_context(|| format!("there is no person {name:?}: `autocall people list` shows them"))?.id)
}

fn not_written(path: &std::path::Path, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{} is there already: name another file, or remove it first", path.display())
        }
        std::io::ErrorKind::WouldBlock => anyhow::anyhow!("another command is writing {}", path.display()),
        _ => anyhow::anyhow!("{} cannot be written: {error}", path.display()),
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PeopleCommand {
    /// Add or update people: from a spreadsheet (.csv) with the columns name, numbers, language and email, contacts exported from Google or
    /// Outlook (.csv), address cards (.vcf), or JSON
    Import {
        /// A file whose name ends in .csv, .vcf or .json
        file: PathBuf,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// The encoding of the file, such as GBK [default: UTF-8, else what programs of your region write]
        #[arg(long)]
        encoding: Option<String>,
    },
    /// Print everybody with their numbers
    List,
    /// Write all that is kept of somebody into one JSON file, or to the terminal
    Export {
        /// Their name
        name: String,
        /// Where to; the terminal where none is given
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Erase somebody: their name and numbers go wherever they stand, what happened stays
    Erase {
        /// Their name; without one, go on with what was broken off
        name: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Print how somebody is told by text message, or change what is given
    Told {
        /// Their name
        name: String,
        /// A text message beside a call for an alarm: policy (as the alarm's policy says), always or never
        #[arg(long, value_parser = alarm_texts)]
        alarm_texts: Option<AlarmTexts>,
        /// So many minutes before a shift of theirs begins, 0 to 1440, or off
        #[arg(long, value_parser = shift_minutes)]
        shift_minutes: Option<Minutes>,
        /// When somebody else puts them on duty: true or false
        #[arg(long)]
        put_on_duty: Option<bool>,
        /// How they are reached when their turn comes, each way by itself: call:NUMBER or text:NUMBER, and :SECONDS after that; or none, to
        /// be called by their first number at once
        #[arg(long = "way", value_parser = way, value_name = "WAY")]
        ways: Vec<OneWay>,
    },
}

/// One way to be reached, or that there is none of their own.
#[derive(Clone, Debug)]
pub(in crate::cli) struct OneWay(Option<Way>);

fn way(word: &str) -> Result<OneWay, String> {
    if word == "none" {
        return Ok(OneWay(None));
    }
    let mut parts = word.split(':');
    let (by, number, after) = (parts.next().and_then(By::parse), parts.next(), parts.next().map_or(Ok(0), str::parse));
    match (by, number, after, parts.next()) {
        (Some(by), Some(number), Ok(after_seconds), None) => {
            Ok(OneWay(Some(Way { by, number: number.to_owned(), after_seconds })))
        }
        _ => Err("write call:NUMBER or text:NUMBER, with :SECONDS after it, or none".to_owned()),
    }
}

/// How long before a shift somebody is told, if at all.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Minutes(Option<i32>);

fn alarm_texts(word: &str) -> Result<AlarmTexts, String> {
    AlarmTexts::parse(word).ok_or_else(|| "write policy, always or never".to_owned())
}

fn shift_minutes(word: &str) -> Result<Minutes, String> {
    match word {
        "off" => Ok(Minutes(None)),
        number => {
            number.parse().map(|minutes| Minutes(Some(minutes))).map_err(|_| "write a number of minutes, or off".to_owned())
        }
    }
}

pub(in crate::cli) async fn run(command: PeopleCommand, config: &Config) -> anyhow::Result<()> {
    match command {
        PeopleCommand::Told { name, alarm_texts, shift_minutes, put_on_duty, ways } => {
            let store = open(config).await?;
            let (person, old) = {
                let mut reader = store.read().await?;
                let person = reader.db().person_by_name(&name).await?;
                let person = person.with_context(|| format!("there is no person {name:?}: `autocall people list` shows them"))?;
                let told = reader.db().told(person.id).await?;
                (person.id, told)
            };
            let own: Vec<Way> = ways.iter().filter_map(|OneWay(way)| way.clone()).collect();
            let mut new = ToldRow {
                ways: if ways.is_empty() { old.ways.clone() } else { own.into() },
                alarm_texts: alarm_texts.unwrap_or(old.alarm_texts),
                shift_minutes: shift_minutes.map_or(old.shift_minutes, |Minutes(minutes)| minutes),
                put_on_duty: put_on_duty.unwrap_or(old.put_on_duty),
            };
            told::numbers_as_kept(&mut new, config.default_region).map_err(refused_plainly)?;
            if new != old {
                let expected = Expected::OneOf(vec![told::version(person, &old)]);
                let set = async |work: &mut Work| told::set(work, person, &new, &expected).await;
                store.carry_out(Clock::system().now(), Doer::CommandLine, set).await?;
            }
            store.close().await;
            let ways: Vec<String> = new.ways.iter().map(Way::to_string).collect();
            let minutes = new.shift_minutes.map_or_else(|| "off".to_owned(), |minutes| minutes.to_string());
            println!(
                "{name}\talarm texts: {}\tshift minutes: {minutes}\tput on duty: {}\tways: {}",
                new.alarm_texts.as_str(),
                new.put_on_duty,
                if ways.is_empty() { "none".to_owned() } else { ways.join(", ") }
            );
        }
        PeopleCommand::Import { file, dry_run, encoding } => {
            let read = people_import::read_file(&file, encoding.as_deref(), config.default_region)?;
            let store = open(config).await?;
            let mut work = store.work(Clock::system().now(), Doer::CommandLine, None).await?;
            let done = people_import::import(&mut work, &read.people).await?;
            if dry_run {
                // Rolled back now: the store waits for it, and a server that runs beside for the writer.
                drop(work);
            } else {
                work.commit().await?;
            }
            store.close().await;
            for line in read.notes.iter().chain(&read.skipped) {
                println!("note: {line}");
            }
            if dry_run {
                for change in &done.changes {
                    println!("{change}");
                }
            }
            let (all, verb) = (done.new + done.known + done.unchanged, if dry_run { "would import" } else { "imported" });
            println!("{verb} {all} people: {} new, {} updated, {} unchanged", done.new, done.known, done.unchanged);
            for number in done.doubtful {
                println!("note: {number} is unknown to the numbering plan and will be dialled as it is");
            }
        }
        PeopleCommand::Export { name, to } => {
            let store = open(config).await?;
            let person = named(&store, &name).await?;
            store
                .carry_out(agreed_clock(&store).await?.now(), Doer::CommandLine, async |work| export::note(work, person).await)
                .await?;
            let mut file = Export::begin(store.clone(), person).await?;
            // Only for its owner, and whole or not at all: it holds everything of somebody.
            let beside = to.as_deref().map(|path| (path, Beside::begin(path, false)));
            let beside = beside.map(|(path, begun)| begun.map_err(|error| not_written(path, &error))).transpose()?;
            let mut out: Box<dyn std::io::Write> = match &beside {
                Some(beside) => Box::new(beside.file()),
                None => Box::new(std::io::stdout()),
            };
            while let Some(piece) = file.piece().await? {
                out.write_all(piece.as_bytes())?;
            }
            out.flush()?;
            drop(out);
            if let (Some(path), Some(beside)) = (&to, beside) {
                beside.finish().map_err(|error| not_written(path, &error))?;
            }
            store.close().await;
        }
        PeopleCommand::Erase { name, yes } => {
            let store = open(config).await?;
            let now = agreed_clock(&store).await?.now();
            if let Some(name) = &name {
                let person = named(&store, name).await?;
                anyhow::ensure!(yes, "this cannot be taken back: say --yes to erase {name}");
                store
                    .carry_out(now, Doer::CommandLine, async |work| erasing::begin(work, person, &Expected::Anything).await)
                    .await?;
            }
            let left = loop {
                match erasing::go_on(&store, now, ERASES_FOR).await? {
                    Left::Something => {}
                    left => break left,
                }
            };
            store.close().await;
            match name {
                _ if left == Left::Waiting => {
                    println!(
                        "alarms that are under way still ring the number of somebody who is to be erased: the server forgets it when they are over"
                    );
                }
                Some(_) => println!("they are erased"),
                None => println!("nothing is left of whoever was to be erased"),
            }
        }
        PeopleCommand::List => {
            let store = open(config).await?;
            for (person, numbers) in store.read().await?.db().people().await? {
                println!("{}\t{}\t{}", person.name, numbers.join(";"), person.language);
            }
            store.close().await;
        }
    }
    Ok(())
}
