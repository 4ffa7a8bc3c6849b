//! Who may log in to the pages, what they may do there, and where they are logged in. They are added, and given passwords, on the page *Users*
//! or by command.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::requests::merge::Patch;
use super::roster::shapes::Named;
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging};
use crate::http::problem::{Code, Problem};
use crate::http::versions::versioned;
use crate::ids::{PersonId, UserId};
use crate::keep::users::kept::{self, Kept};
use crate::keep::users::teams::Standing;
use crate::keep::users::{self, UserError, second_factor, sessions};
use crate::rights::roles::{Role, TeamRole};
use crate::store::access::users::UserRow;
use crate::store::{Db, Work};
use crate::versions::Expected;

/// What somebody may do for one team, beside what they may everywhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserTeam {
    /// The team, by name.
    team: String,
    /// What they may do for it.
    role: TeamRole,
}

/// Somebody who may log in to the pages.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserJson {
    id: UserId,
    /// What they log in with.
    name: String,
    /// What they may do everywhere.
    role: Role,
    /// What they may do for single teams, beside that.
    teams: Vec<UserTeam>,
    /// Who they are when they take an alarm; null: nobody on the list of people.
    person: Option<Named>,
    /// A code of their app is asked for when they log in.
    has_second_factor: bool,
    created_at: DateTime<Utc>,
    /// Since when they may not log in; null: they may.
    disabled_at: Option<DateTime<Utc>>,
}

/// The JSON body of `PATCH /api/v1/users/{user}`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// What they may do everywhere.
    role: Role,
    /// What they may do for single teams, beside that. The list is replaced as a whole.
    #[serde(default)]
    #[schema(max_items = 1000)]
    teams: Vec<UserTeam>,
}

impl UserBody {
    fn of(standing: &Standing) -> Self {
        Self { role: standing.role, teams: of_teams(standing) }
    }

    /// What it wants.
    ///
    /// # Errors
    /// When a team stands there twice.
    fn standing(self) -> Result<Standing, Problem> {
        let mut teams = BTreeMap::new();
        for (place, own) in self.teams.into_iter().enumerate() {
            if teams.insert(own.team.trim().to_owned(), own.role).is_some() {
                return Err(Problem::invalid(format!("teams[{place}].team"), "this team stands there twice: name each once"));
            }
        }
        Ok(Standing { role: self.role, teams })
    }
}

/// Where somebody is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionJson {
    /// Under this it is ended. It tells nothing about the session itself.
    id: String,
    /// Since when.
    created_at: DateTime<Utc>,
    /// When it was last noted as used: at most every ten minutes.
    last_used_at: DateTime<Utc>,
    /// When it ends, used or not.
    ends_at: DateTime<Utc>,
    /// From where it was last used; null where that was not noted.
    address: Option<String>,
    /// What kind of browser, such as *Firefox, Android*; null where it does not say.
    browser: Option<String>,
}

/// What was ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedSessions {
    /// So many sessions.
    ended: u64,
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let text = error.to_string();
        match error {
            UserError::NoSuchUser(_) | UserError::NoSuchSession | UserError::NoSecondFactor => Self::not_found(text),
            UserError::NoSuchTeam(_) | UserError::NoTeamRole { .. } => Self::invalid("teams", text),
            UserError::BadName => Self::invalid("name", text),
            UserError::NameTaken(_) => Self::new(StatusCode::CONFLICT, Code::NameTaken, text).of_field("name"),
            UserError::BadPassword => Self::invalid("password", text),
            UserError::HasSecondFactor => Self::invalid("second_factor", text),
            UserError::Hash(_) | UserError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::TryAgain, text),
            UserError::Stale(stale) => stale.into(),
            UserError::Store(error) => error.into(),
        }
    }
}

fn of_teams(standing: &Standing) -> Vec<UserTeam> {
    standing.teams.iter().map(|(team, role)| UserTeam { team: team.clone(), role: *role }).collect()
}

/// A user by id or name.
async fn find(db: &mut Db<'_>, text: &str) -> Result<UserRow, UserError> {
    match text.parse() {
        Ok(id) => db.user(id).await?.ok_or_else(|| UserError::NoSuchUser(text.to_owned())),
        Err(_) => users::find(db, text).await,
    }
}

impl UserJson {
    fn of(user: UserRow, standing: &Standing, person: Option<Named>, has_second_factor: bool) -> Self {
        Self {
            id: user.id,
            name: user.name,
            role: standing.role,
            teams: of_teams(standing),
            person,
            has_second_factor,
            created_at: user.created_at,
            disabled_at: user.disabled_at,
        }
    }
}

impl From<Kept> for UserJson {
    fn from(kept: Kept) -> Self {
        let person = kept.person.map(|own| Named::new(own.id.to_string(), own.name));
        Self::of(kept.row, &kept.standing, person, kept.has_second_factor)
    }
}

impl From<sessions::Session> for SessionJson {
    fn from(own: sessions::Session) -> Self {
        Self {
            id: own.id,
            created_at: own.row.created_at,
            last_used_at: own.row.last_used_at,
            ends_at: own.row.expires_at,
            address: own.row.address,
            browser: own.row.browser,
        }
    }
}

