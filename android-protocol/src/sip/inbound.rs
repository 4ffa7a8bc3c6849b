//! Somebody calls: the server is asked what to do with them, and they are answered, refused, or sent elsewhere.
//!
//! A caller comes only from the address to which everything is sent, or from one that the configuration names (the stack refuses the others with
//! 480). Without PCMU and PCMA it is 488, without a free channel 486. The server has [`DECIDE_WITHIN_SECONDS`] from the beginning; else, and when it
//! wants nobody, it is 480. From its answer on the call has a name, stands in the journal, and is told and reported as any call is.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    call::{Control, Made, News, Order, SOUND_WITHIN, Sounds, cannot, drain, lines, pick_up},
    channel::{Bench, Teller, short},
    server::ServerError,
    signal::{
        sdp::{self, Media},
        stack::{Caller, Stack},
    },
};
use crate::{
    live::{DECIDE_WITHIN_SECONDS, Incoming, IncomingReply, LiveWord},
    native::{JournalEntry, restart::report},
    voice::script::{MenuState, START, Script},
    wire::{CallOutcome, EndedBy, NativeCall, NativeOffer, NativeReport, Progress, ProgressState},
};

/// Between two tries to ask.
const AGAIN: Duration = Duration::from_millis(500);

/// How long sounds may take to be made ready while the caller hears it ring.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// Nobody is there.
const NOBODY: u16 = 480;

/// What was decided about a caller.
enum Decided {
    /// Pick up, and talk by this.
    Answer(Box<Script>),
    /// Refuse with this status.
    Refuse(u16),
    /// Send it to this number.
    Redirect(String),
    /// It gave up itself.
    Gone,
}

impl Bench {
    /// Takes a call that comes in, on a channel of its own; `claim` says whether its name is new. What was reported, if it got a name.
    pub async fn take(&self, channel: u8, mut caller: Caller, claim: impl Fn(&str) -> bool) -> Option<(String, NativeReport)> {
        let began = Instant::now();
        // It is spoken over that until it ends, also if the trunk is another one meanwhile.
        let stack = self.trunk.state.borrow().stack.clone();
        let media = match sdp::read(&caller.sdp) {
            Ok(media) => media,
            Err(why) => {
                self.say(&format!("channel {channel}: a caller is refused: {why}"));
                caller.refuse(488);
                return None;
            }
        };
        caller.ring();
        let (reply, gone) = self.ask(channel, &mut caller, began).await;
        let Some(reply) = reply.filter(|reply| reply.code == 0 && !reply.mid.is_empty()) else {
            self.say(&format!("channel {channel}: a caller is refused: nobody wants the call"));
            caller.refuse(NOBODY);
            return None;
        };
        let mid = reply.mid.clone();
        if !claim(&mid) {
            // It was here before: its report is known, and on the way.
            caller.refuse(NOBODY);
            return None;
        }
        self.say(&format!("channel {channel}: {} calls", short(&mid)));
        let started_at = self.unix();
        let (number, call) = (caller.from.clone(), Some(caller.id.clone()));
        let entry = JournalEntry::Inbound { mid: mid.clone(), number: number.clone(), at_ms: started_at * 1000, call };
        let offer = NativeOffer { mid: mid.clone(), phone: vec![number.clone()], ..NativeOffer::default() };
        if !self.write(entry).await {
            caller.refuse(NOBODY);
            let failed = NativeCall { number, outcome: Some(CallOutcome::Failed), ..NativeCall::default() };
            let report = report(&offer, vec![failed]);
            self.deliver(&mid, &report).await;
            return Some((mid, report));
        }
        let entered = self.live.enter(&mid, true, true);
        let language = reply.script.as_ref().and_then(|script| script.language.clone()).unwrap_or_default();
        let teller = Teller::new(self, &entered, &language);
        let (states, told) = mpsc::unbounded_channel();
        let mut telling = tokio::spawn(Arc::clone(&teller).states(told));
        let mut keys = JoinSet::new();
        let (news, mut told, control, mut controlled) = lines();
        entered.begin(&number, control);
        let tell = |state| drop(states.send(Progress { number: number.clone(), state: Some(state), ..Progress::default() }));
        tell(ProgressState::Alerting);
        let mut kept = Vec::new();
        let follow = async {
            while let Some(news) = told.recv().await {
                self.follow(news, &number, &teller, &states, &mut keys, &mut kept).await;
            }
        };
        let made = async {
            let (script, made) = if gone {
                (Script::default(), Made::missed("the caller gave up", EndedBy::Callee, began.elapsed()))
            } else {
                self.attend(channel, (caller, media, began), reply, stack.as_deref(), (&news, &mut controlled)).await
            };
            drain(&news, &mut controlled).await;
            drop(news);
            (script, made)
        };
        let ((script, made), ()) = tokio::join!(made, follow);
        self.learn(channel, &made);
        let call = self.over(&teller, (&number, started_at), &script, &made, kept).await;
        tell(ProgressState::Ended);
        drop((entered, states));
        let report = report(&offer, vec![call]);
        self.conclude(&mid, &report, &mut telling, &mut keys).await;
        Some((mid, report))
    }

