//! Woken at 3 a.m.: a phone of 360 px, a link, one thumb.

use autocall_tests::server::{Binary, ServeOptions};
use serde_json::json;

use crate::chromium::Chromium;
use crate::pages::{A, B, PASSWORD, Phone, add_user, raise};

/// Whether the bar stands at the bottom of the screen, with buttons for a thumb, and covers nothing once one has scrolled to the end.
const BAR: &str = "
    const bar = document.querySelector('.bar').getBoundingClientRect();
    scrollTo(0, document.documentElement.scrollHeight);
    const last = [...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && !one.closest('.bar'));
    const lowest = Math.max(...last.map((one) => one.getBoundingClientRect()).filter((box) => box.height).map((box) => box.bottom));
    const buttons = [...document.querySelectorAll('.bar button')].map((one) => one.getBoundingClientRect().height);
    return { atBottom: Math.abs(bar.bottom - innerHeight) < 1, free: lowest <= bar.top, least: Math.min(...buttons) };";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bar_is_under_the_thumb_and_hides_nothing() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    let desk = Phone::pair(&server, "desk").await;
    raise(&server, "disk full on db1", &[A, B]).await;
    desk.dial(A).await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.client.set_window_size(360, 740).await.unwrap();
    let alarm = browser.run("return document.querySelector('.alarm h3 a').getAttribute('href')").await;
    browser.open(&format!("{}{}", server.url(), alarm.as_str().unwrap())).await;
    browser.sees("I take it").await;
    let bar = browser.run(BAR).await;
    assert_eq!((&bar["atBottom"], &bar["free"]), (&json!(true), &json!(true)), "{bar}");
    assert!(bar["least"].as_f64().unwrap() >= 44.0, "{bar}");
    browser.click(".bar .go").await;
    browser.sees("It is yours").await;
    browser.assert_well_behaved(&server.url(), &[]).await;
}

/// What makes sound and tells, as a browser has it in which nothing is heard until somebody lets it.
const SOUND: &str = "
    window.rang = 0; window.told = []; window.mayBeHeard = false;
    window.AudioContext = class {
      state = 'suspended'; currentTime = 0; destination = null; onstatechange = null;
      async resume() {
        if (!window.mayBeHeard) return new Promise(() => {});
        this.state = 'running';
        this.onstatechange?.();
      }
    };
    window.GainNode = class { gain = { setValueAtTime() {}, linearRampToValueAtTime() {} }; connect(to) { return to; } };
    window.OscillatorNode = class { connect(to) { return to; } start() { window.rang += 1; } stop() {} };
    window.Notification = class { static permission = 'granted'; constructor(summary) { window.told.push(summary); } };";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sound_says_whether_it_is_heard_and_a_line_rings_too() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    raise(&server, "disk full on db1", &[A, B]).await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.sees("disk full on db1").await;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": SOUND })).await;
    browser.run("localStorage.setItem('autocall.desk', 'on')").await;
    browser.open(&format!("{}/?view=dense&done=acknowledged", server.url())).await;
    browser.sees("press once to hear it").await;
    assert_eq!(browser.run("return location.search").await, "?view=dense", "what was done is said once, in the same view");
    // The first press only wakes it.
    browser.run("window.mayBeHeard = true").await;
    browser.click("#desk button").await;
    let said = browser.run("return document.querySelector('#desk button').textContent").await;
    assert_eq!(said, "Sound for new alarms: on");
    let state = "return [window.rang, localStorage.getItem('autocall.desk'), window.told]";
    assert_eq!(browser.run(state).await, json!([3, "on", []]), "and is heard");
    // For somebody else, or it would join the first.
    raise(&server, "lag on db2", &["18912345678"]).await;
    browser.sees("lag on db2").await;
    assert_eq!(browser.run(state).await, json!([6, "on", ["lag on db2"]]));
    browser.click("#desk button").await;
    browser.sees("Sound for new alarms: off").await;
    browser.assert_well_behaved(&server.url(), &[]).await;
}
