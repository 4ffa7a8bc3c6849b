//! Drives a handset with a real line: a clock, a network, a journal on disk, and a [`Line`].
//!
//! What the handset decides stands in [`crate::native`], which knows none of these. To add a kind of line: implement [`Line`], give it a
//! section in [`config`], and start it in the `handset` command.

pub mod clock;
pub mod config;
pub mod journal;
pub mod line;
pub mod scribe;
mod server;
pub mod start;
mod texts;

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet, time::Instant};

use self::{clock::Clock, line::Line, scribe::Scribe, server::Server};
use crate::{
    http::HttpReply,
    native::{JournalEntry, NativeAction, NativeHandset, NativeSettings, Seen, delivery::Carried, journal::open_mark},
    phone::CallState,
    wire::{CommandKind, Status},
};

/// How often a line is asked how it is.
const ASK_EVERY: Duration = Duration::from_secs(55);

/// How often it is asked while it cannot dial, and how soon it is noticed that this has changed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How often a handset that waits for its line looks whether it is back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs a handset until `shutdown` completes. A call that is going on then goes on without it: the next start finds out how it ended.
pub async fn drive<L: Line>(
    line: Arc<L>,
    scribe: Scribe,
    past: Vec<JournalEntry>,
    settings: NativeSettings,
    client: reqwest::Client,
    shutdown: impl Future<Output = ()>,
) {
    let clock = Clock::start();
    let server = Server::new(client, &settings.base);
    let (says, status) = watch::channel(settings.status.clone());
    let settings = NativeSettings { began_at: Some(0), hangs_up: line.hangs_up(), ..settings };
    let mut work = Work {
        mark: open_mark(&past),
        prepared: false,
        // A call of the process before is on the line already, as far as anybody knows.
        dialled: true,
        handset: NativeHandset::restore(settings, &past),
        line: Arc::clone(&line),
        clock,
        look: None,
        status,
    };
    // They end with this function.
    let mut beside = JoinSet::new();
    beside.spawn(ask(Arc::clone(&line), says));
    beside.spawn(texts::pass_on(Arc::clone(&line), server.clone()));
    let mut sending: JoinSet<Option<HttpReply>> = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        work.handset.set_can_dial(line.can_dial());
        work.take_told(&scribe).await;
        let action = tokio::select! {
            biased;
            () = &mut shutdown => return,
            action = work.next() => action,
        };
        let now = clock.now();
        let until = match action {
            NativeAction::Journal(entry) => {
                work.write(&scribe, entry).await;
                continue;
            }
            NativeAction::Dial(_) => {
                work.dial().await;
                continue;
            }
            NativeAction::HangUp => {
                line.hang_up().await;
                work.look = None;
                continue;
            }
            NativeAction::CarryOut(command) => {
                // It may take minutes. A text that is being sent when it is told to stop stands in the journal, and is not sent again.
                let Carried { result, references } = tokio::select! {
                    biased;
                    () = &mut shutdown => return,
                    carried = line.carry_out(&command.kind) => carried,
                };
                tracing::info!(command.id = %command.id, ok = result.ok, detail = result.detail, "a command was carried out");
                if let CommandKind::Sms { number, .. } = &command.kind
                    && !references.is_empty()
                {
                    work.note(&scribe, JournalEntry::Sent { id: command.id.clone(), to: number.clone(), references }).await;
                }
                work.handset.carried_out(command.id, result);
                continue;
            }
            NativeAction::Http(request) => {
                let server = server.clone();
                sending.spawn(async move { server.send(request).await });
                continue;
            }
            NativeAction::SleepUntil(at) => at.saturating_sub(now),
            NativeAction::Wait => Duration::MAX,
        };
        let pause = work.pause(until);
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(pause) => {}
            () = line.changed() => work.look = None,
            Some(reply) = sending.join_next() => {
                let now = clock.now();
                match reply.ok().flatten() {
                    Some(reply) => work.handset.http_reply(now, &reply),
                    None => work.handset.http_error(now),
                }
            }
            Ok(()) = work.status.changed() => {
                let status = work.status.borrow_and_update().clone();
                work.handset.set_status(status);
            }
        }
    }
}

/// Asks the line how it is, for as long as somebody wants to know.
async fn ask<L: Line>(line: Arc<L>, says: watch::Sender<Status>) {
    loop {
        let asked = Instant::now();
        if says.send(line.status().await).is_err() {
            return;
        }
        let could = line.can_dial();
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            let can = line.can_dial();
            if can != could || !can || asked.elapsed() >= ASK_EVERY {
                break;
            }
        }
    }
}

