//! Where code belongs: which rooms there are, and which way the arrows between them point.
//!
//! Reads the source. The map in `docs/architecture.md` lists the same rooms in the same order.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from below to above: each may use those that stand before it, and no other.
const ROOMS: [&str; 48] = [
    // The package `server/core`.
    "ids",
    "numbers",
    "effort",
    "visible",
    "backoff",
    "needs",
    "rights",
    "sheet",
    "alarm",
    "audit",
    "shout",
    "roster",
    "reports",
    "line",
    "call_log",
    "signal",
    "connect",
    "cti",
    "coming",
    "monitor",
    // The package `server`.
    "clock",
    "secrets",
    "versions",
    "costly",
    "lock",
    "links",
    "config",
    "kinds",
    "store",
    "telemetry",
    "http",
    "net",
    "keep",
    "access",
    "engine",
    "out",
    "app",
    "handset",
    "intake",
    "api",
    "compat",
    "dashboard",
    "router",
    "service",
    "cli",
    "lib",
    "main",
    "build",
];

/// Where the code of the two packages is.
const ROOTS: [&str; 2] = ["core/src", "src"];

/// Faces do not use each other, but for these: whom, and why.
const FACES: [&str; 5] = ["handset", "intake", "api", "compat", "dashboard"];
const BETWEEN_FACES: [(&str, &str); 4] = [
    // An alarm that is posted to the API is an alarm in.
    ("api", "intake"),
    // Barista's calls are alarms too.
    ("compat", "intake"),
    // What is sent from the page to try a sender goes the sender's own way.
    ("dashboard", "intake"),
    // A file of alarms that is taken from the page holds what the API says of them.
    ("dashboard", "api"),
];

/// More files than this in one folder are no map.
const MOST_IN_A_FOLDER: usize = 15;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files_below(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files_below(&entry, all) } else { all.push(entry) }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut all = Vec::new();
    for root in ROOTS {
        files_below(&here(root), &mut all);
    }
    all.retain(|file| file.extension().is_some_and(|kind| kind == "rs"));
    all.sort();
    all
}

/// The room that a file of `src` is in.
fn room_of(file: &Path) -> String {
    let inside = ROOTS.iter().find_map(|root| file.strip_prefix(here(root)).ok()).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first).to_owned()
}

/// What is compiled into the program: without comments, and without the tests at the end of the file.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The rooms that code names by their path.
fn used(code: &str) -> BTreeSet<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

