//! *Duty*: all schedules and who is on duty, teams, vacations, and who is on duty at any instant.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::schedule::source_trouble;
use crate::app::App;
use crate::costly;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::page::{Frame, Reader, Refusal, go_to, html};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::{ScheduleId, TeamId, VacationId};
use crate::keep::roster::forms::{ScheduleForm, TeamForm, VacationForm};
use crate::keep::roster::{RosterError, exceptions, schedules, teams};
use crate::kinds::guard::AddressError;
use crate::roster::check::{Finding, check};
use crate::roster::{OnDuty, Reason, Roster, Schedule, evaluate, text, wall};
use crate::versions::Expected;

/// How far ahead the page looks for gaps.
const LOOK_AHEAD: TimeDelta = TimeDelta::days(28);
/// At most so many of them are told for one schedule.
const MOST_FINDINGS: usize = 5;

/// One schedule in the list.
struct Line {
    id: ScheduleId,
    name: String,
    zone: String,
    team: String,
    on: Vec<String>,
    /// Who comes next, and when.
    next: Option<String>,
    troubles: Vec<String>,
}

struct TeamLine {
    id: TeamId,
    name: String,
    version: i32,
    members: String,
    troubles: Vec<String>,
}

struct VacationLine {
    id: VacationId,
    person: String,
    when: String,
    note: String,
}

#[derive(Template)]
#[template(path = "duty/roster.html")]
struct RosterPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    wrong: Option<String>,
    lines: Vec<Line>,
    teams: Vec<TeamLine>,
    vacations: Vec<VacationLine>,
    people: Vec<String>,
    zones: Vec<String>,
    /// The instant that was asked for, as it was typed, and its zone.
    at: String,
    zone: String,
}

/// `GET /roster`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, &query.unwrap_or_default(), None, done).await
}

/// `POST /roster/schedules`
pub(in crate::dashboard) async fn add_schedule(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let text = |name| fields.get(name).to_owned();
    let form = ScheduleForm {
        name: text("name"),
        zone: text("zone"),
        team: Some(text("team")),
        gaps_allowed: fields.get("gaps_allowed") == "yes",
        ..ScheduleForm::default()
    };
    match schedules::add(&app.engine.store, &form, app.engine.clock.now()).await {
        Ok(id) => Ok(go_to(&format!("/roster/{id}?done=saved"))),
        Err(error) => refused(&app, &reader, error).await,
    }
}

/// `POST /roster/teams`: adds a team, or changes the one whose id the form has.
pub(in crate::dashboard) async fn set_team(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let members = lines(fields.get("members"));
    let form = TeamForm { name: fields.get("name").to_owned(), members, version: fields.get("version").parse().ok() };
    let now = app.engine.clock.now();
    let saved = match fields.get("team") {
        "" => teams::add(&app.engine.store, &form, now).await,
        team => teams::change(&app.engine.store, team, &form, now).await,
    };
    finish(&app, &reader, saved.map(|_| "saved")).await
}

/// `POST /roster/teams/{team}/remove`
pub(in crate::dashboard) async fn remove_team(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(team): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let removed =
        teams::remove(&app.engine.store, &team, &Expected::in_form(fields.get("version")), app.engine.clock.now()).await;
    finish(&app, &reader, removed.map(|()| "removed")).await
}

/// `POST /roster/vacations`
pub(in crate::dashboard) async fn add_vacation(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let text = |name| fields.get(name).to_owned();
    let zone = Some(text("zone"));
    let form = VacationForm { person: text("person"), from: text("from"), to: text("to"), zone, note: text("note") };
    let made = exceptions::add_vacation(&app.engine.store, &form, maker(&reader), app.engine.clock.now()).await;
    finish(&app, &reader, made.map(|_| "saved")).await
}

/// `POST /roster/vacations/{id}/remove`
pub(in crate::dashboard) async fn remove_vacation(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    let removed = exceptions::remove_vacation(&app.engine.store, id, app.engine.clock.now()).await;
    finish(&app, &reader, removed.map(|()| "removed")).await
}

