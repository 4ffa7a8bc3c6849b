//! Feishu custom robot: <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::length::in_json;
use super::{BASE, Envelope, Length, Mention, Shape, UNSEEN, code_in, json, sign};

pub(super) const SHAPE: Shape = Shape {
    options: "Feishu's and Lark's custom robot: --url (the robot's), --secret (where it wants a signature)",
    // The whole message has 20 KB.
    length: Length { most: 19_000, counted },
    mention: Some(Mention {
        what: "the open id or user id of a member, such as ou_1a2b3c, or all",
        is_good: |who| !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
        written: |who| format!("<at user_id=\"{who}\"></at>"),
    }),
    envelope: |target, notice| {
        let mut body = json!({ "msg_type": "text", "content": { "text": target.calling(&untagged(notice.text)) } });
        if let Some(secret) = target.secret {
            let timestamp = notice.at.timestamp().to_string();
            // As documented: the text to sign is the key, and nothing is signed with it.
            let mac = sign(format!("{timestamp}\n{secret}").as_bytes(), b"");
            body["timestamp"] = json!(timestamp);
            body["sign"] = json!(STANDARD.encode(mac));
        }
        Envelope::post(target.url, &body)
    },
    // More than 100 in a minute or five in a second, of the robot, of its tenant, or at the door.
    is_busy: |answer| answer.has_code("code", &[9499, 11_232, 11_233, 99_991_400]),
    accepted: |answer, _| code_in("code", answer),
    ..BASE
};

/// A text in which nothing is a tag: `<at user_id="all">` calls everybody, whoever has written it.
fn untagged(text: &str) -> String {
    text.replace('<', &format!("<{UNSEEN}"))
}

fn counted(c: char) -> usize {
    if c == '<' { in_json(c) + UNSEEN.len_utf8() } else { in_json(c) }
}
