//! Whether what is said of proxies, host names and the public address fits together.

use std::net::IpAddr;

use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::config::HttpConfig;
use crate::kinds::gateways::reports_to;
use crate::store::StoreError;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let http = &seen.config().http;
        let mut found = judge(http);
        if let Some(store) = seen.store() {
            let gateways = store.read().await?.db().gateways().await?;
            let own = http.public_url.as_deref().unwrap_or("http://");
            let refusing = gateways.iter().filter(|gateway| gateway.removed_at.is_none() && !reports_to(&gateway.settings, own));
            let names: Vec<&str> = refusing.map(|gateway| gateway.name.as_str()).collect();
            if !names.is_empty() && http.tls.listen.is_none() {
                found.push(Finding::warn(
                    format!(
                        "SMSGate reports only to addresses that begin with https://, and this server has none ({})",
                        names.join(", ")
                    ),
                    "see \"TLS inside a LAN\" in docs/tls.md",
                ));
            }
        }
        Ok(found)
    })
}

fn judge(http: &HttpConfig) -> Vec<Finding> {
    let Some(public) = &http.public_url else {
        let todo = "set http.public_url to the address that people type";
        return vec![Finding::warn("http.public_url is not set, so notices hold no links for callees", todo)];
    };
    let mut found = Vec::new();
    let url = reqwest::Url::parse(public).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    let is_known = host == "localhost" || host.parse::<IpAddr>().is_ok() || http.hosts.contains(&host);
    if !is_known {
        found.push(Finding::bad(
            format!("people come to {host} by http.public_url, and http.hosts does not list it, so browsers are refused"),
            format!("write hosts = [\"{host}\"] below [http]"),
        ));
    }
    if url.is_some_and(|url| url.scheme() == "http" && host.parse::<IpAddr>().is_err() && host != "localhost") {
        found.push(Finding::warn(
            "http.public_url is not encrypted: passwords and callees' links can be read on the way",
            "put a proxy that speaks https in front, or set http.tls_listen: see docs/tls.md",
        ));
    }
    if http.has_unlisted_proxy() {
        found.push(Finding::bad(
            "a reverse proxy seems to stand in front, and http.trusted_proxies does not list it: all senders look like one address",
            "write trusted_proxies = [\"127.0.0.1\", \"::1\"] below [http] if the proxy runs here, else its address",
        ));
    }
    if found.is_empty() {
        found.push(Finding::good(format!("{public}, http.hosts and http.trusted_proxies fit together")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProxySign;
    use crate::keep::doctor::Grade;

    #[test]
    fn what_does_not_fit_is_said() {
        let with = |url: Option<&str>, hosts: &[&str], sign: Option<ProxySign>| {
            let http = HttpConfig {
                public_url: url.map(str::to_owned),
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                proxy_sign: sign,
                ..HttpConfig::default()
            };
            judge(&http).into_iter().map(|found| found.grade).collect::<Vec<_>>()
        };
        assert_eq!(with(None, &[], None), [Grade::Warn]);
        assert_eq!(with(Some("https://a.example.org"), &["a.example.org"], None), [Grade::Good]);
        assert_eq!(with(Some("https://A.example.org"), &["a.example.org"], None), [Grade::Good]);
        assert_eq!(with(Some("https://a.example.org"), &[], Some(ProxySign::Https)), [Grade::Bad, Grade::Bad]);
        assert_eq!(with(Some("http://a.example.org:8080"), &["a.example.org"], None), [Grade::Warn]);
        assert_eq!(with(Some("http://[fd00::1]:8080"), &[], None), [Grade::Good]);
    }
}
