//! Calendar feeds, read by a parser that is not ours: Python's `icalendar`.

use std::process::Stdio;

use autocall_tests::described;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Home, Server, on_both};
use crate::roster::{people, send};

on_both!(a_schedule_s_feed_is_read_by_another_parser, a_person_s_feed_has_their_shifts_only, a_revoked_feed_is_gone);

/// What the parser makes of a calendar: its name and zone-less version, and each event's uid, summary, start and end.
const READ: &str = "
import icalendar, json, sys
calendar = icalendar.Calendar.from_ical(sys.stdin.buffer.read())
assert calendar['VERSION'] == '2.0' and calendar['PRODID'] and calendar['METHOD'] == 'PUBLISH'
events = [[str(e['UID']), str(e['SUMMARY']), e.decoded('DTSTART').isoformat(), e.decoded('DTEND').isoformat()] for e in calendar.walk('VEVENT')]
assert all('DTSTAMP' in e for e in calendar.walk('VEVENT'))
print(json.dumps({'name': str(calendar['X-WR-CALNAME']), 'events': events}))
";

async fn parsed(text: &str) -> Value {
    // Debian's, whatever else is first in PATH: `tests/run` installs it.
    let mut python = tokio::process::Command::new("/usr/bin/python3")
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let output = python.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn feed(server: &Server, subject: Value) -> (String, String) {
    let (status, made) = server.post("/api/v1/calendar-feeds", &subject).await;
    assert_eq!(status, 201, "{made}");
    (made["id"].as_str().unwrap().to_owned(), made["path"].as_str().unwrap().to_owned())
}

async fn read(server: &Server, path: &str) -> String {
    let response = described::get(format!("{}{path}", server.base)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/calendar; charset=utf-8");
    let text = response.text().await.unwrap();
    for line in text.split("\r\n") {
        assert!(line.len() <= 75 && !line.contains('\n'), "{line:?}");
    }
    text
}

/// A schedule whose name has everything that must be escaped and folded.
const NAME: &str = "ops; 夜间, \\ a very long name that does not fit into one line of seventy-five bytes 值班值班值班";

async fn schedule(server: &Server) {
    people(server).await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "张伟"], "every": "1 week", "start": "2026-11-16T09:00" });
    let (status, made) =
        server.post("/api/v1/schedules", &json!({ "name": NAME, "zone": "Europe/Berlin", "layers": [layer] })).await;
    assert_eq!(status, 201, "{made}");
}

async fn a_schedule_s_feed_is_read_by_another_parser(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let (_, path) = feed(&server, json!({ "schedule": NAME })).await;
    let calendar = parsed(&read(&server, &path).await).await;
    assert_eq!(calendar["name"], NAME);
    let events = calendar["events"].as_array().unwrap();
    let times = |event: &Value| (event[1].clone(), event[2].clone(), event[3].clone());
    assert_eq!(times(&events[0]), (json!("Ann"), json!("2026-11-16T08:00:00+00:00"), json!("2026-11-23T08:00:00+00:00")));
    assert_eq!(times(&events[1]), (json!("张伟"), json!("2026-11-23T08:00:00+00:00"), json!("2026-11-30T08:00:00+00:00")));
    let after_the_clocks_change = events.iter().find(|event| event[2].as_str().unwrap().starts_with("2027-04-05")).unwrap();
    assert_eq!(after_the_clocks_change[2], "2027-04-05T07:00:00+00:00");
    // A week later the same shift is the same event.
    server.pass(7 * 86_400).await;
    let later = parsed(&read(&server, &path).await).await;
    assert_eq!(later["events"][0], events[0]);
}

async fn a_person_s_feed_has_their_shifts_only(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let (_, path) = feed(&server, json!({ "person": "张伟" })).await;
    let calendar = parsed(&read(&server, &path).await).await;
    assert_eq!(calendar["name"], "张伟");
    let events = calendar["events"].as_array().unwrap();
    assert!(events.len() > 10 && events.iter().all(|event| event[1] == NAME));
    assert_eq!(events[0][2], "2026-11-23T08:00:00+00:00");
}

async fn a_revoked_feed_is_gone(home: Home) {
    let server = home.start().await;
    schedule(&server).await;
    let (id, path) = feed(&server, json!({ "schedule": NAME })).await;
    let listed = server.get("/api/v1/calendar-feeds").await;
    assert_eq!(listed["feeds"][0]["id"], *id);
    assert!(!listed.to_string().contains(path.trim_start_matches("/calendar/").trim_end_matches(".ics")), "shown once only");
    assert_eq!(send(&server, "DELETE", &format!("/api/v1/calendar-feeds/{id}"), None).await.0, 204);
    assert_eq!(described::get(format!("{}{path}", server.base)).await.unwrap().status(), 404);
    assert_eq!(described::get(format!("{}/calendar/nonsense", server.base)).await.unwrap().status(), 404);
    assert_eq!(send(&server, "DELETE", &format!("/api/v1/calendar-feeds/{id}"), None).await.0, 404);
}
