//! What all pages share: who reads one and in which language, the frame around it, its headers, and refusals as pages.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};

use super::assets;
use super::csrf;
use super::place::Place;
use super::session::{self, Cookies, Visitor};
use super::words::{Language, Words, fill_text};
use crate::access::doors;
use crate::app::App;
use crate::engine::EngineError;
use crate::http::phone::nothing_for_phones;
use crate::http::problem::Problem;
use crate::keep::pairing::PairingError;
use crate::keep::people::PersonError;
use crate::keep::refused::Refused;
use crate::keep::users::UserError;
use crate::numbers::masked;
use crate::store::StoreError;
use crate::store::access::users::Role;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const LANGUAGE_COOKIE: &str = "autocall_language";
const A_YEAR: i64 = 365 * 24 * 3600;

/// Who reads a page, and how it is to speak to them.
#[derive(Clone)]
pub(in crate::dashboard) struct Reader {
    pub(in crate::dashboard) words: &'static Words,
    pub(in crate::dashboard) language: Language,
    /// Whoever is logged in.
    pub(in crate::dashboard) visitor: Option<Visitor>,
    /// Stands in every form, and proves that the form is ours.
    pub(in crate::dashboard) form_token: String,
    /// Where this page can be loaded again, also in another language: its path, with a `?` or `&` at the end.
    pub(in crate::dashboard) again: String,
    /// How the reader's browser calls this server.
    pub(in crate::dashboard) host: String,
    /// The path in front of everything; empty where there is none.
    pub(in crate::dashboard) below: String,
    /// Where the reader is.
    pub(in crate::dashboard) address: IpAddr,
    /// The browser speaks https to a proxy that is trusted.
    pub(in crate::dashboard) secure: bool,
}

impl Reader {
    /// Whether they may do what this role may.
    pub(in crate::dashboard) fn may(&self, role: Role) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.role >= role)
    }

    pub(in crate::dashboard) fn responds(&self) -> bool {
        self.may(Role::Responder)
    }

    pub(in crate::dashboard) fn administers(&self) -> bool {
        self.may(Role::Admin)
    }

    /// A number as they may see it.
    pub(in crate::dashboard) fn number(&self, number: &str) -> String {
        if self.responds() { number.to_owned() } else { masked(number) }
    }

    /// A name; where only a number is known, that number as they may see it.
    pub(in crate::dashboard) fn name(&self, name: &str) -> String {
        let digits = name.chars().filter(char::is_ascii_digit).count();
        let bare = digits >= 3 && name.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.'));
        if bare { self.number(name) } else { name.to_owned() }
    }

    /// The other languages, with the address of this page in them.
    pub(in crate::dashboard) fn other_languages(&self) -> Vec<(&'static str, &'static str, String)> {
        let others = Language::ALL.into_iter().filter(|language| *language != self.language);
        others
            .map(|language| {
                (language.tag(), language.words().language_name.as_str(), format!("{}lang={}", self.again, language.tag()))
            })
            .collect()
    }

    pub(in crate::dashboard) fn role_name(&self) -> &'static str {
        role_word(self.words, self.visitor.as_ref().map_or(Role::Viewer, |visitor| visitor.role))
    }

    /// The name under which they take alarms.
    pub(in crate::dashboard) fn known_as(&self) -> &str {
        self.visitor.as_ref().map_or("", Visitor::known_as)
    }
}

pub(in crate::dashboard) fn role_word(words: &'static Words, role: Role) -> &'static str {
    match role {
        Role::Admin => &words.role_admin,
        Role::Responder => &words.role_responder,
        Role::Viewer => &words.role_viewer,
    }
}

/// The head and header of a page.
pub(in crate::dashboard) struct Frame<'r> {
    pub(in crate::dashboard) reader: &'r Reader,
    pub(in crate::dashboard) title: String,
    pub(in crate::dashboard) current: &'static str,
    /// What the page hears of at `/live`; empty when it stands still.
    pub(in crate::dashboard) live: String,
    pub(in crate::dashboard) now: String,
    pub(in crate::dashboard) style: &'static str,
    pub(in crate::dashboard) script: &'static str,
    pub(in crate::dashboard) icon: &'static str,
}

impl<'r> Frame<'r> {
    pub(in crate::dashboard) fn new(
        reader: &'r Reader,
        current: &'static str,
        title: impl Into<String>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            reader,
            title: title.into(),
            current,
            live: String::new(),
            now: instant(now),
            style: &assets::STYLE.address,
            script: &assets::SCRIPT.address,
            icon: &assets::ICON.address,
        }
    }
}

