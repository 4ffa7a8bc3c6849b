//! The configuration of a running server, and what of it can change without a restart.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::secret_files::SECRETS;
use super::{Config, HandsetConfig, HttpConfig, LogConfig, MailConfig, RosterConfig, ShoutsConfig, keys};

/// So many changes are taken over until a restart is asked for. Those of before stay in memory: somebody may still be reading them.
const MOST_CHANGES: usize = 255;

/// Keys that are read once, at start: what is made of them then, such as a listener, a pool or a limit, is not made again.
pub const AT_START: [&str; 25] = [
    "listen",
    "data_dir",
    "database_url",
    "redis_url",
    "default_region",
    "log.format",
    "http.open_rights",
    "http.public_url",
    "http.body_limit_bytes",
    "http.request_timeout_seconds",
    "http.max_connections",
    "http.connections_per_address",
    "http.max_waiting",
    "http.max_pages",
    "http.pages_per_user",
    "handsets.country",
    "notify.allow_networks",
    "notify.ping_url",
    "roster.allow_networks",
    "sms.allow_networks",
    "shouts.log_dir",
    "mail.listen",
    "mail.domains",
    "mail.max_connections",
    "mail.connections_per_address",
];

/// The configuration of a running server: whoever reads it gets the one that holds at that moment.
#[derive(Debug)]
pub struct Live {
    first: Arc<Config>,
    later: Box<[OnceLock<Box<Config>>]>,
    /// How many of the later ones there are.
    count: AtomicUsize,
    /// Held by whoever changes it.
    changing: Mutex<()>,
}

/// What came of another configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Keys that hold from now on.
    pub now: Vec<&'static str>,
    /// Keys that hold from the next start on.
    pub at_start: Vec<&'static str>,
}

/// It has changed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has changed {MOST_CHANGES} times since the start: start the server again")]
pub struct TooOften;

impl Live {
    /// As it was read at start.
    #[must_use]
    pub fn new(first: Arc<Config>) -> Self {
        let later = std::iter::repeat_with(OnceLock::new).take(MOST_CHANGES).collect();
        Self { first, later, count: AtomicUsize::new(0), changing: Mutex::default() }
    }

    /// Takes over what can change, all of it at one moment.
    ///
    /// # Errors
    /// After [`MOST_CHANGES`] changes; then nothing has changed.
    pub fn take_over(&self, read: &Config) -> Result<Changed, TooOften> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = merged(self, read);
        let changed = Changed { now: differing(self, &next), at_start: differing(&next, read) };
        if next != **self {
            let count = self.count.load(Ordering::Acquire);
            let free = self.later.get(count).ok_or(TooOften)?;
            // Nobody else is here, so it is empty.
            let _ = free.set(Box::new(next));
            self.count.store(count + 1, Ordering::Release);
        }
        Ok(changed)
    }
}

impl Deref for Live {
    type Target = Config;

    fn deref(&self) -> &Config {
        let last = self.count.load(Ordering::Acquire).checked_sub(1);
        last.and_then(|last| self.later.get(last)?.get()).map_or(&*self.first, |config| config)
    }
}

/// Keys whose values differ.
fn differing(one: &Config, other: &Config) -> Vec<&'static str> {
    let secret = |path: &str| SECRETS.iter().any(|secret| secret.path == path && secret.differs(one, other));
    keys().filter(|key| key.shown(one) != key.shown(other) || secret(key.path)).map(|key| key.path).collect()
}

