//! A database with people and handsets in it, and the settings that its nodes are started with.

use std::path::PathBuf;

use autocall::clock::Clock;
use autocall::config::{Config, Overrides};
use autocall::engine::Doer;
use autocall::ids::PersonId;
use autocall::keep::pairing::{self, Pairing};
use autocall::store::Store;
use autocall::store::watch::handsets::{IdleForm, Profile};
use autocall_tests::{
    postgres::{SchemaGuard, fresh_schema, shared_postgres_url},
    redis::shared_redis_url,
    server::ServeOptions,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::{apps, phones::Kind, senders::number};

/// How many numbers all alarms share.
pub const NUMBERS: usize = 30;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one, without Redis.
    Sqlite,
    /// Postgres and Redis, those that all tests share.
    Postgres,
}

/// What nodes run on.
pub struct Installation {
    folder: TempDir,
    _schema: Option<SchemaGuard>,
    database_url: Option<String>,
    redis_url: Option<String>,
    /// Alarms for the same people are rung for together.
    pub joins: bool,
}

/// A handset that was paired.
pub struct Paired {
    pub name: String,
    pub token: String,
}

impl Installation {
    /// An empty one.
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::on(None, None),
            Engine::Postgres => {
                let schema = fresh_schema(&shared_postgres_url()).await;
                let on = Self::on(Some(schema.url.clone()), Some(shared_redis_url()));
                Self { _schema: Some(schema), ..on }
            }
        }
    }

    /// An empty one on these servers, which the scenario may break.
    pub fn on(database_url: Option<String>, redis_url: Option<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("faults-").tempdir().unwrap();
        Self { folder, _schema: None, database_url, redis_url, joins: false }
    }

    /// The same, but alarms for the same people are rung for together.
    pub fn with_joins(mut self) -> Self {
        self.joins = true;
        self
    }

    /// What a node is started with.
    pub fn options(&self) -> ServeOptions {
        let mut options = ServeOptions::new()
            .data_dir(self.data_dir())
            // Deadlines as short as these phones can keep to.
            .env("AUTOCALL_HANDSETS_RING_SECONDS", "10")
            .env("AUTOCALL_HANDSETS_PATIENCE_SECONDS", "10")
            .env("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", if self.joins { "120" } else { "0" });
        if let Some(url) = &self.database_url {
            options = options.database(url);
        }
        if let Some(url) = &self.redis_url {
            options = options.redis(url);
        }
        options
    }

    /// The embedded database, for a program that works beside the server.
    pub fn sqlite_file(&self) -> String {
        format!("sqlite://{}/autocall.sqlite", self.data_dir().display())
    }

    /// A new file that nodes are told of.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its database, for what is done beside the server.
    pub async fn store(&self) -> Store {
        Store::open_beside_server(self.database_url.as_deref(), &self.data_dir()).await.unwrap()
    }

    /// Brings the tables up to date and gives every other number to a person.
    pub async fn prepare(&self) {
        let (store, now) = (self.store().await, Clock::system().now());
        let mut tx = store.begin().await.unwrap();
        for index in (0..NUMBERS).step_by(2) {
            let id = tx.db().upsert_person(PersonId::new(now), &person(index), "zh", now).await.unwrap();
            tx.db().set_numbers(id, &[format!("+86{}", number(index))]).await.unwrap();
        }
        tx.commit().await.unwrap();
        store.close().await;
    }

    /// Pairs handsets: a name and what each can be given, and whether its app runs without a screen.
    pub async fn pair(&self, handsets: &[(String, Kind, bool)]) -> Vec<Paired> {
        self.pair_ringing(handsets, apps::RING_SECONDS).await
    }

    /// The same with phones that ring for so long.
    pub async fn pair_ringing(&self, handsets: &[(String, Kind, bool)], ring_seconds: i32) -> Vec<Paired> {
        let overrides = Overrides { listen: None, data_dir: Some(self.data_dir()) };
        let config = Config::load(None, |_| None, overrides).unwrap().config;
        let (store, now) = (self.store().await, Clock::system().now());
        let mut paired = Vec::new();
        for (name, kind, headless) in handsets {
            let mut pairing = Pairing::new(name, &config.handsets);
            pairing.ring_seconds = ring_seconds;
            pairing.profile = match kind {
                Kind::App => Profile::App,
                Kind::List => Profile::List,
                Kind::Repeat => Profile::Repeat,
                Kind::Native => Profile::Native,
            };
            if *headless {
                pairing.idle_form = IdleForm::HeadlessSafe;
            }
            let token = store.carry_out(now, Doer::Server, async |work| pairing::add(work, &pairing).await).await.unwrap();
            paired.push(Paired { name: name.clone(), token });
        }
        store.close().await;
        paired
    }

    /// What a query that counts says.
    pub async fn count(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.database_url {
            Some(url) => sqlx::query_scalar(sql).fetch_one(&mut connect_to_primary(url).await).await.unwrap(),
            None => sqlx::query_scalar(sql)
                .fetch_one(&mut SqliteConnection::connect(&self.sqlite_file()).await.unwrap())
                .await
                .unwrap(),
        }
    }
}

/// A connection to the one of the hosts that is there and no standby.
async fn connect_to_primary(url: &str) -> PgConnection {
    let (before, rest) = url.rsplit_once('@').unwrap();
    let (hosts, name) = rest.split_once('/').unwrap();
    for host in hosts.split(',') {
        let Ok(mut connection) = PgConnection::connect(&format!("{before}@{host}/{name}")).await else { continue };
        let standby: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await.unwrap();
        if !standby {
            return connection;
        }
    }
    panic!("none of {hosts} is a primary")
}

/// Who has a number, where somebody has it.
pub fn person(index: usize) -> String {
    format!("Person {index}")
}
