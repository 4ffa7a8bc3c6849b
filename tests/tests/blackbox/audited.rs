//! Scenario: whoever changes something at the command line leaves a line in the audit log. Every command there is stands here: with its line, or
//! with the reason why it has none.

use std::collections::BTreeSet;

use android_protocol::voice::{tone, wav};
use autocall_tests::server::Binary;
use serde_json::{Value, json};

use crate::client::{Client, text};
use crate::world::{Engine, World};

/// Commands that change nothing that anybody keeps, by their words.
const NONE: &[&str] = &[
    "serve",
    "demo",
    "migrate",
    "backup",
    "doctor",
    "completions",
    "man",
    "audit",
    "people list",
    "policy list",
    "policy show",
    "do-not-call list",
    "roster list",
    "roster show",
    "roster on-duty",
    "roster check",
    "roster log",
    "roster export",
    "roster calendars",
    "roster vacations",
    "roster feeds",
    "swap list",
    "alarm list",
    "alarm show",
    "key try",
    "key list",
    "webhook list",
    "webhook log",
    "heartbeat list",
    "maintenance list",
    "line list",
    "line preview",
    "report",
    "records",
    "phonecalls replicate",
    "gateway list",
    "gateway inbox",
    "handset list",
    "handset knocks",
    "media list",
    "user list",
    "export",
    "monitor",
    "monitor list",
    "tls",
    "tls make",
    "tls client",
    "tls show",
    // A sender, at its own server or elsewhere: its alarms stand on their timelines.
    "send",
    // The whole database is another one then, with the lines that it has.
    "restore",
    "move",
];

/// Commands whose lines other scenes look for: they need somebody who answers, or a list of another system. What they do is the same
/// operation that the API does (`contract/audit.rs` and `contract/audit_elsewhere.rs`), or the pages (`page/second_factor.rs`).
const ELSEWHERE: &[&str] = &[
    "roster set-calendar",
    "roster refresh-calendar",
    "roster remove-calendar",
    "swap ask",
    "swap accept",
    "swap decline",
    "swap take-back",
    "alarm decline",
    "alarm skip",
    "alarm escalate",
    "alarm policy",
    "webhook test",
    "gateway webhooks",
    "gateway test",
    "handset test",
    "phonecalls import",
    "import",
    "user reset-second-factor",
];

struct Terminal {
    world: World,
    client: Client,
    _server: Binary,
    done: BTreeSet<String>,
}

impl Terminal {
    async fn new() -> Self {
        let world = World::new(Engine::Sqlite).await;
        let server = world.serve().await;
        Self { world, client: Client::new(&server), _server: server, done: BTreeSet::new() }
    }

    /// The lines of an operation, the newest first.
    async fn lines(&self, operation: &str) -> Vec<Value> {
        let page = self.client.get(&format!("/api/v1/audit?limit=200&operation={operation}")).await;
        page["items"].as_array().unwrap().clone()
    }

    /// The id of the thing that an operation was done with last.
    async fn latest(&self, operation: &str) -> String {
        text(&self.lines(operation).await[0], "subject_id")
    }

    /// Runs a command, which must succeed and leave its line. So many of its words name it.
    async fn does(&mut self, words: usize, args: &[&str], operation: &str) -> String {
        let before = self.lines(operation).await.len();
        let output = self.world.command(args).await;
        let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {said}{wrong}");
        let lines = self.lines(operation).await;
        assert!(lines.len() > before, "{args:?} leaves no line {operation}: {said}");
        assert_eq!(lines[0]["done_by"], "command_line", "{args:?}: {}", lines[0]);
        self.done.insert(args[..words].join(" "));
        said.into_owned()
    }
}

/// Every command that can be run, by its words, as the document lists them.
fn commands() -> BTreeSet<String> {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md")).unwrap();
    let sections = document.split("\n## autocall ").skip(1);
    let leaves = sections.filter(|section| !section.contains("<COMMAND>"));
    leaves.map(|section| section.lines().next().unwrap().trim().to_owned()).collect()
}

#[tokio::test]
async fn every_command_that_changes_something_leaves_a_line() {
    let mut at = Terminal::new().await;
    let t = &mut at;
    people_and_policies(t).await;
    roster(t).await;
    what_is_set_up(t).await;
    lines_and_gateways(t).await;
    alarms(t).await;
    t.does(1, &["prune", "--older-than", "4000"], "pruned").await;
    let known: BTreeSet<String> = NONE.iter().chain(ELSEWHERE).map(|own| (*own).to_owned()).chain(at.done.clone()).collect();
    let missing: Vec<String> = commands().into_iter().filter(|own| !known.contains(own)).collect();
    assert!(missing.is_empty(), "nothing says which line these leave: {missing:?}");
}

