//! What a key knows of its sender: at which places the fields of a foreign form stand, and how what it sends is signed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use autocall::engine::Doer;
use autocall::keep::keys::{self, KeyError};
use autocall::kinds::signing::Scheme;
use autocall::rights::Rights;
use autocall::signal::generic::WrongPlace;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, Home, Server, on_both};
use crate::intake::gzipped;
use crate::senders::{key, key_that_may};

on_both!(
    a_foreign_form_is_read_at_the_places_of_its_key,
    a_sender_says_its_places_itself,
    each_sender_signs_in_its_own_way,
    what_is_not_signed_rings_nobody,
    what_others_send_under_a_key_uses_nothing_up,
    what_is_signed_is_what_was_sent,
    a_key_that_signs_opens_no_door_by_itself,
    what_signs_as_another_product_sends_alarms_alone,
    what_a_key_is_told_is_checked,
);

const SECRET: &str = "correct-horse-battery";

async fn place(server: &Server, name: &str, places: &[(&str, &str)], resolved: &[&str]) -> Result<(), KeyError> {
    let resolved: Vec<String> = resolved.iter().map(|word| (*word).to_owned()).collect();
    let change = |all: &mut autocall::signal::generic::Places| {
        places.iter().try_for_each(|(field, pointer)| all.place(field, pointer))?;
        all.say_resolved(&resolved)
    };
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| keys::place(work, name, change).await).await.map(|_| ())
}

async fn sign(server: &Server, name: &str, scheme: Scheme, secret: Option<&str>) -> Result<Option<String>, KeyError> {
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| keys::sign(work, name, scheme, secret).await).await
}

