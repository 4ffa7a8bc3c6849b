//! The description of the API: made from the code, kept in the repository, served, and true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use autocall_tests::described::{self, Held as _};
use serde_json::Value;

use crate::harness::{Home, Kind};

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

/// Whoever changes the API sees it here. `UPDATE_OPENAPI=1 tests/run --test contract openapi` writes the new one.
#[test]
fn the_kept_description_is_the_code_s() {
    let now = autocall::router::openapi_json(&autocall::router::openapi()) + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(KEPT, &now).unwrap();
    }
    let kept = std::fs::read_to_string(KEPT).unwrap();
    assert!(kept == now, "docs/openapi.json differs from the code: run with UPDATE_OPENAPI=1 and look at the difference");
}

/// Two operations of one name, and two types of one name: of each pair, generated clients have one.
#[test]
fn every_name_stands_for_one_thing() {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(operations.insert(name.to_owned()), "two operations are called {name}: {method} {path} is one of them");
        }
    }
    let mut types = BTreeMap::new();
    for file in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../server"))) {
        let text = std::fs::read_to_string(&file).unwrap();
        for piece in text.split("#[derive(").skip(1).filter(|piece| piece.split(")]").next().unwrap().contains("ToSchema")) {
            let head = piece.split('{').next().unwrap();
            let given = head.split("#[schema(as = ").nth(1).map(|rest| rest.split(')').next().unwrap());
            let own = head.split("struct ").nth(1).or_else(|| head.split("enum ").nth(1)).unwrap_or("$macro");
            let own = own.split(|c: char| !c.is_alphanumeric() && c != '$' && c != '_').next().unwrap();
            let name = given.unwrap_or(own).trim().to_owned();
            if !name.starts_with('$') {
                let other = types.insert(name.clone(), file.clone());
                assert!(other.is_none(), "two types are called {name}: in {} and {}", file.display(), other.unwrap().display());
            }
        }
    }
    assert!(operations.len() > 60 && types.len() > 60, "{} operations, {} types", operations.len(), types.len());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(sources(&entry));
        } else if entry.extension().is_some_and(|own| own == "rs") {
            files.push(entry);
        }
    }
    files
}

/// Parts that each allow no other properties allow none together: nothing would be valid.
#[test]
fn what_is_put_together_of_parts_is_one_object() {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["allOf"].is_null(), "{name} is put together of parts: {schema}");
    }
    let policy = &document["components"]["schemas"]["NamedPolicy"];
    assert!(policy["properties"]["steps"].is_object() && policy["properties"]["name"].is_object(), "{policy}");
    assert!(policy["additionalProperties"].is_null(), "{policy}");
}

/// What generated clients need beside the operations: how to show a key, where the server is, and what each part is about.
#[test]
fn what_goes_for_all_operations_is_said() {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    assert_eq!(document["servers"][0]["url"], "/");
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    for way in document["security"].as_array().unwrap().iter().flat_map(|way| way.as_object().unwrap().keys()) {
        assert!(schemes.contains_key(way), "{way}");
    }
    let tags: BTreeSet<&str> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for tag in operation["tags"].as_array().unwrap() {
                assert!(tags.contains(tag.as_str().unwrap()), "{method} {path}: {tag}");
            }
            let header = |status: &str, name: &str| &operation["responses"][status]["headers"][name]["required"];
            for (status, name) in [("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After")] {
                assert_eq!(header(status, name), true, "{method} {path} {status}");
            }
        }
    }
}

