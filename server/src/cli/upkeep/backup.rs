//! `autocall backup`, `autocall restore` and `autocall move`: everything into one file, back from it, and from one database into another.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::cli::{agreed_clock, open, quoted};
use crate::clock::Clock;
use crate::config::{Config, SecretUrl};
use crate::engine::watch::backups::passphrase_in;
use crate::store::backup::file::{self, NewBackup, Written};
use crate::store::backup::lines::{Engine, Head};
use crate::store::backup::restoring::{Destination, Restored, restore as put};
use crate::store::backup::sealed::Passphrase;
use crate::store::backup::source::{self, Source};
use crate::store::backup::state::Success;
use crate::store::backup::{Contents, back_up, check, is_current};

/// The passphrase itself, for those who keep secrets in the environment.
const PASSPHRASE: &str = "AUTOCALL_BACKUP_PASSPHRASE";

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// Where to write it; with --check, what to read
    file: PathBuf,
    /// Encrypt it, with the passphrase of --passphrase-file, AUTOCALL_BACKUP_PASSPHRASE or backup.passphrase_file; where the last is set,
    /// it is encrypted in any case
    #[arg(long)]
    encrypt: bool,
    /// The file whose first line is the passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    overwrite: bool,
    /// Read a backup to its end, compare every checksum, and say what is in it
    #[arg(long, conflicts_with_all = ["encrypt", "overwrite"])]
    check: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// A backup
    file: PathBuf,
    /// The file whose first line is the passphrase [default: AUTOCALL_BACKUP_PASSPHRASE, or backup.passphrase_file]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Throw away what is there; the word is told by a restore without this
    #[arg(long, value_name = "WORD")]
    replace: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Move {
    /// Where to: postgres://user:password@host/name, or a folder for the embedded database
    #[arg(long, value_name = "ADDRESS", required_unless_present = "to_file")]
    to: Option<String>,
    /// The same, as the first line of a file: nobody sees the password in the list of processes
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    to_file: Option<PathBuf>,
    /// Throw away what is there; the word is told by a move without this
    #[arg(long, value_name = "WORD")]
    replace: Option<String>,
}

/// The passphrase that somebody named, as near as it was named.
fn passphrase(named: Option<&Path>, config: &Config) -> anyhow::Result<Option<Passphrase>> {
    if let Some(file) = named {
        return passphrase_in(file).map(Some).map_err(anyhow::Error::msg);
    }
    if let Ok(text) = std::env::var(PASSPHRASE) {
        let shortest = Passphrase::SHORTEST;
        let read = Passphrase::of(&text);
        return match read {
            Some(read) => Ok(Some(read)),
            None => bail!("{PASSPHRASE} is no passphrase: it must have at least {shortest} characters"),
        };
    }
    config.backup.passphrase_file.as_deref().map(passphrase_in).transpose().map_err(anyhow::Error::msg)
}

fn database(config: &Config) -> Option<&str> {
    config.database_url.as_ref().map(SecretUrl::expose)
}

pub(in crate::cli) async fn backup(asked: Backup, config: &Config) -> anyhow::Result<()> {
    if asked.check {
        let passphrase = if file::is_sealed(&asked.file)? { passphrase(asked.passphrase_file.as_deref(), config)? } else { None };
        tell_contents(&asked.file, &check(&asked.file, passphrase).await?);
        return Ok(());
    }
    let sealed = asked.encrypt || asked.passphrase_file.is_some() || config.backup.passphrase_file.is_some();
    let passphrase = if sealed { passphrase(asked.passphrase_file.as_deref(), config)? } else { None };
    if asked.encrypt && passphrase.is_none() {
        bail!("there is no passphrase: name its file with --passphrase-file, or set {PASSPHRASE} or backup.passphrase_file");
    }
    let now = Clock::system().now();
    let source = Source::open(database(config), &config.data_dir, false).await?;
    let to = NewBackup { path: asked.file.clone(), overwrite: asked.overwrite, passphrase };
    let written = back_up(source, to, now).await?;
    println!(
        "{} holds everything as of {}: {} rows of {} tables, {} bytes, {}",
        asked.file.display(),
        written.head.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
        written.rows(),
        written.tables.len(),
        written.bytes,
        if sealed { "encrypted" } else { "not encrypted" }
    );
    if let Err(error) = note(&asked.file, &written, config).await {
        eprintln!("note: the server does not know of this backup: {}", crate::cli::sentence(&error));
    }
    Ok(())
}

