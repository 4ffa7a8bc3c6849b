//! Mattermost, in Slack's form and with a shorter limit: <https://developers.mattermost.com/integrate/webhooks/incoming/>.

use super::slack::{counted, said};
use super::{BASE, Envelope, Length, Mention, Shape, json};

pub(super) const SHAPE: Shape = Shape {
    options: "Mattermost: --url (the incoming webhook's)",
    // Servers that were never brought to the longer posts of version 5 make several of one that is longer.
    length: Length { most: 4000, counted },
    mention: Some(Mention {
        what: "the name of a user or a group, or here, channel or all",
        is_good: |who| !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
        written: |who| format!("@{who}"),
    }),
    envelope: |target, notice| Envelope::post(target.url, &json!({ "text": target.calling(&said(notice.text)) })),
    accepted: |answer, _| match (answer.status, answer.body.trim()) {
        (200, "ok") => Ok(()),
        _ => Err(answer.refusal()),
    },
    ..BASE
};

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long};

    const URL: &str = "https://chat.example.com/hooks/abc";

    #[test]
    fn it_is_slack_s_form_and_shorter() {
        let asked = asked(WebhookShape::Mattermost, URL, None, None, &long("word & "));
        let text = asked.body["text"].as_str().unwrap();
        assert!(text.chars().count() <= 4000 && text.ends_with("&amp; word…"), "{text}");
    }

    #[test]
    fn only_its_ok_is_one() {
        let answered = |status, body| answered(WebhookShape::Mattermost, status, body);
        assert_eq!(answered(200, "ok"), Ok(()));
        let login = "an answer that is not this service's: is this its address?".to_owned();
        assert_eq!(answered(200, "<!DOCTYPE html><title>Log in</title>"), Err(login));
        let gone = r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":400}"#;
        assert_eq!(answered(400, gone), Err("HTTP 400: Invalid webhook.".to_owned()));
    }
}
