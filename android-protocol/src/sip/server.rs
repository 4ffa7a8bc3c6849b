//! The native protocol over HTTP: what the handset asks, and what it hears.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::live::{Incoming, IncomingReply, LiveEvents, LiveReply};
use crate::wire::{
    NativeReport, Outbox, OutboxResult, PROTOCOL_HEADER, PROTOCOL_VERSION, PollReply, Progress, ReplyError, Status,
};

/// How long the server may hold a poll.
pub const WAIT: Duration = Duration::from_secs(20);

/// How long any other request may take. A key is asked again soon, so it is short.
const TIMEOUT: Duration = Duration::from_secs(8);

/// How long a recording may take on its way: longer than the server waits for it, so that it is told why.
const MEDIA_TIMEOUT: Duration = Duration::from_mins(2);

/// The longest recording that is played.
const MOST_MEDIA: usize = 5 << 20;

/// What the server says to a question for a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// It is the one that is here already.
    Unchanged,
    /// This.
    Fresh(Vec<u8>),
}

/// Why a request brought nothing.
#[derive(Debug, Error)]
pub enum ServerError {
    /// No reply.
    #[error("the server cannot be reached: {}", without_address(.0))]
    Unreachable(#[source] reqwest::Error),
    /// A reply that is no success.
    #[error("the server answers {0}{hint}", hint = if matches!(.0, 401 | 403 | 404) { ": check agent.server, which holds the handset's token" } else { "" })]
    Status(u16),
    /// A reply that is none of the protocol.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

impl ServerError {
    /// What the server answered, where that was no success.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::Status(status) = self { Some(*status) } else { None }
    }
}

/// The innermost reason: the outer ones name the address, and with it the token.
fn without_address(why: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = why;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if std::ptr::addr_eq(inner, why) { "no connection".to_owned() } else { inner.to_string() }
}

/// What the server says to progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgressReply {
    /// The dial is not wanted any more.
    pub unwanted: bool,
    /// A sentence for the callee.
    pub say: Option<String>,
}

/// One server, as this handset.
#[derive(Debug, Clone)]
pub struct Server {
    base: String,
    client: reqwest::Client,
}

impl Server {
    /// The server of an address `https://server/h/TOKEN`.
    #[must_use]
    pub fn new(client: reqwest::Client, base: &str) -> Self {
        Self { base: base.to_owned(), client }
    }

    async fn send(&self, request: reqwest::RequestBuilder, timeout: Duration) -> Result<Vec<u8>, ServerError> {
        let request = request.header(PROTOCOL_HEADER, PROTOCOL_VERSION).timeout(timeout);
        let reply = request.send().await.map_err(ServerError::Unreachable)?;
        let status = reply.status().as_u16();
        let body = reply.bytes().await.map_err(ServerError::Unreachable)?;
        if (200..300).contains(&status) { Ok(body.to_vec()) } else { Err(ServerError::Status(status)) }
    }

    async fn post(&self, path: &str, query: &[(&str, &str)], body: String) -> Result<Vec<u8>, ServerError> {
        let request = self.client.post(format!("{}{path}", self.base)).query(query);
        self.send(request.header("Content-Type", "application/json").body(body), TIMEOUT).await
    }

    /// Asks for something to ring on a channel; `wait` is how long the server may think about it.
    ///
    /// # Errors
    ///
    /// If there is no reply, or none of the protocol.
    pub async fn poll(&self, channel: u8, wait: Duration) -> Result<PollReply, ServerError> {
        let mut query = vec![("wait", wait.as_secs().to_string())];
        // A server of one channel a handset has not heard of others.
        if channel > 0 {
            query.push(("channel", channel.to_string()));
        }
        let request = self.client.get(format!("{}/alert/phone", self.base)).query(&query);
        Ok(PollReply::parse(&self.send(request, wait + TIMEOUT).await?)?)
    }

    /// Tells how far a dial has got.
    ///
    /// # Errors
    ///
    /// If there is no reply.
    pub async fn progress(&self, mid: &str, progress: &Progress) -> Result<ProgressReply, ServerError> {
        let body = self.post("/progress", &[("mid", mid)], progress.to_body()).await?;
        let value: Value = serde_json::from_slice(&body).map_err(ReplyError::NotJson)?;
        let unwanted = matches!(PollReply::parse(&body)?, PollReply::Unwanted);
        Ok(ProgressReply { unwanted, say: value.get("say").and_then(Value::as_str).map(str::to_owned) })
    }

