//! The duty roster over the API: teams, schedules, what changes them for some time, who is on duty, and how people are told.

pub mod calendars;
pub mod exceptions;
pub mod on_duty;
pub mod preview;
pub mod schedules;
pub mod shapes;
pub mod source;
pub mod swaps;
pub mod teams;
pub mod told;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use shapes::Sources;

use crate::access::senders::Sender;
use crate::app::App;
use crate::costly::CostlyError;
use crate::http::problem::{Code, Problem};
use crate::intake::alarm_request::{read_body, read_json};
use crate::keep::roster::RosterError;
use crate::roster::Roster;
use crate::store::StoreError;
use crate::versions::{Expected, Stale};

impl From<RosterError> for Problem {
    fn from(error: RosterError) -> Self {
        let (field, text) = (error.field().to_owned(), error.to_string());
        match error {
            // Where exactly stands in `errors`; `field` says what it always said.
            RosterError::At { fault, .. } => {
                let own = match *fault {
                    RosterError::EndsFirst => field.rsplit('.').next().unwrap_or_default(),
                    ref fault => fault.field(),
                };
                Self::invalid(field.clone(), text).of_field(own)
            }
            RosterError::Several(all) => {
                // There are several.
                Self::several(all.into_iter().map(Self::from).collect()).unwrap_or_else(|| Self::invalid("", text))
            }
            RosterError::Store(error) => error.into(),
            RosterError::NoSchedule(_) => Self::not_found(text),
            RosterError::NoEntry => Self::not_found(text),
            RosterError::NoSource => Self::not_found(text),
            RosterError::StaleSource => Stale.into(),
            RosterError::Followed(_) => Self::new(StatusCode::CONFLICT, Code::FollowedByLine, text),
            RosterError::Meanwhile | RosterError::Stale { .. } => Self::new(StatusCode::CONFLICT, Code::ChangedMeanwhile, text),
            RosterError::SwapIsOver(_) | RosterError::AskedAlready => Self::new(StatusCode::CONFLICT, Code::SwapIsOver, text),
            RosterError::Cannot { .. } | RosterError::NotYours => Self::new(StatusCode::CONFLICT, Code::SwapCannotBe, text),
            RosterError::TooManySwaps | RosterError::TooManySwapsOfOne | RosterError::AskedTooOften => {
                Self::new(StatusCode::CONFLICT, Code::SwapCannotBe, text)
            }
            RosterError::NameTaken(_) => Self::new(StatusCode::CONFLICT, Code::NameTaken, text),
            RosterError::Costly(error) => error.into(),
            RosterError::Import(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::ImportRefused, text),
            _ => Self::invalid(field, text),
        }
    }
}

impl From<CostlyError> for Problem {
    fn from(error: CostlyError) -> Self {
        match error {
            CostlyError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Busy, error.to_string()),
            CostlyError::TooLong => Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::TooCostly, error.to_string()),
        }
    }
}

/// A team that stands in the path and is not there.
fn team_in_path(error: RosterError) -> Problem {
    match error {
        RosterError::NoTeam(_) => Problem::not_found(error.to_string()),
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