/// An instant as the script reads it.
pub(in crate::dashboard) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An instant in words for those without script; the script writes it in the reader's zone.
pub(in crate::dashboard) fn at(at: DateTime<Utc>) -> String {
    format!(r#"<time datetime="{}" data-t="at">{} UTC</time>"#, instant(at), at.format("%Y-%m-%d %H:%M"))
}

/// The same with seconds.
pub(in crate::dashboard) fn at_second(at: DateTime<Utc>) -> String {
    format!(r#"<time datetime="{}" data-t="second">{} UTC</time>"#, instant(at), at.format("%Y-%m-%d %H:%M:%S"))
}

/// A time that the script counts up from an instant; without script, the instant.
pub(in crate::dashboard) fn since(at: DateTime<Utc>) -> String {
    format!(r#"<time datetime="{}" data-t="since">{} UTC</time>"#, instant(at), at.format("%H:%M:%S"))
}

/// An instant that the script writes as so long ago; without script, the instant.
pub(in crate::dashboard) fn ago(at: DateTime<Utc>) -> String {
    format!(r#"<time datetime="{}" data-t="ago">{} UTC</time>"#, instant(at), at.format("%H:%M:%S"))
}

/// A time that the script counts down to an instant; without script, the instant.
pub(in crate::dashboard) fn until(at: DateTime<Utc>) -> String {
    format!(r#"<time datetime="{}" data-t="until">{} UTC</time>"#, instant(at), at.format("%H:%M:%S"))
}

/// A length of time in words.
pub(in crate::dashboard) fn duration(words: &Words, seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (hours, minutes, rest) = (h.to_string(), m.to_string(), s.to_string());
    match (h, m) {
        (0, 0) => fill_text(&words.seconds, &[("s", &rest)]),
        (0, _) => fill_text(&words.minutes, &[("m", &minutes), ("s", &format!("{s:02}"))]),
        _ => fill_text(&words.hours, &[("h", &hours), ("m", &format!("{m:02}"))]),
    }
}

/// A page as an answer.
pub(in crate::dashboard) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let mut response = (status, text).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            Refusal::Failed.into_response()
        }
    }
}

/// Sends the browser to another of our pages. The body is for a phone that was given a wrong address: it must not be empty.
pub(in crate::dashboard) fn go_to(address: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, "see the Location header").into_response();
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    response
}

/// Why somebody does not get what they asked for. It becomes a page in their language on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Refusal {
    /// Nobody is logged in.
    LogIn,
    /// Their role may not.
    Forbidden,
    /// The form is not ours, or is too old.
    ForeignForm,
    /// The form is too large.
    TooLarge,
    /// What the form holds makes no sense.
    Garbled,
    /// There is no such page or alarm.
    NotFound,
    /// The alarm is over.
    Over,
    /// The alarm still rings.
    StillRinging,
    /// Nobody is rung for the alarm any more.
    HuntOver,
    /// Its policy has no further step.
    NoFurtherStep,
    /// A time that cannot be meant.
    BadTime,
    /// Somebody else has saved something since the form was opened.
    Stale,
    /// The database is away.
    Away,
    /// The server failed.
    Failed,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::LogIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Garbled | Self::BadTime => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Over | Self::StillRinging | Self::HuntOver | Self::NoFurtherStep | Self::Stale => StatusCode::CONFLICT,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(&self, words: &'static Words) -> (&'static str, &'static str) {
        match self {
            Self::LogIn => (&words.refused_login, &words.refused_login_why),
            Self::Forbidden => (&words.refused_role, &words.refused_role_why),
            Self::ForeignForm => (&words.refused_form, &words.refused_form_why),
            Self::TooLarge => (&words.refused_large, &words.refused_large_why),
            Self::Garbled => (&words.refused_garbled, &words.refused_garbled_why),
            Self::NotFound => (&words.refused_missing, &words.refused_missing_why),
            Self::Over => (&words.refused_over, &words.refused_over_why),
            Self::StillRinging => (&words.refused_ringing, &words.refused_ringing_why),
            Self::HuntOver => (&words.refused_quiet, &words.refused_quiet_why),
            Self::NoFurtherStep => (&words.refused_last_step, &words.refused_last_step_why),
            Self::BadTime => (&words.refused_time, &words.refused_time_why),
            Self::Stale => (&words.refused_stale, &words.refused_stale_why),
            Self::Away => (&words.refused_away, &words.refused_away_why),
            Self::Failed => (&words.refused_failed, &words.refused_failed_why),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a page failed because of the database");
        Self::Away
    }
}

impl From<crate::costly::CostlyError> for Refusal {
    fn from(_: crate::costly::CostlyError) -> Self {
        Self::Away
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoSuchAlarm => Self::NotFound,
            EngineError::Over(_) => Self::Over,
            EngineError::StillRinging => Self::StillRinging,
            EngineError::NoSuchCallee => Self::NotFound,
            EngineError::HuntOver => Self::HuntOver,
            EngineError::NoFurtherStep => Self::NoFurtherStep,
            EngineError::BadTime => Self::BadTime,
            EngineError::NoSuchPolicy(_) => Self::Garbled,
            EngineError::UnknownName { .. } | EngineError::NobodyNamed | EngineError::KeyReused | EngineError::Contended => {
                Self::Failed
            }
            EngineError::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing { .. } => Self::NotFound,
            Refused::Contended => Self::Failed,
            Refused::Store(error) => error.into(),
            Refused::Stale(_) => Self::Stale,
            Refused::Wrong { .. } | Refused::WrongAt { .. } | Refused::Command(_) | Refused::Taken { .. } => Self::Garbled,
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        match problem.status() {
            404 => Self::NotFound,
            412 => Self::Stale,
            503 => Self::Away,
            _ => Self::Failed,
        }
    }
}

impl From<PairingError> for Refusal {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::NoSuchHandset(_) => Self::NotFound,
            PairingError::BadName | PairingError::NameTaken(_) | PairingError::NoToken(_) => Self::Garbled,
            PairingError::Store(error) => error.into(),
        }
    }
}