async fn finish(app: &App, reader: &Reader, done: Result<&str, RosterError>) -> Result<Response, Refusal> {
    match done {
        Ok(done) => Ok(go_to(&format!("/roster?done={done}"))),
        Err(error) => refused(app, reader, error).await,
    }
}

async fn refused(app: &App, reader: &Reader, error: RosterError) -> Result<Response, Refusal> {
    let wrong = sentence(reader.words, error)?;
    page(app, reader, StatusCode::UNPROCESSABLE_ENTITY, "", Some(wrong), None).await
}

/// Names, one on each line.
pub(in crate::dashboard) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Who makes an entry.
pub(in crate::dashboard) fn maker(reader: &Reader) -> &str {
    reader.visitor.as_ref().map_or("", |visitor| visitor.known_as())
}

/// What is wrong with a form, in the reader's language.
pub(in crate::dashboard) fn sentence(words: &Words, error: RosterError) -> Result<String, Refusal> {
    Ok(match &error {
        RosterError::BadName | RosterError::BadLayer => words.roster_bad_name.clone(),
        RosterError::NameTaken(name) => fill_text(&words.person_name_taken, &[("name", name)]),
        RosterError::NoPerson(name) => fill_text(&words.roster_no_person, &[("name", name)]),
        RosterError::NoTeam(name) => fill_text(&words.roster_no_team, &[("name", name)]),
        RosterError::Text { source, .. } => match source {
            text::TextError::Every(own) => fill_text(&words.roster_bad_every, &[("text", own)]),
            text::TextError::Window(own) => fill_text(&words.roster_bad_window, &[("text", own)]),
            text::TextError::Time(own) => fill_text(&words.roster_bad_time, &[("text", own)]),
            text::TextError::Zone(own) => fill_text(&words.roster_bad_zone, &[("text", own)]),
        },
        RosterError::EndsFirst => words.roster_ends_first.clone(),
        RosterError::BadNote => words.roster_bad_note.clone(),
        RosterError::BadRotation => words.roster_bad_rotation.clone(),
        RosterError::BadAction => words.roster_bad_action.clone(),
        RosterError::Followed(line) => fill_text(&words.roster_followed, &[("line", line)]),
        RosterError::Meanwhile | RosterError::Stale { .. } => words.roster_stale.clone(),
        RosterError::BadAddress(AddressError::Bad) => words.source_bad_url.clone(),
        RosterError::BadAddress(AddressError::Inside { allowed_by }) => fill_text(&words.source_inside, &[("key", allowed_by)]),
        RosterError::NoAddress => words.source_no_url.clone(),
        RosterError::BadInterval => words.source_bad_every.clone(),
        RosterError::StaleSource => words.roster_stale.clone(),
        RosterError::BadDays | RosterError::Import(_) | RosterError::Costly(_) => return Err(Refusal::Garbled),
        RosterError::NoSchedule(_) | RosterError::NoEntry | RosterError::NoSource => return Err(Refusal::NotFound),
        RosterError::Store(_) => return Err(Refusal::Away),
    })
}

/// A wall time for people: weekday, day and time.
pub(in crate::dashboard) fn shown(words: &Words, zone: Tz, at: DateTime<Utc>) -> String {
    use chrono::Datelike;
    let local = wall::local(zone, at);
    let day = usize::try_from(local.weekday().num_days_from_monday()).unwrap_or(0);
    let day = words.weekdays.split(',').nth(day).unwrap_or_default();
    format!("{day} {}", local.format("%Y-%m-%d %H:%M"))
}

