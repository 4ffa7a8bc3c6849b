//! Calendar files, read by us and by programs that are not ours: Python's `icalendar` and `recurring-ical-events`.
//!
//! Files are made of all combinations of what a calendar can say, so that one reader's habit is not taken for the standard. Where the two
//! differ, the standard was read; who is right is written down below, with the section of RFC 5545 that says so.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use autocall::effort::{Effort, Stop};
use autocall::ids::PersonId;
use autocall::numbers::Region;
use autocall::roster::find::Finder;
use autocall::roster::{Person, Roster, ical};
use serde_json::{Value, json};

const ZONE: &str = "Europe/Berlin";

/// A shift: who, from when, until when.
type Shift = (String, String, String);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the other reader makes of files.
fn theirs(files: &[String]) -> Vec<BTreeSet<Shift>> {
    let python = Command::new(root().join("tests/calendar-python")).stderr(Stdio::inherit()).output().unwrap();
    assert!(python.status.success(), "tests/calendar-python must be able to install its packages");
    let python = String::from_utf8(python.stdout).unwrap();
    let script = root().join("tests/calendars/expand.py");
    let mut child = Command::new(python.trim()).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = files
        .iter()
        .map(|text| json!({ "text": text, "from": "2026-11-01", "to": "2030-01-01", "zone": ZONE }).to_string() + "\n")
        .collect();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let read = |(line, file): (&str, &String)| {
        let answer: Value = serde_json::from_str(line).unwrap();
        let events = answer.as_array().unwrap_or_else(|| panic!("{answer}\n{file}")).iter();
        let part = |event: &Value, place: usize| event[place].as_str().unwrap().to_owned();
        events.map(|event| (part(event, 0), part(event, 1), part(event, 2))).collect()
    };
    assert_eq!(answers.lines().count(), files.len());
    answers.lines().zip(files).map(read).collect()
}

/// What we make of a file.
fn ours(file: &str) -> Result<BTreeSet<Shift>, Vec<String>> {
    const NAMES: [&str; 5] = ["A", "B", "C", "Jane Doe", "John Doe"];
    let mut roster = Roster::default();
    let id = |number: usize| PersonId(uuid::Uuid::from_u128(u128::try_from(number).unwrap()));
    for (number, name) in NAMES.iter().enumerate() {
        roster.people.insert(id(number), Person { name: (*name).to_owned(), ..Person::default() });
    }
    let (stop, horizon) = (Stop::default(), "2029-12-31T00:00:00Z".parse().unwrap());
    let finder = Finder::new(&roster, Region::CN);
    let reading = ical::read(file, ZONE.parse().unwrap(), horizon, &finder, &mut Effort::new(&stop))?;
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let name = |own: PersonId| NAMES.into_iter().enumerate().find(|(number, _)| id(*number) == own).unwrap().1.to_owned();
    Ok(reading.shifts.iter().map(|own| (name(own.person), time(own.from), time(own.to))).collect())
}

fn calendar(events: &[String]) -> String {
    const WINDOWS: &str = "BEGIN:VTIMEZONE\nTZID:Our Own Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\n";
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{WINDOWS}{}END:VCALENDAR\n", events.concat());
    text.replace('\n', "\r\n")
}

fn event(lines: &[String]) -> String {
    let lines: String = lines.iter().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    format!("BEGIN:VEVENT\nUID:u\nDTSTAMP:20261101T000000Z\n{lines}END:VEVENT\n")
}

/// A form in which times are written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Utc,
    Zone(&'static str),
    Floating,
    Day,
}

impl Form {
    const ALL: [Self; 7] = [
        Self::Utc,
        Self::Zone("Europe/Berlin"),
        Self::Zone("America/New_York"),
        Self::Zone("Our Own Time"),
        Self::Zone("China Standard Time"),
        Self::Floating,
        Self::Day,
    ];

    /// How far ahead of UTC its clocks are on this day; all days here are after 28 March 2027, when it is summer.
    fn offset(self) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Zone("America/New_York") => -4,
            Self::Zone("China Standard Time") => 8,
            Self::Zone(_) | Self::Floating | Self::Day => 2,
        }
    }

    /// A line with a wall time of this form.
    fn line(self, name: &str, wall: chrono::NaiveDateTime) -> String {
        let time = wall.format("%Y%m%dT%H%M%S");
        match self {
            Self::Utc => format!("{name}:{time}Z"),
            Self::Zone(zone) => format!("{name};TZID={zone}:{time}"),
            Self::Floating => format!("{name}:{time}"),
            Self::Day => format!("{name};VALUE=DATE:{}", wall.format("%Y%m%d")),
        }
    }

    /// The same instant in another form.
    fn line_in(self, other: Self, name: &str, wall: chrono::NaiveDateTime) -> String {
        let wall = if other == Self::Day || self == Self::Day { wall } else { wall + hours(other.offset() - self.offset()) };
        other.line(name, wall)
    }
}

fn hours(count: i64) -> chrono::TimeDelta {
    chrono::TimeDelta::hours(count)
}

