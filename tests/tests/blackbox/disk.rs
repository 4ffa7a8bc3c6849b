//! Scenario: the disk fills up, or the database takes nothing more, and later it is well again. Nobody restarts anything.

use std::{fs, io::Write, path::PathBuf, process::Command, time::Duration};

use autocall_tests::described::Held as _;
use autocall_tests::{
    postgres::PrivatePostgres,
    server::{Binary, ServeOptions},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{client::Client, client::status_and_json, world::SOON};

/// Longer than the server's own look at whether it can write.
const NOTICED: Duration = Duration::from_secs(90);

/// A disk of its own with little room.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not permitted; the same is then seen by what the database itself does, in the contract tests.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("disk-").tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=1777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "autocall-test"]).arg(folder.path()).output();
        let Ok(true) = mounted.map(|output| output.status.success()) else {
            eprintln!("not run: mounting a small disk is not permitted here");
            return None;
        };
        Some(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.path("filler")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _at_most_left_behind = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

async fn post(client: &Client, details: &str) -> u16 {
    let body = json!({ "summary": "disk full", "phones": ["18712345678"], "details": details, "dry_run": true }).to_string();
    client.post_alarm(body).sent().await.unwrap().status().as_u16()
}

async fn ready(client: &Client) -> (u16, Value) {
    status_and_json(client.request(Method::GET, "/readyz").sent().await.unwrap()).await
}

/// Waits until the server says that something is wrong.
async fn says_that_it_is_not_ready(client: &Client) -> Value {
    eventually("the server to say that it is not ready", NOTICED, async || {
        let (status, said) = ready(client).await;
        (status == 503).then_some(said)
    })
    .await
}

#[tokio::test]
async fn a_full_disk_under_the_embedded_database_passes() {
    let Some(disk) = SmallDisk::mount(6) else { return };
    let server = Binary::spawn(ServeOptions::new().data_dir(disk.path("data"))).await;
    let client = Client::new(&server);
    assert_eq!(post(&client, "").await, 201);
    disk.fill();
    let details = "x".repeat(20_000);
    // What is left inside the files is used up first.
    eventually("alarms to be refused", SOON, async || (post(&client, &details).await == 503).then_some(())).await;
    let said = says_that_it_is_not_ready(&client).await;
    assert_eq!(said["status"], "the disk of the database is full", "{said}");

    disk.empty();
    eventually("alarms to be taken again", SOON, async || (post(&client, &details).await == 201).then_some(())).await;
    eventually("ready", SOON, async || (ready(&client).await.0 == 200).then_some(())).await;
    for _ in 0..20 {
        assert_eq!(post(&client, "").await, 201);
    }
    assert!(!server.log().contains("begin_with"), "{}", server.log());
}

#[tokio::test]
async fn a_full_disk_under_postgres_passes() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let postgres = PrivatePostgres::start().await;
    let place = disk.path("tables");
    fs::create_dir(&place).unwrap();
    postgres.give_away(&place);
    postgres.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await;
    postgres.execute("ALTER DATABASE postgres SET default_tablespace = small").await;
    let server = Binary::spawn(ServeOptions::new().database(postgres.url())).await;
    let client = Client::new(&server);
    assert_eq!(post(&client, "").await, 201);
    disk.fill();
    let details = text_that_does_not_pack(20_000);
    eventually("alarms to be refused", SOON, async || (post(&client, &details).await == 503).then_some(())).await;
    disk.empty();
    // Every connection of the pool is asked at once.
    let posts: Vec<_> = (0..40)
        .map(|_| {
            let (client, details) = (client.clone(), details.clone());
            tokio::spawn(async move { post(&client, &details).await })
        })
        .collect();
    for one in posts {
        assert_eq!(one.await.unwrap(), 201);
    }
    assert!(!postgres.log().contains("transaction in progress"), "{}", postgres.log());
}

/// Postgres compresses long texts.
fn text_that_does_not_pack(length: usize) -> String {
    (0..length).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect()
}

/// As a provider does it when the room runs out: whoever connects can only read, until it is taken back, and then only new sessions can
/// write.
#[tokio::test]
async fn a_database_that_can_only_be_read_is_not_ready_and_recovers() {
    let postgres = PrivatePostgres::start().await;
    let server = Binary::spawn(ServeOptions::new().database(postgres.url())).await;
    let client = Client::new(&server);
    assert_eq!(post(&client, "").await, 201);
    postgres.execute("ALTER DATABASE postgres SET default_transaction_read_only = on").await;
    postgres.kill_connections().await;
    // The whole pool is filled with sessions that can only read.
    at_once(40, &client, |client| async move {
        client.request(Method::GET, "/api/v1/alarms").sent().await.unwrap().status().as_u16()
    })
    .await;
    at_once(40, &client, |client| async move { post(&client, "").await }).await;
    let said = says_that_it_is_not_ready(&client).await;
    assert_eq!(said["status"], "the database can only be read", "{said}");

    postgres
        .execute(
            "BEGIN; SET LOCAL transaction_read_only = off; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT",
        )
        .await;
    eventually("ready", SOON, async || (ready(&client).await.0 == 200).then_some(())).await;
    // On a busy machine a request may run into a time limit; no session may be left that can only read.
    let refused = || server.log().matches("read-only transaction").count();
    let before = refused();
    let taken = at_once(40, &client, |client| async move { post(&client, "").await }).await;
    assert_eq!(refused(), before, "a pool of old sessions refuses: {taken:?}");
    assert!(taken.contains(&201), "{taken:?}");
}

async fn at_once<W>(count: usize, client: &Client, work: impl Fn(Client) -> W) -> Vec<u16>
where
    W: Future<Output = u16> + Send + 'static,
{
    let all: Vec<_> = (0..count).map(|_| tokio::spawn(work(client.clone()))).collect();
    let mut statuses = Vec::new();
    for one in all {
        statuses.push(one.await.unwrap());
    }
    statuses
}
