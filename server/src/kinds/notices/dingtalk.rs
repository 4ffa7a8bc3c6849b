//! `DingTalk` custom robot: <https://open.dingtalk.com/document/robots/custom-robot-access>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BASE, Envelope, Length, Shape, code_in, json, sign, with_query};

pub(super) const SHAPE: Shape = Shape {
    options: "DingTalk's custom robot: --url (the robot's), --secret (where it wants a signature)",
    // The whole message has 20 000 bytes.
    length: Length::json(19_000),
    envelope: |target, notice| {
        let body = json!({ "msgtype": "text", "text": { "content": notice.text } });
        let Some(secret) = target.secret else { return Envelope::post(target.url, &body) };
        let timestamp = notice.at.timestamp_millis().to_string();
        let mac = STANDARD.encode(sign(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes()));
        Envelope::post(with_query(target.url, &[("timestamp", &timestamp), ("sign", &mac)]), &body)
    },
    accepted: |answer, _| code_in("errcode", answer),
    ..BASE
};
