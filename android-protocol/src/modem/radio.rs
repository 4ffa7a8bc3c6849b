//! How well a modem hears its network, and which that is.

use super::{number_at, values};

/// Reads `+CSQ: 17,99`: dBm, or `None` where it does not know.
#[must_use]
pub fn signal_dbm(line: &str) -> Option<i32> {
    let rssi = number_at::<i32>(&values(line.strip_prefix("+CSQ").filter(|rest| rest.starts_with(':'))?), 0)?;
    (0..=31).contains(&rssi).then(|| 2 * rssi - 113)
}

/// Whether a SIM is let in by a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Not, and it does not look for one.
    None,
    /// In its own.
    Home,
    /// It looks for one.
    Searching,
    /// None lets it in.
    Denied,
    /// It does not know.
    Unknown,
    /// In another's.
    Roaming,
}

impl Registration {
    /// Reads `+CREG: 1,5` or `+CEREG: 5`: the answer to a question holds the setting before the state, news do not.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let values =
            values(line.strip_prefix("+CREG").or_else(|| line.strip_prefix("+CEREG")).filter(|rest| rest.starts_with(':'))?);
        // Of a cell there are hexadecimal digits in quotes behind them; a setting is one digit that is no state of its own beside another.
        let state = number_at::<u8>(&values, 1).filter(|_| values.get(1).is_some_and(|value| value.len() == 1));
        match state.or_else(|| number_at(&values, 0))? {
            0 => Some(Self::None),
            1 | 6 => Some(Self::Home),
            2 => Some(Self::Searching),
            3 => Some(Self::Denied),
            5 | 7 => Some(Self::Roaming),
            _ => Some(Self::Unknown),
        }
    }

    /// Whether calls can be made.
    #[must_use]
    pub fn is_in(self) -> bool {
        matches!(self, Self::Home | Self::Roaming)
    }

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "in no network",
            Self::Home => "in its network",
            Self::Searching => "looking for a network",
            Self::Denied => "no network lets it in",
            Self::Unknown => "whether it is in a network is not known",
            Self::Roaming => "in the network of another operator",
        }
    }
}

/// Reads `+COPS: 0,0,"Operator",7`: the operator, and by what radio.
#[must_use]
pub fn operator(line: &str) -> Option<String> {
    let values = values(line.strip_prefix("+COPS").filter(|rest| rest.starts_with(':'))?);
    let name = values.get(2).filter(|name| !name.is_empty())?;
    let radio = match number_at::<u8>(&values, 3) {
        Some(0 | 1 | 3) => " 2G",
        Some(2 | 4 | 5 | 6) => " 3G",
        Some(7..=10) => " 4G",
        Some(11..=13) => " 5G",
        _ => "",
    };
    Some(format!("{name}{radio}").chars().take(60).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_and_news() {
        assert_eq!(signal_dbm("+CSQ: 17,99"), Some(-79));
        assert_eq!(signal_dbm("+CSQ: 99,99"), None);
        assert_eq!(signal_dbm("+CSQ: 31,0"), Some(-51));
        for (line, state) in [
            ("+CREG: 1,1", Registration::Home),
            ("+CREG: 5", Registration::Roaming),
            ("+CEREG: 0,3", Registration::Denied),
            ("+CREG: 1,2,\"12AB\",\"00C1\"", Registration::Searching),
            ("+CREG: 1,\"12AB\",\"00C1\"", Registration::Home),
            ("+CREG: 0,0", Registration::None),
            ("+CREG: 0,4", Registration::Unknown),
        ] {
            assert_eq!(Registration::parse(line), Some(state), "{line}");
        }
        assert_eq!(operator("+COPS: 0,0,\"CHINA MOBILE\",7").as_deref(), Some("CHINA MOBILE 4G"));
        assert_eq!(operator("+COPS: 0"), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in r#"\+(CSQ|CREG|CEREG|COPS):[0-9,": -]{0,30}|.{0,30}"#) {
            let _ = (signal_dbm(&line), Registration::parse(&line), operator(&line));
        }
    }
}
