//! **Who may do what on the pages**: each route asks for a role, and what it is about says for whom a role for a team alone is enough.
//!
//! A role for a team counts on what is of that team. So a request about an alarm or a schedule goes on as one of somebody who has that role:
//! what is shown to them, which buttons there are and what is done follow from it alike. What [`DECISIONS`] does not name asks for the role
//! everywhere; a test does not let a route pass that changes something and is not named.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::frame::answer::{Refusal, go_to};
use super::frame::place::Place;
use super::frame::reader::{Reader, Visitor};
use crate::app::App;
use crate::engine::Reachable;
use crate::ids::{AlarmId, HuntId, PersonId, ScheduleId, TeamId};
use crate::keep::users::teams::{self, Owners};
use crate::keep::whom::Named;
use crate::rights::roles::{Role, TeamRoles};
use crate::roster::Roster;
use crate::store::{Db, StoreError};

/// What a route is about, as far as roles for single teams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Something that is of no team: only a role that counts everywhere is enough.
    Everywhere,
    /// An alarm, whose id is the second part of the path.
    Alarm,
    /// The same; whoever is rung for it may as well.
    OwnCall,
    /// A schedule, whose id is the second part of the path.
    Schedule,
    /// What its form names: the handler asks.
    Form,
    /// Whoever asks themselves.
    Oneself,
}

