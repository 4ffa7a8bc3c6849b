//! What is known about a modem, for its task and for the handset.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{clock::Pace, config::AnswerWord};
use crate::{
    driver::clock::Clock,
    modem::{
        call::Call,
        dialect::{Dialect, Identity},
        listed::Listed,
        pdu::{deliver::Deliver, joining::Joined, report::Report},
        radio::Registration,
    },
    native::delivery::Told,
    phone::CallState,
    wire::{AnswerDetection, Capability, Delivery, InboundText, LineState, Sim, Status},
};

/// From here on count the places of messages that lie on no SIM.
const NOWHERE: u32 = 1 << 31;

/// Most of those that are kept until the server has them.
const MOST_LOOSE: usize = 50;

/// Most words of the network about texts that are kept until they are written down. What lies on the SIM stays there.
const MOST_TOLD: usize = 64;

/// What the modem is like now.
#[derive(Debug, Default)]
struct Known {
    /// Why it cannot be used.
    trouble: Option<String>,
    /// Everything was tried to bring it back.
    stuck: bool,
    identity: Identity,
    /// Since when it can be used, in seconds since 1970.
    ready_since: Option<u64>,
    signal_dbm: Option<i32>,
    registration: Option<Registration>,
    /// It was asked for that since it is ready.
    radio_asked: bool,
    operator: Option<String>,
    credit: Option<String>,
    /// Somebody else's call is on the line.
    stranger: bool,
    call: Option<Call>,
    /// A call of the process before is being looked for, or was.
    searched: bool,
    /// Whom that call rings.
    search: Option<String>,
    /// The call that is looked for is to end as soon as it is found.
    hang_up: bool,
    texts: Vec<Joined>,
    /// Messages that came and lie on no SIM, by a place that is none.
    loose: Vec<(u32, Deliver)>,
    loose_places: u32,
    /// What the network said of texts since they were sent.
    told: VecDeque<OneTold>,
}

/// A word of the network.
#[derive(Debug)]
struct OneTold {
    told: Told,
    /// It is written down, and only lies on the SIM.
    taken: bool,
}

/// The same, for several tasks.
#[derive(Debug)]
pub(super) struct Shared {
    known: Mutex<Known>,
    changed: Notify,
    pub(super) pace: Pace,
    answers: AnswerWord,
}

impl Shared {
    pub(super) fn new(pace: Pace, answers: AnswerWord) -> Self {
        let trouble = Some("the modem has not answered yet".to_owned());
        Self { known: Mutex::new(Known { trouble, ..Known::default() }), changed: Notify::new(), pace, answers }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No lock is held while something can go wrong.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when something about the call is new.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.known().trouble.clone()
    }

    pub(super) fn ready(&self, identity: &Identity) {
        let mut known = self.known();
        known.trouble = None;
        // What it was told before may be long ago.
        (known.registration, known.radio_asked) = (None, false);
        known.stuck = false;
        known.identity = identity.clone();
        known.ready_since = Some(Clock::start().now().as_secs());
    }

    pub(super) fn not_ready(&self, why: &str, stuck: bool) {
        let mut known = self.known();
        if known.trouble.as_deref() != Some(why) {
            tracing::warn!("the modem cannot be used: {why}");
            known.trouble = Some(why.to_owned());
        }
        known.stuck |= stuck;
        (known.registration, known.radio_asked) = (None, false);
        known.signal_dbm = None;
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.known().identity.dialect()
    }

    pub(super) fn radio(&self, signal_dbm: Option<i32>, registration: Option<Registration>, operator: Option<String>) {
        let mut known = self.known();
        known.signal_dbm = signal_dbm;
        known.registration = registration;
        known.radio_asked = true;
        known.operator = operator;
    }

    pub(super) fn registration(&self) -> Option<Registration> {
        self.known().registration
    }

    /// Whether a number could be rung now. A modem that does not tell whether it is in a network is believed in.
    pub(super) fn can_dial(&self) -> bool {
        let known = self.known();
        known.trouble.is_none() && known.radio_asked && known.registration.is_none_or(Registration::is_in)
    }

