//! The second factor: setting it up, logging in with it, codes that are used up, guesses, and who must have one.

use autocall::engine::Doer;
use autocall::keep::users::second_factor;
use autocall::rights::second_factor::code_at;
use autocall::store::Work;
use autocall::store::access::users::Role;
use chrono::TimeDelta;

use crate::client::{PASSWORD, Page, Visitor, add_user};
use crate::harness::{Home, Server, on_both};

on_both!(
    it_is_set_up_by_a_code_and_asked_for_from_then_on,
    no_session_is_there_before_the_code,
    no_code_counts_twice,
    a_code_is_good_a_step_early_and_late,
    guesses_are_slowed_down_and_paper_is_not,
    codes_on_paper_are_good_once,
    whoever_must_have_one_does_nothing_before,
    an_admin_takes_it_away,
    its_owner_takes_it_away_with_a_code,
    where_it_is_off_nobody_is_asked,
    a_proof_of_the_password_ends_with_it,
    what_is_typed_may_be_anything,
    its_secret_is_shown_while_it_is_set_up_and_never_again,
);

async fn secret_of(server: &Server, name: &str) -> Vec<u8> {
    let store = &server.app.engine.store;
    let mut reader = store.read().await.unwrap();
    let user = reader.db().user_by_name(name).await.unwrap().unwrap();
    reader.db().second_factor(user.id).await.unwrap().unwrap().secret
}

/// What their app shows now.
pub async fn code_of(server: &Server, name: &str) -> String {
    code_at(&secret_of(server, name).await, server.home.clock.now()).unwrap()
}

/// A user with a second factor, and the codes that they have on paper.
pub async fn with_factor(server: &Server, name: &str, role: Role) -> Vec<String> {
    add_user(server, name, role).await;
    let store = &server.app.engine.store;
    let user = store.read().await.unwrap().db().user_by_name(name).await.unwrap().unwrap();
    let begin = async |work: &mut Work| second_factor::begin(work, user.id).await;
    store.carry_out(server.home.clock.now(), Doer::Server, begin).await.unwrap();
    let code = code_of(server, name).await;
    let confirm = async |work: &mut Work| second_factor::confirm(work, &user, &code, &[]).await;
    let codes = store.carry_out(server.home.clock.now(), Doer::Server, confirm).await.unwrap().unwrap();
    // The code that confirmed it is used up.
    server.home.clock.advance(TimeDelta::seconds(30));
    codes
}

/// Somebody who has shown their password.
async fn half_way(server: &Server, name: &str) -> Visitor {
    let mut visitor = Visitor::new(server);
    let page = visitor.log_in(name, PASSWORD).await;
    assert_eq!((page.status, page.location()), (303, "/login/code?next=/"), "{}", page.body);
    visitor.get("/login/code?next=/").await;
    visitor
}

