//! *Duty*: all schedules and who is on duty, teams, vacations, and who is on duty at any instant.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use chrono_tz::Tz;

use super::preview::{About, LOOK, Pressed, pressed};
use super::swaps::waiting_for;
use super::words::{finding_words, maker, next_words, on_duty_words, shown, source_trouble, team_name, troubles, wrong};
use crate::app::App;
use crate::costly;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::assets;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, lines};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html, instant};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::dashboard::reach::{self, Callable};
use crate::ids::{ScheduleId, TeamId, VacationId};
use crate::keep::roster::forms::{ScheduleForm, TeamForm, VacationForm};
use crate::keep::roster::{RosterError, exceptions, schedules, teams};
use crate::roster::check::{Finding, check};
use crate::roster::{Schedule, Target, evaluate, text};
use crate::store::Work;
use crate::versions::Expected;

/// How far ahead the page looks for gaps.
const LOOK_AHEAD: TimeDelta = TimeDelta::days(28);

/// The forms of the page.
const VACATION: &str = "vacation";
const ADD_TEAM: &str = "team";
const SCHEDULE: &str = "schedule";

/// One schedule in the list, or a team that has none.
struct Line {
    /// The schedule, which has a page.
    id: Option<ScheduleId>,
    name: String,
    zone: String,
    team: String,
    on: Vec<String>,
    /// When the first of them is relieved, for the script, which tells it in the reader's zone.
    until: Option<String>,
    /// Who comes next, and when.
    next: Option<String>,
    troubles: Vec<String>,
}

struct TeamLine {
    id: TeamId,
    name: String,
    members: String,
    version: String,
    /// By which it is changed.
    form: Form,
    troubles: Vec<String>,
}

struct VacationLine {
    id: VacationId,
    person: String,
    when: String,
    note: String,
    /// The reader may take it back.
    is_theirs: bool,
}

#[derive(Template)]
#[template(path = "duty/roster.html")]
struct RosterPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    /// What is wrong with something that is no form.
    wrong: Option<String>,
    lines: Vec<Line>,
    /// It is asked of another instant than now.
    of_another_time: bool,
    /// What writes times in the reader's zone.
    script: &'static str,
    /// How many requests for swaps wait for the reader's answer, as a sentence.
    waiting: Option<String>,
    teams: Vec<TeamLine>,
    vacations: Vec<VacationLine>,
    /// By which is asked who is on duty at an instant.
    asking: [Field; 2],
    add_vacation: Form,
    add_schedule: Form,
    add_team: Form,
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
    match app.engine.carry_out(reader.doer(), async |work| schedules::add(work, &form).await).await {
        Ok(id) => Ok(go_to(&format!("/roster/{id}?done=saved"))),
        Err(error) => refused(&app, &reader, SCHEDULE, fields, error).await,
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
    let saved = match fields.get("team") {
        "" => app.engine.carry_out(reader.doer(), async |work| teams::add(work, &form).await).await,
        team => app.engine.carry_out(reader.doer(), async |work| teams::change(work, team, &form).await).await,
    };
    let form = match fields.get("team") {
        "" => ADD_TEAM.to_owned(),
        team => team_id(team),
    };
    finish(&app, &reader, &form, fields, saved.map(|_| "saved")).await
}

/// `POST /roster/teams/{team}/remove`
pub(in crate::dashboard) async fn remove_team(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(team): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let removed = app
        .engine
        .carry_out(reader.doer(), async |work| teams::remove(work, &team, &Expected::in_form(fields.get("version"))).await)
        .await;
    finish(&app, &reader, "", fields, removed.map(|()| "removed")).await
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
    let person = app.engine.store.read().await?.db().roster().await?.find_person(&form.person);
    reach::plans_for(&app, &reader, person).await?;
    let add = async |work: &mut Work| exceptions::add_vacation(work, &form, maker(&reader)).await;
    let title = &reader.words.roster_add_vacation;
    match pressed(&app, &reader, &fields, about("/roster/vacations", title), add).await {
        Ok(Pressed::Shown(page)) => Ok(page),
        Ok(Pressed::Done(_)) => finish(&app, &reader, VACATION, fields, Ok("saved")).await,
        Err(error) => finish(&app, &reader, VACATION, fields, Err(error)).await,
    }
}

