//! Reports: `/api/v1/reports`; and that an alarm is false.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::{actor, needed_text, read, read_by, shown};
use super::alarm::AlarmJson;
use super::alarms::AlarmPath;
use super::roster::shapes::Named;
use crate::access::senders::Sender;
use crate::app::App;
use crate::engine::reports::{Report, ReportError};
use crate::http::answer;
use crate::http::listing::Query;
use crate::http::problem::Problem;
use crate::intake::alarm_request;
use crate::reports::duty::OnDuty;
use crate::reports::figures::Figures;
use crate::reports::report::{Line, Share, Subject, Wanted};
use crate::reports::times::Times;

/// What a query may say of a report, for the description of the API.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by name")]
pub struct Reported {
    /// What its lines are: `day`, `month`, `team`, `policy`, `source` (the sender) or `person`; by month unless given.
    #[param(pattern = "^(day|month|team|policy|source|person)$")]
    by: Option<String>,
    /// The first month, such as `2026-11`; unless given, the last one, or this month.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}$")]
    first_month: Option<String>,
    /// The last month, which has begun; unless given, the first one. 24 months at most.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}$")]
    last_month: Option<String>,
    /// Only this team and its people, by name or id: for reports by team or by person.
    team: Option<String>,
}

/// A report: figures of some months.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportJson {
    /// What its lines are.
    #[schema(pattern = "^(day|month|team|policy|source|person)$")]
    by: &'static str,
    /// The first month, such as `2026-11`.
    first_month: String,
    last_month: String,
    /// The team that it is of.
    team: Option<Named>,
    /// Figures are known from this day on: what was before is null, and not zero. Null: nothing was counted yet.
    known_from_on: Option<NaiveDate>,
    /// Some alarms are still being counted: figures may grow.
    counting: bool,
    /// Time on duty is counted until then.
    duty_ends_at: DateTime<Utc>,
    /// Of all lines together; null where nothing is known of that time.
    total: Option<FiguresJson>,
    lines: Vec<ReportLineJson>,
}

/// A line of a report.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportLineJson {
    /// The id of the team, policy, sender or person.
    id: Option<String>,
    /// Its name; the day or month. Null: what is of none, or of some that were removed.
    name: Option<String>,
    /// It is the sum of those that were removed.
    removed: bool,
    /// Null: nobody counted then.
    figures: Option<FiguresJson>,
    /// Time on duty, by team and by person.
    duty: Option<TimeOnDutyJson>,
    /// By person: how much of what all bear, in hundredths of an equal share.
    share: Option<ShareJson>,
}

/// Counts, and how long things took.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiguresJson {
    /// Alarms, each on the day on which it was raised.
    alarms: i64,
    alarms_at_night: i64,
    alarms_at_weekend: i64,
    /// How often these came again.
    repeats: i64,
    /// How many of them people marked as false.
    false_alarms: i64,
    /// How often people were to be rung; alarms that were rung for together count once.
    hunts: i64,
    /// Hunts in which somebody picked up or took it.
    answered: i64,
    /// Hunts that somebody confirmed; of a person, how often they confirmed.
    confirmed: i64,
    /// Hunts that ended without anybody being reached.
    unanswered: i64,
    /// How often somebody said no.
    declined: i64,
    /// Calls, each on the day on which it was handed out; without those that never left the handset.
    calls: i64,
    /// From 22:00 to 07:00 where whoever was called lives.
    calls_at_night: i64,
    /// On Saturday or Sunday there.
    calls_at_weekend: i64,
    calls_answered: i64,
    /// Rung in vain, busy or turned away.
    calls_not_reached: i64,
    /// Calls that never left the handset.
    calls_failed: i64,
    /// Until somebody answered: since the hunt began; of a person's calls since the call was handed out.
    to_answer: TimesJson,
    /// The same until somebody confirmed.
    to_confirm: TimesJson,
}

/// How long something took, told to about a sixteenth.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimesJson {
    /// Of so many.
    count: i64,
    /// Half of them took no longer.
    median_seconds: Option<i64>,
    /// Nine of ten took no longer.
    ninety_percent_seconds: Option<i64>,
}

/// How long somebody was on duty.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeOnDutyJson {
    seconds: i64,
    /// Of these, from 22:00 to 07:00 where they live.
    night_seconds: i64,
    /// Of these, on Saturday or Sunday there, nights among them.
    weekend_seconds: i64,
}

/// How much of what all bear somebody bears: 100 is an equal share, null where there is nothing to share.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShareJson {
    duty: Option<i64>,
    calls: Option<i64>,
    calls_answered: Option<i64>,
}

/// The JSON body of `POST /api/v1/alarms/{id}/false`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FalseBody {
    /// Why it is false, at most 2000 characters.
    #[schema(min_length = 1, max_length = 2000, pattern = "\\S")]
    reason: String,
    /// Who says so.
    #[schema(max_length = 200)]
    by: Option<String>,
}

impl From<&Times> for TimesJson {
    fn from(times: &Times) -> Self {
        Self { count: times.count(), median_seconds: times.percentile(50), ninety_percent_seconds: times.percentile(90) }
    }
}