/// "Ann · weekly · until Mon 2026-11-30 09:00".
pub(in crate::dashboard) fn on_words(words: &Words, roster: &Roster, schedule: &Schedule, on: &OnDuty) -> String {
    let mut pieces = vec![roster.name(on.person), reason_words(words, roster, schedule, &on.reason)];
    if let Some(until) = on.until {
        pieces.push(fill_text(
            &words.roster_until,
            &[("at", &format!("{} {}", shown(words, schedule.zone, until), schedule.zone.name()))],
        ));
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces.join(" · ")
}

/// Everybody on duty by a schedule at an instant.
pub(in crate::dashboard) fn on_duty_words(words: &Words, roster: &Roster, schedule: &Schedule, at: DateTime<Utc>) -> Vec<String> {
    evaluate::on_duty(schedule, &roster.absences, at).iter().map(|on| on_words(words, roster, schedule, on)).collect()
}

/// Who comes after whoever is on duty at an instant, and when.
pub(in crate::dashboard) fn next_words(words: &Words, roster: &Roster, schedule: &Schedule, at: DateTime<Utc>) -> Option<String> {
    let (when, people) = evaluate::next_people(schedule, &roster.absences, at)?;
    let names: Vec<String> = people.iter().map(|person| roster.name(*person)).collect();
    let names = if names.is_empty() { words.roster_nobody.clone() } else { names.join(&words.list_comma) };
    Some(fill_text(&words.roster_next, &[("at", &shown(words, schedule.zone, when)), ("names", &names)]))
}

/// Why somebody is on duty.
pub(in crate::dashboard) fn reason_words(words: &Words, roster: &Roster, schedule: &Schedule, reason: &Reason) -> String {
    let (_, of) = schedule.origin(reason);
    let instead = |person: &Option<_>| person.map(|own| fill_text(&words.roster_instead_of, &[("name", &roster.name(own))]));
    let (kind, instead) = match reason {
        Reason::Temporary { covers, .. } => (Some(&words.roster_temporary), instead(covers)),
        Reason::Override { replaces, .. } => (Some(&words.roster_override), instead(replaces)),
        Reason::Layer { covers, .. } => (None, instead(covers)),
        Reason::Member => (None, None),
    };
    let pieces = [kind.cloned(), Some(of).filter(|of| !of.is_empty()), instead];
    pieces.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// What is wrong with a schedule in the coming weeks.
pub(in crate::dashboard) fn troubles(words: &Words, roster: &Roster, schedule: &Schedule, findings: &[Finding]) -> Vec<String> {
    let own = findings.iter().filter(|finding| finding.concerns(schedule)).take(MOST_FINDINGS);
    own.map(|finding| finding_words(words, roster, schedule.zone, finding)).collect()
}

fn finding_words(words: &Words, roster: &Roster, zone: Tz, finding: &Finding) -> String {
    let shown = |at: &DateTime<Utc>| shown(words, zone, *at);
    let times = |from: &DateTime<Utc>, to: &DateTime<Utc>| [("from", shown(from)), ("to", shown(to))];
    let fill = |sentence: &str, names: String, times: &[(&str, String)]| {
        let mut bits: Vec<(&str, &str)> = times.iter().map(|(name, text)| (*name, text.as_str())).collect();
        bits.push(("names", names.as_str()));
        fill_text(sentence, &bits)
    };
    match finding {
        Finding::Gap { from, to, .. } | Finding::TeamGap { from, to, .. } => {
            fill(&words.roster_found_gap, String::new(), &times(from, to))
        }
        Finding::Unreachable { person, from, .. } | Finding::UnreachableMember { person, from, .. } => {
            fill(&words.roster_found_unreachable, roster.name(*person), &[("from", shown(from))])
        }
        Finding::Never { person, .. } => fill(&words.roster_found_never, roster.name(*person), &[]),
        Finding::Several { from, to, people, .. } => {
            let names: Vec<String> = people.iter().map(|person| roster.name(*person)).collect();
            fill(&words.roster_found_several, names.join(&words.list_comma), &times(from, to))
        }
        Finding::Twice { person, from, to, .. } => fill(&words.roster_found_twice, roster.name(*person), &times(from, to)),
    }
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    query: &str,
    wrong: Option<String>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let mut store = app.engine.store.read().await?;
    let roster = Arc::new(store.db().roster().await?);
    let now = app.engine.clock.now();
    let asked = |name: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let mut zones: Vec<String> = roster.schedules.iter().map(|schedule| schedule.zone.name().to_owned()).collect();
    zones.push("UTC".to_owned());
    zones.dedup();
    let (typed, zone) = (asked("at"), text::zone(&asked("zone")).or_else(|_| text::zone(&zones[0])).unwrap_or(Tz::UTC));
    let at = text::instant(&typed, zone).unwrap_or(now);
    let plan = Arc::clone(&roster);
    let looked = costly::run(move |_| {
        let on = |schedule| (on_duty_words(words, &plan, schedule, at), next_words(words, &plan, schedule, at));
        (check(&plan, now, now + LOOK_AHEAD), plan.schedules.iter().map(on).collect::<Vec<_>>())
    });
    let (findings, planned) = looked.await?;
    let sources = store.db().sources().await?;
    let mut lines = Vec::new();
    for (schedule, (planned, next)) in roster.schedules.iter().zip(planned) {
        let on = match at < now {
            true => store.db().duty_at(schedule.id, at).await?.map(|row| row.people.0.into_iter().map(|own| own.name).collect()),
            false => None,
        };
        let source = sources.iter().find(|row| row.schedule_id == schedule.id);
        let broken = source.and_then(|row| source_trouble(reader, schedule.zone, row));
        lines.push(Line {
            id: schedule.id,
            name: schedule.name.clone(),
            zone: schedule.zone.name().to_owned(),
            team: team_name(&roster, schedule),
            on: on.unwrap_or(planned),
            next: next.filter(|_| at >= now),
            troubles: broken.into_iter().chain(troubles(words, &roster, schedule, &findings)).collect(),
        });
    }
    let vacations = store.db().vacations().await?.into_iter().filter(|own| own.ends_at > now);
    let vacation = |own: crate::store::duty::exceptions::VacationRow| VacationLine {
        id: own.id,
        person: roster.name(own.person_id),
        when: format!("{} – {} {}", shown(words, zone, own.starts_at), shown(words, zone, own.ends_at), zone.name()),
        note: own.note,
    };
    // What concerns the team's schedules stands with these.
    let of_team = |team: TeamId| {
        let own = findings.iter().filter(|finding| {
            let theirs = matches!(finding, Finding::TeamGap { team: own, .. } | Finding::UnreachableMember { team: own, .. } if *own == team);
            theirs && !roster.schedules.iter().any(|schedule| finding.concerns(schedule))
        });
        own.map(|finding| finding_words(words, &roster, zone, finding)).collect()
    };
    let team = |team: &crate::roster::Team| TeamLine {
        troubles: of_team(team.id),
        id: team.id,
        name: team.name.clone(),
        version: team.version,
        members: team.members.iter().map(|person| roster.name(*person)).collect::<Vec<_>>().join("\n"),
    };
    let page = RosterPage {
        frame: Frame::new(reader, "roster", words.nav_roster.as_str(), now),
        words,
        done,
        wrong,
        lines,
        teams: roster.teams.iter().map(team).collect(),
        vacations: vacations.map(vacation).collect(),
        people: people(&roster),
        zone: zone.name().to_owned(),
        zones,
        at: typed,
    };
    Ok(html(status, &page))
}

/// Everybody's names, for lists to choose from.
pub(in crate::dashboard) fn people(roster: &Roster) -> Vec<String> {
    let mut names: Vec<String> = roster.people.values().map(|person| person.name.clone()).collect();
    names.sort();
    names
}

/// Whose schedule it is.
pub(in crate::dashboard) fn team_name(roster: &Roster, schedule: &Schedule) -> String {
    roster.teams.iter().find(|team| Some(team.id) == schedule.team).map(|team| team.name.clone()).unwrap_or_default()
}
