//! Why a certificate is not trusted, or a connection not encrypted, in words for whoever has to put it right.
//!
//! Libraries hand such an error on inside others, each in its own way. Here it is found wherever it is, and said once.

use std::error::Error;
use std::io;

use chrono::DateTime;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// Errors lie in each other no deeper than this.
const DEEPEST: usize = 16;

/// What the other side of a connection shows or says, where that is why there is none; `None` where the error is of something else.
#[must_use]
pub fn why(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    for _ in 0..DEEPEST {
        let error = cause?;
        if let Some(found) = error.downcast_ref::<TlsError>() {
            return Some(of_tls(found));
        }
        // What an error of I/O was made of is not its source, but the source's source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The same for one error of the library.
#[must_use]
pub fn of_tls(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(error) => of_certificate(error),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => "it wants a certificate of the client".to_owned(),
        TlsError::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        ) => "it does not trust the certificate that it was shown".to_owned(),
        TlsError::AlertReceived(AlertDescription::CertificateExpired) => {
            "it says that the certificate that it was shown has ended".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) | TlsError::PeerIncompatible(_) => {
            "it speaks only older forms of TLS than 1.2, or none that both know".to_owned()
        }
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => "it does not speak TLS".to_owned(),
        TlsError::NoCertificatesPresented => "it shows no certificate".to_owned(),
        error => error.to_string(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "its certificate was signed by no authority that is trusted here, or the certificates between are missing".to_owned()
        }
        CertificateError::Expired => "its certificate has ended".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("its certificate ended on {}", day(*not_after)),
        CertificateError::NotValidYet => "its certificate does not hold yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate holds only from {} on", day(*not_before))
        }
        CertificateError::NotValidForName => "its certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => match presented.as_slice() {
            [] => format!("its certificate names nobody (subjectAltName), so not {} either", expected.to_str()),
            names => format!("its certificate is for {}, and not for {}", named(names), expected.to_str()),
        },
        CertificateError::BadSignature => {
            "its certificate was not signed by the authority of that name that is trusted here".to_owned()
        }
        CertificateError::Revoked => "its certificate was taken back".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is for another purpose".to_owned()
        }
        CertificateError::BadEncoding => "its certificate cannot be read".to_owned(),
        error if format!("{error:?}").contains("CaUsedAsEndEntity") => {
            "it shows the certificate of an authority instead of one of its own (CaUsedAsEndEntity)".to_owned()
        }
        error => format!("its certificate is not taken ({error})"),
    }
}

/// A few names; a certificate may hold hundreds.
fn named(names: &[String]) -> String {
    const MOST: usize = 5;
    // As the library writes them: `DnsName("a")`, `IpAddress(10.0.0.1)`.
    let plain =
        |name: &String| name.split_once('(').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')')).replace('"', "");
    let told: Vec<String> = names.iter().take(MOST).map(plain).collect();
    let more = if names.len() > MOST { " and others" } else { "" };
    format!("{}{more}", told.join(", "))
}

fn day(at: UnixTime) -> String {
    let at = i64::try_from(at.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    at.map_or_else(|| "a day of no calendar".to_owned(), |at| at.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_cause_is_found_wherever_it_lies() {
        let unknown = || TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let inside = io::Error::new(io::ErrorKind::InvalidData, unknown());
        let deeper = io::Error::other(inside);
        assert!(why(&deeper).unwrap().contains("no authority that is trusted here"));
        assert!(why(&unknown()).unwrap().contains("no authority"));
        assert_eq!(why(&io::Error::other("something else")), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let ended = CertificateError::ExpiredContext { time: at(1_800_000_000), not_after: at(1_700_000_000) };
        assert_eq!(of_certificate(&ended), "its certificate ended on 2023-11-14");
        let early = CertificateError::NotValidYetContext { time: at(1_600_000_000), not_before: at(1_700_000_000) };
        assert_eq!(of_certificate(&early), "its certificate holds only from 2023-11-14 on");
        let other = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: "db.example.org".try_into().unwrap(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(
            of_certificate(&other(&[r#"DnsName("localhost")"#, "IpAddress(10.0.0.1)"])),
            "its certificate is for localhost, 10.0.0.1, and not for db.example.org"
        );
        assert!(of_certificate(&other(&[])).contains("names nobody"));
        assert_eq!(of_certificate(&other(&["a", "b", "c", "d", "e", "f"])).matches("others").count(), 1);
    }
}
