//! From where a request that may change something comes, for the audit log: the address behind trusted proxies.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::{Access, doors};
use crate::store::audit::whence;

/// Serves a request for whoever asks from its address. What only reads leaves no line and need not be told apart.
pub async fn noted(State(access): State<Arc<Access>>, peer: ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let address = doors::caller(peer.0, request.headers(), &access.config.http).address;
    whence::asked_from(Some(address), next.run(request)).await
}
