//! What one alarm, one hunt and one call count for: on which day, for whom, and what that changes.
//!
//! Day, night, weekend, team, policy and sender are judged once, when something is first counted, and stay: they are of the zone and the
//! roster as they were then. What became of it is counted anew each time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::Dimension;
use super::figures::Figures;
use super::times::Times;
use crate::alarm::HuntOutcome;
use crate::alarm::call_record::CallResult;
use crate::alarm::policy::{Step, Whom};
use crate::ids::{AnswerId, CalleeId, PersonId, ScheduleId, TeamId};
use crate::roster::wall;

/// The hour at which night begins, by the clock on the wall.
pub const NIGHT_BEGINS: u32 = 22;
/// The hour at which it ends.
pub const NIGHT_ENDS: u32 = 7;

/// Whether it is night there.
#[must_use]
pub fn is_night(zone: Tz, at: DateTime<Utc>) -> bool {
    let hour = wall::local(zone, at).hour();
    !(NIGHT_ENDS..NIGHT_BEGINS).contains(&hour)
}

/// Whether it is Saturday or Sunday there.
#[must_use]
pub fn is_weekend(zone: Tz, at: DateTime<Utc>) -> bool {
    matches!(wall::local(zone, at).weekday(), Weekday::Sat | Weekday::Sun)
}

/// Which day it is there.
#[must_use]
pub fn day(zone: Tz, at: DateTime<Utc>) -> NaiveDate {
    wall::local(zone, at).date()
}

/// The first day of the month of a day.
#[must_use]
pub fn month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// Whose alarm something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Whose {
    /// The team that is rung.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The escalation policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// By what the team of an alarm is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamBy {
    /// Its name.
    Name(String),
    /// Its id.
    Id(TeamId),
    /// A schedule of it.
    Schedule(ScheduleId),
    /// The name of a schedule of it.
    ScheduleName(String),
}

/// The team that a hunt is for: the one of its queue, else the one that is rung first, by what it was asked or by its policy.
#[must_use]
pub fn team_of(queue: &str, ring: Option<&Step>, of_policy: Option<&Step>) -> Option<TeamBy> {
    if let Some(name) = queue.strip_prefix("team ") {
        return Some(TeamBy::Name(name.to_owned()));
    }
    if let Some(name) = queue.strip_prefix("schedule ") {
        return Some(TeamBy::ScheduleName(name.to_owned()));
    }
    let mut whom = [ring, of_policy].into_iter().flatten().flat_map(|step| &step.whom);
    whom.find_map(|whom| match whom {
        Whom::Team(team) => Some(TeamBy::Id(*team)),
        Whom::Schedule(schedule) => Some(TeamBy::Schedule(*schedule)),
        Whom::Person(_) | Whom::Number(_) => None,
    })
}

/// What something counts for, as it was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The zone by which its day was judged.
    pub zone: String,
    /// The day.
    pub day: NaiveDate,
    /// Whose it is.
    #[serde(flatten)]
    pub whose: Whose,
    /// It was night.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    night: bool,
    /// It was a weekend.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    weekend: bool,
    /// What it counts for its team, policy and sender, and in all.
    #[serde(default, skip_serializing_if = "Figures::is_empty")]
    figures: Figures,
    /// What it counts for people, each on their own day.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    people: BTreeMap<String, OfPerson>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OfPerson {
    day: NaiveDate,
    figures: Figures,
}

/// Somebody, and where they live.
pub type Someone = (PersonId, Tz);

/// Where something is first counted: its zone and whose it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The zone.
    pub zone: Tz,
    /// Whose.
    pub whose: Whose,
}

/// An alarm, as far as it counts.
#[derive(Clone, Copy, Debug)]
pub struct AlarmFacts {
    /// When it came first.
    pub raised_at: DateTime<Utc>,
    /// How often it came again.
    pub repeats: i64,
    /// Somebody said that it is false.
    pub is_false: bool,
}

