//! The handset's own loop: one waiting poll for the lowest free channel, commands from the outbox, and how it is, once a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::{Id, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{
    channel::{Bench, short},
    config::Settings,
    live::Live,
    recordings::Recordings,
    server::{Server, ServerError, WAIT},
    signal::{
        stack::Caller,
        trunk::{Trunk, TrunkState},
    },
    sound::{
        clips::Clips,
        speech::{Speaker, usual_voices},
    },
};
use crate::{
    driver::scribe::Scribe,
    native::{
        JournalEntry,
        restart::{HandOut, Past},
    },
    wire::{
        AnswerDetection, Capability, CommandKind, LineState, NativeOffer, NativeReport, OfferedAlarm, OfferedCall, OutboxCommand,
        OutboxResult, PollReply, Status,
    },
};

/// How often it says how it is.
const STATUS_EVERY: Duration = Duration::from_mins(1);

/// After a request that failed, and after a poll that came back at once.
const PAUSE: Duration = Duration::from_secs(2);

/// It asks for alarms after so long also where its status was not taken.
const INTRODUCED_WITHIN: Duration = Duration::from_secs(3);

/// How long running calls may go on after it was told to stop.
const LAST_CALLS: Duration = Duration::from_mins(5);

/// How many callers may wait for somebody to look at them.
const MOST_CALLERS: usize = 64;

/// How long the last events of calls may take when the program ends.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// What is answered to a caller where every channel is in a call.
const BUSY: u16 = 486;

/// For how long a server is not asked for a channel that it does not know.
const REFUSED_CHANNEL: Duration = Duration::from_mins(10);

/// Who takes what is offered, and what was done.
struct Desk {
    bench: Bench,
    /// Mids that are being served.
    open: Mutex<Vec<String>>,
    /// What was done before this program began, and since then: what is offered again is reported again, never dialled again.
    past: Mutex<Past>,
    busy: AtomicBool,
    /// The lowest channel that the server does not know, and until when it is not asked for.
    refused: Mutex<Option<(u8, Instant)>>,
    /// The channels that the server has answered for: whether it knows others shows when they are asked for.
    proved: Mutex<BTreeSet<u8>>,
    /// The server has been told how many channels there are: it knows only the first one before that.
    introduced: AtomicBool,
    /// Since when it is there.
    began: Instant,
}

/// Runs the handset until `shutdown` completes and the calls that run then are over.
pub async fn run(
    settings: Settings,
    (scribe, past): (Scribe, Vec<JournalEntry>),
    client: reqwest::Client,
    shutdown: impl Future<Output = ()>,
    tell: impl Fn(&str) + Send + Sync + 'static,
) {
    let server = Server::new(client, &settings.server);
    let speaker = Speaker::new(&settings.speech, &settings.state_dir);
    let clips = Clips::new(server.clone(), &settings.state_dir);
    let recordings = Recordings::new(&settings.state_dir);
    let (door, mut callers) = mpsc::channel(MOST_CALLERS);
    let (trunk, keeping) = Trunk::keep_for(settings.sip.clone(), settings.sip.inbound.then_some(door));
    #[expect(clippy::disallowed_methods, reason = "the wall clock, for people to read in the report")]
    let now = std::time::SystemTime::now();
    let since_1970 = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let tell: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(tell);
    let unix_ms = i64::try_from(since_1970.as_millis()).unwrap_or_default();
    let (live, rooms) =
        Live::new(server.clone(), speaker.clone(), clips.clone(), Arc::clone(&tell), (unix_ms, &settings.state_dir));
    let bench = Bench {
        agent: Arc::new(settings),
        server,
        scribe,
        speaker,
        clips,
        recordings,
        live: live.clone(),
        trunk,
        tell,
        rest_until: Arc::default(),
        began: (Instant::now(), since_1970.as_secs()),
    };
    let past = Past::read(&past);
    let left: Vec<(String, NativeReport)> = past.open().map(|open| (open.offer.mid.clone(), open.report())).collect();
    let broken_off = past.broken_off();
    let desk = Arc::new(Desk {
        open: Mutex::new(left.iter().map(|(mid, _)| mid.clone()).collect()),
        past: Mutex::new(past),
        busy: AtomicBool::new(false),
        refused: Mutex::default(),
        proved: Mutex::default(),
        introduced: AtomicBool::new(false),
        began: Instant::now(),
        bench,
    });
    let mut work = JoinSet::new();
    for (mid, report) in left {
        (desk.bench.tell)(&format!("{} was open when the program ended: reported, not dialled again", short(&mid)));
        let desk = Arc::clone(&desk);
        // Before anything else is asked for, on a channel that no poll uses.
        work.spawn(async move {
            desk.bench.deliver(&mid, &report).await;
            desk.finish(&mid, report);
        });
    }
    for (id, result) in broken_off {
        let desk = Arc::clone(&desk);
        work.spawn(async move { desk.tell_result(&id, result).await });
    }
    // They end with this function, however that ends.
    let mut beside = JoinSet::new();
    beside.spawn(Arc::clone(&desk).say_how_it_is());
    let recordings = desk.bench.recordings.clone();
    beside.spawn(recordings.upload(desk.bench.server.clone(), Arc::clone(&desk.bench.tell)));
    beside.spawn(live.clone().keep());
    beside.spawn(live.clone().post());
    beside.spawn(desk.bench.clone().see_to_rooms(rooms));
    tokio::pin!(shutdown);
    desk.work(&mut work, &mut callers, shutdown.as_mut()).await;
    // From now on nobody is here for callers.
    drop(callers);
    (desk.bench.tell)("stopping: no more is asked for, running calls go on");
    let over = async { while work.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_CALLS, over).await;
    let _ = tokio::time::timeout(LAST_EVENTS, live.told()).await;
    keeping.abort();
}

