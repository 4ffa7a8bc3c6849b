//! A report: what is asked, and the lines that sums of figures, names and hours on duty become.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, Months, NaiveDate};

use super::Dimension;
use super::counted::month;
use super::duty::OnDuty;
use super::fairness::against_mean;
use super::figures::Figures;

/// A report is of so many months at most.
pub const MOST_MONTHS: u32 = 24;

/// What the lines of a report are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A line for each day.
    Day,
    /// A line for each month.
    Month,
    /// A line for each team.
    Team,
    /// A line for each escalation policy.
    Policy,
    /// A line for each sender.
    Sender,
    /// A line for each person.
    Person,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Day, Self::Month, Self::Team, Self::Policy, Self::Sender, Self::Person];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Team => "team",
            Self::Policy => "policy",
            Self::Sender => "source",
            Self::Person => "person",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }

    /// By what the sums are kept of which it is made.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        match self {
            Self::Day | Self::Month => Dimension::All,
            Self::Team => Dimension::Team,
            Self::Policy => Dimension::Policy,
            Self::Sender => Dimension::Sender,
            Self::Person => Dimension::Person,
        }
    }

    /// Whether its lines say how long somebody was on duty.
    #[must_use]
    pub fn has_duty(self) -> bool {
        matches!(self, Self::Team | Self::Person)
    }
}

/// What a report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What its lines are.
    pub by: By,
    /// The first day.
    pub from: NaiveDate,
    /// The first day after it.
    pub until: NaiveDate,
}

/// What somebody asks of a report, as they write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'w> {
    /// What its lines are.
    pub by: Option<&'w str>,
    /// The first month.
    pub from: Option<&'w str>,
    /// The last month.
    pub to: Option<&'w str>,
    /// Only this team and its people, by name or id.
    pub team: Option<&'w str>,
}

impl Wanted<'_> {
    /// Reads it. Whether there is such a team is for whoever knows the teams.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn read(&self, today: NaiveDate) -> Result<Asked, Wrong> {
        let asked = Asked::read(self.by, self.from, self.to, today)?;
        if self.team.is_some() && !asked.by.has_duty() { Err(Wrong::TeamNotHere) } else { Ok(asked) }
    }
}

/// What is wrong with what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Lines are by none of what there is.
    #[error("by must be one of day, month, team, policy, source and person")]
    By,
    /// The first or the last month cannot be read.
    #[error("this must be a month, such as 2026-11")]
    Month(&'static str),
    /// The last month lies before the first one.
    #[error("the last month must not be before the first one")]
    EndsFirst,
    /// The last month has not begun.
    #[error("this month has not begun: the last one is {}", .last.format("%Y-%m"))]
    NotBegun {
        /// The last one that has.
        last: NaiveDate,
    },
    /// Too many months.
    #[error("a report is of {MOST_MONTHS} months at most: ask for fewer")]
    TooLong,
    /// A team is given where lines are neither of teams nor of people.
    #[error("a team can be given with reports by team and by person alone: ask for one of these, or leave the team out")]
    TeamNotHere,
    /// There is no such team.
    #[error("there is no team {0:?}: give the name or id of one that there is, or leave it out")]
    NoTeam(String),
}

impl Wrong {
    /// The parameter at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::By => "by",
            Self::Month(field) => field,
            Self::EndsFirst | Self::NotBegun { .. } | Self::TooLong => "to",
            Self::TeamNotHere | Self::NoTeam(_) => "team",
        }
    }
}

impl Asked {
    /// Reads what is asked: the month of today, by month, where nothing is said. A month that is not over is told as far as it has got, and
    /// one that has not begun cannot be asked for.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn read(by: Option<&str>, from: Option<&str>, to: Option<&str>, today: NaiveDate) -> Result<Self, Wrong> {
        let by = match by {
            None => By::Month,
            Some(word) => By::parse(word).ok_or(Wrong::By)?,
        };
        let read = |field, text: Option<&str>| match text {
            None => Ok(None),
            Some(text) => read_month(text).map(Some).ok_or(Wrong::Month(field)),
        };
        let this = month(today);
        let (from, to) = match (read("from", from)?, read("to", to)?) {
            (Some(from), Some(to)) => (from, to),
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => (this, this),
        };
        if to < from {
            return Err(Wrong::EndsFirst);
        }
        if to > this {
            return Err(Wrong::NotBegun { last: this });
        }
        let most = from.checked_add_months(Months::new(MOST_MONTHS)).unwrap_or(NaiveDate::MAX);
        let until = to.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
        if until > most {
            return Err(Wrong::TooLong);
        }
        Ok(Self { by, from, until })
    }

    /// The last month of it.
    #[must_use]
    pub fn last_month(&self) -> NaiveDate {
        month(self.until.pred_opt().unwrap_or(self.until))
    }
}

