//! The phone-call log: what NiMbox's clients send and read.

use autocall::call_log::reading::Said;
use autocall::engine::Doer;
use autocall::keep::keys::{self, KeyError};
use autocall::keep::phone_calls::reread::{self, Change, Reread};
use autocall::store::StoreError;
use autocall::store::access::keys::KeyRow;
use serde_json::{Value, json};

use crate::harness::{A, Hold, Home, Server, on_both};

on_both!(
    a_call_is_created_as_the_document_says,
    a_call_that_is_told_again_is_the_same,
    every_wrong_parameter_is_named,
    zones_are_read_as_their_key_says,
    numbers_are_read_as_their_key_says,
    only_a_key_for_it_may,
    a_key_for_it_may_nothing_else,
    whoever_guesses_is_told_to_stop,
    a_look_changes_nothing,
    what_is_sent_as_a_form,
    a_body_that_cannot_be_read_is_said,
    days_strictly_between_are_deleted,
    our_own_calls_are_never_deleted,
    a_number_that_is_nobodys_may_become_a_contact,
    what_is_older_than_is_kept_is_answered_and_not_stored,
    two_at_once_are_one,
    calls_are_read_anew,
    calls_in_each_hour_are_no_repeats_of_each_other,
    the_list_of_calls_shows_them_where_they_are_asked_for,
    a_person_who_goes_leaves_their_calls,
    without_a_database_it_is_said_by_the_status,
    a_request_that_takes_too_long_is_said,
);

const CREATE: &str = "/direct/items/phonecalls/create";
const DELETE: &str = "/direct/items/phonecalls/delete";

/// A key that lists calls, read so.
async fn key(server: &Server, name: &str, said: Said) -> String {
    let own = server.app.config().phone_call_defaults();
    let add = async |work: &mut _| keys::add_for_calls(work, name, &said, own).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, add).await.unwrap()
}

fn zone<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> T {
    name.parse().unwrap()
}

/// A key of somebody in Maracaibo.
async fn maracaibo(server: &Server) -> String {
    let said = Said {
        region: Some("VE".to_owned()),
        zone: Some(zone("America/Caracas")),
        area_code: Some("0261".to_owned()),
        z_is_local: false,
    };
    key(server, "pbx", said).await
}

/// A server with Ana, who has two numbers, and a key.
async fn with_ana(home: Home) -> (Server, String) {
    let server = home.start().await;
    let ana = json!({ "name": "Ana", "numbers": ["+582122853348", "+584122345678"] });
    assert_eq!(server.post("/api/v1/people", &ana).await.0, 201);
    let key = maracaibo(&server).await;
    (server, key)
}

