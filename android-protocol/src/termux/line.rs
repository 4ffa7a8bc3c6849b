//! The phone as a line.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::Instant;

use super::{
    call_log::{self, Row},
    command::Commands,
    follow::{Follow, Sight, answer_detection},
    inbox,
    output::Refused,
    telemetry,
    telephony::{self, Calls},
};
use crate::{
    DialString,
    driver::line::Line,
    forwarding::ServiceCode,
    native::{CannotDial, Seen, Unfinished, delivery::Carried},
    wire::{Capability, CommandKind, InboundText, LineState, OutboxResult, Status},
};

/// `[agent.termux]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seconds after which a command that says nothing is given up.
    pub patience_seconds: u64,
    /// Whether text messages that come in are passed on to the server.
    pub pass_on_texts: bool,
    /// The SIM slot that sends text messages, from 0; absent for the one Android prefers. A slot that does not exist sends nothing, silently.
    pub sms_slot: Option<u8>,
    /// Whether the phone is kept awake.
    pub wake_lock: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience_seconds: 15, pass_on_texts: true, sms_slot: None, wake_lock: true }
    }
}

/// How long a command is left alone that Android refuses: each time it is asked, a question may open on the phone's screen.
const REFUSED_FOR: Duration = Duration::from_mins(10);

/// What is known of the phone.
#[derive(Debug, Default)]
struct Known {
    /// The call that is followed, by number and time.
    follow: Option<(String, Duration, Follow)>,
    sees_calls: bool,
    states_missing: bool,
    reads_log: bool,
    android: Option<u32>,
    /// Whether the phone answers, and has a SIM card that may call, as it said last.
    can_dial: bool,
    /// What was said about each command, so that it is said once.
    troubles: BTreeMap<&'static str, String>,
    /// Commands that Android refuses, and until when they are not asked again.
    rest: BTreeMap<&'static str, Instant>,
}

/// The phone on which this program runs.
#[derive(Debug)]
pub struct TermuxLine {
    settings: Settings,
    commands: Commands,
    known: Mutex<Known>,
    /// Where the number of the last text message stands that the server has.
    texts_taken: PathBuf,
}

impl TermuxLine {
    /// The phone, with a folder for what it has to remember.
    #[must_use]
    pub fn new(settings: Settings, state_dir: &std::path::Path) -> Self {
        let commands = Commands { within: Duration::from_secs(settings.patience_seconds.max(1)) };
        Self { settings, commands, known: Mutex::default(), texts_taken: state_dir.join("termux-texts") }
    }

