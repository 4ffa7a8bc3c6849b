//! Microsoft Teams, by a workflow that posts what comes to its address: a message that holds an adaptive card.

use super::length::in_json;
use super::{BASE, Envelope, Length, Mention, Shape, Value, json};

pub(super) const SHAPE: Shape = Shape {
    options: "Microsoft Teams: --url (of the workflow \"when a Teams webhook request is received\")",
    // The whole message has 28 KB.
    length: Length { most: 24_000, counted },
    mention: Some(Mention {
        what: "the address with which a member logs in, such as li.na@example.com",
        is_good: |who| who.contains('@') && who.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@._+-".contains(&byte)),
        written: |who| format!("<at>{who}</at>"),
    }),
    envelope: |target, notice| {
        let mut card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [{ "type": "TextBlock", "text": target.calling(&notice.paragraphs()), "wrap": true }],
        });
        let called = target.settings.mentions.iter();
        let called: Vec<Value> = called
            .map(|who| json!({ "type": "mention", "text": format!("<at>{who}</at>"), "mentioned": { "id": who, "name": who } }))
            .collect();
        if !called.is_empty() {
            card["msteams"] = json!({ "entities": called });
        }
        let attachment = json!({
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        });
        Envelope::post(target.url, &json!({ "type": "message", "attachments": [attachment] }))
    },
    accepted: |answer, _| match answer.status {
        // It has begun; whether it gets as far as the channel, nobody says.
        202 => Ok(()),
        200..300 => Err(format!("HTTP {}, where a workflow says 202: is this the address of one?", answer.status)),
        _ => answer.taken(),
    },
    ..BASE
};

/// The end of a line becomes that of a paragraph.
fn counted(c: char) -> usize {
    if c == '\n' { 2 * in_json(c) } else { in_json(c) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long};

    const URL: &str = "https://prod-00.westeurope.logic.azure.com/workflows/1a/triggers/manual/paths/invoke?sig=AbC";

    #[test]
    fn a_message_holds_a_card_with_the_text() {
        let asked = asked(WebhookShape::Teams, URL, None, None, "disk full\nLi Na: https://x.example/a");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", URL));
        let expected = json!({ "type": "message", "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null,
            "content": { "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
                "body": [{ "type": "TextBlock", "text": "disk full\n\nLi Na: https://x.example/a", "wrap": true }] },
        }] });
        assert_eq!(asked.body, expected);
    }

    #[test]
    fn a_message_has_28_kilobytes_at_most() {
        for piece in ["word ", "磁盘", "\"", "a\n"] {
            let asked = asked(WebhookShape::Teams, URL, None, None, &long(piece));
            let length = asked.body.to_string().len();
            assert!(length <= 28 * 1024 && length > 20_000, "{piece:?}: {length}");
        }
    }

    #[test]
    fn accepted_is_its_yes() {
        let answered = |status, body| answered(WebhookShape::Teams, status, body);
        assert_eq!(answered(202, ""), Ok(()));
        assert!(answered(200, "1").unwrap_err().contains("202"), "the connectors of before");
        let gone = r#"{"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}"#;
        assert_eq!(answered(404, gone), Err("HTTP 404: The workflow could not be found.".to_owned()));
    }
}
