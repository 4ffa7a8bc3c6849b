//! People whom a reverse proxy in front has let in, as it says in a header.

use autocall::store::access::users::Role;
use chrono::TimeDelta;
use serde_json::json;

use crate::client::{PASSWORD, Page, Visitor, add_user};
use crate::harness::{Home, Server, on_both};

on_both!(
    whom_a_trusted_proxy_names_is_in,
    nobody_else_is_believed,
    a_session_belongs_to_whom_the_proxy_names,
    an_account_that_is_there_is_connected_by_its_owner,
    sessions_of_a_proxy_are_ended_like_others,
);

fn behind(home: Home, proxies: &str) -> Home {
    home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", proxies)
        .set("AUTOCALL_IDENTITY_USER_HEADER", "Remote-User")
        .set("AUTOCALL_IDENTITY_GROUPS_HEADER", "Remote-Groups")
        .set("AUTOCALL_IDENTITY_ROLES", "oncall = responder, chiefs = admin")
}

fn named(server: &Server, user: &str, groups: &str) -> Visitor {
    let mut visitor = Visitor::new(server);
    visitor.headers = says(user, groups);
    visitor
}

fn says(user: &str, groups: &str) -> Vec<(&'static str, String)> {
    vec![("x-forwarded-for", "10.1.1.1".to_owned()), ("remote-user", user.to_owned()), ("remote-groups", groups.to_owned())]
}

/// Follows redirects to our own pages.
async fn follow(visitor: &mut Visitor, path: &str) -> Page {
    let mut page = visitor.get(path).await;
    for _ in 0..4 {
        if page.status != 303 {
            return page;
        }
        let to = page.location().to_owned();
        page = visitor.get(&to).await;
    }
    panic!("{path} leads on and on")
}

async fn whom_a_trusted_proxy_names_is_in(home: Home) {
    let server = behind(home, "127.0.0.1").start().await;
    let mut lin = named(&server, "lin", "staff, oncall");
    let page = follow(&mut lin, "/handsets").await;
    assert!(page.status == 200 && page.shows("lin") && page.shows("<small>responder</small>"), "{}", page.body);
    assert_eq!(lin.get("/users").await.status, 403);
    let mut boss = named(&server, "boss", "chiefs|staff");
    let users = follow(&mut boss, "/users").await;
    assert!(users.shows("Logs in by: the proxy"), "{}", users.body);
    // No group, no role.
    for groups in ["", "staff", "oncall staff"] {
        let page = follow(&mut named(&server, "mia", groups), "/").await;
        assert!(page.status == 403 && page.shows("gives you a role here"), "{groups}: {}", page.body);
    }
    // Whoever leaves is not let in again unasked.
    lin.get("/").await;
    let left = lin.post("/logout", &[]).await;
    assert_eq!(left.location(), "/login?out=1");
    let page = lin.get("/login?out=1").await;
    assert!(page.status == 200 && page.shows("/login/proxy"), "{}", page.body);
    assert_eq!(follow(&mut lin, "/login/proxy?next=%2Fhandsets").await.status, 200);
    // Their groups are read again after half a day, and nobody notices.
    server.home.clock.advance(TimeDelta::hours(12));
    assert_eq!(lin.get("/").await.location(), "/login");
    assert_eq!(follow(&mut lin, "/").await.status, 200);
}

async fn nobody_else_is_believed(home: Home) {
    let server = behind(home, "10.9.9.9").start().await;
    add_user(&server, "boss", Role::Admin).await;
    let mut thief = named(&server, "boss", "chiefs");
    let page = follow(&mut thief, "/users").await;
    assert!(page.status == 200 && page.shows("name=\"password\""), "the login: {}", page.body);
    assert_eq!(thief.get("/login/proxy").await.location(), "/login");
    assert_eq!(thief.log_in("boss", PASSWORD).await.status, 303, "and passwords are as good as ever");
    // Off, unless a header is named.
    let home = server.stop().await.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").set("AUTOCALL_IDENTITY_USER_HEADER", "");
    let server = home.start().await;
    assert!(follow(&mut named(&server, "mia", "chiefs"), "/").await.shows("name=\"password\""));
}

