//! Reaching one Postgres server: by which way it lets us in, what it says of itself, and why there is no connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};

use crate::config::postgres_url::PostgresAddress;
use crate::primary::{Lineage, Told, timeline_of};
use crate::store::StoreError;

/// One of several hosts that takes no connection or says nothing for so long is passed over.
pub(super) const PASS_OVER_AFTER: Duration = Duration::from_secs(2);

/// What a server is, with how far its cluster has got.
const WHO: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
                     CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,
                     CASE WHEN pg_is_in_recovery() THEN NULL ELSE (SELECT system_identifier::text FROM pg_control_system()) END,
                     (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint";
/// The same where it keeps that to itself.
const WHO_ALONE: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', NULL::text, NULL::text,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint";

/// Whether servers tell how far they have got: some services do not let their users ask.
pub(in crate::store) struct Tells(AtomicBool);

impl Default for Tells {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

/// What the server of a session says of itself.
pub(super) async fn told_by(connection: &mut PgConnection, tells: &Tells) -> std::result::Result<Told, sqlx::Error> {
    type Who = (bool, bool, Option<String>, Option<String>, i64);
    let whole = tells.0.load(Ordering::Relaxed);
    let asked: std::result::Result<Who, _> =
        sqlx::query_as(if whole { WHO } else { WHO_ALONE }).persistent(false).fetch_one(&mut *connection).await;
    let who = match asked {
        // No such function, or none for this user.
        Err(error) if whole && code(&error).is_some_and(|code| code.starts_with("42") || code.starts_with("0A")) => {
            tracing::info!(%error, "the database does not tell its timeline: an old primary that comes back cannot be recognised");
            tells.0.store(false, Ordering::Relaxed);
            sqlx::query_as(WHO_ALONE).persistent(false).fetch_one(connection).await?
        }
        asked => asked?,
    };
    let (standby, read_only, log_file, system, started) = who;
    let lineage = timeline_of(log_file.as_deref().unwrap_or_default())
        .zip(system.and_then(|system| system.parse().ok()))
        .map(|(timeline, system)| Lineage { system, timeline });
    Ok(Told { standby, read_only, lineage, started })
}

/// What every session is told first.
pub(super) async fn begin_session(
    connection: &mut PgConnection,
    search_path: Option<&str>,
) -> std::result::Result<(), sqlx::Error> {
    if let Some(search_path) = search_path {
        let set = sqlx::query("SELECT set_config('search_path', $1, false)").bind(search_path).persistent(false);
        set.execute(connection).await?;
    }
    Ok(())
}

/// Connects by one of the ways that the address allows; it holds the one that worked from then on.
pub(super) async fn connect_once(address: &mut PostgresAddress) -> std::result::Result<PgConnection, sqlx::Error> {
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

pub(super) fn is_starting(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("57P03")
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned))
}

/// Why there is no connection, with what to do where that can be known.
pub(super) fn unreachable(error: sqlx::Error, place: &str) -> StoreError {
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
