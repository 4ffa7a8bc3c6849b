//! The hosts of a Postgres database: which of them is used, and how another one is found after a failover.
//!
//! All sessions of a node are with one host. When that is no primary any more, or says nothing, all hosts are asked, and sessions begin anew
//! with the one that is. What waits for a host that was left is given up at once: a host that is frozen, or whose network swallows every
//! packet, would never answer.

use std::fs::{DirBuilder, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::reaching::{self, PASS_OVER_AFTER, Tells, begin_session, connect_once, told_by};
use crate::config::postgres_url::PostgresAddress;
use crate::primary::{Lineage, Objection, Told, choose, learnt};
use crate::store::trouble::Trouble;
use crate::store::{ReadOnly, Result, StoreError, takes_changes};

const POOL_SIZE: u32 = 20;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// The host that is used is asked so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// And no more often, whatever fails.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The others are asked each so many times.
const LOOK_AT_OTHERS: u32 = 10;
/// While tables are brought up to date on other nodes, no plans are kept for so long.
const UNSETTLED: Duration = Duration::from_mins(1);
/// In the folder of a server: how far the cluster had got that was used last.
const FILE: &str = "server.primary";

/// A node that freezes inside a transaction must not keep rows locked for ever. Said in each session and not when connecting, because
/// poolers refuse parameters at that moment.
const LIMITS: &str = "SELECT set_config('idle_in_transaction_session_timeout', '3s', false), set_config('lock_timeout', '2s', false), \
                      set_config('statement_timeout', '4s', false)";

/// What a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostState {
    /// It is used.
    Used,
    /// It follows the primary.
    Standby,
    /// It says that it is a primary, and is not used: another one was promoted since.
    OldPrimary,
    /// It belongs to another cluster.
    Stranger,
    /// It says that it is a primary as well, and nobody can tell which is meant.
    Twin,
    /// It leads to the server that is used, as another pooler does.
    Same,
    /// It cannot be reached, for this reason.
    Away(String),
}

impl HostState {
    /// The word for programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Standby => "standby",
            Self::OldPrimary => "old_primary",
            Self::Stranger => "stranger",
            Self::Twin => "twin",
            Self::Same => "same",
            Self::Away(_) => "away",
        }
    }
}

/// A host of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Host, port and name of the database.
    pub place: String,
    /// What it was when it was last looked at.
    pub state: HostState,
}

/// How far a session reaches: until its host is left, and whether it may keep plans of statements.
#[derive(Clone)]
pub struct Reach {
    left: CancellationToken,
    plans: Arc<Plans>,
}

impl Reach {
    /// What comes of waiting for the host; `None` when it was left meanwhile.
    pub(in crate::store) async fn until_left<F: Future>(&self, waiting: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = waiting => Some(done),
            () = self.left.cancelled() => None,
        }
    }

    /// The same for what the driver does.
    pub(in crate::store) async fn of_driver<T>(&self, waiting: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        match self.until_left(waiting).await {
            Some(done) => done.inspect_err(|error| self.plans.judge(error)),
            None => Err(left()),
        }
    }

    /// Whether sessions may keep the plans of statements.
    pub(in crate::store) fn keeps_plans(&self) -> bool {
        !self.plans.are_unsettled()
    }
}

fn left() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "another host of the database is used now"))
}

/// The plans of statements that sessions keep. One that gives all columns of a table fails once the table has another column, in each session
/// that has kept it: so none are kept while another node brings the tables up to date.
#[derive(Default)]
struct Plans(Mutex<Kept>);

#[derive(Clone, Copy, Default)]
struct Kept {
    /// Those of sessions from before this are given up.
    since: Option<Instant>,
    unsettled_until: Option<Instant>,
}

impl Plans {
    fn get(&self) -> Kept {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsettle(&self) {
        let now = Instant::now();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Kept { since: Some(now), unsettled_until: Some(now + UNSETTLED) };
    }

    fn are_unsettled(&self) -> bool {
        self.get().unsettled_until.is_some_and(|until| Instant::now() < until)
    }

    /// Nobody told that tables have changed: at least the next session knows.
    fn judge(&self, error: &sqlx::Error) {
        if error.as_database_error().is_some_and(|error| error.message().contains("cached plan must not change result type")) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).since = Some(Instant::now());
        }
    }

    /// Whether a session that was opened so long ago may hold plans that fail.
    fn outlived_by(&self, age: Duration) -> bool {
        self.get().since.is_some_and(|since| since.elapsed() <= age)
    }
}

