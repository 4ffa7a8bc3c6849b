//! Mail in: devices that can do nothing else raise alarms by SMTP, with a key of their own as the recipient, and nobody else does.

use std::process::Stdio;

use autocall::engine::Doer;
use autocall::keep::keys;
use autocall_tests::described::Held as _;
use autocall_tests::redis::reserve_port;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::harness::{A, B, Home, Server, on_both};
use crate::senders;

on_both!(
    python_mails_in_every_character_set_and_mails_that_it_is_over,
    a_key_for_mail_opens_nothing_else_and_no_other_key_opens_this,
    wrong_recipients_are_wrong_keys_and_look_all_alike,
    the_same_letter_twice_is_one_signal,
    what_comes_late_changes_nothing,
    one_letter_to_two_keys_is_two_alarms,
    who_has_to_wait_keeps_no_other_recipient_from_being_rung,
    a_revoked_key_keeps_no_other_recipient_from_being_rung,
    what_nobody_wrote_to_tell_of_something_rings_nobody,
    a_letter_cannot_be_smuggled_into_another,
    commands_may_come_all_at_once,
    what_is_cut_off_or_too_long_leaves_nothing,
    a_letter_is_taken_once_it_is_stored,
    a_device_that_goes_mad_is_slowed_down_and_nobody_else,
    an_address_has_a_share_of_the_connections,
    letters_that_are_made_to_cost_much_are_read_all_the_same,
);

/// A server that takes letters, and the port.
async fn started(home: Home) -> (Server, u16) {
    let port = reserve_port();
    (home.set("AUTOCALL_MAIL_LISTEN", &format!("127.0.0.1:{port}")).start().await, port)
}

async fn key(server: &Server, name: &str, phones: &[&str]) -> String {
    let phones: Vec<String> = phones.iter().map(|phone| (*phone).to_owned()).collect();
    let region = server.home.config().default_region;
    let add = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| keys::add_for_mail(work, name, &phones, region).await);
    add.await.unwrap()
}

/// A conversation, as whoever sends sees it.
struct Smtp(BufReader<TcpStream>);

impl Smtp {
    /// One that has begun.
    async fn to(port: u16) -> Self {
        let mut smtp = Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap()));
        assert!(smtp.reply().await.starts_with("220 "));
        assert!(smtp.say("EHLO device\r\n").await.starts_with("250 "));
        smtp
    }

    /// The last line of a reply; nothing when the other side has closed.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap_or_default() == 0 || line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn say(&mut self, words: &str) -> String {
        self.0.get_mut().write_all(words.as_bytes()).await.unwrap();
        self.reply().await
    }

    /// Sends a letter, and gives what is said of it, or of the first recipient that is not taken.
    async fn send(&mut self, to: &[&str], letter: &str) -> String {
        assert!(self.say("MAIL FROM:<ups@lan>\r\n").await.starts_with("250 "));
        for to in to {
            let reply = self.say(&format!("RCPT TO:<{to}>\r\n")).await;
            if !reply.starts_with("250 ") {
                return reply;
            }
        }
        assert!(self.say("DATA\r\n").await.starts_with("354 "));
        self.say(&format!("{letter}\r\n.\r\n")).await
    }
}

/// Sends one letter, and gives the status.
async fn sent(port: u16, to: &str, letter: &str) -> String {
    let reply = Smtp::to(port).await.send(&[to], letter).await;
    reply.chars().take(3).collect()
}

async fn alarms(server: &Server) -> Vec<Value> {
    server.items("/api/v1/alarms").await.as_array().unwrap().clone()
}

