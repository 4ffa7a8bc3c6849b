//! Lists of calls as telephone systems keep them: which column tells what, and where a record of a file that is still written ends.

/// What Asterisk writes into `Master.csv`, in this order and without a head; the last two where it was told to.
const MASTER: [&str; 18] = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "uniqueid",
    "userfield",
];
/// It has so many columns at least, and a time in this one.
const MASTER_LEAST: usize = 16;
const MASTER_START: usize = 9;
/// A record that is longer is none: a quote was lost.
const LONGEST_RECORD: usize = 64 * 1024;

/// What is told of a call, and the names that columns have for it.
const INITIATED: &[&str] = &["initiated", "calldate", "start", "date", "datetime", "time"];
const SOURCE: &[&str] = &["source", "src", "caller", "from"];
const DESTINATION: &[&str] = &["destination", "dst", "callee", "called", "to"];
const DURATION: &[&str] = &["duration", "billsec", "seconds"];
const URL: &[&str] = &["url", "link"];

/// A call as a line of a list tells it, not read yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// When it began.
    pub initiated: String,
    /// Who called.
    pub source: String,
    /// Who was called.
    pub destination: String,
    /// How long it was; empty: nobody says.
    pub duration: String,
    /// Where more is to be read; empty: nowhere.
    pub url: String,
}

/// Why nobody knows what the columns of a list are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLayout {
    /// A column is not there.
    #[error("there is no column for {what}: the columns are {}; name it, as in --columns {what}=COLUMN", .columns.join(", "))]
    Missing {
        /// What it tells.
        what: &'static str,
        /// Those that are there.
        columns: Vec<String>,
    },
    /// A column that somebody named is not there.
    #[error("there is no column {name:?}: the columns are {}", .columns.join(", "))]
    NoSuchColumn {
        /// Its name.
        name: String,
        /// Those that are there.
        columns: Vec<String>,
    },
    /// Somebody named something that a call does not have.
    #[error("{0:?} is nothing that is read of a call: name columns for initiated, source, destination, duration or url")]
    NothingOfACall(String),
}

/// Which column of a list tells what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    names: Vec<String>,
    initiated: usize,
    source: usize,
    destination: usize,
    duration: Option<usize>,
    url: Option<usize>,
}

