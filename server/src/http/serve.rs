//! Accepting connections: one task each, a limit on their number, and the right to drop one without an answer.
//!
//! A handset forgets its result on any HTTP reply, so a report that could not be stored must not be answered at all. That is why
//! each request carries a [`Hangup`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// A client that has not sent its request head by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest that open requests may take once the server is stopping.
const DRAIN: Duration = Duration::from_secs(8);

/// Drops the connection of the request that carries it, without an answer.
#[derive(Clone, Debug)]
pub struct Hangup(CancellationToken);

impl Hangup {
    /// Drops the connection; the handler never gets further.
    pub async fn now(&self) -> std::convert::Infallible {
        self.0.cancel();
        std::future::pending().await
    }
}

/// Serves until `stop` is cancelled, then lets open requests finish for a short while.
pub async fn serve(listener: TcpListener, router: Router, max_connections: usize, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(max_connections));
    let tasks = TaskTracker::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (router.clone(), stop.clone());
                tasks.spawn(async move {
                    connection(stream, peer, router, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors, most likely: give connections time to end.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN + Duration::from_secs(1), tasks.wait()).await.is_err() {
        tracing::warn!("some requests did not end in time and were dropped");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // An answer is one small packet; waiting to fill it would only delay it.
    let _ = stream.set_nodelay(true);
    let hangup = CancellationToken::new();
    let service = {
        let hangup = Hangup(hangup.clone());
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(hangup.clone());
            router.clone().oneshot(request)
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = hangup.cancelled() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => {}
        () = hangup.cancelled() => {}
        () = tokio::time::sleep(DRAIN) => {}
    }
}
