//! All facts, for programs.

use super::{BASE, Envelope, Shape, hex, sign};

pub(super) const SHAPE: Shape = Shape {
    options: "A program: all facts as JSON; --url, --secret (what they are signed with)",
    envelope: |target, notice| {
        let envelope = Envelope::post(target.url, notice.facts);
        let timestamp = notice.at.timestamp().to_string();
        // The time is signed as well, so that an old message cannot be sent again.
        let signature = target.secret.map(|secret| sign(secret.as_bytes(), format!("{timestamp}.{}", envelope.body).as_bytes()));
        let envelope = envelope.with("x-autocall-timestamp", timestamp);
        match signature {
            Some(mac) => envelope.with("x-autocall-signature", format!("sha256={}", hex(&mac))),
            None => envelope,
        }
    },
    ..BASE
};
