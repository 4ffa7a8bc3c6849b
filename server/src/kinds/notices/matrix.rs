//! Rooms of Matrix: <https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>.

use reqwest::Method;

use super::{BASE, Envelope, Length, Secret, Shape, To, below, json};

pub(super) const SHAPE: Shape = Shape {
    options: "Matrix: --url (the homeserver), --secret (an access token), --to (the room's id, !abc:example.org; not encrypted)",
    secret: Secret::Needed("an access token"),
    to: Some(To { what: "the room's id, such as !abc:example.org: an alias that begins with # is none", is_good: is_room }),
    // A whole event has 64 KiB, with what servers add to it.
    length: Length::json(32_000),
    envelope: |target, notice| {
        // The id in the address is that of the notice, so that a repetition is none for the room.
        let path = ["_matrix", "client", "v3", "rooms", target.to(), "send", "m.room.message", notice.id];
        // Who says that nobody is meant calls nobody, whichever names stand in a text.
        let body = json!({ "msgtype": "m.text", "body": notice.text, "m.mentions": {} });
        let envelope = Envelope::post(below(target.url, &path), &body);
        Envelope { method: Method::PUT, ..envelope }.with("authorization", format!("Bearer {}", target.token()))
    },
    accepted: |answer, _| answer.says(|said| said["event_id"].is_string()),
    ..BASE
};

fn is_room(text: &str) -> bool {
    text.len() > 1 && text.starts_with('!') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::notices::WebhookShape;
    use crate::kinds::notices::tests::{answered, asked, long, wrong};

    const HOME: &str = "https://matrix.example.org/";
    const ROOM: &str = "!abc/d:example.org";

    #[test]
    fn a_message_is_put_under_the_id_of_the_notice() {
        let asked = asked(WebhookShape::Matrix, HOME, Some("syt_x"), Some(ROOM), "disk full");
        let address = "https://matrix.example.org/_matrix/client/v3/rooms/!abc%2Fd:example.org/send/m.room.message/\
                       01a1fc4e-a630-77e4-8b85-425a1123605f";
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("PUT", address));
        assert_eq!(asked.header("authorization"), Some("Bearer syt_x"));
        assert_eq!(asked.body, json!({ "msgtype": "m.text", "body": "disk full", "m.mentions": {} }));
    }

    #[test]
    fn an_event_has_64_kilobytes_at_most() {
        let asked = asked(WebhookShape::Matrix, HOME, Some("syt_x"), Some(ROOM), &long("\""));
        assert!((31_000..33_000).contains(&asked.body.to_string().len()));
    }

    #[test]
    fn the_id_of_the_event_is_its_yes() {
        let answered = |status, body| answered(WebhookShape::Matrix, status, body);
        assert_eq!(answered(200, r#"{"event_id":"$abc"}"#), Ok(()));
        assert!(answered(200, "{}").is_err() && answered(200, "<html>").is_err());
        let unknown = r#"{"errcode":"M_FORBIDDEN","error":"User not in room"}"#;
        assert_eq!(answered(403, unknown), Err("HTTP 403: User not in room".to_owned()));
    }

    #[test]
    fn an_alias_is_no_room() {
        assert_eq!(wrong(WebhookShape::Matrix, HOME, Some("t"), Some("#ops:example.org")).setting, "to");
        assert!(!is_room("!") && !is_room("!a b") && is_room("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"));
    }
}
