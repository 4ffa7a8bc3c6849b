//! What holds whatever is asked and heard, in any order: a few resources on one handset, and a shell that carries out their effects.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use android_protocol::wire::{CallOutcome, EndedBy};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::call::Call;
use super::conf::Conf;
use super::duo::Duo;
use super::effect::{Around, Effect, Ended, HandedOut, Heard, Order, Token, Word};
use super::notify::Notify;
use super::request::{Construct, Method};
use super::{Birth, Creator, Dialect, Flow, Params, Prefix, Resource, State};
use crate::needs::Words;

/// What is known of a resource from outside.
#[derive(Default)]
struct Seen {
    released: usize,
    hunts_ended: usize,
    dials_completed: usize,
    /// Begun and not completed: actions, and conferences entered.
    actions: usize,
    seats: usize,
}

#[derive(Default)]
struct World {
    now: DateTime<Utc>,
    resources: BTreeMap<String, Resource>,
    seen: BTreeMap<String, Seen>,
    /// Which orders were given, and for whom their words are.
    orders: Vec<(String, Token, Order)>,
    made: usize,
    /// The states that calls were in, and the events that were told.
    reached: BTreeSet<String>,
}

const ACTIONS: [&str; 5] =
    ["on_play_completed", "on_record_completed", "on_send_dtmf_completed", "on_receive_dtmf_completed", "on_connect_completed"];

fn params(value: Value) -> Params {
    value.as_object().unwrap().clone()
}

impl World {
    fn birth(&mut self, a: bool) -> Birth {
        self.made += 1;
        let dialect = if a { Dialect::A } else { Dialect::B };
        let creator = Creator { dialect, prefix: Prefix::of(dialect) };
        Birth { res_id: format!("r{}", self.made), creator, process_id: "1".into(), at: self.now }
    }

    fn add(&mut self, birth: &Birth, resource: Resource, effects: Vec<Effect>) {
        self.resources.insert(birth.res_id.clone(), resource);
        self.seen.entry(birth.res_id.clone()).or_default();
        self.carry_out(&birth.res_id, effects);
    }

    fn create(&mut self, kind: u8, a: bool) {
        if self.resources.len() > 8 {
            return;
        }
        let birth = self.birth(a);
        let at = birth.clone();
        let parent =
            self.resources.values().find(|resource| resource.flow() == Flow::Call).map(|call| call.birth().res_id.clone());
        match kind % 6 {
            0 | 1 => {
                let parent = parent.filter(|_| kind % 6 == 1);
                let around = self.around(parent.as_deref());
                let asked = json!({"to_uri": "4", "max_answer_seconds": 60, "parent_call_res_id": parent, "ring_play_file": "r.wav",
                    "ring_play_mode": kind % 4, "user_data": "u"});
                let Construct::Call(asked) = Construct::read(Flow::Call, &params(asked), "en").unwrap() else { panic!() };
                if let Ok((call, effects)) = Call::outbound(birth, asked, &around) {
                    self.add(&at, Resource::Call(Box::new(call)), effects);
                }
            }
            2 => {
                let (call, effects) = Call::inbound(birth, "1", "2", &["PCMU".to_owned()], handed_out(true));
                self.add(&at, Resource::Call(Box::new(call)), effects);
            }
            3 => {
                let asked = json!({"max_seconds": 600, "record_file": "c.wav", "bg_file": "b.wav", "parts_threshold": i32::from(a) * 2 - 1});
                let Construct::Conf(asked) = Construct::read(Flow::Conf, &params(asked), "en").unwrap() else { panic!() };
                let (conf, effects) = Conf::new(birth, asked, None);
                self.add(&at, Resource::Conf(Box::new(conf)), effects);
            }
            4 => {
                let asked = json!({"from_uri": null, "to_uri": "4", "play_content": "a.wav"});
                let Construct::Notify(asked) = Construct::read(Flow::NotifyCall, &params(asked), "en").unwrap() else { panic!() };
                let (notify, effects) = Notify::new(birth, asked);
                self.add(&at, Resource::Notify(Box::new(notify)), effects);
            }
            _ => {
                let asked = json!({"to1_uri": "4", "to2_uri": "5", "max_connect_seconds": 60, "record_file": "d.wav"});
                let Construct::Duo(asked) = Construct::read(Flow::DuoCallback, &params(asked), "en").unwrap() else { panic!() };
                let (duo, effects) = Duo::new(birth, asked);
                self.add(&at, Resource::Duo(Box::new(duo)), effects);
            }
        }
    }

