//! Feishu custom robot: <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Envelope, Shape, code_in, json, sign};

pub(super) const SHAPE: Shape = Shape {
    envelope: |notice| {
        let mut body = json!({ "msg_type": "text", "content": { "text": notice.text } });
        if let Some(secret) = notice.secret {
            let timestamp = notice.at.timestamp().to_string();
            // As documented: the text to sign is the key, and nothing is signed with it.
            let mac = sign(format!("{timestamp}\n{secret}").as_bytes(), b"");
            body["timestamp"] = json!(timestamp);
            body["sign"] = json!(STANDARD.encode(mac));
        }
        Envelope::of(&body)
    },
    accepted: |body| code_in("code", body),
};
