//! One hand-out from lease to report: dials its numbers one after the other, tells the server what happens, and never dials what it has not
//! written down.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    call::{Control, Made, News, Order, SOUND_WITHIN, drain, lines, make, new_call_id},
    config::Settings,
    live::{Line, Live},
    recordings::Recordings,
    server::{Server, ServerError},
    signal::trunk::Trunk,
    sound::{
        Pcm,
        clips::{ClipError, Clips},
        speech::{Speaker, language_of},
    },
};
use crate::{
    driver::scribe::Scribe,
    live::LiveWord,
    native::{JournalEntry, restart::report},
    voice::{
        phrases,
        script::{MachineRule, Script},
        text,
    },
    wire::{CallOutcome, Cause, FailureDetail, NativeCall, NativeOffer, NativeReport, Progress, ProgressState, Recording},
};

/// How often the last progress is told again while a call runs: the answer says whether it is still wanted.
const REPEAT_EVERY: Duration = Duration::from_secs(15);

/// Pauses between two tries to tell a key, and to report.
const KEY_AGAIN: Duration = Duration::from_millis(500);
const REPORT_AGAIN: Duration = Duration::from_secs(3);
const REPORT_AGAIN_MOST: Duration = Duration::from_secs(30);

/// So often at most is an event told that the server answers with an error.
const EVENT_TRIES: u32 = 10;

/// How long the report waits for what is told before it.
const LAST_STATES: Duration = Duration::from_secs(5);

/// How long the dial of a call that stays waits for what the server says to it: until then it can be called off, and rings nobody.
const LAST_LOOK: Duration = Duration::from_millis(300);

/// A call must be over so long before the server gives its dial to somebody else.
const BEFORE_DEADLINE: Duration = Duration::from_secs(15);

/// The shortest call, however near the deadline is.
const SHORTEST: u64 = 20;

/// No trunk asks for more patience than this.
const MOST_PATIENCE: u64 = 600;
/// All recordings of a call are here within this, or nobody is dialled; and for the least they are waited for in any case.
const CLIPS_WITHIN: Duration = Duration::from_mins(1);
const CLIPS_LEAST: Duration = Duration::from_secs(5);

/// What all channels share.
#[derive(Clone)]
pub struct Bench {
    /// The configuration.
    pub agent: Arc<Settings>,
    /// Where to report.
    pub server: Server,
    /// What was done.
    pub scribe: Scribe,
    /// Texts become sound.
    pub speaker: Speaker,
    /// Recordings that are played.
    pub clips: Clips,
    /// What callees said.
    pub recordings: Recordings,
    /// What is wanted of running calls.
    pub live: Live,
    /// Where calls go.
    pub trunk: Trunk,
    /// For people; no numbers.
    pub tell: Arc<dyn Fn(&str) + Send + Sync>,
    /// Nothing is asked for before this.
    pub rest_until: Arc<Mutex<Option<Instant>>>,
    /// Of the program's start, by the wall clock, for `started_at`.
    pub began: (Instant, u64),
}

/// The first digits of a mid: all that may stand in a log, because a whole one authorises.
#[must_use]
pub fn short(mid: &str) -> &str {
    mid.get(..8).unwrap_or(mid)
}

/// Tells one hand-out's progress.
pub(super) struct Teller {
    bench: Bench,
    pub(super) line: Arc<Line>,
    language: String,
    seq: AtomicU64,
    /// The number of whose dial the server was told last.
    dialled: watch::Sender<String>,
}

impl Teller {
    pub(super) fn new(bench: &Bench, line: &Arc<Line>, language: &str) -> Arc<Self> {
        let dialled = watch::Sender::default();
        let (bench, line, language) = (bench.clone(), Arc::clone(line), language.to_owned());
        Arc::new(Self { bench, line, language, seq: AtomicU64::new(0), dialled })
    }

