//! What of before and after is kept in a line: only what changed, no secret, and not much of anything.

use serde_json::{Map, Value, json};

/// A name is not kept beyond so many characters.
pub const LONGEST_NAME: usize = 200;
/// One side of a change has so many bytes at most, as it is written down.
pub const MOST_BYTES: usize = 4096;
/// A text within it has so many characters.
const LONGEST_TEXT: usize = 300;
/// Of a list, so many entries are kept.
const MOST_ENTRIES: usize = 50;
/// What lies deeper than this is not kept.
const DEEPEST: usize = 8;

/// What a key is called whose value must not be kept.
const SECRET: [&str; 9] =
    ["secret", "password", "passwd", "token", "authorization", "credential", "private", "api_key", "key_hash"];
/// Stands where a secret was.
pub const HIDDEN: &str = "hidden";
/// Stands where there is another secret than before.
pub const OTHER: &str = "changed";

/// A text of at most so many characters.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(most.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
            format!("{}…", &text[..end])
        }
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET.iter().any(|word| key.contains(word))
}

/// Both sides of a change as they are kept.
#[must_use]
pub fn change(before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
    let (before, after) = different(before, after);
    let (before, after) = without_secrets(before, after);
    (before.map(bounded), after.map(bounded))
}

/// Of two objects, the entries that are not the same in both.
fn different(before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
    match (before, after) {
        (Some(Value::Object(mut old)), Some(Value::Object(mut new))) => {
            let same: Vec<String> =
                old.iter().filter(|(key, value)| new.get(*key) == Some(value)).map(|(key, _)| key.clone()).collect();
            for key in same {
                old.remove(&key);
                new.remove(&key);
            }
            (Some(Value::Object(old)), Some(Value::Object(new)))
        }
        other => other,
    }
}

fn without_secrets(before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
    let other = |key: &str, value: &Value, old: Option<&Value>| -> Value {
        let was = old.and_then(|old| old.get(key));
        match value {
            Value::Null => Value::Null,
            _ if was.is_some_and(|was| was != value) => json!(OTHER),
            _ => json!(HIDDEN),
        }
    };
    let after = after.map(|value| match value {
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| match is_secret(&key) {
                    true => {
                        let shown = other(&key, &value, before.as_ref());
                        (key, shown)
                    }
                    false => (key, hidden(value, 0)),
                })
                .collect(),
        ),
        value => hidden(value, 0),
    });
    (before.map(|value| hidden(value, 0)), after)
}

/// A value in which no secret stands.
fn hidden(value: Value, depth: usize) -> Value {
    if depth >= DEEPEST {
        return json!("…");
    }
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| match is_secret(&key) && !value.is_null() {
                    true => (key, json!(HIDDEN)),
                    false => (key, hidden(value, depth + 1)),
                })
                .collect(),
        ),
        Value::Array(entries) => Value::Array(entries.into_iter().map(|entry| hidden(entry, depth + 1)).collect()),
        // Nothing is null, as everywhere in the API.
        Value::String(text) if text.is_empty() => Value::Null,
        value => value,
    }
}

/// A value that takes no more room than one side may.
fn bounded(value: Value) -> Value {
    let short = shortened(value);
    let bytes = short.to_string().len();
    if bytes <= MOST_BYTES {
        return short;
    }
    // As many entries as there is room for: the first ones are what people look at.
    if let Value::Object(entries) = short {
        let mut kept = Map::new();
        let mut room = MOST_BYTES - 64;
        let mut left_out = 0;
        for (key, value) in entries {
            let needs = json!(key).to_string().len() + value.to_string().len() + 2;
            if needs <= room {
                room -= needs;
                kept.insert(key, value);
            } else {
                left_out += 1;
            }
        }
        kept.insert("…".to_owned(), json!(left_out));
        return Value::Object(kept);
    }
    json!({ "…": bytes })
}

fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(&text, LONGEST_TEXT)),
        Value::Array(entries) => {
            let more = entries.len().saturating_sub(MOST_ENTRIES);
            let mut kept: Vec<Value> = entries.into_iter().take(MOST_ENTRIES).map(shortened).collect();
            if more > 0 {
                kept.push(json!(format!("… {more}")));
            }
            Value::Array(kept)
        }
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (cut(&key, LONGEST_NAME), shortened(value))).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;

    use super::*;

    /// Any JSON that operators could have written.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|number| json!(number)),
            ".{0,400}".prop_map(Value::String),
        ];
        leaf.prop_recursive(5, 200, 70, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..70).prop_map(Value::Array),
                prop::collection::btree_map("[a-z_]{1,12}", inner, 0..20)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// Whether a text stands anywhere in a value.
    fn holds(value: &Value, text: &str) -> bool {
        match value {
            Value::String(own) => own.contains(text),
            Value::Array(entries) => entries.iter().any(|entry| holds(entry, text)),
            Value::Object(entries) => entries.iter().any(|(key, entry)| key.contains(text) || holds(entry, text)),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_side_is_larger_than_it_may_be(before in any_json(), after in any_json()) {
            let (before, after) = change(Some(before), Some(after));
            prop_assert!(before.unwrap().to_string().len() <= MOST_BYTES);
            prop_assert!(after.unwrap().to_string().len() <= MOST_BYTES);
        }

        #[test]
        fn no_secret_is_kept_wherever_it_stands(
            word in prop::sample::select(&SECRET[..]),
            around in any_json(),
            old in "S3CR3T[a-z]{0,6}",
            new in "S3CR3T[a-z]{0,6}",
            depth in 0_usize..6,
        ) {
            let wrapped = |secret: &str| {
                let mut value = json!({ "name": "x", format!("Own-{word}"): secret, "around": around.clone() });
                for _ in 0..depth {
                    value = json!({ "in": [value] });
                }
                value
            };
            let (before, after) = change(Some(wrapped(&old)), Some(wrapped(&new)));
            prop_assert!(!holds(&before.unwrap(), "S3CR3T") && !holds(&after.unwrap(), "S3CR3T"));
        }

        #[test]
        fn what_is_the_same_in_both_is_in_neither(same in any_json(), old in 0_i64..9, new in 10_i64..19) {
            let (before, after) = change(Some(json!({ "same": same, "n": old })), Some(json!({ "same": same, "n": new })));
            prop_assert_eq!(before.unwrap(), json!({ "n": old }));
            prop_assert_eq!(after.unwrap(), json!({ "n": new }));
        }
    }

    #[test]
    fn that_a_secret_is_another_one_is_told() {
        let (before, after) = change(Some(json!({ "token": "a" })), Some(json!({ "token": "b" })));
        assert_eq!((before.unwrap(), after.unwrap()), (json!({ "token": HIDDEN }), json!({ "token": OTHER })));
        let (_, added) = change(None, Some(json!({ "token": "b", "none_of_a_secret": null })));
        assert_eq!(added.unwrap(), json!({ "token": HIDDEN, "none_of_a_secret": null }));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((cut("张伟", 2), cut("张伟王", 2)), ("张伟".to_owned(), "张…".to_owned()));
    }
}
