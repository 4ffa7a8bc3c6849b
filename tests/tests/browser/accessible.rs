//! Every page that a link leads to, whoever reads it, and every form that was refused: axe-core finds nothing against WCAG 2.2 AA, nothing
//! sticks out at any width, and every target is large enough, with a mouse and with a finger, in four languages, light and dark, with the
//! longest content.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use serde_json::json;

use crate::chromium::{Chromium, SOON};
use crate::pages::{A, B, PASSWORD, Phone, add_user, command, raise};

/// One name without a place to break it, and one that is not written in Latin letters.
const LONG: &str = "operations_of_the_whole_company_and_others_without_any_blank";
/// Pages of one kind, such as those of two alarms, are looked at so often.
const OF_A_KIND: usize = 2;
/// More than there are; a crawl that never ends is a fault of its own.
const MOST_PAGES: usize = 160;
const WIDTHS: [u32; 4] = [360, 768, 1280, 1920];

/// The text of axe-core, which `tests/api-tools` installs.
pub fn axe() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let made = Command::new(root.join("tests/api-tools")).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "tests/api-tools must be able to install its packages");
    let folder = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
    std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap()
}

/// A server on which there is something to see on every page.
async fn lively() -> Binary {
    let server = Binary::spawn(ServeOptions::new()).await;
    for (name, role) in [("lin", "admin"), ("rob", "responder"), ("eve", "viewer")] {
        add_user(&server, name, role).await;
    }
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

pub async fn size(browser: &Chromium, width: u32) {
    let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
}

async fn colours(browser: &Chromium, scheme: &str) {
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.devtools("Emulation.setEmulatedMedia", media).await;
}

/// Whether whoever reads the page points with a finger.
async fn finger(browser: &Chromium, is_one: bool) {
    browser.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": is_one })).await;
}

/// What axe-core looks at. Contrast takes longest, and is the same whoever reads a page and in whatever language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// All of it.
    Whole,
    /// All but contrast.
    WithoutContrast,
}

