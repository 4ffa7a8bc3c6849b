//! Backups as files: written beside their name, synced, and only then put in their place; read with every checksum looked at.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::beside::Beside;
use super::cells::{Order, Sum};
use super::lines::{self, FORM, Head, Line, Table};
use super::sealed::{MAGIC, Opening, Passphrase, Sealing};
use super::{AHEAD, BackupError, Counted, Piece, Result};
use crate::ids::hex;

/// A row longer than this is not written, and a line longer than this is not read.
const LONGEST_LINE: usize = 64 << 20;
/// Rows are handed on so many at a time, or when their lines are so long.
const ROWS_AT_ONCE: usize = 256;
const LENGTH_AT_ONCE: usize = 256 * 1024;

/// A backup that is to be made.
#[derive(Clone, Debug)]
pub struct NewBackup {
    /// Where.
    pub path: PathBuf,
    /// Whether one that is there may go.
    pub overwrite: bool,
    /// With what it is encrypted.
    pub passphrase: Option<Passphrase>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it is of.
    pub head: Head,
    /// Its tables.
    pub tables: Vec<Counted>,
    /// How large the file is.
    pub bytes: u64,
}

impl Written {
    /// How many rows are in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.sum.rows).sum()
    }
}

fn failed(path: &Path, done: &'static str) -> impl Fn(io::Error) -> BackupError {
    let path = path.display().to_string();
    move |source| BackupError::File { path: path.clone(), done, source }
}

/// Writes what comes, and puts it in its place once it is whole. Blocks.
///
/// # Errors
/// When it cannot be written, or nothing more comes before the end; nothing of it is left then.
pub fn write(to: &NewBackup, mut from: mpsc::Receiver<Result<Piece>>) -> Result<Written> {
    let written = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.path.display().to_string()),
        io::ErrorKind::WouldBlock => BackupError::Busy(to.path.display().to_string()),
        _ => failed(&to.path, "written")(error),
    };
    let beside = Beside::begin(&to.path, to.overwrite).map_err(written)?;
    let done = write_into(beside.file(), to, &mut from)?;
    beside.finish().map_err(written)?;
    Ok(done)
}

/// Bytes on their way into the file, encrypted or not.
enum Body<'f> {
    Plain(BufWriter<&'f File>),
    Sealed(Box<Sealing<BufWriter<&'f File>>>),
}

impl Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Sealed(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Sealed(to) => to.flush(),
        }
    }
}

/// Lines on their way into the file.
struct Lines<W: Write> {
    to: GzEncoder<W>,
    digest: Sha256,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, line: &str) -> io::Result<()> {
        for part in [line, "\n"] {
            self.digest.update(part);
            self.to.write_all(part.as_bytes())?;
        }
        Ok(())
    }

    fn put_line(&mut self, line: &Line) -> io::Result<()> {
        self.put(&serde_json::to_string(line).map_err(io::Error::other)?)
    }
}

fn write_into(file: &File, to: &NewBackup, from: &mut mpsc::Receiver<Result<Piece>>) -> Result<Written> {
    let written = failed(&to.path, "written");
    let body = BufWriter::with_capacity(1 << 16, file);
    let body = match &to.passphrase {
        Some(passphrase) => Body::Sealed(Box::new(Sealing::begin(body, passphrase).map_err(&written)?)),
        None => Body::Plain(body),
    };
    let mut lines = Lines { to: GzEncoder::new(body, Compression::fast()), digest: Sha256::new() };
    let mut head = None;
    let mut tables: Vec<Counted> = Vec::new();
    let mut order = Order::of([]);
    loop {
        match from.blocking_recv().ok_or(BackupError::Stopped)?? {
            Piece::Head(found) => {
                lines.put_line(&Line::Autocall(found.clone())).map_err(&written)?;
                head = Some(found);
            }
            Piece::Table(table) => {
                order = order_of(&table);
                tables.push(Counted { table: table.name.clone(), sum: Sum::default() });
                lines.put_line(&Line::Table(table)).map_err(&written)?;
            }
            Piece::Rows(rows) => {
                let Some(counted) = tables.last_mut() else { return Err(BackupError::Stopped) };
                for row in rows {
                    counted.sum.add(&order, &row);
                    let line = lines::written(&row);
                    if line.len() > LONGEST_LINE {
                        return Err(BackupError::Value { table: counted.table.clone(), what: "a row of more than 64 MiB" });
                    }
                    lines.put(&line).map_err(&written)?;
                }
            }
            Piece::TableEnd(reached) => {
                let sum = tables.last().map(|counted| counted.sum).unwrap_or_default();
                lines.put_line(&Line::Rows { count: sum.rows, sum: sum.to_string(), reached }).map_err(&written)?;
            }
            Piece::End => break,
        }
    }
    let sha256 = hex(&lines.digest.clone().finalize());
    lines.put_line(&Line::End { tables: tables.len() as u64, sha256 }).map_err(&written)?;
    let mut body = match lines.to.finish().map_err(&written)? {
        Body::Plain(body) => body,
        Body::Sealed(sealing) => sealing.finish().map_err(&written)?,
    };
    body.flush().map_err(&written)?;
    let bytes = file.metadata().map_err(&written)?.len();
    head.map(|head| Written { head, tables, bytes }).ok_or(BackupError::Stopped)
}

