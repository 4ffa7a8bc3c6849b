//! Calls of other systems come in from their lists, and our own go out: the commands, beside the real server.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use autocall_tests::process::{Process, Signal};
use autocall_tests::provided_by_run;
use autocall_tests::server::{Binary, forget_own_settings};
use autocall_tests::wait::eventually;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::client::Client;
use crate::world::{Engine, SOON, World, on_both};

on_both!(
    asterisks_own_file_comes_in,
    any_list_with_named_columns_comes_in,
    the_tables_of_a_telephone_system_come_in,
    a_file_is_followed_through_rotation_and_restarts,
    our_calls_go_to_another_server,
    a_replication_that_breaks_off_goes_on_there,
    one_call_that_is_not_taken_keeps_no_other,
    no_token_is_ever_written_down,
);

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn done(world: &World, args: &[&str]) -> String {
    let output = world.command(args).await;
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    text(&output)
}

/// A world with Ana in it.
async fn world(engine: Engine) -> World {
    let world = World::new(engine).await;
    let people = world.file("people.csv", "name,numbers\nAna,+582122853348;+584122345678\n");
    done(&world, &["people", "import", &people]).await;
    world
}

async fn key(world: &World, more: &[&str]) -> String {
    let args =
        [&["key", "add", "--name", "pbx", "--phonecalls", "--region", "VE", "--zone", "America/Caracas"][..], more].concat();
    let output = world.command(&args).await;
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn calls(server: &Binary) -> Vec<Value> {
    let page = Client::new(server).get("/api/v1/call-records?origin=replicated&limit=200").await;
    page["items"].as_array().unwrap().clone()
}

/// What of calls is compared, oldest first.
async fn told(server: &Binary) -> Vec<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all = calls(server).await;
    all.iter()
        .rev()
        .map(|call| {
            let fields = ["offered_at", "caller", "phone_number", "direction", "duration_seconds"];
            fields.map(|name| word(&call[name])).join(" ")
        })
        .collect()
}

/// A line as Asterisk writes it.
fn master(src: &str, dst: &str, start: &str, seconds: u32, unique: &str) -> String {
    format!(
        "\"\",\"{src}\",\"{dst}\",\"from-internal\",\"\"\"Ana, the first\"\" <{src}>\",\"SIP/{src}-01\",\"SIP/trunk-02\",\"Dial\",\"SIP/trunk,60\",\"{start}\",,\"{start}\",{seconds},{seconds},\"NO ANSWER\",\"DOCUMENTATION\",\"{unique}\"\n"
    )
}

async fn asterisks_own_file_comes_in(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let eighteen = |line: String| line.replace("\"\n", "\",\"no\"\"te\"\n");
    let lines = [
        master("7222", "02122853348", "2026-08-23 12:20:33", 45, "1.1"),
        master("04122345678", "7222", "2026-08-23 12:21:00", 7, "1.2"),
        master("7222", "7223", "2026-08-23 12:22:00", 7, "1.3"),
        master("7222", "02129999999", "2026-08-23 12:23:00", 7, "1.4"),
        master("7222", "02122853348", "yesterday evening", 7, "1.5"),
        "\"\",\"7222\",\"021\n22853348\"\n".to_owned(),
        master("", "02122853348", "2026-08-23 12:24:00", 7, "1.6"),
        master("7222", "02122853348", "2026-08-23 12:20:33", 45, "1.1"),
    ];
    key(&world, &[]).await;
    for (name, file) in [("17", lines.concat()), ("18", lines.iter().cloned().map(eighteen).collect())] {
        let path = world.file("Master.csv", &file);
        let refused = world.file("refused", "");
        let args = ["phonecalls", "import", &path, "--key", "pbx", "--url", "https://pbx/{uniqueid}", "--refused", &refused];
        let said = done(&world, &args).await;
        let expected = if name == "17" {
            "2 new, 1 known, 0 older than is kept, 5 refused"
        } else {
            "0 new, 3 known, 0 older than is kept, 5 refused"
        };
        assert!(said.contains(expected), "{name}: {said}");
        let by_line: Vec<String> =
            std::fs::read_to_string(&refused).unwrap().lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        assert_eq!(by_line, ["3", "4", "5", "6", "8"], "{said}");
    }
    let expected = ["2026-08-23T16:20:33Z 7222 +582122853348 outgoing 45", "2026-08-23T16:21:00Z 04122345678 7222 incoming 7"];
    assert_eq!(told(&server).await, expected);
    let all = calls(&server).await;
    assert!(all.iter().all(|call| call["person"]["name"] == "Ana"), "{all:?}");
    assert_eq!(all[1]["url"], "https://pbx/1.1");
    // Those that its own file lists in UTC (usegmtime) are the same calls.
    let utc = world.file("utc.csv", &master("7222", "02122853348", "2026-08-23 16:20:33", 45, "1.1"));
    let said = done(&world, &["phonecalls", "import", &utc, "--region", "VE", "--zone", "UTC"]).await;
    assert!(said.contains("0 new, 1 known"), "{said}");
}

