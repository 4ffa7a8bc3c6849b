//! *A person*: whether they are on duty, their shifts to come, and what happened between them and us, in one line of time: calls, what they
//! said on the page or by their link, and text messages both ways.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};

use super::duty::{self, Duty};
use crate::alarm::call_record::CallDirection;
use crate::app::App;
use crate::dashboard::alarm::calls as told;
use crate::dashboard::alarm::now::via_words;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, at_second, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::ids::{AlarmId, PersonId};
use crate::line::reply::TextEffect;
use crate::numbers::Number;
use crate::store::Db;
use crate::store::alarm::answers::OwnWordRow;
use crate::store::alarm::call_records::CallRecordRow;
use crate::store::lines::sms::InboundRow;
use crate::store::lines::texts::{SentRow, whom};

/// So many moments on a page.
const PAGE: usize = 60;
/// So many of one instant can be passed over.
const MOST_PASSED: usize = 500;

/// A moment as it is shown.
struct Moment {
    /// HTML.
    when: String,
    what: &'static str,
    /// The class of its mark.
    look: &'static str,
    alarm: Option<(String, String)>,
    facts: String,
}

/// A moment in the line of time. Some tell nothing, and only keep their place.
struct Placed {
    at: DateTime<Utc>,
    /// Tells moments of one instant apart, always in the same order.
    order: (u8, String),
    shown: Option<Moment>,
}

#[derive(Template)]
#[template(path = "people/person.html")]
struct PersonPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    name: String,
    numbers: Vec<String>,
    language: String,
    duty: Duty,
    moments: Vec<Moment>,
    newest: Option<String>,
    older: Option<String>,
    /// Where more is said of them, for who may see it.
    links: Vec<(String, &'static str)>,
}

/// Where the line of time goes on: at an instant, behind so many moments of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct From {
    at: DateTime<Utc>,
    passed: usize,
}

impl From {
    fn read(text: &str) -> Option<Self> {
        let (at, passed) = text.split_once('.')?;
        let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
        let sensible = DateTime::from_timestamp(0, 0)?..DateTime::from_timestamp(253_402_300_799, 0)?;
        let passed = passed.parse().ok().filter(|passed| *passed <= MOST_PASSED)?;
        sensible.contains(&at).then_some(Self { at, passed })
    }

    fn written(self) -> String {
        format!("{}.{}", self.at.timestamp_micros(), self.passed)
    }
}

/// A page of moments out of all that were read, and where the next begins; they come in any order.
fn page_of(mut all: Vec<Placed>, from: From) -> (Vec<Moment>, Option<From>) {
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.order.cmp(&a.order)));
    let rest = all.split_off(from.passed.min(all.len()));
    let more = rest.len() > PAGE;
    let shown: Vec<Placed> = rest.into_iter().take(PAGE).collect();
    let next = shown.last().filter(|_| more).map(|last| {
        let of_it = shown.iter().filter(|own| own.at == last.at).count();
        let before = if last.at == from.at { from.passed } else { 0 };
        From { at: last.at, passed: (before + of_it).min(MOST_PASSED) }
    });
    (shown.into_iter().filter_map(|own| own.shown).collect(), next)
}

/// `GET /people/{id}/about?from=`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let id: PersonId = id.parse().map_err(|_| Refusal::NotFound)?;
    let query = query.unwrap_or_default();
    let asked = asked(&query, "from").and_then(|text| From::read(&text));
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let person = db.person(id).await?.ok_or(Refusal::NotFound)?;
    let numbers = db.numbers_of(id).await?;
    let from = asked.unwrap_or(From { at: DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(now), passed: 0 });
    let (moments, next) = page_of(read(&mut db, &reader, id, &numbers, from).await?, from);
    drop(connection);
    let here = format!("/people/{id}/about");
    let is_me = reader.is_called(&person.name);
    let mut links = vec![(format!("/people/{id}/calls"), words.nav_calls.as_str())];
    if is_me {
        links.push(("/people/me".to_owned(), &words.nav_me));
    }
    if reader.administers() {
        links.push((format!("/people/{id}/told"), &words.told_link));
        links.push((format!("/people/{id}"), &words.edit));
        links.push((format!("/people/{id}/personal"), &words.personal_title));
    }
    let name = reader.name(&person.name);
    let page = PersonPage {
        frame: Frame::new(&reader, "people", name.as_str(), now),
        words,
        numbers: numbers.iter().map(|number| reader.number(number)).collect(),
        language: person.language,
        duty: duty::of(&app, words, id, now).await?,
        moments,
        newest: asked.map(|_| here.clone()),
        older: next.map(|next| format!("{here}?from={}", next.written())),
        links,
        name,
    };
    Ok(html(StatusCode::OK, &page))
}

