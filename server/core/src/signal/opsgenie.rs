//! Opsgenie's Alert API, version 2: what a request asks for, what it says of an alert, and the answers that clients wait for.
//!
//! A request is taken in at once and answered with a number, under which its outcome is asked for later: Zabbix does so without a
//! pause, up to 25 times, and counts an alert as sent only when it reads there that it was.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::said::{Said, lines, split, tags};
use super::{Signal, Word};
use crate::alarm::Priority;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To raise an alert.
    Create,
    /// To end one.
    Close,
    /// To say that somebody looks after one.
    Acknowledge,
    /// To put something on record about one.
    Note {
        /// What.
        about: About,
    },
    /// To call one off.
    Delete,
    /// To show one.
    Show,
    /// To show what became of a request, by its number.
    RequestStatus(String),
}

/// What is put on record about an alert. Nothing of it changes who is rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nobody looks after it any more.
    Unacknowledged,
    /// A remark.
    Remark,
    /// It is left alone for a while.
    Snoozed,
    /// An escalation was asked for.
    Escalated,
    /// Somebody is to look after it.
    Assigned,
    /// More tags.
    Tags,
    /// More details.
    Details,
    /// Another message.
    Message,
    /// Another description.
    Description,
    /// Another priority.
    Priority,
}

/// All that changes something, as they stand in the numbers of requests.
pub const ACTIONS: [Action; 14] = [
    Action::Create,
    Action::Close,
    Action::Acknowledge,
    Action::Delete,
    Action::Note { about: About::Unacknowledged },
    Action::Note { about: About::Remark },
    Action::Note { about: About::Snoozed },
    Action::Note { about: About::Escalated },
    Action::Note { about: About::Assigned },
    Action::Note { about: About::Tags },
    Action::Note { about: About::Details },
    Action::Note { about: About::Message },
    Action::Note { about: About::Description },
    Action::Note { about: About::Priority },
];

/// Which alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// By the number that it was given here.
    Id(String),
    /// By the name that its sender gave it.
    Alias(String),
    /// By the short number that it was given here.
    Tiny(u64),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its number.
    pub request: String,
    /// How long it took.
    pub took: Duration,
    /// What it asked for: [`Action::called`].
    pub action: String,
    /// Whether there was such an alert.
    pub done: bool,
    /// In words: [`Action::status`].
    pub status: String,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// The number of whoever sent it.
    pub integration: String,
    /// The alert, where there is one: its number.
    pub alert: Option<String>,
    /// The name that its sender gave it.
    pub alias: Option<String>,
}

/// An alert as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The number of the request that asks for it.
    pub request: String,
    /// How long it took.
    pub took: Duration,
    /// Its number.
    pub id: String,
    /// Its short number.
    pub tiny: u64,
    /// The name that its sender gave it.
    pub alias: Option<String>,
    /// What is wrong.
    pub message: String,
    /// Whether it is not over.
    pub open: bool,
    /// Whether somebody looks after it.
    pub acknowledged: bool,
    /// How urgent it is.
    pub priority: Priority,
}

impl Action {
    /// Its name in an [`Outcome`].
    #[must_use]
    pub fn called(&self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Close => "Close",
            Self::Acknowledge => "Acknowledge",
            Self::Note { about } => match about {
                About::Unacknowledged => "UnAcknowledge",
                About::Remark => "AddNote",
                About::Snoozed => "Snooze",
                About::Escalated => "EscalateToNext",
                About::Assigned => "AssignOwnership",
                About::Tags => "AddTags",
                About::Details => "AddDetails",
                About::Message => "UpdateMessage",
                About::Description => "UpdateDescription",
                About::Priority => "UpdatePriority",
            },
            Self::Delete => "Delete",
            Self::Show => "Get",
            Self::RequestStatus(_) => "GetRequestStatus",
        }
    }

    /// How it went, in an [`Outcome`]. Zabbix stops asking at these words for an alert that there is not.
    #[must_use]
    pub fn status(&self, done: bool) -> &'static str {
        match self {
            _ if !done => "There is no open alert with the given identifier",
            Self::Create => "Created alert",
            Self::Close => "Closed alert",
            Self::Acknowledge => "Acknowledged alert",
            Self::Delete => "Deleted alert",
            Self::Note { .. } => "Updated alert",
            Self::Show | Self::RequestStatus(_) => "Found",
        }
    }
}

