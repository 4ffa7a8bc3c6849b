//! The resource *call*: what may be asked of it in which state, what is told of it, and how it ends, once.
//!
//! One action is done at a time; being in a conference is beside that, and the state stays *Idle* there, as in the original.
//! What nobody hears of any more ends by time, so that there is no call that nobody can end.

use android_protocol::live::HUNG_UP;
use android_protocol::wire::{CallOutcome, EndedBy, FailureDetail};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use super::State;
use super::content::Part;
use super::effect::{Around, Effect, Ended, HandedOut, Heard, Order, Token, Told, View, Word};
use super::reply::{Event, Refusal};
use super::request::{CallParams, Method};
use super::{Birth, Flow, cdr};
use crate::needs::Words;

/// It begins by then, or not at all.
pub const BEGINS_WITHIN: TimeDelta = TimeDelta::seconds(5);
/// Somebody decides by then about a call that came in.
pub const DECIDED_WITHIN: TimeDelta = TimeDelta::seconds(20);
/// What a handset is told it carries out by then, or says why not.
const DONE_WITHIN: TimeDelta = TimeDelta::seconds(45);
/// A call that came in, and that was sent away, is reported by then.
const GONE_WITHIN: TimeDelta = TimeDelta::seconds(60);
/// One that was dropped is reported by then, or its deadline has passed long ago.
const DROPPED_WITHIN: TimeDelta = TimeDelta::seconds(300);
/// Nothing is known of it any more: all its limits have passed for so long.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::seconds(300);
/// A handset ends a call itself at its limit; so long afterwards it is told to.
const LIMIT_KEPT_WITHIN: TimeDelta = TimeDelta::seconds(10);
/// What a parent hears while another call is made goes on until that is over.
const RINGS_ON: u32 = 99;

/// The words of a handset that hold calls for others.
const HOLDS: [&str; 2] = ["live", "calls"];

const NO_REPORT: &str = "no report";
const RESTARTED: &str = "handset restarted";
const DIAL_FAILED: &str = "dial failed";
const DIAL_TIMEOUT: &str = "dial timeout";
const DIAL_ERROR: &str = "dial error";

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Direction {
    Outbound,
    Inbound,
}

/// Who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    handset: String,
    channel: i32,
    can: String,
}

impl Held {
    fn can(&self, words: &[&str]) -> bool {
        Words::read(&self.can).cover(&Words::read(&words.join(",")))
    }
}

/// What is done in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Doing {
    token: Token,
    what: Action,
    begin: DateTime<Utc>,
    /// The key that ends it, as the handset has said already.
    key: Option<String>,
    /// Somebody asked that it ends.
    stopping: bool,
    /// It is over by then, whatever is heard.
    until: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Action {
    Play { repeat: u32 },
    Record { file: String, seconds: u32 },
    Send,
    Collect { max: u32, finish: String, including: bool },
    Connect { peer: String, room: String, seconds: u32, file: Option<String>, joined: bool },
}

impl Action {
    fn state(&self) -> State {
        match self {
            Self::Play { .. } => State::Play,
            Self::Record { .. } => State::Record,
            Self::Send => State::SendDtmf,
            Self::Collect { .. } => State::ReceiveDtmf,
            Self::Connect { .. } => State::Connect,
        }
    }

    fn event(&self) -> &'static str {
        match self {
            Self::Play { .. } => "on_play_completed",
            Self::Record { .. } => "on_record_completed",
            Self::Send => "on_send_dtmf_completed",
            Self::Collect { .. } => "on_receive_dtmf_completed",
            Self::Connect { .. } => "on_connect_completed",
        }
    }

    /// What is told where it goes wrong.
    fn error(&self) -> &'static str {
        match self {
            Self::Play { .. } => "play error",
            Self::Record { .. } => "record error",
            Self::Send => "send dtmf error",
            Self::Collect { .. } => "receive dtmf error",
            Self::Connect { .. } => "bridge error",
        }
    }

    /// What is told where the call ends meanwhile.
    fn hung_up(&self) -> &'static str {
        match self {
            Self::Play { .. } => "hungup when playing",
            Self::Record { .. } => "hungup while recording",
            Self::Send => "hungup while sending dtmf",
            Self::Collect { .. } => "hungup while receiving dtmf",
            Self::Connect { .. } => "hungup while bridging",
        }
    }
}

/// Another call that is made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Child {
    id: String,
    file: Option<String>,
    mode: u8,
    plays: bool,
}

/// Another call has been connected with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    by: String,
    token: Token,
}

/// The conference that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seat {
    conf: String,
    mode: u8,
    seconds: u32,
    play_file: Option<String>,
    /// Of the order to join.
    token: Token,
    begin: DateTime<Utc>,
    step: Step,
    /// Of the order to leave.
    leave: Option<Token>,
    /// Why it leaves.
    error: Option<String>,
    /// What is due: it is not there by then, or was there for long enough, or is still not gone.
    until: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// It rings: it enters when it is connected.
    Rings,
    /// It was told to enter.
    Enters,
    /// It is there.
    Inside,
    /// It was told to leave.
    Leaves,
}

/// It is to end: somebody said so, or its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Dismissed {
    cause: u16,
    until: DateTime<Utc>,
}

/// Who ended it, as events say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Us,
    Them,
    Unknown,
}

impl By {
    fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Us => Some("sys"),
            Self::Them => Some("usr"),
            Self::Unknown => None,
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
struct End {
    at: DateTime<Utc>,
    cause: u16,
    by: By,
    /// Told of the dial, or of the answering, where that is not over yet; `None`: it was answered.
    unanswered: Option<&'static str>,
    /// Told of the call.
    error: Option<&'static str>,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    birth: Birth,
    /// For whom it is made: that resource alone is told of it.
    owner: Option<String>,
    direction: Direction,
    from: Option<String>,
    to: String,
    /// The number called, for the detail record.
    number: String,
    user_data: Option<String>,
    max_answer_seconds: Option<u32>,
    max_ring_seconds: u32,
    parent: Option<String>,
    held: Option<Held>,
    rang_at: Option<DateTime<Utc>>,
    answered_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    /// Since when a call that came in is being answered, and the order.
    answering: Option<(DateTime<Utc>, Token)>,
    /// That it was answered, or not, has been told.
    dialled: bool,
    dismissed: Option<Dismissed>,
    doing: Option<Doing>,
    child: Option<Child>,
    link: Option<Link>,
    seat: Option<Seat>,
    tokens: Token,
}

impl Call {
    /// A call that somebody asks for. `around` holds the parent that it names. It has to begin within five seconds.
    pub fn outbound(birth: Birth, params: CallParams, around: &Around) -> Result<(Self, Vec<Effect>), Refusal> {
        if let Some(parent) = &params.parent_call {
            match &around.other {
                Some(View::Call { state: State::Idle, .. }) => {}
                Some(View::Call { state: State::Released, .. }) | None => return Err(Refusal::not_found(parent)),
                Some(View::Call { state, .. }) => {
                    return Err(Refusal::wrong_state(format!(
                        "call.construct needs a parent that is Idle, and {parent} is {}",
                        state.as_str()
                    )));
                }
                Some(_) => return Err(Refusal::bad("parent_call_res_id is no call")),
            }
        }
        if let Some(parent) = &params.parent_conf {
            match &around.other {
                Some(View::Conf { released: false, .. }) => {}
                Some(View::Conf { .. }) | None => return Err(Refusal::not_found(parent)),
                Some(_) => return Err(Refusal::bad("parent_conf_res_id is no conference")),
            }
        }
        Ok(Self::make(birth, params, None))
    }

