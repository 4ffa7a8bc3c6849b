//! A server to which nothing happens: what it uses, what it asks the database, and how soon it is there again.

use std::time::{Duration, Instant};

use autocall::store::watch::handsets::Profile;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Asked;
use crate::machine::{Figures, Since, resident};
use crate::place::Place;
use crate::wire::{Line, get};

pub async fn measure(asked: &Asked) {
    let seconds = asked.number("seconds", 40);
    let place = Place::of(asked).await.with_handsets(1, Profile::List).await;
    let mut server = place.serve("").await;
    // Whatever is done once after a start is over by then.
    tokio::time::sleep(Duration::from_secs(75)).await;
    let before = statements(&place).await;
    let used = Since::now(server.process_id());
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    let length = used.seconds();
    println!(
        "  {:.2} s of a processor in a minute ({}); {:.1} MiB",
        used.own() / length * 60.0,
        used.shares(),
        resident(server.process_id()) / 1024.0
    );
    match (before, statements(&place).await) {
        (Some(before), Some(after)) => println!("  {:.1} statements/s", (after - before) / length),
        _ => println!("  statements are not counted: load pg_stat_statements in the cluster of --database"),
    }
    let mut starts = Figures::default();
    for _ in 0..asked.number("rounds", 5) {
        server.terminate_and_wait().await;
        let began = Instant::now();
        server = place.serve("").await;
        let healthy = async {
            let mut line = Line::open(&server.addr()).await.ok()?;
            line.ask(&get("/healthz", "")).await.ok().filter(|answer| answer.status == 200)
        };
        assert!(healthy.await.is_some());
        starts.add_time(began.elapsed());
    }
    println!("  from start to /healthz on an existing database: {} ms", starts.told(0));
}

/// Statements that the database has carried out for this server; `None` when nobody counts them.
async fn statements(place: &Place) -> Option<f64> {
    let url = place.url()?;
    let mut connection = PgConnection::connect(url).await.ok()?;
    // Into the schema that everybody sees; where it is not loaded there is nothing to be read.
    let make = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public";
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut connection).await.ok()?;
    let count =
        "SELECT coalesce(sum(calls), 0)::float8 FROM public.pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'";
    let (count,): (f64,) = sqlx::query_as(count).fetch_one(&mut connection).await.ok()?;
    Some(count)
}
