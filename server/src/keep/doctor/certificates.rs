//! Whether the certificates and keys that the configuration names can be read, and until when they hold.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::config::{SecretUrl, TlsConfig, postgres_url};
use crate::lock::address as redis_address;
use crate::net::certificate::{self, Pair};
use crate::store::StoreError;

/// A certificate that ends within this time is worth a word.
const SOON: TimeDelta = TimeDelta::days(21);
/// Longest file that is read, in bytes: all authorities that a system trusts are a quarter of it.
const LONGEST: u64 = 1 << 20;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let config = seen.config();
        let now = seen.clock.now();
        let url = |url: &'_ Option<SecretUrl>| url.as_ref().map(|url| url.expose().to_owned()).unwrap_or_default();
        let (database, redis) = (url(&config.database_url), url(&config.redis_url));
        let of_database = postgres_url::files(&database).into_iter().map(|(parameter, path)| ("database_url", parameter, path));
        let of_redis = redis_address::files(&redis).into_iter().map(|(parameter, path)| ("redis_url", parameter, path));
        let mut found: Vec<Finding> =
            of_database.chain(of_redis).flat_map(|(key, parameter, path)| of_file(key, parameter, &path, now)).collect();
        found.extend(of_server(&config.http.tls, now));
        if found.is_empty() {
            found.push(Finding::good("the configuration names no certificates of its own"));
        }
        Ok(found)
    })
}

/// What is shown on the second address.
fn of_server(tls: &TlsConfig, now: DateTime<Utc>) -> Vec<Finding> {
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        return match tls.listen {
            Some(_) => vec![Finding::bad(
                "http.tls_listen is set, and http.tls_certificate or http.tls_key is not: the server does not start",
                "name both files, or make them with autocall tls make",
            )],
            None => Vec::new(),
        };
    };
    let correct = "let the user of the server read it, or correct the key";
    let mut found = Vec::new();
    let mut read = |path: &Path, key: &str| match read_file(path) {
        Ok(read) => Some(read),
        Err(error) => {
            found.push(Finding::bad(format!("{} (http.{key}) cannot be read: {error}", path.display()), correct));
            None
        }
    };
    let (chain, key_read) = (read(certificate, "tls_certificate"), read(key, "tls_key"));
    let authority = tls.client_authority.as_deref().and_then(|path| Some((path, read(path, "tls_client_authority")?)));
    if let Some((mode, _)) = key_read.as_ref().filter(|(mode, _)| mode & 0o077 != 0) {
        let told = format!("others can read the key {} (mode {:o})", key.display(), mode & 0o777);
        found.push(Finding::warn(told, format!("chmod 600 {}", key.display())));
    }
    if let (Some((_, chain)), Some((_, key_bytes))) = (&chain, &key_read) {
        let path = certificate.display();
        match Pair::read(chain, key_bytes) {
            Err(why) => found.push(Finding::bad(
                format!("{path} (http.tls_certificate) cannot be used: {why}"),
                "correct it: a server that runs shows the one of before, and none starts with this",
            )),
            Ok(pair) => {
                let (day, about) = (pair.about.ends.format("%Y-%m-%d"), pair.about);
                let todo = "renew it; a running server takes it up by itself";
                found.push(match about.holds(now) {
                    Err(why) => Finding::bad(format!("{path} (http.tls_certificate): {why}; clients refuse it"), todo),
                    Ok(()) if about.ends_soon(now) => Finding::warn(format!("{path} (http.tls_certificate) ends on {day}"), todo),
                    Ok(()) => Finding::good(format!("{path} (http.tls_certificate) holds until {day}, for {}", about.named())),
                });
                found.extend(about.oddities.iter().map(|oddity| Finding::warn(format!("{path}: {oddity}"), "see docs/tls.md")));
            }
        }
    }
    if let Some((path, (_, bytes))) = authority {
        found.extend(match certificate::authorities_in(&bytes) {
            Ok(_) => judge(&path.display().to_string(), &ends(&bytes), now),
            Err(why) => vec![Finding::bad(format!("{} (http.tls_client_authority): {why}", path.display()), correct)],
        });
    }
    found
}

/// What a file holds, and who may read it.
fn read_file(path: &Path) -> std::io::Result<(u32, Vec<u8>)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok((mode, bytes))
}

fn of_file(key: &str, parameter: &str, path: &str, now: DateTime<Utc>) -> Vec<Finding> {
    let (mode, bytes) = match read_file(Path::new(path)) {
        Ok(read) => read,
        Err(error) => {
            let told = format!("{path} ({parameter} in {key}) cannot be read: {error}");
            return vec![Finding::bad(told, format!("let the user of the server read it, or correct {key}"))];
        }
    };
    if parameter == "sslkey" {
        return vec![match mode & 0o077 {
            0 => Finding::good(format!("only its owner can read the key {path}")),
            _ => Finding::warn(format!("others can read the key {path}"), format!("chmod 600 {path}")),
        }];
    }
    judge(path, &ends(&bytes), now)
}

/// When the certificates in a file end. One that ended long ago does not matter beside others that hold: authorities stay in their list.
fn judge(path: &str, ends: &[DateTime<Utc>], now: DateTime<Utc>) -> Vec<Finding> {
    let Some(latest) = ends.iter().max() else {
        let told = format!("no certificate can be found in {path}");
        return vec![Finding::warn(told, "see whether it holds certificates in the form PEM")];
    };
    let day = latest.format("%Y-%m-%d");
    let todo = "renew it, and start the server again";
    vec![match *latest - now {
        over if over <= TimeDelta::zero() => Finding::bad(format!("what {path} holds ended on {day}"), todo),
        soon if soon <= SOON => Finding::warn(format!("what {path} holds ends on {day}"), todo),
        _ => Finding::good(format!("what {path} holds ends on {day}")),
    }]
}

