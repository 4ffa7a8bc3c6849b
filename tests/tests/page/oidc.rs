//! Logging in by a provider: who comes in with which role, for how long, and what is refused. What the provider says is of the server's own
//! clock, which the scenes move.

use autocall::engine::Doer;
use autocall::keep::users;
use autocall::store::Work;
use autocall::store::access::users::Role;
use autocall_tests::oidc::{Forged, Own, SECRET, Says, Silent};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::client::{PASSWORD, Page, Visitor, add_user};
use crate::harness::{A, B, Home, Server, on_both};
use crate::second_factor::code_of;

on_both!(
    somebody_new_comes_in_with_the_role_that_is_said,
    without_a_role_nobody_comes_in,
    the_provider_is_asked_again_before_half_a_day_is_over,
    a_session_ends_after_half_a_day_without_the_provider,
    whoever_may_nothing_any_more_is_out,
    tokens_that_are_not_for_this_login_are_refused,
    a_login_comes_back_once_to_its_own_browser_and_in_time,
    keys_are_read_again_and_not_all_the_time,
    while_the_provider_is_away_passwords_go_on,
    a_provider_that_cannot_be_believed_is_left_alone,
    an_account_that_is_there_is_nobodys_to_take_over,
    one_administrator_stays_without_a_provider,
    teams_follow_what_is_said_and_keep_their_last_member,
    whoever_leaves_leaves_the_provider_too,
    a_second_factor_is_asked_for_with_a_password_alone,
    a_role_for_a_team_stands_beside_what_the_provider_says,
);

/// A server that knows this provider.
async fn with_provider(home: Home) -> (Server, Own) {
    let provider = Own::start(&home.clock).await;
    let home = set_up(home, provider.issuer());
    (home.start().await, provider)
}

fn set_up(home: Home, issuer: &str) -> Home {
    home.set("AUTOCALL_IDENTITY_ISSUER", issuer)
        .set("AUTOCALL_IDENTITY_CLIENT_ID", "autocall")
        .set("AUTOCALL_IDENTITY_CLIENT_SECRET", SECRET)
        .set("AUTOCALL_IDENTITY_PROVIDER_NAME", "Keycloak")
        .set("AUTOCALL_IDENTITY_ROLES", "seers = viewer, oncall = responder, chiefs = admin")
}

/// To the provider, and back as far as this server.
async fn to_and_back(browser: &mut Visitor, server: &Server, provider: &Own, way: &str) -> String {
    let begun = browser.get(way).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let to = begun.location().to_owned();
    assert!(to.starts_with(&format!("{}/authorize?", provider.issuer())), "{to}");
    let back = provider.visit(&to).await;
    back.strip_prefix(&server.base).unwrap_or_else(|| panic!("{back}")).to_owned()
}

async fn log_in(browser: &mut Visitor, server: &Server, provider: &Own) -> Page {
    let back = to_and_back(browser, server, provider, "/login/oidc?next=%2Fhandsets").await;
    browser.get(&back).await
}

/// Somebody with these claims, who has come in.
async fn come_in(server: &Server, provider: &Own, claims: Value) -> Visitor {
    provider.claims(claims);
    let mut browser = Visitor::new(server);
    let page = log_in(&mut browser, server, provider).await;
    assert_eq!((page.status, page.location()), (303, "/handsets"), "{}", page.body);
    browser
}

fn is_in(page: &Page) -> bool {
    page.status == 200 && !page.shows("name=\"password\"")
}

/// How often the audit log has a line with this word.
async fn noted(server: &Server, operation: &str) -> usize {
    let lines = server.items(&format!("/api/v1/audit?operation={operation}&limit=100")).await;
    lines.as_array().unwrap().len()
}

