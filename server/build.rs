//! Lists the migrations, which are embedded in the program: number, name and text of each, for either database.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=migrations");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("migrations");
    let lists = format!(
        "pub(super) const POSTGRES: &[(i64, &str, &str)] = &[\n{}];\npub(super) const SQLITE: &[(i64, &str, &str)] = &[\n{}];\n",
        list(&folder.join("postgres"))?,
        list(&folder.join("sqlite"))?
    );
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("migrations.rs"), lists)
}

/// The files `0001_some_name.sql` of a folder, in their order. Any other file there is an error: it would be forgotten.
fn list(folder: &Path) -> io::Result<String> {
    let mut files = fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let mut list = String::new();
    for file in files {
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
