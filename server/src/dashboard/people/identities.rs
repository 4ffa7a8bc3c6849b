//! By what else somebody is known than their password: everybody's own.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::access::trusted_header::ISSUER;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::users::has_password;
use crate::store::access::identities::IdentityRow;

#[derive(Template)]
#[template(path = "people/elsewhere/identities.html")]
struct IdentitiesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// By what they are known now.
    known_by: Vec<String>,
    /// Where they can be connected, and what the button says.
    connect: Vec<(&'static str, String)>,
    has_password: bool,
    wrong: Option<String>,
    done: Option<&'static str>,
}

/// `GET /password/identities`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    let proxied = app.access.trusted_header.says(app.config(), peer, &headers).map(|proxied| proxied.user);
    page(&app, &reader, StatusCode::OK, proxied, None, done).await
}

/// What is known of whoever is in; `proxied`: what a proxy calls them just now.
pub(super) async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    proxied: Option<String>,
    wrong: Option<String>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let visitor = reader.visitor.as_ref().ok_or(Refusal::LogIn)?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let user = db.user_by_name(&visitor.name).await?.ok_or(Refusal::LogIn)?;
    let known = db.identities_of(user.id).await?;
    let offer = app.access.oidc.offer();
    let issuer = app.access.oidc.issuer();
    let is_known = |issuer: &str| known.iter().any(|own| own.issuer == issuer);
    let mut connect = Vec::new();
    if let (Some(offer), Some(issuer)) = (&offer, &issuer)
        && !is_known(issuer)
    {
        connect.push(("/login/oidc/connect", fill_text(&words.identity_connect, &[("provider", &offer.name)])));
    }
    if let Some(user) = proxied.filter(|_| !is_known(ISSUER)) {
        connect.push(("/login/proxy/connect", fill_text(&words.identity_connect_proxy, &[("name", &user)])));
    }
    let known_by = known.iter().map(|own| by_word(app, words, own)).collect();
    let frame = Frame::new(reader, "password", words.identity_title.as_str(), app.engine.clock.now());
    let has_password = has_password(&user);
    Ok(html(status, &IdentitiesPage { frame, words, known_by, connect, has_password, wrong, done }))
}

/// What people call the one by which somebody is known.
pub(super) fn by_word(app: &App, words: &Words, own: &IdentityRow) -> String {
    match own.issuer.as_str() {
        ISSUER => words.identity_proxy.clone(),
        issuer if Some(issuer) == app.config().identity.issuer.as_deref() => app.config().identity.provider_name.clone(),
        issuer => issuer.to_owned(),
    }
}
