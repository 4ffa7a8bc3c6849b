//! `autocall report`: figures of some months.

use clap::Args;

use super::engine;
use crate::api::reports::ReportJson;
use crate::config::Config;
use crate::reports::report::{COLUMNS, Wanted, cells};

#[derive(Debug, Args)]
pub(super) struct Report {
    /// The first month, such as 2026-11 [default: the last one given, or this month]
    #[arg(long, value_name = "MONTH")]
    from: Option<String>,
    /// The last month [default: the first one]
    #[arg(long, value_name = "MONTH")]
    to: Option<String>,
    /// What its lines are: day, month, team, policy, source or person
    #[arg(long, value_name = "WHAT", default_value = "month")]
    by: String,
    /// Only this team and its people, for lines by team or by person
    #[arg(long)]
    team: Option<String>,
    /// Write CSV, for spreadsheets
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write JSON, as the API does
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(report: Report, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    let (by, team) = (Some(report.by.as_str()), report.team.as_deref());
    let found = engine.report_of(Wanted { by, from: report.from.as_deref(), to: report.to.as_deref(), team }).await?;
    if report.csv {
        print!("{}", found.csv(str::to_owned));
    } else if report.json {
        println!("{}", serde_json::to_string_pretty(&ReportJson::of(&found))?);
    } else {
        match found.known_from {
            None => eprintln!("nothing was counted yet"),
            Some(day) if day > found.asked.from => {
                eprintln!("figures are known from {day} on: what was before is not shown as zero");
            }
            Some(_) => {}
        }
        if found.counting {
            eprintln!("some alarms are still being counted: figures may grow");
        }
        for line in &found.lines {
            let cells = cells(line, "(none)", "(removed)");
            let Some(subject) = cells.first() else { continue };
            println!("{subject}");
            if line.figures.is_none() {
                println!("  not known");
                continue;
            }
            // The name stands above, and that it is known goes without saying.
            for (name, cell) in COLUMNS.iter().zip(&cells).skip(2) {
                if *name != "known" && !cell.is_empty() && cell != "0" && cell != "0.0" {
                    println!("  {}: {cell}", name.replace('_', " "));
                }
            }
        }
    }
    engine.store.close().await;
    Ok(())
}
