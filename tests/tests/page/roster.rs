//! The duty roster on the pages: seen by everybody who is logged in, changed by forms alone, and on *Now*.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use autocall::engine::Doer;
use autocall::keep::roster::forms::{LayerForm, ScheduleForm};
use autocall::keep::roster::schedules;
use autocall::store::access::users::Role;
use serde_json::Value;

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    an_admin_builds_a_schedule_with_forms,
    a_responder_swaps_a_shift,
    a_viewer_looks_and_changes_nothing,
    who_is_on_duty_stands_on_now,
    wrong_forms_say_what_is_wrong,
    the_calendar_shows_layers_changes_and_gaps,
    a_schedule_follows_a_calendar_by_its_address,
    whoever_was_overtaken_overwrites_nobody,
    a_form_that_is_gone_says_what_is_wrong,
    a_schedule_that_is_needed_stays_and_says_why,
);

async fn people(server: &Server) {
    let csv = format!("name,numbers\nAnn,{A}\nBob <b>,{B}\n");
    let people = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
}

/// A schedule of the two, and the path of its page.
async fn schedule(server: &Server) -> String {
    people(server).await;
    let layer = LayerForm {
        name: "weekly".to_owned(),
        people: vec!["Ann".to_owned(), "Bob <b>".to_owned()],
        every: "1 week".to_owned(),
        start: "2026-11-16T09:00".to_owned(),
        ..LayerForm::default()
    };
    let form =
        ScheduleForm { name: "ops".to_owned(), zone: "Europe/Berlin".to_owned(), layers: vec![layer], ..ScheduleForm::default() };
    format!(
        "/roster/{}",
        server.app.engine.carry_out(Doer::Server, async |work| schedules::add(work, &form).await).await.unwrap()
    )
}

async fn on_duty(server: &Server, at: &str) -> Value {
    let answer = server.get(&format!("/api/v1/schedules/ops/on-duty?at={at}")).await;
    answer["on_duty"][0]["person"]["name"].clone()
}

async fn an_admin_builds_a_schedule_with_forms(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    assert!(lin.get("/roster").await.shows("No schedule yet"));
    let team = [("name", "infra"), ("members", "Ann\r\nBob <b>")];
    assert_eq!(lin.post("/roster/teams", &team).await.location(), "/roster?done=saved");
    let made = lin.post("/roster/schedules", &[("name", "ops"), ("zone", "Asia/Tokyo"), ("team", "infra")]).await;
    let path = made.location().split('?').next().unwrap().to_owned();
    assert!(lin.get(&path).await.shows("Add a rotation"));
    let rotation = [
        ("name", "weekly"),
        ("people", "Ann\r\nBob <b>\r\n"),
        ("every", "1 week"),
        ("start", "2026-11-16T09:00"),
        ("active", "mon-fri 00:00-24:00"),
        ("version", "1"),
    ];
    let saved = lin.post(&format!("{path}/rotation"), &rotation).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Bob <b>");
    let again = lin.post(&format!("{path}/rotation"), &rotation).await;
    assert_eq!(again.status, 422);
    assert!(again.shows("Somebody else has changed it meanwhile"));
    // A saturday is a gap, which both pages tell.
    for page in ["/roster", &path] {
        assert!(lin.get(page).await.shows("Nobody from Sat 2026-11-21 00:00 to Mon 2026-11-23 00:00"), "{page}");
    }
    let feed = lin.post(&format!("{path}/feed"), &[]).await;
    let address = feed.body.split("/calendar/").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let read = async || autocall_tests::http_get(format!("{}/calendar/{address}", server.base)).await.unwrap().status().as_u16();
    assert_eq!(read().await, 200);
    let page = lin.get(&path).await;
    assert!(!page.shows(&address), "shown once only");
    let revoke = page.body.split("action=\"").find(|rest| rest.contains("/feed/")).unwrap().split('"').next().unwrap();
    assert_eq!(lin.post(revoke, &[]).await.status, 303);
    assert_eq!(read().await, 404);
    let removed = lin.post(&format!("{path}/layer/remove"), &[("name", "weekly"), ("version", "2")]).await;
    assert_eq!(removed.status, 303, "{}", removed.body);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, Value::Null);
    assert_eq!(lin.post(&format!("{path}/remove"), &[]).await.location(), "/roster?done=removed");
    assert_eq!(lin.get(&path).await.status, 404);
}