/// `POST /roster/vacations/{id}/remove`
pub(in crate::dashboard) async fn remove_vacation(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id: VacationId = id.parse().map_err(|_| Refusal::NotFound)?;
    let vacations = app.engine.store.read().await?.db().vacations().await?;
    reach::plans_for(&app, &reader, vacations.iter().find(|own| own.id == id).map(|own| own.person_id)).await?;
    let remove = async |work: &mut Work| exceptions::remove_vacation(work, id).await;
    let address = format!("/roster/vacations/{id}/remove");
    match pressed(&app, &reader, &fields, about(&address, &reader.words.roster_take_back), remove).await {
        Ok(Pressed::Shown(page)) => Ok(page),
        Ok(Pressed::Done(())) => finish(&app, &reader, "", fields, Ok("removed")).await,
        Err(error) => finish(&app, &reader, "", fields, Err(error)).await,
    }
}

/// What a page says that shows what one of these forms would do. A vacation counts in every schedule.
fn about(address: &str, title: &str) -> About<'static> {
    About {
        title: title.to_owned(),
        address: address.to_owned(),
        back: "/roster#vacations".to_owned(),
        current: "roster",
        schedule: None,
    }
}

/// Goes back to the page, or shows it with what is wrong with this form.
async fn finish(
    app: &App,
    reader: &Reader,
    form: &str,
    fields: Fields,
    done: Result<&str, RosterError>,
) -> Result<Response, Refusal> {
    match done {
        Ok(done) => Ok(go_to(&format!("/roster?done={done}"))),
        Err(error) => refused(app, reader, form, fields, error).await,
    }
}

async fn refused(app: &App, reader: &Reader, form: &str, fields: Fields, error: RosterError) -> Result<Response, Refusal> {
    let sent = Sent { form: form.to_owned(), wrong: wrong(reader.words, &error, &fields)?, fields };
    page(app, reader, StatusCode::UNPROCESSABLE_ENTITY, "", Some(sent), None).await
}

