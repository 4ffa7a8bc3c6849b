//! The gateways through which text messages are sent: made, changed and removed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::alarm::event::Event;
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::{GatewayId, SmsId};
use crate::keep::refused::{self, Refused};
use crate::kinds::gateways;
use crate::kinds::guard::GuardedResolver;
use crate::numbers::Number;
use crate::secrets;
use crate::store::edits::Edited;
use crate::store::lines::sms::{GatewayRow, GatewaySettings, Inbound, Purpose, Sentence, SmsRow};
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Db};
use crate::versions::Expected;

/// Tells the token of a gateway from other secrets.
const PREFIX: &str = "sg_";
/// That a gateway reported something is written down this often at most.
const HEARD_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// A gateway that was silent for less is not told of.
const SHORTEST_SILENCE: TimeDelta = TimeDelta::minutes(5);
/// Whoever tests a gateway waits for it.
const TEST_EXPIRES: TimeDelta = TimeDelta::minutes(10);

/// The address under which a gateway with this token reports received messages.
#[must_use]
pub fn inbound_path(token: &str) -> String {
    format!("/api/v1/sms/inbound/{token}")
}

impl Engine {
    /// Makes a gateway, and gives the token under which it reports received messages, which is shown once.
    ///
    /// # Errors
    /// When a field is wrong, the name is taken, or the database fails.
    pub async fn add_gateway(
        &self,
        name: &str,
        settings: GatewaySettings,
        inbound: InboundChange,
    ) -> Result<(GatewayRow, String), Refused> {
        let now = self.clock.now();
        gateways::check(&settings, &GuardedResolver::for_gateways(&self.config.sms.allow_networks))?;
        let gateway = GatewayRow {
            id: GatewayId::new(now),
            name: refused::name(name)?,
            settings: sqlx::types::Json(settings),
            inbound: sqlx::types::Json(inbound.of(Inbound::default())?),
            removed_at: None,
            heard_at: None,
            ping_at: None,
            ping_every_s: None,
            silent_since: None,
        };
        let (token, hash) = secrets::new(PREFIX);
        let mut tx = self.store.begin().await?;
        if let GatewaySettings::Handset { handset } = &gateway.settings.0 {
            handset_named(&mut tx.db(), "handset", handset).await?;
        }
        tx.db().insert_gateway(&gateway, &hash, now).await.map_err(|error| Refused::insert("gateway", &gateway.name, error))?;
        tx.commit().await?;
        Ok((gateway, token))
    }

