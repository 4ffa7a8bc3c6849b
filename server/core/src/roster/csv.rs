//! Shifts as a spreadsheet has them: a table with the columns `start`, `end` and `person`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::find::Finder;
use super::typed::{self, DayOrder};
use super::{FixedShift, Roster, Shift, text};
use crate::ids::PersonId;
use crate::sheet::{table, told};

/// More shifts than this are surely a mistake.
pub const MOST_SHIFTS: usize = 20_000;

/// What a file of shifts says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// In the order they begin.
    pub shifts: Vec<FixedShift>,
    /// What is nobody's, and was passed over.
    pub skipped: Vec<String>,
    /// How it was understood, where it could be understood otherwise.
    pub notes: Vec<String>,
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
pub fn read(csv_text: &str, zone: Tz, finder: &Finder<'_>) -> Result<Reading, Vec<String>> {
    fn field(row: &table::Row, column: usize) -> &str {
        row.fields.get(column).map_or("", String::as_str)
    }
    let table = table::read(csv_text).map_err(|why| vec![why])?;
    let column = |name: &str| {
        table.column(name).ok_or_else(|| {
            vec![format!("its first line must name the columns start, end and person; it has {}", table.columns.join(", "))]
        })
    };
    let (start, person) = (column("start")?, column("person")?);
    let end = table.column("end");
    if let Some(other) = table.columns.iter().find(|name| !["start", "end", "person", ""].contains(&name.as_str())) {
        return Err(vec![format!("there is no column {other:?}: there are start, end and person")]);
    }
    let times = table.rows.iter().flat_map(|row| [Some(field(row, start)), end.map(|end| field(row, end))]).flatten();
    let order = DayOrder::of(times);
    let mut problems = table.problems.clone();
    let mut rows: Vec<Line> = Vec::new();
    for row in &table.rows {
        let read = || {
            let from = typed::instant(field(row, start), zone, order)?;
            let to = match end.map_or("", |end| field(row, end)) {
                "" => None,
                end => Some(typed::instant(end, zone, order)?),
            };
            let name = field(row, person);
            let person = finder.find(name).ok_or_else(|| unknown(name))?;
            Ok(Line { number: row.line, from, to, person })
        };
        match read() {
            Ok(line) => rows.push(line),
            Err(why) => problems.push((row.line, why)),
        }
    }
    let all_read = problems.is_empty();
    let mut reading = Reading::default();
    for (place, Line { number, from, to, person }) in rows.iter().enumerate() {
        match to.or_else(|| rows.get(place + 1).map(|next| next.from)) {
            Some(to) if to > *from => reading.shifts.push(FixedShift { from: *from, to, person: *person }),
            Some(_) => problems.push((*number, "the shift ends before it begins".to_owned())),
            None if all_read => problems.push((*number, "the last shift needs an end".to_owned())),
            // The line that ends it is wrong itself.
            None => {}
        }
    }
    problems.sort();
    let problems = problems.into_iter().map(|(line, why)| format!("line {line}: {why}")).collect();
    finish(reading, problems)
}

/// What is said of a name that nobody has.
pub(super) fn unknown(name: &str) -> String {
    match name.trim() {
        "" => "nobody is named".to_owned(),
        name => format!("there is no person {name:?}: add them first, with `autocall people import` or on the page"),
    }
}

/// Puts shifts in order, unless something was wrong.
pub(super) fn finish(mut reading: Reading, mut problems: Vec<String>) -> Result<Reading, Vec<String>> {
    if reading.shifts.is_empty() && problems.is_empty() {
        problems.push("there is no shift in it".to_owned());
        problems.append(&mut reading.skipped);
    }
    if reading.shifts.len() > MOST_SHIFTS {
        problems.push(format!("it has {} shifts; {MOST_SHIFTS} is the limit", reading.shifts.len()));
    }
    if !problems.is_empty() {
        return Err(told(problems));
    }
    reading.shifts.sort_by_key(|shift| (shift.from, shift.to, shift.person));
    reading.shifts.dedup();
    Ok(Reading { shifts: reading.shifts, skipped: told(reading.skipped), notes: told(reading.notes) })
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

    fn read_in_berlin(text: &str) -> Result<Vec<FixedShift>, Vec<String>> {
        let mut roster = Roster::default();
        for (number, name) in [(1, "张伟"), (2, "Li Na")] {
            let person = super::super::Person { name: name.to_owned(), ..Default::default() };
            roster.people.insert(PersonId(uuid::Uuid::from_u128(number)), person);
        }
        read(text, Tz::Europe__Berlin, &Finder::new(&roster, crate::numbers::Region::CN)).map(|reading| reading.shifts)
    }

    #[test]
    fn a_week_a_line_is_enough() {
        let shifts =
            read_in_berlin("start,end,person\n2026-11-23 09:00,,张伟\n2026-11-30 09:00,2026-12-07T08:00:00Z,Li Na\n").unwrap();
        let times: Vec<_> = shifts.iter().map(|shift| (shift.from.to_rfc3339(), shift.to.to_rfc3339())).collect();
        assert_eq!(times[0], ("2026-11-23T08:00:00+00:00".to_owned(), "2026-11-30T08:00:00+00:00".to_owned()));
        assert_eq!(times[1].1, "2026-12-07T08:00:00+00:00");
        assert_eq!(read_in_berlin("Start;Person;END;;\r\n23.11.2026;li na;24.11.2026;;\r\n;;;;\r\n").unwrap().len(), 1);
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
