//! The place in a file of calls that is still written: found again after a restart, and after the file was rotated away.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::ids::hex;

/// By so many of its first bytes a file is known again, whatever it is called by now.
const HEAD: u64 = 512;

/// So many files that were rotated are looked at.
const MOST_ROTATED: usize = 100;
/// How far a file has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// So many bytes.
    pub(super) offset: u64,
    /// So many lines.
    pub(super) line: u64,
    /// Of the first bytes, as far as they have been read.
    head: String,
}

impl Place {
    /// As it is noted.
    pub(super) fn noted(&self) -> String {
        format!("{} {} {}", self.offset, self.line, self.head)
    }

    /// As it was noted.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (offset, line) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { offset, line, head: words.next()?.to_owned() })
    }

    /// So many more bytes and lines have been read of this file.
    pub(super) fn go_on(&mut self, file: &mut File, bytes: u64, lines: u64) -> std::io::Result<()> {
        self.offset += bytes;
        self.line += lines;
        self.head = head(file, self.offset)?;
        Ok(())
    }

    /// Whether this is of that file.
    fn is_of(&self, file: &mut File) -> std::io::Result<bool> {
        Ok(file.metadata()?.len() >= self.offset && head(file, self.offset)? == self.head)
    }
}

/// What the first bytes of a file are, of so many that have been read.
fn head(file: &mut File, offset: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD.min(offset)).read_to_end(&mut bytes)?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// In this order, with the place in each; the last one is still written to.
    pub(super) all: Vec<(File, Place)>,
    /// The file that was read is nowhere any more: what was written to it last may be missing.
    pub(super) some_may_be_lost: bool,
}

/// What is to be read behind a place: where the file was rotated away, what is left of it comes first, and whatever was rotated after it.
pub(super) fn files(path: &Path, place: Option<Place>) -> anyhow::Result<Files> {
    let open = |path: &Path| File::open(path).with_context(|| format!("{} cannot be read", path.display()));
    let mut file = open(path)?;
    let only = |file, place| Files { all: vec![(file, place)], some_may_be_lost: false };
    let Some(place) = place.filter(|place| place.offset > 0) else { return Ok(only(file, Place::default())) };
    if place.is_of(&mut file)? {
        return Ok(only(file, place));
    }
    let mut all = Vec::new();
    let mut rotated = rotated(path)?.into_iter();
    let found = rotated.by_ref().find_map(|mut old| place.is_of(&mut old).unwrap_or(false).then_some(old));
    let some_may_be_lost = found.is_none();
    all.extend(found.map(|old| (old, place)));
    // Where the one that was read is gone, nobody knows which of the others were: telling of a call again changes nothing.
    let later = if some_may_be_lost { self::rotated(path)? } else { rotated.collect() };
    all.extend(later.into_iter().map(|old| (old, Place::default())));
    all.push((file, Place::default()));
    Ok(Files { all, some_may_be_lost })
}

/// The files that a file was rotated to and that are not packed, the oldest first.
fn rotated(path: &Path) -> anyhow::Result<Vec<File>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = folder.read_dir().with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().strip_prefix(&name).is_some_and(is_turn))
        .filter_map(|entry| {
            let path = entry.path();
            let about = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((about.modified().ok()?, path))
        })
        .collect();
    found.sort();
    // Older ones were read long ago.
    let too_many = found.len().saturating_sub(MOST_ROTATED);
    Ok(found.into_iter().skip(too_many).filter_map(|(_, path)| File::open(path).ok()).collect())
}

/// Whether that stands behind the name of a file that was rotated: `.1`, `.old`, `-20260131`, `.2026-01-31_03`. What is packed was read before
/// it was, and others, such as lines that were refused, are no calls.
fn is_turn(ending: &str) -> bool {
    let Some(turn) = ending.strip_prefix(['.', '-']) else { return false };
    let is_time = |c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':' | 'T');
    turn == "old" || turn.starts_with(|c: char| c.is_ascii_digit()) && turn.chars().all(is_time)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn rest(path: &Path, place: Option<Place>) -> Vec<(String, Place)> {
        let read = |(mut file, place): (File, Place)| {
            let mut text = String::new();
            file.seek(SeekFrom::Start(place.offset)).unwrap();
            file.read_to_string(&mut text).unwrap();
            let length = text.len() as u64;
            let mut reached = place;
            reached.go_on(&mut file, length, 1).unwrap();
            (text, reached)
        };
        files(path, place).unwrap().all.into_iter().map(read).collect()
    }

    #[test]
    fn a_file_is_found_again_wherever_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("Master.csv"), folder.path().join("Master.csv.1"));
        std::fs::write(&path, "one\n").unwrap();
        let (text, place) = rest(&path, None).remove(0);
        assert_eq!(text, "one\n");
        assert_eq!(Place::read(&place.noted()), Some(place.clone()));
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(rest(&path, Some(place.clone()))[0].0, "two\n", "it has grown");
        std::fs::rename(&path, &old).unwrap();
        std::fs::write(&path, "three\n").unwrap();
        let both = rest(&path, Some(place.clone()));
        assert_eq!(both.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["two\n", "three\n"], "it was rotated");
        std::fs::remove_file(&old).unwrap();
        assert_eq!(rest(&path, Some(place.clone()))[0].0, "three\n", "what is gone is gone");
        assert!(files(&path, Some(place.clone())).unwrap().some_may_be_lost);
        std::fs::write(&path, "o").unwrap();
        assert_eq!(rest(&path, Some(place))[0].0, "o", "it was emptied");
        assert_eq!(Place::read("nonsense"), None);
    }

    /// Writes a file that was changed so many minutes after the others.
    fn written(path: &Path, text: &str, minute: u64) {
        std::fs::write(path, text).unwrap();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 + 60 * minute);
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn whatever_was_rotated_since_is_read_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let named = |ending: &str| folder.path().join(format!("Master.csv{ending}"));
        written(&named(""), "one\n", 1);
        let (_, place) = rest(&named(""), None).remove(0);
        // Twice, by the day, as logrotate does with `dateext`; others lie about.
        written(&named("-20260101"), "old\n", 0);
        written(&named("-20260130"), "one\ntwo\n", 2);
        written(&named("-20260131"), "three\n", 3);
        written(&named("-20260129.gz"), "one\npacked", 4);
        written(&folder.path().join("Master.csvs"), "one\nother", 5);
        // Lines that were refused are written beside the file, while it is read.
        written(&named(".refused"), "one\nrefused\n", 7);
        written(&named("-notes"), "one\nnotes\n", 8);
        written(&named(""), "four\n", 6);
        let texts = |place: &Place| rest(&named(""), Some(place.clone())).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(texts(&place), ["two\n", "three\n", "four\n"]);
        // By numbers.
        for (from, to) in [("-20260130", ".2"), ("-20260131", ".1")] {
            std::fs::rename(named(from), named(to)).unwrap();
        }
        assert_eq!(texts(&place), ["two\n", "three\n", "four\n"]);
        std::fs::remove_file(named(".2")).unwrap();
        assert_eq!(texts(&place), ["old\n", "three\n", "four\n"], "which were read nobody knows");
    }
}
