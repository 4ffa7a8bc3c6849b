//! Statements as they are run: a text and its values in, rows out.
//!
//! The driver's own functions are generic over the database, the values and the rows, so that every statement of the store would be compiled
//! twice, with all that the driver does for it. Here each database has one function for every statement; what differs from one statement to
//! the next are a list of values and the type that a row becomes.

use std::fmt::Display;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Type};

use super::dialect::{Dialect, Sql};
use super::open::primary::Reach;
use super::{Db, Result, StoreError};

/// A type whose values stand in statements, or are absent there.
pub trait Value: Send + Sync {
    /// Adds one to the values for PostgreSQL.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn add_to_postgres(value: Option<&Self>, values: &mut PgArguments) -> std::result::Result<(), BoxDynError>;

    /// Adds one to the values for SQLite.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn add_to_sqlite(value: Option<&Self>, values: &mut SqliteArguments) -> std::result::Result<(), BoxDynError>;
}

impl<T: Value + ?Sized> Value for &T {
    fn add_to_postgres(value: Option<&Self>, values: &mut PgArguments) -> std::result::Result<(), BoxDynError> {
        T::add_to_postgres(value.copied(), values)
    }

    fn add_to_sqlite(value: Option<&Self>, values: &mut SqliteArguments) -> std::result::Result<(), BoxDynError> {
        T::add_to_sqlite(value.copied(), values)
    }
}

impl<T: Value> Value for Option<T> {
    fn add_to_postgres(value: Option<&Self>, values: &mut PgArguments) -> std::result::Result<(), BoxDynError> {
        T::add_to_postgres(value.and_then(Option::as_ref), values)
    }

    fn add_to_sqlite(value: Option<&Self>, values: &mut SqliteArguments) -> std::result::Result<(), BoxDynError> {
        T::add_to_sqlite(value.and_then(Option::as_ref), values)
    }
}

/// A value of a statement, whatever its type.
pub trait Argument: Send + Sync {
    /// Adds it to the values for PostgreSQL.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn for_postgres(&self, values: &mut PgArguments) -> std::result::Result<(), BoxDynError>;

    /// Adds it to the values for SQLite.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn for_sqlite(&self, values: &mut SqliteArguments) -> std::result::Result<(), BoxDynError>;
}

impl<T: Value> Argument for T {
    fn for_postgres(&self, values: &mut PgArguments) -> std::result::Result<(), BoxDynError> {
        T::add_to_postgres(Some(self), values)
    }

    fn for_sqlite(&self, values: &mut SqliteArguments) -> std::result::Result<(), BoxDynError> {
        T::add_to_sqlite(Some(self), values)
    }
}

/// What is made of what either database gives for a column.
pub trait Column: Sized {
    /// What the drivers give.
    type Kept: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>;

    /// Reads it.
    ///
    /// # Errors
    /// When it is not what such a column holds.
    fn found(kept: Self::Kept) -> std::result::Result<Self, BoxDynError>;
}

impl<T: Column> Column for Option<T> {
    type Kept = Option<T::Kept>;

    fn found(kept: Self::Kept) -> std::result::Result<Self, BoxDynError> {
        kept.map(T::found).transpose()
    }
}

/// A row of either database.
pub enum Row {
    /// From PostgreSQL.
    Postgres(PgRow),
    /// From SQLite.
    Sqlite(SqliteRow),
}

impl Row {
    /// What stands in the column of that name.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn get<T: Column>(&self, column: &str) -> sqlx::Result<T> {
        self.read(column)
    }

    /// What stands in the column at that place, counted from 0.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn at<T: Column>(&self, place: usize) -> sqlx::Result<T> {
        self.read(place)
    }

    fn read<T: Column, I: ColumnIndex<PgRow> + ColumnIndex<SqliteRow> + Copy + Display>(&self, index: I) -> sqlx::Result<T> {
        let kept = match self {
            Self::Postgres(row) => row.try_get(index)?,
            Self::Sqlite(row) => row.try_get(index)?,
        };
        T::found(kept).map_err(|source| sqlx::Error::ColumnDecode { index: index.to_string(), source })
    }
}

