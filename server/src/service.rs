//! The only place that wires things: from a configuration to a running server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::access::received::keep_forgetting;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, SecretUrl};
use crate::dashboard::Dashboard;
use crate::engine::Engine;
use crate::http::bodies::Bodies;
use crate::http::prefix::Prefix;
use crate::ids::InstallationId;
use crate::intake::mail::Mail;
use crate::keep::keys::rights;
use crate::kinds::guard::GuardedResolver;
use crate::links::{self, Links};
use crate::lock::{LockError, Locks};
use crate::net;
use crate::net::seats::{Room, Seats};
use crate::net::serve::Limits;
use crate::out;
use crate::out::shout_logs::ShoutLogs;
use crate::rights::Rights;
use crate::router;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// Longest that saying goodbye to the database may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address of Redis is wrong.
    #[error(transparent)]
    Locks(#[from] LockError),
    /// The port for mail cannot be had.
    #[error("cannot take mail on {0}: {1}; choose another mail.listen (ports below 1024 need the right CAP_NET_BIND_SERVICE)")]
    Mail(SocketAddr, #[source] std::io::Error),
    /// The address to listen on is unknown to the system.
    #[error("the server does not know its own address: {0}")]
    Address(#[source] std::io::Error),
}

/// A server that is ready to run.
pub struct Service {
    app: Arc<App>,
    pages: Arc<Dashboard>,
    listener: TcpListener,
    address: SocketAddr,
    shout_logs: Option<ShoutLogs>,
    /// For letters, where they are taken.
    post: Option<TcpListener>,
}

impl Service {
    /// Opens the database, brings it up to date, and prepares everything on a bound listener.
    ///
    /// # Errors
    /// When the database cannot be used. An unreachable Redis is no error: the server starts without it and says so.
    pub fn build(config: Config, listener: TcpListener, clock: Clock) -> LocalBoxFuture<'static, Result<Self, StartError>> {
        Box::pin(Self::put_together(config, listener, clock))
    }

    async fn put_together(config: Config, listener: TcpListener, clock: Clock) -> Result<Self, StartError> {
        crate::net::tls::install_provider();
        let address = listener.local_addr().map_err(StartError::Address)?;
        let post = match config.mail.listen {
            Some(listen) => Some(TcpListener::bind(listen).await.map_err(|error| StartError::Mail(listen, error))?),
            None => None,
        };
        // The numbering plans are read when first used, which takes long enough to stop everything else: better now than inside
        // the first claim.
        let region = config.default_region;
        let warm = tokio::task::spawn_blocking(move || crate::numbers::warm_up(region)).await;
        if let Err(error) = warm {
            tracing::warn!(%error, "the numbering plans could not be read ahead");
        }
        let database = config.database_url.as_ref().map(SecretUrl::expose);
        let store = Store::open(database, &config.data_dir).await?;
        if database.is_none()
            && let Some(latest) = store.read().await?.db().latest_event_at().await?
        {
            clock.begin_not_before(latest);
        }
        let locks = match &config.redis_url {
            Some(url) => Locks::redis(url.expose(), &name_of_locks(&store, &clock).await)?,
            None => Locks::local(),
        };
        let metrics = Arc::new(Metrics::new());
        let links = Links::new(store.signing_key(links::SECRET).await?);
        let engine = Arc::new(Engine::new(store, locks, clock, Arc::new(config), metrics, links));
        engine.measure_clock().await;
        engine.prove_writing().await;
        if let Err(error) = engine.store.resume_ids(engine.clock.now()).await {
            tracing::warn!(%error, "how far numeric ids have got could not be read");
        }
        let counted = (Arc::clone(&engine.metrics), Arc::clone(&engine.refusals));
        let open_rights = begin_rights(&engine).await?;
        let access = Access::new(Arc::clone(&engine.config), engine.store.clone(), engine.clock.clone(), counted, open_rights);
        if let Err(error) = access.directory.learn(&engine.store).await {
            tracing::warn!(%error, "which handsets there are could not be read ahead");
        }
        let bodies = Bodies::new(engine.config.http.body_limit_bytes);
        let prefix = Prefix::of(&engine.config.http);
        let app = Arc::new(App {
            engine,
            access: Arc::new(access),
            bodies,
            recordings: Bodies::of_recordings(),
            prefix,
            stopping: CancellationToken::new(),
        });
        let pages_at = SocketAddr::new(app.config().listen.ip(), address.port());
        let pages = Arc::new(Dashboard::prepare(Arc::clone(&app), pages_at).await?);
        let shout_logs = ShoutLogs::open(Arc::clone(&app.engine)).await;
        Ok(Self { app, pages, listener, address, shout_logs, post })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it answers with: for tests that look inside or move the clock.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// The pages.
    #[must_use]
    pub fn pages(&self) -> &Dashboard {
        &self.pages
    }

    /// All that it answers, without a connection: for tests.
    pub fn router(&self) -> Router {
        router::router(Arc::clone(&self.app), Arc::clone(&self.pages))
    }

    /// Serves until `shutdown` is cancelled and open requests have ended.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(self.serve_until(shutdown))
    }

    async fn serve_until(self, shutdown: CancellationToken) {
        let router = self.router();
        let Self { app, listener, shout_logs, post, .. } = self;
        let shout_logs = Arc::new(shout_logs);
        let engine = Arc::clone(&app.engine);
        let ticking = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { engine.run().await }
        });
        let looking = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { engine.keep_lookout().await }
        });
        let relaying = tokio::spawn({
            let store = engine.store.clone();
            async move { store.relay().await }
        });
        let learning = tokio::spawn({
            let (access, store) = (Arc::clone(&app.access), engine.store.clone());
            async move { access.directory.keep_learning(&store).await }
        });
        let forgetting = tokio::spawn({
            let access = Arc::clone(&app.access);
            async move { keep_forgetting(&access).await }
        });
        let guard = GuardedResolver::new(&engine.config.notify.allow_networks);
        let (telling_others, pinging) = match out::notices::client(&guard) {
            Ok(client) => (
                tokio::spawn(out::notices::run(Arc::clone(&engine), client.clone())),
                tokio::spawn(out::sign_of_life::run(Arc::clone(&engine), client, out::sign_of_life::EVERY)),
            ),
            Err(error) => {
                tracing::error!(%error, "nothing can be told: the HTTP client cannot be made");
                (tokio::spawn(async {}), tokio::spawn(async {}))
            }
        };
        let sending = match out::notices::client(&GuardedResolver::for_gateways(&engine.config.sms.allow_networks)) {
            Ok(client) => tokio::spawn(out::messages::run(Arc::clone(&engine), client)),
            Err(error) => {
                tracing::error!(%error, "no text message can be sent: the HTTP client cannot be made");
                tokio::spawn(async {})
            }
        };
        let following = match out::calendars::Asking::new(&engine.config) {
            Ok(asking) => tokio::spawn(out::calendars::run(Arc::clone(&engine), asking)),
            Err(error) => {
                tracing::error!(%error, "no calendar can be read: the HTTP client cannot be made");
                tokio::spawn(async {})
            }
        };
        let watching = tokio::spawn(out::monitor::run(Arc::clone(&engine)));
        let logging = tokio::spawn({
            let logs = Arc::clone(&shout_logs);
            async move {
                if let Some(logs) = logs.as_ref() {
                    logs.run().await;
                }
            }
        });
        let stopping = app.stopping.clone();
        let telling = tokio::spawn(async move {
            shutdown.cancelled().await;
            stopping.cancel();
        });
        let room = Room::of(&engine.config.http, net::files::make_room(engine.config.http.max_connections));
        let seats = Seats::new(room, Arc::clone(&engine.metrics)).following(Arc::clone(&engine.config));
        let posting = post.map(|listener| tokio::spawn(take_mail(listener, Arc::clone(&app))));
        net::serve::serve(listener, router, app.prefix.clone(), Arc::new(seats), Limits::default(), app.stopping.clone()).await;
        if let Some(posting) = posting {
            // It ends by itself, at the same time.
            let _ = posting.await;
        }
        for task in [
            ticking,
            looking,
            relaying,
            learning,
            forgetting,
            telling,
            telling_others,
            pinging,
            sending,
            following,
            watching,
            logging,
        ] {
            task.abort();
            // Awaited, so that nothing holds on to the database when this returns.
            let _ = task.await;
        }
        if tokio::time::timeout(CLOSE_WITHIN, app.access.beside.wait()).await.is_err() {
            tracing::debug!("the use of some rights could not be written down");
        }
        if !matches!(tokio::time::timeout(CLOSE_WITHIN, engine.write_sightings(true)).await, Ok(Ok(()))) {
            tracing::debug!("who polled last could not be written down");
        }
        if let Some(logs) = shout_logs.as_ref()
            && tokio::time::timeout(CLOSE_WITHIN, logs.write_all()).await.is_err()
        {
            tracing::warn!("some detail records of shouts are written into their files at the next start");
        }
        // A database that is silent must not keep the process from ending; what was committed is safe.
        if tokio::time::timeout(CLOSE_WITHIN, engine.store.close()).await.is_err() {
            tracing::warn!("the database did not let go in time");
        }
    }
}

