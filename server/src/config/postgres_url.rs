//! The address of a Postgres database, `postgres://user:password@host:port/name?parameters`, as libpq reads it
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>). It may name several hosts, one of which is the primary.
//!
//! Everything in it is understood or refused by name: a parameter that is silently left out may put two installations into one schema, or
//! send numbers over an open line. No error repeats what may be part of a password.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// What may stand after the question mark, as it is listed for people.
const PARAMETERS: &str =
    "host, hostaddr, port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, search_path, options, application_name";
/// The same parameter by other names.
const SYNONYMS: [(&str, &str); 5] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
];
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// So many hosts may stand in one address.
const MOST_HOSTS: usize = 8;

/// An address that was understood: one host of it.
#[derive(Clone)]
pub(crate) struct PostgresAddress {
    /// Whom to ask, as sqlx has it.
    pub(crate) options: PgConnectOptions,
    /// Where tables are looked for and made; the database's own setting when `None`.
    pub(crate) search_path: Option<String>,
    /// Certificates and keys, each with its parameter.
    pub(crate) files: Vec<(&'static str, String)>,
}

/// Checks an address without connecting.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with its key.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// The certificates and keys that an address names, each with its parameter.
#[must_use]
pub fn files(text: &str) -> Vec<(&'static str, String)> {
    parse(text).ok().and_then(|mut hosts| hosts.pop()).map(|address| address.files).unwrap_or_default()
}

/// What is to be said of an address at which somebody may pass as the database; `None` where nobody can, or where the address is wrong.
#[must_use]
pub fn unverified(text: &str) -> Option<String> {
    parse(text).ok()?.iter().find_map(unverified_at)
}

fn unverified_at(address: &PostgresAddress) -> Option<String> {
    let options = &address.options;
    let host = options.get_host().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let how = match options.get_ssl_mode() {
        PgSslMode::VerifyFull | PgSslMode::VerifyCa => return None,
        PgSslMode::Require => "is encrypted, and nobody looks whose certificate it is (sslmode=require)",
        PgSslMode::Disable => "is not encrypted (sslmode=disable)",
        PgSslMode::Allow | PgSslMode::Prefer => "may not be encrypted, and nobody looks whose certificate it is",
    };
    (!here && options.get_socket().is_none()).then(|| {
        format!(
            "the connection to the database at {host} {how}: whoever is on the way there can read and change everything; write \
             sslmode=verify-full and sslrootcert=/PATH/OF/authority.pem in database_url"
        )
    })
}

/// What an address says, once for each host that it names, in their order; there is at least one.
pub(crate) fn parse(text: &str) -> Result<Vec<PostgresAddress>, String> {
    let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest.filter(|rest| !rest.is_empty() && !text.contains(char::is_whitespace)) else {
        return Err("must be a URL that begins with postgres:// or postgresql:// and names a host".to_owned());
    };
    if rest.contains('#') {
        return Err("holds a #, which must be written as %23".to_owned());
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut found = Found::default();
    let (authority, name) = place.split_once('/').unwrap_or((place, ""));
    if name.contains('@') || name.contains('/') {
        return Err("holds a / in its user, password or name, which must be written as %2F".to_owned());
    }
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    if let Some(login) = login {
        let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
        found.set("user", decoded(user)?)?;
        if let Some(password) = password {
            found.set("password", decoded(password)?)?;
        }
    }
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for place in host.split(',') {
        let (host, port) = host_and_port(place)?;
        hosts.push(decoded(host)?);
        ports.push(port);
    }
    // Each has its own port here, or the usual one.
    found.set("host", hosts.join(","))?;
    found.set("port", ports.join(","))?;
    found.set("dbname", decoded(name)?)?;
    if query.contains('@') {
        return Err("holds an @ after a ?: a ?, & or @ in a password must be written as %3F, %26 or %40".to_owned());
    }
    let mut more = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let key = SYNONYMS.iter().find(|(other, _)| *other == key).map_or(&*key, |(_, own)| *own);
        if key == "options" || (key.starts_with("options[") && key.ends_with(']')) || key == "statement-cache-capacity" {
            more.push((key.to_owned(), value.into_owned()));
        } else {
            found.set(key, value.into_owned())?;
        }
    }
    found.into_addresses(&more)
}

/// Host and port of `host`, `host:port`, `[::1]`, `[::1]:port`, or nothing.
fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').ok_or("holds an IPv6 address without its ]")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| "holds something in [ ] that is no IPv6 address")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if rest.is_empty() => Ok((host, "")),
            None => Err("holds something after the ] that is no port".to_owned()),
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Err("holds an IPv6 address, which must be written in [ ]".to_owned()),
        Some((host, port)) => Ok((host, port)),
        None => Ok((text, "")),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| "holds something written with % that is no text".to_owned())
}

