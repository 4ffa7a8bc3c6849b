//! What the app in the field does, row by row, as it was measured on its own code: each row is one test, and the builds that differ stand in it.
//!
//! The first poll is 30 s after the start, so a dial "at t0" is a dial at second 30.

use std::{cell::RefCell, rc::Rc, time::Duration};

use android_protocol::{
    app::{Build, Death, Health, Settings, Start},
    http::{HttpReply, Method, Request},
    phone::{Attempt, Behaviour, DialResult, Drop, LineEvent, People, Phone},
    sim::{Happening, World},
    wire::{HEADLESS_IDLE_BODY, IDLE_BODY, Offer},
};

const URL: &str = "http://10.0.0.1:8080/alert/phone";
const A: &str = "18700000001";
const B: &str = "18700000002";
const C: &str = "18700000003";

type Server = Box<dyn FnMut(&Request, Duration) -> Option<HttpReply>>;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn alarm(mid: &str, phones: &[&str]) -> HttpReply {
    let phones: Vec<String> = phones.iter().map(|&phone| phone.to_owned()).collect();
    HttpReply::ok(Offer::new(&phones, mid).to_body())
}

fn idle() -> HttpReply {
    HttpReply::ok(IDLE_BODY)
}

fn accepted() -> HttpReply {
    HttpReply::ok(android_protocol::wire::ACCEPTED_BODY)
}

/// Every GET gets `get`, every POST is accepted.
fn always(get: HttpReply) -> Server {
    Box::new(move |request, _| Some(if request.method == Method::Get { get.clone() } else { accepted() }))
}

/// A server as the contract wants it, with one alarm: served until its report is in.
fn proper(mid: &'static str, phones: &'static [&'static str]) -> Server {
    let mut open = true;
    Box::new(move |request, _| {
        if request.method == Method::Post {
            open &= !request.url.contains(mid);
            return Some(accepted());
        }
        Some(if open { alarm(mid, phones) } else { idle() })
    })
}

fn world(build: Build, settings: Settings, people: People, server: Server) -> World<Server> {
    World::new(build, settings, Phone::new(people), server)
}

/// HEAD with everything as it comes, for `seconds`.
fn head(people: People, server: Server, seconds: u64) -> World<Server> {
    run(Build::Head, people, server, seconds)
}

fn run(build: Build, people: People, server: Server, seconds: u64) -> World<Server> {
    let mut world = world(build, Settings::new(URL), people, server);
    world.run_for(seconds);
    world
}

fn people(scripts: &[(&str, Behaviour)]) -> People {
    scripts.iter().fold(People::default(), |people, (number, behaviour)| people.with(number, [*behaviour]))
}

fn rings(seconds: u64) -> Behaviour {
    Behaviour::rings(seconds)
}

fn answers(after: u64, talks: u64) -> Behaviour {
    Behaviour::answers(after, talks)
}

fn pairs(list: &[(u64, String)]) -> Vec<(u64, &str)> {
    list.iter().map(|(at, text)| (*at, text.as_str())).collect()
}

fn dead_at(world: &World<Server>, why: Death) {
    assert_eq!(world.death(), Some(why));
}

/// What kills the process on its first poll.
fn kills(reply: HttpReply, why: Death) {
    for build in Build::ALL {
        let world = run(build, People::default(), always(reply.clone()), 100);
        assert_eq!(world.death(), Some(why), "{build}: {reply:?}");
        assert_eq!(world.polls().len(), 1, "{build}");
    }
}

/// What costs 15 s and nothing else.
fn backs_off(reply: Option<HttpReply>) {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head] {
        let reply = reply.clone();
        let world = run(build, People::default(), Box::new(move |_, _| reply.clone()), 61);
        assert_eq!(world.death(), None, "{build}");
        assert_eq!(world.polls(), [30, 45, 60], "{build}");
    }
}

// ---- The loop --------------------------------------------------------------------------------------------------------------------------

#[test]
fn starts_after_30_s_and_polls_every_interval() {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head] {
        assert_eq!(run(build, People::default(), always(idle()), 60).polls(), [30, 40, 50, 60], "{build}");
        let mut slow = world(build, Settings::new(URL).every(70), People::default(), always(idle()));
        slow.run_for(200);
        assert_eq!(slow.polls(), [30, 100, 170], "{build}");
    }
}

#[test]
fn model_is_sent_with_get_by_later_builds_and_never_with_post() {
    for build in Build::ALL {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&seen);
        let mut inner = proper("m1", &[A]);
        let server: Server = Box::new(move |request, now| {
            noted.borrow_mut().push((
                request.method,
                request.header("model").map(str::to_owned),
                request.header("user-agent").map(str::to_owned),
                request.header("content-length").map(str::to_owned),
            ));
            inner(request, now)
        });
        run(build, people(&[(A, rings(5))]), server, 55);
        let seen = seen.borrow();
        assert!(seen.iter().any(|(method, ..)| *method == Method::Post), "{build}");
        for (method, model, agent, length) in seen.iter() {
            assert_eq!(model.is_some(), *method == Method::Get && build.sends_model(), "{build}");
            assert_eq!(agent.as_deref(), Some("okhttp/3.10.0"));
            assert_eq!(length.as_deref(), (*method == Method::Post).then_some("0"));
        }
    }
}

