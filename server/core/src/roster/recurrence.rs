//! Rules that repeat (RFC 5545, 3.3.10), followed in wall time: as if no clock ever changed, so that a shift keeps its hours.
//!
//! Our own, because every period that is looked at must be counted, also where it has no date: a rule such as 30 February costs a
//! library that only counts dates minutes or more. Compared in the tests with another implementation.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Weekday};

use crate::effort::{Effort, TooManySteps};

/// No rule is followed beyond.
const LAST_YEAR: i32 = 2199;

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    frequency: Frequency,
    interval: u32,
    count: Option<u32>,
    until: Option<NaiveDateTime>,
    week_start: Weekday,
    months: Vec<i32>,
    weeks: Vec<i32>,
    year_days: Vec<i32>,
    month_days: Vec<i32>,
    /// The day of the week, and which one of the month or year: 0 for all.
    days: Vec<(i32, Weekday)>,
    hours: Vec<i32>,
    minutes: Vec<i32>,
    seconds: Vec<i32>,
    positions: Vec<i32>,
}

impl Recurrence {
    /// Reads a rule. `until` reads the value of `UNTIL` as the wall time of the last possible occurrence.
    ///
    /// # Errors
    /// What is wrong with it, or not done here, by name.
    pub fn parse(text: &str, until: impl Fn(&str) -> Option<NaiveDateTime>) -> Result<Self, String> {
        let wrong = |why: String| format!("RRULE {text:?}: {why}");
        let mut rule = Self {
            frequency: Frequency::Daily,
            interval: 1,
            count: None,
            until: None,
            week_start: Weekday::Mon,
            months: Vec::new(),
            weeks: Vec::new(),
            year_days: Vec::new(),
            month_days: Vec::new(),
            days: Vec::new(),
            hours: Vec::new(),
            minutes: Vec::new(),
            seconds: Vec::new(),
            positions: Vec::new(),
        };
        let mut frequency = None;
        for part in text.trim().split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| wrong(format!("{part:?} is no NAME=VALUE")))?;
            let (name, value) = (name.trim().to_ascii_uppercase(), value.trim());
            let unreadable = || wrong(format!("{part} cannot be read"));
            let numbers = |range: std::ops::RangeInclusive<i32>| {
                // Days, weeks and months may be counted from the end, hours not.
                let fits = |own: &i32| range.contains(own) || (*range.start() > 0 && range.contains(&-own));
                let all: Option<Vec<i32>> = value.split(',').map(|own| own.trim().parse().ok().filter(fits)).collect();
                all.ok_or_else(unreadable)
            };
            match name.as_str() {
                "FREQ" => {
                    frequency = Some(match value.to_ascii_uppercase().as_str() {
                        "HOURLY" => Frequency::Hourly,
                        "DAILY" => Frequency::Daily,
                        "WEEKLY" => Frequency::Weekly,
                        "MONTHLY" => Frequency::Monthly,
                        "YEARLY" => Frequency::Yearly,
                        "MINUTELY" | "SECONDLY" => {
                            return Err(wrong(format!("no shift repeats FREQ={value}: HOURLY is the most frequent")));
                        }
                        _ => return Err(unreadable()),
                    });
                }
                "INTERVAL" => rule.interval = value.parse().ok().filter(|own| *own > 0).ok_or_else(unreadable)?,
                "COUNT" => rule.count = Some(value.parse().map_err(|_| unreadable())?),
                "UNTIL" => rule.until = Some(until(value).ok_or_else(unreadable)?),
                "WKST" => rule.week_start = weekday(value).ok_or_else(unreadable)?,
                "BYMONTH" => rule.months = numbers(1..=12)?,
                "BYWEEKNO" => rule.weeks = numbers(1..=53)?,
                "BYYEARDAY" => rule.year_days = numbers(1..=366)?,
                "BYMONTHDAY" => rule.month_days = numbers(1..=31)?,
                "BYHOUR" => rule.hours = numbers(0..=23)?,
                "BYMINUTE" => rule.minutes = numbers(0..=59)?,
                "BYSECOND" => rule.seconds = numbers(0..=60)?,
                "BYSETPOS" => rule.positions = numbers(1..=366)?,
                "BYDAY" => {
                    let all: Option<Vec<_>> = value.split(',').map(|own| numbered_day(own.trim())).collect();
                    rule.days = all.ok_or_else(unreadable)?;
                }
                name => return Err(wrong(format!("{name} is not followed here"))),
            }
        }
        rule.frequency = frequency.ok_or_else(|| wrong("it has no FREQ".to_owned()))?;
        Ok(rule)
    }

    /// The wall times of a series up to `last`, in order. `start` is always the first of them, and counts as one, whether the rule would
    /// have it or not (RFC 5545, 3.8.5.3).
    ///
    /// # Errors
    /// When it takes too many steps.
    pub fn walls(
        &self,
        start: NaiveDateTime,
        last: NaiveDateTime,
        effort: &mut Effort<'_>,
    ) -> Result<Vec<NaiveDateTime>, TooManySteps> {
        self.follow(start, last, vec![start], effort)
    }

    /// The wall times that the rule has by itself.
    ///
    /// # Errors
    /// As [`Self::walls`].
    pub fn matching(
        &self,
        start: NaiveDateTime,
        last: NaiveDateTime,
        effort: &mut Effort<'_>,
    ) -> Result<Vec<NaiveDateTime>, TooManySteps> {
        self.follow(start, last, Vec::new(), effort)
    }

    fn follow(
        &self,
        start: NaiveDateTime,
        last: NaiveDateTime,
        mut found: Vec<NaiveDateTime>,
        effort: &mut Effort<'_>,
    ) -> Result<Vec<NaiveDateTime>, TooManySteps> {
        let rule = self.completed(start);
        let last = self.until.map_or(last, |until| until.min(last));
        let most = self.count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
        for number in 0.. {
            effort.step()?;
            let Some(period) = rule.period(start, number).filter(|own| own.year() <= LAST_YEAR && *own <= last) else { break };
            for wall in rule.of_period(period, effort)? {
                if found.len() >= most || wall > last {
                    return Ok(found);
                }
                if wall > found.last().copied().unwrap_or(start) || (found.is_empty() && wall == start) {
                    found.push(wall);
                }
            }
        }
        Ok(found)
    }

    /// With what a rule leaves to its start: "each month" is each month on that day, at that time.
    fn completed(&self, start: NaiveDateTime) -> Self {
        let mut rule = self.clone();
        let signed = |number: u32| i32::try_from(number).unwrap_or(0);
        if rule.weeks.is_empty() && rule.year_days.is_empty() && rule.month_days.is_empty() && rule.days.is_empty() {
            match rule.frequency {
                Frequency::Yearly => {
                    if rule.months.is_empty() {
                        rule.months = vec![signed(start.month())];
                    }
                    rule.month_days = vec![signed(start.day())];
                }
                Frequency::Monthly => rule.month_days = vec![signed(start.day())],
                Frequency::Weekly => rule.days = vec![(0, start.weekday())],
                Frequency::Daily | Frequency::Hourly => {}
            }
        } else if !rule.weeks.is_empty() && rule.year_days.is_empty() && rule.month_days.is_empty() && rule.days.is_empty() {
            rule.days = vec![(0, start.weekday())];
        }
        if rule.hours.is_empty() && rule.frequency != Frequency::Hourly {
            rule.hours = vec![signed(start.hour())];
        }
        if rule.minutes.is_empty() {
            rule.minutes = vec![signed(start.minute())];
        }
        if rule.seconds.is_empty() {
            rule.seconds = vec![signed(start.second())];
        }
        rule
    }

    /// Where a period begins; `None` when no calendar reaches so far.
    fn period(&self, start: NaiveDateTime, number: u32) -> Option<NaiveDateTime> {
        let steps = number.checked_mul(self.interval)?;
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
        match self.frequency {
            Frequency::Hourly => {
                let hour = start.date().and_hms_opt(start.hour(), 0, 0)?;
                hour.checked_add_signed(TimeDelta::hours(i64::from(steps)))
            }
            Frequency::Daily => start.date().checked_add_days(Days::new(u64::from(steps))).map(midnight),
            Frequency::Weekly => {
                let into = start.weekday().days_since(self.week_start);
                let first = start.date().checked_sub_days(Days::new(u64::from(into)))?;
                first.checked_add_days(Days::new(7 * u64::from(steps))).map(midnight)
            }
            Frequency::Monthly => start.date().with_day(1)?.checked_add_months(Months::new(steps)).map(midnight),
            Frequency::Yearly => {
                let year = start.year().checked_add(i32::try_from(steps).ok()?)?;
                NaiveDate::from_ymd_opt(year, 1, 1).map(midnight)
            }
        }
    }

    /// All wall times of one period, in order.
    fn of_period(&self, period: NaiveDateTime, effort: &mut Effort<'_>) -> Result<Vec<NaiveDateTime>, TooManySteps> {
        let first = period.date();
        let end = match self.frequency {
            Frequency::Hourly | Frequency::Daily => first.succ_opt(),
            Frequency::Weekly => first.checked_add_days(Days::new(7)),
            Frequency::Monthly => first.checked_add_months(Months::new(1)),
            Frequency::Yearly => first.checked_add_months(Months::new(12)),
        };
        let Some(end) = end else { return Ok(Vec::new()) };
        let hours = match self.frequency {
            Frequency::Hourly => {
                let own = i32::try_from(period.hour()).unwrap_or(0);
                if self.hours.is_empty() || self.hours.contains(&own) { vec![own] } else { Vec::new() }
            }
            _ => self.hours.clone(),
        };
        let mut walls = Vec::new();
        if hours.is_empty() {
            return Ok(walls);
        }
        for day in first.iter_days().take_while(|day| *day < end).filter(|day| self.has_day(*day)) {
            for hour in &hours {
                for minute in &self.minutes {
                    for second in &self.seconds {
                        // The first one was counted with the period.
                        if !walls.is_empty() {
                            effort.step()?;
                        }
                        // A leap second is the last one of its minute.
                        walls.extend(time(*hour, *minute, (*second).min(59)).map(|time| day.and_time(time)));
                    }
                }
            }
        }
        walls.sort_unstable();
        walls.dedup();
        if !self.positions.is_empty() {
            let count = i32::try_from(walls.len()).unwrap_or(i32::MAX);
            let place = |place: usize| i32::try_from(place).unwrap_or(i32::MAX);
            let is_chosen =
                |at: usize| self.positions.contains(&(place(at) + 1)) || self.positions.contains(&(place(at) - count));
            walls = walls.into_iter().enumerate().filter(|(at, _)| is_chosen(*at)).map(|(_, wall)| wall).collect();
        }
        Ok(walls)
    }

    fn has_day(&self, day: NaiveDate) -> bool {
        let signed = |number: u32| i32::try_from(number).unwrap_or(0);
        // A number that is negative counts from the end.
        let matches =
            |wanted: &[i32], own: i32, all: i32| wanted.is_empty() || wanted.contains(&own) || wanted.contains(&(own - all - 1));
        let in_month = signed(days_of_month(day));
        let in_year = if day.leap_year() { 366 } else { 365 };
        (self.months.is_empty() || self.months.contains(&signed(day.month())))
            && matches(&self.month_days, signed(day.day()), in_month)
            && matches(&self.year_days, signed(day.ordinal()), in_year)
            && (self.weeks.is_empty() || {
                let (week, all) = self.week_of_year(day);
                matches(&self.weeks, week, all)
            })
            && (self.days.is_empty() || self.days.iter().any(|(number, own)| self.is_that_day(day, *number, *own)))
    }

    fn is_that_day(&self, day: NaiveDate, number: i32, weekday: Weekday) -> bool {
        if day.weekday() != weekday {
            return false;
        }
        let signed = |number: u32| i32::try_from(number).unwrap_or(0);
        // Of the month, also within the months of a year; of the year where no month is named.
        let (own, all) = match self.frequency {
            Frequency::Monthly => (signed(day.day()), signed(days_of_month(day))),
            Frequency::Yearly if !self.months.is_empty() => (signed(day.day()), signed(days_of_month(day))),
            Frequency::Yearly if self.weeks.is_empty() => (signed(day.ordinal()), if day.leap_year() { 366 } else { 365 }),
            _ => return true,
        };
        match number {
            0 => true,
            number if number > 0 => (own - 1) / 7 + 1 == number,
            number => (all - own) / 7 + 1 == -number,
        }
    }

    /// Which week of its year a day is in, and how many that year has. The first is the first with four days of the year.
    fn week_of_year(&self, day: NaiveDate) -> (i32, i32) {
        let first_of = |year: i32| {
            let january = NaiveDate::from_ymd_opt(year, 1, 1)?;
            let into = january.weekday().days_since(self.week_start);
            let start = january.checked_sub_days(Days::new(u64::from(into)))?;
            if into <= 3 { Some(start) } else { start.checked_add_days(Days::new(7)) }
        };
        let weeks = |from: NaiveDate, to: NaiveDate| i32::try_from((to - from).num_days().div_euclid(7)).unwrap_or(0);
        let year = day.year();
        let found = [year - 1, year, year + 1].into_iter().find_map(|year| {
            let (first, next) = (first_of(year)?, first_of(year + 1)?);
            (first <= day && day < next).then(|| (weeks(first, day) + 1, weeks(first, next)))
        });
        found.unwrap_or((0, 0))
    }
}

