//! A shout as the form has it, before it is one; pure.

use android_protocol::voice::text;
use chrono::{DateTime, Utc};

use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong};
use crate::dashboard::frame::typed_time::instant_of;
use crate::dashboard::frame::words::{Language, Words, fill_text};
use crate::engine::shouts::taking::Message;
use crate::ids::{PersonId, TeamId};
use crate::shout::schedule::FURTHEST;
use crate::shout::{LONGEST_PHONE, LONGEST_TITLE, LONGEST_USERDATA};
use crate::visible;

/// Between numbers that were typed or pasted; in one there may be spaces.
const BETWEEN: [char; 9] = ['\n', '\r', '\t', ',', ';', '，', '；', '、', '\u{2028}'];

/// The list that stands in an empty form.
const FIRST_LIST: &str = "main";

/// Where its message comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// It is written.
    #[default]
    Words,
    /// Somebody speaks it on the phone.
    Phone,
    /// A file comes with the form; kept, it is a clip.
    File,
    /// It is a clip.
    Clip,
    /// It is that of an earlier one.
    Earlier,
}

impl Way {
    const ALL: [Self; 5] = [Self::Words, Self::Phone, Self::File, Self::Clip, Self::Earlier];

    fn as_str(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Phone => "phone",
            Self::File => "file",
            Self::Clip => "clip",
            Self::Earlier => "earlier",
        }
    }
}

/// A shout as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    title: String,
    pub(super) list: String,
    pub(super) way: Way,
    words: String,
    language: String,
    pub(super) caller: String,
    pub(super) clip: String,
    pub(super) earlier: Option<i64>,
    pub(super) teams: Vec<TeamId>,
    pub(super) people: Vec<PersonId>,
    numbers: String,
    at: (String, String),
}

impl Draft {
    /// One in which nothing was typed yet; with the message of an earlier one, where that was asked for.
    pub(super) fn begun(caller: String, earlier: Option<i64>) -> Self {
        let way = if earlier.is_some() { Way::Earlier } else { Way::Words };
        Self { list: FIRST_LIST.to_owned(), caller, way, earlier, ..Self::default() }
    }

    /// One that somebody has filled in.
    pub(super) fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).trim().to_owned();
        Self {
            title: text("title"),
            list: text("list"),
            way: Way::ALL.into_iter().find(|way| way.as_str() == fields.get("way")).unwrap_or_default(),
            words: text("words").replace("\r\n", "\n"),
            language: text("language"),
            caller: text("caller"),
            clip: text("clip"),
            earlier: fields.get("earlier").parse().ok(),
            teams: fields.all("team").filter_map(|id| id.parse().ok()).collect(),
            people: fields.all("person").filter_map(|id| id.parse().ok()).collect(),
            numbers: text("numbers"),
            at: (text("at"), text("at_instant")),
        }
    }

    /// The numbers that were typed or pasted.
    pub(super) fn numbers(&self) -> Vec<String> {
        let short = |piece: &str| piece.chars().take(LONGEST_PHONE).collect::<String>();
        self.numbers.split(BETWEEN).map(str::trim).filter(|piece| !piece.is_empty()).map(short).collect()
    }

    /// What it is called.
    ///
    /// # Errors
    /// When that is too long.
    pub(super) fn title(&self, words: &Words) -> Result<Option<String>, Wrong> {
        if self.title.chars().count() > LONGEST_TITLE {
            let most = LONGEST_TITLE.to_string();
            return Err(Wrong::new("title", fill_text(&words.shout_bad_title, &[("most", &most)])));
        }
        Ok(Some(self.title.clone()).filter(|title| !visible::is_blank(title)))
    }

    /// Its list.
    ///
    /// # Errors
    /// When that has no name, or too long a one.
    pub(super) fn list(&self, words: &Words) -> Result<String, Wrong> {
        if visible::is_blank(&self.list) || self.list.chars().count() > LONGEST_USERDATA || self.list.contains(char::is_control) {
            let most = LONGEST_USERDATA.to_string();
            return Err(Wrong::new("list", fill_text(&words.shout_bad_list, &[("most", &most)])));
        }
        Ok(self.list.clone())
    }

    /// Its message.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn message(&self, words: &Words) -> Result<Message, Wrong> {
        match (self.way, self.earlier) {
            (Way::Words, _) if visible::is_blank(&self.words) || self.words.chars().count() > text::LONGEST => {
                let most = text::LONGEST.to_string();
                Err(Wrong::new("words", fill_text(&words.shout_bad_words, &[("most", &most)])))
            }
            (Way::Words, _) => {
                let language = Some(self.language.clone()).filter(|tag| Language::of_tag(tag).is_some());
                Ok(Message::Words { text: self.words.clone(), language })
            }
            (Way::Phone, _) => Ok(Message::ByPhone),
            (Way::File, _) => Err(Wrong::new("file", &words.shout_no_file)),
            (Way::Clip, _) if self.clip.is_empty() => Err(Wrong::new("clip", &words.shout_bad_clip)),
            (Way::Clip, _) => Ok(Message::Clip(self.clip.clone())),
            (Way::Earlier, Some(id)) => Ok(Message::Of(id)),
            (Way::Earlier, None) => Err(Wrong::new("way", &words.shout_bad_earlier)),
        }
    }

    /// When it goes out; `None`: at once.
    ///
    /// # Errors
    /// When that is no time, or too far ahead.
    pub(super) fn schedule(&self, words: &Words, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Wrong> {
        let (typed, instant) = &self.at;
        let wrong = || Wrong::new("at", fill_text(&words.shout_bad_time, &[("text", typed)]));
        let at = instant_of(typed, instant).map_err(|_| wrong())?;
        if at.is_some_and(|at| at - now > FURTHEST) { Err(wrong()) } else { Ok(at) }
    }

    /// The form's fields by name, but for people and teams, which are boxes.
    pub(super) fn fields(&self, words: &'static Words, clips: &[String], wrong: Option<&Wrong>) -> DraftFields {
        let field = |name: &str, label: &'static str, how: &str, value: &str, input: Input| {
            Field::new(name, label, how, value, input, wrong)
        };
        let ways = Way::ALL.into_iter().filter_map(|way| {
            let label = match way {
                Way::Words => words.shout_way_words.clone(),
                Way::Phone => words.shout_way_phone.clone(),
                Way::File => words.shout_way_file.clone(),
                Way::Clip if clips.is_empty() => return None,
                Way::Clip => words.shout_way_clip.clone(),
                Way::Earlier => fill_text(&words.shout_way_earlier, &[("id", &self.earlier?.to_string())]),
            };
            Some(Choice::new(way.as_str(), label))
        });
        let language = |language: Language| Choice::new(language.tag(), &language.words().language_name);
        let languages = [Choice::new("", &words.shout_language_server)].into_iter().chain(Language::ALL.map(language)).collect();
        let most = text::LONGEST.to_string();
        DraftFields {
            title: field("title", &words.shout_field_title, &words.shout_field_title_how, &self.title, Input::Line),
            list: field("list", &words.shout_field_list, &words.shout_field_list_how, &self.list, Input::Line),
            way: field("way", &words.shout_field_way, "", self.way.as_str(), Input::Choice(ways.collect())),
            words: field(
                "words",
                &words.shout_field_words,
                &fill_text(&words.shout_field_words_how, &[("most", &most)]),
                &self.words,
                Input::Lines(3),
            ),
            language: field("language", &words.shout_field_language, "", &self.language, Input::Choice(languages)),
            caller: field("caller", &words.shout_field_caller, &words.shout_field_caller_how, &self.caller, Input::Phone),
            file: field("file", &words.shout_field_file, &words.shout_field_file_how, "", Input::File("audio/wav,.wav")),
            clip: field("clip", &words.shout_field_clip, "", &self.clip, Input::Choice(Choice::names(clips))),
            numbers: field("numbers", &words.shout_field_numbers, &words.shout_field_numbers_how, &self.numbers, Input::Lines(6)),
            at: field(
                "at",
                &words.shout_field_at,
                &words.shout_field_at_how,
                &self.at.0,
                Input::Time { in_utc: &words.in_utc, instant: "at_instant".to_owned() },
            ),
        }
    }
}

