//! Public numbers: one command for each change of duty, whatever fails meanwhile, and what is known of it.

use autocall::clock::Clock;
use autocall::engine::Doer;
use autocall::keep::lines::gateways::InboundChange;
use autocall::kinds::gateways::message_id;
use autocall::kinds::guard::GuardedResolver;
use autocall::kinds::notices::WebhookShape;
use autocall::out::messages::send_due;
use autocall::out::notices::client;
use autocall::store::lines::webhooks::NoticeKind;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::kept::Kept;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near, send, taken};
use crate::harness::{A, B, C, Home, QuietNode, Server, on_both};
use crate::notices::{Room, add, deliver};

on_both!(
    each_change_of_duty_sends_one_command,
    two_nodes_send_one_command,
    clocks_that_differ_do_not_hand_it_back,
    the_roster_hands_it_over,
    a_renamed_team_is_followed_on,
    what_a_line_follows_is_not_removed,
    each_gateway_takes_it_in_its_own_form,
    a_native_handset_sends_it,
    what_the_network_of_a_native_handset_says_later_is_taken,
    a_native_handset_that_never_asks_is_told_of,
    a_native_handset_dials_the_code_of_its_own_line,
    a_code_waits_until_the_line_is_free,
    the_network_itself_says_where_a_number_leads,
    a_network_is_asked_again_and_again,
    of_a_hand_over_that_is_over_the_network_says_nothing,
    a_renamed_handset_is_still_the_gateway,
    a_changed_line_tells_its_phone_anew,
    a_change_that_cannot_work_changes_nothing,
    a_gateway_that_moved_is_changed,
    a_gateway_that_is_away_for_an_hour,
    a_day_later_it_is_given_up,
    a_later_hand_over_calls_off_the_earlier_one,
    a_restart_forgets_nothing,
    what_a_node_took_before_it_died_is_sent_by_another,
    never_while_its_handset_rings_somebody,
    what_cannot_work_is_refused_with_the_reason,
    a_person_s_choice_holds_until_duty_changes,
    what_the_gateway_could_not_send_is_sent_again,
    a_test_call_proves_it,
    only_a_call_that_somebody_took_proves_it,
    what_a_bounce_makes_untrue_is_verified_again,
    an_outdated_command_that_comes_last_is_corrected,
    a_correction_has_a_day_of_its_own,
    a_report_counts_also_before_it_is_known_that_it_was_sent,
    a_preview_sends_nothing,
    a_gateway_inside_must_be_named,
);

/// The number that people outside dial, and where its handset gets messages.
const PUBLIC: &str = "13300001111";
const SIM: &str = "+8613300002222";

async fn add_line(server: &Server, more: Value) {
    let (status, line) = try_add_line(server, more).await;
    assert_eq!(status, 201, "{line}");
}

async fn try_add_line(server: &Server, more: Value) -> (u16, Value) {
    let mut body = json!({ "name": "ops", "number": PUBLIC, "sms_number": SIM, "carrier": "china-telecom", "android": 11,
        "text": "今天你值班", "gateway": "phone" });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    server.post("/api/v1/lines", &body).await
}

/// Puts somebody on duty.
async fn on_duty(server: &Server, name: &str, number: &str) {
    server.app.engine.bind_line("ops", Some((name, number)), &autocall::versions::Expected::default()).await.unwrap();
    server.pass(1).await;
}

async fn line(server: &Server) -> Value {
    server.items("/api/v1/lines").await[0].clone()
}

async fn known(server: &Server) -> String {
    line(server).await["known"].as_str().unwrap().to_owned()
}

fn command(number: &str) -> (String, String) {
    (SIM.to_owned(), format!("|*72{number}|autocall|alertcall 今天你值班"))
}

async fn each_change_of_duty_sends_one_command(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    server.pass(60).await;
    assert!(line(&server).await["forwarded"].is_null(), "nobody is on duty");
    on_duty(&server, "李娜", A).await;
    assert_eq!(taken(&server, &phone, 1).await, [command(A)]);
    let since = line(&server).await["forwarded"]["since"].clone();
    for _ in 0..5 {
        server.pass(600).await;
    }
    taken(&server, &phone, 1).await;
    assert_eq!((line(&server).await["forwarded"]["since"].clone(), known(&server).await), (since, "sent".to_owned()));
    let report = json!({ "event": "sms:delivered", "id": "E", "payload": { "messageId": phone.latest_id() } });
    assert_eq!(server.post(&inbound, &report).await.1["effect"], "delivered");
    assert_eq!(known(&server).await, "delivered");
    on_duty(&server, "王芳", B).await;
    assert_eq!(taken(&server, &phone, 2).await, [command(A), command(B)]);
    let line = line(&server).await;
    assert_eq!((line["forwarded"]["person"].as_str(), line["forwarded"]["why"].as_str()), (Some("王芳"), Some("duty")));
}

async fn two_nodes_send_one_command(home: Home) {
    if !home.is_shared() {
        return;
    }
    let home = near(home);
    let other = home.quiet_node().await;
    other.app.engine.tick().await.unwrap();
    let server = home.start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    let client = client(&GuardedResolver::for_gateways(&server.app.engine.config.sms.allow_networks)).unwrap();
    for round in 0..6 {
        let number = [A, B][round % 2];
        server.app.engine.bind_line("ops", Some(("somebody", number)), &autocall::versions::Expected::default()).await.unwrap();
        server.home.clock.advance(chrono::TimeDelta::seconds(90));
        for _ in 0..2 {
            let (one, two) = tokio::join!(server.app.engine.tick(), other.app.engine.tick());
            one.unwrap();
            two.unwrap();
            let (one, two) = tokio::join!(send_due(&server.app.engine, &client), send_due(&other.app.engine, &client));
            one.unwrap();
            two.unwrap();
        }
        assert_eq!(taken(&server, &phone, round + 1).await.last(), Some(&command(number)));
    }
    assert_eq!(phone.requests(), 6, "not even asked twice");
}

