//! The native handset against a scripted server: outcomes, ring time, hang-up on request, restarts at every point, commands.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use android_protocol::{
    http::{HttpReply, Method, Request},
    native::{JournalEntry, NativeSettings, Phase},
    phone::{Behaviour, People, Phone},
    sim::{Happening, NativeWorld},
    wire::{
        ACCEPTED_BODY, CallOutcome, CommandKind, EndedBy, IDLE_BODY, NativeCall, NativeOffer, NativeReport, OfferedCall, Outbox,
        OutboxCommand, OutboxResult, UNWANTED_BODY,
    },
};
use proptest::prelude::*;

const A: &str = "18700000001";
const B: &str = "+8618700000002";
const C: &str = "18700000003";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the scripted server knows.
#[derive(Default)]
struct Desk {
    offers: VecDeque<NativeOffer>,
    commands: Vec<OutboxCommand>,
    reports: Vec<(Duration, String, NativeReport)>,
    results: Vec<(String, OutboxResult)>,
    progress: Vec<(u64, String)>,
    unwanted: bool,
    /// Requests that get no reply.
    deaf: bool,
    polls: usize,
}

type Server = Box<dyn FnMut(&Request, Duration) -> Option<HttpReply>>;

fn serve(desk: &Rc<RefCell<Desk>>) -> Server {
    let desk = Rc::clone(desk);
    Box::new(move |request, now| {
        let mut desk = desk.borrow_mut();
        assert_eq!(request.header("Autocall-Protocol"), Some("1"));
        if desk.deaf {
            return None;
        }
        let path = request.url.strip_prefix("http://h/h/T").unwrap_or_default().to_owned();
        let body = request.body.as_bytes();
        if let Some(query) = path.strip_prefix("/progress?") {
            assert!(query.starts_with("mid="));
            let progress = android_protocol::wire::Progress::parse(body)?;
            desk.progress.push((now.as_secs(), progress.state?.as_str().to_owned()));
            return Some(HttpReply::ok(if desk.unwanted { UNWANTED_BODY } else { ACCEPTED_BODY }));
        }
        if let Some(query) = path.strip_prefix("/alert/phone?mid=") {
            desk.reports.push((now, query.to_owned(), NativeReport::parse(body)?));
            let mid = query.split('&').next().unwrap_or_default().to_owned();
            desk.offers.retain(|offer| offer.mid != mid);
            return Some(HttpReply::ok(ACCEPTED_BODY));
        }
        if let Some(id) = path.strip_prefix("/outbox/") {
            desk.results.push((id.to_owned(), OutboxResult::parse(body)?));
            desk.commands.retain(|command| command.id != id);
            return Some(HttpReply::ok(ACCEPTED_BODY));
        }
        if path.starts_with("/outbox") {
            return Some(HttpReply::ok(Outbox::new(desk.commands.clone()).to_body()));
        }
        if path == "/status" {
            return Some(HttpReply::ok(ACCEPTED_BODY));
        }
        assert_eq!((request.method, path.as_str()), (Method::Get, "/alert/phone?wait=20"));
        desk.polls += 1;
        Some(match desk.offers.front() {
            Some(offer) => HttpReply::ok(offer.to_body()),
            None => HttpReply::ok(IDLE_BODY).after(s(20)),
        })
    })
}

fn offer(mid: &str, phones: &[&str], ring_seconds: u64) -> NativeOffer {
    NativeOffer {
        phone: phones.iter().map(|&phone| phone.to_owned()).collect(),
        mid: mid.to_owned(),
        deadline: Some(300),
        calls: phones
            .iter()
            .map(|&phone| OfferedCall { number: phone.to_owned(), ring_seconds: Some(ring_seconds), ..OfferedCall::default() })
            .collect(),
        ..NativeOffer::default()
    }
}

fn begin(scripts: &[(&str, Behaviour)], offers: Vec<NativeOffer>) -> (NativeWorld<Server>, Rc<RefCell<Desk>>) {
    let people = scripts.iter().fold(People::default(), |people, (number, behaviour)| people.with(number, [*behaviour]));
    let desk = Rc::new(RefCell::new(Desk { offers: offers.into(), ..Desk::default() }));
    let settings = NativeSettings::new("http://h/h/T/alert/phone");
    (NativeWorld::new(settings, Phone::new(people), serve(&desk)), desk)
}

fn outcomes(report: &NativeReport) -> Vec<Option<CallOutcome>> {
    report.calls.iter().map(|call| call.outcome).collect()
}

