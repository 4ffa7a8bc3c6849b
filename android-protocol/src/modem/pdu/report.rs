//! What became of a message that was sent from here.

use super::{Octets, PduError, Stamp, address, digits};

/// A delivery report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The number that the modem gave the message when it was sent.
    pub reference: u8,
    /// Whom it was for.
    pub to: String,
    /// When that was decided.
    pub at: Stamp,
    /// How it stands, by the network's number for it (3GPP TS 23.040, section 9.2.3.15).
    pub status: u8,
}

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is on the phone.
    Delivered,
    /// The network still tries.
    Trying,
    /// It will not come.
    Failed,
}

impl Report {
    pub(super) fn read(mut rest: Octets<'_>) -> Result<Self, PduError> {
        let reference = rest.next()?;
        let to = address::read(&mut rest)?;
        Stamp::read(&mut rest)?;
        let at = Stamp::read(&mut rest)?;
        Ok(Self { reference, to, at, status: rest.next()? })
    }

    /// How the message stands.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self.status {
            0..=31 => Fate::Delivered,
            32..=63 => Fate::Trying,
            _ => Fate::Failed,
        }
    }

    /// The report as a SIM holds it, for simulators.
    ///
    /// # Errors
    ///
    /// If the number cannot be written.
    pub fn to_digits(&self) -> Result<String, PduError> {
        let mut bytes = vec![0, 0x06, self.reference];
        address::write(&self.to, &mut bytes)?;
        self.at.write(&mut bytes);
        self.at.write(&mut bytes);
        bytes.push(self.status);
        Ok(digits(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modem::pdu::Incoming;

    #[test]
    fn every_fate() {
        for (status, fate) in
            [(0, Fate::Delivered), (31, Fate::Delivered), (48, Fate::Trying), (64, Fate::Failed), (99, Fate::Failed)]
        {
            let at = Stamp { fields: [26, 11, 28, 13, 0, 0], zone_minutes: 480 };
            let report = Report { reference: 42, to: "+8613900000001".into(), at, status };
            let read = report.to_digits().and_then(|digits| Incoming::parse(&digits));
            assert_eq!(read, Ok(Incoming::Report(report.clone())));
            assert_eq!(report.fate(), fate);
        }
    }
}
