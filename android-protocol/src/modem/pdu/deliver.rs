//! Messages that came in.

use super::{
    Octets, PduError, Stamp, address,
    alphabet::septets,
    digits,
    user::{self, Coding, Part},
};

/// A message, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// Who sent it: a number, or a name.
    pub from: String,
    /// When the service centre got it.
    pub at: Stamp,
    /// What it says.
    pub text: String,
    /// Which part it is, if there are several.
    pub part: Option<Part>,
}

impl Deliver {
    pub(super) fn read(first: u8, mut rest: Octets<'_>) -> Result<Self, PduError> {
        let from = address::read(&mut rest)?;
        // Another protocol makes it no other text.
        rest.next()?;
        let coding = Coding::of(rest.next()?);
        let at = Stamp::read(&mut rest)?;
        let length = rest.next()?;
        let (text, part) = user::read(length, rest.rest(), coding, first & 0x40 != 0);
        Ok(Self { from, at, text, part })
    }

    /// The message as a SIM holds it, for simulators.
    ///
    /// # Errors
    ///
    /// If the sender cannot be written, or the text does not fit into one part.
    pub fn to_digits(&self) -> Result<String, PduError> {
        let coding = if septets(&self.text).is_some() { Coding::Gsm7 } else { Coding::Ucs2 };
        let mut bytes = vec![0, if self.part.is_some() { 0x44 } else { 0x04 }];
        address::write(&self.from, &mut bytes)?;
        bytes.extend([0, coding.scheme()]);
        self.at.write(&mut bytes);
        user::write(&self.text, coding, self.part, &mut bytes)?;
        Ok(digits(&bytes))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::modem::pdu::Incoming;

    fn read(digits: &str) -> Deliver {
        match Incoming::parse(digits).unwrap() {
            Incoming::Text(text) => text,
            Incoming::Report(report) => panic!("{report:?}"),
        }
    }

    #[test]
    fn a_message_of_the_literature() {
        let text = read("07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07");
        assert_eq!((text.from.as_str(), text.text.as_str(), text.part), ("+31641600986", "How are you?", None));
        assert_eq!(text.at.to_string(), "2002-08-26T19:37:41+00:00");
    }

    #[test]
    fn a_name_may_have_sent_it() {
        let at = Stamp { fields: [26, 11, 28, 13, 0, 0], zone_minutes: 480 };
        let text = Deliver { from: "Operator".into(), at, text: "余额".into(), part: None };
        assert_eq!(read(&text.to_digits().unwrap()), text);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "[ -~€]{0,66}|[班😀a]{0,30}", number in r"\+?[0-9]{3,15}", of in 1_u8..9, wide: bool, reference: u16) {
            let part = Part { reference: if wide { reference } else { reference & 0xff }, wide, of, number: of };
            for part in [None, Some(part)] {
                let at = Stamp { fields: [26, 1, 2, 3, 4, 5], zone_minutes: -570 };
                let written = Deliver { from: number.clone(), at, text: text.clone(), part };
                prop_assert_eq!(read(&written.to_digits().unwrap()), written);
            }
        }
    }
}