/// For each route that changes something, or shows what is of a team: its methods, and what it is about.
#[rustfmt::skip]
const DECISIONS: &[(&str, &str, Of)] = &[
    ("GET", "/alarms/{id}", Of::OwnCall),
    ("POST", "/alarms/{id}/acknowledge", Of::OwnCall),
    ("POST", "/alarms/{id}/decline", Of::OwnCall),
    ("POST", "/alarms/{id}/give-back", Of::OwnCall),
    ("POST", "/alarms/{id}/cancel", Of::Alarm),
    ("POST", "/alarms/{id}/redial", Of::Alarm),
    ("POST", "/alarms/{id}/callees/{callee}/skip", Of::Alarm),
    ("GET", "/alarms/{id}/recordings/{recording}", Of::Alarm),
    ("POST", "/alarms/{id}/calls/{record}/hang-up", Of::Alarm),
    ("POST", "/alarms/{id}/calls/{record}/say", Of::Alarm),
    ("POST", "/alarms/{id}/escalate", Of::Alarm),
    ("POST", "/alarms/{id}/snooze", Of::Alarm),
    ("POST", "/alarms/{id}/notes", Of::Alarm),
    ("POST", "/alarms/{id}/policy", Of::Alarm),
    ("POST", "/alarms/{id}/false", Of::Alarm),
    ("POST", "/alarms/{id}/not-false", Of::Alarm),
    ("GET POST", "/alarms/new", Of::Form),
    // Calls of all, phones, public numbers, maintenance and shouts are of no team.
    ("POST", "/handsets/test", Of::Everywhere),
    ("POST", "/numbers/{id}/forward", Of::Everywhere),
    ("POST", "/maintenance/new", Of::Everywhere),
    ("POST", "/maintenance/{id}/end", Of::Everywhere),
    ("POST", "/shouts/new", Of::Everywhere),
    ("POST", "/shouts/opted-out/remove", Of::Everywhere),
    ("POST", "/shouts/{id}/cancel", Of::Everywhere),
    // Shifts of a team's schedules, and vacations of its people.
    ("POST", "/roster/vacations", Of::Form),
    ("POST", "/roster/vacations/{id}/remove", Of::Form),
    ("GET", "/roster/{id}", Of::Schedule),
    ("POST", "/roster/{id}/override", Of::Schedule),
    ("POST", "/roster/{id}/override/{override}/remove", Of::Schedule),
    ("POST", "/roster/{id}/temporary", Of::Schedule),
    ("POST", "/roster/{id}/temporary/{temporary}/remove", Of::Schedule),
    ("POST", "/roster/{id}/calendar/refresh", Of::Schedule),
    ("POST", "/roster/{id}/rotation", Of::Schedule),
    ("POST", "/roster/{id}/layer/remove", Of::Schedule),
    ("POST", "/roster/{id}/calendar", Of::Schedule),
    ("POST", "/roster/{id}/calendar/remove", Of::Schedule),
    // Which schedules and teams there are, and who reads them from elsewhere, is for admins.
    ("POST", "/roster/schedules", Of::Everywhere),
    ("POST", "/roster/teams", Of::Everywhere),
    ("POST", "/roster/teams/{team}/remove", Of::Everywhere),
    ("POST", "/roster/{id}/feed", Of::Everywhere),
    ("POST", "/roster/{id}/feed/{feed}/revoke", Of::Everywhere),
    ("POST", "/roster/{id}/remove", Of::Everywhere),
    ("POST", "/roster/swaps", Of::Oneself),
    ("POST", "/roster/swaps/{id}/accept", Of::Oneself),
    ("POST", "/roster/swaps/{id}/decline", Of::Oneself),
    ("POST", "/roster/swaps/{id}/take-back", Of::Oneself),
    ("POST", "/people/me/ring", Of::Oneself),
    ("POST", "/people/me/language", Of::Oneself),
    ("POST", "/people/me/feed", Of::Oneself),
    ("POST", "/people/me/feed/{feed}/revoke", Of::Oneself),
    ("POST", "/people/me/told", Of::Oneself),
    ("POST", "/people/me/sessions/end", Of::Oneself),
    ("POST", "/people/me/second-factor", Of::Oneself),
    ("POST", "/people/me/second-factor/confirm", Of::Oneself),
    ("POST", "/people/me/second-factor/codes", Of::Oneself),
    ("POST", "/people/me/second-factor/remove", Of::Oneself),
    ("POST", "/password", Of::Oneself),
    ("POST", "/login/oidc/connect", Of::Oneself),
    ("POST", "/login/proxy/connect", Of::Oneself),
    ("POST", "/logout", Of::Oneself),
    // What is set up.
    ("POST", "/handsets/add", Of::Everywhere),
    ("POST", "/handsets/rename", Of::Everywhere),
    ("POST", "/handsets/channels", Of::Everywhere),
    ("POST", "/handsets/inbound", Of::Everywhere),
    ("POST", "/handsets/rotate", Of::Everywhere),
    ("POST", "/handsets/disable", Of::Everywhere),
    ("POST", "/handsets/enable", Of::Everywhere),
    ("POST", "/handsets/remove", Of::Everywhere),
    ("POST", "/handsets/allow", Of::Everywhere),
    ("POST", "/people/add", Of::Everywhere),
    ("POST", "/people/{id}", Of::Everywhere),
    ("POST", "/people/{id}/told", Of::Everywhere),
    ("POST", "/people/{id}/remove", Of::Everywhere),
    ("POST", "/people/{id}/erase", Of::Everywhere),
    ("POST", "/senders/{id}", Of::Everywhere),
    ("POST", "/senders/add", Of::Everywhere),
    ("POST", "/senders/{id}/revoke", Of::Everywhere),
    ("POST", "/senders/{id}/narrow", Of::Everywhere),
    ("POST", "/senders/test", Of::Everywhere),
    ("POST", "/senders/ring", Of::Everywhere),
    ("POST", "/connect/key", Of::Everywhere),
    ("POST", "/connect/use", Of::Everywhere),
    ("POST", "/connect/file", Of::Everywhere),
    ("POST", "/users/add", Of::Everywhere),
    ("POST", "/users/role", Of::Everywhere),
    ("POST", "/users/team", Of::Everywhere),
    ("POST", "/users/disable", Of::Everywhere),
    ("POST", "/users/enable", Of::Everywhere),
    ("POST", "/users/reset", Of::Everywhere),
    ("POST", "/users/disconnect", Of::Everywhere),
    ("POST", "/users/second-factor", Of::Everywhere),
    ("POST", "/users/{id}/sessions/end", Of::Everywhere),
    ("POST", "/policies/new", Of::Everywhere),
    ("POST", "/policies/rules", Of::Everywhere),
    ("POST", "/policies/{id}", Of::Everywhere),
    ("POST", "/policies/{id}/remove", Of::Everywhere),
    ("POST", "/numbers/new", Of::Everywhere),
    ("POST", "/numbers/preview", Of::Everywhere),
    ("POST", "/numbers/{id}", Of::Everywhere),
    ("POST", "/numbers/{id}/bind", Of::Everywhere),
    ("POST", "/numbers/{id}/remove", Of::Everywhere),
    ("POST", "/notices/new", Of::Everywhere),
    ("POST", "/notices/{id}", Of::Everywhere),
    ("POST", "/notices/{id}/test", Of::Everywhere),
    ("POST", "/notices/{id}/remove", Of::Everywhere),
    ("POST", "/gateways/{id}/test", Of::Everywhere),
    ("POST", "/gateways/new", Of::Everywhere),
    ("POST", "/gateways/{id}", Of::Everywhere),
    ("POST", "/gateways/{id}/remove", Of::Everywhere),
    ("POST", "/heartbeats/new", Of::Everywhere),
    ("POST", "/heartbeats/{id}", Of::Everywhere),
    ("POST", "/heartbeats/{id}/remove", Of::Everywhere),
    ("POST", "/do-not-call/add", Of::Everywhere),
    ("POST", "/do-not-call/remove", Of::Everywhere),
    ("POST", "/quiet-hours", Of::Everywhere),
];

