//! blast-api's API: `/api/v1/shouts`, `/api/v1/calls` and `/api/v1/dnc`, over shouts of the engine.
//!
//! Every answer is in its words, also one that the layers before it give: an object with `detail` under the same status ([`in_its_words`]).

pub mod described;
pub mod refused;
pub mod request;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::senders::{self, Sender};
use crate::app::App;
use crate::http::problem::Reason;
use crate::intake::alarm_request;
use crate::keep::media;
use crate::links::Listener;
use crate::rights::Right;
use crate::store::access::keys::KeyRow;
use crate::store::shouts::rows::ShoutRow;
use refused::BlastRefused;

/// What a key needs for all of this.
pub const RIGHT: Right = Right::Shouts;
/// A list of shouts names at most so many recipients: those of the latest.
const MOST_LISTED: usize = 100_000;
/// And holds at most so many shouts.
const MOST_SHOUTS: i64 = 1_000;
/// At most so many opted out are listed.
const MOST_OPTED_OUT: i64 = 100_000;
/// An address at which a message is heard lasts so long.
const HEARD_FOR: TimeDelta = TimeDelta::days(30);
/// How the address ends at which a shout is taken back.
const CANCEL: &str = ";cancel";
const ALLOWED_TO_CANCEL: &str = "DELETE, OPTIONS";
const ALLOWED_OF_ONE: &str = "GET, OPTIONS";
const ALLOWED_OF_ALL: &str = "GET, POST, OPTIONS";
/// No refusal is longer, in bytes.
const MOST_DETAIL: usize = 65_536;

/// Whether an address is blast-api's.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/api/v1/shouts") || below("/api/v1/calls") || below("/api/v1/dnc")
}

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/shouts", get(list).post(make).options(metadata))
        .route("/api/v1/shouts/{id}", get(show).delete(cancel).options(metadata))
        .route("/api/v1/calls", get(calls).options(metadata))
        .route("/api/v1/dnc/{userdata}", get(opted_out).options(metadata))
        .route("/api/v1/dnc/{userdata}/{number}", axum::routing::delete(opt_in).options(metadata))
}

impl IntoResponse for BlastRefused {
    fn into_response(self) -> Response {
        if let Self::System(why) = &self {
            tracing::error!(error = %why, "a blast-api client could not be served");
        }
        let (status, in_object) = self.form();
        let text = self.to_string();
        let mut response = if in_object { answer(status, &json!({ "detail": text })) } else { answer(status, &text) };
        if matches!(self, Self::TooMany(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("600"));
        }
        // These are its words, also where they are 503.
        response.extensions_mut().insert(Reason("shout"));
        response
    }
}

/// A shout as its clients read it, its keys in this order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BlastShout)]
struct Shout {
    id: i64,
    created: String,
    caller: String,
    status: &'static str,
    title: Option<String>,
    schedule: Option<String>,
    userdata: String,
    recipients: Vec<String>,
    voc: Option<Voc>,
    recipients_requested_dnc: bool,
}

/// Its message.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BlastVoc)]
struct Voc {
    created: String,
    length: i32,
    url: Option<String>,
}

/// A call of one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BlastCall)]
struct Call {
    id: i64,
    started: Option<String>,
    finished: Option<String>,
    shout_id: i64,
    phone: String,
    status: &'static str,
}

/// The key of a sender, where it may send shouts.
fn key(sender: &Sender) -> Result<&Arc<KeyRow>, BlastRefused> {
    sender.key.as_ref().filter(|key| key.may(RIGHT)).ok_or(BlastRefused::NoRight)
}