fn dials(world: &NativeWorld<Server>) -> Vec<(u64, String)> {
    world
        .trace()
        .iter()
        .filter_map(|(at, h)| if let Happening::Dialled { number, .. } = h { Some((at.as_secs(), number.clone())) } else { None })
        .collect()
}

#[test]
fn every_outcome_by_name() {
    for (behaviour, outcome) in [
        (Behaviour::answers(5, 20), CallOutcome::Answered),
        (Behaviour::rings(30), CallOutcome::NoAnswer),
        (Behaviour::rings(300), CallOutcome::NoAnswer),
        (Behaviour::Busy, CallOutcome::Busy),
        (Behaviour::Rejects { after: s(4) }, CallOutcome::Rejected),
        (Behaviour::Fails, CallOutcome::Failed),
    ] {
        let (mut world, desk) = begin(&[(A, behaviour)], vec![offer("m1", &[A], 40)]);
        world.run_for(100);
        let desk = desk.borrow();
        assert_eq!(desk.reports.len(), 1, "{outcome:?}");
        let (_, query, report) = &desk.reports[0];
        assert_eq!(outcomes(report), [Some(outcome)]);
        assert_eq!(query.contains("&resp="), outcome == CallOutcome::Answered);
        assert_eq!(world.handset.phase(), Phase::Idle);
        assert_eq!(world.handset.reported(), 1);
    }
}

#[test]
fn the_ring_time_is_kept_and_talking_is_not_cut() {
    let (mut world, desk) =
        begin(&[(A, Behaviour::rings(300)), (B, Behaviour::answers(39, 200))], vec![offer("m1", &[A, B, C], 40)]);
    world.run_for(400);
    assert_eq!(dials(&world), [(0, A.to_owned()), (40, B.to_owned())]);
    let desk = desk.borrow();
    let (at, query, report) = &desk.reports[0];
    assert_eq!((at.as_secs(), query.as_str()), (279, "m1&resp=%2B8618700000002"), "a plus is encoded");
    assert_eq!(outcomes(report), [Some(CallOutcome::NoAnswer), Some(CallOutcome::Answered), Some(CallOutcome::NotDialled)]);
    let (rang, not_dialled) = (&report.calls[0], &report.calls[2]);
    assert_eq!((rang.ended_by, rang.connected_ms), (Some(EndedBy::Us), None), "hung up when it had rung for long enough");
    assert!(rang.ended_ms.is_some_and(|ms| (40_000..42_000).contains(&ms)), "{rang:?}");
    assert_eq!((not_dialled.ended_by, not_dialled.ended_ms), (None, None));
    assert_eq!(
        report.calls[1],
        NativeCall {
            number: B.into(),
            outcome: Some(CallOutcome::Answered),
            ring_seconds: Some(39),
            talk_seconds: Some(200),
            ended_by: Some(EndedBy::Callee),
            alerting_ms: Some(1_000),
            connected_ms: Some(39_000),
            ended_ms: Some(239_000),
            ..NativeCall::default()
        }
    );
}

#[test]
fn progress_is_told_as_it_happens() {
    let (mut world, desk) = begin(&[(A, Behaviour::answers(12, 20))], vec![offer("m1", &[A], 40)]);
    world.run_for(60);
    let told: Vec<_> = desk.borrow().progress.clone();
    assert_eq!(told, [(0, "dialling".into()), (1, "alerting".into()), (12, "connected".into()), (32, "ended".into())]);
}

#[test]
fn code_2_hangs_up_and_leaves_the_rest() {
    let (mut world, desk) = begin(&[(A, Behaviour::rings(100))], vec![offer("m1", &[A, B], 60)]);
    desk.borrow_mut().unwanted = true;
    world.run_for(30);
    assert!(world.trace().iter().any(|(at, h)| *h == Happening::HungUp && *at <= s(2)));
    let desk = desk.borrow();
    assert_eq!(outcomes(&desk.reports[0].2), [Some(CallOutcome::NoAnswer), Some(CallOutcome::NotDialled)]);
    assert_eq!(dials(&world).len(), 1);
}

#[test]
fn a_blocked_dial_is_failed_and_not_waited_for() {
    let (mut world, desk) = begin(&[], vec![offer("m1", &[A], 60)]);
    world.phone.setup.overlay_granted = false;
    world.run_for(30);
    assert_eq!(outcomes(&desk.borrow().reports[0].2), [Some(CallOutcome::Failed)]);
}

