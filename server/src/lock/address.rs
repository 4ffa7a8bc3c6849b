//! The address of Redis: `redis://user:password@host:port/number`, or `rediss://…` by TLS, with the files for it as Postgres names them.

use std::net::IpAddr;
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// What may stand after the question mark for TLS.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];
const OPEN: &str = "redis://";
const ENCRYPTED: &str = "rediss://";

/// An address that was understood.
pub(super) struct RedisAddress {
    /// For the library, which is given the stream where that is encrypted.
    pub(super) info: ConnectionInfo,
    /// Whether it is.
    pub(super) is_encrypted: bool,
    /// The files for it, each with its parameter.
    files: Vec<(&'static str, String)>,
}

/// Checks an address without connecting.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with its key. It repeats nothing of the address, which may hold a password.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// The certificates and keys that an address names, each with its parameter.
#[must_use]
pub fn files(text: &str) -> Vec<(&'static str, String)> {
    parse(text).map(|address| address.files).unwrap_or_default()
}

/// What is to be said of an address to which somebody may listen; `None` where nobody can, or where it is wrong.
#[must_use]
pub fn unverified(text: &str) -> Option<String> {
    let address = parse(text).ok().filter(|address| !address.is_encrypted)?;
    let ConnectionAddr::Tcp(host, _) = address.info.addr() else { return None };
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (!here).then(|| {
        format!(
            "the connection to Redis at {host} is not encrypted: whoever is on the way there can read its password; write rediss:// in \
             redis_url, with sslrootcert=/PATH/OF/authority.pem where its certificate is one of your own"
        )
    })
}

pub(super) fn parse(text: &str) -> Result<RedisAddress, String> {
    let wrong = || "must be a URL that begins with redis:// or rediss:// and names a host".to_owned();
    let is_encrypted = text.starts_with(ENCRYPTED);
    let rest = text.strip_prefix(ENCRYPTED).or_else(|| text.strip_prefix(OPEN)).ok_or_else(wrong)?;
    let host = rest.split(['/', '?']).next().and_then(|place| place.rsplit('@').next()).unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Err(wrong());
    }
    if rest.contains('#') {
        return Err(
            "holds a #: in a password it is written %23; a connection whose certificate nobody looks at is not made".to_owned()
        );
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut files, mut left) = (Vec::new(), form_urlencoded::Serializer::new(String::new()));
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match FILES.iter().find(|own| **own == name) {
            Some(own) if value.is_empty() => return Err(format!("has an empty {own}")),
            Some(own) => files.push((*own, value.into_owned())),
            None if name.starts_with("ssl") || name.starts_with("tls") => {
                return Err(format!("has a parameter for TLS that is not supported; there are {}", FILES.join(", ")));
            }
            None => {
                left.append_pair(&name, &value);
            }
        }
    }
    let has = |wanted: &str| files.iter().any(|(name, _)| *name == wanted);
    if !files.is_empty() && !is_encrypted {
        return Err("names certificates and begins with redis://, which is not encrypted: write rediss://".to_owned());
    }
    if has("sslcert") != has("sslkey") {
        return Err("names one of sslcert and sslkey: a certificate of the client needs both".to_owned());
    }
    let query = left.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    // The library is given its own form of the address, since the encrypted stream is made here.
    let info = format!("{OPEN}{place}{mark}{query}").into_connection_info().map_err(|_| wrong())?;
    Ok(RedisAddress { info, is_encrypted, files })
}

impl RedisAddress {
    /// How hands are shaken with it; `None` where it is not encrypted.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub(super) fn tls(&self) -> Result<Option<Arc<ClientConfig>>, String> {
        if !self.is_encrypted {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let builder = match self.read("sslrootcert")? {
            Some((file, bytes)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(&file, &bytes)? {
                    roots.add(authority).map_err(|_| format!("the file {file} holds a certificate that cannot be read"))?;
                }
                builder.with_root_certificates(roots)
            }
            None => builder
                .with_platform_verifier()
                .map_err(|error| format!("the authorities that this computer trusts cannot be read ({error})"))?,
        };
        let config = match (self.read("sslcert")?, self.read("sslkey")?) {
            (Some((file, certificate)), Some((key_file, key))) => {
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|_| format!("the file {key_file} holds no key in the form PEM, or one that needs a password"))?;
                builder
                    .with_client_auth_cert(certificates(&file, &certificate)?, key)
                    .map_err(|error| format!("{file} and {key_file} cannot be used together ({error})"))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some(Arc::new(config)))
    }

    fn read(&self, parameter: &str) -> Result<Option<(String, Vec<u8>)>, String> {
        let Some((_, path)) = self.files.iter().find(|(name, _)| *name == parameter) else { return Ok(None) };
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some((path.clone(), bytes))),
            Err(error) => Err(format!("the file {path} of {parameter} cannot be read: {error}")),
        }
    }
}

fn certificates(file: &str, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match read {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(format!("the file {file} holds no certificate in the form PEM, or a broken one")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn an_address_says_how_it_is_protected() {
        let open = parse("redis://u:p@cache:6380/3?protocol=resp3").unwrap();
        assert!(!open.is_encrypted && open.tls().unwrap().is_none());
        assert_eq!(*open.info.addr(), ConnectionAddr::Tcp("cache".to_owned(), 6380));
        let encrypted = parse("rediss://:p@cache/?sslrootcert=/etc/ca.pem&sslcert=/a.pem&sslkey=/a.key").unwrap();
        assert!(encrypted.is_encrypted);
        assert_eq!(*encrypted.info.addr(), ConnectionAddr::Tcp("cache".to_owned(), 6379));
        let named = ["sslrootcert", "sslcert", "sslkey"].into_iter().zip(["/etc/ca.pem", "/a.pem", "/a.key"]);
        assert_eq!(encrypted.files, named.map(|(name, path)| (name, path.to_owned())).collect::<Vec<_>>());
        assert!(encrypted.tls().unwrap_err().contains("/etc/ca.pem"));
    }

    #[test]
    fn what_would_not_be_protected_is_refused_and_no_password_repeated() {
        for (text, said) in [
            ("rediss://:xq@cache/#insecure", "%23"),
            ("redis://:xq@cache/?sslrootcert=/ca.pem", "rediss://"),
            ("rediss://:xq@cache/?sslcert=/a.pem", "both"),
            ("rediss://:xq@cache/?sslmode=verify-full", "sslrootcert"),
            ("rediss://:xq@cache/?sslrootcert=", "sslrootcert"),
            ("rediss://", "names a host"),
            ("http://:xq@cache", "redis://"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(said) && !error.contains("xq"), "{text}: {error}");
        }
    }

    #[test]
    fn an_open_line_to_another_computer_is_told() {
        assert!(unverified("redis://:xq@10.0.0.5/").is_some_and(|said| said.contains("10.0.0.5") && !said.contains("xq")));
        assert!(unverified("redis://cache:6379").is_some());
        for fine in ["redis://localhost/", "redis://127.0.0.1:6379", "redis://[::1]/", "rediss://cache/", "nonsense", ""] {
            assert_eq!(unverified(fine), None, "{fine}");
        }
    }
}
