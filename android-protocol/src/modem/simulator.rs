//! A simulated modem behind a pseudo-terminal: it speaks a dialect as the published transcripts have it, with all their disturbances.
//!
//! Whoever tests a handset gives it [`FakeModem::path`] as its port.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, ioctl_tiocnxcl, tcgetattr, tcsetattr},
};

use super::{
    dialect::Dialect,
    pdu::{Stamp, report::Report, submit},
};

/// How long the modem's task rests between two looks at its port.
const REST: Duration = Duration::from_millis(3);

/// How long the network looks for a phone that is off.
const LOOKED_FOR: Duration = Duration::from_millis(2500);

/// What a callee does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// Picks up, and hangs up again unless the talk is left to the other side.
    Answers {
        /// After so long.
        after: Duration,
        /// How long the talk lasts.
        talks: Option<Duration>,
    },
    /// Lets it ring.
    Rings,
    /// Is busy.
    Busy,
    /// Declines.
    Declines,
    /// Is switched off.
    Away,
    /// Does not exist: there is no such number.
    Unknown,
    /// Cannot be dialled: no network.
    NoNetwork,
}

/// How the modem behaves. Everything may be changed while it runs.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Which modem it is.
    pub dialect: Dialect,
    /// What callees do; others let it ring.
    pub callees: BTreeMap<String, Callee>,
    /// Beginnings of commands that are refused, and with what.
    pub refuses: Vec<(String, String)>,
    /// Whether lines come in pieces.
    pub in_pieces: bool,
    /// Whether other things are said in between.
    pub noisy: bool,
    /// Whether what it says by itself about calls is lost.
    pub loses_news: bool,
    /// Whether commands come back before their answers.
    pub echo: bool,
    /// Whether it says nothing at all.
    pub silent: bool,
    /// The PIN it wants.
    pub pin: Option<String>,
    /// Whether the network carries forwarding out as it is told.
    pub forwards: bool,
    /// How many delivery reports come: the network may be slow.
    pub reports: bool,
    /// Whether the word of a second report comes while the first is being read.
    pub reports_in_turn: bool,
    /// Whether what sits at the port is no modem: it answers every line with something else.
    pub garbage: bool,
    /// Whether the SIM is in a network; else it looks for one.
    pub registered: bool,
    /// Whether a call goes on while the modem is out of its socket: it has power of its own.
    pub holds_calls: bool,
}

impl Manner {
    /// A modem of this kind that works well.
    #[must_use]
    pub fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            callees: BTreeMap::new(),
            refuses: Vec::new(),
            in_pieces: false,
            noisy: false,
            loses_news: false,
            echo: true,
            silent: false,
            pin: None,
            forwards: true,
            reports: true,
            reports_in_turn: false,
            garbage: false,
            registered: true,
            holds_calls: false,
        }
    }

    /// With a callee.
    #[must_use]
    pub fn with(mut self, number: &str, callee: Callee) -> Self {
        self.callees.insert(number.to_owned(), callee);
        self
    }
}

/// A call in the modem.
#[derive(Debug, Clone)]
struct Call {
    number: String,
    callee: Callee,
    since: Instant,
    /// Whether the network has it.
    taken: bool,
    /// 2 dialling, 3 alerting, 0 active.
    stat: u8,
    active_since: Option<Instant>,
}

/// What is in the modem.
#[derive(Debug)]
struct Inside {
    manner: Manner,
    call: Option<Call>,
    /// Whom every call so far was for.
    dialled: Vec<String>,
    cause: Option<u8>,
    stranger: bool,
    /// They stop calling when the calls are asked for next.
    stranger_leaves: bool,
    /// Every command, in order.
    commands: Vec<String>,
    /// PDUs that were sent.
    sent: Vec<String>,
    slots: BTreeMap<u32, String>,
    forwarded: BTreeMap<u8, String>,
    /// The length of the message that is being written.
    writing: Option<usize>,
    /// Reports of which nothing was said yet.
    unsaid: VecDeque<u32>,
    faults: Vec<String>,
    out: VecDeque<String>,
    plugged: bool,
    stop: bool,
}

