//! The place in a file of calls that is still written: found again after a restart, and after the file was rotated away.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::ids::hex;

/// By so many of its first bytes a file is known again, whatever it is called by now.
const HEAD: u64 = 512;

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

/// Files in the order in which they are to be read, with the place in each: where the file was rotated away, what is left of it comes first.
pub(super) fn files(path: &Path, place: Option<Place>) -> anyhow::Result<Vec<(File, Place)>> {
    let open = |path: &Path| File::open(path).with_context(|| format!("{} cannot be read", path.display()));
    let mut file = open(path)?;
    let Some(place) = place.filter(|place| place.offset > 0) else { return Ok(vec![(file, Place::default())]) };
    if place.is_of(&mut file)? {
        return Ok(vec![(file, place)]);
    }
    // As logrotate names them.
    let rotated = [".1", ".0", ".old"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    });
    for path in rotated {
        let Ok(mut old) = File::open(path) else { continue };
        if place.is_of(&mut old)? {
            return Ok(vec![(old, place), (file, Place::default())]);
        }
    }
    Ok(vec![(file, Place::default())])
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
        files(path, place).unwrap().into_iter().map(read).collect()
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
        std::fs::write(&path, "o").unwrap();
        assert_eq!(rest(&path, Some(place))[0].0, "o", "it was emptied");
        assert_eq!(Place::read("nonsense"), None);
    }
}
