//! The bytes of a connection, watched: when a request begins, whether an answer gets through, and what the HTTP library says by
//! itself.
//!
//! The library refuses what it cannot read with an empty body, of which the stock app dies. So what it sends while no request is
//! being answered is replaced by a refusal that a phone survives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use android_protocol::wire::CODE_IDLE;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::seats::{Doing, Seat};

/// After an answer that left something unread, what still comes is read and thrown away for so long: else the system would tell the
/// client that the connection broke, and the answer would be lost.
const LINGER: Duration = Duration::from_secs(2);
/// Enough to tell other protocols from HTTP.
const BEGINNING: usize = 16;

/// A stream under watch.
pub(crate) struct Wire<S> {
    stream: S,
    seat: Seat,
    /// The first bytes of the connection.
    beginning: Vec<u8>,
    /// Our refusal in place of the library's, and how much of it was sent.
    refusal: Option<(Vec<u8>, usize)>,
    is_shut: bool,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, seat: Seat) -> Self {
        Self { stream, seat, beginning: Vec::new(), refusal: None, is_shut: false, linger: None }
    }

    /// Whether what is to be sent is an answer of ours.
    fn is_answering(&self) -> bool {
        self.seat.is_upgraded() || !matches!(self.seat.is_doing(), Doing::Fresh | Doing::Silent | Doing::Head)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let fresh = &buffer.filled()[before..];
        if !fresh.is_empty() {
            if self.beginning.len() < BEGINNING {
                let missing = (BEGINNING - self.beginning.len()).min(fresh.len());
                self.beginning.extend_from_slice(&fresh[..missing]);
            }
            if matches!(self.seat.is_doing(), Doing::Fresh | Doing::Silent) && !self.seat.is_upgraded() {
                self.seat.turn(Doing::Head);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Sends our refusal instead of what the library wrote; ready when all of it is gone.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, theirs: &[u8]) -> Poll<io::Result<()>> {
        let (beginning, seat) = (&self.beginning, &self.seat);
        let (text, sent) = self.refusal.get_or_insert_with(|| {
            seat.leave_unread();
            (refusal(theirs, beginning), 0)
        });
        while *sent < text.len() {
            *sent += ready!(Pin::new(&mut self.stream).poll_write(cx, &text[*sent..]))?;
        }
        Poll::Ready(Ok(()))
    }

    fn noted<T>(&self, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.seat.stall(sent.is_pending());
        sent
    }
}

impl<S: AsyncWrite + AsyncRead + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_answering() {
            let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
            return self.noted(sent);
        }
        let sent = self.poll_refuse(cx, bytes).map_ok(|()| bytes.len());
        self.noted(sent)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.is_answering() {
            let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
            return self.noted(sent);
        }
        let theirs: Vec<u8> = bytes.iter().flat_map(|part| part.iter().copied()).collect();
        let sent = self.poll_refuse(cx, &theirs).map_ok(|()| theirs.len());
        self.noted(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.noted(flushed))?;
        // The library flushes only when it has nothing left to send.
        if self.seat.is_answered() && self.is_answering() && !self.seat.is_upgraded() {
            self.seat.turn(Doing::Silent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        if !self.seat.has_unread() {
            return Poll::Ready(Ok(()));
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 8 * 1024];
        for _ in 0..32 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
        // Others want their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A refusal with the status of the library's and a body that a phone survives.
fn refusal(theirs: &[u8], beginning: &[u8]) -> Vec<u8> {
    let status = theirs.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("400");
    let (status, why) = match (status, beginning) {
        (_, [0x16, 0x03, ..]) => {
            tracing::warn!(
                "a client spoke TLS to the port of plain HTTP: its address must begin with http://, or name the port of http.tls_listen, or a proxy must end TLS in front"
            );
            (
                "400 Bad Request",
                "this port speaks plain HTTP: begin the address with http://, or let a reverse proxy end TLS in front",
            )
        }
        (_, b) if b.starts_with(b"PROXY ") || b.starts_with(b"\r\n\r\n\0\r\nQUIT\n") => {
            tracing::warn!(
                "a balancer speaks the PROXY protocol to us: switch it off there, let it set X-Forwarded-For, and list it in http.trusted_proxies"
            );
            (
                "400 Bad Request",
                "this port does not speak the PROXY protocol: switch it off in the balancer, let it set X-Forwarded-For, and list it in http.trusted_proxies",
            )
        }
        ("431", _) => ("431 Request Header Fields Too Large", "the head of the request is too large"),
        ("414", _) => ("414 URI Too Long", "the address of the request is too long"),
        _ => ("400 Bad Request", "this is no HTTP request that can be read"),
    };
    told(status, why)
}

/// A refusal with a body that a phone survives, after which the connection ends.
pub(super) fn told(status: &str, why: &str) -> Vec<u8> {
    let body = serde_json::json!({ "code": CODE_IDLE, "msg": why }).to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncache-control: no-store\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