/// A modem that is none.
#[derive(Debug)]
pub struct FakeModem {
    inside: Arc<Mutex<Inside>>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeModem {
    /// Plugs a modem in; its port is a link in this folder.
    ///
    /// # Errors
    ///
    /// If there are no pseudo-terminals.
    pub fn plug_in(folder: &Path, manner: Manner) -> io::Result<Self> {
        let inside = Arc::new(Mutex::new(Inside {
            manner,
            call: None,
            dialled: Vec::new(),
            cause: None,
            stranger: false,
            stranger_leaves: false,
            commands: Vec::new(),
            sent: Vec::new(),
            slots: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            writing: None,
            unsaid: VecDeque::new(),
            faults: Vec::new(),
            out: VecDeque::new(),
            plugged: true,
            stop: false,
        }));
        let path = folder.join("modem");
        let first = Pty::open(&path)?;
        let (shared, link) = (Arc::clone(&inside), path.clone());
        let thread = std::thread::Builder::new().name("modem".to_owned()).spawn(move || live(&shared, &link, first))?;
        Ok(Self { inside, path, thread: Some(thread) })
    }

    /// Its port.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut lock(&self.inside).manner);
    }

    /// Takes it out of its socket, which ends its call, or puts it in again.
    pub fn plug(&self, plugged: bool) {
        let mut inside = lock(&self.inside);
        inside.plugged = plugged;
        if !plugged {
            if !inside.manner.holds_calls {
                inside.call = None;
            }
            inside.out.clear();
            inside.writing = None;
        }
    }

    /// Every command that came, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        lock(&self.inside).commands.clone()
    }

    /// How often a number was dialled.
    #[must_use]
    pub fn dials_to(&self, number: &str) -> usize {
        lock(&self.inside).commands.iter().filter(|command| **command == format!("ATD{number};")).count()
    }

    /// Whom its call rings, or talks with.
    #[must_use]
    pub fn calls(&self) -> Option<String> {
        lock(&self.inside).call.as_ref().map(|call| call.number.clone())
    }

    /// Whether its call is answered.
    #[must_use]
    pub fn talks(&self) -> bool {
        lock(&self.inside).call.as_ref().is_some_and(|call| call.stat == 0)
    }

    /// The other side picks up now.
    pub fn pick_up(&self) {
        if let Some(call) = &mut lock(&self.inside).call {
            call.callee = Callee::Answers { after: Duration::ZERO, talks: None };
        }
    }

    /// The other side hangs up now.
    pub fn hang_up(&self) {
        if let Some(call) = &mut lock(&self.inside).call {
            call.callee = Callee::Answers { after: Duration::ZERO, talks: Some(Duration::ZERO) };
        }
    }

    /// Whom every call so far was for, in order; one that the network did not take is none.
    #[must_use]
    pub fn dialled(&self) -> Vec<String> {
        lock(&self.inside).dialled.clone()
    }

    /// The other side of one of the calls so far picks up now, or hangs up, if that call is still there: whether it is.
    #[must_use]
    pub fn in_call(&self, which: usize, hangs_up: bool) -> bool {
        let mut inside = lock(&self.inside);
        let is_latest = inside.dialled.len() == which + 1;
        let Some(call) = inside.call.as_mut().filter(|_| is_latest) else { return false };
        call.callee = Callee::Answers { after: Duration::ZERO, talks: hangs_up.then_some(Duration::ZERO) };
        true
    }

    /// Somebody else calls, or stops calling.
    pub fn stranger(&self, there: bool) {
        let mut inside = lock(&self.inside);
        if there {
            inside.stranger = true;
            inside.say("RING");
            inside.say("+CLIP: \"13700000009\",129,\"\",,\"\",0");
        } else {
            inside.stranger_leaves();
        }
    }

    /// Whoever else calls stops just when the calls are asked for next: the modem says so, and then that they are not among them.
    pub fn stranger_leaves_while_asked(&self) {
        lock(&self.inside).stranger_leaves = true;
    }

    /// A message arrives and lies in this place.
    pub fn receive(&self, slot: u32, digits: &str) {
        let mut inside = lock(&self.inside);
        inside.slots.insert(slot, digits.to_owned());
        inside.say(&format!("+CMTI: \"SM\",{slot}"));
    }

    /// A message arrives that phones show at once and keep nowhere.
    pub fn flash(&self, digits: &str) {
        lock(&self.inside).say(&format!("+CMT: ,{}\r\n{digits}", digits.len() / 2 - 1));
    }

    /// The network says what became of a message that was sent: the number that the modem gave it, and how it stands.
    pub fn report(&self, reference: u8, status: u8) {
        let mut inside = lock(&self.inside);
        let at = Stamp { fields: [26, 11, 28, 12, 0, 0], zone_minutes: 480 };
        let sent = usize::from(reference).checked_sub(1).and_then(|place| inside.sent.get(place));
        let to = sent.and_then(|digits| submit::read_back(digits).ok()).map_or_else(|| "13900000001".to_owned(), |(to, ..)| to);
        if let Ok(digits) = (Report { reference, to, at, status }).to_digits() {
            let slot = 200 + u32::from(reference);
            inside.slots.insert(slot, digits);
            inside.say(&format!("+CDSI: \"SM\",{slot}"));
        }
    }

    /// The callee presses a key.
    pub fn press(&self, key: char) {
        let mut inside = lock(&self.inside);
        let line = match inside.manner.dialect {
            Dialect::Sim800 => format!("+DTMF: {key}"),
            Dialect::Sim7600 => format!("+RXDTMF: {key}"),
            Dialect::Quectel => format!("+QTONEDET: {}", u32::from(key)),
            Dialect::Huawei | Dialect::Generic => return,
        };
        inside.say(&line);
    }

    /// How many messages lie on the SIM.
    #[must_use]
    pub fn stored(&self) -> usize {
        lock(&self.inside).slots.len()
    }

    /// The messages that were sent: to whom, and what.
    #[must_use]
    pub fn sent(&self) -> Vec<(String, String)> {
        let sent = lock(&self.inside).sent.clone();
        sent.iter().filter_map(|digits| submit::read_back(digits).ok()).map(|(number, text, ..)| (number, text)).collect()
    }

    /// To whom all calls are forwarded.
    #[must_use]
    pub fn forwards_to(&self) -> Option<String> {
        lock(&self.inside).forwarded.get(&0).cloned()
    }

    /// What was asked of it that must never be asked.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        lock(&self.inside).faults.clone()
    }
}

