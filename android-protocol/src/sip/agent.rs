//! The handset's own loop: one waiting poll for the lowest free channel, commands from the outbox, and how it is, once a minute.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::{
    task::{Id, JoinSet},
    time::{Instant, sleep, sleep_until},
};

use super::{
    channel::{Bench, short},
    config::Agent,
    journal::{Journal, JournalError, REMEMBERED},
    server::{Server, WAIT},
    speech::{Speaker, usual_voices},
    trunk::{Trunk, TrunkState},
};
use crate::wire::{
    AnswerDetection, Capability, CommandKind, LineState, NativeOffer, NativeReport, OfferedAlarm, OfferedCall, OutboxCommand,
    OutboxResult, PollReply, Status,
};

/// How often it says how it is.
const STATUS_EVERY: Duration = Duration::from_secs(60);

/// After a request that failed, and after a poll that came back at once.
const PAUSE: Duration = Duration::from_secs(2);

/// How long running calls may go on after it was told to stop.
const LAST_CALLS: Duration = Duration::from_secs(300);

/// Why the handset cannot run.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Without a journal nothing is dialled.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The HTTP client.
    #[error("the HTTP client could not be made")]
    Client(#[from] reqwest::Error),
}

/// Who takes what is offered, and what was reported.
struct Desk {
    bench: Bench,
    /// Mids that are being served.
    open: Mutex<Vec<String>>,
    /// Reports that the server had, by mid, the newest last: one that is offered again is reported again, never dialled again.
    done: Mutex<VecDeque<(String, NativeReport)>>,
    busy: AtomicBool,
}

