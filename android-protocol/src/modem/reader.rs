//! What a port brings, cut into lines.

/// Longest line that is kept, in bytes: more than the longest message of a SIM needs. What is longer is noise.
const LONGEST: usize = 2048;

/// Something whole that came from the modem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A line, without its end and without blanks around it; never empty.
    Line(String),
    /// The modem waits for a message: `> `, which no line end follows.
    Prompt,
}

/// Puts bytes together to lines, however they are cut.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    partial: Vec<u8>,
    /// The rest of a line that is too long.
    skipping: bool,
}

impl Reader {
    /// Takes what came, and gives what is whole now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    heard.extend(self.line());
                    self.skipping = false;
                }
                // Modems send some when they get power.
                0 => {}
                _ if self.skipping => {}
                byte => {
                    self.partial.push(byte);
                    if self.partial == b"> " {
                        self.partial.clear();
                        heard.push(Heard::Prompt);
                    } else if self.partial.len() > LONGEST {
                        self.partial.clear();
                        self.skipping = true;
                    }
                }
            }
        }
        heard
    }

    /// Forgets half a line, as when the port was opened anew.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What has come of a line that has no end yet; `None` of one that is too long.
    #[must_use]
    pub fn rest(&self) -> Option<String> {
        (!self.skipping).then(|| String::from_utf8_lossy(&self.partial).into_owned())
    }

    fn line(&mut self) -> Option<Heard> {
        let line = String::from_utf8_lossy(&self.partial).trim().to_owned();
        self.partial.clear();
        match line.as_str() {
            "" => None,
            ">" => Some(Heard::Prompt),
            _ => Some(Heard::Line(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(heard: &[Heard]) -> Vec<&str> {
        heard.iter().map(|heard| if let Heard::Line(line) = heard { line.as_str() } else { ">" }).collect()
    }

    #[test]
    fn half_a_line_waits_for_the_rest() {
        let mut reader = Reader::default();
        assert_eq!(reader.feed(b"\0\0\r\n+CL"), []);
        assert_eq!(lines(&reader.feed(b"CC: 1,0\r\n\r\nOK\r")), ["+CLCC: 1,0", "OK"]);
        assert_eq!(lines(&reader.feed(b"\n\r\n> ")), [">"]);
        assert_eq!(lines(&reader.feed(b"\r\n>\r\n")), [">"]);
    }

    #[test]
    fn a_line_without_end_is_noise() {
        let mut reader = Reader::default();
        assert_eq!(reader.feed(&vec![b'x'; 100_000]), []);
        assert!(reader.partial.len() <= LONGEST);
        assert_eq!(lines(&reader.feed(b"x\r\nOK\r\n")), ["OK"]);
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(lines in proptest::collection::vec("[ -=?-~]{0,40}", 0..8), cuts in proptest::collection::vec(1_usize..9, 1..40)) {
            let text = lines.join("\r\n") + "\r\n";
            let whole = Reader::default().feed(text.as_bytes());
            let (mut reader, mut cut, mut rest) = (Reader::default(), Vec::new(), text.as_bytes());
            for size in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at(rest.len().min(*size));
                cut.extend(reader.feed(head));
                rest = tail;
            }
            prop_assert_eq!(whole, cut);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            for heard in Reader::default().feed(&bytes) {
                prop_assert_ne!(heard, Heard::Line(String::new()));
            }
        }
    }
}
