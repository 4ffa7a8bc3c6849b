//! `autocall roster`, the commands that change it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};

use super::roster_words::{BY, print_now_and_next, print_preview, standing};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::roster::feeds::{self, Subject};
use crate::keep::roster::forms::{HolidaysForm, LayerForm, OverrideForm, ScheduleForm, TeamForm, TemporaryForm, VacationForm};
use crate::keep::roster::source::{self, SourceForm};
use crate::keep::roster::{RosterError, exceptions, find_schedule, import, preview, schedules, teams};
use crate::kinds::guard::GuardedResolver;
use crate::out::calendars;
use crate::store::{Store, Work};
use crate::versions::Expected;

#[derive(Debug, Subcommand)]
pub(super) enum ChangeCommand {
    /// Add a team, or give it other members
    SetTeam {
        /// Its name
        name: String,
        /// Its people in order, separated by commas
        #[arg(long, value_delimiter = ',')]
        members: Vec<String>,
    },
    /// Remove a team; its schedules stay
    RemoveTeam {
        /// Its name
        name: String,
    },
    /// Add a schedule
    AddSchedule {
        /// Its name
        name: String,
        /// Where its wall times are read, such as Europe/Berlin
        #[arg(long)]
        zone: String,
        /// Whose schedule it is
        #[arg(long)]
        team: Option<String>,
        /// Nobody need be on duty at all times
        #[arg(long)]
        gaps_allowed: bool,
    },
    /// Take a schedule out of use; its duty log stays
    RemoveSchedule {
        /// Its name
        name: String,
    },
    /// Add a rotation to a schedule, or change the one of that name; the newest stands above the others
    SetRotation(RotationArgs),
    /// Remove a layer: a rotation, or imported shifts
    RemoveLayer {
        /// The schedule's name
        schedule: String,
        /// The layer's name
        name: String,
        /// Say who would be on duty instead of whom, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Import shifts from a file: columns start, end, person in .csv, or events in .ics; all of it, or nothing
    Import {
        /// The schedule's name
        schedule: String,
        /// A file whose name ends in .csv or .ics
        file: PathBuf,
        /// The layer that gets the shifts; what it had before is replaced
        #[arg(long, default_value = import::DEFAULT_LAYER)]
        layer: String,
        /// Say what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// The encoding of the file, such as GBK [default: UTF-8, else what programs of your region write]
        #[arg(long)]
        encoding: Option<String>,
    },
    /// Let a schedule follow a calendar that is kept elsewhere: the server reads it again and again
    SetCalendar(CalendarArgs),
    /// Print the calendars that schedules follow, and how they stand; never their addresses
    Calendars,
    /// Let the server read a schedule's calendar now
    RefreshCalendar {
        /// The schedule's name
        schedule: String,
    },
    /// Let a schedule follow no calendar any more; the shifts that came from it stay
    RemoveCalendar {
        /// The schedule's name
        schedule: String,
    },
    /// Change who is on duty for some time
    Override(OverrideArgs),
    /// Take back an override; `autocall roster show` prints its id
    RemoveOverride {
        /// The schedule's name
        schedule: String,
        /// Its id
        id: String,
        /// Say who would be on duty instead of whom, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Put other people in place of everything for some time
    Temporary(TemporaryArgs),
    /// Put other people on duty on the days of a list, such as holidays, a day each
    Holidays(HolidaysArgs),
    /// Take back a temporary schedule; `autocall roster show` prints its id
    RemoveTemporary {
        /// The schedule's name
        schedule: String,
        /// Its id
        id: String,
    },
    /// Somebody is away: others cover for them
    Vacation {
        /// Who
        person: String,
        /// From when
        #[arg(long)]
        from: String,
        /// Until when
        #[arg(long)]
        to: String,
        /// Where times without a zone are read
        #[arg(long, default_value = "UTC")]
        zone: String,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        /// Say who would be on duty instead of whom, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print all vacations with their ids
    Vacations,
    /// Take back a vacation
    RemoveVacation {
        /// Its id
        id: String,
    },
    /// Make a calendar feed; prints its address once
    AddFeed {
        /// The shifts of this schedule
        #[arg(long, conflicts_with = "person", required_unless_present = "person")]
        schedule: Option<String>,
        /// The shifts of this person
        #[arg(long)]
        person: Option<String>,
    },
    /// Print all calendar feeds with their ids
    Feeds,
    /// Revoke a calendar feed at once
    RevokeFeed {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct RotationArgs {
    /// The schedule's name
    schedule: String,
    /// What people call it
    #[arg(long, default_value = "rotation")]
    name: String,
    /// Who takes turns, in order, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    people: Vec<String>,
    /// How long a turn is: '1 week', '2 days', '12 hours'
    #[arg(long)]
    every: String,
    /// When the first turn begins, in the schedule's zone: 2026-11-23T09:00
    #[arg(long)]
    start: String,
    /// From when on there is nobody
    #[arg(long)]
    end: Option<String>,
    /// When it is active, such as 'mon-fri 09:00-18:00'; may be given several times
    #[arg(long)]
    active: Vec<String>,
    /// Turns in which it is never active do not count, so that everybody has as many
    #[arg(long)]
    skip_idle_turns: bool,
    /// From when a change holds: from the first hand-over at this time or after it [default: the next one]; whoever is on duty stays until then
    #[arg(long)]
    from: Option<String>,
    /// Say who would be on duty instead of whom, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
pub(super) struct CalendarArgs {
    /// The schedule's name
    schedule: String,
    /// Where the calendar is (https, http, webcal); `-` reads it from standard input, so that it stays out of the shell's history.
    /// Without it the address stays as it is
    address: Option<String>,
    /// How often it is asked, 5 to 1440 [default: 15]
    #[arg(long)]
    every_minutes: Option<i32>,
    /// The layer that holds what it says; what that had before is replaced [default: calendar]
    #[arg(long)]
    layer: Option<String>,
    /// Ask the calendar now, say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl std::fmt::Debug for CalendarArgs {
    /// The address is often a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalendarArgs").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// They are on duty too
    Add,
    /// They are not on duty
    Remove,
    /// They take over
    Replace,
}

#[derive(Debug, Args)]
pub(super) struct OverrideArgs {
    /// The schedule's name
    schedule: String,
    /// What changes
    #[arg(value_enum)]
    action: Action,
    /// Who
    person: String,
    /// From whom they take over; else from everybody
    #[arg(long)]
    instead_of: Option<String>,
    /// From when; a time without a zone is one of the schedule's
    #[arg(long)]
    from: String,
    /// Until when
    #[arg(long)]
    to: String,
    /// Why
    #[arg(long, default_value = "")]
    note: String,
    /// Say who would be on duty instead of whom, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct HolidaysArgs {
    /// The schedule's name
    schedule: String,
    /// What people call them
    #[arg(long, default_value = "holidays")]
    name: String,
    /// Who takes turns, a day each, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    people: Vec<String>,
    /// The days, separated by commas: 2026-12-25,2026-12-26
    #[arg(long, value_delimiter = ',', required_unless_present = "file")]
    days: Vec<String>,
    /// A file with a day at the beginning of each line
    #[arg(long, conflicts_with = "days")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct TemporaryArgs {
    /// The schedule's name
    schedule: String,
    /// What people call it
    #[arg(long)]
    name: String,
    /// Who takes turns, in order, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    people: Vec<String>,
    /// From when; a time without a zone is one of the schedule's
    #[arg(long)]
    from: String,
    /// Until when
    #[arg(long)]
    to: String,
    /// How long a turn is, when there are several people
    #[arg(long)]
    every: Option<String>,
    /// When it is active; may be given several times
    #[arg(long)]
    active: Vec<String>,
    /// Say who would be on duty instead of whom, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(command: ChangeCommand, store: &Store, config: &Config, now: DateTime<Utc>) -> anyhow::Result<()> {
    match command {
        ChangeCommand::SetTeam { name, members } => {
            let form = TeamForm { name, members, version: None };
            // The connection is given back before another one is asked for.
            let is_there = store.read().await?.db().roster().await?.find_team(&form.name).is_some();
            match is_there {
                true => {
                    store.carry_out(now, Doer::CommandLine, async |work| teams::change(work, &form.name, &form).await).await?
                }
                false => store.carry_out(now, Doer::CommandLine, async |work| teams::add(work, &form).await).await?,
            };
            println!("{} has {} members", form.name.trim(), form.members.len());
        }
        ChangeCommand::RemoveTeam { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| teams::remove(work, &name, &Expected::Anything).await).await?;
            println!("{name} is gone");
        }
        ChangeCommand::AddSchedule { name, zone, team, gaps_allowed } => {
            let form = ScheduleForm { name, zone, team, gaps_allowed, ..ScheduleForm::default() };
            store.carry_out(now, Doer::CommandLine, async |work| schedules::add(work, &form).await).await?;
            println!("{0} is there; give it people: autocall roster set-rotation {0} --people …", form.name.trim());
        }
        ChangeCommand::RemoveSchedule { name } => {
            store
                .carry_out(now, Doer::CommandLine, async |work| schedules::remove(work, &name, &Expected::Anything).await)
                .await?;
            println!("{name} is out of use");
        }
        ChangeCommand::SetRotation(own) => {
            let RotationArgs { schedule, name, people, every, start, end, active, skip_idle_turns, from, dry_run } = own;
            let form = LayerForm { name, people, every, start, end, active, skip_idle_turns, from, shifts: Vec::new() };
            let set = async |work: &mut Work| schedules::set_layer(work, &schedule, &form, None).await;
            if dry_run {
                return rehearse(store, now, set).await;
            }
            store.carry_out(now, Doer::CommandLine, set).await?;
            println!("{schedule} has the rotation {}", form.name.trim());
            let roster = store.read().await?.db().roster().await?;
            print_now_and_next(&roster, find_schedule(&roster, &schedule)?, now);
        }
        ChangeCommand::RemoveLayer { schedule, name, dry_run } => {
            let remove = async |work: &mut Work| schedules::remove_layer(work, &schedule, &name, None).await;
            if dry_run {
                return rehearse(store, now, remove).await;
            }
            store.carry_out(now, Doer::CommandLine, remove).await?;
            println!("{schedule} has no layer {name} any more");
        }
        ChangeCommand::Import { schedule, file, layer, dry_run, encoding } => {
            let form = form_of(&file)?;
            let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let file = import::File { form, bytes, encoding, region: config.default_region };
            let read = import::begin(store, &schedule, &layer, file, &Expected::Anything, now).await?;
            let finish = async |work: &mut Work| import::finish(work, read).await;
            if dry_run {
                let (plans, done) = preview::rehearse(store, now, Doer::CommandLine, finish).await?;
                tell_imported("would import", &schedule, &layer, &done);
                print_preview(&plans.compared().await?);
                return Ok(());
            }
            let done = store.carry_out(now, Doer::CommandLine, finish).await?;
            tell_imported("imported", &schedule, &layer, &done);
        }
        ChangeCommand::SetCalendar(own) => set_calendar(own, store, config, now).await?,
        ChangeCommand::RefreshCalendar { schedule } => {
            store.carry_out(now, Doer::CommandLine, async |work| source::ask_now(work, &schedule).await).await?;
            println!("the running server reads it within seconds; `autocall roster calendars` shows what came of it");
        }
        ChangeCommand::RemoveCalendar { schedule } => {
            store
                .carry_out(now, Doer::CommandLine, async |work| source::remove(work, &schedule, BY, &Expected::Anything).await)
                .await?;
            println!("{schedule} follows no calendar any more; the shifts that came from it stay until their layer is removed");
        }
        ChangeCommand::Override(own) => {
            let action = match own.action {
                Action::Add => "add",
                Action::Remove => "remove",
                Action::Replace => "replace",
            };
            let OverrideArgs { schedule, person, instead_of, from, to, note, dry_run, .. } = own;
            let form = OverrideForm { action: action.to_owned(), person, instead_of, from, to, note };
            let add = async |work: &mut Work| exceptions::add_override(work, &schedule, &form, BY, &Expected::Anything).await;
            if dry_run {
                return rehearse(store, now, add).await;
            }
            let id = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("override {id} holds");
        }
        ChangeCommand::RemoveOverride { schedule, id, dry_run } => {
            let own = read_id(&id)?;
            let remove = async |work: &mut Work| exceptions::remove_override(work, &schedule, own, &Expected::Anything).await;
            if dry_run {
                return rehearse(store, now, remove).await;
            }
            store.carry_out(now, Doer::CommandLine, remove).await?;
            println!("it does not hold any more");
        }
        ChangeCommand::Temporary(own) => {
            let TemporaryArgs { schedule, name, people, from, to, every, active, dry_run } = own;
            let form = TemporaryForm { name, from, to, people, every, start: None, active };
            let add = async |work: &mut Work| exceptions::add_temporary(work, &schedule, &form, BY, &Expected::Anything).await;
            if dry_run {
                return rehearse(store, now, add).await;
            }
            let id = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("temporary schedule {id} holds");
        }
        ChangeCommand::Holidays(own) => {
            let HolidaysArgs { schedule, name, people, mut days, file } = own;
            if let Some(file) = file {
                let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
                let first = |line: &str| line.split([',', ';', '\t', ' ']).next().unwrap_or_default().trim().to_owned();
                days = text.lines().map(first).filter(|day| !day.is_empty() && !day.starts_with('#')).collect();
            }
            let ids = store
                .carry_out(now, Doer::CommandLine, async |work| {
                    exceptions::add_holidays(work, &schedule, &HolidaysForm { name, days, people }, BY, &Expected::Anything).await
                })
                .await?;
            println!("{} days hold; `autocall roster show {schedule}` prints them", ids.len());
        }
        ChangeCommand::RemoveTemporary { schedule, id } => {
            let own = read_id(&id)?;
            store
                .carry_out(now, Doer::CommandLine, async |work| {
                    exceptions::remove_temporary(work, &schedule, own, &Expected::Anything).await
                })
                .await?;
            println!("it does not hold any more");
        }
        ChangeCommand::Vacation { person, from, to, zone, note, dry_run } => {
            let form = VacationForm { person, from, to, zone: Some(zone), note };
            let add = async |work: &mut Work| exceptions::add_vacation(work, &form, BY).await;
            if dry_run {
                return rehearse(store, now, add).await;
            }
            let id = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("vacation {id} holds");
        }
        ChangeCommand::RemoveVacation { id } => {
            let own = read_id(&id)?;
            store.carry_out(now, Doer::CommandLine, async |work| exceptions::remove_vacation(work, own).await).await?;
            println!("it does not hold any more");
        }
        ChangeCommand::AddFeed { schedule, person } => {
            let subject = match (&schedule, &person) {
                (Some(schedule), _) => Subject::Schedule(schedule),
                (None, Some(person)) => Subject::Person(person),
                (None, None) => bail!("name a schedule or a person"),
            };
            let (id, path) = store.carry_out(now, Doer::CommandLine, async |work| feeds::add(work, subject, BY).await).await?;
            println!("feed {id}, shown only once: {path}");
        }
        ChangeCommand::RevokeFeed { id } => {
            let own = read_id(&id)?;
            store.carry_out(now, Doer::CommandLine, async |work| feeds::revoke(work, own).await).await?;
            println!("it works no more");
        }
        command @ (ChangeCommand::Vacations | ChangeCommand::Feeds | ChangeCommand::Calendars) => print(command, store).await?,
    }
    Ok(())
}

/// Says what a change would do, and leaves everything as it is.
pub(super) async fn rehearse<T>(
    store: &Store,
    now: DateTime<Utc>,
    act: impl AsyncFnOnce(&mut Work) -> Result<T, RosterError>,
) -> anyhow::Result<()> {
    let (plans, _) = preview::rehearse(store, now, Doer::CommandLine, act).await?;
    print_preview(&plans.compared().await?);
    Ok(())
}

/// What an import did, or would do.
fn tell_imported(verb: &str, schedule: &str, layer: &str, done: &import::Imported) {
    for line in &done.notes {
        println!("note: {line}");
    }
    for line in &done.skipped {
        println!("passed over: {line}");
    }
    let import::Imported { shifts, added, removed, .. } = done;
    println!(
        "{verb} {shifts} shifts into {schedule}, layer {layer}: {added} new, {removed} removed, {} unchanged",
        shifts - added
    );
}

async fn set_calendar(own: CalendarArgs, store: &Store, config: &Config, now: DateTime<Utc>) -> anyhow::Result<()> {
    let CalendarArgs { schedule, address, every_minutes, layer, dry_run } = own;
    let url = match address.as_deref() {
        Some("-") => Some(std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?.trim().to_owned()),
        _ => address,
    };
    let form = SourceForm { url, every_minutes, layer };
    let guard = GuardedResolver::for_calendars(&config.roster.allow_networks);
    if dry_run {
        let (row, done) = calendars::rehearse(store, config, &schedule, &form, now).await?;
        tell_imported("would import", &schedule, &row.layer, &done);
        return Ok(());
    }
    store
        .carry_out(now, Doer::CommandLine, async |work| {
            source::set(work, &guard, &schedule, &form, BY, &Expected::Anything).await
        })
        .await?;
    println!("{schedule} follows the calendar; the running server reads it within seconds: autocall roster calendars");
    Ok(())
}

async fn print(command: ChangeCommand, store: &Store) -> anyhow::Result<()> {
    let mut reader = store.read().await?;
    let roster = reader.db().roster().await?;
    if matches!(command, ChangeCommand::Vacations) {
        for own in reader.db().vacations().await? {
            println!("{}\t{}\t{}\t{}\t{}", own.id, roster.name(own.person_id), own.starts_at, own.ends_at, own.note);
        }
        return Ok(());
    }
    if matches!(command, ChangeCommand::Calendars) {
        for own in reader.db().sources().await? {
            if let Some(schedule) = roster.schedule(own.schedule_id) {
                println!("{}\t{}", schedule.name, standing(&own, schedule.zone));
            }
        }
        return Ok(());
    }
    for own in reader.db().feeds().await? {
        let schedule = own.schedule_id.and_then(|id| roster.schedule(id)).map(|own| format!("schedule {}", own.name));
        let person = own.person_id.map(|id| format!("person {}", roster.name(id)));
        println!("{}\t{}\t{}\t{}", own.id, schedule.or(person).unwrap_or_default(), own.created_at, own.created_by);
    }
    Ok(())
}

fn form_of(file: &Path) -> anyhow::Result<import::Form> {
    match file.extension().and_then(|own| own.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("csv" | "tsv") => Ok(import::Form::Csv),
        Some("ics" | "ical") => Ok(import::Form::Ical),
        _ => bail!("{}: the name must end in .csv or .ics", file.display()),
    }
}

fn read_id<T: std::str::FromStr>(text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|_| anyhow::anyhow!("{text:?} is no id: `autocall roster show` and the other lists print them"))
}