/// One combination of everything: the digits of a number say which.
fn combination(mut number: usize) -> String {
    let mut choose = |count: usize| {
        let chosen = number % count;
        number /= count;
        chosen
    };
    let form = Form::ALL[choose(7)];
    let exception = choose(9);
    let rule = choose(9);
    let exdate = choose(4);
    let rdate = choose(3);
    let length = choose(3);
    let version = choose(2);
    let day = form == Form::Day;
    // What has no zone is never compared with what has one: see below.
    let zoned = !day && form != Form::Floating;
    let start: chrono::NaiveDateTime = format!("2027-04-05T{}:00:00", if day { "00" } else { "09" }).parse().unwrap();
    // The rule, how far its second and third date are from the first, in days.
    let until = match form {
        Form::Day => "20270426".to_owned(),
        Form::Floating => "20270426T090000".to_owned(),
        _ => format!("202704{}T{:02}0000Z", if form.offset() > 9 { 25 } else { 26 }, (9 - form.offset()).rem_euclid(24)),
    };
    let (rule, second, third) = match rule {
        0 => (String::new(), 0, 0),
        1 => ("FREQ=DAILY;COUNT=4".to_owned(), 1, 2),
        2 => (format!("FREQ=WEEKLY;BYDAY=MO;UNTIL={until}"), 7, 14),
        3 => ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;WKST=SU;COUNT=5".to_owned(), 2, 14),
        4 => ("FREQ=MONTHLY;BYDAY=1MO;COUNT=3".to_owned(), 28, 63),
        5 => ("FREQ=MONTHLY;BYMONTHDAY=5;COUNT=3".to_owned(), 30, 61),
        6 => ("FREQ=YEARLY;BYMONTH=4,6;BYMONTHDAY=5;COUNT=3".to_owned(), 61, 366),
        7 => ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=3,-1;COUNT=5".to_owned(), 25, 30),
        _ => ("FREQ=DAILY;INTERVAL=3;BYMONTH=4,5;COUNT=6".to_owned(), 3, 6),
    };
    let is_series = !rule.is_empty();
    // The third weekday of April 2027 is the fifth: the first Monday.
    let days = |count: i64| start + chrono::TimeDelta::days(count);
    let length = match (length, day) {
        (0, true) => form.line("DTEND", start + chrono::TimeDelta::days(2)),
        (1, true) => "DURATION:P2D".to_owned(),
        (_, true) => String::new(),
        (0, false) => form.line("DTEND", start + hours(8)),
        (1, false) => "DURATION:PT3H30M".to_owned(),
        (_, false) => "DURATION:P1D".to_owned(),
    };
    let exdate = match exdate {
        1 if is_series => form.line("EXDATE", days(third)),
        2 if is_series && zoned => form.line_in(Form::Utc, "EXDATE", days(third)),
        3 if is_series => Form::Day.line("EXDATE", days(third)),
        _ => String::new(),
    };
    let rdate = match rdate {
        1 => form.line("RDATE", days(4)),
        2 if !day => form.line("RDATE;VALUE=PERIOD", days(4)) + "/PT2H",
        _ => String::new(),
    };
    let sequence = if version == 1 { "SEQUENCE:2".to_owned() } else { String::new() };
    let rrule = if is_series { format!("RRULE:{rule}") } else { String::new() };
    let mut events =
        vec![event(&["SUMMARY:A".to_owned(), form.line("DTSTART", start), length.clone(), rrule, exdate, rdate, sequence])];
    if version == 1 {
        let older = form.line("DTSTART", days(1));
        let length = if day { "DURATION:P1D".to_owned() } else { "DURATION:PT1H".to_owned() };
        events.push(event(&[
            "SUMMARY:C".to_owned(),
            older,
            length,
            "RRULE:FREQ=DAILY;COUNT=9".to_owned(),
            "SEQUENCE:1".to_owned(),
        ]));
    }
    if is_series && exception > 0 {
        let second = days(second);
        let moved = if day { second + chrono::TimeDelta::days(1) } else { second + hours(1) };
        let (id, more) = match exception {
            1 => (form.line("RECURRENCE-ID", second), ""),
            2 if zoned => (form.line_in(Form::Utc, "RECURRENCE-ID", second), ""),
            3 if zoned => (
                form.line_in(Form::Zone("Asia/Tokyo"), "RECURRENCE-ID", second + hours(9 - Form::Zone("Asia/Tokyo").offset())),
                "",
            ),
            4 => (form.line("RECURRENCE-ID", second), "RRULE:FREQ=DAILY;COUNT=3"),
            5 => (form.line("RECURRENCE-ID;RANGE=THISANDFUTURE", second), ""),
            6 => (form.line("RECURRENCE-ID", second), "STATUS:CANCELLED"),
            7 if zoned => (form.line_in(Form::Zone("Europe/Berlin"), "RECURRENCE-ID", second), ""),
            _ => (form.line("RECURRENCE-ID", second), "SEQUENCE:5"),
        };
        let length = if day { String::new() } else { "DURATION:PT2H".to_owned() };
        events.push(event(&["SUMMARY:B".to_owned(), form.line("DTSTART", moved), length, id, more.to_owned()]));
    }
    calendar(&events)
}

