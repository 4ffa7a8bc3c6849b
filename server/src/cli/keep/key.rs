//! `autocall key`: add, set, rotate, narrow, try, list, revoke.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::TimeDelta;
use chrono_tz::Tz;
use clap::{Args, Subcommand};

use crate::call_log::reading::Said;
use crate::cli::keep::key_rights::{self, End, May};
use crate::cli::{agreed_clock, labels, one_of, open};
use crate::config::Config;
use crate::engine::Doer;
use crate::intake::signals;
use crate::keep::keys::{self, rights};
use crate::keep::phone_calls::reread::{self, Change, Reread};
use crate::kinds::signing::Scheme;
use crate::numbers::Region;
use crate::rights::{Right, Rights};
use crate::signal::generic::Places;
use crate::signal::{Signal, Unreadable, Word};
use crate::store::Work;
use crate::store::access::keys::KeyRow;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a key for a sender of alarms: it is shown once
    Add {
        /// Who uses it, such as prometheus
        #[arg(long)]
        name: String,
        /// Whom to ring when an alarm names nobody, in order, separated by commas
        #[arg(long, value_delimiter = ',')]
        phones: Vec<String>,
        #[command(flatten)]
        may: May,
        /// When it ends, from now on, such as 90d or 12h [default: never]
        #[arg(long, value_name = "TIME")]
        expires: Option<End>,
        /// It may send shouts: one message to many people
        #[arg(long)]
        shouts: bool,
        /// It may command calls and conferences (/cti)
        #[arg(long)]
        calls: bool,
        /// It may list the calls of another system, such as a PBX, and nothing else
        #[arg(long, conflicts_with_all = ["shouts", "calls", "phones", "rights", "sources", "teams", "policies"])]
        phonecalls: bool,
        /// It may raise alarms by mail, and nothing else: it is the name of the recipient (mail.listen)
        #[arg(long, conflicts_with_all = ["shouts", "calls", "phonecalls", "rights", "sources", "teams", "policies"])]
        mail: bool,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        reading: Reading,
    },
    /// Change what a key may, when it ends, what it may call, how what it sends is read, whether that has to be signed, or how the calls are read that it lists
    Set {
        /// Its name
        name: String,
        /// It may only call numbers that begin with one of these, separated by commas, such as +86,+1; `any` takes that away
        #[arg(long, value_name = "BEGINNINGS", conflicts_with = "reread")]
        to: Option<String>,
        #[command(flatten)]
        may: May,
        /// It is bound to nothing any more
        #[arg(long, conflicts_with_all = ["sources", "teams", "policies"])]
        unbound: bool,
        /// When it ends, from now on, such as 90d or 12h; `never`: as long as it is not revoked
        #[arg(long, value_name = "TIME")]
        expires: Option<End>,
        #[command(flatten)]
        trust: Trust,
        #[command(flatten)]
        reading: Reading,
        /// The same for its calls that are kept already: without, a key that has some stays as it is
        #[arg(long)]
        reread: bool,
    },
    /// Give a key another secret, which is shown once. Whatever is sent with either is of the same sender
    Rotate {
        /// Its name
        name: String,
        /// For so long the old secret is good as well, at most 90d; 0: not at all
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = key_rights::span)]
        overlap: TimeDelta,
    },
    /// Print to which rights a key would be narrowed that did what it did in 30 days; with --yes, do it
    Narrow {
        /// Its name
        name: String,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Print how the generic receiver would read a message of a key; nothing is changed and nobody is rung
    Try {
        /// Its name
        name: String,
        /// A file with the message: JSON or a form; - reads it from the standard input
        file: PathBuf,
    },
    /// Print all keys, without the secret
    List,
    /// Refuse a key from now on
    Revoke {
        /// Its name
        name: String,
    },
}

/// A message of a monitoring system is no longer, in bytes.
const LONGEST_MESSAGE: u64 = 4 << 20;

