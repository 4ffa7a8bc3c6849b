//! What is in a database: which tables of ours with which columns, how far their migrations have got, and their rows one after the other.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::cells::{Cell, Kind, Order, Sum, instant, without_spaces};
use super::lines::{Engine, Table};
use super::{BackupError, Piece, Result};
use crate::store::{Db, StoreError, migrations};

/// Rows are handed on so many at a time.
const ROWS_AT_ONCE: usize = 256;
/// Or when they weigh so much.
const WEIGHT_AT_ONCE: usize = 256 * 1024;

/// What is made anew from the others: the words by which alarms are found, which the embedded database cannot give back.
const MADE_ANEW: &str = "sought";

/// A database with rows in these tables alone is one that a first start has made.
const OF_A_FIRST_START: [&str; 12] = [
    "backups",
    "edits",
    "first_steps",
    "identities",
    "installation",
    "knocks",
    "monitored",
    "places",
    "refusals",
    "rights_begin",
    "secrets",
    "shout_pace",
];

/// Where rows go that are read.
pub(super) enum Sink<'s> {
    /// To whoever writes them elsewhere.
    Channel(&'s mpsc::Sender<Result<Piece>>),
    /// They are only added up.
    Sum(&'s mut Sum, &'s Order),
}

impl Sink<'_> {
    async fn take(&mut self, rows: Vec<Vec<Cell>>) -> Result<()> {
        match self {
            Self::Channel(to) => to.send(Ok(Piece::Rows(rows))).await.map_err(|_| BackupError::Stopped),
            Self::Sum(sum, order) => {
                for row in &rows {
                    sum.add(order, row);
                }
                Ok(())
            }
        }
    }
}

/// Rows until there are enough of them to be handed on.
struct Batch {
    rows: Vec<Vec<Cell>>,
    weight: usize,
}

impl Batch {
    fn new() -> Self {
        Self { rows: Vec::new(), weight: 0 }
    }

    fn is_full_with(&mut self, row: Vec<Cell>) -> bool {
        let weight = |cell: &Cell| match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            _ => 8,
        };
        self.weight += row.iter().map(weight).sum::<usize>();
        self.rows.push(row);
        self.rows.len() >= ROWS_AT_ONCE || self.weight >= WEIGHT_AT_ONCE
    }

    fn take(&mut self) -> Vec<Vec<Cell>> {
        self.weight = 0;
        std::mem::take(&mut self.rows)
    }
}

/// What failed at the database, where it is about no single table.
pub(super) fn failed(source: sqlx::Error) -> BackupError {
    BackupError::Database(source)
}

/// What failed at a table.
pub(super) fn of_table(table: &str) -> impl Fn(sqlx::Error) -> BackupError {
    move |source| BackupError::Table { table: table.to_owned(), source }
}

/// Which database this is.
pub(super) fn engine(db: &Db<'_>) -> Engine {
    match db {
        Db::Postgres(..) => Engine::Postgres,
        Db::Sqlite(..) => Engine::Sqlite,
    }
}

/// Which migrations it has, in their order; none where there are no tables yet.
pub(super) async fn migrations_of(db: &mut Db<'_>) -> Result<Vec<i64>> {
    const THOSE: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
    let there = match db {
        Db::Postgres(connection, _) => {
            let query =
                sqlx::query_scalar("SELECT to_regclass(quote_ident(current_schema()::text) || '._sqlx_migrations') IS NOT NULL")
                    .persistent(false);
            query.fetch_one(&mut **connection).await
        }
        Db::Sqlite(connection, _) => {
            let query = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
            sqlx::query_scalar(query).persistent(false).fetch_one(&mut **connection).await
        }
    };
    if !there.map_err(failed)? {
        return Ok(Vec::new());
    }
    match db {
        Db::Postgres(connection, _) => sqlx::query_scalar(THOSE).persistent(false).fetch_all(&mut **connection).await,
        Db::Sqlite(connection, _) => sqlx::query_scalar(THOSE).persistent(false).fetch_all(&mut **connection).await,
    }
    .map_err(failed)
}

