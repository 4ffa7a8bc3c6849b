//! A table in a text file, with whatever separates its fields: a line of names, then rows.

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Without what spreadsheets put around their cells; as many as there are columns.
    pub fields: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns in small letters.
    pub columns: Vec<String>,
    /// Rows that are not empty.
    pub rows: Vec<Row>,
    /// Rows that cannot be read: line and reason.
    pub problems: Vec<(u64, String)>,
}

impl Table {
    /// The place of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|own| own == name)
    }
}

/// Reads a table.
///
/// # Errors
/// When it has no columns.
pub fn read(text: &str) -> Result<Table, String> {
    // So that a line is one, whatever system it comes from.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (separator, skipped) = separator(&text);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut table = Table::default();
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, |own| lines.at(own.byte()));
                table.problems.push((line, "it cannot be read".to_owned()));
                continue;
            }
        };
        let line = record.position().map_or(0, |own| lines.at(own.byte()));
        let mut fields: Vec<String> = record.iter().map(super::cells::plain).collect();
        let is_empty = fields.iter().all(String::is_empty);
        if is_empty || line <= skipped {
            continue;
        }
        if table.columns.is_empty() {
            while fields.last().is_some_and(String::is_empty) {
                fields.pop();
            }
            table.columns = fields.iter().map(|name| name.to_lowercase()).collect();
            continue;
        }
        match fields.iter().skip(table.columns.len()).find(|own| !own.is_empty()) {
            Some(more) => {
                let why = format!("it has more fields than there are columns: {:?}", more.chars().take(40).collect::<String>());
                table.problems.push((line, why));
            }
            None => {
                fields.resize(table.columns.len(), String::new());
                table.rows.push(Row { line, fields });
            }
        }
    }
    if table.columns.is_empty() { Err("the file is empty".to_owned()) } else { Ok(table) }
}

/// What separates the fields, and how many lines only say so: `sep=;` at the top, else whatever the names of the columns have most of.
fn separator(text: &str) -> (u8, u64) {
    let mut lines = text.lines();
    let first = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
    let said = first.trim().trim_matches('"').strip_prefix("sep=").or_else(|| first.trim().strip_prefix("SEP="));
    if let Some(separator) = said.and_then(|own| if own.is_empty() { Some(b'\t') } else { own.bytes().next() }) {
        let before = text.find(first).map_or(0, |at| text[..at].matches('\n').count());
        return (separator, u64::try_from(before).unwrap_or(0) + 1);
    }
    let mut quoted = false;
    let mut counts = [(b',', 0_u32), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in first.bytes() {
        quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(own, _)| !quoted && *own == byte) {
            *count += 1;
        }
    }
    // Of equally many the one that stands first above.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    (most.map_or(b',', |(own, _)| *own), 0)
}

/// Counts lines on the way through a text.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a place that is not before the last one asked for. Empty lines before a row are not its own.
    fn at(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        while self.at < byte || self.text.get(self.at) == Some(&b'\n') {
            self.line += u64::from(self.text[self.at] == b'\n');
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn separators_and_line_ends_do_not_matter() {
        for (separator, end) in [(",", "\n"), (";", "\r\n"), ("\t", "\n"), ("|", "\r"), (",", "\r\n")] {
            let text = ["Name,Numbers,,", "A,\"1\",", ",", "", "B,2"].join(end).replace(',', separator);
            let table = read(&text).unwrap();
            assert_eq!(table.columns, ["name", "numbers"], "{text:?}");
            let rows: Vec<_> = table.rows.iter().map(|row| (row.line, row.fields.join("/"))).collect();
            assert_eq!(rows, [(2, "A/1".to_owned()), (5, "B/2".to_owned())], "{text:?}");
        }
    }

    #[test]
    fn a_line_may_say_what_separates() {
        let table = read("sep=;\r\nname;numbers\r\nA,B;1\r\n").unwrap();
        assert_eq!((table.columns.len(), table.rows[0].line, table.rows[0].fields[0].as_str()), (2, 3, "A,B"));
        assert_eq!(read("\"sep=;\"\nname;numbers\nA;1\n").unwrap().rows[0].line, 3);
    }

    #[test]
    fn a_row_over_several_lines_begins_where_it_begins() {
        let table = read("name,numbers\n\"A\r\nB\",1\nC,2,3\nD\n").unwrap();
        assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(table.problems[0].0, 4);
        assert_eq!(table.rows[1].fields, ["D", ""]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "([,;\t\"\r\n]|.){0,80}") {
            let _ = read(&text);
        }
    }
}