/// A roster: Ann is on duty, and from Monday 09:00 Bob is. The clock stands at Friday 03:00.
async fn weekly_roster(server: &Server) {
    let csv = format!("name,numbers\nAnn,{A}\nBob,{B}\n");
    let people = autocall::keep::people_import::read_csv(&csv, autocall::numbers::Region::CN).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
    assert_eq!(server.post("/api/v1/teams", &json!({ "name": "ops", "members": ["Ann", "Bob"] })).await.0, 201);
    let layer = json!({ "name": "week", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" });
    let schedule = json!({ "name": "ops", "zone": "UTC", "team": "ops", "layers": [layer] });
    assert_eq!(server.post("/api/v1/schedules", &schedule).await.0, 201);
}

const TO_MONDAY: i64 = 78 * 3600;

/// The clock of one node is ahead of the other's: around the change of duty both look, in turns.
async fn clocks_that_differ_do_not_hand_it_back(home: Home) {
    if !home.is_shared() {
        return;
    }
    let home = near(home);
    let ahead = Clock::manual(home.clock.now() + chrono::TimeDelta::seconds(2));
    let other = home.quiet_node_at(ahead.clone()).await;
    let server = home.start().await;
    weekly_roster(&server).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "team": "ops" })).await;
    server.pass(1).await;
    taken(&server, &phone, 1).await;
    ahead.advance(chrono::TimeDelta::seconds(TO_MONDAY - 4));
    server.home.clock.advance(chrono::TimeDelta::seconds(TO_MONDAY - 5));
    for _ in 0..8 {
        ahead.advance(chrono::TimeDelta::seconds(1));
        other.app.engine.tick().await.unwrap();
        send(&server).await;
        server.pass(1).await;
        send(&server).await;
    }
    assert_eq!(taken(&server, &phone, 2).await, [command(A), command(B)]);
    let forwarded = line(&server).await["forwarded"].clone();
    assert_eq!((forwarded["person"].as_str(), forwarded["since"].as_str()), (Some("Bob"), Some("2026-11-23T09:00:00Z")));
}

async fn a_renamed_team_is_followed_on(home: Home) {
    let server = near(home).start().await;
    weekly_roster(&server).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "team": "ops" })).await;
    server.pass(1).await;
    taken(&server, &phone, 1).await;
    let version = server.get("/api/v1/teams/ops").await["version"].clone();
    let (status, answer) =
        server.put("/api/v1/teams/ops", &json!({ "name": "platform", "members": ["Ann", "Bob"], "version": version })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(line(&server).await["team"], "platform");
    server.pass(TO_MONDAY).await;
    assert_eq!(taken(&server, &phone, 2).await[1], command(B));
}

/// Else the number would stay where it is for ever, and nobody would notice.
async fn what_a_line_follows_is_not_removed(home: Home) {
    let server = near(home).start().await;
    weekly_roster(&server).await;
    let (_, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "team": "ops" })).await;
    assert_eq!(server.delete("/api/v1/teams/ops").await, 204, "the schedule of that name is left");
    assert_eq!(server.delete("/api/v1/schedules/ops").await, 409);
    assert_eq!(server.delete("/api/v1/lines/ops").await, 204);
    assert_eq!(server.delete("/api/v1/schedules/ops").await, 204);
}

async fn a_renamed_handset_is_still_the_gateway(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(&server, json!({})).await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::pairing::rename(work, "pixel", "desk phone").await)
        .await
        .unwrap();
    assert_eq!(server.items("/api/v1/sms/gateways").await[0]["host"], "desk phone");
    on_duty(&server, "李娜", A).await;
    assert_eq!(commanded(&server, "pixel").await["text"].as_str(), Some(command(A).1.as_str()), "its token is what it was");
}

async fn a_changed_line_tells_its_phone_anew(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    let mut body = json!({ "name": "public", "number": PUBLIC, "sms_number": SIM, "carrier": "china-telecom",
        "android": 11, "text": "duty", "gateway": "phone" });
    let (status, changed) = server.put("/api/v1/lines/ops", &body).await;
    assert_eq!((status, changed["name"].as_str(), changed["text"].as_str()), (200, Some("public"), Some("duty")), "{changed}");
    assert_eq!((changed["gateway"].as_str(), changed["handset"].is_null()), (Some("phone"), true), "{changed}");
    server.pass(60).await;
    taken(&server, &phone, 1).await;
    // Another SIM card holds the number now: it is told the same, and who the number was handed to by hand stays.
    server.post("/api/v1/lines/public/forward", &json!({ "number": C, "person": "张伟" })).await;
    taken(&server, &phone, 2).await;
    body["sms_number"] = json!("13300003333");
    body["carrier"] = json!("china-mobile");
    assert_eq!(server.put("/api/v1/lines/public", &body).await.0, 200);
    let last = taken(&server, &phone, 3).await.pop().unwrap();
    assert_eq!(last, ("+8613300003333".to_owned(), format!("|**21*{C}%23|autocall|alertcall duty")));
    let shown = line(&server).await;
    assert_eq!((shown["forwarded"]["person"].as_str(), shown["forwarded"]["why"].as_str()), (Some("张伟"), Some("person")));
    server.pass(3600).await;
    taken(&server, &phone, 3).await;
}

