//! Scenario: a second installation tests the first by alarms that go all the way, and wakes people by its own phone when they do not.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use autocall_tests::described::Held as _;
use autocall_tests::process::Signal;
use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::world::{Engine, SOON, World, on_both};

on_both!(
    a_healthy_installation_is_tested_and_nobody_is_rung,
    whoever_stops_or_freezes_is_missed,
    a_database_that_is_away_wakes_somebody
);

/// Whom the second installation wakes.
const ASLEEP: &str = "13912340001";

/// How the second installation tests the one at this address.
fn watching(url: &str, phones: &str) -> String {
    format!(
        "[alarms]\nfallback_phones = [\"{ASLEEP}\"]\n[monitor]\nurl = \"{url}\"\nevery_seconds = 1\nwithin_seconds = 8\nfailures = 2\n\
         phones = \"{phones}\"\n"
    )
}

/// Lets a second installation test the one of this world, which it reaches there; gives the address for its configuration.
async fn let_in(world: &World, name: &str, at: &str) -> String {
    let output = world.command(&["monitor", "add", name, "--url", at]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.split('"').nth(1).unwrap().to_owned()
}

/// The second installation.
struct Watcher {
    server: Binary,
    client: Client,
    _world: World,
}

impl Watcher {
    async fn new(engine: Engine, url: &str, phones: &str) -> Self {
        let world = World::new(engine).await;
        let server = Binary::spawn(world.options().config(watching(url, phones))).await;
        let client = Client::new(&server);
        Self { server, client, _world: world }
    }

    async fn passes_a_test(&self) {
        let good = "autocall_monitor_tests_total{result=\"good\"}";
        let before = self.client.metric(good).await;
        eventually("a test to come to its end", SOON, async || (self.client.metric(good).await > before).then_some(())).await;
    }

    /// Its phone rings somebody about the first, who picks up; gives the alarm.
    async fn wakes_somebody(&self) -> Value {
        let offer = self.client.take().await;
        assert_eq!(offer.phones[0], ASLEEP);
        let all = self.client.alarms().await;
        let open: Vec<&Value> = all.iter().filter(|alarm| alarm["ended_at"].is_null()).collect();
        let [alarm] = open[..] else { panic!("one alarm for each time: {all:?}") };
        assert_eq!((&alarm["source"], &alarm["priority"]), (&"monitor".into(), &"critical".into()));
        self.client.report(&offer.mid, Some(ASLEEP)).await;
        alarm.clone()
    }

    /// The alarm is over, without anybody's doing.
    async fn is_content_again(&self, alarm: &Value) {
        let id = alarm["id"].as_str().unwrap();
        eventually("the alarm to end by itself", SOON * 2, async || {
            (self.client.alarm(id).await["state"] == "resolved").then_some(())
        })
        .await;
    }
}

/// A phone that asks and asks, until it is dropped. What it is given it is given again.
struct Phone(JoinHandle<()>);

impl Phone {
    fn of(client: &Client) -> Self {
        let client = client.clone();
        Self(tokio::spawn(async move {
            loop {
                client.poll().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }))
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn stage(alarm: &Value) -> &str {
    alarm["labels"]["stage"].as_str().unwrap()
}

async fn a_healthy_installation_is_tested_and_nobody_is_rung(engine: Engine) {
    let world = World::new(engine).await;
    let first = world.serve().await;
    let client = Client::new(&first);
    // A phone of the first, so that it has one.
    let phone = Phone::of(&client);
    let url = let_in(&world, "watcher", &first.url()).await;
    let watcher = Watcher::new(engine, &url, "on").await;
    watcher.passes_a_test().await;
    watcher.passes_a_test().await;

    // Nothing of it is seen where people look, and little is kept.
    assert_eq!(client.alarms().await, Vec::<Value>::new());
    let tests = client.get("/api/v1/alarms?kind=test").await;
    assert!(tests["items"].as_array().unwrap().len() <= 2, "{tests}");
    assert_eq!(watcher.client.alarms().await, Vec::<Value>::new());
    let handsets = String::from_utf8(world.command(&["handset", "list"]).await.stdout).unwrap();
    assert!(!handsets.contains("watcher"), "{handsets}");
    // The server writes down now and then who asked it: the command reads what is written.
    eventually("the test to be listed", SOON, async || {
        let monitors = String::from_utf8(world.command(&["monitor", "list"]).await.stdout).unwrap();
        monitors.contains("watcher\ttested").then_some(())
    })
    .await;
    let report = client.get("/api/v1/reports").await;
    assert!(!report.to_string().contains("monitor"), "{report}");

    // Whoever stands in for a phone there is given no alarm: the phone of the first rings for it.
    for number in ["18712345671", "18712345672", "18712345673"] {
        client.alarm_is_answered(number).await;
        watcher.passes_a_test().await;
    }
    assert_eq!(client.metric("autocall_monitor_failures").await, 0.0, "the first watches nobody");
    assert!(!first.log().contains("ak_") && !watcher.server.log().contains("ak_"), "{}", watcher.server.log());

    // By hand, from the second: every stage is told. Nothing else tests meanwhile: the next test forgets the one before.
    drop(watcher);
    let by_hand = World::new(Engine::Sqlite).await;
    let file = by_hand.file("watching.toml", &watching(&url, "on"));
    let output = by_hand.command(&["--config", &file, "monitor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.matches("[x]").count() == 9 && !said.contains("[ ]"), "{said}");
    drop(phone);
    drop(first);
    let output = by_hand.command(&["--config", &file, "monitor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.matches("[ ]").count() == 9, "{said}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("it does not answer"));
}

async fn whoever_stops_or_freezes_is_missed(engine: Engine) {
    let world = World::new(engine).await;
    let mut first = world.serve().await;
    let url = let_in(&world, "watcher", &first.url()).await;
    let watcher = Watcher::new(engine, &url, "off").await;
    watcher.passes_a_test().await;

    first.kill_9();
    let alarm = watcher.wakes_somebody().await;
    assert_eq!(stage(&alarm), "reach");
    let summary = alarm["summary"].as_str().unwrap();
    assert!(summary.contains(&first.addr()) && summary.contains("it does not answer"), "{summary}");
    first.restart().await;
    watcher.is_content_again(&alarm).await;

    first.freeze();
    let frozen = watcher.wakes_somebody().await;
    assert_ne!(frozen["id"], alarm["id"]);
    assert_eq!(stage(&frozen), "reach");
    first.thaw();
    watcher.is_content_again(&frozen).await;
}

async fn a_database_that_is_away_wakes_somebody(engine: Engine) {
    let mut world = World::new(engine).await;
    let first = world.serve().await;
    let url = let_in(&world, "watcher", &first.url()).await;
    let watcher = Watcher::new(engine, &url, "off").await;
    watcher.passes_a_test().await;
    world.lose_database().await;
    let alarm = watcher.wakes_somebody().await;
    assert!(["ready", "raise", "hand_out", "report"].contains(&stage(&alarm)), "{alarm}");
    world.give_database_back().await;
    watcher.is_content_again(&alarm).await;
}

/// What stands between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// It passes everything on.
    Honest,
    /// It says yes to everything.
    Yes,
    /// It tells phones that there is nothing.
    NothingForPhones,
    /// It takes reports and keeps them.
    KeepsReports,
    /// It tells another number than the one that answered.
    OtherNumber,
}

#[derive(Clone)]
struct Between {
    first: String,
    mood: Arc<Mutex<Mood>>,
    http: reqwest::Client,
}

impl Between {
    async fn before(first: &Binary) -> (Self, String) {
        let http = autocall_tests::http_client().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let between = Self { first: first.url(), mood: Arc::new(Mutex::new(Mood::Honest)), http };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(pass).with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (between, at)
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn said(status: StatusCode, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", "application/json").body(body.into()).unwrap()
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    let mood = *between.mood.lock().unwrap();
    let (parts, body) = request.into_parts();
    let place = parts.uri.path_and_query().unwrap().as_str();
    let of_phone = place.starts_with("/h/");
    match mood {
        Mood::Yes => return said(StatusCode::OK, "{\"code\":0}"),
        Mood::NothingForPhones if of_phone && parts.method == Method::GET => return said(StatusCode::OK, "{\"code\":1}"),
        Mood::KeepsReports if of_phone && parts.method == Method::POST => return said(StatusCode::OK, "{\"code\":0}"),
        _ => {}
    }
    let mut headers = parts.headers.clone();
    headers.remove("host");
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let asked = between.http.request(parts.method, format!("{}{place}", between.first)).headers(headers).body(body);
    let Ok(answer) = asked.send().await else { return said(StatusCode::BAD_GATEWAY, "") };
    let (status, mut text) = (answer.status(), answer.text().await.unwrap_or_default());
    if mood == Mood::OtherNumber && place.starts_with("/api/v1/alarms/") {
        let mut alarm: Value = serde_json::from_str(&text).unwrap_or_default();
        if alarm["answer"].is_object() {
            alarm["answer"]["phone_number"] = json!("+8618712345678");
        }
        text = alarm.to_string();
    }
    said(status, text)
}

#[tokio::test]
async fn answers_that_are_forged_or_lost_are_not_believed() {
    let world = World::new(Engine::Sqlite).await;
    let first = world.serve().await;
    let (between, at) = Between::before(&first).await;
    let url = let_in(&world, "watcher", &at).await;
    let watcher = Watcher::new(Engine::Sqlite, &url, "off").await;
    watcher.passes_a_test().await;
    for (mood, failed) in [
        (Mood::Yes, "ready"),
        (Mood::NothingForPhones, "hand_out"),
        (Mood::KeepsReports, "next_callee"),
        (Mood::OtherNumber, "attribution"),
    ] {
        between.is(mood);
        let alarm = watcher.wakes_somebody().await;
        assert_eq!(stage(&alarm), failed, "{mood:?}: {alarm}");
        between.is(Mood::Honest);
        watcher.is_content_again(&alarm).await;
    }
    assert_eq!(Client::new(&first).alarms().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_installation_without_a_phone_wakes_somebody_elsewhere() {
    let world = World::new(Engine::Sqlite).await;
    let first = world.serve().await;
    let client = Client::new(&first);
    let url = let_in(&world, "watcher", &first.url()).await;
    let watcher = Watcher::new(Engine::Sqlite, &url, "on").await;
    let alarm = watcher.wakes_somebody().await;
    assert_eq!(stage(&alarm), "phones", "whoever stands in for a phone is none: {alarm}");
    let _phone = Phone::of(&client);
    watcher.is_content_again(&alarm).await;
    // Whoever is removed tests no more, and that is told as well.
    let removed = world.command(&["monitor", "remove", "watcher"]).await;
    assert!(removed.status.success());
    assert_eq!(stage(&watcher.wakes_somebody().await), "reach");
}

/// Both are told of each other while they run; and that nothing is watched any more ends what was open.
#[tokio::test]
async fn two_installations_watch_each_other() {
    let (one, other) = (World::new(Engine::Sqlite).await, World::new(Engine::Sqlite).await);
    let files = [one.file("one.toml", ""), other.file("other.toml", "")];
    let serve = async |world: &World, file: &str| {
        Binary::spawn(ServeOptions::new().data_dir(world.data_dir()).env("AUTOCALL_CONFIG", file)).await
    };
    let mut servers = [serve(&one, &files[0]).await, serve(&other, &files[1]).await];
    let urls = [let_in(&one, "b", &servers[0].url()).await, let_in(&other, "a", &servers[1].url()).await];
    for (place, watched) in [(0, 1), (1, 0)] {
        fs::write(&files[place], watching(&urls[watched], "off")).unwrap();
        servers[place].signal(Signal::HangUp);
    }
    for server in &servers {
        let client = Client::new(server);
        eventually("both to pass", SOON, async || {
            (client.metric("autocall_monitor_good_age_seconds").await >= 0.0).then_some(())
        })
        .await;
    }
    servers[1].kill_9();
    let client = Client::new(&servers[0]);
    let offer = client.take().await;
    assert_eq!(offer.phones[0], ASLEEP);
    fs::write(&files[0], format!("[alarms]\nfallback_phones = [\"{ASLEEP}\"]\n")).unwrap();
    servers[0].signal(Signal::HangUp);
    eventually("nothing to be watched any more", SOON, async || {
        client.alarms().await.iter().all(|alarm| alarm["state"] == "resolved").then_some(())
    })
    .await;
    assert_eq!(client.metric("autocall_monitor_failures").await, 0.0);
}

/// A key that tests this installation raises nothing else, and rings nobody by it.
#[tokio::test]
async fn a_monitors_key_raises_tests_alone() {
    let world = World::new(Engine::Sqlite).await;
    let first = world.serve().await;
    let client = Client::new(&first);
    let url = let_in(&world, "watcher", &first.url()).await;
    let key = url.split(':').nth(2).unwrap().split('.').next().unwrap().to_owned();
    let raise = async |alarm: Value| {
        let request = client.post_alarm(alarm.to_string()).bearer_auth(&key);
        crate::client::status_and_json(request.sent().await.unwrap()).await
    };
    let (status, refused) = raise(json!({ "summary": "disk", "source": "disks", "phones": ["18712345678"] })).await;
    assert_eq!(status, 403, "{refused}");
    let (status, refused) = raise(json!({ "summary": "disk", "source": "monitor", "phones": ["18712345678"] })).await;
    assert_eq!(status, 403, "what rings people is no test: {refused}");
    let (status, refused) =
        raise(json!({ "summary": "t", "source": "monitor", "monitor": "nobody", "phones": ["18712345678"] })).await;
    assert_eq!((status, &refused["field"]), (422, &json!("monitor")), "{refused}");
    let (status, refused) = raise(json!({ "summary": "t", "source": "monitor", "monitor": "watcher" })).await;
    assert_eq!((status, &refused["field"]), (422, &json!("phones")), "{refused}");
    let (status, test) =
        raise(json!({ "summary": "t", "source": "monitor", "monitor": "watcher", "phones": ["18712345678"] })).await;
    assert_eq!((status, &test["kind"]), (201, &json!("test")), "{test}");
    // No phone of this installation rings for it.
    client.alarm_is_answered("18812345678").await;
    assert!(client.poll().await.is_none());
    let shown = client.request(reqwest::Method::GET, "/api/v1/monitor").bearer_auth(&key).sent().await.unwrap();
    assert_eq!(shown.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
    let ability: Value = serde_json::from_str(&shown.text().await.unwrap()).unwrap();
    assert_eq!((&ability["handsets"], &ability["oldest_due_seconds"]), (&json!(1), &json!(0)), "{ability}");
}