/// What a row becomes.
pub trait FromRow: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When a column is missing or holds something else.
    fn from_row(row: &Row) -> sqlx::Result<Self>;
}

/// Declares a struct that a row becomes: each field stands in the column of its name, or in the one behind `as`.
macro_rules! row {
    (
        $(#[$meta:meta])* $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty $(as $column:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),+
        }

        impl $crate::store::statement::FromRow for $name {
            fn from_row(row: &$crate::store::statement::Row) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.get(row!(@column $field $($column)?))?),+ })
            }
        }
    };
    (@column $field:ident) => { stringify!($field) };
    (@column $field:ident $column:literal) => { $column };
}

macro_rules! tuples {
    ($($($type:ident $place:tt),+;)+) => { $(
        impl<$($type: Column),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> sqlx::Result<Self> {
                Ok(($(row.at::<$type>($place)?,)+))
            }
        }
    )+ };
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

fn postgres(values: &[&dyn Argument]) -> sqlx::Result<PgArguments> {
    let mut arguments = PgArguments::default();
    values.iter().try_for_each(|value| value.for_postgres(&mut arguments)).map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

fn sqlite(values: &[&dyn Argument]) -> sqlx::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    values.iter().try_for_each(|value| value.for_sqlite(&mut arguments)).map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// What comes of a statement, as far as its session reaches.
async fn within<T>(reach: Option<&Reach>, done: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match reach {
        Some(reach) => reach.of_driver(done).await,
        None => done.await,
    }
}

impl Db<'_> {
    /// Which database this is.
    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(..) => Dialect::Postgres,
            Self::Sqlite(..) => Dialect::Sqlite,
        }
    }

    /// Runs a statement and gives the number of rows it touched.
    pub(in crate::store) fn run<'c>(&'c mut self, sql: &'static Sql, values: &[&dyn Argument]) -> BoxFuture<'c, Result<u64>> {
        match self {
            Self::Postgres(connection, _, reach) => {
                let (arguments, reach) = (postgres(values), *reach);
                Box::pin(async move {
                    let keeps = reach.is_none_or(Reach::keeps_plans);
                    let done =
                        async { sqlx::query_with(sql.postgres, arguments?).persistent(keeps).execute(&mut **connection).await };
                    let done = within(reach, done).await;
                    done.map(|done| done.rows_affected()).map_err(|error| StoreError::statement(sql, error))
                })
            }
            Self::Sqlite(connection, _) => {
                let arguments = sqlite(values);
                Box::pin(async move {
                    let done = async { sqlx::query_with(sql.sqlite, arguments?).execute(&mut **connection).await }.await;
                    done.map(|done| done.rows_affected()).map_err(|error| StoreError::statement(sql, error))
                })
            }
        }
    }

    /// Runs a query for at most one row.
    pub(in crate::store) fn row<'c>(
        &'c mut self,
        sql: &'static Sql,
        values: &[&dyn Argument],
    ) -> BoxFuture<'c, Result<Option<Row>>> {
        match self {
            Self::Postgres(connection, _, reach) => {
                let (arguments, reach) = (postgres(values), *reach);
                Box::pin(async move {
                    let keeps = reach.is_none_or(Reach::keeps_plans);
                    let row = async {
                        sqlx::query_with(sql.postgres, arguments?).persistent(keeps).fetch_optional(&mut **connection).await
                    };
                    let row = within(reach, row).await;
                    row.map(|row| row.map(Row::Postgres)).map_err(|error| StoreError::statement(sql, error))
                })
            }
            Self::Sqlite(connection, _) => {
                let arguments = sqlite(values);
                Box::pin(async move {
                    let row = async { sqlx::query_with(sql.sqlite, arguments?).fetch_optional(&mut **connection).await }.await;
                    row.map(|row| row.map(Row::Sqlite)).map_err(|error| StoreError::statement(sql, error))
                })
            }
        }
    }

    /// Runs a query for all its rows.
    pub(in crate::store) fn rows<'c>(
        &'c mut self,
        sql: &'static Sql,
        values: &[&dyn Argument],
    ) -> BoxFuture<'c, Result<Vec<Row>>> {
        let text = match self {
            Self::Postgres(..) => sql.postgres,
            Self::Sqlite(..) => sql.sqlite,
        };
        self.rows_of(sql, text.into_sql_str(), true, values)
    }

    /// Runs a query whose text was put together for this one time. It is planned anew each time.
    pub(in crate::store) fn rows_of_built<'c>(&'c mut self, sql: &'static Sql, built: &Built) -> BoxFuture<'c, Result<Vec<Row>>> {
        let values: Vec<&dyn Argument> = built.values.iter().map(|value| &**value as &dyn Argument).collect();
        self.rows_of(sql, AssertSqlSafe(built.text.clone()).into_sql_str(), false, &values)
    }

    fn rows_of<'c>(
        &'c mut self,
        sql: &'static Sql,
        text: SqlStr,
        persistent: bool,
        values: &[&dyn Argument],
    ) -> BoxFuture<'c, Result<Vec<Row>>> {
        match self {
            Self::Postgres(connection, _, reach) => {
                let (arguments, reach) = (postgres(values), *reach);
                Box::pin(async move {
                    let keeps = persistent && reach.is_none_or(Reach::keeps_plans);
                    let rows = async {
                        let query = sqlx::query_with(text, arguments?).persistent(keeps);
                        query.fetch(&mut **connection).map_ok(Row::Postgres).try_collect().await
                    };
                    within(reach, rows).await.map_err(|error| StoreError::statement(sql, error))
                })
            }
            Self::Sqlite(connection, _) => {
                let arguments = sqlite(values);
                Box::pin(async move {
                    let rows = async {
                        let query = sqlx::query_with(text, arguments?).persistent(persistent);
                        query.fetch(&mut **connection).map_ok(Row::Sqlite).try_collect().await
                    };
                    rows.await.map_err(|error| StoreError::statement(sql, error))
                })
            }
        }
    }
}

