//! E-mail: a message (RFC 5322) for a mail server, and what its answers mean.
//!
//! All that is told of an alarm is one conversation: each message says that it belongs to the alarm's own, which need never have been sent.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::{Address, Message};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{BASE, Length, Notice, Secret, Shape, Target, To, WrongSetting};
use crate::signal::mail::letter::OWN_NOTICE;

pub(super) const SHAPE: Shape = Shape {
    options: "E-mail: --url (smtp://HOST:587 or smtps://HOST:465), --from, --to (addresses), --user, --secret (the password)",
    secret: Secret::Signs,
    to: Some(To {
        what: "one to 20 addresses such as oncall@example.com, with commas between them",
        is_good: |text| addresses(text).is_some(),
    }),
    length: Length::utf16(20_000),
    check,
    is_mail: true,
    ..BASE
};

/// Addresses that one message goes to.
const MOST: usize = 20;
/// An address is no longer (RFC 5321).
const LONGEST_ADDRESS: usize = 254;
/// A subject is no longer, in characters.
const LONGEST_SUBJECT: usize = 150;
/// What a message is called that is about nothing.
const NO_SUBJECT: &str = "AutoCall";

/// How a connection to a mail server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// TLS from its first byte on.
    Tls,
    /// TLS once the server was asked; without, nothing is sent.
    StartTls,
    /// Not at all.
    Nothing,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub cover: Cover,
}

impl MailServer {
    /// That of an address: `smtps://HOST:465`, `smtp://HOST:587`, or `smtp://HOST:25?tls=none`.
    fn read(url: &str) -> Result<Self, WrongSetting> {
        const HOW: &str = "the address of a mail server is smtp://HOST:587, smtps://HOST:465 or, without encryption, \
                           smtp://HOST:25?tls=none";
        let wrong = || WrongSetting::new("url", HOW);
        let url = Url::parse(url).map_err(|_| wrong())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WrongSetting::new("url", "user and password of a mail server are given by --user and --secret"));
        }
        let cover = match (url.scheme(), url.query()) {
            ("smtps", None) => Cover::Tls,
            ("smtp", None) => Cover::StartTls,
            ("smtp", Some("tls=none")) => Cover::Nothing,
            _ => return Err(wrong()),
        };
        let usual = match cover {
            Cover::Tls => 465,
            Cover::StartTls => 587,
            Cover::Nothing => 25,
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(wrong());
        }
        Ok(Self { host, port: url.port().unwrap_or(usual), cover })
    }

    /// Whether it is meant to be this computer itself. Whether it is, says the address that is connected to.
    fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

/// A message that is ready to be sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// By which server.
    pub server: MailServer,
    /// Who the server is told that we are, where it wants to know.
    pub login: Option<(String, String)>,
    /// From whom.
    pub from: Address,
    /// To whom.
    pub to: Vec<Address>,
    /// All of it, as bytes of ASCII.
    pub message: Vec<u8>,
}

/// What is left of a message that some have and others do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOver {
    /// Who is still to be told.
    pub to: Vec<String>,
    /// Who never will be, each with what was said of it, without secrets.
    pub refused: Vec<String>,
}

impl Mail {
    /// The same for those alone who are still to be told.
    #[must_use]
    pub fn left(mut self, left: &LeftOver) -> Self {
        self.to.retain(|to| left.to.iter().any(|one| *one == to.to_string()));
        self
    }
}

/// The addresses in a text, each of which a mail server can be told as it is; `None` where one is none, or there are too many.
fn addresses(text: &str) -> Option<Vec<Address>> {
    let each: Option<Vec<Address>> = text.split(',').map(|one| address(one.trim())).collect();
    each.filter(|each| each.len() <= MOST)
}

fn address(text: &str) -> Option<Address> {
    // What is written with other letters would need servers that all know how.
    if text.len() > LONGEST_ADDRESS || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    text.parse().ok()
}

/// Whom a message is from: an address, or a name with one behind it.
fn mailbox(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.parse().ok()?;
    let is_good = !text.chars().any(char::is_control) && address(mailbox.email.as_ref()).is_some();
    is_good.then_some(mailbox)
}

fn check(target: &Target<'_>) -> Result<(), WrongSetting> {
    let server = MailServer::read(target.url)?;
    sender(target)?;
    match (target.settings.user.as_deref(), target.secret) {
        (Some(_), None) => {
            Err(WrongSetting::new("secret", "--user needs the password: --secret, --secret-file or the variable WEBHOOK_SECRET"))
        }
        (None, Some(_)) => Err(WrongSetting::new("user", "a password needs the user that it belongs to: --user")),
        (Some(user), Some(password)) if [user, password].iter().any(|text| text.chars().any(char::is_control)) => {
            Err(WrongSetting::new("user", "user and password hold no line breaks and no other control characters"))
        }
        (Some(_), Some(_)) if server.cover == Cover::Nothing && !server.is_here() => {
            Err(WrongSetting::new("url", "a password does not go out unencrypted: leave out tls=none, or --user"))
        }
        _ => Ok(()),
    }
}

