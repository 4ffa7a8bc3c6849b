//! Anything that can post JSON or a form: the fields are looked for by the names that are common.
//!
//! A key may say by JSON Pointers where the fields of a foreign form stand ([`Places`]); it keeps what was checked here.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::said::{Message, Said, tags, whom};
use super::{Reader, Signal, Unreadable, Word, priority};
use crate::visible;

/// How it is read.
pub const READER: Reader = Reader { also: &["webhook", "json"], ..Reader::of("generic", read) };

const STATE: &[&str] = &["state", "status", "event_type", "type"];
const SUMMARY: &[&str] = &["summary", "title", "subject", "name", "message", "msg", "text"];
const DETAILS: &[&str] = &["details", "description", "body", "message"];
const KEY: &[&str] = &["dedup_key", "alias", "fingerprint", "id"];
const PRIORITY: &[&str] = &["priority", "severity", "level", "urgency"];
const LINK: &[&str] = &["url", "link"];
const WHOM: &[&str] = &["phones", "phone"];
const AT: &[&str] = &["time", "timestamp", "at"];
const LABELS: &[&str] = &["labels", "tags"];
const BY: &[&str] = &["by", "user", "author"];
/// So begins the key in our recipe for Netdata, and so it ends with its own name of the alarm by which it tries its notifications.
const NETDATA: (&str, &str) = ("netdata/", "/test_alarm");
/// So begins the key in our recipe for `LibreNMS`, which numbers its states.
const LIBRENMS: &str = "librenms/";

/// Where the fields of a foreign form stand, and which of its words say that it is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Places {
    /// Each field with its JSON Pointer (RFC 6901).
    pub pointers: BTreeMap<String, String>,
    /// What stands at the place of the state when it is over; where these are said, nothing else means that.
    pub resolved: Vec<String>,
}

/// The fields that may be placed.
pub const PLACED: [&str; 10] = ["state", "summary", "details", "dedup_key", "priority", "url", "phones", "time", "labels", "by"];
/// Other names for them.
const ALSO_PLACED: [(&str, &str); 5] =
    [("title", "summary"), ("description", "details"), ("key", "dedup_key"), ("link", "url"), ("phone", "phones")];

/// A pointer is no longer, in bytes.
const LONGEST_POINTER: usize = 200;
/// It leads no deeper.
const DEEPEST: usize = 20;
/// So many words may mean that it is over.
const MOST_WORDS: usize = 20;
/// Each of them is no longer, in characters.
const LONGEST_WORD: usize = 60;

/// Why a place cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPlace {
    /// There is no such field.
    #[error("{0:?} is no field that can be placed: there are {all}", all = PLACED.join(", "))]
    NoField(String),
    /// The text is no JSON Pointer.
    #[error(
        "{field}: {pointer:?} is no JSON Pointer: write a / before each name on the way, such as /alert/title or /alerts/0, and \
             in a name ~1 for / and ~0 for ~"
    )]
    NoPointer {
        /// Of which field.
        field: String,
        /// What was said.
        pointer: String,
    },
    /// It is too long.
    #[error("{0}: a JSON Pointer has {LONGEST_POINTER} bytes and {DEEPEST} names at most")]
    TooLong(String),
    /// There are too many words.
    #[error("{MOST_WORDS} words at most can mean that it is over, each of 1 to {LONGEST_WORD} characters")]
    Words,
    /// Nothing says where the state stands.
    #[error(
        "words that mean that it is over are looked for at the place of the state: say that as well, such as state=/alert/status"
    )]
    NoState,
}

/// Whether a text is a JSON Pointer to something inside a message.
fn is_pointer(text: &str) -> bool {
    let escapes_are_whole = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escapes_are_whole && !text.chars().any(char::is_control)
}

