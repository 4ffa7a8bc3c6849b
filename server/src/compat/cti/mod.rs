//! The call RPC: `/cti/flows/…`, `/cti/notify/…`, `/cti/rpc`, sockets at `/cti/ws`, events at `/cti/events` and sound at `/cti/files/…`, over the
//! calls and conferences of the engine.
//!
//! What is refused by layers that do not know the RPC is said in its form too ([`in_its_words`]).

pub mod files;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use chrono::DateTime;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::access::senders::Sender;
use crate::app::App;
use crate::cti::envelope::{Address, LONGEST};
use crate::cti::reply;
use crate::engine::EngineError;
use crate::engine::rpc::asking::{Asked, Program};
use crate::engine::rpc::listening::{Event, Share};
use crate::http::problem::Reason;
use crate::ids::{KeyId, new_mid};
use crate::intake::alarm_request::read_body;
use crate::store::Announcement;
use crate::store::access::keys::KeyRow;

/// Nobody waits longer for events.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// Events that are left to anybody are looked for so often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// No refusal of a layer is longer, in bytes.
const MOST_DETAIL: usize = 65_536;
/// No name of a client is longer.
const LONGEST_CLIENT: usize = 64;

/// Whether an address is of the call RPC.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    path.strip_prefix("/cti").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cti/flows/{project}/{flow}", post(create))
        .route("/cti/notify/{res_id}", post(operate))
        .route("/cti/rpc", post(ask))
        .route("/cti/events", get(events))
        .route("/cti/ws", get(socket::open))
        .route("/cti/files", get(files::list))
        .route("/cti/files/{name}", put(files::keep).get(files::show).delete(files::remove))
        .layer(Extension(Arc::new(socket::Sockets::default())))
}

/// Why nothing was done.
#[derive(Debug)]
pub enum Refused {
    /// The key may not command calls.
    NoRight,
    /// Something about the request is wrong.
    Wrong(StatusCode, String),
    /// The database failed.
    Away(EngineError),
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Away(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NoRight => {
                (StatusCode::FORBIDDEN, "a key that may command calls is needed: `autocall key add --calls` makes one".to_owned())
            }
            Self::Wrong(status, text) => (status, text),
            Self::Away(error) => {
                tracing::error!(%error, "a program that commands calls could not be served");
                (StatusCode::SERVICE_UNAVAILABLE, "the server cannot store or read this now: ask again".to_owned())
            }
        };
        error(status, &text)
    }
}

/// The key of a program.
fn key(sender: &Sender) -> Result<&Arc<KeyRow>, Refused> {
    sender.of_calls().ok_or(Refused::NoRight)
}

async fn create(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path((project, flow)): Path<(String, String)>,
    body: Body,
) -> Result<Response, Refused> {
    answered(&app, &sender, body, Address::Flow { project: &project, flow: &flow }).await
}

async fn operate(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(res_id): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    answered(&app, &sender, body, Address::Notify { res_id: &res_id }).await
}

async fn ask(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Refused> {
    answered(&app, &sender, body, Address::Any).await
}

async fn answered(app: &App, sender: &Sender, body: Body, address: Address<'_>) -> Result<Response, Refused> {
    let key = key(sender)?;
    // One byte more than is read says that there is more.
    let body = match read_body(body, LONGEST + 1).await {
        Ok(body) => body,
        Err(problem) if problem.status() == StatusCode::PAYLOAD_TOO_LARGE.as_u16() => vec![b' '; LONGEST + 1].into(),
        Err(problem) => return Ok(problem.into_response()),
    };
    let by = Program { key: key.id, name: &key.name, socket: None };
    Ok(match app.engine.ask_rpc(by, &body, address).await? {
        Asked::Reply(text) => answer(StatusCode::OK, text),
        Asked::Unreadable(text) => answer(StatusCode::BAD_REQUEST, text),
        Asked::Read(_) => answer(StatusCode::OK, "{}".to_owned()),
    })
}

/// What a listener says of itself.
struct Listens {
    client: String,
    share: Share,
    after: Option<i64>,
    wait: Duration,
    numbered: bool,
}

impl Listens {
    fn read(query: Option<&str>, usual: Share) -> Result<Self, Refused> {
        let wrong = |text: &str| Refused::Wrong(StatusCode::BAD_REQUEST, text.to_owned());
        let mut listens =
            Self { client: new_mid(DateTime::UNIX_EPOCH), share: usual, after: None, wait: Duration::ZERO, numbered: false };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "client" => {
                    let is_name = (1..=LONGEST_CLIENT).contains(&value.chars().count()) && !value.chars().any(char::is_control);
                    if !is_name {
                        return Err(wrong("client is a name of 1 to 64 letters"));
                    }
                    listens.client = value.into_owned();
                }
                "share" => listens.share = Share::parse(&value).ok_or_else(|| wrong("share is own, all or one"))?,
                "after" => {
                    let after = value.parse().ok().filter(|after| *after >= 0);
                    listens.after = Some(after.ok_or_else(|| wrong("after is the number of an event"))?);
                }
                "wait" => {
                    let seconds = value.parse().map_err(|_| wrong("wait is a number of seconds"))?;
                    listens.wait = Duration::from_secs(seconds).min(LONGEST_WAIT);
                }
                "numbered" => listens.numbered = matches!(&*value, "1" | "true" | ""),
                _ => {}
            }
        }
        Ok(listens)
    }

    /// By which name it is known among those of all keys.
    fn id(&self, key: KeyId) -> String {
        format!("{key} {}", self.client)
    }
}

