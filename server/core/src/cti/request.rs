//! What is asked: the arguments of every method, read once, with their defaults and limits.

use serde::{Deserialize, Serialize};

use serde_json::Value;

use super::content::{self, Part, file_name};
use super::reply::Refusal;
use super::{Flow, Params};

/// A call may ring for so long, in seconds.
pub const LONGEST_RING: u32 = 120;
/// A call may last for so long, in seconds.
pub const LONGEST_CALL: u32 = 14_400;
/// A conference may last for so long, in seconds.
pub const LONGEST_CONF: u32 = 86_400;
/// A recording may last for so long, in seconds.
pub const LONGEST_RECORDING: u32 = 600;
/// So many characters of a creator's own words are kept.
pub const LONGEST_USER_DATA: usize = 1024;

/// It rings for so long where nobody says, in seconds.
const RING_SECONDS: u32 = 50;
/// What is played is repeated so often at most.
const MOST_REPEATS: u32 = 99;
/// So many keys are sent, or collected, at most.
const MOST_KEYS: usize = 64;
/// A handset waits for a key for so long at most, in seconds.
const LONGEST_WAIT: u32 = 300;
/// So many ways to encode sound may be named.
const MOST_CODECS: usize = 3;
/// The keys that phones have.
const KEYS: &str = "0123456789*#ABCD";
/// The status of SIP with which a call is ended where nobody says.
const CAUSE: u16 = 603;

/// Who is meant by a URI. Only `user` counts; whether the host may be named is for the server to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uri {
    /// The number.
    pub user: String,
    /// The host, where there is one: absent, this server's, or the trunk's.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// As it was written, which events repeat.
    pub written: String,
}

/// `call.construct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallParams {
    /// Whom to call.
    pub to: Uri,
    /// Which number to show.
    pub from: Option<Uri>,
    /// It may last for so long, in seconds.
    pub max_answer_seconds: u32,
    /// It may ring for so long, in seconds.
    pub max_ring_seconds: u32,
    /// The call for which it is made: it goes to the same handset.
    pub parent_call: Option<String>,
    /// The conference for which it is made: it goes to the same handset.
    pub parent_conf: Option<String>,
    /// What the parent hears meanwhile.
    pub ring_play_file: Option<String>,
    /// From when till when: 0-3.
    pub ring_play_mode: u8,
    /// The creator's own words.
    pub user_data: Option<String>,
}

/// `conf.construct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfParams {
    /// It may last for so long, in seconds.
    pub max_seconds: u32,
    /// It is recorded under this name.
    pub record_file: Option<String>,
    /// What all hear all the time.
    pub bg_file: Option<String>,
    /// Once there were two, it ends when so many are left; negative: it does not.
    pub parts_threshold: i32,
    /// The creator's own words.
    pub user_data: Option<String>,
}

/// `ext.notify_call.construct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyParams {
    /// Whom to call.
    pub to: Uri,
    /// Which number to show.
    pub from: Option<Uri>,
    /// What is said.
    pub content: Vec<Part>,
    /// So many times more.
    pub repeat: u32,
    /// It may ring for so long, in seconds.
    pub max_ring_seconds: u32,
    /// The creator's own words.
    pub user_data: Option<String>,
}

/// `ext.duo_callback.construct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuoParams {
    /// Whom to call first, and then.
    pub to: [Uri; 2],
    /// Which numbers to show.
    pub from: [Option<Uri>; 2],
    /// They may talk for so long, in seconds.
    pub max_connect_seconds: u32,
    /// Each may ring for so long, in seconds.
    pub max_ring_seconds: u32,
    /// What the first hears while the second is called.
    pub ring_play_file: Option<String>,
    /// From when till when: 0-3.
    pub ring_play_mode: u8,
    /// Their talk is recorded under this name.
    pub record_file: Option<String>,
    /// The creator's own words: of both calls together, of the first, of the second.
    pub user_data: [Option<String>; 3],
}

/// What is to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Construct {
    /// A call.
    Call(CallParams),
    /// A conference.
    Conf(ConfParams),
    /// An announcement.
    Notify(NotifyParams),
    /// Two calls that are connected.
    Duo(DuoParams),
}

impl Construct {
    /// Reads the arguments; what is spoken is spoken in this language where they do not say which.
    pub fn read(flow: Flow, params: &Params, language: &str) -> Result<Self, Refusal> {
        let args = Args { params, language };
        args.no_sip()?;
        Ok(match flow {
            Flow::Call => Self::Call(args.call()?),
            Flow::Conf => Self::Conf(args.conf()?),
            Flow::NotifyCall => Self::Notify(args.notify()?),
            Flow::DuoCallback => Self::Duo(args.duo()?),
        })
    }

    /// The URIs that it names: whom it calls, and which numbers are shown. Their hosts are for the server to check.
    #[must_use]
    pub fn uris(&self) -> (Vec<&Uri>, Vec<&Uri>) {
        match self {
            Self::Call(call) => (vec![&call.to], call.from.iter().collect()),
            Self::Conf(_) => (Vec::new(), Vec::new()),
            Self::Notify(notify) => (vec![&notify.to], notify.from.iter().collect()),
            Self::Duo(duo) => (duo.to.iter().collect(), duo.from.iter().flatten().collect()),
        }
    }

