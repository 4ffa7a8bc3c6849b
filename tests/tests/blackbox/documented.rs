//! Scenario: the app's own document. Its curl lines, copied letter by letter, and its sample replies.
//!
//! The document's address leads to the tested server by a setting of curl's, so that the lines need no change but the mid.

use std::{process::Stdio, time::Duration};

use autocall_tests::server::Binary;
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::{
    client::Client,
    world::{Engine, World, assert_keeps_numbers_secret, on_both},
};

/// "A list of numbers, one alarm per request."
const ASK: &str = "curl 'http://192.168.1.8:8080/alert/phone' ";
/// "All were dialled, nobody answered."
const NOBODY: &str = "curl -X POST 'http://192.168.1.8:8080/alert/phone?mid=60d536885fa2a8643fa4d3a0'";
/// "This number answered."
const ANSWERED: &str = "curl -X POST 'http://192.168.1.8:8080/alert/phone?mid=60d536885fa2a8643fa4d3a0&resp=18712345678' ";
/// The mid of the document.
const MID: &str = "60d536885fa2a8643fa4d3a0";
const ALARM: &str =
    r#"{"phone": ["18712345678", "18812345678","18712345678", "18812345678"], "code": 0, "mid": "60d536885fa2a8643fa4d3a0"}"#;
const NO_ALARM: &str = r#"{"code": 1, "msg":"无告警"}"#;
const ACCEPTED: &str = r#"{"code": 0}"#;

on_both!(the_documented_lines_work, people_are_named_from_the_moment_they_are_imported, a_wrong_file_changes_nobody);

/// Runs a line of the document against this server.
async fn run(server: &Binary, world: &World, line: &str) -> String {
    let settings = format!("connect-to = \"192.168.1.8:8080:{}\"\nnoproxy = \"*\"\nsilent\nshow-error\n", server.addr());
    let file = world.file(".curlrc", &settings);
    let home = file.strip_suffix("/.curlrc").unwrap();
    let output = Command::new("bash")
        .args(["-c", line])
        .env("CURL_HOME", home)
        .env("HOME", home)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_mins(1), output).await.unwrap().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Asks, and gives the mid of a reply that must look as documented.
async fn ask(server: &Binary, world: &World) -> String {
    let reply = run(server, world, ASK).await;
    let mid = json_of(&reply)["mid"].as_str().unwrap().to_owned();
    assert!(mid.len() == 24 && mid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{mid}");
    let without_blanks = |text: &str| text.replace(' ', "");
    assert_eq!(without_blanks(&reply.replace(&mid, MID)), without_blanks(ALARM), "the same keys in the same order");
    mid
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn raise(client: &Client) -> String {
    client.raise_for(&["18712345678", "18812345678"]).await
}

async fn the_documented_lines_work(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    assert_eq!(json_of(&run(&server, &world, ASK).await), json_of(NO_ALARM));

    let id = raise(&client).await;
    let mid = ask(&server, &world).await;
    assert_eq!(ask(&server, &world).await, mid, "the same alarm until it is reported");
    assert_eq!(json_of(&run(&server, &world, &NOBODY.replace(MID, &mid)).await), json_of(ACCEPTED));
    let alarm = client.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]), (&json!("no_answer"), &Value::Null));
    assert_eq!(json_of(&run(&server, &world, ASK).await), json_of(NO_ALARM));

    let id = raise(&client).await;
    let mid = ask(&server, &world).await;
    assert_eq!(json_of(&run(&server, &world, &ANSWERED.replace(MID, &mid)).await), json_of(ACCEPTED));
    let alarm = client.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answer"]["name"], "18712345678", "the bare number of somebody unknown");
    assert_eq!(json_of(&run(&server, &world, ASK).await), json_of(NO_ALARM));

    // The document's own mid was never handed out; its lines are accepted nevertheless, and change nothing.
    for line in [NOBODY, ANSWERED] {
        assert_eq!(json_of(&run(&server, &world, line).await), json_of(ACCEPTED));
    }
    assert_eq!(client.alarms().await.len(), 2);
    assert_keeps_numbers_secret(&server.log(), &["18712345678", "18812345678"]);
}

async fn people_are_named_from_the_moment_they_are_imported(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let answered_by = async |server: &Binary| {
        let id = raise(&client).await;
        let mid = ask(server, &world).await;
        run(server, &world, &ANSWERED.replace(MID, &mid)).await;
        client.alarm(&id).await["answer"]["name"].clone()
    };
    assert_eq!(answered_by(&server).await, "18712345678");

    let csv =
        world.file("people.csv", "name,numbers,language\n张伟,187-1234-5678; 010-62345678,zh-CN\nLi Na,+8618812345678,en\n");
    import(&world, &csv).await;
    assert_eq!(answered_by(&server).await, "张伟");

    // Somebody else has that phone now.
    let json = world.file(
        "people.json",
        r#"[{"name":"张伟","numbers":["010-62345678"]},{"name":"José Núñez","numbers":["18712345678"],"language":"es"}]"#,
    );
    import(&world, &json).await;
    assert_eq!(answered_by(&server).await, "José Núñez");
    let names: Vec<Value> = client.alarms().await.iter().map(|alarm| alarm["answer"]["name"].clone()).collect();
    assert_eq!(names, ["José Núñez", "张伟", "18712345678"], "an answer keeps the name of its moment");

    let output = world.command(&["people", "list"]).await;
    let listed = String::from_utf8(output.stdout).unwrap();
    for person in ["张伟\t+861062345678", "Li Na\t+8618812345678\ten", "José Núñez\t+8618712345678\tes"] {
        assert!(listed.contains(person), "{listed}");
    }
    server.restart().await;
    assert_eq!(answered_by(&server).await, "José Núñez");
    assert_keeps_numbers_secret(&server.log(), &["18712345678", "18812345678", "01062345678", "1062345678"]);
}

async fn a_wrong_file_changes_nobody(engine: Engine) {
    let world = World::new(engine).await;
    let _server = world.serve().await;
    import(&world, &world.file("right.csv", "name,numbers\n张伟,18712345678\n")).await;
    let before = world.command(&["people", "list"]).await.stdout;
    let cases = [
        ("wrong.csv", "name,numbers\nA,18912345678\nB,110\n,13812345678\n", ["line 3", "line 4"]),
        ("wrong.csv", "name,phones\nA,18912345678\n", ["phones", "nothing was imported"]),
        ("wrong.csv", "name,numbers\nA,18712345678\n", ["张伟", "A"]),
        (
            "wrong.json",
            r#"[{"name":"A","numbers":["18912345678"]},{"name":"A","numbers":["13812345678"]}]"#,
            ["entry 2", "twice"],
        ),
        ("wrong.json", "{", ["nothing was imported", ""]),
        ("wrong.txt", "Dear all,\n", ["first line", "nothing was imported"]),
    ];
    for (name, text, expected) in cases {
        let output = world.command(&["people", "import", &world.file(name, text)]).await;
        assert_eq!(output.status.code(), Some(1), "{text}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(expected.iter().all(|part| said.contains(part)), "{text} gives {said}");
    }
    let missing = world.command(&["people", "import", "/nowhere/people.csv"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/people.csv"));
    assert_eq!(world.command(&["people", "list"]).await.stdout, before);
}

async fn import(world: &World, file: &str) {
    let output = world.command(&["people", "import", file]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("imported 2 people") || !file.contains("people."));
}