impl Places {
    /// The field of a name, by its own or another one.
    #[must_use]
    pub fn field(name: &str) -> Option<&'static str> {
        let also = ALSO_PLACED.iter().find(|(other, _)| *other == name).map(|(_, own)| *own);
        PLACED.into_iter().find(|own| *own == name).or(also)
    }

    /// Says where a field stands; nowhere, where the pointer is empty.
    ///
    /// # Errors
    /// When there is no such field, or the text is no pointer.
    pub fn place(&mut self, name: &str, pointer: &str) -> Result<(), WrongPlace> {
        let field = Self::field(name.trim()).ok_or_else(|| WrongPlace::NoField(name.to_owned()))?;
        let pointer = pointer.trim();
        if pointer.is_empty() {
            self.pointers.remove(field);
            return Ok(());
        }
        if pointer.len() > LONGEST_POINTER || pointer.matches('/').count() > DEEPEST {
            return Err(WrongPlace::TooLong(field.to_owned()));
        }
        if !is_pointer(pointer) {
            return Err(WrongPlace::NoPointer { field: field.to_owned(), pointer: pointer.to_owned() });
        }
        self.pointers.insert(field.to_owned(), pointer.to_owned());
        Ok(())
    }

    /// Says which words mean that it is over.
    ///
    /// # Errors
    /// When they are too many or too long.
    pub fn say_resolved(&mut self, words: &[String]) -> Result<(), WrongPlace> {
        let words: Vec<String> = words.iter().map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect();
        let is_word = |word: &String| word.chars().count() <= LONGEST_WORD && !word.chars().any(char::is_control);
        if words.len() > MOST_WORDS || !words.iter().all(is_word) {
            return Err(WrongPlace::Words);
        }
        self.resolved = words;
        Ok(())
    }

    /// Looks whether all of it means something together.
    ///
    /// # Errors
    /// When there are words for a state that stands nowhere.
    pub fn check(&self) -> Result<(), WrongPlace> {
        match self.resolved.is_empty() || self.pointers.contains_key(STATE[0]) {
            true => Ok(()),
            false => Err(WrongPlace::NoState),
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pointers.is_empty() && self.resolved.is_empty()
    }

    /// The message with the fields that are placed under their own names. What does not stand at its place is looked for by the common
    /// names, as without.
    #[must_use]
    pub fn put(&self, mut body: Value) -> Value {
        let found: Vec<(String, Value)> =
            self.pointers.iter().filter_map(|(name, pointer)| Some((name.clone(), said_at(&body, pointer)?.clone()))).collect();
        if let Value::Object(members) = &mut body {
            members.extend(found);
        }
        if !self.resolved.is_empty()
            && let Some(word) = self.over_or_not(&body)
        {
            body[STATE[0]] = word.into();
        }
        body
    }

    /// The state in a common word, where the key's own words decide.
    fn over_or_not(&self, body: &Value) -> Option<&'static str> {
        // Whatever says it where the key's own place says nothing: the words are the key's, not those of all senders.
        let said = Said(body).first(STATE)?;
        match self.resolved.contains(&said.to_lowercase()) {
            true => Some("resolved"),
            // In doubt somebody is rung.
            false => (state(&said) == Some(Word::Resolved)).then_some("firing"),
        }
    }
}

/// What stands at a place; `None` where that is null or blank, which would hide what another field says.
fn said_at<'b>(body: &'b Value, pointer: &str) -> Option<&'b Value> {
    let value = body.pointer(pointer)?;
    let is_blank = value.is_null() || value.as_str().is_some_and(visible::is_blank);
    (!is_blank).then_some(value)
}

/// A state in the words that are common.
fn state(word: &str) -> Option<Word> {
    let word = word.trim().to_lowercase();
    Some(match word.as_str() {
        "firing" | "alerting" | "problem" | "triggered" | "trigger" | "down" | "critical" | "warning" | "error" | "failure"
        | "failed" | "1" | "true" | "alarm" | "alert" | "open" | "raised" | "unknown" => Word::Firing,
        "resolved" | "resolve" | "ok" | "recovered" | "recovery" | "up" | "clear" | "cleared" | "0" | "false" | "success"
        | "closed" | "fixed" | "normal" => Word::Resolved,
        "acknowledged" | "acknowledge" | "ack" | "acknowledgement" => Word::Acknowledged { by: None, note: None },
        "test" | "testing" => Word::Test,
        _ => return None,
    })
}

