//! Where our requests may go: not to addresses inside, unless the configuration names them.
//!
//! Whoever may set a webhook or a gateway could otherwise make the server ask its own network. The check is made on the address that is really
//! connected to, after the name was looked up, so that a name that changes its address gains nothing. Redirects are not followed, but for
//! calendars, whose every next address is judged like the first.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// An address is no longer, in bytes.
pub(super) const LONGEST_URL: usize = 2_000;

/// Why an address may not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("the address must begin with https:// or http:// and name a host")]
    Bad,
    /// It is inside.
    #[error("the address is inside this network; add the network to {allowed_by} if that is meant")]
    Inside {
        /// The configuration key that would allow it.
        allowed_by: &'static str,
    },
}

/// A name whose every address is inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is an address inside; add its network to {allowed_by}")]
pub struct NameInside {
    name: String,
    allowed_by: &'static str,
}

/// A name that has no address, or whose address nobody could say.
#[derive(Debug, thiserror::Error)]
#[error("{name} could not be looked up: {source}")]
pub struct NameUnknown {
    name: String,
    source: std::io::Error,
}

/// Looks names up, and leaves out what may not be asked.
#[derive(Clone, Debug)]
pub struct GuardedResolver {
    allowed: Arc<[IpNet]>,
    key: &'static str,
}

impl GuardedResolver {
    /// Lets through public addresses and these networks of `notify.allow_networks`.
    #[must_use]
    pub fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into(), key: "notify.allow_networks" }
    }

    /// The same for the networks of `sms.allow_networks`: a phone that sends text messages is nearly always inside.
    #[must_use]
    pub fn for_gateways(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into(), key: "sms.allow_networks" }
    }

    /// The same for the networks of `roster.allow_networks`: calendars of a company are often inside.
    #[must_use]
    pub fn for_calendars(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into(), key: "roster.allow_networks" }
    }

    /// The addresses of a name that may be asked.
    ///
    /// # Errors
    /// [`NameUnknown`], or [`NameInside`] where there is none.
    pub async fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let found = tokio::net::lookup_host((name, port)).await;
        let found = found.map_err(|source| NameUnknown { name: name.to_owned(), source })?;
        let public: Vec<SocketAddr> = found.filter(|address| self.lets_through(address.ip())).collect();
        if public.is_empty() {
            return Err(NameInside { name: name.to_owned(), allowed_by: self.key }.into());
        }
        Ok(public)
    }

    /// Whether this address may be asked.
    #[must_use]
    pub fn lets_through(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address)) || is_public(address)
    }
}

/// Whether an address may be asked. A name is looked up when it is used, an address is judged here and then.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &str, guard: &GuardedResolver) -> Result<Url, AddressError> {
    judged(url, &["http", "https"], guard)
}

/// Whether a mail server may be asked, whose address was read before.
///
/// # Errors
/// What is wrong with its address.
pub fn check_mail_url(url: &str, guard: &GuardedResolver) -> Result<Url, AddressError> {
    judged(url, &["smtp", "smtps"], guard)
}

fn judged(url: &str, schemes: &[&str], guard: &GuardedResolver) -> Result<Url, AddressError> {
    let parsed = Url::parse(url).map_err(|_| AddressError::Bad)?;
    if url.len() > LONGEST_URL || !schemes.contains(&parsed.scheme()) || parsed.host_str().is_none_or(str::is_empty) {
        return Err(AddressError::Bad);
    }
    let address = parsed.host_str().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
    if address.is_some_and(|address| !guard.lets_through(address)) {
        return Err(AddressError::Inside { allowed_by: guard.key });
    }
    Ok(parsed)
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move { Ok(Box::new(guard.addresses(name.as_str(), 0).await?.into_iter()) as Addrs) })
    }
}

/// Addresses of the public Internet; the special ones are listed by IANA (RFC 6890 and its registry).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = a == 0 || a >= 240 || (a == 192 && b == 0 && c == 0) || (a == 198 && (b == 18 || b == 19));
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || shared
                || special)
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            // Global unicast is 2000::/3; of that, 6to4 and Teredo carry addresses that may be inside.
            (0x2000..0x4000).contains(&first) && first != 0x2002 && !(first == 0x2001 && v6.segments()[1] == 0)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn only_public_addresses_and_named_networks() {
        let guard = GuardedResolver::new(&["10.1.0.0/16".parse().unwrap()]);
        for inside in [
            "127.0.0.1",
            "10.2.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "2001::1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!guard.lets_through(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "2606:4700::1111", "10.1.2.3", "::ffff:8.8.8.8"] {
            assert!(guard.lets_through(outside.parse().unwrap()), "{outside}");
        }
    }
}
