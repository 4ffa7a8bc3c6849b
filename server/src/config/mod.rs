//! The configuration: every key, where it may come from, and what it must look like.
//!
//! Values come from four places, later ones winning: the defaults, the file `autocall.toml`, the environment, the command
//! line. [`keys`] gives every key: the file reader, the environment reader, the annotated example
//! (`server/autocall.example.toml`) and the manual (`docs/configuration.md`) all follow it, and tests hold them to it.
//!
//! A wrong key or value is refused at start, with the line of the file or the name of the variable to correct: a server
//! that wakes people must not run on a typing error. All problems are listed at once.
//!
//! A key whose value is a secret takes the name of a file as well ([`secret_files`]). What of it can change while the server runs says
//! [`live`].
//!
//! To add a key: a field in the struct of its section, its default there, a row in its `KEYS`, a line in the example and in
//! the manual. The tests say which one is missing.

#[macro_use]
mod key;
mod alarms;
mod handsets;
mod http;
mod kept;
mod lines;
pub mod live;
mod loading;
mod log;
mod notify;
pub mod postgres_url;
mod programs;
mod reading;
mod records;
mod roster;
pub mod secret_files;
mod sms;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use self::key::Gone;
use self::reading::{optional, region, secret_url};
use crate::numbers::Region;

pub use self::alarms::AlarmConfig;
pub use self::handsets::{HandsetConfig, IdleForm, PlainPath, ProfileChoice};
pub use self::http::{HttpConfig, ProxySign};
pub use self::kept::backup::BackupConfig;
pub use self::kept::media::MediaConfig;
pub use self::kept::monitor::{MonitorConfig, Watched};
pub use self::kept::phonecalls::{PhonecallsConfig, UnknownNumber};
pub use self::kept::retention::RetentionConfig;
pub use self::key::{Key, Switch, Value, ValueKind};
pub use self::lines::LinesConfig;
pub use self::loading::{ConfigError, Loaded, Overrides, Place, Problem, begins_like_ours, unknown_variables};
pub use self::log::{LogConfig, LogFormat};
pub use self::notify::NotifyConfig;
pub use self::programs::barista::{BaristaConfig, HistoryForm};
pub use self::programs::cti::CtiConfig;
pub use self::programs::mail::MailConfig;
pub use self::programs::shouts::{NumberForm, ShoutsConfig};
pub use self::reading::SecretUrl;
pub use self::records::RecordsConfig;
pub use self::roster::RosterConfig;
pub use self::sms::SmsConfig;

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
    /// One message to many people.
    pub shouts: ShoutsConfig,
    /// Calls and conferences that programs command.
    pub cti: CtiConfig,
    /// Devices that can only mail.
    pub mail: MailConfig,
    /// Text messages.
    pub sms: SmsConfig,
    /// Public numbers.
    pub lines: LinesConfig,
    /// Sound that calls play, and what they record.
    pub media: MediaConfig,
    /// What is forgotten.
    pub retention: RetentionConfig,
    /// What is known of calls.
    pub records: RecordsConfig,
    /// Calls that other systems list.
    pub phonecalls: PhonecallsConfig,
    /// Copies of everything that the server makes by itself.
    pub backup: BackupConfig,
    /// Another installation that this one watches.
    pub monitor: MonitorConfig,
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
            shouts: ShoutsConfig::default(),
            cti: CtiConfig::default(),
            mail: MailConfig::default(),
            sms: SmsConfig::default(),
            lines: LinesConfig::default(),
            media: MediaConfig::default(),
            retention: RetentionConfig::default(),
            records: RecordsConfig::default(),
            phonecalls: PhonecallsConfig::default(),
            backup: BackupConfig::default(),
            monitor: MonitorConfig::default(),
        }
    }
}

impl Config {
    /// In which country and zone calls of other systems are read that say nothing of it.
    #[must_use]
    pub fn phone_call_defaults(&self) -> (Region, chrono_tz::Tz) {
        (self.default_region, self.phonecalls.zone)
    }
}

/// Keys above the first section.
const KEYS: &[Key] = &[
    Key {
        path: "listen",
        env: "AUTOCALL_LISTEN",
        kind: ValueKind::Text,
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
        kind: ValueKind::Text,
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
        kind: ValueKind::Text,
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
        kind: ValueKind::Text,
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
        kind: ValueKind::Text,
        meaning: "Country in which numbers without a country code are read: two letters, ISO 3166.",
        set: |config, value| {
            config.default_region = region(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.default_region.to_string()),
    },
];

const TABLES: [&[Key]; 19] = [
    KEYS,
    self::log::KEYS,
    self::http::KEYS,
    self::handsets::KEYS,
    self::alarms::KEYS,
    self::programs::barista::KEYS,
    self::notify::KEYS,
    self::roster::KEYS,
    self::sms::KEYS,
    self::lines::KEYS,
    self::kept::media::KEYS,
    self::kept::retention::KEYS,
    self::records::KEYS,
    self::kept::phonecalls::KEYS,
    self::kept::backup::KEYS,
    self::kept::monitor::KEYS,
    self::programs::shouts::KEYS,
    self::programs::cti::KEYS,
    self::programs::mail::KEYS,
];

/// Every key, in the order of the manual.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    TABLES.into_iter().flatten()
}

/// Every key that was given up.
fn gone() -> impl Iterator<Item = &'static Gone> {
    [self::handsets::GONE, self::alarms::GONE].into_iter().flatten()
}

#[cfg(test)]
mod tests;
