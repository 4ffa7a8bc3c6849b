//! `PATCH`: a JSON merge patch (RFC 7396) on what operators have said. What it does not name stays, and null takes a field away.

use axum::body::Body;
use axum::http::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::app::App;
use crate::http::parsed::Parsed;
use crate::http::problem::Problem;
use crate::intake::alarm_request::{read_body, read_json, read_parsed};
use crate::versions::{Expected, Stale, Version};

/// Objects in objects deeper than this are replaced as a whole; nothing that we keep is so deep.
const DEEPEST: usize = 8;

/// A merge patch, and what its sender has read.
pub struct Patch {
    changes: Map<String, Value>,
    expected: Expected,
}

impl Patch {
    /// Reads a request.
    ///
    /// # Errors
    /// When its body is no object.
    pub async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let body = read_body(body, app.config().http.body_limit_bytes).await?;
        let changes = read_parsed(Parsed::with_nulls(&body)?)?;
        Ok(Self { changes, expected: Expected::of(headers) })
    }

    /// Whoever writes what this has made of one version expects that version.
    ///
    /// # Errors
    /// When the sender has read another one.
    pub fn of(&self, version: Version) -> Result<Expected, Stale> {
        self.expected.check(Some(&version))?;
        Ok(Expected::OneOf(vec![version]))
    }

    /// Fields that were called otherwise before: the name of before, and that of now.
    ///
    /// # Errors
    /// When both are there.
    pub fn renaming(mut self, names: &[(&str, &str)]) -> Result<Self, Problem> {
        for (old, new) in names {
            if let Some(value) = self.changes.remove(*old)
                && self.changes.insert((*new).to_owned(), value).is_some()
            {
                return Err(Problem::invalid(*new, format!("{new} stands there twice: {old} is what it was called before")));
            }
        }
        Ok(self)
    }

    /// Where null takes something away that is kept when it is left out, an empty text does.
    #[must_use]
    pub fn emptying(mut self, fields: &[&str]) -> Self {
        for (name, value) in &mut self.changes {
            if value.is_null() && fields.contains(&name.as_str()) {
                *value = Value::String(String::new());
            }
        }
        self
    }

    /// What a form says with the changes.
    ///
    /// # Errors
    /// When it cannot be said so.
    pub fn on<T: Serialize + DeserializeOwned>(self, form: &T) -> Result<T, Problem> {
        let mut value = serde_json::to_value(form).unwrap_or_default();
        merge(&mut value, Value::Object(self.changes), DEEPEST);
        read_json(value.to_string().as_bytes())
    }
}

fn merge(into: &mut Value, changes: Value, deepest: usize) {
    let (Value::Object(changes), true) = (&changes, deepest > 0) else {
        *into = changes;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(members) = into.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), change.clone(), deepest - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, that are objects.
    #[test]
    fn as_the_standard_says() {
        for (original, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = original.clone();
            merge(&mut merged, patch.clone(), DEEPEST);
            assert_eq!(merged, result, "{original} {patch}");
        }
    }
}
