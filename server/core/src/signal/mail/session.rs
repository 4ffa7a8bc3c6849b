//! A conversation over SMTP, from this server's side: bytes in, replies and questions out (RFC 5321, pipelining by RFC 2920). It knows
//! neither connections nor who the recipients are: whoever runs it is asked.
//!
//! It takes letters for its own recipients and does nothing else: no relaying, no looking up, no letters of its own.

use super::data::{Data, Progress};

/// A line is no longer, in bytes, with its end.
const LONGEST_LINE: usize = 1_000;
/// Of a longer one so much is heard before the conversation ends.
const LONGEST_HEARD: usize = 64 << 10;
/// Recipients of one letter.
const MOST_RECIPIENTS: usize = 10;
/// Mistakes in one conversation.
const MOST_FAULTS: usize = 10;
/// Letters in one conversation.
const MOST_LETTERS: usize = 100;
/// Commands in one conversation.
const MOST_COMMANDS: usize = 1_000;
/// A sentence of somebody else's is cut here, in characters.
const LONGEST_SENTENCE: usize = 300;

/// What this server is, to whoever sends.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Its name.
    pub host: String,
    /// The longest letter, in bytes.
    pub longest: usize,
}

/// What the conversation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A command.
    Command,
    /// The rest of a letter.
    Letter,
}

/// What has to be found out before the conversation goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Question<R> {
    /// Whether there is such a recipient; [`Session::recipient`] goes on.
    Recipient(String),
    /// Whether this letter is taken for these; [`Session::letter`] goes on.
    Letter(Vec<u8>, Vec<R>),
}

/// Whether there is a recipient.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// This one.
    Known(R),
    /// There is none, and the conversation ends with that or goes on.
    Unknown {
        /// It ends.
        ends: bool,
    },
    /// It cannot be said now.
    Later,
}

/// What has become of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Taken,
    /// It is to be sent again later.
    Later,
    /// It is not wanted, also not later; why.
    Refused(String),
}

/// Why a conversation is ended by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It takes too long.
    Slow,
    /// The server stops.
    Stopping,
    /// There is no place for it.
    Full,
}

impl Parting {
    /// What is said.
    #[must_use]
    pub fn reply(self) -> &'static str {
        match self {
            Self::Slow => "421 4.4.2 this took too long\r\n",
            Self::Stopping => "421 4.3.2 the server stops: try again later\r\n",
            Self::Full => "421 4.7.0 too many connections: try again later\r\n",
        }
    }
}

/// How much of what came was heard, and what has to be found out now.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn<R> {
    /// So many bytes; the others have to be said again.
    pub heard: usize,
    /// Nothing goes on before it is answered.
    pub asks: Option<Question<R>>,
}

/// A conversation. `R` is what whoever runs it knows of a recipient.
#[derive(Debug)]
pub struct Session<R> {
    rules: Rules,
    line: Vec<u8>,
    skipped: usize,
    greeted: bool,
    /// There is a sender, so recipients may be named.
    begun: bool,
    recipients: Vec<R>,
    data: Option<Data>,
    asking: bool,
    /// It ends, though not before the letter that has recipients already: who is right is not refused because another is wrong.
    ending: bool,
    over: bool,
    faults: usize,
    letters: usize,
    commands: usize,
}