/// An answer in a hunt.
#[derive(Clone, Debug)]
pub struct AnswerFacts {
    /// Whose, where that is known.
    pub person: Option<Someone>,
    /// When its call was handed out.
    pub offered_at: Option<DateTime<Utc>>,
    /// When it came.
    pub at: DateTime<Utc>,
    /// When the line was connected, where that was told: an answer may come long after somebody picked up.
    pub connected_at: Option<DateTime<Utc>>,
    /// When somebody stood by it.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When they pressed the key for that, where it was told.
    pub key_at: Option<DateTime<Utc>>,
    /// It was given in the call of another hunt, in which it counts for the person.
    pub of_another_hunt: bool,
    /// It lapsed.
    pub lapsed: bool,
}

impl AnswerFacts {
    /// When somebody picked up.
    fn picked_up_at(&self) -> DateTime<Utc> {
        self.connected_at.map_or(self.at, |connected| connected.min(self.at))
    }

    /// When somebody stood by it.
    fn stood_by_at(&self) -> Option<DateTime<Utc>> {
        let confirmed_at = self.confirmed_at?;
        Some(self.key_at.map_or(confirmed_at, |key| key.min(confirmed_at)))
    }
}

/// Somebody who said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decliner {
    /// Who; `None` for a number that is nobody's, or nobody's any more.
    pub person: Option<Someone>,
    /// The name under which they were called.
    pub name: Option<String>,
}

/// What a hunt had from another one, which its alarms left or which was for them before: there it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// The other one had ended without anybody being reached.
    pub unanswered: bool,
    /// The alarms did not leave it: it is another hunt for them, and counts as one.
    #[serde(default)]
    pub afresh: bool,
    /// Answers, as they are called here.
    pub answers: BTreeSet<AnswerId>,
    /// Those of them that were confirmed.
    pub confirmed: BTreeSet<AnswerId>,
    /// Callees who had said no.
    pub declined: BTreeSet<CalleeId>,
}

impl Inherited {
    /// Whether an answer counts here: one that came here, or was first confirmed here.
    #[must_use]
    pub fn leaves(&self, answer: AnswerId, is_confirmed: bool) -> bool {
        !self.answers.contains(&answer) || (is_confirmed && !self.confirmed.contains(&answer))
    }

    /// The outcome, where it was reached here.
    #[must_use]
    pub fn own(&self, outcome: Option<HuntOutcome>) -> Option<HuntOutcome> {
        outcome.filter(|outcome| !(self.unanswered && *outcome == HuntOutcome::NoAnswer))
    }
}

/// A hunt, as far as it counts. Of one that alarms left another for, that is what came since.
#[derive(Clone, Debug)]
pub struct HuntFacts {
    /// Alarms left another hunt for it, which counts: it does once it comes to an end of its own.
    pub parted: bool,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: Option<HuntOutcome>,
    /// The answers.
    pub answers: Vec<AnswerFacts>,
    /// Who said no.
    pub declined: Vec<Decliner>,
}

/// A call, as far as it counts.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts {
    /// When it was handed out.
    pub offered_at: DateTime<Utc>,
    /// Who was called.
    pub person: Option<Someone>,
    /// How it ended.
    pub outcome: CallResult,
    /// When the line was connected.
    pub connected_at: Option<DateTime<Utc>>,
    /// When its handset reported it.
    pub reported_at: Option<DateTime<Utc>>,
}

/// What is judged at the time and stays: of what was counted before, or of now.
struct Judged {
    zone: String,
    day: NaiveDate,
    whose: Whose,
    night: bool,
    weekend: bool,
}

impl Judged {
    /// `lives` is the zone by which night and weekend are judged, where it is not the same.
    fn of(before: Option<&Counted>, place: &Place, at: DateTime<Utc>, lives: Option<Tz>) -> Self {
        match before {
            Some(before) => Self {
                zone: before.zone.clone(),
                day: before.day,
                whose: before.whose.clone(),
                night: before.night,
                weekend: before.weekend,
            },
            None => Self {
                zone: place.zone.name().to_owned(),
                day: day(place.zone, at),
                whose: place.whose.clone(),
                night: is_night(lives.unwrap_or(place.zone), at),
                weekend: is_weekend(lives.unwrap_or(place.zone), at),
            },
        }
    }

