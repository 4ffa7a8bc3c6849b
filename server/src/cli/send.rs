//! `autocall send`: an alarm from a shell script or a cron job, told until the server has it, with an exit status.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use clap::builder::PossibleValuesParser;
use reqwest::{Client, StatusCode, Url, header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Hearing, SignalKind, signal};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::ids::new_mid;
use crate::net::tls;

/// One request takes no longer than this.
const WITHIN: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSES: Backoff = Backoff::new(TimeDelta::seconds(1), TimeDelta::seconds(30));
/// A server that is busy is believed for no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// So much of what a command says last stands in the alarm, in bytes.
const LAST_WORDS: usize = 4_000;
/// So much of what is typed, or comes through a pipe, in bytes.
const MOST_TYPED: u64 = 256 * 1024;
/// Whoever a command leaves behind may hold on to its words: they are waited for no longer than this.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);
/// No answer is read further, in bytes.
const MOST_ANSWER: usize = 65_536;
/// The exit status where the server could not be reached in time: *temporary failure* of sysexits.h.
const NOT_REACHED: u8 = 75;
/// And where a command cannot be started, as in a shell.
const NOT_STARTED: u8 = 127;

#[derive(Debug, Args)]
pub(super) struct Send {
    /// What is wrong, in one line
    #[arg(required_unless_present_any = ["resolve", "if_fails"])]
    summary: Option<String>,
    /// The server
    #[arg(long, env = "AUTOCALL_URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// Its key; in the environment other users of this machine do not see it
    #[arg(long, env = "AUTOCALL_KEY", hide_env_values = true)]
    key: Option<String>,
    /// More text; - reads it
    #[arg(long, value_name = "TEXT")]
    details: Option<String>,
    /// How urgent
    #[arg(long, default_value = "normal", value_parser = PossibleValuesParser::new(["low", "normal", "high", "critical"]))]
    priority: String,
    /// What makes two of them the same alarm, and what --resolve ends
    #[arg(long, value_name = "KEY")]
    dedup_key: Option<String>,
    /// Whom to ring, with commas between; else as the key and the policies say
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    phones: Vec<String>,
    /// The escalation policy that says whom to ring
    #[arg(long, value_name = "NAME", conflicts_with = "phones")]
    policy: Option<String>,
    /// A label, as NAME=VALUE; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// It is over: nobody is rung for it any more
    #[arg(long, requires = "dedup_key")]
    resolve: bool,
    /// Give up when the server could not be reached for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// Run the command behind --; raise the alarm when it fails, and end it when it works again
    #[arg(long, requires = "command", conflicts_with = "resolve")]
    if_fails: bool,
    /// The command, with its arguments
    #[arg(last = true, requires = "if_fails")]
    command: Vec<String>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Why it was not told.
enum Untold {
    /// The server was not there.
    NotReached(String),
    /// It does not want it.
    Refused(String),
}

pub(super) async fn run(send: Send) -> ExitCode {
    tls::install_provider();
    if send.if_fails {
        return watch(&send).await;
    }
    match tell(&send).await {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(untold) => said(untold),
    }
}

fn said(untold: Untold) -> ExitCode {
    match untold {
        Untold::NotReached(why) => {
            eprintln!("autocall: {why}");
            ExitCode::from(NOT_REACHED)
        }
        Untold::Refused(why) => {
            eprintln!("autocall: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn tell(send: &Send) -> Result<String, Untold> {
    let refused = |error: anyhow::Error| Untold::Refused(super::sentence(&error));
    if send.resolve {
        return deliver(send, "/api/v1/alarms/resolve", &json!({ "dedup_key": send.dedup_key })).await;
    }
    let details = match send.details.as_deref() {
        Some("-") => typed().context("standard input cannot be read").map_err(refused)?,
        Some(text) => text.to_owned(),
        None => String::new(),
    };
    deliver(
        send,
        "/api/v1/alarms",
        &alarm(send, send.summary.as_deref().unwrap_or_default(), &details, send.dedup_key.as_deref()),
    )
    .await
}

/// What comes in, as far as it is kept; what is no text is one all the same.
fn typed() -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(std::io::stdin(), MOST_TYPED), &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn alarm(send: &Send, summary: &str, details: &str, dedup_key: Option<&str>) -> Value {
    let labels: Map<String, Value> = send.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut alarm = json!({ "summary": summary, "details": details, "priority": send.priority, "labels": labels });
    if let Some(key) = dedup_key {
        alarm["dedup_key"] = key.into();
    }
    if !send.phones.is_empty() {
        alarm["phones"] = json!(send.phones);
    }
    if let Some(policy) = &send.policy {
        alarm["policy"] = policy.as_str().into();
    }
    alarm
}

/// Tells the server, again until it has it: all tries are one request to it.
async fn deliver(send: &Send, path: &str, body: &Value) -> Result<String, Untold> {
    let address = format!("{}{path}", send.url.as_str().trim_end_matches('/'));
    let client = tls::client()
        .timeout(WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("autocall/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Untold::Refused(error.to_string()))?;
    let (once, until) = (new_mid(DateTime::<Utc>::UNIX_EPOCH), Instant::now() + Duration::from_secs(send.patience));
    let mut tries = 0;
    loop {
        let (why, asked_for) = match attempt(&client, send, &address, body, &once).await {
            Ok(told) => return Ok(told),
            Err(Tried::Refused(why)) => return Err(Untold::Refused(why)),
            Err(Tried::Later { why, after }) => (why, after),
        };
        let pause = asked_for.unwrap_or_else(|| PAUSES.pause(tries).to_std().unwrap_or_default()).min(LONGEST_PAUSE);
        tries += 1;
        // The last try is when its time is up, whatever the server says.
        let pause = pause.min(until.saturating_duration_since(Instant::now()));
        if pause.is_zero() {
            return Err(Untold::NotReached(format!("{why}; given up after {tries} tries, nobody was told")));
        }
        tokio::time::sleep(pause).await;
    }
}

/// What came of one try.
enum Tried {
    Later { why: String, after: Option<Duration> },
    Refused(String),
}

async fn attempt(client: &Client, send: &Send, address: &str, body: &Value, once: &str) -> Result<String, Tried> {
    let mut request = client.post(address).header("idempotency-key", once).json(body);
    if let Some(key) = send.key.as_ref().filter(|key| !key.is_empty()) {
        request = request.bearer_auth(key);
    }
    let later = |why: String| Tried::Later { why, after: None };
    let answer = request.send().await.map_err(|error| later(format!("the server does not answer: {}", error.without_url())))?;
    let status = answer.status();
    let after = answer.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    let text = read(answer).await.map_err(|why| later(format!("the server breaks off: {why}")))?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() && said.is_object() {
        return Ok(told(&said));
    }
    let why = match said["detail"].as_str() {
        Some(detail) => format!("the server says: {detail}"),
        None => format!("the server answers {status}: is this its address?"),
    };
    if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
        return Err(Tried::Later { why, after: after.map(Duration::from_secs) });
    }
    Err(Tried::Refused(why))
}

async fn read(mut answer: reqwest::Response) -> Result<String, String> {
    let mut text = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
        text.extend_from_slice(&part);
        if text.len() > MOST_ANSWER {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What the server has made of it, for whoever reads along.
fn told(said: &Value) -> String {
    let alarm = if said["alarm"].is_object() { &said["alarm"] } else { said };
    match (alarm["id"].as_str(), alarm["state"].as_str(), said["outcome"].as_str()) {
        (None, _, Some("nothing_open")) => "no alarm is open under this key".to_owned(),
        (Some(id), _, Some(outcome)) => format!("{outcome} {id}"),
        (Some(id), Some(state), None) => format!("{state} {id}"),
        _ => "done".to_owned(),
    }
}

/// Runs the command, and tells when it fails, or works again. Its exit status is ours.
async fn watch(send: &Send) -> ExitCode {
    let Some((program, arguments)) = send.command.split_first() else { return ExitCode::FAILURE };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let key = send.dedup_key.clone().unwrap_or_else(|| format!("{host}: {}", send.command.join(" ")));
    let mut asked = Asked::listen();
    let (code, how, last) = match command(program, arguments, &mut asked).await {
        Ok((status, last)) => (code(status), how(status), last),
        Err(error) => (NOT_STARTED, format!("cannot be started: {error}"), String::new()),
    };
    let telling = async {
        if code == 0 {
            return deliver(send, "/api/v1/alarms/resolve", &json!({ "dedup_key": key })).await;
        }
        let summary = send.summary.clone().unwrap_or_else(|| format!("{program} on {host} {how}"));
        let details = format!("{} {how}\n{last}", send.command.join(" "));
        deliver(send, "/api/v1/alarms", &alarm(send, &summary, details.trim(), Some(&key))).await
    };
    let told = tokio::select! {
        biased;
        told = telling => told,
        () = asked.again() => Err(Untold::NotReached("asked to end before the server had it: nobody was told".to_owned())),
    };
    if let Err(untold) = told {
        let _ = said(untold);
    }
    ExitCode::from(code)
}

/// As a shell has it: 128 and the signal where one ended it.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Runs a command whose words go where they would, and keeps the last of them.
async fn command(program: &str, arguments: &[String], asked: &mut Asked) -> std::io::Result<(ExitStatus, String)> {
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let last = Arc::new(Mutex::new(VecDeque::new()));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (one, other) = (Arc::clone(&last), Arc::clone(&last));
    let mut words = tokio::spawn(async move {
        tokio::join!(pass_on(out, tokio::io::stdout(), one), pass_on(err, tokio::io::stderr(), other));
    });
    let status = wait(&mut child, asked).await;
    let _ = tokio::time::timeout(LAST_WORDS_WITHIN, &mut words).await;
    words.abort();
    let last: Vec<u8> = last.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
    Ok((status?, String::from_utf8_lossy(&last).into_owned()))
}

/// Waits until a command has ended. Whoever asks us to end means it: it hears of that, and what became of it is told all the same.
async fn wait(child: &mut Child, asked: &mut Asked) -> std::io::Result<ExitStatus> {
    // A terminal tells all who run in it.
    let by_terminal = std::io::stdin().is_terminal();
    loop {
        let heard = tokio::select! {
            status = child.wait() => return status,
            heard = asked.next() => heard,
        };
        if by_terminal && heard != Signal::TERM {
            continue;
        }
        // While it has not been waited for, its number is its own.
        if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, heard);
        }
    }
}

/// Which signals a process ignores, a bit for each, by what the system says of it.
fn ignored(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Signals that come within so long of the end of the command belong to what ended it.
const ONE_STOP: Duration = Duration::from_secs(2);

/// Hears when this process is asked to end. From then on, nothing but its own code ends it.
struct Asked([std::io::Result<Hearing>; 4]);

impl Asked {
    fn listen() -> Self {
        // Who was started so that these do not reach it, as by `nohup`, keeps them out, and its command as well.
        let ignored = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored(&status)).unwrap_or(0);
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        Self(kinds.map(|kind| match ignored >> (kind.as_raw_value() - 1) & 1 {
            1 => Err(std::io::Error::other("it is ignored")),
            _ => signal(kind),
        }))
    }

    async fn next(&mut self) -> Signal {
        let [terminate, interrupt, hang_up, quit] = &mut self.0;
        tokio::select! {
            () = heard(terminate) => Signal::TERM,
            () = heard(interrupt) => Signal::INT,
            () = heard(hang_up) => Signal::HUP,
            () = heard(quit) => Signal::QUIT,
        }
    }

    /// Waits until somebody insists. What comes at once is of the same stop: a group is told all together, and some tell it twice. A
    /// terminal that closes does not insist: what it was for may have been left running on purpose.
    async fn again(&mut self) {
        let settled = tokio::time::Instant::now() + ONE_STOP;
        loop {
            if self.next().await != Signal::HUP && tokio::time::Instant::now() >= settled {
                return;
            }
        }
    }
}

/// Waits for a signal; for ever, where it cannot be heard.
async fn heard(hearing: &mut std::io::Result<Hearing>) {
    match hearing {
        Ok(hearing) => {
            hearing.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

async fn pass_on(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin, last: Arc<Mutex<VecDeque<u8>>>) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let words = piece.get(..length).unwrap_or_default();
        {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            last.extend(words);
            let too_many = last.len().saturating_sub(LAST_WORDS);
            last.drain(..too_many);
        }
        // Whoever reads along may be gone: the command goes on.
        let _ = to.write_all(words).await;
        let _ = to.flush().await;
    }
}
