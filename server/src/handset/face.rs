//! The AutoCall contract over HTTP: `GET` gives one dial or idle, `POST` reports.
//!
//! The stock app dies on a body without `code`, forgets its result on any reply to a POST, and blocks when it is told to dial too
//! early. So whatever happens here, a GET is answered within eight seconds by a JSON object that holds `code`, and a POST is answered
//! only once its result is stored.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use android_protocol::wire;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::{BodyExt, Collected, Limited};

use super::address::Place;
use super::live;
use super::media;
use super::native::{self, Patience};
use super::query::HandsetQuery;
use super::refusal::PollError;
use crate::access::doors::{self, BrowserSign, Caller, ShutOut};
use crate::app::App;
use crate::config::PlainPath;
use crate::engine::watch::idle::IdleReason;
use crate::engine::watch::presence::PollSource;
use crate::engine::{Asker, Claim, Report, Reported};
use crate::http::json;
use crate::http::phone::refusal;
use crate::ids::short_mid;
use crate::keep::pairing::{plain_key, token_hash};
use crate::net::seats::Seat;
use crate::net::serve::Hangup;
use crate::store::audit::whence;
use crate::store::watch::handsets::{HandsetRow, IdleForm, MOST_CHANNELS, Profile, is_app};
use crate::store::{Announcement, StoreError};
use crate::telemetry::{Poll, Report as ReportLabel};

/// The app gives up reading after ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
/// Nobody sends more with a report.
const LARGEST_BODY: usize = 64 * 1024;
/// A body that is not there by then is never answered: a phone that reports so slowly repeats its report.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// A phone on the plain path is known once its first poll is so long ago.
const PLAIN_IS_KNOWN_AFTER: TimeDelta = TimeDelta::minutes(10);
/// A server that stops gives reports this long to be stored; then it drops their connections.
const LAST_CHANCE: Duration = Duration::from_secs(3);
/// One attempt to store a report; a connection that went dead must not hold it for ever.
const STORE_WITHIN: Duration = Duration::from_secs(10);
/// Waiting time between two attempts to store a report.
const STORE_AGAIN: Duration = Duration::from_millis(300);

/// How a handset presented itself.
#[derive(Clone, Copy)]
pub(super) enum Door<'r> {
    Plain,
    Token(&'r str),
}

/// `/alert/phone`: the documented path, for open networks.
pub async fn plain(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = HandsetQuery::parse(parts.uri.query().unwrap_or_default());
    let door = query.token.as_deref().map_or(Door::Plain, Door::Token);
    alert_phone(&app, door, &query, &parts, body).await
}

/// `/h/{token}/…`: a paired handset.
pub async fn paired(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Read from the path as it came: a token that is no UTF-8 is a wrong token, not a reason for an answer without `code`.
    let path = parts.uri.path().to_owned();
    let path = path.strip_prefix("/h/").unwrap_or_default();
    let (token, rest) = path.split_once('/').unwrap_or((path, ""));
    let rest = rest.trim_end_matches('/');
    let query = HandsetQuery::parse(parts.uri.query().unwrap_or_default());
    if rest == "alert/phone" {
        let typed = Place::of(parts.uri.path());
        let token = if let Place::Paired(token) = &typed { token.as_str() } else { token };
        return alert_phone(&app, Door::Token(token), &query, &parts, body).await;
    }
    Box::pin(beside(&app, (token, rest), &query, parts, body)).await
}

/// What a paired handset says that is neither a poll nor a report. `rest` is what follows the token.
async fn beside(app: &Arc<App>, (token, rest): (&str, &str), query: &HandsetQuery, parts: Parts, body: Body) -> Response {
    let (parts, body) = match as_typed(app, query, parts, body).await {
        Ok(response) => return response,
        Err(not_typed) => not_typed,
    };
    // First who it is: a stranger's body is not worth the time it takes.
    let word = if native::is_said_beside(rest) { Word::Beside } else { Word::OfWork };
    let handset = match identify(app, Door::Token(token), &parts, word).await {
        Ok(handset) => handset,
        // Its token was replaced while somebody was on the phone: what they press counts all the same.
        Err(error) => {
            return progress_at_any_token(app, rest, query, (&parts, body)).await.unwrap_or_else(|| not_now(app, error));
        }
    };
    if media::is_sound(rest) {
        let answered = media::answer(app, &handset, &parts, rest, body).await;
        return answered.unwrap_or_else(|error| not_now(app, error));
    }
    let Some(body) = read_body(body, &parts).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off");
    };
    if rest == "live" {
        return live::answer(app, &handset, &parts, &body).await.unwrap_or_else(|error| not_now(app, error));
    }
    if rest == "incoming" {
        return live::incoming(app, &handset, &parts, &body).await.unwrap_or_else(|error| not_now(app, error));
    }
    let extra = native::extra(app, &handset, &parts, rest, &body).await;
    extra.unwrap_or_else(|error| not_now(app, error))
}

