//! A letter as it came: its fields, and the one text in it that people are meant to read. A library reads each field and each text; how
//! many of them, how deep and how long is bounded here.
//!
//! Nothing is refused: what is beyond a bound is not looked at.

use chrono::{DateTime, Utc};
use encoding_rs::{Encoding, GB18030, WINDOWS_1252};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};

use crate::effort::Stop;
use crate::visible;

/// The fields of a letter or of a part of it are so long together, in bytes.
const LONGEST_HEAD: usize = 64 << 10;
/// So many of them are read.
const MOST_FIELDS: usize = 200;
/// Each of them is cut here, in bytes.
const LONGEST_FIELD: usize = 4 << 10;
/// So many parts are looked at.
const MOST_PARTS: usize = 100;
/// So deep.
const DEEPEST: usize = 8;
/// So much of the text is unpacked, in bytes as they came.
const LONGEST_TEXT: usize = 256 << 10;
/// Whoever handles a letter writes a line into it: one that went through so many hands goes round.
const MOST_HANDS: usize = 30;
/// With this, character sets of seven bits begin to mean something else.
const ESCAPE: u8 = 0x1b;

/// What a letter says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// Who says so, as it is written.
    pub from: Option<String>,
    /// When it was written, by the clock of whoever did.
    pub at: Option<DateTime<Utc>>,
    /// What makes it the same letter when it comes again: its identifier, date and subject as they are written. `None`: it has no
    /// identifier.
    pub same: Option<String>,
    /// Its sender calls it important.
    pub important: bool,
    /// Nobody wrote it to tell of something; why it is taken for that.
    pub automatic: Option<&'static str>,
}

/// Stands in the notices that we send: heard as alarms, they would make notices of their own.
pub const OWN_NOTICE: &str = "x-autocall-notice";

impl Letter {
    /// Reads a letter; what is left when it is asked to stop is not looked at.
    #[must_use]
    pub fn read(bytes: &[u8], stop: &Stop) -> Self {
        let (head, body) = Head::split(bytes);
        let kind = head.kind();
        let charset = kind.as_ref().and_then(|kind| kind.attribute("charset").map(str::to_owned));
        let words = |name: &str| head.words(name, charset.as_deref());
        let written = |name: &str| head.first(name).map(|bytes| String::from_utf8_lossy(bytes).trim().to_lowercase());
        let is =
            |name: &str, begins: &[&str]| written(name).is_some_and(|value| begins.iter().any(|begin| value.starts_with(begin)));
        let same = head.first("message-id").filter(|id| !id.trim_ascii().is_empty()).map(|id| {
            let rest = ["date", "subject"].map(|name| head.first(name).unwrap_or_default());
            let all = [id, rest[0], rest[1]].map(|one| String::from_utf8_lossy(one).trim().to_owned());
            all.join("\n")
        });
        let is_report = kind.as_ref().is_some_and(|kind| kind.ctype() == "multipart" && kind.subtype() == Some("report"));
        let answers = is("auto-submitted", &["auto-replied"]) || is("precedence", &["auto_reply"]);
        let automatic = if is_report || head.first("x-failed-recipients").is_some() {
            Some("it tells what became of another letter")
        } else if answers || ["x-autoreply", "x-autorespond"].iter().any(|name| head.first(name).is_some()) {
            Some("it is an automatic reply")
        } else if head.first(OWN_NOTICE).is_some() {
            Some("it is a notice of such a server")
        } else if head.all("received") > MOST_HANDS {
            Some("it goes round")
        } else {
            None
        };
        let mut search = Search { parts: 0, plain: None, html: None, stop };
        search.look(&head, body, 0);
        let html = || search.html.as_deref().map(html_to_text).unwrap_or_default();
        Self {
            subject: words("subject").unwrap_or_default(),
            text: search.plain.clone().unwrap_or_else(html).trim().to_owned(),
            from: words("from").filter(|from| !visible::is_blank(from)),
            at: head.date(),
            same,
            important: is("x-priority", &["1"]) || is("importance", &["high"]) || is("priority", &["urgent"]),
            automatic,
        }
    }
}

/// Fields, by their names in lower case, as they are written.
#[derive(Debug, Default)]
struct Head(Vec<(String, Vec<u8>)>);

/// A letter has one of these; what only looks like fields is a text.
const KNOWN: [&str; 8] = ["subject", "from", "to", "date", "message-id", "received", "mime-version", "content-type"];

