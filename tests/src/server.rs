//! The real `autocall` as a child process: started, killed, frozen and started again.

use std::{
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    process::{Process, Signal},
    provided_by_run,
    redis::reserve_port,
};

/// What most tests ask for without a key: everything. A fresh installation gives open networks less; tests of that say so.
pub const OPEN_RIGHTS: (&str, &str) = ("AUTOCALL_HTTP_OPEN_RIGHTS", "admin");

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// What `autocall serve` is started with. By default: an embedded database in a folder of its own, and no Redis.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    database_url: Option<String>,
    redis_url: Option<String>,
    config: Option<String>,
    data_dir: Option<PathBuf>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    program: Option<PathBuf>,
    as_installed: bool,
    socket: Option<Arc<TcpListener>>,
}

impl ServeOptions {
    /// Embedded database, no Redis, default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs this program instead of the one in `AUTOCALL_BIN`.
    #[must_use]
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// Gives it this socket, as systemd does, instead of an address to open.
    #[must_use]
    pub fn socket(mut self, socket: &Arc<TcpListener>) -> Self {
        self.socket = Some(Arc::clone(socket));
        self
    }

    /// Leaves open networks the rights that a fresh installation gives them.
    #[must_use]
    pub fn as_installed(mut self) -> Self {
        self.as_installed = true;
        self
    }

    /// Uses this database (`DATABASE_URL`).
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database_url = Some(url.into());
        self
    }

    /// Uses this Redis (`REDIS_URL`).
    #[must_use]
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.redis_url = Some(url.into());
        self
    }

    /// Writes this text (TOML) into a file and names it in `AUTOCALL_CONFIG`.
    #[must_use]
    pub fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = Some(toml.into());
        self
    }

    /// Uses this data folder, which stays, instead of a temporary one.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Adds a command line argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// A running `autocall serve`. Dropping it kills it.
#[derive(Debug)]
pub struct Binary {
    process: Process,
    options: ServeOptions,
    port: u16,
    /// The log, the configuration, and the data folder unless another one was given.
    folder: TempDir,
}

impl Binary {
    /// Starts the server and waits until `/healthz` says that it is well.
    ///
    /// # Panics
    ///
    /// With the server's log, when it ends instead or takes more than 30 seconds.
    pub async fn spawn(options: ServeOptions) -> Self {
        for _ in 0..20 {
            let mut server = Self::launch(options.clone());
            match server.become_healthy().await {
                Ok(()) => return server,
                // Somebody took the port between our look and the server's.
                Err(problem) if !server.log().contains("in use") => server.fail(&problem),
                Err(_) => {}
            }
        }
        panic!("autocall finds no free port");
    }

    /// Starts the server without waiting, for tests in which it cannot become healthy: see [`Self::wait_until_healthy`].
    ///
    /// # Panics
    ///
    /// When the binary cannot be started.
    #[must_use]
    pub fn launch(options: ServeOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("autocall-").tempdir().expect("a temporary folder can be made");
        if let Some(config) = &options.config {
            fs::write(folder.path().join("autocall.toml"), config).expect("an own folder can be written");
        }
        let port = match &options.socket {
            Some(socket) => socket.local_addr().expect("a socket has an address").port(),
            None => reserve_port(),
        };
        Self { process: start(&options, port, folder.path()), options, port, folder }
    }