/// How far the cluster has got that was used, and where a server writes that down.
pub(in crate::store) struct Known {
    folder: PathBuf,
    writes: bool,
    lineage: Mutex<Option<Lineage>>,
}

impl Known {
    /// What the folder's server has used.
    pub(in crate::store) fn read(folder: &Path, writes: bool) -> Self {
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        let mut words = text.split_whitespace();
        let lineage = words.next().and_then(|system| system.parse().ok()).zip(words.next().and_then(|word| word.parse().ok()));
        let lineage = lineage.map(|(system, timeline)| Lineage { system, timeline });
        Self { folder: folder.to_owned(), writes, lineage: Mutex::new(lineage) }
    }

    pub(in crate::store) fn get(&self) -> Option<Lineage> {
        *self.lineage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server was used.
    pub(in crate::store) fn learn(&self, told: &Told, place: &str) {
        let (before, after) = {
            let mut lineage = self.lineage.lock().unwrap_or_else(PoisonError::into_inner);
            let (before, after) = (*lineage, learnt(*lineage, told));
            *lineage = after;
            (before, after)
        };
        let Some(after) = after.filter(|_| before != after && self.writes) else { return };
        if before.is_some_and(|before| before.system != after.system) {
            tracing::warn!(database = place, "the database belongs to another cluster than the one that was used before");
        }
        tracing::info!(database = place, timeline = after.timeline, "the database is on this timeline");
        if let Err(error) = self.write(after, place) {
            tracing::warn!(%error, "how far the database has got could not be written down: after a restart an old primary is not recognised");
        }
    }

    fn write(&self, lineage: Lineage, place: &str) -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // Renamed into its place, so that nobody reads half of it.
        let new = self.folder.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(format!("{} {} {place}\n", lineage.system, lineage.timeline).as_bytes())?;
        std::fs::rename(new, self.folder.join(FILE))
    }

    /// Why a server is not used, for people.
    pub(super) fn sentence(&self, objection: Objection, place: &str) -> String {
        let file = self.folder.join(FILE);
        let file = file.display();
        match objection {
            Objection::Standby => format!("{place} is a standby"),
            Objection::Older { told, known } => format!(
                "{place} says that it is the primary, on timeline {told}, and timeline {known} was used: a standby was promoted since, and \
                 what was stored there is not in this one. It is not used. Make it a standby of the newer one (pg_rewind or \
                 pg_basebackup); if the newer one is lost for good and this one is meant, stop all nodes, remove {file} of each, and start \
                 them (docs/failover.md)"
            ),
            Objection::Stranger => format!(
                "{place} belongs to another cluster than the one that was used. It is not used. Correct the hosts in DATABASE_URL; if the \
                 cluster was made anew, as by pg_upgrade, start the nodes again (docs/failover.md)"
            ),
        }
    }
}

/// What a host's server was found to be, or why it could not be asked.
pub(in crate::store) type Asked = std::result::Result<Told, String>;

/// What is decided for each session that begins, and remembered of hosts.
struct Watch {
    several: bool,
    tells: Tells,
    known: Known,
    trouble: Arc<Trouble>,
    read_only: Arc<ReadOnly>,
    plans: Arc<Plans>,
    /// Something is wrong with the host that is used.
    suspect: Notify,
}

impl Watch {
    fn objection(&self, told: &Told) -> Option<Objection> {
        told.objection(self.known.get()).filter(|objection| self.several || matches!(objection, Objection::Older { .. }))
    }

    /// Whether a session that has just begun may be used.
    async fn admit(&self, connection: &mut PgConnection, place: &str) -> std::result::Result<(), sqlx::Error> {
        let told = told_by(connection, &self.tells).await?;
        let Some(objection) = self.objection(&told) else {
            self.known.learn(&told, place);
            return Ok(());
        };
        let sentence = self.known.sentence(objection, place);
        self.trouble.of_host(objection, sentence.clone());
        self.suspect.notify_one();
        Err(sqlx::Error::Protocol(sentence))
    }
}

/// The host that is used, and its sessions.
#[derive(Clone)]
struct Used {
    host: usize,
    pool: PgPool,
    reach: Reach,
}

/// The hosts of a database, and the one that is used.
pub(in crate::store) struct Primary {
    addresses: Mutex<Vec<PostgresAddress>>,
    used: Mutex<Used>,
    watch: Arc<Watch>,
    hosts: Mutex<Vec<Host>>,
    moves: std::sync::atomic::AtomicU64,
}

