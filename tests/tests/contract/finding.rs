//! Any alarm is found: by words, by what it is, by who was rung; page by page, and by nobody who may not.

use std::fmt::Write as _;

use autocall::alarm::sought::Asked;
use autocall::engine::watch::retention;
use autocall::store::alarm::sought::Within;
use autocall::store::watch::handsets::Profile;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    an_alarm_is_found_by_its_words,
    what_is_written_later_is_found_too,
    each_filter_leaves_what_fits,
    pages_go_on_behind_alarms_of_one_instant,
    the_beginning_of_a_word_finds_where_nothing_else_does,
    people_are_found_as_they_are_called_now,
    whoever_answered_is_found_however_many_were_rung,
    what_was_there_before_is_caught_up_with,
    what_is_forgotten_takes_its_words_along,
    what_cannot_be_asked_for_is_refused,
);

/// The summaries of what a query finds, in its order.
async fn found(server: &Server, query: &[(&str, &str)]) -> Vec<String> {
    let items = server.items(&address(query)).await;
    items
        .as_array()
        .unwrap_or_else(|| panic!("{query:?}"))
        .iter()
        .map(|alarm| alarm["summary"].as_str().unwrap().to_owned())
        .collect()
}

fn address(query: &[(&str, &str)]) -> String {
    let mut address = "/api/v1/alarms?".to_owned();
    for (name, value) in query {
        // Bytes one by one: what is no letter and no digit has its own meaning in an address.
        write!(address, "&{name}=").unwrap();
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() { address.push(char::from(byte)) } else { write!(address, "%{byte:02X}").unwrap() }
        }
    }
    address.replacen("?&", "?", 1)
}

async fn an_alarm_is_found_by_its_words(home: Home) {
    let server = home.start().await;
    let labels = json!({ "host": "db-17.example", "场地": "上海" });
    let more = json!({ "summary": "磁盘满 disk FULL", "details": "ディスクの空きがない · café", "source": "zabbix", "labels": labels, "dedup_key": "vol-9x" });
    server.raise(&[A], more).await;
    server.raise(&[B], json!({ "summary": "memory" })).await;
    server.pass(5).await;
    for text in [
        "磁盘",
        "盘满",
        "满",
        "ディスク",
        "ﾃﾞｨｽｸ",
        "disk",
        "DISK full",
        "full disk",
        "CAFE",
        "db-17",
        "17",
        "host",
        "上海",
        "场地",
        "zabbix",
        "9x",
        "187 1234 5678",
        "+8618712345678",
        "018712345678",
        "磁盘 disk 上海",
    ] {
        assert_eq!(found(&server, &[("q", text)]).await.first().map(String::as_str), Some("磁盘满 disk FULL"), "{text}");
    }
    for text in
        ["盘磁", "disk memory", "db-18", "5679", "678", "ディスコ", "' OR 1=1 --", "\"disk\" OR memory", "disk:*", "x'y:\\z"]
    {
        let all = found(&server, &[("q", text)]).await;
        assert_eq!(all.len(), usize::from(text == "disk:*"), "{text}: {all:?}");
    }
    assert_eq!(found(&server, &[("q", "5678")]).await.len(), 2, "both numbers end so");
    assert_eq!(found(&server, &[("q", "18812345678")]).await, ["memory"]);
}

async fn what_is_written_later_is_found_too(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "summary": "disk at 90", "dedup_key": "d", "priority": "normal" })).await;
    server.pass(5).await;
    assert_eq!(found(&server, &[("q", "inodes")]).await, [""; 0]);
    let (status, _) =
        server.post(&format!("/api/v1/alarms/{id}/notes"), &json!({ "text": "the Ersatzteil is ordered", "by": "Ann" })).await;
    assert!(status < 300, "{status}");
    let worse = json!({ "summary": "disk at 99, inodes too", "phones": [A], "dedup_key": "d", "priority": "critical", "labels": { "rack": "r77" } });
    assert_eq!(server.post("/api/v1/alarms", &worse).await.0, 200);
    server.pass(5).await;
    for text in ["ersatzteil", "inodes", "r77", "rack"] {
        assert_eq!(found(&server, &[("q", text)]).await, ["disk at 99, inodes too"], "{text}");
    }
    assert_eq!(found(&server, &[("q", "90")]).await, [""; 0], "it does not say so any more");
    // Who answers and was not to be rung is found by that.
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(5).await;
    assert_eq!(found(&server, &[("q", "5678"), ("state", "answered")]).await.len(), 1);
}

