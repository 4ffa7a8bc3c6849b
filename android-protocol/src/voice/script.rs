//! What a handset is told to say in a call, and what the keys mean: data, run by [`super::conversation`] without the server.
//!
//! Read as leniently as the rest of the native protocol: a key that is unknown or of the wrong kind counts as missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{lenient, lenient_map, lenient_or_default, optional_text, seconds};

/// Most states of a menu; further ones are not there.
pub const MOST_STATES: usize = 20;

/// The state in which a menu begins.
pub const START: &str = "start";

/// What a call says and asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The text to speak.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// A recording to play in place of `say`.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub play: Option<Clip>,
    /// Language tag of every text here.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How often it is said; once where nothing is said.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// Silence between two times.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
    /// What each key does: an action's word.
    #[serde(default, deserialize_with = "lenient_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// How long a key is waited for after the last time.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub key_wait_seconds: Option<u64>,
    /// What is said after an action, before hanging up.
    #[serde(default, deserialize_with = "lenient_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub thanks: BTreeMap<String, String>,
    /// Recordings to play in place of these.
    #[serde(default, deserialize_with = "lenient_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub thanks_play: BTreeMap<String, Clip>,
    /// What is said after a key that means nothing.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub invalid_key_say: Option<String>,
    /// A recording to play in place of that.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub invalid_key_play: Option<Clip>,
    /// That the callee may leave a message, and how.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordRule>,
    /// What to do about machines that answer.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineRule>,
    /// States by name, beginning with [`START`]; then `say`, `play`, `repeat`, `keys` and `key_wait_seconds` above do not count.
    #[serde(default, deserialize_with = "lenient_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub menu: BTreeMap<String, MenuState>,
    /// After what it says, which may be nothing, the call goes on in silence: until it is told otherwise, is dropped, or has lasted as long as it may.
    #[serde(default, deserialize_with = "lenient_or_default", skip_serializing_if = "std::ops::Not::not")]
    pub stay: bool,
    /// The call ends after so long, whatever happens.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u64>,
}

/// A recording on the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Clip {
    /// Its id, as it stands in its address.
    #[serde(default, deserialize_with = "crate::wire::text")]
    pub media: String,
    /// Of its bytes, in hexadecimal.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// How a message of the callee is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRule {
    /// The key that begins it; in a menu it begins by itself.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The call itself is recorded, the callee's side of it: from the `answer` on, or from when all was `said` once. Then no message is.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The longest message.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u64>,
    /// Silence that ends it.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<u64>,
    /// Whether a tone says that it begins.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub beep: Option<bool>,
    /// In a menu, what comes afterwards: an action, or `go:STATE`.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
}

/// What to do about machines that answer. The times are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRule {
    /// Whether to guess at all.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub detect: Option<bool>,
    /// Whether to say nothing before the guess.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// See [`super::detector::Times::initial`].
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub initial: Option<u64>,
    /// See [`super::detector::Times::greeting`].
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub greeting: Option<u64>,
    /// See [`super::detector::Times::after`].
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// See [`super::detector::Times::total`].
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// `once`: to a person it is said one time only.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub on_human: Option<String>,
    /// `once` or `say_once`: to a machine it is said one time; `after_silence`: one time, when its greeting is over.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub on_machine: Option<String>,
    /// `once` or `twice`.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub on_unknown: Option<String>,
    /// For `after_silence`: how much of it means that the greeting is over.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<u64>,
    /// For `after_silence`: after so long it is said all the same.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub silence_max_ms: Option<u64>,
}

/// One state of a menu.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuState {
    /// The text to speak.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// A recording to play in place of `say`.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub play: Option<Clip>,
    /// What the callee has recorded last in this call is played in place of both.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub replay: Option<bool>,
    /// What each key does: an action, or `go:STATE`.
    #[serde(default, deserialize_with = "lenient_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// How long a key is waited for each time.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// How often it is said before `silent`; once where nothing is said.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What any other key does: an action, or `go:STATE`. Without it the key is asked for again.
    #[serde(default, rename = "else", deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
    /// What happens without a key: an action, or `go:STATE`. Without it the call ends.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
    /// That the callee's words are recorded here, after what is said.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordRule>,
}

/// Something that can be heard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Utterance {
    /// A text, in the language of the script.
    Text(String),
    /// A recording.
    Clip(Clip),
    /// The tone before a message is recorded.
    Beep,
}

/// What is said in a place: the recording, else the text; nothing for a text without anything to say.
#[must_use]
pub fn utterance(say: Option<&String>, play: Option<&Clip>) -> Option<Utterance> {
    let clip = play.filter(|clip| !clip.media.is_empty()).map(|clip| Utterance::Clip(clip.clone()));
    clip.or_else(|| say.filter(|text| !text.trim().is_empty()).map(|text| Utterance::Text(text.clone())))
}

