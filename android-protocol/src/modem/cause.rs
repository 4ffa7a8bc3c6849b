//! Why a call ended, by the cause of the telephone network (ITU-T Q.850).

use crate::phone::EndCause;

/// Reads an answer to `AT+CEER`: its last number, for the words before it differ from modem to modem.
#[must_use]
pub fn parse_ceer(line: &str) -> Option<u8> {
    let rest = line.split_once(':').map_or(line, |(_, rest)| rest);
    let last = rest.split(|c: char| !c.is_ascii_digit()).rfind(|piece| !piece.is_empty())?;
    last.parse().ok().filter(|cause| (1..=127).contains(cause))
}

/// What a cause means for a call that was never connected; `None` for one that says nothing.
#[must_use]
pub fn meaning(cause: u8) -> Option<EndCause> {
    match cause {
        17 => Some(EndCause::Busy),
        21 => Some(EndCause::Rejected),
        // The callee, or the network for them, let it ring; or their phone is off or out of reach.
        16 | 18 | 19 | 20 | 27 => Some(EndCause::Normal),
        // There is no such number; or the network could not.
        1 | 28 | 34 | 38 | 41 | 42 | 44 | 47 => Some(EndCause::Failed),
        _ => None,
    }
}

/// A cause in words, for people.
#[must_use]
pub fn words(cause: u8) -> &'static str {
    match cause {
        1 | 28 => "there is no such number",
        16 => "the other side hung up",
        17 => "busy",
        18 | 19 => "no answer",
        20 | 27 => "switched off or out of reach",
        21 => "declined",
        34 | 38 | 41 | 42 | 44 | 47 => "the network could not put the call through",
        _ => "another cause",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_counts() {
        for (line, cause) in [
            ("+CEER: No cause information available", None),
            ("+CEER: Release, cause 17", Some(17)),
            ("+CEER: 5,16", Some(16)),
            ("+CEER: \"User busy\",17", Some(17)),
            ("+CEER: CC setup error, 31, Normal, unspecified, 21", Some(21)),
            ("+CEER: 0", None),
            ("+CEER: 9999", None),
            ("", None),
        ] {
            assert_eq!(parse_ceer(line), cause, "{line}");
        }
    }
}