async fn make(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, BlastRefused> {
    let key = key(&sender)?;
    let longest = request::longest(&headers, app.config().http.body_limit_bytes);
    let body = match alarm_request::read_body(body, longest).await {
        Ok(body) => body,
        Err(problem) => return Ok(problem.into_response()),
    };
    let request::Sent { fields, recording } = request::read(&headers, body).await?;
    let most = app.config().shouts.most_recipients;
    let now = app.engine.clock.now();
    let old = request::old_shout(&fields, now)?;
    if let Some(id) = old {
        app.engine.store.read().await?.db().shout(id, key.id).await?.ok_or(BlastRefused::NoOldShout(id))?;
    }
    let sound = match recording {
        Some(file) => Some(media::anew(file).await?),
        None => None,
    };
    let wanted = request::shout(&fields, key, sender.doer(), (old, sound, most), now)?;
    let shout = app.engine.take_shout(&wanted).await?;
    let told = told(&app, &shout, key).await?;
    Ok(answer(StatusCode::OK, &told))
}

async fn list(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, BlastRefused> {
    let key = key(&sender)?;
    let userdata = parameter(query.as_deref(), "userdata").ok_or(BlastRefused::UserDataRequired)?;
    let shouts = match written(&userdata) {
        Some(userdata) => app.engine.store.read().await?.db().shouts_of(key.id, userdata, MOST_SHOUTS).await?,
        None => Vec::new(),
    };
    let (mut all, mut named) = (Vec::new(), 0);
    for shout in shouts {
        let told = told(&app, &shout, key).await?;
        named += told.recipients.len();
        if named > MOST_LISTED && !all.is_empty() {
            break;
        }
        all.push(told);
    }
    all.reverse();
    Ok(answer(StatusCode::OK, &all))
}

async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Result<Response, BlastRefused> {
    if id.ends_with(CANCEL) {
        return Ok(not_allowed(&Method::GET, ALLOWED_TO_CANCEL));
    }
    let key = key(&sender)?;
    let id = id.parse().map_err(|_| BlastRefused::NotFound)?;
    let shout = app.engine.store.read().await?.db().shout(id, key.id).await?.ok_or(BlastRefused::NotFound)?;
    Ok(answer(StatusCode::OK, &told(&app, &shout, key).await?))
}

async fn cancel(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Result<Response, BlastRefused> {
    let Some(id) = id.strip_suffix(CANCEL) else { return Ok(not_allowed(&Method::DELETE, ALLOWED_OF_ONE)) };
    let key = key(&sender)?;
    let id = id.parse().map_err(|_| BlastRefused::NotFound)?;
    app.engine.cancel_shout(key.id, id, sender.doer()).await?.ok_or(BlastRefused::NotFound)?;
    Ok(created())
}

async fn calls(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, BlastRefused> {
    let key = key(&sender)?;
    let id = parameter(query.as_deref(), "shout-id").ok_or(BlastRefused::ShoutIdRequired)?;
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let wrong =
        || if is_number { BlastRefused::NotFound } else { BlastRefused::Value("shout-id has to be an integer".to_owned()) };
    let id: i64 = id.parse().map_err(|_| wrong())?;
    let mut reader = app.engine.store.read().await?;
    let shout = reader.db().shout(id, key.id).await?.ok_or(BlastRefused::NotFound)?;
    let calls = reader.db().shout_calls(shout.id).await?;
    let one = |row: crate::store::shouts::calls::ShoutCallRow| Call {
        id: row.id,
        started: row.started_at.map(time),
        finished: row.finished_at.map(time),
        shout_id: row.shout_id,
        phone: row.phone,
        status: row.status.as_str(),
    };
    Ok(answer(StatusCode::OK, &calls.into_iter().map(one).collect::<Vec<_>>()))
}

async fn opted_out(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(userdata): Path<String>,
) -> Result<Response, BlastRefused> {
    let key = key(&sender)?;
    let rows = match written(&userdata) {
        Some(userdata) => app.engine.store.read().await?.db().opted_out_of(key.id, userdata, MOST_OPTED_OUT).await?,
        None => Vec::new(),
    };
    Ok(answer(StatusCode::OK, &rows.iter().map(|row| json!({ "number": row.phone })).collect::<Vec<_>>()))
}

async fn opt_in(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path((userdata, phone)): Path<(String, String)>,
) -> Result<Response, BlastRefused> {
    let key = key(&sender)?;
    let done = match (written(&userdata), written(&phone)) {
        (Some(userdata), Some(phone)) => app.engine.let_shouts_call(key.id, userdata, phone, sender.doer()).await?,
        _ => false,
    };
    Ok(match done {
        true => created(),
        false => answer(StatusCode::OK, &"There is no such combination of userdata and number"),
    })
}

async fn metadata(request: Request) -> Response {
    let name = match request.uri().path() {
        "/api/v1/shouts" => "Shout List",
        path if path.starts_with("/api/v1/shouts/") => "Shout Instance",
        "/api/v1/calls" => "Call List",
        _ => "Do Not Call Number List",
    };
    let parses = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
    answer(StatusCode::OK, &json!({ "name": name, "description": "", "renders": ["application/json"], "parses": parses }))
}

/// A shout as its client reads it.
async fn told(app: &App, shout: &ShoutRow, key: &KeyRow) -> Result<Shout, BlastRefused> {
    let mut reader = app.engine.store.read().await?;
    let mut db = reader.db();
    let recipients = db.shout_phones(shout.id).await?;
    let asked_for_peace = db.shout_was_opted_out_of(shout.id).await?;
    let length = shout.seconds;
    let voc = shout.recorded_at.map(|at| Voc {
        created: time(at),
        length,
        url: shout.media_id.map(|media| {
            let (path, _) = app.engine.hearing_path(media, Listener::Key(key.id), HEARD_FOR);
            format!("{}{path}", app.config().http.public_url.as_deref().unwrap_or_default())
        }),
    });
    Ok(Shout {
        id: shout.id,
        created: time(shout.created_at),
        caller: shout.caller.clone(),
        status: shout.status.as_str(),
        title: shout.title.clone(),
        schedule: shout.schedule.map(time),
        userdata: shout.userdata.clone(),
        recipients,
        voc,
        recipients_requested_dnc: asked_for_peace,
    })
}

/// `2026-01-31T09:30:00.000001Z`; no fraction where there is none.
fn time(at: DateTime<Utc>) -> String {
    let form = if at.timestamp_subsec_micros() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.6fZ" };
    at.format(form).to_string()
}

/// The last value of a parameter of the query, unless it is empty.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(own, _)| own == name).last().map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}

/// A text as it is kept; `None` where none that is kept is like that.
fn written(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.chars().any(char::is_control))
}

fn created() -> Response {
    StatusCode::CREATED.into_response()
}

fn not_allowed(method: &Method, allowed: &'static str) -> Response {
    let text = format!("Method \"{method}\" not allowed.");
    let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, &json!({ "detail": text }));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
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

/// Puts whatever is refused on these paths into blast-api's words, also by layers that do not know them.
pub async fn in_its_words(request: Request, next: Next) -> Response {
    if !is_ours(request.uri().path()) {
        return next.run(request).await;
    }
    let method = request.method().clone();
    if method == Method::HEAD {
        let path = request.uri().path();
        let removes = path.contains("/dnc/") && path.matches('/').count() > 4;
        let allowed = match path {
            "/api/v1/shouts" => ALLOWED_OF_ALL,
            _ if removes => ALLOWED_TO_CANCEL,
            _ => ALLOWED_OF_ONE,
        };
        return not_allowed(&method, allowed);
    }
    let shows_key = senders::shows_key(&request);
    let response = next.run(request).await;
    let known = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let status = response.status();
    if status.is_success() || known {
        return response;
    }
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => format!("Method \"{method}\" not allowed."),
        StatusCode::NOT_FOUND => "Not found.".to_owned(),
        StatusCode::UNAUTHORIZED if shows_key => "Invalid username/password.".to_owned(),
        StatusCode::UNAUTHORIZED => "Authentication credentials were not provided.".to_owned(),
        _ => String::new(),
    };
    let (before, body) = response.into_parts();
    let detail = if detail.is_empty() { why(status, body).await } else { detail };
    let mut response = answer(status, &json!({ "detail": detail }));
    for (name, value) in &before.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CACHE_CONTROL].contains(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
