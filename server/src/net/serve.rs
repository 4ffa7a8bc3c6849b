//! Accepting connections: one task each, how long one may take for what, and the right to drop one without an answer.
//!
//! A handset forgets its result on any HTTP reply, so a report that could not be stored must not be answered at all. That is why
//! each request carries a [`Hangup`]. It also carries its [`Seat`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use android_protocol::wire::CODE_IDLE;
use axum::Router;
use axum::body::Body as Answer;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;
use futures_util::future::{Either, ready};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::arriving::{Arriving, Leaving, never};
use super::seats::{Admission, Doing, Seat, Seats, must_get_through};
use super::secured::{Encrypted, Secured};
use super::wire::Wire;
use crate::http::json;
use crate::http::prefix::Prefix;

/// Longest that open requests may take once the server is stopping.
const DRAIN: Duration = Duration::from_secs(8);
/// Whoever has connected no longer ago than this when the server stops is about to ask, and is answered.
const ARRIVES_WITHIN: Duration = Duration::from_secs(1);
/// It is looked at so often whether it has.
const LOOK_FOR_HEAD: Duration = Duration::from_millis(20);
/// A client waits so many seconds less than we do: else it sends a request on a connection that is just being closed.
const MARGIN: Duration = Duration::from_secs(5);

/// Says how long a connection stays open (RFC 2068, 19.7.1.1; most clients heed it).
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Between two requests, and before the first.
    pub keep_alive: Duration,
    /// For the head of a request, from its first byte.
    pub head: Duration,
    /// For the body of a request. The handset path has a limit of its own.
    pub body: Duration,
    /// For a recording of a call.
    pub recording: Duration,
    /// Without taking a byte of an answer.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { keep_alive: seconds(120), head: seconds(15), body: seconds(30), recording: seconds(90), stalled: seconds(30) }
    }
}

impl Limits {
    /// What clients are told: within so many seconds the connection can be used again.
    fn announced(self) -> Option<HeaderValue> {
        let seconds = self.keep_alive.saturating_sub(MARGIN).as_secs();
        HeaderValue::try_from(format!("timeout={}", seconds.max(1))).ok()
    }

    /// When a connection is to be looked at again; `None`: it is over.
    fn next_look(self, seat: &Seat) -> Option<Duration> {
        if seat.stalled().is_some_and(|since| since >= self.stalled) {
            return None;
        }
        let (doing, age) = seat.doing();
        let limit = match doing {
            Doing::Fresh | Doing::Silent => self.keep_alive,
            Doing::Head => self.head,
            Doing::Body | Doing::Working | Doing::Waiting => return Some(self.head),
        };
        let left = limit.checked_sub(age).filter(|left| !left.is_zero())?;
        // By then something shorter may have begun.
        Some(left.min(self.head))
    }
}

/// Drops the connection of the request that carries it, without an answer.
#[derive(Clone, Debug)]
pub struct Hangup(CancellationToken);

impl Hangup {
    /// Drops the connection; the handler never gets further.
    pub async fn now(&self) -> Infallible {
        self.0.cancel();
        std::future::pending().await
    }
}

/// Answers what comes most often, without the way through all routes.
pub trait AtOnce: Send + Sync {
    /// The answer, where it can be given without waiting for anything; else `None`, with nothing done. Asked only for requests without a
    /// body, of such as must get through.
    fn answer(&self, head: &Parts, peer: SocketAddr, seat: &Seat) -> Option<Response>;
}

/// What answers requests.
#[derive(Clone)]
pub struct Answers {
    router: Router,
    at_once: Option<Arc<dyn AtOnce>>,
}

impl From<Router> for Answers {
    fn from(router: Router) -> Self {
        Self { router, at_once: None }
    }
}

impl Answers {
    /// Asks this first, and then the routes.
    #[must_use]
    pub fn after(at_once: Arc<dyn AtOnce>, router: Router) -> Self {
        Self { router, at_once: Some(at_once) }
    }
}

/// What is served, below which path, and what clients are told of their connections.
struct Served {
    answers: Answers,
    prefix: Prefix,
    announced: Option<HeaderValue>,
}

/// What of a request decides how its answer leaves.
struct Asked {
    is_head: bool,
    closes: bool,
    /// What browsers are told: to come encrypted only.
    strictly: Option<HeaderValue>,
}

impl Asked {
    fn of(head: &Parts) -> Self {
        let closes = match head.version < Version::HTTP_11 {
            true => !wants(&head.headers, &header::CONNECTION, "keep-alive"),
            false => wants(&head.headers, &header::CONNECTION, "close"),
        };
        let strictly = head.extensions.get::<Encrypted>().and_then(|encrypted| encrypted.strictly(&head.headers));
        Self { is_head: head.method == Method::HEAD, closes, strictly }
    }
}

