//! Our own protocol: long polls, an outcome for each number, progress, status, and commands for the phone.
//!
//! A superset of the AutoCall contract under the same path; a handset announces itself with the header `Autocall-Protocol: 1`.

use std::sync::Arc;
use std::time::Duration;

use android_protocol::voice::script::Script;
use android_protocol::wire::{
    self, Capability, CommandKind, NativeOffer, OfferedAlarm, OfferedCall, Outbox, OutboxCommand, OutboxResult, Progress,
};
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::refusal::PollError;
use crate::alarm::AlarmKind;
use crate::alarm::script::{self, Recorded};
use crate::app::App;
use crate::engine::hunt::claim::OfferDetails;
use crate::engine::lines::replies::TextReceived;
use crate::engine::media::Told;
use crate::engine::watch::lookout;
use crate::engine::watch::waiting::Who;
use crate::engine::{Asker, Claim, Engine, Offer};
use crate::http::json;
use crate::http::phone::refusal;
use crate::http::wash;
use crate::ids::CommandId;
use crate::keep::lines::gateways;
use crate::kinds::gateways::GatewaySettings;
use crate::line::written;
use crate::needs::Words;
use crate::net::seats::{Seat, Wait};
use crate::store::StoreError;
use crate::store::lines::sms::GatewayRow;
use crate::store::media::recordings::Records;
use crate::store::watch::commands::CommandRow;
use crate::store::watch::handsets::{HandsetRow, MOST_CHANNELS};

/// Whether a request speaks our protocol.
#[must_use]
pub fn speaks_native(headers: &HeaderMap) -> bool {
    headers.contains_key(wire::PROTOCOL_HEADER)
}

/// How long a poll may wait: `wait` of its query, at most a minute.
#[must_use]
pub fn wait_of(query: &str) -> Duration {
    let seconds = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "wait")
        .and_then(|(_, value)| value.parse::<u64>().ok())
        .unwrap_or(0);
    Duration::from_secs(seconds.min(wire::MAX_WAIT_SECONDS))
}

/// For which channel a poll asks, counted from 0: `channel` of its query. `None`: it names none that there is.
#[must_use]
pub fn channel_of(query: &str) -> Option<i32> {
    match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "channel") {
        Some((_, value)) => value.parse().ok().filter(|channel| (0..MOST_CHANNELS).contains(channel)),
        None => Some(0),
    }
}

/// How long a request may wait, and what ends that early.
pub struct Patience {
    wait: Duration,
    until: tokio::time::Instant,
    place: Option<Wait>,
}

impl Patience {
    /// Leave to wait as long as was asked for; none at all when enough others wait.
    #[must_use]
    pub fn of(wait: Duration, parts: &Parts) -> Self {
        let place = match (wait.is_zero(), parts.extensions.get::<Seat>()) {
            (false, Some(seat)) => seat.wait(),
            (_, None) => return Self { wait, until: tokio::time::Instant::now() + wait, place: None },
            (true, _) => None,
        };
        let wait = if place.is_some() { wait } else { Duration::ZERO };
        Self { wait, until: tokio::time::Instant::now() + wait, place }
    }

    /// Whether there is nothing left of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        tokio::time::Instant::now() >= self.until
    }

    /// Waits until nothing is left of it.
    pub async fn ends(&mut self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => {}
            () = self.over() => self.until = tokio::time::Instant::now(),
        }
    }

    /// Waits until connections get scarce and this one is to end.
    async fn over(&self) {
        match &self.place {
            Some(place) => place.hurried().await,
            None => std::future::pending().await,
        }
    }
}

