//! What moves on an open page stands still while the line to the server is cut: what stands there is old, and must not look new.

use autocall_tests::proxy::TcpProxy;
use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::chromium::{Chromium, SOON};
use crate::pages::{A, PASSWORD, Phone, add_user, raise};

/// Everything on the page that the script counts, and whether anything is animated right now, also before and behind an element.
const MOVING: &str = "
    const times = [...document.querySelectorAll('time[data-t=since], time[data-t=until], time[data-t=ago]')].map((one) => one.textContent);
    const running = document.getAnimations().filter((one) => one.playState === 'running').length;
    return { times, running };";

/// Counts seconds on its own, in the page's own time, and notes what the page shows at each.
const WATCH: &str = "
    window.seconds = [];
    const look = () => { const moving = (() => { MOVING })(); window.seconds.push(JSON.stringify(moving)); };
    window.watching = setInterval(look, 1000);";

async fn moving(browser: &Chromium) -> Value {
    browser.run(MOVING).await
}

/// What the page shows in each of the next three seconds by its own clock.
async fn three_seconds(browser: &Chromium) -> Vec<Value> {
    browser.run(&WATCH.replace("MOVING", MOVING)).await;
    eventually("three seconds in the page", SOON, async || {
        browser.run("return window.seconds.length >= 3").await.as_bool().filter(|over| *over)
    })
    .await;
    let seconds = browser.run("clearInterval(window.watching); return window.seconds.slice(0, 3)").await;
    seconds.as_array().unwrap().iter().map(|second| serde_json::from_str(second.as_str().unwrap()).unwrap()).collect()
}

async fn is_cut(browser: &Chromium) -> bool {
    let shown = browser.run("return !document.getElementById('lost').hidden").await;
    shown == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_while_the_line_is_cut_and_all_goes_on_afterwards() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    let desk = Phone::pair(&server, "desk").await;
    let line = TcpProxy::start(server.addr()).await;
    let browser = Chromium::start().await;
    browser.log_in(&line.url(&server.url()), "lin", PASSWORD).await;
    browser.run("window.stillHere = true").await;
    raise(&server, "disk full on db1", &[A]).await;
    desk.dial(A).await;
    browser.sees("“desk”").await;
    // A phone that rings: its clock runs, and its dot beats.
    let before = eventually("something to move", SOON, async || {
        let moving = moving(&browser).await;
        (moving["running"].as_u64()? > 0 && !moving["times"].as_array()?.is_empty()).then_some(moving)
    })
    .await;
    eventually("the clocks to run", SOON, async || (moving(&browser).await["times"] != before["times"]).then_some(())).await;

    line.refuse(true).await;
    line.cut_all().await;
    eventually("the note that the line is cut", SOON, async || is_cut(&browser).await.then_some(())).await;
    let still = moving(&browser).await;
    assert_eq!(still["running"], 0, "{still}");
    for second in three_seconds(&browser).await {
        assert_eq!(second, still, "it moves although nobody knows");
    }
    assert!(is_cut(&browser).await, "nothing was heard meanwhile");
    assert!(browser.text().await.contains("disk full on db1"), "what was known stays in sight");

    line.refuse(false).await;
    eventually("the note to go away", SOON, async || (!is_cut(&browser).await).then_some(())).await;
    let again = moving(&browser).await;
    eventually("the clocks to run again", SOON, async || {
        let now = moving(&browser).await;
        (now["times"] != again["times"] && now["running"].as_u64()? > 0).then_some(())
    })
    .await;
    raise(&server, "raised after that", &["18812345678"]).await;
    browser.sees("raised after that").await;
    assert_eq!(browser.run("return window.stillHere").await, true, "the page was never loaded again");
}

/// The same where the line is cut between two pages: a page that never hears anything does not count either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_opened_and_hears_nothing_stands_still() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    let desk = Phone::pair(&server, "desk").await;
    let line = TcpProxy::start(server.addr()).await;
    let browser = Chromium::start().await;
    let base = line.url(&server.url());
    browser.log_in(&base, "lin", PASSWORD).await;
    raise(&server, "disk full on db1", &[A]).await;
    desk.dial(A).await;
    browser.sees("“desk”").await;
    // Only the stream of news does not get through.
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.setBlockedURLs", json!({ "urls": ["*/live?*"] })).await;
    browser.client.refresh().await.unwrap();
    browser.sees("disk full on db1").await;
    eventually("the note that the line is cut", SOON, async || is_cut(&browser).await.then_some(())).await;
    let still = moving(&browser).await;
    assert_eq!(still["running"], 0, "{still}");
    for second in three_seconds(&browser).await {
        assert_eq!(second, still);
    }
    browser.devtools("Network.setBlockedURLs", json!({ "urls": [] })).await;
    eventually("the note to go away", SOON, async || (!is_cut(&browser).await).then_some(())).await;
}
