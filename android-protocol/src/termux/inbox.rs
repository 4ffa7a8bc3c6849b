//! Text messages that came in, as `termux-sms-list` prints them.

use serde_json::Value;

use crate::wire::InboundText;

/// How many are asked for at once.
pub const MESSAGES: usize = 50;

/// One message of the phone's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the phone's own list; rises.
    pub id: u64,
    /// What is passed on.
    pub text: InboundText,
}

/// The received messages of what the command printed, oldest first. One without sender or id is left out.
#[must_use]
pub fn read(printed: &Value) -> Vec<Message> {
    let mut messages: Vec<Message> = printed.as_array().into_iter().flatten().filter_map(message).collect();
    messages.sort_by_key(|message| message.id);
    messages.dedup_by_key(|message| message.id);
    messages
}

fn message(value: &Value) -> Option<Message> {
    let text = |key: &str| match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if text("type").is_some_and(|kind| !kind.eq_ignore_ascii_case("inbox")) {
        return None;
    }
    let id = text("_id")?.trim().parse().ok()?;
    let from = text("number").or_else(|| text("address")).filter(|from| !from.trim().is_empty())?;
    let received_at = text("received").map(|at| at.trim().replacen(' ', "T", 1));
    let body = text("body").unwrap_or_default();
    Some(Message { id, text: InboundText { id: Some(id.to_string()), from, text: body, received_at, parts: None } })
}

/// Those that are not yet with the server; `known` is the last that is.
#[must_use]
pub fn newer(messages: Vec<Message>, known: u64) -> Vec<Message> {
    messages.into_iter().filter(|message| message.id > known).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_of_the_inbox_oldest_first() {
        let printed = json!([
            {"threadid":7,"type":"inbox","read":false,"address":"+8613900000001","number":"+8613900000001","received":"2026-11-28 03:25:10","body":"1","_id":412},
            {"type":"sent","number":"1","body":"out","_id":500},
            {"type":"inbox","number":"","body":"nobody","_id":501},
            {"type":"inbox","number":"1","body":"no id"},
            {"address":"10086","received":"2026-11-28 03:20:00","body":"余额 12 元","_id":"411"},
            "text",
        ]);
        let read = read(&printed);
        let summary: Vec<_> =
            read.iter().map(|message| (message.id, message.text.from.as_str(), message.text.text.as_str())).collect();
        assert_eq!(summary, [(411, "10086", "余额 12 元"), (412, "+8613900000001", "1")]);
        assert_eq!(read[1].text.received_at.as_deref(), Some("2026-11-28T03:25:10"));
        assert_eq!(newer(read, 411).len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String, id: i64) {
            let _ = read(&json!([{"number": text, "_id": id, "received": text, "body": text}, text]));
        }
    }
}