fn order_of(table: &Table) -> Order {
    Order::of(table.columns.iter().map(String::as_str).zip(table.kinds.iter().copied()))
}

/// Whether a backup is encrypted.
///
/// # Errors
/// When it cannot be read.
pub fn is_sealed(path: &Path) -> Result<bool> {
    let mut first = Vec::new();
    let file = File::open(path).map_err(failed(path, "read"))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut first).map_err(failed(path, "read"))?;
    Ok(first == MAGIC)
}

/// All that is in a backup, piece by piece, from a thread of its own. Where something is wrong with it, that is the last piece.
#[must_use]
pub fn pour(path: PathBuf, passphrase: Option<Passphrase>) -> mpsc::Receiver<Result<Piece>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&path, passphrase.as_ref(), &sender) {
            // Whoever reads may have given up.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn read(path: &Path, passphrase: Option<&Passphrase>, to: &mpsc::Sender<Result<Piece>>) -> Result<()> {
    let sealed = is_sealed(path)?;
    let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed(path, "read"))?);
    if !sealed {
        return read_body(path, file, to);
    }
    let passphrase = passphrase.ok_or_else(|| BackupError::Sealed(path.display().to_string()))?;
    match Opening::begin(file, passphrase).map_err(|error| of_content(path, error))? {
        Some(opening) => read_body(path, BufReader::with_capacity(1 << 16, opening), to),
        None => Err(BackupError::WrongPassphrase(path.display().to_string())),
    }
}

/// What went wrong while the content was read: of the file, or of what is in it.
fn of_content(path: &Path, error: io::Error) -> BackupError {
    let name = || path.display().to_string();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::Cut(name()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            BackupError::Damaged { path: name(), what: error.to_string() }
        }
        _ => failed(path, "read")(error),
    }
}

fn read_body(path: &Path, mut body: impl BufRead, to: &mpsc::Sender<Result<Piece>>) -> Result<()> {
    let name = || path.display().to_string();
    let foreign = || BackupError::Foreign(name());
    // Two bytes that every gzip file begins with.
    if !body.fill_buf().map_err(|error| of_content(path, error))?.starts_with(&[0x1f, 0x8b]) {
        return Err(foreign());
    }
    let mut reading = Reading { path, from: BufReader::new(GzDecoder::new(body)), digest: Sha256::new(), line: Vec::new() };
    let first = reading.next_line().map_err(|error| match error {
        BackupError::Damaged { .. } => foreign(),
        other => other,
    })?;
    let Ok(Line::Autocall(head)) = serde_json::from_str::<Line>(first) else {
        return Err(later_form(path, first).unwrap_or_else(foreign));
    };
    if head.form != FORM {
        return Err(later_form(path, first).unwrap_or_else(foreign));
    }
    let hand_on = |piece| to.blocking_send(Ok(piece)).map_err(|_| BackupError::Stopped);
    hand_on(Piece::Head(head))?;
    let damaged = |what: String| BackupError::Damaged { path: name(), what };
    let mut tables = 0_u64;
    loop {
        let before = reading.digest.clone();
        let line = reading.next_line()?;
        match serde_json::from_str::<Line>(line) {
            Ok(Line::Table(table)) if table.columns.len() == table.kinds.len() => {
                tables += 1;
                read_table(&mut reading, table, &hand_on)?;
            }
            Ok(Line::End { tables: there, sha256 }) => {
                if there != tables || sha256 != hex(&before.finalize()) {
                    return Err(damaged("the checksum at its end is of other content".to_owned()));
                }
                reading.has_ended()?;
                return hand_on(Piece::End);
            }
            _ => return Err(damaged("a line of it is no part of a backup".to_owned())),
        }
    }
}

