//! A certificate, those above it, and its key, as files hold them: what is wrong with them, in words, and until when they hold.
//!
//! Everything is judged here before a client is shown any of it: bytes in, a pair or a sentence out.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// When less than this is left of a certificate, somebody is told.
pub const SOON: TimeDelta = TimeDelta::days(14);
/// Certificates in one file at most: chains have two or three, lists of authorities some 150.
const MOST: usize = 1_000;
/// Names of a certificate that are remembered: they are shown, and compared with those of keys.
const MOST_NAMES: usize = 100;

/// Why a certificate and its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// There is none in the file.
    #[error("the file of the certificate holds none in the form PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// One of them is none.
    #[error("certificate number {0} in the file is broken")]
    Broken(usize),
    /// There is no key in the file.
    #[error("the file of the key holds none in the form PEM (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// It is locked with a password.
    #[error(
        "the key is encrypted with a password, which nobody can type at a start: write it without one (openssl pkey -in KEY -out \
         PLAIN), readable by the server alone"
    )]
    EncryptedKey,
    /// It is none, or of a kind that is not spoken.
    #[error("the key cannot be used: it has to be RSA of 2048 bits or more, ECDSA (P-256 or P-384), or Ed25519")]
    BadKey,
    /// It belongs to something else.
    #[error("the key is not that of the certificate: they are of two pairs")]
    OtherKey,
    /// The next one bears the right name and is not the one.
    #[error(
        "certificate number {0} bears the name of the authority that signed another of the file, and did not sign it: an old \
         one was left there"
    )]
    NotSigned(usize),
    /// It is over.
    #[error("the certificate ended on {}", .0.format("%Y-%m-%d"))]
    Ended(DateTime<Utc>),
    /// It does not hold yet.
    #[error("the certificate holds only from {} on", .0.format("%Y-%m-%d %H:%M UTC"))]
    NotYet(DateTime<Utc>),
}

/// What is odd about a pair that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// They stand in another order than they are sent.
    #[error(
        "the certificates stand in the wrong order: the server's own has to be first, then the one that signed it, and so on; \
         they are sent in the right one"
    )]
    Order,
    /// Some belong to nothing.
    #[error("the file holds certificates that do not belong to the server's own: they are not sent")]
    Strangers,
    /// It names nobody.
    #[error("the certificate names no host and no address (subjectAltName): browsers and phones refuse it")]
    Nameless,
    /// It is an authority's.
    #[error("the certificate is one of an authority: some programs refuse it for a server")]
    Authority,
}

/// What is known of a certificate and those above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The hosts and addresses that it is for.
    pub names: Vec<String>,
    /// From when on it holds.
    pub begins: DateTime<Utc>,
    /// Until when: it, and those that are sent with it.
    pub ends: DateTime<Utc>,
    /// What is odd about it.
    pub oddities: Vec<Oddity>,
}

impl About {
    /// Whether it holds now.
    ///
    /// # Errors
    /// When it is over, or not yet.
    pub fn holds(&self, now: DateTime<Utc>) -> Result<(), PairError> {
        if now > self.ends {
            return Err(PairError::Ended(self.ends));
        }
        if now < self.begins {
            return Err(PairError::NotYet(self.begins));
        }
        Ok(())
    }

    /// Its first names, for people: there may be many.
    #[must_use]
    pub fn named(&self) -> String {
        const MOST: usize = 12;
        let more = if self.names.len() > MOST { ", …" } else { "" };
        let told: Vec<&str> = self.names.iter().take(MOST).map(String::as_str).collect();
        format!("{}{more}", told.join(", "))
    }

    /// Whether somebody should see to it.
    #[must_use]
    pub fn ends_soon(&self, now: DateTime<Utc>) -> bool {
        self.ends - now < SOON
    }
}

/// A certificate, those above it in their order, and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    /// For whoever shakes hands.
    pub shown: Arc<CertifiedKey>,
    /// What is known of it.
    pub about: About,
}

impl Pair {
    /// Reads what two files hold. Whether it holds now is for [`About::holds`] to say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(certificates: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain = certificates_in(certificates)?;
        let parsed = parsed(&chain)?;
        let key = any_supported_type(&key_in(key)?).map_err(|_| PairError::BadKey)?;
        let public = key.public_key().ok_or(PairError::BadKey)?;
        let is_own = |one: &X509Certificate<'_>| one.tbs_certificate.subject_pki.raw == &public[..];
        let own = parsed.iter().position(is_own).ok_or(PairError::OtherKey)?;
        let order = in_order(&parsed, own)?;
        let about = about(&parsed, &order);
        let sent = order.iter().filter_map(|place| chain.get(*place).cloned()).collect();
        Ok(Self { shown: Arc::new(CertifiedKey::new(sent, key)), about })
    }
}

/// The certificates in a file of the form PEM; what else stands there is left alone.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn certificates_in(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, PairError> {
    let mut found = Vec::new();
    for one in CertificateDer::pem_slice_iter(file).take(MOST) {
        found.push(one.map_err(|_| PairError::Broken(found.len() + 1))?);
    }
    if found.is_empty() { Err(PairError::NoCertificate) } else { Ok(found) }
}

