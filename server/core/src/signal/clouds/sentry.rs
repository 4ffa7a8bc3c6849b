//! Sentry, by the webhooks of an internal integration, and by its older plugin for them: alerts of issues and of metrics.

use chrono::TimeDelta;

use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word, priority};

/// How it is read.
pub const READER: Reader = Reader { once_only: true, ..Reader::of("sentry", read) };

const OTHER: Word = Word::Ignored("Sentry rings for its alerts only; this tells of something else");
const MISSING: &str = "nothing says what this alert is about: it is not as Sentry sends it, or it was changed on its way";

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let resource = message.headers.get("sentry-hook-resource").map(|value| value.trim()).filter(|value| !value.is_empty());
    let event = said.at(&["data", "event"]).filter(|event| event.0.is_object());
    let metric = said.at(&["data", "metric_alert"]).filter(|metric| metric.0.is_object());
    let signal = match (resource, event, metric) {
        (Some("event_alert") | None, Some(event), _) => issue(said, event),
        (Some("metric_alert") | None, _, Some(metric)) => metric_alert(said, metric),
        (Some("event_alert"), None, _) => return Err(Unreadable::new("data.event", MISSING)),
        (Some("metric_alert"), _, None) => return Err(Unreadable::new("data.metric_alert", MISSING)),
        (Some(_), ..) => Signal::of(OTHER),
        (None, None, None) => match said.get("event").filter(|event| event.0.is_object()) {
            Some(event) => plugin(said, event),
            // Each webhook of an integration has these two.
            None if said.get("action").is_some() && said.get("data").is_some() => Signal::of(OTHER),
            None => {
                let why = "this is not a webhook of Sentry: there add an internal integration with this address and \
                           \"Alert Rule Action\", and choose it in the alert";
                return Err(Unreadable::new("data", why));
            }
        },
    };
    Ok(vec![signal])
}

/// An alert of an issue. It never says that it is over.
fn issue(said: Said<'_>, event: Said<'_>) -> Signal {
    let rule =
        said.at(&["data", "triggered_rule"]).or_else(|| said.at(&["data", "issue_alert", "title"])).and_then(Said::as_text);
    let signal = told(event, [event.text("issue_id"), rule], event.text("level"), event.text("culprit"));
    Signal { link: event.text("web_url"), ..signal }
}

/// The same by the plugin, which has another form. Its `id` is the number of the issue.
fn plugin(said: Said<'_>, event: Said<'_>) -> Signal {
    let either = |name: &str| said.text(name).or_else(|| event.text(name));
    let rules: Vec<String> = said.list("triggering_rules").filter_map(Said::as_text).collect();
    let rule = (!rules.is_empty()).then(|| rules.join(", "));
    let project = said.first(&["project_slug", "project_name", "project"]);
    let mut signal = told(event, [said.text("id"), rule], either("level"), either("culprit"));
    signal.link = said.text("url");
    signal.labels.extend(project.map(|project| ("project".to_owned(), project)));
    if let (None, Some(message)) = (event.first(&["title", "message"]), said.text("message")) {
        signal.summary = message;
    }
    signal
}

