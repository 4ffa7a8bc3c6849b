//! Locks in Redis, and the circuit breaker that keeps a lost Redis from slowing anybody down.
//!
//! A lock is a key that holds its owner's token and expires by itself. Both operations are scripts, which Redis runs
//! without interruption: several keys are taken together, and a key is deleted only by the owner whose token it holds
//! (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>, the single-instance form). The keys of one
//! call may live in different slots, so a Redis *cluster* is not supported.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bb8_redis::bb8;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, Script, ScriptInvocation, aio::MultiplexedConnection,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::address;
use super::{Answer, LockCounters, LockError, LockHealth, LockKind, Released, Token};
use crate::trust;

/// The longest that one conversation with Redis may take, connecting included. A healthy one takes well under a
/// millisecond; a phone's request must not wait for a sick one.
pub const TIME_LIMIT: Duration = Duration::from_millis(100);

/// The first pause after a failure, and the longest; each failed attempt in between doubles it.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// One connection carries many requests at once, so a few are plenty.
const CONNECTIONS: u32 = 4;

/// Redis refuses expiry times that overflow its signed millisecond clock; ten years is "for ever" for a lock.
const LONGEST_TTL: Duration = Duration::from_hours(10 * 365 * 24);

/// Takes all keys for `ARGV[1]` during `ARGV[2]` milliseconds, or none: 1 or 0.
const TAKE: &str = r"
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then return 0 end
end
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
return 1";

/// Deletes those keys that hold `ARGV[1]`, and says how many did.
const RELEASE: &str = r"
local freed = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then freed = freed + redis.call('DEL', key) end
end
return freed";

/// Locks that are shared by all nodes on one Redis.
#[derive(Clone)]
pub struct RedisLocks {
    shared: Arc<Shared>,
}

struct Shared {
    prefix: String,
    time_limit: Duration,
    pool: bb8::Pool<Connector>,
    breaker: Breaker,
    /// Connections of an earlier epoch are thrown away unused: when Redis was lost once, all of them are suspect.
    epoch: Arc<AtomicU64>,
    last_connect_error: LastError,
    counters: Arc<LockCounters>,
    take: Script,
    release: Script,
}

/// Shows no address: it may hold a password.
impl fmt::Debug for RedisLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLocks").field("prefix", &self.shared.prefix).field("health", &self.health()).finish_non_exhaustive()
    }
}

impl RedisLocks {
    /// `time_limit` is [`TIME_LIMIT`] but for tests, which must not fail because the computer is busy.
    pub(super) fn new(url: &str, namespace: &str, time_limit: Duration) -> Result<Self, LockError> {
        let address = address::parse(url).map_err(LockError::new)?;
        let tls = address.tls().map_err(LockError::new)?;
        let client = Client::open(address.info).map_err(LockError::new)?;
        let epoch = Arc::new(AtomicU64::new(0));
        let last_connect_error = LastError::default();
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .connection_timeout(time_limit)
            // Looks at the epoch only, see Connector::is_valid.
            .test_on_check_out(true)
            // Without these two the pool needs no background task, and can be made outside of a runtime.
            .max_lifetime(None)
            .idle_timeout(None)
            .error_sink(Box::new(last_connect_error.clone()))
            .build_unchecked(Connector { client, tls, time_limit, epoch: Arc::clone(&epoch) });
        Ok(Self {
            shared: Arc::new(Shared {
                prefix: format!("autocall:lock:{namespace}:"),
                time_limit,
                pool,
                breaker: Breaker::default(),
                epoch,
                last_connect_error,
                counters: Arc::default(),
                take: Script::new(TAKE),
                release: Script::new(RELEASE),
            }),
        })
    }

    pub(super) async fn take(&self, names: &[String], token: Token, ttl: Duration) -> Answer {
        // An expiry of 0 ms is an error to Redis.
        let millis = ttl.min(LONGEST_TTL).as_millis().max(1);
        let mut call = self.call(&self.shared.take, names, token);
        call.arg(u64::try_from(millis).unwrap_or(u64::MAX));
        match self.ask(&call).await {
            Some(1) => Answer::Ours,
            Some(_) => Answer::Theirs,
            None => Answer::None,
        }
    }

    pub(super) async fn release(&self, names: &[String], token: Token) -> Released {
        match self.ask(&self.call(&self.shared.release, names, token)).await {
            Some(freed) if usize::try_from(freed) == Ok(names.len()) => Released::Freed,
            Some(_) => Released::Expired,
            None => Released::Unknown,
        }
    }

    pub(super) fn health(&self) -> LockHealth {
        let (away_for, cause) = self.shared.breaker.away(Instant::now()).unzip();
        let refused = cause.as_ref().is_some_and(|cause| cause.refused);
        LockHealth { kind: LockKind::Redis, away_for, cause: cause.map(|cause| cause.what), refused }
    }

    pub(super) fn counters(&self) -> &Arc<LockCounters> {
        &self.shared.counters
    }

