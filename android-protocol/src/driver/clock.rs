//! The handset's own clock: Unix time at the start, and from then on what really passed.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A clock that goes on while the phone sleeps, and does not jump when somebody sets it.
///
/// Two processes agree about it as far as the phone's calendar was right when each began: the journal of one is read by the next.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Duration,
    since: Duration,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { began: read(ClockId::Realtime), since: read(ClockId::Boottime) }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began + read(ClockId::Boottime).saturating_sub(self.since)
    }
}

fn read(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    // Before 1970 is as good as 1970.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
