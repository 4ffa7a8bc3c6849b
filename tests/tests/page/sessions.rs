//! Sessions: where somebody is logged in, ending one or all, and what becomes of pages that are open.

use autocall::store::access::users::Role;
use chrono::TimeDelta;
use serde_json::json;

use crate::client::{PASSWORD, Page, Visitor};
use crate::harness::{Home, Server, on_both};

on_both!(
    somebody_sees_and_ends_their_own_sessions,
    all_others_are_ended_at_once,
    an_admin_ends_those_of_others,
    an_open_page_ends_with_its_session,
    a_session_is_ended_over_the_api,
    roles_are_set_over_the_api,
);

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PHONE: &str =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1";

async fn another(server: &Server, name: &str, agent: &str, address: &str) -> Visitor {
    let mut visitor = Visitor::new(server);
    visitor.headers = vec![("user-agent", agent.to_owned()), ("x-forwarded-for", address.to_owned())];
    assert_eq!(visitor.log_in(name, PASSWORD).await.status, 303);
    visitor.get("/").await;
    visitor
}

fn ids(page: &Page) -> Vec<String> {
    page.body.split("name=\"session\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

async fn somebody_sees_and_ends_their_own_sessions(home: Home) {
    let server = home.set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1").start().await;
    crate::client::add_user(&server, "lin", Role::Viewer).await;
    let mut desk = another(&server, "lin", FIREFOX, "10.1.1.1").await;
    server.home.clock.advance(TimeDelta::minutes(3));
    let mut phone = another(&server, "lin", PHONE, "10.2.2.2").await;
    let page = desk.get("/people/me/sessions").await;
    for shown in ["Firefox, Linux", "Safari, iPhone", "10.1.1.1", "10.2.2.2", "this one", "2026-11-20 03:00", "2026-11-20 03:03"]
    {
        assert!(page.shows(shown), "{shown}: {}", page.body);
    }
    // What a session is kept under tells nothing, and this one is not ended here.
    let theirs = ids(&page);
    assert_eq!(theirs.len(), 1, "{}", page.body);
    assert!(!page.shows(&desk.cookies["autocall_session"]) && !page.shows(&phone.cookies["autocall_session"]));
    let done = desk.post("/people/me/sessions/end", &[("session", &theirs[0])]).await;
    assert_eq!(done.location(), "/people/me/sessions?done=session_ended");
    assert_eq!(phone.get("/").await.location(), "/login");
    assert_eq!(desk.post("/people/me/sessions/end", &[("session", &theirs[0])]).await.status, 404, "it is over");
    for wrong in ["", "x", "0000000000000000"] {
        assert_eq!(desk.post("/people/me/sessions/end", &[("session", wrong)]).await.status, 404, "{wrong}");
    }
    assert_eq!(desk.get("/").await.status, 200);
    // Where it is used from changes with time.
    server.home.clock.advance(TimeDelta::minutes(30));
    desk.headers = vec![("user-agent", FIREFOX.to_owned()), ("x-forwarded-for", "10.9.9.9".to_owned())];
    desk.get("/").await;
    let page = desk.get("/people/me/sessions").await;
    assert!(page.shows("10.9.9.9") && !page.shows("10.1.1.1"), "{}", page.body);
    // Nobody ends those of others by their own page.
    let mut eve = Visitor::logged_in(&server, "eve", Role::Responder).await;
    let foreign = server.get("/api/v1/users/lin/sessions").await["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(eve.post("/people/me/sessions/end", &[("session", &foreign)]).await.status, 404);
    assert_eq!(desk.get("/").await.status, 200);
}

async fn all_others_are_ended_at_once(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(another(&server, "lin", FIREFOX, "10.1.1.1").await);
    }
    lin.get("/people/me/sessions").await;
    assert_eq!(lin.post("/people/me/sessions/end", &[("all", "yes")]).await.status, 303);
    for other in &mut others {
        assert_eq!(other.get("/").await.status, 303);
    }
    let page = lin.get("/people/me/sessions").await;
    assert!(page.status == 200 && ids(&page).is_empty() && !page.shows("End all others"), "{}", page.body);
}

async fn an_admin_ends_those_of_others(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    let user = server.get("/api/v1/users/lin").await["id"].as_str().unwrap().to_owned();
    assert!(ada.get("/users").await.shows(&format!("href=\"/users/{user}/sessions\"")));
    let page = ada.get(&format!("/users/{user}/sessions")).await;
    assert_eq!(ids(&page).len(), 1, "{}", page.body);
    for path in [format!("/users/{user}/sessions"), "/users/nobody/sessions".to_owned()] {
        assert_eq!(lin.get(&path).await.status, 403, "{path}");
    }
    assert_eq!(lin.post(&format!("/users/{user}/sessions/end"), &[("all", "yes")]).await.status, 403);
    assert_eq!(ada.get("/users/nobody/sessions").await.status, 404);
    assert_eq!(ada.get("/users/01a1fc4e-a630-77e4-8b85-425a1123605f/sessions").await.status, 404);
    ada.get(&format!("/users/{user}/sessions")).await;
    assert_eq!(ada.post(&format!("/users/{user}/sessions/end"), &[("all", "yes")]).await.status, 303);
    assert_eq!(lin.get("/").await.status, 303);
    assert_eq!(ada.get("/").await.status, 200);
    let lines = server.get("/api/v1/audit?operation=user_sessions_ended").await;
    assert_eq!(
        (&lines["items"][0]["subject_name"], &lines["items"][0]["after"]),
        (&json!("lin"), &json!({ "sessions": 1 })),
        "{lines}"
    );
}

async fn an_open_page_ends_with_its_session(home: Home) {
    let server = home.start().await;
    let lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let stream = lin.listen("/live?page=now").await;
    let user = server.get("/api/v1/users/lin").await["id"].as_str().unwrap().to_owned();
    let (status, ended) = server.post(&format!("/api/v1/users/{user}/sessions/end"), &json!({})).await;
    assert_eq!((status, ended), (200, json!({ "ended": 1 })));
    // The stream is over when it has told that: it is read to its end.
    let told = stream.text().await.unwrap();
    assert!(told.trim_end().ends_with("data: logged out"), "{told}");
}

async fn a_session_is_ended_over_the_api(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let mut other = another(&server, "lin", PHONE, "10.1.1.1").await;
    let all = server.get("/api/v1/users/lin/sessions").await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{all}");
    let phone = items.iter().find(|own| own["browser"] == "Safari, iPhone").unwrap_or_else(|| panic!("{all}"));
    let path = format!("/api/v1/users/lin/sessions/{}", phone["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await["browser"], "Safari, iPhone");
    for (path, method) in [
        (path.as_str(), reqwest::Method::DELETE),
        ("/api/v1/users/lin/second-factor", reqwest::Method::DELETE),
        ("/api/v1/users/lin/sessions/end", reqwest::Method::POST),
    ] {
        let late =
            server.http.request(method, format!("{}{path}", server.base)).header("if-match", "\"0\"").send().await.unwrap();
        assert_eq!(late.status(), 412, "{path}: nobody has read that");
    }
    assert_eq!((other.get("/").await.status, lin.get("/").await.status), (200, 200));
    assert_eq!(server.delete(&path).await, 204);
    assert_eq!(server.delete(&path).await, 404);
    assert_eq!((other.get("/").await.status, lin.get("/").await.status), (303, 200));
    assert_eq!(server.delete("/api/v1/users/nobody/sessions/x").await, 404);
    assert_eq!(server.delete("/api/v1/users/lin/second-factor").await, 404, "there is none");
    // A new password ends them all.
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    ada.get("/users").await;
    assert_eq!(ada.post("/users/reset", &[("user", "lin")]).await.status, 200);
    assert_eq!(server.get("/api/v1/users/lin/sessions").await["items"], json!([]));
}

async fn roles_are_set_over_the_api(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "db", "members": [] })).await.0, 201);
    let patch = async |head: &[(&str, &str)], body: serde_json::Value| {
        let mut request = server.http.patch(format!("{}/api/v1/users/lin", server.base)).json(&body);
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        (answer.status().as_u16(), tag, answer.json::<serde_json::Value>().await.unwrap())
    };
    let (status, tag, user) = patch(&[], json!({ "teams": [{ "team": "db", "role": "lead" }] })).await;
    assert_eq!(
        (status, &user["role"], &user["teams"]),
        (200, &json!("viewer"), &json!([{ "team": "db", "role": "lead" }])),
        "{user}"
    );
    assert_eq!(lin.get("/alarms/new").await.status, 200);
    let (status, _, user) = patch(&[("if-match", &tag.clone().unwrap())], json!({ "role": "responder", "teams": [] })).await;
    assert_eq!((status, &user["role"], &user["teams"]), (200, &json!("responder"), &json!([])), "{user}");
    assert_eq!(patch(&[("if-match", &tag.unwrap())], json!({ "role": "admin" })).await.0, 412, "somebody was faster");
    for (wrong, pointer) in [
        (json!({ "role": "king" }), "/role"),
        (json!({ "teams": [{ "team": "none", "role": "lead" }] }), "/teams"),
        (json!({ "teams": [{ "team": "db", "role": "admin" }] }), "/teams/0/role"),
        (json!({ "teams": [{ "team": "db", "role": "lead" }, { "team": "db", "role": "responder" }] }), "/teams/1/team"),
        (json!({ "password": "x" }), "/password"),
    ] {
        let (status, _, problem) = patch(&[], wrong.clone()).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{wrong}: {problem}");
    }
    let users = server.get("/api/v1/users").await;
    assert_eq!((&users["items"][0]["name"], &users["items"][0]["role"]), (&json!("lin"), &json!("responder")), "{users}");
    assert_eq!(users["items"][0]["has_second_factor"], json!(false));
}
