//! `autocall demo`: the real server in a temporary folder, two simulated handsets, three alarms, and the story told line by line.

use std::fs::DirBuilder;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use android_protocol::agent::{self, Kind, Options};
use android_protocol::app::Build;
use android_protocol::phone::{Behaviour, People};
use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::stop_when_asked;
use crate::alarm::event::Event;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::dashboard::people::first_login::write_private;
use crate::engine::Doer;
use crate::keep::pairing::{self, Pairing};
use crate::keep::people_import;
use crate::keep::users;
use crate::service::Service;
use crate::store::Work;

/// What Alertmanager really posted; see `fixtures/`.
const ALERTMANAGER: &str = include_str!("../../../fixtures/alertmanager/firing.json");
const ROSTER: &str =
    "name,numbers,language\n张伟 Zhang Wei,18712345678,zh-CN\n李娜 Li Na,18812345678,zh-CN\n王芳 Wang Fang,18912345678,zh-CN\n";
const ZHANG: &str = "18712345678";
const LI: &str = "18812345678";
const WANG: &str = "18912345678";
/// The simulated phones' time runs this much faster, so that a minute of ringing does not take one.
const SPEED: f64 = 10.0;
/// Longest that one part of the story may take.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Address to listen on; another port is taken when it is in use
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    listen: SocketAddr,
    /// Stop when the story is told
    #[arg(long)]
    once: bool,
    /// Also show what the phones and the server say to each other
    #[arg(long)]
    verbose: bool,
}

pub(super) async fn run(demo: Demo) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("autocall-demo-{}-{}", std::process::id(), users::new_password()));
    // It must not be there yet: in a folder that is shared with others, somebody may have laid it out for us.
    DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let stop = CancellationToken::new();
    stop_when_asked(&stop, None)?;
    let told = tell(&demo, &folder, &stop).await;
    // The folder is ours and temporary; if it cannot be removed, the system will do so one day.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    told
}

/// Runs the server, tells the story on it until it ends or `stop` is cancelled, and ends the server in order.
async fn tell(demo: &Demo, folder: &Path, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    // The phones live ten times as fast, so the server must not wait for them at their old pace.
    config.handsets.ring = Duration::from_secs(8);
    config.handsets.patience = Duration::from_secs(45);
    config.alarms.min_interval = Duration::from_secs(6);
    let listener = match TcpListener::bind(demo.listen).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind((demo.listen.ip(), 0)).await.context("no port is free")?,
    };
    config.listen = listener.local_addr().context("the server does not know its own address")?;
    let service = Service::build(config, listener, Clock::system()).await?;
    let app = service.app();
    let way_in = service.pages().first_login().told(app.config().listen);
    let running = tokio::spawn(service.run(stop.clone()));
    let told = tokio::select! {
        told = story(demo, &app, way_in.as_deref(), stop) => told,
        () = stop.cancelled() => Ok(()),
    };
    stop.cancel();
    running.await?;
    told?;
    say("\nThe demonstration is over; its folder is gone.");
    Ok(())
}

async fn story(demo: &Demo, app: &App, way_in: Option<&str>, stop: &CancellationToken) -> anyhow::Result<()> {
    let config = app.config();
    let base = format!("http://{}", config.listen);
    say(&format!("The server runs at {base}, its data is in {}", config.data_dir.display()));
    if let Some(first_login) = way_in {
        say(&format!("Watch it on the page, {base}/: to get in, {first_login}"));
    }
    let people = people_import::read_csv(ROSTER, config.default_region)?;
    let import = async |work: &mut Work| people_import::import(work, &people).await;
    let imported = app.engine.carry_out(Doer::CommandLine, import).await?;
    tell_line(&format!("{} people were imported: Zhang Wei, Li Na, Wang Fang", imported.new));
    let desk = Simulated { name: "desk", kind: Kind::App(Build::Head), ring_seconds: 8, verbose: demo.verbose };
    let pixel = Simulated { name: "pixel", kind: Kind::Native, ring_seconds: 60, verbose: demo.verbose };
    pair_and_start(app, &base, desk, stop).await?;
    pair_and_start(app, &base, pixel, stop).await?;

    let sender = Sender { base: base.clone(), http: crate::net::tls::client().no_proxy().build()? };
    say("\n1. A disk fills up. Zhang Wei sleeps, Li Na picks up.");
    let alarm = json!({ "summary": "Disk 95 % full on db1", "source": "demo", "priority": "high", "phones": [ZHANG, LI] });
    sender.follow(sender.raise("/api/v1/alarms", &alarm).await?).await?;
    say("\n2. Alertmanager sends a group of two alerts, exactly as it does in the field.");
    let message: Value = serde_json::from_str(ALERTMANAGER).context("the recorded message")?;
    sender.follow(sender.raise(&format!("/api/v1/intake/alertmanager?phones={LI}"), &message).await?).await?;
    say("\n3. Nobody is there.");
    let alarm = json!({ "summary": "Backup of crm failed", "source": "demo", "phones": [WANG], "attempts": 2 });
    sender.follow(sender.raise("/api/v1/alarms", &alarm).await?).await?;
    if demo.once {
        return Ok(());
    }
    be_the_handset(app, &base).await?;
    stop.cancelled().await;
    Ok(())
}

