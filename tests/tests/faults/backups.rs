//! Scenario: backups, restores and moves are killed at random instants. A backup is whole or not there; a database is what it was or what it
//! was to be, and both can be used.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autocall_tests::postgres::{SchemaGuard, fresh_schema, shared_postgres_url};
use autocall_tests::provided_by_run;
use autocall_tests::server::{autocall, forget_own_settings};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// So many rows, that a restore takes long enough to be killed in the middle.
const ROWS: i64 = 60_000;
/// What stands in a database that is to be replaced.
const BEFORE: i64 = 3;
const KILLS: usize = 10;

/// A place for an installation.
struct Place {
    folder: PathBuf,
    schema: Option<SchemaGuard>,
}

impl Place {
    fn env(&self) -> Vec<(&str, &str)> {
        let mut env = vec![("AUTOCALL_DATA_DIR", self.folder.to_str().unwrap())];
        env.extend(self.schema.as_ref().map(|schema| ("DATABASE_URL", schema.url.as_str())));
        env
    }

    /// Runs a command to its end and gives what it says; it must succeed.
    async fn run(&self, args: &[&str]) -> String {
        let output = autocall(args, &self.env()).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        said
    }

    /// What a command says that is refused.
    async fn refused(&self, args: &[&str]) -> String {
        let output = autocall(args, &self.env()).await;
        assert!(!output.status.success(), "{args:?} was not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn sql(&self, text: &str) -> Option<i64> {
        let text = AssertSqlSafe(text.to_owned());
        match &self.schema {
            Some(schema) => {
                let mut connection = PgConnection::connect(&schema.url).await.unwrap();
                sqlx::query_scalar(text).fetch_optional(&mut connection).await.unwrap()
            }
            None => {
                let file = format!("sqlite://{}/autocall.sqlite", self.folder.display());
                let mut connection = SqliteConnection::connect(&file).await.unwrap();
                sqlx::query_scalar(text).fetch_optional(&mut connection).await.unwrap()
            }
        }
    }

    async fn count(&self) -> i64 {
        self.sql("SELECT count(*) FROM do_not_call").await.unwrap()
    }

    /// An installation that forbids so many numbers.
    async fn fill(&self, rows: i64) {
        self.run(&["migrate"]).await;
        let text = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO do_not_call (number, reason, created_at)
             SELECT '+86' || (18700000000 + i), 'a reason that is long enough to be written', '2026-11-20T03:00:00+00:00' FROM n"
        );
        let text = if self.schema.is_some() {
            text.replace("'2026-11-20T03:00:00+00:00'", "timestamptz '2026-11-20T03:00:00Z'")
        } else {
            text
        };
        self.sql(&text).await;
    }
}

async fn place(folder: &Path, name: &str, postgres: bool) -> Place {
    let schema = if postgres { Some(fresh_schema(&shared_postgres_url()).await) } else { None };
    Place { folder: folder.join(name), schema }
}

/// Starts a command and kills it after a while; true when it had ended by itself before.
fn killed_after(place: &Place, args: &[&str], time: Duration) -> bool {
    let mut command = Command::new(provided_by_run("AUTOCALL_BIN"));
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    command.args(args).envs(place.env()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(time);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

fn random() -> StdRng {
    let seed: u64 = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

async fn how_long(work: impl Future<Output = String>) -> (Duration, String) {
    let began = Instant::now();
    let said = work.await;
    (began.elapsed(), said)
}

fn word_of(refusal: &str) -> String {
    let rest = refusal.split("--replace ").nth(1).unwrap_or_else(|| panic!("no word: {refusal}"));
    rest.split([';', ' ', '\n']).next().unwrap().to_owned()
}

#[tokio::test]
async fn a_backup_that_is_killed_is_whole_or_not_there() {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), random());
    let from = place(folder.path(), "from", false).await;
    from.fill(ROWS).await;
    let path = folder.path().join("a.backup");
    let file = path.to_str().unwrap();
    let (long, _) = how_long(from.run(&["backup", file])).await;
    for _ in 0..KILLS {
        if path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        killed_after(&from, &["backup", file], long.mul_f64(random.random_range(0.0..1.2)));
        if path.exists() {
            assert!(from.run(&["backup", "--check", file]).await.contains(&format!("{ROWS} do_not_call")));
        }
    }
    // What was left is no obstacle, and an old one stays until there is a better one.
    from.run(&["backup", file, "--overwrite"]).await;
    killed_after(&from, &["backup", file, "--overwrite"], long / 2);
    assert!(from.run(&["backup", "--check", file]).await.contains("is whole"));
}

#[tokio::test]
async fn a_restore_into_sqlite_that_is_killed_is_before_or_after() {
    a_restore_that_is_killed_is_before_or_after(false).await;
}

#[tokio::test]
async fn a_restore_into_postgres_that_is_killed_is_before_or_after() {
    a_restore_that_is_killed_is_before_or_after(true).await;
}

async fn a_restore_that_is_killed_is_before_or_after(postgres: bool) {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), random());
    let from = place(folder.path(), "from", false).await;
    from.fill(ROWS).await;
    let path = folder.path().join("a.backup");
    let file = path.to_str().unwrap();
    from.run(&["backup", file]).await;
    let timed = place(folder.path(), "timed", postgres).await;
    let (long, _) = how_long(timed.run(&["restore", file])).await;
    assert_eq!(timed.count().await, ROWS);
    for turn in 0..KILLS {
        let to = place(folder.path(), &format!("to{turn}"), postgres).await;
        to.fill(BEFORE).await;
        let word = word_of(&to.refused(&["restore", file]).await);
        killed_after(&to, &["restore", file, "--replace", &word], long.mul_f64(random.random_range(0.0..1.2)));
        // A command finds a database that it can use.
        to.run(&["handset", "list"]).await;
        let count = to.count().await;
        assert!([BEFORE, ROWS].contains(&count), "{count} rows: neither before nor after");
        if count == BEFORE {
            to.run(&["restore", file, "--replace", &word]).await;
            assert_eq!(to.count().await, ROWS);
        }
    }
}

#[tokio::test]
async fn a_move_that_is_killed_leaves_both_as_they_were_or_is_done() {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), random());
    let from = place(folder.path(), "from", false).await;
    from.fill(ROWS).await;
    let timed = place(folder.path(), "timed", true).await;
    let (long, _) = how_long(from.run(&["move", "--to", &timed.schema.as_ref().unwrap().url])).await;
    for turn in 0..KILLS {
        let to = place(folder.path(), &format!("to{turn}"), true).await;
        let url = to.schema.as_ref().unwrap().url.clone();
        killed_after(&from, &["move", "--to", &url], long.mul_f64(random.random_range(0.0..1.2)));
        assert_eq!(from.count().await, ROWS);
        to.run(&["migrate"]).await;
        let count = to.count().await;
        assert!([0, ROWS].contains(&count), "{count} rows: neither before nor after");
        if count == 0 {
            from.run(&["move", "--to", &url]).await;
            assert_eq!(to.count().await, ROWS);
        }
    }
}
