//! `autocall tls`: certificates for a network of one's own, and what is shown now.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::Config;
use crate::net::authority::{Authority, CERTIFICATE_DAYS, Holder, Written, new_authority};
use crate::net::certificate::{About, Pair, certificates_in};
use crate::secrets;

/// Below the data folder.
const FOLDER: &str = "tls";
const AUTHORITY: &str = "authority";
const SERVER: &str = "server";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TlsCommand {
    /// Make a certificate for this computer, signed by an authority of your own, which is made first; run it again to renew
    Make(Make),
    /// Make a certificate for a sender, signed by the same authority: see http.tls_client_authority
    Client(Client),
    /// Show what the configuration names, and until when it holds; fails if it cannot be used
    Show,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Make {
    /// Names and addresses by which it is called, beside its own: separated by commas
    #[arg(long = "name", value_name = "NAME", value_delimiter = ',')]
    names: Vec<String>,
    /// Folder for the files [default: tls below the data folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Client {
    /// Who it is, such as monitoring or mon.example.org: keys are bound to this name
    #[arg(long)]
    name: String,
    /// Folder of the authority [default: tls below the data folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(in crate::cli) fn run(command: TlsCommand, config: &Config) -> anyhow::Result<()> {
    let now = Clock::system().now();
    match command {
        TlsCommand::Make(asked) => make(&asked, config, now),
        TlsCommand::Client(asked) => client(&asked, config, now),
        TlsCommand::Show => show(config, now),
    }
}

fn make(asked: &Make, config: &Config, now: DateTime<Utc>) -> anyhow::Result<()> {
    let folder = Folder::of(asked.dir.as_deref(), config)?;
    let authority = folder.authority(now, true)?;
    let names = names(&asked.names, config);
    let made = authority.sign(Holder::Server, &names, now.date_naive())?;
    folder.write(SERVER, &made)?;
    let about = read(&made)?;
    println!("authority    {}, until {}", folder.path(AUTHORITY, "pem").display(), day(authority.ends));
    println!("             SHA-256 {}", fingerprint(&folder.text(AUTHORITY, "pem")?)?);
    println!("certificate  {}, until {}", folder.path(SERVER, "pem").display(), day(about.ends));
    println!("             for {}", about.names.join(", "));
    if (authority.ends - now).num_days() < CERTIFICATE_DAYS {
        println!(
            "\nThe authority itself ends on {}. Move {AUTHORITY}.pem and {AUTHORITY}.key away before that, run this again, and give the new one to \
             everybody.",
            day(authority.ends)
        );
    }
    let tls = &config.http.tls;
    if tls.certificate.as_deref() != Some(&folder.path(SERVER, "pem")) || tls.listen.is_none() {
        println!("\nWrite this into the configuration, and start the server again:\n\n[http]\ntls_listen = \"0.0.0.0:8443\"");
        println!("tls_certificate = {}\ntls_key = {}", quoted(&folder.path(SERVER, "pem")), quoted(&folder.path(SERVER, "key")));
    } else {
        println!("\nA server that runs shows it within some seconds.");
    }
    println!(
        "\nWhoever comes by https has to trust the authority: give them {AUTHORITY}.pem, never {AUTHORITY}.key, and compare the SHA-256.\n\
         Android: Settings, Security, Install a certificate, CA certificate; not every app heeds what is installed there.\n\
         curl: --cacert {AUTHORITY}.pem. Debian: /usr/local/share/ca-certificates/autocall.crt, then update-ca-certificates.\n\
         More in docs/tls.md. Run this again within {CERTIFICATE_DAYS} days, such as once a month: the authority stays the same."
    );
    Ok(())
}

fn client(asked: &Client, config: &Config, now: DateTime<Utc>) -> anyhow::Result<()> {
    let folder = Folder::of(asked.dir.as_deref(), config)?;
    let authority = folder.authority(now, false)?;
    let made = authority.sign(Holder::Client, std::slice::from_ref(&asked.name), now.date_naive())?;
    let file = format!("client-{}", asked.name.replace(['*', ':'], "_"));
    folder.write(&file, &made)?;
    println!("certificate  {}, until {}", folder.path(&file, "pem").display(), day(read(&made)?.ends));
    println!("key          {}", folder.path(&file, "key").display());
    println!("             SHA-256 {}", fingerprint(&made.certificate)?);
    println!(
        "\nCarry both to the sender. With tls_client_authority = {} below [http], a key is bound to it by: autocall key set NAME \
         --certificate {}",
        quoted(&folder.path(AUTHORITY, "pem")),
        asked.name
    );
    Ok(())
}

/// A path as the configuration wants it.
fn quoted(path: &Path) -> toml::Value {
    toml::Value::String(path.display().to_string())
}

fn show(config: &Config, now: DateTime<Utc>) -> anyhow::Result<()> {
    let tls = &config.http.tls;
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        println!(
            "http.tls_certificate and http.tls_key are not set: this server speaks plain HTTP; `autocall tls make` makes them"
        );
        return Ok(());
    };
    let read = |path: &Path| fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
    let pair = Pair::read(&read(certificate)?, &read(key)?)
        .with_context(|| format!("{} and {} cannot be used", certificate.display(), key.display()))?;
    let about = pair.about;
    match tls.listen {
        Some(listen) => println!("listens on   {listen}"),
        None => println!("listens on   nothing: http.tls_listen is not set"),
    }
    println!("certificate  {}, from {} until {}", certificate.display(), day(about.begins), day(about.ends));
    println!("             for {}", about.names.join(", "));
    for oddity in &about.oddities {
        println!("             {oddity}");
    }
    if let Some(authority) = &tls.client_authority {
        let (all, ends) = crate::net::certificate::authorities_in(&read(authority)?)
            .with_context(|| format!("{} cannot be used", authority.display()))?;
        println!("of clients   {}: {} authorities, the last until {}", authority.display(), all.len(), day(ends));
    }
    about.holds(now)?;
    Ok(())
}

