//! A simulated trunk with simulated callees, for tests and trials: it rings, refuses, answers, plays, presses keys, and keeps what it heard.
//! It also calls whoever has registered ([`Peer::call`]).
//!
//! Written without the SIP library, so that a misunderstanding of the library does not answer itself.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    signal::sdp::{self, Direction},
    sound::rtp::{Packet, Sender},
};
use crate::voice::{
    FRAME,
    g711::Law,
    keys::{KeyReader, TelephoneEvent},
    tone,
};

/// What a callee does, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A provisional response without sound.
    Ring(u16),
    /// A provisional response with sound.
    Early(u16),
    /// Nothing for so many milliseconds; sound goes on.
    Wait(u64),
    /// Nothing until so many packets of sound that is no silence came.
    Hear(usize),
    /// Nothing until the next [`Peer::release`]: each lets one callee go on.
    Released,
    /// Nothing until the other side hangs up or cancels.
    Stay,
    /// The final refusal, with further headers.
    Refuse(u16, &'static str, &'static [(&'static str, &'static str)]),
    /// 200, under this law.
    Answer(Law),
    /// 200 with this session description.
    AnswerWith(&'static str),
    /// A key by telephone events.
    Key(char),
    /// A key as two tones in the sound.
    Tones(char),
    /// A key by INFO.
    Info(char),
    /// A tone that is no key, for so many milliseconds.
    Hum(u64),
    /// One pure tone of this frequency, for so many milliseconds.
    Note(u16, u64),
    /// One pure tone of this frequency, until the call is over.
    Whistle(u16),
    /// The same description again, as a timer of the session does it.
    Reinvite,
    /// A description with a codec that is not spoken here.
    ReinviteBad,
    /// An UPDATE without a description.
    Update,
    /// No sound any more, not even silence.
    Mute,
    /// Only of a call that it makes: CANCEL, and nothing until that has come to its end.
    Cancel,
    /// BYE.
    HangUp,
}

/// How a trunk behaves.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// What is done by whom is called; `*` by anybody else. Without either it is 404.
    pub callees: BTreeMap<String, Vec<Act>>,
    /// The user whose password is asked for at every INVITE and REGISTER.
    pub challenges: Option<String>,
    /// Refused although the password was given.
    pub forbids: bool,
    /// No telephone events in its descriptions.
    pub no_events: bool,
    /// Answers nothing at all.
    pub deaf: bool,
    /// Whoever is called picks up in the moment in which the call is called off.
    pub crosses: bool,
    /// How long a registration lasts.
    pub expires: u32,
}

impl Manners {
    /// A trunk with one kind of callee.
    #[must_use]
    pub fn of(acts: impl Into<Vec<Act>>) -> Self {
        Self { expires: 120, ..Self::default() }.with("*", acts)
    }

    /// And another callee.
    #[must_use]
    pub fn with(mut self, number: &str, acts: impl Into<Vec<Act>>) -> Self {
        self.callees.insert(number.to_owned(), acts.into());
        self
    }
}

/// What a trunk saw.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// First lines of requests, without repetitions.
    pub requests: Vec<String>,
    /// Codes of the responses that came back to its own requests, by method.
    pub replies: Vec<(String, u16)>,
    /// Whom each call was for, by Call-ID.
    pub calls: Vec<(String, String)>,
    /// Descriptions that were offered or answered.
    pub descriptions: Vec<String>,
    /// What was said to the callee of each call.
    pub heard: BTreeMap<String, Vec<i16>>,
    /// Numbers of the packets of each call, in the order they came.
    pub sequences: BTreeMap<String, Vec<u16>>,
    /// And the times in them.
    pub stamps: BTreeMap<String, Vec<u32>>,
    /// The last whole request of each method.
    pub last: BTreeMap<String, String>,
    /// Keys that were pressed in each call, as events.
    pub keys: BTreeMap<String, String>,
    /// Responses to the calls that it made, whole, by Call-ID.
    pub answers: BTreeMap<String, Vec<String>>,
}

