//! `WeCom` group robot: <https://developer.work.weixin.qq.com/document/path/91770>.

use super::{ALL, BASE, Envelope, Length, Mention, Shape, code_in, json};

pub(super) const SHAPE: Shape = Shape {
    options: "WeCom's group robot: --url (the robot's)",
    length: Length::bytes(2048),
    mention: Some(Mention {
        what: "the phone number or the user id of a member, or all",
        is_good: |who| !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte)),
        written: |_| String::new(),
    }),
    envelope: |target, notice| {
        let mut text = json!({ "content": notice.text });
        let (numbers, users): (Vec<&String>, Vec<&String>) = target.settings.mentions.iter().partition(|who| is_number(who));
        let users: Vec<&str> = users.into_iter().map(|who| if who == ALL { "@all" } else { who.as_str() }).collect();
        for (name, list) in [("mentioned_list", json!(users)), ("mentioned_mobile_list", json!(numbers))] {
            if list != json!([]) {
                text[name] = list;
            }
        }
        Envelope::post(target.url, &json!({ "msgtype": "text", "text": text }))
    },
    // More than 20 in a minute, and too much at once.
    is_busy: |answer| answer.has_code("errcode", &[45_009, 45_033]),
    accepted: |answer, _| code_in("errcode", answer),
    ..BASE
};

/// Ids of users may be numbers as well, but are short.
fn is_number(text: &str) -> bool {
    const SHORTEST: usize = 8;
    text.len() >= SHORTEST && text.strip_prefix('+').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long};

    #[test]
    fn a_text_has_2048_bytes_at_most() {
        let url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693axxx6-7aoc-4bc4";
        let asked = asked(WebhookShape::Wecom, url, None, None, &long("磁盘已满"));
        assert_eq!((asked.url.as_str(), asked.body["msgtype"].as_str()), (url, Some("text")));
        let text = asked.body["text"]["content"].as_str().unwrap();
        assert!(text.len() <= 2048 && text.len() > 2040 && text.ends_with('…'), "{}", text.len());
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#;
        let why = answered(WebhookShape::Wecom, 200, refused).unwrap_err();
        assert_eq!(why, "refused with errcode 93000: invalid webhook url");
    }
}
