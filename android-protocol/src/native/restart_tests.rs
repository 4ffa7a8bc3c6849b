#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use proptest::prelude::*;

use super::{super::delivery::Told, *};
use crate::wire::Delivery;

const A: &str = "13900000001";
const B: &str = "13900000002";

fn leased(mid: &str) -> JournalEntry {
    let offer = NativeOffer { phone: vec![A.into(), B.into()], mid: mid.into(), ..NativeOffer::default() };
    JournalEntry::Leased { offer, at_ms: 0 }
}

fn dialling(mid: &str, number: &str) -> JournalEntry {
    JournalEntry::Dialling { mid: mid.into(), number: number.into(), at_ms: 0, call: Some("c".into()) }
}

fn connected(mid: &str) -> JournalEntry {
    JournalEntry::Connected { mid: mid.into(), number: A.into() }
}

fn key(mid: &str, key: char, action: Option<&str>) -> JournalEntry {
    JournalEntry::Key { mid: mid.into(), number: A.into(), key, action: action.map(str::to_owned) }
}

fn ended(mid: &str, number: &str, outcome: CallOutcome) -> JournalEntry {
    let call = NativeCall { number: number.into(), outcome: Some(outcome), ..NativeCall::default() };
    JournalEntry::Ended { mid: mid.into(), call }
}

fn outcomes(entries: &[JournalEntry]) -> Vec<(CallOutcome, Option<bool>, bool)> {
    let past = Past::read(entries);
    let report = past.hand_out("m").unwrap().report();
    report.calls.iter().map(|call| (call.outcome.unwrap(), call.confirmed, call.declined)).collect()
}

#[test]
fn a_crash_in_every_state() {
    use CallOutcome::{Answered, NoAnswer, NotDialled};
    let untouched = (NotDialled, None, false);
    let mut entries = vec![leased("m")];
    assert_eq!(outcomes(&entries), [untouched, untouched]);
    entries.push(dialling("m", A));
    assert_eq!(outcomes(&entries), [(NoAnswer, None, false), untouched]);
    entries.push(connected("m"));
    assert_eq!(outcomes(&entries), [(Answered, Some(false), false), untouched]);
    entries.push(key("m", '9', None));
    assert_eq!(outcomes(&entries), [(Answered, Some(false), false), untouched]);
    entries.push(key("m", '1', Some("accept")));
    assert_eq!(outcomes(&entries), [(Answered, Some(true), false), untouched]);
    entries.push(key("m", '2', Some("decline")));
    assert_eq!(outcomes(&entries), [(Answered, Some(true), false), untouched], "the first word stands");
    entries.push(ended("m", A, Answered));
    assert_eq!(outcomes(&entries), [(Answered, None, false), untouched]);
    entries.push(JournalEntry::Reported { mid: "m".into() });
    assert_eq!(Past::read(&entries).open().count(), 0);
    assert_eq!(outcomes(&[leased("m"), dialling("m", A), key("m", '2', Some("decline"))])[0], (Answered, Some(true), true));
}

#[test]
fn a_number_that_was_never_dialled_takes_nobodys_place() {
    let entries = [leased("m"), dialling("m", A), ended("m", A, CallOutcome::Busy), ended("m", B, CallOutcome::Failed)];
    let told: Vec<CallOutcome> = outcomes(&entries).into_iter().map(|(outcome, ..)| outcome).collect();
    assert_eq!(told, [CallOutcome::Busy, CallOutcome::Failed]);
}

#[test]
fn hand_outs_of_several_channels_stand_apart() {
    let past = Past::read(&[leased("m"), leased("n"), dialling("m", A), dialling("n", A), connected("n")]);
    let first = |mid: &str| past.hand_out(mid).unwrap().report().calls[0].outcome.unwrap();
    assert_eq!((first("m"), first("n")), (CallOutcome::NoAnswer, CallOutcome::Answered));
}

#[test]
fn old_hand_outs_are_forgotten_and_open_ones_never() {
    let mut entries = vec![leased("open"), dialling("open", A)];
    for n in 0..REMEMBERED + 50 {
        entries.extend([leased(&n.to_string()), JournalEntry::Reported { mid: n.to_string() }]);
    }
    for entries in [entries.clone(), crate::native::journal::compacted(entries)] {
        let past = Past::read(&entries);
        assert_eq!(past.open().count(), 1);
        assert!(past.hand_out("49").is_none() && past.hand_out("50").is_some());
    }
}

