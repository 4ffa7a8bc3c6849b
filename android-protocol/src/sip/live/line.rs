//! One hand-out, or one call that came in, as whoever wants something of it finds it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    live::{LiveCommand, LiveOrder},
    sip::call::Control,
};

/// One hand-out with its calls, or one call that came in.
#[derive(Debug)]
pub struct Line {
    /// Its name.
    pub mid: String,
    /// Whether commands may come for it.
    pub live: bool,
    /// Whether it came in.
    pub inbound: bool,
    now: Mutex<Now>,
    unwanted: AtomicBool,
    dropped_by: AtomicI64,
}

#[derive(Debug, Default)]
struct Now {
    /// The call that runs.
    running: Option<Running>,
    /// The numbers whose calls are over.
    over: Vec<String>,
    began: Option<Instant>,
    /// Where its commands wait; nothing when the line is given up.
    orders: Option<mpsc::Sender<Order>>,
}

#[derive(Debug)]
struct Running {
    number: String,
    control: mpsc::Sender<Control>,
    /// Somebody has picked up.
    connected: bool,
}

/// A command, the call that ran when it came, which it is for alone, and when that was.
pub type Order = (LiveCommand, mpsc::Sender<Control>, Instant);

impl Line {
    /// A line without a call.
    #[must_use]
    pub fn new(mid: &str, live: bool, inbound: bool, orders: Option<mpsc::Sender<Order>>) -> Self {
        Self {
            mid: mid.to_owned(),
            live,
            inbound,
            now: Mutex::new(Now { orders, ..Now::default() }),
            unwanted: AtomicBool::new(false),
            dropped_by: AtomicI64::new(0),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Nothing in it is left half changed.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub fn begin(&self, number: &str, control: mpsc::Sender<Control>) {
        let mut now = self.now();
        now.running = Some(Running { number: number.to_owned(), control, connected: false });
        now.began = Some(Instant::now());
    }

    /// Somebody has picked up.
    pub fn connect(&self) {
        if let Some(running) = &mut self.now().running {
            running.connected = true;
        }
    }

    /// Whether there is somebody to speak to.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.now().running.as_ref().is_some_and(|running| running.connected)
    }

    /// The call is over.
    pub fn over(&self) {
        let mut now = self.now();
        if let Some(running) = now.running.take() {
            now.over.push(running.number);
        }
    }

    /// How to reach the running call.
    #[must_use]
    pub fn control(&self) -> Option<mpsc::Sender<Control>> {
        self.now().running.as_ref().map(|running| running.control.clone())
    }

    /// How long ago the last call began.
    #[must_use]
    pub fn since_begun(&self) -> Option<Duration> {
        self.now().began.map(|began| began.elapsed())
    }

    /// No call of it is wanted any more; whether that is news.
    pub fn unwant(&self) -> bool {
        !self.unwanted.swap(true, Ordering::SeqCst)
    }

    /// Whether no call of it is wanted any more.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::SeqCst)
    }

    /// The same, because of this command.
    pub(super) fn drop_for(&self, seq: i64) -> bool {
        self.dropped_by.store(seq, Ordering::SeqCst);
        // Before whoever is about to call looks: either it sees this, or we see its call.
        self.unwant()
    }

    /// The command that had it dropped, once; else 0.
    #[must_use]
    pub fn dropped_by(&self) -> i64 {
        self.dropped_by.swap(0, Ordering::SeqCst)
    }

    /// Lets a command wait for its turn; it comes back where too many do.
    pub(super) fn order(&self, command: LiveCommand) -> Result<(), Box<LiveCommand>> {
        let now = self.now();
        let (Some(orders), Some(running)) = (&now.orders, &now.running) else { return Err(Box::new(command)) };
        orders.try_send((command, running.control.clone(), Instant::now())).map_err(|why| match why {
            mpsc::error::TrySendError::Full((command, ..)) | mpsc::error::TrySendError::Closed((command, ..)) => {
                Box::new(command)
            }
        })
    }

    pub(super) fn close(&self) {
        self.over();
        self.now().orders = None;
    }
}