fn sender(target: &Target<'_>) -> Result<Mailbox, WrongSetting> {
    let said = target.settings.from.as_deref();
    let said = said.ok_or_else(|| WrongSetting::new("from", "email needs --from: an address such as autocall@example.com"))?;
    mailbox(said).ok_or_else(|| {
        WrongSetting::new(
            "from",
            "--from must be an address, such as autocall@example.com or \"AutoCall <autocall@example.com>\"",
        )
    })
}

/// The message that tells a notice.
///
/// # Errors
/// The setting at fault.
pub(super) fn mail(target: &Target<'_>, notice: &Notice<'_>) -> Result<Mail, WrongSetting> {
    let from = sender(target)?;
    let to = addresses(target.to()).ok_or_else(|| WrongSetting::new("to", "--to holds what is no address"))?;
    let domain = from.email.domain().to_owned();
    let raw = |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    let mut message = Message::builder()
        .from(from.clone())
        .date(SystemTime::from(notice.happened_at))
        .subject(subject(notice))
        // The same at every try, so that whoever has it already can tell.
        .message_id(Some(format!("<{}@{domain}>", notice.id)))
        // No holiday note is sent in reply.
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        // A key for mail that gets our own notices raises no alarms of them.
        .raw_header(raw(OWN_NOTICE, "1"));
    for one in &to {
        message = message.to(one.clone().into());
    }
    if let Some(alarm) = notice.facts.pointer("/alarm/id").and_then(serde_json::Value::as_str) {
        let first = format!("<alarm.{alarm}@{domain}>");
        message = message.in_reply_to(first.clone()).references(first);
    }
    if notice.is_urgent {
        message = message.raw_header(raw("Importance", "high")).raw_header(raw("X-Priority", "1"));
    }
    let message = message.singlepart(SinglePart::plain(notice.text.replace('\r', "")));
    let message = message.map_err(|error| WrongSetting::new("from", format!("no e-mail can be made: {error}")))?;
    let login = target.settings.user.clone().map(|user| (user, target.token().to_owned()));
    Ok(Mail { server: MailServer::read(target.url)?, login, from: from.email, to, message: message.formatted() })
}

/// The same for all that is told of an alarm: some programs put a conversation together by that alone.
fn subject(notice: &Notice<'_>) -> String {
    let title = notice.title(LONGEST_SUBJECT).replace(char::is_control, " ");
    if title.trim().is_empty() { NO_SUBJECT.to_owned() } else { title }
}

