//! Scenario: `autocall doctor` looks at an installation, changes nothing, and says what to do.

use std::fs;

use autocall_tests::described::Held as _;
use autocall_tests::server::{Binary, ServeOptions, autocall};
use autocall_tests::wait::eventually;
use serde_json::Value;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::{
    client::Client,
    world::{Engine, SOON, World, on_both},
};

on_both!(a_server_is_looked_at_before_and_while_it_runs);

/// What it says, and whether it fails.
async fn doctor(env: &[(&str, &str)]) -> (Value, bool) {
    let output = autocall(&["doctor", "--json"], env).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["status"] == "bad", !output.status.success(), "{said:#}");
    (said, output.status.success())
}

/// The grades that one check found, and all that it said.
fn found(said: &Value, check: &str) -> (Vec<String>, String) {
    let checks = said["checks"].as_array().unwrap();
    let own = checks.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("{check} is missing: {said:#}"));
    let findings = own["findings"].as_array().unwrap();
    for finding in findings {
        assert_eq!(finding["do"].is_null(), finding["grade"] == "good", "what is not good says what to do: {finding}");
    }
    (findings.iter().map(|one| one["grade"].as_str().unwrap().to_owned()).collect(), own.to_string())
}

async fn a_server_is_looked_at_before_and_while_it_runs(engine: Engine) {
    let world = World::new(engine).await;
    let nobody = format!("127.0.0.1:{}", autocall_tests::redis::reserve_port());
    let (database, place) = world.database();
    let folder = tempfile::tempdir().unwrap();
    let unmade = if engine == Engine::Sqlite { place.clone() } else { folder.path().join("data").display().to_string() };
    let before = [("AUTOCALL_LISTEN", &*nobody), ("AUTOCALL_DATA_DIR", &*unmade), (database, &*place)];
    let (said, well) = doctor(&before).await;
    assert!(!well, "without a server nobody is rung");
    assert_eq!(found(&said, "configuration").0, ["good"]);
    assert_eq!(found(&said, "database").0, ["warn"], "{said:#}");
    assert_eq!(found(&said, "server").0, ["bad"]);
    assert_eq!(found(&said, "ports").0, ["good"]);
    assert!(!std::path::Path::new(&unmade).join("autocall.sqlite").exists(), "it only looks");

    let server = world.serve().await;
    let (address, url, data) = (server.addr(), server.url(), server.data_dir().display().to_string());
    let env =
        [("AUTOCALL_LISTEN", &*address), ("AUTOCALL_DATA_DIR", &*data), (database, &*place), ("AUTOCALL_HTTP_PUBLIC_URL", &*url)];
    let (said, well) = doctor(&env).await;
    assert!(!well, "without a phone nobody is rung");
    for check in ["database", "clock", "server", "ports", "addresses", "certificates", "outboxes", "rights", "retention"] {
        assert_eq!(found(&said, check).0, ["good"], "{check} of {said:#}");
    }
    let (grades, told) = found(&said, "phones");
    assert!(grades == ["bad"] && told.contains("autocall handset add"), "{told}");

    let mut paths = Vec::new();
    for name in ["desk", "cellar"] {
        let output = autocall(&["handset", "add", "--name", name], &env).await;
        let text = String::from_utf8(output.stdout).unwrap();
        paths.push(text.split("/h/").nth(1).unwrap().split_whitespace().next().unwrap().to_owned());
    }
    let (said, well) = doctor(&env).await;
    assert!(well, "what is worth a look is no failure: {said:#}");
    assert_eq!(found(&said, "phones").0, ["warn", "warn"], "they have never polled");
    let client = Client::new(&server);
    for path in paths {
        let answer = client.request(reqwest::Method::GET, &format!("/h/{path}")).sent().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    // The server writes down some seconds later who polled.
    eventually("the phones to be there", SOON, async || (found(&doctor(&env).await.0, "phones").0 == ["good"]).then_some(()))
        .await;
    let output = autocall(&["doctor"], &env).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("good  server: the server at ") && text.trim_end().ends_with("0 bad"), "{text}");
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_what_it_tells() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("mine.toml");
    fs::write(&config, "database_url = \"mysql://alarms:swordfish@db/alarms\"\n[alarms]\nattempts = 99\n").unwrap();
    let (said, well) = doctor(&[("AUTOCALL_CONFIG", config.to_str().unwrap())]).await;
    let (grades, told) = found(&said, "configuration");
    assert!(!well && grades == ["bad", "bad"], "{said:#}");
    assert!(told.contains("mine.toml line 3") && !told.contains("swordfish"), "{told}");
    assert_eq!(said["checks"].as_array().unwrap().len(), 1, "nothing else can be looked at");

    // Who can read a secret is told of the file in which it stands, and of no other.
    let secret = folder.path().join("secret");
    fs::write(&secret, "redis://:swordfish@127.0.0.1:1\n").unwrap();
    let data = folder.path().join("data").display().to_string();
    for (text, grades) in [
        ("redis_url = \"redis://:swordfish@127.0.0.1:1\"\n".to_owned(), vec!["warn", "good"]),
        (format!("redis_url_file = \"{}\"\n", secret.display()), vec!["good"]),
    ] {
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let (said, _) = doctor(&[("AUTOCALL_CONFIG", config.to_str().unwrap()), ("AUTOCALL_DATA_DIR", &data)]).await;
        assert_eq!(found(&said, "configuration").0, grades, "{said:#}");
        assert!(!said.to_string().contains("swordfish"), "{said:#}");
    }
}

#[tokio::test]
async fn tables_of_another_program_are_told() {
    let mut server = Binary::spawn(ServeOptions::new()).await;
    let data = server.data_dir();
    server.terminate_and_wait().await;
    let mut database = SqliteConnection::connect(&format!("sqlite://{}/autocall.sqlite", data.display())).await.unwrap();
    let latest = "SELECT max(version) FROM _sqlx_migrations";
    for (change, grade, word) in [
        (format!("UPDATE _sqlx_migrations SET version = 9999 WHERE version = ({latest})"), "warn", "for which they still work"),
        ("UPDATE compatibility SET works_from = 9999".to_owned(), "bad", "newer program (9999)"),
        (format!("DELETE FROM _sqlx_migrations WHERE version = ({latest})"), "warn", "older program"),
    ] {
        database.execute(sqlx::AssertSqlSafe(change)).await.unwrap();
        let (said, _) = doctor(&[("AUTOCALL_DATA_DIR", data.to_str().unwrap())]).await;
        let (grades, told) = found(&said, "database");
        assert!(grades == [grade] && told.contains(word), "{told}");
    }
    let (version,): (i64,) = sqlx::query_as(latest).fetch_one(&mut database).await.unwrap();
    assert!(version < 9999, "it has brought nothing up to date");
}