impl Log {
    /// How many requests of this method came.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|line| line.split(' ').next() == Some(method)).count()
    }

    /// The codes of the responses to a call that it made.
    #[must_use]
    pub fn codes(&self, call_id: &str) -> Vec<u16> {
        let of = |text: &String| text.split(' ').nth(1)?.parse().ok();
        self.answers.get(call_id).into_iter().flatten().filter_map(of).collect()
    }

    /// Everything that was said to anybody.
    #[must_use]
    pub fn sound(&self) -> Vec<i16> {
        self.heard.values().flatten().copied().collect()
    }
}

/// A running trunk.
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manners: Mutex<Manners>,
    log: Mutex<Log>,
    over: AtomicBool,
    released: AtomicBool,
    /// Where the rest of a call's messages go.
    calls: Mutex<BTreeMap<String, mpsc::Sender<Message>>>,
    ip: IpAddr,
    /// Its own address, for contacts.
    port: Mutex<u16>,
    /// By which it calls others.
    socket: Mutex<Option<Arc<UdpSocket>>>,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a reply goes.
#[derive(Clone)]
enum Way {
    Datagram(Arc<UdpSocket>, SocketAddr),
    Stream(Arc<Mutex<dyn Both>>),
}

/// A connection, encrypted or not.
pub trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

impl Way {
    fn send(&self, text: &str) {
        // Whoever does not get it asks again.
        let _ = match self {
            Self::Datagram(socket, to) => socket.send_to(text.as_bytes(), to).map(drop),
            Self::Stream(stream) => {
                let mut stream = lock(stream);
                stream.write_all(text.as_bytes()).and_then(|()| stream.flush())
            }
        };
    }
}