/// How a password stands in what is said to a server, which may repeat it.
pub(super) fn as_said(target: &Target<'_>) -> Vec<String> {
    let Some(user) = &target.settings.user else { return Vec::new() };
    let password = target.token();
    vec![STANDARD.encode(password), STANDARD.encode(format!("\0{user}\0{password}"))]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::tests::{at, long};
    use crate::kinds::notices::{Parcel, WebhookSettings, WebhookShape, check, parcel, told_by_mail};
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const URL: &str = "smtp://mail.example.com:587";

    fn settings(from: Option<&str>, to: Option<&str>, user: Option<&str>) -> WebhookSettings {
        let own = |text: Option<&str>| text.map(str::to_owned);
        WebhookSettings { to: own(to), from: own(from), user: own(user), ..WebhookSettings::default() }
    }

    fn usual() -> WebhookSettings {
        settings(Some("AutoCall <autocall@example.com>"), Some("a@example.com, b@example.org"), None)
    }

    fn wrong(url: &str, secret: Option<&str>, settings: &WebhookSettings) -> Option<&'static str> {
        check(&Target { shape: WebhookShape::Email, url, secret, settings }).err().map(|wrong| wrong.setting)
    }

    fn written(title: &str, text: &str, facts: &Value) -> String {
        let settings = usual();
        let target = Target { shape: WebhookShape::Email, url: URL, secret: None, settings: &settings };
        assert_eq!(check(&target), Ok(()));
        let later = at() + TimeDelta::hours(3);
        let notice = Notice { id: "01a1", title, text, facts, link: None, is_urgent: true, happened_at: at(), at: later };
        match parcel(&target, &notice).unwrap() {
            Parcel::Mail(mail) => String::from_utf8(mail.message).unwrap(),
            Parcel::Request(_) => String::new(),
        }
    }

    /// The lines of a message above its first empty one, those put together that were folded.
    fn headers(message: &str) -> Vec<String> {
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_message_says_what_it_is_and_which_conversation_it_belongs_to() {
        let message = written("Disk full", "Alarm: disk full", &json!({ "alarm": { "id": "7f" } }));
        for wanted in [
            "From: AutoCall <autocall@example.com>",
            "To: a@example.com, b@example.org",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Subject: Disk full",
            "Message-ID: <01a1@example.com>",
            "References: <alarm.7f@example.com>",
            "In-Reply-To: <alarm.7f@example.com>",
            "Auto-Submitted: auto-generated",
            "Importance: high",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(headers(&message).contains(&wanted.to_owned()), "{wanted}: {message}");
        }
        assert!(message.contains("\r\n\r\nAlarm: disk full"), "{message:?}");
        let of_none = written("", "A handset is silent", &json!({ "alarm": null }));
        assert!(!of_none.contains("References:") && of_none.contains("Subject: AutoCall\r\n"), "{of_none}");
    }

    #[test]
    fn other_letters_are_written_in_ascii() {
        let message = written("磁盘满", "磁盘满：99 %", &json!({}));
        assert!(message.is_ascii() && message.contains("Subject: =?utf-8?b?56OB55uY5ruh?="), "{message}");
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        let text = STANDARD.decode(body.replace("\r\n", "")).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "磁盘满：99 %");
    }

    #[test]
    fn a_long_text_is_cut_off_and_its_lines_are_short() {
        for piece in ["word ", "磁盘", "👍", "x"] {
            let message = written(&long(piece), &long(piece), &json!({}));
            assert!(message.split("\r\n").all(|line| line.len() <= 998), "{piece}");
            assert!(message.len() < 120_000, "{piece}: {}", message.len());
        }
    }

    #[test]
    fn what_cannot_be_a_mail_server_is_refused() {
        for url in [URL, "smtps://mail.example.com", "smtp://[2001:db8::1]:25?tls=none", "smtp://10.0.0.5/"] {
            assert_eq!(wrong(url, None, &usual()), None, "{url}");
        }
        for url in [
            "https://mail.example.com/",
            "mail.example.com",
            "smtp://",
            "smtp://user:word@mail.example.com",
            "smtp://mail.example.com/inbox",
            "smtp://mail.example.com?tls=maybe",
            "smtps://mail.example.com?tls=none",
        ] {
            assert_eq!(wrong(url, None, &usual()), Some("url"), "{url}");
        }
        let server = MailServer::read("smtp://[::1]?tls=none").unwrap();
        assert_eq!((server.host.as_str(), server.port, server.is_here()), ("::1", 25, true));
    }

    #[test]
    fn a_password_goes_with_its_user_and_under_cover() {
        let with_user = WebhookSettings { user: Some("autocall".to_owned()), ..usual() };
        assert_eq!(wrong(URL, Some("geheim 1"), &with_user), None);
        assert_eq!(wrong(URL, None, &with_user), Some("secret"));
        assert_eq!(wrong(URL, Some("geheim"), &usual()), Some("user"));
        assert_eq!(wrong(URL, Some("a\r\nb"), &with_user), Some("user"));
        assert_eq!(wrong("smtp://mail.example.com?tls=none", Some("geheim"), &with_user), Some("url"));
        assert_eq!(wrong("smtp://127.0.0.1?tls=none", Some("geheim"), &with_user), None);
        let target = Target { shape: WebhookShape::Email, url: URL, secret: Some("geheim 1"), settings: &with_user };
        let said = "535 AGF1dG9jYWxsAGdlaGVpbSAx is wrong,\r\nand geheim 1 too";
        assert_eq!(told_by_mail(&target, said), "535 *** is wrong, and *** too");
    }

    #[test]
    fn addresses_are_those_that_every_server_takes() {
        let from = "autocall@example.com";
        let to = |to: &str| wrong(URL, None, &settings(Some(from), Some(to), None));
        assert_eq!(to("a@example.com,b@example.com"), None);
        let many = vec!["a@example.com"; 21].join(",");
        for bad in
            ["", "a", "a@example.com,", "A <a@example.com>", "a@example.com\r\nRCPT TO:<b@example.com>", "ü@example.com", &many]
        {
            assert_eq!(to(bad), Some("to"), "{bad}");
        }
        for bad in [None, Some(""), Some("nobody"), Some("x\r\nBcc: b@example.com <a@example.com>")] {
            assert_eq!(wrong(URL, None, &settings(bad, Some("a@example.com"), None)), Some("from"), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_summary_and_no_text_adds_a_header(title: String, text: String) {
            let plain = headers(&written("x", "x", &json!({})));
            let message = written(&title, &text, &json!({}));
            prop_assert!(message.is_ascii());
            let name = |line: &String| line.split(':').next().unwrap_or_default().to_owned();
            let names = |lines: &[String]| lines.iter().map(name).collect::<Vec<_>>();
            prop_assert_eq!(names(&headers(&message)), names(&plain));
        }
    }
}
