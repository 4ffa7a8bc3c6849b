//! Alarms from Grafana: its webhook, which has the form of Alertmanager's and another version.
//!
//! <https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/>:
//! groups are those of an organisation; somebody presses *Test* and a made-up alert comes; a message may be PUT.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::response::Response;

use super::groups::{self, Form};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::problem::Problem;

/// The organisation of a Grafana that has but one.
const FIRST_ORGANISATION: i64 = 1;

/// What is Grafana's own.
pub(super) const FORM: Form = Form { version: "1", called: "Grafana", key, is_test };

/// The same group key may stand in several organisations of one Grafana.
fn key(group: &str, organisation: Option<i64>) -> String {
    format!("grafana/{}/{group}", organisation.unwrap_or(FIRST_ORGANISATION))
}

/// What it sends when somebody presses *Test*.
fn is_test(labels: &BTreeMap<String, String>) -> bool {
    let label = |name: &str| labels.get(name).map(String::as_str);
    label("alertname") == Some("TestAlert") && label("instance") == Some("Grafana")
}

/// `POST` or `PUT /api/v1/intake/grafana`
pub async fn receive(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    groups::take_in(&app, &sender, query, body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_one_of_its_organisation_and_a_test_is_known() {
        assert_eq!(key("{}:{a}", None), "grafana/1/{}:{a}");
        assert_eq!(key("{}:{a}", Some(7)), "grafana/7/{}:{a}");
        let labels = |name: &str, instance: &str| {
            BTreeMap::from([("alertname".to_owned(), name.to_owned()), ("instance".to_owned(), instance.to_owned())])
        };
        assert!(is_test(&labels("TestAlert", "Grafana")));
        assert!(!is_test(&labels("TestAlert", "db1")) && !is_test(&labels("CPU high", "Grafana")));
    }
}
