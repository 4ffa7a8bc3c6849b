//! `SmsForwarder`: its HTTP server, `POST /sms/send`, as its source has it (<https://github.com/pppscn/SmsForwarder>, `SmsController`,
//! `BaseRequest`, `HttpServerUtils.calcSign`; `WebhookUtils` for its reports); with RSA or SM4 as in `forwarder_cipher`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::forwarder_cipher::Cipher;
use super::{
    Description, Gateway, GatewayRequest, GatewaySettings, Outgoing, Report, WrongSetting, answered, good_sim, good_url, percent,
    post, same, shown_address, sign, taken, typed_sim,
};
use crate::kinds::form::{Asked, AskedBy, Said, Typed};
use crate::kinds::guard::GuardedResolver;

/// `SmsForwarder`'s HTTP server on the phone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Smsforwarder {
    /// The phone: `http://PHONE:5000`.
    pub url: String,
    /// What requests are signed with, where the app's safety measure is the signature.
    pub secret: Option<String>,
    /// The app's public key, where its safety measure is RSA: 2048 bits, in Base64 as the app shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa_public_key: Option<String>,
    /// The app's key, where its safety measure is SM4: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm4_key: Option<String>,
    /// Which SIM card, 1 or 2.
    pub sim: u8,
}

/// What the app calls its safety measures.
const MEASURES: [(&str, Said); 4] = [
    ("none", Said::Word("gateway_measure_none")),
    ("sign", Said::Word("gateway_measure_sign")),
    ("rsa", Said::Plain("RSA")),
    ("sm4", Said::Plain("SM4")),
];

pub(super) const KIND: Description = Description {
    name: Said::Plain("SmsForwarder"),
    how: Said::Word("gateway_smsforwarder_how"),
    inbound: Said::Word("inbound_smsforwarder"),
    options: "SmsForwarder: --url, --sim, and for its safety measure one of --secret, --rsa-public-key, --sm4-key",
    asks: |old| {
        let is_set = Smsforwarder::among(old).is_some_and(|old| old.measure().1.is_some());
        let how = if is_set { "gateway_set" } else { "gateway_measure_secret" };
        let cards = vec![("1", Said::Plain("1")), ("2", Said::Plain("2"))];
        vec![
            Asked::new("url", Said::Word("gateway_url"), Said::Plain("http://PHONE:5000"), AskedBy::Address),
            Asked::new(
                "measure",
                Said::Word("gateway_measure"),
                Said::Word("gateway_measure_how"),
                AskedBy::Choice(MEASURES.into()),
            ),
            Asked::new("secret", Said::Word("gateway_secret"), Said::Word(how), AskedBy::Secret),
            Asked::new("sim", Said::Word("gateway_sim"), Said::Nothing, AskedBy::Choice(cards)),
        ]
    },
    read: |typed, old| Smsforwarder::read(typed, Smsforwarder::among(old)).map(GatewaySettings::Smsforwarder),
    blames: &[
        ("rsa_public_key", "secret", "gateway_bad_rsa"),
        ("sm4_key", "secret", "gateway_bad_sm4"),
        ("measure", "measure", "gateway_bad_measure"),
        ("secret", "secret", "gateway_needs_secret"),
    ],
};

impl Smsforwarder {
    /// Its safety measure, and the secret or key of that.
    fn measure(&self) -> (&'static str, Option<&String>) {
        match self {
            Self { secret: own @ Some(_), .. } => ("sign", own.as_ref()),
            Self { rsa_public_key: own @ Some(_), .. } => ("rsa", own.as_ref()),
            Self { sm4_key: own @ Some(_), .. } => ("sm4", own.as_ref()),
            _ => ("none", None),
        }
    }

    fn read(typed: &Typed, old: Option<&Self>) -> Result<Self, WrongSetting> {
        let (old_measure, old_secret) = old.map_or(("none", None), Self::measure);
        let given = |name: &str| typed.get(name).filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let (secret, rsa_public_key, sm4_key) = match typed.get("measure") {
            // The app has one safety measure: one that is given takes the place of the other.
            None => match (given("secret"), given("rsa_public_key"), given("sm4_key")) {
                (None, None, None) => {
                    let of = |measure: &str| old_secret.cloned().filter(|_| measure == old_measure);
                    (of("sign"), of("rsa"), of("sm4"))
                }
                given => given,
            },
            Some(measure) => {
                let chosen = MEASURES.into_iter().map(|(one, _)| one).find(|one| *one == measure.trim()).unwrap_or(old_measure);
                let secret = typed.get("secret").unwrap_or_default();
                let secret = match (chosen, secret.trim()) {
                    ("none", "") => None,
                    ("none", _) => return Err(WrongSetting::new("measure", "choose what the secret is for")),
                    (_, "") if chosen == old_measure => old_secret.cloned(),
                    (_, "") => return Err(WrongSetting::new("secret", "this safety measure needs its secret or key")),
                    // A secret is taken as it was typed; blanks around a key come from copying it.
                    ("sign", _) => Some(secret.to_owned()),
                    (_, key) => Some(key.to_owned()),
                };
                let of = |measure: &str| secret.clone().filter(|_| measure == chosen);
                (of("sign"), of("rsa"), of("sm4"))
            }
        };
        Ok(Self {
            url: typed.kept_text("url", old.map(|old| &old.url)),
            secret,
            rsa_public_key,
            sm4_key,
            sim: typed_sim(typed, old.map(|old| old.sim))?.unwrap_or(1),
        })
    }

