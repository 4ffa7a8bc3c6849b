//! What the phone-call log costs with a million calls stored: an import, repeats on one connection beside a bare handler, a day that is deleted.
//!
//! `cargo bench -p autocall-tests --bench phone_calls -- PROGRAM [POSTGRES_URL]` measures the embedded database, and Postgres where an address is
//! given. See docs/phone-calls.md.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may stop at the first surprise")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use autocall_tests::http_client;
use autocall_tests::postgres;
use autocall_tests::server::{Binary, ServeOptions, forget_own_settings};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Client;
use serde_json::Value;

const CALLS: u32 = 1_000_000;
/// Evenly over a year.
const APART: i64 = 31;
const PEOPLE: u32 = 500;
const ROUNDS: usize = 7;
const REPEATS: u32 = 3_000;
const DAYS: u32 = 7;

fn begin() -> DateTime<Utc> {
    "2025-06-01T00:00:00Z".parse().unwrap()
}

fn initiated(place: u32) -> String {
    (begin() + TimeDelta::seconds(APART * i64::from(place))).format("%Y-%m-%d %H:%M:%S").to_string()
}

fn destination(place: u32) -> String {
    format!("0212{:07}", 2_000_000 + place % PEOPLE)
}

/// The million as Asterisk lists it.
fn write_list(path: &Path) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    for place in 0..CALLS {
        let (start, dst) = (initiated(place), destination(place));
        writeln!(
            out,
            "\"\",\"7222\",\"{dst}\",\"from-internal\",\"\"\"Ana\"\" <7222>\",\"SIP/7222-{place:08}\",\"SIP/trunk-01\",\"Dial\",\"SIP/trunk/{dst},60\",\"{start}\",\"{start}\",\"{start}\",45,38,\"ANSWERED\",\"DOCUMENTATION\",\"{place}.1\",\"\""
        )
        .unwrap();
    }
}

/// A command on the same database; what it prints.
fn command(program: &str, args: &[&str], env: &(String, String)) -> String {
    let mut command = Command::new(program);
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    let done = command.args(args).env(&env.0, &env.1).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

async fn get(client: &Client, address: &str) -> Value {
    serde_json::from_str(&client.get(address).send().await.unwrap().text().await.unwrap()).unwrap()
}

/// How many requests in a second.
async fn rate(client: &Client, address: impl Fn(u32) -> String) -> f64 {
    let began = Instant::now();
    for place in 0..REPEATS {
        let told = client.get(address(place)).send().await.unwrap();
        assert!(told.status().is_success());
        told.bytes().await.unwrap();
    }
    f64::from(REPEATS) / began.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A handler that does nothing, on the same machine in the same moments.
async fn bare() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let answer = async || ([("content-type", "application/json")], r#"{"error":false,"contactId":12334,"phonecallId":3241}"#);
    let routes = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

async fn measure(name: &str, program: &str, options: ServeOptions, env: (String, String), folder: &Path) {
    let people = folder.join("people.csv");
    let lines: String = (0..PEOPLE).map(|place| format!("Person {place},+58{}\n", &destination(place)[1..])).collect();
    std::fs::write(&people, format!("name,numbers\n{lines}")).unwrap();
    command(program, &["people", "import", people.to_str().unwrap()], &env);
    let key = command(program, &["key", "add", "--name", "pbx", "--phonecalls", "--region", "VE", "--zone", "UTC"], &env);
    let server = Binary::spawn(options.program(program)).await;
    let list = folder.join("Master.csv");
    let began = Instant::now();
    let said = command(program, &["phonecalls", "import", list.to_str().unwrap(), "--key", "pbx"], &env);
    println!("{name}: a million lines in {:.0} s beside a running server ({said})", began.elapsed().as_secs_f64());

    let client = http_client().no_proxy().pool_max_idle_per_host(1).timeout(Duration::from_mins(1)).build().unwrap();
    let (bare, url) = (bare().await, server.url());
    let call = |place: u32| {
        // Here and there in the year.
        let place = place.wrapping_mul(7919) % CALLS;
        let initiated = initiated(place).replace(' ', "T");
        format!(
            "{url}/direct/items/phonecalls/create?token={key}&initiated={initiated}&source=7222&destination={}&duration=45",
            destination(place)
        )
    };
    assert_eq!(get(&client, &call(1)).await["error"], false);
    let (mut repeats, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bares.push(rate(&client, |_| bare.clone()).await);
        repeats.push(rate(&client, call).await);
    }
    let ratios = repeats.iter().zip(&bares).map(|(own, bare)| own / bare).collect();
    println!(
        "{name}: {:.0} repeats a second on one connection, a bare handler {:.0}, ratio {:.2} (medians of {ROUNDS} rounds)",
        median(repeats),
        median(bares),
        median(ratios)
    );
    let mut times = Vec::new();
    for day in 0..DAYS {
        let on = |days: u32| (begin() + TimeDelta::days(i64::from(30 * day + days))).format("%Y-%m-%d").to_string();
        let began = Instant::now();
        let told = get(&client, &format!("{url}/direct/items/phonecalls/delete?token={key}&from={}&to={}", on(0), on(2))).await;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        assert!(told["count"].as_u64().unwrap() > 2_000, "{told}");
    }
    println!("{name}: a day among a million is deleted in {:.0} ms (median of {DAYS})", median(times));
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let program = args.first().expect("the program").clone();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        write_list(&folder.path().join("Master.csv"));
        let place = folder.path().join("data").to_str().unwrap().to_owned();
        let env = ("AUTOCALL_DATA_DIR".to_owned(), place.clone());
        measure("embedded", &program, ServeOptions::new().data_dir(&place), env, folder.path()).await;
        if let Some(url) = args.get(1) {
            let schema = postgres::fresh_schema(url).await;
            let env = ("DATABASE_URL".to_owned(), schema.url.clone());
            measure("Postgres", &program, ServeOptions::new().database(&schema.url), env, folder.path()).await;
        }
    });
}