    /// A call that is made for another resource, its `owner`, which alone is told of it.
    #[must_use]
    pub fn leg(birth: Birth, params: CallParams, owner: String) -> (Self, Vec<Effect>) {
        Self::make(birth, params, Some(owner))
    }

    fn make(birth: Birth, params: CallParams, owner: Option<String>) -> (Self, Vec<Effect>) {
        let dials = params.parent_call.clone().map(|to| Effect::Tell {
            to,
            told: Told::ChildDials {
                child: birth.res_id.clone(),
                file: params.ring_play_file.clone(),
                mode: params.ring_play_mode,
            },
        });
        let call = Self {
            owner,
            from: params.from.map(|uri| uri.written),
            to: params.to.written,
            number: params.to.user,
            user_data: params.user_data,
            max_answer_seconds: Some(params.max_answer_seconds),
            max_ring_seconds: params.max_ring_seconds,
            parent: params.parent_call,
            ..Self::new(birth, Direction::Outbound)
        };
        (call, dials.into_iter().collect())
    }

    fn new(birth: Birth, direction: Direction) -> Self {
        Self {
            birth,
            owner: None,
            direction,
            from: None,
            to: String::new(),
            number: String::new(),
            user_data: None,
            max_answer_seconds: None,
            max_ring_seconds: 0,
            parent: None,
            held: None,
            rang_at: None,
            answered_at: None,
            ended_at: None,
            answering: None,
            dialled: false,
            dismissed: None,
            doing: None,
            child: None,
            link: None,
            seat: None,
            tokens: 0,
        }
    }

    /// A call that came in: `on_incoming` is among the effects. Who calls whom, as the network says.
    #[must_use]
    pub fn inbound(birth: Birth, from: &str, to: &str, codecs: &[String], handed_out: HandedOut) -> (Self, Vec<Effect>) {
        let mut call = Self {
            from: Some(from.to_owned()),
            to: to.to_owned(),
            number: to.to_owned(),
            ..Self::new(birth, Direction::Inbound)
        };
        call.hand_out(&handed_out);
        let mut effects = Vec::new();
        let params = json!({
            "from_uri": from,
            "to_uri": to,
            "begin_time": call.birth.at.timestamp(),
            "codecs": codecs,
            "ipsc_info": call.ipsc_info(),
        });
        call.tell("on_incoming", params, &mut effects);
        (call, effects)
    }

    /// It may ring for so long, in seconds.
    #[must_use]
    pub fn max_ring_seconds(&self) -> u32 {
        self.max_ring_seconds
    }

    /// It may last for so long once it is answered, in seconds; one that came in says so only with its answer.
    #[must_use]
    pub fn max_answer_seconds(&self) -> u32 {
        self.max_answer_seconds.unwrap_or(super::request::LONGEST_CALL)
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

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        if self.is_released() {
            State::Released
        } else if self.answered_at.is_none() {
            match self.direction {
                Direction::Outbound if self.rang_at.is_some() => State::Ring,
                Direction::Inbound if self.answering.is_some() => State::Answer,
                _ => State::Initiated,
            }
        } else if let Some(doing) = &self.doing {
            doing.what.state()
        } else if self.link.is_some() {
            State::Connect
        } else if self.child.is_some() {
            State::Dial
        } else {
            State::Idle
        }
    }

    /// What a request to another resource has to know of it.
    #[must_use]
    pub fn view(&self) -> View {
        View::Call {
            res_id: self.birth.res_id.clone(),
            state: self.state(),
            in_conf: self.seat.is_some(),
            handset: self.held.as_ref().map(|held| held.handset.clone()),
        }
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
        // What is made for another resource is commanded through that.
        if self.is_released() || self.owner.is_some() {
            return Err(Refusal::not_found(&self.birth.res_id));
        }
        if let Method::Get = method {
            return Ok((self.all(), Vec::new()));
        }
        if self.dismissed.is_some() {
            return match method {
                Method::Drop { .. } => Ok((Value::Null, Vec::new())),
                _ => Err(Refusal::wrong_state(format!("the call is being ended, in the state {}", self.state().as_str()))),
            };
        }
        let mut effects = Vec::new();
        let result = match method {
            Method::Drop { cause } => self.drop_call(*cause, now, &mut effects)?,
            Method::Answer { .. } | Method::Reject { .. } | Method::Redirect { .. } => self.decide(method, now, &mut effects)?,
            Method::ConfEnter { conf_res_id, max_seconds, voice_mode, play_file } => {
                self.may_enter(conf_res_id, around)?;
                self.enter(conf_res_id, *max_seconds, *voice_mode, play_file.clone(), now, &mut effects);
                Value::Null
            }
            Method::ConfExit { conf_res_id } => {
                match &self.seat {
                    Some(seat) if seat.conf == *conf_res_id => self.leave(None, now, &mut effects),
                    _ => return Err(Refusal::wrong_state(format!("call.conf_exit: the call is not in {conf_res_id:?}"))),
                }
                Value::Null
            }
            Method::ConnectStart { call_res_id, max_seconds, record_file } => {
                self.may_connect(call_res_id, around)?;
                self.connect(call_res_id, *max_seconds, record_file.clone(), now, &mut effects);
                Value::Null
            }
            _ => self.act(method, now, &mut effects)?,
        };
        Ok((result, effects))
    }

    fn drop_call(&mut self, cause: u16, now: DateTime<Utc>, effects: &mut Vec<Effect>) -> Result<Value, Refusal> {
        if self.direction == Direction::Inbound {
            self.in_states("call.drop", &[], self.answered_at.is_some())?;
        }
        let Some(held) = &self.held else {
            // Nobody rings yet, and nobody will.
            self.release(End { at: now, cause: 487, by: By::Us, unanswered: Some(DIAL_FAILED), error: None }, effects);
            return Ok(Value::Null);
        };
        if !held.can(&["hangup"]) && !held.can(&["live"]) {
            return Err(Refusal::unavailable(format!(
                "call.drop needs a handset that can do \"hangup\", and {} cannot: its call ends with its report",
                held.handset
            )));
        }
        self.dismiss(cause, now, effects);
        Ok(Value::Null)
    }