    fn call<'s>(&self, script: &'s Script, names: &[String], token: Token) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        for name in names {
            call.key(format!("{}{name}", self.shared.prefix));
        }
        call.arg(token.to_string());
        call
    }

    /// Runs a script where the breaker lets it through; `None` when there is no answer.
    ///
    /// After a time-out Redis may have run the script nevertheless. A lock that was taken that way is nobody's until its
    /// time limit: others wait a little longer, which is all that a lock can do to them.
    async fn ask(&self, call: &ScriptInvocation<'_>) -> Option<i64> {
        let shared = &*self.shared;
        let permit = shared.breaker.permit(Instant::now())?;
        LockCounters::add(&shared.counters.round_trips);
        match timeout(shared.time_limit, self.converse(call)).await.unwrap_or_else(|_| Err(Failure::Slow)) {
            Ok(answer) => {
                if let Some(away_for) = permit.succeeded(Instant::now()) {
                    tracing::info!(away_s = away_for.as_secs(), "Redis is back: nodes keep out of each other's way again");
                }
                Some(answer)
            }
            Err(failure) => {
                LockCounters::add(&shared.counters.failures);
                shared.epoch.fetch_add(1, Ordering::Relaxed);
                let cause = match (failure, shared.last_connect_error.take()) {
                    (Failure::Refused(error), _) => Cause::of(&error),
                    (Failure::Slow, Some(connecting)) => connecting,
                    (Failure::Slow, None) => {
                        Cause { what: format!("no answer within {} ms", shared.time_limit.as_millis()), refused: false }
                    }
                };
                if permit.failed(Instant::now(), &cause) {
                    let what = &cause.what;
                    if cause.refused {
                        tracing::warn!(
                            cause = what,
                            "Redis refuses what it is asked: correct redis_url, or the rights and settings of Redis; going on without its \
                             locks, the database still decides"
                        );
                    } else {
                        tracing::warn!(cause = what, "Redis is away: going on without its locks, the database still decides");
                    }
                }
                None
            }
        }
    }

    async fn converse(&self, call: &ScriptInvocation<'_>) -> Result<i64, Failure> {
        let mut connection = self.shared.pool.get().await.map_err(|error| match error {
            bb8::RunError::User(error) => Failure::Refused(error),
            bb8::RunError::TimedOut => Failure::Slow,
        })?;
        // Suspect until the answer is here, so that an attempt that was cut off half-way leaves no half-read connection.
        connection.suspect = true;
        let answer = call.invoke_async(&mut connection.inner).await.map_err(Failure::Refused)?;
        connection.suspect = false;
        Ok(answer)
    }
}

/// Why there was no answer.
enum Failure {
    Slow,
    Refused(RedisError),
}

/// Why Redis could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    what: String,
    /// It answered, and would answer the same again.
    refused: bool,
}

impl Cause {
    fn of(error: &RedisError) -> Self {
        // What a server says while it starts, fails over or is busy passes by itself.
        let passes = |code: &str| matches!(code, "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY");
        let said = error.code().is_some_and(|code| !passes(code));
        // Made here, of what is wrong with a certificate.
        if error.kind() == ErrorKind::InvalidClientConfig
            && let Some(what) = error.detail()
        {
            return Self { what: what.to_owned(), refused: true };
        }
        Self { what: describe(error), refused: said || error.kind() == ErrorKind::AuthenticationFailed }
    }
}

/// The kind and the server's code only: the details of some errors repeat what was sent.
fn describe(error: &RedisError) -> String {
    match (error.code(), error.is_io_error()) {
        (Some(code), _) => format!("{} ({code})", error.category()),
        // Connection errors carry the operating system's sentence, which is what one needs to know.
        (None, true) => error.to_string(),
        (None, false) => error.category().to_owned(),
    }
}

/// What went wrong last while a connection was being made, which the pool does in the background.
#[derive(Clone, Debug, Default)]
struct LastError(Arc<Mutex<Option<Cause>>>);

impl LastError {
    fn take(&self) -> Option<Cause> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl bb8::ErrorSink<RedisError> for LastError {
    fn sink(&self, error: RedisError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Cause::of(&error));
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<RedisError>> {
        Box::new(self.clone())
    }
}

/// Makes the pool's connections.
///
/// The manager that comes with bb8-redis never calls a connection broken, so after a restart of Redis every pooled one
/// would have to fail once; or it would have to be pinged before each use, a second round trip. Here a connection knows
/// whether its last request was answered and since when it lives.
#[derive(Debug)]
struct Connector {
    client: Client,
    /// How hands are shaken; `None` where the connection is not encrypted.
    tls: Option<Arc<ClientConfig>>,
    time_limit: Duration,
    epoch: Arc<AtomicU64>,
}

struct Connection {
    inner: MultiplexedConnection,
    epoch: u64,
    suspect: bool,
}

impl bb8::ManageConnection for Connector {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        // The library's own limit is a second, which would outlive the caller by far.
        let inner = timeout(self.time_limit, self.connected())
            .await
            .map_err(|_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)))??;
        Ok(Connection { inner, epoch, suspect: false })
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        if self.has_broken(connection) {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.suspect || connection.epoch != self.epoch.load(Ordering::Relaxed)
    }
}

