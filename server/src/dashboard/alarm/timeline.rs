//! The timeline of an alarm: each event as a sentence, with the names of whom the call was to.

use android_protocol::live::LiveOrder;
use android_protocol::voice::detector::Verdict;
use android_protocol::wire::FailureDetail;
use chrono::{DateTime, Utc};

use super::{calls as of_call, now, running};
use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, Led, RingsAgain};
use crate::alarm::live_command::{self, CommandState, FAILED};
use crate::alarm::{DialOutcome, EndReason, HuntOutcome};
use crate::dashboard::frame::page::{at, at_second};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{escape, fill};
use crate::dashboard::lines::overview::outcome_words;
use crate::kinds::outcome::Outcome;
use crate::store::alarm::board::CallRow;
use crate::store::alarm::call_records::CallRecordRow;
use crate::store::alarm::events::EventRow;
use crate::store::alarm::live::LiveCommandRow;

/// One line.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Entry {
    /// HTML.
    pub(in crate::dashboard) when: String,
    /// HTML.
    pub(in crate::dashboard) what: String,
    /// What kind of news it is.
    pub(in crate::dashboard) tone: &'static str,
    /// What is known of the calls that it began, a line for each number.
    pub(in crate::dashboard) calls: Vec<String>,
}

/// What is known of an alarm's calls.
#[derive(Clone, Copy, Debug)]
pub(in crate::dashboard) struct Calls<'c> {
    /// Whom they were to.
    pub(in crate::dashboard) targets: &'c [CallRow],
    /// Their records.
    pub(in crate::dashboard) records: &'c [CallRecordRow],
    /// The mids of those that go on.
    pub(in crate::dashboard) open: &'c [String],
    /// What was to be done in them, oldest first.
    pub(in crate::dashboard) commands: &'c [LiveCommandRow],
}

/// The timeline as this reader sees it, newest last. What was asked for in calls is an event; what became of it stands where it did.
pub(in crate::dashboard) fn entries(reader: &Reader, events: &[EventRow], calls: Calls<'_>, now: DateTime<Utc>) -> Vec<Entry> {
    let mut lines: Vec<(DateTime<Utc>, Entry)> = events.iter().map(|event| (event.at, entry(reader, event, calls))).collect();
    for command in calls.commands.iter().filter(|command| command.made_by.0 != Doer::Server) {
        let record = calls.records.iter().find(|record| record.id == command.record_id);
        let at = command.over_at(record.and_then(|record| record.ended_at.or(record.reported_at)));
        if let Some(entry) = outcome_of(reader, command, record, (at, now)) {
            let place = lines.iter().rposition(|(earlier, _)| *earlier <= at).map_or(0, |place| place + 1);
            lines.insert(place, (at, entry));
        }
    }
    lines.into_iter().map(|(_, entry)| entry).collect()
}

/// What became of something that was to be done in a call; nothing as long as it may still be done.
fn outcome_of(
    reader: &Reader,
    command: &LiveCommandRow,
    record: Option<&CallRecordRow>,
    (at, now): (DateTime<Utc>, DateTime<Utc>),
) -> Option<Entry> {
    let words = reader.words;
    let [_, done, failed] = in_call(reader, live_command::word(&command.what.0))?;
    let (tone, sentence, why) = match command.stands(now) {
        (CommandState::Waiting | CommandState::Sent, _) => return None,
        (CommandState::Done, _) => ("plain", done, ""),
        (CommandState::Failed, why) => ("bad", failed, running::said_why(words, why.unwrap_or(FAILED))),
    };
    let who = record.map(|record| record.name.as_deref().unwrap_or(&record.number));
    let who = format!("<b>{}</b>", escape(&reader.name(who.unwrap_or(&command.dialled_number))));
    let mut what = fill(sentence, &[("who", Html(&who)), ("why", Text(why))]);
    if let LiveOrder::Play { text: Some(text), .. } = &command.what.0 {
        what.push_str(&format!("<q>{}</q>", escape(text)));
    }
    Some(Entry { when: at_second(at), what, tone, calls: Vec::new() })
}