/// Which of the free channels is asked for: the lowest, or, after one that brought nothing, the next.
fn next_of(in_vain: Option<u8>, free: impl Iterator<Item = u8> + Clone) -> Option<u8> {
    let behind = free.clone().find(|channel| in_vain.is_some_and(|asked| *channel > asked));
    behind.or_else(|| free.clone().next())
}

/// Channels whose work is over are free again.
fn give_back(work: &mut JoinSet<()>, holds: &mut BTreeMap<Id, u8>, free: &mut [bool]) {
    while let Some(done) = work.try_join_next_with_id() {
        // Also a task that broke off gives its channel back.
        let id = done.map_or_else(|why| why.id(), |(id, ())| id);
        if let Some(free) = holds.remove(&id).and_then(|channel| free.get_mut(usize::from(channel))) {
            *free = true;
        }
    }
}

impl Desk {
    fn past(&self) -> MutexGuard<'_, Past> {
        // Nothing in it is left half changed.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proved(&self) -> MutexGuard<'_, BTreeSet<u8>> {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel for somebody who calls: the highest that is free and that the server knows, so that the one that asks for alarms is taken last.
    fn for_caller(&self, free: &[bool]) -> Option<u8> {
        let proved = self.proved();
        let is_free = |channel: &u8| free.get(usize::from(*channel)).is_some_and(|free| *free);
        let known = |channel: &u8| *channel == 0 || proved.contains(channel);
        (0..self.bench.agent.channels).rev().find(|channel| is_free(channel) && known(channel))
    }