    /// The files that it plays: names of media of the key.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        match self {
            Self::Call(call) => call.ring_play_file.iter().map(String::as_str).collect(),
            Self::Conf(conf) => conf.bg_file.iter().map(String::as_str).collect(),
            Self::Notify(notify) => files(&notify.content),
            Self::Duo(duo) => duo.ring_play_file.iter().map(String::as_str).collect(),
        }
    }

    /// The other resource that it names, which has to be there: its handset takes what is created.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        match self {
            Self::Call(call) => call.parent_call.as_deref().or(call.parent_conf.as_deref()),
            Self::Conf(_) | Self::Notify(_) | Self::Duo(_) => None,
        }
    }

    /// The creator's own words, as its reply repeats them.
    #[must_use]
    pub fn user_data(&self) -> Option<&str> {
        match self {
            Self::Call(call) => call.user_data.as_deref(),
            Self::Conf(conf) => conf.user_data.as_deref(),
            Self::Notify(notify) => notify.user_data.as_deref(),
            Self::Duo(duo) => duo.user_data[0].as_deref(),
        }
    }
}

fn files(parts: &[Part]) -> Vec<&str> {
    let files = parts.iter().filter_map(|part| match part {
        Part::File(name) => Some(name.as_str()),
        Part::Text { .. } => None,
    });
    files.collect()
}

/// What is asked of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `call.answer`
    Answer {
        /// It may last for so long, in seconds.
        max_answer_seconds: u32,
        /// The creator's own words.
        user_data: Option<String>,
    },
    /// `call.reject`
    Reject {
        /// With this status of SIP.
        cause: u16,
        /// The creator's own words.
        user_data: Option<String>,
    },
    /// `call.redirect`
    Redirect {
        /// To whom.
        to: Uri,
        /// The creator's own words.
        user_data: Option<String>,
    },
    /// `call.drop`
    Drop {
        /// Told as the cause.
        cause: u16,
    },
    /// `call.play_start`
    PlayStart {
        /// What.
        content: Vec<Part>,
        /// So many times more.
        repeat: u32,
        /// The keys that end it.
        finish_keys: String,
    },
    /// `call.play_stop`
    PlayStop,
    /// `call.record_start`
    RecordStart {
        /// For so long at most.
        max_seconds: u32,
        /// Under this name.
        file: String,
        /// The keys that end it.
        finish_keys: String,
        /// With a tone first.
        beep: bool,
    },
    /// `call.record_stop`
    RecordStop,
    /// `call.send_dtmf_start`
    SendDtmfStart {
        /// Which, in order.
        keys: String,
    },
    /// `call.send_dtmf_stop`
    SendDtmfStop,
    /// `call.receive_dtmf_start`
    ReceiveDtmfStart(Collecting),
    /// `call.receive_dtmf_stop`, or `call.stop_receive_dtmf_start`
    ReceiveDtmfStop,
    /// `call.connect_start`
    ConnectStart {
        /// With which call.
        call_res_id: String,
        /// For so long at most.
        max_seconds: u32,
        /// Recorded under this name.
        record_file: Option<String>,
    },
    /// `call.connect_stop`
    ConnectStop,
    /// `call.conf_enter`
    ConfEnter {
        /// Which.
        conf_res_id: String,
        /// For so long at most.
        max_seconds: u32,
        /// 1-4.
        voice_mode: u8,
        /// What the others hear when it comes.
        play_file: Option<String>,
    },
    /// `call.conf_exit`
    ConfExit {
        /// Which.
        conf_res_id: String,
    },
    /// `conf.release`
    Release,
    /// `conf.play_start`
    ConfPlayStart {
        /// What.
        content: Vec<Part>,
        /// Over and over.
        is_loop: bool,
    },
    /// `conf.play_stop`
    ConfPlayStop,
    /// `conf.record_start`
    ConfRecordStart {
        /// For so long at most.
        max_seconds: u32,
        /// Under this name.
        file: String,
    },
    /// `conf.record_stop`
    ConfRecordStop,
    /// `conf.get_parts`
    GetParts,
    /// `conf.set_parts_threshold`
    SetPartsThreshold {
        /// To this.
        value: i32,
    },
    /// `conf.set_part_voice_mode`
    SetPartVoiceMode {
        /// Of which call.
        call_res_id: String,
        /// 1-4.
        mode: u8,
    },
    /// `ext.duo_callback.cancel`
    Cancel,
    /// `exists`, of any resource: whether the one that it names is there.
    Exists {
        /// Which; where it is not said, the one that is asked.
        res_id: Option<String>,
    },
    /// `get`: all that is known.
    Get,
}

/// `call.receive_dtmf_start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collecting {
    /// The keys that count.
    pub valid: String,
    /// So many at most.
    pub max: u32,
    /// The keys that end it.
    pub finish: String,
    /// Seconds to wait for the first.
    pub first: u32,
    /// Seconds to wait for each other.
    pub between: u32,
    /// What is said first.
    pub play: Vec<Part>,
    /// So many times more.
    pub play_repeat: u32,
    /// The key that ended it is told among the keys.
    pub including_finish: bool,
}

impl Method {
    /// Reads a method of this kind of resource, with or without the kind before its name.
    pub fn read(flow: Flow, method: &str, params: &Params, language: &str) -> Result<Self, Refusal> {
        let args = Args { params, language };
        let kind = flow.as_str();
        let name = method.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')).unwrap_or(method);
        match (flow, name) {
            (_, "exists") => Ok(Self::Exists { res_id: args.res_id("res_id")? }),
            (_, "get") => Ok(Self::Get),
            (Flow::Call, name) => args.of_call(name),
            (Flow::Conf, name) => args.of_conf(name),
            (Flow::DuoCallback, "cancel") => Ok(Self::Cancel),
            _ => Err(Refusal::invalid_method()),
        }
    }

