//! The gateways through which text messages are sent: made, changed and removed.

use super::Engine;
use super::refused::{self, Refused};
use crate::ids::GatewayId;
use crate::outbound::gateways;
use crate::outbound::guard::GuardedResolver;
use crate::secrets;
use crate::store::Db;
use crate::store::handsets::HandsetRow;
use crate::store::sms::{GatewayRow, GatewaySettings};

/// Tells the token of a gateway from other secrets.
const PREFIX: &str = "sg_";

impl Engine {
    /// Makes a gateway, and gives the token under which it reports received messages, which is shown once.
    ///
    /// # Errors
    /// When a field is wrong, the name is taken, or the database fails.
    pub async fn add_gateway(&self, name: &str, settings: GatewaySettings) -> Result<(GatewayRow, String), Refused> {
        let now = self.clock.now();
        gateways::check(&settings, &GuardedResolver::for_gateways(&self.config.sms.allow_networks))?;
        let gateway = GatewayRow {
            id: GatewayId::new(now),
            name: refused::name(name)?,
            settings: sqlx::types::Json(settings),
            removed_at: None,
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
    pub async fn change_gateway(&self, which: &str, name: &str, settings: GatewaySettings) -> Result<GatewayRow, Refused> {
        let name = refused::name(name)?;
        gateways::check(&settings, &GuardedResolver::for_gateways(&self.config.sms.allow_networks))?;
        let mut tx = self.store.begin().await?;
        let old = gateway_named(&mut tx.db(), which).await?;
        // What waits was composed for it: a code that one handset dials itself must not reach another.
        let other_kind = std::mem::discriminant(&old.settings.0) != std::mem::discriminant(&settings);
        let other_handset = matches!(settings, GatewaySettings::Handset { .. }) && old.settings.0 != settings;
        if other_kind || other_handset {
            return Err(Refused::wrong("kind", "this would be another gateway: add that, and let the lines use it"));
        }
        let gateway = GatewayRow { name, settings: sqlx::types::Json(settings), ..old };
        tx.db().change_gateway(&gateway).await.map_err(|error| Refused::insert("gateway", &gateway.name, error))?;
        tx.commit().await?;
        Ok(gateway)
    }

    /// Uses a gateway no more. It is named by its id or its name.
    ///
    /// # Errors
    /// When there is none, a line still needs it, or the database fails.
    pub async fn remove_gateway(&self, which: &str) -> Result<(), Refused> {
        let mut tx = self.store.begin().await?;
        let gateway = gateway_named(&mut tx.db(), which).await?;
        if let Some(line) = tx.db().lines().await?.into_iter().find(|line| line.gateway_id == gateway.id) {
            return Err(Refused::wrong("gateway", format!("the line {:?} is reached through it: remove that first", line.name)));
        }
        tx.db().remove_gateway(&gateway, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }
}

/// The gateway in use with this id or name.
///
/// # Errors
/// When there is none, or the database fails.
pub(super) async fn gateway_named(db: &mut Db<'_>, which: &str) -> Result<GatewayRow, Refused> {
    let all = db.gateways().await?;
    let found = all.into_iter().find(|gateway| gateway.name == which || gateway.id.to_string() == which);
    found.ok_or_else(|| Refused::Missing { what: "gateway", name: which.to_owned() })
}

/// The handset of that name, which a field names.
///
/// # Errors
/// When there is none, or the database fails.
pub(super) async fn handset_named(db: &mut Db<'_>, field: &'static str, name: &str) -> Result<HandsetRow, Refused> {
    let found = db.handsets().await?.into_iter().find(|handset| handset.name == name);
    found.ok_or_else(|| Refused::wrong(field, format!("there is no handset {name:?}: `autocall handset list` shows them")))
}