async fn a_responder_swaps_a_shift(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    // Choosing a shift fills in the form, without script too: the whole shift, not what of it is in the week.
    let page = lin.get(&format!("{path}?day=2026-11-23")).await;
    let link = "from=2026-11-23T09:00&#38;to=2026-11-30T09:00#override";
    assert!(page.shows(link) || page.shows(&link.replace("&#38;", "&amp;")), "{}", page.body);
    let page = lin.get(&format!("{path}?day=2026-11-23&from=2026-11-23T09:00&to=2026-11-30T09:00")).await;
    assert!(page.shows("name=\"from\" value=\"2026-11-23T09:00\""));
    let form = [
        ("from", "2026-11-24T09:00"),
        ("to", "2026-11-25T09:00"),
        ("action", "replace"),
        ("person", "Ann"),
        ("instead_of", "Bob <b>"),
        ("note", "dentist"),
    ];
    let saved = lin.post(&format!("{path}/override"), &form).await;
    assert_eq!(saved.location(), format!("{path}?done=saved&day=2026-11-24"), "{}", saved.body);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Ann");
    let page = lin.get(saved.location()).await;
    assert!(page.shows("Ann instead of Bob &#60;b&#62; · dentist"), "{}", page.body);
    let remove = page.body.split("action=\"").find(|rest| rest.contains("/override/")).unwrap().split('"').next().unwrap();
    assert_eq!(lin.post(remove, &[]).await.status, 303);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Bob <b>");
    let form = [("name", "fair"), ("from", "2026-11-24T00:00"), ("to", "2026-11-26T00:00"), ("people", "Ann")];
    assert_eq!(lin.post(&format!("{path}/temporary"), &form).await.status, 303);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Ann");
    let vacation = [("person", "Ann"), ("from", "2026-11-24T00:00"), ("to", "2026-11-26T00:00"), ("zone", "Europe/Berlin")];
    assert_eq!(lin.post("/roster/vacations", &vacation).await.status, 303);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Bob <b>");
    assert!(lin.get("/roster").await.shows("<b>Ann</b> Tue 2026-11-24 00:00"));
}

async fn a_viewer_looks_and_changes_nothing(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let mut eve = Visitor::logged_in(&server, "eve", Role::Viewer).await;
    let page = eve.get(&path).await;
    assert!(page.shows("Ann") && !page.shows("<form method=\"post\" action=\"/roster"), "{}", page.body);
    assert!(!eve.get("/roster").await.shows("<form method=\"post\" action=\"/roster"));
    for what in ["/override", "/temporary", "/rotation", "/feed", "/remove"] {
        assert_eq!(eve.post(&format!("{path}{what}"), &[]).await.status, 403, "{what}");
    }
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for what in ["/rotation", "/feed", "/remove", "/layer/remove"] {
        assert_eq!(lin.post(&format!("{path}{what}"), &[]).await.status, 403, "{what}");
    }
    let mut nobody = Visitor::new(&server);
    assert_eq!(nobody.get(&path).await.location(), format!("/login?next={path}"));
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Bob <b>");
}

async fn who_is_on_duty_stands_on_now(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(!lin.get("/").await.shows("On duty"), "without a schedule nothing is said");
    schedule(&server).await;
    let page = lin.get("/").await;
    assert!(page.shows("<small>On duty</small><strong>Ann</strong>"), "{}", page.body);
    server.pass(4 * 86_400).await;
    assert!(lin.get("/").await.shows("<small>On duty</small><strong>Bob &#60;b&#62;</strong>"));
    // What has been asked for in the past is told as it was.
    let past = lin.get("/roster?at=2026-11-20T12:00&zone=Europe/Berlin").await;
    assert!(past.shows("<p class=\"duty\">Ann</p>"), "{}", past.body);
    let future = lin.get("/roster?at=2026-12-01T12:00&zone=Europe/Berlin").await;
    assert!(future.shows("<p class=\"duty\">Ann · weekly · until Mon 2026-12-07 09:00 Europe/Berlin</p>"), "{}", future.body);
}

