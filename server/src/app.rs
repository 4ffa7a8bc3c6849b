//! What requests are answered with: the parts that every face of the server shares.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::dashboard::Dashboard;
use crate::engine::Engine;
use crate::handset::directory::Directory;
use crate::handset::guard::Guard;
use crate::handset::knocks::Knocks;
use crate::http::bodies::Bodies;
use crate::http::rate::Rates;
use crate::intake::keys::Keys;

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
