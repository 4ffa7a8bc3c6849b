//! All facts, for programs.

use super::{Envelope, Shape, hex, sign};

pub(super) const SHAPE: Shape = Shape {
    envelope: |notice| {
        let body = notice.facts.to_string();
        let timestamp = notice.at.timestamp().to_string();
        let mut headers = vec![("x-autocall-timestamp", timestamp.clone())];
        if let Some(secret) = notice.secret {
            // The time is signed as well, so that an old message cannot be sent again.
            let mac = sign(secret.as_bytes(), format!("{timestamp}.{body}").as_bytes());
            headers.push(("x-autocall-signature", format!("sha256={}", hex(&mac))));
        }
        Envelope { query: Vec::new(), headers, body }
    },
    accepted: |_| Ok(()),
};
