//! Scenario: who comes in without a token or key, and who only looks as if they might: from behind a proxy, from a web page, from next door.

use autocall_tests::described::Held as _;
use autocall_tests::{front::Proxy, process::Signal, server::Binary, wait::eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

use crate::{
    client::{Client, status_and_json},
    raw,
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";
/// A browser, and what it asks for when a page shows a picture.
const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const PICTURE: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";

on_both!(a_web_page_takes_no_alarm, right_tokens_are_let_in_after_wrong_ones);

async fn a_web_page_takes_no_alarm(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (addr, client) = (server.addr(), Client::new(&server));
    let id = client.raise_for(&[ZHANG]).await;
    let before = client.alarm(&id).await;
    let of_a_page = [
        ("Referer: http://evil.example/kittens\r\n".to_owned(), "Referer"),
        (format!("Accept: {PICTURE}\r\n"), "Accept"),
        ("Accept: text/html,application/xhtml+xml\r\n".to_owned(), "Accept"),
        (format!("User-Agent: {CHROME}\r\nAccept: */*\r\n"), "User-Agent"),
        ("Sec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: none\r\n".to_owned(), "User-Agent"),
    ];
    for (headers, why) in &of_a_page {
        let reply =
            raw::exchange(&addr, raw::request("GET", "/alert/phone", &addr, &format!("{headers}Connection: close\r\n"))).await;
        let told = reply.for_the_app();
        assert_eq!((reply.status, &told["code"]), (200, &json!(1)), "{headers}");
        assert!(told["msg"].as_str().unwrap().contains(why), "{told}");
    }
    assert_eq!(client.alarm(&id).await, before, "nothing was taken");

    // A phone whose program says that it is a browser: one press, and it is let in.
    let knocks = world.command(&["handset", "knocks"]).await;
    let knocks = String::from_utf8(knocks.stdout).unwrap();
    assert!(knocks.contains("127.0.0.1") && knocks.contains("Chrome"), "{knocks}");
    let allowed = world.command(&["handset", "allow", "127.0.0.1", "--model", "old tablet", "--name", "tablet"]).await;
    assert!(allowed.status.success(), "{allowed:?}");
    let tablet = format!("User-Agent: {CHROME}\r\nmodel: old tablet\r\nConnection: close\r\n");
    eventually("the tablet to be let in", SOON, async || {
        let reply = raw::exchange(&addr, raw::request("GET", "/alert/phone", &addr, &tablet)).await;
        (reply.for_the_app()["phone"] == json!([ZHANG, ZHANG]) || reply.for_the_app()["phone"] == json!([ZHANG])).then_some(())
    })
    .await;

    // Programs are not concerned, nor is the path with a token.
    for agent in ["okhttp/3.10.0", "curl/8.5.0", "Dalvik/2.1.0 (Linux; U; Android 9; MI 8)"] {
        let headers = format!("User-Agent: {agent}\r\nAccept: */*\r\nmodel: x\r\nConnection: close\r\n");
        let told = raw::exchange(&addr, raw::request("GET", "/alert/phone", &addr, &headers)).await.for_the_app();
        assert_eq!(told, json!({ "code": 1, "msg": "无告警" }), "{agent}");
    }
    let paired = pair(&world, "desk").await;
    eventually("the token to be known", SOON, async || {
        let reply =
            raw::exchange(&addr, raw::request("GET", &paired, &addr, &format!("{}Connection: close\r\n", of_a_page[3].0))).await;
        (reply.for_the_app() == json!({ "code": 1, "msg": "无告警" })).then_some(())
    })
    .await;
}

pub async fn pair(world: &World, name: &str) -> String {
    let output = world.command(&["handset", "add", "--name", name]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, path) = said.split_once("/h/").unwrap_or_else(|| panic!("{said}"));
    format!("/h/{}", path.split_whitespace().next().unwrap())
}

/// Somebody next door tries tokens, and the server has just been started: it has seen none of the good ones.
async fn right_tokens_are_let_in_after_wrong_ones(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let path = pair(&world, "desk").await;
    let key = String::from_utf8(world.command(&["key", "add", "--name", "zabbix"]).await.stdout).unwrap();
    let key = key.split_whitespace().find(|word| word.starts_with("ak_")).unwrap().to_owned();
    let heartbeat =
        post(&client, "/api/v1/heartbeats", &json!({ "name": "backup", "every_seconds": 60, "phones": [ZHANG] })).await;
    let gateway = json!({ "name": "sms", "kind": "webhook", "url": "https://sms.example.org/", "body": "{text}", "content_type": "text/plain" });
    let gateway = post(&client, "/api/v1/sms/gateways", &gateway).await;
    let of = |made: &Value| {
        let mut found = made.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        found.find_map(|text| text.find("/api/v1/").map(|at| text[at..].to_owned()))
    };
    let tokens = [of(&heartbeat), of(&gateway)];
    server.restart().await;

    let addr = server.addr();
    let mut refused = 0;
    for number in 0..30 {
        for target in [
            format!("/h/wrong{number}/alert/phone"),
            format!("/api/v1/alarms?key=ak_{number}"),
            format!("/api/v1/heartbeat/hb_{number}"),
        ] {
            let reply = raw::ask(&addr, "GET", &target).await;
            refused += usize::from(reply.status == 429);
            assert!([401, 404, 429].contains(&reply.status), "{reply:?}");
            if reply.status == 429 && !target.starts_with("/h/") {
                assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 0), "{reply:?}");
            }
        }
    }
    assert_eq!(refused, 70, "20 are told that they are wrong, the others to stop");
    assert_eq!(raw::ask(&addr, "GET", &path).await.for_the_app(), json!({ "code": 1, "msg": "无告警" }));
    assert_eq!(raw::ask(&addr, "GET", &format!("/api/v1/alarms?key={key}")).await.status, 200);
    for token in tokens.into_iter().flatten() {
        let reply = raw::ask(&addr, "POST", &token).await;
        assert!(![401, 429].contains(&reply.status), "{token}: {reply:?}");
    }
    assert!(server.log().contains("many wrong keys or tokens come from this address"), "{}", server.log());
}

