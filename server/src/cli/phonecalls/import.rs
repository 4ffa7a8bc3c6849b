//! `autocall phonecalls import`: calls from a list of another system, once or for as long as it grows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::TimeDelta;
use chrono_tz::Tz;
use clap::Args;
use futures_util::StreamExt;

use super::bar::Bar;
use super::place::{self, Place};
use crate::audit::{Line, Operation};
use crate::call_log::reading::Rule;
use crate::call_log::rows::{Layout, Told, whole_records};
use crate::cli::keep::key::Reading;
use crate::cli::{agreed_clock, open, refused_plainly};
use crate::clock::Clock;
use crate::config::{Config, UnknownNumber};
use crate::engine::Doer;
use crate::keep::keys::KeyError;
use crate::keep::phone_calls::import::{AT_ONCE, Importer, LineRefused, Portion};
use crate::keep::phone_calls::reread::rule;
use crate::numbers::Region;
use crate::store::Store;
use crate::store::access::keys::KeyRow;
use crate::store::elsewhere::Elsewhere;

/// So much of a file is read at a time.
const READ_AT_ONCE: u64 = 256 * 1024;
/// The first record of a file ends within so much.
const MOST_HEAD: u64 = 64 * 1024;
/// Whoever watches looks so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// And so often where it does not get on: the file is not there, or the database is away.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// So many refusals are printed; a file takes all of them.
const MOST_PRINTED: u64 = 20;
/// Between two transactions others get at the embedded database: a quarter of the time, and no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// With these bytes a file of SQLite's begins.
const SQLITE_HEAD: &[u8; 16] = b"SQLite format 3\0";

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// Master.csv, another CSV, a file of SQLite's, or postgres://USER:PASSWORD@HOST/NAME
    #[arg(env = "PHONECALLS_FROM", hide_env_values = true)]
    from: String,
    /// Read the calls as those of this key, and keep them as if it had told of them
    #[arg(long, conflicts_with_all = ["region", "zone", "area_code", "z_is_local"])]
    key: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// Which column of the list tells what, such as initiated=calldate,duration=billsec
    #[arg(long, value_delimiter = ',', value_name = "WHAT=COLUMN")]
    columns: Vec<String>,
    /// What stands between two columns of a CSV
    #[arg(long, default_value = ",", value_name = "CHARACTER")]
    separator: char,
    /// The table of a database
    #[arg(long, default_value = "cdr", value_name = "NAME")]
    table: String,
    /// Only calls of the last so many days; of a database
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Where more is to be read, with {COLUMN} for a column, such as https://pbx/recordings/{uniqueid}
    #[arg(long, value_name = "ADDRESS")]
    url: Option<String>,
    /// Go on with what is written to the file, also when it is rotated, and where the last time ended
    #[arg(long)]
    watch: bool,
    /// Write every line that is refused into this file, and why
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

/// What became of it all.
#[derive(Default)]
struct Sum {
    new: u64,
    known: u64,
    too_old: u64,
    refused: u64,
    reasons: BTreeMap<String, u64>,
}

/// An import that goes on.
struct Running {
    store: Store,
    clock: Clock,
    importer: Importer,
    own: (Region, Tz),
    keep_days: u32,
    named: Vec<(String, String)>,
    url: Option<String>,
    separator: u8,
    bar: Bar,
    sum: Sum,
    refused: Option<BufWriter<File>>,
}

