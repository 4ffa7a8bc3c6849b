//! The monitoring of clouds, and services that watch for others: each says the same few things in its own form.

pub mod alibaba;
pub mod azure;
pub mod datadog;
pub mod gitlab;
pub mod google;
pub mod graylog;
pub mod sentry;
pub mod sns;
pub mod tencent;

use std::collections::BTreeMap;

use super::Reader;

/// How their messages are read.
pub const READERS: [Reader; 9] = [
    sns::READER,
    azure::READER,
    google::READER,
    datadog::READER,
    alibaba::READER,
    tencent::READER,
    sentry::READER,
    graylog::READER,
    gitlab::READER,
];

/// What is wrong, after the name of the thing with which it is wrong.
fn named(thing: Option<String>, what: String) -> String {
    match thing {
        Some(thing) if thing != what => format!("{thing}: {what}"),
        _ => what,
    }
}

/// Names and values in one text, always in the same order: a sender may change the order, and a key must not.
fn in_order(each: &BTreeMap<String, String>) -> String {
    each.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Word;
    use crate::signal::said::Message;
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;
    use serde_json::Value;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[{}$ =,:/\\[\\]a-zA-Z0-9]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z]{0,8}", inner, 0..4).prop_map(|each| each.into_iter().collect::<Value>()),
            ]
        })
    }

    /// The JSON Pointers of all that is in a value.
    fn places(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    places(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
                }
            }
            Value::Array(list) => {
                for (n, each) in list.iter().enumerate() {
                    places(each, &format!("{at}/{n}"), all);
                }
            }
            _ => {}
        }
    }

    /// A sample in which a few things, anywhere, are missing or are something else.
    pub(super) fn spoilt(sample: Value) -> impl Strategy<Value = Value> {
        let mut all = Vec::new();
        places(&sample, "", &mut all);
        prop::collection::vec((prop::sample::select(all), any_json()), 1..4).prop_map(move |changes| {
            let mut spoilt = sample.clone();
            for (place, other) in changes {
                if let Some(found) = spoilt.pointer_mut(&place) {
                    *found = other;
                }
            }
            spoilt
        })
    }

    /// What holds for every message: it is read, or refused with a reason; who is rung hears a text, and keys name their sender.
    pub(super) fn sound(reader: &Reader, body: Value) -> Result<(), TestCaseError> {
        match (reader.read)(&Message { body, ..Message::default() }) {
            Err(refused) => prop_assert!(!refused.field.is_empty() && !refused.why.is_empty()),
            Ok(signals) => {
                for signal in signals {
                    prop_assert!(signal.word != Word::Firing || !crate::visible::is_blank(&signal.summary), "{signal:?}");
                    let own = format!("{}/", reader.name);
                    prop_assert!(
                        signal.key.as_ref().is_none_or(|key| key.len() > own.len() && key.starts_with(&own)),
                        "{signal:?}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_name_is_of_one_reader() {
        let names: Vec<&str> = READERS.iter().flat_map(|reader| reader.also.iter().copied().chain([reader.name])).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_thing_is_named_once() {
        assert_eq!(named(Some("db1".to_owned()), "cpu".to_owned()), "db1: cpu");
        assert_eq!(named(Some("cpu".to_owned()), "cpu".to_owned()), "cpu");
        assert_eq!(named(None, "cpu".to_owned()), "cpu");
    }

    #[test]
    fn the_order_of_names_is_always_the_same() {
        let each = |names: [&str; 2]| names.map(|name| (name.to_owned(), "1".to_owned())).into();
        assert_eq!(in_order(&each(["b", "a"])), "a=1,b=1");
        assert_eq!(in_order(&each(["a", "b"])), "a=1,b=1");
    }
}
