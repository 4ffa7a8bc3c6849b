//! The resource *announcement*: one call in which something is said, and one event when it is over.
//!
//! The call is an ordinary one, made for this resource ([`super::call::Call::leg`]), which alone hears of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::content::Part;
use super::effect::{Around, Effect, Heard, Told, View};
use super::reply::{Event, Refusal};
use super::request::{CallParams, Method, NotifyParams};
use super::{Birth, Flow};

/// Nothing is said for longer, in seconds.
const LONGEST: u32 = 1800;
/// Whatever it comes to, the call has said so itself long before.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::seconds(900);

const PLAY_ERROR: &str = "play error";

/// Whether it was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Said {
    /// Not yet.
    No,
    /// To its end, or until whoever heard it hung up.
    Yes,
    /// It will not be: why.
    Never(String),
}

/// An announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    birth: Birth,
    content: Vec<Part>,
    repeat: u32,
    max_ring_seconds: u32,
    user_data: Option<String>,
    answered_at: Option<DateTime<Utc>>,
    said: Said,
    ended_at: Option<DateTime<Utc>>,
}

impl Notify {
    /// A new one; its call is among the effects.
    #[must_use]
    pub fn new(birth: Birth, params: NotifyParams) -> (Self, Vec<Effect>) {
        let notify = Self {
            birth,
            content: params.content,
            repeat: params.repeat,
            max_ring_seconds: params.max_ring_seconds,
            user_data: params.user_data.clone(),
            answered_at: None,
            said: Said::No,
            ended_at: None,
        };
        let call = CallParams {
            to: params.to,
            from: params.from,
            max_answer_seconds: LONGEST,
            max_ring_seconds: params.max_ring_seconds,
            parent_call: None,
            parent_conf: None,
            ring_play_file: None,
            ring_play_mode: 0,
            user_data: params.user_data,
        };
        let raise = Effect::Raise { res_id: notify.leg(), call: Box::new(call) };
        (notify, vec![raise])
    }

    /// The id of its call.
    fn leg(&self) -> String {
        format!("{}.1", self.birth.res_id)
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

    /// What a request to another resource has to know of it.
    #[must_use]
    pub fn view(&self) -> View {
        View::Other { released: self.is_released() }
    }

    /// Carries out a request: there is little to ask.
    pub fn request(&mut self, method: &Method, around: &Around) -> Result<(Value, Vec<Effect>), Refusal> {
        let result = match method {
            Method::Exists { res_id: Some(other) } if *other != self.birth.res_id => around.exists().into(),
            Method::Exists { .. } => (!self.is_released()).into(),
            _ if self.is_released() => return Err(Refusal::not_found(&self.birth.res_id)),
            Method::Get => json!({
                "res_id": self.birth.res_id,
                "begin_time": self.birth.at.timestamp(),
                "answer_time": self.answered_at.map(|at| at.timestamp()),
                "user_data": self.user_data,
            }),
            _ => return Err(Refusal::invalid_method()),
        };
        Ok((result, Vec::new()))
    }

    /// Takes in what its call says; late, twice or out of order it changes nothing.
    pub fn heard(&mut self, heard: &Heard, _now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Heard::Told(told) = heard else { return effects };
        if self.is_released() {
            return effects;
        }
        match told {
            Told::LegDialled { error: Some(error), .. } => {
                let error = if error == "dial timeout" { "ring timeout" } else { error };
                self.said = Said::Never(error.to_owned());
            }
            Told::LegDialled { error: None, answered, .. } => {
                self.answered_at = *answered;
                let told = Told::Say { parts: self.content.clone(), repeat: self.repeat };
                effects.push(Effect::Tell { to: self.leg(), told });
            }
            Told::LegSaid { error, .. } => {
                // Whoever hangs up meanwhile was told what they wanted to hear of it.
                let failed = error.as_ref().is_some_and(|error| error == PLAY_ERROR);
                self.said = if failed { Said::Never(PLAY_ERROR.to_owned()) } else { Said::Yes };
                effects.push(Effect::Tell { to: self.leg(), told: Told::End });
            }
            Told::LegReleased { end, dropped_by, error, .. } => {
                self.release(*end, dropped_by.as_deref(), error.as_deref(), &mut effects);
            }
            _ => {}
        }
        effects
    }

    /// It is over, and told once.
    fn release(&mut self, end: DateTime<Utc>, dropped_by: Option<&str>, error: Option<&str>, effects: &mut Vec<Effect>) {
        let end = end.max(self.answered_at.unwrap_or(self.birth.at));
        self.ended_at = Some(end);
        let error = match &self.said {
            Said::Yes => None,
            Said::Never(why) => Some(error.unwrap_or(why)),
            // It was answered, and nobody heard anything: this handset does not speak.
            Said::No => Some(error.unwrap_or(PLAY_ERROR)),
        };
        let params = json!({
            "res_id": self.birth.res_id,
            "error": error,
            "begin_time": self.birth.at.timestamp(),
            "answer_time": self.answered_at.map(|at| at.timestamp()),
            "end_time": end.timestamp(),
            "dropped_by": dropped_by,
            "user_data": self.user_data,
        });
        if let Value::Object(params) = params {
            let name = self.birth.creator.event_name(Flow::NotifyCall, "on_released");
            effects.push(Effect::Event(Event { name, params }));
        }
    }

    /// When something is due next: its call ends by itself, and this only if nobody says so.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        let longest = TimeDelta::seconds(i64::from(self.max_ring_seconds) + i64::from(LONGEST)) + FORGOTTEN_AFTER;
        (!self.is_released()).then(|| self.birth.at + longest)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.due().is_some_and(|due| due <= now) {
            self.release(now, None, Some("no report"), &mut effects);
        }
        effects
    }
}
