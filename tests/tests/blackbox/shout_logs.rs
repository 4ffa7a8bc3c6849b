//! Scenario: detail records of shouts in files, while the server is killed, files are rotated, and the folder is full.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use autocall_tests::{
    server::{Binary, ServeOptions},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    world::{Engine, SOON, World, on_both},
};

on_both!(no_line_is_missing_after_kills, a_full_folder_disturbs_nobody);

/// Recipients of a shout. None is a number, so that each has its line when the shout is taken in.
const RECIPIENTS: usize = 40;

fn options(world: &World, folder: &Path) -> ServeOptions {
    let options = world.options().env("AUTOCALL_SHOUTS_LOG_DIR", folder.to_str().unwrap());
    options.env("AUTOCALL_SHOUTS_RECIPIENTS_PER_HOUR", "1000000")
}

async fn key(world: &World) -> String {
    let output = world.command(&["key", "add", "--name", "blast", "--shouts"]).await;
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Sends a shout that is over at once; false when the server is gone.
async fn shout(client: &Client, key: &str) -> bool {
    let recipients: Vec<String> = (0..RECIPIENTS).map(|place| format!("nobody {place}")).collect();
    let body = json!({ "userdata": "school", "message": "Hello", "recipients": recipients });
    let request = client.request(Method::POST, "/api/v1/shouts").header("X-Api-Key", key).json(&body);
    match request.send().await {
        Ok(answer) => {
            assert_eq!(answer.status(), 200);
            true
        }
        Err(_) => false,
    }
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

async fn records(world: &World, kind: &str) -> Vec<String> {
    let output = world.command(&["records", kind]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Waits until a file holds all that the command gives, and nothing else.
async fn holds_all(world: &World, file: &Path, kind: &str, server: &Binary) {
    let expected: BTreeSet<String> = records(world, kind).await.into_iter().collect();
    eventually(&format!("all lines in {}\n{}", file.display(), server.log()), SOON, async || {
        let there: BTreeSet<String> = lines(file).into_iter().collect();
        (there == expected).then_some(())
    })
    .await;
}

async fn no_line_is_missing_after_kills(engine: Engine) {
    let world = World::new(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("own");
    let mut server = Binary::spawn(options(&world, &logs)).await;
    let key = key(&world).await;
    let cdr = logs.join("cdr.log");
    for _ in 0..5 {
        let client = Client::new(&server);
        let before = lines(&cdr).len();
        let sent = Arc::new(AtomicUsize::new(0));
        let sending = tokio::spawn({
            let (key, sent) = (key.clone(), Arc::clone(&sent));
            async move {
                while shout(&client, &key).await {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // In the middle of it; what was left of the round before writes lines as well.
        let is_under_way = || sent.load(Ordering::Relaxed) > 0 && lines(&cdr).len() > before + 3 * RECIPIENTS;
        eventually("lines to be written", SOON, async || is_under_way().then_some(())).await;
        server.kill_9();
        sending.await.unwrap();
        // As a kill may leave it.
        let half = format!("{}{{\"message\":1,\"to_nu", fs::read_to_string(&cdr).unwrap());
        fs::write(&cdr, half).unwrap();
        server.restart().await;
    }
    holds_all(&world, &cdr, "cdr", &server).await;
    holds_all(&world, &logs.join("bdr.log"), "bdr", &server).await;
    let status = server.terminate_and_wait().await;
    assert!(status.success(), "{}", server.log());
    let (written, known) = (lines(&cdr).len(), records(&world, "cdr").await.len());
    assert!(known >= 15 * RECIPIENTS, "{known}");
    assert!(written < known + 5 * 500 + RECIPIENTS, "only what was being written came twice: {written} of {known}");
}

async fn a_full_folder_disturbs_nobody(engine: Engine) {
    let world = World::new(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let cdr = folder.path().join("cdr.log");
    std::os::unix::fs::symlink("/dev/full", &cdr).unwrap();
    let server = Binary::spawn(options(&world, folder.path())).await;
    let (client, key) = (Client::new(&server), key(&world).await);
    let failing = async |wanted: &str| {
        let line = format!("autocall_shout_logs_failing {wanted}");
        eventually(&line, SOON, async || {
            let page = client.request(Method::GET, "/metrics").send().await.ok()?.text().await.ok()?;
            page.lines().any(|own| own == line).then_some(())
        })
        .await;
    };
    assert!(shout(&client, &key).await);
    failing("1").await;
    assert!(server.log().contains("cdr.log: No space left on device"), "{}", server.log());
    assert_eq!(client.readyz().await["status"], "ready");
    client.alarm_is_answered("18712345678").await;
    holds_all(&world, &folder.path().join("bdr.log"), "bdr", &server).await;
    fs::remove_file(&cdr).unwrap();
    assert!(shout(&client, &key).await);
    holds_all(&world, &cdr, "cdr", &server).await;
    assert_eq!(lines(&cdr).len(), 2 * RECIPIENTS);
    failing("0").await;
    fs::remove_file(&cdr).unwrap();
    assert!(shout(&client, &key).await);
    eventually("the file to be begun anew", SOON, async || (lines(&cdr).len() == RECIPIENTS).then_some(())).await;
    assert!(server.log().contains("was removed or moved away"), "{}", server.log());
    let all = format!("{}{}", server.log(), server.said());
    assert!(!all.contains("nobody 3"), "a log tells no number: {all}");
}

/// Each node writes what it made into its own folder; one that is given the folder of another says so.
#[tokio::test]
async fn each_node_has_its_own_folder() {
    let world = World::new(Engine::Postgres).await;
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let here = Binary::spawn(options(&world, &one)).await;
    let there = Binary::spawn(options(&world, &two)).await;
    let key = key(&world).await;
    assert!(shout(&Client::new(&here), &key).await);
    for _ in 0..2 {
        assert!(shout(&Client::new(&there), &key).await);
    }
    for (node, times) in [(&one, 1), (&two, 2)] {
        let file = node.join("cdr.log");
        eventually("its lines", SOON, async || (lines(&file).len() == times * RECIPIENTS).then_some(())).await;
    }
    let mut all = lines(&one.join("cdr.log"));
    all.extend(lines(&two.join("cdr.log")));
    all.sort_unstable();
    let mut known = records(&world, "cdr").await;
    known.sort_unstable();
    assert_eq!(all, known);
    let third = Binary::spawn(options(&world, &one)).await;
    assert!(third.log().contains("give each node a folder of its own"), "{}", third.log());
    Client::new(&third).alarm_is_answered("18712345678").await;
}

/// The code block of the document that begins so.
fn documented(beginning: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/shouts.md")).unwrap();
    let block = text.split("```").find(|block| block.split_once('\n').is_some_and(|(_, code)| code.starts_with(beginning)));
    block.unwrap_or_else(|| panic!("no block begins with {beginning}")).split_once('\n').unwrap().1.to_owned()
}

fn logrotate() -> PathBuf {
    let places = ["/usr/sbin/logrotate", "/sbin/logrotate", "/usr/bin/logrotate"];
    places.into_iter().map(PathBuf::from).find(|path| path.exists()).expect("tests/run installs logrotate")
}

/// The documented way to rotate, with the real program, while lines come; and the line of blast-api's document on what comes of it.
#[tokio::test]
async fn the_documented_rotation_loses_nothing() {
    let world = World::new(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("shouts");
    let server = Binary::spawn(options(&world, &logs)).await;
    let (client, key) = (Client::new(&server), key(&world).await);
    let cdr = logs.join("cdr.log");
    assert!(shout(&client, &key).await);
    eventually("the first lines", SOON, async || (lines(&cdr).len() == RECIPIENTS).then_some(())).await;
    let configuration = documented("/var/log/autocall/shouts/*.log {")
        .replace("/var/log/autocall/shouts", logs.to_str().unwrap())
        .replace("create 0640 autocall adm", "create 0640")
        .replace("systemctl kill --kill-whom=main --signal=HUP autocall.service", &format!("kill -HUP {}", server.process_id()));
    assert!(configuration.contains("kill -HUP") && configuration.contains("create 0640\n"), "{configuration}");
    let (file, state) = (folder.path().join("rotate.conf"), folder.path().join("state"));
    fs::write(&file, configuration).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let sending = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        async move {
            for _ in 0..20 {
                assert!(shout(&client, &key).await);
            }
        }
    });
    let rotated = Command::new(logrotate()).args(["--force", "--state"]).arg(&state).arg(&file).output().unwrap();
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    sending.await.unwrap();
    let packed: Vec<PathBuf> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    let packed =
        packed.into_iter().find(|path| path.to_str().unwrap().contains("cdr.log-") && !path.to_str().unwrap().contains("rec_"));
    let packed = packed.expect("cdr.log was rotated");
    assert_eq!(packed.extension().unwrap(), "gz");
    let shell = |line: &str| {
        let output = Command::new("bash").args(["-euo", "pipefail", "-c", line]).current_dir(&logs).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let name = packed.file_name().unwrap().to_str().unwrap();
    let known: BTreeSet<String> = records(&world, "cdr").await.into_iter().collect();
    assert_eq!(known.len(), 21 * RECIPIENTS);
    eventually("all lines in one of the files", SOON, async || {
        let mut all: BTreeSet<String> = shell(&format!("zcat {name}")).lines().map(str::to_owned).collect();
        all.extend(lines(&cdr));
        (all == known).then_some(())
    })
    .await;
    eventually("the signal to be heard", SOON, async || server.log().contains("opened anew").then_some(())).await;
    let line = documented("zcat cdr.log-20260131.gz").trim_end().replace("cdr.log-20260131.gz", name);
    // `expr` gives 1 where it is 0: nobody was reached.
    assert_eq!(shell(&format!("{line} || true")).trim(), "0");
    fs::write(logs.join("minutes"), "{\"duration\":90}\n{\"duration\":150}\n").unwrap();
    assert_eq!(shell(&line.replace(&format!("zcat {name}"), "cat minutes")).trim(), "4");
}

/// What the documented pipeline of logstash reads is in the lines: files, keys and times.
#[tokio::test]
async fn the_documented_pipeline_fits_the_lines() {
    let world = World::new(Engine::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Binary::spawn(options(&world, folder.path())).await;
    let (client, key) = (Client::new(&server), key(&world).await);
    assert!(shout(&client, &key).await);
    let pipeline = documented("input {");
    for name in ["bdr", "cdr", "rec_cdr"] {
        let path = format!("path => \"/var/log/autocall/shouts/{name}.log\" codec => \"json\" tags => [\"{name}\"]");
        assert!(pipeline.contains(&path), "{name}");
        let file = folder.path().join(format!("{name}.log"));
        assert!(file.exists(), "{name}.log is there from the start");
        if name == "rec_cdr" {
            continue;
        }
        let line = eventually("a line", SOON, async || lines(&file).pop()).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let output = pipeline.lines().find(|own| own.contains(&format!("if \"{name}\" in [tags]"))).unwrap();
        let id = output.split("%{").nth(1).unwrap().split('}').next().unwrap();
        assert!(line[id].is_i64(), "{name}: {id} in {line}");
        let time = pipeline.split("match => [\"").nth(1).unwrap().split('"').next().unwrap();
        let at = line[time].as_str().unwrap_or_else(|| panic!("{name}: {time} in {line}"));
        assert!(chrono::DateTime::parse_from_rfc3339(at).is_ok(), "{at}");
    }
}
