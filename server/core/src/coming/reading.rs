//! The file as it was written by people: read entry by entry, so that everything that is wrong is told at once, each with its line.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::file::{END, FORMAT, Kind, Settings, is_written};
use crate::sheet::told;

/// What is said of a file whose last line has no end.
const CUT_OFF: &str = "the file ends within this line, and may have been cut off: if it is whole, end it with a line break";

/// What is said of a file that was exported and has lost its end.
const NO_END: &str = "whatever autocall has written ends in the line [end], and this does not: if it was not cut off, write [end] as its \
                      last line, behind all that was added";

/// A larger file is surely another one, in bytes.
pub const LARGEST: usize = 4 << 20;

/// A file that was read, and where its entries stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What it says, as it was written.
    pub settings: Settings,
    /// The line of each entry, by its section and its place there. What was converted has none.
    pub lines: BTreeMap<(Kind, usize), usize>,
    /// It ends as a whole file does.
    pub is_whole: bool,
}

impl Document {
    /// Where an entry stands, in words.
    #[must_use]
    pub fn place(&self, kind: Kind, index: usize, name: &str) -> String {
        let what = if name.is_empty() { format!("{} {}", kind.one(), index + 1) } else { format!("{} {name:?}", kind.one()) };
        match self.lines.get(&(kind, index)) {
            Some(line) => format!("line {line}: {what}"),
            None => what,
        }
    }
}

/// Reads a file.
///
/// # Errors
/// All that is wrong with its form, one sentence each, with its line.
pub fn read(text: &str) -> Result<Document, Vec<String>> {
    if text.len() > LARGEST {
        return Err(vec![format!("the file is larger than {} MiB: it is another one, or too much for one file", LARGEST >> 20)]);
    }
    // Editors on Windows put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let is_cut = !text.is_empty() && !text.ends_with('\n');
    if !errors.is_empty() {
        let wrong = errors.iter().map(|error| lines.at(error.span().map_or(0, |span| span.start), error.message()));
        return Err(told(wrong.chain(is_cut.then(|| lines.at(text.len(), CUT_OFF))).collect()));
    }
    let mut reading = Reading { lines, document: Document::default(), wrong: Vec::new() };
    if is_cut {
        // A number or a name that lost its end may still be one.
        reading.fault(text.len(), CUT_OFF);
    }
    reading.document.is_whole = ends_whole(text);
    if !is_cut && is_written(text) && !reading.document.is_whole {
        // Also what it does not remove may be less than it was: a schedule without its last layers.
        reading.fault(text.len(), NO_END);
    }
    for (key, value) in table.into_inner() {
        reading.section(key.get_ref(), key.span().start, value);
    }
    match reading.wrong.is_empty() {
        true => Ok(reading.document),
        false => {
            // By line, and not by the names of sections.
            reading.wrong.sort();
            Err(told(reading.wrong.into_iter().map(|(_, what)| what).collect()))
        }
    }
}

/// Whether the last line that says something is the one that says that there is no more. That it is one, and stands in no text, the reader of
/// TOML knows.
fn ends_whole(text: &str) -> bool {
    let said = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let last = text.lines().map(str::trim).rfind(said);
    last.and_then(|line| line.strip_prefix('[')?.strip_suffix(']')).is_some_and(|name| name.trim() == END)
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place).collect())
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }

    fn at(&self, offset: usize, what: &str) -> String {
        format!("line {}: {}", self.line(offset), what.trim().replace('\n', " "))
    }
}

struct Reading {
    lines: Lines,
    document: Document,
    wrong: Vec<(usize, String)>,
}

impl Reading {
    fn fault(&mut self, offset: usize, what: &str) {
        let told = self.lines.at(offset, what);
        self.wrong.push((self.lines.line(offset), told));
    }

    fn section(&mut self, key: &str, at: usize, value: Spanned<DeValue<'_>>) {
        let mut settings = std::mem::take(&mut self.document.settings);
        match key {
            "format" => match i64::deserialize(ValueDeserializer::from(value)) {
                Ok(FORMAT) => {}
                _ => self.fault(at, &format!("format is {FORMAT}; another one is read by another version of the program")),
            },
            "managed" => match Vec::<Kind>::deserialize(ValueDeserializer::from(value)) {
                Ok(managed) if managed.contains(&Kind::Users) => {
                    self.fault(at, "users are never removed by a file: leave them out of managed");
                }
                Ok(managed) => settings.managed = managed,
                Err(error) => self.fault(error.span().map_or(at, |span| span.start), error.message()),
            },
            "people" => settings.people = self.entries(Kind::People, at, value),
            "users" => settings.users = self.entries(Kind::Users, at, value),
            "teams" => settings.teams = self.entries(Kind::Teams, at, value),
            "schedules" => settings.schedules = self.entries(Kind::Schedules, at, value),
            "overrides" => settings.overrides = self.entries(Kind::Overrides, at, value),
            "temporaries" => settings.temporaries = self.entries(Kind::Temporaries, at, value),
            "vacations" => settings.vacations = self.entries(Kind::Vacations, at, value),
            "policies" => settings.policies = self.entries(Kind::Policies, at, value),
            "rules" => settings.rules = self.entries(Kind::Rules, at, value),
            "quiet_hours" => settings.quiet_hours = self.entries(Kind::QuietHours, at, value),
            END => {
                if !matches!(value.get_ref(), DeValue::Table(own) if own.is_empty()) {
                    self.fault(at, "[end] says that the file ends: nothing belongs to it");
                }
            }
            other => {
                let known = Kind::ALL.map(Kind::section).join(", ");
                self.fault(at, &format!("there is no section {other:?}: a file has format, managed, {known}, {END}"));
            }
        }
        self.document.settings = settings;
    }