    /// Acts on what the server answered, if it did.
    async fn heed(&self, progress: &Progress) -> Result<(), ServerError> {
        // A test call has no dial that could be told of.
        if self.line.mid.is_empty() {
            return Ok(());
        }
        let reply = self.bench.server.progress(&self.line.mid, progress).await?;
        let ends = reply.unwanted && self.line.unwant();
        let Some(control) = self.line.control().filter(|_| ends || !reply.unwanted) else { return Ok(()) };
        let spoken = self.bench.live.last_words(&self.line, reply.say, Some(&self.language)).await;
        // The call may be over by now.
        let _ = match spoken {
            spoken if ends => control.send(Control::Drop(spoken)).await,
            Some((said, sound)) => control.send(Control::Say(said, sound)).await,
            None => Ok(()),
        };
        Ok(())
    }

    /// Tells an event until the server has it, and nothing else meanwhile: they are told in their order. Where the server answers, and will not
    /// have it, the report says what came of it.
    async fn event(&self, progress: &Progress) {
        let mut refused = 0;
        while let Err(why) = self.heed(progress).await {
            refused += u32::from(why.status().is_some());
            if matches!(why, ServerError::Status(400 | 404 | 410 | 413 | 422)) || refused >= EVENT_TRIES {
                return;
            }
            sleep(KEY_AGAIN).await;
        }
    }

    /// Tells states as they come; what is lost of how far the call is is told again with the next one, or after a while.
    pub(super) async fn states(self: Arc<Self>, mut told: mpsc::UnboundedReceiver<Progress>) {
        let mut last: Option<Progress> = None;
        loop {
            match timeout(REPEAT_EVERY, told.recv()).await {
                Ok(None) => return,
                Ok(Some(progress)) => {
                    if progress.event.is_some() {
                        self.event(&progress).await;
                    } else {
                        // The next one says it too.
                        let _ = self.heed(&progress).await;
                        if progress.state == Some(ProgressState::Dialling) {
                            self.dialled.send_replace(progress.number.clone());
                        }
                    }
                    let over = progress.state == Some(ProgressState::Ended);
                    last = (!over).then_some(Progress { event: None, value: None, seq: None, ..progress });
                }
                Err(_) => {
                    if let Some(progress) = &last {
                        let _ = self.heed(progress).await;
                    }
                }
            }
        }
    }

    /// Tells a key until the server has it.
    async fn key(self: Arc<Self>, progress: Progress) {
        while self.heed(&progress).await.is_err() {
            sleep(KEY_AGAIN).await;
        }
    }
}

impl Bench {
    pub(super) fn say(&self, line: &str) {
        (self.tell)(line);
    }

    pub(super) fn unix(&self) -> u64 {
        self.began.1 + self.began.0.elapsed().as_secs()
    }

    /// Writes down; a disk that does not take it is told, and the caller must not go on to what the entry announces.
    pub(super) async fn write(&self, entry: JournalEntry) -> bool {
        match self.scribe.write(entry).await {
            Ok(()) => true,
            Err(why) => {
                self.say(&format!("the journal cannot be written: {why}"));
                false
            }
        }
    }

    /// Carries out an offer, and reports it.
    pub async fn serve(&self, channel: u8, offer: NativeOffer) -> NativeReport {
        let leased = Instant::now();
        let mid = offer.mid.clone();
        self.say(&format!("channel {channel}: {} with {} number(s)", short(&mid), offer.phone.len()));
        if !self.write(JournalEntry::Leased { offer: offer.clone(), at_ms: self.unix() * 1000 }).await {
            // What cannot be written down is not dialled; another handset may.
            let nobody = report(&offer, Vec::new());
            self.deliver(&mid, &nobody).await;
            return nobody;
        }
        self.dial_all(channel, &offer, leased).await
    }

