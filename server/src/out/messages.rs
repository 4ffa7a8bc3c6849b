//! Sends what is in the outbox of text messages: each until its gateway has taken it, with growing pauses, for a day.
//!
//! A message is taken by one node at a time. Should that node die between the gateway's answer and writing it down, the same message is
//! sent once more after a minute, under the same id: a gateway that knows ids drops it, and for the others the command is the same.

use std::sync::Arc;

use android_protocol::sms::strip_keywords;
use android_protocol::wire::CommandKind;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use reqwest::Client;

use super::ways::{Round, pause, serve_all};
use crate::engine::lines::texts;
use crate::engine::watch::handsets::REST_FOR_CODE;
use crate::engine::watch::health::Outbox;
use crate::engine::{Engine, EngineError};
use crate::ids::{CommandId, GatewayId, HandsetId};
use crate::keep::lines::gateways as gateway_keeping;
use crate::kinds::answer;
use crate::kinds::gateways::{self, GatewaySettings, Outgoing};
use crate::kinds::guard::{GuardedResolver, check_url};
use crate::kinds::outcome::Outcome;
use crate::kinds::words;
use crate::line::parts;
use crate::net::unanswered;
use crate::store::lines::numbers::{HandOverRow, LineRow};
use crate::store::lines::sms::{GatewayRow, Purpose, SmsRow, TAKEN_FOR};
use crate::store::{Announcement, Tx, Waiting};

/// A message that was taken longer ago is not sent any more by whoever took it.
const FRESH: TimeDelta = TimeDelta::seconds(30);
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(24);
/// What keeps a message from being sent is looked at again after this.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(5);
/// A handset that has not fetched a message to a person by then is away: longer than it rings somebody.
const FETCHED_WITHIN: TimeDelta = TimeDelta::minutes(2);

/// Sends what is due, every second, until dropped: through each gateway by itself.
pub async fn run(engine: Arc<Engine>, client: Client) {
    let round = |gateway| {
        let (engine, client) = (Arc::clone(&engine), client.clone());
        async move { serve(&engine, &client, gateway).await }
    };
    serve_all(&engine, Outbox::Messages, || waiting(&engine), round).await;
}

/// What waits for each gateway, after what handsets have said of theirs.
async fn waiting(engine: &Engine) -> Result<Vec<Waiting<GatewayId>>, EngineError> {
    take_back(engine).await?;
    settle_commands(engine).await?;
    Ok(engine.store.read().await?.db().messages_waiting(engine.clock.now()).await?)
}

/// Tries everything that is due once, through all gateways at the same time; gives how many were tried.
///
/// # Errors
/// When the database fails.
pub async fn send_due(engine: &Engine, client: &Client) -> Result<usize, EngineError> {
    let due = waiting(engine).await?.into_iter().filter(|one| one.due > 0);
    let rounds = join_all(due.map(|one| serve(engine, client, one.target))).await;
    rounds.into_iter().try_fold(0, |tried, round| Ok(tried + round?.tried))
}

/// Sends what is due at one gateway, one message after the other.
async fn serve(engine: &Engine, client: &Client, gateway: GatewayId) -> Result<Round, EngineError> {
    let due = engine.store.read().await?.db().due_sms(gateway, engine.clock.now()).await?;
    let mut round = Round::default();
    let mut due = due.into_iter();
    for sms in due.by_ref() {
        if let Some(Taken { gateway, rest, at }) = take(engine, &sms).await? {
            if engine.clock.now() - at > FRESH {
                // This node stood still: whatever has happened since, the message is looked at anew when it is free again.
                continue;
            }
            round.tried += 1;
            let result = post(engine, client, &gateway.settings, &sms).await;
            round.hung = matches!(result, Err(Unsent { hung: true, .. }));
            write_down(engine, &sms, rest, result.map_err(|unsent| unsent.why)).await?;
            if round.hung {
                break;
            }
        }
    }
    if round.hung {
        let untried = due.filter(|sms| sms.purpose.is_for_person()).collect();
        elsewhere(engine, gateway, untried).await?;
    }
    Ok(round)
}

