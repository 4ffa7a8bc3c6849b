//! A phone made of shell scripts: the commands of Termux:API and of Android, on a PATH of their own.
//!
//! Each notes its arguments in `log`, one line `name<TAB>argument<TAB>…`, and prints the file of its name, if there is one. A file `hang.NAME` makes it
//! wait for ever, as a frozen Termux:API does. The dial writes `dialled`; the test moves the calls by changing the files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Every command that the program may run.
const COMMANDS: &[&str] = &[
    "termux-telephony-call",
    "termux-call-log",
    "termux-sms-list",
    "termux-sms-send",
    "termux-battery-status",
    "termux-telephony-deviceinfo",
    "termux-telephony-cellinfo",
    "termux-wake-lock",
    "dumpsys",
    "getprop",
];

/// What each of them is. It is linked and never written: a program that is being written by one thread cannot be started by another.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../android-protocol/tests/support/fake_command.sh");

pub struct FakePhone {
    folder: tempfile::TempDir,
    /// How long a command may say nothing: longer than any machine is busy, but in tests of just that.
    pub patience: u64,
}

/// A row of the call log.
pub fn row(number: &str, date: &str, duration: &str) -> serde_json::Value {
    serde_json::json!({"name":"UNKNOWN_CALLER","phone_number":number,"type":"OUTGOING","date":date,"duration":duration,"sim_id":"1"})
}

fn dump(call: u8, foreground: &str) -> String {
    format!(
        "last known state:\n  Phone Id=0\n    mCallState={call}\n    mForegroundCallState={foreground}\n  Phone Id=1\n    mCallState=0\n    mForegroundCallState=0\n"
    )
}

impl FakePhone {
    /// A phone of this Android version with every permission but the one for `dumpsys`.
    pub fn new(android: &str) -> Self {
        let phone = Self { folder: tempfile::tempdir().unwrap(), patience: 100 };
        fs::create_dir(phone.bin()).unwrap();
        for name in COMMANDS {
            std::os::unix::fs::symlink(SCRIPT, phone.bin().join(name)).unwrap();
        }
        phone.prints("getprop", android);
        phone.prints(
            "dumpsys",
            "Permission Denial: can't dump telephony.registry from pid=1 due to missing android.permission.DUMP permission",
        );
        phone.prints("termux-battery-status", r#"{"present":true,"plugged":"PLUGGED_AC","status":"CHARGING","percentage":83}"#);
        phone.prints(
            "termux-telephony-deviceinfo",
            r#"{"network_operator_name":"Operator","network_type":"lte","sim_state":"ready","sim_operator_name":"Operator"}"#,
        );
        phone.prints("termux-telephony-cellinfo", r#"[{"type":"lte","registered":true,"dbm":-96}]"#);
        phone.prints("termux-sms-list", "[]");
        phone.rows(&[]);
        fs::write(phone.path("log"), "").unwrap();
        phone
    }

    fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command prints from now on. In one step, so that none is read half.
    pub fn prints(&self, command: &str, what: &str) {
        fs::write(self.path("new"), what).unwrap();
        fs::rename(self.path("new"), self.path(command)).unwrap();
    }

    pub fn rows(&self, rows: &[serde_json::Value]) {
        self.prints("termux-call-log", &serde_json::Value::from(rows.to_vec()).to_string());
    }

    /// What the calls of the phone do, with the permission to see it.
    pub fn calls(&self, call: u8, foreground: &str) {
        self.prints("dumpsys", &dump(call, foreground));
    }

    /// What they do from the dial on.
    pub fn calls_on_dial(&self, call: u8, foreground: &str) {
        self.prints("on-dial", &dump(call, foreground));
    }

    /// A command that says nothing.
    pub fn hangs(&self, command: &str) {
        fs::write(self.path(&format!("hang.{command}")), "").unwrap();
    }

    pub fn answers_again(&self, command: &str) {
        let _ = fs::remove_file(self.path(&format!("hang.{command}")));
    }

    pub fn lacks(&self, command: &str) {
        fs::remove_file(self.bin().join(command)).unwrap();
    }

    /// The arguments of each time a command ran.
    pub fn ran(&self, command: &str) -> Vec<Vec<String>> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines()
            .filter_map(|line| {
                let mut words = line.split('\t').map(str::to_owned);
                (words.next()? == command).then(|| words.collect())
            })
            .collect()
    }

    pub fn dials(&self) -> Vec<String> {
        self.ran("termux-telephony-call").into_iter().map(|mut arguments| arguments.pop().unwrap_or_default()).collect()
    }

    /// Writes the configuration; where it is.
    pub fn config(&self, url: &str) -> PathBuf {
        let path = self.path("handset.toml");
        let state = self.path("state");
        let text = format!(
            "[agent]\nkind = \"termux\"\nserver = \"{url}\"\nstate_dir = \"{}\"\n[agent.termux]\npatience_seconds = {}\n",
            state.display(),
            self.patience
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// The program on this phone.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The shell and `cat` of the scripts come from the machine; the commands of the phone are found first.
        command.env("PATH", format!("{}:/usr/bin:/bin", self.bin().display())).env("FAKE", self.folder.path());
        command.env("HOME", self.folder.path()).env_remove("PREFIX").env_remove("XDG_STATE_HOME").env_remove("RUST_LOG");
        command
    }

    /// The handset on this phone, until it is dropped: then it is killed as by `kill -9`.
    pub fn start(&self, program: &Path, url: &str) -> Agent {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("handset.log")).unwrap();
        let child = self
            .command(program)
            .arg("--config")
            .arg(self.config(url))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Agent(child)
    }
}

/// A running handset.
pub struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