impl<R> Session<R> {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            line: Vec::new(),
            skipped: 0,
            greeted: false,
            begun: false,
            recipients: Vec::new(),
            data: None,
            asking: false,
            ending: false,
            over: false,
            faults: 0,
            letters: 0,
            commands: 0,
        }
    }

    /// The first word, which is this server's.
    pub fn greet(&self, out: &mut Vec<u8>) {
        say(out, &format!("220 {} ESMTP: mail for keys only", self.rules.host));
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What it waits for, and how many commands and letters came before: where that changes, something has come to its end.
    #[must_use]
    pub fn phase(&self) -> (Phase, usize) {
        (if self.data.is_some() { Phase::Letter } else { Phase::Command }, self.commands + self.letters)
    }

    /// Ends it.
    pub fn part(&mut self, why: Parting, out: &mut Vec<u8>) {
        out.extend_from_slice(why.reply().as_bytes());
        self.over = true;
    }

    /// Hears what has come, up to the first question.
    pub fn hear(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Turn<R> {
        let mut heard = 0;
        for byte in bytes {
            if self.over || self.asking {
                break;
            }
            heard += 1;
            let asks = if self.data.is_some() { self.hear_letter(*byte, out) } else { self.hear_line(*byte, out) };
            if asks.is_some() {
                self.asking = true;
                return Turn { heard, asks };
            }
        }
        // What comes after the end is for nobody.
        Turn { heard: if self.over { bytes.len() } else { heard }, asks: None }
    }

    /// Goes on after a recipient was asked for.
    pub fn recipient(&mut self, verdict: Verdict<R>, out: &mut Vec<u8>) {
        self.asking = false;
        match verdict {
            Verdict::Known(recipient) => {
                self.recipients.push(recipient);
                say(out, "250 2.1.5 good");
            }
            Verdict::Unknown { ends } => {
                self.ending |= ends;
                self.fault(out, "550 5.1.1 there is no such recipient here");
            }
            Verdict::Later => say(out, "451 4.3.0 nobody can be looked up now: try again later"),
        }
        self.end_in_time(out);
    }

    /// Goes on after a letter was handed over.
    pub fn letter(&mut self, outcome: Outcome, out: &mut Vec<u8>) {
        self.asking = false;
        match outcome {
            Outcome::Taken => say(out, "250 2.0.0 taken"),
            Outcome::Later => say(out, "451 4.3.0 it cannot be stored now: try again later"),
            Outcome::Refused(why) => {
                let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
                let why: String = why.chars().take(LONGEST_SENTENCE).map(printable).collect();
                say(out, &format!("554 5.6.0 {why}"));
            }
        }
        self.end_in_time(out);
    }

    fn hear_letter(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Question<R>> {
        let progress = self.data.as_mut().map_or(Progress::More, |data| data.hear(byte));
        if progress == Progress::More {
            return None;
        }
        let data = self.data.take()?;
        self.begun = false;
        let recipients = std::mem::take(&mut self.recipients);
        match progress {
            Progress::Ended => {
                self.letters += 1;
                if let Some(letter) = data.letter() {
                    return Some(Question::Letter(letter, recipients));
                }
                say(out, &self.too_long());
            }
            Progress::Doubtful => {
                self.over = true;
                say(out, "521 5.5.2 a letter ends with a dot alone, and CR LF before and behind it: not with a bare LF");
            }
            Progress::Endless | Progress::More => {
                self.over = true;
                say(out, &self.too_long());
            }
        }
        self.end_in_time(out);
        None
    }

    fn too_long(&self) -> String {
        format!("552 5.3.4 a letter has at most {} bytes", self.rules.longest)
    }

    fn hear_line(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Question<R>> {
        if byte != b'\n' {
            if self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            } else {
                self.skipped += 1;
            }
            if self.skipped > LONGEST_HEARD {
                self.over = true;
                say(out, "500 5.5.2 the line does not end");
            }
            return None;
        }
        let (mut line, skipped) = (std::mem::take(&mut self.line), std::mem::take(&mut self.skipped));
        self.commands += 1;
        let mut asks = None;
        if self.commands > MOST_COMMANDS {
            self.over = true;
            say(out, "421 4.7.0 too many commands");
        } else if skipped > 0 || line.len() >= LONGEST_LINE {
            self.fault(out, "500 5.5.2 the line is too long");
        } else if line.pop() != Some(b'\r') || line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            // Where lines end is where commands begin: nobody is to see others than whoever stands in front.
            self.fault(out, "500 5.5.2 a line ends with CR LF, and holds neither of them");
        } else {
            asks = self.command(&String::from_utf8_lossy(&line), out);
        }
        self.end_in_time(out);
        asks
    }

    fn command(&mut self, line: &str, out: &mut Vec<u8>) -> Option<Question<R>> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb.trim().to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.begin_again();
                self.greeted = true;
                let (host, longest) = (&self.rules.host, self.rules.longest);
                let offers =
                    format!("250-{host}\r\n250-PIPELINING\r\n250-SIZE {longest}\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES");
                say(out, &offers);
            }
            "HELO" => {
                self.begin_again();
                self.greeted = true;
                say(out, &format!("250 {}", self.rules.host));
            }
            "MAIL" => self.mail(rest, out),
            "RCPT" => return self.rcpt(rest, out),
            "DATA" => self.begin_letter(rest, out),
            "RSET" => {
                self.begin_again();
                say(out, "250 2.0.0 done");
            }
            "NOOP" => say(out, "250 2.0.0 done"),
            "QUIT" => {
                self.over = true;
                say(out, "221 2.0.0 goodbye");
            }
            "VRFY" | "EXPN" | "HELP" | "AUTH" | "STARTTLS" | "TURN" | "ETRN" | "BDAT" => {
                self.fault(out, "502 5.5.1 this is not done here");
            }
            // A page in somebody's browser can be made to send a form to any port.
            "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" => {
                self.over = true;
                say(out, "421 4.7.0 this is no HTTP");
            }
            _ => self.fault(out, "500 5.5.1 there is no such command"),
        }
        None
    }

    fn begin_again(&mut self) {
        self.begun = false;
        self.recipients.clear();
    }

    fn fault(&mut self, out: &mut Vec<u8>, reply: &str) {
        say(out, reply);
        self.faults += 1;
    }

    /// Ends what has to end, once no letter has recipients.
    fn end_in_time(&mut self, out: &mut Vec<u8>) {
        if self.over || !self.recipients.is_empty() {
            return;
        }
        if self.ending {
            self.over = true;
        } else if self.faults >= MOST_FAULTS {
            self.over = true;
            say(out, "421 4.7.0 too many mistakes");
        }
    }

    fn mail(&mut self, rest: &str, out: &mut Vec<u8>) {
        if !self.greeted {
            return self.fault(out, "503 5.5.1 say EHLO or HELO first");
        }
        if self.begun {
            return self.fault(out, "503 5.5.1 there is a sender already: say RSET first");
        }
        if self.letters >= MOST_LETTERS {
            self.over = true;
            return say(out, "421 4.7.0 enough letters for one connection: come again");
        }
        let Some((_, parameters)) = path(rest, "FROM:") else {
            return self.fault(out, "501 5.5.4 write MAIL FROM:<ADDRESS>");
        };
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value_is = |one: &str| value.eq_ignore_ascii_case(one);
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => match value.parse::<u64>() {
                    Ok(size) if usize::try_from(size).is_ok_and(|size| size <= self.rules.longest) => {}
                    _ => return say(out, &self.too_long()),
                },
                "BODY" if value_is("7BIT") || value_is("8BITMIME") => {}
                _ => return self.fault(out, "555 5.5.4 this parameter is not known"),
            }
        }
        self.begun = true;
        say(out, "250 2.1.0 good");
    }

    fn rcpt(&mut self, rest: &str, out: &mut Vec<u8>) -> Option<Question<R>> {
        if !self.begun {
            self.fault(out, "503 5.5.1 say MAIL first");
        } else if self.recipients.len() >= MOST_RECIPIENTS {
            say(out, "452 4.5.3 too many recipients: send the letter to the others by itself");
        } else if self.faults >= MOST_FAULTS {
            say(out, "452 4.5.3 too many mistakes: send the letter to the others by itself");
        } else if let Some((address, parameters)) = path(rest, "TO:") {
            if parameters.trim().is_empty() {
                return Some(Question::Recipient(address.to_owned()));
            }
            self.fault(out, "555 5.5.4 this parameter is not known");
        } else {
            self.fault(out, "501 5.5.4 write RCPT TO:<ADDRESS>");
        }
        None
    }

    fn begin_letter(&mut self, rest: &str, out: &mut Vec<u8>) {
        if !rest.is_empty() {
            self.fault(out, "501 5.5.4 write DATA alone");
        } else if self.recipients.is_empty() {
            self.fault(out, "503 5.5.1 there is no recipient");
        } else {
            self.data = Some(Data::new(self.rules.longest));
            say(out, "354 send it, and end it with a dot alone");
        }
    }
}

