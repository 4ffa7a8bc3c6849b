//! Logging in because somebody else says who one is: the way to the provider of logins and back, a proxy in front, and the way out.
//!
//! Browsers let no form lead to another site, since our pages forbid it. So the way there is a link, or a page that leads on by itself.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::{identities as own, login};
use crate::access::oidc::ticket::{LASTS, Purpose, Ticket};
use crate::access::oidc::{ComingBack, Failure, meanings};
use crate::access::trusted_header::{ISSUER, Proxied};
use crate::alarm::doer::Doer;
use crate::app::App;
use crate::dashboard::Dashboard;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::session::{self, Cookies};
use crate::dashboard::frame::vouched;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::identity::claims::{self, Grant, NoRole};
use crate::keep::identities::{self, IdentityError, Known};
use crate::store::Work;
use crate::store::access::users::{CameFrom, Role, UserRow};

/// Holds the ticket of a login that is on its way.
const COOKIE: &str = "autocall_login";
/// Where the provider sends browsers back to, below the address of this server.
const BACK: &str = "/login/oidc/callback";
/// What a provider sends back is no longer, in bytes.
const LONGEST_SENT: usize = 4_096;

/// Why somebody does not come in.
enum Why {
    /// The provider, or what it sent.
    Provider(Failure),
    /// The login was not begun in this browser, was used already, or is too old.
    NotBegun,
    /// It says that they do not want, or may not.
    Denied,
    /// Nothing that is said of them gives a role.
    NoRole,
    /// What is kept here.
    Kept(IdentityError),
}

impl From<Failure> for Why {
    fn from(failure: Failure) -> Self {
        Self::Provider(failure)
    }
}

impl From<NoRole> for Why {
    fn from(_: NoRole) -> Self {
        Self::NoRole
    }
}

impl Why {
    fn status(&self) -> StatusCode {
        match self {
            Self::Provider(failure) if failure.is_away() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Provider(Failure::Unusable(_) | Failure::NotSetUp) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Provider(_) | Self::NotBegun => StatusCode::UNAUTHORIZED,
            Self::Denied | Self::NoRole | Self::Kept(_) => StatusCode::FORBIDDEN,
        }
    }

    /// What whoever wanted to log in is told: no more than is of use to them.
    fn told(&self, words: &'static Words, provider: &str) -> String {
        let with = |text: &str, name: &str| fill_text(text, &[("provider", provider), ("name", name)]);
        match self {
            Self::Provider(failure) if failure.is_away() => with(&words.identity_away, ""),
            Self::Provider(Failure::Unusable(_) | Failure::NotSetUp) => with(&words.identity_unusable, ""),
            Self::Provider(_) => with(&words.identity_refused, ""),
            Self::NotBegun => with(&words.identity_not_begun, ""),
            Self::Denied => with(&words.identity_denied, ""),
            Self::NoRole => with(&words.identity_no_role, ""),
            Self::Kept(IdentityError::NameTaken(name)) => with(&words.identity_name_taken, name),
            Self::Kept(IdentityError::Disabled(name)) => with(&words.identity_disabled, name),
            Self::Kept(IdentityError::LastLocalAdmin) => with(&words.identity_last_admin, ""),
            Self::Kept(IdentityError::Another) => with(&words.identity_another, ""),
            Self::Kept(IdentityError::BadName | IdentityError::Store(_)) => with(&words.identity_unusable, ""),
        }
    }

    /// The same for whoever runs the server.
    fn logged(&self) -> String {
        match self {
            Self::Provider(failure) => failure.to_string(),
            Self::NotBegun => "the login was not begun in this browser, has come back before, or is too old".to_owned(),
            Self::Denied => "the provider did not let them".to_owned(),
            Self::NoRole => NoRole.to_string(),
            Self::Kept(error) => error.to_string(),
        }
    }
}

#[derive(Template)]
#[template(path = "people/elsewhere/onward.html")]
struct OnwardPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    heading: String,
    how: String,
    address: String,
}