    fn entries<T: DeserializeOwned>(&mut self, kind: Kind, at: usize, value: Spanned<DeValue<'_>>) -> Vec<T> {
        let DeValue::Array(list) = value.into_inner() else {
            self.fault(at, &format!("write each of them as [[{}]] and what belongs to it below", kind.section()));
            return Vec::new();
        };
        if list.len() > kind.most() {
            self.fault(at, &format!("there are at most {} {}", kind.most(), kind.section()));
            return Vec::new();
        }
        let mut entries = Vec::with_capacity(list.len());
        for one in &list {
            let begins = one.span().start;
            match T::deserialize(ValueDeserializer::from(one.clone())) {
                Ok(entry) => {
                    self.document.lines.insert((kind, entries.len()), self.lines.line(begins));
                    entries.push(entry);
                }
                Err(error) => {
                    // What is missing has no place but that of the entry.
                    let place = error.span().filter(|span| span.start > 0).map_or(begins, |span| span.start);
                    self.fault(place, error.message());
                }
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "\
format = 1
[[people]]
name = \"Ann\"
numbers = \"18712345678\"

[[people]]
name = \"Bob\"
age = 7

[[teams]]
members = []

[[polices]]
name = \"x\"
";
        let wrong = read(text).unwrap_err();
        let lines: Vec<&str> = wrong.iter().map(|one| one.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["line 4", "line 8", "line 10", "line 13"], "{wrong:#?}");
    }

    #[test]
    fn what_is_no_toml_says_where() {
        let wrong = read("[[people]]\nname = \"Ann\nnumbers = []\n").unwrap_err();
        assert!(wrong.iter().any(|one| one.starts_with("line 2: ")), "{wrong:#?}");
        assert!(read("format = 2\n").unwrap_err()[0].contains("format is 1"));
        assert!(read("managed = [\"users\"]\n").unwrap_err()[0].contains("never removed"));
        assert!(read("managed = [\"cats\"]\n").unwrap_err()[0].starts_with("line 1: "));
        assert!(read("people = 1\n").unwrap_err()[0].contains("[[people]]"));
        assert_eq!(read("\u{feff}format = 1\n").unwrap(), Document::default());
    }

    #[test]
    fn a_file_says_whether_it_is_whole() {
        let is_whole = |text: &str| read(text).unwrap().is_whole;
        assert!(is_whole("[[people]]\nname = \"Ann\"\n[end]\n") && is_whole("[ end ]\r\n\n# That is all.\n"));
        assert!(!is_whole("") && !is_whole("format = 1\n") && !is_whole("[end]\n[[people]]\nname = \"Ann\"\n"));
        assert!(!is_whole("# [end]\n") && !is_whole("[[people]]\nname = \"Ann\"\n#[end]\n"));
        for cut in ["[[people]]\nname = \"Ann\"", "[end]", "[[people"] {
            let wrong = read(cut).unwrap_err();
            assert!(wrong.iter().any(|one| one.contains("cut off")), "{wrong:#?}");
        }
        assert!(read("[end]\nname = 1\n").unwrap_err()[0].starts_with("line 1: [end] says"));
        let written = Settings::default().write().unwrap();
        assert!(is_whole(&written), "{written}");
        // What was exported always has an end; what somebody writes by hand need not.
        let cut = written.replace("[end]\n", "");
        assert!(read(&cut).unwrap_err()[0].contains("ends in the line [end]"));
        assert!(read(&format!("{written}[[people]]\nname = \"Ann\"\n")).unwrap_err()[0].contains("behind all that was added"));
        assert!(read(&cut.replace("# ", "#  ")).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}|(\\[\\[(people|rules)\\]\\]\n|name = \"a\"\n|numbers = \\[\\]\n|labels = \\{ a = 1 \\}\n){0,9}") {
            let _ = read(&text);
        }
    }
}
