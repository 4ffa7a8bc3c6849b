//! Whether a report really comes from its gateway: signed with the secret that both know, as each app signs.
//!
//! - `SMSGate`: `X-Signature`, HMAC-SHA256 of the body and `X-Timestamp`, in hex (<https://docs.sms-gate.app/features/webhooks/>)
//! - `SmsForwarder`: the field `sign`, HMAC-SHA256 of `timestamp`, a line feed and the secret, Base64, percent-encoded (`WebhookUtils`)
//! - `httpSMS`: a JWT with HS256 in `Authorization`, good for ten minutes (its source: `getAuthToken`)
//! - `textbee`: `X-Signature`, HMAC-SHA256 of the body, in hex (its source: `attemptWebhookDelivery`)
//! - anything else: `X-Autocall-Signature`, as our own notices are signed

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::http::problem::{Code, Problem};
use crate::ids::hex;
use crate::kinds::signature::sign;
use crate::store::lines::sms::{GatewayRow, GatewaySettings};

/// Clocks differ by so much at most when a token's time is looked at.
const LEEWAY: TimeDelta = TimeDelta::minutes(10);

/// The fields of a report that are texts or numbers.
type Fields = BTreeMap<String, String>;

/// Checks a report; a gateway without a secret signs nothing.
///
/// # Errors
/// When it is not signed, or otherwise.
pub fn check(gateway: &GatewayRow, headers: &HeaderMap, bytes: &[u8], said: &Fields, now: DateTime<Utc>) -> Result<(), Problem> {
    let Some(secret) = gateway.inbound.signing_secret.as_deref().filter(|secret| !secret.is_empty()) else { return Ok(()) };
    if is_signed(&gateway.settings, secret, headers, bytes, said, now) {
        return Ok(());
    }
    let text = "this is not signed with the gateway's secret: give the app the same signing secret as the gateway here";
    Err(Problem::new(StatusCode::UNAUTHORIZED, Code::WrongSignature, text))
}

fn is_signed(
    settings: &GatewaySettings,
    secret: &str,
    headers: &HeaderMap,
    bytes: &[u8],
    said: &Fields,
    now: DateTime<Utc>,
) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = secret.as_bytes();
    match settings {
        GatewaySettings::Smsgate { .. } => {
            let mac = sign(key, &[bytes, header("x-timestamp").as_bytes()].concat());
            same(&hex(&mac), &header("x-signature").to_ascii_lowercase())
        }
        GatewaySettings::Textbee { .. } => same(&hex(&sign(key, bytes)), &header("x-signature").to_ascii_lowercase()),
        GatewaySettings::Smsforwarder { .. } => {
            let (Some(timestamp), Some(given)) = (said.get("timestamp"), said.get("sign")) else { return false };
            let mac = STANDARD.encode(sign(key, format!("{timestamp}\n{secret}").as_bytes()));
            // In a form it is encoded once more; a plus that was not encoded at all has become a blank.
            let decoded = form_urlencoded::parse(format!("s={given}").as_bytes()).next().map(|(_, value)| value.into_owned());
            [Some(given.clone()), decoded].into_iter().flatten().any(|given| same(&mac, &given.replace(' ', "+")))
        }
        GatewaySettings::Httpsms { .. } => {
            let token = header("authorization");
            token.strip_prefix("Bearer ").is_some_and(|token| is_good_token(token.trim(), key, now))
        }
        GatewaySettings::Http { .. } | GatewaySettings::Handset { .. } => {
            let mac = sign(key, &[header("x-autocall-timestamp").as_bytes(), b".", bytes].concat());
            same(&format!("sha256={}", hex(&mac)), header("x-autocall-signature"))
        }
    }
}

fn same(ours: &str, theirs: &str) -> bool {
    bool::from(ours.as_bytes().ct_eq(theirs.as_bytes()))
}

