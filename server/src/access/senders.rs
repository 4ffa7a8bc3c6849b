//! Who sends alarms: by key, or without one from an open network.
//!
//! A key may stand in `Authorization: Bearer`, in `X-Api-Key`, as user or password of basic authentication, as a sub-protocol of a socket, in
//! `?key=`, or in the path (`/k/KEY/api/…`) for senders that can only be given an address. A wrong key is refused, also where none would be
//! needed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::OnUpgrade;

use super::keys::{Found, Over};
use super::rates::TooMany;
use super::refusals::{KEYLESS, Who};
use super::{Access, doors};
use crate::alarm::doer::Doer;
use crate::http::problem::{Code, Problem};
use crate::http::rights::{Asked, asked};
use crate::ids::KeyId;
use crate::keep::keys;
use crate::net::seats::Seat;
use crate::net::serve::Hangup;
use crate::rights::{Bounds, Missing, Need, Reach, Right, Rights};
use crate::secrets;
use crate::signal;
use crate::store::StoreError;
use crate::store::access::keys::KeyRow;
use crate::telemetry::AlarmResult;

/// The integration of alarms that come without a key.
pub const OPEN_DOOR: &str = "open";
/// How a key stands among the sub-protocols of a socket, which a page cannot give other headers.
pub const KEY_AS_PROTOCOL: &str = "autocall.key.";

/// The sender of a request that was let in.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its key; `None` in an open network.
    pub key: Option<Arc<KeyRow>>,
    /// From where it sends.
    pub address: IpAddr,
    /// How far its rights reach in what it asks for.
    pub reach: Reach,
    /// What the operation needs that it asks for.
    need: Option<Need>,
    /// By which of its rights it was done.
    used: Used,
    /// The hash of the secret that it has shown: a key may have two.
    shown: Option<[u8; 32]>,
}

/// The rights that a request turned out to need: a bit each. They are those that reach further than to what is one's own, where that was
/// asked for, and those that are enough for that.
#[derive(Clone, Debug, Default)]
struct Used(Arc<AtomicU8>);

impl Used {
    fn note(&self, right: Right) {
        let place = Right::ALL.iter().position(|own| *own == right).unwrap_or_default();
        self.0.fetch_or(1 << place, Ordering::Relaxed);
    }

    fn all(&self) -> impl Iterator<Item = Right> + use<> {
        let bits = self.0.load(Ordering::Relaxed);
        Right::ALL.into_iter().enumerate().filter(move |(place, _)| bits & (1 << place) != 0).map(|(_, right)| right)
    }
}

impl Sender {
    /// Somebody with this key, or with none, who reaches all that they ask for.
    #[must_use]
    pub fn new(key: Option<Arc<KeyRow>>, address: IpAddr) -> Self {
        Self { key, address, reach: Reach::Everything, need: None, used: Used::default(), shown: None }
    }

    /// Whether what it has shown is still good for this right, for whoever stays. Where that cannot be found out, it is.
    pub async fn is_still_good(&self, access: &Access, right: Right) -> bool {
        let (Some(key), Some(shown)) = (&self.key, self.shown) else { return true };
        match access.keys.find(&access.store, shown, access.clock.now()).await {
            Ok(Found::Good(row)) => row.id == key.id && row.may(right),
            Ok(Found::Over(_) | Found::Unknown) => false,
            Err(_) => true,
        }
    }

    /// Whether it has raised what came in by this integration.
    #[must_use]
    pub fn has_raised(&self, integration_id: &str) -> bool {
        self.integration_id() == integration_id
    }

    /// Whether it reaches what came in by this integration, and notes by which right. To what its key is bound is looked at where the alarm is
    /// known.
    #[must_use]
    pub fn reaches(&self, integration_id: &str) -> bool {
        let own = self.has_raised(integration_id);
        if self.reach == Reach::Own && !own {
            return false;
        }
        match self.need {
            Some(Need::OwnAlarm(_)) if own => self.used.note(Right::Raise),
            Some(need) => need.right().into_iter().for_each(|right| self.used.note(right)),
            None => {}
        }
        true
    }

