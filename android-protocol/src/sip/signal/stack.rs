//! The only file that knows the SIP library: requests go out, [`Event`]s come back.
//!
//! The library is at version 0.7 and moves fast, so it is pinned and nothing of it is seen outside. It logs whole messages, which hold digests of the
//! password; whoever installs a subscriber for logs has to leave `rsipstack` out.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rsipstack::{
    EndpointBuilder,
    dialog::{
        authenticate::Credential,
        dialog::{DialogState, DialogStateReceiver, TransactionHandle},
        dialog_layer::DialogLayer,
        invitation::{InviteAsyncResult, InviteOption},
        invite_dialog::InviteDialog,
        registration::Registration,
    },
    platform::{CancellationToken, JoinHandle},
    sip::{
        Header, HostWithPort, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind, Uri,
        prelude::{HeadersExt, ToTypedHeader},
    },
    transaction::{
        endpoint::{Endpoint, EndpointInnerRef},
        key::{TransactionKey, TransactionRole},
        make_tag,
        transaction::{Transaction, TransactionEvent, TransactionEventSender},
    },
    transport::{SipAddr, SipConnection, TransportLayer, tls::TlsConfig, udp::UdpConnection},
};
use thiserror::Error;
use tokio::{net::UdpSocket, sync::mpsc};

use super::outcome::{Ending, cause_in};
use crate::sip::config::{Sip, Transport};

/// How long the end of a call is waited for.
const BYE_WITHIN: Duration = Duration::from_secs(3);

/// How long a registration may take. The library would try for 32 s; a new attempt finds a registrar that came back sooner.
const REGISTER_WITHIN: Duration = Duration::from_secs(10);

/// How long a call without any answer is kept, until the library gives it up (timer B).
const LINGER: Duration = Duration::from_secs(40);

/// Why nothing can be sent.
#[derive(Debug, Error)]
pub enum StackError {
    /// The name leads nowhere.
    #[error("{host} has no address")]
    Resolve {
        /// Which name.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// No way out of this machine.
    #[error("there is no way from this machine to {target}")]
    Route {
        /// Where to.
        target: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The authorities for TLS.
    #[error("{path} cannot be read; agent.sip.ca_file names the authorities that sign the trunk's certificate")]
    Authorities {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// An address of the configuration that the library does not take.
    #[error("{0} is no SIP address")]
    Address(String),
    /// Anything else of the library.
    #[error("SIP: {0}")]
    Library(String),
}

/// What a registrar said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// It refused.
    #[error("the registrar answers {code} {phrase}{}", if matches!(code, 401 | 403 | 407) { ": check agent.sip.user, auth_user and password" } else { "" })]
    Refused {
        /// With this code.
        code: u16,
        /// And these words.
        phrase: String,
    },
    /// It did not answer.
    #[error("the registrar does not answer")]
    Silent,
    /// Nothing could be sent.
    #[error("the registrar cannot be reached: {0}")]
    Unreachable(String),
}

/// What happens in a call.
#[derive(Debug)]
pub enum Event {
    /// Somebody has the call and looks for the callee.
    Trying,
    /// It rings, or the network plays something.
    Alerting {
        /// The code, 180 to 189.
        code: u16,
        /// Where sound goes already.
        sdp: Option<String>,
    },
    /// The callee answered.
    Answered {
        /// Where sound goes.
        sdp: String,
    },
    /// Nobody answered.
    Refused(Ending),
    /// We called it off, and it is over.
    CalledOff,
    /// The body of an INFO.
    Info(String),
    /// The peer wants to go on otherwise, or only to know that we are there.
    Changed {
        /// What it wants; `None` if it leaves that to us.
        sdp: Option<String>,
        /// To be used.
        reply: Reply,
    },
    /// The callee hung up.
    Ended,
}

/// The answer to [`Event::Changed`].
#[derive(Debug)]
pub struct Reply {
    handle: TransactionHandle,
    wants_sdp: bool,
}

impl Reply {
    /// 200, with our description where one is due.
    pub async fn accept(self, sdp: String) {
        let content = || vec![Header::ContentType("application/sdp".into())];
        let (headers, body) = if self.wants_sdp { (Some(content()), Some(sdp.into_bytes())) } else { (None, None) };
        // The peer asks again if this does not get through.
        let _ = self.handle.respond(StatusCode::OK, headers, body).await;
    }

    /// 488: we cannot do that. The call goes on as it was.
    pub async fn refuse(self) {
        let _ = self.handle.reply(StatusCode::NotAcceptableHere).await;
    }
}

/// A socket, and everything that is going on over it.
pub struct Stack {
    dialogs: Arc<DialogLayer>,
    endpoint: Endpoint,
    settings: Sip,
    /// Where everything is sent.
    target: SocketAddr,
    /// Our own socket.
    local: SocketAddr,
    /// As whom others reach us, which a registrar may correct.
    contact: Arc<Mutex<HostWithPort>>,
    /// The proxies through which the registrar wants calls to go.
    routes: Mutex<Vec<rsipstack::sip::typed::Route>>,
    token: CancellationToken,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("target", &self.target).field("local", &self.local).finish_non_exhaustive()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// Where the trunk, or the proxy before it, is now.
///
/// # Errors
///
/// If its name has no address.
pub async fn resolve(settings: &Sip) -> Result<SocketAddr, StackError> {
    let found = addresses(settings).await?;
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let host = settings.outbound_proxy.as_ref().unwrap_or(&settings.trunk);
    let nowhere = || StackError::Resolve { host: host.clone(), source: std::io::Error::other("the name has no address") };
    first.copied().ok_or_else(nowhere)
}

/// All addresses to which the name of the trunk, or of the proxy before it, leads now, in no order that means anything.
///
/// # Errors
///
/// If it cannot be looked up.
pub async fn addresses(settings: &Sip) -> Result<Vec<SocketAddr>, StackError> {
    if let Some(names) = &settings.surroundings.names {
        return Ok(names());
    }
    let host = settings.outbound_proxy.as_ref().unwrap_or(&settings.trunk);
    let port = if settings.transport == Transport::Tls { 5061 } else { 5060 };
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let named = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.clone()
    } else {
        format!("{host}:{port}")
    };
    let failed = |source| StackError::Resolve { host: host.clone(), source };
    Ok(tokio::net::lookup_host(&named).await.map_err(failed)?.collect())
}

/// Our own address on the way to the trunk.
///
/// # Errors
///
/// If there is no way.
pub async fn own_address(settings: &Sip, target: SocketAddr) -> Result<IpAddr, StackError> {
    if let Some(bind) = settings.bind {
        return Ok(bind.ip());
    }
    if let Some(own) = &settings.surroundings.own {
        return Ok(own());
    }
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    let way = async {
        let socket = UdpSocket::bind(any).await?;
        // Nothing is sent: the system only looks the way up.
        socket.connect(target).await?;
        socket.local_addr()
    };
    way.await.map(|address| address.ip()).map_err(|source| StackError::Route { target, source })
}

fn library(why: impl std::fmt::Display) -> StackError {
    StackError::Library(why.to_string())
}

fn uri(text: &str) -> Result<Uri, StackError> {
    Uri::try_from(text).map_err(|_| StackError::Address(text.to_owned()))
}

fn transport_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    }
}

