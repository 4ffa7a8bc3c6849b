//! The configuration: every key, where it may come from, and what it must look like.
//!
//! Values come from four places, later ones winning: the defaults, the file `autocall.toml`, the environment, the command
//! line. [`KEYS`] is the one table of keys: the file reader, the environment reader, the annotated example
//! (`server/autocall.example.toml`) and the manual (`docs/configuration.md`) all follow it, and tests hold them to it.
//!
//! A wrong key or value is refused at start, with the line of the file or the name of the variable to correct: a server
//! that wakes people must not run on a typing error. All problems are listed at once.
//!
//! To add a key: a field in the struct of its section, its default there, a row in [`KEYS`], a line in the example and in
//! the manual. The tests say which one is missing.

pub mod postgres_url;
use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use chrono_tz::Tz;
use ipnet::IpNet;
use toml::de::{DeTable, DeValue};

use crate::line::command::OwnCarrier;
use crate::line::reply::ReplyWords;
use crate::numbers::{Number, Region};

/// Everything that can be configured. Its `Debug` form hides the passwords in URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address and port of the HTTP server.
    pub listen: SocketAddr,
    /// Folder for the embedded database.
    pub data_dir: PathBuf,
    /// The Postgres database; `None` for the embedded one.
    pub database_url: Option<SecretUrl>,
    /// The Redis for locks between nodes; `None` for locks within this process.
    pub redis_url: Option<SecretUrl>,
    /// How numbers without a country code are read.
    pub default_region: Region,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Who may talk to the server, and its limits.
    pub http: HttpConfig,
    /// How handsets are served.
    pub handsets: HandsetConfig,
    /// How alarms are pursued.
    pub alarms: AlarmConfig,
    /// The Barista API.
    pub barista: BaristaConfig,
    /// What is told to others.
    pub notify: NotifyConfig,
    /// Who is on duty.
    pub roster: RosterConfig,
    /// Text messages.
    pub sms: SmsConfig,
    /// Public numbers.
    pub lines: LinesConfig,
    /// What is forgotten.
    pub retention: RetentionConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            data_dir: PathBuf::from("./autocall-data"),
            database_url: None,
            redis_url: None,
            default_region: Region::CN,
            log: LogConfig::default(),
            http: HttpConfig::default(),
            handsets: HandsetConfig::default(),
            alarms: AlarmConfig::default(),
            barista: BaristaConfig::default(),
            notify: NotifyConfig::default(),
            roster: RosterConfig::default(),
            sms: SmsConfig::default(),
            lines: LinesConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// Which lines are written: a level, or directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Section `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Networks whose requests may use the documented plain paths without token or key.
    pub open_networks: Vec<IpNet>,
    /// Reverse proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the configuration itself lists this computer in `open_networks`.
    pub loopback_listed: bool,
    /// What says that a reverse proxy stands in front, if anything does.
    pub proxy_sign: Option<ProxySign>,
    /// Host names, in small letters, that are accepted in the `Host` header besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// How people's browsers reach the server, without a slash at the end: links in notices begin with it.
    pub public_url: Option<String>,
    /// Longest request body, in bytes.
    pub body_limit_bytes: usize,
    /// Longest time for a request, where the path has no limit of its own.
    pub request_timeout: Duration,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most connections from one address whose clients we do not know.
    pub connections_per_address: usize,
    /// Most connections that wait at a time: long polls and open pages.
    pub max_waiting: usize,
    /// Most pages that are kept up to date at a time.
    pub max_pages: usize,
    /// Of these, most of one user.
    pub pages_per_user: usize,
    /// Most requests in a minute with which one sender may raise alarms.
    pub alarms_per_minute: usize,
}

/// What the first part of the server's own paths may be.
const OWN_PATHS: [&str; 27] = [
    "alarms",
    "alert",
    "api",
    "assets",
    "c",
    "calendar",
    "do-not-call",
    "gateways",
    "h",
    "handsets",
    "healthz",
    "heartbeats",
    "k",
    "lines",
    "live",
    "login",
    "logout",
    "maintenance",
    "metrics",
    "password",
    "people",
    "policies",
    "readyz",
    "roster",
    "senders",
    "setup",
    "users",
];
/// Whether a path in front of everything begins like one of the server's own, from which it cannot be told then.
#[must_use]
pub fn begins_like_ours(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| OWN_PATHS.contains(&first))
}

impl HttpConfig {
    /// The path in front of everything, as `public_url` has it, without a slash at its end; `None` where there is none.
    #[must_use]
    pub fn path_in_front(&self) -> Option<String> {
        let url = reqwest::Url::parse(self.public_url.as_deref()?).ok()?;
        let path = url.path().trim_end_matches('/');
        (!path.is_empty()).then(|| path.to_owned())
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            open_networks: [
                IpNet::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
                IpNet::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
            ]
            .into_iter()
            .flatten()
            .collect(),
            trusted_proxies: Vec::new(),
            loopback_listed: false,
            proxy_sign: None,
            hosts: Vec::new(),
            public_url: None,
            body_limit_bytes: 4 << 20,
            request_timeout: Duration::from_secs(30),
            max_connections: 2048,
            connections_per_address: 512,
            max_waiting: 1024,
            max_pages: 200,
            pages_per_user: 20,
            alarms_per_minute: 3000,
        }
    }
}

impl HttpConfig {
    /// Whether a reverse proxy stands in front, and nothing is said about it.
    #[must_use]
    pub fn has_unlisted_proxy(&self) -> bool {
        self.proxy_sign.is_some() && self.trusted_proxies.is_empty() && !self.loopback_listed
    }
}

/// What says that a reverse proxy stands in front of this server. Then a request from this computer may come from anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxySign {
    /// The address for browsers is https, which somebody else must speak.
    Https,
    /// The address for browsers names another port than ours.
    Port(u16),
    /// Nobody else can reach us, and yet there is an address for browsers.
    Unreachable,
    /// There are trusted proxies.
    Trusted,
    /// A request came as HTTP/1.0.
    OldHttp,
}

impl fmt::Display for ProxySign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https => f.write_str("http.public_url is https, which this server does not speak itself"),
            Self::Port(port) => write!(f, "http.public_url names port {port}, on which this server does not listen"),
            Self::Unreachable => f.write_str("the server listens on this computer alone, and http.public_url is elsewhere"),
            Self::Trusted => f.write_str("http.trusted_proxies names proxies"),
            Self::OldHttp => f.write_str("the request came as HTTP/1.0"),
        }
    }
}

impl ProxySign {
    /// What the settings say.
    fn of(listen: SocketAddr, http: &HttpConfig) -> Option<Self> {
        if let Some(url) = http.public_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()) {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            let port = url.port_or_known_default().unwrap_or_default();
            if url.scheme() == "https" {
                return Some(Self::Https);
            }
            if listen.port() != 0 && port != listen.port() {
                return Some(Self::Port(port));
            }
            if listen.ip().to_canonical().is_loopback() && !here {
                return Some(Self::Unreachable);
            }
        }
        (!http.trusted_proxies.is_empty()).then_some(Self::Trusted)
    }
}

/// Section `handsets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandsetConfig {
    /// Whether the documented plain path hands out alarms.
    pub plain_path: PlainPath,
    /// What a handset is taken for when it has no profile of its own.
    pub profile: ProfileChoice,
    /// What "nothing to do" looks like.
    pub idle_form: IdleForm,
    /// Where the handsets' SIM cards are at home; the default region unless configured.
    pub country: Region,
    /// How long a call rings at most before the network ends it.
    pub ring: Duration,
    /// Time for a dial, whatever its length.
    pub dial_base: Duration,
    /// More time for a dial, for each of its numbers.
    pub dial_per_number: Duration,
    /// Least time for a dial.
    pub dial_minimum: Duration,
    /// Least time that an open dial keeps after a time in which handsets could not reach the server.
    pub grace: Duration,
    /// Whom to ring, through another handset, when one cannot be used.
    pub offline_phones: Vec<String>,
    /// How long a handset is away before they are rung.
    pub offline_alarm_after: Duration,
}

impl Default for HandsetConfig {
    fn default() -> Self {
        Self {
            plain_path: PlainPath::Auto,
            profile: ProfileChoice::Auto,
            idle_form: IdleForm::Plain,
            country: Region::CN,
            ring: Duration::from_secs(75),
            dial_base: Duration::from_secs(60),
            dial_per_number: Duration::from_secs(75),
            dial_minimum: Duration::from_secs(180),
            grace: Duration::from_secs(90),
            offline_phones: Vec::new(),
            offline_alarm_after: Duration::from_secs(120),
        }
    }
}

