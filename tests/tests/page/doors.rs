//! Who gets in: passwords, throttling, sessions, roles, forms that are ours.

use autocall::engine::Doer;
use autocall::keep::users;
use autocall::store::access::users::Role;
use chrono::TimeDelta;
use serde_json::json;

use crate::client::{PASSWORD, Visitor, add_user};
use crate::harness::{A, Home, on_both};

on_both!(
    a_right_password_lets_in_and_a_wrong_one_does_not,
    guessing_is_slowed_down,
    nobody_is_locked_out_by_the_guesses_of_others,
    a_proxy_that_is_not_listed_is_told,
    the_first_admin_needs_the_secret_of_the_data_folder,
    nobody_is_sent_elsewhere_after_logging_in,
    sessions_end,
    a_session_ends_with_its_user,
    a_viewer_changes_nothing,
    a_responder_does_not_administer,
    forms_need_their_token,
    forms_of_other_sites_are_refused,
    cookies_are_for_us_only,
    every_answer_is_protected,
    wrong_addresses_are_survived,
);

async fn a_right_password_lets_in_and_a_wrong_one_does_not(home: Home) {
    let server = home.start().await;
    add_user(&server, "lin", Role::Responder).await;
    let mut lin = Visitor::new(&server);
    let door = lin.get("/").await;
    assert_eq!((door.status, door.location()), (303, "/login"));
    assert!(!door.body.is_empty(), "a phone that asks here must not get an empty body");
    let refused = lin.log_in("lin", "correct horse batterY").await;
    assert_eq!(refused.status, 401);
    assert!(refused.shows("Name or password is wrong."), "{}", refused.body);
    assert!(!refused.shows("batterY"), "a password is never sent back");
    assert_eq!(lin.log_in("nobody", PASSWORD).await.status, 401);
    assert_eq!(lin.get("/").await.status, 303);
    let welcome = lin.log_in(" lin ", PASSWORD).await;
    assert_eq!((welcome.status, welcome.location()), (303, "/"));
    let now = lin.get("/").await;
    assert_eq!(now.status, 200);
    assert!(now.shows("First steps") && now.shows("lin"), "{}", now.body);
}

async fn guessing_is_slowed_down(home: Home) {
    let server = home.start().await;
    add_user(&server, "lin", Role::Viewer).await;
    let mut guesser = Visitor::new(&server);
    for number in 0..5 {
        assert_eq!(guesser.log_in("lin", &format!("guess number {number}")).await.status, 401);
    }
    for pause in [1, 2, 4] {
        let throttled = guesser.log_in("lin", PASSWORD).await;
        assert_eq!(throttled.status, 429, "not even the right one is looked at");
        assert_eq!(throttled.header("retry-after"), pause.to_string());
        assert!(throttled.shows(&format!("Try again in {pause} seconds.")), "{}", throttled.body);
        server.home.clock.advance(TimeDelta::seconds(pause));
        assert_eq!(guesser.log_in("lin", "another guess").await.status, 401, "slowed down, not locked");
    }
    server.home.clock.advance(TimeDelta::seconds(8));
    assert_eq!(guesser.log_in("lin", PASSWORD).await.status, 303);
}

async fn nobody_is_locked_out_by_the_guesses_of_others(home: Home) {
    let server = home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").start().await;
    add_user(&server, "lin", Role::Viewer).await;
    let from = |address: &str| {
        let mut visitor = Visitor::new(&server);
        visitor.headers = vec![("x-forwarded-for", address.to_owned())];
        visitor
    };
    let mut at_home = from("10.1.1.1");
    assert_eq!(at_home.log_in("lin", PASSWORD).await.status, 303);
    let device = at_home.cookies["autocall_device"].clone();
    assert!(!device.contains("lin"), "{device}");
    at_home.cookies.remove("autocall_session");
    let mut guesser = from("10.1.1.2");
    for number in 0..20 {
        guesser.log_in("lin", &format!("guess number {number}")).await;
    }
    assert_eq!(guesser.log_in("lin", PASSWORD).await.status, 429);
    assert_eq!(at_home.log_in("lin", PASSWORD).await.status, 303, "from a browser we know, in the guesser's own network");
    assert_eq!(from("10.2.2.2").log_in("lin", PASSWORD).await.status, 303, "from another network");
    // The cookie of one user is none of another's, and nobody's when it is made up.
    add_user(&server, "mia", Role::Viewer).await;
    for cookie in [device.as_str(), "0.0"] {
        let mut thief = from("10.1.1.3");
        thief.cookies.insert("autocall_device".to_owned(), cookie.to_owned());
        for number in 0..6 {
            thief.log_in("mia", &format!("guess number {number}")).await;
        }
        assert_eq!(thief.log_in("mia", PASSWORD).await.status, 429, "{cookie}");
    }
    let (headers, cookies) = (at_home.headers, at_home.cookies);
    let server = server.restart().await;
    let mut at_home = Visitor::new(&server);
    (at_home.headers, at_home.cookies) = (headers, cookies);
    at_home.cookies.remove("autocall_session");
    let page = at_home.log_in("lin", PASSWORD).await;
    assert_eq!(page.status, 303);
    assert!(
        !page.headers.get_all("set-cookie").iter().any(|line| line.to_str().unwrap().starts_with("autocall_device")),
        "still known"
    );
}