    fn counts(self, figures: Figures, people: BTreeMap<String, OfPerson>) -> Counted {
        let Self { zone, day, whose, night, weekend } = self;
        Counted { zone, day, whose, night, weekend, figures, people }
    }
}

/// A share of somebody, on their own day: the one on which they were counted before, else the one of that moment.
fn share<'p>(
    people: &'p mut BTreeMap<String, OfPerson>,
    before: Option<&Counted>,
    (person, zone): Someone,
    at: DateTime<Utc>,
) -> &'p mut Figures {
    let key = person.to_string();
    let earlier = before.and_then(|before| before.people.get(&key)).map(|own| own.day);
    let own = || OfPerson { day: earlier.unwrap_or_else(|| day(zone, at)), figures: Figures::default() };
    &mut people.entry(key).or_insert_with(own).figures
}

/// What an alarm counts for.
#[must_use]
pub fn alarm(facts: &AlarmFacts, place: &Place, before: Option<&Counted>) -> Counted {
    let judged = Judged::of(before, place, facts.raised_at, None);
    let figures = Figures {
        alarms: 1,
        alarms_at_night: i64::from(judged.night),
        alarms_at_weekend: i64::from(judged.weekend),
        repeats: facts.repeats,
        false_alarms: i64::from(facts.is_false),
        ..Figures::default()
    };
    judged.counts(figures, BTreeMap::new())
}

/// What a hunt counts for.
#[must_use]
pub fn hunt(facts: &HuntFacts, place: &Place, before: Option<&Counted>) -> Counted {
    let judged = Judged::of(before, place, facts.created_at, None);
    let mut people = BTreeMap::new();
    let since = |from: DateTime<Utc>, to: DateTime<Utc>| Times::of((to - from).num_seconds());
    for answer in facts.answers.iter().filter(|answer| !answer.of_another_hunt) {
        let (Some(person), Some(confirmed_at)) = (answer.person, answer.stood_by_at()) else { continue };
        let own = share(&mut people, before, person, facts.created_at);
        own.confirmed += 1;
        own.to_confirm.add(&since(answer.offered_at.unwrap_or(facts.created_at), confirmed_at), 1);
    }
    // Who is called by several numbers says no once; also whoever was removed since, of whom the name is left.
    let known: BTreeMap<PersonId, Someone> = facts.declined.iter().filter_map(|own| own.person).map(|own| (own.0, own)).collect();
    for person in known.values() {
        share(&mut people, before, *person, facts.created_at).declined += 1;
    }
    let strangers = || facts.declined.iter().filter(|own| own.person.is_none());
    let named: BTreeSet<&str> = strangers().filter_map(|own| own.name.as_deref()).collect();
    let nameless = strangers().filter(|own| own.name.is_none()).count();
    let first_answer = facts.answers.iter().filter(|answer| !answer.lapsed).map(AnswerFacts::picked_up_at).min();
    let first_word = facts.answers.iter().filter_map(AnswerFacts::stood_by_at).min();
    let unanswered = facts.outcome == Some(HuntOutcome::NoAnswer);
    let figures = Figures {
        hunts: i64::from(!facts.parted || first_answer.is_some() || first_word.is_some() || unanswered),
        answered: i64::from(first_answer.is_some()),
        confirmed: i64::from(first_word.is_some()),
        unanswered: i64::from(unanswered),
        declined: i64::try_from(known.len() + named.len() + nameless).unwrap_or(i64::MAX),
        to_answer: first_answer.map(|at| since(facts.created_at, at)).unwrap_or_default(),
        to_confirm: first_word.map(|at| since(facts.created_at, at)).unwrap_or_default(),
        ..Figures::default()
    };
    judged.counts(figures, people)
}

