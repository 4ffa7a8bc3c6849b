//! What the black-box, contract and fault tests share: private databases, a network that misbehaves on request, and the real server as a child process.
//!
//! A test that needs something to happen waits for it with [`wait::eventually`]; nothing here sleeps and hopes. Every started process and folder is gone when its
//! value is dropped. A part that cannot be set up stops the test with a sentence that says why.
//!
//! `tests/run` starts the shared Postgres and Redis, builds the binaries and says where they are through `TEST_POSTGRES_URL`, `TEST_REDIS_URL`, `AUTOCALL_BIN`
//! and `HANDSET_BIN`.
#![expect(clippy::expect_used, reason = "a harness that cannot set up its parts has nothing better to do than stop the test")]

pub mod described;
pub mod front;
pub mod kept;
pub mod mail;
pub mod markdown;
pub mod oidc;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod server;
pub mod wait;

/// What every HTTP client of a test is made of: the same as the server's own.
pub fn http_client() -> reqwest::ClientBuilder {
    autocall::net::tls::client()
}

/// Gets one address.
///
/// # Errors
///
/// When nobody answers.
pub async fn http_get(url: impl reqwest::IntoUrl) -> reqwest::Result<reqwest::Response> {
    http_client().build()?.get(url).send().await
}

/// The value of an environment variable that `tests/run` sets.
///
/// # Panics
///
/// When it is not set.
#[must_use]
pub fn provided_by_run(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{variable} is not set: start the tests with tests/run, which provides it"),
    }
}
