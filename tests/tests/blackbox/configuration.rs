//! Scenario: the configuration. What is right takes effect, what is wrong is refused with its place, and nothing secret is told.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use autocall_tests::described::Held as _;
use autocall_tests::{
    process::Process,
    provided_by_run,
    redis::reserve_port,
    server::{Binary, ServeOptions, autocall},
    wait::eventually,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{client::Client, world::SOON};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/autocall.example.toml");

/// What the server says instead of starting.
async fn refusal(file: Option<&str>, env: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let config = folder.path().join("mine.toml");
    let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()];
    if let Some(text) = file {
        fs::write(&config, text).unwrap();
        args.extend(["--config", config.to_str().unwrap()]);
    }
    let output = autocall(&args, env).await;
    assert!(!output.status.success(), "accepted: {file:?} {env:?}");
    assert!(!data_dir.exists(), "it was refused after it had begun to work");
    said(&output)
}

fn said(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "errors go to stderr");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_key_and_line() {
    let cases = [
        ("listen = \"127.0.0.1:0\"\n\n[alarms]\natempts = 3\n", "mine.toml line 4", "alarms.atempts"),
        ("[alarms]\n# twice is enough\nattempts = 0\n", "mine.toml line 3", "alarms.attempts"),
        ("[alarms]\nattempts = \"three\"\n", "mine.toml line 2", "alarms.attempts"),
        ("\n[http]\nopen_networks = [\"everywhere\"]\n", "mine.toml line 3", "http.open_networks"),
        ("[handsets]\nprofile = \"iphone\"\n", "mine.toml line 2", "handsets.profile"),
        ("default_region = \"China\"\n", "mine.toml line 1", "default_region"),
        ("listen = \"localhost:8080\"\n", "mine.toml line 1", "listen"),
        ("database_url = \"mysql://h/d\"\n", "mine.toml line 1", "database_url"),
        ("[log]\nfilter = \"autocall=loud\"\n", "mine.toml line 2", "log.filter"),
        ("[colours]\nred = 1\n", "mine.toml line 1", "colours"),
        ("alarms = 3\n", "mine.toml line 1", "alarms"),
        ("[log]\n\nformat = json\n", "mine.toml line 3", "TOML"),
        ("[alarms]\r\nattempts = 2\r\nattempts = 3\r\n", "mine.toml line 3", "duplicate key"),
    ];
    for (file, place, key) in cases {
        let said = refusal(Some(file), &[]).await;
        assert!(said.contains(place) && said.contains(key), "{file:?} gives {said}");
    }
}