/// Claims for a handset that is willing to wait. What wakes it is one look for all who wait on this node.
///
/// # Errors
/// When the database fails.
pub async fn claim(app: &App, asker: &Asker, patience: &Patience) -> Result<Claim, PollError> {
    let engine = &app.engine;
    if patience.wait.is_zero() {
        return Ok(engine.claim(asker).await?);
    }
    let mut until = tokio::time::Instant::now() + patience.wait;
    let who = Who { handset: asker.handset.id, channel: asker.channel, can: asker.handset.words() };
    let seat = engine.lookout.calls.come(who, asker.handset.doors());
    loop {
        let claim = engine.claim(asker).await?;
        if matches!(claim, Claim::Serve { .. }) {
            seat.leave();
            return Ok(claim);
        }
        let over = tokio::time::Instant::now() >= until || app.stopping.is_cancelled();
        if over || !lets_in_as_before(app, &seat, &asker.handset).await? {
            // It asks again, and is let in or not as is right now: a token that has leaked must not wait for one more alarm.
            return Ok(claim);
        }
        tokio::select! {
            () = seat.sleep() => {}
            () = tokio::time::sleep_until(until) => {}
            () = app.stopping.cancelled() => {}
            () = patience.over() => until = tokio::time::Instant::now(),
        }
        if seat.is_let_in() == Some(false) && !lets_in_as_before(app, &seat, &asker.handset).await? {
            return Ok(claim);
        }
    }
}

async fn lets_in_as_before(app: &App, seat: &lookout::Seat, handset: &HandsetRow) -> Result<bool, StoreError> {
    if seat.is_let_in() == Some(true) {
        return Ok(true);
    }
    // Not known, or it came after that was read.
    let now = app.engine.store.read().await?.db().handset(handset.id).await?;
    Ok(now.is_some_and(|now| now.doors() == handset.doors()))
}

/// The body of an offer, with what it is about and whom it rings.
///
/// # Errors
/// When the database fails.
pub async fn offer_body(engine: &Engine, handset: &HandsetRow, offer: Offer) -> Result<String, PollError> {
    let details = engine.offer_details(&offer).await?;
    let left = (offer.deadline - engine.clock.now()).num_seconds().max(0);
    let of_program = engine.call_script(&offer).await?;
    // Whoever commands a call says how long it rings.
    let ring_seconds = of_program.as_ref().map(|(_, ring)| *ring).or(u64::try_from(handset.ring_seconds).ok());
    let (alarm, script, callees) = match details {
        Some(details) => {
            let of_person = details.callees.iter().find_map(|(_, language)| language.clone());
            let told = match offer.asks_key && !matches!(details.alarm.kind, AlarmKind::Shout | AlarmKind::Call) {
                // A call leaves whatever becomes of its sound.
                true => {
                    let told = engine.told(&offer.mid, handset.can(Capability::Record), details.barista.is_some()).await;
                    told.unwrap_or_else(|error| {
                        tracing::warn!(%error, "what a call is to play could not be found out: the alarm's words are spoken");
                        Told::default()
                    })
                }
                false => Told::default(),
            };
            let script = match details.alarm.kind {
                AlarmKind::Shout => engine.shout_script(&offer).await?,
                AlarmKind::Call => of_program.as_ref().map(|(script, _)| script.clone()),
                _ => offer.asks_key.then(|| script_of(engine, handset, &details, of_person.as_deref(), &told)),
            };
            // A Barista client says what is to be said, and in which language.
            let (text, language) = match &details.barista {
                Some(call) => (call.announcement(), call.language.clone()),
                None => (details.alarm.summary.clone(), of_person.unwrap_or_default()),
            };
            let alarm = OfferedAlarm {
                id: details.alarm.id.to_string(),
                summary: details.alarm.summary,
                priority: details.alarm.priority.as_str().to_owned(),
                language,
                text,
            };
            (Some(alarm), script, details.callees)
        }
        None => (None, None, Vec::new()),
    };
    let mut names = callees.into_iter().map(|(name, _)| name).chain(std::iter::repeat(None));
    let calls = offer
        .phones
        .iter()
        .map(|number| OfferedCall { number: number.clone(), name: names.next().flatten(), ring_seconds, script: script.clone() })
        .collect();
    let body = NativeOffer {
        phone: offer.phones,
        code: wire::CODE_ALARM,
        mid: offer.mid,
        deadline: u64::try_from(left).ok(),
        alarm,
        calls,
        live: handset.can(Capability::Live),
    };
    Ok(body.to_body())
}

