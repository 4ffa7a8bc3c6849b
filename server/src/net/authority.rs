//! A private authority, and what it signs: certificates for networks in which no public authority can prove who a server is.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::certificate::{PairError, authorities_in};

/// For so long an authority holds: everybody has to be given the next one by hand.
const AUTHORITY_DAYS: i64 = 3650;
/// For so long a certificate holds. Some systems take none for longer than 825 days, also of authorities of one's own.
pub const CERTIFICATE_DAYS: i64 = 397;

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A name is none.
    #[error("{0:?} is no host name and no address: letters, digits, dots and hyphens")]
    Name(String),
    /// The authority is over.
    #[error("the authority ended on {}: make another one, and give it to everybody who trusted this one", .0.format("%Y-%m-%d"))]
    Ended(DateTime<Utc>),
    /// Its certificate cannot be used.
    #[error("its certificate cannot be used: {0}")]
    Certificate(#[from] PairError),
    /// Its key cannot be used, or nothing could be signed.
    #[error("its key cannot be used: {0}")]
    Key(#[from] rcgen::Error),
}

/// Two texts in the form PEM.
#[derive(Clone, Debug)]
pub struct Written {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever is called.
    Server,
    /// Whoever calls.
    Client,
}

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Until when it holds.
    pub ends: DateTime<Utc>,
}

/// A new authority of this name, from today on.
///
/// # Errors
/// When no key can be made.
pub fn new_authority(name: &str, today: NaiveDate) -> Result<Written, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    holds(&mut params, today, today + TimeDelta::days(AUTHORITY_DAYS));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Written { certificate: certificate.pem(), key: key.serialize_pem() })
}

impl Authority {
    /// One that was made before.
    ///
    /// # Errors
    /// When it cannot be read, or is over.
    pub fn read(certificate: &str, key: &str, now: DateTime<Utc>) -> Result<Self, AuthorityError> {
        let (_, ends) = authorities_in(certificate.as_bytes())?;
        if ends < now {
            return Err(AuthorityError::Ended(ends));
        }
        // That both belong together is found out here: what it signs would be of another otherwise.
        super::certificate::Pair::read(certificate.as_bytes(), key.as_bytes())?;
        let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?;
        Ok(Self { issuer, ends })
    }

    /// Signs a new certificate with a new key, for these names and addresses, from today on.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn sign(&self, holder: Holder, names: &[String], today: NaiveDate) -> Result<Written, AuthorityError> {
        if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
            return Err(AuthorityError::Name(wrong.clone()));
        }
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = called(names.first().map(String::as_str).unwrap_or_default());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match holder {
            Holder::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Holder::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        // Nothing holds longer than who signed it.
        holds(&mut params, today, (today + TimeDelta::days(CERTIFICATE_DAYS)).min(self.ends.date_naive()));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Written { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// From the day before on: clocks of phones go wrong, and days begin elsewhere first.
fn holds(params: &mut CertificateParams, today: NaiveDate, until: NaiveDate) {
    let small = |number: u32| u8::try_from(number).unwrap_or(1);
    let day = |date: NaiveDate| date_time_ymd(date.year(), small(date.month()), small(date.day()));
    (params.not_before, params.not_after) = (day(today.pred_opt().unwrap_or(today)), day(until));
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let host = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<std::net::IpAddr>().is_ok() || (name.len() <= 253 && host.split('.').all(label))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use crate::net::certificate::Pair;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2028, 2, 29).unwrap()
    }

    fn at(date: NaiveDate) -> DateTime<Utc> {
        date.and_hms_opt(0, 0, 0).unwrap().and_utc()
    }

    #[test]
    fn what_an_authority_signs_is_whole_also_a_year_later() {
        let made = new_authority("autocall of pager", today()).unwrap();
        let names = ["pager".to_owned(), "192.168.1.5".to_owned(), "fd00::5".to_owned()];
        for later in [0, 300] {
            let day = today() + TimeDelta::days(later);
            let authority = Authority::read(&made.certificate, &made.key, at(day)).unwrap();
            let signed = authority.sign(Holder::Server, &names, day).unwrap();
            let file = format!("{}{}", signed.certificate, made.certificate);
            let pair = Pair::read(file.as_bytes(), signed.key.as_bytes()).unwrap();
            assert_eq!((pair.shown.cert.len(), pair.about.names.as_slice()), (2, &names[..]), "the authority has signed it");
            assert_eq!(pair.about.oddities, []);
            assert_eq!(pair.about.ends, at(day + TimeDelta::days(CERTIFICATE_DAYS)));
            assert_eq!(pair.about.holds(at(day)), Ok(()));
        }
    }

    #[test]
    fn nothing_holds_longer_than_its_authority() {
        let made = new_authority("x", today()).unwrap();
        let last = today() + TimeDelta::days(AUTHORITY_DAYS - 30);
        let authority = Authority::read(&made.certificate, &made.key, at(last)).unwrap();
        let signed = authority.sign(Holder::Client, &["monitoring".to_owned()], last).unwrap();
        let about = Pair::read(signed.certificate.as_bytes(), signed.key.as_bytes()).unwrap().about;
        assert_eq!(about.ends, at(today() + TimeDelta::days(AUTHORITY_DAYS)));
        let over = Authority::read(&made.certificate, &made.key, at(last + TimeDelta::days(31)));
        assert!(matches!(over, Err(AuthorityError::Ended(_))));
    }

    #[test]
    fn what_is_no_authority_or_no_name_is_refused() {
        let (one, other) = (new_authority("x", today()).unwrap(), new_authority("x", today()).unwrap());
        let mixed = Authority::read(&one.certificate, &other.key, at(today()));
        assert!(matches!(mixed, Err(AuthorityError::Certificate(PairError::OtherKey))));
        let authority = Authority::read(&one.certificate, &one.key, at(today())).unwrap();
        for wrong in ["", "a b", "https://pager", "päger", "a..b", "pager:8443", "*"] {
            let refused = authority.sign(Holder::Server, &[wrong.to_owned()], today());
            assert!(matches!(refused, Err(AuthorityError::Name(_))), "{wrong}");
        }
        assert!(authority.sign(Holder::Server, &["*.example.org".to_owned()], today()).is_ok());
    }
}
