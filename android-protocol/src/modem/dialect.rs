//! Which modem it is, and what it does its own way.

use super::exchange::Command;

/// Families of modems that speak alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SIMCom's 2G modules: SIM800, SIM900.
    Sim800,
    /// SIMCom's 4G modules: SIM7600, A7670 and their like.
    Sim7600,
    /// Quectel's `EC2x` and `EG2x`.
    Quectel,
    /// Huawei's USB sticks.
    Huawei,
    /// Any other: what the standard says, and no more.
    Generic,
}

impl Dialect {
    /// By what a modem answers to `AT+CGMI` and `AT+CGMM`.
    #[must_use]
    pub fn detect(manufacturer: &str, model: &str) -> Self {
        let (manufacturer, model) = (manufacturer.to_ascii_lowercase(), model.to_ascii_lowercase());
        let made_by = |name: &str| manufacturer.contains(name) || model.contains(name);
        let simcom_4g = ["sim7", "sim8200", "a76", "a77"].iter().any(|begin| model.contains(begin));
        if made_by("huawei") {
            Self::Huawei
        } else if made_by("quectel") || model.starts_with("ec2") || model.starts_with("eg2") {
            Self::Quectel
        } else if simcom_4g {
            Self::Sim7600
        } else if made_by("simcom") || model.contains("sim800") || model.contains("sim900") {
            Self::Sim800
        } else {
            Self::Generic
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sim800 => "SIM800",
            Self::Sim7600 => "SIM7600",
            Self::Quectel => "Quectel",
            Self::Huawei => "Huawei",
            Self::Generic => "standard",
        }
    }

    /// What makes it tell how calls go, and which keys are pressed. All of it may be refused.
    #[must_use]
    pub fn start(self) -> &'static [&'static str] {
        match self {
            Self::Sim800 => &["AT+CLCC=1", "AT+DDET=1"],
            Self::Sim7600 => &["AT+CLCC=1", "AT+DDET=1"],
            Self::Quectel => &["AT^DSCI=1", "AT+QTONEDET=1"],
            Self::Huawei => &["AT^CURC=1", "AT^CVOICE=0", "AT^DDSETEX=2", "AT^U2DIAG=0", "AT^USSDMODE=0"],
            Self::Generic => &[],
        }
    }

    /// How it is asked to tell about messages and delivery reports.
    #[must_use]
    pub fn message_news(self) -> &'static str {
        match self {
            Self::Quectel | Self::Huawei => "AT+CNMI=2,1,0,2,0",
            Self::Sim800 | Self::Sim7600 | Self::Generic => "AT+CNMI=2,1,0,1,0",
        }
    }

    /// Whether it tells by itself which keys a callee presses.
    #[must_use]
    pub fn hears_keys(self) -> bool {
        matches!(self, Self::Sim800 | Self::Sim7600 | Self::Quectel)
    }

    /// Whether hanging up before the network has taken the call breaks the modem (`chan_dongle`, BUGS).
    #[must_use]
    pub fn hangs_up_late(self) -> bool {
        self == Self::Huawei
    }

    /// The commands that end a call, the second only where the first did not help, and so on.
    #[must_use]
    pub fn hang_up(self) -> &'static [&'static str] {
        match self {
            // The third would release one call by its number, which kills these sticks while they dial.
            Self::Huawei => &["AT+CHUP", "ATH"],
            _ => &["AT+CHUP", "ATH", "AT+CHLD=11"],
        }
    }

    /// Whether a USSD code is sent packed, in hexadecimal digits.
    #[must_use]
    pub fn packs_ussd(self) -> bool {
        self == Self::Huawei
    }

    /// The commands that ask who it is, in the order of [`Identity`].
    #[must_use]
    pub fn questions() -> [Command; 4] {
        ["AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN"].map(|text| Command::new(text).answered_by_anything())
    }
}

/// Who a modem says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who made it.
    pub manufacturer: String,
    /// What it is.
    pub model: String,
    /// Its firmware.
    pub firmware: String,
    /// Its own number (IMEI).
    pub serial: String,
}

impl Identity {
    /// Which dialect it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::detect(&self.manufacturer, &self.model)
    }

    /// Takes one answer.
    pub fn note(&mut self, command: &str, answer: &str) {
        // Some put the name of the command before it.
        let text = answer.split_once(':').filter(|(head, _)| head.starts_with('+')).map_or(answer, |(_, rest)| rest);
        let text: String = text.trim().trim_matches('"').chars().take(60).collect();
        match command {
            "AT+CGMI" => self.manufacturer = text,
            "AT+CGMM" => self.model = text,
            "AT+CGMR" => self.firmware = text,
            "AT+CGSN" => self.serial = text,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_by_its_names() {
        for (manufacturer, model, dialect) in [
            ("SIMCOM_Ltd", "SIMCOM_SIM800L", Dialect::Sim800),
            ("SIMCOM_Ltd", "SIM900", Dialect::Sim800),
            ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", Dialect::Sim7600),
            ("SIMCOM INCORPORATED", "A7672E", Dialect::Sim7600),
            ("Quectel", "EC25", Dialect::Quectel),
            ("QUALCOMM INCORPORATED", "EG25G", Dialect::Quectel),
            ("huawei", "E1550", Dialect::Huawei),
            ("ZTE CORPORATION", "MF190", Dialect::Generic),
            ("", "", Dialect::Generic),
        ] {
            assert_eq!(Dialect::detect(manufacturer, model), dialect, "{manufacturer} {model}");
        }
    }

    #[test]
    fn a_name_may_stand_behind_its_command() {
        let mut identity = Identity::default();
        identity.note("AT+CGMM", "+CGMM: \"EC25\"");
        identity.note("AT+CGMI", "Quectel");
        identity.note("AT+CGSN", "861000000000001");
        assert_eq!((identity.model.as_str(), identity.serial.as_str()), ("EC25", "861000000000001"));
        assert_eq!(identity.dialect(), Dialect::Quectel);
    }
}
