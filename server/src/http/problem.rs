//! Errors for programs: problem details (RFC 9457) with a stable `code` of the [catalogue](super::codes), a sentence that says what to
//! do, and everything in the request that is at fault.

use std::collections::HashSet;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use super::codes::Code;
use crate::store::StoreError;

/// Where the catalogue is shown; a problem's `type` is its place there.
pub const CATALOGUE: &str = "/api/problems";

/// A refusal, as it goes over the wire.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// The kind of problem: its place in the catalogue, from the address of the request on.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: String,
    /// What kind of problem it is, in a few words; the same each time.
    title: &'static str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The same as the end of `type`, for programs.
    code: Code,
    /// What is wrong here, and what to do.
    detail: String,
    /// The first field, parameter or header that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// Everything in the request that is at fault, as far as it could be read; the first of it stands above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Fault>, required = false)]
    errors: Option<Box<Faults>>,
}

/// A list of them, one pointer large: most problems have none.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
struct Faults(Vec<Fault>);

/// One thing that is wrong with a request. One of `pointer`, `parameter` and `header` says where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// In the body (RFC 6901), such as /phones/1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "json-pointer")]
    pointer: Option<String>,
    /// In the query or the path: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// In the head: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    header: Option<String>,
    /// What is wrong, and how it should be.
    detail: String,
}

/// Everything that is wrong with a request.
#[derive(Debug, Default)]
pub struct Wrong(pub Vec<Problem>);

impl Wrong {
    /// Whether a field is known to be wrong.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        self.0.iter().any(|problem| problem.field() == Some(field))
    }

    /// Notes what is wrong with a value; gives it when nothing is.
    pub fn note<T>(&mut self, checked: Result<T, impl Into<Problem>>) -> Option<T> {
        checked.map_err(|problem| self.0.push(problem.into())).ok()
    }

    /// Notes that something is wrong.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Of several faults of one field, only the first is told.
    pub fn each_once(&mut self) {
        let mut told = HashSet::new();
        self.0.retain(|problem| problem.field.as_ref().is_none_or(|field| told.insert(field.clone())));
    }

    /// Whether nothing is.
    ///
    /// # Errors
    /// All that is, as one problem.
    pub fn none(self) -> Result<(), Problem> {
        Problem::several(self.0).map_or(Ok(()), Err)
    }
}

/// Goes with a response that refuses something: the word that it is counted by.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub &'static str);

/// After so many seconds a request that cannot be taken now may be sent again, where nothing else is known.
const TRY_AGAIN: i64 = 5;
/// Remembered keys of requests are forgotten all the time; in an hour, a day's worth of an hour is gone.
const OLD_KEYS_GO: i64 = 3600;
/// So long an address that showed wrong keys is not heard, in seconds.
const WRONG_KEYS: i64 = 600;
/// What is said with every 401 (RFC 9110, 11.6.1).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"autocall\"");

/// So many faults of one request are told.
pub const MOST_FAULTS: usize = 20;

impl Problem {
    /// A refusal. `code` is stable, `detail` is for people.
    #[must_use]
    pub fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{CATALOGUE}#{}", code.word()),
            title: code.title(),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            errors: None,
        }
    }

    /// All that is wrong with a request, of which there is something; of endless faults [`MOST_FAULTS`].
    #[must_use]
    pub fn several(wrong: Vec<Problem>) -> Option<Self> {
        let all = wrong.iter().flat_map(|one| one.errors.iter().flat_map(|own| &own.0));
        let errors: Vec<Fault> = all.take(MOST_FAULTS).cloned().collect();
        wrong.into_iter().next().map(|first| Self { errors: Some(Box::new(Faults(errors))), ..first })
    }

    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code.word()
    }

    /// What the address or a name in it stands for is not there.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, detail)
    }

    /// A body that cannot be understood or contradicts itself, with the field at fault.
    #[must_use]
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        let fault = Fault { pointer: Some(pointer(&field)), detail: detail.clone(), ..Fault::default() };
        Self::at_fault(field, detail, fault)
    }

    /// The same of a parameter of the query or the path.
    #[must_use]
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        let fault = Fault { parameter: Some(name.clone()), detail: detail.clone(), ..Fault::default() };
        Self::at_fault(name, detail, fault)
    }

    /// The same of a header.
    #[must_use]
    pub fn header(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        let fault = Fault { header: Some(name.clone()), detail: detail.clone(), ..Fault::default() };
        Self::at_fault(name, detail, fault)
    }

    /// An `Idempotency-Key` that came with another request before.
    #[must_use]
    pub fn key_reused(detail: impl Into<String>) -> Self {
        let fault = Self::header("Idempotency-Key", detail);
        let kind = Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::IdempotencyKeyReused, fault.detail);
        Self { field: fault.field, errors: fault.errors, ..kind }
    }

    fn at_fault(field: String, detail: String, fault: Fault) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidField, detail);
        Self { field: Some(field), errors: Some(Box::new(Faults(vec![fault]))), ..problem }
    }

    /// The server could not; the same request may well do later.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.status >= 500
    }

    /// What is wrong and where, for the terminal.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.field {
            Some(field) => format!("{field}: {}", self.detail),
            None => self.detail.clone(),
        }
    }

    /// The field at fault, where there is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The same, with the field at fault.
    #[must_use]
    pub fn of_field(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// The same of a field that is part of another.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        for fault in self.errors.iter_mut().flat_map(|errors| &mut errors.0) {
            fault.pointer = fault.pointer.take().map(|inner| pointer(outer) + &inner);
        }
        Self { field: self.field.map(|field| format!("{outer}.{field}")), ..self }
    }

    /// A malformed request.
    #[must_use]
    pub fn bad_request(code: Code, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }
}

