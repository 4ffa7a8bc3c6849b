//! The timeline of an alarm: each event as a sentence, with the names of whom the call was to.

use serde_json::Value;

use super::now;
use crate::dashboard::frame::page::{at, at_second};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{escape, fill};
use crate::store::alarm::board::CallRow;
use crate::store::alarm::events::EventRow;

/// One line.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Entry {
    /// HTML.
    pub(in crate::dashboard) when: String,
    /// HTML.
    pub(in crate::dashboard) what: String,
    /// What kind of news it is.
    pub(in crate::dashboard) tone: &'static str,
}

/// The timeline as this reader sees it, newest last.
pub(in crate::dashboard) fn entries(reader: &Reader, events: &[EventRow], calls: &[CallRow]) -> Vec<Entry> {
    events.iter().map(|event| entry(reader, event, calls)).collect()
}

fn entry(reader: &Reader, event: &EventRow, calls: &[CallRow]) -> Entry {
    let body = &event.body.0;
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let (tone, sentence) = tone_and_sentence(reader, event.kind.as_str(), body);
    let mid = text("mid");
    let named = match event.kind.as_str() {
        "answered" | "late_answer" | "acknowledged" | "lapsed" | "parted" => reader.name(text("name")),
        "cancelled" | "escalated" | "policy_set" | "snoozed" | "noted" => reader.name(text("by")),
        "declined" | "skipped" | "do_not_call" | "opted_out" | "reopened" if mid.is_empty() => {
            reader.name(body["name"].as_str().or(body["number"].as_str()).unwrap_or_default())
        }
        "declined" | "not_rung" => callees(reader, calls, |call| call.mid == mid && call.callee_id.to_string() == text("callee")),
        _ => callees(reader, calls, |call| call.mid == mid),
    };
    let handset = calls.iter().find(|call| call.mid == mid).and_then(|call| call.handset.as_deref()).unwrap_or_default();
    let attempt = body["callees"][0]["attempt"].as_i64().unwrap_or(1).to_string();
    let repeats = body["repeats"].as_i64().or(body["times"].as_i64()).unwrap_or_default().to_string();
    let number = |key: &str| body[key].as_i64().unwrap_or_default().to_string();
    let instant = |key: &str| text(key).parse().map_or_else(|_| String::new(), at_second);
    let who = match event.kind.as_str() {
        "step_began" => body["callees"].as_array().map_or_else(String::new, |callees| {
            callees.iter().map(|one| with_duty(reader, one)).collect::<Vec<_>>().join(&escape(&reader.words.list_comma))
        }),
        _ => format!("<b>{}</b>", escape(&named)),
    };
    let mut what = fill(
        sentence,
        &[
            ("who", Html(&who)),
            ("handset", Text(handset)),
            ("attempt", Text(&attempt)),
            ("count", Text(&repeats)),
            ("source", Text(text("source"))),
            ("kind", Text(&event.kind)),
            ("step", Text(&number("place"))),
            ("round", Text(&number("round"))),
            ("policy", Text(text("policy"))),
            ("until", Html(&instant("until"))),
        ],
    );
    if let Some(by) = done_by(reader, body) {
        what.push_str(&format!(" <small>{by}</small>"));
    }
    for remark in ["note", "text", "reason"] {
        // The reason of an end is one of our own words, and stands in the sentence.
        if !text(remark).is_empty() && event.kind != "hunt_ended" {
            what.push_str(&format!("<q>{}</q>", escape(text(remark))));
        }
    }
    Entry { when: at_second(event.at), what, tone }
}

/// Somebody whom a step rings, and by what duty, as HTML.
fn with_duty(reader: &Reader, one: &Value) -> String {
    let words = reader.words;
    let name = reader.name(one["name"].as_str().or(one["number"].as_str()).unwrap_or_default());
    let who = format!("<b>{}</b>", escape(&name));
    let duty = &one["duty"];
    let until = duty["until"].as_str().and_then(|until| until.parse().ok()).map(at);
    match (duty["schedule"].as_str(), duty["team"].as_str(), until) {
        (Some(by), _, Some(until)) => fill(&words.who_until, &[("who", Html(&who)), ("by", Text(by)), ("until", Html(&until))]),
        (Some(by), _, None) => fill(&words.who_on_duty, &[("who", Html(&who)), ("by", Text(by))]),
        (None, Some(team), _) => fill(&words.who_of_team, &[("who", Html(&who)), ("team", Text(team))]),
        (None, None, _) => who,
    }
}

/// Who really did it, whatever name was said, as HTML; for what was written down before that was kept, how word of it came.
fn done_by(reader: &Reader, body: &Value) -> Option<String> {
    let (words, doer) = (reader.words, &body["done_by"]);
    let name = doer["name"].as_str().unwrap_or_default();
    let named = |sentence: &str| fill(sentence, &[("name", Text(name))]);
    Some(match doer["kind"].as_str() {
        Some("user") => named(&words.by_user),
        Some("key") => named(&words.by_key),
        Some("handset") => named(&words.by_handset),
        Some("open_network") => fill(&words.by_open, &[("address", Text(doer["address"].as_str().unwrap_or_default()))]),
        Some("link") => escape(&words.via_link),
        Some("text_message") => escape(&words.via_sms),
        Some("command_line") => escape(&words.by_command_line),
        Some(_) => return None,
        None => escape(now::via_words(words, serde_json::from_value(body["via"].clone()).ok()?)),
    })
}

