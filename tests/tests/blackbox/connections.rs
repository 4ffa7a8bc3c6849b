//! Scenario: what happens to a connection. How long it stays, what is said when it ends, who gets one when they are scarce, and what is no HTTP.

use autocall_tests::described::Held as _;
use autocall_tests::wait::eventually;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::{Client, Offer, status_and_json},
    raw::{self, Reply},
    world::{Engine, SOON, World},
};

const ZHANG: &str = "18712345678";

/// A connection that is kept for several requests.
struct Line(BufReader<TcpStream>);

impl Line {
    async fn to(addr: &str) -> Self {
        Self(BufReader::new(TcpStream::connect(addr).await.unwrap()))
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The server may have hung up; what it has said before is read all the same.
        let _ = self.0.get_mut().write_all(bytes.as_ref()).await;
    }

    /// The next reply, as long as it says; `None` when the connection ends instead.
    async fn reply(&mut self) -> Option<Reply> {
        timeout(SOON, self.read()).await.unwrap_or_else(|_| panic!("no reply"))
    }

    async fn read(&mut self) -> Option<Reply> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if self.0.read_until(b'\n', &mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let length = Reply::parse(&bytes).header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        bytes.extend(body);
        Some(Reply::parse(&bytes))
    }

    /// Waits for the end of the connection, and gives what came before it.
    async fn end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end like any other.
        let _ = timeout(SOON, self.0.read_to_end(&mut bytes)).await.unwrap_or_else(|_| panic!("the connection stays open"));
        bytes
    }
}

/// The head of a request whose body is to be so long.
fn head(method: &str, target: &str, addr: &str, length: usize, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {length}\r\n{headers}\r\n")
}

#[tokio::test]
async fn a_client_is_told_how_long_its_connection_stays() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let mut line = Line::to(&server.addr()).await;
    for target in ["/healthz", "/api/v1/alarms", "/nowhere"] {
        line.send(raw::request("GET", target, &server.addr(), "")).await;
        let reply = line.reply().await.unwrap();
        assert_eq!(reply.header("keep-alive"), Some("timeout=115"), "{target}");
        assert_eq!(reply.header("connection"), None, "{target}");
    }
    line.send(raw::request("GET", "/alert/phone", &server.addr(), "User-Agent: okhttp/3.10.0\r\n")).await;
    let reply = line.reply().await.unwrap();
    assert_eq!((reply.header("connection"), reply.header("keep-alive")), (Some("close"), None), "the stock app leaves it open");
}