/// How many letters met this end.
async fn counted(server: &Server, result: &str) -> f64 {
    let page = server.page("/metrics").await;
    let series = format!("autocall_mails_total{{result=\"{result}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
}

/// What Python's own library sends.
async fn python_sends(port: u16, to: &str, subject: &str, charset: &str, text: &str) -> bool {
    const PROGRAM: &str = "import smtplib, sys\n\
        from email.header import Header\n\
        from email.mime.multipart import MIMEMultipart\n\
        from email.mime.text import MIMEText\n\
        port, to, subject, charset, text = sys.argv[1:]\n\
        letter = MIMEMultipart('alternative')\n\
        letter['Subject'] = Header(subject, charset)\n\
        letter['From'], letter['To'] = 'UPS <ups@lan>', to\n\
        letter.attach(MIMEText(text, 'plain', charset))\n\
        letter.attach(MIMEText('<p>a page</p>', 'html'))\n\
        with smtplib.SMTP('127.0.0.1', int(port)) as smtp:\n    smtp.sendmail('ups@lan', [to], letter.as_bytes())\n";
    let port = port.to_string();
    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", PROGRAM, &port, to, subject, charset, text]).env("PYTHONUTF8", "1").stderr(Stdio::null());
    python.status().await.unwrap().success()
}

async fn python_mails_in_every_character_set_and_mails_that_it_is_over(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@alarm.example", key(&server, "ups", &[A]).await);
    for (charset, subject, over, text) in [
        ("gb2312", "[告警] 机房温度 42", "[恢复] 机房温度 25", "三号机柜\n42 度"),
        ("iso-2022-jp", "障害: 回線", "復旧: 回線", "回線が切れました"),
        ("utf-8", "PROBLEM: disco de db1 (97 %)", "RESUELTO: disco de db1 (12 %)", "está lleno €"),
    ] {
        assert!(python_sends(port, &ups.to_uppercase(), subject, charset, text).await, "{charset}");
        let alarm = alarms(&server).await.remove(0);
        let id = alarm["id"].as_str().unwrap();
        let alarm = server.alarm(id).await;
        assert_eq!((&alarm["summary"], &alarm["details"]), (&json!(subject), &json!(text)));
        assert_eq!((&alarm["source"], &alarm["labels"]["from"]), (&json!("ups"), &json!("UPS <ups@lan>")));
        assert_eq!(alarm["callees"][0]["number"], "+8618712345678");
        assert!(python_sends(port, &ups, over, charset, text).await);
        assert_eq!(server.state(id).await, "resolved", "{over}");
        server.home.clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(alarms(&server).await.len(), 3);
    assert!(!python_sends(port, "nobody@alarm.example", "x", "utf-8", "x").await);
}

async fn a_key_for_mail_opens_nothing_else_and_no_other_key_opens_this(home: Home) {
    let (server, port) = started(home).await;
    let (mail, other) = (key(&server, "ups", &[A]).await, senders::key(&server, "prometheus", &[A]).await);
    for path in ["/api/v1/alarms", "/api/v1/people", "/v2/alerts"] {
        let answer = server.http.get(format!("{}{path}", server.base)).bearer_auth(&mail).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    let raised = server.http.post(format!("{}/k/{mail}/api/v1/intake/generic", server.base)).json(&json!({ "summary": "x" }));
    assert_eq!(raised.sent().await.unwrap().status(), 403);
    let event = json!({ "routing_key": mail, "event_action": "trigger", "payload": { "summary": "x", "source": "y" } });
    let answer = server.http.post(format!("{}/v2/enqueue", server.base)).json(&event).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(sent(port, &format!("{other}@x"), "Subject: x\r\n\r\nx").await, "550");
    assert_eq!(alarms(&server).await.len(), 0);
    assert_eq!(sent(port, &format!("{mail}@x"), "Subject: x\r\n\r\nx").await, "250");
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "ups").await).await.unwrap();
    assert_eq!(sent(port, &format!("{mail}@x"), "Subject: y\r\n\r\nx").await, "550", "it was revoked");
}

async fn wrong_recipients_are_wrong_keys_and_look_all_alike(home: Home) {
    let (server, port) = started(home.set("AUTOCALL_MAIL_DOMAINS", "alarm.example")).await;
    let ups = key(&server, "ups", &[A]).await;
    let mut wrong = Vec::new();
    for to in ["root@alarm.example", &format!("{ups}@elsewhere.example"), "ak_0@alarm.example", "", "\u{7535}@x", "@"] {
        wrong.push(Smtp::to(port).await.send(&[to], "x").await);
    }
    assert!(wrong.iter().all(|reply| *reply == wrong[0] && reply.starts_with("550 5.1.1 ")), "{wrong:?}");
    for _ in 0..20 {
        Smtp::to(port).await.send(&["root@alarm.example"], "x").await;
    }
    let mut guessing = Smtp::to(port).await;
    assert_eq!(guessing.send(&["root@alarm.example"], "x").await, wrong[0]);
    assert_eq!(guessing.reply().await, "", "that was enough");
    assert!(
        server.page("/metrics").await.contains("autocall_refusals_total{sender=\"(unknown)\",reason=\"too_many_wrong_keys\"}")
    );
    let guess = server.http.get(format!("{}/api/v1/alarms", server.base)).bearer_auth("ak_guess").send().await.unwrap();
    assert_eq!(guess.status(), 429, "it is the same count");
    for right in ["alarm.example", "ALARM.example", "[127.0.0.1]"] {
        assert_eq!(
            sent(port, &format!("{ups}@{right}"), "Subject: x\r\n\r\nx").await,
            "250",
            "{right}: a right one is never refused"
        );
    }
}

async fn the_same_letter_twice_is_one_signal(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@x", key(&server, "ups", &[A]).await);
    let letter = |id: &str, subject: &str| {
        format!("Message-ID: <{id}@ups>\r\nDate: {}\r\nSubject: {subject}\r\n\r\nx", server.now().to_rfc2822())
    };
    let first = letter("1", "on battery");
    for _ in 0..3 {
        assert_eq!(sent(port, &ups, &first).await, "250");
    }
    assert_eq!((counted(&server, "taken").await, counted(&server, "again").await), (1.0, 2.0));
    assert_eq!(sent(port, &ups, &letter("2", "on battery")).await, "250");
    assert_eq!(sent(port, &ups, &letter("1", "on battery: resolved")).await, "250", "devices there are that have one identifier");
    assert_eq!((counted(&server, "taken").await, counted(&server, "again").await), (3.0, 2.0));
    let all = alarms(&server).await;
    assert_eq!((all.len(), &all[0]["state"]), (1, &json!("resolved")), "{all:?}");
    assert_eq!(sent(port, &ups, &first).await, "250", "the first once more");
    assert_eq!(server.state(all[0]["id"].as_str().unwrap()).await, "resolved");
    // It is remembered by all nodes, and after a restart.
    let server = server.restart().await;
    assert_eq!(sent(port, &ups, &first).await, "250");
    assert_eq!((counted(&server, "taken").await, counted(&server, "again").await), (0.0, 1.0));
}

async fn what_comes_late_changes_nothing(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@x", key(&server, "ups", &[A]).await);
    let at = |minutes: i64, subject: &str| {
        format!("Date: {}\r\nSubject: {subject}\r\n\r\nx", (server.now() + TimeDelta::minutes(minutes)).to_rfc2822())
    };
    assert_eq!(sent(port, &ups, &at(-10, "on battery")).await, "250");
    assert_eq!(sent(port, &ups, &at(-5, "on battery: resolved")).await, "250");
    assert_eq!(sent(port, &ups, &at(-8, "on battery")).await, "250", "it tells of before the end");
    let all = alarms(&server).await;
    assert_eq!((all.len(), &all[0]["state"]), (1, &json!("resolved")));
    server.home.clock.advance(TimeDelta::minutes(30));
    assert_eq!(sent(port, &ups, &at(-60 * 24 * 365, "on battery")).await, "250");
    assert_eq!(alarms(&server).await.len(), 2, "a clock that nobody has set keeps nobody asleep");
}

async fn one_letter_to_two_keys_is_two_alarms(home: Home) {
    let (server, port) = started(home).await;
    let (one, two) = (key(&server, "one", &[A]).await, key(&server, "two", &[B]).await);
    let nobody = key(&server, "nobody", &[]).await;
    let to = [format!("{one}@x"), format!("{two}+rack3@x"), format!("{one}@y"), format!("{nobody}@x")];
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut smtp = Smtp::to(port).await;
    assert!(smtp.send(&to, "X-Priority: 1\r\nSubject: fan\r\n\r\nx").await.starts_with("250 "));
    let all = alarms(&server).await;
    let mut sources: Vec<&Value> = all.iter().map(|alarm| &alarm["source"]).collect();
    sources.sort_by_key(ToString::to_string);
    assert_eq!((sources, &all[0]["priority"]), (vec![&json!("one"), &json!("two")], &json!("high")));
    // The address says which alarm it is, whatever the subject says.
    assert!(smtp.send(&[to[1]], "Subject: all is well: OK\r\n\r\nx").await.starts_with("250 "));
    let all = alarms(&server).await;
    let state = |source: &str| all.iter().find(|alarm| alarm["source"] == source).unwrap()["state"].clone();
    assert_eq!((state("one"), state("two")), (json!("waiting"), json!("resolved")));
    let reply = smtp.send(&[to[3]], "Subject: fan\r\n\r\nx").await;
    assert!(reply.starts_with("554 5.6.0 phones: "), "nobody to ring, and nobody to tell but whoever sends: {reply}");
}

async fn who_has_to_wait_keeps_no_other_recipient_from_being_rung(home: Home) {
    let (server, port) = started(home.set("AUTOCALL_HTTP_ALARMS_PER_MINUTE", "1")).await;
    let [mad, calm] = [key(&server, "mad", &[A]).await, key(&server, "calm", &[B]).await].map(|key| format!("{key}@x"));
    assert_eq!(sent(port, &mad, "Subject: disk\r\n\r\nx").await, "250");
    let letter = format!("Message-ID: <1@ups>\r\nDate: {}\r\nSubject: fan\r\n\r\nx", server.now().to_rfc2822());
    let reply = Smtp::to(port).await.send(&[&mad, &calm], &letter).await;
    assert!(reply.starts_with("451 "), "the first has to come again: {reply}");
    let of = |all: &[Value], source: &str| all.iter().filter(|alarm| alarm["source"] == source).count();
    let all = alarms(&server).await;
    assert_eq!((of(&all, "mad"), of(&all, "calm")), (1, 1), "{all:?}");
    server.home.clock.advance(TimeDelta::seconds(60));
    assert!(Smtp::to(port).await.send(&[&mad, &calm], &letter).await.starts_with("250 "), "it comes again");
    let all = alarms(&server).await;
    assert_eq!((of(&all, "mad"), of(&all, "calm")), (2, 1), "{all:?}");
    assert_eq!(counted(&server, "again").await, 1.0, "and is known by whom it reached");
}

async fn a_revoked_key_keeps_no_other_recipient_from_being_rung(home: Home) {
    let (server, port) = started(home).await;
    let [one, gone, two] = [key(&server, "one", &[A]).await, key(&server, "gone", &[A]).await, key(&server, "two", &[B]).await];
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "gone").await).await.unwrap();
    for _ in 0..30 {
        Smtp::to(port).await.send(&[&format!("{gone}@x")], "x").await;
    }
    let mut smtp = Smtp::to(port).await;
    assert!(smtp.say("MAIL FROM:<ups@lan>\r\n").await.starts_with("250 "));
    for (to, is) in [(&one, "250 "), (&gone, "550 "), (&two, "250 ")] {
        assert!(smtp.say(&format!("RCPT TO:<{to}@x>\r\n")).await.starts_with(is));
    }
    assert!(smtp.say("DATA\r\n").await.starts_with("354 "));
    assert!(smtp.say("Subject: fan\r\n\r\nx\r\n.\r\n").await.starts_with("250 "));
    assert_eq!(smtp.reply().await, "", "then it ends");
    assert_eq!(alarms(&server).await.len(), 2);
}

