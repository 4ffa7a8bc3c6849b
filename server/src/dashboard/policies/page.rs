//! What is on *Policies*: every policy in words, the rules, and the numbers that must not be called.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::form::whom_written;
use super::rules::{self, RuleLine};
use crate::alarm::{Confirm, Mode};
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::field::{Field, Input, span};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, escape, fill};
use crate::ids::PolicyId;
use crate::keep::policies::{self as checked, PolicyBody, StepBody};
use crate::store::Db;
use crate::store::duty::policies::PolicyRow;

/// One policy in words.
struct PolicyCard {
    id: PolicyId,
    name: String,
    /// HTML.
    steps: Vec<String>,
    /// HTML.
    meta: String,
}

/// The form by which a number is put on the list of those that must not be called.
pub(in crate::dashboard) const FORBID: &str = "forbid";

#[derive(Template)]
#[template(path = "policies/policies.html")]
struct PoliciesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    policies: Vec<PolicyCard>,
    rules: Vec<RuleLine>,
    forbidden: Vec<Forbidden>,
    /// By which a number is added.
    form: Form,
    done: Option<&'static str>,
}

/// A number on the list as this reader may see it.
struct Forbidden {
    /// In full, for the form that takes it off; empty for those who may not.
    pub(in crate::dashboard) number: String,
    pub(in crate::dashboard) shown: String,
    pub(in crate::dashboard) reason: String,
    /// HTML.
    pub(in crate::dashboard) since: String,
}

/// The list of numbers that must not be called.
///
/// # Errors
/// When the database fails.
async fn forbidden(reader: &Reader, db: &mut Db<'_>) -> Result<Vec<Forbidden>, Refusal> {
    let rows = db.forbidden_numbers().await?;
    let line = |row: crate::store::duty::do_not_call::DoNotCallRow| Forbidden {
        shown: reader.number(&row.number),
        number: if reader.administers() { row.number } else { String::new() },
        reason: row.reason,
        since: fill(&reader.words.forbidden_since, &[("at", Html(&at(row.created_at)))]),
    };
    Ok(rows.into_iter().map(line).collect())
}

/// The page, with the form that was refused as it was sent.
pub(in crate::dashboard) async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    sent: Option<Sent>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let rules = rules::lines(reader, &checked::read_rules(&app.engine.store).await?.0);
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut policies = Vec::new();
    for row in db.policies().await? {
        let policy = checked::written(&mut db, &row.definition).await?;
        policies.push(card(reader, row, &policy));
    }
    let forbidden = forbidden(reader, &mut db).await?;
    let words = reader.words;
    let frame = Frame::new(reader, "policies", words.nav_policies.as_str(), app.engine.clock.now());
    let number = Field::plain("number", &words.number, Input::Phone).required();
    let reason = Field::plain("reason", &words.forbidden_reason, Input::Line);
    let form = Form::new(reader, FORBID, "/do-not-call/add", &words.forbidden_go).looking("").with([number, reason]);
    let form = form.again(sent.as_ref());
    Ok(html(status, &PoliciesPage { frame, words, policies, rules, forbidden, form, done }))
}

fn card(reader: &Reader, row: PolicyRow, policy: &PolicyBody) -> PolicyCard {
    let words = reader.words;
    let mut meta = vec![match policy.confirm_within_seconds {
        Some(seconds) => fill(&words.policy_confirmed, &[("time", Text(&span(words, seconds)))]),
        None => escape(&words.policy_unconfirmed),
    }];
    if policy.confirm == Some(Confirm::Key) {
        meta.push(escape(&words.policy_by_key));
    }
    if policy.rounds > 1 {
        meta.push(fill(&words.policy_repeated, &[("count", Text(&policy.rounds.to_string()))]));
    }
    PolicyCard {
        id: row.id,
        name: row.name,
        steps: policy.steps.iter().map(|step| step_words(reader, step)).collect(),
        meta: meta.join(" · "),
    }
}

/// "**Li Na, Zhang Wei** one after the other · calls to each: 2 · next step after 3 min", as HTML.
fn step_words(reader: &Reader, step: &StepBody) -> String {
    let words = reader.words;
    let names: Vec<String> = step.ring.iter().map(|whom| reader.name(&whom_written(whom))).collect();
    let who = match names.is_empty() {
        true => format!(r#"<b class="nobody">{}</b>"#, escape(&words.policy_nobody)),
        false => format!("<b>{}</b>", escape(&names.join(words.list_comma.as_str()))),
    };
    let mut pieces = Vec::new();
    if names.len() > 1 {
        let mode = if step.mode == Some(Mode::Parallel) { &words.mode_parallel } else { &words.mode_sequential };
        pieces.push(escape(mode));
    }
    if let Some(attempts) = step.attempts {
        pieces.push(fill(&words.policy_calls, &[("count", Text(&attempts.to_string()))]));
    }
    if let Some(seconds) = step.min_interval_seconds {
        pieces.push(fill(&words.policy_apart, &[("time", Text(&span(words, seconds)))]));
    }
    if let Some(seconds) = step.wait_seconds {
        pieces.push(fill(&words.policy_next_after, &[("time", Text(&span(words, seconds)))]));
    }
    if pieces.is_empty() { who } else { format!("{who} <small>{}</small>", pieces.join(" · ")) }
}