/// Takes in how a call goes whose mid is known, whatever the token says. `None`: it is nothing of the kind.
async fn progress_at_any_token(
    app: &Arc<App>,
    rest: &str,
    query: &HandsetQuery,
    (parts, body): (&Parts, Body),
) -> Option<Response> {
    let mid = query.mid.as_deref().filter(|_| rest == "progress" && parts.method == Method::POST && !query.contradictory)?;
    match native::goes_on(app, mid).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => return Some(not_now(app, error)),
    }
    let Some(body) = read_body(body, parts).await else {
        return Some(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off"));
    };
    Some(native::progress(app, mid, &body).await.unwrap_or_else(|error| not_now(app, error)))
}

/// Whatever leads to none of our routes: the address may have been typed badly.
///
/// # Errors
/// The request again when it can be none of a phone.
pub async fn anywhere(app: &Arc<App>, request: Request) -> Result<Response, Request> {
    let (parts, body) = request.into_parts();
    let query = HandsetQuery::parse(parts.uri.query().unwrap_or_default());
    as_typed(app, &query, parts, body).await.map_err(|(parts, body)| Request::from_parts(parts, body))
}

/// Reads a request at an address that is none of ours as a phone may have meant it: a poll where the address leads to a handset, a
/// report wherever its query names a mid. A handset that speaks our protocol knows its addresses.
async fn as_typed(app: &Arc<App>, query: &HandsetQuery, parts: Parts, body: Body) -> Result<Response, (Parts, Body)> {
    let place = Place::of(parts.uri.path());
    if place == Place::Ours || native::speaks_native(&parts.headers) {
        return Err((parts, body));
    }
    let reports = !query.contradictory && query.mid.as_deref().is_some_and(android_protocol::mid::is_well_formed);
    let is_phones = match parts.method {
        Method::POST => reports,
        // Whoever tries an address in a browser wants a page, and must not take a call away.
        Method::GET => place != Place::Elsewhere && !wants_page(&parts.headers),
        _ => false,
    };
    if !is_phones {
        return Err((parts, body));
    }
    let door = match &place {
        Place::Paired(token) => Door::Token(token),
        _ => query.token.as_deref().map_or(Door::Plain, Door::Token),
    };
    Ok(alert_phone(app, door, query, &parts, body).await)
}

async fn alert_phone(app: &Arc<App>, door: Door<'_>, query: &HandsetQuery, parts: &Parts, body: Body) -> Response {
    let mut response = match parts.method {
        Method::GET => poll(app, door, parts).await,
        // In a box of its own, as is whatever else is long: a poll that waits is kept ten thousand times.
        Method::POST => Box::pin(report(app, door, query, parts, body)).await,
        // Asked by link checkers and proxies; a handset never does, so it takes nothing.
        Method::HEAD => json(StatusCode::OK, wire::IDLE_BODY),
        _ => {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "GET asks for an alarm, POST reports");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, HEAD"));
            response
        }
    };
    if is_stock_app(&parts.headers) {
        closes(&mut response);
    }
    response
}

/// The stock app opens a new connection for each poll and leaves the old ones open, about thirty for each phone.
pub(super) fn closes(response: &mut Response) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

async fn poll(app: &Arc<App>, door: Door<'_>, parts: &Parts) -> Response {
    // A handset that speaks our protocol may ask to wait.
    let wait = match native::speaks_native(&parts.headers) {
        true => native::wait_of(parts.uri.query().unwrap_or_default()),
        false => Duration::ZERO,
    };
    match tokio::time::timeout(ANSWER_WITHIN + wait, claim(app, door, parts, wait)).await {
        Ok(Ok(response)) => response,
        Ok(Err(PollError::Engine(error))) => {
            tracing::error!(%error, "a handset could not be answered truthfully; it was told to ask again");
            cannot_tell(app, door, parts)
        }
        Ok(Err(error)) => not_now(app, error),
        Err(_) => {
            tracing::error!("a poll took too long; the handset was told to ask again");
            cannot_tell(app, door, parts)
        }
    }
}