/// What a call counts for: night and weekend are those of whoever was called.
#[must_use]
pub fn call(facts: &CallFacts, place: &Place, before: Option<&Counted>) -> Counted {
    let judged = Judged::of(before, place, facts.offered_at, facts.person.map(|(_, zone)| zone));
    let figures = match facts.outcome {
        CallResult::Failed | CallResult::NotDialled => Figures { calls_failed: 1, ..Figures::default() },
        outcome => Figures {
            calls: 1,
            calls_at_night: i64::from(judged.night),
            calls_at_weekend: i64::from(judged.weekend),
            calls_answered: i64::from(outcome == CallResult::Answered),
            calls_not_reached: i64::from(matches!(outcome, CallResult::NoAnswer | CallResult::Busy | CallResult::Rejected)),
            ..Figures::default()
        },
    };
    let mut people = BTreeMap::new();
    if let Some(person) = facts.person {
        let own = share(&mut people, before, person, facts.offered_at);
        *own = figures.clone();
        if facts.outcome == CallResult::Answered
            && let Some(at) = facts.connected_at.or(facts.reported_at)
        {
            own.to_answer = Times::of((at - facts.offered_at).num_seconds());
        }
    }
    judged.counts(figures, people)
}

/// What changes figures: for whom, on which day, by how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change(BTreeMap<(Dimension, String, NaiveDate), Figures>);

impl Change {
    /// Something counts for this.
    pub fn count(&mut self, counted: &Counted) {
        self.apply(counted, 1);
    }

    /// Something counts for this no longer.
    pub fn take_off(&mut self, counted: &Counted) {
        self.apply(counted, -1);
    }

    fn apply(&mut self, counted: &Counted, times: i64) {
        let whose = &counted.whose;
        let subject = |own: &Option<String>| own.clone().unwrap_or_default();
        for (dimension, subject) in [
            (Dimension::All, String::new()),
            (Dimension::Team, subject(&whose.team)),
            (Dimension::Policy, subject(&whose.policy)),
            (Dimension::Sender, subject(&whose.sender)),
        ] {
            self.add(dimension, subject, counted.day, &counted.figures, times);
        }
        for (person, own) in &counted.people {
            self.add(Dimension::Person, person.clone(), own.day, &own.figures, times);
        }
    }

    fn add(&mut self, dimension: Dimension, subject: String, day: NaiveDate, figures: &Figures, times: i64) {
        let key = (dimension, subject, day);
        let own = self.0.entry(key.clone()).or_default();
        own.add(figures, times);
        if own.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What changes, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Dimension, &str, NaiveDate, &Figures)> {
        self.0.iter().map(|((dimension, subject, day), figures)| (*dimension, subject.as_str(), *day, figures))
    }

    /// The people whom it is about.
    #[must_use]
    pub fn people(&self) -> BTreeSet<PersonId> {
        let people = self.0.keys().filter(|(dimension, ..)| *dimension == Dimension::Person);
        people.filter_map(|(_, person, _)| person.parse().ok()).collect()
    }

