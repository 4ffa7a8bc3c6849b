//! The HTTP client of handsets.

use std::{error::Error, time::Duration};

use thiserror::Error;

use crate::http::{HttpReply, Method, Request};

/// The longest reply that is read; the server's are a few kilobytes.
const LONGEST_REPLY: usize = 1 << 20;

/// Why no reply came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoReply(String);

impl NoReply {
    fn from(error: &reqwest::Error) -> Self {
        let what = if error.is_timeout() { "no reply in time" } else { "no connection" };
        // The address holds a token: what is told is the innermost cause, which never names it.
        let mut innermost = error.source();
        while let Some(deeper) = innermost.and_then(Error::source) {
            innermost = Some(deeper);
        }
        Self(innermost.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}")))
    }
}

/// What the client is made of. Who does the arithmetic of TLS is chosen here, unless the process has chosen already.
///
/// Redirects are not followed: a report that is sent elsewhere as a GET would be lost without anybody noticing.
#[expect(clippy::disallowed_methods, reason = "the place that has chosen before")]
pub fn builder() -> reqwest::ClientBuilder {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that somebody else was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}

/// Sends one request.
///
/// # Errors
///
/// If no reply came in time, or one that is too long.
pub async fn send(client: &reqwest::Client, request: Request) -> Result<HttpReply, NoReply> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let mut sent = client.request(method, &request.url).timeout(request.timeout);
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    if request.method == Method::Post {
        sent = sent.body(request.body);
    }
    let mut reply = sent.send().await.map_err(|error| NoReply::from(&error))?;
    let status = reply.status().as_u16();
    let headers = reply
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = Vec::new();
    while let Some(piece) = reply.chunk().await.map_err(|error| NoReply::from(&error))? {
        if body.len() + piece.len() > LONGEST_REPLY {
            return Err(NoReply("the reply is longer than any of this server's".to_owned()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(HttpReply { status, headers, body, takes: Duration::ZERO })
}
