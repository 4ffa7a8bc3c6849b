//! What nobody would send, for tests: values of any form, and samples in which something is missing or is something else.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::said::Message;
use super::{Reader, Word};

/// Any value. Its members have these names, or any where there are none; some of its texts are these words, or a document of their own.
pub(super) fn value(names: &'static [&'static str], words: &'static [&'static str]) -> BoxedStrategy<Value> {
    let name = match names {
        [] => "[a-zA-Z]{0,8}".boxed(),
        names => prop::sample::select(names).prop_map(str::to_owned).boxed(),
    };
    let words: &'static [&'static str] = if words.is_empty() { &["critical"] } else { words };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[{}$ \\\\\n=,.:%/\\[\\]a-zA-Z0-9]{0,20}".prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let members = prop::collection::btree_map(name.clone(), inner.clone(), 0..6);
        let members = members.prop_map(|each| each.into_iter().collect::<Value>()).boxed();
        let held = members.clone().prop_map(|value| Value::from(value.to_string()));
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::from), members, held]
    })
    .boxed()
}

/// The JSON Pointers of all that is in a value.
pub(super) fn places(value: &Value) -> Vec<String> {
    fn below(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    below(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
                }
            }
            Value::Array(list) => {
                for (n, each) in list.iter().enumerate() {
                    below(each, &format!("{at}/{n}"), all);
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    below(value, "", &mut all);
    all
}

/// A sample in which a few things, anywhere, are missing or are something else.
pub(super) fn spoilt(sample: Value) -> impl Strategy<Value = Value> {
    let all = places(&sample);
    prop::collection::vec((prop::sample::select(all), value(&[], &[])), 1..4).prop_map(move |changes| {
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
                prop_assert!(signal.key.as_ref().is_none_or(|key| key.len() > own.len() && key.starts_with(&own)), "{signal:?}");
            }
        }
    }
    Ok(())
}
