//! Codes that the network answers with a text, such as `*100#` for the credit (3GPP TS 27.007, section 7.15).

use std::time::Duration;

use super::{
    dialect::Dialect,
    exchange::Command,
    number_at,
    pdu::alphabet::{pack, septets, text_of, unpack},
    values,
};

/// How long a network may take.
pub const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// The command that sends a code; `None` if it is none.
#[must_use]
pub fn command(dialect: Dialect, code: &str) -> Option<Command> {
    let known =
        !code.is_empty() && code.len() <= 40 && code.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'+'));
    let code = match dialect {
        _ if !known => return None,
        dialect if dialect.packs_ussd() => hex(&pack(&septets(code)?, 0)),
        _ => code.to_owned(),
    };
    Some(Command::new(format!("AT+CUSD=1,\"{code}\",15")).within(Duration::from_secs(30)))
}

/// The same for a modem that was told to write UCS-2.
#[must_use]
pub fn command_in_ucs2(code: &str) -> Option<Command> {
    command(Dialect::Generic, code)?;
    let units: Vec<u8> = code.encode_utf16().flat_map(u16::to_be_bytes).collect();
    Some(Command::new(format!("AT+CUSD=1,\"{}\",15", hex(&units))).within(Duration::from_secs(30)))
}

/// The command that ends a talk with the network.
#[must_use]
pub fn end() -> Command {
    Command::new("AT+CUSD=2")
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub text: String,
    /// Whether the network asks back, and waits.
    pub asks_back: bool,
}

/// Reads `+CUSD: 0,"text",15`. The text may be as it is, in UCS-2, or packed, both in hexadecimal digits.
///
/// # Errors
///
/// In words, if the network refused.
pub fn parse(line: &str) -> Result<Reply, String> {
    let values = values(line);
    let kind = number_at::<u8>(&values, 0).unwrap_or(4);
    let text = values.get(1).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Err(match kind {
            3 => "another handset answered for it",
            4 => "the network does not know this code",
            5 => "the network did not answer in time",
            _ => "the network said nothing",
        }
        .to_owned());
    };
    Ok(Reply { text: decode(text, number_at(&values, 2)), asks_back: kind == 1 })
}

fn decode(text: &str, coding: Option<u8>) -> String {
    let Some(bytes) = bytes(text) else { return text.to_owned() };
    let units =
        || bytes.chunks_exact(2).map(|pair| pair.iter().fold(0_u16, |unit, &b| unit << 8 | u16::from(b))).collect::<Vec<_>>();
    let ucs2 = coding.is_some_and(|coding| coding & 0x0c == 0x08 || coding == 17) && bytes.len().is_multiple_of(2);
    if ucs2 {
        return String::from_utf16_lossy(&units());
    }
    // Where the coding says 7 bits, modems differ: UCS-2 all the same, packed, or the text itself, of which digits alone look like both.
    let as_units = units();
    let plausible = bytes.len() >= 4
        && bytes.len().is_multiple_of(2)
        && bytes.iter().step_by(2).all(|&high| high == 0 || (0x04..=0x9f).contains(&high))
        && as_units.iter().filter(|&&unit| (0x20..0x7f).contains(&unit)).count() * 4 >= as_units.len();
    if plausible {
        return String::from_utf16_lossy(&as_units);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.to_owned();
    }
    text_of(&unpack(&bytes, bytes.len() * 8 / 7, 0)).trim_end_matches(['\r', '@']).to_owned()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    super::pdu::bytes(text).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_plain_and_packed() {
        let sent = |dialect, code| command(dialect, code).map(|command| command.text);
        assert_eq!(sent(Dialect::Generic, "*100#").as_deref(), Some("AT+CUSD=1,\"*100#\",15"));
        assert_eq!(sent(Dialect::Huawei, "*100#").as_deref(), Some("AT+CUSD=1,\"AA180C3602\",15"));
        let wide = command_in_ucs2("*1#").map(|command| command.text);
        assert_eq!(wide.as_deref(), Some("AT+CUSD=1,\"002A00310023\",15"));
        assert_eq!(sent(Dialect::Generic, "\",15\rATD1;"), None);
    }

    #[test]
    fn answers_in_every_form() {
        for (line, text) in [
            ("+CUSD: 0,\"Your balance is 12.50\",15", "Your balance is 12.50"),
            ("+CUSD: 0,\"4F59989D0031003200350030\",72", "余额1250"),
            ("+CUSD: 0,\"00420061006C0061006E00630065\",15", "Balance"),
            ("+CUSD: 2,\"C2303BEC1E9701\",15", "Balance"),
            ("+CUSD: 0,\"1250\",15", "1250"),
        ] {
            assert_eq!(parse(line), Ok(Reply { text: text.into(), asks_back: false }), "{line}");
        }
        assert!(parse("+CUSD: 1,\"1 more\",15").is_ok_and(|reply| reply.asks_back));
        assert!(parse("+CUSD: 4").is_err_and(|why| why.contains("does not know")));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in r#"\+CUSD: [0-5],"[0-9A-F]{0,40}",[0-9]{1,3}|.{0,40}"#) {
            let _ = parse(&line);
        }
    }
}