/// As whom others reach us.
fn contact_uri(settings: &Sip, contact: &Mutex<HostWithPort>) -> Result<Uri, StackError> {
    let contact = contact.lock().unwrap_or_else(PoisonError::into_inner).clone();
    uri(&format!("sip:{}@{contact}{}", settings.user, transport_word(settings.transport)))
}

impl Stack {
    /// Opens the socket and begins to listen.
    ///
    /// # Errors
    ///
    /// Says what is missing.
    pub async fn start(settings: &Sip) -> Result<Self, StackError> {
        Self::start_for(settings, None).await
    }

    /// The same; whoever calls us is handed over there. Without it, or where nobody takes them, they are told that nobody is here (480).
    ///
    /// # Errors
    ///
    /// Says what is missing.
    pub async fn start_for(settings: &Sip, callers: Option<mpsc::Sender<Caller>>) -> Result<Self, StackError> {
        let target = resolve(settings).await?;
        let ip = own_address(settings, target).await?;
        let token = CancellationToken::new();
        let layer = TransportLayer::new(token.child_token());
        if settings.transport == Transport::Tls {
            let failed = |source| StackError::Authorities { path: settings.ca_file.display().to_string(), source };
            let authorities = tokio::fs::read(&settings.ca_file).await.map_err(failed)?;
            let name = settings.trunk.rsplit_once(':').map_or(settings.trunk.as_str(), |(name, _)| name);
            layer.set_tls_config(TlsConfig {
                ca_certs: Some(authorities),
                sni_hostname: Some(name.to_owned()),
                ..TlsConfig::default()
            });
        }
        let port = settings.bind.map_or(0, |bind| bind.port());
        let socket =
            UdpConnection::create_connection((ip, port).into(), None, Some(token.child_token())).await.map_err(library)?;
        let own = socket.get_addr().clone();
        layer.add_transport(socket.into());
        let endpoint = EndpointBuilder::new()
            .with_user_agent(concat!("autocall-handset/", env!("CARGO_PKG_VERSION")))
            .with_cancel_token(token.child_token())
            .with_transport_layer(layer)
            .build();
        let mut incoming = endpoint.incoming_transactions().map_err(library)?;
        let dialogs = Arc::new(DialogLayer::new(endpoint.inner.clone()));
        let serving = endpoint.inner.clone();
        tokio::spawn(async move { serving.serve().await });
        let port = own.addr.port.as_ref().map_or(0, |port| u16::from(*port));
        let local = SocketAddr::new(ip, port);
        let contact = settings.public_address.map_or(local, |public| SocketAddr::new(public, port)).into();
        let contact = Arc::new(Mutex::new(contact));
        let door = Door {
            dialogs: Arc::clone(&dialogs),
            endpoint: endpoint.inner.clone(),
            settings: settings.clone(),
            contact: Arc::clone(&contact),
            trunk: target,
            callers,
        };
        tokio::spawn(async move {
            while let Some(request) = incoming.recv().await {
                door.open(request).await;
            }
        });
        Ok(Self { dialogs, endpoint, settings: settings.clone(), target, local, contact, routes: Mutex::default(), token })
    }