async fn a_change_that_cannot_work_changes_nothing(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "name": "other", "number": "13300004444" })).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    let before = server.items("/api/v1/lines").await;
    let body = json!({ "name": "ops", "number": PUBLIC, "sms_number": SIM, "carrier": "china-telecom", "android": 11, "gateway": "phone" });
    for (field, value, status) in [
        ("android", json!(14), 422),
        ("carrier", json!("jio"), 422),
        ("text", json!("a|b"), 422),
        ("gateway", json!("nobody"), 404),
        ("name", json!("other"), 409),
        ("name", json!(" "), 422),
    ] {
        let mut body = body.clone();
        body[field] = value;
        let (got, problem) = server.put("/api/v1/lines/ops", &body).await;
        assert_eq!(got, status, "{problem}");
    }
    assert_eq!(server.put("/api/v1/lines/nobody", &body).await.0, 404);
    assert_eq!(server.items("/api/v1/lines").await, before);
    server.pass(60).await;
    taken(&server, &phone, 1).await;
}

async fn a_gateway_that_moved_is_changed(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, "http://127.0.0.1:1").await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    send(&server).await;
    assert_eq!(known(&server).await, "waiting");
    let settings =
        |password: &str| json!({ "kind": "smsgate", "url": format!("{url}/message"), "user": "sms", "password": password });
    let change = |settings: Value| json!({ "name": "phone 2", "settings": settings });
    let (status, changed) = server.put("/api/v1/sms/gateways/phone", &change(settings("secret"))).await;
    assert_eq!((status, changed["name"].as_str()), (200, Some("phone 2")), "{changed}");
    assert!(changed["inbound_path"].is_null(), "its address for replies stays as it was");
    server.pass(60).await;
    assert_eq!(taken(&server, &phone, 1).await, [command(A)]);
    let other_kind = json!({ "kind": "smsforwarder", "url": url, "sim": 1 });
    let (status, problem) = server.put("/api/v1/sms/gateways/phone 2", &change(other_kind)).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("kind")), "{problem}");
    assert_eq!(server.put("/api/v1/sms/gateways/phone", &change(settings("secret"))).await.0, 404, "it has another name");
}

async fn the_roster_hands_it_over(home: Home) {
    let server = near(home).start().await;
    weekly_roster(&server).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "team": "ops" })).await;
    server.pass(1).await;
    assert_eq!(taken(&server, &phone, 1).await, [command(A)]);
    // From Friday 03:00 to Monday 09:00, when the week changes hands.
    server.pass(TO_MONDAY - 2).await;
    taken(&server, &phone, 1).await;
    server.pass(1).await;
    assert_eq!(taken(&server, &phone, 2).await, [command(A), command(B)]);
    assert_eq!(line(&server).await["forwarded"]["person"], "Bob");
    // An override puts Ann back at once.
    let (from, to) = (server.now(), server.now() + chrono::TimeDelta::hours(4));
    let shift = json!({ "action": "replace", "person": "Ann", "instead_of": "Bob", "from": from, "to": to });
    let (status, answer) = server.post("/api/v1/schedules/ops/overrides", &shift).await;
    assert_eq!(status, 201, "{answer}");
    server.pass(2).await;
    assert_eq!(taken(&server, &phone, 3).await[2], command(A));
}

async fn each_gateway_takes_it_in_its_own_form(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let forwarder = json!({ "kind": "smsforwarder", "url": url, "secret": "secret", "sim": 1 });
    let own = json!({ "kind": "http", "method": "POST", "url": format!("{url}/own"), "secret": "s",
        "headers": { "Content-Type": "application/x-www-form-urlencoded" }, "body": "to={number}&msg={text}" });
    for (count, settings) in [(1, forwarder), (2, own)] {
        let (status, made) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
        assert_eq!(status, 201, "{made}");
        add_line(&server, json!({})).await;
        on_duty(&server, "李娜", A).await;
        assert_eq!(taken(&server, &phone, count).await[count - 1], command(A));
        assert!(
            server.app.engine.remove_gateway("phone", &autocall::versions::Expected::default()).await.is_err(),
            "the line needs it"
        );
        server.app.engine.remove_line("ops", &autocall::versions::Expected::default()).await.unwrap();
        server.app.engine.remove_gateway("phone", &autocall::versions::Expected::default()).await.unwrap();
    }
    let shown = server.items("/api/v1/sms/gateways").await.to_string();
    assert!(!shown.contains("secret"), "{shown}");
}

async fn native(server: &Server, method: &str, path: &str, body: Option<Value>) -> Value {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("{}{path}", server.base));
    let request = request.header(android_protocol::wire::PROTOCOL_HEADER, "1");
    let request = if let Some(body) = body { request.json(&body) } else { request };
    request.sent().await.unwrap().json().await.unwrap()
}

/// Waits until a native handset has a command, and gives it.
async fn commanded(server: &Server, handset: &str) -> Value {
    autocall_tests::wait::eventually("the handset has a command", std::time::Duration::from_secs(30), async || {
        send(server).await;
        let outbox = native(server, "GET", &format!("/h/{handset}/outbox"), None).await;
        (outbox["code"] == 0).then(|| outbox["commands"][0].clone())
    })
    .await
}

async fn result(server: &Server, handset: &str, command: &Value, body: Value) {
    let path = format!("/h/{handset}/outbox/{}", command["id"].as_str().unwrap());
    native(server, "POST", &path, Some(body)).await;
    send(server).await;
}

async fn a_native_handset_sends_it(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    let first = commanded(&server, "pixel").await;
    assert_eq!((first["kind"].as_str(), first["text"].as_str()), (Some("sms"), Some(command(A).1.as_str())));
    result(&server, "pixel", &first, json!({ "ok": false, "detail": "no signal" })).await;
    assert_eq!(known(&server).await, "waiting");
    assert!(line(&server).await["forwarded"]["last_result"].as_str().unwrap().contains("no signal"));
    server.pass(60).await;
    let second = commanded(&server, "pixel").await;
    assert_ne!(first["id"], second["id"]);
    result(&server, "pixel", &second, json!({ "ok": true })).await;
    autocall_tests::wait::eventually("it is sent", std::time::Duration::from_secs(30), async || {
        (known(&server).await == "sent").then_some(())
    })
    .await;
}

