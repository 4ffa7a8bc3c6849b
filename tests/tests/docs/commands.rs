//! `docs/commands.md`: what every command says of itself. Whoever changes the command line sees it there, and users have it in one page.

use std::{fs, process::Command};

use autocall_tests::{provided_by_run, server::forget_own_settings};

use crate::root;

const HEAD: &str = "# Commands\n\nWhat `autocall COMMAND --help` says, for every command. Made from the program: do not write here. \
                    What stands in an environment variable instead is in [Configuration](configuration.md).\n";

/// What a command says of itself.
fn help(command: &[String]) -> String {
    let mut program = Command::new(provided_by_run("AUTOCALL_BIN"));
    forget_own_settings(|name| {
        program.env_remove(name);
    });
    let output = program.args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands below one, as its help lists them.
fn below(help: &str) -> Vec<String> {
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

fn write(command: &[String], page: &mut String) {
    let help = help(command);
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let name = std::iter::once("autocall".to_owned()).chain(command.iter().cloned()).collect::<Vec<_>>().join(" ");
    *page += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    for one in below(&help) {
        write(&[command, &[one]].concat(), page);
    }
}

#[test]
fn every_command_is_in_the_page() {
    let mut page = HEAD.to_owned();
    write(&[], &mut page);
    assert!(page.matches("\n## ").count() > 50, "{page}");
    let file = root().join("docs/commands.md");
    if std::env::var_os("UPDATE_COMMANDS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == page, "docs/commands.md differs from the program: run with UPDATE_COMMANDS=1 and look at the difference");
}
