//! `handset`: a handset of our own by its configuration file, or a simulated one in the terminal, against a real server.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use android_protocol::{
    agent::{Ending, Kind, Options, run_and_tell},
    phone::People,
};
use clap::{Parser, Subcommand};

/// With --config, a handset that calls over SIP and speaks. Without, a simulated handset: the native protocol, or any build of the app with every
/// fault it has.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Order>,
    /// The handset's configuration file; the arguments below are for simulated ones.
    #[arg(long)]
    config: Option<PathBuf>,
    /// native, app-head, app-head-headless, app-14558f3, app-25cd829 or app-1.0
    #[arg(long, default_value = "app-head")]
    kind: Kind,
    /// The URL the handset is given.
    #[arg(long, default_value = "http://127.0.0.1:8080/alert/phone")]
    url: String,
    /// Who answers when: a JSON file such as {"18712345678": [{"rings": 40}, {"answers": 5, "talks": 20}], "*": {"busy": true}}
    #[arg(long)]
    people: Option<PathBuf>,
    /// Seconds between two polls of the app.
    #[arg(long, default_value_t = 10)]
    interval: u64,
    /// How many times faster than the wall clock the handset's time runs.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Stop after the first report, or the first poll that brings nothing.
    #[arg(long)]
    once: bool,
    /// The phone's model, which later builds send.
    #[arg(long)]
    model: Option<String>,
    /// Restart a dead app after so many seconds, without its screen, as Android does.
    #[arg(long)]
    restart_after: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Tries speech, server, trunk and registration, and with --number a call; says what is wrong.
    Check {
        /// The handset's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Whom to call: your own phone, or an echo.
        #[arg(long)]
        number: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (&arguments.command, &arguments.config) {
        (Some(Order::Check { config, number }), _) => check(config, number.as_deref()).await,
        (None, Some(config)) => handset(config).await,
        (None, None) => simulated(arguments).await,
    }
}

async fn simulated(arguments: Arguments) -> ExitCode {
    let people = match arguments.people.as_ref().map(read_people).transpose() {
        Ok(people) => people.unwrap_or_default(),
        Err(why) => return fail(&why),
    };
    let mut options = Options::new(arguments.kind, &arguments.url, people);
    options.interval = Duration::from_secs(arguments.interval);
    options.speed = arguments.speed;
    options.once = arguments.once;
    options.restart_after = arguments.restart_after.map(Duration::from_secs);
    if let Some(model) = arguments.model {
        options.model = model;
    }
    match run_and_tell(options, interrupted(), |at, line| println!("{:>8.1}  {line}", at.as_secs_f64())).await {
        Ok(Ending::Died(_)) => ExitCode::from(2),
        Ok(Ending::Shutdown | Ending::Once) => ExitCode::SUCCESS,
        Err(why) => fail(&why.to_string()),
    }
}

async fn interrupted() {
    // Without a signal handler the terminal ends the process anyway.
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(feature = "sip")]
async fn handset(config: &Path) -> ExitCode {
    use android_protocol::sip::{agent, config::Agent};
    let agent = match Agent::read(config) {
        Ok(agent) => agent,
        Err(why) => return fail(&with_causes(&why)),
    };
    let stop = async {
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        let terminate = async {
            match &mut terminated {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = interrupted() => {}
            () = terminate => {}
        }
    };
    match agent::run(agent, stop, |line| println!("{line}")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&with_causes(&why)),
    }
}

#[cfg(feature = "sip")]
async fn check(config: &Path, number: Option<&str>) -> ExitCode {
    use android_protocol::sip::{check::check, config::Agent};
    let agent = match Agent::read(config) {
        Ok(agent) => agent,
        Err(why) => return fail(&with_causes(&why)),
    };
    println!("ok    configuration: {}", config.display());
    if check(&agent, number, |line| println!("{line}")).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(feature = "sip")]
fn with_causes(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut cause = why.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(not(feature = "sip"))]
async fn handset(_config: &Path) -> ExitCode {
    fail("this handset was built without SIP: cargo build -p android-protocol --features sip")
}

#[cfg(not(feature = "sip"))]
async fn check(_config: &Path, _number: Option<&str>) -> ExitCode {
    fail("this handset was built without SIP: cargo build -p android-protocol --features sip")
}

fn read_people(path: &PathBuf) -> Result<People, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    People::parse(&text).map_err(|why| {
        format!("{}: {why}{}", path.display(), std::error::Error::source(&why).map(|why| format!(": {why}")).unwrap_or_default())
    })
}

fn fail(why: &str) -> ExitCode {
    eprintln!("handset: {why}");
    ExitCode::FAILURE
}
