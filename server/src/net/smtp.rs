//! Conversations by SMTP: accepted, limited, timed. What is said in them is decided by a [`Session`]; who is known, and what becomes of a
//! letter, by a [`Mailbox`].

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::seats::group;
use crate::signal::mail::session::{Outcome, Parting, Phase, Question, Rules, Session, Verdict};

/// Longest that conversations may go on once the server is stopping: a letter that is being stored is answered.
const DRAIN: Duration = Duration::from_secs(8);
/// After the last word, what still comes is thrown away for so long: else the system would tell the other side that the connection broke,
/// and that word would be lost.
const LINGER: Duration = Duration::from_secs(2);
/// Longest that it may take to say that there is no place.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);
/// So much is read at a time, in bytes.
const READS: usize = 16 << 10;

/// Who takes letters.
pub trait Mailbox: Send + Sync + 'static {
    /// What it knows of a recipient.
    type Recipient: Send + 'static;

    /// Whether there is a recipient of this address.
    fn recipient(&self, peer: IpAddr, address: &str) -> impl Future<Output = Verdict<Self::Recipient>> + Send;

    /// Takes a letter: only what is stored is taken.
    fn letter(&self, letter: Vec<u8>, to: Vec<Self::Recipient>) -> impl Future<Output = Outcome> + Send;
}

/// How many conversations there may be, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At a time.
    pub most: usize,
    /// Of one address.
    pub per_address: usize,
    /// For one command, and for taking the replies.
    pub command: Duration,
    /// For the bytes of a letter.
    pub letter: Duration,
    /// For finding out what becomes of it.
    pub answer: Duration,
    /// For a whole conversation.
    pub conversation: Duration,
}

impl Limits {
    /// So many conversations, with the usual times. These are shorter than those of relays on the internet: devices are near.
    #[must_use]
    pub fn of(most: usize, per_address: usize) -> Self {
        let seconds = Duration::from_secs;
        Self { most, per_address, command: seconds(60), letter: seconds(180), answer: seconds(30), conversation: seconds(600) }
    }
}

/// Who holds a conversation now.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<IpAddr, usize>>);

/// The place of one conversation; free again when it is dropped.
struct Place(Arc<Places>, IpAddr);