/// What axe-core has against the page as it stands.
pub async fn violations(browser: &Chromium, axe: &str, look: Look) -> Vec<String> {
    // Half a megabyte, once a page.
    if browser.run("return !window.axe").await == true {
        browser.client.execute(axe, vec![]).await.unwrap();
    }
    let run = "const told = arguments[arguments.length - 1], contrast = arguments[0];
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
        const rules = { 'color-contrast': { enabled: contrast } };
        window.axe.run(document, { runOnly: { type: 'tag', values: tags }, rules, resultTypes: ['violations'] }).then(
            (found) => told(found.violations.flatMap((one) => one.nodes.slice(0, 3).map(
                (node) => one.id + ': ' + node.html.slice(0, 200) + ' ' + (node.any[0] || node.all[0] || node.none[0] || {}).message))),
            (failed) => told(['axe failed: ' + failed]))";
    let found = browser.client.execute_async(run, vec![json!(look == Look::Whole)]).await.unwrap();
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// What sticks out, and which targets are smaller than so many pixels, either way.
pub async fn misfits(browser: &Chromium, least: u32) -> Vec<String> {
    // Links inside sentences are as high as their line, and as wide as their words. A bar of a calendar is as wide as its time, and stands
    // in the list beside it as well.
    let script = format!(
        "const found = [], out = document.documentElement.scrollWidth - innerWidth;
        if (out > 0) {{
            const who = [...document.body.querySelectorAll('*')].filter((one) => one.checkVisibility()
                && one.getBoundingClientRect().right > innerWidth + 0.5);
            found.push(out + ' px too wide: ' + who.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(' '));
        }}
        const inSentence = (one) => one.tagName === 'A' && getComputedStyle(one).display === 'inline'
            && [...one.parentElement.childNodes].some((near) => near.nodeType === 3 && near.textContent.trim());
        const small = [...document.querySelectorAll('a[href], button, summary, select, textarea, input:not([type=hidden])')]
            .filter((one) => one.checkVisibility({{ visibilityProperty: true, opacityProperty: true }}) && !inSentence(one))
            .filter((one) => !(one.matches('[type=checkbox], [type=radio]')
                && [...one.labels].some((label) => label.getBoundingClientRect().height >= {least})))
            .map((one) => [one.getBoundingClientRect(), one])
            .filter(([box, one]) => box.width > 1 && box.bottom > 0
                && (box.height < {least} - 0.5 || box.width < {least} - 0.5 && !one.closest('svg')));
        return found.concat(small.slice(0, 4).map(([box, one]) => box.width + ' by ' + box.height + ' px: ' + one.outerHTML.slice(0, 160)))"
    );
    let found = browser.run(&script).await;
    found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// How large a target has to be at least.
fn least(width: u32) -> u32 {
    if width < 768 { 44 } else { 24 }
}

/// The paths of the links on a page.
async fn links(browser: &Chromium) -> Vec<String> {
    let script =
        "return [...document.querySelectorAll('a[href]:not([download])')].filter((one) => one.origin === location.origin)
        .map((one) => one.pathname + one.search)";
    browser.run(script).await.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

pub const OPEN_ALL: &str = "document.querySelectorAll('details').forEach((one) => { one.open = true })";
/// Menus lie over the page while they are open.
pub const CLOSE_MENUS: &str = "document.querySelectorAll('.menu').forEach((one) => { one.open = false })";

/// Pages that must be among those that links lead to, whoever reads them.
const FOR_ALL: [&str; 15] = [
    "/",
    "/alarms",
    "/alarms/:one",
    "/roster",
    "/roster/:one",
    "/roster/swaps",
    "/people",
    "/people/:one/about",
    "/people/me",
    "/handsets",
    "/numbers",
    "/watch",
    "/shouts",
    "/reports",
    "/password",
];
/// And those of responders.
const FOR_RESPONDERS: [&str; 2] = ["/calls", "/alarms/new"];
/// And those of admins.
const FOR_ADMINS: [&str; 12] = [
    "/people/:one",
    "/policies/new",
    "/numbers/:one",
    "/heartbeats/:one",
    "/gateways/:one",
    "/notices/new",
    "/users",
    "/senders",
    "/connect",
    "/quiet-hours",
    "/system",
    "/gateways",
];
/// Forms that must be among those that are refused: by where they go.
const REFUSED: [&str; 4] = ["/people/add", "/alarms/:one/notes", "/alarms/:one/false", "/roster/swaps"];

/// Pages that are found by following links, each once, and of each kind only a few.
struct Crawl {
    most: usize,
    kinds: BTreeMap<String, usize>,
    seen: BTreeSet<String>,
    due: VecDeque<String>,
    pages: Vec<String>,
}

impl Crawl {
    fn new(most: usize) -> Self {
        let due = VecDeque::from(["/".to_owned()]);
        Self { most, kinds: BTreeMap::new(), seen: BTreeSet::new(), due, pages: Vec::new() }
    }

    /// Opens the next page that is one, with all that folds open.
    async fn next(&mut self, browser: &Chromium, base: &str) -> Option<String> {
        while let Some(path) = self.due.pop_front() {
            let kind = kind(&path);
            if !is_page(&path) || !self.seen.insert(path.clone()) || self.kinds.get(&kind).is_some_and(|many| *many >= self.most)
            {
                continue;
            }
            assert!(self.pages.len() < MOST_PAGES, "there is no end of pages: {:?}", self.kinds.keys());
            *self.kinds.entry(kind).or_default() += 1;
            browser.open(&format!("{base}{path}")).await;
            if browser.run("return document.contentType").await != "text/html" {
                continue;
            }
            self.due.extend(links(browser).await);
            self.pages.push(path.clone());
            browser.run(OPEN_ALL).await;
            return Some(path);
        }
        None
    }

    /// What links must lead to, and did not.
    fn missing<'p>(&self, wanted: impl IntoIterator<Item = &'p str>) -> Vec<&'p str> {
        let found: BTreeSet<&str> = self.kinds.keys().map(|kind| kind.split('?').next().unwrap()).collect();
        wanted.into_iter().filter(|page| !found.contains(page)).collect()
    }
}

/// The forms of a page that ask for something that must be filled in: where they go.
async fn asking(browser: &Chromium) -> Vec<String> {
    let script = "return [...document.querySelectorAll('form[method=post]')].filter((one) => one.querySelector('[required]'))
        .map((one) => one.getAttribute('action'))";
    browser.run(script).await.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// Sends a form with nothing in what must be filled in, as a browser without its own checks does.
async fn send_empty(browser: &Chromium, action: &str) {
    let script = format!(
        "const form = [...document.querySelectorAll('form[method=post]')].find((one) => one.getAttribute('action') === {}
            && one.querySelector('[required]'));
        if (!form) return false;
        form.querySelectorAll('[required]').forEach((one) => {{ one.required = false; one.value = ''; }});
        window.isOld = true;
        HTMLFormElement.prototype.submit.call(form);
        return true",
        json!(action)
    );
    assert_eq!(browser.run(&script).await, true, "{action} is where it was");
    let look = async || {
        let is_new = browser.client.execute("return !window.isOld && document.readyState === 'complete'", vec![]).await.ok()?;
        (is_new == true).then_some(())
    };
    eventually(&format!("an answer to {action}"), SOON, look).await;
}

/// All pages to which links lead whoever may least, and then whoever may act.
async fn as_others(server: &Binary, axe: &str) -> BTreeSet<String> {
    let (browser, base) = (Chromium::start().await, server.url());
    let mut wrong = BTreeSet::new();
    for (name, wanted) in [("eve", &[][..]), ("rob", &FOR_RESPONDERS[..])] {
        // Whoever was logged in before is not any more.
        browser.open(&format!("{base}/login")).await;
        browser.client.delete_all_cookies().await.unwrap();
        browser.log_in(&base, name, PASSWORD).await;
        size(&browser, 360).await;
        let mut crawl = Crawl::new(1);
        while let Some(path) = crawl.next(&browser, &base).await {
            let mut found = misfits(&browser, least(360)).await;
            browser.run(CLOSE_MENUS).await;
            found.extend(violations(&browser, axe, Look::WithoutContrast).await);
            wrong.extend(found.into_iter().map(|one| format!("{path} for {name} at 360: {one}")));
        }
        let missing = crawl.missing(FOR_ALL.iter().chain(wanted).copied());
        assert!(missing.is_empty(), "no link leads {name} to {missing:?}: {:?}", crawl.pages);
        let forbidden: Vec<&String> =
            crawl.pages.iter().filter(|page| ["/users", "/system"].iter().any(|admin| page.starts_with(admin))).collect();
        assert!(forbidden.is_empty(), "{name} is led to {forbidden:?}");
    }
    wrong
}

/// Words of other languages are longer, or have no blanks; and each page is looked at whole in one of them.
async fn in_other_languages(browser: &Chromium, base: &str, axe: &str, pages: &[String]) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    size(browser, 360).await;
    for (turn, language) in ["zh", "ja", "es"].into_iter().enumerate() {
        for (place, path) in pages.iter().enumerate() {
            let sign = if path.contains('?') { '&' } else { '?' };
            browser.open(&format!("{base}{path}{sign}lang={language}")).await;
            browser.run(OPEN_ALL).await;
            assert_eq!(browser.run("return document.documentElement.lang").await.as_str().map(|tag| &tag[..2]), Some(language));
            let mut found = misfits(browser, least(360)).await;
            if place % 3 == turn {
                browser.run(CLOSE_MENUS).await;
                found.extend(violations(browser, axe, Look::WithoutContrast).await);
            }
            wrong.extend(found.into_iter().map(|one| format!("{path} in {language} at 360: {one}")));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_can_be_read_and_worked_by_everybody() {
    let (server, axe) = (lively().await, axe());
    let (browser, base) = (Chromium::start().await, server.url());
    browser.log_in(&base, "lin", PASSWORD).await;
    let mut wrong: BTreeSet<String> = BTreeSet::new();
    let mut forms: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut crawl = Crawl::new(OF_A_KIND);
    while let Some(path) = crawl.next(&browser, &base).await {
        for action in asking(&browser).await {
            forms.entry(kind(&action)).or_insert_with(|| (path.clone(), action));
        }
        for (width, scheme) in [(360, "dark"), (1280, "light")] {
            size(&browser, width).await;
            colours(&browser, scheme).await;
            browser.run(CLOSE_MENUS).await;
            let found = violations(&browser, &axe, Look::Whole).await;
            wrong.extend(found.into_iter().map(|one| format!("{path} at {width}, {scheme}: {one}")));
        }
        browser.run(OPEN_ALL).await;
        for width in WIDTHS {
            size(&browser, width).await;
            wrong.extend(misfits(&browser, least(width)).await.into_iter().map(|one| format!("{path} at {width}: {one}")));
        }
        // A tablet is as wide as a screen, and is used with a finger.
        finger(&browser, true).await;
        size(&browser, 1280).await;
        assert_eq!(browser.run("return matchMedia('(pointer: coarse)').matches").await, true, "a finger is no mouse");
        wrong.extend(misfits(&browser, 44).await.into_iter().map(|one| format!("{path} at 1280 with a finger: {one}")));
        finger(&browser, false).await;
    }
    let missing = crawl.missing(FOR_ALL.iter().chain(&FOR_RESPONDERS).chain(&FOR_ADMINS).copied());
    assert!(missing.is_empty(), "no link leads to {missing:?}: {:?}", crawl.pages);
    // What stands there when a form was refused.
    size(&browser, 360).await;
    let sent: BTreeSet<&str> = forms.keys().map(|kind| kind.split('?').next().unwrap()).collect();
    let unsent: Vec<&str> = REFUSED.into_iter().filter(|form| !sent.contains(form)).collect();
    assert!(unsent.is_empty(), "no page has these forms: {unsent:?}, but {sent:?}");
    for (page, action) in forms.values() {
        browser.open(&format!("{base}{page}")).await;
        send_empty(&browser, action).await;
        browser.run(OPEN_ALL).await;
        let mut found = misfits(&browser, least(360)).await;
        browser.run(CLOSE_MENUS).await;
        found.extend(violations(&browser, &axe, Look::WithoutContrast).await);
        wrong.extend(found.into_iter().map(|one| format!("{action}, sent empty, at 360: {one}")));
    }
    let (others, languages) = tokio::join!(as_others(&server, &axe), in_other_languages(&browser, &base, &axe, &crawl.pages));
    wrong.extend(others.into_iter().chain(languages));
    let pages = crawl.pages.len();
    assert!(wrong.is_empty(), "{} faults on {pages} pages:\n{}", wrong.len(), Vec::from_iter(wrong).join("\n"));
}
