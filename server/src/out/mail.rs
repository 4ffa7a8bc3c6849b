//! Hands a message to a mail server (RFC 5321), which then answers for it.
//!
//! Its server is asked at an address that the guard lets through, and has a time limit for all of it. Nothing that it says before a
//! connection is encrypted is taken for what it says afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::kinds::guard::GuardedResolver;
use crate::kinds::notices::{Cover, Mail};
use crate::net::tls;

/// All of it until the message itself: shorter than whoever tests a webhook waits. Some servers greet late on purpose.
const WITHIN: Duration = Duration::from_secs(15);
/// What becomes of a message may be looked into for long; who hangs up meanwhile sends again what was delivered (RFC 5321, 4.5.3.2.6).
/// Shorter than a notice is taken for.
const MESSAGE_WITHIN: Duration = Duration::from_secs(90);
/// One of its addresses has this long to take the connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// So many of its addresses are tried.
const MOST_ADDRESSES: usize = 4;
/// A goodbye that is not answered is none.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// All answers of a server together are no longer, in bytes, with its certificates.
const LONGEST_ANSWERS: usize = 256 * 1024;
/// Read at once, in bytes.
const AT_ONCE: usize = 1024;
/// What a mail server says when it has taken a message.
const TAKEN: u16 = 250;
/// What it says when it hangs up, for whatever reason: at any command, and of none.
const HANGS_UP: u16 = 421;
const TOO_SLOW: &str = "it takes too long";

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Undelivered {
    /// It may be later.
    Later(String),
    /// The same, and the server did not answer at all.
    Silent(String),
    /// It never will be.
    Never(String),
}

/// What became of a message that was not refused as a whole.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// What the server said when it took it; `None` where nobody is left whom it takes it for.
    pub(super) said: Option<String>,
    /// Who is not told yet, and why: greylisted, or with a full mailbox.
    pub(super) later: Vec<(Address, String)>,
    /// Who never will be, each with the reason.
    pub(super) refused: Vec<String>,
}

/// Hands a message over; gives what the server said, and for whom it did not take it. `own_name` is how we are called, where we have a
/// name.
///
/// # Errors
/// Why it was not taken for anybody.
pub(super) async fn deliver(mail: &Mail, guard: &GuardedResolver, own_name: Option<&str>) -> Result<Handed, Undelivered> {
    let until = Instant::now() + WITHIN;
    let slow = || Undelivered::Silent(TOO_SLOW.to_owned());
    let connecting = timeout_at(until, connect(mail, guard, own_name));
    let mut connection = connecting.await.map_err(|_| slow())??;
    let told = match timeout_at(until, introduce(&mut connection, mail)).await.unwrap_or_else(|_| Err(slow())) {
        Ok(left_out) if left_out.later.len() + left_out.refused.len() == mail.to.len() => Ok(left_out),
        Ok(left_out) => {
            let handing = timeout(MESSAGE_WITHIN, hand_over(&mut connection, mail, left_out));
            handing.await.unwrap_or_else(|_| Err(slow()))
        }
        Err(why) => Err(why),
    };
    // What it has taken, it has taken, whatever it says now.
    let _ = timeout(GOODBYE_WITHIN, connection.quit()).await;
    told
}

/// A connection over which anything may be said.
async fn connect(mail: &Mail, guard: &GuardedResolver, own_name: Option<&str>) -> Result<AsyncSmtpConnection, Undelivered> {
    let server = &mail.server;
    let found = guard.addresses(&server.host, server.port).await;
    let stream = reach(&found.map_err(|why| Undelivered::Silent(why.to_string()))?).await?;
    let (own, peer) = (stream.local_addr().map_err(broken)?, stream.peer_addr().map_err(broken)?);
    if mail.login.is_some() && !may_hear_a_password(server.cover, peer.ip()) {
        let why = format!("a password does not go out unencrypted, and {} is not this computer, but {}", server.host, peer.ip());
        return Err(Undelivered::Later(why));
    }
    let hello = match (own_name, own.ip()) {
        (Some(name), _) => ClientId::Domain(name.to_owned()),
        (None, IpAddr::V4(own)) => ClientId::Ipv4(own),
        (None, IpAddr::V6(own)) => ClientId::Ipv6(own),
    };
    let left = LONGEST_ANSWERS;
    if server.cover == Cover::Tls {
        let name = ServerName::try_from(server.host.clone()).map_err(|error| Undelivered::Never(error.to_string()))?;
        let trusted = tls::of_mail();
        let trusted =
            trusted.ok_or_else(|| Undelivered::Later("the certificates that this computer trusts cannot be read".to_owned()))?;
        let stream = TlsConnector::from(trusted).connect(name, stream).await.map_err(|error| {
            tls::forget();
            broken(error)
        })?;
        let stream = Box::new(Bounded { stream, peer, left, is_plain: false });
        return AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(|error| for_now(undelivered(error)));
    }
    let stream = Box::new(Bounded { stream, peer, left, is_plain: true });
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(|error| for_now(undelivered(error)))?;
    if server.cover == Cover::StartTls {
        if !connection.can_starttls() {
            connection.abort().await;
            let why = "it offers no encryption (STARTTLS): is this the right port? smtps:// is for those that begin with it";
            return Err(Undelivered::Later(why.to_owned()));
        }
        let trusted = trusted_for(&server.host).map_err(|error| for_now(undelivered(error)))?;
        connection.starttls(trusted, &hello).await.map_err(|error| {
            forget(&server.host);
            for_now(undelivered(error))
        })?;
    }
    Ok(connection)
}

