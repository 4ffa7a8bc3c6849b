//! What requests are answered with: the parts that every face of the server shares.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::config::Config;
use crate::engine::Engine;
use crate::http::bodies::Bodies;
use crate::http::prefix::Prefix;
use crate::net::secured::Secured;

/// What requests are answered with.
pub struct App {
    /// Alarms and dials.
    pub engine: Arc<Engine>,
    /// Who asks.
    pub access: Arc<Access>,
    /// Room for the bodies that are being read.
    pub bodies: Bodies,
    /// Room for the recordings that are being read.
    pub recordings: Bodies,
    /// The path in front of everything.
    pub prefix: Prefix,
    /// Whose certificate is shown, where TLS is spoken on an address of its own.
    pub secured: Option<Arc<Secured>>,
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
