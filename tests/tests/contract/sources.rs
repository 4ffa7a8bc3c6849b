//! Calendars by address: a schedule follows what is kept elsewhere, and stays as it was when that cannot be read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use autocall::engine::Doer;
use autocall::ids::ScheduleId;
use autocall::keep::roster::source::{self, SourceForm};
use autocall::kinds::guard::GuardedResolver;
use autocall::kinds::notices::WebhookShape;
use autocall::out::calendars::{Asking, refresh_due};
use autocall::store::lines::webhooks::NoticeKind;
use autocall::versions::Expected;
use autocall_tests::wait::eventually;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::gateway::{Gateway, add_smsgate, taken};
use crate::harness::{A, B, Home, Server, on_both};
use crate::notices::{Room, add, deliver};
use crate::roster::{people, send};

on_both!(
    a_schedule_follows_a_calendar_by_its_address,
    what_has_not_changed_is_not_sent_again,
    what_is_broken_leaves_the_last_good_shifts_and_is_told,
    an_address_inside_is_never_asked,
    redirects_are_followed_a_little_and_only_outwards,
    what_is_too_large_or_too_slow_is_given_up,
    two_nodes_ask_once,
    an_address_that_was_replaced_meanwhile_says_nothing,
    a_calendar_that_is_not_followed_any_more_leaves_its_shifts,
    nobody_s_change_of_an_address_is_lost,
    a_gap_in_the_calendar_is_one_in_the_schedule,
    duty_is_handed_over_as_the_calendar_says,
    what_a_calendar_would_do_is_said_first,
    a_server_that_wants_patience_gets_it,
    a_server_that_wants_patience_delays_no_notice,
);

