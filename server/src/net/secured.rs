//! TLS on an address of its own: whose certificate is shown, and how hands are shaken. The files are read again while the server runs.
//!
//! A new pair is shown only once it is known to be good; until then the one of before is. So a renewal that went wrong, or of which only
//! half is written yet, ends no connection and refuses nobody.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::certificate::{About, Pair, PairError, authorities_in, names_of_client};
use super::wire::told;
use crate::clock::Clock;
use crate::ids::hex;
use crate::secrets;
use crate::telemetry::{Handshake, Metrics};
use crate::trust;

/// Longest file that is read, in bytes: all authorities that a system trusts are a quarter of it.
const LONGEST: u64 = 1 << 20;
/// So often the files are read again.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Longest that shaking hands may take, from the first packet of the connection.
const HANDS_WITHIN: Duration = Duration::from_secs(10);
/// After the refusal of a client that does not speak TLS, what it still sends is thrown away for so long: else it would not see that.
const LINGER: Duration = Duration::from_secs(2);
/// That hands could not be shaken is told this often; the rest is counted. Whoever scans ports would fill the log otherwise.
const TOLD_EVERY_SECONDS: i64 = 60;
/// That the certificate ends soon is told this often.
const WARNED_EVERY_SECONDS: i64 = 24 * 60 * 60;
/// For so long browsers come by https alone once they have heard of it.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=15552000");
/// The first byte of a client that speaks TLS.
const BEGINS_TLS: u8 = 0x16;

/// Which files hold what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The server's own certificate and those above it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities whose certificates clients may show.
    pub client_authority: Option<PathBuf>,
}

/// Why TLS cannot be spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecuredError {
    /// A file cannot be read.
    #[error("{path} ({key}) cannot be read: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// The key that names it.
        key: &'static str,
        /// What the operating system says.
        why: String,
    },
    /// What is in it cannot be used.
    #[error("{path} (http.tls_certificate) and http.tls_key cannot be used: {why}")]
    Pair {
        /// Which.
        path: String,
        /// What is wrong.
        why: PairError,
    },
    /// The authorities of clients cannot be used.
    #[error("{path} (http.tls_client_authority) cannot be used: {why}")]
    Authority {
        /// Which.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// What the files hold, as they were read: another reading is compared with it.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    /// The key's hash.
    key: [u8; 32],
    client_authority: Vec<u8>,
}

/// What is shown to clients now.
struct Shown {
    config: Arc<ServerConfig>,
    about: About,
    contents: Contents,
    /// Something newer that was refused: which, why, and whether that was told.
    refused: Option<(Option<Contents>, SecuredError, bool)>,
}

/// Whether a request came encrypted, and who showed a certificate for it. Part of each request of such a connection.
#[derive(Clone, Debug)]
pub struct Encrypted {
    /// Whose certificate was shown and verified.
    pub client: Option<Arc<Client>>,
    strict_host: Option<Arc<str>>,
}

/// A client that has proved to hold the key of a certificate that one of the configured authorities signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The SHA-256 of its certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// The names in it, its subject's first.
    pub names: Vec<String>,
}

impl Client {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self { fingerprint: hex(&secrets::hash_of(certificate.as_ref())), names: names_of_client(certificate) }
    }

    /// Whether it is who is meant: by a name, or by `sha256:` and a fingerprint.
    #[must_use]
    pub fn is(&self, wanted: &str) -> bool {
        match wanted.strip_prefix("sha256:") {
            Some(digits) => digits.replace(':', "").eq_ignore_ascii_case(&self.fingerprint),
            None => self.names.iter().any(|name| name.eq_ignore_ascii_case(wanted)),
        }
    }
}

impl Encrypted {
    /// What browsers are told that came by the public name: to come by https alone from now on.
    pub(super) fn strictly(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.strict_host.as_deref()?.eq_ignore_ascii_case(name.trim_end_matches('.')).then_some(STRICT)
    }
}