/// `GET /login/oidc?next=`: to the provider. Whoever is in already is sent there only to be recognised, and asked nothing.
pub(in crate::dashboard) async fn begin(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let now = app.engine.clock.now();
    let next = vouched::onward(&asked(&query.unwrap_or_default(), "next").unwrap_or_default());
    let is_in = reader.visitor.is_some();
    let ticket = Ticket::new(if is_in { Purpose::Renew } else { Purpose::LogIn }, &next, None, now);
    let way = app.access.oidc.way_there(&pages.tickets.secrets(&ticket), &redirect(app, &reader), is_in).await;
    let mut response = match way {
        Ok(address) => with_ticket(&pages, &ticket, &reader, go_to(&address)),
        // Their session goes on as it is.
        Err(_) if is_in => go_to(&next),
        Err(why) => return refused(&pages, &reader, &next, why.into(), "").await,
    };
    if is_in {
        vouched::put_off(&mut response, now, reader.secure);
    }
    Ok(response)
}

/// `POST /login/oidc/connect`: whoever is logged in wants to be known by the provider.
pub(in crate::dashboard) async fn connect(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let user = own_user(app, &reader).await?;
    let ticket = Ticket::new(Purpose::Connect, "/password/identities", Some(user.id), app.engine.clock.now());
    match app.access.oidc.way_there(&pages.tickets.secrets(&ticket), &redirect(app, &reader), false).await {
        Ok(address) => Ok(with_ticket(&pages, &ticket, &reader, onward(app, &reader, &reader.words.identity_connect, &address))),
        Err(why) => refused(&pages, &reader, "/password/identities", why.into(), "").await,
    }
}

/// `GET /login/oidc/callback`: back from the provider.
pub(in crate::dashboard) async fn back(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let query = query.filter(|query| query.len() <= LONGEST_SENT).unwrap_or_default();
    let now = app.engine.clock.now();
    let state = asked(&query, "state").unwrap_or_default();
    let ticket = Cookies::of(&headers).get(COOKIE).and_then(|cookie| pages.tickets.read(cookie, &state, now));
    let mut response = match ticket {
        Some((ticket, secrets)) => {
            let issuer = asked(&query, "iss");
            let is_ours = issuer.is_none() || issuer == app.access.oidc.issuer();
            let mut work = app.engine.work(Doer::Server).await?;
            let is_first = work.db().use_login(&ticket.hash(), now, now - LASTS).await?;
            work.commit().await?;
            let code = asked(&query, "code").filter(|_| asked(&query, "error").is_none());
            let redirect = redirect(app, &reader);
            let said = match code {
                _ if !is_first || !is_ours => Err(Why::NotBegun),
                None => Err(Why::Denied),
                Some(code) => {
                    let back = ComingBack { code: &code, redirect: &redirect, secrets: &secrets };
                    app.access.oidc.claims(back).await.map_err(Why::from)
                }
            };
            arrived(&pages, &reader, &session::came_from(reader.address, &headers), &ticket, said).await?
        }
        // Two windows may have gone there at once, of which the second has its cookie now.
        None if reader.visitor.is_some() => go_to("/"),
        None => refused(&pages, &reader, "/", Why::NotBegun, "").await?,
    };
    session::set_cookie(&mut response, COOKIE, "", -1, reader.secure);
    Ok(response)
}

/// What becomes of what the provider has said.
async fn arrived(
    pages: &Dashboard,
    reader: &Reader,
    from: &CameFrom,
    ticket: &Ticket,
    said: Result<(String, serde_json::Value), Why>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let (subject, claims) = match said {
        Ok(said) => said,
        // It wants to ask them something first. Their session goes on, and ends when it ends.
        Err(why @ (Why::Denied | Why::NotBegun)) if ticket.purpose == Purpose::Renew && reader.visitor.is_some() => {
            tracing::debug!(why = why.logged(), "a session was not renewed");
            return Ok(go_to(&ticket.next));
        }
        Err(Why::Provider(failure)) if failure.is_away() && reader.visitor.is_some() => return Ok(go_to(&ticket.next)),
        Err(why) => return refused(pages, reader, &ticket.next, why, "").await,
    };
    let issuer = app.access.oidc.issuer().unwrap_or_default();
    if ticket.purpose == Purpose::Connect {
        return connected(pages, reader, ticket, &issuer, &subject).await;
    }
    if ticket.purpose == Purpose::Renew && !is_of(app, reader, &issuer, &subject).await? {
        // Somebody else is logged in there now. Nobody goes on under another name unawares.
        return Ok(go_to(&ticket.next));
    }
    let identity = &app.config().identity;
    let name = claims::text(&claims, &identity.name_claim).unwrap_or(&subject);
    let email = claims::verified_email(&claims).filter(|_| identity.people_by_email.is_on());
    let known = Known { issuer: &issuer, subject: &subject, name, email };
    let grant = meanings(identity).of_claims(&claims).map_err(Why::from);
    let user = match entered(app, known, grant).await {
        Ok(user) => user,
        Err(why) => return refused(pages, reader, &ticket.next, why, &issuer).await,
    };
    let mut response = go_to(&ticket.next);
    if let Some(visitor) = reader.visitor.as_ref().filter(|visitor| visitor.name == user.name) {
        // The same session goes on: forms that are open in other windows stay good.
        let now = app.engine.clock.now();
        let mut work = app.engine.work(Doer::Server).await?;
        work.db().extend_session(&visitor.token_hash, user.id, now + vouched::LASTS).await?;
        work.commit().await?;
        vouched::renewed(&mut response, now, reader.secure);
        return Ok(response);
    }
    vouched::begin(&app.engine, &user, from, &mut response, reader.secure).await?;
    tracing::info!(user.name = %user.name, by = "oidc", "logged in");
    Ok(response)
}