    /// Where everything is sent.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// Our own address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.local.ip()
    }

    /// The address that others are told to send sound to.
    #[must_use]
    pub fn media_ip(&self) -> IpAddr {
        self.settings.public_address.unwrap_or(self.local.ip())
    }

    fn credential(&self) -> Option<Credential> {
        self.settings.password.as_ref().map(|password| Credential {
            username: self.settings.user.clone(),
            password: password.0.clone(),
            realm: None,
            auth_username: self.settings.auth_user.clone(),
        })
    }

    fn contact_uri(&self) -> Result<Uri, StackError> {
        contact_uri(&self.settings, &self.contact)
    }

    /// A registration that was not asked for yet.
    #[must_use]
    pub fn registration(&self) -> Registered {
        let mut inner = Registration::new(self.endpoint.inner.clone(), self.credential());
        inner.outbound_proxy = Some(self.target);
        // Without a password the library names nobody in To and Contact.
        if inner.credential.is_none() {
            inner.contact =
                self.contact_uri().ok().map(|uri| rsipstack::sip::typed::Contact { display_name: None, uri, params: Vec::new() });
        }
        Registered { inner }
    }

    /// Asks the trunk whether it is there, by OPTIONS: its answer, whatever that is. A refusal shows as well as a yes that somebody is there.
    ///
    /// # Errors
    ///
    /// If nothing comes back, or nothing can be sent.
    pub async fn options(&self) -> Result<(u16, String), RegisterError> {
        let asking = async {
            let inner = &self.endpoint.inner;
            let word = transport_word(self.settings.transport);
            let who = |why: StackError| RegisterError::Unreachable(why.to_string());
            let to = uri(&format!("sip:{}{word}", self.settings.trunk)).map_err(who)?;
            let from = uri(&format!("sip:{}@{}", self.settings.user, self.settings.trunk)).map_err(who)?;
            let way = SipAddr { r#type: Some(self.kind()), ..SipAddr::from(self.target) };
            let failed = |why: rsipstack::Error| RegisterError::Unreachable(why.to_string());
            let (connection, _) = inner.transport_layer.lookup(&way, None).await.map_err(failed)?;
            let via = inner.get_via(Some(connection.get_addr().clone()), None).map_err(failed)?;
            let from = rsipstack::sip::typed::From { display_name: None, uri: from, params: Vec::new() }.with_tag(make_tag());
            let named = rsipstack::sip::typed::To { display_name: None, uri: to.clone(), params: Vec::new() };
            let request = inner.make_request(Method::Options, to, via, from, named, 1, None);
            let key = TransactionKey::from_request(&request, TransactionRole::Client).map_err(failed)?;
            let mut asked = Transaction::new_client(key, request, inner.clone(), None);
            asked.destination = Some(way);
            asked.send().await.map_err(failed)?;
            while let Some(message) = asked.receive().await {
                if let SipMessage::Response(reply) = message
                    && reply.status_code.kind() != StatusCodeKind::Provisional
                {
                    return Ok((reply.status_code.code(), phrase(&reply)));
                }
            }
            Err(RegisterError::Silent)
        };
        match tokio::time::timeout(REGISTER_WITHIN, asking).await {
            // The library's own word for nobody being there.
            Err(_) | Ok(Ok((408, _))) => Err(RegisterError::Silent),
            Ok(answer) => answer,
        }
    }

    fn kind(&self) -> rsipstack::sip::Transport {
        match self.settings.transport {
            Transport::Udp => rsipstack::sip::Transport::Udp,
            Transport::Tcp => rsipstack::sip::Transport::Tcp,
            Transport::Tls => rsipstack::sip::Transport::Tls,
        }
    }

    /// Begins a call.
    ///
    /// # Errors
    ///
    /// If the address is none, or nothing can be sent.
    pub fn invite(&self, address: &str, call_id: &str, sdp: String) -> Result<Call, StackError> {
        let (states, receiver) = self.dialogs.new_dialog_state_channel();
        let shown = self.settings.caller.as_ref().unwrap_or(&self.settings.user);
        let option = InviteOption {
            caller: uri(&format!("sip:{shown}@{}", self.settings.trunk))?,
            callee: uri(address)?,
            destination: Some(SipAddr { r#type: Some(self.kind()), ..SipAddr::from(self.target) }),
            content_type: Some("application/sdp".to_owned()),
            offer: Some(sdp.into_bytes()),
            contact: self.contact_uri()?,
            credential: self.credential(),
            route_set: self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            call_id: Some(call_id.to_owned()),
            ..InviteOption::default()
        };
        let (dialog, result) = self.dialogs.do_invite_async(option, states).map_err(library)?;
        Ok(Call {
            dialogs: Arc::clone(&self.dialogs),
            dialog,
            states: receiver,
            result: Some(result),
            answered: false,
            over: false,
            stashed: VecDeque::new(),
            cancelled: false,
        })
    }
}

/// A registration and its memory.
pub struct Registered {
    inner: Registration,
}

impl Registered {
    /// Registers, or registers again; answers for how long. `expires` 0 takes the registration back.
    ///
    /// # Errors
    ///
    /// Says whether the registrar refused or was silent.
    pub async fn register(&mut self, stack: &Stack, expires: u32) -> Result<Duration, RegisterError> {
        let server = format!("sip:{}{}", stack.settings.trunk, transport_word(stack.settings.transport));
        let server = uri(&server).map_err(|why| RegisterError::Unreachable(why.to_string()))?;
        let reply = match tokio::time::timeout(REGISTER_WITHIN, self.inner.register(server, Some(expires))).await {
            Err(_) => return Err(RegisterError::Silent),
            Ok(Err(why)) => return Err(RegisterError::Unreachable(why.to_string())),
            Ok(Ok(reply)) => reply,
        };
        match reply.status_code.code() {
            200..=299 => {
                if let (None, Some(seen)) = (stack.settings.public_address, self.inner.discovered_public_address()) {
                    *stack.contact.lock().unwrap_or_else(PoisonError::into_inner) = seen;
                }
                *stack.routes.lock().unwrap_or_else(PoisonError::into_inner) = self.inner.preloaded_route_set();
                Ok(Duration::from_secs(u64::from(self.inner.granted_expires.unwrap_or(expires))))
            }
            // The library's own word for a registrar that is not there.
            408 => Err(RegisterError::Silent),
            code => Err(RegisterError::Refused { code, phrase: phrase(&reply) }),
        }
    }
}

fn phrase(reply: &Response) -> String {
    reply.wire_reason.clone().unwrap_or_else(|| {
        let text = reply.status_code.to_string();
        text.split_once(' ').map_or(text.clone(), |(_, words)| words.to_owned())
    })
}

fn body(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn ending(reply: &Response) -> Ending {
    let named =
        |name: &str| reply.headers.iter().find(|header| header.name().eq_ignore_ascii_case(name)).map(|h| h.value().to_owned());
    let retry_after = named("Retry-After").and_then(|value| {
        let digits: String = value.trim().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    Ending {
        code: Some(reply.status_code.code()),
        phrase: phrase(reply),
        q850: named("Reason").and_then(|reason| cause_in(&reason)),
        retry_after,
    }
}

/// Answers in the background, so that [`Call::next`] may be dropped at any time.
fn reply(handle: TransactionHandle, status: StatusCode) {
    tokio::spawn(async move {
        // The peer asks again if this does not get through.
        let _ = handle.reply(status).await;
    });
}

/// What came of a call of ours; never of somebody else's.
async fn finally(result: &mut Option<JoinHandle<InviteAsyncResult>>) -> Option<InviteAsyncResult> {
    match result {
        Some(result) => result.await.ok(),
        None => std::future::pending().await,
    }
}

/// One call.
pub struct Call {
    dialogs: Arc<DialogLayer>,
    dialog: InviteDialog,
    states: DialogStateReceiver,
    /// Of a call of ours.
    result: Option<JoinHandle<InviteAsyncResult>>,
    /// Whether the final response was told.
    answered: bool,
    over: bool,
    /// What came before the final response was told, and has to come after it.
    stashed: VecDeque<Event>,
    cancelled: bool,
}

impl Call {
    /// The next thing that happens; after [`Event::Refused`], [`Event::CalledOff`] and [`Event::Ended`] nothing does.
    ///
    /// May be dropped at any time without losing anything.
    pub async fn next(&mut self) -> Event {
        loop {
            if self.over {
                std::future::pending::<()>().await;
            }
            if self.answered
                && let Some(event) = self.stashed.pop_front()
            {
                return self.told(event);
            }
            let event = tokio::select! {
                // States first: whatever rang before the final response is in the queue when that is told.
                biased;
                Some(state) = self.states.recv() => self.happened(state),
                result = finally(&mut self.result), if !self.answered => {
                    self.answered = true;
                    Some(self.finally(result))
                }
                // Nobody is left who could say anything.
                else => Some(Event::Ended),
            };
            match event {
                Some(event @ (Event::Info(_) | Event::Changed { .. } | Event::Ended)) if !self.answered => {
                    self.stashed.push_back(event);
                }
                Some(event) => return self.told(event),
                None => {}
            }
        }
    }

    fn told(&mut self, event: Event) -> Event {
        if matches!(event, Event::Refused(_) | Event::CalledOff | Event::Ended) {
            self.over = true;
            self.dialogs.remove_dialog(&self.dialog.id());
        }
        event
    }

    fn finally(&self, result: Option<InviteAsyncResult>) -> Event {
        // A call that was called off may still be answered in the same moment; the library then ends it.
        if self.cancelled && !self.dialog.state().is_confirmed() {
            return Event::CalledOff;
        }
        match result {
            Some(Ok((_, Some(reply)))) if reply.status_code.kind() == StatusCodeKind::Successful => {
                Event::Answered { sdp: body(&reply.body).unwrap_or_default() }
            }
            Some(Ok((_, Some(reply)))) => Event::Refused(ending(&reply)),
            Some(Ok((_, None))) => Event::Refused(Ending { phrase: "no answer from the trunk".to_owned(), ..Ending::default() }),
            Some(Err(why)) => Event::Refused(Ending { phrase: why.to_string(), ..Ending::default() }),
            None => Event::Refused(Ending { phrase: "the call was lost".to_owned(), ..Ending::default() }),
        }
    }

    fn happened(&self, state: DialogState) -> Option<Event> {
        match state {
            DialogState::Trying(_) => Some(Event::Trying),
            DialogState::Early(_, reply) => Some(Event::Alerting { code: reply.status_code.code(), sdp: body(&reply.body) }),
            DialogState::Info(_, request, handle) => {
                reply(handle, StatusCode::OK);
                body(&request.body).map(Event::Info)
            }
            DialogState::Updated(_, request, handle) => {
                let sdp = body(&request.body);
                // An INVITE without a description asks for ours; an UPDATE without one asks for nothing.
                let wants_sdp = sdp.is_some() || request.method == Method::Invite;
                Some(Event::Changed { sdp, reply: Reply { handle, wants_sdp } })
            }
            DialogState::Options(_, _, handle) | DialogState::Message(_, _, handle) | DialogState::Notify(_, _, handle) => {
                reply(handle, StatusCode::OK);
                None
            }
            DialogState::Refer(_, _, handle) => {
                reply(handle, StatusCode::Decline);
                None
            }
            DialogState::Terminated(..) if self.cancelled => None,
            // Before the final response is told this is its echo; `next` keeps the end of a call that was answered.
            DialogState::Terminated(_, why) => {
                use rsipstack::dialog::dialog::TerminatedReason::{Timeout, UasBye};
                (self.answered || matches!(why, UasBye | Timeout)).then_some(Event::Ended)
            }
            _ => None,
        }
    }

    /// Calls it off. What it came to is told by [`Self::next`].
    pub async fn cancel(&mut self) {
        self.cancelled = true;
        // An error means that the trunk does not know the call any more.
        let _ = tokio::time::timeout(BYE_WITHIN, self.dialog.cancel()).await;
    }

    /// Hangs up.
    pub async fn bye(&mut self) {
        let _ = tokio::time::timeout(BYE_WITHIN, self.dialog.bye_with_headers(None)).await;
        self.over = true;
        self.dialogs.remove_dialog(&self.dialog.id());
    }

    /// Leaves a call to itself that was called off and got no answer at all: the library tries until its timer ends, and would call it off as soon as
    /// something answers. Completes when the line is free.
    #[must_use]
    pub fn linger(self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            let Self { dialogs, dialog, result, states, .. } = self;
            if let Some(result) = result {
                let _ = tokio::time::timeout(LINGER, result).await;
            }
            dialogs.remove_dialog(&dialog.id());
            drop(states);
        })
    }
}

/// Takes what comes from outside.
struct Door {
    dialogs: Arc<DialogLayer>,
    endpoint: EndpointInnerRef,
    settings: Sip,
    contact: Arc<Mutex<HostWithPort>>,
    trunk: SocketAddr,
    callers: Option<mpsc::Sender<Caller>>,
}

impl Door {
    async fn open(&self, mut request: Transaction) {
        if let Some(mut dialog) = self.dialogs.match_dialog(&request) {
            tokio::spawn(async move {
                let _ = dialog.handle(&mut request).await;
            });
            return;
        }
        let in_a_call = request.original.to_header().is_ok_and(|to| to.tag().is_ok_and(|tag| tag.is_some()));
        let status = match request.original.method {
            // Exchanges ask whether we are there.
            Method::Options => StatusCode::OK,
            Method::Invite if !in_a_call => match self.hand_over(request) {
                None => return,
                Some(refused) => {
                    request = refused;
                    StatusCode::TemporarilyUnavailable
                }
            },
            Method::Ack => return,
            _ => StatusCode::CallTransactionDoesNotExist,
        };
        let _ = request.reply(status).await;
    }

    /// Whether somebody may call by this connection: the trunk itself, by UDP from the port to which we send, or whoever the configuration names.
    fn admits(&self, connection: &SipConnection) -> bool {
        let kind = match self.settings.transport {
            Transport::Udp => rsipstack::sip::Transport::Udp,
            Transport::Tcp => rsipstack::sip::Transport::Tcp,
            Transport::Tls => rsipstack::sip::Transport::Tls,
        };
        let from = connection.get_remote_addr().and_then(|from| from.get_socketaddr().ok());
        let from = from.filter(|_| connection.transport() == kind);
        let is_trunk = |from: &SocketAddr| match self.settings.transport {
            Transport::Udp => *from == self.trunk,
            Transport::Tcp | Transport::Tls => from.ip() == self.trunk.ip(),
        };
        from.is_some_and(|from| is_trunk(&from) || self.settings.inbound_from.contains(&from.ip()))
    }

    /// Gives a caller to whoever takes them; else the request comes back.
    fn hand_over(&self, mut request: Transaction) -> Option<Transaction> {
        let place = self.callers.as_ref().and_then(|callers| callers.try_reserve().ok());
        let (Some(place), true) = (place, request.connection.as_ref().is_some_and(|connection| self.admits(connection))) else {
            return Some(request);
        };
        let (sender, states) = self.dialogs.new_dialog_state_channel();
        let contact = contact_uri(&self.settings, &self.contact).ok();
        let Ok(dialog) = self.dialogs.get_or_create_server_invite(&request, sender, None, contact) else { return Some(request) };
        let invite = request.original.clone();
        place.send(Caller {
            id: invite.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default(),
            from: who_calls(&invite),
            to: invite.uri.user().map(plain_number).unwrap_or_default(),
            sdp: body(&invite.body).unwrap_or_default(),
            dialogs: Arc::clone(&self.dialogs),
            endpoint: self.endpoint.clone(),
            replies: request.tu_sender.clone(),
            dialog: dialog.clone(),
            states,
            invite,
            decided: false,
        });
        let mut serving = dialog;
        tokio::spawn(async move {
            let _ = serving.handle(&mut request).await;
        });
        None
    }
}

/// The number that the network says calls: what it vouches for, else what the caller says.
fn who_calls(invite: &Request) -> String {
    let vouched = invite.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("P-Asserted-Identity"));
    let vouched: Vec<&str> = vouched.map(Header::value).collect();
    number_of(&vouched, invite.from_header().map(rsipstack::sip::From::value).unwrap_or_default())
}

/// Where the network vouches for somebody, the first number among those; what the caller says counts only where it vouches for nobody.
fn number_of(vouched: &[&str], said: &str) -> String {
    if vouched.is_empty() {
        return number_in(said).unwrap_or_default();
    }
    let each = vouched.iter().flat_map(|header| addresses_in(header)).filter_map(number_in);
    each.into_iter().find(|number| !number.is_empty()).unwrap_or_default()
}

/// The addresses of a header that may hold several, apart by commas; those in a name or an address part nothing.
fn addresses_in(header: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    header
        .split(|c: char| {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if quoted => {}
                '<' => inside = true,
                '>' => inside = false,
                ',' => return !inside,
                _ => {}
            }
            false
        })
        .collect()
}

/// The number of an address in a header: `"Li Na" <sip:+8613900000001@trunk>;tag=1`. What a caller calls itself is not looked at.
fn number_in(header: &str) -> Option<String> {
    let mut bare = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in header.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            c => bare.push(c),
        }
    }
    if quoted {
        return None;
    }
    let address = match bare.split_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => bare.split(';').next()?,
    };
    let (scheme, rest) = address.trim().split_once(':')?;
    if scheme.eq_ignore_ascii_case("tel") {
        let number = rest.split([';', '?']).next()?;
        // Written for people: +86-139-0000-0001.
        return Some(plain_number(&number.replace(['-', '.', '(', ')'], "")));
    }
    let is_one = ["sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    // Without a user there is only a host, which may be made of digits, too.
    let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
    is_one.then(|| plain_number(user))
}