fn rank(room: &str) -> usize {
    ROOMS
        .iter()
        .position(|own| *own == room)
        .unwrap_or_else(|| panic!("the room {room:?} is not on the list: where does it stand?"))
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for file in sources() {
        let from = room_of(&file);
        for to in used(&code(&file)).into_iter().filter(|to| *to != from) {
            let between_faces = FACES.contains(&from.as_str()) && FACES.contains(&to.as_str());
            let allowed = if between_faces { BETWEEN_FACES.contains(&(&from, &to)) } else { rank(&to) < rank(&from) };
            if !allowed {
                wrong.push(format!("{from} must not use {to}: {}", file.strip_prefix(here("")).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows upwards:\n{}", wrong.join("\n"));
}

/// The module that a file is: `dashboard::frame::page`; a folder's `mod.rs` is the folder.
fn module_of(file: &Path) -> Vec<String> {
    let inside = ROOTS.iter().find_map(|root| file.strip_prefix(here(root)).ok()).unwrap().with_extension("");
    let mut parts: Vec<String> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// The paths that a `use` names: `a::{b, c::{d, e}}` are three.
fn named(tree: &str, before: &str, all: &mut Vec<String>) {
    let Some((path, rest)) = tree.split_once('{') else {
        all.push(format!("{before}{}", tree.trim()));
        return;
    };
    let (mut depth, mut from) = (0, 0);
    let inside = rest.trim_end().strip_suffix('}').unwrap();
    for (place, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inside[from..place].trim().is_empty() {
                    named(inside[from..place].trim(), &format!("{before}{}", path.trim()), all);
                }
                from = place + 1;
            }
            _ => {}
        }
    }
}

/// Every path that code names, in `use` and elsewhere.
fn paths(code: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = String::new();
    for piece in code.split(';') {
        let last = piece.rsplit_once("use ").filter(|(before, _)| before.is_empty() || before.ends_with([' ', '\n', ')', '}']));
        match last {
            // A sentence that says "use" stands between quotes.
            Some((before, tree)) if !tree.contains(['(', '=', '"']) => {
                named(&tree.replace('\n', " "), "", &mut all);
                rest.push_str(before);
            }
            _ => rest.push_str(piece),
        }
        rest.push(';');
    }
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    all.extend(rest.split(|c| !part(c)).filter(|path| path.contains("::")).map(str::to_owned));
    all
}

/// The modules that a file's code names, without itself. A folder's `mod.rs` puts its own files together: they are no arrows of it.
fn arrows(file: &Path, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let own = module_of(file);
    let folder = file.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs");
    let mut to = BTreeSet::new();
    for path in paths(&code(file)) {
        let mut parts: Vec<&str> = path.split(" as ").next().unwrap().split("::").map(str::trim).collect();
        let mut at = own.clone();
        match parts[0] {
            "crate" => at.clear(),
            "super" | "self" => {}
            // Beside itself: only where such a module is.
            first if modules.contains(&[own.clone(), vec![first.to_owned()]].concat()) => {}
            _ => continue,
        }
        while matches!(parts.first(), Some(&("crate" | "self" | "super"))) {
            if parts.remove(0) == "super" {
                at.pop();
            }
        }
        at.extend(parts.into_iter().map(str::to_owned));
        while !at.is_empty() && !modules.contains(&at) {
            at.pop();
        }
        if at != own && !at.is_empty() && !(folder && at.starts_with(&own)) {
            to.insert(at);
        }
    }
    to
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let modules: BTreeSet<Vec<String>> = sources().iter().map(|file| module_of(file)).collect();
    let mut left: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for file in sources() {
        left.entry(module_of(&file)).or_default().extend(arrows(&file, &modules));
    }
    assert!(left.values().map(BTreeSet::len).sum::<usize>() > 1000, "the paths are not read");
    // Whoever uses nobody that is left is in no circle, and neither is whoever is used by nobody that is left.
    loop {
        let used: BTreeSet<Vec<String>> = left.values().flatten().cloned().collect();
        let out: BTreeSet<Vec<String>> = left
            .iter()
            .filter(|(own, to)| !used.contains(*own) || !to.iter().any(|other| left.contains_key(other)))
            .map(|(own, _)| own.clone())
            .collect();
        if out.is_empty() {
            break;
        }
        left.retain(|own, _| !out.contains(own));
        for to in left.values_mut() {
            to.retain(|other| !out.contains(other));
        }
    }
    let told = |(own, to): (&Vec<String>, &BTreeSet<Vec<String>>)| {
        let to: Vec<String> = to.iter().map(|other| other.join("::")).collect();
        format!("{} uses {}", own.join("::"), to.join(", "))
    };
    assert!(left.is_empty(), "in circles, or between two:\n{}", left.iter().map(told).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_list_of_rooms_is_the_folder() {
    let rooms: BTreeSet<String> = sources().iter().map(|file| room_of(file)).collect();
    let listed: BTreeSet<String> = ROOMS.iter().filter(|room| **room != "build").map(|room| (*room).to_owned()).collect();
    assert_eq!(rooms, listed);
}

#[test]
fn the_map_has_the_same_rooms_in_the_same_order() {
    let map = fs::read_to_string(here("../docs/architecture.md")).unwrap();
    let table = map.split("## The rooms").nth(1).unwrap().split("\n## ").next().unwrap();
    let rooms = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(|name| {
        let name = name.trim_end_matches('/');
        name.strip_suffix(".rs").unwrap_or(name)
    });
    let shown: Vec<&str> = rooms.collect();
    let listed: Vec<&str> = ROOMS.into_iter().filter(|room| !["lib", "main", "build"].contains(room)).collect();
    assert_eq!(shown, listed, "docs/architecture.md, section The rooms");
}

#[test]
fn the_map_names_files_that_are_there() {
    let map = fs::read_to_string(here("../docs/architecture.md")).unwrap();
    let table = map.split("## Inside the rooms").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").next().unwrap());
    let named: Vec<&str> = rows.flat_map(|first| first.split('`').skip(1).step_by(2)).collect();
    let lost: Vec<&&str> = named.iter().filter(|name| !ROOTS.iter().any(|root| here(root).join(name).exists())).collect();
    assert!(named.len() > 40 && lost.is_empty(), "not there: {lost:?}");
}

#[test]
fn no_folder_is_too_full_to_be_a_map() {
    for root in ["core/src", "src", "templates"] {
        let mut folders = vec![here(root)];
        while let Some(folder) = folders.pop() {
            let entries: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            let flat =
                entries.iter().filter(|entry| entry.is_file() && entry.file_stem().is_some_and(|name| name != "mod")).count();
            assert!(flat <= MOST_IN_A_FOLDER, "{} holds {flat} files", folder.display());
            folders.extend(entries.into_iter().filter(|entry| entry.is_dir()));
        }
    }
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for() {
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! ") && text.lines().next().unwrap().len() > 12, "{} does not", file.display());
    }
}

/// Words of kinds of events that other things are called by as well: notices, outcomes, verdicts, buttons.
const ALSO_OTHER_WORDS: [&str; 33] = [
    // An index holds these alone, and a statement finds it by the word itself.
    "given_back",
    "raised",
    "repeated",
    "flapping",
    "resolved",
    "cancelled",
    "acknowledged",
    "redialled",
    "answered",
    "nobody",
    "expired",
    "superseded",
    "late_nobody",
    "declined",
    "escalated",
    "policy_set",
    "lapsed",
    "skipped",
    "do_not_call",
    "opted_out",
    "snoozed",
    "noted",
    "reopened",
    "handset_offline",
    "handset_stuck",
    "handset_back",
    "hand_over_trouble",
    "gateway_silent",
    "gateway_back",
    "calendar_trouble",
    "calendar_back",
    "backup_trouble",
    "backup_back",
];

#[test]
fn events_are_named_by_their_type() {
    let (home, others): (Vec<_>, Vec<_>) = sources().into_iter().partition(|file| file.ends_with("alarm/event.rs"));
    assert_eq!(home.len(), 1);
    let others: Vec<(PathBuf, String)> = others.into_iter().map(|file| (file.clone(), code(&file))).collect();
    for kind in autocall::alarm::event::EventKind::ALL {
        let word = kind.as_str();
        let said = [format!("\"{word}\""), format!("'{word}'")];
        let found: Vec<&PathBuf> =
            others.iter().filter(|(_, code)| said.iter().any(|said| code.contains(said))).map(|(file, _)| file).collect();
        let also_another = ALSO_OTHER_WORDS.contains(&word);
        assert!(also_another || found.is_empty(), "{word:?} is a kind of event: say it by Event or EventKind in {found:?}");
        assert!(!also_another || !found.is_empty(), "{word:?} is the word of an event alone now: take it off the list");
    }
}

#[test]
fn no_line_of_a_template_is_too_long_to_be_read_and_none_cuts_what_is_typed() {
    let mut folders = vec![here("templates")];
    let mut wrong = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let long = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 160);
            wrong.extend(long.map(|(place, _)| format!("{} line {}", file.display(), place + 1)));
            if text.contains("maxlength") {
                wrong.push(format!("{}: a browser cuts what is pasted at maxlength, without a word", file.display()));
            }
            // What every form of ours has is written once.
            if text.contains("type=\"hidden\"") && !file.ends_with("macros.html") && !file.ends_with("frame/field.html") {
                wrong.push(format!("{}: a hidden input by hand, see macros.html", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What changes or takes away lines of the audit log: retention and erasure, each in a file of its own, and nothing else.
const MAY_CHANGE_AUDIT: [(&str, &[&str]); 2] =
    [("store/audit/pruning.rs", &["DELETE FROM audit "]), ("store/audit/erasing.rs", &["UPDATE audit_personal "])];

#[test]
fn no_statement_but_those_of_retention_and_erasure_changes_the_audit_log() {
    let mut found = BTreeSet::new();
    for file in sources() {
        let text = code(&file).split_whitespace().collect::<Vec<_>>().join(" ");
        let upper = text.to_uppercase();
        let changing = ["DELETE FROM ", "UPDATE ", "TRUNCATE ", "DROP TABLE ", "ALTER TABLE ", "REPLACE INTO "];
        for verb in changing {
            for (at, _) in upper.match_indices(verb) {
                let table: String =
                    text[at + verb.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if table.starts_with("audit") {
                    found.insert((file.strip_prefix(here("src")).unwrap().display().to_string(), format!("{verb}{table} ")));
                }
            }
        }
        // What is written over on the way in would be a change as well.
        for (at, _) in upper.match_indices("INSERT INTO AUDIT") {
            let rest = &upper[at..];
            let statement = &rest[..rest.find('"').unwrap_or(rest.len())];
            assert!(!statement.contains("ON CONFLICT"), "{}: {statement}", file.display());
        }
    }
    let allowed: BTreeSet<(String, String)> = MAY_CHANGE_AUDIT
        .iter()
        .flat_map(|(file, statements)| statements.iter().map(move |own| ((*file).to_owned(), (*own).to_owned())))
        .collect();
    assert_eq!(found, allowed, "lines of the audit log are only added");
}

#[test]
fn every_operation_of_the_audit_log_is_noted_somewhere() {
    let all: Vec<String> = sources().iter().filter(|file| room_of(file) != "audit").map(|file| code(file)).collect();
    let noted = |word: &str| all.iter().any(|code| code.contains(word));
    let lost: Vec<String> = autocall::audit::Operation::ALL
        .iter()
        .map(|operation| format!("Operation::{operation:?}"))
        .filter(|word| !noted(word))
        .collect();
    assert!(lost.is_empty(), "nobody notes {lost:?}");
}