/// Objects whose names are free: what follows one of them is one name, whatever stands in it.
const FREE_NAMES: [&str; 2] = ["labels", "headers"];

/// A JSON pointer to a field such as `phones[1]`, `steps[0].ring[1].number` or `labels.host`.
fn pointer(field: &str) -> String {
    let mut pointer = String::new();
    let mut step = |name: &str| pointer.extend(["/", &name.replace('~', "~0").replace('/', "~1")]);
    let mut rest = field;
    loop {
        let (part, after) = rest.split_once('.').map_or((rest, None), |(part, after)| (part, Some(after)));
        part.split(['[', ']']).filter(|name| !name.is_empty()).for_each(&mut step);
        match after {
            Some(name) if FREE_NAMES.contains(&part) => {
                step(name);
                break;
            }
            Some(after) => rest = after,
            None => break,
        }
    }
    pointer
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_else(|_| "{}".to_owned());
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(Reason(self.code.word()));
        let headers = response.headers_mut();
        match (status, self.code) {
            (StatusCode::TOO_MANY_REQUESTS, Code::TooManyKeys) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(OLD_KEYS_GO));
            }
            (StatusCode::TOO_MANY_REQUESTS, Code::TooManyWrongKeys) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(WRONG_KEYS));
            }
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(TRY_AGAIN));
            }
            (StatusCode::UNAUTHORIZED, _) => {
                headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
            }
            _ => {}
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Refuses a method where GET does something, so that HEAD is not taken either: whoever looks does not mean that. The methods that are
/// taken go with it.
pub fn no_look(allow: &'static str, why: &str) -> Response {
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, why).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // The particulars are for the operator's log, not for whoever sent the request.
        tracing::error!(%error, "a request failed because of the database");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::DatabaseUnavailable,
            "the database cannot store or read this now: send the request again; if it was a new alarm, with the same Idempotency-Key",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_pointed_at() {
        for (field, pointed) in [
            ("summary", "/summary"),
            ("phones[1]", "/phones/1"),
            ("steps[0].ring[12].number", "/steps/0/ring/12/number"),
            ("settings.url", "/settings/url"),
            ("labels.host", "/labels/host"),
            ("labels.a.b/c[0]", "/labels/a.b~1c[0]"),
            ("rules[1].labels.a.b", "/rules/1/labels/a.b"),
            ("settings.headers.x-a.b", "/settings/headers/x-a.b"),
            ("", ""),
        ] {
            assert_eq!(pointer(field), pointed, "{field}");
        }
    }

    #[test]
    fn everything_at_fault_is_told_with_its_place() {
        let wrong =
            vec![Problem::invalid("labels", "a label needs a name").within("rules[0]"), Problem::parameter("limit", "1 to 200")];
        let told = serde_json::to_value(Problem::several(wrong)).unwrap_or_default();
        assert_eq!((&told["type"], &told["code"]), (&"/api/problems#invalid_field".into(), &"invalid_field".into()));
        assert_eq!(told["field"], "rules[0].labels");
        let faults = serde_json::json!([{ "pointer": "/rules/0/labels", "detail": "a label needs a name" }, { "parameter": "limit", "detail": "1 to 200" }]);
        assert_eq!(told["errors"], faults);
    }
}
