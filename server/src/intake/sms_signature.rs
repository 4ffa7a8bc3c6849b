//! Whether a report really comes from its gateway: signed with the secret that both know, in the way of its kind.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};

use crate::http::problem::{Code, Problem};
use crate::kinds::gateways::Report;
use crate::store::lines::sms::GatewayRow;

/// The fields of a report that are texts or numbers.
type Fields = BTreeMap<String, String>;

/// Checks a report; a gateway without a secret signs nothing.
///
/// # Errors
/// When it is not signed, or otherwise.
pub fn check(gateway: &GatewayRow, headers: &HeaderMap, bytes: &[u8], said: &Fields, now: DateTime<Utc>) -> Result<(), Problem> {
    let Some(secret) = gateway.inbound.signing_secret.as_deref().filter(|secret| !secret.is_empty()) else { return Ok(()) };
    if gateway.settings.is_signed(secret.as_bytes(), &Report { headers, bytes, fields: said, at: now }) {
        return Ok(());
    }
    let text = "this is not signed with the gateway's secret: give the app the same signing secret as the gateway here";
    Err(Problem::new(StatusCode::UNAUTHORIZED, Code::WrongSignature, text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::sms_inbound::Said;
    use super::*;
    use crate::ids::{GatewayId, hex};
    use crate::kinds::signature::sign;
    use crate::store::lines::sms::Inbound;
    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

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
        let given = "lyjOReKsA%2FnRNgwAUHHexmCm%2B7W4eMC1q%2FSHP3lao58%3D";
        assert!(signed(&forwarder, &[], &format!("from=1&content=1&timestamp=1700000000000&sign={given}")));
        assert!(signed(&forwarder, &[], &format!(r#"{{"timestamp":1700000000000,"sign":"{given}"}}"#)));
        assert!(!signed(&forwarder, &[], &format!("from=1&content=1&timestamp=1700000000001&sign={given}")));
        let textbee = gateway(json!({ "kind": "textbee", "url": "", "key": "" }));
        let mac = hex(&sign(b"geheim", b"{}"));
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
            if let Ok(token) = HeaderValue::from_str(&token) {
                let httpsms = gateway(json!({ "kind": "httpsms", "url": "", "key": "", "from": "" }));
                let headers = [(axum::http::header::AUTHORIZATION, token)].into_iter().collect();
                let report = Report { headers: &headers, bytes: &body, fields: &std::collections::BTreeMap::new(), at: now() };
                let _ = httpsms.settings.is_signed(b"k", &report);
            }
            let _ = Said::read(&body).map(|said| said.fields());
        }
    }
}