    /// Dials until somebody answers.
    async fn dial_all(&self, channel: u8, offer: &NativeOffer, leased: Instant) -> NativeReport {
        let entered = self.live.enter(&offer.mid, offer.live, false);
        let teller = Teller::new(self, &entered, offer.alarm.as_ref().map_or("", |alarm| alarm.language.as_str()));
        let (states, told) = mpsc::unbounded_channel();
        let mut telling = tokio::spawn(Arc::clone(&teller).states(told));
        let mut keys = JoinSet::new();
        let mut calls: Vec<NativeCall> = Vec::new();
        let mut lingering = None;
        for number in &offer.phone {
            let late = offer.deadline.is_some_and(|deadline| leased.elapsed() + BEFORE_DEADLINE > Duration::from_secs(deadline));
            if entered.is_unwanted() || (late && !calls.is_empty()) {
                break;
            }
            let Some((call, line)) = self.dial(channel, offer, number, leased, &teller, &states, &mut keys).await else { break };
            lingering = lingering.or(line);
            let answered = call.outcome == Some(CallOutcome::Answered);
            calls.push(call);
            if answered {
                break;
            }
        }
        // Called off before anybody was called.
        let dropped_by = entered.dropped_by();
        if dropped_by != 0 {
            self.live.tell(&entered, dropped_by, LiveWord::Ended, None);
        }
        drop(entered);
        let report = report(offer, calls);
        drop(states);
        self.conclude(&offer.mid, &report, &mut telling, &mut keys).await;
        if let Some(line) = lingering {
            // The library may still get an answer to the last INVITE; until then the line is busy.
            let _ = line.await;
        }
        report
    }

    /// Reports when the rest was told.
    pub(super) async fn conclude(
        &self,
        mid: &str,
        report: &NativeReport,
        telling: &mut tokio::task::JoinHandle<()>,
        keys: &mut JoinSet<()>,
    ) {
        // What happened is told before what came of it, if the server listens at all.
        let all = async {
            let _ = (&mut *telling).await;
            while keys.join_next().await.is_some() {}
        };
        let _ = timeout(LAST_STATES, all).await;
        self.deliver(mid, report).await;
        // The report says it all; whatever was not told yet need not be.
        keys.shutdown().await;
        telling.abort();
    }

    /// Calls a number to see whether that works, outside any alarm; `None` if the intent could not be written down.
    pub async fn test_call(&self, channel: u8, offer: &NativeOffer) -> Option<NativeCall> {
        let teller = Teller::new(self, &Arc::new(Line::new("", false, false, None)), "");
        let (states, _told) = mpsc::unbounded_channel();
        let mut keys = JoinSet::new();
        let number = offer.phone.first()?;
        let (call, line) = self.dial(channel, offer, number, Instant::now(), &teller, &states, &mut keys).await?;
        if let Some(line) = line {
            let _ = line.await;
        }
        Some(call)
    }

    /// Reports until the server has it.
    pub async fn deliver(&self, mid: &str, report: &NativeReport) {
        let mut pause = REPORT_AGAIN;
        loop {
            match self.server.report(mid, report).await {
                Ok(()) => break,
                Err(ServerError::Status(status @ (400 | 410 | 413 | 422))) => {
                    // What it will never take must not keep the channel from the next alarm.
                    self.say(&format!("the report of {} is refused with {status}, and not sent again", short(mid)));
                    break;
                }
                Err(why) => self.say(&format!("the report of {} waits: {why}", short(mid))),
            }
            sleep(pause).await;
            pause = (pause * 2).min(REPORT_AGAIN_MOST);
        }
        self.write(JournalEntry::Reported { mid: mid.to_owned() }).await;
        self.recordings.reported();
    }