async fn what_nobody_wrote_to_tell_of_something_rings_nobody(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@x", key(&server, "ups", &[A]).await);
    let report = "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\nSubject: Undelivered\r\n\r\n--x--";
    let round = format!("{}Subject: round\r\n\r\nx", "Received: by x\r\n".repeat(40));
    for letter in [report, "Auto-Submitted: auto-replied\r\nSubject: away\r\n\r\nx", &round] {
        assert_eq!(sent(port, &ups, letter).await, "250");
    }
    assert_eq!(alarms(&server).await.len(), 0);
    let mut smtp = Smtp::to(port).await;
    assert!(smtp.say("MAIL FROM:<>\r\n").await.starts_with("250 "));
    assert!(smtp.say(&format!("RCPT TO:<{ups}>\r\n")).await.starts_with("250 "));
    assert!(smtp.say("DATA\r\n").await.starts_with("354 "));
    assert!(smtp.say("Subject: fan\r\n\r\nx\r\n.\r\n").await.starts_with("250 "));
    assert_eq!(alarms(&server).await.len(), 1, "a device without a name of its own is a device");
}

async fn a_letter_cannot_be_smuggled_into_another(home: Home) {
    let (server, port) = started(home).await;
    let (ups, other) = (key(&server, "ups", &[A]).await, key(&server, "other", &[B]).await);
    let hidden = format!("MAIL FROM:<evil@x>\r\nRCPT TO:<{other}@x>\r\nDATA\r\nSubject: hidden\r\n\r\nx\r\n.\r\n");
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n"] {
        let mut smtp = Smtp::to(port).await;
        let reply = smtp.send(&[&format!("{ups}@x")], &format!("Subject: outer\r\n\r\nx{end}{hidden}")).await;
        assert!(reply.starts_with("521 "), "{end:?}: {reply}");
        assert_eq!(smtp.reply().await, "", "nothing after it is heard");
    }
    assert_eq!(alarms(&server).await.len(), 0);
    for none in ["\r.\r", "\r\n.\r"] {
        let letter = format!("Subject: outer {none:?}\r\n\r\nx{none}{hidden}");
        assert!(Smtp::to(port).await.send(&[&format!("{ups}@x")], letter.trim_end_matches(".\r\n")).await.starts_with("250 "));
    }
    let all = alarms(&server).await;
    assert!(all.len() == 2 && all.iter().all(|alarm| alarm["source"] == "ups"), "{all:?}");
    let mut smtp = Smtp::to(port).await;
    assert!(smtp.say(&format!("MAIL FROM:<x>\nRCPT TO:<{ups}@x>\r\n")).await.starts_with("500 "), "lines end with CR LF");
}

