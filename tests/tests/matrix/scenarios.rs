//! What happens: each scenario is written once, for every handset and both engines.
//!
//! Nobody rings or talks for longer than a minute in all: an older build that looks for the result of a longer call calls itself until its stack is
//! full, and the contract says so.

use android_protocol::phone::Behaviour;
use serde_json::json;

use crate::bench::{Bench, calls};
use crate::harness::{A, B};
use crate::line::Fault;
use crate::truth::End;

const STRANGER: &str = "13900000000";
const PICKS_UP: &[Behaviour] = &[answers(12, 20)];
const DOES_NOT: &[Behaviour] = &[rings(40)];
const SECOND_TIME: &[Behaviour] = &[rings(40), answers(8, 15)];

const fn answers(after: u64, talks: u64) -> Behaviour {
    Behaviour::Answers { after: std::time::Duration::from_secs(after), talks: std::time::Duration::from_secs(talks) }
}

const fn rings(seconds: u64) -> Behaviour {
    Behaviour::Rings { for_: std::time::Duration::from_secs(seconds) }
}

/// One handset that has found nothing to do so far, and these two people.
fn with_people(mut bench: Bench, a: &[Behaviour], b: &[Behaviour]) -> Bench {
    bench.add("desk", &[(A, a), (B, b)]);
    bench.pass(35);
    bench
}

