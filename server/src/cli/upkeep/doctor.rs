//! `autocall doctor`: whether all is well with this installation, and what to do where it is not.

use std::process::ExitCode;

use clap::Args;

use crate::cli::Settings;
use crate::clock::Clock;
use crate::keep::doctor::{Examined, Grade, Seen, examine, refused, worst};

#[derive(Debug, Args)]
pub(in crate::cli) struct Doctor {
    /// Print it as JSON: `status`, and for each check what was found
    #[arg(long)]
    json: bool,
}

/// Fails where something is bad: what is only worth a look does not wake a watchman.
pub(in crate::cli) async fn run(doctor: Doctor, settings: Settings) -> ExitCode {
    let all = match settings.read() {
        Ok(loaded) => {
            let seen = Seen::look(settings.file, loaded, Clock::measured()).await;
            let all = examine(&seen).await;
            if let Ok(Some(looked)) = &seen.database {
                looked.store.close().await;
            }
            all
        }
        Err(error) => refused(&error),
    };
    let status = worst(&all);
    if doctor.json {
        println!("{:#}", serde_json::json!({ "status": status, "checks": all }));
    } else {
        print!("{}", told(&all));
    }
    if status == Grade::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A line for each finding, and one below it that says what to do.
fn told(all: &[Examined]) -> String {
    let mut text = String::new();
    for examined in all {
        for finding in &examined.findings {
            let grade = finding.grade.as_str();
            text += &format!("{grade:<5} {}: {}\n", examined.check, in_one_line(&finding.said));
            if let Some(todo) = &finding.todo {
                text += &format!("      -> {}\n", in_one_line(todo));
            }
        }
    }
    let count = |grade| all.iter().flat_map(|one| &one.findings).filter(|finding| finding.grade == grade).count();
    text + &format!("{} good, {} to look at, {} bad\n", count(Grade::Good), count(Grade::Warn), count(Grade::Bad))
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::doctor::Finding;

    #[test]
    fn each_finding_has_its_line_and_what_to_do_below() {
        let findings = vec![Finding::bad("it is\nfull", "make room"), Finding::good("it is there")];
        let text = told(&[Examined { check: "folder", findings }]);
        assert_eq!(
            text,
            "bad   folder: it is full\n      -> make room\ngood  folder: it is there\n1 good, 0 to look at, 1 bad\n"
        );
    }
}
