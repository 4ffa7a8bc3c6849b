//! Slack's incoming webhooks: <https://api.slack.com/messaging/webhooks>.

use super::{Envelope, Shape, json};

pub(super) const SHAPE: Shape =
    Shape { envelope: |notice| Envelope::of(&json!({ "text": escaped(notice.text) })), accepted: |_| Ok(()) };

/// Slack takes `&`, `<` and `>` for its own markup, and wants no others escaped.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
