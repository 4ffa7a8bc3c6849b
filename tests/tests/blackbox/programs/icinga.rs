//! Debian's Icinga 2, which runs the same script as Nagios by the commands of the document.

use autocall_tests::process::{Process, Signal};
use autocall_tests::wait::eventually;
use serde_json::json;

use super::{Pipe, Programs, Told, ZHANG, block, place, script, who};
use crate::world::SOON;

/// What stands in its configuration beside our commands.
const OBJECTS: &str = r#"
include <itl>
object NotificationComponent "notification" {}
object ExternalCommandListener "command" { command_path = "FOLDER/run/icinga2/icinga2.cmd" }
object User "oncall" { pager = "PAGER" }
object CheckCommand "never" { command = [ "/bin/true" ] }
object Host "db1" { check_command = "never", enable_active_checks = false, max_check_attempts = 1 }
object Service "disk /var" { host_name = "db1", check_command = "never", enable_active_checks = false, max_check_attempts = 1 }
apply Notification "oncall" to Service {
  command = "autocall-service"
  users = [ "oncall" ]
  types = [ Problem, Recovery, Acknowledgement ]
  interval = 1s
  assign where true
}
apply Notification "oncall" to Host {
  command = "autocall-host"
  users = [ "oncall" ]
  types = [ Problem, Recovery, Acknowledgement ]
  assign where true
}
"#;

#[tokio::test]
async fn icinga_runs_the_documented_script() {
    let (programs, told) = (Programs::unpacked().await, Told::new().await);
    let (folder, key) = (told.folder("icinga"), told.key("icinga").await);
    place(&script("autocall-notify"), &folder, "autocall-notify");
    for name in ["data", "log.d", "cache", "spool", "run/icinga2"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let commands = told.filled(&block("object NotificationCommand"), &folder, &key);
    let objects = OBJECTS.replace("FOLDER", folder.to_str().unwrap()).replace("PAGER", ZHANG);
    std::fs::write(folder.join("icinga2.conf"), objects + &commands).unwrap();
    let daemon =
        std::fs::read_dir(programs.file("usr/lib")).unwrap().map(|entry| entry.unwrap().path().join("icinga2/sbin/icinga2"));
    let daemon = daemon.into_iter().find(|path| path.exists()).expect("Icinga's daemon is there");
    let mut command = programs.command(daemon.to_str().unwrap());
    command.args(["daemon", "-DNodeName=vm", "-DZoneName=vm", "-c"]).arg(folder.join("icinga2.conf"));
    command.args([format!("-DRunAsUser={}", who("-un")), format!("-DRunAsGroup={}", who("-gn"))]);
    let places = [("DataDir", "data"), ("LogDir", "log.d"), ("CacheDir", "cache"), ("SpoolDir", "spool"), ("InitRunDir", "run")];
    command.args(places.map(|(name, place)| format!("-D{name}={}", folder.join(place).display())));
    command.arg(format!("-DIncludeConfDir={}", programs.file("usr/share/icinga2/include").display()));
    let _icinga = Process::spawn("icinga2", command, &folder.join("log")).with_farewell(Signal::Terminate);
    let pipe = Pipe::ready(folder.join("run/icinga2/icinga2.cmd")).await;

    // Before its notifications are on, it takes a result without a word.
    eventually("an alarm of Icinga", 2 * SOON, async || {
        pipe.tell("PROCESS_SERVICE_CHECK_RESULT;db1;disk /var;2;CRIT 99% full é").await;
        told.alarms("icinga").await.first().cloned()
    })
    .await;
    let alarm = told.until("icinga", "that is repeated", |alarm| alarm["repeats"].as_i64() > Some(0)).await;
    assert_eq!(
        (&alarm["summary"], &alarm["priority"], &alarm["dedup_key"]),
        (&json!("db1 disk /var CRITICAL: CRIT 99% full é"), &json!("critical"), &json!("db1/disk /var"))
    );
    pipe.tell("ACKNOWLEDGE_SVC_PROBLEM;db1;disk /var;1;1;0;li na;on it").await;
    let taken = told.until("icinga", "that is taken", |alarm| alarm["state"] == "answered").await;
    assert_eq!(told.client.alarm(taken["id"].as_str().unwrap()).await["answer"]["name"], "li na");
    pipe.tell("PROCESS_SERVICE_CHECK_RESULT;db1;disk /var;0;OK").await;
    told.until("icinga", "that is over", |alarm| alarm["state"] == "resolved").await;
    assert_eq!(told.alarms("icinga").await.len(), 1, "no repeat was a new alarm");

    pipe.tell("PROCESS_HOST_CHECK_RESULT;db1;1;PING dead").await;
    let down = told.until("icinga", "about the host", |alarm| alarm["dedup_key"] == "db1/").await;
    assert_eq!((&down["summary"], &down["priority"]), (&json!("db1 DOWN: PING dead"), &json!("critical")));
    pipe.tell("PROCESS_HOST_CHECK_RESULT;db1;0;PING alive").await;
    told.until("icinga", "of a host that is over", |alarm| alarm["dedup_key"] == "db1/" && alarm["state"] == "resolved").await;
}
