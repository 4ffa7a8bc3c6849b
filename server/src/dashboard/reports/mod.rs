//! *Reports*: figures of some months, by day, month, team, policy, sender or person; and that an alarm was false.

pub mod false_alarm;

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, as_file, go_to};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Frame, at, duration, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Html;
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::dashboard::query::asked;
use crate::engine::reports::{Report, ReportError};
use crate::reports::duty::OnDuty;
use crate::reports::figures::Figures;
use crate::reports::report::{By, Line, MOST_MONTHS, Subject, Wanted, Wrong as Unread, hours};
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
    /// What is wrong with what was asked: the field, and a sentence.
    wrong: Option<Wrong>,
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

impl ReportsPage<'_> {
    /// By what a field is described: by what is wrong with it before all.
    fn described(&self, field: &str, how: &str) -> String {
        let wrong = self.wrong.as_ref().is_some_and(|wrong| wrong.field == field);
        match (wrong, how) {
            (false, "") => String::new(),
            (false, how) => format!(" aria-describedby=\"{how}\""),
            (true, how) => format!(" aria-invalid=\"true\" aria-describedby=\"{}\"", format!("wrong-asked {how}").trim_end()),
        }
    }
}

/// What the address asks for.
struct Query {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    team: Option<String>,
}

impl Query {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { by: self.by.as_deref(), from: self.from.as_deref(), to: self.to.as_deref(), team: self.team.as_deref() }
    }

    fn read(query: Option<&str>) -> Self {
        let get = |name: &str| {
            let given = asked(query.unwrap_or_default(), name).map(|value| value.trim().to_owned());
            given.filter(|value| !value.is_empty())
        };
        Self { by: get("by"), from: get("from"), to: get("to"), team: get("team") }
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
    let (report, wrong) = reported(&app, query.wanted()).await?;
    let asked = report.asked;
    let teams = app.engine.store.read().await?.db().roster().await?.teams;
    let month = |day: chrono::NaiveDate| day.format("%Y-%m").to_string();
    let (from, to) = (month(asked.from), month(asked.last_month()));
    let chosen = report.team.as_ref().map(|(_, name)| name.as_str());
    // What somebody typed stands there still, to be corrected.
    let typed = |own: Option<&str>, read: &str| own.filter(|_| wrong.is_some()).unwrap_or(read).to_owned();
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
        from: typed(query.from.as_deref(), &from),
        to: typed(query.to.as_deref(), &to),
        wrong: wrong.as_ref().map(|wrong| wrong_here(words, wrong)),
    };
    let status = if page.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(html(status, &page))
}

/// What is asked for; where that makes no sense, the nearest that does, with what is wrong.
async fn reported(app: &App, wanted: Wanted<'_>) -> Result<(Report, Option<Unread>), Refusal> {
    let wrong = match app.engine.report_of(wanted).await {
        Ok(report) => return Ok((report, None)),
        Err(ReportError::Wrong(wrong)) => wrong,
        Err(ReportError::Failed(error)) => return Err(error.into()),
    };
    let nearest = if wrong.field() == "team" { Wanted { team: None, ..wanted } } else { Wanted::default() };
    match app.engine.report_of(nearest).await {
        Ok(report) => Ok((report, Some(wrong))),
        Err(ReportError::Failed(error)) => Err(error.into()),
        Err(ReportError::Wrong(_)) => Err(Refusal::Failed),
    }
}

/// What is wrong with what was asked, in the reader's language and at its field.
fn wrong_here(words: &Words, wrong: &Unread) -> Wrong {
    let sentence = match wrong {
        Unread::By => words.reports_wrong_by.clone(),
        Unread::Month(_) => words.reports_wrong_month.clone(),
        Unread::EndsFirst => words.reports_wrong_ends_first.clone(),
        Unread::NotBegun { last } => fill_text(&words.reports_wrong_not_begun, &[("month", &last.format("%Y-%m").to_string())]),
        Unread::TooLong => fill_text(&words.reports_wrong_too_long, &[("most", &MOST_MONTHS.to_string())]),
        Unread::TeamNotHere => words.reports_wrong_team_by.clone(),
        Unread::NoTeam(team) => fill_text(&words.reports_wrong_team, &[("team", team)]),
    };
    Wrong::new(wrong.field(), sentence)
}

/// `GET /reports.csv?by=&from=&to=&team=`
pub(in crate::dashboard) async fn file(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Query::read(query.as_deref());
    match app.engine.report_of(asked.wanted()).await {
        Ok(report) => Ok(as_file("text/csv; charset=utf-8", "report.csv", report.csv(|name| reader.name(name)).into())),
        // The page says what is wrong, and lets it be corrected.
        Err(ReportError::Wrong(_)) => Ok(go_to(&format!("/reports?{}", query.unwrap_or_default()))),
        Err(ReportError::Failed(error)) => Err(error.into()),
    }
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
