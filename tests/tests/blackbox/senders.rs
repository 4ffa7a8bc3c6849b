//! Scenario: senders of alarms. What is wrong is refused with its place and stores nothing; what is sent twice counts once; strangers stay out.

use autocall_tests::described::Held as _;
use autocall_tests::{
    process::{Process, Signal},
    provided_by_run,
    server::forget_own_settings,
    wait::eventually,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::{Client, status_and_json, text},
    raw::Reply,
    world::{Engine, SOON, World, assert_keeps_numbers_secret, on_both},
};

const ZHANG: &str = "18712345678";

on_both!(
    wrong_alarms_are_refused,
    contradictory_alarms_are_refused,
    an_alarm_must_be_an_object,
    an_id_that_is_no_text_is_unknown,
    large_bodies_are_refused,
    other_wrong_requests_are_refused,
    a_request_sent_twice_counts_once,
    a_repeated_alarm_is_counted,
    strangers_stay_outside,
    who_confirms_on_the_command_line_is_kept_so,
    the_link_that_confirms_a_topic_is_for_the_owner_of_the_data,
    a_command_that_is_watched_hears_that_it_is_to_end_and_that_is_told,
);

/// An answer that must be a problem of this status; gives it.
async fn problem(response: Response, status: u16, what: &str) -> Value {
    let headers = response.headers().clone();
    let (got, problem) = status_and_json(response).await;
    assert_eq!(got, status, "{what}: {problem}");
    assert_eq!(headers["content-type"], "application/problem+json", "{what}");
    assert_eq!(headers["cache-control"], "no-store", "{what}");
    assert_eq!(problem["status"], status, "{what}");
    for member in ["type", "title", "code", "detail"] {
        assert!(!text(&problem, member).is_empty(), "{what}: {problem}");
    }
    problem
}

/// Sends a body that must be refused with this status; gives the problem.
async fn refused(client: &Client, body: &[u8], status: u16) -> Value {
    let what = String::from_utf8_lossy(body).chars().take(100).collect::<String>();
    problem(client.post_alarm(body.to_vec()).sent().await.unwrap(), status, &what).await
}

async fn assert_nothing_was_stored(client: &Client) {
    assert_eq!(client.alarms().await, [] as [Value; 0]);
    assert_eq!(client.poll().await, None);
}

async fn wrong_alarms_are_refused(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let malformed: [&[u8]; 9] = [
        b"",
        b"   ",
        b"{",
        b"disk full",
        b"summary=disk&phones=18712345678",
        br#"{"summary":"disk","phones":["18712345678"]"#,
        br#"{"summary":"disk","phones":["18712345678"]} {}"#,
        br#"{"summary":"disk","phones":["18712345678"],}"#,
        b"\xef\xbb\xbf\xff",
    ];
    for body in malformed {
        assert_eq!(refused(&client, body, 400).await["code"], "malformed_json");
    }

    let with = |member: &str, value: Value| {
        let mut alarm = json!({ "summary": "disk full", "phones": [ZHANG] });
        alarm[member] = value;
        alarm
    };
    let too_many: Vec<String> = (0..101).map(|number| format!("1391234{number:04}")).collect();
    let wrong = [
        (json!({ "phones": [ZHANG] }), "summary"),
        (with("summary", json!("")), "summary"),
        (with("summary", json!(["disk"])), "summary"),
        (with("labels", json!({ "": "nameless" })), "labels"),
        (with("labels", json!({ "a": { "b": "c" } })), "labels.a"),
        (json!({ "summary": "disk full" }), "phones"),
        (with("phones", json!([])), "phones"),
        (with("phones", json!(ZHANG)), "phones"),
        (with("phones", json!(too_many)), "phones"),
        (with("phones", json!([ZHANG, 18_712_345_678_u64])), "phones[1]"),
        (with("phones", json!([ZHANG, "110"])), "phones[1]"),
        (with("phones", json!(["18712345678\u{0}"])), "phones[0]"),
        (with("phones", json!(["**21*18712345678#"])), "phones[0]"),
        (with("phones", json!(["1871234567818712345678"])), "phones[0]"),
        (with("phones", json!([null])), "phones[0]"),
        (with("priority", json!("urgent")), "priority"),
        (with("mode", json!("random")), "mode"),
        (with("attempts", json!(0)), "attempts"),
        (with("attempts", json!(1.5)), "attempts"),
        (with("attempts", json!(99_999_999_999_u64)), "attempts"),
        (with("min_interval_seconds", json!(-1)), "min_interval_seconds"),
        (with("begin_before_seconds", json!("soon")), "begin_before_seconds"),
        (with("dry_run", json!("yes")), "dry_run"),
        (with("sumary", json!("disk full")), "sumary"),
        (with("phone", json!([ZHANG])), "phone"),
    ];
    for (alarm, field) in wrong {
        let problem = refused(&client, alarm.to_string().as_bytes(), 422).await;
        assert_eq!((problem["code"].as_str(), problem["field"].as_str()), (Some("invalid_field"), Some(field)), "{alarm}");
    }
    assert_nothing_was_stored(&client).await;
    assert_keeps_numbers_secret(&server.log(), &[ZHANG]);
}

