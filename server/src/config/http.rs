//! Section `http`: who may talk to the server, and its limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::reading::{host, network, public_url, whole_path};
use super::{Key, Value, ValueKind};
use crate::rights::second_factor::Policy;
use crate::rights::{NoSuchRight, Rights};

/// Section `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Networks whose requests may use the documented plain paths without token or key.
    pub open_networks: Vec<IpNet>,
    /// What whoever comes from there may do without a key; `None`: what they had before there were rights, or `raise` and `read`.
    pub open_rights: Option<Rights>,
    /// Who has to show a code of their app when they log in.
    pub second_factor: Policy,
    /// Reverse proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the configuration itself says which they are.
    pub networks_listed: bool,
    /// Whether it lists this computer among them.
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
    /// TLS on an address of its own.
    pub tls: TlsConfig,
}

/// TLS on an address of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where it is spoken; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The file of the certificate.
    pub certificate: Option<PathBuf>,
    /// The file of its key.
    pub key: Option<PathBuf>,
    /// The file of the authorities whose certificates clients may show.
    pub client_authority: Option<PathBuf>,
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

/// The addresses by which a computer reaches itself.
fn this_computer() -> Vec<IpNet> {
    let networks = [IpNet::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), IpNet::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];
    networks.into_iter().flatten().collect()
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            open_networks: this_computer(),
            open_rights: None,
            second_factor: Policy::Optional,
            networks_listed: false,
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
            tls: TlsConfig::default(),
        }
    }
}

impl HttpConfig {
    /// Whether a reverse proxy stands in front, and nothing is said about it.
    #[must_use]
    pub fn has_unlisted_proxy(&self) -> bool {
        self.proxy_sign.is_some() && self.trusted_proxies.is_empty() && !self.loopback_listed
    }

