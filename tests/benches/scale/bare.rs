//! The reference: a handler of axum and nothing else, which answers with the bytes that it is given. It runs in a process of its own, as the
//! server does.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use serde_json::{Value, json};

use crate::wire::Answer;

/// The variable that holds what it answers.
const ANSWER: &str = "BARE_ANSWER";
/// Written by whoever drives the connection.
const OF_CONNECTION: [&str; 3] = ["date", "content-length", "transfer-encoding"];

/// Serves until it is killed; the first line that it prints is its address.
pub fn serve() {
    let answer: Value = serde_json::from_str(&std::env::var(ANSWER).unwrap()).unwrap();
    let headers: Arc<Vec<(HeaderName, HeaderValue)>> = Arc::new(
        answer["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_str().unwrap().parse().unwrap(), pair[1].as_str().unwrap().parse().unwrap()))
            .collect(),
    );
    let body: &'static str = Box::leak(answer["body"].as_str().unwrap().to_owned().into_boxed_str());
    let answer = async move || {
        let mut response = Response::new(Body::from(body));
        for (name, value) in headers.iter() {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    };
    let router = Router::new().route("/alert/phone", get(answer.clone())).route("/h/{token}/alert/phone", get(answer));
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

/// It as a process.
pub struct Bare {
    child: Child,
    pub address: String,
}

impl Bare {
    /// Answers as this answer was.
    pub fn start(like: &Answer) -> Self {
        let lines = like.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = lines.filter(|(name, _)| !OF_CONNECTION.contains(name)).collect();
        let answer = json!({ "headers": headers, "body": String::from_utf8_lossy(&like.body) });
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("bare")
            .env(ANSWER, answer.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let said = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