impl HandsetConfig {
    /// How long a dial of so many numbers stays open.
    pub fn dial_time(&self, numbers: usize) -> Duration {
        let numbers = u32::try_from(numbers).unwrap_or(u32::MAX);
        let time = self.dial_base.saturating_add(self.dial_per_number.saturating_mul(numbers));
        time.max(self.dial_minimum)
    }
}

/// Section `alarms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmConfig {
    /// How often each callee is rung, unless the alarm says.
    pub attempts: u32,
    /// Least time between two calls to the same callee, unless the alarm says.
    pub min_interval: Duration,
    /// An alarm whose first call could not be made within this time ends unheard.
    pub begin_before: Duration,
    /// For how long after the last repeat an unresolved alarm takes repeats as its own.
    pub dedup: Duration,
    /// Least time before a repeat of an unanswered alarm rings people again.
    pub rehunt: Duration,
    /// An alert that joins an alarm which was answered rings people again.
    pub ring_for_new: Switch,
    /// Alarms for the same people that come within this time join one hunt; zero: never.
    pub join_window: Duration,
    /// Most phone numbers in one alarm.
    pub max_phones: usize,
    /// Whom to ring when neither an alarm nor its sender's key names anybody.
    pub fallback_phones: Vec<String>,
    /// How long a number "rings" in a dry run.
    pub dry_run_ring: Duration,
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self {
            attempts: 2,
            min_interval: Duration::from_secs(60),
            begin_before: Duration::from_secs(60 * 60),
            dedup: Duration::from_secs(24 * 60 * 60),
            rehunt: Duration::from_secs(15 * 60),
            ring_for_new: Switch::On,
            join_window: Duration::from_secs(120),
            max_phones: 100,
            fallback_phones: Vec::new(),
            dry_run_ring: Duration::from_secs(30),
        }
    }
}

/// Section `barista`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaristaConfig {
    /// The form of the history.
    pub history: HistoryForm,
    /// The opening phrases that `headid` chooses from; `{hostname}` stands for the host.
    pub heads: [String; 2],
    /// The closing phrases that `footid` chooses from.
    pub feet: [String; 2],
}

impl BaristaConfig {
    /// The phrase with this number (1 or 2), for this host.
    #[must_use]
    pub fn phrase(phrases: &[String; 2], id: i32, hostname: &str) -> String {
        phrases[usize::from(id == 2)].replace("{hostname}", hostname)
    }
}

impl Default for BaristaConfig {
    fn default() -> Self {
        Self {
            history: HistoryForm::Documented,
            heads: [
                "緊急のお知らせです。{hostname}に異常があります。".to_owned(),
                "障害を検知しました。サーバー名は、{hostname}。".to_owned(),
            ],
            feet: [
                "対応できる場合は1を、できない場合は2を押してください。".to_owned(),
                "至急、状況を確認してください。".to_owned(),
            ],
        }
    }
}

/// What is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Alarms that ended so many days ago are forgotten; 0 keeps everything.
    pub days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { days: 400 }
    }
}

/// What is told to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Networks inside that webhooks may be in.
    pub allow_networks: Vec<IpNet>,
    /// Called every minute while the server is alive.
    pub ping_url: Option<SecretUrl>,
}

/// Section `sms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsConfig {
    /// Networks inside that gateways may be in.
    pub allow_networks: Vec<IpNet>,
    /// For how long after a call a reply counts for its alarm.
    pub reply_window: Duration,
    /// The zone of times that gateways tell without one.
    pub zone: Tz,
    /// Whether replies are answered.
    pub answer_replies: bool,
    /// What replies mean.
    pub replies: ReplyWords,
}

impl Default for SmsConfig {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            reply_window: Duration::from_secs(60 * 60),
            zone: Tz::UTC,
            answer_replies: true,
            replies: ReplyWords::default(),
        }
    }
}

/// Section `roster`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterConfig {
    /// Networks inside that calendars may be in.
    pub allow_networks: Vec<IpNet>,
}

/// Section `lines`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinesConfig {
    /// Carriers beside those that the program knows.
    pub carriers: Vec<OwnCarrier>,
}

/// Declares a choice whose names in the file and in the environment are one list.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// All names, as they are written in the configuration.
            pub const NAMES: &[&str] = &[$($text),+];

            /// The name, as it is written in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {}", Self::NAMES.join(", "))),
                }
            }
        }
    };
}

choice! {
    /// Whether something is done.
    Switch {
        /// It is.
        On = "on",
        /// It is not.
        Off = "off",
    }
}

impl Switch {
    /// Whether it is done.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

choice! {
    /// The form of the log.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object per line, for machines.
        Json = "json",
    }
}

choice! {
    /// Whether the documented plain path hands out alarms.
    PlainPath {
        /// Until a handset is paired.
        Auto = "auto",
        /// Always: for phones that cannot be given a URL with a token.
        Always = "always",
        /// Never.
        Never = "never",
    }
}

choice! {
    /// What a handset is taken for.
    ProfileChoice {
        /// Told by the user agent and the path, per request.
        Auto = "auto",
        /// The stock app: one number at a time.
        App = "app",
        /// A list of distinct numbers.
        List = "list",
        /// A list that repeats the numbers for every attempt.
        Repeat = "repeat",
        /// Our own handset agent.
        Native = "native",
    }
}

choice! {
    /// The answer to a handset when there is nothing to do.
    IdleForm {
        /// As the documentation shows it.
        Plain = "plain",
        /// With a `mid`, for app builds that stop without one.
        HeadlessSafe = "headless_safe",
    }
}

choice! {
    /// The history that Barista clients read.
    HistoryForm {
        /// As Barista's document shows it.
        Documented = "documented",
        /// As Barista itself answered.
        Original = "original",
    }
}

/// A URL that may hold a password. Shown without it; [`expose`](Self::expose) is for whoever connects.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The whole URL.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The URL with stars for the password, wherever it stands.
    fn redacted(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // Up to the last @, since passwords are not always escaped as they should be; that may hide more than the password.
        let place = match place.rsplit_once('@') {
            Some((login, host)) => match login.split_once(':') {
                Some((user, _)) => format!("{user}:***@{host}"),
                None => format!("{login}@{host}"),
            },
            None => place.to_owned(),
        };
        let query: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("pass") => {
                    format!("{name}=***")
                }
                _ if pair.contains('@') => "***".to_owned(),
                _ => pair.to_owned(),
            })
            .collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{scheme}://{place}{query}")
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted())
    }
}

/// What kind of value a key takes: decides how it is written in the file, and how it is read from the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string. The empty string means "not configured".
    Text,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A whole number from `0` to `1`, both included.
    Integer(i64, i64),
    /// A list of strings, in the environment with commas between.
    List,
}

/// A value of the right [`Kind`], from the file or from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// For [`Kind::Text`] and [`Kind::Choice`].
    Text(String),
    /// For [`Kind::Integer`]; within its range.
    Integer(i64),
    /// For [`Kind::List`].
    List(Vec<String>),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Integer(_) | Self::List(_) => "",
        }
    }

    fn list(&self) -> &[String] {
        match self {
            Self::List(items) => items,
            Self::Text(_) | Self::Integer(_) => &[],
        }
    }

    fn number<T: TryFrom<i64>>(&self) -> Result<T, String> {
        match self {
            Self::Integer(number) => T::try_from(*number).map_err(|_| "is too large for this computer".to_owned()),
            Self::Text(_) | Self::List(_) => Err("must be a whole number".to_owned()),
        }
    }

    /// So many units of `seconds` each.
    fn duration(&self, seconds: u64) -> Result<Duration, String> {
        Ok(Duration::from_secs(self.number::<u64>()?.saturating_mul(seconds)))
    }
}

/// One key of the configuration.
pub struct Key {
    /// The key in the file: `section.name`, or just `name` above the first section.
    pub path: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it means, in a sentence or two of the manual.
    pub meaning: &'static str,
    set: fn(&mut Config, &Value) -> Result<(), String>,
    get: fn(&Config) -> Value,
}

impl Key {
    /// The value in `config`, as it is written in the file.
    pub fn shown(&self, config: &Config) -> String {
        match (self.get)(config) {
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(number) => number.to_string(),
            Value::List(items) => format!("{items:?}"),
        }
    }

    /// The row of this key in the manual: `| key | variable | default | meaning |`.
    pub fn manual_row(&self) -> String {
        let default = match self.path {
            "handsets.country" => "that of `default_region`".to_owned(),
            _ => match self.shown(&Config::default()).as_str() {
                "\"\"" => "none".to_owned(),
                shown => format!("`{shown}`"),
            },
        };
        format!("| `{}` | `{}` | {default} | {} |", self.path, self.env, self.meaning)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("path", &self.path).field("env", &self.env).finish_non_exhaustive()
    }
}

