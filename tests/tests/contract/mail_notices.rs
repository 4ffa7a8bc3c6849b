//! E-mail: notices that a mail server takes, refuses, or takes later; and what is never said to one.

use std::time::Duration;

use autocall::engine::Doer;
use autocall::keep::webhooks::{self, NewWebhook, WebhookError};
use autocall::kinds::guard::{AddressError, GuardedResolver};
use autocall::kinds::notices::{WebhookSettings, WebhookShape};
use autocall::store::lines::webhooks::{DeliveryRow, NoticeKind};
use autocall::store::watch::handsets::Profile;
use autocall_tests::mail::{Certificate, MailServer};
use autocall_tests::wait::eventually;
use chrono::DateTime;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::harness::{A, Home, Server, on_both};
use crate::notices::deliver;

on_both!(
    all_that_is_told_of_an_alarm_is_one_conversation,
    who_is_greylisted_is_told_later,
    what_a_server_has_against_us_is_not_final,
    what_is_refused_for_good_is_given_up_without_its_secret,
    those_who_are_known_are_told_though_others_are_not,
    those_who_are_left_are_told_alone,
    what_nobody_was_told_of_holds_back_what_came_later,
    who_hangs_up_is_asked_again,
    a_server_that_says_nothing_is_left_alone,
    what_is_no_mail_server_is_found_out,
    nothing_is_said_under_a_certificate_that_nobody_trusts,
    nothing_is_said_where_encryption_is_not_offered,
    what_mail_needs_is_asked_for,
);

const SOON: Duration = Duration::from_mins(1);

async fn start(home: Home) -> Server {
    home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8,::1/128").start().await
}

/// A webhook that tells these by mail, in English.
fn by_mail(url: &str, to: &str) -> NewWebhook {
    let settings = WebhookSettings {
        to: Some(to.to_owned()),
        from: Some("AutoCall <autocall@example.com>".to_owned()),
        ..WebhookSettings::default()
    };
    NewWebhook {
        name: "mail".to_owned(),
        url: url.to_owned(),
        shape: WebhookShape::Email,
        secret: None,
        settings,
        kinds: vec![NoticeKind::Raised, NoticeKind::Answered],
        language: "en".to_owned(),
    }
}

fn plain(server: &MailServer) -> String {
    format!("smtp://127.0.0.1:{}?tls=none", server.port())
}

async fn add(server: &Server, new: &NewWebhook) -> Result<(), WebhookError> {
    let guard = GuardedResolver::new(&server.app.engine.config.notify.allow_networks);
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| webhooks::add(work, new, &guard).await.map(|_| ())).await
}

/// The latest notice once something has come of it, at a try after the first ones.
async fn tried(server: &Server, attempts: i32) -> DeliveryRow {
    eventually("a notice is tried", SOON, async || {
        deliver(server).await;
        let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(1).await.unwrap();
        let row = log.into_iter().next()?;
        (row.last_result.is_some() && row.attempts >= attempts).then_some(row)
    })
    .await
}

async fn taken(server: &Server, mail: &MailServer, count: usize) -> Vec<Value> {
    let taken = eventually("mail is taken", SOON, async || {
        deliver(server).await;
        Some(mail.taken()).filter(|taken| taken.len() >= count)
    })
    .await;
    assert_eq!(taken.len(), count, "{taken:?}");
    taken
}

async fn all_that_is_told_of_an_alarm_is_one_conversation(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    add(&server, &by_mail(&plain(&mail), "ops@example.com, boss@example.org")).await.unwrap();
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "summary": "磁盘满\nBcc: all@example.com", "priority": "critical" })).await;
    taken(&server, &mail, 1).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let told = taken(&server, &mail, 2).await;
    let header = |message: &Value, name: &str| message["headers"][name].as_str().unwrap_or_default().to_owned();
    for message in &told {
        assert_eq!(message["to"], json!(["ops@example.com", "boss@example.org"]));
        assert_eq!(header(message, "from"), "AutoCall <autocall@example.com>");
        assert_eq!(header(message, "references"), format!("<alarm.{id}@example.com>"));
        assert_eq!(
            (header(message, "auto-submitted"), header(message, "x-autocall-notice")),
            ("auto-generated".into(), "1".into())
        );
        assert!(header(message, "subject").starts_with("磁盘满"), "{message}");
        assert!(!message["names"].as_array().unwrap().contains(&json!("Bcc")), "{message}");
    }
    assert!(told[0]["text"].as_str().unwrap().contains("磁盘满"), "{told:?}");
    assert_eq!(header(&told[0], "subject"), header(&told[1], "subject"));
    assert_ne!(header(&told[0], "message-id"), header(&told[1], "message-id"));
    let row = tried(&server, 1).await;
    assert_eq!((row.delivered_at.is_some(), row.last_result.as_deref()), (true, Some("250 2.0.0 queued as 7F3A")));
}

