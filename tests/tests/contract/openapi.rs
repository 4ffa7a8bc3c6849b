//! The description of the API: made from the code, kept in the repository, served, and true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

#[tokio::test]
async fn it_is_served_to_everybody_and_shown_without_script() {
    let server = Home::new(Kind::Embedded).await.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let served: Value =
        autocall_tests::http_get(format!("{}/api/v1/openapi.json", server.base)).await.unwrap().json().await.unwrap();
    let paths: Vec<&String> = served["paths"].as_object().unwrap().keys().collect();
    assert!(paths.len() >= 6, "{paths:?}");
    let page = autocall_tests::http_get(format!("{}/api", server.base)).await.unwrap();
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
            let status = autocall_tests::http_client().build().unwrap().request(method, url).send().await.unwrap().status();
            assert_eq!(status, 401, "{path}");
        }
    }
}
