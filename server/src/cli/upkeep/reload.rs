//! What SIGHUP does: the configuration is read anew, and taken over as far as it can change while the server runs.

use std::sync::Arc;

use crate::cli::Settings;
use crate::engine::Engine;
use crate::net::secured::Secured;
use crate::telemetry::LogControl;

/// A server that reads its configuration anew.
pub(in crate::cli) struct Reload {
    pub(in crate::cli) settings: Settings,
    pub(in crate::cli) engine: Arc<Engine>,
    pub(in crate::cli) secured: Option<Arc<Secured>>,
    pub(in crate::cli) log: LogControl,
}

impl Reload {
    /// Reads it whole; only what is right all through is taken over. Files of detail records are opened anew
    /// in any case, and those of the certificate read.
    pub(in crate::cli) fn hang_up(&self) {
        if self.engine.shout_logs.folder().is_some() {
            tracing::info!("SIGHUP: the files of detail records are opened anew");
            self.engine.shout_logs.reopen.notify_one();
        }
        if let Some(secured) = &self.secured {
            secured.look_again(true);
        }
        let read = match self.settings.read() {
            Ok(read) => read,
            Err(error) => {
                let told = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
                tracing::error!("SIGHUP: {told}; nothing has changed");
                return;
            }
        };
        let changed = match self.engine.config.take_over(&read.config) {
            Ok(changed) => changed,
            Err(error) => {
                tracing::error!("SIGHUP: {error}; nothing has changed");
                return;
            }
        };
        for warning in read.warnings {
            tracing::warn!("{warning}");
        }
        if !changed.now.is_empty() {
            tracing::info!("SIGHUP: the configuration was read anew; from now on it holds for {}", changed.now.join(", "));
        }
        if !changed.at_start.is_empty() {
            tracing::warn!("SIGHUP: what is new for {} holds only when the server is started again", changed.at_start.join(", "));
        }
        if changed.now.is_empty() && changed.at_start.is_empty() {
            tracing::info!("SIGHUP: the configuration was read anew and says the same as before");
        }
        // Last: with the filter of before or with this one, somebody reads it.
        if changed.now.contains(&"log.filter") {
            let filter = &self.engine.config.log.filter;
            match self.log.set(filter) {
                Ok(()) => tracing::info!("SIGHUP: from now on the log is written by the filter {filter}"),
                Err(error) => tracing::error!(%error, "SIGHUP: the log goes on as before"),
            }
        }
    }
}