    /// The server has the report of a hand-out.
    fn finish(&self, mid: &str, report: NativeReport) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|open| open != mid);
        let mut past = self.past();
        // What was known before is not told twice when it is offered once more.
        if past.hand_out(mid).is_none() {
            let offer = NativeOffer { mid: mid.to_owned(), ..NativeOffer::default() };
            past.note(&JournalEntry::Leased { offer, at_ms: 0 });
            for call in report.calls {
                past.note(&JournalEntry::Ended { mid: mid.to_owned(), call });
            }
        }
        past.note(&JournalEntry::Reported { mid: mid.to_owned() });
    }

    /// Whether the server may be asked for this channel: one that it refused is left alone for a while.
    fn may_ask(&self, channel: u8) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        // What is offered, and whether a caller is let in, goes by what it can do: so that is told first, to a server that hears it.
        let waited = channel == 0 && self.began.elapsed() >= INTRODUCED_WITHIN;
        let known = waited || self.introduced.load(Ordering::Relaxed);
        known && refused.is_none_or(|(lowest, until)| channel < lowest || Instant::now() >= until)
    }

    /// Asks and serves until told to stop.
    async fn work(
        self: &Arc<Self>,
        work: &mut JoinSet<()>,
        callers: &mut mpsc::Receiver<Caller>,
        mut shutdown: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) {
        let mut free: Vec<bool> = vec![true; usize::from(self.bench.agent.channels)];
        let mut holds: BTreeMap<Id, u8> = BTreeMap::new();
        // Something may have been handed out on these whose answer never came here: to a program before this one, or by a broken line.
        let mut unsure: BTreeSet<u8> = (1..self.bench.agent.channels).collect();
        let mut at_leisure = false;
        // What brought nothing last: the server may let that channel rest, and the next one is asked then.
        let mut in_vain: Option<u8> = None;
        let mut warm = Some(tokio::spawn(Arc::clone(self).prepare()));
        loop {
            give_back(work, &mut holds, &mut free);
            self.busy.store(free.iter().any(|free| !free), Ordering::Relaxed);
            let is_free = |channel: &u8| free.get(usize::from(*channel)).is_some_and(|free| *free) && self.may_ask(*channel);
            let next = next_of(in_vain, (0..self.bench.agent.channels).filter(is_free));
            let looked_after = unsure.iter().copied().find(is_free).filter(|_| at_leisure);
            let asked = looked_after.or(next);
            let turn = async {
                match (looked_after, next) {
                    (Some(channel), _) => self.look_after(channel).await,
                    (None, Some(channel)) => self.ask(channel).await,
                    (None, None) => {
                        sleep(Duration::from_millis(200)).await;
                        Turn::Lost
                    }
                }
            };
            let turn = tokio::select! {
                () = &mut shutdown => {
                    if let Some(warm) = warm.take() {
                        warm.abort();
                    }
                    return;
                }
                turn = turn => turn,
                Some(caller) = callers.recv() => {
                    // The question that waited is put again; if something was handed out meanwhile, it is still open then.
                    unsure.extend(asked);
                    give_back(work, &mut holds, &mut free);
                    match self.for_caller(&free) {
                        Some(channel) => {
                            free[usize::from(channel)] = false;
                            holds.insert(self.admit(work, channel, caller), channel);
                        }
                        None => caller.refuse(BUSY),
                    }
                    continue;
                }
            };
            let Some(channel) = asked else { continue };
            match turn {
                // Whatever was wrong: the same is asked next.
                Turn::Lost => {
                    at_leisure = looked_after.is_none();
                    unsure.insert(channel);
                }
                Turn::Nothing => {
                    if looked_after.is_none() {
                        in_vain = Some(channel);
                    }
                    at_leisure = true;
                    unsure.remove(&channel);
                }
                Turn::Job(job) => {
                    in_vain = None;
                    unsure.remove(&channel);
                    free[usize::from(channel)] = false;
                    holds.insert(self.begin(work, channel, *job), channel);
                }
            }
        }
    }

    /// Asks without waiting whether something was handed out on a channel already.
    async fn look_after(self: &Arc<Self>, channel: u8) -> Turn {
        if !self.bench.trunk.state.borrow().ready {
            sleep(PAUSE).await;
            return Turn::Lost;
        }
        self.poll(channel, Duration::ZERO).await
    }

    async fn poll(&self, channel: u8, wait: Duration) -> Turn {
        let reply = self.bench.server.poll(channel, wait).await;
        match &reply {
            Ok(_) => drop(self.proved().insert(channel)),
            Err(ServerError::Status(400)) => drop(self.proved().remove(&channel)),
            Err(_) => {}
        }
        match reply {
            Ok(PollReply::Offer(offer)) => Turn::Job(Box::new(Job::Offer(offer))),
            Ok(_) => Turn::Nothing,
            Err(ServerError::Status(400)) if channel > 0 => {
                (self.bench.tell)(&format!(
                    "the server knows {channel} channel(s) of this handset: see `autocall handset set --channels`"
                ));
                let refused = (channel, Instant::now() + REFUSED_CHANNEL);
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                Turn::Nothing
            }
            Err(why) => {
                (self.bench.tell)(&why.to_string());
                sleep(PAUSE).await;
                Turn::Lost
            }
        }
    }

    /// One poll, and what the outbox holds when it brought nothing.
    async fn ask(self: &Arc<Self>, channel: u8) -> Turn {
        let mut state = self.bench.trunk.state.clone();
        // A handset that cannot call asks for nothing: the alarm goes to another one.
        if state.wait_for(|state| state.ready).await.is_err() {
            sleep(PAUSE).await;
            return Turn::Lost;
        }
        drop(state);
        let rest = *self.bench.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = rest.filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
        let asked = Instant::now();
        let turn = self.poll(channel, WAIT).await;
        if !matches!(turn, Turn::Nothing) || !self.may_ask(channel) {
            return turn;
        }
        if let Ok(outbox) = self.bench.server.outbox().await
            && let Some(command) = outbox.commands.into_iter().next()
        {
            return Turn::Job(Box::new(Job::Command(command)));
        }
        sleep_until(asked + PAUSE).await;
        Turn::Nothing
    }

    fn begin(self: &Arc<Self>, work: &mut JoinSet<()>, channel: u8, job: Job) -> Id {
        let desk = Arc::clone(self);
        let begun = match job {
            Job::Offer(offer) => {
                let known = self.past().hand_out(&offer.mid).map(HandOut::report);
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                if open.contains(&offer.mid) {
                    // Its report is on the way.
                    work.spawn(sleep(PAUSE))
                } else {
                    open.push(offer.mid.clone());
                    work.spawn(async move {
                        let report = match known {
                            Some(report) => {
                                desk.bench.deliver(&offer.mid, &report).await;
                                // Not asked as fast as it answers, if it offers this over and over.
                                sleep(PAUSE).await;
                                report
                            }
                            None => desk.bench.serve(channel, offer.clone()).await,
                        };
                        desk.finish(&offer.mid, report);
                    })
                }
            }
            Job::Command(command) => work.spawn(async move {
                // What was begun once is not done twice.
                let known = desk.past().result_of(&command.id);
                let result = match known {
                    Some(known) => known,
                    None => desk.carry_out(channel, &command).await,
                };
                desk.tell_result(&command.id, result).await;
            }),
        };
        begun.id()
    }

    /// Somebody calls, and has this channel to themselves.
    fn admit(self: &Arc<Self>, work: &mut JoinSet<()>, channel: u8, caller: Caller) -> Id {
        let desk = Arc::clone(self);
        let admitted = work.spawn(async move {
            let claim = |mid: &str| {
                let known = desk.past().hand_out(mid).is_some();
                let mut open = desk.open.lock().unwrap_or_else(PoisonError::into_inner);
                let new = !known && !open.iter().any(|open| open == mid);
                if new {
                    open.push(mid.to_owned());
                }
                new
            };
            if let Some((mid, report)) = desk.bench.take(channel, caller, claim).await {
                desk.finish(&mid, report);
            }
        });
        admitted.id()
    }

    /// Tells what came of a command until the server has it.
    async fn tell_result(&self, id: &str, result: OutboxResult) {
        while let Err(why) = self.bench.server.result(id, &result).await {
            if matches!(why, ServerError::Status(400 | 404 | 410 | 413 | 422)) {
                // What it will never take is not sent for ever.
                break;
            }
            (self.bench.tell)(&format!("a result waits: {why}"));
            sleep(PAUSE).await;
        }
        self.write(JournalEntry::Done { id: id.to_owned(), result }).await;
    }

    async fn write(&self, entry: JournalEntry) -> bool {
        self.past().note(&entry);
        match self.bench.scribe.write(entry).await {
            Ok(()) => true,
            Err(why) => {
                (self.bench.tell)(&format!("the journal cannot be written: {why}"));
                false
            }
        }
    }

    async fn carry_out(&self, channel: u8, command: &OutboxCommand) -> OutboxResult {
        let no = |why: &str| OutboxResult { ok: false, detail: Some(why.to_owned()), ..OutboxResult::default() };
        match &command.kind {
            CommandKind::Sms { .. } => no("a SIP handset sends no text messages"),
            CommandKind::Forward { .. } => no("a SIP handset has no SIM whose calls could be forwarded"),
            CommandKind::TestCall { number, ring_seconds } => {
                // It is in no hand-out, so it has its own place in the journal.
                if !self.write(JournalEntry::Begun { id: command.id.clone() }).await {
                    return no("the journal cannot be written");
                }
                let calls = vec![OfferedCall { number: number.clone(), ring_seconds: *ring_seconds, ..OfferedCall::default() }];
                let offer = NativeOffer { phone: vec![number.clone()], calls, ..NativeOffer::default() };
                match self.bench.test_call(channel, &offer).await {
                    Some(call) => OutboxResult { ok: true, call: Some(Box::new(call)), ..OutboxResult::default() },
                    None => no("the journal cannot be written"),
                }
            }
        }
    }

    /// Speaks what every call says, so that the first one does not wait for it.
    async fn prepare(self: Arc<Self>) {
        for phrases in crate::voice::phrases::ALL {
            let alarm = OfferedAlarm { language: phrases.language.to_owned(), ..OfferedAlarm::default() };
            let script = self.bench.usual_script(&NativeOffer { alarm: Some(alarm), ..NativeOffer::default() }, None);
            // What is missing is told when it is needed.
            let _ = self.bench.speaker.sounds(&script).await;
        }
    }

    /// Says how it is, each minute and when the trunk changes.
    async fn say_how_it_is(self: Arc<Self>) {
        let mut trunk = self.bench.trunk.state.clone();
        let mut words = String::new();
        loop {
            let state = trunk.borrow_and_update().clone();
            if state.words != words {
                (self.bench.tell)(&state.words);
                words.clone_from(&state.words);
            }
            match self.bench.server.status(&self.status(&state)).await {
                Ok(()) => {
                    self.introduced.store(true, Ordering::Relaxed);
                    // It knows how many there are now, or was told to allow more.
                    *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                Err(why) => (self.bench.tell)(&format!("the status was not taken: {why}")),
            }
            let again = if self.introduced.load(Ordering::Relaxed) { STATUS_EVERY } else { PAUSE };
            tokio::select! {
                () = sleep(again) => {}
                changed = trunk.changed() => if changed.is_err() { return },
            }
        }
    }

    fn status(&self, trunk: &TrunkState) -> Status {
        let agent = &self.bench.agent;
        let busy = self.busy.load(Ordering::Relaxed);
        let voices = if agent.speech.voice.is_empty() { usual_voices() } else { agent.speech.voice.clone() };
        let mut languages: Vec<String> = voices.into_iter().flat_map(|voice| voice.languages).collect();
        if let Some(at) = languages.iter().position(|language| language == "*") {
            languages.remove(at);
            languages.extend(["en", "es"].map(str::to_owned));
        }
        languages.sort();
        languages.dedup();
        Status {
            network: Some(format!("SIP {}", trunk.words)),
            agent: Some(concat!("autocall-handset ", env!("CARGO_PKG_VERSION")).to_owned()),
            capabilities: capabilities(agent),
            line: Some(if busy { LineState::Busy } else { LineState::Idle }),
            answer_detection: Some(AnswerDetection::Exact),
            channels: Some(agent.channels),
            languages,
            backend: Some("sip".to_owned()),
            ..Status::default()
        }
    }
}

