//! NiMbox's phone-call log: `/direct/items/phonecalls/create` and `/delete`, over the records of calls.
//!
//! Its clients look at the body of answers with a status of success, and at no other: so whatever is wrong is said with 200, also by the layers
//! before it ([`in_its_words`]). Only where the database is away they hear of it by the status, and come again.

mod request;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::senders::{self, NotALister};
use crate::alarm::doer::Doer;
use crate::app::App;
use crate::call_log::reading::between;
use crate::engine::EngineError;
use crate::engine::phone_calls::TakenCall;
use crate::http::problem::Reason;
use crate::keep::phone_calls::reread::rule;
use crate::net::seats::Seat;
use crate::store::StoreError;
use crate::store::access::keys::KeyRow;
use request::{Errors, Parameters};

const CREATE: &str = "/direct/items/phonecalls/create";
const DELETE: &str = "/direct/items/phonecalls/delete";
/// No refusal is longer, in bytes.
const MOST_DETAIL: usize = 65_536;

/// Whether an address is NiMbox's.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    [CREATE, DELETE].contains(&path)
}

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route(CREATE, any(create)).route(DELETE, any(delete))
}

/// Why nothing was done.
enum Refused {
    /// Each of these parameters is wrong.
    Wrong(Errors),
    /// The database is away.
    Away(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Away(error.to_string())
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Away(error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, errors) = match self {
            Self::Wrong(errors) => (StatusCode::OK, errors),
            Self::Away(why) => {
                tracing::error!(error = %why, "a call that another system tells of could not be stored or read");
                let text = "the server cannot store or read this now: send it again".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, BTreeMap::from([("database", text)]))
            }
        };
        failure(status, &errors)
    }
}

/// A call that is kept.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    error: bool,
    contact_id: i64,
    phonecall_id: i64,
}

/// How many calls are gone.
#[derive(Serialize)]
struct Deleted {
    count: u64,
    error: bool,
}

async fn create(State(app): State<Arc<App>>, peer: ConnectInfo<SocketAddr>, request: Request) -> Result<Response, Refused> {
    let (key, given, mut errors) = asked(&app, peer.0, request).await?;
    let said = key.as_ref().and_then(|key| key.phonecalls.as_ref()).map(|said| said.0.clone()).unwrap_or_default();
    let rule = rule(&said, app.config().phone_call_defaults());
    let call = request::call(&given, &rule, &mut errors);
    let (Some(key), Some(mut call), true) = (key, call, errors.is_empty()) else { return Err(Refused::Wrong(errors)) };
    call.key = Some(key.id);
    let by = Doer::Key { name: key.name.clone() };
    let (contact_id, phonecall_id) = match app.engine.take_phone_call(&call, by).await? {
        TakenCall::Kept(ids) => (ids.contact, ids.id),
        TakenCall::TooOld(contact) => (contact.unwrap_or_default(), 0),
        TakenCall::ToNobody => {
            errors.insert("destination", "nobody here has this number".to_owned());
            return Err(Refused::Wrong(errors));
        }
    };
    Ok(answer(StatusCode::OK, &Created { error: false, contact_id, phonecall_id }))
}

async fn delete(State(app): State<Arc<App>>, peer: ConnectInfo<SocketAddr>, request: Request) -> Result<Response, Refused> {
    let (key, given, mut errors) = asked(&app, peer.0, request).await?;
    let days = (request::day(&given, "from", &mut errors), request::day(&given, "to", &mut errors));
    let (Some(key), (Some(from), Some(to)), true) = (key, days, errors.is_empty()) else { return Err(Refused::Wrong(errors)) };
    let said = key.phonecalls.as_ref().map(|said| said.0.clone()).unwrap_or_default();
    let zone = rule(&said, app.config().phone_call_defaults()).zone;
    let count = match between(from, to, zone) {
        Some((first, end)) => app.engine.delete_phone_calls(first, end).await?,
        None => 0,
    };
    if count > 0 {
        tracing::info!(key.name = %key.name, count, %from, %to, "calls that other systems listed were deleted");
    }
    Ok(answer(StatusCode::OK, &Deleted { count, error: false }))
}

/// Who asks and for what. What is wrong so far stands in the errors, where there is no key `token` does.
async fn asked(app: &App, peer: SocketAddr, request: Request) -> Result<(Option<Arc<KeyRow>>, Parameters, Errors), Refused> {
    let seat = request.extensions().get::<Seat>().cloned();
    let in_path = senders::path_key_of(&request).map(str::to_owned);
    let (parts, body) = request.into_parts();
    let mut errors = Errors::new();
    let given = match request::read(&parts, body, app.config().http.body_limit_bytes).await {
        Ok(given) => given,
        Err(why) => {
            errors.insert("request", why);
            Parameters::of_query(parts.uri.query())
        }
    };
    let token = in_path.unwrap_or_else(|| given.get("token").trim().to_owned());
    match senders::who_lists(&app.access, peer, &parts.headers, &token).await {
        Ok(key) => {
            seat.inspect(Seat::known);
            Ok((Some(key), given, errors))
        }
        Err(NotALister::Store(error)) => Err(error.into()),
        Err(why) => {
            errors.insert("token", why.to_string());
            Ok((None, given, errors))
        }
    }
}

fn failure(status: StatusCode, errors: &Errors) -> Response {
    let mut response = answer(status, &json!({ "error": true, "errors": errors }));
    // These are its words, also where they are 503.
    response.extensions_mut().insert(Reason("phonecalls"));
    response
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let text = match serde_json::to_string(body) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = (status, text).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // A look changes something here, so nobody may keep its answer or look in advance.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why a layer refuses, by its own words.
async fn why(status: StatusCode, body: Body) -> String {
    let told = axum::body::to_bytes(body, MOST_DETAIL).await.ok();
    let told: Option<Value> = told.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let detail = told.as_ref().and_then(|told| told["detail"].as_str()).map(str::to_owned);
    detail.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned())
}

/// Puts whatever is refused on these paths into NiMbox's words, also by layers that do not know them.
pub async fn in_its_words(request: Request, next: Next) -> Response {
    if !is_ours(request.uri().path()) {
        return next.run(request).await;
    }
    if ![Method::GET, Method::POST].contains(request.method()) {
        // A HEAD as well: whoever only wants to look must not change anything.
        let text = format!("{} is not taken here: send GET or POST", request.method());
        let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, &BTreeMap::from([("request", text)]));
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        return response;
    }
    let response = next.run(request).await;
    let known = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if known {
        return response;
    }
    let status = response.status();
    let text = why(status, response.into_body()).await;
    let status = if status == StatusCode::INTERNAL_SERVER_ERROR { status } else { StatusCode::OK };
    failure(status, &BTreeMap::from([("request", text)]))
}
