//! Alarms from Prometheus Alertmanager: its webhook, version 4.
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>: Alertmanager sends one message for each group of
//! alerts, again after `repeat_interval` and whenever the group changes, and once more when all of it is resolved. It sends a
//! message again when the answer is 5xx, and gives up on 4xx.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;

use super::groups::{self, Form};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::problem::Problem;

/// What is Alertmanager's own.
pub(super) const FORM: Form =
    Form { version: "4", called: "Alertmanager, version 4", key: |key, _| key.to_owned(), is_test: |_| false };
/// Takes in Alertmanager's webhook: firing raises or counts, resolved ends and stops ringing.
#[utoipa::path(method(post, put), path = "/api/v1/intake/alertmanager", tag = "senders",
    params(("per" = Option<String>, Query, description = "group (default) or alert"),
        ("phones" = Option<String>, Query, description = "Whom to ring when the alerts name nobody"),
        ("test" = Option<String>, Query, description = "ring: also for Grafana's test message"),
        ("mode" = Option<String>, Query, description = "sequential (default) or parallel")),
    request_body(content = Object, description = "Alertmanager's message, version 4, or Grafana's"),
    responses((status = 200, description = "What became of each alarm"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn receive(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    groups::take_in(&app, &sender, query, body).await
}
