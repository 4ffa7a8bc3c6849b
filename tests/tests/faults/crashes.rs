//! Scenario: a node is killed without warning, again and again, in the middle of its work.

use std::time::Duration;

use crate::{
    drill::{ALL_KINDS, Drill, Group, Nodes},
    installation::{Engine, Installation},
    phones::Habits,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_node_is_killed_at_random_instants() {
    a_node_is_killed_at_random_instants(Installation::new(Engine::Sqlite).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_node_is_killed_at_random_instants() {
    a_node_is_killed_at_random_instants(Installation::new(Engine::Postgres).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_is_killed_while_alarms_join() {
    a_node_is_killed_at_random_instants(Installation::new(Engine::Sqlite).await.with_joins()).await;
}

async fn a_node_is_killed_at_random_instants(installation: Installation) {
    let mut drill = Drill::begin(installation).await;
    let mut nodes = Nodes::start(1, |_| drill.installation.options()).await;
    let servers = nodes.urls();
    let group = Group { name: "phone", count: 12, kinds: ALL_KINDS, servers: servers.clone(), habits: Habits::default() };
    drill.phones(group).await;
    drill.apps(&servers).await;
    // Where alarms join there are too few calls for them.
    let _lines = if drill.installation.joins { Vec::new() } else { drill.own(&servers).await };
    drill.alarms(120, Duration::from_millis(60), servers);
    drill.is_under_load().await;
    for _ in 0..8 {
        drill.a_while(50..900).await;
        nodes.0[0].kill_9();
        drill.a_while(0..200).await;
        nodes.0[0].restart().await;
        drill.goes_on(2).await;
    }
    drill.finish(&nodes.0[0]).await;
}
