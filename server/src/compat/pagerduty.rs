//! PagerDuty's events, version 2 and 1, and its change events: what dozens of senders can post, under another address.
//!
//! The key is the routing key, or the service key, in the body. So the body is read before anybody is let in: no more than PagerDuty takes, in
//! few seconds, and few at a time.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::access::refusals::Who;
use crate::access::senders::{self, NotASender, Sender};
use crate::app::App;
use crate::http::json;
use crate::http::parsed::Parsed;
use crate::http::problem::{Code, Problem, Reason};
use crate::intake::alarm_request::read_within;
use crate::intake::signals::{self, Options};
use crate::net::seats::Seat;
use crate::signal::{Signal, pagerduty as said};

/// As PagerDuty: 512 KB.
const LONGEST: usize = 512 * 1024;
const WITHIN: Duration = Duration::from_secs(5);
/// So many bodies are read at a time, of whoever sends them.
const AT_A_TIME: usize = 16;
static READING: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_A_TIME));

/// Which of the three a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    V2,
    V1,
    Change,
}

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/enqueue", post(version_2))
        .route("/v2/change/enqueue", post(change))
        .route("/generic/2010-04-15/create_event.json", post(version_1))
}

async fn version_2(State(app): State<Arc<App>>, peer: ConnectInfo<SocketAddr>, request: Request) -> Result<Response, Response> {
    take(&app, peer.0, request, Form::V2).await
}

async fn version_1(State(app): State<Arc<App>>, peer: ConnectInfo<SocketAddr>, request: Request) -> Result<Response, Response> {
    take(&app, peer.0, request, Form::V1).await
}

async fn change(State(app): State<Arc<App>>, peer: ConnectInfo<SocketAddr>, request: Request) -> Result<Response, Response> {
    take(&app, peer.0, request, Form::Change).await
}

async fn take(app: &App, peer: SocketAddr, request: Request, form: Form) -> Result<Response, Response> {
    let in_path = senders::path_key_of(&request).map(str::to_owned);
    let options = signals::options(request.uri().query().unwrap_or_default()).map_err(|problem| refused(&problem))?;
    let who = request.extensions().get::<Who>().cloned().unwrap_or_default();
    let seat = request.extensions().get::<Seat>().cloned();
    let (parts, body) = request.into_parts();
    let body = read(body).await.map_err(|problem| refused(&problem))?;
    let in_body = if form == Form::V1 { said::key_v1(&body) } else { said::key_v2(&body) };
    let (missing, wrong) =
        if form == Form::V1 { (said::NO_KEY_V1, said::WRONG_KEY_V1) } else { (said::NO_KEY_V2, said::WRONG_KEY_V2) };
    let Some(key) = in_path.or(in_body) else { return Err(invalid(&[missing.to_owned()])) };
    let sender = admit(app, peer, &parts.headers, &key, form, wrong).await?;
    who.is(sender.name().unwrap_or_default());
    if let Some(seat) = seat {
        seat.known();
    }
    // Whoever gives no key of their own gets one to resolve it by.
    let made_up = Uuid::new_v4().simple().to_string();
    let read = match form {
        Form::V2 => said::read_v2(&body, &made_up),
        Form::V1 => said::read_v1(&body, &made_up),
        Form::Change => said::read_change(&body).map(|signal| (signal, String::new())),
    };
    let (signal, key) = read.map_err(|errors| invalid(&errors))?;
    done(app, &sender, &options, signal).await?;
    Ok(match form {
        Form::V2 => json(StatusCode::ACCEPTED, said::accepted_v2(&key).to_string()),
        Form::V1 => json(StatusCode::OK, said::accepted_v1(&key).to_string()),
        Form::Change => json(StatusCode::ACCEPTED, said::accepted_change().to_string()),
    })
}

async fn read(body: Body) -> Result<Value, Problem> {
    let full = || {
        let text = "too many events are being read at once: send this one again in a few seconds";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooMuchAtOnce, text)
    };
    let _place = tokio::time::timeout(WITHIN, READING.acquire()).await.ok().and_then(Result::ok).ok_or_else(full)?;
    let bytes = read_within(body, LONGEST, WITHIN).await?;
    Ok(Parsed::read(&bytes)?.value)
}

async fn admit(app: &App, peer: SocketAddr, headers: &HeaderMap, key: &str, form: Form, wrong: &str) -> Result<Sender, Response> {
    senders::who_raises(&app.access, peer, headers, key).await.map_err(|why| match why {
        NotASender::Unknown => invalid(&[wrong.to_owned()]),
        NotASender::Over(over) => invalid(&[over.to_string()]),
        // Version 1 tries again after 403, and version 2 after 429.
        NotASender::TooManyWrong(seconds) | NotASender::TooFast(seconds) => {
            let status = if form == Form::V1 { StatusCode::FORBIDDEN } else { StatusCode::TOO_MANY_REQUESTS };
            let mut response = with(status, &[why.to_string()]);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        NotASender::Store(error) => refused(&Problem::from(error)),
    })
}

async fn done(app: &App, sender: &Sender, options: &Options, signal: Signal) -> Result<(), Response> {
    match signals::take(app, sender, "pagerduty", options, signal).await {
        Ok(_) => Ok(()),
        Err(problem) => Err(refused(&problem)),
    }
}

fn refused(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
    // What is wrong with an event has one status here.
    with(if status == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { status }, &[problem.sentence()])
}

fn invalid(errors: &[String]) -> Response {
    with(StatusCode::BAD_REQUEST, errors)
}

fn with(status: StatusCode, errors: &[String]) -> Response {
    let mut response = json(status, said::invalid(errors).to_string()).into_response();
    response.extensions_mut().insert(Reason("pagerduty"));
    response
}