/// What there is from then on backwards, as much of each kind as a page can need.
async fn read(
    db: &mut Db<'_>,
    reader: &Reader,
    person: PersonId,
    numbers: &[String],
    from: From,
) -> Result<Vec<Placed>, Refusal> {
    let most = i64::try_from(PAGE + 1 + from.passed).unwrap_or(i64::MAX);
    let calls = db.calls_of_person(person, Some((from.at, i64::MAX)), most).await?;
    let said = db.own_words(person, from.at, most).await?;
    let sent = db.texts_to(&whom(Some(person), ""), from.at, most).await?;
    let mut received = Vec::new();
    for number in numbers {
        let other = Number::from_stored(number).other_form().map(|other| other.as_str().to_owned());
        for own in [Some(number.clone()), other].into_iter().flatten() {
            received.extend(db.inbound_from(&own, from.at, most).await?);
        }
    }
    let alarms: Vec<AlarmId> =
        calls.iter().filter_map(|call| call.alarm_id).chain(received.iter().filter_map(|text| text.alarm_id)).collect();
    let known = db.alarms_known(&alarms).await?;
    let open: Vec<String> = db.open_mids().await?.into_values().collect();
    let mut all: Vec<Placed> = calls.iter().map(|call| of_call(reader, call, &known, open.contains(&call.mid))).collect();
    all.extend(said.iter().map(|word| of_word(reader, word)));
    all.extend(sent.iter().map(|text| of_sent(reader, text)));
    all.extend(received.iter().map(|text| of_received(reader, text, &known)));
    Ok(all)
}

fn alarm_link(words: &Words, id: AlarmId, number: i64) -> (String, String) {
    (format!("/alarms/{id}"), fill_text(&words.person_call_alarm, &[("number", &number.to_string())]))
}

fn of_call(reader: &Reader, call: &CallRecordRow, known: &[AlarmId], goes_on: bool) -> Placed {
    let words = reader.words;
    let number = reader.responds().then(|| call.number.clone());
    // An alarm may be forgotten by now.
    let alarm = call.alarm_id.filter(|alarm| known.contains(alarm)).zip(call.alarm_number);
    let shown = Moment {
        when: at_second(call.offered_at),
        what: match call.direction {
            CallDirection::Outgoing => &words.calls_outgoing,
            CallDirection::Incoming => &words.calls_incoming,
        },
        look: if call.connected_at.is_some() { "good" } else { "ring" },
        alarm: alarm.map(|(id, number)| alarm_link(words, id, number)),
        facts: told::facts(reader, call, number, goes_on),
    };
    Placed { at: call.offered_at, order: (3, format!("{:020}", call.id)), shown: Some(shown) }
}

fn of_word(reader: &Reader, word: &OwnWordRow) -> Placed {
    let words = reader.words;
    let shown = Moment {
        when: at_second(word.at),
        what: if word.confirmed_at.is_some() { &words.confirmed } else { &words.answered_only },
        look: "good",
        alarm: word.alarm_id.zip(word.alarm_number).map(|(id, number)| alarm_link(words, id, number)),
        facts: via_words(words, word.via).to_owned(),
    };
    Placed { at: word.at, order: (2, word.id.to_string()), shown: Some(shown) }
}

fn of_sent(reader: &Reader, text: &SentRow) -> Placed {
    let words = reader.words;
    let shown = text.created_at.map(|_| Moment {
        when: at_second(text.at),
        what: &words.person_text_sent,
        look: "",
        alarm: Some(alarm_link(words, text.alarm_id, text.number)),
        facts: if text.sent_at.is_some() { words.known_sent.clone() } else { words.known_waiting.clone() },
    });
    Placed { at: text.at, order: (1, text.alarm_id.to_string()), shown }
}

fn of_received(reader: &Reader, text: &InboundRow, known: &[AlarmId]) -> Placed {
    let words = reader.words;
    // What people wrote is for those who act on it.
    let facts = if reader.responds() { text.text.clone() } else { String::new() };
    let shown = Moment {
        when: at_second(text.received_at),
        what: match text.effect {
            Some(TextEffect::Declined) => &words.person_text_declined,
            Some(TextEffect::Confirmed) => &words.person_text_confirmed,
            _ => &words.person_text_received,
        },
        look: if text.effect == Some(TextEffect::Confirmed) { "good" } else { "" },
        alarm: text
            .alarm_id
            .filter(|alarm| known.contains(alarm))
            .map(|id| (format!("/alarms/{id}"), words.person_its_alarm.clone())),
        facts,
    };
    Placed { at: text.received_at, order: (0, text.id.to_string()), shown: Some(shown) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn moment(second: i64, place: usize) -> Placed {
        let at = DateTime::from_timestamp(second, 0).unwrap();
        let shown = Moment { when: place.to_string(), what: "", look: "", alarm: None, facts: String::new() };
        Placed { at, order: (0, format!("{place:06}")), shown: Some(shown) }
    }

    proptest! {
        #[test]
        fn page_after_page_shows_each_moment_once(seconds in prop::collection::vec(0..40_i64, 0..400)) {
            let mut from = From { at: DateTime::from_timestamp(1_000, 0).unwrap(), passed: 0 };
            let mut seen: Vec<usize> = Vec::new();
            loop {
                let until = from.at.timestamp();
                let all = seconds.iter().enumerate().filter(|(_, second)| **second <= until);
                let (shown, next) = page_of(all.map(|(place, second)| moment(*second, place)).collect(), from);
                seen.extend(shown.iter().map(|own| own.when.parse::<usize>().unwrap()));
                prop_assert!(shown.len() <= PAGE);
                let Some(next) = next else { break };
                prop_assert_eq!(From::read(&next.written()), Some(next));
                from = next;
            }
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..seconds.len()).collect::<Vec<_>>());
            prop_assert!(seen.windows(2).all(|pair| seconds[pair[0]] >= seconds[pair[1]]));
        }
    }

    #[test]
    fn what_is_no_place_is_none() {
        for wrong in ["", "x", "1.", ".1", "99999999999999999999.1", "-1.0", "1.501", "1.-1"] {
            assert_eq!(From::read(wrong), None, "{wrong}");
        }
    }
}