/// The name by which everybody reaches this server by https, where there is one: browsers that come by it are told to do so always. Not an
/// address, and no name that others may have as well: a browser would then refuse somebody else's server of that name.
#[must_use]
pub fn public_name(public_url: Option<&str>) -> Option<String> {
    const PRIVATE: [&str; 16] = [
        "arpa",
        "corp",
        "example",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "mail",
        "onion",
        "private",
        "test",
        "workgroup",
    ];
    let url = reqwest::Url::parse(public_url?).ok().filter(|url| url.scheme() == "https")?;
    let name = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let (_, last) = name.rsplit_once('.')?;
    (!is_address && !PRIVATE.contains(&last)).then_some(name)
}

/// Whose certificate is shown on the second address.
pub struct Secured {
    files: Files,
    strict_host: Option<Arc<str>>,
    shown: RwLock<Shown>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// When a failed handshake was told last, and when that the end is near; in seconds since 1970.
    told_at: AtomicI64,
    warned_at: AtomicI64,
}

impl Secured {
    /// Reads the files for the first time. A certificate that is over is shown all the same: a client may not mind, and one that is not
    /// there at all would refuse every client.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(files: Files, public_url: Option<&str>, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, SecuredError> {
        let contents = files.read()?;
        let (config, about) = files.judge(&contents.0, &contents.1)?;
        let now = clock.now();
        for oddity in &about.oddities {
            tracing::warn!("{} (http.tls_certificate): {oddity}", files.certificate.display());
        }
        if now < about.begins {
            tracing::error!("{} (http.tls_certificate) holds only from {} on", files.certificate.display(), about.begins);
        }
        metrics.tls_certificate_ends.set(about.ends.timestamp());
        let shown = Shown { config, about, contents: contents.0, refused: None };
        let secured = Self {
            files,
            strict_host: public_name(public_url).map(Arc::from),
            shown: RwLock::new(shown),
            metrics,
            clock,
            told_at: AtomicI64::new(0),
            warned_at: AtomicI64::new(0),
        };
        secured.warn_of_the_end(now);
        Ok(secured)
    }

    /// What is known of the certificate that is shown, and why a newer one is not.
    #[must_use]
    pub fn about(&self) -> (About, Option<SecuredError>) {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let refused = shown.refused.as_ref().filter(|(_, _, told)| *told).map(|(_, why, _)| why.clone());
        (shown.about.clone(), refused)
    }

    /// Reads the files again. `asked`: somebody wants to hear at once what came of it; else a refusal is told when the same is found a
    /// second time, since half of a pair may just be written.
    pub fn look_again(&self, asked: bool) {
        let now = self.clock.now();
        let read = self.files.read();
        let found = match read {
            Ok((contents, key)) => {
                if self.is_shown(&contents) {
                    self.warn_of_the_end(now);
                    return;
                }
                let judged = self.files.judge(&contents, &key);
                let judged = judged.and_then(|(config, about)| match about.holds(now) {
                    Ok(()) => Ok((config, about)),
                    Err(why) => Err(SecuredError::Pair { path: self.files.certificate.display().to_string(), why }),
                });
                judged.map(|(config, about)| (config, about, contents.clone())).map_err(|why| (Some(contents), why))
            }
            Err(why) => Err((None, why)),
        };
        match found {
            Ok((config, about, contents)) => {
                tracing::info!(until = %about.ends.format("%Y-%m-%d"), names = about.named(), "a new certificate is shown from now on");
                for oddity in &about.oddities {
                    tracing::warn!("{} (http.tls_certificate): {oddity}", self.files.certificate.display());
                }
                self.metrics.tls_certificate_ends.set(about.ends.timestamp());
                self.metrics.tls_certificate_refused.set(0);
                self.warned_at.store(0, Ordering::Relaxed);
                *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Shown { config, about, contents, refused: None };
            }
            Err((contents, why)) => self.refuse(contents, why, asked),
        }
        self.warn_of_the_end(now);
    }

    fn is_shown(&self, contents: &Contents) -> bool {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        let same = shown.contents == *contents;
        if same && shown.refused.take().is_some() {
            self.metrics.tls_certificate_refused.set(0);
        }
        same
    }

    fn refuse(&self, contents: Option<Contents>, why: SecuredError, asked: bool) {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        let before = shown.refused.take();
        let again = before.as_ref().is_some_and(|(known, known_why, _)| *known == contents && *known_why == why);
        let was_told = again && before.is_some_and(|(_, _, told)| told);
        let tell = asked || (again && !was_told);
        if tell {
            let until = shown.about.ends.format("%Y-%m-%d");
            tracing::error!("the new certificate is not used: {why}; the one of before is shown on, until {until}");
            self.metrics.tls_certificate_refused.set(1);
        }
        shown.refused = Some((contents, why, was_told || tell));
    }

    fn warn_of_the_end(&self, now: DateTime<Utc>) {
        let ends = {
            let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
            shown.about.ends_soon(now).then_some(shown.about.ends)
        };
        let last = self.warned_at.load(Ordering::Relaxed);
        if let Some(ends) = ends
            && now.timestamp() - last >= WARNED_EVERY_SECONDS
        {
            self.warned_at.store(now.timestamp(), Ordering::Relaxed);
            let path = self.files.certificate.display();
            match ends < now {
                true => tracing::error!("{path} (http.tls_certificate) ended on {}: clients refuse it", ends.format("%Y-%m-%d")),
                false => tracing::warn!("{path} (http.tls_certificate) ends on {}: renew it", ends.format("%Y-%m-%d")),
            }
        }
    }

    /// Reads the files again and again, until `stop` is cancelled.
    pub async fn keep_looking(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let own = Arc::clone(&self);
            // A disk may be slow, or a network share away.
            if let Err(error) = tokio::task::spawn_blocking(move || own.look_again(false)).await {
                tracing::warn!(%error, "the files of the certificate could not be looked at");
            }
        }
    }

    /// Shakes hands; `None` when that came to nothing.
    pub(super) async fn shake_hands(&self, stream: TcpStream, peer: SocketAddr) -> Option<(TlsStream<TcpStream>, Encrypted)> {
        let ends_at = Instant::now() + HANDS_WITHIN;
        let mut first = [0];
        match timeout_at(ends_at, stream.peek(&mut first)).await {
            // Who says nothing at all waits for a first request, or only looks whether somebody is there.
            Err(_) | Ok(Err(_) | Ok(0)) => {
                self.metrics.tls_handshakes.inc(Handshake::Silent);
                return None;
            }
            Ok(Ok(_)) if first != [BEGINS_TLS] => {
                self.metrics.tls_handshakes.inc(Handshake::Plain);
                self.say(peer, "it does not speak TLS: its address must begin with https://");
                let _ = timeout_at(ends_at, refuse_plain(stream)).await;
                return None;
            }
            Ok(Ok(_)) => {}
        }
        let config = Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner).config);
        match timeout_at(ends_at, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => {
                self.metrics.tls_handshakes.inc(Handshake::Done);
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let client = shown.map(|certificate| Arc::new(Client::of(certificate)));
                Some((stream, Encrypted { client, strict_host: self.strict_host.clone() }))
            }
            Ok(Err(error)) => {
                self.metrics.tls_handshakes.inc(Handshake::Failed);
                self.say(peer, &trust::why(&error).unwrap_or_else(|| error.to_string()));
                None
            }
            Err(_) => {
                self.metrics.tls_handshakes.inc(Handshake::Slow);
                None
            }
        }
    }

    fn say(&self, peer: SocketAddr, why: &str) {
        let (now, last) = (self.clock.now().timestamp(), self.told_at.load(Ordering::Relaxed));
        let address = peer.ip().to_canonical();
        if now - last >= TOLD_EVERY_SECONDS
            && self.told_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tracing::warn!(%address, "no connection by TLS with a client: {why}");
        } else {
            tracing::debug!(%address, "no connection by TLS with a client: {why}");
        }
    }
}

