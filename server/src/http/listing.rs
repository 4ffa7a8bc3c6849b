//! Lists: one shape for all. `items` are a page of them, and `next_cursor` is there as long as there are more; `limit` and `cursor` ask
//! for a page. Parameters that an operation does not know are refused, since a misspelt one would be a wrong answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ArrayItems, Schema};
use utoipa::openapi::{OpenApi, Ref, RefOr};

use super::aging::once_called;
use super::document::operations;
use super::problem::Problem;
use crate::roster::text;

/// A page of a list that is kept in memory has so many items at most, and when nobody says how many.
const MOST: usize = 1000;

/// What a query may say of a page, for the description of the API.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name")]
pub struct Paged {
    /// So many items at most; 1000 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<T> {
    /// In the order of the list.
    items: Vec<T>,
    /// Give this as `cursor` to get the next page; null on the last.
    next_cursor: Option<String>,
}

/// Where a page begins and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    limit: usize,
    after: Option<String>,
}

impl Paging {
    /// What a query asks for.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn read(query: Option<&str>) -> Result<Self, Problem> {
        let query = Query::read(query)?;
        let limit = match query.get("limit")?.map(str::parse) {
            None => MOST,
            Some(Ok(limit @ 1..=MOST)) => limit,
            Some(_) => return Err(Problem::parameter("limit", format!("limit must be 1 to {MOST}"))),
        };
        Ok(Self { limit, after: query.get("cursor")?.map(unsealed).transpose()? })
    }

    /// So many items.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }

    /// The key of the last item of the page before.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The page of a list. Each item has a key of its own that no other has; pages go by the keys, so that what is added or removed
    /// meanwhile moves nothing from one page to another.
    #[must_use]
    pub fn page<T>(&self, mut all: Vec<(String, T)>) -> Listed<T> {
        all.sort_by(|one, other| one.0.cmp(&other.0));
        let begins = self.after.as_ref().map_or(0, |after| all.partition_point(|(key, _)| key <= after));
        let more = all.len() - begins > self.limit;
        let page: Vec<(String, T)> = all.into_iter().skip(begins).take(self.limit).collect();
        let next_cursor = page.last().filter(|_| more).map(|(key, _)| sealed(key));
        Listed { items: page.into_iter().map(|(_, item)| item).collect(), next_cursor }
    }
}

impl<T> Listed<T> {
    /// A page that was made elsewhere; the next begins behind this key.
    #[must_use]
    pub fn new(items: Vec<T>, next: Option<&str>) -> Self {
        Self { items, next_cursor: next.map(sealed) }
    }
}

impl<T: Serialize> Listed<T> {
    /// The answer to whoever asks for this page.
    #[must_use]
    pub fn answer(&self) -> Response {
        super::answer(StatusCode::OK, self)
    }
}

/// How the name of a list's schema begins; that of its items follows.
const LISTED: &str = "Listed_";

/// Describes what is in lists.
pub fn tell_items(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    // The library writes out what is in a generic list.
    for (name, schema) in &mut components.schemas {
        let RefOr::T(Schema::Object(object)) = schema else { continue };
        if let (Some(of), Some(RefOr::T(Schema::Array(items)))) = (name.strip_prefix(LISTED), object.properties.get_mut("items"))
        {
            items.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(of))));
        }
    }
}

/// A key as a cursor. Nobody is meant to look into it.
fn sealed(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key of a cursor.
///
/// # Errors
/// When it is none of ours.
pub fn unsealed(cursor: &str) -> Result<String, Problem> {
    let key = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(unknown_cursor)
}

/// A cursor that is none of ours.
#[must_use]
pub fn unknown_cursor() -> Problem {
    Problem::parameter("cursor", "give the next_cursor of the page before")
}

/// The parameters of a query.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// When a value cannot be text.
    pub fn read(query: Option<&str>) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs: Vec<(String, String)> = pairs.map(|(name, value)| (name.into(), value.into())).collect();
        match pairs.iter().find(|(_, value)| value.contains('\0')) {
            Some((name, _)) => Err(Problem::parameter(name.clone(), format!("{name} holds a NUL character"))),
            None => Ok(Self(pairs)),
        }
    }

    /// The value of a parameter, also under a name that it had before.
    ///
    /// # Errors
    /// When it stands there twice.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Problem> {
        let before: Vec<&str> = once_called(name).collect();
        let mut values =
            self.0.iter().filter(|(own, _)| own == name || before.contains(&own.as_str())).map(|(_, value)| &**value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::parameter(name, format!("{name} stands there twice"))),
            (value, None) => Ok(value),
        }
    }

    /// The values of a parameter that may stand there several times: any of them will do.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// An instant: RFC 3339, or a wall time of a zone.
    ///
    /// # Errors
    /// When it is none.
    pub fn instant(&self, name: &str, zone: Tz) -> Result<Option<DateTime<Utc>>, Problem> {
        // An unencoded `+` of a time zone arrives as a blank; a blank between day and time is one too.
        let read = |value: &str| {
            text::instant(value, zone).or_else(|error| text::instant(&value.replace(' ', "+"), zone).map_err(|_| error))
        };
        self.get(name)?.map(read).transpose().map_err(|error| Problem::parameter(name, error.to_string()))
    }
}

/// An instant as the beginning of a key: earlier ones come first.
#[must_use]
pub fn in_order(at: DateTime<Utc>) -> String {
    // From the year -290308 on, which is as early as there are any.
    format!("{:020}", i128::from(at.timestamp_micros()) + (1 << 63))
}

