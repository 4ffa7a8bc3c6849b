//! What a sender may say of an alarm, and the checks that turn it into something the engine can take.
//!
//! A request is refused as a whole, with the field at fault, before anything is stored.

use std::collections::{BTreeMap, HashSet};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::alarm::{Mode, Priority, Until};
use crate::config::Config;
use crate::engine::whom::Named;
use crate::engine::{Acknowledgement, NamedBy, NewCallee, RaiseRequest};
use crate::http::problem::Problem;
use crate::http::senders::Sender;
use crate::numbers::Number;

const LONGEST_SUMMARY: usize = 1_000;
const LONGEST_DETAILS: usize = 20_000;
const LONGEST_SOURCE: usize = 200;
const LONGEST_DEDUP_KEY: usize = 500;
const MOST_LABELS: usize = 64;
const LONGEST_LABEL_NAME: usize = 200;
const LONGEST_LABEL_VALUE: usize = 2_000;
const LONGEST_KEY: usize = 255;
/// Longest name of anything, in characters.
pub const LONGEST_NAME: usize = 200;
/// Longest remark, in characters.
pub const LONGEST_NOTE: usize = 2_000;
pub(super) const ATTEMPTS: std::ops::RangeInclusive<i32> = 1..=10;
pub(super) const DAY: i32 = 86_400;

/// The JSON body of `POST /api/v1/alarms`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmBody {
    /// What happened, in one line of at most 1000 characters.
    summary: String,
    /// More text, at most 20000 characters.
    #[serde(default)]
    details: String,
    /// What the sender calls itself; else the name of its key.
    #[serde(default)]
    source: String,
    /// What makes two reports the same alarm.
    dedup_key: Option<String>,
    /// Default: normal.
    priority: Option<Priority>,
    /// Names and values, at most 64.
    #[serde(default, deserialize_with = "each_name_once")]
    labels: BTreeMap<String, String>,
    /// Whom to ring, in order; else the numbers of the key, else `alarms.fallback_phones`.
    #[serde(default)]
    phones: Vec<String>,
    /// Default: sequential.
    mode: Option<Mode>,
    /// Default: first.
    until: Option<Until>,
    /// Calls to each callee, 1 to 10; default 2.
    attempts: Option<i32>,
    /// Least time between two calls to one callee; default 60.
    min_interval_seconds: Option<i32>,
    /// Without a handset by then the alarm ends; default 3600.
    begin_before_seconds: Option<i32>,
    /// An answer that nobody confirms within so many seconds lapses, and ringing goes on; default: as the policy says.
    confirm_within_seconds: Option<i32>,
    /// The escalation policy that says whom to ring, instead of `phones`.
    policy: Option<String>,
    /// Whom to ring by name or by duty, in order, instead of `phones`: as in a step of a policy.
    #[serde(default)]
    ring: Vec<Named>,
    /// Nobody is rung; counters and history advance all the same.
    #[serde(default)]
    dry_run: bool,
}

/// The JSON body of `POST /api/v1/alarms/{id}/acknowledge`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeBody {
    /// Who confirms.
    name: Option<String>,
    /// Their number, if the name is to be found by it.
    number: Option<String>,
    /// A remark for the timeline.
    note: Option<String>,
    /// Unless it is over by then, the alarm rings again after so many seconds: 60 to 604800.
    ring_again_after_seconds: Option<i32>,
}

/// The JSON body of `POST /api/v1/alarms/{id}/cancel`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Who calls it off.
    by: Option<String>,
}

/// Reads names and values, and refuses a name that stands there twice: which value was meant?
fn each_name_once<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Names;
    impl<'de> serde::de::Visitor<'de> for Names {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if all.contains_key(&name) {
                    return Err(serde::de::Error::custom(format!("the name {name:?} stands there twice")));
                }
                all.insert(name, value);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_map(Names)
}

/// Reads a body of limited size.
///
/// # Errors
/// When it is larger, or breaks off.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {limit} bytes; the limit is http.body_limit_bytes"),
        )),
        Err(_) => Err(Problem::bad_request("body_broke_off", "the body broke off")),
    }
}

