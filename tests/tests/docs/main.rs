//! The documents: their marked examples run, their links lead somewhere, and what they name exists; and what the program is built of.
//!
//! An example is a code block that is marked as `tests/src/markdown.rs` says. Each document gets a fresh server; its examples run in their order, in one folder.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod commands;
mod crates;
mod given;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use autocall_tests::{
    markdown::{Example, examples},
    provided_by_run,
    redis::reserve_port,
    server::{Binary, ServeOptions},
    wait::eventually,
};

/// How long one example may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// Variables of the documents that are no configuration of the server.
const OTHER_VARIABLES: [&str; 4] = ["AUTOCALL_URL", "AUTOCALL_KEY", "AUTOCALL_CONFIG", "AUTOCALL_BACKUP_PASSPHRASE"];

/// A Markdown file.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// The lines outside of code blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut in_code = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !in_code && !fence
        })
    }

    /// What stands between backticks, outside of code blocks.
    fn code_spans(&self) -> impl Iterator<Item = &str> {
        self.prose().flat_map(|line| line.split('`').skip(1).step_by(2))
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document(path: PathBuf) -> Document {
    let text = fs::read_to_string(&path).unwrap();
    Document { path, text }
}

/// `README.md`, `docs/*.md` and `docs/decisions/*.md`.
fn documents() -> Vec<Document> {
    let folders = ["docs", "docs/decisions"].into_iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let files = folders.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    paths.sort();
    paths.insert(0, root().join("README.md"));
    paths.into_iter().map(document).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// All words of `text` that begin with `prefix` and go on with what `may_follow` allows.
fn words<'t>(text: &'t str, prefix: &str, may_follow: fn(char) -> bool) -> Vec<&'t str> {
    let starts = text.match_indices(prefix).map(|(start, _)| start);
    let own = starts.filter(|&start| !text[..start].ends_with(|c: char| c.is_alphanumeric() || "_-./".contains(c)));
    own.map(|start| {
        let rest = &text[start..];
        let end = rest.find(|c: char| !may_follow(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches(['.', '_'])
    })
    .collect()
}

async fn run(document: &Document, found: &[Example]) {
    let mail = format!("127.0.0.1:{}", reserve_port());
    let server = Binary::spawn(ServeOptions::new().as_installed().env("AUTOCALL_MAIL_LISTEN", &mail)).await;
    let folder = tempfile::Builder::new().prefix("docs-").tempdir().unwrap();
    let path = path_with_programs(folder.path());
    let (url, listen, data, home) = (server.url(), server.addr(), server.data_dir(), folder.path().display().to_string());
    let env = [
        ("AUTOCALL_URL", url.as_str()),
        ("AUTOCALL_LISTEN", &listen),
        ("AUTOCALL_MAIL_LISTEN", &mail),
        ("AUTOCALL_DATA_DIR", data.to_str().unwrap()),
        ("PATH", &path),
        // What the developer has told curl does not count here.
        ("HOME", &home),
        ("no_proxy", "*"),
    ];
    for example in found {
        let output = example.run(folder.path(), &env, DEADLINE).await;
        assert!(
            output.status.success(),
            "example {} in line {} of {}: {}\n--- output ---\n{}--- errors ---\n{}--- the server's log ---\n{}",
            example.name,
            example.line,
            document.name(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            server.log(),
        );
    }
}

#[tokio::test]
async fn every_example_works() {
    const SERVER: &str = "${AUTOCALL_URL:-";
    let mut tested = BTreeMap::new();
    for document in documents() {
        let mut found = examples(&document.text);
        // What is for a page runs in a browser, in the suite of that name.
        found.retain(|example| example.language != "javascript");
        let in_examples: usize = found.iter().map(|example| example.code.matches(SERVER).count()).sum();
        assert_eq!(document.text.matches(SERVER).count(), in_examples, "{}: a block that can run is not marked", document.name());
        if !found.is_empty() {
            run(&document, &found).await;
            tested.insert(document.name(), found.len());
        }
    }
    assert!(["README.md", "docs/connecting-monitoring.md"].iter().all(|name| tested.contains_key(*name)), "{tested:?}");
}

/// Where programs are found, our own first, by links in a folder of this one.
fn path_with_programs(folder: &Path) -> String {
    let programs = folder.join("bin");
    fs::create_dir(&programs).unwrap();
    for (name, variable) in [("autocall", "AUTOCALL_BIN"), ("handset", "HANDSET_BIN")] {
        std::os::unix::fs::symlink(provided_by_run(variable), programs.join(name)).unwrap();
    }
    format!("{}:{}", programs.display(), std::env::var("PATH").unwrap())
}

/// A backup is made every night: the second one must not fail, and nobody else may read either.
#[tokio::test]
async fn the_backup_can_be_made_again_and_is_private() {
    let text = fs::read_to_string(root().join("docs/backup.md")).unwrap();
    let found: Vec<Example> = examples(&text).into_iter().filter(|example| example.name == "backup").collect();
    let [backup] = &found[..] else { panic!("one backup is documented, not {}", found.len()) };
    let server = Binary::spawn(ServeOptions::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let data = server.data_dir();
    let programs = tempfile::tempdir().unwrap();
    let path = path_with_programs(programs.path());
    let env = [("AUTOCALL_DATA_DIR", data.to_str().unwrap()), ("PATH", &*path)];
    for night in ["first", "second"] {
        let output = backup.run(folder.path(), &env, DEADLINE).await;
        assert!(output.status.success(), "the {night} backup: {}", String::from_utf8_lossy(&output.stderr));
        let copies: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!copies.is_empty());
        for copy in copies {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&copy).unwrap().permissions());
            assert_eq!(mode & 0o077, 0, "others may read {}: {mode:o}", copy.display());
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        for line in document.prose() {
            for target in line.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
                if target.starts_with("http://") || target.starts_with("https://") {
                    continue;
                }
                let (file, fragment) = target.split_once('#').map_or((target, None), |(file, fragment)| (file, Some(fragment)));
                let path = match file {
                    "" => document.path.clone(),
                    file => document.path.parent().unwrap().join(file),
                };
                assert!(path.exists(), "{} links to {target}, which does not exist", document.name());
                if let Some(fragment) = fragment {
                    let anchors = self::document(path).anchors();
                    assert!(anchors.contains(fragment), "{} links to {target}; there are {anchors:?}", document.name());
                }
            }
        }
    }
}

#[test]
fn every_configuration_key_exists() {
    // That this table is complete and right is tested elsewhere.
    let manual = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let table = manual.split("\n## ").find(|section| section.starts_with("All keys")).unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('`').skip(1).step_by(2).collect()).collect();
    // So is the one of the names of files.
    let files = manual.split("\n## ").find(|section| section.starts_with("Secrets from files")).unwrap();
    let files: Vec<Vec<&str>> =
        files.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('`').skip(1).step_by(2).collect()).collect();
    let keys: BTreeSet<&str> = rows.iter().map(|row| row[0]).chain(files.iter().map(|row| row[1])).collect();
    let variables: BTreeSet<&str> =
        rows.iter().map(|row| row[1]).chain(files.iter().map(|row| row[2])).chain(OTHER_VARIABLES).collect();
    let sections: BTreeSet<&str> = keys.iter().filter_map(|key| Some(&key[..=key.find('.')?])).collect();
    assert!(sections.contains("handsets.") && variables.contains("DATABASE_URL"), "{sections:?} {variables:?}");
    // A file of the sources may be called as a section is; no key may be called as a file is.
    let is_source = |word: &str| Path::new(word).extension().is_some_and(|ending| ending == "rs");
    assert!(!keys.iter().any(|key| is_source(key)), "{keys:?}");
    for document in documents() {
        for span in document.code_spans() {
            for section in &sections {
                for key in words(span, section, |c| c.is_ascii_lowercase() || matches!(c, '.' | '_')) {
                    assert!(keys.contains(key) || is_source(key), "{} names the key {key}", document.name());
                }
            }
            for variable in words(span, "AUTOCALL_", |c| c.is_ascii_uppercase() || c == '_') {
                let is_prefix = variable == "AUTOCALL";
                assert!(is_prefix || variables.contains(variable), "{} names the variable {variable}", document.name());
            }
        }
    }
}

