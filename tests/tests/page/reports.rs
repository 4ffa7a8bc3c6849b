//! The page *Reports*, its file for spreadsheets, and alarms that are marked as false on their page.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    a_report_is_chosen_by_its_address,
    a_month_in_which_clocks_change_is_whole,
    what_is_not_known_is_not_zero,
    who_may_not_see_numbers_meets_none,
    an_alarm_is_marked_as_false_on_its_page,
);

/// Two people, one of whom picks up, and a number that is nobody's.
async fn a_night(server: &Server) -> String {
    for (name, number) in [("Ann", A), ("18800009999", B)] {
        assert_eq!(server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await.0, 201);
    }
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "ops", "members": ["Ann"] })).await.0, 201);
    let layer = json!({ "name": "daily", "people": ["Ann"], "every": "1 day", "start": "2026-11-16T12:00" });
    let schedule = json!({ "name": "ops days", "team": "ops", "zone": "UTC", "layers": [layer] });
    assert_eq!(server.post("/api/v1/schedules", &schedule).await.0, 201);
    let phone = server.pair("desk", Profile::List).await;
    let id = server.raise(&[], json!({ "ring": [{ "team": "ops" }] })).await;
    let (mid, _) = server.dial(&phone).await;
    server.pass(30).await;
    server.report(&phone, &mid, Some(A)).await;
    server.pass(400).await;
    server.raise(&[B, "18700001234"], json!({ "attempts": 1 })).await;
    // Both in one list.
    let (mid, _) = server.dial(&phone).await;
    server.report(&phone, &mid, None).await;
    server.pass(400).await;
    server.app.engine.keep_figures(server.now()).await.unwrap();
    id
}

async fn a_report_is_chosen_by_its_address(home: Home) {
    let server = home.start().await;
    a_night(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    assert!(lin.get("/").await.shows("<a href=\"/reports\">Reports</a>"));
    let month = lin.get("/reports").await;
    assert_eq!(month.status, 200, "{}", month.body);
    assert!(month.shows("<th scope=\"row\">2026-11</th>"), "{}", month.body);
    assert!(month.shows("<b>2</b> <small>2 at night</small>"), "two alarms at three o'clock: {}", month.body);
    let team = lin.get("/reports?by=team&from=2026-11&to=2026-11").await;
    assert!(team.shows("<th scope=\"row\">ops</th>") && team.shows("<th scope=\"row\">none</th>"), "{}", team.body);
    assert!(team.shows("half within 30 s"), "{}", team.body);
    let person = lin.get("/reports?by=person&from=2026-11").await;
    assert!(person.shows("<th scope=\"row\">Ann</th>") && person.shows("Is it shared fairly?"), "{}", person.body);
    assert!(person.shows("<span>200 %</span>"), "of two, one picked up: {}", person.body);
    assert!(lin.get("/reports?by=person&team=ops").await.shows("<option value=\"ops\" selected>ops</option>"));
    for (wrong, field, sentence) in [
        ("by=weather", "by", "There are no lines by that."),
        ("from=x", "from", "This is no month. Write it like 2026-11."),
        ("to=2026-13", "to", "This is no month."),
        ("from=2026-11&to=2026-10", "to", "The last month is before the first one."),
        ("to=2099-01", "to", "This month has not begun. The last one is 2026-11."),
        ("from=2020-01&to=2026-11", "to", "A report covers 24 months at most."),
        ("by=team&team=nobody", "team", "There is no team nobody."),
        ("by=month&team=ops", "team", "A team can be chosen for lines by team and by person alone."),
    ] {
        let refused = lin.get(&format!("/reports?{wrong}")).await;
        assert_eq!(refused.status, 422, "{wrong}");
        assert!(refused.shows(&format!("id=\"wrong-asked\">{sentence}")), "{wrong}: {}", refused.body);
        assert_eq!(refused.body.matches("aria-invalid=\"true\"").count(), 1, "{wrong}: {}", refused.body);
        let (_, at_fault) = refused.body.split_once(&format!(" id=\"{field}\" name=\"{field}\"")).unwrap();
        assert!(at_fault.split('>').next().unwrap().contains("aria-invalid"), "{wrong}: {}", refused.body);
        assert!(refused.shows("<table class=\"report\">"), "{wrong}: what can be shown is");
        // The file leads to where it is said.
        let file = lin.get(&format!("/reports.csv?{wrong}")).await;
        assert_eq!((file.status, file.location()), (303, format!("/reports?{wrong}").as_str()));
    }
    let refused = lin.get("/reports?from=2026-11&to=%22%3E%3Cb%3E").await;
    assert!(refused.shows("value=\"&#34;&#62;&#60;b&#62;\""), "what was typed stands there, as text: {}", refused.body);
    let refused = lin.get("/reports?by=day&from=2026-11&to=2026-11&team=ops").await;
    assert!(refused.shows("<th scope=\"row\">2026-11-20</th>"), "it is the same report, of all teams: {}", refused.body);
}

/// Clocks go forward on 28 March 2027 in Berlin: that Sunday has 23 hours.
async fn a_month_in_which_clocks_change_is_whole(home: Home) {
    let server = home.start().await;
    for (name, number) in [("Ann", A), ("Ben", B)] {
        assert_eq!(server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await.0, 201);
    }
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "ops", "members": ["Ann", "Ben"] })).await.0, 201);
    let layer = json!({ "name": "daily", "people": ["Ann", "Ben"], "every": "1 day", "start": "2026-11-16T12:00" });
    let schedule = json!({ "name": "ops days", "team": "ops", "zone": "Europe/Berlin", "layers": [layer] });
    assert_eq!(server.post("/api/v1/schedules", &schedule).await.0, 201);
    let start: DateTime<Utc> = "2027-02-27T12:00:00Z".parse().unwrap();
    server.pass((start - server.now()).num_seconds()).await;
    // On the Sunday: at 01:30 and, an hour later by the clock of nobody there, at 03:30.
    for at in ["2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z", "2027-04-01T12:00:00Z"] {
        let at: DateTime<Utc> = at.parse().unwrap();
        while server.now() < at {
            server.pass((at - server.now()).num_seconds().min(12 * 3600)).await;
        }
        server.raise(&[], json!({ "ring": [{ "team": "ops" }], "attempts": 1 })).await;
    }
    server.app.engine.keep_figures(server.now()).await.unwrap();
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let team = lin.get("/reports?by=team&from=2027-03&to=2027-03").await;
    for figure in ["<b>743.0</b>", "<small>278.0 at night</small>", "<small>191.0 at a weekend</small>"] {
        assert!(team.shows(figure), "{figure}: {}", team.body);
    }
    let days = lin.get("/reports?by=day&from=2027-03&to=2027-03").await;
    assert_eq!(days.body.matches("<th scope=\"row\">2027-03-").count(), 31, "each day once: {}", days.body);
    let (_, sunday) = days.body.split_once("<th scope=\"row\">2027-03-28</th>").unwrap();
    let sunday = sunday.split("</tr>").next().unwrap();
    assert!(sunday.contains("<b>2</b> <small>2 at night</small> <small>2 at a weekend</small>"), "{sunday}");
    let file = lin.get("/reports.csv?by=person&from=2027-03&to=2027-03&team=ops").await;
    let column = file.body.lines().next().unwrap().split(',').position(|name| name == "duty_hours").unwrap();
    let hours: f64 = file.body.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse::<f64>().unwrap()).sum();
    assert!((hours - 743.0).abs() < 0.11, "the two share it, to a tenth of an hour each: {}", file.body);
}