/// Whether a command may be carried out, or why not: `too_late`, `no_call`, `unknown`. Nothing that is refused here starts anything.
pub(super) fn judge(command: &LiveCommand, line: Option<&Line>, was_here: bool) -> Result<(), &'static str> {
    let Some(line) = line else { return Err(if was_here { "too_late" } else { "no_call" }) };
    let now = line.now();
    let running = now.running.as_ref().map(|running| running.number.as_str());
    let for_this = command.call.is_empty() || running == Some(command.call.as_str());
    if !for_this && now.over.contains(&command.call) {
        return Err("too_late");
    }
    match command.order {
        LiveOrder::Unknown => Err("unknown"),
        LiveOrder::Answer | LiveOrder::Reject { .. } | LiveOrder::Redirect { .. } if !line.inbound => Err("unknown"),
        // A hand-out that is about to ring somebody can be called off.
        LiveOrder::Drop { .. } if running.is_none() => Ok(()),
        _ if running.is_none() || !for_this => Err("no_call"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "13900000001";
    const B: &str = "13900000002";

    fn command(call: &str, order: LiveOrder) -> LiveCommand {
        LiveCommand { seq: 9, mid: "m".into(), call: call.into(), order }
    }

    #[test]
    fn a_command_is_for_the_call_that_runs_and_for_no_other() {
        let drop = || LiveOrder::Drop { say: None, language: None };
        assert_eq!(judge(&command(A, drop()), None, false), Err("no_call"));
        assert_eq!(judge(&command(A, drop()), None, true), Err("too_late"));
        let line = Line::new("m", true, false, None);
        // Before the first call there is something to call off, and nobody to speak to.
        assert_eq!(judge(&command(A, drop()), Some(&line), false), Ok(()));
        assert_eq!(judge(&command(A, LiveOrder::Stop), Some(&line), false), Err("no_call"));
        let (control, _controlled) = mpsc::channel(1);
        line.begin(A, control.clone());
        for order in [drop(), LiveOrder::Stop, LiveOrder::Leave] {
            assert_eq!(judge(&command(A, order.clone()), Some(&line), false), Ok(()));
            assert_eq!(judge(&command("", order.clone()), Some(&line), false), Ok(()));
            assert_eq!(judge(&command(B, order), Some(&line), false), Err("no_call"));
        }
        assert_eq!(judge(&command(A, LiveOrder::Unknown), Some(&line), false), Err("unknown"));
        assert_eq!(judge(&command(A, LiveOrder::Answer), Some(&line), false), Err("unknown"), "we called");
        line.over();
        assert_eq!(judge(&command(A, drop()), Some(&line), false), Err("too_late"));
        line.begin(B, control);
        assert_eq!(judge(&command(A, drop()), Some(&line), false), Err("too_late"));
        assert_eq!(judge(&command(B, drop()), Some(&line), false), Ok(()));
        let inbound = Line::new("m", true, true, None);
        inbound.begin(A, mpsc::channel(1).0);
        assert_eq!(judge(&command(A, LiveOrder::Answer), Some(&inbound), false), Ok(()));
    }

    #[test]
    fn a_command_stays_with_the_call_that_ran_when_it_came() {
        let (orders, mut waiting) = mpsc::channel(1);
        let line = Line::new("m", true, false, Some(orders));
        assert!(line.order(command(A, LiveOrder::Stop)).is_err(), "there is no call");
        let ((first, mut at_first), (second, mut at_second)) = (mpsc::channel(1), mpsc::channel(1));
        line.begin(A, first);
        assert!(line.order(command(A, LiveOrder::Stop)).is_ok());
        assert!(line.order(command(A, LiveOrder::Stop)).is_err(), "too many wait");
        line.over();
        line.begin(B, second);
        let waits = waiting.try_recv();
        assert!(waits.is_ok_and(|(_, call, _)| call.try_send(Control::HangUp).is_ok()));
        assert!(at_first.try_recv().is_ok() && at_second.try_recv().is_err());
    }

    #[test]
    fn that_nobody_is_wanted_any_more_is_news_once() {
        let line = Line::new("m", true, false, None);
        assert!(!line.is_unwanted() && line.drop_for(9) && !line.unwant() && line.is_unwanted());
        assert_eq!((line.dropped_by(), line.dropped_by()), (9, 0));
    }
}