#[tokio::test]
async fn every_metric_exists_and_is_explained() {
    let server = Binary::spawn(ServeOptions::new()).await;
    let client = autocall_tests::http_client().no_proxy().build().unwrap();
    // What is counted by sender and reason is there from the first refusal on.
    client.post(format!("{}/api/v1/alarms", server.url())).body("[").send().await.unwrap();
    // And what is told of each handset once there is one, which is found out every few seconds.
    client.get(format!("{}/alert/phone", server.url())).header("model", "Mi 9").send().await.unwrap();
    let page = eventually("the metrics of a handset", DEADLINE, async || {
        let page = client.get(format!("{}/metrics", server.url())).send().await.unwrap().text().await.unwrap();
        page.contains("autocall_handset_channels{").then_some(page)
    })
    .await;
    let series = page.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(['{', ' ']).next().unwrap());
    let names: BTreeSet<&str> = series.collect();
    assert!(names.contains("autocall_open_hunts"), "{page}");

    let family =
        |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned();
    let families: BTreeSet<String> = names.iter().map(|name| family(name)).collect();
    let mut explained = BTreeSet::new();
    for document in documents() {
        for name in words(&document.text, "autocall_", |c| c.is_ascii_lowercase() || c == '_') {
            assert!(names.contains(name) || families.contains(name), "{} names the metric {name}", document.name());
            if document.name() == "docs/operating.md" {
                explained.insert(family(name));
            }
        }
    }
    assert_eq!(explained, families, "docs/operating.md explains them all");
    for file in ["alerts.yml", "dashboard.json"] {
        let text = fs::read_to_string(root().join("server/packaging/monitoring").join(file)).unwrap();
        let asked = words(&text, "autocall_", |c| c.is_ascii_lowercase() || c == '_');
        assert!(asked.len() > 15, "{file}: {asked:?}");
        for name in asked {
            // What is asked for by name is a series, as Prometheus has it, and not the name of its family.
            assert!(names.contains(name), "{file} asks for {name}");
        }
    }
}

