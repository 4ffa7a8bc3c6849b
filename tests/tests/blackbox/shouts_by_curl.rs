//! Scenario: a client of blast-api that knows its document and nothing else: every request by curl, and a message that goes out.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::world::{Engine, World, on_both};

on_both!(every_request_of_blast_api_s_document_is_answered_as_it_says);

async fn printed(world: &World, args: &[&str]) -> String {
    let output = world.command(args).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn every_request_of_blast_api_s_document_is_answered_as_it_says(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let key = printed(&world, &["key", "add", "--name", "blast", "--shouts"]).await;
    let said = printed(&world, &["handset", "add", "--name", "trunk", "--profile", "native"]).await;
    printed(&world, &["handset", "set", "trunk", "--channels", "1", "--bulk", "on"]).await;
    let begin = said.find("/h/").unwrap_or_else(|| panic!("{said}"));
    let phone: String = said[begin..]
        .chars()
        .take_while(|char| !char.is_whitespace())
        .collect::<String>()
        .trim_end_matches("/alert/phone")
        .to_owned();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-c", include_str!("shouts_by_curl.sh")])
        .current_dir(folder.path())
        .env("url", server.url())
        .env("key", &key)
        .env("phone", &phone)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_mins(2), output).await.expect("the client never came to its end").unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.ends_with("all as documented\n"), "{told}{wrong}");
}
