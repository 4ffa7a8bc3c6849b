//! Sockets of programs: requests come in, replies and events go out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{LOOK_AGAIN, Listens, Refused, announced, key, note, numbered};
use crate::access::doors;
use crate::access::senders::{KEY_AS_PROTOCOL, Sender};
use crate::app::App;
use crate::cti::envelope::{self, Address, LONGEST};
use crate::cti::reply::{self, Refusal};
use crate::engine::rpc::asking::{Asked, Program};
use crate::engine::rpc::listening::{Listener, Share};
use crate::ids::KeyId;
use crate::net::seats::{Seat, Wait};
use crate::rights::Right;
use crate::store::access::keys::KeyRow;
use crate::store::audit::whence;

/// No key has more of them on a node.
const MOST_OF_A_KEY: usize = 20;
/// The other side is asked so often whether it is there.
const PING: Duration = Duration::from_secs(20);
/// And is gone where nothing comes for so long.
const SILENT: Duration = Duration::from_mins(1);
/// Whoever does not take what is sent within this is gone.
const SENT_WITHIN: Duration = Duration::from_secs(20);
/// The sub-protocol, for whoever wants one.
const PROTOCOL: &str = "autocall";

/// How many sockets each key has.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<HashMap<KeyId, usize>>);

/// One of them, as long as it is kept.
struct Counted {
    sockets: Arc<Sockets>,
    key: KeyId,
}

impl Sockets {
    fn one_more(self: &Arc<Self>, key: KeyId) -> Option<Counted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(key).or_default();
        if *own >= MOST_OF_A_KEY {
            return None;
        }
        *own += 1;
        Some(Counted { sockets: Arc::clone(self), key })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.sockets.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.key) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(all.remove(&self.key)),
        }
    }
}