    /// A gateway in use, by its id or its name.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn gateway(&self, which: &str) -> Result<GatewayRow, Refused> {
        gateway_named(&mut self.store.read().await?.db(), which).await
    }

    /// Changes what a gateway is called and how it is reached; messages that wait are sent the new way. It is named by its id or its
    /// name.
    ///
    /// # Errors
    /// When there is none, a field is wrong, the name is taken, it would be of another kind, or the database fails.
    pub async fn change_gateway(
        &self,
        which: &str,
        name: &str,
        settings: GatewaySettings,
        inbound: InboundChange,
        expected: &Expected,
    ) -> Result<GatewayRow, Refused> {
        let name = refused::name(name)?;
        gateways::check(&settings, &GuardedResolver::for_gateways(&self.config.sms.allow_networks))?;
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Gateways).await?;
        let old = gateway_named(&mut tx.db(), which).await?;
        expected.check(Some(&old.version(&self.links)))?;
        // What waits was composed for it: a code that one handset dials itself must not reach another.
        let other_kind = std::mem::discriminant(&old.settings.0) != std::mem::discriminant(&settings);
        let other_handset = matches!(settings, GatewaySettings::Handset { .. }) && old.settings.0 != settings;
        if other_kind || other_handset {
            return Err(Refused::wrong("kind", "this would be another gateway: add that, and let the lines use it"));
        }
        let inbound = sqlx::types::Json(inbound.of(old.inbound.0.clone())?);
        let gateway = GatewayRow { name, settings: sqlx::types::Json(settings), inbound, ..old };
        tx.db().change_gateway(&gateway).await.map_err(|error| Refused::insert("gateway", &gateway.name, error))?;
        tx.commit().await?;
        Ok(gateway)
    }

    /// Uses a gateway no more. It is named by its id or its name.
    ///
    /// # Errors
    /// When there is none, a line still needs it, or the database fails.
    pub async fn remove_gateway(&self, which: &str, expected: &Expected) -> Result<(), Refused> {
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Gateways).await?;
        let gateway = gateway_named(&mut tx.db(), which).await?;
        expected.check(Some(&gateway.version(&self.links)))?;
        if let Some(line) = tx.db().lines().await?.into_iter().find(|line| line.gateway_id == gateway.id) {
            return Err(Refused::wrong("gateway", format!("the line {:?} is reached through it: remove that first", line.name)));
        }
        tx.db().remove_gateway(&gateway, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The zone of the times that a gateway tells without one.
    #[must_use]
    pub fn gateway_zone(&self, gateway: &GatewayRow) -> Tz {
        gateway.inbound.zone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(self.config.sms.zone)
    }

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
    pub async fn send_test_text(&self, which: &str, number: &str) -> Result<SmsId, Refused> {
        let now = self.clock.now();
        let number = Number::parse(number, self.region()).map_err(|error| Refused::wrong("number", error.to_string()))?.number;
        let mut tx = self.store.begin().await?;
        let gateway = gateway_named(&mut tx.db(), which).await?;
        let language = match tx.db().person_with_number(number.as_str()).await? {
            Some(person) => person.language,
            None => String::new(),
        };
        let sentence = Sentence { name: "test".to_owned(), language, places: BTreeMap::new() };
        let sms = SmsRow::saying(sentence, Purpose::Test, gateway.id, number.as_str(), now, now + TEST_EXPIRES);
        tx.db().insert_sms(&sms).await?;
        tx.announce(Announcement::Handsets);
        tx.commit().await?;
        Ok(sms.id)
    }
}

/// What is to be changed about how a gateway's reports are read. `None` leaves it as it is; an empty text takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundChange {
    /// The IANA zone of times that tell none.
    pub zone: Option<String>,
    /// What it signs its reports with.
    pub signing_secret: Option<String>,
}

impl InboundChange {
    fn of(self, old: Inbound) -> Result<Inbound, Refused> {
        let given = |new: Option<String>, old: Option<String>| match new {
            Some(new) => Some(new).filter(|new| !new.is_empty()),
            None => old,
        };
        let inbound =
            Inbound { zone: given(self.zone, old.zone), signing_secret: given(self.signing_secret, old.signing_secret) };
        match inbound.zone.as_deref().map(str::parse::<Tz>) {
            Some(Err(_)) => Err(Refused::wrong("zone", "zone must be an IANA name, such as Asia/Shanghai or Europe/Madrid")),
            _ => Ok(inbound),
        }
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

/// The gateway in use with this id or name.
///
/// # Errors
/// When there is none, or the database fails.
pub(in crate::engine) async fn gateway_named(db: &mut Db<'_>, which: &str) -> Result<GatewayRow, Refused> {
    let all = db.gateways().await?;
    let found = all.into_iter().find(|gateway| gateway.name == which || gateway.id.to_string() == which);
    found.ok_or_else(|| Refused::Missing { what: "gateway", name: which.to_owned() })
}

/// The handset of that name, which a field names.
///
/// # Errors
/// When there is none, or the database fails.
pub(in crate::engine) async fn handset_named(db: &mut Db<'_>, field: &'static str, name: &str) -> Result<HandsetRow, Refused> {
    let found = db.handsets().await?.into_iter().find(|handset| handset.name == name);
    found.ok_or_else(|| Refused::wrong(field, format!("there is no handset {name:?}: `autocall handset list` shows them")))
}
