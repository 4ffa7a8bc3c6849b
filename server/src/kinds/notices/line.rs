//! Official accounts of LINE: <https://developers.line.biz/en/reference/messaging-api/#send-push-message>.

use super::{BASE, Envelope, Length, Secret, Shape, To, Value, below, json};

pub(super) const SHAPE: Shape = Shape {
    options: "LINE: --secret (the channel access token), --to (the id of the user, group or room)",
    home: |_| Some("https://api.line.me".to_owned()),
    secret: Secret::Needed("the channel access token"),
    to: Some(To { what: "the id of a user, a group or a room: U, C or R and 32 hexadecimal digits", is_good: is_id }),
    length: Length::utf16(5000),
    envelope: |target, notice| {
        let address = below(target.url, &["v2", "bot", "message", "push"]);
        Envelope::post(address, &json!({ "to": target.to(), "messages": [{ "type": "text", "text": notice.text }] }))
            .with("authorization", format!("Bearer {}", target.token()))
            .with("x-line-retry-key", notice.id)
    },
    accepted: |answer, _| match answer.status {
        // It has taken a message with this key before.
        409 => Ok(()),
        _ => answer.says(Value::is_object),
    },
    ..BASE
};

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix(['U', 'C', 'R']).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long};

    const GROUP: &str = "C0123456789abcdef0123456789abcdef";

    #[test]
    fn a_message_is_pushed_under_the_id_of_the_notice() {
        let asked = asked(WebhookShape::Line, "https://api.line.me", Some("token/+="), Some(GROUP), "disk full");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "https://api.line.me/v2/bot/message/push"));
        assert_eq!(asked.header("authorization"), Some("Bearer token/+="));
        assert_eq!(asked.header("x-line-retry-key"), Some("01a1fc4e-a630-77e4-8b85-425a1123605f"));
        assert_eq!(asked.body, json!({ "to": GROUP, "messages": [{ "type": "text", "text": "disk full" }] }));
    }

    #[test]
    fn a_text_has_5000_units_at_most() {
        let asked = asked(WebhookShape::Line, "https://api.line.me", Some("t"), Some(GROUP), &long("👍"));
        let units = asked.body["messages"][0]["text"].as_str().unwrap().encode_utf16().count();
        assert!(units <= 5000 && units > 4990, "{units}");
    }

    #[test]
    fn what_it_has_taken_before_is_taken() {
        let answered = |status, body| answered(WebhookShape::Line, status, body);
        assert_eq!(answered(200, r#"{"sentMessages":[{"id":"1"}]}"#), Ok(()));
        assert!(answered(200, "<html>").is_err());
        assert_eq!(answered(409, r#"{"message":"The retry key is already accepted"}"#), Ok(()));
        let full = r#"{"message":"You have reached your monthly limit."}"#;
        assert_eq!(answered(429, full), Err("HTTP 429: You have reached your monthly limit.".to_owned()));
    }

    #[test]
    fn ids_are_those_of_users_groups_and_rooms() {
        assert!(is_id(GROUP) && is_id(&GROUP.replace('C', "U")));
        assert!(["", "C", "X0123456789abcdef0123456789abcdef", "C0123", "lin"].into_iter().all(|text| !is_id(text)));
    }
}
