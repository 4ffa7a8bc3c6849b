//! What a program asks, is answered once: the same request again is answered the same, and done no second time.

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::making::NewCall;
use super::running::Running;
use super::{PROCESS, Spoken};
use crate::alarm::doer::Doer;
use crate::cti::call::Call;
use crate::cti::conf::Conf;
use crate::cti::duo::Duo;
use crate::cti::effect::{Around, Effect};
use crate::cti::envelope::{self, Address, Malformed, Message, Request, What};
use crate::cti::notify::Notify;
use crate::cti::reply::{self, Refusal};
use crate::cti::request::{Construct, Method};
use crate::cti::{Birth, Dialect, Flow, Resource};
use crate::engine::shouts::lives;
use crate::engine::{Engine, EngineError};
use crate::ids::{HandsetId, KeyId, new_mid};
use crate::keep::media::recordings::MOST_OF_A_CALL;
use crate::numbers::Region;
use crate::store::Work;
use crate::store::rpc::requests::AnsweredRow;

/// The same id is the same request for so long.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// How many calls were made is counted over so long.
const RATE_OVER: TimeDelta = TimeDelta::minutes(1);
/// What stands in place of a letter that a number, a time or an amount is spoken with, where nobody says in which language.
const LANGUAGE: &str = "en";

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Program<'p> {
    /// By which key.
    pub key: KeyId,
    /// The name of that key.
    pub name: &'p str,
    /// On which connection; `None`: by a request of its own.
    pub socket: Option<&'p str>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This.
    Reply(String),
    /// This, to what could not be read at all.
    Unreadable(String),
    /// Nothing: up to this event it has read.
    Read(i64),
}

