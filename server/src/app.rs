//! What requests are answered with: the parts that every face of the server shares.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::directory::Directory;
use crate::access::guard::Guard;
use crate::access::knocks::Knocks;
use crate::access::rates::Rates;
use crate::api::keys::Keys;
use crate::config::Config;
use crate::dashboard::Dashboard;
use crate::engine::Engine;
use crate::http::bodies::Bodies;

/// What requests are answered with.
pub struct App {
    /// Alarms and dials.
    pub engine: Arc<Engine>,
    /// Which handsets ask.
    pub directory: Directory,
    /// Who tried wrong tokens.
    pub guard: Guard,
    /// Keys of senders.
    pub keys: Keys,
    /// How much each sender sends.
    pub rates: Rates,
    /// Room for the bodies that are being read.
    pub bodies: Bodies,
    /// Which phones knocked.
    pub knocks: Knocks,
    /// The pages.
    pub dashboard: Dashboard,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
}

impl App {
    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.engine.config
    }
}
