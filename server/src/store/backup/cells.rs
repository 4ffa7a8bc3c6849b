//! What stands in a row, whichever database it is from; and whether two databases hold the same rows, in whatever order they give them.
//!
//! A value is written as the embedded database keeps it: an identifier as 16 bytes, an instant as text, yes and no as 1 and 0. Postgres says
//! what each column is for; the embedded database does not, so what only looks different, as JSON with or without spaces, is made alike
//! before it is compared.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is none.
    Null,
    /// A whole number, or yes and no.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// A text, an instant, a date, or JSON.
    Text(String),
    /// Bytes, or an identifier.
    Bytes(Vec<u8>),
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whatever was kept: the embedded database does not say.
    Kept,
    /// An identifier.
    Uuid,
    /// Bytes.
    Bytes,
    /// A text.
    Text,
    /// JSON.
    Json,
    /// An instant.
    Instant,
    /// A day.
    Date,
    /// A whole number.
    Integer,
    /// Another number.
    Real,
    /// Yes or no.
    Boolean,
}

impl Kind {
    /// By the name of a type of Postgres.
    #[must_use]
    pub fn of_postgres(name: &str) -> Option<Self> {
        Some(match name {
            "uuid" => Self::Uuid,
            "bytea" => Self::Bytes,
            "text" => Self::Text,
            "jsonb" => Self::Json,
            "timestamp with time zone" => Self::Instant,
            "date" => Self::Date,
            "smallint" | "integer" | "bigint" => Self::Integer,
            "double precision" => Self::Real,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }
}

/// How many rows there are, and what they add up to: the same for the same rows in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub rows: u64,
    total: u128,
}

impl fmt::Display for Sum {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:032x}", self.total)
    }
}

/// In which order the columns of a table are added up: by their names, since the two databases may have them in another one.
#[derive(Clone, Debug)]
pub struct Order(Vec<(usize, Kind)>);

impl Order {
    /// Of these columns.
    #[must_use]
    pub fn of<'c>(columns: impl IntoIterator<Item = (&'c str, Kind)>) -> Self {
        let mut named: Vec<(usize, (&str, Kind))> = columns.into_iter().enumerate().collect();
        named.sort_by_key(|(_, (name, _))| *name);
        Self(named.into_iter().map(|(place, (_, kind))| (place, kind)).collect())
    }
}

impl Sum {
    /// One more row.
    pub fn add(&mut self, order: &Order, row: &[Cell]) {
        let mut digest = Sha256::new();
        for (place, kind) in &order.0 {
            let (tag, bytes) = match row.get(*place).unwrap_or(&Cell::Null) {
                Cell::Null => (0_u8, Vec::new()),
                Cell::Integer(number) => (1, number.to_be_bytes().to_vec()),
                Cell::Real(number) => (2, number.to_bits().to_be_bytes().to_vec()),
                Cell::Text(text) => (3, alike(text, *kind).into_bytes()),
                Cell::Bytes(bytes) => (4, bytes.clone()),
            };
            digest.update([tag]);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(&bytes);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        self.total = self.total.wrapping_add(u128::from_be_bytes(first));
        self.rows += 1;
    }
}

/// A text in the one form in which it is compared.
fn alike(text: &str, kind: Kind) -> String {
    match kind {
        Kind::Json => serde_json::from_str(text).map_or_else(
            |_| text.to_owned(),
            |value| {
                let mut written = String::with_capacity(text.len());
                write_json(&value, &mut written);
                written
            },
        ),
        Kind::Instant => DateTime::parse_from_rfc3339(text).map_or_else(|_| text.to_owned(), |at| instant(at.to_utc())),
        _ => text.to_owned(),
    }
}

/// An instant as the embedded database keeps it.
#[must_use]
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// JSON with its keys in order and its numbers in one form. As deep as what was read, which has a limit.
fn write_json(value: &Value, to: &mut String) {
    match value {
        Value::Number(number) => to.push_str(&number_alike(number)),
        Value::Array(items) => {
            to.push('[');
            for item in items {
                write_json(item, to);
                to.push(',');
            }
            to.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            to.push('{');
            for (name, field) in fields {
                to.push_str(&Value::String(name.clone()).to_string());
                to.push(':');
                write_json(field, to);
                to.push(',');
            }
            to.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => to.push_str(&value.to_string()),
    }
}

/// Postgres writes `1e2` as `100`, and keeps `1.0`.
fn number_alike(number: &serde_json::Number) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(real) if number.is_f64() && real.fract() == 0.0 && real.abs() < EXACT => format!("{real:.0}"),
        _ => number.to_string(),
    }
}