/// Asks with GET, as its clients do, and gives status and body.
async fn ask(server: &Server, path_and_query: &str) -> (u16, String) {
    // Its description is NiMbox's own document.
    let answer = server.http.get(format!("{}{path_and_query}", server.base)).send().await.unwrap();
    let head = answer.headers().clone();
    assert_eq!(head["content-type"], "application/json", "{path_and_query}");
    assert_eq!(head["cache-control"], "no-store", "{path_and_query}");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn asked(server: &Server, path_and_query: &str) -> Value {
    let (status, body) = ask(server, path_and_query).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Tells of a call; gives the ids of the contact and of the call.
async fn tell(server: &Server, key: &str, initiated: &str, source: &str, destination: &str) -> (i64, i64) {
    let told =
        asked(server, &format!("{CREATE}?token={key}&initiated={initiated}&source={source}&destination={destination}")).await;
    assert_eq!(told["error"], false, "{told}");
    (told["contactId"].as_i64().unwrap(), told["phonecallId"].as_i64().unwrap())
}

/// The names of what is wrong.
async fn wrong(server: &Server, path_and_query: &str) -> Vec<String> {
    let told = asked(server, path_and_query).await;
    assert_eq!(told["error"], true, "{told}");
    told["errors"].as_object().unwrap().keys().cloned().collect()
}

async fn replicated(server: &Server) -> Vec<Value> {
    server.items("/api/v1/call-records?origin=replicated&limit=200").await.as_array().unwrap().clone()
}

async fn a_call_is_created_as_the_document_says(home: Home) {
    let (server, key) = with_ana(home).await;
    let call = format!(
        "{CREATE}?token={key}&initiated=2012-08-23T12:20:33&source=7222&destination=02122853348&duration=45&url=http://192.168.128.96/recordings/SIP/7222-01"
    );
    let (status, body) = ask(&server, &call).await;
    let record = replicated(&server).await[0].clone();
    let told: Value = serde_json::from_str(&body).unwrap();
    let (contact, id) = (&told["contactId"], &record["id"]);
    assert_eq!((status, body), (200, format!(r#"{{"error":false,"contactId":{contact},"phonecallId":{id}}}"#)));
    // Caracas was four and a half hours behind in 2012.
    assert_eq!(record["offered_at"], "2012-08-23T16:50:33Z");
    assert_eq!((&record["caller"], &record["phone_number"]), (&json!("7222"), &json!("+582122853348")));
    assert_eq!((&record["duration_seconds"], &record["talk_seconds"]), (&json!(45), &Value::Null));
    assert_eq!(record["url"], "http://192.168.128.96/recordings/SIP/7222-01");
    assert_eq!(
        (&record["person"]["name"], &record["direction"], &record["mid"]),
        (&json!("Ana"), &json!("outgoing"), &json!(""))
    );
    assert_eq!((&record["offered_known"], &record["origin"]), (&json!("said"), &json!("replicated")));
    let (other, second) = tell(&server, &key, "2012-08-23T12:20:34", "7222", "58-412-2345678").await;
    assert_eq!(json!(other), *contact, "one contact, by any of their numbers");
    assert_ne!(json!(second), *id);
    let in_path = format!("/k/{key}{CREATE}/?initiated=2012-08-23T12:20:33&source=7222&destination=02122853348&token=nonsense");
    assert_eq!(asked(&server, &in_path).await["phonecallId"], *id, "a key in the path counts first");
}

async fn a_call_that_is_told_again_is_the_same(home: Home) {
    let (server, key) = with_ana(home).await;
    let first = tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
    let before = replicated(&server).await;
    for (initiated, destination) in [
        ("2026-08-23T12:20:33", "0212-285-3348&duration=99&url=http://elsewhere"),
        ("2026-08-23T16:20:33Z", "%2B582122853348"),
        ("2026-08-23T20:50:33+04:30", "+582122853348"),
        ("2026-08-23T20:50:33%2B04:30", "582122853348"),
        ("2026-08-23T20:50:33%2004:30", "%20582122853348"),
        ("20260823T122033-0400", "0212+285+3348"),
    ] {
        assert_eq!(tell(&server, &key, initiated, "7222", destination).await, first, "{initiated} {destination}");
    }
    assert_eq!(replicated(&server).await, before, "nothing is written, whatever else the repeat says");
    // It is found also when nobody has the number any more, and by any key.
    let ana = server.items("/api/v1/people").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.delete(&format!("/api/v1/people/{ana}")).await, 204);
    let said = Said { region: Some("VE".to_owned()), ..Said::default() };
    let other = self::key(&server, "other", said).await;
    assert_eq!(tell(&server, &other, "2026-08-23T16:20:33", "7222", "02122853348").await, first);
    assert_eq!(
        wrong(&server, &format!("{CREATE}?token={key}&initiated=2026-08-23T12:20:33&source=7223&destination=02122853348")).await,
        ["destination"]
    );
}

async fn every_wrong_parameter_is_named(home: Home) {
    let (server, key) = with_ana(home).await;
    let good = [
        ("initiated", "2026-08-23T12:20:33"),
        ("source", "7222"),
        ("destination", "02122853348"),
        ("duration", "45"),
        ("url", "http://pbx/1"),
    ];
    let with = |changed: &[(&str, &str)]| {
        let value = |name: &str, own: &str| {
            changed.iter().find(|(other, _)| *other == name).map_or(own.to_owned(), |(_, value)| (*value).to_owned())
        };
        let pairs: Vec<_> = good.iter().map(|(name, own)| format!("{name}={}", value(name, own))).collect();
        format!("{CREATE}?token={key}&{}", pairs.join("&"))
    };
    let many = "1".repeat(81);
    let long = format!("http://pbx/{}", "x".repeat(2048));
    for (changed, named) in [
        (&[("initiated", "")][..], &["initiated"][..]),
        (&[("initiated", "yesterday")], &["initiated"]),
        (&[("initiated", "1969-12-31T12:00:00")], &["initiated"]),
        (&[("source", "")], &["source"]),
        (&[("source", &many)], &["source"]),
        (&[("source", "a%0Ab")], &["source"]),
        (&[("destination", "")], &["destination"]),
        (&[("destination", "123456")], &["destination"]),
        (&[("destination", "*97")], &["destination"]),
        (&[("destination", &many)], &["destination"]),
        (&[("destination", "02129999999")], &["destination"]),
        (&[("duration", "-1")], &["duration"]),
        (&[("duration", "long")], &["duration"]),
        (&[("url", "javascript:alert(1)")], &["url"]),
        (&[("url", "%20jAvAsCrIpT:alert(1)//http://")], &["url"]),
        (&[("url", "ftp://pbx/1")], &["url"]),
        (&[("url", &long)], &["url"]),
        (
            &[("initiated", "x"), ("source", ""), ("destination", "x"), ("duration", "x"), ("url", "x")],
            &["destination", "duration", "initiated", "source", "url"],
        ),
    ] {
        assert_eq!(wrong(&server, &with(changed)).await, named, "{changed:?}");
    }
    assert_eq!(wrong(&server, CREATE).await, ["destination", "initiated", "source", "token"]);
    assert_eq!(wrong(&server, DELETE).await, ["from", "to", "token"]);
    let (_, body) = ask(&server, &with(&[("destination", "02129999999")])).await;
    assert_eq!(body, r#"{"error":true,"errors":{"destination":"nobody here has this number"}}"#);
    assert_eq!(replicated(&server).await, Vec::<Value>::new(), "nothing of it was stored");
    assert_eq!(asked(&server, &with(&[("duration", ""), ("url", "")])).await["error"], false, "these two may be left out");
}

async fn zones_are_read_as_their_key_says(home: Home) {
    let (server, _) = with_ana(home.set("AUTOCALL_PHONECALLS_ZONE", "Asia/Kathmandu")).await;
    let berlin = Said { zone: Some(zone("Europe/Berlin")), z_is_local: true, region: Some("VE".to_owned()), ..Said::default() };
    let script = key(&server, "script", berlin).await;
    let plain = key(&server, "plain", Said { region: Some("VE".to_owned()), ..Said::default() }).await;
    for (key, initiated, at) in [
        (&script, "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"),
        (&script, "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"),
        (&script, "2026-08-23T12:20:33", "2026-08-23T10:20:33Z"),
        (&script, "2026-08-23T12:20:34+00:00", "2026-08-23T12:20:34Z"),
        (&plain, "2026-08-24T12:00:00", "2026-08-24T06:15:00Z"),
        (&plain, "2026-08-25T12:00:00Z", "2026-08-25T12:00:00Z"),
    ] {
        let (_, id) = tell(&server, key, initiated, "7222", "02122853348").await;
        assert_eq!(server.get(&format!("/api/v1/call-records/{id}")).await["offered_at"], at, "{initiated}");
    }
}

async fn numbers_are_read_as_their_key_says(home: Home) {
    let (server, key) = with_ana(home).await;
    let local = json!({ "name": "Beto", "numbers": ["+582612853348"] });
    assert_eq!(server.post("/api/v1/people", &local).await.0, 201);
    let beto = tell(&server, &key, "2026-08-23T12:20:33", "7222", "02612853348").await;
    for destination in ["2853348", "285-33-48", "0261%20285%203348"] {
        assert_eq!(tell(&server, &key, "2026-08-23T12:20:33", "7222", destination).await, beto, "{destination}");
    }
    let elsewhere = self::key(&server, "china", Said::default()).await;
    let query = format!("{CREATE}?token={elsewhere}&initiated=2026-08-23T12:20:33&source=7222&destination=02612853348");
    assert_eq!(wrong(&server, &query).await, ["destination"], "in the country of the installation it is another number");
    assert_eq!(tell(&server, &elsewhere, "2026-08-23T16:20:33", "7222", "+582612853348").await, beto);
}

async fn only_a_key_for_it_may(home: Home) {
    let (server, key) = with_ana(home).await;
    let call = "initiated=2026-08-23T12:20:33&source=7222&destination=02122853348";
    let (store, region) = (&server.app.engine.store, server.home.config().default_region);
    let add = async |work: &mut _| keys::add(work, "alarms", &[], region).await;
    let of_alarms = store.carry_out(server.now(), Doer::Server, add).await.unwrap();
    let basic = |user: &str| server.http.get(format!("{}{CREATE}?{call}", server.base)).basic_auth(user, Some(&key));
    for (request, why) in [
        (basic("admin"), "the right key in the wrong place"),
        (server.http.get(format!("{}{CREATE}?{call}", server.base)).header("x-api-key", &key), "as well"),
        (server.http.get(format!("{}{CREATE}?{call}&key={key}", server.base)), "as well"),
        (server.http.get(format!("{}{CREATE}?{call}&token=nonsense", server.base)), "a wrong one"),
        (server.http.get(format!("{}{CREATE}?{call}&token={of_alarms}", server.base)), "one for alarms"),
        (server.http.get(format!("{}/k/{of_alarms}{CREATE}?{call}&token={key}", server.base)), "one for alarms in the path"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{why}");
        let told: Value = answer.json().await.unwrap();
        assert_eq!(
            (&told["error"], told["errors"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()),
            (&json!(true), vec!["token".to_owned()]),
            "{why}"
        );
    }
    assert!(replicated(&server).await.is_empty());
    // What else NiMbox's clients show is not looked at.
    let answer = server.http.get(format!("{}{CREATE}?{call}&token={key}", server.base)).basic_auth("admin", Some("admin"));
    let told: Value = answer.send().await.unwrap().json().await.unwrap();
    assert_eq!(told["error"], false, "{told}");
    store.carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "pbx").await).await.unwrap();
    assert_eq!(wrong(&server, &format!("{CREATE}?{call}&token={key}")).await, ["token"], "revoked");
    assert_eq!(wrong(&server, &format!("{DELETE}?from=2020-01-01&to=2030-01-01&token={key}")).await, ["token"]);
    assert_eq!(replicated(&server).await.len(), 1);
}

async fn a_key_for_it_may_nothing_else(home: Home) {
    let (server, key) = with_ana(home).await;
    for path in ["/api/v1/alarms", "/api/v1/people", "/api/v1/shouts", "/api/v1/call-records"] {
        let answer = server.http.get(format!("{}{path}", server.base)).bearer_auth(&key).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    let raise =
        server.http.post(format!("{}/k/{key}/api/v1/alarms", server.base)).json(&json!({ "summary": "x", "phones": [A] }));
    assert_eq!(raise.send().await.unwrap().status(), 403);
    assert_eq!(server.items("/api/v1/alarms").await, json!([]));
}

async fn whoever_guesses_is_told_to_stop(home: Home) {
    let (server, key) = with_ana(home).await;
    let mut told = String::new();
    for guess in 0..21 {
        (_, told) = ask(&server, &format!("{DELETE}?from=2026-01-01&to=2026-01-03&token=guess{guess}")).await;
    }
    assert!(told.starts_with(r#"{"error":true,"errors":{"token":"#) && told.contains("too many"), "{told}");
    tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
}

async fn a_look_changes_nothing(home: Home) {
    let (server, key) = with_ana(home).await;
    let call = format!("{}{CREATE}?token={key}&initiated=2026-08-23T12:20:33&source=7222&destination=02122853348", server.base);
    for method in [reqwest::Method::HEAD, reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::OPTIONS] {
        let answer = server.http.request(method.clone(), &call).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"GET, POST".parse().unwrap()), "{method}");
    }
    assert!(replicated(&server).await.is_empty());
}

async fn what_is_sent_as_a_form(home: Home) {
    let (server, key) = with_ana(home).await;
    let fields = [
        ("token", key.as_str()),
        ("initiated", "2026-08-23T12:20:33"),
        ("source", "Ana P\u{e9}rez"),
        ("destination", "+582122853348"),
    ];
    let url = format!("{}{CREATE}", server.base);
    let form = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace('+', "%2B").replace(' ', "+")))
        .collect::<Vec<_>>()
        .join("&");
    let json: Value =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    let boundary = "--x\r\n";
    let part =
        |(name, value): &(&str, &str)| format!("{boundary}content-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let multipart = format!("{}--x--\r\n", fields.iter().map(part).collect::<String>());
    let mut ids = Vec::new();
    for (kind, body) in [
        ("application/x-www-form-urlencoded", form),
        ("application/json", json.to_string()),
        ("multipart/form-data; boundary=x", multipart),
    ] {
        let told: Value =
            server.http.post(&url).header("content-type", kind).body(body).send().await.unwrap().json().await.unwrap();
        assert_eq!(told["error"], false, "{kind}: {told}");
        ids.push(told["phonecallId"].clone());
    }
    assert_eq!(ids, vec![ids[0].clone(); 3], "one call");
    let (_, by_query) = tell(&server, &key, "2026-08-23T12:20:33", "Ana%20P%C3%A9rez", "02122853348").await;
    assert_eq!(json!(by_query), ids[0]);
    assert_eq!(replicated(&server).await[0]["caller"], "Ana P\u{e9}rez");
}

async fn a_body_that_cannot_be_read_is_said(home: Home) {
    let (server, key) = with_ana(home).await;
    let limit = server.home.config().http.body_limit_bytes;
    for (kind, body) in [
        ("application/json", "{".to_owned()),
        ("text/xml", "<x/>".to_owned()),
        ("multipart/form-data", "x".to_owned()),
        ("application/x-www-form-urlencoded", "x".repeat(limit + 1)),
    ] {
        let post = server.http.post(format!("{}{CREATE}?token={key}", server.base)).header("content-type", kind).body(body);
        let answer = post.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &"no-store".parse().unwrap()), "{kind}");
        let told: Value = answer.json().await.unwrap();
        assert!(told["error"] == true && told["errors"]["request"].is_string(), "{kind}: {told}");
    }
}

async fn days_strictly_between_are_deleted(home: Home) {
    let (server, key) = with_ana(home).await;
    // Their days are those of Caracas.
    for initiated in
        ["2026-08-23T23:59:59", "2026-08-24T00:00:00", "2026-08-24T23:59:59", "2026-08-25T00:00:00", "2026-08-25T03:00:00Z"]
    {
        tell(&server, &key, initiated, "7222", "02122853348").await;
    }
    let delete = |from: &str, to: &str| format!("{DELETE}?token={key}&from={from}&to={to}");
    for (from, to) in
        [("2026-08-24", "2026-08-24"), ("2026-08-23", "2026-08-24"), ("2026-08-25", "2026-08-23"), ("2026-08-25", "2026-08-26")]
    {
        assert_eq!(ask(&server, &delete(from, to)).await.1, r#"{"count":0,"error":false}"#, "{from} {to}");
    }
    for (from, to, named) in [
        ("", "2026-08-25", &["from"][..]),
        ("2026-08-23", "", &["to"]),
        ("", "", &["from", "to"]),
        ("2026-08-23T00:00:00", "2026-08-25", &["from"]),
        ("2026-08-23", "2026-08-25T00:00:00Z", &["to"]),
        ("yesterday", "2026-08-25+00:00", &["from", "to"]),
    ] {
        assert_eq!(wrong(&server, &delete(from, to)).await, named, "{from} {to}");
    }
    assert_eq!(replicated(&server).await.len(), 5, "wrong or missing days never mean everything");
    assert_eq!(ask(&server, &delete("2026-08-23", "2026-08-25")).await.1, r#"{"count":3,"error":false}"#);
    let left: Vec<Value> = replicated(&server).await.iter().map(|record| record["offered_at"].clone()).collect();
    assert_eq!(left, [json!("2026-08-25T04:00:00Z"), json!("2026-08-24T03:59:59Z")]);
    assert_eq!(asked(&server, &delete("2026-08-23", "2026-08-25")).await["count"], 0);
}

async fn our_own_calls_are_never_deleted(home: Home) {
    let (server, key) = with_ana(home).await;
    let desk = server.pair("desk", autocall::store::watch::handsets::Profile::App).await;
    let id = server.raise(&["+584122345678"], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    tell(&server, &key, "2026-11-20T01:00:00", "7222", "04122345678").await;
    assert_eq!(asked(&server, &format!("{DELETE}?token={key}&from=2026-11-01&to=2026-12-01")).await["count"], 1);
    assert!(replicated(&server).await.is_empty());
    assert_eq!(server.items(&format!("/api/v1/call-records?alarm_id={id}")).await.as_array().unwrap().len(), 1);
}

async fn a_number_that_is_nobodys_may_become_a_contact(home: Home) {
    let (server, key) = with_ana(home.set("AUTOCALL_PHONECALLS_UNKNOWN", "make")).await;
    let (first, _) = tell(&server, &key, "2026-08-23T12:20:33", "7222", "02129999999").await;
    let (second, _) = tell(&server, &key, "2026-08-23T12:20:34", "7222", "0212-999-9999").await;
    let (ana, _) = tell(&server, &key, "2026-08-23T12:20:35", "7222", "02122853348").await;
    assert_eq!(first, second);
    assert_ne!(first, ana);
    let records = replicated(&server).await;
    assert_eq!((&records[2]["person"], &records[2]["phone_number"]), (&Value::Null, &json!("+582129999999")));
    assert_eq!(
        wrong(&server, &format!("{CREATE}?token={key}&initiated=2026-08-23T12:20:33&source=7222&destination=911")).await,
        ["destination"]
    );
}

async fn what_is_older_than_is_kept_is_answered_and_not_stored(home: Home) {
    let (server, key) = with_ana(home.set("AUTOCALL_PHONECALLS_KEEP_DAYS", "400")).await;
    assert_eq!(tell(&server, &key, "2024-08-23T12:20:33", "7222", "02122853348").await, (0, 0), "she has no id yet");
    let (ana, recent) = tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
    assert_eq!(tell(&server, &key, "2024-08-23T12:20:33", "7222", "02122853348").await, (ana, 0));
    let unknown = format!("{CREATE}?token={key}&initiated=2024-08-23T12:20:33&source=7222&destination=02129999999");
    assert_eq!(wrong(&server, &unknown).await, ["destination"]);
    assert_eq!(replicated(&server).await.len(), 1);
    // What grows old is forgotten, and our own calls are not asked.
    server.home.clock.advance(chrono::TimeDelta::days(380));
    server.app.engine.forget_old().await.unwrap();
    assert!(replicated(&server).await.is_empty());
    assert_eq!(tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await, (ana, 0));
    let (_, next) = tell(&server, &key, "2027-11-01T12:20:33", "7222", "02122853348").await;
    assert!(next > recent, "no id comes again");
}

async fn two_at_once_are_one(home: Home) {
    let (server, key) = with_ana(home.set("AUTOCALL_PHONECALLS_UNKNOWN", "make")).await;
    let mut telling = tokio::task::JoinSet::new();
    for place in 0..16 {
        let destination = if place % 2 == 0 { "02129999999" } else { "0212-999-9999" };
        let call = format!("{CREATE}?token={key}&initiated=2026-08-23T12:20:33&source=7222&destination={destination}");
        let request = server.http.get(format!("{}{call}", server.base));
        telling.spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    }
    let told = telling.join_all().await;
    assert_eq!(told, vec![told[0].clone(); 16]);
    assert_eq!(replicated(&server).await.len(), 1);
}

async fn change(server: &Server, change: Change, reread: bool) -> Result<Reread, KeyError> {
    let own = server.home.config().phone_call_defaults();
    let set = async |work: &mut _| reread::change(work, "pbx", &change, reread, own).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, set).await
}

async fn key_row(server: &Server) -> Result<KeyRow, StoreError> {
    let keys = server.app.engine.store.read().await?.db().keys().await?;
    Ok(keys.into_iter().find(|key| key.name == "pbx").unwrap())
}

async fn calls_are_read_anew(home: Home) {
    let (server, key) = with_ana(home.set("AUTOCALL_PHONECALLS_UNKNOWN", "make")).await;
    let to_utc = Change { zone: Some(zone("UTC")), ..Change::default() };
    change(&server, to_utc.clone(), false).await.unwrap();
    assert_eq!(
        key_row(&server).await.unwrap().phonecalls.unwrap().zone,
        Some(zone("UTC")),
        "a key without calls is changed at once"
    );
    tell(&server, &key, "2026-08-23T12:00:00", "7222", "02122853348").await;
    tell(&server, &key, "2026-08-23T16:00:00Z", "7222", "2853348").await;
    tell(&server, &key, "2026-08-23T16:00:00Z", "7222", "02122853348").await;
    let to_caracas = Change { zone: Some(zone("America/Caracas")), area_code: Some("0212".to_owned()), ..Change::default() };
    let refused = change(&server, to_caracas.clone(), false).await.unwrap_err();
    assert!(matches!(refused, KeyError::HasCalls(_)), "{refused}");
    change(&server, to_utc, false).await.unwrap();
    // The first means 16:00 by now, which is the third; so does the second, whose number means Ana.
    assert_eq!(change(&server, to_caracas.clone(), true).await.unwrap(), Reread { moved: 0, dropped: 2, unreadable: 0 });
    let left = replicated(&server).await;
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0]["offered_at"], &left[0]["person"]["name"]), (&json!("2026-08-23T16:00:00Z"), &json!("Ana")));
    assert_eq!(change(&server, to_caracas, true).await.unwrap(), Reread::default(), "a second time nothing is left to do");
    let z_is_local = Change { z_is_local: Some(true), area_code: Some(String::new()), ..Change::default() };
    assert_eq!(change(&server, z_is_local, true).await.unwrap(), Reread { moved: 1, dropped: 0, unreadable: 0 });
    assert_eq!(replicated(&server).await[0]["offered_at"], "2026-08-23T20:00:00Z");
    assert_eq!(tell(&server, &key, "2026-08-23T16:00:00Z", "7222", "02122853348").await.1, left[0]["id"].as_i64().unwrap());
    let bad = Change { area_code: Some("area".to_owned()), ..Change::default() };
    assert!(matches!(change(&server, bad, true).await, Err(KeyError::BadAreaCode(_))));
}

async fn calls_in_each_hour_are_no_repeats_of_each_other(home: Home) {
    let (server, key) = with_ana(home.set("AUTOCALL_PHONECALLS_UNKNOWN", "make")).await;
    change(&server, Change { zone: Some(zone("UTC")), ..Change::default() }, false).await.unwrap();
    for hour in 12..17 {
        tell(&server, &key, &format!("2026-08-23T{hour}:00:00"), "7222", "02122853348").await;
    }
    // Four hours behind: each call goes where another one stands, but for the last ones.
    let to_caracas = Change { zone: Some(zone("America/Caracas")), ..Change::default() };
    assert_eq!(change(&server, to_caracas, true).await.unwrap(), Reread { moved: 5, dropped: 0, unreadable: 0 });
    assert_eq!(replicated(&server).await.len(), 5);
}

async fn the_list_of_calls_shows_them_where_they_are_asked_for(home: Home) {
    let (server, key) = with_ana(home).await;
    let desk = server.pair("desk", autocall::store::watch::handsets::Profile::App).await;
    server.raise(&["+584122345678"], json!({})).await;
    server.app_dial(&desk).await;
    for initiated in ["2026-11-19T22:59:00", "2026-11-19T23:01:00", "2026-11-19T23:02:00"] {
        tell(&server, &key, initiated, "7222", "04122345678").await;
    }
    let origins = async |query: &str| -> Vec<String> {
        let items = server.items(&format!("/api/v1/call-records{query}")).await;
        items.as_array().unwrap().iter().map(|record| record["origin"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(origins("").await, ["dial"]);
    assert_eq!(origins("?origin=inbound").await, Vec::<String>::new());
    assert_eq!(
        origins("?origin=dial&origin=replicated").await,
        ["replicated", "replicated", "dial", "replicated"],
        "by their times"
    );
    assert_eq!(origins("?origin=replicated&kind=call&outcome=unknown&person=Ana").await.len(), 3);
    assert_eq!(origins("?origin=replicated&kind=alarm").await, Vec::<String>::new());
    let page = server.get("/api/v1/call-records?origin=dial&origin=replicated&limit=3").await;
    let next = page["next_cursor"].as_str().unwrap();
    let rest = server.items(&format!("/api/v1/call-records?origin=dial&origin=replicated&limit=3&cursor={next}")).await;
    assert_eq!(rest.as_array().unwrap().len(), 1);
}

async fn a_person_who_goes_leaves_their_calls(home: Home) {
    let (server, key) = with_ana(home).await;
    let (_, id) = tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
    let ana = server.items("/api/v1/people").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.delete(&format!("/api/v1/people/{ana}")).await, 204);
    let record = server.get(&format!("/api/v1/call-records/{id}")).await;
    assert_eq!((&record["person"], &record["name"]), (&Value::Null, &json!("Ana")));
}

async fn without_a_database_it_is_said_by_the_status(home: Home) {
    let (server, key) = with_ana(home).await;
    tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
    server.run_sql(vec!["ALTER TABLE call_records RENAME TO call_records_away".to_owned()]).await;
    let query = format!("{CREATE}?token={key}&initiated=2026-08-23T12:20:33&source=7222&destination=02122853348");
    let (status, body) = ask(&server, &query).await;
    assert_eq!(status, 503, "{body}");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert!(told["error"] == true && told["errors"]["database"].is_string(), "{told}");
    server.run_sql(vec!["ALTER TABLE call_records_away RENAME TO call_records".to_owned()]).await;
    tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
}

async fn a_request_that_takes_too_long_is_said(home: Home) {
    let (server, key) = with_ana(home.set("AUTOCALL_HTTP_REQUEST_TIMEOUT_SECONDS", "1")).await;
    let (_, first) = tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await;
    let hold = Hold::on(&server.home).await;
    assert_eq!(
        tell(&server, &key, "2026-08-23T12:20:33", "7222", "02122853348").await.1,
        first,
        "a repeat waits for nobody who writes"
    );
    let new = format!("{CREATE}?token={key}&initiated=2026-08-23T12:20:34&source=7222&destination=02122853348");
    assert_eq!(wrong(&server, &new).await, ["request"]);
    hold.end().await;
    tell(&server, &key, "2026-08-23T12:20:34", "7222", "02122853348").await;
}