/// Generated clients ask for whatever is required: of a list, nothing is.
#[test]
fn what_is_asked_of_a_list_may_be_left_out() {
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| !is_of_others(path)) {
        for own in methods["get"]["parameters"].as_array().into_iter().flatten().filter(|own| own["in"] == "query") {
            assert_eq!(own["required"], false, "{path}: {}", own["name"]);
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}

/// Each problem's `type` is a place on a page that is there for everybody.
#[tokio::test]
async fn every_problem_stands_in_the_catalogue() {
    let server = Home::new(Kind::Embedded).await.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let page = described::get(format!("{}/api/problems", server.base)).await.unwrap().text().await.unwrap();
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    for code in codes {
        assert!(page.contains(&format!("id=\"{}\"", code.as_str().unwrap())), "{code}");
    }
    assert!(codes.len() > 30 && codes.len() == page.matches("<h2 ").count() && !page.contains("<script"));
    let refused: Value = described::get(format!("{}/api/v1/alarms", server.base)).await.unwrap().json().await.unwrap();
    assert_eq!(refused["type"], "/api/problems#unauthorized");
}

#[tokio::test]
async fn it_is_served_to_everybody_and_shown_without_script() {
    let server = Home::new(Kind::Embedded).await.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let served: Value = described::get(format!("{}/api/v1/openapi.json", server.base)).await.unwrap().json().await.unwrap();
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(KEPT).unwrap()).unwrap();
    assert_eq!(served, kept);
    let paths: Vec<&String> = served["paths"].as_object().unwrap().keys().collect();
    assert!(paths.len() >= 6, "{paths:?}");
    let page = described::get(format!("{}/api", server.base)).await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let page = page.text().await.unwrap();
    for path in paths {
        assert!(page.contains(path.as_str()), "{path} is not on the page");
    }
    assert!(!page.contains("<script") && !page.contains("http-equiv"));
    let needs = |operation: &str| page.split(operation).nth(1).unwrap().split("</article>").next().unwrap();
    assert!(needs("<b>GET</b> <code>/api/v1/audit</code>").contains("The right <code>admin</code>"));
    assert!(
        needs("<b>GET</b> <code>/api/v1/alarms</code>")
            .contains("The right <code>read</code>; for what is one's own, <code>raise</code>")
    );
    assert_eq!(
        page.matches("<code>x-right</code>").count(),
        page.matches("<article").count(),
        "every operation says what it needs"
    );
    // What is described is there: without a key, every path refuses, and none is unknown.
    for (path, methods) in served["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            let url = format!("{}{}", server.base, path.replace("{id}", "01a1fc4e-a630-77e4-8b85-425a1123605f"));
            let status = autocall_tests::http_client().build().unwrap().request(method, url).sent().await.unwrap().status();
            assert_eq!(status, 401, "{path}");
        }
    }
}

