//! One of our own native handsets: it finds the message when it polls.

use chrono::{DateTime, Utc};

use super::{Description, Gateway, GatewayRequest, GatewaySettings, Outgoing, WrongSetting, taken};
use crate::kinds::form::{Asked, AskedBy, Said};
use crate::kinds::guard::GuardedResolver;

/// One of our own native handsets.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Handset {
    /// Its name.
    pub handset: String,
}

pub(super) const KIND: Description = Description {
    name: Said::Word("gateway_handset"),
    how: Said::Word("gateway_handset_how"),
    inbound: Said::Word("inbound_handset"),
    options: "One of our own native handsets: --handset",
    asks: |old| match old {
        None => vec![Asked::new("handset", Said::Word("gateway_handset"), Said::Nothing, AskedBy::Handset)],
        // Another handset would be another gateway.
        Some(_) => Vec::new(),
    },
    read: |typed, old| match old {
        Some(old) => Ok(old.clone()),
        None => Ok(GatewaySettings::Handset(Handset { handset: typed.text("handset").to_owned() })),
    },
    blames: &[],
};

impl Gateway for Handset {
    fn check(&self, _guard: &GuardedResolver) -> Result<(), WrongSetting> {
        Ok(())
    }

    fn request(&self, _sms: Outgoing<'_>, _now: DateTime<Utc>) -> Option<GatewayRequest> {
        None
    }

    fn accepted(&self, status: u16, _body: &str) -> Result<Option<String>, String> {
        taken(status).map(|()| None)
    }

    fn address(&self) -> Option<&str> {
        None
    }

    fn host(&self) -> String {
        self.handset.clone()
    }

    fn secrets(&self) -> Vec<(&'static [&'static str], String)> {
        Vec::new()
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        vec![("handset", self.handset.clone())]
    }
}
