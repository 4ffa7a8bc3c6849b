//! What is said while a call runs: commands for it, what became of them, and calls that come in.
//!
//! As everywhere in the native protocol, unknown keys are ignored by both sides, and a key of the wrong kind is treated as absent.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::voice::script::Script;
use crate::wire::{
    CODE_ALARM, CODE_UNWANTED, json_objects, lenient, lenient_list, lenient_or_default, optional_text, parse_object, seconds,
    text, to_json,
};

/// No message holds more events.
pub const MOST_EVENTS: usize = 100;

/// What was commanded came to nothing because the line was gone.
pub const HUNG_UP: &str = "hung_up";

/// A command that is older than so many seconds is of no use: it is told as too late, and never carried out.
pub const COMMAND_LIVES_SECONDS: i64 = 30;

/// No command plays more parts.
pub const MOST_PARTS: usize = 30;

/// A handset rejects a call that the server has not decided about by then.
pub const DECIDE_WITHIN_SECONDS: u64 = 20;

/// The reply to `GET live`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveReply {
    /// 0.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub code: i64,
    /// What is to be done, in this order; empty when there was nothing, or a newer request has taken the place of this one.
    #[serde(default, deserialize_with = "lenient_list")]
    pub commands: Vec<LiveCommand>,
}

impl LiveReply {
    /// A reply that holds these commands.
    #[must_use]
    pub fn new(commands: Vec<LiveCommand>) -> Self {
        Self { code: CODE_ALARM, commands }
    }
}

/// Something to be done in a call that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCommand {
    /// Rises with each command of a handset, also over restarts of both sides.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub seq: i64,
    /// The dial, or the call that came in.
    #[serde(default, deserialize_with = "text")]
    pub mid: String,
    /// The number of the call, as it was offered.
    #[serde(default, deserialize_with = "text")]
    pub call: String,
    /// What.
    #[serde(flatten, deserialize_with = "order_or_unknown")]
    pub order: LiveOrder,
}

/// What is to be done in a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum LiveOrder {
    /// Say a text, or play a clip, in place of what is said now.
    Play {
        /// What to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// In which language.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// The clip, in place of a text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media: Option<String>,
        /// Of the clip, in hexadecimal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// One after the other, in place of one text or clip: at most [`MOST_PARTS`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<LivePart>,
        /// So many times more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat: Option<u32>,
        /// The keys that end it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finish: Option<String>,
    },
    /// Stop what is said or played; also sending keys, collecting them, and recording.
    Stop,
    /// Send keys into the call.
    SendDtmf {
        /// Which, in order.
        digits: String,
    },
    /// Tell the keys that are pressed.
    Collect {
        /// So many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
        /// For so long at most; until the first key, where `between` says for how long afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
        /// The keys that count; all of them where it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid: Option<String>,
        /// The keys that end it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finish: Option<String>,
        /// For so long at most after each key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        between: Option<u64>,
    },
    /// Record what is said, once the callee has heard that it is.
    Record {
        /// For so long at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
        /// The keys that end it; any key where it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finish: Option<String>,
        /// False: without the tone before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beep: Option<bool>,
    },
    /// Join the calls that are in a room.
    Join {
        /// Its name.
        room: String,
        /// The others do not hear it.
        #[serde(default)]
        mute: bool,
        /// It does not hear the others.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deaf: bool,
    },
    /// Leave the room.
    Leave,
    /// Play this to everybody in the room that the call is in.
    RoomPlay {
        /// Its name.
        room: String,
        /// One after the other: at most [`MOST_PARTS`].
        #[serde(default)]
        parts: Vec<LivePart>,
        /// Over and over, until it is stopped.
        #[serde(default, rename = "loop", skip_serializing_if = "std::ops::Not::not")]
        looped: bool,
    },
    /// Play nothing more to the room.
    RoomStop {
        /// Its name.
        room: String,
    },
    /// Record everybody in the room that the call is in.
    RoomRecord {
        /// Its name.
        room: String,
        /// For so long at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// Record the room no longer.
    RoomEndRecording {
        /// Its name.
        room: String,
    },
    /// Hang up.
    Drop {
        /// A sentence for the callee first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        say: Option<String>,
        /// In which language.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    /// Take a call that comes in.
    Answer,
    /// Reject it.
    Reject {
        /// With this status of SIP.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<u16>,
    },
    /// Send it elsewhere.
    Redirect {
        /// To this number.
        to: String,
    },
    /// A word of a newer server, or one without what belongs to it: told as an error, and not carried out.
    #[default]
    #[serde(other)]
    Unknown,
}

impl LiveOrder {
    /// Say a text once.
    #[must_use]
    pub fn say(text: String, language: Option<String>) -> Self {
        Self::Play { text: Some(text), language, media: None, sha256: None, parts: Vec::new(), repeat: None, finish: None }
    }
}

/// One of several things that are played one after the other: a text, or a clip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivePart {
    /// What to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// In which language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The clip, in place of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Of the clip, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Reads what is to be done; what cannot be read is told as such, and not left out: somebody waits for what becomes of it.
fn order_or_unknown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LiveOrder, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// The body of `POST live`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveEvents {
    /// What happened, oldest first.
    #[serde(default, deserialize_with = "lenient_list")]
    pub events: Vec<LiveEvent>,
}

