//! The resource *conference*: who is in it and how, what all hear, what is recorded, and when it ends, once.
//!
//! It has no line of its own. What all hear is ordered through one of the calls that are in it, and who is in it is what those calls say.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::Part;
use super::effect::{Around, Effect, Heard, Order, Token, Told, View, Word};
use super::reply::{Event, Refusal};
use super::request::{ConfParams, LONGEST_RECORDING, Method};
use super::{Birth, Flow};

/// One that nobody is in any more ends after so long.
pub const EMPTY_FOR: TimeDelta = TimeDelta::seconds(180);
/// What a handset is told it carries out by then, or says why not.
const DONE_WITHIN: TimeDelta = TimeDelta::seconds(45);
/// When the last has left, what is recorded is told by then.
const LAST_WORD_WITHIN: TimeDelta = TimeDelta::seconds(15);
/// So many calls at most.
pub const MOST_PARTS: usize = 64;

/// A call that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    call: String,
    mode: u8,
    user_data: Option<String>,
}

/// What all hear, or what is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Doing {
    token: Token,
    begin: DateTime<Utc>,
    /// Under which name, of a recording.
    file: Option<String>,
    /// For how long at most, of a recording.
    seconds: u32,
    stopping: bool,
    /// It is over by then, whatever is heard.
    until: Option<DateTime<Utc>>,
}

/// A conference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conf {
    birth: Birth,
    max_seconds: u32,
    /// It is still to be recorded under this name: when the first call enters.
    record_file: Option<String>,
    bg_file: Option<String>,
    threshold: i32,
    user_data: Option<String>,
    handset: Option<String>,
    parts: Vec<Member>,
    /// Two were in it at once.
    had_two: bool,
    /// Somebody was, and nobody is.
    empty_since: Option<DateTime<Utc>>,
    playing: Option<Doing>,
    recording: Option<Doing>,
    /// What all hear when somebody enters: nobody is told when that is over.
    welcome: Option<Token>,
    ended_at: Option<DateTime<Utc>>,
    tokens: Token,
}

impl Conf {
    /// A new one; without a handset it is wherever its first call is.
    #[must_use]
    pub fn new(birth: Birth, params: ConfParams, handset: Option<String>) -> (Self, Vec<Effect>) {
        let conf = Self {
            birth,
            max_seconds: params.max_seconds,
            record_file: params.record_file,
            bg_file: params.bg_file,
            threshold: params.parts_threshold,
            user_data: params.user_data,
            handset,
            parts: Vec::new(),
            had_two: false,
            empty_since: None,
            playing: None,
            recording: None,
            welcome: None,
            ended_at: None,
            tokens: 0,
        };
        (conf, Vec::new())
    }

    /// What it has from its first moment.
    #[must_use]
    pub fn birth(&self) -> &Birth {
        &self.birth
    }

    /// It is over.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Which handset has it.
    #[must_use]
    pub fn handset(&self) -> Option<&str> {
        self.handset.as_deref()
    }

    /// The call that is longest in it.
    #[must_use]
    pub fn first_part(&self) -> Option<&str> {
        self.parts.first().map(|member| member.call.as_str())
    }

    /// What a request to another resource has to know of it.
    #[must_use]
    pub fn view(&self) -> View {
        View::Conf { res_id: self.birth.res_id.clone(), released: self.is_released(), handset: self.handset.clone() }
    }