    /// Dials one number; `None` if the intent could not be written down, or the dial is not wanted any more.
    #[expect(clippy::too_many_arguments, reason = "what one hand-out holds, and one number of it")]
    async fn dial(
        &self,
        channel: u8,
        offer: &NativeOffer,
        number: &str,
        leased: Instant,
        teller: &Arc<Teller>,
        states: &mpsc::UnboundedSender<Progress>,
        keys: &mut JoinSet<()>,
    ) -> Option<(NativeCall, Option<tokio::task::JoinHandle<()>>)> {
        let left =
            offer.deadline.map(|deadline| Duration::from_secs(deadline).saturating_sub(leased.elapsed() + BEFORE_DEADLINE));
        let offered = offer.calls.iter().find(|call| call.number == number);
        let ring = offered.and_then(|call| call.ring_seconds).unwrap_or(self.agent.call.ring_seconds);
        let script = match offered.and_then(|call| call.script.clone()) {
            Some(script) => script,
            None => self.usual_script(offer, left.map(|left| left.saturating_sub(Duration::from_secs(ring)))),
        };
        let stays = script.stay;
        // Everything is ready to be said before anybody's phone rings.
        let (mut sounds, missing) = self.speaker.sounds(&script).await;
        for why in missing {
            self.say(&format!("channel {channel}: not spoken: {why}"));
        }
        let failed = |detail, words: String| {
            let cause = Cause { text: Some(words), ..Cause::default() };
            let call = NativeCall { number: number.to_owned(), outcome: Some(CallOutcome::Failed), ..NativeCall::default() };
            NativeCall { detail: Some(detail), cause: Some(cause), ..call }
        };
        let mid = || offer.mid.clone();
        // Tones stand for a text that cannot be spoken, but nobody knows what a recording would have said.
        // However near the deadline is, those that are kept have time to be read.
        let until_then = left.map_or(CLIPS_WITHIN, |left| left.saturating_sub(Duration::from_secs(ring)));
        let fetched = timeout(until_then.clamp(CLIPS_LEAST, CLIPS_WITHIN), self.clips.of(&script)).await;
        match fetched.unwrap_or(Err(ClipError::Late)) {
            Ok(clips) => sounds.ready.extend(clips),
            Err(why) => {
                self.say(&format!("channel {channel}: {why}"));
                let call = failed(FailureDetail::Media, why.to_string());
                self.write(JournalEntry::Ended { mid: mid(), call: call.clone() }).await;
                return Some((call, None));
            }
        }
        let address = match self.agent.sip.dialling().address(number) {
            Ok(address) => address,
            Err(why) => {
                let call = failed(FailureDetail::BadNumber, why.to_string());
                self.write(JournalEntry::Ended { mid: mid(), call: call.clone() }).await;
                return Some((call, None));
            }
        };
        let state = self.trunk.state.borrow().clone();
        let (true, Some(stack)) = (state.ready, state.stack) else {
            let call = failed(if state.refused { FailureDetail::Auth } else { FailureDetail::Trunk }, state.words);
            self.write(JournalEntry::Ended { mid: mid(), call: call.clone() }).await;
            return Some((call, None));
        };
        let order = Order {
            address,
            call_id: new_call_id(),
            ring: Duration::from_secs(ring.clamp(if stays { 1 } else { 5 }, 300)),
            patience: Duration::from_secs(self.agent.sip.answer_within_seconds),
            sounds,
            ports: self.agent.sip.rtp.ports,
            symmetric: self.agent.sip.rtp.symmetric,
            silence: SOUND_WITHIN,
            outcomes: self.agent.sip.outcomes(),
            script,
        };
        let (news, mut told, control, mut controlled) = lines();
        teller.line.begin(number, control);
        let tell = |state| drop(states.send(Progress { number: number.to_owned(), state: Some(state), ..Progress::default() }));
        if order.script.stay {
            tell(ProgressState::Dialling);
            // A test call is told to nobody.
            let mut dialled = teller.dialled.subscribe();
            let heard = dialled.wait_for(|told| told == number);
            let _ = timeout(LAST_LOOK, heard).await;
        }
        if teller.line.is_unwanted() {
            teller.line.over();
            return None;
        }
        let started_at = self.unix();
        let call = Some(order.call_id.clone());
        let intent = JournalEntry::Dialling { mid: mid(), number: number.to_owned(), at_ms: started_at * 1000, call };
        if !self.write(intent).await {
            teller.line.over();
            return None;
        }
        if teller.line.is_unwanted() {
            // It was called off while that was written down.
            teller.line.over();
            let call = NativeCall { number: number.to_owned(), outcome: Some(CallOutcome::NotDialled), ..NativeCall::default() };
            self.write(JournalEntry::Ended { mid: mid(), call: call.clone() }).await;
            return Some((call, None));
        }
        if !order.script.stay {
            tell(ProgressState::Dialling);
        }
        let mut kept = Vec::new();
        let follow = async {
            while let Some(news) = told.recv().await {
                self.follow(news, number, teller, states, keys, &mut kept).await;
            }
        };
        let made = async {
            let made = make(&stack, &order, &news, &mut controlled).await;
            drain(&news, &mut controlled).await;
            drop(news);
            made
        };
        let (made, ()) = tokio::join!(made, follow);
        self.learn(channel, &made);
        let call = self.over(teller, (number, started_at), &order.script, &made, kept).await;
        tell(ProgressState::Ended);
        Some((call, made.lingering))
    }

