//! What people see: the first login, a ladder that moves, an answer that appears, a server that dies and comes back, forms.

use std::time::Duration;

use autocall_tests::markdown::examples_in;
use autocall_tests::postgres::{PrivatePostgres, fresh_schema};
use autocall_tests::server::{Binary, ServeOptions, autocall};
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::chromium::{Chromium, SOON};

pub const PASSWORD: &str = "correct horse battery";
pub const A: &str = "18712345678";
pub const B: &str = "18812345678";

pub async fn command(server: &Binary, args: &[&str]) -> String {
    let folder = server.data_dir();
    let output = autocall(args, &[("AUTOCALL_DATA_DIR", folder.to_str().unwrap())]).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub async fn add_user(server: &Binary, name: &str, role: &str) {
    let file = server.data_dir().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    command(server, &["user", "add", "--name", name, "--role", role, "--password-file", file.to_str().unwrap()]).await;
}

/// A phone that does what the test says.
pub struct Phone {
    address: String,
    http: reqwest::Client,
}

impl Phone {
    pub async fn pair(server: &Binary, name: &str) -> Self {
        let told = command(server, &["handset", "add", "--name", name, "--profile", "app"]).await;
        let (_, rest) = told.split_once("/h/").unwrap();
        let token = rest.split('/').next().unwrap();
        let http = autocall_tests::http_client().no_proxy().build().unwrap();
        Self { address: format!("{}/h/{token}/alert/phone", server.url()), http }
    }

    /// Polls until it is given a number; its mid.
    pub async fn dial(&self, number: &str) -> String {
        eventually("a number to dial", SOON, async || {
            let answer: Value =
                self.http.get(&self.address).header("user-agent", "okhttp/3.10.0").send().await.ok()?.json().await.ok()?;
            (answer["phone"] == json!([number])).then(|| answer["mid"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// Asks until there is nothing to do.
    pub async fn is_idle(&self) {
        eventually("nothing to dial", SOON, async || {
            let answer = self.http.get(&self.address).header("user-agent", "okhttp/3.10.0").send().await.ok()?;
            (answer.json::<Value>().await.ok()?["code"] == 1).then_some(())
        })
        .await;
    }

    pub async fn report(&self, mid: &str, resp: &str) {
        let answer = self.http.post(format!("{}?mid={mid}&resp={resp}", self.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

pub async fn raise(server: &Binary, summary: &str, phones: &[&str]) {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let body = json!({ "summary": summary, "phones": phones });
    assert_eq!(http.post(format!("{}/api/v1/alarms", server.url())).json(&body).send().await.unwrap().status(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_admin_gets_in_and_pairs_a_handset() {
    let server = Binary::spawn(ServeOptions::new()).await;
    let written = std::fs::read_to_string(server.data_dir().join("first-login.txt")).unwrap();
    let path = &written.trim()[written.find("/setup").unwrap()..];
    let browser = Chromium::start().await;
    browser.open(&server.url()).await;
    browser.sees("Nobody can log in yet").await;
    browser.open(&format!("{}{path}", server.url())).await;
    browser.fill("[name=name]", "林").await;
    browser.fill("[name=password]", PASSWORD).await;
    browser.click("form[action='/setup'] button").await;
    browser.sees("First steps").await;
    browser.sees("curl http://127.0.0.1:").await;

    browser.open(&format!("{}/handsets", server.url())).await;
    browser.fill("#add [name=name]", "desk").await;
    browser.click("#add button").await;
    browser.sees("“desk” is paired").await;
    assert!(browser.text().await.contains("/alert/phone"));
    browser.open(&format!("{}/handsets", server.url())).await;
    browser.sees("never polled").await;
    browser.fill("#add [name=name]", "desk").await;
    browser.click("#add button").await;
    browser.sees("There is a handset of that name").await;
    browser.open(&format!("{}/people?lang=zh", server.url())).await;
    browser.sees("还没有人员").await;
    browser.fill("#add [name=name]", "张伟").await;
    browser.fill("#add [name=numbers]", "110").await;
    browser.click("#add button").await;
    browser.sees("110 无法拨打").await;
    browser.fill("#add [name=numbers]", A).await;
    browser.click("#add button").await;
    browser.sees("已保存").await;
    browser.sees("+8618712345678").await;
    // Refused forms answer 422, and Chromium notes that; nothing else may be noted.
    browser.assert_well_behaved(&server.url(), &["422"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ladder_moves_and_an_answer_appears_in_two_browsers() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    add_user(&server, "eve", "viewer").await;
    let desk = Phone::pair(&server, "desk").await;
    let (lin, eve) = tokio::join!(Chromium::start(), Chromium::start());
    let base = server.url();
    tokio::join!(lin.log_in(&base, "lin", PASSWORD), eve.log_in(&base, "eve", PASSWORD));
    for browser in [&lin, &eve] {
        browser.sees("First steps").await;
        browser.run("window.stillHere = true").await;
    }
    raise(&server, "disk full on db1", &[A, B]).await;
    tokio::join!(lin.sees("disk full on db1"), eve.sees("disk full on db1"));
    let mid = desk.dial(A).await;
    tokio::join!(lin.sees("“desk”"), eve.sees("“desk”"));
    assert_eq!(lin.run("return document.querySelectorAll('.ladder .now').length").await, 1);
    assert_eq!(lin.client.title().await.unwrap(), "1 ringing · AutoCall");
    // The clock runs in the browser, and an update does not take the focus away.
    lin.run("document.querySelector('.alarm .go').focus(); window.button = document.activeElement").await;
    let clock = "return document.querySelector('.alarm .clock').innerText";
    let before = lin.run(clock).await;
    eventually("the clock to move", SOON, async || (lin.run(clock).await != before).then_some(())).await;
    raise(&server, "another one", &[B]).await;
    lin.sees("another one").await;
    assert_eq!(lin.run("return document.activeElement === window.button").await, true, "the focus stays where it was");
    assert!(lin.text().await.contains("18712345678"));
    assert!(!eve.text().await.contains("18712345678"), "a viewer sees no whole number");
    desk.report(&mid, A).await;
    tokio::join!(lin.sees("answered, not confirmed"), eve.sees("answered, not confirmed"));
    for browser in [&lin, &eve] {
        assert_eq!(browser.run("return window.stillHere").await, true, "the page was never loaded again");
    }
    lin.click(".alarm .go").await;
    tokio::join!(lin.sees("It is yours"), eve.sees("took it after"));
    assert_eq!(eve.run("return document.querySelectorAll('.acts').length").await, 0, "a viewer has no buttons");
    lin.assert_well_behaved(&base, &[]).await;
    eve.assert_well_behaved(&base, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_heals_when_the_server_comes_back() {
    let mut server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.sees("First steps").await;
    browser.run("window.stillHere = true").await;
    server.kill_9();
    browser.sees("Connection lost").await;
    server.restart().await;
    raise(&server, "raised after the restart", &[A]).await;
    browser.sees("raised after the restart").await;
    eventually("the note to go away", SOON, async || (!browser.text().await.contains("Connection lost")).then_some(())).await;
    assert_eq!(browser.run("return window.stillHere").await, true);
    browser.assert_well_behaved(&server.url(), &["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]).await;
    // A session that is over leads to the login.
    command(&server, &["user", "disable", "lin"]).await;
    eventually("the login", SOON, async || (browser.path().await == "/login").then_some(())).await;
    tokio::time::timeout(Duration::from_secs(20), server.terminate_and_wait()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_notices_that_its_connection_is_dead_and_says_only_once_what_was_done() {
    let mut server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "responder").await;
    raise(&server, "disk full on db1", &[A]).await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.click(".alarm .go").await;
    browser.sees("It is yours").await;
    assert_eq!(browser.client.current_url().await.unwrap().query(), None, "a reload does not say it again");
    browser.client.refresh().await.unwrap();
    browser.sees("took it after").await;
    assert!(!browser.text().await.contains("It is yours"));

    // The connection stays open, and nothing comes: as when a laptop wakes up in another network.
    server.freeze();
    browser.run("const real = Date.now; Date.now = () => real() + 60000").await;
    browser.sees("Connection lost").await;
    server.thaw();
    browser.run("const shifted = Date.now; Date.now = () => shifted() - 60000").await;
    eventually("the note to go away", SOON, async || (!browser.text().await.contains("Connection lost")).then_some(())).await;
    raise(&server, "raised after that", &[A]).await;
    browser.sees("raised after that").await;
}

/// The stream itself cannot say why it is refused, and a page that is silently old looks as if nothing happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_for_which_there_is_no_room_says_so() {
    let server = Binary::spawn(ServeOptions::new().config("[http]\nmax_pages = 1\n")).await;
    add_user(&server, "lin", "responder").await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.sees("First steps").await;
    raise(&server, "disk full on db1", &[A]).await;
    browser.sees("disk full on db1").await;
    // The page has the one place there is; this asks for another.
    browser.run("listen(document.getElementById('lost'))").await;
    browser.sees("This page is not kept up to date").await;
    assert!(!browser.text().await.contains("Connection lost"), "it says one thing, the right one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_page_says_that_the_database_is_away_and_heals() {
    let mut postgres = PrivatePostgres::start().await;
    let schema = fresh_schema(&postgres.url()).await;
    let server = Binary::spawn(ServeOptions::new().database(schema.url.clone())).await;
    let file = server.data_dir().join("password");
    std::fs::create_dir_all(server.data_dir()).unwrap();
    std::fs::write(&file, PASSWORD).unwrap();
    let args = ["user", "add", "--name", "lin", "--role", "responder", "--password-file", file.to_str().unwrap()];
    assert!(autocall(&args, &[("DATABASE_URL", &schema.url)]).await.status.success());
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    raise(&server, "disk full on db1", &[A]).await;
    browser.sees("disk full on db1").await;
    browser.run("window.stillHere = true").await;
    postgres.stop().await;
    browser.sees("The database is away").await;
    assert!(browser.text().await.contains("disk full on db1"), "what was known stays in sight");
    postgres.start_again().await;
    eventually("the note to go away", SOON, async || (!browser.text().await.contains("The database is away")).then_some(()))
        .await;
    assert_eq!(browser.run("return window.stillHere").await, true, "the page was never loaded again");
    raise(&server, "raised after that", &[A]).await;
    browser.sees("raised after that").await;

    // Whoever loads a page meanwhile is told as well, and the page has its style.
    postgres.stop().await;
    browser.open(&format!("{}/alarms", server.url())).await;
    browser.sees("The database is away").await;
    let style = "return getComputedStyle(document.querySelector('.panel')).borderTopStyle";
    assert_eq!(browser.run(style).await, "solid");
    postgres.start_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_small_screen_and_have_no_small_targets() {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "admin").await;
    let desk = Phone::pair(&server, "desk").await;
    raise(&server, "a_very_long_summary_without_any_blank_in_it_that_has_to_be_broken_somewhere_or_else_it_sticks_out", &[A, B])
        .await;
    raise(&server, "\u{202e}drawkcab \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{1f525}\u{1f468}\u{200d}\u{1f692}<b>&amp;", &[B]).await;
    desk.dial(A).await;
    command(&server, &["gateway", "add", "--name", "phone", "--kind", "handset", "--handset", "desk"]).await;
    let line =
        ["line", "add", "--name", "operations_of_the_whole_company_without_any_blank", "--number", B, "--carrier", "verizon"];
    command(&server, &[&line[..], &["--android", "11", "--gateway", "phone"]].concat()).await;
    command(&server, &["heartbeat", "add", "--name", "backup", "--period", "600", "--phones", A]).await;
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    browser.client.set_window_size(360, 740).await.unwrap();
    let alarm = browser.run("return document.querySelector('.alarm h3 a').getAttribute('href')").await;
    let alarm = alarm.as_str().unwrap();
    let others = [
        "/alarms",
        "/handsets",
        "/people",
        "/numbers",
        "/watch",
        "/gateways",
        "/notices",
        "/notices/new",
        "/notices/new?shape=email",
        "/quiet-hours",
        "/people/me",
        "/?view=dense",
        "/?view=wall",
        "/api",
        "/roster",
        "/users",
        "/password",
        "/policies",
        "/policies/new",
        "/policies/rules",
        "/senders",
        "/senders/one?sender=(unknown)",
        "/connect",
        "/system",
        "/audit",
    ];
    for path in ["/", alarm].iter().chain(&others) {
        browser.open(&format!("{}{path}", server.url())).await;
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true })").await;
        let too_wide = browser.run("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(too_wide.as_i64().unwrap() <= 0, "{path} is {too_wide} px too wide");
        let small = "return [...document.querySelectorAll('button, summary, input:not([type=hidden]), select, .across a, .sheet a, .menu a')]
            .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44).map((one) => one.outerHTML)";
        assert_eq!(browser.run(small).await, json!([]), "{path}");
        let unnamed = "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
            .filter((one) => !one.labels.length).map((one) => one.outerHTML)";
        assert_eq!(browser.run(unnamed).await, json!([]), "{path}");
    }
    browser.assert_well_behaved(&server.url(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_program_of_a_page_hears_of_its_call() {
    let server = Binary::spawn(ServeOptions::new()).await;
    let desk = Phone::pair(&server, "desk").await;
    let key = command(&server, &["key", "add", "--name", "page", "--calls"]).await;
    let documented = examples_in("docs/call-rpc.md").into_iter().find(|example| example.name == "javascript").unwrap();
    let browser = Chromium::start().await;
    browser.open(&server.url()).await;
    // It has to have asked, or nobody is there to call.
    desk.is_idle().await;
    let begin = format!(
        "{}\nwindow.told = []; call('{}', '{}', '{A}', (text) => window.told.push(text));",
        documented.code,
        server.url(),
        key.trim()
    );
    browser.run(&begin).await;
    let mid = desk.dial(A).await;
    desk.report(&mid, A).await;
    eventually("the page to hear that its call is over", SOON, async || {
        let told = browser.run("return window.told").await;
        (told.as_array()?.last()? == "sys.call.on_released").then_some(())
    })
    .await;
}
