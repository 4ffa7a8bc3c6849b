//! Who is asking, and whether they may come in without a token: the rules for open networks.
//!
//! An address in an open network is not enough. A reverse proxy on this machine would make every stranger look local, and a web
//! page in an engineer's browser can send requests to the office network. So forwarded requests are strangers unless their proxy
//! is trusted, and requests that a foreign page caused, or that came under a foreign host name, are refused.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HOST, HeaderName, ORIGIN, VIA};
use ipnet::IpNet;

use crate::config::HttpConfig;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client's address: the peer, or what a trusted proxy says.
    pub address: IpAddr,
    /// It came through a proxy that is not trusted, so nobody knows who asks.
    pub obscured: bool,
}

/// Why a request may not come in without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The address is in no open network.
    #[error("the address is in none of http.open_networks")]
    ClosedNetwork,
    /// It came through a proxy.
    #[error("the request came through a proxy that is not in http.trusted_proxies")]
    Proxied,
    /// Another site's page sent it.
    #[error("the request was sent by a page of another site")]
    ForeignOrigin,
    /// It names a host that this server is not known by.
    #[error("the Host header is neither an address, localhost, nor in http.hosts")]
    ForeignHost,
}

/// Finds out where a request comes from.
#[must_use]
pub fn caller(peer: SocketAddr, headers: &HeaderMap, config: &HttpConfig) -> Caller {
    let peer = peer.ip().to_canonical();
    if !is_forwarded(headers) {
        return Caller { address: peer, obscured: false };
    }
    if !contains(&config.trusted_proxies, peer) {
        return Caller { address: peer, obscured: true };
    }
    // The client is the last address in the chain that is not itself a trusted proxy. An entry that cannot be read hides
    // everything before it.
    let mut chain = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        chain.extend(value.to_str().unwrap_or("?").split(',').map(|entry| entry.trim().parse::<IpAddr>().ok()));
    }
    for entry in chain.into_iter().rev() {
        match entry.map(|address| address.to_canonical()) {
            Some(address) if contains(&config.trusted_proxies, address) => {}
            Some(address) => return Caller { address, obscured: false },
            None => return Caller { address: peer, obscured: true },
        }
    }
    Caller { address: peer, obscured: true }
}

/// Whether a request may use what open networks may use.
///
/// # Errors
/// The reason why not.
pub fn admit(caller: Caller, headers: &HeaderMap, config: &HttpConfig) -> Result<(), Refused> {
    if caller.obscured {
        return Err(Refused::Proxied);
    }
    if !contains(&config.open_networks, caller.address) {
        return Err(Refused::ClosedNetwork);
    }
    let host = text(headers, &HOST);
    if host.is_some_and(|host| !is_own_host(host, &config.hosts)) || headers.get_all(HOST).iter().count() > 1 {
        return Err(Refused::ForeignHost);
    }
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
    if site.is_some_and(|site| !matches!(site, "none" | "same-origin")) {
        return Err(Refused::ForeignOrigin);
    }
    match headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null")) {
        None => Ok(()),
        Some(origin) => {
            let origin_host = origin.split_once("://").map(|(_, host)| host);
            if origin_host.is_some() && origin_host == host { Ok(()) } else { Err(Refused::ForeignOrigin) }
        }
    }
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-") || name.as_str() == "x-real-ip")
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_own_host(host: &str, own: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use axum::http::HeaderValue;

    fn config() -> HttpConfig {
        HttpConfig {
            open_networks: vec!["127.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()],
            trusted_proxies: vec!["10.9.9.9/32".parse().unwrap()],
            hosts: vec!["pager.example.com".to_owned()],
            ..HttpConfig::default()
        }
    }

    fn ask(peer: &str, headers: &[(&'static str, &'static str)]) -> Result<(), Refused> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        admit(caller(peer.parse().unwrap(), &map, &config()), &map, &config())
    }

    #[test]
    fn only_open_networks_come_in() {
        assert_eq!(ask("127.0.0.1:9", &[]), Ok(()));
        assert_eq!(ask("[::ffff:127.0.0.1]:9", &[]), Ok(()), "a mapped address is the address");
        assert_eq!(ask("10.1.2.3:9", &[("host", "10.1.0.1:8080")]), Ok(()));
        assert_eq!(ask("10.2.2.3:9", &[]), Err(Refused::ClosedNetwork));
    }

    #[test]
    fn a_proxy_must_be_trusted() {
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "via", "x-real-ip"] {
            let mut map = HeaderMap::new();
            map.insert(name, HeaderValue::from_static("127.0.0.1"));
            let caller = caller("127.0.0.1:9".parse().unwrap(), &map, &config());
            assert_eq!(admit(caller, &map, &config()), Err(Refused::Proxied), "{name}");
        }
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7")]), Ok(()));
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7, 8.8.8.8")]), Err(Refused::ClosedNetwork));
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7, 10.9.9.9")]), Ok(()));
        assert_eq!(
            ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7"), ("x-forwarded-for", "8.8.8.8")]),
            Err(Refused::ClosedNetwork)
        );
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "127.0.0.1, bogus")]), Err(Refused::Proxied));
        assert_eq!(ask("10.9.9.9:9", &[("via", "1.1 x")]), Err(Refused::Proxied));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        assert_eq!(
            ask("127.0.0.1:9", &[("origin", "http://evil.example"), ("host", "127.0.0.1:8080")]),
            Err(Refused::ForeignOrigin)
        );
        assert_eq!(ask("127.0.0.1:9", &[("origin", "null"), ("host", "127.0.0.1:8080")]), Err(Refused::ForeignOrigin));
        assert_eq!(ask("127.0.0.1:9", &[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]), Ok(()));
        assert_eq!(ask("127.0.0.1:9", &[("sec-fetch-site", "cross-site")]), Err(Refused::ForeignOrigin));
        assert_eq!(ask("127.0.0.1:9", &[("sec-fetch-site", "same-origin")]), Ok(()));
    }

    #[test]
    fn a_rebound_name_is_refused() {
        assert_eq!(ask("127.0.0.1:9", &[("host", "evil.example:8080")]), Err(Refused::ForeignHost));
        for own in ["localhost:8080", "LOCALHOST", "[::1]:8080", "192.168.1.8:8080", "pager.example.com", "Pager.Example.com.:80"]
        {
            let mut map = HeaderMap::new();
            map.insert(HOST, HeaderValue::from_str(own).unwrap());
            assert_eq!(admit(caller("127.0.0.1:9".parse().unwrap(), &map, &config()), &map, &config()), Ok(()), "{own}");
        }
        assert_eq!(ask("127.0.0.1:9", &[("host", "127.0.0.1"), ("host", "evil.example")]), Err(Refused::ForeignHost));
    }
}