// How what a key sends is read and signed. No doc comment: the help of the command would begin with it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Trust {
    /// For the generic receiver: where a field stands in what is sent, as a JSON Pointer, such as summary=/alert/title; `summary=` takes it
    /// away; may be given several times
    #[arg(long = "place", value_name = "FIELD=POINTER", value_parser = labels::pair)]
    places: Vec<(String, String)>,
    /// The same: what stands at the place of the state when it is over, separated by commas; empty: the common words
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    resolved: Option<Vec<String>>,
    /// What it sends has to be signed, in the way of this sender; `none`: it need not be
    #[arg(long, value_parser = one_of(&Sign::ALL, Sign::as_str))]
    sign: Option<Sign>,
    /// What it is signed with [default: one is made]
    #[arg(long, env = "KEY_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The same, as the first line of a file
    #[arg(long, value_name = "FILE", requires = "sign")]
    secret_file: Option<PathBuf>,
    /// It is taken only from whoever shows a certificate with this name, or with sha256:FINGERPRINT (http.tls_client_authority); `none`:
    /// from anybody
    #[arg(long, value_name = "NAME")]
    certificate: Option<String>,
}

/// In whose way something is to be signed.
#[derive(Clone, Copy, Debug)]
enum Sign {
    With(Scheme),
    Not,
}

impl Sign {
    const ALL: [Self; 6] = [
        Self::With(Scheme::Autocall),
        Self::With(Scheme::Grafana),
        Self::With(Scheme::Sentry),
        Self::With(Scheme::Github),
        Self::With(Scheme::Gitlab),
        Self::Not,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::With(scheme) => scheme.as_str(),
            Self::Not => "none",
        }
    }
}

/// What was done about what a key sends.
#[derive(Debug, Default)]
struct Trusted {
    places: Option<Places>,
    sign: Option<Sign>,
    made: Option<String>,
    certificate: Option<String>,
}

impl Trust {
    fn is_said(&self) -> bool {
        !self.places.is_empty() || self.resolved.is_some() || self.sign.is_some() || self.certificate.is_some()
    }

    /// The secret that was given.
    fn secret(&self) -> anyhow::Result<Option<String>> {
        let from_environment = std::env::var_os("KEY_SECRET").is_some();
        anyhow::ensure!(
            self.sign.is_some() || self.secret.is_none() || from_environment,
            "--secret is for --sign: say which way"
        );
        match &self.secret_file {
            Some(file) => Ok(Some(read(file)?.lines().next().unwrap_or_default().trim().to_owned())),
            None => Ok(self.secret.clone().filter(|secret| !secret.is_empty())),
        }
    }

    /// Does what was said.
    async fn carry_out(&self, work: &mut Work, name: &str, secret: Option<&str>) -> Result<Trusted, keys::KeyError> {
        let mut done = Trusted { sign: self.sign, certificate: self.certificate.clone(), ..Trusted::default() };
        if !self.places.is_empty() || self.resolved.is_some() {
            let change = |places: &mut Places| {
                self.places.iter().try_for_each(|(field, pointer)| places.place(field, pointer))?;
                self.resolved.as_deref().map_or(Ok(()), |words| places.say_resolved(words))
            };
            done.places = Some(keys::place(work, name, change).await?);
        }
        match self.sign {
            Some(Sign::With(scheme)) => done.made = keys::sign(work, name, scheme, secret).await?,
            Some(Sign::Not) => keys::unsign(work, name).await?,
            None => {}
        }
        if let Some(certificate) = &self.certificate {
            keys::certify(work, name, Some(certificate.as_str()).filter(|certificate| *certificate != "none")).await?;
        }
        Ok(done)
    }
}

impl Trusted {
    /// Says what was done: the secret to whoever reads the output, the rest beside it.
    fn tell(self, name: &str) {
        if let Some(places) = &self.places {
            eprintln!("{}", read_so(name, places));
        }
        match self.sign {
            Some(Sign::With(scheme)) => {
                let time = scheme.time_header().map(|header| format!(", and the time in {header}")).unwrap_or_default();
                eprintln!("what {name} sends has to be signed from now on: the signature stands in {}{time}", scheme.header());
            }
            Some(Sign::Not) => eprintln!("what {name} sends need not be signed"),
            None => {}
        }
        match self.certificate.as_deref() {
            Some("none") => eprintln!("{name} is taken without a certificate"),
            Some(certificate) => eprintln!("{name} is taken only with a certificate of {certificate} from now on"),
            None => {}
        }
        if let Some(secret) = self.made {
            println!("{secret}");
            eprintln!("This secret is shown only once. Give it to the sender.");
        }
    }
}

