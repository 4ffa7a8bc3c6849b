//! The pages on which an admin sets up where notices go, quiet hours, keys and gateways: nobody overwrites another, and a test says what came
//! of it.

use std::sync::{Arc, Mutex};

use autocall::store::access::users::Role;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::{Page, Visitor};
use crate::harness::{A, B, Home, on_both};

on_both!(
    a_key_is_made_shown_once_and_revoked,
    a_test_of_a_gateway_says_what_came_of_it,
    a_test_of_a_notice_shows_the_answer,
    only_admins_set_up,
    quiet_hours_are_kept_all_together,
    many_quiet_hours_fit_into_the_form,
    a_kept_secret_goes_nowhere_else,
    where_notices_go_is_added_changed_and_removed,
);

/// Something that takes what is posted to it, or does not.
#[derive(Clone, Default)]
struct Room {
    heard: Arc<Mutex<Vec<Value>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Room {
    async fn open() -> (Self, String) {
        let room = Self::default();
        let router = axum::Router::new().fallback(Self::hear).with_state(room.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/geheim", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (room, url)
    }

    async fn hear(State(room): State<Self>, text: String) -> (StatusCode, String) {
        room.heard.lock().unwrap().push(serde_json::from_str(&text).unwrap_or_default());
        match *room.refuses.lock().unwrap() {
            true => (StatusCode::FORBIDDEN, "<b>not in this room</b>".to_owned()),
            false => (StatusCode::OK, "ok".to_owned()),
        }
    }
}

fn said_at(page: &Page, field: &str) -> Option<String> {
    let (_, rest) = page.body.split_once(&format!("<small id=\"{field}-how\" class=\"wrong\">"))?;
    rest.split("</small>").next().map(str::to_owned)
}

fn held(page: &Page, name: &str) -> String {
    let (_, rest) = page.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {}", page.body));
    rest.split('"').next().unwrap().to_owned()
}

fn near(home: Home) -> Home {
    home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8,203.0.113.0/24").set("AUTOCALL_SMS_ALLOW_NETWORKS", "127.0.0.0/8")
}

async fn where_notices_go_is_added_changed_and_removed(home: Home) {
    let server = near(home).start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/notices").await;
    assert!(page.shows("Nothing is told anywhere yet") && page.shows("/notices/new"), "{}", page.body);
    let page = lin.get("/notices/new").await;
    for name in ["Slack", "Telegram", "E-mail", "ntfy", "Any other HTTP request"] {
        assert!(page.shows(name), "{name}");
    }
    assert_eq!(lin.get("/notices/new?shape=pigeon").await.status, 404);
    let url = "https://203.0.113.9/hook/geheim";
    let form =
        [("shape", "slack"), ("name", "ops <b>"), ("url", url), ("secret", ""), ("language", "ja"), ("told_confirmed", "yes")];
    let without = |field: &str| form.into_iter().filter(|(name, _)| *name != field).collect::<Vec<_>>();
    for (field, at) in [("name", "name"), ("url", "url"), ("told_confirmed", "told_raised")] {
        let page = lin.post("/notices/new", &without(field)).await;
        assert!(page.status == 422 && said_at(&page, at).is_some(), "{field}: {}", page.body);
    }
    let added = lin.post("/notices/new", &form).await;
    assert_eq!(added.status, 303, "{}", added.body);
    let path = added.location().split('#').next().unwrap().to_owned();
    let page = lin.get("/notices").await;
    assert!(page.shows("ops &#60;b&#62;") && page.shows("somebody confirmed") && !page.shows("geheim"), "{}", page.body);
    assert_eq!(lin.post("/notices/new", &form).await.status, 422, "the name is taken");

    let page = lin.get(&path).await;
    assert!(
        !page.shows("geheim") && page.shows("it stays as it is") && page.shows("<option value=\"ja\" selected>"),
        "{}",
        page.body
    );
    let version = held(&page, "version");
    let webhook = async || server.app.engine.store.read().await.unwrap().db().webhooks().await.unwrap().remove(0);
    let changed =
        [("name", "room"), ("url", ""), ("secret", ""), ("language", "en"), ("told_raised", "yes"), ("version", &version)];
    assert_eq!(lin.post(&path, &changed).await.location(), "/notices?done=saved");
    let row = webhook().await;
    assert_eq!((row.name.as_str(), row.url.as_str(), row.kinds.as_str(), row.language.as_str()), ("room", url, ",raised,", "en"));

    // Whoever read it before overwrites nothing, and removes nothing.
    let page = lin.post(&path, &[("name", "mine"), ("url", ""), ("told_raised", "yes"), ("version", &version)]).await;
    assert!(page.status == 409 && page.shows("Somebody else has changed this meanwhile"), "{}", page.body);
    assert_eq!(lin.post(&format!("{path}/remove"), &[("version", &version)]).await.status, 409);
    assert_eq!(webhook().await.name, "room");
    let version = held(&lin.get(&path).await, "version");
    assert_eq!(lin.post(&format!("{path}/remove"), &[("version", &version)]).await.location(), "/notices?done=removed");
    assert_eq!(lin.get(&path).await.status, 404);
}

async fn a_test_of_a_notice_shows_the_answer(home: Home) {
    let server = near(home).start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let (room, url) = Room::open().await;
    let form = [("shape", "json"), ("name", "room"), ("url", &url), ("language", "en"), ("told_no_answer", "yes")];
    let added = lin.post("/notices/new", &form).await;
    let path = added.location().split('#').next().unwrap().to_owned();
    lin.get(&path).await;
    let page = lin.post(&format!("{path}/test"), &[]).await;
    assert!(page.status == 200 && page.shows("id=\"tried\"") && page.shows("It was taken."), "{}", page.body);
    assert_eq!(room.heard.lock().unwrap().len(), 1, "and it was really told");
    *room.refuses.lock().unwrap() = true;
    let page = lin.post(&format!("{path}/test"), &[]).await;
    assert!(page.shows("HTTP 403") && !page.shows("It was taken.") && !page.shows("<b>not in"), "{}", page.body);
    let latest = lin.get("/notices").await;
    assert!(
        latest.shows("a test") && latest.shows("taken") && latest.shows("HTTP 403") && !latest.shows("geheim"),
        "{}",
        latest.body
    );
}

async fn a_test_of_a_gateway_says_what_came_of_it(home: Home) {
    let server = near(home).start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let (room, url) = Room::open().await;
    let settings = json!({ "kind": "http", "method": "POST", "url": url, "body": r#"{"to": "{number}", "text": "{text}"}"#,
        "headers": { "content-type": "application/json" } });
    let (status, gateway) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    assert_eq!(status, 201, "{gateway}");
    let path = format!("/gateways/{}", gateway["id"].as_str().unwrap());
    let page = lin.get(&path).await;
    assert!(page.shows("Send a test now") && page.shows(&format!("action=\"{path}/test\"")), "{}", page.body);
    let page = lin.post(&format!("{path}/test"), &[("number", A)]).await;
    assert!(page.status == 200 && page.shows("The gateway took it"), "{}", page.body);
    assert_eq!(room.heard.lock().unwrap()[0]["to"], format!("+86{A}"));
    let page = lin.post(&format!("{path}/test"), &[("number", "110")]).await;
    assert!(page.status == 422 && page.shows("This number cannot be dialled") && page.shows("value=\"110\""), "{}", page.body);
    assert_eq!(room.heard.lock().unwrap().len(), 1);
}

async fn quiet_hours_are_kept_all_together(home: Home) {
    let server = home.start().await;
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/quiet-hours").await;
    let version = held(&page, "version");
    let row = |from, to| {
        [
            ("person-0", "Ann"),
            ("from-0", from),
            ("to-0", to),
            ("zone-0", "Asia/Shanghai"),
            ("up_to-0", "normal"),
            ("version", version.as_str()),
        ]
    };
    for (from, to, field) in [("late", "07:00", "from-0"), ("22:00", "22:00", "to-0"), ("22:00", "x", "to-0")] {
        let page = lin.post("/quiet-hours", &row(from, to)).await;
        assert!(page.status == 422 && said_at(&page, field).is_some(), "{from} {to}: {}", page.body);
    }
    assert_eq!(server.get("/api/v1/quiet-hours").await["quiet_hours"], json!([]));
    // One more to fill in: nothing is stored by that.
    let page = lin.post("/quiet-hours", &[&row("22:00", "07:00")[..], &[("another", "yes")]].concat()).await;
    assert!(page.status == 200 && page.shows("name=\"from-1\"") && page.shows("value=\"22:00\""), "{}", page.body);
    assert_eq!(lin.post("/quiet-hours", &row("22:00", "07:00")).await.location(), "/quiet-hours?done=saved");
    let stored = server.get("/api/v1/quiet-hours").await;
    assert_eq!(
        stored["quiet_hours"],
        json!([{ "person": "Ann", "from": "22:00", "to": "07:00", "zone": "Asia/Shanghai", "up_to": "normal" }])
    );
    let page = lin.post("/quiet-hours", &row("21:00", "07:00")).await;
    assert_eq!(page.status, 409, "it was read before it was changed: {}", page.body);
    // Emptied, it is gone.
    let version = held(&lin.get("/quiet-hours").await, "version");
    let empty = [("person-0", "Ann"), ("from-0", ""), ("to-0", ""), ("zone-0", "UTC"), ("up_to-0", "low"), ("version", &version)];
    assert_eq!(lin.post("/quiet-hours", &empty).await.status, 303);
    assert_eq!(server.get("/api/v1/quiet-hours").await["quiet_hours"], json!([]));
}

async fn many_quiet_hours_fit_into_the_form(home: Home) {
    const ROWS: usize = 600;
    let server = home.start().await;
    for (name, number) in [("Ann", A), ("Bob <b>", B)] {
        server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await;
    }
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let version = held(&lin.get("/quiet-hours").await, "version");
    let row = |row: usize| {
        [("person", "Ann"), ("from", "22:00"), ("to", "07:00"), ("zone", "America/Argentina/Buenos_Aires"), ("up_to", "low")]
            .map(|(name, value)| (format!("{name}-{row}"), value))
    };
    let rows: Vec<(String, &str)> = (0..ROWS).flat_map(row).collect();
    let mut fields: Vec<(&str, &str)> = rows.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    fields.push(("version", &version));
    let length: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    assert!(length > 32 * 1024, "longer than any other form");
    let saved = lin.post("/quiet-hours", &fields).await;
    assert_eq!((saved.status, saved.location()), (303, "/quiet-hours?done=saved"));
    assert_eq!(server.get("/api/v1/quiet-hours").await["quiet_hours"].as_array().unwrap().len(), ROWS);
    let page = lin.get("/quiet-hours").await;
    let (_, list) = page.body.split_once("<datalist id=\"").unwrap();
    let (list, rest) = list.split_once("</datalist>").unwrap();
    let id = list.split('"').next().unwrap();
    assert!(list.contains("<option value=\"Ann\">") && list.contains("<option value=\"Bob &#60;b&#62;\">"), "{list}");
    assert!(!rest.contains("<datalist") && !rest.contains("<option value=\"Ann\""), "all people once, not in each row");
    assert_eq!(rest.matches(&format!(" list=\"{id}\"")).count(), ROWS + 1);
    // A name that nobody has is said at its field.
    let nobody = [("person-0", "Zoe"), ("from-0", "22:00"), ("to-0", "07:00"), ("zone-0", "UTC"), ("up_to-0", "low")];
    let version = held(&page, "version");
    let page = lin.post("/quiet-hours", &[&nobody[..], &[("version", version.as_str())]].concat()).await;
    assert!(page.status == 422 && said_at(&page, "person-0").is_some() && page.shows("value=\"Zoe\""), "{}", page.body);
}

async fn a_kept_secret_goes_nowhere_else(home: Home) {
    let server = near(home).start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let form = [("name", "push"), ("to", "ops"), ("language", "en"), ("told_raised", "yes")];
    let with = |more: &[(&'static str, &'static str)]| [&form[..], more].concat();
    let home = "https://203.0.113.9";
    let added = lin.post("/notices/new", &with(&[("shape", "ntfy"), ("url", home), ("secret", "geheim")])).await;
    assert_eq!(added.status, 303, "{}", added.body);
    let path = added.location().split('#').next().unwrap().to_owned();
    let row = async || server.app.engine.store.read().await.unwrap().db().webhooks().await.unwrap().remove(0);
    for elsewhere in ["http://203.0.113.9", "https://203.0.113.9:8443", "https://203.0.113.66"] {
        lin.get(&path).await;
        let page = lin.post(&path, &with(&[("url", elsewhere), ("secret", "")])).await;
        let said = said_at(&page, "secret").unwrap_or_else(|| panic!("{elsewhere}: {}", page.body));
        assert!(page.status == 422 && said.contains("leads elsewhere"), "{elsewhere}: {}", page.body);
        assert_eq!((row().await.url.as_str(), row().await.secret.as_deref()), (home, Some("geheim")));
    }
    let elsewhere = "https://203.0.113.66";
    let version = held(&lin.get(&path).await, "version");
    let fields = [&with(&[("url", elsewhere), ("secret", "neu")])[..], &[("version", version.as_str())]].concat();
    assert_eq!(lin.post(&path, &fields).await.location(), "/notices?done=saved");
    assert_eq!((row().await.url.as_str(), row().await.secret.as_deref()), (elsewhere, Some("neu")));
}

async fn a_key_is_made_shown_once_and_revoked(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    lin.get("/senders").await;
    let page = lin.post("/senders/add", &[("name", "backup"), ("phones", "12"), ("kind", "alarms")]).await;
    assert!(page.status == 422 && page.shows("12"), "{}", page.body);
    let page = lin.post("/senders/add", &[("name", "backup"), ("phones", B), ("kind", "alarms")]).await;
    let (_, rest) = page.body.split_once(">ak_").unwrap_or_else(|| panic!("{}", page.body));
    let key = format!("ak_{}", rest.split('<').next().unwrap());
    let raise = async || {
        let request = server.http.post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&key);
        request.json(&json!({ "summary": "disk full" })).send().await.unwrap().status().as_u16()
    };
    assert_eq!(raise().await, 201, "the key is good, and knows whom to ring");
    let page = lin.get("/senders").await;
    assert!(page.shows("backup") && !page.shows(&key), "{}", page.body);
    let id = server.app.engine.store.read().await.unwrap().db().keys().await.unwrap()[0].id;
    let version = held(&page, "version");
    let path = format!("/senders/{id}/revoke");
    assert_eq!(lin.post(&path, &[("version", "0123456789abcdef01234567")]).await.status, 409);
    assert_eq!(lin.post(&path, &[("version", &version)]).await.location(), "/senders?done=revoked");
    assert_eq!(raise().await, 401);
    assert_eq!(lin.post(&path, &[("version", &version)]).await.status, 404, "it is revoked");
}

async fn only_admins_set_up(home: Home) {
    let server = home.start().await;
    let mut rob = Visitor::logged_in(&server, "rob", Role::Responder).await;
    for path in ["/notices", "/notices/new", "/quiet-hours", "/gateways", "/senders"] {
        assert_eq!(rob.get(path).await.status, 403, "{path}");
        assert!(!rob.get("/").await.shows(&format!("href=\"{path}\"")), "{path} is in no menu of theirs");
    }
    for path in ["/notices/new", "/quiet-hours", "/senders/add"] {
        assert_eq!(rob.post(path, &[("name", "x"), ("shape", "slack")]).await.status, 403, "{path}");
    }
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    for path in ["/notices/new", "/quiet-hours", "/senders/add"] {
        assert_eq!(
            lin.post_bare(path, &[("name", "x"), ("shape", "slack")]).await.status,
            403,
            "{path}: a form that is not ours"
        );
    }
}
