//! The way into the telephone network, kept open: socket, registration, and another try when either is lost.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::stack::{Caller, RegisterError, Stack, own_address, resolve};
use crate::sip::config::Sip;

/// How often our own address is looked at: whoever gets another one is registered again within half a minute.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The pauses between two tries.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// A registrar that refuses is asked less often: some lock out whoever asks too often.
const RETRY_REFUSED: Duration = Duration::from_secs(30);

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
            tokio::time::sleep(pause).await;
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
        let (mut pause, mut used) = (RETRY_FIRST, false);
        loop {
            match registration.register(&stack, self.settings.expires_seconds).await {
                Ok(granted) => {
                    self.up(&stack, "registered");
                    (pause, used) = (RETRY_FIRST, true);
                    // Renewed long before it ends, so that one lost answer does not matter.
                    let renew = granted.mul_f64(0.7).max(Duration::from_secs(5));
                    if self.until_moved(&stack, Some(Instant::now() + renew)).await {
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
                    tokio::time::sleep(if refused { RETRY_REFUSED } else { pause }).await;
                    pause = (pause * 2).min(RETRY_MOST);
                }
            }
        }
    }

    /// Waits; true if the address has changed meanwhile.
    async fn until_moved(&self, stack: &Arc<Stack>, end: Option<Instant>) -> bool {
        loop {
            let look = Instant::now() + LOOK_EVERY;
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
        // A name that cannot be looked up just now says nothing about where it led before.
        let target = resolve(&self.settings).await.unwrap_or(stack.target());
        let own = own_address(&self.settings, target).await;
        target != stack.target() || own.is_ok_and(|own| own != stack.ip())
    }
}
