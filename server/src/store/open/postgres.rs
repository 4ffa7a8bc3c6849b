//! Opening a Postgres database: finding its primary, connecting within a limit, finding out whether it can be used, bringing its tables up to
//! date.
//!
//! What is wrong with a database is told before anything is changed in it, once, and with what to do.

use std::path::Path;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::{ConnectOptions, PgConnection, Row};
use uuid::Uuid;

use super::primary::{Asked, Found, Known, ask_all, let_go, none_is_primary};
use super::reaching::{Tells, begin_session, connect_once, is_starting, told_by, unreachable};
use super::sqlite_folder::Use;
use crate::config::postgres_url::{self, PostgresAddress};
use crate::ids::InstallationId;
use crate::primary::{Objection, Told, choose};
use crate::store::{Result, StoreError, migrations};

/// A server that takes a connection and says nothing for so long is asked again.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// So often before a server gives up; whatever supervises it starts it again.
const TRIES: u32 = 3;
/// While the tables are brought up to date, or another node does that, a line says so this often.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Nodes that run keep no plans of statements from then on: they are told so long before tables change.
const TELL_BEFORE: Duration = Duration::from_millis(1_500);

/// A table that is in use is waited for so long: less than Postgres takes to find a deadlock (`deadlock_timeout`, 1 s), which it might end at
/// the cost of a node that serves. Whoever comes after us for the table waits as long.
const GIVE_WAY_AFTER: &str = "SET lock_timeout = '500ms'";
/// Then nodes that serve have a moment before it is tried again.
const GIVE_WAY_FOR: Duration = Duration::from_millis(300);

/// A database that can be used.
pub(in crate::store) struct Opened {
    pub(in crate::store) found: Found,
    /// Where its tables are.
    pub(in crate::store) schema: String,
}

/// Opens a database if `may_open` agrees with the installation that was found in it, before anything is changed. In the folder a server
/// writes down how far its cluster has got.
pub(in crate::store) async fn open(
    url: &str,
    folder: &Path,
    usage: Use,
    may_open: impl FnOnce(Option<InstallationId>, &str) -> Result<()>,
) -> Result<Opened> {
    let mut found = addresses(url, folder, usage)?;
    // On a connection of its own: waiting for another node's migration must not run into the time limits of the others.
    let mut migrator = connect(&mut found, usage).await?;
    let address = &found.addresses[found.host];
    match tokio::time::timeout(CONNECT_WITHIN * 2, fit(&mut migrator, address)).await {
        Ok(fit) => fit?,
        Err(_) => return Err(StoreError::Unfit(format!("{} has stopped answering", address.place()))),
    }
    may_open(installation(&mut migrator).await?, &address.place())?;
    let (schema,): (String,) =
        sqlx::query_as("SELECT current_schema()::text").fetch_one(&mut migrator).await.map_err(StoreError::Connection)?;
    if usage != Use::Look {
        let applied = applied(&mut migrator).await?;
        let works_from = if migrations::is_later(applied) { works_from(&mut migrator).await? } else { None };
        match migrations::of_a_later_version(applied, works_from) {
            Some(Err(later)) => return Err(StoreError::Unfit(format!("{}: {later}", address.place()))),
            Some(Ok(later)) => tracing::warn!(database = address.place(), "{later}"),
            None => migrate(&mut migrator, &schema, applied).await?,
        }
    }
    let_go(migrator);
    Ok(Opened { found, schema })
}

/// The hosts of an address, none of which is used yet.
fn addresses(url: &str, folder: &Path, usage: Use) -> Result<Found> {
    let addresses = postgres_url::parse(url).map_err(StoreError::Address)?;
    for (parameter, path) in addresses.iter().flat_map(|address| &address.files) {
        if let Err(error) = std::fs::metadata(path) {
            return Err(StoreError::Unfit(format!("the file {path} of {parameter} in DATABASE_URL cannot be read ({error})")));
        }
    }
    let known = Known::read(folder, usage == Use::Serve);
    Ok(Found { addresses, asked: Vec::new(), host: 0, tells: Tells::default(), known })
}

