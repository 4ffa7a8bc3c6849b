//! Changes that wait for the embedded database's one writer are committed together.
//!
//! A commit takes a flight to the disk, however little it holds, and there is one writer: in a storm of alarms nearly all the time goes by in
//! waiting for that. So whoever is ready hands the open transaction on to the next one that waits, and whoever finds nobody waiting commits
//! for all of them; while that takes its time, the next ones gather. Nobody is kept waiting in order to gather more.
//!
//! Each changes what it has to change behind a savepoint of its own: what is refused, fails, or belongs to a client that has left goes back to
//! there, and takes nobody with it. An operation returns only after the commit, and a commit that fails fails for all who were in it.
//! PostgreSQL writes down at once what several transactions commit at once, so there everybody has their own; only that alarms never take
//! all connections, which phones need as well.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Held, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use super::transaction::{Place, ROLLBACK_WITHIN, Tx};
use super::{Result, StoreError};

/// So many are committed at once at most, and for so long one after the other begins before that.
const MOST: usize = 64;
const LONGEST: Duration = Duration::from_millis(50);
/// The same while others wait for the writer who commit by themselves: pages, the periodic work.
const MOST_BEFORE_OTHERS: usize = 16;
const LONGEST_BEFORE_OTHERS: Duration = Duration::from_millis(15);
/// So long it is waited for the writer, as by everybody else.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of so many that go on, one is an alarm, also while phones ask and report all the time.
const AN_ALARM_IN: u8 = 4;

/// On Postgres so many alarms are taken in at once; there are 20 connections.
const ALARMS_AT_ONCE: usize = 12;

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// A phone asks or reports: somebody holds it in their hand, and an alarm that came earlier is in it.
    Call,
    /// An alarm comes in.
    Alarm,
}

/// Those who wait for the writer.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// So many others want the writer for themselves.
    others: AtomicUsize,
    /// Places of alarms on Postgres.
    places: Arc<Semaphore>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { waiting: Mutex::default(), others: AtomicUsize::new(0), places: Arc::new(Semaphore::new(ALARMS_AT_ONCE)) }
    }
}

#[derive(Default)]
struct Waiting {
    /// Somebody has a transaction that is handed on, or is about to begin one.
    led: bool,
    calls: VecDeque<oneshot::Sender<Turn>>,
    alarms: VecDeque<oneshot::Sender<Turn>>,
    /// So many calls had their turn since an alarm did.
    calls_in_turn: u8,
}

/// What somebody who waits is told.
enum Turn {
    /// Begin a transaction.
    Begin(Right),
    /// Go on in this one.
    GoOn(Handed),
}

/// The right to begin a transaction that is handed on: there is one. Whoever lets go of it gives it to the next.
struct Right(Option<Arc<Queue>>);

/// A transaction on its way from one to the next. Whoever is gone by then passes it on all the same.
struct Handed(Option<Arc<Held<Group>>>);

/// A transaction, and who is in it so far.
struct Group {
    tx: Tx,
    began: Instant,
    /// Those who are ready, and wait for the commit.
    ready: Vec<oneshot::Sender<std::result::Result<(), Arc<StoreError>>>>,
    /// Last: the connection is free when the next one begins.
    right: Right,
}

/// The part of one operation in a transaction that several share. Dropped without [`Member::commit`] it leaves nothing behind.
pub(super) struct Member {
    group: OwnedMutexGuard<Group>,
    owner: Arc<Held<Group>>,
    stands: Stands,
}

enum Stands {
    /// Nothing was changed.
    Before,
    /// What was changed goes back to here; without a savepoint, where it is alone.
    Changing { place: Place, savepoint: bool },
    /// It is ready.
    Ready,
}

/// Wants the writer for itself.
pub(super) struct Other<'q>(&'q Queue);

impl Drop for Other<'_> {
    fn drop(&mut self) {
        self.0.others.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Waiting {
    /// Whoever is next, and still there.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        loop {
            let alarm = self.calls.is_empty() || self.calls_in_turn + 1 >= AN_ALARM_IN;
            let next = match alarm {
                true => self.alarms.pop_front().or_else(|| self.calls.pop_front()),
                false => self.calls.pop_front(),
            }?;
            self.calls_in_turn = if alarm { 0 } else { self.calls_in_turn + 1 };
            if !next.is_closed() {
                return Some(next);
            }
        }
    }
}