/// What the other server says.
#[derive(Clone)]
enum Says {
    /// A calendar, with its entity tag.
    Calendar(String, Option<&'static str>),
    /// Anything: status, headers, body.
    Raw(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, until it is told to go on; then a calendar.
    Later(Arc<Notify>, String),
}

/// A server elsewhere that keeps a calendar.
#[derive(Clone)]
pub struct Elsewhere {
    says: Arc<Mutex<Says>>,
    heard: Arc<Mutex<Vec<(Uri, HeaderMap)>>>,
    base: String,
}

impl Elsewhere {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let says = Arc::new(Mutex::new(Says::Raw(404, Vec::new(), Vec::new())));
        let elsewhere = Self { says, heard: Arc::default(), base };
        let router = axum::Router::new().fallback(Self::answer).with_state(elsewhere.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        elsewhere
    }

    async fn answer(State(own): State<Self>, uri: Uri, headers: HeaderMap) -> Response<Body> {
        own.heard.lock().unwrap().push((uri, headers.clone()));
        let says = own.says.lock().unwrap().clone();
        let calendar = |text: String, etag: Option<&'static str>| {
            let mut answer = Response::builder().header(header::CONTENT_TYPE, "text/calendar; charset=utf-8");
            if let Some(etag) = etag {
                answer = answer.header(header::ETAG, etag).header(header::LAST_MODIFIED, "Fri, 20 Nov 2026 02:00:00 GMT");
                if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == etag) {
                    return answer.status(304).body(Body::empty()).unwrap();
                }
            }
            answer.body(Body::from(text)).unwrap()
        };
        match says {
            Says::Calendar(text, etag) => calendar(text, etag),
            Says::Raw(status, headers, body) => {
                let answer = Response::builder().status(status);
                headers
                    .into_iter()
                    .fold(answer, |answer, (name, value)| answer.header(name, value))
                    .body(Body::from(body))
                    .unwrap()
            }
            Says::Later(go_on, text) => {
                go_on.notified().await;
                calendar(text, None)
            }
        }
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// It answers nothing that could be read.
    pub fn away(&self) {
        self.says(Says::Raw(500, Vec::new(), Vec::new()));
    }

    pub fn keeps(&self, calendar: &str) {
        self.says(Says::Calendar(calendar.to_owned(), None));
    }

    /// An address as Google makes them: whoever knows it can read the calendar.
    pub fn address(&self) -> String {
        format!("{}/calendar/ical/ops%40example.com/private-{SECRET}/basic.ics", self.base)
    }

    fn asked(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Whether the last question was only whether there is something new.
    fn asked_for_news(&self) -> bool {
        let heard = self.heard.lock().unwrap();
        let (_, headers) = heard.last().unwrap();
        headers.contains_key(header::IF_NONE_MATCH) && headers.contains_key(header::IF_MODIFIED_SINCE)
    }
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const QUARTER: i64 = 15 * 60;

/// A calendar of shifts: a summary, and the days of November 2026 from when until when it is, at 08:00 UTC.
pub fn calendar(shifts: &[(&str, u32, u32)]) -> String {
    let event = |(number, (summary, from, to)): (usize, &(&str, u32, u32))| {
        format!(
            "BEGIN:VEVENT\r\nUID:{number}\r\nDTSTAMP:20261101T000000Z\r\nSUMMARY:{summary}\r\nDTSTART:202611{from:02}T080000Z\r\nDTEND:202611{to:02}T080000Z\r\nEND:VEVENT\r\n"
        )
    };
    let events: String = shifts.iter().enumerate().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//elsewhere//EN\r\n{events}END:VCALENDAR\r\n")
}

fn near(home: Home) -> Home {
    let home = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").set("AUTOCALL_SMS_ALLOW_NETWORKS", "127.0.0.0/8");
    home.set("AUTOCALL_ROSTER_ALLOW_NETWORKS", "127.0.0.0/8")
}

/// A schedule without a rule. The clock stands at Friday, 20 November 2026, 03:00.
pub async fn schedule(server: &Server) {
    people(server).await;
    let (status, made) = server.post("/api/v1/schedules", &json!({ "name": "ops", "zone": "Europe/Berlin" })).await;
    assert_eq!(status, 201, "{made}");
}

pub const CALENDAR: &str = "/api/v1/schedules/ops/calendar";

async fn follow(server: &Server, address: &str) {
    let (status, made) = server.put(CALENDAR, &json!({ "url": address })).await;
    assert!(matches!(status, 200 | 201), "{made}");
    settled(server).await;
}

/// Waits until the calendar was asked for the last time at this instant, and gives how it stands.
pub async fn settled(server: &Server) -> Value {
    eventually("the calendar is read", Duration::from_mins(1), async || {
        let own = server.get(CALENDAR).await;
        let next: chrono::DateTime<chrono::Utc> = own["next_at"].as_str()?.parse().unwrap();
        (next > server.now()).then_some(own)
    })
    .await
}

/// Lets time pass, and what is due be read.
async fn pass(server: &Server, seconds: i64) -> Value {
    server.pass(seconds).await;
    settled(server).await
}

async fn on_duty(server: &Server, at: &str) -> Vec<String> {
    let answer = server.get(&format!("/api/v1/schedules/ops/on-duty?at={at}")).await;
    answer["on_duty"].as_array().unwrap().iter().map(|on| on["person"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn version(server: &Server) -> i64 {
    server.get("/api/v1/schedules/ops").await["version"].as_i64().unwrap()
}

async fn a_schedule_follows_a_calendar_by_its_address(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    let first = calendar(&[("Ann", 16, 23), ("On Call - bob - Primary", 23, 30), ("Lunch", 20, 21)]);
    elsewhere.keeps(&first);
    let (status, made) = server.put(CALENDAR, &json!({ "url": elsewhere.address() })).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((made["layer"].as_str(), made["every_minutes"].as_i64()), (Some("calendar"), Some(15)));
    let good = settled(&server).await;
    assert_eq!((good["state"].as_str(), good["shifts"].as_i64(), good["wrong"].clone()), (Some("good"), Some(2), Value::Null));
    assert_eq!((good["added"].as_i64(), good["removed"].as_i64()), (Some(2), Some(0)));
    assert!(good["skipped"][0].as_str().unwrap().contains("Lunch"), "{good}");
    assert_eq!(
        (on_duty(&server, "2026-11-21").await, on_duty(&server, "2026-11-24").await),
        (vec!["Ann".to_owned()], vec!["Bob".to_owned()])
    );
    // It is what the import of the same file gives, in the layer of that name.
    assert_eq!(server.post("/api/v1/schedules", &json!({ "name": "by hand", "zone": "Europe/Berlin" })).await.0, 201);
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let import = http.post(format!("{}/api/v1/schedules/by hand/import?layer=calendar", server.base));
    let imported = import.header("content-type", "text/calendar").body(first).send().await.unwrap();
    let imported: Value = imported.json().await.unwrap();
    let layers = |own: &Value| own["layers"][0]["shifts"].clone();
    let own = server.get("/api/v1/schedules/ops").await;
    assert_eq!(layers(&own), layers(&imported["schedule"]));
    assert_eq!(own["layers"][0]["name"], "calendar");
    assert_eq!(imported["skipped"], good["skipped"]);
    // The secret is nowhere, in no answer.
    assert_eq!(good["address"], format!("{}/….ics", elsewhere.base));
    for path in [CALENDAR, "/api/v1/schedules", "/api/v1/schedules/ops", "/metrics"] {
        let answer = http.get(format!("{}{path}", server.base)).send().await.unwrap().text().await.unwrap();
        assert!(!answer.contains(SECRET) && !answer.contains("private-"), "{path}: {answer}");
    }
    // What changes there changes here, and nothing else does.
    let layer = json!({ "name": "by hand", "people": ["张伟"], "every": "1 week", "start": "2026-11-16T09:00" });
    let layers = json!([
        layer,
        own["layers"][0].as_object().map(|own| {
            let mut own = own.clone();
            own.remove("id");
            own
        })
    ]);
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": layers, "version": own["version"] });
    let (status, changed) = server.put("/api/v1/schedules/ops", &body).await;
    assert_eq!(status, 200, "{changed}");
    elsewhere.keeps(&calendar(&[("Ann", 16, 20), ("Bob", 20, 30)]));
    let good = pass(&server, QUARTER).await;
    assert_eq!((good["added"].as_i64(), good["removed"].as_i64()), (Some(2), Some(2)));
    let own = server.get("/api/v1/schedules/ops").await;
    let names: Vec<&str> = own["layers"].as_array().unwrap().iter().map(|layer| layer["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["by hand", "calendar"], "it keeps its place");
    assert_eq!(own["layers"][1]["shifts"].as_array().unwrap().len(), 2);
    assert_eq!(own["calendar"]["changed_at"], server.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
}

async fn what_has_not_changed_is_not_sent_again(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    let text = calendar(&[("Ann", 16, 23), ("Carol", 23, 30)]);
    elsewhere.says(Says::Calendar(text.clone(), Some("\"one\"")));
    follow(&server, &elsewhere.address()).await;
    assert!(!elsewhere.asked_for_news(), "nothing is known yet");
    let before = version(&server).await;
    let good = pass(&server, QUARTER).await;
    assert!(elsewhere.asked_for_news());
    assert_eq!((good["state"].as_str(), good["shifts"].as_i64()), (Some("good"), Some(1)), "what was read stays known");
    assert_eq!(good["good_at"], server.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    // A server without entity tags sends it all: that changes nothing here either.
    elsewhere.keeps(&text);
    pass(&server, QUARTER).await;
    pass(&server, QUARTER).await;
    assert!(!elsewhere.asked_for_news());
    assert_eq!(version(&server).await, before, "nobody's form is stale because of it");
    // What was changed in its layer by hand is put right, though the calendar is the same.
    elsewhere.says(Says::Calendar(text, Some("\"one\"")));
    pass(&server, QUARTER).await;
    let body = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [], "version": version(&server).await });
    assert_eq!(server.put("/api/v1/schedules/ops", &body).await.0, 200);
    assert!(on_duty(&server, "2026-11-21").await.is_empty());
    pass(&server, QUARTER).await;
    assert!(!elsewhere.asked_for_news());
    assert_eq!(on_duty(&server, "2026-11-21").await, ["Ann"]);
    // Somebody it names is known now: the same calendar says more.
    pass(&server, QUARTER).await;
    assert!(elsewhere.asked_for_news());
    let carol =
        autocall::keep::people_import::read_csv("name,numbers\nCarol,18700001111\n", autocall::numbers::Region::CN).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &carol).await)
        .await
        .unwrap();
    let good = pass(&server, QUARTER).await;
    assert_eq!((good["shifts"].as_i64(), good["skipped"].clone()), (Some(2), json!([])));
    assert_eq!(on_duty(&server, "2026-11-24").await, ["Carol"]);
}

/// Everything that a calendar's server may answer instead of a calendar, with the word for it.
fn broken() -> Vec<(&'static str, Says)> {
    let raw = |status, body: &str| Says::Raw(status, Vec::new(), body.as_bytes().to_vec());
    let html = vec![("content-type", "text/html".to_owned())];
    let good = calendar(&[("Bob", 16, 30)]);
    vec![
        ("status", raw(404, "Not Found")),
        ("status", raw(403, &good)),
        ("status", raw(500, "")),
        ("status", raw(304, "")),
        ("web_page", Says::Raw(200, html, b"\xef\xbb\xbf  <!DOCTYPE html><title>Sign in</title>".to_vec())),
        ("empty", raw(200, "")),
        ("empty", raw(200, "\r\n ")),
        ("empty", raw(204, "")),
        ("unreadable", raw(200, "{\"error\": \"quota\"}")),
        ("unreadable", raw(200, &calendar(&[]))),
        ("unreadable", raw(200, &calendar(&[("Lunch", 20, 21)]))),
        ("unreadable", raw(200, good.trim_end().strip_suffix("END:VCALENDAR").unwrap())),
        ("unreadable", raw(200, &good[..good.len() / 2])),
        ("unreadable", raw(200, &good.replace("DTEND:20261130", "DTEND:20261110"))),
        ("status", raw(302, "")),
        ("redirects", Says::Raw(302, vec![("location", "file:///etc/passwd".to_owned())], Vec::new())),
    ]
}

async fn what_is_broken_leaves_the_last_good_shifts_and_is_told(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::CalendarTrouble, NoticeKind::CalendarBack], "en").await;
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    follow(&server, &elsewhere.address()).await;
    let before = version(&server).await;
    let mut since = Value::Null;
    for (round, (code, says)) in broken().into_iter().enumerate() {
        elsewhere.says(says);
        // The longest pause between two tries.
        let own = pass(&server, 3_600).await;
        assert_eq!((own["state"].as_str(), own["wrong"]["code"].as_str()), (Some("wrong"), Some(code)), "{round}: {own}");
        if round == 0 {
            since = own["wrong"]["since"].clone();
        }
        assert_eq!(own["wrong"]["since"], since, "since the first failure");
        assert_eq!(on_duty(&server, "2026-11-24").await, ["Ann"], "{round}");
        assert_eq!(own["shifts"], 1, "what is still followed");
        if round == 2 {
            // Before the clock goes on: who is telling it right now has only a minute.
            told(&server, &room, 1).await;
        }
    }
    assert_eq!(version(&server).await, before);
    let own = server.get("/api/v1/schedules/ops").await;
    assert_eq!(own["calendar"]["wrong"]["since"], since);
    let check = server.get("/api/v1/roster/check").await;
    let finding = check["findings"].as_array().unwrap().iter().find(|own| own["kind"] == "calendar").unwrap();
    assert_eq!((finding["schedules"][0]["name"].as_str(), finding["from"].clone()), (Some("ops"), since));
    eventually("the metrics tell", Duration::from_mins(1), async || {
        let metrics = autocall_tests::http_get(format!("{}/metrics", server.base)).await.unwrap().text().await.unwrap();
        let failed = format!("autocall_calendar_reads_total{{outcome=\"failed\"}} {}", broken().len());
        (metrics.contains("autocall_calendars_wrong 1\n") && metrics.contains(&failed)).then_some(())
    })
    .await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    let own = pass(&server, 3_600).await;
    assert_eq!((own["state"].as_str(), own["wrong"].clone()), (Some("good"), Value::Null));
    told(&server, &room, 2).await;
    let texts = room.texts();
    assert_eq!(texts.len(), 2, "once each: {texts:?}");
    assert!(
        texts[0].contains("ops cannot be read: the answer is HTTP 500") && texts[1].contains("can be read again"),
        "{texts:?}"
    );
    assert!(!texts.concat().contains(SECRET));
}

/// Waits until people were told so often.
async fn told(server: &Server, room: &Room, count: usize) {
    eventually("people are told", Duration::from_mins(1), async || {
        deliver(server).await;
        (room.texts().len() >= count).then_some(())
    })
    .await;
}

async fn an_address_inside_is_never_asked(home: Home) {
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    schedule(&server).await;
    for inside in [elsewhere.address().as_str(), "webcal://10.0.0.1/a.ics", "http://169.254.169.254/latest", "http://[::1]/a.ics"]
    {
        let (status, problem) = server.put(CALENDAR, &json!({ "url": inside })).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some("url")), "{inside}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("roster.allow_networks"), "{problem}");
    }
    // A name is looked up when it is asked.
    follow(&server, &elsewhere.address().replace("127.0.0.1", "localhost")).await;
    let own = server.get(CALENDAR).await;
    assert_eq!(own["wrong"]["code"], "closed_address", "{own}");
    assert_eq!(elsewhere.asked(), 0);
}

async fn redirects_are_followed_a_little_and_only_outwards(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let (first, last) = (Elsewhere::open().await, Elsewhere::open().await);
    let to = |address: &str| Says::Raw(302, vec![("location", address.to_owned())], Vec::new());
    last.keeps(&calendar(&[("Ann", 16, 30)]));
    first.says(to(&last.address()));
    follow(&server, &first.address()).await;
    assert_eq!((server.get(CALENDAR).await["state"].as_str(), last.asked()), (Some("good"), 1));
    for (code, address) in [
        ("closed_address", "http://10.1.2.3/a.ics"),
        ("closed_address", "http://[::1]:9/a.ics"),
        ("closed_address", "http://169.254.169.254/latest/meta-data"),
        ("redirects", "ftp://example.com/a.ics"),
        // To itself, for ever.
        ("redirects", "/calendar/again.ics"),
    ] {
        let before = first.asked();
        first.says(to(address));
        let own = pass(&server, 3_600).await;
        assert_eq!(own["wrong"]["code"], code, "{address}: {own}");
        assert!(first.asked() - before <= 6, "{address}");
    }
    assert_eq!((last.asked(), on_duty(&server, "2026-11-24").await), (1, vec!["Ann".to_owned()]));
    // Who asks with a name and a password shows them to nobody but the one they are for.
    first.says(to(&last.address()));
    follow(&server, &first.address().replace("http://", "http://ops:hunter2@")).await;
    let seen = |elsewhere: &Elsewhere| elsewhere.heard.lock().unwrap().last().unwrap().1.contains_key(header::AUTHORIZATION);
    assert_eq!((seen(&first), seen(&last)), (true, false));
    assert_eq!(server.get(CALENDAR).await["address"], format!("{}/….ics", first.base));
}

async fn what_is_too_large_or_too_slow_is_given_up(home: Home) {
    let home = near(home).set("AUTOCALL_HTTP_BODY_LIMIT_BYTES", "65536");
    // A node that does nothing by itself: the limit of time is ours here.
    let node = home.quiet_node().await;
    let engine = &node.app.engine;
    let csv =
        autocall::keep::people_import::read_csv(&format!("name,numbers\nAnn,{A}\n"), autocall::numbers::Region::CN).unwrap();
    engine
        .store
        .carry_out(home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &csv).await)
        .await
        .unwrap();
    let id = quiet_schedule(&node.app).await;
    let elsewhere = Elsewhere::open().await;
    let asking = || Asking::new(&engine.config).unwrap();
    let code = async |asking: Asking| {
        let mut tx = engine.store.begin().await.unwrap();
        assert!(tx.db().ask_source_now(id, engine.clock.now()).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(refresh_due(engine, &asking).await.unwrap(), 1);
        let row = engine.store.read().await.unwrap().db().source_of(id).await.unwrap().unwrap();
        row.wrong().map(|(_, trouble)| trouble.code())
    };
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    set_quietly(&node.app, &elsewhere.address()).await;
    assert_eq!(code(asking()).await, None);
    elsewhere.keeps(&format!("{}{}", calendar(&[("Ann", 16, 30)]), "X".repeat(65_536)));
    assert_eq!(code(asking()).await, Some("too_large"));
    let bomb = include_bytes!("../../../fixtures/calendars/large-when-unpacked.ics.gz").to_vec();
    assert!(bomb.len() < 65_536);
    elsewhere.says(Says::Raw(200, vec![("content-encoding", "gzip".to_owned())], bomb));
    assert_eq!(code(asking()).await, Some("too_large"));
    let never = Arc::new(Notify::new());
    elsewhere.says(Says::Later(Arc::clone(&never), calendar(&[("Ann", 16, 30)])));
    assert_eq!(code(asking().within(Duration::from_millis(200))).await, Some("slow"));
    // Nobody listens there.
    set_quietly(&node.app, "http://127.0.0.1:1/a-long-secret-that-nobody-may-see.ics").await;
    assert_eq!(code(asking()).await, Some("unreachable"));
    let row = engine.store.read().await.unwrap().db().source_of(id).await.unwrap().unwrap();
    assert!(!format!("{row:?}").contains("nobody-may-see"), "{row:?}");
}

/// A schedule on a node that nobody can ask over HTTP.
async fn quiet_schedule(app: &autocall::app::App) -> ScheduleId {
    let form = autocall::keep::roster::forms::ScheduleForm {
        name: "ops".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        ..Default::default()
    };
    app.engine.carry_out(Doer::Server, async |work| autocall::keep::roster::schedules::add(work, &form).await).await.unwrap()
}

async fn set_quietly(app: &autocall::app::App, address: &str) {
    let engine = &app.engine;
    let form = SourceForm { url: Some(address.to_owned()), ..SourceForm::default() };
    let guard = GuardedResolver::for_calendars(&engine.config.roster.allow_networks);
    let set = async |work: &mut autocall::store::Work| source::set(work, &guard, "ops", &form, "test", &Expected::Anything).await;
    engine.carry_out(Doer::Server, set).await.unwrap();
}

async fn two_nodes_ask_once(home: Home) {
    if !home.is_shared() {
        return;
    }
    let home = near(home);
    let others = [home.quiet_node().await, home.quiet_node().await];
    let server = home.start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    follow(&server, &elsewhere.address()).await;
    let asking = Asking::new(&server.app.engine.config).unwrap();
    for round in 2..6 {
        server.home.clock.advance(chrono::TimeDelta::seconds(QUARTER));
        let (one, two) = tokio::join!(refresh_due(&others[0].app.engine, &asking), refresh_due(&others[1].app.engine, &asking));
        assert!(one.unwrap() + two.unwrap() <= 1);
        settled(&server).await;
        assert_eq!(elsewhere.asked(), round, "once by all three");
    }
}

async fn an_address_that_was_replaced_meanwhile_says_nothing(home: Home) {
    let home = near(home);
    let node = home.quiet_node().await;
    let engine = Arc::clone(&node.app.engine);
    let csv = format!("name,numbers\nAnn,{A}\nBob,{B}\n");
    let csv = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    engine
        .store
        .carry_out(home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &csv).await)
        .await
        .unwrap();
    let id = quiet_schedule(&node.app).await;
    let (old, new) = (Elsewhere::open().await, Elsewhere::open().await);
    let go_on = Arc::new(Notify::new());
    old.says(Says::Later(Arc::clone(&go_on), calendar(&[("Bob", 16, 30)])));
    new.keeps(&calendar(&[("Ann", 16, 30)]));
    set_quietly(&node.app, &old.address()).await;
    let asking = Asking::new(&engine.config).unwrap();
    let reading = tokio::spawn({
        let (engine, asking) = (Arc::clone(&engine), asking.clone());
        async move { refresh_due(&engine, &asking).await.unwrap() }
    });
    eventually("the old one is asked", Duration::from_mins(1), async || (old.asked() == 1).then_some(())).await;
    set_quietly(&node.app, &new.address()).await;
    assert_eq!(refresh_due(&engine, &asking).await.unwrap(), 1);
    go_on.notify_one();
    assert_eq!(reading.await.unwrap(), 1);
    let on = async || {
        let roster = engine.store.read().await.unwrap().db().roster().await.unwrap();
        let own = roster.schedule(id).unwrap().clone();
        autocall::roster::evaluate::who(&own, &roster.absences, engine.clock.now())
            .iter()
            .map(|on| roster.name(on.person))
            .collect::<Vec<_>>()
    };
    assert_eq!(on().await, ["Ann"], "what came last from the old address is thrown away");
    let row = engine.store.read().await.unwrap().db().source_of(id).await.unwrap().unwrap();
    assert!(row.wrong().is_none() && row.due_at > engine.clock.now());
}

async fn a_calendar_that_is_not_followed_any_more_leaves_its_shifts(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    assert_eq!(send(&server, "GET", CALENDAR, None).await.0, 404);
    assert_eq!(send(&server, "DELETE", CALENDAR, None).await.0, 404);
    assert_eq!(send(&server, "POST", &format!("{CALENDAR}/refresh"), None).await.0, 404);
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    follow(&server, &elsewhere.address()).await;
    assert_eq!(send(&server, "DELETE", CALENDAR, None).await.0, 204);
    let own = server.get("/api/v1/schedules/ops").await;
    assert_eq!((own["calendar"].clone(), own["layers"][0]["name"].as_str()), (Value::Null, Some("calendar")));
    assert_eq!(on_duty(&server, "2026-11-24").await, ["Ann"], "nobody is relieved by it");
    // Nothing is kept of the address, nor of that of a schedule that is out of use.
    let kept = async || server.app.engine.store.read().await.unwrap().db().sources().await.unwrap().len();
    assert_eq!(kept().await, 0);
    follow(&server, &elsewhere.address()).await;
    assert_eq!(kept().await, 1);
    assert_eq!(send(&server, "DELETE", "/api/v1/schedules/ops", None).await.0, 204);
    assert_eq!(kept().await, 0);
}

async fn nobody_s_change_of_an_address_is_lost(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let ask = async |method: &str, name: &'static str, value: &str, body: Option<Value>| {
        let request = http.request(method.parse().unwrap(), format!("{}{CALENDAR}", server.base)).header(name, value);
        let request = body.iter().fold(request, reqwest::RequestBuilder::json);
        let response = request.send().await.unwrap();
        let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default();
        (response.status().as_u16(), tag)
    };
    let url = |url: &str| Some(json!({ "url": url }));
    let (status, first) = ask("PUT", "if-none-match", "*", url(&elsewhere.address())).await;
    assert_eq!(status, 201);
    assert_eq!(ask("PUT", "if-none-match", "*", url(&elsewhere.address())).await.0, 412, "there is one by now");
    settled(&server).await;
    assert_eq!(ask("GET", "if-none-match", &first, None).await.0, 304, "that it was read is no other version");
    // Only the rhythm: the address, which nobody is shown, stays.
    let (status, second) = ask("PUT", "if-match", &first, Some(json!({ "every_minutes": 60 }))).await;
    assert_eq!(status, 200);
    let own = settled(&server).await;
    assert_eq!(
        (own["every_minutes"].as_i64(), own["address"].as_str()),
        (Some(60), Some(format!("{}/….ics", elsewhere.base).as_str()))
    );
    assert_eq!(ask("PUT", "if-match", &first, url("https://example.com/other.ics")).await.0, 412);
    assert_eq!(ask("DELETE", "if-match", &first, None).await.0, 412);
    assert_eq!(ask("DELETE", "if-match", &second, None).await.0, 204);
    for (body, field) in [
        (json!({}), "url"),
        (json!({ "url": "ftp://example.com/a" }), "url"),
        (json!({ "url": elsewhere.address(), "every_minutes": 4 }), "every_minutes"),
        (json!({ "url": elsewhere.address(), "every_minutes": 1441 }), "every_minutes"),
        (json!({ "url": elsewhere.address(), "layer": "x".repeat(101) }), "layer"),
    ] {
        let (status, problem) = server.put(CALENDAR, &body).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem}");
    }
    assert_eq!(server.put("/api/v1/schedules/none/calendar", &json!({ "url": elsewhere.address() })).await.0, 404);
}

