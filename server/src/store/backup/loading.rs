//! Rows into a database whose tables are there and empty, and a look whether they have come to stand in it as they were.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection, SqliteConnection};
use tokio::sync::mpsc;

use super::cells::{Cell, Kind, Order, Sum, copy_line};
use super::lines::{Head, Table};
use super::tables::{Sink, counted_column, counts_ids, failed, of_table, read_rows, run, tables_of};
use super::{BackupError, Counted, Piece, Result};
use crate::store::Db;

/// What Postgres is given at a time.
const COPIED_AT_ONCE: usize = 256 * 1024;

/// Pieces as they come.
pub(super) struct Coming(pub(super) mpsc::Receiver<Result<Piece>>);

impl Coming {
    pub(super) async fn next(&mut self) -> Result<Piece> {
        self.0.recv().await.ok_or(BackupError::Stopped)?
    }

    /// The first piece.
    pub(super) async fn head(&mut self) -> Result<Head> {
        match self.next().await? {
            Piece::Head(head) => Ok(head),
            _ => Err(BackupError::Stopped),
        }
    }
}

/// A table of this database, and how its columns stand in the rows that come.
struct Place {
    table: Table,
    order: Order,
    sum: Sum,
}

/// Writes all that comes into the tables of a database, which have to be the same and empty, and reads it again. `what` it is that comes,
/// and `place` where it goes, as people call them.
pub(super) async fn load(db: &mut Db<'_>, from: &mut Coming, what: &str, place: &str) -> Result<Vec<Counted>> {
    let mut left: BTreeMap<String, Table> = tables_of(db).await?.into_iter().map(|table| (table.name.clone(), table)).collect();
    let references = drop_references(db, &left).await?;
    let mut loaded = Vec::new();
    loop {
        match from.next().await? {
            Piece::Table(theirs) => {
                let ours = left.remove(&theirs.name);
                loaded.push(load_table(db, from, joined(theirs, ours, what)?).await?);
            }
            Piece::End => break,
            _ => return Err(BackupError::Stopped),
        }
    }
    if let Some(name) = left.into_keys().next() {
        return Err(BackupError::Unknown { what: what.to_owned(), why: format!("it has no table {name}") });
    }
    run(db, references).await?;
    let mut counted = Vec::new();
    for Place { table, order, sum } in loaded {
        let mut read = Sum::default();
        read_rows(db, &table, &mut Sink::Sum(&mut read, &order)).await?;
        if read != sum {
            let (table, place) = (table.name, place.to_owned());
            return Err(BackupError::Differs { place, table, written: sum.rows, read: read.rows });
        }
        counted.push(Counted { table: table.name, sum });
    }
    Ok(counted)
}

/// The table with its columns in the order in which they come, and what they are for as far as either side knows.
fn joined(theirs: Table, ours: Option<Table>, what: &str) -> Result<Table> {
    let unknown = |why: String| BackupError::Unknown { what: what.to_owned(), why };
    let Some(ours) = ours else {
        return Err(unknown(format!("there is no table {:?} here, or it comes twice", theirs.name)));
    };
    let own: BTreeMap<&str, Kind> = ours.columns.iter().map(String::as_str).zip(ours.kinds.iter().copied()).collect();
    let mut kinds = Vec::new();
    for (column, kind) in theirs.columns.iter().zip(&theirs.kinds) {
        let own = own.get(column.as_str()).copied();
        let own = own.ok_or_else(|| unknown(format!("the table {} has no column {column:?} here", theirs.name)))?;
        kinds.push(if own == Kind::Kept { *kind } else { own });
    }
    let named: std::collections::BTreeSet<&String> = theirs.columns.iter().collect();
    if named.len() != own.len() || theirs.columns.len() != own.len() {
        return Err(unknown(format!("the table {} has other columns here", theirs.name)));
    }
    Ok(Table { kinds, ..theirs })
}

async fn load_table(db: &mut Db<'_>, from: &mut Coming, table: Table) -> Result<Place> {
    let order = Order::of(table.columns.iter().map(String::as_str).zip(table.kinds.iter().copied()));
    let mut place = Place { table, order, sum: Sum::default() };
    let reached = match db {
        Db::Postgres(connection, ..) => {
            let reached = copy(connection, from, &mut place).await?;
            count_on_postgres(connection, &place.table.name, reached.unwrap_or_default()).await?;
            return Ok(place);
        }
        Db::Sqlite(connection, _) => {
            let reached = insert(connection, from, &mut place).await?;
            if counts_ids(connection, &place.table.name).await? { reached } else { None }
        }
    };
    if let (Db::Sqlite(connection, _), Some(reached)) = (db, reached) {
        count_on_sqlite(connection, &place.table.name, reached).await?;
    }
    Ok(place)
}

/// Adds up the rows that come, until the table ends; gives how far its ids have got then.
enum Next {
    Rows(Vec<Vec<Cell>>),
    End(Option<i64>),
}