fn say(out: &mut Vec<u8>, reply: &str) {
    out.extend_from_slice(reply.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The address in `FROM:<ADDRESS> PARAMETERS`, and the parameters. Simple devices leave out the brackets; a route in front is dropped.
fn path<'l>(rest: &'l str, word: &str) -> Option<(&'l str, &'l str)> {
    let is_word = rest.get(..word.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(word));
    let rest = rest.get(word.len()..).filter(|_| is_word)?.trim_start();
    let (address, parameters) = match rest.strip_prefix('<') {
        Some(inside) => inside.split_once('>')?,
        None => rest.split_once(' ').unwrap_or((rest, "")),
    };
    let routed = address.strip_prefix('@').and_then(|route| route.split_once(':')).map(|(_, address)| address);
    let is_bare = rest.starts_with('<') || !address.is_empty();
    is_bare.then_some((routed.unwrap_or(address).trim(), parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONGEST: usize = 200;

    /// A letter that was taken, and to whom.
    type Taken = (Vec<u8>, Vec<String>);

    /// What was replied, and the letters that were taken, when it is said in pieces of these lengths.
    fn talk(said: &[u8], pieces: &[usize]) -> (String, Vec<Taken>) {
        let mut session = Session::new(Rules { host: "alerts.example".to_owned(), longest: LONGEST });
        let (mut out, mut letters, mut rest) = (Vec::new(), Vec::new(), said);
        session.greet(&mut out);
        let mut lengths = pieces.iter().copied().chain(std::iter::repeat(usize::MAX));
        while !rest.is_empty() {
            let length = lengths.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            let (mut piece, after) = rest.split_at(length);
            rest = after;
            while !piece.is_empty() {
                let turn = session.hear(piece, &mut out);
                piece = piece.split_at(turn.heard).1;
                match turn.asks {
                    Some(Question::Recipient(address)) => {
                        let verdict = match address.as_str() {
                            "good@x" | "other@x" => Verdict::Known(address),
                            "later@x" => Verdict::Later,
                            _ => Verdict::Unknown { ends: address == "last@x" },
                        };
                        session.recipient(verdict, &mut out);
                    }
                    Some(Question::Letter(letter, to)) => {
                        let outcome = match letter.as_slice() {
                            b"later\r\n" => Outcome::Later,
                            b"never\r\n" => Outcome::Refused("no\r\n250 ol\u{e9}".to_owned()),
                            _ => Outcome::Taken,
                        };
                        letters.push((letter, to));
                        session.letter(outcome, &mut out);
                    }
                    None => {}
                }
            }
        }
        (String::from_utf8_lossy(&out).into_owned(), letters)
    }

    /// The status of each reply.
    fn statuses(said: &str) -> Vec<String> {
        let (replies, _) = talk(said.as_bytes(), &[]);
        let last_lines = replies.lines().filter(|line| line.as_bytes().get(3) != Some(&b'-'));
        last_lines.filter_map(|line| line.get(..3).map(str::to_owned)).collect()
    }

    #[test]
    fn a_letter_is_taken_and_the_next_one_too() {
        let one = "MAIL FROM:<ups@x> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<good@x>\r\nRCPT TO:<other@x>\r\nDATA\r\nbattery\r\n.\r\n";
        let (replies, letters) = talk(format!("EHLO ups\r\n{one}{one}QUIT\r\nNOOP\r\n").as_bytes(), &[]);
        let both = (b"battery\r\n".to_vec(), vec!["good@x".to_owned(), "other@x".to_owned()]);
        assert_eq!(letters, [both.clone(), both]);
        assert!(
            replies.contains("250-SIZE 200\r\n") && replies.ends_with("250 2.0.0 taken\r\n221 2.0.0 goodbye\r\n"),
            "{replies}"
        );
    }

    #[test]
    fn what_simple_devices_write_is_understood() {
        let said = "helo ups\r\nmail from: ups@x\r\nrcpt to: good@x\r\nRCPT TO:<@relay.example,@b:other@x>\r\ndata\r\n.\r\n";
        assert_eq!(statuses(said), ["220", "250", "250", "250", "250", "354", "250"]);
        assert_eq!(statuses("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<good@x>\r\n"), ["220", "250", "250", "250"]);
    }

    #[test]
    fn nothing_else_is_done() {
        for verb in ["VRFY good", "EXPN all", "AUTH LOGIN", "STARTTLS", "ETRN x", "HELP", "BDAT 9 LAST"] {
            assert_eq!(statuses(&format!("{verb}\r\n")), ["220", "502"], "{verb}");
        }
        assert_eq!(statuses("POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<x>\r\n"), ["220", "421"]);
        assert_eq!(statuses("MAIL FROM:<x>\r\nHELO x\r\nRCPT TO:<good@x>\r\nDATA\r\n"), ["220", "503", "250", "503", "503"]);
        let too_much = "HELO x\r\nMAIL FROM:<x> SIZE=201\r\nMAIL FROM:<x> SMTPUTF8\r\nMAIL FROM:<x\r\nMAIL\r\n";
        assert_eq!(statuses(too_much), ["220", "250", "552", "555", "501", "501"]);
    }

    #[test]
    fn recipients_that_are_wrong_cannot_be_told_apart_and_end_it() {
        let begin = "HELO x\r\nMAIL FROM:<x>\r\n";
        let (replies, _) = talk(format!("{begin}RCPT TO:<none@x>\r\nRCPT TO:<none@elsewhere>\r\nRCPT TO:<>\r\n").as_bytes(), &[]);
        assert_eq!(replies.matches("550 5.1.1 there is no such recipient here\r\n").count(), 3, "{replies}");
        let (replies, _) = talk(format!("{begin}RCPT TO:<last@x>\r\nRCPT TO:<good@x>\r\n").as_bytes(), &[]);
        assert!(replies.ends_with("recipient here\r\n"), "{replies}");
        assert_eq!(statuses(&format!("{begin}RCPT TO:<later@x>\r\nDATA\r\n")), ["220", "250", "250", "451", "503"]);
        let eleven = "RCPT TO:<good@x>\r\n".repeat(11);
        assert_eq!(statuses(&format!("{begin}{eleven}")).last().map(String::as_str), Some("452"));
        let guesses = "RCPT TO:<a@x>\r\n".repeat(99);
        assert_eq!(statuses(&format!("{begin}{guesses}")).len(), 3 + 10 + 1, "guessing ends");
    }

    #[test]
    fn a_wrong_recipient_does_not_end_a_letter_that_has_a_right_one() {
        let begin = "HELO x\r\nMAIL FROM:<x>\r\n";
        let good = "RCPT TO:<good@x>\r\n";
        let letter = "DATA\r\nfan\r\n.\r\n";
        let said = |rest: &str| statuses(&format!("{begin}{good}{rest}")).split_off(4);
        let mixed = format!("{begin}{good}RCPT TO:<last@x>\r\nRCPT TO:<other@x>\r\n{letter}MAIL FROM:<x>\r\n");
        let (replies, letters) = talk(mixed.as_bytes(), &[]);
        assert_eq!(letters, [(b"fan\r\n".to_vec(), vec!["good@x".to_owned(), "other@x".to_owned()])]);
        assert!(replies.ends_with("250 2.0.0 taken\r\n"), "it ends behind the answer to the letter: {replies}");
        for (letter, is) in [("later", "451"), ("never", "554"), (&*"x".repeat(300), "552")] {
            let rest = format!("RCPT TO:<last@x>\r\nDATA\r\n{letter}\r\n.\r\nNOOP\r\n");
            assert_eq!(said(&rest), ["550", "354", is]);
        }
        assert_eq!(said("RCPT TO:<last@x>\r\nRSET\r\nNOOP\r\n"), ["550", "250"], "there is no letter any more");
        let wrong = "RCPT TO:<a@x>\r\n".repeat(12);
        let mistakes = [&["550"; 10][..], &["452"; 3], &["354", "250", "421"]].concat();
        assert_eq!(said(&format!("{wrong}RCPT TO:<other@x>\r\n{letter}NOOP\r\n")), mistakes, "guessing ends all the same");
        assert_eq!(
            said(&format!("{}{letter}NOOP\r\n", "WHAT\r\n".repeat(10))),
            [&["500"; 10][..], &["354", "250", "421"]].concat()
        );
    }

    #[test]
    fn what_becomes_of_a_letter_is_said() {
        let begin = "HELO x\r\nMAIL FROM:<x>\r\nRCPT TO:<good@x>\r\nDATA\r\n";
        let said = |letter: &str| statuses(&format!("{begin}{letter}")).split_off(4);
        assert_eq!(said("\r\nlater\r\n.\r\n"), ["354", "250"]);
        assert_eq!(said("later\r\n.\r\nRCPT TO:<good@x>\r\n"), ["354", "451", "503"]);
        assert_eq!(said("never\r\n.\r\n"), ["354", "554"], "no second reply comes out of it");
        assert_eq!(said(&format!("{}\r\n.\r\nNOOP\r\n", "x".repeat(300))), ["354", "552", "250"]);
        assert_eq!(said(&"x".repeat(3_000)), ["354", "552"]);
        assert_eq!(said("x\n.\nMAIL FROM:<evil>\r\n"), ["354", "521"], "what follows is not heard");
    }

    #[test]
    fn lines_end_by_the_book_and_come_to_an_end() {
        assert_eq!(statuses("NOOP\nNO\rOP\r\nNOOP\r\n"), ["220", "500", "500", "250"]);
        assert_eq!(statuses(&format!("{}\r\nNOOP\r\n", "x".repeat(2_000))), ["220", "500", "250"]);
        assert_eq!(statuses(&"x".repeat(99_000)), ["220", "500"]);
        assert_eq!(statuses(&"NOOP\r\n".repeat(2_000)).len(), 1 + 1_000 + 1);
    }

    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec![
            "EHLO x\r\n",
            "MAIL FROM:<a@x>\r\n",
            "RCPT TO:<good@x>\r\n",
            "RCPT TO:<no@x>\r\n",
            "DATA\r\n",
            "later\r\n",
            ".\r\n",
            "\n.\n",
            "..\r\n",
            "RSET\r\n",
            "QUIT\r\n",
            "\r",
            "\n",
            "MAIL",
            "\u{7535}\r\n",
            "NOOP\r\n",
        ]);
        prop_oneof![
            4 => prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..300),
        ]
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_it_comes(said in words(), pieces in prop::collection::vec(1..9usize, 0..200)) {
            prop_assert_eq!(talk(&said, &pieces), talk(&said, &[]));
        }

        #[test]
        fn every_line_that_is_said_is_a_reply(said in words()) {
            let (replies, letters) = talk(&said, &[]);
            for line in replies.lines() {
                prop_assert!(line.len() < 600 && line.is_ascii() && line.bytes().take(3).all(|byte| byte.is_ascii_digit()), "{}", line);
            }
            prop_assert!(letters.iter().all(|(letter, to)| letter.len() <= LONGEST && !to.is_empty()));
        }
    }
}