/// The answer when the server cannot know whether there is something to do.
fn cannot_tell(app: &App, door: Door<'_>, parts: &Parts) -> Response {
    let engine = &app.engine;
    engine.metrics.store_errors.inc();
    engine.note_database_away();
    let known = match (door, peer(parts)) {
        (Door::Token(token), _) => app.access.directory.remembered(&token_hash(token)),
        (Door::Plain, Some(peer)) => {
            let caller = doors::caller(peer, &parts.headers, &app.config().http);
            app.access.directory.remembered_plain(caller.address, &model(parts))
        }
        (Door::Plain, None) => None,
    };
    let form = known.as_ref().map_or_else(|| app.config().handsets.idle_form.into(), |handset| handset.idle_form);
    match form {
        // `code` 1 would end an app that runs without its screen. Its open mid with an empty list makes it do nothing and
        // forget nothing; without one, forgetting is the lesser evil.
        IdleForm::HeadlessSafe => {
            let channel = channel(parts).unwrap_or(0);
            let of = |handset: Arc<HandsetRow>| {
                engine.presence.last_mid(handset.id, channel).or_else(|| engine.idle.open_mid(handset.id, channel))
            };
            let mid = known.and_then(of);
            let body = mid.map_or_else(|| wire::HEADLESS_IDLE_BODY.to_owned(), |mid| wire::Offer::new(&[], &mid).to_body());
            json(StatusCode::OK, body)
        }
        IdleForm::Plain => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the alarms cannot be read now; ask again"),
    }
}

fn not_now(app: &App, error: PollError) -> Response {
    match error {
        PollError::Refused(status, why) => {
            app.engine.metrics.polls.inc(Poll::Refused);
            refusal(status, why)
        }
        PollError::Engine(error) => {
            tracing::error!(%error, "a handset could not be answered truthfully; it was told to ask again");
            app.engine.metrics.store_errors.inc();
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "the alarms cannot be read now; ask again")
        }
    }
}

async fn claim(app: &Arc<App>, door: Door<'_>, parts: &Parts, wait: Duration) -> Result<Response, PollError> {
    let handset = Box::pin(identify(app, door, parts, Word::OfWork)).await?;
    let profile = profile(&handset, door, &parts.headers);
    let asker = Asker { profile, channel: channel(parts).unwrap_or(MOST_CHANNELS), asked_at: app.engine.clock.now(), handset };
    let metrics = &app.engine.metrics;
    let patience = Patience::of(wait, parts);
    app.engine.presence.asks(asker.handset.id, app.engine.clock.now());
    let usable = if profile == Profile::Native { asker.handset.usable_channels() } else { 1 };
    let claim = match asker.channel < usable {
        true => native::claim(app, &asker, &patience).await?,
        false => match Box::pin(app.engine.finish_open(&asker)).await? {
            Claim::Idle(_) => return Err(no_such_channel(app, &asker, usable)),
            served @ Claim::Serve { .. } => served,
        },
    };
    if usable > 1 {
        app.engine.presence.asked_on(asker.handset.id, asker.channel, app.engine.clock.now());
    }
    Ok(match claim {
        Claim::Serve { offer, fresh } => {
            metrics.polls.inc(if fresh { Poll::Offered } else { Poll::Served });
            if fresh {
                tracing::info!(handset.name = %asker.handset.name, dial.mid = short_mid(&offer.mid), numbers = offer.phones.len(), "handed out");
            }
            app.engine.presence.served(asker.handset.id, asker.channel, Some(&offer.mid));
            let (mid, counted_at) = (offer.mid.clone(), offer.counted_at);
            let body = match native::speaks_native(&parts.headers) {
                true => Box::pin(native::offer_body(&app.engine, &asker.handset, offer)).await?,
                false => wire::Offer::new(&offer.phones, &offer.mid).to_body(),
            };
            app.engine.answer_leaves(&mid, counted_at);
            json(StatusCode::OK, body)
        }
        Claim::Idle(reason) => {
            metrics.polls.inc(if reason == IdleReason::KnownIdle { Poll::IdleMemory } else { Poll::IdleStore });
            if !matches!(reason, IdleReason::PastDeadline { .. } | IdleReason::Withheld { .. }) {
                app.engine.presence.served(asker.handset.id, asker.channel, None);
            }
            idle(asker.handset.idle_form, &reason)
        }
    })
}