    /// Asks the server, while it rings; and whether the caller has given up meanwhile. The server may have taken a call down whose caller is gone.
    async fn ask(&self, channel: u8, caller: &mut Caller, began: Instant) -> (Option<IncomingReply>, bool) {
        let incoming = Incoming {
            id: caller.id.clone(),
            channel: i32::from(channel),
            from: caller.from.clone(),
            to: caller.to.clone(),
            codecs: sdp::laws(&caller.sdp).into_iter().map(|law| law.as_str().to_owned()).collect(),
        };
        let asking = async {
            loop {
                match self.server.incoming(&incoming).await {
                    Ok(reply) => return Some(reply),
                    Err(ServerError::Status(status @ (400 | 404 | 410 | 413 | 422))) => {
                        self.say(&format!(
                            "the server does not take calls that come in ({status}): see `autocall handset set --inbound`"
                        ));
                        return None;
                    }
                    Err(why) => self.say(&format!("a call that comes in waits: {why}")),
                }
                sleep(AGAIN).await;
            }
        };
        let asking = timeout_at(began + Duration::from_secs(DECIDE_WITHIN_SECONDS), asking);
        tokio::pin!(asking);
        tokio::select! {
            reply = &mut asking => (reply.ok().flatten(), false),
            () = caller.gone() => (asking.await.ok().flatten(), true),
        }
    }

    /// Does what the server wants with a call that has a name.
    async fn attend(
        &self,
        channel: u8,
        (mut caller, media, began): (Caller, Media, Instant),
        reply: IncomingReply,
        stack: Option<&Stack>,
        (news, control): (&mpsc::UnboundedSender<News>, &mut mpsc::Receiver<Control>),
    ) -> (Script, Made) {
        let missed = |why: &str| Made::missed(why, EndedBy::Us, began.elapsed());
        let ready = async {
            let decided = match (reply.order.as_deref(), reply.script) {
                (Some("answer"), script) => Decided::Answer(Box::new(script.unwrap_or_else(waiting))),
                (None, script) => decide(control, news, began, script).await,
                // A word of a newer server.
                (Some(_), _) => Decided::Refuse(NOBODY),
            };
            let sounds = match &decided {
                Decided::Answer(script) => tokio::select! {
                    sounds = self.sounds(channel, script) => sounds,
                    () = dropped(control, news) => return (Decided::Refuse(NOBODY), None),
                },
                _ => Some(Sounds::default()),
            };
            (decided, sounds)
        };
        let (decided, sounds) = tokio::select! {
            ready = ready => ready,
            () = caller.gone() => (Decided::Gone, None),
        };
        match (decided, sounds) {
            (Decided::Gone, _) => (Script::default(), Made { ended_by: EndedBy::Callee, ..missed("the caller gave up") }),
            (Decided::Answer(script), Some(sounds)) => {
                let script = *script;
                let Some(stack) = stack else {
                    caller.refuse(NOBODY);
                    return (script, missed("the trunk is gone"));
                };
                let order = Order {
                    address: String::new(),
                    call_id: caller.id.clone(),
                    ring: Duration::ZERO,
                    patience: Duration::ZERO,
                    sounds,
                    ports: self.agent.sip.rtp.ports,
                    symmetric: self.agent.sip.rtp.symmetric,
                    silence: SOUND_WITHIN,
                    outcomes: self.agent.sip.outcomes(),
                    script,
                };
                let made = pick_up(stack, (caller, media, began), &order, news, control).await;
                (order.script, made)
            }
            (Decided::Answer(script), None) => {
                caller.refuse(NOBODY);
                (*script, missed("its recordings cannot be had"))
            }
            (Decided::Refuse(status), _) => {
                caller.refuse(status);
                (Script::default(), missed("refused"))
            }
            (Decided::Redirect(to), _) => {
                let address = self.agent.sip.dialling().address(&to).map_err(|why| why.to_string());
                let sent = address.and_then(|address| caller.redirect(&address).map_err(|why| why.to_string()));
                if let Err(why) = &sent {
                    self.say(&format!("channel {channel}: a caller cannot be sent on: {why}"));
                }
                (Script::default(), missed(if sent.is_ok() { "sent on" } else { "refused" }))
            }
        }
    }

