//! **Which right each operation of the API needs**: one table for all routes at which senders and programs ask, whoever answers them. The
//! description of the API tells it, `access` asks for it, and what is not in it is refused.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::{OpenApi, RefOr};

use super::document::operations;
use crate::rights::{Need, Right};

const RAISE: Need = Need::Of(Right::Raise);
const READ: Need = Need::Of(Right::Read);
const KEEP: Need = Need::Of(Right::Admin);
const ACT: Need = Need::Alarm(Right::Operate);
const READ_OWN: Need = Need::OwnAlarm(Right::Read);
const READ_OWN_CALLS: Need = Need::OwnCall(Right::Read);
const SHOUT: Need = Need::Said(Right::Shouts);
const COMMAND: Need = Need::Said(Right::Calls);

/// By path, and there by methods: what they need.
const NEEDS: &[(&str, &[(&str, Need)])] = &[
    // Alarms in, and what their senders read and say of them.
    ("/api/v1/alarms", &[("GET", READ_OWN), ("POST", RAISE)]),
    ("/api/v1/alarms/resolve", &[("POST", RAISE)]),
    ("/api/v1/alarms/{id}", &[("GET", READ_OWN)]),
    ("/api/v1/alarms/{id}/resolve", &[("POST", RAISE)]),
    ("/api/v1/monitor", &[("GET", RAISE)]),
    ("/api/v1/intake/alertmanager", &[("POST PUT", RAISE)]),
    ("/api/v1/intake/grafana", &[("POST PUT", RAISE)]),
    ("/api/v1/intake/kuma", &[("*", RAISE)]),
    ("/api/v1/intake/uptime-kuma", &[("*", RAISE)]),
    ("/api/v1/intake/{sender}", &[("POST PUT", RAISE)]),
    ("/api/v1/intake/generic/places", &[("GET PUT", RAISE)]),
    ("/api/v1/call", &[("GET", READ_OWN), ("POST", RAISE)]),
    ("/api/v2/alerts", &[("POST", RAISE)]),
    ("/v2/alerts", &[("*", RAISE)]),
    ("/v2/alerts/{*rest}", &[("*", RAISE)]),
    ("/jsm/ops/integration/v2/alerts", &[("*", RAISE)]),
    ("/jsm/ops/integration/v2/alerts/{*rest}", &[("*", RAISE)]),
    // What people do about alarms, and in calls that run.
    ("/api/v1/alarms/{id}/acknowledge", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/callees/{callee}/decline", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/callees/{callee}/skip", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/cancel", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/escalate", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/false", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/give-back", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/not-false", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/notes", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/policy", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/redial", &[("POST", ACT)]),
    ("/api/v1/alarms/{id}/snooze", &[("POST", ACT)]),
    ("/api/v1/call-records/{id}/commands", &[("POST", Need::OwnCall(Right::Operate))]),
    // What is read of calls, figures and texts.
    ("/api/v1/call-records", &[("GET", READ_OWN_CALLS)]),
    ("/api/v1/call-records/{id}", &[("GET", READ_OWN_CALLS)]),
    ("/api/v1/call-records/{id}/commands/{command}", &[("GET", READ_OWN_CALLS)]),
    ("/api/v1/recordings/{id}", &[("GET", READ_OWN)]),
    ("/api/v1/reports", &[("GET", READ)]),
    ("/api/v1/reports.csv", &[("GET", READ)]),
    ("/api/v1/sms/inbox", &[("GET", READ)]),
    // What operators keep. Who did what, and all that is known of somebody, is for nobody else to read.
    ("/api/v1/audit", &[("GET", KEEP)]),
    ("/api/v1/audit.csv", &[("GET", KEEP)]),
    ("/api/v1/people/{person}/export", &[("GET", KEEP)]),
    ("/api/v1/people/{person}/erase", &[("POST", KEEP)]),
    // From where users are logged in is for nobody else either.
    ("/api/v1/users", &[("GET", KEEP)]),
    ("/api/v1/users/{user}", &[("GET PATCH", KEEP)]),
    ("/api/v1/users/{user}/second-factor", &[("DELETE", KEEP)]),
    ("/api/v1/users/{user}/sessions", &[("GET", KEEP)]),
    ("/api/v1/users/{user}/sessions/end", &[("POST", KEEP)]),
    ("/api/v1/users/{user}/sessions/{session}", &[("GET DELETE", KEEP)]),
    ("/api/v1/do-not-call", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/do-not-call/{number}", &[("GET", READ), ("DELETE", KEEP)]),
    ("/api/v1/heartbeats", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/heartbeats/{id}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/lines", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/lines/{id}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/lines/{id}/bound", &[("PUT", KEEP)]),
    ("/api/v1/lines/{id}/forward", &[("POST", KEEP)]),
    ("/api/v1/lines/{id}/preview", &[("POST", READ)]),
    ("/api/v1/maintenance", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/maintenance/{id}", &[("GET", READ), ("DELETE", KEEP)]),
    ("/api/v1/media", &[("GET", READ)]),
    ("/api/v1/media/{name}", &[("GET", READ), ("PUT DELETE", KEEP)]),
    ("/api/v1/people", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/people/{person}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/people/{person}/told", &[("GET", READ), ("PUT PATCH", KEEP)]),
    ("/api/v1/policies", &[("GET", READ)]),
    ("/api/v1/policies/{name}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/policy-rules", &[("GET", READ), ("PUT", KEEP)]),
    ("/api/v1/quiet-hours", &[("GET", READ), ("PUT", KEEP)]),
    ("/api/v1/sms/gateways", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/sms/gateways/{id}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/sms/gateways/{id}/test", &[("POST", KEEP)]),
    // Who is on duty. Looking at what would change is reading.
    ("/api/v1/calendar-feeds", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/calendar-feeds/{id}", &[("GET", READ), ("DELETE", KEEP)]),
    ("/api/v1/on-duty", &[("GET", READ)]),
    ("/api/v1/roster/check", &[("GET", READ)]),
    ("/api/v1/schedules", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/schedules/{schedule}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/schedules/{schedule}/calendar", &[("GET", READ), ("PUT DELETE", KEEP)]),
    ("/api/v1/schedules/{schedule}/calendar/refresh", &[("POST", KEEP)]),
    // It fetches an address that the request names.
    ("/api/v1/schedules/{schedule}/calendar/rehearse", &[("POST", KEEP)]),
    ("/api/v1/schedules/{schedule}/holidays", &[("POST", KEEP)]),
    ("/api/v1/schedules/{schedule}/import", &[("POST", KEEP)]),
    ("/api/v1/schedules/{schedule}/log", &[("GET", READ)]),
    ("/api/v1/schedules/{schedule}/on-duty", &[("GET", READ)]),
    ("/api/v1/schedules/{schedule}/overrides", &[("POST", KEEP)]),
    ("/api/v1/schedules/{schedule}/overrides/{id}", &[("GET", READ), ("DELETE", KEEP)]),
    ("/api/v1/schedules/{schedule}/rehearse", &[("POST", READ)]),
    ("/api/v1/schedules/{schedule}/shifts", &[("GET", READ)]),
    ("/api/v1/schedules/{schedule}/temporaries", &[("POST", KEEP)]),
    ("/api/v1/schedules/{schedule}/temporaries/{id}", &[("GET", READ), ("DELETE", KEEP)]),
    ("/api/v1/swaps", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/swaps/{id}", &[("GET", READ)]),
    ("/api/v1/swaps/{id}/accept", &[("POST", KEEP)]),
    ("/api/v1/swaps/{id}/decline", &[("POST", KEEP)]),
    ("/api/v1/swaps/{id}/rehearse", &[("POST", READ)]),
    ("/api/v1/swaps/{id}/take-back", &[("POST", KEEP)]),
    ("/api/v1/teams", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/teams/{team}", &[("GET", READ), ("PUT PATCH DELETE", KEEP)]),
    ("/api/v1/teams/{team}/on-duty", &[("GET", READ)]),
    ("/api/v1/vacations", &[("GET", READ), ("POST", KEEP)]),
    ("/api/v1/vacations/{id}", &[("GET", READ), ("DELETE", KEEP)]),
    // Interfaces that ask for a right of their own, and refuse in their words.
    ("/api/v1/calls", &[("*", SHOUT)]),
    ("/api/v1/dnc/{userdata}", &[("*", SHOUT)]),
    ("/api/v1/dnc/{userdata}/{number}", &[("*", SHOUT)]),
    ("/api/v1/shout-records", &[("*", SHOUT)]),
    ("/api/v1/shouts", &[("*", SHOUT)]),
    ("/api/v1/shouts/{id}", &[("*", SHOUT)]),
    ("/api/v1/shouts/{id};cancel", &[("*", SHOUT)]),
    ("/cti/events", &[("*", COMMAND)]),
    ("/cti/files", &[("*", COMMAND)]),
    ("/cti/files/{name}", &[("*", COMMAND)]),
    ("/cti/flows/{project}/{flow}", &[("*", COMMAND)]),
    ("/cti/notify/{res_id}", &[("*", COMMAND)]),
    ("/cti/rpc", &[("*", COMMAND)]),
    ("/cti/ws", &[("*", COMMAND)]),
    // The token in the address is the proof.
    ("/api/v1/heartbeat/{token}", &[("*", Need::Token)]),
    ("/api/v1/sms/inbound/{token}", &[("*", Need::Token)]),
];

static BY_PATH: LazyLock<HashMap<&str, &[(&str, Need)]>> = LazyLock::new(|| NEEDS.iter().copied().collect());

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This.
    Needs(Need),
    /// Nothing is there for this method: whoever asks is told so.
    NoMethod,
    /// Nothing says what is needed here.
    Unknown,
}

/// What the operation at a path of a route needs. Whatever answers `GET` answers `HEAD`.
#[must_use]
pub fn asked(method: &Method, path: &str) -> Asked {
    let Some(methods) = BY_PATH.get(path) else { return Asked::Unknown };
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let is_it = |(own, _): &&(&str, Need)| *own == "*" || own.split(' ').any(|own| own == method);
    methods.iter().find(is_it).map_or(Asked::NoMethod, |(_, need)| Asked::Needs(*need))
}

/// Tells of each operation in the description of the API which right it needs, as `x-right`, and which is enough there for what is one's own.
/// One that is not in the table stays without a word, which a test does not let pass.
pub fn tell(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
            let Asked::Needs(need) = asked(&method, path) else { continue };
            let own: Vec<&str> = need.for_own().iter().map(|right| right.as_str()).collect();
            let mut told = json!({ "right": need.right().map(Right::as_str) });
            if !own.is_empty() {
                told["own"] = json!(own);
            }
            // One word for all of it: the library writes several in no order.
            operation.extensions = Some(ExtensionsBuilder::new().add("x-right", told).build());
            let refused = operation.responses.responses.get_mut("403");
            if let (Some(right), Some(RefOr::T(refused)), false) = (need.right(), refused, matches!(need, Need::Said(_))) {
                refused.description =
                    format!("Whoever asks has not the right `{right}`; or without a key, requests from there are not let in");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_path_stands_once_and_each_method_there() {
        let mut paths = HashSet::new();
        for (path, methods) in NEEDS {
            assert!(paths.insert(path), "{path}");
            let mut seen = HashSet::new();
            for method in methods.iter().flat_map(|(methods, _)| methods.split(' ')) {
                assert!(seen.insert(method), "{method} {path}");
            }
        }
    }

    #[test]
    fn whoever_changes_something_needs_more_than_to_read() {
        for (path, methods) in NEEDS {
            for (method, need) in *methods {
                let looks = path.ends_with("/rehearse") || path.ends_with("/preview");
                let reads = matches!(need.right(), Some(Right::Read));
                assert!(!reads || *method == "GET" || looks, "{method} {path}");
            }
        }
    }

    #[test]
    fn a_look_needs_what_reading_needs() {
        assert_eq!(asked(&Method::HEAD, "/api/v1/alarms"), Asked::Needs(READ_OWN));
        assert_eq!(asked(&Method::DELETE, "/api/v1/alarms"), Asked::NoMethod);
        assert_eq!(asked(&Method::GET, "/api/v1/alarms/{id}/cancel/again"), Asked::Unknown);
    }
}