/// For which of its channels a handset asks. Only our own protocol knows of channels; `None`: it names none that there is.
fn channel(parts: &Parts) -> Option<i32> {
    match native::speaks_native(&parts.headers) {
        true => native::channel_of(parts.uri.query().unwrap_or_default()),
        false => Some(0),
    }
}

/// A handset asks for a channel that it may not use: a token that has leaked must not open another line.
fn no_such_channel(app: &App, asker: &Asker, usable: i32) -> PollError {
    let (handset, channel) = (&asker.handset, asker.channel);
    if app.engine.presence.is_news(handset.id, app.engine.clock.now()) {
        tracing::warn!(handset.name = %handset.name, channel, usable, allowed = handset.channels, offered = handset.offered_channels(),
            "the handset asks for a channel that it may not use: see `autocall handset set --channels`, or rotate its token");
    }
    PollError::Refused(
        StatusCode::BAD_REQUEST,
        "this handset may not use such a channel: channels are counted from 0, and there are as many as its status and `autocall handset set --channels` say",
    )
}

fn peer(parts: &Parts) -> Option<SocketAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0)
}

/// What model a phone says it is; empty when it does not say.
fn model(parts: &Parts) -> Cow<'_, str> {
    parts.headers.get("model").map(|model| String::from_utf8_lossy(model.as_bytes())).unwrap_or_default()
}

/// What a request says of whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It can ring somebody: it asks, or tells of a call. A sign of life.
    OfWork,
    /// Nothing: it would be sent also where nobody can be rung.
    Beside,
}

/// Who asks: by token, or in an open network by address and model.
async fn identify(app: &Arc<App>, door: Door<'_>, parts: &Parts, word: Word) -> Result<Arc<HandsetRow>, PollError> {
    let Some(peer) = peer(parts) else {
        return Err(PollError::Refused(StatusCode::FORBIDDEN, "nobody knows where this request comes from"));
    };
    let caller = doors::caller(peer, &parts.headers, &app.config().http);
    let model = model(parts);
    let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    // Whoever speaks our protocol is not the app, whatever library they use.
    let own = native::speaks_native(&parts.headers) && is_app(agent.as_bytes());
    let user_agent = if own { Cow::from(format!("Autocall-Protocol, {agent}")) } else { Cow::from(agent) };
    let source = PollSource { address: caller.address, model: &model, user_agent: &user_agent };
    let handset = match door {
        Door::Token(token) => identify_paired(app, token, caller.address).await?,
        Door::Plain => identify_plain(app, parts, caller, &source).await?,
    };
    let known = is_known(&handset, app.engine.clock.now());
    if let Some(seat) = parts.extensions.get::<Seat>().filter(|_| known) {
        seat.known();
    }
    if word == Word::OfWork {
        app.engine.handset_polled(&handset, &source).await?;
    }
    Ok(handset)
}

/// Anybody in an open network is a phone on the plain path; only one that has been there for a while is known.
pub(super) fn is_known(handset: &HandsetRow, now: DateTime<Utc>) -> bool {
    handset.token_hash.is_some() || now - handset.created_at > PLAIN_IS_KNOWN_AFTER
}

async fn identify_paired(app: &Arc<App>, token: &str, address: IpAddr) -> Result<Arc<HandsetRow>, PollError> {
    let engine = &app.engine;
    let (hash, now) = (token_hash(token), engine.clock.now());
    let Some(handset) = app.access.directory.by_token(&engine.store, hash).await? else {
        if engine.idle.may_hold_dials()
            && let Some(handset) = engine.store.read().await?.db().holder_by_token(&hash).await?
        {
            let handset = HandsetRow { token_hash: None, next_token_hash: None, ..handset };
            return Ok(only_finishes(handset, now));
        }
        return Err(match app.access.guard.wrong(address, now) {
            Ok(()) => PollError::Refused(StatusCode::NOT_FOUND, "this token is not known; pair the handset again"),
            Err(_) => PollError::Refused(
                StatusCode::TOO_MANY_REQUESTS,
                "this token is not known, and too many wrong ones came from this address; pair the handset again",
            ),
        });
    };
    if handset.next_token_hash.as_deref() == Some(&hash[..]) {
        // The phone has the new token now: the old one is no good any more.
        let mut tx = engine.store.begin().await?;
        tx.db().take_next_token(&hash).await?;
        tx.announce(Announcement::Handsets);
        tx.commit().await?;
    }
    Ok(handset)
}