async fn somebody_new_comes_in_with_the_role_that_is_said(home: Home) {
    let (server, provider) = with_provider(home).await;
    let mut boss = Visitor::logged_in(&server, "boss", Role::Admin).await;
    let login = Visitor::new(&server).get("/login?next=/alarms").await;
    assert!(login.shows("Log in with Keycloak") && login.shows("/login/oidc?next=%2Falarms"), "{}", login.body);
    assert!(login.shows("name=\"password\""), "passwords stay");

    let mut lin = come_in(&server, &provider, json!({})).await;
    let page = lin.get("/").await;
    assert!(is_in(&page) && page.shows("lin") && page.shows("<small>responder</small>"), "{}", page.body);
    assert_eq!(lin.get("/users").await.status, 403, "a role gives what it gives");
    let users = boss.get("/users").await;
    assert!(users.shows("Logs in by: Keycloak") && users.shows("Logs in by: Password"), "{}", users.body);
    assert_eq!(Visitor::new(&server).log_in("lin", PASSWORD).await.status, 401, "they have no password");

    // Another role the next time; whom the token is about decides, not the name.
    let mut again =
        come_in(&server, &provider, json!({ "groups": ["seers", "chiefs"], "preferred_username": "zoe-the-other" })).await;
    assert_eq!(again.get("/users").await.status, 200);
    assert!(!boss.get("/users").await.shows("zoe-the"), "it is the same user");
    let mut mia = come_in(&server, &provider, json!({ "sub": "18", "preferred_username": "mia", "groups": "seers" })).await;
    assert_eq!(mia.get("/alarms/new").await.status, 403);
    assert_eq!((noted(&server, "user_added").await, noted(&server, "user_role_set").await), (3, 1));
    let cookie = |name: &str| lin.cookies.contains_key(name);
    assert!(cookie("autocall_session") && !cookie("autocall_login"), "{:?}", lin.cookies);
}

async fn without_a_role_nobody_comes_in(home: Home) {
    // Nothing makes an administrator here.
    let provider = Own::start(&home.clock).await;
    let server = set_up(home, provider.issuer()).set("AUTOCALL_IDENTITY_ROLES", "oncall = responder").start().await;
    for groups in [json!(null), json!([]), json!(["chiefs", "admin"]), json!({ "oncall": true }), json!("oncall admin")] {
        provider.claims(json!({ "groups": groups.clone() }));
        let mut browser = Visitor::new(&server);
        let page = log_in(&mut browser, &server, &provider).await;
        assert_eq!(page.status, 403, "{groups}: {}", page.body);
        assert!(page.shows("gives you a role here") && page.shows("Keycloak"), "{}", page.body);
        assert_eq!(browser.get("/").await.status, 303, "{groups}");
    }
    assert_eq!(noted(&server, "user_added").await, 0, "and nobody is added");
    assert_eq!(noted(&server, "user_refused").await, 5);
    provider.says(Says { error: Some("access_denied"), ..Says::default() });
    let page = log_in(&mut Visitor::new(&server), &server, &provider).await;
    assert!(page.status == 403 && page.shows("did not let you in"), "{}", page.body);
}

async fn the_provider_is_asked_again_before_half_a_day_is_over(home: Home) {
    let (server, provider) = with_provider(home).await;
    let mut lin = come_in(&server, &provider, json!({})).await;
    lin.get("/").await;
    let (session, form) = (lin.cookies["autocall_session"].clone(), lin.form_token.clone());
    server.home.clock.advance(TimeDelta::hours(6) - TimeDelta::seconds(1));
    assert!(is_in(&lin.get("/alarms?state=firing").await));
    server.home.clock.advance(TimeDelta::seconds(1));
    // What is no page of its own goes on without.
    assert_eq!(lin.get("/alarms.csv").await.status, 200);
    let asked = lin.get("/alarms?state=firing").await;
    assert_eq!((asked.status, asked.location()), (303, "/login/oidc?next=%2Falarms%3Fstate%3Dfiring"));
    provider.claims(json!({ "groups": ["chiefs"] }));
    let way = asked.location().to_owned();
    let begun = lin.get(&way).await;
    assert!(begun.location().contains("prompt=none"), "nobody is asked for anything: {}", begun.location());
    let back = provider.visit(begun.location()).await;
    let done = lin.get(back.strip_prefix(&server.base).unwrap()).await;
    assert_eq!((done.status, done.location()), (303, "/alarms?state=firing"));
    assert_eq!(lin.cookies["autocall_session"], session, "the same session goes on, with its open forms");
    assert!(lin.get("/users").await.status == 200 && lin.form_token == form, "and what they may is read again");
    server.home.clock.advance(TimeDelta::hours(6) - TimeDelta::seconds(1));
    assert!(is_in(&lin.get("/").await), "half a day after they came in, and less after the provider's word");

    // When it wants to ask them something, or does not answer, the session goes on as it is, and nobody is sent there again at once.
    server.home.clock.advance(TimeDelta::seconds(1));
    provider.says(Says { error: Some("login_required"), ..Says::default() });
    let back = to_and_back(&mut lin, &server, &provider, "/login/oidc?next=%2F").await;
    assert_eq!(lin.get(&back).await.location(), "/");
    assert!(is_in(&lin.get("/").await));
    server.home.clock.advance(TimeDelta::minutes(15));
    provider.says(Says { status: Some(503), ..Says::default() });
    let way = lin.get("/").await.location().to_owned();
    assert_eq!(lin.get(&way).await.location(), "/");
    assert!(is_in(&lin.get("/").await));

    // Nobody goes on under the name of somebody else who sits at that provider now.
    server.home.clock.advance(TimeDelta::minutes(15));
    provider.claims(json!({ "sub": "18", "preferred_username": "mia", "groups": ["seers"] }));
    let back = to_and_back(&mut lin, &server, &provider, "/login/oidc?next=%2F").await;
    assert_eq!(lin.get(&back).await.location(), "/");
    assert!(lin.get("/users").await.status == 200 && !lin.get("/").await.shows("mia"));
}

