//! *Reports*: figures of some months, by day, month, team, policy, sender or person; and that an alarm was false.

pub mod false_alarm;

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, at, duration, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Html;
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::engine::reports::Report;
use crate::reports::duty::OnDuty;
use crate::reports::figures::Figures;
use crate::reports::report::{Asked, By, Line, Subject, hours};
use crate::reports::times::Times;

/// A bar is so many hundredths wide: more than three equal shares are drawn as three.
const WIDEST: i64 = 300;

/// What somebody can choose.
struct Choice {
    value: String,
    word: String,
    chosen: bool,
}

/// A cell: the figure, and what is said beside it.
struct Cell {
    label: &'static str,
    figure: String,
    beside: Vec<String>,
}

struct Row {
    name: String,
    /// Empty: nobody counted then.
    cells: Vec<Cell>,
}

/// How much of something somebody bears.
struct Bar {
    label: &'static str,
    width: i64,
    said: String,
}

struct Bearer {
    name: String,
    bars: Vec<Bar>,
}

#[derive(Template)]
#[template(path = "reports/reports.html")]
struct ReportsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    from: String,
    to: String,
    by: Vec<Choice>,
    teams: Vec<Choice>,
    wrong: bool,
    title: String,
    /// What is not known, and what is still counted.
    notes: Vec<String>,
    columns: Vec<&'static str>,
    rows: Vec<Row>,
    total: Option<Row>,
    /// Until when hours are counted, as HTML.
    duty_until: Option<String>,
    fairness: Vec<Bearer>,
    csv: String,
}

/// What the address asks for.
struct Query {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    team: Option<String>,
}

impl Query {
    fn read(query: Option<&str>) -> Self {
        let get = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
            pairs.find(|(own, _)| own == name).map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        Self { by: get("by"), from: get("from"), to: get("to"), team: get("team") }
    }

    /// What is asked; a team only where lines are of teams or people. `None` where it makes no sense.
    async fn asked(&self, app: &App) -> Result<(Option<Asked>, Asked), Refusal> {
        let today = app.engine.report_day().await?;
        let usual = Asked::read(None, None, None, today).map_err(|_| Refusal::Failed)?;
        Ok((Asked::read(self.by.as_deref(), self.from.as_deref(), self.to.as_deref(), today).ok(), usual))
    }

    fn team(&self, asked: &Asked) -> Option<&str> {
        self.team.as_deref().filter(|_| asked.by.has_duty())
    }
}

/// `GET /reports?by=&from=&to=&team=`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let query = Query::read(query.as_deref());
    let (asked, usual) = query.asked(&app).await?;
    let wrong = asked.is_none();
    let asked = asked.unwrap_or(usual);
    let report = app.engine.report_of(asked, query.team(&asked)).await?;
    let teams = app.engine.store.read().await?.db().roster().await?.teams;
    let month = |day: chrono::NaiveDate| day.format("%Y-%m").to_string();
    let (from, to) = (month(asked.from), month(asked.last_month()));
    let chosen = report.team.as_ref().map(|(_, name)| name.as_str());
    let all = Choice { value: String::new(), word: words.reports_all_teams.clone(), chosen: chosen.is_none() };
    let of_team = |name: &String| Choice { value: name.clone(), word: name.clone(), chosen: chosen == Some(name) };
    let address = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("by", asked.by.as_str()), ("from", &from), ("to", &to)])
        .extend_pairs(chosen.map(|team| ("team", team)))
        .finish();
    let by = |by: By| Choice { value: by.as_str().to_owned(), word: by_word(words, by).to_owned(), chosen: by == asked.by };
    let title = fill_text(&words.reports_title, &[("from", &from), ("to", &to)]);
    let page = ReportsPage {
        frame: Frame::new(&reader, "reports", format!("{} · {title}", words.nav_reports), app.engine.clock.now()),
        words,
        by: By::ALL.map(by).into(),
        teams: std::iter::once(all).chain(teams.iter().map(|team| of_team(&team.name))).collect(),
        wrong,
        title,
        notes: notes(words, &report),
        columns: columns(words, asked.by),
        rows: report.lines.iter().map(|line| row(&reader, asked.by, line)).collect(),
        total: report
            .total
            .as_ref()
            .map(|total| Row { name: words.reports_total.clone(), cells: cells(words, asked.by, total, None) }),
        duty_until: asked.by.has_duty().then(|| duty_until(words, &report)),
        fairness: report.lines.iter().filter_map(|line| bearer(&reader, line)).collect(),
        csv: format!("/reports.csv?{address}"),
        from,
        to,
    };
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(html(status, &page))
}

/// `GET /reports.csv?by=&from=&to=&team=`
pub(in crate::dashboard) async fn file(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::read(query.as_deref());
    let (asked, _) = query.asked(&app).await?;
    let asked = asked.ok_or(Refusal::Garbled)?;
    let report = app.engine.report_of(asked, query.team(&asked)).await?;
    let mut response = report.csv(|name| reader.name(name)).into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    head.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"report.csv\""));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn by_word(words: &'static Words, by: By) -> &'static str {
    match by {
        By::Day => &words.reports_by_day,
        By::Month => &words.reports_by_month,
        By::Team => &words.reports_by_team,
        By::Policy => &words.reports_by_policy,
        By::Sender => &words.reports_by_source,
        By::Person => &words.reports_by_person,
    }
}

/// What a reader has to know before they believe a figure.
fn notes(words: &'static Words, report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    match report.known_from {
        None => notes.push(words.reports_none_yet.clone()),
        Some(day) if day > report.asked.from => {
            notes.push(fill_text(&words.reports_known_from, &[("day", &day.format("%Y-%m-%d").to_string())]));
        }
        Some(_) => {}
    }
    if report.counting && report.known_from.is_some() {
        notes.push(words.reports_counting.clone());
    }
    notes
}