/// `GET /cti/ws`
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Extension(sockets): Extension<Arc<Sockets>>,
    seat: Option<Extension<Seat>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let key = Arc::clone(key(&sender)?);
    let wrong = |status, text: &str| Refused::Wrong(status, text.to_owned());
    if doors::is_of_a_foreign_page(&headers) {
        return Err(wrong(StatusCode::FORBIDDEN, "the request was sent by a page of another site"));
    }
    let upgrade = upgrade.map_err(|why| wrong(StatusCode::BAD_REQUEST, &format!("this is the address of a WebSocket: {why}")))?;
    let listens = Listens::read(query.as_deref(), Share::Own)?;
    let too_many = || wrong(StatusCode::TOO_MANY_REQUESTS, "this key has 20 sockets already: close one first");
    let counted = sockets.one_more(key.id).ok_or_else(too_many)?;
    // It keeps its place among the connections until it closes, as other long answers do.
    let place = match seat {
        Some(Extension(seat)) => {
            let full = || wrong(StatusCode::SERVICE_UNAVAILABLE, "too many connections wait: try again later");
            Some((seat.wait().ok_or_else(full)?, seat))
        }
        None => None,
    };
    // A page fails where none of the sub-protocols that it offers is taken.
    let offered: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|one| one.trim().to_owned()))
        .filter(|one| one == PROTOCOL || one.starts_with(KEY_AS_PROTOCOL))
        .collect();
    let taken = offered.iter().find(|one| *one == PROTOCOL).or(offered.first()).cloned();
    let listener = app.engine.rpc_listens(key.id, listens.id(key.id), listens.share, listens.after).await?;
    let open =
        Open { app, sender, key, listener, numbered: listens.numbered, heard_at: Instant::now(), _counted: counted, place };
    // What is somewhat too long is told so; longer, and the socket ends.
    let upgrade = upgrade.max_message_size(2 * LONGEST).max_frame_size(2 * LONGEST).protocols(taken);
    // It goes on behind the answer, for the same one who asks.
    let address = whence::address();
    Ok(upgrade.on_upgrade(move |socket| Box::pin(whence::asked_from(address, open.run(socket))) as BoxFuture<'static, ()>))
}

/// An open socket.
struct Open {
    app: Arc<App>,
    sender: Sender,
    key: Arc<KeyRow>,
    listener: Listener,
    numbered: bool,
    heard_at: Instant,
    _counted: Counted,
    place: Option<(Wait, Seat)>,
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// By the other side, or it is gone.
    Theirs,
    /// The server stops.
    Away,
    /// The key is good no more.
    Revoked,
}

impl Open {
    async fn run(mut self, mut socket: WebSocket) {
        let frame = match self.serve(&mut socket).await {
            Close::Theirs => None,
            Close::Away => Some(CloseFrame { code: close_code::AWAY, reason: "the server stops".into() }),
            Close::Revoked => Some(CloseFrame { code: close_code::POLICY, reason: "the key is good no more".into() }),
        };
        // First, so that it comes also where the database is slow, or the process is about to end.
        if frame.is_some() {
            let _ = tokio::time::timeout(SENT_WITHIN, socket.send(Message::Close(frame))).await;
        }
        if let Err(error) = self.app.engine.rpc_leaves(&self.listener).await {
            note(&error);
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> Close {
        let place = self.place.take();
        let why = tokio::select! {
            why = self.talk(socket) => why,
            // Connections are scarce: it may come back.
            () = wanted(place.as_ref()) => Close::Away,
        };
        self.place = place;
        why
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Close {
        let mut announcements = self.app.engine.store.subscribe();
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.app.stopping.clone();
        loop {
            if let Err(why) = self.send_events(socket).await {
                return why;
            }
            tokio::select! {
                () = stopping.cancelled() => return Close::Away,
                message = socket.recv() => {
                    self.heard_at = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            if let Err(why) = self.asked(socket, text.as_bytes()).await { return why; }
                        }
                        Some(Ok(Message::Binary(bytes))) => {
                            if let Err(why) = self.asked(socket, &bytes).await { return why; }
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Close::Theirs,
                    }
                }
                () = announced(&mut announcements) => {
                    if !self.is_good().await {
                        return Close::Revoked;
                    }
                }
                // A key has an end of which nobody tells.
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    if !self.is_good().await {
                        return Close::Revoked;
                    }
                }
                _ = ping.tick() => {
                    if self.heard_at.elapsed() > SILENT {
                        return Close::Theirs;
                    }
                    if !self.is_good().await {
                        return Close::Revoked;
                    }
                    if let Err(error) = self.app.engine.rpc_still_listens(&mut self.listener).await {
                        note(&error);
                    }
                    if send(socket, Message::Ping(Vec::new().into())).await.is_err() {
                        return Close::Theirs;
                    }
                }
            }
        }
    }

    /// Whether the secret that it has shown is good, and its key may still command calls.
    async fn is_good(&self) -> bool {
        self.sender.is_still_good(&self.app.access, Right::Calls).await
    }

    async fn asked(&mut self, socket: &mut WebSocket, text: &[u8]) -> Result<(), Close> {
        let by = Program { key: self.key.id, name: &self.key.name, socket: Some(&self.listener.id) };
        let reply = match self.app.engine.ask_rpc(by, text, Address::Any).await {
            Ok(Asked::Reply(text) | Asked::Unreadable(text)) => text,
            Ok(Asked::Read(n)) => {
                self.listener.has_read(n);
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%error, "a program that commands calls could not be served");
                let why = Refusal::new(reply::INTERNAL, "the server cannot store or read this now: ask again with the same id");
                // Clients know by the id which of their requests it is about.
                let id = match envelope::read(text, Address::Any) {
                    Ok(envelope::Message::Request(request)) => Some(request.id),
                    _ => None,
                };
                reply::refused(id.as_ref(), &why, false)
            }
        };
        send(socket, Message::Text(reply.into())).await
    }

    async fn send_events(&mut self, socket: &mut WebSocket) -> Result<(), Close> {
        loop {
            let told = match self.app.engine.rpc_events(&mut self.listener).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::warn!(%error, "events of calls could not be read; trying again");
                    return Ok(());
                }
            };
            if told.is_empty() {
                return Ok(());
            }
            for event in told {
                let text = if self.numbered { numbered(&event) } else { event.body };
                send(socket, Message::Text(text.into())).await?;
            }
        }
    }
}

/// Waits until the place of a socket is wanted.
async fn wanted(place: Option<&(Wait, Seat)>) {
    match place {
        Some((wait, seat)) => tokio::select! {
            () = wait.hurried() => {}
            () = seat.cut() => {}
        },
        None => std::future::pending().await,
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Close> {
    match tokio::time::timeout(SENT_WITHIN, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Close::Theirs),
    }
}