impl Queue {
    /// Somebody wants the writer for themselves, until this is dropped.
    pub(super) fn other(&self) -> Other<'_> {
        self.others.fetch_add(1, Ordering::Relaxed);
        Other(self)
    }

    /// A place among those who have a transaction of their own, as long as it is kept. Only alarms need one.
    ///
    /// # Errors
    /// When none can be had within 3 s.
    pub(super) async fn place(&self, haste: Haste) -> Result<Option<OwnedSemaphorePermit>> {
        match haste {
            Haste::Call => Ok(None),
            Haste::Alarm => match tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await {
                Ok(Ok(place)) => Ok(Some(place)),
                Ok(Err(_)) | Err(_) => Err(StoreError::Connection(sqlx::Error::PoolTimedOut)),
            },
        }
    }

    /// Takes part in a transaction: in one that is open, or in one that it begins.
    ///
    /// # Errors
    /// When the writer cannot be had within 3 s.
    pub(super) async fn join<F: Future<Output = Result<Tx>>>(
        self: &Arc<Self>,
        haste: Haste,
        begin: impl FnOnce() -> F,
    ) -> Result<Member> {
        let turn = match self.come(haste) {
            Ok(right) => Turn::Begin(right),
            Err(told) => match tokio::time::timeout(PATIENCE, told).await {
                Ok(Ok(turn)) => turn,
                Ok(Err(_)) | Err(_) => return Err(StoreError::Connection(sqlx::Error::PoolTimedOut)),
            },
        };
        let owner = match turn {
            Turn::Begin(right) => {
                let tx = begin().await?;
                Arc::new(Held::new(Group { tx, began: Instant::now(), ready: Vec::new(), right }))
            }
            Turn::GoOn(mut handed) => {
                let Some(owner) = handed.0.clone() else { return Err(StoreError::Silent) };
                let group = Arc::clone(&owner).lock_owned().await;
                // Nothing waits any more between here and where it is held again.
                handed.0 = None;
                return Member { group, owner, stands: Stands::Before }.begins().await;
            }
        };
        let group = Arc::clone(&owner).lock_owned().await;
        Member { group, owner, stands: Stands::Before }.begins().await
    }

    /// Whoever finds nobody there leads, the others wait.
    fn come(self: &Arc<Self>, haste: Haste) -> std::result::Result<Right, oneshot::Receiver<Turn>> {
        let mut waiting = self.waiting();
        if !std::mem::replace(&mut waiting.led, true) {
            return Ok(Right(Some(Arc::clone(self))));
        }
        let (tell, told) = oneshot::channel();
        match haste {
            Haste::Call => waiting.calls.push_back(tell),
            Haste::Alarm => waiting.alarms.push_back(tell),
        }
        Err(told)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        loop {
            let next = {
                let mut waiting = queue.waiting();
                let Some(next) = waiting.next() else {
                    waiting.led = false;
                    return;
                };
                next
            };
            match next.send(Turn::Begin(Self(Some(Arc::clone(&queue))))) {
                Ok(()) => return,
                // Gone in the meantime: what comes back is given to the next one, here and not by its own drop.
                Err(Turn::Begin(mut right)) => right.0 = None,
                Err(Turn::GoOn(_)) => {}
            }
        }
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        let Some(owner) = self.0.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let group = Arc::clone(&owner).lock_owned().await;
                go_on(group, &owner).await;
            });
        }
    }
}

