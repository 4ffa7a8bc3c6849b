//! *Quiet hours*: when people are left in peace by alarms that can wait; always all of them, so that nobody overwrites another's.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveTime;

use super::alarm::now;
use super::frame::answer::{Refusal, go_to};
use super::frame::csrf::Fields;
use super::frame::field::{Choice, Field, Input, Wrong};
use super::frame::page::{Frame, html};
use super::frame::reader::Reader;
use super::frame::words::Words;
use crate::alarm::Priority;
use crate::app::App;
use crate::keep::quiet_hours::{self as kept, AllQuiet, QuietBody};
use crate::keep::refused::Refused;
use crate::versions::Expected;

/// So many there can be at most.
const MOST_ROWS: usize = kept::MOST;
/// The list from which people are chosen.
const PEOPLE: &str = "everybody-known";

/// One entry as it was typed. Without a time at which it begins it is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    person: String,
    from: String,
    to: String,
    zone: String,
    up_to: String,
}

impl Row {
    fn of(body: QuietBody) -> Self {
        let person = body.person.unwrap_or_default();
        Self { person, from: body.from, to: body.to, zone: body.zone, up_to: body.up_to.as_str().to_owned() }
    }

    fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty()
    }
}

/// One entry as the form shows it.
struct RowFields {
    number: usize,
    fields: [Field; 5],
}

#[derive(Template)]
#[template(path = "quiet_hours.html")]
struct QuietPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    rows: Vec<RowFields>,
    /// The id of the list of all people, and their names: once for all rows.
    people: &'static str,
    names: Vec<String>,
    version: String,
    alert: Option<String>,
}

/// `GET /quiet-hours`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (all, version) = kept::read(&app.engine.store).await?;
    let rows: Vec<Row> = all.quiet_hours.into_iter().map(Row::of).collect();
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, with_spare(rows), (version.as_str(), None), done).await
}

/// `POST /quiet-hours`
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let rows = read(&fields);
    let version = fields.get("version");
    if fields.has("another") {
        return page(&app, &reader, with_spare(rows), (version, None), None).await;
    }
    let (indexes, body) = filled(&rows);
    let expected = Expected::in_form(version);
    match app.engine.carry_out(reader.doer(), async |work| kept::set(work, &body, &expected).await).await {
        Ok(_) => Ok(go_to("/quiet-hours?done=saved")),
        Err(refused) => {
            let wrong = wrong(reader.words, &rows, &indexes, refused)?;
            page(&app, &reader, rows, (version, Some(wrong)), None).await
        }
    }
}

fn read(fields: &Fields) -> Vec<Row> {
    // By name: so many rows are not looked for one by one.
    let sent: HashMap<&str, &str> = fields.pairs().collect();
    let text = |name: &str, row: usize| sent.get(format!("{name}-{row}").as_str()).map_or("", |text| text.trim()).to_owned();
    let there = (0..MOST_ROWS).take_while(|row| sent.contains_key(format!("from-{row}").as_str()));
    let row = |row| Row {
        person: text("person", row),
        from: text("from", row),
        to: text("to", row),
        zone: text("zone", row),
        up_to: text("up_to", row),
    };
    there.map(row).collect()
}

/// What rows say, each with which row of the form it is; empty ones say nothing.
fn filled(rows: &[Row]) -> (Vec<usize>, AllQuiet) {
    let there: Vec<(usize, &Row)> = rows.iter().enumerate().filter(|(_, row)| !row.is_empty()).collect();
    let body = |row: &Row| QuietBody {
        person: Some(row.person.clone()).filter(|name| !name.is_empty()),
        from: row.from.clone(),
        to: row.to.clone(),
        zone: row.zone.clone(),
        up_to: up_to(&row.up_to),
    };
    let quiet_hours = there.iter().map(|(_, row)| body(row)).collect();
    (there.into_iter().map(|(index, _)| index).collect(), AllQuiet { quiet_hours })
}

/// The priority of a word; what is none is refused as the one that never waits.
fn up_to(word: &str) -> Priority {
    [Priority::Low, Priority::Normal, Priority::High].into_iter().find(|own| own.as_str() == word).unwrap_or(Priority::Critical)
}

/// One more empty row, as far as there may be more.
fn with_spare(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() < MOST_ROWS {
        // Most wait in the zone in which the others do.
        let zone = rows.last().map(|row| row.zone.clone()).unwrap_or_default();
        rows.push(Row { zone, up_to: Priority::Normal.as_str().to_owned(), ..Row::default() });
    }
    rows
}