async fn a_gap_in_the_calendar_is_one_in_the_schedule(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    follow(&server, &elsewhere.address()).await;
    let gaps = async || {
        let check = server.get("/api/v1/roster/check?days=5").await;
        let gaps = check["findings"].as_array().unwrap().iter().filter(|own| own["kind"] == "gap");
        gaps.map(|own| (own["from"].as_str().unwrap().to_owned(), own["to"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    assert!(gaps().await.is_empty());
    elsewhere.keeps(&calendar(&[("Ann", 16, 21), ("Bob", 22, 30)]));
    pass(&server, QUARTER).await;
    assert!(on_duty(&server, "2026-11-21T12:00").await.is_empty(), "the calendar says so");
    assert_eq!(gaps().await, [("2026-11-21T08:00:00Z".to_owned(), "2026-11-22T08:00:00Z".to_owned())]);
}

async fn duty_is_handed_over_as_the_calendar_says(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    let line = json!({ "name": "ops", "number": "13300001111", "sms_number": "+8613300002222", "carrier": "china-telecom",
        "android": 11, "text": "今天你值班", "gateway": "phone", "team": "ops" });
    let (status, line) = server.post("/api/v1/lines", &line).await;
    assert_eq!(status, 201, "{line}");
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    follow(&server, &elsewhere.address()).await;
    server.pass(1).await;
    let to = async |count| {
        let sent = taken(&server, &phone, count).await;
        sent.last().unwrap().1.split('|').nth(1).unwrap().to_owned()
    };
    assert_eq!(to(1).await, format!("*72{A}"));
    // Swapped elsewhere, this very hour: the number follows, and the log says by what.
    elsewhere.keeps(&calendar(&[("Bob", 16, 30)]));
    pass(&server, QUARTER).await;
    server.pass(1).await;
    assert_eq!(to(2).await, format!("*72{B}"));
    let log = server.get("/api/v1/schedules/ops/log?from=2026-11-01&to=2026-12-01").await;
    let last = log["hand_overs"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["people"][0]["name"], "Bob", "{log}");
    assert_eq!((last["people"][0]["reason"].as_str(), last["people"][0]["of"].as_str()), (Some("layer"), Some("calendar")));
}

async fn what_a_calendar_would_do_is_said_first(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 23), ("Bob", 23, 30), ("Lunch", 20, 21)]));
    let form = json!({ "url": elsewhere.address() });
    let (status, said) = server.post(&format!("{CALENDAR}/rehearse"), &form).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!((said["shifts"].as_i64(), said["added"].as_i64(), said["removed"].as_i64()), (Some(2), Some(2), Some(0)));
    assert_eq!(said["skipped"].as_array().unwrap().len(), 1);
    assert_eq!(send(&server, "GET", CALENDAR, None).await.0, 404, "nothing was changed");
    elsewhere.says(Says::Raw(404, Vec::new(), Vec::new()));
    let (status, problem) = server.post(&format!("{CALENDAR}/rehearse"), &form).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("calendar_unreadable")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("HTTP 404"));
    elsewhere.keeps("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
    assert_eq!(server.post(&format!("{CALENDAR}/rehearse"), &form).await.1["code"], "import_refused");
}

