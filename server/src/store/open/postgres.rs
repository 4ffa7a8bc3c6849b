//! Opening a Postgres database: connecting within a limit, finding out whether it can be used, bringing its tables up to date.
//!
//! What is wrong with a database is told before anything is changed in it, once, and with what to do.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Row};
use uuid::Uuid;

use super::sqlite_folder::Use;
use crate::config::postgres_url::{self, PostgresAddress};
use crate::ids::InstallationId;
use crate::store::{ReadOnly, Result, StoreError, migrations, takes_changes};

const POOL_SIZE: u32 = 20;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that takes a connection and says nothing for so long is asked again.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// So often before a server gives up; whatever supervises it starts it again.
const TRIES: u32 = 3;
/// While the tables are brought up to date, or another node does that, a line says so this often.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A node that freezes inside a transaction must not keep rows locked for ever. Said in each session and not when connecting, because
/// poolers refuse parameters at that moment.
const LIMITS: &str = "SELECT set_config('idle_in_transaction_session_timeout', '3s', false), set_config('lock_timeout', '2s', false), \
                      set_config('statement_timeout', '4s', false)";

/// A database that can be used.
pub(in crate::store) struct Opened {
    pub(in crate::store) pool: PgPool,
    /// Where its tables are.
    pub(in crate::store) schema: String,
    pub(in crate::store) read_only: Arc<ReadOnly>,
    /// Host, port and name.
    pub(in crate::store) place: String,
}

/// Opens a database if `may_open` agrees with the installation that was found in it, before anything is changed.
pub(in crate::store) async fn open(
    url: &str,
    usage: Use,
    may_open: impl FnOnce(Option<InstallationId>, &str) -> Result<()>,
) -> Result<Opened> {
    let mut address = postgres_url::parse(url).map_err(StoreError::Address)?;
    for (parameter, path) in &address.files {
        if let Err(error) = std::fs::metadata(path) {
            return Err(StoreError::Unfit(format!("the file {path} of {parameter} in DATABASE_URL cannot be read ({error})")));
        }
    }
    // On a connection of its own: waiting for another node's migration must not run into the time limits of the others.
    let mut migrator = connect(&mut address, usage).await?;
    match tokio::time::timeout(CONNECT_WITHIN * 2, fit(&mut migrator, &address)).await {
        Ok(fit) => fit?,
        Err(_) => return Err(StoreError::Unfit(format!("{} has stopped answering", address.place()))),
    }
    may_open(installation(&mut migrator).await?, &address.place())?;
    if usage != Use::Look {
        if let Some(later) = migrations::of_a_later_version(applied(&mut migrator).await?) {
            return Err(StoreError::Unfit(format!("{}: {later}", address.place())));
        }
        migrate(&mut migrator).await?;
    }
    let (schema,): (String,) =
        sqlx::query_as("SELECT current_schema()::text").fetch_one(&mut migrator).await.map_err(StoreError::Connection)?;
    migrator.close().await.map_err(StoreError::Connection)?;
    let read_only = Arc::new(ReadOnly::default());
    let sessions = Arc::clone(&read_only);
    let search_path = address.search_path.clone();
    let pool = PgPoolOptions::new()
        .max_connections(POOL_SIZE)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            let search_path = search_path.clone();
            Box::pin(async move {
                begin_session(connection, search_path.as_deref()).await?;
                sqlx::query(LIMITS).persistent(false).execute(connection).await.map(drop)
            })
        })
        .before_acquire(move |connection, session| {
            let suspect = sessions.concerns(session.age);
            Box::pin(async move { Ok(!suspect || takes_changes(connection).await?) })
        })
        .connect_lazy_with(address.options.clone().disable_statement_logging());
    Ok(Opened { pool, schema, read_only, place: address.place() })
}

/// A connection to a database as it is, and what people call it: nothing is brought up to date.
pub(in crate::store) async fn connect_as_it_is(url: &str) -> Result<(PgConnection, String)> {
    let mut address = postgres_url::parse(url).map_err(StoreError::Address)?;
    let mut connection = connect(&mut address, Use::Beside).await?;
    match tokio::time::timeout(CONNECT_WITHIN * 2, fit(&mut connection, &address)).await {
        Ok(fit) => fit?,
        Err(_) => return Err(StoreError::Unfit(format!("{} has stopped answering", address.place()))),
    }
    Ok((connection, address.place()))
}

