//! Who does not say which host they mean, over a socket by hand: refused at every door but those of phones.

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{A, Home, Server, on_both};
use crate::senders::key;

on_both!(
    who_names_no_host_is_refused_at_every_door,
    phones_are_answered_whatever_they_forget,
    who_names_no_host_is_given_no_call
);

/// What is said of the host, with the version of HTTP: nothing at all, two things, or nothing in words.
fn without_host(server: &Server) -> [(&'static str, String); 4] {
    let host = server.base.strip_prefix("http://").unwrap();
    [
        ("1.1", String::new()),
        ("1.1", format!("Host: {host}\r\nHost: {host}\r\n")),
        ("1.1", "Host: \r\n".to_owned()),
        ("1.0", String::new()),
    ]
}

/// Status and body of what a request gets that is written by hand.
async fn ask(server: &Server, method: &str, target: &str, version: &str, headers: &str, body: &str) -> (u16, String) {
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let request = format!("{method} {target} HTTP/{version}\r\n{headers}{length}Connection: close\r\n\r\n{body}");
    let mut stream = TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {request}: {reply:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn who_names_no_host_is_refused_at_every_door(home: Home) {
    let server = home.start().await;
    let key = key(&server, "zabbix", &[A]).await;
    let beat = json!({ "name": "backup", "period_seconds": 60, "phones": [A] });
    let beat = server.post("/api/v1/heartbeats", &beat).await.1["ping_path"].as_str().unwrap().to_owned();
    let gateway = json!({ "kind": "http", "method": "POST", "url": "https://sms.example.org/", "body": "{text}" });
    let gateway = server.post("/api/v1/sms/gateways", &json!({ "name": "sms", "settings": gateway })).await.1;
    let inbound = gateway["inbound_path"].as_str().unwrap();
    let keyed = format!("/k/{key}/api/v1/alarms");
    let alarm = json!({ "summary": "disk full", "phones": [A] }).to_string();
    let doors = [
        ("POST", "/api/v1/alarms", alarm.as_str()),
        ("POST", &keyed, &alarm),
        ("POST", "/api/v1/intake/alertmanager", "{}"),
        ("POST", "/api/v1/call", ""),
        ("POST", inbound, r#"{"from":"18712345678","text":"1"}"#),
        ("GET", &beat, ""),
        ("POST", &beat, ""),
        ("GET", "/api/v1/alarms", ""),
        ("GET", "/api/v1/openapi.json", ""),
        ("GET", "/api", ""),
        ("GET", "/", ""),
        ("GET", "/login", ""),
        ("POST", "/login", "name=x"),
        ("GET", "/handsets", ""),
        ("GET", "/calendar/x.ics", ""),
    ];
    let mut served = Vec::new();
    for (method, target, body) in doors {
        for (version, hosts) in without_host(&server) {
            for more in [String::new(), format!("X-Api-Key: {key}\r\n"), "Accept: text/html\r\n".to_owned()] {
                let (status, told) = ask(&server, method, target, version, &format!("{hosts}{more}"), body).await;
                // Barista's clients are refused in Barista's words.
                let word = if target == "/api/v1/call" { r#""success":"false""# } else { "no_host" };
                if status != 400 || !told.contains(word) {
                    served.push(format!("{method} {target} HTTP/{version} {hosts:?} {more:?}: {status} {told:.60}"));
                }
            }
        }
    }
    assert!(served.is_empty(), "{} of them get in:\n{}", served.len(), served.join("\n"));
    assert_eq!(server.get("/api/v1/alarms").await["alarms"], json!([]), "no alarm was taken");
    assert_eq!(server.items("/api/v1/heartbeats").await[0]["state"], "new");
    assert_eq!(server.items("/api/v1/sms/inbox").await, json!([]));
    let counted = server.page("/metrics").await;
    assert!(counted.contains("reason=\"no_host\""), "it is counted: {counted}");

    // With a Host, HTTP/1.0 is as good as any.
    let host = server.base.strip_prefix("http://").unwrap();
    let named = format!("Host: {host}\r\nX-Api-Key: {key}\r\n");
    assert_eq!(ask(&server, "POST", "/api/v1/alarms", "1.0", &named, &alarm).await.0, 201);
}

async fn who_names_no_host_is_given_no_call(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let mut served = Vec::new();
    for (version, hosts) in without_host(&server) {
        let headers = format!("{hosts}User-Agent: okhttp/3.10.0\r\n");
        for target in
            ["/alert/phone", "/alert/phone/", "/alert", "/h/desk", &desk, "/h/desk/outbox", "/k/x/alert/phone", "//alert/phone"]
        {
            for method in ["GET", "HEAD"] {
                let (status, told) = ask(&server, method, target, version, &headers, "").await;
                let told: Value = serde_json::from_str(&told).unwrap_or_default();
                if status != 400 || (method == "GET" && told["code"] != 1) {
                    served.push(format!("{method} {target} HTTP/{version} {hosts:?}: {status} {told}"));
                }
            }
        }
    }
    assert!(served.is_empty(), "{} of them are served:\n{}", served.len(), served.join("\n"));
    assert_eq!(server.state(&id).await, "waiting", "nobody was given it");
    let host = server.base.strip_prefix("http://").unwrap();
    let named = format!("Host: {host}\r\nUser-Agent: okhttp/3.10.0\r\n");
    assert!(ask(&server, "GET", &desk, "1.1", &named, "").await.1.contains("\"code\":0"));
}

/// The stock app dies of an answer without `code`; a balancer looks at the probes with HTTP/1.0.
async fn phones_are_answered_whatever_they_forget(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    for (version, hosts) in without_host(&server) {
        for target in ["/alert/phone", &desk, "/h/wrong/alert/phone"] {
            for (method, query) in [("GET", ""), ("POST", "?mid=60d536885fa2a8643fa4d3a0")] {
                let headers = format!("{hosts}User-Agent: okhttp/3.10.0\r\n");
                let (status, told) = ask(&server, method, &format!("{target}{query}"), version, &headers, "").await;
                let told: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{target} {status} {told}: {error}"));
                assert!(told["code"].is_i64() && !(300..400).contains(&status), "{method} {target}: {status} {told}");
            }
        }
        let (status, told) = ask(&server, "POST", "/?mid=60d536885fa2a8643fa4d3a0", version, &hosts, "").await;
        assert!(serde_json::from_str::<Value>(&told).is_ok_and(|told| told["code"].is_i64()), "{status} {told}");
        for probe in ["/healthz", "/metrics"] {
            assert_eq!(ask(&server, "GET", probe, version, &hosts, "").await.0, 200, "{probe}");
        }
        assert_ne!(ask(&server, "GET", "/readyz", version, &hosts, "").await.0, 400);
    }
}