async fn any_list_with_named_columns_comes_in(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let list = world.file(
        "list.csv",
        "\u{feff}When;Extension;Dialled;Length;Link\n2026-08-23 12:20;7222;0212-285 33 48;1:05;http://pbx/a b\n\n2026-08-23T12:21:00-04:00;7223;+584122345678;;\n2026-08-23 12:22;7223;04122345678;7;javascript:alert(1)",
    );
    let columns = "initiated=When,source=extension,destination=Dialled,duration=length";
    let reading = ["--region", "VE", "--zone", "America/Caracas", "--separator", ";"];
    let args = [&["phonecalls", "import", &list, "--columns", columns][..], &reading].concat();
    let said = done(&world, &args).await;
    assert!(said.contains("2 new, 0 known, 0 older than is kept, 1 refused") && said.contains("line 5: "), "{said}");
    let expected =
        ["2026-08-23T16:20:00Z 7222 +582122853348 outgoing 65", "2026-08-23T16:21:00Z 7223 +584122345678 outgoing null"];
    assert_eq!(told(&server).await, expected);
    for (args, why) in [
        (vec!["phonecalls", "import", &list, "--separator", ";"], "there is no column for initiated"),
        (vec!["phonecalls", "import", "/nowhere/list.csv"], "cannot be read"),
        (vec!["phonecalls", "import", &list, "--columns", "When"], "write WHAT=COLUMN"),
        (vec!["phonecalls", "import", &list, "--key", "nobody"], "no key"),
    ] {
        let output = world.command(&args).await;
        assert!(!output.status.success() && text(&output).contains(why), "{args:?}: {}", text(&output));
    }
}

async fn the_tables_of_a_telephone_system_come_in(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let reading = ["--region", "VE", "--zone", "America/Caracas", "--url", "https://pbx/{uniqueid}"];
    // What both of Asterisk's modules for databases write.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("master.db");
    let mut sqlite = SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", file.display())).await.unwrap();
    sqlite
        .execute(
            "CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, clid TEXT, src TEXT, dst TEXT, start DATETIME, duration INTEGER, uniqueid TEXT);
             INSERT INTO cdr (src, dst, start, duration, uniqueid) VALUES
               ('7222', '02122853348', '2026-08-23 12:20:33', 45, '1.1'), ('7222', NULL, '2026-08-23 12:20:34', 45, '1.2'),
               ('7222', '02122853348', '2020-08-23 12:20:33', 45, '0.1')",
        )
        .await
        .unwrap();
    sqlite.close().await.unwrap();
    let file = file.to_str().unwrap();
    let said = done(&world, &[&["phonecalls", "import", file][..], &reading].concat()).await;
    assert!(said.contains("2 new, 0 known, 0 older than is kept, 1 refused"), "{said}");
    let url = autocall_tests::postgres::shared_postgres_url();
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    let own = folder.path().file_name().unwrap().to_str().unwrap();
    let schema = format!("pbx_{}", own.replace(|c: char| !c.is_ascii_alphanumeric(), "").to_lowercase());
    let table = format!("{schema}.cdr");
    let make = format!(
        "CREATE SCHEMA {schema};
         CREATE TABLE {table} (calldate timestamp NOT NULL, clid varchar(80), src varchar(80), dst varchar(80), duration bigint, uniqueid varchar(32));
         INSERT INTO {table} VALUES ('2026-08-23 12:20:33', '', '7222', '02122853348', 45, '1.1'), ('2026-08-23 12:25:00', '', '7222', '04122345678', 7, '1.3')"
    );
    postgres.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(make))).await.unwrap();
    let said =
        done(&world, &[&["phonecalls", "import", &url, "--table", &table, "--days", "36500"][..], &reading].concat()).await;
    postgres.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE")))).await.unwrap();
    assert!(said.contains("1 new, 1 known, 0 older than is kept, 0 refused"), "{said}");
    let expected = [
        "2020-08-23T16:20:33Z 7222 +582122853348 outgoing 45",
        "2026-08-23T16:20:33Z 7222 +582122853348 outgoing 45",
        "2026-08-23T16:25:00Z 7222 +584122345678 outgoing 7",
    ];
    assert_eq!(told(&server).await, expected);
    assert_eq!(calls(&server).await[0]["url"], "https://pbx/1.3");
    let output = world.command(&["phonecalls", "import", file, "--table", "nothing"]).await;
    assert!(!output.status.success() && text(&output).contains("no table"), "{}", text(&output));
}