/// A row for a key that takes whole seconds (or minutes, or hours: `$unit` in seconds).
macro_rules! time_key {
    ($path:literal, $env:literal, $range:expr, $unit:expr, $section:ident . $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: Kind::Integer($range.0, $range.1),
            meaning: $meaning,
            set: |config, value| {
                config.$section.$field = value.duration($unit)?;
                Ok(())
            },
            get: |config| Value::Integer(i64::try_from(config.$section.$field.as_secs() / $unit).unwrap_or(i64::MAX)),
        }
    };
}

/// A row for a key that takes a plain count.
macro_rules! count_key {
    ($path:literal, $env:literal, $range:expr, $section:ident . $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: Kind::Integer($range.0, $range.1),
            meaning: $meaning,
            set: |config, value| {
                config.$section.$field = value.number()?;
                Ok(())
            },
            get: |config| Value::Integer(i64::try_from(config.$section.$field).unwrap_or(i64::MAX)),
        }
    };
}

/// A row for a key that takes one of several names.
macro_rules! choice_key {
    ($path:literal, $env:literal, $choice:ident, $section:ident . $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: Kind::Choice($choice::NAMES),
            meaning: $meaning,
            set: |config, value| {
                config.$section.$field = value.text().parse()?;
                Ok(())
            },
            get: |config| Value::Text(config.$section.$field.as_str().to_owned()),
        }
    };
}

/// A row for a key that takes networks.
macro_rules! networks_key {
    ($path:literal, $env:literal, $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: Kind::List,
            meaning: $meaning,
            set: |config, value| {
                config.http.$field = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
                Ok(())
            },
            get: |config| Value::List(config.http.$field.iter().map(IpNet::to_string).collect()),
        }
    };
}

