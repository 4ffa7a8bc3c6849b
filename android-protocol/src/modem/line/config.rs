//! `[agent.modem]` in the configuration of a handset.

use std::path::PathBuf;

use serde::Deserialize;

use super::port::Place;

/// How far this modem's word for "connected" can be believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerWord {
    /// It comes when somebody picks up.
    #[default]
    Exact,
    /// It may come while the phone rings: only a key that is pressed is an answer.
    Early,
}

/// `[agent.modem]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modem {
    /// The serial port, such as `/dev/serial/by-id/usb-SimTech…-if02-port0`.
    #[serde(default)]
    pub port: Option<PathBuf>,
    /// Instead of the port: the USB device, such as `1e0e:9001`.
    #[serde(default)]
    pub usb: Option<String>,
    /// With `usb`: which interface of the device speaks AT commands.
    #[serde(default)]
    pub interface: Option<u8>,
    /// Bits a second.
    #[serde(default = "usual_baud")]
    pub baud: u32,
    /// The PIN of the SIM.
    #[serde(default)]
    pub pin: Option<String>,
    /// What counts as an answer.
    #[serde(default)]
    pub answer_detection: AnswerWord,
    /// The code that asks the network for the credit, such as `*100#`.
    #[serde(default)]
    pub credit_code: Option<String>,
    /// A program that gives a stuck modem new power, and its arguments.
    #[serde(default)]
    pub reset_command: Vec<String>,
    /// How many times faster than the wall clock its time runs; for tests.
    #[serde(skip, default = "usual_speed")]
    pub speed: f64,
}

fn usual_baud() -> u32 {
    115_200
}

fn usual_speed() -> f64 {
    1.0
}

impl Modem {
    /// A modem at this port, everything else as usual.
    #[must_use]
    pub fn at(port: impl Into<PathBuf>) -> Self {
        Self {
            port: Some(port.into()),
            usb: None,
            interface: None,
            baud: usual_baud(),
            pin: None,
            answer_detection: AnswerWord::Exact,
            credit_code: None,
            reset_command: Vec::new(),
            speed: usual_speed(),
        }
    }

    /// Where it is.
    ///
    /// # Errors
    ///
    /// The key at fault, and what would be right.
    pub fn place(&self) -> Result<Place, (&'static str, String)> {
        match (&self.port, &self.usb) {
            (Some(port), None) => Ok(Place::Path(port.clone())),
            (None, Some(usb)) => {
                let hex = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| text.len() == 4);
                let id = usb.split_once(':').and_then(|(vendor, product)| Some((hex(vendor)?, hex(product)?)));
                let id =
                    id.ok_or_else(|| ("agent.modem.usb", "is two numbers as `lsusb` prints them, such as 1e0e:9001".to_owned()))?;
                Ok(Place::Usb { id, interface: self.interface })
            }
            _ => Err(("agent.modem.port", "say either `port` or `usb`: where the modem is".to_owned())),
        }
    }

    /// The same, if its values can be.
    ///
    /// # Errors
    ///
    /// The key at fault, and what would be right.
    pub fn checked(self) -> Result<Self, (&'static str, String)> {
        self.place()?;
        let pin_fits = |pin: &String| (4..=8).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
        if self.pin.as_ref().is_some_and(|pin| !pin_fits(pin)) {
            return Err(("agent.modem.pin", "has four to eight digits".to_owned()));
        }
        if let Some(code) = &self.credit_code
            && crate::modem::ussd::command(crate::modem::dialect::Dialect::Generic, code).is_none()
        {
            return Err(("agent.modem.credit_code", "is a code such as *100#".to_owned()));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_a_device() {
        assert_eq!(Modem::at("/dev/x").place(), Ok(Place::Path("/dev/x".into())));
        let usb = |usb: &str| Modem { port: None, usb: Some(usb.into()), interface: Some(2), ..Modem::at("") }.place();
        assert_eq!(usb("1e0e:9001"), Ok(Place::Usb { id: (0x1e0e, 0x9001), interface: Some(2) }));
        for wrong in ["1e0e", "1e0e:", "1e0e:90011", "x:y"] {
            assert!(usb(wrong).is_err_and(|(key, _)| key == "agent.modem.usb"), "{wrong}");
        }
        assert!(Modem { port: None, ..Modem::at("") }.checked().is_err());
        assert!(Modem { usb: Some("1e0e:9001".into()), ..Modem::at("/dev/x") }.checked().is_err());
        for (pin, fits) in [("1234", true), ("12345678", true), ("123", false), ("12a4", false)] {
            assert_eq!(Modem { pin: Some(pin.into()), ..Modem::at("/dev/x") }.checked().is_ok(), fits, "{pin}");
        }
        assert!(Modem { credit_code: Some("call me".into()), ..Modem::at("/dev/x") }.checked().is_err());
    }
}