async fn post(client: &Client, address: &str, body: &Value) -> Value {
    let request = client.request(Method::POST, address).header("Content-Type", "application/json").body(body.to_string());
    status_and_json(request.sent().await.unwrap()).await.1
}

/// The first example of that language in the document about operating.
fn example(language: &str) -> String {
    examples(language).remove(0)
}

/// All examples of that language in the document about operating.
pub fn examples(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md")).unwrap();
    let blocks: Vec<String> =
        text.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "no {language} in docs/operating.md");
    blocks
}

/// The status of a GET from this local address, through `addr`.
async fn get_from(source: &str, addr: &str, target: &str, key: Option<&str>) -> u16 {
    let http =
        autocall_tests::http_client().no_proxy().local_address(source.parse::<std::net::IpAddr>().unwrap()).build().unwrap();
    let mut request = http.get(format!("http://{addr}{target}"));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    request.sent().await.unwrap().status().as_u16()
}

/// The shortest configuration that everybody writes first: no header says that there is a proxy.
#[tokio::test]
async fn behind_a_plain_nginx_nobody_is_local() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let nginx =
        Proxy::nginx(&format!("server {{ listen 127.0.0.1:PORT; location / {{ proxy_pass http://{}; }} }}", server.addr())).await;
    let list = raw::ask(&nginx.addr, "GET", "/api/v1/alarms").await;
    assert_eq!(list.status, 401, "{list:?}");
    for told in ["http.trusted_proxies", "http.open_networks", "HTTP/1.0"] {
        assert!(list.body.contains(told), "{told}: {list:?}");
    }
    let poll = raw::ask(&nginx.addr, "GET", "/alert/phone").await;
    assert_eq!((poll.status, &poll.for_the_app()["code"]), (403, &json!(1)));
    assert!(poll.body.contains("http.trusted_proxies"), "{poll:?}");
    assert_eq!(client.alarm(&id).await["state"], "waiting");
    assert_eq!(raw::ask(&server.addr(), "GET", "/api/v1/alarms").await.status, 200, "on this computer itself nothing changes");
}

/// The same for each thing in the configuration that says that there is a proxy, also when it speaks HTTP/1.1.
#[tokio::test]
async fn a_configuration_that_speaks_of_a_proxy_closes_this_computer() {
    let url = "AUTOCALL_HTTP_PUBLIC_URL";
    for (name, value, closed) in [
        (url, "https://alerts.example.org", true),
        (url, "http://alerts.example.org", true),
        ("AUTOCALL_HTTP_TRUSTED_PROXIES", "10.0.0.7", true),
        ("AUTOCALL_HTTP_HOSTS", "alerts.example.org", false),
    ] {
        let world = World::new(Engine::Sqlite).await;
        let server = Binary::spawn(world.options().env(name, value)).await;
        let reply = raw::ask(&server.addr(), "GET", "/api/v1/alarms").await;
        assert_eq!(reply.status, if closed { 401 } else { 200 }, "{name}={value}: {reply:?}");
        assert_eq!(server.log().contains("a reverse proxy seems to stand in front"), closed, "{}", server.log());
        if closed {
            assert!(reply.body.contains("http.open_networks"), "{reply:?}");
            let listed = world.options().env(name, value).env("AUTOCALL_HTTP_OPEN_NETWORKS", "127.0.0.0/8");
            drop(server);
            let server = Binary::spawn(listed).await;
            assert_eq!(raw::ask(&server.addr(), "GET", "/api/v1/alarms").await.status, 200, "{name}: the configuration lists it");
        }
    }
    let world = World::new(Engine::Sqlite).await;
    let server = Binary::launch(world.options());
    let own = format!("http://alerts.example.org:{}", server.addr().rsplit_once(':').unwrap().1);
    drop(server);
    let mut server = Binary::launch(world.options().env(url, own));
    server.wait_until_healthy().await;
    // The tests' servers listen on this computer alone: whoever has another address for them has a proxy.
    assert_eq!(raw::ask(&server.addr(), "GET", "/api/v1/alarms").await.status, 401);
}