async fn people_and_policies(t: &mut Terminal) {
    let people = t.world.file("people.csv", "name,numbers\nAnn,18712345671\nBen,18712345672\nZed,18712345673\n");
    t.does(2, &["people", "import", &people], "people_imported").await;
    t.does(2, &["people", "told", "Ann", "--alarm-texts", "never", "--put-on-duty", "true"], "told_changed").await;
    let file = format!("{}.own", t.world.file("ann.json", ""));
    t.does(2, &["people", "export", "Ann", "--to", &file], "person_exported").await;
    t.does(2, &["people", "erase", "Zed", "--yes"], "person_erased").await;
    let policy = t.world.file("policy.json", r#"{ "steps": [{ "ring": [{ "person": "Ann" }] }] }"#);
    t.does(2, &["policy", "set", "night", &policy], "policy_added").await;
    let policy = t.world.file("other.json", r#"{ "steps": [{ "ring": [{ "person": "Ben" }] }] }"#);
    t.does(2, &["policy", "set", "night", &policy], "policy_changed").await;
    let rules = t.world.file("rules.json", r#"{ "rules": [{ "policy": "night" }] }"#);
    t.does(2, &["policy", "rules", &rules], "rules_changed").await;
    t.does(2, &["policy", "remove", "night"], "policy_removed").await;
    let quiet = r#"{ "quiet_hours": [{ "from": "22:00", "to": "07:00", "zone": "UTC", "up_to": "low" }] }"#;
    let quiet = t.world.file("quiet.json", quiet);
    t.does(1, &["quiet-hours", &quiet], "quiet_hours_changed").await;
    t.does(2, &["do-not-call", "add", "18712345679"], "number_forbidden").await;
    t.does(2, &["do-not-call", "remove", "18712345679"], "number_allowed").await;
}

async fn roster(t: &mut Terminal) {
    let (from, to) = ("2030-01-07T00:00", "2030-01-08T00:00");
    t.does(2, &["roster", "set-team", "ops", "--members", "Ann,Ben"], "team_added").await;
    t.does(2, &["roster", "add-schedule", "ops", "--zone", "UTC"], "schedule_added").await;
    let turns = ["--name", "weekly", "--people", "Ann,Ben", "--every", "1 week", "--start", "2026-01-05T09:00"];
    t.does(2, &[&["roster", "set-rotation", "ops"][..], &turns].concat(), "layer_changed").await;
    let shifts = t.world.file("shifts.csv", "start,end,person\n2030-02-04 09:00,2030-02-05 09:00,Ann\n");
    t.does(2, &["roster", "import", "ops", &shifts, "--layer", "file"], "shifts_imported").await;
    t.does(2, &["roster", "holidays", "ops", "--people", "Ben", "--days", "2030-12-25"], "temporary_added").await;
    t.does(2, &["roster", "override", "ops", "add", "Ben", "--from", from, "--to", to], "override_added").await;
    let id = t.latest("override_added").await;
    t.does(2, &["roster", "remove-override", "ops", &id], "override_removed").await;
    let temporary = ["--name", "spring", "--people", "Ben", "--from", from, "--to", to];
    t.does(2, &[&["roster", "temporary", "ops"][..], &temporary].concat(), "temporary_added").await;
    let id = t.latest("temporary_added").await;
    t.does(2, &["roster", "remove-temporary", "ops", &id], "temporary_removed").await;
    t.does(2, &["roster", "vacation", "Ben", "--from", from, "--to", to], "vacation_added").await;
    let id = t.latest("vacation_added").await;
    t.does(2, &["roster", "remove-vacation", &id], "vacation_removed").await;
    t.does(2, &["roster", "add-feed", "--person", "Ann"], "feed_added").await;
    let id = t.latest("feed_added").await;
    t.does(2, &["roster", "revoke-feed", &id], "feed_revoked").await;
    t.does(2, &["roster", "remove-layer", "ops", "weekly"], "layer_removed").await;
    t.does(2, &["roster", "remove-schedule", "ops"], "schedule_removed").await;
    t.does(2, &["roster", "remove-team", "ops"], "team_removed").await;
}

async fn what_is_set_up(t: &mut Terminal) {
    t.does(2, &["key", "add", "--name", "zabbix", "--right", "admin"], "key_added").await;
    t.does(2, &["key", "set", "zabbix", "--right", "raise,operate"], "key_changed").await;
    t.does(2, &["key", "rotate", "zabbix"], "key_changed").await;
    t.does(2, &["key", "narrow", "zabbix", "--yes"], "key_changed").await;
    t.does(2, &["key", "revoke", "zabbix"], "key_revoked").await;
    let slack = "https://hooks.slack.example.com/services/T0/B0/XYZ";
    t.does(2, &["webhook", "add", "--name", "room", "--shape", "slack", "--url", slack], "webhook_added").await;
    t.does(2, &["webhook", "remove", "room"], "webhook_removed").await;
    t.does(2, &["heartbeat", "add", "--name", "backup", "--period", "86400", "--phones", "18712345671"], "heartbeat_added").await;
    t.does(2, &["heartbeat", "remove", "backup"], "heartbeat_removed").await;
    t.does(
        2,
        &["maintenance", "add", "--reason", "new switch", "--minutes", "9", "--label", "team=network"],
        "maintenance_added",
    )
    .await;
    let id = t.latest("maintenance_added").await;
    t.does(2, &["maintenance", "end", &id], "maintenance_ended").await;
    t.does(2, &["handset", "add", "--name", "desk"], "handset_added").await;
    t.does(2, &["handset", "allow", "10.9.9.9", "--name", "far"], "handset_added").await;
    t.does(2, &["handset", "rename", "desk", "hall"], "handset_renamed").await;
    t.does(2, &["handset", "set", "hall", "--bulk", "on"], "handset_changed").await;
    t.does(2, &["handset", "rotate", "hall"], "handset_rotated").await;
    t.does(2, &["handset", "disable", "hall"], "handset_disabled").await;
    t.does(2, &["handset", "enable", "hall"], "handset_enabled").await;
    t.does(2, &["handset", "remove", "hall"], "handset_removed").await;
    t.does(2, &["handset", "remove", "far"], "handset_removed").await;
    t.does(2, &["monitor", "add", "watcher", "--url", "https://pager.example.org"], "key_added").await;
    t.does(2, &["monitor", "remove", "watcher"], "handset_removed").await;
    let sound = t.world.file("night.wav", "");
    std::fs::write(&sound, wav::write(&tone::sine(&[700.0], 1000, 9000.0))).unwrap();
    t.does(2, &["media", "add", "night.wav", &sound], "clip_set").await;
    t.does(2, &["media", "remove", "night.wav"], "clip_removed").await;
    let password = t.world.file("password", "correct horse battery\n");
    for name in ["lin", "kim"] {
        t.does(2, &["user", "add", "--name", name, "--role", "admin", "--password-file", &password], "user_added").await;
    }
    t.does(2, &["user", "passwd", "lin", "--password-file", &password], "user_password_set").await;
    t.does(2, &["user", "role", "lin", "viewer"], "user_role_set").await;
    t.does(2, &["user", "sessions", "lin", "--end-all"], "user_sessions_ended").await;
    t.does(2, &["user", "disable", "lin"], "user_disabled").await;
    t.does(2, &["user", "enable", "lin"], "user_enabled").await;
    let all = t.world.file("all.toml", "");
    assert!(t.world.command(&["export", &all]).await.status.success());
    let everything = std::fs::read_to_string(&all).unwrap();
    let (before, end) = everything.rsplit_once("[end]").unwrap();
    let eve = "[[people]]\nname = \"Eve\"\nnumbers = [\"+8618712345674\"]\n\n";
    std::fs::write(&all, format!("{before}{eve}[end]{end}")).unwrap();
    t.does(1, &["apply", &all, "--yes"], "everything_applied").await;
}

async fn lines_and_gateways(t: &mut Terminal) {
    let sends = ["--url", "https://sms.example.com/send", "--header", "content-type=application/json"];
    let body = ["--body", r#"{"to": "{number}", "text": "{text}"}"#];
    t.does(2, &[&["gateway", "add", "--name", "own", "--kind", "http"][..], &sends, &body].concat(), "gateway_added").await;
    t.does(2, &["gateway", "change", "own", "--zone", "Asia/Tokyo"], "gateway_changed").await;
    let line = &t.lines("gateway_changed").await[0];
    assert_eq!((&line["before"], &line["after"]), (&json!({ "zone": null }), &json!({ "zone": "Asia/Tokyo" })), "{line}");
    let line = ["--number", "13300001111", "--sms-number", "13300002222", "--carrier", "china-telecom", "--android", "11"];
    let line = [&["line", "add", "--name", "ops"][..], &line, &["--text", "今天你值班", "--gateway", "own"]].concat();
    t.does(2, &line, "line_added").await;
    t.does(2, &["line", "change", "ops", "--number", "13300001112"], "line_changed").await;
    t.does(2, &["line", "bind", "ops", "18712345671", "--person", "Ann"], "line_bound").await;
    t.does(2, &["line", "forward-to", "ops", "18712345671"], "line_forwarded").await;
    t.does(2, &["line", "remove", "ops"], "line_removed").await;
    t.does(2, &["gateway", "remove", "own"], "gateway_removed").await;
}

async fn alarms(t: &mut Terminal) {
    let id = t.client.raise_for(&["18712345671"]).await;
    t.does(2, &["alarm", "note", &id, "looked at it"], "alarm_remarked").await;
    t.does(2, &["alarm", "snooze", &id, "--minutes", "5"], "alarm_snoozed").await;
    t.does(2, &["alarm", "acknowledge", &id, "--name", "Ann"], "alarm_acknowledged").await;
    t.does(2, &["alarm", "give-back", &id], "alarm_given_back").await;
    t.does(2, &["alarm", "acknowledge", &id, "--name", "Ann"], "alarm_acknowledged").await;
    t.does(2, &["alarm", "redial", &id], "alarm_rung_again").await;
    t.does(2, &["alarm", "cancel", &id], "alarm_cancelled").await;
    t.does(2, &["alarm", "false", &id, "a test"], "alarm_said_false").await;
    t.does(2, &["alarm", "not-false", &id], "alarm_said_true").await;
}
