//! The command line: what each command reads and prints.
#![expect(
    clippy::doc_markdown,
    reason = "what is written above commands and options is their help, which shows marks as they are"
)]

mod alarm;
mod coming;
mod demo;
mod first_steps;
pub mod keep;
mod labels;
mod phonecalls;
mod records;
mod report;
mod roster;
mod roster_change;
mod roster_words;
mod send;
mod serve;
mod swap;
mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, ConfigError, Loaded, Overrides, SecretUrl};
use crate::engine::Engine;
use crate::http::problem::Problem;
use crate::keep::refused::Refused;
use crate::links::{self, Links};
use crate::lock::Locks;
use crate::store::Store;
use crate::telemetry::Metrics;

/// On-call phone alerting: an Android phone with a SIM card rings people until somebody answers.
#[derive(Debug, Parser)]
#[command(name = "autocall", version, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file (TOML); every key also has an environment variable, see docs/configuration.md
    #[arg(long, global = true, env = "AUTOCALL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the embedded database [default: ./autocall-data, or AUTOCALL_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Address and port to listen on [default: 0.0.0.0:8080, or AUTOCALL_LISTEN]
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Option<SocketAddr>,
    },
    /// Show it all: a real server in a temporary folder, simulated handsets, real alarms
    Demo(demo::Demo),
    /// Bring the database tables up to date and stop
    Migrate,
    /// Write everything into one file while the server runs, or look whether such a file is whole
    Backup(upkeep::backup::Backup),
    /// Make a database from a backup, whichever kind of database that was made of
    Restore(upkeep::backup::Restore),
    /// Move everything into another database, from SQLite to Postgres or back, and compare it there
    Move(upkeep::backup::Move),
    /// Forget alarms that ended long ago
    Prune(upkeep::prune::Prune),
    /// Look whether all is well: each line is good, or says what to do; fails if something is bad
    Doctor(upkeep::doctor::Doctor),
    /// Test the installation that this one watches, stage by stage; and say who may test this one
    Monitor(upkeep::monitor::Monitor),
    /// Print what a shell needs to complete commands and options
    Completions(upkeep::manual::Completions),
    /// Write the manual as man pages into a folder
    Man(upkeep::manual::Man),
    /// Who changed what, the latest first
    Audit(upkeep::audit::Audit),
    /// People and their numbers
    #[command(subcommand)]
    People(keep::people::PeopleCommand),
    /// Escalation policies: whom to ring, and whom next
    #[command(subcommand)]
    Policy(keep::policy::PolicyCommand),
    /// When people are left in peace by alarms that can wait
    QuietHours(keep::quiet_hours::QuietHours),
    /// Numbers that are never rung
    #[command(subcommand)]
    DoNotCall(keep::do_not_call::DoNotCallCommand),
    /// Who is on duty
    #[command(subcommand)]
    Roster(roster::RosterCommand),
    /// Swaps: somebody asks another to take a shift
    #[command(subcommand)]
    Swap(swap::SwapCommand),
    /// Alarms, and what people do about them
    #[command(subcommand)]
    Alarm(alarm::AlarmCommand),
    /// Raise an alarm from a script or a cron job, or end it
    Send(send::Send),
    /// Keys of senders of alarms
    #[command(subcommand)]
    Key(keep::key::KeyCommand),
    /// Chat rooms and programs that are told what happens
    #[command(subcommand)]
    Webhook(keep::webhook::WebhookCommand),
    /// Senders that have to say regularly that they live
    #[command(subcommand)]
    Heartbeat(keep::heartbeat::HeartbeatCommand),
    /// Times in which matching alarms are not rung
    #[command(subcommand)]
    Maintenance(keep::maintenance::MaintenanceCommand),
    /// Public numbers that follow the person on duty
    #[command(subcommand)]
    Line(keep::line::LineCommand),
    /// Figures of some months: alarms, calls, answers and time on duty
    Report(report::Report),
    /// Detail records of shouts: one message to many people
    Records(records::Records),
    /// Lists of calls: those of a PBX in, our own out
    #[command(subcommand)]
    Phonecalls(phonecalls::PhonecallsCommand),
    /// Ways to send text messages
    #[command(subcommand)]
    Gateway(keep::gateway::GatewayCommand),
    /// Phones that ring people
    #[command(subcommand)]
    Handset(keep::handset::HandsetCommand),
    /// Sound that calls play
    #[command(subcommand)]
    Media(keep::media::MediaCommand),
    /// Who may open the pages
    #[command(subcommand)]
    User(keep::user::UserCommand),
    /// Write people, roster, policies and rules into one file, for version control or another server
    Export(coming::Export),
    /// Make people, roster, policies and rules what a file says: shows what would change, and asks
    Apply(coming::Apply),
    /// Come over from another product, with what its API lists: shows what would change, and asks
    Import(coming::Import),
}