    /// It is to end; a handset that cannot end it ends it when it does.
    fn dismiss(&mut self, cause: u16, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        self.dismissed = Some(Dismissed { cause, until: now + DROPPED_WITHIN });
        effects.push(Effect::CancelDial);
        if self.held.as_ref().is_some_and(|held| held.can(&["live"])) {
            self.order(Order::Drop, effects);
        }
    }

    fn decide(&mut self, method: &Method, now: DateTime<Utc>, effects: &mut Vec<Effect>) -> Result<Value, Refusal> {
        let (name, user_data) = match method {
            Method::Answer { user_data, .. } => ("call.answer", user_data),
            Method::Reject { user_data, .. } => ("call.reject", user_data),
            Method::Redirect { user_data, .. } => ("call.redirect", user_data),
            _ => return Err(Refusal::invalid_method()),
        };
        if self.direction == Direction::Outbound {
            let state = self.state().as_str();
            return Err(Refusal::wrong_state(format!(
                "{name} is for calls that come in, and this one, in the state {state}, goes out"
            )));
        }
        self.in_states(name, &[State::Initiated], true)?;
        self.able(name, &["live"])?;
        if user_data.is_some() {
            self.user_data = user_data.clone();
        }
        match method {
            Method::Answer { max_answer_seconds, .. } => {
                self.max_answer_seconds = Some(*max_answer_seconds);
                let token = self.order(Order::Answer, effects);
                self.answering = Some((now, token));
            }
            Method::Reject { cause, .. } => self.send_away(*cause, Order::Reject { cause: *cause }, now, effects),
            Method::Redirect { to, .. } => self.send_away(302, Order::Redirect { to: to.user.clone() }, now, effects),
            _ => {}
        }
        Ok(Value::Null)
    }

    fn send_away(&mut self, cause: u16, order: Order, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        self.dismissed = Some(Dismissed { cause, until: now + GONE_WITHIN });
        self.order(order, effects);
    }

    /// What is begun while nothing is done, and what ends it.
    fn act(&mut self, method: &Method, now: DateTime<Utc>, effects: &mut Vec<Effect>) -> Result<Value, Refusal> {
        let idle = [State::Idle];
        match method {
            Method::PlayStart { content, repeat, finish_keys } => {
                let speaks = content.iter().any(|part| matches!(part, Part::Text { .. }));
                self.may("call.play_start", if speaks { &["tts"] } else { &[] }, &idle)?;
                let order = Order::Play { parts: content.clone(), repeat: *repeat, finish: finish_keys.clone() };
                self.begin(Action::Play { repeat: *repeat }, order, DONE_WITHIN, now, effects);
            }
            Method::RecordStart { max_seconds, file, finish_keys, beep } => {
                self.may("call.record_start", &["record"], &idle)?;
                let order = Order::Record {
                    file: file.clone(),
                    seconds: (*max_seconds).into(),
                    finish: finish_keys.clone(),
                    beep: *beep,
                };
                let action = Action::Record { file: file.clone(), seconds: *max_seconds };
                self.begin(action, order, seconds(*max_seconds) + DONE_WITHIN, now, effects);
                return Ok(file.clone().into());
            }
            Method::SendDtmfStart { keys } => {
                self.may("call.send_dtmf_start", &[], &idle)?;
                let length = u32::try_from(keys.len()).unwrap_or(u32::MAX);
                self.begin(Action::Send, Order::SendDtmf { keys: keys.clone() }, seconds(length) + DONE_WITHIN, now, effects);
            }
            Method::ReceiveDtmfStart(collecting) => {
                self.may("call.receive_dtmf_start", &["dtmf"], &idle)?;
                if !collecting.play.is_empty() {
                    if collecting.play.iter().any(|part| matches!(part, Part::Text { .. })) {
                        self.able("call.receive_dtmf_start", &["tts"])?;
                    }
                    // The handset lets it be heard to its end, or to the first key, and waits from then on.
                    let (parts, repeat) = (collecting.play.clone(), collecting.play_repeat);
                    self.order(Order::Play { parts, repeat, finish: String::new() }, effects);
                }
                let order = Order::Collect {
                    max: collecting.max,
                    first: collecting.first.into(),
                    between: collecting.between.into(),
                    valid: collecting.valid.clone(),
                    finish: collecting.finish.clone(),
                };
                let action = Action::Collect {
                    max: collecting.max,
                    finish: collecting.finish.clone(),
                    including: collecting.including_finish,
                };
                // What is said first may be long.
                let said = if collecting.play.is_empty() { 0 } else { 3600 };
                let longest = seconds(collecting.first + collecting.between * collecting.max + said);
                self.begin(action, order, longest + DONE_WITHIN, now, effects);
            }
            Method::PlayStop => self.stop("call.play_stop", State::Play, now, effects)?,
            Method::RecordStop => self.stop("call.record_stop", State::Record, now, effects)?,
            Method::SendDtmfStop => self.stop("call.send_dtmf_stop", State::SendDtmf, now, effects)?,
            Method::ReceiveDtmfStop => self.stop("call.receive_dtmf_stop", State::ReceiveDtmf, now, effects)?,
            Method::ConnectStop => {
                self.in_states("call.connect_stop", &[State::Connect], true)?;
                if self.link.is_some() {
                    return Err(Refusal::wrong_state(
                        "call.connect_stop: only the first of two calls in the state Connect parts them",
                    ));
                }
                self.part(None, now, effects);
            }
            _ => return Err(Refusal::invalid_method()),
        }
        Ok(Value::Null)
    }

    /// Whether a method can be carried out: by its handset, and in its state.
    fn may(&self, name: &str, words: &[&str], states: &[State]) -> Result<(), Refusal> {
        self.able(name, &[&HOLDS, words].concat())?;
        self.in_states(name, states, true)
    }

    fn able(&self, name: &str, words: &[&str]) -> Result<(), Refusal> {
        let Some(held) = &self.held else { return Ok(()) };
        match words.iter().find(|word| !held.can(&[word])) {
            Some(word) => {
                Err(Refusal::unavailable(format!("{name} needs a handset that can do \"{word}\", and {} cannot", held.handset)))
            }
            None => Ok(()),
        }
    }

    fn in_states(&self, name: &str, states: &[State], also: bool) -> Result<(), Refusal> {
        let state = self.state();
        if also && (states.is_empty() || states.contains(&state)) {
            return Ok(());
        }
        Err(Refusal::wrong_state(format!("{name} cannot be done in the state {}", state.as_str())))
    }

