//! What a modem says without being asked.

use super::{listed::Listed, number_at, values};

/// Words by which a call ends, or a dial is refused (ITU-T V.250).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `BUSY`: the line is, or the callee declined.
    Busy,
    /// `NO ANSWER`.
    NoAnswer,
    /// `NO CARRIER`: for whatever reason.
    NoCarrier,
    /// `NO DIALTONE`: no network.
    NoDialtone,
}

impl Word {
    /// Reads a line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        match line {
            "BUSY" => Some(Self::Busy),
            "NO ANSWER" => Some(Self::NoAnswer),
            "NO CARRIER" => Some(Self::NoCarrier),
            "NO DIALTONE" | "NO DIAL TONE" => Some(Self::NoDialtone),
            _ => None,
        }
    }
}

/// How far the call from here has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The network was asked for it.
    Dialling,
    /// The other phone rings.
    Alerting,
    /// The line is connected, as far as this modem knows.
    Connected,
    /// It is over, by this cause (ITU-T Q.850) where the modem names one.
    Ended {
        /// The cause.
        cause: Option<u8>,
    },
}

/// Something a modem says by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody calls.
    Ring {
        /// Who, where that is known.
        from: Option<String>,
    },
    /// The state of a call.
    Listed(Listed),
    /// How far the call from here has got.
    Step(Step),
    /// It ended, or the dial was refused.
    Word(Word),
    /// The callee pressed a key.
    Key(char),
    /// A text message came, and lies in this place of the SIM.
    TextStored(u32),
    /// A delivery report came, and lies there.
    ReportStored(u32),
    /// A delivery report came; its PDU is on the line that follows.
    ReportFollows,
    /// A text message came and lies nowhere; its PDU is on the line that follows.
    TextFollows,
    /// A PDU of which the line before spoke.
    Pdu {
        /// Whether it is a delivery report.
        report: bool,
        /// In hexadecimal digits.
        digits: String,
    },
    /// The SIM takes no more messages.
    TextsFull,
    /// An answer to a USSD code: its kind, and its text as it was sent.
    Ussd(String),
    /// The registration with the network changed.
    Registration,
    /// The modem was switched on or off by something else.
    Restarted,
    /// Something about the radio and other things that nobody asked for.
    Idle,
}

impl Event {
    /// Reads a line; `None` if it is nothing that modems say by themselves.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        if let Some(word) = Word::parse(line) {
            return Some(Self::Word(word));
        }
        let (head, rest) = line.split_once(':').map_or((line, None), |(head, rest)| (head.trim(), Some(rest.trim())));
        let values = values(line);
        match (head, rest) {
            ("RING", None) | ("+CRING", Some(_)) => Some(Self::Ring { from: None }),
            ("+CLIP" | "+CCWA", Some(_)) => Some(Self::Ring { from: values.into_iter().next().filter(|from| !from.is_empty()) }),
            ("+CLCC", Some(_)) => Listed::parse(line).map(Self::Listed),
            ("^ORIG", Some(_)) => Some(Self::Step(Step::Dialling)),
            ("^CONF", Some(_)) => Some(Self::Step(Step::Alerting)),
            ("^CONN", Some(_)) => Some(Self::Step(Step::Connected)),
            // Index, seconds, end status, cause; the cause may be missing.
            ("^CEND", Some(_)) => Some(Self::Step(Step::Ended { cause: number_at(&values, 3) })),
            ("^DSCI", Some(_)) => dsci(&values).map(Self::Step),
            ("VOICE CALL", Some(rest)) if rest.starts_with("BEGIN") => Some(Self::Step(Step::Connected)),
            ("VOICE CALL", Some(rest)) if rest.starts_with("END") => Some(Self::Step(Step::Ended { cause: None })),
            ("CONNECT", None) => Some(Self::Step(Step::Connected)),
            ("HANGUP", Some(_)) => Some(Self::Step(Step::Ended { cause: None })),
            ("+WIND", Some(_)) => match number_at::<u8>(&values, 0) {
                Some(5) => Some(Self::Step(Step::Dialling)),
                Some(6) => Some(Self::Step(Step::Ended { cause: None })),
                _ => Some(Self::Idle),
            },
            ("+RXDTMF" | "+DTMF", Some(rest)) => rest.trim_matches('"').chars().next().and_then(key).map(Self::Key),
            // The code of the character.
            ("+QTONEDET", Some(_)) => number_at::<u8>(&values, 0).map(char::from).and_then(key).map(Self::Key),
            ("+CMTI", Some(_)) => number_at(&values, 1).map(Self::TextStored),
            ("+CDSI", Some(_)) => number_at(&values, 1).map(Self::ReportStored),
            ("+CDS", Some(_)) => Some(Self::ReportFollows),
            ("+CMT", Some(_)) => Some(Self::TextFollows),
            ("^SMMEMFULL" | "+SMSFULL", _) => Some(Self::TextsFull),
            ("+CUSD", Some(_)) => Some(Self::Ussd(line.to_owned())),
            ("+CREG" | "+CEREG" | "+CGREG", Some(_)) => Some(Self::Registration),
            ("RDY" | "POWERED DOWN" | "NORMAL POWER DOWN" | "START" | "^SYSSTART", _) => Some(Self::Restarted),
            (
                "+CFUN"
                | "+CPIN"
                | "Call Ready"
                | "SMS Ready"
                | "SMS DONE"
                | "PB DONE"
                | "+QIND"
                | "^RSSI"
                | "^HCSQ"
                | "^MODE"
                | "^BOOT"
                | "^SIMST"
                | "^SRVST"
                | "^STIN"
                | "^NWTIME"
                | "^CSNR"
                | "^DSFLOWRPT"
                | "+CTZV"
                | "+CTZE"
                | "*PSUTTZ"
                | "DST"
                | "+CIEV"
                | "*PSNWID"
                | "+CSSI"
                | "+CSSU"
                | "+COLP"
                | "+CVHU"
                | "MISSED_CALL"
                | "+QUSIM"
                | "OVER-VOLTAGE WARNNING"
                | "UNDER-VOLTAGE WARNNING",
                _,
            ) => Some(Self::Idle),
            _ => None,
        }
    }
}

