//! Every template in every language: that each is drawn at all, and that what is drawn is sound.
//!
//! Before and after a change of templates, `RECORD_PAGES=folder` leaves each page there, without what differs from run to run:
//! `diff -r` of two such folders shows which pages changed, and how.

use autocall_tests::kept::Kept;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use android_protocol::voice::{tone, wav};
use autocall::engine::Doer;
use autocall::engine::shouts::OF_PAGES;
use autocall::engine::shouts::taking::{Message, ShoutRequest};
use autocall::keep::users;
use autocall::store::access::users::Role;
use autocall::store::shouts::opted_out::OptedOutRow;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::{PASSWORD, Page, Visitor};
use crate::harness::{A, B, C, Home, Kind, Server};

const D: &str = "13512345678";

const LANGUAGES: [&str; 4] = ["en", "zh", "ja", "es"];

/// Elements that have no end.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "hr"];

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/templates")
}

/// The pages of one language, by name.
struct Album {
    language: &'static str,
    pages: BTreeMap<String, Page>,
    faults: Vec<String>,
}

impl Album {
    fn keep(&mut self, name: &str, page: Page) {
        self.faults.extend(faults(&page).into_iter().map(|fault| format!("{} {name}: {fault}", self.language)));
        assert!(page.shows(&format!("<html lang=\"{}\"", self.language)), "{name} does not speak {}", self.language);
        self.pages.insert(name.to_owned(), page);
    }
}

/// One element as it begins: its name, and what it says of itself.
struct Tag<'p> {
    name: &'p str,
    says: Vec<(&'p str, &'p str)>,
}

impl<'p> Tag<'p> {
    fn read(text: &'p str) -> Self {
        let (name, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let mut says = Vec::new();
        while !rest.trim().is_empty() {
            rest = rest.trim_start();
            let end = rest.find(['=', ' ']).unwrap_or(rest.len());
            let key = &rest[..end];
            rest = &rest[end..];
            match rest.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').unwrap_or_else(|| panic!("an open quote: {text}"));
                    says.push((key, value));
                    rest = after;
                }
                None => says.push((key, "")),
            }
        }
        Self { name, says }
    }

    fn says(&self, key: &str) -> Option<&'p str> {
        self.says.iter().find(|(own, _)| *own == key).map(|(_, value)| *value)
    }
}

/// What is wrong with a page: an element that does not end where it must, two with one id, a field that nobody can name, a form that is not
/// ours, a place of a sentence that was left open.
fn faults(page: &Page) -> Vec<String> {
    let (mut open, mut ids, mut wanted, mut labelled) = (Vec::new(), BTreeSet::new(), Vec::new(), BTreeSet::new());
    let (mut fields, mut unproven, mut found) = (Vec::new(), None, Vec::new());
    for piece in page.body.split('<').skip(1) {
        let Some((inside, text)) = piece.split_once('>') else {
            found.push(format!("<{piece} does not end"));
            continue;
        };
        // What a gateway's own body may hold is shown as it is typed, and an example of JSON or of another system's file as well.
        let shown = ["{number}", "{\"", "{&", "{ name: "].iter().any(|example| text.contains(example));
        if text.contains('{') && !shown {
            found.push(format!("an open place: {text}"));
        }
        if inside.starts_with('!') {
            continue;
        }
        if let Some(end) = inside.strip_prefix('/') {
            if open.pop() != Some(end) {
                found.push(format!("</{end}> ends something else, before {text:?}"));
            }
            if let ("form", Some(action)) = (end, unproven.take()) {
                found.push(format!("a form without token: {action}"));
            }
            continue;
        }
        let tag = Tag::read(inside.trim_end_matches('/'));
        if let Some(id) = tag.says("id")
            && !ids.insert(id)
        {
            found.push(format!("two have the id {id}"));
        }
        wanted.extend(tag.says("aria-describedby").into_iter().flat_map(str::split_whitespace));
        match tag.name {
            "label" => labelled.extend(tag.says("for")),
            "form" if tag.says("method") == Some("post") && !tag.says("action").is_some_and(|to| to.starts_with("/c/")) => {
                unproven = tag.says("action");
            }
            "input" if tag.says("name") == Some("form_token") => unproven = None,
            "input" | "select" | "textarea" if tag.says("type") != Some("hidden") => {
                fields.push((inside, tag.says("id"), open.contains(&"label")));
            }
            _ => {}
        }
        if !VOID.contains(&tag.name) && !inside.ends_with('/') {
            open.push(tag.name);
        }
    }
    found.extend(open.iter().map(|name| format!("<{name}> is open at the end")));
    let nameless = |id: Option<&str>| !id.is_some_and(|id| labelled.contains(id));
    found.extend(
        fields
            .iter()
            .filter(|(_, id, inside)| !inside && nameless(*id))
            .map(|(field, ..)| format!("nobody knows what this is: {field}")),
    );
    found.extend(labelled.iter().chain(&wanted).filter(|id| !ids.contains(*id)).map(|id| format!("nothing has the id {id}")));
    found
}