    /// Notes that it was shown all that it reaches.
    pub fn saw_all(&self) {
        let Some(need) = self.need else { return };
        match self.reach {
            Reach::Own => need.for_own().iter().for_each(|right| self.used.note(*right)),
            Reach::Everything | Reach::Bound => need.right().into_iter().for_each(|right| self.used.note(right)),
        }
    }

    /// Notes that it was shown something of its own by this right.
    pub fn saw_own(&self, right: Right) {
        self.used.note(right);
    }

    /// The integration to whose alarms this request is confined; `None` when it is not.
    #[must_use]
    pub fn only_own(&self) -> Option<String> {
        (self.reach == Reach::Own).then(|| self.integration_id())
    }

    /// The alarms to which this request is bound; `None` when it is not.
    #[must_use]
    pub fn within(&self) -> Option<&Bounds> {
        self.bounds().filter(|_| self.reach == Reach::Bound)
    }

    /// The alarms that its key is bound to.
    #[must_use]
    pub fn bounds(&self) -> Option<&Bounds> {
        self.key.as_ref().and_then(|key| key.bound_to())
    }

    /// The integration its alarms belong to.
    #[must_use]
    pub fn integration_id(&self) -> String {
        self.key.as_ref().map_or_else(|| OPEN_DOOR.to_owned(), |key| key.id.to_string())
    }

    /// Who it is, on the timeline of what it does.
    #[must_use]
    pub fn doer(&self) -> Doer {
        match &self.key {
            Some(key) => Doer::Key { name: key.name.clone() },
            None => Doer::OpenNetwork { address: self.address },
        }
    }

    /// Under which name its alarms are counted.
    #[must_use]
    pub fn counted_as(&self) -> String {
        self.key.as_ref().map_or_else(|| self.address.to_string(), |key| key.id.to_string())
    }

    /// Its key, where that may send shouts. Nobody else reads of the shouts of a key but who runs the server.
    #[must_use]
    pub fn of_shouts(&self) -> Option<KeyId> {
        self.key.as_ref().filter(|key| key.may(Right::Shouts)).map(|key| key.id)
    }

    /// Its key, where that may command calls.
    #[must_use]
    pub fn of_calls(&self) -> Option<&Arc<KeyRow>> {
        self.key.as_ref().filter(|key| key.may(Right::Calls))
    }

    /// Whether what it sends has to be signed: its key alone is not enough.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.signing.is_some())
    }

    /// What its alarms are called after when they do not say.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.name.as_str())
    }
}

/// A key that stood in the path.
#[derive(Clone, Debug)]
struct PathKey(String);

/// Takes the key out of `/k/KEY/api/…`, so that the rest is routed as if it had come in a header.
///
/// # Errors
/// The request as it was, when it is no such path.
#[expect(clippy::result_large_err, reason = "the request itself")]
pub fn without_path_key(mut request: Request) -> Result<Request, Request> {
    let Some((key, rest)) = path_key(request.uri()) else { return Err(request) };
    *request.uri_mut() = rest;
    // A fresh request: the router's own notes about the first path would confuse the second.
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().copied();
    let (seat, hangup) = (request.extensions().get::<Seat>().cloned(), request.extensions().get::<Hangup>().cloned());
    let kept = request.extensions_mut();
    // Of a connection that is to become a socket.
    let upgrade = kept.remove::<OnUpgrade>();
    kept.clear();
    peer.map(|peer| kept.insert(peer));
    seat.map(|seat| kept.insert(seat));
    hangup.map(|hangup| kept.insert(hangup));
    upgrade.map(|upgrade| kept.insert(upgrade));
    request.extensions_mut().insert(PathKey(key));
    Ok(request)
}

