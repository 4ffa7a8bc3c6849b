//! `autocall user`: who may open the pages.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use crate::cli::open;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Doer;
use crate::ids::PersonId;
use crate::keep::users::{self, Login, Passwords};
use crate::store::access::users::Role;
use crate::store::{Store, Work};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum UserCommand {
    /// Let somebody open the pages; prints a password once unless one is given
    Add {
        /// What they log in with
        #[arg(long)]
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Their name in `autocall people list`, shown when they take an alarm
        #[arg(long)]
        person: Option<String>,
        /// A file whose first line is the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print all users
    List,
    /// Give a user a new password and log them out everywhere
    Passwd {
        /// What they log in with
        name: String,
        /// A file whose first line is the password; without it one is made and printed once
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Let a user do what another role may
    Role {
        /// What they log in with
        name: String,
        /// What they may do
        #[arg(value_enum)]
        role: RoleArg,
    },
    /// Shut a user out and log them out everywhere
    Disable {
        /// What they log in with
        name: String,
    },
    /// Let a disabled user in again
    Enable {
        /// What they log in with
        name: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum RoleArg {
    /// Changes handsets and people, and may do everything else
    Admin,
    /// Sees numbers, acknowledges, cancels, rings again
    Responder,
    /// Sees the pages, numbers masked
    Viewer,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Admin => Self::Admin,
            RoleArg::Responder => Self::Responder,
            RoleArg::Viewer => Self::Viewer,
        }
    }
}

pub(in crate::cli) async fn run(command: UserCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let done = dispatch(command, &store).await;
    store.close().await;
    done
}

async fn dispatch(command: UserCommand, store: &Store) -> anyhow::Result<()> {
    let passwords = Passwords::default();
    let now = Clock::system().now();
    match command {
        UserCommand::Add { name, role, person, password_file } => {
            let password = Password::choose(password_file)?;
            let person = match person {
                Some(person) => Some(find_person(store, &person).await?),
                None => None,
            };
            let login = Login::new(&passwords, &name, &password.text).await?;
            let add = async |work: &mut Work| users::add(work, login, role.into(), person).await;
            store.carry_out(now, Doer::CommandLine, add).await?;
            println!("{} may log in as {}", name.trim(), Role::from(role).as_str());
            password.tell();
        }
        UserCommand::List => list(store).await?,
        UserCommand::Passwd { name, password_file } => {
            let password = Password::choose(password_file)?;
            let user = users::find(&mut store.read().await?.db(), &name).await?.id;
            let hashed = passwords.hashed(&password.text).await?;
            let set = async |work: &mut Work| users::set_password(work, user, &hashed).await;
            store.carry_out(now, Doer::CommandLine, set).await?;
            println!("{name} has a new password and is logged out everywhere");
            password.tell();
        }
        UserCommand::Role { name, role } => {
            let set = async |work: &mut Work| users::set_role(work, &name, role.into()).await;
            store.carry_out(now, Doer::CommandLine, set).await?;
            println!("{name} is {} now", Role::from(role).as_str());
        }
        UserCommand::Disable { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| users::set_disabled(work, &name, true).await).await?;
            println!("{name} is shut out");
        }
        UserCommand::Enable { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| users::set_disabled(work, &name, false).await).await?;
            println!("{name} may log in again");
        }
    }
    Ok(())
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let users = store.read().await?.db().users().await?;
    if users.is_empty() {
        println!("no user yet: autocall user add --name you --role admin");
    }
    for user in users {
        let state = if user.disabled_at.is_some() { "disabled" } else { "may log in" };
        println!("{}\t{}\t{state}", user.name, user.role.as_str());
    }
    Ok(())
}

async fn find_person(store: &Store, name: &str) -> anyhow::Result<PersonId> {
    let people = store.read().await?.db().people().await?;
    let found = people.into_iter().find(|(person, _)| person.name == name.trim());
    found.map(|(person, _)| person.id).with_context(|| format!("there is no person {name:?}: `autocall people list` shows them"))
}

/// A password, and whether it was made here, so that somebody must be told.
struct Password {
    text: String,
    made_here: bool,
}

impl Password {
    fn choose(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self { text: users::new_password(), made_here: true }) };
        let text = std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Self { text: line.to_owned(), made_here: false }),
            _ => bail!("the first line of {} is empty", file.display()),
        }
    }

    fn tell(&self) {
        if self.made_here {
            println!("Password, shown only once: {}", self.text);
        }
    }
}
