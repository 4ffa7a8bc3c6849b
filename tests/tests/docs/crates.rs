//! What the program is built of: licences, crates that are there twice, what is compiled from C, and dependencies that nobody uses.
//!
//! All of it is in what cargo knows without a network. Whether a crate has a known hole is in a database elsewhere: see docs/building.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::root;

/// Licences under which the program may be given away as it is; of alternatives, one must be here.
const LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Crates of which two versions are compiled in, and who asks for the older one. Whatever else comes twice costs time in each build: ask
/// first whether one version will do.
const TWICE: [(&str, &str); 18] = [
    ("base64", "sqlx"),
    ("block-buffer", "sqlx, by sha2"),
    ("cpufeatures", "sqlx, by sha2"),
    ("crypto-common", "sqlx, by sha2"),
    ("digest", "sqlx, by sha2"),
    ("embedded-io", "postcard of phonenumber, both"),
    ("getrandom", "ring"),
    ("hashbrown", "sqlx, by hashlink"),
    ("nom", "phonenumber"),
    ("num-bigint", "x509-parser, by asn1-rs"),
    ("rand", "tungstenite"),
    ("rand_core", "tungstenite, by rand"),
    ("regex-syntax", "phonenumber, by regex-cache"),
    ("sha1", "tungstenite"),
    ("sha2", "sqlx"),
    ("syn", "macros, for the machine that builds"),
    ("synstructure", "x509-parser, by asn1-rs-derive, for the machine that builds"),
    ("tower-http", "reqwest"),
];

/// Crates that compile C.
const OF_C: [&str; 2] = ["libsqlite3-sys", "ring"];

/// What cargo knows of this workspace on this kind of computer.
struct Graph {
    /// By their identifiers.
    packages: BTreeMap<String, Value>,
    /// Who depends on whom, tests left out.
    arrows: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn read() -> Self {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        cargo.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform]);
        let output = cargo.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let known: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let packages = known["packages"].as_array().unwrap().iter().map(|one| (text(&one["id"]), one.clone())).collect();
        let arrows = known["resolve"]["nodes"].as_array().unwrap().iter().map(|node| {
            let built_in = |to: &&Value| to["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
            let to = node["deps"].as_array().unwrap().iter().filter(built_in).map(|to| text(&to["pkg"])).collect();
            (text(&node["id"]), to)
        });
        Self { packages, arrows: arrows.collect() }
    }

    /// The server and all that it is built of or with.
    fn of_the_server(&self) -> Vec<&Value> {
        let server = self.packages.iter().find(|(_, package)| package["name"] == "autocall").unwrap().0;
        let (mut seen, mut next) = (BTreeSet::from([server]), vec![server]);
        while let Some(one) = next.pop() {
            next.extend(self.arrows[one].iter().filter(|to| seen.insert(to)));
        }
        assert!(seen.len() > 100, "{}", seen.len());
        seen.into_iter().map(|id| &self.packages[id]).collect()
    }
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Whether an expression such as `(MIT OR Apache-2.0) AND Unicode-3.0` can be met; `/` is an old way to write OR.
fn is_allowed(licence: &str) -> bool {
    let licence = licence.replace('/', " OR ");
    licence.split(" AND ").all(|all| {
        let one_of = all.trim().trim_start_matches('(').trim_end_matches(')');
        one_of.split(" OR ").any(|one| LICENCES.contains(&one.trim()))
    })
}

#[test]
fn licences_are_read_as_they_are_written() {
    for fine in ["MIT", "MIT/Apache-2.0", "Apache-2.0 / MIT", "MIT OR LGPL-2.1-or-later", "(MIT OR GPL-3.0) AND Unicode-3.0"] {
        assert!(is_allowed(fine), "{fine}");
    }
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "(MPL-2.0 OR GPL-2.0) AND MIT", ""] {
        assert!(!is_allowed(wrong), "{wrong}");
    }
}

#[test]
fn everything_in_the_program_may_be_given_away() {
    let graph = Graph::read();
    let wrong: Vec<_> = (graph.of_the_server().into_iter())
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| format!("{}: {}", name(package), package["license"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_comes_twice_without_a_reason() {
    let graph = Graph::read();
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    for package in graph.of_the_server() {
        versions.entry(name(package)).or_default().insert(package["version"].as_str().unwrap());
    }
    let twice: BTreeSet<_> = versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| *name).collect();
    assert_eq!(twice, TWICE.iter().map(|(name, _)| *name).collect(), "of {versions:?}");
}

/// Each costs a compiler for C and time in every build; a second library for TLS stood here once.
#[test]
fn little_is_compiled_from_c() {
    let graph = Graph::read();
    let of_c: BTreeSet<_> = graph.of_the_server().into_iter().filter(|package| !package["links"].is_null()).map(name).collect();
    assert_eq!(of_c, BTreeSet::from(OF_C));
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for package in ["server", "server/core", "android-protocol", "tests"] {
        let mut sources = String::new();
        for folder in ["src", "tests", "build.rs"] {
            read_all(&root().join(package).join(folder), &mut sources);
        }
        for dependency in super::dependencies(package) {
            let path = dependency.replace('-', "_");
            if !["::", ";", " as ", "!"].iter().any(|follows| sources.contains(&format!("{path}{follows}"))) {
                unused.push(format!("{package}: {dependency}"));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:?}");
}

/// All Rust in a file or folder, if there is one.
fn read_all(at: &Path, into: &mut String) {
    if let Ok(folder) = fs::read_dir(at) {
        folder.for_each(|entry| read_all(&entry.unwrap().path(), into));
    } else if at.extension().is_some_and(|extension| extension == "rs") && at.exists() {
        into.push_str(&fs::read_to_string(at).unwrap());
    }
}

/// The names of functions are taken out of the program that is given away. What a panic writes into the log does not need them.
#[test]
fn a_panic_says_where_it_was_without_the_names_of_functions() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let release = manifest.split("[profile.release]").nth(1).unwrap();
    assert!(release.contains("strip = \"symbols\"") && !release.contains("panic ="), "{release}");
    let folder = tempfile::tempdir().unwrap();
    let source = "fn main() {\n    let none: Option<u8> = std::env::args().nth(9).map(|_| 1);\n    none.unwrap();\n}\n";
    fs::write(folder.path().join("falls.rs"), source).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc).args(["-O", "-C", "strip=symbols", "falls.rs"]).current_dir(&folder).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let said = Command::new(folder.path().join("falls")).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("panicked at falls.rs:3:10"), "{said}");
}
