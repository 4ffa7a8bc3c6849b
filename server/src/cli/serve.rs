//! `autocall serve`: run until told to stop.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Loaded;
use crate::handset::pairing;
use crate::service::Service;
use crate::telemetry;

pub(super) async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { config, warnings } = loaded;
    telemetry::init_logging(&config.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (listen, data_dir) = (config.listen, config.data_dir.clone());
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}: choose another with --listen"))?;
    let clock = Clock::measured();
    let service = Service::build(config, listener, clock).await?;
    // For `autocall handset add`, which prints where phones reach this server.
    if let Err(error) = pairing::write_address(&data_dir, service.address()) {
        tracing::debug!(%error, "the server's address could not be written down");
    }
    let shutdown = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %service.address(), "listening");
    service.run(shutdown).await;
    tracing::info!("stopped");
    Ok(())
}
