//! One call, from the INVITE to its end: rings, speaks and listens by a script, and says what came of it.
//!
//! [`make`] calls, [`pick_up`] takes a call that comes in. What is wanted of it meanwhile comes by [`Control`].

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    signal::{
        outcome::{Ending, Judged, Seen, judge},
        sdp::{self, Direction, EVENT, Media},
        stack::{Call, Caller, Event, Stack},
    },
    sound::{Heard, Pcm, Sound, rtp::Sender, seat::Seat},
};
use crate::{
    live::LiveWord,
    voice::{
        conversation::{Command, Conversation, Input, LONGEST_WISH, MOST_RECORDINGS, Outcome, Wish},
        detector::Detector,
        room::By,
        script::{Script, Utterance},
    },
    wire::{CallOutcome, EndedBy, FailureDetail},
};

/// What is usual for [`Order::patience`].
pub const ANY_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the final answer to a call that was called off is waited for.
const CALLED_OFF_WITHIN: Duration = Duration::from_secs(5);

/// What is usual for [`Order::silence`].
pub const SOUND_WITHIN: Duration = Duration::from_secs(30);

/// Everything a call may have to say, ready to be played.
#[derive(Debug, Clone, Default)]
pub struct Sounds {
    /// By what they say.
    pub ready: BTreeMap<Utterance, Pcm>,
    /// Played for what is missing.
    pub instead: Option<Pcm>,
}

impl Sounds {
    fn of(&self, utterance: &Utterance) -> Option<Pcm> {
        self.ready.get(utterance).or(self.instead.as_ref()).cloned()
    }
}

/// What to call, and what for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The address, as [`super::signal::address`] writes it.
    pub address: String,
    /// Under which name the call goes through the network.
    pub call_id: String,
    /// How long it may ring.
    pub ring: Duration,
    /// Without any answer from the trunk for so long, it is dead; see [`ANY_ANSWER_WITHIN`].
    pub patience: Duration,
    /// What to say and ask.
    pub script: Script,
    /// The sounds of it.
    pub sounds: Sounds,
    /// Ports for sound; else any.
    pub ports: Option<(u16, u16)>,
    /// Whether sound is sent to where it comes from, also another host.
    pub symmetric: bool,
    /// A peer that sends no sound for so long is gone; see [`SOUND_WITHIN`].
    pub silence: Duration,
    /// What codes mean, where it is not the usual.
    pub outcomes: BTreeMap<u16, CallOutcome>,
}

/// What to tell the server while the call goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The callee's phone rings.
    Alerting,
    /// The line is connected.
    Connected,
    /// A key was pressed.
    Key {
        /// Which.
        key: char,
        /// The number of what was wanted and it has ended; else 0.
        ack: i64,
        /// Its word in the script.
        action: Option<String>,
    },
    /// A state of the menu was entered.
    State(String),
    /// What came of something that was wanted of it.
    Live {
        /// Under which number.
        ack: i64,
        /// What.
        word: LiveWord,
        /// More about it.
        value: Option<String>,
    },
    /// Something was recorded.
    Recorded {
        /// Under which number somebody wanted it; `None` where the script did.
        ack: Option<i64>,
        /// The callee's voice.
        samples: Pcm,
    },
}

/// What somebody wants of a running call.
#[derive(Debug)]
pub enum Control {
    /// It is not wanted any more.
    HangUp,
    /// Say this in place of thanks.
    Say(String, Pcm),
    /// It is not wanted any more; whoever picked up hears this sentence first.
    Drop(Option<(String, Pcm)>),
    /// What [`Wish`] says, under this number.
    Wish {
        /// What is told under it is [`News::Live`].
        number: i64,
        /// What.
        wish: Wish,
        /// What it plays, one after the other.
        sounds: Vec<Pcm>,
        /// The place in the room that it joins.
        seat: Option<Seat>,
    },
    /// Something for everybody in a room that it is in.
    Room {
        /// Under whose name and number.
        by: By,
        /// The room's name.
        room: String,
        /// What.
        order: RoomOrder,
    },
    /// Press these keys, under this number.
    Press(i64, String),
    /// Only while somebody calls us: pick up.
    Answer(i64),
    /// Only then: do not, with this status.
    Reject(i64, Option<u16>),
    /// Only then: send the caller to this number.
    Redirect(i64, String),
}