impl Group {
    /// Hands the transaction on; false when nobody waits, or enough is in it.
    fn hand_on(&self, owner: &Arc<Held<Self>>) -> bool {
        let Some(queue) = &self.right.0 else { return false };
        let (most, longest) = match queue.others.load(Ordering::Relaxed) {
            0 => (MOST, LONGEST),
            _ => (MOST_BEFORE_OTHERS, LONGEST_BEFORE_OTHERS),
        };
        if self.ready.len() >= most || self.began.elapsed() >= longest {
            return false;
        }
        loop {
            let next = queue.waiting().next();
            let Some(next) = next else { return false };
            match next.send(Turn::GoOn(Handed(Some(Arc::clone(owner))))) {
                Ok(()) => return true,
                Err(Turn::GoOn(mut handed)) => handed.0 = None,
                Err(Turn::Begin(_)) => {}
            }
        }
    }

    /// Commits what everybody has changed, and tells them.
    async fn commit(&mut self) {
        if self.ready.is_empty() {
            // Rolled back as it is dropped.
            return;
        }
        let committed = self.tx.commit_so_far().await.map_err(Arc::new);
        self.tell(&committed);
    }

    fn tell(&mut self, became: &std::result::Result<(), Arc<StoreError>>) {
        for ready in self.ready.drain(..) {
            // Whoever has left does not hear it.
            let _ = ready.send(became.clone());
        }
    }
}

/// Somebody else goes on, or it is committed.
async fn go_on(mut group: OwnedMutexGuard<Group>, owner: &Arc<Held<Group>>) {
    if !group.hand_on(owner) {
        group.commit().await;
    }
}

/// Undoes what one has changed; then the others go on.
async fn go_back(mut group: OwnedMutexGuard<Group>, owner: &Arc<Held<Group>>, place: Place) {
    let gone_back = match tokio::time::timeout(ROLLBACK_WITHIN, group.tx.back_to(place)).await {
        Ok(gone_back) => gone_back,
        Err(_) => Err(StoreError::Silent),
    };
    match gone_back {
        Ok(()) => go_on(group, owner).await,
        // Nobody knows what is in it now: a full disk ends a transaction by itself, for example.
        Err(error) => {
            group.tx.is_broken();
            group.tell(&Err(Arc::new(error)));
        }
    }
}

impl Member {
    async fn begins(mut self) -> Result<Self> {
        // Alone it needs none: then everything goes back.
        let savepoint = !self.group.ready.is_empty();
        if savepoint {
            self.group.tx.mark().await?;
        }
        let place = self.group.tx.place();
        self.stands = Stands::Changing { place, savepoint };
        Ok(self)
    }

    /// The transaction.
    pub(super) fn tx(&mut self) -> &mut Tx {
        &mut self.group.tx
    }

    /// Leaves what it has changed to be committed, by whoever is last, and waits for that.
    ///
    /// # Errors
    /// When the database cannot commit; nothing of anybody's was changed then, unless the connection broke at the commit itself.
    pub(super) async fn commit(mut self) -> Result<()> {
        if matches!(self.stands, Stands::Changing { savepoint: true, .. }) {
            // It fails where the database has ended the transaction by itself.
            self.group.tx.keep().await?;
        }
        if let Stands::Changing { place, .. } = std::mem::replace(&mut self.stands, Stands::Ready) {
            self.group.tx.with(place);
        }
        let (tell, told) = oneshot::channel();
        self.group.ready.push(tell);
        // Goes on.
        drop(self);
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StoreError::Together(error)),
            Err(_) => Err(StoreError::Silent),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Whoever comes next gets it as soon as this is gone.
        let owner = Arc::clone(&self.owner);
        let runtime = tokio::runtime::Handle::try_current().ok();
        match std::mem::replace(&mut self.stands, Stands::Ready) {
            Stands::Changing { place, savepoint: true } => {
                if let Some(runtime) = runtime {
                    self.group.tx.gives_up();
                    runtime.spawn(async move { go_back(Arc::clone(&owner).lock_owned().await, &owner, place).await });
                }
            }
            // It was alone: as its transaction is dropped, it is rolled back.
            Stands::Changing { savepoint: false, .. } => {}
            Stands::Before | Stands::Ready => {
                if !self.group.hand_on(&owner)
                    && let Some(runtime) = runtime
                {
                    runtime.spawn(async move { Arc::clone(&owner).lock_owned().await.commit().await });
                }
            }
        }
    }
}
