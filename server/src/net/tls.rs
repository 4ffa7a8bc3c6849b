//! Encryption of connections that this server makes.

use std::sync::Once;

/// Says once for the whole process who does the arithmetic. Two libraries bring one each, and where nobody has chosen, checking the
/// certificate of a database ends the process.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
