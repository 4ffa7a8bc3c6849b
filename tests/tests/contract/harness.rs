//! A server in this process with a clock that tests move, on either engine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use autocall::app::App;
use autocall::clock::Clock;
use autocall::config::{Config, Overrides};
use autocall::engine::Tick;
use autocall::ids::HandsetId;
use autocall::keep::pairing::token_hash;
use autocall::service::Service;
use autocall::store::Announcement;
use autocall::store::watch::handsets::{IdleForm, NewHandset, Profile};
use autocall_tests::described::Held as _;
use autocall_tests::server::OPEN_RIGHTS;
use autocall_tests::{postgres, redis};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Which database and which locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SQLite file, locks in the process.
    Embedded,
    /// Postgres and Redis.
    Shared,
}

/// Where a server keeps its state; outlives it, so that it can be started again.
pub struct Home {
    folder: tempfile::TempDir,
    schema: Option<postgres::SchemaGuard>,
    settings: HashMap<String, String>,
    pub clock: Clock,
}

pub struct Server {
    pub home: Home,
    pub base: String,
    pub app: Arc<App>,
    pub http: reqwest::Client,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// A node that does nothing by itself.
pub struct QuietNode {
    pub app: Arc<App>,
    router: axum::Router,
}

impl QuietNode {
    /// Answers a GET as the stock app sends it.
    pub async fn get(&self, path: &str) -> Value {
        let request = axum::http::Request::get(path).header("host", "127.0.0.1").header("user-agent", APP);
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(std::net::SocketAddr::from(([127, 0, 0, 1], 4))));
        let response = tower::ServiceExt::oneshot(self.router.clone(), request).await.unwrap();
        serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
    }
}

/// A node that runs until it is dropped.
pub struct Node {
    pub base: String,
    _stop: tokio_util::sync::DropGuard,
}

pub const A: &str = "18712345678";
pub const B: &str = "18812345678";
pub const C: &str = "18912345678";
/// The user agent of every build of the app.
pub const APP: &str = "okhttp/3.10.0";

/// Makes a test of each scenario on each engine.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::harness::Home::new($crate::harness::Kind::Embedded).await).await;
            })+
        }
        mod shared {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::harness::Home::new($crate::harness::Kind::Shared).await).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// The embedded database as the product leaves it before its first start, made once in this process.
async fn embedded_tables(folder: &Path) {
    static PATTERN: OnceCell<Vec<u8>> = OnceCell::const_new();
    let make = async || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("autocall.sqlite");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/migrations/sqlite");
        Migrator::new(migrations).await.unwrap().run(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        std::fs::read(file).unwrap()
    };
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("autocall.sqlite"), PATTERN.get_or_init(make).await).unwrap();
}

impl Home {
    pub async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Most tests are about single hunts: alarms for the same people are joined only where a test asks for it.
        let mut settings = HashMap::from([("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS".to_owned(), "0".to_owned())]);
        // Written down, because tests also set what speaks of a proxy: then this computer is open only where it is listed.
        settings.insert("AUTOCALL_HTTP_OPEN_NETWORKS".to_owned(), "127.0.0.0/8,::1/128".to_owned());
        settings.insert(OPEN_RIGHTS.0.to_owned(), OPEN_RIGHTS.1.to_owned());
        let schema = match kind {
            Kind::Embedded => {
                embedded_tables(&folder.path().join("data")).await;
                None
            }
            Kind::Shared => {
                let schema = postgres::fresh_tables(&postgres::shared_postgres_url()).await;
                settings.insert("DATABASE_URL".to_owned(), schema.url.clone());
                settings.insert("REDIS_URL".to_owned(), redis::shared_redis_url());
                Some(schema)
            }
        };
        Self { folder, schema, settings, clock: Clock::manual("2026-11-20T03:00:00Z".parse().unwrap()) }
    }

    /// Sets a configuration key by its environment name.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn is_shared(&self) -> bool {
        self.schema.is_some()
    }

    /// The file of the embedded database.
    pub fn database_file(&self) -> std::path::PathBuf {
        self.folder.path().join("data/autocall.sqlite")
    }

    /// The shared database, without options, and the schema in it.
    pub fn schema(&self) -> Option<(&str, &str)> {
        self.schema.as_ref().map(|schema| (schema.url.split('?').next().unwrap(), schema.name.as_str()))
    }

    pub fn config(&self) -> Config {
        let overrides = Overrides { listen: None, data_dir: Some(self.folder.path().join("data")) };
        Config::load(None, |name| self.settings.get(name).cloned(), overrides).unwrap().config
    }

    /// A node whose periodic work stands still, asked without a socket.
    pub async fn quiet_node(&self) -> QuietNode {
        self.quiet_node_at(self.clock.clone()).await
    }

    /// The same with a clock of its own.
    pub async fn quiet_node_at(&self, clock: Clock) -> QuietNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Service::build(self.config(), listener, clock).await.unwrap();
        QuietNode { app: service.app(), router: service.router() }
    }

    /// Another node on the same state, for as long as the value lives.
    pub async fn second_node(&self) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Service::build(self.config(), listener, self.clock.clone()).await.unwrap();
        let base = format!("http://{}", service.address());
        let stop = CancellationToken::new();
        tokio::spawn(service.run(stop.clone()));
        Node { base, _stop: stop.drop_guard() }
    }

    pub async fn start(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Service::build(self.config(), listener, self.clock.clone()).await.unwrap();
        let base = format!("http://{}", service.address());
        let app = service.app();
        let stop = CancellationToken::new();
        let running = tokio::spawn(service.run(stop.clone()));
        // From its first look on it serves: one that came only after the clock was moved would find that it had been away until then.
        app.engine.tick().await.unwrap();
        let http = autocall_tests::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Server { home: self, base, app, http, stop, running }
    }
}

