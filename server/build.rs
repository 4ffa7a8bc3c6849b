//! Lists what is embedded in the program: the migrations, number, name and text of each, for either database; and the words of the pages.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const ENGLISH: &str = "src/dashboard/frame/words/en.toml";
/// The words of single pages, each file in all languages.
const PAGES: &str = "src/dashboard/frame/words/pages";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed={ENGLISH}");
    println!("cargo::rerun-if-changed={PAGES}");
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let made = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let english = fs::read_to_string(crate_folder.join(ENGLISH))?;
    let mut keys: Vec<String> = english.lines().filter_map(key_of_line).map(str::to_owned).collect();
    let mut pages = String::new();
    for file in every_file(&crate_folder.join(PAGES))? {
        keys.extend(fs::read_to_string(&file)?.lines().filter_map(key_of_section).map(str::to_owned));
        writeln!(pages, "    include_str!({:?}),", file.display().to_string()).map_err(io::Error::other)?;
    }
    let keys = keys.join(" ");
    let words = format!("words! {{ {keys} }}\n/// The words of single pages.\nconst PAGES: &[&str] = &[\n{pages}];\n");
    fs::write(made.join("words.rs"), words)?;
    let folder = crate_folder.join("migrations");
    let lists = format!(
        "pub(super) const POSTGRES: &[(i64, &str, &str)] = &[\n{}];\npub(super) const SQLITE: &[(i64, &str, &str)] = &[\n{}];\n",
        list(&folder.join("postgres"))?,
        list(&folder.join("sqlite"))?
    );
    fs::write(made.join("migrations.rs"), lists)
}

/// The word of a line of a language's catalogue: `key = "text"`.
fn key_of_line(line: &str) -> Option<&str> {
    Some(line.split_once(" = ")?.0).filter(|key| !key.starts_with('#'))
}

/// The word of a section of a page's catalogue: `[key]`, with a line for each language below.
fn key_of_section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

/// The files `0001_some_name.sql` of a folder, in their order. Any other file there is an error: it would be forgotten.
fn list(folder: &Path) -> io::Result<String> {
    let mut list = String::new();
    for file in sorted(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let parts = name.strip_suffix(".sql").and_then(|name| name.split_once('_'));
        let Some((number, what)) = parts.and_then(|(number, what)| Some((number.parse::<i64>().ok()?, what.replace('_', " "))))
        else {
            return Err(io::Error::other(format!("{} is not named like 0001_some_name.sql", file.display())));
        };
        writeln!(list, "    ({number}, {what:?}, include_str!({:?})),", file.display().to_string()).map_err(io::Error::other)?;
    }
    Ok(list)
}

/// The files of a folder and of the folders in it.
fn every_file(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in sorted(folder)? {
        if entry.is_dir() {
            files.extend(every_file(&entry)?);
        } else {
            files.push(entry);
        }
    }
    Ok(files)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
