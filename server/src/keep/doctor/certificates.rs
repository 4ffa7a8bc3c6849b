//! Whether the certificates and keys that the configuration names can be read, and until when they hold.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::config::{SecretUrl, postgres_url};
use crate::store::StoreError;

/// A certificate that ends within this time is worth a word.
const SOON: TimeDelta = TimeDelta::days(21);
/// Longest file that is read, in bytes: all authorities that a system trusts are a quarter of it.
const LONGEST: u64 = 1 << 20;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let files = seen.config().database_url.as_ref().map(SecretUrl::expose).map(postgres_url::files).unwrap_or_default();
        let now = seen.clock.now();
        let mut found: Vec<Finding> = files.iter().flat_map(|(parameter, path)| of_file(parameter, path, now)).collect();
        if found.is_empty() {
            found.push(Finding::good("the configuration names no certificates of its own"));
        }
        Ok(found)
    })
}

fn of_file(parameter: &str, path: &str, now: DateTime<Utc>) -> Vec<Finding> {
    let read = || -> std::io::Result<(u32, Vec<u8>)> {
        let file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok((mode, bytes))
    };
    let (mode, bytes) = match read() {
        Ok(read) => read,
        Err(error) => {
            let told = format!("{path} ({parameter} in database_url) cannot be read: {error}");
            return vec![Finding::bad(told, "let the user of the server read it, or correct database_url")];
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