    fn around(&self, other: Option<&str>) -> Around {
        Around { other: other.and_then(|other| self.resources.get(other)).map(Resource::view) }
    }

    /// As the shell does it: in their order, and what they lead to.
    fn carry_out(&mut self, owner: &str, effects: Vec<Effect>) {
        let mut queue: VecDeque<(String, Effect)> = effects.into_iter().map(|effect| (owner.to_owned(), effect)).collect();
        let mut carried_out = 0;
        while let Some((owner, effect)) = queue.pop_front() {
            carried_out += 1;
            assert!(carried_out < 500, "resources talk for ever");
            match effect {
                Effect::Order { through, token, order } => {
                    assert!(self.resources.contains_key(&through));
                    self.orders.push((owner, token, order));
                }
                Effect::Event(event) => {
                    let of_record =
                        |params: &Params| params.get("data").and_then(|record| record[24].as_str().map(str::to_owned));
                    let res_id = event.params.get("res_id").and_then(Value::as_str).map(str::to_owned);
                    let res_id = res_id.or_else(|| of_record(&event.params)).unwrap();
                    let name = event.name.rsplit_once('.').unwrap().1;
                    let is_call = matches!(self.resources.get(&res_id), Some(Resource::Call(_)));
                    self.reached.insert(event.name.clone());
                    let seen = self.seen.entry(res_id.clone()).or_default();
                    assert_eq!(seen.released, 0, "{} is told of {res_id} after its release", event.name);
                    match name {
                        "on_released" => {
                            seen.released += 1;
                            assert_eq!((seen.actions, seen.seats), (0, 0), "{res_id} is released with something begun");
                        }
                        "on_dial_completed" => seen.dials_completed += 1,
                        "on_conf_completed" => seen.seats = seen.seats.checked_sub(1).unwrap(),
                        name if is_call && ACTIONS.contains(&name) => {
                            seen.actions = seen.actions.checked_sub(1).unwrap();
                        }
                        _ => {}
                    }
                    assert!(seen.dials_completed < 2);
                }
                Effect::CancelDial => {}
                Effect::EndHunt => {
                    let seen = self.seen.entry(owner.clone()).or_default();
                    seen.hunts_ended += 1;
                    assert_eq!(seen.hunts_ended, 1, "the hunt of {owner} ends twice");
                }
                Effect::Tell { to, told } => {
                    let now = self.now;
                    if let Some(resource) = self.resources.get_mut(&to) {
                        let more = resource.heard(&Heard::Told(told), now);
                        queue.extend(more.into_iter().map(|effect| (to.clone(), effect)));
                    }
                }
                Effect::Raise { res_id, call } => {
                    let creator = self.resources.get(&owner).unwrap().birth().creator;
                    let birth = Birth { res_id: res_id.clone(), creator, process_id: "1".into(), at: self.now };
                    let (leg, more) = Call::leg(birth, *call, owner);
                    self.resources.insert(res_id.clone(), Resource::Call(Box::new(leg)));
                    queue.extend(more.into_iter().map(|effect| (res_id.clone(), effect)));
                }
            }
        }
    }

    fn pick(&self, which: usize) -> Option<String> {
        let length = self.resources.len();
        self.resources.keys().nth(which.checked_rem(length)?).cloned()
    }

