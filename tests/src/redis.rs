//! Redis for tests: the shared one, or a server of one's own to kill and freeze; and free ports.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    process::{Process, Signal},
    provided_by_run,
    wait::eventually,
};

/// The Redis that all tests share: use keys of your own.
///
/// # Panics
///
/// When the tests were not started with `tests/run`.
#[must_use]
pub fn shared_redis_url() -> String {
    provided_by_run("TEST_REDIS_URL")
}

/// A port on 127.0.0.1 that is free now and that this process has not been given before.
///
/// It lies below the range from which Linux takes the local ports of outgoing connections, so that a server can be stopped and started again on it. Another
/// process may still be faster: whoever binds it tries another one when that fails.
///
/// # Panics
///
/// When no port is free.
pub fn reserve_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    for _ in 0..10_000 {
        let port = rand::random_range(10_240..32_768);
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free port between 10240 and 32767");
}

/// A Redis server of one test, for tests in which it goes away. It keeps nothing: after a restart it is empty.
#[derive(Debug)]
pub struct PrivateRedis {
    process: Option<Process>,
    port: u16,
    folder: TempDir,
    /// What it is told of TLS; nothing where it speaks none.
    tls: Vec<String>,
}

impl PrivateRedis {
    /// Starts an empty server.
    ///
    /// # Panics
    ///
    /// When Redis is not installed, or does not start.
    pub async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// Starts an empty server that speaks TLS alone, with this certificate and key; with `wants_clients`, it lets in only clients that show a
    /// certificate of the authority. Its private operations, such as [`Self::flush`], are not for it.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn start_encrypted(certificate: &str, key: &str, authority: &str, wants_clients: bool) -> Self {
        let clients = if wants_clients { "yes" } else { "no" };
        let said = [
            ("--tls-cert-file", certificate),
            ("--tls-key-file", key),
            ("--tls-ca-cert-file", authority),
            ("--tls-auth-clients", clients),
        ];
        Self::start_with(said.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()).await
    }

    async fn start_with(tls: Vec<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("redis-").tempdir().expect("a temporary folder can be made");
        let mut server = Self { process: None, port: 0, folder, tls };
        for _ in 0..20 {
            server.port = reserve_port();
            if server.launch().await {
                return server;
            }
        }
        panic!("Redis does not start:\n{}", server.log());
    }

    /// Where to connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    /// Host and port, for a proxy in front.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL. Connections are refused until [`Self::start_again`], and everything stored is lost.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts the killed server, empty, on the same port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) {
        if self.process.as_mut().is_some_and(Process::is_running) {
            return;
        }
        assert!(self.launch().await, "Redis does not start again:\n{}", self.log());
    }

    /// Lets nobody in without this password from now on.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn demand_password(&self, password: &str) {
        let mut command = ::redis::cmd("CONFIG");
        command.arg("SET").arg("requirepass").arg(password);
        self.command(command).await;
    }

    /// Removes every key.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn flush(&self) {
        self.command(::redis::cmd("FLUSHALL")).await;
    }

    /// Leaves every command of every client unanswered for `time`; they are carried out afterwards.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn pause(&self, time: Duration) {
        let mut command = ::redis::cmd("CLIENT");
        command.arg("PAUSE").arg(time.as_millis().to_string());
        self.command(command).await;
    }

    /// SIGSTOP: connections stay open and new ones are accepted, but nothing answers until [`Self::thaw`].
    pub fn freeze(&mut self) {
        self.signal(Signal::Stop);
    }

    /// SIGCONT: goes on after [`Self::freeze`].
    pub fn thaw(&mut self) {
        self.signal(Signal::Continue);
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        // Redis logs to stdout.
        crate::process::written(&self.folder.path().join("log"))
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    async fn command(&self, command: ::redis::Cmd) {
        let client = ::redis::Client::open(self.url()).expect("the URL is well-formed");
        let mut connection = client.get_multiplexed_async_connection().await.expect("the private Redis can be reached");
        command.exec_async(&mut connection).await.expect("the private Redis obeys");
    }

    /// Starts the server; false when it ended instead of becoming ready.
    async fn launch(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1"])
            .args([if self.tls.is_empty() { "--port" } else { "--tls-port" }, &self.port.to_string()])
            .args(if self.tls.is_empty() { &[][..] } else { &["--port", "0"] })
            .args(&self.tls)
            .args(["--save", ""])
            .args(["--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path());
        let before = self.log().len();
        let process = Process::spawn("redis-server", command, &self.folder.path().join("log"));
        let process = self.process.insert(process);

        // Its own word, not a connection: on this port somebody else's server could answer.
        eventually("Redis to be ready", Duration::from_secs(30), async || {
            if !process.is_running() {
                return Some(false);
            }
            let log = process.log();
            log.get(before..)?.contains("Ready to accept connections").then_some(true)
        })
        .await
    }
}
