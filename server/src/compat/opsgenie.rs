//! Opsgenie's Alert API, version 2, also under the address of its successor: alerts by name, acknowledged, closed, remarked upon.
//!
//! A request is answered at once with its number, under which what became of it is read: Zabbix asks until it knows. That number holds what
//! has to be known for that answer, so that any node can give it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, OriginalUri, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::access::senders::Sender;
use crate::alarm::AlarmState;
use crate::app::App;
use crate::http::json as answered;
use crate::http::parsed::Parsed;
use crate::http::problem::{Problem, Reason};
use crate::ids::AlarmId;
use crate::intake::alarm_request::read_body;
use crate::intake::signals::{self, Options};
use crate::signal::opsgenie::{self as said, Action, Identifier, Outcome, Shown};
use crate::signal::{Signal, Word};
use crate::store::alarm::alarms::AlarmRow;

/// As long as any message of a monitoring system.
const LONGEST: usize = 4 << 20;
/// Opsgenie's address, and that of its successor.
const BEFORE: [&str; 2] = ["/v2/", "/jsm/ops/integration/v2/"];
/// No refusal of a layer is longer, in bytes.
const MOST_DETAIL: usize = 65_536;

/// Whether an address is Opsgenie's.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    below(path).is_some_and(|rest| rest == "alerts" || rest.starts_with("alerts/"))
}

fn below(path: &str) -> Option<&str> {
    BEFORE.iter().find_map(|before| path.strip_prefix(before))
}

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    BEFORE.iter().fold(Router::new(), |router, before| {
        router.route(&format!("{before}alerts"), any(answer)).route(&format!("{before}alerts/{{*rest}}"), any(answer))
    })
}

/// One request.
struct Asked<'a> {
    app: &'a App,
    sender: &'a Sender,
    began: Instant,
    number: String,
    options: Options,
}

impl Asked<'_> {
    fn took(&self) -> Duration {
        self.began.elapsed()
    }

    fn refused(&self, problem: &Problem) -> Response {
        let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let errors = [(problem.field().unwrap_or("request").to_owned(), problem.sentence())].into();
        let body = if status == StatusCode::TOO_MANY_REQUESTS {
            said::too_many(self.took(), &self.number)
        } else {
            said::unprocessable(&errors, self.took(), &self.number)
        };
        in_words(status, &body)
    }

    fn nothing(&self) -> Response {
        in_words(StatusCode::NOT_FOUND, &said::not_found(self.took(), &self.number))
    }

    async fn alarm(&self, which: &Identifier) -> Result<Option<AlarmRow>, Problem> {
        let mut reader = self.app.engine.store.read().await?;
        let mut db = reader.db();
        let own = self.sender.integration_id();
        let alarm = match which {
            Identifier::Id(id) => match id.parse::<AlarmId>() {
                Ok(id) => db.alarm(id).await?,
                Err(_) => None,
            },
            Identifier::Tiny(number) => match i64::try_from(*number) {
                Ok(number) => db.alarm_by_number(number).await?,
                Err(_) => None,
            },
            Identifier::Alias(alias) => db.open_alarm_with_key(&own, &signals::kept_key(alias)).await?,
        };
        Ok(alarm.filter(|alarm| alarm.integration_id == own && alarm.kind.is_alarm()))
    }
}

async fn answer(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    body: Body,
) -> Response {
    let mut asked = Asked {
        app: &app,
        sender: &sender,
        began: Instant::now(),
        number: Uuid::new_v4().to_string(),
        options: Options::default(),
    };
    match signals::options(uri.query().unwrap_or_default()) {
        Ok(options) => asked.options = options,
        Err(problem) => return asked.refused(&problem),
    }
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let action = below(uri.path()).and_then(|rest| said::action(method.as_str(), rest, &query));
    let Some((action, which)) = action else { return asked.nothing() };
    match act(&asked, &action, which, body, &query).await {
        Ok(response) => response,
        Err(problem) => asked.refused(&problem),
    }
}

async fn act(
    asked: &Asked<'_>,
    action: &Action,
    which: Option<Identifier>,
    body: Body,
    query: &BTreeMap<String, String>,
) -> Result<Response, Problem> {
    match (action, which) {
        (Action::RequestStatus(number), _) => status_of(asked, number).await,
        (Action::Show, Some(which)) => {
            let Some(alarm) = asked.alarm(&which).await? else { return Ok(asked.nothing()) };
            Ok(in_words(StatusCode::OK, &said::alert(&shown(asked, &alarm))))
        }
        (Action::Create, _) => {
            let body = read(body).await?;
            match said::create(&body) {
                Ok(signal) => take(asked, action, signal).await,
                Err(errors) => {
                    let body = said::unprocessable(&errors, asked.took(), &asked.number);
                    Ok(in_words(StatusCode::UNPROCESSABLE_ENTITY, &body))
                }
            }
        }
        (_, Some(which)) => {
            // Whoever deletes says who they are in the address.
            let said = if *action == Action::Delete { json!(query) } else { read(body).await? };
            let word = said::told(action, &said);
            let by_name = matches!(which, Identifier::Alias(_));
            let is_open = |alarm: &AlarmRow| by_name || alarm.dedup_open;
            // One that is over is not meant by whoever came later under the same name.
            let known = asked.alarm(&which).await?.filter(is_open);
            let key = known.and_then(|alarm| alarm.dedup_key.map(|key| (alarm.id, key)));
            match key {
                Some((_, key)) => take(asked, action, Signal { key: Some(key), ..Signal::of(word) }).await,
                // Closing what is not open is taken, as there; its status says that nothing was done.
                None => Ok(accepted(asked, action, None)),
            }
        }
        (_, None) => Ok(asked.nothing()),
    }
}