fn codes_on(page: &Page) -> Vec<String> {
    page.body.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

async fn it_is_set_up_by_a_code_and_asked_for_from_then_on(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut elsewhere = Visitor::new(&server);
    elsewhere.log_in("lin", PASSWORD).await;
    let page = lin.get("/people/me/second-factor").await;
    assert!(page.shows("Set it up") && !page.shows("<svg class=\"qr\""), "{}", page.body);
    assert_eq!(lin.post("/people/me/second-factor", &[]).await.location(), "/people/me/second-factor");
    let page = lin.get("/people/me/second-factor").await;
    assert!(page.shows("<svg class=\"qr\"") && page.shows("role=\"img\""), "{}", page.body);
    // Begun is not set up: nobody is asked for what their app may not have.
    let mut third = Visitor::new(&server);
    assert_eq!(third.log_in("lin", PASSWORD).await.location(), "/");
    let wrong = lin.post("/people/me/second-factor/confirm", &[("code", "000000")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.shows("This code is wrong") && !wrong.shows("000000"), "{}", wrong.body);
    let code = code_of(&server, "lin").await;
    let page = lin.post("/people/me/second-factor/confirm", &[("code", &format!("{} {}", &code[..3], &code[3..]))]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(codes_on(&page).len(), 10, "{}", page.body);
    // Who was logged in without one is so no longer.
    assert_eq!(elsewhere.get("/").await.status, 303);
    assert_eq!(lin.get("/").await.status, 200);
    let page = lin.get("/people/me/second-factor").await;
    assert!(page.shows("left: 10") && codes_on(&page).is_empty(), "shown once: {}", page.body);
    let mut lin = half_way(&server, "lin").await;
    server.home.clock.advance(TimeDelta::seconds(30));
    let page = lin.post("/login/code", &[("code", &code_of(&server, "lin").await), ("next", "/alarms")]).await;
    assert_eq!((page.status, page.location()), (303, "/alarms"));
    assert_eq!(lin.get("/").await.status, 200);
    assert!(!lin.cookies.contains_key("autocall_half_way"));
    let lines = server.get("/api/v1/audit?operation=user_second_factor_set").await;
    assert_eq!(lines["items"].as_array().unwrap().len(), 1, "{lines}");
}

async fn no_session_is_there_before_the_code(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Admin).await;
    let mut lin = half_way(&server, "lin").await;
    assert!(!lin.cookies.contains_key("autocall_session"));
    for path in ["/", "/users", "/people/me/second-factor", "/people/me/sessions"] {
        assert!(lin.get(path).await.location().starts_with("/login"), "{path}");
    }
    assert_eq!(lin.post("/people/me/second-factor/remove", &[("code", "123456")]).await.status, 401);
    let mut stranger = Visitor::new(&server);
    stranger.get("/login").await;
    assert_eq!(stranger.get("/login/code").await.location(), "/login");
    let code = code_of(&server, "lin").await;
    assert_eq!(stranger.post("/login/code", &[("code", &code)]).await.location(), "/login", "a code alone is nothing");
    // A password that is wrong says nothing of a second factor.
    assert_eq!(stranger.log_in("lin", "wrong horse battery").await.status, 401);
    lin.get("/login/code").await;
    assert_eq!(lin.post("/login/code", &[("code", &code), ("next", "https://evil.example")]).await.location(), "/");
}

async fn no_code_counts_twice(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Viewer).await;
    let code = code_of(&server, "lin").await;
    let mut first = half_way(&server, "lin").await;
    let mut second = half_way(&server, "lin").await;
    assert_eq!(first.post("/login/code", &[("code", &code)]).await.status, 303);
    let again = second.post("/login/code", &[("code", &code)]).await;
    assert_eq!(again.status, 401, "{}", again.body);
    assert!(!again.shows(&code), "what was typed is not sent back");
    server.home.clock.advance(TimeDelta::seconds(30));
    assert_eq!(second.post("/login/code", &[("code", &code)]).await.status, 401, "nor a step later, when it would still be near");
    assert_eq!(second.post("/login/code", &[("code", &code_of(&server, "lin").await)]).await.status, 303);
}

async fn a_code_is_good_a_step_early_and_late(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Viewer).await;
    server.home.clock.advance(TimeDelta::minutes(5));
    let secret = secret_of(&server, "lin").await;
    for (seconds, status) in [(-60, 401), (60, 401), (-30, 303), (30, 303)] {
        server.home.clock.advance(TimeDelta::minutes(3));
        let code = code_at(&secret, server.home.clock.now() + TimeDelta::seconds(seconds)).unwrap();
        let mut lin = half_way(&server, "lin").await;
        assert_eq!(lin.post("/login/code", &[("code", &code)]).await.status, status, "{seconds}");
    }
}

async fn guesses_are_slowed_down_and_paper_is_not(home: Home) {
    let server = home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let paper = with_factor(&server, "lin", Role::Viewer).await;
    // From everywhere at once: the count is the user's.
    for place in 0..5 {
        let mut guesser = Visitor::new(&server);
        guesser.headers = vec![("x-forwarded-for", format!("10.{place}.1.1"))];
        guesser.log_in("lin", PASSWORD).await;
        guesser.get("/login/code").await;
        assert_eq!(guesser.post("/login/code", &[("code", "000000")]).await.status, 401);
    }
    let mut lin = half_way(&server, "lin").await;
    let slowed = lin.post("/login/code", &[("code", &code_of(&server, "lin").await)]).await;
    assert_eq!((slowed.status, slowed.header("retry-after")), (429, "1"), "{}", slowed.body);
    assert_eq!(lin.post("/login/code", &[("code", &paper[0])]).await.status, 303, "eighty bits are not guessed");
    // And whoever had one has made no mistake.
    let mut lin = half_way(&server, "lin").await;
    server.home.clock.advance(TimeDelta::seconds(30));
    assert_eq!(lin.post("/login/code", &[("code", &code_of(&server, "lin").await)]).await.status, 303);
    // A browser that goes on is slowed down like one that guesses passwords.
    let mut guesser = half_way(&server, "lin").await;
    let mut refused = 0;
    for _ in 0..8 {
        refused += u32::from(guesser.post("/login/code", &[("code", "000000")]).await.status == 429);
    }
    assert!(refused >= 3, "{refused}");
    let lines = server.get("/api/v1/audit?operation=user_refused").await;
    assert!(lines["items"].as_array().unwrap().len() >= 5, "{lines}");
}