    /// Finds out whether a reverse proxy stands in front. Then this computer comes in without a key only where that was written down.
    pub(super) fn see_to_proxies(&mut self, listen: SocketAddr) {
        self.proxy_sign = ProxySign::of(listen, self);
        if !self.networks_listed {
            self.open_networks = if self.proxy_sign.is_some() { Vec::new() } else { this_computer() };
        }
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
    pub(super) fn of(listen: SocketAddr, http: &HttpConfig) -> Option<Self> {
        if let Some(url) = http.public_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()) {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            let port = url.port_or_known_default().unwrap_or_default();
            let listen = match (url.scheme(), http.tls.listen) {
                // Somebody else has to speak it.
                ("https", None) => return Some(Self::Https),
                ("https", Some(own)) => own,
                _ => listen,
            };
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

/// A row for a key that takes the name of a file.
macro_rules! file_key {
    ($path:literal, $env:literal, $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: ValueKind::Text,
            meaning: $meaning,
            set: |config, value| {
                config.http.tls.$field = Some(whole_path(value.text())?);
                Ok(())
            },
            get: |config| Value::Text(config.http.tls.$field.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
        }
    };
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[
    networks_key!(
        "http.open_networks",
        "AUTOCALL_HTTP_OPEN_NETWORKS",
        open_networks,
        "Networks or addresses that may use the documented plain paths without token or key. An empty list closes them."
    ),
    Key {
        path: "http.open_rights",
        env: "AUTOCALL_HTTP_OPEN_RIGHTS",
        kind: ValueKind::List,
        meaning: "What whoever comes from `open_networks` may do without a key: some of `raise`, `read`, `operate` and `admin`. An empty list means `raise` and `read`; in an installation from before there were rights, everything.",
        set: |config, value| {
            let rights: Result<Rights, NoSuchRight> = value.list().iter().map(|item| item.parse()).collect();
            let rights = rights.map_err(|error| error.to_string())?;
            config.http.open_rights = Some(rights).filter(|rights| !rights.is_empty());
            Ok(())
        },
        get: |config| {
            let rights = config.http.open_rights.iter().flat_map(Rights::iter);
            Value::List(rights.map(|right| right.to_string()).collect())
        },
    },
    Key {
        path: "http.second_factor",
        env: "AUTOCALL_HTTP_SECOND_FACTOR",
        kind: ValueKind::Choice(&["off", "optional", "admins", "all"]),
        meaning: "Who shows a code of their app, besides the password, when they log in to the pages: `off` (nobody, and none can be set up), `optional` (whoever has set one up), `admins` (admins have to set one up), `all` (everybody has to).",
        set: |config, value| {
            let none = || format!("{:?} is none of off, optional, admins and all", value.text());
            config.http.second_factor = Policy::parse(value.text()).ok_or_else(none)?;
            Ok(())
        },
        get: |config| Value::Text(config.http.second_factor.as_str().to_owned()),
    },
    networks_key!(
        "http.trusted_proxies",
        "AUTOCALL_HTTP_TRUSTED_PROXIES",
        trusted_proxies,
        "Networks or addresses of reverse proxies whose `Forwarded` and `X-Forwarded-*` headers are believed."
    ),
    Key {
        path: "http.hosts",
        env: "AUTOCALL_HTTP_HOSTS",
        kind: ValueKind::List,
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
        kind: ValueKind::Text,
        meaning: "How people's browsers reach the server; it may end with a path. With it, notices hold a link for each callee, to take an alarm or to decline.",
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
        "Most requests in a minute with which one sender (a key; without one, an address) may raise alarms, 1 to 1000000; each signal of a list counts. Beyond it they are refused, and sent again later. Senders that never send again have four times as many."
    ),
    Key {
        path: "http.tls_listen",
        env: "AUTOCALL_HTTP_TLS_LISTEN",
        kind: ValueKind::Text,
        meaning: "IP address and port on which the server speaks TLS itself, beside `listen`: see [TLS](tls.md). With it go `tls_certificate` and `tls_key`.",
        set: |config, value| {
            let listen =
                value.text().parse().map_err(|_| "must be an IP address and a port, such as 0.0.0.0:8443 or [::]:8443")?;
            config.http.tls.listen = Some(listen);
            Ok(())
        },
        get: |config| Value::Text(config.http.tls.listen.map(|listen| listen.to_string()).unwrap_or_default()),
    },
    file_key!(
        "http.tls_certificate",
        "AUTOCALL_HTTP_TLS_CERTIFICATE",
        certificate,
        "File of the server's certificate and those above it (PEM). It is read again when it changes; a new one that is not good is refused, and the one of before is shown on."
    ),
    file_key!(
        "http.tls_key",
        "AUTOCALL_HTTP_TLS_KEY",
        key,
        "File of its key (PEM, without a password), which the server alone should be able to read."
    ),
    file_key!(
        "http.tls_client_authority",
        "AUTOCALL_HTTP_TLS_CLIENT_AUTHORITY",
        client_authority,
        "File of the authorities whose certificates clients may show (PEM). A key that is bound to a certificate is taken only with it: `autocall key set NAME --certificate`."
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_of_its_own_is_no_proxy() {
        let at = |address: &str| address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
        let sign = |url: &str, tls: Option<&str>| {
            let tls = TlsConfig { listen: tls.map(at), ..TlsConfig::default() };
            ProxySign::of(at("127.0.0.1:8080"), &HttpConfig { public_url: Some(url.to_owned()), tls, ..HttpConfig::default() })
        };
        let tls = Some("0.0.0.0:8443");
        assert_eq!(sign("https://pager.example.org", None), Some(ProxySign::Https));
        assert_eq!(sign("https://pager.example.org:8443", tls), None);
        assert_eq!(sign("https://pager.example.org", Some("[::]:443")), None);
        assert_eq!(sign("https://pager.example.org", tls), Some(ProxySign::Port(443)), "somebody passes it on");
        assert_eq!(sign("https://pager.example.org:8443", Some("127.0.0.1:8443")), Some(ProxySign::Unreachable));
        assert_eq!(sign("http://pager.example.org:8080", tls), Some(ProxySign::Unreachable), "plain HTTP is as it was");
    }
}