/// JSON as Postgres writes it, without the spaces between: as the embedded database keeps it.
#[must_use]
pub fn without_spaces(json: &str) -> String {
    let mut packed = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == ' ' {
            continue;
        } else {
            in_text = c == '"';
        }
        packed.push(c);
    }
    packed
}

/// One line of what Postgres takes by COPY.
///
/// # Errors
/// What it cannot take.
pub fn copy_line<'r>(row: impl IntoIterator<Item = (&'r Cell, Kind)>, to: &mut Vec<u8>) -> Result<(), &'static str> {
    for (place, (cell, kind)) in row.into_iter().enumerate() {
        if place > 0 {
            to.push(b'\t');
        }
        match (cell, kind) {
            (Cell::Null, _) => to.extend_from_slice(b"\\N"),
            (Cell::Bytes(bytes), Kind::Uuid) => {
                let id = Uuid::from_slice(bytes).map_err(|_| "an identifier that is none")?;
                to.extend_from_slice(id.to_string().as_bytes());
            }
            (Cell::Bytes(bytes), Kind::Bytes | Kind::Kept) => {
                to.extend_from_slice(b"\\\\x");
                to.extend(bytes.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]));
            }
            (Cell::Integer(number), Kind::Boolean) => to.push(if *number == 0 { b'f' } else { b't' }),
            (Cell::Integer(number), Kind::Integer | Kind::Real | Kind::Kept) => {
                to.extend_from_slice(number.to_string().as_bytes());
            }
            (Cell::Real(number), Kind::Real | Kind::Kept) => to.extend_from_slice(format!("{number:?}").as_bytes()),
            (Cell::Text(text), Kind::Text | Kind::Json | Kind::Instant | Kind::Date | Kind::Kept) => copy_text(text, to)?,
            _ => return Err("a value of another kind than its column is for"),
        }
    }
    to.push(b'\n');
    Ok(())
}

fn copy_text(text: &str, to: &mut Vec<u8>) -> Result<(), &'static str> {
    for byte in text.bytes() {
        match byte {
            0 => return Err("a text with the character U+0000, which Postgres does not take"),
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            byte => to.push(byte),
        }
    }
    Ok(())
}

