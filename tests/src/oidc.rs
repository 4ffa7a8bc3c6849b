//! Providers of logins: one that others wrote, Python's `oidc-provider-mock` with `tests/oidc/provider.py`; and one of our own, which also
//! says what no honest one says.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autocall::clock::Clock;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::process::Process;
use crate::redis::reserve_port;
use crate::wait::eventually;

/// How long a program may take to start on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// The secret by which our own provider knows a server.
pub const SECRET: &str = "s3cret: with a colon";

/// A provider that others wrote, and that checks PKCE. Dropping it ends it.
#[derive(Debug)]
pub struct Independent {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Independent {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When its packages cannot be installed, or it does not start.
    pub async fn start() -> Self {
        Self::start_at(reserve_port()).await
    }

    /// Starts one on this port.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub async fn start_at(port: u16) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().unwrap_or(package);
        let mut python = Command::new(root.join("tests/calendar-python"));
        let python = python.arg("tests/oidc/requirements.txt").stderr(Stdio::inherit()).output().expect("the script is there");
        assert!(python.status.success(), "tests/calendar-python must be able to install its packages");
        let mut command = Command::new(String::from_utf8_lossy(&python.stdout).trim());
        command.arg(root.join("tests/oidc/provider.py")).arg(port.to_string());
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let process = Process::spawn("a provider of logins", command, &folder.path().join("log"));
        let provider = Self { process, port, _folder: folder };
        let described = format!("{}/.well-known/openid-configuration", provider.issuer());
        eventually("the provider to answer", SOON, async || {
            let answer = crate::http_get(&described).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        provider
    }

    /// Its address.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it said.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.errors()
    }

    /// Says who somebody is there.
    ///
    /// # Panics
    ///
    /// When it does not take that.
    pub async fn knows(&self, subject: &str, claims: &Value) {
        let http = crate::http_client().no_proxy().build().expect("a client");
        let answer = http.put(format!("{}/users/{subject}", self.issuer())).json(claims).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Presses a button on the page of a login, and gives where the browser is sent then.
    ///
    /// # Panics
    ///
    /// When it is sent nowhere.
    pub async fn press(&self, login: &str, fields: &[(&str, &str)]) -> String {
        let http = crate::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let page = http.get(login).send().await.expect("an answer");
        assert!(page.status().is_success(), "{page:?}");
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http.post(login).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.expect("an answer");
        let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
        to.unwrap_or_else(|| panic!("sent nowhere: {answer:?}")).to_owned()
    }
}

/// What is wrong with the tokens that our own provider gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Forged {
    /// Nothing.
    #[default]
    Nothing,
    /// Another algorithm is named, and there is no signature.
    Unsigned(&'static str),
    /// Signed by HMAC, with the public key as the secret.
    ByPublicKey,
    /// Signed with another key under the same name.
    OtherKey,
    /// Signed with a key that is not in the list.
    UnknownKey,
    /// A letter of the claims is another one than was signed.
    Bent,
    /// What is no token at all.
    Text(&'static str),
}

/// What our own provider says next.
#[derive(Clone, Debug, Default)]
pub struct Says {
    /// What of the claims of a token is other than it should be; null takes a claim away.
    pub claims: Value,
    /// What is wrong with the token.
    pub forged: Forged,
    /// Instead of asking anything, it sends this error back.
    pub error: Option<&'static str>,
    /// It answers everything with this status.
    pub status: Option<u16>,
    /// It says of itself what is other than it should be.
    pub metadata: Value,
    /// What goes back with a code, beside it.
    pub back: &'static str,
}

struct Asked {
    redirect: String,
    nonce: String,
    challenge: String,
}

struct Inside {
    issuer: String,
    clock: Clock,
    keys: Mutex<Keys>,
    says: Mutex<Says>,
    codes: Mutex<HashMap<String, Asked>>,
    counts: Mutex<HashMap<&'static str, usize>>,
}

struct Keys {
    name: String,
    pair: EcdsaKeyPair,
}

/// A provider in this process, which says what a test wants it to say, and otherwise checks what it is asked as it should. Dropping it ends it.
pub struct Own {
    inside: Arc<Inside>,
    running: JoinHandle<()>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).expect("a key")
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims with what is to be other.
fn merged(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

impl Own {
    /// Starts one, whose tokens are of the time of this clock.
    ///
    /// # Panics
    ///
    /// When there is no port for it.
    pub async fn start(clock: &Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let inside = Arc::new(Inside {
            issuer,
            clock: clock.clone(),
            keys: Mutex::new(Keys { name: "one".to_owned(), pair: new_key() }),
            says: Mutex::default(),
            codes: Mutex::default(),
            counts: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/keys", get(keys))
            .with_state(Arc::clone(&inside));
        let running = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Self { inside, running }
    }

    /// Its address.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inside.issuer
    }

    /// What it says from now on.
    pub fn says(&self, says: Says) {
        *locked(&self.inside.says) = says;
    }

    /// Somebody with these claims is logged in there from now on.
    pub fn claims(&self, claims: Value) {
        self.says(Says { claims, ..Says::default() });
    }

    /// From now on it signs with another key, of this name.
    pub fn new_key(&self, name: &str) {
        *locked(&self.inside.keys) = Keys { name: name.to_owned(), pair: new_key() };
    }

    /// How often it was asked for that: `metadata`, `keys`, `token` or `authorize`.
    #[must_use]
    pub fn asked(&self, what: &str) -> usize {
        locked(&self.inside.counts).get(what).copied().unwrap_or_default()
    }

    /// What a browser does there: where it is sent back to.
    ///
    /// # Panics
    ///
    /// When it is sent nowhere.
    pub async fn visit(&self, login: &str) -> String {
        let http = crate::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = http.get(login).send().await.expect("an answer");
        let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
        to.unwrap_or_else(|| panic!("sent nowhere: {answer:?}")).to_owned()
    }
}

impl Inside {
    /// Counts a request, and says what it is answered with where nothing works.
    #[expect(clippy::result_large_err, reason = "an answer either way")]
    fn asked(&self, what: &'static str) -> Result<Says, Response> {
        *locked(&self.counts).entry(what).or_default() += 1;
        let says = locked(&self.says).clone();
        match says.status {
            Some(status) => Err(StatusCode::from_u16(status).expect("a status").into_response()),
            None => Ok(says),
        }
    }

    fn token(&self, nonce: &str, says: &Says) -> String {
        let now = self.clock.now().timestamp();
        let claims = json!({
            "iss": self.issuer, "aud": "autocall", "sub": "17", "nonce": nonce, "iat": now, "exp": now + 300,
            "preferred_username": "lin", "groups": ["oncall"],
        });
        let keys = locked(&self.keys);
        let name = if says.forged == Forged::UnknownKey { "another" } else { &keys.name };
        let alg = match says.forged {
            Forged::Unsigned(alg) => alg,
            Forged::ByPublicKey => "HS256",
            _ => "ES256",
        };
        let head = encoded(json!({ "alg": alg, "kid": name, "typ": "JWT" }).to_string());
        let claims = merged(claims, &says.claims);
        let signed = format!("{head}.{}", encoded(claims.to_string()));
        let ec = |pair: &EcdsaKeyPair| encoded(pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature"));
        match says.forged {
            Forged::Text(text) => text.to_owned(),
            Forged::Unsigned(_) => format!("{signed}."),
            Forged::ByPublicKey => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, keys.pair.public_key().as_ref());
                format!("{signed}.{}", encoded(ring::hmac::sign(&key, signed.as_bytes())))
            }
            Forged::OtherKey | Forged::UnknownKey => format!("{signed}.{}", ec(&new_key())),
            Forged::Bent => {
                let bent = merged(claims, &json!({ "groups": ["chiefs"] }));
                format!("{head}.{}.{}", encoded(bent.to_string()), ec(&keys.pair))
            }
            Forged::Nothing => format!("{signed}.{}", ec(&keys.pair)),
        }
    }
}

async fn metadata(State(inside): State<Arc<Inside>>) -> Response {
    let says = match inside.asked("metadata") {
        Ok(says) => says,
        Err(broken) => return broken,
    };
    let issuer = &inside.issuer;
    let own = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "end_session_endpoint": format!("{issuer}/leave"),
    });
    Json(merged(own, &says.metadata)).into_response()
}

async fn keys(State(inside): State<Arc<Inside>>) -> Response {
    if let Err(broken) = inside.asked("keys") {
        return broken;
    }
    let keys = locked(&inside.keys);
    let point = keys.pair.public_key().as_ref();
    let key = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": keys.name,
        "x": encoded(&point[1..33]), "y": encoded(&point[33..]),
    });
    Json(json!({ "keys": [{ "kty": "oct", "k": "AAAA" }, key] })).into_response()
}

