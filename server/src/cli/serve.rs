//! `autocall serve`: run until told to stop.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::first_steps::first_steps;
use super::upkeep::reload::Reload;
use super::{Settings, stop_when_asked};
use crate::clock::Clock;
use crate::config::Loaded;
use crate::keep::pairing;
use crate::net::given::Given;
use crate::service::Service;
use crate::telemetry;

pub(super) async fn serve(settings: Settings, loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { config, warnings, .. } = loaded;
    let log = telemetry::init_logging(&config.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (listen, data_dir) = (config.listen, config.data_dir.clone());
    let given = Given::to_this_process().for_requests().context("the socket that was given with LISTEN_FDS cannot be used")?;
    let listener = match given {
        Some(given) => {
            tracing::info!("requests are taken on a socket that was given (LISTEN_FDS); `listen` is not used");
            given
        }
        None => {
            let bound = TcpListener::bind(listen).await;
            bound.with_context(|| format!("cannot listen on {listen}: choose another with --listen"))?
        }
    };
    let clock = Clock::measured();
    let service = Service::build(config, listener, clock).await?;
    // For `autocall handset add`, which prints where phones reach this server.
    if let Err(error) = pairing::write_address(&data_dir, service.address()) {
        tracing::debug!(%error, "the server's address could not be written down");
    }
    // For all other commands, which must work on the same database.
    if let Err(error) = service.app().engine.store.leave_note(&data_dir).await {
        tracing::debug!(%error, "which database this server uses could not be written down");
    }
    let shutdown = CancellationToken::new();
    let app = service.app();
    stop_when_asked(&shutdown, Some(Reload { settings, engine: Arc::clone(&app.engine), secured: app.secured.clone(), log }))?;
    if let Some(first_login) = service.pages().first_login().told(service.address()) {
        tell(&first_steps(app.config(), service.address(), &first_login));
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %service.address(), "listening");
    service.run(shutdown).await;
    tracing::info!("stopped");
    Ok(())
}

/// To the terminal, where there is one, since it may hold what no log is to keep; else to the log, line by line.
fn tell(steps: &[String]) {
    let mut stdout = std::io::stdout();
    for step in steps {
        if stdout.is_terminal() {
            // Whoever listened may have left; the server runs all the same.
            let _ = writeln!(stdout, "{step}\n");
        } else {
            tracing::info!("{step}");
        }
    }
}