async fn a_session_ends_after_half_a_day_without_the_provider(home: Home) {
    let (server, provider) = with_provider(home).await;
    add_user(&server, "boss", Role::Admin).await;
    let mut lin = come_in(&server, &provider, json!({})).await;
    provider.says(Says { status: Some(500), ..Says::default() });
    server.home.clock.advance(TimeDelta::hours(12) - TimeDelta::seconds(1));
    let way = lin.get("/").await.location().to_owned();
    assert_eq!(lin.get(&way).await.location(), "/");
    assert!(is_in(&lin.get("/").await), "an open session goes on while the provider is away");
    server.home.clock.advance(TimeDelta::seconds(1));
    assert_eq!(lin.get("/handsets").await.location(), "/login?next=/handsets", "but no longer than that");
    let page = lin.get("/login").await;
    assert!(page.shows("Keycloak cannot be reached") && page.status == 200, "{}", page.body);
    assert_eq!(lin.log_in("boss", PASSWORD).await.status, 303);
    server.home.clock.advance(TimeDelta::days(9));
    assert!(is_in(&lin.get("/").await), "sessions by a password last as long as before");
}

async fn whoever_may_nothing_any_more_is_out(home: Home) {
    let (server, provider) = with_provider(home).await;
    let mut lin = come_in(&server, &provider, json!({})).await;
    let mut elsewhere = come_in(&server, &provider, json!({})).await;
    server.home.clock.advance(TimeDelta::hours(6));
    provider.claims(json!({ "groups": ["former"] }));
    let back = to_and_back(&mut lin, &server, &provider, "/login/oidc?next=%2F").await;
    let page = lin.get(&back).await;
    assert!(page.status == 403 && page.shows("gives you a role here"), "{}", page.body);
    for browser in [&mut lin, &mut elsewhere] {
        assert_eq!(browser.get("/alarms.csv").await.status, 303, "everywhere");
    }
}

