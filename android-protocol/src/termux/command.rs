//! Runs one command of the phone: arguments as a list, text on its input, and a time limit, because a frozen Termux:API answers nothing for ever.

use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::output::{self, Refused};

/// The most that is read of an output.
const LONGEST_OUTPUT: u64 = 4 << 20;

/// Where Android keeps its own commands, some of which Termux does not wrap.
const ANDROIDS: &str = "/system/bin";

/// Runs commands, each for no longer than this.
#[derive(Debug, Clone, Copy)]
pub struct Commands {
    /// After that a command is killed, with whatever it started.
    pub within: Duration,
}

impl Commands {
    /// Runs a command of Termux:API and reads the JSON it prints.
    ///
    /// # Errors
    ///
    /// If there is no such command, it says nothing in time, or something else than JSON.
    pub async fn json(&self, name: &str, arguments: &[&str]) -> Result<Value, Refused> {
        output::read(name, &self.run(name, arguments, None).await?)
    }

    /// Runs a command of Termux:API that prints something only if it was refused.
    ///
    /// # Errors
    ///
    /// If there is no such command, it does not come to an end, or says why not.
    pub async fn tell(&self, name: &str, arguments: &[&str], input: Option<&str>) -> Result<(), Refused> {
        let printed = self.run(name, arguments, input).await?;
        match output::read(name, &printed) {
            // It is done, and nothing was printed: that is how these succeed.
            Err(Refused::Silent(_)) | Ok(_) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Runs a command of Android itself.
    ///
    /// # Errors
    ///
    /// If there is no such command, or it does not come to an end.
    pub async fn android(&self, name: &str, arguments: &[&str]) -> Result<String, Refused> {
        let printed = match self.run(name, arguments, None).await {
            Err(Refused::Missing(_)) => self.run(&format!("{ANDROIDS}/{name}"), arguments, None).await?,
            other => other?,
        };
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// What it prints to its output, or, if that is nothing, to where errors go.
    async fn run(&self, name: &str, arguments: &[&str], input: Option<&str>) -> Result<Vec<u8>, Refused> {
        let failed = |why: std::io::Error| match why.kind() {
            std::io::ErrorKind::NotFound => Refused::Missing(name.to_owned()),
            _ => Refused::Failed { command: name.to_owned(), why: why.to_string() },
        };
        let mut command = Command::new(name);
        command.args(arguments.iter().map(OsStr::new)).process_group(0).kill_on_drop(true);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if Path::new(name).parent().is_some_and(|folder| folder == Path::new(ANDROIDS)) || matches!(name, "dumpsys" | "getprop") {
            // What Termux loads into its own programs breaks those of Android.
            command.env_remove("LD_PRELOAD").env_remove("LD_LIBRARY_PATH");
        }
        let mut child = command.spawn().map_err(failed)?;
        let group = Group(child.id());
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async move {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A command that does not read it says so by what it prints.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let talk = async { tokio::join!(write, read(stdout), read(stderr), child.wait()) };
        let Ok(((), printed, errors, ended)) = tokio::time::timeout(self.within, talk).await else {
            return Err(Refused::Silent(name.to_owned()));
        };
        ended.map_err(failed)?;
        group.let_go();
        let is_blank = printed.iter().all(u8::is_ascii_whitespace);
        Ok(if is_blank { errors } else { printed })
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut printed = Vec::new();
    if let Some(from) = from {
        // What came before it broke off is read as what it is.
        let _ = from.take(LONGEST_OUTPUT).read_to_end(&mut printed).await;
    }
    printed
}

/// A command and what it started, killed together unless they are over.
struct Group(Option<u32>);

impl Group {
    fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            // It may have ended in this very moment.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
