//! The description of the API as one static page, and the catalogue of its problems as another: no script, nothing loaded from elsewhere.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::openapi::OpenApi;

use crate::http::problem::{CATALOGUE, Code};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1d1f;background:#f6f6f3}\
code,pre{font-family:ui-monospace,monospace}pre{background:#fff;border:1px solid #e3e2dc;border-radius:8px;padding:1rem;overflow:auto}\
h2 b{display:inline-block;min-width:4rem}td{padding:.2rem 1rem .2rem 0;vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#ececea;background:#141517}pre{background:#1d1f22;border-color:#303338}}";

/// The page.
#[must_use]
pub fn written(document: &OpenApi) -> String {
    page(&serde_json::to_value(document).unwrap_or_default())
}

/// The page, once it is written.
#[must_use]
pub fn answer(written: &'static str) -> Response {
    shown(written)
}

/// The page of the catalogue: what each problem means, and what to do. A problem's `type` is its place there.
#[must_use]
pub fn problems() -> Response {
    let mut out = head("autocall: problems");
    out += "<h1>Problems</h1><p>Whatever the API refuses, it says as <code>application/problem+json</code> (RFC 9457): \
            <code>type</code> is the place on this page, <code>code</code> the same word, <code>detail</code> says what is wrong in this \
            case, and <code>errors</code> names everything in the request that is at fault: by <code>pointer</code> (RFC 6901) in the \
            body, by <code>parameter</code> in the query, by <code>header</code>.</p><p><a href=\"/api\">The API</a></p>";
    for code in Code::ALL {
        let text = |text: &str| in_code(&escape(text));
        out += &format!(
            "<h2 id=\"{0}\"><code>{0}</code></h2><p><strong>{1}.</strong> {2}</p><p>{3}</p>",
            code.word(),
            text(code.title()),
            text(code.meaning()),
            text(code.remedy())
        );
    }
    shown(out)
}

/// Words between backquotes, as code.
fn in_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

fn shown(page: impl IntoResponse) -> Response {
    let mut response = (StatusCode::OK, page).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // The one style that stands in the page, named by its hash.
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'");
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style>"
    )
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|paragraph| format!("<p>{}</p>", in_code(paragraph))).collect()
}

fn page(document: &Value) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let mut out = head(&format!("{} API", text(&document["info"]["title"])));
    out += &format!(
        "<h1>{0} API</h1>{1}<p><a href=\"/api/v1/openapi.json\">openapi.json</a> · <a href=\"{CATALOGUE}\">problems</a></p>",
        text(&document["info"]["title"]),
        paragraphs(&text(&document["info"]["description"])),
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            out += &format!(
                "<h2><b>{}</b> <code>{}</code></h2><p>{}</p>",
                method.to_uppercase(),
                escape(path),
                text(&operation["summary"])
            );
            out += "<table>";
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                out += &row(&text(&parameter["name"]), &text(&parameter["description"]));
            }
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                out += &row(&escape(status), &text(&response["description"]));
            }
            out += "</table>";
        }
    }
    out += "<h2>Shapes</h2>";
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let shape = serde_json::to_string_pretty(schema).unwrap_or_default();
        out += &format!("<h3>{}</h3><pre>{}</pre>", escape(name), escape(&shape));
    }
    out
}

fn row(name: &str, text: &str) -> String {
    format!("<tr><td><code>{name}</code></td><td>{text}</td></tr>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