async fn tokens_that_are_not_for_this_login_are_refused(home: Home) {
    let (server, provider) = with_provider(home).await;
    let now = server.now().timestamp();
    let claims = |claims: Value| Says { claims, ..Says::default() };
    let forged = |forged: Forged| Says { forged, ..Says::default() };
    let refused = [
        claims(json!({ "iss": "https://evil.example" })),
        claims(json!({ "iss": format!("{}/", provider.issuer()) })),
        claims(json!({ "aud": "another" })),
        claims(json!({ "aud": ["autocall", "another"] })),
        claims(json!({ "azp": "another" })),
        claims(json!({ "nonce": "another" })),
        claims(json!({ "nonce": null })),
        claims(json!({ "exp": now - 61 })),
        claims(json!({ "exp": null })),
        claims(json!({ "iat": now + 120 })),
        claims(json!({ "sub": "" })),
        forged(Forged::Unsigned("none")),
        forged(Forged::Unsigned("ES256")),
        forged(Forged::ByPublicKey),
        forged(Forged::OtherKey),
        forged(Forged::UnknownKey),
        forged(Forged::Bent),
        forged(Forged::Text("no.token")),
        forged(Forged::Text("e30.e30.AAAA")),
        Says { back: "&iss=https%3A%2F%2Fevil.example", ..Says::default() },
    ];
    for says in refused {
        let what = format!("{says:?}");
        provider.says(says);
        let mut browser = Visitor::new(&server);
        let page = log_in(&mut browser, &server, &provider).await;
        assert_eq!(page.status, 401, "{what}: {}", page.body);
        assert!(page.shows("role=\"alert\"") && page.shows("name=\"password\""), "{what}: {}", page.body);
        assert_eq!(browser.get("/").await.status, 303, "{what}");
    }
    assert_eq!(noted(&server, "user_added").await, 0);
    assert_eq!(noted(&server, "user_refused").await, 20, "each is in the audit log");
    provider.says(Says { back: "&iss=", ..Says::default() });
    assert_eq!(log_in(&mut Visitor::new(&server), &server, &provider).await.status, 401);
    let mut lin = come_in(&server, &provider, json!({ "aud": ["autocall", "another"], "azp": "autocall" })).await;
    assert!(is_in(&lin.get("/").await));
}

async fn a_login_comes_back_once_to_its_own_browser_and_in_time(home: Home) {
    let (server, provider) = with_provider(home).await;
    let begin = "/login/oidc?next=%2F";
    // Once.
    let mut lin = Visitor::new(&server);
    let back = to_and_back(&mut lin, &server, &provider, begin).await;
    let ticket = lin.cookies["autocall_login"].clone();
    assert_eq!(lin.get(&back).await.status, 303);
    let mut thief = Visitor::new(&server);
    thief.cookies.insert("autocall_login".to_owned(), ticket.clone());
    let page = thief.get(&back).await;
    assert!(page.status == 401 && page.shows("Start again"), "{}", page.body);
    assert_eq!(provider.asked("token"), 1, "and the code is not even tried");
    // In the browser in which it was begun.
    let mut victim = Visitor::new(&server);
    let back = to_and_back(&mut Visitor::new(&server), &server, &provider, begin).await;
    assert_eq!(victim.get(&back).await.status, 401, "without its cookie");
    to_and_back(&mut victim, &server, &provider, begin).await;
    assert_eq!(victim.get(&back).await.status, 401, "with the cookie of another login");
    // Another node may be the one to which it comes back.
    if server.home.is_shared() {
        let node = server.home.second_node().await;
        let back = to_and_back(&mut victim, &server, &provider, begin).await;
        let request = server.http.get(format!("{}{back}", node.base)).header("accept", "text/html");
        let host = server.base.trim_start_matches("http://");
        let request =
            request.header("cookie", format!("autocall_login={}", victim.cookies["autocall_login"])).header("host", host);
        assert_eq!(request.send().await.unwrap().headers()["location"], "/");
        assert_eq!(victim.get(&back).await.status, 401, "and nowhere twice");
    }
    // In time.
    let back = to_and_back(&mut victim, &server, &provider, begin).await;
    server.home.clock.advance(TimeDelta::minutes(10));
    assert_eq!(victim.get(&back).await.status, 401);
    // What nobody has begun.
    let nothing = "/login/oidc/callback";
    for query in ["", "?code=x", "?state=x", "?code=x&state=x", "?error=x", &format!("?code={}", "x".repeat(5000))] {
        assert_eq!(victim.get(&format!("{nothing}{query}")).await.status, 401, "{query}");
    }
    // One code more was tried, where another node was.
    assert_eq!(provider.asked("token"), 1 + usize::from(server.home.is_shared()));
    // Nobody is sent elsewhere.
    for foreign in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example%3Fx", "%2Flogin"] {
        let back = to_and_back(&mut lin, &server, &provider, &format!("/login/oidc?next={foreign}")).await;
        assert_eq!(lin.get(&back).await.location(), "/", "{foreign}");
    }
}

