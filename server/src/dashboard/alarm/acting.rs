//! Who acts, on which alarm, and to which page they come back.

use axum::response::Response;

use super::overview::views::View;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::place::Place;
use crate::dashboard::frame::reader::Reader;
use crate::engine::Actor;
use crate::ids::AlarmId;

/// The name under which they act.
pub(in crate::dashboard) fn known_as(reader: &Reader) -> String {
    reader.known_as().to_owned()
}

/// Who acts: the name they are known by, and the user they are logged in as.
pub(in crate::dashboard) fn actor(reader: &Reader) -> Actor {
    Actor { name: Some(known_as(reader)), doer: reader.doer() }
}

/// To the page from which the form came.
pub(in crate::dashboard) fn back(fields: &Fields, id: AlarmId, done: &str) -> Response {
    // Fixed words: whatever else a form says, nobody is sent elsewhere.
    go_to(&match fields.get("back") {
        "now" => format!("{}?done={done}", Place::Now),
        "dense" => format!("{}&done={done}", View::Dense.address()),
        _ => format!("{}?done={done}", Place::Alarm(id)),
    })
}

/// The alarm of an address.
///
/// # Errors
/// When it is none.
pub(in crate::dashboard) fn alarm_id(text: &str) -> Result<AlarmId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}
