//! Who is asking, and whether they may come in without a token: the rules for open networks.
//!
//! An address in an open network is not enough. A reverse proxy on this machine would make every stranger look local, and a web
//! page in an engineer's browser can send requests to the office network. So forwarded requests are strangers unless their proxy
//! is trusted, and requests that a foreign page caused, or that came under a foreign host name, are refused.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::header::{ACCEPT, FORWARDED, HOST, HeaderName, ORIGIN, REFERER, USER_AGENT, VIA};
use axum::http::{HeaderMap, Version};
use ipnet::IpNet;

use crate::config::{HttpConfig, ProxySign};

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
pub enum ShutOut {
    /// The address is in no open network.
    #[error("the address is in none of http.open_networks")]
    ClosedNetwork,
    /// It came through a proxy.
    #[error("the request came through a proxy that is not in http.trusted_proxies")]
    Proxied,
    /// It comes from this computer, but a proxy seems to stand in front, so it may come from anywhere.
    #[error(
        "{0}, so a reverse proxy seems to stand in front, and whoever it lets through would pass as this computer; if it does, \
         list it in http.trusted_proxies; if programs on this computer are to come in without a key, list \"127.0.0.0/8\" and \
         \"::1/128\" in http.open_networks"
    )]
    BehindProxy(ProxySign),
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
pub fn admit(caller: Caller, version: Version, headers: &HeaderMap, config: &HttpConfig) -> Result<(), ShutOut> {
    if caller.obscured {
        return Err(ShutOut::Proxied);
    }
    if caller.address.is_loopback() && !config.loopback_listed {
        // A plain nginx in front says HTTP/1.0, and nothing else that would tell it from a program on this computer.
        let sign = if version < Version::HTTP_11 { Some(ProxySign::OldHttp) } else { config.proxy_sign };
        if let Some(sign) = sign {
            return Err(ShutOut::BehindProxy(sign));
        }
    }
    if !contains(&config.open_networks, caller.address) {
        return Err(ShutOut::ClosedNetwork);
    }
    let host = text(headers, &HOST);
    if !host.is_some_and(|host| is_own_host(host, &config.hosts)) || headers.get_all(HOST).iter().count() > 1 {
        return Err(ShutOut::ForeignHost);
    }
    if is_of_a_foreign_page(headers) { Err(ShutOut::ForeignOrigin) } else { Ok(()) }
}

/// Whether a page of another site had a request sent.
#[must_use]
pub fn is_of_a_foreign_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
    if site.is_some_and(|site| !matches!(site, "none" | "same-origin")) {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    origin.is_some_and(|origin| {
        let of = origin.split_once("://").map(|(_, host)| host);
        of.is_none() || of != host
    })
}

/// Whether a request says, once, which host it means.
#[must_use]
pub fn names_one_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    hosts.next().is_some_and(|host| !host.as_bytes().trim_ascii().is_empty()) && hosts.next().is_none()
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

/// What makes a request on the plain path look as if a web page or a browser had made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrowserSign {
    /// A page of another site is named as where it came from.
    ForeignReferer,
    /// It wants pages or pictures.
    Accept,
    /// Its program is a browser.
    Program,
}

/// Tells a browser from a program. A page of another site can make every browser in an open network ask for an alarm, with no
/// more than a picture; but it cannot make the browser pass as a program.
#[must_use]
pub fn browser_sign(headers: &HeaderMap, config: &HttpConfig) -> Option<BrowserSign> {
    const SHOWN: [&str; 6] = ["text/html", "application/xhtml", "text/css", "image/", "video/", "audio/"];
    const ONLY_BROWSERS: [&str; 4] = ["sec-fetch-mode", "sec-fetch-dest", "sec-ch-ua", "upgrade-insecure-requests"];
    if let Some(referer) = text(headers, &REFERER) {
        let host = referer.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        let own = text(headers, &HOST);
        let ours = host.is_some_and(|host| {
            own.is_some_and(|own| own.eq_ignore_ascii_case(host)) || config.hosts.iter().any(|own| own == host)
        });
        if !ours {
            return Some(BrowserSign::ForeignReferer);
        }
    }
    let wanted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if wanted.flat_map(|value| value.split(',')).any(|kind| SHOWN.iter().any(|shown| begins_with(kind.trim(), shown))) {
        return Some(BrowserSign::Accept);
    }
    let program = text(headers, &USER_AGENT).unwrap_or_default().trim_start();
    let browser = begins_with(program, "Mozilla/") || begins_with(program, "Opera/");
    (browser || ONLY_BROWSERS.iter().any(|name| headers.contains_key(*name))).then_some(BrowserSign::Program)
}