async fn codes_on_paper_are_good_once(home: Home) {
    let server = home.start().await;
    let paper = with_factor(&server, "lin", Role::Viewer).await;
    let mut lin = half_way(&server, "lin").await;
    let page = lin.post("/login/code", &[("code", &paper[3].to_uppercase().replace('-', " "))]).await;
    assert_eq!(page.location(), "/people/me/second-factor?done=code_used");
    assert!(lin.get(page.location()).await.shows("left: 9"));
    let mut again = half_way(&server, "lin").await;
    assert_eq!(again.post("/login/code", &[("code", &paper[3])]).await.status, 401);
    // Other ones are made for a code of the app, and those of before are good no more.
    lin.get("/people/me/second-factor").await;
    assert_eq!(lin.post("/people/me/second-factor/codes", &[("code", "111111")]).await.status, 422);
    let page = lin.post("/people/me/second-factor/codes", &[("code", &code_of(&server, "lin").await)]).await;
    let new = codes_on(&page);
    assert_eq!((page.status, new.len()), (200, 10), "{}", page.body);
    assert!(new.iter().all(|code| !paper.contains(code)));
    assert_eq!(again.post("/login/code", &[("code", &paper[4])]).await.status, 401);
    assert_eq!(again.post("/login/code", &[("code", &new[0])]).await.status, 303);
    // Only hashes are kept.
    let rows = server.get("/api/v1/audit?kind=user").await.to_string();
    assert!(new.iter().chain(&paper).all(|code| !rows.contains(code)));
}

async fn whoever_must_have_one_does_nothing_before(home: Home) {
    let server = home.set("AUTOCALL_HTTP_SECOND_FACTOR", "admins").start().await;
    let mut lin = Visitor::new(&server);
    add_user(&server, "lin", Role::Admin).await;
    assert_eq!(lin.log_in("lin", PASSWORD).await.location(), "/");
    for path in ["/", "/users", "/people/me", "/people/me/sessions", "/alarms"] {
        let page = lin.get(path).await;
        assert_eq!((page.status, page.location()), (303, "/people/me/second-factor"), "{path}");
    }
    let page = lin.get("/people/me/second-factor").await;
    assert!(page.status == 200 && page.shows("required"), "{}", page.body);
    let refused = lin.post("/people/add", &[("name", "Ann"), ("numbers", "18712345678")]).await;
    assert!(refused.status == 403 && refused.shows("second factor"), "{}", refused.body);
    let stream = lin.listen("/live?page=now").await.text().await.unwrap();
    assert!(stream.contains("event: end") && !stream.contains("sight"), "{stream}");
    lin.get("/people/me/second-factor").await;
    lin.post("/people/me/second-factor", &[]).await;
    let code = code_of(&server, "lin").await;
    assert_eq!(lin.post("/people/me/second-factor/confirm", &[("code", &code)]).await.status, 200);
    assert_eq!(lin.get("/users").await.status, 200);
    // Others are not asked for one.
    let mut eve = Visitor::logged_in(&server, "eve", Role::Responder).await;
    assert_eq!(eve.get("/").await.status, 200);
    // Who becomes an admin is, at the next click.
    lin.get("/users").await;
    assert_eq!(lin.post("/users/role", &[("user", "eve"), ("role", "admin")]).await.status, 303);
    assert_eq!(eve.get("/").await.location(), "/people/me/second-factor");
    // Somebody can always leave.
    eve.get("/people/me/second-factor").await;
    assert_eq!(eve.post("/logout", &[]).await.location(), "/login");
}

async fn an_admin_takes_it_away(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Responder).await;
    let mut lin = half_way(&server, "lin").await;
    assert_eq!(lin.post("/login/code", &[("code", &code_of(&server, "lin").await)]).await.status, 303);
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    assert!(ada.get("/users").await.shows("action=\"/users/second-factor\""));
    for _ in 0..2 {
        assert_eq!(ada.post("/users/second-factor", &[("user", "lin")]).await.location(), "/users?done=factor_reset");
    }
    assert_eq!(lin.get("/").await.status, 303, "logged out everywhere");
    let mut lin = Visitor::new(&server);
    assert_eq!(lin.log_in("lin", PASSWORD).await.location(), "/");
    lin.get("/").await;
    assert_eq!(lin.post("/users/second-factor", &[("user", "ada")]).await.status, 403);
    let lines = server.get("/api/v1/audit?operation=user_second_factor_reset").await;
    assert_eq!((lines["items"].as_array().unwrap().len(), &lines["items"][0]["done_by_name"]), (1, &"ada".into()), "{lines}");
}