impl From<PersonError> for Refusal {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Gone => Self::NotFound,
            PersonError::Stale(_) => Self::Stale,
            PersonError::Store(error) => error.into(),
            _ => Self::Garbled,
        }
    }
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Store(error) => error.into(),
            UserError::NoSuchUser(_) => Self::NotFound,
            UserError::Hash(_) | UserError::Stopping => Self::Failed,
            _ => Self::Garbled,
        }
    }
}

#[derive(Template)]
#[template(path = "frame/refusal.html")]
struct RefusalPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    heading: &'static str,
    why: &'static str,
    log_in: bool,
}

fn refusal_page(reader: &Reader, refusal: &Refusal, now: DateTime<Utc>) -> Response {
    let (heading, why) = refusal.words(reader.words);
    let frame = Frame::new(reader, "", heading, now);
    html(refusal.status(), &RefusalPage { frame, words: reader.words, heading, why, log_in: *refusal == Refusal::LogIn })
}

/// The page for an address at which there is nothing.
pub(in crate::dashboard) fn nothing_here(app: &App, peer: SocketAddr, headers: &HeaderMap, path: &str) -> Response {
    let mut response = {
        let (reader, _) = stranger(app, peer, headers, &Method::GET, path, "");
        refusal_page(&reader, &Refusal::NotFound, app.engine.clock.now())
    };
    protect(&mut response);
    response
}

/// Finds out who asks, hands that on to the page, and turns refusals into pages on the way out.
pub(in crate::dashboard) async fn recognise(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    let (mut reader, mut cookies) = stranger(&app, peer, request.headers(), request.method(), &path, &query);
    let token = Cookies::of(request.headers()).get(session::COOKIE).map(str::to_owned);
    // Whoever is not logged in and wants no page may be a phone that was given a wrong address.
    if token.is_none() && !crate::dashboard::wants_page(request.headers()) {
        return nothing_for_phones();
    }
    let known = match &token {
        Some(token) => session::resume(&app.engine, token).await,
        None => Ok(None),
    };
    let mut response = match known {
        Ok(visitor) => {
            if let (Some(visitor), Some(token)) = (&visitor, &token) {
                reader.form_token = csrf::token_of(token);
                if let Some(language) = Language::of_tag(&visitor.language).filter(|_| cookies.language_is_free) {
                    reader.speak(language);
                }
                cookies.visit = None;
            }
            reader.visitor = visitor;
            request.extensions_mut().insert(reader.clone());
            next.run(request).await
        }
        Err(error) => Refusal::from(error).into_response(),
    };
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = refusal_page(&reader, &refusal, app.engine.clock.now());
    }
    cookies.put(&reader, &mut response);
    protect(&mut response);
    response
}

impl Reader {
    pub(in crate::dashboard) fn speak(&mut self, language: Language) {
        self.language = language;
        self.words = language.words();
    }
}