async fn keys_are_read_again_and_not_all_the_time(home: Home) {
    let (server, provider) = with_provider(home).await;
    come_in(&server, &provider, json!({})).await;
    come_in(&server, &provider, json!({})).await;
    assert_eq!(provider.asked("keys"), 1);
    provider.new_key("two");
    come_in(&server, &provider, json!({})).await;
    assert_eq!(provider.asked("keys"), 2, "one that is not known may be new");
    provider.says(Says { forged: Forged::UnknownKey, ..Says::default() });
    for _ in 0..5 {
        assert_eq!(log_in(&mut Visitor::new(&server), &server, &provider).await.status, 401);
    }
    assert_eq!(provider.asked("keys"), 2, "whoever makes up names of keys does not make us ask");
    server.home.clock.advance(TimeDelta::seconds(60));
    assert_eq!(log_in(&mut Visitor::new(&server), &server, &provider).await.status, 401);
    assert_eq!(provider.asked("keys"), 3);
    // What it gave up is good no longer.
    server.home.clock.advance(TimeDelta::hours(1));
    come_in(&server, &provider, json!({})).await;
    assert_eq!(provider.asked("keys"), 4);
    // Another key under the same name, as of a provider that was set up anew.
    provider.new_key("two");
    come_in(&server, &provider, json!({})).await;
    assert_eq!(provider.asked("keys"), 5);
}

async fn while_the_provider_is_away_passwords_go_on(home: Home) {
    let silent = Silent::start().await;
    let server = set_up(home, &format!("http://{}", silent.address())).start().await;
    add_user(&server, "boss", Role::Admin).await;
    let mut browser = Visitor::new(&server);
    // It accepts, and says nothing: whoever wants to log in by it waits some seconds, and nobody else waits.
    let (page, other) = {
        let mut other = Visitor::new(&server);
        tokio::join!(browser.get("/login/oidc?next=%2Fhandsets"), async move { other.log_in("boss", PASSWORD).await.status })
    };
    assert_eq!((page.status, other), (503, 303), "{}", page.body);
    assert!(page.shows("Keycloak cannot be reached") && page.shows("name=\"password\""), "{}", page.body);
    assert!(browser.get("/login").await.shows("Keycloak cannot be reached"), "it is known for a while");
    assert_eq!(browser.log_in("boss", PASSWORD).await.status, 303);
    let phone = server.pair("desk", autocall::store::watch::handsets::Profile::App).await;
    server.idle(&phone).await;
    let (status, _) = server.post("/api/v1/alarms", &json!({ "summary": "disk full", "phones": [A] })).await;
    assert_eq!(status, 201);
}

async fn a_provider_that_cannot_be_believed_is_left_alone(home: Home) {
    let (server, provider) = with_provider(home).await;
    for metadata in [
        json!({ "issuer": "https://evil.example" }),
        json!({ "token_endpoint": "http://id.example.org/token" }),
        json!({ "jwks_uri": "file:///etc/passwd" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "token_endpoint": null }),
        json!({ "padding": "x".repeat(300_000) }),
    ] {
        provider.says(Says { metadata: metadata.clone(), ..Says::default() });
        server.home.clock.advance(TimeDelta::minutes(2));
        let page = Visitor::new(&server).get("/login/oidc").await;
        assert_eq!(page.status, 503, "{}", page.body);
        assert!(page.shows("role=\"alert\"") && page.shows("name=\"password\""), "{}", page.body);
    }
    let asked = provider.asked("metadata");
    assert_eq!(Visitor::new(&server).get("/login/oidc").await.status, 503);
    assert_eq!(provider.asked("metadata"), asked, "one that does not work is not asked all the time");
    server.home.clock.advance(TimeDelta::seconds(10));
    come_in(&server, &provider, json!({})).await;
    provider.says(Says { metadata: json!({ "token_endpoint": format!("{}/nothing", provider.issuer()) }), ..Says::default() });
    server.home.clock.advance(TimeDelta::hours(2));
    let page = log_in(&mut Visitor::new(&server), &server, &provider).await;
    assert!(page.status == 401 && page.shows("could not be accepted"), "{}", page.body);
}