async fn what_the_network_of_a_native_handset_says_later_is_taken(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    server.pair("other", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    let first = commanded(&server, "pixel").await;
    result(&server, "pixel", &first, json!({ "ok": true, "detail": "sent" })).await;
    known_is(&server, "sent").await;
    let delivered = json!({ "ok": true, "delivery": "delivered", "delivery_at": "2026-11-28T13:00:00+08:00" });
    let failed = json!({ "ok": false, "delivery": "failed", "detail": "it will not come" });
    result(&server, "other", &first, delivered.clone()).await;
    assert_eq!(known(&server).await, "sent", "a handset speaks of its own messages");
    result(&server, "pixel", &first, failed.clone()).await;
    assert_eq!(known(&server).await, "waiting");
    assert!(line(&server).await["forwarded"]["last_result"].as_str().unwrap().contains("will not come"));
    server.pass(60).await;
    let second = commanded(&server, "pixel").await;
    assert_ne!(first["id"], second["id"]);
    // Also before the outbox has looked at the first result, and of the message before nothing more is said.
    let path = |command: &Value| format!("/h/pixel/outbox/{}", command["id"].as_str().unwrap());
    native(&server, "POST", &path(&second), Some(json!({ "ok": true }))).await;
    native(&server, "POST", &path(&first), Some(failed.clone())).await;
    for _ in 0..2 {
        native(&server, "POST", &path(&second), Some(delivered.clone())).await;
    }
    send(&server).await;
    assert_eq!(known(&server).await, "delivered");
    result(&server, "pixel", &second, failed).await;
    assert_eq!(known(&server).await, "delivered", "what is on the phone is not sent again");
}

async fn a_native_handset_that_never_asks_is_told_of(home: Home) {
    let server = near(home).start().await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::HandOverTrouble], "en").await;
    server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    send(&server).await;
    server.pass(200).await;
    assert!(room.texts().is_empty());
    server.pass(100).await;
    server.pass(100).await;
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (!room.texts().is_empty()).then_some(())
    })
    .await;
    assert_eq!(room.texts(), ["The public number ops could not be handed to 李娜: nobody has taken the command"]);
}

async fn a_native_handset_dials_the_code_of_its_own_line(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(&server, json!({ "handset": "pixel", "android": 15, "carrier": "china-mobile" })).await;
    on_duty(&server, "李娜", A).await;
    let command = commanded(&server, "pixel").await;
    assert_eq!((command["kind"].as_str(), command["code"].as_str()), (Some("forward"), Some(format!("**21*{A}#").as_str())));
}

/// A native handset that was away comes back: it gets the alarm or the code, never both at once.
async fn a_code_waits_until_the_line_is_free(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(&server, json!({ "handset": "pixel", "carrier": "china-mobile" })).await;
    on_duty(&server, "李娜", A).await;
    send(&server).await;
    server.raise(&[C], json!({})).await;
    server.pass(120).await;
    let dial = native(&server, "GET", &pixel, None).await;
    assert_eq!(dial["code"], 0, "{dial}");
    let outbox = native(&server, "GET", "/h/pixel/outbox", None).await;
    assert_eq!(outbox["code"], 1, "its line is in use: {outbox}");
    let mid = dial["mid"].as_str().unwrap();
    native(&server, "POST", &format!("{pixel}?mid={mid}&resp={C}"), None).await;
    server.pass(120).await;
    assert_eq!(commanded(&server, "pixel").await["kind"], "forward");
    server.raise(&[B], json!({})).await;
    assert_eq!(native(&server, "GET", &pixel, None).await["code"], 1, "it dials the code now");
    server.pass(61).await;
    assert_eq!(native(&server, "GET", "/h/pixel/outbox", None).await["commands"][0]["kind"], "forward");
    assert_eq!(native(&server, "GET", &pixel, None).await["code"], 0, "being told again must not keep it from alarms");
}

/// A line whose SIM sits in a modem, handed to Li Na: gives the command.
async fn modem_line(server: &Server) -> Value {
    server.pair("modem", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "modem" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    add_line(server, json!({ "handset": "modem", "android": 15, "carrier": "china-mobile" })).await;
    on_duty(server, "李娜", A).await;
    commanded(server, "modem").await
}

/// What a modem tells after it has asked the network.
fn says(active: bool, number: &str) -> Value {
    json!({ "ok": true, "detail": "asked", "network": { "reason": 0, "active": active, "number": number, "class": 1 } })
}

async fn known_is(server: &Server, word: &str) {
    let mut last = String::new();
    autocall_tests::wait::eventually(&format!("it is {word}"), std::time::Duration::from_secs(30), async || {
        send(server).await;
        last = known(server).await;
        (last == word).then_some(())
    })
    .await;
}

async fn the_network_itself_says_where_a_number_leads(home: Home) {
    let server = near(home).start().await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::HandOverTrouble], "en").await;
    let set = modem_line(&server).await;
    result(&server, "modem", &set, says(true, &format!("+86{A}"))).await;
    known_is(&server, "by_network").await;
    let network = line(&server).await["forwarded"]["network"].clone();
    assert_eq!((&network["active"], &network["error"]), (&json!(true), &Value::Null), "{network}");
    // Six hours later somebody has cancelled it by hand.
    server.pass(6 * 3600).await;
    let question = commanded(&server, "modem").await;
    assert_eq!((&question["kind"], &question["code"]), (&json!("forward"), &json!("*#21#")));
    server.raise(&[C], json!({ "attempts": 1 })).await;
    let modem = "/h/modem/alert/phone";
    assert_eq!(native(&server, "GET", modem, None).await["code"], 1, "it asks the network now");
    result(&server, "modem", &question, says(false, "")).await;
    let offer = native(&server, "GET", modem, None).await;
    assert_eq!(offer["phone"], json!([C]), "a question keeps nobody from being rung once it is answered: {offer}");
    native(&server, "POST", &format!("{modem}?mid={}&resp={C}", offer["mid"].as_str().unwrap()), None).await;
    known_is(&server, "elsewhere").await;
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (!room.texts().is_empty()).then_some(())
    })
    .await;
    let said = "the network says that it does not forward to this number any more";
    assert_eq!(room.texts(), [format!("The public number ops could not be handed to 李娜: {said}")]);
    // And to another number.
    server.pass(6 * 3600).await;
    let question = commanded(&server, "modem").await;
    result(&server, "modem", &question, says(true, "13955550000")).await;
    known_is(&server, "elsewhere").await;
    assert_eq!(line(&server).await["forwarded"]["network"]["phone_number"], "13955550000");
    // It is put right, and lost once more: that is told anew.
    for said in [says(true, A), says(false, "")] {
        server.pass(6 * 3600).await;
        let question = commanded(&server, "modem").await;
        result(&server, "modem", &question, said).await;
    }
    autocall_tests::wait::eventually("people are told again", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (room.texts().len() == 2).then_some(())
    })
    .await;
}

