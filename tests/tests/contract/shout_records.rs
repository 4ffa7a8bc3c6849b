//! Who reads what became of shouts: their detail records, their calls and their alarms are for the key that sent them.

use autocall::engine::Doer;
use autocall::keep::keys;
use autocall::rights::{Right, Rights};
use autocall_tests::described::Held as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::shouts::{ask, calls, get, key, one_call, shout, speaker};

on_both!(
    records_are_read_by_the_key_that_made_them,
    calls_of_shouts_are_shown_to_their_key_alone,
    a_repeat_is_answered_in_the_same_bytes,
    their_addresses_are_described,
);

/// Asks as `key`, held against the description; gives status and text.
async fn read(server: &Server, key: &str, path: &str) -> (u16, String) {
    let request = server.http.get(format!("{}{path}", server.base));
    let request = if key.is_empty() { request } else { request.bearer_auth(key) };
    let answer = request.sent().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn items(server: &Server, key: &str, path: &str) -> Vec<Value> {
    let (status, text) = read(server, key, path).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

/// A key that reads and acts, and neither sends shouts nor commands calls.
async fn plain(server: &Server) -> String {
    let (store, region) = (&server.app.engine.store, server.home.config().default_region);
    store
        .carry_out(server.now(), Doer::Server, async |work| {
            keys::add_with(work, "plain", &[], &Rights::of([Right::Operate]), region).await
        })
        .await
        .unwrap()
}

async fn records_are_read_by_the_key_that_made_them(home: Home) {
    let server = home.start().await;
    let (mine, other, trunk) = (key(&server, "mine").await, key(&server, "other").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &mine, &[A, B], json!({ "title": "Storm" })).await;
    for outcome in ["answered", "busy"] {
        one_call(&server, &trunk, outcome).await;
    }
    server.pass(60).await;
    let later = shout(&server, &mine, &["nobody"], json!({})).await;
    let ids: Vec<i64> = get(&server, &mine, &format!("/api/v1/calls?shout-id={id}"))
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].as_i64().unwrap())
        .collect();
    let first = format!(
        r#"{{"message":{id},"to_number":"{A}","sid":"","duration":9,"status":"completed","created":"2026-11-20T03:00:00Z","started":"2026-11-20T03:00:00Z","finished":"2026-11-20T03:00:00Z","q850":0,"num_retries":0,"pk":{}}}"#,
        ids[0]
    );
    let (status, page) = read(&server, &mine, "/api/v1/shout-records?kind=cdr&limit=1").await;
    assert_eq!(status, 200);
    assert!(page.starts_with(&format!(r#"{{"items":[{first}],"next_cursor":""#)), "key by key as in the files: {page}");
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = read(&server, &mine, &format!("/api/v1/shout-records?kind=cdr&limit=2{cursor}")).await.1;
        let page: Value = serde_json::from_str(&page).unwrap();
        all.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let told: Vec<(i64, &str)> =
        all.iter().map(|line| (line["message"].as_i64().unwrap(), line["status"].as_str().unwrap())).collect();
    assert_eq!(told, [(id, "completed"), (id, "busy"), (later, "failed")], "oldest first");
    let since = items(&server, &mine, "/api/v1/shout-records?kind=cdr&starts_at=2026-11-20T03:00:30Z").await;
    assert_eq!((since.len(), &since[0]["message"]), (1, &json!(later)));
    let bdr = items(&server, &mine, "/api/v1/shout-records?kind=bdr").await;
    assert_eq!((bdr.len(), &bdr[0]["title"], &bdr[1]["pk"]), (2, &json!("Storm"), &json!(later)));
    let plain = plain(&server).await;
    for kind in ["bdr", "cdr", "rec"] {
        let path = format!("/api/v1/shout-records?kind={kind}");
        assert_eq!(items(&server, &other, &path).await, Vec::<Value>::new(), "{kind}");
        for stranger in [plain.as_str(), ""] {
            let (status, text) = read(&server, stranger, &path).await;
            assert_eq!((status, serde_json::from_str::<Value>(&text).unwrap()["code"].clone()), (403, json!("key_may_not")));
        }
    }
    assert_eq!(items(&server, &mine, "/api/v1/shout-records").await, all, "what most ask for");
    for (query, parameter) in [("?kind=all", "kind"), ("?kind=cdr&limit=0", "limit"), ("?kind=cdr&cursor=x", "cursor")] {
        let (status, text) = read(&server, &mine, &format!("/api/v1/shout-records{query}")).await;
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &told["errors"][0]["parameter"]), (422, &json!(parameter)), "{text}");
    }
}

async fn calls_of_shouts_are_shown_to_their_key_alone(home: Home) {
    let server = home.start().await;
    let (mine, other, trunk) = (key(&server, "mine").await, key(&server, "other").await, speaker(&server, "trunk", 1).await);
    let plain = plain(&server).await;
    let id = shout(&server, &mine, &[A], json!({})).await;
    one_call(&server, &trunk, "answered").await;
    server.raise(&[B], json!({})).await;
    one_call(&server, &trunk, "busy").await;
    assert_eq!(calls(&server, &mine, id).await, ["completed"]);
    let records = items(&server, &mine, "/api/v1/call-records").await;
    assert_eq!(records.len(), 2);
    let of_shout = records.iter().find(|record| record["kind"] == "shout").unwrap();
    let own = items(&server, &mine, "/api/v1/call-records?kind=shout").await;
    assert_eq!((own.len(), &own[0]), (1, of_shout));
    let record = format!("/api/v1/call-records/{}", of_shout["id"]);
    assert_eq!(read(&server, &mine, &record).await.0, 200);
    let alarms = items(&server, &mine, "/api/v1/alarms?kind=shout").await;
    let alarm = format!("/api/v1/alarms/{}", alarms[0]["id"].as_str().unwrap());
    assert_eq!((alarms.len(), read(&server, &mine, &alarm).await.0), (1, 200));
    for stranger in [other.as_str(), plain.as_str(), ""] {
        let seen = items(&server, stranger, "/api/v1/call-records").await;
        assert!(seen.len() == 1 && seen[0]["kind"] == "alarm", "{seen:?}");
        for list in ["/api/v1/call-records?kind=shout", "/api/v1/alarms?kind=shout"] {
            assert_eq!(items(&server, stranger, list).await, Vec::<Value>::new(), "{list}");
        }
        assert_eq!(items(&server, stranger, "/api/v1/alarms?kind=shout&kind=alarm").await.len(), 1);
        for one in [&record, &alarm] {
            assert_eq!(read(&server, stranger, one).await.0, 404, "{one}");
        }
        for (path, body) in [(format!("{record}/commands"), json!({ "do": "drop" })), (format!("{alarm}/cancel"), json!({}))] {
            assert_eq!(ask(&server, stranger, Method::POST, &path, Some(&body)).await.0, 404, "{path}");
        }
    }
}

async fn a_repeat_is_answered_in_the_same_bytes(home: Home) {
    let server = home.start().await;
    let key = key(&server, "blast").await;
    let body = json!({ "userdata": "u1", "caller": C, "recipients": [A], "message": "Hello" });
    let mut told = Vec::new();
    for _ in 0..2 {
        let request = server.http.post(format!("{}/api/v1/shouts", server.base)).bearer_auth(&key);
        let answer = request.header("Idempotency-Key", "once").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        told.push(answer.text().await.unwrap());
    }
    assert!(told[0].starts_with("{\"id\":"), "{told:?}");
    assert_eq!(told[0], told[1], "the order of the keys is part of what is answered");
    assert_eq!(get(&server, &key, "/api/v1/shouts?userdata=u1").await.as_array().unwrap().len(), 1);
}

async fn their_addresses_are_described(home: Home) {
    let server = home.start().await;
    for path in ["/docs", "/docs/"] {
        let answer = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (308, "/api"), "{path}");
    }
    let page = server.http.get(format!("{}/api", server.base)).send().await.unwrap().text().await.unwrap();
    for path in ["/api/v1/shouts", "/api/v1/shouts/{id};cancel", "/api/v1/calls", "/api/v1/dnc/{userdata}/{number}"] {
        assert!(page.contains(path), "{path}");
    }
    let key = key(&server, "blast").await;
    for (method, path, allowed) in [
        (Method::GET, "/api/v1/shouts/1;cancel", "DELETE, OPTIONS"),
        (Method::DELETE, "/api/v1/shouts/1", "GET, OPTIONS"),
        (Method::HEAD, "/api/v1/dnc/u1/18712345678", "DELETE, OPTIONS"),
    ] {
        let request = server.http.request(method, format!("{}{path}", server.base)).bearer_auth(&key);
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, allowed), "{path}");
    }
}