/// A form that only a later version writes.
fn later_form(path: &Path, first: &str) -> Option<BackupError> {
    let head: serde_json::Value = serde_json::from_str(first).ok()?;
    let form = head.get("autocall")?.get("form")?.as_u64()?;
    let what = path.display().to_string();
    let why = format!("it is written in the form {form}, and this program reads the form {FORM}; use the version that wrote it");
    (form != u64::from(FORM)).then_some(BackupError::Unknown { what, why })
}

fn read_table<R: BufRead>(reading: &mut Reading<'_, R>, table: Table, hand_on: &impl Fn(Piece) -> Result<()>) -> Result<()> {
    let path = reading.path.display().to_string();
    let damaged = |what: String| BackupError::Damaged { path: path.clone(), what };
    let (order, columns, name) = (order_of(&table), table.columns.len(), table.name.clone());
    hand_on(Piece::Table(table))?;
    let (mut sum, mut rows, mut length) = (Sum::default(), Vec::new(), 0);
    loop {
        let line = reading.next_line()?;
        if line.starts_with('[') {
            length += line.len();
            let row = lines::read(line).filter(|row| row.len() == columns);
            let row = row.ok_or_else(|| damaged(format!("a row of the table {name} cannot be read")))?;
            sum.add(&order, &row);
            rows.push(row);
            if rows.len() >= ROWS_AT_ONCE || length >= LENGTH_AT_ONCE {
                hand_on(Piece::Rows(std::mem::take(&mut rows)))?;
                length = 0;
            }
            continue;
        }
        let Ok(Line::Rows { count, sum: written, reached }) = serde_json::from_str(line) else {
            return Err(damaged(format!("the table {name} has no end")));
        };
        if count != sum.rows || written != sum.to_string() {
            return Err(damaged(format!("the rows of the table {name} are not those that were written")));
        }
        hand_on(Piece::Rows(rows))?;
        return hand_on(Piece::TableEnd(reached));
    }
}

/// Lines as they are read, with what they add up to.
struct Reading<'p, R: BufRead> {
    path: &'p Path,
    from: BufReader<GzDecoder<R>>,
    digest: Sha256,
    line: Vec<u8>,
}