async fn who_is_greylisted_is_told_later(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    add(&server, &by_mail(&plain(&mail), "grey@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    let why = "grey@example.com: 451 4.7.1 greylisted, try again later";
    assert_eq!((row.delivered_at, row.gave_up_at, row.last_result.as_deref()), (None, None, Some(why)));
    assert_eq!(mail.taken().len(), 0);
    server.pass(6).await;
    taken(&server, &mail, 1).await;
}

async fn what_a_server_has_against_us_is_not_final(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    let alone = by_mail(&plain(&mail), "relay@example.com");
    add(&server, &alone).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    let why = "relay@example.com: 554 5.7.1 <relay@example.com>: Relay access denied";
    assert_eq!((row.delivered_at, row.gave_up_at, row.last_result.as_deref()), (None, None, Some(why)));
    server.pass(6).await;
    let row = tried(&server, 2).await;
    assert_eq!((row.delivered_at, row.gave_up_at), (None, None));
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| webhooks::remove(work, "mail").await).await.unwrap();
    // Beside one who is taken it is about that recipient.
    add(&server, &by_mail(&plain(&mail), "ops@example.com,relay@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    assert_eq!(taken(&server, &mail, 1).await[0]["to"], json!(["ops@example.com"]));
    let row = tried(&server, 1).await;
    assert_eq!(row.last_result, Some(format!("250 2.0.0 queued as 7F3A; not told: {why}")));
    assert!(row.delivered_at.is_some(), "{row:?}");
}

async fn what_is_refused_for_good_is_given_up_without_its_secret(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&["--login", "autocall:geheim-1"]).await;
    let mut new = by_mail(&plain(&mail), "unknown@example.com");
    new.settings.user = Some("autocall".to_owned());
    new.secret = Some("geheim-1".to_owned());
    add(&server, &new).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    let why = "unknown@example.com: 550 5.1.1 no such user here, password ***";
    assert_eq!((row.gave_up_at.is_some(), row.last_result.as_deref()), (true, Some(why)));
    // The message itself.
    let strict = NewWebhook { name: "strict".to_owned(), ..new.clone() };
    let strict =
        NewWebhook { settings: WebhookSettings { to: Some("strict@example.com".to_owned()), ..new.settings.clone() }, ..strict };
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| webhooks::remove(work, "mail").await).await.unwrap();
    add(&server, &strict).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert_eq!(row.last_result.as_deref(), Some("554 5.6.0 this message is not wanted here"));
    // The password.
    store.carry_out(server.now(), Doer::Server, async |work| webhooks::remove(work, "strict").await).await.unwrap();
    add(&server, &NewWebhook { secret: Some("geheim-2".to_owned()), ..new }).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert!(row.last_result.as_deref().unwrap().starts_with("535 "), "{row:?}");
    assert_eq!((row.delivered_at, row.gave_up_at), (None, None), "a password may be put right");
    assert_eq!(mail.taken().len(), 0);
}

async fn those_who_are_known_are_told_though_others_are_not(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    add(&server, &by_mail(&plain(&mail), "ops@example.com,unknown@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    let told = taken(&server, &mail, 1).await;
    assert_eq!(told[0]["to"], json!(["ops@example.com"]));
    let row = tried(&server, 1).await;
    let said = row.last_result.unwrap();
    assert!(
        row.delivered_at.is_some() && said.starts_with("250 2.0.0 queued as 7F3A; not told: unknown@example.com: 550"),
        "{said}"
    );
    server.pass(3600).await;
    deliver(&server).await;
    assert_eq!(mail.taken().len(), 1, "told is told");
}

async fn those_who_are_left_are_told_alone(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    add(&server, &by_mail(&plain(&mail), "ops@example.com,unknown@example.com,full@example.com,grey@example.com")).await.unwrap();
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A], json!({})).await;
    let told = taken(&server, &mail, 1).await;
    assert_eq!(told[0]["to"], json!(["ops@example.com"]));
    let row = tried(&server, 1).await;
    let said = row.last_result.unwrap();
    assert_eq!((row.delivered_at, row.gave_up_at), (None, None), "{said}");
    assert!(said.starts_with("250 2.0.0 queued as 7F3A; not told: unknown@example.com: 550"), "{said}");
    // Who waits for what came before does not keep others from what came later.
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let told = taken(&server, &mail, 2).await;
    assert_eq!(told[1]["to"], json!(["ops@example.com", "grey@example.com"]));
    assert_ne!(told[1]["headers"]["message-id"], told[0]["headers"]["message-id"]);
    server.pass(6).await;
    let told = taken(&server, &mail, 3).await;
    assert_eq!(told[2]["to"], json!(["grey@example.com"]), "neither who has it nor who is unknown");
    assert_eq!(told[2]["headers"]["message-id"], told[0]["headers"]["message-id"], "the same message");
    let first = eventually("who is left is written down", SOON, async || {
        let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(2).await.unwrap();
        let first = log.into_iter().find(|row| row.kind == NoticeKind::Raised)?;
        first.left_over.as_ref().is_some_and(|left| left.0.to == ["full@example.com"]).then_some(first)
    })
    .await;
    assert_eq!((first.delivered_at, first.gave_up_at), (None, None));
    let said = first.last_result.unwrap();
    assert!(said.contains("unknown@example.com: 550"), "{said}");
    // A day later it is given up, and the log says for whom.
    server.pass(25 * 3600).await;
    let log = eventually("it is given up", SOON, async || {
        deliver(&server).await;
        let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(2).await.unwrap();
        log.iter().all(|row| row.gave_up_at.is_some()).then_some(log)
    })
    .await;
    assert!(log.iter().all(|row| row.last_result.as_deref().unwrap().contains("full@example.com: 452")), "{log:?}");
    assert_eq!(mail.taken().len(), 3);
}

async fn what_nobody_was_told_of_holds_back_what_came_later(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    add(&server, &by_mail(&plain(&mail), "unknown@example.com,grey@example.com")).await.unwrap();
    let desk = server.pair("desk", Profile::App).await;
    let raised_at = server.now();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert_eq!((row.delivered_at, row.gave_up_at, row.left_over), (None, None, None));
    let said = row.last_result.unwrap();
    assert!(said.starts_with("not told: unknown@example.com: 550") && said.contains("not told yet: grey@"), "{said}");
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    deliver(&server).await;
    assert_eq!(mail.taken(), Vec::<Value>::new(), "grey would be taken now, but has not heard of the alarm");
    server.pass(6).await;
    let told = taken(&server, &mail, 2).await;
    assert!(told[0]["text"].as_str().unwrap().starts_with("Alarm"), "{told:?}");
    let date = told[0]["headers"]["date"].as_str().unwrap();
    assert_eq!(
        DateTime::parse_from_rfc2822(date).unwrap().timestamp(),
        raised_at.timestamp(),
        "when it happened, not when it was told"
    );
}

/// A mail server that takes a recipient in this way, and hangs up.
async fn hanging_up(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}?tls=none", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            let _ = stream.write_all(b"220 mail.example.com\r\n").await;
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                if line.starts_with("RCPT") {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    break;
                }
                let _ = stream.write_all(b"250 ok\r\n").await;
                line.clear();
            }
            let _ = stream.shutdown().await;
        }
    });
    url
}