    fn ask(&mut self, which: usize, what: usize, other: usize) {
        let (Some(res_id), Some(other)) = (self.pick(which), self.pick(other)) else { return };
        let flow = self.resources[&res_id].flow();
        let common = [("exists", json!({"res_id": other})), ("get", json!({}))];
        let of_call = [
            ("drop", json!({})),
            ("answer", json!({"max_answer_seconds": 30})),
            ("reject", json!({})),
            ("redirect", json!({"redirect_uri": "9"})),
            ("play_start", json!({"content": [["5", 1, ""]], "finish_keys": "#"})),
            ("play_stop", json!({})),
            ("record_start", json!({"max_seconds": 9, "record_file": "r.wav"})),
            ("record_stop", json!({})),
            ("send_dtmf_start", json!({"keys": "1"})),
            ("send_dtmf_stop", json!({})),
            ("receive_dtmf_start", json!({"play_content": "a.wav"})),
            ("receive_dtmf_stop", json!({})),
            ("connect_start", json!({"call_res_id": other, "max_seconds": 30, "record_file": "x.wav"})),
            ("connect_stop", json!({})),
            ("conf_enter", json!({"conf_res_id": other, "max_seconds": 30, "play_file": "p.wav", "voice_mode": 2})),
            ("conf_exit", json!({"conf_res_id": other})),
        ];
        let of_conf = [
            ("release", json!({})),
            ("play_start", json!({"content": "a.wav"})),
            ("play_stop", json!({})),
            ("record_start", json!({"max_seconds": 9, "record_file": "r.wav"})),
            ("record_stop", json!({})),
            ("get_parts", json!({})),
            ("set_parts_threshold", json!({"value": 0})),
            ("set_part_voice_mode", json!({"call_res_id": other, "mode": 3})),
        ];
        let own: &[(&str, Value)] = match flow {
            Flow::Call => &of_call,
            Flow::Conf => &of_conf,
            Flow::NotifyCall => &[],
            Flow::DuoCallback => &[("cancel", json!({}))],
        };
        let all: Vec<&(&str, Value)> = own.iter().chain(&common).collect();
        let (name, asked) = all[what % all.len()].clone();
        let Ok(method) = Method::read(flow, name, &params(asked), "en") else { return };
        let around = self.around(method.other());
        let (now, resource) = (self.now, self.resources.get_mut(&res_id).unwrap());
        let before = resource.clone();
        match resource.request(&method, &around, now) {
            Ok((_, effects)) => {
                let seen = self.seen.entry(res_id.clone()).or_default();
                if flow == Flow::Call {
                    match method {
                        Method::ConfEnter { .. } => seen.seats += 1,
                        Method::PlayStart { .. }
                        | Method::RecordStart { .. }
                        | Method::SendDtmfStart { .. }
                        | Method::ReceiveDtmfStart(_)
                        | Method::ConnectStart { .. } => seen.actions += 1,
                        _ => {}
                    }
                }
                assert!(seen.actions < 2 && seen.seats < 2, "one action at a time");
                self.carry_out(&res_id, effects);
            }
            Err(refusal) => {
                assert!(!refusal.message.is_empty());
                assert!(matches!(refusal.code, 400 | 404 | 405 | 409 | 503), "{refusal:?}");
                assert_eq!(before, self.resources[&res_id], "a refusal changes nothing");
            }
        }
    }

    fn hear(&mut self, which: usize, what: usize, detail: usize) {
        let (Some(mut res_id), now) = (self.pick(which), self.now) else { return };
        let heard = match what % 14 {
            0 => Heard::HandedOut(handed_out(!detail.is_multiple_of(5))),
            1 => Heard::Dialling { at: now },
            2 => Heard::Alerting { at: now },
            3 | 4 => Heard::Connected { at: now },
            5 => Heard::Ended(ended(detail, now)),
            6 => Heard::NoReport,
            7 if detail.is_multiple_of(4) => Heard::Restarted,
            7 => Heard::Key('1'),
            8 if detail.is_multiple_of(2) => Heard::NoChannel,
            8 => Heard::NumberBusy,
            _ => {
                // Mostly of the last orders, sometimes of an old one.
                let back = if detail.is_multiple_of(7) { detail } else { detail % 3 };
                let Some((owner, token, _)) = self.orders.iter().rev().nth(back % self.orders.len().max(1)).cloned() else {
                    return;
                };
                res_id = owner;
                let word = match (what + detail / 3) % 9 {
                    0 => Word::Playing,
                    1 => Word::Played,
                    2 => Word::Stopped,
                    3 => Word::Key("#".into()),
                    4 => Word::Collected("12#".into()),
                    5 => Word::Recording("r1".into()),
                    6 => Word::Joined,
                    7 => Word::Left,
                    _ => Word::Error("too_late".into()),
                };
                Heard::Word { token, word }
            }
        };
        self.hear_this(&res_id, &heard);
    }

    /// As handsets do it when all goes well.
    fn obey(&mut self, back: usize) {
        let Some((owner, token, order)) = self.orders.iter().rev().nth(back).cloned() else { return };
        let word = match order {
            Order::Play { .. } | Order::RoomPlay { .. } | Order::SendDtmf { .. } => Word::Played,
            Order::Stop | Order::RoomStop { .. } => Word::Stopped,
            Order::Collect { .. } => Word::Collected("12#".into()),
            Order::Record { .. } | Order::RoomRecord { .. } | Order::RoomEndRecording { .. } => Word::Recording("r1".into()),
            Order::Join { .. } => Word::Joined,
            Order::Leave => Word::Left,
            Order::Drop | Order::Reject { .. } | Order::Redirect { .. } => {
                let now = self.now;
                return self.hear_this(&owner, &Heard::Ended(ended(1, now)));
            }
            Order::Answer => {
                let now = self.now;
                return self.hear_this(&owner, &Heard::Connected { at: now });
            }
        };
        self.hear_this(&owner, &Heard::Word { token, word });
    }

