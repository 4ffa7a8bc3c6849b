//! What somebody asks the page *Audit log* for: an address, the fields of its form, and the filter that all of it means; pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::audit::{Kind, Operation, Verb};
use crate::dashboard::frame::typed_time::{NoTime, instant_of};
use crate::store::audit::{AuditFilter, AuditPlace};

/// What can be asked for, in the order of the address.
const NAMES: [&str; 8] = ["kind", "verb", "who", "what", "from", "from_instant", "to", "to_instant"];
/// Nobody and nothing is called by more characters.
const LONGEST: usize = 300;

/// Which page of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// From the latest on.
    First,
    /// Older than this one.
    Below(AuditPlace),
    /// Newer.
    Above(AuditPlace),
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedFor {
    values: BTreeMap<&'static str, String>,
    pub(super) part: Part,
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
        Self { values, part }
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Whether anything is left out of what there is.
    pub(super) fn leaves_out(&self) -> bool {
        !self.values.is_empty()
    }

    /// Where all that is asked for is found, from the first page on or at another.
    pub(super) fn address(&self, path: &str, part: Part) -> String {
        let (name, place) = match part {
            Part::First => ("", String::new()),
            Part::Below(place) => ("below", place.to_string()),
            Part::Above(place) => ("above", place.to_string()),
        };
        let values = NAMES.into_iter().filter_map(|name| Some((name, self.values.get(name)?.as_str())));
        let all = values.chain((!name.is_empty()).then_some((name, place.as_str())));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// A time that somebody typed.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, NoTime> {
        instant_of(self.get(name), self.get(&format!("{name}_instant")))
    }

    /// All of it as a filter, in the order in which the part that is asked for is read.
    pub(super) fn filter(&self) -> AuditFilter {
        let kind = Kind::parse(self.get("kind"));
        let verb = Verb::ALL.iter().copied().find(|verb| verb.as_str() == self.get("verb"));
        let fits = |operation: &&Operation| {
            verb.is_some_and(|verb| operation.verb() == verb) && kind.is_none_or(|kind| operation.kind() == kind)
        };
        let operations: Vec<Operation> = Operation::ALL.iter().filter(fits).copied().collect();
        let (below, above) = match self.part {
            Part::First => (None, None),
            Part::Below(place) => (Some(place), None),
            Part::Above(place) => (None, Some(place)),
        };
        let text = |name: &str| self.values.get(name).cloned();
        AuditFilter {
            // What nobody can do with such a thing is not found, rather than everything.
            kinds: kind.filter(|_| verb.is_none() || operations.is_empty()).into_iter().collect(),
            before: if verb.is_some() && operations.is_empty() {
                Some(DateTime::UNIX_EPOCH)
            } else {
                self.time("to").ok().flatten()
            },
            operations,
            who: text("who"),
            what: text("what"),
            person: None,
            from: self.time("from").ok().flatten(),
            below,
            above,
            oldest_first: matches!(self.part, Part::Above(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_was_made_of_and_no_more() {
        for (asked, kept) in [
            ("", "/audit"),
            ("kind=person&verb=&colour=red&kind=key", "/audit?kind=person"),
            ("who=Li+Na&from=2026-11-21T06%3A30&below=x", "/audit?who=Li+Na&from=2026-11-21T06%3A30"),
        ] {
            assert_eq!(AskedFor::read(asked).address("/audit", Part::First), kept, "{asked}");
        }
        let asked = AskedFor::read("who=lin&above=1764000000000000.17");
        assert!(matches!(asked.part, Part::Above(AuditPlace { id: 17, .. })));
        assert_eq!(asked.address("/audit", asked.part), "/audit?who=lin&above=1764000000000000.17");
    }

    #[test]
    fn what_is_asked_for_is_what_is_looked_for() {
        let filter = AskedFor::read("kind=person").filter();
        assert_eq!((filter.kinds, filter.operations.len()), (vec![Kind::Person], 0));
        let filter = AskedFor::read("kind=person&verb=erased").filter();
        assert_eq!((filter.kinds.len(), filter.operations), (0, vec![Operation::PersonErased]));
        let filter = AskedFor::read("verb=removed").filter();
        assert!(filter.operations.len() > 5);
        let nothing = AskedFor::read("kind=person&verb=heard").filter();
        assert_eq!(nothing.before, Some(DateTime::UNIX_EPOCH), "nothing is not everything");
        assert!(AskedFor::read("kind=nonsense&who=x").filter().kinds.is_empty());
    }
}