#[test]
fn one_number_rings_40_s() {
    let world = head(people(&[(A, rings(40))]), proper("m1", &[A]), 200);
    assert_eq!(pairs(&world.dials()), [(30, A)]);
    assert_eq!(world.polls()[..3], [30, 40, 80], "silent until the call ends");
    assert_eq!(pairs(&world.reports()), [(70, "mid=m1")]);
}

#[test]
fn one_number_answers_and_talks_20_s() {
    let world = head(people(&[(A, answers(12, 20))]), proper("m1", &[A]), 200);
    let report = format!("resp={A}&mid=m1");
    assert_eq!(pairs(&world.reports()), [(70, report.as_str())], "only after hang-up");
    assert_eq!(pairs(&world.dials()), [(30, A)]);
}

#[test]
fn a_call_of_405_s_is_400_s_of_silence() {
    let world = head(people(&[(A, answers(5, 400))]), proper("m1", &[A]), 600);
    assert_eq!(world.polls()[..2], [30, 40]);
    assert!(world.polls()[2] >= 440);
    assert_eq!(world.reports()[0].0, 440);
}

#[test]
fn every_build_reports_one_number_per_mid_at_interval_70() {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head] {
        for (behaviour, answered) in
            [(answers(5, 20), true), (rings(40), false), (Behaviour::Busy, false), (Behaviour::Rejects { after: s(4) }, false)]
        {
            let mut world = world(build, Settings::new(URL).every(70), people(&[(A, behaviour)]), proper("m1", &[A]));
            world.run_for(600);
            let report = if answered { format!("resp={A}&mid=m1") } else { "mid=m1".to_owned() };
            assert_eq!(pairs(&world.reports()), [(100, report.as_str())], "{build} {behaviour:?}");
            assert_eq!(world.dials().len(), 1);
        }
    }
}

#[test]
fn older_builds_recurse_until_the_stack_is_full_when_a_call_outlasts_the_interval() {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3] {
        let mut short = world(build, Settings::new(URL), people(&[(A, rings(25))]), proper("m1", &[A]));
        short.run_until(s(45));
        assert!(matches!(short.app.health(), Health::Looping { since } if since == s(40)), "{build}");
        short.run_for(55);
        assert_eq!(short.reports().len(), 1, "{build}: the call ended in time");
        let long = run(build, people(&[(A, rings(60))]), proper("m1", &[A]), 100);
        dead_at(&long, Death::StackOverflow);
        assert_eq!(long.reports(), []);
        let mut endless =
            world(build, Settings { stack_lasts: None, ..Settings::new(URL) }, people(&[(A, rings(60))]), proper("m1", &[A]));
        endless.run_for(100);
        assert_eq!(pairs(&endless.reports()), [(90, "mid=m1")], "{build}");
    }
}

// ---- Results and what the server does with them -----------------------------------------------------------------------------------------

#[test]
fn same_mid_forever_after_answered() {
    let mut world = head(people(&[(A, answers(1, 5))]), always(alarm("m1", &[A, B])), 100);
    assert_eq!(world.dials().len(), 1, "no redial");
    assert_eq!(
        world.reports().iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [40, 50, 60, 70, 80, 90, 100],
        "reported again every interval"
    );
    world.phone.expect_missed_call(s(101), "555", s(3));
    world.run_for(30);
    assert_eq!(
        world.dials().last().map(|(at, number)| (*at, number.as_str())),
        Some((120, B)),
        "another call enters the log: not answered"
    );
}

#[test]
fn same_mid_after_unanswered_was_accepted() {
    let world = head(people(&[(A, rings(8))]), always(alarm("m1", &[A])), 600);
    assert_eq!(world.dials().len(), 29, "dialled again for ever");
}

#[test]
fn list_of_two_the_second_answers_at_25_s() {
    let world = head(people(&[(A, rings(5)), (B, answers(25, 20))]), proper("m1", &[A, B]), 200);
    assert_eq!(pairs(&world.dials()), [(30, A), (40, B)]);
    assert_eq!(pairs(&world.reports()), [(60, "mid=m1")], "nobody, while B still rings");
}

#[test]
fn list_of_three_the_second_answers_at_5_s() {
    let world = head(people(&[(A, rings(5)), (B, answers(5, 100)), (C, rings(5))]), proper("m1", &[A, B, C]), 300);
    assert_eq!(pairs(&world.dials()), [(30, A), (40, B), (60, C)]);
    assert!(world.phone.events().contains(&(s(60), LineEvent::Held(B.into()))));
    assert_eq!(world.reports()[0].1, "mid=m1");
    assert_eq!(world.reports().len(), 1);
}

