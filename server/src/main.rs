//! Parses the command line, runs it, and gives the exit code.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match autocall::cli::run(autocall::cli::Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autocall: {}", autocall::cli::sentence(&error));
            ExitCode::FAILURE
        }
    }
}