    /// The call is over: what it came to is written down, and told to whoever follows it.
    pub(super) async fn over(
        &self,
        teller: &Teller,
        (number, started_at): (&str, u64),
        script: &Script,
        made: &Made,
        kept: Vec<Recording>,
    ) -> NativeCall {
        let mid = &teller.line.mid;
        teller.line.over();
        self.live.ended(&teller.line, made.ended_by.as_str());
        let asked = !script.keys.is_empty() || !script.menu.is_empty();
        let mut call = told_call(number, started_at, asked, made);
        call.recordings = kept;
        self.write(JournalEntry::Ended { mid: mid.clone(), call: call.clone() }).await;
        call
    }

    async fn keep(&self, mid: &str, samples: Pcm) -> Option<Recording> {
        let kept = self.recordings.keep(mid, samples).await;
        kept.inspect_err(|why| self.say(&format!("a recording of {} is lost: {why}", short(mid)))).ok()
    }

    /// Passes on what happens in a call. What would be lost by a crash is written down first.
    pub(super) async fn follow(
        &self,
        news: News,
        number: &str,
        teller: &Arc<Teller>,
        states: &mpsc::UnboundedSender<Progress>,
        keys: &mut JoinSet<()>,
        kept: &mut Vec<Recording>,
    ) {
        let (line, mid) = (&teller.line, teller.line.mid.as_str());
        let progress = |state| Progress { number: number.to_owned(), state: Some(state), ..Progress::default() };
        let seq = || Some(teller.seq.fetch_add(1, Ordering::SeqCst) + 1);
        match news {
            News::Alerting => drop(states.send(progress(ProgressState::Alerting))),
            News::Connected => {
                line.connect();
                self.write(JournalEntry::Connected { mid: mid.to_owned(), number: number.to_owned() }).await;
                drop(states.send(progress(ProgressState::Connected)));
            }
            News::State(name) => {
                let event = Some("state".to_owned());
                drop(states.send(Progress { event, value: Some(name), seq: seq(), ..progress(ProgressState::Connected) }));
            }
            News::Live { ack, word, value } => self.live.tell(line, ack, word, value),
            // A test call has no report that would name it.
            News::Recorded { .. } if mid.is_empty() => {}
            News::Recorded { ack, samples } => {
                // On disk before anybody hears of it, and named before what the callee does next: a crash loses no message that was confirmed.
                let recording = self.keep(mid, samples).await;
                let id = recording.as_ref().map(|recording| recording.id.clone());
                kept.extend(recording);
                match (ack, id) {
                    (Some(ack), Some(id)) => {
                        self.live.tell(line, ack, LiveWord::Recording, Some(id));
                        self.upload_when_told();
                    }
                    (Some(ack), None) => self.live.tell(line, ack, LiveWord::Error, Some("media".to_owned())),
                    (None, Some(id)) => {
                        let event = Some("recording".to_owned());
                        drop(states.send(Progress { event, value: Some(id), seq: seq(), ..progress(ProgressState::Connected) }));
                    }
                    (None, None) => {}
                }
            }
            News::Key { key, ack, action } => {
                let entry = JournalEntry::Key { mid: mid.to_owned(), number: number.to_owned(), key, action: action.clone() };
                self.write(entry).await;
                self.live.tell(line, ack, LiveWord::Key, Some(key.to_string()));
                let event = Some("key".to_owned());
                let pressed =
                    Progress { event, key: Some(key.to_string()), action, seq: seq(), ..progress(ProgressState::Connected) };
                keys.spawn(Arc::clone(teller).key(pressed));
            }
        }
    }

    /// What a call says about the trunk.
    pub(super) fn learn(&self, channel: u8, made: &Made) {
        let outcome = made.judged.outcome.as_str();
        let code = made.ending.code.map(|code| format!(", {code} {}", made.ending.phrase)).unwrap_or_default();
        let action = made.conversation.action.as_deref().map(|action| format!(", {action}")).unwrap_or_default();
        self.say(&format!("channel {channel}: {outcome}{action}{code}"));
        if matches!(made.judged.detail, Some(FailureDetail::Trunk | FailureDetail::Auth)) {
            self.trunk.suspect();
        }
        if let Some(seconds) = made.ending.retry_after.filter(|_| made.ending.code == Some(503)) {
            let until = Instant::now() + Duration::from_secs(seconds.min(MOST_PATIENCE));
            *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
            self.say(&format!("the trunk wants to be left alone for {seconds} s"));
        }
    }