/// What was read, but for what holds from the next start on.
fn merged(running: &Config, read: &Config) -> Config {
    let mut http = HttpConfig {
        open_rights: running.http.open_rights.clone(),
        public_url: running.http.public_url.clone(),
        body_limit_bytes: running.http.body_limit_bytes,
        request_timeout: running.http.request_timeout,
        max_connections: running.http.max_connections,
        connections_per_address: running.http.connections_per_address,
        max_waiting: running.http.max_waiting,
        max_pages: running.http.max_pages,
        pages_per_user: running.http.pages_per_user,
        ..read.http.clone()
    };
    // What says that there is a proxy is told by keys of both kinds.
    http.see_to_proxies(running.listen);
    let mut sms = read.sms.clone();
    sms.allow_networks.clone_from(&running.sms.allow_networks);
    Config {
        listen: running.listen,
        data_dir: running.data_dir.clone(),
        database_url: running.database_url.clone(),
        redis_url: running.redis_url.clone(),
        default_region: running.default_region,
        log: LogConfig { format: running.log.format, ..read.log.clone() },
        http,
        handsets: HandsetConfig { country: running.handsets.country, ..read.handsets.clone() },
        notify: running.notify.clone(),
        roster: RosterConfig { allow_networks: running.roster.allow_networks.clone() },
        shouts: ShoutsConfig { log_dir: running.shouts.log_dir.clone(), ..read.shouts.clone() },
        sms,
        mail: MailConfig { over: read.mail.over.clone(), ..running.mail.clone() },
        ..read.clone()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::{Overrides, ProxySign, Value, ValueKind};
    use super::*;

    /// Another value than the default, for keys whose kind does not give one.
    fn sample(path: &str) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        let list = |item: &str| Value::List(vec![item.to_owned()]);
        match path {
            "listen" | "mail.listen" => text("127.0.0.1:9"),
            "database_url" => text("postgres://u:p@db/x"),
            "redis_url" => text("redis://cache/"),
            "default_region" | "handsets.country" => text("JP"),
            "log.filter" => text("debug"),
            "http.open_rights" => list("operate"),
            "http.public_url" => text("http://pager.example.org:8080/x"),
            "notify.ping_url" => text("https://up.example.org/x"),
            "monitor.url" => text("https://watcher:ak_1.t2@pager.example.org"),
            "http.hosts" | "cti.hosts" | "mail.domains" => list("example.org"),
            "lines.carriers" => list("acme **21*N#"),
            "handsets.offline_phones" | "alarms.fallback_phones" => list("18712345678"),
            "alarms.accept_key" | "alarms.decline_key" | "alarms.stop_key" | "media.message_key" => text("7"),
            "sms.zone" | "phonecalls.zone" => text("Asia/Tokyo"),
            path if path.ends_with("_networks") || path.ends_with("_proxies") => list("192.0.2.0/24"),
            path if path.ends_with("_words") => list("certainly"),
            _ => text("/another"),
        }
    }

    /// The configuration in which this key has another value than by default.
    fn with_another(key: &super::super::Key) -> Config {
        let tried: Vec<Value> = match key.kind {
            ValueKind::Integer(least, most) => vec![Value::Integer(least), Value::Integer(most)],
            ValueKind::Choice(names) => names.iter().map(|name| Value::Text((*name).to_owned())).collect(),
            ValueKind::Text | ValueKind::List => vec![sample(key.path)],
        };
        let written = tried.into_iter().map(|value| match value {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::List(items) => items.join(","),
        });
        let read = written.map(|text| {
            let lookup = |name: &str| (name == key.env).then(|| text.clone());
            Config::load(None, lookup, Overrides::default()).unwrap_or_else(|error| panic!("{}: {error}", key.path)).config
        });
        let other = |config: &Config| key.shown(config) != key.shown(&Config::default());
        read.into_iter().find(other).unwrap_or_else(|| panic!("{} has no other value", key.path))
    }

    #[test]
    fn every_key_holds_at_once_or_from_the_next_start_on() {
        for key in keys() {
            let live = Live::new(Arc::default());
            let read = with_another(key);
            let told = live.take_over(&read).unwrap();
            // What follows from a key goes with it.
            let all = match key.path {
                "default_region" => vec!["default_region", "handsets.country"],
                "http.trusted_proxies" => vec!["http.open_networks", "http.trusted_proxies"],
                path => vec![path],
            };
            let at_start = AT_START.contains(&key.path);
            let (now, later) = if at_start { (vec![], all) } else { (all, vec![]) };
            assert_eq!(told, Changed { now, at_start: later });
            assert_eq!(key.shown(&live) == key.shown(&read), !at_start, "{}", key.path);
        }
        for path in AT_START {
            assert!(keys().any(|key| key.path == path), "{path}");
        }
    }

    #[test]
    fn a_secret_that_looks_the_same_is_told_as_changed() {
        let with = |password: &str| {
            let mut config = Config::default();
            let key = keys().find(|key| key.path == "database_url").unwrap();
            (key.set)(&mut config, &Value::Text(format!("postgres://u:{password}@db/x"))).unwrap();
            config
        };
        let live = Live::new(Arc::new(with("one")));
        assert_eq!(live.take_over(&with("two")).unwrap(), Changed { now: vec![], at_start: vec!["database_url"] });
        assert_eq!(live.take_over(&with("one")).unwrap(), Changed::default());
    }

    fn load(env: &'static [(&str, &str)]) -> Config {
        let lookup = |name: &str| env.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        Config::load(None, lookup, Overrides::default()).unwrap().config
    }

    #[test]
    fn this_computer_does_not_come_in_again_because_half_of_a_proxy_waits_for_a_restart() {
        const URL: (&str, &str) = ("AUTOCALL_HTTP_PUBLIC_URL", "https://pager.example.org");
        // It runs behind a proxy; the file says nothing of one any more, but the address is that of before until the restart.
        let live = Live::new(Arc::new(load(&[URL])));
        live.take_over(&load(&[])).unwrap();
        assert!(live.http.open_networks.is_empty() && live.http.proxy_sign == Some(ProxySign::Https));
        // The other way round it comes in until then.
        let live = Live::new(Arc::new(load(&[])));
        assert_eq!(live.take_over(&load(&[URL])).unwrap().now, [""; 0]);
        assert!(live.http.open_networks.len() == 2 && live.http.proxy_sign.is_none());
        // One that is named closes this computer at once.
        let live = Live::new(Arc::new(load(&[])));
        live.take_over(&load(&[("AUTOCALL_HTTP_TRUSTED_PROXIES", "10.0.0.7")])).unwrap();
        assert!(live.http.open_networks.is_empty() && live.http.proxy_sign == Some(ProxySign::Trusted));
        // And whoever lists it is taken at their word.
        live.take_over(&load(&[URL, ("AUTOCALL_HTTP_OPEN_NETWORKS", "127.0.0.0/8")])).unwrap();
        assert_eq!(live.http.open_networks.len(), 1);
    }

    #[test]
    fn whoever_has_read_keeps_what_they_read_and_there_is_an_end() {
        let live = Live::new(Arc::default());
        let before = &live.alarms;
        let (one, two) = (load(&[("AUTOCALL_ALARMS_ATTEMPTS", "3")]), load(&[("AUTOCALL_ALARMS_ATTEMPTS", "4")]));
        for change in 0..MOST_CHANGES {
            let read = if change % 2 == 0 { &one } else { &two };
            live.take_over(read).unwrap();
            assert_eq!(live.alarms.attempts, read.alarms.attempts);
            // The same again is no change.
            assert_eq!(live.take_over(read), Ok(Changed::default()));
        }
        assert_eq!(before.attempts, 2);
        assert_eq!(live.take_over(&two), Err(TooOften));
        assert_eq!(live.alarms.attempts, 3);
        assert_eq!(live.take_over(&one), Ok(Changed::default()));
    }
}