/// A page without what differs from run to run: what is drawn by lot, and the port.
fn written(page: &Page, base: &str) -> String {
    let host = base.strip_prefix("http://").unwrap();
    let body = page.body.replace(host, "HOST");
    let is_drawn = |word: &str| word.len() >= 16 && word.bytes().filter(u8::is_ascii_digit).count() >= 2;
    let mut text = format!("{}\n", page.status);
    let mut word = String::new();
    for c in body.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            word.push(c);
            continue;
        }
        text.push_str(if is_drawn(&word) { "DRAWN" } else { &word });
        word.clear();
        text.push(c);
        if c == '>' {
            text.push('\n');
        }
    }
    text
}

async fn made(server: &Server, path: &str, body: Value) -> Value {
    let (status, made) = server.post(path, &body).await;
    assert!((200..300).contains(&status), "{path}: {made}");
    made
}

/// People, duty, numbers, phones, policies, and alarms in every state.
struct World {
    server: Server,
    ringing: String,
    ended: String,
    /// Of whose call there is sound.
    recorded: String,
    /// A callee's own link for each language.
    own_links: Vec<String>,
    shout: i64,
    notices: autocall::ids::WebhookId,
}

impl World {
    async fn begin(server: Server) -> Self {
        let store = &server.app.engine.store;
        let people = format!("name,numbers,language\nAnn,{A},en\n李娜,{B},zh-CN\nJosé,{C},es\n木村,{D},ja\n");
        let people = autocall::keep::people_import::read_csv(&people, autocall::numbers::Region::CN).unwrap();
        store
            .carry_out(server.home.clock.now(), Doer::Server, async |work| {
                autocall::keep::people_import::import(work, &people).await
            })
            .await
            .unwrap();
        made(&server, "/api/v1/teams", json!({ "name": "infra", "members": ["Ann", "李娜"] })).await;
        let layer = json!({ "name": "weekly", "people": ["Ann", "李娜"], "every": "1 week", "start": "2026-11-16T09:00", "active": ["mon-fri 00:00-24:00"] });
        made(&server, "/api/v1/schedules", json!({ "name": "ops", "zone": "Asia/Shanghai", "team": "infra", "layers": [layer] }))
            .await;
        let swap = json!({ "schedule": "ops", "person": "李娜", "starts_at": "2026-11-25T10:00", "ends_at": "2026-11-25T12:00", "note": "a fair" });
        made(&server, "/api/v1/swaps", swap).await;
        let step = json!({ "ring": [{ "schedule": "ops" }, { "person": "José" }], "wait_seconds": 180 });
        let last = json!({ "ring": [{ "number": C }], "mode": "parallel" });
        for name in ["usual", "other"] {
            let policy = json!({ "steps": [step, last], "rounds": 2 });
            assert!(server.put(&format!("/api/v1/policies/{name}"), &policy).await.0 < 300);
        }
        let rules = json!({ "rules": [{ "labels": { "team": "db" }, "policy": "usual" }] });
        assert_eq!(server.put("/api/v1/policy-rules", &rules).await.0, 200);
        made(&server, "/api/v1/do-not-call", json!({ "number": "13600000001", "reason": "asked us to" })).await;
        server.pair("pixel", Profile::Native).await;
        let desk = server.pair("desk", Profile::List).await;
        let settings = json!({ "kind": "handset", "handset": "pixel" });
        let gateway = made(&server, "/api/v1/sms/gateways", json!({ "name": "phone", "settings": settings })).await;
        for (name, follows) in [("hotline", json!({ "team": "infra" })), ("spare", json!({}))] {
            let mut line = json!({ "name": name, "number": if name == "spare" { "13300003333" } else { "13300001111" },
                "carrier": "china-telecom", "android": 11, "gateway": "phone" });
            line.as_object_mut().unwrap().extend(follows.as_object().unwrap().clone());
            made(&server, "/api/v1/lines", line).await;
        }
        server.app.engine.bind_line("spare", Some(("李娜", B)), &autocall::versions::Expected::default()).await.unwrap();
        made(
            &server,
            "/api/v1/heartbeats",
            json!({ "name": "backup", "period_seconds": 3600, "grace_seconds": 60, "phones": [A] }),
        )
        .await;
        let ends_at = server.now() + chrono::TimeDelta::hours(9);
        made(&server, "/api/v1/maintenance", json!({ "reason": "new switch", "ends_at": ends_at, "team": "net" })).await;

        let recorded = recorded(&server).await;
        let first = json!({ "summary": "first", "attempts": 1, "source": "zabbix", "details": "more\nlines", "labels": { "host": "db1" } });
        let ended = server.raise(&[A], first).await;
        let (mid, _) = server.dial(&desk).await;
        server.pass(125).await;
        server.report(&desk, &mid, Some(A)).await;
        made(&server, &format!("/api/v1/alarms/{ended}/acknowledge"), json!({ "name": "Ann", "note": "on my way" })).await;
        made(&server, &format!("/api/v1/alarms/{ended}/false"), json!({ "reason": "the sensor was wet", "by": "Ann" })).await;
        server.raise(&[B, C], json!({ "summary": "second", "attempts": 1 })).await;
        let (mid, _) = server.dial(&desk).await;
        server.report(&desk, &mid, None).await;
        for place in 0..52 {
            let id = server.raise(&[A], json!({ "summary": format!("old {place}"), "dry_run": false })).await;
            made(&server, &format!("/api/v1/alarms/{id}/cancel"), json!({ "by": "Ann" })).await;
        }
        let ringing =
            server.raise(&[], json!({ "summary": "disk full on db1", "policy": "usual", "priority": "critical" })).await;
        // On a handset that takes commands while its call runs.
        let trunk = server.pair("trunk", Profile::Native).await;
        let native = |request: reqwest::RequestBuilder| request.header("autocall-protocol", "1").send();
        let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live", "inbound"], "backend": "sip", "channels": 1 });
        native(server.http.post(format!("{}/h/trunk/status", server.base)).json(&can)).await.unwrap();
        let offer: Value = native(server.http.get(format!("{}{trunk}", server.base))).await.unwrap().json().await.unwrap();
        assert_eq!(offer["live"], true, "{offer}");
        server.raise(&[A], json!({ "summary": "held", "labels": { "team": "net" } })).await;
        made(&server, gateway["inbound_path"].as_str().unwrap(), json!({ "from": "13699999999", "text": "hello", "id": "1" }))
            .await;
        let http = autocall_tests::http_client().no_proxy().build().unwrap();
        let knock =
            http.get(format!("{}/alert/phone", server.base)).header("x-forwarded-for", "10.9.9.1").header("model", "Mi 5");
        knock.send().await.unwrap();
        let nonsense = http.post(format!("{}/api/v1/alarms", server.base)).body("{").header("content-type", "application/json");
        assert_eq!(nonsense.send().await.unwrap().status(), 400);
        server.pass(1).await;
        let asked = server
            .raise(
                &[A, B, D, C],
                json!({ "summary": "who can?", "details": "https://wiki.example/who", "labels": { "team": "net" } }),
            )
            .await;
        let callees = server.alarm(&asked).await["callees"].as_array().unwrap().clone();
        let link = |callee: &Value| server.app.engine.links.address("", callee["id"].as_str().unwrap().parse().unwrap());
        let own_links = callees.iter().map(link).collect();
        let shout = shouted(&server).await;
        server.app.engine.keep_figures(server.now()).await.unwrap();
        let notices = told(&server).await;
        Self { server, ringing, ended, recorded, own_links, shout, notices }
    }

