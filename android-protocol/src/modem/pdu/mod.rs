//! Text messages as a SIM holds them and a network carries them (3GPP TS 23.040).

pub mod address;
pub mod alphabet;
pub mod deliver;
pub mod joining;
pub mod report;
pub mod submit;
pub mod user;

use thiserror::Error;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PduError {
    /// It ends before it is whole.
    #[error("the message ends before it is whole")]
    Short,
    /// It is not written in hexadecimal digits.
    #[error("the message is not written in hexadecimal digits")]
    Digits,
    /// It is of another kind, such as one that was sent from here.
    #[error("the message is neither one that came in nor a delivery report")]
    Kind,
    /// The number cannot be written into it.
    #[error("the number cannot be written into a message")]
    Number,
    /// The text is too long.
    #[error("the text needs more than {} parts", submit::MOST_PARTS)]
    TooLong,
}

/// A message that a modem read from its SIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A text.
    Text(deliver::Deliver),
    /// What became of one that was sent from here.
    Report(report::Report),
}

impl Incoming {
    /// Reads a PDU with the address of its service centre before it, as `AT+CMGR` gives it.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(digits: &str) -> Result<Self, PduError> {
        let bytes = bytes(digits)?;
        let mut rest = Octets(&bytes);
        let centre = rest.next()?;
        rest.take(usize::from(centre))?;
        let first = rest.next()?;
        match first & 0x03 {
            0 => deliver::Deliver::read(first, rest).map(Self::Text),
            2 => report::Report::read(rest).map(Self::Report),
            _ => Err(PduError::Kind),
        }
    }
}

/// The bytes of hexadecimal digits.
///
/// # Errors
///
/// If they are none.
pub fn bytes(digits: &str) -> Result<Vec<u8>, PduError> {
    let nibbles: Option<Vec<_>> = digits.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let nibbles = nibbles.ok_or(PduError::Digits)?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    if rest.is_empty() { Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect()) } else { Err(PduError::Digits) }
}

/// The same in digits.
#[must_use]
pub fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes that are read one after the other.
#[derive(Debug, Clone, Copy)]
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn next(&mut self) -> Result<u8, PduError> {
        let (&first, rest) = self.0.split_first().ok_or(PduError::Short)?;
        self.0 = rest;
        Ok(first)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PduError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(PduError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// A time as a service centre writes it: swapped digits, and the zone in quarters of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Year within the century, month, day, hour, minute, second.
    pub fields: [u8; 6],
    /// Minutes east of UTC.
    pub zone_minutes: i16,
}

impl Stamp {
    fn read(rest: &mut Octets<'_>) -> Result<Self, PduError> {
        let bytes = rest.take(7)?;
        let swapped = |byte: u8| (byte & 0x0f) * 10 + (byte >> 4 & 0x0f);
        let mut fields = [0; 6];
        for (field, &byte) in fields.iter_mut().zip(bytes) {
            *field = swapped(byte);
        }
        let zone = bytes.last().copied().unwrap_or(0);
        let quarters = i16::from(swapped(zone & !0x08));
        Ok(Self { fields, zone_minutes: if zone & 0x08 == 0 { quarters * 15 } else { quarters * -15 } })
    }

    fn write(self, bytes: &mut Vec<u8>) {
        let swapped = |value: u8| ((value % 10) << 4) | (value / 10 % 10);
        bytes.extend(self.fields.map(swapped));
        let quarters = u8::try_from(self.zone_minutes.unsigned_abs() / 15).unwrap_or(0);
        bytes.push(swapped(quarters) | if self.zone_minutes < 0 { 0x08 } else { 0 });
    }
}

impl std::fmt::Display for Stamp {
    /// As RFC 3339 writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [year, month, day, hour, minute, second] = self.fields;
        let zone = self.zone_minutes.unsigned_abs();
        let sign = if self.zone_minutes < 0 { '-' } else { '+' };
        write!(f, "20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}", zone / 60, zone % 60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_digits_make_it_panic(text in "[0-9A-Fa-f]{0,200}|.{0,60}") {
            let _ = Incoming::parse(&text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), first in any::<u8>()) {
            // With a service centre and a kind that can be, so that what follows is reached.
            let digits = digits(&[&[0, first & 0xfc], &bytes[..]].concat());
            let _ = Incoming::parse(&digits);
            let _ = Incoming::parse(&digits.replacen("00", "0006", 1));
        }

        #[test]
        fn times_are_read_as_they_are_written(fields in [0_u8..100, 1_u8..13, 1_u8..32, 0_u8..24, 0_u8..60, 0_u8..60], quarters in -48_i16..57) {
            let stamp = Stamp { fields, zone_minutes: quarters * 15 };
            let mut bytes = Vec::new();
            stamp.write(&mut bytes);
            prop_assert_eq!(Stamp::read(&mut Octets(&bytes)), Ok(stamp));
        }
    }
}