    /// The id of the other resource that it names: [`super::effect::Around`] has to hold it.
    #[must_use]
    pub fn other(&self) -> Option<&str> {
        match self {
            Self::ConnectStart { call_res_id: other, .. } | Self::ConfEnter { conf_res_id: other, .. } => Some(other),
            Self::Exists { res_id } => res_id.as_deref(),
            _ => None,
        }
    }

    /// The files that it plays: names of media of the key.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        match self {
            Self::PlayStart { content, .. } | Self::ConfPlayStart { content, .. } => files(content),
            Self::ReceiveDtmfStart(collecting) => files(&collecting.play),
            Self::ConfEnter { play_file, .. } => play_file.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Arguments by name, each read as what it has to be. What is null is not there.
#[derive(Clone, Copy)]
struct Args<'p> {
    params: &'p Params,
    language: &'p str,
}

impl<'p> Args<'p> {
    fn call(self) -> Result<CallParams, Refusal> {
        let codecs = match self.value("codecs") {
            None => 0,
            Some(Value::String(names)) => names.split(',').count(),
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => names.len(),
            Some(_) => return Err(Refusal::bad("codecs has to be a list of names")),
        };
        if codecs > MOST_CODECS {
            return Err(Refusal::bad(format!("codecs names {codecs}, and {MOST_CODECS} are allowed")));
        }
        let params = CallParams {
            to: self.need("to_uri", self.number("to_uri")?)?,
            from: self.identity("from_uri")?,
            max_answer_seconds: self.needed_seconds("max_answer_seconds", LONGEST_CALL)?,
            max_ring_seconds: self.seconds("max_ring_seconds", LONGEST_RING)?.unwrap_or(RING_SECONDS),
            parent_call: self.res_id("parent_call_res_id")?,
            parent_conf: self.res_id("parent_conf_res_id")?,
            ring_play_file: self.file("ring_play_file")?,
            ring_play_mode: self.small("ring_play_mode", 0, 3)?.unwrap_or(0),
            user_data: self.user_data("user_data")?,
        };
        if params.parent_call.is_some() && params.parent_conf.is_some() {
            return Err(Refusal::bad("parent_call_res_id and parent_conf_res_id cannot be used together"));
        }
        Ok(params)
    }

    fn conf(self) -> Result<ConfParams, Refusal> {
        let bg_file = match self.file("bg_file")? {
            Some(file) => Some(file),
            None => self.file("background_play_file")?,
        };
        let threshold = if self.value("parts_threshold").is_some() { "parts_threshold" } else { "release_threshold" };
        Ok(ConfParams {
            max_seconds: self.needed_seconds("max_seconds", LONGEST_CONF)?,
            record_file: self.file("record_file")?,
            bg_file,
            parts_threshold: self.threshold(threshold)?.unwrap_or(1),
            user_data: self.user_data("user_data")?,
        })
    }

    fn notify(self) -> Result<NotifyParams, Refusal> {
        // The original wants the key to be there, even if nothing is in it.
        if !self.params.contains_key("from_uri") {
            return Err(missing("from_uri"));
        }
        let content = self.need("play_content", self.value("play_content"))?;
        Ok(NotifyParams {
            to: self.need("to_uri", self.number("to_uri")?)?,
            from: self.identity("from_uri")?,
            content: content::read(content, self.language()?)?,
            repeat: self.int("play_repeat", 0, i64::from(MOST_REPEATS))?.unwrap_or(1),
            max_ring_seconds: self.seconds("max_ring_seconds", LONGEST_RING)?.unwrap_or(RING_SECONDS),
            user_data: self.user_data("user_data")?,
        })
    }

    fn duo(self) -> Result<DuoParams, Refusal> {
        let first = self.need("to1_uri", self.number("to1_uri")?)?;
        let second = self.need("to2_uri", self.number("to2_uri")?)?;
        // Both calls need their time: one rings while the other is connected.
        let longest = LONGEST_CALL - 2 * LONGEST_RING;
        Ok(DuoParams {
            to: [first, second],
            from: [self.identity("from1_uri")?, self.identity("from2_uri")?],
            max_connect_seconds: self.needed_seconds("max_connect_seconds", longest)?,
            max_ring_seconds: self.seconds("max_ring_seconds", LONGEST_RING)?.unwrap_or(RING_SECONDS),
            ring_play_file: self.file("ring_play_file")?,
            ring_play_mode: self.small("ring_play_mode", 0, 3)?.unwrap_or(0),
            record_file: self.file("record_file")?,
            user_data: [self.user_data("user_data")?, self.user_data("user_data1")?, self.user_data("user_data2")?],
        })
    }