/// Whether a password may go there: under cover, or to this computer itself. Its name says nothing: `localhost` is whatever it is looked up
/// as.
fn may_hear_a_password(cover: Cover, peer: IpAddr) -> bool {
    cover != Cover::Nothing || peer.to_canonical().is_loopback()
}

/// What connections to servers are encrypted with, and since when that is known.
static TRUSTED: Mutex<BTreeMap<String, (TlsParameters, Instant)>> = Mutex::new(BTreeMap::new());

/// What a connection to this server is encrypted with. The certificates that this computer trusts, some 150 in files, are read for its
/// first message and kept for an hour.
fn trusted_for(host: &str) -> Result<TlsParameters, Error> {
    /// Servers for which they are kept.
    const MOST: usize = 64;
    let mut trusted = TRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, since)) = trusted.get(host)
        && since.elapsed() < tls::TRUSTED_FOR
    {
        return Ok(known.clone());
    }
    tls::install_provider();
    let read = TlsParameters::new_rustls(host.to_owned())?;
    if trusted.len() >= MOST {
        trusted.clear();
    }
    trusted.insert(host.to_owned(), (read.clone(), Instant::now()));
    Ok(read)
}

/// A server whose certificate was not trusted may be by what is read anew.
fn forget(host: &str) {
    TRUSTED.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
}

async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, Undelivered> {
    let mut why = TOO_SLOW.to_owned();
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => TOO_SLOW.clone_into(&mut why),
        }
    }
    Err(Undelivered::Silent(why))
}

/// A refusal that is about us and not about the message: a directory that is away, a password that was changed. It is tried again.
fn for_now(why: Undelivered) -> Undelivered {
    match why {
        Undelivered::Never(said) => Undelivered::Silent(said),
        other => other,
    }
}

/// Says who we are, from whom and to whom; gives who is left out: those whom it does not know or cannot tell now would hear of it no sooner
/// if nobody did.
async fn introduce(connection: &mut AsyncSmtpConnection, mail: &Mail) -> Result<Handed, Undelivered> {
    let refused = |error| for_now(undelivered(error));
    if let Some((user, password)) = &mail.login {
        let credentials = Credentials::new(user.clone(), password.clone());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.map_err(refused)?;
    }
    connection.command(MailFrom::new(Some(mail.from.clone()), Vec::new())).await.map_err(refused)?;
    let (mut later, mut never) = (Vec::new(), Vec::new());
    for to in &mail.to {
        match connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(undelivered) {
            Ok(_) => {}
            Err(Undelivered::Silent(why)) => return Err(Undelivered::Silent(why)),
            Err(Undelivered::Later(why)) => later.push((to.clone(), why)),
            Err(Undelivered::Never(why)) => never.push((to.clone(), why)),
        }
    }
    let left_out = left_out(later, never, mail.to.len());
    match (left_out.later.len(), left_out.refused.len()) {
        (later, _) if later == mail.to.len() => {
            let each: Vec<String> = left_out.later.iter().map(|(to, why)| format!("{to}: {why}")).collect();
            return Err(Undelivered::Later(each.join("; ")));
        }
        (_, refused) if refused == mail.to.len() => return Err(Undelivered::Never(left_out.refused.join("; "))),
        // Nobody can be told now, and some never.
        (later, refused) if later + refused == mail.to.len() => return Ok(left_out),
        _ => {}
    }
    // Nothing was said yet that could be wrong: this is about us once more.
    connection.command(Data).await.map_err(refused)?;
    Ok(left_out)
}

/// Who is left out of so many, of those who were refused for now and those who were for good. Many a server says only here what it has
/// against us (Postfix, unless it was told otherwise): then it says that to all, and somebody may put it right.
fn left_out(mut later: Vec<(Address, String)>, never: Vec<(Address, String)>, of: usize) -> Handed {
    let is_somebody_taken = later.len() + never.len() < of;
    let (refused, doubtful): (Vec<_>, Vec<_>) =
        never.into_iter().partition(|(_, why)| is_somebody_taken || is_about_a_mailbox(why));
    later.extend(doubtful);
    Handed { said: None, later, refused: refused.iter().map(|(to, why)| format!("{to}: {why}")).collect() }
}

