//! Named locks that keep nodes from doing the same work at the same time.
//!
//! # Manners, not safety
//!
//! A lock only saves wasted claims and doubled effort. The unique indexes of the database decide what may happen, so a
//! caller that hears [`Acquired::Unavailable`] goes on without the lock. For the same reason nothing here may be slow:
//! every conversation with Redis ends after [`TIME_LIMIT`], and while Redis is away the answer is given without
//! asking it.
//!
//! # Two kinds, one contract
//!
//! [`Locks::local`] lives in this process (the embedded server is one process, so that is enough); [`Locks::redis`] is
//! shared by all nodes that use the same Redis and the same namespace. The tests at the end of this file state the
//! contract once and run it on both:
//!
//! * at most one guard holds a name at a time, for at most its time limit;
//! * several names are taken together or not at all;
//! * a guard frees only what it took itself: whoever took the name after the time limit keeps it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub mod address;
mod local;
mod redis;

pub use self::{local::LocalLocks, redis::RedisLocks, redis::TIME_LIMIT};

/// Where the locks of this node live.
///
/// Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub enum Locks {
    /// In this process.
    Local(LocalLocks),
    /// In Redis, shared with other nodes.
    Redis(RedisLocks),
}

/// The address of Redis could not be understood.
///
/// An unreachable Redis is not an error, see [`Locks::redis`].
#[derive(Debug, thiserror::Error)]
#[error("the Redis address cannot be used ({reason}); write it as redis://[user:password@]host[:port][/database]")]
pub struct LockError {
    reason: String,
}

impl LockError {
    fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// The answer to an attempt to take a lock.
#[derive(Debug)]
#[must_use = "a lock that was taken is free again as soon as its guard is dropped or its time limit is over"]
pub enum Acquired {
    /// Taken: the names are ours until the guard is released or the time limit is over.
    Held(LockGuard),
    /// Somebody else holds at least one of the names.
    Taken,
    /// Redis is away. The caller goes on: the database still refuses what must not happen.
    Unavailable,
}

impl Acquired {
    /// True when the caller should do its work: it holds the lock, or nobody can tell who does.
    #[must_use]
    pub fn may_proceed(&self) -> bool {
        !matches!(self, Self::Taken)
    }

    /// The guard, if there is one.
    #[must_use]
    pub fn into_guard(self) -> Option<LockGuard> {
        match self {
            Self::Held(guard) => Some(guard),
            Self::Taken | Self::Unavailable => None,
        }
    }
}

/// What became of a lock that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It was still ours (for several names: all of them were), and is free now.
    Freed,
    /// The time limit had passed for at least one name; what belongs to somebody else was left alone.
    Expired,
    /// Redis could not be asked; the time limit ends the lock.
    Unknown,
}

/// A lock that is held.
///
/// [`release`](Self::release) it when the work is done. A guard that is dropped instead frees a local lock at once, and
/// leaves one in Redis to its time limit: dropping can happen anywhere, also while the runtime shuts down, so it must
/// not start any work.
#[derive(Debug)]
pub struct LockGuard {
    names: Vec<String>,
    token: Token,
    owner: Owner,
}

/// What is needed to give a lock back.
#[derive(Debug)]
enum Owner {
    Local(LocalLocks),
    Redis(RedisLocks),
    /// Given back already, or no names were asked for.
    Nobody,
}