    /// Everything that a script may have to say; `None` where a recording cannot be had.
    async fn sounds(&self, channel: u8, script: &Script) -> Option<Sounds> {
        let (mut sounds, missing) = self.speaker.sounds(script).await;
        for why in missing {
            self.say(&format!("channel {channel}: not spoken: {why}"));
        }
        match timeout(READY_WITHIN, self.clips.of(script)).await {
            Ok(Ok(clips)) => sounds.ready.extend(clips),
            Ok(Err(why)) => {
                self.say(&format!("channel {channel}: {why}"));
                return None;
            }
            Err(_) => return None,
        }
        Some(sounds)
    }
}

/// Says nothing and waits for what is wanted.
fn waiting() -> Script {
    let state = MenuState { seconds: Some(900), ..MenuState::default() };
    Script { menu: [(START.to_owned(), state)].into(), max_seconds: Some(900), ..Script::default() }
}

/// Completes when it is not wanted any more, before anybody has picked up.
async fn dropped(control: &mut mpsc::Receiver<Control>, news: &mpsc::UnboundedSender<News>) {
    while let Some(wanted) = control.recv().await {
        if matches!(wanted, Control::HangUp | Control::Drop(_)) {
            return;
        }
        cannot(news, &wanted, "no_call");
    }
    std::future::pending::<()>().await;
}

/// Waits for somebody to decide, as long as there is time; once it is answered, it is talked by this script.
async fn decide(
    control: &mut mpsc::Receiver<Control>,
    news: &mpsc::UnboundedSender<News>,
    began: Instant,
    script: Option<Script>,
) -> Decided {
    let until = began + Duration::from_secs(DECIDE_WITHIN_SECONDS);
    while let Ok(Some(wanted)) = timeout_at(until, control.recv()).await {
        let obeyed = |ack, word| drop(news.send(News::Live { ack, word, value: None }));
        match wanted {
            Control::Answer(number) => {
                obeyed(number, LiveWord::Playing);
                return Decided::Answer(Box::new(script.unwrap_or_else(waiting)));
            }
            Control::Reject(number, status) => {
                obeyed(number, LiveWord::Ended);
                return Decided::Refuse(status.unwrap_or(NOBODY));
            }
            Control::Redirect(number, to) => {
                obeyed(number, LiveWord::Ended);
                return Decided::Redirect(to);
            }
            Control::HangUp | Control::Drop(_) => return Decided::Refuse(NOBODY),
            wanted => cannot(news, &wanted, "no_call"),
        }
    }
    Decided::Refuse(NOBODY)
}
