//! The duty roster in a browser: a time is chosen by dragging, by the keyboard, and on a small screen.

use autocall_tests::server::{Binary, ServeOptions, autocall};
use serde_json::json;

use crate::chromium::Chromium;

const PASSWORD: &str = "correct horse battery";

async fn command(server: &Binary, args: &[&str]) {
    let folder = server.data_dir();
    let output = autocall(args, &[("AUTOCALL_DATA_DIR", folder.to_str().unwrap())]).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server with a schedule of two people, and a browser of somebody who may change it, on its page.
async fn open_calendar() -> (Binary, Chromium) {
    let server = Binary::spawn(ServeOptions::new()).await;
    let file = server.data_dir().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    command(&server, &["user", "add", "--name", "lin", "--role", "admin", "--password-file", file.to_str().unwrap()]).await;
    let people = server.data_dir().join("people.csv");
    std::fs::write(&people, "name,numbers\nAnn,18712345678\nBob,18812345678\n").unwrap();
    command(&server, &["people", "import", people.to_str().unwrap()]).await;
    command(&server, &["roster", "add-schedule", "ops", "--zone", "America/New_York"]).await;
    let rotation = ["--people", "Ann,Bob", "--every", "1 day", "--start", "2026-11-16T09:00"];
    command(&server, &[&["roster", "set-rotation", "ops"][..], &rotation].concat()).await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.sees("On duty").await;
    browser.open(&format!("{}/roster", server.url())).await;
    browser.click(".schedules h2 a").await;
    browser.sees("Change who is on duty").await;
    (server, browser)
}

async fn value(browser: &Chromium, field: &str) -> String {
    let script = format!("return document.querySelector('#override [name={field}]').value");
    browser.run(&script).await.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dragging_over_the_calendar_chooses_a_time() {
    let (server, browser) = open_calendar().await;
    browser.open(&format!("{}{}?day=2026-12-02", server.url(), browser.path().await)).await;
    let drag = "const strip = document.querySelector('.strip'), box = strip.getBoundingClientRect();
        const at = (part) => ({ clientX: box.left + part * box.width, clientY: box.top + 40, pointerType: 'mouse', button: 0, pointerId: 1, bubbles: true });
        strip.setPointerCapture = () => {};
        strip.dispatchEvent(new PointerEvent('pointerdown', at(2 / 7)));
        strip.dispatchEvent(new PointerEvent('pointermove', at(2.5 / 7)));
        strip.dispatchEvent(new PointerEvent('pointermove', at(3.5 / 7)));
        strip.dispatchEvent(new PointerEvent('pointerup', at(3.5 / 7)));";
    browser.run(drag).await;
    let chosen = (value(&browser, "from").await, value(&browser, "to").await);
    assert_eq!(chosen, ("2026-12-02T00:00".to_owned(), "2026-12-03T12:00".to_owned()), "wall times of the schedule's zone");
    let script = "return document.activeElement.name";
    assert_eq!(browser.run(script).await, "person", "the keyboard goes on from there");
    browser.run("document.querySelector('#override [name=person]').value = 'Bob'").await;
    browser.click("#override button").await;
    // What it does is shown before it is saved.
    browser.sees("Nothing is saved yet.").await;
    browser.click(".acts button").await;
    browser.sees("Bob takes over").await;
    browser.assert_well_behaved(&server.url(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_is_chosen_with_a_finger_on_a_small_screen() {
    let (server, browser) = open_calendar().await;
    let page = browser.path().await;
    browser.client.set_window_size(360, 740).await.unwrap();
    for path in ["/roster", &page, &format!("{page}?view=month")] {
        browser.open(&format!("{}{path}", server.url())).await;
        let too_wide = browser.run("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(too_wide.as_i64().unwrap() <= 0, "{path} is {too_wide} px too wide");
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })").await;
        let small = "return [...document.querySelectorAll('button, summary, input:not([type=hidden]), select, nav a, .agenda a')]
            .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44).map((one) => one.outerHTML)";
        assert_eq!(browser.run(small).await, json!([]), "{path}");
        let unnamed = "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
            .filter((one) => !one.labels.length).map((one) => one.outerHTML)";
        assert_eq!(browser.run(unnamed).await, json!([]), "{path}");
    }
    browser.open(&format!("{}{page}?day=2026-12-02", server.url())).await;
    browser.click(".agenda li:nth-child(3) a").await;
    browser.sees("Change who is on duty").await;
    let chosen = (value(&browser, "from").await, value(&browser, "to").await);
    assert_eq!(chosen, ("2026-12-01T09:00".to_owned(), "2026-12-02T09:00".to_owned()));
    browser.assert_well_behaved(&server.url(), &[]).await;
}