/// By what names this computer is called: its own, those of the configuration, those that were said, its addresses.
fn names(said: &[String], config: &Config) -> Vec<String> {
    let mut names: Vec<String> =
        said.iter().map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect();
    let public = config.http.public_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
    names.extend(public.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())));
    names.extend(config.http.hosts.iter().cloned());
    let own = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    // Some computers are called what no certificate can hold.
    names.extend(Some(own).filter(|own| own.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))));
    names.push("localhost".to_owned());
    let addresses = if_addrs::get_if_addrs().unwrap_or_default();
    // A link's own addresses need the name of the interface behind them, which no certificate has.
    let reached = addresses.iter().map(if_addrs::Interface::ip).filter(|address| match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    });
    names.extend(reached.map(|address| address.to_string()));
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// Where the files are.
struct Folder {
    at: PathBuf,
    /// The user and group to whom the files belong: those of the folder, so that the server can read what an administrator makes.
    owner: (u32, u32),
}

impl Folder {
    fn of(said: Option<&Path>, config: &Config) -> anyhow::Result<Self> {
        let at = said.map_or_else(|| config.data_dir.join(FOLDER), Path::to_owned);
        let at = std::path::absolute(&at).with_context(|| format!("{} is no folder", at.display()))?;
        let is_new = !at.exists();
        fs::create_dir_all(&at).with_context(|| format!("the folder {} cannot be made", at.display()))?;
        let model = if is_new { at.parent().unwrap_or(&at) } else { &at };
        let found = fs::metadata(model).with_context(|| format!("{} cannot be read", model.display()))?;
        let folder = Self { at, owner: (found.uid(), found.gid()) };
        if is_new {
            folder.give_away(&folder.at)?;
        }
        Ok(folder)
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.at.join(format!("{name}.{kind}"))
    }

    fn text(&self, name: &str, kind: &str) -> anyhow::Result<String> {
        let path = self.path(name, kind);
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// The authority of before, else a new one where there may be.
    fn authority(&self, now: DateTime<Utc>, may_be_new: bool) -> anyhow::Result<Authority> {
        let (certificate, key) = (self.path(AUTHORITY, "pem"), self.path(AUTHORITY, "key"));
        match (certificate.exists(), key.exists()) {
            (true, true) => {}
            (false, false) if may_be_new => {
                let own = rustix::system::uname();
                let name = format!("autocall of {}", own.nodename().to_string_lossy());
                self.write(AUTHORITY, &new_authority(&name, now.date_naive())?)?;
            }
            (false, false) => anyhow::bail!("there is no authority in {} yet: run autocall tls make first", self.at.display()),
            (true, false) => anyhow::bail!(
                "{} is there and its key {} is not: bring the key back, or move the certificate away to have a new authority made, which \
                 everybody has to be given again",
                certificate.display(),
                key.display()
            ),
            (false, true) => anyhow::bail!(
                "{} is there and its certificate {} is not: bring it back, or move the key away to have a new authority made",
                key.display(),
                certificate.display()
            ),
        }
        Authority::read(&self.text(AUTHORITY, "pem")?, &self.text(AUTHORITY, "key")?, now)
            .with_context(|| format!("the authority {}", certificate.display()))
    }

    /// Writes both files; the key first, which fits neither for a moment: a server takes up only what fits.
    fn write(&self, name: &str, made: &Written) -> anyhow::Result<()> {
        self.put(&self.path(name, "key"), &made.key, 0o600)?;
        self.put(&self.path(name, "pem"), &made.certificate, 0o644)
    }

    /// Renamed into its place, so that nobody reads half of it.
    fn put(&self, path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
        let new = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            // What a run left behind that broke off may have another mode.
            let _ = fs::remove_file(&new);
            let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&new)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", new.display()))?;
        self.give_away(&new)?;
        fs::rename(&new, path).with_context(|| format!("{} cannot be written", path.display()))
    }

    fn give_away(&self, path: &Path) -> anyhow::Result<()> {
        let now = fs::metadata(path)?;
        if now.uid() != self.owner.0 {
            std::os::unix::fs::chown(path, Some(self.owner.0), Some(self.owner.1)).with_context(|| {
                format!("{} cannot be given to the user of the folder: run this as that user", path.display())
            })?;
        }
        Ok(())
    }
}

fn read(made: &Written) -> anyhow::Result<About> {
    Ok(Pair::read(made.certificate.as_bytes(), made.key.as_bytes())?.about)
}

/// As browsers and `openssl x509 -fingerprint -sha256` show it.
fn fingerprint(pem: &str) -> anyhow::Result<String> {
    let all = certificates_in(pem.as_bytes())?;
    ensure!(all.len() == 1, "it holds several certificates");
    let digits = all.iter().flat_map(|one| secrets::hash_of(one.as_ref())).map(|byte| format!("{byte:02X}"));
    Ok(digits.collect::<Vec<_>>().join(":"))
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}