/// A command that goes on, beside the servers of a world.
fn running(world: &World, args: &[&str], log: &Path) -> Process {
    let mut command = Command::new(provided_by_run("AUTOCALL_BIN"));
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    let (name, value) = world.database();
    command.args(args).env(name, value);
    Process::spawn("autocall phonecalls", command, log)
}

fn append(path: &Path, text: &str) {
    std::fs::File::options().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

async fn a_file_is_followed_through_rotation_and_restarts(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("Master.csv"), folder.path().join("log"));
    let line = |minute: u32| master("7222", "02122853348", &format!("2026-08-23 12:{minute:02}:00"), 45, "1.1");
    append(&path, &line(0));
    let args = ["phonecalls", "import", path.to_str().unwrap(), "--watch", "--region", "VE"];
    let there = async |count: usize| {
        let server = &server;
        eventually(&format!("{count} calls"), SOON, async move || (calls(server).await.len() == count).then_some(())).await;
    };
    let watching = running(&world, &args, &log);
    there(1).await;
    // Half a line is none.
    let next = line(1);
    append(&path, &next[..40]);
    append(&path, &next[40..]);
    there(2).await;
    std::fs::rename(&path, folder.path().join("Master.csv.1")).unwrap();
    append(&folder.path().join("Master.csv.1"), &line(2));
    append(&path, &line(3));
    there(4).await;
    // How many at a time depends on when it looks; what it says is the sum so far.
    eventually("the sum to be said", SOON, async || watching.output().contains("4 new, 0 known").then_some(())).await;
    drop(watching);
    // While nobody looks the file grows, and is rotated.
    append(&path, &line(4));
    std::fs::rename(&path, folder.path().join("Master.csv.1")).unwrap();
    append(&path, &line(5));
    let mut watching = running(&world, &args, &folder.path().join("log of the second"));
    there(6).await;
    // It says what it has stored after it is stored.
    eventually("the sum to be said", SOON, async || watching.output().contains("2 new, 0 known").then_some(())).await;
    watching.signal(Signal::Terminate);
    watching.wait(SOON).await;
    let said = watching.output();
    let last = said.lines().last().unwrap();
    assert_eq!(last, "2 new, 0 known, 0 older than is kept, 0 refused", "nothing is read twice: {said}");
}

/// A world in which a handset has rung both of Ana's numbers, and another; gives its server.
async fn with_calls(world: &World) -> Binary {
    let server = world.serve().await;
    let client = Client::new(&server);
    for number in ["+584122345678", "+582122853348", "+582129999999"] {
        client.alarm_is_answered(number).await;
    }
    server
}