/// Taken for the name of a module, it would silence everything else.
#[tokio::test]
async fn a_misspelled_log_level_is_refused() {
    let said = refusal(Some("[log]\nfilter = \"inof\"\n"), &[]).await;
    assert!(said.contains("mine.toml line 2") && said.contains("log.filter"), "{said}");
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let said = refusal(Some("colour = 1\n[alarms]\nattempts = 99\n"), &[("AUTOCALL_HTTP_HOSTS", "http://x/")]).await;
    for part in ["line 1", "colour", "line 3", "alarms.attempts", "AUTOCALL_HTTP_HOSTS"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_wrong_variable_is_refused_by_name() {
    let cases = [
        ("AUTOCALL_ALARMS_ATTEMPTS", "many"),
        ("AUTOCALL_ALARMS_ATTEMPTS", "0"),
        ("AUTOCALL_HTTP_OPEN_NETWORKS", "127.0.0.0/8,office"),
        ("AUTOCALL_HANDSETS_IDLE_FORM", "Plain"),
        ("AUTOCALL_LOG_FORMAT", "xml"),
        ("AUTOCALL_LISTEN", "8080"),
        ("REDIS_URL", "http://127.0.0.1:6379/"),
        ("DATABASE_URL", "127.0.0.1:5432"),
        ("DATABASE_URL", "postgres://db/alarms?target_session_attrs=read-write"),
        ("DATABASE_URL", "postgres://db/alarms?sslmode=always"),
    ];
    for (name, value) in cases {
        let said = refusal(None, &[(name, value)]).await;
        assert!(said.contains(name), "{name}={value} gives {said}");
    }
}

#[tokio::test]
async fn passwords_are_not_told() {
    let nobody = reserve_port();
    let url = format!("postgres://alarms:swordfish@127.0.0.1:{nobody}/alarms");
    for said in [
        refusal(None, &[("DATABASE_URL", "mysql://alarms:swordfish@db/alarms")]).await,
        refusal(None, &[("REDIS_URL", "http://:swordfish@redis/")]).await,
        refusal(Some("database_url = \"mysql://alarms:swordfish@db/alarms\"\n"), &[]).await,
        refusal(None, &[("DATABASE_URL", &url)]).await,
    ] {
        assert!(!said.contains("swordfish"), "{said}");
        assert!(!said.trim().is_empty());
    }
}

#[tokio::test]
async fn what_is_missing_or_taken_is_said() {
    let output = autocall(&["serve", "--config", "/nowhere/mine.toml"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("/nowhere/mine.toml"));

    let server = Binary::spawn(ServeOptions::new()).await;
    let output = autocall(&["serve", "--listen", &server.addr(), "--data-dir", "/nowhere/data"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.contains(&server.addr()) && said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_refused() {
    let cases: [(&[&str], &str); 6] = [
        (&[], "Usage: autocall"),
        (&["server"], "serve"),
        (&["serve", "--port", "8080"], "--port"),
        (&["serve", "--listen", "8080"], "--listen <ADDR:PORT>"),
        (&["people"], "import"),
        (&["people", "import"], "<FILE>"),
    ];
    for (args, expected) in cases {
        let output = autocall(args, &[]).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = said(&output);
        assert!(said.contains(expected), "{args:?} gives {said}");
    }
    let version = autocall(&["--version"], &[]).await;
    assert!(version.status.success() && String::from_utf8_lossy(&version.stdout).starts_with("autocall "));
}

#[tokio::test]
async fn a_file_in_the_folder_that_cannot_be_used_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-folder");
    fs::write(&file, "").unwrap();
    let output = autocall(&["serve", "--listen", "127.0.0.1:0", "--data-dir", file.to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(file.to_str().unwrap()));
}

#[tokio::test]
async fn the_example_is_accepted() {
    let example = fs::read_to_string(EXAMPLE).unwrap();
    let server = Binary::spawn(ServeOptions::new().config(&example)).await;
    Client::new(&server).alarm_is_answered("18712345678").await;

    // The same with every line switched on: the defaults, written out.
    let is_setting = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let switched_on: Vec<&str> =
        example.lines().map(|line| line.strip_prefix("# ").filter(|line| is_setting(line)).unwrap_or(line)).collect();
    let settings = switched_on.iter().filter(|line| is_setting(line)).count();
    assert!(settings >= 29, "only {settings} settings found in the example");
    let server = Binary::spawn(ServeOptions::new().config(switched_on.join("\n"))).await;
    Client::new(&server).alarm_is_answered("18712345678").await;
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[tokio::test]
async fn the_environment_wins_over_the_file() {
    let passes = async |options: ServeOptions| {
        let server = Binary::spawn(options).await;
        let client = Client::new(&server);
        client.raise_for(&["18712345678", "18812345678"]).await;
        client.take().await.phones.len() / 2
    };
    let file = "\u{feff}[alarms]\r\nattempts = 3\r\n";
    assert_eq!(passes(ServeOptions::new()).await, 2, "the default");
    assert_eq!(passes(ServeOptions::new().config(file)).await, 3, "the file");
    assert_eq!(passes(ServeOptions::new().config(file).env("AUTOCALL_ALARMS_ATTEMPTS", "4")).await, 4);
    assert_eq!(passes(ServeOptions::new().config(file).env("AUTOCALL_ALARMS_ATTEMPTS", "")).await, 3, "empty is not given");
}

#[tokio::test]
async fn an_unknown_variable_is_worth_a_warning() {
    let server = Binary::spawn(ServeOptions::new().env("AUTOCALL_ALARMS_ATEMPTS", "3")).await;
    let log = server.log();
    assert!(log.contains("AUTOCALL_ALARMS_ATEMPTS") && log.contains("AUTOCALL_ALARMS_ATTEMPTS"), "{log}");
}

#[tokio::test]
async fn a_log_in_a_file_has_no_colours() {
    let server = Binary::spawn(ServeOptions::new()).await;
    assert!(!server.log().contains('\u{1b}'), "{:?}", server.log());
}

#[tokio::test]
async fn the_log_can_be_json() {
    let mut server = Binary::spawn(ServeOptions::new().env("AUTOCALL_LOG_FORMAT", "json")).await;
    Client::new(&server).alarm_is_answered("18712345678").await;
    server.terminate_and_wait().await;
    let log = server.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["message"] == "listening"), "{log}");
    assert_eq!(lines.last().unwrap()["message"], json!("stopped"));
}

/// Address and folder, given in each of the three ways, and which of them wins.
#[tokio::test]
async fn address_and_folder_come_from_file_environment_or_command_line() {
    let of = |place: &str| (format!("127.0.0.1:{}", reserve_port()), place.to_owned());
    let (in_file, in_env, in_args) = (of("from-file"), of("from-env"), of("from-args"));

    let start = async |file: bool, env: bool, args: bool| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = bare_command(folder.path());
        if file {
            let text = format!("listen = {:?}\ndata_dir = {:?}\n", in_file.0, in_file.1);
            fs::write(folder.path().join("mine.toml"), text).unwrap();
            command.args(["--config", "mine.toml"]);
        }
        command.arg("serve");
        if env {
            command.env("AUTOCALL_LISTEN", &in_env.0).env("AUTOCALL_DATA_DIR", &in_env.1);
        }
        if args {
            command.args(["--listen", &in_args.0, "--data-dir", &in_args.1]);
        }
        let expected = if args {
            &in_args
        } else if env {
            &in_env
        } else {
            &in_file
        };
        serves(folder, command, expected).await;
    };
    start(true, false, false).await;
    start(true, true, false).await;
    start(true, true, true).await;
    start(false, true, false).await;
    start(false, false, true).await;
}

/// The program without any setting, in a folder of its own.
fn bare_command(folder: &Path) -> Command {
    let mut command = Command::new(provided_by_run("AUTOCALL_BIN"));
    command.env_clear().current_dir(folder);
    command
}

/// Starts the command, which must serve at the address and keep its data in the folder.
async fn serves(folder: TempDir, command: Command, (address, data_dir): &(String, String)) {
    let mut process = Process::spawn("autocall", command, &folder.path().join("log"));
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    eventually(&format!("autocall to serve at {address}"), SOON, async || {
        assert!(process.is_running(), "{}", process.log());
        http.get(format!("http://{address}/healthz")).sent().await.ok()?.status().is_success().then_some(())
    })
    .await;
    let log = process.log();
    assert!(log.contains(address.as_str()), "{log}");
    assert!(folder.path().join(data_dir).join("autocall.sqlite").exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 1);
}