    fn begin(&mut self, what: Action, order: Order, longest: TimeDelta, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let token = self.order(order, effects);
        self.doing = Some(Doing { token, what, begin: now, key: None, stopping: false, until: Some(now + longest) });
    }

    fn stop(&mut self, name: &str, state: State, now: DateTime<Utc>, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.in_states(name, &[state], true)?;
        let stops = self.doing.as_mut().filter(|doing| !doing.stopping);
        if let Some(doing) = stops {
            doing.stopping = true;
            doing.until = Some(now + DONE_WITHIN);
            self.order(Order::Stop, effects);
        }
        Ok(())
    }

    fn order(&mut self, order: Order, effects: &mut Vec<Effect>) -> Token {
        self.tokens += 1;
        effects.push(Effect::Order { through: self.birth.res_id.clone(), token: self.tokens, order });
        self.tokens
    }

    /// Whatever is done is over; its creator is told. What was recorded or collected is in `more`.
    fn complete(&mut self, error: Option<&str>, keys: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let Some(doing) = self.doing.take() else { return };
        let mut params = json!({
            "error": error,
            "begin_time": doing.begin.timestamp(),
            "end_time": now.max(doing.begin).timestamp(),
        });
        match &doing.what {
            Action::Play { repeat } => {
                params["finish_key"] = doing.key.clone().into();
                if !self.birth.creator.tells_user_data() {
                    // How far it got is known only where it was played to its end.
                    let to_its_end = error.is_none() && doing.key.is_none() && !doing.stopping;
                    params["repeated"] = to_its_end.then_some(*repeat).into();
                }
            }
            Action::Record { file, .. } => {
                params["record_file"] = file.clone().into();
                params["finish_key"] = doing.key.clone().into();
            }
            Action::Collect { .. } => params["keys"] = keys.unwrap_or_default().into(),
            Action::Send | Action::Connect { .. } => {}
        }
        self.tell(doing.what.event(), params, effects);
        if let (Some(owner), Action::Play { .. }) = (&self.owner, &doing.what) {
            let told = Told::LegSaid { leg: self.birth.res_id.clone(), error: error.map(str::to_owned) };
            Self::tell_other(owner, told, effects);
        }
    }

    /// What is told of the call; nothing follows its release.
    fn tell(&self, event: &str, mut params: Value, effects: &mut Vec<Effect>) {
        if self.owner.is_some() {
            return;
        }
        params["res_id"] = self.birth.res_id.clone().into();
        if self.birth.creator.tells_user_data() {
            params["user_data"] = self.user_data.clone().into();
        }
        if let Value::Object(params) = params {
            effects.push(Effect::Event(Event { name: self.birth.creator.event_name(Flow::Call, event), params }));
        }
    }

    fn ipsc_info(&self) -> Value {
        json!({ "process_id": self.birth.process_id })
    }

    fn tell_other(to: &str, told: Told, effects: &mut Vec<Effect>) {
        effects.push(Effect::Tell { to: to.to_owned(), told });
    }

    fn hand_out(&mut self, handed_out: &HandedOut) {
        let HandedOut { handset, channel, can } = handed_out;
        self.held = Some(Held { handset: handset.clone(), channel: *channel, can: can.to_string() });
    }

    /// Takes in what was heard; late, twice or out of order it changes nothing.
    pub fn heard(&mut self, heard: &Heard, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_released() {
            return effects;
        }
        let unhanded = self.held.is_none();
        let never = |cause, unanswered| End { at: now, cause, by: By::Us, unanswered: Some(unanswered), error: None };
        match heard {
            Heard::HandedOut(handed_out) if unhanded => self.hand_out(handed_out),
            Heard::NoChannel if unhanded => self.release(never(503, DIAL_FAILED), &mut effects),
            Heard::NumberBusy if unhanded => self.release(never(486, DIAL_FAILED), &mut effects),
            Heard::Barred if unhanded => self.release(never(403, DIAL_FAILED), &mut effects),
            Heard::Alerting { at } => self.rings(*at, &mut effects),
            Heard::Connected { at } => self.connected(*at, now, &mut effects),
            Heard::Ended(ended) => self.ended(ended, now, &mut effects),
            Heard::Word { token, word } => self.word(*token, word, now, &mut effects),
            Heard::NoReport if !unhanded => {
                let cause = self.dismissed.as_ref().map_or(408, |dismissed| dismissed.cause);
                let end = End { at: now, cause, by: By::Unknown, unanswered: Some(DIAL_ERROR), error: Some(NO_REPORT) };
                self.release(end, &mut effects);
            }
            Heard::Restarted if !unhanded => {
                let end = End { at: now, cause: 503, by: By::Us, unanswered: Some(DIAL_ERROR), error: Some(RESTARTED) };
                self.release(end, &mut effects);
            }
            Heard::Told(told) => self.told(told, now, &mut effects),
            _ => {}
        }
        effects
    }

    fn rings(&mut self, at: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.direction == Direction::Inbound || self.rang_at.is_some() || self.answered_at.is_some() {
            return;
        }
        self.rang_at = Some(at);
        self.tell("on_ringing", json!({ "ring_time": at.timestamp() }), effects);
        if let Some(parent) = &self.parent {
            Self::tell_other(parent, Told::ChildRings { child: self.birth.res_id.clone() }, effects);
        }
    }

    fn connected(&mut self, at: DateTime<Utc>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.answered_at.is_some() || (self.direction == Direction::Inbound && self.answering.is_none()) {
            return;
        }
        let at = at.max(self.birth.at);
        self.answered_at = Some(at);
        // The document's own word for it, which the later dialect does not have.
        if !self.birth.creator.tells_user_data() {
            self.tell("on_answered", json!({}), effects);
        }
        self.dial_completed(None, at, effects);
        if self.dismissed.is_none()
            && let Some(seat) = self.seat.take_if(|seat| seat.step == Step::Rings)
        {
            self.enter_now(seat, now, effects);
        }
    }

    /// That it was answered, or was not, is told once.
    fn dial_completed(&mut self, error: Option<&str>, at: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.dialled {
            return;
        }
        self.dialled = true;
        match (self.direction, self.answering) {
            (Direction::Outbound, _) => {
                let params = json!({
                    "error": error,
                    "begin_time": self.birth.at.timestamp(),
                    "answer_time": self.answered_at.map(|at| at.timestamp()),
                    "end_time": at.timestamp(),
                });
                self.tell("on_dial_completed", params, effects);
            }
            (Direction::Inbound, Some((begin, _))) => {
                let params = json!({
                    "error": error.map(|_| "answer error"),
                    "begin_time": begin.timestamp(),
                    "end_time": at.max(begin).timestamp(),
                });
                self.tell("on_answer_completed", params, effects);
            }
            (Direction::Inbound, None) => {}
        }
        let own = || self.birth.res_id.clone();
        if let Some(parent) = &self.parent {
            Self::tell_other(parent, Told::ChildDone { child: own() }, effects);
        }
        if let Some(owner) = &self.owner {
            let told = Told::LegDialled {
                leg: own(),
                error: error.map(str::to_owned),
                begin: self.birth.at,
                answered: self.answered_at,
                end: at,
            };
            Self::tell_other(owner, told, effects);
        }
    }