async fn a_proxy_that_is_not_listed_is_told(home: Home) {
    let line = "trusted_proxies = [&quot;127.0.0.1&quot;, &quot;::1&quot;]";
    let mut server = home.start().await;
    add_user(&server, "lin", Role::Viewer).await;
    let open = "AUTOCALL_HTTP_OPEN_NETWORKS";
    let url = "AUTOCALL_HTTP_PUBLIC_URL";
    for (settings, told) in [
        (&[][..], false),
        (&[(url, "https://alerts.example.org")][..], false),
        (&[(open, ""), (url, "https://alerts.example.org")][..], true),
        (&[(open, ""), (url, "https://alerts.example.org"), ("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1")][..], false),
    ] {
        let mut home = server.stop().await;
        for (name, value) in settings {
            home = home.set(name, value);
        }
        server = home.start().await;
        let mut lin = Visitor::new(&server);
        if settings.len() == 3 {
            lin.headers = vec![("x-forwarded-for", "10.1.1.1".to_owned())];
        }
        assert_eq!(lin.log_in("lin", PASSWORD).await.status, 303);
        let now = lin.get("/").await;
        assert_eq!(now.shows("A reverse proxy stands in front"), told, "{settings:?}\n{}", now.body);
        assert_eq!(now.shows(line), told, "{settings:?}\n{}", now.body);
    }
}