/// What was said, by the names of the parameters.
#[derive(Default)]
struct Found {
    host: String,
    hostaddr: String,
    /// One for all hosts, or one for each; 0 is the usual one.
    ports: Vec<u16>,
    user: String,
    password: Option<String>,
    dbname: String,
    mode: Option<PgSslMode>,
    files: Vec<(&'static str, String)>,
    search_path: Option<String>,
    application_name: Option<String>,
}

impl Found {
    fn set(&mut self, key: &str, value: String) -> Result<(), String> {
        match key {
            "host" => self.host = value,
            "hostaddr" => {
                let ip = |part: &str| part.is_empty() || part.parse::<std::net::IpAddr>().is_ok();
                if !value.split(',').all(ip) {
                    return Err("has a hostaddr that is no IP address".to_owned());
                }
                self.hostaddr = value;
            }
            "port" if value.is_empty() => {}
            "port" => {
                let port = |part: &str| if part.is_empty() { Some(0) } else { part.parse().ok().filter(|port| *port > 0) };
                let ports: Option<Vec<u16>> = value.split(',').map(port).collect();
                self.ports = ports.ok_or("has a port that is no number from 1 to 65535")?;
            }
            "user" => self.user = value,
            "password" => self.password = Some(value),
            "dbname" => self.dbname = value,
            "sslmode" if MODES.contains(&&*value) => self.mode = PgSslMode::from_str(&value).ok(),
            "sslmode" => return Err(format!("has an unknown sslmode; there are {}", MODES.join(", "))),
            "sslrootcert" => self.files.push(("sslrootcert", value)),
            "sslcert" => self.files.push(("sslcert", value)),
            "sslkey" => self.files.push(("sslkey", value)),
            "search_path" if value.trim().is_empty() => return Err("has an empty search_path".to_owned()),
            "search_path" => self.search_path = Some(value),
            "application_name" => self.application_name = Some(value),
            _ => {
                let plain = key.len() <= 40 && key.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
                // Anything else may be part of a password in which a ? or & was left as it is.
                let name = if plain { format!(" {key}") } else { String::new() };
                return Err(format!("has a parameter{name} that is not supported; there are {PARAMETERS}"));
            }
        }
        Ok(())
    }

    /// The hosts that were named, each with its address and its port, where these were.
    fn hosts(&self) -> Result<Vec<(String, String, u16)>, String> {
        let parts = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let (mut hosts, mut addresses) = (parts(&self.host), parts(&self.hostaddr));
        if self.host.is_empty() {
            hosts.resize(addresses.len(), String::new());
        }
        if self.hostaddr.is_empty() {
            addresses.resize(hosts.len(), String::new());
        }
        if hosts.len() != addresses.len() {
            return Err("names hosts and a hostaddr for some of them only".to_owned());
        }
        let mut ports = self.ports.clone();
        if ports.len() < 2 {
            ports.resize(hosts.len(), ports.first().copied().unwrap_or(0));
        }
        if ports.len() != hosts.len() {
            return Err("names another number of ports than of hosts".to_owned());
        }
        if hosts.len() > MOST_HOSTS {
            return Err(format!("names more than {MOST_HOSTS} hosts"));
        }
        let empty = |(host, address): (&String, &String)| host.is_empty() && address.is_empty();
        if hosts.len() > 1 && hosts.iter().zip(&addresses).any(empty) {
            return Err("names several hosts, and one of them is empty".to_owned());
        }
        Ok(hosts.into_iter().zip(addresses).zip(ports).map(|((host, address), port)| (host, address, port)).collect())
    }

    fn into_addresses(self, more: &[(String, String)]) -> Result<Vec<PostgresAddress>, String> {
        let mut all: Vec<PostgresAddress> = Vec::new();
        for (host, address, port) in self.hosts()? {
            let one = self.address_at(&host, &address, port, more)?;
            let at = |address: &PostgresAddress| (address.place(), address.options.get_port());
            if all.iter().any(|other| at(other) == at(&one)) {
                return Err(format!("names {} twice", one.place()));
            }
            all.push(one);
        }
        Ok(all)
    }