impl Server {
    /// Stops the server and leaves its state.
    pub async fn stop(self) -> Home {
        self.stop.cancel();
        self.running.await.unwrap();
        drop(self.app);
        self.home
    }

    /// Stops the server and starts another on the same state.
    pub async fn restart(self) -> Self {
        self.stop().await.start().await
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.home.clock.now()
    }

    /// Moves the clock and lets everything happen that is due then.
    pub async fn pass(&self, seconds: i64) -> Tick {
        self.home.clock.advance(TimeDelta::seconds(seconds));
        self.app.engine.tick().await.unwrap()
    }

    /// Pairs a handset and gives the path it polls.
    pub async fn pair(&self, name: &str, profile: Profile) -> String {
        self.pair_as(name, profile, "CN", IdleForm::Plain).await
    }

    pub async fn pair_as(&self, name: &str, profile: Profile, country: &str, idle_form: IdleForm) -> String {
        let handset = NewHandset {
            id: HandsetId::new(self.now()),
            name: name.to_owned(),
            token_hash: Some(token_hash(name).to_vec()),
            plain_key: None,
            profile,
            idle_form,
            country: country.to_owned(),
            ring_seconds: 75,
            created_at: self.now(),
            allowed_at: None,
            monitor: false,
        };
        let mut tx = self.app.engine.store.begin().await.unwrap();
        assert!(tx.db().insert_handset(&handset).await.unwrap());
        tx.announce(Announcement::Handsets);
        tx.commit().await.unwrap();
        format!("/h/{name}/alert/phone")
    }

    pub async fn get(&self, path: &str) -> Value {
        self.get_as(path, "curl/8").await
    }

    /// What is in a list of the API.
    pub async fn items(&self, path: &str) -> Value {
        self.get(path).await["items"].take()
    }

