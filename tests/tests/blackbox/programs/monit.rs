//! Debian's Monit, with the script and the check of the document.

use std::os::unix::fs::PermissionsExt;

use autocall_tests::process::{Process, Signal};
use serde_json::json;

use super::{Programs, Told, block, place, script};

#[tokio::test]
async fn monit_runs_the_documented_script() {
    let (programs, told) = (Programs::unpacked().await, Told::new().await);
    let (folder, key) = (told.folder("monit"), told.key("monit").await);
    place(&told.filled(&script("autocall-monit"), &folder, &key), &folder, "autocall-monit");
    let watched = folder.join("backup.done");
    let check = told.filled(&block("then exec"), &folder, &key).replace("/run/backup.done", watched.to_str().unwrap());
    let at = |name: &str| folder.join(name).display().to_string();
    let settings = ["pid", "id", "state", "log"].map(|name| format!("set {name}file {}\n", at(name))).concat();
    let rc = folder.join("monitrc");
    // A cycle is a second here, and it repeats itself sooner.
    let repeated = check.replace("every 10 cycles", "every 2 cycles");
    std::fs::write(&rc, format!("set daemon 1\n{settings}{repeated}\n")).unwrap();
    std::fs::set_permissions(&rc, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = programs.command("usr/bin/monit");
    command.args(["-I", "-c"]).arg(&rc);
    let _monit = Process::spawn("monit", command, &folder.join("output")).with_farewell(Signal::Terminate);

    let alarm = told.until("monit", "that is repeated", |alarm| alarm["repeats"].as_i64() > Some(0)).await;
    let (summary, key) = (alarm["summary"].as_str().unwrap(), alarm["dedup_key"].as_str().unwrap());
    assert!(summary.ends_with(": backup: Does not exist") && key.starts_with("monit/") && key.ends_with("/backup"), "{alarm}");
    assert_eq!((&alarm["priority"], &alarm["state"], told.alarms("monit").await.len()), (&json!("high"), &json!("waiting"), 1));
    std::fs::write(&watched, "").unwrap();
    told.until("monit", "that is over", |alarm| alarm["state"] == "resolved").await;
    assert_eq!(told.alarms("monit").await.len(), 1);
}