impl<R: BufRead> Reading<'_, R> {
    /// The next line, without its end.
    fn next_line(&mut self) -> Result<&str> {
        self.line.clear();
        let mut most = (&mut self.from).take(LONGEST_LINE as u64 + 1);
        most.read_until(b'\n', &mut self.line).map_err(|error| of_content(self.path, error))?;
        let path = || self.path.display().to_string();
        if self.line.last() != Some(&b'\n') {
            let long = self.line.len() > LONGEST_LINE;
            let damaged = BackupError::Damaged { path: path(), what: "a line of it is too long".to_owned() };
            return Err(if long { damaged } else { BackupError::Cut(path()) });
        }
        self.digest.update(&self.line);
        self.line.pop();
        std::str::from_utf8(&self.line)
            .map_err(|_| BackupError::Damaged { path: path(), what: "a line of it is no text".to_owned() })
    }

    /// That nothing stands behind the last line, and that what is packed ends as it should.
    fn has_ended(&mut self) -> Result<()> {
        let mut more = [0];
        let behind =
            BackupError::Damaged { path: self.path.display().to_string(), what: "something stands behind its end".to_owned() };
        if self.from.read(&mut more).map_err(|error| of_content(self.path, error))? > 0 {
            return Err(behind);
        }
        let rest = self.from.get_mut().get_mut();
        if rest.fill_buf().map_err(|error| of_content(self.path, error))?.is_empty() { Ok(()) } else { Err(behind) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::os::unix::fs::PermissionsExt;

    use super::super::beside::partial;
    use super::*;
    use crate::store::backup::cells::{Cell, Kind};
    use crate::store::backup::lines::Engine;

    fn pieces() -> Vec<Piece> {
        let table = |name: &str| Table {
            name: name.to_owned(),
            columns: vec!["id".to_owned(), "words".to_owned()],
            kinds: vec![Kind::Kept, Kind::Kept],
        };
        let head = Head {
            form: FORM,
            program: "0".to_owned(),
            engine: Engine::Sqlite,
            migrations: vec![1],
            made_at: chrono::DateTime::UNIX_EPOCH,
            installation: None,
        };
        let row = |id: i64| vec![Cell::Integer(id), Cell::Text(format!("line {id}\nand more"))];
        vec![
            Piece::Head(head),
            Piece::Table(table("one")),
            Piece::Rows((0..600).map(row).collect()),
            Piece::TableEnd(Some(700)),
            Piece::Table(table("two")),
            Piece::TableEnd(None),
            Piece::End,
        ]
    }

    fn write_pieces(to: &NewBackup, pieces: Vec<Piece>) -> Result<Written> {
        let (sender, receiver) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            sender.try_send(Ok(piece)).unwrap();
        }
        drop(sender);
        write(to, receiver)
    }

    fn read_back(path: &Path, passphrase: Option<&Passphrase>) -> Result<Vec<Piece>> {
        let (sender, mut receiver) = mpsc::channel(100);
        read(path, passphrase, &sender)?;
        drop(sender);
        let mut all = Vec::new();
        while let Some(piece) = receiver.blocking_recv() {
            match (piece?, all.last_mut()) {
                (Piece::Rows(rows), _) if rows.is_empty() => {}
                (Piece::Rows(rows), Some(Piece::Rows(before))) => before.extend(rows),
                (piece, _) => all.push(piece),
            }
        }
        Ok(all)
    }

    fn new(folder: &Path, passphrase: Option<&str>) -> NewBackup {
        let passphrase = passphrase.and_then(Passphrase::of);
        NewBackup { path: folder.join("a.backup"), overwrite: false, passphrase }
    }

    #[test]
    fn what_is_written_is_read_and_nobody_else_may() {
        let folder = tempfile::tempdir().unwrap();
        for passphrase in [None, Some("correct horse")] {
            let mut to = new(folder.path(), passphrase);
            to.overwrite = true;
            let written = write_pieces(&to, pieces()).unwrap();
            assert_eq!((written.rows(), written.tables.len()), (600, 2));
            assert_eq!(written.bytes, to.path.metadata().unwrap().len());
            assert_eq!(to.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(read_back(&to.path, to.passphrase.as_ref()).unwrap(), pieces());
            assert!(!partial(&to.path).exists());
        }
        let to = new(folder.path(), None);
        assert!(matches!(write_pieces(&to, pieces()), Err(BackupError::Exists(_))));
        let other = Passphrase::of("another one").unwrap();
        assert!(matches!(read_back(&to.path, None), Err(BackupError::Sealed(_))));
        assert!(matches!(read_back(&to.path, Some(&other)), Err(BackupError::WrongPassphrase(_))));
    }

    #[test]
    fn what_stops_before_the_end_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let to = new(folder.path(), None);
        for end in 0..pieces().len() - 1 {
            assert!(matches!(write_pieces(&to, pieces()[..end].to_vec()), Err(BackupError::Stopped)), "{end}");
            assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{end}");
        }
        // What an interrupted one has left is no obstacle.
        std::fs::write(partial(&to.path), b"half").unwrap();
        write_pieces(&to, pieces()).unwrap();
        assert_eq!(read_back(&to.path, None).unwrap(), pieces());
    }

    #[test]
    fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for passphrase in [None, Some("correct horse")] {
            let mut to = new(folder.path(), passphrase);
            to.overwrite = true;
            write_pieces(&to, pieces()).unwrap();
            let whole = std::fs::read(&to.path).unwrap();
            let step = whole.len() / 60 + 1;
            let other = folder.path().join("other");
            for end in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
                std::fs::write(&other, &whole[..end]).unwrap();
                assert!(read_back(&other, to.passphrase.as_ref()).is_err(), "cut at {end}");
            }
            // The first ten bytes of gzip hold a time and a system, which say nothing.
            for place in (10..whole.len()).step_by(step).chain([whole.len() - 1]) {
                let mut changed = whole.clone();
                changed[place] ^= 0x20;
                std::fs::write(&other, &changed).unwrap();
                assert!(read_back(&other, to.passphrase.as_ref()).is_err(), "changed at {place}");
            }
            std::fs::write(&other, [whole.as_slice(), b"more"].concat()).unwrap();
            assert!(read_back(&other, to.passphrase.as_ref()).is_err());
        }
        for foreign in [&b""[..], b"PGDMP", b"SQLite format 3\0", b"\x1f\x8b"] {
            let other = folder.path().join("foreign");
            std::fs::write(&other, foreign).unwrap();
            assert!(read_back(&other, None).is_err());
        }
    }
}