async fn what_is_not_known_is_not_zero(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    assert!(lin.get("/reports").await.shows("Nothing was counted yet."));
    server.app.engine.keep_figures(server.now()).await.unwrap();
    let shown = lin.get("/reports?by=month&from=2026-09&to=2026-11").await;
    assert!(shown.shows("Figures are known from 2026-11-20 on."), "{}", shown.body);
    let (_, september) = shown.body.split_once("<th scope=\"row\">2026-09</th>").unwrap();
    assert!(september.trim_start().starts_with("<td colspan=\"6\">not known</td>"), "{september}");
    let (_, november) = shown.body.split_once("<th scope=\"row\">2026-11</th>").unwrap();
    assert!(november.contains("<b>0</b>"), "{november}");
}

async fn who_may_not_see_numbers_meets_none(home: Home) {
    let server = home.start().await;
    a_night(&server).await;
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for by in ["day", "month", "team", "policy", "source", "person"] {
        for page in ["reports", "reports.csv"] {
            let shown = guest.get(&format!("/{page}?by={by}")).await;
            assert_eq!(shown.status, 200, "{page} {by}");
            for number in [A, B, "18700001234", "8712345678", "18800009999"] {
                assert!(!shown.shows(number), "{page} {by} shows {number}: {}", shown.body);
            }
        }
    }
    // A name that is nothing but a number is one, for whoever may see it.
    assert!(lin.get("/reports.csv?by=person").await.shows("18800009999"));
    let file = lin.get("/reports.csv?by=person&from=2026-11").await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"report.csv\"");
    assert!(file.shows("subject,id,alarms"), "{}", file.body);
    assert!(!Visitor::new(&server).get("/reports").await.shows("<table class=\"report\">"), "nobody else");
}

async fn an_alarm_is_marked_as_false_on_its_page(home: Home) {
    let server = home.start().await;
    let id = a_night(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let (page, address) = (format!("/alarms/{id}"), format!("/alarms/{id}/false"));
    assert!(lin.get(&page).await.shows(&format!("action=\"{address}\"")));
    assert!(!guest.get(&page).await.shows(&address));
    assert_eq!(guest.post(&address, &[("reason", "no")]).await.status, 403);
    lin.get(&page).await;
    let empty = lin.post(&address, &[("reason", "  ")]).await;
    assert!(empty.shows("Say why it is false."), "{}", empty.body);
    lin.get(&page).await;
    let marked = lin.post(&address, &[("reason", "the <sensor> was wet")]).await;
    assert_eq!((marked.status, marked.location()), (303, format!("{page}?done=false_marked").as_str()));
    let shown = guest.get(&page).await;
    assert!(shown.shows("Marked as false by lin") && shown.shows("the &#60;sensor&#62; was wet"), "{}", shown.body);
    assert!(shown.shows("</b> marked it as false") && !shown.shows("not-false"), "{}", shown.body);
    assert!(lin.get("/reports").await.shows("<small>1 false</small>"));
    lin.get(&page).await;
    let back = lin.post(&format!("/alarms/{id}/not-false"), &[]).await;
    assert_eq!((back.status, back.location()), (303, format!("{page}?done=false_taken_back").as_str()));
    assert!(!lin.get("/reports").await.shows("1 false"));
}