impl Drop for FakeModem {
    fn drop(&mut self) {
        lock(&self.inside).stop = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Both ends of a pseudo-terminal, and the link to it.
struct Pty {
    master: OwnedFd,
    /// Held, so that the other end may be opened and closed any number of times.
    slave: OwnedFd,
    link: PathBuf,
}

impl Pty {
    fn open(link: &Path) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
        let slave = rustix::fs::open(name.as_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&slave)?;
        settings.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &settings)?;
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        let _ = std::fs::remove_file(link);
        std::os::unix::fs::symlink(&name, link)?;
        Ok(Self { master, slave, link: link.to_owned() })
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.link);
    }
}

/// The life of a modem: commands in, answers and news out.
fn live(inside: &Mutex<Inside>, link: &Path, first: Pty) {
    let mut pty = Some(first);
    let mut line = Vec::new();
    loop {
        {
            let inside = lock(inside);
            if inside.stop {
                return;
            }
            if !inside.plugged {
                pty = None;
                line.clear();
            }
        }
        if pty.is_none() && lock(inside).plugged {
            pty = Pty::open(link).ok();
        }
        if let Some(pty) = &pty {
            // A process that was killed could not give the port free; a real port is free when nobody holds it.
            let _ = ioctl_tiocnxcl(&pty.slave);
            let mut buffer = [0; 256];
            if let Ok(read) = rustix::io::read(&pty.master, &mut buffer) {
                for &byte in buffer.get(..read).unwrap_or_default() {
                    lock(inside).take(byte, &mut line);
                }
            }
            lock(inside).pass_time();
            let (pieces, in_pieces) = {
                let mut inside = lock(inside);
                (std::mem::take(&mut inside.out), inside.manner.in_pieces)
            };
            for piece in pieces {
                let size = if in_pieces { 5 } else { piece.len().max(1) };
                for part in piece.as_bytes().chunks(size) {
                    let _ = rustix::io::write(&pty.master, part);
                    if in_pieces {
                        std::thread::sleep(REST);
                    }
                }
            }
        }
        std::thread::sleep(REST);
    }
}