/// Something that happened in a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveEvent {
    /// Rises with each event of a handset, also over restarts: it begins at the milliseconds since 1970 at which the handset was started, or above what was used before.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub seq: i64,
    /// `seq` of the command that it is about; 0: of none.
    #[serde(default, deserialize_with = "lenient_or_default", skip_serializing_if = "is_none")]
    pub ack: i64,
    /// The dial, or the call that came in.
    #[serde(default, deserialize_with = "text")]
    pub mid: String,
    /// What happened; `None` for a word that this version does not know.
    #[serde(default, rename = "event", deserialize_with = "lenient")]
    pub word: Option<LiveWord>,
    /// More about it: the keys, the name of the recording, why it failed.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Since the call began, in milliseconds.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(ack: &i64) -> bool {
    *ack == 0
}

/// What happened in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveWord {
    /// It is being said, or played.
    Playing,
    /// It was, to its end.
    Played,
    /// It was stopped.
    Stopped,
    /// A key was pressed, the one that ended something where it names a command; or what older handsets have collected.
    Key,
    /// These keys were collected.
    Collected,
    /// Something was recorded.
    Recording,
    /// It is in the room.
    Joined,
    /// It is in the room no more.
    Left,
    /// The call is over.
    Ended,
    /// The command could not be carried out.
    Error,
}

impl LiveWord {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Playing => "playing",
            Self::Played => "played",
            Self::Stopped => "stopped",
            Self::Key => "key",
            Self::Collected => "collected",
            Self::Recording => "recording",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Ended => "ended",
            Self::Error => "error",
        }
    }
}

/// The body of `POST incoming`: somebody calls the handset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// What the handset calls it; the same each time it is told.
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    /// On which of its channels, counted from 0.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub channel: i32,
    /// Who calls, as the network says.
    #[serde(default, deserialize_with = "text")]
    pub from: String,
    /// Whom.
    #[serde(default, deserialize_with = "text")]
    pub to: String,
    /// In which forms sound can be exchanged.
    #[serde(default, deserialize_with = "lenient_list")]
    pub codecs: Vec<String>,
}

impl Incoming {
    /// Reads a body; `None` if it is not a JSON object, or does not say which call it is.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        parse_object(body).filter(|call: &Self| !call.id.is_empty())
    }

    /// The body to send.
    #[must_use]
    pub fn to_body(&self) -> String {
        to_json(self)
    }
}