/// A connection to a database as it is, and what people call it: nothing is brought up to date.
pub(in crate::store) async fn connect_as_it_is(url: &str, folder: &Path) -> Result<(PgConnection, String)> {
    let mut found = addresses(url, folder, Use::Beside)?;
    let mut connection = connect(&mut found, Use::Beside).await?;
    let address = &found.addresses[found.host];
    match tokio::time::timeout(CONNECT_WITHIN * 2, fit(&mut connection, address)).await {
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

/// Connects to the host that is the primary.
async fn connect(found: &mut Found, usage: Use) -> Result<PgConnection> {
    match &mut *found.addresses {
        [address] => {
            let mut connection = connect_to(address, usage).await?;
            let asking = tokio::time::timeout(CONNECT_WITHIN, told_by(&mut connection, &found.tells)).await;
            let Ok(asked) = asking else {
                return Err(StoreError::Unfit(format!("{} has stopped answering", address.place())));
            };
            let told = asked.map_err(StoreError::Connection)?;
            if let Some(objection @ Objection::Older { .. }) = told.objection(found.known.get()) {
                return Err(StoreError::OldPrimary(found.known.sentence(objection, &address.place())));
            }
            found.known.learn(&told, &address.place());
            found.asked = vec![Ok(told)];
            Ok(connection)
        }
        _ => connect_to_primary(found, usage).await,
    }
}

/// Connects to one of several hosts, a few times if none of them is a primary.
async fn connect_to_primary(found: &mut Found, usage: Use) -> Result<PgConnection> {
    let tries = if usage == Use::Serve { TRIES } else { 1 };
    for number in 1..=tries {
        let answers = ask_all(&mut found.addresses, &found.tells).await;
        let (mut connections, asked): (Vec<_>, Vec<Asked>) = answers
            .into_iter()
            .map(|answer| match answer {
                Ok((connection, told)) => (Some(connection), Ok(told)),
                Err(error) => (None, Err(error)),
            })
            .unzip();
        let told: Vec<Option<Told>> = asked.iter().map(|asked| asked.as_ref().ok().copied()).collect();
        let chosen = choose(&told, found.known.get(), None).host.or_else(|| {
            // Whoever starts may have been given another cluster, but never an older state of the same.
            let known = found.known.get();
            let strangers: Vec<Option<Told>> =
                told.iter().map(|told| told.filter(|told| told.objection(known) == Some(Objection::Stranger))).collect();
            choose(&strangers, None, None).host
        });
        let chosen = chosen.and_then(|host| Some((host, told[host]?, connections[host].take()?)));
        connections.into_iter().flatten().for_each(let_go);
        if let Some((host, told, connection)) = chosen {
            found.known.learn(&told, &found.addresses[host].place());
            (found.host, found.asked) = (host, asked);
            return Ok(connection);
        }
        let sentence = none_is_primary(&found.addresses, &asked, &found.known);
        if number == tries {
            return Err(StoreError::NoPrimary(sentence));
        }
        tracing::warn!(try_number = number, tries, "{sentence}; trying again");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(StoreError::Silent)
}

/// Connects, a few times if the server does not answer; the address holds the mode that worked from then on.
async fn connect_to(address: &mut PostgresAddress, usage: Use) -> Result<PgConnection> {
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

/// Whether the tables can be kept here.
async fn fit(connection: &mut PgConnection, address: &PostgresAddress) -> Result<()> {
    type Look = (String, String, String, Option<String>, String, bool, String);
    let unfit = |what: String| Err(StoreError::Unfit(what));
    if hands_sessions_around(&mut *connection, address).await? {
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

/// Whether somebody between us and Postgres gives a session to whoever asks next. Two connections ask in turns by which process they are
/// served: each must always hear of the same one, and never of the other's, also where the pooler has many sessions, uses them in turns, or
/// gives them to others meanwhile.
async fn hands_sessions_around(connection: &mut PgConnection, address: &PostgresAddress) -> Result<bool> {
    let mut other = address.options.clone().disable_statement_logging().connect().await.map_err(StoreError::Connection)?;
    let (own, others) = (process_of(&mut *connection).await?, process_of(&mut other).await?);
    let mut around = own == others;
    for _ in 0..3 {
        around |= process_of(&mut *connection).await? != own;
        // Twice, since a pooler with an even number of sessions may give the same one every other time.
        around |= process_of(&mut *connection).await? != own;
        around |= process_of(&mut other).await? != others;
    }
    let_go(other);
    Ok(around)
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

/// The oldest migration whose programs these tables still work for; `None` where that is not written down.
pub(in crate::store) async fn works_from(connection: &mut PgConnection) -> Result<Option<i64>> {
    let there = "SELECT to_regclass(quote_ident(current_schema()::text) || '.compatibility') IS NOT NULL";
    let (there,): (bool,) =
        sqlx::query_as(there).persistent(false).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
    if !there {
        return Ok(None);
    }
    let from: Option<(i64,)> = sqlx::query_as("SELECT works_from FROM compatibility")
        .persistent(false)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::Connection)?;
    Ok(from.map(|(from,)| from))
}

/// Brings the tables up to date, and says from time to time that it is still at it. Nodes that run are told before.
async fn migrate(connection: &mut PgConnection, schema: &str, applied: Option<i64>) -> Result<()> {
    sqlx::raw_sql("SET client_min_messages = warning").execute(&mut *connection).await.map_err(StoreError::Connection)?;
    if applied.is_some() && applied != migrations::last() && is_served(&mut *connection).await? {
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(channel(schema))
            .bind(TABLES_CHANGE)
            .persistent(false)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::Connection)?;
        tokio::time::sleep(TELL_BEFORE).await;
    }
    sqlx::raw_sql(GIVE_WAY_AFTER).execute(&mut *connection).await.map_err(StoreError::Connection)?;
    let work = migrate_when_free(connection);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SAY_EVERY) => {
                tracing::warn!("the tables are still being brought up to date, or are in use, or another node does that");
            }
        }
    }
}

/// Whoever serves goes first: what is not to be had within a moment is tried again until it is. Each migration is one transaction, so
/// nothing is left half done.
async fn migrate_when_free(connection: &mut PgConnection) -> Result<()> {
    loop {
        match migrations::POSTGRES.run_direct(None, connection, false).await {
            Err(error) if was_in_use(&error) => {
                tracing::debug!(%error, "a table is in use, or another node brings the tables up to date; trying again");
                // What failed has kept the lock that keeps other nodes from doing the same.
                let give_back = sqlx::raw_sql("SELECT pg_advisory_unlock_all()");
                give_back.execute(&mut *connection).await.map_err(StoreError::Connection)?;
                tokio::time::sleep(GIVE_WAY_FOR).await;
            }
            done => return Ok(done?),
        }
    }
}

/// Whether somebody else had what was needed: a lock that was not to be had in time, or a deadlock.
fn was_in_use(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else { return false };
    let code = source.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "55P03" | "40P01"))
}

/// On which nodes hear of changes: channels belong to the whole database, so the schema's name keeps installations apart.
pub(in crate::store) fn channel(schema: &str) -> String {
    format!("autocall_{schema}")
}

/// What is said there before tables change.
pub(in crate::store) const TABLES_CHANGE: &str = "tables";
