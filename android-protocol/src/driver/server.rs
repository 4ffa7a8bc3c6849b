//! The server as the driver knows it: requests go out, and what is wrong between here and there is said once.

use std::sync::{Arc, Mutex};

use crate::{
    client,
    http::{HttpReply, Method, Request},
};

/// Where the server is, and how it was there last.
#[derive(Debug, Clone)]
pub(super) struct Server {
    client: reqwest::Client,
    base: Arc<str>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Server {
    pub(super) fn new(client: reqwest::Client, base: &str) -> Self {
        Self { client, base: base.into(), trouble: Arc::default() }
    }

    /// A request of our own protocol below the handset's address.
    pub(super) fn post(&self, path: &str, body: String) -> Request {
        Request {
            method: Method::Post,
            url: format!("{}{path}", self.base),
            headers: vec![
                (crate::wire::PROTOCOL_HEADER.to_owned(), crate::wire::PROTOCOL_VERSION.to_owned()),
                ("Content-Type".to_owned(), "application/json".to_owned()),
            ],
            body,
            timeout: std::time::Duration::from_secs(20),
        }
    }

    /// Sends a request of the handset; `None` if no reply came.
    pub(super) async fn send(&self, request: Request) -> Option<HttpReply> {
        let polls = request.method == Method::Get && request.url.contains("/alert/phone");
        let reply = client::send(&self.client, request).await;
        // What the poll meets counts: the parts that are ours alone may be unknown to a server.
        match &reply {
            Err(why) => self.note(Some(why.to_string())),
            Ok(reply) if polls => self.note(what_is_wrong(reply)),
            Ok(_) => {}
        }
        reply.ok()
    }

    /// As [`Server::send`], of which the caller tells what is wrong.
    pub(super) async fn ask(&self, request: Request) -> Option<HttpReply> {
        client::send(&self.client, request).await.ok()
    }

    fn note(&self, trouble: Option<String>) {
        // A lock that is poisoned holds a word that is as good as any.
        let mut known = self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *known != trouble {
            match &trouble {
                Some(why) => tracing::warn!("the server cannot be asked: {why}"),
                None => tracing::info!("the server answers again"),
            }
            *known = trouble;
        }
    }
}

fn what_is_wrong(reply: &HttpReply) -> Option<String> {
    match reply.status {
        200..=299 => None,
        300..=399 => Some(format!(
            "it answers {} and names another address; put that one into the configuration{}",
            reply.status,
            reply.header("location").map(|to| format!(" ({})", to.split("/h/").next().unwrap_or_default())).unwrap_or_default()
        )),
        401 | 403 | 404 => Some(format!(
            "it answers {}: it does not know this handset; copy the address again from the page Handsets",
            reply.status
        )),
        status => Some(format!("it answers {status}")),
    }
}