pub(super) async fn run(import: Import, config: &Config) -> anyhow::Result<()> {
    let named = import.columns.iter().map(|pair| match pair.split_once('=') {
        Some((what, column)) => Ok((what.trim().to_owned(), column.trim().to_owned())),
        None => anyhow::bail!("--columns {pair}: write WHAT=COLUMN, such as initiated=calldate"),
    });
    let named = named.collect::<anyhow::Result<Vec<_>>>()?;
    let separator = u8::try_from(import.separator).context("--separator: write one character, such as ;")?;
    let store = open(config).await?;
    let clock = agreed_clock(&store).await?;
    let own = config.phone_call_defaults();
    let said = import.reading.said();
    let (key, rule_now) = match &import.key {
        None => (None, rule(&said, own)),
        Some(name) => {
            let key = store.read().await?.db().key_by_name(name).await?.ok_or_else(|| KeyError::Unknown(name.clone()))?;
            let rule = rule_of(&key, own)?;
            (Some(key.id), rule)
        }
    };
    let make = config.phonecalls.unknown == UnknownNumber::Make;
    let importer = Importer::new(rule_now, key, make);
    // Whoever watches is started again and again.
    let refusals = |path: &Path| File::options().create(true).write(true).append(import.watch).truncate(!import.watch).open(path);
    let refused = import.refused.as_deref().map(refusals).transpose().context("--refused: the file cannot be written")?;
    let mut running = Running {
        importer,
        own,
        keep_days: config.phonecalls.keep_days,
        named,
        url: import.url.clone(),
        separator,
        bar: Bar::new(),
        sum: Sum::default(),
        refused: refused.map(BufWriter::new),
        store,
        clock,
    };
    let path = Path::new(&import.from);
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| import.from.starts_with(scheme));
    // A file that is watched may not be there yet.
    if is_postgres || (path.exists() || !import.watch) && is_sqlite(path)? {
        anyhow::ensure!(!import.watch, "--watch is for files that are written to: run this again and again for a database");
        let table = match is_postgres {
            true => Elsewhere::postgres(&import.from, &import.table).await,
            false => Elsewhere::sqlite(path, &import.table).await,
        };
        running.table(table.context("the table cannot be read")?, import.days).await?;
    } else if import.watch {
        running.watch(path).await?;
    } else {
        running.file(path).await?;
    }
    running.end()
}

/// How the calls of a key are read.
fn rule_of(key: &KeyRow, own: (Region, Tz)) -> Result<Rule, KeyError> {
    if key.revoked_at.is_some() {
        return Err(KeyError::Unknown(key.name.clone()));
    }
    match key.only_lists_calls() {
        true => Ok(rule(&key.phonecalls.as_ref().map(|said| said.0.clone()).unwrap_or_default(), own)),
        false => Err(KeyError::ListsNoCalls(key.name.clone())),
    }
}

/// This machine's name: several may list into one database, from files that are called the same.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Whether a file is one of SQLite's.
fn is_sqlite(path: &Path) -> anyhow::Result<bool> {
    let mut head = Vec::new();
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    file.take(SQLITE_HEAD.len() as u64).read_to_end(&mut head)?;
    Ok(head == SQLITE_HEAD)
}

