//! **Any alarm is found here**: by what it is, when it was raised, who was rung for it and what it says, a page at a time. What stands in
//! columns is found by their indexes; people, labels and text by the words that alarms are kept under, the columns compared afterwards.

use std::fmt;
use std::str::FromStr;

use super::alarms::{AlarmFilter, AlarmRow};
use super::sought::Within;
use crate::alarm::sought::{Asked, Known, Sought, label_word, person_word, source_word};
use crate::store::{Db, Result};

/// Of those that have the words so many at most are compared for one page. A page may then be shorter, and the next goes on behind them.
const MOST_COMPARED: i64 = 2_000;

/// Where a page ended, or another begins. It is written with `~` where the last word is the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of an alarm.
    pub number: i64,
    /// The last word that somebody wrote was taken for the beginning of one.
    pub last_begins: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, if self.last_begins { "~" } else { "" })
    }
}

impl FromStr for Place {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let bare = text.strip_suffix('~');
        Ok(Self { number: bare.unwrap_or(text).parse()?, last_begins: bare.is_some() })
    }
}

/// A page of alarms.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the filter.
    pub alarms: Vec<AlarmRow>,
    /// Behind which alarm the next page begins; `None` when there is nothing more.
    pub next: Option<Place>,
    /// The last word that somebody wrote was taken for the beginning of one.
    pub last_begins: bool,
}

impl AlarmFilter {
    /// The same, going on behind a place.
    #[must_use]
    pub fn behind(mut self, place: Place) -> Self {
        *(if self.oldest_first { &mut self.above_number } else { &mut self.below_number }) = Some(place.number);
        self.text = self.text.map(|text| super::alarms::AskedText { last_begins: place.last_begins, ..text });
        self
    }

    /// Whether it asks for something that alarms are kept under.
    fn asks_for_words(&self) -> bool {
        self.text.is_some() || !self.people.is_empty() || !self.labels.is_empty()
    }
}

impl Db<'_> {
    /// A page of alarms, of so many at most, which costs no more than that whatever there is.
    pub async fn find_alarms(&mut self, filter: &AlarmFilter, limit: i64) -> Result<Found> {
        if !filter.asks_for_words() && filter.within.is_some() {
            // Nothing finds quickly what a key is bound to.
            let most = MOST_COMPARED.max(limit).saturating_add(1);
            let numbers = self.numbers_in_order(filter, most).await?;
            let alarms = self.list_alarms(filter, Some(&numbers), limit.saturating_add(1)).await?;
            let goes_on = i64::try_from(numbers.len()).unwrap_or(i64::MAX) >= most;
            return Ok(page(alarms, limit, numbers.last().copied().filter(|_| goes_on), false));
        }
        if !filter.asks_for_words() {
            // One more than asked for tells whether there are more.
            let alarms = self.list_alarms(filter, None, limit.saturating_add(1)).await?;
            return Ok(page(alarms, limit, None, false));
        }
        let is_first_page = filter.below_number.is_none() && filter.above_number.is_none();
        let begins = filter.text.as_ref().is_some_and(|text| text.last_begins);
        let found = self.find_by_words(filter, limit, begins).await?;
        match &filter.text {
            // Nobody is to write a word to its end; but what has it as a whole is meant first.
            Some(text) if found.is_none() && is_first_page && !begins && text.asked.may_begin() => {
                Ok(self.find_by_words(filter, limit, true).await?.unwrap_or_default())
            }
            _ => Ok(found.unwrap_or_default()),
        }
    }

    /// The alarms of a filter that have its words; `None` when none has the words.
    async fn find_by_words(&mut self, filter: &AlarmFilter, limit: i64, last_begins: bool) -> Result<Option<Found>> {
        let sought = self.words_of_filter(filter, last_begins).await?;
        let (from, before) = filter.numbers();
        let most = if filter.leaves_out() { MOST_COMPARED.max(limit) } else { limit }.saturating_add(1);
        let within = Within { from, before, newest_first: !filter.oldest_first };
        let numbers = self.sought_numbers(&sought, within, most).await?;
        let Some(last) = numbers.last().copied() else { return Ok(None) };
        let alarms = self.list_alarms(filter, Some(&numbers), limit.saturating_add(1)).await?;
        let goes_on = i64::try_from(numbers.len()).unwrap_or(i64::MAX) >= most;
        Ok(Some(page(alarms, limit, goes_on.then_some(last), last_begins)))
    }

    /// The words that an alarm of this filter is kept under.
    async fn words_of_filter(&mut self, filter: &AlarmFilter, last_begins: bool) -> Result<Sought> {
        let mut sought = Sought::default();
        let names_people = filter.text.is_some() || !filter.people.is_empty();
        let people = if names_people { self.people().await? } else { Vec::new() };
        let known: Vec<Known> =
            people.iter().map(|(person, numbers)| Known { id: person.id, name: &person.name, numbers }).collect();
        if let Some(text) = &filter.text {
            if text.asked == Asked::default() {
                // What holds no letter and no digit is nowhere.
                sought.and_any([]);
                return Ok(sought);
            }
            sought = text.asked.sought(&known, text.sees_numbers, last_begins);
        }
        if !filter.people.is_empty() {
            // Somebody who was removed is not found any more, also by their id.
            let there = filter.people.iter().filter(|id| known.iter().any(|known| known.id == **id));
            sought.and_any(there.map(|person| person_word(*person)));
        }
        for (name, values) in &filter.labels {
            sought.and_any(values.iter().map(|value| label_word(name, value)));
        }
        if !filter.sources.is_empty() {
            sought.and_any(filter.sources.iter().map(|source| source_word(source)));
        }
        Ok(sought)
    }
}

/// A page of what was read one longer than it is; behind the last that was compared there may be more.
fn page(mut alarms: Vec<AlarmRow>, limit: i64, compared: Option<i64>, last_begins: bool) -> Found {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = alarms.len() > limit;
    alarms.truncate(limit);
    let next = if more { alarms.last().map(|alarm| alarm.number) } else { compared };
    Found { next: next.map(|number| Place { number, last_begins }), alarms, last_begins }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for place in ["1795000000001", "1795000000001~"] {
            assert_eq!(place.parse::<Place>().unwrap().to_string(), place);
        }
        for wrong in ["", "~", "x", "1~~", "99999999999999999999"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
