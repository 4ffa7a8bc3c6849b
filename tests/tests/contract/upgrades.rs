//! Databases that servers of earlier versions have left in the middle of a call: each is brought up to date, and the call goes on. One of a
//! later version is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autocall::config::{Config, SecretUrl};
use autocall::store::Store;
use autocall::store::backup::file::{self, NewBackup};
use autocall::store::backup::restoring::{Destination, restore};
use autocall::store::backup::source::Source;
use autocall::store::backup::{back_up, check};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::harness::{A, Home, Kind, on_both};
use autocall_tests::wait::eventually;

on_both!(
    every_earlier_version_goes_on_with_its_call,
    a_backup_of_an_earlier_version_goes_on_with_its_call,
    a_later_version_is_refused_with_what_to_do,
    a_later_version_that_only_added_is_no_obstacle,
);

/// The versions whose tables are tried: the first, those that change what an open call is, and some between.
const VERSIONS: [i64; 20] = [1, 2, 6, 8, 10, 13, 16, 19, 21, 23, 30, 34, 36, 40, 42, 46, 50, 57, 61, 66];
/// The dial that is open in all of them, the alarm that it is for, and whom it rings.
const MID: &str = "6a0d2c10aa00bb00cc00dd01";
const ALARM: &str = "04000000-0000-7000-8000-000000000001";
const DESK: &str = "/h/desk/alert/phone";

fn below(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// What a server of that version has written, in the order in which it is to be run.
fn written_by(version: i64) -> Vec<String> {
    let files = std::fs::read_dir(below("fixtures/upgrades")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|kind| kind == "sql")).collect();
    files.sort();
    assert!(files.len() > 3, "the fixtures are not found");
    let number = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap()[..4].parse::<i64>().unwrap();
    files.iter().filter(|file| number(file) <= version).map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// Uuids and bytes as Postgres reads them.
fn for_postgres(text: &str) -> String {
    let mut parts = text.split("X'");
    let mut written = parts.next().unwrap().to_owned();
    for part in parts {
        let (digits, rest) = part.split_once('\'').unwrap();
        let literal = if digits.len() == 32 { format!("'{digits}'::uuid") } else { format!(r"'\x{digits}'::bytea") };
        written.push_str(&literal);
        written.push_str(rest);
    }
    written
}

/// The database of a home, made anew as a server of that version has left it.
async fn make_as_of(home: &Home, version: i64) {
    match home.config().database_url {
        Some(url) => {
            let (_, schema) = home.schema().unwrap();
            let mut connection = PgConnection::connect(url.expose()).await.unwrap();
            let anew = format!("DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(anew))).await.unwrap();
            let migrator = Migrator::new(below("server/migrations/postgres")).await.unwrap();
            migrator.run_to(version, &mut connection).await.unwrap();
            for text in written_by(version) {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(for_postgres(&text)))).await.unwrap();
            }
            connection.close().await.unwrap();
        }
        None => {
            let file = home.database_file();
            std::fs::remove_file(&file).unwrap();
            let options =
                SqliteConnectOptions::new().filename(&file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            let migrator = Migrator::new(below("server/migrations/sqlite")).await.unwrap();
            migrator.run_to(version, &mut connection).await.unwrap();
            for text in written_by(version) {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.unwrap();
            }
            connection.close().await.unwrap();
        }
    }
}

async fn every_earlier_version_goes_on_with_its_call(home: Home) {
    let kind = if home.is_shared() { Kind::Shared } else { Kind::Embedded };
    drop(home);
    for version in VERSIONS {
        let home = Home::new(kind).await;
        make_as_of(&home, version).await;
        let server = home.start().await;
        assert_eq!(server.state(ALARM).await, "ringing", "tables of {version:04}");
        assert_eq!(server.dial(DESK).await, (MID.to_owned(), vec![A.to_owned()]), "tables of {version:04}");
        server.report(DESK, MID, Some(A)).await;
        let alarm = server.alarm(ALARM).await;
        assert_eq!(alarm["state"], "answered", "tables of {version:04}: {alarm}");
        let answers = alarm["answers"].as_array().unwrap();
        assert_eq!(answers.len(), 1, "tables of {version:04}: {alarm}");
        assert_eq!(answers[0]["name"], "Ann", "tables of {version:04}: {alarm}");
        assert_eq!(alarm["summary"], "The disk of db1 is full – 磁盘已满", "tables of {version:04}");
        // What is new since then works on what is old: another call begins and ends.
        let second = server.raise(&[A], serde_json::json!({})).await;
        server.pass(120).await;
        let (mid, _) = server.dial(DESK).await;
        assert_ne!(mid, MID);
        server.report(DESK, &mid, Some(A)).await;
        assert_eq!(server.state(&second).await, "answered", "tables of {version:04}");
    }
}

fn url(config: &Config) -> Option<&str> {
    config.database_url.as_ref().map(SecretUrl::expose)
}

/// The one that was made before the upgrade, by the program of after it.
async fn a_backup_of_an_earlier_version_goes_on_with_its_call(home: Home) {
    let kind = if home.is_shared() { Kind::Shared } else { Kind::Embedded };
    drop(home);
    let folder = tempfile::tempdir().unwrap();
    for version in [1, 13, 23, 42, 66] {
        let home = Home::new(kind).await;
        make_as_of(&home, version).await;
        let config = home.config();
        let path = folder.path().join(format!("{version}.backup"));
        for _ in 0..2 {
            let source = Source::open(url(&config), &config.data_dir, false).await.unwrap();
            let to = NewBackup { path: path.clone(), overwrite: true, passphrase: None };
            let written = back_up(source, to, home.clock.now()).await.unwrap();
            assert_eq!(written.head.tables_of(), version, "the second time it is as it was: nothing was brought up to date");
        }
        assert_eq!(check(&path, None).await.unwrap().head.tables_of(), version);
        for into in [Kind::Embedded, Kind::Shared] {
            let home = Home::new(into).await;
            let config = home.config();
            let to = Destination {
                database_url: url(&config).map(str::to_owned),
                data_dir: config.data_dir.clone(),
                heeds_note: true,
                replace: None,
                keeps_sessions: false,
                what: format!("the backup of {version:04}"),
            };
            restore(&to, file::pour(path.clone(), None)).await.unwrap();
            let server = home.start().await;
            assert_eq!(server.dial(DESK).await.0, MID, "tables of {version:04} into {into:?}");
            server.report(DESK, MID, Some(A)).await;
            let alarm = server.alarm(ALARM).await;
            assert_eq!(
                (&alarm["state"], &alarm["answers"][0]["name"]),
                (&"answered".into(), &"Ann".into()),
                "{version:04}: {alarm}"
            );
        }
    }
}

async fn a_later_version_is_refused_with_what_to_do(home: Home) {
    let server = home.start().await;
    let later = if server.home.is_shared() {
        r"INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, '\x00', 0)"
    } else {
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, X'00', 0)"
    };
    server.run_sql(vec![later.to_owned(), "UPDATE compatibility SET works_from = 9999".to_owned()]).await;
    let home = server.stop().await;
    let config = home.config();
    let url = url(&config);
    let refused = Store::open_beside_server(url, &config.data_dir).await.err().unwrap().to_string();
    assert!(refused.contains("9999") && refused.contains("later version of autocall"), "{refused}");
    assert!(refused.contains("docs/upgrading.md"), "{refused}");
    let refused = Store::open(url, &config.data_dir).await.err().unwrap().to_string();
    assert!(refused.contains("9999"), "{refused}");
}

