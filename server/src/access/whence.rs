//! From where a request comes, for the audit log: the address behind trusted proxies.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{Access, doors};
use crate::store::audit::whence;

/// Serves a request for whoever asks from its address. Also one that only reads may leave a line: somebody's file is taken out, a recording is
/// heard.
pub async fn noted(State(access): State<Arc<Access>>, peer: ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let address = doors::caller(peer.0, request.headers(), &access.config.http).address;
    whence::asked_from(Some(address), next.run(request)).await
}
