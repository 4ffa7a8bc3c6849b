//! Encryption of connections that this server makes.

use std::sync::Once;

/// Says once for the whole process who does the arithmetic. It is *ring*, the only library for it that is compiled in; reqwest, and what
/// checks the certificate of a database, ask whom the process has chosen.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What every HTTP client is made of.
#[expect(clippy::disallowed_methods, reason = "the one place that has chosen before")]
pub fn client() -> reqwest::ClientBuilder {
    install_provider();
    reqwest::Client::builder()
}
