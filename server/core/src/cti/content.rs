//! What is to be played: files and spoken texts, read from the forms in which `content` may be written.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reply::Refusal;
use super::spoken;

/// So many items at most, and so many parts.
pub const MOST_ITEMS: usize = 30;
/// So many characters of text in one part: about a minute.
pub const LONGEST_TEXT: usize = 600;
/// No name of a file is longer.
pub const LONGEST_NAME: usize = 64;

/// A piece of what is played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// A medium of the key, by its name.
    File(String),
    /// Something that is spoken.
    Text {
        /// What.
        text: String,
        /// In which language.
        language: String,
    },
}

/// Reads `content`, whose numbers and times are spoken in this language: `zh`, or else English.
pub fn read(content: &Value, language: &str) -> Result<Vec<Part>, Refusal> {
    let parts = match content {
        // As the later document has it, also several files in one text.
        Value::String(files) => files_of(files)?,
        Value::Array(items) if items.len() > MOST_ITEMS => {
            return Err(Refusal::bad(format!("content has {} items, and {MOST_ITEMS} are allowed", items.len())));
        }
        Value::Array(items) => {
            let mut parts = Vec::new();
            for item in items {
                parts.extend(parts_of(item, language)?);
            }
            parts
        }
        _ => return Err(Refusal::bad("content has to be the name of a file or a list of items")),
    };
    match parts.len() {
        0 => Err(Refusal::bad("content says nothing")),
        1..=MOST_ITEMS => Ok(parts),
        more => Err(Refusal::bad(format!("content plays {more} things, and {MOST_ITEMS} are allowed"))),
    }
}

fn parts_of(item: &Value, language: &str) -> Result<Vec<Part>, Refusal> {
    let wrong = || Refusal::bad("an item of content has to be [content, type, options]");
    let item = item.as_array().filter(|item| matches!(item.len(), 2 | 3)).ok_or_else(wrong)?;
    let (Some(content), Some(kind)) = (item.first(), item.get(1)) else { return Err(wrong()) };
    let kind = whole(kind).ok_or_else(|| Refusal::bad("the type of an item of content has to be a whole number"))?;
    let options = item.get(2).and_then(Value::as_str).unwrap_or_default();
    let text = match content {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ if kind < 0 => String::new(),
        _ => return Err(Refusal::bad("what an item of content plays has to be a text or a number")),
    };
    let said = match kind {
        ..0 => return Ok(Vec::new()),
        0 => return Ok(vec![Part::File(file_name(&text)?)]),
        7 => return files_of(&text),
        1 => spoken::digits(&text, language),
        2 => spoken::number(&text, language),
        3 => spoken::money(&text, &currency(options), language),
        4 => spoken::moment(&text, language),
        5 => spoken::duration(&text, language),
        6 => spoken::money(&text, &currency(options), language).or_else(|| free(&text)),
        10 => free(&text),
        _ => return Err(Refusal::bad(format!("there is no type {kind} of content"))),
    };
    let said = said.ok_or_else(|| Refusal::bad(format!("{text:?} cannot be spoken as content of type {kind}")))?;
    Ok(vec![Part::Text { text: said, language: language.to_owned() }])
}

/// A text that is spoken as it is.
fn free(text: &str) -> Option<String> {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim();
    (!plain.is_empty() && plain.chars().count() <= LONGEST_TEXT).then(|| plain.to_owned())
}

/// A word for the unit of money, where the options are one.
fn currency(options: &str) -> String {
    let word = options.trim();
    let is_word = word.chars().all(char::is_alphabetic) && word.chars().count() <= 16;
    if is_word { word.to_owned() } else { String::new() }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn files_of(names: &str) -> Result<Vec<Part>, Refusal> {
    names.split('|').map(|name| Ok(Part::File(file_name(name.trim())?))).collect()
}

/// A name of a medium: never a path, and never an address.
pub(super) fn file_name(name: &str) -> Result<String, Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) || name.bytes().all(|byte| byte == b'.') {
        return Err(Refusal::bad(format!(
            "{:?} is not a name of a file: letters, figures, '.', '_' and '-', at most {LONGEST_NAME}",
            name.chars().take(LONGEST_NAME).collect::<String>()
        )));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn file(name: &str) -> Part {
        Part::File(name.to_owned())
    }

    fn text(text: &str, language: &str) -> Part {
        Part::Text { text: text.to_owned(), language: language.to_owned() }
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(read(&json!("welcome.wav"), "en").unwrap(), [file("welcome.wav")]);
        let content = json!([
            ["welcome.wav|title.wav", 7, ""],
            ["2016-09-02", 4, ""],
            ["amount.wav", 0, ""],
            ["1086.30", 3, ""],
            [12, 1, ""],
            [-5, 2],
            ["1:5", 5, null],
            [3.5, 6, ""],
            ["disk full", 6, ""],
            ["hello\u{7} there", "10", ""],
            [["anything"], -1, ""],
        ]);
        assert_eq!(
            read(&content, "en").unwrap(),
            [
                file("welcome.wav"),
                file("title.wav"),
                text("September 2, 2016", "en"),
                file("amount.wav"),
                text("1086.30 yuan", "en"),
                text("1 2", "en"),
                text("minus 5", "en"),
                text("1 hour 5 minutes", "en"),
                text("3.50 yuan", "en"),
                text("disk full", "en"),
                text("hello  there", "en"),
            ]
        );
        assert_eq!(read(&json!([["1086.30", 3, ""]]), "zh").unwrap(), [text("一千零八十六元三角", "zh")]);
    }

    #[test]
    fn what_cannot_be_played_is_said() {
        let many = |count: usize| Value::Array(vec![json!(["a.wav", 0, ""]); count]);
        assert_eq!(read(&many(30), "en").unwrap().len(), 30);
        for wrong in [
            many(31),
            Value::Array(vec![json!(["a|b", 7, ""]); 16]),
            json!([]),
            json!([["x", -1, ""]]),
            json!(null),
            json!(7),
            json!({}),
            json!("../etc/passwd"),
            json!("http://x/a.wav"),
            json!(".."),
            json!(""),
            json!("a||b"),
            json!(["a.wav"]),
            json!([["a.wav"]]),
            json!([["a.wav", 0, "", ""]]),
            json!([["a.wav", "zero", ""]]),
            json!([["a", 8, ""]]),
            json!([["a", 1.5, ""]]),
            json!([["today", 4, ""]]),
            json!([[{}, 0, ""]]),
            json!([["", 10, ""]]),
            json!([["x".repeat(601), 10, ""]]),
            json!(["x".repeat(65)]),
        ] {
            let refusal = read(&wrong, "en").unwrap_err();
            assert!(refusal.code == 400 && !refusal.message.is_empty(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_played_is_bounded(items in prop::collection::vec((".{0,20}", -2_i64..12), 0..40)) {
            let content = Value::Array(items.into_iter().map(|(text, kind)| json!([text, kind, ""])).collect());
            if let Ok(parts) = read(&content, "zh") {
                prop_assert!((1..=MOST_ITEMS).contains(&parts.len()));
            }
        }
    }
}
