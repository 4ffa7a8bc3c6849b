//! The calls and conferences of one key, as far as they are looked at in a unit of work: what they hear goes in, and what follows is done.

use std::collections::{BTreeMap, VecDeque};

use android_protocol::live::{LiveOrder, LivePart};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::types::Json;

use super::making::NewCall;
use super::{PROCESS, Spoken};
use crate::alarm::doer::Doer;
use crate::alarm::{DialOutcome, EndReason, HuntOutcome};
use crate::cti::content::Part;
use crate::cti::effect::{Effect, Heard, Order, Word};
use crate::cti::request::CallParams;
use crate::cti::{Birth, Flow, Resource, call::Call, reply};
use crate::engine::hunt::closing;
use crate::engine::{Engine, EngineError};
use crate::ids::{HandsetId, KeyId};
use crate::store::alarm::live::NewLiveCommand;
use crate::store::rpc::resources::{NewResource, ResourceRow};
use crate::store::{Announcement, StoreError, Work};

/// No request and no word has more consequences; more would go round for ever.
const MOST_EFFECTS: usize = 2_000;
/// Most that is told to the resources of a key in one transaction comes from so many rounds of what was heard.
const MOST_ROUNDS: usize = 20;

/// A resource with its row.
struct Loaded {
    row: ResourceRow,
    resource: Resource,
    changed: bool,
}

/// The calls and conferences of a locked key.
pub(super) struct Running<'e> {
    engine: &'e Engine,
    key: KeyId,
    loaded: BTreeMap<String, Loaded>,
    /// What is still to be done, and for which of them.
    queue: VecDeque<(String, Effect)>,
}

/// What a token of an order holds: whose it is, its number there, and the file that it records.
pub(super) struct Ordered {
    pub(super) res_id: String,
    pub(super) token: u32,
    pub(super) file: Option<String>,
}

impl Ordered {
    fn written(&self) -> String {
        let file = self.file.as_deref().unwrap_or_default();
        format!("{}#{}#{file}", self.res_id, self.token)
    }

    /// Reads it again.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '#');
        let (res_id, token, file) = (parts.next()?, parts.next()?, parts.next()?);
        let file = Some(file.to_owned()).filter(|file| !file.is_empty());
        Some(Self { res_id: res_id.to_owned(), token: token.parse().ok()?, file })
    }
}

impl<'e> Running<'e> {
    /// Those of a key, which is locked from now on. What was heard of them is told to them first.
    pub(super) fn of<'w>(engine: &'e Engine, work: &'w mut Work, key: KeyId) -> BoxFuture<'w, Result<Self, EngineError>>
    where
        'e: 'w,
    {
        Box::pin(Self::lock(engine, work, key))
    }

    async fn lock(engine: &'e Engine, work: &mut Work, key: KeyId) -> Result<Self, EngineError> {
        work.db().lock_rpc_key(key).await?;
        let mut running = Self { engine, key, loaded: BTreeMap::new(), queue: VecDeque::new() };
        running.take_in(work).await?;
        Ok(running)
    }

    /// Tells all of them what was heard of them.
    async fn take_in(&mut self, work: &mut Work) -> Result<(), EngineError> {
        for _ in 0..MOST_ROUNDS {
            let heard = work.db().heard_of_resources(self.key).await?;
            if heard.is_empty() {
                break;
            }
            for one in heard {
                match serde_json::from_value(one.word.0) {
                    Ok(word) => self.hear(work, &one.res_id, &word, one.at).await?,
                    Err(error) => tracing::error!(%error, resource = %one.res_id, "what was heard of a call cannot be read"),
                }
                work.db().resource_told(&one.res_id, one.id).await?;
            }
            self.carry_out(work).await?;
        }
        Ok(())
    }

    /// Waits for whoever may be handing out one of them at this moment, and takes in that they did: else it would be said that nobody was
    /// rung, while somebody is.
    pub(super) async fn make_sure_of(&mut self, work: &mut Work, id: &str) -> Result<(), EngineError> {
        let row = self.row(work, id).await?.filter(|row| row.mid.is_none() && row.released_at.is_none());
        let Some(hunt) = row.and_then(|row| row.hunt_id) else { return Ok(()) };
        if work.db().hunt(hunt).await?.is_none() {
            return Ok(());
        }
        work.db().lock_hunt(hunt).await?;
        if let (Some(now), Some(loaded)) = (work.db().resource(id, self.key).await?, self.loaded.get_mut(id)) {
            loaded.row = now;
        }
        self.take_in(work).await
    }

    /// One of them.
    pub(super) async fn get(&mut self, work: &mut Work, id: &str) -> Result<Option<&Resource>, EngineError> {
        Ok(self.load(work, id).await?.map(|loaded| &loaded.resource))
    }

