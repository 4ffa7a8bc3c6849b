//! Barista's API, `/api/v1/call`: raises an alarm with a form, and tells its history.
//!
//! Every answer is Barista's: also one that the layers before it give, such as a missing key or a time-out, becomes
//! `{"success":"false","error":"…"}` under its own status ([`in_its_words`]). What was wrong with a parameter stands in the log.

pub mod history;
pub mod refused;
pub mod request;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::access::senders::Sender;
use crate::app::App;
use crate::config::HistoryForm;
use crate::intake::alarm_request;
use crate::telemetry::AlarmResult;
use history::{Facts, History};
use refused::CallRefused;
use request::Parameters;

/// Where it is.
pub const PATH: &str = "/api/v1/call";
/// As Barista writes it.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");

impl IntoResponse for CallRefused {
    fn into_response(self) -> Response {
        match &self {
            Self::System(_) => tracing::error!(error = %self, "a Barista client could not be served"),
            _ => tracing::info!(reason = %self, "a request of a Barista client was refused"),
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        in_words(response)
    }
}

/// The answer to a call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BaristaAccepted)]
pub struct Accepted {
    success: &'static str,
    /// What the history is asked for with: digits.
    eventid: String,
}

/// The answer to a request that is refused.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BaristaFailed)]
pub struct Failed {
    success: &'static str,
    /// 1 input, 2 system, 99 other.
    error: &'static str,
}

/// Calls people, as Barista does. The parameters may stand in a form, a multipart form, or the query.
#[utoipa::path(post, path = "/api/v1/call", tag = "barista", operation_id = "barista_call",
    params(("testflg" = String, Query, description = "0: call; 1: dry run, nobody is rung"),
        ("hostname" = String, Query, description = "The host in trouble"),
        ("operator" = String, Query, description = "Who asks"),
        ("calltype" = String, Query, description = "1: one after the other, until somebody says yes; 2: all, until everyone has answered"),
        ("frequency" = String, Query, description = "Calls to each addressee, at most 10"),
        ("language" = String, Query, description = "en, ja-jp, zh-cn or es"),
        ("message" = String, Query, description = "What happened"),
        ("headid" = String, Query, description = "1 or 2: an opening phrase"),
        ("footid" = String, Query, description = "1 or 2: a closing phrase"),
        ("addressee" = Vec<String>, Query, description = "order:userid:tel:name:sleep, once for each person")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "The same parameters"),
    responses((status = 200, description = "Accepted; or a value is wrong", body = Accepted),
        (status = 400, description = "A parameter is missing", body = Failed),
        (status = 401, description = "A key is needed, or it is wrong", body = Failed),
        (status = 503, description = "Not stored: send it again", body = Failed)))]
pub async fn call(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, CallRefused> {
    let raised = try_call(&app, &sender, query.as_deref(), &headers, body).await;
    app.engine.metrics.alarms.inc(if raised.is_ok() { AlarmResult::Created } else { AlarmResult::Refused });
    Ok(answer(&Accepted { success: "true", eventid: raised?.to_string() }))
}

async fn try_call(app: &App, sender: &Sender, query: Option<&str>, headers: &HeaderMap, body: Body) -> Result<i64, CallRefused> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await.map_err(|_| CallRefused::Body)?;
    let mut parameters = Parameters::default();
    parameters.read_form(query.unwrap_or_default().as_bytes());
    parameters.read_body(headers, body).await?;
    let raised = app.engine.raise(&request::raise_request(&parameters, sender, app.config())?).await?;
    Ok(raised.alarm.number)
}

/// What became of a call: who was rung how often, and who answered.
#[utoipa::path(get, path = "/api/v1/call", tag = "barista", operation_id = "barista_history",
    params(("eventid" = String, Query, description = "From the answer to the call; or the number of any alarm")),
    responses((status = 200, description = "The history, in an array of one", body = Vec<History>),
        (status = 400, description = "eventid is missing", body = Failed),
        (status = 401, description = "A key is needed, or it is wrong", body = Failed),
        (status = 404, description = "There is no such event", body = Failed),
        (status = 503, description = "Not readable now: ask again", body = Failed)))]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, CallRefused> {
    let mut parameters = Parameters::default();
    parameters.read_form(query.unwrap_or_default().as_bytes());
    let number = parameters.event_id()?.ok_or(CallRefused::UnknownEvent)?;
    let mut reader = app.engine.store.read().await?;
    let facts = Facts::read(&mut reader.db(), number).await?.ok_or(CallRefused::UnknownEvent)?;
    let in_bounds = match sender.within() {
        Some(bounds) => reader.db().is_within(facts.alarm(), bounds).await?,
        None => true,
    };
    if !in_bounds || !sender.reaches(&facts.alarm().integration_id) {
        return Err(CallRefused::UnknownEvent);
    }
    drop(reader);
    let form = app.config().barista.history;
    let history = history::history(facts, form);
    Ok(match form {
        HistoryForm::Documented => answer(&[history]),
        HistoryForm::Original => answer(&history),
    })
}

/// Puts whatever is refused on this path into Barista's words, also by layers that do not know them.
pub async fn in_its_words(request: Request, next: Next) -> Response {
    let is_ours = request.uri().path() == PATH;
    let response = next.run(request).await;
    if is_ours && !response.status().is_success() { in_words(response) } else { response }
}

/// The same refusal with Barista's body.
fn in_words(response: Response) -> Response {
    let error = match response.status() {
        StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => "1",
        StatusCode::SERVICE_UNAVAILABLE => "2",
        _ => "99",
    };
    let (before, _) = response.into_parts();
    let mut response = answer(&Failed { success: "false", error });
    *response.status_mut() = before.status;
    for (name, value) in &before.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn answer(body: &impl Serialize) -> Response {
    let text = match serde_json::to_string(body) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
