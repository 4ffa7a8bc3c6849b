//! A TCP proxy that cuts, refuses, holds, delays and loses on request: the network's part in fault tests.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Mutex, watch},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::redis::reserve_port;

/// What happens to the bytes of every connection.
#[derive(Clone, Debug, Default)]
struct Conditions {
    hold: bool,
    delay: Duration,
    drop_replies: bool,
    /// The next request that contains this loses its answer.
    lose_answer_to: Option<Vec<u8>>,
    /// The next request that contains this is the last thing that gets through before everything is held.
    hold_after: Option<Vec<u8>>,
    /// The next request that contains this is the first whose answer is lost, before all others.
    drop_replies_after: Option<Vec<u8>>,
}

/// The connections since the last cut.
#[derive(Clone, Debug, Default)]
struct Connections {
    cut: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    upstream: std::sync::Mutex<String>,
    conditions: watch::Sender<Conditions>,
    connections: std::sync::Mutex<Connections>,
}

impl Shared {
    fn upstream(&self) -> String {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A proxy on a port of its own in front of one TCP server. Dropping it resets every connection and closes the port.
#[derive(Debug)]
pub struct TcpProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Present while connections are accepted.
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl TcpProxy {
    /// Starts a proxy in front of `upstream` ("127.0.0.1:5432"), which need not be up yet.
    ///
    /// # Panics
    ///
    /// When no port can be opened.
    pub async fn start(upstream: impl ToString) -> Self {
        let listener = listen_somewhere().await;
        let addr = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            upstream: std::sync::Mutex::new(upstream.to_string()),
            conditions: watch::Sender::default(),
            connections: std::sync::Mutex::default(),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { addr, shared, acceptor: Mutex::new(Some(acceptor)) }
    }

    /// New connections lead to another server from now on.
    pub fn lead_to(&self, upstream: impl ToString) {
        *self.shared.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream.to_string();
    }

    /// Where the proxy listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same URL, through the proxy.
    ///
    /// # Panics
    ///
    /// When `url` does not lead to the proxy's upstream.
    pub fn url(&self, url: &str) -> String {
        let upstream = self.shared.upstream();
        assert!(url.contains(upstream.as_str()), "{url} does not lead to {upstream}");
        url.replacen(upstream.as_str(), &self.addr.to_string(), 1)
    }

    /// How many connections are open now.
    pub fn connections(&self) -> usize {
        self.shared.current().tasks.len()
    }

    /// Resets every connection, on both sides; returns when they are gone. New ones are accepted.
    pub async fn cut_all(&self) {
        let old = std::mem::take(&mut *self.shared.lock());
        old.cut.cancel();
        old.tasks.close();
        old.tasks.wait().await;
    }

    /// Whether new connections are refused, as by a server that is down. Existing ones stay: see [`Self::cut_all`].
    ///
    /// # Panics
    ///
    /// When the port cannot be opened again.
    pub async fn refuse(&self, refuse: bool) {
        let mut acceptor = self.acceptor.lock().await;
        if refuse {
            if let Some(task) = acceptor.take() {
                task.abort();
                let _aborted = task.await;
            }
        } else if acceptor.is_none() {
            let listener = TcpListener::bind(self.addr).await.expect("the proxy's port can be opened again");
            *acceptor = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
    }

    /// Whether bytes are held back both ways, as by a network that is gone without a word. Released, they flow on.
    pub fn hold(&self, hold: bool) {
        self.change(|conditions| conditions.hold = hold);
    }

    /// How long every piece of data takes in each direction.
    pub fn delay(&self, delay: Duration) {
        self.change(|conditions| conditions.delay = delay);
    }

    /// Whether requests arrive but their answers are lost: the first byte of an answer resets its connection instead.
    pub fn drop_replies(&self, drop_replies: bool) {
        self.change(|conditions| conditions.drop_replies = drop_replies);
    }

    /// The next request that contains `part` ("COMMIT", "POST /alert") arrives, but its answer is lost and its connection reset. Once.
    ///
    /// # Panics
    ///
    /// When `part` is empty.
    pub fn lose_answer_to(&self, part: &str) {
        assert!(!part.is_empty(), "every request contains nothing");
        self.change(|conditions| conditions.lose_answer_to = Some(part.as_bytes().to_vec()));
    }

    /// Whether [`Self::lose_answer_to`] still waits for its request.
    pub fn is_waiting_for_request(&self) -> bool {
        self.shared.conditions.borrow().lose_answer_to.is_some()
    }

    /// The next request that contains `part` ("COMMIT") arrives, and from then on everything is held, its answer too: see [`Self::hold`]. Once.
    ///
    /// # Panics
    ///
    /// When `part` is empty.
    pub fn hold_after(&self, part: &str) {
        assert!(!part.is_empty(), "every request contains nothing");
        self.change(|conditions| conditions.hold_after = Some(part.as_bytes().to_vec()));
    }

    /// The next request that contains `part` ("PUT /recording") arrives whole, and from then on every answer is lost, its own too: see
    /// [`Self::drop_replies`].
    ///
    /// # Panics
    ///
    /// When `part` is empty.
    pub fn drop_replies_after(&self, part: &str) {
        assert!(!part.is_empty(), "every request contains nothing");
        self.change(|conditions| conditions.drop_replies_after = Some(part.as_bytes().to_vec()));
    }

    /// Whether answers are lost now.
    pub fn is_dropping_replies(&self) -> bool {
        self.shared.conditions.borrow().drop_replies
    }

    /// Whether bytes are held back now.
    pub fn is_holding(&self) -> bool {
        self.shared.conditions.borrow().hold
    }

    fn change(&self, change: impl FnOnce(&mut Conditions)) {
        self.shared.conditions.send_modify(change);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        if let Some(task) = self.acceptor.get_mut().take() {
            task.abort();
        }
        self.shared.current().cut.cancel();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Connections {
        self.lock().clone()
    }

    /// Whether these bytes are the request whose answer is to be lost. Says yes once.
    fn loses_answer(&self, bytes: &[u8]) -> bool {
        self.conditions.send_if_modified(|conditions| {
            let is_it =
                conditions.lose_answer_to.as_ref().is_some_and(|part| bytes.windows(part.len()).any(|window| window == part));
            if is_it {
                conditions.lose_answer_to = None;
            }
            is_it
        })
    }
}

impl Shared {
    /// Loses every answer from now on if these bytes are the request to do so after.
    fn drop_replies_from(&self, bytes: &[u8]) {
        self.conditions.send_if_modified(|conditions| {
            let is_it =
                conditions.drop_replies_after.as_ref().is_some_and(|part| bytes.windows(part.len()).any(|window| window == part));
            if is_it {
                conditions.drop_replies_after = None;
                conditions.drop_replies = true;
            }
            is_it
        });
    }

    /// Holds everything from now on if these bytes are the request to do so after.
    fn hold_from(&self, bytes: &[u8]) {
        self.conditions.send_if_modified(|conditions| {
            let is_it = conditions.hold_after.as_ref().is_some_and(|part| bytes.windows(part.len()).any(|window| window == part));
            if is_it {
                conditions.hold_after = None;
                conditions.hold = true;
            }
            is_it
        });
    }
}

async fn listen_somewhere() -> TcpListener {
    for _ in 0..20 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", reserve_port())).await {
            return listener;
        }
    }
    panic!("no port for a proxy");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        // Held while spawning, so that a cut either sees this connection or is over.
        let connections = shared.lock();
        connections.tasks.spawn(carry(client, Arc::clone(&shared), connections.cut.clone()));
    }
}

/// One connection, from its acceptance to its end.
async fn carry(mut client: TcpStream, shared: Arc<Shared>, cut: CancellationToken) {
    let upstream = tokio::select! {
        upstream = TcpStream::connect(shared.upstream()) => upstream,
        () = cut.cancelled() => Err(io::ErrorKind::ConnectionReset.into()),
    };
    let Ok(mut upstream) = upstream else {
        let _already_gone = client.set_zero_linger();
        return;
    };
    let _only_slower = (client.set_nodelay(true), upstream.set_nodelay(true));

    let answer_is_lost = AtomicBool::new(false);
    let ended_well = {
        let (from_client, to_client) = client.split();
        let (from_upstream, to_upstream) = upstream.split();
        let requests = pump(from_client, to_upstream, &shared, |bytes| {
            if shared.loses_answer(bytes) {
                answer_is_lost.store(true, Ordering::Relaxed);
            }
            shared.hold_from(bytes);
            shared.drop_replies_from(bytes);
            Ok(())
        });
        let answers = pump(from_upstream, to_client, &shared, |_| {
            if answer_is_lost.load(Ordering::Relaxed) || shared.conditions.borrow().drop_replies {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Ok(())
        });
        tokio::select! {
            both = async { tokio::try_join!(requests, answers) } => both.is_ok(),
            () = cut.cancelled() => false,
        }
    };
    if !ended_well {
        let _already_gone = (client.set_zero_linger(), upstream.set_zero_linger());
    }
}

/// Carries one direction until its end; `before_write` may look at the bytes, or end the connection.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    before_write: impl Fn(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut conditions = shared.conditions.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let delay = conditions.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        // Fails only when the proxy is gone, and then this connection is being cut.
        drop(conditions.wait_for(|conditions| !conditions.hold).await);
        let bytes = &buffer[..length];
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        before_write(bytes)?;
        to.write_all(bytes).await?;
    }
}