/// A state that means something else with one sender, who is known by the key: 2 is *critical* with most, and *acknowledged* with `LibreNMS`.
fn state_of(word: &str, key: Option<&str>) -> Option<Word> {
    let key = key.unwrap_or_default();
    if key.starts_with(LIBRENMS) && word.trim() == "2" {
        return Some(Word::Acknowledged { by: None, note: None });
    }
    state(word)
}

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    // Some can only be given an address: then the fields stand there.
    let field = |names: &[&str]| said.first(names).or_else(|| names.iter().find_map(|name| message.in_address(name)));
    let key = field(KEY);
    let (word, told) = match field(STATE) {
        None => (Word::Firing, None),
        Some(text) => match state_of(&text, key.as_deref()) {
            Some(word) => (word, Some(text)),
            // A form in which another thing is called so, such as an event's type: it fires.
            None => (Word::Firing, None),
        },
    };
    let word = match word {
        _ if key.as_deref().is_some_and(|key| key.starts_with(NETDATA.0) && key.ends_with(NETDATA.1)) => Word::Test,
        Word::Acknowledged { .. } => Word::Acknowledged { by: field(BY), note: field(DETAILS) },
        other => other,
    };
    let summary = match (field(SUMMARY), &word) {
        (Some(summary), _) => summary,
        (None, Word::Firing) => {
            let why = format!("nothing says what is wrong: none of {} is there", SUMMARY.join(", "));
            return Err(Unreadable::new("summary", why));
        }
        (None, _) => String::new(),
    };
    let details = DETAILS.iter().filter_map(|name| field(&[name])).find(|text| *text != summary).unwrap_or_default();
    // A word for the state may say how bad it is, as with Netdata: WARNING, CRITICAL.
    let urgency = field(PRIORITY).and_then(|word| priority(&word)).or_else(|| told.as_deref().and_then(priority));
    let labels = LABELS.iter().filter_map(|name| said.get(name)).fold(BTreeMap::new(), |mut all, each| {
        all.extend(labels(each));
        all
    });
    Ok(vec![Signal {
        word,
        key,
        priority: urgency,
        summary,
        details,
        labels,
        link: field(LINK),
        whom: WHOM.iter().find_map(|name| said.get(name)).map_or_else(Vec::new, |named| whom(Some(named))),
        at: AT.iter().find_map(|name| said.instant(name, TimeDelta::zero())),
        holds_until: None,
    }])
}