/// What is wrong, in the reader's language and at the form's field.
///
/// # Errors
/// When no field is to blame.
fn wrong(words: &Words, rows: &[Row], indexes: &[usize], refused: Refused) -> Result<Wrong, Refusal> {
    let refused = refused.first();
    let place = refused.field().and_then(|field| field.strip_prefix("quiet_hours[")).and_then(|rest| rest.split_once("]."));
    let place = place.and_then(|(row, field)| Some((*indexes.get(row.parse::<usize>().ok()?)?, field.to_owned())));
    let Some((row, field)) = place else { return Err(refused.into()) };
    let is_time = rows.get(row).is_some_and(|row| NaiveTime::parse_from_str(&row.to, "%H:%M").is_ok());
    let sentence = match (field.as_str(), is_time) {
        ("person", _) => &words.quiet_bad_person,
        ("zone", _) => &words.quiet_bad_zone,
        ("up_to", _) => &words.quiet_bad_up_to,
        // A time that can be read is refused for nothing else.
        ("to", true) => &words.quiet_endless,
        _ => &words.quiet_bad_time,
    };
    Ok(Wrong::new(format!("{field}-{row}"), sentence))
}

async fn page(
    app: &App,
    reader: &Reader,
    rows: Vec<Row>,
    (version, wrong): (&str, Option<Wrong>),
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let people = app.engine.store.read().await?.db().people().await?;
    let names: Vec<String> = people.into_iter().map(|(person, _)| person.name).collect();
    let wrong = wrong.as_ref();
    let fields = |(index, row): (usize, Row)| {
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(format!("{name}-{index}"), label, how, value, input, wrong)
        };
        let priorities = [Priority::Low, Priority::Normal, Priority::High];
        let priorities = priorities.map(|priority| Choice::new(priority.as_str(), words.priority(priority)));
        RowFields {
            number: index + 1,
            fields: [
                field("person", &words.quiet_whose, "", &row.person, Input::Offered(PEOPLE)).hint(&words.quiet_everybody),
                field("from", &words.roster_from, "", &row.from, Input::Line).hint("22:00"),
                field("to", &words.roster_to, "", &row.to, Input::Line).hint("07:00"),
                field("zone", &words.roster_zone, "", &row.zone, Input::Line).hint("Asia/Shanghai"),
                field("up_to", &words.quiet_up_to, "", &row.up_to, Input::Choice(priorities.into())),
            ],
        }
    };
    let shown = QuietPage {
        frame: Frame::new(reader, "quiet-hours", words.nav_quiet_hours.as_str(), app.engine.clock.now()),
        words,
        done,
        people: PEOPLE,
        rows: rows.into_iter().enumerate().map(fields).collect(),
        names,
        version: version.to_owned(),
        alert: wrong.map(|_| words.form_wrong.clone()),
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(html(status, &shown))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::words::Language;

    fn row(from: &str, to: &str) -> Row {
        let own = |text: &str| text.to_owned();
        Row { person: String::new(), from: own(from), to: own(to), zone: own("UTC"), up_to: own("low") }
    }

    fn wrong_at(language: Language, rows: &[Row], indexes: &[usize], field: &str) -> Wrong {
        super::wrong(language.words(), rows, indexes, Refused::at(field, "no")).unwrap()
    }

    #[test]
    fn empty_rows_say_nothing_and_what_is_wrong_is_said_at_the_row_of_the_form() {
        let rows = [row("", ""), row("22:00", "07:00"), row("", ""), row("x", "07:00")];
        let (indexes, body) = filled(&rows);
        assert_eq!((indexes.as_slice(), body.quiet_hours.len()), (&[1, 3][..], 2));
        for language in Language::ALL {
            let refused = Refused::at("quiet_hours[1].from", "\"x\" is no time of day");
            let wrong = wrong(language.words(), &rows, &indexes, refused).unwrap();
            assert_eq!((wrong.field.as_str(), wrong.sentence.as_str()), ("from-3", language.words().quiet_bad_time.as_str()));
            let endless = wrong_at(language, &rows, &indexes, "quiet_hours[0].to");
            assert_eq!((endless.field.as_str(), endless.sentence.as_str()), ("to-1", language.words().quiet_endless.as_str()));
        }
        assert!(wrong(Language::English.words(), &rows, &indexes, Refused::Contended).is_err());
    }

    #[test]
    fn a_form_is_read_as_it_was_written() {
        let fields =
            [("from-0", "22:00"), ("to-0", "07:00"), ("zone-0", "UTC"), ("up_to-0", "low"), ("person-0", ""), ("from-2", "x")];
        assert_eq!(read(&Fields::of(&fields)), [row("22:00", "07:00")], "what stands behind a hole is no row of ours");
        assert_eq!(with_spare(vec![row("22:00", "07:00")]).last().unwrap().zone, "UTC");
    }
}
