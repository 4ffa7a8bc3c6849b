//! Shifts as a spreadsheet has them: CSV with the columns `start`, `end` and `person`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{FixedShift, Roster, Shift, text};
use crate::ids::PersonId;

/// More shifts than this are surely a mistake.
pub const MOST_SHIFTS: usize = 20_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    start: String,
    #[serde(default)]
    end: String,
    person: String,
}

/// A line that could be read.
struct Line {
    number: u64,
    from: DateTime<Utc>,
    /// None: until the next line.
    to: Option<DateTime<Utc>>,
    person: PersonId,
}

/// Reads shifts. Times without a zone are wall times of `zone`; a shift without an end lasts until the next line's start.
///
/// # Errors
/// Everything that is wrong with it, line by line.
pub fn read(csv_text: &str, zone: Tz, find: &dyn Fn(&str) -> Option<PersonId>) -> Result<Vec<FixedShift>, Vec<String>> {
    let csv_text = csv_text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv_text.as_bytes());
    let headers = reader.headers().cloned().map_err(|error| vec![error.to_string()])?;
    let mut problems = Vec::new();
    let mut rows: Vec<Line> = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                problems.push((line, "it must have one field for each column, in UTF-8".to_owned()));
                continue;
            }
        };
        let number = record.position().map_or(0, csv::Position::line);
        let row = record.deserialize(Some(&headers)).map_err(|error| error.to_string());
        match row.and_then(|row| read_row(&row, number, zone, find)) {
            Ok(row) => rows.push(row),
            Err(why) => problems.push((number, why)),
        }
    }
    let all_read = problems.is_empty();
    let mut shifts = Vec::new();
    for (place, Line { number, from, to, person }) in rows.iter().enumerate() {
        match to.or_else(|| rows.get(place + 1).map(|next| next.from)) {
            Some(to) if to > *from => shifts.push(FixedShift { from: *from, to, person: *person }),
            Some(_) => problems.push((*number, "the shift ends before it begins".to_owned())),
            None if all_read => problems.push((*number, "the last shift needs an end".to_owned())),
            // The line that ends it is wrong itself.
            None => {}
        }
    }
    problems.sort();
    let problems = problems.into_iter().map(|(line, why)| format!("line {line}: {why}")).collect();
    finish(shifts, problems)
}

fn read_row(row: &Row, number: u64, zone: Tz, find: &dyn Fn(&str) -> Option<PersonId>) -> Result<Line, String> {
    let from = text::instant(&row.start, zone).map_err(|error| error.to_string())?;
    let to = match row.end.as_str() {
        "" => None,
        end => Some(text::instant(end, zone).map_err(|error| error.to_string())?),
    };
    let person = find(&row.person).ok_or_else(|| unknown(&row.person))?;
    Ok(Line { number, from, to, person })
}

/// What is said of a name that nobody has.
pub(super) fn unknown(name: &str) -> String {
    match name.trim() {
        "" => "nobody is named".to_owned(),
        name => format!("there is no person {name:?}: add them first, with `autocall people import` or on the page"),
    }
}

/// Puts shifts in order, unless something was wrong.
pub(super) fn finish(mut shifts: Vec<FixedShift>, mut problems: Vec<String>) -> Result<Vec<FixedShift>, Vec<String>> {
    if shifts.is_empty() && problems.is_empty() {
        problems.push("there is no shift in it".to_owned());
    }
    if shifts.len() > MOST_SHIFTS {
        problems.push(format!("it has {} shifts; {MOST_SHIFTS} is the limit", shifts.len()));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    shifts.sort_by_key(|shift| (shift.from, shift.to, shift.person));
    shifts.dedup();
    Ok(shifts)
}

/// Writes shifts as [`read`] reads them; gaps are left out.
///
/// # Errors
/// Never, unless memory cannot be written.
pub fn write(roster: &Roster, zone: Tz, shifts: &[Shift]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["start", "end", "person"])?;
    for shift in shifts {
        for on in &shift.on {
            writer.write_record([text::shown(zone, shift.from), text::shown(zone, shift.to), roster.name(on.person)])?;
        }
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn find(name: &str) -> Option<PersonId> {
        ["张伟", "Li Na"].iter().position(|own| *own == name).map(|place| PersonId(uuid::Uuid::from_u128(place as u128)))
    }

    fn read_in_berlin(text: &str) -> Result<Vec<FixedShift>, Vec<String>> {
        read(text, Tz::Europe__Berlin, &find)
    }

    #[test]
    fn a_week_a_line_is_enough() {
        let shifts =
            read_in_berlin("start,end,person\n2026-11-23 09:00,,张伟\n2026-11-30 09:00,2026-12-07T08:00:00Z,Li Na\n").unwrap();
        let times: Vec<_> = shifts.iter().map(|shift| (shift.from.to_rfc3339(), shift.to.to_rfc3339())).collect();
        assert_eq!(times[0], ("2026-11-23T08:00:00+00:00".to_owned(), "2026-11-30T08:00:00+00:00".to_owned()));
        assert_eq!(times[1].1, "2026-12-07T08:00:00+00:00");
        assert_eq!(read_in_berlin("\u{feff}start,person,end\n2026-11-23,Li Na,2026-11-24\n").unwrap().len(), 1);
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "start,end,person\nsoon,,张伟\n2026-11-23,2026-11-22,张伟\n2026-11-24,2026-11-25,Nobody\n2026-11-26,,Li Na\n2026-11-27\n";
        let problems = read_in_berlin(text).unwrap_err();
        let lines: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 6"], "{problems:?}");
        assert!(read_in_berlin("start,end,person\n2026-11-26,,Li Na\n").unwrap_err()[0].starts_with("line 2: the last shift"));
        assert!(read_in_berlin("start,end,person\n").is_err());
        assert!(read_in_berlin("from,to,who\n2026-11-23,2026-11-24,Li Na\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(text in ".{0,200}") {
            let _ = read_in_berlin(&text);
            let _ = read_in_berlin(&format!("start,end,person\n{text}\n"));
        }
    }
}