/// What was found when a database was opened.
pub(in crate::store) struct Found {
    pub(in crate::store) addresses: Vec<PostgresAddress>,
    /// What each of them was.
    pub(in crate::store) asked: Vec<Asked>,
    /// Which is used.
    pub(in crate::store) host: usize,
    pub(in crate::store) tells: Tells,
    pub(in crate::store) known: Known,
}

impl Primary {
    pub(in crate::store) fn new(found: Found, trouble: Arc<Trouble>) -> Self {
        let Found { addresses, asked, host, tells, known } = found;
        let watch = Arc::new(Watch {
            several: addresses.len() > 1,
            tells,
            known,
            trouble,
            read_only: Arc::default(),
            plans: Arc::default(),
            suspect: Notify::new(),
        });
        let used = begin(&watch, &addresses, host);
        let hosts = addresses.iter().map(|address| Host { place: address.place(), state: HostState::Away(String::new()) });
        let primary = Self {
            hosts: Mutex::new(hosts.collect()),
            addresses: Mutex::new(addresses),
            used: Mutex::new(used),
            watch,
            moves: std::sync::atomic::AtomicU64::new(0),
        };
        primary.note(&asked, Some(host), None);
        primary
    }

    fn used(&self) -> Used {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sessions with the host that is used.
    pub(in crate::store) fn pool(&self) -> PgPool {
        self.used().pool
    }

    /// Until when that host is used.
    pub(in crate::store) fn reach(&self) -> Reach {
        self.used().reach
    }

    /// Where the host that is used is.
    pub(in crate::store) fn place(&self) -> String {
        self.place_of(self.used().host)
    }

    pub(in crate::store) fn read_only(&self) -> &Arc<ReadOnly> {
        &self.watch.read_only
    }

    /// What each host was when it was last looked at.
    pub(in crate::store) fn hosts(&self) -> Vec<Host> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often another host was taken.
    pub(in crate::store) fn moves(&self) -> u64 {
        self.moves.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Another node is about to change tables.
    pub(in crate::store) fn tables_change(&self) {
        self.watch.plans.unsettle();
    }

    /// Whether another node may be changing tables just now.
    pub(in crate::store) fn tables_are_unsettled(&self) -> bool {
        self.watch.plans.are_unsettled()
    }

    /// A session with the host that is used.
    pub(in crate::store) async fn acquire(&self) -> Result<(PoolConnection<Postgres>, Reach)> {
        // Once more where another host was taken meanwhile.
        for _ in 0..2 {
            self.watch.trouble.check()?;
            let Used { pool, reach, .. } = self.used();
            match reach.until_left(pool.acquire()).await {
                Some(Ok(connection)) => return Ok((connection, reach)),
                Some(Err(error)) => {
                    self.watch.suspect.notify_one();
                    self.watch.trouble.check()?;
                    return Err(StoreError::Connection(error));
                }
                None => {}
            }
        }
        Err(StoreError::Connection(left()))
    }

    fn place_of(&self, host: usize) -> String {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(host).map(|host| host.place.clone()).unwrap_or_default()
    }

    /// Goes where the primary is, until dropped.
    pub(in crate::store) async fn follow(&self) {
        // With the host that is used, beside the sessions that others wait for.
        let mut own: Option<PgConnection> = None;
        let mut turn = 0_u32;
        loop {
            if !self.watch.several && !self.watch.trouble.is_of_host() {
                // One host needs looking after only while it was refused.
                self.watch.suspect.notified().await;
            }
            turn = turn.wrapping_add(1);
            let host = self.used().host;
            let told = match own.as_mut() {
                Some(connection) => {
                    timeout(PASS_OVER_AFTER, told_by(connection, &self.watch.tells)).await.ok().and_then(sqlx::Result::ok)
                }
                None => None,
            };
            let fits = told.is_some_and(|told| self.watch.objection(&told).is_none());
            if let Some(told) = told.filter(|_| fits) {
                self.watch.known.learn(&told, &self.place_of(host));
                self.watch.trouble.host_is_well();
            }
            if !fits || (self.watch.several && turn.is_multiple_of(LOOK_AT_OTHERS)) {
                self.search(host, &mut own).await;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            let _ = timeout(LOOK_EVERY, self.watch.suspect.notified()).await;
        }
    }

    /// Asks all hosts, and takes the one that is the primary.
    async fn search(&self, at: usize, own: &mut Option<PgConnection>) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = ask_all(&mut addresses, &self.watch.tells).await;
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
        let (mut connections, asked): (Vec<_>, Vec<Asked>) = found
            .into_iter()
            .map(|found| match found {
                Ok((connection, told)) => (Some(connection), Ok(told)),
                Err(error) => (None, Err(error)),
            })
            .unzip();
        if !self.watch.several {
            connections.into_iter().flatten().for_each(let_go);
            self.judge_the_only_one(&asked);
            return;
        }
        let told: Vec<Option<Told>> = asked.iter().map(|asked| asked.as_ref().ok().copied()).collect();
        let choice = choose(&told, self.watch.known.get(), Some(at));
        self.note(&asked, choice.host, choice.twin);
        let Some(host) = choice.host else {
            *own = None;
            let known = self.watch.known.get();
            let worse = told.iter().flatten().filter_map(|told| told.objection(known)).find(|why| *why != Objection::Standby);
            // One that merely does not answer may only be slow: whoever asks for a session finds out.
            if let Some(why) = worse.or_else(|| told[at]?.objection(known)) {
                self.watch.trouble.of_host(why, self.no_primary(&asked));
            }
            return;
        };
        if let Some(told) = told[host] {
            self.watch.known.learn(&told, &self.place_of(host));
        }
        *own = connections[host].take();
        connections.into_iter().flatten().for_each(let_go);
        if host != at {
            self.move_to(host, at);
        }
        self.watch.trouble.host_is_well();
    }

    /// One host has to be used as it is, unless it is refused.
    fn judge_the_only_one(&self, asked: &[Asked]) {
        self.note(asked, Some(0), None);
        let Some(Ok(told)) = asked.first() else { return };
        match self.watch.objection(told) {
            Some(objection) => self.watch.trouble.of_host(objection, self.watch.known.sentence(objection, &self.place())),
            None => self.watch.trouble.host_is_well(),
        }
    }

    /// Begins all sessions anew with another host.
    fn move_to(&self, host: usize, from: usize) {
        tracing::warn!(
            from = self.place_of(from),
            to = self.place_of(host),
            "another host is the primary now; the database is used there"
        );
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = begin(&self.watch, &addresses, host);
        let before = std::mem::replace(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner), next);
        self.moves.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        before.reach.left.cancel();
        // Beside: a host that is silent does not say goodbye.
        tokio::spawn(async move { timeout(PASS_OVER_AFTER, before.pool.close()).await });
    }

    /// Why none of the hosts is used.
    fn no_primary(&self, asked: &[Asked]) -> String {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        none_is_primary(&addresses, asked, &self.watch.known)
    }

    /// Remembers what the hosts are, and says once what somebody has to look after.
    fn note(&self, asked: &[Asked], used: Option<usize>, twin: Option<usize>) {
        let known = self.watch.known.get();
        let started = used.and_then(|used| asked.get(used)?.as_ref().ok()).map(|told| told.started);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, (host, asked)) in hosts.iter_mut().zip(asked).enumerate() {
            let objection = asked.as_ref().ok().and_then(|told| told.objection(known));
            let state = match (asked, objection) {
                (Err(error), _) => HostState::Away(error.clone()),
                (Ok(_), _) if used == Some(place) => HostState::Used,
                (Ok(_), Some(Objection::Standby)) => HostState::Standby,
                (Ok(_), Some(Objection::Older { .. })) => HostState::OldPrimary,
                (Ok(_), Some(Objection::Stranger)) => HostState::Stranger,
                (Ok(_), None) if twin == Some(place) => HostState::Twin,
                (Ok(told), None) if started == Some(told.started) => HostState::Same,
                // Of an older timeline than the one that was chosen.
                (Ok(_), None) => HostState::OldPrimary,
            };
            if host.state.as_str() != state.as_str() {
                match (&state, objection) {
                    (HostState::Twin, _) => tracing::error!(
                        database = host.place,
                        "two hosts of the database say that they are the primary, on the same timeline; the other one is used: stop the \
                         one that is not meant"
                    ),
                    (HostState::OldPrimary | HostState::Stranger, Some(objection)) => {
                        tracing::error!("{}", self.watch.known.sentence(objection, &host.place));
                    }
                    (HostState::Away(error), _) if !error.is_empty() => {
                        tracing::warn!(database = host.place, %error, "a host of the database cannot be reached");
                    }
                    _ => {}
                }
                host.state = state;
            }
        }
    }
}