async fn identify_plain(
    app: &Arc<App>,
    parts: &Parts,
    caller: Caller,
    source: &PollSource<'_>,
) -> Result<Arc<HandsetRow>, PollError> {
    let (engine, config) = (&app.engine, app.config());
    let now = engine.clock.now();
    let admitted = doors::admit(caller, parts.version, &parts.headers, &config.http);
    if matches!(admitted, Ok(()) | Err(ShutOut::ClosedNetwork))
        && let Some(allowed) = app.access.directory.allowed(&engine.store, caller.address, source.model).await?
    {
        return Ok(allowed);
    }
    if let Err(why) = admitted {
        if why == ShutOut::ClosedNetwork
            && doors::browser_sign(&parts.headers, &config.http).is_none()
            && let Some(holder) = holder(app, caller.address, source.model).await?
        {
            return Ok(holder);
        }
        if why == ShutOut::ClosedNetwork {
            app.access.knocks.note(&engine.store, caller.address, source.model, source.user_agent, now).await?;
        }
        app.access.note_refusal(why);
        return Err(PollError::Refused(StatusCode::FORBIDDEN, why_refused(why)));
    }
    let open = match config.handsets.plain_path {
        PlainPath::Always => true,
        PlainPath::Never => false,
        // A curl on this machine must not take a real alarm away from the real phones.
        PlainPath::Auto => !app.access.directory.any_paired(&engine.store).await?,
    };
    if !open {
        // Whoever was let in and holds an open dial is served until it closes.
        if doors::browser_sign(&parts.headers, &config.http).is_none()
            && let Some(holder) = holder(app, caller.address, source.model).await?
        {
            return Ok(holder);
        }
        return Err(PollError::Refused(
            StatusCode::FORBIDDEN,
            "handsets are paired here: poll /h/TOKEN/alert/phone, or set handsets.plain_path to always",
        ));
    }
    if let Some(sign) = doors::browser_sign(&parts.headers, &config.http) {
        // Any web page can make a browser ask here; a phone of which that is true is let in by hand.
        app.access.knocks.note(&engine.store, caller.address, source.model, source.user_agent, now).await?;
        return Err(PollError::Refused(StatusCode::OK, why_idle(sign)));
    }
    if let Some(holder) = removed_holder(app, caller.address, source.model).await? {
        return Ok(holder);
    }
    Ok(app.access.directory.by_address(&engine.store, &config.handsets, caller.address, source.model, now).await?)
}

fn why_idle(sign: BrowserSign) -> &'static str {
    match sign {
        BrowserSign::ForeignReferer => {
            "a page of another site made this request (Referer), so it is given no alarm; if it is a phone, allow it on the page Handsets"
        }
        BrowserSign::Accept => {
            "this request asks for what browsers show (Accept), so it is given no alarm; if it is a phone, allow it on the page Handsets"
        }
        BrowserSign::Program => {
            "this request comes from a browser (User-Agent or Sec-Fetch), so it is given no alarm; if it is a phone, allow it on the page Handsets"
        }
    }
}

/// A handset whose door is closed by now: like one that is disabled, it may finish the dial that it holds, and gets nothing new.
fn only_finishes(handset: HandsetRow, now: DateTime<Utc>) -> Arc<HandsetRow> {
    Arc::new(HandsetRow { disabled_at: handset.disabled_at.or(Some(now)), ..handset })
}

/// Whoever polls from here with this model, if it holds an open dial.
async fn holder(app: &App, address: IpAddr, model: &str) -> Result<Option<Arc<HandsetRow>>, PollError> {
    if app.engine.idle.may_hold_dials() {
        let mut reader = app.engine.store.read().await?;
        for key in keys(address, model) {
            if let Some(handset) = reader.db().holder_by_plain_key(&key).await? {
                return Ok(Some(only_finishes(handset, app.engine.clock.now())));
            }
        }
    }
    removed_holder(app, address, model).await
}

/// Whoever polled from here with this model until it was removed, if it holds an open dial: it is not made known anew before that closes.
async fn removed_holder(app: &App, address: IpAddr, model: &str) -> Result<Option<Arc<HandsetRow>>, PollError> {
    if !app.engine.idle.may_hold_dials() {
        return Ok(None);
    }
    let mut reader = app.engine.store.read().await?;
    for key in keys(address, model) {
        if let Some(handset) = reader.db().holder_by_former_key(&key).await? {
            return Ok(Some(only_finishes(handset, app.engine.clock.now())));
        }
    }
    Ok(None)
}