    /// Carries out a request. `around` holds the other resource that it names ([`Method::other`]).
    pub fn request(&mut self, method: &Method, around: &Around, now: DateTime<Utc>) -> Result<(Value, Vec<Effect>), Refusal> {
        if let Method::Exists { res_id } = method {
            let exists = match res_id {
                Some(other) if *other != self.birth.res_id => around.exists(),
                _ => !self.is_released(),
            };
            return Ok((exists.into(), Vec::new()));
        }
        if self.is_released() {
            return Err(Refusal::not_found(&self.birth.res_id));
        }
        let mut effects = Vec::new();
        let result = match method {
            Method::Get => self.all(),
            Method::GetParts => self.members(),
            Method::Release => {
                self.release(None, now, &mut effects);
                Value::Null
            }
            Method::ConfPlayStart { content, is_loop } => {
                let through = self.through("conf.play_start")?;
                if self.playing.is_some() {
                    return Err(Refusal::wrong_state("conf.play_start: something is being played"));
                }
                self.play(through, content.clone(), *is_loop, now, &mut effects);
                Value::Null
            }
            Method::ConfPlayStop => {
                let through = self.through("conf.play_stop")?;
                let room = self.room();
                let Some(playing) = &mut self.playing else {
                    return Err(Refusal::wrong_state("conf.play_stop: nothing is being played"));
                };
                if !std::mem::replace(&mut playing.stopping, true) {
                    playing.until = Some(now + DONE_WITHIN);
                    self.order(through, Order::RoomStop { room }, &mut effects);
                }
                Value::Null
            }
            Method::ConfRecordStart { max_seconds, file } => {
                let through = self.through("conf.record_start")?;
                if self.recording.is_some() {
                    return Err(Refusal::wrong_state("conf.record_start: it is being recorded"));
                }
                self.record(through, file.clone(), *max_seconds, now, &mut effects);
                file.clone().into()
            }
            Method::ConfRecordStop => {
                let through = self.through("conf.record_stop")?;
                let room = self.room();
                let Some(recording) = &mut self.recording else {
                    return Err(Refusal::wrong_state("conf.record_stop: it is not being recorded"));
                };
                if !std::mem::replace(&mut recording.stopping, true) {
                    recording.until = Some(now + DONE_WITHIN);
                    self.order(through, Order::RoomEndRecording { room }, &mut effects);
                }
                Value::Null
            }
            Method::SetPartsThreshold { value } => {
                // It counts from the next that leaves.
                self.threshold = *value;
                (*value).into()
            }
            Method::SetPartVoiceMode { call_res_id, mode } => {
                let Some(member) = self.parts.iter_mut().find(|member| member.call == *call_res_id) else {
                    return Err(Refusal::new(
                        super::reply::NOT_FOUND,
                        format!("conf.set_part_voice_mode: {call_res_id:?} is not in the conference"),
                    ));
                };
                member.mode = *mode;
                let told = Told::VoiceMode { conf: self.birth.res_id.clone(), mode: *mode };
                effects.push(Effect::Tell { to: call_res_id.clone(), told });
                Value::Null
            }
            _ => return Err(Refusal::invalid_method()),
        };
        Ok((result, effects))
    }

    /// Its name among the rooms of its handset.
    fn room(&self) -> String {
        self.birth.res_id.clone()
    }

    fn through(&self, name: &str) -> Result<String, Refusal> {
        match self.parts.first() {
            Some(member) => Ok(member.call.clone()),
            None => Err(Refusal::wrong_state(format!("{name}: nobody is in the conference"))),
        }
    }

    fn order(&mut self, through: String, order: Order, effects: &mut Vec<Effect>) -> Token {
        self.tokens += 1;
        effects.push(Effect::Order { through, token: self.tokens, order });
        self.tokens
    }

    fn play(&mut self, through: String, parts: Vec<Part>, looped: bool, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let token = self.order(through, Order::RoomPlay { room: self.room(), parts, looped }, effects);
        let until = Some(now + DONE_WITHIN);
        self.playing = Some(Doing { token, begin: now, file: None, seconds: 0, stopping: false, until });
    }

    /// What all hear while nothing else is played.
    fn play_background(&mut self, effects: &mut Vec<Effect>) {
        let (Some(file), Some(member)) = (&self.bg_file, self.parts.first()) else { return };
        let (through, parts) = (member.call.clone(), vec![Part::File(file.clone())]);
        if self.playing.is_none() {
            self.order(through, Order::RoomPlay { room: self.room(), parts, looped: true }, effects);
        }
    }

    fn record(&mut self, through: String, file: String, seconds: u32, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let order = Order::RoomRecord { room: self.room(), file: file.clone(), seconds: seconds.into() };
        let token = self.order(through, order, effects);
        let until = Some(now + TimeDelta::seconds(seconds.into()) + DONE_WITHIN);
        self.recording = Some(Doing { token, begin: now, file: Some(file), seconds, stopping: false, until });
    }