#[test]
fn next_mid_while_the_last_number_still_rings() {
    let mut reported = false;
    let server: Server = Box::new(move |request, _| {
        reported |= request.method == Method::Post;
        Some(if reported { alarm("m2", &[C]) } else { alarm("m1", &[A, B]) })
    });
    let world = head(people(&[(A, rings(5)), (B, rings(60))]), server, 3000);
    assert_eq!(pairs(&world.dials()), [(30, A), (40, B), (70, C)]);
    assert!(matches!(
        world.trace().iter().rev().find_map(|(_, h)| match h {
            Happening::Dialled { result, .. } => Some(*result),
            _ => None,
        }),
        Some(DialResult::Dropped(Drop::NoRoom))
    ));
    assert_eq!(world.polls().last(), Some(&80), "never polls again");
    assert_eq!(world.app.health(), Health::Blocked { since: s(80) });
}

#[test]
fn stuck_until_some_call_is_logged() {
    let mut world = world(Build::Head, Settings::new(URL), people(&[(A, rings(5))]), proper("m1", &[A]));
    world.phone.setup.overlay_granted = false;
    world.run_for(1000);
    assert_eq!(world.polls(), [30, 40], "GET twice, then silent for ever");
    world.phone.expect_missed_call(s(1001), "555", s(3));
    world.run_for(60);
    assert_eq!(world.reports().len(), 1);
    assert_eq!(world.reports()[0].1, "mid=m1");
}

#[test]
fn dial_blocked_by_the_sim_chooser() {
    let mut world = world(Build::Head, Settings::new(URL), People::default(), proper("m1", &[A]));
    world.phone.setup.default_sim = false;
    world.run_for(1000);
    assert_eq!((world.polls().len(), world.reports().len()), (2, 0));
}

#[test]
fn copied_sequences_never_end() {
    for (list, at_least) in [(&[A, B, A, B][..], 20), (&[A, A][..], 20), (&[A, B, A][..], 20)] {
        let list: Vec<&'static str> = list.to_vec();
        let world = head(people(&[(A, rings(4)), (B, rings(4))]), always(alarm("m1", &list)), 600);
        assert_eq!(world.reports(), [], "{list:?}: no report ever");
        assert!(world.dials().len() >= at_least, "{list:?}: {}", world.dials().len());
    }
}

#[test]
fn mid_alternates() {
    let mut n = 0;
    let server: Server = Box::new(move |_, _| {
        n += 1;
        Some(if n % 2 == 1 { alarm("m1", &[A]) } else { alarm("m2", &[B]) })
    });
    let world = head(people(&[(A, rings(5)), (B, rings(5))]), server, 300);
    assert_eq!(world.reports(), []);
    assert!(world.dials().windows(2).all(|two| two[0].1 != two[1].1));
    assert_eq!(world.dials().len(), 28);
}

#[test]
fn mid_changes_while_ringing() {
    let server: Server = Box::new(|_, now| Some(if now < s(35) { alarm("m1", &[A]) } else { alarm("m2", &[B]) }));
    let world = head(people(&[(A, rings(40))]), server, 1000);
    assert_eq!(pairs(&world.dials()), [(30, A), (40, B)]);
    assert_eq!(world.phone.dials_to(B), 0, "the second dial is rejected");
    assert_eq!(world.polls().last(), Some(&50), "stuck, silent");
}

#[test]
fn list_order_changed() {
    let server: Server = Box::new(|request, now| {
        Some(if request.method == Method::Post {
            accepted()
        } else if now < s(35) {
            alarm("m1", &[A, B])
        } else {
            alarm("m1", &[B, A])
        })
    });
    let world = head(people(&[(A, rings(5)), (B, answers(2, 5))]), server, 60);
    assert_eq!(world.phone.dials_to(B), 1, "B is reached only by the redial, not in its turn");
    assert_eq!(pairs(&world.reports())[0], (40, "mid=m1"));
    assert_eq!(world.dials()[1], (50, B.to_owned()), "re-dials if still served");
}

#[test]
fn current_number_removed_from_the_list() {
    let server: Server = Box::new(|_, now| Some(if now < s(35) { alarm("m1", &[A, B]) } else { alarm("m1", &[B]) }));
    let world = head(people(&[(A, rings(5))]), server, 600);
    assert_eq!((world.dials().len(), world.reports().len()), (1, 0));
    assert_eq!(world.polls().len(), 58, "polls for ever");
}