async fn each_filter_leaves_what_fits(home: Home) {
    let server = home.start().await;
    for (name, number) in [("Ann Lee", A), ("Bo", B)] {
        assert_eq!(server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await.0, 201);
    }
    let begins = server.now();
    for (summary, phone, more) in [
        ("one", A, json!({ "source": "zabbix", "priority": "high", "labels": { "host": "a", "env": "prod" } })),
        ("two", B, json!({ "source": "zabbix", "priority": "low", "labels": { "host": "b", "env": "prod" } })),
        ("three", C, json!({ "source": "grafana", "priority": "high", "labels": { "host": "a" } })),
    ] {
        let mut more = more;
        more["summary"] = json!(summary);
        more["details"] = json!("disk");
        server.raise(&[phone], more).await;
        server.pass(60).await;
    }
    let second = (begins + TimeDelta::seconds(60)).to_rfc3339();
    for (query, wanted) in [
        ("person=Ann Lee", "one"),
        ("person=Ann Lee&person=Bo", "two one"),
        ("label=host=a", "three one"),
        ("label=host=a&label=host=b", "three two one"),
        ("label=host=a&label=env=prod", "one"),
        ("label=host=A", ""),
        ("source=zabbix&q=disk", "two one"),
        ("priority=high&q=disk", "three one"),
        ("q=disk&priority=critical", ""),
        ("q=disk&order=oldest", "one two three"),
        ("order=oldest&source=zabbix", "one two"),
        ("q=disk&starts_at={second}", "three two"),
        ("q=disk&ends_at={second}", "one"),
        ("starts_at={second}&order=oldest", "two three"),
        ("q=disk&state=waiting&state=ringing", "three two one"),
        ("state=waiting&state=ringing", "three two one"),
        ("q=disk&state=resolved", ""),
        ("team=nobody's", ""),
        ("q=disk&kind=test", ""),
    ] {
        let query = query.replace("{second}", &second);
        let pairs: Vec<(&str, &str)> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        assert_eq!(found(&server, &pairs).await, wanted, "{query}");
    }
    let ops = json!({ "name": "ops", "members": ["Bo"] });
    assert_eq!(server.post("/api/v1/teams", &ops).await.0, 201);
    server.raise(&[], json!({ "summary": "four", "ring": [{ "team": "ops" }] })).await;
    server.pass(5).await;
    for query in [&[("team", "ops")][..], &[("team", "ops"), ("person", "Bo")], &[("q", "ops"), ("team", "ops")]] {
        assert_eq!(found(&server, query).await, ["four"], "{query:?}");
    }
    assert_eq!(found(&server, &[("person", "Bo")]).await, ["four", "two"]);
}