/// The sentences for something in a call: that it was asked for, that it was done, and why not. None for what only handsets do.
fn in_call<'r>(reader: &'r Reader, order: &str) -> Option<[&'r str; 3]> {
    let words = reader.words;
    Some(match order {
        "drop" => [&words.t_call_drop, &words.t_call_drop_done, &words.t_call_drop_failed],
        "play" => [&words.t_call_play, &words.t_call_play_done, &words.t_call_play_failed],
        "stop" => [&words.t_call_stop, &words.t_call_stop_done, &words.t_call_stop_failed],
        "send_dtmf" => [&words.t_call_keys, &words.t_call_keys_done, &words.t_call_keys_failed],
        _ => return None,
    })
}

/// What is known of the calls of a dial.
fn records(reader: &Reader, mid: &str, calls: Calls<'_>) -> Vec<String> {
    let own: Vec<&CallRecordRow> = calls.records.iter().filter(|record| record.mid == mid).collect();
    let goes_on = calls.open.iter().any(|open| open == mid);
    // Where a list holds several numbers, each says whose it is.
    let whose = |record: &CallRecordRow| (own.len() > 1).then(|| reader.name(record.name.as_deref().unwrap_or(&record.number)));
    let facts = own.iter().map(|record| of_call::facts(reader, record, whose(record), goes_on));
    facts.filter(|facts| !facts.is_empty()).collect()
}

fn entry(reader: &Reader, row: &EventRow, of_alarm: Calls<'_>) -> Entry {
    let (event, calls) = (row.event(), of_alarm.targets);
    let (tone, sentence) = tone_and_sentence(reader, &event);
    let mid = event.mid().unwrap_or_default();
    let handset = match &event {
        Event::CalledBack { handset, .. } => handset.as_str(),
        _ => calls.iter().find(|call| call.mid == mid).and_then(|call| call.handset.as_deref()).unwrap_or_default(),
    };
    let who = match &event {
        Event::StepBegan { callees, .. } | Event::RungAlso { callees } => {
            callees.iter().map(|one| with_duty(reader, one)).collect::<Vec<_>>().join(&escape(&reader.words.list_comma))
        }
        event => format!("<b>{}</b>", escape(&named(reader, event, calls))),
    };
    let source = if let Event::Raised { source, .. } = &event { source.as_str() } else { "" };
    let attempt = match &event {
        Event::HandedOut { callees, .. } => callees.first().and_then(|rung| rung.attempt).unwrap_or(1),
        _ => 1,
    };
    let count = match &event {
        Event::Repeated { repeats, .. } => *repeats,
        Event::Flapping { times, .. } => *times,
        _ => 0,
    };
    let (place, round, policy) = match &event {
        Event::StepBegan { place, round, policy, .. } | Event::StepEmpty { place, round, policy, .. } => {
            (*place, *round, policy.as_deref())
        }
        Event::PolicyEmpty { policy, .. } => (None, None, policy.as_deref()),
        Event::PolicySet { policy, .. } => (None, None, Some(policy.as_str())),
        _ => (None, None, None),
    };
    let until = match &event {
        Event::Snoozed { until, .. } | Event::Quiet { until } | Event::Held { until, .. } => at_second(*until),
        _ => String::new(),
    };
    let gateway = if let Event::Texted { gateway, .. } = &event { gateway.as_str() } else { "" };
    let since = match &event {
        Event::Resolved { no_word_since: Some(since) } => at_second(*since),
        _ => String::new(),
    };
    let (attempt, count) = (attempt.to_string(), count.to_string());
    let (place, round) = (place.unwrap_or_default().to_string(), round.unwrap_or_default().to_string());
    let mut what = fill(
        sentence,
        &[
            ("who", Html(&who)),
            ("handset", Text(handset)),
            ("attempt", Text(&attempt)),
            ("count", Text(&count)),
            ("source", Text(source)),
            ("kind", Text(event.kind())),
            ("step", Text(&place)),
            ("round", Text(&round)),
            ("policy", Text(policy.unwrap_or_default())),
            ("until", Html(&until)),
            ("gateway", Text(gateway)),
            ("since", Html(&since)),
        ],
    );
    if let Some(by) = done_by(reader, &event) {
        what.push_str(&format!(" <small>{by}</small>"));
    }
    let unsent = match &event {
        Event::NotTexted { why, .. } => outcome_words(reader, &Outcome::read(why)),
        _ => String::new(),
    };
    let remark = match &event {
        Event::NotTexted { .. } => Some(unsent.as_str()),
        Event::Acknowledged { note, .. } | Event::Held { note, .. } => note.as_deref(),
        Event::Noted { text, .. } => Some(text.as_str()),
        Event::MarkedFalse { reason, .. } => Some(reason.as_str()),
        Event::DoNotCall { reason, .. } => Some(reason.as_str()),
        Event::CallCommanded { text: Some(text), .. } => Some(text.as_str()),
        _ => None,
    };
    if let Some(remark) = remark.filter(|remark| !remark.is_empty()) {
        what.push_str(&format!("<q>{}</q>", escape(remark)));
    }
    let calls = if let Event::HandedOut { mid, .. } | Event::CalledBack { mid, .. } = &event {
        records(reader, mid, of_alarm)
    } else {
        Vec::new()
    };
    Entry { when: at_second(row.at), what, tone, calls }
}