/// What a request asks for and of which alert, by its method and its path below `v2/`. The path is still encoded, so that an
/// alert's name may have a slash in it; it is decoded here, once. `None`: there is nothing at this path.
#[must_use]
pub fn action(method: &str, path_below_v2: &str, query: &BTreeMap<String, String>) -> Option<(Action, Option<Identifier>)> {
    let parts: Vec<&str> = path_below_v2.trim_matches('/').split('/').collect();
    let ["alerts", below @ ..] = parts.as_slice() else {
        return None;
    };
    let note = |about| Some(Action::Note { about });
    let action = match (method, below) {
        ("POST", []) => return Some((Action::Create, None)),
        ("GET", ["requests", number]) => return Some((Action::RequestStatus(decoded(number)), None)),
        ("GET", [_]) => Some(Action::Show),
        ("DELETE", [_]) => Some(Action::Delete),
        ("POST", [_, "close"]) => Some(Action::Close),
        ("POST", [_, "acknowledge"]) => Some(Action::Acknowledge),
        ("POST", [_, "unacknowledge"]) => note(About::Unacknowledged),
        ("POST", [_, "notes"]) => note(About::Remark),
        ("POST", [_, "snooze"]) => note(About::Snoozed),
        ("POST", [_, "escalate"]) => note(About::Escalated),
        ("POST", [_, "assign"]) => note(About::Assigned),
        ("POST", [_, "tags"]) => note(About::Tags),
        ("POST", [_, "details"]) => note(About::Details),
        ("PUT", [_, "message"]) => note(About::Message),
        ("PUT", [_, "description"]) => note(About::Description),
        ("PUT", [_, "priority"]) => note(About::Priority),
        _ => None,
    }?;
    Some((action, Some(identifier(below.first()?, query)?)))
}

fn identifier(part: &str, query: &BTreeMap<String, String>) -> Option<Identifier> {
    let text = decoded(part);
    // As the name of an alert is read when it is raised.
    let text = text.trim();
    if crate::visible::is_blank(text) {
        return None;
    }
    match query.get("identifierType").map(|kind| kind.to_lowercase()).as_deref() {
        Some("alias") => Some(Identifier::Alias(text.to_owned())),
        Some("tiny") => text.parse().ok().map(Identifier::Tiny),
        _ => Some(Identifier::Id(text.to_owned())),
    }
}

