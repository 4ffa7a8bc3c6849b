//! Netdata's own notifier, with the sender of the document: the alarm by which it tries itself, and one of a disk.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{Programs, Told, ZHANG, block, run};

/// Runs the notifier as Netdata does.
async fn notify(programs: &Programs, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("bash");
    command.arg(programs.file("usr/lib/netdata/plugins.d/alarm-notify.sh")).args(arguments).env("no_proxy", "*");
    for name in ["NETDATA_USER_CONFIG_DIR", "NETDATA_STOCK_CONFIG_DIR", "NETDATA_CACHE_DIR"] {
        command.env(name, folder);
    }
    run(command).await
}

/// A disk went from one state to another so many seconds ago.
async fn disk(programs: &Programs, folder: &Path, (state, before): (&str, &str), ago: i64) -> bool {
    let when = (autocall::clock::Clock::system().now().timestamp() - ago).to_string();
    let arguments = [
        "sysadmin",
        "db1",
        "1",
        "7",
        "1",
        &when,
        "disk_space_usage",
        "disk_space._var",
        "/var",
        state,
        before,
        "97",
        "60",
        "4@disks.conf",
        "10",
        "10",
        "%",
        "disk /var space",
        "97%",
        "60%",
        "expression",
        "parameters",
        "0",
        "0",
    ];
    notify(programs, folder, &arguments).await.status.success()
}

#[tokio::test]
async fn netdata_tells_by_the_documented_sender() {
    let (programs, told) = (Programs::unpacked().await, Told::new().await);
    let (folder, key) = (told.folder("netdata"), told.key("netdata").await);
    let config = block("custom_sender()").replace("\"autocall\"", &format!("\"{ZHANG}\""));
    assert!(config.contains(ZHANG), "whom it rings is filled in");
    std::fs::write(folder.join("health_alarm_notify.conf"), told.filled(&config, &folder, &key)).unwrap();

    let tested = notify(&programs, &folder, &["test"]).await;
    let said = String::from_utf8_lossy(&tested.stdout).into_owned() + &String::from_utf8_lossy(&tested.stderr);
    assert_eq!((said.matches("# OK").count(), said.matches("\"test\"").count()), (3, 3), "{said}");
    assert_eq!(told.client.alarms().await, [] as [Value; 0], "a test rings nobody");

    assert!(disk(&programs, &folder, ("WARNING", "CLEAR"), 20).await);
    let raised = told.until("netdata", "about the disk", |_| true).await;
    let key = "netdata/db1/disk_space._var/disk_space_usage";
    assert_eq!(
        (&raised["summary"], &raised["priority"], &raised["dedup_key"]),
        (&json!("db1: disk_space_usage = 97%"), &json!("normal"), &json!(key))
    );
    assert!(disk(&programs, &folder, ("CRITICAL", "WARNING"), 10).await);
    let worse = told.until("netdata", "that got worse", |alarm| alarm["priority"] == "critical").await;
    assert_eq!((&worse["repeats"], told.alarms("netdata").await.len()), (&json!(1), 1));
    assert!(disk(&programs, &folder, ("CLEAR", "CRITICAL"), 0).await);
    told.until("netdata", "that is over", |alarm| alarm["state"] == "resolved").await;

    std::fs::write(folder.join("health_alarm_notify.conf"), told.filled(&config, &folder, "wrong")).unwrap();
    assert!(!disk(&programs, &folder, ("WARNING", "CLEAR"), 0).await, "it knows that nobody was told");
}