    /// Reports.
    ///
    /// # Errors
    ///
    /// If the server has not taken it.
    pub async fn report(&self, mid: &str, report: &NativeReport) -> Result<(), ServerError> {
        let mut query = vec![("mid", mid)];
        if let Some(answered) = report.answered() {
            query.push(("resp", answered.number.as_str()));
        }
        let body = self.post("/alert/phone", &query, report.to_body()).await?;
        PollReply::parse(&body)?;
        Ok(())
    }

    /// A recording that is to be played; `tag` is the SHA-256 of the one that is here already.
    ///
    /// # Errors
    ///
    /// If the server does not give it, or it is longer than any.
    pub async fn media(&self, id: &str, tag: Option<&str>) -> Result<Media, ServerError> {
        let mut request = self.client.get(format!("{}/media/{id}", self.base));
        if let Some(tag) = tag {
            request = request.header("If-None-Match", format!("\"{tag}\""));
        }
        let request = request.header(PROTOCOL_HEADER, PROTOCOL_VERSION).timeout(MEDIA_TIMEOUT);
        let mut reply = request.send().await.map_err(ServerError::Unreachable)?;
        match reply.status().as_u16() {
            304 => return Ok(Media::Unchanged),
            200 => {}
            status => return Err(ServerError::Status(status)),
        }
        let mut bytes = Vec::new();
        while let Some(piece) = reply.chunk().await.map_err(ServerError::Unreachable)? {
            if bytes.len() + piece.len() > MOST_MEDIA {
                return Err(ServerError::Status(413));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Media::Fresh(bytes))
    }

    /// Uploads a recording.
    ///
    /// # Errors
    ///
    /// If the server has not taken it.
    pub async fn put_recording(&self, id: &str, mid: &str, wav: Vec<u8>) -> Result<(), ServerError> {
        let request = self.client.put(format!("{}/recording/{id}", self.base)).query(&[("mid", mid)]);
        let body = self.send(request.header("Content-Type", "audio/wav").body(wav), MEDIA_TIMEOUT).await?;
        match PollReply::parse(&body)? {
            PollReply::Idle { code: 0, .. } => Ok(()),
            // Anything else is no word that it is stored.
            _ => Err(ServerError::Reply(ReplyError::NoCode)),
        }
    }

    /// Says how the handset is.
    ///
    /// # Errors
    ///
    /// If there is no reply.
    pub async fn status(&self, status: &Status) -> Result<(), ServerError> {
        self.post("/status", &[], status.to_body()).await.map(drop)
    }

    /// What else there is to do.
    ///
    /// # Errors
    ///
    /// If there is no reply.
    pub async fn outbox(&self) -> Result<Outbox, ServerError> {
        let request = self.client.get(format!("{}/outbox", self.base)).query(&[("wait", "0")]);
        Ok(Outbox::parse(&self.send(request, TIMEOUT).await?).unwrap_or_default())
    }

    /// Asks for commands for running calls: those after `since`.
    ///
    /// # Errors
    ///
    /// If there is no reply, or none of the protocol.
    pub async fn live(&self, wait: Duration, since: Option<i64>) -> Result<LiveReply, ServerError> {
        let mut query = vec![("wait", wait.as_secs().to_string())];
        query.extend(since.map(|since| ("since", since.to_string())));
        let request = self.client.get(format!("{}/live", self.base)).query(&query);
        let body = self.send(request, wait + TIMEOUT).await?;
        LiveReply::parse(&body).ok_or(ServerError::Reply(ReplyError::NoCode))
    }

    /// Tells what happened in running calls.
    ///
    /// # Errors
    ///
    /// If the server has not taken it.
    pub async fn live_events(&self, events: &LiveEvents) -> Result<(), ServerError> {
        let body = self.post("/live", &[], events.to_body()).await?;
        match PollReply::parse(&body)? {
            PollReply::Idle { code: 0, .. } => Ok(()),
            // Anything else is no word that it has them.
            _ => Err(ServerError::Reply(ReplyError::NoCode)),
        }
    }

    /// Tells of a call that comes in, and hears what to do with it.
    ///
    /// # Errors
    ///
    /// If there is no reply, or none of the protocol.
    pub async fn incoming(&self, call: &Incoming) -> Result<IncomingReply, ServerError> {
        let body = self.post("/incoming", &[], call.to_body()).await?;
        PollReply::parse(&body)?;
        IncomingReply::parse(&body).ok_or(ServerError::Reply(ReplyError::NoCode))
    }

    /// What came of something from the outbox.
    ///
    /// # Errors
    ///
    /// If there is no reply.
    pub async fn result(&self, id: &str, result: &OutboxResult) -> Result<(), ServerError> {
        // Ids are the server's own, but it is only a server.
        let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        self.post(&format!("/outbox/{plain}"), &[], result.to_body()).await.map(drop)
    }
}
