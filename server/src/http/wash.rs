//! JSON as it comes: with a byte order mark, with raw control characters, with half a surrogate pair, in bytes that are no UTF-8.
//!
//! None of that is a reason to leave people asleep. What a parser would refuse is put right before it sees it; that something was
//! put right is told, so that the timeline can say so. Encodings that are not meant to be guessed are refused.

use std::borrow::Cow;

use axum::http::StatusCode;

use crate::http::problem::{Code, Problem};

const REPLACEMENT: &[u8] = b"\\ufffd";

/// Washes JSON that comes in pieces. Whatever it gives out is no longer than what it was given, but for control characters, which
/// become escapes.
#[derive(Debug)]
pub struct Washer {
    longest: usize,
    seen: usize,
    state: State,
    /// Half of a pair, which waits for the other half.
    high: Option<[u8; 4]>,
    /// Bytes of the string so far.
    length: usize,
    /// The string was too long, and the rest of it is dropped.
    dropping: bool,
    cleaned: bool,
    clipped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    Backslash,
    Unicode([u8; 4], usize),
}

/// JSON that a parser can read.
#[derive(Debug)]
pub struct Washed<'b> {
    /// The text.
    pub text: Cow<'b, str>,
    /// Something was put right.
    pub cleaned: bool,
}

/// Washes a whole body.
///
/// # Errors
/// When it is in an encoding that is not taken.
pub fn wash(body: &[u8]) -> Result<Washed<'_>, Problem> {
    refuse_wide(body)?;
    let body = body.strip_prefix(BOM).unwrap_or(body);
    let sound =
        |text: &str| !text.bytes().any(|byte| byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')) && !text.contains("\\u");
    if let Ok(text) = std::str::from_utf8(body)
        && sound(text)
        && !text.contains(['\n', '\r', '\t'])
    {
        return Ok(Washed { text: Cow::Borrowed(text), cleaned: false });
    }
    let mut washer = Washer::new(usize::MAX);
    let mut washed = Vec::with_capacity(body.len());
    washer.feed(body, &mut washed);
    let text = String::from_utf8_lossy(&washed);
    let cleaned = washer.cleaned() || matches!(text, Cow::Owned(_));
    Ok(Washed { text: Cow::Owned(text.into_owned()), cleaned })
}

/// With this some programs begin what they write in UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// Refuses UTF-16 and UTF-32: JSON begins with an ASCII character, so that its first bytes tell them apart.
///
/// # Errors
/// When it is one of them.
pub fn refuse_wide(begins: &[u8]) -> Result<(), Problem> {
    let marked = begins.starts_with(b"\xff\xfe") || begins.starts_with(b"\xfe\xff");
    if marked || begins.iter().take(2).any(|byte| *byte == 0) {
        return Err(unsupported("the body is in UTF-16 or UTF-32: send it in UTF-8"));
    }
    Ok(())
}

/// A body in an encoding that is not taken.
pub fn unsupported(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedEncoding, detail)
}

impl Washer {
    /// Strings are cut after so many bytes.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self { longest, seen: 0, state: State::Outside, high: None, length: 0, dropping: false, cleaned: false, clipped: false }
    }

    /// Something was put right.
    #[must_use]
    pub fn cleaned(&self) -> bool {
        self.cleaned
    }

    /// A string was cut.
    #[must_use]
    pub fn clipped(&self) -> bool {
        self.clipped
    }

    /// Takes the next piece and appends what is left of it.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            if self.seen < BOM.len() && byte == BOM[self.seen] {
                self.seen += 1;
                rest = after;
                continue;
            }
            self.seen = BOM.len();
            // Most of it needs no washing, and goes through as it is.
            let plain = match self.state {
                State::Outside => rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len()),
                State::Inside => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len()),
                State::Backslash | State::Unicode(..) => 0,
            };
            if plain > 0 {
                let (through, after) = rest.split_at(plain);
                match self.state {
                    State::Outside => out.extend_from_slice(through),
                    _ => {
                        self.lone(out);
                        self.put(through, out);
                    }
                }
                rest = after;
                continue;
            }
            self.step(byte, out);
            rest = after;
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = match (self.state, byte) {
            (State::Outside, _) => {
                out.push(byte);
                (self.length, self.dropping) = (0, false);
                State::Inside
            }
            (State::Inside, b'"') => {
                self.lone(out);
                out.push(byte);
                State::Outside
            }
            (State::Inside, b'\\') => State::Backslash,
            (State::Inside, _) => {
                self.lone(out);
                match byte {
                    b'\n' => self.put(b"\\n", out),
                    b'\r' => self.put(b"\\r", out),
                    b'\t' => self.put(b"\\t", out),
                    _ => self.put(format!("\\u{byte:04x}").as_bytes(), out),
                }
                State::Inside
            }
            (State::Backslash, b'u') => State::Unicode([0; 4], 0),
            (State::Backslash, _) => {
                self.lone(out);
                self.put(&[b'\\', byte], out);
                State::Inside
            }
            (State::Unicode(mut digits, count), _) if byte.is_ascii_hexdigit() => {
                digits[count] = byte;
                if count < 3 {
                    State::Unicode(digits, count + 1)
                } else {
                    self.escape(digits, out);
                    State::Inside
                }
            }
            // No escape at all: the parser says so.
            (State::Unicode(digits, count), _) => {
                self.lone(out);
                out.extend_from_slice(b"\\u");
                out.extend_from_slice(&digits[..count]);
                self.state = State::Inside;
                return self.step(byte, out);
            }
        };
    }

    /// An escape of four digits.
    fn escape(&mut self, digits: [u8; 4], out: &mut Vec<u8>) {
        let value = digits.iter().fold(0_u32, |value, digit| value * 16 + char::from(*digit).to_digit(16).unwrap_or_default());
        match (value, self.high) {
            (0xd800..=0xdbff, _) => {
                self.lone(out);
                self.high = Some(digits);
            }
            (0xdc00..=0xdfff, Some(high)) => {
                self.high = None;
                let pair = [b"\\u".as_slice(), &high, b"\\u", &digits].concat();
                self.put(&pair, out);
            }
            (0xdc00..=0xdfff, None) => {
                self.cleaned = true;
                self.put(REPLACEMENT, out);
            }
            _ => {
                self.lone(out);
                self.put(&[b"\\u".as_slice(), &digits].concat(), out);
            }
        }
    }

    /// Half of a pair whose other half did not come.
    fn lone(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            self.cleaned = true;
            self.put(REPLACEMENT, out);
        }
    }

    /// Puts something into the string, as long as there is room. A character is never cut in two.
    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.dropping {
            return;
        }
        let room = self.longest.saturating_sub(self.length);
        if bytes.len() <= room {
            self.length += bytes.len();
            out.extend_from_slice(bytes);
            return;
        }
        (self.dropping, self.clipped) = (true, true);
        if bytes.first() != Some(&b'\\') {
            let mut cut = room;
            while cut > 0 && bytes[cut] & 0xc0 == 0x80 {
                cut -= 1;
            }
            out.extend_from_slice(&bytes[..cut]);
        }
    }
}

