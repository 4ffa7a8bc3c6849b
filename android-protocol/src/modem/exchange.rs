//! One command and its answer at a time; whatever else comes in between is told apart.

use std::time::Duration;

use super::{
    event::{Event, Word},
    reader::{Heard, Reader},
};

/// Ends a message that follows a command, and sends it.
pub const SEND: u8 = 0x1a;

/// Gives up a message that follows a command.
pub const ESCAPE: u8 = 0x1b;

/// A command to a modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As it is sent, without the line end.
    pub text: String,
    /// How the lines of its answer begin; `None` where they begin with anything, as a modem's name does.
    pub prefix: Option<&'static str>,
    /// How long the modem may take.
    pub timeout: Duration,
    /// What follows when the modem asks for it.
    pub message: Option<String>,
}

impl Command {
    /// A command that is answered with `OK` alone.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), prefix: Some("OK"), timeout: Duration::from_secs(5), message: None }
    }

    /// The lines of the answer begin with this.
    #[must_use]
    pub fn answered_by(self, prefix: &'static str) -> Self {
        Self { prefix: Some(prefix), ..self }
    }

    /// The lines of the answer begin with anything.
    #[must_use]
    pub fn answered_by_anything(self) -> Self {
        Self { prefix: None, ..self }
    }

    /// The modem may take longer than usual.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// A message follows.
    #[must_use]
    pub fn followed_by(self, message: String) -> Self {
        Self { message: Some(message), ..self }
    }

    fn dials(&self) -> bool {
        self.text.starts_with("ATD")
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Final {
    /// `OK`.
    Ok,
    /// `ERROR`, which says nothing more.
    Error,
    /// `+CME ERROR`: what the modem or the SIM has against it.
    Cme(Refusal),
    /// `+CMS ERROR`: what the network has against a message.
    Cms(Refusal),
    /// The dial was refused.
    Call(Word),
}

/// An error by its number, or by words where the modem has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its number.
    pub code: Option<u16>,
    /// As it was sent.
    pub text: String,
}

impl Refusal {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        Self { code: text.parse().ok(), text: text.chars().take(80).collect() }
    }
}

impl Final {
    /// Reads a line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        match line {
            "OK" => return Some(Self::Ok),
            "ERROR" | "COMMAND NOT SUPPORT" | "TOO MANY PARAMETERS" => return Some(Self::Error),
            _ => {}
        }
        let cme = line.strip_prefix("+CME ERROR:").map(|text| Self::Cme(Refusal::parse(text)));
        cme.or_else(|| line.strip_prefix("+CMS ERROR:").map(|text| Self::Cms(Refusal::parse(text))))
    }

    /// In words that fit into a sentence.
    #[must_use]
    pub fn to_words(&self) -> String {
        match self {
            Self::Ok => "ok".to_owned(),
            Self::Error => "error".to_owned(),
            Self::Cme(refusal) => format!("cme {}", refusal.text),
            Self::Cms(refusal) => format!("cms {}", refusal.text),
            Self::Call(word) => format!("{word:?}"),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The lines before its end.
    pub lines: Vec<String>,
    /// How it ended.
    pub result: Final,
}

impl Answer {
    /// Whether the command was carried out.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.result == Final::Ok
    }

    /// The first line.
    #[must_use]
    pub fn first(&self) -> &str {
        self.lines.first().map_or("", String::as_str)
    }
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The answer to the command that was sent.
    Answer(Answer),
    /// The modem waits for the message of the command.
    Prompt,
    /// Something it says by itself.
    Event(Event),
    /// Nothing that is known.
    Noise(String),
}

/// Most lines of one answer that are kept.
const MOST_LINES: usize = 1024;

/// The talk with one modem.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    reader: Reader,
    waiting: Option<Command>,
    lines: Vec<String>,
    /// A line before spoke of a PDU.
    pdu_follows: Option<bool>,
}

impl Exchange {
    /// Begins with a command: the bytes to send. The answer to one before is no longer waited for.
    pub fn send(&mut self, command: Command) -> Vec<u8> {
        self.lines.clear();
        let mut bytes = command.text.clone().into_bytes();
        bytes.push(b'\r');
        self.waiting = Some(command);
        bytes
    }