/// A row for a phrase of an announcement.
macro_rules! phrase_key {
    ($path:literal, $env:literal, $field:ident[$index:literal], $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: Kind::Text,
            meaning: $meaning,
            set: |config, value| {
                config.barista.$field[$index] = phrase(value.text())?;
                Ok(())
            },
            get: |config| Value::Text(config.barista.$field[$index].clone()),
        }
    };
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// All keys, in the order of the manual.
pub const KEYS: &[Key] = &[
    Key {
        path: "listen",
        env: "AUTOCALL_LISTEN",
        kind: Kind::Text,
        meaning: "IP address and port on which the server answers; `127.0.0.1:8080` for this computer only.",
        set: |config, value| {
            config.listen = value
                .text()
                .parse()
                .map_err(|_| "must be an IP address and a port, such as 0.0.0.0:8080 or [::]:8080".to_owned())?;
            Ok(())
        },
        get: |config| Value::Text(config.listen.to_string()),
    },
    Key {
        path: "data_dir",
        env: "AUTOCALL_DATA_DIR",
        kind: Kind::Text,
        meaning: "Folder of the embedded database; made if missing. Not used for alarms when `database_url` is set.",
        set: |config, value| {
            config.data_dir = PathBuf::from(value.text());
            Ok(())
        },
        get: |config| Value::Text(config.data_dir.display().to_string()),
    },
    Key {
        path: "database_url",
        env: "DATABASE_URL",
        kind: Kind::Text,
        meaning: "Postgres database, `postgres://user:password@host/name`. Without it everything is kept in `data_dir`.",
        set: |config, value| {
            config.database_url = Some(secret_url(value.text(), &["postgres://", "postgresql://"])?);
            Ok(())
        },
        get: |config| optional(config.database_url.as_ref()),
    },
    Key {
        path: "redis_url",
        env: "REDIS_URL",
        kind: Kind::Text,
        meaning: "Redis with which several nodes keep out of each other's way, `redis://user:password@host:6379/0`. \
                  One node needs none.",
        set: |config, value| {
            config.redis_url = Some(secret_url(value.text(), &["redis://"])?);
            Ok(())
        },
        get: |config| optional(config.redis_url.as_ref()),
    },
    Key {
        path: "default_region",
        env: "AUTOCALL_DEFAULT_REGION",
        kind: Kind::Text,
        meaning: "Country in which numbers without a country code are read: two letters, ISO 3166.",
        set: |config, value| {
            config.default_region = region(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.default_region.to_string()),
    },
    choice_key!(
        "log.format",
        "AUTOCALL_LOG_FORMAT",
        LogFormat,
        log.format,
        "Form of the log: `text` for people, `json` for machines (one object per line)."
    ),
    Key {
        path: "log.filter",
        env: "AUTOCALL_LOG_FILTER",
        kind: Kind::Text,
        meaning: "What is logged: `error`, `warn`, `info`, `debug` or `trace`, also per module: `info,autocall::engine=debug`.",
        set: |config, value| {
            tracing_subscriber::EnvFilter::builder()
                .parse(value.text())
                .map_err(|error| format!("is no log filter ({error}); write a level such as info"))?;
            // A lone word that is no level would be taken for the name of a module, and nothing else would be logged.
            let lone = value.text().split(',').map(str::trim).find(|part| {
                let is_word = !part.is_empty() && part.chars().all(char::is_alphanumeric);
                is_word && part.parse::<tracing_subscriber::filter::LevelFilter>().is_err()
            });
            if let Some(word) = lone {
                return Err(format!("{word:?} is no level; write error, warn, info, debug or trace"));
            }
            config.log.filter = value.text().to_owned();
            Ok(())
        },
        get: |config| Value::Text(config.log.filter.clone()),
    },
    networks_key!(
        "http.open_networks",
        "AUTOCALL_HTTP_OPEN_NETWORKS",
        open_networks,
        "Networks or addresses that may use the documented plain paths without token or key. An empty list closes them."
    ),
    networks_key!(
        "http.trusted_proxies",
        "AUTOCALL_HTTP_TRUSTED_PROXIES",
        trusted_proxies,
        "Networks or addresses of reverse proxies whose `Forwarded` and `X-Forwarded-*` headers are believed."
    ),
    Key {
        path: "http.hosts",
        env: "AUTOCALL_HTTP_HOSTS",
        kind: Kind::List,
        meaning: "Host names by which the server is called, besides IP addresses and `localhost`.",
        set: |config, value| {
            config.http.hosts = value.list().iter().map(|item| host(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.http.hosts.clone()),
    },
    Key {
        path: "http.public_url",
        env: "AUTOCALL_HTTP_PUBLIC_URL",
        kind: Kind::Text,
        meaning: "How people's browsers reach the server. With it, notices hold a link for each callee, to take an alarm or to decline.",
        set: |config, value| {
            config.http.public_url = Some(public_url(value.text())?);
            Ok(())
        },
        get: |config| Value::Text(config.http.public_url.clone().unwrap_or_default()),
    },
    count_key!(
        "http.body_limit_bytes",
        "AUTOCALL_HTTP_BODY_LIMIT_BYTES",
        (1024, 64 * 1024 * 1024),
        http.body_limit_bytes,
        "Longest request body in bytes, 1024 to 67108864."
    ),
    time_key!(
        "http.request_timeout_seconds",
        "AUTOCALL_HTTP_REQUEST_TIMEOUT_SECONDS",
        (1, 600),
        1,
        http.request_timeout,
        "Longest time for a request, 1 to 600. The handset paths have limits of their own."
    ),
    count_key!(
        "http.max_connections",
        "AUTOCALL_HTTP_MAX_CONNECTIONS",
        (16, 1_000_000),
        http.max_connections,
        "Most connections at a time, 16 to 1000000. An eighth of them, at most 256, is kept for alarms, handsets and health. Fewer if the system allows fewer open files."
    ),
    count_key!(
        "http.connections_per_address",
        "AUTOCALL_HTTP_CONNECTIONS_PER_ADDRESS",
        (8, 1_000_000),
        http.connections_per_address,
        "Most connections from one address, 8 to 1000000, and never more than half of all. Those that have shown a token or key do not count, nor those of `trusted_proxies`."
    ),
    count_key!(
        "http.max_waiting",
        "AUTOCALL_HTTP_MAX_WAITING",
        (4, 1_000_000),
        http.max_waiting,
        "Most connections that wait at a time, 4 to 1000000: long polls of handsets, and open pages. Beyond it a long poll is answered at once. Never more than three quarters of the places that are not reserved."
    ),
    count_key!(
        "http.max_pages",
        "AUTOCALL_HTTP_MAX_PAGES",
        (1, 100_000),
        http.max_pages,
        "Most open pages that are kept up to date at a time, 1 to 100000."
    ),
    count_key!(
        "http.pages_per_user",
        "AUTOCALL_HTTP_PAGES_PER_USER",
        (1, 100_000),
        http.pages_per_user,
        "Of these, most of one user, 1 to 100000."
    ),
    count_key!(
        "http.alarms_per_minute",
        "AUTOCALL_HTTP_ALARMS_PER_MINUTE",
        (1, 1_000_000),
        http.alarms_per_minute,
        "Most requests in a minute with which one sender (a key; without one, an address) may raise alarms, 1 to 1000000. Beyond it they are refused, and sent again later."
    ),
    choice_key!(
        "handsets.plain_path",
        "AUTOCALL_HANDSETS_PLAIN_PATH",
        PlainPath,
        handsets.plain_path,
        "Whether the documented plain path hands out alarms: `auto` (until a handset is paired), `always`, `never`."
    ),
    choice_key!(
        "handsets.profile",
        "AUTOCALL_HANDSETS_PROFILE",
        ProfileChoice,
        handsets.profile,
        "What a handset without a profile of its own is taken for: `auto`, `app`, `list`, `repeat`, `native`."
    ),
    choice_key!(
        "handsets.idle_form",
        "AUTOCALL_HANDSETS_IDLE_FORM",
        IdleForm,
        handsets.idle_form,
        "Answer when there is nothing to do: `plain` as documented, `headless_safe` for app builds that stop without a `mid`."
    ),
    Key {
        path: "handsets.country",
        env: "AUTOCALL_HANDSETS_COUNTRY",
        kind: Kind::Text,
        meaning: "Country of the handsets' SIM cards: its numbers are dialled in national form, all others with `+`.",
        set: |config, value| {
            config.handsets.country = region(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.handsets.country.to_string()),
    },
    time_key!(
        "handsets.ring_seconds",
        "AUTOCALL_HANDSETS_RING_SECONDS",
        (10, 600),
        1,
        handsets.ring,
        "How long a call rings at most, 10 to 600."
    ),
    time_key!(
        "handsets.dial_base_seconds",
        "AUTOCALL_HANDSETS_DIAL_BASE_SECONDS",
        (0, 3600),
        1,
        handsets.dial_base,
        "Time a handset gets for a list, whatever its length, 0 to 3600."
    ),
    time_key!(
        "handsets.dial_seconds_per_number",
        "AUTOCALL_HANDSETS_DIAL_SECONDS_PER_NUMBER",
        (10, 600),
        1,
        handsets.dial_per_number,
        "More time for each number of the list, 10 to 600."
    ),
    time_key!(
        "handsets.dial_minimum_seconds",
        "AUTOCALL_HANDSETS_DIAL_MINIMUM_SECONDS",
        (30, 7200),
        1,
        handsets.dial_minimum,
        "Least time for a list, 30 to 7200. After it another handset goes on."
    ),
    time_key!(
        "handsets.grace_seconds",
        "AUTOCALL_HANDSETS_GRACE_SECONDS",
        (0, 3600),
        1,
        handsets.grace,
        "Least time an open list keeps after handsets could not reach the server, 0 to 3600."
    ),
    Key {
        path: "handsets.offline_phones",
        env: "AUTOCALL_HANDSETS_OFFLINE_PHONES",
        kind: Kind::List,
        meaning: "Whom to ring, in order and through another handset, when a handset cannot be used. Empty: the `fallback` notice goes out.",
        set: |config, value| {
            config.handsets.offline_phones = phones(value)?;
            Ok(())
        },
        get: |config| Value::List(config.handsets.offline_phones.clone()),
    },
    time_key!(
        "handsets.offline_alarm_after_seconds",
        "AUTOCALL_HANDSETS_OFFLINE_ALARM_AFTER_SECONDS",
        (0, 86_400),
        1,
        handsets.offline_alarm_after,
        "A handset is away for so long before they are rung, 0 to 86400. Without any other handset the notice goes out at once."
    ),
    count_key!(
        "alarms.attempts",
        "AUTOCALL_ALARMS_ATTEMPTS",
        (1, 10),
        alarms.attempts,
        "How often each person is rung, 1 to 10, unless the alarm says."
    ),
    time_key!(
        "alarms.min_interval_seconds",
        "AUTOCALL_ALARMS_MIN_INTERVAL_SECONDS",
        (0, 86_400),
        1,
        alarms.min_interval,
        "Least time between two calls to the same person, 0 to 86400, unless the alarm says."
    ),
    time_key!(
        "alarms.begin_before_seconds",
        "AUTOCALL_ALARMS_BEGIN_BEFORE_SECONDS",
        (60, 604_800),
        1,
        alarms.begin_before,
        "An alarm for which no handset could begin within this time ends as unanswered, 60 to 604800: better than a call hours late."
    ),
    time_key!(
        "alarms.dedup_hours",
        "AUTOCALL_ALARMS_DEDUP_HOURS",
        (1, 720),
        HOUR,
        alarms.dedup,
        "For so long after the last repeat, the same alarm counts as a repeat and not as new, 1 to 720."
    ),
    time_key!(
        "alarms.rehunt_minutes",
        "AUTOCALL_ALARMS_REHUNT_MINUTES",
        (1, 1440),
        MINUTE,
        alarms.rehunt,
        "A repeat of an alarm that nobody answered, or one with something new in it, rings people again, at most this often, 1 to 1440."
    ),
    choice_key!(
        "alarms.ring_for_new",
        "AUTOCALL_ALARMS_RING_FOR_NEW",
        Switch,
        alarms.ring_for_new,
        "Whether an alert that joins an alarm which was answered already rings people again, at most once in `rehunt_minutes`: `on` or `off`. A rise of priority always does."
    ),
    time_key!(
        "alarms.join_window_seconds",
        "AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS",
        (0, 3600),
        1,
        alarms.join_window,
        "Alarms for the same people that come within this time are rung for together, 0 to 3600; 0 rings for each by itself."
    ),
    count_key!(
        "alarms.max_phones",
        "AUTOCALL_ALARMS_MAX_PHONES",
        (1, 1000),
        alarms.max_phones,
        "Most phone numbers in one alarm, 1 to 1000."
    ),
    Key {
        path: "alarms.fallback_phones",
        env: "AUTOCALL_ALARMS_FALLBACK_PHONES",
        kind: Kind::List,
        meaning: "Whom to ring, in order, when neither an alarm nor its sender's key names anybody.",
        set: |config, value| {
            config.alarms.fallback_phones = phones(value)?;
            Ok(())
        },
        get: |config| Value::List(config.alarms.fallback_phones.clone()),
    },
    time_key!(
        "alarms.dry_run_ring_seconds",
        "AUTOCALL_ALARMS_DRY_RUN_RING_SECONDS",
        (1, 600),
        1,
        alarms.dry_run_ring,
        "How long each number is taken to ring in a dry run, 1 to 600."
    ),
    choice_key!(
        "barista.history",
        "AUTOCALL_BARISTA_HISTORY",
        HistoryForm,
        barista.history,
        "Form of the history that Barista clients read: `documented` as Barista's document shows it, `original` as Barista answered."
    ),
    phrase_key!(
        "barista.head_one",
        "AUTOCALL_BARISTA_HEAD_ONE",
        heads[0],
        "Opening phrase of `headid=1`; `{hostname}` stands for the host."
    ),
    phrase_key!(
        "barista.head_two",
        "AUTOCALL_BARISTA_HEAD_TWO",
        heads[1],
        "Opening phrase of `headid=2`; `{hostname}` stands for the host."
    ),
    phrase_key!(
        "barista.foot_one",
        "AUTOCALL_BARISTA_FOOT_ONE",
        feet[0],
        "Closing phrase of `footid=1`; `{hostname}` stands for the host."
    ),
    phrase_key!(
        "barista.foot_two",
        "AUTOCALL_BARISTA_FOOT_TWO",
        feet[1],
        "Closing phrase of `footid=2`; `{hostname}` stands for the host."
    ),
    Key {
        path: "notify.allow_networks",
        env: "AUTOCALL_NOTIFY_ALLOW_NETWORKS",
        kind: Kind::List,
        meaning: "Networks or addresses inside that webhooks and the ping may go to. Public addresses always may.",
        set: |config, value| {
            config.notify.allow_networks = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.notify.allow_networks.iter().map(IpNet::to_string).collect()),
    },
    Key {
        path: "notify.ping_url",
        env: "AUTOCALL_NOTIFY_PING_URL",
        kind: Kind::Text,
        meaning: "Called every minute while the server and its database are alive, so that a dead man's switch elsewhere notices \
                  when it is not.",
        set: |config, value| {
            config.notify.ping_url = Some(secret_url(value.text(), &["https://", "http://"])?);
            Ok(())
        },
        get: |config| optional(config.notify.ping_url.as_ref()),
    },
    Key {
        path: "roster.allow_networks",
        env: "AUTOCALL_ROSTER_ALLOW_NETWORKS",
        kind: Kind::List,
        meaning: "Networks or addresses inside in which calendars that schedules follow may be. Public addresses always may.",
        set: |config, value| {
            config.roster.allow_networks = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.roster.allow_networks.iter().map(IpNet::to_string).collect()),
    },
    Key {
        path: "sms.allow_networks",
        env: "AUTOCALL_SMS_ALLOW_NETWORKS",
        kind: Kind::List,
        meaning: "Networks or addresses inside in which gateways for text messages may be. Public addresses always may.",
        set: |config, value| {
            config.sms.allow_networks = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.sms.allow_networks.iter().map(IpNet::to_string).collect()),
    },
    time_key!(
        "sms.reply_window_minutes",
        "AUTOCALL_SMS_REPLY_WINDOW_MINUTES",
        (1, 1440),
        MINUTE,
        sms.reply_window,
        "For so long after somebody was rung, their text message counts for that alarm, 1 to 1440."
    ),
    Key {
        path: "sms.zone",
        env: "AUTOCALL_SMS_ZONE",
        kind: Kind::Text,
        meaning: "The time zone of gateways that tell times without one, by its IANA name; a gateway may have another.",
        set: |config, value| {
            let wrong = |_| "must be an IANA time zone, such as Asia/Shanghai or Europe/Madrid".to_owned();
            config.sms.zone = value.text().parse().map_err(wrong)?;
            Ok(())
        },
        get: |config| Value::Text(config.sms.zone.name().to_owned()),
    },
    Key {
        path: "sms.answer_replies",
        env: "AUTOCALL_SMS_ANSWER_REPLIES",
        kind: Kind::Choice(&["on", "off"]),
        meaning: "`on`: text messages are answered with what they did, through the gateway by which they came. `off`: they are not, but for whoever is rung no more from now on.",
        set: |config, value| {
            config.sms.answer_replies = value.text() == "on";
            Ok(())
        },
        get: |config| Value::Text(if config.sms.answer_replies { "on" } else { "off" }.to_owned()),
    },
    Key {
        path: "sms.confirm_words",
        env: "AUTOCALL_SMS_CONFIRM_WORDS",
        kind: Kind::List,
        meaning: "A text message that is one of these words confirms.",
        set: |config, value| {
            config.sms.replies.confirm = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.confirm.clone()),
    },
    Key {
        path: "sms.decline_words",
        env: "AUTOCALL_SMS_DECLINE_WORDS",
        kind: Kind::List,
        meaning: "A text message that is one of these words declines.",
        set: |config, value| {
            config.sms.replies.decline = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.decline.clone()),
    },
    Key {
        path: "sms.stop_words",
        env: "AUTOCALL_SMS_STOP_WORDS",
        kind: Kind::List,
        meaning: "By a text message that is one of these words somebody asks to be rung no more.",
        set: |config, value| {
            config.sms.replies.stop = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.stop.clone()),
    },
    Key {
        path: "sms.start_words",
        env: "AUTOCALL_SMS_START_WORDS",
        kind: Kind::List,
        meaning: "By a text message that is one of these words they take that back.",
        set: |config, value| {
            config.sms.replies.start = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.start.clone()),
    },
    Key {
        path: "lines.carriers",
        env: "AUTOCALL_LINES_CARRIERS",
        kind: Kind::List,
        meaning: "Carriers beside the known ones, as `id code`, with `N` for the number in the code that forwards all calls: `acme **21*N#`.",
        set: |config, value| {
            config.lines.carriers = value.list().iter().map(|item| item.parse()).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.lines.carriers.iter().map(ToString::to_string).collect()),
    },
    count_key!(
        "retention.days",
        "AUTOCALL_RETENTION_DAYS",
        (0, 36_500),
        retention.days,
        "Alarms that ended so many days ago are forgotten, 0 to 36500; 0 keeps everything."
    ),
];

/// Variables of ours that are no keys: the command line reads them.
const OTHER_VARIABLES: &[&str] = &["AUTOCALL_CONFIG", "AUTOCALL_URL"];

fn phones(value: &Value) -> Result<Vec<String>, String> {
    for phone in value.list() {
        // Any region will do to find what cannot be dialled at all; the default region is read when it is used.
        Number::parse(phone, Region::CN).map_err(|error| format!("{phone:?}: {error}"))?;
    }
    Ok(value.list().to_vec())
}

/// Words that make up a whole message.
fn reply_words(value: &Value) -> Result<Vec<String>, String> {
    match value.list().iter().find(|word| word.trim().is_empty() || word.chars().count() > 40) {
        Some(word) => Err(format!("holds {word:?}; a reply has 1 to 40 characters")),
        None => Ok(value.list().to_vec()),
    }
}

fn optional(url: Option<&SecretUrl>) -> Value {
    Value::Text(url.map(ToString::to_string).unwrap_or_default())
}

fn region(text: &str) -> Result<Region, String> {
    text.parse().map_err(|_| "must be the two-letter ISO 3166 code of a country, such as CN, JP, US or GB".to_owned())
}

/// A phrase whose only gap is the host's name: any other would be spoken as it stands.
fn phrase(text: &str) -> Result<String, String> {
    if text.replace("{hostname}", "").contains(['{', '}']) {
        return Err("may hold {hostname} and no other braces".to_owned());
    }
    Ok(text.to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(|network| canonical(network.trunc()))
        .map_err(|_| format!("holds {text:?}, which is no network; write 192.168.1.0/24 or a single address"))
}

/// An IPv4 network written as IPv6 (`::ffff:10.0.0.0/104`) is that IPv4 network: addresses are compared in their own form.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= MAPPED => {
            let inner = mapped
                .addr()
                .to_ipv4_mapped()
                .and_then(|address| ipnet::Ipv4Net::new(address, mapped.prefix_len() - MAPPED).ok());
            inner.map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

fn host(text: &str) -> Result<String, String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let good = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() <= 253 && name.split('.').all(good) {
        Ok(name)
    } else {
        Err(format!("holds {text:?}, which is no host name; write alerts.example.org, without http:// and port"))
    }
}

/// Checks the form only; says nothing of the value, which may hold a password.
fn public_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        return Err("must be http://… or https://…, with nothing after the path".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn secret_url(text: &str, schemes: &[&str]) -> Result<SecretUrl, String> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let sound = rest.is_some_and(|rest| !rest.is_empty() && !text.contains(char::is_whitespace));
    let sound = sound && (!text.starts_with("redis") || redis::Client::open(text).is_ok());
    if sound && text.starts_with("postgres") {
        crate::config::postgres_url::check(text)?;
    }
    if sound {
        Ok(SecretUrl(text.to_owned()))
    } else {
        Err(format!("must be a URL that begins with {} and names a host", schemes.join(" or ")))
    }
}

/// What the command line says, which wins over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of `listen`.
    pub listen: Option<SocketAddr>,
    /// Instead of `data_dir`.
    pub data_dir: Option<PathBuf>,
}

/// A configuration, and what is odd about it without being wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Sentences to log once the log is there.
    pub warnings: Vec<String>,
}

/// The configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or cannot be read.
    #[error("cannot read the configuration file {}: {source}; name an existing file, or none to use the defaults", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Keys or values are wrong; one line for each.
    #[error("the configuration is refused; please correct:\n{}", lines(.0))]
    Refused(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where to correct it.
    pub place: Place,
    /// What is wrong, and how it should be.
    pub what: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the file.
    Line {
        /// The file's name without its folder.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { file, line } => write!(f, "{file} line {line}: {}", self.what),
            Place::Variable(name) => write!(f, "environment variable {name}: {}", self.what),
        }
    }
}

impl Config {
    /// Reads the configuration: defaults, then `file`, then the environment, then the command line.
    ///
    /// `env` looks a variable up by name; a variable that is empty counts as absent, except for a list, which it empties.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or any key or value is wrong. All wrong ones are listed.
    pub fn load(file: Option<&Path>, env: impl Fn(&str) -> Option<String>, overrides: Overrides) -> Result<Loaded, ConfigError> {
        let mut loading = Loading::default();
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
            loading.read_file(&name, &text);
        }
        loading.read_environment(env);
        if !loading.problems.is_empty() {
            return Err(ConfigError::Refused(loading.problems));
        }
        let mut config = loading.config;
        if !loading.given.contains("handsets.country") {
            config.handsets.country = config.default_region;
        }
        if let Some(listen) = overrides.listen {
            config.listen = listen;
        }
        if let Some(data_dir) = overrides.data_dir {
            config.data_dir = data_dir;
        }
        let listed = loading.given.contains("http.open_networks");
        let loopback = |network: &IpNet| {
            network.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)) || network.contains(&IpAddr::V6(Ipv6Addr::LOCALHOST))
        };
        config.http.loopback_listed = listed && config.http.open_networks.iter().any(loopback);
        config.http.proxy_sign = ProxySign::of(config.listen, &config.http);
        if !listed && config.http.proxy_sign.is_some() {
            config.http.open_networks.clear();
        }
        let warnings = config.oddities();
        Ok(Loaded { config, warnings })
    }

    /// What deserves a word at start.
    fn oddities(&self) -> Vec<String> {
        let lists = [("open_networks", &self.http.open_networks), ("trusted_proxies", &self.http.trusted_proxies)];
        let proxy = self.http.proxy_sign.filter(|_| !self.http.loopback_listed).map(|sign| {
            let line = match self.http.trusted_proxies.is_empty() {
                true => "write trusted_proxies = [\"127.0.0.1\", \"::1\"] below [http] if the proxy runs here, else its address; ",
                false => "",
            };
            format!(
                "a reverse proxy seems to stand in front of this server ({sign}), so this computer is no open network by itself and \
                 its programs need a key: {line}write open_networks = [\"127.0.0.0/8\", \"::1/128\"] if they are to come in without"
            )
        });
        let everybody = lists
            .iter()
            .flat_map(|(key, networks)| networks.iter().map(move |network| (key, network)))
            .filter(|(_, network)| network.prefix_len() == 0)
            .map(|(key, network)| format!("http.{key} holds {network}, which is everybody; name your own networks instead"));
        everybody.chain(proxy).chain(self.path_in_front()).collect()
    }

    /// A path in front that cannot be told from the server's own.
    fn path_in_front(&self) -> Option<String> {
        let path = self.http.path_in_front().filter(|path| begins_like_ours(path))?;
        Some(format!(
            "http.public_url holds the path {path}, which begins like one of this server's own: the proxy must take it away, or choose another"
        ))
    }
}

