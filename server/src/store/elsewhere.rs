//! Tables of calls in the databases of other systems: read, never written, and a file of SQLite's never held while anything else is done: a
//! telephone system that cannot commit its record of a call soon throws it away.
//!
//! Whose columns they have is only known when they are looked at, so their texts are made here and are none of [`super::Store::statements`].

use std::path::Path;
use std::pin::Pin;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection, Statement,
};

use super::{Result, StoreError};

/// A table of calls somewhere else.
pub struct Elsewhere {
    connection: Held,
    /// Its name, as it is written in a statement.
    table: String,
    /// The names of its columns.
    pub columns: Vec<String>,
}

enum Held {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// So many rows of a file of SQLite's are read at a time.
const PAGE: i64 = 1_000;

/// The rows of one, each a text for each column; what is not there is empty.
pub type Rows<'c> = Pin<Box<dyn Stream<Item = Result<Vec<String>>> + Send + 'c>>;

/// A name as it stands in a statement, whatever it holds.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Elsewhere {
    /// Looks at a table of a Postgres database.
    ///
    /// # Errors
    /// When the database cannot be reached, or has no such table.
    pub async fn postgres(url: &str, table: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await.map_err(StoreError::Connection)?;
        let table = table.split('.').map(quoted).collect::<Vec<_>>().join(".");
        let look = format!("SELECT * FROM {table} LIMIT 0");
        let prepared = connection.prepare(AssertSqlSafe(look).into_sql_str()).await.map_err(StoreError::Connection)?;
        let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        drop(prepared);
        Ok(Self { connection: Held::Postgres(connection), table, columns })
    }

    /// Looks at a table of a file of SQLite's.
    ///
    /// # Errors
    /// When the file cannot be read, or has no such table.
    pub async fn sqlite(file: &Path, table: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).disable_statement_logging();
        let mut connection = options.connect().await.map_err(StoreError::Connection)?;
        let named = sqlx::query("SELECT name FROM pragma_table_info($1)").bind(table).fetch_all(&mut connection);
        let named = named.await.map_err(StoreError::Connection)?;
        let columns: Vec<String> = named.iter().map(|row| row.get(0)).collect();
        if columns.is_empty() {
            return Err(StoreError::Inconsistent(format!("the file has no table {table:?}")));
        }
        Ok(Self { connection: Held::Sqlite(connection), table: quoted(table), columns })
    }

    /// Its rows, those of before a day left out, as texts.
    pub fn rows(&mut self, time: &str, from_day: Option<&str>) -> Rows<'_> {
        let time = quoted(time);
        let from = from_day.unwrap_or_default().to_owned();
        match &mut self.connection {
            Held::Postgres(connection) => {
                // Times are told by ISO 8601 so, whatever their type.
                let text = format!(
                    "SELECT to_jsonb(c) AS told FROM {} c WHERE coalesce(to_jsonb(c.{time}) #>> '{{}}', $1) >= $1 ORDER BY c.{time}",
                    self.table
                );
                let columns = &self.columns;
                let rows = sqlx::query(AssertSqlSafe(text)).bind(from).fetch(&mut *connection);
                let told = move |row: sqlx::postgres::PgRow| -> sqlx::Result<Vec<String>> {
                    let told: sqlx::types::Json<Map<String, Value>> = row.try_get("told")?;
                    Ok(columns.iter().map(|name| text_of(told.0.get(name))).collect())
                };
                rows.map(move |row| row.and_then(told).map_err(StoreError::Connection)).boxed()
            }
            Held::Sqlite(connection) => {
                let all: Vec<String> = self.columns.iter().map(|name| format!("CAST({} AS TEXT)", quoted(name))).collect();
                // A row without a time is told as well: whoever takes it says what is wrong with it.
                let text = format!(
                    "SELECT {}, rowid FROM {} WHERE rowid > $1 AND coalesce(CAST({time} AS TEXT), $2) >= $2 ORDER BY rowid LIMIT {PAGE}",
                    all.join(", "),
                    self.table
                );
                Box::pin(pages(connection, text, from, self.columns.len()))
            }
        }
    }
}

/// The rows of a file of SQLite's, a page at a time: each page is read to its end before anything is done with it.
fn pages(
    connection: &mut SqliteConnection,
    text: String,
    from: String,
    columns: usize,
) -> impl Stream<Item = Result<Vec<String>>> + Send {
    let told = move |row: &sqlx::sqlite::SqliteRow| -> sqlx::Result<(Vec<String>, i64)> {
        let column = |place| row.try_get::<Option<String>, _>(place).map(Option::unwrap_or_default);
        Ok(((0..columns).map(column).collect::<sqlx::Result<_>>()?, row.try_get(columns)?))
    };
    let page = stream::try_unfold((connection, Some(i64::MIN)), move |(connection, after)| {
        let (text, from) = (text.clone(), from.clone());
        async move {
            let Some(after) = after else { return Ok::<_, StoreError>(None) };
            let rows = sqlx::query(AssertSqlSafe(text)).bind(after).bind(from).fetch_all(&mut *connection).await;
            let rows = rows.map_err(StoreError::Connection)?;
            let rows = rows.iter().map(told).collect::<sqlx::Result<Vec<_>>>().map_err(StoreError::Connection)?;
            let next = rows.last().map(|(_, id)| *id);
            let texts = stream::iter(rows.into_iter().map(|(texts, _)| Ok(texts)));
            Ok(Some((texts, (connection, next))))
        }
    });
    page.try_flatten()
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
