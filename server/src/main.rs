//! Parses the command line, runs it, and gives the exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Longest that work which nobody waits for any more may keep the process: it is asked to stop when its time is up, not when the process ends.
const LAST_WORK: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = autocall::cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("autocall: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(autocall::cli::run(cli));
    runtime.shutdown_timeout(LAST_WORK);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autocall: {}", autocall::cli::sentence(&error));
            ExitCode::FAILURE
        }
    }
}
