//! The description of the API as one static page, and the catalogue of its problems as another: in the style of the pages, their frame in the
//! reader's language. No script, nothing loaded from elsewhere.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::http::html::escape;
use crate::http::problem::{CATALOGUE, Code};
use crate::kinds::words::{Language, say};

/// The pages remember a language under this name.
const LANGUAGE_COOKIE: &str = "autocall_language";

/// The page, written once in each language.
#[derive(Debug)]
pub struct Written(BTreeMap<&'static str, String>);

impl Written {
    /// Writes it.
    #[must_use]
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        Self(Language::ALL.into_iter().map(|language| (language.tag(), page(&document, language))).collect())
    }

    /// The page for whoever asks.
    #[must_use]
    pub fn answer(&'static self, query: Option<&str>, headers: &HeaderMap) -> Response {
        let page = self.0.get(language(query, headers).tag());
        shown(page.map(String::as_str).unwrap_or_default())
    }
}

/// The page of the catalogue: what each problem means, and what to do. A problem's `type` is its place there.
#[must_use]
pub fn problems(query: Option<&str>, headers: &HeaderMap) -> Response {
    static PAGES: LazyLock<BTreeMap<&'static str, String>> =
        LazyLock::new(|| Language::ALL.into_iter().map(|language| (language.tag(), catalogue(language))).collect());
    shown(PAGES.get(language(query, headers).tag()).map(String::as_str).unwrap_or_default())
}

/// The language that the address says, else the one that was chosen on the pages, else the browser's.
fn language(query: Option<&str>, headers: &HeaderMap) -> Language {
    let query = query.unwrap_or_default();
    let asked =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "lang").and_then(|(_, tag)| Language::of_tag(&tag));
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let kept = || pairs.find(|(name, _)| *name == LANGUAGE_COOKIE).and_then(|(_, tag)| Language::of_tag(tag));
    let accepted = || headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok().and_then(Language::of_accept);
    asked.or_else(kept).or_else(accepted).unwrap_or(Language::English)
}

fn catalogue(language: Language) -> String {
    let mut out = begin(language, "autocall: problems", CATALOGUE, &[("/api", &word(language, "api_back"), false)]);
    // What codes mean is in English, as the descriptions of the API are.
    out += &format!(
        "<h1>{}</h1><p>{}</p><div lang=\"en\">",
        word(language, "api_problems"),
        in_code(&word(language, "api_problems_how"))
    );
    for code in Code::ALL {
        let text = |text: &str| in_code(&escape(text));
        out += &format!(
            "<section class=\"panel apart\"><h2 id=\"{0}\"><code>{0}</code></h2><p><strong>{1}.</strong> {2}</p><p>{3}</p></section>",
            code.word(),
            text(code.title()),
            text(code.meaning()),
            text(code.remedy())
        );
    }
    out + "</div></main></body></html>"
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
    headers.insert(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn word(language: Language, key: &str) -> String {
    escape(&say(language.tag(), key, &[]))
}

/// All up to what a page is about: the head, the way past the menus, the menus. `links`: where else one may want to go, its word as HTML, and
/// whether that is this page.
fn begin(language: Language, title: &str, here: &str, links: &[(&str, &str, bool)]) -> String {
    let word = |key| word(language, key);
    let current = |is_here| if is_here { " aria-current=\"page\"" } else { "" };
    let links: String =
        links.iter().map(|(to, name, is_here)| format!("<a href=\"{to}\"{}>{name}</a>", current(*is_here))).collect();
    let languages: String = Language::ALL
        .into_iter()
        .map(|own| {
            let (tag, is_here) = (own.tag(), own == language);
            format!("<a href=\"{here}?lang={tag}\" lang=\"{tag}\" hreflang=\"{tag}\"{}>{}</a>", current(is_here), own_name(own))
        })
        .collect();
    format!(
        "<!doctype html><html lang=\"{tag}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\
         <link rel=\"stylesheet\" href=\"/assets/style.css\"></head><body><a class=\"skip\" href=\"#main\">{skip}</a>\
         <header class=\"top\"><a class=\"brand\" href=\"/\">AutoCall</a><nav class=\"across api\" aria-label=\"{main}\"><a href=\"/\">{pages}</a>{links}</nav>\
         <nav class=\"across api\" aria-label=\"{choose}\">{languages}</nav></header><main id=\"main\" class=\"described\" tabindex=\"-1\">",
        tag = language.tag(),
        title = escape(title),
        skip = word("api_skip"),
        main = word("api_main"),
        pages = word("api_pages"),
        choose = word("api_language"),
    )
}

/// What a language calls itself.
fn own_name(language: Language) -> &'static str {
    match language {
        Language::English => "English",
        Language::Chinese => "中文",
        Language::Japanese => "日本語",
        Language::Spanish => "Español",
    }
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|paragraph| format!("<p>{}</p>", in_code(paragraph))).collect()
}