async fn contradictory_alarms_are_refused(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let contradictory = [
        (r#"{"summary":"disk full","phones":["18712345678"],"phones":["18812345678"]}"#, "phones"),
        (r#"{"summary":"disk full","summary":"all is well","phones":["18712345678"]}"#, "summary"),
        (r#"{"summary":"disk full","phones":["18712345678"],"labels":{"host":"a","host":"b"}}"#, "labels"),
    ];
    for (body, field) in contradictory {
        let problem = refused(&client, body.as_bytes(), 422).await;
        assert!(problem["field"].as_str().is_some_and(|named| named.starts_with(field)), "{body}: {problem}");
    }
    assert_nothing_was_stored(&client).await;
}

/// And not a list of its members in the order in which the server happens to know them.
async fn an_alarm_must_be_an_object(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let in_order = r#"["disk full","","",null,null,{},["18712345678"],null,null,null,null,null,false]"#;
    for body in ["null", "7", "\"disk full\"", "[]", "[{}]", in_order, &"[".repeat(100_000)] {
        let response = client.post_alarm(body.to_owned()).sent().await.unwrap();
        let status = response.status().as_u16();
        assert!([400, 422].contains(&status), "{status} {body:.100}");
        problem(response, status, "no object").await;
    }
    assert_nothing_was_stored(&client).await;
}

async fn an_id_that_is_no_text_is_unknown(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    for (method, action) in
        [(Method::GET, ""), (Method::POST, "/cancel"), (Method::POST, "/acknowledge"), (Method::POST, "/redial")]
    {
        let response = client.request(method, &format!("/api/v1/alarms/%ff{action}")).sent().await.unwrap();
        assert_eq!(problem(response, 404, action).await["code"], "not_found");
    }
}

async fn large_bodies_are_refused(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let alarm = json!({ "summary": "disk full", "phones": [ZHANG] }).to_string();
    let padded = |length: usize| format!("{alarm}{}", " ".repeat(length - alarm.len()));
    let limit = 4 * 1024 * 1024;
    for length in [limit + 1, 2 * limit] {
        let response = client.post_alarm(padded(length)).sent().await.unwrap();
        assert_eq!(problem(response, 413, "a large body").await["code"], "body_too_large");
    }
    // The same without a length, in pieces.
    let addr = server.addr();
    let body = padded(limit + 1);
    let request = format!(
        "POST /api/v1/alarms HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let reply: Reply = crate::raw::exchange(&addr, request).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(client.alarms().await, [] as [Value; 0]);

    assert_eq!(client.post_alarm(padded(limit)).sent().await.unwrap().status(), 201, "as long as is allowed");
}

async fn other_wrong_requests_are_refused(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let before = client.alarm(&id).await;
    let nobody = "/api/v1/alarms/01890000-0000-7000-8000-000000000000";
    let nonsense = "/api/v1/alarms/60d536885fa2a8643fa4d3a0";
    let cases: Vec<(Method, String, &str, u16)> = vec![
        (Method::PUT, "/api/v1/alarms".to_owned(), "", 405),
        (Method::DELETE, format!("/api/v1/alarms/{id}"), "", 405),
        (Method::GET, format!("/api/v1/alarms/{id}/cancel"), "", 405),
        (Method::GET, nobody.to_owned(), "", 404),
        (Method::GET, nonsense.to_owned(), "", 404),
        (Method::POST, format!("{nobody}/cancel"), "", 404),
        (Method::POST, format!("{nonsense}/acknowledge"), "", 404),
        (Method::POST, format!("/api/v1/alarms/{id}/redial"), "", 409),
        (Method::POST, format!("/api/v1/alarms/{id}/cancel"), "{", 400),
        (Method::POST, format!("/api/v1/alarms/{id}/cancel"), r#"{"who":"me"}"#, 422),
        (Method::POST, format!("/api/v1/alarms/{id}/cancel"), r#"{"by":"a\u0000"}"#, 422),
        (Method::POST, format!("/api/v1/alarms/{id}/acknowledge"), r#"{"number":"110"}"#, 422),
        (Method::GET, "/api/v1/alarms?state=sleeping".to_owned(), "", 422),
        (Method::GET, "/api/v1/alarms?source=%00".to_owned(), "", 422),
        (Method::GET, "/api/v1/alarms?limit=0".to_owned(), "", 422),
        (Method::GET, "/api/v1/alarms?cursor=x".to_owned(), "", 422),
        (Method::GET, "/api/v1/alarms?colour=red".to_owned(), "", 422),
        (Method::GET, "/api/v1/alarms?raised_from=yesterday".to_owned(), "", 422),
    ];
    for (method, address, body, status) in cases {
        let what = format!("{method} {address} {body}");
        let response = client.request(method, &address).body(body).sent().await.unwrap();
        let problem = problem(response, status, &what).await;
        assert_eq!(problem["field"].is_string(), status == 422, "{what}: {problem}");
    }
    assert_eq!(client.alarm(&id).await, before);
}

async fn a_request_sent_twice_counts_once(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let body = |summary: &str| json!({ "summary": summary, "phones": [ZHANG] }).to_string();
    let send =
        async |key: &str, summary: &str| client.post_alarm(body(summary)).header("Idempotency-Key", key).sent().await.unwrap();

    let (status, first) = status_and_json(send("k1", "disk full").await).await;
    assert_eq!(status, 201);
    let again = send("k1", "disk full").await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.headers()["location"], format!("/api/v1/alarms/{}", text(&first, "id")).as_str());
    let (status, again) = status_and_json(again).await;
    assert_eq!((status, &again["id"]), (201, &first["id"]));
    let refusal = problem(send("k1", "disk fuller").await, 422, "another body under the same key").await;
    assert_eq!((refusal["code"].as_str(), refusal["field"].as_str()), (Some("idempotency_key_reused"), Some("Idempotency-Key")));
    assert_eq!(client.alarms().await.len(), 1);

    for wrong in ["", " ", "two words", &"k".repeat(256)] {
        let refusal = problem(send(wrong, "disk full").await, 422, wrong).await;
        assert_eq!(refusal["field"], "Idempotency-Key");
    }
    let twice =
        client.post_alarm(body("disk full")).header("Idempotency-Key", "a").header("Idempotency-Key", "b").sent().await.unwrap();
    assert_eq!(problem(twice, 422, "two keys").await["field"], "Idempotency-Key");
    assert_eq!(client.alarms().await.len(), 1);

    let answers = at_once(20, || client.post_alarm(body("twenty times")).header("Idempotency-Key", "k2")).await;
    assert!(answers.iter().all(|(status, _)| *status == 201), "{answers:?}");
    assert!(answers.iter().all(|(_, alarm)| alarm["id"] == answers[0].1["id"]), "{answers:?}");
    let alarms = client.alarms().await;
    assert_eq!(alarms.len(), 2);
    assert_eq!(alarms[0]["repeats"], first["repeats"], "the same request is no repeat of the alarm");
}

async fn a_repeated_alarm_is_counted(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let body = json!({ "summary": "disk full", "phones": [ZHANG], "dedup_key": "host7/disk" }).to_string();
    let send = || client.post_alarm(body.clone());

    let (status, first) = status_and_json(send().sent().await.unwrap()).await;
    assert_eq!(status, 201);
    let repeats = first["repeats"].as_i64().unwrap();
    for number in 1..=3 {
        let (status, again) = status_and_json(send().sent().await.unwrap()).await;
        assert_eq!((status, &again["id"], again["repeats"].as_i64()), (200, &first["id"], Some(repeats + number)));
    }
    let answers = at_once(20, send).await;
    assert!(answers.iter().all(|(status, alarm)| *status == 200 && alarm["id"] == first["id"]), "{answers:?}");
    let alarms = client.alarms().await;
    assert_eq!((alarms.len(), alarms[0]["repeats"].as_i64()), (1, Some(repeats + 23)), "every repeat is counted");

    // Twenty at once without an alarm to repeat: one of them is new.
    let body = json!({ "summary": "disk full", "phones": [ZHANG], "dedup_key": "host8/disk" }).to_string();
    let answers = at_once(20, || client.post_alarm(body.clone())).await;
    let count = |wanted: u16| answers.iter().filter(|(status, _)| *status == wanted).count();
    assert_eq!((count(201), count(200)), (1, 19), "{answers:?}");
    let alarms = client.alarms().await;
    assert_eq!((alarms.len(), alarms[0]["repeats"].as_i64()), (2, Some(repeats + 19)));

    // Over and raised again, it is another alarm.
    let id = text(&alarms[0], "id");
    let cancelled = client.request(Method::POST, &format!("/api/v1/alarms/{id}/cancel")).sent().await.unwrap();
    assert_eq!(status_and_json(cancelled).await.1["state"], "cancelled");
    let (status, fresh) = status_and_json(client.post_alarm(body).sent().await.unwrap()).await;
    assert_eq!((status, fresh["id"] == id.as_str()), (201, false));
}

/// The same request many times in parallel; gives the answers. Whoever has waited for the others for longer than the database allows is told
/// to send it again, and does.
async fn at_once(times: usize, request: impl Fn() -> reqwest::RequestBuilder) -> Vec<(u16, Value)> {
    let mut requests = JoinSet::new();
    for _ in 0..times {
        let request = request();
        requests.spawn(async move {
            let once = async || status_and_json(request.try_clone().unwrap().sent().await.unwrap()).await;
            let mut answer = once().await;
            for _ in 0..10 {
                if answer.1["code"] == "database_unavailable" {
                    answer = once().await;
                }
            }
            answer
        });
    }
    requests.join_all().await
}

async fn strangers_stay_outside(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let before = client.alarm(&id).await;
    let marks = [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", ""),
        ("X-Forwarded-Proto", "https"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Host", "evil.example"),
        ("Host", "evil.example:8080"),
        ("Host", "127.0.0.1.evil.example"),
    ];
    let alarm = json!({ "summary": "from outside", "phones": [ZHANG] }).to_string();
    for (name, value) in marks {
        let what = format!("{name}: {value}");
        let raised = client.post_alarm(alarm.clone()).header(name, value).sent().await.unwrap();
        assert_eq!(problem(raised, 403, &what).await["code"], "not_admitted", "{what}");
        for (method, address) in
            [(Method::GET, "/api/v1/alarms".to_owned()), (Method::POST, format!("/api/v1/alarms/{id}/cancel"))]
        {
            let response = client.request(method, &address).header(name, value).sent().await.unwrap();
            problem(response, 403, &what).await;
        }
        let polled = client.request(Method::GET, "/alert/phone").header(name, value).sent().await.unwrap();
        let (status, reply) = status_and_json(polled).await;
        assert_eq!((status, &reply["code"]), (403, &json!(1)), "{what}");
    }
    assert_eq!(client.alarm(&id).await, before);
    assert_eq!(client.alarms().await.len(), 1);

    // The server's own pages and names are no strangers.
    for (name, value) in
        [("Origin", server.url()), ("Sec-Fetch-Site", "same-origin".to_owned()), ("Host", "localhost".to_owned())]
    {
        let response = client.request(Method::GET, "/api/v1/alarms").header(name, value).sent().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
    }
}

async fn who_confirms_on_the_command_line_is_kept_so(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let done = world.command(&["alarm", "acknowledge", &id, "--name", "Ann"]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answer = client.alarm(&id).await["answer"].clone();
    assert_eq!((&answer["name"], &answer["via"]), (&json!("Ann"), &json!("command_line")));
}

async fn the_link_that_confirms_a_topic_is_for_the_owner_of_the_data(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let link = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=alarms&Token=2336412f37fb687f5d51e6e2";
    let message = json!({ "Type": "SubscriptionConfirmation", "MessageId": "m-2", "Token": "2336412f37fb687f5d51e6e2",
                          "TopicArn": "arn:aws:sns:eu-west-1:1:alarms", "SubscribeURL": link });
    for _ in 0..2 {
        let answer = client.post("/api/v1/intake/sns", message.clone()).await;
        assert_eq!(answer["alarms"][0]["outcome"], "ignored", "{answer}");
    }
    let file = server.data_dir().join("addresses-to-open.txt");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.lines().count() == 1 && kept.trim_end().ends_with(link), "{kept}");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o777, 0o600);
    let log = server.log();
    assert!(log.contains("arn:aws:sns:eu-west-1:1:alarms") && log.contains(file.to_str().unwrap()), "{log}");
    assert!(!log.contains("2336412f") && !log.contains("ConfirmSubscription"), "{log}");
}

async fn a_command_that_is_watched_hears_that_it_is_to_end_and_that_is_told(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let log = world.file("send", "");
    let mut command = std::process::Command::new(provided_by_run("AUTOCALL_BIN"));
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    let watched = "trap 'echo asked; sleep 0.3; exit 7' TERM; echo up; while :; do sleep 0.05; done";
    command.args([
        "send",
        "--if-fails",
        "--url",
        &server.url(),
        "--phones",
        ZHANG,
        "--dedup-key",
        "job",
        "--",
        "sh",
        "-c",
        watched,
    ]);
    let mut send = Process::spawn("autocall send", command, std::path::Path::new(&log));
    eventually("the command to run", SOON, async || send.output().contains("up").then_some(())).await;
    // Whoever ends a group tells everybody in it, and some tell it twice: that is one stop.
    send.signal(Signal::Terminate);
    send.signal(Signal::Terminate);
    assert_eq!(send.wait(SOON).await.code(), Some(7), "its exit status is ours");
    let alarms = client.alarms().await;
    assert_eq!(alarms.len(), 1);
    let alarm = client.alarm(&text(&alarms[0], "id")).await;
    let details = text(&alarm, "details");
    assert!(details.contains("failed with exit status 7") && details.contains("asked"), "{alarm}");
}