async fn wrong_forms_say_what_is_wrong(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for (fields, sentence) in [
        ([("from", "2026-11-24T09:00"), ("to", "2026-11-24T09:00"), ("action", "add"), ("person", "Ann")], "must end after"),
        ([("from", "soon"), ("to", "2026-11-24T09:00"), ("action", "add"), ("person", "Ann")], "is no time"),
        ([("from", "2026-11-24T09:00"), ("to", "2026-11-25T09:00"), ("action", "add"), ("person", "Eve")], "There is no Eve"),
    ] {
        let page = lin.post(&format!("{path}/override"), &fields).await;
        assert_eq!(page.status, 422);
        assert!(page.shows(sentence), "{sentence}\n{}", page.body);
        assert!(page.shows(&format!("name=\"to\" value=\"{}\"", fields[1].1)), "what was typed is still there");
    }
    assert!(lin.post("/roster/schedules", &[("name", "x"), ("zone", "Mars")]).await.shows("is no time zone"));
    assert!(lin.post("/roster/schedules", &[("name", "ops"), ("zone", "UTC")]).await.shows("There is a ops already"));
    assert!(lin.post("/roster/teams", &[("name", "t"), ("members", "Eve")]).await.shows("There is no Eve"));
    for missing in ["/roster/nonsense", "/roster/01a1fc4e-a630-77e4-8b85-425a1123605f"] {
        assert_eq!(lin.get(missing).await.status, 404);
    }
    assert!(lin.get("/roster?lang=zh").await.shows("值班表") || lin.get("/roster?lang=zh").await.shows("值班"));
}

async fn the_calendar_shows_layers_changes_and_gaps(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = [("from", "2026-11-21T00:00"), ("to", "2026-11-22T00:00"), ("action", "remove"), ("person", "Ann")];
    lin.post(&format!("{path}/override"), &form).await;
    let week = lin.get(&format!("{path}?day=2026-11-18")).await;
    assert!(week.shows("class=\"gap\"") && week.shows("− Ann") && week.shows("weekly: Ann"), "{}", week.body);
    assert!(week.shows("day=2026-11-11") && week.shows("day=2026-11-25"));
    assert!(week.shows("Mon 11-16") && week.shows("Sun 11-22"));
    let month = lin.get(&format!("{path}?view=month&day=2026-11-18")).await;
    assert_eq!(month.body.matches("<svg class=\"strip\"").count(), 6, "from Monday, 26 October, to Sunday, 6 December");
    assert!(!month.shows(" style="), "the policy allows no styles in markup");
    assert!(month.shows("&#60;b&#62;") && !month.shows("Bob <b>"));
}