/// Names of variables that look like ours and are not: most likely typing errors, but possibly somebody else's business,
/// so they are worth a warning only.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = |name: &str| OTHER_VARIABLES.contains(&name) || KEYS.iter().any(|key| key.env == name);
    let mut warnings: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with("AUTOCALL_") && !known(name))
        .map(|name| {
            let hint = nearest(&name, KEYS.iter().map(|key| key.env));
            format!("environment variable {name} is not known and has no effect{}", did_you_mean(hint))
        })
        .collect();
    warnings.sort_unstable();
    warnings
}

#[derive(Default)]
struct Loading {
    config: Config,
    problems: Vec<Problem>,
    given: BTreeSet<&'static str>,
}

impl Loading {
    fn read_file(&mut self, name: &str, text: &str) {
        // Editors on Windows put a byte order mark in front, which would be taken for a part of the first key.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let place = |span: Range<usize>| Place::Line { file: name.to_owned(), line: line_of(text, span.start) };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let what = format!("this is no TOML ({})", error.message().trim());
                self.problems.push(Problem { place: place(error.span().unwrap_or(0..0)), what });
                return;
            }
        };
        let mut entries = Vec::new();
        flatten("", table.get_ref(), &mut entries);
        // The table is sorted by name; problems are told in the order of the file.
        entries.sort_by_key(|entry| entry.key_span.start);
        for entry in entries {
            if let Err((span, what)) = self.apply_entry(&entry) {
                self.problems.push(Problem { place: place(span), what });
            }
        }
    }

    fn apply_entry(&mut self, entry: &Entry<'_, '_>) -> Result<(), (Range<usize>, String)> {
        let Some(key) = KEYS.iter().find(|key| key.path == entry.path) else {
            let is_section = KEYS.iter().any(|key| key.path.split_once('.').is_some_and(|(section, _)| section == entry.path));
            let what = if is_section {
                format!("{} is a section; write [{}] and its keys below", entry.path, entry.path)
            } else {
                let hint = nearest(&entry.path, KEYS.iter().map(|key| key.path));
                format!("{} is not a known key{}", entry.path, did_you_mean(hint))
            };
            return Err((entry.key_span.clone(), what));
        };
        value_from_toml(key.kind, entry.value)
            .and_then(|value| self.apply(key, value))
            .map_err(|what| (entry.value_span.clone(), format!("{} {what}", key.path)))
    }

    fn read_environment(&mut self, env: impl Fn(&str) -> Option<String>) {
        for key in KEYS {
            let Some(text) = env(key.env) else { continue };
            if text.trim().is_empty() && key.kind != Kind::List {
                continue;
            }
            if let Err(what) = value_from_text(key.kind, &text).and_then(|value| self.apply(key, value)) {
                self.problems.push(Problem { place: Place::Variable(key.env), what });
            }
        }
    }

    fn apply(&mut self, key: &'static Key, value: Value) -> Result<(), String> {
        if value == Value::Text(String::new()) {
            return Ok(());
        }
        self.given.insert(key.path);
        (key.set)(&mut self.config, &value)
    }
}