async fn commands_may_come_all_at_once(home: Home) {
    let (server, port) = started(home).await;
    let ups = key(&server, "ups", &[A]).await;
    let letter = |subject: &str| {
        format!("MAIL FROM:<x@lan>\r\nRCPT TO:<nobody@x>\r\nRCPT TO:<{ups}@x>\r\nDATA\r\nSubject: {subject}\r\n\r\n..x\r\n.\r\n")
    };
    let all = format!("EHLO x\r\n{}{}VRFY {ups}\r\nEXPN all\r\nQUIT\r\n", letter("fan"), letter("disk"));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for piece in all.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).await.unwrap();
    let statuses: Vec<&str> = replies.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| line.split_at(3).0).collect();
    let each = ["250", "550", "250", "354", "250"];
    assert_eq!(statuses, [&["220", "250"][..], &each, &each, &["502", "502", "221"]].concat(), "{replies}");
    let all = alarms(&server).await;
    assert_eq!((all.len(), &server.alarm(all[0]["id"].as_str().unwrap()).await["details"]), (2, &json!(".x")));
}

async fn what_is_cut_off_or_too_long_leaves_nothing(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@x", key(&server, "ups", &[A]).await);
    let mut cut = Smtp::to(port).await;
    assert!(cut.say("MAIL FROM:<x>\r\n").await.starts_with("250 "));
    assert!(cut.say(&format!("RCPT TO:<{ups}>\r\n")).await.starts_with("250 "));
    assert!(cut.say("DATA\r\n").await.starts_with("354 "));
    cut.0.get_mut().write_all(b"Subject: half a letter\r\n\r\nx\r\n.").await.unwrap();
    cut.0.get_mut().shutdown().await.unwrap();
    assert_eq!(cut.reply().await, "");
    let mut smtp = Smtp::to(port).await;
    assert!(smtp.say("MAIL FROM:<x> SIZE=1048577\r\n").await.starts_with("552 "));
    let long = format!("Subject: long\r\n\r\n{}", "x".repeat(1 << 20));
    assert!(smtp.send(&[&ups], &long).await.starts_with("552 "));
    assert!(smtp.say("MAIL FROM:<x> SIZE=1048576 BODY=8BITMIME\r\n").await.starts_with("250 "));
    for number in 0..11 {
        let reply = smtp.say(&format!("RCPT TO:<{ups}>\r\n")).await;
        assert!(reply.starts_with(if number < 10 { "250 " } else { "452 " }), "{number}: {reply}");
    }
    assert!(smtp.say("RSET\r\n").await.starts_with("250 "));
    assert!(smtp.say("DATA\r\n").await.starts_with("503 "));
    assert_eq!(alarms(&server).await.len(), 0);
    let detailed = format!("Subject: much\r\n\r\n{}", "much to say\r\n".repeat(70_000));
    assert!(smtp.send(&[&ups], &detailed).await.starts_with("250 "));
    let id = alarms(&server).await[0]["id"].as_str().unwrap().to_owned();
    assert!(server.alarm(&id).await["details"].as_str().unwrap().chars().count() <= 20_000);
}

