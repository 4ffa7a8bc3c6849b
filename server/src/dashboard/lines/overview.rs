//! *Public numbers*: to whom each is forwarded and how that is known, and the text messages that came in; and the form that hands a number
//! over.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::number::line_id;
use super::number_form::{command_words, followed};
use super::whom_form::{self, Reachable, WhomForm};
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::set_up::card::Card;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::engine::lines::hand_over::Known;
use crate::engine::lines::numbers::LineStatus;
use crate::ids::LineId;
use crate::keep::lines::numbers;
use crate::keep::refused::Refused;
use crate::kinds::outcome::Outcome;
use crate::line::network::Network;
use crate::line::reply::TextEffect;
use crate::roster::Roster;
use crate::store::alarm::answers;
use crate::store::lines::numbers::{HandOverRow, LineRow};
use crate::store::lines::sms::InboundRow;
use crate::store::{Db, StoreError};
use crate::versions::Expected;

/// So many of the latest text messages are shown.
const MESSAGES: i64 = 20;

/// A public number, and the form that hands it over.
struct LineCard {
    id: LineId,
    shown: Card,
    hand_over: Option<Form>,
}

/// A text message that came in.
struct Message {
    at: String,
    sender: String,
    text: String,
    alarm: Option<String>,
    effect: &'static str,
}

#[derive(Template)]
#[template(path = "lines/public_lines.html")]
struct LinesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    lines: Vec<LineCard>,
    messages: Vec<Message>,
}

/// `GET /numbers`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, done, None).await
}

/// `POST /numbers/{id}/forward`: hands a number over, until duty changes the next time.
pub(in crate::dashboard) async fn forward(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (line, form) = (line_id(&id)?, WhomForm::read(&fields));
    let people = Reachable::all(app.engine.store.read().await?.db().people().await?);
    let wrong = match form.filled(reader.words, &people) {
        Err(sentence) => whom_form::unfilled(reader.words, sentence),
        Ok(whom) => {
            let handed_over = async {
                let mut work = app.engine.work(reader.doer()).await?;
                let (line, anything) = (line.to_string(), Expected::Anything);
                app.engine.forward_line(&mut work, &line, &whom.number, whom.name.as_deref(), &anything).await?;
                Ok::<_, Refused>(work.commit().await?)
            };
            match handed_over.await {
                Ok(()) => return Ok(go_to("/numbers?done=handed_over")),
                Err(refused) => whom_form::wrong(reader.words, refused)?,
            }
        }
    };
    page(&app, &reader, None, Some(Sent { form: hand_over_id(line), fields, wrong })).await
}

async fn page(app: &App, reader: &Reader, done: Option<&'static str>, refusing: Option<Sent>) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let statuses = app.engine.line_statuses().await?;
    // Before a connection is held: this asks for one of its own.
    let refusals = refusals(app, reader, &statuses).await;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let roster = db.roster().await?;
    let confirmed = confirmed_by(&mut db, &statuses).await?;
    // Numbers, and what people wrote, are for those who act on it.
    let people = if reader.responds() { Reachable::all(db.people().await?) } else { Vec::new() };
    let messages = if reader.responds() { db.latest_inbound(MESSAGES).await? } else { Vec::new() };
    drop(connection);
    let status = if refusing.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let card = |status: &LineStatus| {
        let hand_over = || {
            let (id, address) = (hand_over_id(status.line.id), format!("/numbers/{}/forward", status.line.id));
            let form = Form::new(reader, id, address, &words.hand_over_go).explained(&words.hand_over_how);
            form.with(whom_form::fields(words, &people)).about(&status.line.name).again(refusing.as_ref())
        };
        LineCard {
            id: status.line.id,
            shown: line(
                reader,
                status,
                &roster,
                confirmed.get(&status.line.id).map(String::as_str),
                refusals.get(&status.line.id),
            ),
            hand_over: reader.responds().then(hand_over),
        }
    };
    let page = LinesPage {
        frame: Frame::new(reader, "lines", words.nav_lines.as_str(), now),
        words,
        done,
        lines: statuses.iter().map(card).collect(),
        messages: messages.into_iter().map(|row| message(reader, row)).collect(),
    };
    Ok(html(status, &page))
}

/// The form by which a line is handed over.
fn hand_over_id(line: LineId) -> String {
    format!("whom-{line}")
}