    /// The first of these in the API.
    async fn first(&self, path: &str) -> String {
        let all = self.server.get(path).await;
        all["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{path}: {all}")).to_owned()
    }
}

/// An alarm in whose call somebody said something.
async fn recorded(server: &Server) -> String {
    let recorder = server.pair("recorder", Profile::Native).await;
    let native = |request: reqwest::RequestBuilder| request.header("autocall-protocol", "1").send();
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record"], "backend": "sip", "channels": 1 });
    native(server.http.post(format!("{}/h/recorder/status", server.base)).json(&can)).await.unwrap();
    let id = server.raise(&[D], json!({ "summary": "spoken", "attempts": 1 })).await;
    let offer: Value = native(server.http.get(format!("{}{recorder}", server.base))).await.unwrap().json().await.unwrap();
    let mid = offer["mid"].as_str().unwrap_or_else(|| panic!("{offer}"));
    let call = json!({ "number": D, "outcome": "answered", "recordings": [{ "id": "r1", "seconds": 3 }] });
    let report = server.http.post(format!("{}{recorder}?mid={mid}&resp={D}", server.base)).json(&json!({ "calls": [call] }));
    native(report).await.unwrap();
    let sound = wav::write_ulaw(&tone::sine(&[700.0], 3000, 9000.0));
    let upload = server.http.put(format!("{}/h/recorder/recording/r1?mid={mid}", server.base)).body(sound);
    assert_eq!(upload.send().await.unwrap().status(), 200);
    id
}

