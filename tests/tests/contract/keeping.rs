//! What is kept: retention forgets only what is over, backups can be restored, and the server says that it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use android_protocol::wire::CommandKind;
use autocall::engine::watch::retention;
use autocall::ids::CommandId;
use autocall::kinds::guard::GuardedResolver;
use autocall::out::{notices, sign_of_life};
use autocall::store::retention::EndedHunt;
use autocall::store::watch::handsets::Profile;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::net::TcpListener;

use crate::harness::{A, B, C, Home, on_both};

on_both!(
    only_what_is_over_is_forgotten,
    a_hunt_of_many_alarms_and_many_hunts_of_one_are_forgotten_in_portions,
    commands_to_handsets_are_forgotten,
    a_backup_can_be_restored,
    the_embedded_database_learns_how_its_tables_are_filled,
    a_sign_of_life_is_sent,
);

async fn only_what_is_over_is_forgotten(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let store = &server.app.engine.store;
    let old = server.raise(&[A], json!({ "dedup_key": "old" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let redialled = server.raise(&[B], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let open = server.raise(&[C], json!({ "begin_before_seconds": 604_800 })).await;
    let put_off = server.raise(&[B], json!({ "attempts": 1 })).await;
    let later = json!({ "name": "Lin", "ring_again_after_seconds": 604_800 });
    assert_eq!(server.post(&format!("/api/v1/alarms/{put_off}/acknowledge"), &later).await.0, 200);
    server.pass(3 * 86_400).await;
    // It rang long ago, and again just now.
    server.post(&format!("/api/v1/alarms/{redialled}/redial"), &json!({})).await;
    let recent = server.raise(&[B], json!({ "attempts": 1, "dedup_key": "old" })).await;
    assert_ne!(old, recent);

    let yesterday = server.now() - chrono::TimeDelta::days(1);
    assert_eq!(store.read().await.unwrap().db().count_prunable(yesterday).await.unwrap(), 1);
    assert_eq!(retention::prune(store, yesterday).await.unwrap(), 1);
    assert_eq!(server.get(&format!("/api/v1/alarms/{old}")).await["code"], "not_found");
    for kept in [&redialled, &open, &recent, &put_off] {
        assert_eq!(server.alarm(kept).await["id"], **kept);
    }
    assert_eq!(server.alarm(&redialled).await["dials"].as_array().unwrap().len(), 1, "with all that happened to it");
    assert_eq!(retention::prune(store, yesterday).await.unwrap(), 0);
    // A report for what was forgotten is acknowledged like any other that nobody knows.
    server.report(&desk, &mid, Some(A)).await;
}

/// More alarms than one portion holds in one hunt, more hunts than one portion holds, and an alarm with an earlier hunt.
async fn a_hunt_of_many_alarms_and_many_hunts_of_one_are_forgotten_in_portions(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "3600").start().await;
    let desk = server.pair("desk", Profile::List).await;
    let store = &server.app.engine.store;
    for _ in 0..130 {
        server.raise(&[A], json!({ "attempts": 1 })).await;
    }
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    for number in 0..120 {
        let id = server.raise(&[&format!("187123{number:05}")], json!({})).await;
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    }
    let twice = server.raise(&[B], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.post(&format!("/api/v1/alarms/{twice}/redial"), &json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let kept = server.raise(&[C], json!({ "begin_before_seconds": 604_800 })).await;
    server.pass(3 * 86_400).await;

    let yesterday = server.now() - chrono::TimeDelta::days(1);
    assert_eq!(store.read().await.unwrap().db().count_prunable(yesterday).await.unwrap(), 251);
    assert_eq!(retention::prune(store, yesterday).await.unwrap(), 251);
    let left = server.get("/api/v1/alarms?limit=100").await;
    assert_eq!(left["alarms"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["alarms"][0]["id"], *kept);
    let ended = store.read().await.unwrap().db().hunts_ended(yesterday, EndedHunt::FIRST).await;
    assert_eq!(ended.unwrap(), [], "their hunts are gone, the earlier ones too");
}

/// More of them than one portion holds; one that nobody fetched, and one of today.
async fn commands_to_handsets_are_forgotten(home: Home) {
    let server = home.start().await;
    server.pair("desk", Profile::Native).await;
    let store = &server.app.engine.store;
    let handset = store.read().await.unwrap().db().handsets().await.unwrap()[0].id;
    let call = CommandKind::TestCall { number: A.to_owned(), ring_seconds: None };
    let mut tx = store.begin().await.unwrap();
    for number in 0..520 {
        let id = CommandId::new(server.now());
        tx.db().insert_command(id, handset, &call, server.now()).await.unwrap();
        if number > 0 {
            assert!(tx.db().command_done(id, handset, &json!({}), server.now()).await.unwrap());
        }
    }
    tx.commit().await.unwrap();
    server.pass(3 * 86_400).await;
    let mut tx = store.begin().await.unwrap();
    let fresh = CommandId::new(server.now());
    tx.db().insert_command(fresh, handset, &call, server.now()).await.unwrap();
    tx.commit().await.unwrap();
    retention::prune(store, server.now() - chrono::TimeDelta::days(1)).await.unwrap();
    assert_eq!(count(&server.home, "handset_commands").await, 1);
    let left = store.read().await.unwrap().db().open_commands(handset).await.unwrap();
    assert_eq!(left.iter().map(|command| command.id).collect::<Vec<_>>(), [fresh]);
}

/// How many rows a table has.
pub async fn count(home: &Home, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    let row: (i64,) = match home.schema() {
        None => {
            let file = format!("sqlite://{}", home.database_file().display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap()
        }
        Some((url, schema)) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute(AssertSqlSafe(format!("SET search_path = {schema}"))).await.unwrap();
            sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap()
        }
    };
    row.0
}

async fn a_backup_can_be_restored(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "summary": "磁盘 95 %" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    let before = server.alarm(&id).await;
    let backup = back_up(&server.home).await;
    // Everything is lost.
    let home = server.stop().await;
    restore(&home, &backup).await;
    let restored = home.start().await;
    assert_eq!(restored.alarm(&id).await, before);
    restored.raise(&[C], json!({})).await;
    assert_eq!(restored.dial(&desk).await.1, [C], "the phone needs no new address");
}

/// A backup, as docs/operating.md says: while the server runs.
pub async fn back_up(home: &Home) -> tempfile::TempDir {
    let backup = tempfile::tempdir().unwrap();
    let copy = backup.path().join("backup").display().to_string();
    match home.schema() {
        None => {
            let file = home.database_file().display().to_string();
            run("sqlite3", &[&file, &format!("VACUUM INTO '{copy}'")]).await;
        }
        Some((url, schema)) => run("pg_dump", &["--schema", schema, "--file", &copy, "--dbname", url]).await,
    }
    backup
}

/// Puts a backup in the place of what a stopped server had.
pub async fn restore(home: &Home, backup: &tempfile::TempDir) {
    let copy = backup.path().join("backup").display().to_string();
    match home.schema() {
        None => {
            std::fs::remove_dir_all(home.database_file().parent().unwrap()).unwrap();
            std::fs::create_dir(home.database_file().parent().unwrap()).unwrap();
            std::fs::copy(&copy, home.database_file()).unwrap();
        }
        Some((url, schema)) => {
            run("psql", &["--quiet", "--command", &format!("DROP SCHEMA {schema} CASCADE"), url]).await;
            run("psql", &["--quiet", "--set", "ON_ERROR_STOP=1", "--file", &copy, url]).await;
        }
    }
}

/// What all its connections read by is known to those that only read, too, while the server runs.
async fn the_embedded_database_learns_how_its_tables_are_filled(home: Home) {
    let server = home.start().await;
    for number in 10..40 {
        server.raise(&[&format!("187123456{number}")], json!({})).await;
    }
    let store = &server.app.engine.store;
    store.take_stock().await.unwrap();
    // Another look at the same state finds nothing to complain of.
    store.take_stock().await.unwrap();
    assert_eq!(server.get("/api/v1/alarms?limit=100").await["alarms"].as_array().unwrap().len(), 30);
    if server.home.is_shared() {
        return;
    }
    let file = server.home.database_file().display().to_string();
    let counted = tokio::process::Command::new("sqlite3")
        .args(["-readonly", &file, "SELECT stat FROM sqlite_stat1 WHERE idx = 'alarms_by_hunt'"])
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout).trim(), "30 1", "{}", String::from_utf8_lossy(&counted.stderr));
}

async fn run(program: &str, arguments: &[&str]) {
    let done = tokio::process::Command::new(program).args(arguments).output().await.unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn a_sign_of_life_is_sent(home: Home) {
    let heard = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/alive", listener.local_addr().unwrap());
    let counter = Arc::clone(&heard);
    let router = axum::Router::new().route(
        "/alive",
        axum::routing::get(async move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let home = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").set("AUTOCALL_NOTIFY_PING_URL", &url);
    let node = home.quiet_node().await;
    let engine = &node.app.engine;
    let guard = GuardedResolver::new(&engine.config.notify.allow_networks);
    let client = notices::client(&guard).unwrap();
    assert!(sign_of_life::once(engine, &client, &guard).await);
    assert_eq!(heard.load(Ordering::Relaxed), 1);
    // Without its database the server keeps nothing, so it must look dead.
    engine.store.close().await;
    assert!(!sign_of_life::once(engine, &client, &guard).await);
    assert_eq!(heard.load(Ordering::Relaxed), 1);
}
