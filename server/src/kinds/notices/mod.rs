//! What a notice looks like on the wire, a file for each form: what it needs to know, the request, and what counts as taken.
//! Nothing is sent here.
//!
//! To add a form: a file here, or in `push/` where it goes to phones, its `mod`, and its line in `shapes!`.

mod asks;
mod dingtalk;
mod discord;
mod email;
mod feishu;
mod json;
mod length;
mod line;
mod matrix;
mod mattermost;
mod push;
mod slack;
mod teams;
mod telegram;
mod template;
mod wecom;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::asks::Addressed;
pub use self::email::{Cover, LeftOver, Mail, MailServer};
use self::length::Length;
pub use self::template::{Sign, Template};
use super::answer;
use super::signature::sign;
use super::{calendar, hidden};
use crate::ids::hex;

/// What a service says of a refusal is kept up to this length.
const LONGEST_WORDS: usize = 200;
/// Who is asked too often and does not say for how long: limits are those of a minute.
const USUAL_PATIENCE: TimeDelta = TimeDelta::minutes(1);
/// The status that says so.
const TOO_MANY: u16 = 429;

/// What a form needs to know beside the address and the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookSettings {
    /// Who in the service is told: a chat, a user, a topic, a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// From whom, where that is to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whose the secret is, where it is a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who is called by each notice, beside whoever reads it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// The request, where its operator writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// Where a notice goes, as an operator has set it up.
#[derive(Clone, Copy)]
pub struct Target<'t> {
    /// In which form.
    pub shape: WebhookShape,
    /// Where it is posted, or where the service is.
    pub url: &'t str,
    /// What signatures are made with, or a token.
    pub secret: Option<&'t str>,
    /// What else the form needs to know.
    pub settings: &'t WebhookSettings,
}

impl<'t> Target<'t> {
    /// A secret that the service has given out; empty when there is none.
    fn token(&self) -> &'t str {
        self.secret.unwrap_or_default()
    }

    /// Who is called, each as it stands in a text of this service.
    fn called(&self) -> String {
        let Some(mention) = &self.shape.shape().mention else { return String::new() };
        let each: Vec<String> = self.settings.mentions.iter().map(|who| (mention.written)(who)).collect();
        each.into_iter().filter(|who| !who.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// A text behind those who are called by it.
    fn calling(&self, text: &str) -> String {
        let called = self.called();
        if called.is_empty() { text.to_owned() } else { format!("{called} {text}") }
    }

    /// Who in the service is told; empty when that is not said.
    fn to(&self) -> &'t str {
        self.settings.to.as_deref().unwrap_or_default()
    }
}

/// A notice that is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'n> {
    /// The same at every try, so that a service can tell a repetition.
    pub id: &'n str,
    /// What it is about, in short.
    pub title: &'n str,
    /// For people.
    pub text: &'n str,
    /// For programs.
    pub facts: &'n Value,
    /// Where somebody can answer, where there is one such address.
    pub link: Option<&'n str>,
    /// Whether a phone is to be loud about it.
    pub is_urgent: bool,
    /// When it happened: the same at every try.
    pub happened_at: DateTime<Utc>,
    /// When it is told.
    pub at: DateTime<Utc>,
}

impl Notice<'_> {
    /// What it is about, in one line of so many characters at most.
    fn title(&self, most: usize) -> String {
        Length::utf16(most).cut(self.title.lines().next().unwrap_or_default()).into_owned()
    }

    /// The text where a line needs an empty one before it.
    fn paragraphs(&self) -> String {
        self.text.replace('\n', "\n\n")
    }
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// How.
    pub method: Method,
    /// Where; it may hold a secret.
    pub url: String,
    /// All of them.
    pub headers: Vec<(String, String)>,
    /// What.
    pub body: String,
}

impl Envelope {
    /// JSON that is posted.
    fn post(url: impl Into<String>, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { method: Method::POST, url: url.into(), headers, body: body.to_string() }
    }

    /// The same with another header.
    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What goes out for a notice: most services take a request.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// A request.
    Request(Envelope),
    /// A message for a mail server.
    Mail(Mail),
}

/// An address with these segments at the end of its path.
fn below(address: &str, segments: &[&str]) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url.into()
}

/// An address with these parameters behind its own.
fn with_query(address: &str, parameters: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    url.query_pairs_mut().extend_pairs(parameters);
    url.into()
}

/// What a service answered.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body as text.
    pub body: &'a str,
}