    /// Its number among the processes.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where it serves, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Host and port, for a proxy in front.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.options, self.folder.path())
    }

    /// Its log, before restarts too.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.errors()
    }

    /// What it has said on stdout, before restarts too.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.output()
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits until `/healthz` says that the server is well.
    ///
    /// # Panics
    ///
    /// As [`Self::spawn`].
    pub async fn wait_until_healthy(&mut self) {
        if let Err(problem) = self.become_healthy().await {
            self.fail(&problem);
        }
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill_9(&mut self) {
        self.process.kill();
    }

    /// SIGTERM; returns when it has ended, with its exit status.
    ///
    /// # Panics
    ///
    /// When it has not ended after 30 seconds.
    pub async fn terminate_and_wait(&mut self) -> ExitStatus {
        self.process.signal(Signal::Terminate);
        self.process.wait(START).await
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it has not ended after 30 seconds.
    pub async fn wait(&mut self) -> ExitStatus {
        self.process.wait(START).await
    }

    /// SIGSTOP: the process stands still, with its connections, locks and transactions open.
    pub fn freeze(&mut self) {
        self.process.signal(Signal::Stop);
    }

    /// SIGCONT: goes on after [`Self::freeze`].
    pub fn thaw(&mut self) {
        self.process.signal(Signal::Continue);
    }

    /// Starts it again on the same port with the same data, and waits until it is well. One that still runs is killed first.
    ///
    /// # Panics
    ///
    /// As [`Self::spawn`].
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = start(&self.options, self.port, self.folder.path());
        self.wait_until_healthy().await;
    }

    async fn become_healthy(&mut self) -> Result<(), String> {
        let url = format!("{}/healthz", self.url());
        let client =
            crate::http_client().no_proxy().timeout(Duration::from_secs(5)).build().expect("an HTTP client can be built");
        let end = tokio::time::Instant::now() + START;
        let mut last = String::from("no answer");
        loop {
            if !self.process.is_running() {
                return Err("autocall ended instead of serving".to_owned());
            }
            match client.get(&url).send().await {
                // A foreign server may hold the port; then our own process has ended, or is about to.
                Ok(answer) if answer.status().is_success() && self.process.is_running() => {
                    return Ok(());
                }
                Ok(answer) => last = format!("{url} says {}", answer.status()),
                Err(error) if error.is_connect() => {}
                Err(error) => last = error.to_string(),
            }
            if tokio::time::Instant::now() >= end {
                return Err(format!("autocall is not well after {START:?}: {last}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn fail(&self, problem: &str) -> ! {
        panic!("{problem}\n--- its log ---\n{}", self.log());
    }
}

fn data_dir(options: &ServeOptions, folder: &Path) -> PathBuf {
    options.data_dir.clone().unwrap_or_else(|| folder.join("data"))
}

fn start(options: &ServeOptions, port: u16, folder: &Path) -> Process {
    let program = options.program.clone().unwrap_or_else(|| provided_by_run("AUTOCALL_BIN").into());
    let mut command = match options.socket {
        None => Command::new(program),
        Some(_) => {
            // The socket comes on the standard input, and is to be the first file behind the usual three; the process has its number only
            // once it runs.
            let mut shell = Command::new("sh");
            let line = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec \"$0\" \"$@\"";
            shell.args(["-c", line]).arg(program);
            shell
        }
    };
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    command
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .arg("--data-dir")
        .arg(data_dir(options, folder))
        .current_dir(folder);
    if options.config.is_some() {
        command.env("AUTOCALL_CONFIG", folder.join("autocall.toml"));
    }
    if let Some(url) = &options.database_url {
        command.env("DATABASE_URL", url);
    }
    if let Some(url) = &options.redis_url {
        command.env("REDIS_URL", url);
    }
    if !options.as_installed {
        command.env(OPEN_RIGHTS.0, OPEN_RIGHTS.1);
    }
    command.args(&options.args).envs(options.env.iter().map(|(name, value)| (name, value)));
    let input = match &options.socket {
        Some(socket) => Stdio::from(OwnedFd::from(socket.try_clone().expect("a socket can be had twice"))),
        None => Stdio::null(),
    };
    Process::spawn_with_input("autocall", command, &folder.join("log"), input)
}

/// Runs a subcommand to its end.
///
/// # Panics
///
/// When it cannot be started, or has not ended after 60 seconds.
pub async fn autocall(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(provided_by_run("AUTOCALL_BIN"));
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    let output = command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(Duration::from_mins(1), output)
        .await
        .unwrap_or_else(|_| panic!("autocall {args:?} has not ended after 60s"))
        .expect("AUTOCALL_BIN can be started")
}

/// What a developer has set for the own server must not reach the tested one.
pub fn forget_own_settings(mut forget: impl FnMut(&str)) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("AUTOCALL_") || ["DATABASE_URL", "REDIS_URL", "RUST_LOG"].contains(&name) {
            forget(name);
        }
    }
}
