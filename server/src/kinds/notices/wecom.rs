//! `WeCom` group robot: <https://developer.work.weixin.qq.com/document/path/91770>.

use super::{BASE, Envelope, Length, Shape, code_in, json};

pub(super) const SHAPE: Shape = Shape {
    options: "WeCom's group robot: --url (the robot's)",
    length: Length::bytes(2048),
    envelope: |target, notice| Envelope::post(target.url, &json!({ "msgtype": "text", "text": { "content": notice.text } })),
    accepted: |answer, _| code_in("errcode", answer),
    ..BASE
};

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