/// Where somebody gets to who has to set up a second factor first.
const SETTING_UP: [&str; 2] = ["/people/me/second-factor", "/logout"];
/// The page on which they do.
const SET_UP: &str = "/people/me/second-factor";
/// No card of *Now* is about more alarms.
const MOST_ALARMS: usize = 200;

/// What a route is about.
fn of(method: &Method, route: &str) -> Of {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let is_it = |(methods, path, _): &&(&str, &str, Of)| *path == route && methods.split(' ').any(|own| own == method);
    DECISIONS.iter().find(is_it).map_or(Of::Everywhere, |(_, _, of)| *of)
}

/// Only for whoever is logged in.
pub(in crate::dashboard) async fn viewers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    admit(&app, Role::Viewer, request, next).await
}

/// Only for responders and admins, and for those of the team that it is about.
pub(in crate::dashboard) async fn responders(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    admit(&app, Role::Responder, request, next).await
}

/// Only for admins, and for the leads of the team whose schedule it is about.
pub(in crate::dashboard) async fn admins(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    admit(&app, Role::Admin, request, next).await
}

async fn admit(app: &App, role: Role, mut request: Request, next: Next) -> Response {
    let reader = request.extensions().get::<Reader>().filter(|reader| reader.visitor.is_some()).cloned();
    let Some(reader) = reader else {
        if request.method() != Method::GET {
            return Refusal::LogIn.into_response();
        }
        return match Place::after_login(request.uri().path()) {
            Place::Now => go_to("/login"),
            place => go_to(&format!("/login?next={place}")),
        };
    };
    let path = request.uri().path();
    if reader.must_set_up
        && !SETTING_UP.iter().any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        return if request.method() == Method::GET { go_to(SET_UP) } else { Refusal::SetUpFirst.into_response() };
    }
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let of = of(request.method(), route);
    let id = path.split('/').nth(2).unwrap_or_default();
    let reader = match of {
        Of::Alarm | Of::OwnCall => match id.parse() {
            Ok(id) => on_alarm(app, reader, id).await,
            // What is no alarm is told by whoever looks for one.
            Err(_) => Ok(reader),
        },
        Of::Schedule => match id.parse() {
            Ok(id) => on_schedule(app, reader, id).await,
            Err(_) => Ok(reader),
        },
        Of::Everywhere | Of::Form | Of::Oneself => Ok(reader),
    };
    let reader = match reader {
        Ok(reader) => reader,
        Err(refusal) => return refusal.into_response(),
    };
    let may = reader.may(role)
        || of == Of::OwnCall && reader.is_rung
        // The handler looks whether what the form names is theirs.
        || of == Of::Form && role == Role::Responder && reader.is_of_teams();
    if !may {
        // Of their own team, or of none, it is for another role.
        let is_others = reader.is_of_teams() && reader.here.is_none() && !matches!(of, Of::Everywhere | Of::Oneself);
        return if is_others { Refusal::OtherTeam } else { Refusal::Forbidden }.into_response();
    }
    request.extensions_mut().insert(reader);
    next.run(request).await
}

/// Their roles for single teams, where they could gain something by one.
fn gains(reader: &Reader, most: Role) -> Option<&TeamRoles> {
    let visitor = reader.visitor.as_ref()?;
    (visitor.role < most && !visitor.teams.is_empty()).then_some(&visitor.teams)
}

/// The same reader, as they read of this alarm.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn on_alarm(app: &App, reader: Reader, id: AlarmId) -> Result<Reader, Refusal> {
    let reader = Reader { here: None, is_rung: false, ..reader };
    if !may_gain_by_alarms(&reader) {
        return Ok(reader);
    }
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let owners = Owners::read(&mut db).await?;
    Ok(as_on(&mut db, &owners, reader, id).await?)
}