/// Where notices go, with one that waits; quiet hours of somebody; and a user who is somebody.
async fn told(server: &Server) -> autocall::ids::WebhookId {
    let engine = &server.app.engine;
    let new = autocall::keep::webhooks::NewWebhook {
        name: "ops-room".to_owned(),
        url: "https://203.0.113.7/hook".to_owned(),
        shape: autocall::kinds::notices::WebhookShape::Slack,
        secret: None,
        settings: autocall::kinds::notices::WebhookSettings::default(),
        kinds: vec![autocall::store::lines::webhooks::NoticeKind::NoAnswer],
        language: "en".to_owned(),
    };
    let guard = autocall::kinds::guard::GuardedResolver::new(&engine.config.notify.allow_networks);
    let add = async |work: &mut autocall::store::Work| autocall::keep::webhooks::add(work, &new, &guard).await;
    let id = engine.store.carry_out(server.now(), Doer::Server, add).await.unwrap();
    let test = async |work: &mut autocall::store::Work| autocall::keep::webhooks::test(work, "ops-room").await;
    engine.store.carry_out(server.now(), Doer::Server, test).await.unwrap();
    let quiet =
        json!({ "quiet_hours": [{ "person": "Ann", "from": "22:00", "to": "07:00", "zone": "Asia/Shanghai", "up_to": "low" }] });
    assert_eq!(server.put("/api/v1/quiet-hours", &quiet).await.0, 200);
    id
}

/// A shout of sound to one who is called and one who must not be, and somebody who wants no more of its list.
async fn shouted(server: &Server) -> i64 {
    let engine = &server.app.engine;
    let sound = autocall::keep::media::anew(wav::write_ulaw(&tone::sine(&[700.0], 1000, 9000.0))).await.unwrap();
    let request = ShoutRequest {
        key: OF_PAGES,
        source: "lin".to_owned(),
        by: Doer::Server,
        userdata: "main".to_owned(),
        title: Some("Storm".to_owned()),
        caller: String::new(),
        recipients: vec![A.to_owned(), "13600000001".to_owned()],
        schedule: None,
        message: Message::Sound(sound),
        form: None,
    };
    let shout = engine.take_shout(&request).await.unwrap().id;
    let out = OptedOutRow {
        key_id: OF_PAGES,
        userdata: "main".to_owned(),
        number: "+8613900000077".to_owned(),
        phone: "13900000077".to_owned(),
        shout_id: shout,
        at: server.now(),
    };
    let opt_out = async |work: &mut autocall::store::Work| work.db().opt_out_of_shouts(&out).await;
    assert!(engine.store.carry_out(server.now(), Doer::Server, opt_out).await.unwrap());
    shout
}

