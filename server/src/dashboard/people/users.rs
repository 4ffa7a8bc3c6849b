//! *Users*: who may open these pages and what they may do; and everybody's own password.
//!
//! Nobody changes themselves here but for their password: so there is always an admin left, the one who asks.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::identities::by_word;
use crate::app::App;
use crate::dashboard::Dashboard;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::{Reader, role_word};
use crate::dashboard::frame::session;
use crate::dashboard::frame::throttle::{From, TooSoon};
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::PersonId;
use crate::keep::users::{self, Login, UserError, second_factor, teams};
use crate::rights::roles::{Role, TeamRole};
use crate::store::access::users::UserRow;

/// The form by which a user is added.
const ADD: &str = "user";

struct Line {
    name: String,
    /// Who they are when they take an alarm, where that is another name.
    person: Option<String>,
    role_word: &'static str,
    disabled: bool,
    /// The teams for which they have a role alone, each with its word.
    teams: Vec<(String, &'static str)>,
    /// By which they get a role for a team; none where there is no team.
    team: Option<Form>,
    /// A code of their app is asked for when they log in.
    has_second_factor: bool,
    /// Where their sessions are.
    sessions: String,
    /// By which they get another role; none for whoever looks.
    role: Option<Form>,
    /// By what they log in.
    by: String,
    /// Somebody else says who they are.
    is_connected: bool,
}

/// What a role may do.
#[derive(Template)]
#[template(path = "people/roles.html")]
struct Roles {
    roles: [(&'static str, &'static str); 3],
}

#[derive(Template)]
#[template(path = "people/users.html")]
struct UsersPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    users: Vec<Line>,
    /// By which one is added.
    form: Form,
    done: Option<&'static str>,
}

/// `GET /users`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, None, done).await
}

