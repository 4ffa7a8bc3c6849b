//! `WeCom` group robot: <https://developer.work.weixin.qq.com/document/path/91770>.

use super::{Envelope, Shape, code_in, json};

pub(super) const SHAPE: Shape = Shape {
    envelope: |notice| Envelope::of(&json!({ "msgtype": "text", "text": { "content": notice.text } })),
    accepted: |body| code_in("errcode", body),
};
