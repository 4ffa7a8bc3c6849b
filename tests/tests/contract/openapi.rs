//! The description of the API: made from the code, kept in the repository, served, and true.

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

#[tokio::test]
async fn it_is_served_to_everybody_and_shown_without_script() {
    let server = Home::new(Kind::Embedded).await.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let served: Value = reqwest::get(format!("{}/api/v1/openapi.json", server.base)).await.unwrap().json().await.unwrap();
    let paths: Vec<&String> = served["paths"].as_object().unwrap().keys().collect();
    assert!(paths.len() >= 6, "{paths:?}");
    let page = reqwest::get(format!("{}/api", server.base)).await.unwrap();
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
            let status = reqwest::Client::new().request(method, url).send().await.unwrap().status();
            assert_eq!(status, 401, "{path}");
        }
    }
}
