//! What is done once is not done twice, and what one request meets does not stop the others.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{cell::RefCell, rc::Rc, time::Duration};

use android_protocol::{
    http::{HttpReply, Request},
    native::{NativeSettings, Phase},
    phone::{Behaviour, People, Phone},
    sim::NativeWorld,
    wire::{ACCEPTED_BODY, CommandKind, IDLE_BODY, NativeOffer, Outbox, OutboxCommand, OutboxResult},
};

const A: &str = "18700000001";

/// What a test's server answers to some addresses; the rest is answered as a server with nothing to do would.
type Rule = Box<dyn Fn(&str, u64) -> Option<HttpReply>>;
type Server = Box<dyn FnMut(&Request, Duration) -> Option<HttpReply>>;

/// Every request as time in seconds, path and body.
type Seen = Rc<RefCell<Vec<(u64, String, String)>>>;

fn begin(behaviour: Behaviour, rule: Rule) -> (NativeWorld<Server>, Seen) {
    let seen = Seen::default();
    let noted = Rc::clone(&seen);
    let server: Server = Box::new(move |request, now| {
        let path = request.url.strip_prefix("http://h/h/T").unwrap().to_owned();
        noted.borrow_mut().push((now.as_secs(), path.clone(), request.body.clone()));
        rule(&path, now.as_secs()).or_else(|| {
            Some(if path.starts_with("/alert/phone?wait=") {
                HttpReply::ok(IDLE_BODY).after(Duration::from_secs(20))
            } else if path == "/outbox?wait=0" {
                HttpReply::ok(Outbox::new(Vec::new()).to_body())
            } else {
                HttpReply::ok(ACCEPTED_BODY)
            })
        })
    });
    let phone = Phone::new(People::default().with(A, [behaviour, behaviour, behaviour]));
    (NativeWorld::new(NativeSettings::new("http://h/h/T/alert/phone"), phone, server), seen)
}

fn offer() -> HttpReply {
    let offer = NativeOffer { phone: vec![A.into()], mid: "m1".into(), deadline: Some(3000), ..NativeOffer::default() };
    HttpReply::ok(offer.to_body())
}

fn polls(path: &str) -> bool {
    path.starts_with("/alert/phone?wait=")
}

fn times(seen: &Seen, wanted: impl Fn(&str) -> bool) -> Vec<u64> {
    seen.borrow().iter().filter(|(_, path, _)| wanted(path)).map(|(at, ..)| *at).collect()
}

#[test]
fn an_offer_that_comes_again_is_reported_again_and_not_dialled_again() {
    for restarts in [false, true] {
        let (mut world, seen) = begin(Behaviour::answers(3, 4), Box::new(|path, now| (polls(path) && now < 100).then(offer)));
        world.run_for(30);
        if restarts {
            world.restart();
        }
        world.run_for(200);
        assert_eq!(world.phone.dials_to(A), 1);
        let reports: Vec<_> = seen
            .borrow()
            .iter()
            .filter(|(_, path, _)| path.starts_with("/alert/phone?mid=m1"))
            .map(|(_, _, body)| body.clone())
            .collect();
        assert!(reports.len() >= 2, "{reports:?}");
        assert!(reports.iter().all(|body| *body == reports[0] && body.contains("answered")), "{reports:?}");
        assert_eq!(world.handset.phase(), Phase::Idle);
    }
}

#[test]
fn a_server_that_knows_neither_status_nor_outbox_is_polled_all_the_same() {
    let (mut world, seen) = begin(
        Behaviour::rings(5),
        Box::new(|path, _| (path == "/status" || path.starts_with("/outbox")).then(|| HttpReply::new(404, "{}"))),
    );
    world.run_for(100);
    assert!(times(&seen, polls).len() >= 3, "{:?}", seen.borrow());
}

#[test]
fn a_report_that_is_never_taken_does_not_keep_the_handset_from_the_next_alarm() {
    for status in [400, 410] {
        let (mut world, seen) = begin(
            Behaviour::rings(5),
            Box::new(move |path, now| match path {
                _ if polls(path) && now < 3 => Some(offer()),
                _ if path.starts_with("/alert/phone?mid=") => Some(HttpReply::new(status, r#"{"code":1}"#)),
                _ => None,
            }),
        );
        world.run_for(60);
        assert!(times(&seen, polls).iter().any(|at| *at > 10), "{status}: {:?}", seen.borrow());
    }
}

#[test]
fn a_test_call_is_not_made_twice_when_the_program_is_restarted_in_it() {
    let command = OutboxCommand { id: "9".into(), kind: CommandKind::TestCall { number: A.into(), ring_seconds: Some(30) } };
    let outbox = Outbox::new(vec![command]).to_body();
    let done = Rc::new(RefCell::new(false));
    let (is_done, body) = (Rc::clone(&done), outbox.clone());
    let (mut world, seen) = begin(
        Behaviour::rings(25),
        Box::new(move |path, _| {
            *is_done.borrow_mut() |= path == "/outbox/9";
            (path.starts_with("/outbox?") && !*is_done.borrow()).then(|| HttpReply::ok(body.clone()))
        }),
    );
    world.run_for(30);
    assert_eq!(world.phone.dials_to(A), 1);
    world.restart();
    world.run_for(200);
    assert_eq!(world.phone.dials_to(A), 1);
    let seen = seen.borrow();
    let (_, _, result) = seen.iter().find(|(_, path, _)| path == "/outbox/9").unwrap();
    assert!(!OutboxResult::parse(result.as_bytes()).unwrap().ok, "nobody knows how it ended: {result}");
}

#[test]
fn a_long_call_is_told_again_and_again() {
    let (mut world, seen) = begin(Behaviour::answers(3, 90), Box::new(|path, now| (polls(path) && now < 3).then(offer)));
    world.run_for(120);
    let told = times(&seen, |path| path.starts_with("/progress"));
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] <= 20), "{told:?}");
    assert!(told.last().unwrap() >= &90, "{told:?}");
}
