//! Encryption of connections that this server makes.

use std::sync::{Arc, Once, OnceLock};

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

/// The certificates that this computer trusts, read once: they are some 150, in files, and a client is made for each calendar that is
/// asked for. `None` when they cannot be read; then each client tries again, and says why it could not be made.
fn trusted() -> Option<ClientConfig> {
    static TRUSTED: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(trusted) = TRUSTED.get() {
        return Some(trusted.clone());
    }
    let mut read = ClientConfig::with_platform_verifier().ok()?;
    read.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(TRUSTED.get_or_init(|| read).clone())
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
