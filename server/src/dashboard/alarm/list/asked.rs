//! What somebody asks the page *Alarms* for: an address, the fields of its form, and the filter that all of it means; pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::alarm::sought::{Asked, LONGEST_ASKED};
use crate::alarm::{AlarmKind, AlarmState, Priority};
use crate::dashboard::frame::typed_time::{NoTime, instant_of};
use crate::ids::PersonId;
use crate::store::alarm::alarms::{AlarmFilter, AskedText};
use crate::store::alarm::found::Place;

/// What can be asked for, in the order of the address. A time stands there as it was typed, and as the instant that the script has written.
const NAMES: [&str; 13] =
    ["kind", "q", "state", "priority", "source", "team", "person", "label", "from", "from_instant", "to", "to_instant", "order"];
/// Nobody and nothing is called by more characters.
const LONGEST: usize = 300;
pub(super) const OPEN: &str = "open";
pub(super) const ENDED: &str = "ended";
pub(super) const OLDEST: &str = "oldest";
pub(super) const STATES: [AlarmState; 6] = [
    AlarmState::Waiting,
    AlarmState::Ringing,
    AlarmState::Answered,
    AlarmState::NoAnswer,
    AlarmState::Cancelled,
    AlarmState::Resolved,
];
pub(super) const PRIORITIES: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

/// Which page of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// From the end that the order begins with.
    First,
    /// Older than this one.
    Below(Place),
    /// Newer.
    Above(Place),
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedFor {
    /// By its name; what is empty asks for nothing.
    values: BTreeMap<&'static str, String>,
    pub(super) part: Part,
}