/// Tells a client of plain HTTP where it is, in a form that a phone survives.
async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    let text = told("400 Bad Request", "this port speaks TLS: begin the address with https://");
    stream.write_all(&text).await?;
    stream.shutdown().await?;
    let mut scratch = [0; 8 * 1024];
    let rest = async { while matches!(stream.read(&mut scratch).await, Ok(length) if length > 0) {} };
    let _ = timeout(LINGER, rest).await;
    Ok(())
}

impl Files {
    /// What they hold, and the key.
    fn read(&self) -> Result<(Contents, Vec<u8>), SecuredError> {
        let certificate = read(&self.certificate, "http.tls_certificate")?;
        let key = read(&self.key, "http.tls_key")?;
        let client_authority = match &self.client_authority {
            Some(path) => read(path, "http.tls_client_authority")?,
            None => Vec::new(),
        };
        Ok((Contents { certificate, key: secrets::hash_of(&key), client_authority }, key))
    }

    /// What clients are shown with them.
    fn judge(&self, contents: &Contents, key: &[u8]) -> Result<(Arc<ServerConfig>, About), SecuredError> {
        let path = || self.certificate.display().to_string();
        let pair = Pair::read(&contents.certificate, key).map_err(|why| SecuredError::Pair { path: path(), why })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|_| SecuredError::Pair { path: path(), why: PairError::BadKey })?;
        let builder = match &self.client_authority {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let wrong = |why: String| SecuredError::Authority { path: file.display().to_string(), why };
                let (authorities, _) = authorities_in(&contents.client_authority).map_err(|error| wrong(error.to_string()))?;
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority).map_err(|error| wrong(trust::of_tls(&error)))?;
                }
                // Phones and browsers come by the same address, and have none.
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.shown)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((Arc::new(config), pair.about))
    }
}