impl Connector {
    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        let Some(tls) = &self.tls else { return self.client.get_multiplexed_async_connection().await };
        let info = self.client.get_connection_info();
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err((ErrorKind::InvalidClientConfig, "TLS", "only an address of the network is encrypted".to_owned()).into());
        };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| {
            (ErrorKind::InvalidClientConfig, "TLS", "its host is no name that a certificate could hold".to_owned())
        })?;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let stream =
            TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(|error| match trust::why(&error) {
                Some(why) => RedisError::from((ErrorKind::InvalidClientConfig, "TLS", why)),
                None => error.into(),
            })?;
        let config = AsyncConnectionConfig::default();
        let (connection, driver) = MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
        // It ends with the connection.
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// Remembers that Redis is away, and lets one request through from time to time to see whether it is back.
#[derive(Debug, Default)]
struct Breaker {
    away: Mutex<Option<Away>>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    retry_at: Instant,
    pause: Duration,
    probing: bool,
    cause: Cause,
}

/// The right to make one request. Exactly one verdict follows; a permit that is dropped without (the caller went away)
/// makes room for another probe.
struct Permit<'b> {
    breaker: &'b Breaker,
    probe: bool,
}

impl Breaker {
    fn permit(&self, now: Instant) -> Option<Permit<'_>> {
        let mut away = self.lock();
        let probe = match &mut *away {
            None => false,
            Some(away) if away.probing || now < away.retry_at => return None,
            Some(away) => {
                away.probing = true;
                true
            }
        };
        Some(Permit { breaker: self, probe })
    }

    /// For how long Redis has been away, and why.
    fn away(&self, now: Instant) -> Option<(Duration, Cause)> {
        self.lock().as_ref().map(|away| (now.saturating_duration_since(away.since), away.cause.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Redis answered. Says for how long it was away if it was. Only the probe ends an absence: an answer that was on its
    /// way when others failed proves nothing.
    fn succeeded(mut self, now: Instant) -> Option<Duration> {
        if !std::mem::take(&mut self.probe) {
            return None;
        }
        self.breaker.lock().take().map(|away| now.saturating_duration_since(away.since))
    }

    /// Redis did not answer. True when this is news.
    fn failed(mut self, now: Instant, cause: &Cause) -> bool {
        let probe = std::mem::take(&mut self.probe);
        let mut slot = self.breaker.lock();
        match &mut *slot {
            None => {
                let pause = PAUSES.0;
                *slot = Some(Away { since: now, retry_at: now + pause, pause, probing: false, cause: cause.clone() });
                true
            }
            Some(away) => {
                if probe {
                    away.pause = (away.pause * 2).min(PAUSES.1);
                    away.retry_at = now + away.pause;
                    away.probing = false;
                    away.cause = cause.clone();
                }
                false
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe
            && let Some(away) = &mut *self.breaker.lock()
        {
            away.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn away(what: &str) -> Cause {
        Cause { what: what.to_owned(), refused: false }
    }

    #[test]
    fn the_breaker_waits_twice_as_long_each_time_up_to_thirty_seconds() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        let start = now;
        assert!(breaker.permit(now).unwrap().failed(now, &away("first")));
        for pause in [2, 4, 8, 16, 30, 30] {
            assert!(breaker.permit(now + seconds(pause) - Duration::from_millis(1)).is_none());
            now += seconds(pause);
            let probe = breaker.permit(now).unwrap();
            assert!(breaker.permit(now).is_none(), "one probe at a time");
            assert!(!probe.failed(now, &away("again")), "no news");
        }
        assert_eq!(breaker.away(now), Some((now - start, away("again"))));
        now += seconds(30);
        assert_eq!(breaker.permit(now).unwrap().succeeded(now), Some(now - start));
        assert_eq!(breaker.away(now), None);
        assert!(breaker.permit(now).unwrap().failed(now, &away("anew")), "a new absence is news again");
        assert!(breaker.permit(now + seconds(2)).is_some(), "and begins with the short pause");
    }

    #[test]
    fn a_probe_that_is_cut_off_makes_room_for_the_next() {
        let breaker = Breaker::default();
        let now = Instant::now();
        breaker.permit(now).unwrap().failed(now, &away("gone"));
        let later = now + seconds(2);
        drop(breaker.permit(later).unwrap());
        assert!(breaker.permit(later).unwrap().succeeded(later).is_some());
    }

    #[test]
    fn an_answer_that_was_on_its_way_does_not_end_an_absence() {
        let breaker = Breaker::default();
        let now = Instant::now();
        let (slow, fast) = (breaker.permit(now).unwrap(), breaker.permit(now).unwrap());
        assert!(fast.failed(now, &away("gone")));
        assert_eq!(slow.succeeded(now), None);
        assert!(breaker.away(now).is_some());
        let late = Permit { breaker: &breaker, probe: false };
        assert!(!late.failed(now + seconds(1), &away("gone too")), "the same absence is told once");
        assert!(breaker.permit(now + seconds(2)).is_some(), "and its pause does not grow");
    }
}