impl Answer<'_> {
    /// Whether its status says that the request was good.
    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it says as JSON; null when it says something else.
    fn json(&self) -> Value {
        serde_json::from_str(self.body).unwrap_or_default()
    }

    /// What it says in words, all of them: they are cut once no secret stands in them.
    fn words(&self) -> Option<String> {
        let said = self.json();
        let text = match &said {
            Value::Object(_) => explained(&said).or_else(|| explained(&said["error"]))?,
            _ if answer::is_page(self.body) => return None,
            _ => self.body,
        };
        let is_blank = |c: char| c.is_control() || c.is_whitespace();
        Some(text.trim_matches(is_blank).to_owned()).filter(|words| !words.is_empty())
    }

    /// Whether its code in this field is one of these.
    fn has_code(&self, field: &str, codes: &[i64]) -> bool {
        self.json()[field].as_i64().is_some_and(|code| codes.contains(&code))
    }

    /// Its status and its words.
    fn told(&self) -> String {
        match self.words() {
            Some(words) => format!("HTTP {}: {words}", self.status),
            None => format!("HTTP {}", self.status),
        }
    }

    /// What it says instead of yes.
    fn refusal(&self) -> String {
        match self.words() {
            Some(words) if self.is_good() => format!("refused: {words}"),
            None if self.is_good() => "an answer that is not this service's: is this its address?".to_owned(),
            _ => self.told(),
        }
    }

    /// Taken by a good status.
    fn taken(&self) -> Result<(), String> {
        if self.is_good() { Ok(()) } else { Err(self.refusal()) }
    }

    /// Taken where it also says so itself, as JSON.
    fn says(&self, so: impl FnOnce(&Value) -> bool) -> Result<(), String> {
        if self.is_good() && so(&self.json()) { Ok(()) } else { Err(self.refusal()) }
    }
}

/// What a service says, in one line that is not too long.
fn in_short(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    Length::utf16(LONGEST_WORDS).cut(&words.join(" ")).into_owned()
}

/// The field in which a service explains itself.
fn explained(said: &Value) -> Option<&str> {
    const FIELDS: [&str; 7] = ["description", "errorDescription", "errmsg", "message", "msg", "error", "info"];
    FIELDS.iter().find_map(|name| said.get(*name)?.as_str().filter(|text| !text.trim().is_empty()))
}

/// Reads an answer that holds a code in this field, which is 0 when all is well.
fn code_in(field: &str, answer: &Answer<'_>) -> Result<(), String> {
    answer.taken()?;
    match (answer.json()[field].as_i64(), answer.words()) {
        (Some(0), _) => Ok(()),
        (Some(code), Some(words)) => Err(format!("refused with {field} {code}: {words}")),
        (Some(code), None) => Err(format!("refused with {field} {code}")),
        (None, _) => Err(format!("an answer without {field}: is this the service's address?")),
    }
}