fn days_of_month(day: NaiveDate) -> u32 {
    let next = day.with_day(1).and_then(|first| first.checked_add_months(Months::new(1)));
    next.and_then(|next| next.pred_opt()).map_or(31, |last| last.day())
}

fn time(hour: i32, minute: i32, second: i32) -> Option<NaiveTime> {
    NaiveTime::from_hms_opt(u32::try_from(hour).ok()?, u32::try_from(minute).ok()?, u32::try_from(second).ok()?)
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

/// `MO`, `2MO`, `-1SU`.
fn numbered_day(text: &str) -> Option<(i32, Weekday)> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, day) = text.split_at(split);
    let number = if number.is_empty() { 0 } else { number.parse().ok().filter(|own: &i32| (1..=53).contains(&own.abs()))? };
    Some((number, weekday(day)?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::effort::Stop;

    fn walls(start: &str, rule: &str) -> Vec<String> {
        let read = |text: &str| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
        let (stop, start) = (Stop::default(), read(start).unwrap());
        let found =
            Recurrence::parse(rule, read).unwrap().matching(start, read("20301231T000000").unwrap(), &mut Effort::new(&stop));
        found.unwrap().iter().map(|wall| wall.format("%Y-%m-%d %H").to_string()).collect()
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 5545, 3.8.5.3; those that tell rules apart which are easily taken for each other.
        for (start, rule, expected) in [
            ("19970902T090000", "FREQ=DAILY;COUNT=2", "1997-09-02 09,1997-09-03 09"),
            (
                "19970902T090000",
                "FREQ=WEEKLY;INTERVAL=2;COUNT=3;WKST=SU;BYDAY=TU,TH",
                "1997-09-02 09,1997-09-04 09,1997-09-16 09",
            ),
            ("19970905T090000", "FREQ=MONTHLY;COUNT=3;BYDAY=1FR", "1997-09-05 09,1997-10-03 09,1997-11-07 09"),
            ("19970922T090000", "FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "1997-09-22 09,1997-10-20 09,1997-11-17 09"),
            ("19970928T090000", "FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=2", "1997-09-28 09,1997-10-29 09"),
            (
                "19970101T090000",
                "FREQ=YEARLY;INTERVAL=3;COUNT=3;BYYEARDAY=1,100,200",
                "1997-01-01 09,1997-04-10 09,1997-07-19 09",
            ),
            ("19970519T090000", "FREQ=YEARLY;BYDAY=20MO;COUNT=2", "1997-05-19 09,1998-05-18 09"),
            ("19970512T090000", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=2", "1997-05-12 09,1998-05-11 09"),
            ("19970902T090000", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=2", "1998-02-13 09,1998-03-13 09"),
            (
                "19961105T090000",
                "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=2",
                "1996-11-05 09,2000-11-07 09",
            ),
            ("19970904T090000", "FREQ=MONTHLY;COUNT=2;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 09,1997-10-07 09"),
            ("19970902T090000", "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000", "1997-09-02 09,1997-09-02 12,1997-09-02 15"),
            (
                "19970805T090000",
                "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
                "1997-08-05 09,1997-08-17 09,1997-08-19 09,1997-08-31 09",
            ),
            (
                "19970805T090000",
                "FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=MO",
                "1997-08-05 09,1997-08-10 09,1997-08-19 09",
            ),
            (
                "20070115T090000",
                "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=4",
                "2007-01-15 09,2007-01-30 09,2007-02-15 09,2007-03-15 09",
            ),
            ("20240229T090000", "FREQ=YEARLY;COUNT=2", "2024-02-29 09,2028-02-29 09"),
            ("20260105T090000", "FREQ=DAILY;BYHOUR=21,9;COUNT=3", "2026-01-05 09,2026-01-05 21,2026-01-06 09"),
        ] {
            assert_eq!(walls(start, rule).join(","), expected, "{rule}");
        }
    }

    #[test]
    fn what_is_not_followed_is_named() {
        let parse = |text: &str| Recurrence::parse(text, |_| None).unwrap_err();
        assert!(parse("FREQ=SECONDLY").contains("SECONDLY"));
        assert!(parse("FREQ=MINUTELY;COUNT=3").contains("MINUTELY"));
        assert!(parse("FREQ=DAILY;RSCALE=CHINESE").contains("RSCALE"));
        for wrong in
            ["", "COUNT=3", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;BYMONTH=13", "FREQ=DAILY;BYDAY=XX", "FREQ=DAILY;UNTIL=soon"]
        {
            parse(wrong);
        }
    }

    #[test]
    fn a_rule_without_a_date_comes_to_an_end() {
        let stop = Stop::default();
        let start = NaiveDate::from_ymd_opt(1971, 1, 1).unwrap().and_time(NaiveTime::MIN);
        let last = NaiveDate::from_ymd_opt(2199, 1, 1).unwrap().and_time(NaiveTime::MIN);
        let days = (0..24).map(|own| own.to_string()).collect::<Vec<_>>().join(",");
        for rule in [
            "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30".to_owned(),
            format!("FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR={days};BYMINUTE={days};BYSECOND={days};BYSETPOS=-366"),
        ] {
            let rule = Recurrence::parse(&rule, |_| None).unwrap();
            assert_eq!(rule.walls(start, last, &mut Effort::new(&stop)), Err(TooManySteps));
        }
        let never = Recurrence::parse("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", |_| None).unwrap();
        assert_eq!(never.matching(start, last, &mut Effort::new(&stop)), Ok(Vec::new()));
        assert_eq!(never.walls(start, last, &mut Effort::new(&stop)), Ok(vec![start]));
    }

    proptest::proptest! {
        #[test]
        fn no_rule_panics(text in "FREQ=(HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)(;INTERVAL=[0-9]{1,10})?(;COUNT=[0-9]{1,3})?(;BYDAY=-?[1-5]?(MO|SU))?(;BYMONTHDAY=-?[0-9]{1,2})?(;BYWEEKNO=-?[0-9]{1,2})?(;BYYEARDAY=-?[0-9]{1,3})?(;BYSETPOS=-?[0-9]{1,2})?", year in 1601_i32..2300) {
            let stop = Stop::default();
            let start = NaiveDate::from_ymd_opt(year, 2, 28).unwrap().and_time(NaiveTime::MIN);
            if let Ok(rule) = Recurrence::parse(&text, |_| None) {
                let last = start + TimeDelta::days(4000);
                if let Ok(found) = rule.walls(start, last, &mut Effort::new(&stop)) {
                    proptest::prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
                    proptest::prop_assert!(found.iter().all(|wall| start <= *wall && *wall <= last) && found[0] == start);
                }
            }
        }
    }
}