/// Whether somebody may do more with some alarm than with all of them.
fn may_gain_by_alarms(reader: &Reader) -> bool {
    let can = |visitor: &Visitor| !visitor.teams.is_empty() || visitor.person_name.is_some();
    !reader.may_everywhere(Role::Responder) && reader.visitor.as_ref().is_some_and(can)
}

async fn as_on(db: &mut Db<'_>, owners: &Owners, mut reader: Reader, id: AlarmId) -> Result<Reader, StoreError> {
    let Some(visitor) = &reader.visitor else { return Ok(reader) };
    let Some((alarm, of)) = teams::of_alarm(db, owners, id).await? else { return Ok(reader) };
    let role = visitor.role;
    reader.here = Some(visitor.teams.on_alarm(role, &of)).filter(|here| *here > role);
    reader.is_rung = is_rung(db, &reader, alarm.hunt_id).await?;
    Ok(reader)
}

/// Whether somebody is, or was, rung in a hunt.
async fn is_rung(db: &mut Db<'_>, reader: &Reader, hunt: HuntId) -> Result<bool, StoreError> {
    let Some(person) = reader.person(db).await? else { return Ok(false) };
    let who = Reachable::of(db, person.id).await?;
    Ok(db.callees(hunt).await?.iter().any(|callee| who.is(callee.person_id, &callee.number)))
}

/// The same reader, as they read of this schedule.
async fn on_schedule(app: &App, mut reader: Reader, id: ScheduleId) -> Result<Reader, Refusal> {
    let Some(roles) = gains(&reader, Role::Admin).cloned() else { return Ok(reader) };
    let owner = app.engine.store.read().await?.db().owner_of(id).await?.flatten();
    let Some(visitor) = &reader.visitor else { return Ok(reader) };
    let role = visitor.role;
    reader.here = Some(roles.on(role, &owner.into_iter().collect())).filter(|here| *here > role);
    Ok(reader)
}

/// Lets only those act who may act on each of these alarms: a form names several where one call is about all of them.
///
/// # Errors
/// When one of them is another team's, there are more than any page shows together, or the database fails.
pub(in crate::dashboard) async fn only_theirs(app: &App, reader: &Reader, alarms: &[AlarmId]) -> Result<(), Refusal> {
    if reader.may_everywhere(Role::Responder) {
        return Ok(());
    }
    if alarms.len() > MOST_ALARMS {
        return Err(Refusal::TooLarge);
    }
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let owners = Owners::read(&mut db).await?;
    for alarm in alarms {
        let plain = Reader { here: None, is_rung: false, ..reader.clone() };
        let own = as_on(&mut db, &owners, plain, *alarm).await?;
        if !own.responds() && !own.is_rung {
            return Err(Refusal::OtherTeam);
        }
    }
    Ok(())
}

/// In the name of which team somebody calls, who may do so for single teams: the team itself, that of the schedule, or one of the person's.
/// `None`: they call whom they want, in nobody's name.
///
/// # Errors
/// When whom they name is of none of their teams, or the database fails.
pub(in crate::dashboard) async fn calls_for(db: &mut Db<'_>, reader: &Reader, named: &Named) -> Result<Option<String>, Refusal> {
    if reader.may_everywhere(Role::Responder) {
        return Ok(None);
    }
    let roles = reader.visitor.as_ref().map(|visitor| visitor.teams.clone()).ok_or(Refusal::LogIn)?;
    let roster = db.roster().await?;
    let of = match named {
        Named::Team(name) => roster.find_team(name).map(|team| team.id),
        Named::Schedule(name) => Owners::read(db).await?.team_of_schedule(name),
        Named::Person(name) => {
            let person = roster.people.iter().find(|(_, person)| person.name == *name).map(|(id, _)| *id);
            person.and_then(|person| team_of_person(&roster, &roles, person))
        }
        Named::Number(_) => None,
    };
    let own = of.filter(|of| roles.teams().any(|team| team == *of));
    let name = own.and_then(|own| roster.teams.iter().find(|team| team.id == own)).map(|team| team.name.clone());
    name.map(Some).ok_or(Refusal::OtherTeam)
}

/// Whom somebody may call, by name.
pub(in crate::dashboard) struct Callable {
    pub(in crate::dashboard) teams: Vec<String>,
    pub(in crate::dashboard) schedules: Vec<String>,
    pub(in crate::dashboard) people: Vec<String>,
}