async fn its_owner_takes_it_away_with_a_code(home: Home) {
    let server = home.start().await;
    let paper = with_factor(&server, "lin", Role::Responder).await;
    let mut lin = half_way(&server, "lin").await;
    lin.post("/login/code", &[("code", &code_of(&server, "lin").await)]).await;
    lin.get("/people/me/second-factor").await;
    for wrong in ["", "123456", "nonsense"] {
        assert_eq!(lin.post("/people/me/second-factor/remove", &[("code", wrong)]).await.status, 422, "{wrong}");
    }
    let page = lin.post("/people/me/second-factor/remove", &[("code", &paper[0])]).await;
    assert_eq!(page.location(), "/people/me/second-factor?done=factor_removed");
    assert_eq!(Visitor::new(&server).log_in("lin", PASSWORD).await.location(), "/");
}

async fn where_it_is_off_nobody_is_asked(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Admin).await;
    let server = server.stop().await.set("AUTOCALL_HTTP_SECOND_FACTOR", "off").start().await;
    let mut lin = Visitor::new(&server);
    assert_eq!(lin.log_in("lin", PASSWORD).await.location(), "/");
    assert!(lin.get("/people/me/second-factor").await.shows("http.second_factor"));
    assert_eq!(lin.post("/people/me/second-factor", &[]).await.status, 404);
}

async fn a_proof_of_the_password_ends_with_it(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Responder).await;
    let mut late = half_way(&server, "lin").await;
    server.home.clock.advance(TimeDelta::minutes(11));
    assert_eq!(late.get("/login/code").await.location(), "/login");
    let mut lin = half_way(&server, "lin").await;
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    ada.get("/users").await;
    assert_eq!(ada.post("/users/reset", &[("user", "lin")]).await.status, 200);
    let code = code_of(&server, "lin").await;
    assert_eq!(lin.post("/login/code", &[("code", &code)]).await.location(), "/login", "the password is another one by now");
    let mut shut_out = Visitor::new(&server);
    with_factor(&server, "mia", Role::Responder).await;
    shut_out.log_in("mia", PASSWORD).await;
    shut_out.get("/login/code").await;
    ada.post("/users/disable", &[("user", "mia")]).await;
    let code = code_of(&server, "mia").await;
    assert_eq!(shut_out.post("/login/code", &[("code", &code)]).await.location(), "/login");
}

async fn what_is_typed_may_be_anything(home: Home) {
    let server = home.start().await;
    with_factor(&server, "lin", Role::Viewer).await;
    let long = "9".repeat(20_000);
    for wrong in ["", " ", "12345", "1234567", "１２３４５６", "-1", "' OR 1=1", "<script>", &long] {
        server.home.clock.advance(TimeDelta::minutes(10));
        let mut lin = half_way(&server, "lin").await;
        let page = lin.post("/login/code", &[("code", wrong)]).await;
        assert!(page.status == 401 && !page.shows("<script>alert"), "{wrong}: {}", page.status);
    }
    let mut bent = half_way(&server, "lin").await;
    for cookie in ["", "x", "a.b.c", "01a1fc4e-a630-77e4-8b85-425a1123605f.99999999999.x"] {
        bent.cookies.insert("autocall_half_way".to_owned(), cookie.to_owned());
        assert_eq!(bent.get("/login/code").await.location(), "/login", "{cookie}");
    }
}

async fn its_secret_is_shown_while_it_is_set_up_and_never_again(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.get("/people/me/second-factor").await;
    lin.post("/people/me/second-factor", &[]).await;
    let secret = autocall::rights::second_factor::typed(&secret_of(&server, "lin").await);
    assert!(lin.get("/people/me/second-factor").await.shows(&secret));
    // Another one, in place of a picture that somebody may have seen.
    lin.post("/people/me/second-factor", &[]).await;
    let other = autocall::rights::second_factor::typed(&secret_of(&server, "lin").await);
    assert_ne!(secret, other);
    lin.get("/people/me/second-factor").await;
    let code = code_of(&server, "lin").await;
    let page = lin.post("/people/me/second-factor/confirm", &[("code", &code)]).await;
    assert!(page.status == 200 && !page.shows(&other), "{}", page.body);
    for path in ["/people/me/second-factor", "/users", "/audit", "/people/me"] {
        assert!(!lin.get(path).await.shows(&other), "{path}");
    }
    // Nor does another press begin anew, unasked.
    lin.get("/people/me/second-factor").await;
    assert_eq!(lin.post("/people/me/second-factor", &[]).await.status, 303);
    assert_eq!(autocall::rights::second_factor::typed(&secret_of(&server, "lin").await), other);
}
