//! Errors for programs: problem details (RFC 9457) with a stable `code`, a sentence that says what to do, and the field at fault.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::StoreError;

/// A refusal, as it goes over the wire.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem; also the anchor in the API documentation.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    /// The same as the end of `type`, for programs.
    code: &'static str,
    detail: String,
    /// The field of the request that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Everything that is wrong with the body, as far as it could be read; the first of it stands above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Fault>)]
    errors: Option<Box<Faults>>,
}

/// A list of them, one pointer large: most problems have none.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
struct Faults(Vec<Fault>);

/// One thing that is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// Where (RFC 6901), such as /phones/1.
    pointer: String,
    detail: String,
}

/// Goes with a response that refuses something: the word that it is counted by.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub &'static str);

/// After so many seconds a request that cannot be taken now may be sent again, where nothing else is known.
const TRY_AGAIN: i64 = 5;
/// So long an address that showed wrong keys is not heard, in seconds.
const WRONG_KEYS: i64 = 600;

impl Problem {
    /// A refusal. `code` is stable, `detail` is for people.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:autocall:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            errors: None,
        }
    }

    /// All that is wrong with a request, of which there is something.
    #[must_use]
    pub fn several(wrong: Vec<Problem>) -> Option<Self> {
        let errors =
            wrong.iter().filter_map(|one| Some(Fault { pointer: pointer(one.field.as_deref()?), detail: one.detail.clone() }));
        let errors: Vec<Fault> = errors.collect();
        wrong.into_iter().next().map(|first| Self { errors: Some(Box::new(Faults(errors))), ..first })
    }

    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// A request that cannot be understood or contradicts itself, with the field at fault.
    #[must_use]
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", detail) }
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
    pub fn within(self, outer: &str) -> Self {
        Self { field: self.field.map(|field| format!("{outer}.{field}")), ..self }
    }

    /// A malformed request.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
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
        response.extensions_mut().insert(Reason(self.code));
        let headers = response.headers_mut();
        match (status, self.code) {
            (StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys") => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(WRONG_KEYS));
            }
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, _) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(TRY_AGAIN));
            }
            _ => {}
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // The particulars are for the operator's log, not for whoever sent the request.
        tracing::error!(%error, "a request failed because of the database");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_unavailable",
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
}
