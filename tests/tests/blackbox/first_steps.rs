//! Scenario: somebody starts the program for the first time. What it prints can be pasted, and works.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use autocall_tests::described::Held as _;
use autocall_tests::{
    process::{Process, Signal},
    provided_by_run,
    server::{Binary, ServeOptions, forget_own_settings},
    wait::eventually,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{client::Client, world::SOON};

/// What was printed to be pasted: from the first occurrence of `begins` to the end of its line.
fn printed(text: &str, begins: &str) -> String {
    let from = text.find(begins).unwrap_or_else(|| panic!("{begins:?} is not in:\n{text}"));
    text[from..].lines().next().unwrap().to_owned()
}

/// Pastes a line into a shell in which `autocall` is the tested program; what it prints.
async fn paste(line: &str, folder: &TempDir) -> String {
    let bin = folder.path().join("autocall");
    let _there_already = std::os::unix::fs::symlink(provided_by_run("AUTOCALL_BIN"), &bin);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = tokio::process::Command::new("bash");
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    command.args(["-c", line]).env("PATH", path).env("no_proxy", "*").kill_on_drop(true);
    let output = tokio::time::timeout(SOON, command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_first_start_says_what_to_do_and_it_works() {
    let folder = TempDir::new().unwrap();
    let mut server = Binary::spawn(ServeOptions::new().as_installed()).await;
    let client = Client::new(&server);
    let said = server.log();
    assert!(said.contains(&format!("The page is {}/,", server.url())), "{said}");
    let secret = fs::read_to_string(server.data_dir().join("first-login.txt")).unwrap();
    assert!(!said.contains(secret.trim()), "the secret is for the owner of the file");
    assert!(said.contains("first-login.txt once"), "{said}");

    let raised: Value = serde_json::from_str(&paste(&printed(&said, "curl "), &folder).await).unwrap();
    let alarm = client.alarm(raised["id"].as_str().unwrap()).await;
    assert_eq!((&alarm["summary"], &alarm["state"]), (&json!("My first alarm"), &json!("waiting")));
    assert!(paste(&printed(&said, "autocall --data-dir "), &folder).await.contains("you may log in as admin"));
    let add = said.lines().find(|line| line.contains("handset add")).unwrap();
    assert!(
        paste(&printed(add, "autocall --data-dir "), &folder).await.contains(&format!("{}/h/", server.url())),
        "the address of this server"
    );

    // Somebody can log in now, so it says no more.
    let before = server.log().len();
    server.restart().await;
    assert!(!server.log()[before..].contains("nobody can log in yet"));
}

#[tokio::test]
async fn outside_of_open_networks_the_line_makes_itself_a_key() {
    let server = Binary::spawn(ServeOptions::new().as_installed().env("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16")).await;
    let folder = TempDir::new().unwrap();
    let said = server.log();
    let raised: Value = serde_json::from_str(&paste(&printed(&said, "curl "), &folder).await).unwrap();
    assert_eq!((&raised["state"], &raised["source"]), (&json!("waiting"), &json!("first")), "{raised}");
}

/// The demonstration, started as somebody would.
struct Demo {
    process: Process,
    folder: TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(provided_by_run("AUTOCALL_BIN"));
        forget_own_settings(|name| {
            command.env_remove(name);
        });
        command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", folder.path());
        let process = Process::spawn("autocall demo", command, &folder.path().join("told"));
        Self { process, folder }
    }

    /// Waits until it has told `what`; all that it has told.
    async fn tells(&mut self, what: &str) -> String {
        eventually(&format!("the demonstration to tell {what:?}"), 2 * SOON, async || {
            let told = self.process.log();
            assert!(told.contains(what) || self.process.is_running(), "it ended:\n{told}");
            told.contains(what).then_some(told)
        })
        .await
    }

    /// What it has left in the temporary folder, but for what it has told.
    fn leftovers(&self) -> usize {
        fs::read_dir(self.folder.path())
            .unwrap()
            .filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("told"))
            .count()
    }

    async fn ends_well(&mut self, signal: Signal) {
        self.process.signal(signal);
        let status = self.process.wait(SOON).await;
        assert!(status.success(), "{status}:\n{}", self.process.log());
        assert_eq!(self.leftovers(), 0, "its folder is gone");
    }
}

/// What stands behind `begins`, up to the end of the line.
fn behind<'t>(told: &'t str, begins: &str) -> &'t str {
    told.split_once(begins).unwrap_or_else(|| panic!("{begins:?} is not in:\n{told}")).1.lines().next().unwrap()
}

#[tokio::test]
async fn the_demonstration_rings_phones_and_hands_over() {
    let mut demo = Demo::start();
    let told = demo.tells("the four lines are in ").await;
    for line in ["dials 18712345678", "18812345678 picks up", "=> 李娜 Li Na answered after", "=> NOBODY answered"] {
        assert!(told.contains(line), "{line}:\n{told}");
    }
    let base = behind(&told, "The server runs at ").split(',').next().unwrap().to_owned();
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let list: Value = http.get(format!("{base}/api/v1/alarms")).sent().await.unwrap().json().await.unwrap();
    let ends: Vec<(&str, &str)> = list["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alarm| (alarm["source"].as_str().unwrap(), alarm["state"].as_str().unwrap()))
        .collect();
    assert_eq!(ends, [("demo", "no_answer"), ("alertmanager", "answered"), ("demo", "answered")]);

    let door = fs::read_to_string(behind(&told, "open the address in ").strip_suffix(" once").unwrap()).unwrap();
    let page = http.get(door.trim()).header("accept", "text/html").sent().await.unwrap();
    assert_eq!(page.status(), 200, "the first login");
    let file = behind(&told, "the four lines are in ");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = fs::read_to_string(file).unwrap();
    let token = behind(&lines, "/h/").split('/').next().unwrap();
    assert!(!told.contains(token), "the address of a handset is for the owner of the file");

    let shell = TempDir::new().unwrap();
    let mut lines = lines.lines();
    let mut next = async |mid: &str| -> Value {
        let line = lines.next().unwrap().replace("MID", mid);
        serde_json::from_str(&paste(&line, &shell).await).unwrap()
    };
    assert_eq!(next("").await["state"], "waiting");
    let dial = next("").await;
    assert_eq!(dial["phone"][0], "18712345678", "{dial}");
    assert_eq!(next(dial["mid"].as_str().unwrap()).await, json!({ "code": 0 }));
    let latest = next("").await;
    assert_eq!((&latest["alarms"][0]["summary"], &latest["alarms"][0]["state"]), (&json!("My own alarm"), &json!("answered")));
    demo.ends_well(Signal::Interrupt).await;
}

#[tokio::test]
async fn the_demonstration_ends_in_the_middle_when_it_is_told_to() {
    let mut demo = Demo::start();
    demo.tells("dials 18712345678").await;
    demo.ends_well(Signal::Terminate).await;
}
