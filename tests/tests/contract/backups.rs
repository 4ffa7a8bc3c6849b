//! Backups: made while alarms ring, restored into either engine, and the call goes on; what is not whole, or not wanted, changes nothing.

use std::path::{Path, PathBuf};

use autocall::config::{Config, SecretUrl};
use autocall::store::backup::file::{self, NewBackup};
use autocall::store::backup::restoring::{Destination, Restored, restore};
use autocall::store::backup::sealed::Passphrase;
use autocall::store::backup::source::{self, Source};
use autocall::store::backup::{BackupError, back_up, check};
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Kind, Server, on_both};

on_both!(
    a_backup_made_while_it_rings_goes_on_in_either_database,
    what_is_not_whole_changes_nothing,
    what_is_in_use_goes_only_by_its_word,
    nothing_is_restored_under_a_server,
    an_installation_moves_and_moves_back,
    the_server_makes_backups_by_itself,
    backups_that_fail_are_noticed,
    a_search_finds_again_what_was_restored,
);

const OTHER: [Kind; 2] = [Kind::Embedded, Kind::Shared];

fn passphrase() -> Passphrase {
    Passphrase::of("correct horse battery").unwrap()
}

fn url(config: &Config) -> Option<&str> {
    config.database_url.as_ref().map(SecretUrl::expose)
}

/// A backup of what is there now, beside whatever runs.
async fn back_up_into(config: &Config, path: &Path, sealed: bool, server: &Server) -> Result<u64, BackupError> {
    let source = Source::open(url(config), &config.data_dir, false).await?;
    let to = NewBackup { path: path.to_owned(), overwrite: false, passphrase: sealed.then(passphrase) };
    back_up(source, to, server.now()).await.map(|written| written.rows())
}

fn into(home: &Home, replace: Option<&str>) -> Destination {
    let config = home.config();
    Destination {
        database_url: url(&config).map(str::to_owned),
        data_dir: config.data_dir,
        heeds_note: true,
        replace: replace.map(str::to_owned),
        keeps_sessions: false,
        what: "the backup".to_owned(),
    }
}

async fn restore_into(home: &Home, path: &Path, replace: Option<&str>) -> Result<Restored, BackupError> {
    restore(&into(home, replace), file::pour(path.to_owned(), Some(passphrase()))).await
}

/// What programs are told, but for what each server says of itself.
async fn told(server: &Server, alarms: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["alarms", "people", "policies", "call-records", "do-not-call", "schedules", "heartbeats"] {
        all.push(server.get(&format!("/api/v1/{path}")).await);
    }
    for alarm in alarms {
        all.push(server.alarm(alarm).await);
    }
    all
}

async fn with_something_in_it(server: &Server) -> (String, String, String) {
    let desk = server.pair("desk", Profile::List).await;
    let (status, person) = server.post("/api/v1/people", &json!({ "name": "Ann – 安", "numbers": [A] })).await;
    assert_eq!(status, 201, "{person}");
    let done =
        server.raise(&[B], json!({ "details": "a\tb\\c\n\"d\" – é 磁盘", "labels": { "team": "db", "size": "10\"" } })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(server.state(&done).await, "answered");
    server.pass(120).await;
    let ringing = server.raise(&[A], json!({ "priority": "critical" })).await;
    (desk, done, ringing)
}

fn a_file(home: &Home, name: &str) -> PathBuf {
    home.config().data_dir.parent().unwrap().join(name)
}

async fn a_backup_made_while_it_rings_goes_on_in_either_database(home: Home) {
    let server = home.start().await;
    let (desk, done, ringing) = with_something_in_it(&server).await;
    let (mid, phones) = server.dial(&desk).await;
    let path = a_file(&server.home, "a.backup");
    let config = server.home.config();
    let rows = back_up_into(&config, &path, true, &server).await.unwrap();
    let before = told(&server, &[&done, &ringing]).await;
    let contents = check(&path, Some(passphrase())).await.unwrap();
    assert!(contents.sealed);
    assert_eq!(contents.tables.iter().map(|(_, rows)| rows).sum::<u64>(), rows);
    let of = |name: &str| contents.tables.iter().find(|(table, _)| table == name).unwrap().1;
    assert_eq!((of("alarms"), of("dials"), of("people")), (2, 2, 1));
    for kind in OTHER {
        let home = Home::new(kind).await;
        home.clock.advance(server.now() - home.clock.now());
        let restored = restore_into(&home, &path, None).await.unwrap();
        assert_eq!(restored.rows(), rows);
        let restored = home.start().await;
        assert_eq!(told(&restored, &[&done, &ringing]).await, before, "{kind:?}");
        assert_eq!(restored.dial(&desk).await, (mid.clone(), phones.clone()), "the handset holds the same call: {kind:?}");
        restored.report(&desk, &mid, Some(A)).await;
        let alarm = restored.alarm(&ringing).await;
        assert_eq!(alarm["state"], "answered", "{alarm}");
        assert_eq!(alarm["answers"][0]["name"], "Ann – 安", "{alarm}");
        // What is counted goes on behind what was given.
        restored.pass(120).await;
        let next = restored.raise(&[B], json!({})).await;
        let (other, _) = restored.dial(&desk).await;
        assert_ne!(other, mid);
        restored.report(&desk, &other, Some(B)).await;
        assert_eq!(restored.state(&next).await, "answered");
        let ids = restored.items("/api/v1/call-records").await;
        let mut ids: Vec<i64> = ids.as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3, "ids are given once: {kind:?}");
    }
    // The server that was backed up noticed nothing.
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&ringing).await, "answered");
}