async fn a_server_that_wants_patience_gets_it(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let elsewhere = Elsewhere::open().await;
    let due = |own: &Value| {
        let next: chrono::DateTime<chrono::Utc> = own["next_at"].as_str().unwrap().parse().unwrap();
        (next - server.now()).num_minutes()
    };
    elsewhere.says(Says::Raw(429, vec![("retry-after", "1800".to_owned())], Vec::new()));
    follow(&server, &elsewhere.address()).await;
    assert_eq!(due(&server.get(CALENDAR).await), 30);
    // Whoever presses the button does not wait.
    elsewhere.says(Says::Raw(503, Vec::new(), Vec::new()));
    let (status, own) = server.post(&format!("{CALENDAR}/refresh"), &json!({})).await;
    assert_eq!(status, 202, "{own}");
    assert_eq!(due(&settled(&server).await), 2, "after the second failure in a row");
    for minutes in [4, 8, 16, 32, 60, 60] {
        let pause = due(&server.get(CALENDAR).await);
        let own = pass(&server, pause * 60).await;
        assert_eq!(due(&own), minutes);
    }
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    assert_eq!(due(&pass(&server, 3_600).await), 15);
}

async fn a_server_that_wants_patience_delays_no_notice(home: Home) {
    let server = near(home).start().await;
    schedule(&server).await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::CalendarTrouble, NoticeKind::CalendarBack], "en").await;
    let elsewhere = Elsewhere::open().await;
    elsewhere.says(Says::Raw(503, vec![("retry-after", "86400".to_owned())], Vec::new()));
    follow(&server, &elsewhere.address()).await;
    let asked = elsewhere.asked();
    // When the third failure would have been told, had it been asked again.
    server.pass(180).await;
    told(&server, &room, 1).await;
    assert!(room.texts()[0].contains("ops cannot be read: the answer is HTTP 503"), "{:?}", room.texts());
    assert_eq!(elsewhere.asked(), asked, "its server is left alone all the same");
    // Told once: the next failures, and what comes after them, tell nothing more.
    for _ in 0..3 {
        pass(&server, 6 * 3_600).await;
    }
    assert_eq!(elsewhere.asked(), asked + 3);
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    pass(&server, 6 * 3_600).await;
    told(&server, &room, 2).await;
    let texts = room.texts();
    assert!(texts.len() == 2 && texts[1].contains("can be read again"), "once each: {texts:?}");
}
