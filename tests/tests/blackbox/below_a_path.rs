//! Scenario: the server stands below a path of somebody else's host, behind a proxy that leaves the path in the requests or takes it away.

use autocall_tests::{front::Proxy, server::Binary, wait::eventually};
use reqwest::{RequestBuilder, Response, redirect::Policy};
use serde_json::{Value, json};

use crate::doors::{examples, pair};
use crate::raw;
use crate::world::{Engine, SOON, World};

const ZHANG: &str = "18712345678";
const PASSWORD: &str = "correct horse battery";

/// nginx and Caddy as the documents show them, each leaving the path and taking it away.
async fn proxy(kind: &str, server: &str) -> Proxy {
    let whole = |text: &str| text.replace("127.0.0.1:8080", server).replace("ops.example.org", "http://127.0.0.1:PORT");
    match kind {
        "nginx that leaves it" | "nginx that takes it away" => {
            let text = examples("nginx").remove(1);
            let lines = text.lines().filter(|line| !line.contains("ssl_certificate") && !line.contains("server_name"));
            let text: String = lines.map(|line| line.replace("443 ssl", "127.0.0.1:PORT") + "\n").collect();
            let text = if kind.ends_with("away") { text.replace(":8080;", ":8080/;") } else { text };
            // As a browser says it, with its port.
            Proxy::nginx(&text.replace("127.0.0.1:8080", server).replace("$host", "$http_host")).await
        }
        "Caddy that takes it away" => Proxy::caddy(&whole(&examples("caddy").remove(1))).await,
        _ => Proxy::caddy(&whole(&examples("caddy").remove(1)).replace("handle_path", "handle")).await,
    }
}

/// Somebody with a browser, who keeps the cookies whose path fits.
struct Browser {
    http: reqwest::Client,
    addr: String,
    cookies: Vec<(String, String)>,
}