/// `^DSCI: id,dir,state,type,number,kind`; only calls from here.
fn dsci(values: &[String]) -> Option<Step> {
    if number_at::<u8>(values, 1)? != 0 {
        return None;
    }
    match number_at::<u8>(values, 2)? {
        2 => Some(Step::Dialling),
        3 => Some(Step::Connected),
        6 => Some(Step::Ended { cause: None }),
        7 => Some(Step::Alerting),
        _ => None,
    }
}

/// The keys of a telephone.
fn key(c: char) -> Option<char> {
    Some(c.to_ascii_uppercase()).filter(|c| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_dialects_say() {
        for (line, event) in [
            ("RING", Event::Ring { from: None }),
            (r#"+CLIP: "13700000009",129,"",,"",0"#, Event::Ring { from: Some("13700000009".into()) }),
            ("^ORIG:1,0", Event::Step(Step::Dialling)),
            ("^CONF:1", Event::Step(Step::Alerting)),
            ("^CONN:1,0", Event::Step(Step::Connected)),
            ("^CEND:1,12,104,16", Event::Step(Step::Ended { cause: Some(16) })),
            ("^CEND:1,12,104", Event::Step(Step::Ended { cause: None })),
            ("^DSCI: 1,0,2,0,13900000001,129", Event::Step(Step::Dialling)),
            ("^DSCI: 1,0,7,0,13900000001,129", Event::Step(Step::Alerting)),
            ("^DSCI: 1,0,3,0,13900000001,129", Event::Step(Step::Connected)),
            ("^DSCI: 1,0,6,0,13900000001,129", Event::Step(Step::Ended { cause: None })),
            ("VOICE CALL: BEGIN", Event::Step(Step::Connected)),
            ("VOICE CALL: END: 000352", Event::Step(Step::Ended { cause: None })),
            ("+WIND: 6,1", Event::Step(Step::Ended { cause: None })),
            ("BUSY", Event::Word(Word::Busy)),
            ("+RXDTMF: 1", Event::Key('1')),
            ("+DTMF: #", Event::Key('#')),
            ("+QTONEDET: 49", Event::Key('1')),
            (r#"+CMTI: "SM",3"#, Event::TextStored(3)),
            (r#"+CDSI: "SM",5"#, Event::ReportStored(5)),
            ("+CDS: 25", Event::ReportFollows),
            ("^SMMEMFULL: \"SM\"", Event::TextsFull),
            ("RDY", Event::Restarted),
            ("^RSSI:17", Event::Idle),
            ("SMS Ready", Event::Idle),
        ] {
            assert_eq!(Event::parse(line), Some(event), "{line}");
        }
        for line in ["^DSCI: 1,1,4,0,13900000001,129", "OK", "+CSQ: 17,99", "0891683108", "+QTONEDET: 7"] {
            assert_eq!(Event::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in r#"[+^](CLCC|DSCI|CEND|QTONEDET|CMTI|CUSD|CLIP|WIND):?[0-9,": +]{0,30}|.{0,40}"#) {
            let _ = Event::parse(&line);
        }
    }
}