async fn a_network_is_asked_again_and_again(home: Home) {
    let server = home.start().await;
    let set = modem_line(&server).await;
    let status = |started: &str| json!({ "backend": "modem", "capabilities": ["hangup", "forwarding"], "started_at": started });
    native(&server, "POST", "/h/modem/status", Some(status("1764300000"))).await;
    result(&server, "modem", &set, says(true, A)).await;
    known_is(&server, "by_network").await;
    let idle = async || {
        server.pass(1).await;
        native(&server, "GET", "/h/modem/outbox", None).await["code"].clone()
    };
    native(&server, "POST", "/h/modem/status", Some(status("1764300000"))).await;
    assert_eq!(idle().await, 1, "the same process says the same");
    native(&server, "POST", "/h/modem/status", Some(status("1764309999"))).await;
    assert_eq!(idle().await, 1, "it was asked a moment ago");
    server.pass(1200).await;
    let first = commanded(&server, "modem").await;
    assert_eq!(first["code"], "*#21#", "it was started anew");
    // It is away: after six hours there is still one question, not two.
    server.pass(6 * 3600).await;
    server.pass(1).await;
    let outbox = native(&server, "GET", "/h/modem/outbox", None).await;
    assert_eq!(outbox["commands"].as_array().map(Vec::len), Some(1), "{outbox}");
    let second = outbox["commands"][0].clone();
    assert_ne!(first["id"], second["id"]);
    result(&server, "modem", &second, json!({ "ok": false, "detail": "no", "error": "cme 30" })).await;
    let shown = line(&server).await;
    assert_eq!((&shown["known"], &shown["forwarded"]["network"]["error"]), (&json!("by_network"), &json!("cme 30")));
    assert!(shown["forwarded"]["network"]["said_at"].is_string(), "what it said before stays");
    assert_eq!(idle().await, 1);
    // It is asked again soon, and what it says is kept as far as a word is long.
    server.pass(1200).await;
    let third = commanded(&server, "modem").await;
    result(&server, "modem", &third, json!({ "ok": false, "error": format!("cme\u{7} 30{}", "0".repeat(5000)) })).await;
    let error = line(&server).await["forwarded"]["network"]["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("cme 300") && error.len() == 64, "{error}");
}

async fn of_a_hand_over_that_is_over_the_network_says_nothing(home: Home) {
    let server = home.start().await;
    let set = modem_line(&server).await;
    on_duty(&server, "王芳", B).await;
    result(&server, "modem", &set, says(true, A)).await;
    assert!(line(&server).await["forwarded"]["network"].is_null(), "{}", line(&server).await);
    let set = commanded(&server, "modem").await;
    assert_eq!(set["code"], format!("**21*{B}#"));
    server.pair("other", Profile::Native).await;
    result(&server, "other", &set, says(false, "")).await;
    assert!(line(&server).await["forwarded"]["network"].is_null(), "the word of another handset is none");
    result(&server, "modem", &set, says(true, B)).await;
    known_is(&server, "by_network").await;
}

async fn a_gateway_that_is_away_for_an_hour(home: Home) {
    let server = near(home).start().await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::HandOverTrouble], "en").await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    phone.set_away(true);
    on_duty(&server, "李娜", A).await;
    for _ in 0..120 {
        send(&server).await;
        server.pass(30).await;
    }
    assert!((10..=16).contains(&phone.requests()), "the pauses grow: {}", phone.requests());
    assert_eq!(known(&server).await, "waiting");
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (!room.texts().is_empty()).then_some(())
    })
    .await;
    assert_eq!(room.texts(), ["The public number ops could not be handed to 李娜: the command was not sent (HTTP 503)"], "once");
    phone.set_away(false);
    server.pass(600).await;
    assert_eq!(taken(&server, &phone, 1).await, [command(A)]);
    known_is(&server, "sent").await;
}

async fn a_day_later_it_is_given_up(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    phone.set_away(true);
    on_duty(&server, "李娜", A).await;
    send(&server).await;
    server.pass(25 * 3600).await;
    autocall_tests::wait::eventually("it is given up", std::time::Duration::from_secs(30), async || {
        send(&server).await;
        (known(&server).await == "given_up").then_some(())
    })
    .await;
    phone.set_away(false);
    server.pass(3600).await;
    send(&server).await;
    assert!(phone.sent().is_empty());
}