/// What a key in the path may stand before.
const BEHIND_A_KEY: [&str; 6] = ["api/", "cti/", "direct/", "generic/", "jsm/", "v2/"];

/// The key in `/k/KEY/api/…`, and what is left without it.
fn path_key(uri: &Uri) -> Option<(String, Uri)> {
    let (key, rest) = uri.path_and_query()?.as_str().strip_prefix("/k/")?.split_once('/')?;
    let may = BEHIND_A_KEY.iter().any(|beginning| rest.starts_with(beginning));
    let rest = may.then(|| format!("/{rest}").parse().ok())??;
    Some((key.to_owned(), rest))
}

/// The key that stood in the path of a request.
#[must_use]
pub fn path_key_of(request: &Request) -> Option<&str> {
    request.extensions().get::<PathKey>().map(|PathKey(key)| key.as_str())
}

/// Why somebody may not list calls.
#[derive(Debug, thiserror::Error)]
pub enum NotALister {
    /// There is no token.
    #[error("this parameter is missing: it is a key that `autocall key add --phonecalls` makes")]
    NoToken,
    /// It is not known.
    #[error("this token is not known, or was revoked")]
    Unknown,
    /// It was good once.
    #[error(transparent)]
    Over(#[from] Over),
    /// Too many wrong ones came from there.
    #[error("this token is not known, and too many wrong ones came from this address: wait for {0} s, and copy it again")]
    TooManyWrong(i64),
    /// It is a key for something else.
    #[error("this key may not list calls: make one with `autocall key add --phonecalls`")]
    NoRight,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key of whoever lists calls. Nothing else counts here: neither another key, nor where they are, nor what else they show.
///
/// # Errors
/// Why they may not.
pub async fn who_lists(access: &Access, peer: SocketAddr, headers: &HeaderMap, token: &str) -> Result<Arc<KeyRow>, NotALister> {
    if token.is_empty() {
        return Err(NotALister::NoToken);
    }
    let (now, address) = (access.clock.now(), doors::caller(peer, headers, &access.config.http).address);
    let row = match access.keys.find(&access.store, secrets::hash(token), now).await? {
        Found::Good(row) => row,
        Found::Over(over) => return Err(over.into()),
        Found::Unknown => {
            return Err(match access.guard.wrong(address, now) {
                Ok(()) => NotALister::Unknown,
                Err(too_many) => NotALister::TooManyWrong(too_many.seconds),
            });
        }
    };
    if !row.only_lists_calls() {
        return Err(NotALister::NoRight);
    }
    note_use(access, &row, address).await;
    Ok(row)
}

/// Why whoever shows a key in what they send may not raise alarms.
#[derive(Debug, thiserror::Error)]
pub enum NotASender {
    /// It is none of ours, or one for something else.
    #[error("the key is not known, or was revoked")]
    Unknown,
    /// It was good once.
    #[error(transparent)]
    Over(#[from] Over),
    /// Too many wrong ones came from there.
    #[error("too many wrong keys came from this address: wait for {0} s")]
    TooManyWrong(i64),
    /// It raises more alarms than one sender may: again after so many seconds.
    #[error("this sender raises too many alarms: wait for {0} s")]
    TooFast(i64),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sender whose key stands in what it sends. No network is open for it: the key is how it is told apart from others.
///
/// # Errors
/// Why it may not.
pub async fn who_raises(access: &Arc<Access>, peer: SocketAddr, headers: &HeaderMap, key: &str) -> Result<Sender, NotASender> {
    let now = access.clock.now();
    let address = doors::caller(peer, headers, &access.config.http).address;
    // What is told apart by the key in its body alone is not signed.
    let is_good = |row: &Arc<KeyRow>| row.sends_signals() && row.signing.is_none();
    let row = match access.keys.find(&access.store, secrets::hash(key), now).await? {
        Found::Good(row) => Some(row).filter(is_good),
        Found::Over(over) => return Err(over.into()),
        Found::Unknown => None,
    };
    let Some(row) = row else {
        return Err(match access.guard.wrong(address, now) {
            Ok(()) => NotASender::Unknown,
            Err(too_many) => NotASender::TooManyWrong(too_many.seconds),
        });
    };
    if let Err(too_many) = access.rates.admit(&row.id.to_string(), access.config.http.alarms_per_minute, now) {
        access.metrics.alarms.inc(AlarmResult::Refused);
        return Err(NotASender::TooFast(too_many.seconds));
    }
    note_use(access, &row, address).await;
    note_right(access, Some(&row), Right::Raise);
    Ok(Sender::new(Some(row), address))
}

/// The sender whose key stands in the address of a letter. Only keys that were made for it count, and they count nowhere else. How much it
/// sends is for [`may_raise_now`] to say, once there is a letter.
///
/// # Errors
/// Why it may not.
pub async fn who_mails(access: &Arc<Access>, address: IpAddr, key: &str) -> Result<Sender, NotASender> {
    let now = access.clock.now();
    // What is not even like a key costs no query.
    let found = match secrets::is_like(keys::PREFIX, key) {
        true => access.keys.find(&access.store, secrets::hash(key), now).await?,
        false => Found::Unknown,
    };
    let found = match found {
        Found::Good(row) => Some(row),
        Found::Over(over) => return Err(over.into()),
        Found::Unknown => None,
    };
    let Some(row) = found.filter(|row| row.only_mails()) else {
        return Err(match access.guard.wrong(address, now) {
            Ok(()) => NotASender::Unknown,
            Err(too_many) => NotASender::TooManyWrong(too_many.seconds),
        });
    };
    note_use(access, &row, address).await;
    note_right(access, Some(&row), Right::Mail);
    Ok(Sender::new(Some(row), address))
}

/// Counts an alarm of a sender that has a key.
///
/// # Errors
/// When it raises more than one sender may.
pub fn may_raise_now(access: &Access, sender: &Sender) -> Result<(), NotASender> {
    let counted = access.rates.admit(&sender.integration_id(), access.config.http.alarms_per_minute, access.clock.now());
    counted.map_err(|too_many| {
        access.metrics.alarms.inc(AlarmResult::Refused);
        NotASender::TooFast(too_many.seconds)
    })
}

/// Lets in only who may send alarms, and notes who that is.
pub async fn senders_only(
    State(access): State<Arc<Access>>,
    peer: ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let key = presented(&request);
    let who = request.extensions().get::<Who>().cloned().unwrap_or_default();
    let mut sender = match admit(&access, peer.0, request.version(), request.headers().clone(), key).await {
        Ok(sender) => sender,
        Err(refused) => return refused,
    };
    who.is(sender.name().unwrap_or(KEYLESS));
    let needed = match enough(&access, &request, &mut sender) {
        Ok(needed) => needed,
        Err(problem) => return problem.into_response(),
    };
    // Who is to sign is known, and counts, once it has.
    if !sender.signs() {
        if let (Some(_), Some(seat)) = (&sender.key, request.extensions().get::<Seat>()) {
            seat.known();
        }
        if let Some(refused) = beyond_rate(&access, &request, &sender) {
            return refused;
        }
    }
    request.extensions_mut().insert(sender.clone());
    let response = next.run(request).await;
    // What was refused for what it was, and not for a right, was asked for all the same: whoever sends it has the right.
    if response.status() != StatusCode::FORBIDDEN && response.status() != StatusCode::UNAUTHORIZED {
        needed.inspect(|right| sender.used.note(*right));
        for right in sender.used.all() {
            note_right(&access, sender.key.as_deref(), right);
        }
    }
    response
}

/// Finds out how far somebody gets with what they ask for; gives the right by which they do, unless that depends on what they find.
///
/// # Errors
/// What they lack, and how to get it.
fn enough(access: &Access, request: &Request, sender: &mut Sender) -> Result<Option<Right>, Problem> {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let need = match asked(request.method(), route) {
        Asked::Needs(need) => need,
        Asked::NoMethod => return Ok(None),
        // There is nothing there, and who asks is told so.
        Asked::Unknown if route == NOTHING_THERE => return Ok(None),
        Asked::Unknown => {
            tracing::error!(route, "an operation says not which right it needs, and is refused");
            return Err(may_not("nothing says which right this needs".to_owned()));
        }
    };
    let rights = sender.key.as_ref().map_or(&access.open_rights, |key| &key.rights);
    let reach = need.reach(rights, sender.bounds().is_some()).map_err(|missing| match missing {
        Missing::Right(right) => may_not(how_to_get(right, sender, rights)),
        Missing::IsBound => {
            let bound = sender.bounds().map(Bounds::to_string).unwrap_or_default();
            may_not(format!("this key is bound ({bound}): it reads and acts on those alarms, and asks for nothing else"))
        }
    })?;
    (sender.need, sender.reach) = (Some(need), reach);
    Ok(need.right().filter(|_| need.for_own().is_empty()))
}

/// Where the router has nothing for an address of the API.
const NOTHING_THERE: &str = "/api/{*rest}";

fn may_not(why: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, Code::KeyMayNot, why)
}

/// Which right is missing, and how somebody gets it.
fn how_to_get(right: Right, sender: &Sender, rights: &Rights) -> String {
    let has = if rights.is_empty() { "none".to_owned() } else { rights.to_string() };
    let wanted: Rights = rights.iter().chain([right]).filter(|right| Right::ORDINARY.contains(right)).collect();
    match &sender.key {
        Some(key) => format!(
            "this needs the right `{right}`, and the key {name:?} has {has}: use another key, or give it with `autocall key set {name:?} --right {}`",
            wanted.plain(),
            name = key.name
        ),
        None => format!(
            "this needs the right `{right}`, and whoever comes without a key has {has} (http.open_rights): send a key that has it, which \
             `autocall key add --name NAME --right {}` makes",
            Rights::of([right])
        ),
    }
}

/// Writes down that a key was used. An alarm is worth more than that note.
async fn note_use(access: &Access, key: &KeyRow, address: IpAddr) {
    if let Err(error) = access.keys.used(&access.store, key, address, access.clock.now()).await {
        tracing::warn!(%error, key.name = %key.name, "the use of a key could not be written down");
    }
}

/// The same of a right, also without a key. Beside the answer: what was stored is answered, whatever the database does with this note.
fn note_right(access: &Arc<Access>, key: Option<&KeyRow>, right: Right) {
    let Some(used) = access.keys.to_write(key, right, access.clock.now()) else { return };
    let (own, name) = (Arc::clone(access), key.map_or(KEYLESS, |key| &key.name).to_owned());
    access.beside.spawn(async move {
        if let Err(error) = own.keys.write(&own.store, &used).await {
            tracing::warn!(%error, key.name = name, right = %used.right, "the use of a right could not be written down");
        }
    });
}

/// Who sends only once has so many times the room of others in a minute: what is refused is lost, and a large outage is when they send most.
const ROOM_OF_THE_ONCE_ONLY: usize = 4;

/// Where alarms are raised.
const RAISE: [&str; 2] = ["/api/v1/alarms", "/api/v1/call"];
/// Where signals of monitoring systems come in.
const INTAKES: &str = "/api/v1/intake/";
/// Where alerts come in that an Alertmanager is told.
const TOLD_AS_AN_ALERTMANAGER: &str = "/api/v2/alerts";
/// Where those and alerts of Opsgenie come in.
const ALERTS: [&str; 3] = ["/v2/alerts", "/jsm/ops/integration/v2/alerts", TOLD_AS_AN_ALERTMANAGER];

/// Whether a request says that something burns, or what became of it, as monitoring systems do.
pub(super) fn is_of_alarms(request: &Request) -> bool {
    let path = request.uri().path();
    let of_alerts = |own: &str| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match *request.method() {
        // Settings of a key stand further in.
        Method::GET | Method::PUT => is_intake(path),
        Method::POST => is_intake(path) || RAISE.contains(&path) || ALERTS.into_iter().any(of_alerts),
        _ => false,
    }
}

fn is_intake(path: &str) -> bool {
    path.strip_prefix(INTAKES).is_some_and(|name| !name.trim_end_matches('/').contains('/'))
}

/// Counts a request that raises alarms; its refusal when it is more than one sender may send.
pub(super) fn beyond_rate(access: &Access, request: &Request, sender: &Sender) -> Option<Response> {
    let path = request.uri().path();
    let intake = path.strip_prefix(INTAKES);
    let raises = RAISE.contains(&path) || intake.is_some() || ALERTS.contains(&path);
    // Uptime Kuma may only be able to fetch its address.
    let by_get = *request.method() == Method::GET && intake.is_some();
    if !raises || !(by_get || matches!(*request.method(), Method::POST | Method::PUT)) {
        return None;
    }
    let named = intake.or_else(|| (path == TOLD_AS_AN_ALERTMANAGER).then_some("prometheus"));
    let reader = named.and_then(|name| signal::reader(name.trim_end_matches('/')));
    let who = sender.counted_as();
    let room = if reader.is_some_and(|reader| reader.once_only) { ROOM_OF_THE_ONCE_ONLY } else { 1 };
    let limit = access.config.http.alarms_per_minute.saturating_mul(room);
    let TooMany { seconds, first } = access.rates.admit(&who, limit, access.clock.now()).err()?;
    access.metrics.alarms.inc(AlarmResult::Refused);
    if first {
        tracing::warn!(sender.name = sender.name().unwrap_or(&who), "a sender raises more than {limit} alarms in a minute");
    }
    // Monitoring systems give up after a 4xx; Alertmanager sends a webhook again only after a 5xx.
    let comes_after_503 = intake.is_some() && !reader.is_some_and(|reader| reader.again_on_429);
    let status = if comes_after_503 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS };
    let text = format!("this sender may raise {limit} alarms in a minute (http.alarms_per_minute): send it again in {seconds} s");
    let mut response = Problem::new(status, Code::TooManyAlarms, text).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    Some(response)
}

async fn admit(
    access: &Access,
    peer: SocketAddr,
    version: Version,
    headers: HeaderMap,
    key: Option<String>,
) -> Result<Sender, Response> {
    let config = &access.config.http;
    let caller = doors::caller(peer, &headers, config);
    let Some(key) = key else {
        return match doors::admit(caller, version, &headers, config) {
            Ok(()) => Ok(Sender::new(None, caller.address)),
            Err(doors::ShutOut::ClosedNetwork) => {
                Err(unauthorized("an API key is needed from this network: autocall key add --name NAME"))
            }
            Err(why @ doors::ShutOut::BehindProxy(_)) => {
                access.note_refusal(why);
                Err(unauthorized(&format!("an API key is needed: {why}")))
            }
            Err(why) => {
                Err(Problem::new(StatusCode::FORBIDDEN, Code::NotAdmitted, format!("without an API key: {why}")).into_response())
            }
        };
    };
    let (hash, now) = (secrets::hash(&key), access.clock.now());
    let found = access.keys.find(&access.store, hash, now).await.map_err(|error| Problem::from(error).into_response())?;
    let row = match found {
        Found::Good(row) => row,
        Found::Over(over) => return Err(unauthorized(&over.to_string())),
        Found::Unknown => {
            return Err(match access.guard.wrong(caller.address, now) {
                Ok(()) => unauthorized("this API key is not known, or was revoked"),
                Err(too_many) => too_many.into_response(),
            });
        }
    };
    if row.only_lists_calls() {
        let text = "this key may only list calls (/direct/items/phonecalls): make another with `autocall key add --name NAME`";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::NotAdmitted, text).into_response());
    }
    if row.only_mails() {
        let text = "this key may only raise alarms by mail (mail.listen): make another with `autocall key add --name NAME`";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::NotAdmitted, text).into_response());
    }
    note_use(access, &row, caller.address).await;
    Ok(Sender { shown: Some(hash), ..Sender::new(Some(row), caller.address) })
}