/// The tables that are ours, by their names. In Postgres others may have theirs beside them.
pub(super) async fn tables_of(db: &mut Db<'_>) -> Result<Vec<Table>> {
    let found: Vec<(String, String, Option<String>)> = match db {
        Db::Postgres(connection, _) => {
            let query = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL)
                         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0
                           AND NOT a.attisdropped
                         ORDER BY c.relname, a.attnum";
            sqlx::query_as(query).persistent(false).fetch_all(&mut **connection).await
        }
        Db::Sqlite(connection, _) => {
            let query = "SELECT t.name, c.name, NULL FROM pragma_table_list t, pragma_table_info(t.name) c
                         WHERE t.schema = 'main' AND t.type = 'table' AND substr(t.name, 1, 7) <> 'sqlite_'
                         ORDER BY t.name, c.cid";
            sqlx::query_as(query).persistent(false).fetch_all(&mut **connection).await
        }
    }
    .map_err(failed)?;
    let ours = migrations::tables();
    let mut tables: Vec<Table> = Vec::new();
    for (name, column, written) in found {
        if name == MADE_ANEW || !ours.contains(name.as_str()) {
            continue;
        }
        let kind = match written {
            None => Kind::Kept,
            Some(written) => Kind::of_postgres(&written)
                .ok_or_else(|| StoreError::Inconsistent(format!("the column {name}.{column} is of the type {written}")))?,
        };
        if tables.last().is_none_or(|last| last.name != name) {
            tables.push(Table { name, columns: Vec::new(), kinds: Vec::new() });
        }
        if let Some(last) = tables.last_mut() {
            last.columns.push(column);
            last.kinds.push(kind);
        }
    }
    Ok(tables)
}

/// Which installation it is of.
pub(super) async fn installation_of(db: &mut Db<'_>, tables: &[Table]) -> Result<Option<Uuid>> {
    const WHICH: &str = "SELECT id FROM installation";
    if !tables.iter().any(|table| table.name == "installation") {
        return Ok(None);
    }
    match db {
        Db::Postgres(connection, _) => sqlx::query_scalar(WHICH).persistent(false).fetch_optional(&mut **connection).await,
        Db::Sqlite(connection, _) => sqlx::query_scalar(WHICH).persistent(false).fetch_optional(&mut **connection).await,
    }
    .map_err(failed)
}

/// A number that is asked of the database.
pub(super) async fn number(db: &mut Db<'_>, query: String) -> Result<i64> {
    match db {
        Db::Postgres(connection, _) => {
            sqlx::query_scalar(AssertSqlSafe(query)).persistent(false).fetch_one(&mut **connection).await
        }
        Db::Sqlite(connection, _) => {
            sqlx::query_scalar(AssertSqlSafe(query)).persistent(false).fetch_one(&mut **connection).await
        }
    }
    .map_err(failed)
}

/// Runs statements that give nothing back.
pub(super) async fn run(db: &mut Db<'_>, text: String) -> Result<()> {
    match db {
        Db::Postgres(connection, _) => sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **connection).await.map(drop),
        Db::Sqlite(connection, _) => sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **connection).await.map(drop),
    }
    .map_err(failed)
}

