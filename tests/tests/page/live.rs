//! Live updates: what happens is sent to open pages, and nothing else.

use std::time::Duration;

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, Home, on_both};

on_both!(
    an_answer_arrives_without_reloading,
    what_was_missed_comes_when_it_connects_again,
    a_stream_ends_with_its_session,
    streams_end_when_the_server_stops,
    nobody_listens_without_a_session,
    nobody_takes_all_streams,
);

const SOON: Duration = Duration::from_secs(20);

/// One open stream of events.
struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(visitor: &Visitor, path: &str) -> Self {
        let response = visitor.listen(path).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Self { response, text: String::new() }
    }

    /// The next event: its name and data; `None` at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim_start().to_owned()
                };
                let found = (field("event:"), field("data:"));
                self.text = rest.to_owned();
                return Some(found);
            }
            let chunk = tokio::time::timeout(SOON, self.response.chunk()).await.unwrap().unwrap_or(None)?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// Waits for an event with a part that shows this; gives its parts.
    async fn until(&mut self, text: &str) -> Vec<Value> {
        loop {
            let (name, data) = self.next().await.unwrap();
            assert_eq!(name, "sight");
            let data: Value = serde_json::from_str(&data).unwrap();
            let parts = data["parts"].as_array().unwrap().clone();
            if parts.iter().any(|part| part["html"].as_str().unwrap().contains(text)) {
                return parts;
            }
        }
    }
}

async fn an_answer_arrives_without_reloading(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let page = lin.get("/").await;
    let mut stream = Stream::open(&lin, "/live?page=now").await;
    let first = stream.until("First steps").await;
    assert_eq!(first.len(), 5, "everything at first");
    for part in &first {
        let (id, version) = (part["id"].as_str().unwrap(), part["version"].as_str().unwrap());
        assert!(page.shows(&format!("id=\"{id}\" data-version=\"{version}\"")), "the page has it already: {id}");
    }
    let id = server.raise(&[A], json!({ "summary": "disk full on db1" })).await;
    stream.until("disk full on db1").await;
    let (mid, _) = server.app_dial(&desk).await;
    let parts = stream.until("<li class=\"now\">").await;
    assert!(parts.iter().all(|part| part["id"] != "finished"), "only what changed");
    server.report(&desk, &mid, Some(A)).await;
    stream.until("answered, not confirmed").await;
    let mut alarm = Stream::open(&lin, &format!("/live?page=alarm&id={id}")).await;
    alarm.until("picked up").await;
}

async fn what_was_missed_comes_when_it_connects_again(home: Home) {
    let server = home.start().await;
    let lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    drop(Stream::open(&lin, "/live?page=now").await);
    server.raise(&[A], json!({ "summary": "raised meanwhile" })).await;
    Stream::open(&lin, "/live?page=now").await.until("raised meanwhile").await;
    let mut handsets = Stream::open(&lin, "/live?page=handsets").await;
    server.pair("window", Profile::App).await;
    handsets.until("window").await;
}

async fn a_stream_ends_with_its_session(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut stream = Stream::open(&lin, "/live?page=now").await;
    stream.until("First steps").await;
    lin.post("/logout", &[]).await;
    server.raise(&[A], json!({ "summary": "not for them" })).await;
    let mut last = String::new();
    while let Some((name, data)) = stream.next().await {
        assert!(!data.contains("not for them"));
        last = name;
    }
    assert_eq!(last, "end");
}

async fn streams_end_when_the_server_stops(home: Home) {
    let server = home.start().await;
    let lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let mut stream = Stream::open(&lin, "/live?page=now").await;
    stream.until("First steps").await;
    let server = server.restart().await;
    // What holds the server up is cut off after a while, and then the stream breaks.
    while tokio::time::timeout(SOON, stream.response.chunk()).await.unwrap().unwrap().is_some() {}
    drop(server);
}

async fn nobody_takes_all_streams(home: Home) {
    let server = home.set("AUTOCALL_HTTP_MAX_PAGES", "5").set("AUTOCALL_HTTP_PAGES_PER_USER", "3").start().await;
    let lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let mia = Visitor::logged_in(&server, "mia", Role::Viewer).await;
    let mut of_lin = Vec::new();
    for _ in 0..3 {
        of_lin.push(Stream::open(&lin, "/live?page=now").await);
    }
    assert_eq!(lin.listen("/live?page=now").await.status(), 503, "their share");
    let of_mia = [Stream::open(&mia, "/live?page=now").await, Stream::open(&mia, "/live?page=now").await];
    assert_eq!(mia.listen("/live?page=now").await.status(), 503, "five are all");
    drop(of_lin);
    eventually("a place to be free again", SOON, async || (mia.listen("/live?page=now").await.status() == 200).then_some(()))
        .await;
    drop(of_mia);
}

async fn nobody_listens_without_a_session(home: Home) {
    let server = home.start().await;
    server.raise(&[A], json!({ "summary": "secret" })).await;
    let mut stream = Stream::open(&Visitor::new(&server), "/live?page=now").await;
    assert_eq!(stream.next().await.unwrap().0, "end");
    assert!(stream.next().await.is_none());
    let lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    for path in ["/live", "/live?page=people", "/live?page=alarm&id=x"] {
        assert_eq!(lin.listen(path).await.status(), 404, "{path}");
    }
}