/// Who confirmed the test call of each line where somebody did.
async fn confirmed_by(db: &mut Db<'_>, statuses: &[LineStatus]) -> Result<HashMap<LineId, String>, StoreError> {
    let mut names = HashMap::new();
    for status in statuses {
        let Some((hand_over, Known::Confirmed)) = &status.latest else { continue };
        let Some(alarm) = hand_over.verify_alarm_id else { continue };
        let Some(alarm) = db.alarm(alarm).await? else { continue };
        if let Some(answer) = answers::current(&db.answers_of(alarm.hunt_id).await?) {
            names.insert(status.line.id, answer.name.clone());
        }
    }
    Ok(names)
}

/// Why no command could be made for a line, in the reader's language: asked again, since what was kept is for programs.
async fn refusals(app: &App, reader: &Reader, statuses: &[LineStatus]) -> HashMap<LineId, String> {
    let mut sentences = HashMap::new();
    for status in statuses {
        let Some((hand_over, Known::Refused)) = &status.latest else { continue };
        let Ok(mut reading) = app.engine.store.read().await else { continue };
        let line = status.line.id.to_string();
        let previewed = numbers::preview(&mut reading.db(), app.config(), &line, &hand_over.number).await;
        if let Err(Refused::Command(error)) = previewed {
            sentences.insert(status.line.id, command_words(reader.words, &error));
        }
    }
    sentences
}

/// What came of the last try, in the reader's language. What somebody else has said may hold a number.
pub(in crate::dashboard) fn outcome_words(reader: &Reader, outcome: &Outcome) -> String {
    let words = reader.words;
    let sentence = match outcome {
        Outcome::WaitsForCall => &words.outcome_call,
        Outcome::WaitsForEarlier => &words.outcome_earlier,
        Outcome::TriedForADay => &words.outcome_day,
        Outcome::NotWanted => &words.outcome_unwanted,
        Outcome::Expired => &words.outcome_expired,
        Outcome::SentAgain => &words.outcome_again,
        Outcome::AlarmOver => &words.outcome_alarm_over,
        Outcome::AlarmTaken => &words.outcome_alarm_taken,
        Outcome::DoNotCall => &words.outcome_do_not_call,
        Outcome::NoGateway => &words.outcome_no_gateway,
        Outcome::NoHandset => &words.outcome_no_handset,
        Outcome::ClosedAddress => &words.outcome_closed,
        Outcome::HandsetFailed(_) => &words.outcome_handset,
        Outcome::GatewayFailed(_) => &words.outcome_gateway,
        Outcome::NotTaken(_) => &words.outcome_not_taken,
    };
    match outcome.detail().filter(|detail| !detail.is_empty() && reader.responds()) {
        Some(detail) => format!("{sentence}{}{detail}", words.outcome_colon),
        None => sentence.clone(),
    }
}

fn line(reader: &Reader, status: &LineStatus, roster: &Roster, confirmed: Option<&str>, refusal: Option<&String>) -> Card {
    let words = reader.words;
    let who = |hand_over: &HandOverRow| reader.name(&hand_over.person);
    let mut sentences = Vec::new();
    let state = match &status.latest {
        None => ("plain", words.line_never.clone()),
        Some((latest, known)) => {
            let (who, number) = (who(latest), reader.number(&latest.number));
            let bits = [("who", Text(&who)), ("number", Text(&number)), ("at", Html(&at(latest.at)))];
            sentences.push(fill(&words.line_to, &bits));
            if let Some(refused) = &latest.refused {
                sentences.push(fill(&words.line_refused, &[("why", Text(refusal.unwrap_or(refused)))]));
            } else if latest.sent_at.is_none()
                && let Some(result) = &latest.last_result
            {
                let attempts = latest.attempts.unwrap_or(0).to_string();
                sentences.push(fill(
                    &words.line_tries,
                    &[("count", Text(&attempts)), ("why", Text(&outcome_words(reader, &Outcome::read(result))))],
                ));
            }
            sentences.extend(network_words(reader, latest));
            let confirmed = confirmed.map_or(who, |name| reader.name(name));
            known_words(words, *known, &confirmed)
        }
    };
    if let (Some((latest, _)), Some(still)) = (&status.latest, &status.still)
        && latest.sent_at.is_none()
    {
        sentences.push(fill(&words.line_still, &[("who", Text(&who(still)))]));
    }
    let (follows, trouble) = match follows(reader, &status.line, roster) {
        Ok(follows) => (Some(follows), None),
        Err(trouble) => (None, Some(trouble)),
    };
    sentences.extend(follows);
    let about =
        format!("{} · {} · Android\u{a0}{}", reader.number(&status.line.number), status.line.carrier, status.line.android);
    let change = reader.administers().then(|| format!("/numbers/{}", status.line.id));
    Card { name: status.line.name.clone(), state, about, sentences, trouble, change }
}

