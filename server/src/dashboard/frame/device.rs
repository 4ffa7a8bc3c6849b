//! Knows a browser again from which somebody has logged in before, so that others who guess at their name do not slow them down.
//!
//! The cookie proves no more than that: it lets nobody in. It is made for one name, and each browser's is another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::secrets;
use crate::store::{Store, StoreError};

/// Holds the proof.
pub(in crate::dashboard) const COOKIE: &str = "autocall_device";
/// For so many seconds a browser is known.
pub(in crate::dashboard) const LASTS: i64 = 365 * 24 * 3600;
/// Under this name the key is kept in the database.
const SECRET: &str = "login devices";

/// Makes proofs and reads them again.
pub(in crate::dashboard) struct Devices {
    key: Vec<u8>,
}

impl Devices {
    /// With the installation's key; the first node makes it.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::dashboard) async fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { key: store.signing_key(SECRET).await? })
    }

    /// A cookie for a browser from which this user has just logged in.
    pub(in crate::dashboard) fn cookie(&self, name: &str) -> String {
        let device = secrets::random::<16>();
        format!("{device}.{}", self.proof(&device, name))
    }

    /// Which browser of this user's it is; `None` when the cookie is not ours, or another's.
    pub(in crate::dashboard) fn read<'c>(&self, cookie: &'c str, name: &str) -> Option<&'c str> {
        let (device, proof) = cookie.split_once('.')?;
        bool::from(self.proof(device, name).as_bytes().ct_eq(proof.as_bytes())).then_some(device)
    }

    fn proof(&self, device: &str, name: &str) -> String {
        // A key of any length is fine for HMAC, so this cannot fail.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        let mac = mac.chain_update(device).chain_update([0]).chain_update(name);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_one_name_and_cannot_be_bent() {
        let devices = Devices { key: vec![7; 32] };
        let cookie = devices.cookie("lin");
        assert_eq!(devices.read(&cookie, "lin"), cookie.split('.').next());
        assert_ne!(devices.cookie("lin"), cookie, "each browser has its own");
        assert_eq!(devices.read(&cookie, "mia"), None);
        assert_eq!(Devices { key: vec![8; 32] }.read(&cookie, "lin"), None, "another installation's");
        for bent in ["", ".", "x.y", &cookie[1..], &format!("{cookie}x")] {
            assert_eq!(devices.read(bent, "lin"), None, "{bent}");
        }
    }
}