fn duty_until(words: &'static Words, report: &Report) -> String {
    fill(&words.reports_duty_until, &[("at", Html(&at(report.duty_until)))])
}

/// The columns: those of people know no alarms, since it is calls that reach people.
fn columns(words: &'static Words, by: By) -> Vec<&'static str> {
    let mut columns: Vec<&'static str> = Vec::new();
    if by != By::Person {
        columns.extend([words.reports_alarms.as_str(), words.reports_hunts.as_str()]);
    }
    columns.extend([
        words.reports_calls.as_str(),
        words.reports_picked_up.as_str(),
        words.reports_to_answer.as_str(),
        words.reports_to_confirm.as_str(),
    ]);
    if by.has_duty() {
        columns.push(words.reports_duty.as_str());
    }
    columns
}

fn row(reader: &Reader, by: By, line: &Line) -> Row {
    let words = reader.words;
    let cells = line.figures.as_ref().map(|figures| cells(words, by, figures, line.duty.as_ref()));
    Row { name: subject(reader, line), cells: cells.unwrap_or_default() }
}

fn subject(reader: &Reader, line: &Line) -> String {
    match &line.subject {
        Subject::Day(day) => day.format("%Y-%m-%d").to_string(),
        Subject::Month(day) => day.format("%Y-%m").to_string(),
        Subject::Named { name, .. } => reader.name(name),
        Subject::Nothing => reader.words.reports_nothing.clone(),
        Subject::Removed => reader.words.reports_removed.clone(),
    }
}

fn cells(words: &'static Words, by: By, own: &Figures, duty: Option<&OnDuty>) -> Vec<Cell> {
    // What there was none of is not said.
    let said = |all: &[(&str, i64)]| -> Vec<String> {
        let some = all.iter().filter(|(_, count)| *count != 0);
        some.map(|(sentence, count)| fill_text(sentence, &[("count", &count.to_string())])).collect()
    };
    let count = |label: &'static str, figure: i64, beside| Cell { label, figure: figure.to_string(), beside };
    let mut cells = Vec::new();
    if by != By::Person {
        let beside = said(&[
            (&words.reports_at_night, own.alarms_at_night),
            (&words.reports_at_weekend, own.alarms_at_weekend),
            (&words.reports_repeats, own.repeats),
            (&words.reports_false, own.false_alarms),
        ]);
        cells.push(count(&words.reports_alarms, own.alarms, beside));
        let beside = said(&[
            (&words.reports_answered, own.answered),
            (&words.reports_confirmed, own.confirmed),
            (&words.reports_unanswered, own.unanswered),
        ]);
        cells.push(count(&words.reports_hunts, own.hunts, beside));
    }
    let beside = said(&[
        (&words.reports_at_night, own.calls_at_night),
        (&words.reports_at_weekend, own.calls_at_weekend),
        (&words.reports_failed, own.calls_failed),
    ]);
    cells.push(count(&words.reports_calls, own.calls, beside));
    let confirmed = if by == By::Person { own.confirmed } else { 0 };
    let beside = said(&[
        (&words.reports_confirmed, confirmed),
        (&words.reports_not_reached, own.calls_not_reached),
        (&words.reports_declined, own.declined),
    ]);
    cells.push(count(&words.reports_picked_up, own.calls_answered, beside));
    cells.push(times(words, &words.reports_to_answer, &own.to_answer));
    cells.push(times(words, &words.reports_to_confirm, &own.to_confirm));
    if by.has_duty() {
        let beside = |duty: &OnDuty| -> Vec<String> {
            let all = [(&words.reports_hours_night, duty.night_seconds), (&words.reports_hours_weekend, duty.weekend_seconds)];
            let some = all.into_iter().filter(|(_, seconds)| *seconds > 0);
            some.map(|(sentence, seconds)| fill_text(sentence, &[("hours", &hours(seconds))])).collect()
        };
        cells.push(Cell {
            label: &words.reports_duty,
            figure: duty.map(|duty| hours(duty.seconds)).unwrap_or_default(),
            beside: duty.map(beside).unwrap_or_default(),
        });
    }
    cells
}

fn times(words: &'static Words, label: &'static str, times: &Times) -> Cell {
    let told = |sentence: &str, seconds: i64| fill_text(sentence, &[("time", &duration(words, seconds))]);
    let half = times.percentile(50).map(|seconds| told(&words.reports_median, seconds));
    let ninety = times.percentile(90).map(|seconds| told(&words.reports_ninety, seconds));
    Cell { label, figure: half.unwrap_or_default(), beside: ninety.into_iter().collect() }
}

fn bearer(reader: &Reader, line: &Line) -> Option<Bearer> {
    let words = reader.words;
    let share = line.share?;
    let bar = |label: &'static str, share: Option<i64>| {
        share.map(|share| Bar { label, width: share.clamp(0, WIDEST), said: format!("{share} %") })
    };
    let bars = [
        bar(&words.reports_share_duty, share.duty),
        bar(&words.reports_share_calls, share.calls),
        bar(&words.reports_share_answered, share.answered),
    ];
    Some(Bearer { name: subject(reader, line), bars: bars.into_iter().flatten().collect() })
}
