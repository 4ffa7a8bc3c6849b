//! The script that NiMbox's own document gives to whoever has an Asterisk, as it stands there, against a MariaDB with Asterisk's table and our
//! server: only host, user and token are filled in.
//!
//! The document is not part of this repository: it is read where it lies beside it, in `../shared/seeds`, and where it does not the tests say so.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use autocall_tests::process::Process;
use autocall_tests::server::Binary;
use autocall_tests::wait::eventually;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde_json::Value;

use crate::client::Client;
use crate::world::{Engine, SOON, World, on_both};

on_both!(nimboxs_own_script_replicates_a_telephone_system);

/// Calls of the last 200 hours, and of the months before.
const RECENT: usize = 240;
const EARLIER: usize = 1500;

/// The script in the document, unindented.
fn script() -> Option<String> {
    let seeds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/seeds");
    let texts = std::fs::read_dir(seeds).ok()?.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    let document = texts.into_iter().find(|text| text.contains("sub convertDestination"))?;
    let code = document.split_once("    #!/usr/bin/perl")?.1;
    let lines = code.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let body: Vec<&str> = lines.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    Some(format!("#!/usr/bin/perl{}\n", body.join("\n")))
}

/// Fills in what the document says is to be filled in.
fn set(script: &mut String, name: &str, value: &str) {
    let begin = script.find(&format!("my ${name} = \"")).unwrap_or_else(|| panic!("there is no {name}"));
    let end = begin + script[begin..].find('\n').unwrap();
    script.replace_range(begin..end, &format!("my ${name} = \"{value}\";"));
}

/// A MariaDB with Asterisk's table.
struct Asterisk {
    folder: tempfile::TempDir,
    port: u16,
    _server: Process,
}

impl Asterisk {
    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("cdr-").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        let user = format!("--user={}", user.trim());
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &user])
            .arg(format!("--datadir={}", at("data")))
            .output()
            .expect("mariadb-install-db can be started");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program =
            ["/usr/sbin/mariadbd", "/usr/bin/mariadbd"].into_iter().find(|program| Path::new(program).exists()).unwrap();
        let mut command = Command::new(program);
        command.args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            &user,
        ]);
        command.arg(format!("--datadir={}", at("data"))).arg(format!("--socket={}", at("socket"))).arg(format!("--port={port}"));
        command.arg(format!("--pid-file={}", at("pid")));
        let server = Process::spawn("mariadbd", command, &folder.path().join("log"));
        let own = Self { folder, port, _server: server };
        eventually("MariaDB", SOON, async || own.try_to_run("SELECT 1").then_some(())).await;
        own.run(
            "CREATE DATABASE asterisk; CREATE USER 'testing'@'%' IDENTIFIED BY 'testing'; GRANT SELECT ON asterisk.* TO 'testing'@'%';
             CREATE TABLE asterisk.cdr (calldate datetime NOT NULL, clid varchar(80) NOT NULL DEFAULT '', src varchar(80) NOT NULL,
               dst varchar(80) NOT NULL, channel varchar(80) NOT NULL, duration int NOT NULL, disposition varchar(45) NOT NULL DEFAULT '')",
        );
        own
    }

    fn try_to_run(&self, sql: &str) -> bool {
        let mut command = Command::new("mariadb");
        command
            .args(["--no-defaults", "--user=root", "--batch"])
            .arg(format!("--socket={}", self.folder.path().join("socket").display()));
        command.args(["--execute", sql]).output().is_ok_and(|done| done.status.success())
    }

    fn run(&self, sql: &str) {
        assert!(self.try_to_run(sql), "{sql}");
    }

    /// Calls at these local times to these numbers.
    fn fill(&self, calls: &[(String, &str)]) {
        for some in calls.chunks(500) {
            let row = |(at, dst): &(String, &str)| format!("('{at}', '7222', '{dst}', 'SIP/ana maria-{at}', 45)");
            let rows: Vec<String> = some.iter().map(row).collect();
            self.run(&format!("INSERT INTO asterisk.cdr (calldate, src, dst, channel, duration) VALUES {}", rows.join(", ")));
        }
    }
}

/// Starts the script, as somebody in Caracas; what it prints is in the log.
fn start(script: &Path, option: &[&str], log: &Path) -> Process {
    let mut command = Command::new("perl");
    command.arg(script).args(option).env("TZ", "America/Caracas").env_remove("http_proxy").env_remove("HTTP_PROXY");
    Process::spawn("perl", command, log)
}

