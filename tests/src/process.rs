//! Child processes that never outlive their test, whose output can be read at any time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::wait::eventually;

/// What can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Go on after [`Signal::Stop`].
    Continue,
    /// The terminal was closed.
    HangUp,
    /// Ctrl-C. Postgres: disconnect everybody and stop ("fast").
    Interrupt,
    /// Die now.
    Kill,
    /// Postgres: stop without a checkpoint ("immediate").
    Quit,
    /// Freeze: connections stay open, and nothing answers.
    Stop,
    /// Please end.
    Terminate,
    /// For whatever the process takes it for; unheard, it kills.
    UserOne,
    /// The same.
    UserTwo,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Continue => "CONT",
            Self::HangUp => "HUP",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Terminate => "TERM",
            Self::UserOne => "USR1",
            Self::UserTwo => "USR2",
        }
    }
}

/// A running child process. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
    farewell: Signal,
}

impl Process {
    /// Starts `command`; what it writes to stderr is appended to the file `log`, and what it writes to stdout to one beside it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(name: &'static str, command: Command, log: &Path) -> Self {
        Self::spawn_with_input(name, command, log, Stdio::null())
    }

    /// The same with something on its standard input.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn spawn_with_input(name: &'static str, mut command: Command, log: &Path, input: Stdio) -> Self {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()))
        };
        let (output, errors) = (open(&log.with_extension("out")), open(log));
        let child = command
            .stdin(input)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Self { name, child, log: log.to_owned(), farewell: Signal::Kill }
    }

    /// Ends with `signal` instead of SIGKILL when dropped (with SIGKILL when that does not help within seconds).
    #[must_use]
    pub fn with_farewell(mut self, signal: Signal) -> Self {
        self.farewell = signal;
        self
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal; to a process that has ended, nothing.
    pub fn signal(&mut self, signal: Signal) {
        if !self.is_running() {
            return;
        }
        // The shell's own `kill`: a minimal Debian has no other, and the standard library can only send SIGKILL.
        let _already_gone = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\" 2>/dev/null", "sh"])
            .args([signal.name(), &self.id().to_string()])
            .status();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it is still running after `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} (process {}) to end", self.name, self.id());
        eventually(&what, deadline, async || self.child.try_wait().expect("a child can be waited for")).await
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) {
        let _already_gone = self.child.kill();
        let _already_waited_for = self.child.wait();
    }

    /// What it has written to stderr and then what to stdout, before restarts too.
    #[must_use]
    pub fn log(&self) -> String {
        written(&self.log)
    }

    /// What it has written to stderr.
    #[must_use]
    pub fn errors(&self) -> String {
        read(&self.log)
    }

    /// What it has written to stdout.
    #[must_use]
    pub fn output(&self) -> String {
        read(&self.log.with_extension("out"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.farewell != Signal::Kill && self.is_running() {
            self.signal(self.farewell);
            self.signal(Signal::Continue);
            for _ in 0..500 {
                if !self.is_running() {
                    break;
                }
                // Drop cannot await.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
    }
}

/// What processes with this log file have written to stderr, and then what to stdout.
pub(crate) fn written(log: &Path) -> String {
    read(log) + &read(&log.with_extension("out"))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
