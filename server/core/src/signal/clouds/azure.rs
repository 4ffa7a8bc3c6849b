//! Azure Monitor, by its common alert schema: one form for all kinds of its alerts, where the action group asks for it.

use chrono::TimeDelta;

use super::named;
use crate::alarm::Priority;
use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word};

/// How it is read.
pub const READER: Reader = Reader::of("azure", read);

const SCHEMA: &str = "azureMonitorCommonAlertSchema";

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    if !said.text("schemaId").is_some_and(|schema| schema.eq_ignore_ascii_case(SCHEMA)) {
        let why = "this is not the common alert schema: in Azure open the action group, then its action of the type Webhook, \
                   and set \"Enable the common alert schema\" to Yes";
        return Err(Unreadable::new("schemaId", why));
    }
    let Some(essentials) = said.at(&["data", "essentials"]).filter(|essentials| essentials.0.is_object()) else {
        let why = "nothing is in it: an alert of Azure says here which rule and which resource it is about";
        return Err(Unreadable::new("data.essentials", why));
    };
    let is_over = essentials.text("monitorCondition").is_some_and(|condition| condition.eq_ignore_ascii_case("resolved"));
    let context = said.at(&["data", "alertContext"]);
    let conditions = || context.and_then(|context| context.at(&["condition", "allOf"])).into_iter().flat_map(Said::each);
    let resources = resources(essentials);
    let own = [
        ("resource", resources.clone()),
        ("service", essentials.text("monitoringService")),
        ("severity", essentials.text("severity")),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let dimensions = conditions().flat_map(|condition| condition.list("dimensions"));
    let dimensions = dimensions.filter_map(|each| Some((each.text("name")?, each.text("value")?)));
    let custom = said.at(&["data", "customProperties"]).map(Said::texts).unwrap_or_default();
    let found = conditions().find_map(|condition| condition.first(&["linkToFilteredSearchResultsUI", "linkToSearchResultsUI"]));
    let measured = conditions().filter_map(measured).collect::<Vec<_>>().join("\n");
    Ok(vec![Signal {
        word: if is_over { Word::Resolved } else { Word::Firing },
        key: essentials.first(&["alertId", "originAlertId"]).map(|id| format!("azure/{id}")),
        priority: essentials.text("severity").and_then(|severity| priority(&severity)),
        summary: named(resources, essentials.text("alertRule").unwrap_or_else(|| "an alert of Azure".to_owned())),
        details: lines([essentials.text("description"), Some(measured).filter(|text| !text.is_empty())]),
        labels: dimensions.chain(custom).chain(own).collect(),
        link: essentials.text("investigationLink").or(found),
        whom: Vec::new(),
        at: essentials.instant(if is_over { "resolvedDateTime" } else { "firedDateTime" }, TimeDelta::zero()),
        holds_until: None,
    }])
}

