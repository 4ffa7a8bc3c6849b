//! Where the fields of a foreign form stand that a key sends to the generic receiver, as its sender says it: `/api/v1/intake/generic/places`.
//!
//! How it signs is not said here: a key that could say by itself that it need not sign would be one that need not.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarm_request;
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::problem::{Code, Problem};
use crate::http::versions::versioned;
use crate::keep::keys::{self, KeyError};
use crate::signal::generic::{Places, WrongPlace};
use crate::store::access::keys::KeyRow;
use crate::versions::Expected;

/// Where the fields of what a key sends stand.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacesBody {
    /// Fields with their JSON Pointers (RFC 6901), such as summary with /alert/title. The fields: state, summary, details, `dedup_key`,
    /// priority, url, phones, time, labels, by.
    #[serde(default)]
    pub pointers: BTreeMap<String, String>,
    /// What stands at the place of the state when it is over; where these are said, nothing else means that.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub resolved: Vec<String>,
}

impl PlacesBody {
    fn of(key: &KeyRow) -> Self {
        let places = key.places.as_ref().map(|places| places.0.clone()).unwrap_or_default();
        Self { pointers: places.pointers, resolved: places.resolved }
    }

    /// What it says, checked.
    fn places(&self) -> Result<Places, Problem> {
        let mut places = Places::default();
        for (field, pointer) in &self.pointers {
            places.place(field, pointer).map_err(|wrong| Problem::invalid("pointers", wrong.to_string()))?;
        }
        places.say_resolved(&self.resolved).and_then(|()| places.check()).map_err(|wrong| misplaced(&wrong))?;
        Ok(places)
    }
}

fn misplaced(wrong: &WrongPlace) -> Problem {
    let field = match wrong {
        WrongPlace::Words | WrongPlace::NoState => "resolved",
        _ => "pointers",
    };
    Problem::invalid(field, wrong.to_string())
}

/// The places of the key that asks.
#[utoipa::path(get, path = "/api/v1/intake/generic/places", tag = "senders", operation_id = "places",
    responses((status = 200, description = "Where the fields of what this key sends stand", body = PlacesBody),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = app.engine.store.read().await?.db().key(own(&sender)?.id).await?.ok_or_else(keyless)?;
    Ok(versioned(&headers, StatusCode::OK, &key.version(), &PlacesBody::of(&key)))
}

/// Replaces the places of the key that asks.
#[utoipa::path(put, path = "/api/v1/intake/generic/places", tag = "senders", operation_id = "put_places", request_body = PlacesBody,
    responses((status = 200, description = "Stored", body = PlacesBody),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = own(&sender)?.name.clone();
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: PlacesBody = alarm_request::read_json(&body)?;
    let places = body.places()?;
    let mut work = app.engine.work(sender.doer()).await?;
    let key = keys::replace_places(&mut work, &name, &places, &Expected::of(&headers)).await.map_err(refused)?;
    work.commit().await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &key.version(), &PlacesBody::of(&key)))
}

/// The key of a sender that has one.
fn own(sender: &Sender) -> Result<&KeyRow, Problem> {
    sender.key.as_deref().ok_or_else(keyless)
}

fn keyless() -> Problem {
    let text = "places are kept with a key: show yours, or make one with `autocall key add --name NAME`";
    Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, text)
}

fn refused(error: KeyError) -> Problem {
    match error {
        KeyError::Place(wrong) => misplaced(&wrong),
        KeyError::Stale(stale) => stale.into(),
        KeyError::Store(error) => error.into(),
        // It was revoked meanwhile.
        _ => keyless(),
    }
}