impl Served {
    /// The answer, or the request again, which is to be answered in its own time.
    #[expect(clippy::result_large_err, reason = "the request goes on as it is, and comes back nearly as often as it is answered")]
    fn at_once(&self, request: Request<Incoming>, peer: SocketAddr, seat: &Seat) -> Result<Response<Leaving>, Request<Incoming>> {
        let Some(at_once) = self.answers.at_once.as_ref().filter(|_| request.body().is_end_stream()) else { return Err(request) };
        let (head, body) = request.into_parts();
        let Some(response) = at_once.answer(&head, peer, seat) else { return Err(Request::from_parts(head, body)) };
        // A poll is served on every place.
        let _ = seat.serves(true);
        seat.turn(Doing::Working);
        Ok(self.leaves(response, Asked::of(&head), false, seat.clone()))
    }

    /// An answer on its way out.
    fn leaves(&self, mut response: Response, asked: Asked, unread: bool, seat: Seat) -> Response<Leaving> {
        if unread {
            seat.leave_unread();
        }
        if unread || seat.is_wanted() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        } else if !asked.closes
            && !response.headers().contains_key(header::CONNECTION)
            && let Some(announced) = &self.announced
        {
            response.headers_mut().insert(KEEP_ALIVE, announced.clone());
        }
        if let Some(strictly) = asked.strictly {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, strictly);
        }
        if response.status().as_u16() >= 400 && !asked.is_head && response.body().is_end_stream() {
            response = with_a_body(response);
        }
        response.map(|body| Leaving::new(body, seat))
    }
}

/// Serves until `stop` is cancelled, then lets open requests finish for a short while.
pub async fn serve(
    listener: TcpListener,
    answers: impl Into<Answers>,
    prefix: Prefix,
    seats: Arc<Seats>,
    limits: Limits,
    stop: CancellationToken,
) {
    take(listener, None, answers.into(), prefix, seats, limits, stop).await;
}

/// The same on an address of its own, where everything is encrypted.
pub async fn serve_secured(
    listener: TcpListener,
    secured: Arc<Secured>,
    answers: impl Into<Answers>,
    prefix: Prefix,
    seats: Arc<Seats>,
    limits: Limits,
    stop: CancellationToken,
) {
    take(listener, Some(secured), answers.into(), prefix, seats, limits, stop).await;
}

