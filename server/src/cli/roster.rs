//! `autocall roster`: who is on duty, what is planned, what is wrong with it; changes are in [`super::roster_change`].

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use clap::{Subcommand, ValueEnum};

use super::roster_change::{self, ChangeCommand};
use super::roster_words::{in_words, next, or_nobody, standing};
use super::{agreed_clock, open};
use crate::config::Config;
use crate::keep::roster::forms::LayerForm;
use crate::keep::roster::{find_schedule, find_team};
use crate::roster::check::{Finding, check};
use crate::roster::feed::{self, Whose};
use crate::roster::{On, Roster, Schedule, Shift, Target, csv, evaluate, text};
use crate::store::Store;
use crate::store::duty::sources::SourceRow;

#[derive(Debug, Subcommand)]
pub(super) enum RosterCommand {
    /// Print all teams and schedules, and who is on duty
    List,
    /// Print a schedule's rules and its coming shifts
    Show {
        /// The schedule's name
        schedule: String,
        /// How many days of shifts
        #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(i64).range(1..=731))]
        days: i64,
    },
    /// Print who is on duty, why, and until when; for a past instant, who was
    OnDuty {
        /// By this schedule only
        #[arg(long, conflicts_with = "team")]
        schedule: Option<String>,
        /// For this team only
        #[arg(long)]
        team: Option<String>,
        /// At this instant [default: now]; a time without a zone is one of the schedule's
        #[arg(long)]
        at: Option<String>,
    },
    /// Look for gaps, people without a number or without any shift, overlaps, and calendars that cannot be read; exits with 1 when there are any
    Check {
        /// How many days ahead
        #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(i64).range(1..=366))]
        days: i64,
        /// Several people on duty at once are no mistake
        #[arg(long)]
        allow_overlaps: bool,
    },
    /// Print the hand-overs of a schedule as they happened
    Log {
        /// The schedule's name
        schedule: String,
        /// How many days back
        #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(i64).range(1..=3660))]
        days: i64,
    },
    /// Print a schedule's shifts for a spreadsheet or a calendar
    Export {
        /// The schedule's name
        schedule: String,
        /// In which form
        #[arg(long, value_enum, default_value_t = ExportForm::Csv)]
        form: ExportForm,
        /// How many days of shifts, in CSV
        #[arg(long, default_value_t = 92, value_parser = clap::value_parser!(i64).range(1..=731))]
        days: i64,
    },
    #[command(flatten)]
    Change(ChangeCommand),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ExportForm {
    /// Columns start, end, person
    Csv,
    /// iCalendar
    Ics,
}

pub(super) async fn run(command: RosterCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    let done = match command {
        RosterCommand::Change(command) => roster_change::run(command, &store, config, now).await,
        command => look(command, &store, now).await,
    };
    store.close().await;
    done
}

async fn look(command: RosterCommand, store: &Store, now: DateTime<Utc>) -> anyhow::Result<()> {
    let roster = store.read().await?.db().roster().await?;
    match command {
        RosterCommand::List => list(&roster, now),
        RosterCommand::Show { schedule, days } => {
            let own = find_schedule(&roster, &schedule)?;
            let source = store.read().await?.db().source_of(own.id).await?;
            show(&roster, own, source.as_ref(), now, days);
        }
        RosterCommand::OnDuty { schedule, team, at } => {
            return on_duty(store, &roster, schedule.as_deref(), team.as_deref(), at.as_deref(), now).await;
        }
        RosterCommand::Check { days, allow_overlaps } => {
            let sources = store.read().await?.db().sources().await?;
            return report(&roster, &sources, now, days, allow_overlaps);
        }
        RosterCommand::Log { schedule, days } => {
            let schedule = find_schedule(&roster, &schedule)?;
            let until = now + TimeDelta::seconds(1);
            for row in store.read().await?.db().duties(schedule.id, now - TimeDelta::days(days), until, 2000).await? {
                let people = row.people.0.iter().map(|own| format!("{} ({} {})", own.name, own.reason, own.of)).collect();
                println!("{}\t{}", text::shown(schedule.zone, row.at), or_nobody(people));
            }
        }
        RosterCommand::Export { schedule, form, days } => {
            let schedule = find_schedule(&roster, &schedule)?;
            match form {
                ExportForm::Csv => {
                    let shifts = evaluate::shifts(schedule, &roster.absences, now, now + TimeDelta::days(days));
                    print!("{}", csv::write(&roster, schedule.zone, &shifts)?);
                }
                ExportForm::Ics => print!("{}", feed::write(&roster, Whose::Schedule(schedule), now)),
            }
        }
        RosterCommand::Change(_) => {}
    }
    Ok(())
}

fn why(roster: &Roster, schedule: &Schedule, on: &On) -> String {
    let (kind, of) = schedule.origin(&on.reason);
    format!("{} ({})", roster.name(on.person), format!("{kind} {of}").trim())
}

fn list(roster: &Roster, now: DateTime<Utc>) {
    if roster.schedules.is_empty() && roster.teams.is_empty() {
        println!("no schedule yet: autocall roster add-schedule ops --zone Europe/Berlin");
    }
    for team in &roster.teams {
        let members = team.members.iter().map(|person| roster.name(*person)).collect();
        println!("team\t{}\t{}", team.name, or_nobody(members));
    }
    for schedule in &roster.schedules {
        let team = roster.teams.iter().find(|team| Some(team.id) == schedule.team).map_or("", |team| team.name.as_str());
        let names = evaluate::who(schedule, &roster.absences, now).iter().map(|on| roster.name(on.person)).collect();
        println!("schedule\t{}\t{}\t{team}\t{}", schedule.name, schedule.zone, or_nobody(names));
    }
}

fn show(roster: &Roster, schedule: &Schedule, source: Option<&SourceRow>, now: DateTime<Utc>, days: i64) {
    let zone = schedule.zone;
    println!("{} in {zone}, version {}", schedule.name, schedule.version);
    if let Some(own) = source {
        println!("calendar\t{}", standing(own, zone));
        let reading = own.reading.iter().flat_map(|reading| &reading.skipped);
        for line in reading {
            println!("passed over: {line}");
        }
    }
    for own in &schedule.temporaries {
        println!("temporary\t{}\t{}\t{}\t{}", own.id, text::shown(zone, own.from), text::shown(zone, own.to), own.name);
    }
    for own in &schedule.overrides {
        let change = in_words(roster, own.change);
        println!("override\t{}\t{}\t{}\t{change}\t{}", own.id, text::shown(zone, own.from), text::shown(zone, own.to), own.note);
    }
    for layer in &schedule.layers {
        let form = LayerForm::of(roster, &layer.name, &layer.rule);
        let rule = match form.shifts.len() {
            0 => format!("{}\tevery {} from {}\t{}", form.people.join(", "), form.every, form.start, form.active.join("; ")),
            count => format!("{count} shifts"),
        };
        println!("layer\t{}\t{rule}", layer.name);
    }
    for shift in evaluate::shifts(schedule, &roster.absences, now, now + TimeDelta::days(days)) {
        println!("{}", line(roster, schedule, &shift));
    }
}

fn line(roster: &Roster, schedule: &Schedule, shift: &Shift) -> String {
    let people = shift.on.iter().map(|on| why(roster, schedule, on)).collect();
    let (from, to) = (text::shown(schedule.zone, shift.from), text::shown(schedule.zone, shift.to));
    format!("{from}\t{to}\t{}", or_nobody(people))
}

async fn on_duty(
    store: &Store,
    roster: &Roster,
    schedule: Option<&str>,
    team: Option<&str>,
    at: Option<&str>,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let one = schedule.map(|text| find_schedule(roster, text)).transpose()?;
    let at = at.map(|at| text::instant(at, one.map_or(Tz::UTC, |one| one.zone))).transpose()?.unwrap_or(now);
    let mut schedules: Vec<&Schedule> = one.map_or_else(|| roster.schedules.iter().collect(), |one| vec![one]);
    if let Some(team) = team.map(|text| find_team(roster, text)).transpose()? {
        schedules.retain(|schedule| schedule.team == Some(team.id));
        if schedules.is_empty() {
            let members = roster.on_duty(Target::Team(team.id), at);
            println!("{}\t{}", team.name, or_nobody(members.iter().map(|on| roster.name(on.person)).collect()));
        }
    }
    for schedule in schedules {
        // What has been is told as it was, whatever was edited since.
        let logged = match at < now {
            true => store.read().await?.db().duty_at(schedule.id, at).await?,
            false => None,
        };
        if let Some(row) = logged {
            let people = row.people.0.iter().map(|own| format!("{} ({} {})", own.name, own.reason, own.of)).collect();
            println!("{}\t{}\tsince {}", schedule.name, or_nobody(people), text::shown(schedule.zone, row.at));
            continue;
        }
        let on = evaluate::on_duty(schedule, &roster.absences, at);
        if on.is_empty() {
            println!("{}\tnobody{}", schedule.name, next(roster, schedule, at));
        }
        let next = next(roster, schedule, at);
        for on in on {
            let who = why(roster, schedule, &On { person: on.person, reason: on.reason });
            println!("{}\t{who}\t{}{next}", schedule.name, until(schedule.zone, on.until));
        }
    }
    Ok(())
}

fn until(zone: Tz, until: Option<DateTime<Utc>>) -> String {
    until.map_or_else(|| "without an end in sight".to_owned(), |until| format!("until {}", text::shown(zone, until)))
}

fn report(roster: &Roster, sources: &[SourceRow], now: DateTime<Utc>, days: i64, allow_overlaps: bool) -> anyhow::Result<()> {
    let findings = check(roster, now, now + TimeDelta::days(days));
    let mut wrong = 0;
    for (own, (since, trouble)) in sources.iter().filter_map(|own| Some((own, own.wrong()?))) {
        if let Some(schedule) = roster.schedule(own.schedule_id) {
            let since = text::shown(schedule.zone, since);
            println!("calendar\t{}\tsince {since}\tits calendar cannot be read: {trouble}", schedule.name);
            wrong += 1;
        }
    }
    for finding in &findings {
        println!("{}", sentence(roster, finding));
    }
    match wrong + findings.iter().filter(|finding| !(allow_overlaps && finding.is_overlap())).count() {
        0 => {
            println!("nothing is wrong in the coming {days} days");
            Ok(())
        }
        count => bail!("the roster needs a hand: {count} of the lines above"),
    }
}

fn sentence(roster: &Roster, finding: &Finding) -> String {
    let schedule = |id| roster.schedule(id).map_or("", |own| own.name.as_str());
    let team = |id| roster.teams.iter().find(|own| own.id == id).map_or("", |own| own.name.as_str());
    let zone = |id| roster.schedule(id).map_or(Tz::UTC, |own| own.zone);
    let times = |zone, from, to| format!("{} to {}", text::shown(zone, from), text::shown(zone, to));
    match finding {
        Finding::Gap { schedule: id, from, to } => {
            format!("gap\t{}\t{}\tnobody is on duty", schedule(*id), times(zone(*id), *from, *to))
        }
        Finding::TeamGap { team: id, from, to } => {
            format!("gap\tteam {}\t{}\tnobody is on duty", team(*id), times(Tz::UTC, *from, *to))
        }
        Finding::UnreachableMember { person, team: id, from } => {
            let (from, name) = (text::shown(Tz::UTC, *from), roster.name(*person));
            format!("unreachable\tteam {}\t{from}\t{name} is called with the team and has no number", team(*id))
        }
        Finding::Unreachable { person, schedule: id, from } => {
            let (from, name) = (text::shown(zone(*id), *from), roster.name(*person));
            format!("unreachable\t{}\t{from}\t{name} is on duty and has no number", schedule(*id))
        }
        Finding::Never { person, schedule: id, from } => {
            let (from, name) = (text::shown(zone(*id), *from), roster.name(*person));
            format!(
                "never\t{}\t{from}\t{name} is in a rotation and never has a shift: set it with --skip-idle-turns, or change its hours",
                schedule(*id)
            )
        }
        Finding::Several { schedule: id, from, to, people } => {
            let names: Vec<String> = people.iter().map(|person| roster.name(*person)).collect();
            format!("overlap\t{}\t{}\t{} are on duty together", schedule(*id), times(zone(*id), *from, *to), names.join(", "))
        }
        Finding::Twice { person, schedules: [one, other], from, to } => {
            let (one, other, name) = (schedule(*one), schedule(*other), roster.name(*person));
            format!("overlap\t{one}, {other}\t{}\t{name} is on duty by both", times(Tz::UTC, *from, *to))
        }
    }
}
