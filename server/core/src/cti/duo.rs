//! The resource *callback*: two calls, one after the other, that are connected when both are answered.
//!
//! Both are ordinary calls, made for this resource ([`super::call::Call::leg`]), which alone hears of them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::effect::{Around, Effect, Heard, Told, View};
use super::reply::{Event, Refusal};
use super::request::{CallParams, DuoParams, LONGEST_CALL, Method};
use super::{Birth, Flow};

/// Both are hung up by then after they were told to.
const HUNG_UP_WITHIN: TimeDelta = TimeDelta::seconds(330);
/// Between the end of one thing and the beginning of the next.
const MARGIN: u32 = 30;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Step {
    /// The first is called.
    First,
    /// The first has answered, and the second is called.
    Second,
    /// They are connected.
    Connected,
    /// It ends: who is still there is hung up.
    Ending,
}

/// A callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duo {
    birth: Birth,
    params: DuoParams,
    step: Step,
    /// The first call is over, and the second.
    over: [bool; 2],
    answered_at: Option<DateTime<Utc>>,
    connected_at: Option<DateTime<Utc>>,
    /// Since when it ends, and why.
    ending: Option<(DateTime<Utc>, Option<String>)>,
    ended_at: Option<DateTime<Utc>>,
}

impl Duo {
    /// A new one; the first call is among the effects.
    #[must_use]
    pub fn new(birth: Birth, params: DuoParams) -> (Self, Vec<Effect>) {
        let duo = Self {
            birth,
            params,
            step: Step::First,
            over: [false, true],
            answered_at: None,
            connected_at: None,
            ending: None,
            ended_at: None,
        };
        let first = duo.raise(0);
        (duo, vec![first])
    }

    /// The id of one of its calls.
    fn leg(&self, place: usize) -> String {
        format!("{}.{}", self.birth.res_id, place + 1)
    }

    fn raise(&self, place: usize) -> Effect {
        let DuoParams { to, from, max_connect_seconds, max_ring_seconds, ring_play_file, ring_play_mode, user_data, .. } =
            &self.params;
        // The first waits for the second.
        let waits = if place == 0 { max_ring_seconds + MARGIN } else { 0 };
        let call = CallParams {
            to: to[place].clone(),
            from: from[place].clone(),
            max_answer_seconds: (max_connect_seconds + waits + MARGIN).min(LONGEST_CALL),
            max_ring_seconds: *max_ring_seconds,
            parent_call: (place == 1).then(|| self.leg(0)),
            parent_conf: None,
            ring_play_file: ring_play_file.clone().filter(|_| place == 1),
            ring_play_mode: *ring_play_mode,
            user_data: user_data[place + 1].clone().or_else(|| user_data[0].clone()),
        };
        Effect::Raise { res_id: self.leg(place), call: Box::new(call) }
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

    /// Carries out a request.
    pub fn request(&mut self, method: &Method, around: &Around, now: DateTime<Utc>) -> Result<(Value, Vec<Effect>), Refusal> {
        let mut effects = Vec::new();
        let result = match method {
            Method::Exists { res_id: Some(other) } if *other != self.birth.res_id => around.exists().into(),
            Method::Exists { .. } => (!self.is_released()).into(),
            _ if self.is_released() => return Err(Refusal::not_found(&self.birth.res_id)),
            Method::Get => json!({
                "res_id": self.birth.res_id,
                "state": self.state(),
                "begin_time": self.birth.at.timestamp(),
                "answer_time": time(self.answered_at),
                "connect_time": time(self.connected_at),
                "user_data": self.params.user_data[0],
            }),
            Method::Cancel if self.step == Step::Connected => {
                let why = format!("ext.duo_callback.cancel cannot be done in the state {}", self.state());
                return Err(Refusal::wrong_state(why));
            }
            Method::Cancel => {
                self.end(Some("cancelled"), now, &mut effects);
                Value::Null
            }
            _ => return Err(Refusal::invalid_method()),
        };
        Ok((result, effects))
    }

    /// Its state, in the document's word.
    fn state(&self) -> &'static str {
        match self.step {
            _ if self.is_released() => "Released",
            Step::First => "Initiated",
            Step::Second => "Answered",
            Step::Connected => "Connected",
            Step::Ending => "Ending",
        }
    }