/// The fields of the form.
pub(super) struct DraftFields {
    pub(super) title: Field,
    pub(super) list: Field,
    pub(super) way: Field,
    pub(super) words: Field,
    pub(super) language: Field,
    pub(super) caller: Field,
    pub(super) file: Field,
    pub(super) clip: Field,
    pub(super) numbers: Field,
    pub(super) at: Field,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Draft {
        Draft::read(&Fields::of(fields))
    }

    #[test]
    fn a_list_is_pasted_as_it_is() {
        let draft = read(&[("numbers", " 139 0000 0001\r\n+86 138,Ann;\t13900000003、13900000004，，\n")]);
        assert_eq!(draft.numbers(), ["139 0000 0001", "+86 138", "Ann", "13900000003", "13900000004"]);
        assert_eq!(read(&[("numbers", &"1".repeat(5000))]).numbers()[0].len(), LONGEST_PHONE);
    }

    #[test]
    fn what_is_wrong_stands_at_its_field() {
        let words = Language::English.words();
        let long = "x".repeat(1000);
        assert_eq!(read(&[("title", &long)]).title(words).unwrap_err().field, "title");
        assert_eq!(read(&[]).list(words).unwrap_err().field, "list");
        let message = |fields: &[(&str, &str)]| read(fields).message(words).map_err(|wrong| wrong.field);
        assert_eq!(message(&[("way", "words"), ("words", "\u{200b}")]), Err("words".to_owned()));
        assert_eq!(message(&[("way", "words"), ("words", &long)]), Err("words".to_owned()));
        assert_eq!(message(&[("way", "file")]), Err("file".to_owned()));
        assert_eq!(message(&[("way", "clip")]), Err("clip".to_owned()));
        assert_eq!(message(&[("way", "earlier"), ("earlier", "x")]), Err("way".to_owned()));
        assert_eq!(message(&[("way", "earlier"), ("earlier", "7")]), Ok(Message::Of(7)));
        assert_eq!(message(&[("way", "phone")]), Ok(Message::ByPhone));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |typed: &str| read(&[("at", typed)]).schedule(words, now).map_err(|wrong| wrong.field);
        assert_eq!(at(""), Ok(None));
        assert_eq!(at("soon"), Err("at".to_owned()));
        assert_eq!(at("9999-01-01T00:00"), Err("at".to_owned()));
        assert!(at("1970-01-01T00:00").unwrap().is_some(), "what is past is now");
    }
}
