//! What values have to look like.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::Value;
use crate::line::reply;
use crate::lock::address;
use crate::numbers::{Number, Region};

/// A URL that may hold a password. Shown without it; [`expose`](Self::expose) is for whoever connects.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(pub(super) String);

impl SecretUrl {
    /// The whole URL.
    #[must_use]
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

/// A secret that is no URL. Shown as stars; [`expose`](Self::expose) is for whoever uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

pub(super) fn phones(value: &Value) -> Result<Vec<String>, String> {
    for phone in value.list() {
        // Any region will do to find what cannot be dialled at all; the default region is read when it is used.
        Number::parse(phone, Region::CN).map_err(|error| format!("{phone:?}: {error}"))?;
    }
    Ok(value.list().to_vec())
}

/// A key of a phone; `None` where it says that there is none.
pub(super) fn phone_key(text: &str) -> Result<Option<char>, String> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(key @ ('0'..='9' | '*' | '#')), None) => Ok(Some(key)),
        _ if text == "none" => Ok(None),
        _ => Err("must be one key: 0 to 9, * or #".to_owned()),
    }
}

/// Words that make up a whole message.
pub(super) fn reply_words(value: &Value) -> Result<Vec<String>, String> {
    match value.list().iter().find(|word| reply::says_nothing(word) || word.chars().count() > 40) {
        Some(word) => Err(format!("holds {word:?}; a reply has 1 to 40 characters that can be seen")),
        None => Ok(value.list().to_vec()),
    }
}

pub(super) fn optional(url: Option<&SecretUrl>) -> Value {
    Value::Text(url.map(ToString::to_string).unwrap_or_default())
}

pub(super) fn region(text: &str) -> Result<Region, String> {
    text.parse().map_err(|_| "must be the two-letter ISO 3166 code of a country, such as CN, JP, US or GB".to_owned())
}

/// A phrase whose only gap is the host's name: any other would be spoken as it stands.
pub(super) fn phrase(text: &str) -> Result<String, String> {
    if text.replace("{hostname}", "").contains(['{', '}']) {
        return Err("may hold {hostname} and no other braces".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
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

pub(super) fn host(text: &str) -> Result<String, String> {
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

/// The name of a file that whoever reads it finds wherever they stand.
pub(super) fn whole_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(format!("must be the whole path of a file, from / on; it is {text:?}")) }
}

/// Checks the form only; says nothing of the value, which may hold a password.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        return Err("must be http://… or https://…, with nothing after the path".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The address of a provider of logins. It is kept as it is written: tokens name it letter for letter. What it says must not be changed on
/// the way, so it speaks https, unless it is on this computer.
pub(super) fn provider_url(text: &str) -> Result<String, String> {
    public_url(text)?;
    let url = reqwest::Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() == "https" || here {
        true => Ok(text.to_owned()),
        false => Err("must be https://…: whoever could change what it says could log in as anybody".to_owned()),
    }
}

pub(super) fn secret_url(text: &str, schemes: &[&str]) -> Result<SecretUrl, String> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let sound = rest.is_some_and(|rest| !rest.is_empty() && !text.contains(char::is_whitespace));
    if sound && text.starts_with("redis") {
        address::check(text)?;
    }
    if sound && text.starts_with("postgres") {
        crate::config::postgres_url::check(text)?;
    }
    if sound {
        Ok(SecretUrl(text.to_owned()))
    } else {
        Err(format!("must be a URL that begins with {} and names a host", schemes.join(" or ")))
    }
}
