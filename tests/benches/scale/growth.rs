//! What things cost with a thousand, a hundred thousand and a million finished alarms, with all that an alarm leaves.
//!
//! A few alarms go the whole way through the product; what they have left in each table is then copied, each copy with keys of its own and
//! some time earlier. So whatever later versions leave is copied as well.

use std::time::{Duration, Instant};

use autocall::store::watch::handsets::Profile;
use autocall_tests::server::Binary;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};

use crate::Asked;
use crate::dashboards::cycles;
use crate::machine::Figures;
use crate::place::{Place, token};
use crate::wire::{Line, get, post};

/// What an alarm leaves, parents first.
const LEFT: [&str; 17] = [
    "hunts",
    "alarms",
    "alarm_hunts",
    "hunt_copies",
    "alarm_texts",
    "callees",
    "dials",
    "dial_targets",
    "answers",
    "events",
    "call_records",
    "barista_calls",
    "counted_hunts",
    "counted_alarms",
    "counted_calls",
    "sought",
    "audit",
];
/// Keys of alarms and of what belongs to them.
const KEYS: [&str; 5] = ["id", "alarm_id", "hunt_id", "callee_id", "answer_id"];
/// Numeric keys.
const NUMBERED: [&str; 4] = ["id", "record_id", "event_id", "line_id"];
/// So many alarms go the whole way, all within the time between two copies.
const PATTERNS: usize = 100;
const APART_SECONDS: i64 = 60;
/// Above whatever the product itself gives.
const FAR: i64 = 100_000_000;

/// What is measured at each size.
const READS: [(&str, &str); 7] = [
    ("idle poll", "/h/{token}/alert/phone"),
    ("list of alarms", "/api/v1/alarms?limit=50"),
    ("list, one source", "/api/v1/alarms?source=nobody"),
    ("list, cancelled", "/api/v1/alarms?state=cancelled"),
    ("one alarm", "/api/v1/alarms/{alarm}"),
    ("page Now", "/"),
    ("page of an alarm", "/alarms/{alarm}"),
];