/// Somebody as they are known here, with the role and in the teams that they were given.
async fn entered(app: &App, known: Known<'_>, grant: Result<Grant<Role>, Why>) -> Result<UserRow, Why> {
    let engine = &app.engine;
    let grant = match grant {
        Ok(grant) => grant,
        Err(why) => {
            let ended =
                engine.carry_out(Doer::Server, async |work| identities::shut_out(work, known.issuer, known.subject).await);
            ended.await.map_err(|error| Why::Kept(error.into()))?;
            return Err(why);
        }
    };
    let come_in = engine.carry_out(Doer::Server, async |work| identities::come_in(work, known, grant.role).await);
    let user = come_in.await.map_err(Why::Kept)?;
    if let Some(person) = user.person_id {
        let meanings = meanings(&app.config().identity);
        let decided =
            if known.issuer != ISSUER && meanings.teams_claim.is_empty() { Vec::new() } else { meanings.decided_teams() };
        let follow = async |work: &mut Work| identities::follow_teams(work, person, &grant.teams, &decided).await;
        // Somebody whom an alarm has woken comes in, whatever becomes of the teams.
        if let Err(error) = engine.carry_out(Doer::Server, follow).await {
            tracing::warn!(%error, user.name = %user.name, "the teams of somebody do not follow what the provider of logins says");
        }
    }
    Ok(user)
}

async fn connected(
    pages: &Dashboard,
    reader: &Reader,
    ticket: &Ticket,
    issuer: &str,
    subject: &str,
) -> Result<Response, Refusal> {
    let user = own_user(&pages.app, reader).await?;
    // Who asked for it is who is in now.
    if ticket.user != Some(user.id) {
        return refused(pages, reader, &ticket.next, Why::NotBegun, "").await;
    }
    let connect =
        pages.app.engine.carry_out(reader.doer(), async |work| identities::connect(work, user.id, issuer, subject).await);
    match connect.await {
        Ok(user) => {
            tracing::info!(user.name = %user.name, "a user is known by the provider of logins");
            Ok(go_to("/password/identities?done=connected"))
        }
        Err(error) => refused(pages, reader, &ticket.next, Why::Kept(error), "").await,
    }
}

/// `GET /login/proxy?next=`: whom a proxy in front has let in.
pub(in crate::dashboard) async fn by_proxy(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let next = vouched::onward(&asked(&query.unwrap_or_default(), "next").unwrap_or_default());
    let Some(proxied) = app.access.trusted_header.says(app.config(), peer, &headers) else { return Ok(go_to("/login")) };
    let Proxied { user, groups } = &proxied;
    let known = Known { issuer: ISSUER, subject: user, name: user, email: None };
    let grant = meanings(&app.config().identity).of_groups(&claims::groups(groups)).map_err(Why::from);
    match entered(app, known, grant).await {
        Ok(user) => {
            let mut response = go_to(&next);
            let from = session::came_from(reader.address, &headers);
            vouched::begin_proxied(&app.engine, &user, (&proxied, &from), &mut response, reader.secure).await?;
            tracing::info!(user.name = %user.name, by = "proxy", "logged in");
            Ok(response)
        }
        Err(why) => refused(&pages, &reader, &next, why, ISSUER).await,
    }
}

