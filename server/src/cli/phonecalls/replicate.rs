//! `autocall phonecalls replicate`: our own calls, told to another server in NiMbox's words.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::bar::Bar;
use crate::backoff::Backoff;
use crate::cli::{agreed_clock, open};
use crate::clock::Clock;
use crate::config::Config;
use crate::net::tls;
use crate::store::Store;
use crate::store::alarm::replicated::OwnCall;

/// As NiMbox's own script: so long back, as a rule and with `--full`.
const RECENT: TimeDelta = TimeDelta::hours(200);
const FULL: TimeDelta = TimeDelta::days(360);
/// A call of which nothing was heard for so long is told as it is.
const SETTLED: TimeDelta = TimeDelta::minutes(10);
/// A run that broke off is gone on with within so long.
const GONE_ON_WITHIN: TimeDelta = TimeDelta::hours(24);
/// How far it has got is noted after so many.
const NOTED_EVERY: u64 = 100;
/// One request takes no longer than this.
const WITHIN: Duration = Duration::from_secs(30);
/// Between two tries of one call.
const PAUSES: Backoff = Backoff::new(TimeDelta::seconds(1), TimeDelta::minutes(1));
/// So many tries.
const TRIES: i32 = 8;
/// So many calls in a row that the other server cannot read are no accident of theirs.
const STRIKES: usize = 5;
/// No answer is longer, in bytes.
const MOST_ANSWER: usize = 65_536;

#[derive(Debug, Args)]
pub(in crate::cli) struct Replicate {
    /// The other server, such as `https://nimbox.example.com`
    #[arg(long, value_name = "URL", required_unless_present = "csv")]
    to: Option<Url>,
    /// Its token
    #[arg(long, env = "PHONECALLS_TOKEN", hide_env_values = true, required_unless_present = "csv")]
    token: Option<String>,
    /// Calls of the last 360 days, in place of the last 200 hours
    #[arg(long)]
    full: bool,
    /// Write them into this file in place of telling them; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    csv: Option<PathBuf>,
}

/// What another server answers.
#[derive(Debug, Deserialize)]
struct Answer {
    error: bool,
    /// By the name of the parameter; some write an empty list where there are none.
    #[serde(default)]
    errors: serde_json::Value,
}

/// What became of a call.
enum Told {
    /// It is there.
    Taken,
    /// It is not wanted, for these reasons.
    Refused(serde_json::Map<String, serde_json::Value>),
}

/// Why one try failed.
enum Failed {
    /// Another may not.
    ForNow(String),
    /// Any other would, of this call.
    OfThisCall(String),
    /// Any other would, of any call.
    ForGood(String),
}

pub(super) async fn run(replicate: Replicate, config: &Config) -> anyhow::Result<()> {
    let store = open(config).await?;
    let clock = agreed_clock(&store).await?;
    let now = clock.now();
    let from = now - if replicate.full { FULL } else { RECENT };
    let link = config.http.public_url.clone();
    if let Some(file) = &replicate.csv {
        return written(&store, file, (from, now), link.as_deref()).await;
    }
    let (Some(to), Some(token)) = (replicate.to, replicate.token) else {
        anyhow::bail!("say --to URL and --token T, or --csv FILE")
    };
    anyhow::ensure!(matches!(to.scheme(), "http" | "https"), "--to: write an address that begins with http:// or https://");
    let address = format!("{}/direct/items/phonecalls/create", to.as_str().trim_end_matches('/'));
    let client = tls::client()
        .timeout(WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("autocall/", env!("CARGO_PKG_VERSION")))
        .build()?;
    let mut known_as = to.clone();
    // Whoever reads the database is not to read a password.
    let _ = known_as.set_password(None).and_then(|()| known_as.set_username(""));
    let name = format!("phonecalls replicate {known_as} {}", if replicate.full { "full" } else { "recent" });
    let sender = Sender { client, address, token };
    sender.all(&store, &clock, &name, (from, now), link.as_deref()).await
}

/// Whoever tells another server.
struct Sender {
    client: Client,
    address: String,
    token: String,
}

impl Sender {
    async fn all(
        &self,
        store: &Store,
        clock: &Clock,
        name: &str,
        (from, now): (DateTime<Utc>, DateTime<Utc>),
        link: Option<&str>,
    ) -> anyhow::Result<()> {
        let noted = store.read().await?.db().place(name).await?;
        let noted = noted.filter(|(_, at)| now - *at < GONE_ON_WITHIN).and_then(|(reached, _)| reached_before(&reached));
        let mut after = match noted {
            Some(place) if place.0 >= from => {
                eprintln!("going on where the last time broke off, with calls of {}", place.0.format("%F %T UTC"));
                place
            }
            _ => (from, 0),
        };
        let (mut told, mut refused, mut failing) = (0_u64, Vec::new(), false);
        // Before the first of those in a row that could not be read.
        let mut strikes: Vec<(DateTime<Utc>, i64)> = Vec::new();
        let mut bar = Bar::new();
        loop {
            let calls = store.read().await?.db().own_calls(after, now - SETTLED, now).await?;
            if calls.is_empty() {
                break;
            }
            for call in &calls {
                match self.tell(call, link).await {
                    Ok(Told::Taken) => strikes.clear(),
                    Ok(Told::Refused(errors)) => {
                        strikes.clear();
                        // A number that nobody has there is no fault of anybody.
                        failing |= errors.keys().any(|name| name != "destination") || errors.is_empty();
                        refused.push((call.id, call.offered_at, call.number.clone(), said(&errors)));
                    }
                    Err(Failed::OfThisCall(why)) if strikes.len() + 1 < STRIKES => {
                        strikes.push(after);
                        failing = true;
                        refused.push((call.id, call.offered_at, call.number.clone(), why));
                    }
                    Err(Failed::OfThisCall(why) | Failed::ForNow(why) | Failed::ForGood(why)) => {
                        bar.end();
                        // Those are told of again: it was nothing about them.
                        refused.truncate(refused.len() - strikes.len());
                        note(store, name, strikes.first().copied().unwrap_or(after), clock.now()).await?;
                        list(&refused);
                        anyhow::bail!("{told} calls were told, then it broke off: {why}; the next time goes on there");
                    }
                }
                told += 1;
                after = (call.offered_at, call.id);
                if told.is_multiple_of(NOTED_EVERY) && strikes.is_empty() {
                    note(store, name, after, clock.now()).await?;
                }
                bar.draw(told, 0, told);
            }
        }
        bar.end();
        let mut tx = store.begin().await?;
        tx.db().forget_place(name).await?;
        tx.commit().await?;
        list(&refused);
        println!("{told} calls told, {} of them refused", refused.len());
        anyhow::ensure!(!failing, "calls were refused for another reason than that nobody has their number there");
        Ok(())
    }