/// What a form does with a secret.
enum Secret {
    /// It signs, or nothing is done with it.
    Signs,
    /// It is a token, which not every installation of the service wants.
    Optional,
    /// It is a token, and this is what people call it.
    Needed(&'static str),
}

/// Who in a service can be told.
struct To {
    /// What is to be said, for people.
    what: &'static str,
    /// Whether this can be it.
    is_good: fn(&str) -> bool,
}

/// How somebody is called in a service.
struct Mention {
    /// What is to be said, for people.
    what: &'static str,
    /// Whether this can be it.
    is_good: fn(&str) -> bool,
    /// How they stand in a text; empty where they stand beside it.
    written: fn(&str) -> String,
}

/// So many are called by one notice.
const MOST_MENTIONS: usize = 20;
/// What calls somebody is no longer, in bytes.
const LONGEST_MENTION: usize = 100;
/// The word for everybody.
const ALL: &str = "all";

/// What a form is.
struct Shape {
    /// What it is, and which options it takes, for the command line.
    options: &'static str,
    /// Where the service is, by the secret; nothing where its operator has to say it.
    home: fn(&str) -> Option<String>,
    secret: Secret,
    /// Nothing where the address says who is told.
    to: Option<To>,
    /// Nothing where nobody can be called.
    mention: Option<Mention>,
    length: Length,
    /// It goes by mail, and not by a request.
    is_mail: bool,
    /// What else can be wrong.
    check: fn(&Target<'_>) -> Result<(), WrongSetting>,
    /// The request.
    envelope: fn(&Target<'_>, &Notice<'_>) -> Envelope,
    /// Whether an answer that is no yes says, beside its status, that too much was sent.
    is_busy: fn(&Answer<'_>) -> bool,
    /// Whether an answer says that it was taken; else what it says instead.
    accepted: fn(&Answer<'_>, &WebhookSettings) -> Result<(), String>,
}

/// What most forms have in common.
const BASE: Shape = Shape {
    options: "",
    home: |_| None,
    secret: Secret::Signs,
    to: None,
    mention: None,
    length: Length::ANY,
    is_mail: false,
    check: |_| Ok(()),
    envelope: |target, notice| Envelope::post(target.url, notice.facts),
    is_busy: |_| false,
    accepted: |answer, _| answer.taken(),
};

macro_rules! shapes {
    ($($(#[$meaning:meta])* $name:ident in $($file:ident)::+ = $word:literal;)+) => {
        /// In which form notices are posted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum WebhookShape {
            $($(#[$meaning])* $name),+
        }

        impl WebhookShape {
            /// All forms.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            fn shape(self) -> &'static Shape {
                match self { $(Self::$name => &$($file)::+::SHAPE),+ }
            }
        }
    };
}

shapes! {
    /// All facts, for programs; signed.
    Json in json = "json";
    /// Slack, and what takes the same form.
    Slack in slack = "slack";
    /// Mattermost: Slack's form with its own limit.
    Mattermost in mattermost = "mattermost";
    /// A workflow of Microsoft Teams.
    Teams in teams = "teams";
    /// Discord.
    Discord in discord = "discord";
    /// A bot of Telegram.
    Telegram in telegram = "telegram";
    /// A room of Matrix.
    Matrix in matrix = "matrix";
    /// An official account of LINE.
    Line in line = "line";
    /// `WeCom` group robot.
    Wecom in wecom = "wecom";
    /// `DingTalk` robot.
    Dingtalk in dingtalk = "dingtalk";
    /// Feishu robot.
    Feishu in feishu = "feishu";
    /// E-mail.
    Email in email = "email";
    /// Phones with ntfy.
    Ntfy in push::ntfy = "ntfy";
    /// Phones with Gotify.
    Gotify in push::gotify = "gotify";
    /// Phones with Bark.
    Bark in push::bark = "bark";
    /// Phones with `PushDeer`.
    Pushdeer in push::pushdeer = "pushdeer";
    /// Phones with `ServerChan` (Server酱).
    Serverchan in push::serverchan = "serverchan";
    /// Anything else that takes an HTTP request, as its operator writes it.
    Template in template = "template";
}

impl WebhookShape {
    /// The form of this word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|shape| shape.as_str() == word)
    }

    /// What it is, and which options it takes, for the command line.
    #[must_use]
    pub fn options(self) -> &'static str {
        self.shape().options
    }

    /// Whether it goes by mail, and not by a request.
    #[must_use]
    pub fn is_mail(self) -> bool {
        self.shape().is_mail
    }

    /// Where its service is; `None` where its operator has to say that.
    #[must_use]
    pub fn home(self, secret: Option<&str>) -> Option<String> {
        (self.shape().home)(secret.unwrap_or_default())
    }
}

/// What is wrong with what an operator says of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct WrongSetting {
    /// Which setting.
    pub setting: &'static str,
    /// What is wrong, and how it should be.
    pub why: String,
    /// It is kept, and has to be given again: the address leads elsewhere.
    pub again: bool,
}

impl WrongSetting {
    fn new(setting: &'static str, why: impl Into<String>) -> Self {
        Self { setting, why: why.into(), again: false }
    }
}

/// Checks what an operator says of a webhook, but for where its address leads.
///
/// # Errors
/// The setting at fault.
pub fn check(target: &Target<'_>) -> Result<(), WrongSetting> {
    let (name, shape) = (target.shape.as_str(), target.shape.shape());
    match shape.secret {
        Secret::Needed(what) if target.token().is_empty() => {
            let why = format!("{name} needs {what}: --secret, or the variable WEBHOOK_SECRET");
            return Err(WrongSetting::new("secret", why));
        }
        // It goes into a header, or into an address.
        Secret::Optional | Secret::Needed(_) if !target.token().bytes().all(|byte| byte.is_ascii_graphic()) => {
            return Err(WrongSetting::new("secret", "the secret must be visible ASCII characters, without blanks"));
        }
        _ => {}
    }
    match (&shape.to, &target.settings.to) {
        (Some(to), None) => return Err(WrongSetting::new("to", format!("{name} needs --to: {}", to.what))),
        (Some(to), Some(said)) if !(to.is_good)(said) => {
            return Err(WrongSetting::new("to", format!("--to must be {}", to.what)));
        }
        (None, Some(_)) => return Err(WrongSetting::new("to", format!("{name} takes no --to: its address says who is told"))),
        _ => {}
    }
    mentioned(target)?;
    if !shape.is_mail && (target.settings.from.is_some() || target.settings.user.is_some()) {
        return Err(WrongSetting::new("from", format!("{name} takes no --from and no --user: only --shape email does")));
    }
    if target.settings.template.is_some() && target.shape != WebhookShape::Template {
        let why = format!("{name} has a request of its own: only --shape template takes one that is written by hand");
        return Err(WrongSetting::new("template", why));
    }
    (shape.check)(target)
}

/// Checks who is to be called.
fn mentioned(target: &Target<'_>) -> Result<(), WrongSetting> {
    let (name, mentions) = (target.shape.as_str(), &target.settings.mentions);
    let wrong = |why: String| Err(WrongSetting::new("mention", why));
    match &target.shape.shape().mention {
        _ if mentions.is_empty() => Ok(()),
        None => wrong(format!("{name} takes no --mention: nobody can be called there")),
        Some(_) if mentions.len() > MOST_MENTIONS => wrong(format!("--mention can name {MOST_MENTIONS} at most")),
        Some(mention) => match mentions.iter().find(|who| who.len() > LONGEST_MENTION || !(mention.is_good)(who)) {
            Some(bad) => wrong(format!("{bad:?} calls nobody: --mention must be {}", mention.what)),
            None => Ok(()),
        },
    }
}

/// Puts a notice into the form that a service wants, and so that it fits.
fn envelope(target: &Target<'_>, notice: &Notice<'_>) -> Envelope {
    let shape = target.shape.shape();
    let text = shape.length.beside(&target.called()).cut(notice.text);
    (shape.envelope)(target, &Notice { text: &text, ..*notice })
}

/// Puts a notice into what goes out to a service.
///
/// # Errors
/// When a setting says nothing that could be sent.
pub fn parcel(target: &Target<'_>, notice: &Notice<'_>) -> Result<Parcel, WrongSetting> {
    let shape = target.shape.shape();
    match shape.is_mail {
        true => email::mail(target, &Notice { text: &shape.length.cut(notice.text), ..*notice }).map(Parcel::Mail),
        false => Ok(Parcel::Request(envelope(target, notice))),
    }
}

/// What a mail server says, in short and without secrets.
#[must_use]
pub fn told_by_mail(target: &Target<'_>, said: &str) -> String {
    in_short(&masked(target, said))
}

/// Why a service did not take a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it said instead, in short and without secrets.
    pub why: String,
    /// For how long it wants to be left alone.
    pub patience: Option<TimeDelta>,
}

/// Whether a service took a notice. Each says so in its own way: some answer 200 also when they refuse.
///
/// # Errors
/// What it said instead.
pub fn accepted(target: &Target<'_>, answer: &Answer<'_>, now: DateTime<Utc>) -> Result<(), Refused> {
    let shape = target.shape.shape();
    let said = (shape.accepted)(answer, target.settings);
    said.map_err(|why| {
        let is_busy = answer.status == TOO_MANY || (shape.is_busy)(answer);
        let patience = patience(answer, now).or(is_busy.then_some(USUAL_PATIENCE));
        Refused { why: in_short(&masked(target, &why)), patience }
    })
}

/// How long a service asks to be left alone: in a header, or as Telegram, Discord and Matrix do.
fn patience(answer: &Answer<'_>, now: DateTime<Utc>) -> Option<TimeDelta> {
    let in_body = || {
        let said = answer.json();
        let number = |pointer: &str| said.pointer(pointer).and_then(Value::as_f64);
        let seconds = number("/parameters/retry_after").or_else(|| number("/retry_after"));
        let seconds = seconds.or_else(|| number("/retry_after_ms").map(|milliseconds| milliseconds / 1000.0))?;
        TimeDelta::from_std(Duration::try_from_secs_f64(seconds).ok()?).ok()
    };
    calendar::patience(answer.headers, now).or_else(in_body)
}

/// A text without what nobody is to read in a log.
fn masked(target: &Target<'_>, text: &str) -> String {
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let mut given: Vec<String> = vec![target.token().to_owned()];
    let mut likely: Vec<String> = Vec::new();
    // Of a user and a password, the password alone as well.
    given.extend(target.token().split_once(':').map(|(_, password)| password.to_owned()));
    if let Ok(url) = Url::parse(target.url) {
        let segments = url.path().split('/').flat_map(|part| [part.to_owned(), decoded(part)]);
        // Names of services and of their methods are plain words.
        let telling = |part: &String| part.bytes().any(|byte| !byte.is_ascii_lowercase() && !matches!(byte, b'-' | b'_' | b'.'));
        likely.extend(segments.filter(telling));
        for pair in url.query().unwrap_or_default().split('&') {
            let (name, raw) = pair.split_once('=').unwrap_or(("", pair));
            let values = [raw.to_owned(), decoded(&raw.replace('+', " "))];
            match names_a_secret(&decoded(name)) {
                true => given.extend(values),
                false => likely.extend(values.into_iter().filter(telling)),
            }
        }
        given.extend(url.password().map(decoded));
    }
    if let Some(template) = &target.settings.template {
        for (name, value) in &template.headers {
            let words = secret_words(name, value).into_iter().map(str::to_owned);
            match names_a_secret(name) {
                true => given.extend(words),
                false => likely.extend(words),
            }
        }
    }
    given.extend(email::as_said(target));
    hidden::without(text, given, likely)
}

/// Whether what a part of an address or a header is called says that it is a secret, also where that looks like a word.
fn names_a_secret(name: &str) -> bool {
    const SECRET: [&str; 10] = ["key", "token", "secret", "password", "passwd", "pwd", "sig", "sign", "auth", "authorization"];
    let name = name.to_ascii_lowercase();
    name.split(['_', '-', '.']).any(|part| SECRET.contains(&part))
        || ["key", "token", "secret"].iter().any(|end| name.ends_with(end))
}

/// The words of a header that may be secrets: those that only say what is sent, or how somebody logs in, are read in every refusal.
fn secret_words<'h>(name: &str, value: &'h str) -> Vec<&'h str> {
    const PLAIN: [&str; 9] =
        ["accept", "cache-control", "user-agent", "x-priority", "priority", "x-title", "title", "x-tags", "tags"];
    let name = name.to_ascii_lowercase();
    if PLAIN.contains(&name.as_str()) || name.starts_with("content-") || name.starts_with("accept-") {
        return Vec::new();
    }
    let mut words: Vec<&str> = value.split_whitespace().collect();
    // `Bearer`, `Basic`, `GenieKey` and others.
    if name.ends_with("authorization") && words.len() > 1 {
        words.remove(0);
    }
    // As in `token=SECRET`.
    let values: Vec<&str> =
        words.iter().filter_map(|word| word.split_once('=')).map(|(_, value)| value.trim_matches('"')).collect();
    words.extend(values);
    words
}