    fn hear_this(&mut self, res_id: &str, heard: &Heard) {
        let now = self.now;
        let effects = self.resources.get_mut(res_id).unwrap().heard(heard, now);
        self.carry_out(res_id, effects);
    }

    /// Time passes, and what is due is done.
    fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
        for _ in 0..20 {
            let due: Vec<String> = self
                .resources
                .iter()
                .filter(|(_, resource)| resource.due().is_some_and(|due| due <= self.now))
                .map(|(id, _)| id.clone())
                .collect();
            if due.is_empty() {
                return;
            }
            for res_id in due {
                let now = self.now;
                let resource = self.resources.get_mut(&res_id).unwrap();
                let effects = resource.tick(now);
                assert!(resource.due().is_none_or(|due| due > now), "{res_id} has done what was due");
                self.carry_out(&res_id, effects);
            }
        }
        panic!("something is due for ever");
    }

    fn check(&mut self) {
        for (res_id, resource) in &self.resources {
            if let Resource::Call(call) = resource {
                self.reached.insert(call.state().as_str().to_owned());
            }
            let leg = res_id.contains('.');
            let told = self.seen.get(res_id).map_or(0, |seen| seen.released);
            assert_eq!(told == 1, resource.is_released() && !leg, "{res_id} is released, and told so");
            let rings = resource.flow() == Flow::Call;
            let ended = self.seen.get(res_id).map_or(0, |seen| seen.hunts_ended);
            assert_eq!(ended == 1, resource.is_released() && rings, "{res_id} rings nobody any more");
        }
    }
}

fn handed_out(can_all: bool) -> HandedOut {
    let can = if can_all { "calls,conference,dtmf,hangup,inbound,live,record,tts" } else { "" };
    HandedOut { handset: "trunk".into(), channel: 3, can: Words::read(can) }
}