impl Control {
    /// The number under which it is told what came of it; `None` where nobody waits for that.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::HangUp | Self::Say(..) | Self::Drop(_) => None,
            Self::Room { by, .. } => Some(by.ack),
            Self::Wish { number, .. }
            | Self::Press(number, _)
            | Self::Answer(number)
            | Self::Reject(number, _)
            | Self::Redirect(number, _) => Some(*number),
        }
    }
}

/// What is wanted of a room.
#[derive(Debug, Clone)]
pub enum RoomOrder {
    /// Play this to all.
    Play {
        /// One after the other.
        sounds: Vec<Pcm>,
        /// Over and over.
        looped: bool,
    },
    /// Play nothing more.
    Stop,
    /// Record all, for so long at most.
    Record(Duration),
    /// Record them no longer.
    EndRecording,
}

/// Tells that something wanted cannot be, for this reason.
pub(super) fn cannot(news: &mpsc::UnboundedSender<News>, control: &Control, why: &str) {
    if let Some(ack) = control.number() {
        // Nobody listening is the channel's business.
        let _ = news.send(News::Live { ack, word: LiveWord::Error, value: Some(why.to_owned()) });
    }
}

/// The call is over: whatever was still wanted of it comes too late.
pub(super) async fn drain(news: &mpsc::UnboundedSender<News>, control: &mut mpsc::Receiver<Control>) {
    control.close();
    while let Some(wanted) = control.recv().await {
        cannot(news, &wanted, "too_late");
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Made {
    /// How it ended, and which kind of failure it was.
    pub judged: Judged,
    /// The network's words.
    pub ending: Ending,
    /// What was said by keys.
    pub conversation: Outcome,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// From the dial until it rang.
    pub alerting: Option<Duration>,
    /// From the dial until it was connected.
    pub connected: Option<Duration>,
    /// From the dial until the end.
    pub ended: Duration,
    /// Packets of sound that came.
    pub received: u64,
    /// The line is busy until this is over.
    pub lingering: Option<tokio::task::JoinHandle<()>>,
}

impl Made {
    fn nobody(judged: Judged, ending: Ending, ended: Duration) -> Self {
        Self {
            judged,
            ending,
            conversation: Outcome::default(),
            ended_by: EndedBy::Network,
            alerting: None,
            connected: None,
            ended,
            received: 0,
            lingering: None,
        }
    }

    /// Somebody called, and nobody picked up.
    #[must_use]
    pub fn missed(phrase: &str, ended_by: EndedBy, ended: Duration) -> Self {
        let judged = Judged { outcome: CallOutcome::NoAnswer, detail: None };
        let ending = Ending { phrase: phrase.to_owned(), ..Ending::default() };
        Self { ended_by, ..Self::nobody(judged, ending, ended) }
    }

    fn failed(detail: FailureDetail, phrase: String, ended: Duration) -> Self {
        let judged = Judged { outcome: CallOutcome::Failed, detail: Some(detail) };
        Self::nobody(judged, Ending { phrase, ..Ending::default() }, ended)
    }
}

/// A socket for sound on an even port.
async fn sound_socket(stack: &Stack, ports: Option<(u16, u16)>) -> std::io::Result<UdpSocket> {
    let Some((first, last)) = ports else { return UdpSocket::bind((stack.ip(), 0)).await };
    let count = (last - first) / 2 + 1;
    let start = rand::random_range(0..count);
    let mut failure = std::io::Error::other("no port");
    for n in 0..count {
        match UdpSocket::bind((stack.ip(), first + (start + n) % count * 2)).await {
            Ok(socket) => return Ok(socket),
            Err(why) => failure = why,
        }
    }
    Err(failure)
}

/// Makes the call. Ends soon after [`Control::HangUp`], and by itself.
pub async fn make(
    stack: &Stack,
    order: &Order,
    news: &mpsc::UnboundedSender<News>,
    control: &mut mpsc::Receiver<Control>,
) -> Made {
    let began = Instant::now();
    let socket = match sound_socket(stack, order.ports).await {
        Ok(socket) => socket,
        Err(why) => return Made::failed(FailureDetail::Media, format!("no port for sound: {why}"), began.elapsed()),
    };
    let own = match socket.local_addr() {
        Ok(own) => SocketAddr::new(stack.media_ip(), own.port()),
        Err(why) => return Made::failed(FailureDetail::Media, format!("no port for sound: {why}"), began.elapsed()),
    };
    let offer = sdp::write(own, 1, None, Some(EVENT), Direction::Both);
    let call = match stack.invite(&order.address, &order.call_id, offer) {
        Ok(call) => call,
        Err(why) => return Made::failed(FailureDetail::Trunk, why.to_string(), began.elapsed()),
    };
    let mut ringing = Ringing { call, seen: Seen::default(), alerting: None, cancelled_at: None, by_us: false };
    match ringing.wait(&socket, order, began, news, control).await {
        Rang::Answered(description) => {
            let connected = began.elapsed();
            let Ringing { mut call, alerting, .. } = ringing;
            let media = match sdp::read(&description) {
                Ok(media) => media,
                Err(why) => {
                    call.bye().await;
                    return Made { alerting, ..Made::failed(FailureDetail::Media, why.to_string(), began.elapsed()) };
                }
            };
            // Nobody listening is the channel's business.
            let _ = news.send(News::Connected);
            let talk = Talk::new(order, media, own, socket, Some(EVENT));
            let mut made = talk.run(call, news, control).await;
            made.alerting = alerting;
            made.connected = Some(connected);
            made.ended = began.elapsed();
            made
        }
        Rang::Over(ending) => {
            let judged = judge(&ending, ringing.seen, &order.outcomes);
            let mut made = Made::nobody(judged, ending, began.elapsed());
            made.alerting = ringing.alerting;
            made.ended_by = match judged.outcome {
                _ if ringing.by_us => EndedBy::Us,
                CallOutcome::Busy | CallOutcome::Rejected => EndedBy::Callee,
                _ => EndedBy::Network,
            };
            made
        }
        Rang::Deaf => {
            let ending = Ending { phrase: "no answer from the trunk".to_owned(), ..Ending::default() };
            let judged = judge(&ending, ringing.seen, &order.outcomes);
            let mut made = Made::nobody(judged, ending, began.elapsed());
            made.alerting = ringing.alerting;
            made.lingering = Some(ringing.call.linger());
            made
        }
    }
}

/// Picks up when somebody calls; `began` is when it began to ring. As [`make`] otherwise.
pub async fn pick_up(
    stack: &Stack,
    (caller, media, began): (Caller, Media, Instant),
    order: &Order,
    news: &mpsc::UnboundedSender<News>,
    control: &mut mpsc::Receiver<Control>,
) -> Made {
    let opened = async {
        let socket = sound_socket(stack, order.ports).await?;
        let port = socket.local_addr()?.port();
        Ok::<_, std::io::Error>((socket, SocketAddr::new(stack.media_ip(), port)))
    };
    let (socket, own) = match opened.await {
        Ok(opened) => opened,
        Err(why) => return Made::failed(FailureDetail::Media, format!("no port for sound: {why}"), began.elapsed()),
    };
    let answer = sdp::write(own, 1, Some(media.law), media.event, media.direction.mirrored());
    let Some(call) = caller.answer(answer).await else {
        return Made::missed("the caller gave up", EndedBy::Callee, began.elapsed());
    };
    let connected = began.elapsed();
    let _ = news.send(News::Connected);
    let talk = Talk::new(order, media, own, socket, media.event);
    let mut made = talk.run(call, news, control).await;
    made.connected = Some(connected);
    made.ended = began.elapsed();
    made
}

/// Nobody wanted it any more.
fn called_off() -> Ending {
    Ending { code: Some(487), phrase: "called off".to_owned(), ..Ending::default() }
}

enum Rang {
    Answered(String),
    Over(Ending),
    /// Called off, and nothing ever said that it is over.
    Deaf,
}

struct Ringing {
    call: Call,
    seen: Seen,
    alerting: Option<Duration>,
    cancelled_at: Option<Instant>,
    /// It was called off because it rang long enough, or was not wanted.
    by_us: bool,
}

impl Ringing {
    async fn wait(
        &mut self,
        socket: &UdpSocket,
        order: &Order,
        began: Instant,
        news: &mpsc::UnboundedSender<News>,
        control: &mut mpsc::Receiver<Control>,
    ) -> Rang {
        let mut buffer = [0; 2048];
        loop {
            let patience = match self.cancelled_at {
                Some(at) => at + CALLED_OFF_WITHIN,
                None if !self.seen.any => began + order.patience.min(order.ring),
                None => began + order.ring,
            };
            tokio::select! {
                event = self.call.next() => match event {
                    Event::Trying => self.seen.any = true,
                    Event::Alerting { .. } => {
                        self.seen.any = true;
                        self.seen.alerting = true;
                        if self.alerting.is_none() {
                            self.alerting = Some(began.elapsed());
                            let _ = news.send(News::Alerting);
                        }
                    }
                    Event::Answered { .. } if self.cancelled_at.is_some() => {
                        // It was picked up before it could be called off, and nobody is to be left in a call that nobody wants.
                        self.call.bye().await;
                        return Rang::Over(called_off());
                    }
                    Event::Answered { sdp } => return Rang::Answered(sdp),
                    Event::Refused(ending) => {
                        self.seen.any |= ending.code.is_some_and(|code| code != 408);
                        return Rang::Over(ending);
                    }
                    Event::CalledOff => return Rang::Over(called_off()),
                    Event::Changed { sdp: _, reply } => reply.refuse().await,
                    Event::Info(_) => {}
                    Event::Ended => return Rang::Over(Ending { phrase: "the call was lost".to_owned(), ..Ending::default() }),
                },
                () = sleep_until(patience) => {
                    if self.cancelled_at.is_some() {
                        return Rang::Deaf;
                    }
                    self.call_off(self.seen.any).await;
                    // Where nothing ever answered, nothing says that it is over either.
                    if !self.seen.any {
                        return Rang::Deaf;
                    }
                }
                Some(wanted) = control.recv() => match wanted {
                    Control::HangUp | Control::Drop(_) if self.cancelled_at.is_none() => self.call_off(true).await,
                    wanted => cannot(news, &wanted, "no_call"),
                },
                // What the network plays meanwhile is not for us; it must not wait in the socket until the answer.
                _ = socket.recv_from(&mut buffer) => {}
            }
        }
    }

    async fn call_off(&mut self, by_us: bool) {
        self.by_us |= by_us;
        self.seen.called_off = true;
        self.call.cancel().await;
        self.cancelled_at = Some(Instant::now());
    }
}

/// A call that was answered.
struct Talk<'a> {
    order: &'a Order,
    own: SocketAddr,
    socket: UdpSocket,
    sound: Sound,
    conversation: Conversation,
    answered: Instant,
    /// Sentences that came while the call runs.
    late: BTreeMap<Utterance, Pcm>,
    /// What came with a wish, and what is played of it again.
    brought: Vec<Pcm>,
    again: Vec<Pcm>,
    /// How much was recorded.
    recordings: usize,
    /// What the callee has recorded last by the script, to be played again.
    last: Option<Pcm>,
    /// The place in the room that is to be joined.
    seat: Option<Seat>,
    /// Under which number our descriptions speak of telephone events.
    event: Option<u8>,
    /// Our description's version, which rises when it changes.
    version: u32,
    /// Nothing is sent since then, because the callee holds the call.
    unheard_since: Option<Duration>,
    over: Option<EndedBy>,
}

impl<'a> Talk<'a> {
    fn new(order: &'a Order, media: Media, own: SocketAddr, socket: UdpSocket, event: Option<u8>) -> Self {
        let times = order.script.machine.as_ref().and_then(crate::voice::script::MachineRule::times);
        let sender = Sender::new(rand::random(), rand::random(), rand::random());
        Self {
            order,
            own,
            socket,
            sound: Sound::new(media, order.symmetric, sender, times.map(Detector::new)),
            conversation: Conversation::new(&order.script),
            answered: Instant::now(),
            late: BTreeMap::new(),
            brought: Vec::new(),
            again: Vec::new(),
            recordings: 0,
            last: None,
            seat: None,
            event,
            version: 1,
            unheard_since: None,
            over: None,
        }
    }

    async fn run(mut self, mut call: Call, news: &mpsc::UnboundedSender<News>, control: &mut mpsc::Receiver<Control>) -> Made {
        // Frames leave by absolute time: one that is late is followed by the next at once.
        let mut tick = interval(Duration::from_millis(crate::voice::FRAME_MS));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut buffer = [0; 2048];
        while self.over.is_none() {
            tokio::select! {
                _ = tick.tick() => self.tick(news).await,
                received = self.socket.recv_from(&mut buffer) => {
                    // An error is the echo of a packet that found nobody; whether the peer is gone, silence tells.
                    if let Ok((length, from)) = received {
                        let heard = self.sound.datagram(self.answered.elapsed(), &buffer[..length], from);
                        self.heard(heard, news);
                    }
                }
                event = call.next() => self.event(event, news).await,
                Some(wanted) = control.recv() => self.wanted(wanted, news),
            }
        }
        let ended_by = self.over.unwrap_or(EndedBy::Network);
        // A room does not wait for the peer's word about the end.
        let left = self.conversation.line_is_gone(self.answered.elapsed());
        self.obey(left, news);
        self.sound.sit(None);
        for ack in self.sound.unpressed() {
            let _ = news.send(News::Live { ack, word: LiveWord::Error, value: Some("too_late".to_owned()) });
        }
        self.end_recording(news);
        if ended_by != EndedBy::Callee {
            call.bye().await;
        }
        Made {
            judged: Judged { outcome: CallOutcome::Answered, detail: None },
            ending: Ending { code: Some(200), phrase: "OK".to_owned(), ..Ending::default() },
            conversation: self.conversation.outcome().clone(),
            ended_by,
            alerting: None,
            connected: None,
            ended: Duration::ZERO,
            received: self.sound.received(),
            lingering: None,
        }
    }

    fn wanted(&mut self, wanted: Control, news: &mpsc::UnboundedSender<News>) {
        match wanted {
            Control::HangUp => self.over = Some(EndedBy::Us),
            Control::Say(text, pcm) => {
                self.late.insert(Utterance::Text(text.clone()), pcm);
                self.input(Input::Told(text), news);
            }
            Control::Drop(sentence) => {
                let say = sentence.map(|(text, sound)| {
                    let say = Utterance::Text(text);
                    self.late.insert(say.clone(), sound);
                    say
                });
                self.input(Input::Wish(0, Wish::Drop(say)), news);
            }
            Control::Wish { number, wish, mut sounds, seat } => {
                match wish {
                    Wish::Play { .. } => self.brought = sounds,
                    _ => self.late.extend(sounds.pop().map(|beep| (Utterance::Beep, beep))),
                }
                if wish == Wish::Stop {
                    for ack in self.sound.stop_pressing() {
                        let _ = news.send(News::Live { ack, word: LiveWord::Stopped, value: None });
                    }
                }
                self.seat = seat;
                self.input(Input::Wish(number, wish), news);
            }
            Control::Room { by, room, order } => self.in_room(by, &room, order, news),
            Control::Press(number, keys) => self.sound.press(number, &keys),
            wanted @ (Control::Answer(_) | Control::Reject(..) | Control::Redirect(..)) => cannot(news, &wanted, "too_late"),
        }
        // Each is played once, and at once; a seat that was not taken is given up.
        self.late.clear();
        self.brought.clear();
        self.seat = None;
    }

    /// Does something for the whole room, if it is in that one.
    fn in_room(&mut self, by: By, room: &str, order: RoomOrder, news: &mpsc::UnboundedSender<News>) {
        let ack = by.ack;
        let tell = |word, value: Option<&str>| drop(news.send(News::Live { ack, word, value: value.map(str::to_owned) }));
        let Some(seat) = self.sound.seat_in(room) else { return tell(LiveWord::Error, Some("no_room")) };
        match order {
            RoomOrder::Play { sounds, looped } => seat.play(by, sounds, looped),
            RoomOrder::Record(_) if seat.records() || !self.conversation.may_record() => tell(LiveWord::Error, Some("busy")),
            RoomOrder::Record(longest) => {
                self.recordings += 1;
                let samples = longest.min(LONGEST_WISH).as_millis() * 8;
                seat.record(by, usize::try_from(samples).unwrap_or(usize::MAX));
            }
            RoomOrder::Stop => {
                seat.stop();
                tell(LiveWord::Stopped, None);
            }
            RoomOrder::EndRecording => {
                seat.end_recording();
                tell(LiveWord::Stopped, None);
            }
        }
    }

    async fn tick(&mut self, news: &mpsc::UnboundedSender<News>) {
        let now = self.answered.elapsed();
        let (datagram, heard) = self.sound.tick(now);
        match datagram {
            // A frame that cannot be sent is lost, as on any network.
            Some((datagram, to)) => {
                self.unheard_since = None;
                let _ = self.socket.send_to(&datagram, to).await;
            }
            // Whoever holds the call hears nothing of what is played.
            None => {
                let since = *self.unheard_since.get_or_insert(now);
                self.input(Input::Unheard(now.saturating_sub(since)), news);
            }
        }
        self.heard(heard, news);
        if self.conversation.wake().is_some_and(|at| at <= now) {
            self.input(Input::Tick, news);
        }
        if now.saturating_sub(self.sound.last_packet()) > self.order.silence {
            self.over = self.over.or(Some(EndedBy::Network));
        }
    }

    fn heard(&mut self, heard: impl IntoIterator<Item = Heard>, news: &mpsc::UnboundedSender<News>) {
        for heard in heard {
            let input = match heard {
                Heard::Key(key) => Input::Key(key),
                Heard::Verdict(verdict) => Input::Machine(verdict),
                Heard::Played => Input::Played,
                Heard::Quiet(quiet) => Input::Quiet(quiet),
                Heard::Pressed(ack) => {
                    let _ = news.send(News::Live { ack, word: LiveWord::Played, value: None });
                    continue;
                }
            };
            self.input(input, news);
        }
    }

    fn input(&mut self, input: Input, news: &mpsc::UnboundedSender<News>) {
        let commands = self.conversation.input(self.answered.elapsed(), input);
        self.obey(commands, news);
    }

    fn obey(&mut self, commands: Vec<Command>, news: &mpsc::UnboundedSender<News>) {
        for command in commands {
            match command {
                Command::Play(what) => {
                    let sounds = what.iter().filter_map(|one| self.late.get(one).cloned().or_else(|| self.order.sounds.of(one)));
                    let sounds: Vec<Pcm> = sounds.collect();
                    self.sound.play(sounds);
                }
                Command::Replay(instead) => {
                    let sound = self.last.clone().or_else(|| instead.and_then(|instead| self.order.sounds.of(&instead)));
                    self.sound.play(sound);
                }
                Command::PlayWished { again, .. } => {
                    let sounds = if self.brought.is_empty() { &mut self.again } else { &mut self.brought };
                    let sounds = std::mem::take(sounds);
                    if again {
                        self.again.clone_from(&sounds);
                    }
                    self.sound.play(sounds);
                }
                Command::Stop => {
                    self.sound.stop();
                    self.again.clear();
                }
                Command::Key { key, ack, action } => drop(news.send(News::Key { key, ack, action })),
                Command::State(name) => drop(news.send(News::State(name))),
                Command::Record => self.sound.record(),
                Command::EndRecording => self.end_recording(news),
                Command::KeepRecording(ack) => {
                    let told = match self.recorded() {
                        Some(samples) => News::Recorded { ack: Some(ack), samples },
                        None => News::Live { ack, word: LiveWord::Error, value: Some("too_late".to_owned()) },
                    };
                    drop(news.send(told));
                }
                Command::Enter { .. } => self.sound.sit(self.seat.take()),
                Command::Leave => self.sound.sit(None),
                Command::Tell { ack, word, value } => drop(news.send(News::Live { ack, word, value })),
                Command::HangUp => self.over = self.over.or(Some(EndedBy::Us)),
            }
        }
    }

    /// What was recorded just now, if it is anything; the server takes so many of a call.
    fn recorded(&mut self) -> Option<Pcm> {
        let samples = self.sound.end_recording().filter(|samples| !samples.is_empty())?;
        self.recordings += 1;
        (self.recordings <= MOST_RECORDINGS).then(|| pcm(samples))
    }

    fn end_recording(&mut self, news: &mpsc::UnboundedSender<News>) {
        if let Some(samples) = self.recorded() {
            self.last = Some(Arc::clone(&samples));
            drop(news.send(News::Recorded { ack: None, samples }));
        }
    }

    async fn event(&mut self, event: Event, news: &mpsc::UnboundedSender<News>) {
        match event {
            Event::Info(body) => {
                let heard = self.sound.info(self.answered.elapsed(), &body);
                self.heard(heard, news);
            }
            Event::Changed { sdp: None, reply } => reply.accept(self.description(Direction::Both)).await,
            Event::Changed { sdp: Some(theirs), reply } => match sdp::read(&theirs) {
                Ok(media) => {
                    self.sound.change(media);
                    self.version += 1;
                    reply.accept(self.description(media.direction.mirrored())).await;
                }
                // The call goes on as it was.
                Err(_) => reply.refuse().await,
            },
            Event::Ended => self.over = self.over.or(Some(EndedBy::Callee)),
            _ => {}
        }
    }

    fn description(&self, direction: Direction) -> String {
        sdp::write(self.own, self.version, Some(self.sound.law()), self.event, direction)
    }
}

/// A name for a call that nobody can guess.
#[must_use]
pub fn new_call_id() -> String {
    let random: u128 = rand::random();
    format!("{random:032x}")
}

/// What a channel and a check share: a pair for news and control.
#[must_use]
pub fn lines() -> (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>, mpsc::Sender<Control>, mpsc::Receiver<Control>) {
    let (news, told) = mpsc::unbounded_channel();
    let (control, controlled) = mpsc::channel(4);
    (news, told, control, controlled)
}

/// A sound of these samples.
#[must_use]
pub fn pcm(samples: Vec<i16>) -> Pcm {
    Arc::from(samples)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[tokio::test]
    async fn whatever_was_wanted_of_a_call_that_is_over_is_answered() {
        let (news, mut told, control, mut controlled) = lines();
        let wish = Control::Wish { number: 7, wish: Wish::Stop, sounds: Vec::new(), seat: None };
        for wanted in [wish, Control::Press(8, "1".to_owned()), Control::HangUp, Control::Answer(9)] {
            control.try_send(wanted).unwrap();
        }
        drain(&news, &mut controlled).await;
        drop(news);
        let mut answered = Vec::new();
        while let Some(one) = told.recv().await {
            answered.push(one);
        }
        let late = |ack| News::Live { ack, word: LiveWord::Error, value: Some("too_late".to_owned()) };
        assert_eq!(answered, [7, 8, 9].map(late));
        assert!(control.try_send(Control::HangUp).is_err(), "it takes no more");
    }
}