/// Whom a sentence is about.
fn named(reader: &Reader, event: &Event, calls: &[CallRow]) -> String {
    let said = |name: Option<&str>| reader.name(name.unwrap_or_default());
    match event {
        Event::Answered { name, .. }
        | Event::LateAnswer { name, .. }
        | Event::Acknowledged { name, .. }
        | Event::GivenBack { name, .. }
        | Event::Lapsed { name, .. }
        | Event::OptedOut { name, .. } => reader.name(name),
        Event::Parted { name, .. } => said(name.as_deref()),
        Event::Cancelled { by, .. }
        | Event::Escalated { by, .. }
        | Event::PolicySet { by, .. }
        | Event::Snoozed { by, .. }
        | Event::MarkedFalse { by, .. }
        | Event::NotFalse { by, .. }
        | Event::Noted { by, .. } => said(by.as_deref()),
        Event::RecordingHeard { mid, callee: Some(callee), number, .. } => {
            let of_dial = callees(reader, calls, |call| call.mid == *mid && call.callee_id == *callee);
            // Whoever called back is in no list of a dial.
            if of_dial.is_empty() { said(Some(number)) } else { of_dial }
        }
        Event::RecordingHeard { number, .. } => said(Some(number)),
        Event::CallCommanded { name, number, .. }
        | Event::CalledBack { name, number, .. }
        | Event::Texted { name, number, .. }
        | Event::NotTexted { name, number, .. } => said(name.as_deref().or(Some(number))),
        Event::Declined { mid: Some(mid), callee, .. } | Event::NotRung { mid, callee, .. } => {
            callees(reader, calls, |call| call.mid == *mid && call.callee_id == *callee)
        }
        Event::Declined { name, number, .. } => said(name.as_ref().and_then(|name| name.as_deref()).or(Some(number))),
        Event::Skipped { name, number, .. } | Event::DoNotCall { name, number, .. } | Event::Reopened { name, number } => {
            said(name.as_deref().or(Some(number)))
        }
        event => event.mid().map_or_else(String::new, |mid| callees(reader, calls, |call| call.mid == mid)),
    }
}

/// Somebody whom a step rings, and by what duty, as HTML.
fn with_duty(reader: &Reader, one: &Led) -> String {
    let words = reader.words;
    let who = format!("<b>{}</b>", escape(&reader.name(one.name.as_deref().unwrap_or(&one.number))));
    let Some(duty) = &one.duty else { return who };
    let until = duty.until.map(at);
    match (&duty.schedule, &duty.team, until) {
        (Some(by), _, Some(until)) => fill(&words.who_until, &[("who", Html(&who)), ("by", Text(by)), ("until", Html(&until))]),
        (Some(by), _, None) => fill(&words.who_on_duty, &[("who", Html(&who)), ("by", Text(by))]),
        (None, Some(team), _) => fill(&words.who_of_team, &[("who", Html(&who)), ("team", Text(team))]),
        (None, None, _) => who,
    }
}

/// Who really did it, whatever name was said, as HTML; for what was written down before that was kept, how word of it came.
fn done_by(reader: &Reader, event: &Event) -> Option<String> {
    let words = reader.words;
    let named = |sentence: &str, name: &str| fill(sentence, &[("name", Text(name))]);
    Some(match event.done_by() {
        Some(Doer::User { name }) => named(&words.by_user, name),
        Some(Doer::Key { name }) => named(&words.by_key, name),
        Some(Doer::Handset { name }) => named(&words.by_handset, name),
        Some(Doer::OpenNetwork { address }) => fill(&words.by_open, &[("address", Text(&address.to_string()))]),
        Some(Doer::Link) => escape(&words.via_link),
        Some(Doer::TextMessage) => escape(&words.via_sms),
        Some(Doer::CommandLine) => escape(&words.by_command_line),
        Some(Doer::Server) => return None,
        None => escape(now::via_words(words, event.via()?)),
    })
}

