//! Asks a provider of logins: briefly, and for little. No error holds what was sent.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder};

use super::{ComingBack, Metadata};
use crate::config::{IdentityConfig, SecretText};
use crate::net::tls;

/// Longest that one question takes, with looking the name up, connecting and reading.
const WITHIN: Duration = Duration::from_secs(4);
/// Most bytes of an answer.
const MOST_BYTES: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It took too long.
    #[error("it did not answer within {} s", WITHIN.as_secs())]
    Slow,
    /// Its certificate is not trusted.
    #[error("this computer does not trust its certificate")]
    Certificate,
    /// Nobody is there.
    #[error("no connection to it could be made")]
    NoConnection,
    /// It says that it cannot.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It sends too much.
    #[error("it sent more than {MOST_BYTES} bytes")]
    TooLarge,
}

/// The client for a provider. It follows no redirect: what was asked for is where it said.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    tls::client()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(WITHIN)
        .user_agent(concat!("autocall/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// A document of its.
pub(super) async fn get(client: &Client, address: &str) -> Result<Vec<u8>, Unanswered> {
    match answer(client.get(address).header(ACCEPT, "application/json")).await? {
        (200, body) => Ok(body),
        (status, _) => Err(Unanswered::Status(status)),
    }
}

/// Tokens for a code: status and body of the answer.
pub(super) async fn token(
    client: &Client,
    metadata: &Metadata,
    identity: &IdentityConfig,
    back: ComingBack<'_>,
) -> Result<(u16, Vec<u8>), Unanswered> {
    let client_id = identity.client_id.as_deref().unwrap_or_default();
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", back.code),
        ("redirect_uri", back.redirect),
        ("code_verifier", back.secrets.verifier.as_str()),
    ];
    let mut request = client.post(&metadata.token_endpoint).header(ACCEPT, "application/json");
    match identity.client_secret.as_ref().map(SecretText::expose) {
        None => fields.push(("client_id", client_id)),
        Some(secret) if only_in_the_body(metadata) => fields.extend([("client_id", client_id), ("client_secret", secret)]),
        // Both are encoded first, as RFC 6749 wants it.
        Some(secret) => request = request.header(AUTHORIZATION, basic(client_id, secret)),
    }
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    answer(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)).await
}

/// It takes a secret in the body alone. Without a word of it, it takes it in the header.
fn only_in_the_body(metadata: &Metadata) -> bool {
    let Some(ways) = &metadata.token_endpoint_auth_methods_supported else { return false };
    let has = |way: &str| ways.iter().any(|own| own == way);
    has("client_secret_post") && !has("client_secret_basic")
}

fn basic(client_id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret))))
}

async fn answer(request: RequestBuilder) -> Result<(u16, Vec<u8>), Unanswered> {
    let whole = async {
        let mut response = request.send().await.map_err(why)?;
        let mut body = Vec::new();
        // Pieces are counted as they are unpacked.
        while let Some(piece) = response.chunk().await.map_err(why)? {
            if body.len() + piece.len() > MOST_BYTES {
                return Err(Unanswered::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok((response.status().as_u16(), body))
    };
    tokio::time::timeout(WITHIN, whole).await.unwrap_or(Err(Unanswered::Slow))
}

fn why(error: reqwest::Error) -> Unanswered {
    if error.is_timeout() {
        return Unanswered::Slow;
    }
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(own) = cause {
        let inner = own.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if own.is::<rustls::Error>() || inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
            return Unanswered::Certificate;
        }
        cause = own.source();
    }
    tracing::debug!(%error, "the provider of logins could not be asked");
    Unanswered::NoConnection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_encoded_before_it_is_put_together() {
        assert_eq!(basic("auto:call", "p&ss"), "Basic YXV0byUzQWNhbGw6cCUyNnNz");
    }
}
