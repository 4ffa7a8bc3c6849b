//! Forms: read once, with a size limit, and only when they are our own: by their token, and by where the browser says they come from. Those
//! with a file may be as long as that.

use android_protocol::voice::rewritten::LARGEST;
use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::answer::Refusal;
use super::reader::Reader;
use crate::app::App;
use crate::config::HttpConfig;
use crate::http::bodies::said_length;
use crate::ids::hex;
use crate::secrets;

/// Binds the forms of somebody who is not logged in to their browser.
pub(in crate::dashboard) const VISIT_COOKIE: &str = "autocall_visit";
/// The field that every form has.
pub(in crate::dashboard) const FIELD: &str = "form_token";
const LARGEST_FORM: usize = 32 * 1024;
/// A thousand quiet hours, each with the longest name as browsers write it, are no longer.
const LARGEST_LONG_FORM: usize = 2560 * 1024;
/// What stands beside the file in a form that has one: a list of ten thousand numbers is no longer.
const LARGEST_BESIDE_A_FILE: usize = 512 * 1024;

/// The fields of a form that has been checked.
#[derive(Clone, Debug, Default)]
pub(in crate::dashboard) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Whether the form has a field of that name.
    pub(in crate::dashboard) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// All fields, in the order in which they were sent.
    pub(in crate::dashboard) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values of all fields of that name.
    pub(in crate::dashboard) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field; empty when the form has none of that name.
    pub(in crate::dashboard) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

/// The file of a form: its name, and what is in it; `None`: nobody has chosen one.
#[derive(Clone, Debug, Default)]
pub(in crate::dashboard) struct File(pub(in crate::dashboard) Option<(String, Vec<u8>)>);

/// Lets a form with a file through to its handler only when it is ours.
pub(in crate::dashboard) async fn own_files(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    // Several at once take more memory than there may be.
    let most = LARGEST + LARGEST_BESIDE_A_FILE;
    let length = said_length(request.headers()).map_or(most, |length| length.min(most));
    let Ok(_room) = app.bodies.reserve_for_upload(length).await else {
        return Refusal::Away.into_response();
    };
    match check(&app.config().http, request, Shape::WithFile).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets a form of many rows through to its handler only when it is ours.
pub(in crate::dashboard) async fn own_long_forms(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    // Several at once take more memory than there may be.
    let length = said_length(request.headers()).map_or(LARGEST_LONG_FORM, |length| length.min(LARGEST_LONG_FORM));
    let Ok(_room) = app.bodies.reserve_for_upload(length).await else {
        return Refusal::Away.into_response();
    };
    match check(&app.config().http, request, Shape::Long).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Lets a form through to its handler only when it is ours.
pub(in crate::dashboard) async fn own_forms(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match check(&app.config().http, request, Shape::Plain).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// What a form may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    /// Many rows.
    Long,
    WithFile,
}

async fn check(config: &HttpConfig, request: Request, shape: Shape) -> Result<Request, Refusal> {
    let (mut parts, body) = request.into_parts();
    if !comes_from_own_page(&parts.headers, config) {
        return Err(Refusal::ForeignForm);
    }
    let expected = parts.extensions.get::<Reader>().map(|reader| reader.form_token.clone()).unwrap_or_default();
    // Whoever was never here has no form of ours, and theirs is not worth the time it takes.
    if expected.is_empty() {
        return Err(Refusal::ForeignForm);
    }
    let fields = match shape {
        Shape::WithFile => {
            let (fields, file) = read_with_file(&parts.headers, body).await?;
            parts.extensions.insert(file);
            fields
        }
        Shape::Long => read(&collect_most(body, LARGEST_LONG_FORM).await?)?,
        Shape::Plain => read(&collect(body).await?)?,
    };
    let given = fields.get(FIELD);
    if !bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
        return Err(Refusal::ForeignForm);
    }
    parts.extensions.insert(fields);
    Ok(Request::from_parts(parts, Body::empty()))
}

pub(in crate::dashboard) async fn collect(body: Body) -> Result<Bytes, Refusal> {
    collect_most(body, LARGEST_FORM).await
}

async fn collect_most(body: Body, most: usize) -> Result<Bytes, Refusal> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Garbled),
    }
}