impl Layout {
    /// Of a list whose columns have these names. `named`: what somebody says, such as `initiated` and `calldate`.
    ///
    /// # Errors
    /// When a column is missing.
    pub fn of_names(names: &[String], named: &[(String, String)]) -> Result<Self, NoLayout> {
        let names: Vec<String> =
            names.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_ascii_lowercase()).collect();
        let place = |name: &str| names.iter().position(|own| own == name);
        if let Some((what, _)) =
            named.iter().find(|(what, _)| ![INITIATED, SOURCE, DESTINATION, DURATION, URL].iter().any(|own| own[0] == what))
        {
            return Err(NoLayout::NothingOfACall(what.clone()));
        }
        let find = |what: &'static [&'static str]| match named.iter().find(|(own, _)| own == what[0]) {
            Some((_, name)) => match place(&name.trim().to_ascii_lowercase()) {
                None => Err(NoLayout::NoSuchColumn { name: name.clone(), columns: names.clone() }),
                found => Ok(found),
            },
            None => Ok(what.iter().find_map(|name| place(name))),
        };
        let needed = |what| find(what)?.ok_or_else(|| NoLayout::Missing { what: what[0], columns: names.clone() });
        Ok(Self {
            initiated: needed(INITIATED)?,
            source: needed(SOURCE)?,
            destination: needed(DESTINATION)?,
            duration: find(DURATION)?,
            url: find(URL)?,
            names: names.clone(),
        })
    }

    /// Of a file by its first record, and whether that is a head. Asterisk's own file has none.
    ///
    /// # Errors
    /// When a column is missing.
    pub fn of_first(record: &[String], named: &[(String, String)]) -> Result<(Self, bool), NoLayout> {
        let begins_with_year = |text: &String| text.len() >= 16 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        let is_master =
            (MASTER_LEAST..=MASTER.len()).contains(&record.len()) && record.get(MASTER_START).is_some_and(begins_with_year);
        if is_master {
            let names: Vec<String> = MASTER.iter().map(|name| (*name).to_owned()).collect();
            return Ok((Self::of_names(&names, named)?, false));
        }
        Ok((Self::of_names(record, named)?, true))
    }

    /// The place of the column that tells when a call began.
    #[must_use]
    pub fn initiated(&self) -> usize {
        self.initiated
    }

    /// What a record tells. `url`: an address in which `{column}` stands for a column; it is used where the record itself has none.
    #[must_use]
    pub fn told(&self, record: &[String], url: Option<&str>) -> Told {
        let at = |place: usize| record.get(place).map(|text| text.trim().to_owned()).unwrap_or_default();
        let own = self.url.map(at).filter(|url| !url.is_empty());
        Told {
            initiated: at(self.initiated),
            source: at(self.source),
            destination: at(self.destination),
            duration: self.duration.map(at).unwrap_or_default(),
            url: own.or_else(|| url.map(|pattern| self.filled(pattern, record))).unwrap_or_default(),
        }
    }

    /// A pattern with the columns of a record in it.
    fn filled(&self, pattern: &str, record: &[String]) -> String {
        let mut text = String::new();
        let mut rest = pattern;
        while let Some((before, name, after)) =
            rest.split_once('{').and_then(|(before, behind)| behind.split_once('}').map(|(name, after)| (before, name, after)))
        {
            text.push_str(before);
            let place = self.names.iter().position(|own| *own == name.to_ascii_lowercase());
            let value = place.and_then(|place| record.get(place)).map_or("", |value| value.trim());
            for byte in value.bytes() {
                match byte {
                    b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(byte.into()),
                    other => text.push_str(&format!("%{other:02X}")),
                }
            }
            rest = after;
        }
        text + rest
    }
}

/// How long the whole records are that a text begins with: whoever writes it may be in the middle of one. Lines within quotes end none.
#[must_use]
pub fn whole_records(text: &[u8]) -> usize {
    let (mut end, mut quoted, mut line) = (0, false, None);
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => (end, line) = (place + 1, None),
            b'\n' => {
                line = line.or(Some(place + 1));
                if let Some(line) = line.filter(|_| place - end > LONGEST_RECORD) {
                    return line;
                }
            }
            _ => {}
        }
    }
    end
}