impl Browser {
    async fn send(&mut self, path: &str, request: RequestBuilder) -> Response {
        let fits = |own: &&(String, String)| path == own.0 || path.starts_with(&format!("{}/", own.0.trim_end_matches('/')));
        let cookies: Vec<&str> = self.cookies.iter().filter(fits).map(|(_, cookie)| cookie.as_str()).collect();
        let response = request.header("accept", "text/html").header("cookie", cookies.join("; ")).send().await.unwrap();
        for line in response.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let below = line.split_once("Path=").unwrap().1.split(';').next().unwrap();
            assert_eq!(below, "/autocall", "others on this host are told nothing: {line}");
            self.cookies.push((below.to_owned(), line.split(';').next().unwrap().to_owned()));
        }
        response
    }

    async fn get(&mut self, path: &str) -> Response {
        let request = self.http.get(format!("http://{}{path}", self.addr));
        self.send(path, request).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(format!("http://{}{path}", self.addr));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.send(path, request).await
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

fn location(response: &Response) -> &str {
    response.headers()["location"].to_str().unwrap()
}

/// Every address of ours in this markup.
fn addresses(markup: &str) -> Vec<&str> {
    let attributes = ["href=\"/", "src=\"/", "action=\"/", "data-live=\"/"];
    let starts = attributes.iter().flat_map(|own| markup.match_indices(own).map(|(at, found)| at + found.len() - 1));
    starts.map(|at| markup[at..].split('"').next().unwrap()).collect()
}

fn assert_below(markup: &str) {
    let found = addresses(markup);
    assert!(found.len() > 2, "{markup}");
    for address in found {
        assert!(address.starts_with("/autocall/"), "{address} leads out of it");
    }
}

#[tokio::test]
async fn nginx_leaves_the_path() {
    everything_works_behind("nginx that leaves it").await;
}

#[tokio::test]
async fn nginx_takes_the_path_away() {
    everything_works_behind("nginx that takes it away").await;
}

#[tokio::test]
async fn caddy_leaves_the_path() {
    everything_works_behind("Caddy that leaves it").await;
}

#[tokio::test]
async fn caddy_takes_the_path_away() {
    everything_works_behind("Caddy that takes it away").await;
}

async fn everything_works_behind(kind: &str) {
    let world = World::new(Engine::Sqlite).await;
    let options = world.options().env("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1,::1");
    let server = Binary::spawn(options.env("AUTOCALL_HTTP_PUBLIC_URL", "https://ops.example.org/autocall/")).await;
    assert!(!server.log().contains("do not work"), "{}", server.log());
    let file = server.data_dir().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let added =
        world.command(&["user", "add", "--name", "lin", "--role", "admin", "--password-file", file.to_str().unwrap()]).await;
    assert!(added.status.success(), "{added:?}");
    let key = String::from_utf8(world.command(&["key", "add", "--name", "zabbix"]).await.stdout).unwrap();
    let key = key.split_whitespace().find(|word| word.starts_with("ak_")).unwrap().to_owned();
    let phone = pair(&world, "desk").await;
    let proxy = proxy(kind, &server.addr()).await;
    let http = autocall_tests::http_client().no_proxy().redirect(Policy::none()).build().unwrap();
    let mut browser = Browser { http: http.clone(), addr: proxy.addr.clone(), cookies: Vec::new() };

    // Whoever comes is sent to the login, logs in, and is sent on.
    let first = browser.get("/autocall/").await;
    assert_eq!((first.status().as_u16(), location(&first)), (303, "/autocall/login"), "{kind}");
    let login = browser.get("/autocall/login").await.text().await.unwrap();
    assert_below(&login);
    let style = browser.get(between(&login, "rel=\"stylesheet\" href=\"", "\"")).await;
    assert_eq!((style.status().as_u16(), &style.headers()["content-type"]), (200, &"text/css; charset=utf-8".parse().unwrap()));
    let token = between(&login, "name=\"form_token\" value=\"", "\"").to_owned();
    let fields = [("name", "lin"), ("password", PASSWORD), ("form_token", token.as_str())];
    let entered = browser.post(between(&login, "action=\"", "\""), &fields).await;
    assert_eq!((entered.status().as_u16(), location(&entered)), (303, "/autocall/"), "{kind}");

    let empty = browser.get("/autocall/").await.text().await.unwrap();
    assert!(empty.contains(&format!("curl http://{}/autocall/api/v1/alarms", proxy.addr)), "{kind}: {empty}");

    // A sender is told where its alarm is.
    let alarm = json!({ "summary": "disk full on db1", "phones": [ZHANG] });
    let raised = http.post(format!("http://{}/autocall/api/v1/alarms", proxy.addr)).bearer_auth(&key).json(&alarm);
    let raised = raised.send().await.unwrap();
    assert_eq!(raised.status(), 201, "{kind}");
    let shown = format!("http://{}{}", proxy.addr, location(&raised));
    let alarm: Value = http.get(&shown).bearer_auth(&key).send().await.unwrap().json().await.unwrap();
    assert_eq!(alarm["summary"], "disk full on db1", "{shown}");
    let document = http.get(format!("http://{}/autocall/api/v1/openapi.json", proxy.addr)).send().await.unwrap();
    assert_eq!(document.json::<Value>().await.unwrap()["servers"][0]["url"], "/autocall");

    // Pages, and what changes on them.
    let now = browser.get("/autocall/").await.text().await.unwrap();
    assert!(now.contains("disk full on db1"), "{kind}: {now}");
    assert_below(&now);
    let mut news = browser.get(between(&now, "data-live=\"", "\"")).await;
    let mut heard = String::new();
    while !heard.contains("disk full on db1") {
        let more = tokio::time::timeout(SOON, news.chunk()).await.unwrap_or_else(|_| panic!("{kind}: {heard}"));
        heard.push_str(std::str::from_utf8(&more.unwrap().unwrap()).unwrap());
    }
    assert_below(&heard.replace("\\\"", "\""));
    let missing = browser.get("/autocall/nowhere").await;
    assert_eq!(missing.status(), 404);
    assert_below(&missing.text().await.unwrap());

    // A press on a page, and where it leads.
    let id = alarm["id"].as_str().unwrap();
    let page = browser.get(&format!("/autocall/alarms/{id}")).await.text().await.unwrap();
    let token = between(&page, "name=\"form_token\" value=\"", "\"").to_owned();
    let press = between(&page, "<form id=\"take\" method=\"post\" action=\"", "\"").to_owned();
    let taken = browser.post(&press, &[("form_token", &token), ("alarm", id)]).await;
    assert_eq!(taken.status(), 303, "{kind}: {press}");
    assert!(location(&taken).starts_with(&format!("/autocall/alarms/{id}")), "{}", location(&taken));
    let again = browser.get(location(&taken).to_owned().as_str()).await;
    assert_eq!(again.status(), 200);

    // What pages show to be typed elsewhere.
    let handsets = browser.get("/autocall/people").await.text().await.unwrap();
    let token = between(&handsets, "name=\"form_token\" value=\"", "\"").to_owned();
    let paired = browser.post("/autocall/handsets/add", &[("form_token", &token), ("name", "shed")]).await.text().await.unwrap();
    assert!(paired.contains("/alert/phone"), "{paired}");

    // A phone polls and reports below the path, and without it at the port itself.
    let id = raise(&http, &proxy.addr, &key).await;
    let below = format!("/autocall{phone}");
    let mid = eventually("a number to dial", SOON, async || {
        let told: Value = serde_json::from_str(&raw::ask(&proxy.addr, "GET", &below).await.body).ok()?;
        (told["phone"] == json!([ZHANG])).then(|| told["mid"].as_str().unwrap().to_owned())
    })
    .await;
    let at_the_port = raw::ask(&server.addr(), "GET", &phone).await.for_the_app();
    let with_the_path = raw::ask(&server.addr(), "GET", &below).await.for_the_app();
    assert_eq!((&at_the_port["mid"], &with_the_path["mid"]), (&json!(mid), &json!(mid)), "{kind}");
    let reported = raw::ask(&proxy.addr, "POST", &format!("{below}?resp={ZHANG}&mid={mid}")).await;
    assert_eq!(reported.body, r#"{"code":0}"#, "{kind}");
    let shown = http.get(format!("http://{}/autocall/api/v1/alarms/{id}", proxy.addr)).bearer_auth(&key).send().await.unwrap();
    assert_eq!(shown.json::<Value>().await.unwrap()["state"], "answered");
}

async fn raise(http: &reqwest::Client, addr: &str, key: &str) -> String {
    let alarm = json!({ "summary": "and another", "phones": [ZHANG] });
    let raised = http.post(format!("http://{addr}/autocall/api/v1/alarms")).bearer_auth(key).json(&alarm).send().await.unwrap();
    raised.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}
