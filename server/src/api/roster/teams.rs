//! `/api/v1/teams`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::shapes::TeamJson;
use super::{form, removed, roster, stale_by_header, team_in_path};
use crate::access::senders::Sender;
use crate::api::requests::merge::Patch;
use crate::app::App;
use crate::http::listing::{Listed, Paged, Paging, located};
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::ids::TeamId;
use crate::keep::roster::forms::TeamForm;
use crate::keep::roster::{find_team, teams};
use crate::versions::{Expected, Version};

/// All teams by name.
#[utoipa::path(get, path = "/api/v1/teams", tag = "roster", params(Paged),
    responses((status = 200, description = "By name", body = Listed<TeamJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (paging, roster) = (Paging::read(query.as_deref())?, roster(&app).await?);
    let teams = roster.teams.iter().map(|team| (team.name.clone(), TeamJson::of(&roster, team))).collect();
    Ok(paging.page(teams).answer())
}

/// Adds a team.
#[utoipa::path(post, path = "/api/v1/teams", tag = "roster", request_body = TeamForm,
    responses((status = 201, description = "The team", body = TeamJson),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let form: TeamForm = form(&app, body).await?;
    let id = app.engine.carry_out(sender.doer(), async |work| teams::add(work, &form).await).await?;
    Ok(located(&format!("/api/v1/teams/{id}"), show_one(&app, &HeaderMap::new(), StatusCode::CREATED, id).await?))
}

/// One team.
#[utoipa::path(get, path = "/api/v1/teams/{team}", tag = "roster",
    params(("team" = String, Path, description = "The team's name or id")),
    responses((status = 200, description = "The team", body = TeamJson),
        (status = 404, description = "There is no such team", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(team): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let id = find_team(&roster(&app).await?, &team).map_err(team_in_path)?.id;
    show_one(&app, &headers, StatusCode::OK, id).await
}

/// Changes a team: name and members become those of the body.
#[utoipa::path(put, path = "/api/v1/teams/{team}", tag = "roster", request_body = TeamForm,
    params(("team" = String, Path, description = "The team's name or id")),
    responses((status = 200, description = "The team", body = TeamJson),
        (status = 404, description = "There is no such team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(team): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut form: TeamForm = form(&app, body).await?;
    let expected = Expected::of(&headers);
    if expected != Expected::Anything {
        let current = find_team(&roster(&app).await?, &team).map_err(team_in_path)?.version;
        form.version = expected.counted(current)?.or(form.version).or(Some(current));
    }
    if form.version.is_none() {
        return Err(Problem::invalid(
            "version",
            "give the version that you have read, here or its ETag as If-Match, so that nobody's change is lost",
        ));
    }
    let changed = app.engine.carry_out(sender.doer(), async |work| teams::change(work, &team, &form).await).await;
    let id = changed.map_err(|error| stale_by_header(&expected, error))?;
    show_one(&app, &HeaderMap::new(), StatusCode::OK, id).await
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/teams/{team}", tag = "roster", request_body = TeamForm,
    params(("team" = String, Path, description = "The team's name or id")),
    responses((status = 200, description = "Changed", body = TeamJson),
        (status = 404, description = "There is no such team", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(team): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let roster = roster(&app).await?;
    let current = find_team(&roster, &team).map_err(team_in_path)?;
    let expected = patch.of(Version::named(current.version))?;
    let members = current.members.iter().map(ToString::to_string).collect();
    let form: TeamForm = patch.on(&TeamForm { name: current.name.clone(), members, version: Some(current.version) })?;
    let changed = app.engine.carry_out(sender.doer(), async |work| teams::change(work, &team, &form).await).await;
    let id = changed.map_err(|error| stale_by_header(&expected, error))?;
    show_one(&app, &HeaderMap::new(), StatusCode::OK, id).await
}

/// Removes a team; its schedules stay.
#[utoipa::path(delete, path = "/api/v1/teams/{team}", tag = "roster",
    params(("team" = String, Path, description = "The team's name or id")),
    responses((status = 204, description = "It is gone"),
        (status = 409, description = "A public number follows it", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such team", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(team): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = Expected::of(&headers);
    let removed_by = app.engine.carry_out(sender.doer(), async |work| teams::remove(work, &team, &expected).await).await;
    removed_by.map_err(|error| stale_by_header(&expected, error))?;
    Ok(removed())
}

async fn show_one(app: &App, headers: &HeaderMap, status: StatusCode, id: TeamId) -> Result<Response, Problem> {
    let roster = roster(app).await?;
    let team = find_team(&roster, &id.to_string()).map_err(team_in_path)?;
    Ok(versioned(headers, status, &Version::named(team.version), &TeamJson::of(&roster, team)))
}