async fn a_later_hand_over_calls_off_the_earlier_one(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "张伟", C).await;
    taken(&server, &phone, 1).await;
    phone.set_away(true);
    on_duty(&server, "李娜", A).await;
    send(&server).await;
    on_duty(&server, "王芳", B).await;
    send(&server).await;
    let shown = line(&server).await;
    assert_eq!((shown["forwarded"]["person"].as_str(), shown["still"]["person"].as_str()), (Some("王芳"), Some("张伟")));
    phone.set_away(false);
    server.pass(600).await;
    assert_eq!(taken(&server, &phone, 2).await, [command(C), command(B)]);
    server.pass(3600).await;
    send(&server).await;
    assert_eq!(taken(&server, &phone, 2).await.len(), 2, "the one in between is never sent");
}

async fn a_restart_forgets_nothing(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    phone.set_away(true);
    on_duty(&server, "李娜", A).await;
    send(&server).await;
    phone.set_away(false);
    let server = server.restart().await;
    server.pass(600).await;
    assert_eq!(taken(&server, &phone, 1).await, [command(A)]);
}

/// A line, of which nothing is sent but by this test: a node that dies at the worst moment must not have company.
async fn quiet_line(home: &Home) -> (QuietNode, Gateway) {
    let node = home.quiet_node().await;
    let engine = &node.app.engine;
    let (phone, url) = Gateway::open().await;
    let settings =
        json!({ "kind": "smsgate", "url": format!("{url}/message"), "user": "sms", "password": "secret", "sim": null });
    engine.add_gateway("phone", serde_json::from_value(settings).unwrap(), InboundChange::default()).await.unwrap();
    let line = autocall::keep::lines::numbers::NewLine {
        name: "ops".to_owned(),
        team: String::new(),
        number: PUBLIC.to_owned(),
        sms_number: Some(SIM.to_owned()),
        carrier: "china-telecom".to_owned(),
        android: 11,
        app_build: autocall::line::command::AppBuild::Later,
        text: "今天你值班".to_owned(),
        gateway: "phone".to_owned(),
        handset: None,
        verify_handset: None,
    };
    engine.add_line(&line).await.unwrap();
    engine.hand_line_over("ops", A, Some("李娜")).await.unwrap();
    (node, phone)
}

/// What a node does before it asks the gateway. Gives the id under which the gateway will know the message.
async fn take_by_hand(home: &Home, node: &QuietNode) -> String {
    let now = home.clock.now();
    let gateway = node.app.engine.gateway("phone").await.unwrap().id;
    let mut tx = node.app.engine.store.begin().await.unwrap();
    let due = tx.db().due_sms(gateway, now).await.unwrap();
    assert!(tx.db().take_sms(&due[0], now + chrono::TimeDelta::seconds(60)).await.unwrap());
    tx.commit().await.unwrap();
    message_id(due[0].id, due[0].failures)
}

async fn what_a_node_took_before_it_died_is_sent_by_another(home: Home) {
    let home = near(home);
    let (node, phone) = quiet_line(&home).await;
    let engine = &node.app.engine;
    take_by_hand(&home, &node).await;
    // A later hand-over must not overtake a command that may be on its way.
    engine.hand_line_over("ops", B, Some("王芳")).await.unwrap();
    let client = client(&GuardedResolver::for_gateways(&engine.config.sms.allow_networks)).unwrap();
    for _ in 0..5 {
        send_due(engine, &client).await.unwrap();
        home.clock.advance(chrono::TimeDelta::seconds(11));
    }
    assert_eq!(phone.requests(), 0);
    home.clock.advance(chrono::TimeDelta::seconds(10));
    send_due(engine, &client).await.unwrap();
    assert_eq!(phone.sent(), [command(B)]);
}

/// The node died after the gateway took the message, and before it could write that down.
async fn a_report_counts_also_before_it_is_known_that_it_was_sent(home: Home) {
    let home = near(home);
    let (node, phone) = quiet_line(&home).await;
    let engine = &node.app.engine;
    let gateway = engine.gateway("phone").await.unwrap();
    let client = client(&GuardedResolver::for_gateways(&engine.config.sms.allow_networks)).unwrap();
    let first = take_by_hand(&home, &node).await;
    assert_eq!(engine.sms_reported(&gateway, &first, Some("no credit"), None).await.unwrap().as_str(), "bounced");
    home.clock.advance(chrono::TimeDelta::seconds(59));
    send_due(engine, &client).await.unwrap();
    assert_eq!(phone.sent(), [command(A)]);
    assert_ne!(phone.latest_id(), first, "a gateway that knows ids would drop it");

    engine.hand_line_over("ops", B, Some("王芳")).await.unwrap();
    let second = take_by_hand(&home, &node).await;
    assert_eq!(engine.sms_reported(&gateway, &second, None, None).await.unwrap().as_str(), "delivered");
    let status = engine.line_status("ops").await.unwrap();
    assert!(status.latest.unwrap().0.sent_at.is_some());
    home.clock.advance(chrono::TimeDelta::seconds(600));
    send_due(engine, &client).await.unwrap();
    assert_eq!(phone.sent(), [command(A)], "it is there already");
}

async fn never_while_its_handset_rings_somebody(home: Home) {
    let server = near(home).start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "handset": "desk" })).await;
    server.raise(&[C], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    on_duty(&server, "李娜", A).await;
    for _ in 0..6 {
        send(&server).await;
        server.pass(10).await;
    }
    assert_eq!((phone.requests(), known(&server).await), (0, "waiting".to_owned()));
    assert!(line(&server).await["forwarded"]["last_result"].as_str().unwrap().contains("the end of a call"));
    server.report(&desk, &mid, None).await;
    server.pass(120).await;
    assert_eq!(taken(&server, &phone, 1).await, [command(A)]);
    // While it dials the code, it is given nothing to ring.
    server.raise(&[C], json!({})).await;
    server.app_idle(&desk).await;
    server.pass(61).await;
    server.app_dial(&desk).await;
}