/// A JSON Web Token (RFC 7519) that is signed with HMAC-SHA256 and not out of date.
fn is_good_token(token: &str, key: &[u8], now: DateTime<Utc>) -> bool {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::sms_inbound::Said;
    use super::*;
    use crate::ids::GatewayId;
    use crate::store::lines::sms::Inbound;
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn gateway(settings: Value) -> GatewayRow {
        let inbound = Inbound { signing_secret: Some("geheim".to_owned()), ..Inbound::default() };
        GatewayRow {
            id: GatewayId::new(now()),
            name: "g".to_owned(),
            settings: sqlx::types::Json(serde_json::from_value(settings).unwrap()),
            inbound: sqlx::types::Json(inbound),
            removed_at: None,
            heard_at: None,
            ping_at: None,
            ping_every_s: None,
            silent_since: None,
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn signed(gateway: &GatewayRow, pairs: &[(&'static str, &str)], body: &str) -> bool {
        check(gateway, &headers(pairs), body.as_bytes(), &Said::read(body.as_bytes()).unwrap().fields(), now()).is_ok()
    }

    #[test]
    fn each_app_signs_in_its_own_way() {
        let smsgate = gateway(json!({ "kind": "smsgate", "url": "", "user": "", "password": "", "sim": null }));
        // printf '{"a":1}1700000000' | openssl dgst -sha256 -hmac geheim
        let mac = hex(&sign(b"geheim", br#"{"a":1}1700000000"#));
        assert!(signed(&smsgate, &[("x-timestamp", "1700000000"), ("x-signature", &mac)], r#"{"a":1}"#));
        assert!(!signed(&smsgate, &[("x-timestamp", "1700000001"), ("x-signature", &mac)], r#"{"a":1}"#));
        assert!(!signed(&smsgate, &[("x-timestamp", "1700000000"), ("x-signature", &mac)], r#"{"a":2}"#));
        assert!(!signed(&smsgate, &[], r#"{"a":1}"#));
        let forwarder = gateway(json!({ "kind": "smsforwarder", "url": "", "secret": null, "sim": 1 }));
        // The example of the gateway's own requests: percent-encoded by the app, and once more in a form.
        let sign = "lyjOReKsA%2FnRNgwAUHHexmCm%2B7W4eMC1q%2FSHP3lao58%3D";
        assert!(signed(&forwarder, &[], &format!("from=1&content=1&timestamp=1700000000000&sign={sign}")));
        assert!(signed(&forwarder, &[], &format!(r#"{{"timestamp":1700000000000,"sign":"{sign}"}}"#)));
        assert!(!signed(&forwarder, &[], &format!("from=1&content=1&timestamp=1700000000001&sign={sign}")));
        let textbee = gateway(json!({ "kind": "textbee", "url": "", "key": "" }));
        let mac = hex(&crate::kinds::signature::sign(b"geheim", b"{}"));
        assert!(signed(&textbee, &[("x-signature", &mac)], "{}") && !signed(&textbee, &[("x-signature", &mac)], "{} "));
    }

    fn token(header: &Value, claims: &Value, key: &[u8]) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mac = URL_SAFE_NO_PAD.encode(sign(key, signed.as_bytes()));
        format!("Bearer {signed}.{mac}")
    }

    #[test]
    fn a_token_must_be_signed_and_in_time() {
        let httpsms = gateway(json!({ "kind": "httpsms", "url": "", "key": "", "from": "" }));
        let (header, claims) = (json!({ "alg": "HS256", "typ": "JWT" }), json!({ "exp": 1_700_000_500, "nbf": 1_699_999_400 }));
        let good = |token: &str| signed(&httpsms, &[("authorization", token)], "{}");
        assert!(good(&token(&header, &claims, b"geheim")));
        assert!(!good(&token(&header, &claims, b"other")));
        assert!(!good(&token(&json!({ "alg": "none" }), &claims, b"geheim")));
        assert!(!good(&token(&header, &json!({ "exp": 1_699_999_000 }), b"geheim")), "out of date");
        assert!(!good(&token(&header, &json!({}), b"geheim")), "good for ever");
        // The example of RFC 7515, appendix A.1, is signed with bytes that are no text; its form is read all the same.
        assert!(!good("Bearer eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.x"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(token: String, body: Vec<u8>) {
            let _ = is_good_token(&token, b"k", now());
            let _ = Said::read(&body).map(|said| said.fields());
        }
    }
}
