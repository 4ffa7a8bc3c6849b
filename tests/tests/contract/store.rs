//! The store by itself: every statement on both engines, rows that a frozen node holds, idle polls from memory.

use std::time::Duration;

use autocall::engine::Doer;
use autocall::keep::pairing::{self, Pairing};
use autocall::kinds::guard::GuardedResolver;
use autocall::kinds::notices::{WebhookSettings, WebhookShape};
use autocall::out::notices;
use autocall::out::sign_of_life;
use autocall::store::Announcement;
use autocall::store::Store;
use autocall::store::lines::webhooks::WebhookRow;
use autocall::store::watch::handsets::Profile;
use autocall::telemetry::Poll;
use autocall_tests::described;
use autocall_tests::postgres::PrivatePostgres;
use autocall_tests::proxy::TcpProxy;
use autocall_tests::wait::eventually;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::harness::{A, Hold, Home, Kind, QuietNode, Server, on_both};

on_both!(
    every_statement_prepares,
    the_migrations_are_written_down_as_sqlx_reads_them_in_the_folder,
    a_transaction_that_is_dropped_leaves_nothing,
    an_idle_poll_asks_nobody,
    a_transaction_that_the_database_ended_breaks_nothing,
    ready_means_that_something_can_be_stored,
);

async fn every_statement_prepares(home: Home) {
    let server = home.start().await;
    for statement in Store::statements() {
        if let Err(error) = server.app.engine.store.prepare(statement).await {
            // Outside a transaction there is no savepoint to go back to; SQLite says so only when it runs.
            panic!("{}: {error}", statement.name);
        }
    }
}

/// The databases of earlier days were brought up to date by sqlx's own macro: one row that differs, and they cannot be opened any more.
async fn the_migrations_are_written_down_as_sqlx_reads_them_in_the_folder(home: Home) {
    type Written = (i64, String, Vec<u8>);
    let server = home.start().await;
    let home = &server.home;
    let look = "SELECT version, description, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
    let (folder, written): (_, Vec<Written>) = match home.schema() {
        None => {
            let file = format!("sqlite://{}", home.database_file().display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            ("sqlite", sqlx::query_as(look).fetch_all(&mut connection).await.unwrap())
        }
        Some((url, schema)) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute(AssertSqlSafe(format!("SET search_path = {schema}"))).await.unwrap();
            ("postgres", sqlx::query_as(look).fetch_all(&mut connection).await.unwrap())
        }
    };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/migrations").join(folder);
    let read = sqlx::migrate::Migrator::new(folder).await.unwrap();
    let read: Vec<Written> = read.iter().map(|one| (one.version, one.description.to_string(), one.checksum.to_vec())).collect();
    assert!(read.len() > 15, "{read:?}");
    assert_eq!(written, read);
}

async fn a_transaction_that_is_dropped_leaves_nothing(home: Home) {
    let server = home.start().await;
    server.raise(&[A], json!({})).await;
    let desk = server.pair("desk", Profile::App).await;
    {
        let mut tx = server.app.engine.store.begin().await.unwrap();
        let hunt = tx
            .db()
            .lock_next_due(
                server.now(),
                autocall::ids::HandsetId::new(server.now()),
                server.now(),
                &[autocall::needs::Words::default()].into(),
            )
            .await
            .unwrap()
            .unwrap();
        tx.db().end_hunt(hunt.id, autocall::alarm::HuntOutcome::NoAnswer, None, server.now()).await.unwrap();
    }
    // The connection is told to roll back, and nobody waits for that: until it has, the hunt is another's.
    let free = async || {
        let said = server.get(&desk).await;
        (said["code"] == 0).then_some(said)
    };
    let said = eventually("the hunt to be free again", Duration::from_secs(5), free).await;
    assert_eq!(said["phone"][0], A);
}

async fn an_idle_poll_asks_nobody(home: Home) {
    idle_polls_ask_nobody(&[home.quiet_node().await]).await;
}

/// The same on three nodes that share one database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_poll_asks_nobody_on_three_nodes() {
    let home = Home::new(Kind::Shared).await;
    let nodes = [home.quiet_node().await, home.quiet_node().await, home.quiet_node().await];
    idle_polls_ask_nobody(&nodes).await;
}