    fn address_at(&self, host: &str, hostaddr: &str, port: u16, more: &[(String, String)]) -> Result<PostgresAddress, String> {
        // Through sqlx's own reader, which also asks the password file; its parameters take what its form with a host does not.
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("host", host), ("hostaddr", hostaddr), ("user", &self.user), ("dbname", &self.dbname)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if port > 0 {
            query.append_pair("port", &port.to_string());
        }
        if let Some(password) = &self.password {
            query.append_pair("password", password);
        }
        for (name, value) in self.files.iter().map(|(name, value)| (*name, value)).chain(more.iter().map(|(n, v)| (&**n, v))) {
            query.append_pair(name, value);
        }
        let mut options = PgConnectOptions::from_str(&format!("postgres:///?{}", query.finish()))
            .map_err(|_| "cannot be read; see docs/configuration.md for its form".to_owned())?;
        if let Some(mode) = self.mode {
            let with_root = self.files.iter().any(|(name, _)| *name == "sslrootcert");
            // As libpq: whoever names an authority wants it asked.
            let mode = if matches!(mode, PgSslMode::Require) && with_root { PgSslMode::VerifyCa } else { mode };
            options = options.ssl_mode(mode);
        }
        options = options.application_name(self.application_name.as_deref().unwrap_or("autocall"));
        // Poolers refuse it, and numbers are read in binary form anyway.
        options = options.extra_float_digits(None);
        Ok(PostgresAddress { options, search_path: self.search_path.clone(), files: self.files.clone() })
    }
}

impl PostgresAddress {
    /// Where the database is, without anything secret.
    pub(crate) fn place(&self) -> String {
        let options = &self.options;
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None if options.get_host().contains(':') => format!("[{}]:{}", options.get_host(), options.get_port()),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        format!("{host}/{}", options.get_database().unwrap_or(options.get_username()))
    }

