//! Postgres for tests: a schema of one's own in the shared server, or a server of one's own to stop and break.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{
    process::{Process, Signal},
    provided_by_run,
    redis::reserve_port,
    wait::eventually,
};

/// The Postgres that all tests share, each in its own [`fresh_schema`].
///
/// # Panics
///
/// When the tests were not started with `tests/run`.
#[must_use]
pub fn shared_postgres_url() -> String {
    provided_by_run("TEST_POSTGRES_URL")
}

/// A schema of one test; dropped with the guard.
///
/// A schema separates tables. Notifications (`LISTEN`) and advisory locks belong to the database: where that is the server's own, they are
/// shared with every other test.
#[derive(Debug)]
pub struct SchemaGuard {
    /// Connections made with this URL see this schema and no other.
    pub url: String,
    /// The schema's name.
    pub name: String,
    server: String,
    /// How it goes away again, told to the server.
    away: String,
}

/// Creates an empty schema in the database at `server`.
///
/// # Panics
///
/// When the server cannot be reached.
pub async fn fresh_schema(server: &str) -> SchemaGuard {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    execute(server, format!("CREATE SCHEMA {name}"))
        .await
        .unwrap_or_else(|error| panic!("cannot create a schema at {server}: {error}"));
    let away = format!("SET lock_timeout = '1s'; DROP SCHEMA IF EXISTS {name} CASCADE");
    SchemaGuard { url: within(server, &name), name, server: server.to_owned(), away }
}

/// Creates an empty database, whose tables are in the schema `public`, as most have them.
///
/// # Panics
///
/// When the server cannot be reached.
pub async fn fresh_database(server: &str) -> SchemaGuard {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    execute(server, format!("CREATE DATABASE {name}"))
        .await
        .unwrap_or_else(|error| panic!("cannot create a database at {server}: {error}"));
    let away = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    SchemaGuard { url: database(server, &name), name: "public".to_owned(), server: server.to_owned(), away }
}

/// The same as the product leaves it after its first start, in a database of its own: a copy of one that was made once in this process.
/// Copying takes a third of the time of the migrations.
///
/// # Panics
///
/// When the server cannot be reached, or a migration fails.
pub async fn fresh_tables(server: &str) -> SchemaGuard {
    static PATTERN: OnceCell<String> = OnceCell::const_new();
    let pattern = PATTERN.get_or_init(async || make_pattern(server).await).await;
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let own = database(server, &name);
    // Its schema gets its name, by which installations are told apart where nothing else differs: they share a Redis.
    let work = async {
        execute(server, format!("CREATE DATABASE {name} TEMPLATE {pattern}")).await?;
        execute(&own, format!("ALTER SCHEMA public RENAME TO {name}")).await
    };
    work.await.unwrap_or_else(|error| panic!("cannot copy a database at {server}: {error}"));
    let away = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    SchemaGuard { url: within(&own, &name), name, server: server.to_owned(), away }
}

/// Makes the database that others are copied from, which goes with the server.
async fn make_pattern(server: &str) -> String {
    let name = format!("pattern_{}", uuid::Uuid::new_v4().simple());
    let own = database(server, &name);
    let work = async {
        execute(server, format!("CREATE DATABASE {name}")).await?;
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/migrations/postgres");
        let mut connection = PgConnection::connect(&own).await?;
        Migrator::new(migrations).await?.run(&mut connection).await?;
        connection.close().await?;
        // Nobody connects, so that a copy can be made at any time.
        execute(server, format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")).await
    };
    work.await.unwrap_or_else(|error| panic!("cannot make the tables at {server}: {error}"));
    name
}

/// The same server's database of that name.
fn database(server: &str, name: &str) -> String {
    let (address, _) = server.rsplit_once('/').expect("the address of a database ends with its name");
    format!("{address}/{name}")
}

/// The same database, in which only that schema is seen.
fn within(url: &str, schema: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20search_path%3D{schema}")
}

impl Drop for SchemaGuard {
    fn drop(&mut self) {
        // A runtime cannot be started inside the test's own; and a schema that cannot be dropped goes with the server.
        let drop_it = self.away.clone();
        let server = self.server.clone();
        let _best_effort = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
            let work = execute(&server, drop_it);
            let _best_effort = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), work).await });
        })
        .join();
    }
}

async fn execute(url: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    connection.close().await
}

/// A Postgres server of one test, for tests in which it goes away. Dropping it removes everything.
#[derive(Debug)]
pub struct PrivatePostgres {
    process: Option<Process>,
    port: u16,
    folder: TempDir,
}

impl PrivatePostgres {
    /// Creates an empty cluster and starts it.
    ///
    /// # Panics
    ///
    /// When Postgres is not installed, or does not start.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().expect("a temporary folder can be made");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).expect("the mode of an own folder can be changed");
        create_cluster(&folder.path().join("cluster"));