async fn take(
    listener: TcpListener,
    secured: Option<Arc<Secured>>,
    answers: Answers,
    prefix: Prefix,
    seats: Arc<Seats>,
    limits: Limits,
    stop: CancellationToken,
) {
    let served = Arc::new(Served { answers, prefix, announced: limits.announced() });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(seat) = seat(&seats, peer, &stop).await else { continue };
                // An answer is one small packet; waiting to fill it would only delay it.
                let _ = stream.set_nodelay(true);
                match &secured {
                    None => tasks.spawn(connection(stream, peer, seat, Arc::clone(&served), limits, stop.clone(), None)),
                    // Whoever is slow to shake hands holds a place, and nobody else up.
                    Some(secured) => tasks.spawn(secured_connection(
                        stream,
                        peer,
                        seat,
                        Arc::clone(&served),
                        limits,
                        stop.clone(),
                        Arc::clone(secured),
                    )),
                };
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

/// A place for a connection, waited for if need be.
async fn seat(seats: &Arc<Seats>, peer: SocketAddr, stop: &CancellationToken) -> Option<Seat> {
    loop {
        match seats.admit(peer.ip()) {
            Admission::In(seat) => return Some(seat),
            Admission::Refused => return None,
            Admission::Later => tokio::select! {
                () = stop.cancelled() => return None,
                () = seats.freed() => {}
            },
        }
    }
}

async fn secured_connection(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    served: Arc<Served>,
    limits: Limits,
    stop: CancellationToken,
    secured: Arc<Secured>,
) {
    let shaken = tokio::select! {
        () = stop.cancelled() => return,
        () = seat.cut() => return,
        shaken = secured.shake_hands(stream, peer) => shaken,
    };
    if let Some((stream, encrypted)) = shaken {
        // From here on it is like any other that has just come.
        seat.turn(Doing::Fresh);
        connection(stream, peer, seat, served, limits, stop, Some(encrypted)).await;
    }
}

async fn connection<S>(
    stream: S,
    peer: SocketAddr,
    seat: Seat,
    served: Arc<Served>,
    limits: Limits,
    stop: CancellationToken,
    encrypted: Option<Encrypted>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let hangup = CancellationToken::new();
    let service = {
        let (hangup, seat) = (Hangup(hangup.clone()), seat.clone());
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            served.prefix.take_off(request.uri_mut());
            if let Some(encrypted) = &encrypted {
                request.extensions_mut().insert(encrypted.clone());
            }
            match served.at_once(request, peer, &seat) {
                Ok(response) => Either::Left(ready(Ok::<_, Infallible>(response))),
                Err(mut request) => {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    request.extensions_mut().insert(hangup.clone());
                    request.extensions_mut().insert(seat.clone());
                    // In a box: each connection keeps room for what answers it, also while it is asked nothing.
                    Either::Right(Box::pin(answer(request, seat.clone(), Arc::clone(&served), limits)))
                }
            }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Counted by ourselves: the library's limit would close connections that are merely idle.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(Wire::new(stream, seat.clone())), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut look_at = Instant::now() + limits.head.min(limits.keep_alive);
    let mut stopping_at = None;
    let mut awaited = false;
    let about_to_ask = || matches!(seat.doing(), (Doing::Fresh, age) if age < ARRIVES_WITHIN);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = hangup.cancelled() => return,
            () = seat.cut() => return,
            () = stop.cancelled(), if stopping_at.is_none() => {
                stopping_at = Some(Instant::now() + DRAIN);
                awaited = about_to_ask();
                if !awaited {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = tokio::time::sleep(LOOK_FOR_HEAD), if awaited => {
                awaited = about_to_ask();
                if !awaited {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = tokio::time::sleep_until(stopping_at.map_or(look_at, |at| look_at.min(at))) => {
                if stopping_at.is_some_and(|at| at <= Instant::now()) {
                    return;
                }
                let Some(wait) = limits.next_look(&seat) else { return };
                look_at = Instant::now() + wait;
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    seat: Seat,
    served: Arc<Served>,
    limits: Limits,
) -> Result<Response<Leaving>, Infallible> {
    let may_wait = !request.headers().contains_key(header::EXPECT);
    let serves = seat.serves(must_get_through(request.method(), request.uri().path()));
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts);
    let (body, left) = if body.is_end_stream() {
        seat.turn(Doing::Working);
        (Answer::empty(), None)
    } else {
        seat.turn(Doing::Body);
        let within = if is_recording(&parts.method, parts.uri.path()) { limits.recording } else { limits.body };
        let (body, left) = Arriving::new(body, seat.clone(), within);
        (Answer::new(body), Some(left))
    };
    let response = match serves {
        true => {
            let response = served.answers.router.clone().oneshot(Request::from_parts(parts, body)).await.unwrap_or_else(never);
            Box::pin(served.prefix.put_on(response)).await
        }
        false => {
            drop((parts, body));
            scarce()
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        seat.upgrade();
    }
    // On the way out it is an answer, whatever is still on the way in; a stream goes on waiting.
    if seat.is_doing() != Doing::Waiting {
        seat.turn(Doing::Working);
    }
    let unread = match left {
        Some(left) => !left.drained(may_wait).await,
        None => false,
    };
    Ok(served.leaves(response, asked, unread, seat))
}

/// Whether a handset sends what a callee said: much, and over whatever network it has.
fn is_recording(method: &Method, path: &str) -> bool {
    let behind_token = path.strip_prefix("/h/").and_then(|path| path.split_once('/'));
    method == Method::PUT && behind_token.is_some_and(|(_, rest)| rest.starts_with("recording/"))
}

fn wants(headers: &HeaderMap, name: &HeaderName, what: &str) -> bool {
    let words = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.map(str::trim).any(|word| word.eq_ignore_ascii_case(what))
}

/// The refusal of what has to wait while connections are scarce.
fn scarce() -> Response {
    let why = "too many connections are open; ask again in a few seconds";
    let body = serde_json::json!({ "code": CODE_IDLE, "msg": why }).to_string();
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, body);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// A refusal without a body gets one: a phone that was given a wrong address dies of an empty answer.
fn with_a_body(refusal: Response) -> Response {
    let status = refusal.status();
    let why = status.canonical_reason().unwrap_or("refused");
    let mut response = json(status, serde_json::json!({ "code": CODE_IDLE, "msg": why }).to_string());
    for (name, value) in refusal.headers() {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::net::seats::Room;
    use crate::telemetry::Metrics;
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_hours(1);
    const UNLIMITED: Limits = Limits { keep_alive: LONG, head: LONG, body: LONG, recording: LONG, stalled: LONG };

    struct Started {
        addr: SocketAddr,
        metrics: Arc<Metrics>,
        _stop: tokio_util::sync::DropGuard,
    }

    /// A server that says `here`, takes a body, and has more to say than anybody reads.
    async fn started(limits: Limits) -> Started {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/body", post(async |body: Bytes| body))
            .route("/h/{token}/recording/{id}", axum::routing::put(async |body: Bytes| body))
            .route("/much", get(async || vec![b'x'; 32 << 20]));
        let metrics = Arc::new(Metrics::new());
        let room = Room { most: 64, per_address: 64, waiting: 64, trusted: Vec::new() };
        let seats = Arc::new(Seats::new(room, Arc::clone(&metrics)));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, router, Prefix::default(), seats, limits, stop.clone()));
        Started { addr, metrics, _stop: stop.drop_guard() }
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"here") {
            assert_ne!(stream.read_buf(&mut reply).await.unwrap(), 0, "it ends after {:?}", String::from_utf8_lossy(&reply));
        }
        String::from_utf8(reply).unwrap()
    }

    /// What comes until the connection ends.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut rest = Vec::new();
        // A reset is an end like any other.
        let _ = stream.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }

    /// The time for a head has passed once half a head, begun later, was cut off.
    #[tokio::test]
    async fn the_time_for_a_head_counts_from_its_first_byte() {
        let server = started(Limits { head: SHORT, ..UNLIMITED }).await;
        let mut silent = TcpStream::connect(server.addr).await.unwrap();
        let mut idle = TcpStream::connect(server.addr).await.unwrap();
        assert!(ask(&mut idle).await.contains("keep-alive: timeout=3595\r\n"));
        let mut half = TcpStream::connect(server.addr).await.unwrap();
        half.write_all(b"GET / HT").await.unwrap();
        assert_eq!(rest(&mut half).await, "");
        ask(&mut idle).await;
        ask(&mut silent).await;
        // On a connection that was used before, too.
        idle.write_all(b"GET / HT").await.unwrap();
        assert_eq!(rest(&mut idle).await, "");
    }

    #[tokio::test]
    async fn an_idle_connection_ends_after_its_own_time() {
        let server = started(Limits { keep_alive: SHORT, ..UNLIMITED }).await;
        let mut used = TcpStream::connect(server.addr).await.unwrap();
        ask(&mut used).await;
        let mut silent = TcpStream::connect(server.addr).await.unwrap();
        assert_eq!(rest(&mut used).await, "");
        assert_eq!(rest(&mut silent).await, "");
    }

    #[tokio::test]
    async fn a_body_has_its_time_and_an_answer_that_nobody_reads_too() {
        let server = started(Limits { body: SHORT, stalled: SHORT, head: SHORT, ..UNLIMITED }).await;
        let mut slow = TcpStream::connect(server.addr).await.unwrap();
        slow.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx").await.unwrap();
        let reply = rest(&mut slow).await;
        assert!(reply.starts_with("HTTP/1.1 400 ") && reply.contains("connection: close"), "{reply}");
        let mut deaf = TcpStream::connect(server.addr).await.unwrap();
        deaf.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Its beginning has come, so it is being sent.
        deaf.readable().await.unwrap();
        while server.metrics.connections_open.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_recording_has_a_time_of_its_own() {
        let slow = async |limits: Limits, path: &str| {
            let server = started(limits).await;
            let mut slow = TcpStream::connect(server.addr).await.unwrap();
            let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx");
            slow.write_all(head.as_bytes()).await.unwrap();
            rest(&mut slow).await
        };
        let reply = slow(Limits { recording: SHORT, ..UNLIMITED }, "/h/T/recording/r1?mid=m").await;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
        for other in ["/h/T/status", "/recording/r1", "/h/recording/r1"] {
            assert!(!is_recording(&Method::PUT, other), "{other}");
        }
        assert!(Limits::default().recording > Limits::default().body);
    }

    #[tokio::test]
    async fn what_nobody_reads_is_taken_off_or_the_answer_says_that_it_ends() {
        let server = started(UNLIMITED).await;
        let mut little = TcpStream::connect(server.addr).await.unwrap();
        little.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
        let mut first = vec![0; 1024];
        let read = little.read(&mut first).await.unwrap();
        assert!(String::from_utf8_lossy(&first[..read]).contains("keep-alive"));
        ask(&mut little).await;
        let mut much = TcpStream::connect(server.addr).await.unwrap();
        much.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nabc").await.unwrap();
        let reply = rest(&mut much).await;
        assert!(reply.contains("connection: close") && reply.ends_with("here"), "{reply}");
    }
}
