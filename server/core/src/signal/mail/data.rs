//! The lines of a letter as they come over SMTP, up to the dot that ends them.
//!
//! Only a dot between two CR LF ends a letter. A relay in front that also takes a bare LF for the end of a line sees one letter where
//! others see two, which is how letters are smuggled; so a dot alone beside a bare LF ends neither the letter nor the doubt, but the
//! conversation.

/// Of what is too long, so many times the longest letter is heard to its end.
const PATIENCE: usize = 4;

/// What has come of a letter.
#[derive(Debug)]
pub(super) struct Data {
    bytes: Vec<u8>,
    at: At,
    longest: usize,
    heard: usize,
    too_long: bool,
}

/// Where in a line it stands. A line is clean when the one before it ended with CR LF.
#[derive(Clone, Copy, Debug)]
enum At {
    Start { clean: bool },
    Dot { clean: bool },
    DotCr { clean: bool },
    Text,
    Cr,
}

/// How far a letter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More of it is to come.
    More,
    /// It is here.
    Ended,
    /// It has ended for some, and for others it has not.
    Doubtful,
    /// It is much too long, and does not end.
    Endless,
}

impl Data {
    /// A letter that is to come, of at most so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self { bytes: Vec::new(), at: At::Start { clean: true }, longest, heard: 0, too_long: false }
    }

    /// The letter; `None` where it is too long.
    pub(super) fn letter(self) -> Option<Vec<u8>> {
        (!self.too_long).then_some(self.bytes)
    }

    /// Hears one byte.
    pub(super) fn hear(&mut self, byte: u8) -> Progress {
        self.heard = self.heard.saturating_add(1);
        self.at = match (self.at, byte) {
            (At::DotCr { clean: true }, b'\n') => return Progress::Ended,
            (At::DotCr { .. } | At::Dot { .. }, b'\n') => return Progress::Doubtful,
            (At::Start { clean }, b'.') => At::Dot { clean },
            (At::Dot { clean }, b'\r') => At::DotCr { clean },
            (At::Dot { clean }, _) => {
                self.keep_dot(clean);
                self.text(byte)
            }
            (At::DotCr { clean }, _) => {
                self.keep_dot(clean);
                self.keep(b'\r');
                self.text(byte)
            }
            (At::Cr, b'\n') => {
                self.keep(b'\r');
                self.keep(b'\n');
                At::Start { clean: true }
            }
            (At::Cr, _) => {
                self.keep(b'\r');
                self.text(byte)
            }
            (At::Start { .. } | At::Text, _) => self.text(byte),
        };
        if self.heard > self.longest.saturating_mul(PATIENCE) { Progress::Endless } else { Progress::More }
    }

    /// A byte that is no dot at the beginning of a line.
    fn text(&mut self, byte: u8) -> At {
        match byte {
            b'\r' => At::Cr,
            b'\n' => {
                self.keep(byte);
                At::Start { clean: false }
            }
            _ => {
                self.keep(byte);
                At::Text
            }
        }
    }

    /// The dot at the beginning of a clean line was put there by whoever sends it (RFC 5321, 4.5.2).
    fn keep_dot(&mut self, clean: bool) {
        if !clean {
            self.keep(b'.');
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.bytes.len() < self.longest && !self.too_long {
            self.bytes.push(byte);
        } else if !self.too_long {
            self.too_long = true;
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    /// How it ends, after how many bytes, and what was kept.
    fn heard(bytes: &[u8], longest: usize) -> (Progress, usize, Option<Vec<u8>>) {
        let mut data = Data::new(longest);
        for (place, byte) in bytes.iter().enumerate() {
            let progress = data.hear(*byte);
            if progress != Progress::More {
                return (progress, place + 1, data.letter());
            }
        }
        (Progress::More, bytes.len(), data.letter())
    }

    #[test]
    fn a_dot_alone_ends_it_and_a_second_dot_is_taken_away() {
        assert_eq!(heard(b"a\r\n..b\r\n.c\r\n.\r\nQUIT", 99), (Progress::Ended, 15, Some(b"a\r\n.b\r\nc\r\n".to_vec())));
        assert_eq!(heard(b".\r\n", 99), (Progress::Ended, 3, Some(Vec::new())));
        assert_eq!(heard(b"a\n..b\r\n.\r\n", 99).2.unwrap(), b"a\n..b\r\n", "whoever ends lines otherwise puts no dot there");
        assert_eq!(heard(b"a\rb\r\r\n.\rx\r\n.\r\n", 99).2.unwrap(), b"a\rb\r\r\n\rx\r\n");
    }

    #[test]
    fn an_end_that_is_none_for_others_is_none() {
        for doubtful in ["a\n.\n", "a\n.\r\n", "a\r\n.\n", ".\n"] {
            assert_eq!(heard(doubtful.as_bytes(), 99).0, Progress::Doubtful, "{doubtful:?}");
        }
        for open in ["a\r.\r", "a\r.\r\n", "a\r\n.\r", "a.\r\n", "a\r\n.\r."] {
            assert_eq!(heard(open.as_bytes(), 99).0, Progress::More, "{open:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_heard_to_its_end_but_not_for_ever() {
        let long = [&b"x".repeat(20)[..], b"\r\n.\r\n"].concat();
        assert_eq!(heard(&long, 10), (Progress::Ended, 25, None));
        assert_eq!(heard(&b"x".repeat(99), 10), (Progress::Endless, 41, None));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_by_the_book_comes_as_it_was(lines in prop::collection::vec("[^\r\n]{0,20}", 0..8)) {
            let letter: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let sent: String = lines.iter().map(|line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") }).collect();
            let (progress, _, kept) = heard(format!("{sent}.\r\n").as_bytes(), 10_000);
            prop_assert_eq!(progress, Progress::Ended);
            prop_assert_eq!(kept.unwrap(), letter.into_bytes());
        }

        #[test]
        fn nothing_but_the_end_by_the_book_ends_it(bytes in prop::collection::vec(prop::sample::select(b"\r\n.x".to_vec()), 0..40)) {
            let (progress, place, _) = heard(&bytes, 10_000);
            let whole = [b"\r\n", &bytes[..]].concat();
            let by_the_book = (5..=place + 2).find(|end| whole[..*end].ends_with(b"\r\n.\r\n"));
            prop_assert_eq!(progress == Progress::Ended, by_the_book == Some(place + 2));
        }
    }
}