/// The nodes' periodic work stands still, so whatever the counters show is the polls' own doing.
async fn idle_polls_ask_nobody(nodes: &[QuietNode]) {
    let pairing = Pairing::new("desk", &nodes[0].app.engine.config.handsets);
    let token = nodes[0]
        .app
        .engine
        .store
        .carry_out(nodes[0].app.engine.clock.now(), Doer::Server, async |work| pairing::add(work, &pairing).await)
        .await
        .unwrap();
    let path = format!("/h/{token}/alert/phone");
    for node in nodes {
        assert_eq!(node.get(&path).await["code"], 1, "the first poll asks who this is");
        let engine = &node.app.engine;
        // The memory is trusted for five seconds; on a busy machine a hundred polls may take longer.
        for _ in 0..10 {
            engine.idle.refresh(&engine.store).await;
            let before = (engine.store.counters().connections(), engine.locks.counters().snapshot());
            for _ in 0..10 {
                assert_eq!(node.get(&path).await["code"], 1);
            }
            let after = (engine.store.counters().connections(), engine.locks.counters().snapshot());
            assert_eq!(before, after, "no round trip to the database or to Redis");
        }
        assert!(engine.metrics.polls.get(Poll::IdleMemory) >= 100);
    }
}

/// What one node is told, the others hand out: their memory is forgotten when the change is announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_on_one_node_is_handed_out_by_another() {
    let home = Home::new(Kind::Shared).await;
    let other = home.second_node().await;
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let poll =
        async || -> serde_json::Value { described::get(format!("{}{desk}", other.base)).await.unwrap().json().await.unwrap() };
    assert_eq!(poll().await["code"], 1);
    let id = server.raise(&[A], json!({})).await;
    let body = eventually("the other node hands it out", Duration::from_secs(20), async || {
        let body = poll().await;
        (body["code"] == 0).then_some(body)
    })
    .await;
    assert_eq!(server.dial(&desk).await.0, body["mid"].as_str().unwrap(), "one dial, whichever node is asked");
    server.report(&desk, body["mid"].as_str().unwrap(), Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

/// A node that freezes inside a claim keeps its row locked for three seconds at most; then Postgres ends its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_frozen_inside_a_claim_frees_its_row() {
    let server = Home::new(Kind::Shared).await.start().await;
    assert!(server.home.is_shared());
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let mut frozen = server.app.engine.store.begin().await.unwrap();
    assert!(
        frozen
            .db()
            .lock_next_due(
                server.now(),
                autocall::ids::HandsetId::new(server.now()),
                server.now(),
                &[autocall::needs::Words::default()].into()
            )
            .await
            .unwrap()
            .is_some()
    );
    server.idle(&desk).await;
    let body = eventually("the row is free again", Duration::from_secs(20), async || {
        let body = server.get(&desk).await;
        (body["code"] == 0).then_some(body)
    })
    .await;
    assert_eq!(body["phone"], json!([A]));
    assert_eq!(server.outcomes(&id).await, ["open"]);
    assert!(frozen.commit().await.is_err(), "the frozen node cannot finish what it began");
}