    /// Leaves out what it says of people who are not among these.
    pub fn keep_people(&mut self, known: &BTreeSet<PersonId>) {
        let is_known = |person: &str| person.parse().is_ok_and(|person| known.contains(&person));
        self.0.retain(|(dimension, subject, _), _| *dimension != Dimension::Person || is_known(subject));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use chrono_tz::Asia::Tokyo;
    use chrono_tz::Europe::{Berlin, London};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn place(zone: Tz) -> Place {
        Place { zone, whose: Whose { team: Some("t".to_owned()), policy: None, sender: Some("s".to_owned()) } }
    }

    fn person(number: u128) -> PersonId {
        PersonId(Uuid::from_u128(number))
    }

    fn said_no(person: Option<PersonId>, name: Option<&str>) -> Decliner {
        Decliner { person: person.map(|person| (person, London)), name: name.map(str::to_owned) }
    }

    fn told(change: &Change, dimension: Dimension, subject: &str) -> Vec<(String, Figures)> {
        let own = change.entries().filter(|(own, name, ..)| *own == dimension && *name == subject);
        own.map(|(_, _, day, figures)| (day.to_string(), figures.clone())).collect()
    }

    #[test]
    fn night_is_from_ten_to_seven_by_the_clock_on_the_wall() {
        let night = |text| is_night(Berlin, at(text));
        assert!(!night("2027-01-15T20:59:59Z"));
        assert!(night("2027-01-15T21:00:00Z"));
        assert!(night("2027-01-16T05:59:59Z"));
        assert!(!night("2027-01-16T06:00:00Z"));
        // In summer an hour earlier by UTC; and on the night on which the clocks change, on either side of it.
        assert!(night("2027-07-15T20:00:00Z") && !night("2027-07-15T05:00:00Z"));
        assert!(night("2027-03-28T00:59:59Z") && night("2027-03-28T01:00:00Z") && !night("2027-03-28T05:00:00Z"));
        assert!(night("2027-10-31T00:30:00Z") && night("2027-10-31T01:30:00Z") && night("2027-10-31T05:59:59Z"));
        assert!(!night("2027-10-31T06:00:00Z"));
    }

    #[test]
    fn a_weekend_is_saturday_and_sunday_there() {
        // Friday evening in London is Saturday in Tokyo.
        let friday = at("2027-01-15T16:00:00Z");
        assert!(is_weekend(Tokyo, friday) && !is_weekend(London, friday));
        assert_eq!((day(Tokyo, friday).to_string(), day(London, friday).to_string()), ("2027-01-16".into(), "2027-01-15".into()));
        assert!(is_weekend(London, at("2027-01-17T23:59:59Z")) && !is_weekend(London, at("2027-01-18T00:00:00Z")));
    }

    #[test]
    fn the_team_is_the_one_of_the_queue_or_the_first_that_is_rung() {
        let step = |whom| Step { whom, mode: crate::alarm::Mode::Sequential, attempts: None, min_interval_s: None, wait_s: None };
        let team = TeamId(Uuid::from_u128(1));
        let schedule = ScheduleId(Uuid::from_u128(2));
        let ring = step(vec![Whom::Person(person(3)), Whom::Schedule(schedule)]);
        let policy = step(vec![Whom::Team(team)]);
        assert_eq!(team_of("team ops", Some(&ring), Some(&policy)), Some(TeamBy::Name("ops".to_owned())));
        assert_eq!(team_of("schedule nights", None, None), Some(TeamBy::ScheduleName("nights".to_owned())));
        assert_eq!(team_of("policy x", Some(&ring), Some(&policy)), Some(TeamBy::Schedule(schedule)));
        assert_eq!(team_of("policy x", None, Some(&policy)), Some(TeamBy::Id(team)));
        assert_eq!(team_of("sender x", Some(&step(vec![Whom::Person(person(3))])), None), None);
    }

    #[test]
    fn a_call_counts_on_the_callees_day_and_at_their_night() {
        let someone = person(7);
        let facts = CallFacts {
            offered_at: at("2027-01-15T13:30:00Z"),
            person: Some((someone, Tokyo)),
            outcome: CallResult::Answered,
            connected_at: Some(at("2027-01-15T13:30:09Z")),
            reported_at: None,
        };
        let mut change = Change::default();
        change.count(&call(&facts, &place(London), None));
        let own = told(&change, Dimension::Person, &someone.to_string());
        assert_eq!((own.len(), own[0].0.as_str()), (1, "2027-01-15"));
        assert_eq!((own[0].1.calls, own[0].1.calls_at_night, own[0].1.calls_answered), (1, 1, 1));
        assert_eq!(own[0].1.to_answer.percentile(50), Some(9));
        let team = told(&change, Dimension::Team, "t");
        assert_eq!((team[0].1.calls, team[0].1.calls_at_night), (1, 1), "by the callee's night");
        assert!(team[0].1.to_answer.is_empty(), "of a team it is counted from the beginning of the hunt");
    }

    #[test]
    fn a_call_that_never_left_its_handset_woke_nobody() {
        let facts = CallFacts {
            offered_at: at("2027-01-16T02:00:00Z"),
            person: Some((person(7), London)),
            outcome: CallResult::Failed,
            connected_at: None,
            reported_at: None,
        };
        let mut change = Change::default();
        change.count(&call(&facts, &place(London), None));
        let own = &told(&change, Dimension::All, "")[0].1;
        assert_eq!((own.calls, own.calls_at_night, own.calls_failed), (0, 0, 1));
    }

    #[test]
    fn a_late_answer_corrects_the_day_on_which_its_hunt_began() {
        let facts = |answers: Vec<AnswerFacts>, outcome| HuntFacts {
            parted: false,
            created_at: at("2027-01-15T23:59:00Z"),
            outcome,
            answers,
            declined: vec![said_no(Some(person(2)), Some("Ben")), said_no(Some(person(2)), Some("Ben")), said_no(None, None)],
        };
        let nobody = hunt(&facts(Vec::new(), Some(HuntOutcome::NoAnswer)), &place(London), None);
        let late = AnswerFacts {
            person: Some((person(1), London)),
            offered_at: Some(at("2027-01-16T00:01:00Z")),
            at: at("2027-01-16T00:02:00Z"),
            confirmed_at: Some(at("2027-01-16T00:03:00Z")),
            connected_at: None,
            key_at: None,
            of_another_hunt: false,
            lapsed: false,
        };
        // The team has moved meanwhile: it counts where it was counted.
        let after = hunt(&facts(vec![late], Some(HuntOutcome::Answered)), &place(Tokyo), Some(&nobody));
        let mut change = Change::default();
        change.count(&nobody);
        change.take_off(&nobody);
        change.count(&after);
        let team = told(&change, Dimension::Team, "t");
        assert_eq!((team.len(), team[0].0.as_str()), (1, "2027-01-15"));
        let own = &team[0].1;
        assert_eq!((own.hunts, own.answered, own.confirmed, own.unanswered, own.declined), (1, 1, 1, 0, 2));
        assert_eq!((own.to_answer.percentile(50), own.to_confirm.percentile(50)), (Some(183), Some(247)));
        let theirs = told(&change, Dimension::Person, &person(1).to_string());
        assert_eq!((theirs[0].1.confirmed, theirs[0].1.to_confirm.percentile(50)), (1, Some(123)));
    }

    #[test]
    fn what_was_reported_late_counts_when_it_was() {
        let answer = AnswerFacts {
            person: Some((person(1), London)),
            offered_at: Some(at("2027-01-15T12:00:30Z")),
            // The phone had no network for ten minutes.
            at: at("2027-01-15T12:10:00Z"),
            connected_at: Some(at("2027-01-15T12:00:40Z")),
            confirmed_at: Some(at("2027-01-15T12:10:00Z")),
            key_at: Some(at("2027-01-15T12:00:50Z")),
            of_another_hunt: false,
            lapsed: false,
        };
        let facts = |answer: AnswerFacts| HuntFacts {
            parted: false,
            created_at: at("2027-01-15T12:00:00Z"),
            outcome: Some(HuntOutcome::Answered),
            answers: vec![answer],
            declined: Vec::new(),
        };
        let counted = hunt(&facts(answer.clone()), &place(London), None);
        let within = |times: &Times, seconds: i64| times.percentile(50).is_some_and(|own| own.abs_diff(seconds) <= 4);
        assert!(within(&counted.figures.to_answer, 40) && within(&counted.figures.to_confirm, 50), "{:?}", counted.figures);
        // The same answer in a later hunt: that one was answered, and the person stood by it once.
        let later = hunt(&facts(AnswerFacts { of_another_hunt: true, ..answer }), &place(London), None);
        let mut change = Change::default();
        change.count(&later);
        assert_eq!((later.figures.answered, later.figures.confirmed), (1, 1));
        assert!(change.people().is_empty());
    }

    #[test]
    fn a_person_who_was_removed_is_left_out() {
        let facts = HuntFacts {
            parted: false,
            created_at: at("2027-01-15T12:00:00Z"),
            outcome: None,
            answers: Vec::new(),
            declined: vec![said_no(Some(person(1)), Some("Ann")), said_no(Some(person(2)), Some("Ben"))],
        };
        let mut change = Change::default();
        change.count(&hunt(&facts, &place(London), None));
        assert_eq!(change.people().len(), 2);
        change.keep_people(&BTreeSet::from([person(2)]));
        assert_eq!(change.people(), BTreeSet::from([person(2)]));
        assert_eq!(told(&change, Dimension::All, "")[0].1.declined, 2);
    }

    #[test]
    fn who_was_removed_still_said_no_once() {
        let facts = |declined| HuntFacts {
            parted: false,
            created_at: at("2027-01-15T12:00:00Z"),
            outcome: None,
            answers: Vec::new(),
            declined,
        };
        // By two numbers each; and a number that is nobody's.
        let (ann, ben) = (said_no(Some(person(1)), Some("Ann")), said_no(Some(person(2)), Some("Ben")));
        let before = hunt(&facts(vec![ann.clone(), ann, ben.clone(), ben.clone(), said_no(None, None)]), &place(London), None);
        let gone = said_no(None, Some("Ann"));
        let after = hunt(&facts(vec![gone.clone(), gone, ben.clone(), ben, said_no(None, None)]), &place(London), Some(&before));
        assert_eq!((before.figures.declined, &after.figures), (3, &before.figures));
    }

    #[test]
    fn a_hunt_that_alarms_left_another_for_counts_what_came_since() {
        let answer = |confirmed_at: Option<&str>| AnswerFacts {
            person: None,
            offered_at: None,
            at: at("2027-01-15T12:01:00Z"),
            confirmed_at: confirmed_at.map(at),
            connected_at: None,
            key_at: None,
            of_another_hunt: false,
            lapsed: false,
        };
        let facts = |answers, outcome| HuntFacts {
            parted: true,
            created_at: at("2027-01-15T12:00:00Z"),
            outcome,
            answers,
            declined: Vec::new(),
        };
        let counts = |facts| hunt(&facts, &place(London), None).figures;
        assert!(counts(facts(Vec::new(), Some(HuntOutcome::Answered))).is_empty());
        let unanswered = counts(facts(Vec::new(), Some(HuntOutcome::NoAnswer)));
        assert_eq!((unanswered.hunts, unanswered.unanswered), (1, 1));
        let answered = counts(facts(vec![answer(Some("2027-01-15T12:02:00Z"))], Some(HuntOutcome::Answered)));
        assert_eq!((answered.hunts, answered.answered, answered.confirmed), (1, 1, 1));
        let (one, two) = (AnswerId(Uuid::from_u128(1)), AnswerId(Uuid::from_u128(2)));
        let had = Inherited { unanswered: true, answers: BTreeSet::from([one]), ..Inherited::default() };
        assert!(!had.leaves(one, false) && had.leaves(one, true) && had.leaves(two, false));
        assert!(!Inherited { confirmed: BTreeSet::from([one]), ..had.clone() }.leaves(one, true));
        assert_eq!(
            (had.own(Some(HuntOutcome::NoAnswer)), had.own(Some(HuntOutcome::Answered))),
            (None, Some(HuntOutcome::Answered))
        );
    }

    fn any_alarm() -> impl Strategy<Value = AlarmFacts> {
        (0_i64..4_000_000_000, 0_i64..50, any::<bool>()).prop_map(|(seconds, repeats, is_false)| AlarmFacts {
            raised_at: DateTime::from_timestamp(seconds, 0).unwrap(),
            repeats,
            is_false,
        })
    }

    proptest! {
        /// However often something is counted anew, in the end it counts for what it is, once.
        #[test]
        fn only_the_last_count_counts(all in prop::collection::vec(any_alarm(), 1..8)) {
            let raised_at = all[0].raised_at;
            let mut change = Change::default();
            let mut before: Option<Counted> = None;
            for facts in &all {
                let after = alarm(&AlarmFacts { raised_at, ..*facts }, &place(Berlin), before.as_ref());
                if let Some(before) = &before {
                    change.take_off(before);
                }
                change.count(&after);
                let read: Counted = serde_json::from_str(&serde_json::to_string(&after).unwrap()).unwrap();
                prop_assert_eq!(&read, &after);
                before = Some(read);
            }
            let mut once = Change::default();
            once.count(&alarm(&AlarmFacts { raised_at, ..*all.last().unwrap() }, &place(Berlin), None));
            prop_assert_eq!(&change, &once);
            change.take_off(&before.unwrap());
            prop_assert!(change.is_empty());
        }
    }
}