impl LockGuard {
    /// The names that this guard holds, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Gives the lock back, where it is still ours.
    pub async fn release(mut self) -> Released {
        match std::mem::replace(&mut self.owner, Owner::Nobody) {
            Owner::Local(locks) => locks.release(&self.names, self.token),
            Owner::Redis(locks) => locks.release(&self.names, self.token).await,
            Owner::Nobody => Released::Freed,
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Owner::Local(locks) = &self.owner {
            locks.release(&self.names, self.token);
        }
    }
}

/// Says which guard took a lock: random, so that no two guards of any node ever share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token(u128);

impl Token {
    fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Counts since the start of this node; read them with [`LockCounters::snapshot`].
#[derive(Debug, Default)]
pub struct LockCounters {
    /// Requests sent to Redis. Stays 0 for local locks.
    pub round_trips: AtomicU64,
    /// Requests that Redis did not answer, or refused.
    pub failures: AtomicU64,
    /// Attempts that found a name held by somebody else.
    pub taken: AtomicU64,
}

/// [`LockCounters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockCounts {
    /// Requests sent to Redis.
    pub round_trips: u64,
    /// Requests that Redis did not answer, or refused.
    pub failures: u64,
    /// Attempts that found a name held by somebody else.
    pub taken: u64,
}

impl LockCounters {
    /// The counts at this moment.
    pub fn snapshot(&self) -> LockCounts {
        LockCounts {
            round_trips: self.round_trips.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
        }
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Which kind of locks a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// In this process.
    Local,
    /// In Redis.
    Redis,
}

/// How the locks are, for the health page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHealth {
    /// Where the locks live.
    pub kind: LockKind,
    /// For how long Redis has been away; `None` while it answers, before it was first needed, and for local locks.
    pub away_for: Option<Duration>,
    /// What went wrong last, while Redis is away. Holds no password.
    pub cause: Option<String>,
    /// It is there, and refuses what it is asked: a password, a right or a setting is wrong. Counts as away in all other respects.
    pub refused: bool,
}

impl Locks {
    /// Locks within this process.
    #[must_use]
    pub fn local() -> Self {
        Self::Local(LocalLocks::default())
    }

    /// Locks in the Redis at `url`, under keys that begin with `autocall:lock:{namespace}:`.
    ///
    /// Nothing is sent before the first lock is asked for, so this neither waits nor fails when Redis is unreachable: the
    /// first attempt notices, and the server starts without its manners.
    ///
    /// # Errors
    ///
    /// When `url` is no Redis address at all.
    pub fn redis(url: &str, namespace: &str) -> Result<Self, LockError> {
        Ok(Self::Redis(RedisLocks::new(url, namespace, TIME_LIMIT)?))
    }

    /// Takes the lock called `name` for at most `ttl`, or says at once that somebody else has it.
    pub async fn try_lock(&self, name: &str, ttl: Duration) -> Acquired {
        self.take(vec![name.to_owned()], ttl).await
    }

    /// Takes all of `names` for at most `ttl`, or none of them. A name that is given twice counts once.
    pub async fn try_lock_all(&self, names: &[String], ttl: Duration) -> Acquired {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        self.take(names, ttl).await
    }

    async fn take(&self, names: Vec<String>, ttl: Duration) -> Acquired {
        let token = Token::random();
        if names.is_empty() {
            return Acquired::Held(LockGuard { names, token, owner: Owner::Nobody });
        }
        let (answer, owner) = match self {
            Self::Local(locks) => (locks.take(&names, token, ttl), Owner::Local(locks.clone())),
            Self::Redis(locks) => (locks.take(&names, token, ttl).await, Owner::Redis(locks.clone())),
        };
        match answer {
            Answer::Ours => Acquired::Held(LockGuard { names, token, owner }),
            Answer::Theirs => {
                LockCounters::add(&self.counters().taken);
                Acquired::Taken
            }
            Answer::None => Acquired::Unavailable,
        }
    }

    /// How the locks are at this moment. Sends nothing.
    #[must_use]
    pub fn health(&self) -> LockHealth {
        match self {
            Self::Local(_) => LockHealth { kind: LockKind::Local, away_for: None, cause: None, refused: false },
            Self::Redis(locks) => locks.health(),
        }
    }

    /// The counters of this node's locks.
    #[must_use]
    pub fn counters(&self) -> &Arc<LockCounters> {
        match self {
            Self::Local(locks) => locks.counters(),
            Self::Redis(locks) => locks.counters(),
        }
    }
}

/// What a lock store says to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ours,
    Theirs,
    None,
}

