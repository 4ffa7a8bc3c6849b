//! ntfy, its own server or another: <https://docs.ntfy.sh/publish/#publish-as-json>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use super::LONGEST_TITLE;
use crate::kinds::notices::{BASE, Envelope, Length, Secret, Shape, To, WrongSetting, json};

pub(in crate::kinds::notices) const SHAPE: Shape = Shape {
    options: "ntfy: --to (the topic), --url (a server of one's own), --secret (an access token, or user:password)",
    home: |_| Some("https://ntfy.sh".to_owned()),
    secret: Secret::Optional,
    to: Some(To { what: "the topic: up to 64 letters, digits, - and _", is_good: is_topic }),
    // What is longer than 4096 bytes is shown as a file.
    length: Length::json(4000),
    check: |target| {
        // There the whole JSON would be shown as the message.
        if Url::parse(target.url).is_ok_and(|url| url.path() != "/") {
            let why = "ntfy wants the address of the server alone, such as https://ntfy.sh: the topic is given by --to";
            return Err(WrongSetting::new("url", why));
        }
        Ok(())
    },
    envelope: |target, notice| {
        let mut body = json!({
            "topic": target.to(),
            "title": notice.title(LONGEST_TITLE),
            "message": notice.text,
            "priority": if notice.is_urgent { 5 } else { 3 },
        });
        if let Some(link) = notice.link {
            body["click"] = json!(link);
        }
        let envelope = Envelope::post(target.url, &body);
        match target.token() {
            "" => envelope,
            login if login.contains(':') => envelope.with("authorization", format!("Basic {}", STANDARD.encode(login))),
            token => envelope.with("authorization", format!("Bearer {token}")),
        }
    },
    accepted: |answer, _| answer.says(|said| said["id"].is_string()),
    ..BASE
};

fn is_topic(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::tests::{answered, asked, long, urgent, wrong};
    use crate::kinds::notices::{Notice, Target, WebhookSettings, WebhookShape, envelope};

    const HOME: &str = "https://ntfy.sh";

    #[test]
    fn a_topic_is_told_at_the_root_of_the_server() {
        let asked = |secret| asked(WebhookShape::Ntfy, HOME, secret, Some("ops-4711"), "disk full (high)");
        let plain = asked(None);
        assert_eq!((plain.method.as_str(), plain.url.as_str()), ("POST", "https://ntfy.sh"));
        let expected = json!({ "topic": "ops-4711", "title": "Disk full on db1", "message": "disk full (high)", "priority": 5 });
        assert_eq!((plain.body.clone(), plain.header("authorization")), (expected, None));
        assert_eq!(asked(Some("tk_abc")).header("authorization"), Some("Bearer tk_abc"));
        assert_eq!(asked(Some("sms:pw")).header("authorization"), Some("Basic c21zOnB3"));
    }

    #[test]
    fn what_can_wait_is_not_loud_and_one_link_is_opened_by_a_tap() {
        let settings = WebhookSettings { to: Some("ops".to_owned()), ..WebhookSettings::default() };
        let target = Target { shape: WebhookShape::Ntfy, url: HOME, secret: None, settings: &settings };
        let facts = json!({});
        let notice = Notice { is_urgent: false, link: Some("https://x.example/a"), ..urgent("handset back", &facts) };
        let body: serde_json::Value = serde_json::from_str(&envelope(&target, &notice).body).unwrap();
        assert_eq!((&body["priority"], &body["click"]), (&json!(3), &json!("https://x.example/a")));
    }

    #[test]
    fn a_message_has_4096_bytes_at_most() {
        for piece in ["word ", "磁盘", "\""] {
            let asked = asked(WebhookShape::Ntfy, HOME, None, Some("ops"), &long(piece));
            let text = asked.body["message"].as_str().unwrap();
            assert!(text.len() <= 4096 && text.ends_with('…'), "{piece}: {}", text.len());
            assert!(asked.body.to_string().len() < 8192, "twice that is what the whole may have");
        }
    }

    #[test]
    fn an_id_is_its_yes() {
        let answered = |status, body| answered(WebhookShape::Ntfy, status, body);
        assert_eq!(answered(200, r#"{"id":"Xe5","event":"message","topic":"ops"}"#), Ok(()));
        assert!(answered(200, "<!doctype html>").is_err() && answered(200, "{}").is_err());
        let limited = r#"{"code":42908,"http":429,"error":"limit reached: too many messages","link":"https://ntfy.sh/docs"}"#;
        assert_eq!(answered(429, limited), Err("HTTP 429: limit reached: too many messages".to_owned()));
    }

    #[test]
    fn a_topic_in_the_address_is_found_out() {
        assert_eq!(wrong(WebhookShape::Ntfy, "https://ntfy.sh/ops", None, Some("ops")).setting, "url");
        assert_eq!(wrong(WebhookShape::Ntfy, HOME, None, Some("ops room")).setting, "to");
        assert_eq!(wrong(WebhookShape::Ntfy, HOME, Some("tk abc"), Some("ops")).setting, "secret");
        assert!(is_topic(&"a".repeat(64)) && !is_topic(&"a".repeat(65)) && !is_topic(""));
    }
}
