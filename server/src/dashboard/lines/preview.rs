//! What a public number's handset would be sent, as its form stands: pure.

use android_protocol::sms::{Encoding, MAX_UNITS, SmsBuildError};
use askama::Template;

use super::number_form::{LineForm, label};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::{Words, escape, fill, fill_text};
use crate::engine::lines::numbers::Draft;
use crate::line::command::ComposeError;

/// The preview beside the form.
#[derive(Template)]
#[template(path = "lines/line_preview.html")]
pub(in crate::dashboard) struct LinePreview {
    words: &'static Words,
    seen: Seen,
    room: Option<Room>,
}

/// What there is to be seen.
enum Seen {
    /// Too little was typed so far.
    Nothing,
    /// It cannot be sent, and why.
    Wrong { field: String, label: &'static str, sentence: String },
    /// It can.
    Command {
        /// HTML.
        to: String,
        code: String,
        message: Option<String>,
        notes: Vec<String>,
    },
}

/// How much of the one part a message needs.
struct Room {
    used: usize,
    limit: usize,
    sentence: String,
}

impl Room {
    fn new(words: &Words, used: usize, limit: usize) -> Self {
        // The limit tells the encoding, also of what is too long.
        let encoding = if limit == MAX_UNITS { &words.encoding_ucs2 } else { &words.encoding_gsm7 };
        let bits = [("used", used.to_string()), ("limit", limit.to_string()), ("encoding", encoding.clone())];
        let bits = bits.each_ref().map(|(name, text)| (*name, text.as_str()));
        Self { used, limit, sentence: fill_text(&words.preview_room, &bits) }
    }

    fn is_too_small(&self) -> bool {
        self.used > self.limit
    }
}

impl LinePreview {
    /// For a form in which too little was typed.
    pub(in crate::dashboard) fn nothing(words: &'static Words) -> Self {
        Self { words, seen: Seen::Nothing, room: None }
    }

    /// For what cannot be sent.
    pub(in crate::dashboard) fn wrong(words: &'static Words, wrong: &Wrong, why: Option<&ComposeError>) -> Self {
        let label = label(words, &wrong.field);
        let room = match why {
            Some(ComposeError::Text(SmsBuildError::TooLong { used, limit })) => Some(Room::new(words, *used, *limit)),
            _ => None,
        };
        Self { words, seen: Seen::Wrong { field: wrong.field.clone(), label, sentence: wrong.sentence.clone() }, room }
    }

    /// For what would be sent.
    pub(in crate::dashboard) fn of(reader: &Reader, form: &LineForm, draft: &Draft) -> Self {
        let words = reader.words;
        let to = match &draft.duty {
            Some(duty) => fill(&words.preview_to, &[("who", Text(&duty.name)), ("number", Text(&reader.number(&duty.number)))]),
            None => escape(&words.preview_to_nobody),
        };
        let message = draft.preview.message.as_ref();
        let room = |encoding: Encoding| Room::new(words, encoding.used(), encoding.limit());
        let notes = draft.preview.notes.iter().map(|note| note_words(words, &form.carrier, note).to_owned()).collect();
        Self {
            words,
            room: message.map(|message| room(message.encoding)),
            seen: Seen::Command { to, code: draft.preview.code.clone(), message: message.map(|it| it.text.clone()), notes },
        }
    }
}

/// What matters on a carrier's network, in the reader's language; as it stands in the table where nobody has translated it.
fn note_words<'w>(words: &'w Words, carrier: &str, note: &'w str) -> &'w str {
    match carrier {
        "3gpp" => &words.note_standard,
        "china-unicom" => &words.note_china_unicom,
        "china-telecom" => &words.note_china_telecom,
        "bell" | "rogers" => &words.note_cancel_only,
        _ => note,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::words::Language;
    use crate::line::command;
    use crate::numbers::{Number, Region};

    #[test]
    fn every_note_is_translated_once() {
        let words = Language::Chinese.words();
        let number = Number::parse("18712345678", Region::CN).unwrap().number;
        for (id, _) in command::usable_carriers() {
            let notes = command::code(id, &[], &number, Region::CN).unwrap().notes;
            assert!(notes.len() <= 1, "{id}: a carrier's notes have one sentence");
            for note in notes {
                assert_ne!(note_words(words, id, note), note, "{id}");
            }
        }
    }

    #[test]
    fn what_is_too_long_says_how_it_is_packed() {
        let words = Language::English.words();
        let room = Room::new(words, 93, 70);
        assert!(room.is_too_small() && room.sentence.contains("93") && room.sentence.contains(&words.encoding_ucs2));
        let room = Room::new(words, 160, 160);
        assert!(!room.is_too_small() && room.sentence.contains(&words.encoding_gsm7));
    }
}