pub fn the_first_answers(bench: Bench) {
    let mut bench = with_people(bench, PICKS_UP, PICKS_UP);
    let id = bench.raise(&[A, B], json!({}));
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn the_second_answers(bench: Bench) {
    let mut bench = with_people(bench, DOES_NOT, PICKS_UP);
    let id = bench.raise(&[A, B], json!({}));
    bench.judge(&[(&id, End::Answered(&[B]))]);
}

pub fn nobody_answers(bench: Bench) {
    let mut bench = with_people(bench, DOES_NOT, &[Behaviour::Busy]);
    let id = bench.raise(&[A, B], json!({ "attempts": 1 }));
    bench.judge(&[(&id, End::NoAnswer)]);
}

pub fn somebody_answers_in_the_second_pass(bench: Bench) {
    let mut bench = with_people(bench, SECOND_TIME, DOES_NOT);
    let id = bench.raise(&[A, B], json!({ "attempts": 2 }));
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn a_stranger_calls_while_the_first_rings(bench: Bench) {
    let mut bench = with_people(bench, &[answers(35, 20)], PICKS_UP);
    let id = bench.raise(&[A, B], json!({ "attempts": 2 }));
    bench.until_dialled(A);
    stranger_calls(&mut bench);
    // The newest build reports "nobody" for it while A's phone still rings, and does not notice that A picks up then. The hunt can
    // only go on to B, and not before A's line is certainly free.
    let by: &[&str] = if bench.make.believes_the_last_row() { &[B] } else { &[A] };
    bench.judge(&[(&id, End::Answered(by))]);
}

/// Somebody rings the first handset in two seconds, for three.
fn stranger_calls(bench: &mut Bench) {
    let at = bench.now() + std::time::Duration::from_secs(2);
    bench.desks[0].handset.phone_mut().expect_missed_call(at, STRANGER, std::time::Duration::from_secs(3));
}

pub fn cancelled_while_ringing_and_a_new_alarm_five_seconds_later(bench: Bench) {
    let mut bench = with_people(bench, DOES_NOT, PICKS_UP);
    let first = bench.raise(&[A], json!({}));
    bench.until_dialled(A);
    bench.pass(12);
    bench.cancel(&first);
    bench.pass(5);
    let second = bench.raise(&[B], json!({}));
    bench.judge(&[(&first, End::Cancelled), (&second, End::Answered(&[B]))]);
}

fn with_fault(bench: Bench, fault: Fault, attempts: u32, a: &[Behaviour], end: End) {
    let mut bench = with_people(bench, a, DOES_NOT);
    let id = bench.raise(&[A], json!({ "attempts": attempts }));
    bench.break_next_report(fault);
    bench.judge(&[(&id, end)]);
}

pub fn answered_and_the_acknowledgement_is_lost(bench: Bench) {
    with_fault(bench, Fault::LosesReply, 1, PICKS_UP, End::Answered(&[A]));
}

pub fn answered_and_the_report_is_lost(bench: Bench) {
    with_fault(bench, Fault::LosesReport, 1, PICKS_UP, End::Answered(&[A]));
}

pub fn unanswered_and_the_acknowledgement_is_lost(bench: Bench) {
    with_fault(bench, Fault::LosesReply, 1, DOES_NOT, End::NoAnswer);
}

pub fn unanswered_and_the_report_is_lost(bench: Bench) {
    with_fault(bench, Fault::LosesReport, 1, DOES_NOT, End::NoAnswer);
}

pub fn the_store_cannot_write_when_the_report_comes(bench: Bench) {
    with_fault(bench, Fault::StoreStuck, 1, PICKS_UP, End::Answered(&[A]));
}

pub fn the_server_is_killed_in_a_call_and_down_for_five_minutes(bench: Bench) {
    let mut bench = with_people(bench, PICKS_UP, DOES_NOT);
    let id = bench.raise(&[A], json!({ "attempts": 2 }));
    bench.until_dialled(A);
    bench.pass(15);
    bench.kill_for(300);
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn redeployed_while_idle_and_while_ringing(bench: Bench) {
    let mut bench = with_people(bench, PICKS_UP, DOES_NOT);
    bench.redeploy();
    let id = bench.raise(&[A], json!({ "attempts": 2 }));
    bench.until_dialled(A);
    bench.pass(5);
    bench.redeploy();
    bench.until_over(&[&id]);
    bench.redeploy();
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn two_handsets_and_two_alarms_for_one_engineer(mut bench: Bench) {
    for name in ["desk", "rack"] {
        bench.add(name, &[(A, SECOND_TIME), (B, PICKS_UP)]);
    }
    bench.pass(35);
    let first = bench.raise(&[A], json!({ "attempts": 3 }));
    let second = bench.raise(&[A, B], json!({ "attempts": 2 }));
    bench.judge(&[(&first, End::Answered(&[A])), (&second, End::Answered(&[A, B]))]);
}

pub fn an_early_nobody_on_one_handset_and_another_one_free(mut bench: Bench) {
    for name in ["desk", "rack"] {
        bench.add(name, &[(A, &[rings(60), answers(8, 15)])]);
    }
    bench.pass(35);
    let first = bench.raise(&[A], json!({ "attempts": 3 }));
    let second = bench.raise(&[A], json!({ "attempts": 3 }));
    bench.until_dialled(A);
    // The newest build reports "nobody" for it, while A's phone goes on ringing.
    stranger_calls(&mut bench);
    bench.judge(&[(&first, End::Answered(&[A])), (&second, End::Answered(&[A]))]);
}

pub fn a_barista_call_for_three_people_with_one_number(mut bench: Bench) {
    bench.add("desk", &[(A, &[rings(40), Behaviour::Busy, answers(8, 15)])]);
    bench.pass(35);
    let event = bench.barista_call(&[
        ("testflg", "0"),
        ("hostname", "db1"),
        ("operator", "zabbix"),
        ("calltype", "1"),
        ("frequency", "3"),
        ("language", "ja-jp"),
        ("message", "ディスクが満杯です。"),
        ("headid", "2"),
        ("footid", "1"),
        ("addressee", "1:tarou:18712345678:木村太郎:120"),
        ("addressee", "2:baijyaku:18712345678:中村梅雀:120"),
        ("addressee", "3:kouji:18712345678:加藤浩二:120"),
    ]);
    let id = bench.latest_alarm();
    bench.until_over(&[&id]);
    let history = bench.barista_history(&event);
    let said = |key: &str| history["result"].as_array().unwrap().iter().map(|one| one[key].clone()).collect::<Vec<_>>();
    assert_eq!((&history["eventstatus"], said("status")), (&json!("2"), vec![json!("3"), json!("3"), json!("1")]));
    assert_eq!(said("numofcall"), [json!("1"), json!("1"), json!("1")]);
    // Each was rung when the history says so, as soon as the phone had asked.
    let rung: Vec<_> = calls(&bench).iter().map(|call| call.from.as_secs()).collect();
    let told: Vec<_> = said("latestcall").iter().map(|at| bench.seconds_since_beginning(at.as_str().unwrap())).collect();
    assert!(rung.len() == 3 && rung.iter().zip(&told).all(|(rung, told)| rung.abs_diff(*told) <= 2), "{rung:?} {told:?}");
    assert_eq!(bench.alarm(&id)["answer"]["name"], "加藤浩二");
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

/// The phone hears of its call from the second answer, and rings later than the server has reason to believe.
pub fn the_first_answer_comes_late_and_the_alarm_is_cancelled(bench: Bench) {
    let mut bench = with_people(bench, &[rings(60)], PICKS_UP);
    bench.line.delay_offers(1);
    let first = bench.raise(&[A], json!({}));
    bench.until_dialled(A);
    bench.pass(4);
    bench.cancel(&first);
    let second = bench.raise(&[B], json!({}));
    bench.judge(&[(&first, End::Cancelled), (&second, End::Answered(&[B]))]);
}

pub fn two_first_answers_come_late(bench: Bench) {
    let mut bench = with_people(bench, PICKS_UP, DOES_NOT);
    bench.line.delay_offers(2);
    let id = bench.raise(&[A], json!({ "attempts": 1 }));
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn started_again_five_seconds_into_the_ring(bench: Bench) {
    started_again(bench, 5);
}

pub fn started_again_fifteen_seconds_into_the_ring(bench: Bench) {
    started_again(bench, 15);
}

fn started_again(bench: Bench, seconds: u64) {
    let mut bench = with_people(bench, &[rings(60), answers(8, 15)], DOES_NOT);
    // So that an interval is known, whichever it is.
    bench.pass(140);
    let id = bench.raise(&[A], json!({ "attempts": 2 }));
    bench.until_dialled(A);
    bench.pass(seconds);
    bench.desks[0].handset.restart();
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn a_blank_behind_the_address(mut bench: Bench) {
    bench.add_behind("desk", " ", &[(A, SECOND_TIME), (B, DOES_NOT)]);
    bench.pass(35);
    let id = bench.raise(&[A, B], json!({ "attempts": 2 }));
    bench.judge(&[(&id, End::Answered(&[A]))]);
}

pub fn the_database_is_away_while_idle_and_in_a_call(bench: Bench) {
    let mut bench = with_people(bench, PICKS_UP, DOES_NOT);
    bench.lose_database_for(40);
    let id = bench.raise(&[A], json!({ "attempts": 2 }));
    bench.until_dialled(A);
    bench.pass(5);
    bench.lose_database_for(90);
    bench.judge(&[(&id, End::Answered(&[A]))]);
}