/// A part of a path, decoded. What is no escape stays as it is, and so does a plus sign: that is a blank only in a query.
fn decoded(part: &str) -> String {
    let mut pieces = part.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(piece.bytes().skip(2));
            }
            None => {
                bytes.push(b'%');
                bytes.extend(piece.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The alert that a request raises; else what is wrong, by field.
pub fn create(body: &Value) -> Result<Signal, BTreeMap<String, String>> {
    let said = Said(body);
    let Some(summary) = said.text("message") else {
        return Err([("message".to_owned(), "Message can not be empty.".to_owned())].into());
    };
    let details = said.get("details").filter(|details| details.0.is_object());
    let labels = labels(said, details);
    // The message of Grafana's *Test* button.
    let is_test = [("alertname", "TestAlert"), ("instance", "Grafana")]
        .iter()
        .all(|(name, value)| labels.get(*name).is_some_and(|own| own == value));
    let note = said.text("note").map(|note| said.text("user").map_or_else(|| note.clone(), |user| format!("{user}: {note}")));
    let unnamed = said.get("details").filter(|details| !details.0.is_object()).and_then(Said::as_text);
    Ok(Signal {
        word: if is_test { Word::Test } else { Word::Firing },
        key: said.text("alias"),
        priority: said.text("priority").and_then(|word| super::priority(&word)).or(Some(Priority::Normal)),
        summary,
        details: lines([said.text("description"), unnamed, note]),
        labels,
        // Grafana and Zabbix have no other place for it.
        link: ["url", "link", "Problem"].iter().find_map(|name| details?.text(name).filter(|link| link.starts_with("http"))),
        whom: said.list("responders").filter_map(name_of).collect(),
        at: None,
        holds_until: None,
    })
}

/// Tags, details, and what the alert is about and from. What is said last counts.
fn labels(said: Said<'_>, details: Option<Said<'_>>) -> BTreeMap<String, String> {
    let own = ["entity", "source"].into_iter().filter_map(|name| Some((name.to_owned(), said.text(name)?)));
    let tags = tags(tags_of(said).iter().map(String::as_str));
    tags.into_iter().chain(details.map(Said::texts).unwrap_or_default()).chain(own).collect()
}

fn tags_of(said: Said<'_>) -> Vec<String> {
    match said.get("tags") {
        Some(Said(Value::String(text))) => split(text),
        list => list.into_iter().flat_map(Said::each).filter_map(Said::as_text).collect(),
    }
}

/// The name of a team, user, schedule or escalation: some write it alone instead of an object. Its number says nothing to us.
fn name_of(one: Said<'_>) -> Option<String> {
    one.first(&["name", "username"]).or_else(|| one.0.is_string().then_some(one)?.as_text())
}

/// What a request says of an alert. `body` is the query where there is no body, as with [`Action::Delete`].
#[must_use]
pub fn told(action: &Action, body: &Value) -> Word {
    let said = Said(body);
    let (by, note) = (said.text("user"), said.text("note"));
    match action {
        Action::Create => Word::Firing,
        Action::Close => Word::Resolved,
        Action::Acknowledge => Word::Acknowledged { by, note },
        Action::Delete => Word::Cancelled { by },
        Action::Show | Action::RequestStatus(_) => Word::Ignored("it asks for something"),
        Action::Note { about } => match [about.told(said), note].into_iter().flatten().collect::<Vec<_>>().join("; ") {
            // Alertmanager sends a description after each message, also where there is none.
            text if text.is_empty() => Word::Ignored("an update that says nothing"),
            text => Word::Noted { by, text },
        },
    }
}

impl About {
    /// What is said beside the remark.
    fn told(self, said: Said<'_>) -> Option<String> {
        let field = |name: &str| said.text(name).map(|text| format!("{name}: {text}"));
        let named = |name: &str| said.get(name).and_then(|one| name_of(one).or_else(|| one.text("id")));
        let list = |name: &str, each: Vec<String>| (!each.is_empty()).then(|| format!("{name}: {}", each.join(", ")));
        match self {
            Self::Unacknowledged => Some("unacknowledged".to_owned()),
            Self::Remark => None,
            Self::Snoozed => {
                Some(said.text("endTime").map_or_else(|| "snoozed".to_owned(), |end| format!("snoozed until {end}")))
            }
            Self::Escalated => {
                Some(named("escalation").map_or_else(|| "escalated".to_owned(), |to| format!("escalated to {to}")))
            }
            Self::Assigned => Some(named("owner").map_or_else(|| "assigned".to_owned(), |to| format!("assigned to {to}"))),
            Self::Tags => list("tags", tags_of(said)),
            Self::Details => {
                let texts = said.get("details").map(Said::texts).unwrap_or_default();
                list("details", texts.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
            }
            Self::Message => field("message"),
            Self::Description => field("description"),
            Self::Priority => field("priority"),
        }
    }
}

/// The answer to a request that was taken in: 202.
#[must_use]
pub fn will_be_processed(took: Duration, request: &str) -> Value {
    answer([("result", json!("Request will be processed"))], took, request)
}

/// The answer to [`Action::RequestStatus`]: 200, also where nothing was done.
#[must_use]
pub fn request_status(outcome: &Outcome) -> Value {
    let told = json!({
        "success": outcome.done,
        "action": outcome.action,
        "processedAt": outcome.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "integrationId": outcome.integration,
        "isSuccess": outcome.done,
        "status": outcome.status,
        "alertId": outcome.alert.as_deref().unwrap_or_default(),
        "alias": outcome.alias.as_deref().unwrap_or_default(),
    });
    answer([("data", told)], outcome.took, &outcome.request)
}

/// The answer to [`Action::Show`]: 200.
#[must_use]
pub fn alert(shown: &Shown) -> Value {
    let told = json!({
        "id": shown.id,
        // A text, though it is a number.
        "tinyId": shown.tiny.to_string(),
        // An alert without a name is called by its number.
        "alias": shown.alias.as_deref().unwrap_or(&shown.id),
        "message": shown.message,
        "status": if shown.open { "open" } else { "closed" },
        "acknowledged": shown.acknowledged,
        "priority": match shown.priority {
            Priority::Critical => "P1",
            Priority::High => "P2",
            Priority::Normal => "P3",
            Priority::Low => "P4",
        },
    });
    answer([("data", told)], shown.took, &shown.request)
}

/// The answer to a request without a key that is ours: 401.
#[must_use]
pub fn not_authenticated(took: Duration, request: &str) -> Value {
    answer([("message", json!("Could not authenticate"))], took, request)
}

/// The answer to a request for an alert, a request or a path that there is not: 404.
#[must_use]
pub fn not_found(took: Duration, request: &str) -> Value {
    answer([("message", json!("There is nothing with the given identifier"))], took, request)
}

/// The answer to a request that cannot be meant: 422. Zabbix shows the errors.
#[must_use]
pub fn unprocessable(errors: &BTreeMap<String, String>, took: Duration, request: &str) -> Value {
    let message = "Request body is not processable. Please check the errors.";
    answer([("message", json!(message)), ("errors", json!(errors))], took, request)
}

/// The answer to one request too many: 429.
#[must_use]
pub fn too_many(took: Duration, request: &str) -> Value {
    answer([("message", json!("You are making too many requests!"))], took, request)
}

fn answer<const N: usize>(members: [(&str, Value); N], took: Duration, request: &str) -> Value {
    // In seconds, to the millisecond.
    let took = (took.as_secs_f64() * 1000.0).round() / 1000.0;
    members.into_iter().chain([("took", json!(took)), ("requestId", json!(request))]).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd;
    use proptest::prelude::*;

    const TOOK: Duration = Duration::from_micros(10_400);

    fn query(kind: &str) -> BTreeMap<String, String> {
        [("identifierType".to_owned(), kind.to_owned())].into()
    }

    fn by_alias(method: &str, path: &str) -> Option<(Action, Option<Identifier>)> {
        action(method, path, &query("alias"))
    }

    fn alias(text: &str) -> Identifier {
        Identifier::Alias(text.to_owned())
    }

    fn note(about: About, body: Value) -> Word {
        told(&Action::Note { about }, &body)
    }

    fn noted(by: Option<&str>, text: &str) -> Word {
        Word::Noted { by: by.map(str::to_owned), text: text.to_owned() }
    }

    #[test]
    fn a_request_is_read_from_its_method_and_path() {
        let about = |about| Action::Note { about };
        for (method, path, is) in [
            ("POST", "alerts/k/close", Action::Close),
            ("POST", "alerts/k/acknowledge", Action::Acknowledge),
            ("POST", "alerts/k/unacknowledge", about(About::Unacknowledged)),
            ("POST", "alerts/k/notes", about(About::Remark)),
            ("POST", "alerts/k/snooze", about(About::Snoozed)),
            ("POST", "alerts/k/escalate", about(About::Escalated)),
            ("POST", "alerts/k/assign", about(About::Assigned)),
            ("POST", "alerts/k/tags", about(About::Tags)),
            ("POST", "alerts/k/details", about(About::Details)),
            ("PUT", "alerts/k/message", about(About::Message)),
            ("PUT", "alerts/k/description", about(About::Description)),
            ("PUT", "alerts/k/priority", about(About::Priority)),
            ("DELETE", "alerts/k", Action::Delete),
            ("GET", "alerts/k", Action::Show),
        ] {
            for path in [path.to_owned(), format!("/{path}/")] {
                assert_eq!(by_alias(method, &path), Some((is.clone(), Some(alias("k")))), "{method} {path}");
            }
        }
        for path in ["alerts", "alerts/", "/alerts/"] {
            assert_eq!(by_alias("POST", path), Some((Action::Create, None)), "{path}");
        }
        assert_eq!(by_alias("GET", "alerts/requests/4f-1/"), Some((Action::RequestStatus("4f-1".to_owned()), None)));
    }

    #[test]
    fn there_is_nothing_at_other_paths() {
        for (method, path) in [
            ("GET", "alerts"),
            ("GET", ""),
            ("POST", "heartbeats"),
            ("POST", "alerts/k"),
            ("POST", "alerts//close"),
            ("POST", "alerts/%20/close"),
            ("POST", "alerts/k/close/now"),
            ("PUT", "alerts/k/close"),
            // Tags are removed so: the alert stays.
            ("DELETE", "alerts/k/tags"),
            ("POST", "v2/alerts"),
        ] {
            assert_eq!(by_alias(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn an_identifier_is_a_number_a_name_or_a_short_number() {
        let is = |kind: &str, text: &str| {
            action("GET", &format!("alerts/{text}"), &query(kind)).and_then(|(_, identifier)| identifier)
        };
        assert_eq!(is("id", "7"), Some(Identifier::Id("7".to_owned())));
        assert_eq!(is("something else", "7"), Some(Identifier::Id("7".to_owned())));
        assert_eq!(is("Alias", "7"), Some(alias("7")));
        assert_eq!(is("tiny", "7"), Some(Identifier::Tiny(7)));
        assert_eq!((is("tiny", "k"), is("tiny", "-1"), is("tiny", "99999999999999999999")), (None, None, None));
        let without = action("GET", "alerts/7", &BTreeMap::new());
        assert_eq!(without, Some((Action::Show, Some(Identifier::Id("7".to_owned())))));
    }

    #[test]
    fn a_name_is_decoded_once() {
        // The kits of Opsgenie encode a name whole, and Uptime Kuma does.
        for (path, name) in [
            ("al%2F1", "al/1"),
            ("al%252F1", "al%2F1"),
            ("db1%2fdisk%20%E7%A3%81%E7%9B%98", "db1/disk 磁盘"),
            ("a+b", "a+b"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%+1%é", "%+1%é"),
            ("%FF", "\u{fffd}"),
            ("%20k%20", "k"),
        ] {
            assert_eq!(by_alias("POST", &format!("alerts/{path}/close")), Some((Action::Close, Some(alias(name)))), "{path}");
        }
    }

    #[test]
    fn an_alert_is_all_that_its_fields_say() {
        let signal = create(&json!({
            "message": "Disk full", "alias": "db1/disk", "description": "99 %",
            "responders": [{ "type": "team", "name": "ops" }, { "type": "user", "username": "li@example.com" },
                           { "type": "schedule", "name": "晚班" }, { "type": "escalation", "name": "db" },
                           { "type": "team", "id": "4513b7ea-3b91-438f-b7e4-e3e54af9147c" }, "Li Na"],
            "visibleTo": [{ "type": "team", "name": "all" }], "actions": ["Restart"], "tags": ["db", "team:ops", " "],
            "details": { "host": "db1", "rack": 7, "gone": null }, "entity": "db1", "source": "zabbix", "priority": "P1",
            "user": "li", "note": "again"
        }))
        .unwrap();
        assert_eq!(
            (signal.word, signal.key.as_deref(), signal.priority),
            (Word::Firing, Some("db1/disk"), Some(Priority::Critical))
        );
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("Disk full", "99 %\nli: again"));
        let labels = [("db", ""), ("entity", "db1"), ("host", "db1"), ("rack", "7"), ("source", "zabbix"), ("team", "ops")];
        assert_eq!(signal.labels, labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(signal.whom, ["ops", "li@example.com", "晚班", "db", "Li Na"]);
        assert_eq!((signal.link, signal.at), (None, None));
    }

    #[test]
    fn urgency_is_one_of_five() {
        let of = |priority: Value| create(&json!({ "message": "x", "priority": priority })).unwrap().priority.unwrap();
        assert_eq!(["P1", "P2", "P3"].map(|word| of(json!(word))), [Priority::Critical, Priority::High, Priority::Normal]);
        assert_eq!(["P4", "P5"].map(|word| of(json!(word))), [Priority::Low, Priority::Low]);
        // Left out, filled from a label that is not there, and not known at all.
        assert_eq!([json!(null), json!(""), json!("violet")].map(of), [Priority::Normal; 3]);
    }

    #[test]
    fn only_an_alert_without_a_message_is_refused() {
        for body in [json!({}), json!({ "message": " " }), json!({ "message": null, "alias": "k" }), json!([]), json!("x")] {
            assert_eq!(
                create(&body).unwrap_err(),
                [("message".to_owned(), "Message can not be empty.".to_owned())].into(),
                "{body}"
            );
        }
        let least = create(&json!({ "message": "x", "tags": "db, prod", "details": "one text", "note": "n" })).unwrap();
        assert_eq!((least.key, least.details.as_str()), (None, "one text\nn"));
        assert_eq!(least.labels.keys().collect::<Vec<_>>(), ["db", "prod"]);
    }

    #[test]
    fn alertmanager_updates_what_it_raises() {
        let raised = create(&json!({
            "alias": "8d5e", "message": "[FIRING:1] disk", "details": { "alertname": "disk", "severity": "page" },
            "source": "http://am.example", "priority": "P2"
        }))
        .unwrap();
        assert_eq!((raised.priority, raised.labels["alertname"].as_str()), (Some(Priority::High), "disk"));
        let (update, identifier) = by_alias("PUT", "alerts/8d5e/message").unwrap();
        assert_eq!(identifier, Some(alias("8d5e")));
        assert_eq!(told(&update, &json!({ "message": "[FIRING:2] disk" })), noted(None, "message: [FIRING:2] disk"));
        let (update, _) = by_alias("PUT", "alerts/8d5e/description").unwrap();
        assert_eq!(told(&update, &json!({ "description": "two of them" })), noted(None, "description: two of them"));
        // It leaves out a description that is empty, but not the request.
        assert!(matches!(told(&update, &json!({})), Word::Ignored(_)));
        let (close, _) = by_alias("POST", "alerts/8d5e/close").unwrap();
        assert_eq!(told(&close, &json!({ "source": "http://am.example" })), Word::Resolved);
    }

    #[test]
    fn zabbix_names_nobody_with_blanks() {
        let signal = create(&json!({
            "message": "Problem: disk", "alias": "1042", "description": "Host: db1", "priority": "P4", "source": "Zabbix",
            "details": { "Zabbix server": "https://z.example/",
                         "Problem": "https://z.example/tr_events.php?triggerid=17&eventid=1042" },
            "responders": [{ "type": "team", "name": "" }], "tags": ["scope:capacity", ""]
        }))
        .unwrap();
        assert!(signal.whom.is_empty(), "{:?}", signal.whom);
        assert_eq!(signal.link.as_deref(), Some("https://z.example/tr_events.php?triggerid=17&eventid=1042"));
        assert_eq!((signal.labels["scope"].as_str(), signal.labels.len()), ("capacity", 4));
        // Its address is not set.
        let unset = create(&json!({ "message": "x", "details": { "Problem": "{$ZABBIX.URL}/tr_events.php" } })).unwrap();
        assert_eq!(unset.link, None);
        let (close, identifier) = by_alias("POST", "alerts/1042/close").unwrap();
        assert_eq!(
            (told(&close, &json!({ "user": "", "note": "Resolved in 5m" })), identifier),
            (Word::Resolved, Some(alias("1042")))
        );
    }

    #[test]
    fn zabbix_learns_the_outcome_by_asking() {
        let outcome = |action: &Action, done: bool| Outcome {
            request: "r-1".to_owned(),
            took: TOOK,
            action: action.called().to_owned(),
            done,
            status: action.status(done).to_owned(),
            at: DateTime::from_timestamp(1_795_834_800, 0).unwrap(),
            integration: "i-1".to_owned(),
            alert: done.then(|| "a-1".to_owned()),
            alias: done.then(|| "1042".to_owned()),
        };
        assert_eq!(
            request_status(&outcome(&Action::Create, true)),
            json!({
                "data": { "success": true, "action": "Create", "processedAt": "2026-11-28T03:00:00.000Z", "integrationId": "i-1",
                          "isSuccess": true, "status": "Created alert", "alertId": "a-1", "alias": "1042" },
                "took": 0.01, "requestId": "r-1"
            })
        );
        // Without these words it would ask 25 times.
        let nothing = request_status(&outcome(&Action::Close, false));
        assert_eq!((&nothing["data"]["success"], &nothing["data"]["alertId"]), (&json!(false), &json!("")));
        assert!(nothing["data"]["status"].as_str().unwrap().starts_with("There is no open alert"), "{nothing}");
        let kept: Outcome = serde_json::from_value(json!(outcome(&Action::Delete, true))).unwrap();
        assert_eq!(kept, outcome(&Action::Delete, true), "an outcome can be kept");
    }

    #[test]
    fn grafana_sends_its_labels_as_tags_and_its_address_in_the_details() {
        let of = |instance: &str| {
            create(&json!({
                "alias": "c6ea", "message": "[FIRING:1] TestAlert", "source": "Grafana",
                "details": { "url": "https://graf.example/alerting/list" },
                "tags": ["alertname:TestAlert", format!("instance:{instance}")],
                "responders": [{ "type": "team", "name": "ops" }]
            }))
            .unwrap()
        };
        let signal = of("db1:9100");
        assert_eq!((signal.word, signal.link.as_deref()), (Word::Firing, Some("https://graf.example/alerting/list")));
        assert_eq!((signal.labels["instance"].as_str(), signal.priority), ("db1:9100", Some(Priority::Normal)));
        assert_eq!(of("Grafana").word, Word::Test, "its button");
        let (close, identifier) = by_alias("POST", "alerts/c6ea/close").unwrap();
        assert_eq!((told(&close, &json!({ "source": "Grafana" })), identifier), (Word::Resolved, Some(alias("c6ea"))));
    }

    #[test]
    fn the_kits_of_opsgenie_say_who_does_it() {
        let body = json!({ "user": "Li Na", "note": "on it", "source": "script" });
        let by = Some("Li Na".to_owned());
        assert_eq!(told(&Action::Acknowledge, &body), Word::Acknowledged { by: by.clone(), note: Some("on it".to_owned()) });
        assert_eq!(told(&Action::Acknowledge, &Value::Null), Word::Acknowledged { by: None, note: None });
        // What deletes has no body: its query says it.
        assert_eq!(told(&Action::Delete, &json!({ "identifierType": "alias", "user": "Li Na" })), Word::Cancelled { by });
        assert_eq!(told(&Action::Delete, &Value::Null), Word::Cancelled { by: None });
        assert_eq!(told(&Action::Close, &Value::Null), Word::Resolved);
        assert_eq!(told(&Action::Create, &Value::Null), Word::Firing);
        assert!(matches!(told(&Action::Show, &Value::Null), Word::Ignored(_)));
        assert!(matches!(told(&Action::RequestStatus("r-1".to_owned()), &Value::Null), Word::Ignored(_)));
    }

    #[test]
    fn remarks_say_what_was_asked_for() {
        let li = Some("li");
        assert_eq!(note(About::Remark, json!({ "user": "li", "note": "seen" })), noted(li, "seen"));
        assert_eq!(note(About::Unacknowledged, json!({ "user": "li", "note": "not me" })), noted(li, "unacknowledged; not me"));
        assert_eq!(
            note(About::Snoozed, json!({ "endTime": "2026-11-28T04:00:00Z" })),
            noted(None, "snoozed until 2026-11-28T04:00:00Z")
        );
        assert_eq!(note(About::Snoozed, json!({})), noted(None, "snoozed"));
        assert_eq!(note(About::Escalated, json!({ "escalation": { "name": "db" } })), noted(None, "escalated to db"));
        assert_eq!(note(About::Escalated, json!({ "escalation": { "id": "e-1" } })), noted(None, "escalated to e-1"));
        assert_eq!(
            note(About::Assigned, json!({ "owner": { "username": "li@example.com" } })),
            noted(None, "assigned to li@example.com")
        );
        assert_eq!(note(About::Assigned, json!({ "owner": null })), noted(None, "assigned"));
        assert_eq!(note(About::Tags, json!({ "tags": ["db", "prod"], "note": "n" })), noted(None, "tags: db, prod; n"));
        assert_eq!(
            note(About::Details, json!({ "details": { "host": "db1", "rack": 7 } })),
            noted(None, "details: host=db1, rack=7")
        );
        assert_eq!(note(About::Priority, json!({ "priority": "P1" })), noted(None, "priority: P1"));
        for about in [About::Remark, About::Tags, About::Details, About::Message, About::Description, About::Priority] {
            assert!(matches!(note(about, json!({ "user": "li" })), Word::Ignored(_)), "{about:?}");
        }
    }

    #[test]
    fn answers_are_those_that_clients_look_for() {
        assert_eq!(
            will_be_processed(TOOK, "r-1"),
            json!({ "result": "Request will be processed", "took": 0.01, "requestId": "r-1" })
        );
        let fast = not_authenticated(Duration::ZERO, "r-1");
        assert_eq!(fast.to_string(), r#"{"message":"Could not authenticate","requestId":"r-1","took":0.0}"#);
        assert_eq!(
            unprocessable(&create(&json!({})).unwrap_err(), TOOK, "r-1"),
            json!({
                "message": "Request body is not processable. Please check the errors.",
                "errors": { "message": "Message can not be empty." }, "took": 0.01, "requestId": "r-1"
            })
        );
        for refused in [too_many(TOOK, "r-1"), not_found(TOOK, "r-1")] {
            assert!(refused["message"].is_string() && refused["took"].is_f64() && refused["requestId"] == "r-1", "{refused}");
        }
    }

    #[test]
    fn an_alert_is_shown_as_clients_read_it() {
        let mut shown = Shown {
            request: "r-1".to_owned(),
            took: TOOK,
            id: "a-1".to_owned(),
            tiny: 1791,
            alias: Some("db1/disk".to_owned()),
            message: "Disk full".to_owned(),
            open: true,
            acknowledged: true,
            priority: Priority::Critical,
        };
        assert_eq!(
            alert(&shown),
            json!({
                "data": { "id": "a-1", "tinyId": "1791", "alias": "db1/disk", "message": "Disk full", "status": "open",
                          "acknowledged": true, "priority": "P1" },
                "took": 0.01, "requestId": "r-1"
            })
        );
        (shown.open, shown.alias) = (false, None);
        let told = alert(&shown);
        assert_eq!((&told["data"]["status"], &told["data"]["alias"]), (&json!("closed"), &json!("a-1")));
        for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Critical] {
            shown.priority = priority;
            let word = alert(&shown)["data"]["priority"].clone();
            assert_eq!(create(&json!({ "message": "x", "priority": word })).unwrap().priority, Some(priority), "{word}");
        }
    }

    const NAMES: &[&str] = &[
        "message",
        "alias",
        "description",
        "responders",
        "name",
        "username",
        "id",
        "tags",
        "details",
        "entity",
        "source",
        "priority",
        "user",
        "note",
        "owner",
        "escalation",
        "endTime",
        "url",
    ];

    proptest! {
        #[test]
        fn no_request_is_too_odd(
            body in odd::value(NAMES, &[]), path in "(alerts/)?[a-z%/é2F]{0,12}(/close|/tags|/message)?", kind in "alias|id|tiny|.{0,3}"
        ) {
            if let Ok(signal) = create(&body) {
                prop_assert!(!signal.summary.is_empty());
            }
            for method in ["GET", "POST", "PUT", "DELETE"] {
                if let Some((action, _)) = action(method, &path, &query(&kind)) {
                    prop_assert!(!action.called().is_empty());
                    let _ = told(&action, &body);
                }
            }
            for about in [About::Snoozed, About::Escalated, About::Assigned, About::Tags, About::Details, About::Priority] {
                let _ = note(about, body.clone());
            }
        }

        #[test]
        fn every_name_comes_back_as_it_was(name in "\\PC*[a-z]") {
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decoded(&escaped), name);
        }
    }
}
