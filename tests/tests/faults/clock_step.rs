//! Scenario: somebody sets the clock of a running node, forwards and back.

use std::{fs, path::Path, time::Duration};

use crate::{
    drill::{ALL_KINDS, Drill, Group, Nodes},
    installation::{Engine, Installation},
    phones::Habits,
};

/// Where Debian keeps the library that lies about the time (package libfaketime; `tests/run` installs it).
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_node_whose_clock_is_set() {
    the_clock_is_set(Engine::Sqlite, &[20, 90, 3_600, 7_200, 86_400]).await;
}

/// What was to be due in a minute is due in a minute and an hour when the clock is set back by an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_node_whose_clock_is_set_back() {
    the_clock_is_set(Engine::Sqlite, &[20, -20, 3_600, 0, -3_600]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_node_whose_clock_is_set() {
    the_clock_is_set(Engine::Postgres, &[20, -20, 3_600, 0, -3_600, 5, 86_400, 0]).await;
}

async fn the_clock_is_set(engine: Engine, steps: &[i64]) {
    let mut drill = Drill::begin(Installation::new(engine).await).await;
    let clock = drill.installation.file("clock");
    set(&clock, 0);
    // On Postgres a second node keeps the right time.
    let nodes = Nodes::start(if engine == Engine::Postgres { 2 } else { 1 }, |index| match index {
        0 => drill
            .installation
            .options()
            .env("LD_PRELOAD", LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
            .env("FAKETIME_NO_CACHE", "1")
            // Setting the clock of a machine does not move its monotonic clock.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        _ => drill.installation.options(),
    })
    .await;
    let servers = nodes.urls();
    let group = Group { name: "phone", count: 12, kinds: ALL_KINDS, servers: servers.clone(), habits: Habits::default() };
    drill.phones(group).await;
    drill.apps(&servers).await;
    drill.alarms(120, Duration::from_millis(60), servers);
    drill.is_under_load().await;
    for &seconds in steps {
        set(&clock, seconds);
        drill.a_while(300..1_200).await;
        drill.goes_on(3).await;
    }
    drill.finish(&nodes.0[0]).await;
}

/// Sets the node's clock so many seconds off; whole at once, because the node reads the file all the time.
fn set(clock: &Path, seconds: i64) {
    let new = clock.with_extension("new");
    fs::write(&new, format!("{seconds:+}s\n")).unwrap();
    fs::rename(&new, clock).unwrap();
}
