//! What a network says of the calls that it forwards, when a modem asks it: the only proof without a call (3GPP TS 27.007, section 7.11).

use chrono::TimeDelta;

/// It is asked again after this.
pub const ASK_AGAIN_AFTER: TimeDelta = TimeDelta::hours(6);
/// And after this, when it could not be asked, or its modem was started anew just after it was.
pub const ASK_SOON_AFTER: TimeDelta = TimeDelta::minutes(20);
/// So many digits at the end tell one line from another, however the network writes it.
const DIGITS: usize = 7;

/// Where a network says that calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// To the number that was asked for.
    There,
    /// To another number, or it does not say to which.
    Elsewhere,
    /// Nowhere: it forwards nothing.
    Off,
}

impl Network {
    /// What it says, held against the number that was asked for.
    #[must_use]
    pub fn of(active: bool, number: Option<&str>, wanted: &str) -> Self {
        match (active, number) {
            (false, _) => Self::Off,
            (true, Some(number)) if is_same_line(number, wanted) => Self::There,
            (true, _) => Self::Elsewhere,
        }
    }
}

/// A network may write a number as it is dialled in the country or abroad; short numbers must be equal.
fn is_same_line(one: &str, other: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<Vec<_>>();
    let (one, other) = (digits(one), digits(other));
    if one.len() < DIGITS || other.len() < DIGITS {
        return !one.is_empty() && one == other;
    }
    one.ends_with(&other[other.len() - DIGITS..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_same_number_that_is_active_is_a_proof() {
        let wanted = "+8613900000001";
        assert_eq!(Network::of(true, Some("+8613900000001"), wanted), Network::There);
        assert_eq!(Network::of(true, Some("13900000001"), wanted), Network::There, "as it is dialled in the country");
        assert_eq!(Network::of(true, Some("+8613900000002"), wanted), Network::Elsewhere);
        assert_eq!(Network::of(true, Some("0000001"), wanted), Network::There);
        assert_eq!(Network::of(true, Some("00001"), wanted), Network::Elsewhere, "too short to be told from others");
        assert_eq!(Network::of(true, Some(""), wanted), Network::Elsewhere);
        assert_eq!(Network::of(true, None, wanted), Network::Elsewhere);
        assert_eq!(Network::of(false, Some("13900000001"), wanted), Network::Off);
        assert_eq!(Network::of(true, Some("10086"), "10086"), Network::There);
    }

    proptest! {
        #[test]
        fn whatever_a_network_says_it_is_read(active: bool, said in proptest::option::of(".{0,40}"), wanted in "\\+?[0-9]{1,15}") {
            let network = Network::of(active, said.as_deref(), &wanted);
            prop_assert_eq!(network == Network::Off, !active);
            if network == Network::There {
                let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
                let said = digits(said.as_deref().unwrap_or_default());
                prop_assert!(!said.is_empty() && said.chars().last() == digits(&wanted).chars().last());
            }
        }
    }
}