impl Inside {
    fn say(&mut self, line: &str) {
        if !self.manner.silent && self.plugged {
            self.out.push_back(format!("\r\n{line}\r\n"));
        }
    }

    /// Says something about the call, unless such news are lost.
    fn news(&mut self, line: &str) {
        if !self.manner.loses_news {
            self.say(line);
        }
    }

    fn take(&mut self, byte: u8, line: &mut Vec<u8>) {
        match (byte, self.writing) {
            (0x1a, Some(length)) => {
                self.writing = None;
                let text = String::from_utf8_lossy(&std::mem::take(line)).trim().to_owned();
                self.message(length, text);
            }
            (0x1b, _) => {
                self.writing = None;
                line.clear();
            }
            // Nothing else ends a command.
            (b'\r', None) => {
                let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
                self.command(text.trim_matches(['\n', ' ', '\0']));
            }
            (byte, _) => line.push(byte),
        }
    }

    fn message(&mut self, length: usize, digits: String) {
        if digits.len() / 2 != length + 1 {
            self.faults.push(format!("a message of {} bytes was announced as {length}", digits.len() / 2));
        }
        self.sent.push(digits.clone());
        let reference = u8::try_from(self.sent.len()).unwrap_or(u8::MAX);
        self.say(&format!("+CMGS: {reference}"));
        self.say("OK");
        if let (true, Ok((to, ..))) = (self.manner.reports, submit::read_back(&digits)) {
            let at = Stamp { fields: [26, 11, 28, 12, 0, 0], zone_minutes: 480 };
            if let Ok(report) = (Report { reference, to, at, status: 0 }).to_digits() {
                let slot = 200 + u32::from(reference);
                let waits = self.manner.reports_in_turn && !self.slots.is_empty();
                self.slots.insert(slot, report);
                if waits {
                    self.unsaid.push_back(slot);
                } else {
                    self.say(&format!("+CDSI: \"SM\",{slot}"));
                }
            }
        }
    }

    fn command(&mut self, text: &str) {
        if text.is_empty() || !self.plugged {
            return;
        }
        self.commands.push(text.to_owned());
        if self.manner.echo && !self.manner.silent {
            self.out.push_back(format!("{text}\r"));
        }
        if self.manner.garbage {
            return self.say("\u{fffd}?\u{1}~login incorrect");
        }
        if self.manner.noisy {
            self.out.push_back("\0\0".to_owned());
            self.say("^RSSI:17");
        }
        if text.starts_with("ATE0") {
            self.manner.echo = false;
        }
        let refusal = self.manner.refuses.iter().find(|(begin, _)| text.starts_with(begin)).map(|(_, with)| with.clone());
        if let Some(refusal) = refusal {
            return self.say(&refusal);
        }
        let (manufacturer, model) = match self.manner.dialect {
            Dialect::Sim800 => ("SIMCOM_Ltd", "SIMCOM_SIM800L"),
            Dialect::Sim7600 => ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H"),
            Dialect::Quectel => ("Quectel", "EC25"),
            Dialect::Huawei => ("huawei", "E1550"),
            Dialect::Generic => ("Unknown", "Modem"),
        };
        match text {
            "AT+CGMI" => self.say(manufacturer),
            "AT+CGMM" => self.say(model),
            "AT+CGMR" => self.say("1.0"),
            "AT+CGSN" => self.say("861000000000001"),
            "AT+CPIN?" => self.say(if self.manner.pin.is_some() { "+CPIN: SIM PIN" } else { "+CPIN: READY" }),
            "AT+CSQ" => self.say("+CSQ: 17,99"),
            "AT+CREG?" => self.say(if self.manner.registered { "+CREG: 1,1" } else { "+CREG: 1,2" }),
            "AT+CEREG?" => self.say(if self.manner.registered { "+CEREG: 1,1" } else { "+CEREG: 1,2" }),
            "AT+COPS?" => self.say("+COPS: 0,0,\"Test Mobile\",7"),
            "AT+CEER" => {
                let cause =
                    self.cause.map_or("No cause information available".to_owned(), |cause| format!("Release, cause {cause}"));
                self.say(&format!("+CEER: {cause}"));
            }
            "AT+CLCC" => {
                if std::mem::take(&mut self.stranger_leaves) {
                    self.stranger_leaves();
                }
                self.list();
            }
            "AT+CHUP" | "ATH" | "AT+CHLD=11" => return self.end_from_here(),
            "AT+CMGL=4" => {
                for (slot, digits) in self.slots.clone() {
                    self.say(&format!("+CMGL: {slot},1,,{}\r\n{digits}", digits.len() / 2 - 1));
                }
            }
            _ => return self.other(text),
        }
        self.say("OK");
    }