/// How what a key sends is read, in one line.
fn read_so(name: &str, places: &Places) -> String {
    match places.is_empty() {
        true => format!("what {name} sends is read by the common names"),
        false => format!("what {name} sends is read like this: {}", placed(places)),
    }
}

/// The places of a key, as they were said.
fn placed(places: &Places) -> String {
    let each = places.pointers.iter().map(|(field, pointer)| format!("{field}={pointer}"));
    let words = (!places.resolved.is_empty()).then(|| format!("resolved: {}", places.resolved.join(",")));
    each.chain(words).collect::<Vec<_>>().join(" ")
}

/// A file, or the standard input.
fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    match file.to_str() {
        Some("-") => std::io::stdin().take(LONGEST_MESSAGE).read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|opened| opened.take(LONGEST_MESSAGE).read_to_string(&mut text)),
    }
    .with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text)
}

/// How a message was read, field by field.
fn tell(read: &Result<Signal, Unreadable>) -> String {
    let signal = match read {
        Ok(signal) => signal,
        Err(unreadable) => return format!("refused\t{unreadable}"),
    };
    let word = match &signal.word {
        Word::Firing => "firing",
        Word::Resolved => "resolved",
        Word::Acknowledged { .. } => "acknowledged",
        Word::Noted { .. } => "noted",
        Word::Cancelled { .. } => "cancelled",
        Word::Test => "test",
        Word::Ignored(_) => "ignored",
    };
    let labels: Vec<String> = signal.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = [
        ("state", word.to_owned()),
        ("summary", signal.summary.clone()),
        ("details", signal.details.clone()),
        ("dedup_key", signal.key.clone().unwrap_or_default()),
        ("priority", signal.priority.map(|priority| priority.as_str().to_owned()).unwrap_or_default()),
        ("url", signal.link.clone().unwrap_or_default()),
        ("phones", signal.whom.join(", ")),
        ("time", signal.at.map(|at| at.to_rfc3339()).unwrap_or_default()),
        ("labels", labels.join(", ")),
    ];
    // Whoever looks sees what is there, and no terminal does what a message says.
    let lines = fields.iter().map(|(name, value)| format!("{name}\t{}", value.replace(char::is_control, " ").trim_end()));
    lines.collect::<Vec<_>>().join("\n")
}

/// How times and numbers of the calls are read that a key lists.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reading {
    /// For calls: the country of its numbers, by two letters [default: default_region]
    #[arg(long, value_name = "CC")]
    region: Option<Region>,
    /// For calls: the zone of its times, such as America/Caracas [default: phonecalls.zone]
    #[arg(long, value_name = "ZONE")]
    zone: Option<Tz>,
    /// For calls: what stands before numbers of seven digits, such as 0261
    #[arg(long, value_name = "DIGITS")]
    area_code: Option<String>,
    /// For calls: its times end in Z and are not UTC but of that zone, as those of NiMbox's own script
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    z_is_local: Option<bool>,
}

impl Reading {
    /// What was said.
    pub(in crate::cli) fn said(self) -> Said {
        Said {
            region: self.region.map(|region| region.to_string()),
            zone: self.zone,
            area_code: self.area_code,
            z_is_local: self.z_is_local.unwrap_or_default(),
        }
    }

    fn is_said(&self) -> bool {
        self.region.is_some() || self.zone.is_some() || self.area_code.is_some() || self.z_is_local.is_some()
    }
}

