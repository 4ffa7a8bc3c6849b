//! Calls over SIP to Debian's baresip: a phone that somebody else wrote, with ears, keys and a hand to hang up.
//!
//! It refuses to use the loopback device. Each scene runs in a network of its own where that is permitted, and else on this machine's address.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/speaking.rs"]
#[expect(dead_code, reason = "what a call leaves in files is looked at where packets get lost")]
mod speaking;
#[expect(dead_code, reason = "the whole desk is for other tests")]
mod support;

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use android_protocol::{
    voice::{tone, wav},
    wire::{CallOutcome, EndedBy, NativeCall},
};
use speaking::{Handset, VOICE, number, once};
use support::eventually;

/// Names the address of the network that a scene runs in.
const NETWORK: &str = "AUTOCALL_TEST_NETWORK";

/// A device with an address, which goes with the last process in this network.
const SET_UP: &str = "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && ip link add v0 type veth peer name v1 && \
                      ip addr add 10.9.9.1/24 dev v0 && ip link set v0 up && ip link set v1 up";

/// Where Debian has them.
const MODULES: &str = "/usr/lib/baresip/modules";

/// Runs the test of this name in a network of its own.
fn apart(name: &str, scene: impl AsyncFnOnce(IpAddr)) {
    if Command::new("baresip").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped: baresip is not installed (Debian's package baresip-core)");
        return;
    }
    let apart = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", script]).stdin(Stdio::null());
        command
    };
    let within = env::var(NETWORK).ok();
    if within.is_none() && apart(SET_UP).output().is_ok_and(|output| output.status.success()) {
        let mut command = apart(&format!("{SET_UP} && exec \"$0\" \"$@\""));
        command.arg(env::current_exe().unwrap()).args([name, "--exact", "--nocapture"]).env(NETWORK, "10.9.9.1");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(" 1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let ip = match within {
        Some(ip) => ip.parse().unwrap(),
        None => {
            // Nothing is sent: this only asks which address would be used.
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let ip = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|own| own.ip());
            let Some(ip) = ip.ok().filter(|ip| !ip.is_loopback()) else {
                eprintln!("skipped: baresip needs another device than loopback, and none may be made here");
                return;
            };
            ip
        }
    };
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(scene(ip));
}

/// Ended with its test.
struct Phone {
    program: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        if std::thread::panicking() {
            eprintln!("baresip said:\n{}", self.log());
        }
    }
}

impl Phone {
    /// Picks up by itself (`auto`) or by key (`manual`), and hums for as long as any test lasts.
    fn start(ip: IpAddr, answers: &str) -> Self {
        // Somebody else may have the port, or the next one, which it wants too.
        (0..20).find_map(|_| Self::try_start(ip, answers)).unwrap()
    }

