//! One look for all: after an announcement, and each second, a node reads once what is due, and wakes as many of the handsets that wait
//! as there is to do. Ten thousand long polls cost what one costs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use super::waiting::{Due, Ticket, Waiting, Who};
use crate::engine::Engine;
use crate::ids::HandsetId;
use crate::store::watch::handsets::Doors;
use crate::store::{Announcement, StoreError};

/// Looks again this often, for what becomes due by the mere passing of time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longer than every time limit of the database together: a connection that went dead without a word must not end the looking.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// Whether handsets are let in is not read again sooner than this, however often they tell of themselves, unless something is due.
const DOORS_AGAIN: Duration = Duration::from_millis(250);
/// Whoever looks at a clock that ran a little slow looks once more, not a thousand times.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// The handsets that wait on this node.
#[derive(Debug, Default)]
pub struct Lookout {
    /// For somebody to ring.
    pub calls: Arc<Room>,
    /// For commands.
    pub commands: Arc<Room>,
    looks: AtomicU64,
}

/// Where handsets wait for one kind of thing.
#[derive(Debug, Default)]
pub struct Room(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    waiting: Waiting,
    bells: HashMap<Ticket, Arc<Bell>>,
    /// As whom handsets are let in, as far as that is known.
    doors: Option<Arc<HashMap<HandsetId, Doors>>>,
}

#[derive(Debug)]
struct Bell {
    ring: Notify,
    handset: HandsetId,
    came_as: Doors,
}

/// A place in a room. Dropped, it is left with nothing, and the next one is woken instead.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    ticket: Ticket,
    bell: Arc<Bell>,
    found: bool,
}

impl Lookout {
    /// How often it was read what is due.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    fn nobody_waits(&self) -> bool {
        self.calls.waiting() + self.commands.waiting() == 0
    }

    /// What is known of the doors, for those who wait and those who come; whoever is not let in any more is woken.
    fn let_in(&self, doors: Option<HashMap<HandsetId, Doors>>) {
        let doors = doors.map(Arc::new);
        for room in [&self.calls, &self.commands] {
            let mut inside = room.inside();
            inside.doors.clone_from(&doors);
            for bell in inside.bells.values().filter(|bell| inside.lets_in(bell) == Some(false)) {
                bell.ring.notify_one();
            }
        }
    }
}

impl Room {
    /// Takes a place for a handset that came like this. It looks first of all, by itself.
    #[must_use]
    pub fn come(self: &Arc<Self>, who: Who, came_as: Doors) -> Seat {
        let bell = Arc::new(Bell { ring: Notify::new(), handset: who.handset, came_as });
        let mut inside = self.inside();
        let ticket = inside.waiting.come(who);
        inside.bells.insert(ticket, Arc::clone(&bell));
        Seat { room: Arc::clone(self), ticket, bell, found: false }
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inside().bells.len()
    }

    fn heard(&self, due: Due) {
        let mut inside = self.inside();
        let woken = inside.waiting.heard(due);
        inside.ring(&woken);
    }

    fn handsets(&self) -> Vec<HandsetId> {
        self.inside().waiting.handsets().collect()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn ring(&self, woken: &[Ticket]) {
        for bell in woken.iter().filter_map(|ticket| self.bells.get(ticket)) {
            bell.ring.notify_one();
        }
    }

    fn lets_in(&self, bell: &Bell) -> Option<bool> {
        self.doors.as_ref().map(|doors| doors.get(&bell.handset) == Some(&bell.came_as))
    }
}

impl Seat {
    /// There was nothing for it: the next one looks instead, and this one sleeps until there may be something, or it is not let in any more.
    pub async fn sleep(&self) {
        {
            let mut inside = self.room.inside();
            let woken = inside.waiting.sleep(self.ticket);
            inside.ring(&woken);
        }
        self.bell.ring.notified().await;
    }

    /// Whether it is let in as it was when it came; `None` when this is not known without asking.
    #[must_use]
    pub fn is_let_in(&self) -> Option<bool> {
        self.room.inside().lets_in(&self.bell)
    }

