//! Encryption of connections that this server makes.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;

/// Says once for the whole process who does the arithmetic. It is *ring*, the only library for it that is compiled in; reqwest, and what
/// checks the certificate of a database, ask whom the process has chosen.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// So long what was read is taken for what this computer trusts: its operator may add an authority, or take one away.
pub const TRUSTED_FOR: Duration = Duration::from_hours(1);

/// The certificates that this computer trusts, and since when that is known.
static TRUSTED: Mutex<Option<(ClientConfig, Instant)>> = Mutex::new(None);

/// The certificates that this computer trusts, read once an hour: they are some 150, in files, and a client is made for each calendar that
/// is asked for. `None` when they cannot be read; then each client tries again, and says why it could not be made.
fn trusted() -> Option<ClientConfig> {
    let mut trusted = TRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, since)) = trusted.as_ref()
        && since.elapsed() < TRUSTED_FOR
    {
        return Some(known.clone());
    }
    let mut read = ClientConfig::with_platform_verifier().ok()?;
    read.alpn_protocols = vec![b"http/1.1".to_vec()];
    *trusted = Some((read.clone(), Instant::now()));
    Some(read)
}

/// Whose certificate was not trusted may be by what is read anew.
pub fn forget() {
    *TRUSTED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// What connections are made with that do not speak HTTP. `None` when the certificates that this computer trusts cannot be read.
#[must_use]
pub fn of_mail() -> Option<Arc<ClientConfig>> {
    install_provider();
    let mut config = trusted()?;
    config.alpn_protocols.clear();
    Some(Arc::new(config))
}

/// What every HTTP client is made of.
#[expect(clippy::disallowed_methods, reason = "the one place that has chosen before")]
pub fn client() -> reqwest::ClientBuilder {
    install_provider();
    match trusted() {
        Some(trusted) => reqwest::Client::builder().tls_backend_preconfigured(trusted),
        None => reqwest::Client::builder(),
    }
}