    /// Keeps the phone awake, if that is wanted.
    pub async fn begin(&self) {
        if self.settings.wake_lock
            && let Err(why) = self.commands.tell("termux-wake-lock", &[], None).await
        {
            tracing::warn!("the phone may fall asleep: {why}");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in it is left half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once what is wrong with a command, and once that it is right again.
    fn note<T>(&self, command: &'static str, answer: Result<T, Refused>) -> Result<T, Refused> {
        let mut known = self.known();
        match &answer {
            Ok(_) => {
                if known.troubles.remove(command).is_some() {
                    tracing::info!("{command} works again");
                }
            }
            Err(why) => {
                if matches!(why, Refused::Words { .. }) {
                    known.rest.insert(command, Instant::now() + REFUSED_FOR);
                }
                let why = why.to_string();
                if known.troubles.get(command) != Some(&why) {
                    tracing::warn!("{why}");
                    known.troubles.insert(command, why);
                }
            }
        }
        answer
    }

    /// Whether Android has refused this command a short while ago.
    fn rests(&self, command: &str) -> bool {
        self.known().rest.get(command).is_some_and(|until| Instant::now() < *until)
    }

    /// What the phone's calls do; `None` without the permission.
    pub(super) async fn calls(&self) -> Option<Calls> {
        let dump = self.commands.android("dumpsys", &["telephony.registry"]).await.ok()?;
        let calls = telephony::read(&dump);
        self.known().sees_calls = calls.is_some();
        calls
    }

    pub(super) async fn rows(&self) -> Result<Vec<Row>, Refused> {
        let rows = call_log::ROWS.to_string();
        let printed = self.commands.json("termux-call-log", &["-l", &rows, "-o", "0"]).await;
        let rows = self.note("termux-call-log", printed).map(|printed| call_log::read(&printed));
        self.known().reads_log = rows.is_ok();
        rows
    }

    pub(super) async fn android_version(&self) -> Option<u32> {
        if let Some(android) = self.known().android {
            return Some(android);
        }
        let printed = self.commands.android("getprop", &["ro.build.version.release"]).await.ok()?;
        let android = telemetry::android(&printed);
        self.known().android = android;
        android
    }

    pub(super) fn commands(&self) -> Commands {
        self.commands
    }

    async fn messages(&self) -> Result<Vec<inbox::Message>, Refused> {
        let many = inbox::MESSAGES.to_string();
        let printed = self.commands.json("termux-sms-list", &["-l", &many, "-t", "inbox"]).await;
        Ok(inbox::read(&self.note("termux-sms-list", printed)?))
    }

    /// Remembers that the server has everything up to here. On a file system that refuses, messages are posted again, which changes nothing.
    fn take_texts_up_to(&self, id: u64) {
        let new = self.texts_taken.with_extension("new");
        let written = std::fs::write(&new, id.to_string()).and_then(|()| std::fs::rename(&new, &self.texts_taken));
        if let Err(why) = written {
            tracing::warn!(error = %why, "{} cannot be written", self.texts_taken.display());
        }
    }

    async fn send_text(&self, number: &str, text: &str) -> Result<String, String> {
        // One number: a comma would make it several.
        let number = DialString::parse(number).map_err(|why| why.to_string())?;
        let slot = self.settings.sms_slot.map(|slot| slot.to_string());
        let mut arguments = vec!["-n", number.as_str()];
        arguments.extend(slot.iter().flat_map(|slot| ["-s", slot.as_str()]));
        self.commands.tell("termux-sms-send", &arguments, Some(text)).await.map_err(|why| why.to_string())?;
        Ok("handed to Android; whether the network took it is shown on the phone only".to_owned())
    }

    async fn send_code(&self, code: &str) -> Result<String, String> {
        let code = ServiceCode::parse(code).map_err(|why| why.to_string())?;
        if let Some(android) = self.android_version().await {
            code.check_android(android).map_err(|why| why.to_string())?;
        }
        // A code leaves no row in the call log, so nothing is waited for.
        let dialled = code.as_str().replace('#', "%23");
        self.commands.tell("termux-telephony-call", &[&dialled], None).await.map_err(|why| why.to_string())?;
        Ok("sent; the network's answer is shown on the phone only".to_owned())
    }
}

/// Whether a command of Termux:API answered, be it by a refusal: what does not is asleep or not there, and dials nobody either.
fn answers<T>(answer: &Result<T, Refused>) -> bool {
    !matches!(answer, Err(Refused::Silent(_) | Refused::Missing(_)))
}

impl Line for TermuxLine {
    fn hangs_up(&self) -> bool {
        false
    }

    fn can_dial(&self) -> bool {
        self.known().can_dial
    }

    fn look_every(&self) -> Duration {
        Duration::from_secs(if self.known().sees_calls { 1 } else { 3 })
    }

    async fn prepare(&self, number: &str) -> Result<Option<String>, CannotDial> {
        // A service code leaves no trace, and an emergency number is nobody on duty.
        DialString::parse(number).map_err(|why| CannotDial::Broken(why.to_string()))?;
        if self.calls().await.and_then(|calls| calls.busy) == Some(true) {
            return Err(CannotDial::LineBusy);
        }
        match self.rows().await {
            Ok(rows) => Ok(serde_json::to_string(&call_log::before(&rows, number)).ok()),
            // What cannot list calls cannot make them either.
            Err(why @ (Refused::Missing(_) | Refused::Silent(_))) => {
                // The next one is not asked for before it answers again.
                self.known().can_dial = false;
                Err(CannotDial::Broken(why.to_string()))
            }
            // Without this permission it rings all the same.
            Err(Refused::Words { .. } | Refused::Failed { .. }) => Ok(None),
        }
    }

    async fn dial(&self, number: &str) -> Result<(), CannotDial> {
        let answer = self.commands.tell("termux-telephony-call", &[number], None).await;
        match self.note("termux-telephony-call", answer) {
            Err(why @ Refused::Missing(_)) => Err(CannotDial::Broken(why.to_string())),
            // Whether it rings is seen on the line; a dial that was refused leaves no trace there.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn hang_up(&self) {}

    async fn look(&self, now: Duration, call: &Unfinished<'_>, mark: Option<&str>) -> Seen {
        let calls = self.calls().await;
        let before: Option<Vec<Row>> = mark.and_then(|mark| serde_json::from_str(mark).ok());
        let row = match before {
            Some(before) if Follow::wants_row(calls) => {
                let rows = self.rows().await.unwrap_or_default();
                Some(call_log::of_call(&rows, call.number, &before).cloned())
            }
            before => before.map(|_| None),
        };
        let mut known = self.known();
        let known = &mut *known;
        let same = known.follow.as_ref().is_some_and(|(number, started, _)| number == call.number && *started == call.started);
        if !same {
            known.follow = None;
        }
        let (_, _, follow) =
            known.follow.get_or_insert_with(|| (call.number.to_owned(), call.started, Follow::new(call.started, call.ring)));
        let seen = follow.judge(now, &Sight { calls, row });
        if let Some(shows) = follow.shows_states() {
            known.states_missing = !shows;
        }
        seen
    }

    async fn status(&self) -> Status {
        let mut status = Status {
            agent: Some(format!("handset {} (termux)", env!("CARGO_PKG_VERSION"))),
            backend: Some("termux".to_owned()),
            ..Status::default()
        };
        let battery = self.commands.json("termux-battery-status", &[]).await;
        let battery = self.note("termux-battery-status", battery);
        let mut can_dial = answers(&battery);
        status.termux_api = Some(if matches!(battery, Err(Refused::Silent(_))) { "silent" } else { "ok" }.to_owned());
        if let Ok(printed) = &battery {
            telemetry::battery(&mut status, printed);
        }
        // Where the first says nothing, the others would only be waited for.
        if status.termux_api.as_deref() == Some("ok") {
            let device = self.commands.json("termux-telephony-deviceinfo", &[]).await;
            if let Ok(printed) = self.note("termux-telephony-deviceinfo", device) {
                let sim = telemetry::device(&mut status, &printed)
                    .map_err(|words| Refused::Words { command: "the SIM card".to_owned(), words });
                can_dial &= self.note("the SIM card", sim).is_ok();
            }
            if !self.rests("termux-telephony-cellinfo") {
                let cells = self.commands.json("termux-telephony-cellinfo", &[]).await;
                if let Ok(printed) = self.note("termux-telephony-cellinfo", cells) {
                    telemetry::cells(&mut status, &printed);
                }
            }
            if !self.rests("termux-call-log") {
                can_dial &= answers(&self.rows().await);
            }
        }
        let android = self.android_version().await;
        let calls = self.calls().await;
        status.android = android.map(|android| android.to_string());
        status.line = calls.and_then(|calls| calls.busy).map(|busy| if busy { LineState::Busy } else { LineState::Idle });
        let mut known = self.known();
        known.can_dial = can_dial;
        status.answer_detection = Some(answer_detection(known.sees_calls, known.states_missing, known.reads_log));
        status.capabilities = vec![Capability::Sms];
        if self.settings.pass_on_texts {
            status.capabilities.push(Capability::SmsIn);
        }
        if android.is_some_and(|android| android < crate::forwarding::FIRST_ANDROID_THAT_REFUSES) {
            status.capabilities.push(Capability::Forwarding);
        }
        status
    }

    async fn carry_out(&self, command: &CommandKind) -> Carried {
        let done = match command {
            CommandKind::Sms { number, text } => self.send_text(number, text).await,
            CommandKind::Forward { code } => self.send_code(code).await,
            CommandKind::TestCall { .. } => Err("a test call is dialled, not sent".to_owned()),
        };
        OutboxResult { ok: done.is_ok(), detail: Some(done.unwrap_or_else(|why| why)), ..OutboxResult::default() }.into()
    }

    async fn texts(&self) -> Vec<InboundText> {
        if !self.settings.pass_on_texts || self.rests("termux-sms-list") {
            return Vec::new();
        }
        let Ok(messages) = self.messages().await else { return Vec::new() };
        let taken = std::fs::read_to_string(&self.texts_taken).ok().and_then(|text| text.trim().parse().ok());
        let Some(taken) = taken else {
            // What was there before this handset began is nobody's answer.
            self.take_texts_up_to(messages.last().map_or(0, |message| message.id));
            return Vec::new();
        };
        inbox::newer(messages, taken).into_iter().map(|message| message.text).collect()
    }

    async fn text_taken(&self, text: &InboundText) {
        if let Some(id) = text.id.as_deref().and_then(|id| id.parse().ok()) {
            self.take_texts_up_to(id);
        }
    }
}
