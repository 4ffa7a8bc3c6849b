//! What a change of the roster would do: told instead of done, for whoever asks with `dry_run=true`.

use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::Named;
use crate::alarm::doer::Doer;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::Query;
use crate::http::problem::Problem;
use crate::ids::PersonId;
use crate::keep::roster::preview::{self, Plans, Preview};
use crate::roster::Target;
use crate::roster::changes::difference::{Difference, Span};
use crate::store::{StoreError, Work};

/// Whether a request asks what would change, and wants nothing changed.
///
/// # Errors
/// When it says neither yes nor no.
pub fn dry_run(query: Option<&str>) -> Result<bool, Problem> {
    match Query::read(query)?.get("dry_run")? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::parameter("dry_run", "dry_run must be true or false")),
    }
}

/// What a change would do. Nothing was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct DutyPreviewJson {
    /// Always true.
    dry_run: bool,
    /// From when on it was looked what differs: now.
    starts_at: DateTime<Utc>,
    /// Up to when: four weeks ahead.
    ends_at: DateTime<Utc>,
    /// By schedule, and by team where that has none; empty where nobody else would be on duty.
    differences: Vec<DutyDifferenceJson>,
}

/// What would differ by one schedule, or for one team without a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub struct DutyDifferenceJson {
    schedule: Option<Named>,
    team: Option<Named>,
    /// Who is on duty now.
    on_duty_before: Vec<Named>,
    /// Who would be on duty now.
    on_duty_after: Vec<Named>,
    /// Who would come on duty at once.
    comes: Vec<Named>,
    /// Whose duty would end at once.
    ends: Vec<Named>,
    /// The times in which others would be on duty, in order: at most 50.
    shifts: Vec<DutySpanJson>,
    /// There are more of these times than are told.
    more: bool,
}

/// A time in which others would be on duty.
#[derive(Debug, Serialize, ToSchema)]
pub struct DutySpanJson {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Who is to be on duty as it is planned.
    before: Vec<Named>,
    /// Who would be.
    after: Vec<Named>,
}

fn people(plans: &Plans, people: impl IntoIterator<Item = PersonId>) -> Vec<Named> {
    people.into_iter().map(|person| Named::new(person.to_string(), plans.name(person))).collect()
}

impl DutySpanJson {
    fn of(plans: &Plans, span: &Span) -> Self {
        let named = |all: &[PersonId]| people(plans, all.iter().copied());
        Self { starts_at: span.from, ends_at: span.to, before: named(&span.before), after: named(&span.after) }
    }
}

impl DutyDifferenceJson {
    fn of(plans: &Plans, own: &Difference) -> Self {
        let name = plans.name_of(own.of);
        let (schedule, team) = match own.of {
            Target::Schedule(id) => (Some(Named::new(id.to_string(), name)), None),
            Target::Team(id) => (None, Some(Named::new(id.to_string(), name))),
        };
        Self {
            schedule,
            team,
            on_duty_before: people(plans, own.now_before.iter().copied()),
            on_duty_after: people(plans, own.now_after.iter().copied()),
            comes: people(plans, own.comes()),
            ends: people(plans, own.ends()),
            shifts: own.spans.iter().map(|span| DutySpanJson::of(plans, span)).collect(),
            more: own.more,
        }
    }

    /// All of a preview.
    #[must_use]
    pub fn all(preview: &Preview) -> Vec<Self> {
        preview.differences.iter().map(|own| Self::of(&preview.plans, own)).collect()
    }
}

/// Tells what a change would do, and leaves everything as it is.
///
/// # Errors
/// Why the change is refused, or why that cannot be worked out.
pub async fn rehearsed<T, E: From<StoreError>>(
    app: &App,
    by: Doer,
    act: impl AsyncFnOnce(&mut Work) -> Result<T, E>,
    refused: impl FnOnce(E) -> Problem,
) -> Result<Response, Problem> {
    let (plans, _) = preview::rehearse(&app.engine.store, app.engine.clock.now(), by, act).await.map_err(refused)?;
    told(plans).await
}

/// What another plan would change.
///
/// # Errors
/// Why that cannot be worked out.
pub async fn told(plans: Plans) -> Result<Response, Problem> {
    let preview = plans.compared().await?;
    let differences = DutyDifferenceJson::all(&preview);
    let (starts_at, ends_at) = (preview.plans.now, preview.until);
    Ok(answer(StatusCode::OK, &DutyPreviewJson { dry_run: true, starts_at, ends_at, differences }))
}