impl Head {
    /// The fields, and what follows them. Where no field stands, all of it is what follows.
    fn split(bytes: &[u8]) -> (Self, &[u8]) {
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        let mut rest = bytes;
        while bytes.len() - rest.len() < LONGEST_HEAD {
            let (line, after) = next_line(rest);
            if rest.is_empty() || line.is_empty() {
                rest = after;
                break;
            }
            if matches!(line.first(), Some(b' ' | b'\t')) && !fields.is_empty() {
                if let Some((_, value)) = fields.last_mut() {
                    value.extend(line.iter().take(LONGEST_FIELD.saturating_sub(value.len())));
                }
            } else if let Some((name, value)) = field(line) {
                if fields.len() < MOST_FIELDS {
                    fields.push((name, value.iter().take(LONGEST_FIELD).copied().collect()));
                }
            } else if !line.starts_with(b"From ") {
                // The empty line is missing.
                break;
            }
            rest = after;
        }
        match fields.iter().any(|(name, _)| KNOWN.contains(&name.as_str())) {
            true => (Self(fields), rest),
            false => (Self::default(), bytes),
        }
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    fn all(&self, name: &str) -> usize {
        self.0.iter().filter(|(own, _)| own == name).count()
    }

    /// A field, read by one of the library's readers.
    fn parsed(&self, name: &str, read: impl Fn(&mut MessageStream<'_>) -> HeaderValue<'static>) -> Option<HeaderValue<'static>> {
        let line = [self.first(name)?, b"\n"].concat();
        Some(read(&mut MessageStream::new(&line)))
    }

    /// A field as words, with what is encoded in it decoded (RFC 2047). What is in another character set without saying so is in that of the
    /// letter, most likely.
    fn words(&self, name: &str, charset: Option<&str>) -> Option<String> {
        let bytes = self.first(name)?;
        let charset = charset.filter(|_| !bytes.is_ascii() || bytes.contains(&ESCAPE));
        let line = usual_names(format!("{}\n", decoded(bytes, charset)));
        let read = MessageStream::new(line.as_bytes()).parse_unstructured();
        read.as_text().map(|text| text.trim().to_owned())
    }

    fn kind(&self) -> Option<ContentType<'static>> {
        self.parsed("content-type", |stream| stream.parse_content_type().into_owned())?.into_content_type()
    }

    fn is_attached(&self) -> bool {
        let disposition = self.parsed("content-disposition", |stream| stream.parse_content_type().into_owned());
        disposition.and_then(HeaderValue::into_content_type).is_some_and(|disposition| disposition.is_attachment())
    }

    fn date(&self) -> Option<DateTime<Utc>> {
        let date = self.parsed("date", |stream| stream.parse_date().into_owned())?.into_datetime()?;
        DateTime::from_timestamp(date.to_timestamp(), 0).filter(|_| date.is_valid())
    }
}

/// A line without its end, and what follows it.
fn next_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, after) = end.map_or((bytes, &b""[..]), |end| (bytes.split_at(end).0, bytes.split_at(end + 1).1));
    (line.strip_suffix(b"\r").unwrap_or(line), after)
}

/// The name of a field in lower case, and its value.
fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let name = std::str::from_utf8(name).ok()?.trim_end();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| (name.to_ascii_lowercase(), value.strip_prefix(b":").unwrap_or(value)))
}

/// A field in which encoded words name their character sets as others do. Python writes the names of its own codecs.
fn usual_names(line: String) -> String {
    const NAMES: [(&str, &str); 2] = [("=?eucgb2312_cn?", "=?gb2312?"), ("=?big5_tw?", "=?big5?")];
    NAMES.iter().fold(line, |line, (own, usual)| if line.contains(own) { line.replace(own, usual) } else { line })
}

/// Bytes as a text: in the character set that is named, or in the one that they can be in.
fn decoded(bytes: &[u8], charset: Option<&str>) -> String {
    let named = charset.and_then(|charset| Encoding::for_label_no_replacement(charset.trim().as_bytes()));
    // Who says US-ASCII or Latin-1 has often only never said anything else.
    match (named.filter(|named| *named != WINDOWS_1252), utf8(bytes)) {
        (Some(named), _) => return named.decode(bytes).0.into_owned(),
        (None, Some(text)) => return text.to_owned(),
        (None, None) if named.is_some() || has_single_letters(bytes) => return WINDOWS_1252.decode(bytes).0.into_owned(),
        (None, None) => {}
    }
    let (text, _, failed) = GB18030.decode(bytes);
    if failed { WINDOWS_1252.decode(bytes).0.into_owned() } else { text.into_owned() }
}