/// A length in seconds, or in hours, minutes and seconds with colons between; `None`: nobody says, or not so that it can be read.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    const LONGEST: i64 = 366 * 24 * 3600;
    let parts: Option<Vec<i64>> = text.trim().split(':').map(|part| part.parse().ok().filter(|part| *part >= 0)).collect();
    let parts = parts.filter(|parts| parts.len() <= 3)?;
    let all = parts.into_iter().try_fold(0_i64, |all, part| all.checked_mul(60)?.checked_add(part))?;
    (all <= LONGEST).then_some(all)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn record(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn asterisks_file_is_known_by_its_columns() {
        let seventeen = ",7222,02122853348,from-internal,\"Ana\" <7222>,SIP/7222-01,SIP/trunk-02,Dial,SIP/trunk,2026-08-23 12:20:33,2026-08-23 12:20:40,2026-08-23 12:21:18,45,38,ANSWERED,DOCUMENTATION,1187.7";
        for (text, url) in [
            (seventeen.to_owned(), "http://pbx/1187.7"),
            (format!("{seventeen},note"), "http://pbx/1187.7"),
            (seventeen.rsplit_once(',').unwrap().0.to_owned(), "http://pbx/"),
        ] {
            let record = record(&text);
            let (layout, is_head) = Layout::of_first(&record, &[]).unwrap();
            assert!(!is_head);
            let told = layout.told(&record, Some("http://pbx/{uniqueid}"));
            let expected = Told {
                initiated: "2026-08-23 12:20:33".to_owned(),
                source: "7222".to_owned(),
                destination: "02122853348".to_owned(),
                duration: "45".to_owned(),
                url: url.to_owned(),
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let head = record("\u{feff}Date, From,TO,billsec,Link,note");
        let (layout, is_head) = Layout::of_first(&head, &[]).unwrap();
        assert!(is_head);
        let told = layout.told(&record("2026-08-23 12:20, 7222 ,02122853348,7,http://own"), Some("http://pbx/{note}"));
        assert_eq!((told.source.as_str(), told.duration.as_str(), told.url.as_str()), ("7222", "7", "http://own"));
        let told = layout.told(&record("2026-08-23 12:20,7222,02122853348,7,,a b"), Some("http://pbx/{NOTE}/{nothing}/{"));
        assert_eq!(told.url, "http://pbx/a%20b//{");
        let named = [("initiated".to_owned(), "note".to_owned())];
        assert_eq!(Layout::of_first(&head, &named).unwrap().0.told(&record("1,2,3,4,5,6"), None).initiated, "6");
        let gone = Layout::of_first(&record("when,from,to"), &[]).unwrap_err();
        assert!(gone.to_string().contains("initiated=COLUMN") && gone.to_string().contains("when, from, to"), "{gone}");
        let wrong = [("initiated".to_owned(), "then".to_owned())];
        assert!(matches!(Layout::of_first(&head, &wrong), Err(NoLayout::NoSuchColumn { .. })));
        let wrong = [("colour".to_owned(), "note".to_owned())];
        assert!(matches!(Layout::of_first(&head, &wrong), Err(NoLayout::NothingOfACall(_))));
    }

    #[test]
    fn a_record_ends_where_it_ends() {
        for (text, whole) in [("", 0), ("a,b", 0), ("a,b\nc", 4), ("a,\"b\nc\"\nd", 8), ("a,\"b\nc", 0), ("a,\"\"\"\"\n", 7)] {
            assert_eq!(whole_records(text.as_bytes()), whole, "{text:?}");
        }
        let lost = format!("a,\"b\n{}", "c,d\n".repeat(20_000));
        assert_eq!(
            whole_records(lost.as_bytes()),
            5,
            "a quote that was lost takes one line with it, and not the rest of the file"
        );
    }

    #[test]
    fn a_length_is_read_however_it_is_written() {
        for (text, seconds) in [
            ("45", Some(45)),
            ("1:05", Some(65)),
            ("01:00:07", Some(3607)),
            ("", None),
            ("-1", None),
            ("1:2:3:4", None),
            ("x", None),
            ("99999999", None),
        ] {
            assert_eq!(super::seconds(text), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_records_are_found_wherever_the_writer_stands(fields in prop::collection::vec("[a-z\"\n,]{0,6}", 1..12), cut in 0_usize..200) {
            let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let records: Vec<String> = fields.chunks(2).map(|pair| pair.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n").collect();
            let text = records.concat();
            let cut = cut.min(text.len());
            let whole = whole_records(&text.as_bytes()[..cut]);
            let mut ends = vec![0];
            for record in &records {
                ends.push(ends.last().unwrap() + record.len());
            }
            prop_assert_eq!(Some(&whole), ends.iter().rfind(|end| **end <= cut));
        }

        #[test]
        fn nothing_panics(names in prop::collection::vec("\\PC{0,8}|src|dst|start", 0..20), record in prop::collection::vec("\\PC{0,8}", 0..20), url in "\\PC{0,20}") {
            if let Ok((layout, _)) = Layout::of_first(&names, &[]) {
                let _ = layout.told(&record, Some(&url));
            }
            let _ = seconds(&url);
        }
    }
}
