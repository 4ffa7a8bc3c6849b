//! Discord's webhooks: <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use super::{ALL, BASE, Envelope, Length, Mention, Shape, json};

pub(super) const SHAPE: Shape = Shape {
    options: "Discord: --url (the channel's webhook)",
    length: Length::utf16(2000),
    mention: Some(Mention {
        what: "the number of a user, & and the number of a role, or all",
        is_good: |who| who == ALL || is_number(who.strip_prefix('&').unwrap_or(who)),
        written: |who| if who == ALL { "@everyone".to_owned() } else { format!("<@{who}>") },
    }),
    envelope: |target, notice| {
        // Whatever an alarm says, it calls nobody by @everyone.
        let mut allowed = json!({ "parse": [] });
        let (mut users, mut roles) = (Vec::new(), Vec::new());
        for who in &target.settings.mentions {
            match who.strip_prefix('&') {
                Some(role) => roles.push(role),
                None if who == ALL => allowed["parse"] = json!(["everyone"]),
                None => users.push(who.as_str()),
            }
        }
        if !target.settings.mentions.is_empty() {
            (allowed["users"], allowed["roles"]) = (json!(users), json!(roles));
        }
        Envelope::post(target.url, &json!({ "content": target.calling(notice.text), "allowed_mentions": allowed }))
    },
    accepted: |answer, _| match answer.status {
        204 => Ok(()),
        // An address with ?wait=true gets the message.
        _ => answer.says(|said| said["id"].is_string()),
    },
    ..BASE
};

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long};

    const URL: &str = "https://discord.com/api/webhooks/123/AbC-d";

    #[test]
    fn nobody_is_called_by_a_text() {
        let asked = asked(WebhookShape::Discord, URL, None, None, "@everyone disk full");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", URL));
        assert_eq!(asked.body, json!({ "content": "@everyone disk full", "allowed_mentions": { "parse": [] } }));
    }

    #[test]
    fn a_text_has_2000_units_at_most() {
        for piece in ["word ", "磁盘", "👍"] {
            let asked = asked(WebhookShape::Discord, URL, None, None, &long(piece));
            let text = asked.body["content"].as_str().unwrap();
            let units = text.encode_utf16().count();
            assert!(units <= 2000 && units > 1900 && text.ends_with('…'), "{piece}: {units}");
        }
    }

    #[test]
    fn no_content_is_its_yes() {
        let answered = |status, body| answered(WebhookShape::Discord, status, body);
        assert_eq!(answered(204, ""), Ok(()));
        assert_eq!(answered(200, r#"{"id":"1100","content":"x"}"#), Ok(()), "with ?wait=true");
        assert!(answered(200, "").is_err() && answered(200, "{}").is_err());
        let gone = r#"{"message":"Unknown Webhook","code":10015}"#;
        assert_eq!(answered(404, gone), Err("HTTP 404: Unknown Webhook".to_owned()));
    }
}
