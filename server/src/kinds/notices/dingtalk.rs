//! `DingTalk` custom robot: <https://open.dingtalk.com/document/robots/custom-robot-access>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Envelope, Shape, code_in, json, sign};

pub(super) const SHAPE: Shape = Shape {
    envelope: |notice| {
        let mut envelope = Envelope::of(&json!({ "msgtype": "text", "text": { "content": notice.text } }));
        if let Some(secret) = notice.secret {
            let timestamp = notice.at.timestamp_millis().to_string();
            let mac = sign(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes());
            envelope.query = vec![("timestamp", timestamp), ("sign", STANDARD.encode(mac))];
        }
        envelope
    },
    accepted: |body| code_in("errcode", body),
};
