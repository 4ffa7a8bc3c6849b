//! `PushDeer`, its own server or another: <https://www.pushdeer.com/dev.html>.

use serde_json::Value;

use super::LONGEST_TITLE;
use crate::kinds::notices::{BASE, Envelope, Length, Secret, Shape, below, json};

pub(in crate::kinds::notices) const SHAPE: Shape = Shape {
    options: "PushDeer: --secret (the push key), --url (a server of one's own)",
    home: |_| Some("https://api2.pushdeer.com".to_owned()),
    secret: Secret::Needed("the push key"),
    length: Length::json(30_000),
    envelope: |target, notice| {
        let title = notice.title(LONGEST_TITLE);
        let body = json!({ "pushkey": target.token(), "text": title, "desp": notice.paragraphs(), "type": "markdown" });
        Envelope::post(below(target.url, &["message", "push"]), &body)
    },
    // Its code is 0 also when there was nobody to tell.
    accepted: |answer, _| answer.says(|said| said["content"]["result"].as_array().is_some_and(|told| told.iter().any(is_ok))),
    ..BASE
};

/// Whether one of its phones was told: JSON in a text says so.
fn is_ok(told: &Value) -> bool {
    let told = match told {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        told => told.clone(),
    };
    told["success"] == "ok"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked};

    #[test]
    fn a_line_is_a_paragraph_of_markdown() {
        let asked = asked(WebhookShape::Pushdeer, "https://api2.pushdeer.com", Some("PDU1"), None, "disk full\nLi Na: x");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "https://api2.pushdeer.com/message/push"));
        let expected =
            json!({ "pushkey": "PDU1", "text": "Disk full on db1", "desp": "disk full\n\nLi Na: x", "type": "markdown" });
        assert_eq!(asked.body, expected);
    }

    #[test]
    fn only_a_phone_that_was_told_is_its_yes() {
        let answered = |status, body| answered(WebhookShape::Pushdeer, status, body);
        let told = r#"{"code":0,"content":{"result":["{\"counts\":1,\"logs\":[],\"success\":\"ok\"}"]}}"#;
        assert_eq!(answered(200, told), Ok(()));
        assert!(answered(200, r#"{"code":0,"content":{"result":[{"success":"ok"}]}}"#).is_ok());
        assert!(answered(200, r#"{"code":0,"content":{"result":[]}}"#).is_err(), "no phone has this key");
        assert!(answered(200, r#"{"code":0,"content":{"result":["nonsense"]}}"#).is_err());
        assert_eq!(answered(200, r#"{"code":80501,"error":"key error"}"#), Err("refused: key error".to_owned()));
    }
}