/// Text from outside without what cannot be stored or shown: colours of a terminal and other control characters, but for line breaks
/// and tabs. Says whether anything was taken out.
#[must_use]
pub fn printable(text: &str) -> (Cow<'_, str>, bool) {
    let stays = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if text.chars().all(stays) {
        return (Cow::Borrowed(text), false);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // ESC [ parameters letter: how terminals are told colours (ECMA-48, 5.4).
        if c == '\u{1b}' && rest.peek() == Some(&'[') {
            rest.next();
            while rest.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
            rest.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
        } else if stays(c) {
            clean.push(c);
        }
    }
    (Cow::Owned(clean), true)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn washed(body: &[u8]) -> (Value, bool) {
        let Washed { text, cleaned } = wash(body).unwrap();
        (serde_json::from_str(&text).unwrap(), cleaned)
    }

    #[test]
    fn what_a_parser_would_refuse_is_put_right() {
        assert_eq!(washed(b"\xef\xbb\xbf{\"a\":1}"), (json!({ "a": 1 }), false));
        assert_eq!(washed(b"\"a\nb\tc\""), (json!("a\nb\tc"), false));
        assert_eq!(washed(b"\"\x1b[31ma\""), (json!("\u{1b}[31ma"), false), "text is cleaned where it is known what it is for");
        assert_eq!(washed(br#""a\ud83d""#), (json!("a\u{fffd}"), true));
        assert_eq!(washed(br#""\ud83d\ud83d\udd25\udd25x""#), (json!("\u{fffd}🔥\u{fffd}x"), true));
        assert_eq!(washed(br#""\ud83d\n""#), (json!("\u{fffd}\n"), true));
        assert_eq!(washed(br#""\\ud83d""#), (json!("\\ud83d"), false));
        assert_eq!(washed(b"\"f\xfcll\""), (json!("f\u{fffd}ll"), true));
        for wide in [b"\xff\xfe{\0".as_slice(), b"\xfe\xff\0{", b"{\0\"\0", b"\0{\0\""] {
            assert_eq!(wash(wide).unwrap_err().status(), 415);
        }
    }

    #[test]
    fn terminals_colours_are_taken_out() {
        assert_eq!(printable("\u{1b}[1;31mERROR\u{1b}[0m disk\u{0}\u{7}"), (Cow::Owned("ERROR disk".to_owned()), true));
        assert_eq!(printable("\u{1b}"), (Cow::Owned(String::new()), true));
        assert_eq!(printable("a\nb"), (Cow::Borrowed("a\nb"), false));
    }

    proptest! {
        #[test]
        fn json_stays_what_it_is(text in any::<String>(), other in ".{0,20}") {
            let value = json!({ text.clone(): [text, other], "n": 1.5 });
            prop_assert_eq!(washed(value.to_string().as_bytes()).0, value.clone());
            prop_assert_eq!(washed(serde_json::to_string_pretty(&value).unwrap().as_bytes()).0, value);
        }

        #[test]
        fn pieces_are_washed_as_the_whole(body in "[\"\\\\ud83dn\u{1}a\u{e9}]{0,40}", at in 0_usize..40, longest in 0_usize..30) {
            let run = |pieces: &[&[u8]]| {
                let (mut washer, mut out) = (Washer::new(longest), Vec::new());
                for piece in pieces {
                    washer.feed(piece, &mut out);
                }
                (out, washer.cleaned(), washer.clipped())
            };
            let body = body.as_bytes();
            let (one, two) = body.split_at(at.min(body.len()));
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            let whole = run(&[body]);
            // Where a cut falls inside a character, a piece may hold a byte more of it or less; read as text that is the same.
            prop_assert_eq!(run(&[one, two]).1, whole.1);
            prop_assert_eq!(run(&bytes).2, whole.2);
        }

        #[test]
        fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..200), longest in 0_usize..50) {
            let (mut washer, mut out) = (Washer::new(longest), Vec::new());
            washer.feed(&body, &mut out);
            let _ = wash(&body);
            let _ = printable(&String::from_utf8_lossy(&body));
        }
    }
}
