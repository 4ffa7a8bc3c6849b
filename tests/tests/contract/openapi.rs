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
    for (path, methods) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| *path != "/api/v1/call") {
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
    let old = page.lines().find_map(|line| line.strip_prefix("Instants of before with other names: ")).unwrap();
    let old: BTreeSet<&str> = old.split('`').skip(1).step_by(2).collect();
    let mut seen = BTreeSet::new();
    instants(&document, &mut seen);
    let others: BTreeSet<&str> = seen.iter().map(String::as_str).filter(|name| !name.ends_with("_at")).collect();
    assert_eq!(others, old, "instants are called …_at");
}

/// The names of all properties and parameters that are instants.
fn instants(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let (Some(name), "date-time") =
                (members.get("name").and_then(Value::as_str), value["schema"]["format"].as_str().unwrap_or_default())
            {
                names.insert(name.to_owned());
            }
            for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if property["format"] == "date-time" {
                    names.insert(name.clone());
                }
            }
            members.values().for_each(|member| instants(member, names));
        }
        Value::Array(all) => all.iter().for_each(|one| instants(one, names)),
        _ => {}
    }
}