impl Running {
    /// A file, from its beginning to its end.
    async fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        for (file, place) in place::files(path, None)?.all {
            self.rest_of(file, place, None, true).await?;
        }
        Ok(())
    }

    /// A file that grows, for ever.
    async fn watch(&mut self, path: &Path) -> anyhow::Result<()> {
        let whole = std::path::absolute(path)?;
        let key = self.importer.key().map(|key| format!("{key} ")).unwrap_or_default();
        let name = format!("phonecalls import {key}{} {}", host(), whole.display());
        let mut place = None;
        let mut told = String::new();
        loop {
            let before = self.sum.new + self.sum.refused;
            match self.look(path, &name, &mut place).await {
                Ok(()) => told.clear(),
                // By another key or none, or not at all: trying again changes nothing.
                Err(error) if error.downcast_ref::<KeyError>().is_some() => return Err(error),
                Err(error) => {
                    let why = format!("{error:#}");
                    if why != told {
                        self.bar.end();
                        eprintln!("{why}: trying again");
                        told = why;
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
            if self.sum.new + self.sum.refused > before {
                println!("{}", self.sum.told());
            }
            // Somebody may have another number by the time that more is written.
            self.importer.forget();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads what was written to a file since, and to those that it was rotated to.
    async fn look(&mut self, path: &Path, name: &str, place: &mut Option<Place>) -> anyhow::Result<()> {
        if place.is_none() {
            let noted = self.store.read().await?.db().place(name).await?;
            *place = Some(noted.and_then(|(reached, _)| Place::read(&reached)).unwrap_or_default());
        }
        let mut files = place::files(path, place.clone())?;
        if files.some_may_be_lost {
            self.bar.end();
            eprintln!("the file that was read before is nowhere any more: calls that it was given last may be missing");
        }
        let Some((last, from)) = files.all.pop() else { return Ok(()) };
        for (old, from) in files.all {
            *place = Some(self.rest_of(old, from, Some(name), true).await?);
        }
        *place = Some(self.rest_of(last, from, Some(name), false).await?);
        Ok(())
    }

    /// What a file holds behind a place; gives the place that was reached. `noted`: under which name that is noted; `to_its_end`: nobody
    /// writes to it any more.
    async fn rest_of(
        &mut self,
        mut file: File,
        mut place: Place,
        noted: Option<&str>,
        to_its_end: bool,
    ) -> anyhow::Result<Place> {
        let all = file.metadata()?.len();
        let Some((layout, head)) = self.layout(&mut file, to_its_end)? else { return Ok(place) };
        if place.offset == 0 {
            let lines = lines_in(&head);
            place.go_on(&mut file, head.len() as u64, lines)?;
        }
        file.seek(SeekFrom::Start(place.offset))?;
        let mut text = Vec::new();
        loop {
            let more = (&mut file).take(READ_AT_ONCE).read_to_end(&mut text)?;
            let end = if more == 0 && to_its_end { text.len() } else { whole_records(&text) };
            let whole: Vec<u8> = text.drain(..end).collect();
            if !whole.is_empty() {
                let lines =
                    self.records(&whole, place.line).map(|(line, record)| (line, layout.told(&record, self.url.as_deref())));
                let lines: Vec<(u64, Told)> = lines.collect();
                let position = file.stream_position()?;
                place.go_on(&mut file, whole.len() as u64, lines_in(&whole))?;
                file.seek(SeekFrom::Start(position))?;
                self.take(&lines, noted.map(|name| (name, &place))).await?;
                self.bar.draw(place.offset, all, self.sum.new + self.sum.known);
            }
            if more == 0 {
                return Ok(place);
            }
        }
    }

    /// The columns of a file by its first record, which is given where it is a head; `None` while there is none yet.
    fn layout(&self, file: &mut File, to_its_end: bool) -> anyhow::Result<Option<(Layout, Vec<u8>)>> {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.take(MOST_HEAD).read_to_end(&mut text)?;
        let end = match whole_records(&text) {
            0 if to_its_end => text.len(),
            end => end,
        };
        let mut reader = self.reader(&text[..end]);
        let mut first = csv::ByteRecord::new();
        if !reader.read_byte_record(&mut first)? {
            return Ok(None);
        }
        let length = usize::try_from(reader.position().byte())?;
        let (layout, is_head) = Layout::of_first(&texts(&first), &self.named)?;
        text.truncate(if is_head { length } else { 0 });
        Ok(Some((layout, text)))
    }

    fn reader<'t>(&self, text: &'t [u8]) -> csv::Reader<&'t [u8]> {
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(self.separator).from_reader(text)
    }

    /// The records of a text, each with its line in the file, of which so many came before.
    fn records<'t>(&self, text: &'t [u8], before: u64) -> impl Iterator<Item = (u64, Vec<String>)> + use<'t> {
        // What is not UTF-8 is no error of this reader, and nothing else can be in a text.
        self.reader(text).into_byte_records().filter_map(Result::ok).map(move |record| {
            let line = record.position().map_or(0, csv::Position::line);
            (before + line, texts(&record))
        })
    }

    /// The rows of a table.
    async fn table(&mut self, mut table: Elsewhere, days: Option<u32>) -> anyhow::Result<()> {
        let columns = table.columns.clone();
        let layout = Layout::of_names(&columns, &self.named)?;
        // A day more, whatever its zone.
        let from = days.map(|days| (self.clock.now() - TimeDelta::days(i64::from(days) + 1)).format("%Y-%m-%d").to_string());
        let mut rows = table.rows(&columns[layout.initiated()], from.as_deref());
        let (mut lines, mut number) = (Vec::new(), 0);
        while let Some(row) = rows.next().await {
            number += 1;
            lines.push((number, layout.told(&row?, self.url.as_deref())));
            if lines.len() == AT_ONCE {
                self.take(&lines, None).await?;
                lines.clear();
                self.bar.draw(number, 0, self.sum.new + self.sum.known);
            }
        }
        self.take(&lines, None).await
    }

    /// Takes these lines, a thousand in a transaction; with the last of them the place in the file is noted.
    async fn take(&mut self, lines: &[(u64, Told)], noted: Option<(&str, &Place)>) -> anyhow::Result<()> {
        let mut portions = lines.chunks(AT_ONCE).peekable();
        while let Some(portion) = portions.next() {
            let began = Instant::now();
            let mut work = self.store.work(self.clock.now(), Doer::CommandLine, None).await?;
            // As its key has it now: somebody may have had its calls read anew, or revoked it.
            if let Some(key) = self.importer.key() {
                let row = work.db().key(key).await?.ok_or_else(|| KeyError::Unknown(key.to_string()))?;
                self.importer.read_by(rule_of(&row, self.own)?);
            }
            let kept_from = (self.keep_days > 0).then(|| work.now() - TimeDelta::days(self.keep_days.into()));
            self.importer.keep_from(kept_from);
            let done = self.importer.take(&mut work, portion).await.map_err(refused_plainly)?;
            if let Some((name, place)) = noted.filter(|_| portions.peek().is_none()) {
                let now = work.now();
                work.db().note_place(name, &place.noted(), now).await?;
            }
            // Once for each time that it is run: it may go on for ever.
            if self.sum.new == 0 && done.new > 0 {
                work.note(Line::new(Operation::PhoneCallsImported).after(serde_json::json!({ "begins_with": done.new })));
            }
            work.commit().await?;
            self.count(done)?;
            tokio::time::sleep((began.elapsed() / 4).min(LONGEST_PAUSE)).await;
        }
        Ok(())
    }

    fn count(&mut self, done: Portion) -> anyhow::Result<()> {
        self.sum.new += done.new;
        self.sum.known += done.known;
        self.sum.too_old += done.too_old;
        for (line, why) in done.refused {
            self.refuse(line, &why)?;
        }
        // Whoever watches is ended by a signal.
        if let Some(file) = &mut self.refused {
            file.flush()?;
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, why: &LineRefused) -> anyhow::Result<()> {
        let why = why.to_string();
        if let Some(file) = &mut self.refused {
            writeln!(file, "{line}\t{why}")?;
        } else if self.sum.refused < MOST_PRINTED {
            self.bar.end();
            eprintln!("line {line}: {why}");
        }
        self.sum.refused += 1;
        *self.sum.reasons.entry(why).or_default() += 1;
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.bar.end();
        if let Some(file) = &mut self.refused {
            file.flush()?;
        }
        println!("{}", self.sum.told());
        for (why, count) in &self.sum.reasons {
            eprintln!("{count} refused: {why}");
        }
        let taken = self.sum.new + self.sum.known + self.sum.too_old;
        anyhow::ensure!(taken > 0 || self.sum.refused == 0, "no line was taken: every one was refused");
        Ok(())
    }
}

impl Sum {
    fn told(&self) -> String {
        let Self { new, known, too_old, refused, .. } = self;
        format!("{new} new, {known} known, {too_old} older than is kept, {refused} refused")
    }
}

fn lines_in(text: &[u8]) -> u64 {
    text.split(|byte| *byte == b'\n').count() as u64 - 1
}

fn texts(record: &csv::ByteRecord) -> Vec<String> {
    record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}
