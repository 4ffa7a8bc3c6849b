//! The server's own sign of life: it calls an address every minute, so that somebody notices when it does not.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;

use crate::engine::Engine;
use crate::kinds::guard::{GuardedResolver, check_url};
use crate::net::unanswered;

/// How often the address is called.
pub const EVERY: Duration = Duration::from_mins(1);

/// Calls the configured address every minute until dropped; does nothing without one.
pub async fn run(engine: Arc<Engine>, client: Client, every: Duration) {
    if engine.config.notify.ping_url.is_none() {
        return;
    }
    let guard = GuardedResolver::new(&engine.config.notify.allow_networks);
    loop {
        once(&engine, &client, &guard).await;
        tokio::time::sleep(every).await;
    }
}

/// Calls the configured address once; true when it took it.
pub async fn once(engine: &Engine, client: &Client, guard: &GuardedResolver) -> bool {
    let Some(address) = &engine.config.notify.ping_url else { return false };
    // Only while this server can do its work: one that cannot keep alarms must look dead.
    if let Some(wrong) = engine.what_is_wrong().await.first() {
        tracing::warn!("no sign of life is sent: {}", wrong.sentence());
        return false;
    }
    let url = match check_url(address.expose(), guard) {
        Ok(url) => url,
        Err(error) => {
            tracing::error!(%error, "no sign of life is sent");
            return false;
        }
    };
    match client.get(url).send().await.and_then(reqwest::Response::error_for_status) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(error = unanswered::why(error), "the sign of life was not taken");
            false
        }
    }
}
