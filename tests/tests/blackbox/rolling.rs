//! Scenario: a later version has brought the tables up to date, and nodes of this one are still there. What a later version does to the
//! tables is in `fixtures/upgrades/next`; `OLDER_AUTOCALL` names the program of an earlier release, to be tried instead of this one.

use std::path::Path;
use std::time::Duration;

use autocall_tests::described::Held as _;
use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use crate::{
    client::{Client, status_and_json},
    outage::{assert_survivable, poll_in_time},
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";

on_both!(tables_that_only_grew_are_used_and_others_are_refused);

/// What the next version does, with the number of its migration.
async fn bring_up_to_date(world: &World, engine: Engine, number: i64, file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/upgrades/next").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let note = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)";
    match engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(&world.database().1).await.unwrap();
            // As each version does it: nodes that run are told, have a moment, and then the tables change.
            let told = "SELECT pg_notify('autocall_' || current_schema()::text, 'tables')";
            connection.execute(told).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            // It gives way to whoever is at work, and tries again.
            let all = format!("SET LOCAL lock_timeout = '500ms'; {text}; {note} VALUES ({number}, 'next', TRUE, '\\x00', 0)");
            eventually("the tables to change", SOON, async || {
                let mut changes = connection.begin().await.unwrap();
                match changes.execute(sqlx::raw_sql(AssertSqlSafe(all.clone()))).await {
                    Ok(_) => {
                        changes.commit().await.unwrap();
                        Some(())
                    }
                    Err(error) => {
                        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
                        assert!(code.is_some_and(|code| code == "55P03" || code == "40P01"), "{error}");
                        None
                    }
                }
            })
            .await;
            connection.close().await.unwrap();
        }
        Engine::Sqlite => {
            let file = format!("sqlite://{}/autocall.sqlite", world.data_dir());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            let all = format!("BEGIN IMMEDIATE; {text}; {note} VALUES ({number}, 'next', TRUE, X'00', 0); COMMIT");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(all))).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

fn options(world: &World) -> ServeOptions {
    match std::env::var_os("OLDER_AUTOCALL") {
        Some(older) => world.options().program(older),
        None => world.options(),
    }
}

async fn tables_that_only_grew_are_used_and_others_are_refused(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = Binary::spawn(options(&world)).await;
    let client = Client::new(&server);
    for _ in 0..3 {
        client.alarm_is_answered(ZHANG).await;
    }
    match engine {
        // Under a node that runs, and in the middle of its calls.
        Engine::Postgres => {
            let calls = async {
                for _ in 0..40 {
                    client.alarm_is_answered(ZHANG).await;
                }
            };
            tokio::join!(calls, bring_up_to_date(&world, engine, 9001, "expands.sql"));
        }
        // The one server is stopped for it.
        Engine::Sqlite => {
            server.terminate_and_wait().await;
            bring_up_to_date(&world, engine, 9001, "expands.sql").await;
        }
    }
    // Also one that starts now.
    server.restart().await;
    assert!(server.log().contains("for which they still work"), "{}", server.log());
    client.alarm_is_answered(ZHANG).await;

    bring_up_to_date(&world, engine, 9002, "contracts.sql").await;
    eventually("the node to say that it is too old", SOON, async || {
        client.readyz().await.to_string().contains("later version").then_some(())
    })
    .await;
    let body = serde_json::json!({ "summary": "disk full", "phones": [ZHANG] }).to_string();
    let (status, answer) = status_and_json(client.post_alarm(body).sent().await.unwrap()).await;
    assert_eq!(status, 503, "{answer}");
    assert_survivable(poll_in_time(&server, "one").await, None);
    server.terminate_and_wait().await;
    let folder = server.data_dir();
    let mut again = Binary::launch(options(&world).data_dir(folder));
    assert!(!again.wait().await.success(), "it works with tables that it does not know");
    assert!(again.log().contains("docs/upgrading.md"), "{}", again.log());
}