/// What a row that may be there becomes.
pub(in crate::store) fn one<T: FromRow>(sql: &'static Sql, row: Option<Row>) -> Result<Option<T>> {
    row.map(|row| T::from_row(&row)).transpose().map_err(|error| StoreError::statement(sql, error))
}

/// What rows become.
pub(in crate::store) fn all<T: FromRow>(sql: &'static Sql, rows: &[Row]) -> Result<Vec<T>> {
    rows.iter().map(T::from_row).collect::<sqlx::Result<_>>().map_err(|error| StoreError::statement(sql, error))
}

/// The text of a query that is put together, with its values.
pub(in crate::store) struct Built {
    text: String,
    values: Vec<Box<dyn Argument>>,
}

impl Built {
    /// Begins with this text.
    pub(in crate::store) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Goes on with this text.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Goes on with this value.
    pub(in crate::store) fn push_value(&mut self, value: impl Value + 'static) -> &mut Self {
        self.values.push(Box::new(value));
        self.push(&format!("${}", self.values.len()))
    }

    /// The text so far.
    pub(in crate::store) fn into_text(self) -> String {
        self.text
    }
}

/// Runs a statement and gives the number of rows it touched.
macro_rules! execute {
    ($db:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        // The values are written down before anything waits, so that nothing of them is kept while it does.
        let running = $db.run(&$sql, &[$(&$value),*]);
        running.await
    }};
}

/// Runs a statement that touches one row or none; true when it touched one.
macro_rules! changed_one {
    ($db:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::statement::execute!($db, $sql $(, $value)*).map(|rows| rows == 1)
    };
}

/// Runs a query for at most one row.
macro_rules! fetch_optional {
    ($db:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        let running = $db.row(&$sql, &[$(&$value),*]);
        running.await.and_then(|row| $crate::store::statement::one(&$sql, row))
    }};
}

/// Runs a query for all its rows.
macro_rules! fetch_all {
    ($db:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        let running = $db.rows(&$sql, &[$(&$value),*]);
        running.await.and_then(|rows| $crate::store::statement::all(&$sql, &rows))
    }};
}

pub(crate) use {changed_one, execute, fetch_all, fetch_optional, row};
