//! What a node remembers of the database, until something is announced that may have changed it.
//!
//! Whoever reads something in order to remember it notes the generation before, and keeps what was read only when that is still the same:
//! a change that was announced meanwhile may be missing in it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::Announcement;

/// What is remembered.
pub trait Remembered {
    /// Whether what was announced may have changed it.
    fn concerns(announcement: &Announcement) -> bool;

    /// Forgets what may not be so any more.
    fn forget(&mut self);
}

/// Something that is remembered by generations: each begins with an announcement that concerns it.
pub struct Generation<T>(Mutex<Memory<T>>);

struct Memory<T> {
    announcements: Receiver<Announcement>,
    generation: u64,
    remembered: T,
}

/// It as it is now, while nobody else looks.
pub struct Now<'g, T>(MutexGuard<'g, Memory<T>>);

impl<T: Remembered> Generation<T> {
    /// Remembers this, and hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>, remembered: T) -> Self {
        Self(Mutex::new(Memory { announcements, generation: 0, remembered }))
    }

    /// It as it is now, after all that was announced.
    pub fn now(&self) -> Now<'_, T> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match memory.announcements.try_recv() {
                Ok(announcement) if !T::concerns(&announcement) => {}
                // Who lagged behind may have missed one that does.
                Ok(_) | Err(TryRecvError::Lagged(_)) => memory.forget(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Now(memory),
            }
        }
    }
}

impl<T: Remembered> Memory<T> {
    fn forget(&mut self) {
        self.generation += 1;
        self.remembered.forget();
    }
}

impl<T: Remembered> Now<'_, T> {
    /// Which generation it is of.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Begins the next generation.
    pub fn forget(&mut self) {
        self.0.forget();
    }
}

impl<T> Deref for Now<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.remembered
    }
}

impl<T> DerefMut for Now<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.remembered
    }
}

impl<T> fmt::Debug for Generation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generation")
    }
}