impl Script {
    /// The menu's states, of which [`START`] must be one: without it there are none.
    pub fn states(&self) -> impl Iterator<Item = (&String, &MenuState)> {
        let start = self.menu.get_key_value(START);
        let others = self.menu.iter().filter(|(name, _)| *name != START).take(MOST_STATES - 1);
        start.into_iter().chain(others).take(if start.is_some() { MOST_STATES } else { 0 })
    }

    /// What it says first: what the call is made for.
    #[must_use]
    pub fn message(&self) -> Option<Utterance> {
        match self.menu.get(START) {
            Some(start) => utterance(start.say.as_ref(), start.play.as_ref()),
            None => utterance(self.say.as_ref(), self.play.as_ref()),
        }
    }

    /// What is said after an action.
    #[must_use]
    pub fn thanks_for(&self, action: &str) -> Option<Utterance> {
        utterance(self.thanks.get(action), self.thanks_play.get(action))
    }

    /// What is said after a key that means nothing.
    #[must_use]
    pub fn invalid_key(&self) -> Option<Utterance> {
        utterance(self.invalid_key_say.as_ref(), self.invalid_key_play.as_ref())
    }

    /// Everything that the call may have to say: to be made ready before it is dialled.
    #[must_use]
    pub fn utterances(&self) -> Vec<Utterance> {
        let menu = self.states().filter_map(|(_, state)| utterance(state.say.as_ref(), state.play.as_ref()));
        let mut all: Vec<Utterance> = utterance(self.say.as_ref(), self.play.as_ref())
            .into_iter()
            .chain(menu)
            .chain(self.thanks.keys().chain(self.thanks_play.keys()).filter_map(|action| self.thanks_for(action)))
            .chain(self.invalid_key())
            .collect();
        let leaves_message = self.record.as_ref().is_some_and(|rule| rule.from.is_none());
        let records = leaves_message || self.states().any(|(_, state)| state.record.is_some());
        if records {
            all.push(Utterance::Beep);
        }
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// The script that the protocol's description shows.
    const SHOWN: &str = r#"{"say":"Disk full on db1","language":"en","repeat":2,"pause_ms":3000,
        "keys":{"1":"accept","2":"decline","5":"stop_calling"},"key_wait_seconds":15,
        "thanks":{"accept":"Thank you.","decline":"I will call the next one."},"invalid_key_say":"…",
        "record":{"key":"3","max_seconds":60,"silence_ms":3000,"beep":true},
        "machine":{"detect":true,"on_machine":"say_once"},"max_seconds":180}"#;

    #[test]
    fn the_shown_script_comes_back() {
        let script: Script = serde_json::from_str(SHOWN).unwrap();
        assert_eq!(script.keys["5"], "stop_calling");
        assert_eq!(
            (script.repeat, script.pause_ms, script.key_wait_seconds, script.max_seconds),
            (Some(2), Some(3000), Some(15), Some(180))
        );
        assert_eq!(script.utterances().len(), 5, "{:?}", script.utterances());
        let again: Script = serde_json::from_str(&serde_json::to_string(&script).unwrap()).unwrap();
        assert_eq!(again, script);
    }

    #[test]
    fn what_is_unknown_or_wrong_does_not_lose_the_rest() {
        let script: Script = serde_json::from_str(
            r#"{"say":7,"dance":{"with":"me"},"keys":{"1":"accept","2":{"a":1}},"repeat":"2","machine":"yes","menu":{"start":{"say":"x"},"b":"x"}}"#,
        )
        .unwrap();
        assert_eq!((script.say.as_deref(), script.repeat, script.machine), (Some("7"), Some(2), None));
        assert_eq!((script.keys.len(), script.menu.len()), (1, 1));
        assert_eq!(serde_json::from_str::<Script>(r#"{"keys":null,"thanks":[]}"#).unwrap(), Script::default());
    }

    #[test]
    fn a_recording_stands_before_a_text() {
        let clip = Clip { media: "m1".into(), sha256: None };
        assert_eq!(utterance(Some(&"a".into()), Some(&clip)), Some(Utterance::Clip(clip)));
        assert_eq!(utterance(Some(&"a".into()), Some(&Clip::default())), Some(Utterance::Text("a".into())));
        assert_eq!(utterance(Some(&" ".into()), None), None);
        let played = Clip { media: "m1".into(), sha256: None };
        let script = Script {
            thanks: BTreeMap::from([("accept".to_owned(), "T".to_owned()), ("decline".to_owned(), "D".to_owned())]),
            thanks_play: BTreeMap::from([("accept".to_owned(), played.clone())]),
            invalid_key_say: Some("Wrong".to_owned()),
            invalid_key_play: Some(Clip::default()),
            ..Script::default()
        };
        let all = [Utterance::Text("D".into()), Utterance::Text("Wrong".into()), Utterance::Clip(played)];
        assert_eq!(script.utterances(), all, "what is played in place of a text is got ready, and that text is not");
    }
}