/// The keys under which a phone on the plain path may be known: beyond a number of them, phones share one for each address.
fn keys(address: IpAddr, model: &str) -> [String; 2] {
    [plain_key(address, model), address.to_string()]
}

fn why_refused(why: ShutOut) -> &'static str {
    match why {
        ShutOut::ClosedNetwork => {
            "this network is not open; the phone was noted: pair or allow it (autocall handset knocks), or add its network to http.open_networks"
        }
        ShutOut::Proxied => "the request came through a proxy that is not in http.trusted_proxies",
        ShutOut::BehindProxy(_) => {
            "a reverse proxy stands in front of this server, so anybody may be behind this request: pair the phone, or list the proxy in http.trusted_proxies; this computer is open again if http.open_networks lists it"
        }
        ShutOut::ForeignOrigin => "the request was sent by a page of another site",
        ShutOut::ForeignHost => "the Host header is neither an address, localhost, nor in http.hosts",
    }
}

/// What this handset can be given, told by its program and its path unless it is set.
pub(super) fn profile(handset: &HandsetRow, door: Door<'_>, headers: &HeaderMap) -> Profile {
    match (handset.profile, door) {
        (Profile::Auto, _) if native::speaks_native(headers) => Profile::Native,
        (Profile::Auto, _) if is_stock_app(headers) => Profile::App,
        (Profile::Auto, Door::Plain) => Profile::Repeat,
        (Profile::Auto, Door::Token(_)) => Profile::List,
        (set, _) => set,
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok()).is_some_and(|kinds| kinds.contains("text/html"))
}

fn is_stock_app(headers: &HeaderMap) -> bool {
    is_app(headers.get(header::USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes))
}

pub(super) fn idle(form: IdleForm, reason: &IdleReason) -> Response {
    let body = match (form, reason) {
        (IdleForm::Plain, _) => Body::from(wire::IDLE_BODY),
        // The headless-safe idle makes the app forget its mid, and this one is still open: an empty list under the same mid
        // keeps it waiting without dialling.
        (IdleForm::HeadlessSafe, IdleReason::PastDeadline { mid } | IdleReason::Withheld { mid }) => {
            Body::from(wire::Offer::new(&[], mid).to_body())
        }
        (IdleForm::HeadlessSafe, _) => Body::from(wire::HEADLESS_IDLE_BODY),
    };
    json(StatusCode::OK, body)
}

/// Takes in a report. There are only two ends: the result is stored and acknowledged, or the connection is dropped.
async fn report(app: &Arc<App>, door: Door<'_>, query: &HandsetQuery, parts: &Parts, body: Body) -> Response {
    let form = query.mid.is_none() && is_form(&parts.headers);
    let native = native::speaks_native(&parts.headers);
    let heard = match form || native {
        true => may_be_heard(app, door, query, parts).await,
        false => Ok(()),
    };
    let body = match (form || native, heard) {
        (true, Ok(())) => match read_body(body, parts).await {
            Some(body) => body,
            None => return malformed(app, "the body is too large or broke off"),
        },
        (true, Err(error)) if form => return not_now(app, error),
        // The app sends none, and whatever else stands there is not ours to read.
        _ => Bytes::new(),
    };
    let in_body;
    let query = match form {
        true => {
            in_body = HandsetQuery::parse(&String::from_utf8_lossy(&body));
            &in_body
        }
        false => query,
    };
    let calls = match native {
        true => wire::NativeReport::parse(&body).unwrap_or_default().calls,
        false => Vec::new(),
    };
    if query.contradictory {
        return malformed(app, "mid and resp may stand in a report only once");
    }
    let mid = match query.mid.as_deref() {
        Some(mid) if android_protocol::mid::is_well_formed(mid) => mid.to_owned(),
        Some(_) => return malformed(app, "mid must be 1 to 64 letters, digits, - or _, as it was handed out"),
        None => {
            return malformed(
                app,
                "a report names its mid: POST /alert/phone?mid=MID, with &resp=NUMBER if that number answered",
            );
        }
    };
    let report = Report { mid, resp: query.resp.clone(), calls };
    let reported = tokio::select! {
        reported = store_report(app, &report) => reported,
        () = async {
            app.stopping.cancelled().await;
            tokio::time::sleep(LAST_CHANCE).await;
        } => match hang_up(parts).await {},
    };
    app.engine.metrics.reports.inc(match reported {
        Reported::Answered => ReportLabel::Answered,
        Reported::Nobody => ReportLabel::Nobody,
        Reported::LateAnswered => ReportLabel::LateAnswered,
        Reported::LateNobody => ReportLabel::LateNobody,
        Reported::Duplicate => ReportLabel::Duplicate,
        Reported::Unknown => ReportLabel::Unknown,
    });
    tracing::info!(dial.mid = short_mid(&report.mid), outcome = ?reported, "reported");
    json(StatusCode::OK, wire::ACCEPTED_BODY)
}