    fn ended(&mut self, ended: &Ended, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.answered_at.is_none() {
            self.answered_at = ended.connected_at.map(|at| at.max(self.birth.at));
        }
        if self.rang_at.is_none() && self.direction == Direction::Outbound {
            self.rang_at = ended.alerting_at;
        }
        let answered = self.answered_at.is_some() || ended.outcome == Some(CallOutcome::Answered);
        let dropped = self.dismissed.as_ref().map(|dismissed| dismissed.cause);
        let at = ended.ended_at.unwrap_or(now).max(self.answered_at.unwrap_or(self.birth.at)).max(self.birth.at);
        let end = if answered {
            let (cause, by) = match (ended.by, dropped) {
                (Some(EndedBy::Callee), _) => (200, By::Them),
                (Some(EndedBy::Us) | None, Some(cause)) => (cause, By::Us),
                // Nobody dropped it: its time was over.
                (Some(EndedBy::Us), None) => (603, By::Us),
                (Some(EndedBy::Network), _) => (ended.sip.filter(|status| *status >= 300).unwrap_or(500), By::Us),
                (None, None) => (200, By::Unknown),
            };
            End { at, cause, by, unanswered: None, error: None }
        } else if let (Direction::Inbound, Some(cause)) = (self.direction, dropped) {
            End { at, cause, by: By::Us, unanswered: Some(DIAL_FAILED), error: None }
        } else {
            let (cause, by, error) = unanswered(self.direction, ended, dropped.is_some());
            End { at, cause, by, unanswered: Some(error), error: None }
        };
        self.release(end, effects);
    }

    /// It is over, once. What is still being done is over first.
    fn release(&mut self, end: End, effects: &mut Vec<Effect>) {
        if self.is_released() {
            return;
        }
        self.dial_completed(end.unanswered, end.at, effects);
        if let Some(doing) = &self.doing {
            if let Action::Connect { peer, .. } = &doing.what {
                Self::tell_other(peer, Told::Unlinked { by: self.birth.res_id.clone() }, effects);
            }
            let hung_up = doing.what.hung_up();
            self.complete(Some(hung_up), None, end.at, effects);
        }
        if let Some(link) = self.link.take() {
            Self::tell_other(&link.by, Told::PeerGone { peer: self.birth.res_id.clone(), error: None }, effects);
        }
        if let Some(seat) = self.seat.take() {
            let error = seat.error.clone().unwrap_or_else(|| "hungup while in conf".to_owned());
            self.left(&seat, Some(&error), end.at, effects);
        }
        self.child = None;
        self.dismissed = None;
        self.ended_at = Some(end.at);
        if let Some(held) = self.held.as_ref().filter(|_| self.birth.creator.tells_user_data()) {
            let record = cdr::Closed {
                birth: &self.birth,
                channel: held.channel,
                from: self.from.as_deref().unwrap_or_default(),
                to: &self.number,
                outbound: self.direction == Direction::Outbound,
                answered_at: self.answered_at,
                ended_at: end.at,
                ended_by_us: match end.by {
                    By::Us => Some(true),
                    By::Them => Some(false),
                    By::Unknown => None,
                },
                cause: end.cause,
                user_data: self.user_data.as_deref(),
            };
            effects.push(Effect::Event(record.event()));
        }
        let mut params = json!({
            "call_dir": match self.direction { Direction::Outbound => "outbound", Direction::Inbound => "inbound" },
            "from_uri": self.from,
            "to_uri": self.to,
            "begin_time": self.birth.at.timestamp(),
            "answer_time": self.answered_at.map(|at| at.timestamp()),
            "end_time": end.at.timestamp(),
            "dropped_by": end.by.as_str(),
            "cause": end.cause,
            "ipsc_info": self.ipsc_info(),
        });
        // The first dialect has no such word: there it is only where it says something.
        if self.birth.creator.tells_user_data() || end.error.is_some() {
            params["error"] = end.error.into();
        }
        self.tell("on_released", params, effects);
        if let Some(owner) = &self.owner {
            let told = Told::LegReleased {
                leg: self.birth.res_id.clone(),
                end: end.at,
                dropped_by: end.by.as_str().map(str::to_owned),
                error: end.error.map(str::to_owned),
            };
            Self::tell_other(owner, told, effects);
        }
        effects.push(Effect::EndHunt);
    }

    fn word(&mut self, token: Token, word: &Word, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.doing.as_ref().is_some_and(|doing| doing.token == token) {
            self.word_of_doing(word, now, effects);
        } else if self.seat.as_ref().is_some_and(|seat| seat.token == token || seat.leave == Some(token)) {
            self.word_of_seat(token, word, now, effects);
        } else if let Some(link) = self.link.take_if(|link| link.token == token && matches!(word, Word::Error(_) | Word::Left)) {
            let error = matches!(word, Word::Error(_)).then(|| "bridge error".to_owned());
            Self::tell_other(&link.by, Told::PeerGone { peer: self.birth.res_id.clone(), error }, effects);
        } else if matches!(word, Word::Error(_)) && self.answering.is_some_and(|(_, answer)| answer == token) && !self.dialled {
            // It could not be answered: whoever calls has hung up, or will.
            self.dial_completed(Some(DIAL_ERROR), now, effects);
            self.dismissed = Some(Dismissed { cause: 500, until: now + GONE_WITHIN });
        }
    }

