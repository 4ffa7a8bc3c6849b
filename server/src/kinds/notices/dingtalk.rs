//! `DingTalk` custom robot: <https://open.dingtalk.com/document/robots/custom-robot-access>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ALL, BASE, Envelope, Length, Mention, Shape, code_in, json, sign, with_query};

pub(super) const SHAPE: Shape = Shape {
    options: "DingTalk's custom robot: --url (the robot's), --secret (where it wants a signature)",
    // The whole message has 20 000 bytes.
    length: Length::json(19_000),
    mention: Some(Mention {
        what: "the phone number of a member, such as 18712345678 or +81-9012345678, or all",
        is_good: |who| who == ALL || (!who.is_empty() && who.bytes().all(|byte| byte.is_ascii_digit() || b"+-".contains(&byte))),
        // Whoever stands in the list is called where the text names them.
        written: |who| if who == ALL { String::new() } else { format!("@{who}") },
    }),
    envelope: |target, notice| {
        let mut body = json!({ "msgtype": "text", "text": { "content": target.calling(notice.text) } });
        let mentions = &target.settings.mentions;
        if !mentions.is_empty() {
            let numbers: Vec<&String> = mentions.iter().filter(|who| *who != ALL).collect();
            body["at"] = json!({ "atMobiles": numbers, "isAtAll": numbers.len() < mentions.len() });
        }
        let Some(secret) = target.secret else { return Envelope::post(target.url, &body) };
        let timestamp = notice.at.timestamp_millis().to_string();
        let mac = STANDARD.encode(sign(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes()));
        Envelope::post(with_query(target.url, &[("timestamp", &timestamp), ("sign", &mac)]), &body)
    },
    is_busy: |answer| answer.has_code("errcode", &TOO_FAST),
    accepted: |answer, _| code_in("errcode", answer),
    ..BASE
};

/// A robot says 20 things in a minute; all of these mean that it was more.
const TOO_FAST: [i64; 3] = [130_101, 410_100, 90_030];
