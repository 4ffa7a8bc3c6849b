//! Public numbers in a browser: the preview follows typing, a number is handed over with a thumb, a window is of the reader's zone.

use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::chromium::{Chromium, SOON};
use crate::pages::{A, B, PASSWORD, add_user, command};

/// A server with two people, and a gateway.
async fn equipped() -> Binary {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "admin").await;
    let people = server.data_dir().join("people.csv");
    std::fs::write(&people, format!("name,numbers\nAnn,{A}\nBob,{B}\n")).unwrap();
    command(&server, &["people", "import", people.to_str().unwrap()]).await;
    command(&server, &["handset", "add", "--name", "pixel", "--profile", "native"]).await;
    command(&server, &["gateway", "add", "--name", "phone", "--kind", "handset", "--handset", "pixel"]).await;
    server
}

/// What is in a list of the API.
async fn items(server: &Binary, path: &str) -> Value {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    http.get(format!("{}{path}", server.url())).send().await.unwrap().json::<Value>().await.unwrap()["items"].take()
}

async fn choose(browser: &Chromium, field: &str, value: &str) {
    let script = format!(
        "const field = document.querySelector('[name={field}]'); field.value = '{value}'; \
         field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    );
    browser.run(&script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_follows_what_is_typed() {
    let server = equipped().await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.open(&format!("{}/numbers/new", server.url())).await;
    browser.sees("you see here what the phone would be sent").await;
    browser.run("window.stillHere = true").await;
    browser.fill("[name=name]", "ops").await;
    browser.fill("[name=number]", "13300001111").await;
    browser.fill("[name=android]", "11").await;
    choose(&browser, "gateway", "phone").await;
    choose(&browser, "carrier", "china-telecom").await;
    browser.sees("|*7213300001111|autocall|alertcall").await;
    browser.sees("of 160 characters").await;
    browser.fill("[name=text]", "今天你值班").await;
    browser.sees("|*7213300001111|autocall|alertcall 今天你值班").await;
    browser.sees("40 of 70 characters").await;
    let red = "return getComputedStyle(document.querySelector('#preview .room')).color \
         === getComputedStyle(Object.assign(document.body.appendChild(document.createElement('p')), { className: 'note bad' })).color";
    assert_eq!(browser.run(red).await, false);
    browser.fill("[name=text]", &"班".repeat(60)).await;
    browser.sees("95 of 70 characters").await;
    assert_eq!(browser.run(red).await, true, "what does not fit is red");
    browser.sees("Too long").await;
    browser.fill("[name=text]", "你值班").await;
    browser.sees("38 of 70 characters").await;
    assert_eq!(browser.run(red).await, false);
    choose(&browser, "android", "14").await;
    browser.sees("default dialler").await;
    choose(&browser, "android", "13").await;
    browser.sees("38 of 70 characters").await;
    assert_eq!(browser.run("return window.stillHere").await, true, "the page was never loaded again");
    assert_eq!(browser.run("return document.activeElement.name").await, "text", "and the focus stays");
    assert_eq!(items(&server, "/api/v1/lines").await, json!([]));
    browser.click("#line .go").await;
    browser.sees("Follows nobody").await;
    assert_eq!(items(&server, "/api/v1/lines").await[0]["text"], "你值班");

    // At 3 a.m., with a thumb.
    browser.client.set_window_size(360, 740).await.unwrap();
    browser.click(".handset summary").await;
    browser.run("document.querySelector('[name=person]').selectedIndex = 2").await;
    browser.click(".handset .go").await;
    browser.sees("on its way").await;
    let forwarded = items(&server, "/api/v1/lines").await[0]["forwarded"].clone();
    assert_eq!((forwarded["person"].as_str(), forwarded["why"].as_str()), (Some("Bob"), Some("person")));
    browser.assert_well_behaved(&server.url(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_of_the_readers_zone() {
    let server = equipped().await;
    let browser = Chromium::start_in("Asia/Shanghai").await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.open(&format!("{}/maintenance/new", server.url())).await;
    browser.sees("What is being done").await;
    assert!(!browser.text().await.contains("in UTC"), "the script says what the times mean");
    browser.fill("[name=reason]", "new switch").await;
    browser.fill("[name=team]", "network").await;
    // On the reader's clock, from tomorrow at 12:00 to 13:00; and each is the instant that it is.
    let typed = "const day = new Date(Date.now() + 864e5), pad = (n) => String(n).padStart(2, '0'); day.setHours(12, 0, 0, 0);
        const date = `${day.getFullYear()}-${pad(day.getMonth() + 1)}-${pad(day.getDate())}`;
        document.querySelector('[name=from]').value = `${date}T12:00`; document.querySelector('[name=to]').value = `${date}T13:00`;
        return [day.toISOString(), new Date(+day + 36e5).toISOString()].map((at) => at.replace('.000', ''))";
    let wanted = browser.run(typed).await;
    browser.click("form[action='/maintenance/new'] .go").await;
    browser.sees("to come").await;
    let window = items(&server, "/api/v1/maintenance").await[0].clone();
    assert_eq!(json!([window["starts_at"], window["ends_at"]]), wanted);
    browser.sees("12:00 –").await;
    browser.assert_well_behaved(&server.url(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_fits_a_small_screen_and_a_thumb() {
    let server = equipped().await;
    let line = ["--number", "13300001111", "--carrier", "china-telecom", "--android", "11", "--gateway", "phone"];
    command(&server, &[&["line", "add", "--name", "ops"][..], &line].concat()).await;
    command(&server, &["heartbeat", "add", "--name", "backup", "--period", "60", "--phones", A]).await;
    command(&server, &["maintenance", "add", "--reason", "new switch", "--minutes", "90", "--team", "db"]).await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    let page = |kind: &str, id: &Value| format!("/{kind}/{}", id.as_str().unwrap());
    let own = [
        page("numbers", &items(&server, "/api/v1/lines").await[0]["id"]),
        page("gateways", &items(&server, "/api/v1/sms/gateways").await[0]["id"]),
        page("heartbeats", &items(&server, "/api/v1/heartbeats").await[0]["id"]),
    ];
    let others = [
        "/numbers",
        "/watch",
        "/gateways",
        "/numbers/new",
        "/gateways/new",
        "/gateways/new?kind=http",
        "/heartbeats/new",
        "/maintenance/new",
    ];
    for (width, height) in [(360, 740), (1280, 900)] {
        browser.client.set_window_size(width, height).await.unwrap();
        for path in own.iter().map(String::as_str).chain(others) {
            browser.open(&format!("{}{path}", server.url())).await;
            browser.run("document.querySelectorAll('main details').forEach((one) => { one.open = true; })").await;
            let too_wide = browser.run("return document.documentElement.scrollWidth - innerWidth").await;
            assert!(too_wide.as_i64().unwrap() <= 0, "{path} is {too_wide} px too wide");
            let small = "return [...document.querySelectorAll('main button, main summary, main input:not([type=hidden]), main select, main .button')]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44).map((one) => one.outerHTML)";
            assert_eq!(browser.run(small).await, json!([]), "{path}");
            let unnamed = "return [...document.querySelectorAll('main input:not([type=hidden]), main select, main textarea')]
                .filter((one) => !one.labels.length).map((one) => one.outerHTML)";
            assert_eq!(browser.run(unnamed).await, json!([]), "{path}");
            let ids = "const ids = [...document.querySelectorAll('[id]')].map((one) => one.id); return ids.filter((id, at) => ids.indexOf(id) !== at)";
            assert_eq!(browser.run(ids).await, json!([]), "{path}: each id is there once");
        }
    }
    browser.assert_well_behaved(&server.url(), &[]).await;
    // Without an answer the preview does not pretend to be what would be sent.
    browser.open(&format!("{}{}", server.url(), own[0])).await;
    browser.sees("|*7213300001111|").await;
    let mut server = server;
    server.kill_9();
    browser.fill("[name=text]", "later").await;
    let old = async || (browser.run("return document.getElementById('preview').className").await == "panel old").then_some(());
    eventually("the preview to be marked", SOON, old).await;
}
