//! What an answer told a sender: what became of each of its signals, or why it was refused.

use serde_json::Value;

/// What became of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The word for it, such as created, repeated or refused; empty where only a sentence was given.
    pub outcome: String,
    /// The alarm.
    pub alarm: Option<String>,
    /// The alarm's number.
    pub number: Option<String>,
    /// Why.
    pub why: Option<String>,
}

/// So many signals of one answer are shown.
const MOST: usize = 20;

/// What stands in an answer, in the words of our own API, PagerDuty's or Opsgenie's; nothing where it is none of these, or cut off.
#[must_use]
pub fn told(answer: &str) -> Vec<Told> {
    let Ok(answer) = serde_json::from_str::<Value>(answer) else { return Vec::new() };
    if let Some(alarms) = answer["alarms"].as_array() {
        return alarms.iter().take(MOST).map(one).collect();
    }
    let read = one(&answer);
    if read == Told::default() { Vec::new() } else { vec![read] }
}

fn one(said: &Value) -> Told {
    let text = |name: &str| match &said[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let errors = said["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("; ");
    Told {
        outcome: text("outcome").unwrap_or_default(),
        alarm: text("id"),
        number: text("number"),
        why: text("detail")
            .or_else(|| (!errors.is_empty()).then_some(errors))
            .or_else(|| text("message"))
            .or_else(|| text("result")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_what_became_of_each_signal() {
        let answer = r#"{"alarms": [{"id": "a", "number": "7", "outcome": "created"},
            {"id": null, "outcome": "ignored", "detail": "low"}]}"#;
        let read = told(answer);
        assert_eq!(
            (read[0].outcome.as_str(), read[0].alarm.as_deref(), read[0].number.as_deref()),
            ("created", Some("a"), Some("7"))
        );
        assert_eq!((read[1].outcome.as_str(), read[1].alarm.as_deref(), read[1].why.as_deref()), ("ignored", None, Some("low")));
    }

    #[test]
    fn refusals_say_why_in_whosever_words() {
        assert_eq!(told(r#"{"status": 422, "detail": "phones: no"}"#)[0].why.as_deref(), Some("phones: no"));
        assert_eq!(told(r#"{"status": "invalid event", "errors": ["a", "b"]}"#)[0].why.as_deref(), Some("a; b"));
        assert_eq!(told(r#"{"message": "Key format is not valid!"}"#)[0].why.as_deref(), Some("Key format is not valid!"));
        for nothing in ["", "{}", "[1]", "{\"alarms\": [", "OK"] {
            assert_eq!(told(nothing), [], "{nothing}");
        }
    }
}