/// The first day of a month that is written such as `2026-11`.
fn read_month(text: &str) -> Option<NaiveDate> {
    let (year, number) = text.split_once('-')?;
    if year.len() != 4 || number.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(year.parse().ok()?, number.parse().ok()?, 1)?;
    (day >= NaiveDate::from_ymd_opt(1970, 1, 1)?).then_some(day)
}

/// Whom or what a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A day.
    Day(NaiveDate),
    /// A month, by its first day.
    Month(NaiveDate),
    /// Somebody or something with a name.
    Named {
        /// The id, where it has one.
        id: Option<String>,
        /// What people call it.
        name: String,
    },
    /// What is of no team, policy or sender.
    Nothing,
    /// Teams, policies and senders that were removed, together.
    Removed,
}

/// How much of what all bear somebody bears: 100 is an equal share, `None` where there is nothing to share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Of the time on duty.
    pub duty: Option<i64>,
    /// Of the calls.
    pub calls: Option<i64>,
    /// Of the calls that were picked up.
    pub answered: Option<i64>,
}

/// A line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whom or what it is about.
    pub subject: Subject,
    /// The figures; `None`: nobody counted at that time.
    pub figures: Option<Figures>,
    /// How long somebody was on duty.
    pub duty: Option<OnDuty>,
    /// Against the mean of all lines.
    pub share: Option<Share>,
}

/// Sums by subject, and by day or month.
pub type Sums = BTreeMap<(String, NaiveDate), Figures>;

/// What lines are made of.
#[derive(Debug, Default)]
pub struct Parts {
    /// The sums.
    pub sums: Sums,
    /// What subjects are called.
    pub names: BTreeMap<String, String>,
    /// How long they were on duty.
    pub duty: BTreeMap<String, OnDuty>,
    /// Only these; `None`: all.
    pub only: Option<BTreeSet<String>>,
    /// The first day of which figures are known; `None`: of none.
    pub known_from: Option<NaiveDate>,
}

/// The lines of a report, in order.
#[must_use]
pub fn lines(asked: &Asked, parts: &Parts) -> Vec<Line> {
    match asked.by {
        By::Day => of_times(asked, parts, 1, |day| day.checked_add_days(Days::new(1)), Subject::Day),
        By::Month => of_times(asked, parts, 31, |day| day.checked_add_months(Months::new(1)), Subject::Month),
        By::Team | By::Policy | By::Sender | By::Person => of_subjects(asked, parts),
    }
}

fn of_times(
    asked: &Asked,
    parts: &Parts,
    longest: u64,
    next: impl Fn(NaiveDate) -> Option<NaiveDate>,
    subject: impl Fn(NaiveDate) -> Subject,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = Some(asked.from);
    while let Some(day) = at.filter(|day| *day < asked.until) {
        at = next(day);
        let ends = at.unwrap_or_else(|| day.checked_add_days(Days::new(longest)).unwrap_or(NaiveDate::MAX));
        let is_known = parts.known_from.is_some_and(|from| from < ends);
        let figures = || parts.sums.get(&(String::new(), day)).cloned().unwrap_or_default();
        lines.push(Line { subject: subject(day), figures: is_known.then(figures), duty: None, share: None });
    }
    lines
}