/// The handset, its line, and what was seen there last.
struct Work<L> {
    handset: NativeHandset,
    line: Arc<L>,
    clock: Clock,
    /// By what the line knows the call that is going on.
    mark: Option<String>,
    /// The line was asked for the mark of the call that is about to be dialled.
    prepared: bool,
    /// Whether the call that is not over was handed to the line.
    dialled: bool,
    look: Option<(Duration, Seen)>,
    status: watch::Receiver<Status>,
}

impl<L: Line> Work<L> {
    /// What the handset wants, seeing what is on the line now.
    async fn next(&mut self) -> NativeAction {
        let seen = self.see().await;
        self.handset.poll(self.clock.now(), seen)
    }

    async fn see(&mut self) -> Seen {
        let Some(call) = self.handset.unfinished().filter(|_| self.dialled) else {
            self.look = None;
            return Seen::NoCall(None);
        };
        let now = self.clock.now();
        match &self.look {
            Some((at, seen)) if now < *at + self.line.look_every() => seen.clone(),
            _ => {
                let seen = self.line.look(now, &call, self.mark.as_deref()).await;
                let ended = matches!(seen, Seen::Call(CallState::Ended { .. }));
                let (keys, cause) = (self.line.keys(call.number), self.line.cause(call.number).filter(|_| ended));
                for key in keys {
                    self.handset.key_pressed(key);
                }
                if let Some(cause) = cause {
                    self.handset.network_said(cause);
                }
                self.look = Some((self.clock.now(), seen.clone()));
                seen
            }
        }
    }

    /// Writes down what the network has said of texts since they were sent.
    async fn take_told(&mut self, scribe: &Scribe) {
        for told in self.line.told() {
            if let Some(entry) = self.handset.fate(&told)
                && !self.note(scribe, entry).await
            {
                return;
            }
            self.line.told_taken(&told).await;
        }
    }

    /// Writes an entry down that nothing waits for; false where that fails.
    async fn note(&mut self, scribe: &Scribe, entry: JournalEntry) -> bool {
        match scribe.write(entry.clone()).await {
            Ok(()) => self.handset.noted(&entry),
            Err(why) => {
                tracing::error!(error = %why, "the journal cannot be written: what becomes of a text may not be told");
                return false;
            }
        }
        true
    }

    /// How long nothing is due.
    fn pause(&self, wanted: Duration) -> Duration {
        let next_look = self.look.as_ref().map(|(at, _)| (*at + self.line.look_every()).saturating_sub(self.clock.now()));
        // A sleep that never ends would be one that nobody can see; never shorter than what a clock can tell.
        let waits = if self.line.can_dial() { Duration::MAX } else { LOOK_AGAIN };
        wanted.min(next_look.unwrap_or(Duration::MAX)).min(waits).clamp(Duration::from_millis(5), Duration::from_hours(1))
    }

    async fn write(&mut self, scribe: &Scribe, mut entry: JournalEntry) {
        if let JournalEntry::Dialling { number, call: mark, .. } = &mut entry {
            match self.line.prepare(number).await {
                Ok(found) => mark.clone_from(&found),
                Err(why) => {
                    tracing::warn!(?why, "a number cannot be dialled");
                    self.handset.journal_skipped(self.clock.now(), &why);
                    return;
                }
            }
            self.mark.clone_from(mark);
            self.prepared = true;
            self.dialled = false;
        }
        if matches!(entry, JournalEntry::Begun { .. }) {
            // A test call is not on the line yet.
            self.dialled = false;
        }
        match scribe.write(entry).await {
            Ok(()) => self.handset.journaled(),
            Err(why) => {
                tracing::error!(error = %why, "the journal cannot be written: nothing is dialled before it can");
                self.handset.journal_failed(self.clock.now(), "the journal cannot be written");
            }
        }
    }

    async fn dial(&mut self) {
        // The handset's own word for it is encoded for a `tel:` address.
        let Some(number) = self.handset.unfinished_number().map(str::to_owned) else { return };
        self.dialled = true;
        self.look = None;
        // A test call is not in the journal, and is not followed up after a restart.
        if !std::mem::take(&mut self.prepared) {
            match self.line.prepare(&number).await {
                Ok(mark) => self.mark = mark,
                Err(why) => {
                    tracing::warn!(?why, "a number cannot be dialled");
                    self.handset.cannot_dial(self.clock.now(), &why);
                    return;
                }
            }
        }
        match self.line.dial(&number).await {
            Ok(()) => tracing::info!("dialled"),
            Err(why) => {
                tracing::warn!(?why, "a number was not dialled");
                self.handset.cannot_dial(self.clock.now(), &why);
            }
        }
    }
}

/// What a line sees where it sees nothing yet.
#[must_use]
pub fn nothing_yet() -> Seen {
    Seen::Call(CallState::Dialling)
}