async fn what_cannot_work_is_refused_with_the_reason(home: Home) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    for (more, field, reason) in [
        (json!({ "android": 14 }), "android", "default dialler"),
        (json!({ "android": 0 }), "android", "main version"),
        (json!({ "carrier": "telekom" }), "carrier", "no carrier"),
        (json!({ "carrier": "jio" }), "carrier", "not possible"),
        (json!({ "carrier": "docomo" }), "carrier", "registered by hand"),
        (json!({ "text": "班".repeat(50) }), "text", "one part"),
        (json!({ "text": "please downcall" }), "text", "downcall"),
        (json!({ "text": "a|b" }), "text", "vertical bar"),
        (json!({ "number": "110" }), "number", "emergency"),
        (json!({ "handset": "nobody" }), "handset", "no handset"),
        (json!({ "team": "opps" }), "team", "no team and no schedule"),
    ] {
        let (status, problem) = try_add_line(&server, more).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    assert_eq!(try_add_line(&server, json!({ "gateway": "nobody" })).await.0, 404);
    assert_eq!(server.items("/api/v1/lines").await, json!([]), "nothing was made");
    // What only this person's number makes impossible is told when it happens.
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::HandOverTrouble], "en").await;
    add_line(&server, json!({ "text": "班".repeat(70 - "|*7213300001111|autocall|alertcall ".len()) })).await;
    on_duty(&server, "佐藤", "+819012345678").await;
    let shown = line(&server).await;
    assert_eq!(shown["known"], "refused", "{shown}");
    deliver(&server).await;
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        (room.texts().len() == 1).then_some(())
    })
    .await;
}

async fn a_person_s_choice_holds_until_duty_changes(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    let (status, answer) = server.post("/api/v1/lines/ops/forward", &json!({ "number": C, "person": "张伟" })).await;
    assert_eq!((status, answer["why"].as_str()), (202, Some("person")), "{answer}");
    taken(&server, &phone, 2).await;
    server.pass(3600).await;
    assert_eq!(taken(&server, &phone, 2).await[1], command(C), "duty has not changed");
    on_duty(&server, "王芳", B).await;
    taken(&server, &phone, 3).await;
    assert_eq!(server.post("/api/v1/lines/other/forward", &json!({ "number": C })).await.0, 404);
    assert_eq!(server.post("/api/v1/lines/ops/forward", &json!({ "number": "110" })).await.0, 422);
}

async fn what_the_gateway_could_not_send_is_sent_again(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    let failed = |id: &str| json!({ "event": "sms:failed", "id": "E", "payload": { "messageId": id, "reason": "no credit" } });
    let first = phone.latest_id();
    assert_eq!(server.post(&inbound, &failed(&first)).await.1["effect"], "bounced");
    assert_eq!(server.post(&inbound, &failed(&first)).await.1["effect"], "none", "told twice");
    assert_eq!(known(&server).await, "waiting");
    server.pass(60).await;
    assert_eq!(taken(&server, &phone, 2).await, [command(A), command(A)]);
    assert_ne!(phone.latest_id(), first, "the gateway would drop a second message under the first id");
    assert_eq!(known(&server).await, "sent");
    assert_eq!(server.post(&inbound, &failed("nonsense")).await.1["effect"], "none");
}

async fn a_test_call_proves_it(home: Home) {
    let server = near(home).start().await;
    let spare = server.pair("spare", Profile::App).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "verify_handset": "spare" })).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    server.app_idle(&spare).await;
    server.pass(61).await;
    let (mid, phones) = server.app_dial(&spare).await;
    assert_eq!((phones, known(&server).await), (vec![PUBLIC.to_owned()], "verifying".to_owned()));
    server.report(&spare, &mid, Some(PUBLIC)).await;
    assert_eq!(known(&server).await, "answered");
    let alarm = line(&server).await["forwarded"]["verify_alarm_id"].as_str().unwrap().to_owned();
    server.post(&format!("/api/v1/alarms/{alarm}/acknowledge"), &json!({ "name": "李娜" })).await;
    assert_eq!(known(&server).await, "confirmed");
    for _ in 0..5 {
        server.pass(60).await;
    }
    server.app_idle(&spare).await;

    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::HandOverTrouble], "en").await;
    on_duty(&server, "王芳", B).await;
    taken(&server, &phone, 2).await;
    server.pass(61).await;
    let (mid, _) = server.app_dial(&spare).await;
    server.report(&spare, &mid, None).await;
    assert_eq!(known(&server).await, "unanswered");
    server.pass(1).await;
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (!room.texts().is_empty()).then_some(())
    })
    .await;
    assert!(room.texts()[0].contains("王芳") && room.texts()[0].contains("nobody picked up"), "{:?}", room.texts());

    // The handset that verifies is gone: then nothing is proved, either way.
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 3).await;
    server.pass(61).await;
    server.pass(301).await;
    server.pass(1).await;
    assert_eq!(known(&server).await, "sent");
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (room.texts().len() == 2).then_some(())
    })
    .await;
    assert!(room.texts()[1].contains("did not ask for the test call"), "{:?}", room.texts());
}

