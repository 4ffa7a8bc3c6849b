//! Scenario: monitoring systems and clients that others wrote tell the server what happens. What they are given to do so is what the document
//! for senders says. `tests/sender-programs` unpacks them.
//!
//! One database is enough here: what becomes of a message is the same on both, as the contract tests show.

mod alertmanager;
mod clients;
mod icinga;
mod monit;
mod nagios;
mod netdata;
mod prometheus;
mod zabbix;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use autocall_tests::server::Binary;
use autocall_tests::wait::eventually;
use serde_json::Value;
use tokio::process::Command;

use crate::client::Client;
use crate::world::{Engine, SOON, World};

const ZHANG: &str = "18712345678";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where the programs are.
struct Programs(PathBuf);

impl Programs {
    async fn unpacked() -> Self {
        let made = Command::new(root().join("tests/sender-programs")).stderr(Stdio::inherit()).output().await.unwrap();
        assert!(made.status.success(), "tests/sender-programs must be able to unpack its packages");
        Self(PathBuf::from(String::from_utf8(made.stdout).unwrap().trim()))
    }

    /// A file of Debian's packages, by its path on a machine where they are installed.
    fn file(&self, path: &str) -> PathBuf {
        self.0.join("root").join(path)
    }

    /// Libraries that are not installed are beside the program.
    fn libraries(&self) -> String {
        let folders = std::fs::read_dir(self.file("usr/lib")).unwrap().map(|entry| entry.unwrap().path());
        let own = folders.filter(|folder| folder.to_str().is_some_and(|name| name.ends_with("-linux-gnu")));
        own.map(|folder| folder.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(":")
    }

    fn command(&self, path: &str) -> std::process::Command {
        let mut command = std::process::Command::new(self.file(path));
        command.env("LD_LIBRARY_PATH", self.libraries()).env("no_proxy", "*");
        command
    }

    fn python(&self) -> PathBuf {
        self.0.join("bin/python")
    }
}

/// Runs something to its end.
async fn run(command: std::process::Command) -> Output {
    let mut command = Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(2 * SOON, output).await.expect("it ends").unwrap()
}

/// A server that is told, and whoever looks at it.
struct Told {
    world: World,
    server: Binary,
    client: Client,
}

impl Told {
    async fn new() -> Self {
        let world = World::new(Engine::Sqlite).await;
        let server = world.serve().await;
        let client = Client::new(&server);
        Self { world, server, client }
    }

    /// A new key, whose name is the source of its alarms. It rings Zhang.
    async fn key(&self, name: &str) -> String {
        let made = self.world.command(&["key", "add", "--name", name, "--phones", ZHANG]).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// A folder for a program.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(self.world.file(&format!("{name}.log"), "")).with_extension("");
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// What the document gives to whoever sets a program up, filled in. Scripts are in this folder.
    fn filled(&self, text: &str, folder: &Path, key: &str) -> String {
        let scripts = format!("{}/", folder.display());
        let filled = text.replace("/usr/local/bin/", &scripts).replace("https://alerts.example.com", &self.server.url());
        filled.replace("KEY", key)
    }

    /// The alarms of a key that look like this.
    async fn alarms(&self, source: &str) -> Vec<Value> {
        let mut alarms = self.client.alarms().await;
        alarms.retain(|alarm| alarm["source"] == source);
        alarms
    }

    /// What the timeline says of the end of an alarm.
    async fn end_of(&self, alarm: &Value) -> Value {
        let alarm = self.client.alarm(alarm["id"].as_str().unwrap()).await;
        let end = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "resolved");
        end.unwrap_or_else(|| panic!("it has no end: {alarm}"))["body"].clone()
    }

    /// Waits until an alarm of a key is as it should be; gives it.
    async fn until(&self, source: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let what = format!("an alarm of {source} {what}");
        eventually(&what, 2 * SOON, async || self.alarms(source).await.into_iter().find(&is)).await
    }
}

/// The document for senders.
fn document() -> String {
    std::fs::read_to_string(root().join("docs/senders.md")).unwrap()
}

/// The code block of the document in which this stands.
fn block(with: &str) -> String {
    let document = document();
    let mut blocks = document.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(_, code)| code.contains(with));
    found.unwrap_or_else(|| panic!("no code block has {with:?} in it")).1.to_owned()
}

/// What the document has between `<<'END'` and `END` for a script of this name.
fn script(name: &str) -> String {
    let begins = format!("cat > {name} <<'END'\n");
    let code = block(&begins);
    let script = code.split_once(&begins).unwrap().1.split_once("\nEND").unwrap().0;
    format!("{script}\n")
}

/// Puts a script into a folder, to be run.
fn place(script: &str, folder: &Path, name: &str) {
    let path = folder.join(name);
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Who runs the tests.
fn who(what: &str) -> String {
    let said = std::process::Command::new("id").arg(what).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// The file by which Nagios and Icinga take commands.
struct Pipe(PathBuf);

impl Pipe {
    /// Waits until it is there.
    async fn ready(path: PathBuf) -> Self {
        let is_pipe = || std::fs::metadata(&path).is_ok_and(|found| found.file_type().is_fifo());
        eventually("commands to be taken", SOON, async || is_pipe().then_some(())).await;
        Self(path)
    }

    /// Gives a command, with its time before it.
    async fn tell(&self, line: &str) {
        let now = autocall::clock::Clock::system().now().timestamp();
        let mut command = std::process::Command::new("timeout");
        command.args(["20", "sh", "-c", "printf '%s\\n' \"$1\" > \"$2\"", "sh", &format!("[{now}] {line}")]).arg(&self.0);
        assert!(run(command).await.status.success(), "{line}");
    }
}