/// Hands over to whoever watches: the simulated phones are switched off, and the lines of one are told.
async fn be_the_handset(app: &App, base: &str) -> anyhow::Result<()> {
    for name in ["desk", "pixel"] {
        app.engine.carry_out(Doer::CommandLine, async |work| pairing::set_disabled(work, name, true).await).await?;
    }
    let you = Pairing::new("you", &app.config().handsets);
    let token = app.engine.carry_out(Doer::CommandLine, async |work| pairing::add(work, &you).await).await?;
    let lines = format!(
        "  curl -s {base}/api/v1/alarms -d '{{\"summary\": \"My own alarm\", \"phones\": [\"{ZHANG}\"]}}'\n  \
         curl -s {base}/h/{token}/alert/phone\n  \
         curl -s -X POST '{base}/h/{token}/alert/phone?resp={ZHANG}&mid=MID'\n  \
         curl -s '{base}/api/v1/alarms?limit=1'"
    );
    say("\nNow be the handset yourself; the other two are switched off. Raise an alarm, ask for it as a phone does, say who");
    say("answered (with the mid that you were given), and read what became of it:\n");
    if std::io::stdout().is_terminal() {
        say(&lines);
    } else {
        // The address of a handset is a secret: it is for a terminal, or for its owner alone.
        let file = app.config().data_dir.join("be-the-handset.txt");
        write_private(&app.config().data_dir, &file, &format!("{lines}\n"))?;
        say(&format!("  the four lines are in {}", file.display()));
    }
    say("\nCtrl-C ends the demonstration.");
    Ok(())
}

/// A simulated phone and how it is paired.
struct Simulated {
    name: &'static str,
    kind: Kind,
    /// How long the server lets it ring, in the phone's own fast time for one that counts by itself.
    ring_seconds: i32,
    verbose: bool,
}

async fn pair_and_start(app: &App, base: &str, simulated: Simulated, stop: &CancellationToken) -> anyhow::Result<()> {
    let Simulated { name, kind, ring_seconds, verbose } = simulated;
    let pairing = Pairing { ring_seconds, ..Pairing::new(name, &app.config().handsets) };
    let token = app.engine.carry_out(Doer::CommandLine, async |work| pairing::add(work, &pairing).await).await?;
    let people = People::default()
        .with(ZHANG, [Behaviour::rings(40)])
        .with(LI, [Behaviour::answers(12, 15)])
        .with(WANG, [Behaviour::rings(35)]);
    let mut options = Options::new(kind, &format!("{base}/h/{token}/alert/phone"), people);
    options.speed = SPEED;
    let stop = stop.clone();
    tell_line(&format!("the handset {name} ({kind}) is paired and polls"));
    tokio::spawn(async move {
        // What goes over the wire is told on demand; what the phone does belongs to the story.
        let tell = move |_: Duration, line: &str| {
            if verbose || line.starts_with("phone:") {
                tell_line(&format!("  {name}: {}", line.trim_start_matches("phone: ")));
            }
        };
        if let Err(error) = agent::run_and_tell(options, async move { stop.cancelled().await }, tell).await {
            tell_line(&format!("  {name} stopped: {error}"));
        }
    });
    Ok(())
}

/// Sends alarms over HTTP and tells what becomes of them.
struct Sender {
    base: String,
    http: reqwest::Client,
}

impl Sender {
    /// Posts an alarm over HTTP and gives its id.
    async fn raise(&self, path: &str, body: &Value) -> anyhow::Result<String> {
        let response = self.http.post(format!("{}{path}", self.base)).json(body).send().await?.error_for_status()?;
        let answer: Value = response.json().await?;
        let alarm = answer["alarms"].get(0).unwrap_or(&answer);
        let id = alarm["id"].as_str().context("the answer names no alarm")?.to_owned();
        tell_line(&format!("the alarm is in: {}/api/v1/alarms/{id}", self.base));
        Ok(id)
    }

    /// Tells what happens to an alarm until it ends.
    async fn follow(&self, id: String) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut told = 0;
        loop {
            let alarm: Value = self.http.get(format!("{}/api/v1/alarms/{id}", self.base)).send().await?.json().await?;
            let timeline = alarm["timeline"].as_array().map_or(&[][..], Vec::as_slice);
            for event in timeline.iter().skip(told) {
                if let Some(line) = in_words(event) {
                    tell_line(&line);
                }
            }
            told = timeline.len();
            if let Some(end) = end_in_words(&alarm) {
                say(&format!("   => {end}"));
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("the alarm {id} did not end in time; its timeline: {}", alarm["timeline"]);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn in_words(event: &Value) -> Option<String> {
    match Event::read(event["kind"].as_str()?, &event["body"]) {
        Event::HandedOut { callees, handset, .. } => {
            let rung = callees.first()?;
            let who = rung.name.as_ref().unwrap_or(&rung.number);
            Some(format!("{} rings {who}", handset.as_deref().unwrap_or("nobody")))
        }
        Event::Nobody { .. } => Some("no answer".to_owned()),
        Event::Expired { .. } => Some("the phone did not report in time".to_owned()),
        _ => None,
    }
}

fn end_in_words(alarm: &Value) -> Option<String> {
    match alarm["state"].as_str()? {
        "answered" => {
            let answer = &alarm["answer"];
            let seconds = answer["after_seconds"].as_f64().unwrap_or_default();
            Some(format!(
                "{} answered after {seconds:.1} s, through {}",
                answer["name"].as_str()?,
                answer["dialled_by"]["name"].as_str().unwrap_or("-")
            ))
        }
        "no_answer" => Some("NOBODY answered".to_owned()),
        "waiting" | "ringing" => None,
        other => Some(other.to_owned()),
    }
}

/// One line of the story.
fn tell_line(line: &str) {
    say(&format!("   {line}"));
}

/// Lines come from several tasks; each is written as a whole. Whoever listens may have left: the story goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
