//! `autocall user`: who may open the pages.

use std::path::PathBuf;

use anyhow::{Context, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Subcommand, ValueEnum};

use crate::cli::open;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Doer;
use crate::ids::PersonId;
use crate::keep::users::{self, Login, Passwords, second_factor, sessions, teams};
use crate::rights::roles::{Role, TeamRole};
use crate::store::{Store, Work};
use crate::versions::Expected;

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
    /// Let a user do what another role may: everywhere, or for one team beside that
    Role {
        /// What they log in with
        name: String,
        /// What they may do; for a team: responder, lead or none
        #[arg(value_enum)]
        role: GivenRole,
        /// For this team alone; what they may everywhere stays
        #[arg(long)]
        team: Option<String>,
    },
    /// Print where a user is logged in, or end that
    Sessions {
        /// What they log in with
        name: String,
        /// End the session with this id
        #[arg(long, value_name = "ID", conflicts_with = "end_all")]
        end: Option<String>,
        /// End all of them
        #[arg(long)]
        end_all: bool,
    },
    /// Take the second factor away from somebody who has lost their phone, and log them out everywhere
    ResetSecondFactor {
        /// What they log in with
        name: String,
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

/// A role as it is given: everywhere, or for a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum GivenRole {
    /// Everywhere: changes handsets and people, and may do everything else
    Admin,
    /// Sees numbers, acknowledges, cancels, rings again: everywhere, or the alarms of a team
    Responder,
    /// Everywhere: sees the pages, numbers masked
    Viewer,
    /// For a team: as a responder, and changes its schedules
    Lead,
    /// For a team: nothing more than everywhere
    None,
}

impl GivenRole {
    /// What it is everywhere.
    fn everywhere(self) -> anyhow::Result<Role> {
        match self {
            Self::Admin => Ok(Role::Admin),
            Self::Responder => Ok(Role::Responder),
            Self::Viewer => Ok(Role::Viewer),
            Self::Lead | Self::None => bail!("this is a role for a team: say which with --team"),
        }
    }

    /// What it is for a team.
    fn for_team(self) -> anyhow::Result<Option<TeamRole>> {
        match self {
            Self::Responder => Ok(Some(TeamRole::Responder)),
            Self::Lead => Ok(Some(TeamRole::Lead)),
            Self::None => Ok(None),
            Self::Admin | Self::Viewer => bail!("for a team alone somebody is responder or lead, or none of both"),
        }
    }
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
        UserCommand::Role { name, role, team: None } => {
            let role = role.everywhere()?;
            store.carry_out(now, Doer::CommandLine, async |work| users::set_role(work, &name, role).await).await?;
            println!("{name} is {} now", role.as_str());
        }
        UserCommand::Role { name, role, team: Some(team) } => {
            let role = role.for_team()?;
            let set = async |work: &mut Work| teams::set_role(work, &name, &team, role).await;
            store.carry_out(now, Doer::CommandLine, set).await?;
            match role {
                Some(role) => println!("{name} is {} for {team} now", role.as_str()),
                None => println!("{name} may for {team} what they may everywhere"),
            }
        }
        UserCommand::Sessions { name, end: Some(id), .. } => {
            store
                .carry_out(now, Doer::CommandLine, async |work| sessions::end(work, &name, &id, &Expected::Anything).await)
                .await?;
            println!("the session is over");
        }
        UserCommand::Sessions { name, end: None, end_all: true } => {
            let end = async |work: &mut Work| sessions::end_all(work, &name, None).await;
            let ended = store.carry_out(now, Doer::CommandLine, end).await?;
            println!("{name} is logged out everywhere: {ended} sessions were ended");
        }
        UserCommand::Sessions { name, .. } => print_sessions(store, &name, now).await?,
        UserCommand::ResetSecondFactor { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| second_factor::reset(work, &name).await).await?;
            println!("{name} logs in with their password alone, and is logged out everywhere");
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
    let (users, team_roles, with_factor) = {
        let mut reader = store.read().await?;
        let mut db = reader.db();
        (db.users().await?, db.team_roles().await?, db.users_with_second_factor().await?)
    };
    if users.is_empty() {
        println!("no user yet: autocall user add --name you --role admin");
    }
    for user in users {
        let state = if user.disabled_at.is_some() { "disabled" } else { "may log in" };
        let own = team_roles.iter().filter(|own| own.user_id == user.id);
        let mut line = format!("{}\t{}\t{state}", user.name, user.role.as_str());
        for own in own {
            line.push_str(&format!("\t{}: {}", own.team, own.role.as_str()));
        }
        if with_factor.contains(&user.id) {
            line.push_str("\tsecond factor");
        }
        println!("{line}");
    }
    Ok(())
}

async fn print_sessions(store: &Store, name: &str, now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut reader = store.read().await?;
    let user = users::find(&mut reader.db(), name).await?;
    let all = sessions::of(&mut reader.db(), &user, now).await?;
    if all.is_empty() {
        println!("{name} is logged in nowhere");
    }
    for own in all {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (address, browser) = (own.row.address.as_deref().unwrap_or("-"), own.row.browser.as_deref().unwrap_or("-"));
        let (since, used) = (instant(own.row.created_at), instant(own.row.last_used_at));
        println!("{}\tsince {since}\tused {used}\t{address}\t{browser}", own.id);
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