/// Statements that go past the server, as an operator or a full disk makes them.
pub async fn beside(home: &Home, sqlite: &str, postgres: &str) {
    match home.schema() {
        None => {
            let file = format!("sqlite://{}", home.database_file().display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            connection.execute(AssertSqlSafe(sqlite.to_owned())).await.unwrap();
            connection.close().await.unwrap();
        }
        Some((url, schema)) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let sql = format!("SET search_path = {schema}; {postgres}");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// On a full disk the embedded database ends a transaction by itself; nobody may be left who thinks that it goes on.
async fn a_transaction_that_the_database_ended_breaks_nothing(home: Home) {
    let server = home.start().await;
    let full = "database or disk is full";
    beside(
        &server.home,
        &format!("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ROLLBACK, '{full}'); END"),
        &format!(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{full}' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION full_disk()"
        ),
    )
    .await;
    let alarm = json!({ "summary": "disk full", "phones": [A] });
    for _ in 0..3 {
        assert_eq!(server.post("/api/v1/alarms", &alarm).await.0, 503);
    }
    beside(&server.home, "DROP TRIGGER full", "DROP TRIGGER full_disk ON events").await;
    let (status, body) = server.post("/api/v1/alarms", &alarm).await;
    assert_eq!(status, 201, "{body}");
    server.pass(1).await;
}

/// What `/readyz` says: its status code and its body.
async fn readyz(server: &Server) -> (u16, serde_json::Value) {
    let response = described::get(format!("{}/readyz", server.base)).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Reading alone is not enough: with alarms refused, probe, sign of life and page must say so, and take it back afterwards.
async fn ready_means_that_something_can_be_stored(home: Home) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/alive", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(async || "ok")).await.unwrap() });
    let home = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").set("AUTOCALL_NOTIFY_PING_URL", &address);
    let server = home.start().await;
    let engine = std::sync::Arc::clone(&server.app.engine);
    let guard = GuardedResolver::new(&engine.config.notify.allow_networks);
    let client = notices::client(&guard).unwrap();
    eventually("ready", Duration::from_secs(30), async || (readyz(&server).await.0 == 200).then_some(())).await;
    assert!(sign_of_life::once(&engine, &client, &guard).await);

    let hold = Hold::on(&server.home).await;
    // Nothing else is written meanwhile; the server itself finds out when its last write is half a minute old.
    server.home.clock.advance(chrono::TimeDelta::seconds(31));
    let said = eventually("not ready", Duration::from_secs(40), async || {
        let (status, body) = readyz(&server).await;
        (status == 503).then_some(body)
    })
    .await;
    assert_eq!(said["database"], false, "{said}");
    assert!(said["wrong"].as_array().is_some_and(|wrong| !wrong.is_empty()), "{said}");
    assert!(!sign_of_life::once(&engine, &client, &guard).await, "a sign of life, though nothing can be stored");

    hold.end().await;
    eventually("ready again", Duration::from_secs(40), async || (readyz(&server).await.0 == 200).then_some(())).await;
    assert!(sign_of_life::once(&engine, &client, &guard).await);
}

/// A time-out or a client that left drops a request while BEGIN or COMMIT is under way: whatever becomes of that connection, nobody gets it
/// in the middle of a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_begin_or_commit_leaves_no_transaction_behind() {
    let postgres = PrivatePostgres::start().await;
    let proxy = TcpProxy::start(postgres.addr()).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(&proxy.url(&postgres.url())), folder.path()).await.unwrap();
    for part in ["BEGIN", "COMMIT", "ROLLBACK"] {
        proxy.hold_after(part);
        let one = {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                tx.db().ping().await.unwrap();
                tx.announce(Announcement::People);
                // Without a commit it is rolled back.
                if part == "COMMIT" {
                    tx.commit().await.unwrap();
                }
            })
        };
        eventually(part, Duration::from_secs(30), async || proxy.is_holding().then_some(())).await;
        one.abort();
        let _ = one.await;
        proxy.hold(false);
        // As many at once as there are connections, so that each of them is used.
        let all = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                tx.db().ping().await.unwrap();
                tx.commit().await.unwrap();
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
    }
    store.close().await;
    let log = postgres.log();
    assert!(!log.contains("transaction in progress"), "a connection was used in the wrong state:\n{log}");
}

/// The same on the embedded database, whose one writer waits for another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_begin_leaves_the_only_writer_usable() {
    let server = Home::new(Kind::Embedded).await.start().await;
    let hold = Hold::on(&server.home).await;
    let store = server.app.engine.store.clone();
    for _ in 0..3 {
        let asked = tokio::time::timeout(Duration::from_millis(200), store.begin()).await;
        assert!(asked.is_err() || asked.is_ok_and(|tx| tx.is_err()), "nobody else can write now");
    }
    hold.end().await;
    let id = eventually("an alarm is stored", Duration::from_secs(30), async || {
        let (status, body) = server.post("/api/v1/alarms", &json!({ "summary": "disk full", "phones": [A] })).await;
        (status == 201).then(|| body["id"].as_str().unwrap().to_owned())
    })
    .await;
    assert_eq!(server.state(&id).await, "waiting");
}

/// After a statement that failed Postgres takes a COMMIT and keeps nothing: that must not look like success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_kept_nothing_is_an_error() {
    let server = Home::new(Kind::Shared).await.start().await;
    let webhook = WebhookRow {
        id: autocall::ids::WebhookId::new(server.now()),
        name: "room".to_owned(),
        url: "http://127.0.0.1:9/".to_owned(),
        shape: WebhookShape::Json,
        secret: None,
        settings: sqlx::types::Json(WebhookSettings::default()),
        kinds: ",raised,".to_owned(),
        language: "en".to_owned(),
        created_at: server.now(),
        removed_at: None,
    };
    let mut tx = server.app.engine.store.begin().await.unwrap();
    tx.db().insert_webhook(&webhook).await.unwrap();
    assert!(tx.db().insert_webhook(&webhook).await.is_err());
    assert!(tx.commit().await.is_err(), "said to be stored");
    assert!(server.app.engine.store.read().await.unwrap().db().webhooks().await.unwrap().is_empty());
}