/// A key and its value, somewhere in the file.
struct Entry<'t, 'i> {
    path: String,
    key_span: Range<usize>,
    value: &'t DeValue<'i>,
    value_span: Range<usize>,
}

/// All entries of a table with their whole paths. A table that is not a section of ours is an entry itself, so that an
/// unknown section is told once and not key by key.
fn flatten<'t, 'i>(prefix: &str, table: &'t DeTable<'i>, entries: &mut Vec<Entry<'t, 'i>>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let section = format!("{path}.");
        match value.get_ref() {
            DeValue::Table(inner) if KEYS.iter().any(|key| key.path.starts_with(&section)) => flatten(&path, inner, entries),
            value_ref => entries.push(Entry { path, key_span: key.span(), value: value_ref, value_span: value.span() }),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn value_from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    let wrong = || Err(format!("{}; it is {} here", expected(kind), article(value.type_str())));
    match (kind, value) {
        (Kind::Text, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Kind::Choice(names), DeValue::String(text)) => choose(names, text),
        (Kind::Choice(Switch::NAMES), DeValue::Boolean(on)) => choose(Switch::NAMES, if *on { "on" } else { "off" }),
        (Kind::Integer(least, most), DeValue::Integer(number)) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => within(least, most, number),
            Err(_) => Err(format!("must be from {least} to {most}")),
        },
        (Kind::List, DeValue::Array(items)) => {
            let items: Option<Vec<String>> = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            items.map_or_else(|| Err("must be a list of strings only".to_owned()), |items| Ok(Value::List(items)))
        }
        _ => wrong(),
    }
}

fn value_from_text(kind: Kind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    match kind {
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Choice(Switch::NAMES) if matches!(text, "true" | "false") => {
            choose(Switch::NAMES, if text == "true" { "on" } else { "off" })
        }
        Kind::Choice(names) => choose(names, text),
        Kind::Integer(least, most) => match text.parse() {
            Ok(number) => within(least, most, number),
            Err(_) => Err(format!("{}; it is {text:?}", expected(kind))),
        },
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
    }
}

fn choose(names: &[&str], text: &str) -> Result<Value, String> {
    if names.contains(&text) {
        Ok(Value::Text(text.to_owned()))
    } else {
        Err(format!("must be one of {}; it is {text:?}", names.join(", ")))
    }
}

fn within(least: i64, most: i64, number: i64) -> Result<Value, String> {
    if (least..=most).contains(&number) {
        Ok(Value::Integer(number))
    } else {
        Err(format!("must be from {least} to {most}; it is {number}"))
    }
}

fn expected(kind: Kind) -> String {
    match kind {
        Kind::Text => "must be a string in quotation marks".to_owned(),
        Kind::Choice(names) => format!("must be one of {}, in quotation marks", names.join(", ")),
        Kind::Integer(least, most) => format!("must be a whole number from {least} to {most}"),
        Kind::List => "must be a list such as [\"a\", \"b\"]".to_owned(),
    }
}

fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

fn did_you_mean(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; did you mean {hint}?")).unwrap_or_default()
}