async fn calls(server: &Binary) -> Vec<Value> {
    let (client, mut all, mut cursor) = (Client::new(server), Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/api/v1/call-records?origin=replicated&limit=200{cursor}")).await;
        all.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

async fn nimboxs_own_script_replicates_a_telephone_system(engine: Engine) {
    let Some(mut script) = script() else {
        eprintln!("not tested: NiMbox's document is not in ../shared/seeds");
        return;
    };
    let world = World::new(engine).await;
    let people = world.file("people.csv", "name,numbers\nAna,+582122853348;+582612853348;+584122345678\n");
    assert!(world.command(&["people", "import", &people]).await.status.success());
    let args = ["key", "add", "--name", "pbx", "--phonecalls", "--region", "VE", "--zone", "America/Caracas", "--z-is-local"];
    let key = String::from_utf8(world.command(&args).await.stdout).unwrap();
    let mut server = world.serve().await;
    let asterisk = Asterisk::new().await;
    set(&mut script, "ASTERISK_HOST", &format!("127.0.0.1;port={}", asterisk.port));
    set(&mut script, "NIMBOX_HOST", &server.addr());
    set(&mut script, "NIMBOX_DIRECT_TOKEN", key.trim());
    let path = PathBuf::from(world.file("phonecalls", &script));

    // As people there dial: with a 9 for a line outside, seven digits for the same town.
    let taken = ["92853348", "902122853348", "904122345678", "02122853348"];
    let caracas = FixedOffset::west_opt(4 * 3600).unwrap();
    let now = autocall::clock::Clock::system().now();
    let wall = |before: TimeDelta| (now - before).with_timezone(&caracas).format("%Y-%m-%d %H:%M:%S").to_string();
    let numbers = || (0_i64..).zip(taken.into_iter().cycle());
    let recent = numbers().take(RECENT).map(|(place, number)| (wall(TimeDelta::minutes(40 * place + 5)), number));
    let earlier = numbers().take(EARLIER).map(|(place, number)| (wall(TimeDelta::hours(210 + 5 * place)), number));
    let others = [
        (wall(TimeDelta::hours(1)), "7223"),
        (wall(TimeDelta::hours(1)), "9123456"),
        (wall(TimeDelta::hours(1)), "902129999999"),
        (wall(TimeDelta::days(365)), "902122853348"),
    ];
    let all: Vec<(String, &str)> = recent.chain(earlier).chain(others).collect();
    asterisk.fill(&all);

    let folder = tempfile::tempdir().unwrap();
    let log = |name: &str| folder.path().join(name);
    let mut first = start(&path, &["-verbose"], &log("first"));
    assert!(first.wait(SOON).await.success(), "{}", first.errors());
    let said = first.output();
    assert_eq!((said.matches("... OK").count(), said.matches("... ERROR").count()), (RECENT, 2), "{said}");
    let stored = calls(&server).await;
    assert_eq!(stored.len(), RECENT);
    assert!(stored.iter().all(|call| call["person"]["name"] == "Ana" && call["caller"] == "7222"), "{:?}", stored[0]);
    let latest: DateTime<Utc> = stored[0]["offered_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(latest.timestamp(), (now - TimeDelta::minutes(5)).timestamp(), "when it was, whatever its Z says");
    assert_eq!(stored[0]["phone_number"], "+582612853348");
    assert!(stored[0]["url"].as_str().unwrap().starts_with("http://192.168.128.96/recordings/SIP/ana%20maria-"));

    let mut second = start(&path, &["-verbose"], &log("second"));
    assert!(second.wait(SOON).await.success(), "{}", second.errors());
    assert_eq!(second.output().matches("... OK").count(), RECENT);
    assert_eq!(calls(&server).await, stored, "nothing grows");

    // All of a year; the server is started again in the middle of it.
    let mut full = start(&path, &["-f"], &log("full"));
    let client = Client::new(&server);
    eventually("some of the year", SOON, async || {
        let before = wall(TimeDelta::hours(205)).replace(' ', "T");
        let page = client.get(&format!("/api/v1/call-records?origin=replicated&limit=200&ends_at={before}-04:00")).await;
        (page["items"].as_array().unwrap().len() > 100).then_some(())
    })
    .await;
    server.restart().await;
    assert!(full.wait(SOON * 4).await.success(), "it goes on without a word: {}", full.errors());
    // What it lost then it sends the next time.
    let mut again = start(&path, &["-f"], &log("again"));
    assert!(again.wait(SOON * 4).await.success(), "{}", again.errors());
    let year = calls(&server).await;
    assert_eq!(year.len(), RECENT + EARLIER, "and nothing from before");
    assert_eq!(year[..RECENT], stored, "what was there stayed as it was");
    let mut last = start(&path, &["-f"], &log("last"));
    assert!(last.wait(SOON * 4).await.success(), "{}", last.errors());
    assert_eq!(calls(&server).await, year, "nothing grows");
    assert!(!server.log().contains(key.trim()), "no token is written down");
}
