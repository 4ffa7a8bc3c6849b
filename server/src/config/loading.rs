//! Reading the configuration: the file, the environment, the command line, and all that is wrong with them at once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use ipnet::IpNet;
use toml::de::{DeTable, DeValue};

use super::postgres_url;
use super::secret_files::{self, SECRETS};
use super::{Config, Key, Switch, Value, ValueKind, gone, keys};
use crate::lock::address;

/// What the first part of the server's own paths may be.
const OWN_PATHS: [&str; 42] = [
    "alarms",
    "alarms.csv",
    "alarms.json",
    "alert",
    "api",
    "assets",
    "audit",
    "c",
    "calendar",
    "calls",
    "calls.csv",
    "connect",
    "cti",
    "direct",
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
    "media",
    "metrics",
    "notices",
    "numbers",
    "password",
    "people",
    "policies",
    "quiet-hours",
    "readyz",
    "roster",
    "senders",
    "setup",
    "shouts",
    "system",
    "users",
    "watch",
];

/// Whether a path in front of everything begins like one of the server's own, from which it cannot be told then.
#[must_use]
pub fn begins_like_ours(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| OWN_PATHS.contains(&first))
}

/// Variables of ours that are no keys: the command line reads them.
const OTHER_VARIABLES: &[&str] = &["AUTOCALL_BACKUP_PASSPHRASE", "AUTOCALL_CONFIG", "AUTOCALL_KEY", "AUTOCALL_URL"];

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
    /// Keys whose secrets stand in the configuration file itself.
    pub secrets_in_file: Vec<&'static str>,
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
        config.http.networks_listed = loading.given.contains("http.open_networks");
        let loopback = |network: &IpNet| {
            network.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)) || network.contains(&IpAddr::V6(Ipv6Addr::LOCALHOST))
        };
        config.http.loopback_listed = config.http.networks_listed && config.http.open_networks.iter().any(loopback);
        config.http.see_to_proxies(config.listen);
        let warnings = config.oddities();
        Ok(Loaded { config, warnings, secrets_in_file: loading.secrets_in_file })
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
        let ways = self.path_in_front().into_iter().chain(self.open_lines()).chain(self.unused_certificate());
        everybody.chain(proxy).chain(ways).chain(self.identity.oddities(&self.http)).collect()
    }

    /// Connections to other computers on which somebody may read along, or pass as whom we mean.
    fn open_lines(&self) -> Vec<String> {
        let database = self.database_url.as_ref().and_then(|url| postgres_url::unverified(url.expose()));
        let redis = self.redis_url.as_ref().and_then(|url| address::unverified(url.expose()));
        database.into_iter().chain(redis).collect()
    }

    /// A certificate that nobody is shown.
    fn unused_certificate(&self) -> Option<String> {
        let tls = &self.http.tls;
        let named = tls.certificate.is_some() || tls.key.is_some() || tls.client_authority.is_some();
        (named && tls.listen.is_none())
            .then(|| "http.tls_listen is not set, so http.tls_certificate and what goes with it have no effect".to_owned())
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
    let of_file = |name: &str| SECRETS.iter().any(|secret| secret.file_env == name);
    let known = |name: &str| OTHER_VARIABLES.contains(&name) || of_file(name) || keys().any(|key| key.env == name);
    let mut warnings: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with("AUTOCALL_") && !known(name))
        .map(|name| {
            let hint = nearest(&name, keys().map(|key| key.env));
            format!("environment variable {name} is not known and has no effect{}", did_you_mean(hint))
        })
        .collect();
    warnings.sort_unstable();
    warnings
}

#[derive(Default)]
pub(super) struct Loading {
    pub(super) config: Config,
    pub(super) problems: Vec<Problem>,
    pub(super) given: BTreeSet<&'static str>,
    secrets_in_file: Vec<&'static str>,
}

impl Loading {
    pub(super) fn read_file(&mut self, name: &str, text: &str) {
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
        let is_given = |path: &str| entries.iter().any(|entry| entry.path == path && entry.value.as_str() != Some(""));
        for secret in SECRETS.iter().filter(|secret| is_given(secret.path)) {
            if let Some(file) = entries.iter().find(|entry| entry.path == secret.file_path && is_given(secret.file_path)) {
                self.problems.push(Problem { place: place(file.key_span.clone()), what: secret.both() });
            }
            self.secrets_in_file.push(secret.path);
        }
        for entry in entries {
            if let Err((span, what)) = self.apply_entry(&entry) {
                self.problems.push(Problem { place: place(span), what });
            }
        }
    }