    /// One of them, to be asked.
    pub(super) async fn get_mut(&mut self, work: &mut Work, id: &str) -> Result<Option<&mut Resource>, EngineError> {
        Ok(self.load(work, id).await?.map(|loaded| {
            loaded.changed = true;
            &mut loaded.resource
        }))
    }

    async fn load(&mut self, work: &mut Work, id: &str) -> Result<Option<&mut Loaded>, EngineError> {
        if !self.loaded.contains_key(id) {
            let Some(row) = work.db().resource(id, self.key).await? else { return Ok(None) };
            let resource = serde_json::from_value(row.state.0.clone()).map_err(|error| unreadable(id, &error))?;
            self.loaded.insert(id.to_owned(), Loaded { row, resource, changed: false });
        }
        Ok(self.loaded.get_mut(id))
    }

    /// The row of one of them.
    pub(super) async fn row(&mut self, work: &mut Work, id: &str) -> Result<Option<ResourceRow>, EngineError> {
        Ok(self.load(work, id).await?.map(|loaded| loaded.row.clone()))
    }

    /// A new one, which is kept with the others.
    pub(super) async fn add(
        &mut self,
        work: &mut Work,
        resource: Resource,
        spoken: &Spoken,
        call: Option<&NewCall>,
        effects: Vec<Effect>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let id = resource.birth().res_id.clone();
        let written = |error: serde_json::Error| EngineError::from(StoreError::Inconsistent(error.to_string()));
        let row = NewResource {
            id: &id,
            key: self.key,
            kind: resource.flow().as_str(),
            spoken: serde_json::to_value(spoken).map_err(written)?,
            state: serde_json::to_value(&resource).map_err(written)?,
            number: call.map_or("", |call| call.number.as_str()),
            mid: call.and_then(|call| call.mid.as_deref()),
            hunt: call.and_then(|call| call.hunt),
            handset: call.and_then(|call| call.handset),
            due_at: resource.due(),
        };
        work.db().insert_resource(&row, now).await?;
        self.queue.extend(effects.into_iter().map(|effect| (id.clone(), effect)));
        let _ = self.load(work, &id).await?;
        Ok(())
    }

    /// Whose they are.
    pub(super) fn key(&self) -> KeyId {
        self.key
    }

    /// What follows for one of them from a request.
    pub(super) fn follows(&mut self, id: &str, effects: Vec<Effect>) {
        self.queue.extend(effects.into_iter().map(|effect| (id.to_owned(), effect)));
    }

    /// One of them hears something that happened then; what is not there any more hears nothing.
    pub(super) async fn hear(&mut self, work: &mut Work, id: &str, heard: &Heard, at: DateTime<Utc>) -> Result<(), EngineError> {
        let Some(loaded) = self.load(work, id).await? else { return Ok(()) };
        let before = loaded.resource.clone();
        let effects = loaded.resource.heard(heard, at);
        loaded.changed |= loaded.resource != before;
        self.follows(id, effects);
        Ok(())
    }

    /// Does what is due by now.
    pub(super) async fn tick(&mut self, work: &mut Work) -> Result<(), EngineError> {
        let now = work.now();
        let due: Vec<String> = work.db().due_resources(self.key, now).await?.into_iter().map(|row| row.id).collect();
        for id in due {
            self.make_sure_of(work, &id).await?;
            let Some(loaded) = self.load(work, &id).await? else { continue };
            loaded.changed = true;
            if loaded.resource.due().is_some_and(|due| due <= now) {
                let effects = loaded.resource.tick(now);
                self.follows(&id, effects);
            }
        }
        self.carry_out(work).await
    }

    /// Does all that follows, and what follows from that.
    pub(super) fn carry_out<'w>(&'w mut self, work: &'w mut Work) -> BoxFuture<'w, Result<(), EngineError>>
    where
        'e: 'w,
    {
        Box::pin(self.carry_all_out(work))
    }

    async fn carry_all_out(&mut self, work: &mut Work) -> Result<(), EngineError> {
        for _ in 0..MOST_EFFECTS {
            let Some((id, effect)) = self.queue.pop_front() else { return Ok(()) };
            match effect {
                Effect::Event(event) => {
                    let now = work.now();
                    let Some(row) = self.row(work, &id).await? else { continue };
                    let spoken: Option<Spoken> = serde_json::from_value(row.spoken.0).ok();
                    let socket = spoken.and_then(|spoken| spoken.socket);
                    work.db().tell_rpc(self.key, &reply::event(&event), socket.as_deref(), now).await?;
                    work.announce(Announcement::Rpc);
                }
                Effect::Order { through, token, order } => self.order(work, &id, &through, token, order).await?,
                Effect::CancelDial => {
                    work.db().resource_dropped(&id).await?;
                }
                Effect::EndHunt => self.end_hunt(work, &id).await?,
                Effect::Tell { to, told } => {
                    let now = work.now();
                    self.hear(work, &to, &Heard::Told(told), now).await?;
                }
                Effect::Raise { res_id, call } => self.raise_leg(work, &id, res_id, *call).await?,
            }
        }
        if self.queue.is_empty() {
            return Ok(());
        }
        Err(StoreError::Inconsistent("what was asked of a call has no end".to_owned()).into())
    }

