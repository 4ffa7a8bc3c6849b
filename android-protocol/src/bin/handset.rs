//! `handset`: a handset in the terminal, against a real server. Either one with a real line, or a simulated one.

use std::{fmt, path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use android_protocol::{
    agent::{Ending, Kind, Options, run_and_tell},
    driver::{
        config::{Agent, LineKind},
        start,
    },
    phone::People,
};
use clap::{Parser, Subcommand};

/// A handset: by its configuration file a real one (this phone, with Termux; a GSM modem; or calls over SIP), or a simulated one (the native protocol, or any build of the app with every fault it has).
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    real: Real,
    /// termux, modem or sip (the last two want a configuration file); or, simulated: native, app-head, app-head-headless, app-14558f3, app-25cd829 or app-1.0
    #[arg(long, default_value = "app-head")]
    kind: AnyKind,
    /// The URL the handset is given.
    #[arg(long, default_value = "http://127.0.0.1:8080/alert/phone")]
    url: String,
    /// Who answers when, for a simulated handset: a JSON file such as {"18712345678": [{"rings": 40}, {"answers": 5, "talks": 20}], "*": {"busy": true}}
    #[arg(long)]
    people: Option<PathBuf>,
    /// Seconds between two polls of the simulated app.
    #[arg(long, default_value_t = 10)]
    interval: u64,
    /// How many times faster than the wall clock a simulated handset's time runs.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Stop a simulated handset after the first report, or the first poll that brings nothing.
    #[arg(long)]
    once: bool,
    /// The simulated phone's model, which later builds send.
    #[arg(long)]
    model: Option<String>,
    /// Restart a dead simulated app after so many seconds, without its screen, as Android does.
    #[arg(long)]
    restart_after: Option<u64>,
}

/// Where a real handset's settings are.
#[derive(Debug, clap::Args)]
struct Real {
    /// The configuration file of a handset with a real line.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look whether a handset with a real line can work, and say what is missing.
    Check {
        #[command(flatten)]
        real: Real,
        /// Whom to call, to prove that it can: your own phone, or over SIP an echo.
        #[arg(long)]
        number: Option<String>,
        /// How many seconds that may ring.
        #[arg(long, default_value_t = 45)]
        ring_seconds: u64,
    },
    /// Start the handset whenever this phone starts (Termux, with the app Termux:Boot).
    InstallBoot {
        #[command(flatten)]
        real: Real,
    },
}

/// A real line, or a simulation.
#[derive(Debug, Clone, Copy)]
enum AnyKind {
    Real(LineKind),
    Simulated(Kind),
}

impl FromStr for AnyKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match LineKind::named(name) {
            Some(kind) => Ok(Self::Real(kind)),
            None => name.parse().map(Self::Simulated).map_err(|why| format!("{why}; or, with a real line, termux, modem or sip")),
        }
    }
}

impl fmt::Display for AnyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(kind) => f.write_str(kind.as_str()),
            Self::Simulated(kind) => kind.fmt(f),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (&arguments.command, &arguments.real.config, arguments.kind) {
        (Some(Command::Check { real, number, ring_seconds }), ..) => {
            start::log();
            let ring = Duration::from_secs(*ring_seconds);
            match start::check(config(real), number.as_deref(), ring, |line| println!("{line}")).await {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(why) => fail(&why.to_string()),
            }
        }
        (Some(Command::InstallBoot { real }), ..) => match start::install_boot(config(real)) {
            Ok(path) => {
                println!(
                    "{} starts the handset with the phone. Open the app Termux:Boot once, or Android does not run it.",
                    path.display()
                );
                ExitCode::SUCCESS
            }
            Err(why) => fail(&why.to_string()),
        },
        (None, Some(path), _) => run(Agent::read(path)).await,
        (None, None, AnyKind::Real(kind)) => run(Agent::new(kind, &arguments.url).checked()).await,
        (None, None, AnyKind::Simulated(kind)) => simulate(arguments, kind).await,
    }
}

/// The file that was named, or the usual one.
fn config(real: &Real) -> PathBuf {
    real.config.clone().unwrap_or_else(android_protocol::driver::config::usual_file)
}

async fn run(agent: Result<Agent, android_protocol::driver::config::ConfigError>) -> ExitCode {
    start::log();
    let started = async { start::run(&agent?, start::told_to_stop()).await };
    match started.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&start::StartError::to_string(&why)),
    }
}

async fn simulate(arguments: Arguments, kind: Kind) -> ExitCode {
    let people = match arguments.people.as_ref().map(read_people).transpose() {
        Ok(people) => people.unwrap_or_default(),
        Err(why) => return fail(&why),
    };
    let mut options = Options::new(kind, &arguments.url, people);
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
