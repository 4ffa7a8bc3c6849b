//! Section `monitor`: another installation that this one watches.

use std::time::Duration;

use reqwest::Url;

use crate::config::reading::{optional, secret_url};
use crate::config::{Key, SecretUrl, Switch, Value, ValueKind};

/// Another installation that this one watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorConfig {
    /// Where it is, with what lets this one in; `None`: none is watched.
    pub url: Option<SecretUrl>,
    /// From one test to the next.
    pub every: Duration,
    /// So long a test may take.
    pub within: Duration,
    /// So many in a row have to fail before somebody is woken.
    pub failures: u32,
    /// The policy of this installation that says who.
    pub policy: Option<String>,
    /// Whether the phones of the other installation are looked at as well.
    pub phones: Switch,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { url: None, every: seconds(60), within: seconds(30), failures: 3, policy: None, phones: Switch::On }
    }
}

/// Where the other installation is, and what lets this one in there. It has no `Debug`: most of it is secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Watched {
    /// Scheme, host, port and path, without a slash at the end.
    pub base: String,
    /// Host and port: what people call it.
    pub host: String,
    /// Which of its monitors this one is.
    pub name: String,
    /// The key by which it raises tests.
    pub key: String,
    /// The token by which it is given their numbers.
    pub token: String,
}

impl Watched {
    /// What an address of this section says; `None` when it says too little.
    #[must_use]
    pub fn of(url: &SecretUrl) -> Option<Self> {
        let mut url = Url::parse(url.expose()).ok()?;
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let (key, token) = url.password()?.split_once('.')?;
        let (name, key, token) = (url.username().to_owned(), key.to_owned(), token.to_owned());
        if !(plain(&name) && plain(&key) && plain(&token)) || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { base: url.as_str().trim_end_matches('/').to_owned(), host, name, key, token })
    }

    /// The address that says all this.
    #[must_use]
    pub fn address(base: &str, name: &str, key: &str, token: &str) -> String {
        match base.split_once("://") {
            Some((scheme, place)) => format!("{scheme}://{name}:{key}.{token}@{}", place.trim_end_matches('/')),
            None => format!("http://{name}:{key}.{token}@{base}"),
        }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    Key {
        path: "monitor.url",
        env: "AUTOCALL_MONITOR_URL",
        kind: ValueKind::Text,
        meaning: "The installation that this one watches by test alarms, `https://NAME:SECRET@host`, as `autocall monitor add` prints it there.",
        set: |config, value| {
            let url = secret_url(value.text(), &["https://", "http://"])?;
            if Watched::of(&url).is_none() {
                return Err(
                    "must be the whole address that `autocall monitor add` has printed, https://NAME:SECRET@host".to_owned()
                );
            }
            config.monitor.url = Some(url);
            Ok(())
        },
        get: |config| optional(config.monitor.url.as_ref()),
    },
    time_key!(
        "monitor.every_seconds",
        "AUTOCALL_MONITOR_EVERY_SECONDS",
        (1, 3_600),
        1,
        monitor.every,
        "Time from one test to the next, 1 to 3600."
    ),
    time_key!(
        "monitor.within_seconds",
        "AUTOCALL_MONITOR_WITHIN_SECONDS",
        (1, 600),
        1,
        monitor.within,
        "A test that is not over by then has failed, 1 to 600."
    ),
    count_key!(
        "monitor.failures",
        "AUTOCALL_MONITOR_FAILURES",
        (1, 100),
        monitor.failures,
        "So many tests in a row have to fail before somebody is woken here, 1 to 100."
    ),
    Key {
        path: "monitor.policy",
        env: "AUTOCALL_MONITOR_POLICY",
        kind: ValueKind::Text,
        meaning: "The escalation policy of this installation that says who is woken. Without it the rules do, then `alarms.fallback_phones`.",
        set: |config, value| {
            config.monitor.policy = Some(value.text().to_owned()).filter(|policy| !policy.is_empty());
            Ok(())
        },
        get: |config| Value::Text(config.monitor.policy.clone().unwrap_or_default()),
    },
    choice_key!(
        "monitor.phones",
        "AUTOCALL_MONITOR_PHONES",
        Switch,
        monitor.phones,
        "Whether a test fails as well when the other installation has no phone that could ring anybody, or an alarm waits for one: `on` or `off`."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Watched> {
        Watched::of(&SecretUrl(text.to_owned()))
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for base in ["https://pager.example.org", "http://10.0.0.7:8080", "https://example.org/pager", "http://[::1]:8080"] {
            let watched = of(&Watched::address(base, "watcher", "ak_1", "t2")).unwrap_or_else(|| panic!("{base}"));
            assert_eq!(watched.base, base);
            assert_eq!((&*watched.name, &*watched.key, &*watched.token), ("watcher", "ak_1", "t2"));
            assert!(base.contains(&watched.host), "{}", watched.host);
        }
    }

    #[test]
    fn what_says_too_little_is_refused() {
        for text in [
            "https://pager.example.org",
            "https://watcher@pager.example.org",
            "https://watcher:ak_1@pager.example.org",
            "https://:ak_1.t2@pager.example.org",
            "https://watcher:ak_1.@pager.example.org",
            "https://watcher:ak_1.t2@pager.example.org/?x=1",
            "https://wat%20cher:ak_1.t2@pager.example.org",
        ] {
            assert!(of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let url = SecretUrl("https://watcher:ak_1.t2@pager.example.org".to_owned());
        assert_eq!(url.to_string(), "https://watcher:***@pager.example.org");
    }
}