    /// Tells of one call, again and again while the other server is away.
    async fn tell(&self, call: &OwnCall, link: Option<&str>) -> Result<Told, Failed> {
        let mut tried = 0;
        loop {
            match self.try_to_tell(call, link).await {
                Ok(told) => return Ok(told),
                Err(Failed::ForNow(why)) => {
                    tried += 1;
                    if tried >= TRIES {
                        return Err(Failed::ForNow(format!("{why} ({tried} tries)")));
                    }
                    let pause = PAUSES.pause(tried - 1).to_std().unwrap_or_default();
                    tokio::time::sleep(pause).await;
                }
                Err(failed) => return Err(failed),
            }
        }
    }

    async fn try_to_tell(&self, call: &OwnCall, link: Option<&str>) -> Result<Told, Failed> {
        let mut query = vec![("token", self.token.clone())];
        query.extend(parameters(call, link).into_iter().filter(|(_, value)| !value.is_empty()));
        // An address holds the token, so no error may.
        let away = |error: reqwest::Error| Failed::ForNow(format!("the other server does not answer: {}", error.without_url()));
        let mut response = self.client.get(&self.address).query(&query).send().await.map_err(away)?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failed::ForNow(format!("the other server answers {status}")));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(away)? {
            body.extend_from_slice(&part);
            if body.len() > MOST_ANSWER {
                return Err(Failed::OfThisCall("the other server answers at length: is this its address?".to_owned()));
            }
        }
        // Which status a refusal has is not documented.
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            Failed::OfThisCall(match status.is_success() {
                true => "the other server does not answer as NiMbox does: is this its address?".to_owned(),
                false => format!("the other server answers {status}: is this its address?"),
            })
        })?;
        if !answer.error {
            return Ok(Told::Taken);
        }
        let errors = match answer.errors {
            serde_json::Value::Object(errors) => errors,
            _ => serde_json::Map::new(),
        };
        if let Some(why) = errors.get("token") {
            return Err(Failed::ForGood(format!("the other server does not take the token: {why}")));
        }
        // Of no call, but of the moment.
        if errors.contains_key("request") {
            return Err(Failed::ForNow(said(&errors)));
        }
        Ok(Told::Refused(errors))
    }
}

/// What is told of a call.
fn parameters(call: &OwnCall, link: Option<&str>) -> [(&'static str, String); 5] {
    let url = link.zip(call.alarm_id).map(|(link, alarm)| format!("{}/alarms/{alarm}", link.trim_end_matches('/')));
    [
        ("initiated", call.offered_at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        ("source", call.handset.clone().unwrap_or_else(|| "autocall".to_owned())),
        ("destination", call.number.clone()),
        ("duration", call.talk_seconds.map(|seconds| seconds.to_string()).unwrap_or_default()),
        ("url", url.unwrap_or_default()),
    ]
}

/// Calls as a file that any such server, and any spreadsheet, reads.
async fn written(
    store: &Store,
    file: &std::path::Path,
    (from, now): (DateTime<Utc>, DateTime<Utc>),
    link: Option<&str>,
) -> anyhow::Result<()> {
    let out: Box<dyn Write> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdout().lock()),
        false => Box::new(std::fs::File::create(file).with_context(|| format!("{} cannot be written", file.display()))?),
    };
    let mut out = csv::Writer::from_writer(out);
    out.write_record(["initiated", "source", "destination", "duration", "url"])?;
    let mut after = (from, 0);
    loop {
        let calls = store.read().await?.db().own_calls(after, now - SETTLED, now).await?;
        let Some(last) = calls.last() else { break };
        after = (last.offered_at, last.id);
        for call in &calls {
            out.write_record(parameters(call, link).map(|(_, value)| value))?;
        }
    }
    out.flush()?;
    Ok(())
}

async fn note(store: &Store, name: &str, (at, id): (DateTime<Utc>, i64), now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    tx.db().note_place(name, &format!("{} {id}", at.to_rfc3339()), now).await?;
    Ok(tx.commit().await?)
}

fn reached_before(text: &str) -> Option<(DateTime<Utc>, i64)> {
    let (at, id) = text.split_once(' ')?;
    Some((at.parse().ok()?, id.parse().ok()?))
}

fn said(errors: &serde_json::Map<String, serde_json::Value>) -> String {
    let one = |(name, why): (&String, &serde_json::Value)| format!("{name}: {}", why.as_str().unwrap_or_default());
    match errors.is_empty() {
        true => "no reason was given".to_owned(),
        false => errors.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

fn list(refused: &[(i64, DateTime<Utc>, String, String)]) {
    for (id, at, number, why) in refused {
        eprintln!("refused: call {id} of {} to {number}: {why}", at.format("%F %T UTC"));
    }
}
