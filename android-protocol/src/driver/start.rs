//! Starts a handset as its configuration says.

use std::{
    future::Future,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;

use super::{
    config::{Agent, ConfigError, LineKind},
    drive,
    journal::JournalError,
    line::Line,
    scribe::{Scribe, journal_of},
};
use crate::{
    modem::line::{ModemLine, check as modem_check},
    native::NativeSettings,
    termux::{
        boot,
        check::{self, Grade},
        line::TermuxLine,
    },
};

/// Why it could not begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The journal.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The script could not be written.
    #[error("the start script cannot be written: {0}")]
    Boot(#[from] io::Error),
    /// Not on a phone.
    #[error("there is no home folder: run this in Termux on the phone")]
    NoHome,
}

/// Writes the log to the terminal: what happens, and with `RUST_LOG` more or less of it. The SIP library has no say: it logs whole messages,
/// and with them digests of the password.
pub fn log() {
    use tracing_subscriber::{
        EnvFilter, Layer,
        filter::{FilterFn, LevelFilter},
        layer::SubscriberExt,
        util::SubscriberInitExt,
    };
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let ours = FilterFn::new(|line| !line.target().starts_with("rsipstack"));
    let format =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(io::stderr().is_terminal());
    // An error means that somebody else writes the log already.
    let _ = tracing_subscriber::registry().with(filter).with(format.with_filter(ours)).try_init();
}

/// Completes when the process is told to end.
pub async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Runs until `shutdown` completes.
///
/// # Errors
///
/// Only before anything is sent.
pub async fn run(agent: &Agent, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let state_dir = agent.state_dir();
    let (scribe, past) = Scribe::open(&state_dir)?;
    let client = agent.client()?;
    let settings = NativeSettings::new(&agent.server);
    tracing::info!("the handset begins; its journal is {}", journal_of(&state_dir).display());
    match agent.kind {
        LineKind::Termux => {
            let line = TermuxLine::new(agent.termux.clone(), &state_dir);
            line.begin().await;
            drive(Arc::new(line), scribe, past, settings, client, shutdown).await;
        }
        LineKind::Modem => {
            let line = modem(agent)?;
            drive(Arc::new(line), scribe, past, settings, client, shutdown).await;
        }
        #[cfg(feature = "sip")]
        LineKind::Sip => {
            let settings = crate::sip::config::Settings::of(agent)?;
            let tell = |line: &str| tracing::info!("{line}");
            crate::sip::agent::run(settings, (scribe, past), client, shutdown, tell).await;
        }
        #[cfg(not(feature = "sip"))]
        LineKind::Sip => {}
    }
    tracing::info!("the handset ends");
    Ok(())
}

/// The modem of a configuration.
fn modem(agent: &Agent) -> Result<ModemLine, StartError> {
    let settings = agent.modem.clone().ok_or_else(|| ("agent.modem", "is wanted".to_owned()));
    let line = settings.and_then(|settings| ModemLine::start(settings, agent.state_dir()));
    line.map_err(|(key, why)| StartError::Config(ConfigError::Value { path: None, key, why }))
}

/// Looks at everything a handset needs, and tells it line by line; true if nothing is missing.
///
/// # Errors
///
/// If the configuration cannot be read, or a handset runs whose line would have to be used: both would dial.
pub async fn check(config: PathBuf, call: Option<&str>, ring: Duration, mut tell: impl FnMut(&str)) -> Result<bool, StartError> {
    let agent = Agent::read(&config)?;
    let client = agent.client()?;
    // Held until the end: whoever has the journal has the line. A phone can be looked at without its line.
    let _line = match Scribe::open(&agent.state_dir()) {
        Ok((scribe, _)) => Some(scribe),
        Err(JournalError::InUse { .. }) if agent.kind == LineKind::Termux && call.is_none() => None,
        Err(why) => return Err(why.into()),
    };
    let mut good = true;
    match agent.kind {
        #[cfg(feature = "sip")]
        LineKind::Sip => {
            tell(&format!("ok    configuration: {}", config.display()));
            good = crate::sip::check::check(
                &crate::sip::config::Settings::of(&agent)?,
                client,
                call.map(|number| (number, ring)),
                &mut tell,
            )
            .await;
        }
        #[cfg(not(feature = "sip"))]
        LineKind::Sip => {}
        LineKind::Termux => {
            let line = TermuxLine::new(agent.termux.clone(), &agent.state_dir());
            let mut found = check::phone(&line).await;
            found.push(check::server(&client, &agent.server, &line.status().await).await);
            for finding in &found {
                tell(&finding.to_string());
            }
            good &= found.iter().all(|finding| finding.grade != Grade::Bad);
            if let Some(number) = call.filter(|_| good) {
                let finding = check::call(&line, number, ring, &mut tell).await;
                tell(&finding.to_string());
                good &= finding.grade == Grade::Good;
            }
        }
        LineKind::Modem => {
            let line = modem(&agent)?;
            let mut found = modem_check::modem(&line).await;
            found.push(check::server(&client, &agent.server, &line.status().await).await);
            for finding in &found {
                tell(&finding.to_string());
            }
            good &= found.iter().all(|finding| finding.grade != Grade::Bad);
            if let Some(number) = call.filter(|_| good) {
                let finding = modem_check::call(&line, number, ring, &mut tell).await;
                tell(&finding.to_string());
                good &= finding.grade == Grade::Good;
            }
        }
    }
    Ok(good)
}

/// Makes the phone start this program with this configuration; where the script is.
///
/// # Errors
///
/// If the configuration cannot be used, or the script cannot be written.
pub fn install_boot(config: PathBuf) -> Result<PathBuf, StartError> {
    Agent::read(&config)?;
    let home = PathBuf::from(std::env::var_os("HOME").ok_or(StartError::NoHome)?);
    let shell = std::env::var_os("PREFIX").map_or_else(|| PathBuf::from("/bin/sh"), |prefix| Path::new(&prefix).join("bin/sh"));
    Ok(boot::install(&home, &shell, &std::env::current_exe()?, &config.canonicalize()?)?)
}