fn hex(digit: u8) -> u8 {
    b"0123456789abcdef"[usize::from(digit & 15)]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;

    use super::*;

    fn sum(kind: Kind, rows: &[&[Cell]]) -> Sum {
        let order = Order::of([("b", Kind::Kept), ("a", kind)]);
        let mut sum = Sum::default();
        for row in rows {
            sum.add(&order, row);
        }
        sum
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn the_order_of_rows_is_nothing_and_each_value_counts() {
        let (one, two) = ([Cell::Integer(1), text("x")], [Cell::Null, text("y")]);
        assert_eq!(sum(Kind::Text, &[&one, &two]), sum(Kind::Text, &[&two, &one]));
        assert_ne!(sum(Kind::Text, &[&one, &two]), sum(Kind::Text, &[&one, &one]));
        assert_ne!(sum(Kind::Text, &[&one]), sum(Kind::Text, &[&one, &one]));
        assert_ne!(sum(Kind::Text, &[&[Cell::Null, text("")]]), sum(Kind::Text, &[&[Cell::Null, Cell::Null]]));
        assert_ne!(sum(Kind::Text, &[&[text("ab"), text("c")]]), sum(Kind::Text, &[&[text("a"), text("bc")]]));
    }

    #[test]
    fn columns_are_added_up_by_their_names() {
        let (mut one, mut two) = (Sum::default(), Sum::default());
        one.add(&Order::of([("a", Kind::Kept), ("b", Kind::Kept)]), &[Cell::Integer(1), Cell::Integer(2)]);
        two.add(&Order::of([("b", Kind::Kept), ("a", Kind::Kept)]), &[Cell::Integer(2), Cell::Integer(1)]);
        assert_eq!(one, two);
    }

    #[test]
    fn json_and_instants_are_alike_however_they_are_written() {
        let alike = |kind, one: &str, two: &str| sum(kind, &[&[Cell::Null, text(one)]]) == sum(kind, &[&[Cell::Null, text(two)]]);
        assert!(alike(Kind::Json, r#"{"b":1e2,"a":[1, 2.0]}"#, r#"{"a": [1, 2.0], "b": 100}"#));
        assert!(!alike(Kind::Json, r#"{"a":"1"}"#, r#"{"a":1}"#));
        assert!(!alike(Kind::Text, r#"{"a": 1}"#, r#"{"a":1}"#), "a text is not JSON, whatever it looks like");
        assert!(alike(Kind::Instant, "2026-11-20T03:00:00.5+00:00", "2026-11-20T03:00:00.500Z"));
        assert!(!alike(Kind::Instant, "2026-11-20T03:00:00Z", "2026-11-20T03:00:01Z"));
    }

    #[test]
    fn spaces_go_but_those_in_texts() {
        assert_eq!(without_spaces(r#"{"a b": "c\" d", "e": [1, 2]}"#), r#"{"a b":"c\" d","e":[1,2]}"#);
        assert_eq!(without_spaces(r#"["\\", " x"]"#), r#"["\\"," x"]"#);
    }

    fn copied(cell: Cell, kind: Kind) -> Result<String, &'static str> {
        let mut line = Vec::new();
        copy_line([(&cell, kind)], &mut line)?;
        Ok(String::from_utf8(line).unwrap())
    }

    #[test]
    fn each_kind_is_written_as_postgres_reads_it() {
        assert_eq!(copied(Cell::Null, Kind::Text).unwrap(), "\\N\n");
        assert_eq!(copied(text("\\N\t\r\n"), Kind::Text).unwrap(), "\\\\N\\t\\r\\n\n");
        assert_eq!(copied(Cell::Bytes(vec![0, 255]), Kind::Bytes).unwrap(), "\\\\x00ff\n");
        assert_eq!(copied(Cell::Bytes(vec![17; 16]), Kind::Uuid).unwrap(), "11111111-1111-1111-1111-111111111111\n");
        assert_eq!(copied(Cell::Integer(1), Kind::Boolean).unwrap(), "t\n");
        assert_eq!(copied(Cell::Real(0.1), Kind::Real).unwrap(), "0.1\n");
        assert!(copied(Cell::Bytes(vec![1; 15]), Kind::Uuid).is_err());
        assert!(copied(text("a\0b"), Kind::Text).is_err());
        assert!(copied(text("yes"), Kind::Boolean).is_err());
    }

    proptest! {
        #[test]
        fn packed_json_means_the_same(value in "[ -~]{0,20}", key in "[ -~]{0,8}") {
            let json = serde_json::json!({ key: [value, null, 1.5, true] });
            let spaced = serde_json::to_string_pretty(&json).unwrap().replace('\n', " ");
            prop_assert_eq!(serde_json::from_str::<Value>(&without_spaces(&spaced)).unwrap(), json);
        }

        #[test]
        fn a_line_is_one_line_whatever_is_in_it(written in any::<String>()) {
            if let Ok(line) = copied(Cell::Text(written), Kind::Text) {
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert!(!line.contains('\t') && !line.contains('\r'));
            }
        }
    }
}