/// `POST /login/proxy/connect`: whoever is logged in by a password is whom the proxy names.
pub(in crate::dashboard) async fn connect_proxy(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let proxied = app.access.trusted_header.says(app.config(), peer, &headers).ok_or(Refusal::Garbled)?;
    let user = own_user(app, &reader).await?;
    let connect =
        app.engine.carry_out(reader.doer(), async |work| identities::connect(work, user.id, ISSUER, &proxied.user).await);
    match connect.await {
        Ok(_) => Ok(go_to("/password/identities?done=connected")),
        Err(error) => refused(&pages, &reader, "/password/identities", Why::Kept(error), "").await,
    }
}

/// `POST /logout`: out here, and where somebody came in by the provider, out there.
pub(in crate::dashboard) async fn leave(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let home = format!("{}/login", base(&app, &reader));
    let way_out = app.access.oidc.way_out(&home).filter(|_| vouched::came_by_provider(&headers));
    let done = match way_out {
        Some(address) => onward(&app, &reader, &reader.words.log_out, &address),
        None if app.config().identity.user_header.is_some() => go_to("/login?out=1"),
        None => go_to("/login"),
    };
    let mut response = login::leave(&app, &reader, done).await?;
    vouched::over(&mut response, reader.secure);
    Ok(response)
}

/// This server as browsers reach it.
fn base(app: &App, reader: &Reader) -> String {
    app.config().http.public_url.clone().unwrap_or_else(|| reader.server())
}

fn redirect(app: &App, reader: &Reader) -> String {
    format!("{}{BACK}", base(app, reader))
}

/// Whether whoever is in is the one that the provider has named.
async fn is_of(app: &App, reader: &Reader, issuer: &str, subject: &str) -> Result<bool, Refusal> {
    let named = app.engine.store.read().await?.db().user_known_as(issuer, subject).await?;
    Ok(named.zip(reader.visitor.as_ref()).is_some_and(|(named, visitor)| named.name == visitor.name))
}

async fn own_user(app: &App, reader: &Reader) -> Result<UserRow, Refusal> {
    let visitor = reader.visitor.as_ref().ok_or(Refusal::LogIn)?;
    let user = app.engine.store.read().await?.db().user_by_name(&visitor.name).await?;
    user.ok_or(Refusal::LogIn)
}

fn with_ticket(pages: &Dashboard, ticket: &Ticket, reader: &Reader, mut response: Response) -> Response {
    session::set_cookie(&mut response, COOKIE, &pages.tickets.cookie(ticket), LASTS.num_seconds(), reader.secure);
    response
}

/// A page that leads to another site by itself.
fn onward(app: &App, reader: &Reader, heading: &str, address: &str) -> Response {
    let words = reader.words;
    let provider = app.access.oidc.offer().map(|offer| offer.name).unwrap_or_default();
    let fill = |text: &str| fill_text(text, &[("provider", &provider)]);
    let frame = Frame::new(reader, "", heading, app.engine.clock.now());
    let how = fill(&words.identity_onward);
    let page = OnwardPage { frame, words, heading: fill(heading), how, address: address.to_owned() };
    let mut response = html(StatusCode::OK, &page);
    if let Ok(onward) = HeaderValue::from_str(&format!("0; url={address}")) {
        response.headers_mut().insert(header::REFRESH, onward);
    }
    response
}

/// The login page, or one's own where somebody is in, with why not. `shut_out_by`: by whose word what they had open has ended.
async fn refused(pages: &Dashboard, reader: &Reader, next: &str, why: Why, shut_out_by: &str) -> Result<Response, Refusal> {
    if let Why::Kept(IdentityError::Store(error)) = why {
        return Err(error.into());
    }
    let app = &pages.app;
    let provider = match shut_out_by {
        ISSUER => reader.words.identity_proxy.clone(),
        _ => app.access.oidc.offer().map(|offer| offer.name).unwrap_or_default(),
    };
    tracing::warn!(client.address = %reader.address, why = why.logged(), "somebody was not let in by the word of a provider");
    if !matches!(&why, Why::Provider(failure) if failure.is_away()) {
        let name = reader.visitor.as_ref().map_or("(by a provider)", |visitor| visitor.name.as_str());
        session::refused(pages, name, None).await?;
    }
    let told = why.told(reader.words, &provider);
    // Of whom the provider says that they may nothing any more, nobody is in.
    let mut reader = reader.clone();
    reader.visitor = reader.visitor.filter(|_| !matches!(why, Why::NoRole));
    match reader.visitor {
        Some(_) => own::page(app, &reader, why.status(), None, Some(told), None).await,
        None => login::page(app, &reader, why.status(), "", next, Some(told)).await,
    }
}