/// What the network says of a number, where it was asked.
fn network_words(reader: &Reader, hand_over: &HandOverRow) -> Vec<String> {
    let words = reader.words;
    let mut sentences = Vec::new();
    if let (Some(network), Some(said_at)) = (hand_over.network(), hand_over.network_at) {
        let sentence = match network {
            Network::There => &words.network_there,
            Network::Elsewhere => &words.network_elsewhere,
            Network::Off => &words.network_off,
        };
        let number = reader.number(hand_over.network_number.as_deref().unwrap_or("?"));
        sentences.push(fill(sentence, &[("number", Text(&number)), ("at", Html(&at(said_at)))]));
    }
    if let Some(error) = &hand_over.network_error {
        sentences.push(fill(&words.network_silent, &[("why", Text(error))]));
    }
    sentences
}

/// Whom a line follows; in `Err`, what it follows in vain.
fn follows(reader: &Reader, line: &LineRow, roster: &Roster) -> Result<String, String> {
    let words = reader.words;
    if let Some(number) = &line.bound_number {
        let who = reader.name(line.bound_name.as_ref().unwrap_or(number));
        return Ok(fill(&words.line_always, &[("who", Text(&who))]));
    }
    let sentence = |sentence: &str, team: &str| fill(sentence, &[("team", Text(team))]);
    match followed(roster, &line.team) {
        Some(team) => Ok(sentence(&words.line_follows, team)),
        None if line.team.is_empty() => Ok(sentence(&words.line_follows_nobody, "")),
        None => Err(sentence(&words.line_follows_lost, &line.team)),
    }
}

fn known_words(words: &Words, known: Known, who: &str) -> (&'static str, String) {
    let (class, word) = match known {
        Known::Refused => ("bad", &words.known_refused),
        Known::Waiting => ("now", &words.known_waiting),
        Known::GivenUp => ("bad", &words.known_given_up),
        Known::Sent => ("plain", &words.known_sent),
        Known::Delivered => ("plain", &words.known_delivered),
        Known::Verifying => ("now", &words.known_verifying),
        Known::Answered => ("answered", &words.known_answered),
        Known::Confirmed => ("confirmed", &words.known_confirmed),
        Known::Unanswered => ("bad", &words.known_unanswered),
        Known::ByNetwork => ("confirmed", &words.known_by_network),
        Known::Elsewhere => ("bad", &words.known_elsewhere),
    };
    (class, fill_text(word, &[("who", who)]))
}

fn message(reader: &Reader, row: InboundRow) -> Message {
    let words = reader.words;
    let effect = match row.effect.unwrap_or(TextEffect::Nothing) {
        TextEffect::Confirmed => &words.effect_confirmed,
        TextEffect::Already => &words.effect_already,
        TextEffect::Over => &words.effect_over,
        TextEffect::Declined => &words.effect_declined,
        TextEffect::Stopped => &words.effect_stopped,
        TextEffect::Noted => &words.effect_noted,
        TextEffect::Stranger => &words.effect_stranger,
        TextEffect::TooLate => &words.effect_too_late,
        TextEffect::Outdated => &words.effect_outdated,
        TextEffect::Allowed => &words.effect_allowed,
        TextEffect::Unclear => &words.effect_unclear,
        TextEffect::Nothing | TextEffect::Repeated | TextEffect::Delivered | TextEffect::Bounced | TextEffect::Ignored => {
            &words.effect_none
        }
    };
    Message {
        at: at(row.received_at),
        sender: reader.name(&row.sender),
        text: row.text,
        alarm: row.alarm_id.map(|id| id.to_string()),
        effect,
    }
}
