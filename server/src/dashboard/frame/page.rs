//! What all pages share: who reads one and in which language, the frame around it, its headers, and refusals as pages.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};

use super::answer::{Refusal, protect};
use super::assets;
use super::csrf;
use super::place::{ADMIN_MENU, Entry, MENU, MORE_MENU, OWN_MENU, Place, RESPONDER_MENU};
use super::reader::Reader;
use super::session::{self, Cookies};
use super::vouched;
use super::words::Bit::Html;
use super::words::{Language, Words, fill, fill_text};
use crate::access::doors;
use crate::app::App;
use crate::dashboard::query::asked;
use crate::http::phone::nothing_for_phones;
use crate::net::secured::Encrypted;
use crate::rights::roles::Role;

const LANGUAGE_COOKIE: &str = "autocall_language";
const A_YEAR: i64 = 365 * 24 * 3600;

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
    /// For the home screen of a phone.
    pub(in crate::dashboard) manifest: &'static str,
    pub(in crate::dashboard) touch_icon: &'static str,
    /// Says when too many pages are open.
    pub(in crate::dashboard) full: &'static str,
    /// For those at a desk, on *Now*.
    pub(in crate::dashboard) desk: &'static str,
    /// Said while the line is cut, with the time from which what is shown is; HTML.
    pub(in crate::dashboard) lost: String,
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
            manifest: &assets::MANIFEST.address,
            touch_icon: &assets::TOUCH_ICON.address,
            full: &assets::FULL.address,
            desk: &assets::DESK.address,
            lost: fill(&reader.words.lost, &[("at", Html(&at_second(now)))]),
        }
    }

    /// What is looked at most: where each entry leads, its word, and whether it is this page.
    pub(in crate::dashboard) fn menu(&self) -> Vec<(String, &'static str, bool)> {
        self.entries(MENU)
    }

    /// The other pages that the reader may see.
    pub(in crate::dashboard) fn more_menu(&self) -> Vec<(String, &'static str, bool)> {
        let mut entries = self.entries(MORE_MENU);
        let responds = self.reader.may_everywhere(Role::Responder);
        entries.extend(self.entries(if responds { RESPONDER_MENU } else { &[] }));
        entries
    }

    /// What is set up, for those who may.
    pub(in crate::dashboard) fn admin_menu(&self) -> Vec<(String, &'static str, bool)> {
        self.entries(if self.reader.sets_up() { ADMIN_MENU } else { &[] })
    }

    /// The reader's own pages.
    pub(in crate::dashboard) fn own_menu(&self) -> Vec<(String, &'static str, bool)> {
        self.entries(OWN_MENU)
    }

    /// The name of this page where it is one of a menu that is closed: the menu says then where one is.
    pub(in crate::dashboard) fn within(&self) -> Option<&'static str> {
        let all = self.more_menu().into_iter().chain(self.admin_menu());
        all.into_iter().find(|(_, _, is_here)| *is_here).map(|(_, word, _)| word)
    }

    fn entries(&self, menu: &[Entry]) -> Vec<(String, &'static str, bool)> {
        let shown = |(place, current, word): &Entry| (place.to_string(), word(self.reader.words), *current == self.current);
        menu.iter().map(shown).collect()
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
    reader.secure |= request.extensions().get::<Encrypted>().is_some();
    let token = vouched::token(&app, peer, request.headers());
    // Whoever is not logged in and wants no page may be a phone that was given a wrong address.
    if token.is_none() && !crate::dashboard::wants_page(request.headers()) {
        return nothing_for_phones();
    }
    let known = match &token {
        Some(token) => session::resume(&app.engine, token, reader.address).await,
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
            reader.must_set_up = visitor.as_ref().is_some_and(|visitor| visitor.must_set_up(app.config().http.second_factor));
            reader.visitor = visitor;
            request.extensions_mut().insert(reader.clone());
            match vouched::renewal(&app, &request).filter(|_| reader.visitor.is_some()) {
                Some(way) => super::answer::go_to(&way),
                None => next.run(request).await,
            }
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
    let asked = asked(query, "lang").and_then(|tag| Language::of_tag(&tag));
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
        here: None,
        is_rung: false,
        must_set_up: false,
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
        let html = template.render().map_or_else(
            |error| {
                tracing::error!(%error, id, "a part of a page could not be written");
                String::new()
            },
            |html| html.trim().to_owned(),
        );
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