fn tone_and_sentence<'r>(reader: &'r Reader, event: &Event) -> (&'static str, &'r str) {
    let words = reader.words;
    let or = |name: &Option<String>, said: &'r str, nameless: &'r str| match name.as_deref() {
        None | Some("") => nameless,
        Some(_) => said,
    };
    match event {
        Event::Raised { source, .. } if source.is_empty() => ("plain", &words.t_raised_by_nobody),
        Event::Raised { .. } => ("plain", &words.t_raised),
        Event::Repeated { .. } => ("plain", &words.t_repeated),
        Event::Cleaned { .. } => ("plain", &words.t_cleaned),
        Event::Overtaken { .. } => ("plain", &words.t_overtaken),
        Event::Flapping { .. } => ("bad", &words.t_flapping),
        Event::Resolved { no_word_since: Some(_) } => ("plain", &words.t_no_word),
        Event::Resolved { no_word_since: None } => ("plain", &words.t_resolved),
        Event::Cancelled { by, .. } => ("plain", or(by, &words.t_cancelled, &words.t_cancelled_by_nobody)),
        Event::Acknowledged { .. } => ("good", &words.t_acknowledged),
        Event::Redialled { why, .. } => ("ring", rings_again(reader, *why)),
        Event::HandedOut { handset: None, .. } => ("ring", &words.t_dry_run),
        Event::HandedOut { .. } => ("ring", &words.t_handed_out),
        Event::Answered { without_key: Some(true), machine: Some(Verdict::Machine), .. }
        | Event::LateAnswer { without_key: Some(true), machine: Some(Verdict::Machine), .. } => ("bad", &words.t_machine),
        Event::Answered { without_key: Some(true), .. } | Event::LateAnswer { without_key: Some(true), .. } => {
            ("bad", &words.t_without_key)
        }
        Event::Answered { confirmed: true, .. } => ("good", &words.t_pressed),
        Event::Answered { .. } => ("good", &words.t_answered),
        Event::LateAnswer { .. } => ("good", &words.t_late_answer),
        Event::Nobody { .. } => ("bad", &words.t_nobody),
        Event::LateNobody { .. } => ("plain", &words.t_late_nobody),
        Event::Expired { .. } => ("bad", &words.t_expired),
        Event::Superseded { outcome: DialOutcome::Cancelled, .. } => ("plain", &words.t_stopped),
        Event::Superseded { .. } => ("plain", &words.t_superseded),
        Event::NotRung { detail: Some(FailureDetail::BadNumber), .. } => ("bad", &words.t_bad_number),
        Event::NotRung { .. } => ("bad", &words.t_not_rung),
        Event::Declined { .. } => ("bad", &words.t_declined),
        Event::OptedOut { .. } => ("bad", &words.t_opted_out),
        Event::StepBegan { last_resort: true, .. } => ("ring", &words.t_step_fallback),
        Event::StepBegan { policy: None, .. } => ("ring", &words.t_step_named),
        Event::StepBegan { .. } => ("ring", &words.t_step_began),
        Event::RungAlso { .. } => ("ring", &words.t_rung_also),
        Event::StepEmpty { .. } => ("bad", &words.t_step_empty),
        Event::PolicyEmpty { .. } => ("bad", &words.t_policy_empty),
        Event::Escalated { by, .. } => ("plain", or(by, &words.t_escalated, &words.t_escalated_by_nobody)),
        Event::PolicySet { by, .. } => ("plain", or(by, &words.t_policy_set, &words.t_policy_set_by_nobody)),
        Event::Lapsed { .. } => ("bad", &words.t_lapsed),
        Event::Skipped { .. } => ("plain", &words.t_skipped),
        Event::DoNotCall { .. } => ("bad", &words.t_do_not_call),
        Event::Snoozed { by, .. } => ("plain", or(by, &words.t_snoozed, &words.t_snoozed_by_nobody)),
        Event::Noted { by, .. } => ("plain", or(by, &words.t_noted, &words.t_noted_by_nobody)),
        Event::MarkedFalse { by, .. } => ("plain", or(by, &words.t_marked_false, &words.t_marked_false_by_nobody)),
        Event::NotFalse { by, .. } => ("plain", or(by, &words.t_not_false, &words.t_not_false_by_nobody)),
        Event::RecordingHeard { .. } => ("plain", &words.t_recording_heard),
        Event::CalledBack { .. } => ("ring", &words.t_called_back),
        Event::Texted { .. } => ("plain", &words.t_texted),
        Event::NotTexted { again: true, .. } => ("bad", &words.t_not_texted_again),
        Event::NotTexted { .. } => ("bad", &words.t_not_texted),
        Event::CallCommanded { order, .. } => ("plain", in_call(reader, order).map_or(&words.t_other, |[asked, ..]| asked)),
        Event::Joined { .. } => ("ring", &words.t_joined),
        Event::Parted { .. } => ("ring", &words.t_parted),
        Event::Quiet { .. } => ("plain", &words.t_quiet),
        Event::Reopened { .. } => ("bad", &words.t_reopened),
        Event::GivenBack { .. } => ("bad", &words.t_given_back),
        Event::Held { .. } => ("plain", &words.t_held),
        Event::Released {} => ("ring", &words.t_released),
        Event::HuntEnded { outcome, reason } => hunt_ended(reader, *outcome, reason.flatten()),
        // Of no alarm, or of another version.
        Event::HandsetOffline { .. }
        | Event::HandsetStuck { .. }
        | Event::HandsetBack { .. }
        | Event::HandsetShared { .. }
        | Event::HandsetFallback { .. }
        | Event::HandOverTrouble { .. }
        | Event::GatewaySilent { .. }
        | Event::GatewayBack { .. }
        | Event::CalendarFollowed { .. }
        | Event::CalendarTrouble { .. }
        | Event::CalendarBack { .. }
        | Event::BackupTrouble { .. }
        | Event::BackupBack {}
        | Event::Other { .. } => ("plain", &words.t_other),
    }
}