async fn an_account_that_is_there_is_nobodys_to_take_over(home: Home) {
    let (server, provider) = with_provider(home.set("AUTOCALL_IDENTITY_NAME_CLAIM", "email")).await;
    let mut boss = Visitor::logged_in(&server, "boss", Role::Admin).await;
    let mut lin = Visitor::logged_in(&server, "lin@example.org", Role::Viewer).await;
    for verified in [true, false] {
        provider.claims(json!({ "email": "lin@example.org", "email_verified": verified, "groups": ["chiefs"] }));
        let page = log_in(&mut Visitor::new(&server), &server, &provider).await;
        assert!(page.status == 403 && page.shows("There is a user lin@example.org here already"), "{}", page.body);
    }
    // Its owner connects it, and says so by a form of ours.
    provider.claims(json!({ "sub": "17", "groups": ["oncall"] }));
    assert!(lin.get("/password").await.shows("/password/identities"));
    let page = lin.get("/password/identities").await;
    assert!(page.shows("Connect with Keycloak") && page.shows("<li>Password</li>"), "{}", page.body);
    assert_eq!(lin.post_bare("/login/oidc/connect", &[("form_token", "x")]).await.status, 403);
    let begun = lin.post("/login/oidc/connect", &[]).await;
    assert_eq!(begun.status, 200, "a form leads to no other site: {}", begun.body);
    let to = begun.header("refresh").strip_prefix("0; url=").unwrap().to_owned();
    assert!(begun.shows(&to.replace('&', "&#38;")) || begun.shows(&to.replace('&', "&amp;")), "and by hand: {}", begun.body);
    let back = provider.visit(&to).await;
    let back = back.strip_prefix(&server.base).unwrap();
    // Nobody else's session can end it.
    boss.cookies.insert("autocall_login".to_owned(), lin.cookies["autocall_login"].clone());
    assert_eq!(boss.get(back).await.status, 401);
    let begun = lin.post("/login/oidc/connect", &[]).await;
    let back = provider.visit(begun.header("refresh").strip_prefix("0; url=").unwrap()).await;
    let done = lin.get(back.strip_prefix(&server.base).unwrap()).await;
    assert_eq!(done.location(), "/password/identities?done=connected", "{}", done.body);
    let page = lin.get("/password/identities?done=connected").await;
    assert!(page.shows("<li>Keycloak</li>") && !page.shows("Connect with"), "{}", page.body);
    let mut again = Visitor::new(&server);
    assert_eq!(log_in(&mut again, &server, &provider).await.status, 303);
    assert!(again.get("/").await.shows("lin@example.org") && again.get("/alarms/new").await.status == 200, "with its role now");
    assert_eq!(Visitor::new(&server).log_in("lin@example.org", PASSWORD).await.status, 303, "the password stays");
    // One account of the provider is one user.
    boss.get("/password/identities").await;
    let begun = boss.post("/login/oidc/connect", &[]).await;
    let back = provider.visit(begun.header("refresh").strip_prefix("0; url=").unwrap()).await;
    assert_eq!(boss.get(back.strip_prefix(&server.base).unwrap()).await.status, 403);
    // An administrator ends it.
    boss.get("/users").await;
    assert_eq!(boss.post("/users/disconnect", &[("user", "lin@example.org")]).await.location(), "/users?done=disconnected");
    assert_eq!(again.get("/").await.status, 303, "what was open is over");
    assert_eq!((noted(&server, "user_connected").await, noted(&server, "user_disconnected").await), (1, 1));
    // Whoever is shut out here is, whatever is said there.
    let mut mia = come_in(&server, &provider, json!({ "sub": "18", "email": "mia@example.org" })).await;
    boss.get("/users").await;
    boss.post("/users/disable", &[("user", "mia@example.org")]).await;
    assert_eq!(mia.get("/").await.status, 303);
    let page = log_in(&mut mia, &server, &provider).await;
    assert!(page.status == 403 && page.shows("is disabled here"), "{}", page.body);
}

