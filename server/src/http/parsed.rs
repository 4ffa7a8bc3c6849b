//! JSON of any form, read once and in one way for all who send it.
//!
//! A member that is null is not there: senders that fill in a form write null for what they do not know. A member that stands twice is
//! told, since nobody can say which one was meant.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::wash::{self, Washed};
use crate::http::problem::{Code, Problem};

/// What stood in a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// All of it, without the members that are null.
    pub value: Value,
    /// Something was put right before it could be read.
    pub cleaned: bool,
    /// The members that stand there more than once, such as `labels.host`; the last one is in `value`.
    pub twice: Vec<String>,
}

impl Parsed {
    /// Reads JSON.
    ///
    /// # Errors
    /// When it is none, or in an encoding that is not taken.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        Self::noting(body, Notes::default())
    }

    /// Reads a merge patch, where a member that is null takes something away.
    ///
    /// # Errors
    /// When it is none, or in an encoding that is not taken.
    pub fn with_nulls(body: &[u8]) -> Result<Self, Problem> {
        Self::noting(body, Notes { keeps_nulls: true, ..Notes::default() })
    }

    fn noting(body: &[u8], mut notes: Notes) -> Result<Self, Problem> {
        let Washed { text, cleaned } = wash::wash(body)?;
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let value = Part(&mut notes).deserialize(&mut deserializer).map_err(|error| malformed(&error))?;
        let after = "something follows the JSON body: send one object";
        deserializer.end().map_err(|_| Problem::bad_request(Code::MalformedJson, after))?;
        Ok(Self { value, cleaned, twice: notes.twice })
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let text = match error.is_eof() {
        true => "the body is not JSON: it ends in the middle".to_owned(),
        false => format!("the body is not JSON: look at line {}, character {}", error.line(), error.column()),
    };
    Problem::bad_request(Code::MalformedJson, text)
}

/// Where the reader is, and what it saw on the way.
#[derive(Default)]
struct Notes {
    keeps_nulls: bool,
    path: Vec<Place>,
    twice: Vec<String>,
}

enum Place {
    Member(String),
    Element(usize),
}

impl Notes {
    /// The path to a member of the object in which the reader is.
    fn path_to(&self, name: &str) -> String {
        let mut path = String::new();
        for place in &self.path {
            match place {
                Place::Member(name) if path.is_empty() => path.push_str(name),
                Place::Member(name) => path.extend([".", name]),
                Place::Element(index) => path.extend(["[", &index.to_string(), "]"]),
            }
        }
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    }
}

/// Reads one value, whatever it is.
struct Part<'n>(&'n mut Notes);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let Part(notes) = self;
        let mut all = Vec::new();
        loop {
            notes.path.push(Place::Element(all.len()));
            let next = elements.next_element_seed(Part(notes))?;
            notes.path.pop();
            match next {
                Some(element) => all.push(element),
                None => return Ok(Value::Array(all)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Part(notes) = self;
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            notes.path.push(Place::Member(name.clone()));
            let member = members.next_value_seed(Part(notes))?;
            notes.path.pop();
            if member.is_null() && !notes.keeps_nulls {
                continue;
            }
            if all.contains_key(&name) {
                notes.twice.push(notes.path_to(&name));
            }
            all.insert(name, member);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// The same without members that are null, as a slow and obvious model.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Array(all) => Value::Array(all.iter().map(without_nulls).collect()),
            Value::Object(all) => {
                let kept = all.iter().filter(|(_, member)| !member.is_null());
                Value::Object(kept.map(|(name, member)| (name.clone(), without_nulls(member))).collect())
            }
            other => other.clone(),
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\u{e9}]{0,4}", inner, 0..6)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn what_stands_twice_is_told_with_its_place() {
        let parsed = Parsed::read(br#"{"a":1,"b":[{"c":null,"c":2},{"d":{"e":1,"e":2}}],"a":2,"f":null,"f":3}"#).unwrap();
        assert_eq!(parsed.value, json!({ "a": 2, "b": [{ "c": 2 }, { "d": { "e": 2 } }], "f": 3 }));
        assert_eq!(parsed.twice, ["b[1].d.e", "a"], "one that is null was never there");
        let patch = Parsed::with_nulls(br#"{"a":null,"b":{"c":null}}"#).unwrap();
        assert_eq!(patch.value, json!({ "a": null, "b": { "c": null } }));
    }

    #[test]
    fn what_is_no_json_says_where() {
        let said = |body: &[u8]| Parsed::read(body).unwrap_err().sentence();
        assert!(said(b"{\"a\":").contains("ends in the middle"));
        assert!(said(b"{\"a\":1\n,}").contains("line 2"));
        assert!(said(b"{} {}").contains("follows"));
        assert!(said("[".repeat(100_000).as_bytes()).contains("not JSON"));
    }

    proptest! {
        #[test]
        fn everything_stays_but_for_nulls(value in any_json()) {
            let text = value.to_string();
            let parsed = Parsed::read(text.as_bytes()).unwrap();
            // As the library reads it: its last digit of a fraction may be another one than was written.
            prop_assert_eq!(parsed.value, without_nulls(&serde_json::from_str(&text).unwrap()));
            prop_assert_eq!(parsed.twice, Vec::<String>::new());
        }

        #[test]
        fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parsed::read(&body);
        }
    }
}
