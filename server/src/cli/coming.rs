//! `autocall export`, `autocall apply` and `autocall import`: people, roster, policies and rules as one file.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{agreed_clock, open, quoted};
use crate::clock::Clock;
use crate::coming::file::Settings;
use crate::coming::plan::Wish;
use crate::coming::products::{self, PRODUCTS, Product};
use crate::coming::reading::{self, Document};
use crate::coming::recognised;
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::coming::apply::{self, ComingError};
use crate::keep::coming::kept;
use crate::store::Store;

/// Who has made an override or a vacation that came with a file.
const BY: &str = "command line";

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where to write it [default: standard output]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// A file as `export` writes it; - for standard input
    file: PathBuf,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// In every section that the file has, remove whatever it does not name
    #[arg(long)]
    remove: bool,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// From where
    #[arg(value_parser = PossibleValuesParser::new(PRODUCTS.map(|product| product.name)))]
    product: String,
    /// The JSON of its lists, put together as docs/coming-over.md says; - for standard input
    file: PathBuf,
    /// Write what `apply` takes into this file, and change nothing
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    out: Option<PathBuf>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

pub(super) async fn export(Export { file }: Export, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    let kept = kept::read(&mut store.read().await?.db(), now).await?;
    store.close().await;
    let text = kept.known.settings.write()?;
    for why in kept.known.not_taken(&text, config.default_region, now) {
        eprintln!("note: apply will refuse this file until it is corrected: {why}");
    }
    match file.filter(|file| file.as_os_str() != "-") {
        Some(file) => {
            write(&file, &text)?;
            println!("written to {}", file.display());
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    tell(&kept.notes);
    Ok(())
}

pub(super) async fn apply(Apply { file, yes, remove }: Apply, config: &Config) -> anyhow::Result<()> {
    let most = u64::try_from(reading::LARGEST)?;
    let bytes = read(&file, most)?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{} is no text in UTF-8", file.display()))?;
    let document = reading::read(&text).map_err(ComingError::Wrong)?;
    carry_out(document, remove, yes, config).await
}

pub(super) async fn import(Import { product, file, out, yes }: Import, config: &Config) -> anyhow::Result<()> {
    let product = Product::named(&product).context("there is no such product")?;
    let bytes = read(&file, products::LARGEST)?;
    let now = Clock::system().now();
    let read = product.read(&bytes, config.default_region, now);
    let mut converted = read.map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))?;
    let store = open(config).await?;
    let known = match known_settings(&store).await {
        Ok(known) => known,
        Err(error) => {
            store.close().await;
            return Err(error);
        }
    };
    tell(&recognised::recognise(&mut converted, &known));
    for loss in &converted.losses {
        println!("no counterpart: {loss}");
    }
    let Some(out) = out else {
        let document = Document { settings: converted.settings, ..Document::default() };
        let done = decide(&store, document, false, yes, config).await;
        store.close().await;
        return done;
    };
    store.close().await;
    write(&out, &converted.settings.write()?)?;
    println!("written to {}: look at it, then autocall apply {}", out.display(), quoted(&out.display().to_string()));
    Ok(())
}

async fn known_settings(store: &Store) -> anyhow::Result<Settings> {
    let now = agreed_clock(store).await?.now();
    Ok(kept::read(&mut store.read().await?.db(), now).await?.known.settings)
}

/// Writes a file beside the one that is there, and puts it in its place: where the disk is full, the one that was there stays whole.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be written", file.display());
    // What is a link stays one.
    let own = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let before = std::fs::metadata(&own).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        // A pipe, or a terminal.
        return std::fs::write(&own, text).with_context(cannot);
    }
    let mut beside = own.clone().into_os_string();
    beside.push(".part");
    let whole = || {
        let mut part = File::create(&beside)?;
        if let Some(before) = &before {
            part.set_permissions(before.permissions())?;
        }
        part.write_all(text.as_bytes())?;
        part.sync_all()?;
        std::fs::rename(&beside, &own)
    };
    let done: std::io::Result<()> = whole();
    if done.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    done.with_context(cannot)
}

fn tell(notes: &[String]) {
    for note in notes {
        eprintln!("note: {note}");
    }
}

/// A file that is not too large, or what comes in.
fn read(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes),
        false => File::open(file).and_then(|own| own.take(most + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    if u64::try_from(bytes.len())? > most {
        bail!("{} is larger than {} MiB: it is another file, or too much for one", file.display(), most >> 20);
    }
    Ok(bytes)
}

async fn carry_out(document: Document, remove: bool, yes: bool, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let done = decide(&store, document, remove, yes, config).await;
    store.close().await;
    done
}

async fn decide(store: &Store, document: Document, remove: bool, yes: bool, config: &Config) -> anyhow::Result<()> {
    let at = agreed_clock(store).await?.now();
    let wish = Wish { document, remove, region: config.default_region, at };
    let plan = apply::plan(&mut store.read().await?.db(), &wish).await?;
    tell(&plan.notes);
    if plan.is_empty() {
        println!("nothing to change");
        return Ok(());
    }
    println!("{plan}");
    if !yes && !confirmed()? {
        println!("nothing was changed: say --yes to do it");
        return Ok(());
    }
    // The plan was read for as long as somebody liked.
    let now = agreed_clock(store).await?.now();
    store.carry_out(now, Doer::CommandLine, async |work| apply::apply(work, &wish, &plan, BY).await).await?;
    println!("done");
    Ok(())
}

fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("do it? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (file, beside) = (folder.path().join("team.toml"), folder.path().join("team.toml.part"));
        write(&file, "first\n").unwrap();
        std::fs::create_dir(&beside).unwrap();
        assert!(write(&file, "second\n").unwrap_err().to_string().contains("team.toml cannot be written"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "first\n");
        std::fs::remove_dir(&beside).unwrap();
        write(&file, "second\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "second\n");
        assert!(!beside.exists());
    }
}
