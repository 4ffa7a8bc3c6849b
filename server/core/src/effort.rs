//! Steps of work whose cost somebody else's input decides, counted, so that it gives up by itself; and how it is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many steps may the rules of one file take. A rule that gives a shift each hour for ten years takes 90,000.
pub const MOST_STEPS: u32 = 100_000;

/// Asks work to stop. Clones ask the same work.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether nobody wants the result any more.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// More steps were needed than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its rules take more than {MOST_STEPS} steps: give them an end (UNTIL or COUNT), begin them later, or make several files of it"
)]
pub struct TooManySteps;

/// The steps that are left for one file.
#[derive(Debug)]
pub struct Effort<'s> {
    left: u32,
    stop: &'s Stop,
}

impl<'s> Effort<'s> {
    /// All of them.
    #[must_use]
    pub fn new(stop: &'s Stop) -> Self {
        Self { left: MOST_STEPS, stop }
    }

    /// Takes a step.
    ///
    /// # Errors
    /// When there is none left, or nobody wants the result any more.
    pub fn step(&mut self) -> Result<(), TooManySteps> {
        if self.stop.is_asked() {
            return Err(TooManySteps);
        }
        self.left = self.left.checked_sub(1).ok_or(TooManySteps)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn steps_come_to_an_end() {
        let stop = Stop::default();
        let mut effort = Effort::new(&stop);
        assert_eq!((0..MOST_STEPS).filter(|_| effort.step().is_ok()).count(), usize::try_from(MOST_STEPS).unwrap());
        assert_eq!(effort.step(), Err(TooManySteps));
        stop.ask();
        assert_eq!(Effort::new(&stop).step(), Err(TooManySteps));
    }
}
