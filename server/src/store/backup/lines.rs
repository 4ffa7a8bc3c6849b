//! A backup as lines of JSON: its head, then each table with its rows and what they add up to, then the end with a checksum of all that
//! stands before. Whoever has lost this program can still read it with `gunzip`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::cells::{Cell, Kind};

/// The form of backups that this program writes, and the only one that it reads.
pub const FORM: u32 = 1;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The form of the lines.
    pub form: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The database that it is from.
    pub engine: Engine,
    /// The migrations that its tables had, in their order.
    pub migrations: Vec<i64>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// Which installation it is of; `None` before its first server.
    pub installation: Option<Uuid>,
}

impl Head {
    /// The last migration of its tables.
    #[must_use]
    pub fn tables_of(&self) -> i64 {
        self.migrations.last().copied().unwrap_or_default()
    }
}

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// `PostgreSQL`.
    Postgres,
}

impl Engine {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "Postgres",
        }
    }
}

/// A table with its columns, in the order in which its rows have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Their names.
    pub columns: Vec<String>,
    /// What they are for.
    pub kinds: Vec<Kind>,
}

/// A line that is no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first.
    Autocall(Head),
    /// A table begins.
    Table(Table),
    /// A table ends.
    Rows {
        /// How many rows it has.
        count: u64,
        /// What they add up to.
        sum: String,
        /// How far the count of its numeric ids has got, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reached: Option<i64>,
    },
    /// The last.
    End {
        /// How many tables there were.
        tables: u64,
        /// The SHA-256 of all lines before.
        sha256: String,
    },
}

/// A row as a line, without its end.
#[must_use]
pub fn written(row: &[Cell]) -> String {
    let value = |cell: &Cell| match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::from(*number),
        // As a text: whoever reads numbers of JSON may round them.
        Cell::Real(number) => serde_json::json!({ "r": format!("{number:?}") }),
        Cell::Text(text) => Value::String(text.clone()),
        Cell::Bytes(bytes) => serde_json::json!({ "b": STANDARD.encode(bytes) }),
    };
    Value::Array(row.iter().map(value).collect()).to_string()
}

/// A line as a row; `None` when it is none.
#[must_use]
pub fn read(line: &str) -> Option<Vec<Cell>> {
    let values: Vec<Value> = serde_json::from_str(line).ok()?;
    let cell = |value: Value| {
        Some(match value {
            Value::Null => Cell::Null,
            Value::Number(number) => Cell::Integer(number.as_i64()?),
            Value::String(text) => Cell::Text(text),
            Value::Object(fields) if fields.len() == 1 => match (fields.get("b"), fields.get("r")) {
                (Some(bytes), _) => Cell::Bytes(STANDARD.decode(bytes.as_str()?).ok()?),
                (_, Some(real)) => Cell::Real(real.as_str()?.parse().ok()?),
                _ => return None,
            },
            _ => return None,
        })
    };
    values.into_iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::Null),
            any::<i64>().prop_map(Cell::Integer),
            any::<f64>().prop_filter("it equals nothing", |real| !real.is_nan()).prop_map(Cell::Real),
            any::<String>().prop_map(Cell::Text),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Cell::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn a_row_is_one_line_and_reads_as_it_was(row in proptest::collection::vec(cell(), 0..12)) {
            let line = written(&row);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(read(&line).unwrap(), row);
        }

        #[test]
        fn whatever_stands_there_is_read_or_refused(line in any::<String>()) {
            let _ = read(&line);
            let _ = serde_json::from_str::<Line>(&line);
        }
    }

    #[test]
    fn a_whole_number_stays_one_and_another_stays_another() {
        assert_eq!(read(r#"[1, {"r":"1.0"}]"#).unwrap(), [Cell::Integer(1), Cell::Real(1.0)]);
        for no_row in ["", "{}", "[true]", "[[1]]", "[1.5]", r#"[{"b":"x"}]"#, r#"[{"c":""}]"#, "[18446744073709551615]"] {
            assert_eq!(read(no_row), None, "{no_row}");
        }
    }
}
