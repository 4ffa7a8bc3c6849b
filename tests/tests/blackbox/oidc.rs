//! Scenario: people log in by a provider that others wrote, which checks PKCE; the provider goes, comes back, and hangs.

use std::collections::BTreeMap;

use autocall_tests::oidc::{Independent, Silent};
use autocall_tests::server::{Binary, ServeOptions};
use reqwest::redirect::Policy;
use serde_json::json;

use crate::client::Client;
use crate::world::{Engine, World, on_both};

const PASSWORD: &str = "correct horse battery";

on_both!(people_come_in_by_a_provider_of_others, one_that_hangs_holds_nobody);

/// Somebody with a browser: keeps cookies, and follows no redirect unasked.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookies: BTreeMap<String, String>,
}

struct Page {
    status: u16,
    location: String,
    body: String,
}

impl Browser {
    fn new(server: &Binary) -> Self {
        let http = autocall_tests::http_client().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, base: server.url(), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header("accept", "text/html").header("cookie", cookies.join("; ")).send().await.unwrap();
        for line in response.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax"), "{line}");
            let (name, rest) = line.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
        }
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
        Page { status: response.status().as_u16(), location, body: response.text().await.unwrap() }
    }

    async fn get(&mut self, address: &str) -> Page {
        let whole = if address.starts_with("http://") { address.to_owned() } else { format!("{}{address}", self.base) };
        let request = self.http.get(whole);
        self.send(request).await
    }

    async fn log_in_by_password(&mut self, name: &str) -> u16 {
        let login = self.get("/login").await.body;
        let token = between(&login, "name=\"form_token\" value=\"", "\"").to_owned();
        let fields = [("name", name), ("password", PASSWORD), ("form_token", &token)];
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(format!("{}/login", self.base));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.send(request).await.status
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

fn options(world: &World, issuer: &str) -> ServeOptions {
    world
        .options()
        .env("AUTOCALL_IDENTITY_ISSUER", issuer)
        .env("AUTOCALL_IDENTITY_CLIENT_ID", "autocall")
        .env("AUTOCALL_IDENTITY_CLIENT_SECRET_FILE", world.file("secret", "hush hush\n"))
        .env("AUTOCALL_IDENTITY_PROVIDER_NAME", "the mock")
        .env("AUTOCALL_IDENTITY_ROLES_CLAIM", "realm_access.roles")
        .env("AUTOCALL_IDENTITY_ROLES", "oncall = responder, chiefs = admin")
}

async fn add_boss(world: &World) {
    let file = world.file("password", PASSWORD);
    let added = world.command(&["user", "add", "--name", "boss", "--role", "admin", "--password-file", &file]).await;
    assert!(added.status.success(), "{added:?}");
}

/// All the way: from the button to the page that was wanted.
async fn come_in(browser: &mut Browser, provider: &Independent, subject: &str) -> Page {
    let begun = browser.get("/login/oidc?next=%2Fhandsets").await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let back = provider.press(&begun.location, &[("sub", subject)]).await;
    browser.get(&back).await
}

async fn people_come_in_by_a_provider_of_others(engine: Engine) {
    let world = World::new(engine).await;
    let provider = Independent::start().await;
    let port = provider.port();
    add_boss(&world).await;
    let server = Binary::spawn(options(&world, &provider.issuer())).await;
    provider.knows("17", &json!({ "preferred_username": "lin", "realm_access": { "roles": ["oncall", "x"] } })).await;
    let mut lin = Browser::new(&server);
    let page = come_in(&mut lin, &provider, "17").await;
    assert_eq!((page.status, page.location.as_str()), (303, "/handsets"), "{}\n{}", page.body, provider.said());
    let page = lin.get("/handsets").await;
    assert!(page.status == 200 && page.body.contains("lin") && page.body.contains("<small>responder</small>"), "{}", page.body);
    assert_eq!(lin.get("/users").await.status, 403);

    // Another role, and none.
    provider.knows("17", &json!({ "preferred_username": "lin", "realm_access": { "roles": ["chiefs"] } })).await;
    let mut chief = Browser::new(&server);
    assert_eq!(come_in(&mut chief, &provider, "17").await.status, 303);
    assert_eq!(chief.get("/users").await.status, 200);
    provider.knows("17", &json!({ "preferred_username": "lin" })).await;
    let refused = come_in(&mut Browser::new(&server), &provider, "17").await;
    assert!(refused.status == 403 && refused.body.contains("gives you a role here"), "{}", refused.body);
    assert_eq!(chief.get("/handsets").await.status, 303, "what was open is over");

    // They press the other button.
    let mut other = Browser::new(&server);
    let begun = other.get("/login/oidc").await;
    let back = provider.press(&begun.location, &[("action", "deny")]).await;
    assert!(other.get(&back).await.status >= 400);

    // A code that was spent is of no use, neither here nor there; one for another login is not taken for this one.
    provider.knows("17", &json!({ "preferred_username": "lin", "realm_access": { "roles": ["oncall"] } })).await;
    let begun = other.get("/login/oidc").await;
    let back = provider.press(&begun.location, &[("sub", "17")]).await;
    let stolen = between(&format!("{back}&"), "code=", "&").to_owned();
    let mut thief = Browser::new(&server);
    let begun = thief.get("/login/oidc").await;
    let own = provider.press(&begun.location, &[("sub", "17")]).await;
    let code = between(&format!("{own}&"), "code=", "&").to_owned();
    let page = thief.get(&own.replace(&code, &stolen)).await;
    assert!(page.status == 401 && page.body.contains("could not be accepted"), "PKCE binds a code to its login: {}", page.body);

    // The provider goes. Whoever is in stays, phones poll, passwords go on, and the page says it.
    let mut lin = Browser::new(&server);
    assert_eq!(come_in(&mut lin, &provider, "17").await.status, 303);
    drop(provider);
    let client = Client::new(&server);
    let page = await_away(&server).await;
    assert!(page.body.contains("the mock cannot be reached") && page.body.contains("name=\"password\""), "{}", page.body);
    assert_eq!(lin.get("/handsets").await.status, 200);
    client.raise_for(&["18712345678"]).await;
    let mut boss = Browser::new(&server);
    assert_eq!(boss.log_in_by_password("boss").await, 303);
    assert!(boss.get("/users").await.body.contains("Logs in by: the mock"));

    // And comes back, with other keys.
    let provider = Independent::start_at(port).await;
    provider.knows("17", &json!({ "preferred_username": "lin", "realm_access": { "roles": ["oncall"] } })).await;
    autocall_tests::wait::eventually("people to come in again", crate::world::SOON, async || {
        let mut browser = Browser::new(&server);
        let begun = browser.get("/login/oidc?next=%2Fhandsets").await;
        if begun.status != 303 {
            return None;
        }
        let back = provider.press(&begun.location, &[("sub", "17")]).await;
        (browser.get(&back).await.status == 303).then_some(())
    })
    .await;
    let log = server.log();
    for secret in ["hush hush", "eyJ", &stolen, &code] {
        assert!(!log.contains(secret), "the log tells {secret}");
    }
    assert!(log.contains("cannot be reached") || log.contains("cannot log in by the provider"), "{log}");
}

/// What was read of the provider a moment ago holds for a while.
async fn await_away(server: &Binary) -> Page {
    autocall_tests::wait::eventually("the page to say that the provider is away", 2 * crate::world::SOON, async || {
        let page = Browser::new(server).get("/login/oidc").await;
        (page.status == 503).then_some(page)
    })
    .await
}

async fn one_that_hangs_holds_nobody(engine: Engine) {
    let world = World::new(engine).await;
    let silent = Silent::start().await;
    add_boss(&world).await;
    let mut server = Binary::spawn(options(&world, &format!("http://{}", silent.address()))).await;
    let client = Client::new(&server);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut browser = Browser::new(&server);
            tokio::spawn(async move { browser.get("/login/oidc").await.status })
        })
        .collect();
    let mut boss = Browser::new(&server);
    assert_eq!(boss.log_in_by_password("boss").await, 303);
    assert_eq!(boss.get("/").await.status, 200);
    client.raise_for(&["18712345678"]).await;
    for browser in waiting {
        assert_eq!(browser.await.unwrap(), 503, "each is told, after one question");
    }
    assert!(server.is_running() && server.log().contains("did not answer within"), "{}", server.log());
}