    fn of_call(self, name: &str) -> Result<Method, Refusal> {
        Ok(match name {
            "answer" => Method::Answer {
                max_answer_seconds: self.needed_seconds("max_answer_seconds", LONGEST_CALL)?,
                user_data: self.user_data("user_data")?,
            },
            "reject" => {
                Method::Reject { cause: self.status("cause", 400)?.unwrap_or(CAUSE), user_data: self.user_data("user_data")? }
            }
            "redirect" => Method::Redirect {
                to: self.need("redirect_uri", self.number("redirect_uri")?)?,
                user_data: self.user_data("user_data")?,
            },
            "drop" => {
                // The document writes it both ways.
                let key = if self.value("cause").is_some() { "cause" } else { "reason" };
                Method::Drop { cause: self.status(key, 100)?.unwrap_or(CAUSE) }
            }
            "play_start" => Method::PlayStart {
                content: content::read(self.need("content", self.value("content"))?, self.language()?)?,
                repeat: self.repeat("repeat")?,
                finish_keys: self.keys("finish_keys", KEYS.len())?.unwrap_or_default(),
            },
            "play_stop" => Method::PlayStop,
            "record_start" => Method::RecordStart {
                max_seconds: self.needed_seconds("max_seconds", LONGEST_RECORDING)?,
                file: self.need("record_file", self.file("record_file")?)?,
                finish_keys: self.keys("finish_keys", KEYS.len())?.unwrap_or_default(),
                beep: self.flag("beep")?.unwrap_or(true),
            },
            "record_stop" => Method::RecordStop,
            "send_dtmf_start" => {
                Method::SendDtmfStart { keys: self.need("keys", self.keys("keys", MOST_KEYS)?.filter(|keys| !keys.is_empty()))? }
            }
            "send_dtmf_stop" => Method::SendDtmfStop,
            "receive_dtmf_start" => Method::ReceiveDtmfStart(self.collecting()?),
            "receive_dtmf_stop" | "stop_receive_dtmf_start" => Method::ReceiveDtmfStop,
            "connect_start" => Method::ConnectStart {
                call_res_id: self.need("call_res_id", self.res_id("call_res_id")?)?,
                max_seconds: self.needed_seconds("max_seconds", LONGEST_CALL)?,
                record_file: self.file("record_file")?,
            },
            "connect_stop" => Method::ConnectStop,
            "conf_enter" => Method::ConfEnter {
                conf_res_id: self.need("conf_res_id", self.res_id("conf_res_id")?)?,
                max_seconds: self.needed_seconds("max_seconds", LONGEST_CALL)?,
                voice_mode: self.small("voice_mode", 1, 4)?.unwrap_or(1),
                play_file: self.file("play_file")?,
            },
            "conf_exit" => Method::ConfExit { conf_res_id: self.need("conf_res_id", self.res_id("conf_res_id")?)? },
            _ => return Err(Refusal::invalid_method()),
        })
    }

    fn of_conf(self, name: &str) -> Result<Method, Refusal> {
        Ok(match name {
            "release" => Method::Release,
            "play_start" => {
                let content = self.value("content").filter(|content| content.as_str() != Some(""));
                let content = self.need("content", content.or_else(|| self.value("file")))?;
                Method::ConfPlayStart {
                    content: content::read(content, self.language()?)?,
                    is_loop: self.flag("is_loop")?.unwrap_or(false),
                }
            }
            "play_stop" => Method::ConfPlayStop,
            "record_start" => Method::ConfRecordStart {
                file: self.need("record_file", self.file("record_file")?)?,
                max_seconds: self.needed_seconds("max_seconds", LONGEST_RECORDING)?,
            },
            "record_stop" => Method::ConfRecordStop,
            "get_parts" => Method::GetParts,
            "set_parts_threshold" => Method::SetPartsThreshold { value: self.need("value", self.threshold("value")?)? },
            "set_part_voice_mode" => Method::SetPartVoiceMode {
                call_res_id: self.need("call_res_id", self.res_id("call_res_id")?)?,
                mode: self.need("mode", self.small("mode", 1, 4)?)?,
            },
            _ => return Err(Refusal::invalid_method()),
        })
    }

    fn collecting(self) -> Result<Collecting, Refusal> {
        let valid = self.keys("valid_keys", KEYS.len())?.filter(|keys| !keys.is_empty()).unwrap_or_else(|| KEYS.to_owned());
        let finish = self.keys("finish_keys", KEYS.len())?.unwrap_or_else(|| "#".to_owned());
        Ok(Collecting {
            // A key that does not count ends nothing.
            finish: finish.chars().filter(|key| valid.contains(*key)).collect(),
            valid,
            max: self.int("max_keys", 1, 64)?.unwrap_or(11),
            first: self.seconds("first_key_timeout", LONGEST_WAIT)?.unwrap_or(45),
            between: self.seconds("continues_keys_timeout", LONGEST_WAIT)?.unwrap_or(30),
            play: match self.value("play_content").filter(|content| content.as_str() != Some("")) {
                Some(content) => content::read(content, self.language()?)?,
                None => Vec::new(),
            },
            play_repeat: self.repeat("play_repeat")?,
            including_finish: self.flag("including_finish_key")?.unwrap_or(false),
        })
    }