    /// Keeps how all of them stand.
    pub(super) async fn keep(mut self, work: &mut Work) -> Result<(), EngineError> {
        let now = work.now();
        let places = self.places(work).await?;
        for (id, loaded) in &mut self.loaded {
            if !loaded.changed {
                continue;
            }
            let row = &mut loaded.row;
            row.state = Json(serde_json::to_value(&loaded.resource).map_err(|error| unreadable(id, &error))?);
            row.due_at = loaded.resource.due();
            if let Some(place) = places.get(id) {
                row.handset_id = Some(*place);
            }
            if loaded.resource.is_released() {
                row.due_at = None;
                row.released_at = row.released_at.or(Some(now));
            }
            work.db().resource_stands(row).await?;
        }
        Ok(())
    }

    /// The handsets that conferences have by now: those of the calls that are in them.
    async fn places(&mut self, work: &mut Work) -> Result<BTreeMap<String, HandsetId>, EngineError> {
        let first = |loaded: &Loaded| match &loaded.resource {
            Resource::Conf(conf) if loaded.changed => conf.first_part().map(str::to_owned),
            _ => None,
        };
        let parts: Vec<(String, String)> =
            self.loaded.iter().filter_map(|(id, loaded)| Some((id.clone(), first(loaded)?))).collect();
        let mut places = BTreeMap::new();
        for (conf, part) in parts {
            if let Some(handset) = self.row(work, &part).await?.and_then(|row| row.handset_id) {
                places.insert(conf, handset);
            }
        }
        Ok(places)
    }

    /// Has something done in a call. Where that cannot be, whoever wanted it hears so.
    async fn order(&mut self, work: &mut Work, id: &str, through: &str, token: u32, order: Order) -> Result<(), EngineError> {
        let now = work.now();
        let call = self.row(work, through).await?;
        let on = call.and_then(|call| Some((call.mid?, call.handset_id?)));
        let file = match &order {
            Order::Record { file, .. } | Order::RoomRecord { file, .. } => Some(file.clone()),
            _ => None,
        };
        let order = self.as_the_handset_knows_it(work, order).await?;
        let (Some((mid, handset)), Ok(order)) = (on, order) else {
            let why = Heard::Word { token, word: Word::Error("it cannot be done in this call".to_owned()) };
            return self.hear(work, id, &why, now).await;
        };
        let by = Doer::Server;
        let ordered = Ordered { res_id: id.to_owned(), token, file };
        let new = NewLiveCommand { handset, mid: &mid, place: 0, order: &order, by: &by, name: None };
        let command = work.db().insert_live_command(&new, now).await?;
        work.db().live_command_is_of(command, &ordered.written()).await?;
        work.announce(Announcement::Live);
        Ok(())
    }

    /// An order in the words of the live connection; why not, where a file is not there.
    async fn as_the_handset_knows_it(&self, work: &mut Work, order: Order) -> Result<Result<LiveOrder, String>, EngineError> {
        let parts = match &order {
            Order::Play { parts, .. } | Order::RoomPlay { parts, .. } => self.parts(work, parts).await?,
            _ => Ok(Vec::new()),
        };
        let parts = match parts {
            Ok(parts) => parts,
            Err(why) => return Ok(Err(why)),
        };
        let written = |keys: String| Some(keys).filter(|keys| !keys.is_empty());
        Ok(Ok(match order {
            Order::Play { repeat, finish, .. } => LiveOrder::Play {
                text: None,
                language: None,
                media: None,
                sha256: None,
                parts,
                repeat: Some(repeat).filter(|repeat| *repeat > 0),
                finish: written(finish),
            },
            Order::Stop => LiveOrder::Stop,
            Order::SendDtmf { keys } => LiveOrder::SendDtmf { digits: keys },
            Order::Collect { max, first, between, valid, finish } => LiveOrder::Collect {
                max: Some(max),
                seconds: Some(first),
                valid: written(valid),
                finish: written(finish),
                between: Some(between),
            },
            Order::Record { seconds, finish, beep, .. } => {
                // Without keys any key would end it.
                LiveOrder::Record { seconds: Some(seconds), finish: Some(finish), beep: Some(beep) }
            }
            Order::Join { room, mute, deaf } => LiveOrder::Join { room, mute, deaf },
            Order::Leave => LiveOrder::Leave,
            Order::RoomPlay { room, looped, .. } => LiveOrder::RoomPlay { room, parts, looped },
            Order::RoomStop { room } => LiveOrder::RoomStop { room },
            Order::RoomRecord { room, seconds, .. } => LiveOrder::RoomRecord { room, seconds: Some(seconds) },
            Order::RoomEndRecording { room } => LiveOrder::RoomEndRecording { room },
            Order::Drop => LiveOrder::Drop { say: None, language: None },
            Order::Answer => LiveOrder::Answer,
            Order::Reject { cause } => LiveOrder::Reject { cause: Some(cause) },
            Order::Redirect { to } => LiveOrder::Redirect { to },
        }))
    }

