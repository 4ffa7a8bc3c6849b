//! A headless Chromium of its own for a test, which listens to nobody but the tested server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use autocall_tests::process::Process;
use autocall_tests::wait::eventually;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long something may take that normally takes no time, on a busy machine.
pub const SOON: Duration = Duration::from_secs(40);

/// What stands in for a network: every name leads nowhere.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
];

pub struct Chromium {
    pub client: Client,
    port: u16,
    _driver: Process,
    _folder: TempDir,
}

impl Chromium {
    pub async fn start() -> Self {
        Self::start_in("UTC").await
    }

    /// One whose reader lives in this time zone.
    pub async fn start_in(zone: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("chromium-").tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("TZ", zone);
        let driver = Process::spawn("chromedriver", command, &folder.path().join("log"));
        let port = eventually("chromedriver's port", SOON, async || {
            let log = driver.log();
            let (_, rest) = log.split_once("started successfully on port ")?;
            rest.split('.').next()?.parse::<u16>().ok()
        })
        .await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(folder.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self { client, port, _driver: driver, _folder: folder }
    }

    pub async fn open(&self, address: &str) {
        self.client.goto(address).await.unwrap();
    }

    /// Waits until the page shows a text.
    pub async fn sees(&self, text: &str) {
        let last = std::sync::Mutex::new(String::new());
        let seen = tokio::time::timeout(SOON, async {
            loop {
                let body = self.text().await;
                if body.contains(text) {
                    return;
                }
                *last.lock().unwrap() = body;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(seen.await.is_ok(), "the page never showed {text:?}, but:\n{}", last.lock().unwrap());
    }

    /// What the page shows, as a reader sees it.
    pub async fn text(&self) -> String {
        // While a page is being replaced there is none.
        self.client
            .execute("return document.body.innerText", vec![])
            .await
            .ok()
            .and_then(|text| Some(text.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.client.find(Locator::Css(selector)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks what may still be on its way to the page.
    pub async fn click(&self, selector: &str) {
        let look = async || self.client.find(Locator::Css(selector)).await.ok()?.click().await.ok();
        eventually(&format!("{selector}, to click it"), SOON, look).await;
    }

    pub async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    pub async fn log_in(&self, base: &str, name: &str, password: &str) {
        self.open(&format!("{base}/login")).await;
        self.fill("[name=name]", name).await;
        self.fill("[name=password]", password).await;
        self.click("form[action='/login'] button").await;
        eventually("the first page", SOON, async || (self.path().await == "/").then_some(())).await;
    }

    /// Fails when the console says that anything went wrong, or a request went anywhere else than to `base`.
    pub async fn assert_well_behaved(&self, base: &str, expected: &[&str]) {
        for line in self.log("browser").await {
            let (level, message) = (line["level"].as_str().unwrap(), line["message"].as_str().unwrap());
            assert!(level == "INFO" || expected.iter().any(|expected| message.contains(expected)), "{level}: {message}");
        }
        let mut requests = 0;
        for line in self.log("performance").await {
            let message: Value = serde_json::from_str(line["message"].as_str().unwrap()).unwrap();
            if message["message"]["method"] == "Network.requestWillBeSent" {
                let sent = &message["message"]["params"];
                // Chromium's own empty first tab is none of ours.
                if sent["documentURL"].as_str().unwrap().starts_with("chrome://") {
                    continue;
                }
                let url = sent["request"]["url"].as_str().unwrap();
                assert!(url.starts_with(base) || url.starts_with("data:"), "a request went to {url}");
                requests += 1;
            }
        }
        assert!(requests > 0, "the requests were counted");
    }

    /// What Chromium has logged since this was asked last.
    async fn log(&self, kind: &str) -> Vec<Value> {
        self.own_command("se/log", json!({ "type": kind })).await.as_array().unwrap().clone()
    }

    /// A command of Chromium's DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) {
        self.own_command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    /// One of chromedriver's own commands, which WebDriver does not know.
    async fn own_command(&self, path: &str, body: Value) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let address = format!("http://127.0.0.1:{}/session/{session}/{path}", self.port);
        let http = autocall_tests::http_client().no_proxy().build().unwrap();
        let answer: Value = http.post(address).json(&body).send().await.unwrap().json().await.unwrap();
        answer["value"].clone()
    }
}

fn capabilities(folder: &Path) -> Capabilities {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.push(format!("--user-data-dir={}", folder.join("profile").display()));
    let wanted = json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "args": flags },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    });
    wanted.as_object().unwrap().clone()
}