    fn try_start(ip: IpAddr, answers: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let address = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let path = folder.path().display();
        fs::write(folder.path().join("hum.wav"), wav::write(&tone::sine(&[150.0, 300.0], 120_000, 3000.0))).unwrap();
        let config = format!(
            "sip_listen {address}\nnet_interface {ip}\nmodule_path {MODULES}\ncall_max_calls 1\naudio_source aufile,{path}/hum.wav\n\
             audio_player aubridge,ear\naudio_alert aubridge,bell\nsnd_path {path}\nmodule stdio.so\nmodule g711.so\nmodule aufile.so\n\
             module aubridge.so\nmodule sndfile.so\nmodule_tmp account.so\nmodule_app menu.so\n"
        );
        fs::write(folder.path().join("config"), config).unwrap();
        let account = format!("<sip:{}@{address}>;regint=0;answermode={answers}\n", number(1));
        fs::write(folder.path().join("accounts"), account).unwrap();
        fs::write(folder.path().join("contacts"), "").unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        // Line by line, or its log would stay in its memory.
        let program = Command::new("stdbuf")
            .args(["-oL", "baresip", "-s", "-v", "-f"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut phone = Self { program, folder, address };
        eventually("baresip, or its end", || {
            let over = phone.program.try_wait().unwrap().is_some();
            (over || phone.log().contains("baresip is ready")).then_some(!over)
        })
        .then_some(phone)
    }

    fn press(&mut self, key: &str) {
        self.program.stdin.as_mut().unwrap().write_all(key.as_bytes()).unwrap();
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// Waits until its log says this.
    fn when(&self, what: &str) {
        eventually(what, || self.log().contains(what).then_some(()));
    }

    /// How many transactions its trace of SIP has in which a message holds all of this.
    fn messages(&self, parts: &[&str]) -> usize {
        let log = self.log();
        let name = |message: &str, header: &str| message.lines().find(|line| line.starts_with(header)).map(str::to_owned);
        let wanted = log.split("#\nUDP ").filter(|message| parts.iter().all(|part| message.contains(part)));
        // What is repeated on a slow machine counts once.
        wanted.map(|message| (name(message, "Call-ID:"), name(message, "CSeq:"))).collect::<BTreeSet<_>>().len()
    }

    /// What it heard so far.
    fn heard(&self) -> Vec<i16> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let file: Option<PathBuf> = files.filter(|file| file.to_string_lossy().ends_with("-dec.wav")).max();
        let bytes = file.and_then(|file| fs::read(file).ok()).unwrap_or_default();
        // The length in its head is written at the end.
        bytes.get(44..).unwrap_or_default().chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }
}

fn answer(call: &NativeCall) -> (Option<CallOutcome>, Option<&str>, Option<&str>, Option<EndedBy>) {
    (call.outcome, call.keys.as_deref(), call.action.as_deref(), call.ended_by)
}

fn handset(phone: &Phone) -> Handset {
    Handset::start(phone.address, 2, "register = false")
}

#[test]
fn another_phone_hears_what_is_said_and_its_key_counts() {
    apart("another_phone_hears_what_is_said_and_its_key_counts", async |ip| {
        let mut phone = Phone::start(ip, "auto");
        let handset = handset(&phone);
        handset.calls("m1", &number(1), &once());
        let loud = |sample: &i16| sample.abs() > 300;
        eventually("the end of what is said", || {
            let heard = phone.heard();
            let first = heard.iter().position(loud)?;
            (heard.len() > first + 8000 && !heard[heard.len() - 1600..].iter().any(loud)).then_some(())
        });
        phone.press("1");
        let call = handset.report("m1");
        assert_eq!(answer(&call), (Some(CallOutcome::Answered), Some("1"), Some("accept"), Some(EndedBy::Us)), "{}", phone.log());
        let heard = phone.heard();
        let first = heard.iter().position(loud).unwrap();
        let said: Vec<i16> = heard[first..].iter().copied().take(8000).collect();
        assert!(tone::share(&said, VOICE) > 0.6, "{}", tone::share(&said, VOICE));
        eventually("the BYE", || (phone.messages(&["BYE sip:"]) > 0).then_some(()));
    });
}

#[test]
fn another_phone_declines_is_busy_and_hangs_up_first() {
    apart("another_phone_declines_is_busy_and_hangs_up_first", async |ip| {
        let mut phone = Phone::start(ip, "manual");
        let handset = handset(&phone);
        handset.calls("m1", &number(1), &once());
        phone.when("180 Ringing");
        phone.press("b");
        let call = handset.report("m1");
        let cause = call.cause.clone().unwrap();
        // This phone has no other word for it.
        assert_eq!((call.outcome, cause.sip, cause.text.as_deref()), (Some(CallOutcome::Busy), Some(486), Some("Rejected")));

        handset.calls("m2", &number(1), &once());
        eventually("it rings again", || (phone.messages(&["180 Ringing"]) > 1).then_some(()));
        handset.calls("m3", &number(1), &once());
        let call = handset.report("m3");
        let cause = call.cause.clone().unwrap();
        assert_eq!((call.outcome, cause.text.as_deref()), (Some(CallOutcome::Busy), Some("Max Calls")), "{}", phone.log());

        phone.press("a");
        eventually("it hears something", || phone.heard().iter().any(|sample| sample.abs() > 300).then_some(()));
        phone.press("b");
        let call = handset.report("m2");
        assert_eq!(answer(&call), (Some(CallOutcome::Answered), None, Some("none"), Some(EndedBy::Callee)), "{}", phone.log());
    });
}

#[test]
fn another_phone_asks_again_holds_and_goes_on() {
    apart("another_phone_asks_again_holds_and_goes_on", async |ip| {
        let mut phone = Phone::start(ip, "auto");
        let handset = handset(&phone);
        handset.calls("m1", &number(1), &once());
        eventually("it hears something", || (phone.heard().len() > 800).then_some(()));
        let answers =
            |phone: &Phone, direction: &str| phone.messages(&["SIP/2.0 200 OK", " INVITE", "autocall-handset", direction]);
        for (key, direction, so_far) in [("I", "a=sendrecv", 0), ("x", "a=recvonly", 0), ("X", "a=sendrecv", 1)] {
            phone.press(key);
            eventually(direction, || (answers(&phone, direction) > so_far).then_some(()));
        }
        phone.press("2");
        let call = handset.report("m1");
        assert_eq!(
            answer(&call),
            (Some(CallOutcome::Answered), Some("2"), Some("decline"), Some(EndedBy::Us)),
            "{}",
            phone.log()
        );
    });
}