    async fn parts(&self, work: &mut Work, parts: &[Part]) -> Result<Result<Vec<LivePart>, String>, EngineError> {
        let mut all = Vec::new();
        for part in parts {
            all.push(match part {
                Part::Text { text, language } => {
                    LivePart { text: Some(text.clone()), language: Some(language.clone()), ..LivePart::default() }
                }
                Part::File(name) => match work.db().rpc_file(self.key, name).await? {
                    Some(file) => {
                        LivePart { media: Some(file.media_id.to_string()), sha256: Some(file.sha256), ..LivePart::default() }
                    }
                    None => return Ok(Err(format!("there is no file {name}"))),
                },
            });
        }
        Ok(Ok(all))
    }

    /// Nobody is rung for a call any more, and its alarm is over.
    async fn end_hunt(&mut self, work: &mut Work, id: &str) -> Result<(), EngineError> {
        let Some(row) = self.row(work, id).await? else { return Ok(()) };
        let Some(hunt) = row.hunt_id else { return Ok(()) };
        if work.db().hunt(hunt).await?.is_none() {
            return Ok(());
        }
        let hunt = work.db().lock_hunt(hunt).await?;
        let came_in = match &row.mid {
            Some(mid) => work.db().inbound_call(mid).await?.is_some(),
            None => false,
        };
        let answered = match (&row.mid, came_in) {
            (Some(mid), true) => {
                let known = work.db().heard_of_calls(mid).await?;
                known.iter().filter_map(|row| Some(row.heard()?.tells(row.handed_out()))).any(|call| call.connected.at.is_some())
            }
            _ => work.db().was_connected(hunt.id).await?,
        };
        let (outcome, reason) = match (answered, hunt.begun_at) {
            (true, _) => (HuntOutcome::Answered, None),
            (false, Some(_)) => (HuntOutcome::NoAnswer, Some(EndReason::AttemptsUsed)),
            (false, None) => (HuntOutcome::Cancelled, None),
        };
        closing::end_hunt(work, &hunt, outcome, reason, DialOutcome::Cancelled).await
    }

    /// A call is made for another resource.
    async fn raise_leg(&mut self, work: &mut Work, owner: &str, res_id: String, call: CallParams) -> Result<(), EngineError> {
        let Some(row) = self.row(work, owner).await? else { return Ok(()) };
        let Ok(spoken) = serde_json::from_value::<Spoken>(row.spoken.0) else { return Ok(()) };
        let now = work.now();
        // The second of two that are to be connected goes where the first one is.
        let on = match &call.parent_call {
            Some(parent) => self.row(work, parent).await?.and_then(|row| row.handset_id),
            None => None,
        };
        // Whoever is to be connected has to be where that can be done, from the first call on.
        let connects = self.get(work, owner).await?.is_some_and(|owner| owner.flow() == Flow::DuoCallback);
        let made = self.engine.new_call(work, self.key, &call, (on, connects), HOW_LEGS_ARE_CALLED).await?;
        let birth = Birth { res_id: res_id.clone(), creator: spoken.creator, process_id: PROCESS.to_owned(), at: now };
        let (leg, effects) = Call::leg(birth, call, owner.to_owned());
        match made {
            Ok(new) => self.add(work, Resource::Call(Box::new(leg)), &spoken, Some(&new), effects).await,
            Err(why) => {
                tracing::info!(resource = %res_id, %why, "a call for a program cannot be made");
                self.add(work, Resource::Call(Box::new(leg)), &spoken, None, effects).await?;
                self.hear(work, &res_id, &Heard::NoChannel, now).await
            }
        }
    }
}

/// What the page shows as the source of a call that another call of the same program brought about.
const HOW_LEGS_ARE_CALLED: &str = "call RPC";

fn unreadable(id: &str, error: &serde_json::Error) -> EngineError {
    StoreError::Inconsistent(format!("the resource {id} cannot be read: {error}")).into()
}