/// An operation: where, how, and what is said of it.
type Operation<'d> = (&'d str, &'d str, &'d Value);

/// The operations of each part of the API.
fn parts(document: &Value) -> Vec<(String, Vec<Operation<'_>>)> {
    let mut order: Vec<String> =
        document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str()).map(str::to_owned).collect();
    let mut found: BTreeMap<String, Vec<Operation<'_>>> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten().filter(|(_, operation)| operation.is_object()) {
            let part = operation["tags"][0].as_str().unwrap_or_default().to_owned();
            if !order.contains(&part) {
                order.push(part.clone());
            }
            found.entry(part).or_default().push((path.as_str(), method.as_str(), operation));
        }
    }
    order.into_iter().filter_map(|part| Some((part.clone(), found.remove(&part)?))).collect()
}

/// The name of a place on the page.
fn place_of(part: &str) -> String {
    format!("part-{}", part.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
}

fn page(document: &Value, language: Language) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let say = |key| word(language, key);
    let title = format!("{} API", document["info"]["title"].as_str().unwrap_or_default());
    let links = [("/api", say("api_back"), true), (CATALOGUE, say("api_problems"), false)];
    let links: Vec<(&str, &str, bool)> = links.iter().map(|(to, name, is_here)| (*to, name.as_str(), *is_here)).collect();
    let mut out = begin(language, &title, "/api", &links);
    let parts = parts(document);
    out += &format!(
        "<h1>{}</h1><p>{}</p><p class=\"more\"><a href=\"/api/v1/openapi.json\">{}</a></p>\
         <nav class=\"panel contents\" aria-label=\"{3}\"><h2>{3}</h2><ul class=\"systems\">",
        escape(&title),
        say("api_how"),
        say("api_document"),
        say("api_contents"),
    );
    let name = |part: &str| if part.is_empty() { say("api_other") } else { escape(part) };
    for (part, _) in &parts {
        out += &format!("<li><a href=\"#{}\">{}</a></li>", place_of(part), name(part));
    }
    out += &format!("<li><a href=\"#shapes\">{}</a></li></ul></nav>", say("api_shapes"));
    out += &format!("<div lang=\"en\">{}</div>", paragraphs(&text(&document["info"]["description"])));
    for (part, operations) in &parts {
        out += &format!("<section aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2>", place_of(part), name(part));
        for (path, method, operation) in operations {
            out += &format!(
                "<article class=\"panel apart\" lang=\"en\"><h3><b>{}</b> <code>{}</code></h3><p>{}</p><dl class=\"said\" aria-label=\"{}\">",
                method.to_uppercase(),
                escape(path),
                text(&operation["summary"]),
                say("api_parameters"),
            );
            if let Some(right) = right(&operation["x-right"]) {
                out += &row("x-right", &right);
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                out += &row(&text(&parameter["name"]), &text(&parameter["description"]));
            }
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                out += &row(&escape(status), &text(&response["description"]));
            }
            out += "</dl></article>";
        }
        out += "</section>";
    }
    out += &format!("<section aria-labelledby=\"shapes\"><h2 id=\"shapes\">{}</h2>", say("api_shapes"));
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let shape = serde_json::to_string_pretty(schema).unwrap_or_default();
        out += &format!("<details lang=\"en\"><summary>{}</summary><pre>{}</pre></details>", escape(name), escape(&shape));
    }
    out + "</section></main></body></html>"
}

/// Which right an operation needs, as it says it. In English, as all that stands there.
fn right(said: &Value) -> Option<String> {
    let code = |word: &str| format!("<code>{}</code>", escape(word));
    if !said.is_object() {
        return None;
    }
    let own: Vec<String> = said["own"].as_array().into_iter().flatten().filter_map(Value::as_str).map(code).collect();
    Some(match (said["right"].as_str(), own.is_empty()) {
        (None, _) => "None: the token in the address is the proof".to_owned(),
        (Some(right), true) => format!("The right {}", code(right)),
        (Some(right), false) => format!("The right {}; for what is one's own, {}", code(right), own.join(" or ")),
    })
}

fn row(name: &str, text: &str) -> String {
    format!("<div><dt><code>{name}</code></dt><dd>{text}</dd></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, headers: &[(&'static str, &'static str)]) -> Language {
        let headers =
            headers.iter().map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        language(Some(query), &headers.collect())
    }

    #[test]
    fn the_address_wins_over_what_was_chosen_and_that_over_the_browser() {
        let all = [("cookie", "a=b; autocall_language=ja"), ("accept-language", "es-MX")];
        assert_eq!(asked("lang=zh", &all), Language::Chinese);
        assert_eq!(asked("", &all), Language::Japanese);
        assert_eq!(asked("lang=xx", &all[1..]), Language::Spanish);
        assert_eq!(asked("", &[]), Language::English);
    }
}