fn tone_and_sentence<'r>(reader: &'r Reader, kind: &str, body: &Value) -> (&'static str, &'r str) {
    let words = reader.words;
    let says = |key: &str, value: &str| body[key].as_str() == Some(value);
    let empty = |key: &str| body[key].as_str().is_none_or(str::is_empty);
    match kind {
        "raised" if empty("source") => ("plain", &words.t_raised_by_nobody),
        "raised" => ("plain", &words.t_raised),
        "repeated" => ("plain", &words.t_repeated),
        "cleaned" => ("plain", &words.t_cleaned),
        "overtaken" => ("plain", &words.t_overtaken),
        "flapping" => ("bad", &words.t_flapping),
        "resolved" => ("plain", &words.t_resolved),
        "cancelled" if empty("by") => ("plain", &words.t_cancelled_by_nobody),
        "cancelled" => ("plain", &words.t_cancelled),
        "acknowledged" => ("good", &words.t_acknowledged),
        "redialled" if says("why", "joined_later") => ("ring", &words.t_redialled_joined),
        "redialled" if says("why", "not_resolved") => ("ring", &words.t_redialled_time),
        "redialled" if says("why", "worse") => ("ring", &words.t_redialled_worse),
        "redialled" if says("why", "new_alert") => ("ring", &words.t_redialled_new),
        "redialled" if says("why", "flapping") => ("ring", &words.t_redialled_flapping),
        "redialled" if says("why", "repeated") => ("ring", &words.t_redialled_repeat),
        "redialled" => ("ring", &words.t_redialled),
        "handed_out" if body["handset"].is_null() => ("ring", &words.t_dry_run),
        "handed_out" => ("ring", &words.t_handed_out),
        "answered" => ("good", &words.t_answered),
        "late_answer" => ("good", &words.t_late_answer),
        "nobody" => ("bad", &words.t_nobody),
        "late_nobody" => ("plain", &words.t_late_nobody),
        "expired" => ("bad", &words.t_expired),
        "superseded" if says("outcome", "cancelled") => ("plain", &words.t_stopped),
        "superseded" => ("plain", &words.t_superseded),
        "not_rung" => ("bad", &words.t_not_rung),
        "declined" => ("bad", &words.t_declined),
        "opted_out" => ("bad", &words.t_opted_out),
        "step_began" if body["last_resort"] == true => ("ring", &words.t_step_fallback),
        "step_began" if body["policy"].is_null() => ("ring", &words.t_step_named),
        "step_began" => ("ring", &words.t_step_began),
        "step_empty" => ("bad", &words.t_step_empty),
        "policy_empty" => ("bad", &words.t_policy_empty),
        "escalated" if empty("by") => ("plain", &words.t_escalated_by_nobody),
        "escalated" => ("plain", &words.t_escalated),
        "policy_set" if empty("by") => ("plain", &words.t_policy_set_by_nobody),
        "policy_set" => ("plain", &words.t_policy_set),
        "lapsed" => ("bad", &words.t_lapsed),
        "skipped" => ("plain", &words.t_skipped),
        "do_not_call" => ("bad", &words.t_do_not_call),
        "snoozed" if empty("by") => ("plain", &words.t_snoozed_by_nobody),
        "snoozed" => ("plain", &words.t_snoozed),
        "noted" if empty("by") => ("plain", &words.t_noted_by_nobody),
        "noted" => ("plain", &words.t_noted),
        "joined" => ("ring", &words.t_joined),
        "parted" => ("ring", &words.t_parted),
        "quiet" => ("plain", &words.t_quiet),
        "reopened" => ("bad", &words.t_reopened),
        "held" => ("plain", &words.t_held),
        "released" => ("ring", &words.t_released),
        "hunt_ended" => hunt_ended(reader, body),
        _ => ("plain", &words.t_other),
    }
}

fn hunt_ended<'r>(reader: &'r Reader, body: &Value) -> (&'static str, &'r str) {
    let words = reader.words;
    match (body["outcome"].as_str(), body["reason"].as_str()) {
        (Some("answered"), _) => ("good", &words.t_ended_answered),
        (Some("no_answer"), Some("no_handset")) => ("bad", &words.t_ended_no_handset),
        (Some("no_answer"), Some("no_report")) => ("bad", &words.t_ended_no_report),
        (Some("no_answer"), Some("all_declined")) => ("bad", &words.t_ended_declined),
        (Some("no_answer"), Some("nobody_to_ring")) => ("bad", &words.t_ended_nobody_to_ring),
        (Some("no_answer"), Some("hand_out_limit")) => ("bad", &words.t_ended_limit),
        (Some("no_answer"), _) => ("bad", &words.t_ended_nobody),
        _ => ("plain", &words.t_ended),
    }
}

/// The names of those whom some calls were to.
fn callees(reader: &Reader, calls: &[CallRow], which: impl Fn(&CallRow) -> bool) -> String {
    let names = calls.iter().filter(|call| which(call)).map(|call| reader.name(call.name.as_deref().unwrap_or(&call.number)));
    names.collect::<Vec<_>>().join(reader.words.list_comma.as_str())
}
