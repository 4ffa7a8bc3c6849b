//! `httpSMS`: `POST /v1/messages/send` (<https://docs.httpsms.com/api-reference>); its reports carry a JWT (its source: `getAuthToken`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Description, Gateway, GatewayRequest, GatewaySettings, Outgoing, Report, WrongSetting, answered, good_url, no_answer, post,
    refused, same, shown_address, sign, taken, visible,
};
use crate::kinds::form::{Asked, AskedBy, Said};
use crate::kinds::guard::GuardedResolver;

/// Where its cloud takes messages.
const CLOUD: &str = "https://api.httpsms.com/v1/messages/send";
/// Clocks differ by so much at most when a token's time is looked at.
const LEEWAY: TimeDelta = TimeDelta::minutes(10);
const EVENTS: &str = "message.phone.received, message.phone.delivered, message.send.failed, message.send.expired";

/// `httpSMS`: its cloud, or a server of one's own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Httpsms {
    /// Where messages are posted: `https://api.httpsms.com/v1/messages/send`.
    pub url: String,
    /// The account's key.
    pub key: String,
    /// The number of the phone that sends.
    pub from: String,
}

pub(super) const KIND: Description = Description {
    name: Said::Plain("httpSMS"),
    how: Said::Filled("gateway_app_how", &[("app", "httpSMS")]),
    inbound: Said::Filled("inbound_app", &[("app", "httpSMS"), ("events", EVENTS)]),
    options: "httpSMS: --url, --secret (its API key), --from",
    asks: |old| {
        let kept = if old.is_some() { Said::Word("gateway_kept") } else { Said::Nothing };
        vec![
            Asked::new("url", Said::Word("gateway_url"), Said::Plain(CLOUD), AskedBy::Address),
            Asked::new("from", Said::Word("gateway_from"), Said::Word("gateway_from_how"), AskedBy::Line),
            Asked::new("secret", Said::Word("gateway_key"), kept, AskedBy::Secret),
        ]
    },
    read: |typed, old| {
        let old = Httpsms::among(old);
        let url = typed.kept_text("url", old.map(|old| &old.url));
        Ok(GatewaySettings::Httpsms(Httpsms {
            url: if url.is_empty() { CLOUD.to_owned() } else { url },
            key: typed.kept("secret", old.map(|old| &old.key)),
            from: typed.shown("from", old.map(|old| &old.from)),
        }))
    },
    blames: &[],
};

impl Gateway for Httpsms {
    fn check(&self, guard: &GuardedResolver) -> Result<(), WrongSetting> {
        visible("key", &self.key)?;
        let digits = self.from.strip_prefix('+').unwrap_or_default();
        if digits.len() < 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WrongSetting::new("from", "from must be the phone's number with + and the country code"));
        }
        good_url(&self.url, guard)
    }

    fn request(&self, sms: Outgoing<'_>, _now: DateTime<Utc>) -> Option<GatewayRequest> {
        let body = json!({ "from": self.from, "to": sms.number, "content": sms.text, "request_id": sms.id });
        Some(post(self.url.clone(), vec![("x-api-key".to_owned(), self.key.clone())], &body))
    }

    fn accepted(&self, status: u16, body: &str) -> Result<Option<String>, String> {
        taken(status)?;
        match answered(body) {
            Some(answer) if answer["status"] == "success" => Ok(answer["data"]["id"].as_str().map(str::to_owned)),
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
        vec![("url", shown_address(&self.url)), ("from", self.from.clone())]
    }

    /// A JWT with HS256 in `Authorization`, good for ten minutes.
    fn is_signed(&self, secret: &[u8], report: &Report<'_>) -> bool {
        let token = report.header("authorization");
        token.strip_prefix("Bearer ").is_some_and(|token| is_good_token(token.trim(), secret, report.at))
    }
}

/// A JSON Web Token (RFC 7519) that is signed with HMAC-SHA256 and not out of date.
pub(super) fn is_good_token(token: &str, key: &[u8], now: DateTime<Utc>) -> bool {
    let Some((signed, mac)) = token.rsplit_once('.') else { return false };
    let Some((header, claims)) = signed.split_once('.') else { return false };
    let read = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    let (Some(header), Some(claims)) = (read(header), read(claims)) else { return false };
    let ours = URL_SAFE_NO_PAD.encode(sign(key, signed.as_bytes()));
    let time = |name: &str| claims[name].as_i64().and_then(|second| DateTime::from_timestamp(second, 0));
    header["alg"] == "HS256"
        && same(&ours, mac.trim_end_matches('='))
        && time("exp").is_some_and(|exp| now <= exp + LEEWAY)
        && time("nbf").is_none_or(|nbf| now >= nbf - LEEWAY)
}