/// What a call about this says and asks.
pub(super) fn script_of(
    engine: &Engine,
    handset: &HandsetRow,
    details: &OfferDetails,
    of_person: Option<&str>,
    told: &Told,
) -> Script {
    let guesses = handset.can(Capability::Machine);
    let others = details.others;
    let config = &engine.config.media;
    let what = told.records.and_then(|records| match records {
        Records::Debug => Some(Recorded::Call),
        Records::Message => config.message_key.map(|key| Recorded::Message { key }),
    });
    let recording = what.map(|what| script::Recording { what, is_said: config.say_recorded.is_on() });
    let script = match &details.barista {
        Some(call) => {
            let text = call.announcement();
            let asks = script::asks_itself(&call.foot_message);
            let said = script::Said { text: &text, language: Some(&call.language), others, asks, recording };
            script::script(said, &script::Keys::BARISTA, guesses)
        }
        None => {
            let said = script::Said { text: &details.alarm.summary, language: of_person, others, asks: false, recording };
            script::script(said, &engine.config.alarms.keys(), guesses)
        }
    };
    Script { play: told.clip.clone(), ..script }
}

/// How a call goes, and which keys were pressed in it: known by its mid alone, as a report is.
///
/// # Errors
/// When the database fails.
pub async fn progress(app: &App, mid: &str, body: &Bytes) -> Result<Response, PollError> {
    let (true, Some(progress)) = (android_protocol::mid::is_well_formed(mid), Progress::parse(body)) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "progress names its mid and holds {\"number\",\"state\"}"));
    };
    let heard = app.engine.progress(mid, &progress).await?;
    let code = if heard.wanted { wire::CODE_ALARM } else { wire::CODE_UNWANTED };
    Ok(match heard.say {
        Some(say) => json(StatusCode::OK, serde_json::json!({ "code": code, "say": say }).to_string()),
        None => json(StatusCode::OK, if heard.wanted { wire::ACCEPTED_BODY } else { wire::UNWANTED_BODY }),
    })
}

/// Whether a call of this mid is under way.
///
/// # Errors
/// When the database fails.
pub async fn goes_on(app: &App, mid: &str) -> Result<bool, PollError> {
    if !android_protocol::mid::is_well_formed(mid) {
        return Ok(false);
    }
    let mut reader = app.engine.store.read().await?;
    if reader.db().dial(mid).await?.is_some_and(|dial| dial.closed_at.is_none()) {
        return Ok(true);
    }
    let now = app.engine.clock.now();
    Ok(reader.db().inbound_call(mid).await?.is_some_and(|call| call.is_open(now)))
}

/// Whether a handset sends this also while it can ring nobody, as one whose trunk or SIM is away: how it is, sound of calls that are over,
/// and text messages that its SIM holds.
#[must_use]
pub fn is_said_beside(path: &str) -> bool {
    matches!(path, "status" | "inbound") || super::media::is_sound(path)
}

/// Answers everything of the native protocol that is not the poll or the report. `path` is what follows the token.
///
/// # Errors
/// When the database fails.
pub async fn extra(app: &Arc<App>, handset: &HandsetRow, parts: &Parts, path: &str, body: &Bytes) -> Result<Response, PollError> {
    let query = parts.uri.query().unwrap_or_default();
    let accepted = || Ok(json(StatusCode::OK, wire::ACCEPTED_BODY));
    match (&parts.method, path.split_once('/').unwrap_or((path, ""))) {
        (&Method::POST, ("progress", "")) => {
            let mid = super::query::HandsetQuery::parse(query).mid.unwrap_or_default();
            progress(app, &mid, body).await
        }
        (&Method::POST, ("status", "")) => {
            let Some(status) = wire::Status::parse(body) else {
                return Ok(refusal(StatusCode::BAD_REQUEST, "a status is a JSON object"));
            };
            // One that does not speak of it can what it could.
            let speaks_of_it =
                serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|body| body["capabilities"].is_array());
            let can = speaks_of_it.then_some(status.capabilities.clone());
            // Written again from what was understood: nothing unknown gets into the database.
            let status = serde_json::to_value(status).unwrap_or_default();
            app.engine.handset_status(handset.id, &status, can.as_deref()).await?;
            accepted()
        }
        (&Method::POST, ("inbound", "")) => {
            let Some(text) = wire::InboundText::parse(body) else {
                return Ok(refusal(StatusCode::BAD_REQUEST, "a text message is {\"id\",\"from\",\"text\",\"received_at\"}"));
            };
            match inbound_text(app, handset, text).await? {
                true => accepted(),
                // It stays on the SIM until there is somebody who reads it.
                false => Ok(refusal(
                    StatusCode::NOT_FOUND,
                    "this handset is no gateway for text messages: make it one with `autocall gateway add --kind handset`",
                )),
            }
        }
        (&Method::GET, ("outbox", "")) => {
            let patience = Patience::of(wait_of(query), parts);
            Ok(json(StatusCode::OK, outbox(app, handset, &patience).await?.to_body()))
        }
        (&Method::POST, ("outbox", id)) => {
            let (Ok(id), Some(result)) = (id.parse::<CommandId>(), OutboxResult::parse(body)) else {
                return Ok(refusal(StatusCode::BAD_REQUEST, "a result names its command and holds {\"ok\"}"));
            };
            app.engine.command_result(id, handset.id, &result).await?;
            accepted()
        }
        _ => Ok(refusal(StatusCode::NOT_FOUND, "there is nothing at this address; a handset polls /h/TOKEN/alert/phone")),
    }
}