    pub(super) fn credit(&self, text: &str) {
        self.known().credit = Some(text.chars().take(200).collect());
    }

    pub(super) fn stranger(&self, there: bool) {
        self.known().stranger = there;
    }

    pub(super) fn has_stranger(&self) -> bool {
        self.known().stranger
    }

    /// A number is about to be dialled.
    pub(super) fn begin_call(&self, number: &str) {
        let mut known = self.known();
        known.call = Some(Call::new(number, known.identity.dialect(), self.answers == AnswerWord::Early, self.pace.now()));
        known.hang_up = false;
        known.searched = false;
        known.search = None;
    }

    /// What became of a call of the process before.
    pub(super) fn found_call(&self, number: &str, list: &[Listed]) {
        let mut known = self.known();
        let now = self.pace.now();
        let mut call = Call::found(number, known.identity.dialect(), self.answers == AnswerWord::Early, now, list);
        if known.hang_up {
            call.hang_up(now);
        }
        tracing::info!(runs = call.may_run(), "the modem says what became of the call of the process before");
        known.call = Some(call);
        known.search = None;
        self.changed.notify_one();
    }

    /// Whom the call rings that is to be looked for as soon as the modem answers.
    pub(super) fn search_later(&self, number: &str) {
        self.known().search = Some(number.to_owned());
    }

    pub(super) fn searched_number(&self) -> Option<String> {
        self.known().search.clone()
    }

    /// The modem has been away for too long: whatever call there was is over.
    pub(super) fn lost_call(&self) {
        let now = self.pace.now();
        if self.with_call(|call| call.lost(now)).is_none()
            && let Some(number) = self.searched_number()
        {
            self.found_call(&number, &[]);
            self.with_call(|call| call.lost(now));
        }
    }

    /// Does something with the call, if there is one.
    pub(super) fn with_call<T>(&self, act: impl FnOnce(&mut Call) -> T) -> Option<T> {
        let mut known = self.known();
        let now = self.pace.now();
        let call = known.call.as_mut()?;
        let before = (call.state(now), call.has_keys());
        let done = act(call);
        if (call.state(now), call.has_keys()) != before {
            self.changed.notify_one();
        }
        Some(done)
    }

    pub(super) fn call_may_run(&self) -> bool {
        let known = self.known();
        known.call.as_ref().map_or(known.searched, Call::may_run)
    }

    pub(super) fn hang_up(&self) {
        let now = self.pace.now();
        if self.with_call(|call| call.hang_up(now)).is_none() {
            self.known().hang_up = true;
        }
    }

    /// Where the call to a number stands; `None` if none was dialled, or found.
    pub(super) fn call_state(&self, number: &str) -> Option<CallState> {
        let known = self.known();
        known.call.as_ref().filter(|call| call.number() == number).map(|call| call.state(self.pace.now()))
    }

    /// Why the call to a number ended, as the network said.
    pub(super) fn call_cause(&self, number: &str) -> Option<u8> {
        self.known().call.as_ref().filter(|call| call.number() == number).and_then(Call::cause)
    }

    /// The keys that the callee of the call to a number has pressed since this was asked last.
    pub(super) fn take_keys(&self, number: &str) -> Vec<char> {
        let mut known = self.known();
        known.call.as_mut().filter(|call| call.number() == number).map(Call::take_keys).unwrap_or_default()
    }

    /// True the first time: a call of the process before is to be looked for.
    pub(super) fn begins_search(&self) -> bool {
        !std::mem::replace(&mut self.known().searched, true)
    }

    /// A message came that lies nowhere.
    pub(super) fn keep_loose(&self, message: Deliver) {
        let mut known = self.known();
        if known.loose.len() >= MOST_LOOSE {
            tracing::warn!("a message that lies on no SIM is not kept: the server has not taken those before it");
            return;
        }
        let place = NOWHERE | known.loose_places;
        known.loose_places = known.loose_places.wrapping_add(1) & (NOWHERE - 1);
        known.loose.push((place, message));
    }

    pub(super) fn loose(&self) -> Vec<(u32, Deliver)> {
        self.known().loose.clone()
    }