/// Reads and checks a request to raise an alarm.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn raise_request(
    body: &[u8],
    idempotency_key: Option<&str>,
    sender: &Sender,
    config: &Config,
) -> Result<RaiseRequest, Problem> {
    let alarm: AlarmBody = read_json(body)?;
    check_text("summary", &alarm.summary, LONGEST_SUMMARY)?;
    if alarm.summary.trim().is_empty() {
        return Err(Problem::invalid("summary", "the summary must say what happened: it is empty"));
    }
    check_text("details", &alarm.details, LONGEST_DETAILS)?;
    check_text("source", &alarm.source, LONGEST_SOURCE)?;
    if let Some(key) = &alarm.dedup_key {
        check_text("dedup_key", key, LONGEST_DEDUP_KEY)?;
        if key.is_empty() {
            return Err(Problem::invalid("dedup_key", "an empty dedup_key would make all such alarms one: leave it out"));
        }
    }
    check_labels(&alarm.labels)?;
    let max_attempts = match alarm.attempts {
        Some(attempts) => within("attempts", attempts, ATTEMPTS, "calls to each callee")?,
        None => default_attempts(config),
    };
    let min_interval_s = match alarm.min_interval_seconds {
        Some(interval) => within("min_interval_seconds", interval, 0..=DAY, "seconds")?,
        None => default_interval(config),
    };
    let begin_window_s = match alarm.begin_before_seconds {
        Some(window) => within("begin_before_seconds", window, 1..=7 * DAY, "seconds")?,
        None => begin_window(config),
    };
    let confirm_within = match alarm.confirm_within_seconds {
        Some(within_seconds) => Some(within("confirm_within_seconds", within_seconds, 1..=DAY, "seconds")?),
        None => None,
    };
    let policy = optional_text("policy", alarm.policy, LONGEST_NAME)?;
    let ways = [policy.is_some(), !alarm.phones.is_empty(), !alarm.ring.is_empty()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        let field = if policy.is_some() { "policy" } else { "ring" };
        return Err(Problem::invalid(field, "give one of phones, ring and policy: each says whom to ring"));
    }
    if alarm.ring.len() > config.alarms.max_phones {
        return Err(Problem::invalid("ring", format!("at most {} can be named for one alarm", config.alarms.max_phones)));
    }
    let own = sender.key.as_ref().map_or(&[][..], |key| key.phones.as_slice());
    let named =
        [(NamedBy::Alarm, &alarm.phones[..]), (NamedBy::Sender, own), (NamedBy::Fallback, &config.alarms.fallback_phones)];
    let (named_by, phones) = named.into_iter().find(|(_, phones)| !phones.is_empty()).unwrap_or((NamedBy::Fallback, &[]));
    let callees = callees(phones, max_attempts, min_interval_s, config)?;
    let idempotency = match idempotency_key {
        None => None,
        Some(key) if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            return Err(Problem::invalid(
                "Idempotency-Key",
                format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters"),
            ));
        }
        Some(key) => Some((key.to_owned(), Sha256::digest(body).to_vec())),
    };
    Ok(RaiseRequest {
        integration_id: sender.integration_id(),
        source: if alarm.source.is_empty() { sender.name().unwrap_or_default().to_owned() } else { alarm.source },
        dedup_key: alarm.dedup_key,
        summary: alarm.summary,
        details: alarm.details,
        labels: alarm.labels,
        priority: alarm.priority.unwrap_or(Priority::Normal),
        mode: alarm.mode.unwrap_or(Mode::Sequential),
        until: alarm.until.unwrap_or(Until::First),
        dry_run: alarm.dry_run,
        begin_window_s,
        confirm_within,
        policy,
        named_by: if alarm.ring.is_empty() { named_by } else { NamedBy::Alarm },
        callees: if alarm.ring.is_empty() { callees } else { Vec::new() },
        ring: alarm.ring,
        attempts: alarm.attempts,
        min_interval_s: alarm.min_interval_seconds,
        sender: sender.name().map(str::to_owned),
        idempotency,
        ..RaiseRequest::default()
    })
}

/// Reads and checks who acknowledges; an empty body is allowed.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn acknowledgement(body: &[u8], config: &Config) -> Result<Acknowledgement, Problem> {
    let by: AcknowledgeBody = read_optional_json(body)?;
    let name = optional_text("name", by.name, LONGEST_NAME)?;
    let note = optional_text("note", by.note, LONGEST_NOTE)?;
    let number = match by.number {
        None => None,
        Some(number) => {
            let parsed =
                Number::parse(&number, config.default_region).map_err(|error| Problem::invalid("number", error.to_string()))?;
            Some(parsed.number.as_str().to_owned())
        }
    };
    let ring_again_after_s = match by.ring_again_after_seconds {
        Some(after) => Some(within("ring_again_after_seconds", after, 60..=7 * DAY, "seconds")?),
        None => None,
    };
    Ok(Acknowledgement { name, number, note, ring_again_after_s, ..Acknowledgement::default() })
}

