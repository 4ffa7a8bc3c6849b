//! *Alarms*: what is asked for by an address, what is shown of it and to whom, and the same as files.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    an_address_says_what_is_looked_for,
    pages_lead_both_ways,
    files_hold_all_that_is_found,
    no_spreadsheet_sees_a_formula_in_what_others_wrote,
    a_viewer_meets_no_number,
    who_may_not_see_numbers_finds_nobody_by_one,
    nothing_that_fits_says_what_to_do,
);

/// The summaries of the lines of a page, in their order.
fn lines(body: &str) -> Vec<&str> {
    let lines = body.split("<a class=\"what\" href=\"/alarms/").skip(1);
    lines.map(|line| line.split_once('>').unwrap().1.split('<').next().unwrap()).collect()
}

/// Where a link of this kind leads.
fn link(body: &str, rel: &str) -> Option<String> {
    let (before, _) = body.split_once(&format!("\" rel=\"{rel}\""))?;
    Some(before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&"))
}

async fn an_address_says_what_is_looked_for(home: Home) {
    let server = home.start().await;
    let ended =
        server.raise(&[A], json!({ "summary": "disk <full> on db-1", "source": "zabbix", "labels": { "host": "db-1" } })).await;
    server.post(&format!("/api/v1/alarms/{ended}/cancel"), &json!({})).await;
    server.raise(&[B], json!({ "summary": "disk again", "source": "grafana" })).await;
    server.pass(5).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let all = lin.get("/alarms").await;
    assert_eq!(lines(&all.body), ["disk again", "disk &#60;full&#62; on db-1"], "open ones too");
    assert!(!all.shows("class=\"chips\""));
    for (asked, wanted) in [
        ("q=disk", 2),
        ("q=DB-1", 1),
        ("q=disk&state=open", 1),
        ("state=ended", 1),
        ("state=cancelled", 1),
        ("source=zabbix", 1),
        ("label=host%3Ddb-1", 1),
        ("label=host", 0),
        ("priority=critical", 0),
        ("person=Nobody", 0),
        ("team=ops", 0),
        ("from=2026-11-20T02:59", 2),
        ("to=2026-11-20T02:59", 0),
        ("to=2026-11-20T02:59&to_instant=2026-11-20T03:10:00Z", 2),
        ("kind=test&q=disk", 0),
    ] {
        let page = lin.get(&format!("/alarms?{asked}")).await;
        assert_eq!((page.status, lines(&page.body).len()), (200, wanted), "{asked}: {}", page.body);
    }
    let page = lin.get("/alarms?q=disk&state=open&source=grafana&order=oldest").await;
    assert!(page.shows("<input id=\"q\" name=\"q\" type=\"search\" value=\"disk\""), "{}", page.body);
    assert!(page.shows("<option value=\"open\" selected>") && page.shows("name=\"source\" value=\"grafana\""), "{}", page.body);
    assert!(page.shows("<details open>"), "what is in use is seen");
    for chip in ["/alarms?state=open&#38;source=grafana&#38;order=oldest", "/alarms?q=disk&#38;source=grafana&#38;order=oldest"] {
        assert!(page.shows(&format!("<a href=\"{chip}\"")), "{chip}: {}", page.body);
    }
    for file in ["csv", "json"] {
        let address = format!("<a href=\"/alarms.{file}?q=disk&#38;state=open&#38;source=grafana&#38;order=oldest\" download>");
        assert!(page.shows(&address), "{address}: {}", page.body);
    }
    let wrong = lin.get("/alarms?from=yesterday").await;
    assert!(wrong.status == 200 && wrong.shows("role=\"alert\"") && wrong.shows("yesterday"), "{}", wrong.body);
    let hostile = lin.get("/alarms?q=%22%3E%3Cscript%3E&source=%22%3E%3Cscript%3E&team=%3Cb%3E&below=x&above=").await;
    assert!(hostile.status == 200 && !hostile.shows("\"><script>") && hostile.shows("&#60;b&#62;"), "{}", hostile.body);
    assert_eq!(Visitor::new(&server).get("/alarms.csv").await.status, 303, "for who is logged in");
}

async fn pages_lead_both_ways(home: Home) {
    let server = home.start().await;
    for number in 0..120 {
        server.raise(&[A], json!({ "summary": format!("alarm {number}") })).await;
    }
    server.pass(5).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for begins in ["/alarms", "/alarms?q=alarm", "/alarms?order=oldest", "/alarms?q=alarm&order=oldest"] {
        let (mut pages, mut next) = (Vec::new(), Some(begins.to_owned()));
        while let Some(address) = next.filter(|_| pages.len() < 9) {
            let page = lin.get(&address).await;
            next = link(&page.body, "next");
            pages.push(page.body);
        }
        let seen: Vec<String> = pages.iter().flat_map(|page| lines(page)).map(str::to_owned).collect();
        let mut wanted: Vec<String> = (0..120).map(|number| format!("alarm {number}")).collect();
        if !begins.contains("oldest") {
            wanted.reverse();
        }
        assert_eq!((pages.len(), &seen), (3, &wanted), "{begins}");
        // And back again.
        let back = lin.get(&link(&pages[2], "prev").unwrap()).await;
        assert_eq!(lines(&back.body), lines(&pages[1]), "{begins}");
        let back = lin.get(&link(&back.body, "prev").unwrap()).await;
        assert_eq!(lines(&back.body), lines(&pages[0]), "{begins}");
        assert_eq!(link(&back.body, "prev"), None, "{begins}: there is nothing before");
    }
}

async fn files_hold_all_that_is_found(home: Home) {
    let server = home.start().await;
    // More than are read at a time.
    for number in 0..510 {
        server
            .raise(
                &[A],
                json!({ "summary": format!("alarm {number}"), "source": if number % 5 == 0 { "zabbix" } else { "grafana" } }),
            )
            .await;
    }
    server.pass(5).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let file = lin.get("/alarms.json?order=oldest").await;
    assert_eq!((file.status, file.header("content-type")), (200, "application/json"));
    let all: Vec<Value> = serde_json::from_str(&file.body).unwrap();
    let told: Vec<&str> = all.iter().map(|alarm| alarm["summary"].as_str().unwrap()).collect();
    let wanted: Vec<String> = (0..510).map(|number| format!("alarm {number}")).collect();
    assert_eq!(told, wanted);
    let first = &server.items("/api/v1/alarms?limit=1&order=oldest").await[0];
    // The object of the API, which tells two things by names of before as well.
    let mut first = first.as_object().unwrap().clone();
    first.retain(|name, _| !["held_until", "number"].contains(&name.as_str()));
    assert_eq!(all[0].as_object().unwrap(), &first);
    for query in ["source=zabbix", "q=alarm&source=zabbix"] {
        let file = lin.get(&format!("/alarms.csv?{query}")).await;
        assert_eq!((file.status, file.header("content-type")), (200, "text/csv; charset=utf-8"));
        assert!(file.header("content-disposition").contains("alarms.csv"));
        let rows: Vec<&str> = file.body.lines().collect();
        assert!(rows[0].starts_with("alarm_number,id,kind,raised_at,state,"), "{}", rows[0]);
        assert_eq!(rows.len(), 1 + 102, "{query}");
        assert!(rows[1].contains(",alarm 505,") && rows[102].contains(",alarm 0,"), "{query}: newest first");
    }
    assert_eq!(lin.get("/alarms.json?q=nothing").await.body, "[\n]\n");
    assert_eq!(lin.get("/alarms.csv?q=nothing").await.body.lines().count(), 1);
}

async fn no_spreadsheet_sees_a_formula_in_what_others_wrote(home: Home) {
    let server = home.start().await;
    let evil =
        json!({ "summary": "=HYPERLINK(\"http://evil\",\"x\")", "details": "@cmd", "source": "-1+1", "dedup_key": "+1+cmd" });
    server.raise(&[A], evil).await;
    server.pass(5).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let file = lin.get("/alarms.csv").await;
    for cell in ["\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\"", ",'@cmd,", ",'-1+1,", ",'+1+cmd,"] {
        assert!(file.shows(cell), "{cell}: {}", file.body);
    }
}

async fn a_viewer_meets_no_number(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    assert_eq!(server.post("/api/v1/people", &json!({ "name": "Bo", "numbers": [B] })).await.0, 201);
    server.raise(&[A], json!({ "summary": "of a stranger" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.raise(&[B], json!({ "summary": "of Bo" })).await;
    server.pass(5).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    for (ends, summary) in [(&A[4..], "of a stranger"), (A, "of a stranger"), (&B[2..], "of Bo"), ("5678", "of Bo")] {
        let address = format!("/alarms?q={ends}");
        assert!(lin.get(&address).await.shows(summary), "{ends}");
        let page = guest.get(&address).await;
        assert_eq!(lines(&page.body), [""; 0], "{ends}");
        for file in ["csv", "json"] {
            assert!(!guest.get(&format!("/alarms.{file}?q={ends}")).await.shows(summary), "{ends}");
        }
    }
    assert_eq!(lines(&guest.get("/alarms?q=bo").await.body), ["of Bo"], "names are for everybody");
    assert!(lin.get("/alarms.csv").await.shows(A) && lin.get("/alarms.json").await.shows(A));
    for path in ["/alarms", "/alarms?q=stranger", "/alarms.csv", "/alarms.json"] {
        let page = guest.get(path).await;
        assert!(page.shows("of a stranger") && !page.shows(&A[3..]) && !page.shows(&B[3..]), "{path}: {}", page.body);
    }
}

async fn nothing_that_fits_says_what_to_do(home: Home) {
    let server: Server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let empty = lin.get("/alarms").await;
    assert!(empty.shows("There is no alarm yet.") && empty.shows("Raise one"), "{}", empty.body);
    server.raise(&[A], json!({ "summary": "postgres" })).await;
    server.pass(5).await;
    let none = lin.get("/alarms?q=mysql").await;
    assert!(none.shows("No alarm fits.") && none.shows("Take a filter away"), "{}", none.body);
    let begins = lin.get("/alarms?q=postg").await;
    assert!(begins.shows("words that begin like") && lines(&begins.body) == ["postgres"], "{}", begins.body);
    assert_eq!(lines(&lin.get("/alarms?q=!!").await.body), [""; 0]);
    for language in ["zh", "ja", "es"] {
        let page = lin.get(&format!("/alarms?q=mysql&lang={language}")).await;
        assert!(page.status == 200 && !page.shows("No alarm fits"), "{language}");
    }
}

/// Somebody may be called by their number: then it is asked for as one, in the list and in its files alike.
async fn who_may_not_see_numbers_finds_nobody_by_one(home: Home) {
    let server = home.start().await;
    assert_eq!(server.post("/api/v1/people", &json!({ "name": "18800009999", "numbers": [A] })).await.0, 201);
    server.raise(&[A], json!({ "summary": "disk full" })).await;
    server.pass(5).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    for path in ["/alarms", "/alarms.csv", "/alarms.json"] {
        let address = format!("{path}?person=18800009999");
        assert!(lin.get(&address).await.shows("disk full"), "{path}");
        let found = eve.get(&address).await;
        assert!(found.status == 200 && !found.shows("disk full"), "{path}: {}", found.body);
    }
}