/// What the locks of this installation are called by. Others may share its Redis, and keep their tables in a schema of the same name, so it is
/// the installation's own name, which stands in its database and is the same for all of its nodes.
async fn name_of_locks(store: &Store, clock: &Clock) -> String {
    let now = clock.now();
    let named = async {
        // It gets its name here where it has none.
        store.prove_writing(InstallationId::new(now), now).await?;
        store.read().await?.db().installation().await
    };
    match named.await {
        Ok(Some(InstallationId(id))) => format!("{}:{}", store.namespace(), id.simple()),
        Ok(None) => store.namespace().to_owned(),
        Err(error) => {
            tracing::warn!(%error, "which installation this is could not be read: its locks are called by its schema until the next start");
            store.namespace().to_owned()
        }
    }
}

/// What open networks may; from now on it is noted who uses what.
async fn begin_rights(engine: &Engine) -> Result<Rights, StoreError> {
    let mut tx = engine.store.begin().await?;
    tx.db().note_rights_from(engine.clock.now()).await?;
    let open = rights::of_open_networks(&mut tx.db(), &engine.config).await?;
    tx.commit().await?;
    Ok(open)
}

/// Takes letters until the server stops.
async fn take_mail(listener: TcpListener, app: Arc<App>) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for mail");
    }
    let config = &app.config().mail;
    let limits = net::smtp::Limits::of(config.max_connections, config.connections_per_address);
    let (mail, stop) = (Mail::new(Arc::clone(&app)), app.stopping.clone());
    let rules = mail.rules();
    net::smtp::serve(listener, Arc::new(mail), rules, limits, stop).await;
}
