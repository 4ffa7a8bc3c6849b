//! The page *Audit log*, for admins alone: found, paged, taken as a file; and a person whose data is taken out and erased.

use autocall::store::access::users::Role;
use serde_json::json;

use crate::client::Visitor;
use crate::harness::{A, Home, on_both};

on_both!(
    only_admins_see_who_changed_what,
    what_somebody_does_on_a_page_is_their_line,
    logins_leave_lines_and_guesses_do_not_fill_the_log,
    a_person_is_erased_from_their_page,
);

async fn only_admins_see_who_changed_what(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let mut mei = Visitor::logged_in(&server, "mei", Role::Responder).await;
    assert!(lin.get("/").await.shows("href=\"/audit\""), "it is in the menu");
    assert_eq!(lin.get("/audit").await.status, 200);
    for path in ["/audit", "/audit.csv"] {
        assert_eq!(mei.get(path).await.status, 403, "{path}");
        assert!(!Visitor::new(&server).get(path).await.shows("lin"), "{path}");
    }
}

async fn what_somebody_does_on_a_page_is_their_line(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = [("name", "Li <b>Na</b>"), ("numbers", A), ("language", "en")];
    assert_eq!(lin.post("/people/add", &form).await.status, 303);
    let page = lin.get("/audit").await;
    assert!(page.shows("Person: added") && page.shows("Li &#60;b&#62;Na&#60;/b&#62;") && !page.shows("<b>Na"), "{}", page.body);
    assert!(page.shows("<b>lin</b>") && page.shows("127.0.0.1") && page.shows("+8618712345678"), "{}", page.body);
    let found = lin.get("/audit?kind=person&who=lin").await;
    assert!(found.shows("Person: added") && !found.shows("User: logged in"), "{}", found.body);
    assert!(lin.get("/audit?who=nobody").await.shows("No line fits."));
    assert!(lin.get("/audit?from=soon").await.shows("role=\"alert\""));
    let file = lin.get("/audit.csv?kind=person").await;
    assert!(file.header("content-type").starts_with("text/csv") && file.shows("person_added"), "{}", file.body);
    assert!(!file.shows("user_logged_in"), "{}", file.body);
    for place in 0..60 {
        let body = json!({ "number": format!("188{place:08}"), "reason": "left" });
        assert_eq!(server.post("/api/v1/do-not-call", &body).await.0, 201);
    }
    let first = lin.get("/audit?kind=do_not_call").await;
    let (_, rest) = first.body.split_once("rel=\"next\"").unwrap_or_else(|| panic!("{}", first.body));
    assert!(!rest.is_empty() && first.body.matches("<li><span class=\"when\">").count() == 50);
    let older = first.body.split("<a href=\"").find(|link| link.contains("below=")).unwrap().split('"').next().unwrap();
    let older = older.replace("&#38;", "&").replace("&amp;", "&");
    let second = lin.get(&older).await;
    assert_eq!(second.body.matches("<li><span class=\"when\">").count(), 10, "{}", second.body);
    assert!(second.shows("rel=\"prev\"") && !second.shows("rel=\"next\""), "{}", second.body);
}

async fn logins_leave_lines_and_guesses_do_not_fill_the_log(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let mut stranger = Visitor::new(&server);
    assert_eq!(stranger.log_in("lin", "not the password").await.status, 401);
    assert_eq!(stranger.log_in("a password in the wrong field", "x").await.status, 401);
    let page = lin.get("/audit?kind=user").await;
    assert!(page.shows("User: logged in") && page.shows("User: not let in"), "{}", page.body);
    assert!(!page.shows("a password in the wrong field"), "{}", page.body);
}

async fn a_person_is_erased_from_their_page(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let mut mei = Visitor::logged_in(&server, "mei", Role::Responder).await;
    let (_, made) = server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    let id = made["id"].as_str().unwrap();
    let page = lin.get(&format!("/people/{id}/personal")).await;
    assert!(page.shows("Li Na") && page.shows("Yes, erase"), "{}", page.body);
    assert_eq!(mei.get(&format!("/people/{id}/personal")).await.status, 403);
    let file = lin.get(&format!("/people/{id}/personal.json")).await;
    assert!(file.status == 200 && file.shows("Li Na") && file.shows("\"audit\": ["), "{}", file.body);
    let erase = format!("/people/{id}/erase");
    assert_eq!(mei.post(&erase, &[("sure", "yes")]).await.status, 403);
    assert_eq!(lin.post(&erase, &[]).await.status, 422, "it has to be said");
    assert_eq!(lin.post_bare(&erase, &[("sure", "yes")]).await.status, 403, "only by our own form");
    let alarm = server.raise(&[], json!({ "ring": [{ "person": "Li Na" }] })).await;
    let refused = lin.post(&erase, &[("sure", "yes")]).await;
    assert!(refused.status == 409 && refused.shows("An open alarm may ring this person"), "{}", refused.body);
    assert_eq!(server.post(&format!("/api/v1/alarms/{alarm}/resolve"), &json!({})).await.0, 200);
    assert_eq!(lin.post(&erase, &[("sure", "yes")]).await.status, 303);
    assert!(!lin.get("/people").await.shows("Li Na"));
    let log = lin.get("/audit").await;
    assert!(log.shows("Person: erased") && !log.shows("Li Na") && !log.shows("18712345678"), "{}", log.body);
    assert_eq!(lin.get(&format!("/people/{id}/personal")).await.status, 404);
}