/// What is to be remembered in the browser.
struct NewCookies {
    language: Option<Language>,
    /// Neither the address nor a cookie says a language.
    language_is_free: bool,
    visit: Option<String>,
}

impl NewCookies {
    fn put(&self, reader: &Reader, response: &mut Response) {
        if let Some(language) = self.language {
            session::set_cookie(response, LANGUAGE_COOKIE, language.tag(), A_YEAR, reader.secure);
        }
        if let Some(visit) = &self.visit {
            session::set_cookie(response, csrf::VISIT_COOKIE, visit, 0, reader.secure);
        }
    }
}

/// Somebody whose session is not known yet.
fn stranger(app: &App, peer: SocketAddr, headers: &HeaderMap, method: &Method, path: &str, query: &str) -> (Reader, NewCookies) {
    let config = &app.config().http;
    let cookies = Cookies::of(headers);
    let asked =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "lang").and_then(|(_, tag)| Language::of_tag(&tag));
    let kept = cookies.get(LANGUAGE_COOKIE).and_then(Language::of_tag);
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).and_then(Language::of_accept);
    let language = asked.or(kept).or(accepted).unwrap_or(Language::English);
    // A form that a stranger fills in is bound to their browser by a cookie of its own.
    let kept_visit = cookies.get(csrf::VISIT_COOKIE).filter(|visit| csrf::is_visit(visit));
    let new_visit = (kept_visit.is_none() && method == Method::GET).then(csrf::new_visit);
    let visit = kept_visit.map(str::to_owned).or_else(|| new_visit.clone());
    let reader = Reader {
        words: language.words(),
        language,
        visitor: None,
        form_token: visit.as_deref().map(csrf::token_of).unwrap_or_default(),
        again: again(method, path, query),
        host: session::host_of(headers),
        below: app.prefix.path().to_owned(),
        address: doors::caller(peer, headers, config).address,
        secure: session::is_secure(peer, headers, config),
    };
    (reader, NewCookies { language: asked, language_is_free: asked.or(kept).is_none(), visit: new_visit })
}

/// The address of a page, ready for one more field: one of our own pages, with what its address says but for the language, and
/// what was done before it.
fn again(method: &Method, path: &str, query: &str) -> String {
    let place = Place::read(path);
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "lang" && name != "done");
    let kept = if place.is_some() && method == Method::GET { kept.collect() } else { Vec::new() };
    let place = place.unwrap_or(Place::Now);
    match kept.is_empty() {
        true => format!("{place}?"),
        false => format!("{place}?{}&", form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()),
    }
}

/// Headers that every answer of the pages carries.
pub(in crate::dashboard) fn protect(response: &mut Response) {
    const ALWAYS: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// What a panic becomes; it is outside of all that knows the reader.
pub(in crate::dashboard) fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::http::Response<Body> {
    let mut response = (StatusCode::INTERNAL_SERVER_ERROR, Language::English.words().refused_failed_why.as_str()).into_response();
    protect(&mut response);
    response
}

/// A part of a page that is sent again when it changes.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Part {
    /// The element.
    pub(in crate::dashboard) id: &'static str,
    pub(in crate::dashboard) html: String,
    /// Differs when the markup differs.
    pub(in crate::dashboard) version: String,
}

impl Part {
    pub(in crate::dashboard) fn new(id: &'static str, template: &impl Template) -> Self {
        use sha2::{Digest, Sha256};
        let html = template.render().map(|html| html.trim().to_owned()).unwrap_or_else(|error| {
            tracing::error!(%error, id, "a part of a page could not be written");
            String::new()
        });
        let version = crate::ids::hex(&Sha256::digest(html.as_bytes())[..8]);
        Self { id, html, version }
    }
}

/// What is on a live page at one moment.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Sight {
    pub(in crate::dashboard) title: String,
    pub(in crate::dashboard) parts: Vec<Part>,
}

#[derive(Template)]
#[template(path = "frame/live_page.html")]
struct LivePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    heading: &'static str,
    done: Option<&'static str>,
    parts: Vec<Part>,
}

/// A live page: its parts in their frame.
pub(in crate::dashboard) fn live_page(
    reader: &Reader,
    current: &'static str,
    live: String,
    heading: &'static str,
    sight: Sight,
    done: Option<&'static str>,
    now: DateTime<Utc>,
) -> Response {
    let mut frame = Frame::new(reader, current, sight.title, now);
    frame.live = live;
    html(StatusCode::OK, &LivePage { frame, words: reader.words, heading, done, parts: sight.parts })
}