/// What an event says. Whole stacks of calls are in it, which nobody reads on a telephone.
fn told(event: Said<'_>, key: [Option<String>; 2], level: Option<String>, culprit: Option<String>) -> Signal {
    let [issue, rule] = key;
    let tags = event.list("tags").filter_map(|tag| {
        tag.text("key").zip(tag.text("value")).or_else(|| {
            let mut pair = tag.each().filter_map(Said::as_text);
            pair.next().zip(pair.next())
        })
    });
    let named = [
        ("environment", event.text("environment")),
        ("level", level.clone()),
        ("platform", event.text("platform")),
        ("project", event.text("project")),
        ("rule", rule.clone()),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let title = event.first(&["title", "message"]);
    Signal {
        key: issue.map(|issue| {
            rule.as_ref().map_or_else(|| format!("sentry/issue/{issue}"), |rule| format!("sentry/issue/{issue}/{rule}"))
        }),
        priority: level.and_then(|level| priority(&level)),
        details: lines([culprit.clone().filter(|_| title.is_some()), rule.map(|rule| format!("rule: {rule}"))]),
        summary: title.or(culprit).unwrap_or_else(|| "an issue of Sentry".to_owned()),
        labels: tags.chain(named).collect(),
        at: event.instant("datetime", TimeDelta::zero()),
        ..Signal::of(Word::Firing)
    }
}

/// An alert of a metric: as bad as its action says.
fn metric_alert(said: Said<'_>, metric: Said<'_>) -> Signal {
    let action = said.text("action").unwrap_or_default().to_lowercase();
    let is_over = action == "resolved";
    let rule = metric.get("alert_rule");
    let of_rule = |name: &str| rule.and_then(|rule| rule.text(name));
    let of_all = |name: &str| said.at(&["data", name]).and_then(Said::as_text);
    let projects: Vec<String> = metric.list("projects").filter_map(Said::as_text).collect();
    let named = [("rule", of_rule("name")), ("project", (!projects.is_empty()).then(|| projects.join(", ")))];
    let title = of_all("description_title").or_else(|| metric.text("title")).or_else(|| of_rule("name"));
    Signal {
        key: of_rule("id").or_else(|| metric.text("id")).map(|id| format!("sentry/metric/{id}")),
        priority: priority(&action).filter(|_| !is_over),
        summary: title.unwrap_or_else(|| "a metric alert of Sentry".to_owned()),
        details: of_all("description_text").unwrap_or_default(),
        labels: named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        link: of_all("web_url"),
        at: metric.instant(if is_over { "date_closed" } else { "date_started" }, TimeDelta::zero()),
        ..Signal::of(if is_over { Word::Resolved } else { Word::Firing })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::Priority;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn event_alert() -> Value {
        json!({
            "action": "triggered", "installation": { "uuid": "u" },
            "data": {
                "event": {
                    "event_id": "e1", "title": "KeyError: 'x'", "culprit": "shop.pay", "level": "error", "issue_id": "117",
                    "web_url": "https://sentry.io/organizations/shop/issues/117/events/e1/",
                    "datetime": "2026-11-28T03:00:00.921000Z",
                    "platform": "python", "tags": [["environment", "production"], { "key": "browser", "value": "Chrome" }],
                    "exception": { "values": [{ "stacktrace": { "frames": [{ "function": "pay" }] } }] }
                },
                "triggered_rule": "prod errors"
            }
        })
    }

    fn metric(action: &str) -> Value {
        json!({
            "action": action,
            "data": {
                "description_title": "Critical: too many errors", "description_text": "1000 events in the last 10 minutes",
                "web_url": "https://sentry.io/organizations/shop/alerts/rules/details/7/",
                "metric_alert": {
                    "id": "36", "alert_rule": { "id": "7", "name": "too many errors" }, "projects": ["web"],
                    "date_started": "2026-11-28T03:00:00Z", "date_closed": "2026-11-28T03:10:00Z"
                }
            }
        })
    }

    fn by_plugin() -> Value {
        json!({
            "id": "117", "project": "web", "project_name": "Web", "project_slug": "web", "culprit": "shop.pay", "level": "fatal",
            "message": "", "url": "https://sentry.io/organizations/shop/issues/117/", "triggering_rules": ["new issues"],
            "event": { "event_id": "e1", "title": "KeyError: 'x'", "tags": [["environment", "production"]] }
        })
    }

    fn read_with(body: Value, resource: Option<&str>) -> Result<Signal, Unreadable> {
        let headers = resource.map(|value| ("sentry-hook-resource".to_owned(), value.to_owned())).into_iter().collect();
        let mut signals = read(&Message { body, headers, ..Message::default() })?;
        assert_eq!(signals.len(), 1);
        Ok(signals.remove(0))
    }

    #[test]
    fn an_alert_of_an_issue() {
        for resource in [Some("event_alert"), None] {
            let signal = read_with(event_alert(), resource).unwrap();
            assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("sentry/issue/117/prod errors")));
            assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("KeyError: 'x'", "shop.pay\nrule: prod errors"));
            assert_eq!(signal.priority, Some(Priority::High));
            let labels = ["environment", "browser", "level", "platform", "rule"].map(|name| signal.labels[name].clone());
            assert_eq!(labels, ["production", "Chrome", "error", "python", "prod errors"]);
            assert_eq!(signal.link.as_deref(), Some("https://sentry.io/organizations/shop/issues/117/events/e1/"));
            assert_eq!(signal.at.unwrap().timestamp(), 1_795_834_800);
        }
    }

    #[test]
    fn an_issue_may_say_little() {
        let mut body = event_alert();
        body["data"] = json!({ "event": { "issue_id": 117, "culprit": "shop.pay" }, "issue_alert": { "title": "all" } });
        let signal = read_with(body, None).unwrap();
        assert_eq!((signal.key.as_deref(), signal.summary.as_str()), (Some("sentry/issue/117/all"), "shop.pay"));
        assert_eq!((signal.details.as_str(), signal.priority), ("rule: all", None));
        let signal = read_with(json!({ "data": { "event": {} } }), None).unwrap();
        assert_eq!((signal.key, signal.summary.as_str()), (None, "an issue of Sentry"));
        let signal = read_with(json!({ "data": { "event": { "issue_id": "117" } } }), None).unwrap();
        assert_eq!(signal.key.as_deref(), Some("sentry/issue/117"));
    }

    #[test]
    fn an_alert_of_a_metric() {
        for resource in [Some("metric_alert"), None] {
            let signal = read_with(metric("critical"), resource).unwrap();
            assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("sentry/metric/7")));
            assert_eq!((signal.summary.as_str(), signal.priority), ("Critical: too many errors", Some(Priority::Critical)));
            assert_eq!(signal.details, "1000 events in the last 10 minutes");
            assert_eq!((signal.labels["rule"].as_str(), signal.labels["project"].as_str()), ("too many errors", "web"));
            assert_eq!(signal.link.as_deref(), Some("https://sentry.io/organizations/shop/alerts/rules/details/7/"));
            assert_eq!(signal.at.unwrap().timestamp(), 1_795_834_800);
        }
        let signal = read_with(metric("resolved"), None).unwrap();
        assert_eq!((signal.word, signal.key.as_deref(), signal.priority), (Word::Resolved, Some("sentry/metric/7"), None));
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_835_400);
        assert_eq!(read_with(metric("warning"), None).unwrap().priority, Some(Priority::Normal));
        let signal = read_with(metric("open"), None).unwrap();
        assert_eq!((signal.word, signal.priority), (Word::Firing, None), "it is sent, though not documented");
    }

    #[test]
    fn the_number_of_an_issue_is_not_that_of_a_rule() {
        let mut body = metric("critical");
        body["data"]["metric_alert"] = json!({ "id": "117" });
        let other = read_with(json!({ "data": { "event": { "issue_id": "117" } } }), None).unwrap().key;
        assert_ne!(read_with(body, None).unwrap().key, other);
    }

    #[test]
    fn the_plugin_says_the_same_in_another_form() {
        let signal = read_with(by_plugin(), None).unwrap();
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("sentry/issue/117/new issues")));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("KeyError: 'x'", "shop.pay\nrule: new issues"));
        assert_eq!((signal.priority, signal.labels["project"].as_str()), (Some(Priority::Critical), "web"));
        assert_eq!(signal.link.as_deref(), Some("https://sentry.io/organizations/shop/issues/117/"));
        let signal = read_with(json!({ "id": "1", "message": "disk full", "event": {} }), None).unwrap();
        assert_eq!(signal.summary, "disk full");
    }

    #[test]
    fn what_is_no_alert_rings_nobody() {
        for resource in ["installation", "issue", "comment", "error", "seer"] {
            let signal = read_with(event_alert(), Some(resource)).unwrap();
            assert!(matches!(signal.word, Word::Ignored(_)), "{resource}: the header counts");
        }
        let body = json!({ "action": "created", "data": { "issue": { "id": "117", "title": "KeyError" } } });
        assert!(matches!(read_with(body, None).unwrap().word, Word::Ignored(_)));
    }

    #[test]
    fn what_is_nothing_of_sentry_is_refused() {
        let refused = read_with(json!({ "foo": 1 }), None).unwrap_err();
        assert!(refused.field == "data" && refused.why.contains("internal integration"), "{refused}");
        assert_eq!(read_with(json!({ "data": {} }), Some("event_alert")).unwrap_err().field, "data.event");
        assert_eq!(read_with(event_alert(), Some("metric_alert")).unwrap_err().field, "data.metric_alert");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(
            first in spoilt(event_alert()), second in spoilt(metric("critical")), third in spoilt(by_plugin()),
            resource in "event_alert|metric_alert|[a-z]{0,5}",
        ) {
            for body in [first, second, third] {
                sound(&READER, body.clone())?;
                let headers = [("sentry-hook-resource".to_owned(), resource.clone())].into();
                let _ = read(&Message { body, headers, ..Message::default() });
            }
        }
    }
}