fn parsed<'c>(chain: &'c [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'c>>, PairError> {
    let numbered = chain.iter().zip(1..);
    let read = numbered.map(|(der, number)| match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(PairError::Broken(number)),
    });
    read.collect()
}

fn key_in(file: &[u8]) -> Result<PrivateKeyDer<'static>, PairError> {
    // Both forms of it: PKCS #8 in its first line, and the older one in a header.
    let is_encrypted = String::from_utf8_lossy(file).lines().any(|line| {
        (line.starts_with("-----BEGIN ") && line.contains("ENCRYPTED"))
            || (line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
    });
    if is_encrypted {
        return Err(PairError::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(file).map_err(|error| match error {
        PemError::NoItemsFound => PairError::NoKey,
        _ => PairError::BadKey,
    })
}

/// The places of a certificate and of those above it, each signed by the next.
fn in_order(all: &[X509Certificate<'_>], own: usize) -> Result<Vec<usize>, PairError> {
    let mut order = vec![own];
    let mut last = all.get(own);
    while let Some(one) = last {
        // An authority of its own has nobody above it.
        if one.subject().as_raw() == one.issuer().as_raw() {
            break;
        }
        let above = |place: &usize| {
            !order.contains(place) && all.get(*place).is_some_and(|other| other.subject().as_raw() == one.issuer().as_raw())
        };
        let named: Vec<usize> = (0..all.len()).filter(above).collect();
        // Of several of one name, such as an old one and a new one, it is the one that signed.
        let signer = named.iter().copied().find(|place| all.get(*place).is_some_and(|other| signed(one, other)));
        match (signer, named.first()) {
            (Some(place), _) => order.push(place),
            (None, Some(place)) => return Err(PairError::NotSigned(place + 1)),
            (None, None) => break,
        }
        last = order.last().and_then(|place| all.get(*place));
    }
    Ok(order)
}

/// Whether one was signed by the key of another. What cannot be computed here is believed: clients may know how.
fn signed(one: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    matches!(one.verify_signature(Some(by.public_key())), Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm))
}

fn about(all: &[X509Certificate<'_>], order: &[usize]) -> About {
    let sent: Vec<&X509Certificate<'_>> = order.iter().filter_map(|place| all.get(*place)).collect();
    // Whoever trusts an authority looks into their own copy of it.
    let judged = sent.iter().enumerate().filter(|(place, one)| *place == 0 || one.subject().as_raw() != one.issuer().as_raw());
    let times: Vec<(DateTime<Utc>, DateTime<Utc>)> = judged.map(|(_, one)| (begin_of(one), end_of(one))).collect();
    let names = sent.first().map(|own| names_of(own)).unwrap_or_default();
    let oddities = [
        (order.iter().zip(0..).any(|(place, wanted)| *place != wanted), Oddity::Order),
        (order.len() < all.len(), Oddity::Strangers),
        (names.is_empty(), Oddity::Nameless),
        (sent.first().is_some_and(|own| own.is_ca()), Oddity::Authority),
    ];
    About {
        names,
        begins: times.iter().map(|(begins, _)| *begins).max().unwrap_or(DateTime::<Utc>::MAX_UTC),
        ends: times.iter().map(|(_, ends)| *ends).min().unwrap_or(DateTime::<Utc>::MIN_UTC),
        oddities: oddities.into_iter().filter(|(is_so, _)| *is_so).map(|(_, oddity)| oddity).collect(),
    }
}

fn begin_of(one: &X509Certificate<'_>) -> DateTime<Utc> {
    DateTime::from_timestamp(one.validity().not_before.timestamp(), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn end_of(one: &X509Certificate<'_>) -> DateTime<Utc> {
    DateTime::from_timestamp(one.validity().not_after.timestamp(), 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The hosts, addresses, mailboxes and URIs that a certificate is for.
fn names_of(one: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = one.subject_alternative_name() else { return Vec::new() };
    let read = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|four| IpAddr::from(four).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|sixteen| IpAddr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    });
    read.take(MOST_NAMES).collect()
}

/// Who somebody is that showed a certificate: the names in it, its subject's first. A handshake has proved that it is theirs.
#[must_use]
pub fn names_of_client(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, read)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let subject = read.subject().iter_common_name().filter_map(|name| name.as_str().ok().map(str::to_owned));
    let mut names: Vec<String> = subject.take(1).collect();
    names.extend(names_of(&read));
    names
}

/// The authorities that a file holds, and until when the last of them holds.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn authorities_in(file: &[u8]) -> Result<(Vec<CertificateDer<'static>>, DateTime<Utc>), PairError> {
    let all = certificates_in(file)?;
    let ends = parsed(&all)?.iter().map(end_of).max().unwrap_or(DateTime::<Utc>::MIN_UTC);
    Ok((all, ends))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

    struct Made {
        pem: String,
        key: KeyPair,
        params: CertificateParams,
    }

    /// A certificate of this name: an authority's, or for a host; signed by another, or by itself.
    fn made(name: &str, is_authority: bool, by: Option<&Made>, until: i32) -> Made {
        let mut params = CertificateParams::new(if is_authority { vec![] } else { vec![name.to_owned()] }).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(until, 1, 1));
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match by {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Made { pem: certificate.pem(), key, params }
    }

    fn read(certificates: &[&Made], key: &Made) -> Result<Pair, PairError> {
        let file: String = certificates.iter().map(|one| one.pem.as_str()).collect();
        Pair::read(file.as_bytes(), key.key.serialize_pem().as_bytes())
    }

    fn at(year: i32) -> DateTime<Utc> {
        chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc()
    }

    #[test]
    fn a_chain_is_sent_in_its_order_whatever_order_it_stands_in() {
        let root = made("root", true, None, 2036);
        let middle = made("middle", true, Some(&root), 2031);
        let own = made("pager.example.org", false, Some(&middle), 2033);
        let right = read(&[&own, &middle, &root], &own).unwrap();
        assert_eq!(
            (right.about.oddities.as_slice(), right.about.names.as_slice()),
            (&[][..], &["pager.example.org".to_owned()][..])
        );
        assert_eq!((right.about.begins, right.about.ends), (at(2026), at(2031)), "the one above ends before it");
        for order in [[&root, &middle, &own], [&middle, &own, &root], [&own, &root, &middle]] {
            let mended = read(&order, &own).unwrap();
            assert_eq!(mended.shown.cert, right.shown.cert);
            assert_eq!(mended.about.oddities, [Oddity::Order]);
        }
        let stranger = made("stranger", true, None, 2036);
        assert_eq!(read(&[&own, &stranger, &middle], &own).unwrap().about.oddities, [Oddity::Order, Oddity::Strangers]);
    }

    #[test]
    fn an_old_authority_of_the_same_name_is_told_from_the_one_that_signed() {
        let (old, new) = (made("authority", true, None, 2030), made("authority", true, None, 2036));
        let own = made("pager.example.org", false, Some(&new), 2028);
        assert_eq!(read(&[&own, &old, &new], &own).unwrap().shown.cert.len(), 2);
        assert_eq!(read(&[&own, &old], &own).unwrap_err(), PairError::NotSigned(2));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let root = made("root", true, None, 2036);
        let (own, other) = (made("a.example.org", false, Some(&root), 2028), made("b.example.org", false, Some(&root), 2028));
        let refused = |certificates: &str, key: &str| Pair::read(certificates.as_bytes(), key.as_bytes()).unwrap_err();
        let key = own.key.serialize_pem();
        assert_eq!(refused(&own.pem, &other.key.serialize_pem()), PairError::OtherKey);
        assert_eq!(refused("", &key), PairError::NoCertificate);
        assert_eq!(refused(&key, &key), PairError::NoCertificate);
        assert_eq!(refused(&own.pem, &own.pem), PairError::NoKey);
        assert_eq!(refused(&own.pem.replace("MII", "!!!"), &key), PairError::Broken(1));
        let cut: String = own.pem.lines().take(4).map(|line| format!("{line}\n")).collect();
        assert_eq!(refused(&format!("{}{cut}", own.pem), &key), PairError::Broken(2));
        let short = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(short, &key), PairError::Broken(1));
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert_eq!(refused(&own.pem, &locked), PairError::EncryptedKey);
        let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(refused(&own.pem, older), PairError::EncryptedKey);
        assert_eq!(refused(&own.pem, "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), PairError::BadKey);
    }

    #[test]
    fn it_holds_between_its_days() {
        let own = made("pager.example.org", false, None, 2028);
        let about = read(&[&own], &own).unwrap().about;
        assert_eq!(about.holds(at(2027)), Ok(()));
        assert_eq!(about.holds(at(2029)), Err(PairError::Ended(at(2028))));
        assert_eq!(about.holds(at(2025)), Err(PairError::NotYet(at(2026))));
        assert!(!about.ends_soon(at(2028) - SOON));
        assert!(about.ends_soon(at(2028) - SOON + TimeDelta::seconds(1)) && about.ends_soon(at(2030)));
    }

    #[test]
    fn oddities_are_told() {
        let authority = made("authority", true, None, 2036);
        assert_eq!(read(&[&authority], &authority).unwrap().about.oddities, [Oddity::Nameless, Oddity::Authority]);
        let client = made("monitoring", false, Some(&authority), 2036);
        let der = certificates_in(client.pem.as_bytes()).unwrap();
        assert_eq!(names_of_client(&der[0]), ["monitoring", "monitoring"]);
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..900_usize) {
            let own = made("pager.example.org", false, None, 2028);
            let _ = Pair::read(&bytes, &bytes);
            let mut file = own.pem.clone().into_bytes();
            file.truncate(cut);
            file.extend(&bytes);
            let _ = Pair::read(&file, own.key.serialize_pem().as_bytes());
        }
    }
}