    /// What is said where the server sent no script: the alarm's text and the question.
    #[must_use]
    pub fn usual_script(&self, offer: &NativeOffer, left: Option<Duration>) -> Script {
        let rules = &self.agent.call;
        let alarm = offer.alarm.clone().unwrap_or_default();
        let said = if alarm.text.trim().is_empty() { alarm.summary } else { alarm.text };
        let said: String = text::clean(&said).chars().take(text::LONGEST - 150).collect();
        let named = Some(alarm.language).filter(|language| !language.trim().is_empty()).or_else(|| rules.language.clone());
        let language = language_of(named.as_deref(), &said);
        let phrases = phrases::of(&language);
        let key_of = |word: &str| rules.keys.iter().find(|(_, action)| *action == word).map(|(key, _)| key.as_str());
        let prompt = match (key_of("accept"), key_of("decline")) {
            (Some(accept), Some(decline)) => phrases.prompt.replace("{accept}", accept).replace("{decline}", decline),
            (Some(accept), None) => phrases.prompt_accept.replace("{accept}", accept),
            (None, _) => String::new(),
        };
        let stop = match said.chars().last() {
            None | Some('.' | '!' | '?' | '。' | '！' | '？') => "",
            Some(_) if matches!(phrases.language, "zh" | "ja") => "。",
            Some(_) => ".",
        };
        let longest = left.map_or(rules.max_seconds, |left| left.as_secs().clamp(SHORTEST, rules.max_seconds.max(SHORTEST)));
        Script {
            // Without an alarm it is a test.
            say: Some(if said.is_empty() { phrases.check.to_owned() } else { format!("{said}{stop} {prompt}") }),
            language: Some(language),
            repeat: Some(rules.repeat),
            pause_ms: Some(rules.pause_ms),
            keys: rules.keys.clone(),
            key_wait_seconds: Some(rules.key_wait_seconds),
            thanks: [("accept", phrases.accepted), ("decline", phrases.declined)]
                .map(|(w, t)| (w.to_owned(), t.to_owned()))
                .into(),
            invalid_key_say: Some(format!("{} {prompt}", phrases.invalid)),
            machine: rules.detect_machines.then(|| MachineRule {
                detect: Some(true),
                on_machine: Some("say_once".to_owned()),
                ..MachineRule::default()
            }),
            max_seconds: Some(longest),
            ..Script::default()
        }
    }
}

/// A call as the report tells it.
fn told_call(number: &str, started_at: u64, asked: bool, made: &Made) -> NativeCall {
    let talked = made.connected.map(|connected| made.ended.saturating_sub(connected));
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let conversation = &made.conversation;
    let answered = made.judged.outcome == CallOutcome::Answered;
    NativeCall {
        number: number.to_owned(),
        outcome: Some(made.judged.outcome),
        started_at: Some(started_at.to_string()),
        ring_seconds: Some(made.connected.unwrap_or(made.ended).as_secs()),
        talk_seconds: Some(talked.unwrap_or_default().as_secs()),
        confirmed: if answered && asked { conversation.confirmed() } else { None },
        declined: conversation.declined(),
        detail: made.judged.detail,
        keys: (!conversation.keys.is_empty()).then(|| conversation.keys.clone()),
        action: answered.then(|| conversation.action.clone().unwrap_or_else(|| "none".to_owned())),
        machine: conversation.machine,
        heard_ms: answered.then(|| ms(conversation.heard)),
        heard_times: answered.then_some(conversation.heard_times),
        cause: Some(Cause {
            sip: made.ending.code,
            q850: made.ending.q850,
            text: (!made.ending.phrase.is_empty()).then(|| made.ending.phrase.clone()),
        }),
        ended_by: Some(made.ended_by),
        alerting_ms: made.alerting.map(ms),
        connected_ms: made.connected.map(ms),
        ended_ms: Some(ms(made.ended)),
        recordings: Vec::new(),
    }
}