/// Reads and checks who cancels; an empty body is allowed.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn cancelled_by(body: &[u8]) -> Result<Option<String>, Problem> {
    let by: CancelBody = read_optional_json(body)?;
    optional_text("by", by.by, LONGEST_NAME)
}

/// How long an alarm that does not say waits for a handset, in seconds.
#[must_use]
pub fn begin_window(config: &Config) -> i32 {
    i32::try_from(config.alarms.begin_before.as_secs()).unwrap_or(7 * DAY)
}

fn default_attempts(config: &Config) -> i32 {
    i32::try_from(config.alarms.attempts).unwrap_or(*ATTEMPTS.end())
}

fn default_interval(config: &Config) -> i32 {
    i32::try_from(config.alarms.min_interval.as_secs()).unwrap_or(DAY)
}

/// Callees for an alarm that does not say how often to ring them.
///
/// # Errors
/// The first number that cannot be rung.
pub fn default_callees(phones: &[String], config: &Config) -> Result<Vec<NewCallee>, Problem> {
    callees(phones, default_attempts(config), default_interval(config), config)
}

fn callees(phones: &[String], max_attempts: i32, min_interval_s: i32, config: &Config) -> Result<Vec<NewCallee>, Problem> {
    let most = config.alarms.max_phones;
    if phones.len() > most {
        return Err(Problem::invalid("phones", format!("at most {most} numbers can be rung for one alarm")));
    }
    let mut seen = HashSet::new();
    let mut callees = Vec::with_capacity(phones.len());
    for (index, phone) in phones.iter().enumerate() {
        let parsed = Number::parse(phone, config.default_region)
            .map_err(|error| Problem::invalid(format!("phones[{index}]"), error.to_string()))?;
        let number = parsed.number.as_str().to_owned();
        // The same number in two spellings is one callee: nobody is rung twice in a row for one alarm.
        if seen.insert(number.clone()) {
            let known_to_plan = parsed.known_to_plan;
            callees.push(NewCallee { number, known_to_plan, name: None, reference: None, max_attempts, min_interval_s });
        }
    }
    Ok(callees)
}

pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    if labels.len() > MOST_LABELS {
        return Err(Problem::invalid("labels", format!("an alarm has at most {MOST_LABELS} labels")));
    }
    for (name, value) in labels {
        let field = format!("labels.{}", name.escape_debug());
        if name.is_empty() {
            return Err(Problem::invalid("labels", "a label needs a name"));
        }
        check_text(&field, name, LONGEST_LABEL_NAME)?;
        check_text(&field, value, LONGEST_LABEL_VALUE)?;
    }
    Ok(())
}

/// Text without control characters other than line breaks and tabs: a NUL cannot be stored, and the others garble logs and pages.
pub(super) fn check_text(field: &str, text: &str, longest: usize) -> Result<(), Problem> {
    if text.chars().count() > longest {
        return Err(Problem::invalid(field, format!("{field} is longer than {longest} characters")));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(c) => Err(Problem::invalid(field, format!("{field} holds the control character {}", c.escape_unicode()))),
        None => Ok(()),
    }
}

pub(super) fn optional_text(field: &str, text: Option<String>, longest: usize) -> Result<Option<String>, Problem> {
    match text {
        None => Ok(None),
        Some(text) => {
            check_text(field, &text, longest)?;
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        }
    }
}

pub(super) fn within(field: &str, value: i32, range: std::ops::RangeInclusive<i32>, unit: &str) -> Result<i32, Problem> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Problem::invalid(field, format!("{field} must be {} to {} {unit}, not {value}", range.start(), range.end())))
}

pub(super) fn read_optional_json<T: Default + for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { read_json(body) }
}

