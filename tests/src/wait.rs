//! Waits for a condition, with a deadline and a message that says what never came.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long [`eventually`] rests between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks until `look` returns something, and returns that.
///
/// # Panics
///
/// When `deadline` has passed: "waited 5s for WHAT, in vain". A look that hangs counts as having seen nothing.
pub async fn eventually<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Ok(Some(found)) = tokio::time::timeout_at(end, look()).await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} for {what}, in vain");
        sleep(INTERVAL).await;
    }
}
