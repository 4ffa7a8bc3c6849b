//! The gateways through which text messages are sent, as operators say them: made, changed and removed.

use serde_json::json;
use std::time::Duration;

use chrono_tz::Tz;

use crate::audit::{Line, Operation};
use crate::config::Config;
use crate::ids::{GatewayId, SmsId};
use crate::keep::refused::{self, Faults, Refused};
use crate::kinds::gateways::{self, GatewayKind, GatewaySettings};
use crate::kinds::guard::GuardedResolver;
use crate::links::Links;
use crate::secrets;
use crate::store::edits::Edited;
use crate::store::lines::sms::{GatewayRow, Inbound, SmsStateRow};
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Db, Store, StoreError, Work};
use crate::versions::Expected;

/// Tells the token of a gateway from other secrets.
const PREFIX: &str = "sg_";

/// What an operator says of a gateway.
#[derive(Clone, Debug)]
pub struct NewGateway {
    /// What people call it.
    pub name: String,
    /// How it is reached.
    pub settings: GatewaySettings,
    /// How its reports are read.
    pub inbound: InboundChange,
}

/// The address under which a gateway with this token reports received messages.
#[must_use]
pub fn inbound_path(token: &str) -> String {
    format!("/api/v1/sms/inbound/{token}")
}

/// What a line of the audit log says of one: not what it is reached by, which may hold secrets.
fn told(gateway: &GatewayRow) -> serde_json::Value {
    let inbound = &gateway.inbound.0;
    json!({
        "name": gateway.name,
        "kind": GatewayKind::of(&gateway.settings.0).as_str(),
        "zone": inbound.zone,
        "signing_secret": inbound.signing_secret,
    })
}

/// Makes a gateway, and gives the token under which it reports received messages, which is shown once.
///
/// # Errors
/// When a field is wrong, the name is taken, or the database fails.
pub async fn add(work: &mut Work, config: &Config, new: NewGateway) -> Result<(GatewayRow, String), Refused> {
    let mut faults = Faults::default();
    faults.note(gateways::check(&new.settings, &GuardedResolver::for_gateways(&config.sms.allow_networks)))?;
    let name = faults.note(refused::name(&new.name))?;
    let inbound = faults.note(new.inbound.of(Inbound::default()))?;
    faults.none()?;
    let gateway = GatewayRow {
        id: GatewayId::new(work.now()),
        name: name.unwrap_or_default(),
        settings: sqlx::types::Json(new.settings),
        inbound: sqlx::types::Json(inbound.unwrap_or_default()),
        removed_at: None,
        heard_at: None,
        ping_at: None,
        ping_every_s: None,
        silent_since: None,
    };
    let (token, hash) = secrets::new(PREFIX);
    if let GatewaySettings::Handset(own) = &gateway.settings.0 {
        handset_named(&mut work.db(), "handset", &own.handset).await?;
    }
    let now = work.now();
    work.db().insert_gateway(&gateway, &hash, now).await.map_err(|error| Refused::insert("gateway", &gateway.name, error))?;
    work.note(Line::new(Operation::GatewayAdded).of(gateway.id).named(gateway.name.as_str()).after(told(&gateway)));
    Ok((gateway, token))
}

/// Changes what a gateway is called and how it is reached; messages that wait are sent the new way. It is named by its id or its name.
///
/// # Errors
/// When there is none, a field is wrong, the name is taken, it would be of another kind, or the database fails.
pub async fn change(
    work: &mut Work,
    config: &Config,
    links: &Links,
    which: &str,
    new: NewGateway,
    expected: &Expected,
) -> Result<GatewayRow, Refused> {
    let NewGateway { name, settings, inbound } = new;
    let mut faults = Faults::default();
    let name = faults.note(refused::name(&name))?;
    faults.note(gateways::check(&settings, &GuardedResolver::for_gateways(&config.sms.allow_networks)))?;
    work.db().lock_edits(Edited::Gateways).await?;
    let old = find(&mut work.db(), which).await?;
    expected.check(Some(&old.version(links)))?;
    // What waits was composed for it: a code that one handset dials itself must not reach another.
    let other_kind = std::mem::discriminant(&old.settings.0) != std::mem::discriminant(&settings);
    let other_handset = matches!(settings, GatewaySettings::Handset(_)) && old.settings.0 != settings;
    if other_kind || other_handset {
        let why = "this would be another gateway: add that, and let the lines use it";
        faults.note(Err::<(), _>(Refused::wrong("kind", why)))?;
    }
    let inbound = faults.note(inbound.of(old.inbound.0.clone()))?;
    faults.none()?;
    let (name, inbound) = (name.unwrap_or_default(), sqlx::types::Json(inbound.unwrap_or_default()));
    let before = told(&old);
    let others = old.settings.0 != settings;
    let gateway = GatewayRow { name, settings: sqlx::types::Json(settings), inbound, ..old };
    work.db().change_gateway(&gateway).await.map_err(|error| Refused::insert("gateway", &gateway.name, error))?;
    let mut after = told(&gateway);
    if others {
        after["settings"] = json!(crate::audit::kept::OTHER);
    }
    let line = Line::new(Operation::GatewayChanged).of(gateway.id).named(gateway.name.as_str());
    work.note(line.before(before).after(after));
    Ok(gateway)
}