/// Reads JSON, and names the field at fault.
///
/// # Errors
/// What is wrong, and where.
pub fn read_json<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Problem> {
    // A list of values in the order of the fields would be read as well; nobody means that.
    if body.trim_ascii_start().first().is_some_and(|&byte| byte != b'{') {
        return Err(Problem::bad_request("malformed_json", "the body must be a JSON object: {\"summary\": …}"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() {
            let path = error.path().to_string();
            // A missing, unknown or repeated field is reported at the object that should hold it; the name stands in the message.
            let field = match inner.to_string().split('`').nth(1) {
                Some(name) if path == "." => name.to_owned(),
                _ => path,
            };
            Problem::invalid(field, inner.to_string())
        } else {
            Problem::bad_request("malformed_json", format!("the body is not JSON: {inner}"))
        }
    })?;
    deserializer
        .end()
        .map_err(|error| Problem::bad_request("malformed_json", format!("something follows the JSON body: {error}")))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn parse(body: &Value) -> Result<RaiseRequest, Value> {
        raise_request(
            body.to_string().as_bytes(),
            None,
            &Sender { key: None, address: std::net::Ipv4Addr::LOCALHOST.into() },
            &Config::default(),
        )
        .map_err(|problem| serde_json::to_value(problem).unwrap())
    }

    fn field(body: &Value) -> String {
        parse(body).unwrap_err()["field"].as_str().unwrap_or("-").to_owned()
    }

    #[test]
    fn defaults() {
        let request = parse(&json!({ "summary": "disk", "phones": ["18712345678"] })).unwrap();
        assert_eq!(request.mode, Mode::Sequential);
        assert_eq!(request.until, Until::First);
        assert_eq!(request.priority, Priority::Normal);
        assert_eq!(request.begin_window_s, 3600);
        assert_eq!(request.callees[0].number, "+8618712345678");
        assert_eq!((request.callees[0].max_attempts, request.callees[0].min_interval_s), (2, 60));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let with = |name: &str, value: Value| {
            let mut body = json!({ "summary": "s", "phones": ["18712345678"] });
            body[name] = value;
            body
        };
        assert_eq!(field(&json!({ "phones": ["18712345678"] })), "summary");
        assert_eq!(field(&with("summary", json!("  "))), "summary");
        assert_eq!(field(&with("summary", json!(7))), "summary");
        assert_eq!(field(&with("summary", json!("a\u{0}b"))), "summary");
        assert_eq!(field(&with("phones", json!(["18712345678", "110"]))), "phones[1]");
        assert_eq!(field(&with("phones", json!(["187#21"]))), "phones[0]");
        assert_eq!(field(&with("phones", json!([18_712_345_678_u64]))), "phones[0]");
        assert_eq!(field(&with("phones", json!("18712345678"))), "phones");
        assert_eq!(field(&with("attempts", json!(0))), "attempts");
        assert_eq!(field(&with("attempts", json!(11))), "attempts");
        assert_eq!(field(&with("mode", json!("random"))), "mode");
        assert_eq!(field(&with("until", json!("never"))), "until");
        assert_eq!(field(&with("priority", json!("urgent"))), "priority");
        assert_eq!(field(&with("min_interval_seconds", json!(-1))), "min_interval_seconds");
        assert_eq!(field(&with("begin_before_seconds", json!(0))), "begin_before_seconds");
        assert_eq!(field(&with("dedup_key", json!(""))), "dedup_key");
        assert_eq!(field(&with("labels", json!({ "a": 1 }))), "labels.a");
        assert_eq!(field(&with("sumary", json!("typo"))), "sumary");
    }

    #[test]
    fn one_number_in_two_spellings_is_one_callee() {
        let body = json!({ "summary": "s", "phones": ["187 1234 5678", "+8618712345678", "18812345678"] });
        assert_eq!(parse(&body).unwrap().callees.len(), 2);
    }

    #[test]
    fn not_json_at_all() {
        for body in ["", "{", "[]x", "{\"summary\":\"a\"} {}", "\u{feff}"] {
            assert!(
                raise_request(
                    body.as_bytes(),
                    None,
                    &Sender { key: None, address: std::net::Ipv4Addr::LOCALHOST.into() },
                    &Config::default()
                )
                .is_err(),
                "{body}"
            );
        }
        let twice = r#"{"summary":"a","summary":"b","phones":["18712345678"]}"#;
        assert!(
            raise_request(
                twice.as_bytes(),
                None,
                &Sender { key: None, address: std::net::Ipv4Addr::LOCALHOST.into() },
                &Config::default()
            )
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200), key in ".{0,20}") {
            let _ = raise_request(&body, Some(&key), &Sender { key: None, address: std::net::Ipv4Addr::LOCALHOST.into() }, &Config::default());
            let _ = acknowledgement(&body, &Config::default());
            let _ = cancelled_by(&body);
        }
    }
}