/// Whether a refusal, behind its status, says that there is no such mailbox, or that this one takes nothing (RFC 3463).
fn is_about_a_mailbox(refusal: &str) -> bool {
    const NO_SUCH: [&str; 5] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"];
    let code = refusal.split_whitespace().nth(1).unwrap_or_default();
    NO_SUCH.contains(&code) || code.starts_with("5.2.")
}

/// Says what; gives what the server said, and who was left out.
async fn hand_over(connection: &mut AsyncSmtpConnection, mail: &Mail, left_out: Handed) -> Result<Handed, Undelivered> {
    let said = connection.message(&mail.message).await.map_err(undelivered)?;
    if !said.has_code(TAKEN) {
        return Err(Undelivered::Later(format!("{} instead of {TAKEN}", said.code())));
    }
    let words: Vec<&str> = said.message().collect();
    Ok(Handed { said: Some(format!("{TAKEN} {}", words.join(" "))), ..left_out })
}

fn broken(error: io::Error) -> Undelivered {
    Undelivered::Silent(error.to_string())
}

/// What an error means for a message.
fn undelivered(error: Error) -> Undelivered {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error.status() {
        Some(code) if u16::from(code) == HANGS_UP => Undelivered::Silent(format!("{code} {cause}")),
        Some(code) if error.is_permanent() => Undelivered::Never(format!("{code} {cause}")),
        Some(code) => Undelivered::Later(format!("{code} {cause}")),
        None if error.is_response() => {
            Undelivered::Later("an answer that is not a mail server's: is this its address?".to_owned())
        }
        None if error.is_client() => Undelivered::Later(cause.to_string()),
        None => Undelivered::Silent(cause.to_string()),
    }
}

/// A connection of which no more is read than a server can have to say.
struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    /// So many bytes may still come.
    left: usize,
    /// Nothing is encrypted yet. It is read byte by byte then: what somebody has put behind the answer that begins encryption stays where it
    /// is, and is not read as if it had come under cover.
    is_plain: bool,
}

/// How a record of TLS begins in which a connection is proposed; no command of ours does.
const HANDSHAKE: u8 = 0x16;

impl<S> fmt::Debug for Bounded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("peer", &self.peer).field("left", &self.left).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "it says more than a mail server has to say")));
        }
        let mut piece = [0; AT_ONCE];
        let most = if self.is_plain { 1 } else { AT_ONCE };
        let most = most.min(self.left).min(buffer.remaining());
        let mut whole = ReadBuf::new(&mut piece);
        let mut part = whole.take(most);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        let read = part.filled();
        // Every answer is wanted when it is read for.
        if read.is_empty() && most > 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has hung up")));
        }
        buffer.put_slice(read);
        self.left -= read.len();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_plain &= bytes.first() != Some(&HANDSHAKE);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Bounded<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_password_goes_unencrypted_to_this_computer_alone() {
        let may = |cover, peer: &str| may_hear_a_password(cover, peer.parse().unwrap());
        for here in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(may(Cover::Nothing, here), "{here}");
        }
        for elsewhere in ["10.0.0.5", "0.0.0.0", "192.0.2.1", "::ffff:10.0.0.5", "2001:db8::1", "fe80::1"] {
            assert!(!may(Cover::Nothing, elsewhere), "{elsewhere}");
            assert!(may(Cover::Tls, elsewhere) && may(Cover::StartTls, elsewhere), "{elsewhere}: under cover");
        }
    }

    #[test]
    fn what_is_told_to_a_recipient_and_is_about_us_is_not_final() {
        let ops: Address = "ops@example.com".parse().unwrap();
        let sorted = |why: &str, of: usize| {
            let left_out = left_out(Vec::new(), vec![(ops.clone(), why.to_owned())], of);
            (left_out.later.len(), left_out.refused.len())
        };
        for ours in [
            "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied",
            "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
            "554 5.7.1 <ops@example.com>: Relay access denied",
            "553 5.7.1 <autocall@example.com>: Sender address rejected: not owned by user",
            "550 Access denied",
            "550 5.1.8 sender refused",
            "550 5.1.11 whatever",
            "550",
        ] {
            assert_eq!(sorted(ours, 1), (1, 0), "{ours}");
            assert_eq!(sorted(ours, 2), (0, 1), "{ours}: another one was taken, so it is about this one");
        }
        for theirs in [
            "550 5.1.1 <ops@example.com>: Recipient address rejected: User unknown",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
            "552 5.2.2 mailbox full",
            "550 5.2.1 mailbox disabled",
        ] {
            assert_eq!(sorted(theirs, 1), (0, 1), "{theirs}");
        }
    }
}