fn ended(detail: usize, now: DateTime<Utc>) -> Ended {
    let outcomes = [
        CallOutcome::Answered,
        CallOutcome::NoAnswer,
        CallOutcome::Busy,
        CallOutcome::Rejected,
        CallOutcome::Failed,
        CallOutcome::NotDialled,
    ];
    Ended {
        outcome: outcomes.get(detail % 7).copied(),
        sip: detail.is_multiple_of(3).then_some(480),
        by: [Some(EndedBy::Us), Some(EndedBy::Callee), Some(EndedBy::Network), None][detail % 4],
        connected_at: detail.is_multiple_of(7).then_some(now - TimeDelta::seconds(2)),
        ended_at: detail.is_multiple_of(2).then_some(now - TimeDelta::seconds(1)),
        ..Ended::default()
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Happens {
    Created(u8, bool),
    Asked(usize, usize, usize),
    Heard(usize, usize, usize),
    Passed(i64),
    /// Everything goes well for a call: it is handed out and answered.
    Answered(usize),
    /// A call enters a conference.
    Gathered(usize),
    /// A handset does what it was told last, or before that.
    Obeyed(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => (any::<u8>(), any::<bool>()).prop_map(|(kind, a)| Happens::Created(kind, a)),
        6 => (0..16_usize, 0..64_usize, 0..16_usize).prop_map(|(which, what, other)| Happens::Asked(which, what, other)),
        5 => (0..16_usize, 0..64_usize, 0..64_usize).prop_map(|(which, what, detail)| Happens::Heard(which, what, detail)),
        1 => (0_i64..90).prop_map(Happens::Passed),
        3 => (0..16_usize).prop_map(Happens::Answered),
        2 => (0..16_usize).prop_map(Happens::Gathered),
        4 => (0..3_usize).prop_map(Happens::Obeyed),
    ]
}

fn run(story: &[Happens]) -> World {
    let mut world = World::default();
    world.create(0, false);
    world.create(0, true);
    world.create(3, true);
    for happens in story {
        match *happens {
            Happens::Created(kind, a) => world.create(kind, a),
            Happens::Asked(which, what, other) => world.ask(which, what, other),
            Happens::Heard(which, what, detail) => world.hear(which, what, detail),
            Happens::Passed(seconds) => world.pass(seconds),
            Happens::Answered(which) => {
                if let Some(res_id) = world.pick(which) {
                    let now = world.now;
                    world.hear_this(&res_id, &Heard::HandedOut(handed_out(true)));
                    world.hear_this(&res_id, &Heard::Connected { at: now });
                }
            }
            Happens::Gathered(which) => {
                let conf = world.resources.iter().find(|(_, resource)| resource.flow() == Flow::Conf && !resource.is_released());
                if let Some(conf) = conf.map(|(res_id, _)| res_id.clone()) {
                    let place = world.resources.keys().position(|res_id| *res_id == conf).unwrap();
                    // The method of that place in the list.
                    world.ask(which, 14, place);
                    world.obey(0);
                }
            }
            Happens::Obeyed(back) => world.obey(back),
        }
        world.check();
    }
    for resource in world.resources.values() {
        let stored = serde_json::to_string(resource).unwrap();
        assert_eq!(serde_json::from_str::<Resource>(&stored).unwrap(), *resource, "stored and read");
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// No sequence leads to two releases, to an event after one, to an action that is completed twice or never, or to one beside another;
    /// and from wherever it leads, to drop a call and to hear nothing more of it ends it.
    #[test]
    fn every_call_ends_once_by_drop_and_deadline(story in prop::collection::vec(happens(), 0..60)) {
        let mut world = run(&story);
        for res_id in world.resources.keys().cloned().collect::<Vec<_>>() {
            let which = world.resources.keys().position(|key| *key == res_id).unwrap();
            // To drop a call, to release a conference, to cancel a callback.
            world.ask(which, 0, which);
            world.hear_this(&res_id, &Heard::NoReport);
            // One that came in is not dropped before it is answered, and rings for so long at most.
            world.check();
        }
        world.pass(400);
        for res_id in world.resources.keys().cloned().collect::<Vec<_>>() {
            world.hear_this(&res_id, &Heard::NoReport);
        }
        world.check();
        for (res_id, resource) in &world.resources {
            prop_assert!(resource.is_released(), "{res_id} lives on: {resource:?}");
        }
    }

    /// Also if nobody asks for anything, and no handset says anything more.
    #[test]
    fn everything_ends_by_time_alone(story in prop::collection::vec(happens(), 0..60)) {
        let mut world = run(&story);
        for _ in 0..200 {
            let Some(due) = world.resources.values().filter_map(Resource::due).min() else { break };
            let wait = (due - world.now).num_seconds().max(0) + 1;
            world.pass(wait);
            world.check();
        }
        for (res_id, resource) in &world.resources {
            prop_assert!(resource.is_released(), "{res_id} lives on: {resource:?}");
            prop_assert_eq!(resource.due(), None);
        }
    }

    /// A report ends a call in every state, at once.
    #[test]
    fn every_call_ends_by_its_report(story in prop::collection::vec(happens(), 0..60), detail in 0..64_usize) {
        let mut world = run(&story);
        for res_id in world.resources.keys().cloned().collect::<Vec<_>>() {
            if world.resources[&res_id].flow() == Flow::Call {
                let now = world.now;
                world.hear_this(&res_id, &Heard::Ended(ended(detail, now)));
                world.check();
                prop_assert!(world.resources[&res_id].is_released());
            }
        }
    }
}

/// The stories above are of little worth if hardly anything happens in them.
#[test]
fn the_stories_reach_every_state_and_every_event() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    let call = [
        "on_incoming",
        "on_ringing",
        "on_answered",
        "on_dial_completed",
        "on_answer_completed",
        "on_conf_completed",
        "on_released",
    ];
    let conf = ["on_entered", "on_exited", "on_play_completed", "on_record_completed", "on_released"];
    let mut wanted: BTreeSet<String> = State::ALL.iter().map(|state| state.as_str().to_owned()).collect();
    wanted.extend(call.iter().chain(&ACTIONS).map(|name| format!("ivr.call.{name}")));
    wanted.extend(conf.iter().map(|name| format!("ivr.conf.{name}")));
    wanted.extend(["sys.on_chan_closed", "ext.notify_call.on_released", "ext.duo_callback.on_released"].map(str::to_owned));
    wanted
        .extend(["on_dial1_completed", "on_dial2_started", "on_dial2_completed"].map(|name| format!("ext.duo_callback.{name}")));
    let mut runner = TestRunner::deterministic();
    for _ in 0..2000 {
        let story = prop::collection::vec(happens(), 40..80).new_tree(&mut runner).unwrap().current();
        for name in run(&story).reached {
            wanted.remove(&name);
        }
        if wanted.is_empty() {
            return;
        }
    }
    panic!("never reached: {wanted:?}");
}
