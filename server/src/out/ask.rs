//! Asks for a calendar that is kept elsewhere.
//!
//! Its server decides what comes: so there is a limit for the time, for the size once it is unpacked, and for the addresses it leads to, each
//! of which has to pass the guard like the first. An address is often a secret: no error holds it.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};

use crate::kinds::calendar::{Answer, Failure, LastRead, Limits, Sent, encoding, patience, text_of};
use crate::kinds::guard::{AddressError, GuardedResolver, NameInside, NameUnknown, check_url};
use crate::net::tls;
use crate::roster::source::{Address, Trouble, Unreached};

/// All of it together, whatever its server does. Shorter than a request to the API may take, since these can wait for it.
pub const WITHIN: Duration = Duration::from_secs(20);
/// Most addresses that one leads on to.
const MOST_REDIRECTS: usize = 5;
/// Longer ones are not sent back.
const LONGEST_VALIDATOR: usize = 500;

/// The client for calendars. Redirects are followed here and not by it, so that each is judged.
///
/// # Errors
/// When the system's certificates cannot be read.
pub fn client(guard: &GuardedResolver) -> Result<Client, reqwest::Error> {
    tls::client()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .gzip(true)
        .dns_resolver(Arc::new(guard.clone()))
        .user_agent(concat!("autocall/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Asks for a calendar.
///
/// # Errors
/// Whatever is wrong with the answer, or why there is none.
pub async fn ask(
    client: &Client,
    guard: &GuardedResolver,
    address: &Address,
    known: LastRead<'_>,
    limits: Limits,
    now: DateTime<Utc>,
) -> Result<Answer, Failure> {
    let asking = follow(client, guard, address, known, limits.bytes, now);
    tokio::time::timeout(limits.within, asking).await.unwrap_or_else(|_| Err(Trouble::Slow.into()))
}

async fn follow(
    client: &Client,
    guard: &GuardedResolver,
    address: &Address,
    known: LastRead<'_>,
    most: usize,
    now: DateTime<Utc>,
) -> Result<Answer, Failure> {
    let mut url = judged(address.expose(), guard)?;
    for _ in 0..=MOST_REDIRECTS {
        let response = request(client, url.clone(), known).send().await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            url = next(&url, &response, guard)?;
            continue;
        }
        return match status {
            StatusCode::OK => read(response, most).await.map(Answer::Sent),
            StatusCode::NO_CONTENT => Err(Trouble::Empty.into()),
            // Whoever was not asked whether it is the same cannot say so.
            StatusCode::NOT_MODIFIED if known.etag.is_some() || known.last_modified.is_some() => Ok(Answer::Same),
            status => Err(Failure { trouble: Trouble::Status(status.as_u16()), patience: patience(response.headers(), now) }),
        };
    }
    Err(Trouble::Redirects.into())
}

fn judged(url: &str, guard: &GuardedResolver) -> Result<Url, Failure> {
    check_url(url, guard).map_err(|error| match error {
        AddressError::Inside { .. } => Trouble::ClosedAddress.into(),
        AddressError::Bad => Trouble::Redirects.into(),
    })
}

fn request(client: &Client, url: Url, known: LastRead<'_>) -> reqwest::RequestBuilder {
    let mut request = client.get(url).header(ACCEPT, "text/calendar, */*;q=0.5");
    if let Some(etag) = known.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(at) = known.last_modified {
        request = request.header(IF_MODIFIED_SINCE, at);
    }
    request
}

/// Where an answer leads.
fn next(from: &Url, response: &Response, guard: &GuardedResolver) -> Result<Url, Failure> {
    let location = text_of(response.headers(), &LOCATION).ok_or(Trouble::Status(response.status().as_u16()))?;
    let mut to = from.join(location).map_err(|_| Trouble::Redirects)?;
    // What was to be read by nobody else must not go on in the clear.
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(Trouble::Redirects.into());
    }
    to.set_fragment(None);
    let same_place = to.host() == from.host() && to.port_or_known_default() == from.port_or_known_default();
    if same_place && to.username().is_empty() && to.password().is_none() {
        // The same server asks for the same password again; another one must not see it. Only addresses without a host refuse this.
        let _ = to.set_username(from.username());
        let _ = to.set_password(from.password());
    }
    judged(to.as_str(), guard)
}

async fn read(mut response: Response, most: usize) -> Result<Sent, Failure> {
    if response.content_length().is_some_and(|length| length > u64::try_from(most).unwrap_or(u64::MAX)) {
        return Err(Trouble::TooLarge(most).into());
    }
    let headers = response.headers();
    let validator = |name| text_of(headers, name).filter(|own| own.len() <= LONGEST_VALIDATOR).map(str::to_owned);
    let (etag, last_modified) = (validator(&ETAG), validator(&LAST_MODIFIED));
    let kind = text_of(headers, &CONTENT_TYPE).unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    // Pieces are counted as they are unpacked, so little that unpacks to much is never held.
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if bytes.len() + piece.len() > most {
            return Err(Trouble::TooLarge(most).into());
        }
        bytes.extend_from_slice(&piece);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii_start();
    match text.first() {
        None => Err(Trouble::Empty.into()),
        Some(b'<') => Err(Trouble::WebPage.into()),
        Some(_) => Ok(Sent { encoding: encoding(&kind), bytes, etag, last_modified }),
    }
}

/// What became of a request, without the address.
fn failed(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if error.is_timeout() {
        return Trouble::Slow.into();
    }
    let mut cause: &dyn Error = &error;
    let mut why = if error.is_body() || error.is_decode() { Unreached::BrokeOff } else { Unreached::Other };
    while let Some(deeper) = cause.source() {
        cause = deeper;
        if cause.is::<NameInside>() {
            return Trouble::ClosedAddress.into();
        }
        why = unreached(cause).unwrap_or(why);
        if why == Unreached::UnknownName {
            break;
        }
    }
    tracing::debug!(%cause, why = why.word(), "a calendar could not be asked for");
    Trouble::Unreachable(why).into()
}

/// What one of the causes says.
fn unreached(cause: &(dyn Error + 'static)) -> Option<Unreached> {
    if cause.is::<NameUnknown>() {
        return Some(Unreached::UnknownName);
    }
    if cause.is::<rustls::Error>() {
        return Some(Unreached::Certificate);
    }
    let error = cause.downcast_ref::<std::io::Error>()?;
    if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
        return Some(Unreached::Certificate);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Unreached::Refused),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => Some(Unreached::NoWay),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            Some(Unreached::BrokeOff)
        }
        _ => None,
    }
}