async fn who_hangs_up_is_asked_again(home: Home) {
    let server = start(home).await;
    let store = &server.app.engine.store;
    for (answer, why) in
        [("421 4.3.2 going down\r\n", "421 4.3.2 going down"), ("", "it has hung up"), ("250-o", "it has hung up")]
    {
        add(&server, &by_mail(&hanging_up(answer).await, "ops@example.com")).await.unwrap();
        server.raise(&[A], json!({})).await;
        let row = tried(&server, 1).await;
        assert_eq!((row.delivered_at, row.gave_up_at, row.last_result.as_deref()), (None, None, Some(why)), "{answer}");
        server.pass(6).await;
        let row = tried(&server, 2).await;
        assert_eq!((row.delivered_at, row.gave_up_at), (None, None), "{answer}");
        store.carry_out(server.now(), Doer::Server, async |work| webhooks::remove(work, "mail").await).await.unwrap();
    }
}

async fn a_server_that_says_nothing_is_left_alone(home: Home) {
    let server = start(home).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    add(&server, &by_mail(&url, "ops@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert_eq!((row.delivered_at, row.last_result.as_deref()), (None, Some("it takes too long")));
}

async fn what_is_no_mail_server_is_found_out(home: Home) {
    let server = start(home).await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", other.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            // More than a mail server has to say, and no line of it ends.
            let _ = stream.write_all(&b"220 mail.example.com".repeat(100_000)).await;
        }
    });
    add(&server, &by_mail(&url, "ops@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert_eq!((row.delivered_at, row.last_result.as_deref()), (None, Some("it says more than a mail server has to say")));
}

async fn nothing_is_said_under_a_certificate_that_nobody_trusts(home: Home) {
    let server = start(home).await;
    let certificate = Certificate::make();
    let (pem, key) = (certificate.path("mail.pem"), certificate.path("mail.key"));
    for at_once in [false, true] {
        let mut args = vec!["--cert", pem.as_str(), "--key", key.as_str(), "--login", "autocall:geheim-1"];
        args.extend(at_once.then_some("--at-once"));
        let mail = MailServer::start(&args).await;
        let scheme = if at_once { "smtps" } else { "smtp" };
        let mut new = by_mail(&format!("{scheme}://localhost:{}", mail.port()), "ops@example.com");
        new.name = scheme.to_owned();
        new.settings.user = Some("autocall".to_owned());
        new.secret = Some("geheim-1".to_owned());
        add(&server, &new).await.unwrap();
        server.raise(&[A], json!({})).await;
        let row = tried(&server, 1).await;
        let said = row.last_result.unwrap();
        assert!(row.delivered_at.is_none() && said.contains("certificate"), "{said}");
        assert_eq!(mail.said(), Vec::<Value>::new());
        let store = &server.app.engine.store;
        store.carry_out(server.now(), Doer::Server, async |work| webhooks::remove(work, scheme).await).await.unwrap();
    }
}

async fn nothing_is_said_where_encryption_is_not_offered(home: Home) {
    let server = start(home).await;
    let mail = MailServer::start(&[]).await;
    add(&server, &by_mail(&format!("smtp://127.0.0.1:{}", mail.port()), "ops@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert!(row.last_result.as_deref().unwrap().contains("STARTTLS"), "{row:?}");
    assert_eq!((row.delivered_at, mail.said()), (None, Vec::new()));
}

async fn what_mail_needs_is_asked_for(home: Home) {
    let server = home.start().await;
    let address = async |url: &str| match add(&server, &by_mail(url, "ops@example.com")).await {
        Err(WebhookError::Address(error)) => error,
        other => panic!("{other:?}"),
    };
    for inside in ["smtp://127.0.0.1:25?tls=none", "smtps://[::1]", "smtp://10.0.0.1:587"] {
        assert!(matches!(address(inside).await, AddressError::Inside { .. }), "{inside}");
    }
    for none in ["https://mail.example.com/", "mail.example.com:25", "smtp://"] {
        let wrong = add(&server, &by_mail(none, "ops@example.com")).await;
        assert!(matches!(wrong, Err(WebhookError::Setting(wrong)) if wrong.setting == "url"), "{none}");
    }
    assert!(matches!(add(&server, &by_mail("", "ops@example.com")).await, Err(WebhookError::NoAddress("email"))));
    let wrong = add(&server, &by_mail("smtp://mail.example.com", "ops")).await;
    assert!(matches!(wrong, Err(WebhookError::Setting(wrong)) if wrong.setting == "to"));
    let mut of_another = by_mail("https://hooks.example.com/x", "ops");
    of_another.shape = WebhookShape::Slack;
    of_another.settings.to = None;
    let wrong = add(&server, &of_another).await;
    assert!(matches!(wrong, Err(WebhookError::Setting(wrong)) if wrong.setting == "from"));
    // A name that leads inside is found out when it is looked up.
    add(&server, &by_mail("smtp://localhost:25?tls=none", "ops@example.com")).await.unwrap();
    server.raise(&[A], json!({})).await;
    let row = tried(&server, 1).await;
    assert_eq!(row.last_result.as_deref(), Some("localhost is an address inside; add its network to notify.allow_networks"));
}