/// Runs the handset until `shutdown` completes and the calls that run then are over.
///
/// # Errors
///
/// Before anything is dialled.
pub async fn run(
    agent: Agent,
    shutdown: impl Future<Output = ()>,
    tell: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(), AgentError> {
    let (journal, past) = Journal::open(&agent.state_dir)?;
    let server = Server::new(&agent.server)?;
    let speaker = Speaker::new(&agent.speech, &agent.state_dir);
    let (trunk, keeping) = Trunk::keep(agent.sip.clone());
    #[expect(clippy::disallowed_methods, reason = "the wall clock, for people to read in the report")]
    let now = std::time::SystemTime::now();
    let unix = now.duration_since(std::time::UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default();
    let bench = Bench {
        agent: Arc::new(agent),
        server,
        journal,
        speaker,
        trunk,
        tell: Arc::new(tell),
        rest_until: Arc::default(),
        began: (Instant::now(), unix),
    };
    let desk = Arc::new(Desk {
        open: Mutex::new(past.open.iter().map(|(offer, _)| offer.mid.clone()).collect()),
        done: Mutex::new(past.done.into_iter().collect()),
        busy: AtomicBool::new(false),
        bench,
    });
    let mut work = JoinSet::new();
    for (offer, report) in past.open {
        (desk.bench.tell)(&format!("{} was open when the program ended: reported, not dialled again", short(&offer.mid)));
        let desk = Arc::clone(&desk);
        // Before anything else is asked for, on a channel that no poll uses.
        work.spawn(async move {
            desk.bench.deliver(&offer.mid, &report).await;
            desk.finish(&offer.mid, report);
        });
    }
    let status = tokio::spawn(Arc::clone(&desk).say_how_it_is());
    tokio::pin!(shutdown);
    desk.work(&mut work, shutdown.as_mut()).await;
    (desk.bench.tell)("stopping: no more is asked for, running calls go on");
    let over = async { while work.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_CALLS, over).await;
    status.abort();
    keeping.abort();
    Ok(())
}

impl Desk {
    fn finish(&self, mid: &str, report: NativeReport) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|open| open != mid);
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push_back((mid.to_owned(), report));
        if done.len() > REMEMBERED {
            done.pop_front();
        }
    }

    /// Asks and serves until told to stop.
    async fn work(self: &Arc<Self>, work: &mut JoinSet<()>, mut shutdown: std::pin::Pin<&mut impl Future<Output = ()>>) {
        let mut free: Vec<bool> = vec![true; usize::from(self.bench.agent.channels)];
        let mut holds: BTreeMap<Id, u8> = BTreeMap::new();
        let mut warm = Some(tokio::spawn(Arc::clone(self).prepare()));
        loop {
            while let Some(done) = work.try_join_next_with_id() {
                // Also a task that broke off gives its channel back.
                let id = done.map_or_else(|why| why.id(), |(id, ())| id);
                if let Some(free) = holds.remove(&id).and_then(|channel| free.get_mut(usize::from(channel))) {
                    *free = true;
                }
            }
            self.busy.store(free.iter().any(|free| !free), Ordering::Relaxed);
            let lowest = free.iter().position(|free| *free).and_then(|at| u8::try_from(at).ok());
            let turn = async {
                match lowest {
                    Some(channel) => self.ask(channel).await,
                    None => {
                        sleep(Duration::from_millis(200)).await;
                        None
                    }
                }
            };
            let offer = tokio::select! {
                () = &mut shutdown => {
                    if let Some(warm) = warm.take() {
                        warm.abort();
                    }
                    return;
                }
                offer = turn => offer,
            };
            if let (Some(offer), Some(channel)) = (offer, lowest) {
                free[usize::from(channel)] = false;
                holds.insert(self.begin(work, channel, offer), channel);
            }
        }
    }

    /// One poll, and what the outbox holds when it brought nothing.
    async fn ask(self: &Arc<Self>, channel: u8) -> Option<Job> {
        let mut state = self.bench.trunk.state.clone();
        // A handset that cannot call asks for nothing: the alarm goes to another one.
        if state.wait_for(|state| state.ready).await.is_err() {
            sleep(PAUSE).await;
            return None;
        }
        drop(state);
        let rest = *self.bench.rest_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = rest.filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
        let asked = Instant::now();
        match self.bench.server.poll(channel, WAIT).await {
            Ok(PollReply::Offer(offer)) => return Some(Job::Offer(offer)),
            Ok(_) => {}
            Err(why) => {
                (self.bench.tell)(&why.to_string());
                sleep(PAUSE).await;
                return None;
            }
        }
        if let Ok(outbox) = self.bench.server.outbox().await
            && let Some(command) = outbox.commands.into_iter().next()
        {
            return Some(Job::Command(command));
        }
        sleep_until(asked + PAUSE).await;
        None
    }

    fn begin(self: &Arc<Self>, work: &mut JoinSet<()>, channel: u8, job: Job) -> Id {
        let desk = Arc::clone(self);
        let begun = match job {
            Job::Offer(offer) => {
                let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
                let known = done.iter().find(|(mid, _)| *mid == offer.mid).map(|(_, report)| report.clone());
                drop(done);
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
                                report
                            }
                            None => desk.bench.serve(channel, offer.clone()).await,
                        };
                        desk.finish(&offer.mid, report);
                    })
                }
            }
            Job::Command(command) => work.spawn(async move {
                let result = desk.carry_out(channel, &command).await;
                while let Err(why) = desk.bench.server.result(&command.id, &result).await {
                    (desk.bench.tell)(&format!("a result waits: {why}"));
                    sleep(PAUSE).await;
                }
            }),
        };
        begun.id()
    }

    async fn carry_out(&self, channel: u8, command: &OutboxCommand) -> OutboxResult {
        let no = |why: &str| OutboxResult { ok: false, detail: Some(why.to_owned()), ..OutboxResult::default() };
        match &command.kind {
            CommandKind::Sms { .. } => no("a SIP handset sends no text messages"),
            CommandKind::Forward { .. } => no("a SIP handset has no SIM whose calls could be forwarded"),
            CommandKind::TestCall { number, ring_seconds } => {
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
            if let Err(why) = self.bench.server.status(&self.status(&state)).await {
                (self.bench.tell)(&format!("the status was not taken: {why}"));
            }
            tokio::select! {
                () = sleep(STATUS_EVERY) => {}
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
            capabilities: vec![Capability::Hangup, Capability::Dtmf, Capability::Tts, Capability::Machine],
            line: Some(if busy { LineState::Busy } else { LineState::Idle }),
            answer_detection: Some(AnswerDetection::Exact),
            channels: Some(agent.channels),
            languages,
            backend: Some("sip".to_owned()),
            ..Status::default()
        }
    }
}

/// What one turn brought.
enum Job {
    Offer(NativeOffer),
    Command(OutboxCommand),
}
