//! People whom a provider of logins knows (`OpenID Connect`): the code flow with PKCE, as seen from here.
//!
//! The provider is named in the configuration, so it may be anywhere, inside the network too; what it names in its turn must speak https,
//! or be on this computer like itself. Whatever it does, nobody waits for it longer than some seconds, and nothing else waits at all.

mod asking;
mod signature;
pub mod ticket;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use self::asking::Unanswered;
use self::signature::{BadSignature, Key, Token};
use self::ticket::Secrets;
use crate::clock::Clock;
use crate::config::live::Live;
use crate::config::{Config, IdentityConfig};
use crate::identity::claims::Meanings;
use crate::identity::token::{self, Expected, Wrong};
use crate::store::access::users::Role;

/// What a provider says of itself is asked again after so long, where somebody is to be sent there: only one that answers is worth it.
const SEEN_LATELY: TimeDelta = TimeDelta::seconds(5);
/// The same, and its keys, where somebody comes back from there. A key that it gave up is good for no longer.
const KEPT_FOR: TimeDelta = TimeDelta::hours(1);
/// A token that no known key has signed makes the keys be read again, at most this often: whoever makes some up must not make us ask all the time.
const KEYS_AGAIN: TimeDelta = TimeDelta::seconds(60);
/// All that is asked for one login takes no longer together.
const ALTOGETHER: Duration = Duration::from_secs(8);
/// So many codes are taken there at once: whoever makes some up keeps it no busier than that, and us neither.
const AT_ONCE: usize = 16;
/// One that did not answer is left alone for so long.
const LEFT_ALONE: TimeDelta = TimeDelta::seconds(10);
/// For so long the login page says that it did not answer.
const SAID_FOR: TimeDelta = TimeDelta::seconds(60);

/// Why somebody does not come in by a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no provider.
    #[error("identity.issuer and identity.client_id name no provider of logins")]
    NotSetUp,
    /// It cannot be reached.
    #[error("the provider of logins cannot be reached: {0}")]
    Away(Unanswered),
    /// What it says of itself cannot be used.
    #[error("the provider of logins cannot be used: {0}")]
    Unusable(&'static str),
    /// It did not take the code.
    #[error(
        "the provider did not take the code that it had given (status {0}): it was used, is too old, or client_id or client_secret are wrong"
    )]
    Code(u16),
    /// What it sent is no token that is signed by it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The token is not for us, or not of this login, or not of now.
    #[error(transparent)]
    Token(#[from] Wrong),
}

impl Failure {
    /// Whether it may go another time, without anybody doing anything about it.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

impl From<Unanswered> for Failure {
    fn from(why: Unanswered) -> Self {
        Self::Away(why)
    }
}

/// What a provider says of itself, as far as we need it.
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Whether it is of the one that was asked, and leads nowhere that anybody could listen to.
    fn checked(self, issuer: &str) -> Result<Self, Failure> {
        if self.issuer != issuer {
            return Err(Failure::Unusable(
                "it calls itself otherwise than identity.issuer says, which must be the same letter for letter",
            ));
        }
        if ![&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri].into_iter().all(|address| is_safe(address)) {
            return Err(Failure::Unusable("one of its addresses does not speak https"));
        }
        Ok(Self { end_session_endpoint: self.end_session_endpoint.filter(|address| is_safe(address)), ..self })
    }
}

/// Whether nobody can listen to what is sent there: it is encrypted, or stays on this computer.
fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let plain = url.username().is_empty() && url.password().is_none() && address.len() <= 2_000 && !host.is_empty();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && here))
}

/// What it gives for a code, as far as we need it.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// What is known of a provider.
#[derive(Default)]
struct Known {
    issuer: String,
    metadata: Option<(Metadata, DateTime<Utc>)>,
    keys: Option<(Arc<[Key]>, DateTime<Utc>)>,
    /// When its keys were last read again for one that was unknown.
    keys_again_at: Option<DateTime<Utc>>,
    /// When it last did not answer, and why.
    unanswered: Option<(Failure, DateTime<Utc>)>,
}

/// The provider of logins, if there is one.
pub struct Oidc {
    config: Arc<Live>,
    clock: Clock,
    client: Option<Client>,
    places: Semaphore,
    /// Held by whoever asks it something: those who want the same wait for that, for as long as asking may take, and then know it too.
    known: tokio::sync::Mutex<Known>,
    /// Since when it has not answered.
    away_since: Mutex<Option<DateTime<Utc>>>,
    /// Where somebody leaves it, as it said last.
    leaves_by: Mutex<Option<String>>,
}

/// What the login page offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What people call the provider.
    pub name: String,
    /// It did not answer just now.
    pub is_away: bool,
}