/// Whether a node runs on the tables of this session's schema: one that listens for what others change, or one of another user, whose
/// sessions say nothing, while something was written just now.
pub(in crate::store) async fn is_served(connection: &mut PgConnection) -> Result<bool> {
    let listening = "SELECT EXISTS (
           SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
             AND position('LISTEN \"autocall_' || current_schema()::text || '\"' in query) > 0)";
    let (listening,): (bool,) =
        sqlx::query_as(listening).persistent(false).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
    if listening || installation(connection).await?.is_none() {
        return Ok(listening);
    }
    let written = "SELECT EXISTS (SELECT 1 FROM installation WHERE wrote_at > clock_timestamp() - interval '45 seconds')
                     AND EXISTS (SELECT 1 FROM pg_stat_activity
                                 WHERE datname = current_database() AND usename <> current_user AND backend_type = 'client backend')";
    let (written,): (bool,) =
        sqlx::query_as(written).persistent(false).fetch_one(connection).await.map_err(StoreError::Connection)?;
    Ok(written)
}

/// The last migration that the tables have; `None` where there are none yet.
async fn applied(connection: &mut PgConnection) -> Result<Option<i64>> {
    let there = "SELECT to_regclass(quote_ident(current_schema()::text) || '._sqlx_migrations') IS NOT NULL";
    let (there,): (bool,) =
        sqlx::query_as(there).persistent(false).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
    if !there {
        return Ok(None);
    }
    let last = "SELECT max(version) FROM _sqlx_migrations";
    let (last,): (Option<i64>,) =
        sqlx::query_as(last).persistent(false).fetch_one(connection).await.map_err(StoreError::Connection)?;
    Ok(last)
}

/// What every session is told first.
async fn begin_session(connection: &mut PgConnection, search_path: Option<&str>) -> std::result::Result<(), sqlx::Error> {
    if let Some(search_path) = search_path {
        let set = sqlx::query("SELECT set_config('search_path', $1, false)").bind(search_path).persistent(false);
        set.execute(connection).await?;
    }
    Ok(())
}

