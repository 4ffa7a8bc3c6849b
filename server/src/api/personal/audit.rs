//! The audit log: `/api/v1/audit`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::app::App;
use crate::audit::{Kind, Operation};
use crate::http::listing::{Listed, Query, unknown_cursor, unsealed};
use crate::http::problem::Problem;
use crate::sheet::cells::harmless;
use crate::store::audit::{AuditFilter, AuditPlace, AuditRow};
use crate::store::{Store, StoreError};

const DEFAULT_PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 200;
/// So many lines of a file are read at a time.
const AT_ONCE: i64 = 500;

/// Somebody's act, as it is kept. What names people is null once they are erased.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditLineJson {
    /// Never given again.
    id: i64,
    /// When.
    done_at: DateTime<Utc>,
    /// What was done, such as `person_changed`.
    operation: String,
    /// With what kind of thing, such as `person`.
    kind: String,
    /// The id of the thing.
    subject_id: Option<String>,
    /// What it was called then.
    subject_name: Option<String>,
    /// What let whoever did it in: `user`, `key`, `open_network`, `handset`, `link`, `text_message`, `command_line` or `server`.
    done_by: String,
    /// Which user, key or handset.
    done_by_id: Option<String>,
    /// What that was called then.
    done_by_name: Option<String>,
    /// The person who did it, where that is known. By their id alone: what names somebody goes when they are erased.
    done_by_person_id: Option<String>,
    /// The person whom it is about.
    about_person_id: Option<String>,
    /// In whose name, by their own word.
    said_by: Option<String>,
    /// From where.
    address: Option<String>,
    /// What was so before: what changed, cut where it is long, and no secret.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What is so since.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<AuditRow> for AuditLineJson {
    fn from(row: AuditRow) -> Self {
        let side = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            id: row.id,
            done_at: row.at,
            operation: row.operation,
            kind: row.kind,
            subject_id: row.subject,
            subject_name: row.name,
            done_by: row.doer,
            done_by_id: row.doer_id,
            done_by_name: row.doer_name,
            done_by_person_id: row.person_id.map(|id| id.to_string()),
            about_person_id: row.about_id.map(|id| id.to_string()),
            said_by: row.said,
            address: row.address,
            before: side(row.before),
            after: side(row.after),
        }
    }
}

/// What a query asks for.
///
/// # Errors
/// The parameters at fault.
fn filter(query: &Query) -> Result<AuditFilter, Problem> {
    let mut filter = AuditFilter { from: query.instant("starts_at", chrono_tz::UTC)?, ..AuditFilter::default() };
    filter.before = query.instant("ends_at", chrono_tz::UTC)?;
    for word in query.all("operation") {
        let known = Operation::parse(word);
        filter.operations.push(known.ok_or_else(|| Problem::parameter("operation", format!("there is no operation {word:?}")))?);
    }
    for word in query.all("kind") {
        let known = Kind::parse(word);
        filter.kinds.push(known.ok_or_else(|| Problem::parameter("kind", format!("there is no kind {word:?}")))?);
    }
    filter.who = query.get("done_by")?.map(str::to_owned);
    filter.what = query.get("subject")?.map(str::to_owned);
    Ok(filter)
}