/// One SIP message.
#[derive(Debug, Clone)]
struct Message {
    text: String,
    first: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let first = lines.next()?.to_owned();
        let headers =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        Some(Self { text: text.to_owned(), first, headers: headers.collect(), body: body.to_owned() })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or_default()
    }

    /// The status code of a response.
    fn code(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    fn reply(&self, code: u16, phrase: &str, tag: &str, more: &[(&str, &str)], body: &str) -> String {
        let mut text = format!("SIP/2.0 {code} {phrase}\r\n");
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            if matches!(name.as_str(), "via" | "from" | "call-id" | "cseq") {
                text += &format!("{name}: {value}\r\n");
            } else if name == "to" {
                let tag = if value.contains("tag=") || tag.is_empty() { String::new() } else { format!(";tag={tag}") };
                text += &format!("To: {value}{tag}\r\n");
            }
        }
        for (name, value) in more {
            text += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

impl Peer {
    /// A trunk on a free UDP port of this address, and on the same TCP port.
    ///
    /// # Errors
    ///
    /// If nothing can be bound.
    pub fn start(ip: IpAddr, manners: Manners) -> io::Result<Self> {
        // Any pair of ports will do.
        let (udp, tcp) = (0..50)
            .find_map(|_| {
                let udp = UdpSocket::bind((ip, 0)).ok()?;
                let tcp = TcpListener::bind((ip, udp.local_addr().ok()?.port())).ok()?;
                Some((udp, tcp))
            })
            .ok_or_else(|| io::Error::other("no free port"))?;
        let address = udp.local_addr()?;
        let peer = Self::quiet(address, manners);
        let (shared, socket) = (Arc::clone(&peer.shared), Arc::new(udp));
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        *lock(&shared.socket) = Some(Arc::clone(&socket));
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !shared.over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer)
                    && let Some(message) = Message::parse(&String::from_utf8_lossy(&buffer[..length]))
                {
                    shared.take(message, &Way::Datagram(Arc::clone(&socket), from));
                }
            }
        });
        let shared = Arc::clone(&peer.shared);
        tcp.set_nonblocking(true)?;
        thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((stream, _)) => {
                        let ready =
                            stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(20))));
                        if ready.is_ok() {
                            Self::serve_stream(&shared, Arc::new(Mutex::new(stream)));
                        }
                    }
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        Ok(peer)
    }

    /// A trunk that listens nowhere yet; connections are brought to [`Self::connected`].
    #[must_use]
    pub fn quiet(address: SocketAddr, manners: Manners) -> Self {
        let shared = Shared {
            manners: Mutex::new(manners),
            log: Mutex::default(),
            over: AtomicBool::new(false),
            released: AtomicBool::new(false),
            calls: Mutex::default(),
            ip: address.ip(),
            port: Mutex::new(address.port()),
            socket: Mutex::default(),
        };
        Self { address, shared: Arc::new(shared) }
    }

    /// A connection that was made elsewhere, such as an encrypted one. Its reads must end after a moment without data.
    pub fn connected(&self, stream: Arc<Mutex<dyn Both>>) {
        Self::serve_stream(&self.shared, stream);
    }

    fn serve_stream(shared: &Arc<Shared>, stream: Arc<Mutex<dyn Both>>) {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut kept = Vec::new();
            let mut buffer = [0; 8192];
            while !shared.over.load(Ordering::Relaxed) {
                let read = lock(&stream).read(&mut buffer);
                match read {
                    Ok(0) => return,
                    Ok(length) => kept.extend_from_slice(&buffer[..length]),
                    Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                        thread::sleep(Duration::from_millis(2));
                    }
                    Err(_) => return,
                }
                while let Some(message) = next_message(&mut kept) {
                    shared.take(message, &Way::Stream(Arc::clone(&stream)));
                }
            }
        });
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw so far.
    #[must_use]
    pub fn log(&self) -> Log {
        lock(&self.shared.log).clone()
    }

    /// One that waits for it, or will, goes on.
    pub fn release(&self) {
        self.shared.released.store(true, Ordering::Relaxed);
    }

    /// Calls whoever registered last, as this number; the acts are done once somebody has picked up, except a first [`Act::Cancel`], before
    /// which it waits until it rings. The name of the call.
    ///
    /// # Errors
    ///
    /// If nobody has registered, or nothing can be sent.
    pub fn call(&self, from: &str, acts: impl Into<Vec<Act>>) -> io::Result<String> {
        let contact = lock(&self.shared.log).last.get("REGISTER").and_then(|text| Some(contact_of(&Message::parse(text)?)));
        let contact = contact.ok_or_else(|| io::Error::other("nobody has registered"))?;
        self.call_to(&contact, from, None, acts)
    }

    /// The same, to a contact `sip:user@host:port`, with another description than the usual.
    ///
    /// # Errors
    ///
    /// If nothing can be sent.
    pub fn call_to(&self, contact: &str, from: &str, description: Option<&str>, acts: impl Into<Vec<Act>>) -> io::Result<String> {
        let to = contact.split('@').nth(1).and_then(|host| host.split([';', '>']).next()?.parse().ok());
        let to: SocketAddr = to.ok_or_else(|| io::Error::other("the contact has no address"))?;
        let socket = lock(&self.shared.socket).clone().ok_or_else(|| io::Error::other("it listens nowhere"))?;
        let way = Way::Datagram(socket, to);
        let shared = Arc::clone(&self.shared);
        let call_id = format!("in-{}-{:08x}", from.trim_start_matches('+'), rand::random::<u32>());
        let rtp = UdpSocket::bind((shared.ip, 0))?;
        let port = *lock(&shared.port);
        let head = format!(
            "INVITE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch=z9hG4bKi{call_id};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}@{ip}:{port}>;tag=caller\r\nTo: <{contact}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:{from}@{ip}:{port}>\r\n",
            ip = shared.ip
        );
        let (sender, inbox) = mpsc::channel();
        lock(&shared.calls).insert(call_id.clone(), sender);
        let address = SocketAddr::new(shared.ip, rtp.local_addr()?.port());
        let usual = sdp::write(address, 1, None, Some(96), Direction::Both);
        let body = description.unwrap_or(&usual);
        let text = format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let invite = Message::parse(&text).ok_or_else(|| io::Error::other("the request is none"))?;
        let mut leg = Leg::of(&shared, invite, way, inbox, rtp, &lock(&shared.manners).clone())?;
        (leg.tag, leg.calls) = ("caller".to_owned(), true);
        let acts = acts.into();
        let named = call_id.clone();
        thread::spawn(move || {
            leg.place(acts);
            thread::sleep(Duration::from_millis(500));
            lock(&shared.calls).remove(&named);
        });
        Ok(call_id)
    }

    /// From now on it behaves like this.
    pub fn behave(&self, manners: Manners) {
        *lock(&self.shared.manners) = manners;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// Whom a request is for.
fn contact_of_request(message: &Message) -> String {
    message.first.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The address in a contact.
fn contact_of(message: &Message) -> String {
    let contact = message.header("contact");
    let bare = contact.split_once('<').map_or(contact, |(_, rest)| rest);
    bare.split(['>', ';']).next().unwrap_or_default().to_owned()
}

/// The next whole message of a stream.
fn next_message(kept: &mut Vec<u8>) -> Option<Message> {
    while kept.starts_with(b"\r\n") {
        kept.drain(..2);
    }
    let head = kept.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&kept[..head]).into_owned();
    let length: usize = Message::parse(&text)?.header("content-length").parse().unwrap_or_default();
    if kept.len() < head + length {
        return None;
    }
    let whole: Vec<u8> = kept.drain(..head + length).collect();
    Message::parse(&String::from_utf8_lossy(&whole))
}

impl Shared {
    fn take(self: &Arc<Self>, message: Message, way: &Way) {
        let manners = lock(&self.manners).clone();
        if manners.deaf {
            return;
        }
        let call_id = message.header("call-id").to_owned();
        if message.code().is_some() {
            if let Some(call) = lock(&self.calls).get(&call_id) {
                // The call may be over.
                let _ = call.send(message);
            }
            return;
        }
        let method = message.method().to_owned();
        let line = format!("{} {}", message.first, message.header("cseq"));
        {
            let mut log = lock(&self.log);
            let again = log.last.get(&method).is_some_and(|last| *last == message.text);
            log.last.insert(method.clone(), message.text.clone());
            if !again {
                log.requests.push(line);
            }
        }
        let in_call = lock(&self.calls).get(&call_id).cloned();
        match (method.as_str(), in_call) {
            ("OPTIONS", _) => way.send(&message.reply(200, "OK", "t", &[], "")),
            ("REGISTER", _) => Self::register(&message, &manners, way),
            ("INVITE", None) => self.invite(message, &manners, way),
            (_, Some(call)) => drop(call.send(message)),
            ("ACK", None) => {}
            (_, None) => way.send(&message.reply(481, "Call/Transaction Does Not Exist", "t", &[], "")),
        }
    }

    /// Whether the password was given, as far as it can be seen without computing it; asks for it or refuses.
    fn admits(message: &Message, manners: &Manners, way: &Way) -> bool {
        let Some(user) = &manners.challenges else { return true };
        let given = message.header("authorization");
        if !given.contains(&format!("username=\"{user}\""))
            || !given.contains("nonce=\"n0nce\"")
            || !given.contains("response=\"")
        {
            let wanted = r#"Digest realm="peer", nonce="n0nce", algorithm=MD5, qop="auth""#;
            way.send(&message.reply(401, "Unauthorized", "t", &[("WWW-Authenticate", wanted)], ""));
            return false;
        }
        if manners.forbids {
            way.send(&message.reply(403, "Forbidden", "t", &[], ""));
        }
        !manners.forbids
    }

    fn register(message: &Message, manners: &Manners, way: &Way) {
        if Self::admits(message, manners, way) {
            let contact = format!("{};expires={}", message.header("contact"), manners.expires);
            way.send(&message.reply(200, "OK", "t", &[("Contact", &contact)], ""));
        }
    }

    fn invite(self: &Arc<Self>, message: Message, manners: &Manners, way: &Way) {
        if !Self::admits(&message, manners, way) {
            return;
        }
        let user =
            message.first.split(' ').nth(1).and_then(|uri| uri.strip_prefix("sip:")?.split('@').next()).unwrap_or_default();
        let user = user.replace("%23", "#");
        let Some(acts) = manners.callees.get(&user).or_else(|| manners.callees.get("*")).cloned() else {
            way.send(&message.reply(404, "Not Found", "t", &[], ""));
            return;
        };
        let call_id = message.header("call-id").to_owned();
        let (sender, inbox) = mpsc::channel();
        lock(&self.calls).insert(call_id.clone(), sender);
        {
            let mut log = lock(&self.log);
            log.calls.push((call_id.clone(), user));
            log.descriptions.push(message.body.clone());
        }
        let (shared, way, manners) = (Arc::clone(self), way.clone(), manners.clone());
        thread::spawn(move || {
            if let Ok(mut leg) = Leg::new(&shared, message, way, inbox, &manners) {
                leg.run(acts);
            }
            // Answers to what is repeated come from here for a while.
            thread::sleep(Duration::from_millis(500));
            lock(&shared.calls).remove(&call_id);
        });
    }
}

/// One call as the callee has it.
struct Leg {
    shared: Arc<Shared>,
    invite: Message,
    way: Way,
    inbox: mpsc::Receiver<Message>,
    rtp: UdpSocket,
    /// Where the other side wants sound.
    target: Option<SocketAddr>,
    law: Law,
    no_events: bool,
    crosses: bool,
    muted: bool,
    sender: Sender,
    tag: String,
    call_id: String,
    sequence: u32,
    final_reply: Option<String>,
    answered: bool,
    /// It sends sound: from the answer on, or before where it has said where to.
    sounds: bool,
    over: bool,
    /// Frames to send before silence.
    to_say: Vec<Vec<i16>>,
    /// Telephone event packets to send, in place of sound.
    events: Vec<TelephoneEvent>,
    event_stamp: u32,
    ticks: u32,
    loud: usize,
    pending: Option<String>,
    began: Instant,
    /// We call, and are not called.
    calls: bool,
    /// The last response to our call.
    response: Option<Message>,
    heard_keys: KeyReader,
}

impl Leg {
    fn new(
        shared: &Arc<Shared>,
        invite: Message,
        way: Way,
        inbox: mpsc::Receiver<Message>,
        manners: &Manners,
    ) -> io::Result<Self> {
        let rtp = UdpSocket::bind((shared.ip, 0))?;
        Self::of(shared, invite, way, inbox, rtp, manners)
    }

    fn of(
        shared: &Arc<Shared>,
        invite: Message,
        way: Way,
        inbox: mpsc::Receiver<Message>,
        rtp: UdpSocket,
        manners: &Manners,
    ) -> io::Result<Self> {
        rtp.set_read_timeout(Some(Duration::from_millis(1)))?;
        let target = sdp::read(&invite.body).ok().map(|media| media.address);
        let call_id = invite.header("call-id").to_owned();
        Ok(Self {
            shared: Arc::clone(shared),
            way,
            inbox,
            rtp,
            target,
            law: Law::Pcma,
            no_events: manners.no_events,
            crosses: manners.crosses,
            muted: false,
            sender: Sender::new(0x0bad_cafe, 100, 0),
            tag: format!("peer{}", &call_id.get(..6).unwrap_or("x")),
            call_id,
            sequence: 1,
            final_reply: None,
            answered: false,
            sounds: false,
            over: false,
            to_say: Vec::new(),
            events: Vec::new(),
            event_stamp: 0,
            ticks: 0,
            loud: 0,
            pending: None,
            began: Instant::now(),
            calls: false,
            response: None,
            heard_keys: KeyReader::default(),
            invite,
        })
    }

    fn contact(&self) -> String {
        let port = *lock(&self.shared.port);
        let transport = if matches!(self.way, Way::Stream(_)) { ";transport=tcp" } else { "" };
        format!("<sip:callee@{}:{port}{transport}>", self.shared.ip)
    }

    fn description(&self, law: Law) -> String {
        let port = self.rtp.local_addr().map_or(0, |address| address.port());
        let text = sdp::write(SocketAddr::new(self.shared.ip, port), 1, Some(law), Some(96), Direction::Both);
        if self.no_events {
            let lines = text.lines().filter(|line| !line.contains("telephone-event") && !line.starts_with("a=fmtp"));
            return lines.map(|line| line.trim_end_matches(" 96").to_owned() + "\r\n").collect();
        }
        text
    }

    fn respond(&mut self, code: u16, phrase: &str, more: &[(&str, &str)], body: &str) {
        let contact = self.contact();
        let mut headers = vec![("Contact", contact.as_str())];
        headers.extend(more);
        let reply = self.invite.reply(code, phrase, &self.tag, &headers, body);
        self.way.send(&reply);
        if code >= 200 {
            self.final_reply = Some(reply);
        }
    }

    /// A request of our own within the call.
    fn request(&mut self, method: &str, content: Option<(&str, &str)>) {
        self.sequence += 1;
        // In a call of our own the other side is whoever answered it.
        let other = self.response.as_ref().filter(|_| self.calls).unwrap_or(&self.invite);
        let target = contact_of(other);
        let (to, from) = if self.calls {
            let own = self.invite.header("from");
            (other.header("to"), own.split(";tag=").next().unwrap_or(own))
        } else {
            (self.invite.header("from"), self.invite.header("to"))
        };
        let port = *lock(&self.shared.port);
        let transport = if matches!(self.way, Way::Stream(_)) { "TCP" } else { "UDP" };
        let content_type = content.map_or(String::new(), |(kind, _)| format!("Content-Type: {kind}\r\n"));
        let body = content.map_or("", |(_, body)| body);
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} {}:{port};branch=z9hG4bKp{}{};rport\r\nMax-Forwards: 70\r\nFrom: {from};tag={}\r\nTo: {to}\r\n\
             Call-ID: {}\r\nCSeq: {} {method}\r\nContact: {}\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
            self.shared.ip,
            self.sequence,
            self.tag,
            self.tag,
            self.call_id,
            self.sequence,
            self.contact(),
            body.len()
        );
        self.way.send(&text);
        self.pending = Some(text);
    }

    /// A call of our own.
    fn place(&mut self, acts: Vec<Act>) {
        // Repeated until something comes back.
        for _ in 0..20 {
            self.way.send(&self.invite.text.clone());
            self.until(500, |leg| leg.response.is_some() || leg.over);
            if self.response.is_some() || self.over {
                break;
            }
        }
        if acts.first() == Some(&Act::Cancel) {
            self.until(60_000, |leg| leg.over || leg.response.as_ref().is_some_and(|response| response.code() == Some(180)));
            // Under the name of the request that it takes back.
            let text = self.invite.text.split("\r\nContent-Type").next().unwrap_or_default().replace("INVITE", "CANCEL");
            self.way.send(&format!("{text}\r\nContent-Length: 0\r\n\r\n"));
            self.until(60_000, |leg| leg.over);
            return;
        }
        self.until(60_000, |leg| leg.answered || leg.over);
        self.run(acts);
    }

    /// A response to our own call.
    fn answered_with(&mut self, message: &Message, code: u16) {
        lock(&self.shared.log).answers.entry(self.call_id.clone()).or_default().push(message.text.clone());
        if code < 200 {
            self.response = Some(message.clone());
            return;
        }
        self.response = Some(message.clone());
        if code < 300 {
            self.acknowledge_with(None);
            if !self.answered
                && let Ok(media) = sdp::read(&message.body)
            {
                (self.target, self.law) = (Some(media.address), media.law);
                (self.answered, self.sounds, self.began) = (true, true, Instant::now());
            }
        } else {
            // Under the branch of the call itself.
            let branch =
                self.invite.header("via").split("branch=").nth(1).and_then(|rest| rest.split(';').next()).map(str::to_owned);
            self.acknowledge_with(branch);
            self.over = true;
        }
    }

    fn acknowledge_with(&mut self, branch: Option<String>) {
        let other = self.response.as_ref().unwrap_or(&self.invite);
        let target = if branch.is_some() { contact_of_request(&self.invite) } else { contact_of(other) };
        let branch = branch.unwrap_or_else(|| format!("z9hG4bKa{}", self.call_id));
        let text = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {}:{};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
            self.shared.ip,
            *lock(&self.shared.port),
            self.invite.header("from"),
            other.header("to"),
            self.call_id
        );
        self.way.send(&text);
    }

    fn run(&mut self, acts: Vec<Act>) {
        for act in acts {
            if self.over {
                return;
            }
            self.perform(act);
        }
        // A call that was answered stays until somebody ends it.
        self.until(60_000, |leg| leg.over);
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Ring(code) => self.respond(code, "Ringing", &[], ""),
            Act::Early(code) => {
                let description = self.description(self.law);
                self.respond(code, "Session Progress", &[], &description);
                (self.sounds, self.began) = (true, Instant::now());
            }
            Act::Wait(milliseconds) => self.until(milliseconds, |leg| leg.over),
            Act::Hear(frames) => {
                let before = self.loud;
                self.until(60_000, |leg| leg.over || leg.loud >= before + frames);
            }
            Act::Released => self.until(120_000, |leg| leg.over || leg.shared.released.swap(false, Ordering::Relaxed)),
            Act::Stay => self.until(120_000, |leg| leg.over),
            Act::Refuse(code, phrase, headers) => {
                self.respond(code, phrase, headers, "");
                self.until(5000, |leg| leg.over);
            }
            Act::Answer(law) => {
                self.law = law;
                let description = self.description(law);
                self.answer(&description);
            }
            Act::AnswerWith(description) => self.answer(description),
            Act::Key(key) => {
                self.event_stamp = self.ticks.wrapping_mul(160).wrapping_add(7);
                self.events = TelephoneEvent::press(key, 120);
                self.until(5000, |leg| leg.over || leg.events.is_empty());
            }
            Act::Tones(key) => {
                let sound = tone::tones_of(key).map(|tones| tone::sine(&tones, 200, 6000.0)).unwrap_or_default();
                self.say(&sound);
            }
            Act::Whistle(frequency) => {
                while !self.over {
                    self.say(&tone::sine(&[f64::from(frequency)], 1000, 6000.0));
                }
            }
            Act::Note(frequency, milliseconds) => self.say(&tone::sine(&[f64::from(frequency)], milliseconds, 6000.0)),
            Act::Hum(milliseconds) => self.say(&tone::sine(&[150.0, 300.0, 450.0, 700.0], milliseconds, 3000.0)),
            Act::Info(key) => {
                let body = format!("Signal={key}\r\nDuration=160\r\n");
                self.request("INFO", Some(("application/dtmf-relay", &body)));
                self.until(5000, |leg| leg.over || leg.pending.is_none());
            }
            Act::Reinvite => {
                let description = self.description(self.law);
                self.request("INVITE", Some(("application/sdp", &description)));
                self.until(5000, |leg| leg.over || leg.pending.is_none());
            }
            Act::ReinviteBad => {
                let description = "v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n";
                self.request("INVITE", Some(("application/sdp", description)));
                self.until(5000, |leg| leg.over || leg.pending.is_none());
            }
            Act::Update => {
                self.request("UPDATE", None);
                self.until(5000, |leg| leg.over || leg.pending.is_none());
            }
            Act::Mute => self.muted = true,
            // Only before somebody has picked up.
            Act::Cancel => {}
            Act::HangUp => {
                self.request("BYE", None);
                self.until(5000, |leg| leg.pending.is_none());
                self.over = true;
            }
        }
    }

    fn answer(&mut self, description: &str) {
        self.respond(200, "OK", &[], description);
        // Repeated until the other side has it.
        for _ in 0..20 {
            self.until(500, |leg| leg.answered || leg.over);
            if self.answered || self.over {
                return;
            }
            if let Some(reply) = self.final_reply.clone() {
                self.way.send(&reply);
            }
        }
        self.over = true;
    }

    fn say(&mut self, sound: &[i16]) {
        self.to_say = sound.chunks(FRAME).rev().map(<[i16]>::to_vec).collect();
        self.until(30_000, |leg| leg.over || leg.to_say.is_empty());
    }

    /// Goes on with everything until `done`, or so many milliseconds are over.
    fn until(&mut self, milliseconds: u64, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_millis(milliseconds);
        while !done(self) && Instant::now() < end && !self.shared.over.load(Ordering::Relaxed) {
            while let Ok(message) = self.inbox.try_recv() {
                self.message(&message);
            }
            self.listen();
            while self.sounds && self.began.elapsed() >= Duration::from_millis(20) * self.ticks {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        let Some(target) = self.target.filter(|_| !self.muted) else { return };
        let datagram = if self.events.is_empty() {
            let frame = self.to_say.pop().unwrap_or_default();
            let mut payload: Vec<u8> = frame.iter().map(|sample| self.law.encode(*sample)).collect();
            payload.resize(FRAME, self.law.encode(0));
            self.sender.frame(self.law.payload_type(), &payload)
        } else {
            let event = self.events.remove(0).to_bytes();
            let mut datagram = self.sender.frame(96, &event);
            datagram[4..8].copy_from_slice(&self.event_stamp.to_be_bytes());
            datagram
        };
        let _ = self.rtp.send_to(&datagram, target);
    }

    fn listen(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = self.rtp.recv_from(&mut buffer) {
            let Some(packet) = Packet::read(&buffer[..length]) else { continue };
            if packet.payload_type == 96 {
                let at = self.began.elapsed();
                if let Some(key) = self.heard_keys.event(at, packet.stamp, packet.payload) {
                    lock(&self.shared.log).keys.entry(self.call_id.clone()).or_default().push(key);
                }
                continue;
            }
            let Some(law) = Law::of_payload_type(packet.payload_type) else { continue };
            self.target = Some(from);
            let sound: Vec<i16> = packet.payload.iter().map(|code| law.decode(*code)).collect();
            if sound.iter().any(|sample| sample.abs() > 300) {
                self.loud += 1;
            }
            let mut log = lock(&self.shared.log);
            let sequences = log.sequences.entry(self.call_id.clone()).or_default();
            // What a busy machine lost stays silent, so that the rest is where it belongs.
            let lost = sequences.last().map_or(0, |last| packet.sequence.wrapping_sub(*last).wrapping_sub(1));
            sequences.push(packet.sequence);
            log.stamps.entry(self.call_id.clone()).or_default().push(packet.stamp);
            let heard = log.heard.entry(self.call_id.clone()).or_default();
            if lost < 500 {
                heard.resize(heard.len() + usize::from(lost) * FRAME, 0);
            }
            heard.extend(sound);
        }
    }

    fn message(&mut self, message: &Message) {
        if let Some(code) = message.code() {
            if self.calls && message.header("cseq") == "1 INVITE" {
                return self.answered_with(message, code);
            }
            if code >= 200 && self.pending.take().is_some() {
                let method = message.header("cseq").split(' ').nth(1).unwrap_or_default().to_owned();
                let mut log = lock(&self.shared.log);
                if !message.body.is_empty() {
                    log.descriptions.push(message.body.clone());
                }
                log.replies.push((method.clone(), code));
                drop(log);
                if method == "INVITE" {
                    self.acknowledge();
                }
            }
            return;
        }
        match message.method() {
            "ACK" => {
                if self.final_reply.as_deref().is_some_and(|reply| reply.starts_with("SIP/2.0 200")) {
                    if !self.sounds {
                        self.began = Instant::now();
                    }
                    (self.answered, self.sounds) = (true, true);
                } else {
                    self.over = true;
                }
            }
            "CANCEL" => {
                self.way.send(&message.reply(200, "OK", &self.tag, &[], ""));
                if self.final_reply.is_none() && self.crosses {
                    let description = self.description(self.law);
                    self.respond(200, "OK", &[], &description);
                } else if self.final_reply.is_none() {
                    self.respond(487, "Request Terminated", &[], "");
                }
            }
            "BYE" => {
                self.way.send(&message.reply(200, "OK", "", &[], ""));
                self.over = true;
            }
            "INVITE" => {
                if let Some(reply) = self.final_reply.clone() {
                    self.way.send(&reply);
                }
            }
            _ => self.way.send(&message.reply(200, "OK", "", &[], "")),
        }
    }

    fn acknowledge(&mut self) {
        let before = (self.sequence, self.pending.take());
        self.sequence -= 1;
        self.request("ACK", None);
        (self.sequence, self.pending) = before;
    }
}