/// A sender that keeps its connections believes what it is told: after each answer either the next request is answered on the same connection, or
/// the answer has said that there will be none.
#[tokio::test]
async fn a_connection_ends_only_where_the_answer_says_so() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let addr = server.addr();
    let wrong_key = "Authorization: Bearer ak_wrong\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let native = "Autocall-Protocol: 1\r\n";
    let stranger = "X-Forwarded-For: 192.0.2.1\r\n";
    let cases = [
        ("POST", "/api/v1/alarms", ""),
        ("POST", "/api/v1/alarms", wrong_key),
        ("POST", "/api/v1/alarms", stranger),
        ("PUT", "/api/v1/alarms", ""),
        ("DELETE", "/api/v1/alarms/x", ""),
        ("GET", "/api/v1/alarms", ""),
        ("POST", "/api/v1/nowhere", ""),
        ("POST", "/api/v1/heartbeat/x", ""),
        ("POST", "/api/v1/sms/inbound/x", ""),
        ("POST", "/k/ak_wrong/api/v1/alarms", ""),
        ("POST", "/healthz", ""),
        ("PUT", "/metrics", ""),
        ("POST", "/nowhere", ""),
        ("PUT", "/", ""),
        ("POST", "/login", "Accept: text/html\r\n"),
        ("POST", "/handsets/add", "Accept: text/html\r\n"),
        ("GET", "/alert/phone", ""),
        ("PUT", "/alert/phone", ""),
        ("POST", "/alert/phone", ""),
        ("POST", "/alert/phone?mid=60d536885fa2a8643fa4d3a0", ""),
        ("POST", "/alert/phone", form),
        ("POST", "/h/xyz/alert/phone", native),
        ("POST", "/h/xyz/status", native),
        ("PUT", "/h/xyz/alert/phone", ""),
    ];
    let mut silent = Vec::new();
    for (method, target, headers) in cases {
        // Much that never comes; a little that is there at once; what is too large for any limit.
        for (length, sent) in [(1000, 0), (1000, 10), (24, 24), (3_000_000, 10_000)] {
            let mut line = Line::to(&addr).await;
            let expects_body = sent < length;
            line.send(head(method, target, &addr, length, headers) + &"x".repeat(sent)).await;
            // Some read the body before they refuse: the rest comes when they have not answered.
            let reply = match timeout(std::time::Duration::from_secs(1), line.read()).await {
                Ok(reply) => reply,
                Err(_) => {
                    assert!(expects_body, "{method} {target}: no answer");
                    line.send("x".repeat(length - sent)).await;
                    line.reply().await
                }
            };
            let Some(reply) = reply else { continue };
            if reply.header("connection") == Some("close") {
                line.end().await;
                continue;
            }
            line.send(raw::request("GET", "/healthz", &addr, "Connection: close\r\n")).await;
            match line.reply().await {
                Some(next) if next.status == 200 && next.body.contains("ok") => {}
                other => {
                    silent.push(format!("{method} {target} {headers:?} {sent} of {length}: {}, then {other:?}", reply.status));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{} end without a word:\n{}", silent.len(), silent.join("\n"));
}

#[tokio::test]
async fn who_may_not_enter_is_refused_before_the_body_is_there() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let addr = server.addr();
    let stranger = "X-Forwarded-For: 192.0.2.1\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for (target, headers, status) in [
        ("/h/xyz/status", "Autocall-Protocol: 1\r\n".to_owned(), 404),
        ("/h/xyz/progress", "Autocall-Protocol: 1\r\n".to_owned(), 404),
        ("/h/xyz/alert/phone", form.to_owned(), 404),
        ("/h/xyz/alert/phone?mid=60d536885fa2a8643fa4d3a0", "Autocall-Protocol: 1\r\n".to_owned(), 200),
        ("/alert/phone", format!("{form}{stranger}"), 403),
        ("/api/v1/alarms", stranger.to_owned(), 403),
        ("/login", "Accept: text/html\r\n".to_owned(), 403),
    ] {
        let mut line = Line::to(&addr).await;
        line.send(head("POST", target, &addr, 1000, &headers)).await;
        let reply = line.reply().await.unwrap();
        assert_eq!(reply.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_report_whose_body_does_not_come_is_never_answered() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let id = client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;
    let target = format!("/alert/phone?mid={}", offer.mid);
    let mut line = Line::to(&addr).await;
    line.send(head("POST", &target, &addr, 1000, "Autocall-Protocol: 1\r\n") + "{").await;
    assert_eq!(String::from_utf8_lossy(&line.end().await), "", "the app forgets its result on any reply");
    assert_eq!(client.alarm(&id).await["state"], "ringing");
    client.report(&offer.mid, Some(ZHANG)).await;
    assert_eq!(client.alarm(&id).await["state"], "answered");
}

async fn pair(world: &World, name: &str) -> String {
    let output = world.command(&["handset", "add", "--name", name]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, path) = said.split_once("/h/").unwrap_or_else(|| panic!("{said}"));
    format!("/h/{}", path.split_whitespace().next().unwrap())
}

/// All places are held by phones that wait, as many as the server lets in.
#[tokio::test]
async fn alarms_reports_and_health_get_through_when_all_places_are_taken() {
    let world = World::new(Engine::Sqlite).await;
    let server = autocall_tests::server::Binary::spawn(world.options().env("AUTOCALL_HTTP_MAX_CONNECTIONS", "64")).await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let path = pair(&world, "desk").await;
    eventually("the token to be known", SOON, async || (raw::ask(&addr, "GET", &path).await.status == 200).then_some(())).await;
    let mut phones = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(&addr).await.unwrap();
        let poll = raw::request("GET", &format!("{path}?wait=60"), &addr, "Autocall-Protocol: 1\r\n");
        stream.write_all(poll.as_bytes()).await.unwrap();
        phones.push(stream);
    }
    assert_eq!(raw::ask(&addr, "GET", "/healthz").await.status, 200);
    let waiting = client.metric("autocall_connections_waiting").await;
    assert!((8.0..=42.0).contains(&waiting), "{waiting}: at most three quarters of 64 less the reserve");
    let id = client.raise_for(&[ZHANG]).await;
    let offer = eventually("one of them to get it", SOON, async || {
        let reply = raw::ask(&addr, "GET", &path).await;
        Offer::read(reply.body)
    });
    let offer = offer.await;
    assert_eq!(
        raw::ask(&addr, "POST", &format!("{path}?mid={}&resp={ZHANG}", offer.mid)).await.for_the_app(),
        json!({ "code": 0 })
    );
    assert_eq!(client.alarm(&id).await["state"], "answered");
    drop(phones);
}

/// Somebody opens connections and sends half a request on each: heads, and bodies of alarms that never come.
#[tokio::test]
async fn one_address_does_not_keep_the_others_out() {
    let world = World::new(Engine::Sqlite).await;
    let server = autocall_tests::server::Binary::spawn(world.options().env("AUTOCALL_HTTP_MAX_CONNECTIONS", "64")).await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let path = pair(&world, "desk").await;
    eventually("the token to be known", SOON, async || (raw::ask(&addr, "GET", &path).await.status == 200).then_some(())).await;
    let mut held = Vec::new();
    for beginning in [
        "GET /alert/pho".to_owned(),
        head("POST", "/api/v1/alarms", &addr, 1000, ""),
        head("POST", "/alert/phone", &addr, 1000, "Content-Type: application/x-www-form-urlencoded\r\n"),
    ] {
        for _ in 0..64 {
            // Also what is not let in counts: the attacker tries all the same.
            let Ok(mut stream) = TcpStream::connect(&addr).await else { continue };
            let _ = stream.write_all(beginning.as_bytes()).await;
            held.push(stream);
        }
        let what = format!("a phone to be served beside 64 times {beginning:?}");
        eventually(&what, SOON, async || (poll(&addr, &path).await? == 1).then_some(())).await;
    }
    let (status, _) = status_and_json(client.request(reqwest::Method::GET, "/healthz").sent().await.unwrap()).await;
    assert_eq!(status, 200);
    assert!(server.log().contains("http.connections_per_address"), "{}", server.log());
    drop(held);
}

/// What a poll is told, if it is told anything.
async fn poll(addr: &str, path: &str) -> Option<i64> {
    let mut line = Line::to(addr).await;
    line.send(raw::request("GET", path, addr, "Connection: close\r\n")).await;
    line.read().await?.for_the_app()["code"].as_i64()
}

/// A phone that was pointed at the wrong port or through the wrong proxy must survive what it hears.
#[tokio::test]
async fn what_is_no_http_is_refused_in_a_form_that_a_phone_survives() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let addr = server.addr();
    let tls = [&[0x16, 0x03, 0x01, 0x00, 0x45, 0x01, 0x00, 0x00, 0x41, 0x03, 0x03][..], &[7; 62]].concat();
    let get = raw::request("GET", "/alert/phone", &addr, "User-Agent: okhttp/3.10.0\r\n");
    let proxy_one = format!("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n{get}").into_bytes();
    let proxy_two =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb"[..], get.as_bytes()].concat();
    let long = raw::request("GET", &format!("/{}", "x".repeat(70_000)), &addr, "");
    let many = raw::request("GET", "/alert/phone", &addr, &"X-Y: z\r\n".repeat(200));
    for (what, bytes, said) in [
        ("TLS", tls, "plain HTTP"),
        ("PROXY protocol 1", proxy_one, "PROXY protocol"),
        ("PROXY protocol 2", proxy_two, "PROXY protocol"),
        ("garbage", b"\x01\x02\x03\r\n\r\n".to_vec(), "no HTTP request"),
        ("a blank in the address", b"GET /alert/phone x HTTP/1.1\r\n\r\n".to_vec(), "no HTTP request"),
        ("a long address", long.into_bytes(), "address of the request is too long"),
        ("many headers", many.into_bytes(), "head of the request is too large"),
    ] {
        let mut line = Line::to(&addr).await;
        line.send(&bytes).await;
        let reply = Reply::parse(&line.end().await);
        assert_eq!(reply.for_the_app()["code"], 1, "{what}");
        assert!(reply.body.contains(said), "{what}: {}", reply.body);
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
    }
    // After an answer too, on the same connection.
    let mut line = Line::to(&addr).await;
    line.send(raw::request("GET", "/healthz", &addr, "")).await;
    assert_eq!(line.reply().await.unwrap().status, 200);
    line.send(b"\x01\x02\r\n\r\n").await;
    assert_eq!(line.reply().await.unwrap().for_the_app()["code"], 1);
    // A refusal of ours is not empty either.
    for (method, target) in [("POST", "/healthz"), ("DELETE", "/metrics"), ("PUT", "/assets/style.css")] {
        let reply = raw::ask(&addr, method, target).await;
        assert!(reply.status >= 400 && !reply.body.is_empty(), "{method} {target}: {reply:?}");
    }
}