async fn one_administrator_stays_without_a_provider(home: Home) {
    let (server, provider) = with_provider(home).await;
    let mut boss = Visitor::logged_in(&server, "boss", Role::Admin).await;
    provider.claims(json!({ "groups": ["seers"] }));
    let connect = async |boss: &mut Visitor| {
        boss.get("/password/identities").await;
        let begun = boss.post("/login/oidc/connect", &[]).await;
        let back = provider.visit(begun.header("refresh").strip_prefix("0; url=").unwrap()).await;
        boss.get(back.strip_prefix(&server.base).unwrap()).await
    };
    let page = connect(&mut boss).await;
    assert!(page.status == 403 && page.shows("the last admin"), "{}", page.body);
    add_user(&server, "chief", Role::Admin).await;
    assert_eq!(connect(&mut boss).await.location(), "/password/identities?done=connected");
    let mut boss = Visitor::new(&server);
    log_in(&mut boss, &server, &provider).await;
    assert_eq!(boss.get("/users").await.status, 403, "the provider says what they may from then on");
}

async fn teams_follow_what_is_said_and_keep_their_last_member(home: Home) {
    let home = home
        .set("AUTOCALL_IDENTITY_PEOPLE_BY_EMAIL", "on")
        .set("AUTOCALL_IDENTITY_TEAMS_CLAIM", "teams")
        .set("AUTOCALL_IDENTITY_TEAMS", "dba = Databases, www = Web, gone = Nowhere");
    let (server, provider) = with_provider(home).await;
    for (name, number, email) in [("Lin", A, "lin@example.org"), ("Mia", B, "mia@example.org")] {
        let (status, made) = server.post("/api/v1/people", &json!({ "name": name, "numbers": [number], "language": "en" })).await;
        assert_eq!(status, 201, "{made}");
        let mut tx = server.app.engine.store.begin().await.unwrap();
        let person = made["id"].as_str().unwrap().parse().unwrap();
        tx.db().set_emails(person, &[email.to_owned()]).await.unwrap();
        tx.commit().await.unwrap();
    }
    for (team, members) in [("Databases", json!(["Mia"])), ("Web", json!(["Lin", "Mia"])), ("Others", json!(["Lin"]))] {
        assert_eq!(server.post("/api/v1/teams", &json!({ "name": team, "members": members })).await.0, 201);
    }
    let members = async |team: &str| {
        let teams = server.items("/api/v1/teams").await;
        let own = teams.as_array().unwrap().iter().find(|own| own["name"] == team).unwrap().clone();
        let names = own["members"].as_array().unwrap().iter().map(|member| member["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let lin = |verified: bool, teams: Value| json!({ "email": "Lin@example.org", "email_verified": verified, "teams": teams });
    let mut browser = come_in(&server, &provider, lin(true, json!(["dba", "gone", "unknown"]))).await;
    assert!(browser.get("/").await.shows("Lin"), "the person with that address");
    assert_eq!(
        (members("Databases").await, members("Web").await),
        (vec!["Mia".to_owned(), "Lin".to_owned()], vec!["Mia".to_owned()])
    );
    assert_eq!(members("Others").await, ["Lin"], "of which the provider says nothing");
    // The last one stays.
    come_in(
        &server,
        &provider,
        json!({ "sub": "18", "preferred_username": "mia", "email": "mia@example.org", "email_verified": true, "teams": [] }),
    )
    .await;
    assert_eq!((members("Databases").await, members("Web").await), (vec!["Lin".to_owned()], vec!["Mia".to_owned()]));
    // One person is one user, and an address that was not verified is nobody's.
    for (sub, verified) in [("19", true), ("20", false)] {
        let mut claims = lin(verified, json!(["www"]));
        (claims["sub"], claims["preferred_username"]) = (json!(sub), json!(format!("other {sub}")));
        let mut other = come_in(&server, &provider, claims).await;
        assert!(other.get("/people/me").await.shows("You are not on the list of people"));
    }
    assert_eq!(members("Web").await, ["Mia"]);
}

async fn whoever_leaves_leaves_the_provider_too(home: Home) {
    let (server, provider) = with_provider(home).await;
    let mut boss = Visitor::logged_in(&server, "boss", Role::Admin).await;
    boss.get("/").await;
    assert_eq!(boss.post("/logout", &[]).await.location(), "/login", "by a password there is nobody else to leave");
    let mut lin = come_in(&server, &provider, json!({})).await;
    lin.get("/").await;
    let page = lin.post("/logout", &[]).await;
    let there = format!("0; url={}/leave?client_id=autocall&post_logout_redirect_uri=", provider.issuer());
    assert!(page.status == 200 && page.header("refresh").starts_with(&there), "{}", page.header("refresh"));
    assert!(!lin.cookies.contains_key("autocall_session") && !lin.cookies.contains_key("autocall_renewal"));
    assert_eq!(lin.get("/").await.location(), "/login");
    assert_eq!(noted(&server, "user_logged_out").await, 2);
}

async fn a_second_factor_is_asked_for_with_a_password_alone(home: Home) {
    let (server, provider) = with_provider(home.set("AUTOCALL_HTTP_SECOND_FACTOR", "all")).await;
    let mut lin = come_in(&server, &provider, json!({})).await;
    assert!(is_in(&lin.get("/handsets").await), "the provider has asked for what it wants");
    // A password as well: with it alone there is nothing but setting up a second factor, and that can be done.
    let store = &server.app.engine.store;
    let user = users::find(&mut store.read().await.unwrap().db(), "lin").await.unwrap().id;
    let hashed = users::Passwords::default().hashed(PASSWORD).await.unwrap();
    let set = async |work: &mut Work| users::set_password(work, user, &hashed).await;
    store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    assert_eq!(lin.get("/").await.status, 303, "another password ends all that was open");
    let mut typing = Visitor::new(&server);
    assert_eq!(typing.log_in("lin", PASSWORD).await.location(), "/");
    assert_eq!(typing.get("/handsets").await.location(), "/people/me/second-factor");
    // What the provider says later makes a session by a password none of its own.
    let back = to_and_back(&mut typing, &server, &provider, "/login/oidc?next=%2Fhandsets").await;
    typing.get(&back).await;
    assert_eq!(typing.get("/handsets").await.location(), "/people/me/second-factor");
    let mut elsewhere = come_in(&server, &provider, json!({})).await;
    assert!(is_in(&elsewhere.get("/handsets").await));
    typing.get("/people/me/second-factor").await;
    typing.post("/people/me/second-factor", &[]).await;
    typing.get("/people/me/second-factor").await;
    let page = typing.post("/people/me/second-factor/confirm", &[("code", &code_of(&server, "lin").await)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(is_in(&typing.get("/handsets").await));
    // From then on the password asks for a code, and the provider does not.
    assert_eq!(Visitor::new(&server).log_in("lin", PASSWORD).await.location(), "/login/code?next=/");
    let mut lin = come_in(&server, &provider, json!({})).await;
    assert!(is_in(&lin.get("/handsets").await));
}

async fn a_role_for_a_team_stands_beside_what_the_provider_says(home: Home) {
    let (server, provider) = with_provider(home).await;
    let seen = json!({ "groups": ["seers"] });
    let mut lin = come_in(&server, &provider, seen.clone()).await;
    assert_eq!(lin.get("/alarms/new").await.status, 403);
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "db", "members": [] })).await.0, 201);
    let given = json!({ "teams": [{ "team": "db", "role": "lead" }] });
    let given = server.http.patch(format!("{}/api/v1/users/lin", server.base)).json(&given).send().await.unwrap();
    assert_eq!(given.status(), 200);
    assert_eq!(lin.get("/alarms/new").await.status, 200);
    for (groups, role) in [("oncall", "responder"), ("seers", "viewer"), ("chiefs", "admin"), ("seers", "viewer")] {
        let mut again = come_in(&server, &provider, json!({ "groups": [groups] })).await;
        let user = server.get("/api/v1/users/lin").await;
        assert_eq!((&user["role"], &user["teams"]), (&json!(role), &json!([{ "team": "db", "role": "lead" }])), "{user}");
        assert_eq!(again.get("/alarms/new").await.status, 200, "{groups}");
        assert_eq!(again.get("/users").await.status == 200, role == "admin", "a lead of a team is no admin");
    }
    // It lets nobody in of whom the provider says that they may nothing.
    provider.claims(json!({ "groups": [] }));
    let page = log_in(&mut Visitor::new(&server), &server, &provider).await;
    assert!(page.status == 403 && page.shows("gives you a role here"), "{}", page.body);
    assert_eq!(lin.get("/").await.status, 303, "and what was open is over");
    let mut lin = come_in(&server, &provider, seen).await;
    assert_eq!(lin.get("/alarms/new").await.status, 200);
}