fn begins_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// Whether a `Host` is an address, localhost, or one of ours; with or without a port, and with nothing else.
fn is_own_host(host: &str, own: &[String]) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((name, port)) if name.parse::<Ipv6Addr>().is_ok() => (name, port),
            _ => return false,
        },
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let port_is_one =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if !port_is_one {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
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
            loopback_listed: true,
            ..HttpConfig::default()
        }
    }

    fn ask(peer: &str, headers: &[(&'static str, &'static str)]) -> Result<(), ShutOut> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        if !map.contains_key(HOST) {
            map.insert(HOST, HeaderValue::from_static("127.0.0.1:8080"));
        }
        admit(caller(peer.parse().unwrap(), &map, &config()), Version::HTTP_11, &map, &config())
    }

    fn sign(headers: &[(&'static str, &'static str)]) -> Option<BrowserSign> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        browser_sign(&headers, &config())
    }

    #[test]
    fn browsers_are_told_from_programs() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let picture = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
        for headers in [
            &[("user-agent", "curl/8.5.0"), ("accept", "*/*")][..],
            &[("user-agent", "okhttp/3.10.0"), ("accept-encoding", "gzip")],
            &[("user-agent", "Dalvik/2.1.0 (Linux; U; Android 9; MI 8)")],
            &[("accept", "application/json")],
            &[("host", "10.0.0.1:8080"), ("referer", "http://10.0.0.1:8080/handsets")],
            &[("host", "backend"), ("referer", "https://pager.example.com/")],
            &[],
        ] {
            assert_eq!(sign(headers), None, "{headers:?}");
        }
        assert_eq!(sign(&[("user-agent", chrome)]), Some(BrowserSign::Program));
        assert_eq!(sign(&[("user-agent", "mozilla/5.0")]), Some(BrowserSign::Program));
        assert_eq!(sign(&[("sec-fetch-dest", "image")]), Some(BrowserSign::Program));
        assert_eq!(sign(&[("accept", picture)]), Some(BrowserSign::Accept));
        assert_eq!(sign(&[("accept", "application/json, Text/HTML;q=0.1")]), Some(BrowserSign::Accept));
        for referer in ["http://evil.example/x", "http://10.0.0.1:8080.evil.example/", "http://10.0.0.1:81/", "about:blank", ""] {
            let asked = sign(&[("host", "10.0.0.1:8080"), ("referer", referer)]);
            assert_eq!(asked, Some(BrowserSign::ForeignReferer), "{referer:?}");
        }
    }

    #[test]
    fn behind_a_proxy_this_computer_is_anybody() {
        let here: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let map = HeaderMap::from_iter([(HOST, HeaderValue::from_static("127.0.0.1"))]);
        let ask = |version, config: &HttpConfig| admit(caller(here, &map, config), version, &map, config);
        let alone = HttpConfig::default();
        assert_eq!(ask(Version::HTTP_11, &alone), Ok(()));
        assert_eq!(ask(Version::HTTP_10, &alone), Err(ShutOut::BehindProxy(ProxySign::OldHttp)), "as a plain nginx says");
        let behind = HttpConfig { proxy_sign: Some(ProxySign::Https), open_networks: Vec::new(), ..HttpConfig::default() };
        assert_eq!(ask(Version::HTTP_11, &behind), Err(ShutOut::BehindProxy(ProxySign::Https)));
        let listed = HttpConfig { proxy_sign: Some(ProxySign::Https), loopback_listed: true, ..HttpConfig::default() };
        assert_eq!(ask(Version::HTTP_11, &listed), Ok(()));
        assert_eq!(ask(Version::HTTP_10, &listed), Ok(()));
        let elsewhere: SocketAddr = "10.1.2.3:9".parse().unwrap();
        let office = config();
        assert_eq!(admit(caller(elsewhere, &map, &office), Version::HTTP_10, &map, &office), Ok(()), "only this computer");
    }

    #[test]
    fn only_open_networks_come_in() {
        assert_eq!(ask("127.0.0.1:9", &[]), Ok(()));
        assert_eq!(ask("[::ffff:127.0.0.1]:9", &[]), Ok(()), "a mapped address is the address");
        assert_eq!(ask("10.1.2.3:9", &[("host", "10.1.0.1:8080")]), Ok(()));
        assert_eq!(ask("10.2.2.3:9", &[]), Err(ShutOut::ClosedNetwork));
    }

    #[test]
    fn a_proxy_must_be_trusted() {
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "via", "x-real-ip"] {
            let mut map = HeaderMap::new();
            map.insert(name, HeaderValue::from_static("127.0.0.1"));
            let caller = caller("127.0.0.1:9".parse().unwrap(), &map, &config());
            assert_eq!(admit(caller, Version::HTTP_11, &map, &config()), Err(ShutOut::Proxied), "{name}");
        }
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7")]), Ok(()));
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7, 8.8.8.8")]), Err(ShutOut::ClosedNetwork));
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7, 10.9.9.9")]), Ok(()));
        assert_eq!(
            ask("10.9.9.9:9", &[("x-forwarded-for", "10.1.7.7"), ("x-forwarded-for", "8.8.8.8")]),
            Err(ShutOut::ClosedNetwork)
        );
        assert_eq!(ask("10.9.9.9:9", &[("x-forwarded-for", "127.0.0.1, bogus")]), Err(ShutOut::Proxied));
        assert_eq!(ask("10.9.9.9:9", &[("via", "1.1 x")]), Err(ShutOut::Proxied));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        assert_eq!(
            ask("127.0.0.1:9", &[("origin", "http://evil.example"), ("host", "127.0.0.1:8080")]),
            Err(ShutOut::ForeignOrigin)
        );
        assert_eq!(ask("127.0.0.1:9", &[("origin", "null"), ("host", "127.0.0.1:8080")]), Err(ShutOut::ForeignOrigin));
        assert_eq!(ask("127.0.0.1:9", &[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]), Ok(()));
        assert_eq!(ask("127.0.0.1:9", &[("sec-fetch-site", "cross-site")]), Err(ShutOut::ForeignOrigin));
        assert_eq!(ask("127.0.0.1:9", &[("sec-fetch-site", "same-origin")]), Ok(()));
    }

    #[test]
    fn a_rebound_name_is_refused() {
        for foreign in [
            "evil.example:8080",
            "[::1].evil.example",
            "[::1]evil.example:80",
            "[::1]:80.evil.example",
            "[evil.example]",
            "[127.0.0.1]",
            "127.0.0.1.evil.example",
            "127.0.0.1:8080@evil.example",
            "127.0.0.1:x",
            "localhost:80:evil.example",
            "localhost..",
            "::1",
            "",
        ] {
            assert_eq!(ask("127.0.0.1:9", &[("host", foreign)]), Err(ShutOut::ForeignHost), "{foreign}");
        }
        let here = "127.0.0.1:9".parse().unwrap();
        let nowhere = admit(caller(here, &HeaderMap::new(), &config()), Version::HTTP_11, &HeaderMap::new(), &config());
        assert_eq!(nowhere, Err(ShutOut::ForeignHost), "whoever names none may mean any");
        for own in ["localhost:8080", "LOCALHOST", "[::1]:8080", "192.168.1.8:8080", "pager.example.com", "Pager.Example.com.:80"]
        {
            let mut map = HeaderMap::new();
            map.insert(HOST, HeaderValue::from_str(own).unwrap());
            let caller = caller("127.0.0.1:9".parse().unwrap(), &map, &config());
            assert_eq!(admit(caller, Version::HTTP_11, &map, &config()), Ok(()), "{own}");
        }
        assert_eq!(ask("127.0.0.1:9", &[("host", "127.0.0.1"), ("host", "evil.example")]), Err(ShutOut::ForeignHost));
    }
}