    /// The answer is waited for no longer.
    pub fn give_up(&mut self) {
        self.waiting = None;
        self.lines.clear();
    }

    /// Whether the line that has no end yet can come from no modem.
    #[must_use]
    pub fn is_garbled(&self) -> bool {
        let rest = self.reader.rest();
        rest.is_none_or(|rest| !rest.trim().is_empty() && !is_a_modems(rest.trim()))
    }

    /// The port was opened anew.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes bytes that came.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Said> {
        self.reader.feed(bytes).into_iter().filter_map(|heard| self.tell(heard)).collect()
    }

    fn tell(&mut self, heard: Heard) -> Option<Said> {
        let line = match heard {
            Heard::Prompt => {
                return self.waiting.as_ref().is_some_and(|command| command.message.is_some()).then_some(Said::Prompt);
            }
            Heard::Line(line) => line,
        };
        if let Some(report) = self.pdu_follows.take()
            && is_pdu(&line)
        {
            return Some(Said::Event(Event::Pdu { report, digits: line }));
        }
        let Some(command) = &self.waiting else { return Some(self.unasked(line)) };
        // With echo on, what was sent comes back before the answer.
        if line == command.text || command.message.as_ref().is_some_and(|message| line.trim_end_matches('\u{1a}') == message) {
            return None;
        }
        if let Some(result) = Final::parse(&line) {
            return Some(self.end(result));
        }
        if let Some(word) = Word::parse(&line) {
            // Only a dial is answered by it; to every other command it is news that came in between.
            return Some(if command.dials() { self.end(Final::Call(word)) } else { Said::Event(Event::Word(word)) });
        }
        let awaited = match command.prefix {
            Some(prefix) => {
                line.strip_prefix(prefix).is_some_and(|rest| rest.trim_start().starts_with(':'))
                    // The PDU of a message stands on a line of its own.
                    || (matches!(prefix, "+CMGR" | "+CMGL") && !self.lines.is_empty() && is_pdu(&line))
            }
            None => Event::parse(&line).is_none(),
        };
        if awaited {
            if self.lines.len() < MOST_LINES {
                self.lines.push(line);
            }
            return None;
        }
        Some(self.unasked(line))
    }

    fn unasked(&mut self, line: String) -> Said {
        match Event::parse(&line) {
            Some(event) => {
                self.pdu_follows = match event {
                    Event::ReportFollows => Some(true),
                    Event::TextFollows => Some(false),
                    _ => None,
                };
                Said::Event(event)
            }
            None => Said::Noise(line),
        }
    }

    fn end(&mut self, result: Final) -> Said {
        self.waiting = None;
        Said::Answer(Answer { lines: std::mem::take(&mut self.lines), result })
    }
}

/// Whether an unknown line may come from a modem: an answer that is late, an echo, or news, which all begin alike.
#[must_use]
pub fn is_a_modems(line: &str) -> bool {
    let mut chars = line.chars();
    let begins_so = matches!(chars.next(), Some('+' | '^' | '*' | '%')) && chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    begins_so || line.starts_with("AT") || line.starts_with('>') || Final::parse(line).is_some()
}