/// Tries until it is stored, or the client leaves and this future is dropped.
async fn store_report(app: &Arc<App>, report: &Report) -> Reported {
    // When the client leaves before it is stored, that is not taken back: it asks for its mid again, and reports again.
    app.engine.serves.heard(&report.mid);
    loop {
        // In a task of its own: an attempt that has begun ends, whether the client waits for it or not.
        let attempt = {
            let (app, report) = (Arc::clone(app), report.clone());
            let storing = async move { tokio::time::timeout(STORE_WITHIN, app.engine.report(&report)).await };
            tokio::spawn(whence::asked_from(whence::address(), storing))
        };
        match attempt.await {
            Ok(Ok(Ok(reported))) => {
                app.engine.serves.stored(&report.mid);
                return reported;
            }
            Ok(Err(_)) => tracing::error!(dial.mid = short_mid(&report.mid), "storing a report took too long; trying again"),
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, dial.mid = short_mid(&report.mid), "a report could not be stored; trying again");
            }
            Err(error) => tracing::error!(%error, dial.mid = short_mid(&report.mid), "storing a report broke off; trying again"),
        }
        app.engine.metrics.report_retries.inc();
        tokio::time::sleep(STORE_AGAIN).await;
    }
}

/// Whether the body of a report is read: it names a dial of ours, or comes from a phone that may poll.
async fn may_be_heard(app: &Arc<App>, door: Door<'_>, query: &HandsetQuery, parts: &Parts) -> Result<(), PollError> {
    let engine = &app.engine;
    if let Some(mid) = query.mid.as_deref().filter(|mid| android_protocol::mid::is_well_formed(mid)) {
        // Without the database nobody can say; then it is read, and stored when it can be.
        let known = async {
            let mut reader = engine.store.read().await?;
            Ok::<_, StoreError>(reader.db().dial(mid).await?.is_some() || reader.db().inbound_call(mid).await?.is_some())
        };
        if known.await.unwrap_or(true) {
            return Ok(());
        }
    }
    let Some(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0) else { return Ok(()) };
    let caller = doors::caller(peer, &parts.headers, &app.config().http);
    let refused = match door {
        Door::Token(token) => identify_paired(app, token, caller.address).await.err(),
        Door::Plain => {
            let model = parts.headers.get("model").map(|model| String::from_utf8_lossy(model.as_bytes())).unwrap_or_default();
            match doors::admit(caller, parts.version, &parts.headers, &app.config().http) {
                Ok(()) => None,
                Err(why) => match app.access.directory.allowed(&engine.store, caller.address, &model).await? {
                    Some(_) if why == ShutOut::ClosedNetwork => None,
                    _ => Some(PollError::Refused(StatusCode::FORBIDDEN, why_refused(why))),
                },
            }
        }
    };
    match refused {
        Some(PollError::Refused(status, why)) => Err(PollError::Refused(status, why)),
        Some(PollError::Engine(_)) | None => Ok(()),
    }
}

/// Reads a body; `None` when it is too large or breaks off. One that takes too long is not answered at all.
async fn read_body(body: Body, parts: &Parts) -> Option<Bytes> {
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(read) => read.ok().map(Collected::to_bytes),
        Err(_) => match hang_up(parts).await {},
    }
}

/// Drops the connection without an answer.
async fn hang_up(parts: &Parts) -> Infallible {
    match parts.extensions.get::<Hangup>() {
        Some(hangup) => hangup.now().await,
        None => std::future::pending().await,
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"))
}

fn malformed(app: &Arc<App>, why: &'static str) -> Response {
    app.engine.metrics.reports.inc(ReportLabel::Malformed);
    refusal(StatusCode::BAD_REQUEST, why)
}