/// The ends of all certificates in a file of the form PEM.
fn ends(file: &[u8]) -> Vec<DateTime<Utc>> {
    let text = String::from_utf8_lossy(file);
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|rest| rest.split("-----END").next());
    let bytes = blocks.filter_map(|block| STANDARD.decode(block.split_whitespace().collect::<String>()).ok());
    bytes.filter_map(|certificate| end_of(&certificate)).collect()
}

/// One element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Until when a certificate holds (RFC 5280, section 4.1).
fn end_of(certificate: &[u8]) -> Option<DateTime<Utc>> {
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut signed, _) = element(certificate)?;
    let (tag, _, after_version) = element(signed)?;
    if tag == VERSION {
        signed = after_version;
    }
    // Number, algorithm and issuer stand before it.
    for _ in 0..3 {
        signed = element(signed)?.2;
    }
    let (_, validity, _) = element(signed)?;
    let (_, _, end) = element(validity)?;
    let (tag, text, _) = element(end)?;
    let text = std::str::from_utf8(text).ok()?;
    // Years of two digits are those from 1950 to 2049.
    let text = match tag {
        0x17 if text.get(..2)?.parse::<u8>().ok()? < 50 => format!("20{text}"),
        0x17 => format!("19{text}"),
        0x18 => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok().map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::keep::doctor::Grade;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = match u8::try_from(content.len()).unwrap() {
            short @ 0..=0x7f => vec![short],
            long => vec![0x81, long],
        };
        [vec![tag], length, content.to_vec()].concat()
    }

    fn certificate(version: bool, end: &[u8]) -> Vec<u8> {
        let validity = der(0x30, &[der(0x17, b"200101000000Z"), end.to_vec()].concat());
        let before = [der(0x02, &[7]), der(0x30, &[0; 120]), der(0x30, &[])].concat();
        let signed = [if version { der(0xa0, &der(0x02, &[2])) } else { vec![] }, before, validity, der(0x30, &[9])].concat();
        der(0x30, &[der(0x30, &signed), der(0x30, &[])].concat())
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        assert_eq!(end_of(&certificate(true, &der(0x17, b"310203040506Z"))), at("2031-02-03T04:05:06Z"));
        assert_eq!(end_of(&certificate(false, &der(0x17, b"991231235959Z"))), at("1999-12-31T23:59:59Z"));
        assert_eq!(end_of(&certificate(true, &der(0x18, b"20510203040506Z"))), at("2051-02-03T04:05:06Z"));
        assert_eq!(end_of(&certificate(true, &der(0x16, b"20510203040506Z"))), None);
        let one = |end: &[u8]| {
            let text = STANDARD.encode(certificate(true, &der(0x17, end)));
            let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("a name\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\r\n"))
        };
        let file = format!("{}{}", one(b"310203040506Z"), one(b"300203040506Z"));
        assert_eq!(ends(file.as_bytes()).len(), 2);
        assert!(ends(b"-----BEGIN CERTIFICATE-----\n!\n-----END").is_empty());
    }

    #[test]
    fn what_is_shown_by_tls_is_judged() {
        use crate::net::authority::{Authority, CERTIFICATE_DAYS, Holder, new_authority};
        let (folder, now) = (tempfile::tempdir().unwrap(), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let made = new_authority("test", now.date_naive()).unwrap();
        let authority = Authority::read(&made.certificate, &made.key, now).unwrap();
        let signed = authority.sign(Holder::Server, &["pager".to_owned()], now.date_naive()).unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Some(path)
        };
        let tls = TlsConfig {
            listen: Some(std::net::SocketAddr::from(([0, 0, 0, 0], 8443))),
            certificate: file("pem", &signed.certificate, 0o644),
            key: file("key", &signed.key, 0o600),
            client_authority: file("clients", &made.certificate, 0o644),
        };
        let grades = |tls: &TlsConfig, days: i64| {
            let found = of_server(tls, now + TimeDelta::days(days));
            found.into_iter().map(|found| found.grade).collect::<Vec<_>>()
        };
        assert_eq!(grades(&tls, 0), [Grade::Good, Grade::Good]);
        assert_eq!(grades(&tls, CERTIFICATE_DAYS - 10), [Grade::Warn, Grade::Good]);
        assert_eq!(grades(&tls, CERTIFICATE_DAYS + 1), [Grade::Bad, Grade::Good]);
        file("key", &signed.key, 0o644);
        assert_eq!(grades(&tls, 0), [Grade::Warn, Grade::Good, Grade::Good], "others can read the key");
        file("key", &made.key, 0o600);
        assert_eq!(grades(&tls, 0), [Grade::Bad, Grade::Good], "it is of another pair");
        file("clients", "", 0o644);
        assert_eq!(grades(&tls, 0), [Grade::Bad, Grade::Bad]);
        assert_eq!(grades(&TlsConfig { key: None, ..tls }, 0), [Grade::Bad]);
        assert_eq!(grades(&TlsConfig::default(), 0), []);
    }

    #[test]
    fn certificates_are_judged_by_the_one_that_holds_longest() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let grade = |days: &[i64]| {
            let ends: Vec<DateTime<Utc>> = days.iter().map(|days| now + TimeDelta::days(*days)).collect();
            judge("x", &ends, now)[0].grade
        };
        assert_eq!((grade(&[22]), grade(&[21]), grade(&[0]), grade(&[])), (Grade::Good, Grade::Warn, Grade::Bad, Grade::Warn));
        assert_eq!(grade(&[-400, 90]), Grade::Good);
    }

    proptest! {
        #[test]
        fn nothing_that_is_no_certificate_is_taken_badly(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = end_of(&bytes);
            let _ = ends(&bytes);
        }
    }
}
