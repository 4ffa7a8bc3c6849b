//! The body of a request on its way: how long it may take, and what becomes of it when nobody reads it.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::seats::{Doing, Seat};

/// What nobody read of a body is taken off the connection, so that it can be used again, when it is no longer than this …
const DRAIN_BYTES: u64 = 256 * 1024;
/// … and here so soon.
const DRAIN_WITHIN: Duration = Duration::from_millis(100);

/// Why a body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It takes too long.
    #[error("the body did not arrive within {} s", .0.as_secs())]
    Slow(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// Whether a body was not read because it took too long.
#[must_use]
pub fn is_slow(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(BodyError::Slow(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A body on its way.
pub(crate) struct Arriving {
    /// Gone when it was read to its end.
    incoming: Option<Incoming>,
    left: Left,
    seat: Seat,
    within: Duration,
    late: Pin<Box<Sleep>>,
}

/// What is left of a body that was not read to its end.
#[derive(Clone, Default)]
pub(crate) struct Left(Arc<Mutex<Rest>>);

#[derive(Default)]
enum Rest {
    /// Somebody may still read it.
    #[default]
    Held,
    /// It was let go.
    Unread(Incoming),
    /// Nothing.
    Read,
}

impl Arriving {
    pub(crate) fn new(incoming: Incoming, seat: Seat, within: Duration) -> (Self, Left) {
        let left = Left::default();
        let late = Box::pin(tokio::time::sleep(within));
        (Self { incoming: Some(incoming), left: left.clone(), seat, within, late }, left)
    }

    fn all_read(&mut self) {
        self.incoming = None;
        self.left.set(Rest::Read);
        self.seat.turn(Doing::Working);
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.incoming.as_ref().is_some_and(Body::is_end_stream) {
                    self.all_read();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Ready(None) => {
                self.all_read();
                Poll::Ready(None)
            }
            Poll::Pending => match self.late.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Slow(self.within)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            self.left.set(Rest::Unread(incoming));
        }
    }
}

impl Left {
    fn set(&self, rest: Rest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }

    /// Takes what is left off the connection, as far as it is short and has come; false when something stays. `may_wait` is
    /// false when the client waits for leave to send it.
    pub(crate) async fn drained(&self, may_wait: bool) -> bool {
        let rest = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut incoming = match rest {
            Rest::Read => return true,
            Rest::Held => return false,
            Rest::Unread(incoming) => incoming,
        };
        if !may_wait || incoming.size_hint().lower() > DRAIN_BYTES {
            return false;
        }
        let mut taken = 0;
        let all = async {
            while let Some(frame) = incoming.frame().await {
                let Ok(frame) = frame else { return false };
                taken += frame.data_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                if taken > DRAIN_BYTES {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(DRAIN_WITHIN, all).await.unwrap_or(false)
    }
}

/// An answer on its way out: tells its connection when all of it was handed over.
pub(crate) struct Leaving {
    answer: axum::body::Body,
    seat: Seat,
}

impl Leaving {
    pub(crate) fn new(answer: axum::body::Body, seat: Seat) -> Self {
        Self { answer, seat }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.answer).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.seat.set_answered();
    }
}

/// For the compiler: a router never fails.
pub(crate) fn never<T>(never: Infallible) -> T {
    match never {}
}
