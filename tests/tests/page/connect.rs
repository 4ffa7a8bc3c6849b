//! *Connect*: what a system is given, a test that rings nobody, an alarm that rings who asks for it, and what came lately.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Page, Visitor};
use crate::harness::{A, B, Home, Server, on_both};
use crate::sights::name_people;

on_both!(
    zabbix_is_chosen_gets_its_file_and_is_explained,
    a_test_rings_nobody_and_says_who_would_be_rung,
    who_asks_for_it_is_rung_and_nobody_else,
    the_last_bodies_are_kept_for_an_hour_without_their_secrets,
    what_was_refused_is_shown_with_its_answer,
    an_odd_address_breaks_no_file,
    only_admins_connect,
);

/// The key that a page shows once.
fn key_on(page: &Page) -> String {
    let (_, rest) = page.body.split_once("ak_").unwrap_or_else(|| panic!("no key: {}", page.body));
    format!("ak_{}", rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
}

/// Makes a key on the page, and gives it.
async fn make_key(lin: &mut Visitor, system: &str, name: &str, phones: &str) -> String {
    lin.get(&format!("/connect?system={system}")).await;
    let page = lin.post("/connect/key", &[("system", system), ("name", name), ("phones", phones)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    key_on(&page)
}

async fn post(server: &Server, path: &str, key: &str, body: String) -> StatusCode {
    server.http.post(format!("{}{path}", server.base)).bearer_auth(key).body(body).send().await.unwrap().status()
}

async fn zabbix_is_chosen_gets_its_file_and_is_explained(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/connect?system=zabbix").await;
    assert!(page.shows("zabbix_export") && page.shows("value: &#39;KEY&#39;"), "{}", page.body);
    assert!(page.shows("http.public_url is not set"), "{}", page.body);
    let again = lin.post("/connect/key", &[("system", "zabbix"), ("name", "zabbix"), ("phones", "12")]).await;
    assert!(again.status == 422 && again.shows("12 cannot be dialled"), "{}", again.body);
    let key = make_key(&mut lin, "zabbix", "zabbix", A).await;
    let file = lin.post("/connect/file", &[("system", "zabbix"), ("file", "autocall-zabbix.yaml"), ("key", &key)]).await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"autocall-zabbix.yaml\"");
    assert!(file.body.contains(&format!("value: '{key}' }}")) && file.body.contains("- { name: server, value: 'http://"));
    let taken = lin.post("/connect/key", &[("system", "zabbix"), ("name", "zabbix"), ("phones", "")]).await;
    assert!(taken.status == 422 && !taken.shows("ak_"), "a name is used once, and a key shown once: {}", taken.body);
    assert_eq!(lin.post("/connect/file", &[("system", "zabbix"), ("file", "../x"), ("key", "")]).await.status, 404);

    let said = json!({
        "event_source": "0", "event_id": "1042", "event_value": "1", "update_status": "0", "severity": "5",
        "name": "磁盘满", "host": "db1", "to": B, "tags": []
    });
    let posted = server.http.post(format!("{}/api/v1/intake/zabbix", server.base)).bearer_auth(&key).json(&said);
    let answer: Value = posted.send().await.unwrap().json().await.unwrap();
    let (id, number) = (answer["alarms"][0]["id"].as_str().unwrap(), answer["alarms"][0]["number"].as_str().unwrap());
    let page = lin.get("/senders/one?sender=zabbix").await;
    assert!(page.shows("POST /api/v1/intake/zabbix") && page.shows("answered 200"), "{}", page.body);
    assert!(page.shows(&format!("<b>created</b> <a href=\"/alarms/{id}\">#{number}</a>")), "{}", page.body);
    assert!(page.shows("磁盘满") && !page.shows(&key), "{}", page.body);
}

async fn a_test_rings_nobody_and_says_who_would_be_rung(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    make_key(&mut lin, "generic", "own", A).await;
    make_key(&mut lin, "generic", "bare", "").await;
    let page = lin.post("/senders/test", &[("sender", "own")]).await;
    assert_eq!(page.status, 200);
    assert!(page.shows("<b>test</b>") && page.shows("signal test, key autocall/test, priority normal"), "{}", page.body);
    assert!(page.shows("The key names whom to ring.") && page.shows("张伟 (+8618712345678)"), "{}", page.body);
    assert!(page.shows("POST /api/v1/intake/generic"), "it stands among the last messages: {}", page.body);
    let page = lin.post("/senders/test", &[("sender", "bare")]).await;
    assert!(page.shows("Nobody is named"), "{}", page.body);
    // A rule for the sender goes before its key.
    let steps = json!({ "steps": [{ "ring": [{ "number": B }] }] });
    let (status, said) = server.put("/api/v1/policies/night", &steps).await;
    assert!(status < 300, "{said}");
    let rules = json!({ "rules": [{ "policy": "night", "sender": "own" }] });
    let (status, said) = server.put("/api/v1/policy-rules", &rules).await;
    assert!(status < 300, "{said}");
    let page = lin.post("/senders/test", &[("sender", "own")]).await;
    assert!(page.shows("Rule 1 says so: policy night.") && page.shows("Li Na (+8618812345678)"), "{}", page.body);
    // Nothing of it stays.
    server.pass(5).await;
    assert_eq!(server.items("/api/v1/alarms").await, json!([]));
    server.app_idle(&desk).await;
    assert_eq!(lin.post("/senders/test", &[("sender", "nobody")]).await.status, 404);
}

async fn who_asks_for_it_is_rung_and_nobody_else(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let people = server.app.engine.store.read().await.unwrap().db().people().await.unwrap();
    let person = people.iter().find(|(person, ..)| person.name == "Li Na").map(|(person, ..)| person.id);
    let mut na = Visitor::logged_in_as(&server, "na", Role::Admin, person).await;
    make_key(&mut na, "generic", "own", A).await;
    let page = na.post("/senders/ring", &[("sender", "own")]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let alarm = server.alarm(page.location().strip_prefix("/alarms/").unwrap()).await;
    let numbers: Vec<&str> = alarm["callees"].as_array().unwrap().iter().map(|one| one["number"].as_str().unwrap()).collect();
    assert_eq!((numbers, &alarm["priority"], &alarm["source"]), (vec!["+8618812345678"], &json!("critical"), &json!("own")));
    // Somebody who is nobody in the roster is told so.
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.post("/senders/ring", &[("sender", "own")]).await;
    assert!(page.status == 422 && page.shows("nobody who can be rung"), "{}", page.body);
    assert_eq!(server.items("/api/v1/alarms").await.as_array().unwrap().len(), 1);
}

async fn the_last_bodies_are_kept_for_an_hour_without_their_secrets(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let key = make_key(&mut lin, "generic", "own", A).await;
    let said =
        json!({ "summary": "Disk full <b>", "state": "ok", "id": "k", "db_password": "hunter2", "note": format!("x {key}") });
    assert_eq!(post(&server, &format!("/api/v1/intake/generic?token=hunter3&key={key}"), &key, said.to_string()).await, 200);
    let long = json!({ "summary": "long", "state": "ok", "id": "l", "text": "x".repeat(40_000) }).to_string();
    assert_eq!(post(&server, &format!("/k/{key}/api/v1/intake/generic"), &key, long.clone()).await, 200);
    let event = json!({ "routing_key": key, "event_action": "resolve", "dedup_key": "d" });
    assert_eq!(post(&server, "/v2/enqueue", "", event.to_string()).await, 202);
    let page = lin.get("/senders/one?sender=own").await;
    assert!(page.shows("Disk full &#60;b&#62;") && page.shows("db_password") && page.shows("•••"), "{}", page.body);
    assert!(!page.shows("hunter2") && !page.shows("hunter3") && !page.shows(&key), "{}", page.body);
    assert!(page.shows(&format!("The first 16384 of {} bytes.", long.len())), "{}", page.body);
    assert!(page.shows("POST /v2/enqueue") && page.shows("answered 202") && page.shows("nothing_open"), "{}", page.body);
    for number in 0..60 {
        let said = json!({ "summary": "n", "state": "ok", "id": format!("number-{number}") });
        assert_eq!(post(&server, "/api/v1/intake/generic", &key, said.to_string()).await, 200);
    }
    let page = lin.get("/senders/one?sender=own").await;
    assert_eq!(page.body.matches("<article").count(), 50);
    assert!(page.shows("number-59") && page.shows("number-10") && !page.shows("number-9&"), "{}", page.body);
    // Also when nothing new comes.
    server.pass(3601).await;
    let page = lin.get("/senders/one?sender=own").await;
    assert!(page.shows("Nothing came within the last hour.") && !page.shows("number-59"), "{}", page.body);
}

async fn what_was_refused_is_shown_with_its_answer(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let key = make_key(&mut lin, "generic", "own", A).await;
    assert_eq!(post(&server, "/api/v1/intake/generic", &key, json!({ "foo": 1 }).to_string()).await, 422);
    assert_eq!(post(&server, "/api/v1/intake/nowhere", &key, "{}".to_owned()).await, 404);
    assert_eq!(post(&server, "/api/v1/intake/generic", &key, "{\"summary\": ".to_owned()).await, 400);
    let page = lin.get("/senders/one?sender=own").await;
    assert!(page.shows("answered 422") && page.shows("nothing says what is wrong") && page.shows("foo"), "{}", page.body);
    assert!(page.shows("answered 404") && page.shows("there is no sender of this kind"), "{}", page.body);
    assert!(page.shows("answered 400"), "{}", page.body);
    // A wrong key is nobody's; what it came with was not read.
    assert_eq!(post(&server, "/api/v1/intake/generic", "ak_wrong", json!({ "summary": "hidden" }).to_string()).await, 401);
    let page = lin.get("/senders/one?sender=(unknown)").await;
    assert!(page.shows("answered 401") && page.shows("this API key is not known") && !page.shows("ak_wrong"), "{}", page.body);
    // In Opsgenie's words, as they are answered.
    let alert = server.http.post(format!("{}/v2/alerts", server.base)).header("authorization", format!("GenieKey {key}"));
    assert!(alert.body("{}").send().await.unwrap().status().is_client_error());
    let page = lin.get("/senders/one?sender=own").await;
    assert!(page.shows("POST /v2/alerts"), "{}", page.body);
    assert_eq!(lin.get("/senders/one?sender=nobody").await.status, 404);
}

async fn an_odd_address_breaks_no_file(home: Home) {
    let server = home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://alerts.example.com/o'brien$x;y").start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let page = lin.get("/connect?system=nagios").await;
    assert!(!page.shows("http.public_url is not set"), "{}", page.body);
    let key = make_key(&mut lin, "nagios", "nagios", A).await;
    let page = lin.post("/connect/use", &[("system", "kibana"), ("key", &key)]).await;
    assert!(page.status == 200 && page.shows("Filled in with the key of nagios."), "{}", page.body);
    let file = async |lin: &mut Visitor, system: &str, file: &str| {
        lin.post("/connect/file", &[("system", system), ("file", file), ("key", &key)]).await.body
    };
    let json = file(&mut lin, "kibana", "kibana-connector.json").await;
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["config"]["url"], "https://alerts.example.com/o'brien$x;y/api/v1/intake/generic");
    let command = file(&mut lin, "nagios", "autocall.cfg").await;
    assert!(command.contains(r"'https://alerts.example.com/o'\''brien$$x\;y'"), "{command}");
    let wrong = lin.post("/connect/use", &[("system", "kibana"), ("key", "ak_none")]).await;
    assert!(wrong.status == 422 && wrong.shows("This key is not known"), "{}", wrong.body);
}

async fn only_admins_connect(home: Home) {
    let server = home.start().await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    make_key(&mut lin, "generic", "own", A).await;
    for role in [Role::Viewer, Role::Responder] {
        let mut other = Visitor::logged_in(&server, role.as_str(), role).await;
        for path in ["/connect", "/senders/one?sender=own"] {
            assert_eq!(other.get(path).await.status, 403, "{path}");
        }
        other.get("/").await;
        for path in ["/connect/key", "/connect/use", "/connect/file", "/senders/test", "/senders/ring"] {
            assert_eq!(other.post(path, &[("sender", "own"), ("system", "zabbix")]).await.status, 403, "{path}");
        }
    }
    let mut stranger = Visitor::new(&server);
    assert_eq!(stranger.get("/connect").await.location(), "/login?next=/connect");
}