/// Somebody comes back with this.
#[derive(Clone, Copy, Debug)]
pub struct ComingBack<'c> {
    /// What the provider gave the browser.
    pub code: &'c str,
    /// Where the browser was sent back to.
    pub redirect: &'c str,
    /// What belongs to this login.
    pub secrets: &'c Secrets,
}

impl Oidc {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(config: Arc<Live>, clock: Clock) -> Self {
        let client = asking::client()
            .inspect_err(|error| tracing::error!(%error, "nobody can log in by a provider: the HTTP client cannot be made"));
        Self {
            config,
            clock,
            client: client.ok(),
            places: Semaphore::new(AT_ONCE),
            known: tokio::sync::Mutex::default(),
            away_since: Mutex::default(),
            leaves_by: Mutex::default(),
        }
    }

    /// What the login page offers; `None` where there is no provider.
    #[must_use]
    pub fn offer(&self) -> Option<Offer> {
        let identity = &self.config.identity;
        identity.issuer.as_ref().and(identity.client_id.as_ref())?;
        let since = *self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        let is_away = since.is_some_and(|since| self.clock.now() - since < SAID_FOR);
        Some(Offer { name: identity.provider_name.clone(), is_away })
    }

    /// The provider's own address, under which those are known whom it knows.
    #[must_use]
    pub fn issuer(&self) -> Option<String> {
        self.config.identity.issuer.clone()
    }

    /// Where a browser is sent so that the provider says who sits there. `silent`: nobody is to be asked for anything.
    ///
    /// # Errors
    /// When there is no provider, or it does not answer now.
    pub async fn way_there(&self, secrets: &Secrets, redirect: &str, silent: bool) -> Result<String, Failure> {
        let config: &Config = &self.config;
        let (issuer, client_id) = named(&config.identity)?;
        let metadata = self.metadata(issuer, SEEN_LATELY).await?;
        let mut scopes = vec!["openid"];
        scopes.extend(config.identity.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(secrets.verifier.as_bytes()));
        let mut url =
            Url::parse(&metadata.authorization_endpoint).map_err(|_| Failure::Unusable("its address for logins is none"))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &secrets.state)
            .append_pair("nonce", &secrets.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if silent {
            url.query_pairs_mut().append_pair("prompt", "none");
        }
        Ok(url.into())
    }

    /// What the provider says of somebody who came back with a code, once all of it was checked: whom the token is about, and its claims.
    ///
    /// # Errors
    /// Why nobody comes in by it.
    pub async fn claims(&self, back: ComingBack<'_>) -> Result<(String, Value), Failure> {
        let asked = tokio::time::timeout(ALTOGETHER, self.checked_claims(back)).await;
        asked.unwrap_or_else(|_| Err(self.unanswered(Unanswered::Slow.into())))
    }

    async fn checked_claims(&self, back: ComingBack<'_>) -> Result<(String, Value), Failure> {
        let config: &Config = &self.config;
        let (issuer, client_id) = named(&config.identity)?;
        let client = self.client()?;
        let _place = self.places.acquire().await.map_err(|_| Failure::NotSetUp)?;
        let metadata = self.metadata(issuer, KEPT_FOR).await?;
        let answer = asking::token(client, &metadata, &config.identity, back).await;
        let (status, body) = answer.map_err(|why| self.unanswered(why.into()))?;
        match status {
            200 => {}
            500..=599 => return Err(self.unanswered(Unanswered::Status(status).into())),
            _ => return Err(Failure::Code(status)),
        }
        let tokens: Tokens = serde_json::from_slice(&body).map_err(|_| BadSignature::NoToken)?;
        let token = Token::read(&tokens.id_token)?;
        self.check_signature(&token, issuer, &metadata).await?;
        let expected = Expected { issuer, client_id, nonce: &back.secrets.nonce, now: self.clock.now() };
        let subject = token::subject(&token.claims, expected)?.to_owned();
        self.answered();
        Ok((subject, token.claims))
    }

    /// Where somebody leaves the provider as well, and is sent back from; `None` where it offers none.
    #[must_use]
    pub fn way_out(&self, redirect: &str) -> Option<String> {
        let client_id = self.config.identity.client_id.as_deref()?;
        let address = self.leaves_by.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let mut url = Url::parse(&address).ok()?;
        url.query_pairs_mut().append_pair("client_id", client_id).append_pair("post_logout_redirect_uri", redirect);
        Some(url.into())
    }

    /// Signed by one of its keys. One that is not known may be new; and so may one that is called like another before, or has no name.
    async fn check_signature(&self, token: &Token<'_>, issuer: &str, metadata: &Metadata) -> Result<(), Failure> {
        let (keys, just_read) = self.keys(issuer, metadata, false).await?;
        match token.check(&keys) {
            Err(BadSignature::UnknownKey | BadSignature::Signature) if !just_read => {
                Ok(token.check(&self.keys(issuer, metadata, true).await?.0)?)
            }
            checked => Ok(checked?),
        }
    }

    fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or(Failure::Unusable("this computer's own certificates cannot be read"))
    }

    /// What it says of itself, no older than that.
    async fn metadata(&self, issuer: &str, no_older: TimeDelta) -> Result<Metadata, Failure> {
        let client = self.client()?;
        let mut known = self.known_of(issuer).await;
        let now = self.clock.now();
        if let Some((metadata, at)) = &known.metadata
            && is_fresh(*at, no_older, now)
        {
            return Ok(metadata.clone());
        }
        if let Some((why, at)) = &known.unanswered
            && is_fresh(*at, LEFT_ALONE, now)
        {
            return Err(why.clone());
        }
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let read = async {
            let body = asking::get(client, &address).await?;
            let metadata: Metadata =
                serde_json::from_slice(&body).map_err(|_| Failure::Unusable("what it says of itself cannot be read"))?;
            metadata.checked(issuer)
        };
        match read.await {
            Ok(metadata) => {
                let now = self.clock.now();
                (known.metadata, known.unanswered) = (Some((metadata.clone(), now)), None);
                *self.leaves_by.lock().unwrap_or_else(PoisonError::into_inner) = metadata.end_session_endpoint.clone();
                self.answered();
                Ok(metadata)
            }
            Err(why) => {
                known.unanswered = Some((why.clone(), self.clock.now()));
                Err(self.unanswered(why))
            }
        }
    }

    /// Its keys, and whether they were read just now; `again`: one of them was not known.
    async fn keys(&self, issuer: &str, metadata: &Metadata, again: bool) -> Result<(Arc<[Key]>, bool), Failure> {
        let client = self.client()?;
        let mut known = self.known_of(issuer).await;
        let now = self.clock.now();
        if let Some((keys, _)) = known.keys.as_ref().filter(|(_, at)| is_fresh(*at, KEPT_FOR, now)) {
            if !again || known.keys_again_at.is_some_and(|again| is_fresh(again, KEYS_AGAIN, now)) {
                return Ok((Arc::clone(keys), false));
            }
            known.keys_again_at = Some(now);
        }
        let body = asking::get(client, &metadata.jwks_uri).await.map_err(|why| self.unanswered(why.into()))?;
        let keys: Arc<[Key]> = signature::keys(&body).ok_or(Failure::Unusable("its keys cannot be read"))?.into();
        known.keys = Some((Arc::clone(&keys), self.clock.now()));
        Ok((keys, true))
    }

    /// What is known of this provider: nothing when the configuration names another one since.
    async fn known_of(&self, issuer: &str) -> tokio::sync::MutexGuard<'_, Known> {
        let mut known = self.known.lock().await;
        if known.issuer != issuer {
            *known = Known { issuer: issuer.to_owned(), ..Known::default() };
        }
        known
    }

    fn answered(&self) {
        if self.away_since.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("the provider of logins answers again");
        }
    }

    fn unanswered(&self, why: Failure) -> Failure {
        let mut since = self.away_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            tracing::warn!(%why, "people cannot log in by the provider now; passwords, open sessions, links and phones go on working");
        }
        *since = Some(self.clock.now());
        why
    }
}

fn is_fresh(at: DateTime<Utc>, no_older: TimeDelta, now: DateTime<Utc>) -> bool {
    // A clock that was put back makes nothing younger.
    at <= now && now - at < no_older
}

fn named(identity: &IdentityConfig) -> Result<(&str, &str), Failure> {
    let both = identity.issuer.as_deref().zip(identity.client_id.as_deref());
    both.ok_or(Failure::NotSetUp)
}

/// What the configuration says that words of a provider mean here.
#[must_use]
pub fn meanings(identity: &IdentityConfig) -> Meanings<Role> {
    let role = |(value, word): &(String, String)| Some((value.clone(), Role::parse(word)?));
    Meanings {
        roles_claim: identity.roles_claim.clone(),
        roles: identity.roles.iter().filter_map(role).collect(),
        teams_claim: identity.teams_claim.clone(),
        teams: identity.teams.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_names_must_be_safe() {
        for good in [
            "https://id.example.org/token",
            "https://10.0.0.7/token?p=x",
            "http://127.0.0.1:9400/t",
            "http://localhost/t",
            "http://[::1]:1/t",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://id.example.org/token",
            "ftp://127.0.0.1/",
            "https://u:p@id.example.org/",
            "/token",
            "",
            "javascript:alert(1)",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn the_words_for_roles_are_those_of_the_store() {
        for word in crate::identity::ROLE_WORDS {
            assert!(Role::parse(word).is_some(), "{word}");
        }
    }
}