/// Takes in a text message that the phone received; false when no gateway stands for this handset.
async fn inbound_text(app: &App, handset: &HandsetRow, text: wire::InboundText) -> Result<bool, PollError> {
    let all = app.engine.store.read().await?.db().gateways().await?;
    let is_this =
        |gateway: &&GatewayRow| matches!(&gateway.settings.0, GatewaySettings::Handset(own) if own.handset == handset.name);
    let Some(gateway) = all.iter().find(is_this) else { return Ok(false) };
    let clean = |text: &str| wash::printable(text).0.into_owned();
    let received = TextReceived {
        sender: clean(&text.from),
        text: clean(&text.text),
        id: text.id.filter(|id| !id.is_empty()),
        told: text.received_at.and_then(|at| written::read_time(&at, gateways::zone(gateway, app.config()))),
        sent: None,
    };
    app.engine.sms_received(gateway, &received).await?;
    app.engine.heard_of_gateway(gateway).await?;
    Ok(true)
}

async fn outbox(app: &App, handset: &HandsetRow, patience: &Patience) -> Result<Outbox, PollError> {
    let mut until = tokio::time::Instant::now() + patience.wait;
    let who = Who { handset: handset.id, channel: 0, can: Words::default() };
    let seat = app.engine.lookout.commands.come(who, handset.doors());
    loop {
        let rows = app.engine.store.read().await?.db().open_commands(handset.id).await?;
        let is_fresh = |row: &&CommandRow| row.handed_at.is_none() && matches!(row.command(), Some(CommandKind::Forward { .. }));
        let fresh: Vec<CommandId> = rows.iter().filter(is_fresh).map(|row| row.id).collect();
        let is_fresh_text = |row: &&CommandRow| row.handed_at.is_none() && matches!(row.command(), Some(CommandKind::Sms { .. }));
        let texts: Vec<CommandId> = rows.iter().filter(is_fresh_text).map(|row| row.id).collect();
        let mut commands: Vec<OutboxCommand> =
            rows.iter().filter_map(|row| Some(OutboxCommand { id: row.id.to_string(), kind: row.command()? })).collect();
        let codes = |command: &OutboxCommand| matches!(command.kind, CommandKind::Forward { .. });
        if commands.iter().any(codes) && !app.engine.may_dial_code(handset.id, &fresh).await? {
            // Its line is in use: the code comes when that is over.
            commands.retain(|command| !codes(command));
        }
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if !commands.is_empty() || left.is_zero() || app.stopping.is_cancelled() {
            app.engine.texts_fetched(&texts).await?;
            return Ok(Outbox::new(commands));
        }
        tokio::select! {
            () = seat.sleep() => {}
            () = tokio::time::sleep(left) => {}
            () = app.stopping.cancelled() => {}
            () = patience.over() => until = tokio::time::Instant::now(),
        }
    }
}
