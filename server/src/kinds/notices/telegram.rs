//! Bots of Telegram: <https://core.telegram.org/bots/api#sendmessage>.

use super::{BASE, Envelope, Length, Mention, Secret, Shape, To, below, json, without_names};

pub(super) const SHAPE: Shape = Shape {
    options: "Telegram: --secret (the bot's token), --to (the chat: -1001234567890 or @channel)",
    home: |_| Some("https://api.telegram.org".to_owned()),
    secret: Secret::Needed("the bot's token"),
    to: Some(To { what: "the chat's number, such as -1001234567890, or the @name of a public channel", is_good: is_chat }),
    mention: Some(Mention {
        what: "the name of a member, without @",
        is_good: |who| !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        written: |who| format!("@{who}"),
    }),
    length: Length { most: 4096, counted: |c| if c == '@' { 2 } else { c.len_utf16() } },
    envelope: |target, notice| {
        let address = below(target.url, &[&format!("bot{}", target.token()), "sendMessage"]);
        // Without a parse mode nothing in a text is markup, but names are names.
        Envelope::post(address, &json!({ "chat_id": target.to(), "text": target.calling(&without_names(notice.text)) }))
    },
    accepted: |answer, _| answer.says(|said| said["ok"] == true),
    ..BASE
};

fn is_chat(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let name = text.strip_prefix('@').unwrap_or_default();
    is_number || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long, refused};
    use chrono::TimeDelta;

    const HOME: &str = "https://api.telegram.org";

    #[test]
    fn a_bot_speaks_in_a_chat_without_markup() {
        let asked = asked(WebhookShape::Telegram, HOME, Some("123:AbC"), Some("-1001234567890"), "*disk* <b>full</b>");
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "https://api.telegram.org/bot123:AbC/sendMessage"));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!(asked.body, json!({ "chat_id": "-1001234567890", "text": "*disk* <b>full</b>" }));
    }

    #[test]
    fn a_text_has_4096_units_at_most() {
        for piece in ["word ", "磁盘", "👍"] {
            let asked = asked(WebhookShape::Telegram, HOME, Some("123:AbC"), Some("@ops"), &long(piece));
            let text = asked.body["text"].as_str().unwrap();
            let units = text.encode_utf16().count();
            assert!(units <= 4096 && units > 4000 && text.ends_with('…'), "{piece}: {units}");
        }
    }

    #[test]
    fn ok_is_what_counts() {
        let answered = |status, body| answered(WebhookShape::Telegram, status, body);
        assert_eq!(answered(200, r#"{"ok":true,"result":{"message_id":7}}"#), Ok(()));
        let gone = r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the group chat"}"#;
        assert_eq!(answered(403, gone), Err("HTTP 403: Forbidden: bot was kicked from the group chat".to_owned()));
        assert!(answered(200, r#"{"ok":false}"#).is_err() && answered(200, "ok").is_err() && answered(200, "").is_err());
    }

    #[test]
    fn its_patience_is_told_and_its_token_is_not() {
        let limited =
            r#"{"ok":false,"error_code":429,"description":"/bot123:AbCd: retry later","parameters":{"retry_after":35}}"#;
        let refused = refused(WebhookShape::Telegram, Some("123:AbCd"), 429, limited).unwrap_err();
        assert_eq!((refused.why.as_str(), refused.patience), ("HTTP 429: /bot***: retry later", Some(TimeDelta::seconds(35))));
    }

    #[test]
    fn chats_are_numbers_or_names_of_channels() {
        assert!(["-1001234567890", "42", "@ops_room"].into_iter().all(is_chat));
        assert!(["", "-", "@", "ops", "@ops room", "-100/1", "https://t.me/ops"].into_iter().all(|text| !is_chat(text)));
    }
}