/// docs/api-design.md: which things there are, what can be done with them, and what instants are called.
#[test]
fn the_page_about_its_design_is_true() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api-design.md")).unwrap();
    let document: Value = serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `/api/v1/")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [list, one, made, replaced, patched, removed] = cells[..] else { panic!("{row}") };
        listed.insert(list.to_owned());
        let item = &paths[&if one.is_empty() { list.to_owned() } else { format!("{list}/{one}") }];
        let of = |path: &str, method: &str| !paths[path][method].is_null();
        assert_eq!(made == "POST", of(list, "post"), "{row}");
        for (cell, method) in [(replaced, "put"), (patched, "patch"), (removed, "delete")] {
            assert_eq!(!cell.is_empty(), !item[method].is_null(), "{row}: {method}");
        }
        assert!(!item["get"].is_null() || one.is_empty(), "{row}");
    }
    let is_list = |operation: &Value| {
        let schema = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
        schema.rsplit('/').next().is_some_and(|name| name.starts_with("Listed"))
    };
    let described: BTreeSet<String> =
        paths.iter().filter(|(_, item)| is_list(&item["get"])).map(|(path, _)| path.clone()).collect();
    assert_eq!(listed, described, "the page names all lists");
    let deprecated =
        page.lines().find_map(|line| line.strip_prefix("Deprecated since 2026-11-28, gone after 2027-12-01 at the earliest: "));
    // The page says what is to go, and when.
    let deprecated = deprecated.unwrap();
    let of_lists = ["alarms", "feeds", "hand_overs", "numbers", "policies", "schedules", "teams", "vacations"];
    for (of, old, _, _) in autocall::http::aging::all() {
        assert!(of_lists.contains(&old) || deprecated.contains(&format!("`{old}`")), "{of}.{old}");
    }
}

fn document() -> Value {
    serde_json::from_str(&autocall::router::openapi_json(&autocall::router::openapi())).unwrap()
}

/// All operations: method, path and what is said of them.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let all: Vec<_> =
            item.as_object().unwrap().iter().map(|(method, own)| (method.clone(), path.clone(), own.clone())).collect();
        all
    };
    paths.iter().flat_map(of).collect()
}

/// Whether an address is that of another program's API.
fn is_of_others(path: &str) -> bool {
    let blast = ["/api/v1/calls", "/api/v1/shouts", "/api/v1/dnc"];
    path == "/api/v1/call" || blast.iter().any(|own| path == *own || path.starts_with(&format!("{own}/")))
}

/// The names of all schemas that a schema is made of.
fn made_of(document: &Value, schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|place| place.rsplit('/').next())
                && names.insert(name.to_owned())
            {
                made_of(document, &document["components"]["schemas"][name], names);
            }
            members.values().for_each(|member| made_of(document, member, names));
        }
        Value::Array(all) => all.iter().for_each(|one| made_of(document, one, names)),
        _ => {}
    }
}

/// The schemas of what is sent, and of what is answered when all is well.
fn sent_and_answered(document: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut sent, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for (_, path, operation) in operations(document) {
        if is_of_others(&path) || path == "/api/v1/shout-records" {
            // Barista's and blast-api's, in their own words.
            continue;
        }
        made_of(document, &operation["requestBody"], &mut sent);
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') {
                made_of(document, response, &mut answered);
            }
        }
    }
    (sent, answered)
}

/// What stays under its old name, and why: what is read and written back as it is could hold both names, and nobody could say which one
/// was meant.
const READ_AND_WRITTEN_BACK: [&str; 4] = ["LayerForm", "QuietBody", "ShiftForm", "NamedNumber"];
/// Names that say too little of what they are.
const TOO_LITTLE: [&str; 9] = ["at", "deadline", "end", "from", "number", "since", "start", "to", "until"];

/// Instants end in `_at`, dates in `_on`; a number says whether it is an alarm's or a phone's; what begins and ends says so.
#[test]
fn names_say_what_they_hold() {
    let document = document();
    let (sent, answered) = sent_and_answered(&document);
    let mut wrong = BTreeSet::new();
    let mut judge = |place: &str, name: &str, schema: &Value| {
        let format = schema["format"].as_str().unwrap_or_default();
        let ends = |end: &str| name.ends_with(end);
        let is_choice = schema["enum"].is_array() || schema["$ref"].is_string() || schema["oneOf"].is_array();
        if (format == "date-time" && !ends("_at"))
            || (format == "date" && !ends("_on"))
            || (ends("_at") && schema["type"].to_string().contains("integer"))
            || (TOO_LITTLE.contains(&name) && !is_choice)
        {
            wrong.insert(format!("{place}.{name}"));
        }
    };
    for name in sent.union(&answered).filter(|name| !READ_AND_WRITTEN_BACK.contains(&name.as_str())) {
        for (property, schema) in document["components"]["schemas"][name]["properties"].as_object().into_iter().flatten() {
            if schema["deprecated"] != true {
                judge(name, property, schema);
            }
        }
    }
    for (method, path, operation) in operations(&document) {
        for own in operation["parameters"].as_array().into_iter().flatten() {
            if own["in"] == "query" && own["deprecated"] != true {
                judge(&format!("{method} {path}"), own["name"].as_str().unwrap(), &own["schema"]);
            }
        }
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api-design.md")).unwrap();
    let stays = page.lines().find_map(|line| line.strip_prefix("Names that stay as they were: ")).unwrap();
    let stays: BTreeSet<String> = stays.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(wrong, stays, "the page names all that stays");
}

/// Whoever has an id and a name is told by both.
#[test]
fn references_are_ids_with_names() {
    let document = document();
    let (sent, answered) = sent_and_answered(&document);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api-design.md")).unwrap();
    let names = page.lines().find_map(|line| line.strip_prefix("References of before that are names: ")).unwrap();
    let names: BTreeSet<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let mut others = BTreeSet::new();
    for name in answered.difference(&sent) {
        for (property, schema) in document["components"]["schemas"][name]["properties"].as_object().into_iter().flatten() {
            let of_one = ["gateway", "handset", "instead_of", "person", "policy", "schedule", "team", "verify_handset"];
            let id_of_one = ["gateway_id", "handset_id", "person_id", "policy_id", "schedule_id", "team_id"];
            let (is_one, is_id) = (of_one.contains(&property.as_str()), id_of_one.contains(&property.as_str()));
            let mut made = BTreeSet::new();
            made_of(&document, schema, &mut made);
            if schema["deprecated"] != true && (is_id || (is_one && made.is_empty())) {
                others.insert(format!("{name}.{property}"));
            }
        }
    }
    assert_eq!(others, names, "the page names all of them");
}

/// What is to go is marked, has something in its place, and every answer of an operation that knows it says so.
#[test]
fn what_is_to_go_is_told_by_the_description_and_in_every_answer() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let mut known = 0;
    for (of, old, new, is_answered) in autocall::http::aging::all() {
        let (of, first) = (&schemas[of], new.split('/').next().unwrap());
        assert!(of["properties"][first].is_object(), "{old} is called {new} now");
        match is_answered {
            true => assert_eq!(
                (&of["properties"][old]["x-same-as"], &of["properties"][old]["deprecated"]),
                (&new.into(), &true.into())
            ),
            false => assert!(of["x-old-names"][old] == new && of["properties"][old].is_null(), "{old} is read as {new}"),
        }
        known += 1;
    }
    assert!(known > 50, "{known}");
    let mut aging = 0;
    for (method, path, operation) in operations(&document) {
        let mut parts = BTreeSet::new();
        made_of(&document, &operation["requestBody"], &mut parts);
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with('2') {
                made_of(&document, response, &mut parts);
            }
        }
        let of_parts = parts.iter().any(|name| {
            let own = &schemas[name];
            own["x-old-names"].is_object()
                || own["properties"].as_object().into_iter().flatten().any(|(_, one)| one["deprecated"] == true)
        });
        let of_query = operation["parameters"].as_array().into_iter().flatten().any(|own| own["deprecated"] == true);
        for (status, response) in operation["responses"].as_object().unwrap() {
            for header in ["Deprecation", "Sunset", "Link"] {
                let is_told = response["headers"][header]["required"] == true;
                assert_eq!(is_told, status.starts_with('2') && (of_parts || of_query), "{method} {path} {status} {header}");
            }
        }
        aging += usize::from(of_parts || of_query);
    }
    assert!(aging > 20, "{aging}");
}

/// Where a key means nothing: other people's contracts, and addresses that only say that somebody lives or what a phone received.
const WITHOUT_A_KEY: [&str; 5] = [
    "/api/v1/call",
    "/api/v1/heartbeat/{token}",
    "/api/v1/intake/alertmanager",
    "/api/v1/intake/{sender}",
    "/api/v1/sms/inbound/{token}",
];

/// Whatever is referred to is there, in parameters too.
#[test]
fn nothing_leads_nowhere() {
    fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(all) => all.iter().for_each(|one| references(one, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

/// Every POST may have an `Idempotency-Key`, whatever is read has an `ETag`, and whatever is overwritten takes `If-Match`.
#[test]
fn all_operations_live_one_life() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        let takes = |name: &str| operation["parameters"].as_array().into_iter().flatten().any(|own| own["name"] == name);
        let status = |status: &str| operation["responses"][status].is_object();
        if WITHOUT_A_KEY.contains(&path.as_str()) || is_of_others(&path) {
            continue;
        }
        for own in operation["parameters"].as_array().into_iter().flatten().filter(|own| own["in"] == "query") {
            assert!(own["required"] != true, "{method} {path}: {} may be left out", own["name"]);
        }
        match method.as_str() {
            // What is sent a piece at a time has no version beforehand.
            "get" if path == "/api/v1/audit.csv" || path.ends_with("/export") => assert!(!takes("If-None-Match"), "{path}"),
            "get" => assert!(takes("If-None-Match") && status("304"), "{path}"),
            "post" => assert!(takes("Idempotency-Key") && (status("409") || path == "/api/v1/alarms"), "{path}"),
            "put" | "patch" => assert!(takes("If-Match") && status("412"), "{method} {path}"),
            // What a removal would do is told where it can be asked.
            _ => assert!(status("204") && status("200") == takes("dry_run"), "{method} {path}"),
        }
        let location = &operation["responses"]["201"]["headers"]["Location"]["required"];
        assert!(!status("201") || location == true, "{method} {path} says where it is");
        for bad in ["400", "401", "403", "422", "429", "503", "default"] {
            assert!(status(bad), "{method} {path} {bad}");
        }
        if path.contains('{') {
            assert!(status("404"), "{method} {path}");
        }
    }
}
