//! What a second installation asks before it tests this one: `/api/v1/monitor`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer;
use crate::http::problem::Problem;

/// Whether somebody could be rung right now.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonitorJson {
    /// What keeps the node that answers from its work, in the words of `/readyz`; empty: nothing.
    wrong: Vec<&'static str>,
    /// So many phones should be there.
    handsets: i64,
    /// So many of them could ring somebody.
    usable_handsets: i64,
    /// For so long the alarm that waits for a phone has waited longest; 0: none waits.
    oldest_due_seconds: i64,
}

/// Whether somebody could be rung right now, as far as can be told without ringing anybody. A second installation asks this before it raises a
/// test (`monitor` of an alarm).
#[utoipa::path(get, path = "/api/v1/monitor", tag = "alarms", operation_id = "monitor_show",
    responses((status = 200, description = "How it is now", body = MonitorJson),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let ability = app.engine.ability().await?;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let told = MonitorJson {
        wrong: ability.wrong.iter().map(|wrong| wrong.code()).collect(),
        handsets: count(ability.handsets),
        usable_handsets: count(ability.usable),
        oldest_due_seconds: ability.oldest_due.num_seconds(),
    };
    Ok(answer(StatusCode::OK, &told))
}