/// The known name that `wrong` most likely stands for: the same last word in another section, or a few letters off.
fn nearest(wrong: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    known
        .map(|name| (if last(name) == last(wrong) { 1 } else { distance(wrong, name) }, name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 6)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, removed or replaced to make `b` of `a` (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (above, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *above;
            left = replaced.min(left + 1).min(diagonal + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = include_str!("../autocall.example.toml");
    const MANUAL: &str = include_str!("../../docs/configuration.md");

    fn load_all(file: Option<&str>, env: &[(&str, &str)], overrides: Overrides) -> Result<Loaded, ConfigError> {
        let env: BTreeMap<&str, &str> = env.iter().copied().collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("autocall.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let lookup = |name: &str| env.get(name).map(|value| (*value).to_owned());
        Config::load(file.map(|_| path.as_path()), lookup, overrides)
    }

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        load_all(Some(text), &[], Overrides::default()).map(|loaded| loaded.config)
    }

    fn from_env(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        load_all(None, env, Overrides::default()).map(|loaded| loaded.config)
    }

    fn refused(result: Result<Config, ConfigError>) -> String {
        match result {
            Err(ConfigError::Refused(problems)) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            other => panic!("should have been refused: {other:?}"),
        }
    }

    /// The example with its key lines switched on.
    fn uncommented_example() -> String {
        let is_setting = |rest: &str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => rest,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn nothing_configured_gives_the_defaults() {
        let loaded = load_all(None, &[], Overrides::default()).unwrap();
        assert_eq!(loaded, Loaded { config: Config::default(), warnings: Vec::new() });
        let config = loaded.config;
        assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.http.open_networks.len(), 2);
        assert_eq!(config.handsets.dial_time(1), Duration::from_secs(180));
        assert_eq!(config.handsets.dial_time(3), Duration::from_secs(285));
        assert_eq!(config.handsets.dial_time(usize::MAX).as_secs(), 60 + 75 * u64::from(u32::MAX));
    }

    #[test]
    fn the_example_as_it_is_and_with_everything_switched_on_gives_the_defaults() {
        assert_eq!(from_file(EXAMPLE).unwrap(), Config::default());
        let mut written = from_file(&uncommented_example()).unwrap();
        // Whoever writes the default down says that this computer may come in.
        assert!(std::mem::take(&mut written.http.loopback_listed));
        assert_eq!(written, Config::default());
    }

    #[test]
    fn the_example_shows_every_key_with_its_default_and_its_variable() {
        let on = uncommented_example();
        let mut section = String::new();
        let mut shown = BTreeMap::new();
        for (line, switched_on) in EXAMPLE.lines().zip(on.lines()) {
            if let Some(name) = line.strip_prefix('[') {
                section = format!("{}.", name.trim_end_matches(']'));
            } else if line != switched_on {
                let (key, value) = switched_on.split_once(" = ").unwrap();
                shown.insert(format!("{section}{key}"), value.to_owned());
            }
        }
        for key in KEYS {
            let value = shown.remove(key.path).unwrap_or_else(|| panic!("{} is not in the example", key.path));
            assert_eq!(value, key.shown(&Config::default()), "{}", key.path);
            let variable = format!("({})", key.env);
            assert!(EXAMPLE.contains(&variable), "{variable} is not in the example");
        }
        assert_eq!(shown, BTreeMap::new(), "keys in the example that do not exist");
    }

    #[test]
    fn the_manual_has_the_row_of_every_key_and_no_other() {
        // Other sections of the manual have tables of their own.
        let keys = MANUAL.split("\n## ").find(|section| section.starts_with("All keys")).unwrap_or_default();
        let rows: Vec<&str> = keys.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = KEYS.iter().map(Key::manual_row).collect();
        assert_eq!(rows, expected, "the table in docs/configuration.md should be:\n{}", expected.join("\n"));
    }

    #[test]
    fn keys_and_variables_are_unique_and_named_alike() {
        let paths: BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
        let variables: BTreeSet<_> = KEYS.iter().map(|key| key.env).collect();
        assert_eq!((paths.len(), variables.len()), (KEYS.len(), KEYS.len()));
        for key in KEYS.iter().filter(|key| !["database_url", "redis_url"].contains(&key.path)) {
            assert_eq!(key.env, format!("AUTOCALL_{}", key.path.replace('.', "_").to_ascii_uppercase()));
        }
    }

    #[test]
    fn ranges_are_told_in_the_manual_and_held() {
        for key in KEYS {
            let Kind::Integer(least, most) = key.kind else {
                continue;
            };
            assert!(key.meaning.contains(&format!("{least} to {most}")), "{} does not tell its range", key.path);
            for number in [least, most] {
                let config = from_env(&[(key.env, &number.to_string())]).unwrap();
                assert_eq!(key.shown(&config), number.to_string(), "{}", key.path);
            }
            for number in [least - 1, most + 1] {
                let told = refused(from_env(&[(key.env, &number.to_string())]));
                assert!(told.contains(key.env) && told.contains(&number.to_string()), "{told}");
            }
        }
    }

    #[test]
    fn later_places_win() {
        let file = "listen = '127.0.0.1:1'\ndata_dir = 'file'\n[alarms]\nattempts = 3\nmax_phones = 7";
        let env = [("AUTOCALL_LISTEN", "127.0.0.1:2"), ("AUTOCALL_DATA_DIR", "env"), ("AUTOCALL_ALARMS_ATTEMPTS", "4")];
        let command_line = Overrides { listen: Some(([127, 0, 0, 1], 3).into()), data_dir: None };
        let config = load_all(Some(file), &env, command_line).unwrap().config;
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.data_dir, Path::new("env"));
        assert_eq!(config.alarms.attempts, 4);
        assert_eq!(config.alarms.max_phones, 7);
    }

    #[test]
    fn every_section_can_be_written_in_full() {
        let config = from_file(
            r#"
            listen = "[::1]:9090"
            database_url = "postgresql://u:secret@db/autocall"
            redis_url = "redis://:secret@cache:6379/2"
            default_region = "jp"
            log = { format = "json", filter = "warn,autocall::engine=debug" }
            handsets.plain_path = "never"
            handsets.profile = "app"
            handsets.idle_form = "headless_safe"
            [http]
            hosts = ["Alerts.Example.ORG.", "intern"]
            open_networks = ["10.1.2.3/8", "192.168.7.9", "fd00::/8"]
            body_limit_bytes = 0x1_0000
            "#,
        )
        .unwrap();
        assert_eq!(config.http.hosts, ["alerts.example.org", "intern"]);
        let networks: Vec<String> = config.http.open_networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.168.7.9/32", "fd00::/8"]);
        assert_eq!(config.http.body_limit_bytes, 65536);
        assert_eq!(config.log.format, LogFormat::Json);
        assert_eq!(config.handsets.plain_path, PlainPath::Never);
        assert_eq!(config.handsets.profile, ProfileChoice::App);
        assert_eq!(config.handsets.idle_form, IdleForm::HeadlessSafe);
        assert_eq!(config.handsets.country.as_str(), "JP", "follows the default region");
        assert_eq!(config.database_url.as_ref().unwrap().expose(), "postgresql://u:secret@db/autocall");
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
        for key in KEYS {
            assert!(!key.shown(&config).contains("secret"));
        }
    }

    #[test]
    fn the_environment_writes_lists_with_commas_and_empties_them() {
        let config = from_env(&[("AUTOCALL_HTTP_OPEN_NETWORKS", " 10.0.0.0/8, 192.168.1.5 ,")]).unwrap();
        assert_eq!(config.http.open_networks.len(), 2);
        let config = from_env(&[("AUTOCALL_HTTP_OPEN_NETWORKS", "")]).unwrap();
        assert!(config.http.open_networks.is_empty());
        let config = from_env(&[("DATABASE_URL", ""), ("AUTOCALL_LISTEN", " "), ("AUTOCALL_ALARMS_ATTEMPTS", "")]);
        assert_eq!(config.unwrap(), Config::default());
    }

    #[test]
    fn the_country_of_the_handsets_follows_the_region_unless_configured() {
        let country = |env: &[(&str, &str)]| from_env(env).unwrap().handsets.country.to_string();
        assert_eq!(country(&[("AUTOCALL_DEFAULT_REGION", "GB")]), "GB");
        assert_eq!(country(&[("AUTOCALL_DEFAULT_REGION", "GB"), ("AUTOCALL_HANDSETS_COUNTRY", "ie")]), "IE");
        let file = "default_region = 'US'\nhandsets.country = 'CN'";
        assert_eq!(from_file(file).unwrap().handsets.country, Region::CN);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (file, told) in [
            ("\n\nlisten = 8080", "autocall.toml line 3: listen must be a string in quotation marks; it is an integer here"),
            ("listen = \"localhost:80\"", "autocall.toml line 1: listen must be an IP address and a port"),
            ("[http]\n\nbody_limit = 5", "autocall.toml line 3: http.body_limit is not a known key"),
            ("[http]\nrequest_timeout_second = 5", "did you mean http.request_timeout_seconds?"),
            ("open_networks = []", "did you mean http.open_networks?"),
            ("[htpp]\nhosts = []", "autocall.toml line 1: htpp is not a known key"),
            ("http = 5", "http is a section; write [http]"),
            ("[listen]\nport = 5", "autocall.toml line 1: listen must be a string"),
            ("[alarms]\nattempts = 11", "autocall.toml line 2: alarms.attempts must be from 1 to 10; it is 11"),
            ("[alarms]\nattempts = 99999999999999999999", "must be from 1 to 10"),
            ("[alarms]\nattempts = 2.0", "must be a whole number from 1 to 10; it is a float here"),
            ("[log]\nformat = \"xml\"", "log.format must be one of text, json; it is \"xml\""),
            ("[log]\nfilter = \"autocall=loud\"", "log.filter is no log filter"),
            ("[http]\nhosts = [\n'a',\n 5]", "http.hosts must be a list of strings only"),
            ("[http]\nhosts = ['http://a']", "without http:// and port"),
            ("[http]\nopen_networks = ['10.0.0.0/33']", "http.open_networks holds \"10.0.0.0/33\""),
            ("database_url = 'mysql://root:secret@db/x'", "must be a URL that begins with postgres://"),
            ("redis_url = 'redis://'", "must be a URL that begins with redis://"),
            ("redis_url = 'rediss://cache'", "must be a URL that begins with redis://"),
            ("default_region = 'UK'", "must be the two-letter ISO 3166 code"),
            ("listen = ", "autocall.toml line 1: this is no TOML"),
            ("log.format = 'text'\n[log]\nfilter = 'info'", "autocall.toml line 2: this is no TOML"),
            ("a = 1\na = 2", "autocall.toml line 2: this is no TOML"),
            ("\u{feff}\nlisten = 1", "autocall.toml line 2: listen must"),
        ] {
            let answer = refused(from_file(file));
            assert!(answer.contains(told), "{file:?} gave: {answer}");
            assert!(!answer.contains("secret"), "{answer}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once_in_the_order_of_the_file() {
        let file = "[http]\nzzz = 1\nmax_connections = 1\n[alarms]\nattempts = 0";
        let answer = refused(load_all(Some(file), &[("REDIS_URL", "x")], Overrides::default()).map(|it| it.config));
        let places: Vec<&str> = answer.lines().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(
            places,
            ["autocall.toml line 2", "autocall.toml line 3", "autocall.toml line 5", "environment variable REDIS_URL"]
        );
    }

    #[test]
    fn a_missing_file_is_told_by_name() {
        let error = Config::load(Some(Path::new("/nowhere/autocall.toml")), |_| None, Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/autocall.toml"), "{error}");
    }

    #[test]
    fn open_doors_are_warned_about() {
        let env = [("AUTOCALL_HTTP_OPEN_NETWORKS", "0.0.0.0/0"), ("AUTOCALL_HTTP_TRUSTED_PROXIES", "::/0")];
        let warnings = load_all(None, &env, Overrides::default()).unwrap().warnings;
        assert_eq!(warnings.iter().filter(|warning| warning.contains("everybody")).count(), 2, "{warnings:?}");
    }

    #[test]
    fn a_path_in_front_that_is_one_of_ours_is_warned_about() {
        let load = |url| {
            load_all(None, &[("AUTOCALL_HTTP_PUBLIC_URL", url), ("AUTOCALL_HTTP_OPEN_NETWORKS", "::1")], Overrides::default())
        };
        let warned =
            |url| load(url).unwrap().warnings.iter().any(|warning| warning.contains("begins like one of this server's own"));
        assert!(warned("https://example.org/alarms/") && warned("http://example.org:8080/h/b"));
        assert!(
            !warned("https://example.org/") && !warned("http://example.org:8080/pager/") && !warned("https://example.org/a/h")
        );
    }

    #[test]
    fn a_proxy_in_front_closes_this_computer_unless_it_is_listed() {
        let behind = |env: &[(&str, &str)]| {
            let loaded = load_all(None, env, Overrides::default()).unwrap();
            (loaded.config.http.proxy_sign, loaded.config.http.open_networks.len(), loaded.warnings.len())
        };
        const URL: &str = "AUTOCALL_HTTP_PUBLIC_URL";
        assert_eq!(behind(&[]), (None, 2, 0));
        assert_eq!(behind(&[("AUTOCALL_HTTP_HOSTS", "pager.example.org")]), (None, 2, 0), "a name alone says nothing");
        assert_eq!(behind(&[(URL, "http://pager.example.org:8080")]), (None, 2, 0), "our own port");
        assert_eq!(behind(&[(URL, "https://pager.example.org:8080")]), (Some(ProxySign::Https), 0, 1));
        assert_eq!(behind(&[(URL, "http://pager.example.org")]), (Some(ProxySign::Port(80)), 0, 1));
        let local = ("AUTOCALL_LISTEN", "127.0.0.1:8080");
        assert_eq!(behind(&[local, (URL, "http://pager.example.org:8080")]), (Some(ProxySign::Unreachable), 0, 1));
        assert_eq!(behind(&[local, (URL, "http://localhost:8080")]), (None, 2, 0));
        assert_eq!(behind(&[local, (URL, "http://[::1]:8080")]), (None, 2, 0));
        assert_eq!(behind(&[("AUTOCALL_HTTP_TRUSTED_PROXIES", "10.0.0.7")]), (Some(ProxySign::Trusted), 0, 1));
        let listed = ("AUTOCALL_HTTP_OPEN_NETWORKS", "127.0.0.0/8,10.0.0.0/8");
        assert_eq!(behind(&[listed, (URL, "https://pager.example.org")]), (Some(ProxySign::Https), 2, 0), "it says so itself");
        let warned = load_all(None, &[(URL, "https://pager.example.org")], Overrides::default()).unwrap().warnings;
        assert!(warned[0].contains("trusted_proxies = [\"127.0.0.1\", \"::1\"]"), "{warned:?}");
    }

    #[test]
    fn an_ipv4_network_in_ipv6_form_is_that_network() {
        let config =
            from_env(&[("AUTOCALL_HTTP_OPEN_NETWORKS", "::ffff:10.1.0.0/112,::ffff:192.168.7.9,::ffff:0:0/96,fd00::/8")]);
        let networks: Vec<String> = config.unwrap().http.open_networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.1.0.0/16", "192.168.7.9/32", "0.0.0.0/0", "fd00::/8"]);
    }

    #[test]
    fn unknown_variables_are_warned_about() {
        let names = ["PATH", "AUTOCALL_LISTEN", "AUTOCALL_LISTN", "AUTOCALL_CONFIG", "AUTOCALL_SOMETHING_ELSE"];
        let warnings = unknown_variables(names.map(str::to_owned));
        assert_eq!(
            warnings,
            [
                "environment variable AUTOCALL_LISTN is not known and has no effect; did you mean AUTOCALL_LISTEN?",
                "environment variable AUTOCALL_SOMETHING_ELSE is not known and has no effect",
            ]
        );
    }

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for url in [
            "postgres://u:secret@h/d",
            "postgres://u:sec@secret@h/d",
            "postgres://u:a/secret@h/d",
            "redis://:secret@h",
            "postgres://h/d?user=u&password=secret",
            "postgres://h/d?sslpassword=secret",
            "postgres://u:a?secret@h/d",
        ] {
            let shown = SecretUrl(url.to_owned()).to_string();
            assert!(!shown.contains("secret"), "{shown}");
        }
        assert_eq!(
            SecretUrl("postgres://u:p@h:5/d?sslmode=require".to_owned()).to_string(),
            "postgres://u:***@h:5/d?sslmode=require"
        );
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("listen", "listn"), 1);
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "([a-z_.]{1,12}( = |=)?[-0-9a-z\"'\\[\\],{}\n]{0,8}\n?){0,6}|\\PC{0,60}") {
            let mut loading = Loading::default();
            loading.read_file("autocall.toml", &text);
            for problem in loading.problems {
                if let Place::Line { line, .. } = problem.place {
                    prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1);
                }
            }
        }

        #[test]
        fn no_variable_panics(text in "\\PC{0,40}") {
            let _ = from_env(&KEYS.iter().map(|key| (key.env, text.as_str())).collect::<Vec<_>>());
        }
    }
}