    fn word_of_doing(&mut self, word: &Word, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let Some(doing) = &mut self.doing else { return };
        match (&mut doing.what, word) {
            // It goes on for as long as it lasts.
            (Action::Play { .. }, Word::Playing) if !doing.stopping => doing.until = None,
            (Action::Play { .. } | Action::Record { .. }, Word::Key(key)) => doing.key = Some(key.clone()),
            // Nobody stopped it and no key did: the line is gone.
            (Action::Play { .. }, Word::Stopped) if !doing.stopping && doing.key.is_none() => {
                let error = doing.what.hung_up();
                self.complete(Some(error), None, now, effects);
            }
            (Action::Play { .. }, Word::Played | Word::Stopped) | (Action::Send, Word::Played | Word::Stopped | Word::Key(_)) => {
                self.complete(None, None, now, effects);
            }
            (Action::Record { seconds: longest, .. }, Word::Recording(_) | Word::Stopped) => {
                // As in the original, a recording that has to be cut off is in error.
                let by_nobody = doing.key.is_none() && !doing.stopping;
                let error = match now - doing.begin >= seconds(*longest) {
                    _ if !by_nobody => None,
                    true => Some("record timeout"),
                    false => Some(doing.what.hung_up()),
                };
                self.complete(error, None, now, effects);
            }
            (Action::Collect { max, finish, including }, Word::Collected(keys)) => {
                let finished = keys.chars().last().is_some_and(|key| finish.contains(key));
                let enough = keys.chars().count() >= usize::try_from(*max).unwrap_or(usize::MAX);
                let error = (!finished && !enough && !doing.stopping).then_some("receiving dtmf timeout");
                let told = if finished && !*including { keys.trim_end_matches(|key| finish.contains(key)) } else { keys };
                self.complete(error, Some(told), now, effects);
            }
            (Action::Connect { room, seconds: longest, file, joined, .. }, Word::Joined) if !*joined => {
                *joined = true;
                doing.until = Some(now + seconds(*longest));
                let record = file.clone().map(|file| Order::RoomRecord {
                    room: room.clone(),
                    file,
                    seconds: (*longest).min(super::request::LONGEST_RECORDING).into(),
                });
                if let Some(record) = record {
                    self.order(record, effects);
                }
            }
            (Action::Connect { .. }, Word::Left) => self.part(None, now, effects),
            (Action::Connect { .. }, Word::Error(_)) => self.part(Some("bridge error"), now, effects),
            (what, Word::Error(why)) => {
                let error = if why == HUNG_UP { what.hung_up() } else { what.error() };
                self.complete(Some(error), None, now, effects);
            }
            _ => {}
        }
    }

    fn may_connect(&self, other: &str, around: &Around) -> Result<(), Refusal> {
        let name = "call.connect_start";
        self.may(name, &["conference"], &[State::Idle, State::Dial])?;
        if other == self.birth.res_id {
            return Err(Refusal::bad("call_res_id is the call itself"));
        }
        if self.seat.is_some() {
            return Err(Refusal::wrong_state(format!("{name}: the call is in a conference")));
        }
        let Some(View::Call { state, in_conf, handset, .. }) = &around.other else {
            return Err(Refusal::not_found(other));
        };
        match state {
            State::Released => Err(Refusal::not_found(other)),
            _ if *handset != self.view_handset() && handset.is_some() => Err(self.elsewhere(name, other, handset.as_deref())),
            State::Idle if !in_conf => Ok(()),
            State::Idle => Err(Refusal::wrong_state(format!("{name}: {other} is in a conference"))),
            state => Err(Refusal::wrong_state(format!("{name}: {other} is in the state {}", state.as_str()))),
        }
    }

    fn view_handset(&self) -> Option<String> {
        self.held.as_ref().map(|held| held.handset.clone())
    }

    /// Calls hear each other within a handset only.
    fn elsewhere(&self, name: &str, other: &str, handset: Option<&str>) -> Refusal {
        let own = self.held.as_ref().map_or("none", |held| held.handset.as_str());
        Refusal::wrong_state(format!("{name}: the call is on the handset {own}, and {other} on {}", handset.unwrap_or("none")))
    }

    fn connect(&mut self, with: &str, longest: u32, file: Option<String>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.child.take().is_some_and(|child| child.plays) {
            self.order(Order::Stop, effects);
        }
        let room = self.birth.res_id.clone();
        let (peer, seconds) = (with.to_owned(), longest);
        let action = Action::Connect { peer, room: room.clone(), seconds, file, joined: false };
        self.begin(action, Order::Join { room: room.clone(), mute: false, deaf: false }, DONE_WITHIN, now, effects);
        Self::tell_other(with, Told::Linked { by: self.birth.res_id.clone(), room }, effects);
    }

    /// The first of two connected calls parts them.
    fn part(&mut self, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let Some(Doing { what: Action::Connect { peer, room, file, joined, .. }, .. }) = &self.doing else { return };
        let (peer, room, records) = (peer.clone(), room.clone(), file.is_some() && *joined);
        if records {
            self.order(Order::RoomEndRecording { room }, effects);
        }
        self.order(Order::Leave, effects);
        Self::tell_other(&peer, Told::Unlinked { by: self.birth.res_id.clone() }, effects);
        self.complete(error, None, now, effects);
        if let Some(owner) = &self.owner {
            let told = Told::LegsParted { leg: self.birth.res_id.clone(), error: error.map(str::to_owned) };
            Self::tell_other(owner, told, effects);
        }
    }

    fn may_enter(&self, conf: &str, around: &Around) -> Result<(), Refusal> {
        let name = "call.conf_enter";
        // What is recorded is the line alone: it has to end before others are heard on it.
        let states = [State::Ring, State::Idle, State::Play, State::SendDtmf, State::ReceiveDtmf, State::Dial];
        self.may(name, &["conference"], &states)?;
        if let Some(seat) = &self.seat {
            return Err(Refusal::wrong_state(format!("{name}: the call is in the conference {}", seat.conf)));
        }
        match &around.other {
            Some(View::Conf { released: false, handset, .. }) => match handset {
                Some(handset) if Some(handset) != self.view_handset().as_ref() => Err(self.elsewhere(name, conf, Some(handset))),
                _ => Ok(()),
            },
            _ => Err(Refusal::not_found(conf)),
        }
    }

    fn enter(
        &mut self,
        conf: &str,
        seconds: u32,
        mode: u8,
        play_file: Option<String>,
        now: DateTime<Utc>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(doing) = self.doing.as_mut().filter(|doing| matches!(doing.what, Action::Play { .. })) {
            // Its handset ends that, and nobody has hung up.
            doing.stopping = true;
        }
        let seat = Seat {
            conf: conf.to_owned(),
            mode,
            seconds,
            play_file,
            token: 0,
            begin: now,
            step: Step::Rings,
            leave: None,
            error: None,
            until: None,
        };
        if self.answered_at.is_some() { self.enter_now(seat, now, effects) } else { self.seat = Some(seat) }
    }

    fn enter_now(&mut self, mut seat: Seat, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        seat.token = self.order(join(&seat.conf, seat.mode), effects);
        seat.step = Step::Enters;
        seat.until = Some(now + DONE_WITHIN);
        self.seat = Some(seat);
    }

