//! `SMSGate` (android-sms-gateway): <https://docs.sms-gate.app/features/sending-messages/>; its reports are signed as in
//! <https://docs.sms-gate.app/features/webhooks/>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::Url;
use serde_json::json;

use super::{
    Description, Gateway, GatewayRequest, GatewaySettings, Outgoing, Report, WrongSetting, answered, good_sim, good_url, hex,
    no_answer, post, same, shown_address, sign, taken, typed_sim, visible,
};
use crate::kinds::form::{Asked, AskedBy, Said, Typed};
use crate::kinds::guard::GuardedResolver;

/// A command that a gateway could not send within this time is sent anew by us, if it is still wanted.
const TIME_TO_LIVE_SECONDS: u32 = 600;
/// Its events that are of use here: each needs a webhook of its own.
const EVENTS: [&str; 6] = ["sms:received", "mms:downloaded", "sms:delivered", "sms:failed", "sms:cancelled", "system:ping"];

/// `SMSGate` (android-sms-gateway), on the phone or in its cloud.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Smsgate {
    /// Where messages are posted: `http://PHONE:8080/message`, or `https://api.sms-gate.app/3rdparty/v1/messages`.
    pub url: String,
    /// Basic authentication.
    pub user: String,
    /// Basic authentication.
    pub password: String,
    /// Which SIM card, 1 to 3; the phone's choice unless given.
    pub sim: Option<u8>,
    /// Which of the account's phones, in the cloud; its choice unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Sent as a bearer token instead of user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

pub(super) const KIND: Description = Description {
    name: Said::Plain("SMSGate"),
    how: Said::Word("gateway_smsgate_how"),
    inbound: Said::Word("inbound_smsgate"),
    options: "SMSGate (android-sms-gateway): --url, --user, --secret (its password), --sim",
    asks: |old| {
        let is_set = Smsgate::among(old).is_some_and(|old| old.token.is_some());
        let kept = if old.is_some() { Said::Word("gateway_kept") } else { Said::Nothing };
        let cards = vec![("", Said::Word("gateway_any_sim")), ("1", Said::Plain("1")), ("2", Said::Plain("2")), ("3", Said::Plain("3"))];
        vec![
            Asked::new("url", Said::Word("gateway_url"), Said::Word("gateway_smsgate_url"), AskedBy::Address),
            Asked::new("user", Said::Word("gateway_user"), Said::Nothing, AskedBy::Line),
            Asked::new("secret", Said::Word("login_password"), kept, AskedBy::Secret),
            Asked::new(
                "token",
                Said::Word("gateway_token"),
                Said::Word("gateway_token_how"),
                AskedBy::OptionalSecret { is_set },
            ),
            Asked::new("device", Said::Word("gateway_device"), Said::Word("gateway_device_how"), AskedBy::Line),
            Asked::new("sim", Said::Word("gateway_sim"), Said::Nothing, AskedBy::Choice(cards)),
        ]
    },
    read: |typed, old| Smsgate::read(typed, Smsgate::among(old)).map(GatewaySettings::Smsgate),
    blames: &[],
};

impl Smsgate {
    fn read(typed: &Typed, old: Option<&Self>) -> Result<Self, WrongSetting> {
        let has_password = typed.get("secret").is_some_and(|secret| !secret.is_empty());
        // A password that is typed replaces it.
        let token = old.and_then(|old| old.token.as_ref()).filter(|_| !has_password);
        let device = typed.shown("device", old.and_then(|old| old.device.as_ref()));
        Ok(Self {
            url: typed.kept_text("url", old.map(|old| &old.url)),
            user: typed.shown("user", old.map(|old| &old.user)),
            password: typed.kept("secret", old.map(|old| &old.password)),
            sim: typed_sim(typed, old.and_then(|old| old.sim))?,
            device: Some(device).filter(|device| !device.is_empty()),
            token: typed.optional("token", token),
        })
    }

