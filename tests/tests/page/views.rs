//! What every page has around it, and *Now* in its three views: menus, marks of where one is, the first steps of a new server, the page of the
//! API.

use std::time::Duration;

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::wait::eventually;
use serde_json::json;

use crate::client::{Page, Visitor};
use crate::harness::{A, Home, on_both};

on_both!(
    a_wall_shows_and_asks_nothing,
    every_page_of_a_role_is_in_its_menu_once,
    the_first_steps_are_ticked_and_do_not_come_back,
    the_page_of_the_api_speaks_to_its_reader,
    thirty_alarms_are_thirty_lines,
);

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// The links of a part of a page: where to, and whether that is marked as where one is.
fn links(page: &Page, from: &str, to: &str) -> Vec<(String, bool)> {
    let (_, rest) = page.body.split_once(from).unwrap_or_else(|| panic!("{from}: {}", page.body));
    let (part, _) = rest.split_once(to).unwrap();
    let link = |rest: &str| {
        let tag = rest.split('>').next().unwrap();
        (tag.split('"').next().unwrap().to_owned(), tag.contains("aria-current=\"page\""))
    };
    part.split("<a href=\"").skip(1).map(link).collect()
}

async fn every_page_of_a_role_is_in_its_menu_once(home: Home) {
    let server = home.start().await;
    for (name, role, most, least) in [
        ("eve", Role::Viewer, "/shouts", "/users"),
        ("rob", Role::Responder, "/calls", "/users"),
        ("lin", Role::Admin, "/users", ""),
    ] {
        let mut visitor = Visitor::logged_in(&server, name, role).await;
        let page = visitor.get("/watch").await;
        let menu = links(&page, "<details class=\"menu\" id=\"menu\">", "</details>");
        let mut addresses: Vec<&String> = menu.iter().map(|(to, _)| to).collect();
        assert!(addresses.iter().any(|to| *to == most) && !addresses.iter().any(|to| *to == least), "{name}: {addresses:?}");
        let here: Vec<&String> = menu.iter().filter(|(_, is_here)| *is_here).map(|(to, _)| to).collect();
        assert_eq!(here, ["/watch"], "{name}");
        let all = addresses.len();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), all, "{name}: each once");
        // What stands beside each other on a wide screen is in the menu of a narrow one.
        let bar = links(&page, "<nav class=\"across\"", "</nav>");
        assert!(bar.len() >= 4 && bar.iter().all(|(to, _)| addresses.contains(&to)), "{name}: {bar:?}");
        for (to, _) in &menu {
            let page = visitor.get(to).await;
            assert_eq!(page.status, 200, "{name} {to}");
            let marked = |from: &str, to: &str| -> Vec<String> {
                links(&page, from, to).into_iter().filter(|(_, is_here)| *is_here).map(|(to, _)| to).collect()
            };
            assert_eq!(marked("<details class=\"menu\" id=\"menu\">", "</details>"), [to.as_str()], "{name} {to}: marked once");
            let beside = marked("<nav class=\"across\"", "</nav>");
            assert_eq!(beside, bar.iter().map(|(to, _)| to.clone()).filter(|own| own == to).collect::<Vec<_>>(), "{name} {to}");
            assert!(page.shows("<a class=\"skip\" href=\"#main\">") && page.shows("<main id=\"main\""), "{name} {to}");
        }
    }
}

async fn the_first_steps_are_ticked_and_do_not_come_back(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let done = |page: &Page| page.body.matches("✓ done").count();
    let page = lin.get("/").await;
    assert!(page.shows("id=\"first-steps\"") && done(&page) == 0 && !page.shows("All quiet"), "{}", page.body);
    assert!(page.shows("href=\"/people#add\"") && !eve.get("/").await.shows("href=\"/people#add\""), "for who may");
    let desk = server.pair("desk", Profile::App).await;
    assert_eq!(done(&lin.get("/").await), 1);
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    assert_eq!(done(&lin.get("/").await), 2);
    server.raise(&[A], json!({ "attempts": 1 })).await;
    // Whoever looks does not wait until it is written down.
    let writing = server.app.engine.store.begin().await.unwrap();
    let page = lin.get("/").await;
    assert_eq!(done(&page), 4, "an alarm, and so something that raises them: {}", page.body);
    drop(writing);
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert!(!lin.get("/").await.shows("first-steps"), "all are done");
    // Each look has what is not written down yet written down.
    eventually("all first steps to be written down", SOON, async || {
        lin.get("/").await;
        let known = server.app.engine.store.read().await.unwrap().db().first_steps_done().await.unwrap();
        (known.len() == 5).then_some(())
    })
    .await;
    // Also when what showed it is gone, and the server was started again.
    server.run_sql(vec!["DELETE FROM answers".to_owned(), "DELETE FROM person_numbers".to_owned()]).await;
    let server = server.restart().await;
    let mut lin = Visitor::new(&server);
    lin.log_in("lin", crate::client::PASSWORD).await;
    let page = lin.get("/").await;
    assert!(page.status == 200 && !page.shows("first-steps"), "{}", page.body);
}