async fn authorize(State(inside): State<Arc<Inside>>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let says = match inside.asked("authorize") {
        Ok(says) => says,
        Err(broken) => return broken,
    };
    let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let scopes = of("scope");
    let good = of("response_type") == "code"
        && of("client_id") == "autocall"
        && of("code_challenge_method") == "S256"
        && scopes.split(' ').any(|scope| scope == "openid")
        && ["state", "nonce", "code_challenge"].iter().all(|name| of(name).len() == 43);
    if !good {
        return (StatusCode::BAD_REQUEST, format!("{asked:?}")).into_response();
    }
    let (redirect, state) = (of("redirect_uri"), of("state"));
    if let Some(error) = says.error {
        return Redirect::to(&format!("{redirect}?error={error}&state={state}")).into_response();
    }
    let code = Uuid::new_v4().to_string();
    let asked = Asked { redirect: redirect.clone(), nonce: of("nonce"), challenge: of("code_challenge") };
    locked(&inside.codes).insert(code.clone(), asked);
    Redirect::to(&format!("{redirect}?code={code}&state={state}{}", says.back)).into_response()
}

async fn token(State(inside): State<Arc<Inside>>, headers: HeaderMap, body: String) -> Response {
    let says = match inside.asked("token") {
        Ok(says) => says,
        Err(broken) => return broken,
    };
    let fields: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let of = |name: &str| fields.get(name).map_or("", String::as_str);
    // Both are encoded before they are put together.
    let known = "Basic ".to_owned() + &base64::engine::general_purpose::STANDARD.encode("autocall:s3cret%3A+with+a+colon");
    let is_known = headers.get("authorization").is_some_and(|said| said.as_bytes() == known.as_bytes());
    let asked = locked(&inside.codes).remove(of("code"));
    let verified = |asked: &Asked| {
        let challenge = encoded(ring::digest::digest(&ring::digest::SHA256, of("code_verifier").as_bytes()));
        of("grant_type") == "authorization_code" && of("redirect_uri") == asked.redirect && challenge == asked.challenge
    };
    match asked.filter(|asked| is_known && verified(asked)) {
        Some(asked) => {
            Json(json!({ "access_token": "a", "token_type": "Bearer", "id_token": inside.token(&asked.nonce, &says) }))
                .into_response()
        }
        None => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response(),
    }
}

/// Somebody who lets every connection in, and never says a word. Dropping it closes them.
#[derive(Debug)]
pub struct Silent {
    address: String,
    listening: JoinHandle<()>,
}

impl Silent {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When there is no port for it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let listening = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        });
        Self { address, listening }
    }

    /// Its address and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