/// The pages of a server on which nothing has happened yet.
async fn empty_pages(lin: &mut Visitor, album: &mut Album) {
    for path in [
        "/",
        "/alarms",
        "/shouts",
        "/shouts/opted-out",
        "/handsets",
        "/people",
        "/roster",
        "/numbers",
        "/watch",
        "/gateways",
        "/notices",
        "/quiet-hours",
        "/people/me",
        "/policies",
        "/senders",
        "/users",
        "/password",
    ] {
        album.keep(&format!("empty {path}"), lin.get(path).await);
    }
}

/// What a change does before it is saved, and a swap that waits for an answer.
async fn duty_pages(world: &World, lin: &mut Visitor, album: &mut Album) {
    let schedule = world.first("/api/v1/schedules").await;
    let times = [("from", "2026-11-24T09:00"), ("to", "2026-11-25T09:00")];
    let form = [&times[..], &[("action", "replace"), ("person", "Ann"), ("note", "dentist"), ("look", "yes")][..]].concat();
    album.keep("what an override does", lin.post(&format!("/roster/{schedule}/override"), &form).await);
    let form = [("from", "2026-11-24T09:00"), ("to", "2026-11-25T09:00"), ("person", "José"), ("zone", "UTC"), ("look", "yes")];
    album.keep("what a vacation does", lin.post("/roster/vacations", &form).await);
    album.keep("swaps", lin.get("/roster/swaps?schedule=ops&person=Ann&from=2026-11-24T09:00").await);
}

async fn all_pages(world: &World, who: &str, visitor: &mut Visitor, album: &mut Album) {
    let schedule = world.first("/api/v1/schedules").await;
    // All to which the menus lead.
    let page = visitor.get("/").await;
    let (menus, _) = page.body.split_once("</header>").unwrap();
    let links = menus.split("<a href=\"/").skip(1).map(|rest| format!("/{}", rest.split('"').next().unwrap()));
    let mut paths: Vec<String> = links.filter(|path| !path.contains('?')).collect();
    assert!(paths.len() >= 8, "{paths:?}");
    paths.push("/nowhere".to_owned());
    paths.extend([
        format!("/alarms/{}", world.ringing),
        format!("/alarms/{}", world.ended),
        format!("/alarms/{}", world.recorded),
    ]);
    paths.extend([format!("/roster/{schedule}"), format!("/roster/{schedule}?view=month")]);
    let shout = format!("/shouts/{}", world.shout);
    paths.extend([format!("{shout}/calls?status=ready"), shout, "/shouts/opted-out".to_owned()]);
    let people = world.server.app.engine.store.read().await.unwrap().db().people().await.unwrap();
    // Before anybody counted, and who bears how much.
    paths.extend(["/reports?from=2026-09&to=2026-11", "/reports?by=person", "/reports?by=team&team=infra"].map(str::to_owned));
    paths.extend(["calls", "about"].map(|what| format!("/people/{}/{what}", people[0].0.id)));
    paths.extend(["/?view=dense", "/?view=wall"].map(str::to_owned));
    if who != "viewer" {
        paths.extend(["/calls?q=Ann", "/calls?q=nobody", "/maintenance/new", "/shouts/new", "/alarms/new"].map(str::to_owned));
    }
    if who == "admin" {
        let admin = ["/policies/new", "/policies/rules", "/numbers/new", "/gateways/new", "/heartbeats/new"];
        paths.extend(admin.map(str::to_owned));
        paths.extend(["/connect?system=kuma", "/senders/one?sender=(no+key)"].map(str::to_owned));
        paths.extend(["/notices/new", "/notices/new?shape=email", "/notices/new?shape=template"].map(str::to_owned));
        paths.push(format!("/notices/{}", world.notices));
        paths.extend(["/gateways/new?kind=http", "/gateways/new?kind=smsgate", "/gateways/new?kind=handset"].map(str::to_owned));
        for (api, page) in
            [("/api/v1/lines", "numbers"), ("/api/v1/sms/gateways", "gateways"), ("/api/v1/heartbeats", "heartbeats")]
        {
            paths.push(format!("/{page}/{}", world.first(api).await));
        }
        let store = &world.server.app.engine.store;
        paths.push(format!("/people/{}", store.read().await.unwrap().db().people().await.unwrap()[0].0.id));
        paths.push(format!("/people/{}/personal", people[0].0.id));
        paths.push("/audit?who=nobody".to_owned());
        paths.push(format!("/policies/{}", store.read().await.unwrap().db().policies().await.unwrap()[0].id));
    }
    for path in paths {
        let page = visitor.get(&path).await;
        assert!(page.status == 200 || path == "/nowhere", "{who} {path}: {}", page.body);
        album.keep(&format!("{who} {}", path.replace(|c: char| c.is_ascii_digit(), "")), page);
    }
}