    /// How requests and answers are written, where not as they are.
    ///
    /// # Errors
    /// When its key cannot be read: then nothing is sent, least of all as it is.
    fn cipher(&self) -> Result<Option<Cipher>, String> {
        let read = match self {
            Self { rsa_public_key: Some(key), .. } => Cipher::rsa(key),
            Self { sm4_key: Some(key), .. } => Cipher::sm4(key),
            _ => return Ok(None),
        };
        read.map(Some).ok_or_else(|| "the gateway's key cannot be read: set it anew".to_owned())
    }
}

/// What it wants as `sign`: percent-encoded already, which is odd and so.
#[must_use]
pub fn smsforwarder_sign(secret: &str, timestamp: i64) -> String {
    let mac = sign(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes());
    percent(&STANDARD.encode(mac))
}

impl Gateway for Smsforwarder {
    fn check(&self, guard: &GuardedResolver) -> Result<(), WrongSetting> {
        good_sim(self.sim, 2)?;
        if [&self.secret, &self.rsa_public_key, &self.sm4_key].into_iter().flatten().count() > 1 {
            let why = "give one of secret, rsa_public_key and sm4_key: the app has one safety measure";
            return Err(WrongSetting::new("secret", why));
        }
        if self.rsa_public_key.as_deref().is_some_and(|key| Cipher::rsa(key).is_none()) {
            let why = "rsa_public_key must be the app's public key: 2048 bits, in Base64 as the app shows it";
            return Err(WrongSetting::new("rsa_public_key", why));
        }
        if self.sm4_key.as_deref().is_some_and(|key| Cipher::sm4(key).is_none()) {
            return Err(WrongSetting::new("sm4_key", "sm4_key must be 32 hexadecimal digits"));
        }
        good_url(&self.url, guard)
    }

    fn request(&self, sms: Outgoing<'_>, now: DateTime<Utc>) -> Option<GatewayRequest> {
        let timestamp = now.timestamp_millis();
        let data = json!({ "sim_slot": self.sim, "phone_numbers": sms.number, "msg_content": sms.text });
        let mut body = json!({ "data": data, "timestamp": timestamp });
        if let Some(secret) = &self.secret {
            body["sign"] = json!(smsforwarder_sign(secret, timestamp));
        }
        let request = post(format!("{}/sms/send", self.url.trim_end_matches('/')), Vec::new(), &body);
        Some(match self.cipher().ok()? {
            Some(cipher) => GatewayRequest {
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                body: cipher.write(&request.body),
                ..request
            },
            None => request,
        })
    }

    fn accepted(&self, status: u16, body: &str) -> Result<Option<String>, String> {
        taken(status)?;
        let answer = match self.cipher()?.map(|cipher| cipher.read(body)) {
            None => answered(body),
            Some(Some(text)) => answered(&text),
            Some(None) => {
                let text = "an answer that cannot be read with this gateway's key: choose the same safety measure and key in \
                            SmsForwarder and here";
                return Err(text.to_owned());
            }
        };
        let answer = answer.unwrap_or_default();
        match answer["code"].as_i64() {
            Some(200) => Ok(None),
            Some(code) => Err(format!("refused with code {code}: {}", answer["msg"].as_str().unwrap_or_default())),
            None => Err("an answer without code".to_owned()),
        }
    }

    fn address(&self) -> Option<&str> {
        Some(&self.url)
    }

    fn secrets(&self) -> Vec<(&'static [&'static str], String)> {
        let mut secrets: Vec<(&'static [&'static str], String)> = Vec::new();
        secrets.extend(self.secret.iter().map(|secret| (&["secret"][..], secret.clone())));
        // A form of the pages has one field for all of them.
        secrets.extend(self.sm4_key.iter().map(|key| (&["secret", "sm4_key"][..], key.clone())));
        secrets
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", shown_address(&self.url)),
            ("sim", self.sim.to_string()),
            ("measure", self.measure().0.to_owned()),
        ]
    }

    /// The field `sign`: HMAC-SHA256 of `timestamp`, a line feed and the secret, Base64, percent-encoded.
    fn is_signed(&self, secret: &[u8], report: &Report<'_>) -> bool {
        let (Some(timestamp), Some(given)) = (report.fields.get("timestamp"), report.fields.get("sign")) else { return false };
        let mac = STANDARD.encode(sign(secret, &[timestamp.as_bytes(), b"\n", secret].concat()));
        // In a form it is encoded once more; a plus that was not encoded at all has become a blank.
        let decoded = form_urlencoded::parse(format!("s={given}").as_bytes()).next().map(|(_, value)| value.into_owned());
        [Some(given.clone()), decoded].into_iter().flatten().any(|given| same(&mac, &given.replace(' ', "+")))
    }
}