fn read(path: &Path, key: &'static str) -> Result<Vec<u8>, SecuredError> {
    let unreadable = |why: String| SecuredError::Unreadable { path: path.display().to_string(), key, why };
    // Asked first: to open a pipe would wait for whoever writes into it.
    if !std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.is_file() {
        return Err(unreadable("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_public_name_is_told_to_browsers() {
        let name = |url: &str| public_name(Some(url));
        assert_eq!(name("https://Pager.Example.org/autocall").as_deref(), Some("pager.example.org"));
        assert_eq!(name("https://pager.example.org:8443").as_deref(), Some("pager.example.org"));
        for private in [
            "http://pager.example.org",
            "https://pager",
            "https://localhost",
            "https://10.0.0.1",
            "https://[2001:db8::1]",
            "https://pager.local",
            "https://pager.corp",
            "https://pager.office.internal",
            "https://pager.home.arpa",
        ] {
            assert_eq!(name(private), None, "{private}");
        }
        assert_eq!(public_name(None), None);
        let encrypted = Encrypted { client: None, strict_host: Some("pager.example.org".into()) };
        let told = |host: &'static str| {
            encrypted.strictly(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])).is_some()
        };
        assert!(told("pager.example.org:8443") && told("Pager.Example.Org") && told("pager.example.org."));
        assert!(!told("10.0.0.1:8443") && !told("pager.example.org.evil.example") && !told("localhost"));
    }

    #[test]
    fn a_client_is_meant_by_its_name_or_its_fingerprint() {
        let client =
            Client { fingerprint: "ab12".to_owned(), names: vec!["monitoring".to_owned(), "mon.example.org".to_owned()] };
        assert!(client.is("monitoring") && client.is("MON.example.org"));
        assert!(client.is("sha256:AB:12") && client.is("sha256:ab12"));
        assert!(!client.is("ab12") && !client.is("monitor") && !client.is("") && !client.is("sha256:ab"));
    }
}
