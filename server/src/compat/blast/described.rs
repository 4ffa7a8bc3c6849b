//! What the description of the API says of blast-api's addresses: their parameters, bodies and answers, and that refusals are in its words.

use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr};
use utoipa::{OpenApi, ToSchema};

use super::{Call, Shout};
use crate::http::document::operations;

/// What a shout is made of. A form has the same fields; there `recipients` stands several times.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what super::request reads")]
pub struct BlastShoutForm {
    /// A name space of this key, at most 250 characters.
    userdata: String,
    /// Numbers.
    recipients: Vec<String>,
    /// Whose phone the message is spoken on, at most 16 characters; not needed where there is a message.
    caller: Option<String>,
    /// What its sender calls it, at most 250 characters.
    title: Option<String>,
    /// When it goes out: RFC 3339 with a zone.
    schedule: Option<String>,
    /// The message in words, at most 600 characters.
    message: Option<String>,
    /// The language of `message`.
    language: Option<String>,
    /// The message as sound: the name of a clip, or, in a multipart form, a file.
    recording: Option<String>,
    /// The shout whose message is sent again.
    #[serde(rename = "old-shout-id")]
    old_shout_id: Option<i64>,
}

/// A number that is called no more.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes an answer")]
pub struct BlastOptedOut {
    number: String,
}

/// Why something is refused.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes an answer")]
pub struct BlastDetail {
    detail: String,
}

/// The last shouts of a name space of this key, oldest first.
#[utoipa::path(get, path = "/api/v1/shouts", tag = "shouts",
    params(("userdata" = String, Query, description = "Which name space")),
    responses((status = 200, description = "Its shouts", body = Vec<Shout>),
        (status = 404, description = "userdata is missing"),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::list")]
fn list() {}

/// Sends a message to many people.
#[utoipa::path(post, path = "/api/v1/shouts", tag = "shouts",
    request_body(description = "The shout; a form or a multipart form has the same fields", content(
        (BlastShoutForm = "application/json"), (BlastShoutForm = "application/x-www-form-urlencoded"),
        (BlastShoutForm = "multipart/form-data"))),
    responses((status = 200, description = "The shout as it stands now", body = Shout),
        (status = 404, description = "userdata or recipients are missing, or there is no such earlier shout"),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::make")]
fn make() {}

/// A shout.
#[utoipa::path(get, path = "/api/v1/shouts/{id}", tag = "shouts",
    params(("id" = i64, Path, description = "Its id")),
    responses((status = 200, description = "As it stands now", body = Shout),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::show")]
fn show() {}

/// Takes a shout back.
#[utoipa::path(delete, path = "/api/v1/shouts/{id};cancel", tag = "shouts", operation_id = "shouts_cancel",
    params(("id" = i64, Path, description = "Its id")),
    responses((status = 201, description = "It is taken back, or was over before; there is no body"),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::cancel")]
fn cancel() {}

/// The calls of a shout, in the order of its recipients.
#[utoipa::path(get, path = "/api/v1/calls", tag = "shouts",
    params(("shout-id" = i64, Query, description = "Of which shout")),
    responses((status = 200, description = "Its calls", body = Vec<Call>),
        (status = 404, description = "shout-id is missing, or there is no such shout"),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::calls")]
fn calls() {}

/// Who opted out of the shouts of a name space.
#[utoipa::path(get, path = "/api/v1/dnc/{userdata}", tag = "shouts",
    params(("userdata" = String, Path, description = "Which name space")),
    responses((status = 200, description = "Their numbers", body = Vec<BlastOptedOut>),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::opted_out")]
fn opted_out() {}

/// Lets the shouts of a name space call a number again.
#[utoipa::path(delete, path = "/api/v1/dnc/{userdata}/{number}", tag = "shouts",
    params(("userdata" = String, Path, description = "Which name space"), ("number" = String, Path, description = "The number")),
    responses((status = 201, description = "It may be called again; there is no body"),
        (status = 200, description = "It might be before: a sentence says so", body = String, content_type = "application/json"),
        (status = 401, description = "A key is needed, or it is wrong")))]
#[expect(dead_code, reason = "describes super::opt_in")]
fn opt_in() {}

#[derive(OpenApi)]
#[openapi(paths(list, make, show, cancel, calls, opted_out, opt_in), components(schemas(BlastDetail)))]
struct Described;

/// These addresses, as they are described.
#[must_use]
pub fn document() -> Document {
    Described::openapi()
}

/// Says that whatever is refused here is said in its words: an object with `detail`, or a sentence alone.
pub fn tell_words(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        if !super::is_ours(path) {
            continue;
        }
        for (_, operation) in operations(item) {
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else { continue };
                if status.starts_with('2') {
                    continue;
                }
                let detail = Ref::from_schema_name("BlastDetail");
                let content = match status.as_str() {
                    "400" | "404" => {
                        let sentence = ObjectBuilder::new().schema_type(Type::String);
                        Content::new(Some(OneOfBuilder::new().item(detail).item(sentence)))
                    }
                    _ => Content::new(Some(detail)),
                };
                response.content.clear();
                response.content.insert("application/json".to_owned(), RefOr::T(content));
            }
        }
    }
}
