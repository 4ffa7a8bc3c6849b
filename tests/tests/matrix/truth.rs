//! The judgement: what the server says against what really happened on the lines.

use std::collections::BTreeSet;
use std::time::Duration;

use android_protocol::phone::{DialResult, LineEvent};
use android_protocol::sim::Happening;
use serde_json::Value;

use crate::bench::{Bench, Call, calls};

/// How an alarm has to end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// One of these numbers picked up.
    Answered(&'static [&'static str]),
    /// Nobody picked up.
    NoAnswer,
    /// It was cancelled.
    Cancelled,
}

/// Everything that is not as it has to be.
pub fn problems(bench: &Bench, expected: &[(&str, End)]) -> Vec<String> {
    let calls = calls(bench);
    let alarms: Vec<(Value, End)> = expected.iter().map(|(id, end)| (bench.alarm(id), *end)).collect();
    let mut problems = bench.line.complaints();
    if bench.line.has_fault_left() {
        problems.push("the fault that this is about never happened".to_owned());
    }
    health(bench, &mut problems);
    rung_once_at_a_time(&calls, &mut problems);
    not_rung_too_often(bench, &calls, &alarms, &mut problems);
    for (alarm, end) in &alarms {
        ended_truly(bench, &calls, alarm, *end, &mut problems);
    }
    problems
}

fn health(bench: &Bench, problems: &mut Vec<String>) {
    for desk in &bench.desks {
        let nobody_there: Vec<_> = bench.outages.iter().copied().chain(bench.line.silences()).collect();
        for complaint in desk.handset.complaints(&nobody_there) {
            problems.push(format!("{} {complaint}", desk.name));
        }
        for (at, happening) in desk.handset.trace() {
            if let Happening::Dialled { number, result } = happening
                && !matches!(result, DialResult::Call(_))
            {
                problems.push(format!("{} dialled {number} at {} s in vain: {result:?}", desk.name, at.as_secs()));
            }
        }
        let held = desk.handset.phone().events().iter().any(|(_, event)| matches!(event, LineEvent::Held(_)));
        if held {
            problems.push(format!("{} put somebody on hold to ring somebody else", desk.name));
        }
    }
}

/// Nobody's phone rings twice at once, or while they talk to another of our handsets.
fn rung_once_at_a_time(calls: &[Call], problems: &mut Vec<String>) {
    for (i, one) in calls.iter().enumerate() {
        for other in &calls[i + 1..] {
            if one.number == other.number && one.from < other.to && other.from < one.to {
                problems.push(format!("{} is rung twice at once: {one:?} and {other:?}", one.number));
            }
        }
    }
}

/// Each mid is dialled once, and again at most once for each time that the app's process began anew and forgot it.
fn not_rung_too_often(bench: &Bench, calls: &[Call], alarms: &[(Value, End)], problems: &mut Vec<String>) {
    let numbers: BTreeSet<&str> = calls.iter().map(|call| call.number.as_str()).collect();
    let restarts: usize = bench
        .desks
        .iter()
        .map(|desk| desk.handset.trace().iter().filter(|(_, happening)| *happening == Happening::Restarted).count())
        .sum();
    for number in numbers {
        let rung = calls.iter().filter(|call| call.number == number).count();
        let handed_out = alarms.iter().flat_map(|(alarm, _)| list(&alarm["dials"])).filter(|dial| holds(dial, number)).count();
        if rung < handed_out || rung > handed_out + restarts {
            problems.push(format!("{number} was handed out {handed_out} times and rung {rung} times, with {restarts} restarts"));
        }
    }
    for (alarm, _) in alarms {
        for callee in list(&alarm["callees"]) {
            if callee["attempts"].as_i64() > callee["max_attempts"].as_i64() {
                problems.push(format!("more attempts than agreed: {callee}"));
            }
        }
    }
}

fn ended_truly(bench: &Bench, calls: &[Call], alarm: &Value, end: End, problems: &mut Vec<String>) {
    let state = alarm["state"].as_str().unwrap_or_default();
    let wanted = match end {
        End::Answered(_) => "answered",
        End::NoAnswer => "no_answer",
        End::Cancelled => "cancelled",
    };
    if state != wanted {
        problems.push(format!("the alarm is {state}, and should be {wanted}"));
    }
    match end {
        End::Answered(by) => answered_truly(bench, calls, alarm, by, problems),
        End::NoAnswer | End::Cancelled => {
            if !alarm["answer"].is_null() {
                problems.push(format!("nobody picked up, and the server says {}", alarm["answer"]));
            }
        }
    }
    for dial in list(&alarm["dials"]) {
        let picked_up = calls_of(bench, calls, dial).iter().any(|call| call.connected.is_some());
        let outcome = dial["outcome"].as_str().unwrap_or("open");
        match outcome {
            "answered" if !picked_up => problems.push(format!("nobody picked up, and the dial is answered: {dial}")),
            // An app that believes the last row of its call log takes a stranger's for the end of its own call.
            "nobody" if picked_up && !lied(bench, dial) => {
                problems.push(format!("somebody picked up, and the dial says nobody: {dial}"));
            }
            "open" => problems.push(format!("a dial is still open: {dial}")),
            _ => {}
        }
    }
}

fn answered_truly(bench: &Bench, calls: &[Call], alarm: &Value, by: &[&str], problems: &mut Vec<String>) {
    let answer = &alarm["answer"];
    let number = answer["number"].as_str().unwrap_or_default();
    if !by.iter().any(|one| number == format!("+86{one}")) {
        problems.push(format!("{by:?} should have answered, and the server says {answer}"));
    }
    let dial = list(&alarm["dials"]).iter().find(|dial| dial["mid"] == answer["mid"]);
    let real = dial.is_some_and(|dial| {
        answer["handset"] == dial["handset"]
            && calls_of(bench, calls, dial).iter().any(|call| call.connected.is_some() && number.ends_with(&call.number))
    });
    if !real {
        problems.push(format!("no such call was answered: {answer}"));
    }
}

/// The calls that a dial led to: on its handset, to its number, while it was open.
fn calls_of<'c>(bench: &Bench, calls: &'c [Call], dial: &Value) -> Vec<&'c Call> {
    let from = bench.since_beginning(&dial["offered_at"]).unwrap_or_default();
    let to = bench.since_beginning(&dial["closed_at"]).unwrap_or(Duration::MAX);
    calls
        .iter()
        .filter(|call| call.desk == dial["handset"] && from <= call.from && call.from < to && holds(dial, &call.number))
        .collect()
}

/// Whether the app had reason to take a missed call for the end of its own.
fn lied(bench: &Bench, dial: &Value) -> bool {
    let from = bench.since_beginning(&dial["offered_at"]).unwrap_or_default();
    let to = bench.since_beginning(&dial["closed_at"]).unwrap_or(Duration::MAX);
    let Some(desk) = bench.desks.iter().find(|desk| desk.name == dial["handset"]) else { return false };
    let missed = desk
        .handset
        .phone()
        .events()
        .iter()
        .any(|(at, event)| matches!(event, LineEvent::Ringing(_)) && from <= *at && *at <= to);
    bench.make.believes_the_last_row() && missed
}

fn holds(dial: &Value, number: &str) -> bool {
    list(&dial["phones"]).iter().any(|phone| phone == number)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