async fn the_first_admin_needs_the_secret_of_the_data_folder(home: Home) {
    let file = home.config().data_dir.join("first-login.txt");
    let server = home.start().await;
    let written = std::fs::read_to_string(&file).unwrap();
    let path = &written.trim()[written.find("/setup").unwrap()..];
    let secret = path.split('=').nth(1).unwrap();
    let mut first = Visitor::new(&server);
    assert!(first.get("/login").await.shows("autocall user add"));
    assert_eq!(first.get("/setup?secret=0").await.status, 404);
    let page = first.get(path).await;
    assert_eq!(page.status, 200);
    let (_, link) = page.body.split_once("href=\"/setup?").unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    assert!(first.get(&format!("/setup?{link}")).await.shows("第一位管理员"), "another language loses nothing: {link}");
    first.get("/login?lang=en").await;
    let short = first.post("/setup", &[("secret", secret), ("name", "lin"), ("password", "short")]).await;
    assert_eq!(short.status, 422);
    let stolen = first.post("/setup", &[("secret", "0"), ("name", "lin"), ("password", PASSWORD)]).await;
    assert_eq!(stolen.status, 404);
    let done = first.post("/setup", &[("secret", secret), ("name", "lin"), ("password", PASSWORD)]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(first.get("/handsets").await.shows("Pair a handset"), "an admin");
    assert!(!file.exists());
    assert_eq!(Visitor::new(&server).get(path).await.status, 404, "only once");
    let server = server.restart().await;
    assert!(!file.exists(), "there is a user now");
    assert_eq!(Visitor::new(&server).get(path).await.status, 404);
}

async fn nobody_is_sent_elsewhere_after_logging_in(home: Home) {
    let server = home.start().await;
    add_user(&server, "lin", Role::Viewer).await;
    let mut lin = Visitor::new(&server);
    assert_eq!(lin.get("/handsets").await.location(), "/login?next=/handsets");
    for (next, there) in [("/handsets", "/handsets"), ("//evil.example", "/"), ("https://evil.example/", "/"), ("/\\evil", "/")] {
        lin.get("/login").await;
        let page = lin.post("/login", &[("name", "lin"), ("password", PASSWORD), ("next", next)]).await;
        assert_eq!((page.status, page.location()), (303, there));
        lin.cookies.remove("autocall_session");
    }
    assert!(!lin.get("//evil.example/").await.shows("//evil.example/?lang"));
}

async fn sessions_end(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let copy = lin.cookies.clone();
    assert_eq!(lin.post("/logout", &[]).await.location(), "/login");
    assert!(!lin.cookies.contains_key("autocall_session"));
    lin.cookies = copy;
    assert_eq!(lin.get("/").await.status, 303, "the token is no good any more, whoever kept it");

    assert_eq!(lin.log_in("lin", PASSWORD).await.status, 303);
    for _ in 0..3 {
        server.home.clock.advance(TimeDelta::days(9));
        assert_eq!(lin.get("/").await.status, 200, "in use");
    }
    server.home.clock.advance(TimeDelta::days(4));
    assert_eq!(lin.get("/").await.status, 303, "thirty days are enough");
    assert_eq!(lin.log_in("lin", PASSWORD).await.status, 303);
    server.home.clock.advance(TimeDelta::days(11));
    assert_eq!(lin.get("/").await.status, 303, "not used for long");
    let page = lin.post("/logout", &[]).await;
    assert_eq!(page.status, 401);
}

async fn a_session_ends_with_its_user(home: Home) {
    let server = home.start().await;
    let store = &server.app.engine.store;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    store.carry_out(server.now(), Doer::Server, async |work| users::set_disabled(work, "lin", true).await).await.unwrap();
    assert_eq!(lin.get("/").await.status, 303);
    assert_eq!(lin.log_in("lin", PASSWORD).await.status, 401, "disabled");
    store.carry_out(server.now(), Doer::Server, async |work| users::set_disabled(work, "lin", false).await).await.unwrap();
    assert_eq!(lin.log_in("lin", PASSWORD).await.status, 303);
    let user = users::find(&mut store.read().await.unwrap().db(), "lin").await.unwrap().id;
    let hashed = users::Passwords::default().hashed("another password").await.unwrap();
    store.carry_out(server.now(), Doer::Server, async |work| users::set_password(work, user, &hashed).await).await.unwrap();
    assert_eq!(lin.get("/").await.status, 303);
    assert_eq!(lin.log_in("lin", PASSWORD).await.status, 401);
    assert_eq!(lin.log_in("lin", "another password").await.status, 303);
}

async fn a_viewer_changes_nothing(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let before = server.alarm(&id).await;
    for path in ["/", &format!("/alarms/{id}"), "/handsets", "/people"] {
        let page = eve.get(path).await;
        assert_eq!(page.status, 200);
        assert!(
            !page.shows("action=\"/alarms/") && !page.shows("action=\"/handsets/") && !page.shows("action=\"/people"),
            "{path}"
        );
    }
    for action in ["acknowledge", "cancel", "redial"] {
        let page = eve.post(&format!("/alarms/{id}/{action}"), &[]).await;
        assert_eq!(page.status, 403, "{action}");
        assert!(page.shows("Not for your role"));
    }
    assert_eq!(server.alarm(&id).await, before, "nothing was changed");
    let person = "/people/01a1fc4e-a630-77e4-8b85-425a1123605f";
    let removal = format!("{person}/remove");
    let handsets =
        ["add", "test", "rename", "rotate", "disable", "enable", "remove", "allow"].map(|action| format!("/handsets/{action}"));
    let users = ["add", "role", "disable", "enable", "reset"].map(|action| format!("/users/{action}"));
    let people = ["/people/add".to_owned(), person.to_owned(), removal];
    let forms = handsets.iter().chain(&users).chain(&people);
    for path in forms {
        let fields = [("name", "x"), ("handset", "x"), ("number", A), ("numbers", A), ("user", "x"), ("role", "admin")];
        assert_eq!(eve.post(path, &fields).await.status, 403, "{path}");
    }
    let mut reader = server.app.engine.store.read().await.unwrap();
    assert!(reader.db().handsets().await.unwrap().is_empty() && reader.db().people().await.unwrap().is_empty());
}

async fn a_responder_does_not_administer(home: Home) {
    let server = home.start().await;
    server.pair("desk", autocall::store::watch::handsets::Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for path in ["/handsets/add", "/handsets/rename", "/handsets/rotate", "/handsets/disable", "/handsets/remove", "/people/add"]
    {
        assert_eq!(lin.post(path, &[("name", "x"), ("handset", "desk"), ("numbers", A)]).await.status, 403, "{path}");
    }
    let handsets = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    assert_eq!((handsets.len(), handsets[0].name.as_str(), handsets[0].disabled_at), (1, "desk", None));
    assert!(handsets[0].next_token_hash.is_none());
}

async fn forms_need_their_token(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let mut other = Visitor::logged_in(&server, "mia", Role::Admin).await;
    let path = format!("/alarms/{id}/cancel");
    assert_ne!(lin.form_token, other.form_token);
    let token_of_other = other.form_token.clone();
    for fields in [&[][..], &[("form_token", "")][..], &[("form_token", "0")][..], &[("form_token", token_of_other.as_str())][..]]
    {
        let page = lin.post_bare(&path, fields).await;
        assert_eq!(page.status, 403, "{fields:?}");
        assert!(page.shows("This form was not accepted"));
    }
    assert_eq!(server.state(&id).await, "waiting");
    let large = "x".repeat(40_000);
    assert_eq!(lin.post(&path, &[("note", &large)]).await.status, 413);
    for garbled in ["a\0b", "a\u{1b}[31mb", "a\u{85}b"] {
        assert_eq!(lin.post(&path, &[("note", garbled)]).await.status, 422, "{garbled:?}");
    }
    assert_eq!(server.state(&id).await, "waiting");
    // The login too: nobody is to be logged in as somebody else without noticing.
    let mut stranger = Visitor::new(&server);
    let page = stranger.post_bare("/login", &[("name", "lin"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 403);
    let (mine, theirs) = (stranger.get("/login").await.form_token(), Visitor::new(&server).get("/login").await.form_token());
    assert_ne!(mine, theirs);
    assert_eq!(other.post(&path, &[]).await.status, 303);
    assert_eq!(server.state(&id).await, "cancelled");
}

async fn forms_of_other_sites_are_refused(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let path = format!("/alarms/{id}/cancel");
    let own = server.base.clone();
    for (name, value) in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        lin.headers = vec![(name, value.to_owned())];
        assert_eq!(lin.post(&path, &[]).await.status, 403, "{name}: {value}");
    }
    assert_eq!(server.state(&id).await, "waiting");
    lin.headers = vec![("origin", own), ("sec-fetch-site", "same-origin".to_owned())];
    assert_eq!(lin.post(&path, &[]).await.status, 303);
}

async fn cookies_are_for_us_only(home: Home) {
    let server = home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").start().await;
    add_user(&server, "lin", Role::Viewer).await;
    let mut lin = Visitor::new(&server);
    let page = lin.log_in("lin", PASSWORD).await;
    let cookie =
        page.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).find(|line| line.contains("session"));
    let cookie = cookie.unwrap();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax") && cookie.contains("; Path=/"), "{cookie}");
    assert!(!cookie.contains("Secure"), "{cookie}");
    let mut behind_proxy = Visitor::new(&server);
    behind_proxy.headers = vec![("x-forwarded-proto", "https".to_owned()), ("x-forwarded-for", "10.3.3.3".to_owned())];
    let page = behind_proxy.log_in("lin", PASSWORD).await;
    assert!(page.headers.get_all("set-cookie").iter().all(|line| line.to_str().unwrap().contains("; Secure")));
    // Only the hash is stored.
    let token = &lin.cookies["autocall_session"];
    assert_eq!(token.len(), 64);
    let now = server.now();
    let session =
        server.app.engine.store.read().await.unwrap().db().session(token.as_bytes(), now, now - TimeDelta::days(1)).await;
    assert!(session.unwrap().is_none());
}

async fn every_answer_is_protected(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for path in
        ["/", "/handsets", "/people", "/alarms", "/alarms/nonsense", "/nowhere", "/assets/style.css", "/logout", "/people/x"]
    {
        let page = lin.get(path).await;
        let policy = page.header("content-security-policy");
        for rule in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
        if page.header("content-type").starts_with("text/html") {
            assert_eq!(page.header("cache-control"), "no-store", "{path}");
            for foreign in ["src=\"http", "href=\"http", "style=\"", "onclick", "<script>"] {
                assert!(!page.shows(foreign), "{path}: {foreign}");
            }
        }
    }
    // Neither a session nor the database is asked for what a page is made of.
    let counters = server.app.engine.store.counters();
    let mut cheapest = u64::MAX;
    // The server's own periodic work goes on beside, so the cheapest of some counts.
    for _ in 0..5 {
        let before = counters.connections();
        assert_eq!(lin.get("/assets/style.css").await.status, 200);
        cheapest = cheapest.min(counters.connections() - before);
    }
    assert_eq!(cheapest, 0);
    let page = lin.get("/").await;
    let (_, rest) = page.body.split_once("href=\"/assets/style.css").unwrap();
    let address = format!("/assets/style.css{}", rest.split('"').next().unwrap());
    let style = lin.get(&address).await;
    assert!(style.header("cache-control").contains("immutable"));
    lin.headers = vec![("if-none-match", style.header("etag").to_owned())];
    assert_eq!(lin.get(&address).await.status, 304);
}

async fn wrong_addresses_are_survived(home: Home) {
    let server = home.start().await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    for path in ["/", "/nowhere", "/login", "/handsets/add", "/live", "/people/add"] {
        let answer = http.get(format!("{}{path}", server.base)).header("user-agent", "okhttp/3.10.0").send().await.unwrap();
        assert!(!answer.text().await.unwrap().is_empty(), "{path}: an empty body kills the app");
    }
    // Below /alert only a phone can be meant: it polls, whatever else was typed.
    for (path, status) in [("/alerts/phone", 404), ("/alert/phones", 200)] {
        let answer = http.get(format!("{}{path}", server.base)).header("user-agent", "okhttp/3.10.0").send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["code"], 1, "{path}");
    }
    let page = Visitor::new(&server).get("/alert/phones").await;
    assert_eq!(page.status, 404);
    assert!(page.shows("There is nothing here"));
}
