//! A browser in front of a server that stands below a path of somebody else's host.

use autocall_tests::front::Proxy;
use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;

use crate::chromium::{Chromium, SOON};
use crate::pages::{A, PASSWORD, Phone, add_user, raise};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_logs_in_takes_an_alarm_and_sees_it_change() {
    // Written down, because an address elsewhere says that there is a proxy.
    let options = ServeOptions::new().env("AUTOCALL_HTTP_OPEN_NETWORKS", "127.0.0.0/8");
    let server = Binary::spawn(options.env("AUTOCALL_HTTP_PUBLIC_URL", "http://ops.example.org/autocall/")).await;
    add_user(&server, "lin", "admin").await;
    let desk = Phone::pair(&server, "desk").await;
    let proxy = Proxy::nginx(&format!(
        "server {{ listen 127.0.0.1:PORT; location /autocall/ {{ proxy_pass http://{}/; proxy_http_version 1.1; \
         proxy_set_header Host $http_host; proxy_buffering off; }} }}",
        server.addr()
    ))
    .await;
    let base = format!("http://{}/autocall", proxy.addr);
    let browser = Chromium::start().await;
    // Whoever follows a link to an alarm comes there after the login.
    raise(&server, "disk full on db1", &[A]).await;
    browser.open(&format!("{base}/handsets")).await;
    browser.fill("[name=name]", "lin").await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("form[action='/autocall/login'] button").await;
    eventually("the page that was asked for", SOON, async || (browser.path().await == "/autocall/handsets").then_some(())).await;
    browser.click(".brand").await;
    browser.sees("disk full on db1").await;
    assert_eq!(browser.path().await, "/autocall/");
    let style = "return getComputedStyle(document.querySelector('.panel, .alarm')).borderTopStyle";
    assert_eq!(browser.run(style).await, "solid", "the page has its style");
    browser.run("window.stillHere = true").await;
    let mid = desk.dial(A).await;
    browser.sees("“desk”").await;
    desk.report(&mid, A).await;
    browser.sees("answered, not confirmed").await;
    assert_eq!(browser.run("return window.stillHere").await, true, "the page changed without being loaded again");
    // Forms and links that came with the news lead to where the page's own lead.
    let link = browser.run("return document.querySelector('.lines a[href^=\"/autocall/alarms/\"]').getAttribute('href')").await;
    browser.open(&format!("http://{}{}", proxy.addr, link.as_str().unwrap())).await;
    browser.click(".bar .go").await;
    browser.sees("It is yours").await;
    browser.sees("took it after").await;
    browser.open(&format!("{base}/?lang=zh")).await;
    browser.open(&format!("{base}/people")).await;
    browser.sees("还没有人员").await;
    browser.assert_well_behaved(&format!("http://{}/autocall/", proxy.addr), &[]).await;
}
