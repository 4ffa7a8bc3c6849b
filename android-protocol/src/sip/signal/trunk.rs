//! The way into the telephone network, kept open: socket, registration, and another try when either is lost.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::stack::{Caller, RegisterError, Stack, addresses, own_address};
use crate::sip::config::Sip;

/// How often our own address is looked at: whoever gets another one is registered again within half a minute.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The pauses between two tries.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// How often a registrar is asked whether it still knows us, long before the registration ends: one that was started anew has forgotten us, and a
/// question that tells nothing but that costs as much as being registered again, which mends it at once.
const KNOWN_EVERY: Duration = Duration::from_secs(20);

/// A registrar that refuses may only have been started before its accounts were read; one that goes on is asked less often, because some lock out
/// whoever asks too often.
const RETRY_REFUSED_FIRST: Duration = Duration::from_secs(20);
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// How many refusals are the first ones.
const FIRST_REFUSALS: u32 = 2;

/// How the trunk is.
#[derive(Debug, Clone, Default)]
pub struct TrunkState {
    /// What calls are made over; the last one also while the trunk is down.
    pub stack: Option<Arc<Stack>>,
    /// Whether calls can be made.
    pub ready: bool,
    /// Whether it is the password that is wrong.
    pub refused: bool,
    /// In words.
    pub words: String,
}

/// Keeps a trunk.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// How it is now.
    pub state: watch::Receiver<TrunkState>,
    suspected: Arc<Notify>,
}

impl Trunk {
    /// Begins to keep it, until the task that is returned is aborted.
    #[must_use]
    pub fn keep(settings: Sip) -> (Self, tokio::task::JoinHandle<()>) {
        Self::keep_for(settings, None)
    }

    /// The same; whoever calls us is handed over there.
    #[must_use]
    pub fn keep_for(settings: Sip, callers: Option<mpsc::Sender<Caller>>) -> (Self, tokio::task::JoinHandle<()>) {
        let words = format!("{}: not tried yet", settings.trunk);
        let (sender, state) = watch::channel(TrunkState { words, ..TrunkState::default() });
        let suspected = Arc::new(Notify::new());
        let keeper = Keeper { settings, state: sender, suspected: Arc::clone(&suspected), callers };
        (Self { state, suspected }, tokio::spawn(keeper.run()))
    }

    /// A call got no answer from it: it is asked whether it is there.
    pub fn suspect(&self) {
        self.suspected.notify_one();
    }
}

struct Keeper {
    settings: Sip,
    state: watch::Sender<TrunkState>,
    suspected: Arc<Notify>,
    callers: Option<mpsc::Sender<Caller>>,
}

impl Keeper {
    async fn run(self) {
        let mut pause = RETRY_FIRST;
        loop {
            match Stack::start_for(&self.settings, self.callers.clone()).await {
                Ok(stack) => {
                    if self.use_stack(Arc::new(stack)).await {
                        pause = RETRY_FIRST;
                    }
                }
                Err(why) => self.down(None, false, why.to_string()),
            }
            tokio::time::sleep(self.settings.surroundings.pause(pause)).await;
            pause = (pause * 2).min(RETRY_MOST);
        }
    }

    fn down(&self, stack: Option<Arc<Stack>>, refused: bool, why: String) {
        let words = format!("{}: {why}", self.settings.trunk);
        self.state.send_replace(TrunkState { stack, ready: false, refused, words });
    }

    fn up(&self, stack: &Arc<Stack>, what: &str) {
        let words = format!("{}: {what}", self.settings.trunk);
        self.state.send_replace(TrunkState { stack: Some(Arc::clone(stack)), ready: true, refused: false, words });
    }

    /// Uses a socket until the machine's address or the trunk's is another; answers whether it was ever of use.
    async fn use_stack(&self, stack: Arc<Stack>) -> bool {
        if !self.settings.register {
            self.up(&stack, "ready, without registration");
            self.until_moved(&stack, None).await;
            return true;
        }
        let mut registration = stack.registration();
        let (mut pause, mut used, mut refusals) = (RETRY_FIRST, false, 0);
        loop {
            match registration.register(&stack, self.settings.expires_seconds).await {
                Ok(granted) => {
                    self.up(&stack, "registered");
                    (pause, used, refusals) = (RETRY_FIRST, true, 0);
                    // Renewed long before it ends, so that one lost answer does not matter.
                    let renew = granted.mul_f64(0.7).max(Duration::from_secs(5));
                    let again = renew.min(self.settings.surroundings.pause(KNOWN_EVERY));
                    if self.until_moved(&stack, Some(Instant::now() + again)).await {
                        return used;
                    }
                }
                Err(why) => {
                    let refused = matches!(why, RegisterError::Refused { code: 401 | 403 | 404 | 407, .. });
                    self.down(Some(Arc::clone(&stack)), refused, why.to_string());
                    // A socket may be what is broken, and the trunk's name may lead elsewhere now.
                    if self.moved(&stack).await || matches!(why, RegisterError::Unreachable(_)) {
                        return used;
                    }
                    refusals = if refused { refusals + 1 } else { 0 };
                    let wait = if refused { after_refusal(refusals) } else { pause };
                    tokio::time::sleep(self.settings.surroundings.pause(wait)).await;
                    pause = (pause * 2).min(RETRY_MOST);
                }
            }
        }
    }

    /// Waits; true if the address has changed meanwhile.
    async fn until_moved(&self, stack: &Arc<Stack>, end: Option<Instant>) -> bool {
        loop {
            let look = Instant::now() + self.settings.surroundings.pause(LOOK_EVERY);
            let wake = end.map_or(look, |end| end.min(look));
            tokio::select! {
                () = sleep_until(wake) => {}
                () = self.suspected.notified() => return self.moved(stack).await,
            }
            if self.moved(stack).await {
                return true;
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                return false;
            }
        }
    }

    async fn moved(&self, stack: &Stack) -> bool {
        // A name that cannot be looked up just now says nothing about where it led before; one with several addresses gives them in another order
        // each time.
        let leads_on = addresses(&self.settings).await.map_or(true, |found| found.is_empty() || found.contains(&stack.target()));
        let own = own_address(&self.settings, stack.target()).await;
        !leads_on || own.is_ok_and(|own| own != stack.ip())
    }
}

/// How long to wait after so many refusals in a row.
fn after_refusal(refusals: u32) -> Duration {
    if refusals <= FIRST_REFUSALS { RETRY_REFUSED_FIRST } else { RETRY_REFUSED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusals_are_forgotten_sooner() {
        let waits: Vec<u64> = (1..=4).map(|refusals| after_refusal(refusals).as_secs()).collect();
        assert_eq!(waits, [20, 20, 30, 30]);
    }
}