/// Who may log in to the pages.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Paged),
    responses((status = 200, description = "By name", body = Listed<UserJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let (rows, with_factor) = (db.users().await?, db.users_with_second_factor().await?);
    let team_roles = db.team_roles().await?;
    let people: HashMap<PersonId, String> = db.people().await?.into_iter().map(|(own, _)| (own.id, own.name)).collect();
    let user = |row: UserRow| {
        let own = team_roles.iter().filter(|own| own.user_id == row.id);
        let standing = Standing { role: row.role, teams: own.map(|own| (own.team.clone(), own.role)).collect() };
        let has_factor = with_factor.contains(&row.id);
        let person = row.person_id.and_then(|id| Some(Named::new(id.to_string(), people.get(&id)?.clone())));
        (row.name.clone(), UserJson::of(row, &standing, person, has_factor))
    };
    Ok(paging.page(rows.into_iter().map(user).collect()).answer())
}

/// One user.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "users",
    params(("user" = String, Path, description = "Their id or name")),
    responses((status = 200, description = "The user", body = UserJson),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(user): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let mut connection = app.engine.store.read().await?;
    one(&mut connection.db(), &user, &headers).await
}

async fn one(db: &mut Db<'_>, user: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let row = find(db, user).await?;
    let kept = Kept::of(db, row).await?;
    Ok(versioned(headers, StatusCode::OK, &kept.version(), &UserJson::from(kept)))
}

/// Lets a user do other things, from their next request on: everywhere, and for single teams. What is not named stays.
#[utoipa::path(patch, path = "/api/v1/users/{user}", tag = "users", request_body = UserBody,
    params(("user" = String, Path, description = "Their id or name")),
    responses((status = 200, description = "Changed", body = UserJson),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let kept = {
        let mut connection = app.engine.store.read().await?;
        let mut db = connection.db();
        let row = find(&mut db, &user).await?;
        Kept::of(&mut db, row).await?
    };
    let (id, expected) = (kept.row.id, patch.of(kept.version())?);
    let wanted = patch.on(&UserBody::of(&kept.standing))?.standing()?;
    let set = async |work: &mut _| kept::set_standing(work, id, &wanted, &expected).await;
    app.engine.carry_out(sender.doer(), set).await?;
    one(&mut app.engine.store.read().await?.db(), &id.to_string(), &HeaderMap::new()).await
}

/// Takes the second factor away from somebody who has lost their phone, and logs them out everywhere. They log in with their password alone
/// until they have set up another one.
#[utoipa::path(delete, path = "/api/v1/users/{user}/second-factor", tag = "users",
    params(("user" = String, Path, description = "Their id or name")),
    responses((status = 204, description = "Taken away"),
        (status = 404, description = "There is no such user, or they have none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn reset_second_factor(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (user, expected) = (find(&mut app.engine.store.read().await?.db(), &user).await?, Expected::of(&headers));
    let reset = async |work: &mut Work| {
        kept::expect(work, user.id, &expected).await?;
        second_factor::reset(work, &user.name).await
    };
    app.engine.carry_out(sender.doer(), reset).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a user is logged in: the 200 sessions that were used last.
#[utoipa::path(get, path = "/api/v1/users/{user}/sessions", tag = "users",
    params(("user" = String, Path, description = "Their id or name"), Paged),
    responses((status = 200, description = "By id", body = Listed<SessionJson>),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn sessions(
    State(app): State<Arc<App>>,
    Path(user): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let user = find(&mut db, &user).await?;
    let all = sessions::of(&mut db, &user, app.engine.clock.now()).await?;
    Ok(paging.page(all.into_iter().map(|own| (own.id.clone(), SessionJson::from(own))).collect()).answer())
}

/// One session of a user.
#[utoipa::path(get, path = "/api/v1/users/{user}/sessions/{session}", tag = "users",
    params(("user" = String, Path, description = "Their id or name"), ("session" = String, Path, description = "The session's id")),
    responses((status = 200, description = "The session", body = SessionJson),
        (status = 404, description = "There is no such user or session", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn session(
    State(app): State<Arc<App>>,
    Path((user, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let user = find(&mut db, &user).await?;
    let session = sessions::one(&mut db, &user, &session, app.engine.clock.now()).await?;
    Ok(versioned(&headers, StatusCode::OK, &session.version(), &SessionJson::from(session)))
}

/// Ends one session of a user. Its open pages close within seconds.
#[utoipa::path(delete, path = "/api/v1/users/{user}/sessions/{session}", tag = "users",
    params(("user" = String, Path, description = "Their id or name"), ("session" = String, Path, description = "The session's id")),
    responses((status = 204, description = "Ended"),
        (status = 404, description = "There is no such user or session", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn end_session(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path((user, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (user, expected) = (find(&mut app.engine.store.read().await?.db(), &user).await?, Expected::of(&headers));
    let end = async |work: &mut Work| sessions::end(work, &user.name, &session, &expected).await;
    app.engine.carry_out(sender.doer(), end).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions of a user.
#[utoipa::path(post, path = "/api/v1/users/{user}/sessions/end", tag = "users",
    params(("user" = String, Path, description = "Their id or name")),
    responses((status = 200, description = "How many were ended", body = EndedSessions),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn end_sessions(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (user, expected) = (find(&mut app.engine.store.read().await?.db(), &user).await?, Expected::of(&headers));
    let end = async |work: &mut Work| {
        kept::expect(work, user.id, &expected).await?;
        sessions::end_all(work, &user.name, None).await
    };
    let ended = app.engine.carry_out(sender.doer(), end).await?;
    Ok(answer(StatusCode::OK, &EndedSessions { ended }))
}