async fn pages_go_on_behind_alarms_of_one_instant(home: Home) {
    let server = home.start().await;
    // The clock does not move between them.
    for number in 0..7 {
        server.raise(&[A], json!({ "summary": format!("alarm {number}"), "details": "disk", "priority": if number % 2 == 0 { "high" } else { "low" } })).await;
    }
    server.pass(5).await;
    for (query, wanted) in [
        ("", "6543210"),
        ("&order=oldest", "0123456"),
        ("&q=disk", "6543210"),
        ("&q=disk&order=oldest", "0123456"),
        ("&q=dis", "6543210"),
        ("&q=disk&priority=high", "6420"),
        ("&q=disk&priority=low&order=oldest", "135"),
    ] {
        let (mut seen, mut cursor) = (String::new(), String::new());
        for _ in 0..20 {
            let page = server.get(&format!("/api/v1/alarms?limit=2{query}{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(|alarm| alarm["summary"].as_str().unwrap().chars().last().unwrap()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, wanted, "{query}: each once");
    }
}

async fn the_beginning_of_a_word_finds_where_nothing_else_does(home: Home) {
    let server = home.start().await;
    server.raise(&[A], json!({ "summary": "postgres" })).await;
    server.pass(5).await;
    assert_eq!(found(&server, &[("q", "post")]).await, ["postgres"]);
    assert_eq!(found(&server, &[("q", "po")]).await, [""; 0], "too short to mean anything");
    server.raise(&[A], json!({ "summary": "post office" })).await;
    server.pass(5).await;
    assert_eq!(found(&server, &[("q", "post")]).await, ["post office"], "the word itself is meant first");
    assert_eq!(found(&server, &[("q", "office post")]).await, ["post office"]);
}

async fn people_are_found_as_they_are_called_now(home: Home) {
    let server = home.start().await;
    let (_, ann) = server.post("/api/v1/people", &json!({ "name": "Ann Lee", "numbers": [A] })).await;
    let ann = format!("/api/v1/people/{}", ann["id"].as_str().unwrap());
    server.raise(&[A], json!({})).await;
    server.raise(&[B], json!({ "summary": "of a stranger" })).await;
    server.pass(5).await;
    assert_eq!(found(&server, &[("q", "lee")]).await, ["disk full"]);
    assert_eq!(found(&server, &[("q", A)]).await, ["disk full"]);
    let renamed = json!({ "name": "Ann Kim", "numbers": [A], "language": "en" });
    let (status, _) = server.put(&ann, &renamed).await;
    assert_eq!(status, 200);
    assert_eq!(found(&server, &[("q", "kim")]).await, ["disk full"], "at once");
    assert_eq!(found(&server, &[("q", "lee")]).await, [""; 0]);
    let id = ann.rsplit('/').next().unwrap();
    assert_eq!(found(&server, &[("person", id)]).await, ["disk full"]);
    assert_eq!(server.delete(&ann).await, 204);
    // Whoever is removed is not found any more from that moment on: neither by name nor by number nor by id.
    for query in [("q", "kim"), ("q", "ann"), ("q", A), ("person", id)] {
        assert_eq!(found(&server, &[query]).await, [""; 0], "{query:?}");
    }
    assert_eq!(found(&server, &[("q", B)]).await, ["of a stranger"]);
}

async fn whoever_answered_is_found_however_many_were_rung(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let rows: String = (0..80).map(|place| format!("P{place},187000000{place:02}\n")).collect();
    let people =
        autocall::keep::people_import::read_csv(&format!("name,numbers\n{rows}"), autocall::numbers::Region::CN).unwrap();
    let import = async |work: &mut autocall::store::Work| autocall::keep::people_import::import(work, &people).await;
    server.app.engine.carry_out(autocall::engine::Doer::Server, import).await.unwrap();
    // Whoever came last onto the list is rung first, and is the one who answers.
    let phones: Vec<String> = (0..80).rev().map(|place| format!("187000000{place:02}")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    server.raise(&phones, json!({ "summary": "everybody" })).await;
    server.raise(&[A], json!({ "summary": "one" })).await;
    let (mid, numbers) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(&numbers[0])).await;
    server.pass(5).await;
    assert_eq!(numbers, ["18700000079"]);
    assert_eq!(
        found(&server, &[("person", "P79")]).await,
        ["everybody"],
        "of eighty people sixty are kept, and this one before all"
    );
    assert_eq!(found(&server, &[("q", "5678")]).await, ["one"], "others have as much room");
}

async fn what_was_there_before_is_caught_up_with(home: Home) {
    let server = home.start().await;
    for number in 0..120 {
        server.raise(&[A], json!({ "summary": format!("old{number} disk") })).await;
    }
    server.pass(5).await;
    // As after an update of the program: there are alarms, and no words.
    let none: Vec<String> =
        ["DELETE FROM sought", "DELETE FROM sought_due", "DELETE FROM places WHERE name = 'sought'"].map(str::to_owned).to_vec();
    server.run_sql(none).await;
    assert_eq!(found(&server, &[("q", "old7")]).await, [""; 0]);
    let server = server.restart().await;
    for _ in 0..3 {
        server.pass(1).await;
    }
    for text in ["old119", "old60", "old0"] {
        assert_eq!(found(&server, &[("q", text)]).await.len(), 1, "{text}");
    }
    server.raise(&[A], json!({ "summary": "new" })).await;
    server.pass(5).await;
    assert_eq!(found(&server, &[("q", "new")]).await, ["new"]);
    // Meanwhile a node of an earlier version raised one, and kept no words.
    server.raise(&[A], json!({ "summary": "unnoticed" })).await;
    server.pass(5).await;
    server.run_sql(vec!["DELETE FROM sought_due".to_owned(), "DELETE FROM sought".to_owned()]).await;
    assert_eq!(found(&server, &[("q", "unnoticed")]).await, [""; 0]);
    server.pass(2 * 3600).await;
    server.pass(1).await;
    assert_eq!(found(&server, &[("q", "unnoticed")]).await, ["unnoticed"]);
}

async fn what_is_forgotten_takes_its_words_along(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({ "summary": "disk" })).await;
    server.pass(5).await;
    let sought = Asked::read("disk").sought(&[], true, false);
    let store = &server.app.engine.store;
    let kept = async || {
        let within = Within { from: 0, before: i64::MAX, newest_first: true };
        store.read().await.unwrap().db().sought_numbers(&sought, within, 10).await.unwrap().len()
    };
    assert_eq!(kept().await, 1);
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    server.pass(3600).await;
    // Another one keeps the span of time in which it is looked for.
    server.raise(&[B], json!({ "summary": "memory" })).await;
    server.pass(5).await;
    assert_eq!(retention::prune(store, server.now() - TimeDelta::seconds(60)).await.unwrap(), 1);
    assert_eq!(kept().await, 0);
    assert_eq!(found(&server, &[("q", "memory")]).await, ["memory"]);
}

async fn what_cannot_be_asked_for_is_refused(home: Home) {
    let server = home.start().await;
    let long = "x".repeat(201);
    for (name, value) in [("q", "!!"), ("q", &long), ("label", "host"), ("person", "Nobody"), ("order", "up"), ("cursor", "MX4-")]
    {
        let problem: Value = server.get(&address(&[(name, value)])).await;
        assert_eq!((problem["status"].as_i64(), problem["field"].as_str()), (Some(422), Some(name)), "{problem}");
    }
    for address in ["/api/v1/alarms?person=Nobody", "/api/v1/call-records?person=Nobody", "/api/v1/people/Nobody"] {
        let problem = server.get(address).await;
        assert!(problem["detail"].as_str().unwrap().contains("GET /api/v1/people lists"), "what to do is said: {problem}");
    }
    assert_eq!(found(&server, &[("q", " ")]).await, [""; 0], "nothing is asked for, and nothing is there");
}
