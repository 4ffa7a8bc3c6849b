//! What is known of a call, in a line of its own: when it rang and was picked up, how it ended, what was pressed.

use android_protocol::voice::detector::Verdict;
use android_protocol::wire::EndedBy;
use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::call_record::{CallCause, CallResult, HowKnown};
use crate::dashboard::frame::page::duration;
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::store::alarm::call_records::CallRecordRow;

/// How a call ended.
fn outcome(words: &'static Words, outcome: CallResult) -> &'static str {
    match outcome {
        CallResult::Answered => &words.call_answered,
        CallResult::NoAnswer => &words.call_no_answer,
        CallResult::Busy => &words.call_busy,
        CallResult::Rejected => &words.call_rejected,
        CallResult::Failed => &words.call_failed,
        CallResult::NotDialled => &words.call_not_dialled,
        CallResult::Unknown => &words.call_unknown,
    }
}

/// All that is known of a call beside when it was handed out, as text, behind whose it is where that is said. Of one that goes on, nobody has
/// said how it ended.
pub(in crate::dashboard) fn facts(reader: &Reader, record: &CallRecordRow, whose: Option<String>, goes_on: bool) -> String {
    let words = reader.words;
    let mut facts: Vec<String> = whose.into_iter().collect();
    let mut after = |sentence: &str, at: Option<DateTime<Utc>>, known: HowKnown| {
        let Some(at) = at else { return };
        // To the nearest second.
        let time = duration(words, (at - record.offered_at + TimeDelta::milliseconds(500)).num_seconds());
        let time = if known == HowKnown::Exact { time } else { fill_text(&words.call_about, &[("time", &time)]) };
        facts.push(fill_text(sentence, &[("time", &time)]));
    };
    after(&words.call_dialled, record.dialled_at, record.dialled_known);
    after(&words.call_rang, record.alerting_at, record.alerting_known);
    after(&words.call_connected, record.connected_at, record.connected_known);
    after(&words.call_over, record.ended_at, record.ended_known);
    match record.outcome {
        CallResult::Unknown if goes_on => {}
        CallResult::Answered if record.connected_at.is_some() => {}
        own => facts.push(outcome(words, own).to_owned()),
    }
    if let Some(seconds) = record.talk_seconds.filter(|seconds| *seconds > 0) {
        facts.push(fill_text(&words.call_talk, &[("time", &duration(words, seconds))]));
    }
    // What was pressed may be a secret of theirs, and the network's words may hold a number.
    if let Some(keys) = record.keys.as_ref().filter(|_| reader.responds()) {
        facts.push(fill_text(&words.call_keys, &[("keys", keys)]));
    }
    match record.machine {
        Some(Verdict::Human) => facts.push(words.call_human.clone()),
        Some(Verdict::Machine) => facts.push(words.call_machine.clone()),
        Some(Verdict::Unknown) | None => {}
    }
    facts.extend(record.ended_by.map(|by| match by {
        EndedBy::Us => words.call_by_us.clone(),
        EndedBy::Callee => words.call_by_callee.clone(),
        EndedBy::Network => words.call_by_network.clone(),
    }));
    // Of a call that was connected the network says nothing that anybody needs.
    if let Some(cause) = record.cause.as_ref().filter(|_| record.outcome != CallResult::Answered) {
        facts.extend(cause_text(&cause.0, reader.responds()));
    }
    facts.join(" · ")
}

/// The network's words, as it said them.
fn cause_text(cause: &CallCause, in_words: bool) -> Option<String> {
    let sip = cause.sip.map(|code| format!("SIP {code}"));
    let q850 = cause.q850.map(|code| format!("Q.850 {code}"));
    let all: Vec<String> = [sip, q850, cause.text.clone().filter(|_| in_words)].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}