/// Asks all hosts at once; each has its time.
pub(in crate::store) async fn ask_all(
    addresses: &mut [PostgresAddress],
    tells: &Tells,
) -> Vec<std::result::Result<(PgConnection, Told), String>> {
    join_all(addresses.iter_mut().map(|address| ask(address, tells))).await
}

async fn ask(address: &mut PostgresAddress, tells: &Tells) -> std::result::Result<(PgConnection, Told), String> {
    let asking = async {
        let mut connection = connect_once(address).await?;
        let told = told_by(&mut connection, tells).await?;
        Ok::<_, sqlx::Error>((connection, told))
    };
    let asked = timeout(PASS_OVER_AFTER, asking).await;
    match asked {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(reaching::unreachable(error, &address.place()).to_string()),
        Err(_) => Err(format!("{} does not answer within {} s", address.place(), PASS_OVER_AFTER.as_secs())),
    }
}

/// Says goodbye to a server, which need not answer.
pub(in crate::store) fn let_go(connection: PgConnection) {
    tokio::spawn(async move { timeout(PASS_OVER_AFTER, connection.close()).await });
}

/// Why none of several hosts can be used.
pub(in crate::store) fn none_is_primary(addresses: &[PostgresAddress], asked: &[Asked], known: &Known) -> String {
    let each = addresses.iter().zip(asked).map(|(address, asked)| match asked {
        Err(error) => error.clone(),
        Ok(told) => match told.objection(known.get()) {
            Some(objection) => known.sentence(objection, &address.place()),
            None => format!("{} is a primary", address.place()),
        },
    });
    format!("none of its hosts is a primary that can be used: {}", each.collect::<Vec<_>>().join("; "))
}

