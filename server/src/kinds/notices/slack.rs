//! Slack's incoming webhooks: <https://api.slack.com/messaging/webhooks>.

use super::{BASE, Envelope, Length, Mention, Shape, json, without_names};

pub(super) const SHAPE: Shape = Shape {
    options: "Slack, Rocket.Chat and what takes the same form: --url (the incoming webhook's)",
    length: Length { most: 40_000, counted },
    mention: Some(Mention {
        what: "the id of a member or a user group, such as U012AB3CD or S012AB3CD, or here, channel or everyone",
        is_good: |who| EVERYBODY.contains(&who) || is_id(who),
        written: |who| match who.chars().next() {
            _ if EVERYBODY.contains(&who) => format!("<!{who}>"),
            Some('S') => format!("<!subteam^{who}>"),
            _ => format!("<@{who}>"),
        },
    }),
    envelope: |target, notice| Envelope::post(target.url, &json!({ "text": target.calling(&said(notice.text)) })),
    ..BASE
};

/// Words for many.
const EVERYBODY: [&str; 3] = ["here", "channel", "everyone"];

fn is_id(text: &str) -> bool {
    text.starts_with(['U', 'W', 'S']) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Slack takes `&`, `<` and `>` for its own markup, and wants no others escaped.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text that is none of its markup and calls nobody: Rocket.Chat and Mattermost take `@all` from a text.
pub(super) fn said(text: &str) -> String {
    escaped(&without_names(text))
}

/// What a character counts once it is escaped.
pub(super) fn counted(c: char) -> usize {
    match c {
        '@' => 2,
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        c => c.len_utf16(),
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{asked, long};

    #[test]
    fn markup_is_escaped() {
        let text = "<!channel> & co";
        let asked = asked(WebhookShape::Slack, "https://hooks.example.com/x", None, None, text);
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "https://hooks.example.com/x"));
        assert_eq!(asked.body["text"], "&lt;!channel&gt; &amp; co");
    }

    #[test]
    fn a_text_that_is_escaped_fits() {
        let asked = asked(WebhookShape::Slack, "https://hooks.example.com/x", None, None, &long("<"));
        let text = asked.body["text"].as_str().unwrap_or_default();
        assert!(text.ends_with("&lt;…") && text.chars().count() > 39_000 && text.chars().count() <= 40_000, "{}", text.len());
    }
}