async fn a_later_version_that_only_added_is_no_obstacle(home: Home) {
    let server = home.start().await;
    let alarm = server.raise(&[A], serde_json::json!({})).await;
    let later = if server.home.is_shared() {
        r"INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, '\x00', 0)"
    } else {
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, X'00', 0)"
    };
    let added = "ALTER TABLE alarms ADD COLUMN later_note TEXT";
    server.run_sql(vec![added.to_owned(), later.to_owned()]).await;
    let server = server.stop().await.start().await;
    assert_eq!(server.state(&alarm).await, "waiting");
    // Until something was taken away.
    server.run_sql(vec!["UPDATE compatibility SET works_from = 9999".to_owned()]).await;
    let store = &server.app.engine.store;
    let refused = store.look_at_tables().await.err().unwrap().to_string();
    assert!(refused.contains("9999") && refused.contains("docs/upgrading.md"), "{refused}");
    assert!(store.read().await.is_err(), "nothing is done with tables that are not known");
    assert!(store.begin().await.is_err());
}

/// A node reads one table and then another, and the migration wants both the other way round: the node that serves must not be the one that
/// fails.
#[tokio::test]
async fn whoever_is_at_work_goes_before_tables_that_change() {
    let home = Home::new(Kind::Shared).await;
    make_as_of(&home, 75).await;
    let config = home.config();
    let connect = async || PgConnection::connect(url(&config).unwrap()).await.unwrap();
    let (mut node, mut looker) = (connect().await, connect().await);
    let mut work = node.begin().await.unwrap();
    // 0076 changes first handsets, then backups.
    work.execute("SELECT 1 FROM backups").await.unwrap();
    let goes_on = async {
        eventually("the migration to wait for what is read", Duration::from_secs(30), async || {
            let waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 'backups'::regclass AND NOT granted)";
            let (waits,): (bool,) = sqlx::query_as(waiting).fetch_one(&mut looker).await.unwrap();
            waits.then_some(())
        })
        .await;
        work.execute("SELECT 1 FROM handsets").await.unwrap();
        work.commit().await.unwrap();
    };
    let (opened, ()) = tokio::join!(Store::open(url(&config), &config.data_dir), goes_on);
    assert!(opened.is_ok(), "{:?}", opened.err());
}