/// Uses a gateway no more. It is named by its id or its name.
///
/// # Errors
/// When there is none, a line still needs it, or the database fails.
pub async fn remove(work: &mut Work, links: &Links, which: &str, expected: &Expected) -> Result<(), Refused> {
    work.db().lock_edits(Edited::Gateways).await?;
    let gateway = find(&mut work.db(), which).await?;
    expected.check(Some(&gateway.version(links)))?;
    if let Some(line) = work.db().lines().await?.into_iter().find(|line| line.gateway_id == gateway.id) {
        return Err(Refused::wrong("gateway", format!("the line {:?} is reached through it: remove that first", line.name)));
    }
    let now = work.now();
    work.db().remove_gateway(&gateway, now).await?;
    work.note(Line::new(Operation::GatewayRemoved).of(gateway.id).named(gateway.name.as_str()));
    Ok(())
}

/// How far a message has got, in one word.
#[must_use]
pub fn state_of(row: &SmsStateRow) -> &'static str {
    match row {
        SmsStateRow { delivered_at: Some(_), .. } => "delivered",
        SmsStateRow { sent_at: Some(_), .. } => "sent",
        SmsStateRow { gave_up_at: Some(_), .. } => "given_up",
        SmsStateRow { last_result: Some(_), .. } => "failed",
        _ => "waiting",
    }
}

/// Whoever tests a gateway is answered after so long at the latest.
const TEST_WAITS: Duration = Duration::from_secs(20);
const TEST_LOOKS: Duration = Duration::from_millis(250);

/// Waits until a message was tried, or for 20 seconds.
///
/// # Errors
/// When the database fails.
pub async fn tried(store: &Store, id: SmsId) -> Result<SmsStateRow, StoreError> {
    let until = tokio::time::Instant::now() + TEST_WAITS;
    loop {
        let state = store.read().await?.db().sms_state(id).await?;
        let state = state.ok_or_else(|| StoreError::Inconsistent(format!("text message {id} vanished")))?;
        if state_of(&state) != "waiting" || tokio::time::Instant::now() >= until {
            return Ok(state);
        }
        tokio::time::sleep(TEST_LOOKS).await;
    }
}

/// The zone of the times that a gateway tells without one.
#[must_use]
pub fn zone(gateway: &GatewayRow, config: &Config) -> Tz {
    gateway.inbound.zone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(config.sms.zone)
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

/// The gateway in use with this id or name.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn find(db: &mut Db<'_>, which: &str) -> Result<GatewayRow, Refused> {
    let all = db.gateways().await?;
    let found = all.into_iter().find(|gateway| gateway.name == which || gateway.id.to_string() == which);
    found.ok_or_else(|| Refused::Missing { what: "gateway", name: which.to_owned() })
}

/// The gateway for messages to people: the first by name of those of which nobody was told that they are silent, else the first at all.
/// After one that did not take a message, the next behind it; `None` where there is no other.
///
/// # Errors
/// When the database fails.
pub async fn for_people(db: &mut Db<'_>, after: Option<GatewayId>) -> Result<Option<GatewayRow>, StoreError> {
    let mut all = db.gateways().await?;
    if let Some(place) = after.and_then(|after| all.iter().position(|gateway| gateway.id == after)) {
        all.rotate_left(place);
        all.remove(0);
    }
    let speaking = all.iter().position(|gateway| gateway.silent_since.is_none());
    Ok(all.into_iter().nth(speaking.unwrap_or(0)))
}

/// The handset of that name, which a field names.
///
/// # Errors
/// When there is none, or the database fails.
pub(super) async fn handset_named(db: &mut Db<'_>, field: &'static str, name: &str) -> Result<HandsetRow, Refused> {
    let found = db.handsets().await?.into_iter().find(|handset| handset.name == name);
    found.ok_or_else(|| Refused::wrong(field, format!("there is no handset {name:?}: `autocall handset list` shows them")))
}
