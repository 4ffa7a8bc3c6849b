//! The databases that scenarios run on, and their outages.

use std::time::Duration;

use autocall_tests::{
    postgres::{SchemaGuard, fresh_schema, shared_postgres_url},
    proxy::TcpProxy,
    redis::shared_redis_url,
    server::{Binary, ServeOptions, autocall},
};
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

/// How long something may take that normally takes no time, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Makes a test of each scenario for each database.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($crate::world::Engine::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($crate::world::Engine::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// What a server keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded database, without Redis.
    Sqlite,
    /// Postgres and Redis.
    Postgres,
}

/// An empty database, which can be taken away from the servers on it and given back.
pub struct World {
    place: Place,
    folder: TempDir,
}

enum Place {
    Sqlite {
        /// Holds the right to write, which no server gets meanwhile.
        blocker: Option<SqliteConnection>,
    },
    Postgres {
        schema: SchemaGuard,
        proxy: TcpProxy,
    },
}

impl World {
    /// An empty database.
    pub async fn new(engine: Engine) -> Self {
        let folder = tempfile::Builder::new().prefix("world-").tempdir().unwrap();
        let place = match engine {
            Engine::Sqlite => Place::Sqlite { blocker: None },
            Engine::Postgres => {
                let server = shared_postgres_url();
                let address = server.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next()).unwrap();
                let proxy = TcpProxy::start(address).await;
                Place::Postgres { schema: fresh_schema(&server).await, proxy }
            }
        };
        Self { place, folder }
    }

    /// What a server on this database is started with.
    pub fn options(&self) -> ServeOptions {
        match &self.place {
            Place::Sqlite { .. } => ServeOptions::new().data_dir(self.data_dir()),
            Place::Postgres { schema, proxy } => ServeOptions::new().database(proxy.url(&schema.url)).redis(shared_redis_url()),
        }
    }

    /// A server on this database.
    pub async fn serve(&self) -> Binary {
        Binary::spawn(self.options()).await
    }

    /// The variable by which a program is told of this database, and its value.
    pub fn database(&self) -> (&'static str, String) {
        match &self.place {
            Place::Sqlite { .. } => ("AUTOCALL_DATA_DIR", self.data_dir()),
            Place::Postgres { schema, .. } => ("DATABASE_URL", schema.url.clone()),
        }
    }

    /// Runs a command on this database, beside its servers.
    pub async fn command(&self, args: &[&str]) -> std::process::Output {
        match &self.place {
            Place::Sqlite { .. } => autocall(args, &[("AUTOCALL_DATA_DIR", &self.data_dir())]).await,
            Place::Postgres { schema, .. } => autocall(args, &[("DATABASE_URL", &schema.url)]).await,
        }
    }

    /// From now on nothing can be stored: another program holds the embedded database, or Postgres is down.
    pub async fn lose_database(&mut self) {
        let file = format!("sqlite://{}/autocall.sqlite", self.data_dir());
        match &mut self.place {
            Place::Sqlite { blocker } => {
                let mut connection = SqliteConnection::connect(&file).await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                *blocker = Some(connection);
            }
            Place::Postgres { proxy, .. } => {
                proxy.refuse(true).await;
                proxy.cut_all().await;
            }
        }
    }

    /// From now on Postgres does not say a word, as when the network drops every packet.
    ///
    /// # Panics
    ///
    /// On the embedded database, which has no network.
    pub fn silence_database(&self) {
        let Place::Postgres { proxy, .. } = &self.place else { panic!("the embedded database has no network") };
        proxy.hold(true);
    }

    /// Ends [`Self::lose_database`] and [`Self::silence_database`].
    pub async fn give_database_back(&mut self) {
        match &mut self.place {
            Place::Sqlite { blocker } => {
                if let Some(mut connection) = blocker.take() {
                    connection.execute("ROLLBACK").await.unwrap();
                    connection.close().await.unwrap();
                }
            }
            Place::Postgres { proxy, .. } => {
                proxy.hold(false);
                proxy.refuse(false).await;
            }
        }
    }

    /// A new file for a command to read.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The folder of the embedded database.
    pub fn data_dir(&self) -> String {
        self.folder.path().join("data").to_str().unwrap().to_owned()
    }
}

/// Fails when a log tells whom the server rings: these numbers, in any spelling that ends with their digits, or anything else that looks like a mobile number.
pub fn assert_keeps_numbers_secret(log: &str, numbers: &[&str]) {
    for number in numbers {
        let digits = number.trim_start_matches('+').trim_start_matches("86");
        assert!(!log.contains(digits), "the log holds the number {number}:\n{log}");
    }
    // Ids are longer words or hold letters; times and ports are shorter.
    for word in log.split(|char: char| !char.is_ascii_alphanumeric()) {
        // Before a value, a colour may end: ESC [0m.
        let word = word.strip_prefix("0m").unwrap_or(word);
        let is_number = word.len() == 11 && word.bytes().all(|byte| byte.is_ascii_digit());
        assert!(!is_number, "the log holds {word}, which looks like a phone number:\n{log}");
    }
}