/// nginx and Caddy as the documents show them: a stranger is a stranger, a key is let in, and pages work.
#[tokio::test]
async fn the_documented_proxies_work() {
    for kind in ["nginx", "caddy"] {
        let world = World::new(Engine::Sqlite).await;
        let server = Binary::spawn(world.options().env("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1,::1")).await;
        let key = String::from_utf8(world.command(&["key", "add", "--name", "zabbix"]).await.stdout).unwrap();
        let key = key.split_whitespace().find(|word| word.starts_with("ak_")).unwrap().to_owned();
        let text = example(kind).replace("127.0.0.1:8080", &server.addr());
        let proxy = match kind {
            "nginx" => {
                let lines = text.lines().filter(|line| !line.contains("ssl_certificate"));
                let text: String = lines.map(|line| line.replace("443 ssl", "127.0.0.1:PORT") + "\n").collect();
                Proxy::nginx(&text).await
            }
            _ => Proxy::caddy(&text.replace("alerts.example.org", "http://127.0.0.1:PORT")).await,
        };
        // 127.0.0.9 stands for somebody out there: it is no proxy of ours.
        for source in ["127.0.0.1", "127.0.0.9"] {
            let status = get_from(source, &proxy.addr, "/api/v1/alarms", None).await;
            assert!([401, 403].contains(&status), "{kind} from {source}: {status}");
            assert_eq!(get_from(source, &proxy.addr, "/api/v1/alarms", Some(&key)).await, 200, "{kind} from {source}");
        }
        let page =
            raw::exchange(&proxy.addr, raw::request("GET", "/login", &proxy.addr, "Accept: text/html\r\nConnection: close\r\n"))
                .await;
        assert_eq!(page.status, 200, "{kind}: {page:?}");
        let path = pair(&world, "desk").await;
        eventually("the phone to be served", SOON, async || {
            (raw::ask(&proxy.addr, "GET", &path).await.status == 200).then_some(())
        })
        .await;
    }
}

/// A terminal that is closed, or a script that rotates logs, must not end a server that wakes people.
#[tokio::test]
async fn only_those_signals_stop_the_server_that_mean_it() {
    let world = World::new(Engine::Sqlite).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    for (signal, name) in [(Signal::HangUp, "SIGHUP"), (Signal::UserOne, "SIGUSR1"), (Signal::UserTwo, "SIGUSR2")] {
        server.signal(signal);
        eventually("the signal to be heard", SOON, async || {
            assert!(server.is_running(), "{name} ends it:\n{}", server.log());
            server.log().contains(name).then_some(())
        })
        .await;
        assert_eq!(client.readyz().await["status"], "ready");
    }
    client.alarm_is_answered(ZHANG).await;
    server.signal(Signal::Quit);
    let status = server.wait().await;
    assert!(
        status.success() && server.log().trim_end().ends_with("stopped"),
        "SIGQUIT stops it in order: {status}\n{}",
        server.log()
    );
}

#[tokio::test]
async fn failed_logins_are_in_the_log() {
    let world = World::new(Engine::Sqlite).await;
    let server = world.serve().await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let login = format!("{}/login", server.url());
    let page = http.get(&login).header("accept", "text/html").sent().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let text = page.text().await.unwrap();
    let token = text.split_once("name=\"form_token\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let body: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("name", "hunter2 is my password"), ("password", "x"), ("form_token", &token)])
        .finish();
    let form = http.post(&login).header("accept", "text/html").header("cookie", cookie);
    let answer = form.header("content-type", "application/x-www-form-urlencoded").body(body).sent().await.unwrap();
    assert_eq!(answer.status(), 401);
    let log = server.log();
    assert!(log.contains("a login failed") && log.contains("127.0.0.1"), "{log}");
    assert!(!log.contains("hunter2"), "a password in the wrong field: {log}");
}
