//! Bark, for iPhones: <https://bark.day.app/#/en-us/tutorial>.

use super::LONGEST_TITLE;
use crate::kinds::notices::{BASE, Envelope, Length, Secret, Shape, below, json};

pub(in crate::kinds::notices) const SHAPE: Shape = Shape {
    options: "Bark: --secret (the device's key), --url (a server of one's own)",
    home: |_| Some("https://api.day.app".to_owned()),
    secret: Secret::Needed("the device's key"),
    // Apple takes 4 KB, with the title and with what the server adds.
    length: Length::json(3000),
    envelope: |target, notice| {
        let body = json!({
            "device_key": target.token(),
            "title": notice.title(LONGEST_TITLE),
            "body": notice.text,
            // Heard although the phone is silent.
            "level": if notice.is_urgent { "critical" } else { "active" },
        });
        Envelope::post(below(target.url, &["push"]), &body)
    },
    accepted: |answer, _| answer.says(|said| said["code"] == 200),
    ..BASE
};

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::tests::{answered, asked, long, urgent};
    use crate::kinds::notices::{Notice, Target, WebhookSettings, WebhookShape, envelope};

    const HOME: &str = "https://api.day.app";

    #[test]
    fn a_device_is_told_loudly_what_is_urgent() {
        let asked = asked(WebhookShape::Bark, HOME, Some("AbCdEf"), None, "disk full (high)");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "https://api.day.app/push"));
        let expected =
            json!({ "device_key": "AbCdEf", "title": "Disk full on db1", "body": "disk full (high)", "level": "critical" });
        assert_eq!(asked.body, expected);
        let settings = WebhookSettings::default();
        let target = Target { shape: WebhookShape::Bark, url: HOME, secret: Some("AbCdEf"), settings: &settings };
        let facts = json!({});
        let quiet = envelope(&target, &Notice { is_urgent: false, ..urgent("x", &facts) });
        assert!(quiet.body.contains(r#""level":"active""#), "{}", quiet.body);
    }

    #[test]
    fn a_message_leaves_room_in_4_kilobytes() {
        let asked = asked(WebhookShape::Bark, HOME, Some("AbCdEf"), None, &long("磁盘"));
        assert!((2990..=3000).contains(&asked.body["body"].as_str().unwrap().len()));
    }

    #[test]
    fn its_code_is_what_counts() {
        let answered = |status, body| answered(WebhookShape::Bark, status, body);
        assert_eq!(answered(200, r#"{"code":200,"message":"success","timestamp":1700000000}"#), Ok(()));
        let unknown = r#"{"code":400,"message":"failed to get device token"}"#;
        assert_eq!(answered(400, unknown), Err("HTTP 400: failed to get device token".to_owned()));
        assert_eq!(answered(200, unknown), Err("refused: failed to get device token".to_owned()));
    }
}
