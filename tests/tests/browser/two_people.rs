//! Two people and one thing, each in a browser of their own: a weekend that changes hands, and an alarm that is taken and given back by the
//! links that callees get.

use autocall::engine::Doer;
use autocall::keep::people_import;
use autocall::keep::users::{self, Passwords};
use autocall::store::Work;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::json;

use crate::accessible::{CLOSE_MENUS, Look, OPEN_ALL, axe, misfits, size, violations};
use crate::chromium::Chromium;
use crate::harness::{Home, Kind, Server};
use crate::pages::{A, B, PASSWORD};

/// A server whose clock stands still, with Ann and Bob on the list of people.
async fn begin() -> Server {
    let server = Home::new(Kind::Embedded).await.start().await;
    let people = format!("name,numbers,language\nAnn,{A},en\nBob,{B},en\n");
    let people = people_import::read_csv(&people, server.app.engine.region()).unwrap();
    let import = async |work: &mut Work| people_import::import(work, &people).await;
    server.app.engine.carry_out(Doer::Server, import).await.unwrap();
    server
}

/// A browser of somebody who looks only, and is that person.
async fn browser_of(server: &Server, name: &str) -> Chromium {
    let engine = &server.app.engine;
    let person = engine.store.read().await.unwrap().db().person_by_name(name).await.unwrap().unwrap();
    let login = users::Login::new(&Passwords::default(), name, PASSWORD).await.unwrap();
    let add = async |work: &mut Work| users::add(work, login, Role::Viewer, Some(person.id)).await;
    engine.carry_out(Doer::Server, add).await.unwrap();
    let browser = Chromium::start().await;
    browser.log_in(&server.base, name, PASSWORD).await;
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weekend_changes_hands_and_both_see_it() {
    let server = begin().await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" });
    let schedule = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [layer] });
    let (status, made) = server.post("/api/v1/schedules", &schedule).await;
    assert_eq!(status, 201, "{made}");
    let swaps = format!("{}/roster/swaps", server.base);
    let (ann, bob) = tokio::join!(browser_of(&server, "Ann"), browser_of(&server, "Bob"));
    // What is chosen on the calendar stands in the form.
    bob.open(&format!("{swaps}?schedule=ops&person=Bob&from=2026-11-28T00:00&to=2026-11-30T00:00")).await;
    let chosen = "return ['schedule', 'person', 'from', 'to'].map((name) => document.querySelector(`#ask [name=${name}]`).value)";
    assert_eq!(bob.run(chosen).await, json!(["ops", "Bob", "2026-11-28T00:00", "2026-11-30T00:00"]));
    let exchange = "document.querySelector('#ask [name=other]').value = 'Ann';
        document.querySelector('#ask [name=back_from]').value = '2026-12-05T00:00';
        document.querySelector('#ask [name=back_to]').value = '2026-12-07T00:00'";
    bob.run(exchange).await;
    bob.fill("#ask [name=note]", "a wedding").await;
    bob.click("#ask button").await;
    bob.sees("Asked by you").await;
    bob.sees("waits for an answer").await;
    ann.open(&format!("{}/roster", server.base)).await;
    ann.sees("Swaps that wait for your answer: 1").await;
    ann.open(&swaps).await;
    ann.sees("Bob asks Ann to take a shift: ops, Sat 2026-11-28 00:00 – Mon 2026-11-30 00:00, Europe/Berlin").await;
    ann.sees("a wedding").await;
    ann.click("form[action$='/accept'] button").await;
    // What it does is shown before it is saved.
    ann.sees("Nothing is saved yet.").await;
    ann.sees("Ann instead of Bob").await;
    ann.sees("Bob instead of Ann").await;
    ann.click(".acts button").await;
    ann.sees("accepted: Ann").await;
    bob.open(&swaps).await;
    bob.sees("accepted: Ann").await;
    bob.sees("No swap waits for an answer.").await;
    for (day, name) in [("2026-11-28", "Ann"), ("2026-12-05", "Bob")] {
        let answer = server.get(&format!("/api/v1/schedules/ops/on-duty?on_duty_at={day}T12:00:00Z")).await;
        assert_eq!(answer["on_duty"][0]["person"]["name"], name, "{day}: {answer}");
    }
    for browser in [&ann, &bob] {
        browser.assert_well_behaved(&server.base, &[]).await;
    }
}

/// Nobody is kept from what the page is for: on a phone, whatever stands on it.
async fn can_be_used(browser: &Chromium, axe: &str, when: &str) {
    browser.run(OPEN_ALL).await;
    let mut found = misfits(browser, 44).await;
    browser.run(CLOSE_MENUS).await;
    found.extend(violations(browser, axe, Look::Whole).await);
    assert!(found.is_empty(), "{when}: {found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_takes_an_alarm_and_gives_it_back_by_their_own_link() {
    let (server, axe) = (begin().await, axe());
    let desk = server.pair("desk", Profile::App).await;
    let alarm = json!({ "summary": "disk full on db1", "details": "see https://wiki.example.com/runbooks/disk", "attempts": 2 });
    let id = server.raise(&[A, B], alarm).await;
    let callees = server.alarm(&id).await["callees"].clone();
    let link = |place: usize| {
        let callee = callees[place]["id"].as_str().unwrap().parse().unwrap();
        server.app.engine.links.address(&server.base, callee)
    };
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let (ann, bob) = tokio::join!(Chromium::start(), Chromium::start());
    for (browser, place) in [(&ann, 0), (&bob, 1)] {
        size(browser, 360).await;
        browser.open(&link(place)).await;
        browser.sees("disk full on db1").await;
        browser.sees("I take it").await;
        assert!(!browser.text().await.contains("Log in"), "the address is the proof");
    }
    can_be_used(&ann, &axe, "it rings").await;
    assert_eq!(server.state(&id).await, "ringing", "looking does nothing");
    ann.click(".bar .go").await;
    ann.sees("It is yours. Nobody else is rung.").await;
    can_be_used(&ann, &axe, "it is hers").await;
    assert_eq!(server.state(&id).await, "answered");
    // Bob's page is from before: his press changes nothing, and says who has it.
    bob.click(".bar .go").await;
    bob.sees("Your press changed nothing").await;
    bob.sees("Ann takes care of it since").await;
    can_be_used(&bob, &axe, "it is hers, for him").await;
    server.report(&desk, &mid, Some(A)).await;
    ann.open(&link(0)).await;
    ann.click(".sure summary").await;
    ann.click(".sure button").await;
    ann.sees("You have given it back. Others are rung now.").await;
    can_be_used(&ann, &axe, "it is nobody's").await;
    bob.open(&link(1)).await;
    bob.click(".bar form[action$='/decline'] button").await;
    bob.sees("You are not rung again for this alarm.").await;
    can_be_used(&bob, &axe, "he cannot").await;
    for browser in [&ann, &bob] {
        browser.assert_well_behaved(&server.base, &[]).await;
    }
}
