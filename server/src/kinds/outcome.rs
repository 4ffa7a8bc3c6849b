//! Why a text message was not sent yet: kept beside it as a sentence for programs and the command line, and read back by the pages,
//! which say it in the reader's language.

use std::fmt;

/// So much is kept of what somebody else says.
const LONGEST: usize = 300;

/// What came of the last try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The line of its handset is in use.
    WaitsForCall,
    /// An earlier command for the same phone may be on its way.
    WaitsForEarlier,
    /// A day is over.
    TriedForADay,
    /// Its line or gateway was removed, or a later hand-over came.
    NotWanted,
    /// An outdated command came after it.
    SentAgain,
    /// It would help nobody any more.
    Expired,
    /// The alarm that it tells of was over before it left.
    AlarmOver,
    /// Somebody else had taken that alarm before it left.
    AlarmTaken,
    /// Its number must not be called.
    DoNotCall,
    /// There is no gateway.
    NoGateway,
    /// The handset that is its gateway was removed.
    NoHandset,
    /// The address is inside.
    ClosedAddress,
    /// A native handset could not send it, in its words.
    HandsetFailed(String),
    /// The gateway took it and could not send it, in its words.
    GatewayFailed(String),
    /// The gateway did not take it: what it answered, or why it could not be asked.
    NotTaken(String),
}

/// Those without particulars.
const PLAIN: [(Outcome, &str); 12] = [
    (Outcome::WaitsForCall, "waits for the end of a call"),
    (Outcome::WaitsForEarlier, "waits: an earlier command may be on its way"),
    (Outcome::TriedForADay, "tried for a day in vain"),
    (Outcome::NotWanted, "not wanted any more: its line or gateway was removed, or a later hand-over came"),
    (Outcome::SentAgain, "sent again: an outdated command reached the phone after it"),
    (Outcome::Expired, "it could not be sent while it mattered"),
    (Outcome::AlarmOver, "not sent: the alarm was over before it left"),
    (Outcome::AlarmTaken, "not sent: somebody had taken the alarm before it left"),
    (Outcome::DoNotCall, "not sent: the number must not be called"),
    (Outcome::NoGateway, "not sent: there is no gateway for text messages"),
    (Outcome::NoHandset, "the handset that is this gateway was removed"),
    (Outcome::ClosedAddress, "the gateway's address may not be asked; see sms.allow_networks"),
];
const HANDSET_FAILED: &str = "the handset could not send it: ";
const GATEWAY_FAILED: &str = "the gateway could not send it: ";

impl Outcome {
    /// Reads what was kept.
    #[must_use]
    pub fn read(text: &str) -> Self {
        if let Some((plain, _)) = PLAIN.into_iter().find(|(_, own)| *own == text) {
            return plain;
        }
        match (text.strip_prefix(HANDSET_FAILED), text.strip_prefix(GATEWAY_FAILED)) {
            (Some(detail), _) => Self::HandsetFailed(detail.to_owned()),
            (None, Some(detail)) => Self::GatewayFailed(detail.to_owned()),
            (None, None) => Self::NotTaken(text.to_owned()),
        }
    }

    /// What somebody else has said, in their words: it may hold a number.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::HandsetFailed(detail) | Self::GatewayFailed(detail) | Self::NotTaken(detail) => Some(detail),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, detail) = match self {
            Self::HandsetFailed(detail) => (HANDSET_FAILED, detail),
            Self::GatewayFailed(detail) => (GATEWAY_FAILED, detail),
            Self::NotTaken(detail) => ("", detail),
            plain => return f.write_str(PLAIN.iter().find(|(own, _)| own == plain).map_or("", |(_, text)| text)),
        };
        f.write_str(before)?;
        f.write_str(&detail.chars().take(LONGEST).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_kept_reads_back() {
        for (outcome, text) in PLAIN {
            assert_eq!((Outcome::read(text), outcome.to_string()), (outcome, text.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn what_others_say_reads_back(detail in "[a-zA-Z0-9 :+]{0,300}") {
            for outcome in [Outcome::HandsetFailed(detail.clone()), Outcome::GatewayFailed(detail.clone())] {
                prop_assert_eq!(Outcome::read(&outcome.to_string()), outcome);
            }
        }

        #[test]
        fn little_is_kept_of_much(detail: String) {
            prop_assert!(Outcome::NotTaken(detail).to_string().chars().count() <= LONGEST);
        }
    }
}