    fn login(&self) -> (String, String) {
        let login = match &self.token {
            Some(token) => format!("Bearer {token}"),
            None => format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password))),
        };
        ("authorization".to_owned(), login)
    }

    /// The requests by which it is told to report to `address`: one webhook for each event, under an id of its own, so that telling it
    /// again changes it.
    ///
    /// # Errors
    /// When its app would refuse the address.
    pub(super) fn webhooks(&self, address: &str) -> Result<Vec<GatewayRequest>, WrongSetting> {
        let bad = |_| WrongSetting::new("address", "address must begin with https:// and end with the gateway's path");
        Url::parse(address).map_err(bad)?;
        if !takes(address) {
            let why = "SMSGate's app takes only addresses that begin with https://, or with http://127.0.0.1";
            return Err(WrongSetting::new("address", why));
        }
        let unreadable = |_| WrongSetting::new("url", "the gateway's own address cannot be read");
        let mut target = Url::parse(&self.url).map_err(unreadable)?;
        target.set_query(None);
        if let Ok(mut path) = target.path_segments_mut() {
            path.pop_if_empty().pop().push("webhooks");
        }
        let one = |event: &str| {
            let mut body = json!({ "id": format!("autocall-{}", event.replace(':', "-")), "url": address, "event": event });
            if let Some(device) = &self.device {
                body["deviceId"] = json!(device);
            }
            post(target.to_string(), vec![self.login()], &body)
        };
        Ok(EVENTS.map(one).into())
    }
}

/// Whether its app reports to this address. Its source: `WebHookUrlPolicy`.
pub(super) fn takes(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https" || (url.scheme() == "http" && url.host_str() == Some("127.0.0.1")))
}

impl Gateway for Smsgate {
    fn check(&self, guard: &GuardedResolver) -> Result<(), WrongSetting> {
        self.sim.map_or(Ok(()), |sim| good_sim(sim, 3))?;
        self.token.as_deref().map_or(Ok(()), |token| visible("token", token))?;
        good_url(&self.url, guard)
    }

    fn request(&self, sms: Outgoing<'_>, _now: DateTime<Utc>) -> Option<GatewayRequest> {
        let mut body = json!({
            "id": sms.id,
            "textMessage": { "text": sms.text },
            "phoneNumbers": [sms.number],
            "withDeliveryReport": true,
            // Not behind other messages, and not so late that somebody else is on duty by then.
            "priority": 100,
            "ttl": TIME_TO_LIVE_SECONDS,
        });
        if let Some(sim) = self.sim {
            body["simNumber"] = json!(sim);
        }
        if let Some(device) = &self.device {
            body["deviceId"] = json!(device);
        }
        Some(post(self.url.clone(), vec![self.login()], &body))
    }

    fn accepted(&self, status: u16, body: &str) -> Result<Option<String>, String> {
        // It knows this id already: an earlier try got through, and its answer was lost.
        if status == 409 {
            return Ok(None);
        }
        taken(status)?;
        match answered(body) {
            Some(answer) if answer["id"].is_string() => Ok(None),
            _ => Err(no_answer()),
        }
    }

    fn address(&self) -> Option<&str> {
        Some(&self.url)
    }

    fn secrets(&self) -> Vec<(&'static [&'static str], String)> {
        let mut secrets: Vec<(&'static [&'static str], String)> = vec![(&["secret"], self.password.clone())];
        secrets.extend(self.token.iter().map(|token| (&["token"][..], token.clone())));
        // What is empty is no secret.
        secrets.retain(|(_, secret)| !secret.is_empty());
        secrets
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", shown_address(&self.url)),
            ("user", self.user.clone()),
            ("sim", self.sim.map(|sim| sim.to_string()).unwrap_or_default()),
            ("device", self.device.clone().unwrap_or_default()),
        ]
    }

    /// HMAC-SHA256 of the body and `X-Timestamp`, in hex.
    fn is_signed(&self, secret: &[u8], report: &Report<'_>) -> bool {
        let mac = sign(secret, &[report.bytes, report.header("x-timestamp").as_bytes()].concat());
        same(&hex(&mac), &report.header("x-signature").to_ascii_lowercase())
    }
}
