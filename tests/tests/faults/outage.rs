//! Scenario: the database stops, crashes, hangs, and loses connections in the middle of a transaction.

use std::time::Duration;

use autocall_tests::{postgres::PrivatePostgres, proxy::TcpProxy, redis::PrivateRedis, wait::eventually};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::{
    drill::{ALL_KINDS, Drill, Group, LONG, Nodes},
    installation::{Engine, Installation},
    phones::Habits,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stops_crashes_hangs_and_loses_connections() {
    let mut postgres = PrivatePostgres::start().await;
    // One node's network is unreliable; the other one sits next to the database.
    let proxy = TcpProxy::start(postgres.addr()).await;
    // Of its own, because the names of locks follow from the schema, and the schema of every private Postgres is called the same.
    let redis = PrivateRedis::start().await;
    let mut drill = Drill::begin(Installation::on(Some(postgres.url()), Some(redis.url()))).await;
    let nodes = Nodes::start(2, |index| match index {
        0 => drill.installation.options().database(proxy.url(&postgres.url())),
        _ => drill.installation.options(),
    })
    .await;
    let servers = nodes.urls();
    let group = Group { name: "phone", count: 12, kinds: ALL_KINDS, servers: servers.clone(), habits: Habits::default() };
    drill.phones(group).await;
    drill.apps(&servers).await;
    drill.alarms(140, Duration::from_millis(80), servers);
    drill.is_under_load().await;

    for _ in 0..8 {
        proxy.lose_answer_to("COMMIT");
        eventually("a transaction whose end gets lost", LONG, async || (!proxy.is_waiting_for_request()).then_some(())).await;
        drill.a_while(0..200).await;
    }
    for _ in 0..3 {
        proxy.cut_all().await;
        drill.a_while(50..400).await;
    }
    proxy.hold(true);
    drill.a_while(1_000..5_000).await;
    proxy.hold(false);
    drill.goes_on(3).await;
    drill.alarms(40, Duration::from_millis(60), nodes.urls());
    postgres.stop().await;
    drill.a_while(200..1_500).await;
    postgres.start_again().await;
    drill.goes_on(3).await;
    postgres.crash().await;
    drill.a_while(200..1_500).await;
    postgres.start_again().await;
    postgres.kill_connections().await;
    drill.goes_on(3).await;
    drill.finish(&nodes.0[1]).await;
    drop(nodes);
}

/// Another program holds the embedded database, as a backup or a curious person does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_locked_by_another_program() {
    let mut drill = Drill::begin(Installation::new(Engine::Sqlite).await).await;
    let nodes = Nodes::start(1, |_| drill.installation.options()).await;
    let servers = nodes.urls();
    let group = Group { name: "phone", count: 12, kinds: ALL_KINDS, servers: servers.clone(), habits: Habits::default() };
    drill.phones(group).await;
    drill.apps(&servers).await;
    drill.alarms(120, Duration::from_millis(60), servers);
    drill.is_under_load().await;
    let mut other = SqliteConnection::connect(&drill.installation.sqlite_file()).await.unwrap();
    for time in [50..500, 200..1_000, 5_500..6_500] {
        other.execute("PRAGMA busy_timeout = 30000").await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        drill.a_while(time).await;
        other.execute("ROLLBACK").await.unwrap();
        drill.goes_on(3).await;
    }
    other.close().await.unwrap();
    drill.finish(&nodes.0[0]).await;
}