fn unauthorized(why: &str) -> Response {
    Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, why).into_response()
}

/// Whether a request shows a key, good or not.
#[must_use]
pub fn shows_key(request: &Request) -> bool {
    presented(request).is_some()
}

/// The key that a request shows, wherever it stands.
fn presented(request: &Request) -> Option<String> {
    let headers = request.headers();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_owned());
    request
        .extensions()
        .get::<PathKey>()
        .map(|PathKey(key)| key.clone())
        .or_else(|| authorization(headers))
        .or_else(|| header("x-api-key"))
        .or_else(|| as_protocol(headers))
        .or_else(|| {
            let query = request.uri().query()?;
            form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "key").map(|(_, value)| value.into_owned())
        })
}

/// The key among the sub-protocols that a socket offers.
fn as_protocol(headers: &HeaderMap) -> Option<String> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).find_map(|one| one.trim().strip_prefix(KEY_AS_PROTOCOL)).map(str::to_owned)
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Some(rest.trim().to_owned());
    }
    let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    // Senders differ in which of the two fields they can fill.
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some(if password.is_empty() { user } else { password }.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use axum::body::Body;

    fn shown(uri: &str, header: Option<(&str, &str)>) -> Option<String> {
        let mut request = Request::get(uri);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).unwrap();
        match request.uri().path().starts_with("/k/") {
            true => presented(&without_path_key(request).ok()?),
            false => presented(&request),
        }
    }

    #[test]
    fn a_key_is_found_wherever_it_stands() {
        let key = Some("ak_1".to_owned());
        assert_eq!(shown("/api/v1/alarms", Some(("authorization", "Bearer ak_1"))), key);
        assert_eq!(shown("/api/v1/alarms", Some(("authorization", "bearer  ak_1 "))), key);
        assert_eq!(shown("/api/v1/alarms", Some(("authorization", "Basic YWtfMTo="))), key, "as the user");
        assert_eq!(shown("/api/v1/alarms", Some(("authorization", "Basic eDpha18x"))), key, "as the password");
        assert_eq!(shown("/api/v1/alarms", Some(("x-api-key", "ak_1"))), key);
        assert_eq!(shown("/api/v1/alarms?limit=3&key=ak_1", None), key);
        assert_eq!(shown("/k/ak_1/api/v1/alarms?limit=3", None), key);
        assert_eq!(shown("/k/ak_1/cti/ws", None), key);
        assert_eq!(shown("/cti/ws", Some(("sec-websocket-protocol", "autocall, autocall.key.ak_1"))), key);
        assert_eq!(shown("/k/ak_1/direct/items/phonecalls/create?token=2", None), key);
        assert_eq!(shown("/api/v1/alarms", None), None);
    }

    #[test]
    fn garbage_is_a_wrong_key_and_not_no_key() {
        assert_eq!(shown("/api/v1/alarms", Some(("authorization", "Basic %%%"))), Some(String::new()));
        assert_eq!(shown("/api/v1/alarms", Some(("authorization", "nonsense"))), Some(String::new()));
        assert_eq!(shown("/api/v1/alarms?key=", None), Some(String::new()));
    }

    proptest::proptest! {
        #[test]
        fn no_authorization_panics(value in "[ -~]{0,80}") {
            let _ = shown("/api/v1/alarms", Some(("authorization", &value)));
        }
    }

    #[test]
    fn only_the_api_is_reached_through_a_path_key() {
        assert_eq!(shown("/k/ak_1/h/x/alert/phone", None), None);
        assert_eq!(shown("/k/ak_1/metrics", None), None);
    }
}