/// Stands where nobody sees it, and parts what belongs together.
const UNSEEN: char = '\u{200b}';

/// A text in which no `@` begins a name, so that whatever an alarm says calls nobody. One inside a word, as in an address for mail, begins
/// none.
fn without_names(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    for c in text.chars() {
        out.push(c);
        if c == '@' && !before.is_some_and(|before: char| before.is_ascii_alphanumeric()) {
            out.push(UNSEEN);
        }
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use std::collections::BTreeSet;

    pub(super) fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    /// A request, read.
    pub(super) struct Asked {
        pub(super) method: Method,
        pub(super) url: String,
        pub(super) headers: Vec<(String, String)>,
        /// As JSON; null when it is none.
        pub(super) body: Value,
    }

    impl Asked {
        pub(super) fn header(&self, name: &str) -> Option<&str> {
            self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
        }
    }

    /// A notice about an urgent alarm.
    pub(super) fn urgent<'n>(text: &'n str, facts: &'n Value) -> Notice<'n> {
        let id = "01a1fc4e-a630-77e4-8b85-425a1123605f";
        Notice { id, title: "Disk full on db1", text, facts, link: None, is_urgent: true, happened_at: at(), at: at() }
    }

    /// The request of a form, for an urgent alarm with this text.
    pub(super) fn asked(shape: WebhookShape, url: &str, secret: Option<&str>, to: Option<&str>, text: &str) -> Asked {
        let settings = WebhookSettings { to: to.map(str::to_owned), ..WebhookSettings::default() };
        let target = Target { shape, url, secret, settings: &settings };
        assert_eq!(check(&target), Ok(()));
        let Envelope { method, url, headers, body } = envelope(&target, &urgent(text, &json!({ "a": 1 })));
        Asked { method, url, headers, body: serde_json::from_str(&body).unwrap_or_default() }
    }

    /// What an answer means to a form; where it is none, why.
    pub(super) fn answered(shape: WebhookShape, status: u16, body: &str) -> Result<(), String> {
        refused(shape, None, status, body).map_err(|refused| refused.why)
    }

    /// The same with all that is known of a refusal.
    pub(super) fn refused(shape: WebhookShape, secret: Option<&str>, status: u16, body: &str) -> Result<(), Refused> {
        let target = Target { shape, url: "https://x.example/", secret, settings: &WebhookSettings::default() };
        accepted(&target, &Answer { status, headers: &HeaderMap::new(), body }, at())
    }

    /// What is wrong with the settings of a webhook.
    pub(super) fn wrong(shape: WebhookShape, url: &str, secret: Option<&str>, to: Option<&str>) -> WrongSetting {
        let settings = WebhookSettings { to: to.map(str::to_owned), ..WebhookSettings::default() };
        check(&Target { shape, url, secret, settings: &settings }).unwrap_err()
    }

    /// More than any form takes.
    pub(super) fn long(piece: &str) -> String {
        piece.repeat(80_000)
    }

    #[test]
    fn signatures_are_those_that_other_programs_compute() {
        // Computed with Python's hmac module from the services' documented formulas.
        let asked = |shape| asked(shape, "https://x.example/hook?token=t", Some("s3cret"), None, "x");
        let signature = "sha256=1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940";
        assert_eq!(asked(WebhookShape::Json).header("x-autocall-signature"), Some(signature));
        assert_eq!(asked(WebhookShape::Json).header("x-autocall-timestamp"), Some("1700000000"));
        let ding = Url::parse(&asked(WebhookShape::Dingtalk).url).unwrap();
        let query: Vec<(String, String)> = ding.query_pairs().into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let signed = "MT7bXSNfVTPzQMEuLWvmMNbmZSCUY1X6YKn9AxBnLsI=";
        assert_eq!(query, [pair("token", "t"), pair("timestamp", "1700000000000"), pair("sign", signed)]);
        assert_eq!(asked(WebhookShape::Feishu).body["sign"], "IX3eHI0/v/Td7jqJ0ynSEK3Dq5JY3HUZeoeMgVZeZGo=");
    }

    #[test]
    fn a_refusal_with_status_200_is_a_refusal() {
        assert!(answered(WebhookShape::Wecom, 200, r#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
        assert!(answered(WebhookShape::Wecom, 200, r#"{"errcode":93000}"#).is_err());
        assert!(answered(WebhookShape::Wecom, 500, r#"{"errcode":0}"#).is_err());
        assert!(answered(WebhookShape::Feishu, 200, r#"{"code":19021,"msg":"sign match fail"}"#).is_err());
        assert!(answered(WebhookShape::Dingtalk, 200, "<html>").is_err());
        assert!(answered(WebhookShape::Slack, 200, "ok").is_ok());
        assert!(answered(WebhookShape::Json, 204, "").is_ok());
        assert!(answered(WebhookShape::Json, 302, "").is_err());
    }

    #[test]
    fn a_refusal_is_told_in_the_service_s_words() {
        let why = |status, body| answered(WebhookShape::Slack, status, body).unwrap_err();
        assert_eq!(why(503, ""), "HTTP 503");
        assert_eq!(why(404, "no_service\n"), "HTTP 404: no_service");
        assert_eq!(why(502, "<html><title>Bad Gateway</title>"), "HTTP 502", "a page says nothing");
        assert_eq!(why(400, r#"{"error":"","message":"bad\nbody"}"#), "HTTP 400: bad body");
        let wordy = why(400, &long("word "));
        assert!(wordy.len() < 300 && wordy.ends_with("word…"), "{wordy}");
    }

    #[test]
    fn services_ask_for_patience_in_their_ways() {
        let patience = |body: &str, header: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert("retry-after", value.parse().unwrap());
            }
            let settings = WebhookSettings::default();
            let target = Target { shape: WebhookShape::Telegram, url: "https://x.example/", secret: None, settings: &settings };
            accepted(&target, &Answer { status: 429, headers: &headers, body }, at()).unwrap_err().patience
        };
        let telegram = r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}"#;
        assert_eq!(patience(telegram, None), Some(TimeDelta::seconds(35)));
        assert_eq!(
            patience(r#"{"message":"limited","retry_after":0.25,"global":false}"#, None),
            Some(TimeDelta::milliseconds(250))
        );
        assert_eq!(patience(r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2000}"#, None), Some(TimeDelta::seconds(2)));
        assert_eq!(
            patience(r#"{"retry_after":64000}"#, Some("64")),
            Some(TimeDelta::seconds(64)),
            "old Discord says milliseconds"
        );
        for none in ["", "{}", r#"{"retry_after":-1}"#, r#"{"retry_after":"soon"}"#, r#"{"retry_after":1e300}"#] {
            assert_eq!(patience(none, None), Some(TimeDelta::minutes(1)), "{none}");
        }
    }

    #[test]
    fn who_is_asked_too_often_says_so_with_status_200_as_well() {
        let patience = |shape, body| refused(shape, None, 200, body).unwrap_err().patience;
        for (shape, body) in [
            (WebhookShape::Dingtalk, r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#),
            (WebhookShape::Dingtalk, r#"{"errcode":410100,"errmsg":"send too fast"}"#),
            (WebhookShape::Wecom, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#),
            (WebhookShape::Feishu, r#"{"code":11232,"msg":"frequency limited"}"#),
            (WebhookShape::Feishu, r#"{"code":9499,"msg":"too many request"}"#),
        ] {
            assert_eq!(patience(shape, body), Some(TimeDelta::minutes(1)), "{body}");
        }
        for (shape, body) in [
            (WebhookShape::Dingtalk, r#"{"errcode":310000,"errmsg":"sign not match"}"#),
            (WebhookShape::Wecom, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#),
            (WebhookShape::Feishu, r#"{"code":19021,"msg":"sign match fail"}"#),
            (WebhookShape::Slack, ""),
        ] {
            let said =
                if shape == WebhookShape::Slack { refused(shape, None, 503, body) } else { refused(shape, None, 200, body) };
            assert_eq!(said.unwrap_err().patience, None, "{body}: nothing of the kind");
        }
    }

    #[test]
    fn no_secret_is_repeated() {
        let headers = [("authorization".to_owned(), "Bearer header-token".to_owned())].into();
        let template = Template { headers, ..Template::default() };
        let settings = WebhookSettings { template: Some(template), ..WebhookSettings::default() };
        let target = Target {
            shape: WebhookShape::Template,
            url: "https://user:pass-word@x.example/services/T0/B0AAAAAA/XyZ123?key=693axx&lang=english",
            secret: Some("123456:ABC-DEF"),
            settings: &settings,
        };
        let said = "/bot123456:ABC-DEF of services/T0/B0AAAAAA/XyZ123?key=693axx (pass-word, header-token) in english";
        assert_eq!(masked(&target, said), "/bot*** of services/T0/***/***?key=*** (***, ***) in english");
        let said = "bot123456%3AABC-DEF, MTIzNDU2OkFCQy1ERUY=, x=123456%3aABC-DEF&y";
        assert_eq!(masked(&target, said), "bot***, ***, x=***&y", "as others write it");
        let odd = Target { url: "https://x.example/hook/a%2Fb%20C1", secret: None, ..target };
        assert_eq!(masked(&odd, "no hook a/b C1, a%2Fb%20C1"), "no hook ***, ***");
        let short = Target { secret: Some("ok"), url: "https://x.example/a", ..target };
        assert_eq!(masked(&short, "not ok at all"), "not ok at all");
        let short = Target { secret: Some("k3y"), url: "https://x.example/a?token=letmein&q=a%2fB%20C11&lang=english", ..target };
        assert_eq!(masked(&short, "k3y, letmein, a%2fB%20C11 in english"), "***, ***, *** in english");
    }

    #[test]
    fn plain_words_of_headers_stay() {
        let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let headers = [
            ("Authorization", "Bearer header-token"),
            ("Content-Type", "application/json; charset=utf-8"),
            ("Accept", "application/json"),
            ("X-Priority", "urgent"),
            ("X-Api-Key", "letmein"),
            ("X-Token", "k3y"),
            ("X-Auth", "token=\"abcdef1\""),
        ];
        let template = Template { headers: headers.map(header).into(), ..Template::default() };
        let settings = WebhookSettings { template: Some(template), ..WebhookSettings::default() };
        let target = Target { shape: WebhookShape::Template, url: "https://x.example/hook", secret: None, settings: &settings };
        let plain = "not application/json with Bearer, charset=utf-8, urgent";
        assert_eq!(masked(&target, plain), plain);
        assert_eq!(masked(&target, "Bearer header-token, letmein, k3y, abcdef1"), "Bearer ***, ***, ***, ***");
    }

    #[test]
    fn no_half_of_a_secret_is_left_where_a_text_is_cut() {
        let secret = "sk-0123456789abcdefghij";
        for filler in 150..230 {
            let said = format!("{}{secret}", "x".repeat(filler));
            let why = refused(WebhookShape::Slack, Some(secret), 400, &said).unwrap_err().why;
            assert!(!why.contains("sk-"), "{filler}: {why}");
            let settings = WebhookSettings::default();
            let target =
                Target { shape: WebhookShape::Email, url: "smtp://x.example", secret: Some(secret), settings: &settings };
            assert!(!told_by_mail(&target, &said).contains("sk-"), "{filler}");
        }
    }

    #[test]
    fn whatever_a_text_says_it_calls_nobody() {
        let text = "@all @channel,@li_na (@here) 磁盘@everyone <at user_id=\"all\"></at> <AT id=all> ops@example.com";
        for shape in [WebhookShape::Slack, WebhookShape::Mattermost, WebhookShape::Telegram] {
            let said = calling(shape, &[], text)["text"].as_str().unwrap().to_owned();
            for name in ["@all", "@channel", "@li_na", "@here", "@everyone"] {
                assert!(!said.contains(name), "{shape:?}: {said}");
            }
            assert!(said.contains("ops@example.com"), "{shape:?}: an address stays one: {said}");
            assert!(said.replace(UNSEEN, "").contains("@all @channel,@li_na (@here) 磁盘@everyone"), "{said}");
        }
        let feishu = calling(WebhookShape::Feishu, &["all"], text)["content"]["text"].as_str().unwrap().to_owned();
        assert_eq!(feishu.to_lowercase().matches("<at").count(), 1, "only the one of the settings: {feishu}");
        let mattermost = calling(WebhookShape::Mattermost, &["li.na"], "@channel")["text"].as_str().unwrap().to_owned();
        assert_eq!(mattermost, "@li.na @\u{200b}channel");
        let discord = calling(WebhookShape::Discord, &[], text);
        assert_eq!(discord["allowed_mentions"], json!({ "parse": [] }));
        assert!(calling(WebhookShape::Wecom, &[], text)["text"].get("mentioned_list").is_none());
        assert!(calling(WebhookShape::Dingtalk, &[], text).get("at").is_none());
        assert!(calling(WebhookShape::Teams, &[], text)["attachments"][0]["content"].get("msteams").is_none());
    }

    #[test]
    fn a_text_full_of_names_still_fits() {
        let length = |shape, piece: &str| calling(shape, &[], &long(piece))["text"].as_str().unwrap().encode_utf16().count();
        assert!(length(WebhookShape::Telegram, "@") <= 4096 && length(WebhookShape::Mattermost, "@ ") <= 4000);
        assert!(length(WebhookShape::Slack, "<@") <= 40_000);
        assert!(calling(WebhookShape::Feishu, &[], &long("<")).to_string().len() < 20_000);
    }

    #[test]
    fn what_a_form_needs_is_asked_for() {
        let missing = wrong(WebhookShape::Telegram, "https://api.telegram.org", None, Some("-100123"));
        assert_eq!((missing.setting, missing.why.contains("the bot's token")), ("secret", true), "{missing}");
        assert_eq!(wrong(WebhookShape::Telegram, "https://api.telegram.org", Some("1:a"), None).setting, "to");
        assert_eq!(wrong(WebhookShape::Telegram, "https://api.telegram.org", Some("1:a"), Some("room")).setting, "to");
        assert_eq!(wrong(WebhookShape::Telegram, "https://api.telegram.org", Some("1:a\n"), Some("-100123")).setting, "secret");
        assert_eq!(wrong(WebhookShape::Slack, "https://hooks.example.com/", None, Some("#ops")).setting, "to");
        let settings = WebhookSettings { template: Some(Template::default()), ..WebhookSettings::default() };
        let target = Target { shape: WebhookShape::Slack, url: "https://x.example/", secret: None, settings: &settings };
        assert_eq!(check(&target).unwrap_err().setting, "template");
        assert_eq!(WebhookShape::Telegram.home(None).as_deref(), Some("https://api.telegram.org"));
        assert_eq!(WebhookShape::Slack.home(None), None);
    }

    /// The body of a request that calls these.
    fn calling(shape: WebhookShape, mentions: &[&str], text: &str) -> Value {
        let to = (shape == WebhookShape::Telegram).then(|| "@ops".to_owned());
        let settings = WebhookSettings { to, mentions: own(mentions), ..WebhookSettings::default() };
        let target = Target { shape, url: "https://x.example/hook", secret: Some("1:a"), settings: &settings };
        assert_eq!(check(&target), Ok(()), "{shape:?}");
        serde_json::from_str(&envelope(&target, &urgent(text, &Value::Null)).body).unwrap()
    }

    fn own(mentions: &[&str]) -> Vec<String> {
        mentions.iter().map(|who| (*who).to_owned()).collect()
    }

    #[test]
    fn each_service_calls_people_in_its_own_way() {
        let slack = calling(WebhookShape::Slack, &["U012AB3CD", "S012AB3CD", "here"], "<disk>");
        assert_eq!(slack["text"], "<@U012AB3CD> <!subteam^S012AB3CD> <!here> &lt;disk&gt;");
        assert_eq!(calling(WebhookShape::Mattermost, &["li.na", "channel"], "disk")["text"], "@li.na @channel disk");
        let discord = calling(WebhookShape::Discord, &["123456789012345678", "&987", "all"], "disk @here");
        assert_eq!(discord["content"], "<@123456789012345678> <@&987> @everyone disk @here");
        let allowed = json!({ "parse": ["everyone"], "users": ["123456789012345678"], "roles": ["987"] });
        assert_eq!(discord["allowed_mentions"], allowed);
        let feishu = calling(WebhookShape::Feishu, &["ou_1a2b", "all"], "disk");
        let expected = "<at user_id=\"ou_1a2b\"></at> <at user_id=\"all\"></at> disk";
        assert_eq!(feishu["content"]["text"], expected);
        let dingtalk = calling(WebhookShape::Dingtalk, &["18712345678", "all"], "disk");
        assert_eq!(dingtalk["text"]["content"], "@18712345678 disk");
        assert_eq!(dingtalk["at"], json!({ "atMobiles": ["18712345678"], "isAtAll": true }));
        let wecom = calling(WebhookShape::Wecom, &["18712345678", "lina", "all"], "disk");
        assert_eq!(wecom["text"]["content"], "disk");
        assert_eq!(wecom["text"]["mentioned_list"], json!(["lina", "@all"]));
        assert_eq!(wecom["text"]["mentioned_mobile_list"], json!(["18712345678"]));
        assert_eq!(calling(WebhookShape::Telegram, &["li_na"], "disk")["text"], "@li_na disk");
        let teams = calling(WebhookShape::Teams, &["li.na@example.com"], "disk");
        let card = &teams["attachments"][0]["content"];
        assert_eq!(card["body"][0]["text"], "<at>li.na@example.com</at> disk");
        assert_eq!(card["msteams"]["entities"][0]["mentioned"]["id"], "li.na@example.com");
    }

    #[test]
    fn a_text_that_calls_people_still_fits() {
        let many: Vec<String> = (0..20).map(|number| format!("12345678901234567{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let discord = calling(WebhookShape::Discord, &many, &long("word "));
        let units = discord["content"].as_str().unwrap().encode_utf16().count();
        assert!(units <= 2000 && units > 1900, "{units}");
    }

    #[test]
    fn who_cannot_be_called_is_refused() {
        let wrong = |shape: WebhookShape, mentions: &[&str]| {
            let settings = WebhookSettings { mentions: own(mentions), ..WebhookSettings::default() };
            let target = Target { shape, url: "https://x.example/hook", secret: None, settings: &settings };
            check(&target).err().map(|wrong| wrong.setting)
        };
        assert_eq!(wrong(WebhookShape::Json, &["all"]), Some("mention"));
        for (shape, who) in [
            (WebhookShape::Slack, "U1> <!channel"),
            (WebhookShape::Mattermost, "li na"),
            (WebhookShape::Discord, "@everyone"),
            (WebhookShape::Feishu, "ou_1\"></at>"),
            (WebhookShape::Dingtalk, "Li Na"),
            (WebhookShape::Wecom, "li na"),
            (WebhookShape::Teams, "<at>x</at>"),
        ] {
            assert_eq!(wrong(shape, &[who]), Some("mention"), "{shape:?}");
            assert_eq!(wrong(shape, &vec!["all"; 21]), Some("mention"), "{shape:?}: too many");
        }
    }

    #[test]
    fn every_form_says_what_it_is_and_keeps_its_word() {
        let words: BTreeSet<&str> = WebhookShape::ALL.iter().map(|shape| shape.as_str()).collect();
        assert_eq!(words.len(), WebhookShape::ALL.len());
        for shape in WebhookShape::ALL {
            assert_eq!(WebhookShape::read(shape.as_str()), Some(*shape));
            assert!(shape.options().contains("--"), "{shape:?}");
        }
        assert_eq!(WebhookShape::read("fax"), None);
    }

    #[test]
    fn settings_read_back_and_those_of_before_are_none() {
        assert_eq!(serde_json::from_str::<WebhookSettings>("{}").unwrap(), WebhookSettings::default());
        assert_eq!(serde_json::to_string(&WebhookSettings::default()).unwrap(), "{}");
        let settings =
            WebhookSettings { to: Some("-100".to_owned()), template: Some(Template::default()), ..WebhookSettings::default() };
        let kept = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<WebhookSettings>(&kept).unwrap(), settings);
    }

    #[test]
    fn addresses_are_put_together() {
        assert_eq!(below("https://x.example", &["a", "b/c", "!r:y"]), "https://x.example/a/b%2Fc/!r:y");
        assert_eq!(below("https://x.example/base/?k=v", &["a"]), "https://x.example/base/a?k=v");
        assert_eq!(with_query("https://x.example/?k=v", &[("a", "b c")]), "https://x.example/?k=v&a=b+c");
        assert_eq!(below("nonsense", &["a"]), "nonsense");
    }
}
