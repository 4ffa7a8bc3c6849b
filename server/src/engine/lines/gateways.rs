//! The gateways through which text messages are sent: heard, missed and tried.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::audit::{Line, Operation};
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::SmsId;
use crate::keep::lines::gateways;
use crate::keep::refused::Refused;
use crate::numbers::Number;
use crate::store::Announcement;
use crate::store::lines::sms::{GatewayRow, Purpose, Sentence, SmsRow};

/// That a gateway reported something is written down this often at most.
const HEARD_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// A gateway that was silent for less is not told of.
const SHORTEST_SILENCE: TimeDelta = TimeDelta::minutes(5);
/// Whoever tests a gateway waits for it.
const TEST_EXPIRES: TimeDelta = TimeDelta::minutes(10);

impl Engine {
    /// Notes that a gateway reported something; not each time, since that says nothing new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heard_of_gateway(&self, gateway: &GatewayRow) -> Result<(), EngineError> {
        let now = self.clock.now();
        if gateway.heard_at.is_some_and(|at| now - at < HEARD_AGAIN) {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        tx.db().heard_of_gateway(gateway.id, now).await?;
        Ok(tx.commit().await?)
    }

    /// A gateway says that it lives: from the second time on it is known how often it does. When people were told that it is silent, they
    /// are told that it is back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gateway_pinged(&self, gateway: &GatewayRow) -> Result<(), EngineError> {
        let now = self.clock.now();
        let every = ping_interval(gateway.ping_at, gateway.ping_every_s, now);
        let mut tx = self.store.begin().await?;
        tx.db().gateway_pinged(gateway.id, every, now).await?;
        if gateway.silent_since.is_some() {
            tx.db().insert_event(None, None, now, &Event::GatewayBack { gateway: gateway.name.clone() }).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Tells people, once, of each gateway that said regularly that it lives and does not any more: before the next hand-over needs it.
    ///
    /// # Errors
    /// When the database fails; the next tick does what this one did not.
    pub async fn watch_gateways(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let gateways = self.store.read().await?.db().gateways().await?;
        for gateway in gateways.iter().filter(|gateway| is_silent(gateway, now) && gateway.silent_since.is_none()) {
            let Some(since) = gateway.ping_at else { continue };
            let mut tx = self.store.begin().await?;
            if tx.db().gateway_silent(gateway.id, since).await? {
                let event = Event::GatewaySilent { gateway: gateway.name.clone(), since };
                tx.db().insert_event(None, None, now, &event).await?;
                tracing::error!(gateway.name = %gateway.name, "a gateway for text messages does not say any more that it lives");
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Puts a test message to a number into the outbox of a gateway, and gives what to ask for its state by.
    ///
    /// # Errors
    /// When there is no such gateway, the number cannot be rung, or the database fails.
    pub async fn send_test_text(&self, which: &str, number: &str, by: Doer) -> Result<SmsId, Refused> {
        let now = self.clock.now();
        let number = Number::parse(number, self.region()).map_err(|error| Refused::wrong("number", error.to_string()))?.number;
        let mut work = self.work_at(now, by).await?;
        let gateway = gateways::find(&mut work.db(), which).await?;
        let language = match work.db().person_with_number(number.as_str()).await? {
            Some(person) => person.language,
            None => String::new(),
        };
        let sentence = Sentence { name: "test".to_owned(), language, places: BTreeMap::new() };
        let sms = SmsRow::saying(sentence, Purpose::Test, gateway.id, number.as_str(), now, now + TEST_EXPIRES);
        work.db().insert_sms(&sms).await?;
        let line = Line::new(Operation::GatewayTested).of(gateway.id).named(gateway.name);
        work.note(line.after(serde_json::json!({ "number": number.as_str() })));
        work.announce(Announcement::Handsets);
        work.commit().await?;
        Ok(sms.id)
    }
}

/// How often a gateway says that it lives: what passed since the last time, unless it was away for longer.
fn ping_interval(last: Option<DateTime<Utc>>, known: Option<i32>, now: DateTime<Utc>) -> Option<i32> {
    let passed = i32::try_from((now - last?).num_seconds()).ok().filter(|seconds| *seconds > 0)?;
    match known {
        Some(known) if passed > known.saturating_mul(2) => Some(known),
        _ => Some(passed),
    }
}

/// Whether a gateway said regularly that it lives, and has not for so long that this is no accident.
#[must_use]
pub fn is_silent(gateway: &GatewayRow, now: DateTime<Utc>) -> bool {
    match (gateway.ping_at, gateway.ping_every_s) {
        (Some(last), Some(every)) => now - last > (seconds(every) * 3).max(SHORTEST_SILENCE),
        _ => false,
    }
}