impl Engine {
    /// Answers what a program asks.
    ///
    /// # Errors
    /// When the database fails; nothing was done then, and it is to be asked again.
    pub fn ask_rpc<'e>(
        &'e self,
        by: Program<'e>,
        body: &'e [u8],
        address: Address<'e>,
    ) -> BoxFuture<'e, Result<Asked, EngineError>> {
        Box::pin(self.try_to_ask_rpc(by, body, address))
    }

    async fn try_to_ask_rpc(&self, by: Program<'_>, body: &[u8], address: Address<'_>) -> Result<Asked, EngineError> {
        let request = match envelope::read(body, address) {
            Ok(Message::Request(request)) => request,
            Ok(Message::Ack(n)) => return Ok(Asked::Read(n)),
            Err(Malformed { id, jsonrpc, unreadable, refusal }) => {
                let text = reply::refused(id.as_ref(), &refusal, jsonrpc);
                return Ok(if unreadable { Asked::Unreadable(text) } else { Asked::Reply(text) });
            }
        };
        let caller = request.caller.map_or_else(String::new, |(unit, client)| format!("{unit}.{client}"));
        let id = request.id.to_string();
        let hash = Sha256::digest(format!("{:?}", (request.dialect, &request.what))).to_vec();
        // All that is of a key is done one after the other: whoever waits for that keeps no connection from others.
        let _turn = self.turns.of(by.key).await;
        let mut work = self.work(Doer::Key { name: by.name.to_owned() }).await?;
        let now = work.now();
        let mut running = Running::of(self, &mut work, by.key).await?;
        if let Some(answered) = work.db().rpc_answered(by.key, &caller, &id, now - REMEMBERED).await? {
            // What was heard is told all the same.
            running.keep(&mut work).await?;
            work.commit().await?;
            return Ok(Asked::Reply(if answered.hash == hash {
                answered.reply
            } else {
                let why = Refusal::wrong_state("this id was used for another request: use a new one");
                reply::refused(Some(&request.id), &why, request.jsonrpc)
            }));
        }
        let done = match &request.what {
            What::Create { flow, params } => match Construct::read(*flow, params, LANGUAGE) {
                Ok(construct) => self.make_resource(&mut work, &mut running, by, &request, construct).await?,
                Err(why) => Err(why),
            },
            What::Operate { res_id, method, params } => {
                self.operate_resource(&mut work, &mut running, (res_id, method, params)).await?
            }
        };
        running.keep(&mut work).await?;
        let text = match done {
            Ok(result) => {
                let text = reply::done(&request.id, &result, request.jsonrpc);
                let answered = AnsweredRow { hash, reply: text.clone() };
                work.db().answer_rpc(by.key, (&caller, &id), &answered, now).await?;
                text
            }
            // It was not done, and may be asked again.
            Err(why) => reply::refused(Some(&request.id), &why, request.jsonrpc),
        };
        work.commit().await?;
        Ok(Asked::Reply(text))
    }

    async fn make_resource(
        &self,
        work: &mut Work,
        running: &mut Running<'_>,
        by: Program<'_>,
        request: &Request,
        construct: Construct,
    ) -> Result<Result<Value, Refusal>, EngineError> {
        let now = work.now();
        if let Some(why) = self.too_many(work, by.key, &construct).await? {
            return Ok(Err(why));
        }
        if let Some(why) = self.names_what_is_not_there(work, by.key, construct.files()).await? {
            return Ok(Err(why));
        }
        for uri in construct.uris().1 {
            // Which number is shown is for the handset to say; that a host is named which is not ours is a fault all the same.
            if let Some(why) = self.foreign_host(uri) {
                return Ok(Err(why));
            }
        }
        let beginnings = work.db().rpc_may_call(by.key).await?;
        for uri in construct.uris().0 {
            // All of them, before anybody is rung.
            if let Err(why) = self.number_of(work, uri, beginnings.as_deref()).await? {
                return Ok(Err(why));
            }
        }
        let connects = matches!(construct, Construct::Duo(_));
        if matches!(construct, Construct::Notify(_) | Construct::Duo(_)) && !self.is_able(work, connects).await? {
            let what = if connects { "connect two calls" } else { "speak in a call and tell of keys" };
            return Ok(Err(Refusal::unavailable(format!("no handset is there that can {what}: see the page Handsets"))));
        }
        let (around, on) = match construct.parent() {
            Some(parent) => {
                let on = running.row(work, parent).await?.and_then(|row| row.handset_id);
                (Around { other: running.get(work, parent).await?.map(Resource::view) }, on)
            }
            None => (Around::default(), None),
        };
        let flow = match &construct {
            Construct::Call(_) => Flow::Call,
            Construct::Conf(_) => Flow::Conf,
            Construct::Notify(_) => Flow::NotifyCall,
            Construct::Duo(_) => Flow::DuoCallback,
        };
        let res_id = new_id(request.dialect, flow, now);
        let user_data = construct.user_data().map(str::to_owned);
        let birth = Birth { res_id: res_id.clone(), creator: request.creator(), process_id: PROCESS.to_owned(), at: now };
        let spoken = Spoken { creator: request.creator(), socket: by.socket.map(str::to_owned) };
        let (resource, effects, new): (Resource, Vec<Effect>, Option<NewCall>) = match construct {
            Construct::Call(params) => {
                let (call, effects) = match Call::outbound(birth, params.clone(), &around) {
                    Ok(made) => made,
                    Err(why) => return Ok(Err(why)),
                };
                let new = match self.new_call(work, by.key, &params, (on, false), by.name).await? {
                    Ok(new) => new,
                    Err(why) => return Ok(Err(why)),
                };
                (Resource::Call(Box::new(call)), effects, Some(new))
            }
            Construct::Conf(params) => {
                let Some(id) = self.where_to_confer(work).await? else {
                    let why = Refusal::unavailable("no handset is there that can hold conferences: see the page Handsets");
                    return Ok(Err(why));
                };
                // Calls that are made for it go there. The first that enters decides where it is.
                let (conf, effects) = Conf::new(birth, params, None);
                let new = NewCall { handset: Some(id), ..NewCall::default() };
                (Resource::Conf(Box::new(conf)), effects, Some(new))
            }
            Construct::Notify(params) => {
                let (notify, effects) = Notify::new(birth, params);
                (Resource::Notify(Box::new(notify)), effects, None)
            }
            Construct::Duo(params) => {
                let (duo, effects) = Duo::new(birth, params);
                (Resource::Duo(Box::new(duo)), effects, None)
            }
        };
        running.add(work, resource, &spoken, new.as_ref(), effects).await?;
        running.carry_out(work).await?;
        Ok(Ok(reply::created(request.dialect, &res_id, user_data.as_deref(), PROCESS)))
    }

    async fn operate_resource(
        &self,
        work: &mut Work,
        running: &mut Running<'_>,
        (res_id, name, params): (&str, &str, &crate::cti::Params),
    ) -> Result<Result<Value, Refusal>, EngineError> {
        let now = work.now();
        let Some(resource) = running.get(work, res_id).await? else {
            // One may ask through what is gone whether something is there.
            if name.rsplit('.').next() != Some("exists") {
                return Ok(Err(Refusal::not_found(res_id)));
            }
            let other = params.get("res_id").and_then(Value::as_str).unwrap_or(res_id);
            let there = running.get(work, other).await?.is_some_and(|other| !other.is_released());
            return Ok(Ok(Value::Bool(there)));
        };
        let (flow, over) = (resource.flow(), resource.is_released());
        let mut method = match Method::read(flow, name, params, LANGUAGE) {
            Ok(method) => method,
            Err(why) => return Ok(Err(why)),
        };
        let around = match method.other() {
            Some(other) => Around { other: running.get(work, other).await?.map(Resource::view) },
            None => Around::default(),
        };
        if over {
            return Ok(match method {
                Method::Exists { res_id: None } => Ok(Value::Bool(false)),
                Method::Exists { .. } => Ok(Value::Bool(around.exists())),
                _ => Err(Refusal::not_found(res_id)),
            });
        }
        if let Some(why) = self.names_what_is_not_there(work, running.key(), method.files()).await? {
            return Ok(Err(why));
        }
        if let Method::Redirect { to, .. } = &mut method {
            let beginnings = work.db().rpc_may_call(running.key()).await?;
            match self.number_of(work, to, beginnings.as_deref()).await? {
                // The number that was checked, as it is dialled in the country of the handset.
                Ok(parsed) => to.user = parsed.number.dial_string(self.country_of(work, running, res_id).await?),
                Err(why) => return Ok(Err(why)),
            }
        }
        if matches!(method, Method::RecordStart { .. })
            && let Some(why) = has_enough(work, running, res_id).await?
        {
            return Ok(Err(why));
        }
        running.make_sure_of(work, res_id).await?;
        let Some(resource) = running.get_mut(work, res_id).await? else { return Ok(Err(Refusal::not_found(res_id))) };
        let (result, effects) = match resource.request(&method, &around, now) {
            Ok(done) => done,
            Err(why) => return Ok(Err(why)),
        };
        running.follows(res_id, effects);
        running.carry_out(work).await?;
        Ok(Ok(result))
    }

    async fn too_many(&self, work: &mut Work, key: KeyId, construct: &Construct) -> Result<Option<Refusal>, EngineError> {
        let config = &self.config.cti;
        let now = work.now();
        let open = work.db().open_resources(key).await?;
        let is_conf = matches!(construct, Construct::Conf(_));
        // What an announcement or a callback consists of counts, and not they.
        let kind = if is_conf { Flow::Conf } else { Flow::Call };
        let alike = open.iter().filter(|row| row.kind == kind.as_str()).count();
        if u32::try_from(alike).unwrap_or(u32::MAX) >= config.most_calls {
            let what = if is_conf { "conferences" } else { "calls" };
            let most = config.most_calls;
            return Ok(Some(Refusal::new(
                reply::TOO_MANY,
                format!("this key has {most} {what} at once (cti.most_calls): end one first"),
            )));
        }
        let made = if is_conf { 0 } else { work.db().calls_made_since(key, now - RATE_OVER).await? };
        if made >= i64::from(config.calls_per_minute) {
            let most = config.calls_per_minute;
            let text = format!("this key may make {most} calls in a minute (cti.calls_per_minute): try again later");
            return Ok(Some(Refusal::new(reply::TOO_MANY, text)));
        }
        Ok(None)
    }

    /// A file that is named and that the key does not have.
    async fn names_what_is_not_there(
        &self,
        work: &mut Work,
        key: KeyId,
        files: Vec<&str>,
    ) -> Result<Option<Refusal>, EngineError> {
        for file in files {
            if work.db().rpc_file(key, file).await?.is_none() {
                return Ok(Some(Refusal::bad(format!("there is no file {file:?}: send it to /cti/files/{file} first"))));
            }
        }
        Ok(None)
    }

    /// The handset with the most free channels that holds conferences.
    async fn where_to_confer(&self, work: &mut Work) -> Result<Option<HandsetId>, EngineError> {
        let now = work.now();
        let voices = work.db().voices().await?;
        let able = voices.iter().filter(|voice| voice.holds_calls && voice.confers && lives(voice, &self.presence, now));
        Ok(able.max_by_key(|voice| voice.free).map(|voice| voice.id))
    }

    /// The country whose numbers the handset of a call dials.
    async fn country_of(&self, work: &mut Work, running: &mut Running<'_>, res_id: &str) -> Result<Region, EngineError> {
        let on = running.row(work, res_id).await?.and_then(|row| row.handset_id);
        let handset = match on {
            Some(handset) => work.db().handset(handset).await?,
            None => None,
        };
        Ok(handset.and_then(|handset| handset.country.parse().ok()).unwrap_or(self.region()))
    }
}

/// Whether a call has as many recordings as are kept of one: one more would be told as made, and be nowhere.
async fn has_enough(work: &mut Work, running: &mut Running<'_>, res_id: &str) -> Result<Option<Refusal>, EngineError> {
    let row = running.row(work, res_id).await?;
    let Some((mid, number)) = row.and_then(|row| Some((row.mid?, row.number))) else { return Ok(None) };
    let there = usize::try_from(work.db().count_recordings(&mid, &number).await?).unwrap_or(usize::MAX);
    Ok((there >= MOST_OF_A_CALL).then(|| {
        Refusal::new(
            reply::TOO_MANY,
            format!("call.record_start: a call has {MOST_OF_A_CALL} recordings at most, and this one has"),
        )
    }))
}

/// A new id, in the form in which the dialect writes such.
fn new_id(dialect: Dialect, flow: Flow, now: chrono::DateTime<chrono::Utc>) -> String {
    let own = new_mid(now);
    let (project, name) = flow.place();
    match dialect {
        Dialect::A => format!("0-0-{name}-{own}"),
        Dialect::B => format!("0.0.0-{project}.{name}-{own}"),
    }
}
