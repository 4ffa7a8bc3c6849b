//! Escalation as people see it: a confirmation that is waited for, a ladder that moves, a time that is typed, a policy that is made.

use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::chromium::{Chromium, SOON};
use crate::pages::{A, B, PASSWORD, Phone, add_user};

async fn raise(server: &Binary, more: Value) -> String {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let mut body = json!({ "summary": "disk full on db1", "phones": [A, B], "attempts": 1 });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let answer = http.post(format!("{}/api/v1/alarms", server.url())).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let alarm: Value = answer.json().await.unwrap();
    alarm["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_is_waited_for_without_loading_again() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    let desk = Phone::pair(&server, "desk").await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.sees("First steps").await;
    browser.run("window.stillHere = true").await;
    raise(&server, json!({ "confirm_within_seconds": 600 })).await;
    let mid = desk.dial(A).await;
    browser.sees("“desk”").await;
    desk.report(&mid, A).await;
    browser.sees("Unless somebody takes it, ringing goes on in").await;
    // It counts down in the browser.
    let left = "return document.querySelector('.waits time').innerText";
    let before = browser.run(left).await;
    assert!(before.as_str().unwrap().starts_with("9:"), "{before}");
    let smaller = async || {
        let now = browser.run(left).await;
        (now.as_str().unwrap() < before.as_str().unwrap()).then_some(())
    };
    eventually("the countdown to move", SOON, smaller).await;
    assert_eq!(browser.run("return window.stillHere").await, true);
    browser.click(".alarm .go").await;
    browser.sees("It is yours").await;
    browser.sees("confirmed").await;
    browser.assert_well_behaved(&server.url(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_somebody_off_moves_the_ladder() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    add_user(&server, "eve", "viewer").await;
    let (desk, rack) = (Phone::pair(&server, "desk").await, Phone::pair(&server, "rack").await);
    let (lin, eve) = tokio::join!(Chromium::start(), Chromium::start());
    let base = server.url();
    tokio::join!(lin.log_in(&base, "lin", PASSWORD), eve.log_in(&base, "eve", PASSWORD));
    let id = raise(&server, json!({})).await;
    let page = format!("{base}/alarms/{id}");
    tokio::join!(lin.open(&page), eve.open(&page));
    desk.dial(A).await;
    tokio::join!(lin.sees("“desk”"), eve.sees("“desk”"));
    eve.run("window.stillHere = true").await;
    lin.click(".ladder .now .take-off button").await;
    lin.sees("Taken off").await;
    eve.sees("taken off").await;
    rack.dial(B).await;
    tokio::join!(lin.sees("“rack”"), eve.sees("“rack”"));
    assert_eq!(eve.run("return document.querySelectorAll('.ladder .off').length").await, 1);
    assert_eq!(eve.run("return window.stillHere").await, true, "the page was never loaded again");
    assert_eq!(eve.run("return document.querySelectorAll('form[action^=\"/alarms\"]').length").await, 0);
    lin.assert_well_behaved(&base, &[]).await;
    eve.assert_well_behaved(&base, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_is_of_the_readers_zone_and_an_open_form_survives_an_update() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    let desk = Phone::pair(&server, "desk").await;
    let browser = Chromium::start_in("Asia/Shanghai").await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    let id = raise(&server, json!({ "phones": [A] })).await;
    browser.open(&format!("{}/alarms/{id}", server.url())).await;
    browser.click("#more summary").await;
    browser.fill("#write textarea", "half a sentence").await;
    desk.dial(A).await;
    browser.sees("“desk”").await;
    assert_eq!(browser.run("return document.querySelector('#write textarea').value").await, "half a sentence");
    assert!(!browser.text().await.contains("in UTC"), "the script says what the time means");
    // Noon tomorrow, on the reader's clock.
    let noon = "const at = new Date(Date.now() + 864e5); at.setHours(12, 0, 0, 0);";
    let typed = "document.querySelector('#snooze-until [name=until]').value = \
         `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}T12:00`;";
    let wanted = browser.run(&format!("{noon} {typed} return at.toISOString().replace('.000', '')")).await;
    browser.click("#snooze-until button").await;
    browser.sees("Put off: nobody is rung before").await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let alarm: Value = http.get(format!("{}/api/v1/alarms/{id}", server.url())).send().await.unwrap().json().await.unwrap();
    assert_eq!(alarm["snoozed_until"], wanted);
    browser.assert_well_behaved(&server.url(), &[]).await;
}