#[test]
fn list_grows() {
    let mut open = true;
    let server: Server = Box::new(move |request, now| {
        open &= request.method == Method::Get;
        Some(if !open {
            idle()
        } else if now < s(35) {
            alarm("m1", &[A])
        } else {
            alarm("m1", &[A, B])
        })
    });
    let world = head(people(&[(A, rings(5)), (B, rings(5))]), server, 200);
    assert_eq!(pairs(&world.dials()), [(30, A), (40, B)]);
    assert_eq!(pairs(&world.reports()), [(50, "mid=m1")]);
}

#[test]
fn alarm_without_numbers_is_harmless() {
    for build in Build::ALL {
        let world = run(build, People::default(), always(alarm("m1", &[])), 100);
        assert_eq!((world.dials().len(), world.reports().len(), world.polls().len()), (0, 0, 8), "{build}");
    }
}

// ---- Bodies ----------------------------------------------------------------------------------------------------------------------------

#[test]
fn code_missing_or_null_kills() {
    kills(HttpReply::ok("{}"), Death::NoCode);
    kills(HttpReply::ok(r#"{"code":null}"#), Death::NoCode);
}

#[test]
fn empty_204_304_null_and_spaces_kill() {
    for reply in [
        HttpReply::ok(""),
        HttpReply::new(204, ""),
        HttpReply::new(304, ""),
        HttpReply::new(502, ""),
        HttpReply::ok("null"),
        HttpReply::ok("   \n"),
    ] {
        kills(reply, Death::NoJson);
    }
}

#[test]
fn code_0_without_mid_or_with_a_bad_list_kills() {
    kills(HttpReply::ok(r#"{"code":0,"phone":["1"]}"#), Death::NoMid);
    kills(HttpReply::ok(r#"{"code":0,"mid":null,"phone":["1"]}"#), Death::NoMid);
    kills(HttpReply::ok(r#"{"code":0,"mid":"m"}"#), Death::NoPhoneList);
    kills(HttpReply::ok(r#"{"code":0,"mid":"m","phone":null}"#), Death::NoPhoneList);
    kills(HttpReply::ok(r#"{"code":0,"mid":"m","phone":"18712345678"}"#), Death::NoPhoneList);
    kills(HttpReply::ok(r#"{"code":0,"mid":"m","phone":[null]}"#), Death::NullPhone);
}

#[test]
fn null_behind_a_number_kills_when_its_turn_comes() {
    let world =
        head(people(&[(A, rings(5))]), always(HttpReply::ok(format!(r#"{{"code":0,"mid":"m","phone":["{A}",null]}}"#))), 100);
    dead_at(&world, Death::NullPhone);
    assert_eq!(world.dials().len(), 1);
}

#[test]
fn json_errors_without_code_kill_at_any_status() {
    for status in [200, 400, 401, 403, 404, 405, 429, 500, 502, 503] {
        kills(HttpReply::new(status, r#"{"message":"unauthorized"}"#), Death::NoCode);
        kills(HttpReply::new(status, r#"{"error":"x"}"#), Death::NoCode);
    }
}

#[test]
fn html_text_lists_and_broken_json_cost_15_s() {
    for reply in ["<html>502</html>", "Bad gateway", "[]", r#"{"code":1"#, r#"{"code":1}x"#] {
        backs_off(Some(HttpReply::new(502, reply)));
    }
    backs_off(None);
}

#[test]
fn reply_that_takes_10_s_is_none() {
    let world = head(People::default(), always(idle().after(s(10))), 61);
    assert_eq!(world.polls(), [30, 55], "10 s of waiting and 15 s of back-off");
    assert_eq!(head(People::default(), always(idle().after(s(9))), 61).polls(), [30, 49]);
}

#[test]
fn status_is_never_looked_at() {
    for status in [200, 201, 400, 401, 404, 500, 503] {
        let nothing = run(Build::Head, People::default(), always(HttpReply::new(status, r#"{"code":1}"#)), 60);
        assert_eq!(nothing.polls(), [30, 40, 50, 60], "{status}: no alarm");
        let reply = HttpReply { status, ..alarm("m1", &[A]) };
        assert_eq!(run(Build::Head, People::default(), always(reply), 35).dials().len(), 1, "{status}: dials");
    }
}

#[test]
fn proxy_authentication_costs_15_s() {
    backs_off(Some(HttpReply::new(407, IDLE_BODY)));
}

#[test]
fn request_timeout_and_retry_after_0_make_it_ask_twice_at_once() {
    for reply in [HttpReply::new(408, IDLE_BODY), HttpReply::new(503, IDLE_BODY).with_header("Retry-After", "0")] {
        let world = head(People::default(), always(reply), 41);
        assert_eq!(world.polls(), [30, 30, 40, 40]);
    }
    assert_eq!(
        head(People::default(), always(HttpReply::new(503, IDLE_BODY).with_header("Retry-After", "5")), 41).polls(),
        [30, 40]
    );
}

#[test]
fn lenient_code_mid_blanks_and_byte_order_mark() {
    for body in [
        format!(r#"{{"code":"0","mid":"7","phone":["{A}"]}}"#),
        format!(r#"{{"code":0,"mid":7,"phone":["{A}"]}}"#),
        format!("  \n{{\"code\":0,\"mid\":\"7\",\"phone\":[\"{A}\"]}}"),
        format!("\u{feff}{{\"code\":0,\"mid\":\"7\",\"phone\":[\"{A}\"]}}"),
    ] {
        let world = head(people(&[(A, answers(1, 5))]), always(HttpReply::ok(body)), 45);
        let report = format!("resp={A}&mid=7");
        assert_eq!(pairs(&world.reports()), [(40, report.as_str())]);
    }
}

#[test]
fn numbers_as_json_numbers_never_match() {
    let world =
        head(people(&[(A, answers(1, 5))]), always(HttpReply::ok(format!(r#"{{"code":0,"mid":"m","phone":[{A}]}}"#))), 600);
    assert_eq!((world.dials().len(), world.reports().len()), (1, 0));
    assert_eq!(world.polls().len(), 58);
}

// ---- Reports that go wrong --------------------------------------------------------------------------------------------------------------

/// The alarm stays, whatever is reported; each report is answered by `post`.
fn unmoved(post: Option<HttpReply>) -> Server {
    Box::new(move |request, _| if request.method == Method::Get { Some(alarm("m1", &[A])) } else { post.clone() })
}

#[test]
fn unanswered_report_gets_500() {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head] {
        let world = run(build, people(&[(A, rings(5))]), unmoved(Some(HttpReply::new(500, "{}"))), 300);
        assert_eq!(
            world.dials().len(),
            world.reports().len() + usize::from(world.dials().len() > world.reports().len()),
            "{build}"
        );
        assert!(world.dials().len() > 12, "{build}: full redial for ever");
    }
}

#[test]
fn unanswered_report_is_dropped() {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head] {
        let world = run(build, people(&[(A, rings(5))]), unmoved(None), 300);
        assert_eq!(world.dials().len(), 1, "{build}: no redial");
        assert_eq!(world.reports().len(), 27, "{build}: the same report again each time the mid is served");
    }
}

#[test]
fn server_down_for_100_s() {
    let server: Server = Box::new(|request, now| match now.as_secs() {
        35..135 => None,
        _ if request.method == Method::Get => Some(alarm("m1", &[A])),
        _ => Some(accepted()),
    });
    let world = head(people(&[(A, rings(5))]), server, 150);
    assert_eq!(world.dials().len(), 1, "not redialled");
    assert_eq!(pairs(&world.reports()), [(145, "mid=m1")]);
}

#[test]
fn answered_report_gets_500() {
    let world = head(people(&[(A, answers(1, 5))]), unmoved(Some(HttpReply::new(500, "{}"))), 100);
    assert_eq!((world.dials().len(), world.reports().len()), (1, 7), "again each interval, no redial");
}

#[test]
fn redirected_report_is_lost() {
    for status in [301, 302, 303] {
        let world =
            head(people(&[(A, answers(1, 5))]), unmoved(Some(HttpReply::new(status, "").with_header("Location", "/login"))), 55);
        let to_login = world
            .trace()
            .iter()
            .filter(|(_, h)| matches!(h, Happening::Sent { method: Method::Get, url, .. } if url == "http://10.0.0.1:8080/login"))
            .count();
        assert_eq!((world.reports().len(), to_login), (2, 2), "{status}: follows as GET, repeats");
    }
    for status in [307, 308] {
        let world =
            head(people(&[(A, rings(5))]), unmoved(Some(HttpReply::new(status, "").with_header("Location", "/login"))), 300);
        assert!(world.dials().len() > 12, "{status}: not followed, redials for ever");
        assert!(world.trace().iter().all(|(_, h)| !matches!(h, Happening::Sent { url, .. } if url.ends_with("/login"))));
    }
}

#[test]
fn redirected_get_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server: Server = Box::new(move |request, _| {
            Some(if request.url == URL {
                HttpReply::new(status, "").with_header("Location", "/elsewhere")
            } else {
                alarm("m1", &[A])
            })
        });
        assert_eq!(pairs(&head(People::default(), server, 31).dials()), [(30, A)], "{status}");
    }
    let world = head(People::default(), always(HttpReply::new(302, "").with_header("Location", URL)), 46);
    assert_eq!(world.polls().iter().filter(|&&at| at == 30).count(), 21, "gives up after 20 follow-ups");
    assert_eq!(world.death(), None);
}

#[test]
fn same_mid_reused_later() {
    let server: Server = Box::new(|request, now| {
        Some(if request.method == Method::Post {
            accepted()
        } else if now < s(45) || now > s(200) {
            alarm("m1", &[A])
        } else {
            idle()
        })
    });
    let world = head(people(&[(A, answers(1, 5))]), server, 215);
    assert_eq!(world.dials().len(), 1, "not dialled again");
    assert_eq!(world.reports().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [40, 210], "answered, by the old row");
}

// ---- Texts pasted into the URL -----------------------------------------------------------------------------------------------------------

#[test]
fn mid_with_a_hash_or_an_ampersand() {
    let world = head(people(&[(A, rings(5))]), always(alarm("a#b", &[A])), 45);
    assert_eq!(pairs(&world.reports()), [(40, "mid=a")]);
    let endless = head(people(&[(A, rings(5))]), always(alarm("a&b", &[A])), 300);
    assert_eq!(endless.reports()[0].1, "mid=a&b", "a form decoder reads a");
    assert!(endless.dials().len() > 10);
}

#[test]
fn number_with_plus() {
    let world = head(people(&[("+8618712345678", answers(1, 5))]), proper("m1", &["+8618712345678"]), 45);
    assert_eq!(pairs(&world.reports()), [(40, "resp=+8618712345678&mid=m1")], "a raw plus, which form decoders read as a space");
}

#[test]
fn number_with_separators() {
    let world = head(people(&[("18712345678", answers(1, 5))]), proper("m1", &["187-1234-5678"]), 100);
    assert_eq!(pairs(&world.dials()), [(30, "187-1234-5678")]);
    assert_eq!(pairs(&world.reports()), [(50, "mid=m1")], "the row differs: not answered");
}

#[test]
fn raw_hash_in_a_number() {
    let world = head(people(&[("**21*187", answers(1, 5))]), proper("m1", &["**21*187#"]), 300);
    assert_eq!(world.phone.dials_to("**21*187"), 1, "the hash and the rest are dropped");
    assert_eq!(pairs(&world.reports()), [(50, "mid=m1")], "and so the row differs from what was asked");
}

#[test]
fn raw_hash_in_an_answered_number_loses_the_mid_too() {
    // Here the row happens to be equal, because the list number was given in the form that survives.
    assert_eq!(
        android_protocol::http::as_sent(&format!("{URL}?resp=**21*187#&mid=m1")).as_deref(),
        Some("http://10.0.0.1:8080/alert/phone?resp=**21*187")
    );
}

#[test]
fn mmi_code_in_a_list_number() {
    let world = head(People::default(), always(alarm("m1", &["**21*187%23"])), 1000);
    assert!(world.phone.events().contains(&(s(30), LineEvent::CodeSent("**21*187#".into()))));
    assert_eq!((world.polls().len(), world.reports().len()), (2, 0), "no row: stuck, silent");
}

#[test]
fn comma_in_a_number_kills() {
    let world = head(People::default(), always(alarm("m1", &["18712345678,1"])), 200);
    dead_at(&world, Death::CommaInCallLog);
}

#[test]
fn token_in_the_query_and_in_the_path() {
    let mut query = world(
        Build::Head,
        Settings::new("http://h/alert/phone?token=T"),
        people(&[(A, answers(1, 5))]),
        always(alarm("m1", &[A])),
    );
    query.run_for(45);
    assert!(matches!(&query.trace()[2].1, Happening::Sent { url, .. } if url == "http://h/alert/phone?token=T"));
    let urls: Vec<_> = query
        .trace()
        .iter()
        .filter_map(|(_, h)| if let Happening::Sent { method: Method::Post, url, .. } = h { Some(url.clone()) } else { None })
        .collect();
    assert_eq!(urls, [format!("http://h/alert/phone?token=T?resp={A}&mid=m1")]);
    let mut nobody =
        world(Build::Head, Settings::new("http://h/alert/phone?token=T"), people(&[(A, rings(5))]), always(alarm("m1", &[A])));
    nobody.run_for(45);
    assert!(
        nobody
            .trace()
            .iter()
            .any(|(_, h)| matches!(h, Happening::Sent { url, .. } if url == "http://h/alert/phone?token=T?mid=m1"))
    );
    let mut path =
        world(Build::Head, Settings::new("http://h/h/T/alert/phone"), people(&[(A, rings(5))]), always(alarm("m1", &[A])));
    path.run_for(45);
    assert!(
        path.trace().iter().any(|(_, h)| matches!(h, Happening::Sent { url, .. } if url == "http://h/h/T/alert/phone?mid=m1"))
    );
}

// ---- The phone --------------------------------------------------------------------------------------------------------------------------

#[test]
fn missed_call_from_a_stranger_before_the_check() {
    let mut newest = world(Build::Head, Settings::new(URL), people(&[(A, answers(1, 3))]), proper("m1", &[A]));
    newest.phone.expect_missed_call(s(35), "555", s(2));
    newest.run_for(100);
    assert_eq!(pairs(&newest.reports()), [(50, "mid=m1")], "not answered, though answered");
    for build in [Build::V1_0, Build::B25cd829] {
        let mut world = world(build, Settings::new(URL), people(&[(A, answers(1, 3))]), proper("m1", &[A]));
        world.phone.expect_missed_call(s(35), "555", s(2));
        world.run_for(100);
        dead_at(&world, Death::StackOverflow);
    }
    let mut sleepy = world(Build::B14558f3, Settings::new(URL), people(&[(A, answers(1, 3))]), proper("m1", &[A]));
    sleepy.phone.expect_missed_call(s(35), "555", s(2));
    sleepy.run_for(1000);
    assert_eq!(sleepy.reports(), [], "hangs, a look a second");
    assert!(matches!(sleepy.app.health(), Health::Blocked { .. }));
}

#[test]
fn early_nobody_while_the_callee_still_rings() {
    let mut world = world(Build::Head, Settings::new(URL), people(&[(A, rings(60))]), proper("m1", &[A]));
    world.phone.expect_missed_call(s(32), "555", s(3));
    world.run_for(200);
    assert_eq!(pairs(&world.reports()), [(50, "mid=m1")]);
    assert!(
        world.phone.events().iter().any(|(at, event)| *at == s(90) && matches!(event, LineEvent::Ended { .. })),
        "rings on for 40 s"
    );
}

#[test]
fn callee_rings_back_in_vain() {
    let mut people = People::default();
    people.set(A, vec![Attempt { behaviour: answers(1, 2), calls_back: Some(s(1)) }]);
    let mut world = world(Build::Head, Settings::new(URL), people, proper("m1", &[A]));
    world.run_for(100);
    // The missed call ends at 44, after the first look at 40, which saw the answered row; with a longer interval it hides it.
    assert_eq!(world.reports()[0].1, format!("resp={A}&mid=m1"));
    let mut people = People::default();
    people.set(A, vec![Attempt { behaviour: answers(1, 2), calls_back: Some(s(1)) }]);
    let mut world = self::world(Build::Head, Settings::new(URL).every(70), people, proper("m1", &[A]));
    world.run_for(200);
    assert_eq!(pairs(&world.reports()), [(100, "mid=m1")], "the row matches, its duration is 0");
}

#[test]
fn empty_call_log_kills_after_dialling() {
    for build in Build::ALL {
        let mut world = World::new(build, Settings::new(URL), Phone::factory_new(people(&[(A, rings(60))])), proper("m1", &[A]));
        world.run_for(100);
        assert_eq!((world.death(), world.dials().len()), (Some(Death::EmptyCallLog), 1), "{build}");
    }
}

#[test]
fn call_log_permission_missing_kills_after_dialling() {
    let mut world = world(Build::Head, Settings::new(URL), People::default(), proper("m1", &[A]));
    world.phone.setup.call_log_granted = false;
    world.run_for(100);
    dead_at(&world, Death::CallLogDenied);
}

#[test]
fn line_busy_with_a_ringing_call_leaves_no_row() {
    let mut world = world(Build::Head, Settings::new(URL), People::default(), proper("m1", &[A]));
    world.phone.expect_missed_call(s(28), "555", s(20));
    world.run_for(1000);
    assert_eq!(world.phone.dials_to(A), 0);
    assert_eq!((world.polls().len(), world.reports().len()), (2, 0), "that call began before the mid, so its row is too old");
}

#[test]
fn mid_served_once_then_idle() {
    let mut n = 0;
    let server: Server = Box::new(move |_, _| {
        n += 1;
        Some(if n == 1 { alarm("m1", &[A]) } else { idle() })
    });
    let world = head(people(&[(A, answers(1, 5))]), server, 300);
    assert_eq!((world.dials().len(), world.reports().len()), (1, 0));
}

#[test]
fn model_that_is_not_ascii() {
    for build in Build::ALL {
        let settings = Settings { model: "华为 P9".into(), ..Settings::new(URL) };
        let mut world = world(build, settings, People::default(), always(HttpReply::ok(HEADLESS_IDLE_BODY)));
        world.run_for(100);
        if build.sends_model() {
            assert_eq!((world.death(), world.polls().len()), (Some(Death::ModelNotAscii), 0), "{build}: sends nothing");
        } else {
            assert_eq!(world.death(), None, "{build}");
        }
    }
}

#[test]
fn settings_never_saved_kill_the_early_builds_after_their_first_poll() {
    for build in [Build::V1_0, Build::B25cd829, Build::B14558f3, Build::Head] {
        let mut world = world(build, Settings { saved: false, ..Settings::new(URL) }, People::default(), always(idle()));
        world.run_for(60);
        if build.trips_over_unsaved_settings() {
            assert_eq!((world.death(), world.polls().len()), (Some(Death::SettingsNeverSaved), 1), "{build}");
            world.restart(Start::ByUser);
            dead_at(&world, Death::SettingsNeverSaved);
        } else {
            assert_eq!(world.death(), None, "{build}");
        }
    }
}

// ---- Without a screen --------------------------------------------------------------------------------------------------------------------

#[test]
fn headless_dies_of_any_idle_and_of_any_error() {
    for reply in [Some(idle()), Some(HttpReply::new(502, "<html>")), None] {
        let world = run(Build::HeadHeadless, People::default(), Box::new(move |_, _| reply.clone()), 100);
        dead_at(&world, Death::NoScreen);
        assert_eq!(world.polls(), [30]);
    }
}

#[test]
fn headless_still_dials_and_survives_the_safe_idle() {
    let mut n = 0;
    let server: Server = Box::new(move |request, _| {
        n += 1;
        Some(if request.method == Method::Post {
            accepted()
        } else if (3..5).contains(&n) {
            alarm("m1", &[A])
        } else {
            HttpReply::ok(HEADLESS_IDLE_BODY)
        })
    });
    let world = run(Build::HeadHeadless, people(&[(A, answers(1, 5))]), server, 300);
    assert_eq!(world.death(), None);
    assert_eq!(world.dials().len(), 1);
    assert_eq!(world.reports().len(), 1);
}

#[test]
fn the_safe_idle_replaces_the_remembered_mid() {
    let server: Server = Box::new(|request, now| {
        Some(if request.method == Method::Post {
            accepted()
        } else if (45..55).contains(&now.as_secs()) {
            HttpReply::ok(HEADLESS_IDLE_BODY)
        } else {
            alarm("m1", &[A])
        })
    });
    let world = head(people(&[(A, answers(1, 5))]), server, 65);
    assert_eq!(pairs(&world.dials()), [(30, A), (60, A)]);
}

#[test]
fn restart_forgets_and_dials_the_first_number_again() {
    let mut world =
        world(Build::Head, Settings::new(URL), people(&[(A, rings(5)), (B, rings(60))]), always(alarm("m1", &[A, B])));
    world.run_for(45);
    assert_eq!(pairs(&world.dials()), [(30, A), (40, B)]);
    world.restart(Start::ByAndroid);
    world.run_for(31);
    assert_eq!(world.dials().last(), Some(&(75, A.to_owned())));
}

#[test]
fn a_crash_looping_phone_redials_on_each_restart() {
    let mut world =
        World::new(Build::Head, Settings::new(URL), Phone::factory_new(people(&[(A, rings(200))])), always(alarm("m1", &[A])));
    world.restart_after = Some(s(1));
    world.run_for(300);
    let dials: Vec<u64> = world.dials().iter().map(|(at, _)| *at).collect();
    assert!(dials.len() >= 4 && dials.windows(2).all(|two| two[1] - two[0] >= 40), "{dials:?}");
}

// ---- SMS ---------------------------------------------------------------------------------------------------------------------------------

#[test]
fn sms_dials_twice_on_the_early_builds_and_android_8_kills_them() {
    for build in [Build::V1_0, Build::B25cd829] {
        let mut world = run(build, People::default(), always(idle()), 35);
        world.receive_sms(&["|18712345678|autocall|alertcall duty"]);
        assert_eq!(world.dials().len(), 2, "{build}");
        assert_eq!(world.phone.dials_to("18712345678"), 1, "{build}: the second is dropped by the phone");
        world.run_for(20);
        dead_at(&world, Death::ForegroundPromise);
    }
    for build in [Build::B14558f3, Build::Head] {
        let mut world = run(build, People::default(), always(idle()), 35);
        world.receive_sms(&["|18712345678|autocall|alertcall duty"]);
        world.run_for(20);
        assert_eq!((world.dials().len(), world.death()), (1, None), "{build}");
    }
}

#[test]
fn sms_sets_forwarding_without_a_trace_in_the_log() {
    let mut world = run(Build::Head, People::default(), always(idle()), 35);
    world.receive_sms(&["|**21*18712345678%23|autocall|alertcall duty"]);
    assert!(world.phone.events().contains(&(s(35), LineEvent::CodeSent("**21*18712345678#".into()))));
}

#[test]
fn sms_hangs_up_below_android_9_and_crashes_from_there_on() {
    for (android, death) in [(8, None), (9, Some(Death::Sms))] {
        let mut world = head(people(&[(A, answers(1, 100))]), proper("m1", &[A]), 35);
        world.android = android;
        world.receive_sms(&["please downcall"]);
        world.run_for(10);
        assert_eq!(world.death(), death, "Android {android}");
        assert_eq!(world.phone.line() == android_protocol::wire::LineState::Idle, android < 9);
    }
}

#[test]
fn sms_keyword_without_a_bar_crashes() {
    let mut world = run(Build::Head, People::default(), always(idle()), 35);
    world.receive_sms(&["long text ", "that ends in alertcall"]);
    dead_at(&world, Death::Sms);
}
