//! The duty roster over the API: teams, schedules, what changes them for some time, and who is on duty.

pub mod calendars;
pub mod exceptions;
pub mod on_duty;
pub mod schedules;
pub mod shapes;
pub mod source;
pub mod teams;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use shapes::Sources;

use crate::access::senders::Sender;
use crate::app::App;
use crate::costly::CostlyError;
use crate::http::problem::Problem;
use crate::intake::alarm_request::{read_body, read_json};
use crate::keep::roster::RosterError;
use crate::roster::{Roster, text};
use crate::store::StoreError;
use crate::versions::{Expected, Stale};

impl From<RosterError> for Problem {
    fn from(error: RosterError) -> Self {
        let (field, text) = (error.field(), error.to_string());
        match error {
            RosterError::Store(error) => error.into(),
            RosterError::NoSchedule(_) => Self::new(StatusCode::NOT_FOUND, "no_such_schedule", text),
            RosterError::NoEntry => Self::new(StatusCode::NOT_FOUND, "no_such_entry", text),
            RosterError::NoSource => Self::new(StatusCode::NOT_FOUND, "follows_no_calendar", text),
            RosterError::StaleSource => Stale.into(),
            RosterError::Followed(_) => Self::new(StatusCode::CONFLICT, "followed_by_line", text),
            RosterError::Meanwhile | RosterError::Stale { .. } => Self::new(StatusCode::CONFLICT, "changed_meanwhile", text),
            RosterError::NameTaken(_) => Self::new(StatusCode::CONFLICT, "name_taken", text),
            RosterError::Costly(error) => error.into(),
            RosterError::Import(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "import_refused", text),
            _ => Self::invalid(field, text),
        }
    }
}

impl From<CostlyError> for Problem {
    fn from(error: CostlyError) -> Self {
        match error {
            CostlyError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
            CostlyError::TooLong => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_costly", error.to_string()),
        }
    }
}

/// A team that stands in the path and is not there.
fn team_in_path(error: RosterError) -> Problem {
    match error {
        RosterError::NoTeam(_) => Problem::new(StatusCode::NOT_FOUND, "no_such_team", error.to_string()),
        error => error.into(),
    }
}

/// What was changed meanwhile, told to whoever said with a header what they had read.
fn stale_by_header(expected: &Expected, error: RosterError) -> Problem {
    match error {
        RosterError::Stale { .. } if *expected != Expected::Anything => Stale.into(),
        error => team_in_path(error),
    }
}

/// Reads a body of the configured size as JSON.
async fn form<T: for<'de> Deserialize<'de>>(app: &App, body: Body) -> Result<T, Problem> {
    read_json(&read_body(body, app.config().http.body_limit_bytes).await?)
}

async fn roster(app: &App) -> Result<Roster, StoreError> {
    app.engine.store.read().await?.db().roster().await
}

/// The roster, and the calendars that its schedules follow.
async fn roster_and_sources(app: &App) -> Result<(Roster, Sources), StoreError> {
    let mut reader = app.engine.store.read().await?;
    let sources = reader.db().sources().await?.into_iter().map(|own| (own.schedule_id, own)).collect();
    Ok((reader.db().roster().await?, sources))
}

/// Who makes an entry.
fn maker(sender: &Sender) -> &str {
    sender.name().unwrap_or("an open network")
}

fn removed() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The parameters of a query; any other is refused, since a misspelt one would be a wrong answer.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(query: Option<&str>, known: &[&'static str]) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        // Who asks was settled at the door.
        match pairs.iter().find(|(name, _)| name != "key" && !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Problem::invalid(name.clone(), format!("there is no parameter {name:?}"))),
            None => Ok(Self(pairs)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// An instant: RFC 3339, or a wall time of a zone.
    fn instant(&self, name: &'static str, zone: Tz) -> Result<Option<DateTime<Utc>>, Problem> {
        // An unencoded `+` of a time zone arrives as a blank; a blank between day and time is one too.
        let read = |value: &str| {
            text::instant(value, zone).or_else(|error| text::instant(&value.replace(' ', "+"), zone).map_err(|_| error))
        };
        self.get(name).map(read).transpose().map_err(|error| Problem::invalid(name, error.to_string()))
    }
}