/// Whether there is anything in it that a first start does not make by itself.
pub(super) async fn is_in_use(db: &mut Db<'_>, tables: &[Table]) -> Result<bool> {
    for table in tables.iter().filter(|table| !OF_A_FIRST_START.contains(&table.name.as_str())) {
        let any = format!("SELECT count(*) FROM (SELECT 1 FROM \"{}\" LIMIT 1) AS any_row", table.name);
        if number(db, any).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What would be lost with it, in a few words.
pub(super) async fn what_it_holds(db: &mut Db<'_>, tables: &[Table]) -> Result<String> {
    let mut told = Vec::new();
    for name in ["alarms", "people", "schedules", "handsets", "users", "call_records"] {
        if tables.iter().any(|table| table.name == name) {
            let count = number(db, format!("SELECT count(*) FROM \"{name}\"")).await?;
            told.push(format!("{count} {}", name.replace('_', " ")));
        }
    }
    Ok(told.join(", "))
}

/// How far the count of a table's numeric ids has got, where it has one.
pub(super) async fn ids_reached(db: &mut Db<'_>, table: &str) -> Result<Option<i64>> {
    match db {
        Db::Postgres(connection, _) => {
            let Some((_, sequence)) = counted_column(connection, table).await? else { return Ok(None) };
            let query =
                sqlx::query_scalar("SELECT coalesce(pg_sequence_last_value(CAST($1 AS text)::regclass), 0)").bind(sequence);
            query.persistent(false).fetch_one(&mut **connection).await.map(Some)
        }
        Db::Sqlite(connection, _) => {
            if !counts_ids(connection, table).await? {
                return Ok(None);
            }
            let query = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = $1").bind(table);
            query.persistent(false).fetch_one(&mut **connection).await.map(Some)
        }
    }
    .map_err(of_table(table))
}

/// The column that Postgres counts by itself, and by which sequence.
pub(super) async fn counted_column(connection: &mut PgConnection, table: &str) -> Result<Option<(String, String)>> {
    let query = "SELECT attname::text, pg_get_serial_sequence(quote_ident($1), attname::text) FROM pg_attribute
                 WHERE attrelid = quote_ident($1)::regclass AND attnum > 0 AND NOT attisdropped
                   AND pg_get_serial_sequence(quote_ident($1), attname::text) IS NOT NULL";
    sqlx::query_as(query).bind(table).persistent(false).fetch_optional(connection).await.map_err(of_table(table))
}

/// Whether the embedded database counts the ids of a table.
pub(super) async fn counts_ids(connection: &mut SqliteConnection, table: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1 AND sql LIKE '%AUTOINCREMENT%')";
    sqlx::query_scalar(query).bind(table).persistent(false).fetch_one(connection).await.map_err(of_table(table))
}

/// Reads a table from its first row to its last; of Postgres' JSON and identifiers is made what the embedded database keeps.
pub(super) async fn read_rows(db: &mut Db<'_>, table: &Table, sink: &mut Sink<'_>) -> Result<()> {
    let mut batch = Batch::new();
    match db {
        Db::Postgres(connection, _) => {
            let columns = table.columns.iter().zip(&table.kinds).map(|(column, kind)| match kind {
                Kind::Json | Kind::Date => format!("\"{column}\"::text"),
                Kind::Integer => format!("\"{column}\"::bigint"),
                _ => format!("\"{column}\""),
            });
            let text = format!("SELECT {} FROM \"{}\"", columns.collect::<Vec<_>>().join(", "), table.name);
            let mut rows = sqlx::query(AssertSqlSafe(text)).persistent(false).fetch(&mut **connection);
            while let Some(row) = rows.try_next().await.map_err(of_table(&table.name))? {
                if batch.is_full_with(of_postgres(&row, &table.kinds).map_err(of_table(&table.name))?) {
                    sink.take(batch.take()).await?;
                }
            }
        }
        Db::Sqlite(connection, _) => {
            let columns: Vec<String> = table.columns.iter().map(|column| format!("\"{column}\"")).collect();
            let text: Arc<str> = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name).into();
            let mut rows = sqlx::query(AssertSqlSafe(text)).persistent(false).fetch(&mut **connection);
            while let Some(row) = rows.try_next().await.map_err(of_table(&table.name))? {
                if batch.is_full_with(of_sqlite(&row).map_err(of_table(&table.name))?) {
                    sink.take(batch.take()).await?;
                }
            }
        }
    }
    sink.take(batch.take()).await
}

fn of_postgres(row: &PgRow, kinds: &[Kind]) -> sqlx::Result<Vec<Cell>> {
    let cell = |(place, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Uuid => row.try_get::<Option<Uuid>, _>(place)?.map(|id| Cell::Bytes(id.as_bytes().to_vec())),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Cell::Bytes),
            Kind::Instant => row.try_get(place).map(|at: Option<_>| at.map(|at| Cell::Text(instant(at))))?,
            Kind::Integer => row.try_get::<Option<i64>, _>(place)?.map(Cell::Integer),
            Kind::Real => row.try_get::<Option<f64>, _>(place)?.map(Cell::Real),
            Kind::Boolean => row.try_get::<Option<bool>, _>(place)?.map(|yes| Cell::Integer(yes.into())),
            Kind::Json => row.try_get::<Option<String>, _>(place)?.map(|json| Cell::Text(without_spaces(&json))),
            Kind::Text | Kind::Date | Kind::Kept => row.try_get::<Option<String>, _>(place)?.map(Cell::Text),
        }
        .unwrap_or(Cell::Null))
    };
    kinds.iter().enumerate().map(cell).collect()
}

fn of_sqlite(row: &SqliteRow) -> sqlx::Result<Vec<Cell>> {
    let cell = |place: usize| {
        let value = row.try_get_raw(place)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let kind = value.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" => Cell::Integer(row.try_get(place)?),
            "REAL" => Cell::Real(row.try_get(place)?),
            "BLOB" => Cell::Bytes(row.try_get(place)?),
            _ => Cell::Text(row.try_get(place)?),
        })
    };
    (0..row.len()).map(cell).collect()
}