/// Sessions with a host. None is opened before it is asked for.
fn begin(watch: &Arc<Watch>, addresses: &[PostgresAddress], host: usize) -> Used {
    let address = addresses[host].clone();
    let (beginning, passing, place) = (Arc::clone(watch), Arc::clone(watch), address.place());
    let search_path = address.search_path.clone();
    let pool = PgPoolOptions::new()
        .max_connections(POOL_SIZE)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            let (search_path, watch, place) = (search_path.clone(), Arc::clone(&beginning), place.clone());
            Box::pin(async move {
                begin_session(connection, search_path.as_deref()).await?;
                sqlx::query(LIMITS).persistent(false).execute(&mut *connection).await?;
                watch.admit(connection, &place).await
            })
        })
        .before_acquire(move |connection, session| {
            let outlived = passing.plans.outlived_by(session.age);
            let suspect = passing.read_only.concerns(session.age);
            Box::pin(async move { Ok(!outlived && (!suspect || takes_changes(connection).await?)) })
        })
        .connect_lazy_with(address.options.disable_statement_logging());
    Used { host, pool, reach: Reach { left: CancellationToken::new(), plans: Arc::clone(&watch.plans) } }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn told(system: u64, timeline: u32) -> Told {
        Told { standby: false, read_only: false, lineage: Some(Lineage { system, timeline }), started: 1 }
    }

    #[test]
    fn how_far_a_cluster_got_survives_a_restart_and_garbage_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known::read(folder.path(), true);
        assert_eq!(known.get(), None);
        known.learn(&told(7_714_034_849_678_804_606, 2), "db:5432/my alarms");
        known.learn(&told(7_714_034_849_678_804_606, 1), "db:5432/my alarms");
        let again = Known::read(folder.path(), false);
        assert_eq!(again.get(), Some(Lineage { system: 7_714_034_849_678_804_606, timeline: 2 }));
        let said = again.sentence(told(7_714_034_849_678_804_606, 1).objection(again.get()).unwrap(), "db:5432/a");
        assert!(said.contains("timeline 2 was used") && said.contains("server.primary"), "{said}");
        // A command beside the server leaves it as it is.
        again.learn(&told(7_714_034_849_678_804_606, 3), "db");
        assert_eq!(Known::read(folder.path(), false).get().unwrap().timeline, 2);
        for garbage in ["", "x y", "5", "5 -1 place"] {
            std::fs::write(folder.path().join(FILE), garbage).unwrap();
            assert_eq!(Known::read(folder.path(), false).get(), None, "{garbage}");
        }
    }

    #[test]
    fn plans_of_before_are_given_up() {
        let plans = Plans::default();
        assert!(!plans.are_unsettled() && !plans.outlived_by(Duration::from_secs(9)));
        plans.unsettle();
        assert!(plans.are_unsettled() && plans.outlived_by(Duration::from_secs(9)) && !plans.outlived_by(Duration::ZERO));
    }
}
