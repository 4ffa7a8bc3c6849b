//! What a trunk depends on besides the trunk itself: where its name leads, our own address, and time. Tests put their own in place of the world's.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// Where names lead, in the order in which they are found now.
pub type Names = Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync>;

/// Which address we have.
pub type OwnAddress = Arc<dyn Fn() -> IpAddr + Send + Sync>;

/// The world, or what a test has in its place.
#[derive(Clone)]
pub struct Surroundings {
    /// In place of looking the trunk's name up.
    pub names: Option<Names>,
    /// In place of asking the system.
    pub own: Option<OwnAddress>,
    /// How many times faster than the wall clock the pauses between two questions pass.
    pub speed: f64,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { names: None, own: None, speed: 1.0 }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("speed", &self.speed).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// How long a pause lasts here.
    #[must_use]
    pub fn pause(&self, time: Duration) -> Duration {
        time.div_f64(if self.speed.is_finite() { self.speed.clamp(0.1, 1000.0) } else { 1.0 })
    }
}