    /// It leaves with what it found.
    pub fn leave(mut self) {
        self.found = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inside = self.room.inside();
        inside.bells.remove(&self.ticket);
        let woken = inside.waiting.leave(self.ticket, self.found);
        inside.ring(&woken);
    }
}

impl Engine {
    /// Reads what is due after each announcement and each second, until dropped, and wakes who waits for it.
    pub async fn keep_lookout(&self) {
        let mut changes = self.store.subscribe();
        let mut doors_differ = true;
        let mut doors_read: Option<Instant> = None;
        let mut noted = Instant::now();
        loop {
            // What was announced until here is in what is read now.
            doors_differ |= hear(&mut changes);
            let with_commands = self.lookout.commands.waiting() > 0;
            let looked = tokio::time::timeout(LOOK_WITHIN, self.idle.look(&self.store, with_commands)).await;
            self.lookout.looks.fetch_add(1, Ordering::Relaxed);
            // Who was put out before something became due must not be woken for it.
            doors_differ |= hear(&mut changes);
            let now = self.clock.now();
            let facts = looked.ok().flatten();
            let due = facts.as_ref().map(|facts| facts.due(now));
            let something_due =
                due.as_ref().is_some_and(|(calls, commands)| *calls != Due::default() || *commands != Due::default());
            if doors_differ && (something_due || doors_read.is_none_or(|at| at.elapsed() >= DOORS_AGAIN)) {
                doors_differ = !self.read_doors().await;
                doors_read = Some(Instant::now());
            }
            if let Some((calls, commands)) = due
                && !(something_due && doors_differ && !self.lookout.nobody_waits())
            {
                self.lookout.calls.heard(calls);
                self.lookout.commands.heard(commands);
            }
            if noted.elapsed() >= LOOK_AGAIN {
                noted = Instant::now();
                self.presence.still_there(&self.lookout.calls.handsets(), now);
            }
            let next_due = facts.as_ref().and_then(|facts| facts.next_due_after(now));
            let mut pause = next_due.and_then(|at| (at - now).to_std().ok()).map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            if doors_differ && !self.lookout.nobody_waits() {
                pause = pause.min(DOORS_AGAIN);
            }
            doors_differ |= tokio::time::timeout(pause.max(SHORTEST_PAUSE), next_change(&mut changes)).await.unwrap_or(false);
        }
    }

    /// Reads as whom handsets are let in; false when that failed.
    async fn read_doors(&self) -> bool {
        if self.lookout.nobody_waits() {
            self.lookout.let_in(None);
            return false;
        }
        let read = async {
            let doors = self.store.read().await?.db().doors().await?;
            Ok::<_, StoreError>(doors)
        };
        match tokio::time::timeout(LOOK_WITHIN, read).await {
            Ok(Ok(doors)) => {
                self.lookout.let_in(Some(doors));
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "who is let in could not be read again");
                self.lookout.let_in(None);
                false
            }
            Err(_) => {
                self.lookout.let_in(None);
                false
            }
        }
    }
}

/// Takes in what was announced; true when handsets may be let in otherwise than before.
fn hear(changes: &mut Receiver<Announcement>) -> bool {
    let mut doors_differ = false;
    loop {
        match changes.try_recv() {
            Ok(change) => doors_differ |= is_of_doors(&change),
            Err(TryRecvError::Lagged(_)) => doors_differ = true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return doors_differ,
        }
    }
}

/// Waits until something is announced after which something may be due; true when handsets may be let in otherwise than before.
async fn next_change(changes: &mut Receiver<Announcement>) -> bool {
    loop {
        match changes.recv().await {
            Ok(Announcement::Calls | Announcement::Live | Announcement::People | Announcement::Keys) => {}
            Ok(change) => return is_of_doors(&change),
            Err(RecvError::Lagged(_)) => return true,
            // The store is gone, and the task that runs this soon will be.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn is_of_doors(change: &Announcement) -> bool {
    matches!(change, Announcement::Handsets | Announcement::Missed)
}