/// `POST /users/add`: shows their password, once.
pub(in crate::dashboard) async fn add(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let (name, role) = (fields.get("name").trim(), Role::parse(fields.get("role")).ok_or(Refusal::Garbled)?);
    let (engine, password) = (&app.engine, users::new_password());
    let person = match fields.get("person") {
        "" => None,
        id => Some(id.parse().map_err(|_| Refusal::Garbled)?),
    };
    if let Some(person) = person {
        engine.store.read().await?.db().person(person).await?.ok_or(Refusal::NotFound)?;
    }
    let add = async {
        let login = Login::new(&pages.passwords, name, &password).await?;
        engine.carry_out(reader.doer(), async |work| users::add(work, login, role, person).await).await
    };
    match add.await {
        Ok(_) => {
            tracing::info!(user.name = %name, user.role = role.as_str(), by = %reader.known_as(), "a user was added");
            Ok(password_shown(app, &reader, name, &password))
        }
        Err(UserError::BadName | UserError::NameTaken(_)) => {
            let wrong = Wrong::new("name", &reader.words.setup_bad_name);
            let sent = Sent { form: ADD.to_owned(), fields: fields.clone(), wrong };
            page(app, &reader, StatusCode::UNPROCESSABLE_ENTITY, Some(sent), None).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /users/role`
pub(in crate::dashboard) async fn change_role(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (user, role) = (other_user(&app, &reader, &fields).await?, Role::parse(fields.get("role")).ok_or(Refusal::Garbled)?);
    app.engine.carry_out(reader.doer(), async |work| users::set_role(work, &user.name, role).await).await?;
    tracing::info!(user.name = %user.name, user.role = role.as_str(), by = %reader.known_as(), "a user has another role");
    Ok(go_to("/users?done=role"))
}

/// `POST /users/team`: what somebody may do for one team, beside what they may everywhere.
pub(in crate::dashboard) async fn change_team(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let user = other_user(&app, &reader, &fields).await?;
    let role = match fields.get("role") {
        "" => None,
        word => Some(TeamRole::parse(word).ok_or(Refusal::Garbled)?),
    };
    let team = fields.get("team");
    let set = async |work: &mut _| teams::set_role(work, &user.name, team, role).await;
    match app.engine.carry_out(reader.doer(), set).await {
        // Taken away already, as by pressing twice.
        Ok(_) | Err(UserError::NoTeamRole { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    tracing::info!(user.name = %user.name, by = %reader.known_as(), "a user has another role for a team");
    Ok(go_to("/users?done=team_role"))
}

/// `POST /users/second-factor`: takes it away from somebody who has lost their phone.
pub(in crate::dashboard) async fn reset_second_factor(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let user = other_user(&app, &reader, &fields).await?;
    match app.engine.carry_out(reader.doer(), async |work| second_factor::reset(work, &user.name).await).await {
        Ok(()) | Err(UserError::NoSecondFactor) => {}
        Err(error) => return Err(error.into()),
    }
    tracing::info!(user.name = %user.name, by = %reader.known_as(), "a second factor was taken away by an admin");
    Ok(go_to("/users?done=factor_reset"))
}

/// `POST /users/disable`
pub(in crate::dashboard) async fn disable(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    set_disabled(&app, &reader, &fields, true).await
}

/// `POST /users/enable`
pub(in crate::dashboard) async fn enable(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    set_disabled(&app, &reader, &fields, false).await
}

/// `POST /users/disconnect`: nobody else says any more who they are.
pub(in crate::dashboard) async fn disconnect(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let user = other_user(&app, &reader, &fields).await?;
    app.engine.carry_out(reader.doer(), async |work| crate::keep::identities::disconnect(work, &user.name).await).await?;
    tracing::info!(user.name = %user.name, by = %reader.known_as(), "a user is known by no provider any more");
    Ok(go_to("/users?done=disconnected"))
}

async fn set_disabled(app: &App, reader: &Reader, fields: &Fields, disabled: bool) -> Result<Response, Refusal> {
    let user = other_user(app, reader, fields).await?;
    app.engine.carry_out(reader.doer(), async |work| users::set_disabled(work, &user.name, disabled).await).await?;
    tracing::info!(user.name = %user.name, user.disabled = disabled, by = %reader.known_as(), "a user was shut out or let in");
    Ok(go_to(if disabled { "/users?done=user_disabled" } else { "/users?done=user_enabled" }))
}

/// `POST /users/reset`: makes another password and shows it, once.
pub(in crate::dashboard) async fn reset(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let user = other_user(app, &reader, &fields).await?;
    let password = users::new_password();
    let hashed = pages.passwords.hashed(&password).await?;
    app.engine.carry_out(reader.doer(), async |work| users::set_password(work, user.id, &hashed).await).await?;
    tracing::info!(user.name = %user.name, by = %reader.known_as(), "a user has another password");
    Ok(password_shown(app, &reader, &user.name, &password))
}

fn team_role_word(words: &'static Words, role: TeamRole) -> &'static str {
    match role {
        TeamRole::Responder => &words.role_responder,
        TeamRole::Lead => &words.role_lead,
    }
}

async fn other_user(app: &App, reader: &Reader, fields: &Fields) -> Result<UserRow, Refusal> {
    let user = users::find(&mut app.engine.store.read().await?.db(), fields.get("user")).await?;
    match reader.visitor.as_ref().is_some_and(|visitor| visitor.name == user.name) {
        true => Err(Refusal::Forbidden),
        false => Ok(user),
    }
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    sent: Option<Sent>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let (rows, people, known) = (db.users().await?, db.people().await?, db.identities().await?);
    let (team_roles, team_ids) = (db.team_roles().await?, db.team_ids().await?);
    let with_factor = db.users_with_second_factor().await?;
    let mut team_names: Vec<String> = team_ids.into_iter().map(|(_, name)| name).collect();
    team_names.sort_unstable();
    let people: Vec<(PersonId, String)> = people.into_iter().map(|(person, _)| (person.id, person.name)).collect();
    let roles = || {
        let choices = [Role::Responder, Role::Viewer, Role::Admin].map(|role| Choice::new(role.as_str(), role_word(words, role)));
        Field::plain("role", &words.user_role, Input::Choice(choices.into()))
    };
    let line = |(place, user): (usize, UserRow)| {
        let is_reader = reader.visitor.as_ref().is_some_and(|visitor| visitor.name == user.name);
        let role = || {
            let form = Form::new(reader, format!("role-{place}"), "/users/role", &words.user_role_go).looking("");
            form.holding("user", user.name.as_str()).with([roles().value(user.role.as_str())]).about(&user.name)
        };
        let team = || {
            let form = Form::new(reader, format!("team-{place}"), "/users/team", &words.user_team_go).looking("");
            let choices = [
                (TeamRole::Responder.as_str(), words.role_responder.as_str()),
                ("lead", &words.role_lead),
                ("", &words.role_none),
            ];
            let choices = choices.map(|(word, shown)| Choice::new(word, shown));
            form.holding("user", user.name.as_str()).explained(&words.user_team_how).about(&user.name).with([
                Field::plain("team", &words.user_team, Input::Choice(Choice::names(&team_names))),
                Field::plain("role", &words.user_role, Input::Choice(choices.into())),
            ])
        };
        let own_teams = team_roles.iter().filter(|row| row.user_id == user.id);
        let elsewhere = known.iter().filter(|known| known.user_id == user.id).map(|known| by_word(app, words, known));
        let password = users::has_password(&user).then(|| words.login_password.clone());
        let by: Vec<String> = password.into_iter().chain(elsewhere).collect();
        Line {
            teams: own_teams.map(|row| (row.team.clone(), team_role_word(words, row.role))).collect(),
            team: (!is_reader && !team_names.is_empty()).then(team),
            has_second_factor: with_factor.contains(&user.id),
            sessions: format!("/users/{}/sessions", user.id),
            is_connected: known.iter().any(|known| known.user_id == user.id),
            by: fill_text(&words.user_by, &[("by", &by.join(", "))]),
            person: people
                .iter()
                .find(|(id, name)| Some(*id) == user.person_id && *name != user.name)
                .map(|(_, name)| name.clone()),
            role_word: role_word(words, user.role),
            disabled: user.disabled_at.is_some(),
            role: (!is_reader).then(role),
            name: user.name,
        }
    };
    let users = rows.into_iter().enumerate().map(line).collect();
    let means = Roles {
        roles: [
            (&words.role_responder, &words.role_responder_means),
            (&words.role_viewer, &words.role_viewer_means),
            (&words.role_admin, &words.role_admin_means),
        ],
    };
    let nobody = Choice::new("", &words.user_person_none);
    let named = people.iter().map(|(id, name)| Choice::new(id.to_string(), name));
    let person = Field::plain("person", &words.user_person, Input::Choice([nobody].into_iter().chain(named).collect()));
    let name = Field::plain("name", &words.login_name, Input::Name).required();
    let fields = [name, roles().described("roles")].into_iter().chain((!people.is_empty()).then_some(person));
    let form = Form::new(reader, ADD, "/users/add", &words.user_add_go).with(fields).below(means.render().unwrap_or_default());
    let frame = Frame::new(reader, "users", words.nav_users.as_str(), app.engine.clock.now());
    Ok(html(status, &UsersPage { frame, words, users, form: form.again(sent.as_ref()), done }))
}

#[derive(Template)]
#[template(path = "people/user_password.html")]
struct ShownPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    heading: String,
    password: &'r str,
}

fn password_shown(app: &App, reader: &Reader, name: &str, password: &str) -> Response {
    let heading = fill_text(&reader.words.user_password, &[("name", name)]);
    let frame = Frame::new(reader, "users", heading.as_str(), app.engine.clock.now());
    html(StatusCode::OK, &ShownPage { frame, words: reader.words, heading, password })
}

#[derive(Template)]
#[template(path = "people/my_password.html")]
struct MyPasswordPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    form: Form,
    /// There is somebody else who may say who one is.
    known_elsewhere: bool,
}

/// `GET /password`
pub(in crate::dashboard) async fn show_mine(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Response {
    my_page(&app, &reader, StatusCode::OK, None)
}

/// `POST /password`: everybody's own, in exchange for the current one; ends all their other sessions.
pub(in crate::dashboard) async fn change_mine(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let (engine, dashboard, words) = (&app.engine, &pages, reader.words);
    let visitor = reader.visitor.as_ref().ok_or(Refusal::LogIn)?;
    let refused = |field: &str, wrong: &'static str| {
        Ok(my_page(app, &reader, StatusCode::UNPROCESSABLE_ENTITY, Some(Wrong::new(field, wrong))))
    };
    if fields.get("new") != fields.get("again") {
        return refused("again", &words.password_differs);
    }
    // A browser that was left open is no place to guess at the password either.
    // Whoever fails at the login does not slow this down: here somebody is logged in already.
    let from = From { address: reader.address, device: Some("logged in") };
    if let Err(TooSoon { seconds, .. }) = dashboard.throttle.admit(from, &visitor.name, engine.clock.now()) {
        let wrong = Wrong::new("", fill_text(&words.login_throttled, &[("s", &seconds.to_string())]));
        let mut response = my_page(app, &reader, StatusCode::TOO_MANY_REQUESTS, Some(wrong));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    let user = users::find(&mut engine.store.read().await?.db(), &visitor.name).await?;
    if !dashboard.passwords.verify(fields.get("current"), Some(&user)).await? {
        return refused("current", &words.password_wrong);
    }
    dashboard.throttle.good(from, &visitor.name);
    let hashed = match dashboard.passwords.hashed(fields.get("new")).await {
        Ok(hashed) => hashed,
        Err(UserError::BadPassword) => return refused("new", &words.setup_bad_password),
        Err(error) => return Err(error.into()),
    };
    engine.carry_out(reader.doer(), async |work| users::set_password(work, user.id, &hashed).await).await?;
    let mut response = go_to("/?done=password");
    let from = session::came_from(reader.address, &headers);
    session::give(&mut response, &session::begin(engine, user.id, &user.name, &from).await?, reader.secure);
    Ok(response)
}

fn my_page(app: &App, reader: &Reader, status: StatusCode, wrong: Option<Wrong>) -> Response {
    let words = reader.words;
    let frame = Frame::new(reader, "password", words.my_password.as_str(), app.engine.clock.now());
    let field = |name, label| Field::plain(name, label, Input::Password).required();
    let user = reader.visitor.as_ref().map(|visitor| visitor.name.as_str());
    let form = Form::new(reader, "", "/password", &words.password_go).of_user(user).looking("go wide").with([
        field("current", &words.password_current).completed("current-password").begins(true),
        field("new", &words.password_new).completed("new-password").how(&words.setup_bad_password),
        field("again", &words.password_again).completed("new-password"),
    ]);
    let known_elsewhere = app.access.oidc.offer().is_some() || app.config().identity.user_header.is_some();
    html(status, &MyPasswordPage { frame, words, form: form.saying(wrong.as_ref()), known_elsewhere })
}