/// How many rows of each table there are, and which installation: that nothing has changed.
async fn state_of(home: &Home) -> Vec<String> {
    let config = home.config();
    let Ok(source) = Source::open(url(&config), &config.data_dir, false).await else { return Vec::new() };
    let mut from = source::pour(source, home.clock.now());
    let mut seen = Vec::new();
    while let Some(piece) = from.recv().await {
        match piece {
            Ok(autocall::store::backup::Piece::Head(head)) => seen.push(format!("{:?}", head.installation)),
            Ok(autocall::store::backup::Piece::Rows(rows)) => seen.push(format!("{rows:?}")),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    seen
}

async fn what_is_not_whole_changes_nothing(home: Home) {
    let server = home.start().await;
    with_something_in_it(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let config = server.home.config();
    for sealed in [false, true] {
        let path = folder.path().join(format!("{sealed}.backup"));
        back_up_into(&config, &path, sealed, &server).await.unwrap();
        assert!(matches!(back_up_into(&config, &path, sealed, &server).await, Err(BackupError::Exists(_))));
        let whole = std::fs::read(&path).unwrap();
        let kind = if server.home.is_shared() { Kind::Shared } else { Kind::Embedded };
        let target = Home::new(kind).await;
        let before = state_of(&target).await;
        let bad = folder.path().join("bad");
        for end in [0, 1, 40, whole.len() / 3, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            std::fs::write(&bad, &whole[..end]).unwrap();
            let said = restore_into(&target, &bad, None).await.unwrap_err().to_string();
            assert!(said.contains("bad"), "cut at {end}: {said}");
            assert_eq!(state_of(&target).await, before, "cut at {end}");
        }
        for place in [whole.len() / 4, whole.len() / 2, whole.len() - 20] {
            let mut changed = whole.clone();
            changed[place] ^= 0x55;
            std::fs::write(&bad, &changed).unwrap();
            restore_into(&target, &bad, None).await.unwrap_err();
            assert_eq!(state_of(&target).await, before, "changed at {place}");
        }
        let other = Passphrase::of("another passphrase").unwrap();
        if sealed {
            let said = restore(&into(&target, None), file::pour(path.clone(), Some(other))).await.unwrap_err().to_string();
            assert!(said.contains("another passphrase"), "{said}");
            let said = restore(&into(&target, None), file::pour(path.clone(), None)).await.unwrap_err().to_string();
            assert!(said.contains("--passphrase-file"), "{said}");
            assert_eq!(state_of(&target).await, before);
        }
        restore_into(&target, &path, None).await.unwrap();
        assert_ne!(state_of(&target).await, before);
    }
    let nowhere = folder.path().join("no/such/folder/a.backup");
    assert!(back_up_into(&config, &nowhere, false, &server).await.unwrap_err().to_string().contains("no/such/folder"));
}

async fn what_is_in_use_goes_only_by_its_word(home: Home) {
    let server = home.start().await;
    let (_, done, ringing) = with_something_in_it(&server).await;
    let path = a_file(&server.home, "a.backup");
    let config = server.home.config();
    back_up_into(&config, &path, false, &server).await.unwrap();
    let before = told(&server, &[&done, &ringing]).await;
    let since = server.raise(&[B], json!({ "summary": "since the backup" })).await;
    let home = server.stop().await;
    let there = state_of(&home).await;
    let Err(BackupError::InUse { word, holds, .. }) = restore_into(&home, &path, None).await else { panic!("it was taken") };
    assert!(holds.starts_with("3 alarms, 1 people"), "{holds}");
    assert!(matches!(restore_into(&home, &path, Some("everything")).await, Err(BackupError::InUse { .. })));
    assert_eq!(state_of(&home).await, there);
    restore_into(&home, &path, Some(&word)).await.unwrap();
    let server = home.start().await;
    assert_eq!(told(&server, &[&done, &ringing]).await, before);
    assert_eq!(server.http.get(format!("{}/api/v1/alarms/{since}", server.base)).send().await.unwrap().status(), 404);
}

async fn nothing_is_restored_under_a_server(home: Home) {
    let server = home.start().await;
    let path = a_file(&server.home, "a.backup");
    let config = server.home.config();
    back_up_into(&config, &path, false, &server).await.unwrap();
    // On Postgres a node is known by its listening, which begins a moment after its start.
    autocall_tests::wait::eventually("the server to be seen", std::time::Duration::from_secs(20), async || {
        matches!(Source::open(url(&config), &config.data_dir, true).await, Err(BackupError::Served(_))).then_some(())
    })
    .await;
    let before = state_of(&server.home).await;
    let refused = restore_into(&server.home, &path, None).await.unwrap_err();
    assert!(matches!(refused, BackupError::Served(_)), "{refused}");
    let refused = refused.to_string();
    assert!(refused.contains("stop it first"), "{refused}");
    assert_eq!(state_of(&server.home).await.len(), before.len());
}

async fn an_installation_moves_and_moves_back(home: Home) {
    let server = home.start().await;
    let (desk, done, ringing) = with_something_in_it(&server).await;
    let (mid, _) = server.dial(&desk).await;
    let before = told(&server, &[&done, &ringing]).await;
    let first = server.stop().await;
    let second = Home::new(if first.is_shared() { Kind::Embedded } else { Kind::Shared }).await;
    second.clock.advance(first.clock.now() - second.clock.now());
    let there = state_of(&first).await;
    let moved = async |from: &Home, to: &Home| {
        let config = from.config();
        let source = Source::open(url(&config), &config.data_dir, true).await.unwrap();
        let to = Destination { heeds_note: false, keeps_sessions: true, ..into(to, None) };
        restore(&to, source::pour(source, from.clock.now())).await
    };
    let done_there = moved(&first, &second).await.unwrap();
    assert_eq!(state_of(&first).await, there, "where it came from is as it was");
    assert!(done_there.tables.iter().any(|table| table.table == "media_pieces"));
    // A second time it is refused: there is something now.
    assert!(matches!(moved(&first, &second).await, Err(BackupError::InUse { .. })));
    let server = second.start().await;
    assert_eq!(told(&server, &[&done, &ringing]).await, before);
    server.report(&desk, &mid, Some(A)).await;
    let after = told(&server, &[&done, &ringing]).await;
    let second = server.stop().await;
    let third = Home::new(if second.is_shared() { Kind::Embedded } else { Kind::Shared }).await;
    third.clock.advance(second.clock.now() - third.clock.now());
    moved(&second, &third).await.unwrap();
    let server = third.start().await;
    assert_eq!(told(&server, &[&done, &ringing]).await, after);
    assert_eq!(server.state(&ringing).await, "answered");
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn the_server_makes_backups_by_itself(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("backups");
    std::fs::write(folder.path().join("secret"), "correct horse battery\n").unwrap();
    let home = home.set("AUTOCALL_BACKUP_DIR", dir.to_str().unwrap()).set("AUTOCALL_BACKUP_KEEP", "2");
    let home = home.set("AUTOCALL_BACKUP_PASSPHRASE_FILE", folder.path().join("secret").to_str().unwrap());
    let server = home.start().await;
    let (_, done, ringing) = with_something_in_it(&server).await;
    server.app.engine.keep_backups().await.unwrap();
    let first = files_in(&dir);
    assert_eq!(first.len(), 1, "{first:?}");
    check(&dir.join(&first[0]), Some(passphrase())).await.unwrap();
    let state = server.app.engine.store.read().await.unwrap().db().backup_state().await.unwrap();
    assert_eq!((state.made_at, state.failure), (Some(server.now()), None));
    server.app.engine.keep_backups().await.unwrap();
    assert_eq!(files_in(&dir), first, "none is due");
    // Another node finds that it is done.
    if server.home.schema().is_some() {
        let other = server.home.quiet_node().await;
        other.app.engine.keep_backups().await.unwrap();
        assert_eq!(files_in(&dir), first);
    }
    for _ in 0..2 {
        server.home.clock.advance(chrono::TimeDelta::hours(24));
        server.app.engine.keep_backups().await.unwrap();
    }
    let kept = files_in(&dir);
    assert_eq!(kept.len(), 2, "the oldest has gone: {kept:?}");
    assert!(!kept.contains(&first[0]));
    let metrics = server.page("/metrics").await;
    assert!(metrics.contains("autocall_backup_age_seconds 0") && metrics.contains("autocall_backup_failing 0"), "{metrics}");
    let target = Home::new(Kind::Embedded).await;
    target.clock.advance(server.now() - target.clock.now());
    restore_into(&target, &dir.join(&kept[1]), None).await.unwrap();
    let restored = target.start().await;
    for alarm in [done, ringing] {
        assert_eq!(restored.alarm(&alarm).await["summary"], server.alarm(&alarm).await["summary"]);
    }
}

async fn backups_that_fail_are_noticed(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("backups");
    std::fs::write(&dir, "a file where a folder should be").unwrap();
    let server = home.set("AUTOCALL_BACKUP_DIR", dir.to_str().unwrap()).start().await;
    server.app.engine.keep_backups().await.unwrap();
    let state = server.app.engine.store.read().await.unwrap().db().backup_state().await.unwrap();
    assert!(state.failure.is_some_and(|why| why.contains("backups")) && state.failed_since == Some(server.now()));
    assert!(server.app.engine.backup_trouble().is_some());
    assert!(server.page("/metrics").await.contains("autocall_backup_failing 1"));
    // It is not tried at every look, and tried again in a while.
    std::fs::remove_file(&dir).unwrap();
    server.app.engine.keep_backups().await.unwrap();
    assert!(!dir.exists());
    server.home.clock.advance(chrono::TimeDelta::minutes(15));
    server.app.engine.keep_backups().await.unwrap();
    assert_eq!(files_in(&dir).len(), 1);
    assert_eq!(server.app.engine.backup_trouble(), None);
    // An old one is noticed too, whoever should have made a newer one.
    server.home.clock.advance(chrono::TimeDelta::hours(49));
    assert!(server.app.engine.backup_trouble().is_some());
}

async fn a_search_finds_again_what_was_restored(home: Home) {
    let server = home.start().await;
    let (_, done, _) = with_something_in_it(&server).await;
    server.pass(1).await;
    let found = async |server: &Server| server.items("/api/v1/alarms?q=%E7%A3%81%E7%9B%98").await.as_array().unwrap().len();
    assert_eq!(found(&server).await, 1);
    let path = a_file(&server.home, "a.backup");
    back_up_into(&server.home.config(), &path, false, &server).await.unwrap();
    for kind in OTHER {
        let home = Home::new(kind).await;
        home.clock.advance(server.now() - home.clock.now());
        restore_into(&home, &path, None).await.unwrap();
        let restored = home.start().await;
        restored.pass(1).await;
        restored.pass(1).await;
        assert_eq!(found(&restored).await, 1, "{kind:?}");
        assert_eq!(restored.state(&done).await, "answered");
    }
}