/// Bytes as UTF-8. What is cut inside a character, by a bound of ours or by a device, is all the same, without that one.
fn utf8(bytes: &[u8]) -> Option<&str> {
    let wrong = match std::str::from_utf8(bytes) {
        Ok(text) => return Some(text),
        Err(wrong) => wrong,
    };
    let (whole, _) = bytes.split_at_checked(wrong.valid_up_to())?;
    let is_cut = wrong.error_len().is_none() && !whole.is_ascii();
    std::str::from_utf8(whole).ok().filter(|_| is_cut)
}

/// Whether most of what is beyond ASCII stands alone between letters, as in `batería`. What is written in GB18030 stands in pairs, of which
/// the second is seldom ASCII; but most of those letters with the one behind them are one of its characters.
fn has_single_letters(bytes: &[u8]) -> bool {
    let runs = bytes.split(u8::is_ascii).filter(|run| !run.is_empty());
    let (single, all) = runs.fold((0, 0), |(single, all), run| (single + usize::from(run.len() == 1), all + 1));
    single * 2 > all
}

/// What is looked for in a letter: its first plain text, else its first page.
struct Search<'s> {
    parts: usize,
    plain: Option<String>,
    html: Option<String>,
    stop: &'s Stop,
}

impl Search<'_> {
    fn is_done(&self) -> bool {
        self.plain.is_some() || self.parts >= MOST_PARTS || self.stop.is_asked()
    }

    fn look(&mut self, head: &Head, body: &[u8], depth: usize) {
        if self.is_done() || depth > DEEPEST {
            return;
        }
        self.parts += 1;
        let kind = head.kind();
        let (main, sub) = kind.as_ref().map_or(("text", "plain"), |kind| (kind.ctype(), kind.subtype().unwrap_or_default()));
        match (main, sub) {
            ("multipart", _) => match kind.as_ref().and_then(|kind| kind.attribute("boundary")).filter(|own| !own.is_empty()) {
                Some(boundary) => self.look_between(boundary, body, depth),
                None => self.plain = Some(text(head, body, None)),
            },
            ("message", "rfc822" | "global") => {
                let (inner, body) = Head::split(body);
                self.look(&inner, body, depth + 1);
            }
            ("text", _) if depth == 0 || !head.is_attached() => {
                let charset = kind.as_ref().and_then(|kind| kind.attribute("charset"));
                if sub != "html" {
                    self.plain = Some(text(head, body, charset)).filter(|text| depth == 0 || !visible::is_blank(text));
                } else if self.html.is_none() {
                    self.html = Some(text(head, body, charset));
                }
            }
            _ => {}
        }
    }

    /// Looks into each part between lines of a boundary (RFC 2046, 5.1.1).
    fn look_between(&mut self, boundary: &str, body: &[u8], depth: usize) {
        let mut rest = body;
        let mut begins: Option<usize> = None;
        while !self.is_done() {
            let at = body.len() - rest.len();
            let (line, after) = next_line(rest);
            let tail = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary.as_bytes()));
            let is_last = tail.is_some_and(|tail| tail.starts_with(b"--")) || rest.is_empty();
            if is_last || tail.is_some_and(|tail| tail.trim_ascii().is_empty()) {
                if let Some(part) = begins.and_then(|begins| body.get(begins..at)) {
                    let (head, inner) = Head::split(part);
                    self.look(&head, inner, depth + 1);
                }
                begins = Some(body.len() - after.len());
            }
            if is_last {
                break;
            }
            rest = after;
        }
    }
}