#[cfg(test)]
mod tests {
    //! The contract, on both kinds; then what only Redis can do: be absent, die and come back.
    //!
    //! Redis counts its own time, so these tests let real time pass where something must expire.

    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::{
        net::TcpListener,
        process::{Child, Command, Stdio},
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(80);

    fn held(acquired: Acquired) -> LockGuard {
        match acquired {
            Acquired::Held(guard) => guard,
            other => panic!("expected to hold the lock, but: {other:?}"),
        }
    }

    fn assert_taken(acquired: Acquired) {
        assert!(matches!(acquired, Acquired::Taken), "{acquired:?}");
    }

    fn assert_unavailable(acquired: Acquired) {
        assert!(matches!(acquired, Acquired::Unavailable), "{acquired:?}");
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A private Redis on a port of its own, without files.
    struct TestRedis {
        port: u16,
        process: Option<Child>,
    }

    impl TestRedis {
        /// A port that nobody listens on.
        fn absent() -> Self {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            Self { port, process: None }
        }

        async fn started() -> Self {
            let mut redis = Self::absent();
            redis.start().await;
            redis
        }

        fn url(&self) -> String {
            format!("redis://127.0.0.1:{}/", self.port)
        }

        async fn start(&mut self) {
            let process = Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"])
                .current_dir(std::env::temp_dir())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            match process {
                Ok(process) => self.process = Some(process),
                Err(error) => panic!(
                    "the Redis tests need the program redis-server ({error}): install it (Debian: apt install redis-server)"
                ),
            }
            for _ in 0..500 {
                if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                    return;
                }
                pass(Duration::from_millis(10)).await;
            }
            panic!("redis-server did not open port {} within 5 s", self.port);
        }

        fn kill(&mut self) {
            if let Some(mut process) = self.process.take() {
                process.kill().unwrap();
                process.wait().unwrap();
            }
        }
    }

    impl Drop for TestRedis {
        fn drop(&mut self) {
            self.kill();
        }
    }

    /// Locks that give Redis the time it needs on a busy computer.
    fn patient(url: &str, namespace: &str) -> Locks {
        Locks::Redis(RedisLocks::new(url, namespace, Duration::from_secs(3)).unwrap())
    }

    /// Locks that nobody else uses, on the Redis of `TEST_REDIS_URL` or on a private one.
    async fn redis_locks() -> (Option<TestRedis>, Locks) {
        let (server, url) = match std::env::var("TEST_REDIS_URL") {
            Ok(url) => (None, url),
            Err(_) => {
                let server = TestRedis::started().await;
                let url = server.url();
                (Some(server), url)
            }
        };
        let locks = patient(&url, &format!("test-{}", Token::random()));
        (server, locks)
    }

    /// Runs every scenario on both kinds of locks.
    macro_rules! on_both {
        ($($scenario:ident),+ $(,)?) => {
            mod local {
                $(#[tokio::test]
                async fn $scenario() {
                    super::$scenario(super::Locks::local()).await;
                })+
            }
            mod redis {
                $(#[tokio::test]
                async fn $scenario() {
                    let (_server, locks) = super::redis_locks().await;
                    super::$scenario(locks).await;
                })+
            }
        };
    }

    on_both!(
        one_holder_at_a_time,
        released_names_are_free_again,
        a_lock_ends_with_its_time_limit,
        release_leaves_alone_what_somebody_else_took,
        several_names_all_or_none,
        partly_expired_names_are_freed_where_still_ours,
        many_contenders_one_winner,
        tiny_and_huge_time_limits,
        odd_names,
    );

    async fn one_holder_at_a_time(locks: Locks) {
        let guard = held(locks.try_lock("a", LONG).await);
        assert_eq!(guard.names(), ["a"]);
        assert_taken(locks.clone().try_lock("a", LONG).await);
        let _other = held(locks.try_lock("b", LONG).await);
        assert_eq!(locks.counters().snapshot().taken, 1);
        assert_eq!(locks.health().away_for, None);
    }

    async fn released_names_are_free_again(locks: Locks) {
        let first = held(locks.try_lock("a", LONG).await);
        assert_eq!(first.release().await, Released::Freed);
        let second = held(locks.try_lock("a", LONG).await);
        assert_taken(locks.try_lock("a", LONG).await);
        assert_eq!(second.release().await, Released::Freed);
    }

    async fn a_lock_ends_with_its_time_limit(locks: Locks) {
        let guard = held(locks.try_lock("a", SHORT).await);
        pass(SHORT * 2).await;
        let _next = held(locks.try_lock("a", LONG).await);
        assert_eq!(guard.release().await, Released::Expired);
    }

    async fn release_leaves_alone_what_somebody_else_took(locks: Locks) {
        let late = held(locks.try_lock("a", SHORT).await);
        pass(SHORT * 2).await;
        let successor = held(locks.try_lock("a", LONG).await);
        assert_eq!(late.release().await, Released::Expired);
        assert_taken(locks.try_lock("a", LONG).await);
        assert_eq!(successor.release().await, Released::Freed);

        let late = held(locks.try_lock("a", SHORT).await);
        pass(SHORT * 2).await;
        let _successor = held(locks.try_lock("a", LONG).await);
        drop(late);
        assert_taken(locks.try_lock("a", LONG).await);
    }

    async fn several_names_all_or_none(locks: Locks) {
        let b = held(locks.try_lock("b", LONG).await);
        assert_taken(locks.try_lock_all(&names(&["c", "b", "a"]), LONG).await);
        let a = held(locks.try_lock("a", LONG).await);
        assert_eq!(a.release().await, Released::Freed);
        assert_eq!(b.release().await, Released::Freed);

        let all = held(locks.try_lock_all(&names(&["c", "b", "a", "b"]), LONG).await);
        assert_eq!(all.names(), ["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            assert_taken(locks.try_lock(name, LONG).await);
        }
        assert_eq!(all.release().await, Released::Freed);
        for name in ["a", "b", "c"] {
            assert_eq!(held(locks.try_lock(name, LONG).await).release().await, Released::Freed);
        }

        let nothing = held(locks.try_lock_all(&[], LONG).await);
        assert_eq!(nothing.release().await, Released::Freed);
    }

    async fn partly_expired_names_are_freed_where_still_ours(locks: Locks) {
        let pair = held(locks.try_lock_all(&names(&["a", "b"]), SHORT).await);
        pass(SHORT * 2).await;
        let _a = held(locks.try_lock("a", LONG).await);
        assert_eq!(pair.release().await, Released::Expired);
        assert_taken(locks.try_lock("a", LONG).await);
        let _b = held(locks.try_lock("b", LONG).await);
    }

    async fn many_contenders_one_winner(locks: Locks) {
        let contenders: Vec<_> = (0..24)
            .map(|n| {
                let locks = locks.clone();
                // Different lists with one name in common.
                let wanted = names(&["everyone", &format!("own-{n}")]);
                tokio::spawn(async move { locks.try_lock_all(&wanted, LONG).await })
            })
            .collect();
        let mut guards = Vec::new();
        for contender in contenders {
            match contender.await.unwrap() {
                Acquired::Held(guard) => guards.push(guard),
                Acquired::Taken => {}
                Acquired::Unavailable => panic!("the locks should be there"),
            }
        }
        assert_eq!(guards.len(), 1);
        assert_eq!(locks.counters().snapshot().taken, 23);
    }

    async fn tiny_and_huge_time_limits(locks: Locks) {
        let _zero = held(locks.try_lock("zero", Duration::ZERO).await);
        pass(Duration::from_millis(20)).await;
        let _again = held(locks.try_lock("zero", LONG).await);
        let huge = held(locks.try_lock("huge", Duration::MAX).await);
        assert_taken(locks.try_lock("huge", LONG).await);
        assert_eq!(huge.release().await, Released::Freed);
    }

    async fn odd_names(locks: Locks) {
        for name in ["", " ", "*", "a\r\nb", "\u{96FB}\u{8A71}", &"x".repeat(10_000)] {
            let guard = held(locks.try_lock(name, LONG).await);
            assert_taken(locks.try_lock(name, LONG).await);
            assert_eq!(guard.release().await, Released::Freed);
        }
    }

    #[tokio::test]
    async fn a_dropped_local_guard_frees_its_names() {
        let locks = Locks::local();
        drop(held(locks.try_lock("a", LONG).await));
        let _again = held(locks.try_lock("a", LONG).await);
        assert_eq!(locks.counters().snapshot().round_trips, 0);
    }

    #[tokio::test]
    async fn a_dropped_redis_guard_is_left_to_its_time_limit() {
        let (_server, locks) = redis_locks().await;
        drop(held(locks.try_lock("a", SHORT).await));
        assert_taken(locks.try_lock("a", LONG).await);
        pass(SHORT * 2).await;
        let _again = held(locks.try_lock("a", LONG).await);
    }

    #[tokio::test]
    async fn nodes_share_a_namespace_and_namespaces_share_nothing() {
        let mut server = TestRedis::absent();
        server.start().await;
        let (node1, node2, other) =
            (patient(&server.url(), "prod"), patient(&server.url(), "prod"), patient(&server.url(), "test"));
        let guard = held(node1.try_lock("a", LONG).await);
        assert_taken(node2.try_lock("a", LONG).await);
        let _unrelated = held(other.try_lock("a", LONG).await);
        assert_eq!(guard.release().await, Released::Freed);
        let _free = held(node2.try_lock("a", LONG).await);
        // Script hash unknown, script loaded, script run: more than one message, but one request of ours.
        assert_eq!(node1.counters().snapshot(), LockCounts { round_trips: 2, failures: 0, taken: 0 });
    }

    /// Waits until the locks answer again, at most a little over one pause of the breaker.
    async fn recovered(locks: &Locks, name: &str) -> LockGuard {
        for _ in 0..120 {
            if let Acquired::Held(guard) = locks.try_lock(name, LONG).await {
                return guard;
            }
            pass(Duration::from_millis(50)).await;
        }
        panic!("no recovery: {:?}", locks.health());
    }

    #[tokio::test]
    async fn absent_at_start_then_there() {
        let mut server = TestRedis::absent();
        let locks = Locks::redis(&server.url(), "absent").unwrap();
        assert_eq!(locks.health(), LockHealth { kind: LockKind::Redis, away_for: None, cause: None, refused: false });

        assert_unavailable(locks.try_lock("a", LONG).await);
        let health = locks.health();
        assert!(health.away_for.is_some() && health.cause.is_some(), "{health:?}");

        for _ in 0..1000 {
            let acquired = locks.try_lock("a", LONG).await;
            assert!(acquired.may_proceed() && acquired.into_guard().is_none());
        }
        // A thousand refusals asked nobody.
        assert_eq!(locks.counters().snapshot(), LockCounts { round_trips: 1, failures: 1, taken: 0 });

        server.start().await;
        let guard = recovered(&locks, "a").await;
        assert_taken(locks.try_lock("a", LONG).await);
        assert_eq!(guard.release().await, Released::Freed);
        assert_eq!(locks.health().away_for, None);
    }

    #[tokio::test]
    async fn killed_midway_then_back() {
        let mut server = TestRedis::started().await;
        let locks = patient(&server.url(), "killed");
        // Several pooled connections, so that the dead ones would be noticed one by one.
        let busy: Vec<_> = (0..16)
            .map(|n| {
                let locks = locks.clone();
                tokio::spawn(async move { locks.try_lock(&format!("busy-{n}"), LONG).await.into_guard() })
            })
            .collect();
        for task in busy {
            task.await.unwrap();
        }
        let guard = held(locks.try_lock("a", LONG).await);

        server.kill();
        assert_eq!(guard.release().await, Released::Unknown);
        assert_unavailable(locks.try_lock("b", LONG).await);
        assert_eq!(locks.counters().snapshot().failures, 1, "the second one was not even tried");

        server.start().await;
        let _again = recovered(&locks, "a").await;
        assert_eq!(locks.counters().snapshot().failures, 1, "one probe is enough");
        assert_eq!(locks.health().cause, None);
    }

    /// Whoever waits for longer hangs.
    const PATIENCE: Duration = Duration::from_mins(1);

    /// A port that accepts and never answers: a frozen Redis, or a firewall that swallows packets.
    #[tokio::test]
    async fn silence_costs_one_time_limit_and_then_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let locks = Locks::redis(&url, "silent").unwrap();
        assert_unavailable(tokio::time::timeout(PATIENCE, locks.try_lock("a", LONG)).await.unwrap());
        assert_unavailable(locks.try_lock("a", LONG).await);
        assert_eq!(locks.counters().snapshot().failures, 1, "the second one was not even tried");
    }

    #[tokio::test]
    async fn a_redis_that_refuses_is_away_too() {
        let mut server = TestRedis::started().await;
        let client = ::redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = ::redis::cmd("CONFIG").arg(&["SET", "requirepass", "secret"]).query_async(&mut connection).await.unwrap();
        let locks = patient(&server.url(), "refused");
        assert_unavailable(locks.try_lock("a", LONG).await);
        let cause = locks.health().cause.unwrap();
        assert!(cause.contains("NOAUTH"), "{cause}");
        server.kill();
    }

    #[test]
    fn an_address_that_is_none_is_refused_and_a_password_never_shown() {
        for url in ["", "localhost", "http://localhost/", "redis://"] {
            if let Err(error) = Locks::redis(url, "x") {
                assert!(error.to_string().contains("redis://"), "{error}");
            } else {
                assert_eq!(url, "redis://", "only an empty host may pass as the default host");
            }
        }
        let locks = Locks::redis("redis://user:hunter2@localhost/", "x").unwrap();
        assert!(!format!("{locks:?}").contains("hunter2"));
    }
}
