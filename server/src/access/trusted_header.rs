//! People whom a reverse proxy in front has let in: it says who they are in a header. Anybody could send that header, so it is believed from
//! the proxies of `http.trusted_proxies` alone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderName};

use crate::config::Config;

/// Under this word those are known whom a proxy knows.
pub const ISSUER: &str = "proxy";
/// Longest name of somebody, in bytes.
const LONGEST_NAME: usize = 255;
/// Longest list of groups, in bytes.
const LONGEST_GROUPS: usize = 16 * 1024;

/// Who somebody is, as a trusted proxy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// What they are called there.
    pub user: String,
    /// Their groups, as they stand in the header.
    pub groups: String,
}

/// Reads the header of those who are to be believed, and remembers whether somebody else has sent it.
#[derive(Debug, Default)]
pub struct TrustedHeader {
    told: AtomicBool,
}

impl TrustedHeader {
    /// Who somebody is, where a trusted proxy says it.
    pub fn says(&self, config: &Config, peer: SocketAddr, headers: &HeaderMap) -> Option<Proxied> {
        let name = config.identity.user_header.as_ref()?;
        if !headers.contains_key(name) {
            return None;
        }
        let peer = peer.ip().to_canonical();
        if !config.http.trusted_proxies.iter().any(|network| network.contains(&peer)) {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    client.address = %peer,
                    header = %name,
                    "somebody who is not in http.trusted_proxies says in a header who they are: it is ignored, and not told again"
                );
            }
            return None;
        }
        let user = only(headers, name, LONGEST_NAME).filter(|user| !user.is_empty())?;
        let groups = match &config.identity.groups_header {
            Some(name) if headers.contains_key(name) => only(headers, name, LONGEST_GROUPS)?,
            _ => String::new(),
        };
        Some(Proxied { user, groups })
    }
}

/// The one header of that name. Of two, one may be whoever sent the request's own: then nobody is believed.
fn only(headers: &HeaderMap, name: &HeaderName, longest: usize) -> Option<String> {
    let mut all = headers.get_all(name).iter();
    let first = all.next().filter(|_| all.next().is_none())?;
    let text = std::str::from_utf8(first.as_bytes()).ok()?.trim();
    (text.len() <= longest && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use axum::http::HeaderValue;

    fn said(peer: &str, headers: &[(&'static str, &str)]) -> Option<Proxied> {
        let mut config = Config::default();
        config.http.trusted_proxies = vec!["10.0.0.7/32".parse().unwrap()];
        config.identity.user_header = Some(HeaderName::from_static("remote-user"));
        config.identity.groups_header = Some(HeaderName::from_static("remote-groups"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        TrustedHeader::default().says(&config, peer.parse().unwrap(), &map)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_when_it_is_clear() {
        let proxied = |user: &str, groups: &str| Some(Proxied { user: user.to_owned(), groups: groups.to_owned() });
        assert_eq!(said("10.0.0.7:9", &[("remote-user", " 林 "), ("remote-groups", "a,b")]), proxied("林", "a,b"));
        assert_eq!(said("[::ffff:10.0.0.7]:9", &[("remote-user", "lin")]), proxied("lin", ""));
        assert_eq!(said("10.0.0.8:9", &[("remote-user", "lin")]), None);
        assert_eq!(said("10.0.0.8:9", &[("remote-user", "lin"), ("x-forwarded-for", "10.0.0.7")]), None);
        assert_eq!(said("10.0.0.7:9", &[("remote-user", "lin"), ("remote-user", "mia")]), None);
        assert_eq!(said("10.0.0.7:9", &[("remote-user", "lin"), ("remote-groups", "a"), ("remote-groups", "admin")]), None);
        assert_eq!(said("10.0.0.7:9", &[("remote-user", "")]), None);
        assert_eq!(said("10.0.0.7:9", &[("remote-groups", "a")]), None);
        assert_eq!(said("10.0.0.7:9", &[("remote-user", &"x".repeat(256))]), None);
    }
}
