//! What a blast-api client asks for: its fields, and the checks that turn them into a shout.

use android_protocol::voice::text;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::refused::BlastRefused;
use crate::engine::Doer;
use crate::engine::shouts::taking::{Message, ShoutRequest};
use crate::shout::schedule::{self, NotATime};
use crate::store::access::keys::KeyRow;
use crate::visible;

const LONGEST_USERDATA: usize = 250;
const LONGEST_TITLE: usize = 250;
const LONGEST_CALLER: usize = 16;
const LONGEST_PHONE: usize = 64;
/// A handset says no more.
const LONGEST_MESSAGE: usize = text::LONGEST;
const LONGEST_LANGUAGE: usize = 16;

/// Reads a body by its content type: JSON, a form, or a multipart form. A field that stands several times is a list of its values.
///
/// # Errors
/// Why it cannot be read.
pub async fn fields(headers: &HeaderMap, body: Bytes) -> Result<Map<String, Value>, BlastRefused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" | "" if body.iter().all(u8::is_ascii_whitespace) => Ok(Map::new()),
        "application/json" | "" => match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(BlastRefused::Value("Invalid data: expected an object".to_owned())),
            Err(why) => Err(BlastRefused::Json(why.to_string())),
        },
        "application/x-www-form-urlencoded" => {
            Ok(together(form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.into_owned()))))
        }
        "multipart/form-data" => {
            let mut request = Request::new(Body::from(body));
            request.headers_mut().clone_from(headers);
            let broken = |_| BlastRefused::Multipart;
            let mut parts = Multipart::from_request(request, &()).await.map_err(|_| BlastRefused::Multipart)?;
            let mut pairs = Vec::new();
            while let Some(part) = parts.next_field().await.map_err(broken)? {
                if let (Some(name), None) = (part.name().map(str::to_owned), part.file_name()) {
                    pairs.push((name, String::from_utf8_lossy(&part.bytes().await.map_err(broken)?).into_owned()));
                }
            }
            Ok(together(pairs.into_iter()))
        }
        _ => Err(BlastRefused::MediaType(content_type.chars().take(100).collect())),
    }
}

/// Fields of a form. Recipients are a list, however many there are.
fn together(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in pairs {
        if matches!(name.as_str(), "recipients" | "recipients[]") {
            if let Value::Array(list) = fields.entry("recipients").or_insert_with(|| Value::Array(Vec::new())) {
                list.push(Value::String(value));
            }
        } else {
            fields.insert(name, Value::String(value));
        }
    }
    fields
}

/// The earlier shout whose message is wanted again. It is looked for after the time and the name space, and before all else.
///
/// # Errors
/// The first thing that is wrong until then.
pub fn old_shout(fields: &Map<String, Value>, now: DateTime<Utc>) -> Result<Option<i64>, BlastRefused> {
    schedule(fields, now)?;
    field(fields, "userdata", LONGEST_USERDATA)?.ok_or(BlastRefused::NoUserdata)?;
    integer(fields, "old-shout-id")
}

fn schedule(fields: &Map<String, Value>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, BlastRefused> {
    let Some(text) = field(fields, "schedule", usize::MAX)? else { return Ok(None) };
    let read = schedule::read(&text, now).map_err(|why| match why {
        NotATime::Unreadable => BlastRefused::Schedule(quoted(&text)),
        NotATime::TooFar => BlastRefused::TooFar(quoted(&text)),
    })?;
    Ok(Some(read))
}

/// Checks the fields of a shout, in the order in which its clients know the refusals.
///
/// # Errors
/// The first thing that is wrong.
pub fn shout(
    fields: &Map<String, Value>,
    key: &KeyRow,
    by: Doer,
    (old, most): (Option<i64>, usize),
    now: DateTime<Utc>,
) -> Result<ShoutRequest, BlastRefused> {
    let schedule = schedule(fields, now)?;
    let userdata = field(fields, "userdata", LONGEST_USERDATA)?.ok_or(BlastRefused::NoUserdata)?;
    let recipients = recipients(fields, most)?;
    let title = field(fields, "title", LONGEST_TITLE)?;
    let caller = field(fields, "caller", LONGEST_CALLER)?;
    let words = field(fields, "message", LONGEST_MESSAGE)?;
    let language = field(fields, "language", LONGEST_LANGUAGE)?;
    let message = match (old, words) {
        (Some(_), Some(_)) => return Err(BlastRefused::Value("Give message or old-shout-id, not both".to_owned())),
        (Some(id), None) => Message::Of(id),
        (None, Some(text)) => Message::Words { text, language },
        (None, None) if caller.is_none() => return Err(BlastRefused::NoCaller),
        (None, None) => Message::ByPhone,
    };
    Ok(ShoutRequest {
        key: key.id,
        source: key.name.clone(),
        by,
        userdata,
        title,
        caller: caller.unwrap_or_default(),
        recipients,
        schedule,
        message,
    })
}

/// A text without control characters; `None` where it is absent or empty.
fn field(fields: &Map<String, Value>, name: &str, longest: usize) -> Result<Option<String>, BlastRefused> {
    let text = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) if name != "schedule" => number.to_string(),
        Some(_) => return Err(BlastRefused::Value(format!("{name} has to be a string"))),
    };
    if text.chars().count() > longest {
        return Err(BlastRefused::Value(format!("{name} is longer than {longest} characters")));
    }
    let breaks = |c: char| name == "message" && matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(|c| c.is_control() && !breaks(c)) {
        return Err(BlastRefused::Value(format!("{name} holds control characters")));
    }
    // What shows nothing, and is not said, is not there.
    Ok(Some(text).filter(|text| !visible::is_blank(text)))
}

fn integer(fields: &Map<String, Value>, name: &str) -> Result<Option<i64>, BlastRefused> {
    let read = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    read.map(Some).ok_or_else(|| BlastRefused::Value(format!("{name} has to be an integer")))
}

fn recipients(fields: &Map<String, Value>, most: usize) -> Result<Vec<String>, BlastRefused> {
    let list = match fields.get("recipients") {
        None | Some(Value::Null) => return Err(BlastRefused::NoRecipients),
        Some(Value::Array(list)) => list,
        Some(Value::String(text)) if text.is_empty() => return Err(BlastRefused::NoRecipients),
        Some(_) => return Err(BlastRefused::Value("recipients has to be an array of strings".to_owned())),
    };
    if list.len() > most {
        return Err(BlastRefused::Value(format!("recipients has more than {most} numbers (shouts.most_recipients)")));
    }
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    };
    let may = |text: &String| text.chars().count() <= LONGEST_PHONE && !text.chars().any(char::is_control);
    let read: Option<Vec<String>> = list.iter().map(|value| one(value).filter(may)).collect();
    let wrong = || BlastRefused::Value(format!("recipients has to be an array of strings of at most {LONGEST_PHONE} characters"));
    let read: Vec<String> = read.ok_or_else(wrong)?.into_iter().filter(|text| !text.is_empty()).collect();
    if read.is_empty() { Err(BlastRefused::NoRecipients) } else { Ok(read) }
}

/// What a client wrote, as far as it is worth to be repeated.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}