/// Who changed what, the latest first: every change and act of somebody. What machines do stands on the timelines of alarms. A filter that stands
/// there several times lets any of its values through.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit",
    params(("operation" = Option<Vec<String>>, Query, description = "These operations, such as `person_changed`"),
        ("kind" = Option<Vec<String>>, Query, description = "With these kinds of things, such as `person`"),
        ("done_by" = Option<String>, Query, description = "By whoever is called so, or in this name"),
        ("subject" = Option<String>, Query, description = "With the thing that has this id, or had this name"),
        ("starts_at" = Option<DateTime<Utc>>, Query, description = "Then or later"),
        ("ends_at" = Option<DateTime<Utc>>, Query, description = "Before then"),
        ("limit" = Option<i32>, Query, minimum = 1, maximum = 200, description = "So many at most; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "A page of lines", body = Listed<AuditLineJson>),
        (status = 422, description = "The parameters at fault are named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref())?;
    let mut filter = filter(&query)?;
    let limit = match query.get("limit")?.map(str::parse) {
        None => DEFAULT_PAGE,
        Some(Ok(limit @ 1..=LARGEST_PAGE)) => limit,
        Some(_) => return Err(Problem::parameter("limit", format!("limit must be 1 to {LARGEST_PAGE}"))),
    };
    if let Some(cursor) = query.get("cursor")? {
        filter.below = Some(unsealed(cursor)?.parse::<AuditPlace>().map_err(|_| unknown_cursor())?);
    }
    let page = app.engine.store.read().await?.db().list_audit(&filter, limit).await?;
    let next = page.next.map(|place| place.to_string());
    Ok(Listed::new(page.lines.into_iter().map(AuditLineJson::from).collect(), next.as_deref()).answer())
}

/// The same as CSV, all of it, with a line of names first. No spreadsheet sees a formula in it.
#[utoipa::path(get, path = "/api/v1/audit.csv", tag = "audit",
    params(("operation" = Option<Vec<String>>, Query, description = "These operations, such as `person_changed`"),
        ("kind" = Option<Vec<String>>, Query, description = "With these kinds of things, such as `person`"),
        ("done_by" = Option<String>, Query, description = "By whoever is called so, or in this name"),
        ("subject" = Option<String>, Query, description = "With the thing that has this id, or had this name"),
        ("starts_at" = Option<DateTime<Utc>>, Query, description = "Then or later"),
        ("ends_at" = Option<DateTime<Utc>>, Query, description = "Before then")),
    responses((status = 200, description = "The lines", body = String, content_type = "text/csv",
            headers(("Content-Disposition" = String, description = "A name for the file"))),
        (status = 422, description = "The parameters at fault are named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn table(
    State(app): State<Arc<App>>,
    Extension(_sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filter = filter(&Query::read(query.as_deref())?)?;
    Ok(file(app.engine.store.clone(), filter))
}

/// A table of all that a filter finds, sent while it is read.
#[must_use]
pub fn file(store: Store, filter: AuditFilter) -> Response {
    // A piece that cannot be read breaks the answer off, so that nobody takes what has come for the whole.
    let pieces = stream::try_unfold(AuditFile::new(store, filter), async |mut file| {
        let piece = file.piece().await?;
        Ok::<_, StoreError>(piece.map(|piece| (Bytes::from(piece), file)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    head.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.csv\""));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is in the columns of the table.
pub const COLUMNS: [&str; 13] = [
    "id",
    "done_at",
    "operation",
    "kind",
    "subject_id",
    "subject_name",
    "done_by",
    "done_by_id",
    "done_by_name",
    "said_by",
    "address",
    "before",
    "after",
];

/// A table that is being written, a piece at a time.
pub struct AuditFile {
    store: Store,
    rest: Option<AuditFilter>,
    begins: bool,
}

impl AuditFile {
    /// A table of all that a filter finds.
    #[must_use]
    pub fn new(store: Store, filter: AuditFilter) -> Self {
        Self { store, rest: Some(filter), begins: true }
    }

    /// Its next piece; `None` at its end.
    ///
    /// # Errors
    /// When the database fails; what has been written until then is no whole file.
    pub async fn piece(&mut self) -> Result<Option<String>, StoreError> {
        let Some(filter) = self.rest.take() else { return Ok(None) };
        let page = self.store.read().await?.db().list_audit(&filter, AT_ONCE).await?;
        self.rest = page.next.map(|place| filter.behind(place));
        let mut out = csv::Writer::from_writer(Vec::new());
        let unwritten = |error: String| StoreError::Inconsistent(error);
        if std::mem::take(&mut self.begins) {
            out.write_record(COLUMNS).map_err(|error| unwritten(error.to_string()))?;
        }
        for row in page.lines {
            out.write_record(cells(row)).map_err(|error| unwritten(error.to_string()))?;
        }
        let bytes = out.into_inner().map_err(|error| unwritten(error.to_string()))?;
        String::from_utf8(bytes).map(Some).map_err(|error| unwritten(error.to_string()))
    }
}

fn cells(row: AuditRow) -> [String; 13] {
    let text = |text: Option<String>| harmless(&text.unwrap_or_default());
    [
        row.id.to_string(),
        row.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        row.operation,
        row.kind,
        text(row.subject),
        text(row.name),
        row.doer,
        text(row.doer_id),
        text(row.doer_name),
        text(row.said),
        text(row.address),
        text(row.before),
        text(row.after),
    ]
}