/// A connection to the database itself.
enum Beside {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

pub async fn measure(asked: &Asked) {
    let most = asked.number("alarms", 1_000_000);
    let rounds = asked.number("rounds", 31);
    let place = Place::of(asked).await.with_handsets(1, Profile::List).await;
    let cookies = place.logged_in(1).await;
    let mut server = place.serve("open_rights = [\"raise\", \"read\", \"operate\"]").await;
    while count(&place).await < PATTERNS {
        cycles(&server.addr(), Duration::from_millis(200)).await;
    }
    // Figures and words are written beside.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let patterns = count(&place).await;
    let mut smallest: Option<Vec<(String, f64)>> = None;
    let mut copies = 0;
    for size in [1_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|size| *size <= most) {
        server.terminate_and_wait().await;
        let wanted = size / patterns;
        copy(&place, copies, wanted).await;
        copies = copies.max(wanted);
        server = place.serve("open_rights = [\"raise\", \"read\", \"operate\"]").await;
        let figures = costs(&server, &cookies[0], rounds).await;
        println!("  {size} alarms ({} stored)", count(&place).await);
        for (place, (what, figure)) in figures.iter().enumerate() {
            let slope = smallest.as_ref().map(|smallest| figure / smallest[place].1);
            let slope = slope.map(|slope| format!(", {slope:.2} of the smallest")).unwrap_or_default();
            println!("    {what}: {figure:.2} ms{slope}");
        }
        smallest.get_or_insert(figures);
    }
}

async fn costs(server: &Binary, cookie: &str, rounds: usize) -> Vec<(String, f64)> {
    let mut line = Line::open(&server.addr()).await.unwrap();
    let listed = line.ask(&get("/api/v1/alarms?limit=50", "")).await.unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    let alarm = listed["items"][25]["id"].as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for (what, path) in READS {
        let path = path.replace("{token}", &token(0)).replace("{alarm}", &alarm);
        let of_page = if path.starts_with("/api/") || path.starts_with("/h/") { "" } else { cookie };
        let request = get(&path, of_page);
        let mut times = Figures::default();
        for _ in 0..rounds {
            let began = Instant::now();
            let answer = line.ask(&request).await.unwrap();
            times.add_time(began.elapsed());
            if answer.status != 200 {
                println!("    {what}: {} instead of 200", answer.status);
            }
            if answer.closes {
                line = Line::open(&server.addr()).await.unwrap();
            }
        }
        all.push((what.to_owned(), times.median()));
    }
    let (mut raise, mut offer, mut report) = (Figures::default(), Figures::default(), Figures::default());
    let path = format!("/h/{}/alert/phone", token(0));
    for number in 0..rounds as u64 {
        let body = format!(r#"{{"summary":"measured","phones":["+861{:010}"]}}"#, 4_000_000_000 + number);
        let began = Instant::now();
        assert_eq!(line.ask(&post("/api/v1/alarms", "", &body)).await.unwrap().status, 201);
        raise.add_time(began.elapsed());
        let (asked, offered) = loop {
            let began = Instant::now();
            let answer = line.ask(&get(&path, "")).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if body["mid"].is_string() {
                break (began, body);
            }
        };
        offer.add_time(asked.elapsed());
        let target = format!("{path}?mid={}&resp={}", offered["mid"].as_str().unwrap(), offered["phone"][0].as_str().unwrap());
        let began = Instant::now();
        assert_eq!(line.ask(&post(&target, "", "")).await.unwrap().status, 200);
        report.add_time(began.elapsed());
    }
    all.extend([("raise", raise), ("offer", offer), ("report", report)].map(|(what, times)| (what.to_owned(), times.median())));
    all
}

async fn beside(place: &Place) -> Beside {
    match place.url() {
        Some(url) => Beside::Postgres(PgConnection::connect(url).await.unwrap()),
        None => {
            let mut connection = SqliteConnection::connect(&format!("sqlite://{}", place.file().display())).await.unwrap();
            connection.execute("PRAGMA synchronous = OFF").await.unwrap();
            Beside::Sqlite(connection)
        }
    }
}

async fn count(place: &Place) -> usize {
    let count = "SELECT count(*) FROM alarms";
    let (count,): (i64,) = match beside(place).await {
        Beside::Postgres(mut connection) => sqlx::query_as(count).fetch_one(&mut connection).await.unwrap(),
        Beside::Sqlite(mut connection) => sqlx::query_as(count).fetch_one(&mut connection).await.unwrap(),
    };
    usize::try_from(count).unwrap()
}

/// Copies what the first alarms have left, from this copy on to that.
async fn copy(place: &Place, from: usize, to: usize) {
    let mut beside = beside(place).await;
    for table in LEFT {
        let columns = columns(&mut beside, table).await;
        if columns.is_empty() {
            continue;
        }
        // In portions, so that no transaction holds a million rows.
        for begin in (from.max(1)..to).step_by(200) {
            let text = statement(&beside, table, &columns, begin, (begin + 200).min(to));
            match &mut beside {
                Beside::Postgres(connection) => connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop),
                Beside::Sqlite(connection) => connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.map(drop),
            }
            .unwrap_or_else(|error| panic!("{table} cannot be copied: {error}"));
        }
    }
    let _ = match &mut beside {
        Beside::Postgres(connection) => connection.execute("ANALYZE").await.map(drop),
        Beside::Sqlite(connection) => connection.execute("PRAGMA analysis_limit = 400; ANALYZE").await.map(drop),
    };
}

/// The columns of a table, with their types; none where there is no such table.
async fn columns(beside: &mut Beside, table: &str) -> Vec<(String, String)> {
    match beside {
        Beside::Postgres(connection) => {
            let text = "SELECT column_name::text, data_type::text FROM information_schema.columns
                        WHERE table_name = $1 AND table_schema = current_schema() AND is_generated = 'NEVER' ORDER BY ordinal_position";
            let rows = sqlx::query(text).bind(table.to_owned()).fetch_all(connection).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
        Beside::Sqlite(connection) => {
            let rows = sqlx::query("SELECT name, type FROM pragma_table_info($1)")
                .bind(table.to_owned())
                .fetch_all(connection)
                .await
                .unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        }
    }
}

/// What the product itself has written is kept aside: copies are not copied again.
fn statement(beside: &Beside, table: &str, columns: &[(String, String)], from: usize, to: usize) -> String {
    let postgres = matches!(beside, Beside::Postgres(_));
    let earlier = format!("copies.nth * {APART_SECONDS}");
    let value = |name: &str, kind: &str| {
        let is_key = KEYS.contains(&name);
        match kind.to_ascii_lowercase().as_str() {
            "uuid" if is_key => format!("(left(o.{name}::text, 28) || lpad(to_hex(copies.nth), 8, '0'))::uuid"),
            "blob" if is_key => format!("unhex(substr(hex(o.{name}), 1, 24) || printf('%08X', copies.nth))"),
            "bigint" | "integer" if name == "number" => format!("o.{name} - {earlier} * 1000"),
            "bigint" | "integer" if NUMBERED.contains(&name) => format!("o.{name} + copies.nth * {FAR}"),
            "timestamp with time zone" => format!("o.{name} - make_interval(secs => {earlier})"),
            "text" if name == "mid" => format!("o.{name} || '.' || copies.nth"),
            "text" if !postgres && (name == "at" || name.ends_with("_at") || name.ends_with("_until")) => {
                format!("strftime('%Y-%m-%dT%H:%M:%f000+00:00', o.{name}, '-' || ({earlier}) || ' seconds')")
            }
            _ => format!("o.{name}"),
        }
    };
    let values: Vec<String> = columns.iter().map(|(name, kind)| value(name, kind)).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let last = to - 1;
    let copies = match postgres {
        true => format!("generate_series({from}::bigint, {last}::bigint) AS copies (nth)"),
        false => format!(
            "(WITH RECURSIVE up (nth) AS (SELECT {from} UNION ALL SELECT nth + 1 FROM up WHERE nth < {last}) SELECT nth FROM up) AS copies"
        ),
    };
    let overriding = if postgres { "OVERRIDING SYSTEM VALUE " } else { "" };
    format!(
        "CREATE TABLE IF NOT EXISTS pattern_{table} AS SELECT * FROM {table};
         INSERT INTO {table} ({}) {overriding}SELECT {} FROM pattern_{table} AS o CROSS JOIN {copies} WHERE true ON CONFLICT DO NOTHING",
        names.join(", "),
        values.join(", ")
    )
}