async fn only_a_call_that_somebody_took_proves_it(home: Home) {
    let server = near(home).start().await;
    let spare = server.pair("spare", Profile::App).await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    add_line(&server, json!({ "verify_handset": "spare" })).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    server.app_idle(&spare).await;
    server.pass(61).await;
    let (mid, _) = server.app_dial(&spare).await;
    server.report(&spare, &mid, None).await;
    let alarm = line(&server).await["forwarded"]["verify_alarm_id"].as_str().unwrap().to_owned();
    let tidied = server.post(&format!("/api/v1/alarms/{alarm}/acknowledge"), &json!({ "name": "李娜" })).await;
    assert_eq!((tidied.0, known(&server).await.as_str()), (200, "sent"), "a call that nobody took proves nothing");

    on_duty(&server, "王芳", B).await;
    taken(&server, &phone, 2).await;
    server.pass(76).await;
    let (mid, _) = server.app_dial(&spare).await;
    // The person on duty is rung at the public number, and answers by text message before the phone reports.
    let reply = |id: &str, sender: &str| json!({ "event": "sms:received", "id": id, "payload": { "messageId": id, "message": "ok", "sender": sender } });
    assert_eq!(server.post(&inbound, &reply("E2", B)).await.1["effect"], "confirmed");
    assert_ne!(known(&server).await, "confirmed", "nobody has said that the line connected");
    server.report(&spare, &mid, Some(PUBLIC)).await;
    assert_eq!(known(&server).await, "confirmed");
}

async fn what_a_bounce_makes_untrue_is_verified_again(home: Home) {
    let server = near(home).start().await;
    let spare = server.pair("spare", Profile::App).await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    add_line(&server, json!({ "verify_handset": "spare" })).await;
    on_duty(&server, "李娜", A).await;
    taken(&server, &phone, 1).await;
    server.app_idle(&spare).await;
    server.pass(61).await;
    let (mid, _) = server.app_dial(&spare).await;
    server.report(&spare, &mid, Some(PUBLIC)).await;
    assert_eq!(known(&server).await, "answered", "by whoever the number led to before");
    let failed =
        json!({ "event": "sms:failed", "id": "E", "payload": { "messageId": phone.latest_id(), "reason": "no signal" } });
    assert_eq!(server.post(&inbound, &failed).await.1["effect"], "bounced");
    assert_eq!(known(&server).await, "waiting");
    server.pass(60).await;
    taken(&server, &phone, 2).await;
    assert_eq!(known(&server).await, "sent");
    server.app_idle(&spare).await;
    server.pass(61).await;
    server.app_dial(&spare).await;
    assert_eq!(known(&server).await, "verifying");
}

/// SMSGate sends what waited for the signal in the order that it likes.
async fn an_outdated_command_that_comes_last_is_corrected(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    let delivered = |id: &str| json!({ "event": "sms:delivered", "id": format!("E{id}"), "payload": { "messageId": id } });
    let mut ids = Vec::new();
    for (count, (name, number)) in [("李娜", A), ("王芳", B)].into_iter().enumerate() {
        on_duty(&server, name, number).await;
        taken(&server, &phone, count + 1).await;
        ids.push(phone.latest_id());
    }
    for id in ids.iter().rev() {
        assert_eq!(server.post(&inbound, &delivered(id)).await.1["effect"], "delivered");
    }
    assert_eq!(taken(&server, &phone, 3).await, [command(A), command(B), command(B)]);
    // The earlier one told again changes nothing; and a correction has a day of its own.
    assert_eq!(server.post(&inbound, &delivered(&ids[0])).await.1["effect"], "none");
    assert_eq!(server.post(&inbound, &delivered(&ids[1])).await.1["effect"], "none", "of the first time it was sent");
    assert_eq!(known(&server).await, "sent");
    // In the order in which they were sent, nothing is said twice.
    ids.clear();
    for (count, (name, number)) in [("张伟", C), ("李娜", A)].into_iter().enumerate() {
        on_duty(&server, name, number).await;
        taken(&server, &phone, count + 4).await;
        ids.push(phone.latest_id());
    }
    for id in &ids {
        assert_eq!(server.post(&inbound, &delivered(id)).await.1["effect"], "delivered");
    }
    server.pass(60).await;
    taken(&server, &phone, 5).await;
    assert_eq!(known(&server).await, "delivered");
}

/// The phone was off for more than a day.
async fn a_correction_has_a_day_of_its_own(home: Home) {
    let server = near(home).start().await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::HandOverTrouble], "en").await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    add_line(&server, json!({})).await;
    let mut ids = Vec::new();
    for (count, (name, number)) in [("李娜", A), ("王芳", B)].into_iter().enumerate() {
        on_duty(&server, name, number).await;
        taken(&server, &phone, count + 1).await;
        ids.push(phone.latest_id());
    }
    server.pass(25 * 3600).await;
    for id in ids.iter().rev() {
        let delivered = json!({ "event": "sms:delivered", "id": format!("E{id}"), "payload": { "messageId": id } });
        assert_eq!(server.post(&inbound, &delivered).await.1["effect"], "delivered");
    }
    server.pass(1).await;
    assert_eq!(taken(&server, &phone, 3).await[2], command(B));
    deliver(&server).await;
    assert!(room.texts().is_empty(), "{:?}", room.texts());
}

async fn a_preview_sends_nothing(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    add_line(&server, json!({ "app_build": "first" })).await;
    let (status, preview) = server.post("/api/v1/lines/ops/preview", &json!({ "number": A })).await;
    assert_eq!((status, preview["message"].as_str()), (200, Some(format!("|*72{A}|autocall|今天你值班").as_str())));
    assert_eq!(
        (preview["encoding"].as_str(), preview["used"].as_i64(), preview["limit"].as_i64()),
        (Some("ucs2"), Some(30), Some(70))
    );
    assert!(preview["notes"][0].as_str().unwrap().contains("VoLTE"));
    server.pass(60).await;
    send(&server).await;
    assert_eq!(phone.requests(), 0);
}

async fn a_gateway_inside_must_be_named(home: Home) {
    let server = home.start().await;
    let (_, url) = Gateway::open().await;
    let settings = json!({ "kind": "smsgate", "url": format!("{url}/message"), "user": "sms", "password": "secret" });
    let (status, problem) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("url")));
    assert!(problem["detail"].as_str().unwrap().contains("sms.allow_networks"));
    let unknown = json!({ "kind": "fax", "url": url });
    assert_eq!(server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": unknown })).await.0, 422);
}