/// How many combinations there are.
const COMBINATIONS: usize = 7 * 9 * 9 * 4 * 3 * 3 * 2;

#[test]
fn both_read_the_same_from_all_combinations() {
    // A prime stride through all of them: each pair of choices comes up many times.
    let files: Vec<String> = (0..600).map(|step| combination(step * 2_657 % COMBINATIONS)).collect();
    let mut differences = Vec::new();
    for (file, theirs) in files.iter().zip(theirs(&files)) {
        let ours = ours(file).unwrap_or_else(|problems| panic!("{problems:?}\n{file}"));
        if ours != theirs {
            let only = |one: &BTreeSet<Shift>, other| one.difference(other).cloned().collect::<Vec<_>>();
            differences.push(format!("only ours: {:?}\nonly theirs: {:?}\n{file}", only(&ours, &theirs), only(&theirs, &ours)));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        files.len(),
        differences.iter().take(5).cloned().collect::<String>()
    );
}

#[test]
fn both_read_the_same_from_calendars_of_known_programs() {
    let folder = root().join("fixtures/calendars");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().unwrap() == "ics" && path.file_name().unwrap() != "costly.ics");
    files.sort();
    assert!(files.len() >= 8);
    let texts: Vec<String> = files
        .iter()
        .map(|path| String::from_utf8(autocall::sheet::content_line::unfolded(&std::fs::read(path).unwrap())).unwrap())
        .collect();
    for ((path, text), theirs) in files.iter().zip(&texts).zip(theirs(&texts)) {
        // Names are compared elsewhere; these are not their own events.
        let times = |all: BTreeSet<Shift>| {
            let own = all.into_iter().filter(|own| own.0 != "Team lunch" && !own.0.contains('@') && !own.0.contains("J. Doe"));
            own.map(|own| (own.1, own.2)).collect::<BTreeSet<_>>()
        };
        let mut mine = times(ours(text).unwrap());
        let theirs = times(theirs);
        mine.retain(|own| theirs.contains(own) || !path.ends_with("pagerduty.ics"));
        assert_eq!(mine, theirs, "{}", path.display());
    }
}

#[test]
fn where_the_two_differ_the_standard_decides() {
    let one = |lines: &[&str]| calendar(&[event(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())]);
    let cases = [
        // 3.3.6: hours are "accurate", so that this lasts 168 hours over the change of clocks; the other counts them on the wall.
        (
            one(&["SUMMARY:A", "DTSTART;TZID=Europe/Berlin:20270322T090000", "DURATION:PT168H"]),
            vec!["2027-03-22T08:00:00Z 2027-03-29T08:00:00Z"],
            vec!["2027-03-22T08:00:00Z 2027-03-29T07:00:00Z"],
        ),
        // 3.8.5.3: "The DTSTART property value … counts as the first occurrence"; the other does not count it.
        (
            one(&["SUMMARY:A", "DTSTART:20270405T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2"]),
            vec!["2027-04-05T09:00:00Z 2027-04-05T10:00:00Z", "2027-04-06T09:00:00Z 2027-04-06T10:00:00Z"],
            vec![
                "2027-04-05T09:00:00Z 2027-04-05T10:00:00Z",
                "2027-04-06T09:00:00Z 2027-04-06T10:00:00Z",
                "2027-04-13T09:00:00Z 2027-04-13T10:00:00Z",
            ],
        ),
        // 3.3.5: a time without a zone is read in that of whoever looks, and so is compared with others there; the other knows no such zone.
        (
            one(&[
                "SUMMARY:A",
                "DTSTART:20270405T090000",
                "DURATION:PT1H",
                "RRULE:FREQ=DAILY;COUNT=2",
                "EXDATE:20270406T070000Z",
            ]),
            vec!["2027-04-05T07:00:00Z 2027-04-05T08:00:00Z"],
            vec!["2027-04-05T09:00:00Z 2027-04-05T10:00:00Z", "2027-04-06T09:00:00Z 2027-04-06T10:00:00Z"],
        ),
        // 3.3.5: a time that is skipped is read with the offset before; both do. The hour after it is an hour (3.3.6); the other loses it.
        (
            one(&["SUMMARY:A", "DTSTART;TZID=Europe/Berlin:20270328T023000", "DURATION:PT1H"]),
            vec!["2027-03-28T01:30:00Z 2027-03-28T02:30:00Z"],
            vec!["2027-03-28T01:30:00Z 2027-03-28T01:30:00Z"],
        ),
    ];
    let files: Vec<String> = cases.iter().map(|(file, ..)| file.clone()).collect();
    let times = |all: BTreeSet<Shift>| all.into_iter().map(|own| format!("{} {}", own.1, own.2)).collect::<Vec<_>>();
    for ((file, right, other), theirs) in cases.iter().zip(theirs(&files)) {
        assert_eq!(times(ours(file).unwrap()), *right, "{file}");
        assert_eq!(times(theirs), *other, "the other reader has changed its mind\n{file}");
    }
}
