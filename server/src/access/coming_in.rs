//! By which paths senders raise and end alarms, and others tell of them.

use axum::http::Method;

const HEARTBEATS: &str = "(heartbeat)";
const GATEWAYS: &str = "(text messages)";

/// What its senders are called, where alarms and what is told of them come in.
pub(super) enum Intake {
    /// By their own names.
    Named,
    /// All of them so.
    Called(&'static str),
}

/// Whether senders raise and end alarms by this path, each under a name of its own.
pub(super) fn is_of_senders(method: &Method, path: &str) -> bool {
    matches!(intake(method, path), Some(Intake::Named))
}

/// Whether alarms, and what is told of them, come in by this path.
pub(super) fn intake(method: &Method, path: &str) -> Option<Intake> {
    const OF_OTHERS: [&str; 6] = ["/v2/enqueue", "/v2/change/enqueue", "/generic/", "/v2/alerts", "/jsm/", "/api/v2/alerts"];
    let says = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if says && OF_OTHERS.iter().any(|others| path.starts_with(others)) {
        return Some(Intake::Named);
    }
    let path = path.strip_prefix("/api/v1/")?;
    if path.starts_with("heartbeat/") {
        return Some(Intake::Called(HEARTBEATS));
    }
    // Some can only fetch an address.
    let fetches =
        *method == Method::GET && path.strip_prefix("intake/").is_some_and(|kind| !kind.trim_end_matches('/').contains('/'));
    if !fetches && !matches!(*method, Method::POST | Method::PUT) {
        return None;
    }
    if path.starts_with("sms/inbound/") {
        return Some(Intake::Called(GATEWAYS));
    }
    let alarms = matches!(path.trim_end_matches('/'), "alarms" | "call") || path.ends_with("/resolve");
    (alarms || path.starts_with("intake/")).then_some(Intake::Named)
}
