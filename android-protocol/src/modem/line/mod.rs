//! A modem as the line of a handset: its port, the talk there, and what a handset wants of it.
//!
//! [`ModemLine`] is what the driver holds. The modem itself belongs to one task (`keeper`), which alone talks on the port; both share what is
//! known about the modem, its call, and the messages on its SIM.

pub mod check;
pub mod clock;
pub mod config;
mod keeper;
pub mod port;
mod session;
mod shared;
mod talk;
mod texting;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use self::{clock::Pace, config::Modem, shared::Shared};
use crate::{
    driver::{line::Line, nothing_yet},
    modem::{cause::words, radio::Registration},
    native::{
        CannotDial, Seen, Unfinished,
        delivery::{Carried, Told},
    },
    wire::{Cause, CommandKind, InboundText, OutboxResult, Status},
};

/// How often a call is looked at. The modem is asked by its own task; this only reads what is known.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the modem is asked for.
#[derive(Debug)]
enum Order {
    /// Whether it can dial now, and by what its call will be known.
    Prepare(oneshot::Sender<Result<Option<String>, CannotDial>>),
    /// Dial.
    Dial(String, oneshot::Sender<Result<(), CannotDial>>),
    /// Look for a call that a process before this one has dialled.
    Find(String),
    /// Look after the call: it is to end.
    HangUp,
    /// Send a text, or ask the network for something.
    CarryOut(CommandKind, oneshot::Sender<Carried>),
    /// Delete these from the SIM.
    Delete(Vec<u32>),
}

/// A modem.
pub struct ModemLine {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for ModemLine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ModemLine {
    /// Begins to talk with a modem. `state_dir` is where a PIN that was tried is written down.
    ///
    /// # Errors
    ///
    /// The key of the configuration at fault, and what would be right.
    pub fn start(settings: Modem, state_dir: PathBuf) -> Result<Self, (&'static str, String)> {
        let settings = settings.checked()?;
        let place = settings.place()?;
        let shared = Arc::new(Shared::new(Pace::new(settings.speed), settings.answer_detection));
        let (orders, received) = mpsc::channel(16);
        let task = tokio::spawn(keeper::run(settings, place, state_dir, Arc::clone(&shared), received));
        Ok(Self { orders, shared, task })
    }

    /// Why the modem cannot be used now; `None` if it can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble()
    }

    /// Tells whether somebody else's call is on the line, for as long as anybody asks.
    pub fn knows_of_strangers(&self) -> impl Fn() -> bool + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.has_stranger()
    }

    /// Whether its SIM is in a network, as far as it has said.
    #[must_use]
    pub fn registration(&self) -> Option<Registration> {
        self.shared.registration()
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.ok()?;
        answer.await.ok()
    }
}

/// Writes a small file that only this user reads, safe against power loss.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A line that does not work, in one sentence.
fn broken(why: impl Into<String>) -> CannotDial {
    CannotDial::Broken(why.into())
}

/// What is said where the modem's task has ended.
fn no_task() -> CannotDial {
    broken("the part of this program that talks with the modem has ended")
}

impl Line for ModemLine {
    fn hangs_up(&self) -> bool {
        true
    }

    fn can_dial(&self) -> bool {
        self.shared.can_dial()
    }

    fn look_every(&self) -> Duration {
        LOOK_EVERY
    }

    async fn changed(&self) {
        self.shared.changed().await;
    }

    async fn prepare(&self, number: &str) -> Result<Option<String>, CannotDial> {
        // Whatever else stood in it would be a command to the modem.
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'*' | b'#')) {
            return Err(broken("this is no number that a modem can dial"));
        }
        self.order(Order::Prepare).await.unwrap_or_else(|| Err(no_task()))
    }

    async fn dial(&self, number: &str) -> Result<(), CannotDial> {
        self.order(|reply| Order::Dial(number.to_owned(), reply)).await.unwrap_or_else(|| Err(no_task()))
    }

    async fn hang_up(&self) {
        self.shared.hang_up();
        let _ = self.orders.send(Order::HangUp).await;
    }

    async fn look(&self, _now: Duration, call: &Unfinished<'_>, mark: Option<&str>) -> Seen {
        if let Some(state) = self.shared.call_state(call.number) {
            return Seen::Call(state);
        }
        if self.shared.begins_search() {
            tracing::info!(port = mark, "a call of the process before is looked for in the modem");
            let _ = self.orders.send(Order::Find(call.number.to_owned())).await;
        }
        nothing_yet()
    }

    fn cause(&self, number: &str) -> Option<Cause> {
        let q850 = self.shared.call_cause(number)?;
        Some(Cause { q850: Some(q850), text: Some(words(q850).to_owned()), sip: None })
    }

    fn keys(&self, number: &str) -> Vec<char> {
        self.shared.take_keys(number)
    }

    async fn status(&self) -> Status {
        self.shared.status()
    }

    async fn carry_out(&self, command: &CommandKind) -> Carried {
        let carried = self.order(|reply| Order::CarryOut(command.clone(), reply)).await;
        carried.unwrap_or_else(|| OutboxResult { detail: Some(format!("{:?}", no_task())), ..OutboxResult::default() }.into())
    }

    fn told(&self) -> Vec<Told> {
        self.shared.told()
    }

    async fn told_taken(&self, told: &Told) {
        if let Some(slot) = self.shared.told_taken(told) {
            let _ = self.orders.send(Order::Delete(vec![slot])).await;
        }
    }

    async fn texts(&self) -> Vec<InboundText> {
        self.shared.texts()
    }

    async fn text_taken(&self, text: &InboundText) {
        let slots = self.shared.text_taken(text.id.as_deref().unwrap_or_default());
        let _ = self.orders.send(Order::Delete(slots)).await;
    }
}