    /// The modes to try, one after the other: `allow` and `prefer` mean two.
    pub(crate) fn modes(&self) -> Vec<PgSslMode> {
        match self.options.get_ssl_mode() {
            PgSslMode::Allow => vec![PgSslMode::Disable, PgSslMode::Require],
            PgSslMode::Prefer => vec![PgSslMode::Prefer, PgSslMode::Disable],
            mode => vec![mode],
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn read(text: &str) -> PostgresAddress {
        let mut hosts = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(hosts.len(), 1, "{text}");
        hosts.remove(0)
    }

    #[test]
    fn several_hosts_are_read_in_their_order() {
        let places = |text: &str| parse(text).unwrap().iter().map(PostgresAddress::place).collect::<Vec<_>>().join(" ");
        for (text, expected) in [
            ("postgres://ops:x@db1,db2/a", "db1:5432/a db2:5432/a"),
            ("postgres://ops@db1:6432,db2,[::1]:5433/a", "db1:6432/a db2:5432/a [::1]:5433/a"),
            ("postgres://ops@/a?host=db1,db2&port=6432", "db1:6432/a db2:6432/a"),
            ("postgres://ops@/a?host=db1,db2&port=6432,6433", "db1:6432/a db2:6433/a"),
            ("postgres://ops@/a?host=/run/one,/run/two", "/run/one/a /run/two/a"),
            ("postgres://ops@/a?hostaddr=10.0.0.1,10.0.0.2", "10.0.0.1:5432/a 10.0.0.2:5432/a"),
        ] {
            assert_eq!(places(text), expected, "{text}");
        }
        let both = parse("postgres://ops:secret@db1,db2/a?sslmode=verify-full&search_path=ops").unwrap();
        for one in &both {
            assert_eq!((one.options.get_username(), one.search_path.as_deref()), ("ops", Some("ops")));
            assert_eq!(format!("{:?}", one.modes()), "[VerifyFull]");
        }
        for (text, said) in [
            ("postgres://db1,,db2/a", "empty"),
            ("postgres://db1,/a", "empty"),
            ("postgres://db1,db2,db1/a", "twice"),
            ("postgres://db1,db2:x/a", "port"),
            ("postgres://ops@/a?host=db1,db2&port=1,2,3", "ports"),
            ("postgres://ops@/a?host=db1,db2&hostaddr=10.0.0.1", "hostaddr"),
            ("postgres://a,b,c,d,e,f,g,h,i/a", "more than 8"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn every_form_of_a_place_is_read() {
        for (text, place) in [
            ("postgres://ops:secret@db/alarms", "db:5432/alarms"),
            ("postgresql://ops:secret@db.example.org:6432/alarms", "db.example.org:6432/alarms"),
            ("postgres://ops@[::1]/alarms", "[::1]:5432/alarms"),
            ("postgres://ops@[2001:db8::5]:6432/alarms", "[2001:db8::5]:6432/alarms"),
            ("postgres://ops:secret@/alarms?host=/var/run/postgresql", "/var/run/postgresql/alarms"),
            ("postgres://@/alarms?host=/run/pg&port=6432", "/run/pg/alarms"),
            ("postgres:///alarms?host=/run/pg", "/run/pg/alarms"),
            ("postgres://ops@%2Frun%2Fpg/alarms", "/run/pg/alarms"),
            ("postgres://127.0.0.1/alarms", "127.0.0.1:5432/alarms"),
            ("postgres://db/?dbname=alarms&user=ops", "db:5432/alarms"),
            ("postgres://ops@db", "db:5432/ops"),
            ("postgres://ops@/alarms?hostaddr=10.0.0.1", "10.0.0.1:5432/alarms"),
        ] {
            assert_eq!(read(text).place(), place, "{text}");
        }
        let address = read("postgres://o%40ps:p%2Fw@db/al%20arms");
        assert_eq!((address.options.get_username(), address.options.get_database()), ("o@ps", Some("al arms")));
    }

    #[test]
    fn parameters_are_understood_or_refused_by_name() {
        let address = read("postgres://db/a?search_path=ops,public&application_name=mine&options=-c%20geqo%3Doff");
        assert_eq!(address.search_path.as_deref(), Some("ops,public"));
        assert_eq!(address.options.get_application_name(), Some("mine"));
        assert_eq!(address.options.get_options(), Some("-c geqo=off"));
        assert_eq!(read("postgres://db/a?options[search_path]=b").options.get_options(), Some("-c search_path=b"));
        for (text, said) in [
            ("postgres://db/a?target_session_attrs=read-write", "target_session_attrs"),
            ("postgres://db/a?searchpath=ops", "searchpath"),
            ("postgres://db/a?sslmode=yes", "sslmode"),
            ("postgres://db/a?search_path=", "search_path"),
            ("postgres://db/a?port=0", "port"),
            ("postgres://db:x/a", "port"),
            ("postgres://::1/a", "[ ]"),
            ("postgres://[::1/a", "]"),
            ("postgres://[db]/a", "IPv6"),
            ("postgres://db/a?hostaddr=db", "hostaddr"),
            ("postgres://db/a#b", "%23"),
            ("postgres://u:p@db/%ff", "%"),
            ("mysql://db/a", "postgres://"),
            ("postgres://", "postgres://"),
            ("postgres://db /a", "postgres://"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for text in [
            "postgres://u:xq?zw@db/a",
            "postgres://u:Xq&zw?Xq=1@db/a",
            "postgres://u:x@db/a?Xq-zw=1",
            "postgres://u:xq/zw@db/a",
            "postgres://u:xq#zw@db/a",
        ] {
            let error = parse(text).err().unwrap().to_lowercase();
            assert!(!error.contains("xq") && !error.contains("zw"), "{text}: {error}");
        }
    }

    #[test]
    fn a_line_on_which_somebody_may_pass_as_the_database_is_told() {
        for (text, said) in [
            ("postgres://u:xq@db.office.lan/a", "may not be encrypted"),
            ("postgres://u:xq@10.0.0.5/a?sslmode=disable", "10.0.0.5 is not encrypted"),
            ("postgres://u:xq@db/a?sslmode=require", "nobody looks whose certificate"),
        ] {
            let told = unverified(text).unwrap();
            assert!(told.contains(said) && told.contains("sslmode=verify-full") && !told.contains("xq"), "{text}: {told}");
        }
        for fine in [
            "postgres://db/a?sslmode=verify-full",
            "postgres://db/a?sslmode=require&sslrootcert=/ca.pem",
            "postgres://localhost/a",
            "postgres://127.0.0.1:5433/a",
            "postgres://[::1]/a?sslmode=disable",
            "postgres:///a?host=/run/postgresql",
            "nonsense",
        ] {
            assert_eq!(unverified(fine), None, "{fine}");
        }
    }

    #[test]
    fn how_a_connection_is_protected() {
        let modes = |text: &str| format!("{:?}", read(text).modes());
        assert_eq!(modes("postgres://db/a?sslmode=disable"), "[Disable]");
        assert_eq!(modes("postgres://db/a?sslmode=allow"), "[Disable, Require]");
        assert_eq!(modes("postgres://db/a?sslmode=prefer"), "[Prefer, Disable]");
        assert_eq!(modes("postgres://db/a?sslmode=require"), "[Require]");
        assert_eq!(modes("postgres://db/a?sslmode=require&sslrootcert=/ca.pem"), "[VerifyCa]");
        assert_eq!(modes("postgres://db/a?ssl-mode=verify-ca"), "[VerifyCa]");
        assert_eq!(modes("postgres://db/a?sslmode=verify-full&ssl-ca=/ca.pem"), "[VerifyFull]");
    }
}
