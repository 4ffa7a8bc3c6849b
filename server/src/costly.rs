//! Work whose cost somebody else's input decides, such as a calendar file: on a thread of its own, never inside a transaction, only a
//! little of it at once, and not for ever.
//!
//! Whatever does such work counts its steps ([`Effort`](crate::effort::Effort)) and gives up by itself; the time limit here is the last resort, for what
//! nobody thought to count. It is long, so that a busy machine does not refuse what an idle one takes.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::effort::Stop;

/// Longest that one piece of work may run.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Longest that it may wait for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Threads do not stop when nobody waits for them any more, so there may never be many.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Why work was not done to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CostlyError {
    /// Others are at it.
    #[error("the server is busy with other files and plans: try again in a moment")]
    Busy,
    /// It was given up.
    #[error("this takes longer than {} seconds: ask for less, or give a smaller file", LONGEST.as_secs())]
    TooLong,
}

/// Asks work to stop when the one who waits for it leaves.
struct AskOnDrop(Stop);

impl Drop for AskOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Does work on a thread that serves nobody else. When the caller leaves or the time is up, `work` is asked to stop; its thread is
/// free as soon as it heeds that.
///
/// # Errors
/// When it takes too long, or too much of the kind is under way.
pub async fn run<T: Send + 'static>(work: impl FnOnce(&Stop) -> T + Send + 'static) -> Result<T, CostlyError> {
    let turn = tokio::time::timeout(TURN_WITHIN, TURNS.acquire()).await;
    let Ok(Ok(turn)) = turn else { return Err(CostlyError::Busy) };
    let stop = AskOnDrop(Stop::default());
    let own = stop.0.clone();
    let working = tokio::task::spawn_blocking(move || {
        let done = work(&own);
        drop(turn);
        done
    });
    match tokio::time::timeout(LONGEST, working).await {
        Ok(Ok(done)) => Ok(done),
        // It panicked, or the runtime ends.
        Ok(Err(_)) | Err(_) => Err(CostlyError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[tokio::test]
    async fn whoever_leaves_stops_the_work() {
        let (heeded, mut was_heeded) = tokio::sync::mpsc::channel(1);
        let work = run(move |stop| {
            while !stop.is_asked() {
                std::thread::yield_now();
            }
            heeded.blocking_send(()).unwrap();
        });
        // Nobody waits any longer than for its beginning.
        assert!(tokio::time::timeout(Duration::from_millis(100), work).await.is_err());
        assert_eq!(was_heeded.recv().await, Some(()));
    }
}