/// The instant of a key that begins with one.
#[must_use]
pub fn instant_of(key: &str) -> Option<DateTime<Utc>> {
    let micros = key.get(..20)?.parse::<i128>().ok()? - (1 << 63);
    // What no database can compare is no instant of a key.
    DateTime::from_timestamp_micros(i64::try_from(micros).ok()?).filter(|at| (1..=9999).contains(&at.year()))
}

/// The same: later ones come first.
#[must_use]
pub fn latest_first(at: DateTime<Utc>) -> String {
    format!("{:020}", (1_i128 << 63) - i128::from(at.timestamp_micros()))
}

/// An answer that made something says where it is.
pub fn located(at: &str, mut response: Response) -> Response {
    if let (StatusCode::CREATED, Ok(at)) = (response.status(), HeaderValue::from_str(at)) {
        response.headers_mut().insert(header::LOCATION, at);
    }
    response
}

/// A name as it stands in a path.
#[must_use]
pub fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Where alarms come in nothing is refused for its address: a parameter too many must not leave people asleep. And where a token or
/// another API's contract says what may be sent.
const TAKEN_AS_THEY_ARE: [&str; 10] = [
    "/api/v1/alarms/resolve",
    "/api/v1/intake/",
    "/api/v1/call",
    "/api/v1/calls",
    "/api/v1/dnc/",
    "/api/v1/shouts",
    "/api/v1/shouts/",
    "/api/v1/heartbeat/",
    "/api/v1/sms/inbound/",
    "/api/{*rest}",
];

/// The parameters that each operation knows, by method and path.
#[derive(Debug)]
pub struct Known(HashMap<(String, String), HashSet<String>>);

impl Known {
    /// As the description says.
    #[must_use]
    pub fn of(document: &mut OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let all = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                    RefOr::T(own) if own.parameter_in == ParameterIn::Query => Some(own.name.clone()),
                    _ => None,
                });
                known.insert((method.to_uppercase(), path.clone()), all.collect());
            }
        }
        Self(known)
    }

    /// What is wrong with a query.
    fn check(&self, method: &str, path: &str, query: &str) -> Option<Problem> {
        let is_alarm = method == "POST" && path == "/api/v1/alarms";
        if query.is_empty()
            || is_alarm
            || TAKEN_AS_THEY_ARE.iter().any(|own| path == *own || (own.ends_with('/') && path.starts_with(own)))
        {
            return None;
        }
        let method = if method == "HEAD" { "GET" } else { method };
        let known = self.0.get(&(method.to_owned(), path.to_owned()))?;
        let mut unknown: Vec<String> = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned()).collect();
        // Who asks was settled at the door.
        unknown.retain(|name| name != "key" && !known.contains(name));
        let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
        names.sort_unstable();
        let there = match names.is_empty() {
            true => "there are none here".to_owned(),
            false => format!("there are {}", names.join(", ")),
        };
        let wrong = unknown.into_iter().map(|name| {
            let text = format!("there is no parameter {name:?}: {there}");
            Problem::parameter(name, text)
        });
        Problem::several(wrong.collect())
    }
}

/// Refuses parameters that an operation does not know.
pub async fn known_only(State(known): State<Arc<Known>>, path: MatchedPath, request: Request, next: Next) -> Response {
    match known.check(request.method().as_str(), path.as_str(), request.uri().query().unwrap_or_default()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn keys(listed: &Listed<String>) -> String {
        listed.items.join("")
    }

    fn all(keys: &str) -> Vec<(String, String)> {
        keys.chars().map(|key| (key.to_string(), key.to_string())).collect()
    }

    #[test]
    fn what_no_database_can_compare_is_no_instant_of_a_key() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        assert_eq!(instant_of(&in_order(at)), Some(at));
        for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(instant_of(&in_order(at)), None);
        }
    }

    #[test]
    fn pages_go_on_behind_their_last_key_whatever_comes_and_goes() {
        let first = Paging::read(Some("limit=2")).unwrap().page(all("dbca"));
        assert_eq!((keys(&first).as_str(), first.next_cursor.is_some()), ("ab", true));
        let next = format!("limit=2&cursor={}", first.next_cursor.unwrap());
        // The last one of the first page is gone, and one was added in front.
        let second = Paging::read(Some(&next)).unwrap().page(all("dc0a"));
        assert_eq!((keys(&second).as_str(), second.next_cursor.is_none()), ("cd", true));
        assert_eq!(keys(&Paging::read(None).unwrap().page(all("ba"))), "ab");
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for query in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "cursor=%00", "cursor=*"] {
            assert_eq!(Paging::read(Some(query)).unwrap_err().status(), 422, "{query}");
        }
    }

    #[test]
    fn unknown_parameters_are_refused_where_no_alarm_can_be_lost() {
        let known = |path: &str| ((String::from("GET"), path.to_owned()), HashSet::from(["limit".to_owned()]));
        let mut all = HashMap::from([known("/api/v1/teams"), known("/api/v1/call"), known("/api/v1/call-records")]);
        all.insert(("POST".to_owned(), "/api/v1/alarms".to_owned()), HashSet::new());
        let known = Known(all);
        let refused = |method: &str, path: &str, query: &str| known.check(method, path, query).map(|problem| problem.sentence());
        assert_eq!(refused("GET", "/api/v1/teams", "limit=3&key=ak_1"), None);
        assert_eq!(refused("HEAD", "/api/v1/teams", "limt=3").unwrap(), "limt: there is no parameter \"limt\": there are limit");
        assert_eq!(refused("POST", "/api/v1/alarms", "source=x"), None, "an alarm is not lost for it");
        assert_eq!(refused("GET", "/api/v1/call", "x=1"), None, "another contract");
        assert!(refused("GET", "/api/v1/call-records", "x=1").is_some(), "and no other");
    }
}
