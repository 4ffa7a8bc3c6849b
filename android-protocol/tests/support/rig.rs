//! The three kinds of handset as processes, each with a callee in the hands of the test: what it can do is the same for all.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use android_protocol::{
    modem::{
        dialect::Dialect,
        simulator::{FakeModem, Manner},
    },
    sip::peer::{Act, Manners, Peer},
    voice::{g711::Law, tone, wav},
};

use crate::fake_phone::{FakePhone, row};

pub const A: &str = "13900000001";

/// What a handset calls by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sip,
    Modem,
    Termux,
}

enum Callee {
    Sip(Peer),
    Modem(FakeModem),
    Termux(FakePhone),
}

/// A handset that can be started and killed, and a callee.
pub struct Rig {
    folder: tempfile::TempDir,
    callee: Callee,
}

/// Somebody whose phone rings, and who picks up, presses a key and hangs up when the test says so.
fn in_the_hands_of_the_test() -> Vec<Act> {
    vec![Act::Ring(180), Act::Released, Act::Answer(Law::Pcma), Act::Released, Act::Key('1'), Act::Stay]
}

impl Rig {
    pub fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let callee = match kind {
            Kind::Sip => {
                Callee::Sip(Peer::start(IpAddr::V4(Ipv4Addr::LOCALHOST), Manners::of(in_the_hands_of_the_test())).unwrap())
            }
            Kind::Modem => Callee::Modem(FakeModem::plug_in(folder.path(), Manner::of(Dialect::Quectel)).unwrap()),
            Kind::Termux => {
                let phone = FakePhone::new("14");
                phone.calls(0, "0");
                phone.calls_on_dial(2, "4");
                Callee::Termux(phone)
            }
        };
        Self { folder, callee }
    }

    /// The trunk, where there is one.
    pub fn peer(&self) -> &Peer {
        match &self.callee {
            Callee::Sip(peer) => peer,
            Callee::Modem(_) | Callee::Termux(_) => unreachable!("only SIP has a trunk"),
        }
    }

    pub fn state_dir(&self) -> PathBuf {
        match &self.callee {
            Callee::Termux(phone) => phone.path("state"),
            Callee::Sip(_) | Callee::Modem(_) => self.folder.path().join("state"),
        }
    }

    fn config(&self) -> PathBuf {
        match &self.callee {
            Callee::Termux(phone) => phone.path("handset.toml"),
            Callee::Sip(_) | Callee::Modem(_) => self.folder.path().join("handset.toml"),
        }
    }

    fn write_config(&self, url: &str) {
        let state = self.state_dir();
        let head = |kind: &str| format!("[agent]\nkind = '{kind}'\nserver = '{url}'\nstate_dir = '{}'\n", state.display());
        let text = match &self.callee {
            Callee::Termux(phone) => return drop(phone.config(url)),
            Callee::Modem(modem) => head("modem") + &format!("[agent.modem]\nport = '{}'\n", modem.path().display()),
            Callee::Sip(peer) => {
                let voice = self.folder.path().join("voice.wav");
                fs::write(&voice, wav::write(&tone::sine(&[700.0], 800, 9000.0))).unwrap();
                head("sip")
                    + &format!(
                        "[agent.sip]\ntrunk = '{}'\nuser = '1001'\nanswer_within_seconds = 60\ninbound = true\n[[agent.speech.voice]]\nlanguages = ['*']\n\
                         command = ['cat', '{}']\n[agent.call]\nkey_wait_seconds = 60\nmax_seconds = 300\n",
                        peer.address(),
                        voice.display()
                    )
            }
        };
        fs::write(self.config(), text).unwrap();
    }

    fn command(&self) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_handset"));
        match &self.callee {
            Callee::Termux(phone) => phone.command(program),
            Callee::Sip(_) | Callee::Modem(_) => {
                let mut command = Command::new(program);
                command.env("HOME", self.folder.path()).env_remove("RUST_LOG").env("no_proxy", "*");
                command
            }
        }
    }

    /// The handset, until it is dropped: then it is killed as by `kill -9`.
    pub fn start(&self, url: &str) -> Agent {
        self.write_config(url);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let child =
            self.command().arg("--config").arg(self.config()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Agent(child.unwrap())
    }

    /// `handset check`, with the configuration of the handset that was started.
    pub fn check(&self, more: &[&str]) -> Output {
        self.command().arg("check").arg("--config").arg(self.config()).args(more).output().unwrap()
    }

    /// How often A was dialled.
    pub fn dials(&self) -> usize {
        match &self.callee {
            Callee::Sip(peer) => peer.log().calls.len(),
            Callee::Modem(modem) => modem.dials_to(A),
            Callee::Termux(phone) => phone.dials().len(),
        }
    }

    /// A picks up.
    pub fn pick_up(&self) {
        match &self.callee {
            Callee::Sip(peer) => peer.release(),
            Callee::Modem(modem) => modem.pick_up(),
            Callee::Termux(phone) => phone.calls(2, "1"),
        }
    }

    /// The call is over, however it went.
    pub fn hang_up(&self, seconds: u64) {
        match &self.callee {
            // It ends with the program, or by itself.
            Callee::Sip(_) => {}
            Callee::Modem(modem) => modem.hang_up(),
            Callee::Termux(phone) => {
                phone.rows(&[row(A, "2026-11-28 03:22:07", &format!("00:{seconds:02}"))]);
                phone.calls(0, "0");
            }
        }
    }

    /// The phone's call log says nothing.
    pub fn forget_rows(&self) {
        if let Callee::Termux(phone) = &self.callee {
            phone.prints("termux-call-log", "Please grant the following permission: android.permission.READ_CALL_LOG");
        }
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
