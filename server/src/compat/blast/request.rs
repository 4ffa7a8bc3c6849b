//! What a blast-api client asks for: its fields, and the checks that turn them into a shout.

use android_protocol::voice::rewritten::Rewritten;
use android_protocol::voice::text;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::refused::BlastRefused;
use crate::engine::Doer;
use crate::engine::shouts::taking::{Message, ShoutRequest};
use crate::keep::media::{LONGEST_NAME, clips};
use crate::shout::schedule::{self, NotATime};
use crate::shout::{LONGEST_CALLER, LONGEST_PHONE, LONGEST_TITLE, LONGEST_USERDATA};
use crate::store::access::keys::KeyRow;
use crate::visible;

/// A handset says no more.
const LONGEST_MESSAGE: usize = text::LONGEST;
const LONGEST_LANGUAGE: usize = 16;
/// The field of sound: a file, or the name of a clip.
const RECORDING: &str = "recording";

/// What a client has sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Its fields.
    pub fields: Map<String, Value>,
    /// The file of the field `recording`.
    pub recording: Option<Vec<u8>>,
}

impl From<Map<String, Value>> for Sent {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields, recording: None }
    }
}

/// How long a body may be: with a file, longer by that.
#[must_use]
pub fn longest(headers: &HeaderMap, body_limit: usize) -> usize {
    if kind(headers) == MULTIPART { body_limit.saturating_add(clips::largest()) } else { body_limit }
}

const MULTIPART: &str = "multipart/form-data";

fn kind(headers: &HeaderMap) -> String {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body by its content type: JSON, a form, or a multipart form. A field that stands several times is a list of its values.
///
/// # Errors
/// Why it cannot be read.
pub async fn read(headers: &HeaderMap, body: Bytes) -> Result<Sent, BlastRefused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind(headers).as_str() {
        "application/json" | "" if body.iter().all(u8::is_ascii_whitespace) => Ok(Sent::default()),
        "application/json" | "" => match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(fields.into()),
            Ok(_) => Err(BlastRefused::Value("Invalid data: expected an object".to_owned())),
            Err(why) => Err(BlastRefused::Json(why.to_string())),
        },
        "application/x-www-form-urlencoded" => {
            Ok(together(form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.into_owned()))).into())
        }
        MULTIPART => {
            let mut request = Request::new(Body::from(body));
            request.headers_mut().clone_from(headers);
            let broken = |_| BlastRefused::Multipart;
            // It has been read already, within its limit.
            DefaultBodyLimit::disable().apply(&mut request);
            let mut parts = Multipart::from_request(request, &()).await.map_err(|_| BlastRefused::Multipart)?;
            let (mut pairs, mut recording) = (Vec::new(), None);
            while let Some(part) = parts.next_field().await.map_err(broken)? {
                let is_file = part.file_name().is_some();
                match part.name().map(str::to_owned) {
                    Some(name) if name == RECORDING && is_file => {
                        let file = Vec::from(part.bytes().await.map_err(broken)?);
                        if file.len() > clips::largest() {
                            return Err(BlastRefused::TooLarge(format!("{RECORDING} has at most 5 MiB")));
                        }
                        // What a form has an input for, and nobody has chosen a file for.
                        recording = Some(file).filter(|file| !file.is_empty()).or(recording);
                    }
                    Some(name) if !is_file => {
                        pairs.push((name, String::from_utf8_lossy(&part.bytes().await.map_err(broken)?).into_owned()));
                    }
                    _ => {}
                }
            }
            Ok(Sent { fields: together(pairs.into_iter()), recording })
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
    (old, sound, most): (Option<i64>, Option<Rewritten>, usize),
    now: DateTime<Utc>,
) -> Result<ShoutRequest, BlastRefused> {
    let schedule = schedule(fields, now)?;
    let userdata = field(fields, "userdata", LONGEST_USERDATA)?.ok_or(BlastRefused::NoUserdata)?;
    let recipients = recipients(fields, most)?;
    let title = field(fields, "title", LONGEST_TITLE)?;
    let caller = field(fields, "caller", LONGEST_CALLER)?;
    let words = field(fields, "message", LONGEST_MESSAGE)?;
    let language = field(fields, "language", LONGEST_LANGUAGE)?;
    let clip = field(fields, RECORDING, LONGEST_NAME)?;
    let ways = [
        old.map(Message::Of),
        words.map(|text| Message::Words { text, language }),
        sound.map(Message::Sound),
        clip.map(Message::Clip),
    ];
    let mut ways = ways.into_iter().flatten();
    let message = match (ways.next(), ways.next()) {
        (Some(_), Some(_)) => {
            return Err(BlastRefused::Value("Give one of message, recording and old-shout-id, not several".to_owned()));
        }
        (Some(message), None) => message,
        (None, _) if caller.is_none() => return Err(BlastRefused::NoCaller),
        (None, _) => Message::ByPhone,
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
        form: None,
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
