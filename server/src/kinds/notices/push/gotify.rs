//! Gotify: <https://gotify.net/api-docs#/message/createMessage>.

use super::LONGEST_TITLE;
use crate::kinds::notices::{BASE, Envelope, Secret, Shape, below, json};

pub(in crate::kinds::notices) const SHAPE: Shape = Shape {
    options: "Gotify: --url (the server), --secret (the application's token)",
    secret: Secret::Needed("the application's token"),
    envelope: |target, notice| {
        let priority = if notice.is_urgent { 8 } else { 5 };
        let body = json!({ "title": notice.title(LONGEST_TITLE), "message": notice.text, "priority": priority });
        Envelope::post(below(target.url, &["message"]), &body).with("x-gotify-key", target.token())
    },
    accepted: |answer, _| answer.says(|said| said["id"].is_number()),
    ..BASE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, wrong};

    #[test]
    fn the_token_is_a_header() {
        let asked = asked(WebhookShape::Gotify, "https://push.example.org/gotify/", Some("AbC"), None, "disk full (high)");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "https://push.example.org/gotify/message"));
        assert_eq!(asked.header("x-gotify-key"), Some("AbC"));
        assert_eq!(asked.body, json!({ "title": "Disk full on db1", "message": "disk full (high)", "priority": 8 }));
        assert_eq!(wrong(WebhookShape::Gotify, "https://push.example.org", None, None).setting, "secret");
    }

    #[test]
    fn an_id_is_its_yes() {
        let answered = |status, body| answered(WebhookShape::Gotify, status, body);
        assert_eq!(answered(200, r#"{"id":25,"appid":1,"message":"x"}"#), Ok(()));
        assert!(answered(200, "{}").is_err() && answered(200, "<html>").is_err());
        let wrong = r#"{"error":"Unauthorized","errorCode":401,"errorDescription":"you need to provide a valid access token"}"#;
        assert_eq!(answered(401, wrong), Err("HTTP 401: you need to provide a valid access token".to_owned()));
    }
}