/// `GET /cti/events`
async fn events(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let key = key(&sender)?;
    let listens = Listens::read(query.as_deref(), Share::All)?;
    // Before the first look: whatever is announced from now on is looked at.
    let mut announcements = app.engine.store.subscribe();
    let mut listener = app.engine.rpc_listens(key.id, listens.id(key.id), listens.share, listens.after).await?;
    let until = tokio::time::Instant::now() + listens.wait;
    let told = loop {
        let told = app.engine.rpc_events(&mut listener).await?;
        if !told.is_empty() || tokio::time::Instant::now() >= until {
            break told;
        }
        tokio::select! {
            () = announced(&mut announcements) => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = tokio::time::sleep_until(until) => {}
            () = app.stopping.cancelled() => break told,
        }
    };
    let last = listener.goes_on();
    let told: Vec<String> = told.iter().map(numbered).collect();
    Ok(answer(StatusCode::OK, format!(r#"{{"events":[{}],"last":{last}}}"#, told.join(","))))
}

/// An event with its number.
fn numbered(event: &Event) -> String {
    match event.body.strip_prefix('{') {
        Some(rest) => format!(r#"{{"n":{},{rest}"#, event.n),
        None => event.body.clone(),
    }
}

/// Waits until something is announced after which there may be events.
async fn announced(announcements: &mut tokio::sync::broadcast::Receiver<Announcement>) {
    loop {
        match announcements.recv().await {
            Ok(Announcement::Rpc | Announcement::Keys | Announcement::Missed) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The store is gone, and the server soon will be.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn error(status: StatusCode, text: &str) -> Response {
    let body = reply::ascii(&json!({ "error": { "code": status.as_u16(), "message": text } }));
    let mut response = answer(status, body);
    // These are its words, also where they are 503.
    response.extensions_mut().insert(Reason("cti"));
    response
}

fn answer(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Puts whatever is refused on these paths into the form of the RPC, also by layers that do not know it.
pub async fn in_its_words(request: Request, next: Next) -> Response {
    if !is_ours(request.uri().path()) {
        return next.run(request).await;
    }
    let response = next.run(request).await;
    let status = response.status();
    let known = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if known || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (before, body) = response.into_parts();
    let told = axum::body::to_bytes(body, MOST_DETAIL).await.ok();
    let told: Option<Value> = told.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let detail = told.as_ref().and_then(|told| told["detail"].as_str()).map(str::to_owned);
    let text = detail.unwrap_or_else(|| match status {
        StatusCode::NOT_FOUND => "there is nothing at this address".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "this address does not take that method".to_owned(),
        _ => status.canonical_reason().unwrap_or("refused").to_owned(),
    });
    let mut response = error(status, &text);
    for name in [header::RETRY_AFTER, header::ALLOW, header::WWW_AUTHENTICATE] {
        if let Some(value) = before.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// What programs are told when a listener could not be kept.
fn note(error: &EngineError) {
    tracing::warn!(%error, "who listens to events of calls could not be written down");
}