        let mut server = Self { process: None, port: 0, folder };
        for _ in 0..20 {
            server.port = reserve_port();
            if server.launch().await {
                return server;
            }
        }
        panic!("Postgres does not start:\n{}", server.log());
    }

    /// Where to connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.addr())
    }

    /// Host and port, for a proxy in front.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Disconnects everybody and stops in order ("fast"). Connections are refused until [`Self::start_again`].
    pub async fn stop(&mut self) {
        self.end(Signal::Interrupt).await;
    }

    /// Stops without a checkpoint ("immediate"), as after a crash: the next start recovers from the log.
    pub async fn crash(&mut self) {
        self.end(Signal::Quit).await;
    }

    /// Starts the stopped server with the same data on the same port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) {
        if self.process.as_mut().is_some_and(Process::is_running) {
            return;
        }
        assert!(self.launch().await, "Postgres does not start again:\n{}", self.log());
    }

    /// Ends the session of every client, as `pg_terminate_backend` does.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn kill_connections(&self) {
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        execute(&self.url(), sql.to_owned()).await.expect("the private Postgres can be reached");
    }

    /// Carries out statements as the superuser.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached or refuses.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url(), sql.to_owned()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Gives a folder or file to the user as whom this server runs.
    ///
    /// # Panics
    ///
    /// When that is not permitted.
    pub fn give_away(&self, path: &Path) {
        if let Some((uid, gid)) = postgres_user() {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root can give a folder away");
        }
    }

    /// On which port it listens, on 127.0.0.1 and, where there is one, on `::1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_folder(&self) -> PathBuf {
        self.cluster()
    }

    /// Copies a key and a certificate to where only this server reads them, and gives their places.
    ///
    /// # Panics
    ///
    /// When they cannot be copied.
    #[must_use]
    pub fn place_certificate(&self, key: &Path, certificate: &Path) -> (String, String) {
        let place = |from: &Path, name: &str| {
            let to = self.cluster().join(name);
            fs::copy(from, &to).expect("a file can be copied");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("the mode of an own file can be changed");
            self.give_away(&to);
            to.display().to_string()
        };
        (place(key, "test.key"), place(certificate, "test.pem"))
    }

    /// Lets clients of the network in by this line of `pg_hba.conf` only; those of the socket always.
    ///
    /// # Panics
    ///
    /// When the server does not take it.
    pub async fn let_in(&self, line: &str) {
        fs::write(self.cluster().join("pg_hba.conf"), format!("local all all trust\n{line}\n"))
            .expect("the cluster can be written");
        let host = self.socket_folder().display().to_string().replace('/', "%2F");
        let url = format!("postgres://postgres@{host}:{}/postgres", self.port);
        let before = self.log().matches("reloading configuration files").count();
        execute(&url, "SELECT pg_reload_conf()".to_owned()).await.expect("the private Postgres can be reached by its socket");
        eventually("Postgres to read its configuration", Duration::from_secs(30), async || {
            (self.log().matches("reloading configuration files").count() > before).then_some(())
        })
        .await;
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    async fn end(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            process.signal(signal);
            process.wait(Duration::from_secs(30)).await;
        }
    }

    /// Starts the server; false when it ended instead of becoming ready.
    async fn launch(&mut self) -> bool {
        let cluster = self.cluster();
        let mut command = postgres_command("postgres", &cluster);
        command
            .arg("-D")
            .arg(&cluster)
            .arg("-k")
            .arg(&cluster)
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1,::1"])
            .args(["-c", "fsync=off"])
            .args(["-c", "shared_buffers=16MB"]);
        let process = Process::spawn("postgres", command, &self.log_file()).with_farewell(Signal::Quit);
        let process = self.process.insert(process);

        // Its own word, not a connection: on this port somebody else's server could answer.
        let word = cluster.join("postmaster.pid");
        eventually("Postgres to be ready", Duration::from_mins(1), async || {
            if !process.is_running() {
                return Some(false);
            }
            let text = fs::read_to_string(&word).ok()?;
            let mut lines = text.lines();
            let own = lines.next()?.trim() == process.id().to_string();
            let ready = lines.nth(6)?.trim() == "ready";
            (own && ready).then_some(true)
        })
        .await
    }
}

/// Creates an empty cluster at `cluster`, whose parent folder exists.
fn create_cluster(cluster: &Path) {
    fs::create_dir(cluster).expect("a folder can be made");
    if let Some((uid, gid)) = postgres_user() {
        std::os::unix::fs::chown(cluster, Some(uid), Some(gid)).expect("root can give a folder away");
    }
    let output = postgres_command("initdb", cluster)
        .arg("-D")
        .arg(cluster)
        .args(["--username=postgres", "--auth=trust", "--no-sync"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8"])
        .output()
        .expect("initdb can be started");
    assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
}

/// A Postgres program, to be run in `folder` and never as root, which it refuses.
fn postgres_command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program_folder().join(program));
    command.current_dir(folder).env("LC_ALL", "C.UTF-8");
    if let Some((uid, gid)) = postgres_user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// The newest installed Postgres, in Debian's layout; else the one on the path.
fn program_folder() -> PathBuf {
    let version_of = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version_of(&entry)?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("postgres").exists())
        .max()
        .map_or_else(PathBuf::new, |(_, folder)| folder)
}

/// Whom to become: the user `postgres` when this is root, else nobody.
pub(crate) fn postgres_user() -> Option<(u32, u32)> {
    static USER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *USER.get_or_init(|| {
        let own = fs::metadata("/proc/self").expect("/proc is there").uid();
        (own == 0).then(|| (id_of_postgres("-u"), id_of_postgres("-g")))
    })
}

fn id_of_postgres(which: &str) -> u32 {
    let output = Command::new("id").args([which, "postgres"]).output().expect("`id` can be started");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the user postgres exists: apt-get install postgresql")
}