    /// The network says what became of a part of a text, by a report that may lie on the SIM.
    pub(super) fn keep_told(&self, report: &Report, delivery: Delivery, place: Option<u32>) {
        let mut known = self.known();
        if place.is_some() && known.told.iter().any(|one| one.told.place == place) {
            return;
        }
        if known.told.len() >= MOST_TOLD {
            known.told.pop_front();
        }
        let Report { reference, to, at, .. } = report;
        let told = Told { reference: *reference, to: to.clone(), delivery, at: at.to_string(), place };
        known.told.push_back(OneTold { told, taken: false });
        self.changed.notify_one();
    }

    pub(super) fn told(&self) -> Vec<Told> {
        self.known().told.iter().filter(|one| !one.taken).map(|one| one.told.clone()).collect()
    }

    /// It is written down: where it lies on the SIM. Until it is deleted there it is not read again: by then another message may lie there.
    pub(super) fn told_taken(&self, told: &Told) -> Option<u32> {
        let mut known = self.known();
        match told.place {
            None => known.told.retain(|one| one.told != *told),
            Some(_) => known.told.iter_mut().filter(|one| one.told == *told).for_each(|one| one.taken = true),
        }
        told.place
    }

    /// What lay at these places is being deleted, or is to be read anew.
    pub(super) fn forget_told(&self, slots: &[u32]) {
        self.known().told.retain(|one| !one.told.place.is_some_and(|place| slots.contains(&place)));
    }

    pub(super) fn keep_texts(&self, texts: Vec<Joined>) {
        self.known().texts = texts;
    }

    pub(super) fn texts(&self) -> Vec<InboundText> {
        let texts = &self.known().texts;
        texts
            .iter()
            .map(|text| InboundText {
                id: Some(text.id.clone()),
                from: text.from.clone(),
                text: text.text.clone(),
                received_at: Some(text.at.clone()),
                parts: Some(u64::from(text.parts)),
            })
            .collect()
    }

    /// The server has this one: where it lies on the SIM.
    pub(super) fn text_taken(&self, id: &str) -> Vec<u32> {
        let mut known = self.known();
        let slots: Vec<u32> = known.texts.iter().filter(|text| text.id == id).flat_map(|text| text.slots.clone()).collect();
        known.texts.retain(|text| text.id != id);
        known.loose.retain(|(place, _)| !slots.contains(place));
        slots.into_iter().filter(|slot| *slot < NOWHERE).collect()
    }

    pub(super) fn status(&self) -> Status {
        let known = self.known();
        let registration = known.registration.filter(|_| known.trouble.is_none());
        let network = known.operator.clone().or_else(|| registration.map(|state| state.words().to_owned()));
        let Identity { manufacturer, model, firmware, .. } = &known.identity;
        let modem =
            [manufacturer, model, firmware].into_iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        let busy = known.stranger || known.call.as_ref().is_some_and(Call::may_run);
        Status {
            network: network.filter(|_| known.trouble.is_none()),
            signal_dbm: known.signal_dbm,
            agent: Some(format!("autocall-handset/{} modem {modem}", env!("CARGO_PKG_VERSION")).trim_end().to_owned()),
            sims: known.operator.iter().map(|operator| Sim { operator: Some(operator.clone()), ..Sim::default() }).collect(),
            capabilities: vec![Capability::Hangup, Capability::Forwarding, Capability::Sms, Capability::SmsIn],
            line: Some(if busy { LineState::Busy } else { LineState::Idle }),
            answer_detection: Some(match self.answers {
                AnswerWord::Exact => AnswerDetection::Exact,
                AnswerWord::Early => AnswerDetection::Early,
            }),
            channels: Some(1),
            backend: Some("modem".to_owned()),
            credit: known.credit.clone(),
            modem: Some(match &known.trouble {
                _ if known.stuck => "stuck".to_owned(),
                Some(why) => why.clone(),
                None => "ready".to_owned(),
            }),
            started_at: known.ready_since.map(|since| since.to_string()),
            ..Status::default()
        }
    }
}
