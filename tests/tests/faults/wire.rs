//! Scenario: between handsets and server replies get lost, and requests are repeated, delayed and overtaken.

use std::time::Duration;

use autocall_tests::proxy::TcpProxy;

use crate::{
    drill::{ALL_KINDS, Drill, Group, Nodes},
    installation::{Engine, Installation},
    phones::{Habits, Kind},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_and_a_bad_line() {
    a_bad_line(Installation::new(Engine::Sqlite).await, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_and_a_bad_line() {
    a_bad_line(Installation::new(Engine::Postgres).await, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_while_alarms_join() {
    a_bad_line(Installation::new(Engine::Postgres).await.with_joins(), 2).await;
}

async fn a_bad_line(installation: Installation, nodes: usize) {
    let mut drill = Drill::begin(installation).await;
    let nodes = Nodes::start(nodes, |_| drill.installation.options()).await;
    let servers = nodes.urls();
    let odd = Habits { odd: 0.2, ..Habits::default() };
    drill.phones(Group { name: "odd", count: 6, kinds: ALL_KINDS, servers: servers.clone(), habits: odd.clone() }).await;
    let mut lines = Vec::new();
    for index in 0..4 {
        let line = TcpProxy::start(nodes.0[index % nodes.0.len()].addr()).await;
        let through = vec![format!("http://{}", line.addr())];
        let name = ["far-a", "far-b", "far-c", "far-d"][index];
        drill.phones(Group { name, count: 2, kinds: &ALL_KINDS[index..], servers: through, habits: odd.clone() }).await;
        lines.push(line);
    }
    // Their people talk for longer than the deadline, and then it is said who picked up.
    let talkers = Habits { long_talk: 0.5, ..Habits::default() };
    drill
        .phones(Group { name: "talker", count: 3, kinds: &[Kind::App, Kind::Native], servers: servers.clone(), habits: talkers })
        .await;
    drill.apps(&servers).await;
    // Where alarms join there are too few calls for them.
    if !drill.installation.joins {
        lines.extend(drill.own(&servers).await);
    }
    drill.alarms(120, Duration::from_millis(60), servers);
    drill.is_under_load().await;

    for turn in 0..28 {
        let line = &lines[turn % lines.len()];
        match turn % 7 {
            0 | 3 => line.lose_answer_to("POST /h"),
            1 => line.delay(Duration::from_millis(80)),
            2 | 5 => line.cut_all().await,
            4 => line.drop_replies(true),
            _ => line.hold(true),
        }
        drill.a_while(50..450).await;
        line.delay(Duration::ZERO);
        line.drop_replies(false);
        line.hold(false);
    }
    drill.finish(&nodes.0[0]).await;
}