/// Each rule of the document is one that is shipped, as it stands.
#[test]
fn the_rules_of_the_document_are_shipped() {
    let rules = fs::read_to_string(root().join("server/packaging/monitoring/alerts.yml")).unwrap();
    let asked: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    let document = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let table = document.split("| condition | means |").nth(1).unwrap().split("\n\n").next().unwrap();
    let conditions = table.lines().skip(2).map(|line| line.split('`').nth(1).unwrap());
    let metric =
        |text: &str| words(text, "autocall_", |c| c.is_ascii_lowercase() || c == '_').first().map(|name| (*name).to_owned());
    let count = conditions
        .inspect(|condition| {
            let wanted = metric(condition).unwrap_or_else(|| "up{".to_owned());
            assert!(asked.iter().any(|rule| rule.contains(&wanted)), "no rule asks for {wanted}");
        })
        .count();
    assert!(count > 15 && rules.matches("- alert:").count() == asked.len(), "{count}");
}

#[test]
fn the_dashboard_is_one_that_can_be_imported() {
    let text = fs::read_to_string(root().join("server/packaging/monitoring/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{} comes twice", panel["id"]);
        let place = &panel["gridPos"];
        assert!(place["x"].as_i64().unwrap() + place["w"].as_i64().unwrap() <= 24, "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && !panel["title"].as_str().unwrap().is_empty(), "{panel}");
        for target in targets {
            let asked = target["expr"].as_str().unwrap();
            assert!(asked.contains("job=~\"$job\"") && asked.matches('(').count() == asked.matches(')').count(), "{asked}");
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
    // Whoever has another data source, or several servers, chooses.
    let chosen: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(panels.len() > 25 && chosen == ["datasource", "job"], "{chosen:?}");
}

/// What stands in the manifest of a package as a dependency of any kind.
fn dependencies(package: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let (mut found, mut in_dependencies) = (BTreeSet::new(), false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = matches!(line, "[dependencies]" | "[dev-dependencies]" | "[build-dependencies]");
        } else if in_dependencies && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            found.insert(line.split(['.', ' ', '=']).next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn every_dependency_is_explained() {
    let explained = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let explained: BTreeSet<&str> = explained.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut used: BTreeSet<String> =
        ["server", "server/core", "android-protocol", "tests"].into_iter().flat_map(dependencies).collect();
    // Our own packages explain themselves.
    used.retain(|name| !matches!(name.as_str(), "autocall" | "autocall-core" | "autocall-tests" | "android-protocol"));
    assert_eq!(explained, used.iter().map(String::as_str).collect());
}
