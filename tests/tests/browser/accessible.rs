//! Every page that a link leads to, whoever reads it: axe-core finds nothing against WCAG 2.2 AA, nothing sticks out at any width, and
//! every target is large enough, in four languages, light and dark, with the longest content.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use autocall_tests::server::{Binary, ServeOptions};
use serde_json::json;

use crate::chromium::Chromium;
use crate::pages::{A, B, PASSWORD, Phone, add_user, command, raise};

/// One name without a place to break it, and one that is not written in Latin letters.
const LONG: &str = "operations_of_the_whole_company_and_others_without_any_blank";
/// Pages of one kind, such as those of two alarms, are looked at so often.
const OF_A_KIND: usize = 2;
/// More than there are; a crawl that never ends is a fault of its own.
const MOST_PAGES: usize = 160;
const WIDTHS: [u32; 4] = [360, 768, 1280, 1920];

/// The text of axe-core, which `tests/api-tools` installs.
fn axe() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let made = Command::new(root.join("tests/api-tools")).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "tests/api-tools must be able to install its packages");
    let folder = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
    std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap()
}

/// A server on which there is something to see on every page.
async fn lively() -> Binary {
    let server = Binary::spawn(ServeOptions::new()).await;
    add_user(&server, "lin", "admin").await;
    let desk = Phone::pair(&server, "desk").await;
    let people = server.data_dir().join("people.csv");
    std::fs::write(&people, format!("name,numbers\n{LONG},+8618712345678\n木村太郎,+819012345678\nAnn,18812345678\n")).unwrap();
    command(&server, &["people", "import", people.to_str().unwrap()]).await;
    command(&server, &["gateway", "add", "--name", "phone", "--kind", "handset", "--handset", "desk"]).await;
    let line = ["line", "add", "--name", LONG, "--number", B, "--carrier", "verizon", "--android", "11", "--gateway", "phone"];
    command(&server, &line).await;
    command(&server, &["heartbeat", "add", "--name", "backup", "--period", "600", "--phones", A]).await;
    command(&server, &["key", "add", "--name", LONG, "--calls"]).await;
    command(&server, &["roster", "add-schedule", LONG, "--zone", "Europe/Berlin", "--gaps-allowed"]).await;
    let shifts = server.data_dir().join("shifts.csv");
    // Whatever day it is, somebody is on duty.
    std::fs::write(&shifts, format!("start,end,person\n2020-01-01 09:00,2099-01-01 09:00,{LONG}\n")).unwrap();
    command(&server, &["roster", "import", LONG, shifts.to_str().unwrap()]).await;
    raise(&server, LONG, &[A, B]).await;
    let mid = desk.dial(A).await;
    desk.report(&mid, A).await;
    raise(&server, "\u{202e}drawkcab \u{5e9}\u{5dc}\u{5d5}\u{5dd} <b>&amp; https://wiki.example.com/runbooks/disk", &[B]).await;
    desk.dial(B).await;
    let knock = autocall_tests::http_client().no_proxy().build().unwrap();
    knock.get(format!("{}/alert/phone", server.url())).header("user-agent", "okhttp/3.10.0").send().await.unwrap();
    server
}

/// What pages are of one kind: their path, with what names one thing left out, and the names of what their address asks for.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_one = |part: &&str| part.len() > 12 && part.chars().any(|c| c.is_ascii_digit()) || part.parse::<u64>().is_ok();
    let parts = path.split('/').map(|part| if is_one(&part) || part.contains('%') || part == LONG { ":one" } else { part });
    let mut names: Vec<&str> =
        query.split('&').map(|pair| pair.split('=').next().unwrap()).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    format!("{}?{}", parts.collect::<Vec<_>>().join("/"), names.join("&"))
}

/// Whether a link leads to a page; others lead to files, or out of here.
fn is_page(path: &str) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let file = [".csv", ".json", ".ics", ".png", ".svg", ".wav", ".webmanifest"].iter().any(|end| path.ends_with(end));
    let other = ["/logout", "/api/v1", "/static", "/metrics", "/healthz", "/readyz"].iter().any(|start| path.starts_with(start));
    !file && !other && !query.contains("format=") && !query.contains("lang=")
}

async fn size(browser: &Chromium, width: u32) {
    let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
}

async fn colours(browser: &Chromium, scheme: &str) {
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.devtools("Emulation.setEmulatedMedia", media).await;
}

