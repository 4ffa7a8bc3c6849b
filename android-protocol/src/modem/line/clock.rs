//! The time of a modem: how long its answers may take, and how often it is asked.

use std::time::Duration;

use tokio::time::Instant;

/// A clock that can run faster than the wall's, for tests of what takes minutes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    began: Instant,
    speed: f64,
}

impl Pace {
    /// Begins now.
    #[must_use]
    pub fn new(speed: f64) -> Self {
        Self { began: Instant::now(), speed: if speed.is_finite() { speed.clamp(0.1, 1000.0) } else { 1.0 } }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    /// When so much will have passed.
    #[must_use]
    pub fn deadline(&self, after: Duration) -> Instant {
        Instant::now() + after.div_f64(self.speed)
    }

    /// When this time will be.
    #[must_use]
    pub fn instant(&self, at: Duration) -> Instant {
        self.began + at.div_f64(self.speed)
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep_until(self.deadline(time)).await;
    }
}