/// Reads a form with a file. Without a browser's `enctype` it is a form as any other.
async fn read_with_file(headers: &HeaderMap, body: Body) -> Result<(Fields, File), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Ok((read(&collect(body).await?)?, File::default()));
    }
    let mut request = Request::new(body);
    request.headers_mut().clone_from(headers);
    DefaultBodyLimit::max(LARGEST + LARGEST_BESIDE_A_FILE).apply(&mut request);
    let broken = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
        _ => Refusal::Garbled,
    };
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| Refusal::Garbled)?;
    let (mut fields, mut beside, mut file) = (Vec::new(), 0, None);
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let (Some(name), file_name) = (part.name().map(str::to_owned), part.file_name().map(str::to_owned)) else { continue };
        let bytes = part.bytes().await.map_err(broken)?;
        match file_name {
            Some(_) if bytes.is_empty() => {}
            Some(_) if bytes.len() > LARGEST => return Err(Refusal::TooLarge),
            Some(file_name) => file = Some((file_name, Vec::from(bytes))),
            None => {
                beside += bytes.len();
                if beside > LARGEST_BESIDE_A_FILE {
                    return Err(Refusal::TooLarge);
                }
                fields.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    Ok((kept(fields)?, File(file)))
}

fn read(body: &[u8]) -> Result<Fields, Refusal> {
    kept(form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

fn kept(fields: Vec<(String, String)>) -> Result<Fields, Refusal> {
    // Nobody types control characters but for line breaks and tabs; Postgres keeps no NUL, and the others garble what is shown.
    let garbled = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'));
    if fields.iter().any(|(_, value)| garbled(value)) { Err(Refusal::Garbled) } else { Ok(Fields(fields)) }
}

/// Whether the browser says that one of our own pages sent this. Old browsers say nothing; then the token alone decides.
fn comes_from_own_page(headers: &HeaderMap, config: &HttpConfig) -> bool {
    if headers.get("sec-fetch-site").is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Some((_, origin)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let name = origin.rsplit_once(':').map_or(origin, |(name, _)| name);
    // A proxy may have put its own name into Host; the name that people type is in http.hosts then.
    host.is_some_and(|host| host.eq_ignore_ascii_case(origin)) || config.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// What stands in the forms of the browser that holds this secret. It tells nothing about the secret.
pub(in crate::dashboard) fn token_of(secret: &str) -> String {
    hex(&Sha256::new().chain_update(b"form of ").chain_update(secret.as_bytes()).finalize())
}

/// A new secret for a browser that has none.
pub(in crate::dashboard) fn new_visit() -> String {
    secrets::random::<16>()
}

/// Whether it looks like one.
pub(in crate::dashboard) fn is_visit(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
impl Fields {
    /// Fields as a test fills them in.
    pub(in crate::dashboard) fn of(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use axum::http::HeaderValue;

    fn own(headers: &[(&'static str, &'static str)]) -> bool {
        let config = HttpConfig { hosts: vec!["pager.example.com".to_owned()], ..HttpConfig::default() };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        comes_from_own_page(&headers, &config)
    }

    #[test]
    fn foreign_pages_are_refused() {
        assert!(own(&[("host", "10.0.0.1:8080"), ("origin", "http://10.0.0.1:8080")]));
        assert!(own(&[("host", "10.0.0.1:8080")]));
        assert!(own(&[("host", "backend:80"), ("origin", "https://pager.example.com")]));
        assert!(own(&[("host", "a"), ("origin", "http://a"), ("sec-fetch-site", "same-origin")]));
        assert!(!own(&[("host", "a"), ("origin", "http://a"), ("sec-fetch-site", "cross-site")]));
        assert!(!own(&[("host", "a"), ("origin", "http://b")]));
        assert!(!own(&[("host", "a"), ("origin", "null")]));
        assert!(!own(&[("host", "a"), ("origin", "http://a:81")]));
    }

    #[test]
    fn the_token_depends_on_the_secret_and_does_not_tell_it() {
        let secret = new_visit();
        assert!(is_visit(&secret));
        assert_eq!(token_of(&secret), token_of(&secret));
        assert_ne!(token_of(&secret), token_of(&new_visit()));
        assert!(!token_of(&secret).contains(&secret));
    }
}