    fn value(self, key: &str) -> Option<&'p Value> {
        self.params.get(key).filter(|value| !value.is_null())
    }

    #[expect(clippy::unused_self, reason = "it reads as the others do")]
    fn need<T>(self, key: &str, value: Option<T>) -> Result<T, Refusal> {
        value.ok_or_else(|| missing(key))
    }

    /// Who takes a call and which way it goes is the operator's choice.
    fn no_sip(self) -> Result<(), Refusal> {
        match self.params.iter().find(|(key, value)| key.starts_with("sip_") && !value.is_null()) {
            Some((key, _)) => Err(Refusal::bad(format!("{} cannot be chosen here", shortened(key)))),
            None => Ok(()),
        }
    }

    /// A whole number, which clients write as a text too.
    fn whole(self, key: &str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.value(key) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "whatever does not fit is out of every range")]
        let number = match value {
            Value::Number(number) => {
                number.as_i64().or_else(|| number.as_f64().filter(|value| value.fract() == 0.0).map(|value| value as i64))
            }
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::bad(format!("{key} has to be a whole number from {least} to {most}"))),
        }
    }

    fn int(self, key: &str, least: i64, most: i64) -> Result<Option<u32>, Refusal> {
        Ok(self.whole(key, least, most)?.and_then(|number| u32::try_from(number).ok()))
    }

    fn small(self, key: &str, least: u8, most: u8) -> Result<Option<u8>, Refusal> {
        Ok(self.whole(key, least.into(), most.into())?.and_then(|number| u8::try_from(number).ok()))
    }

    fn seconds(self, key: &str, most: u32) -> Result<Option<u32>, Refusal> {
        self.int(key, 1, most.into())
    }

    fn needed_seconds(self, key: &str, most: u32) -> Result<u32, Refusal> {
        self.need(key, self.seconds(key, most)?)
    }

    fn repeat(self, key: &str) -> Result<u32, Refusal> {
        Ok(self.int(key, 0, MOST_REPEATS.into())?.unwrap_or(0))
    }

    fn threshold(self, key: &str) -> Result<Option<i32>, Refusal> {
        Ok(self.whole(key, -1000, 1000)?.and_then(|number| i32::try_from(number).ok()))
    }

    fn status(self, key: &str, least: i64) -> Result<Option<u16>, Refusal> {
        Ok(self.whole(key, least, 699)?.and_then(|number| u16::try_from(number).ok()))
    }

    fn flag(self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(value) => match value.as_i64() {
                Some(number @ (0 | 1)) => Ok(Some(number == 1)),
                _ => Err(Refusal::bad(format!("{key} has to be true or false"))),
            },
        }
    }

    fn text(self, key: &str) -> Result<Option<&'p str>, Refusal> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::bad(format!("{key} has to be a text"))),
        }
    }

    fn language(self) -> Result<&'p str, Refusal> {
        let tag = self.text("language")?.filter(|tag| !tag.is_empty()).unwrap_or(self.language);
        let plain = tag.len() <= 35 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if plain { Ok(tag) } else { Err(Refusal::bad("language has to be a tag such as \"en\" or \"zh-CN\"")) }
    }

    /// A name of a medium; an empty text is none.
    fn file(self, key: &str) -> Result<Option<String>, Refusal> {
        match self.text(key)?.filter(|name| !name.is_empty()) {
            Some(name) => file_name(name).map(Some).map_err(|refusal| Refusal::bad(format!("{key}: {}", refusal.message))),
            None => Ok(None),
        }
    }

    fn res_id(self, key: &str) -> Result<Option<String>, Refusal> {
        match self.text(key)?.filter(|id| !id.is_empty()) {
            Some(id) if id.chars().count() <= 128 => Ok(Some(id.to_owned())),
            Some(_) => Err(Refusal::bad(format!("{key} is longer than any id of a resource"))),
            None => Ok(None),
        }
    }

    /// Keys of a phone; a single number is written without quotes by some.
    fn keys(self, key: &str, most: usize) -> Result<Option<String>, Refusal> {
        let keys = match self.value(key) {
            None => return Ok(None),
            Some(Value::String(keys)) => keys.to_ascii_uppercase(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(Refusal::bad(format!("{key} has to be a text of keys"))),
        };
        if keys.chars().count() > most || !keys.chars().all(|key| KEYS.contains(key)) {
            return Err(Refusal::bad(format!("{key} has to be at most {most} of the keys {KEYS}")));
        }
        Ok(Some(keys))
    }

    /// Whatever its creator says of a resource, as a text.
    fn user_data(self, key: &str) -> Result<Option<String>, Refusal> {
        let text = match self.value(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let letters = text.chars().count();
        if letters > LONGEST_USER_DATA {
            return Err(Refusal::bad(format!("{key} has {letters} letters, and {LONGEST_USER_DATA} are allowed")));
        }
        Ok(Some(text))
    }

    /// A URI whose user part is a number. Of a list the first counts, as in the original.
    fn number(self, key: &str) -> Result<Option<Uri>, Refusal> {
        let text = match self.value(key) {
            None => return Ok(None),
            Some(Value::Array(list)) => list.first().and_then(Value::as_str),
            Some(value) => value.as_str(),
        };
        let text = text.ok_or_else(|| Refusal::bad(format!("{key} has to be a text")))?;
        let uri = Uri::read(text).map_err(|why| Refusal::bad(format!("{key} {why}")))?;
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#' | ' ' | '-' | '(' | ')');
        if !uri.user.chars().all(plain) || !uri.user.chars().any(|c| c.is_ascii_digit()) {
            return Err(Refusal::bad(format!("{key} names no number: it has to be [sip:]NUMBER[@host[:port]]")));
        }
        Ok(Some(uri))
    }

    /// A URI whose user part is a number or a name to show.
    fn identity(self, key: &str) -> Result<Option<Uri>, Refusal> {
        match self.text(key)?.filter(|text| !text.trim().is_empty()) {
            Some(text) => Uri::read(text).map(Some).map_err(|why| Refusal::bad(format!("{key} {why}"))),
            None => Ok(None),
        }
    }
}

/// The original's error is the name of the key, and clients compare it.
fn missing(key: &str) -> Refusal {
    Refusal::bad(key)
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

impl Uri {
    /// Reads `[sip:]user[@host[:port]]`.
    fn read(text: &str) -> Result<Self, &'static str> {
        let written = text.trim();
        if written.chars().count() > 256 || written.chars().any(char::is_control) {
            return Err("is no URI");
        }
        let scheme = ["sip:", "sips:", "tel:"]
            .into_iter()
            .find(|scheme| written.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        let rest = scheme.and_then(|scheme| written.get(scheme.len()..)).unwrap_or(written);
        let (user, host) = rest.split_once('@').map_or((rest, None), |(user, host)| (user, Some(host)));
        let user = user.split(';').next().unwrap_or_default().trim();
        let user = user.replace("%23", "#").replace("%2B", "+").replace("%2b", "+").replace("%20", " ");
        let plain = |c: char| c.is_ascii_alphanumeric() || "+*#._-() ".contains(c);
        if user.is_empty() || user.len() > 64 || !user.chars().all(plain) {
            return Err("names nobody: it has to be [sip:]user[@host[:port]]");
        }
        let (host, port) = match host {
            Some(host) => Self::host(host.split([';', '?']).next().unwrap_or_default())?,
            None => (None, None),
        };
        Ok(Self { user, host, port, written: written.to_owned() })
    }

    fn host(text: &str) -> Result<(Option<String>, Option<u16>), &'static str> {
        let wrong = "has a host that cannot be read";
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(wrong)?)),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(wrong);
        }
        let port = match port {
            Some(port) => Some(port.parse().map_err(|_| wrong)?),
            None => None,
        };
        Ok((Some(host.to_ascii_lowercase()), port))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn params(value: Value) -> Params {
        value.as_object().unwrap().clone()
    }

    fn construct(flow: Flow, value: Value) -> Result<Construct, Refusal> {
        Construct::read(flow, &params(value), "en")
    }

    fn call(value: Value) -> Result<CallParams, Refusal> {
        match construct(Flow::Call, value)? {
            Construct::Call(call) => Ok(call),
            other => panic!("{other:?}"),
        }
    }

    fn method(flow: Flow, name: &str, value: Value) -> Result<Method, Refusal> {
        Method::read(flow, name, &params(value), "en")
    }

    #[test]
    fn a_call_has_the_contracts_defaults() {
        let made =
            call(json!({"to_uri": "sip:+8613900000001@192.0.2.1:5061", "max_answer_seconds": "60", "user_data": {"a": 1}}))
                .unwrap();
        assert_eq!((made.max_answer_seconds, made.max_ring_seconds, made.ring_play_mode), (60, 50, 0));
        assert_eq!(made.user_data.as_deref(), Some(r#"{"a":1}"#));
        let to = Uri {
            user: "+8613900000001".into(),
            host: Some("192.0.2.1".into()),
            port: Some(5061),
            written: "sip:+8613900000001@192.0.2.1:5061".into(),
        };
        assert_eq!(made.to, to);
        // As the document's create, but for what later became needed.
        let made = call(json!({"from_uri": "123", "to_uri": "456", "max_answer_seconds": 60.0})).unwrap();
        assert_eq!((made.to.user.as_str(), made.to.host.as_deref()), ("456", None));
        assert_eq!(made.from.unwrap().user, "123");
        assert_eq!(call(json!({"to_uri": ["1@a", "2@b"], "max_answer_seconds": 1})).unwrap().to.user, "1");
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_wrong_is_told() {
        for (value, message) in [
            (json!({"to_uri": "4"}), "max_answer_seconds"),
            (json!({"to_uri": "4", "max_answer_seconds": null}), "max_answer_seconds"),
            (json!({"max_answer_seconds": 5}), "to_uri"),
        ] {
            assert_eq!(call(value).unwrap_err(), Refusal::bad(message));
        }
        let whole = json!({"to_uri": "4", "max_answer_seconds": 5});
        for (key, value) in [
            ("max_answer_seconds", json!(0)),
            ("max_answer_seconds", json!(14_401)),
            ("max_answer_seconds", json!("soon")),
            ("max_answer_seconds", json!(1.5)),
            ("max_answer_seconds", json!(1e300)),
            ("max_answer_seconds", json!([5])),
            ("max_ring_seconds", json!(121)),
            ("max_ring_seconds", json!(-1)),
            ("to_uri", json!(7)),
            ("to_uri", json!([])),
            ("to_uri", json!("nobody")),
            ("to_uri", json!("10.0.0.1")),
            ("to_uri", json!("sip:@host")),
            ("to_uri", json!("4@host:port")),
            ("to_uri", json!("4@ho st")),
            ("to_uri", json!("4\r\nX: y")),
            ("from_uri", json!("a/b")),
            ("ring_play_file", json!("../a")),
            ("ring_play_mode", json!(4)),
            ("codecs", json!(["a", "b", "c", "d"])),
            ("codecs", json!([1])),
            ("sip_proxy", json!("192.0.2.9")),
            ("sip_src_ip", json!("192.0.2.9")),
            ("sip_auth_username", json!("x")),
            ("sip_auth_password", json!("x")),
            ("user_data", json!("x".repeat(1025))),
            ("parent_call_res_id", json!(7)),
        ] {
            let mut wrong = params(whole.clone());
            wrong.insert(key.to_owned(), value.clone());
            let refusal = Construct::read(Flow::Call, &wrong, "en").unwrap_err();
            assert!(refusal.code == 400 && refusal.message.contains(key), "{key}: {value}: {refusal}");
        }
        let both = json!({"to_uri": "4", "max_answer_seconds": 5, "parent_call_res_id": "a", "parent_conf_res_id": "b"});
        assert_eq!(call(both).unwrap_err().code, 400);
    }

    #[test]
    fn conferences_announcements_and_callbacks_are_read() {
        let conf = construct(Flow::Conf, json!({"max_seconds": 60, "release_threshold": -1, "background_play_file": "b.wav"}));
        let Construct::Conf(conf) = conf.unwrap() else { panic!() };
        assert_eq!((conf.parts_threshold, conf.bg_file.as_deref(), conf.max_seconds), (-1, Some("b.wav"), 60));
        let Construct::Conf(conf) = construct(Flow::Conf, json!({"max_seconds": 60})).unwrap() else { panic!() };
        assert_eq!((conf.parts_threshold, conf.record_file), (1, None));
        assert_eq!(construct(Flow::Conf, json!({})).unwrap_err(), Refusal::bad("max_seconds"));

        let said = json!({"from_uri": null, "to_uri": "4", "play_content": "a.wav"});
        let made = construct(Flow::NotifyCall, said).unwrap();
        assert_eq!((made.files(), made.uris().0.len()), (vec!["a.wav"], 1));
        let Construct::Notify(notify) = made else { panic!() };
        assert_eq!((notify.repeat, notify.max_ring_seconds), (1, 50));
        for (value, missing) in [
            (json!({"to_uri": "4", "play_content": "a.wav"}), "from_uri"),
            (json!({"from_uri": "1", "play_content": "a.wav"}), "to_uri"),
            (json!({"from_uri": "1", "to_uri": "4"}), "play_content"),
        ] {
            assert_eq!(construct(Flow::NotifyCall, value).unwrap_err(), Refusal::bad(missing));
        }

        let both = json!({"from1_uri": "1", "to1_uri": "4", "from2_uri": null, "to2_uri": "5", "max_connect_seconds": 60,
            "ring_play_file": "r.wav", "user_data": 1, "user_data1": "a", "user_data2": "b"});
        let made = construct(Flow::DuoCallback, both).unwrap();
        assert_eq!((made.user_data(), made.uris().0.len(), made.uris().1.len()), (Some("1"), 2, 1));
        assert_eq!(construct(Flow::DuoCallback, json!({"to1_uri": "4"})).unwrap_err(), Refusal::bad("to2_uri"));
    }

    #[test]
    fn every_method_of_a_call_is_read() {
        let call = |name: &str, value: Value| method(Flow::Call, name, value).unwrap();
        assert_eq!(call("call.drop", json!({})), Method::Drop { cause: 603 });
        assert_eq!(call("drop", json!({"cause": 200})), Method::Drop { cause: 200 });
        assert_eq!(call("call.drop", json!({"reason": "486"})), Method::Drop { cause: 486 });
        assert_eq!(
            call("call.answer", json!({"max_answer_seconds": 9})),
            Method::Answer { max_answer_seconds: 9, user_data: None }
        );
        assert_eq!(call("call.reject", json!({"user_data": 5})), Method::Reject { cause: 603, user_data: Some("5".into()) });
        assert!(
            matches!(call("call.redirect", json!({"redirect_uri": "sip:9@pbx"})), Method::Redirect { to, .. } if to.user == "9")
        );
        let played =
            call("call.play_start", json!({"content": [["5", 1, ""], ["a.wav", 0, ""]], "repeat": 1, "finish_keys": "#"}));
        assert_eq!(played.files(), ["a.wav"]);
        assert!(matches!(played, Method::PlayStart { repeat: 1, ref finish_keys, .. } if finish_keys == "#"));
        assert_eq!(call("call.play_stop", json!({})), Method::PlayStop);
        let recorded = Method::RecordStart { max_seconds: 9, file: "r".into(), finish_keys: String::new(), beep: true };
        assert_eq!(call("call.record_start", json!({"max_seconds": 9, "record_file": "r", "record_format": 3})), recorded);
        assert_eq!(call("call.record_stop", json!({})), Method::RecordStop);
        assert_eq!(call("call.send_dtmf_start", json!({"keys": "12#a"})), Method::SendDtmfStart { keys: "12#A".into() });
        // As the source of the first dialect names them.
        assert_eq!(call("send_dtmf_stop", json!({})), Method::SendDtmfStop);
        assert_eq!(call("receive_dtmf_stop", json!({})), Method::ReceiveDtmfStop);
        assert_eq!(call("call.stop_receive_dtmf_start", json!({})), Method::ReceiveDtmfStop);
        let Method::ReceiveDtmfStart(collecting) = call("call.receive_dtmf_start", json!({})) else { panic!() };
        assert_eq!((collecting.valid.as_str(), collecting.max, collecting.finish.as_str()), ("0123456789*#ABCD", 11, "#"));
        assert_eq!(
            (collecting.first, collecting.between, collecting.play_repeat, collecting.including_finish),
            (45, 30, 0, false)
        );
        let Method::ReceiveDtmfStart(collecting) =
            call("call.receive_dtmf_start", json!({"valid_keys": 123, "finish_keys": "3#"}))
        else {
            panic!()
        };
        assert_eq!((collecting.valid.as_str(), collecting.finish.as_str()), ("123", "3"));
        let connected = call("call.connect_start", json!({"call_res_id": "c", "max_seconds": 9, "local_volume": 0}));
        assert_eq!(connected.other(), Some("c"));
        assert_eq!(call("call.connect_stop", json!({})), Method::ConnectStop);
        let entered = call("call.conf_enter", json!({"conf_res_id": "f", "max_seconds": 9}));
        assert!(matches!(entered, Method::ConfEnter { voice_mode: 1, ref play_file, .. } if play_file.is_none()));
        assert_eq!(call("call.conf_exit", json!({"conf_res_id": "f"})), Method::ConfExit { conf_res_id: "f".into() });
        assert_eq!(call("call.exists", json!({"res_id": "c"})).other(), Some("c"));
        assert_eq!(call("call.get", json!({})), Method::Get);
    }

    #[test]
    fn every_method_of_the_others_is_read() {
        let conf = |name: &str, value: Value| method(Flow::Conf, name, value).unwrap();
        assert_eq!(conf("conf.release", json!({})), Method::Release);
        assert_eq!(conf("conf.play_start", json!({"file": "a.wav|b.wav"})).files(), ["a.wav", "b.wav"]);
        assert!(matches!(
            conf("conf.play_start", json!({"content": "a", "is_loop": true})),
            Method::ConfPlayStart { is_loop: true, .. }
        ));
        assert_eq!(conf("conf.play_stop", json!({})), Method::ConfPlayStop);
        let recorded = Method::ConfRecordStart { max_seconds: 9, file: "r".into() };
        assert_eq!(conf("conf.record_start", json!({"max_seconds": 9, "record_file": "r"})), recorded);
        assert_eq!(conf("conf.record_stop", json!({})), Method::ConfRecordStop);
        assert_eq!(conf("conf.get_parts", json!({})), Method::GetParts);
        assert_eq!(conf("conf.set_parts_threshold", json!({"value": -1})), Method::SetPartsThreshold { value: -1 });
        let mode = Method::SetPartVoiceMode { call_res_id: "c".into(), mode: 4 };
        assert_eq!(conf("conf.set_part_voice_mode", json!({"call_res_id": "c", "mode": 4})), mode);
        assert_eq!(method(Flow::DuoCallback, "ext.duo_callback.cancel", json!({})).unwrap(), Method::Cancel);
        assert_eq!(method(Flow::NotifyCall, "ext.notify_call.exists", json!({})).unwrap(), Method::Exists { res_id: None });
    }

    #[test]
    fn what_is_no_method_is_told() {
        for (flow, name) in [
            (Flow::Call, "call.fly"),
            (Flow::Call, "conf.release"),
            (Flow::Call, "call.construct"),
            (Flow::Call, "call.call.drop"),
            (Flow::Call, ""),
            (Flow::Conf, "conf.drop"),
            (Flow::NotifyCall, "ext.notify_call.cancel"),
            (Flow::DuoCallback, "call.drop"),
        ] {
            assert_eq!(method(flow, name, json!({})).unwrap_err(), Refusal::new(405, "invalid method"), "{name}");
        }
        for (name, missing) in [
            ("answer", "max_answer_seconds"),
            ("redirect", "redirect_uri"),
            ("play_start", "content"),
            ("record_start", "max_seconds"),
            ("send_dtmf_start", "keys"),
            ("connect_start", "call_res_id"),
            ("conf_enter", "conf_res_id"),
            ("conf_exit", "conf_res_id"),
        ] {
            assert_eq!(method(Flow::Call, name, json!({})).unwrap_err(), Refusal::bad(missing));
        }
        for (name, value) in [
            ("drop", json!({"cause": 99})),
            ("reject", json!({"cause": 200})),
            ("play_start", json!({"content": "a", "repeat": -1})),
            ("play_start", json!({"content": "a", "finish_keys": "x"})),
            ("play_start", json!({"content": "a", "language": "a b"})),
            ("record_start", json!({"max_seconds": 601, "record_file": "r"})),
            ("send_dtmf_start", json!({"keys": "1".repeat(65)})),
            ("receive_dtmf_start", json!({"max_keys": 0})),
            ("receive_dtmf_start", json!({"including_finish_key": "yes"})),
            ("conf_enter", json!({"conf_res_id": "f", "max_seconds": 9, "voice_mode": 5})),
        ] {
            assert_eq!(method(Flow::Call, name, value).unwrap_err().code, 400, "{name}");
        }
    }

    proptest! {
        /// A URI is read, or refused; what is read is a part of what was written, and has no room for a header of SIP.
        #[test]
        fn uris_are_read_or_refused(text in r"(sip:)?[0-9a-z+@:.;\[\]% \r\n]{0,30}") {
            if let Ok(uri) = Uri::read(&text) {
                prop_assert!(!uri.user.is_empty() && !uri.user.contains(['@', '\r', '\n', ':', ';']));
                prop_assert!(uri.host.is_none_or(|host| !host.is_empty() && !host.contains(['@', ' '])));
            }
        }

        #[test]
        fn no_arguments_are_too_strange(key in "to_uri|max_answer_seconds|content|keys|codecs|user_data|max_seconds", number: f64, text: String, kind in 0_u8..5) {
            let value = match kind {
                0 => json!(number),
                1 => json!(text),
                2 => json!([text, [number]]),
                3 => json!({ text: number }),
                _ => json!(true),
            };
            let all = params(json!({ key: value }));
            for flow in Flow::ALL {
                let _ = Construct::read(*flow, &all, "en");
                for name in ["drop", "play_start", "record_start", "send_dtmf_start", "receive_dtmf_start", "conf_enter", "set_parts_threshold"] {
                    let _ = Method::read(*flow, name, &all, "en");
                }
            }
        }
    }
}