impl From<&Figures> for FiguresJson {
    fn from(own: &Figures) -> Self {
        Self {
            alarms: own.alarms,
            alarms_at_night: own.alarms_at_night,
            alarms_at_weekend: own.alarms_at_weekend,
            repeats: own.repeats,
            false_alarms: own.false_alarms,
            hunts: own.hunts,
            answered: own.answered,
            confirmed: own.confirmed,
            unanswered: own.unanswered,
            declined: own.declined,
            calls: own.calls,
            calls_at_night: own.calls_at_night,
            calls_at_weekend: own.calls_at_weekend,
            calls_answered: own.calls_answered,
            calls_not_reached: own.calls_not_reached,
            calls_failed: own.calls_failed,
            to_answer: (&own.to_answer).into(),
            to_confirm: (&own.to_confirm).into(),
        }
    }
}

impl From<OnDuty> for TimeOnDutyJson {
    fn from(own: OnDuty) -> Self {
        Self { seconds: own.seconds, night_seconds: own.night_seconds, weekend_seconds: own.weekend_seconds }
    }
}

impl From<Share> for ShareJson {
    fn from(own: Share) -> Self {
        Self { duty: own.duty, calls: own.calls, calls_answered: own.answered }
    }
}

impl From<&Line> for ReportLineJson {
    fn from(line: &Line) -> Self {
        let (id, name) = match &line.subject {
            Subject::Day(day) => (None, Some(day.format("%Y-%m-%d").to_string())),
            Subject::Month(day) => (None, Some(day.format("%Y-%m").to_string())),
            Subject::Named { id, name } => (id.clone(), Some(name.clone())),
            Subject::Nothing | Subject::Removed => (None, None),
        };
        Self {
            id,
            name,
            removed: line.subject == Subject::Removed,
            figures: line.figures.as_ref().map(FiguresJson::from),
            duty: line.duty.map(TimeOnDutyJson::from),
            share: line.share.map(ShareJson::from),
        }
    }
}

impl ReportJson {
    /// As the API, and the command line, tell it.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let month = |day: NaiveDate| day.format("%Y-%m").to_string();
        Self {
            by: report.asked.by.as_str(),
            first_month: month(report.asked.from),
            last_month: month(report.asked.last_month()),
            team: report.team.as_ref().map(|(id, name)| Named::new(id.to_string(), name.clone())),
            known_from_on: report.known_from,
            counting: report.counting,
            duty_ends_at: report.duty_until,
            total: report.total.as_ref().map(FiguresJson::from),
            lines: report.lines.iter().map(ReportLineJson::from).collect(),
        }
    }
}

/// What happened in some months: alarms, calls, answers, time on duty.
///
/// Figures are kept per day, some seconds after things happen, and stay when alarms are forgotten. An alarm and all that becomes of it count
/// on the day on which it was raised, a call on the day on which it was handed out, also when an answer comes later: that day is corrected.
#[utoipa::path(get, path = "/api/v1/reports", tag = "reports", params(Reported),
    responses((status = 200, description = "The report", body = ReportJson),
        (status = 422, description = "The parameter at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &ReportJson::of(&asked_for(&app, query.as_deref()).await?)))
}

/// The same as CSV, with a line of names first; what is not known is empty. No spreadsheet sees a formula in it.
#[utoipa::path(get, path = "/api/v1/reports.csv", tag = "reports", params(Reported),
    responses((status = 200, description = "The report", body = String, content_type = "text/csv"),
        (status = 422, description = "The parameter at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn table(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let report = asked_for(&app, query.as_deref()).await?;
    let mut response = report.csv(str::to_owned).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    Ok(response)
}

async fn asked_for(app: &App, query: Option<&str>) -> Result<Report, Problem> {
    let query = Query::read(query)?;
    let (from, to) = (query.get("first_month")?, query.get("last_month")?);
    let wanted = Wanted { by: query.get("by")?, from, to, team: query.get("team")? };
    app.engine.report_of(wanted).await.map_err(|error| match error {
        ReportError::Wrong(wrong) => Problem::parameter(named_here(wrong.field()), wrong.to_string()),
        ReportError::Failed(error) => error.into(),
    })
}

/// What the API calls a parameter.
fn named_here(field: &'static str) -> &'static str {
    match field {
        "from" => "first_month",
        "to" => "last_month",
        other => other,
    }
}

/// Marks an alarm as false: nothing was wrong. Nobody is rung less for it: cancel it as well, if it still rings.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/false", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = FalseBody,
    responses((status = 200, description = "Marked", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn mark_false(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let body: FalseBody = alarm_request::read_json(&read(&app, body).await?)?;
    let by = actor(&sender, body.by)?;
    let reason = needed_text("reason", body.reason, "say why it is false")?;
    shown(&app, app.engine.mark_false(id, &reason, &by).await).await
}

/// Takes back that an alarm is false; the same where nobody had said so.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/not-false", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = super::actions::ByBody,
    responses((status = 200, description = "Taken back", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn mark_not_false(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let by = read_by(&app, &sender, body).await?;
    shown(&app, app.engine.mark_not_false(id, &by).await).await
}
