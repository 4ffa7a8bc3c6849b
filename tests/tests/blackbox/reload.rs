//! Scenario: SIGHUP has a server read its configuration anew. What is right holds at once or is named for the next start; what is wrong
//! changes nothing.

use std::{fs, path::PathBuf};

use autocall_tests::{
    described::Held as _,
    process::Signal,
    server::{Binary, ServeOptions},
    wait::eventually,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{client::Client, world::SOON};

struct Reloaded {
    server: Binary,
    client: Client,
    file: PathBuf,
    heard: usize,
    _folder: TempDir,
}

impl Reloaded {
    async fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        fs::write(&file, text).unwrap();
        let server = Binary::spawn(ServeOptions::new().env("AUTOCALL_CONFIG", file.to_str().unwrap())).await;
        let client = Client::new(&server);
        Self { server, client, file, heard: 0, _folder: folder }
    }

    /// Gives it another file, and returns the lines that the signal wrote.
    async fn says(&mut self, text: &str) -> String {
        fs::write(&self.file, text).unwrap();
        self.hang_up().await
    }

    async fn hang_up(&mut self) -> String {
        self.server.signal(Signal::HangUp);
        let lines = |log: &str| log.lines().filter(|line| line.contains("SIGHUP")).map(str::to_owned).collect::<Vec<_>>();
        let told = eventually("the signal to be heard", SOON, async || {
            let lines = lines(&self.server.log());
            (lines.len() > self.heard).then_some(lines)
        })
        .await;
        let before = self.heard;
        self.heard = told.len();
        told[before..].join("\n")
    }

    /// How often a new alarm rings each of its two people.
    async fn passes(&self, summary: &str, phones: [&str; 2]) -> usize {
        let alarm = self.client.raise(&json!({ "summary": summary, "phones": phones })).await;
        let offer = self.client.take().await;
        let passes = offer.phones.len() / 2;
        self.client.report(&offer.mid, Some(phones[0])).await;
        assert_eq!(self.client.alarm(alarm["id"].as_str().unwrap()).await["state"], "answered");
        passes
    }
}

#[tokio::test]
async fn what_can_change_holds_at_once_and_the_rest_is_named() {
    let mut here = Reloaded::with("[alarms]\nattempts = 3\n").await;
    assert_eq!(here.passes("one", ["18712345671", "18712345672"]).await, 3);
    let told = here.says("[alarms]\nattempts = 4\n").await;
    assert!(told.contains("from now on it holds for alarms.attempts"), "{told}");
    assert_eq!(here.passes("two", ["18712345673", "18712345674"]).await, 4);
    let told = here.says("[alarms]\nattempts = 4\n[http]\nmax_pages = 7\n").await;
    assert!(told.contains("what is new for http.max_pages holds only when the server is started again"), "{told}");
    // Once more it is still named: it does not hold.
    let told = here.hang_up().await;
    assert!(told.contains("http.max_pages"), "{told}");
    let told = here.says("[alarms]\nattempts = 4\n").await;
    assert!(told.contains("says the same as before"), "{told}");
    // A restart has it.
    here.says("[alarms]\nattempts = 4\n[http]\nmax_pages = 7\n").await;
    here.server.restart().await;
    here.heard = here.server.log().lines().filter(|line| line.contains("SIGHUP")).count();
    let told = here.hang_up().await;
    assert!(told.contains("says the same as before"), "{told}");
}

#[tokio::test]
async fn what_is_wrong_changes_nothing() {
    let mut here = Reloaded::with("[alarms]\nattempts = 3\n").await;
    for (wrong, why) in [
        ("[alarms]\nattempts = 1\nbegin_before_seconds = 1\n", "alarms.begin_before_seconds must be from 60 to 604800"),
        ("[alarms]\nattempts = 1\n[log]\nfilter = \"loud\"\n", "log.filter"),
        ("[alarms]\nattempts = 1\n[[[\n", "this is no TOML"),
        ("database_url_file = \"/nowhere/secret\"\n[alarms]\nattempts = 1\n", "/nowhere/secret"),
    ] {
        let told = here.says(wrong).await;
        assert!(told.contains(why) && told.contains("nothing has changed"), "{told}");
    }
    fs::remove_file(&here.file).unwrap();
    let told = here.hang_up().await;
    assert!(told.contains("cannot read the configuration file") && told.contains("nothing has changed"), "{told}");
    assert_eq!(here.passes("one", ["18712345671", "18712345672"]).await, 3);
    assert_eq!(here.client.readyz().await["status"], "ready");
}

#[tokio::test]
async fn doors_and_the_log_change_while_it_runs() {
    let mut here = Reloaded::with("").await;
    let send = async |client: &Client| client.post_alarm(json!({ "summary": "x", "phones": ["18712345678"] }).to_string());
    let status = send(&here.client).await.sent().await.unwrap().status();
    assert_eq!(status, 201);
    let told = here.says("[http]\nopen_networks = [\"10.0.0.0/8\"]\n").await;
    assert!(told.contains("http.open_networks"), "{told}");
    let status = send(&here.client).await.sent().await.unwrap().status();
    assert!([401, 403].contains(&status.as_u16()), "{status}");
    let told = here.says("[log]\nfilter = \"error\"\n").await;
    assert!(told.contains("http.open_networks, log.filter") || told.contains("log.filter, http.open_networks"), "{told}");
    assert!(send(&here.client).await.sent().await.unwrap().status().is_success());
    // What is only worth an info is not written any more; it is told again once it is.
    let before = here.server.log().lines().filter(|line| line.contains("INFO")).count();
    here.client.take().await;
    let told = here.says("[log]\nfilter = \"info\"\n").await;
    assert!(told.contains("the log is written by the filter info"), "{told}");
    let after: Vec<String> =
        here.server.log().lines().filter(|line| line.contains("INFO")).skip(before).map(str::to_owned).collect();
    assert!(after.iter().all(|line| line.contains("SIGHUP")), "{after:?}");
}