impl Places {
    fn take(self: &Arc<Self>, peer: IpAddr, limits: Limits) -> Option<Place> {
        let group = group(peer);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.get(&group).copied().unwrap_or_default();
        if own >= limits.per_address || held.values().sum::<usize>() >= limits.most {
            return None;
        }
        held.insert(group, own + 1);
        Some(Place(Arc::clone(self), group))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}

/// Takes letters until `stop` is cancelled, then lets conversations come to their end for a short while.
pub async fn serve<M: Mailbox>(listener: TcpListener, mailbox: Arc<M>, rules: Rules, limits: Limits, stop: CancellationToken) {
    let (tasks, places) = (TaskTracker::new(), Arc::new(Places::default()));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((mut stream, peer)) => {
                let peer = peer.ip().to_canonical();
                let Some(place) = places.take(peer, limits) else {
                    tracing::debug!(%peer, "too many connections by SMTP");
                    // A fresh connection takes so much at once.
                    let _ = timeout(REFUSED_WITHIN, stream.write_all(Parting::Full.reply().as_bytes())).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let talk = Talk {
                    stream,
                    peer,
                    mailbox: Arc::clone(&mailbox),
                    session: Session::new(rules.clone()),
                    limits,
                    stop: stop.clone(),
                    ends_at: Instant::now() + limits.conversation,
                };
                tasks.spawn(async move {
                    // That the other side is gone is no news.
                    let _ = talk.hold().await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection by SMTP could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    if timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!("some letters were not answered in time: they come again");
    }
}

/// One conversation.
struct Talk<M: Mailbox> {
    stream: TcpStream,
    peer: IpAddr,
    mailbox: Arc<M>,
    session: Session<M::Recipient>,
    limits: Limits,
    stop: CancellationToken,
    ends_at: Instant,
}

impl<M: Mailbox> Talk<M> {
    async fn hold(mut self) -> io::Result<()> {
        let (mut out, mut read) = (Vec::new(), vec![0; READS]);
        self.session.greet(&mut out);
        let (mut phase, mut since) = (self.session.phase(), Instant::now());
        loop {
            // Whoever does not take replies gets no more of them.
            timeout(self.limits.command, self.stream.write_all(&out)).await??;
            out.clear();
            if self.session.is_over() {
                return self.close(&mut read).await;
            }
            if self.session.phase() != phase {
                (phase, since) = (self.session.phase(), Instant::now());
            }
            let limit = if phase.0 == Phase::Letter { self.limits.letter } else { self.limits.command };
            let length = tokio::select! {
                () = self.stop.cancelled() => {
                    self.session.part(Parting::Stopping, &mut out);
                    continue;
                }
                length = timeout_at(self.ends_at.min(since + limit), self.stream.read(&mut read)) => length,
            };
            match length {
                Ok(Ok(0)) => return Ok(()),
                Ok(length) => {
                    let (said, _) = read.split_at(length?);
                    self.hear(said, &mut out).await;
                }
                Err(_) => self.session.part(Parting::Slow, &mut out),
            }
        }
    }

    async fn hear(&mut self, said: &[u8], out: &mut Vec<u8>) {
        let mut rest = said;
        while !rest.is_empty() && !self.session.is_over() {
            let turn = self.session.hear(rest, out);
            (_, rest) = rest.split_at(turn.heard);
            match turn.asks {
                Some(Question::Recipient(address)) => {
                    let asked = timeout(self.limits.answer, self.mailbox.recipient(self.peer, &address)).await;
                    self.session.recipient(asked.unwrap_or(Verdict::Later), out);
                }
                Some(Question::Letter(letter, to)) => {
                    let taken = timeout(self.limits.answer, self.mailbox.letter(letter, to)).await;
                    self.session.letter(taken.unwrap_or(Outcome::Later), out);
                }
                None => {}
            }
        }
    }

    async fn close(mut self, read: &mut [u8]) -> io::Result<()> {
        self.stream.shutdown().await?;
        let end = Instant::now() + LINGER;
        while let Ok(length) = timeout_at(end, self.stream.read(read)).await {
            if length? == 0 {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    /// Knows one recipient, and takes every letter.
    struct Sink;

    impl Mailbox for Sink {
        type Recipient = ();

        async fn recipient(&self, _: IpAddr, address: &str) -> Verdict<()> {
            if address == "good" { Verdict::Known(()) } else { Verdict::Unknown { ends: false } }
        }

        async fn letter(&self, letter: Vec<u8>, _: Vec<()>) -> Outcome {
            if letter == b"never\r\n" { std::future::pending().await } else { Outcome::Taken }
        }
    }

    async fn started(limits: Limits) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let rules = Rules { host: "x".to_owned(), longest: 1_000 };
        tokio::spawn(serve(listener, Arc::new(Sink), rules, limits, stop.clone()));
        (at, stop)
    }

    /// All replies to what is said, until the other side closes.
    async fn said(at: std::net::SocketAddr, words: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut replies = String::new();
        stream.read_to_string(&mut replies).await.unwrap();
        replies
    }

    /// A connection, and the status of its greeting.
    async fn greeted(at: std::net::SocketAddr) -> (TcpStream, [u8; 3]) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let mut status = [0; 3];
        stream.read_exact(&mut status).await.unwrap();
        (stream, status)
    }

    const LETTER: &str = "HELO x\r\nMAIL FROM:<x>\r\nRCPT TO:<good>\r\nDATA\r\n";

    #[tokio::test]
    async fn a_conversation_and_each_step_of_it_have_their_time() {
        let slow = Limits { command: SHORT, letter: SHORT, answer: SHORT, ..Limits::of(9, 9) };
        let (at, _stop) = started(slow).await;
        assert!(said(at, "HELO x\r\nMAI").await.ends_with("250 x\r\n421 4.4.2 this took too long\r\n"));
        assert!(said(at, &format!("{LETTER}half")).await.ends_with("alone\r\n421 4.4.2 this took too long\r\n"));
        assert!(said(at, &format!("{LETTER}never\r\n.\r\n")).await.contains("\r\n451 4.3.0 "));
        let (at, _stop) = started(Limits { conversation: SHORT, ..Limits::of(9, 9) }).await;
        assert!(said(at, "HELO x\r\n").await.ends_with("this took too long\r\n"));
    }

    #[tokio::test]
    async fn an_address_has_a_share_of_the_places_and_gets_them_back() {
        let (at, _stop) = started(Limits::of(9, 1)).await;
        let (mut first, greeting) = greeted(at).await;
        assert_eq!((greeting, said(at, "").await.as_str()), (*b"220", Parting::Full.reply()));
        first.write_all(b"QUIT\r\n").await.unwrap();
        let mut rest = String::new();
        first.read_to_string(&mut rest).await.unwrap();
        drop(first);
        // The other side hears that we are gone in its own time.
        while greeted(at).await.1 != *b"220" {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_stops_says_so_and_whoever_has_closed_half_is_answered() {
        let (at, stop) = started(Limits::of(9, 9)).await;
        let mut half = TcpStream::connect(at).await.unwrap();
        half.write_all(format!("{LETTER}fan\r\n.\r\nQUIT\r\n").as_bytes()).await.unwrap();
        half.shutdown().await.unwrap();
        let mut replies = String::new();
        half.read_to_string(&mut replies).await.unwrap();
        assert!(replies.ends_with("250 2.0.0 taken\r\n221 2.0.0 goodbye\r\n"), "{replies}");
        let (mut open, _) = greeted(at).await;
        stop.cancel();
        let mut replies = String::new();
        open.read_to_string(&mut replies).await.unwrap();
        assert!(replies.ends_with(Parting::Stopping.reply()), "{replies}");
    }
}