fn of_subjects(asked: &Asked, parts: &Parts) -> Vec<Line> {
    let mut totals: BTreeMap<&str, Figures> = BTreeMap::new();
    for ((subject, _), figures) in &parts.sums {
        totals.entry(subject).or_default().add(figures, 1);
    }
    for subject in parts.duty.keys() {
        totals.entry(subject).or_default();
    }
    if let Some(only) = &parts.only {
        totals.retain(|subject, _| only.contains(*subject));
    }
    let mut lines = Vec::new();
    let (mut nothing, mut removed) = (None, None);
    for (id, figures) in totals {
        let duty = asked.by.has_duty().then(|| parts.duty.get(id).copied().unwrap_or_default());
        let is_id = id.len() == 36;
        match parts.names.get(id) {
            _ if id.is_empty() => nothing = Some(figures),
            Some(name) => {
                let subject = Subject::Named { id: Some(id.to_owned()), name: name.clone() };
                lines.push(Line { subject, figures: Some(figures), duty, share: None });
            }
            // A part of this server that raises alarms itself goes by its name.
            None if asked.by == By::Sender && !is_id => {
                let subject = Subject::Named { id: None, name: id.to_owned() };
                lines.push(Line { subject, figures: Some(figures), duty, share: None });
            }
            // Whoever was removed from the people left no figures.
            None if asked.by == By::Person => {}
            None => removed.get_or_insert_with(Figures::default).add(&figures, 1),
        }
    }
    lines.sort_by_cached_key(|line| match &line.subject {
        Subject::Named { name, id } => (name.to_lowercase(), id.clone()),
        _ => (String::new(), None),
    });
    if asked.by == By::Person {
        shares(&mut lines);
    }
    let rest = |subject, figures: Option<Figures>| {
        figures.map(|figures| Line { subject, figures: Some(figures), duty: None, share: None })
    };
    lines.extend(rest(Subject::Nothing, nothing));
    lines.extend(rest(Subject::Removed, removed));
    lines
}

/// Fairness is among those who bear anything.
fn shares(lines: &mut [Line]) {
    let of = |line: &Line| {
        let figures = line.figures.as_ref();
        (
            line.duty.map_or(0, |duty| duty.seconds),
            figures.map_or(0, |figures| figures.calls),
            figures.map_or(0, |figures| figures.calls_answered),
        )
    };
    let bear: Vec<_> = lines.iter().map(of).filter(|(duty, calls, _)| *duty > 0 || *calls > 0).collect();
    let total = bear.iter().fold((0_i64, 0_i64, 0_i64), |sum, own| (sum.0 + own.0, sum.1 + own.1, sum.2 + own.2));
    for line in lines {
        let own = of(line);
        line.share = (own.0 > 0 || own.1 > 0).then(|| Share {
            duty: against_mean(own.0, total.0, bear.len()),
            calls: against_mean(own.1, total.1, bear.len()),
            answered: against_mean(own.2, total.2, bear.len()),
        });
    }
}

/// The columns of a report as a table for programs and spreadsheets.
pub const COLUMNS: [&str; 29] = [
    "subject",
    "id",
    "alarms",
    "alarms_at_night",
    "alarms_at_weekend",
    "repeats",
    "false_alarms",
    "hunts",
    "answered",
    "confirmed",
    "unanswered",
    "declined",
    "calls",
    "calls_at_night",
    "calls_at_weekend",
    "calls_answered",
    "calls_not_reached",
    "calls_failed",
    "seconds_to_answer_median",
    "seconds_to_answer_90",
    "seconds_to_confirm_median",
    "seconds_to_confirm_90",
    "duty_hours",
    "duty_hours_at_night",
    "duty_hours_at_weekend",
    "share_of_duty",
    "share_of_calls",
    "share_of_answers",
    "known",
];