    fn apply_entry(&mut self, entry: &Entry<'_, '_>) -> Result<(), (Range<usize>, String)> {
        if let Some(secret) = SECRETS.iter().find(|secret| secret.file_path == entry.path) {
            let told = |what: String| (entry.value_span.clone(), format!("{} {what}", entry.path));
            return match value_from_toml(ValueKind::Text, entry.value).map_err(told)? {
                Value::Text(file) if !file.is_empty() => self.apply_file(secret.path, &file).map_err(told),
                _ => Ok(()),
            };
        }
        let Some(key) = keys().find(|key| key.path == entry.path) else {
            if let Some(gone) = gone().find(|gone| gone.path == entry.path) {
                let written = match entry.value {
                    DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
                    _ => None,
                };
                return Err((entry.key_span.clone(), format!("{} {}", gone.path, gone.why(written))));
            }
            let is_section = keys().any(|key| key.path.split_once('.').is_some_and(|(section, _)| section == entry.path));
            let what = if is_section {
                format!("{} is a section; write [{}] and its keys below", entry.path, entry.path)
            } else {
                let of_files = SECRETS.iter().map(|secret| secret.file_path);
                let hint = nearest(&entry.path, keys().map(|key| key.path).chain(of_files));
                format!("{} is not a known key{}", entry.path, did_you_mean(hint))
            };
            return Err((entry.key_span.clone(), what));
        };
        value_from_toml(key.kind, entry.value)
            .and_then(|value| self.apply(key, value))
            .map_err(|what| (entry.value_span.clone(), format!("{} {what}", key.path)))
    }

    fn read_environment(&mut self, env: impl Fn(&str) -> Option<String>) {
        for key in keys() {
            let Some(text) = env(key.env) else { continue };
            if text.trim().is_empty() && key.kind != ValueKind::List {
                continue;
            }
            if let Err(what) = value_from_text(key.kind, &text).and_then(|value| self.apply(key, value)) {
                self.problems.push(Problem { place: Place::Variable(key.env), what });
            }
        }
        for secret in &SECRETS {
            let given = |name: &str| env(name).filter(|text| !text.trim().is_empty());
            let Some(file) = given(secret.file_env) else { continue };
            let done = match given(secret.env) {
                Some(_) => Err(format!("{} is given as well: take one of them out", secret.env)),
                None => self.apply_file(secret.path, file.trim()),
            };
            if let Err(what) = done {
                self.problems.push(Problem { place: Place::Variable(secret.file_env), what });
            }
        }
        for gone in gone() {
            if let Some(text) = env(gone.env).filter(|text| !text.trim().is_empty()) {
                let what = gone.why(text.trim().parse().ok());
                self.problems.push(Problem { place: Place::Variable(gone.env), what });
            }
        }
    }

    /// The value of a key stands in a file.
    fn apply_file(&mut self, path: &str, file: &str) -> Result<(), String> {
        let secret = secret_files::read(file)?;
        // The file may hold what is right for another key.
        let wrong = |what: String| format!("names {file}, and what stands in it {what}");
        keys().find(|key| key.path == path).map_or(Ok(()), |key| self.apply(key, Value::Text(secret)).map_err(wrong))
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
            DeValue::Table(inner) if keys().any(|key| key.path.starts_with(&section)) => flatten(&path, inner, entries),
            value_ref => entries.push(Entry { path, key_span: key.span(), value: value_ref, value_span: value.span() }),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn value_from_toml(kind: ValueKind, value: &DeValue<'_>) -> Result<Value, String> {
    let wrong = || Err(format!("{}; it is {} here", expected(kind), article(value.type_str())));
    match (kind, value) {
        (ValueKind::Text, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (ValueKind::Choice(names), DeValue::String(text)) => choose(names, text),
        (ValueKind::Choice(Switch::NAMES), DeValue::Boolean(on)) => choose(Switch::NAMES, if *on { "on" } else { "off" }),
        (ValueKind::Integer(least, most), DeValue::Integer(number)) => match i64::from_str_radix(number.as_str(), number.radix())
        {
            Ok(number) => within(least, most, number),
            Err(_) => Err(format!("must be from {least} to {most}")),
        },
        (ValueKind::List, DeValue::Array(items)) => {
            let items: Option<Vec<String>> = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            items.map_or_else(|| Err("must be a list of strings only".to_owned()), |items| Ok(Value::List(items)))
        }
        _ => wrong(),
    }
}

fn value_from_text(kind: ValueKind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    match kind {
        ValueKind::Text => Ok(Value::Text(text.to_owned())),
        ValueKind::Choice(Switch::NAMES) if matches!(text, "true" | "false") => {
            choose(Switch::NAMES, if text == "true" { "on" } else { "off" })
        }
        ValueKind::Choice(names) => choose(names, text),
        ValueKind::Integer(least, most) => match text.parse() {
            Ok(number) => within(least, most, number),
            Err(_) => Err(format!("{}; it is {text:?}", expected(kind))),
        },
        ValueKind::List => {
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

fn expected(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text => "must be a string in quotation marks".to_owned(),
        ValueKind::Choice(names) => format!("must be one of {}, in quotation marks", names.join(", ")),
        ValueKind::Integer(least, most) => format!("must be a whole number from {least} to {most}"),
        ValueKind::List => "must be a list such as [\"a\", \"b\"]".to_owned(),
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
pub(super) fn distance(a: &str, b: &str) -> usize {
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
