//! Debian's Nagios, which runs the script and the command of the document.

use autocall_tests::process::{Process, Signal};
use serde_json::json;

use super::{Pipe, Programs, Told, ZHANG, block, place, script, who};

/// What stands in its configuration beside our command.
const OBJECTS: &str = "
define timeperiod {
    timeperiod_name always
    alias always
    sunday 00:00-24:00
    monday 00:00-24:00
    tuesday 00:00-24:00
    wednesday 00:00-24:00
    thursday 00:00-24:00
    friday 00:00-24:00
    saturday 00:00-24:00
}
define command {
    command_name none
    command_line /bin/true
}
define contact {
    contact_name oncall
    pager PAGER
    service_notification_period always
    host_notification_period always
    service_notification_options w,u,c,r
    host_notification_options d,u,r
    service_notification_commands autocall
    host_notification_commands autocall
}
define host {
    host_name db1
    address 127.0.0.1
    check_command none
    max_check_attempts 1
    check_interval 1
    active_checks_enabled 0
    check_period always
    notification_interval 1
    notification_period always
    contacts oncall
}
define service {
    host_name db1
    service_description disk /var
    check_command none
    max_check_attempts 1
    check_interval 1
    active_checks_enabled 0
    check_period always
    notification_interval 1
    notification_period always
    contacts oncall
}
";

#[tokio::test]
async fn nagios_runs_the_documented_script() {
    let (programs, told) = (Programs::unpacked().await, Told::new().await);
    let (folder, key) = (told.folder("nagios"), told.key("nagios").await);
    place(&script("autocall-notify"), &folder, "autocall-notify");
    let command = told.filled(&block("define command"), &folder, &key);
    std::fs::write(folder.join("objects.cfg"), command + &OBJECTS.replace("PAGER", ZHANG)).unwrap();
    std::fs::create_dir(folder.join("results")).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let settings = [
        ("log_file", at("nagios.log")),
        ("cfg_file", at("objects.cfg")),
        ("object_cache_file", at("objects.cache")),
        ("precached_object_file", at("objects.precache")),
        ("status_file", at("status.dat")),
        ("temp_file", at("nagios.tmp")),
        ("temp_path", at("")),
        ("lock_file", at("nagios.lock")),
        ("state_retention_file", at("retention.dat")),
        ("check_result_path", at("results")),
        ("command_file", at("nagios.cmd")),
        ("query_socket", at("nagios.qh")),
        ("nagios_user", who("-un")),
        ("nagios_group", who("-gn")),
        // A second is a minute here.
        ("interval_length", "1".to_owned()),
        ("enable_environment_macros", "1".to_owned()),
        ("check_external_commands", "1".to_owned()),
        ("enable_notifications", "1".to_owned()),
        ("execute_service_checks", "0".to_owned()),
        ("execute_host_checks", "0".to_owned()),
        ("use_syslog", "0".to_owned()),
        ("illegal_macro_output_chars", "`~\\$&|'\"<>".to_owned()),
    ];
    let settings: String = settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(folder.join("nagios.cfg"), settings).unwrap();
    let mut command = programs.command("usr/sbin/nagios4");
    command.arg(folder.join("nagios.cfg"));
    let _nagios = Process::spawn("nagios4", command, &folder.join("log")).with_farewell(Signal::Terminate);
    let pipe = Pipe::ready(folder.join("nagios.cmd")).await;

    pipe.tell("PROCESS_SERVICE_CHECK_RESULT;db1;disk /var;2;CRIT 99% full é\\nline two").await;
    let alarm = told.until("nagios", "about the service", |_| true).await;
    assert_eq!(
        (&alarm["summary"], &alarm["priority"], &alarm["dedup_key"]),
        (&json!("db1 disk /var CRITICAL: CRIT 99% full é"), &json!("critical"), &json!("db1/disk /var"))
    );
    let whole = told.client.alarm(alarm["id"].as_str().unwrap()).await;
    assert_eq!((&whole["details"], &whole["callees"][0]["number"]), (&json!("line two"), &json!("+8618712345678")), "{whole}");
    // It tells of it again once its interval is over.
    autocall_tests::wait::eventually("a repeat", 2 * crate::world::SOON, async || {
        pipe.tell("PROCESS_SERVICE_CHECK_RESULT;db1;disk /var;2;CRIT 99% full é").await;
        told.alarms("nagios").await.iter().any(|alarm| alarm["repeats"].as_i64() > Some(0)).then_some(())
    })
    .await;
    pipe.tell("ACKNOWLEDGE_SVC_PROBLEM;db1;disk /var;1;1;0;li na;on it").await;
    let taken = told.until("nagios", "that is taken", |alarm| alarm["state"] == "answered").await;
    assert_eq!(told.client.alarm(taken["id"].as_str().unwrap()).await["answer"]["name"], "li na");
    pipe.tell("PROCESS_SERVICE_CHECK_RESULT;db1;disk /var;0;OK").await;
    told.until("nagios", "that is over", |alarm| alarm["state"] == "resolved").await;
    assert_eq!(told.alarms("nagios").await.len(), 1, "no repeat was a new alarm");

    pipe.tell("PROCESS_HOST_CHECK_RESULT;db1;1;PING dead").await;
    let down = told.until("nagios", "about the host", |alarm| alarm["dedup_key"] == "db1/").await;
    assert_eq!((&down["summary"], &down["priority"]), (&json!("db1 DOWN: PING dead"), &json!("critical")));
    pipe.tell("PROCESS_HOST_CHECK_RESULT;db1;0;PING alive").await;
    told.until("nagios", "of a host that is over", |alarm| alarm["dedup_key"] == "db1/" && alarm["state"] == "resolved").await;
}