/// The names of what it is about. A whole subscription has none, only a number that tells nobody anything.
fn resources(essentials: Said<'_>) -> Option<String> {
    let mut names: Vec<String> = essentials.list("configurationItems").filter_map(Said::as_text).collect();
    if names.is_empty() {
        let ids = essentials.list("alertTargetIDs").filter_map(Said::as_text);
        let ids = ids.filter(|id| id.to_lowercase().contains("/providers/"));
        names = ids.filter_map(|id| id.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned)).collect();
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// What was measured, and what the rule says of it.
fn measured(condition: Said<'_>) -> Option<String> {
    let metric = condition.first(&["metricName", "metricMeasureColumn"])?;
    let value = condition.text("metricValue").map(|value| format!(" is {value}")).unwrap_or_default();
    let rule = condition.text("operator").zip(condition.text("threshold"));
    Some(format!("{metric}{value}{}", rule.map(|(operator, threshold)| format!(" ({operator} {threshold})")).unwrap_or_default()))
}

/// Here 0 is the worst, so that `Sev1` is not what it is elsewhere.
fn priority(severity: &str) -> Option<Priority> {
    Some(match severity.to_lowercase().trim_start_matches("sev").trim() {
        "0" => Priority::Critical,
        "1" => Priority::High,
        "2" => Priority::Normal,
        "3" | "4" => Priority::Low,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const ID: &str = "/subscriptions/0/providers/Microsoft.AlertsManagement/alerts/12345678-0000-0000-0000-000000000000";

    fn sample(change: Value) -> Value {
        let mut essentials = json!({
            "alertId": ID, "alertRule": "cpu", "severity": "Sev1", "signalType": "Metric", "monitorCondition": "Fired",
            "monitoringService": "Platform",
            "alertTargetIDs": ["/subscriptions/0/resourcegroups/shop/providers/microsoft.compute/virtualmachines/db1"],
            "configurationItems": ["db1"], "originAlertId": "0_shop_cpu", "firedDateTime": "2026-11-28T03:00:00.1234567Z",
            "resolvedDateTime": "2026-11-28T03:10:00.7654321Z", "description": "too hot", "essentialsVersion": "1.0"
        });
        essentials.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {
                "essentials": essentials,
                "alertContext": { "conditionType": "SingleResourceMultipleMetricCriteria", "condition": { "allOf": [{
                    "metricName": "Percentage CPU", "operator": "GreaterThan", "threshold": "90", "metricValue": 97.5,
                    "dimensions": [{ "name": "ResourceId", "value": "r-1" }],
                    "linkToSearchResultsUI": "https://portal.azure.com/logs"
                }] } },
                "customProperties": { "team": "db" }
            }
        })
    }

    fn read_whole(body: Value) -> Result<Signal, Unreadable> {
        let mut signals = read(&Message { body, ..Message::default() })?;
        assert_eq!(signals.len(), 1);
        Ok(signals.remove(0))
    }

    fn read_one(change: Value) -> Signal {
        read_whole(sample(change)).unwrap()
    }

    #[test]
    fn an_alert_is_all_that_its_essentials_say() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key), (Word::Firing, Some(format!("azure/{ID}"))));
        assert_eq!((signal.summary.as_str(), signal.priority), ("db1: cpu", Some(Priority::High)));
        assert_eq!(signal.details, "too hot\nPercentage CPU is 97.5 (GreaterThan 90)");
        let labels = ["resource", "service", "severity", "ResourceId", "team"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["db1", "Platform", "Sev1", "r-1", "db"]);
        assert_eq!(signal.link.as_deref(), Some("https://portal.azure.com/logs"));
        assert_eq!(signal.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00.123456+00:00", "fractions have seven digits");
    }

    #[test]
    fn its_end_has_the_same_key_and_its_own_time() {
        let signal = read_one(json!({ "monitorCondition": "Resolved" }));
        assert_eq!((signal.word, signal.key), (Word::Resolved, Some(format!("azure/{ID}"))));
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_835_400);
        assert_eq!(read_one(json!({ "monitorCondition": null })).word, Word::Firing);
    }

    #[test]
    fn severities_count_from_zero() {
        let found = ["Sev0", "Sev1", "Sev2", "Sev3", "Sev4", "sev0", "odd"]
            .map(|severity| read_one(json!({ "severity": severity })).priority);
        let (critical, low) = (Some(Priority::Critical), Some(Priority::Low));
        assert_eq!(found, [critical, Some(Priority::High), Some(Priority::Normal), low, low, critical, None]);
        assert_eq!(read_one(json!({ "severity": 0 })).priority, critical);
    }

    #[test]
    fn the_resource_may_be_known_by_its_path_only() {
        assert_eq!(read_one(json!({ "configurationItems": [] })).summary, "db1: cpu");
        let whole =
            json!({ "configurationItems": null, "alertTargetIDs": ["/subscriptions/12345678-0000-0000-0000-000000000000"] });
        assert_eq!(read_one(whole).summary, "cpu");
        assert_eq!(read_one(json!({ "configurationItems": ["a", "b"] })).summary, "a, b: cpu");
    }

    #[test]
    fn an_alert_may_say_little() {
        let body = json!({ "schemaId": SCHEMA, "data": { "essentials": {}, "alertContext": null, "customProperties": null } });
        let signal = read_whole(body).unwrap();
        assert_eq!((signal.word, signal.summary.as_str(), signal.key), (Word::Firing, "an alert of Azure", None));
        assert_eq!((signal.details.as_str(), signal.link, signal.at), ("", None, None));
    }

    #[test]
    fn its_own_page_is_the_better_link() {
        let link = "https://portal.azure.com/#view/alert";
        assert_eq!(read_one(json!({ "investigationLink": link })).link.as_deref(), Some(link));
    }

    #[test]
    fn another_schema_is_refused_by_the_name_of_the_switch() {
        let classic = json!({ "status": "Activated", "context": { "name": "cpu" } });
        for body in [classic, json!({ "schemaId": "AzureMonitorMetricAlert", "data": {} }), json!({ "schemaId": null })] {
            let refused = read_whole(body).unwrap_err();
            assert!(refused.field == "schemaId" && refused.why.contains("Enable the common alert schema"), "{refused}");
        }
        assert_eq!(read_whole(json!({ "schemaId": SCHEMA, "data": {} })).unwrap_err().field, "data.essentials");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(body in spoilt(sample(json!({})))) {
            sound(&READER, body)?;
        }
    }
}
