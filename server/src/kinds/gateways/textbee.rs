//! `textbee`: `POST …/send-sms` (<https://textbee.dev/docs>); its reports are signed as in its source (`attemptWebhookDelivery`).

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    Description, Gateway, GatewayRequest, GatewaySettings, Outgoing, Report, WrongSetting, answered, good_url, hex, no_answer, post,
    refused, same, shown_address, sign, taken, visible,
};
use crate::kinds::form::{Asked, AskedBy, Said};
use crate::kinds::guard::GuardedResolver;

const EXAMPLE: &str = "https://api.textbee.dev/api/v1/gateway/devices/DEVICE/send-sms";
const EVENTS: &str = "MESSAGE_RECEIVED, MESSAGE_DELIVERED, MESSAGE_FAILED";

/// `textbee`: its cloud, or a server of one's own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Textbee {
    /// Where messages are posted: `https://api.textbee.dev/api/v1/gateway/devices/DEVICE/send-sms`.
    pub url: String,
    /// The account's key.
    pub key: String,
}

pub(super) const KIND: Description = Description {
    name: Said::Plain("textbee"),
    how: Said::Filled("gateway_app_how", &[("app", "textbee")]),
    inbound: Said::Filled("inbound_app", &[("app", "textbee"), ("events", EVENTS)]),
    options: "textbee: --url, --secret (its API key)",
    asks: |old| {
        let kept = if old.is_some() { Said::Word("gateway_kept") } else { Said::Nothing };
        vec![
            Asked::new("url", Said::Word("gateway_url"), Said::Plain(EXAMPLE), AskedBy::Address),
            Asked::new("secret", Said::Word("gateway_key"), kept, AskedBy::Secret),
        ]
    },
    read: |typed, old| {
        let old = Textbee::among(old);
        Ok(GatewaySettings::Textbee(Textbee {
            url: typed.kept_text("url", old.map(|old| &old.url)),
            key: typed.kept("secret", old.map(|old| &old.key)),
        }))
    },
    blames: &[],
};

impl Gateway for Textbee {
    fn check(&self, guard: &GuardedResolver) -> Result<(), WrongSetting> {
        visible("key", &self.key)?;
        good_url(&self.url, guard)
    }

    fn request(&self, sms: Outgoing<'_>, _now: DateTime<Utc>) -> Option<GatewayRequest> {
        let body = json!({ "recipients": [sms.number], "message": sms.text });
        Some(post(self.url.clone(), vec![("x-api-key".to_owned(), self.key.clone())], &body))
    }

    fn accepted(&self, status: u16, body: &str) -> Result<Option<String>, String> {
        taken(status)?;
        match answered(body) {
            Some(answer) if answer["data"]["success"] == true => Ok(answer["data"]["smsBatchId"].as_str().map(str::to_owned)),
            Some(answer) => Err(refused(&answer)),
            None => Err(no_answer()),
        }
    }

    fn address(&self) -> Option<&str> {
        Some(&self.url)
    }

    fn secrets(&self) -> Vec<(&'static [&'static str], String)> {
        vec![(&["secret"], self.key.clone())]
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        vec![("url", shown_address(&self.url))]
    }

    /// HMAC-SHA256 of the body, in hex.
    fn is_signed(&self, secret: &[u8], report: &Report<'_>) -> bool {
        same(&hex(&sign(secret, report.bytes)), &report.header("x-signature").to_ascii_lowercase())
    }
}