/// People do not wait for a gateway that does not answer: what nobody has tried yet goes through the next one.
async fn elsewhere(engine: &Engine, gateway: GatewayId, untried: Vec<SmsRow>) -> Result<(), EngineError> {
    if untried.is_empty() {
        return Ok(());
    }
    let mut tx = engine.store.begin().await?;
    if let Some(other) = gateway_keeping::for_people(&mut tx.db(), Some(gateway)).await? {
        for sms in untried {
            tx.db().reroute_sms(&sms, other.id).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Why a gateway did not take a message, and whether it did not answer at all.
struct Unsent {
    why: Outcome,
    hung: bool,
}

impl From<Outcome> for Unsent {
    fn from(why: Outcome) -> Self {
        Self { why, hung: false }
    }
}

/// The line and the hand-over that a message belongs to.
async fn context_of(tx: &mut Tx, sms: &SmsRow) -> Result<Option<(LineRow, HandOverRow)>, EngineError> {
    let Some(id) = sms.hand_over_id else { return Ok(None) };
    let Some(hand_over) = tx.db().hand_over(id).await? else { return Ok(None) };
    Ok(tx.db().line(hand_over.line_id).await?.map(|line| (line, hand_over)))
}

/// A message that is to be sent now.
struct Taken {
    gateway: GatewayRow,
    at: DateTime<Utc>,
    /// The handset that rests for it, and until when.
    rest: Option<(HandsetId, DateTime<Utc>)>,
}

/// Takes a message if nothing speaks against sending it now, and gives its gateway. One for a native handset is put into its outbox
/// instead.
async fn take(engine: &Engine, sms: &SmsRow) -> Result<Option<Taken>, EngineError> {
    let now = engine.clock.now();
    let mut tx = engine.store.begin().await?;
    let context = context_of(&mut tx, sms).await?;
    let gateway = tx.db().gateway(sms.gateway_id).await?.filter(|gateway| gateway.removed_at.is_none());
    let wanted = sms.hand_over_id.is_none() || context.as_ref().is_some_and(|(line, own)| line.latest_seq == own.seq);
    let Some(gateway) = gateway.filter(|_| wanted) else {
        if sms.purpose.is_for_person()
            && let Some(other) = gateway_keeping::for_people(&mut tx.db(), None).await?
        {
            tx.db().reroute_sms(sms, other.id).await?;
            tx.commit().await?;
            return Ok(None);
        }
        return give_up(tx, sms, &Outcome::NotWanted, now).await;
    };
    if sms.expires_at.is_some_and(|at| at <= now) {
        return give_up(tx, sms, &Outcome::Expired, now).await;
    }
    if now - sms.created_at >= GIVE_UP_AFTER {
        // Whatever was wrong with it, also a gateway that takes it and cannot send it.
        return give_up(tx, sms, &Outcome::TriedForADay, now).await;
    }
    if let Some(why) = texts::unwanted(&mut tx, sms).await? {
        return give_up(tx, sms, &why, now).await;
    }
    if let Some((line, _)) = &context
        && let Some(why) = hindrance(&mut tx, line, sms, now).await?
    {
        tx.db().postpone_sms(sms, now + LOOK_AGAIN, &why.to_string()).await?;
        tx.commit().await?;
        return Ok(None);
    }
    if !tx.db().take_sms(sms, now + TAKEN_FOR).await? {
        return Ok(None);
    }
    let handset = context.as_ref().and_then(|(line, _)| line.handset_id);
    let rest = handset.map(|handset| (handset, now + REST_FOR_CODE));
    if let Some((handset, until)) = rest {
        tx.db().rest_handset(handset, until).await?;
    }
    if let GatewaySettings::Handset(own) = &gateway.settings.0 {
        command(&mut tx, &own.handset, sms, engine.config.sms.alarm_parts, now).await?;
        tx.commit().await?;
        return Ok(None);
    }
    tx.commit().await?;
    // A poll that was being answered meanwhile may have been given a dial.
    if let Some(handset) = handset
        && engine.store.read().await?.db().has_open_dial(handset).await?
    {
        let mut tx = engine.store.begin().await?;
        tx.db().sms_failed(sms.id, &Outcome::WaitsForCall.to_string(), now + LOOK_AGAIN).await?;
        tx.commit().await?;
        return Ok(None);
    }
    Ok(Some(Taken { gateway, rest, at: now }))
}

/// A message is not sent any more.
async fn give_up(mut tx: Tx, sms: &SmsRow, why: &Outcome, now: DateTime<Utc>) -> Result<Option<Taken>, EngineError> {
    // Another node may have looked at the same time.
    if tx.db().sms_given_up(sms.id, &why.to_string(), now).await? && sms.purpose == Purpose::Alarm {
        texts::was_not_sent(&mut tx.db(), sms.id, why, false, now).await?;
        tx.announce(Announcement::Calls);
    }
    tx.commit().await?;
    Ok(None)
}

/// What speaks against sending a line's command now.
async fn hindrance(tx: &mut Tx, line: &LineRow, sms: &SmsRow, now: DateTime<Utc>) -> Result<Option<Outcome>, EngineError> {
    if tx.db().sms_under_way(line.id, sms.id, now).await? {
        // It would arrive in either order.
        return Ok(Some(Outcome::WaitsForEarlier));
    }
    let Some(handset) = line.handset_id else { return Ok(None) };
    let busy = tx.db().has_open_dial(handset).await? || tx.db().line_free_at(handset, now).await?.is_some();
    Ok(busy.then_some(Outcome::WaitsForCall))
}

/// Puts the message, or the bare code, into the outbox of one of our own handsets.
async fn command(tx: &mut Tx, handset: &str, sms: &SmsRow, parts: usize, now: DateTime<Utc>) -> Result<(), EngineError> {
    let Some(handset) = tx.db().handsets().await?.into_iter().find(|row| row.name == *handset) else {
        return Ok(tx.db().sms_failed(sms.id, &Outcome::NoHandset.to_string(), now + pause(sms.attempts)).await?);
    };
    let what = match &sms.code {
        Some(code) => CommandKind::Forward { code: code.clone() },
        None => CommandKind::Sms { number: sms.number.clone(), text: text_of(sms, parts) },
    };
    let id = CommandId::new(now);
    tx.db().insert_command(id, handset.id, &what, now).await?;
    tx.announce(Announcement::Handsets);
    Ok(tx.db().sms_commanded(sms.id, id).await?)
}

/// Takes messages back from handsets that have not fetched them: one to a person goes another way, and none is sent when it helps nobody any
/// more.
async fn take_back(engine: &Engine) -> Result<(), EngineError> {
    let now = engine.clock.now();
    let left = engine.store.read().await?.db().unfetched_sms(now - FETCHED_WITHIN, now).await?;
    if left.is_empty() {
        return Ok(());
    }
    let mut tx = engine.store.begin().await?;
    for command in left {
        tx.db().take_back_command(command, now).await?;
    }
    Ok(tx.commit().await?)
}

/// Reads what native handsets said of their commands.
async fn settle_commands(engine: &Engine) -> Result<(), EngineError> {
    let said = engine.store.read().await?.db().commanded_sms().await?;
    for row in said {
        let now = engine.clock.now();
        let result = row.result.map(|result| result.0).unwrap_or_default();
        let detail = result["detail"].as_str().unwrap_or_default();
        let mut tx = engine.store.begin().await?;
        if result["ok"] == true {
            if tx.db().sms_sent(row.id, row.failures, "sent by the handset", row.done_at.unwrap_or(now)).await? {
                texts::was_sent(&mut tx.db(), row.id, now).await?;
                tx.announce(Announcement::Calls);
            }
        } else if tx.db().release_sms(row.id, row.command_id).await?
            && let Some(sms) = tx.db().sms(row.id).await?
        {
            // What the phone said stays out of the log: it may hold a number. The page of lines shows it.
            tracing::warn!(sms.id = %row.id, "a text message was not sent; the page Lines says why");
            // With growing pauses: the handset dials each time, and rings nobody meanwhile.
            let failure = Failure {
                why: Outcome::HandsetFailed(detail.to_owned()),
                tries: row.attempts,
                // It is away: there is no use in asking it again.
                elsewhere: row.attempts > 1 || result["fetched"] == false,
            };
            again(&mut tx, &sms, &failure, now + pause(row.attempts), now).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// What came of a try.
struct Failure {
    why: Outcome,
    /// With it, there were so many.
    tries: i32,
    /// Another gateway may do better.
    elsewhere: bool,
}

/// A message was not sent, and is tried again then. A command must go through the gateway of its line; a person only wants to know.
async fn again(
    tx: &mut Tx,
    sms: &SmsRow,
    failure: &Failure,
    again_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    // The first failure is told; that it is given up, once it is.
    if sms.purpose == Purpose::Alarm && failure.tries <= 1 {
        texts::was_not_sent(&mut tx.db(), sms.id, &failure.why, true, now).await?;
        tx.announce(Announcement::Calls);
    }
    let other = match sms.purpose.is_for_person() && failure.elsewhere {
        true => gateway_keeping::for_people(&mut tx.db(), Some(sms.gateway_id)).await?,
        false => None,
    };
    let why = failure.why.to_string();
    match other {
        Some(other) => tx.db().move_sms(sms.id, other.id, again_at, &why).await?,
        None => tx.db().sms_failed(sms.id, &why, again_at).await?,
    }
    Ok(())
}

/// What a message says. The words by which the app is given orders are only for hand-overs. Of an alarm so much is told as goes into so many
/// parts.
fn text_of(sms: &SmsRow, most_parts: usize) -> String {
    let Some(sentence) = &sms.sentence else { return sms.text.clone() };
    let say = |summary: Option<&str>| {
        let filled =
            sentence.places.iter().map(|(name, value)| (name.as_str(), summary.filter(|_| name == "summary").unwrap_or(value)));
        let places: Vec<(&str, &str)> = filled.collect();
        let said = words::say(words::language(&sentence.language), &sentence.name, &places);
        strip_keywords(&said).replace('|', "/")
    };
    match sentence.places.get("summary").filter(|_| sms.purpose == Purpose::Alarm) {
        Some(summary) => parts::fit(most_parts, summary, |own| say(Some(own))),
        None => say(None),
    }
}

async fn post(engine: &Engine, client: &Client, settings: &GatewaySettings, sms: &SmsRow) -> Result<Option<String>, Unsent> {
    let id = gateways::message_id(sms.id, sms.failures);
    let text = text_of(sms, engine.config.sms.alarm_parts);
    let outgoing = Outgoing { id: &id, number: &sms.number, text: &text };
    let Some(request) = gateways::request(settings, outgoing, engine.clock.now()) else {
        return Err(Outcome::NotTaken("this gateway takes no requests".to_owned()).into());
    };
    let guard = GuardedResolver::for_gateways(&engine.config.sms.allow_networks);
    let url = check_url(&request.url, &guard).map_err(|_| Outcome::ClosedAddress)?;
    let mut sending = client.request(request.method, url).body(request.body);
    for (name, value) in request.headers {
        sending = sending.header(name, value);
    }
    let silent = |error| Unsent { why: Outcome::NotTaken(unanswered::why(error)), hung: true };
    let response = sending.send().await.map_err(silent)?;
    let status = response.status().as_u16();
    let body = answer::read(response).await;
    Ok(gateways::accepted(settings, status, &body).map_err(Outcome::NotTaken)?)
}

async fn write_down(
    engine: &Engine,
    sms: &SmsRow,
    rest: Option<(HandsetId, DateTime<Utc>)>,
    result: Result<Option<String>, Outcome>,
) -> Result<(), EngineError> {
    let now = engine.clock.now();
    let mut tx = engine.store.begin().await?;
    match result {
        Ok(reference) => {
            let newly = tx.db().sms_sent(sms.id, sms.failures, "taken by the gateway", now).await?;
            if newly && sms.purpose == Purpose::Alarm {
                texts::was_sent(&mut tx.db(), sms.id, now).await?;
                tx.announce(Announcement::Calls);
            }
            if let Some(reference) = reference {
                tx.db().set_sms_ref(sms.id, sms.failures, &reference).await?;
            }
            // This node stood still meanwhile, and another one has sent the next command: the phone is not to keep this one.
            if let Some(later) = tx.db().later_sms(sms.id).await?.filter(|later| later.sent_at.is_some()) {
                tx.db().send_sms_again(later.id, &Outcome::SentAgain.to_string(), now).await?;
            }
        }
        Err(why) => {
            // What the gateway said stays out of the log: it may hold a number. The page of lines shows it.
            tracing::warn!(sms.id = %sms.id, attempt = sms.attempts + 1, "a text message was not sent; the page Lines says why");
            if let Some((handset, until)) = rest {
                // It was told nothing, so it may ring people.
                tx.db().end_rest(handset, until).await?;
                tx.announce(Announcement::Handsets);
            }
            if now - sms.created_at >= GIVE_UP_AFTER {
                tx.db().sms_given_up(sms.id, &why.to_string(), now).await?;
            } else {
                let failure = Failure { why, tries: sms.attempts + 1, elsewhere: sms.attempts > 0 };
                again(&mut tx, sms, &failure, now + pause(sms.attempts), now).await?;
            }
        }
    }
    Ok(tx.commit().await?)
}