/// Forms that are refused, with what is wrong.
async fn wrong_forms(world: &World, lin: &mut Visitor, album: &mut Album) {
    let schedule = world.first("/api/v1/schedules").await;
    let person = world.server.app.engine.store.read().await.unwrap().db().people().await.unwrap()[0].0.id;
    let line = world.first("/api/v1/lines").await;
    let own = |rest: &str| format!("/roster/{schedule}/{rest}");
    let bad_day = ("from", "tomorrow");
    let forms: Vec<(String, Vec<(&str, &str)>)> = vec![
        ("/people/add".to_owned(), vec![("name", ""), ("numbers", "12")]),
        (format!("/people/{person}"), vec![("name", "Ann"), ("numbers", "12"), ("language", "en")]),
        ("/users/add".to_owned(), vec![("name", ""), ("role", "viewer")]),
        ("/password".to_owned(), vec![("current", "no"), ("new", "longer than ten"), ("again", "longer than ten")]),
        ("/policies/new".to_owned(), vec![("name", "p"), ("whom-0", "Nobody"), ("rounds", "1")]),
        ("/do-not-call/add".to_owned(), vec![("number", "x"), ("reason", "y")]),
        ("/numbers/new".to_owned(), vec![("name", "x"), ("number", "y"), ("carrier", "china-telecom")]),
        (format!("/numbers/{line}/forward"), vec![("person", ""), ("number", "")]),
        ("/heartbeats/new".to_owned(), vec![("name", "x"), ("period", "many"), ("period_unit", "h")]),
        ("/maintenance/new".to_owned(), vec![("reason", "x"), ("ends", "tomorrow")]),
        (
            "/shouts/new".to_owned(),
            vec![("list", "main"), ("way", "words"), ("words", "x"), ("numbers", "13900000077, 1"), ("act", "send")],
        ),
        ("/connect/key".to_owned(), vec![("system", "kuma"), ("name", ""), ("phones", "x")]),
        ("/connect/use".to_owned(), vec![("system", "kuma"), ("key", "ak_none")]),
        ("/senders/add".to_owned(), vec![("name", ""), ("phones", "x"), ("kind", "alarms")]),
        ("/notices/new".to_owned(), vec![("shape", "email"), ("name", "post"), ("url", "x"), ("told_raised", "yes")]),
        (format!("/notices/{}", world.notices), vec![("name", ""), ("told_raised", "yes")]),
        ("/quiet-hours".to_owned(), vec![("from-0", "late"), ("to-0", "07:00"), ("zone-0", "UTC"), ("up_to-0", "low")]),
        ("/alarms/new".to_owned(), vec![("whom", "team:infra"), ("summary", " "), ("priority", "high"), ("act", "send")]),
        ("/handsets/add".to_owned(), vec![("name", "")]),
        ("/handsets/test".to_owned(), vec![("handset", "desk"), ("number", "x")]),
        ("/handsets/rename".to_owned(), vec![("handset", "desk"), ("name", "pixel")]),
        ("/handsets/allow".to_owned(), vec![("address", "10.9.9.1"), ("model", "Mi 5"), ("name", "desk")]),
        ("/roster/schedules".to_owned(), vec![("name", "nights"), ("zone", "Mars/Base")]),
        ("/roster/teams".to_owned(), vec![("name", "web"), ("members", "Nobody")]),
        ("/roster/vacations".to_owned(), vec![("person", "Ann"), bad_day, ("to", "2026-12-01T00:00"), ("zone", "UTC")]),
        (own("override"), vec![bad_day, ("to", "2026-12-01T00:00"), ("action", "add"), ("person", "Ann")]),
        (own("temporary"), vec![("name", "x"), bad_day, ("to", "2026-12-01T00:00"), ("people", "Ann")]),
        (
            own("rotation"),
            vec![("name", "x"), ("people", "Nobody"), ("every", "1 week"), ("start", "2026-11-16T09:00"), ("version", "1")],
        ),
        (own("calendar"), vec![("url", "nowhere"), ("every_minutes", "15"), ("layer", "calendar"), ("version", "")]),
    ];
    for path in ["/reports?by=weather", "/reports?from=x", "/reports?by=month&team=infra"] {
        let page = lin.get(path).await;
        assert_eq!(page.status, 422, "{path}: {}", page.body);
        album.keep(&format!("wrong {path}"), page);
    }
    for (path, fields) in forms {
        let page = lin.post(&path, &fields).await;
        assert_eq!(page.status, 422, "{path}: {}", page.body);
        album.keep(&format!("wrong {}", path.replace(|c: char| c.is_ascii_digit(), "")), page);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_template_is_drawn_and_sound_in_every_language() {
    let home = Home::new(Kind::Embedded)
        .await
        .set("AUTOCALL_HTTP_TRUSTED_PROXIES", "127.0.0.1")
        .set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "203.0.113.0/24")
        .set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on");
    let provider = autocall_tests::oidc::Own::start(&home.clock).await;
    let home = home.set("AUTOCALL_IDENTITY_ISSUER", provider.issuer()).set("AUTOCALL_IDENTITY_CLIENT_ID", "autocall");
    let file = home.config().data_dir.join("first-login.txt");
    let server = home.start().await;
    let mut albums = LANGUAGES.map(|language| Album { language, pages: BTreeMap::new(), faults: Vec::new() });
    let setup = fs::read_to_string(&file).ok();
    for album in &mut albums {
        let mut stranger = Visitor::new(&server);
        stranger.get(&format!("/login?lang={}", album.language)).await;
        album.keep("nobody /login", stranger.get("/login").await);
        // A terminal shows the address instead.
        if let Some(setup) = &setup {
            album.keep("nobody /setup", stranger.get(setup.trim().split_at(setup.find("/setup").unwrap()).1).await);
        }
    }
    let paper = crate::second_factor::with_factor(&server, "zoe", Role::Viewer).await;
    for (album, code) in albums.iter_mut().zip(&paper) {
        let mut zoe = Visitor::new(&server);
        zoe.get(&format!("/login?lang={}", album.language)).await;
        zoe.log_in("zoe", PASSWORD).await;
        album.keep("half way /login/code", zoe.get("/login/code").await);
        zoe.post("/login/code", &[("code", code)]).await;
        album.keep("with a second factor", zoe.get("/people/me/second-factor").await);
        album.keep("where somebody is logged in", zoe.get("/people/me/sessions").await);
    }
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for album in &mut albums {
        lin.get(&format!("/?lang={}", album.language)).await;
        empty_pages(&mut lin, album).await;
    }
    let world = World::begin(server).await;
    let server = &world.server;
    let mut eve = Visitor::logged_in(server, "eve", Role::Viewer).await;
    let ann = server.app.engine.store.read().await.unwrap().db().people().await.unwrap()[0].0.id;
    let mut rob = Visitor::logged_in_as(server, "rob", Role::Responder, Some(ann)).await;
    for album in &mut albums {
        let choose = format!("/?lang={}", album.language);
        for (who, visitor) in [("admin", &mut lin), ("responder", &mut rob), ("viewer", &mut eve)] {
            visitor.get(&choose).await;
            all_pages(&world, who, visitor, album).await;
        }
        wrong_forms(&world, &mut lin, album).await;
        duty_pages(&world, &mut lin, album).await;
        let feed = rob.post("/people/me/feed", &[]).await;
        assert_eq!(feed.status, 200, "{}", feed.body);
        album.keep("my feed", feed);
        album.keep("me with a feed", rob.get("/people/me").await);
        album.keep("ways to log in", rob.get("/password/identities").await);
        album.keep("to the provider", rob.post("/login/oidc/connect", &[]).await);
        album.keep("a key", lin.post("/senders/add", &[("name", &format!("made-{}", album.language)), ("kind", "mail")]).await);
        let taken = format!("/alarms/{}/acknowledge", world.ended);
        album.keep("faster", lin.post(&taken, &[("alarm", &world.ended), ("seen", "")]).await);
        let whom = [("whom", "team:infra"), ("summary", "the lift stands"), ("priority", "high"), ("act", "look")];
        album.keep("who would be called", lin.post("/alarms/new", &whom).await);
        album.keep("reset", lin.post("/users/reset", &[("user", "eve")]).await);
        album.keep("rotate", lin.post("/handsets/rotate", &[("handset", "desk")]).await);
        let mut stranger = Visitor::new(server);
        stranger.headers = vec![("accept-language", album.language.to_owned())];
        stranger.get(&format!("/login?lang={}", album.language)).await;
        album.keep("login failed", stranger.log_in("lin", &format!("not {PASSWORD}")).await);
        album.keep("nobody may", stranger.post("/logout", &[]).await);
        // In their own language, whatever their browser wants.
        let place = LANGUAGES.iter().position(|language| *language == album.language).unwrap();
        album.keep("own link", stranger.get(&world.own_links[place]).await);
        // Everybody was logged out by the reset.
        eve = Visitor::new(server);
        let store = &server.app.engine.store;
        let user = users::find(&mut store.read().await.unwrap().db(), "eve").await.unwrap().id;
        let hashed = users::Passwords::default().hashed(PASSWORD).await.unwrap();
        store.carry_out(server.now(), Doer::Server, async |work| users::set_password(work, user, &hashed).await).await.unwrap();
        eve.log_in("eve", PASSWORD).await;
    }
    for album in &albums {
        if let Some(folder) = std::env::var_os("RECORD_PAGES") {
            let folder = PathBuf::from(folder).join(album.language);
            fs::create_dir_all(&folder).unwrap();
            for (name, page) in &album.pages {
                fs::write(folder.join(name.replace(['/', ' ', '?'], "_")), written(page, &server.base)).unwrap();
            }
        }
    }
    let templates: BTreeMap<String, Vec<String>> = every_file(&templates())
        .into_iter()
        .map(|file| (file.clone(), pieces(&fs::read_to_string(templates().join(file)).unwrap())))
        .collect();
    assert!(templates.len() > 35);
    for album in &albums {
        for (file, pieces) in &templates {
            let is_own = |piece: &&String| templates.iter().all(|(other, others)| other == file || !others.contains(piece));
            let own: Vec<&String> = pieces.iter().filter(is_own).collect();
            let is_setup = file == "people/setup.html" && setup.is_none();
            let is_drawn = own.iter().any(|piece| album.pages.values().any(|page| page.shows(piece)));
            // Nothing but places in the frame: those that it makes are written here, so that no other joins them unseen.
            let is_bare = own.is_empty() && BARE.contains(&file.as_str());
            assert!(is_drawn || is_setup || is_bare, "{file} is drawn nowhere in {}: {own:?}", album.language);
        }
    }
}

/// Templates without markup of their own.
const BARE: [&str; 9] = [
    "alarm/part_trouble.html",
    "frame/address.html",
    "frame/card.html",
    "frame/edit.html",
    "frame/form_page.html",
    "people/elsewhere/identities.html",
    "people/my_password.html",
    "people/personal.html",
    "people/setup.html",
];

/// What a template says in every case: the markup between its places, as far as it can be told from others.
fn pieces(template: &str) -> Vec<String> {
    const LEAST: usize = 14;
    let mut pieces = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (piece, after) = match rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
            Some(start) => {
                let end = match &rest[start..start + 2] {
                    "{{" => "}}",
                    "{%" => "%}",
                    _ => "#}",
                };
                let after = rest[start..].split_once(end).map_or("", |(_, after)| after);
                (&rest[..start], after)
            }
            None => (rest, ""),
        };
        pieces.extend(piece.lines().map(str::trim).filter(|line| line.len() >= LEAST).map(str::to_owned));
        rest = after;
    }
    pieces
}

/// The files below a folder, by their path in it.
fn every_file(folder: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true => all.extend(every_file(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}"))),
            false => _ = all.insert(name),
        }
    }
    all
}