/// A line in these columns; what is not known is empty. `nothing` and `removed` are the words for what has no name.
#[must_use]
pub fn cells(line: &Line, nothing: &str, removed: &str) -> Vec<String> {
    let (subject, id) = match &line.subject {
        Subject::Day(day) => (day.format("%Y-%m-%d").to_string(), String::new()),
        Subject::Month(day) => (day.format("%Y-%m").to_string(), String::new()),
        Subject::Named { id, name } => (name.clone(), id.clone().unwrap_or_default()),
        Subject::Nothing => (nothing.to_owned(), String::new()),
        Subject::Removed => (removed.to_owned(), String::new()),
    };
    let maybe = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let figures = line.figures.as_ref();
    let count = |of: fn(&Figures) -> i64| maybe(figures.map(of));
    let hours = |of: fn(&OnDuty) -> i64| line.duty.as_ref().map(|duty| hours(of(duty))).unwrap_or_default();
    let share = |of: fn(&Share) -> Option<i64>| maybe(line.share.as_ref().and_then(of));
    vec![
        subject,
        id,
        count(|own| own.alarms),
        count(|own| own.alarms_at_night),
        count(|own| own.alarms_at_weekend),
        count(|own| own.repeats),
        count(|own| own.false_alarms),
        count(|own| own.hunts),
        count(|own| own.answered),
        count(|own| own.confirmed),
        count(|own| own.unanswered),
        count(|own| own.declined),
        count(|own| own.calls),
        count(|own| own.calls_at_night),
        count(|own| own.calls_at_weekend),
        count(|own| own.calls_answered),
        count(|own| own.calls_not_reached),
        count(|own| own.calls_failed),
        maybe(figures.and_then(|own| own.to_answer.percentile(50))),
        maybe(figures.and_then(|own| own.to_answer.percentile(90))),
        maybe(figures.and_then(|own| own.to_confirm.percentile(50))),
        maybe(figures.and_then(|own| own.to_confirm.percentile(90))),
        hours(|own| own.seconds),
        hours(|own| own.night_seconds),
        hours(|own| own.weekend_seconds),
        share(|own| own.duty),
        share(|own| own.calls),
        share(|own| own.answered),
        if line.figures.is_some() { "yes" } else { "no" }.to_owned(),
    ]
}