    fn word_of_seat(&mut self, token: Token, word: &Word, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        let Some(seat) = &mut self.seat else { return };
        match (seat.step, word) {
            (Step::Enters, Word::Joined) => {
                seat.step = Step::Inside;
                seat.begin = now;
                seat.until = Some(now + seconds(seat.seconds));
                let told = Told::Entered {
                    call: self.birth.res_id.clone(),
                    mode: seat.mode,
                    user_data: self.user_data.clone(),
                    handset: self.held.as_ref().map(|held| held.handset.clone()).unwrap_or_default(),
                    play_file: seat.play_file.clone(),
                };
                Self::tell_other(&seat.conf, told, effects);
            }
            (Step::Inside | Step::Leaves, Word::Left) | (Step::Enters, Word::Error(_) | Word::Left) => {
                let failed = (seat.step == Step::Enters).then(|| "conf error".to_owned());
                self.seat_over(failed, now, effects);
            }
            // It cannot even leave: it is not there.
            (Step::Leaves, Word::Error(_)) if seat.leave == Some(token) => self.seat_over(None, now, effects),
            _ => {}
        }
    }

    /// It is to leave its conference.
    fn leave(&mut self, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        match self.seat.as_ref().map(|seat| seat.step) {
            Some(Step::Rings) => {
                if let Some(seat) = &mut self.seat {
                    seat.error = error.map(str::to_owned);
                }
                self.seat_over(None, now, effects);
            }
            Some(Step::Enters | Step::Inside) => {
                let token = self.order(Order::Leave, effects);
                if let Some(seat) = &mut self.seat {
                    seat.step = Step::Leaves;
                    seat.leave = Some(token);
                    seat.error = error.map(str::to_owned);
                    seat.until = Some(now + DONE_WITHIN);
                }
            }
            Some(Step::Leaves) | None => {}
        }
    }

    fn seat_over(&mut self, failed: Option<String>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if let Some(seat) = self.seat.take() {
            let error = failed.or_else(|| seat.error.clone());
            self.left(&seat, error.as_deref(), now, effects);
        }
    }

    fn left(&self, seat: &Seat, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if seat.step != Step::Rings {
            Self::tell_other(&seat.conf, Told::Exited { call: self.birth.res_id.clone() }, effects);
        }
        let mut params = json!({
            "error": error,
            "begin_time": seat.begin.timestamp(),
            "end_time": now.max(seat.begin).timestamp(),
        });
        if self.birth.creator.tells_user_data() {
            params["conf_res_id"] = seat.conf.clone().into();
        }
        self.tell("on_conf_completed", params, effects);
    }

    fn told(&mut self, told: &Told, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        match told {
            Told::ChildDials { child, file, mode } if self.state() == State::Idle && self.dismissed.is_none() => {
                self.child = Some(Child { id: child.clone(), file: file.clone(), mode: *mode, plays: false });
                if *mode != 0 {
                    self.child_plays(effects);
                }
            }
            Told::ChildRings { child } => match self.child.as_ref().filter(|own| own.id == *child).map(|own| own.mode) {
                Some(0) => self.child_plays(effects),
                Some(1 | 3) => self.child_silent(effects),
                _ => {}
            },
            Told::ChildDone { child } if self.child.as_ref().is_some_and(|own| own.id == *child) => {
                self.child_silent(effects);
                self.child = None;
            }
            Told::Linked { by, room } => {
                if self.state() == State::Idle && self.seat.is_none() && self.dismissed.is_none() {
                    let token = self.order(Order::Join { room: room.clone(), mute: false, deaf: false }, effects);
                    self.link = Some(Link { by: by.clone(), token });
                } else {
                    let told = Told::PeerGone { peer: self.birth.res_id.clone(), error: Some("bridge error".to_owned()) };
                    Self::tell_other(by, told, effects);
                }
            }
            Told::Unlinked { by } => {
                let parted = self.link.take_if(|link| link.by == *by).is_some();
                if parted {
                    self.order(Order::Leave, effects);
                }
            }
            Told::PeerGone { peer, error } => {
                let connected = matches!(&self.doing, Some(Doing { what: Action::Connect { peer: own, .. }, .. }) if own == peer);
                if connected {
                    self.part(error.as_deref(), now, effects);
                }
            }
            Told::Kicked { conf } if self.seat.as_ref().is_some_and(|seat| seat.conf == *conf) => {
                self.leave(Some("kicked from conf"), now, effects);
            }
            Told::VoiceMode { conf, mode } => {
                let Some(seat) = self.seat.as_mut().filter(|seat| seat.conf == *conf && seat.step != Step::Leaves) else {
                    return;
                };
                seat.mode = *mode;
                if seat.step != Step::Rings {
                    let join = join(&seat.conf, *mode);
                    self.order(join, effects);
                }
            }
            Told::Connect { with, seconds, file } if self.owner.is_some() => {
                let able = self.may("call.connect_start", &["conference"], &[State::Idle, State::Dial]).is_ok();
                if able && self.dismissed.is_none() {
                    self.connect(with, *seconds, file.clone(), now, effects);
                } else if let Some(owner) = &self.owner {
                    let told = Told::LegsParted { leg: self.birth.res_id.clone(), error: Some("bridge error".to_owned()) };
                    Self::tell_other(owner, told, effects);
                }
            }
            Told::Say { parts, repeat } if self.owner.is_some() && self.dismissed.is_none() => {
                let (content, repeat) = (parts.clone(), *repeat);
                let play = Method::PlayStart { content, repeat, finish_keys: String::new() };
                if let (Err(_), Some(owner)) = (self.act(&play, now, effects), &self.owner) {
                    let told = Told::LegSaid { leg: self.birth.res_id.clone(), error: Some("play error".to_owned()) };
                    Self::tell_other(owner, told, effects);
                }
            }
            Told::End if self.owner.is_some() => match &self.held {
                None => {
                    self.release(End { at: now, cause: 487, by: By::Us, unanswered: Some(DIAL_FAILED), error: None }, effects);
                }
                Some(_) if self.dismissed.is_none() => self.dismiss(603, now, effects),
                Some(_) => {}
            },
            _ => {}
        }
    }

    fn child_plays(&mut self, effects: &mut Vec<Effect>) {
        let Some(file) = self.child.as_mut().filter(|child| !child.plays).and_then(|child| {
            child.plays = child.file.is_some();
            child.file.clone()
        }) else {
            return;
        };
        self.order(Order::Play { parts: vec![Part::File(file)], repeat: RINGS_ON, finish: String::new() }, effects);
    }

    fn child_silent(&mut self, effects: &mut Vec<Effect>) {
        let played = self.child.as_mut().is_some_and(|child| std::mem::take(&mut child.plays));
        if played {
            self.order(Order::Stop, effects);
        }
    }