    fn tell(&self, event: &str, mut params: Value, effects: &mut Vec<Effect>) {
        params["res_id"] = self.birth.res_id.clone().into();
        params["user_data"] = self.params.user_data[0].clone().into();
        if let Value::Object(params) = params {
            effects.push(Effect::Event(Event { name: self.birth.creator.event_name(Flow::DuoCallback, event), params }));
        }
    }

    /// Takes in what its calls say; late, twice or out of order it changes nothing.
    pub fn heard(&mut self, heard: &Heard, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Heard::Told(told) = heard else { return effects };
        if self.is_released() {
            return effects;
        }
        let place = |leg: &String| (0..2).find(|place| self.leg(*place) == *leg);
        match told {
            Told::LegDialled { leg, error, begin, answered, end } => match place(leg) {
                Some(0) if self.step == Step::First => {
                    self.dialled("on_dial1_completed", error.as_ref(), [Some(*begin), *answered, Some(*end)], &mut effects);
                    if error.is_some() {
                        self.end(error.as_deref(), now, &mut effects);
                    } else {
                        self.answered_at = answered.or(Some(*end));
                        self.step = Step::Second;
                        self.over[1] = false;
                        self.tell("on_dial2_started", json!({ "begin_time": now.timestamp() }), &mut effects);
                        effects.push(self.raise(1));
                    }
                }
                Some(1) if self.step == Step::Second => {
                    self.dialled("on_dial2_completed", error.as_ref(), [Some(*begin), *answered, Some(*end)], &mut effects);
                    if error.is_some() {
                        self.end(error.as_deref(), now, &mut effects);
                    } else {
                        self.connected_at = answered.or(Some(*end));
                        self.step = Step::Connected;
                        let told = Told::Connect {
                            with: self.leg(1),
                            seconds: self.params.max_connect_seconds,
                            file: self.params.record_file.clone(),
                        };
                        effects.push(Effect::Tell { to: self.leg(0), told });
                    }
                }
                _ => {}
            },
            Told::LegsParted { error, .. } => self.end(error.as_deref(), now, &mut effects),
            Told::LegReleased { leg, error, .. } => {
                if let Some(place) = place(leg) {
                    self.over[place] = true;
                    // Before they are connected, whoever hangs up spoils it.
                    let spoilt = (self.step < Step::Connected).then_some("hungup while dialling");
                    self.end(error.as_deref().or(spoilt), now, &mut effects);
                }
            }
            _ => {}
        }
        effects
    }

    fn dialled(&self, event: &str, error: Option<&String>, times: [Option<DateTime<Utc>>; 3], effects: &mut Vec<Effect>) {
        let [begin, answered, end] = times.map(time);
        self.tell(event, json!({ "error": error, "begin_time": begin, "answer_time": answered, "end_time": end }), effects);
    }

    /// It ends: who is still there is hung up, and when nobody is, it is over.
    fn end(&mut self, error: Option<&str>, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        if self.ending.is_none() {
            self.ending = Some((now, error.map(str::to_owned)));
            self.step = Step::Ending;
            for place in (0..2).filter(|place| !self.over[*place]) {
                effects.push(Effect::Tell { to: self.leg(place), told: Told::End });
            }
        }
        if self.over == [true, true] {
            self.release(now, effects);
        }
    }

    fn release(&mut self, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
        self.ended_at = Some(now);
        let (at, error) = self.ending.clone().unwrap_or((now, None));
        let params = json!({
            "error": error,
            "begin_time": self.birth.at.timestamp(),
            "answer_time": time(self.answered_at),
            "connect_time": time(self.connected_at),
            "end_time": at.max(self.birth.at).timestamp(),
        });
        self.tell("on_released", params, effects);
    }

    /// When something is due next: its calls end by themselves, and this only if nobody says so.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        if self.is_released() {
            return None;
        }
        let ring = 2 * self.params.max_ring_seconds;
        let longest = TimeDelta::seconds(i64::from(ring) + i64::from(LONGEST_CALL)) + HUNG_UP_WITHIN;
        Some(self.ending.as_ref().map_or(self.birth.at + longest, |(since, _)| *since + HUNG_UP_WITHIN))
    }

    /// Does what is due.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.due().is_some_and(|due| due <= now) {
            self.end(Some("no report"), now, &mut effects);
            if !self.is_released() {
                self.release(now, &mut effects);
            }
        }
        effects
    }
}

fn time(at: Option<DateTime<Utc>>) -> Option<i64> {
    at.map(|at| at.timestamp())
}