impl Callable {
    /// Everybody; for whoever calls in the name of single teams, those of these teams.
    pub(in crate::dashboard) fn of(reader: &Reader, roster: &Roster) -> Self {
        let roles = reader.visitor.as_ref().filter(|_| !reader.may_everywhere(Role::Responder)).map(|visitor| &visitor.teams);
        let is_own = |team: Option<TeamId>| roles.is_none_or(|roles| roles.teams().any(|own| Some(own) == team));
        let is_theirs = |person| roles.is_none_or(|roles| team_of_person(roster, roles, person).is_some());
        let people = roster.people.iter().filter(|(id, _)| is_theirs(**id));
        let mut people: Vec<String> = people.map(|(_, person)| person.name.clone()).collect();
        people.sort_unstable();
        Self {
            teams: roster.teams.iter().filter(|team| is_own(Some(team.id))).map(|team| team.name.clone()).collect(),
            schedules: roster.schedules.iter().filter(|own| is_own(own.team)).map(|own| own.name.clone()).collect(),
            people,
        }
    }
}

/// One of somebody's teams in which a person is.
fn team_of_person(roster: &Roster, roles: &TeamRoles, person: PersonId) -> Option<TeamId> {
    roles.teams().find(|team| roster.all_of_team(*team).contains(&person))
}

/// Lets only those plan when this person is away who may do so for everybody, or for a team of theirs.
///
/// # Errors
/// When the person is in none of their teams, or the database fails.
pub(in crate::dashboard) async fn plans_for(app: &App, reader: &Reader, person: Option<PersonId>) -> Result<(), Refusal> {
    if reader.may_everywhere(Role::Responder) {
        return Ok(());
    }
    let roles = reader.visitor.as_ref().map(|visitor| visitor.teams.clone()).ok_or(Refusal::LogIn)?;
    let roster = app.engine.store.read().await?.db().roster().await?;
    let is_theirs = person.is_some_and(|person| team_of_person(&roster, &roles, person).is_some());
    if is_theirs { Ok(()) } else { Err(Refusal::OtherTeam) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The routes of the pages by their source: method and path.
    fn routes() -> BTreeSet<(String, String)> {
        let source = include_str!("mod.rs");
        let mut routes = BTreeSet::new();
        for part in source.split(".route(\"").skip(1) {
            let Some((path, rest)) = part.split_once('"') else { continue };
            // Up to the next route, or the layers behind the last.
            let handlers = rest.split(".route").next().unwrap_or_default();
            for method in ["get", "post", "any"] {
                if handlers.contains(&format!("{method}(")) {
                    routes.insert((method.to_uppercase(), path.to_owned()));
                }
            }
        }
        routes
    }

    /// The pages that are for nobody who is logged in, or for everybody.
    fn is_for_everybody(path: &str) -> bool {
        ["/login", "/setup", "/c/", "/live", "/lines", "/assets"].iter().any(|own| path.starts_with(own))
    }

    #[test]
    fn whatever_changes_something_is_decided() {
        let routes = routes();
        assert!(routes.len() > 150, "the source is read: {}", routes.len());
        let posts = routes.iter().filter(|(method, path)| method == "POST" && !is_for_everybody(path));
        for (method, path) in posts {
            let decided = DECISIONS.iter().any(|(own, route, _)| route == path && own.split(' ').any(|own| own == method));
            assert!(decided, "{method} {path}: say in DECISIONS what it is about");
        }
    }

    #[test]
    fn each_decision_is_of_a_route_and_stands_once() {
        let (routes, mut seen) = (routes(), BTreeSet::new());
        for (methods, path, _) in DECISIONS {
            for method in methods.split(' ') {
                assert!(routes.contains(&(method.to_owned(), (*path).to_owned())), "{method} {path} is no route");
                assert!(seen.insert((method, path)), "{method} {path} stands twice");
            }
        }
    }

    #[test]
    fn nothing_about_an_alarm_or_a_schedule_is_for_everybody_by_mistake() {
        for (_, path, of) in DECISIONS {
            let about_alarm = path.starts_with("/alarms/{id}");
            assert_eq!(about_alarm, matches!(of, Of::Alarm | Of::OwnCall), "{path}");
            if *of == Of::Schedule {
                assert!(path.starts_with("/roster/{id}"), "{path}");
            }
        }
        assert_eq!(
            super::of(&Method::POST, "/something/new"),
            Of::Everywhere,
            "what nobody thought of wants the role everywhere"
        );
        assert_eq!(super::of(&Method::HEAD, "/roster/{id}"), Of::Schedule);
    }
}
