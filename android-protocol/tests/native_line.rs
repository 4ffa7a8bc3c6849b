//! What a real line brings: no way to hang up, a journal that cannot be written, texts and codes that are really sent.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use android_protocol::{
    http::{HttpReply, Request},
    native::{
        CannotDial, JournalEntry, NativeAction, NativeHandset, NativeSettings, Seen,
        journal::{compacted, open_mark},
        restart::{Past, REMEMBERED},
    },
    phone::CallState,
    wire::{
        ACCEPTED_BODY, CallOutcome, CommandKind, IDLE_BODY, NativeCall, NativeOffer, NativeReport, Outbox, OutboxCommand,
        OutboxResult,
    },
};
use proptest::prelude::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn offer(mid: &str, phones: &[&str]) -> NativeOffer {
    let phone = phones.iter().map(|&phone| phone.to_owned()).collect();
    NativeOffer { phone, mid: mid.into(), deadline: Some(300), ..NativeOffer::default() }
}

/// The next request, with everything before it done; journal entries are collected.
fn next_request(handset: &mut NativeHandset, now: Duration, journal: &mut Vec<JournalEntry>) -> Request {
    loop {
        match handset.poll(now, Seen::NoCall(None)) {
            NativeAction::Http(request) => return request,
            NativeAction::Journal(entry) => {
                journal.push(entry);
                handset.journaled();
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A handset that has just been offered this.
fn offered(settings: NativeSettings, offer: &NativeOffer) -> NativeHandset {
    let mut handset = NativeHandset::new(settings);
    let mut journal = Vec::new();
    while !next_request(&mut handset, s(0), &mut journal).url.contains("/alert/phone") {
        handset.http_reply(s(0), &HttpReply::ok(ACCEPTED_BODY));
    }
    handset.http_reply(s(0), &HttpReply::ok(offer.to_body()));
    handset
}

/// Lets it go on until it reports; what it did besides.
fn until_report(handset: &mut NativeHandset, now: Duration, seen: &Seen) -> (NativeReport, Vec<NativeAction>) {
    let mut done = Vec::new();
    for _ in 0..100 {
        match handset.poll(now, seen.clone()) {
            NativeAction::Http(request) if request.url.contains("/alert/phone?mid=") => {
                return (NativeReport::parse(request.body.as_bytes()).unwrap(), done);
            }
            NativeAction::Http(_) => handset.http_reply(now, &HttpReply::ok(ACCEPTED_BODY)),
            NativeAction::Journal(_) => handset.journaled(),
            other => done.push(other),
        }
    }
    panic!("no report: {done:?}");
}

#[test]
fn a_line_that_cannot_hang_up_is_not_asked_to() {
    for hangs_up in [true, false] {
        let settings = NativeSettings { hangs_up, ..NativeSettings::new("http://h/h/T") };
        let mut handset = offered(settings, &offer("m1", &["18700000001"]));
        let mut hung_up = 0;
        for second in 0..200 {
            // The network does not end it either.
            match handset.poll(s(second), Seen::Call(CallState::Alerting)) {
                NativeAction::Http(_) => handset.http_reply(s(second), &HttpReply::ok(ACCEPTED_BODY)),
                NativeAction::Journal(_) => handset.journaled(),
                NativeAction::HangUp => hung_up += 1,
                NativeAction::SleepUntil(at) => assert!(at > s(second), "it would spin at {second}"),
                _ => {}
            }
        }
        assert_eq!(hung_up, usize::from(hangs_up));
    }
}

#[test]
fn what_cannot_be_written_down_is_not_dialled_and_is_given_back() {
    let mut handset = offered(NativeSettings::new("http://h/h/T"), &offer("m1", &["18700000001", "18700000002"]));
    assert!(matches!(handset.poll(s(1), Seen::NoCall(None)), NativeAction::Journal(JournalEntry::Leased { .. })));
    handset.journal_failed(s(1), "no space left");
    let (report, done) = until_report(&mut handset, s(1), &Seen::NoCall(None));
    assert_eq!(done, []);
    assert!(report.calls.len() == 2 && report.calls.iter().all(|call| call.outcome == Some(CallOutcome::Failed)), "{report:?}");

    let mut handset = offered(NativeSettings::new("http://h/h/T"), &offer("m1", &["18700000001"]));
    loop {
        match handset.poll(s(1), Seen::NoCall(None)) {
            NativeAction::Journal(JournalEntry::Dialling { .. }) => break handset.journal_failed(s(1), "no space left"),
            NativeAction::Journal(_) => handset.journaled(),
            other => panic!("{other:?}"),
        }
    }
    let (report, done) = until_report(&mut handset, s(1), &Seen::NoCall(None));
    assert_eq!((done, report.calls[0].outcome), (Vec::new(), Some(CallOutcome::Failed)));
}

#[test]
fn a_line_in_use_gives_the_number_back_and_rests() {
    let mut handset = offered(NativeSettings::new("http://h/h/T"), &offer("m1", &["18700000001"]));
    loop {
        match handset.poll(s(1), Seen::NoCall(None)) {
            NativeAction::Dial(_) => break handset.cannot_dial(s(1), &CannotDial::LineBusy),
            NativeAction::Journal(_) => handset.journaled(),
            other => panic!("{other:?}"),
        }
    }
    let (report, _) = until_report(&mut handset, s(2), &Seen::NoCall(None));
    assert_eq!(report.calls[0].outcome, Some(CallOutcome::NotDialled));
    handset.http_reply(s(2), &HttpReply::ok(ACCEPTED_BODY));
    assert!(matches!(handset.poll(s(2), Seen::NoCall(None)), NativeAction::Journal(JournalEntry::Reported { .. })));
    handset.journaled();
    assert_eq!(handset.poll(s(3), Seen::NoCall(None)), NativeAction::SleepUntil(s(17)));
}

#[test]
fn an_answer_is_reported_even_if_it_cannot_be_written_down() {
    let mut handset = offered(NativeSettings::new("http://h/h/T"), &offer("m1", &["18700000001"]));
    let over = Seen::Call(CallState::Ended { cause: android_protocol::phone::EndCause::Normal, talked: Some(s(7)) });
    for _ in 0..100 {
        match handset.poll(s(30), over.clone()) {
            NativeAction::Journal(JournalEntry::Ended { .. }) => handset.journal_failed(s(30), "no space left"),
            NativeAction::Journal(_) => handset.journaled(),
            NativeAction::Http(request) if request.url.contains("mid=m1&resp=18700000001") => return,
            NativeAction::Http(_) => handset.http_reply(s(30), &HttpReply::ok(ACCEPTED_BODY)),
            _ => {}
        }
    }
    panic!("no report");
}

#[test]
fn texts_and_codes_are_handed_to_the_line_and_a_text_only_once() {
    let text = CommandKind::Sms { number: "18700000001".into(), text: "hello".into() };
    let code = CommandKind::Forward { code: "##21#".into() };
    let outbox = Outbox::new(vec![
        OutboxCommand { id: "1".into(), kind: text.clone() },
        OutboxCommand { id: "2".into(), kind: code.clone() },
    ]);
    let mut handset = NativeHandset::new(NativeSettings::new("http://h/h/T"));
    let (mut carried_out, mut results, mut journal) = (Vec::new(), Vec::new(), Vec::new());
    for second in 0..400 {
        match handset.poll(s(second), Seen::NoCall(None)) {
            NativeAction::Http(request) => {
                if let Some((_, id)) = request.url.split_once("/outbox/") {
                    results.push((id.to_owned(), OutboxResult::parse(request.body.as_bytes()).unwrap().ok));
                }
                let body = match request.url.as_str() {
                    // It hands both out again as if no result had come.
                    url if url.contains("/outbox?") => outbox.to_body(),
                    url if url.contains("/alert/phone") => IDLE_BODY.to_owned(),
                    _ => ACCEPTED_BODY.to_owned(),
                };
                handset.http_reply(s(second), &HttpReply::ok(body));
            }
            NativeAction::Journal(entry) => {
                journal.push(entry);
                handset.journaled();
            }
            NativeAction::CarryOut(command) => {
                carried_out.push(command.kind);
                handset.carried_out(command.id, OutboxResult { ok: true, ..OutboxResult::default() });
            }
            _ => {}
        }
    }
    assert_eq!(carried_out.iter().filter(|kind| **kind == text).count(), 1);
    assert_eq!(carried_out[..2], [text, code]);
    assert!(results.len() > 4 && results.iter().all(|(_, ok)| *ok), "{results:?}");
    // Killed after it was begun: nobody knows, so it is not sent again, and that is said.
    let begun = journal.iter().position(|entry| *entry == JournalEntry::Begun { id: "1".into() }).unwrap();
    let mut after = NativeHandset::restore(NativeSettings::new("http://h/h/T"), &journal[..=begun]);
    let request = next_request(&mut after, s(500), &mut Vec::new());
    assert!(request.url.ends_with("/outbox/1"), "{}", request.url);
    assert!(!OutboxResult::parse(request.body.as_bytes()).unwrap().ok);
}

#[test]
fn a_clock_that_went_back_over_a_restart_dials_nothing_more() {
    let ended = NativeCall { number: "18700000001".into(), outcome: Some(CallOutcome::NoAnswer), ..NativeCall::default() };
    let journal = [
        JournalEntry::Leased { offer: offer("m1", &["18700000001", "18700000002"]), at_ms: 5_000_000 },
        JournalEntry::Dialling { mid: "m1".into(), number: "18700000001".into(), at_ms: 5_000_000, call: None },
        JournalEntry::Ended { mid: "m1".into(), call: ended },
    ];
    for (now, dials) in [(s(5_010), true), (s(4_000), false), (s(5_301), false)] {
        let mut handset = NativeHandset::restore(NativeSettings::new("http://h/h/T"), &journal);
        let action = handset.poll(now, Seen::NoCall(None));
        assert_eq!(matches!(action, NativeAction::Journal(JournalEntry::Dialling { .. })), dials, "{now:?} {action:?}");
    }
}

#[test]
fn the_mark_of_the_call_that_is_open_is_found_again() {
    let leased = JournalEntry::Leased { offer: offer("m1", &["18700000001"]), at_ms: 0 };
    let dialling =
        JournalEntry::Dialling { mid: "m1".into(), number: "18700000001".into(), at_ms: 0, call: Some("seven rows".into()) };
    let reported = JournalEntry::Reported { mid: "m1".into() };
    assert_eq!(open_mark(&[leased.clone(), dialling.clone()]).as_deref(), Some("seven rows"));
    assert_eq!(open_mark(&[leased, dialling, reported]), None);
    assert_eq!(open_mark(&[]), None);
    // As the version before wrote it.
    let old: JournalEntry = serde_json::from_str(r#"{"entry":"dialling","mid":"m","number":"1","at_ms":1}"#).unwrap();
    assert!(matches!(old, JournalEntry::Dialling { call: None, .. }));
}

proptest! {
    /// Taking out what is long over changes nothing that the handset still knows.
    #[test]
    fn a_compacted_journal_says_the_same(dials in proptest::collection::vec((0_u32..250, 0_u8..5), 0..400)) {
        let mut journal = Vec::new();
        for (mid, kind) in &dials {
            let mid = format!("m{mid}");
            journal.push(match kind {
                0 => JournalEntry::Leased { offer: offer(&mid, &["18700000001"]), at_ms: 1 },
                1 => JournalEntry::Dialling { mid, number: "18700000001".into(), at_ms: 2, call: None },
                2 => JournalEntry::Ended { mid, call: NativeCall { number: "18700000001".into(), ..NativeCall::default() } },
                3 => JournalEntry::Reported { mid },
                _ => JournalEntry::Begun { id: mid },
            });
        }
        let short = compacted(journal.clone());
        prop_assert!(short.len() <= journal.len());
        prop_assert_eq!(compacted(short.clone()), short.clone());
        let restored = |journal: &[JournalEntry]| NativeHandset::restore(NativeSettings::new("http://h/h/T"), journal);
        prop_assert_eq!(restored(&journal).phase(), restored(&short).phase());
        prop_assert_eq!(open_mark(&journal), open_mark(&short));
        prop_assert_eq!(Past::read(&journal), Past::read(&short));
        // What is open is never forgotten, and of the rest so many.
        let reported = short.iter().filter(|entry| matches!(entry, JournalEntry::Reported { .. })).count();
        prop_assert!(reported <= REMEMBERED * 3, "{reported}");
    }
}

/// What it sends within so long, and when; each is answered at once, polls with nothing.
fn sends_until(handset: &mut NativeHandset, now: Duration, until: Duration, seen: &Seen) -> Vec<(u64, String)> {
    let (mut now, mut sent) = (now, Vec::new());
    for _ in 0..100_000 {
        match handset.poll(now, seen.clone()) {
            NativeAction::Http(request) => {
                let path = request.url.strip_prefix("http://h/h/T").unwrap().split(['?', '&']).next().unwrap().to_owned();
                let polls = request.url.contains("wait=");
                sent.push((now.as_secs(), path));
                handset.http_reply(now, &HttpReply::ok(if polls { IDLE_BODY } else { ACCEPTED_BODY }));
            }
            NativeAction::Journal(_) => handset.journaled(),
            NativeAction::SleepUntil(at) if at > now => now = at,
            other => panic!("at {now:?}: {other:?}"),
        }
        if now >= until {
            return sent;
        }
    }
    panic!("it spins: {sent:?}");
}

#[test]
fn a_line_that_cannot_dial_asks_for_nothing_and_says_how_it_is() {
    let mut handset = NativeHandset::new(NativeSettings::new("http://h/h/T"));
    let idle = Seen::NoCall(None);
    let at_work = sends_until(&mut handset, s(0), s(20), &idle);
    assert!(at_work.iter().any(|(_, path)| path == "/outbox") && at_work.iter().any(|(_, path)| path == "/alert/phone"));
    handset.set_can_dial(false);
    let away = sends_until(&mut handset, s(20), s(620), &idle);
    assert!(away.iter().all(|(_, path)| path == "/status") && (9..=11).contains(&away.len()), "{away:?}");
    handset.set_can_dial(true);
    let back = sends_until(&mut handset, s(620), s(630), &idle);
    assert!(back.iter().any(|(_, path)| path == "/alert/phone"), "{back:?}");
}

#[test]
fn what_was_begun_is_told_although_the_line_can_dial_no_more() {
    let mut handset = offered(NativeSettings::new("http://h/h/T"), &offer("m1", &["18700000001"]));
    loop {
        match handset.poll(s(1), Seen::Call(CallState::Alerting)) {
            NativeAction::Dial(_) => break,
            NativeAction::Journal(_) => handset.journaled(),
            other => panic!("{other:?}"),
        }
    }
    handset.set_can_dial(false);
    let (report, _) = until_report(
        &mut handset,
        s(9),
        &Seen::Call(CallState::Ended { cause: android_protocol::phone::EndCause::Normal, talked: Some(s(7)) }),
    );
    assert_eq!(report.calls[0].outcome, Some(CallOutcome::Answered));
    // One that got no answer is sent again in time, not when the next status is due.
    handset.http_error(s(9));
    assert_eq!(handset.poll(s(9), Seen::NoCall(None)), NativeAction::SleepUntil(s(14)));
}
