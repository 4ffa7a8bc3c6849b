//! Anything else that takes an HTTP request, written as its operator wants it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reqwest::Method;

use super::{
    Description, Gateway, GatewayRequest, GatewaySettings, Outgoing, WrongSetting, good_url, hex, no_answer, percent, sign, taken,
};
use crate::kinds::answer;
use crate::kinds::form::{Asked, AskedBy, Said, Typed, pairs};
use crate::kinds::guard::GuardedResolver;
use crate::kinds::written::{self, LONGEST_BODY, MOST_HEADERS, are_headers, fill};

/// Anything else that takes an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// GET, POST, PUT or PATCH.
    pub method: String,
    /// May hold `{number}`, `{text}` and `{id}`.
    pub url: String,
    /// Sent as they stand; `content-type` decides how the places of the body are written.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// May hold the same places.
    #[serde(default)]
    pub body: String,
    /// Signs time and body, as the notices of `json` webhooks are signed.
    pub secret: Option<String>,
}

pub(super) const KIND: Description = Description {
    name: Said::Word("gateway_http"),
    how: Said::Word("gateway_http_how"),
    inbound: Said::Word("inbound_http"),
    options: "Anything that takes an HTTP request: --url, --method, --header, --body, --secret",
    asks: |old| {
        let methods = ["POST", "PUT", "PATCH", "GET"].map(|method| (method, Said::Plain(method))).into();
        let kept = |how: &'static str| if old.is_some() { Said::Word("gateway_kept") } else { Said::Word(how) };
        let is_set = Http::among(old).is_some_and(|old| old.secret.is_some());
        vec![
            Asked::new("method", Said::Word("gateway_method"), Said::Nothing, AskedBy::Choice(methods)),
            Asked::new("url", Said::Word("gateway_url"), Said::Word("gateway_http_url"), AskedBy::Address),
            Asked::new(
                "secret",
                Said::Word("gateway_secret"),
                Said::Word("gateway_secret_how"),
                AskedBy::OptionalSecret { is_set },
            ),
            Asked::new("headers", Said::Word("gateway_headers"), kept("gateway_headers_how"), AskedBy::Lines(3)),
            Asked::new("body", Said::Word("gateway_body"), kept("gateway_body_how"), AskedBy::Lines(4)),
        ]
    },
    read: |typed, old| Http::read(typed, Http::among(old)).map(GatewaySettings::Http),
    blames: &[],
};

impl Http {
    fn read(typed: &Typed, old: Option<&Self>) -> Result<Self, WrongSetting> {
        let no_pair = |line: &str| WrongSetting {
            typed: Some(line.to_owned()),
            ..WrongSetting::new("headers", format!("{line:?} is not of the form name=value, or stands there twice"))
        };
        let headers = pairs(typed.get("headers").unwrap_or_default()).map_err(no_pair)?;
        Ok(Self {
            method: typed.shown("method", old.map(|old| &old.method)),
            url: typed.kept_text("url", old.map(|old| &old.url)),
            headers: match old {
                Some(old) if headers.is_empty() => old.headers.clone(),
                _ => headers,
            },
            body: typed.kept_text("body", old.map(|old| &old.body)),
            secret: typed.optional("secret", old.and_then(|old| old.secret.as_ref())),
        })
    }
}

impl Gateway for Http {
    fn check(&self, guard: &GuardedResolver) -> Result<(), WrongSetting> {
        let Self { method, url, headers, body, .. } = self;
        if written::method(method).is_none() {
            return Err(WrongSetting::new("method", "method must be GET, POST, PUT or PATCH"));
        }
        if !are_headers(headers) {
            return Err(WrongSetting::new("headers", format!("at most {MOST_HEADERS} headers, of visible ASCII characters")));
        }
        if body.len() > LONGEST_BODY {
            return Err(WrongSetting::new("body", format!("the body has at most {LONGEST_BODY} bytes")));
        }
        if !body.contains("{text}") && !url.contains("{text}") {
            let why = "{text} must stand in the body or in the address, and {number} where the number goes";
            return Err(WrongSetting::new("body", why));
        }
        good_url(&url.replace("{number}", "1").replace("{text}", "1").replace("{id}", "1"), guard)
    }

    fn request(&self, sms: Outgoing<'_>, now: DateTime<Utc>) -> Option<GatewayRequest> {
        let Self { method, url, headers, body, secret } = self;
        Some(from_template(written::method(method)?, url, headers, body, secret.as_deref(), sms, now))
    }

    fn accepted(&self, status: u16, body: &str) -> Result<Option<String>, String> {
        taken(status)?;
        if answer::is_page(body) { Err(no_answer()) } else { Ok(None) }
    }

    fn address(&self) -> Option<&str> {
        Some(&self.url)
    }

    fn secrets(&self) -> Vec<(&'static [&'static str], String)> {
        let mut secrets: Vec<(&'static [&'static str], String)> = Vec::new();
        secrets.extend(self.secret.iter().map(|secret| (&["secret"][..], secret.clone())));
        // Either may hold one.
        secrets.extend(self.headers.iter().map(|(name, value)| (&["headers"][..], format!("{name}={value}"))));
        secrets.push((&["body"], self.body.clone()));
        secrets.retain(|(_, secret)| !secret.is_empty());
        secrets
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        vec![("method", self.method.clone())]
    }
}

fn from_template(
    method: Method,
    url: &str,
    headers: &BTreeMap<String, String>,
    body: &str,
    secret: Option<&str>,
    sms: Outgoing<'_>,
    now: DateTime<Utc>,
) -> GatewayRequest {
    let places = [("number", sms.number), ("text", sms.text), ("id", sms.id)];
    let body = fill(body, &places, written::writing(written::content_type(headers).unwrap_or_default()));
    let mut headers: Vec<(String, String)> = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let timestamp = now.timestamp().to_string();
    if let Some(secret) = secret {
        let mac = sign(secret.as_bytes(), format!("{timestamp}.{body}").as_bytes());
        headers.push(("x-autocall-timestamp".to_owned(), timestamp));
        headers.push(("x-autocall-signature".to_owned(), format!("sha256={}", hex(&mac))));
    }
    GatewayRequest { method, url: fill(url, &places, percent), headers, body }
}
