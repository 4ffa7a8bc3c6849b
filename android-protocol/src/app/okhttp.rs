//! How okhttp 3.10 follows redirects and asks again, as far as a server can provoke it.

use std::time::Duration;

use crate::http::{self, HttpReply, Method, Request};

/// Follow-ups after which it gives up.
const MAX_FOLLOW_UPS: u32 = 20;

/// The user agent of every build.
const USER_AGENT: &str = "okhttp/3.10.0";

/// Read time-out of a GET.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// Read time-out of a POST.
const POST_TIMEOUT: Duration = Duration::from_secs(25);

/// One call of the client: a request and what follows from its replies.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub request: Request,
    follow_ups: u32,
    /// Status of the reply before this request.
    prior: Option<u16>,
}

/// What follows from a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send the request, which was changed.
    Send,
    /// This is the reply.
    Done,
    /// An `IOException`.
    Failed,
}

impl Exchange {
    pub fn get(url: String, mut headers: Vec<(String, String)>) -> Self {
        headers.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
        Self::new(Request { method: Method::Get, url, headers, body: String::new(), timeout: GET_TIMEOUT })
    }

    pub fn post(url: String) -> Self {
        let headers = vec![("Content-Length".to_owned(), "0".to_owned()), ("User-Agent".to_owned(), USER_AGENT.to_owned())];
        Self::new(Request { method: Method::Post, url, headers, body: String::new(), timeout: POST_TIMEOUT })
    }

    fn new(request: Request) -> Self {
        Self { request, follow_ups: 0, prior: None }
    }

    pub fn reply(&mut self, reply: &HttpReply) -> Next {
        let followed = match reply.status {
            // "Received HTTP_PROXY_AUTH (407) code while not using proxy"
            407 => return Next::Failed,
            // "HTTP 204 had non-zero Content-Length"
            204 | 205 if !reply.body.is_empty() => return Next::Failed,
            307 | 308 if self.request.method == Method::Post => false,
            300..=303 | 307 | 308 => self.redirect(reply),
            408 => self.prior != Some(408) && retry_after(reply, 0) == 0,
            503 => self.prior != Some(503) && retry_after(reply, u64::MAX) == 0,
            _ => false,
        };
        if !followed {
            return Next::Done;
        }
        self.prior = Some(reply.status);
        self.follow_ups += 1;
        if self.follow_ups > MAX_FOLLOW_UPS { Next::Failed } else { Next::Send }
    }

    /// Turns the request into the one the reply points to; false if it points nowhere.
    fn redirect(&mut self, reply: &HttpReply) -> bool {
        let Some(url) = reply.header("location").and_then(|location| http::resolve(&self.request.url, location)) else {
            return false;
        };
        self.request.url = url;
        if self.request.method == Method::Post {
            // A redirected POST becomes a GET: that is how a report is lost.
            self.request.method = Method::Get;
            self.request.headers.retain(|(name, _)| name != "Content-Length");
        }
        true
    }
}

fn retry_after(reply: &HttpReply, absent: u64) -> u64 {
    match reply.header("retry-after") {
        None => absent,
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().unwrap_or(u64::MAX),
        Some(_) => u64::MAX,
    }
}