    fn other(&mut self, text: &str) {
        if let Some(number) = text.strip_prefix("ATD").and_then(|number| number.strip_suffix(';')) {
            return self.dial(number.to_owned());
        }
        if let Some(pin) = text.strip_prefix("AT+CPIN=") {
            if self.manner.pin.as_deref() == Some(pin.trim_matches('"')) {
                self.manner.pin = None;
                return self.say("OK");
            }
            return self.say("+CME ERROR: 16");
        }
        if let Some(length) = text.strip_prefix("AT+CMGS=") {
            self.writing = length.parse().ok();
            return self.out.push_back("\r\n> ".to_owned());
        }
        if let Some(slot) = text.strip_prefix("AT+CMGR=").and_then(|slot| slot.parse().ok()) {
            if let Some(digits) = self.slots.get(&slot).cloned() {
                self.say(&format!("+CMGR: 1,,{}\r\n{digits}", digits.len() / 2 - 1));
            }
            if let Some(next) = self.unsaid.pop_front() {
                self.say(&format!("+CDSI: \"SM\",{next}"));
            }
            return self.say("OK");
        }
        if let Some(slot) = text.strip_prefix("AT+CMGD=").and_then(|slot| slot.parse().ok()) {
            self.slots.remove(&slot);
        }
        if let Some(rest) = text.strip_prefix("AT+CCFC=") {
            let pieces: Vec<_> = rest.split(',').collect();
            let reason = pieces.first().and_then(|reason| reason.parse().ok()).unwrap_or(0);
            match (pieces.get(1), pieces.get(2)) {
                (Some(&"3"), Some(number)) if self.manner.forwards => {
                    self.forwarded.insert(reason, number.trim_matches('"').to_owned());
                }
                (Some(&"4"), _) if self.manner.forwards => drop(self.forwarded.remove(&reason)),
                (Some(&"2"), _) => match self.forwarded.get(&reason).cloned() {
                    Some(number) => self.say(&format!("+CCFC: 1,1,\"{number}\",145")),
                    None => self.say("+CCFC: 0,255"),
                },
                _ => {}
            }
        }
        self.say("OK");
        if text.starts_with("AT+CUSD=1") {
            self.say("+CUSD: 0,\"4F59989D0031003200350030\",72");
        }
    }

    fn dial(&mut self, number: String) {
        if self.call.is_some() {
            self.faults.push(format!("{number} was dialled while a call was running"));
        }
        let callee = self.manner.callees.get(&number).cloned().unwrap_or(Callee::Rings);
        if callee == Callee::NoNetwork {
            return self.say("+CME ERROR: 30");
        }
        self.cause = None;
        self.dialled.push(number.clone());
        self.say("OK");
        if self.manner.dialect == Dialect::Quectel {
            self.news(&format!("^DSCI: 1,0,2,0,{number},129"));
        }
        self.call = Some(Call { number, callee, since: Instant::now(), taken: false, stat: 2, active_since: None });
    }

    fn stranger_leaves(&mut self) {
        self.stranger = false;
        self.say("VOICE CALL: END: 000000");
        self.say("NO CARRIER");
    }