    fn tell(&self, event: &str, mut params: Value, effects: &mut Vec<Effect>) {
        params["res_id"] = self.birth.res_id.clone().into();
        if self.birth.creator.tells_user_data() {
            params["user_data"] = self.user_data.clone().into();
        }
        if let Value::Object(params) = params {
            effects.push(Effect::Event(Event { name: self.birth.creator.event_name(Flow::Conf, event), params }));
        }
    }

    /// The document of this event has no word for an error: there is one only where something went wrong.
    fn tell_done(&self, event: &str, doing: &Doing, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let mut params = json!({
            "begin_time": doing.begin.timestamp(),
            "end_time": now.max(doing.begin).timestamp(),
        });
        if let Some(file) = &doing.file {
            params["record_file"] = file.clone().into();
        }
        if let Some(error) = error {
            params["error"] = error.into();
        }
        self.tell(event, params, effects);
    }

    fn played(&mut self, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if let Some(playing) = self.playing.take() {
            self.tell_done("on_play_completed", &playing, error, now, effects);
        }
    }

    fn recorded(&mut self, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if let Some(recording) = self.recording.take() {
            self.tell_done("on_record_completed", &recording, error, now, effects);
        }
    }

    /// Takes in what was heard; late, twice or out of order it changes nothing.
    pub fn heard(&mut self, heard: &Heard, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_released() {
            // Whoever comes too late is sent away.
            if let Heard::Told(Told::Entered { call, .. }) = heard {
                effects.push(self.kick(call));
            }
            return effects;
        }
        match heard {
            Heard::Restarted => self.release(Some("handset restarted"), now, &mut effects),
            Heard::Word { token, word } => self.word(*token, word, now, &mut effects),
            Heard::Told(Told::Entered { call, mode, user_data, handset, play_file }) => {
                let elsewhere = self.handset.as_ref().is_some_and(|own| own != handset);
                if elsewhere || (self.parts.len() >= MOST_PARTS && self.member(call).is_none()) {
                    effects.push(self.kick(call));
                } else if self.member(call).is_none() {
                    self.handset = Some(handset.clone());
                    let member = Member { call: call.clone(), mode: *mode, user_data: user_data.clone() };
                    self.entered(member, play_file.as_ref(), now, &mut effects);
                }
            }
            Heard::Told(Told::Exited { call }) => self.exited(call, now, &mut effects),
            _ => {}
        }
        effects
    }

    fn kick(&self, call: &str) -> Effect {
        Effect::Tell { to: call.to_owned(), told: Told::Kicked { conf: self.birth.res_id.clone() } }
    }

    fn member(&self, call: &str) -> Option<&Member> {
        self.parts.iter().find(|member| member.call == call)
    }

    fn entered(&mut self, member: Member, play_file: Option<&String>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let call = member.call.clone();
        let first = self.parts.is_empty();
        self.parts.push(member);
        self.had_two |= self.parts.len() > 1;
        self.empty_since = None;
        self.come_or_gone("on_entered", &call, effects);
        if let Some(file) = self.record_file.take_if(|_| first && self.recording.is_none()) {
            self.record(call.clone(), file, self.max_seconds.min(LONGEST_RECORDING), now, effects);
        }
        match play_file.filter(|_| self.playing.is_none()) {
            Some(file) => {
                let (room, parts) = (self.room(), vec![Part::File(file.clone())]);
                self.welcome = Some(self.order(call, Order::RoomPlay { room, parts, looped: false }, effects));
            }
            None if first => self.play_background(effects),
            None => {}
        }
    }

    fn exited(&mut self, call: &str, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let before = self.parts.len();
        self.parts.retain(|member| member.call != call);
        if self.parts.len() == before {
            return;
        }
        self.come_or_gone("on_exited", call, effects);
        let left = i32::try_from(self.parts.len()).unwrap_or(i32::MAX);
        if self.threshold >= 0 && self.had_two && left <= self.threshold {
            return self.release(None, now, effects);
        }
        if self.parts.is_empty() {
            self.empty_since = Some(now);
            // The room is gone with the last in it, and tells what became of what it did.
            for doing in [&mut self.playing, &mut self.recording].into_iter().flatten() {
                doing.stopping = true;
                doing.until = Some(now + LAST_WORD_WITHIN);
            }
        }
    }