async fn read(body: Body) -> Result<Value, Problem> {
    let bytes = read_body(body, LONGEST).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    Ok(Parsed::read(&bytes)?.value)
}

async fn take(asked: &Asked<'_>, action: &Action, mut signal: Signal) -> Result<Response, Problem> {
    if signal.key.is_none() && signal.word == Word::Firing {
        // It is closed by the number that it is given, so it needs a key.
        signal.key = Some(asked.number.clone());
    }
    let became = signals::take(asked.app, asked.sender, "opsgenie", &asked.options, signal).await?;
    Ok(accepted(asked, action, became.id))
}

/// The number of a request holds what was asked and which alarm that was about.
fn accepted(asked: &Asked<'_>, action: &Action, alarm: Option<AlarmId>) -> Response {
    let alarm = alarm.map_or_else(|| Uuid::nil().to_string(), |id| id.to_string());
    let number = format!("{alarm}-{}", action.called());
    in_words(StatusCode::ACCEPTED, &said::will_be_processed(asked.took(), &number))
}

async fn status_of(asked: &Asked<'_>, number: &str) -> Result<Response, Problem> {
    let Some((alarm, called)) = number.rsplit_once('-') else { return Ok(asked.nothing()) };
    let Some(action) = said::ACTIONS.iter().find(|action| action.called() == called) else { return Ok(asked.nothing()) };
    let known = match alarm.parse::<Uuid>() {
        Ok(id) if id.is_nil() => None,
        Ok(_) => match asked.alarm(&Identifier::Id(alarm.to_owned())).await? {
            Some(alarm) => Some(alarm),
            None => return Ok(asked.nothing()),
        },
        Err(_) => return Ok(asked.nothing()),
    };
    let outcome = Outcome {
        request: number.to_owned(),
        took: asked.took(),
        action: action.called().to_owned(),
        done: known.is_some(),
        status: action.status(known.is_some()).to_owned(),
        at: known.as_ref().map_or_else(|| asked.app.engine.clock.now(), |alarm| alarm.last_repeat_at),
        integration: asked.sender.integration_id(),
        alert: known.as_ref().map(|alarm| alarm.id.to_string()),
        alias: known.and_then(|alarm| alarm.dedup_key),
    };
    Ok(in_words(StatusCode::OK, &said::request_status(&outcome)))
}

fn shown(asked: &Asked<'_>, alarm: &AlarmRow) -> Shown {
    let state = alarm.state();
    Shown {
        request: asked.number.clone(),
        took: asked.took(),
        id: alarm.id.to_string(),
        tiny: u64::try_from(alarm.number).unwrap_or_default(),
        alias: alarm.dedup_key.clone(),
        message: alarm.summary.clone(),
        open: !matches!(state, AlarmState::Cancelled | AlarmState::Resolved),
        acknowledged: state == AlarmState::Answered,
        priority: alarm.priority,
    }
}

fn in_words(status: StatusCode, body: &Value) -> Response {
    let mut response = answered(status, body.to_string()).into_response();
    response.extensions_mut().insert(Reason("opsgenie"));
    response
}

/// Puts whatever layers refuse on these paths into Opsgenie's words.
pub async fn in_its_words(request: Request, next: Next) -> Response {
    if !is_ours(request.uri().path()) {
        return next.run(request).await;
    }
    let (began, number) = (Instant::now(), Uuid::new_v4().to_string());
    let response = next.run(request).await;
    let problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if !problem {
        return response;
    }
    let status = response.status();
    let (before, body) = response.into_parts();
    let told = axum::body::to_bytes(body, MOST_DETAIL).await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let detail = told.as_ref().and_then(|told| told["detail"].as_str()).unwrap_or("refused").to_owned();
    let body = match status {
        StatusCode::UNAUTHORIZED => said::not_authenticated(began.elapsed(), &number),
        StatusCode::TOO_MANY_REQUESTS => said::too_many(began.elapsed(), &number),
        _ => said::unprocessable(&[("request".to_owned(), detail)].into(), began.elapsed(), &number),
    };
    let mut response = in_words(status, &body);
    if let Some(after) = before.headers.get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    response
}