/// What a part says.
fn text(head: &Head, body: &[u8], charset: Option<&str>) -> String {
    let body = body.get(..LONGEST_TEXT).unwrap_or(body);
    let packed = head.first("content-transfer-encoding").map(|how| String::from_utf8_lossy(how).trim().to_ascii_lowercase());
    let unpacked = match packed.as_deref() {
        Some("base64") => base64_decode(body),
        Some("quoted-printable") => quoted_printable_decode(body),
        _ => None,
    };
    decoded(unpacked.as_deref().unwrap_or(body), charset).replace('\r', "")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Letter {
        Letter::read(bytes, &Stop::default())
    }

    #[test]
    fn a_plain_letter() {
        let letter = read(
            b"Received: from x\r\nFrom: UPS <ups@lan>\r\nSubject: On battery\r\nDate: Sat, 28 Nov 2026 11:00:00 +0800\r\n\
              Message-ID: <1@ups>\r\nX-Priority: 1 (Highest)\r\n\r\nLoad 40 %\r\nleft: 9 min\r\n",
        );
        assert_eq!((letter.subject.as_str(), letter.text.as_str()), ("On battery", "Load 40 %\nleft: 9 min"));
        assert_eq!((letter.from.as_deref(), letter.important, letter.automatic), (Some("UPS <ups@lan>"), true, None));
        assert_eq!(letter.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00+00:00");
        assert_eq!(letter.same.unwrap(), "<1@ups>\nSat, 28 Nov 2026 11:00:00 +0800\nOn battery");
    }

    #[test]
    fn what_devices_leave_out_is_no_matter() {
        let bare = read(b"the fan is broken\n");
        assert_eq!((bare.subject.as_str(), bare.text.as_str(), bare.same), ("", "the fan is broken", None));
        let glued = read(b"Subject: fan\nthe fan is broken\n");
        assert_eq!((glued.subject.as_str(), glued.text.as_str()), ("fan", "the fan is broken"));
        assert_eq!(read(b"Subject: fan\r\n\r\n").text, "");
        let fields = read(b"UPS: on battery\r\nLoad: 40 %\r\n");
        assert_eq!((fields.subject.as_str(), fields.text.as_str()), ("", "UPS: on battery\nLoad: 40 %"));
        assert!(read(b"Subject: x\r\nX-AutoCall-Notice: 1\r\n\r\nx").automatic.is_some());
        assert_eq!(read(b""), Letter::default());
        assert_eq!(read(b"Date: yesterday\nSubject:\n\nx").at, None);
    }

    #[test]
    fn subjects_in_the_character_sets_that_devices_speak() {
        // As Python writes it.
        assert_eq!(read(b"Subject: =?eucgb2312_cn?b?W7jmvq9dILv6t7/OwrbIIDQy?=\r\n\r\n").subject, "[告警] 机房温度 42");
        let gb = encoding_rs::GBK.encode("磁盘满").0.into_owned();
        let raw = [b"Subject: ", &gb[..], b"\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n", &gb[..]].concat();
        assert_eq!((read(&raw).subject, read(&raw).text), ("磁盘满".to_owned(), "磁盘满".to_owned()));
        let unnamed = [b"Subject: ", &gb[..], b"\r\n\r\n"].concat();
        assert_eq!(read(&unnamed).subject, "磁盘满");
        let gbk = encoding_rs::GBK.encode("朱镕基 on db1").0.into_owned();
        assert_eq!(read(&[b"Subject: ", &gbk[..], b"\r\n\r\n"].concat()).subject, "朱镕基 on db1");
        let latin = read(b"Subject: bater\xeda en \xe9l\r\n\r\nTensi\xf3n baja: ma\xf1ana");
        assert_eq!((latin.subject.as_str(), latin.text.as_str()), ("batería en él", "Tensión baja: mañana"));
        for (subject, is) in [
            ("=?gb2312?B?tMXFzML6?=", "磁盘满"),
            ("=?UTF-8?Q?=E7=A3=81=E7=9B=98?=\r\n =?UTF-8?Q?=E6=BB=A1?= on db1", "磁盘满 on db1"),
            ("=?ISO-2022-JP?B?GyRCPmMzMhsoQg==?=", "障害"),
            ("=?iso-8859-1?Q?bater=EDa?=", "batería"),
            ("plain =?none?X?x?= text", "plain =?none?X?x?= text"),
            ("=?utf-8?B?", "=?utf-8?B?"),
        ] {
            assert_eq!(read(format!("Subject: {subject}\r\n\r\n").as_bytes()).subject, is, "{subject}");
        }
        let japanese = b"Content-Type: text/plain; charset=\"iso-2022-jp\"\r\n\r\n\x1b$B>c32\x1b(B\r\n";
        assert_eq!(read(japanese).text, "障害");
        assert_eq!(read(b"Content-Type: text/plain; charset=nonsense\r\n\r\nfan").text, "fan");
    }

    #[test]
    fn a_text_that_is_cut_inside_a_character_stays_what_it_is() {
        let long = "满".repeat(LONGEST_TEXT);
        for head in ["", "Content-Type: text/plain; charset=us-ascii\r\n"] {
            let letter = read(format!("Subject:{}\r\n{head}\r\n{long}", "满".repeat(LONGEST_FIELD)).as_bytes());
            assert_eq!(
                (letter.subject.as_str(), letter.text.as_str()),
                (&*"满".repeat(LONGEST_FIELD / 3), &*"满".repeat(LONGEST_TEXT / 3))
            );
        }
    }

    #[test]
    fn the_plain_text_of_many_parts_is_read_else_the_page() {
        let parts = "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\nfor old programs\r\n--a b\r\n\
            Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>page</p>\r\n\
            --in\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n56OB55uY5ruh\r\n--in--\r\n\
            --a b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=log.txt\r\n\r\nlog\r\n--a b--\r\n";
        assert_eq!(read(parts.as_bytes()).text, "磁盘满");
        let page = "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            <head><style>p {}</style></head><p>Fan=20&amp; disk<br>b=C3=A9</p>";
        assert_eq!(read(page.as_bytes()).text, "Fan & disk\nbé");
        let forwarded = "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nit burns";
        assert_eq!(read(forwarded.as_bytes()).text, "it burns");
        let open = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ncut off";
        assert_eq!(read(open.as_bytes()).text, "cut off");
        let none = "Content-Type: multipart/mixed\r\n\r\nno boundary";
        assert_eq!(read(none.as_bytes()).text, "no boundary");
    }

    #[test]
    fn what_nobody_wrote_to_tell_of_something_is_known() {
        for head in [
            "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
            "Auto-Submitted: auto-replied (vacation)",
            "X-Autoreply: yes",
            "X-Failed-Recipients: a@b",
        ] {
            assert!(read(format!("Subject: x\r\n{head}\r\n\r\nx").as_bytes()).automatic.is_some(), "{head}");
        }
        let round = "Received: by x\r\n".repeat(31);
        assert_eq!(read(format!("{round}Subject: x\r\n\r\nx").as_bytes()).automatic, Some("it goes round"));
        assert_eq!(read(b"Auto-Submitted: auto-generated\r\n\r\nx").automatic, None, "so do monitoring systems");
    }

    #[test]
    fn what_is_made_to_cost_much_costs_little() {
        let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(30_000);
        assert_eq!(read(deep.as_bytes()).text, "");
        let nested: String =
            (0..5_000).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n")).collect();
        assert_eq!(read(nested.as_bytes()).text, "");
        let many = "--x\r\nContent-Type: image/png\r\n\r\nAAAA\r\n".repeat(10_000);
        let many =
            format!("Content-Type: multipart/mixed; boundary=x\r\nSubject: many\r\n\r\n{many}--x\r\n\r\nlast\r\n--x--\r\n");
        assert_eq!((read(many.as_bytes()).subject.as_str(), read(many.as_bytes()).text.as_str()), ("many", ""));
        let long = format!("Content-Transfer-Encoding: base64\r\n\r\n{}", "QUJD".repeat(250_000));
        assert!((1..LONGEST_TEXT).contains(&read(long.as_bytes()).text.len()));
        let words = format!("Subject: {}\r\n\r\n", "=?x?q?".repeat(100_000));
        assert!(read(words.as_bytes()).subject.len() <= LONGEST_FIELD);
        let fields = "X-A: b\r\n".repeat(100_000);
        assert_eq!(read(format!("{fields}Subject: late\r\n\r\nx").as_bytes()).subject, "");
        let stop = Stop::default();
        stop.ask();
        assert_eq!(Letter::read(b"Subject: x\r\n\r\ntext", &stop).text, "", "nobody waits for it");
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "Content-Type: multipart/mixed; boundary=x\r\n",
            "Content-Type: text/html; charset=utf-16\r\n",
            "--x\r\n",
            "--x--",
            "\r\n",
            "\n",
            "Content-Transfer-Encoding: base64\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n",
            "Subject: =?gb2312?B?tMX=?=",
            "=?utf-8?Q?=",
            "Date: 32 Foo 99999 99:99:99 +9999\r\n",
            "<p>&#x110000;</p>&",
            "=",
            "=\r\n",
            "Zm9v",
            "\t",
            ":",
            "Received:",
            "é",
            "Content-Type: message/rfc822\r\n\r\n",
            "Content-Disposition: attachment; filename*0*=\"",
            "\u{1b}$B",
        ]);
        prop_oneof![
            4 => prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..500),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(bytes in pieces()) {
            let letter = read(&bytes);
            prop_assert!(letter.subject.len() <= 4 * LONGEST_FIELD && letter.text.len() <= 4 * LONGEST_TEXT);
        }

        #[test]
        fn a_text_comes_as_it_was_written(subject in "[a-z]{1,20}( [a-z0-9.]{1,9}){0,5}", text in "[a-z]{1,9}(\n[a-z ]{0,9}[a-z]){0,5}") {
            let letter = read(format!("Subject: {subject}\r\n\r\n{}\r\n", text.replace('\n', "\r\n")).as_bytes());
            prop_assert_eq!((letter.subject, letter.text), (subject, text));
        }
    }
}