/// What of a user is a number: nothing where it is a name.
fn plain_number(user: &str) -> String {
    let user = user.split(';').next().unwrap_or_default().replace("%23", "#").replace("%2B", "+").replace("%2b", "+");
    let is_one = user.len() <= 32 && user.chars().all(|c| c.is_ascii_digit() || "+*#".contains(c));
    if is_one { user } else { String::new() }
}

/// Somebody who calls, and whose phone we have not picked up. Dropped, it is told that nobody is here.
pub struct Caller {
    /// What the network calls this call.
    pub id: String,
    /// Who says to call: a number, or nothing.
    pub from: String,
    /// Whom, if that is a number.
    pub to: String,
    /// What sound is offered; empty where that is left to us.
    pub sdp: String,
    dialogs: Arc<DialogLayer>,
    endpoint: EndpointInnerRef,
    replies: TransactionEventSender,
    dialog: InviteDialog,
    states: DialogStateReceiver,
    invite: Request,
    decided: bool,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.decided {
            self.end(StatusCode::TemporarilyUnavailable);
        }
    }
}

impl Caller {
    /// Lets the caller hear that it rings.
    pub fn ring(&self) {
        // A caller who does not hear of it waits all the same.
        let _ = self.dialog.ringing(None, None);
    }

    /// Completes when the caller has given up.
    ///
    /// May be dropped at any time without losing anything.
    pub async fn gone(&mut self) {
        loop {
            match self.states.recv().await {
                Some(DialogState::Terminated(..)) | None => return,
                Some(_) => {}
            }
        }
    }