/// Seconds as hours with one place, for people who are paid by them.
#[must_use]
pub fn hours(seconds: i64) -> String {
    let tenths = (seconds.max(0) + 180) / 360;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn asked(by: By, from: &str, to: &str) -> Asked {
        Asked::read(Some(by.as_str()), Some(from), Some(to), day("2027-06-15")).unwrap()
    }

    fn calls(calls: i64, calls_answered: i64) -> Figures {
        Figures { calls, calls_answered, ..Figures::default() }
    }

    #[test]
    fn what_is_asked_is_read_or_refused_with_the_field() {
        let today = day("2027-06-15");
        let read = |by, from, to| Asked::read(by, from, to, today);
        let now = read(None, None, None).unwrap();
        assert_eq!((now.by, now.from, now.until), (By::Month, day("2027-06-01"), day("2027-07-01")));
        let one = read(Some("team"), Some("2027-02"), None).unwrap();
        assert_eq!((one.from, one.until, one.last_month()), (day("2027-02-01"), day("2027-03-01"), day("2027-02-01")));
        let field = |by, from, to| read(by, from, to).unwrap_err().field();
        assert_eq!(field(Some("weather"), None, None), "by");
        for wrong in ["2027", "2027-13", "2027-1", "x", "2027-01-01", "+027-01", "0001-01", ""] {
            assert_eq!(field(None, Some(wrong), None), "from", "{wrong}");
        }
        assert_eq!(field(None, Some("2027-05"), Some("2027-04")), "to");
        assert_eq!(field(None, None, Some("2027-07")), "to");
        assert_eq!(field(None, Some("2025-05"), Some("2027-06")), "to");
        assert!(read(None, Some("2025-07"), Some("2027-06")).is_ok());
        for by in By::ALL {
            let of_team = Wanted { by: Some(by.as_str()), team: Some("ops"), ..Wanted::default() }.read(today);
            match by {
                By::Team | By::Person => assert_eq!(of_team.unwrap().by, by),
                _ => assert_eq!(of_team.unwrap_err().field(), "team"),
            }
            assert!(Wanted { by: Some(by.as_str()), ..Wanted::default() }.read(today).is_ok());
        }
    }

    #[test]
    fn a_month_in_which_nobody_counted_is_not_zero() {
        let parts = Parts {
            sums: Sums::from([((String::new(), day("2027-05-01")), calls(2, 1))]),
            known_from: Some(day("2027-04-20")),
            ..Parts::default()
        };
        let lines = lines(&asked(By::Month, "2027-03", "2027-05"), &parts);
        let told: Vec<_> = lines.iter().map(|line| line.figures.as_ref().map(|figures| figures.calls)).collect();
        assert_eq!(told, [None, Some(0), Some(2)]);
        assert_eq!(cells(&lines[0], "-", "-")[2], "");
        assert_eq!(cells(&lines[1], "-", "-")[2], "0");
        let nobody = super::lines(&asked(By::Month, "2027-03", "2027-05"), &Parts::default());
        assert!(nobody.iter().all(|line| line.figures.is_none()));
    }

    #[test]
    fn a_line_for_each_day_of_the_months() {
        let parts = Parts { known_from: Some(day("2027-02-27")), ..Parts::default() };
        let lines = lines(&asked(By::Day, "2027-02", "2027-03"), &parts);
        assert_eq!(lines.len(), 28 + 31);
        assert_eq!(lines.iter().filter(|line| line.figures.is_none()).count(), 26);
        assert_eq!(cells(&lines[28], "", "")[0], "2027-03-01");
    }

    #[test]
    fn names_in_order_then_what_has_none_then_what_was_removed() {
        let id = |letter: &str| letter.repeat(36);
        let parts = Parts {
            sums: Sums::from([
                ((id("a"), day("2027-05-01")), calls(1, 0)),
                ((id("a"), day("2027-04-01")), calls(2, 0)),
                ((id("b"), day("2027-05-01")), calls(4, 0)),
                ((id("c"), day("2027-05-01")), calls(8, 0)),
                ((id("d"), day("2027-05-01")), calls(16, 0)),
                ((String::new(), day("2027-05-01")), calls(32, 0)),
                (("heartbeats".to_owned(), day("2027-05-01")), calls(64, 0)),
            ]),
            names: BTreeMap::from([(id("a"), "Zoo".to_owned()), (id("b"), "alpha".to_owned())]),
            ..Parts::default()
        };
        let told = |by| -> Vec<(String, String)> {
            let lines = lines(&asked(by, "2027-04", "2027-05"), &parts);
            lines.iter().map(|line| cells(line, "none", "removed")).map(|cells| (cells[0].clone(), cells[12].clone())).collect()
        };
        let expected = |all: &[(&str, &str)]| -> Vec<(String, String)> {
            all.iter().map(|(name, calls)| ((*name).to_owned(), (*calls).to_owned())).collect()
        };
        let by_sender = [("alpha", "4"), ("heartbeats", "64"), ("Zoo", "3"), ("none", "32"), ("removed", "24")];
        assert_eq!(told(By::Sender), expected(&by_sender));
        assert_eq!(told(By::Person), expected(&[("alpha", "4"), ("Zoo", "3"), ("none", "32")]));
    }

    #[test]
    fn shares_are_among_those_who_bear_anything() {
        let id = |letter: &str| letter.repeat(36);
        let on = |seconds| OnDuty { seconds, ..OnDuty::default() };
        let parts = Parts {
            sums: Sums::from([
                ((id("a"), day("2027-05-01")), calls(3, 3)),
                ((id("b"), day("2027-05-01")), calls(1, 0)),
                ((id("c"), day("2027-05-01")), Figures { confirmed: 1, ..Figures::default() }),
            ]),
            names: BTreeMap::from([(id("a"), "A".to_owned()), (id("b"), "B".to_owned()), (id("c"), "C".to_owned())]),
            duty: BTreeMap::from([(id("a"), on(3600)), (id("b"), on(3 * 3600))]),
            ..Parts::default()
        };
        let lines = lines(&asked(By::Person, "2027-05", "2027-05"), &parts);
        let share = |line: &Line| line.share.map(|share| (share.duty, share.calls, share.answered));
        assert_eq!(share(&lines[0]), Some((Some(50), Some(150), Some(200))));
        assert_eq!(share(&lines[1]), Some((Some(150), Some(50), Some(0))));
        assert_eq!(share(&lines[2]), None);
        let only = Parts { only: Some(BTreeSet::from([id("b")])), ..parts };
        assert_eq!(super::lines(&asked(By::Person, "2027-05", "2027-05"), &only).len(), 1);
    }

    #[test]
    fn every_line_has_every_column() {
        let line = Line {
            subject: Subject::Nothing,
            figures: Some(Figures::default()),
            duty: Some(OnDuty { seconds: 5400, night_seconds: 0, weekend_seconds: 359 }),
            share: None,
        };
        let cells = cells(&line, "none", "removed");
        assert_eq!(cells.len(), COLUMNS.len());
        assert_eq!((cells[22].as_str(), cells[24].as_str()), ("1.5", "0.1"));
    }
}