/// What it can do; calls that come in only where that is switched on.
fn capabilities(agent: &Settings) -> Vec<Capability> {
    let always = [
        Capability::Hangup,
        Capability::Dtmf,
        Capability::Tts,
        Capability::Record,
        Capability::Machine,
        Capability::Live,
        Capability::Conference,
        Capability::Calls,
    ];
    always.into_iter().chain(agent.sip.inbound.then_some(Capability::Inbound)).collect()
}

/// What came of asking once.
enum Turn {
    /// There is something to do.
    Job(Box<Job>),
    /// There is not.
    Nothing,
    /// Nobody knows.
    Lost,
}

/// What there is to do.
enum Job {
    Offer(NativeOffer),
    Command(OutboxCommand),
}

#[cfg(test)]
mod tests {
    use super::next_of;

    #[test]
    fn a_channel_that_rests_hides_no_other() {
        let free = [0, 2, 3];
        let next = |in_vain| next_of(in_vain, free.into_iter());
        assert_eq!(next(None), Some(0), "the lowest");
        assert_eq!((next(Some(0)), next(Some(1)), next(Some(2))), (Some(2), Some(2), Some(3)));
        assert_eq!(next(Some(3)), Some(0), "and once more around");
        assert_eq!(next_of(Some(0), [0].into_iter()), Some(0));
        assert_eq!(next_of(None, std::iter::empty()), None);
    }
}