    pub async fn get_as(&self, path: &str, agent: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base)).header("user-agent", agent);
        let body: Value = request.sent().await.unwrap().json().await.unwrap();
        assert!(body["code"].is_number() || path.starts_with("/api"), "{body}");
        body
    }

    /// Polls and expects a dial: its mid and numbers.
    pub async fn dial(&self, path: &str) -> (String, Vec<String>) {
        offer(&self.get(path).await)
    }

    /// Polls as the stock app and expects a dial.
    pub async fn app_dial(&self, path: &str) -> (String, Vec<String>) {
        offer(&self.get_as(path, APP).await)
    }

    /// Polls and expects that there is nothing to do.
    pub async fn idle(&self, path: &str) {
        let body = self.get(path).await;
        assert_eq!(body["code"], 1, "{body}");
    }

    /// Polls as the stock app, whatever there is to do.
    pub async fn app_poll(&self, path: &str) -> Value {
        self.get_as(path, APP).await
    }

    pub async fn app_idle(&self, path: &str) {
        let body = self.get_as(path, APP).await;
        assert_eq!(body["code"], 1, "{body}");
    }

    /// Reports, and expects the acknowledgement.
    pub async fn report(&self, path: &str, mid: &str, resp: Option<&str>) {
        let resp = resp.map(|resp| format!("&resp={resp}")).unwrap_or_default();
        let response = self.http.post(format!("{}{path}?mid={mid}{resp}", self.base)).sent().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), r#"{"code":0}"#);
    }

    /// Posts JSON and gives status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.http.post(format!("{}{path}", self.base)).json(body).sent().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Puts JSON and gives status and body.
    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut request = self.http.put(format!("{}{path}", self.base)).json(body);
        if ["/api/v1/quiet-hours", "/api/v1/policy-rules"].contains(&path) {
            // Who replaces a whole list has to say what they have read: here, whatever is there.
            request = request.header("if-match", "*");
        }
        let response = request.sent().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn delete(&self, path: &str) -> u16 {
        self.http.delete(format!("{}{path}", self.base)).sent().await.unwrap().status().as_u16()
    }

    /// A page as a browser gets it.
    pub async fn page(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.base)).header("accept", "text/html");
        request.sent().await.unwrap().text().await.unwrap()
    }

    /// Presses the button of a form without fields, in a browser without cookies.
    pub async fn submit(&self, path: &str) -> u16 {
        let request = self.http.post(format!("{}{path}", self.base)).header("accept", "text/html");
        request.sent().await.unwrap().status().as_u16()
    }

    /// Raises an alarm and gives its id.
    pub async fn raise(&self, phones: &[&str], more: Value) -> String {
        let mut body = json!({ "summary": "disk full", "phones": phones });
        if phones.is_empty() {
            body = json!({ "summary": "disk full" });
        }
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let (status, alarm) = self.post("/api/v1/alarms", &body).await;
        assert_eq!(status, 201, "{alarm}");
        alarm["id"].as_str().unwrap().to_owned()
    }

    pub async fn alarm(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/alarms/{id}")).await
    }

    pub async fn state(&self, id: &str) -> String {
        self.alarm(id).await["state"].as_str().unwrap().to_owned()
    }

    /// Changes what is stored behind the server's back.
    pub async fn run_sql(&self, statements: Vec<String>) {
        match self.home.config().database_url {
            Some(url) => {
                let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
                for statement in statements {
                    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
                }
            }
            None => {
                let path = format!("sqlite://{}", self.home.database_file().display());
                let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
                for statement in statements {
                    connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
                }
            }
        }
    }

    /// A number of what is stored, read behind the server's back.
    pub async fn count_sql(&self, statement: &str) -> i64 {
        let query = sqlx::AssertSqlSafe(statement.to_owned());
        match self.home.config().database_url {
            Some(url) => {
                let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
            None => {
                let path = format!("sqlite://{}", self.home.database_file().display());
                let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// Takes the tables of handsets, hunts and dials away, so that nothing can be read of them, or gives them back; and tells the server
    /// that announcements were missed, as when the connection was lost over which they come.
    pub async fn lose_tables(&self, away: bool) {
        let (from, to) = if away { ("", "_away") } else { ("_away", "") };
        let renamed = |table: &str| format!("ALTER TABLE {table}{from} RENAME TO {table}{to}");
        let statements: Vec<String> = ["handsets", "dials", "hunts"].into_iter().map(renamed).collect();
        self.run_sql(statements).await;
        let mut tx = self.app.engine.store.begin().await.unwrap();
        tx.announce(Announcement::Missed);
        tx.commit().await.unwrap();
    }

    /// The outcomes of all dials of an alarm, oldest first; `open` for those that are.
    pub async fn outcomes(&self, id: &str) -> Vec<String> {
        let alarm = self.alarm(id).await;
        alarm["dials"].as_array().unwrap().iter().map(|dial| dial["outcome"].as_str().unwrap_or("open").to_owned()).collect()
    }
}

fn offer(body: &Value) -> (String, Vec<String>) {
    assert_eq!(body["code"], 0, "{body}");
    let phones = body["phone"].as_array().unwrap().iter().map(|phone| phone.as_str().unwrap().to_owned()).collect();
    (body["mid"].as_str().unwrap().to_owned(), phones)
}

/// Whoever keeps others from writing, and lets them read.
pub enum Hold {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Hold {
    pub async fn on(home: &Home) -> Self {
        match home.schema() {
            None => {
                let file = format!("sqlite://{}", home.database_file().display());
                let mut connection = SqliteConnection::connect(&file).await.unwrap();
                connection.execute("PRAGMA busy_timeout = 30000").await.unwrap();
                connection.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Sqlite(connection)
            }
            Some((url, schema)) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let (tables,): (String,) = sqlx::query_as(
                    "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ' ORDER BY tablename) FROM pg_tables WHERE schemaname = $1",
                )
                .bind(schema)
                .fetch_one(&mut connection)
                .await
                .unwrap();
                let lock = format!("BEGIN; LOCK TABLE {tables} IN SHARE MODE");
                connection.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await.unwrap();
                Self::Postgres(connection)
            }
        }
    }

    pub async fn end(self) {
        match self {
            Self::Sqlite(mut connection) => {
                connection.execute("ROLLBACK").await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}