fn is_pdu(line: &str) -> bool {
    line.len() >= 14 && line.len().is_multiple_of(2) && line.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clcc() -> Command {
        Command::new("AT+CLCC").answered_by("+CLCC")
    }

    fn ok(lines: &[&str]) -> Said {
        Said::Answer(Answer { lines: lines.iter().map(|&line| line.to_owned()).collect(), result: Final::Ok })
    }

    #[test]
    fn echo_and_news_are_told_apart_from_the_answer() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.send(clcc()), b"AT+CLCC\r");
        let said = exchange.hear(b"AT+CLCC\r\r\n^RSSI:17\r\n\r\n+CLCC: 1,0,3,0,0,\"139\",129\r\n\r\nBUSY\r\n\r\nOK\r\n");
        assert_eq!(
            said,
            [Said::Event(Event::Idle), Said::Event(Event::Word(Word::Busy)), ok(&["+CLCC: 1,0,3,0,0,\"139\",129"]),]
        );
    }

    #[test]
    fn a_dial_is_answered_by_a_word_and_other_commands_are_not() {
        let mut exchange = Exchange::default();
        let _ = exchange.send(Command::new("ATD139;"));
        assert_eq!(
            exchange.hear(b"\r\nNO CARRIER\r\n"),
            [Said::Answer(Answer { lines: Vec::new(), result: Final::Call(Word::NoCarrier) })]
        );
        assert_eq!(exchange.hear(b"\r\nNO CARRIER\r\n"), [Said::Event(Event::Word(Word::NoCarrier))]);
    }

    #[test]
    fn errors_by_number_and_by_words() {
        for (line, result) in [
            ("+CME ERROR: 30", Final::Cme(Refusal { code: Some(30), text: "30".into() })),
            ("+CME ERROR: no network service", Final::Cme(Refusal { code: None, text: "no network service".into() })),
            ("+CMS ERROR: 322", Final::Cms(Refusal { code: Some(322), text: "322".into() })),
            ("ERROR", Final::Error),
        ] {
            let mut exchange = Exchange::default();
            let _ = exchange.send(Command::new("AT+X"));
            assert_eq!(
                exchange.hear(format!("\r\n{line}\r\n").as_bytes()),
                [Said::Answer(Answer { lines: Vec::new(), result })],
                "{line}"
            );
        }
    }

    #[test]
    fn a_message_waits_for_the_prompt() {
        let mut exchange = Exchange::default();
        let _ = exchange.send(Command::new("AT+CMGS=20").answered_by("+CMGS").followed_by("0011".into()));
        assert_eq!(exchange.hear(b"\r\n> "), [Said::Prompt]);
        assert_eq!(exchange.hear(b"0011\x1a\r\n+CMGS: 42\r\n\r\nOK\r\n"), [ok(&["+CMGS: 42"])]);
        assert_eq!(exchange.hear(b"\r\n> "), [], "nobody asked");
    }

    #[test]
    fn pdus_belong_to_the_line_before() {
        let mut exchange = Exchange::default();
        let _ = exchange.send(Command::new("AT+CMGR=3").answered_by("+CMGR"));
        let pdu = "0791683108200005F0240BA1";
        assert_eq!(exchange.hear(format!("+CMGR: 0,,12\r\n{pdu}\r\nOK\r\n").as_bytes()), [ok(&["+CMGR: 0,,12", pdu])]);
        let news = exchange.hear(format!("+CDS: 12\r\n{pdu}\r\n").as_bytes());
        assert_eq!(news, [Said::Event(Event::ReportFollows), Said::Event(Event::Pdu { report: true, digits: pdu.into() }),]);
    }

    #[test]
    fn a_name_may_be_any_line_but_news_are_none() {
        let mut exchange = Exchange::default();
        let _ = exchange.send(Command::new("AT+CGMM").answered_by_anything());
        assert_eq!(exchange.hear(b"SMS Ready\r\nSIM800L\r\nOK\r\n"), [Said::Event(Event::Idle), ok(&["SIM800L"])]);
    }

    #[test]
    fn what_no_modem_says_is_told_from_what_is_only_unknown() {
        for (bytes, garbled) in [
            (&b""[..], false),
            (b"\r\n+CRE", false),
            (b"AT", false),
            (b"> ", false),
            (b"login: ", true),
            (b"\xff\xfe\x01\x02", true),
        ] {
            let mut exchange = Exchange::default();
            let _ = exchange.hear(bytes);
            assert_eq!(exchange.is_garbled(), garbled, "{bytes:?}");
        }
        let mut exchange = Exchange::default();
        let _ = exchange.hear(&[b'x'; 5000]);
        assert!(exchange.is_garbled(), "a line without end");
        for (line, known) in
            [("OK", true), ("+XNEWS: 1", true), ("^XNEWS", true), ("$GPGGA,1", false), ("+1", false), ("hello", false)]
        {
            assert_eq!(is_a_modems(line), known, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(bytes in proptest::collection::vec(any::<u8>(), 0..400), dials: bool) {
            let mut exchange = Exchange::default();
            let _ = exchange.send(if dials { Command::new("ATD1;") } else { clcc() });
            let _ = exchange.hear(&bytes);
            prop_assert!(exchange.lines.len() <= MOST_LINES);
        }
    }
}