async fn our_calls_go_to_another_server(engine: Engine) {
    let (ours, theirs) = (World::new(engine).await, world(engine).await);
    let (_own, other) = (with_calls(&ours).await, theirs.serve().await);
    let key = key(&theirs, &[]).await;
    let to = other.url();
    let args = ["phonecalls", "replicate", "--to", &to, "--token", &key];
    let said = done(&ours, &args).await;
    assert!(said.contains("3 calls told, 1 of them refused") && said.contains("to +582129999999: destination: "), "{said}");
    let before = calls(&other).await;
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|call| call["person"]["name"] == "Ana" && call["direction"] == "outgoing"), "{before:?}");
    for more in [&[][..], &["--full"]] {
        done(&ours, &[&args[..], more].concat()).await;
        assert_eq!(calls(&other).await, before, "a second run changes nothing");
    }
    // The same as a file, which comes in as any other.
    let file = ours.file("calls.csv", "");
    done(&ours, &["phonecalls", "replicate", "--csv", &file]).await;
    let said = done(&theirs, &["phonecalls", "import", &file]).await;
    assert!(said.contains("0 new, 2 known, 0 older than is kept, 1 refused"), "{said}");
    for (token, to, why) in
        [("nonsense", to.as_str(), "does not take the token"), (&key, &format!("{to}/elsewhere"), "is this its address?")]
    {
        let output = ours.command(&["phonecalls", "replicate", "--to", to, "--token", token]).await;
        let said = text(&output);
        assert!(!output.status.success() && said.contains(why) && !said.contains(&key), "{said}");
    }
}

async fn a_replication_that_breaks_off_goes_on_there(engine: Engine) {
    let (ours, theirs) = (World::new(engine).await, world(engine).await);
    let _own = with_calls(&ours).await;
    let mut other = theirs.serve().await;
    let key = key(&theirs, &[]).await;
    let to = other.url();
    other.kill_9();
    let folder = tempfile::tempdir().unwrap();
    let mut telling = running(&ours, &["phonecalls", "replicate", "--to", &to, "--token", &key], &folder.path().join("log"));
    // It comes back while it is tried again.
    other.restart().await;
    let status = telling.wait(SOON).await;
    assert!(status.success(), "{}", telling.errors());
    assert_eq!(calls(&other).await.len(), 2);
}

/// Another server, which refuses two calls in ways of its own, and keeps the third.
async fn another(taken: std::sync::Arc<std::sync::Mutex<Vec<String>>>) -> String {
    let answer = async move |query: axum::extract::RawQuery| {
        let query = query.0.unwrap_or_default();
        let number = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "destination");
        let number = number.map(|(_, number)| number.into_owned()).unwrap_or_default();
        taken.lock().unwrap().push(number.clone());
        match number.as_str() {
            "+584122345678" => (422, r#"{"error":true,"errors":{"source":"too strange"}}"#),
            "+582122853348" => (414, "URI Too Long"),
            _ => (200, r#"{"error":false,"contactId":1,"phonecallId":2}"#),
        }
    };
    let answer = move |query| {
        let answer = answer.clone();
        async move {
            let (status, body) = answer(query).await;
            (axum::http::StatusCode::from_u16(status).unwrap(), body)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(axum::routing::any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn one_call_that_is_not_taken_keeps_no_other(engine: Engine) {
    let ours = World::new(engine).await;
    let _own = with_calls(&ours).await;
    let taken = std::sync::Arc::default();
    let to = another(std::sync::Arc::clone(&taken)).await;
    let output = ours.command(&["phonecalls", "replicate", "--to", &to, "--token", "t"]).await;
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert_eq!(*taken.lock().unwrap(), ["+584122345678", "+582122853348", "+582129999999"], "{said}");
    assert!(said.contains("source: too strange") && said.contains("414") && said.contains("2 of them refused"), "{said}");
}

async fn no_token_is_ever_written_down(engine: Engine) {
    let world = world(engine).await;
    let server = Binary::spawn(world.options().env("AUTOCALL_LOG_LEVEL", "trace")).await;
    let key = key(&world, &[]).await;
    let client = Client::new(&server);
    let call = "initiated=2026-08-23T12:20:33&source=7222&destination=02122853348";
    for address in [
        format!("/direct/items/phonecalls/create?token={key}&{call}"),
        format!("/direct/items/phonecalls/create?token={key}x&{call}"),
        format!("/k/{key}/direct/items/phonecalls/create?{call}"),
        format!("/direct/items/phonecalls/delete?token={key}&from=2026-08-22&to=2026-08-24"),
        format!("/direct/items/phonecalls/nothing?token={key}"),
    ] {
        client.request(reqwest::Method::GET, &address).send().await.unwrap();
    }
    let log = server.log();
    assert!(!log.contains(&key), "{log}");
    assert!(log.contains("were deleted"), "{log}");
}