    fn end(&mut self, status: StatusCode) {
        self.decided = true;
        let _ = self.dialog.reject(Some(status), None);
        self.dialogs.remove_dialog(&self.dialog.id());
    }

    /// Refuses the call with a status from 400 to 699; anything else is 480.
    pub fn refuse(mut self, status: u16) {
        let is_one = (400..700).contains(&status);
        self.end(if is_one { StatusCode::from(status) } else { StatusCode::TemporarilyUnavailable });
    }

    /// Sends the caller to another address (302). The library's own refusal names us there, so this one is written by hand.
    ///
    /// # Errors
    ///
    /// If it is no address; the call is refused then.
    pub fn redirect(mut self, address: &str) -> Result<(), StackError> {
        let uri = uri(address)?;
        let mut reply = self.endpoint.make_response(&self.invite, StatusCode::MovedTemporarily, None);
        let tag = self.dialog.id().local_tag;
        for header in &mut reply.headers.iter_mut() {
            if let Header::To(to) = header
                && let Ok(mut typed) = to.clone().typed()
            {
                typed.params.push(rsipstack::sip::Param::Tag(tag.clone().into()));
                *header = Header::To(typed.into());
            }
        }
        reply.headers.push(rsipstack::sip::typed::Contact { display_name: None, uri, params: Vec::new() }.into());
        let _ = self.replies.send(TransactionEvent::Respond(reply));
        // Comes too late to be sent, and ends what the library knows of the call.
        self.end(StatusCode::MovedTemporarily);
        Ok(())
    }