async fn thirty_alarms_are_thirty_lines(home: Home) {
    let server = home.start().await;
    for place in 0..30 {
        server.raise(&[A], json!({ "summary": format!("alarm <{place}>"), "source": "zabbix" })).await;
    }
    let mut rob = Visitor::logged_in(&server, "rob", Role::Responder).await;
    let page = rob.get("/?view=dense").await;
    assert!(page.shows("data-live=\"/live?page=now&#38;view=dense\""), "it hears of what changes: {}", page.body);
    assert!(page.shows("<ul class=\"dense\">") && !page.shows("class=\"ladder\""), "{}", page.body);
    let (_, rest) = page.body.split_once("<ul class=\"dense\">").unwrap();
    let list = rest.split("</ul>").next().unwrap();
    assert_eq!(list.matches("<li class=").count(), 30);
    assert_eq!(list.matches("/acknowledge\"").count(), 30);
    assert_eq!(list.matches(" data-key=\"").count(), 30, "by which the sound knows a new one");
    assert!(!page.shows("alarm <0>") && page.shows("alarm &#60;0&#62;"));
    let others = links(&page, "<nav class=\"more views\"", "</nav>");
    assert_eq!(others, [("/".to_owned(), false), ("/?view=dense".to_owned(), true), ("/?view=wall".to_owned(), false)]);
    assert!(!rob.get("/?view=nonsense").await.shows("<ul class=\"dense\">"), "an unknown view is the usual one");
}

async fn a_wall_shows_and_asks_nothing(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    server.raise(&[A], json!({ "summary": "disk full" })).await;
    server.app_dial(&desk).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/?view=wall").await;
    let (_, main) = page.body.split_once("<main").unwrap();
    assert!(main.contains("disk full") && main.contains("<b class=\"who-rings\">Ann</b>"), "{main}");
    assert!(!main.contains("<button") && !main.contains("<form") && !main.contains("id=\"finished\""), "{main}");
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    assert!(!eve.get("/?view=dense").await.shows("/acknowledge\""), "who may not press has nothing to press");
}

async fn the_page_of_the_api_speaks_to_its_reader(home: Home) {
    let server = home.start().await;
    let read = async |path: &str, header: (&str, &str)| {
        let answer = server.http.get(format!("{}{path}", server.base)).header(header.0, header.1).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let vary = answer.headers()["vary"].to_str().unwrap().to_owned();
        assert!(vary.contains("accept-language"), "{path}: {vary}");
        answer.text().await.unwrap()
    };
    for path in ["/api", "/api/problems"] {
        for (tag, skip) in [("en", "Skip to the content"), ("zh", "跳到正文"), ("ja", "本文へ"), ("es", "Saltar al contenido")]
        {
            for page in [
                read(&format!("{path}?lang={tag}"), ("accept", "text/html")).await,
                read(path, ("accept-language", tag)).await,
                read(path, ("cookie", &format!("autocall_language={tag}"))).await,
            ] {
                assert!(page.contains(&format!("<html lang=\"{tag}\">")) && page.contains(skip), "{path} {tag}: {page:.600}");
                assert!(page.contains("<main id=\"main\"") && page.contains("href=\"#main\""), "{path} {tag}");
                assert!(tag == "en" || !page.contains("Whatever the API refuses"), "{path} {tag}: what stands above is theirs");
                assert!(page.contains("href=\"/assets/style.css\"") && !page.contains("<style"), "{path}: in the pages' style");
            }
        }
    }
    let page = read("/api", ("accept-language", "en")).await;
    for (part, _) in page.match_indices("href=\"#part-") {
        let place = page[part + 7..].split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{place}\"")), "{place} leads somewhere");
    }
    assert!(page.contains("href=\"#part-alarms\"") && page.contains("/api/v1/alarms"));
}