/// Labels as an object, as a list of `name=value`, or as a text with commas.
fn labels(said: Said<'_>) -> BTreeMap<String, String> {
    if said.0.is_object() {
        return said.texts();
    }
    let each: Vec<String> = whom(Some(said));
    tags(each.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::Priority;
    use serde_json::json;

    fn read_one(body: Value) -> Signal {
        read(&Message { body, ..Message::default() }).unwrap().remove(0)
    }

    #[test]
    fn a_place_where_nothing_stands_hides_nothing_and_ends_nothing() {
        let pointers = [("summary", "/alert/title"), ("state", "/alert/phase")];
        let pointers = pointers.map(|(name, pointer)| (name.to_owned(), pointer.to_owned())).into();
        let places = Places { pointers, resolved: vec!["gone".to_owned()] };
        let of = |body: Value| read_one(places.put(body));
        for blank in [json!(null), json!(""), json!(" \u{200b}")] {
            assert_eq!(of(json!({ "summary": "Pump dry", "alert": { "title": blank } })).summary, "Pump dry");
        }
        // The word of an envelope, where the key says which word counts.
        for (name, word) in [("status", "ok"), ("status", "success"), ("type", "normal"), ("event_type", "resolve")] {
            let body = json!({ name: word, "alert": { "title": "Pump dry" } });
            assert_eq!(of(body).word, Word::Firing, "{name}={word}");
        }
        assert_eq!(of(json!({ "status": "ok", "dedup_key": "p", "alert": { "phase": "Gone" } })).word, Word::Resolved);
    }

    #[test]
    fn fields_by_their_common_names() {
        let signal = read_one(json!({
            "status": "DOWN", "title": "Disk full", "message": "99 %", "alias": "db1/disk", "urgency": "P1", "link": "https://x.example",
            "tags": ["team:db", "prod"], "phones": "18712345678; Li Na", "timestamp": 1_795_834_800
        }));
        assert_eq!((signal.word, signal.summary.as_str(), signal.details.as_str()), (Word::Firing, "Disk full", "99 %"));
        assert_eq!((signal.key.as_deref(), signal.priority), (Some("db1/disk"), Some(Priority::Critical)));
        assert_eq!((signal.labels["team"].as_str(), signal.labels["prod"].as_str()), ("db", ""));
        assert_eq!(signal.whom, ["18712345678", "Li Na"]);
        assert_eq!(signal.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00+00:00");
    }

    #[test]
    fn states_in_many_words() {
        for (word, is) in [("CLEAR", Word::Resolved), ("0", Word::Resolved), ("Triggered", Word::Firing), ("Test", Word::Test)] {
            assert_eq!(read_one(json!({ "state": word, "summary": "x" })).word, is, "{word}");
        }
        // apprise says its state as the type.
        let apprise = json!({ "version": "1.0", "title": "t", "message": "m", "attachments": [], "type": "success" });
        assert_eq!(read_one(apprise).word, Word::Resolved);
        let netdata = read_one(json!({ "state": "WARNING", "severity": "WARNING", "summary": "x" }));
        assert_eq!((netdata.word, netdata.priority), (Word::Firing, Some(Priority::Normal)));
        let other = read_one(json!({ "type": "com.example.disk", "summary": "x" }));
        assert_eq!(other.word, Word::Firing, "something else is called type there");
    }

    #[test]
    fn netdata_tries_its_notifications_by_an_alarm_of_this_name() {
        for state in ["WARNING", "CRITICAL", "CLEAR"] {
            let key = "netdata/db1/test.chart/test_alarm";
            let test = read_one(json!({ "state": state, "summary": "db1: test_alarm = new value", "dedup_key": key }));
            assert_eq!((test.word, test.summary.as_str()), (Word::Test, "db1: test_alarm = new value"), "{state}");
        }
        let plc = read_one(json!({ "state": "CRITICAL", "summary": "x", "dedup_key": "plc7/test_alarm" }));
        assert_eq!(plc.word, Word::Firing, "somebody else's key");
        let other = read_one(json!({ "state": "CRITICAL", "summary": "x", "dedup_key": "netdata/db1/disk.space/test_alarms" }));
        assert_eq!(other.word, Word::Firing);
    }

    #[test]
    fn librenms_numbers_its_states() {
        let word = |key: &str, state: Value| read_one(json!({ "state": state, "summary": "x", "dedup_key": key })).word;
        for state in [json!(2), json!("2")] {
            assert!(matches!(word("librenms/17", state), Word::Acknowledged { .. }));
        }
        for state in [1, 3, 4] {
            assert_eq!(word("librenms/17", json!(state)), Word::Firing, "{state}");
        }
        assert_eq!(word("librenms/17", json!(0)), Word::Resolved);
        assert_eq!(word("db1/disk", json!(2)), Word::Firing, "with most others it is the worst state");
    }

    #[test]
    fn nothing_said_is_refused_with_what_was_looked_for() {
        let error = read(&Message { body: json!({ "foo": 1 }), ..Message::default() }).unwrap_err();
        assert!(error.field == "summary" && error.why.contains("title"), "{error}");
        assert_eq!(read_one(json!({ "state": "ok", "id": "k" })).word, Word::Resolved, "an end needs no words");
    }

    #[test]
    fn the_address_may_say_it() {
        let query = [("summary".to_owned(), "from the address".to_owned()), ("state".to_owned(), "up".to_owned())].into();
        let signal = read(&Message { body: json!({}), query, ..Message::default() }).unwrap().remove(0);
        assert_eq!((signal.word, signal.summary.as_str()), (Word::Resolved, "from the address"));
        let blank = [("title".to_owned(), "\u{feff}".to_owned()), ("dedup_key".to_owned(), " ".to_owned())].into();
        let body = json!({ "message": "99 %" });
        let signal = read(&Message { body, query: blank, ..Message::default() }).unwrap().remove(0);
        assert_eq!((signal.summary.as_str(), signal.key), ("99 %", None), "what is blank there says nothing");
    }

    #[test]
    fn a_foreign_form_is_read_by_pointers() {
        let mut places = Places::default();
        for (name, pointer) in [("title", "/a/0/what"), ("key", " /b~1c "), ("state", "/none")] {
            places.place(name, pointer).unwrap();
        }
        let body = places.put(json!({ "a": [{ "what": "hot" }], "b/c": 7 }));
        let signal = read_one(body);
        assert_eq!((signal.summary.as_str(), signal.key.as_deref(), signal.word), ("hot", Some("7"), Word::Firing));
    }

    #[test]
    fn words_of_a_key_decide_what_is_over() {
        let mut places = Places::default();
        places.say_resolved(&["Closed ".to_owned(), "2".to_owned()]).unwrap();
        assert_eq!(places.check(), Err(WrongPlace::NoState));
        places.place("state", "/s").unwrap();
        assert_eq!(places.check(), Ok(()));
        let word = |said: Value| read_one(places.put(json!({ "s": said, "summary": "x" }))).word;
        assert_eq!((word(json!("CLOSED")), word(json!(2))), (Word::Resolved, Word::Resolved));
        assert_eq!((word(json!("ok")), word(json!("open")), word(json!(null))), (Word::Firing, Word::Firing, Word::Firing));
        assert_eq!(word(json!("test")), Word::Test);
    }

    #[test]
    fn what_is_no_place_is_refused_with_a_sentence() {
        let wrong = |name: &str, pointer: &str| Places::default().place(name, pointer).unwrap_err();
        assert!(matches!(wrong("colour", "/a"), WrongPlace::NoField(_)));
        assert!(wrong("colour", "/a").to_string().contains("dedup_key"));
        for pointer in ["a/b", "/a~", "/a~2b", "/a\nb", "$.a", "#/a"] {
            assert!(matches!(wrong("summary", pointer), WrongPlace::NoPointer { .. }), "{pointer:?}");
        }
        for pointer in ["/a".repeat(21), format!("/{}", "a".repeat(200))] {
            assert_eq!(wrong("summary", &pointer), WrongPlace::TooLong("summary".to_owned()));
        }
        let mut places = Places::default();
        assert_eq!(places.say_resolved(&vec!["a".to_owned(); 21]), Err(WrongPlace::Words));
        places.place("summary", "/a").unwrap();
        places.place("summary", "").unwrap();
        assert!(places.is_empty());
    }

    #[test]
    fn places_read_back_as_they_are_kept() {
        let mut places = Places::default();
        places.place("url", "/links/0").unwrap();
        let kept = serde_json::to_string(&places).unwrap();
        assert_eq!(serde_json::from_str::<Places>(&kept).unwrap(), places);
    }

    proptest::proptest! {
        #[test]
        fn a_pointer_that_is_kept_leads_to_what_it_names(names in proptest::collection::vec("[a-z~/ .0-9]{1,6}", 1..6)) {
            let escaped = |name: &String| name.replace('~', "~0").replace('/', "~1");
            let pointer: String = names.iter().map(|name| format!("/{}", escaped(name))).collect();
            let body = names.iter().rev().fold(json!("hot"), |inner, name| json!({ name.as_str(): inner }));
            let mut places = Places::default();
            // Blanks around it were typed beside it.
            if pointer.trim() == pointer {
                proptest::prop_assert_eq!(places.place("summary", &pointer), Ok(()));
                proptest::prop_assert_eq!(&places.put(body)["summary"], &json!("hot"));
            }
        }

        #[test]
        fn no_text_makes_a_place_panic(pointer: String, said: String) {
            let mut places = Places::default();
            let _ = places.place("state", &pointer);
            let _ = places.say_resolved(std::slice::from_ref(&said));
            let _ = places.put(json!({ "state": said, "a": [1] }));
            let _ = places.put(json!([said]));
        }
    }
}
