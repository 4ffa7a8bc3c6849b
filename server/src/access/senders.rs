//! Who sends alarms: by key, or without one from an open network.
//!
//! A key may stand in `Authorization: Bearer`, in `X-Api-Key`, as user or password of basic authentication, as a sub-protocol of a socket, in
//! `?key=`, or in the path (`/k/KEY/api/…`) for senders that can only be given an address. A wrong key is refused, also where none would be
//! needed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::OnUpgrade;

use super::rates::TooMany;
use super::refusals::{KEYLESS, Who};
use super::{Access, doors};
use crate::alarm::doer::Doer;
use crate::http::problem::{Code, Problem};
use crate::ids::KeyId;
use crate::keep::keys;
use crate::net::seats::Seat;
use crate::net::serve::Hangup;
use crate::secrets;
use crate::signal;
use crate::store::StoreError;
use crate::store::access::keys::{COMMANDS_CALLS, KeyRow};
use crate::telemetry::AlarmResult;

/// The integration of alarms that come without a key.
pub const OPEN_DOOR: &str = "open";
/// What a key needs to send shouts, and to read of them.
pub const SHOUTS: &str = "shouts";
/// How a key stands among the sub-protocols of a socket, which a page cannot give other headers.
pub const KEY_AS_PROTOCOL: &str = "autocall.key.";

/// The sender of a request that was let in.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its key; `None` in an open network.
    pub key: Option<Arc<KeyRow>>,
    /// From where it sends.
    pub address: IpAddr,
}

impl Sender {
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
        self.key.as_ref().filter(|key| key.may(SHOUTS)).map(|key| key.id)
    }

    /// Its key, where that may command calls.
    #[must_use]
    pub fn of_calls(&self) -> Option<&Arc<KeyRow>> {
        self.key.as_ref().filter(|key| key.may(COMMANDS_CALLS))
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
    let now = access.clock.now();
    let Some(row) = access.keys.find(&access.store, secrets::hash(token)).await? else {
        let address = doors::caller(peer, headers, &access.config.http).address;
        return Err(match access.guard.wrong(address, now) {
            Ok(()) => NotALister::Unknown,
            Err(too_many) => NotALister::TooManyWrong(too_many.seconds),
        });
    };
    if !row.only_lists_calls() {
        return Err(NotALister::NoRight);
    }
    if let Err(error) = access.keys.used(&access.store, row.id, now).await {
        tracing::warn!(%error, key.name = %row.name, "the use of a key could not be written down");
    }
    Ok(row)
}

/// Why whoever shows a key in what they send may not raise alarms.
#[derive(Debug, thiserror::Error)]
pub enum NotASender {
    /// It is none of ours, or one for something else.
    #[error("the key is not known, or was revoked")]
    Unknown,
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
pub async fn who_raises(access: &Access, peer: SocketAddr, headers: &HeaderMap, key: &str) -> Result<Sender, NotASender> {
    let now = access.clock.now();
    let address = doors::caller(peer, headers, &access.config.http).address;
    // What is told apart by the key in its body alone is not signed.
    let is_good = |row: &Arc<KeyRow>| row.sends_signals() && row.signing.is_none();
    let row = access.keys.find(&access.store, secrets::hash(key)).await?.filter(is_good);
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
    if let Err(error) = access.keys.used(&access.store, row.id, now).await {
        tracing::warn!(%error, key.name = %row.name, "the use of a key could not be written down");
    }
    Ok(Sender { key: Some(row), address })
}

/// The sender whose key stands in the address of a letter. Only keys that were made for it count, and they count nowhere else. How much it
/// sends is for [`may_raise_now`] to say, once there is a letter.
///
/// # Errors
/// Why it may not.
pub async fn who_mails(access: &Access, address: IpAddr, key: &str) -> Result<Sender, NotASender> {
    let now = access.clock.now();
    // What is not even like a key costs no query.
    let found = match secrets::is_like(keys::PREFIX, key) {
        true => access.keys.find(&access.store, secrets::hash(key)).await?,
        false => None,
    };
    let Some(row) = found.filter(|row| row.only_mails()) else {
        return Err(match access.guard.wrong(address, now) {
            Ok(()) => NotASender::Unknown,
            Err(too_many) => NotASender::TooManyWrong(too_many.seconds),
        });
    };
    if let Err(error) = access.keys.used(&access.store, row.id, now).await {
        tracing::warn!(%error, key.name = %row.name, "the use of a key could not be written down");
    }
    Ok(Sender { key: Some(row), address })
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
    match admit(&access, peer.0, request.version(), request.headers().clone(), key).await {
        Ok(sender) => {
            who.is(sender.name().unwrap_or(KEYLESS));
            // Who is to sign is known, and counts, once it has.
            if !sender.signs() {
                if let (Some(_), Some(seat)) = (&sender.key, request.extensions().get::<Seat>()) {
                    seat.known();
                }
                if let Some(refused) = beyond_rate(&access, &request, &sender) {
                    return refused;
                }
            }
            request.extensions_mut().insert(sender);
            next.run(request).await
        }
        Err(refused) => refused,
    }
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
            Ok(()) => Ok(Sender { key: None, address: caller.address }),
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
    let found = access.keys.find(&access.store, hash).await.map_err(|error| Problem::from(error).into_response())?;
    let Some(row) = found else {
        return Err(match access.guard.wrong(caller.address, now) {
            Ok(()) => unauthorized("this API key is not known, or was revoked"),
            Err(too_many) => too_many.into_response(),
        });
    };
    if row.only_lists_calls() {
        let text = "this key may only list calls (/direct/items/phonecalls): make another with `autocall key add --name NAME`";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::NotAdmitted, text).into_response());
    }
    if row.only_mails() {
        let text = "this key may only raise alarms by mail (mail.listen): make another with `autocall key add --name NAME`";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::NotAdmitted, text).into_response());
    }
    if let Err(error) = access.keys.used(&access.store, row.id, now).await {
        // An alarm is worth more than the note that a key was used.
        tracing::warn!(%error, key.name = %row.name, "the use of a key could not be written down");
    }
    Ok(Sender { key: Some(row), address: caller.address })
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