/// The reply to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingReply {
    /// 0: take it; anything else: reject it.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub code: i64,
    /// The name of the call from then on, as that of a dial.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub mid: String,
    /// `answer`; without it the call rings on until a command decides.
    #[serde(default, rename = "do", deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// What to say, and what the keys mean.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
}

impl IncomingReply {
    /// Take the call, and say that.
    #[must_use]
    pub fn answer(mid: String, script: Script) -> Self {
        Self { code: CODE_ALARM, mid, order: Some("answer".to_owned()), script: Some(script) }
    }

    /// Somebody will decide by a command; once it is answered, this is said.
    #[must_use]
    pub fn ring(mid: String, script: Script) -> Self {
        Self { code: CODE_ALARM, mid, order: None, script: Some(script) }
    }

    /// Nobody is there for it.
    #[must_use]
    pub fn reject() -> Self {
        Self { code: CODE_UNWANTED, ..Self::default() }
    }
}

json_objects!(LiveReply, LiveEvents, IncomingReply);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn order(order: LiveOrder) -> LiveCommand {
        LiveCommand { seq: 9, mid: "m".to_owned(), call: "13900000001".to_owned(), order }
    }

    fn parts() -> Vec<LivePart> {
        let text = LivePart { text: Some("a".into()), ..LivePart::default() };
        vec![text, LivePart { media: Some("c".into()), sha256: Some("0f".into()), ..LivePart::default() }]
    }

    #[test]
    fn commands_are_written_as_agreed_and_read_back() {
        let room = || "r".to_owned();
        let written = [
            (LiveOrder::Drop { say: None, language: None }, r#""do":"drop""#),
            (LiveOrder::say("hello".into(), Some("en".into())), r#""do":"play","text":"hello","language":"en""#),
            (LiveOrder::Stop, r#""do":"stop""#),
            (LiveOrder::SendDtmf { digits: "12#".into() }, r#""do":"send_dtmf","digits":"12#""#),
            (LiveOrder::Join { room: room(), mute: true, deaf: false }, r#""do":"join","room":"r","mute":true"#),
            (LiveOrder::Join { room: room(), mute: false, deaf: true }, r#""do":"join","room":"r","mute":false,"deaf":true"#),
            (
                LiveOrder::Play {
                    text: None,
                    language: None,
                    media: None,
                    sha256: None,
                    parts: parts(),
                    repeat: Some(2),
                    finish: Some("#".into()),
                },
                r##""do":"play","parts":[{"text":"a"},{"media":"c","sha256":"0f"}],"repeat":2,"finish":"#""##,
            ),
            (
                LiveOrder::Collect {
                    max: Some(4),
                    seconds: Some(10),
                    valid: Some("123".into()),
                    finish: Some("#*".into()),
                    between: Some(3),
                },
                r##""do":"collect","max":4,"seconds":10,"valid":"123","finish":"#*","between":3"##,
            ),
            (
                LiveOrder::Record { seconds: Some(9), finish: Some("#".into()), beep: Some(false) },
                r##""do":"record","seconds":9,"finish":"#","beep":false"##,
            ),
            (
                LiveOrder::RoomPlay { room: room(), parts: parts(), looped: true },
                r#""do":"room_play","room":"r","parts":[{"text":"a"},{"media":"c","sha256":"0f"}],"loop":true"#,
            ),
            (LiveOrder::RoomStop { room: room() }, r#""do":"room_stop","room":"r""#),
            (LiveOrder::RoomRecord { room: room(), seconds: Some(9) }, r#""do":"room_record","room":"r","seconds":9"#),
            (LiveOrder::RoomEndRecording { room: room() }, r#""do":"room_end_recording","room":"r""#),
        ];
        for (what, text) in written {
            let reply = LiveReply::new(vec![order(what)]);
            let body = reply.to_body();
            let whole = format!(r#"{{"code":0,"commands":[{{"seq":9,"mid":"m","call":"13900000001",{text}}}]}}"#);
            assert_eq!(body, whole);
            assert_eq!(LiveReply::parse(body.as_bytes()), Some(reply));
        }
    }

    #[test]
    fn what_an_older_server_leaves_out_is_as_it_was() {
        let read = |text: &str| {
            let body = format!(r#"{{"code":0,"commands":[{{"seq":9,"mid":"m","call":"13900000001",{text}}}]}}"#);
            LiveReply::parse(body.as_bytes()).unwrap().commands.remove(0).order
        };
        assert_eq!(read(r#""do":"play","text":"hello""#), LiveOrder::say("hello".into(), None));
        assert_eq!(read(r#""do":"record","seconds":9"#), LiveOrder::Record { seconds: Some(9), finish: None, beep: None });
        assert_eq!(read(r#""do":"join","room":"r""#), LiveOrder::Join { room: "r".into(), mute: false, deaf: false });
        let collect = LiveOrder::Collect { max: Some(2), seconds: None, valid: None, finish: None, between: None };
        assert_eq!(read(r#""do":"collect","max":2"#), collect);
    }

    #[test]
    fn a_command_that_cannot_be_read_is_told_as_unknown() {
        for what in [r#""do":"levitate""#, r#""do":"send_dtmf""#, r#""do":7"#, r#""x":1"#] {
            let body = format!(r#"{{"code":0,"commands":[{{"seq":9,"mid":"m","call":"13900000001",{what}}}]}}"#);
            assert_eq!(LiveReply::parse(body.as_bytes()).unwrap().commands, [order(LiveOrder::Unknown)], "{what}");
        }
    }

    #[test]
    fn the_words_of_events_are_the_words_of_serde() {
        use LiveWord as W;
        let all = [W::Playing, W::Played, W::Stopped, W::Key, W::Collected, W::Recording, W::Joined, W::Left, W::Ended, W::Error];
        for word in all {
            assert_eq!(serde_json::to_value(word).unwrap(), word.as_str());
        }
    }

    #[test]
    fn events_are_read_one_by_one() {
        let body =
            br#"{"events":[{"seq":4,"ack":9,"mid":"m","event":"played","value":7,"at_ms":8400},{"seq":5,"event":"dances"},7]}"#;
        let events = LiveEvents::parse(body).unwrap().events;
        assert_eq!(events.len(), 2);
        assert_eq!(
            (events[0].word, events[0].value.as_deref(), events[0].at_ms),
            (Some(LiveWord::Played), Some("7"), Some(8400))
        );
        assert_eq!((events[1].seq, events[1].ack, events[1].word), (5, 0, None));
        assert_eq!(LiveEvents::parse(LiveEvents { events: events.clone() }.to_body().as_bytes()).unwrap().events, events);
        assert_eq!(LiveEvents::parse(b"[]"), None);
    }

    #[test]
    fn calls_that_come_in_are_told_as_agreed() {
        let told = br#"{"id":"c1","channel":1,"from":"+8613900000001","to":"100","codecs":["PCMU",7]}"#;
        let incoming = Incoming::parse(told).unwrap();
        assert_eq!((incoming.channel, incoming.codecs.as_slice()), (1, &["PCMU".to_owned()][..]));
        assert_eq!(Incoming::parse(br#"{"from":"1"}"#), None);
        assert_eq!(IncomingReply::reject().to_body(), r#"{"code":2}"#);
        let taken = IncomingReply::answer("m".into(), Script::default());
        assert!(taken.to_body().starts_with(r#"{"code":0,"mid":"m","do":"answer","script":{"#), "{}", taken.to_body());
        assert_eq!(IncomingReply::parse(taken.to_body().as_bytes()), Some(taken));
        let stays = Script { stay: true, max_seconds: Some(60), ..Script::default() };
        let rings = IncomingReply::ring("m".into(), stays);
        assert_eq!(rings.to_body(), r#"{"code":0,"mid":"m","script":{"stay":true,"max_seconds":60}}"#);
        assert_eq!(IncomingReply::parse(rings.to_body().as_bytes()), Some(rings));
    }
}