async fn a_letter_is_taken_once_it_is_stored(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@x", key(&server, "ups", &[A]).await);
    server.lose_tables(true).await;
    assert_eq!(sent(port, &ups, "Message-ID: <1@x>\r\nSubject: fan\r\n\r\nx").await, "451");
    assert_eq!(counted(&server, "later").await, 1.0);
    server.lose_tables(false).await;
    assert_eq!(alarms(&server).await.len(), 0);
    assert_eq!(sent(port, &ups, "Message-ID: <1@x>\r\nSubject: fan\r\n\r\nx").await, "250", "it comes again");
    assert_eq!(alarms(&server).await.len(), 1);
    server.run_sql(vec!["ALTER TABLE api_keys RENAME TO api_keys_away".to_owned()]).await;
    let unheard_of = format!("ak_{}@x", "0".repeat(40));
    assert_eq!(sent(port, &unheard_of, "x").await, "451", "nobody can say whether it is right");
    assert_eq!(sent(port, "root@x", "x").await, "550", "and of this everybody can");
    server.run_sql(vec!["ALTER TABLE api_keys_away RENAME TO api_keys".to_owned()]).await;
    assert_eq!(sent(port, &unheard_of, "x").await, "550");
}

async fn a_device_that_goes_mad_is_slowed_down_and_nobody_else(home: Home) {
    let (server, port) = started(home.set("AUTOCALL_HTTP_ALARMS_PER_MINUTE", "3")).await;
    let (mad, calm) = (key(&server, "mad", &[A]).await, key(&server, "calm", &[B]).await);
    let mut smtp = Smtp::to(port).await;
    for number in 0..6 {
        let reply = smtp.send(&[&format!("{mad}@x")], &format!("Subject: disk db{number}\r\n\r\nx")).await;
        assert!(reply.starts_with(if number < 3 { "250 " } else { "451 " }), "{number}: {reply}");
    }
    assert_eq!(sent(port, &format!("{calm}@x"), "Subject: disk\r\n\r\nx").await, "250");
    server.home.clock.advance(TimeDelta::seconds(60));
    assert_eq!(sent(port, &format!("{mad}@x"), "Subject: disk db3\r\n\r\nx").await, "250", "it comes again");
    assert_eq!(alarms(&server).await.len(), 5);
}