/// Connects, a few times if the server does not answer; the address holds the mode that worked from then on.
async fn connect(address: &mut PostgresAddress, usage: Use) -> Result<PgConnection> {
    let tries = if usage == Use::Serve { TRIES } else { 1 };
    let place = address.place();
    for number in 1..=tries {
        let last = number == tries;
        match tokio::time::timeout(CONNECT_WITHIN, connect_once(address)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if !last && is_starting(&error) => {
                tracing::warn!(database = place, try_number = number, tries, "the database is starting; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(Err(error)) => return Err(unreachable(error, &place)),
            Err(_) => tracing::warn!(database = place, try_number = number, tries, "the database does not answer"),
        }
    }
    let seconds = CONNECT_WITHIN.as_secs();
    Err(StoreError::Unfit(format!(
        "{place} takes connections and does not answer within {seconds} s; is it Postgres, and not stopped or overloaded?"
    )))
}

async fn connect_once(address: &mut PostgresAddress) -> std::result::Result<PgConnection, sqlx::Error> {
    let modes = address.modes();
    let mut left = modes.len();
    for mode in modes {
        left -= 1;
        let options: PgConnectOptions = address.options.clone().ssl_mode(mode);
        match options.clone().disable_statement_logging().connect().await {
            Ok(connection) => {
                if left == 0 && matches!(address.options.get_ssl_mode(), PgSslMode::Prefer | PgSslMode::Allow) {
                    tracing::info!(
                        encrypted = !matches!(mode, PgSslMode::Disable),
                        "the database wanted the other of the two ways"
                    );
                }
                // The pool goes the way that was found.
                address.options = options;
                return Ok(connection);
            }
            Err(error) if left > 0 && wants_another_mode(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(sqlx::Error::PoolClosed)
}

/// The server refuses encrypted, or unencrypted, connections of this user.
fn wants_another_mode(error: &sqlx::Error) -> bool {
    is_of_encryption(error) || code(error).as_deref() == Some("28000")
}

fn is_of_encryption(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        // What went wrong while shaking hands.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("57P03")
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned))
}

/// Why there is no connection, with what to do where that can be known.
fn unreachable(error: sqlx::Error, place: &str) -> StoreError {
    // Postgres' own sentence, without the place in its source.
    let text = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let text = crate::trust::why(&error).map_or(text, |why| format!("no connection by TLS: {why}"));
    let todo = match code(&error).as_deref() {
        Some("3D000") => "create it: CREATE DATABASE name OWNER user ENCODING 'UTF8' TEMPLATE template0",
        Some("28P01") => "correct the user or the password in DATABASE_URL",
        Some("28000") => "let this user in from here in pg_hba.conf, or correct the user or sslmode in DATABASE_URL",
        Some("53300") => "raise max_connections of Postgres, or let other programs use fewer",
        Some("57P03") => "wait until it has started",
        Some("08P01") => "if this is a pooler, set its pool_mode to session and leave `options` out of DATABASE_URL",
        _ if is_of_encryption(&error) && text.contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority; give it one that the authority has signed, with its name as subjectAltName"
        }
        _ if is_of_encryption(&error) => "correct sslmode or sslrootcert in DATABASE_URL, or the server's certificate",
        _ => return StoreError::Unreachable { place: place.to_owned(), source: error },
    };
    StoreError::Unfit(format!("{place}: {}; {todo}", plain(&text)))
}

/// The driver's sentence without what it says before.
fn plain(text: &str) -> &str {
    text.trim_start_matches("error communicating with database: ")
        .trim_start_matches("error occurred while attempting to establish a TLS connection: ")
}

/// Whether the tables can be kept here.
async fn fit(connection: &mut PgConnection, address: &PostgresAddress) -> Result<()> {
    type Look = (String, String, String, Option<String>, String, bool, String);
    let unfit = |what: String| Err(StoreError::Unfit(what));
    // Two open connections and one process behind them: somebody hands the sessions around.
    let mut other = address.options.clone().disable_statement_logging().connect().await.map_err(StoreError::Connection)?;
    let same = process_of(&mut *connection).await? == process_of(&mut other).await?;
    other.close().await.map_err(StoreError::Connection)?;
    if same {
        return unfit(format!(
            "the pooler at {} hands its sessions around between transactions; autocall needs sessions of its own: set pool_mode = session \
             there (for this database or user), or connect to Postgres itself",
            address.place()
        ));
    }
    begin_session(connection, address.search_path.as_deref()).await.map_err(StoreError::Connection)?;
    let look = "SELECT current_setting('server_encoding'), current_user::text, current_database()::text,
                  current_schema()::text, current_setting('search_path'),
                  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), current_setting('transaction_read_only')";
    let look: Look = sqlx::query_as(look).persistent(false).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
    let (encoding, user, database, schema, search_path, may_create, read_only) = look;
    match encoding.as_str() {
        "UTF8" => {}
        "SQL_ASCII" => {
            tracing::warn!(database, "the database does not know how its text is encoded (SQL_ASCII); UTF8 would be right");
        }
        _ => {
            return unfit(format!(
                "the database {database:?} keeps text as {encoding}, in which most names cannot be written. Make one that keeps UTF8, and \
                 name it in DATABASE_URL: CREATE DATABASE autocall OWNER {user:?} ENCODING 'UTF8' TEMPLATE template0"
            ));
        }
    }
    let Some(schema) = schema else {
        return unfit(format!(
            "there is no schema for the tables (search_path is {search_path}). Make it as an administrator: CREATE SCHEMA name \
             AUTHORIZATION {user:?}; or correct search_path in DATABASE_URL"
        ));
    };
    if read_only == "on" {
        return unfit(format!(
            "the database {database:?} can only be read now: it is a replica, or default_transaction_read_only is set"
        ));
    }
    if !may_create {
        return unfit(format!(
            "the user {user:?} may not make tables in the schema {schema:?} of the database {database:?}. As an administrator, connected \
             to that database: GRANT CREATE, USAGE ON SCHEMA {schema:?} TO {user:?}; (since PostgreSQL 15 nobody else may by default)"
        ));
    }
    Ok(())
}

/// The process that serves a session. Asked in the simplest way, which every pooler passes on.
async fn process_of(connection: &mut PgConnection) -> Result<i32> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await.map_err(StoreError::Connection)?;
    row.try_get(0).map_err(StoreError::Connection)
}

/// Which installation is kept here; `None` where there is none yet.
async fn installation(connection: &mut PgConnection) -> Result<Option<InstallationId>> {
    let (there,): (bool,) = sqlx::query_as("SELECT to_regclass('installation') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::Connection)?;
    if !there {
        return Ok(None);
    }
    let row: Option<(Uuid,)> =
        sqlx::query_as("SELECT id FROM installation").fetch_optional(connection).await.map_err(StoreError::Connection)?;
    Ok(row.map(|(id,)| InstallationId(id)))
}

/// Brings the tables up to date, and says from time to time that it is still at it.
async fn migrate(connection: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql("SET client_min_messages = warning").execute(&mut *connection).await.map_err(StoreError::Connection)?;
    let work = migrations::POSTGRES.run(connection);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done?),
            () = tokio::time::sleep(SAY_EVERY) => {
                tracing::warn!("the tables are still being brought up to date, or another node does that");
            }
        }
    }
}