/// Has the server know of it, so that the age of the last one is right. A database of an earlier version is left as it is.
async fn note(file: &Path, written: &Written, config: &Config) -> anyhow::Result<()> {
    if !is_current(&written.head) {
        return Ok(());
    }
    let store = open(config).await?;
    let place = std::path::absolute(file)?.display().to_string();
    let (bytes, rows) = (i64::try_from(written.bytes)?, i64::try_from(written.rows())?);
    let noted = async {
        // By the clock of the server: this machine's may be wrong.
        let now = agreed_clock(&store).await?.now();
        let mut tx = store.begin().await?;
        tx.db().note_backup(&Success { made_at: written.head.made_at, place, bytes, rows }, now).await?;
        tx.commit().await?;
        anyhow::Ok(())
    };
    let noted = noted.await;
    store.close().await;
    noted
}

fn tell_contents(file: &Path, Contents { head, tables, sealed }: &Contents) {
    println!("{} is whole", file.display());
    println!("made      {} by autocall {}", head.made_at.format("%Y-%m-%d %H:%M:%S UTC"), head.program);
    println!("of        {}, from {}", name_of(head), head.engine.name());
    println!(
        "tables    as of {:04}{}",
        head.tables_of(),
        if is_current(head) { "" } else { ", brought up to date when it is restored" }
    );
    println!("encrypted {}", if *sealed { "yes" } else { "no" });
    for (table, rows) in tables.iter().filter(|(_, rows)| *rows > 0) {
        println!("{rows:>9} {table}");
    }
}

fn name_of(head: &Head) -> String {
    head.installation.map_or_else(|| "no installation yet".to_owned(), |installation| format!("installation {installation}"))
}

pub(in crate::cli) async fn restore(asked: Restore, config: &Config) -> anyhow::Result<()> {
    let passphrase = if file::is_sealed(&asked.file)? { passphrase(asked.passphrase_file.as_deref(), config)? } else { None };
    let to = Destination {
        database_url: database(config).map(str::to_owned),
        data_dir: config.data_dir.clone(),
        heeds_note: true,
        replace: asked.replace,
        keeps_sessions: false,
        what: asked.file.display().to_string(),
    };
    let done = put(&to, file::pour(asked.file, passphrase)).await?;
    println!(
        "restored {}: {} rows of {} tables as of {} are in {}, and were compared with the backup",
        name_of(&done.head),
        done.rows(),
        done.tables.len(),
        done.head.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
        done.place
    );
    println!("It is the same installation as the one that the backup is of: never let both run.");
    println!(
        "What was open then is open again, and phones will ring for it: cancel what is over before you let them reach the server."
    );
    println!("Everybody has to log in again. Keys and users that were taken away since then are back: look them through.");
    Ok(())
}

pub(in crate::cli) async fn move_to(asked: Move, config: &Config) -> anyhow::Result<()> {
    let address = match (asked.to, asked.to_file) {
        (Some(address), _) => address,
        (None, Some(file)) => {
            let text = String::from_utf8(crate::cli::read_file(&file)?);
            let text = text.map_err(|_| anyhow::anyhow!("{} is no text in UTF-8", file.display()))?;
            text.lines().next().unwrap_or_default().trim().to_owned()
        }
        (None, None) => bail!("say where to: --to postgres://user:password@host/name, or --to FOLDER"),
    };
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme));
    if address.is_empty() || (!is_postgres && address.contains("://")) {
        bail!("--to must be postgres://user:password@host/name, or a folder");
    }
    let source = Source::open(database(config), &config.data_dir, true).await?;
    let (from, held) = (source.place().to_owned(), source.held());
    let to = Destination {
        data_dir: if is_postgres { config.data_dir.clone() } else { PathBuf::from(&address) },
        database_url: is_postgres.then(|| address.clone()),
        // Its server is not there yet.
        heeds_note: false,
        replace: asked.replace,
        keeps_sessions: true,
        what: from.clone(),
    };
    let same = match (&to.database_url, database(config)) {
        (Some(to), Some(from)) => to == from,
        (None, None) => same_folder(&to.data_dir, &config.data_dir),
        _ => false,
    };
    if same {
        bail!("{from} is where the data is now: name another place");
    }
    let done = put(&to, source::pour(source, Clock::system().now())).await?;
    drop(held);
    tell_moved(&done, &from, &address, config);
    Ok(())
}

fn same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn tell_moved(done: &Restored, from: &str, address: &str, config: &Config) {
    println!(
        "{} rows of {} tables went from {from} to {}, and were counted and compared on both sides. {from} was not changed.",
        done.rows(),
        done.tables.len(),
        done.place
    );
    match done.engine {
        Engine::Postgres => println!(
            "Next: set database_url in the configuration file, or DATABASE_URL, to the address that you gave here, and start the server. It \
             notes in {} that it has moved; until then commands that are given the new address refuse.",
            config.data_dir.join("server.database").display()
        ),
        Engine::Sqlite => {
            println!("Next: take database_url and DATABASE_URL away, set data_dir = {}, and start the server.", quoted(address));
        }
    }
    println!(
        "It is the same installation in two places: never let a server run on the old one again. Keep that until you are content."
    );
}