    fn list(&mut self) {
        if let Some(call) = &self.call {
            let tail = if self.manner.dialect == Dialect::Sim800 { ",\"\"" } else { "" };
            let line = format!("+CLCC: 1,0,{},0,0,\"{}\",129{tail}", call.stat, call.number);
            self.say(&line);
        }
        if self.stranger {
            self.say("+CLCC: 2,1,4,0,0,\"13700000009\",129");
        }
    }

    /// The call goes on by itself.
    fn pass_time(&mut self) {
        let Some(call) = self.call.clone() else { return };
        let age = call.since.elapsed();
        let set = |inside: &mut Self, stat: u8| {
            if let Some(call) = &mut inside.call {
                call.stat = stat;
                call.active_since = (stat == 0).then(Instant::now);
            }
        };
        let dialect = self.manner.dialect;
        if !call.taken && age >= Duration::from_millis(40) {
            if let Some(call) = &mut self.call {
                call.taken = true;
            }
            if dialect == Dialect::Huawei {
                self.news("^ORIG:1,0");
            }
            return;
        }
        let alerting_after = Duration::from_millis(80);
        if call.stat == 2 && age >= alerting_after && !matches!(call.callee, Callee::Busy | Callee::Away | Callee::Unknown) {
            set(self, 3);
            match dialect {
                Dialect::Quectel => self.news(&format!("^DSCI: 1,0,7,0,{},129", call.number)),
                Dialect::Huawei => self.news("^CONF:1"),
                Dialect::Sim800 => self.news(&format!("+CLCC: 1,0,3,0,0,\"{}\",129,\"\"", call.number)),
                _ => {}
            }
            return;
        }
        match call.callee {
            Callee::Answers { after, .. } if call.stat == 3 && age >= after => {
                set(self, 0);
                match dialect {
                    Dialect::Quectel => self.news(&format!("^DSCI: 1,0,3,0,{},129", call.number)),
                    Dialect::Huawei => self.news("^CONN:1,0"),
                    Dialect::Sim7600 => self.news("VOICE CALL: BEGIN"),
                    Dialect::Sim800 => self.news(&format!("+CLCC: 1,0,0,0,0,\"{}\",129,\"\"", call.number)),
                    Dialect::Generic => {}
                }
            }
            Callee::Answers { talks: Some(talks), .. } if call.active_since.is_some_and(|since| since.elapsed() >= talks) => {
                self.end(&call.number, 16, None);
            }
            Callee::Busy if age >= alerting_after => self.end(&call.number, 17, Some("BUSY")),
            Callee::Declines if call.stat == 3 && age >= alerting_after * 2 => self.end(&call.number, 21, Some("BUSY")),
            // A network looks for a phone that is off: what ends at once never left the modem.
            Callee::Away if age >= alerting_after + LOOKED_FOR => self.end(&call.number, 20, Some("NO CARRIER")),
            Callee::Unknown if age >= alerting_after => self.end(&call.number, 1, Some("NO CARRIER")),
            _ => {}
        }
    }

    fn end(&mut self, number: &str, cause: u8, word: Option<&str>) {
        let talked = self.call.take().and_then(|call| call.active_since).map_or(0, |since| since.elapsed().as_secs());
        self.cause = Some(cause);
        match self.manner.dialect {
            Dialect::Quectel => self.news(&format!("^DSCI: 1,0,6,0,{number},129")),
            Dialect::Huawei => self.news(&format!("^CEND:1,{talked},104,{cause}")),
            Dialect::Sim7600 => self.news(&format!("VOICE CALL: END: {talked:06}")),
            Dialect::Sim800 | Dialect::Generic => {}
        }
        self.news(word.unwrap_or("NO CARRIER"));
    }

    fn end_from_here(&mut self) {
        if let Some(call) = self.call.clone() {
            if self.manner.dialect == Dialect::Huawei && !call.taken {
                self.faults.push("hung up before the network had the call".to_owned());
            }
            self.end(&call.number, 16, None);
        }
        self.say("OK");
    }
}