    /// What is due at some time, and when.
    fn clocks(&self) -> impl Iterator<Item = (DateTime<Utc>, Clock)> {
        let begins = (self.direction == Direction::Outbound && self.held.is_none()).then(|| self.birth.at + BEGINS_WITHIN);
        let undecided = self.direction == Direction::Inbound && self.answering.is_none() && self.dismissed.is_none();
        let decided = undecided.then(|| self.birth.at + DECIDED_WITHIN);
        let answered = self.answering.filter(|_| self.answered_at.is_none() && self.dismissed.is_none());
        let gone = self.dismissed.as_ref().map(|dismissed| dismissed.until);
        let limit = self.max_answer_seconds.map(seconds);
        let kept = match self.direction {
            Direction::Outbound => LIMIT_KEPT_WITHIN,
            Direction::Inbound => TimeDelta::zero(),
        };
        let can_end = self.held.as_ref().is_some_and(|held| held.can(&["hangup"]) || held.can(&["live"]));
        let over =
            self.answered_at.zip(limit).filter(|_| self.dismissed.is_none() && can_end).map(|(at, limit)| at + limit + kept);
        let longest = seconds(self.max_ring_seconds) + limit.unwrap_or_default() + FORGOTTEN_AFTER;
        let forgotten = self.birth.at + longest;
        [
            begins.map(|at| (at, Clock::Begins)),
            decided.map(|at| (at, Clock::Decided)),
            answered.map(|(at, _)| (at + GONE_WITHIN, Clock::Forgotten)),
            gone.map(|at| (at, Clock::Forgotten)),
            over.map(|at| (at, Clock::Over)),
            Some((forgotten, Clock::Forgotten)),
            self.doing.as_ref().and_then(|doing| doing.until).map(|at| (at, Clock::Doing)),
            self.seat.as_ref().and_then(|seat| seat.until).map(|at| (at, Clock::Seat)),
        ]
        .into_iter()
        .flatten()
        .filter(|_| !self.is_released())
    }

    /// When something is due next.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.clocks().map(|(at, _)| at).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((_, clock)) = self.clocks().filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at) {
            self.strike(clock, now, &mut effects);
        }
        effects
    }

    fn strike(&mut self, clock: Clock, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        match clock {
            Clock::Begins => {
                self.release(End { at: now, cause: 503, by: By::Us, unanswered: Some(DIAL_FAILED), error: None }, effects);
            }
            Clock::Decided => self.send_away(480, Order::Reject { cause: 480 }, now, effects),
            Clock::Forgotten => {
                let cause = self.dismissed.as_ref().map_or(408, |dismissed| dismissed.cause);
                let end = End { at: now, cause, by: By::Unknown, unanswered: Some(DIAL_ERROR), error: Some(NO_REPORT) };
                self.release(end, effects);
            }
            Clock::Over => self.dismiss(603, now, effects),
            Clock::Doing => match &self.doing {
                Some(Doing { what: Action::Connect { joined, .. }, .. }) => {
                    let error = if *joined { "bridge timeout" } else { "bridge error" };
                    self.part(Some(error), now, effects);
                }
                Some(doing) => {
                    // What was asked to stop, and is not heard of, has stopped.
                    let error = (!doing.stopping).then(|| doing.what.error());
                    self.complete(error, None, now, effects);
                }
                None => {}
            },
            Clock::Seat => match self.seat.as_ref().map(|seat| seat.step) {
                Some(Step::Inside) => self.leave(Some("conf timeout"), now, effects),
                Some(Step::Enters) => {
                    // Perhaps it does enter, later than anybody waits.
                    self.order(Order::Leave, effects);
                    self.seat_over(Some("conf error".to_owned()), now, effects);
                }
                Some(Step::Leaves | Step::Rings) => self.seat_over(None, now, effects),
                None => {}
            },
        }
    }

    /// All that is known, for `get`.
    fn all(&self) -> Value {
        let time = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp());
        json!({
            "res_id": self.birth.res_id,
            "state": self.state().as_str(),
            "call_dir": match self.direction { Direction::Outbound => "outbound", Direction::Inbound => "inbound" },
            "from_uri": self.from,
            "to_uri": self.to,
            "begin_time": self.birth.at.timestamp(),
            "ring_time": time(self.rang_at),
            "answer_time": time(self.answered_at),
            "max_ring_seconds": self.max_ring_seconds,
            "max_answer_seconds": self.max_answer_seconds,
            "handset": self.view_handset(),
            "conf_res_id": self.seat.as_ref().map(|seat| seat.conf.clone()),
            "user_data": self.user_data,
            "ipsc_info": self.ipsc_info(),
        })
    }
}

/// What may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// It should have begun.
    Begins,
    /// Somebody should have decided about it.
    Decided,
    /// It should have been reported.
    Forgotten,
    /// It has lasted for as long as it may.
    Over,
    /// What is done in it has.
    Doing,
    /// It was in its conference for as long as it may.
    Seat,
}

fn seconds(number: u32) -> TimeDelta {
    TimeDelta::seconds(number.into())
}

/// In which way a call is in a room: 1 hears and is heard, 2 is heard, 3 hears, 4 neither.
fn join(conf: &str, mode: u8) -> Order {
    Order::Join { room: conf.to_owned(), mute: matches!(mode, 3 | 4), deaf: matches!(mode, 2 | 4) }
}

/// The status of SIP, who ended it, and what is told of the dial, for a call that nobody took.
fn unanswered(direction: Direction, ended: &Ended, dropped: bool) -> (u16, By, &'static str) {
    let sip = ended.sip.filter(|status| (300..700).contains(status));
    let caller_gone = direction == Direction::Inbound;
    match ended.outcome {
        Some(CallOutcome::Busy) => (sip.unwrap_or(486), By::Them, DIAL_FAILED),
        Some(CallOutcome::Rejected) => (sip.unwrap_or(603), By::Them, DIAL_FAILED),
        // What we take back after the time for ringing ends as what we take back because somebody said so.
        Some(CallOutcome::NoAnswer) | None if dropped => (sip.unwrap_or(487), By::Us, DIAL_FAILED),
        Some(CallOutcome::NoAnswer) | None if caller_gone => (sip.unwrap_or(487), By::Them, DIAL_FAILED),
        Some(CallOutcome::NoAnswer) | None => (sip.filter(|status| *status != 487).unwrap_or(408), By::Us, DIAL_TIMEOUT),
        Some(CallOutcome::NotDialled) => (if dropped { 487 } else { sip.unwrap_or(503) }, By::Us, DIAL_FAILED),
        Some(CallOutcome::Failed | CallOutcome::Answered) => {
            let (status, error) = match ended.detail {
                Some(FailureDetail::BadNumber) => (404, DIAL_FAILED),
                Some(FailureDetail::Unreachable) => (480, DIAL_FAILED),
                Some(FailureDetail::Auth) => (403, DIAL_ERROR),
                Some(FailureDetail::Trunk) => (503, DIAL_ERROR),
                Some(FailureDetail::Media) => (488, DIAL_ERROR),
                None => (500, DIAL_FAILED),
            };
            (sip.unwrap_or(status), By::Us, error)
        }
    }
}