    /// Picks up, and waits until the caller knows; `None` if it has given up.
    pub async fn answer(mut self, sdp: String) -> Option<Call> {
        self.decided = true;
        let content = vec![Header::ContentType("application/sdp".into())];
        let ringing = self.dialog.state().can_cancel();
        if !ringing || self.dialog.accept(Some(content), Some(sdp.into_bytes())).is_err() {
            self.dialogs.remove_dialog(&self.dialog.id());
            return None;
        }
        // The library gives up by itself before that, if it still runs.
        if !confirmed(&mut self.states, LINGER).await {
            self.dialogs.remove_dialog(&self.dialog.id());
            return None;
        }
        let (nothing, empty) = self.dialogs.new_dialog_state_channel();
        drop(nothing);
        Some(Call {
            dialogs: Arc::clone(&self.dialogs),
            dialog: self.dialog.clone(),
            states: std::mem::replace(&mut self.states, empty),
            result: None,
            answered: true,
            over: false,
            stashed: VecDeque::new(),
            cancelled: false,
        })
    }
}

/// Whether a caller who was answered has confirmed it within this time.
async fn confirmed(states: &mut DialogStateReceiver, within: Duration) -> bool {
    let confirmed = async {
        loop {
            match states.recv().await {
                Some(DialogState::Confirmed(..)) => return true,
                Some(DialogState::Terminated(..)) | None => return false,
                Some(_) => {}
            }
        }
    };
    tokio::time::timeout(within, confirmed).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::{Duration, LINGER, confirmed, number_in, number_of};

    #[test]
    fn the_number_of_a_caller_is_found_and_a_name_is_none() {
        for (header, number) in [
            ("\"Li Na\" <sip:+8613900000001@trunk.example;user=phone>;tag=1", "+8613900000001"),
            ("<sip:13900000001@192.0.2.1:5080>", "13900000001"),
            ("<sips:%2B8613900000001@x>", "+8613900000001"),
            ("<tel:+8613900000001;phone-context=x>", "+8613900000001"),
            ("sip:*31%23@x;tag=9", "*31#"),
            // What they call themselves is theirs to choose.
            ("\"sip:+8613900000001@x\" <sip:+8613777777777@trunk>;tag=1", "+8613777777777"),
            ("\"a \\\" <sip:1@x>\" <sip:2@x>", "2"),
            ("sip:1@x <sip:2@x>", "2"),
            ("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=2", ""),
            ("<sip:1;drop@x>", "1"),
            ("<sip:+8613900000001;phone-context=x@trunk>", "+8613900000001"),
            ("<sip:99999999999999999999999999999999999@x>", ""),
            // Whatever a name holds, and however its quotes are escaped.
            ("\"<sip:1@x>\" <sip:2@x>", "2"),
            ("\"a\\\\\" <sip:2@x>", "2"),
            ("\"a\\\\\\\" <sip:1@x>, \" <sip:2@x>", "2"),
            ("\"+8613900000001\" <sip:anonymous@anonymous.invalid>", ""),
            // Escaped, with a password, without a user, or with two hosts.
            ("<sip:%2b86139%2300@x>", "+86139#00"),
            ("<sip:%31%33@x>", ""),
            ("<sip:13900000001:secret@x>", ""),
            ("<sip:13900000001>", ""),
            ("<sip:13900000001;lr>", ""),
            ("<sip:1@x@y>", ""),
            // Numbers as people write them, and as a subscriber's exchange does.
            ("<tel:+86-139-0000-0001>", "+8613900000001"),
            ("tel:13900000001;phone-context=+86", "13900000001"),
            ("<tel:+1(201)555.0123>", "+12015550123"),
        ] {
            assert_eq!(number_in(header).as_deref(), Some(number), "{header}");
        }
        for header in ["nobody", "\"sip:1@x", "<sip:1@x", "<mailto:1@x>", "", "a<b <sip:1@x>", "<anonymous@x>"] {
            assert_eq!(number_in(header), None, "{header}");
        }
    }

    #[test]
    fn whom_the_network_vouches_for_is_believed_before_whoever_calls() {
        let forged = "<sip:+8613900000001@x>";
        for (vouched, number) in [
            (&[][..], "+8613900000001"),
            (&["<sip:2@x>"], "2"),
            (&["\"A, B\" <sip:li.na@x>, <tel:+86-2>"], "+862"),
            (&["<sip:li.na,1@x>", "<tel:+862>, <sip:3@x>"], "+862"),
            // It knows who that is, and it is no number: what the caller says is no better then.
            (&["<sip:anonymous@anonymous.invalid>"], ""),
            (&["\"<sip:1@x>, <sip:1@x>\" <sip:li.na@x>"], ""),
            (&[""], ""),
        ] {
            assert_eq!(number_of(vouched, forged), number, "{vouched:?}");
        }
    }

    #[tokio::test]
    async fn a_caller_who_never_confirms_is_not_waited_for_without_end() {
        let (sender, mut states) = tokio::sync::mpsc::unbounded_channel();
        let waits = confirmed(&mut states, Duration::from_millis(1));
        // Far more than it takes, so that a wait without end is seen.
        assert_eq!(tokio::time::timeout(LINGER, waits).await.ok(), Some(false), "it waits without end");
        drop(sender);
    }
}
