//! `handset`: a simulated handset in the terminal, against a real server.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use android_protocol::{
    agent::{Ending, Kind, Options, run_and_tell},
    phone::People,
};
use clap::Parser;

/// A simulated handset: the native protocol, or any build of the app with every fault it has.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
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

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
    let shutdown = async {
        // Without a signal handler the terminal ends the process anyway.
        let _ = tokio::signal::ctrl_c().await;
    };
    match run_and_tell(options, shutdown, |at, line| println!("{:>8.1}  {line}", at.as_secs_f64())).await {
        Ok(Ending::Died(_)) => ExitCode::from(2),
        Ok(Ending::Shutdown | Ending::Once) => ExitCode::SUCCESS,
        Err(why) => fail(&why.to_string()),
    }
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
