//! `autocall completions` and `autocall man`: what shells and manuals know of the command line, made of its own description.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;

#[derive(Debug, Args)]
pub(in crate::cli) struct Completions {
    /// For which shell; write it where that shell looks, such as /usr/share/bash-completion/completions/autocall
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Man {
    /// Folder for the pages: one for each command, autocall-COMMAND.1
    dir: PathBuf,
}

/// To standard output.
pub(in crate::cli) fn completions(completions: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "autocall", &mut script);
    std::io::stdout().write_all(&script).context("the completions cannot be written")
}

/// A page for each command, into a folder that is made if missing.
pub(in crate::cli) fn man(man: &Man) -> anyhow::Result<()> {
    let cannot = || format!("the pages cannot be written into {}", man.dir.display());
    fs::create_dir_all(&man.dir).with_context(cannot)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    pages_of(command, "autocall", &mut pages)?;
    for (name, page) in &pages {
        fs::write(man.dir.join(format!("{name}.1")), page).with_context(cannot)?;
    }
    println!("{} pages are in {}", pages.len(), man.dir.display());
    Ok(())
}

/// Those of a command and of all below it, each with its name.
fn pages_of(command: clap::Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        pages_of(below.clone(), &format!("{name}-{}", below.get_name()), pages)?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).title(name.to_uppercase()).render(&mut page)?;
    pages.push((name.to_owned(), page));
    Ok(())
}