pub(in crate::cli) async fn run(command: KeyCommand, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let now = agreed_clock(&store).await?.now();
    match command {
        KeyCommand::Add { expires: Some(_), phonecalls, mail, .. } if phonecalls || mail => {
            anyhow::bail!("--expires is for keys that are sent over HTTP: revoke this one when it is not wanted any more");
        }
        KeyCommand::Add { name, phonecalls: true, trust, reading, .. } => {
            anyhow::ensure!(
                !trust.is_said(),
                "--place, --resolved, --sign and --certificate are for keys that raise alarms, and --phonecalls is not"
            );
            let said = reading.said();
            let own = config.phone_call_defaults();
            let add = async |work: &mut Work| keys::add_for_calls(work, &name, &said, own).await;
            let key = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("{key}");
            eprintln!("This key is shown only once. Send it as `token`, or use the path /k/KEY/direct/items/phonecalls/…");
        }
        KeyCommand::Add { reading, .. } if reading.is_said() => {
            anyhow::bail!("--region, --zone, --area-code and --z-is-local are for keys that list calls: add --phonecalls");
        }
        KeyCommand::Set { name, to, may, unbound, expires, trust, reading, reread } if trust.is_said() => {
            let is_alone = to.is_none() && !may.is_said() && !unbound && expires.is_none() && !reading.is_said() && !reread;
            anyhow::ensure!(
                is_alone,
                "--place, --resolved, --sign and --certificate are for keys that raise alarms, and the others for other keys"
            );
            let secret = trust.secret()?;
            let change = async |work: &mut Work| trust.carry_out(work, &name, secret.as_deref()).await;
            store.carry_out(now, Doer::CommandLine, change).await?.tell(&name);
        }
        KeyCommand::Add { name, phones, mail: true, trust, .. } => {
            anyhow::ensure!(
                !trust.is_said(),
                "--place, --resolved, --sign and --certificate are for keys that raise alarms over HTTP"
            );
            let add = async |work: &mut Work| keys::add_for_mail(work, &name, &phones, config.default_region).await;
            let key = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("{key}");
            eprintln!(
                "This key is shown only once. Letters to KEY@HOST raise alarms, where HOST leads to the port of mail.listen"
            );
            if config.mail.listen.is_none() {
                eprintln!("mail.listen is not set here: as long as the server has none, no letter is taken");
            }
        }
        KeyCommand::Set { name, to, may, unbound, expires, reading, reread, .. }
            if may.is_said() || unbound || expires.is_some() =>
        {
            let is_alone = to.is_none() && !reading.is_said() && !reread;
            anyhow::ensure!(is_alone, "--to, --region, --zone, --area-code, --z-is-local and --reread are said by themselves");
            let change = may.change(unbound, expires, now)?;
            let set = async |work: &mut Work| rights::change(work, &name, change).await;
            let key = store.carry_out(now, Doer::CommandLine, set).await?;
            println!("{name} may from now on: {}{}", key.rights, key_rights::told(&key));
        }
        KeyCommand::Rotate { name, overlap } => {
            let rotate = async |work: &mut Work| rights::rotate(work, &name, overlap).await;
            let secret = store.carry_out(now, Doer::CommandLine, rotate).await?;
            println!("{secret}");
            match overlap > TimeDelta::zero() {
                true => eprintln!(
                    "This secret is shown only once. The one before is good until {}.",
                    (now + overlap).format("%F %H:%M UTC")
                ),
                false => eprintln!("This secret is shown only once. The one before is refused from now on."),
            }
        }
        KeyCommand::Narrow { name, yes } => {
            let narrowing = match yes {
                true => store.carry_out(now, Doer::CommandLine, async |work| rights::narrow(work, &name).await).await?,
                false => {
                    let mut reader = store.read().await?;
                    let key = reader.db().key_by_name(&name).await?.ok_or_else(|| keys::KeyError::Unknown(name.clone()))?;
                    rights::foresee(&mut reader.db(), &key, now).await?
                }
            };
            println!("{}", key_rights::narrowed(&name, &narrowing, yes));
        }
        KeyCommand::Set { name, to: Some(to), reading, .. } => {
            anyhow::ensure!(!reading.is_said(), "--to is for keys that command calls, and the others for keys that list them");
            let may = store.carry_out(now, Doer::CommandLine, async |work| keys::may_call(work, &name, &to).await).await?;
            match may {
                Some(may) => println!("{name} may call numbers that begin with {may}"),
                None => println!("{name} may call any number"),
            }
        }
        KeyCommand::Set { name, reading, reread, to: None, .. } => {
            let change = Change {
                region: reading.region,
                zone: reading.zone,
                area_code: reading.area_code,
                z_is_local: reading.z_is_local,
            };
            let own = config.phone_call_defaults();
            let set = async |work: &mut Work| reread::change(work, &name, &change, reread, own).await;
            let Reread { moved, dropped, unreadable } = store.carry_out(now, Doer::CommandLine, set).await?;
            println!("what {name} lists is read like this from now on");
            if reread {
                println!(
                    "{moved} calls mean another time or number, {dropped} were told twice, {unreadable} cannot be read so and stay"
                );
            }
        }
        KeyCommand::Add { name, phones, may, expires, shouts, calls, trust, .. } => {
            let secret = trust.secret()?;
            let apart =
                [(shouts, Right::Shouts), (calls, Right::Calls)].into_iter().filter(|(is, _)| *is).map(|(_, right)| right);
            let apart: Rights = apart.collect();
            let grant = may.grant(&apart, expires, now)?;
            let add = async |work: &mut Work| {
                let key = keys::add_granted(work, &name, &phones, grant, config.default_region).await?;
                Ok::<_, keys::KeyError>((key, trust.carry_out(work, name.trim(), secret.as_deref()).await?))
            };
            let (key, trusted) = store.carry_out(now, Doer::CommandLine, add).await?;
            println!("{key}");
            eprintln!("This key is shown only once. Send it as `Authorization: Bearer KEY`, or use the path /k/KEY/api/v1/…");
            trusted.tell(&name);
        }
        KeyCommand::Try { name, file } => {
            let key = store.read().await?.db().key_by_name(&name).await?.ok_or_else(|| keys::KeyError::Unknown(name.clone()))?;
            let places = key.places.map(|places| places.0).unwrap_or_default();
            println!("{}", read_so(&name, &places));
            let body = read(&file)?;
            let signals = signals::tried(&places, body.into()).await.map_err(|problem| anyhow::anyhow!(problem.sentence()))?;
            for signal in &signals {
                println!("\n{}", tell(signal));
            }
        }
        KeyCommand::List => {
            for key in store.read().await?.db().keys().await? {
                let from = key.last_used_from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
                let used = key
                    .last_used_at
                    .map_or("never used".to_owned(), |at| format!("last used {}{from}", at.format("%F %H:%M UTC")));
                let state = key.revoked_at.map_or(used, |at| format!("revoked {}", at.format("%F %H:%M UTC")));
                println!(
                    "{}\t{state}\t{}\t{}{}{}{}",
                    key.name,
                    key.phones.join(","),
                    key.rights,
                    key_rights::told(&key),
                    how_read(&key, config),
                    how_trusted(&key)
                );
            }
        }
        KeyCommand::Revoke { name } => {
            store.carry_out(now, Doer::CommandLine, async |work| keys::revoke(work, &name).await).await?;
            println!("{name} is refused from now on");
        }
    }
    store.close().await;
    Ok(())
}

/// How what a key sends is read and signed, for the list of keys.
fn how_trusted(key: &KeyRow) -> String {
    let signs = key.signing.as_ref().map(|signing| format!("\tsigned as {}", signing.scheme.as_str()));
    let places = key.places.as_ref().map(|places| format!("\t{}", placed(places)));
    let certificate = key.certificate.as_ref().map(|certificate| format!("\twith the certificate of {certificate}"));
    signs.into_iter().chain(certificate).chain(places).collect()
}

/// How the calls are read that a key lists, for the list of keys.
fn how_read(key: &KeyRow, config: &Config) -> String {
    let Some(said) = &key.phonecalls else { return String::new() };
    let rule = reread::rule(&said.0, config.phone_call_defaults());
    let area_code = if rule.area_code.is_empty() { String::new() } else { format!(" area code {}", rule.area_code) };
    let z = if rule.z_is_local { " Z is local" } else { "" };
    format!("\t{} {}{area_code}{z}", rule.region, rule.zone)
}