/// An address as it stands in a query.
fn encoded<'v>(pairs: impl Iterator<Item = (&'static str, &'v str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl AskedFor {
    /// Reads an address. What cannot be understood asks for nothing.
    pub(super) fn read(query: &str) -> Self {
        let mut values = BTreeMap::new();
        let mut part = Part::First;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.trim().chars().filter(|c| *c != '\0').take(LONGEST).collect();
            match (&*name, value.parse()) {
                ("below", Ok(place)) => part = Part::Below(place),
                ("above", Ok(place)) => part = Part::Above(place),
                _ => {}
            }
            let known = NAMES.into_iter().find(|own| *own == name);
            if let Some(known) = known.filter(|_| !value.is_empty()) {
                values.entry(known).or_insert(value);
            }
        }
        let mut asked = Self { values, part };
        // Alarms are what is listed where nothing else is asked for.
        if asked.kind().is_alarm() {
            asked.values.remove("kind");
        }
        asked
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(super) fn kind(&self) -> AlarmKind {
        AlarmKind::parse(self.get("kind")).unwrap_or_default()
    }

    pub(super) fn oldest_first(&self) -> bool {
        self.get("order") == OLDEST
    }

    /// Whether anything is left out of what there is of its kind.
    pub(super) fn leaves_out(&self) -> bool {
        self.values.keys().any(|name| !["kind", "order"].contains(name))
    }

    /// Whether the fields beside the text are in use.
    pub(super) fn uses_more(&self) -> bool {
        self.values.keys().any(|name| !["kind", "q"].contains(name))
    }

    /// Where all that is asked for is found, from the first page on or at another.
    pub(super) fn address(&self, path: &str, part: Part) -> String {
        let (name, place) = match part {
            Part::First => ("", String::new()),
            Part::Below(place) => ("below", place.to_string()),
            Part::Above(place) => ("above", place.to_string()),
        };
        let values = NAMES.into_iter().filter_map(|name| Some((name, self.values.get(name)?.as_str())));
        let query = encoded(values.chain((!name.is_empty()).then_some((name, place.as_str()))));
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// The same without one of its filters.
    pub(super) fn without(&self, name: &str) -> Self {
        let instant = format!("{name}_instant");
        let values = self.values.iter().filter(|(own, _)| **own != name && **own != instant);
        Self { values: values.map(|(own, value)| (*own, value.clone())).collect(), part: Part::First }
    }

    /// The same of another kind, with nothing else that is asked for.
    pub(super) fn of_kind(kind: AlarmKind) -> Self {
        let kind = (!kind.is_alarm()).then(|| ("kind", kind.as_str().to_owned()));
        Self { values: kind.into_iter().collect(), part: Part::First }
    }

    /// A time that somebody typed.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, NoTime> {
        instant_of(self.get(name), self.get(&format!("{name}_instant")))
    }

    /// All of it as a filter, in the order in which the part that is asked for is read. `person` is whom the name means: nobody at all,
    /// where nobody has it.
    pub(super) fn filter(&self, person: Option<PersonId>, sees_numbers: bool) -> AlarmFilter {
        let one = |name: &str| Some(self.get(name).to_owned()).filter(|value| !value.is_empty()).into_iter().collect();
        let text: String = self.get("q").chars().take(LONGEST_ASKED).collect();
        let label = self.values.get("label").map(|label| label.split_once('=').unwrap_or((label, "")));
        let (below_number, above_number, place) = match self.part {
            Part::First => (None, None, None),
            Part::Below(place) => (Some(place.number), None, Some(place)),
            Part::Above(place) => (None, Some(place.number), Some(place)),
        };
        AlarmFilter {
            kinds: vec![self.kind()],
            states: match self.get("state") {
                OPEN => vec![AlarmState::Waiting, AlarmState::Ringing],
                ENDED => STATES.into_iter().filter(|state| !matches!(state, AlarmState::Waiting | AlarmState::Ringing)).collect(),
                word => STATES.into_iter().filter(|state| state.as_str() == word).collect(),
            },
            priorities: PRIORITIES.into_iter().filter(|priority| priority.as_str() == self.get("priority")).collect(),
            sources: one("source"),
            teams: one("team"),
            people: if self.get("person").is_empty() { Vec::new() } else { vec![person.unwrap_or(PersonId(uuid::Uuid::nil()))] },
            labels: label.map(|(name, value)| (name.trim().to_owned(), vec![value.trim().to_owned()])).into_iter().collect(),
            text: (!text.is_empty()).then(|| AskedText {
                asked: Asked::read(&text),
                sees_numbers,
                last_begins: place.is_some_and(|place| place.last_begins),
            }),
            raised_from: self.time("from").ok().flatten(),
            raised_before: self.time("to").ok().flatten(),
            below_number,
            above_number,
            oldest_first: match self.part {
                Part::First => self.oldest_first(),
                Part::Below(_) => false,
                Part::Above(_) => true,
            },
            ..AlarmFilter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_was_made_of_and_no_more() {
        for (asked, kept) in [
            ("", "/alarms"),
            ("kind=alarm&q=&state=&order=newest", "/alarms?order=newest"),
            ("kind=test&below=17", "/alarms?kind=test"),
            ("q=disk+full&state=open&colour=red&q=again", "/alarms?q=disk+full&state=open"),
            ("label=a%3Db&from=2026-11-21T06%3A30", "/alarms?label=a%3Db&from=2026-11-21T06%3A30"),
        ] {
            assert_eq!(AskedFor::read(asked).address("/alarms", Part::First), kept, "{asked}");
        }
        let asked = AskedFor::read("q=disk&above=17~");
        assert_eq!(asked.part, Part::Above(Place { number: 17, last_begins: true }));
        assert_eq!(asked.address("/alarms", asked.part), "/alarms?q=disk&above=17%7E");
        assert_eq!(AskedFor::read("below=x").part, Part::First);
    }

    #[test]
    fn a_filter_is_taken_away_with_all_that_belongs_to_it() {
        let asked = AskedFor::read("q=disk&from=2026-11-21T06:30&from_instant=2026-11-20T22:30:00Z&below=17");
        assert_eq!(asked.without("from").address("/alarms", Part::First), "/alarms?q=disk");
        assert!(asked.leaves_out() && asked.uses_more() && !AskedFor::read("q=disk").uses_more());
        assert!(!AskedFor::read("kind=test&order=oldest").leaves_out());
    }

    #[test]
    fn what_is_asked_for_is_what_is_looked_for() {
        let asked = AskedFor::read("q=disk&state=ended&priority=high&label=host=db-1&person=Nobody&order=oldest");
        let filter = asked.filter(None, false);
        assert_eq!(filter.states.len(), 4);
        assert_eq!(filter.priorities, [Priority::High]);
        assert_eq!(filter.labels, BTreeMap::from([("host".to_owned(), vec!["db-1".to_owned()])]));
        assert_eq!(filter.people.len(), 1, "whom nobody knows is not everybody");
        assert!(filter.oldest_first && filter.text.is_some_and(|text| !text.sees_numbers));
        let open = AskedFor::read("state=open&below=5&order=oldest").filter(None, true);
        assert_eq!((open.states.len(), open.below_number, open.oldest_first), (2, Some(5), false));
        assert!(AskedFor::read("state=nonsense&kind=nonsense").filter(None, true).states.is_empty());
    }
}