    /// The first dialect alone is told who comes and goes.
    fn come_or_gone(&self, event: &str, call: &str, effects: &mut Vec<Effect>) {
        if !self.birth.creator.tells_user_data() {
            self.tell(event, json!({ "call_res_id": call }), effects);
        }
    }

    fn word(&mut self, token: Token, word: &Word, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if let Some(playing) = self.playing.as_mut().filter(|playing| playing.token == token) {
            match word {
                Word::Playing if !playing.stopping => playing.until = None,
                Word::Played | Word::Stopped => {
                    self.played(None, now, effects);
                    self.play_background(effects);
                }
                Word::Error(_) => {
                    let stopped = playing.stopping;
                    self.played((!stopped).then_some("play error"), now, effects);
                    self.play_background(effects);
                }
                _ => {}
            }
        } else if let Some(recording) = self.recording.as_ref().filter(|recording| recording.token == token) {
            match word {
                Word::Recording(_) | Word::Stopped => {
                    let longest = TimeDelta::seconds(recording.seconds.into());
                    let cut = !recording.stopping && now - recording.begin >= longest;
                    self.recorded(cut.then_some("record timeout"), now, effects);
                }
                Word::Error(_) => self.recorded(Some("record error"), now, effects),
                _ => {}
            }
        } else if self.welcome == Some(token) && matches!(word, Word::Played | Word::Stopped | Word::Error(_)) {
            self.welcome = None;
            self.play_background(effects);
        }
    }

    /// It is over, once; whoever is in it has to leave.
    fn release(&mut self, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        // What a handset had of it when it was started again is lost.
        self.played(error.map(|_| "play error"), now, effects);
        self.recorded(error.map(|_| "record error"), now, effects);
        for member in std::mem::take(&mut self.parts) {
            effects.push(self.kick(&member.call));
            self.come_or_gone("on_exited", &member.call, effects);
        }
        let now = now.max(self.birth.at);
        self.ended_at = Some(now);
        let mut params = json!({ "begin_time": self.birth.at.timestamp(), "end_time": now.timestamp() });
        if let Some(error) = error {
            params["error"] = error.into();
        }
        self.tell("on_released", params, effects);
    }

    fn over_at(&self) -> DateTime<Utc> {
        let over = self.birth.at + TimeDelta::seconds(self.max_seconds.into());
        self.empty_since.map_or(over, |empty| over.min(empty + EMPTY_FOR))
    }

    /// When something is due next.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        if self.is_released() {
            return None;
        }
        let doing = [&self.playing, &self.recording].into_iter().flatten().filter_map(|doing| doing.until);
        doing.chain([self.over_at()]).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_released() {
            return effects;
        }
        let late = |doing: &Option<Doing>| doing.as_ref().filter(|doing| doing.until.is_some_and(|until| until <= now)).cloned();
        if let Some(playing) = late(&self.playing) {
            self.played((!playing.stopping).then_some("play error"), now, &mut effects);
            self.play_background(&mut effects);
        }
        if let Some(recording) = late(&self.recording) {
            self.recorded((!recording.stopping).then_some("record error"), now, &mut effects);
        }
        if self.over_at() <= now {
            self.release(None, now, &mut effects);
        }
        effects
    }

    /// Who is in it.
    fn members(&self) -> Value {
        let member = |member: &Member| json!({ "res_id": member.call, "voice_mode": member.mode, "user_data": member.user_data });
        Value::Array(self.parts.iter().map(member).collect())
    }

    /// All that is known, for `get`.
    fn all(&self) -> Value {
        json!({
            "res_id": self.birth.res_id,
            "begin_time": self.birth.at.timestamp(),
            "max_seconds": self.max_seconds,
            "parts_threshold": self.threshold,
            "handset": self.handset,
            "playing": self.playing.is_some(),
            "recording": self.recording.as_ref().and_then(|recording| recording.file.clone()),
            "parts": self.members(),
            "user_data": self.user_data,
            "ipsc_info": { "process_id": self.birth.process_id },
        })
    }
}