#[test]
fn nothing_is_dialled_after_the_deadline() {
    let mut late = offer("m1", &[A, B], 60);
    late.deadline = Some(30);
    let (mut world, desk) = begin(&[(A, Behaviour::rings(45))], vec![late]);
    world.run_for(100);
    assert_eq!(dials(&world).len(), 1);
    assert_eq!(outcomes(&desk.borrow().reports[0].2), [Some(CallOutcome::NoAnswer), Some(CallOutcome::NotDialled)]);
}

#[test]
fn a_report_is_repeated_until_it_is_accepted() {
    let (mut world, desk) = begin(&[(A, Behaviour::answers(1, 5))], vec![offer("m1", &[A], 60)]);
    world.run_for(3);
    desk.borrow_mut().deaf = true;
    world.run_for(120);
    assert_eq!(desk.borrow().reports.len(), 0);
    desk.borrow_mut().deaf = false;
    world.run_for(10);
    assert_eq!(desk.borrow().reports.len(), 1);
    assert_eq!(dials(&world).len(), 1);
}

#[test]
fn the_intent_is_written_down_before_the_dial() {
    let (mut world, _desk) = begin(&[(A, Behaviour::rings(5))], vec![offer("m1", &[A], 60)]);
    world.run_for(30);
    let kinds: Vec<_> = world
        .journal
        .iter()
        .map(|entry| match entry {
            JournalEntry::Leased { .. } => "leased",
            JournalEntry::Dialling { .. } => "dialling",
            JournalEntry::Inbound { .. } => "inbound",
            JournalEntry::Connected { .. } | JournalEntry::Key { .. } => "heard",
            JournalEntry::Ended { .. } => "ended",
            JournalEntry::Reported { .. } => "reported",
            JournalEntry::Begun { .. } => "begun",
            JournalEntry::Sent { .. } => "sent",
            JournalEntry::Done { .. } => "done",
            JournalEntry::Fate { .. } => "fate",
            JournalEntry::Told { .. } => "told",
        })
        .collect();
    assert_eq!(kinds, ["leased", "dialling", "ended", "reported"]);
}

#[test]
fn commands_are_carried_out_and_their_results_posted() {
    let (mut world, desk) = begin(&[(A, Behaviour::answers(3, 4))], Vec::new());
    desk.borrow_mut().commands = vec![
        OutboxCommand { id: "1".into(), kind: CommandKind::Forward { code: "**21*18712345678#".into() } },
        OutboxCommand { id: "2".into(), kind: CommandKind::TestCall { number: A.into(), ring_seconds: Some(20) } },
        OutboxCommand { id: "3".into(), kind: CommandKind::Sms { number: A.into(), text: "hello".into() } },
    ];
    world.run_for(120);
    let desk = desk.borrow();
    let results: Vec<_> = desk
        .results
        .iter()
        .map(|(id, result)| (id.as_str(), result.ok, result.call.as_ref().and_then(|call| call.outcome)))
        .collect();
    assert_eq!(results, [("1", true, None), ("2", true, Some(CallOutcome::Answered)), ("3", true, None)]);
    assert_eq!(desk.reports.len(), 0);
    assert_eq!(desk.progress.len(), 0);
    assert_eq!(dials(&world).len(), 2);
    assert!(
        world
            .phone
            .events()
            .iter()
            .any(|(_, event)| *event == android_protocol::phone::LineEvent::CodeSent("**21*18712345678#".into()))
    );
}

proptest! {
    /// Whenever the process is restarted, no number of an offer is dialled twice, one report comes, and an answer is never lost.
    #[test]
    fn a_restart_at_any_second_never_redials(restarts in proptest::collection::vec(0_u64..70_000, 0..4), first in 0_u64..50, answers in any::<bool>(), talks in 1_u64..20) {
        let behaviour = if answers { Behaviour::answers(first, talks) } else { Behaviour::rings(first + 1) };
        let (mut world, desk) = begin(&[(A, behaviour), (B, Behaviour::rings(9))], vec![offer("m1", &[A, B], 60)]);
        let mut restarts = restarts;
        restarts.sort_unstable();
        for at in restarts {
            world.run_until(Duration::from_millis(at).max(world.now()));
            world.restart();
        }
        world.run_for(200);
        let desk = desk.borrow();
        prop_assert!(world.phone.dials_to(A) <= 1 && world.phone.dials_to(B) <= 1);
        prop_assert_eq!(world.handset.phase(), Phase::Idle);
        prop_assert!(!desk.reports.is_empty());
        for (_, query, report) in &desk.reports {
            prop_assert_eq!(query.contains("&resp="), answers);
            prop_assert_eq!(report.calls.len(), 2);
        }
    }
}