async fn a_session_belongs_to_whom_the_proxy_names(home: Home) {
    let server = behind(home, "127.0.0.1").start().await;
    let mut browser = named(&server, "lin", "oncall");
    follow(&mut browser, "/").await;
    assert_eq!(browser.get("/handsets").await.status, 200);
    for other in [says("mia", "oncall"), says("lin", "oncall,staff"), Vec::new()] {
        browser.headers = other;
        assert_eq!(browser.get("/handsets").await.status, 303);
    }
    browser.headers = says("mia", "chiefs");
    let page = follow(&mut browser, "/users").await;
    assert!(page.status == 200 && page.shows("mia"), "{}", page.body);
    browser.headers = says("mia", "oncall");
    assert_eq!(follow(&mut browser, "/users").await.status, 403, "what they may is read again at once");
}

async fn an_account_that_is_there_is_connected_by_its_owner(home: Home) {
    let server = behind(home, "127.0.0.1").start().await;
    add_user(&server, "boss", Role::Admin).await;
    add_user(&server, "lin", Role::Viewer).await;
    let page = follow(&mut named(&server, "lin", "oncall"), "/").await;
    assert!(page.status == 403 && page.shows("There is a user lin here already"), "{}", page.body);
    let mut lin = named(&server, "lin", "oncall");
    lin.get("/login?out=1").await;
    assert_eq!(lin.post("/login", &[("name", "lin"), ("password", PASSWORD)]).await.status, 303);
    let page = lin.get("/password/identities").await;
    assert!(page.shows("Connect with the proxy, as lin"), "{}", page.body);
    assert_eq!(lin.post("/login/proxy/connect", &[]).await.location(), "/password/identities?done=connected");
    let mut again = named(&server, "lin", "oncall");
    assert!(follow(&mut again, "/").await.shows("<small>responder</small>"));
}

async fn sessions_of_a_proxy_are_ended_like_others(home: Home) {
    // The proxy has asked for what it wants: nobody sets up a second factor here.
    let server = behind(home, "127.0.0.1").set("AUTOCALL_HTTP_SECOND_FACTOR", "all").start().await;
    let mut lin = named(&server, "lin", "oncall");
    assert_eq!(follow(&mut lin, "/handsets").await.status, 200);
    let stream = lin.listen("/live?page=now").await;
    let (status, ended) = server.post("/api/v1/users/lin/sessions/end", &json!({})).await;
    assert_eq!((status, ended), (200, json!({ "ended": 1 })));
    let told = stream.text().await.unwrap();
    assert!(told.trim_end().ends_with("data: logged out"), "{told}");
    assert_eq!(lin.get("/handsets").await.status, 303);
    // Whom the proxy still names is let in anew.
    assert_eq!(follow(&mut lin, "/handsets").await.status, 200);
    let open = server.get("/api/v1/users/lin/sessions").await;
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "{open}");
    let path = format!("/api/v1/users/lin/sessions/{}", open["items"][0]["id"].as_str().unwrap());
    assert_eq!(server.delete(&path).await, 204);
    assert_eq!(lin.get("/handsets").await.status, 303);
    assert_eq!(follow(&mut lin, "/people/me/sessions").await.status, 200);
    let mut desk = named(&server, "lin", "oncall");
    follow(&mut desk, "/people/me/sessions").await;
    assert_eq!(desk.post("/people/me/sessions/end", &[("all", "yes")]).await.status, 303);
    assert_eq!((lin.get("/handsets").await.status, desk.get("/handsets").await.status), (303, 200));
    // Only shutting them out keeps them out.
    let mut boss = named(&server, "boss", "chiefs");
    follow(&mut boss, "/users").await;
    assert_eq!(boss.post("/users/disable", &[("user", "lin")]).await.location(), "/users?done=user_disabled");
    let page = follow(&mut desk, "/handsets").await;
    assert!(page.status == 403 && page.shows("is disabled here"), "{}", page.body);
}