/// What axe-core has against the page as it stands.
async fn violations(browser: &Chromium, axe: &str) -> Vec<String> {
    browser.client.execute(&format!("if (!window.axe) {{ {axe} }}"), vec![]).await.unwrap();
    let run = "const told = arguments[arguments.length - 1];
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
        window.axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }).then(
            (found) => told(found.violations.flatMap((one) => one.nodes.slice(0, 3).map(
                (node) => one.id + ': ' + node.html.slice(0, 200) + ' ' + (node.any[0] || node.all[0] || node.none[0] || {}).message))),
            (failed) => told(['axe failed: ' + failed]))";
    let found = browser.client.execute_async(run, vec![]).await.unwrap();
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// What sticks out, and which targets are too small for a thumb.
async fn misfits(browser: &Chromium, width: u32) -> Vec<String> {
    let mut found = Vec::new();
    let too_wide = browser.run("return document.documentElement.scrollWidth - innerWidth").await.as_i64().unwrap();
    if too_wide > 0 {
        let who = browser
            .run(
                "return [...document.body.querySelectorAll('*')].filter((one) => one.checkVisibility() && one.getBoundingClientRect().right
                    > innerWidth + 0.5).slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(' ')",
            )
            .await;
        found.push(format!("{too_wide} px too wide: {who}"));
    }
    let least = if width < 768 { 44 } else { 24 };
    // Links inside sentences are as high as their line.
    let small = format!(
        "const inSentence = (one) => one.tagName === 'A' && getComputedStyle(one).display === 'inline'
            && [...one.parentElement.childNodes].some((near) => near.nodeType === 3 && near.textContent.trim());
        return [...document.querySelectorAll('a[href], button, summary, select, textarea, input:not([type=hidden])')]
            .filter((one) => one.checkVisibility({{ visibilityProperty: true, opacityProperty: true }}) && !inSentence(one))
            .filter((one) => !(one.matches('[type=checkbox], [type=radio]') && one.labels.length
                && one.labels[0].getBoundingClientRect().height >= {least}))
            .map((one) => [one.getBoundingClientRect(), one])
            .filter(([box, one]) => box.width > 1 && box.bottom > 0 && box.height < {least} - 0.5)
            .slice(0, 4).map(([box, one]) => box.height + ' px high: ' + one.outerHTML.slice(0, 160))"
    );
    found.extend(browser.run(&small).await.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()));
    found
}

/// The paths of the links on a page.
async fn links(browser: &Chromium) -> Vec<String> {
    let script =
        "return [...document.querySelectorAll('a[href]:not([download])')].filter((one) => one.origin === location.origin)
        .map((one) => one.pathname + one.search)";
    browser.run(script).await.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

const OPEN_ALL: &str = "document.querySelectorAll('details').forEach((one) => { one.open = true })";
/// Menus lie over the page while they are open.
const CLOSE_MENUS: &str = "document.querySelectorAll('.menu').forEach((one) => { one.open = false })";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_can_be_read_and_worked_by_everybody() {
    let (server, axe) = (lively().await, axe());
    let browser = Chromium::start().await;
    browser.log_in(&server.url(), "lin", PASSWORD).await;
    let mut wrong: BTreeSet<String> = BTreeSet::new();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut due = VecDeque::from(["/".to_owned()]);
    let mut pages = Vec::new();
    while let Some(path) = due.pop_front() {
        let kind = kind(&path);
        if !is_page(&path) || !seen.insert(path.clone()) || kinds.get(&kind).is_some_and(|many| *many >= OF_A_KIND) {
            continue;
        }
        assert!(pages.len() < MOST_PAGES, "there is no end of pages: {:?}", kinds.keys());
        *kinds.entry(kind).or_default() += 1;
        browser.open(&format!("{}{path}", server.url())).await;
        if browser.run("return document.contentType").await != "text/html" {
            continue;
        }
        browser.run(OPEN_ALL).await;
        for (width, scheme) in [(360, "dark"), (1280, "light")] {
            size(&browser, width).await;
            colours(&browser, scheme).await;
            browser.run(CLOSE_MENUS).await;
            wrong.extend(violations(&browser, &axe).await.into_iter().map(|one| format!("{path} at {width}, {scheme}: {one}")));
        }
        browser.run(OPEN_ALL).await;
        for width in WIDTHS {
            size(&browser, width).await;
            wrong.extend(misfits(&browser, width).await.into_iter().map(|one| format!("{path} at {width}: {one}")));
        }
        due.extend(links(&browser).await);
        pages.push(path);
    }
    assert!(pages.len() > 25, "the pages were found: {pages:?}");
    // Words of other languages are longer, or have no blanks.
    for language in ["zh", "ja", "es"] {
        size(&browser, 360).await;
        for path in &pages {
            let sign = if path.contains('?') { '&' } else { '?' };
            browser.open(&format!("{}{path}{sign}lang={language}", server.url())).await;
            browser.run(OPEN_ALL).await;
            assert_eq!(browser.run("return document.documentElement.lang").await.as_str().map(|tag| &tag[..2]), Some(language));
            wrong.extend(misfits(&browser, 360).await.into_iter().map(|one| format!("{path} in {language} at 360: {one}")));
        }
    }
    assert!(wrong.is_empty(), "{} faults on {} pages:\n{}", wrong.len(), pages.len(), Vec::from_iter(wrong).join("\n"));
}
