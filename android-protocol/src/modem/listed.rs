//! The calls that a modem lists: `+CLCC` (3GPP TS 27.007, section 7.18).

use super::{number_at, same_line, values};

/// How far a listed call has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedState {
    /// Somebody talks.
    Active,
    /// On hold.
    Held,
    /// Asked of the network.
    Dialling,
    /// The other phone rings.
    Alerting,
    /// This one rings.
    Incoming,
    /// Another one waits while a call goes on.
    Waiting,
    /// Over: only modems that push these lines say so.
    Over,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number in the modem, from 1.
    pub index: u8,
    /// Whether it was dialled from here.
    pub outgoing: bool,
    /// How far it has got.
    pub state: ListedState,
    /// With whom; empty where the modem does not say.
    pub number: String,
}

impl Listed {
    /// Reads a line; `None` for anything but a voice call. Fields behind the ones that are known are left out.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let values = values(line.strip_prefix("+CLCC").filter(|rest| rest.trim_start().starts_with(':'))?);
        let state = match number_at::<u8>(&values, 2)? {
            0 => ListedState::Active,
            1 => ListedState::Held,
            2 => ListedState::Dialling,
            3 => ListedState::Alerting,
            4 => ListedState::Incoming,
            5 => ListedState::Waiting,
            6 => ListedState::Over,
            _ => return None,
        };
        // Connections of data are listed beside calls.
        if number_at::<u8>(&values, 3).unwrap_or(0) != 0 {
            return None;
        }
        Some(Self {
            index: number_at(&values, 0)?,
            outgoing: number_at::<u8>(&values, 1)? == 0,
            state,
            number: values.get(5).cloned().unwrap_or_default(),
        })
    }

    /// Whether it is the call that was dialled to `number`.
    #[must_use]
    pub fn is_to(&self, number: &str) -> bool {
        self.outgoing && same_line(&self.number, number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn trailing_fields_are_left_out() {
        for line in [
            r#"+CLCC: 1,0,3,0,0,"13900000001",129"#,
            r#"+CLCC: 1,0,3,0,0,"13900000001",129,"""#,
            r#"+CLCC:1,0,3,0,0,"13900000001",129,"",0"#,
        ] {
            let call = Listed::parse(line);
            assert_eq!(
                call,
                Some(Listed { index: 1, outgoing: true, state: ListedState::Alerting, number: "13900000001".into() }),
                "{line}"
            );
            assert!(call.is_some_and(|call| call.is_to("+8613900000001") && !call.is_to("13900000002")));
        }
        let stranger = Listed::parse(r#"+CLCC: 1,1,4,0,0,"13900000001",129"#);
        assert!(stranger.is_some_and(|call| !call.is_to("13900000001")), "a stranger's call is not ours");
        assert_eq!(Listed::parse(r#"+CLCC: 1,0,0,1,0,"*99#",129"#), None, "data");
        assert_eq!(Listed::parse("+CLCCX: 1,0,0,0,0"), None);
        assert_eq!(Listed::parse("+CLCC: 1,0"), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in r#"\+CLCC:?[0-9,": +]{0,40}|.{0,40}"#) {
            let _ = Listed::parse(&line);
        }
    }
}