/// HMAC-SHA256 as openssl computes it.
fn mac(text: &[u8]) -> String {
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(["dgst", "-sha256", "-hmac", SECRET, "-r"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = openssl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// What is answered to a body under a key in the address, with these headers.
async fn posted(server: &Server, key: &str, kind: &str, body: &[u8], headers: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/k/{key}/api/v1/intake/{kind}?phones={A}", server.base);
    let mut request = server.http.post(url).header("content-type", "application/json").body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn a_foreign_form_is_read_at_the_places_of_its_key(home: Home) {
    let server = home.start().await;
    let own = key(&server, "scada", &[]).await;
    let body = |state: &str| {
        let mut alert = json!({ "headline": "Pump 3 is dry", "tag": "P3/dry", "sev": "P1", "phase": state });
        (alert["crew"], alert["text"]) = (json!([A]), json!("see panel"));
        json!({ "plant": [{ "alert": alert }], "title": "event", "at/from": (state == "open").then_some("2026-11-20T03:00:00Z") })
            .to_string()
    };
    let (status, answer) = posted(&server, &own, "generic", body("open").as_bytes(), &[]).await;
    assert_eq!(
        (status, server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await["summary"].as_str()),
        (200, Some("event"))
    );
    let places = [
        ("summary", "/plant/0/alert/headline"),
        ("key", "/plant/0/alert/tag"),
        ("priority", "/plant/0/alert/sev"),
        ("state", "/plant/0/alert/phase"),
        ("phones", "/plant/0/alert/crew"),
        ("details", "/plant/0/alert/text"),
        ("time", "/at~1from"),
    ];
    place(&server, "scada", &places, &["gone", "Normalised"]).await.unwrap();
    let (status, answer) = posted(&server, &own, "generic", body("open").as_bytes(), &[]).await;
    assert_eq!((status, &answer["alarms"][0]["outcome"]), (200, &json!("created")), "{answer}");
    let id = answer["alarms"][0]["id"].as_str().unwrap();
    let alarm = server.alarm(id).await;
    assert_eq!((&alarm["summary"], &alarm["priority"]), (&json!("Pump 3 is dry"), &json!("critical")), "{alarm}");
    assert_eq!((&alarm["details"], &alarm["callees"][0]["number"]), (&json!("see panel"), &json!("+8618712345678")));
    // In a list each element has its places; what the key does not call an end is none.
    let list = format!("[{},{}]", body("ok"), body("normalised"));
    let (_, answer) = posted(&server, &own, "generic", list.as_bytes(), &[]).await;
    let outcomes: Vec<&str> = answer["alarms"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["repeated", "resolved"], "{answer}");
    // Other receivers know their own forms, and other keys nothing of these places.
    let other = key(&server, "other", &[]).await;
    let (_, answer) = posted(&server, &other, "generic", body("open").as_bytes(), &[]).await;
    assert_eq!(server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await["summary"], "event");
}

async fn a_sender_says_its_places_itself(home: Home) {
    let server = home.start().await;
    let own = key(&server, "scada", &[A]).await;
    let address = format!("{}/api/v1/intake/generic/places", server.base);
    let put = async |body: Value, version: &str| {
        let request = server.http.put(&address).bearer_auth(&own).header("if-match", version).json(&body);
        let answer = request.sent().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let before = server.http.get(&address).bearer_auth(&own).sent().await.unwrap();
    let version = before.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(before.json::<Value>().await.unwrap(), json!({ "pointers": {}, "resolved": [] }));
    let said = json!({ "pointers": { "title": "/a/b", "state": "/s" }, "resolved": ["Gone"] });
    let kept = json!({ "pointers": { "summary": "/a/b", "state": "/s" }, "resolved": ["gone"] });
    assert_eq!(put(said.clone(), &version).await, (200, kept.clone()));
    assert_eq!(put(said, &version).await.0, 412, "it is another version now");
    let (status, answer) = posted(&server, &own, "generic", br#"{"a":{"b":"hot"}}"#, &[]).await;
    assert_eq!(status, 200);
    assert_eq!(server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await["summary"], "hot");
    for (wrong, field) in [
        (json!({ "pointers": { "summary": "a.b" } }), "pointers"),
        (json!({ "pointers": { "colour": "/a" } }), "pointers"),
        (json!({ "resolved": ["gone"] }), "resolved"),
    ] {
        let (status, answer) = put(wrong, "*").await;
        assert_eq!((status, &answer["field"]), (422, &json!(field)), "{answer}");
    }
    assert_eq!(server.http.get(&address).bearer_auth(&own).sent().await.unwrap().json::<Value>().await.unwrap(), kept);
    // Without a key there is nothing to keep them with.
    assert_eq!(server.http.get(&address).sent().await.unwrap().status(), 401);
}

async fn each_sender_signs_in_its_own_way(home: Home) {
    let server = home.start().await;
    let time = server.now().timestamp().to_string();
    let of_time = |colon: &str, body: &str| mac(format!("{time}{colon}{body}").as_bytes());
    let grafana = include_str!("../../../fixtures/grafana/firing.json").to_owned();
    let sentry =
        json!({ "action": "triggered", "data": { "event": { "title": "磁盘", "issue_id": "117" }, "triggered_rule": "r" } })
            .to_string();
    let plain = json!({ "summary": "disk" }).to_string();
    let scenes = [
        (Scheme::Grafana, "grafana", &grafana, of_time(":", &grafana)),
        (Scheme::Sentry, "sentry", &sentry, mac(sentry.as_bytes())),
        (Scheme::Github, "generic", &plain, format!("sha256={}", mac(plain.as_bytes()))),
        (Scheme::Gitlab, "generic", &plain, SECRET.to_owned()),
        (Scheme::Autocall, "generic", &plain, format!("sha256={}", of_time(".", &plain))),
    ];
    for (scheme, kind, body, signature) in scenes {
        let own = key(&server, scheme.as_str(), &[]).await;
        assert_eq!(sign(&server, scheme.as_str(), scheme, Some(SECRET)).await.unwrap(), None);
        let mut headers = vec![(scheme.header(), signature.as_str())];
        headers.extend(scheme.time_header().map(|name| (name, time.as_str())));
        let (status, answer) = posted(&server, &own, kind, body.as_bytes(), &headers).await;
        assert_eq!((status, &answer["alarms"][0]["outcome"]), (200, &json!("created")), "{scheme:?}: {answer}");
        // Whoever reads the database gets the secret; whoever reads a log does not.
        let rows = server.app.engine.store.read().await.unwrap().db().keys().await.unwrap();
        assert!(!format!("{rows:?}").contains(SECRET));
    }
}

async fn what_is_not_signed_rings_nobody(home: Home) {
    let server = home.start().await;
    let own = key(&server, "grafana", &[]).await;
    sign(&server, "grafana", Scheme::Grafana, Some(SECRET)).await.unwrap();
    let body = json!({ "summary": "disk" }).to_string();
    let time = server.now().timestamp();
    let signed = |time: i64| mac(format!("{time}:{body}").as_bytes());
    let at = |signature: String, time: i64| {
        vec![("x-grafana-alerting-signature", signature), ("x-grafana-alerting-timestamp", time.to_string())]
    };
    let refused = async |headers: Vec<(&'static str, String)>, body: &str| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (status, answer) = posted(&server, &own, "generic", body.as_bytes(), &headers).await;
        assert_eq!((status, &answer["code"]), (401, &json!("wrong_signature")), "{answer}");
        answer["detail"].as_str().unwrap().to_owned()
    };
    assert!(refused(Vec::new(), &body).await.contains("x-grafana-alerting-signature"));
    assert!(refused(at("00".repeat(32), time), &body).await.contains("wrong"));
    assert!(refused(at(signed(time), time), &body.replace("disk", "desk")).await.contains("wrong"));
    assert!(refused(at(signed(time), time + 1), &body).await.contains("wrong"), "the time is signed");
    assert!(refused(at(signed(time - 301), time - 301), &body).await.contains("clocks"));
    assert!(refused(at(signed(time + 301), time + 301), &body).await.contains("clocks"));
    let untimed = at(signed(time), time).into_iter().take(1).collect();
    assert!(refused(untimed, &body).await.contains("x-grafana-alerting-timestamp"));
    assert_eq!(server.items("/api/v1/alarms").await, json!([]));
    // A right one is taken, and not for ever.
    let headers = at(signed(time), time);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(posted(&server, &own, "generic", body.as_bytes(), &headers).await.0, 200);
    server.home.clock.advance(chrono::TimeDelta::seconds(301));
    assert_eq!(posted(&server, &own, "generic", body.as_bytes(), &headers).await.0, 401);
    // Without the secret the key alone is enough again, at once.
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| keys::unsign(work, "grafana").await).await.unwrap();
    assert_eq!(posted(&server, &own, "generic", body.as_bytes(), &[]).await.0, 200);
}

async fn what_others_send_under_a_key_uses_nothing_up(home: Home) {
    let server = home.set("AUTOCALL_HTTP_ALARMS_PER_MINUTE", "3").start().await;
    let own = key(&server, "ci", &[]).await;
    sign(&server, "ci", Scheme::Github, Some(SECRET)).await.unwrap();
    let body = json!({ "summary": "disk" }).to_string();
    let mut statuses = Vec::new();
    for _ in 0..22 {
        statuses.push(posted(&server, &own, "generic", body.as_bytes(), &[]).await.0);
    }
    assert_eq!((statuses[19], statuses[20], statuses[21]), (401, 429, 429), "as with wrong keys");
    let signature = format!("sha256={}", mac(body.as_bytes()));
    let signed = [("x-hub-signature-256", signature.as_str())];
    for _ in 0..3 {
        assert_eq!(posted(&server, &own, "generic", body.as_bytes(), &signed).await.0, 200, "right is right from there as well");
    }
    assert_eq!(posted(&server, &own, "generic", body.as_bytes(), &signed).await.0, 503, "what was signed counts");
}

async fn what_is_signed_is_what_was_sent(home: Home) {
    let server = home.start().await;
    let own = key(&server, "ci", &[]).await;
    sign(&server, "ci", Scheme::Github, Some(SECRET)).await.unwrap();
    // In another encoding: what is read is not what was signed.
    let latin = b"{\"summary\":\"M\xfcnchen\"}".to_vec();
    let signature = format!("sha256={}", mac(&latin));
    let url = format!("{}/k/{own}/api/v1/intake/generic?phones={A}", server.base);
    let request = server.http.post(&url).header("content-type", "application/json; charset=iso-8859-1");
    let answer = request.header("x-hub-signature-256", &signature).body(latin).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let alarm = server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await;
    assert_eq!(alarm["summary"], "München");
    let packed = gzipped(&json!({ "summary": "packed" }).to_string().into_bytes()).await;
    let signature = format!("sha256={}", mac(&packed));
    let headers = [("x-hub-signature-256", signature.as_str()), ("content-encoding", "gzip")];
    assert_eq!(posted(&server, &own, "generic", &packed, &headers).await.0, 200);
    // More than is held until its end is known to be signed.
    let long = vec![b' '; (4 << 20) + 1];
    let signature = format!("sha256={}", mac(&long));
    let request = server.http.post(&url).header("x-hub-signature-256", &signature).body(long);
    assert_eq!(request.send().await.unwrap().status(), 413);
}

async fn a_key_that_signs_opens_no_door_by_itself(home: Home) {
    let server = home.start().await;
    let own = key(&server, "gitlab", &[A]).await;
    let get = async |path: &str| {
        let request = server.http.get(format!("{}{path}", server.base)).bearer_auth(&own);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get("/api/v1/alarms").await, 200);
    sign(&server, "gitlab", Scheme::Gitlab, Some(SECRET)).await.unwrap();
    assert_eq!((get("/api/v1/alarms").await, get("/cti/files").await), (401, 401));
    let alarm = server.http.post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&own).json(&json!({ "summary": "disk" }));
    assert_eq!(alarm.send().await.unwrap().status(), 401);
    let payload = json!({ "summary": "x", "source": "s", "severity": "error" });
    let event = json!({ "routing_key": own, "event_action": "trigger", "payload": payload });
    let event = server.http.post(format!("{}/v2/enqueue", server.base)).json(&event).send().await.unwrap();
    assert_eq!(event.status(), 400, "whose key stands in the body cannot sign");
    assert_eq!(server.items("/api/v1/alarms").await, json!([]));
}

async fn what_signs_as_another_product_sends_alarms_alone(home: Home) {
    let server = home.start().await;
    let time = server.now().timestamp().to_string();
    let body = json!({ "summary": "disk" }).to_string();
    for scheme in Scheme::ALL {
        let own = key_that_may(&server, scheme.as_str(), &[A], "admin").await;
        sign(&server, scheme.as_str(), scheme, Some(SECRET)).await.unwrap();
        let ask = async |method: &str, path: &str, body: &str| {
            let signature = match scheme {
                Scheme::Autocall => format!("sha256={}", mac(format!("{time}.{body}").as_bytes())),
                Scheme::Grafana => mac(format!("{time}:{body}").as_bytes()),
                Scheme::Sentry => mac(body.as_bytes()),
                Scheme::Github => format!("sha256={}", mac(body.as_bytes())),
                Scheme::Gitlab => SECRET.to_owned(),
            };
            let request = server.http.request(method.parse().unwrap(), format!("{}{path}", server.base));
            let request = request.bearer_auth(&own).header("content-type", "application/json").header(scheme.header(), signature);
            let request = scheme.time_header().into_iter().fold(request, |request, name| request.header(name, &time));
            request.body(body.to_owned()).send().await.unwrap().status().as_u16()
        };
        let is_our_own = scheme == Scheme::Autocall;
        // Raising is what it is for, in whichever form.
        assert_eq!(ask("POST", "/api/v1/intake/generic", &body).await, 200, "{scheme:?}");
        assert!([200, 201].contains(&ask("POST", "/api/v1/alarms", &body).await), "{scheme:?}");
        let alert = json!({ "message": "disk", "alias": "d1" }).to_string();
        assert_eq!(ask("POST", "/v2/alerts", &alert).await, 202, "{scheme:?}");
        assert_eq!(ask("POST", "/v2/alerts/d1/close?identifierType=alias", "{}").await, 202, "{scheme:?}");
        for (method, path, body) in [
            ("GET", "/api/v1/alarms", ""),
            ("GET", "/api/v1/people", ""),
            ("GET", "/v2/alerts/d1?identifierType=alias", ""),
            ("GET", "/api/v1/intake/generic/places", ""),
            ("PUT", "/api/v1/people/none", "{}"),
            ("DELETE", "/api/v1/people/none", ""),
        ] {
            let status = ask(method, path, body).await;
            assert_eq!(status == 403, !is_our_own, "{scheme:?}: {method} {path}: {status}");
        }
    }
}

async fn what_a_key_is_told_is_checked(home: Home) {
    let server = home.start().await;
    key(&server, "scada", &[]).await;
    let wrong = place(&server, "scada", &[("summary", "alert.title")], &[]).await.unwrap_err();
    assert!(
        matches!(&wrong, KeyError::Place(WrongPlace::NoPointer { .. })) && wrong.to_string().contains("/alert/title"),
        "{wrong}"
    );
    let wrong = place(&server, "scada", &[("colour", "/a")], &[]).await.unwrap_err();
    assert!(wrong.to_string().contains("dedup_key"), "{wrong}");
    assert!(matches!(place(&server, "scada", &[], &["over"]).await, Err(KeyError::Place(WrongPlace::NoState))));
    assert!(matches!(place(&server, "nobody", &[], &[]).await, Err(KeyError::Unknown(_))));
    assert!(matches!(sign(&server, "scada", Scheme::Sentry, None).await, Err(KeyError::SecretIsSentrys)));
    assert!(matches!(sign(&server, "scada", Scheme::Github, Some("short")).await, Err(KeyError::Secret(_))));
    let made = sign(&server, "scada", Scheme::Github, None).await.unwrap().unwrap();
    assert!(made.starts_with("ss_") && made.len() > 40, "{made}");
    let store = &server.app.engine.store;
    let region = server.home.config().default_region;
    let lists =
        async |work: &mut autocall::store::Work| keys::add_with(work, "pbx", &[], &Rights::read("phonecalls"), region).await;
    store.carry_out(server.now(), Doer::Server, lists).await.unwrap();
    assert!(matches!(place(&server, "pbx", &[("summary", "/a")], &[]).await, Err(KeyError::OnlyListsCalls(_))));
    assert!(matches!(sign(&server, "pbx", Scheme::Github, None).await, Err(KeyError::OnlyListsCalls(_))));
    // What is no good any more keeps no secret.
    store.carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "scada").await).await.unwrap();
    let rows = store.read().await.unwrap().db().keys().await.unwrap();
    assert!(rows.iter().all(|row| row.signing.is_none()), "{rows:?}");
}