proptest! {
    /// Whatever stands in a journal, and wherever it ends: a number that was dialled is never left for another dial, and an answer stays one.
    #[test]
    fn nothing_that_was_dialled_is_left_undialled(steps in proptest::collection::vec(0_u8..6, 0..12)) {
        let mut entries = vec![leased("m")];
        entries.extend(steps.iter().map(|step| match step {
            0 => dialling("m", A),
            1 => connected("m"),
            2 => key("m", '1', Some("accept")),
            3 => key("m", '9', None),
            4 => leased("m"),
            _ => ended("m", A, CallOutcome::Busy),
        }));
        let dialled = entries.iter().any(|entry| matches!(entry, JournalEntry::Dialling { .. } | JournalEntry::Ended { .. }));
        let report = Past::read(&entries).hand_out("m").unwrap().report();
        if dialled {
            prop_assert!(report.calls[0].outcome != Some(CallOutcome::NotDialled));
        }
        prop_assert!(report.calls.len() >= 2);
        if let [.., JournalEntry::Dialling { .. }, JournalEntry::Connected { .. }] = entries.as_slice() {
            prop_assert!(report.answered().is_some());
        }
    }
}

#[test]
fn a_call_that_came_in_is_reported_and_its_caller_is_not_rung() {
    let inbound = JournalEntry::Inbound { mid: "i1".into(), number: "186".into(), at_ms: 7, call: Some("c".into()) };
    let past = Past::read(std::slice::from_ref(&inbound));
    let open: Vec<_> = past.open().map(|open| (open.offer.mid.as_str(), open.report())).collect();
    assert_eq!((open[0].0, open[0].1.calls[0].outcome), ("i1", Some(CallOutcome::NoAnswer)));
    assert_eq!(past.unfinished().unwrap().running.as_ref().unwrap().mark.as_deref(), Some("c"));
    // Told again, it is no other one.
    let again = Past::read(&[inbound.clone(), JournalEntry::Connected { mid: "i1".into(), number: "186".into() }, inbound]);
    assert_eq!(again.open().next().unwrap().report().calls[0].outcome, Some(CallOutcome::Answered));
    assert_eq!(again.open().count(), 1);
}

fn sent(id: &str, references: &[u8]) -> JournalEntry {
    JournalEntry::Sent { id: id.into(), to: A.into(), references: references.to_vec() }
}

fn told(reference: u8, delivery: Delivery) -> Told {
    Told { reference, to: format!("+86{A}"), delivery, at: format!("2026-11-28T12:00:0{reference}+08:00"), place: None }
}

/// A journal with these words of the network written down, as far as a text waits for them.
fn with_told(mut entries: Vec<JournalEntry>, words: &[Told]) -> Vec<JournalEntry> {
    for word in words {
        entries.extend(Past::read(&entries).fate(word));
    }
    entries
}

fn done(id: &str) -> [JournalEntry; 1] {
    [JournalEntry::Done { id: id.into(), result: OutboxResult { ok: true, ..OutboxResult::default() } }]
}

#[test]
fn a_text_is_delivered_when_all_its_parts_are_and_fails_with_one_of_them() {
    use Delivery::{Delivered, Failed};
    let begun = vec![JournalEntry::Begun { id: "t".into() }, sent("t", &[1, 2])];
    let known = Past::read(&begun).result_of("t").unwrap();
    assert!(known.ok, "killed before the server was told: it was sent all the same");
    let whole = with_told(begun.clone(), &[told(2, Delivered), told(1, Delivered)]);
    assert_eq!(Past::read(&whole).untold(), None, "the first result goes first");
    let whole = [whole, done("t").to_vec()].concat();
    let (id, result) = Past::read(&whole).untold().unwrap();
    assert_eq!((id.as_str(), result.ok, result.delivery), ("t", true, Some(Delivered)));
    assert_eq!(result.delivery_at.as_deref(), Some("2026-11-28T12:00:02+08:00"));
    let part = [begun.clone(), done("t").to_vec()].concat();
    assert_eq!(Past::read(&with_told(part.clone(), &[told(1, Delivered)])).untold(), None);
    // Said twice, and otherwise the second time.
    let failed = with_told(part, &[told(2, Failed), told(2, Delivered), told(1, Delivered)]);
    assert_eq!(Past::read(&failed).untold().unwrap().1.delivery, Some(Failed));
    let over = [failed, vec![JournalEntry::Told { id: "t".into() }]].concat();
    assert_eq!(Past::read(&over).untold(), None);
    assert_eq!(Past::read(&over).fate(&told(1, Failed)), None);
}

#[test]
fn a_number_that_was_given_anew_is_of_the_later_text() {
    let entries = [vec![sent("old", &[1, 2])], done("old").to_vec(), vec![sent("new", &[1])], done("new").to_vec()].concat();
    let entries = with_told(entries, &[told(1, Delivery::Delivered)]);
    assert_eq!(Past::read(&entries).untold().unwrap().0, "new");
    let other = Told { to: B.into(), ..told(2, Delivery::Delivered) };
    assert_eq!(Past::read(&entries).fate(&other), None, "a report on a message to somebody else");
    // What is kept of the journal tells the same.
    let kept = super::super::journal::compacted(entries.clone());
    assert_eq!(Past::read(&kept).untold(), Past::read(&entries).untold());
}
