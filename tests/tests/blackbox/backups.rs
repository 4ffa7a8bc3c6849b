//! Scenario: backups by the command line: what it says, what it refuses, and a disk that fills.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use autocall_tests::described::Held as _;
use autocall_tests::provided_by_run;
use autocall_tests::server::{Binary, ServeOptions, autocall, forget_own_settings};
use serde_json::json;

use crate::client::Client;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn run(data: &Path, args: &[&str]) -> Output {
    autocall(args, &[("AUTOCALL_DATA_DIR", data.to_str().unwrap())]).await
}

async fn done(data: &Path, args: &[&str]) -> String {
    let output = run(data, args).await;
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    said(&output)
}

async fn refused(data: &Path, args: &[&str]) -> String {
    let output = run(data, args).await;
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
    said(&output)
}

/// The same where no file may grow beyond so many KiB: for the writer that is a disk that is full.
fn on_a_small_disk(kib: u32, data: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("bash");
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    // The signal would end the program before it hears of the error.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, &provided_by_run("AUTOCALL_BIN")]).args(args);
    command.env("AUTOCALL_DATA_DIR", data).stdin(Stdio::null()).output().unwrap()
}

async fn an_alarm(server: &Binary, details: &str) {
    let body = json!({ "summary": "kept", "phones": ["18712345678"], "details": details, "dry_run": true }).to_string();
    assert_eq!(Client::new(server).post_alarm(body).sent().await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_backup_is_made_checked_and_restored_by_commands() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let mut server = Binary::spawn(ServeOptions::new().data_dir(&data)).await;
    an_alarm(&server, "").await;
    let path = folder.path().join("a.backup");
    let file = path.to_str().unwrap();
    let made = done(&data, &["backup", file]).await;
    assert!(made.contains("holds everything as of") && made.contains("not encrypted"), "{made}");
    assert!(refused(&data, &["backup", file]).await.contains("--overwrite"));
    done(&data, &["backup", file, "--overwrite"]).await;
    let checked = done(&data, &["backup", "--check", file]).await;
    assert!(checked.contains("is whole") && checked.contains("1 alarms") && checked.contains("from SQLite"), "{checked}");

    let restored = done(&other, &["restore", file]).await;
    assert!(restored.contains("never let both run"), "{restored}");
    let list = done(&other, &["alarm", "list"]).await;
    assert!(list.contains("kept"), "{list}");
    // Into itself, while it runs; then by its word.
    assert!(refused(&data, &["restore", file]).await.contains("stop it first"));
    server.terminate_and_wait().await;
    let asked = refused(&data, &["restore", file]).await;
    assert!(asked.contains("1 alarms") && asked.contains("--replace"), "{asked}");
    let word = asked.split("--replace ").nth(1).unwrap().split(';').next().unwrap();
    assert!(refused(&data, &["restore", file, "--replace", "wrong"]).await.contains(word));
    done(&data, &["restore", file, "--replace", word]).await;
    assert!(done(&data, &["alarm", "list"]).await.contains("kept"));
}

#[tokio::test]
async fn a_passphrase_is_asked_for_and_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    done(&data, &["migrate"]).await;
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (right, wrong, short) =
        (write("right", "swordfish and chips\n"), write("wrong", "swordfish and chop\n"), write("short", "abc\n"));
    let path = folder.path().join("a.backup");
    let file = path.to_str().unwrap();
    assert!(refused(&data, &["backup", file, "--encrypt"]).await.contains("--passphrase-file"));
    assert!(refused(&data, &["backup", file, "--passphrase-file", &short]).await.contains("at least 8"));
    let made = done(&data, &["backup", file, "--encrypt", "--passphrase-file", &right]).await;
    assert!(made.contains(", encrypted") && !made.contains("swordfish"), "{made}");
    assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("installation"));
    assert!(refused(&data, &["backup", "--check", file]).await.contains("--passphrase-file"));
    let said = refused(&other, &["restore", file, "--passphrase-file", &wrong]).await;
    assert!(said.contains("another passphrase") && !said.contains("swordfish"), "{said}");
    assert!(!other.join("autocall.sqlite").exists());
    let env = [("AUTOCALL_DATA_DIR", other.to_str().unwrap()), ("AUTOCALL_BACKUP_PASSPHRASE", "swordfish and chips")];
    let output = autocall(&["restore", file], &env).await;
    assert!(output.status.success(), "{}", self::said(&output));
}

#[tokio::test]
async fn a_disk_that_fills_leaves_nothing_under_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let mut server = Binary::spawn(ServeOptions::new().data_dir(&data)).await;
    for _ in 0..8 {
        // Text that cannot be packed, so that the file is larger than it may be.
        let details: String = (0..30_000).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
        an_alarm(&server, &details).await;
    }
    server.terminate_and_wait().await;
    let path = folder.path().join("a.backup");
    let file = path.to_str().unwrap();
    let output = on_a_small_disk(64, &data, &["backup", file]);
    assert!(!output.status.success() && said(&output).contains("a.backup cannot be written"), "{}", said(&output));
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"], "something was left");

    done(&data, &["backup", file]).await;
    done(&other, &["migrate"]).await;
    let before = std::fs::read(other.join("autocall.sqlite")).unwrap();
    let output = on_a_small_disk(512, &other, &["restore", file]);
    assert!(!output.status.success(), "{}", said(&output));
    assert_eq!(std::fs::read(other.join("autocall.sqlite")).unwrap(), before, "what was there has changed");
    assert!(!other.join("autocall.sqlite.restoring").exists());
    done(&other, &["restore", file]).await;
    assert!(done(&other, &["alarm", "list"]).await.contains("kept"));
}

#[tokio::test]
async fn an_installation_moves_into_another_folder_and_a_wrong_address_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let mut server = Binary::spawn(ServeOptions::new().data_dir(&data)).await;
    an_alarm(&server, "").await;
    let to = other.to_str().unwrap();
    assert!(refused(&data, &["move", "--to", to]).await.contains("stop it first"));
    server.terminate_and_wait().await;
    assert!(refused(&data, &["move", "--to", "mysql://x"]).await.contains("postgres://"));
    assert!(refused(&data, &["move", "--to", data.to_str().unwrap()]).await.contains("where the data is now"));
    let nobody = autocall_tests::redis::reserve_port();
    let away = refused(&data, &["move", "--to", &format!("postgres://alarms:swordfish@127.0.0.1:{nobody}/alarms")]).await;
    assert!(!away.contains("swordfish"), "{away}");
    let moved = done(&data, &["move", "--to", to]).await;
    assert!(moved.contains("compared on both sides") && moved.contains("was not changed"), "{moved}");
    assert!(done(&other, &["alarm", "list"]).await.contains("kept"));
    assert!(done(&data, &["alarm", "list"]).await.contains("kept"));
    assert!(refused(&data, &["move", "--to", to]).await.contains("--replace"));
    assert!(refused(&folder.path().join("nothing"), &["move", "--to", to]).await.contains("no database"));
}