/// Longest that work which nobody waits for any more may keep the process: it is asked to stop when its time is up, not when the process ends.
const LAST_WORK: Duration = Duration::from_millis(500);

/// The program: parses the command line, runs it, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("autocall: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LAST_WORK);
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("autocall: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// Runs what the command line says.
///
/// # Errors
/// A sentence for whoever typed it.
async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::Send(send) = cli.command {
        // The configuration is that of a server, which may be elsewhere.
        return Ok(send::run(send).await);
    }
    // So is the manual for any.
    match &cli.command {
        Command::Completions(shell) => return upkeep::manual::completions(shell).map(|()| ExitCode::SUCCESS),
        Command::Man(man) => return upkeep::manual::man(man).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    let listen = match &cli.command {
        Command::Serve { listen } => *listen,
        _ => None,
    };
    crate::net::tls::install_provider();
    let settings = Settings { file: cli.config, overrides: Overrides { listen, data_dir: cli.data_dir } };
    if let Command::Doctor(doctor) = cli.command {
        // A configuration that is refused is what it tells.
        return Ok(upkeep::doctor::run(doctor, settings).await);
    }
    let loaded = settings.read()?;
    if let Command::Monitor(monitor) = cli.command {
        return upkeep::monitor::run(monitor, &loaded.config).await;
    }
    match cli.command {
        Command::Serve { .. } => serve::serve(settings, loaded).await,
        Command::Demo(demo) => demo::run(demo).await,
        Command::Migrate => migrate(&loaded).await,
        Command::Backup(asked) => upkeep::backup::backup(asked, &loaded.config).await,
        Command::Restore(asked) => upkeep::backup::restore(asked, &loaded.config).await,
        Command::Move(asked) => upkeep::backup::move_to(asked, &loaded.config).await,
        Command::Prune(prune) => upkeep::prune::run(prune, &loaded.config).await,
        Command::Audit(audit) => upkeep::audit::run(audit, &loaded.config).await,
        Command::People(command) => keep::people::run(command, &loaded.config).await,
        Command::Alarm(command) => alarm::run(command, &loaded.config).await,
        Command::Policy(command) => keep::policy::run(command, &loaded.config).await,
        Command::QuietHours(command) => keep::quiet_hours::run(command, &loaded.config).await,
        Command::DoNotCall(command) => keep::do_not_call::run(command, &loaded.config).await,
        Command::Roster(command) => roster::run(command, &loaded.config).await,
        Command::Swap(command) => swap::run(command, &loaded.config).await,
        Command::Webhook(command) => keep::webhook::run(command, &loaded.config).await,
        Command::Heartbeat(command) => keep::heartbeat::run(command, &loaded.config).await,
        Command::Maintenance(command) => keep::maintenance::run(command, &loaded.config).await,
        Command::Line(command) => keep::line::run(command, &loaded.config).await,
        Command::Gateway(command) => keep::gateway::run(command, &loaded.config).await,
        Command::Phonecalls(command) => phonecalls::run(command, &loaded.config).await,
        Command::Report(report) => report::run(report, &loaded.config).await,
        Command::Records(records) => records::run(records, &loaded.config).await,
        Command::Send(_) | Command::Doctor(_) | Command::Monitor(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
        Command::Key(command) => keep::key::run(command, &loaded.config).await,
        Command::Handset(command) => keep::handset::run(command, &loaded.config).await,
        Command::Media(command) => keep::media::run(command, &loaded.config).await,
        Command::User(command) => keep::user::run(command, &loaded.config).await,
        Command::Export(export) => coming::export(export, &loaded.config).await,
        Command::Apply(apply) => coming::apply(apply, &loaded.config).await,
        Command::Import(import) => coming::import(import, &loaded.config).await,
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Where the settings of this process come from, beside its environment.
struct Settings {
    file: Option<PathBuf>,
    overrides: Overrides,
}

impl Settings {
    /// Reads and checks them.
    fn read(&self) -> Result<Loaded, ConfigError> {
        let mut loaded = Config::load(self.file.as_deref(), |name| std::env::var(name).ok(), self.overrides.clone())?;
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        loaded.warnings.extend(crate::config::unknown_variables(names));
        Ok(loaded)
    }
}

/// An error with its causes, each told once: many already repeat what caused them.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// A file that somebody names, or what they type.
fn read_file(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).map(String::into_bytes).context("standard input cannot be read");
    }
    std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What operators' things refuse, as a sentence for the terminal.
fn refused_plainly(refused: Refused) -> anyhow::Error {
    anyhow::anyhow!(refused.sentence())
}

/// A problem that the API would report, as a sentence for the terminal.
fn plainly(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!(problem.sentence())
}

async fn migrate(loaded: &Loaded) -> anyhow::Result<()> {
    let store = open(&loaded.config).await?;
    store.close().await;
    println!("the database tables are up to date");
    Ok(())
}

/// Longest from the first request to stop to the end of the process, whatever runs. Service managers kill after ten seconds or more.
const STOP_WITHIN: Duration = Duration::from_millis(9_500);

/// Cancels `stop` when the system or somebody at the terminal asks this process to end, and ends it when that takes too long.
///
/// The signals are heard on a thread of its own: when all others are busy, this one is not. `server`: what reads its configuration anew
/// at a hang-up.
fn stop_when_asked(stop: &CancellationToken, server: Option<upkeep::reload::Reload>) -> anyhow::Result<()> {
    let stop = stop.clone();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let listen = move || {
        let hear = || -> std::io::Result<_> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let guard = runtime.enter();
            let stopping = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()].map(signal);
            // Without somebody who hears them, these would end the process at once. A terminal that closes and scripts that rotate logs
            // send them, and must not stop a server that wakes people.
            let others = [SignalKind::hangup(), SignalKind::user_defined1(), SignalKind::user_defined2()].map(signal);
            drop(guard);
            Ok((runtime, stopping, others))
        };
        let heard = hear().and_then(|(runtime, [interrupt, terminate, quit], [hang_up, user_one, user_two])| {
            Ok((runtime, (interrupt?, terminate?, quit?), (hang_up?, user_one?, user_two?)))
        });
        let (runtime, (mut interrupt, mut terminate, mut quit), (mut hang_up, mut user_one, mut user_two)) = match heard {
            Ok(hearing) => {
                // Whoever waits for it may have given up.
                let _ = ready.send(Ok(()));
                hearing
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        runtime.block_on(async move {
            loop {
                let heard = tokio::select! {
                    _ = interrupt.recv() => break,
                    _ = terminate.recv() => break,
                    _ = quit.recv() => break,
                    _ = hang_up.recv() => match &server {
                        Some(server) => {
                            server.hang_up();
                            continue;
                        }
                        None => "SIGHUP",
                    },
                    _ = user_one.recv() => "SIGUSR1",
                    _ = user_two.recv() => "SIGUSR2",
                };
                tracing::info!(
                    "{heard} changes nothing: SIGHUP reads the configuration anew, and the log goes to standard error"
                );
            }
            tracing::info!("stopping");
            stop.cancel();
            tokio::time::sleep(STOP_WITHIN).await;
            tracing::warn!("some work did not end in time and was left undone");
            std::process::exit(0);
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
    Ok(is_ready.recv()??)
}

/// Takes one of these values, by its word.
fn one_of<T: Copy + Send + Sync + 'static>(all: &'static [T], word: fn(T) -> &'static str) -> impl TypedValueParser<Value = T> {
    let words = PossibleValuesParser::new(all.iter().map(|one| word(*one)));
    words.try_map(move |given| all.iter().copied().find(|one| word(*one) == given).ok_or("there is no such word"))
}

/// A text as it must be typed in a shell.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The database, beside a server that may be running on it.
async fn open(config: &Config) -> anyhow::Result<Store> {
    let database = config.database_url.as_ref().map(SecretUrl::expose);
    Ok(Store::open_beside_server(database, &config.data_dir).await?)
}

/// An engine beside the server's, for commands that change what the engine keeps.
async fn engine(config: &Config) -> anyhow::Result<Engine> {
    let store = open(config).await?;
    let clock = agreed_clock(&store).await?;
    let links = Links::new(store.signing_key(links::SECRET).await?);
    Ok(Engine::new(store, Locks::local(), clock, Arc::new(config.clone()), Arc::new(Metrics::new()), links))
}

/// A clock that agrees with the server's: what a command writes down must fit what the server does.
async fn agreed_clock(store: &Store) -> anyhow::Result<Clock> {
    let clock = Clock::measured();
    let asked = std::time::Instant::now();
    match store.database_time().await? {
        Some(theirs) => {
            _ = clock.measure(theirs, asked);
        }
        None => {
            if let Some(latest) = store.read().await?.db().latest_event_at().await? {
                clock.begin_not_before(latest);
            }
        }
    }
    Ok(clock)
}