async fn an_address_has_a_share_of_the_connections(home: Home) {
    let (_server, port) = started(home.set("AUTOCALL_MAIL_CONNECTIONS_PER_ADDRESS", "2")).await;
    let mut held = [Smtp::to(port).await, Smtp::to(port).await];
    let mut third = Smtp(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap()));
    assert!(third.reply().await.starts_with("421 "));
    for one in &mut held {
        assert!(one.say("NOOP\r\n").await.starts_with("250 "), "the others do not notice");
    }
}

async fn letters_that_are_made_to_cost_much_are_read_all_the_same(home: Home) {
    let (server, port) = started(home).await;
    let ups = format!("{}@x", key(&server, "ups", &[A]).await);
    let parts = "--x\r\nContent-Type: image/png\r\n\r\nAAAA\r\n".repeat(10_000);
    let nested: String =
        (0..2_000).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n")).collect();
    for (subject, rest) in [
        ("parts", format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{parts}--x--")),
        ("nested", nested),
        ("letters in letters", "Content-Type: message/rfc822\r\n\r\n".repeat(20_000)),
        ("base64", format!("Content-Transfer-Encoding: base64\r\n\r\n{}", "QUJD".repeat(200_000))),
        ("fields", "X-Field: =?utf-8?q?\r\n".repeat(40_000)),
        ("no such set", "Content-Type: text/plain; charset=\"utf-\u{fffd}\"\r\n\r\n\u{1b}$B\u{1b}(".to_owned()),
    ] {
        assert_eq!(sent(port, &ups, &format!("Subject: {subject}\r\n{rest}")).await, "250", "{subject}");
        assert_eq!(alarms(&server).await[0]["summary"], subject);
        server.home.clock.advance(TimeDelta::seconds(1));
    }
}