fn rings_again(reader: &Reader, why: RingsAgain) -> &str {
    let words = reader.words;
    match why {
        RingsAgain::Asked | RingsAgain::Released => &words.t_redialled,
        RingsAgain::GivenBack => &words.t_redialled_given_back,
        RingsAgain::JoinedLater => &words.t_redialled_joined,
        RingsAgain::NotResolved => &words.t_redialled_time,
        RingsAgain::Worse => &words.t_redialled_worse,
        RingsAgain::News => &words.t_redialled_new,
        RingsAgain::Flapping => &words.t_redialled_flapping,
        RingsAgain::Repeated => &words.t_redialled_repeat,
    }
}

fn hunt_ended(reader: &Reader, outcome: HuntOutcome, reason: Option<EndReason>) -> (&'static str, &str) {
    let words = reader.words;
    match (outcome, reason) {
        (HuntOutcome::Answered, _) => ("good", &words.t_ended_answered),
        (HuntOutcome::NoAnswer, Some(EndReason::NoHandset)) => ("bad", &words.t_ended_no_handset),
        (HuntOutcome::NoAnswer, Some(EndReason::NoReport)) => ("bad", &words.t_ended_no_report),
        (HuntOutcome::NoAnswer, Some(EndReason::AllDeclined)) => ("bad", &words.t_ended_declined),
        (HuntOutcome::NoAnswer, Some(EndReason::NobodyToRing)) => ("bad", &words.t_ended_nobody_to_ring),
        (HuntOutcome::NoAnswer, Some(EndReason::HandOutLimit)) => ("bad", &words.t_ended_limit),
        (HuntOutcome::NoAnswer, Some(EndReason::AttemptsUsed) | None) => ("bad", &words.t_ended_nobody),
        (HuntOutcome::Cancelled | HuntOutcome::Resolved, _) => ("plain", &words.t_ended),
    }
}

/// The names of those whom some calls were to.
fn callees(reader: &Reader, calls: &[CallRow], which: impl Fn(&CallRow) -> bool) -> String {
    let names = calls.iter().filter(|call| which(call)).map(|call| reader.name(call.name.as_deref().unwrap_or(&call.number)));
    names.collect::<Vec<_>>().join(reader.words.list_comma.as_str())
}