async fn next_of(from: &mut Coming, place: &mut Place) -> Result<Next> {
    match from.next().await? {
        Piece::Rows(rows) => {
            for row in &rows {
                place.sum.add(&place.order, row);
            }
            Ok(Next::Rows(rows))
        }
        Piece::TableEnd(reached) => Ok(Next::End(reached)),
        _ => Err(BackupError::Stopped),
    }
}

async fn copy(connection: &mut PgConnection, from: &mut Coming, place: &mut Place) -> Result<Option<i64>> {
    let name = place.table.name.clone();
    let kinds = place.table.kinds.clone();
    let columns: Vec<String> = place.table.columns.iter().map(|column| format!("\"{column}\"")).collect();
    let text = format!("COPY \"{name}\" ({}) FROM STDIN", columns.join(", "));
    let mut copying = connection.copy_in_raw(&text).await.map_err(of_table(&name))?;
    let mut lines = Vec::new();
    let reached = loop {
        match next_of(from, place).await? {
            Next::Rows(rows) => {
                for row in rows {
                    let line = copy_line(row.iter().zip(kinds.iter().copied()), &mut lines);
                    line.map_err(|what| BackupError::Value { table: name.clone(), what })?;
                    if lines.len() >= COPIED_AT_ONCE {
                        copying.send(std::mem::take(&mut lines)).await.map_err(of_table(&name))?;
                    }
                }
            }
            Next::End(reached) => break reached,
        }
    };
    copying.send(lines).await.map_err(of_table(&name))?;
    copying.finish().await.map_err(of_table(&name))?;
    Ok(reached)
}

async fn insert(connection: &mut SqliteConnection, from: &mut Coming, place: &mut Place) -> Result<Option<i64>> {
    let name = place.table.name.clone();
    let columns: Vec<String> = place.table.columns.iter().map(|column| format!("\"{column}\"")).collect();
    let places = vec!["?"; columns.len()].join(", ");
    let text: Arc<str> = format!("INSERT INTO \"{name}\" ({}) VALUES ({places})", columns.join(", ")).into();
    loop {
        let rows = match next_of(from, place).await? {
            Next::Rows(rows) => rows,
            Next::End(reached) => return Ok(reached),
        };
        for row in rows {
            let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&text)));
            for cell in row {
                query = match cell {
                    Cell::Null => query.bind(None::<i64>),
                    Cell::Integer(number) => query.bind(number),
                    Cell::Real(number) => query.bind(number),
                    Cell::Text(text) => query.bind(text),
                    Cell::Bytes(bytes) => query.bind(bytes),
                };
            }
            query.execute(&mut *connection).await.map_err(of_table(&name))?;
        }
    }
}

/// Ids that Postgres counts go on behind those that were ever given.
async fn count_on_postgres(connection: &mut PgConnection, table: &str, reached: i64) -> Result<()> {
    let Some((column, sequence)) = counted_column(connection, table).await? else { return Ok(()) };
    let highest = format!("SELECT coalesce(max(\"{column}\"), 0)::bigint FROM \"{table}\"");
    let highest: i64 = sqlx::query_scalar(AssertSqlSafe(highest)).fetch_one(&mut *connection).await.map_err(of_table(table))?;
    let reached = reached.max(highest);
    if reached > 0 {
        let set = sqlx::query("SELECT setval(CAST($1 AS text)::regclass, $2)").bind(sequence).bind(reached);
        set.execute(connection).await.map_err(of_table(table))?;
    }
    Ok(())
}

/// The same of the embedded database, which has counted the rows that came.
async fn count_on_sqlite(connection: &mut SqliteConnection, table: &str, reached: i64) -> Result<()> {
    let counted = sqlx::query("UPDATE sqlite_sequence SET seq = max(seq, $2) WHERE name = $1").bind(table).bind(reached);
    let counted = counted.execute(&mut *connection).await.map_err(of_table(table))?.rows_affected();
    if counted == 0 && reached > 0 {
        let first = sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)").bind(table).bind(reached);
        first.execute(connection).await.map_err(of_table(table))?;
    }
    Ok(())
}

/// Tables refer to each other, and their rows come in the order of the tables' names. Gives the text that has them refer to each other again,
/// which looks at every row.
async fn drop_references(db: &mut Db<'_>, tables: &BTreeMap<String, Table>) -> Result<String> {
    let Db::Postgres(connection, ..) = db else { return Ok(String::new()) };
    let query = "SELECT c.relname::text, k.conname::text, pg_get_constraintdef(k.oid)
                 FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                 WHERE k.contype = 'f' AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname, k.conname";
    let found: Vec<(String, String, String)> =
        sqlx::query_as(query).persistent(false).fetch_all(&mut **connection).await.map_err(failed)?;
    let (mut without, mut again) = (String::new(), String::new());
    for (table, name, text) in found.into_iter().filter(|(table, ..)| tables.contains_key(table)) {
        without.push_str(&format!("ALTER TABLE \"{table}\" DROP CONSTRAINT \"{name}\";\n"));
        again.push_str(&format!("ALTER TABLE \"{table}\" ADD CONSTRAINT \"{name}\" {text};\n"));
    }
    run(db, without).await?;
    Ok(again)
}