async fn a_schedule_follows_a_calendar_by_its_address(home: Home) {
    let server = home.set("AUTOCALL_ROSTER_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let path = schedule(&server).await;
    let away = Arc::new(AtomicBool::new(false));
    let answer = {
        let away = Arc::clone(&away);
        async move || match away.load(Ordering::Relaxed) {
            true => "<html><title>Sign in</title></html>".to_owned(),
            false => {
                let event = |who: &str| {
                    format!(
                        "BEGIN:VEVENT\r\nUID:{who}\r\nSUMMARY:{who}\r\nDTSTART:20261120T000000Z\r\nDTEND:20261220T000000Z\r\nEND:VEVENT\r\n"
                    )
                };
                format!("BEGIN:VCALENDAR\r\n{}{}END:VCALENDAR\r\n", event("Ann"), event("Lunch <i>"))
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap() });
    let url = format!("{base}/calendar/private-0123456789abcdef/basic.ics");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    assert!(lin.get(&path).await.shows("Calendar by address"));
    let form = |url: &str, minutes: &str, version: &str| {
        [("url", url), ("every_minutes", minutes), ("layer", "outside"), ("version", version)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    let press = async |visitor: &mut Visitor, action: &str, fields: &[(&str, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visitor.post(&format!("{path}/calendar{action}"), &fields).await
    };
    for (url, minutes, sentence) in [
        ("calendar.ics", "15", "This is no address of a calendar"),
        ("", "15", "Give the address of the calendar."),
        ("http://10.0.0.1/a.ics", "15", "Add the network to roster.allow_networks"),
        (url.as_str(), "1", "A calendar is read every 5 to 1440 minutes."),
        (url.as_str(), "often", "A calendar is read every 5 to 1440 minutes."),
    ] {
        let page = press(&mut lin, "", &form(url, minutes, "")).await;
        assert!(page.status == 422 && page.shows(sentence), "{url} {minutes}: {}", page.body);
    }
    let set = press(&mut lin, "", &form(&url, "15", "")).await;
    assert_eq!(set.location(), format!("{path}?done=reading#following"), "{}", set.body);
    assert!(lin.get(set.location().split('#').next().unwrap()).await.shows("The calendar is read in a moment."));
    assert_eq!(press(&mut lin, "", &form(&url, "15", "")).await.status, 422, "the form was opened while there was none");
    let page = shows(&mut lin, &path, ": 1 shifts.").await;
    for sentence in ["1 new, 0 removed", "Lunch &#60;i&#62;", "/….ics", "name=\"layer\" value=\"outside\""] {
        assert!(page.shows(sentence), "{sentence}: {}", page.body);
    }
    assert!(!page.shows("private-"), "the address is shown to nobody");
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Ann");
    // It cannot be read any more: both pages say so, in the reader's language.
    away.store(true, Ordering::Relaxed);
    let mut ann = Visitor::logged_in(&server, "ann", Role::Responder).await;
    ann.get(&path).await;
    assert_eq!(press(&mut ann, "/refresh", &[]).await.status, 303);
    let wrong = "The calendar cannot be read since Fri 2026-11-20 04:00: the answer is a web page, such as one to log in on. The last good shifts stay.";
    shows(&mut ann, &path, wrong).await;
    shows(&mut ann, "/roster", wrong).await;
    shows(&mut ann, &format!("{path}?lang=zh"), "起无法读取日历：对方返回的是网页").await;
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Ann");
    let version_of = |page: &crate::client::Page| {
        let form = page.body.split("/calendar\"").nth(1).unwrap().split("name=\"version\" value=\"").nth(1).unwrap();
        form.split('"').next().unwrap().to_owned()
    };
    // Where nobody can be reached, that is said in the reader's language, and not in the system's.
    let page = lin.get(&path).await;
    let nowhere = form("http://127.0.0.1:1/a.ics", "15", &version_of(&page));
    assert_eq!(press(&mut lin, "", &nowhere).await.status, 303);
    for (language, why) in [
        ("en", "nothing listens there"),
        ("zh", "对方拒绝连接"),
        ("ja", "接続を拒否されました"),
        ("es", "allí nadie acepta conexiones"),
    ] {
        let page = shows(&mut ann, &format!("{path}?lang={language}"), why).await;
        assert!(!page.shows("os error"), "{}", page.body);
    }
    let page = lin.get(&path).await;
    let version = version_of(&page);
    assert_eq!(press(&mut ann, "/remove", &[("version", version.clone())]).await.status, 403, "that is for admins");
    assert_eq!(press(&mut lin, "/remove", &[("version", "older".to_owned())]).await.status, 422);
    let removed = press(&mut lin, "/remove", &[("version", version)]).await;
    assert_eq!(removed.location(), format!("{path}?done=saved"), "{}", removed.body);
    let page = lin.get(&path).await;
    assert!(page.shows("give its iCal address") && !page.shows("cannot be read"), "{}", page.body);
    assert_eq!(on_duty(&server, "2026-11-24T12:00").await, "Ann", "its shifts stay");
}

/// Waits until a page shows something, and gives it.
/// What the form at this address holds unseen.
fn held(page: &crate::client::Page, action: &str, name: &str) -> Vec<String> {
    let forms = page.body.split("<form").filter(|form| form.contains(&format!("action=\"{action}\"")));
    let value = |form: &str| {
        let field = form.split("</form>").next()?.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
        Some(field.split('"').next()?.to_owned())
    };
    forms.filter_map(value).collect()
}

async fn whoever_was_overtaken_overwrites_nobody(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let (mut ann, mut bob) =
        (Visitor::logged_in(&server, "ann", Role::Admin).await, Visitor::logged_in(&server, "bob", Role::Admin).await);
    let rotation = format!("{path}/rotation");
    let layer = |name, every, place, version| {
        let start = ("start", "2026-11-16T09:00");
        [("name", name), ("people", "Ann"), ("every", every), start, ("layer_form", place), ("version", version)]
    };
    let opened = held(&ann.get(&path).await, &rotation, "version")[0].clone();
    // Bob adds a rotation, which takes the place of the one that Ann changes.
    assert_eq!(bob.post(&rotation, &layer("nights", "1 day", "", &opened)).await.status, 303);
    for every in ["2 weeks", "now and then", "2 weeks"] {
        let refused = ann.post(&rotation, &layer("weekly", every, "layer-0", &opened)).await;
        assert_eq!(refused.status, 422);
        let typed = refused.body.split("<form").find(|form| form.contains(&format!("value=\"{every}\""))).unwrap();
        assert!(typed.contains("name=\"name\" value=\"weekly\""), "beside the name it was typed for: {typed}");
        assert!(typed.contains(&format!("name=\"version\" value=\"{opened}\"")), "and beside its version: {typed}");
    }
    // The same of a team.
    assert_eq!(bob.post("/roster/teams", &[("name", "infra"), ("members", "Ann")]).await.status, 303);
    let page = ann.get("/roster").await;
    let (team, opened) = (held(&page, "/roster/teams", "team")[0].clone(), held(&page, "/roster/teams", "version")[0].clone());
    let form = |members| [("name", "infra"), ("members", members), ("team", team.as_str()), ("version", opened.as_str())];
    assert_eq!(bob.post("/roster/teams", &form("Bob <b>")).await.status, 303);
    for _ in 0..2 {
        let refused = ann.post("/roster/teams", &form("Ann")).await;
        assert_eq!(refused.status, 422);
        assert_eq!(held(&refused, "/roster/teams", "version"), [opened.as_str()]);
    }
}

async fn a_form_that_is_gone_says_what_is_wrong(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let mut ann = Visitor::logged_in(&server, "ann", Role::Admin).await;
    let start = ("start", "2026-11-16T09:00");
    let gone = [("name", "weekly"), ("people", "Ann"), ("every", "1 day"), start, ("layer_form", "layer-7"), ("version", "0")];
    let refused = ann.post(&format!("{path}/rotation"), &gone).await;
    assert_eq!(refused.status, 422);
    assert!(refused.shows("Somebody else has changed it meanwhile"), "{}", refused.body);
    let nobody = "01a1fc4e-a630-77e4-8b85-425a1123605f";
    let team = [("name", "infra"), ("members", "Ann"), ("team", nobody), ("version", "1")];
    let refused = ann.post("/roster/teams", &team).await;
    assert!(refused.status == 422 && refused.shows("role=\"alert\""), "{} {}", refused.status, refused.body);
}

async fn a_schedule_that_is_needed_stays_and_says_why(home: Home) {
    let server = home.start().await;
    let path = schedule(&server).await;
    let settings = serde_json::json!({ "kind": "handset", "handset": "pixel" });
    server.pair("pixel", autocall::store::watch::handsets::Profile::Native).await;
    assert_eq!(server.post("/api/v1/sms/gateways", &serde_json::json!({ "name": "phone", "settings": settings })).await.0, 201);
    let line = serde_json::json!({
        "name": "hotline", "number": "13300001111", "carrier": "china-telecom", "android": 11, "gateway": "phone", "team": "ops",
    });
    let (status, made) = server.post("/api/v1/lines", &line).await;
    assert_eq!(status, 201, "{made}");
    let mut ann = Visitor::logged_in(&server, "ann", Role::Admin).await;
    let refused = ann.post(&format!("{path}/remove"), &[]).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.shows("hotline"), "{}", refused.body);
    assert_eq!(ann.get(&path).await.status, 200);
}

async fn shows(visitor: &mut Visitor, path: &str, text: &str) -> crate::client::Page {
    autocall_tests::wait::eventually(text, std::time::Duration::from_mins(1), async || {
        let page = visitor.get(path).await;
        page.shows(text).then_some(page)
    })
    .await
}