/// The form by which a team is changed.
fn team_id(team: &str) -> String {
    format!("team-{team}")
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    query: &str,
    sent: Option<Sent>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let mut store = app.engine.store.read().await?;
    let roster = Arc::new(store.db().roster().await?);
    let now = app.engine.clock.now();
    let asked = |name: &str| asked(query, name).unwrap_or_default();
    let mut zones: Vec<String> = roster.schedules.iter().map(|schedule| schedule.zone.name().to_owned()).collect();
    zones.push("UTC".to_owned());
    zones.dedup();
    let (typed, zone) = (asked("at"), text::zone(&asked("zone")).or_else(|_| text::zone(&zones[0])).unwrap_or(Tz::UTC));
    let at = text::instant(&typed, zone).unwrap_or(now);
    let plan = Arc::clone(&roster);
    let looked = costly::run(move |_| {
        let on = |schedule| {
            let until = evaluate::on_duty(schedule, &plan.absences, at).into_iter().filter_map(|on| on.until).min();
            (on_duty_words(words, &plan, schedule, at), next_words(words, &plan, schedule, at), until)
        };
        (check(&plan, now, now + LOOK_AHEAD), plan.schedules.iter().map(on).collect::<Vec<_>>())
    });
    // Where that takes too long it is said in place of the names: what else the page is for stays.
    let not_now = |_: &Schedule| (vec![words.look_not_now.clone()], None, None);
    let (findings, planned) =
        looked.await.unwrap_or_else(|_| (Vec::new(), roster.schedules.iter().map(not_now).collect::<Vec<_>>()));
    let sources = store.db().sources().await?;
    let mut lines = Vec::new();
    for (schedule, (planned, next, until)) in roster.schedules.iter().zip(planned) {
        let on = match at < now {
            true => store.db().duty_at(schedule.id, at).await?.map(|row| row.people.0.into_iter().map(|own| own.name).collect()),
            false => None,
        };
        let source = sources.iter().find(|row| row.schedule_id == schedule.id);
        let broken = source.and_then(|row| source_trouble(reader, schedule.zone, row));
        lines.push(Line {
            id: Some(schedule.id),
            until: until.filter(|_| at >= now).map(instant),
            name: schedule.name.clone(),
            zone: schedule.zone.name().to_owned(),
            team: team_name(&roster, schedule),
            on: on.unwrap_or(planned),
            next: next.filter(|_| at >= now),
            troubles: broken.into_iter().chain(troubles(words, &roster, schedule, &findings)).collect(),
        });
    }
    // A team without a schedule is called as a whole.
    let alone = roster.teams.iter().filter(|team| !roster.schedules.iter().any(|own| own.team == Some(team.id)));
    lines.extend(alone.filter(|team| !team.members.is_empty()).map(|team| Line {
        id: None,
        name: team.name.clone(),
        zone: words.duty_all_of_team.clone(),
        team: String::new(),
        on: roster.on_duty(Target::Team(team.id), at).iter().map(|on| roster.name(on.person)).collect(),
        until: None,
        next: None,
        troubles: Vec::new(),
    }));
    let me = reader.person(&mut store.db()).await?.map(|me| me.id);
    let waiting = match me {
        Some(me) => waiting_for(&store.db().open_swaps(now).await?, me, &roster, now),
        None => 0,
    };
    let vacations = store.db().vacations().await?.into_iter().filter(|own| own.ends_at > now);
    let callable = Callable::of(reader, &roster);
    let vacation = |own: crate::store::duty::exceptions::VacationRow| VacationLine {
        id: own.id,
        is_theirs: reader.calls() && callable.people.contains(&roster.name(own.person_id)),
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
    let team_form = |id: String, name: &str, members: &str| {
        let name = Field::plain("name", &words.policy_name, Input::Line).value(name).required();
        let members = Field::plain("members", &words.roster_members, Input::Lines(4)).value(members);
        Form::new(reader, id, "/roster/teams", &words.person_save).with([name, members.how(&words.roster_one_a_line)])
    };
    let team = |team: &crate::roster::Team| {
        let members = team.members.iter().map(|person| roster.name(*person)).collect::<Vec<_>>().join("\n");
        let (id, version) = (team.id.to_string(), team.version.to_string());
        let form = team_form(team_id(&id), &team.name, &members).holding("team", id).holding("version", version.as_str());
        TeamLine {
            troubles: of_team(team.id),
            id: team.id,
            name: team.name.clone(),
            members,
            version,
            form: form.again(sent.as_ref()),
        }
    };
    let wall = |name, label| Field::plain(name, label, Input::Wall);
    let zone_field = || Field::plain("zone", &words.roster_zone, Input::Choice(Choice::names(&zones)));
    let add_vacation = Form::new(reader, VACATION, "/roster/vacations", &words.look_go).holding(LOOK, "yes").with([
        Field::plain("person", &words.roster_person, Input::Choice(Choice::names(&callable.people))),
        wall("from", &words.roster_from).required(),
        wall("to", &words.roster_to).required(),
        zone_field(),
        Field::plain("note", &words.roster_note, Input::Line),
    ]);
    let team_names = roster.teams.iter().map(|team| Choice::new(&team.name, &team.name));
    let no_team = Choice::new("", "");
    let add_schedule = Form::new(reader, SCHEDULE, "/roster/schedules", &words.person_save).with([
        Field::plain("name", &words.policy_name, Input::Line).required(),
        Field::plain("zone", &words.roster_zone, Input::Line).required().hint("Asia/Shanghai"),
        Field::plain("team", &words.roster_team, Input::Choice([no_team].into_iter().chain(team_names).collect())),
        Field::plain("gaps_allowed", "", Input::Tick(&words.roster_gaps_allowed)),
    ]);
    // That of a team that is gone has no place where what is wrong with it could stand.
    let drawn = |form: &str| {
        [VACATION, SCHEDULE, ADD_TEAM].contains(&form) || roster.teams.iter().any(|team| team_id(&team.id.to_string()) == form)
    };
    let page = RosterPage {
        frame: Frame::new(reader, "roster", words.nav_roster.as_str(), now),
        words,
        done,
        wrong: sent.as_ref().filter(|sent| !drawn(&sent.form)).map(|sent| sent.wrong.sentence.clone()),
        lines,
        of_another_time: at != now,
        script: &assets::CALENDAR.address,
        waiting: (waiting > 0).then(|| fill_text(&words.swap_waiting, &[("count", &waiting.to_string())])),
        teams: roster.teams.iter().map(team).collect(),
        vacations: vacations.map(vacation).collect(),
        asking: [wall("at", &words.roster_who_at).value(typed).of_form("ask"), zone_field().value(zone.name()).of_form("ask")],
        add_vacation: add_vacation.again(sent.as_ref()),
        add_schedule: add_schedule.again(sent.as_ref()),
        add_team: team_form(ADD_TEAM.to_owned(), "", "").again(sent.as_ref()),
    };
    Ok(html(status, &page))
}
